//! The engine: transaction + stamped features + generation → verdict. It reads no clock, socket or file of its own,
//! knows no HTTP and no JSON, and is driven by whoever holds it (`api` in production, `tests` under test).
//! Modules in the order a transaction meets them.

#![deny(unsafe_code)]

pub mod limits;
pub mod stage;
pub mod error;
pub mod calibration;
pub mod image;
pub mod domain;
pub mod features;
pub mod lists;
pub mod freshness;
pub mod settlement;
pub mod patterns;
pub mod similarity;
pub mod models;
pub mod rules;
pub mod packs;
pub mod generation;
pub mod identity;
pub mod rates;
pub mod waiting;
pub mod keys;
pub mod sequencer;
pub mod lane;
pub mod decision;
pub mod unfinished;
pub mod past;

pub use error::{Error, ErrorKind, Place};
pub use stage::{SkipReason, Stage};
