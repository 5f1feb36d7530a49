//! A block: up to 64 events of one key as columns, in lanes that are in no order. A late event costs what any other
//! does, and a label or reversal changes one lane. Size classes of 2 to 64 lanes lie in pools.

use super::kernels::{Kernel, Range, prefetch};
use super::pool::Pool;
use crate::error::Error;
use crate::image::{Reader, Writer, senseless};
use smallvec::SmallVec;

/// An event as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    pub time_ms: i64,
    /// The low 32 bits of the transaction's sequence.
    pub sequence: u32,
    /// Minor units of the group's currency; `None` when there is no rate.
    pub amount: Option<i64>,
    /// Fingerprint of what `distinct` tells apart.
    pub value: Option<u32>,
}

/// A lane's event with its marks, for moving it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lane {
    pub event: Event,
    pub fraud: bool,
    pub last: bool,
}

/// What a block knows of its lanes: one bit a lane. A dead lane's bits are 0 everywhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// Lane times are ms after this.
    pub base_ms: i64,
    pub live: u64,
    pub fraud: u64,
    pub unknown: u64,
    pub value: u64,
    /// No later event of the key has the same value: counting these is counting different values, in every window
    /// that reaches to the newest event.
    pub last: u64,
}

#[derive(Debug)]
#[repr(C)]
struct Block<const N: usize> {
    head: Head,
    times: [u32; N],
    amounts: [i64; N],
    values: [u32; N],
    sequences: [u32; N],
}

impl<const N: usize> Default for Block<N> {
    fn default() -> Self {
        Block { head: Head::default(), times: [0; N], amounts: [0; N], values: [0; N], sequences: [0; N] }
    }
}

/// A block to read.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub head: &'a Head,
    pub times: &'a [u32],
    pub amounts: &'a [i64],
    pub values: &'a [u32],
    pub sequences: &'a [u32],
}

/// A block to change.
pub(crate) struct ViewMut<'a> {
    pub head: &'a mut Head,
    times: &'a mut [u32],
    pub amounts: &'a mut [i64],
    values: &'a mut [u32],
    sequences: &'a mut [u32],
}

/// How far before its first event a block's base lies, so that late events rarely move it: about three days.
const MARGIN_MS: i64 = 1 << 28;
const OFFSET_MAX: i64 = u32::MAX as i64 - 1;

/// Bits of a mask, lowest first.
pub(crate) fn lanes_of(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lane = mask.trailing_zeros() as usize;
        mask &= mask.wrapping_sub(1);
        (lane < 64).then_some(lane)
    })
}

impl View<'_> {
    #[inline]
    pub fn time_ms(&self, lane: usize) -> i64 {
        self.head.base_ms + i64::from(self.times[lane])
    }
    pub fn lane(&self, lane: usize) -> Lane {
        let has = |marks: u64| marks >> lane & 1 == 1;
        let event = Event {
            time_ms: self.time_ms(lane),
            sequence: self.sequences[lane],
            amount: (!has(self.head.unknown)).then(|| self.amounts[lane]),
            value: has(self.head.value).then(|| self.values[lane]),
        };
        Lane { event, fraud: has(self.head.fraud), last: has(self.head.last) }
    }
    pub fn lanes(&self) -> SmallVec<[Lane; 64]> {
        lanes_of(self.head.live).map(|lane| self.lane(lane)).collect()
    }
    /// The live lanes in (after, until].
    pub fn between(&self, kernel: Kernel, after_ms: i64, until_ms: i64) -> u64 {
        let mut mask = [0];
        kernel.masks(self.times, &[Range::of(self.head.base_ms, after_ms, until_ms)], &mut mask);
        mask[0] & self.head.live
    }
    /// The lane of an event.
    pub fn find(&self, kernel: Kernel, time_ms: i64, sequence: u32) -> Option<usize> {
        let at = self.between(kernel, time_ms.saturating_sub(1), time_ms);
        lanes_of(at).find(|lane| self.sequences[*lane] == sequence)
    }
    /// The live lanes with a value.
    pub fn with_value(&self, kernel: Kernel, value: u32) -> u64 {
        let mut mask = [0];
        if value == u32::MAX {
            let equal = lanes_of(self.head.live & self.head.value).filter(|lane| self.values[*lane] == value);
            return equal.fold(0, |mask, lane| mask | 1 << lane);
        }
        kernel.masks(self.values, &[Range { lo: value, span: 0 }], &mut mask);
        mask[0] & self.head.live & self.head.value
    }
    /// The latest live time in (after, until].
    pub fn latest(&self, kernel: Kernel, after_ms: i64, until_ms: i64) -> Option<i64> {
        lanes_of(self.between(kernel, after_ms, until_ms)).map(|lane| self.time_ms(lane)).max()
    }
    /// Earliest and latest live time.
    pub fn bounds(&self) -> Option<(i64, i64)> {
        let times = || lanes_of(self.head.live).map(|lane| self.time_ms(lane));
        Some((times().min()?, times().max()?))
    }
}

