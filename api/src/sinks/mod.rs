//! Where verdicts go besides the answer and the journal.

pub mod decisions;
pub mod features;
