//! The file alone: pages of keys are found and merged as one, and what is cut or changed anywhere is refused.
#![allow(clippy::unwrap_used)]

