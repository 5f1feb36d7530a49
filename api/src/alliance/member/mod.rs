//! A member's end of an alliance: its folder (keys, verified mirrors of both logs, epochs, receipts), what it asks the hub
//! for and how it checks the answers. A library: `interdict consortium` and the member side of `interdict serve` use it.

pub mod folder;
pub mod canonical;
pub mod mirror;
pub mod session;
pub mod promises;
pub mod sync;
pub mod query;
pub mod contribute;
pub mod bill;

pub use folder::MemberFolder;
pub use session::Session;