impl ViewMut<'_> {
    pub fn view(&self) -> View<'_> {
        View {
            head: self.head,
            times: self.times,
            amounts: self.amounts,
            values: self.values,
            sequences: self.sequences,
        }
    }
    fn fits(&self, time_ms: i64) -> bool {
        time_ms.checked_sub(self.head.base_ms).is_some_and(|offset| (0..=OFFSET_MAX).contains(&offset))
    }
    /// Makes the base such that `time_ms` fits; false when the live events and it are too far apart.
    pub fn admit(&mut self, time_ms: i64) -> bool {
        if self.head.live == 0 {
            self.head.base_ms = time_ms.saturating_sub(MARGIN_MS);
        }
        if self.fits(time_ms) {
            return true;
        }
        let Some((least, most)) = self.view().bounds() else {
            return true;
        };
        let (least, most) = (least.min(time_ms), most.max(time_ms));
        match most.checked_sub(least) {
            Some(span) if span <= OFFSET_MAX => {
                self.rebase(least.saturating_sub(MARGIN_MS.min(OFFSET_MAX - span)))
            }
            _ => return false,
        }
        true
    }
    fn rebase(&mut self, base_ms: i64) {
        for lane in lanes_of(self.head.live) {
            let time_ms = self.head.base_ms + i64::from(self.times[lane]);
            self.times[lane] = (time_ms - base_ms) as u32;
        }
        self.head.base_ms = base_ms;
    }
    /// A lane that holds no event.
    pub fn free_lane(&self) -> Option<usize> {
        let lane = self.head.live.trailing_ones() as usize;
        (lane < self.times.len()).then_some(lane)
    }
    /// Writes an event into a lane; `admit` has said that its time fits.
    pub fn put(&mut self, lane: usize, new: Lane) {
        assert!(self.fits(new.event.time_ms), "admitted before");
        self.times[lane] = (new.event.time_ms - self.head.base_ms) as u32;
        self.amounts[lane] = new.event.amount.unwrap_or(0);
        self.values[lane] = new.event.value.unwrap_or(0);
        self.sequences[lane] = new.event.sequence;
        let bit = |mark: bool| u64::from(mark) << lane;
        self.keep(!(1 << lane));
        self.head.live |= bit(true);
        self.head.fraud |= bit(new.fraud);
        self.head.unknown |= bit(new.event.amount.is_none());
        self.head.value |= bit(new.event.value.is_some());
        self.head.last |= bit(new.last);
    }
    /// Sets the values of some lanes that have one.
    pub fn set_values(&mut self, lanes: u64, value: u32) {
        lanes_of(lanes).for_each(|lane| self.values[lane] = value);
    }
    /// Lets all lanes outside `lanes` die.
    pub fn keep(&mut self, lanes: u64) {
        self.head.live &= lanes;
        self.head.fraud &= lanes;
        self.head.unknown &= lanes;
        self.head.value &= lanes;
        self.head.last &= lanes;
    }
    /// Lets the events up to `cutoff_ms` die; gives how many they were.
    pub fn expire(&mut self, kernel: Kernel, cutoff_ms: i64) -> u32 {
        let before = self.head.live.count_ones();
        let young = self.view().between(kernel, cutoff_ms, i64::MAX);
        self.keep(young);
        before - self.head.live.count_ones()
    }
}

/// Where a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockAt {
    /// 0 to 5 for 2 to 64 lanes.
    pub class: u8,
    pub at: u32,
}

impl BlockAt {
    /// Writes it; [`Blocks::load_at`] reads it.
    pub fn save(&self, to: &mut Writer<'_>) {
        to.u8(self.class);
        to.u32(self.at);
    }
}

/// The class of 64 lanes.
pub(crate) const CLASS_MAX: u8 = 5;

/// Blocks of every class.
#[derive(Debug)]
pub(crate) struct Blocks {
    c2: Pool<Block<2>>,
    c4: Pool<Block<4>>,
    c8: Pool<Block<8>>,
    c16: Pool<Block<16>>,
    c32: Pool<Block<32>>,
    c64: Pool<Block<64>>,
    /// Bytes of the blocks in use.
    pub bytes: usize,
}

macro_rules! by_class {
    ($self:ident, $class:expr, $pool:ident => $what:expr) => {
        match $class {
            0 => {
                let $pool = &$self.c2;
                $what
            }
            1 => {
                let $pool = &$self.c4;
                $what
            }
            2 => {
                let $pool = &$self.c8;
                $what
            }
            3 => {
                let $pool = &$self.c16;
                $what
            }
            4 => {
                let $pool = &$self.c32;
                $what
            }
            _ => {
                let $pool = &$self.c64;
                $what
            }
        }
    };
    (mut $self:ident, $class:expr, $pool:ident => $what:expr) => {
        match $class {
            0 => {
                let $pool = &mut $self.c2;
                $what
            }
            1 => {
                let $pool = &mut $self.c4;
                $what
            }
            2 => {
                let $pool = &mut $self.c8;
                $what
            }
            3 => {
                let $pool = &mut $self.c16;
                $what
            }
            4 => {
                let $pool = &mut $self.c32;
                $what
            }
            _ => {
                let $pool = &mut $self.c64;
                $what
            }
        }
    };
}

