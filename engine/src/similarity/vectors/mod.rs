//! Payments like labelled payments: fingerprints of shared attributes by Hamming distance, vectors of numbers by dot
//! product; exact, in integers, ties by sequence.

mod fingerprint;
mod plan;
mod contents;
mod frozen;
mod banks;
#[cfg(test)]
mod tests;

pub use banks::{Banks, BanksCounts, Learned};
pub use contents::{Contents, Likest};
pub use fingerprint::{Fingerprint, Votes};
pub use frozen::Frozen;
pub use plan::{BankPlan, BankSlots, Print, Prints};

use interdict_shaders::{DotHit, HammingHit};

/// What a search in banks works in: reused, so that it does not allocate once grown.
#[derive(Debug, Default)]
pub struct VectorScratch {
    hamming: Vec<HammingHit>,
    /// Of a search that only counts.
    counted: Vec<HammingHit>,
    dot: Vec<DotHit>,
    /// (rank, id) of the nearest so far; a smaller rank is nearer.
    nearest: Vec<(i64, u64)>,
}
