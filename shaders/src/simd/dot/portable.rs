//! Dot products in plain Rust, lanes innermost.

use super::DotKernel;
use crate::kernel::Portable;
use crate::layout::{LANES, Row, VECTOR_WORDS};

/// Lanes that are taken together: their sums stay in registers.
const GROUP: usize = 8;

impl DotKernel for Portable {
    // 16 bits, so that the compiler knows that the products fit what SSE2 can multiply.
    type Query = [[i16; 4]; VECTOR_WORDS];

    fn prepare(self, query: &[u32; VECTOR_WORDS]) -> Self::Query {
        query.map(|word| word.to_le_bytes().map(|value| i16::from(value.cast_signed())))
    }

    fn reach(
        self,
        rows: &[Row; VECTOR_WORDS],
        query: &Self::Query,
        least: i32,
        dots: &mut [i32; LANES],
    ) -> u64 {
        for (group, dots) in dots.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
            let mut sums = [0; GROUP];
            for (row, query) in rows.iter().zip(query) {
                let query = query.map(i32::from);
                for (sum, word) in sums.iter_mut().zip(&row.0.as_chunks::<GROUP>().0[group]) {
                    // Shifts, not bytes: each lane stays a 32-bit word, which vectorises.
                    let word = word.cast_signed();
                    *sum += (word << 24 >> 24) * query[0]
                        + (word << 16 >> 24) * query[1]
                        + (word << 8 >> 24) * query[2]
                        + (word >> 24) * query[3];
                }
            }
            *dots = sums;
        }
        let mut lanes = 0;
        for (lane, dot) in dots.iter().enumerate() {
            lanes |= u64::from(*dot >= least) << lane;
        }
        lanes
    }
}
