//! When a payment settles, what can still stop it until then, and how long a hold lasts: all of it a part of the
//! generation, so that a replay and a verdict made again come to the same.

mod calendar;
mod network;
mod part;
mod terms;

pub use calendar::{Calendar, CutOff, CutOffFrom, Cycle, Table};
pub use network::{Network, Of, Scope};
pub use part::{CUT_OFF_DEFAULT_MS, CutOffRow, HUNT_HORIZON_MS, HoldRow, LeverRow, Settlement};
pub use terms::{AtExpiry, HoldKind, HoldTerms, HoldUntil, Unhunted};
