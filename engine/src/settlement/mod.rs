//! The second clock: when a payment settles, what can still stop it until then, which payments are stopped, and what the
//! gate says. Terms are a part of the generation; the book is a part of the sequencer's state. Sans-I/O.

mod calendar;
mod network;
mod part;
mod terms;
mod sequences;
mod dated;
mod opening;
mod book;
mod gate;
mod past;

pub(crate) use book::TakenBack;
pub use book::{Book, BookLimits, Counts, Ended, Freed, Hold, Labelled, Proposed, Unhunted as UnhuntedEvent};
pub use calendar::{Calendar, CutOff, CutOffFrom, Cycle, Table};
pub use network::{Network, Of, Scope};
pub use opening::{causes, inline, on_finishing, opening};
pub use part::{CUT_OFF_DEFAULT_MS, CutOffRow, HUNT_HORIZON_MS, HoldRow, LeverRow, Settlement};
pub use past::PastBook;
pub use terms::{AtExpiry, HoldKind, HoldTerms, HoldUntil, Unhunted};
