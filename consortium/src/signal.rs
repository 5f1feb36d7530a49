//! Signals: what a member says about an identifier, in tags that show it to nobody else. A contribution is a signed
//! manifest and a body of rows; what all members have said so far, folded, decides whether a signal is active.
//! Who calls makes tags and canonical spellings; identifiers get here only as text of kinds that are open.

pub mod op;
pub mod reason;
pub mod key;
pub mod policy;
pub mod row;
pub mod body;
pub mod manifest;
pub mod stand;
pub mod activation;
pub mod reputation;
pub mod draft;
pub mod csv;
pub mod misp;

pub use body::Body;
pub use key::{Key, Tags};
pub use manifest::Manifest;
pub use op::Op;
pub use policy::{Contributor, Policies, Policy};
pub use reason::Reason;
pub use row::Row;
