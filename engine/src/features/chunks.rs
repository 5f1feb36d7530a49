//! A key with more events than a block holds: blocks of 64 in order of time, each with what it adds up to. A window
//! takes whole blocks by their totals and scans only those that its ends cut, so tens of thousands of events stay
//! exact for about a nanosecond per block; late events, labels and reversals change one block.

use super::block::{BlockAt, Blocks, CLASS_MAX, Event, Lane, ViewMut, lanes_of};
use super::change::{Change, Target};
use super::kernels::Kernel;
use super::panes::{Fold, Panes};
use super::window::{Folded, Series, Total, last_among, scan};
use crate::error::Error;
use crate::image::{Reader, Writer, senseless};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;
use std::collections::VecDeque;

#[derive(Debug)]
struct Chunk {
    block: BlockAt,
    min_ms: i64,
    max_ms: i64,
    total: Total,
}

/// A key's blocks, oldest first: none ends after the next begins.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    list: VecDeque<Chunk>,
    /// For each value, time and sequence of its last event: the one lane that bears its mark.
    lasts: HashMap<u32, (i64, u32), FixedState>,
    events: usize,
    /// What was counted before the blocks, and is not exact any more. No block begins before the last of it.
    panes: Option<Box<Panes>>,
}

impl Chunk {
    fn of(blocks: &Blocks, block: BlockAt) -> Chunk {
        let view = blocks.view(block);
        let mut total = Total::default();
        total.add_lanes(view, view.head.live, view.head.last, true);
        let (min_ms, max_ms) = view.bounds().expect("a chunk holds an event");
        Chunk { block, min_ms, max_ms, total }
    }
}

impl Chunks {
    /// The chunks of one block of 64 lanes, which they take over.
    pub fn of(blocks: &Blocks, block: BlockAt) -> Chunks {
        assert_eq!(block.class, CLASS_MAX);
        let events = blocks.view(block).head.live.count_ones() as usize;
        let mut chunks = Chunks { events, ..Chunks::default() };
        for lane in blocks.view(block).lanes().iter().filter(|lane| lane.last) {
            let Event { time_ms, sequence, value, .. } = lane.event;
            chunks.lasts.insert(value.expect("only a value has a last"), (time_ms, sequence));
        }
        chunks.list.push_back(Chunk::of(blocks, block));
        chunks
    }
    /// Writes them; which event is the last of its value its block says.
    pub fn save(&self, to: &mut Writer<'_>) {
        to.count(self.events);
        to.count(self.list.len());
        for Chunk { block, min_ms, max_ms, total } in &self.list {
            block.save(to);
            to.i64s(&[*min_ms, *max_ms]);
            total.save(to);
        }
        to.bool(self.panes.is_some());
        self.panes.iter().for_each(|panes| panes.save(to));
    }
    /// What [`Chunks::save`] wrote, over the same blocks.
    pub fn load(from: &mut Reader<'_>, blocks: &Blocks) -> Result<Chunks, Error> {
        let mut chunks = Chunks { events: from.count(usize::MAX)?, ..Chunks::default() };
        for _ in 0..from.count(u32::MAX as usize)? {
            let block = blocks.load_at(from)?;
            if block.class != CLASS_MAX {
                return Err(senseless("a chunk that is too small"));
            }
            let (min_ms, max_ms, total) = (from.i64()?, from.i64()?, Total::load(from)?);
            chunks.list.push_back(Chunk { block, min_ms, max_ms, total });
            let view = blocks.view(block);
            for lane in lanes_of(view.head.last & view.head.value) {
                chunks.lasts.insert(view.values[lane], (view.time_ms(lane), view.sequences[lane]));
            }
        }
        if from.bool()? {
            chunks.panes = Some(Box::new(Panes::load(from)?));
        }
        Ok(chunks)
    }
    /// How many events there are in blocks.
    pub fn events(&self) -> usize {
        self.events
    }
    /// Bytes beside the blocks.
    pub fn bytes(&self) -> usize {
        let panes = self.panes.as_ref().map_or(0, |panes| panes.bytes());
        self.list.len() * size_of::<Chunk>() + self.lasts.len() * 2 * size_of::<(u32, i64, u32)>() + panes
    }
    /// The only block, when there is just one and no pane: the key needs no chunks then.
    pub fn only(&self) -> Option<BlockAt> {
        (self.list.len() == 1 && self.panes.is_none()).then(|| self.list[0].block)
    }

