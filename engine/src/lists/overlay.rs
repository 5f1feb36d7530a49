//! What deltas have changed since the base was built. Persistent: applying a delta gives a new overlay and leaves the
//! old one as it was, and a clone is one reference count, so a lane reads exactly the overlay of its transaction's
//! sequence, without a lock, whatever comes after.

mod image;

use super::check;
use super::filter::SharedFilter;
use super::hash::hash;
use super::index::ListBase;
use super::meta::ListMeta;
use crate::domain::{Effect, Entry, ListDelta, Subject};
use crate::error::{Error, ErrorKind};
use crate::limits::{DELTA_ENTRIES_MAX, LISTS_MAX, OVERLAY_ENDED_MAX, OVERLAY_ENTRIES_MAX};
use imbl::shared_ptr::DefaultSharedPtr;
use smallvec::SmallVec;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// The first entry id of deltas: above every row of a base. The `i`-th entry that the delta of sequence `s` adds has
/// the id `DELTA_IDS_FROM + (s << 16 | i)`, so that every replay numbers it alike.
pub const DELTA_IDS_FROM: u64 = 1 << 32;
/// The sequence of the delta that added an entry, by its id; `None` for an entry of a base.
pub fn added_by(id: u64) -> Option<u64> {
    id.checked_sub(DELTA_IDS_FROM).map(|number| number >> 16)
}
/// Sequences that fit into an id.
const SEQUENCE_MAX: u64 = (1 << 47) - 1;
/// The filter is made anew after at least twice so many additions (0.3 ms for this many).
const REFILTER_MIN: usize = 1 << 15;

pub(super) type Map<K, V> = imbl::GenericHashMap<K, V, foldhash::fast::RandomState, DefaultSharedPtr>;

/// An entry that a delta added.
#[derive(Debug)]
pub(super) struct Added {
    pub list: u16,
    pub entry: Entry,
    /// The entry's override target, shared with hits.
    pub target: Option<Arc<str>>,
    /// The delta's sequence; transactions with a greater one see the entry.
    pub visible_from: u64,
}

/// The current entries of one subject, by list.
pub(super) type Current = SmallVec<[Arc<Added>; 1]>;

/// The changes to a base's lists up to a sequence.
#[derive(Clone)]
pub struct Overlay(Arc<State>);

#[derive(Clone)]
struct State {
    sequence: u64,
    base_lists: usize,
    /// Lists that deltas made, numbered after the base's.
    lists: Arc<Vec<Arc<ListMeta>>>,
    current: Map<Subject, Current>,
    /// Every entry added, until it is forgotten after its end.
    by_id: Map<(u16, u64), Arc<Added>>,
    /// The sequence that ended an entry, of base and deltas alike: list and id.
    ended: Map<(u16, u64), u64>,
    /// Delta entries that ended, in order, so that the oldest can be forgotten.
    ended_order: imbl::Vector<(u16, u64)>,
    /// Base entries that ended, in order; these are never forgotten.
    ended_in_base: imbl::Vector<(u16, u64)>,
    /// Entries in the order in which deltas added them, some of which have ended since.
    added_order: imbl::Vector<Arc<Added>>,
    /// The sequence up to which ended delta entries may have been forgotten.
    forgotten_to: u64,
    live: usize,
    lengths: Lengths,
    filter: SharedFilter,
    /// How many subjects were added to the filter since it was made.
    filtered: usize,
}

impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Overlay(at {}, {} changes)", self.sequence(), self.len())
    }
}

impl Overlay {
    /// No changes to a base.
    pub fn new(base: &ListBase) -> Overlay {
        Overlay(Arc::new(State {
            sequence: 0,
            base_lists: base.len(),
            lists: Arc::default(),
            current: Map::default(),
            by_id: Map::default(),
            ended: Map::default(),
            ended_order: imbl::Vector::new(),
            ended_in_base: imbl::Vector::new(),
            added_order: imbl::Vector::new(),
            forgotten_to: 0,
            live: 0,
            lengths: Lengths::default(),
            filter: SharedFilter::new(),
            filtered: 0,
        }))
    }

