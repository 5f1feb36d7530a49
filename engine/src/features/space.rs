//! One group of one tenant: its keys, each with its events, bounded. Finds or makes a key, counts an event under it,
//! and answers the group's slots.

use super::answer::Stamps;
use super::block::{BlockAt, Blocks, CLASS_MAX, Event, Lane, ViewMut};
use super::change::{Change, Target};
use super::chunks::Chunks;
use super::evicted::{Evicted, Known, UNKNOWN_MS};
use super::figures::StateLimits;
use super::index::Index;
use super::kernels::{Kernel, prefetch};
use super::panes::Fold;
use super::plan::Group;
use super::pool::Pool;
use super::widths::Widths;
use super::window::Total;
use crate::error::Error;
use crate::image::{Reader, Writer, senseless};
use std::sync::Arc;

/// Where a key's events are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Place {
    #[default]
    Nowhere,
    Block(BlockAt),
    Chunks(u32),
}

/// A key.
#[derive(Debug)]
pub(super) struct Header {
    pub key: u128,
    pub known: Known,
    /// Sequence of the event last counted; 0 where the header is free.
    pub sequence: u64,
    pub place: Place,
}

impl Header {
    fn save(&self, to: &mut Writer<'_>) {
        to.u128(self.key);
        self.known.save(to);
        to.u64(self.sequence);
        match self.place {
            Place::Nowhere => to.u8(0),
            Place::Block(block) => {
                to.u8(1);
                block.save(to);
            }
            Place::Chunks(at) => {
                to.u8(2);
                to.u32(at);
            }
        }
    }
    fn load(from: &mut Reader<'_>, blocks: &Blocks, chunks: &Pool<Chunks>) -> Result<Header, Error> {
        let (key, known, sequence) = (from.u128()?, Known::load(from)?, from.u64()?);
        let place = match from.u8()? {
            0 => Place::Nowhere,
            1 => Place::Block(blocks.load_at(from)?),
            2 => Place::Chunks(from.u32()?),
            other => return Err(senseless(format_args!("a key's place of kind {other}"))),
        };
        match place {
            Place::Chunks(at) if at >= chunks.end() => Err(senseless("chunks that there are not")),
            place => Ok(Header { key, known, sequence, place }),
        }
    }
}

impl Default for Header {
    fn default() -> Self {
        let known = Known { first_ms: UNKNOWN_MS, last_ms: UNKNOWN_MS, lost_ms: UNKNOWN_MS };
        Header { key: 0, known, sequence: 0, place: Place::Nowhere }
    }
}

/// A key: the header and its share of a half full index.
const KEY_BYTES: usize = size_of::<Header>() + 4 * size_of::<u32>();
/// What holds for the current transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub kernel: Kernel,
    pub limits: StateLimits,
    pub sequence: u64,
    /// Its event time, ms.
    pub time_ms: i64,
    /// The tenant's latest event time, ms.
    pub high_ms: i64,
}

/// A key with its hash.
pub(crate) type Hashed = (u128, u32);

/// The current transaction's key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key<'k> {
    pub hashed: Hashed,
    /// The same under earlier tag keys, newest first; empty but for a time after a rotation.
    pub was: &'k [u128],
}

impl Key<'_> {
    /// It, and what it was.
    pub fn all(&self) -> impl Iterator<Item = u128> + '_ {
        std::iter::once(self.hashed.0).chain(self.was.iter().copied())
    }
}

/// The keys and events of one group of one tenant.
#[derive(Debug)]
pub(crate) struct Space {
    /// Unique among all spaces there ever were, so that a handle means one space.
    pub uid: u32,
    pub(super) index: Index,
    pub(super) headers: Pool<Header>,
    pub(super) blocks: Blocks,
    pub(super) chunks: Pool<Chunks>,
    pub(super) chunk_bytes: usize,
    pub(super) evicted: Evicted,
    /// When the group's events begin, ms.
    pub(super) coverage_ms: Option<i64>,
    /// Of the keys neither held nor remembered, no event after this is lost.
    pub(super) lost_ms: i64,
    pub(super) hand: u32,
    /// How wide the group's panes may be.
    widths: Widths,
    pub(super) totals: [Vec<Total>; 2],
    pub keys: usize,
    pub events: usize,
    pub evictions: u64,
    pub late: u64,
}

