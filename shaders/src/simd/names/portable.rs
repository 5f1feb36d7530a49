//! Names in plain Rust: the loops run over lanes, so that the compiler vectorises all but the look-ups.

use super::NameKernel;
use crate::kernel::Portable;
use crate::layout::{LANES, NameBank, NameQuery, Row, Signature, blocks_of, lanes_between};

/// The match masks, and whether their high halves are all zero.
pub(crate) struct Table {
    low: [u32; 32],
    both: [u64; 32],
    narrow: bool,
}

impl NameKernel for Portable {
    type Table = Table;
    const SINGLES_MAX: u32 = 24;

    fn prepare(self, query: &NameQuery) -> Table {
        Table {
            low: *query.low_masks(),
            both: std::array::from_fn(|symbol| query.mask(symbol as u32)),
            narrow: query.is_narrow(),
        }
    }

    fn signature_masks(
        self,
        bank: &NameBank,
        query: &NameQuery,
        need: u8,
        names: std::ops::Range<usize>,
        masks: &mut [u64],
    ) {
        let blocks = blocks_of(&names);
        for (block, mask) in blocks.clone().zip(&mut masks[blocks]) {
            let first = block * LANES;
            let mut lanes = 0u64;
            for lane in 0..LANES {
                let stored = Signature {
                    bits: bank.signatures()[first + lane],
                    overflow: bank.overflows()[first + lane],
                };
                lanes |= u64::from(query.signature().bound(stored) >= need) << lane;
            }
            *mask |= lanes & lanes_between(block, names.start, names.end);
        }
    }

    fn score_block(self, table: &Table, rows: &[Row], least: &[u8; LANES], lcs: &mut [u8; LANES]) -> u64 {
        if table.narrow {
            score_narrow(&table.low, rows, lcs)
        } else {
            score_wide(&table.both, rows, lcs)
        }
        let mut lanes = 0;
        for (lane, (score, least)) in lcs.iter().zip(least).enumerate() {
            lanes |= u64::from(score >= least) << lane;
        }
        lanes
    }
}

/// Lanes that are taken together: their places stay in registers.
const GROUP: usize = 8;

fn score_narrow(masks: &[u32; 32], rows: &[Row], lcs: &mut [u8; LANES]) {
    for (group, lcs) in lcs.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
        let mut places = [u32::MAX; GROUP];
        for row in rows {
            let words = &row.0.as_chunks::<GROUP>().0[group];
            for shift in [0, 8, 16, 24] {
                let masks = words.map(|word| masks[(word >> shift & 31) as usize]);
                for (places, mask) in places.iter_mut().zip(masks) {
                    *places = places.wrapping_add(*places & mask) | (*places & !mask);
                }
            }
        }
        *lcs = places.map(|places| places.count_zeros() as u8);
    }
}

/// Queries of 33 to 64 symbols. Also AVX2's path for them.
pub(super) fn score_wide(masks: &[u64; 32], rows: &[Row], lcs: &mut [u8; LANES]) {
    for (group, lcs) in lcs.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
        let mut places = [u64::MAX; GROUP];
        for row in rows {
            let words = &row.0.as_chunks::<GROUP>().0[group];
            for shift in [0, 8, 16, 24] {
                let masks = words.map(|word| masks[(word >> shift & 31) as usize]);
                for (places, mask) in places.iter_mut().zip(masks) {
                    *places = places.wrapping_add(*places & mask) | (*places & !mask);
                }
            }
        }
        *lcs = places.map(|places| places.count_zeros() as u8);
    }
}
