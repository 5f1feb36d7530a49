//! What the tests share: the oracles, which are slow, obvious and know only the engine's domain types.

pub mod oracle;
