//! Whose account: from the operator's configuration, never from a log. Shows nothing of itself when printed.

use super::NAME_MAX;
use super::xml::{Document, check_text};
use crate::error::{Error, ErrorKind, Result};
use std::fmt;

/// The number of an account.
#[derive(Clone, PartialEq, Eq)]
pub enum AccountNumber {
    /// An IBAN (ISO 13616), without spaces.
    Iban(String),
    /// Another number, at most 34 characters; not in euro.
    Other(String),
}

/// An account to pay from or to.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Its holder's legal name, at most 70 characters of SEPA's: write names of other letters as the bank has them.
    pub name: String,
    /// Its number.
    pub number: AccountNumber,
    /// Its bank (ISO 9362), where it is known.
    pub bic: Option<String>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Account(..)")
    }
}

impl Account {
    /// Checks all its parts.
    pub(super) fn check(&self, is_sepa: bool) -> Result<()> {
        check_text("Nm", &self.name, NAME_MAX)?;
        match &self.number {
            AccountNumber::Iban(iban) if is_iban(iban) => {}
            AccountNumber::Iban(_) => return Err(Error::new(ErrorKind::Invalid, "expected an IBAN")),
            AccountNumber::Other(_) if is_sepa => {
                return Err(Error::new(ErrorKind::Invalid, "a payment in euro needs an IBAN"));
            }
            AccountNumber::Other(number) => check_text("Othr/Id", number, 34)?,
        }
        match &self.bic {
            Some(bic) if !is_bic(bic) => {
                Err(Error::new(ErrorKind::Invalid, "expected a BIC of 8 or 11 characters"))
            }
            _ => Ok(()),
        }
    }
    /// CashAccount38.
    pub(super) fn write_number(&self, out: &mut Document, element: &'static str) {
        out.inside(element, |out| {
            out.inside("Id", |out| match &self.number {
                AccountNumber::Iban(iban) => out.text("IBAN", iban),
                AccountNumber::Other(number) => out.inside("Othr", |out| out.text("Id", number)),
            });
        });
    }
}

/// IBAN2007Identifier in capitals, and the remainder of ISO 7064 (mod 97) is 1.
fn is_iban(text: &str) -> bool {
    let form = |(place, byte): (usize, u8)| match place {
        0 | 1 => byte.is_ascii_uppercase(),
        2 | 3 => byte.is_ascii_digit(),
        _ => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
    };
    if !(15..=34).contains(&text.len()) || !text.bytes().enumerate().all(form) {
        return false;
    }
    let rotated = text.bytes().skip(4).chain(text.bytes().take(4));
    let rest = rotated.fold(0u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        letter => (rest * 100 + u32::from(letter - b'A') + 10) % 97,
    });
    rest == 1
}

/// BICFIDec2014Identifier: `[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?`.
fn is_bic(text: &str) -> bool {
    let form = |(place, byte): (usize, u8)| {
        byte.is_ascii_uppercase() || (!(4..6).contains(&place) && byte.is_ascii_digit())
    };
    matches!(text.len(), 8 | 11) && text.bytes().enumerate().all(form)
}
