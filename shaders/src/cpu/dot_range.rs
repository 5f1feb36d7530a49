//! Every vector of a least dot product, one after another.

use crate::layout::{DotHit, VECTOR_DIMS, VectorBank};

/// The dot product of two vectors.
#[must_use]
pub fn dot(left: &[i8; VECTOR_DIMS], right: &[i8; VECTOR_DIMS]) -> i32 {
    left.iter().zip(right).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
}

/// The vectors whose dot product with `query` is `at_least` or more, sorted by (dot descending, id).
#[must_use]
pub fn search(bank: &VectorBank, query: &[i8; VECTOR_DIMS], at_least: i32) -> Vec<DotHit> {
    let mut hits: Vec<DotHit> = (0..bank.len())
        .map(|index| DotHit { dot: dot(query, &bank.vector(index)), id: bank.ids()[index] })
        .filter(|hit| hit.dot >= at_least)
        .collect();
    hits.sort();
    hits
}
