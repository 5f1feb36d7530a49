//! Masked copies.

/// Digits in a row that could be a PAN.
pub(crate) const DIGIT_RUN_MAX: usize = 12;
