//! The largest dot products by a full sort.

use crate::layout::{DotHit, VECTOR_DIMS, VectorBank};

/// The dot product of two vectors.
#[must_use]
pub fn dot(left: &[i8; VECTOR_DIMS], right: &[i8; VECTOR_DIMS]) -> i32 {
    left.iter().zip(right).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
}

/// The `k` vectors of the largest dot product with `query`, sorted by (dot descending, id).
#[must_use]
pub fn search(bank: &VectorBank, query: &[i8; VECTOR_DIMS], k: usize) -> Vec<DotHit> {
    let mut hits: Vec<DotHit> = (0..bank.len())
        .map(|index| DotHit { dot: dot(query, &bank.vector(index)), id: bank.ids()[index] })
        .collect();
    hits.sort();
    hits.truncate(k);
    hits
}
