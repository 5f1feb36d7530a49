//! Why a signal is one, and why somebody objects: a closed table, since free text about persons may not be shared.
//! Names as fraud reporting has them (Visa TC 40 and Mastercard SAFE fraud types, EBA reporting of authorised push
//! payment fraud). Numbers are part of the format and are never used again; 128 and above are reasons of disputes.

use crate::error::{Error, ErrorKind, Result};
use std::fmt;

/// A reason, by its number in the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason(u16);

struct Line {
    code: u16,
    name: &'static str,
    severity: u8,
}

const fn line(code: u16, name: &'static str, severity: u8) -> Line {
    Line { code, name, severity }
}

/// The first code of a dispute's reason.
const DISPUTES: u16 = 128;

/// Ascending by code. The severity, 0 to 100, stands where a row gives none.
const TABLE: [Line; 33] = [
    line(1, "card_lost", 60),
    line(2, "card_stolen", 85),
    line(3, "card_not_received", 80),
    line(4, "counterfeit", 90),
    line(5, "cnp_fraud", 85),
    line(6, "card_data_compromised", 60),
    line(7, "card_testing", 65),
    line(8, "account_takeover", 85),
    line(9, "mule_account", 85),
    line(10, "scam_payee", 85),
    line(11, "merchant_collusion", 80),
    line(12, "merchant_bust_out", 80),
    line(13, "terminal_compromised", 80),
    line(14, "synthetic_identity", 75),
    line(15, "identity_theft", 75),
    line(16, "application_fraud", 70),
    line(17, "first_party_fraud", 50),
    line(18, "money_laundering", 80),
    line(19, "phishing", 70),
    line(20, "malware", 75),
    line(21, "sim_swap", 80),
    line(22, "bot", 60),
    line(23, "device_emulated", 55),
    line(24, "anonymising_proxy", 40),
    line(25, "sanctions_reference", 90),
    line(127, "other", 50),
    line(128, "wrong_identifier", 0),
    line(129, "victim_not_offender", 0),
    line(130, "other_person", 0),
    line(131, "cleared_by_investigation", 0),
    line(132, "outdated", 0),
    line(133, "no_legal_basis", 0),
    line(255, "other_dispute", 0),
];

impl Reason {
    /// Where nothing of the table fits.
    pub const OTHER: Reason = Reason(127);

    /// All, in order.
    pub fn all() -> impl Iterator<Item = Reason> {
        TABLE.iter().map(|line| Reason(line.code))
    }
    fn line(self) -> &'static Line {
        let at = TABLE.binary_search_by_key(&self.0, |line| line.code);
        &TABLE[at.expect("a reason is made only of a code of the table")]
    }
    /// The number that files have.
    pub const fn code(self) -> u16 {
        self.0
    }
    /// Its name in files, answers and configuration.
    pub fn name(self) -> &'static str {
        self.line().name
    }
    /// The severity where a row gives none, 0 to 100.
    pub fn severity(self) -> u8 {
        self.line().severity
    }
    /// Whether it is one of a dispute, not of a signal.
    pub const fn is_of_dispute(self) -> bool {
        self.0 >= DISPUTES
    }
    /// The reason of a code.
    ///
    /// # Errors
    /// `Version`: one of a later version.
    pub fn by_code(code: u16) -> Result<Reason> {
        match TABLE.binary_search_by_key(&code, |line| line.code) {
            Ok(_) => Ok(Reason(code)),
            Err(_) => Err(Error::new(ErrorKind::Version, format!("reason {code} is not known here"))),
        }
    }
    /// The reason of a name.
    ///
    /// # Errors
    /// `Invalid`, with the names there are.
    pub fn by_name(name: &str) -> Result<Reason> {
        let found = TABLE.iter().find(|line| line.name == name);
        found.map(|line| Reason(line.code)).ok_or_else(|| {
            let all: Vec<_> = TABLE.iter().map(|line| line.name).collect();
            let message = format!("{name:?} is no reason: expected one of {}", all.join(", "));
            Error::new(ErrorKind::Invalid, message)
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn codes_and_names_are_unique_and_lead_back() {
        assert!(TABLE.is_sorted_by(|a, b| a.code < b.code));
        for reason in Reason::all() {
            assert_eq!(Reason::by_name(reason.name()).unwrap(), reason);
            assert_eq!(Reason::by_code(reason.code()).unwrap(), reason);
            assert!(reason.severity() <= 100 && (reason.severity() == 0) == reason.is_of_dispute());
        }
        assert_eq!(Reason::by_code(0).unwrap_err().kind, ErrorKind::Version);
        assert!(Reason::by_name("fraud").unwrap_err().message.contains("card_lost"));
        assert_eq!(Reason::OTHER.name(), "other");
    }
}
