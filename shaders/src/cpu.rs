//! The plain twins: each kernel as one would write it with no thought of speed. They are the oracle of every other
//! path, SIMD and WGSL, and share nothing with them but the banks.

pub mod name_lcs;
pub mod hamming_range;
pub mod hamming_topk;
pub mod dot_range;
pub mod dot_topk;
