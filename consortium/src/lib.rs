//! The consortium: members and their admission, signals, tags, epochs, the transparency log, queries and the bill that
//! follows from it; bytes in, bytes out. No sockets, no files, no clock: who calls hands in bytes, times and randomness.
//! It knows nothing of the engine, so that a member's reviewer or an auditor can read it alone.

pub mod error;
pub mod limits;

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

// Rule packs that are signed, with or without an alliance.
pub mod pack;
