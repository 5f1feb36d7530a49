//! Interdict's world simulator, load generator, comparisons and results. Every figure it prints has its alternative
//! beside it, from the same run on the same machine.

pub mod sys;
pub mod client;
pub mod world;
pub mod load;
pub mod payments;
pub mod restart;
pub mod settle;
pub mod demo;
pub mod results;
