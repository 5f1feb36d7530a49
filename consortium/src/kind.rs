//! What a signal is about, and how much of it others may see. The numbers are part of every format here, and of what
//! tags are made of; they are those of the engine's subjects (`engine/src/domain/entry.rs`; 6 is a BIN there, no signal).

use crate::error::{Error, ErrorKind, Result};
use std::fmt;

/// A kind of identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A PAN, as its digits.
    Card = 0,
    /// An account: an IBAN without spaces, or what the institution calls it.
    Account = 1,
    /// A device's id.
    Device = 2,
    /// A merchant's id (ISO 8583 data element 42).
    Merchant = 3,
    /// A terminal's id (ISO 8583 data element 41).
    Terminal = 4,
    /// An IP address.
    Ip = 5,
    /// An e-mail address.
    Email = 7,
    /// A phone number in E.164.
    Phone = 8,
    /// A person's or an organisation's name.
    Name = 9,
}

impl Kind {
    /// All, in order.
    pub const ALL: [Kind; 9] = [
        Kind::Card,
        Kind::Account,
        Kind::Device,
        Kind::Merchant,
        Kind::Terminal,
        Kind::Ip,
        Kind::Email,
        Kind::Phone,
        Kind::Name,
    ];
    /// Its name in records, files and configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Card => "card",
            Kind::Account => "account",
            Kind::Device => "device",
            Kind::Merchant => "merchant",
            Kind::Terminal => "terminal",
            Kind::Ip => "ip",
            Kind::Email => "email",
            Kind::Phone => "phone",
            Kind::Name => "name",
        }
    }
    /// The kind of a name.
    ///
    /// # Errors
    /// `Invalid`, with the names there are.
    pub fn by_name(name: &str) -> Result<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let all = Kind::ALL.map(Kind::name).join(", ");
            Error::new(ErrorKind::Invalid, format!("{name:?} is no kind of signal: expected one of {all}"))
        })
    }
    /// The kind of a number.
    ///
    /// # Errors
    /// `Version`: a kind of a later version.
    pub fn by_number(number: u8) -> Result<Kind> {
        let known = Kind::ALL.into_iter().find(|kind| *kind as u8 == number);
        known.ok_or_else(|| {
            Error::new(
                ErrorKind::Version,
                format!("kind {number} is not known here: expected 0 to 5 or 7 to 9"),
            )
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How much of an identifier others may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Privacy {
    /// Text, for all members: where it must be compared by likeness (names). Needs a legal basis in the record.
    Open = 1,
    /// An HMAC tag of 128 bits under a key that all members hold. Pseudonymous among members, who can try identifiers;
    /// worthless to whoever has only the file.
    Keyed = 2,
    /// A truncated keyed tag that several identifiers share, and an exact one that only the tag service can make, of
    /// an identifier that it does not see (VOPRF, RFC 9497): trying identifiers needs as many logged queries.
    Oblivious = 3,
}

impl Privacy {
    /// All, in order.
    pub const ALL: [Privacy; 3] = [Privacy::Open, Privacy::Keyed, Privacy::Oblivious];
    /// Its name in records and configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Privacy::Open => "open",
            Privacy::Keyed => "keyed",
            Privacy::Oblivious => "oblivious",
        }
    }
    /// The level of a name.
    ///
    /// # Errors
    /// `Invalid`, with the names there are.
    pub fn by_name(name: &str) -> Result<Privacy> {
        Privacy::ALL.into_iter().find(|level| level.name() == name).ok_or_else(|| {
            let message = format!("{name:?} is no privacy level: expected open, keyed or oblivious");
            Error::new(ErrorKind::Invalid, message)
        })
    }
}

impl fmt::Display for Privacy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A member's number: its place in the order of admissions, from 0. Names are in the governance log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u16);

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
