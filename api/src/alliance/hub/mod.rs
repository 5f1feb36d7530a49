//! The operator's server. It keeps the two logs and the bodies, merges signatures, builds epochs, evaluates blinded
//! queries; members need not trust it for more than being there, since they rebuild and check all it says.

pub mod config;
pub mod keys;
pub mod place;

// What it keeps.
pub mod book;
pub mod openings;
pub mod state;
pub mod epoch;
pub mod evaluate;

// How it is asked.
pub mod metrics;
pub mod ops;
pub mod entry;
pub mod server;
pub mod routes;

// How it begins, and runs.
pub mod founding;
pub mod serve;
