//! An alliance of real processes on loopback: a hub and its members, from founding to receipts, and what a hub must survive
//! or be caught at.
#![allow(clippy::unwrap_used)]

#[path = "alliance/world.rs"]
mod world;

#[path = "alliance/chain.rs"]
mod chain;
#[path = "alliance/input.rs"]
mod input;
#[path = "alliance/billing.rs"]
mod billing;
#[path = "alliance/crash.rs"]
mod crash;
#[path = "alliance/node.rs"]
mod node;
