//! Queries and what proves them. The member signs what it asks, the service what it answers; the log holds a salted
//! commitment to the record of both, so that it shows how many there were and not whose. With the opening a member has
//! a receipt that anybody can check; the auditor has all openings.

pub mod request;
pub mod opening;
pub mod promise;
pub mod receipt;

pub use opening::{Opening, Query};
pub use promise::{Promise, Standing};
pub use receipt::Receipt;
pub use request::{Request, Service};

use crate::log::Hash;
use sha2::{Digest, Sha256};

/// The hash by which records here name a request or a response: SHA-256 of its bytes, of a note's text for a note.
pub fn hash(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests;
