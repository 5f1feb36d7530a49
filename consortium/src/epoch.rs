//! Epochs: all contributions up to a size of the governance log, merged into a snapshot of what is active, with a
//! manifest that the operator signs and members cosign who have built the same bytes. Whoever uses one asks `accept`.
//!
//! Bodies ─ `state` ─► where each member stands on each signal ─ `build` ─► snapshot ─ `delta` ─► difference from its parent.

pub mod header;
pub mod snapshot;
pub mod manifest;
pub mod accept;
pub mod merge;
pub mod state;
pub mod build;
pub mod delta;
pub mod export;

pub use crate::fixed::{Sink, Written};
pub use accept::{Accepted, Held, Trust, accept, follow};
pub use build::{View, build, rebuild_and_compare};
pub use delta::Delta;
pub use header::{Header, KindShape};
pub use manifest::Manifest;
pub use merge::Admitted;
pub use snapshot::{Row, Snapshot};
pub use state::{State, consolidate};
