//! What the tests share: the oracles, which are slow, obvious and know only the engine's domain types, and the real
//! binary as a child process.

pub mod oracle;
pub mod node;
pub mod blackbox;
pub mod traces;
pub mod sim;