    /// This overlay and one delta more, all or nothing: first its removals (a subject that the list does not have is
    /// passed over), then its additions, each in place of the list's entry of the same subject. The first delta of
    /// an unknown list makes the list. `base` is the one the overlay was made for; `sequence` and `tenant` are the
    /// event's.
    ///
    /// # Errors
    /// `Invalid` for an entry that means nothing, two different entries of one subject, a list name that is none, a
    /// sequence that is not above the last delta's; `TooLarge` past `DELTA_ENTRIES_MAX`, `OVERLAY_ENTRIES_MAX` or
    /// `LISTS_MAX`. The overlay is then as before.
    pub fn apply(
        &self,
        base: &ListBase,
        sequence: u64,
        tenant: &str,
        delta: &ListDelta,
    ) -> Result<Overlay, Error> {
        self.apply_as(base, sequence, tenant, delta, |_| {})
    }

    /// As [`Overlay::apply`]; where the delta makes its list, `describe` says what the list is.
    ///
    /// # Errors
    /// As [`Overlay::apply`], and `Invalid` for what `describe` says that no list can be.
    pub fn apply_as(
        &self,
        base: &ListBase,
        sequence: u64,
        tenant: &str,
        delta: &ListDelta,
        describe: impl FnOnce(&mut ListMeta),
    ) -> Result<Overlay, Error> {
        let changes = delta.add.len() + delta.remove.len();
        if changes > DELTA_ENTRIES_MAX {
            return refuse(
                ErrorKind::TooLarge,
                delta,
                format!("{changes} entries in one delta, limit {DELTA_ENTRIES_MAX}"),
            );
        }
        if sequence <= self.0.sequence || sequence > SEQUENCE_MAX {
            let last = self.0.sequence;
            let message =
                format!("sequence {sequence}, expected one above {last} and at most {SEQUENCE_MAX}");
            return refuse(ErrorKind::Invalid, delta, message);
        }
        assert_eq!(base.len(), self.0.base_lists, "an overlay is applied over the base it was made for");
        let mut next = State::clone(&self.0);
        next.sequence = sequence;
        let list = next.list_of(base, delta, tenant, describe)?;
        for (number, subject) in (1..).zip(&delta.remove) {
            check::subject(subject)
                .or_else(|e| refuse(e.kind, delta, format!("removal {number}: {}", e.message)))?;
            next.end(base, list, subject);
        }
        for (index, entry) in delta.add.iter().enumerate() {
            check::entry(entry)
                .or_else(|e| refuse(e.kind, delta, format!("entry {}: {}", index + 1, e.message)))?;
            next.add(base, list, index, entry)
                .or_else(|message| refuse(ErrorKind::Invalid, delta, message))?;
        }
        let size = next.live + next.ended_in_base.len();
        if size > OVERLAY_ENTRIES_MAX {
            let message = format!(
                "{size} changes that are not folded into the base, limit {OVERLAY_ENTRIES_MAX}: try again after a fold"
            );
            return refuse(ErrorKind::TooLarge, delta, message);
        }
        next.forget();
        next.refilter();
        Ok(Overlay(Arc::new(next)))
    }

