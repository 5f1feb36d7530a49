//! A key with more events than a block holds: blocks of 64 in order of time, each with what it adds up to. A window
//! takes whole blocks by their totals and scans only those that its ends cut, so tens of thousands of events stay
//! exact for about a nanosecond per block; late events, labels and reversals change one block.

use super::block::{BlockAt, Blocks, CLASS_MAX, Event, Lane, ViewMut, lanes_of};
use super::kernels::Kernel;
use super::window::{Series, Total, last_among, scan};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
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
    /// How many events there are.
    pub fn events(&self) -> usize {
        self.events
    }
    /// Bytes beside the blocks.
    pub fn bytes(&self) -> usize {
        self.list.len() * size_of::<Chunk>() + self.lasts.len() * 2 * size_of::<(u32, i64, u32)>()
    }
    /// The only block, when there is just one: the key needs no chunks then.
    pub fn only(&self) -> Option<BlockAt> {
        (self.list.len() == 1).then(|| self.list[0].block)
    }

    /// Adds an event.
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
    /// Changes an event's lane, where it is still held.
    pub fn change(
        &mut self,
        kernel: Kernel,
        blocks: &mut Blocks,
        (time_ms, sequence): (i64, u32),
        change: impl FnOnce(&mut ViewMut<'_>, usize),
    ) {
        if let Some((at, lane)) = self.find(kernel, blocks, time_ms, sequence) {
            let block = self.list[at].block;
            change(&mut blocks.view_mut(block), lane);
            self.list[at] = Chunk::of(blocks, block);
        }
    }

    /// The latest event in (after, until].
    pub fn latest(&self, kernel: Kernel, blocks: &Blocks, after_ms: i64, until_ms: i64) -> Option<i64> {
        let end = self.list.partition_point(|chunk| chunk.min_ms <= until_ms);
        let newest = self.list.range(..end).next_back()?;
        blocks.view(newest.block).latest(kernel, after_ms, until_ms)
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
    ) {
        let Some(longest_ms) = series.starts_ms.last().copied() else { return };
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

    /// Lets go of the blocks that hold nothing after the cutoff; gives how many events those were.
    pub fn expire(&mut self, blocks: &mut Blocks, cutoff_ms: i64) -> usize {
        let before = self.events;
        while self.list.front().is_some_and(|chunk| chunk.max_ms <= cutoff_ms) {
            self.drop_oldest(blocks);
        }
        before - self.events
    }
    /// Drops the oldest block; gives the time of its latest event.
    pub fn drop_oldest(&mut self, blocks: &mut Blocks) -> Option<i64> {
        let chunk = self.list.pop_front()?;
        for lane in blocks.view(chunk.block).lanes() {
            self.events -= 1;
            if let (true, Some(value)) = (lane.last, lane.event.value) {
                self.lasts.remove(&value);
            }
        }
        blocks.give(chunk.block);
        Some(chunk.max_ms)
    }
    /// Gives all blocks back.
    pub fn release(&mut self, blocks: &mut Blocks) {
        while self.drop_oldest(blocks).is_some() {}
    }
}

fn put(chunk: &mut Chunk, view: &mut ViewMut<'_>, lane: usize, new: Lane) {
    view.put(lane, new);
    chunk.min_ms = chunk.min_ms.min(new.event.time_ms);
    chunk.max_ms = chunk.max_ms.max(new.event.time_ms);
    chunk.total.add_lanes(view.view(), 1 << lane, view.head.last, true);
}