impl<const N: usize> Block<N> {
    fn view(&self) -> View<'_> {
        View {
            head: &self.head,
            times: &self.times,
            amounts: &self.amounts,
            values: &self.values,
            sequences: &self.sequences,
        }
    }
    fn view_mut(&mut self) -> ViewMut<'_> {
        ViewMut {
            head: &mut self.head,
            times: &mut self.times,
            amounts: &mut self.amounts,
            values: &mut self.values,
            sequences: &mut self.sequences,
        }
    }
    fn save(&self, to: &mut Writer<'_>) {
        let Head { base_ms, live, fraud, unknown, value, last } = self.head;
        to.i64(base_ms);
        to.u64s(&[live, fraud, unknown, value, last]);
        to.u32s(&self.times);
        to.i64s(&self.amounts);
        to.u32s(&self.values);
        to.u32s(&self.sequences);
    }
    fn load(from: &mut Reader<'_>) -> Result<Block<N>, Error> {
        let mut block = Block::default();
        let (base_ms, mut marks) = (from.i64()?, [0; 5]);
        from.u64s(&mut marks)?;
        let [live, fraud, unknown, value, last] = marks;
        block.head = Head { base_ms, live, fraud, unknown, value, last };
        from.u32s(&mut block.times)?;
        from.i64s(&mut block.amounts)?;
        from.u32s(&mut block.values)?;
        from.u32s(&mut block.sequences)?;
        let (beyond, of_dead) = (u64::MAX.checked_shl(N as u32).unwrap_or(0), fraud | unknown | value | last);
        if live & beyond != 0 || of_dead & !live != 0 {
            return Err(senseless("marks of events that there are not"));
        }
        Ok(block)
    }
}

/// Bytes of a block with `2 << class` lanes.
pub(crate) const fn block_bytes(class: u8) -> usize {
    size_of::<Head>() + (2 << class) * (3 * size_of::<u32>() + size_of::<i64>())
}

impl Blocks {
    pub fn new() -> Blocks {
        Blocks {
            c2: Pool::new(),
            c4: Pool::new(),
            c8: Pool::new(),
            c16: Pool::new(),
            c32: Pool::new(),
            c64: Pool::new(),
            bytes: 0,
        }
    }
    pub fn take(&mut self, class: u8) -> BlockAt {
        self.bytes += block_bytes(class);
        BlockAt { class, at: by_class!(mut self, class, pool => pool.take()) }
    }
    pub fn give(&mut self, block: BlockAt) {
        self.bytes -= block_bytes(block.class);
        by_class!(mut self, block.class, pool => pool.give(block.at));
    }
    #[inline]
    pub fn view(&self, block: BlockAt) -> View<'_> {
        by_class!(self, block.class, pool => pool.get(block.at).view())
    }
    #[inline]
    pub fn view_mut(&mut self, block: BlockAt) -> ViewMut<'_> {
        by_class!(mut self, block.class, pool => pool.get_mut(block.at).view_mut())
    }
    #[inline]
    pub fn prefetch(&self, block: BlockAt) {
        by_class!(self, block.class, pool => prefetch(pool.get(block.at)));
    }
    /// Writes all of them.
    pub fn save(&self, to: &mut Writer<'_>) {
        to.count(self.bytes);
        self.c2.save(to, Block::save);
        self.c4.save(to, Block::save);
        self.c8.save(to, Block::save);
        self.c16.save(to, Block::save);
        self.c32.save(to, Block::save);
        self.c64.save(to, Block::save);
    }
    /// What [`Blocks::save`] wrote.
    pub fn load(from: &mut Reader<'_>) -> Result<Blocks, Error> {
        Ok(Blocks {
            bytes: from.count(usize::MAX)?,
            c2: Pool::load(from, Block::load)?,
            c4: Pool::load(from, Block::load)?,
            c8: Pool::load(from, Block::load)?,
            c16: Pool::load(from, Block::load)?,
            c32: Pool::load(from, Block::load)?,
            c64: Pool::load(from, Block::load)?,
        })
    }
    /// A block's place, where there is one.
    pub fn load_at(&self, from: &mut Reader<'_>) -> Result<BlockAt, Error> {
        let block = BlockAt { class: from.u8()?, at: from.u32()? };
        let end = match block.class {
            0..=CLASS_MAX => by_class!(self, block.class, pool => pool.end()),
            _ => 0,
        };
        if block.at < end { Ok(block) } else { Err(senseless("a block that there is not")) }
    }
    /// A block of a class with these lanes, which fit into it and into one base.
    pub fn with_lanes(&mut self, class: u8, lanes: &[Lane]) -> BlockAt {
        let block = self.take(class);
        let mut view = self.view_mut(block);
        for (at, lane) in lanes.iter().enumerate() {
            assert!(view.admit(lane.event.time_ms), "they were in one block before");
            view.put(at, *lane);
        }
        block
    }
}