    /// Over another base, which holds already what deltas up to `since` have said: lists as `made` and `number` (old
    /// number to new) say; see `rebase.rs`. Costs as much as has changed since, not as much as there is: it is done
    /// while payments wait.
    pub(super) fn moved(
        &self,
        (old, new): (&ListBase, &ListBase),
        made: Vec<Arc<ListMeta>>,
        number: impl Fn(u16) -> Option<u16>,
        since: u64,
    ) -> Overlay {
        let mut next = State::clone(&Overlay::new(new).0);
        next.sequence = self.0.sequence;
        next.lists = Arc::new(made);
        let recent = self.0.added_order.iter().rev().take_while(|added| added.visible_from > since);
        let mut recent: Vec<&Arc<Added>> = recent.filter(|added| self.0.is_current(added)).collect();
        recent.reverse();
        let mut ended = self.ended_since(old, since);
        ended.extend(recent.iter().map(|added| (added.visible_from, added.list, added.entry.subject)));
        ended.sort_by_key(|(sequence, ..)| *sequence);
        for (sequence, list, subject) in ended {
            number(list).map(|list| next.end_in_base(new, list, &subject, sequence));
        }
        for added in recent {
            let Some(list) = number(added.list) else { continue };
            let (entry, target) = (added.entry.clone(), added.target.clone());
            next.insert(Added { list, entry, target, visible_from: added.visible_from });
        }
        Overlay(Arc::new(next))
    }
    /// What has ended after a sequence and was there at it, as far as it is not forgotten: when, list, subject.
    fn ended_since(&self, old: &ListBase, since: u64) -> Vec<(u64, u16, Subject)> {
        let state = &*self.0;
        let latest = |order: &imbl::Vector<(u16, u64)>| -> Vec<(u64, u16, u64)> {
            let ended = order.iter().rev().map(|key| (state.ended[key], key.0, key.1));
            ended.take_while(|(sequence, ..)| *sequence > since).collect()
        };
        let of_base = latest(&state.ended_in_base)
            .into_iter()
            .filter_map(|(sequence, list, row)| Some((sequence, list, old.list(list)?.row(row).subject)));
        let of_deltas = latest(&state.ended_order).into_iter().filter_map(|(sequence, list, id)| {
            let added = self.added(list, id).filter(|added| added.visible_from <= since)?;
            Some((sequence, list, added.entry.subject))
        });
        of_base.chain(of_deltas).collect()
    }
    /// Ends base entries that should have ended, and nobody remembers when: as of the last delta.
    pub(super) fn end_all(&mut self, base: &ListBase, ended: impl Iterator<Item = (u16, Subject)>) {
        let sequence = self.sequence();
        let next = Arc::make_mut(&mut self.0);
        for (list, subject) in ended {
            next.end_in_base(base, list, &subject, sequence);
        }
    }
    /// The sequence up to which ended delta entries may have been forgotten.
    pub(super) fn forgotten_to(&self) -> u64 {
        self.0.forgotten_to
    }
    /// The base entries that have ended: list and row.
    pub(super) fn ended_in_base(&self) -> impl Iterator<Item = (u16, u64)> {
        self.0.ended_in_base.iter().copied()
    }
    /// All live entries that deltas added.
    pub(super) fn all_current(&self) -> impl Iterator<Item = &Added> {
        self.0.current.values().flatten().map(Arc::as_ref)
    }

    /// Live entries that deltas added, plus base entries that they ended; at most `OVERLAY_ENTRIES_MAX`.
    pub fn len(&self) -> usize {
        self.0.live + self.0.ended_in_base.len()
    }
    /// Whether nothing has changed (a list without entries may have been made).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Sequence of the last delta; 0 before the first.
    pub fn sequence(&self) -> u64 {
        self.0.sequence
    }
    /// Lists that deltas made, in order; the first one's number is the number of base lists. Their `key_check` is 0:
    /// whoever folds one into a base knows the key and fills it in.
    pub fn lists(&self) -> impl ExactSizeIterator<Item = &ListMeta> {
        self.0.lists.iter().map(Arc::as_ref)
    }

