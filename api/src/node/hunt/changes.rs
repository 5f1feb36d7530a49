//! What a publication changes: where it is lists and nothing else, the subjects that they say otherwise of, so that a hunt
//! looks for those and need not judge every payment of the window.

use crate::node::Node;
use crate::node::fold::Part;
use anyhow::{Result, anyhow};
use interdict_engine::domain::{Accepted, GenerationId, Subject};
use interdict_engine::generation::{Manifest, PartKind};
use interdict_engine::lists::{Difference, ListMeta, Snapshot, diff};
use interdict_engine::packs::ListDecl;
use interdict_ledger::journal::RecordKind;

/// Subjects at most: beyond, all payments are judged, which takes no memory.
const SUBJECTS_MAX: usize = 4_000_000;

/// A list that a publication changed.
pub(super) struct ChangedList {
    /// What it is.
    pub(super) meta: ListMeta,
    /// Whom it says otherwise of.
    pub(super) subjects: Vec<(Subject, Difference)>,
}

/// The lists that the publication of a sequence changed. `None` where it changed more, or that is not known any more: all
/// payments may be judged otherwise.
///
/// # Errors
/// When the journal cannot be read.
pub(super) fn of(node: &Node, sequence: u64, published: &GenerationId) -> Result<Option<Vec<ChangedList>>> {
    let before = match sequence.checked_sub(1).filter(|before| *before > 0) {
        Some(before) => {
            node.reader.read_many(&[(RecordKind::Accepted, before)]).map_err(|e| anyhow!("{e}"))?
        }
        None => return Ok(None),
    };
    let Some(Some(before)) = before.into_iter().next() else { return Ok(None) };
    let before = Accepted::decode(&before.open, None)?.generation;
    // What is not kept or does not read is judged as something unknown.
    let manifest = |id: &GenerationId| node.store.manifest(&id.hash).ok().flatten();
    let Some((old, new)) = manifest(&before).zip(manifest(published)) else { return Ok(None) };
    Ok(changed(node, published, &old, &new))
}

fn of_kinds(manifest: &Manifest, kinds: &[PartKind]) -> Vec<Part> {
    manifest.parts().iter().filter(|(kind, ..)| kinds.contains(kind)).cloned().collect()
}

fn changed(
    node: &Node,
    published: &GenerationId,
    old: &Manifest,
    new: &Manifest,
) -> Option<Vec<ChangedList>> {
    let others = [PartKind::Pack, PartKind::Watchlist];
    if of_kinds(old, &others) != of_kinds(new, &others) {
        return None;
    }
    let generation = node.is_built(&published.hash)?;
    let (old, new) = (of_kinds(old, &[PartKind::List]), of_kinds(new, &[PartKind::List]));
    let open = |parts: &[Part], beside: &[Part]| -> Option<Vec<Snapshot>> {
        let differing = parts.iter().filter(|part| !beside.contains(part));
        differing.map(|(_, _, hash)| Snapshot::open(node.store.get(hash).ok()?).ok()).collect()
    };
    let (gone, mut come) = (open(&old, &new)?, open(&new, &old)?);
    let had = |meta: &ListMeta| old.iter().any(|(_, name, _)| *name == meta.name);
    let has = |meta: &ListMeta| new.iter().any(|(_, name, _)| *name == meta.name);
    let is_declared = |meta: &ListMeta| ListDecl::find(generation.packs(), &meta.name).is_some();
    let mut lists = Lists { changed: Vec::new(), subjects: 0 };
    for before in &gone {
        match come.iter().position(|now| now.meta().is_same(before.meta())) {
            Some(at) => {
                let now = come.swap_remove(at);
                // Another outcome, another length of tags: of every entry.
                let key_check = now.meta().key_check;
                if now.meta() != &(ListMeta { key_check, ..before.meta().clone() }) {
                    return None;
                }
                lists.add(Some(before), Some(&now))?;
            }
            // Rules that read a list are undecided while there is none.
            None if is_declared(before.meta()) && !has(before.meta()) => return None,
            None => lists.add(Some(before), None)?,
        }
    }
    for now in &come {
        if is_declared(now.meta()) && !had(now.meta()) {
            return None;
        }
        lists.add(None, Some(now))?;
    }
    Some(lists.changed)
}

struct Lists {
    changed: Vec<ChangedList>,
    subjects: usize,
}

impl Lists {
    /// `None` past the bound.
    fn add(&mut self, before: Option<&Snapshot>, now: Option<&Snapshot>) -> Option<()> {
        let meta = now.or(before)?.meta().clone();
        let (mut subjects, room) = (Vec::new(), SUBJECTS_MAX - self.subjects);
        diff(before, now, &mut |subject, difference| {
            subjects.push((subject, difference));
            subjects.len() <= room
        });
        if subjects.len() > room {
            return None;
        }
        self.subjects += subjects.len();
        self.changed.push(ChangedList { meta, subjects });
        Some(())
    }
}
