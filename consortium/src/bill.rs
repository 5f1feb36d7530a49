//! The bill: usage out of a range of the query log, a tariff that is a logged note, a statement for each member and a
//! settlement over all of them, balances, netting, and payment instructions. Integers only; what the operator computes
//! the auditor recomputes, byte for byte. Formats: `docs/formats/billing.md`.

mod fields;

pub mod money;
pub mod service;

// What is counted, and what it costs.
pub mod usage;
pub mod report;
pub mod tariff;
pub mod credit;

// What follows from it.
pub mod basis;
pub mod statement;
pub mod settlement;
pub mod compute;
pub mod check;

// What both sides say to it.
pub mod confirm;
pub mod dispute;
pub mod filing;

// What of it follows from the governance log.
pub mod governed;
pub mod assembled;

// How it is paid.
pub mod deposit;
pub mod balance;
pub mod netting;
pub mod pain001;

// How it is read.
pub mod render;

use crate::kind::MemberId;
use sha2::{Digest, Sha256};

/// A party to the bill, as the registry has it at the end of the period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// Its number.
    pub member: MemberId,
    /// Its name, `[a-z0-9.-]`.
    pub name: String,
    /// Its tariff class; what it is at the period's end holds for all of the period.
    pub class: String,
}

/// What a record is named by elsewhere: SHA-256 of its text, without signatures.
pub fn hash_of(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests;
