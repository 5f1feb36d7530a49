//! The alliance's servers and commands: the hub that an operator runs, a member's end of it, and the folder, the TLS and
//! the HTTP that both use. What is decided is decided in the crate `consortium`; here are sockets, files and clocks.

pub mod tls;
pub mod folder;
pub mod leaves;
pub mod keyring;
pub mod client;

// What both compute from the governance log.
pub mod view;
pub mod merge;

// The operator.
pub mod hub;

// Everybody else.
pub mod member;

// A member's part in its node.
pub mod node;