    /// Adds an event: to the panes where it lies among what they hold, and past `events_max` in blocks the oldest
    /// block goes there too. Gives the time of the latest event that had to be dropped for the panes' own bound.
    pub fn count(
        &mut self,
        kernel: Kernel,
        blocks: &mut Blocks,
        event: Event,
        fold: &Fold<'_>,
        events_max: usize,
    ) -> Option<i64> {
        let newest_ms = self.panes.as_ref().and_then(|panes| panes.newest_ms());
        if let (Some(panes), true) = (&mut self.panes, newest_ms >= Some(event.time_ms)) {
            panes.add(fold, &Lane { event, fraud: false, last: false });
        } else {
            self.insert(kernel, blocks, event);
        }
        while self.events > events_max && self.list.len() > 1 {
            let Some(lanes) = self.take_oldest(blocks) else { break };
            let panes = self.panes.get_or_insert_with(|| Box::new(Panes::new()));
            lanes.iter().for_each(|lane| panes.add(fold, lane));
        }
        self.panes.as_mut().and_then(|panes| panes.settle(fold))
    }
    /// Adds an event to the blocks.
    pub fn insert(&mut self, kernel: Kernel, blocks: &mut Blocks, event: Event) {
        let last = event.value.is_some_and(|value| self.takes_last(kernel, blocks, value, &event));
        let new = Lane { event, fraud: false, last };
        let time_ms = event.time_ms;
        self.events += 1;
        loop {
            let at = self.list.partition_point(|chunk| chunk.min_ms <= time_ms).saturating_sub(1);
            let Some(chunk) = self.list.get(at) else {
                return self.insert_chunk(blocks, 0, new);
            };
            let (min_ms, max_ms) = (chunk.min_ms, chunk.max_ms);
            let mut view = blocks.view_mut(chunk.block);
            if !view.admit(time_ms) {
                return self.insert_chunk(blocks, if time_ms < min_ms { at } else { at + 1 }, new);
            }
            match view.free_lane() {
                Some(lane) => {
                    put(&mut self.list[at], &mut view, lane, new);
                    return;
                }
                None if at + 1 == self.list.len() && time_ms >= max_ms => {
                    return self.insert_chunk(blocks, at + 1, new);
                }
                None => self.split(blocks, at),
            }
        }
    }
    fn insert_chunk(&mut self, blocks: &mut Blocks, at: usize, lane: Lane) {
        let block = blocks.with_lanes(CLASS_MAX, &[lane]);
        self.list.insert(at, Chunk::of(blocks, block));
    }
    fn split(&mut self, blocks: &mut Blocks, at: usize) {
        let block = self.list[at].block;
        let mut lanes = blocks.view(block).lanes();
        lanes.sort_by_key(|lane| (lane.event.time_ms, lane.event.sequence));
        let (older, newer) = lanes.split_at(lanes.len() / 2);
        blocks.give(block);
        for (at, half) in [(at, older), (at + 1, newer)] {
            let block = blocks.with_lanes(CLASS_MAX, half);
            let chunk = Chunk::of(blocks, block);
            if half.as_ptr() == older.as_ptr() {
                self.list[at] = chunk;
            } else {
                self.list.insert(at, chunk);
            }
        }
    }
    /// Whether an event becomes the last of its value; takes the mark from the one before.
    fn takes_last(&mut self, kernel: Kernel, blocks: &mut Blocks, value: u32, event: &Event) -> bool {
        if let Some((time_ms, sequence)) = self.lasts.get(&value).copied() {
            if time_ms > event.time_ms {
                return false;
            }
            let (at, lane) =
                self.find(kernel, blocks, time_ms, sequence).expect("a last is held until it expires");
            blocks.view_mut(self.list[at].block).head.last &= !(1 << lane);
            self.list[at].total.distinct -= 1;
        }
        self.lasts.insert(value, (event.time_ms, event.sequence));
        true
    }

    /// Chunk and lane of an event.
    fn find(&self, kernel: Kernel, blocks: &Blocks, time_ms: i64, sequence: u32) -> Option<(usize, usize)> {
        let until = self.list.partition_point(|chunk| chunk.min_ms <= time_ms);
        for at in (0..until).rev() {
            if self.list[at].max_ms < time_ms {
                break;
            }
            let view = blocks.view(self.list[at].block);
            if let Some(lane) = view.find(kernel, time_ms, sequence) {
                return Some((at, lane));
            }
        }
        None
    }
    /// Changes an event, where it is still held.
    pub fn change(&mut self, kernel: Kernel, blocks: &mut Blocks, target: &Target, change: &Change) {
        if let Some((at, lane)) = self.find(kernel, blocks, target.time_ms, target.sequence as u32) {
            let block = self.list[at].block;
            blocks.view_mut(block).change(lane, change);
            self.list[at] = Chunk::of(blocks, block);
        } else if let Some(panes) = &mut self.panes {
            panes.change(target, change);
        }
    }

    /// Gives the events of a value another (the two are one value under two tag keys).
    pub fn rename(&mut self, kernel: Kernel, blocks: &mut Blocks, from: u32, to: u32) {
        // A value without a last event has none.
        let Some(last) = self.lasts.remove(&from) else { return };
        if let Some(other) = self.lasts.get(&to).copied() {
            // Two values whose fingerprints are the same now: the later event is the last of both.
            let (lost, kept) = if other < last { (other, last) } else { (last, other) };
            if let Some((at, lane)) = self.find(kernel, blocks, lost.0, lost.1) {
                blocks.view_mut(self.list[at].block).head.last &= !(1 << lane);
                self.list[at].total.distinct -= 1;
            }
            self.lasts.insert(to, kept);
        } else {
            self.lasts.insert(to, last);
        }
        for chunk in &mut self.list {
            chunk.total.distinct -= blocks.view_mut(chunk.block).rename(kernel, from, to);
        }
    }

