//! What deltas have said stays said when another generation is published: lists are matched by name and owner, live
//! entries lie over the new base with the ids and sequences they had, and what they ended stays ended there. What a
//! fold has put into the new base leaves the overlay.

use super::index::ListBase;
use super::layers::LayerKind;
use super::meta::ListMeta;
use super::overlay::Overlay;
use super::probe::ListView;
use crate::domain::Subject;
use crate::error::{Error, ErrorKind};
use crate::limits::LISTS_MAX;
use std::sync::Arc;

impl Overlay {
    /// The overlay over another base. Entries that had ended before are forgotten; a list that only the old base had
    /// lives on where deltas have entries in it. `folded`: the sequences up to which deltas have been folded into
    /// the old and the new base; what was said up to the second leaves the overlay.
    ///
    /// # Errors
    /// `TooLarge` when old and new lists together are too many; `Invalid` for a new base that lacks deltas which the
    /// old one holds. This overlay is as it was.
    pub fn rebase(&self, old: &ListBase, new: &ListBase, folded: (u64, u64)) -> Result<Overlay, Error> {
        let (before, since) = folded;
        if since < before {
            let message = format!(
                "the generation holds list deltas up to sequence {since}, the one in force up to {before}: \
                 build it again"
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let mut made: Vec<Arc<ListMeta>> = Vec::new();
        // The old lists by number, base before made, so that new numbers do not depend on any map's order.
        let numbers: Vec<Option<u16>> = (0..)
            .map_while(|number| old.meta(number).or_else(|| self.meta(number)).map(|meta| (number, meta)))
            .map(|(number, meta)| {
                new.number_of(meta).or_else(|| {
                    let is_made = old.meta(number).is_none();
                    (is_made || self.current_of_list(number).next().is_some()).then(|| {
                        made.push(Arc::new(meta.clone()));
                        (new.len() + made.len() - 1) as u16
                    })
                })
            })
            .collect();
        let lists = new.len() + made.len();
        if lists > LISTS_MAX {
            let message = format!("{lists} lists with those that deltas made, limit {LISTS_MAX}");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let number = |list: u16| numbers.get(usize::from(list)).copied().flatten();
        let mut moved = self.moved((old, new), made, number, since);
        if since > before && self.forgotten_to() > since {
            let gone = self.gone_since(old, new);
            moved.end_all(new, gone.into_iter());
        }
        Ok(moved)
    }

    /// What a fold has put into `new` and is not there any more, without looking at what ended when: so much has
    /// ended since the fold was begun that some of it is forgotten. Costs a look-up for each entry folded, which is
    /// a pause of a tenth of a second at most, and correct.
    fn gone_since(&self, old: &ListBase, new: &ListBase) -> Vec<(u16, Subject)> {
        let view = ListView { base: old, overlay: self };
        let mut gone = Vec::new();
        for (number, list) in (0..).zip(new.lists()) {
            let Some(before) = view.number(&list.meta().name, list.meta().tenant.as_deref()) else {
                continue;
            };
            for layer in list.layers().iter().filter(|layer| layer.kind() == LayerKind::Added) {
                let subjects = layer.snapshot().entries().map(|entry| entry.subject);
                let ended = subjects.filter(|subject| view.entry_of(before, subject).is_none());
                gone.extend(ended.map(|subject| (number, subject)));
            }
        }
        gone
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::domain::{Effect, Entry, Field, KeyId, ListDelta, Subject, SubjectKind, Tag};
    use crate::domain::{Transaction, TransactionKind};
    use crate::lists::{Hits, ListView, Snapshot, build};

    fn entry(tag: u128) -> Entry {
        Entry {
            id: 0,
            subject: Subject::Tag { kind: SubjectKind::Card, tag: Tag(tag) },
            effect: Effect::Block,
            overridable: true,
            overrides: None,
            reason: "R".into(),
            severity: 0,
            contributor: String::new(),
            valid_from_ms: None,
            valid_to_ms: None,
        }
    }
    fn base(lists: &[(&str, &[u128])]) -> ListBase {
        let snapshots = lists.iter().map(|(name, tags)| {
            let bytes =
                build(&ListMeta::new(*name, None, 0), tags.iter().map(|tag| entry(*tag)).collect()).unwrap();
            Snapshot::open(Arc::new(bytes)).unwrap()
        });
        ListBase::new(snapshots.collect()).unwrap()
    }
    fn delta(list: &str, add: &[u128], remove: &[u128]) -> ListDelta {
        ListDelta {
            list: list.into(),
            shared: true,
            add: add.iter().map(|tag| entry(*tag)).collect(),
            remove: remove.iter().map(|tag| entry(*tag).subject).collect(),
        }
    }
    fn hit_lists(base: &ListBase, overlay: &Overlay, tag: u128) -> Vec<String> {
        let mut tx = Transaction::new("t".into(), TransactionKind::Request, 0);
        tx.add_tag(Field::Card, KeyId::SHARED, Tag(tag));
        let (view, mut hits) = (ListView { base, overlay }, Hits::new());
        view.probe(&tx, &mut hits);
        let mut names: Vec<String> =
            hits.iter().map(|hit| view.list_name(hit.list).unwrap().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn deltas_outlive_the_publication_of_another_base() {
        let old = base(&[("a", &[1, 2]), ("gone", &[3])]);
        let mut overlay = Overlay::new(&old);
        for (sequence, change) in [
            (1, delta("a", &[4], &[1])),
            (2, delta("made", &[5], &[])),
            (3, delta("gone", &[6], &[])),
            (4, delta("a", &[2], &[])),
        ] {
            overlay = overlay.apply(&old, sequence, "t", &change).unwrap();
        }
        let new = base(&[("b", &[7]), ("a", &[1, 2, 8])]);
        let moved = overlay.rebase(&old, &new, (0, 0)).unwrap();
        let expected: [(u128, &[&str]); 8] = [
            (1, &[]),
            (2, &["a"]),
            (3, &[]),
            (4, &["a"]),
            (5, &["made"]),
            (6, &["gone"]),
            (7, &["b"]),
            (8, &["a"]),
        ];
        for (tag, lists) in expected {
            assert_eq!(hit_lists(&new, &moved, tag), lists, "tag {tag}");
        }
        let later = moved.apply(&new, 5, "t", &delta("a", &[], &[4, 8])).unwrap();
        assert_eq!((hit_lists(&new, &later, 4), hit_lists(&new, &later, 8)), (vec![], vec![]));
    }
}