impl Space {
    pub fn new(uid: u32, group: &Group, limits: &StateLimits) -> Space {
        Space {
            uid,
            index: Index::new(),
            headers: Pool::new(),
            blocks: Blocks::new(),
            chunks: Pool::new(),
            chunk_bytes: 0,
            evicted: Evicted::new(limits.keys_max),
            coverage_ms: None,
            lost_ms: UNKNOWN_MS,
            hand: 0,
            widths: Widths::of(group, limits),
            totals: [Vec::new(), Vec::new()],
            keys: 0,
            events: 0,
            evictions: 0,
            late: 0,
        }
    }
    /// Writes all of it.
    pub fn save(&self, to: &mut Writer<'_>) {
        to.u32(self.uid);
        self.blocks.save(to);
        self.chunks.save(to, Chunks::save);
        to.count(self.chunk_bytes);
        self.headers.save(to, Header::save);
        self.index.save(to);
        self.evicted.save(to);
        to.bool(self.coverage_ms.is_some());
        to.i64s(&[self.coverage_ms.unwrap_or(0), self.lost_ms]);
        to.u32(self.hand);
        self.widths.save(to);
        to.u64s(&[self.keys as u64, self.events as u64, self.evictions, self.late]);
    }
    /// What [`Space::save`] wrote, under the same bounds.
    pub fn load(from: &mut Reader<'_>, limits: &StateLimits) -> Result<Space, Error> {
        let uid = from.u32()?;
        let blocks = Blocks::load(from)?;
        let chunks = Pool::load(from, |from| Chunks::load(from, &blocks))?;
        let chunk_bytes = from.count(usize::MAX)?;
        let headers = Pool::load(from, |from| Header::load(from, &blocks, &chunks))?;
        let index = Index::load(from, headers.end())?;
        let evicted = Evicted::load(from, limits.keys_max)?;
        let has_begun = from.bool()?;
        let coverage_ms = Some(from.i64()?).filter(|_| has_begun);
        let (lost_ms, hand, widths) = (from.i64()?, from.u32()?, Widths::load(from)?);
        if hand > headers.end() {
            return Err(senseless("a hand beyond the last key"));
        }
        let mut counts = [0; 4];
        from.u64s(&mut counts)?;
        let [keys, events, evictions, late] = counts;
        let (keys, events) = (keys as usize, events as usize);
        let totals = [Vec::new(), Vec::new()];
        Ok(Space {
            uid,
            index,
            headers,
            blocks,
            chunks,
            chunk_bytes,
            evicted,
            coverage_ms,
            lost_ms,
            hand,
            widths,
            totals,
            keys,
            events,
            evictions,
            late,
        })
    }
    /// Bytes of keys and events.
    pub fn bytes(&self) -> usize {
        self.keys * KEY_BYTES + self.blocks.bytes + self.chunk_bytes
    }
    /// Bytes of what is remembered of evicted keys, which has a bound of its own.
    pub fn evicted_bytes(&self) -> usize {
        self.evicted.len() * 4 * size_of::<Known>()
    }

    /// First step of three: where the index begins to search.
    #[inline]
    pub fn prefetch_index(&self, (_, hash): Hashed) {
        self.index.prefetch(hash);
    }
    /// Second step: the header, by hash alone.
    #[inline]
    pub fn prefetch_header(&self, (_, hash): Hashed) -> Option<u32> {
        let number = self.index.find(hash, |_| true)?;
        prefetch(self.headers.get(number));
        Some(number)
    }
    /// Third step: the block.
    #[inline]
    pub fn prefetch_block(&self, number: u32) {
        match self.headers.get(number).place {
            Place::Block(block) => self.blocks.prefetch(block),
            Place::Chunks(chunks) => prefetch(self.chunks.get(chunks)),
            Place::Nowhere => {}
        }
    }