    /// The latest event in (after, until].
    pub fn latest(&self, kernel: Kernel, blocks: &Blocks, after_ms: i64, until_ms: i64) -> Option<i64> {
        let end = self.list.partition_point(|chunk| chunk.min_ms <= until_ms);
        let newest = self.list.range(..end).next_back();
        newest
            .and_then(|newest| blocks.view(newest.block).latest(kernel, after_ms, until_ms))
            .or_else(|| self.panes.as_ref()?.latest(after_ms, until_ms))
    }

    /// Adds the events to the windows, each to the shortest that holds it. `late`: there are events after the
    /// windows' end, so that the marks of the last of each value do not suffice.
    pub fn scan(
        &self,
        kernel: Kernel,
        blocks: &Blocks,
        series: &Series,
        (amounts, late): (bool, bool),
        totals: &mut [Total],
        folded: &mut Folded,
    ) {
        let Some(longest_ms) = series.starts_ms.last().copied() else { return };
        if let Some(panes) = &self.panes {
            panes.scan(series, totals, folded);
        }
        let end = self.list.partition_point(|chunk| chunk.min_ms <= series.end_ms);
        for chunk in self.list.range(..end).rev() {
            if chunk.max_ms <= longest_ms {
                break;
            }
            let touches = series.starts_ms.partition_point(|start| *start >= chunk.max_ms);
            let holds = series.starts_ms.partition_point(|start| *start >= chunk.min_ms);
            if touches == holds && chunk.max_ms <= series.end_ms {
                totals[holds].add(&chunk.total);
                continue;
            }
            let view = blocks.view(chunk.block);
            scan(kernel, view, series, view.head.last, amounts, totals);
        }
        if late && !self.lasts.is_empty() {
            self.add_hidden(kernel, blocks, series, totals);
        }
    }
    /// Counts the values whose last event is after the windows' end but that also occur in them.
    fn add_hidden(&self, kernel: Kernel, blocks: &Blocks, series: &Series, totals: &mut [Total]) {
        let mut hidden: HashSet<u32, FixedState> = HashSet::default();
        for chunk in self.list.iter().rev().take_while(|chunk| chunk.max_ms > series.end_ms) {
            let view = blocks.view(chunk.block);
            let after = view.between(kernel, series.end_ms, i64::MAX) & view.head.value;
            hidden.extend(lanes_of(after).map(|lane| view.values[lane]));
        }
        let longest_ms = series.starts_ms.last().copied().unwrap_or(series.end_ms);
        let end = self.list.partition_point(|chunk| chunk.min_ms <= series.end_ms);
        for chunk in self.list.range(..end).rev() {
            if hidden.is_empty() || chunk.max_ms <= longest_ms {
                break;
            }
            let view = blocks.view(chunk.block);
            let inside = view.between(kernel, longest_ms, series.end_ms);
            for lane in lanes_of(last_among(view, inside)) {
                if hidden.remove(&view.values[lane]) {
                    let time_ms = view.time_ms(lane);
                    totals[series.starts_ms.partition_point(|start| *start >= time_ms)].distinct += 1;
                }
            }
        }
    }

    /// Lets go of the blocks and panes that hold nothing after the cutoff.
    pub fn expire(&mut self, blocks: &mut Blocks, cutoff_ms: i64) {
        if let Some(panes) = &mut self.panes {
            panes.expire(cutoff_ms);
            if panes.newest_ms().is_none() {
                self.panes = None;
            }
        }
        while self.list.front().is_some_and(|chunk| chunk.max_ms <= cutoff_ms) {
            self.take_oldest(blocks);
        }
    }
    /// Takes the oldest block out.
    fn take_oldest(&mut self, blocks: &mut Blocks) -> Option<SmallVec<[Lane; 64]>> {
        let chunk = self.list.pop_front()?;
        let lanes = blocks.view(chunk.block).lanes();
        self.events -= lanes.len();
        for lane in &lanes {
            if let (true, Some(value)) = (lane.last, lane.event.value) {
                self.lasts.remove(&value);
            }
        }
        blocks.give(chunk.block);
        Some(lanes)
    }
    /// Gives all blocks back.
    pub fn release(&mut self, blocks: &mut Blocks) {
        while self.take_oldest(blocks).is_some() {}
    }
}

fn put(chunk: &mut Chunk, view: &mut ViewMut<'_>, lane: usize, new: Lane) {
    view.put(lane, new);
    chunk.min_ms = chunk.min_ms.min(new.event.time_ms);
    chunk.max_ms = chunk.max_ms.max(new.event.time_ms);
    chunk.total.add_lanes(view.view(), 1 << lane, view.head.last, true);
}
