//! What was learned since the window was last hunted, as a plan: subjects to be looked for, and whether everything is to
//! be judged again.

use crate::node::Node;
use anyhow::{Result, anyhow};
use interdict_engine::domain::{
    Accepted, Body, Field, Learned, LearnedWhat, ListDelta, Subject, SubjectKind,
};
use interdict_engine::generation::View;
use interdict_engine::lists::ListMeta;
use interdict_engine::settlement::UnhuntedEvent;
use interdict_ledger::journal::RecordKind;
use interdict_ledger::window::{Hit, Query, Row, TagColumn, Wanted};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Events read from the journal at once.
const EVENTS_AT_ONCE: usize = 256;

/// A list delta that is to be hunted.
struct Delta {
    learned: Learned,
    /// Its tenant, where the list is not shared.
    owner: Option<Arc<str>>,
    delta: ListDelta,
}

/// What is to be hunted.
#[derive(Default)]
pub(super) struct Plan {
    deltas: Vec<Delta>,
    /// The last event by which any payment may be judged otherwise.
    pub(super) all: Option<Learned>,
    /// Whether nothing but lessons of banks asks for all to be judged.
    pub(super) lessons_only: bool,
}

impl Plan {
    /// What some events come to. `before`: what the window was last judged by, where that is known.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(super) fn of(
        node: &Node,
        events: &[UnhuntedEvent],
        before: Option<&Lists>,
        view: &View,
    ) -> Result<Plan> {
        let mut plan = Plan { lessons_only: true, ..Plan::default() };
        // Of events that were taken together nothing is known but that they were.
        if let Some(last) = events.iter().rfind(|one| one.first != one.sequence) {
            let what = LearnedWhat::Generation(view.id());
            plan.all = Some(Learned { sequence: last.sequence, at_ms: last.at_ms, what });
            plan.lessons_only = false;
        }
        for some in events.chunks(EVENTS_AT_ONCE) {
            let wanted: Vec<_> = some.iter().map(|one| (RecordKind::Accepted, one.sequence)).collect();
            let records = node.reader.read_many(&wanted).map_err(|e| anyhow!("{e}"))?;
            for record in records.into_iter().flatten() {
                plan.add(Accepted::decode(&record.open, record.sealed.as_deref())?, before, view);
            }
        }
        Ok(plan)
    }
    fn add(&mut self, accepted: Accepted, before: Option<&Lists>, view: &View) {
        let (sequence, at_ms) = (accepted.sequence, accepted.event.arrival_ms);
        let learned = |what| Learned { sequence, at_ms, what };
        match accepted.event.body {
            Body::ListDelta(delta) => {
                let owner = (!delta.shared).then_some(accepted.event.tenant);
                let learned = learned(LearnedWhat::List(delta.list.clone()));
                // Rules that name a list were undecided for every payment while there was none.
                if is_new(&delta.list, owner.as_deref(), before, view) {
                    (self.all, self.lessons_only) = (Some(learned.clone()), false);
                }
                self.deltas.push(Delta { learned, owner, delta: *delta });
            }
            Body::Publish { generation } => {
                self.all = Some(learned(LearnedWhat::Generation(generation)));
                self.lessons_only = false;
            }
            _ => self.all = Some(learned(LearnedWhat::Label)),
        }
    }
    /// What looks for all subjects that list deltas named; `None` where there is none.
    pub(super) fn subjects(&self) -> Option<Subjects> {
        if self.deltas.is_empty() {
            return None;
        }
        let (mut wanted, mut tags, mut ranges) = (Wanted::default(), HashMap::new(), Vec::new());
        for (at, one) in self.deltas.iter().enumerate() {
            let owner = one.owner.as_deref();
            let added = one.delta.add.iter().map(|entry| (entry.subject, true));
            for (subject, added) in added.chain(one.delta.remove.iter().map(|subject| (*subject, false))) {
                wanted.add(owner, &subject);
                let named = Named { delta: at, added };
                match subject {
                    // The last word on a subject counts.
                    Subject::Tag { tag, .. } => drop(tags.insert((tag.0, owner.is_none()), named)),
                    _ => ranges.push((subject, named)),
                }
            }
        }
        let learned = self.deltas.iter().map(|one| one.learned.clone()).collect();
        Some(Subjects { query: wanted.build(), tags, ranges, learned })
    }
}

/// The lists that there are: names and owners.
pub(super) struct Lists(BTreeSet<(String, Option<String>)>);

impl Lists {
    /// Those of a view.
    pub(super) fn of(view: &View) -> Lists {
        let lists = view.lists();
        let metas = (0..lists.len() as u16).filter_map(|number| lists.list_meta(number));
        let owner = |meta: &ListMeta| meta.tenant.as_deref().filter(|_| !meta.shared).map(str::to_owned);
        Lists(metas.map(|meta| (meta.name.clone(), owner(meta))).collect())
    }
    fn has(&self, name: &str, owner: Option<&str>) -> bool {
        self.0.contains(&(name.to_owned(), owner.map(str::to_owned)))
    }
}

/// Whether a list that has a slot in the generation may not have been there before.
fn is_new(list: &str, owner: Option<&str>, before: Option<&Lists>, view: &View) -> bool {
    if view.generation().list_slot(list).is_none() {
        return false;
    }
    match before {
        Some(before) => !before.has(list, owner),
        // Not known any more; a list of the configuration has been there.
        None => view.generation().lists().number(list, owner).is_none(),
    }
}

/// Who named a subject.
#[derive(Debug, Clone, Copy)]
struct Named {
    delta: usize,
    added: bool,
}

/// Subjects that deltas named, and which delta.
pub(super) struct Subjects {
    /// What looks for them in a chunk.
    pub(super) query: Query,
    tags: HashMap<(u128, bool), Named>,
    ranges: Vec<(Subject, Named)>,
    learned: Vec<Learned>,
}

impl Subjects {
    /// What a row's hits come from: the latest event among them, and whether it added the subject.
    pub(super) fn learned(&self, row: &Row<'_, '_>, hits: &[Hit]) -> (Learned, bool) {
        let named = hits.iter().filter_map(|hit| match hit.field {
            Field::DeviceIp | Field::CardBin => self.of_range(hit.field),
            field => {
                let tag = row.tag(TagColumn::of(field, hit.shared)?)?;
                self.tags.get(&(tag, hit.shared)).copied()
            }
        });
        let last = named.max_by_key(|named| named.delta);
        let last = last.unwrap_or(Named { delta: self.learned.len() - 1, added: true });
        (self.learned[last.delta].clone(), last.added)
    }
    /// The latest delta with ranges of a field's kind: which of them it was does not matter to anybody.
    fn of_range(&self, field: Field) -> Option<Named> {
        let kind = SubjectKind::of_field(field)?;
        let of_kind = self.ranges.iter().filter(|(subject, _)| subject.kind() == kind);
        of_kind.map(|(_, named)| *named).max_by_key(|named| named.delta)
    }
}
