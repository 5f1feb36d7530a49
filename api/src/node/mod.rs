//! A running node: keys, kept generations, journal, sequencer and lanes, put together.

pub mod store;