    /// Counts the current transaction where it counts, and appends the group's stamps. Gives the number of the
    /// header that it was counted under.
    pub fn apply(
        &mut self,
        now: &Now,
        group: &Group,
        key: Option<Key<'_>>,
        event: Option<Event>,
        out: &mut Stamps<'_>,
    ) -> Option<u32> {
        let Some(key) = key else {
            out.undecided(group.slots);
            return None;
        };
        let hash = key.hashed.1;
        let cutoff_ms = now.high_ms.saturating_sub(horizon_ms(group, &now.limits));
        let mut at = self.find(key.hashed);
        if let Some(number) = at.filter(|number| self.headers.get(*number).known.last_ms <= cutoff_ms) {
            self.remove(number, hash);
            at = None;
        }
        let since = if group.spec.seen { self.since_last(now, key, at, cutoff_ms) } else { None };
        let mut counted = None;
        if let Some(event) = event {
            self.late += u64::from(now.time_ms <= now.high_ms.saturating_sub(now.limits.lateness_ms));
            if now.time_ms > cutoff_ms {
                let number = at.unwrap_or_else(|| self.create(now, key, cutoff_ms));
                self.count(now, number, cutoff_ms, event);
                self.bound(now, number, cutoff_ms);
                (at, counted) = (Some(number), Some(number));
            }
        }
        self.answer(now, group, key, at, cutoff_ms, out);
        if group.spec.seen {
            let first_ms = self.known(key, at, cutoff_ms).first_ms;
            out.push(since);
            out.push((first_ms != UNKNOWN_MS).then(|| now.time_ms.saturating_sub(first_ms.min(now.time_ms))));
        }
        self.sweep(cutoff_ms);
        counted
    }
    /// The group's events begin with the tenant's first transaction after the group was made.
    pub fn begin(&mut self, time_ms: i64) {
        self.coverage_ms.get_or_insert(time_ms);
    }

    /// What is known of a key beside its events held. A key never seen has its first event yet to come.
    pub(super) fn known(&self, key: Key<'_>, at: Option<u32>, cutoff_ms: i64) -> Known {
        if let Some(number) = at {
            return self.headers.get(number).known;
        }
        let never = || Known {
            first_ms: if self.lost_ms > cutoff_ms { UNKNOWN_MS } else { i64::MAX },
            last_ms: UNKNOWN_MS,
            lost_ms: self.lost_ms,
        };
        let evicted = key.all().find_map(|key| self.evicted.get(key));
        evicted.filter(|known| known.last_ms > cutoff_ms).unwrap_or_else(never)
    }

    /// The number of a key that is held.
    pub(super) fn find(&self, (key, hash): Hashed) -> Option<u32> {
        self.index.find(hash, |number| self.headers.get(number).key == key)
    }

    fn create(&mut self, now: &Now, key: Key<'_>, cutoff_ms: i64) -> u32 {
        while self.keys > 0 && self.keys >= now.limits.keys_max.max(1) {
            self.evict(now, None, cutoff_ms);
        }
        let known = self.known(key, None, cutoff_ms);
        for key in key.all() {
            self.evicted.take(key);
        }
        let number = self.headers.take();
        let (key, hash) = key.hashed;
        *self.headers.get_mut(number) = Header { key, known, sequence: now.sequence, place: Place::Nowhere };
        self.index.insert(hash, number);
        self.keys += 1;
        number
    }

    fn count(&mut self, now: &Now, number: u32, cutoff_ms: i64, event: Event) {
        let header = self.headers.get_mut(number);
        header.sequence = now.sequence;
        header.known.last_ms = header.known.last_ms.max(event.time_ms);
        // The unknown is the least there is, and stays.
        header.known.first_ms = header.known.first_ms.min(event.time_ms);
        let place = header.place;
        self.events += 1;
        let place = match place {
            Place::Nowhere => {
                let last = event.value.is_some();
                Place::Block(self.blocks.with_lanes(0, &[Lane { event, fraud: false, last }]))
            }
            Place::Block(block) => self.count_in_block(now.kernel, block, cutoff_ms, event),
            Place::Chunks(chunks) => self.count_in_chunks(now, (number, chunks), cutoff_ms, event),
        };
        self.headers.get_mut(number).place = place;
    }

