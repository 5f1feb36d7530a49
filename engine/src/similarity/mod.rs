//! Similarity: names and vectors that are like listed ones without being equal to them, scored in integers.

pub mod names;
pub mod vectors;
