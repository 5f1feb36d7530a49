//! List entries that a verdict names and the view at hand no longer has: they ended and were forgotten, or another
//! generation was published since. The delta that added them is in the journal, and an answer given again must say
//! what it said.

use super::Node;
use anyhow::{Result, anyhow};
use interdict_engine::domain::{Accepted, Body, Entry, ReasonSource, Verdict};
use interdict_engine::generation::View;
use interdict_engine::lists::{ListMeta, added_by};

/// An entry that a delta added, with what its list was.
#[derive(Debug, Clone)]
pub struct Recalled {
    /// The list's number in the verdict.
    pub number: u16,
    /// What the list was.
    pub list: ListMeta,
    /// The entry.
    pub entry: Entry,
}

impl Node {
    /// The entries of a verdict that `view` does not have. What the journal no longer has either is left out.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(super) fn recall(&self, verdict: &Verdict, view: &View) -> Result<Vec<Recalled>> {
        let lists = view.lists();
        let named = verdict.reasons.iter().filter_map(|reason| match reason.source {
            ReasonSource::Entry { list, entry, .. } => Some((list, entry)),
            _ => None,
        });
        let mut recalled = Vec::new();
        for (number, entry) in named.filter(|(list, entry)| lists.entry(*list, *entry).is_none()) {
            if let Some(sequence) = added_by(entry)
                && let Some((list, entry)) = self.added(sequence, entry)?
            {
                // A list of the base is what the base says, whatever it was when the delta came.
                let list = view.generation().lists().meta(number).cloned().unwrap_or(list);
                recalled.push(Recalled { number, list, entry });
            }
        }
        Ok(recalled)
    }

    /// An entry that the delta of a sequence added: the delta is applied again, to a list without other deltas.
    fn added(&self, sequence: u64, id: u64) -> Result<Option<(ListMeta, Entry)>> {
        let Some(record) = self.reader.read_accepted(sequence).map_err(|e| anyhow!("{e}"))? else {
            return Ok(None);
        };
        let accepted = Accepted::decode(&record.open, record.sealed.as_deref())?;
        let (Body::ListDelta(delta), Ok(generation)) =
            (&accepted.event.body, self.generation(&accepted.generation))
        else {
            return Ok(None);
        };
        let tenant = &accepted.event.tenant;
        let view = View::new(generation, 0).delta(sequence, tenant, 0, delta)?;
        let lists = view.lists();
        let number = lists.number(&delta.list, (!delta.shared).then_some(&**tenant));
        Ok(number.and_then(|number| Some((lists.list_meta(number)?.clone(), lists.entry(number, id)?))))
    }
}
