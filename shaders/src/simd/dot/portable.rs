//! Dot products in plain Rust, lanes innermost.

use super::DotKernel;
use crate::kernel::Portable;
use crate::layout::{LANES, Row, VECTOR_WORDS};

impl DotKernel for Portable {
    type Query = [[i32; 4]; VECTOR_WORDS];

    fn prepare(self, query: &[u32; VECTOR_WORDS]) -> Self::Query {
        query.map(|word| word.to_le_bytes().map(|value| i32::from(value.cast_signed())))
    }

    fn reach(
        self,
        rows: &[Row; VECTOR_WORDS],
        query: &Self::Query,
        least: i32,
        dots: &mut [i32; LANES],
    ) -> u64 {
        *dots = [0; LANES];
        for (row, query) in rows.iter().zip(query) {
            for (dot, word) in dots.iter_mut().zip(&row.0) {
                // Shifts, not bytes: each lane stays a 32-bit word, which vectorises.
                let word = word.cast_signed();
                *dot += (word << 24 >> 24) * query[0]
                    + (word << 16 >> 24) * query[1]
                    + (word << 8 >> 24) * query[2]
                    + (word >> 24) * query[3];
            }
        }
        let mut lanes = 0;
        for (lane, dot) in dots.iter().enumerate() {
            lanes |= u64::from(*dot >= least) << lane;
        }
        lanes
    }
}
