//! The consortium: members and their admission, signals, tags, epochs, the transparency log, queries and the bill that
//! follows from it; bytes in, bytes out. No sockets, no files, no clock: who calls hands in bytes, times and randomness.
//! It knows nothing of the engine, so that a member's reviewer or an auditor can read it alone.

pub mod error;
pub mod limits;
pub(crate) mod fixed;

// The envelope.
pub mod keys;
pub mod note;
pub mod record;

// What signals are about.
pub mod kind;

// Who takes part, and under which rules.
pub mod member;
// How identifiers are compared without being shown.
pub mod tag;

// The transparency log, and what is proved from it.
pub mod log;
pub mod query;
// What members say of them, and what all of it comes to.
pub mod signal;
pub mod epoch;
// What it costs.
pub mod bill;
// Rule packs that are signed, with or without an alliance.
pub mod pack;
