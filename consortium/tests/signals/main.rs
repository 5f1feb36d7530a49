//! Signals and epochs from outside: against an oracle of maps, against attacks, and what the fuzzers have found.
#![allow(clippy::unwrap_used)]

mod attacks;
mod bodies;
mod corpora;
mod import;
mod oracle;
mod world;