    fn count_in_block(&mut self, kernel: Kernel, mut block: BlockAt, cutoff_ms: i64, event: Event) -> Place {
        let mut view = self.blocks.view_mut(block);
        let mut fits = view.admit(event.time_ms);
        if !fits || view.free_lane().is_none() {
            self.events -= view.expire(kernel, cutoff_ms) as usize;
            fits = view.admit(event.time_ms);
        }
        let full = view.free_lane().is_none();
        if !fits || (full && block.class == CLASS_MAX) {
            let block = self.move_block(block, CLASS_MAX);
            let mut chunks = Chunks::of(&self.blocks, block);
            chunks.insert(kernel, &mut self.blocks, event);
            self.chunk_bytes += chunks.bytes();
            let number = self.chunks.take();
            *self.chunks.get_mut(number) = chunks;
            return Place::Chunks(number);
        }
        if full {
            block = self.move_block(block, block.class + 1);
        }
        let mut view = self.blocks.view_mut(block);
        // A block that was moved has a base of its own, which need not suit an event days before the others.
        assert!(view.admit(event.time_ms), "the same events took it before they were moved");
        let lane = view.free_lane().expect("made above");
        let last = event.value.is_some_and(|value| takes_last(kernel, &mut view, value, event.time_ms));
        view.put(lane, Lane { event, fraud: false, last });
        Place::Block(block)
    }
    fn move_block(&mut self, block: BlockAt, class: u8) -> BlockAt {
        if block.class == class {
            return block;
        }
        let lanes = self.blocks.view(block).lanes();
        self.blocks.give(block);
        self.blocks.with_lanes(class, &lanes)
    }

    fn count_in_chunks(
        &mut self,
        now: &Now,
        (number, at): (u32, u32),
        cutoff_ms: i64,
        event: Event,
    ) -> Place {
        let chunks = self.chunks.get_mut(at);
        let bytes = chunks.bytes();
        let held = chunks.events();
        chunks.expire(&mut self.blocks, cutoff_ms);
        let fold = Fold { widths: &self.widths, high_ms: now.high_ms, sequence: now.sequence };
        let events_max = now.limits.events_exact_max;
        if let Some(lost_ms) = chunks.count(now.kernel, &mut self.blocks, event, &fold, events_max) {
            let known = &mut self.headers.get_mut(number).known;
            known.lost_ms = known.lost_ms.max(lost_ms);
        }
        // `events` has the new one already.
        self.events = self.events - 1 - held + chunks.events();
        self.chunk_bytes = self.chunk_bytes - bytes + chunks.bytes();
        match chunks.only() {
            Some(block) => {
                self.chunk_bytes -= chunks.bytes();
                self.chunks.give(at);
                Place::Block(block)
            }
            None => Place::Chunks(at),
        }
    }

    /// Changes an event, where it still counts.
    pub fn change(&mut self, kernel: Kernel, number: u32, target: &Target, change: &Change) {
        match self.headers.get(number).place {
            Place::Nowhere => {}
            Place::Block(block) => {
                let mut view = self.blocks.view_mut(block);
                if let Some(lane) = view.view().find(kernel, target.time_ms, target.sequence as u32) {
                    view.change(lane, change);
                }
            }
            Place::Chunks(chunks) => {
                self.chunks.get_mut(chunks).change(kernel, &mut self.blocks, target, change);
            }
        }
    }
}

/// Whether an event becomes the last of its value in a block; takes the mark from the one before.
fn takes_last(kernel: Kernel, view: &mut ViewMut<'_>, value: u32, time_ms: i64) -> bool {
    let before = view.view().with_value(kernel, value) & view.head.last;
    if before == 0 {
        return true;
    }
    let takes = view.view().time_ms(before.trailing_zeros() as usize) <= time_ms;
    if takes {
        view.head.last &= !before;
    }
    takes
}

/// How far back a group's events are kept, ms.
pub(crate) fn horizon_ms(group: &Group, limits: &StateLimits) -> i64 {
    group.span_ms.saturating_add(limits.lateness_ms)
}

/// A key's hash. The seed is fixed, so that a run repeats; keys are keyed hashes themselves, or few.
#[inline]
pub(crate) fn hash_of(key: u128) -> u32 {
    use std::hash::BuildHasher;
    foldhash::fast::FixedState::with_seed(0x1d7e_4d1c).hash_one(key) as u32
}

/// The group of a space, shared with the plan.
pub(crate) type Run = (Arc<Group>, Space);