    pub(super) fn meta(&self, number: u16) -> Option<&ListMeta> {
        let number = usize::from(number).checked_sub(self.0.base_lists)?;
        self.0.lists.get(number).map(Arc::as_ref)
    }
    pub(super) fn number(&self, name: &str, tenant: Option<&str>) -> Option<u16> {
        let place = self.0.lists.iter().position(|list| list.is(name, tenant))?;
        Some((self.0.base_lists + place) as u16)
    }
    /// The current entries of a subject; one filter word is read for most subjects that have none.
    #[inline]
    pub(super) fn current(&self, subject: &Subject) -> Option<&Current> {
        if self.0.live == 0 || !self.0.filter.may_hold(hash(subject, 0)) {
            return None;
        }
        self.0.current.get(subject)
    }
    pub(super) fn current_of_list(&self, list: u16) -> impl Iterator<Item = &Added> {
        self.all_current().filter(move |added| added.list == list)
    }
    #[inline]
    pub(super) fn prefetch(&self, subject: &Subject) {
        if self.0.live > 0 {
            super::prefetch::read(self.0.filter.word(hash(subject, 0)));
        }
    }
    /// Whether a base entry has been removed or replaced.
    #[inline]
    pub(super) fn has_ended(&self, list: u16, row: u64) -> bool {
        !self.0.ended_in_base.is_empty() && self.0.ended.contains_key(&(list, row))
    }
    pub(super) fn ended_at(&self, list: u16, id: u64) -> Option<u64> {
        self.0.ended.get(&(list, id)).copied()
    }
    pub(super) fn added(&self, list: u16, id: u64) -> Option<&Added> {
        self.0.by_id.get(&(list, id)).map(Arc::as_ref)
    }
    pub(super) fn lengths(&self) -> &Lengths {
        &self.0.lengths
    }
}

impl State {
    /// The number of the delta's list, which is made where there is none.
    fn list_of(
        &mut self,
        base: &ListBase,
        delta: &ListDelta,
        tenant: &str,
        describe: impl FnOnce(&mut ListMeta),
    ) -> Result<u16, Error> {
        let owner = (!delta.shared).then_some(tenant);
        if let Some(number) = base.number(&delta.list, owner) {
            if base.meta(number).is_some_and(|meta| meta.consortium.is_some()) {
                let message = "the consortium's epochs say what it holds".to_owned();
                return refuse(ErrorKind::Invalid, delta, message);
            }
            return Ok(number);
        }
        if let Some(place) = self.lists.iter().position(|list| list.is(&delta.list, owner)) {
            return Ok((self.base_lists + place) as u16);
        }
        let mut meta = ListMeta::new(delta.list.as_str(), owner.map(Arc::from), 0);
        describe(&mut meta);
        meta.check()?;
        let number = self.base_lists + self.lists.len();
        if number >= LISTS_MAX {
            return refuse(ErrorKind::TooLarge, delta, format!("{} lists, limit {LISTS_MAX}", number + 1));
        }
        Arc::make_mut(&mut self.lists).push(Arc::new(meta));
        Ok(number as u16)
    }
    /// Ends a base entry of a subject; whether there was one that had not ended.
    fn end_in_base(&mut self, base: &ListBase, list: u16, subject: &Subject, sequence: u64) -> bool {
        let row = base.list(list).and_then(|snapshot| snapshot.row_of(subject));
        let Some(row) = row.filter(|row| !self.ended.contains_key(&(list, *row))) else { return false };
        self.ended.insert((list, row), sequence);
        self.ended_in_base.push_back((list, row));
        true
    }
    /// Ends the list's entry of a subject, if it has one.
    fn end(&mut self, base: &ListBase, list: u16, subject: &Subject) {
        if self.end_in_base(base, list, subject, self.sequence) {
            return;
        }
        let Some(current) = self.current.get(subject) else { return };
        let Some(place) = current.iter().position(|added| added.list == list) else { return };
        let id = current[place].entry.id;
        let mut rest = current.clone();
        rest.remove(place);
        if rest.is_empty() {
            self.current.remove(subject);
        } else {
            self.current.insert(*subject, rest);
        }
        self.ended.insert((list, id), self.sequence);
        self.ended_order.push_back((list, id));
        self.live -= 1;
    }
    fn add(&mut self, base: &ListBase, list: u16, index: usize, entry: &Entry) -> Result<(), String> {
        let subject = entry.subject;
        let of_list = self.current.get(&subject).and_then(|c| c.iter().find(|added| added.list == list));
        if let Some(twin) = of_list.filter(|added| added.visible_from == self.sequence) {
            let first = (twin.entry.id & 0xffff) as usize;
            if (Entry { id: entry.id, ..twin.entry.clone() }) == *entry {
                return Ok(());
            }
            let kind = subject.kind().name();
            return Err(format!(
                "entries {} and {} are the same {kind} and say different things",
                first + 1,
                index + 1
            ));
        }
        self.end(base, list, &subject);
        let id = DELTA_IDS_FROM + (self.sequence << 16 | index as u64);
        let entry = Entry { id, ..entry.clone() };
        let target = entry.overrides.as_deref().filter(|_| entry.effect == Effect::Override).map(Arc::from);
        self.insert(Added { list, entry, target, visible_from: self.sequence });
        Ok(())
    }
    /// Makes an entry live that has none of its list beside it.
    fn insert(&mut self, added: Added) {
        let (list, id, subject) = (added.list, added.entry.id, added.entry.subject);
        let added = Arc::new(added);
        let mut current = self.current.get(&subject).cloned().unwrap_or_default();
        let place = current.partition_point(|other| other.list < list);
        current.insert(place, Arc::clone(&added));
        self.current.insert(subject, current);
        self.added_order.push_back(Arc::clone(&added));
        self.by_id.insert((list, id), added);
        self.lengths.add(&subject);
        self.filter.add(hash(&subject, 0));
        self.filtered += 1;
        self.live += 1;
    }
    /// Makes the filter anew when most of its bits are of subjects that are gone, or it would fill up under churn.
    fn refilter(&mut self) {
        if self.filtered > 2 * self.live.max(REFILTER_MIN) {
            self.filter = SharedFilter::new();
            self.current.keys().for_each(|subject| self.filter.add(hash(subject, 0)));
            self.filtered = self.live;
            let mut order = std::mem::take(&mut self.added_order);
            order.retain(|added| self.is_current(added));
            self.added_order = order;
        }
    }
    fn is_current(&self, added: &Added) -> bool {
        let of_subject = self.current.get(&added.entry.subject).into_iter().flatten();
        of_subject.into_iter().any(|other| other.list == added.list && other.entry.id == added.entry.id)
    }
    /// Forgets the delta entries that ended first, past the bound.
    fn forget(&mut self) {
        while self.ended_order.len() > OVERLAY_ENDED_MAX {
            let Some(oldest) = self.ended_order.pop_front() else { return };
            self.by_id.remove(&oldest);
            self.forgotten_to = self.ended.remove(&oldest).unwrap_or(self.forgotten_to);
        }
    }
}

