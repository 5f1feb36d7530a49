//! The appliance: configuration, wiring, HTTP and the command line around the engine, the ledger and the feeds.

#![deny(unsafe_code)]

pub mod config;
pub mod node;
pub mod answer;
<<<<<<< HEAD
=======
pub mod history;
pub mod story;
>>>>>>> h-explain
pub mod metrics;
pub mod http;
pub mod replay;
pub mod sinks;
<<<<<<< HEAD
pub mod history;
pub mod story;
=======
>>>>>>> h-explain
pub mod cli;
