//! Interdict's black-box, conformance, property and crash tests, and the oracles they compare with.

pub mod oracle;