fn refuse<T>(kind: ErrorKind, delta: &ListDelta, message: String) -> Result<T, Error> {
    let name: String = delta.list.chars().take(crate::limits::LIST_NAME_BYTES_MAX).collect();
    Err(Error::new(kind, format!("list {name:?}: {message}")))
}

/// Which prefix lengths the overlay has ever held, so that an address costs one look-up for each of these and not one
/// for each of 129.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lengths {
    v4: [u64; 1],
    v6: [u64; 3],
    bins: [u64; 1],
}

impl Lengths {
    fn add(&mut self, subject: &Subject) {
        let (bits, length): (&mut [u64], u8) = match *subject {
            Subject::Tag { .. } => return,
            Subject::Ip { network: IpAddr::V4(_), prefix } => (&mut self.v4, prefix),
            Subject::Ip { network: IpAddr::V6(_), prefix } => (&mut self.v6, prefix),
            Subject::Bin { digits, .. } => (&mut self.bins, digits),
        };
        bits[usize::from(length / 64)] |= 1 << (length % 64);
    }
    /// The prefix lengths of an address's family.
    pub fn of_ip(&self, address: IpAddr) -> impl Iterator<Item = u8> {
        ones(if address.is_ipv4() { &self.v4 } else { &self.v6 })
    }
    /// The lengths of BIN prefixes, in digits.
    pub fn of_bin(&self) -> impl Iterator<Item = u8> {
        ones(&self.bins)
    }
}

fn ones(bits: &[u64]) -> impl Iterator<Item = u8> {
    (0u8..).zip(bits).flat_map(|(word, &bits)| {
        let mut left = bits;
        std::iter::from_fn(move || {
            let bit = (left != 0).then(|| left.trailing_zeros() as u8)?;
            left &= left - 1;
            Some(word * 64 + bit)
        })
    })
}
