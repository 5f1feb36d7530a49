//! Folding: what deltas have said of a base's lists, written as snapshots to lie over the files of those lists, so
//! that the overlay can let go of it. Each fold writes what is new and takes up what lies right under it and is not
//! much larger, so that a list's stack stays as short as the logarithm of its changes.

use super::build::build;
use super::layers::{Layer, LayerKind, List};
use super::meta::ListMeta;
use super::probe::ListView;
use crate::domain::{Effect, Entry, Subject};
use crate::error::Error;
use std::collections::BTreeMap;

/// A snapshot of a stack is taken up by a fold that is at least so many times smaller than it.
const TAKEN_UP: u64 = 2;

/// What a fold makes of one list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListFold {
    /// What the list is.
    pub meta: ListMeta,
    /// How many snapshots of its stack stay, from the bottom.
    pub kept: usize,
    /// The bytes of those that come over them, from the bottom.
    pub put: Vec<(LayerKind, Vec<u8>)>,
}

/// What a list's topmost snapshots and its deltas say: an entry, or that there is none.
type Said = BTreeMap<Subject, Option<Entry>>;

/// Folds a view's deltas: its lists in their order, with the stacks that hold the same entries without any delta.
/// `key_check` gives the fingerprint of the key that shared lists (`None`) or a tenant's own are tagged under.
///
/// # Errors
/// As [`build`].
pub fn fold(view: ListView<'_>, key_check: &dyn Fn(Option<&str>) -> u64) -> Result<Vec<ListFold>, Error> {
    let mut said: Vec<Said> = vec![Said::new(); view.len()];
    for (list, row) in view.overlay.ended_in_base() {
        let subject = view.base.list(list).map(|base| base.row(row).subject);
        said[usize::from(list)].extend(subject.map(|subject| (subject, None)));
    }
    for added in view.overlay.all_current() {
        said[usize::from(added.list)].insert(added.entry.subject, Some(added.entry.clone()));
    }
    (0..)
        .zip(said)
        .map(|(number, said)| {
            let meta = view.list_meta(number).expect("numbers below the view's length are lists").clone();
            folded(meta, view.base.list(number), said, key_check)
        })
        .collect()
}

fn folded(
    meta: ListMeta,
    base: Option<&List>,
    mut said: Said,
    key_check: &dyn Fn(Option<&str>) -> u64,
) -> Result<ListFold, Error> {
    let layers = base.map_or(&[][..], List::layers);
    let mut kept = layers.len();
    if said.is_empty() && kept > 0 {
        return Ok(ListFold { meta, kept, put: Vec::new() });
    }
    while let Some(top) = layers[..kept].last().filter(|top| is_taken_up(top, said.len())) {
        for entry in top.snapshot().entries() {
            said.entry(entry.subject).or_insert_with(|| (top.kind() == LayerKind::Added).then_some(entry));
        }
        kept -= 1;
    }
    // What nothing below names needs no ending.
    let is_below = |subject: &Subject| base.is_some_and(|base| base.row_below(kept, subject).is_some());
    let ended = said.iter().filter(|(subject, entry)| entry.is_none() && is_below(subject));
    let ended: Vec<Entry> = ended.map(|(subject, _)| bare(*subject)).collect();
    let added: Vec<Entry> = said.into_values().flatten().collect();
    let mut put = Vec::new();
    let layer = |entries: Vec<Entry>| {
        // Prefixes say the same under every key.
        let is_tagged = entries.iter().any(|entry| matches!(entry.subject, Subject::Tag { .. }));
        let key_check = if is_tagged { key_check(meta.tenant.as_deref()) } else { 0 };
        build(&ListMeta { key_check, ..meta.clone() }, entries)
    };
    if !ended.is_empty() {
        put.push((LayerKind::Ended, layer(ended)?));
    }
    // A list without entries is a list nevertheless.
    if !added.is_empty() || (kept == 0 && put.is_empty()) {
        put.push((LayerKind::Added, layer(added)?));
    }
    Ok(ListFold { meta, kept, put })
}

fn is_taken_up(layer: &Layer, said: usize) -> bool {
    layer.kind() != LayerKind::File && layer.snapshot().len() <= TAKEN_UP * said as u64
}

/// An entry that says nothing but whom it means.
fn bare(subject: Subject) -> Entry {
    Entry {
        id: 0,
        subject,
        effect: Effect::Flag,
        overridable: true,
        overrides: None,
        reason: String::new(),
        severity: 0,
        contributor: String::new(),
        valid_from_ms: None,
        valid_to_ms: None,
    }
}
