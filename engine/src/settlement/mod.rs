//! The second clock: what may still be stopped between a payment's authorization and its settlement. Sans-I/O; the
//! sequencer owns the book, whoever hunts the window brings what it finds as events.

pub mod sequences;
pub mod opening;
pub mod book;
pub mod gate;

pub use book::{Book, Counts, Ended, Freed, Hold, Proposed, Unhunted};
pub use opening::{inline, opening};
