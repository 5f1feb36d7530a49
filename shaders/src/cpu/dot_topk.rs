//! The largest dot products by a full sort.

use super::dot_range;
use crate::layout::{DotHit, VECTOR_DIMS, VectorBank};

/// The `k` vectors of the largest dot product with `query`, sorted by (dot descending, id).
#[must_use]
pub fn search(bank: &VectorBank, query: &[i8; VECTOR_DIMS], k: usize) -> Vec<DotHit> {
    let mut hits = dot_range::search(bank, query, i32::MIN);
    hits.truncate(k);
    hits
}
