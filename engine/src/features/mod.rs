//! Velocity features: how often, how much, how many different, how long since, and what share turned out to be
//! fraud, over several windows of event time at once, exactly. Every window is a suffix of one key's events and most
//! keys have fewer than 64, so events lie in small blocks that are scanned, not in counters that are maintained.

pub mod kernels;
pub mod plan;
mod answer;
mod block;
mod bound;
mod change;
mod chunks;
mod evicted;
pub mod follow;
mod index;
mod originals;
mod panes;
mod pool;
mod rename;
mod space;
pub mod figures;
pub mod state;
mod widths;
mod window;

pub use figures::{Found, GroupStats, StateLimits, Stats};
pub use follow::{FollowKind, FollowUp};
pub use plan::{FeaturePlan, Filter, Rates};
pub use state::FeatureState;
