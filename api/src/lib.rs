//! The appliance: configuration, wiring, HTTP and the command line around the engine, the ledger and the feeds.

#![deny(unsafe_code)]

pub mod config;
pub mod node;
pub mod answer;
pub mod history;
pub mod backup;
pub mod story;
pub mod report;
pub mod metrics;
pub mod http;
pub mod replay;
pub mod follow;
pub mod sinks;
pub mod rail;
pub mod webhooks;
pub mod alliance;
pub mod panics;
pub mod calibrate;
pub mod cli;
