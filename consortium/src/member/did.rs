//! Decentralised identifiers of members: `did:key` for Ed25519 (W3C CCG did:key 0.9: multibase base58btc of multicodec
//! 0xed and the key) and `did:web`, whose document who calls fetches. Nothing else: a method that cannot be checked
//! without a network of its own would be a word only.

mod document;

pub use document::assertion_keys;

use crate::error::{Error, ErrorKind, Result};
use crate::limits::DID_BYTES_MAX;
use std::fmt;

/// Multicodec of an Ed25519 public key, as the unsigned varint that it is written as.
const ED25519: [u8; 2] = [0xed, 0x01];

/// An identifier of a method that is known here, in the spelling it came in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Did(Box<str>);

impl Did {
    /// Reads `did:key:z…` or `did:web:…`.
    ///
    /// # Errors
    /// `Version` for another method, or another kind of key than Ed25519; `Malformed`; `TooLarge`.
    pub fn parse(text: &str) -> Result<Did> {
        if text.len() > DID_BYTES_MAX {
            let message = format!("a DID of {} bytes, limit {DID_BYTES_MAX}", text.len());
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        if let Some(id) = text.strip_prefix("did:key:") {
            read_key(id)?;
        } else if let Some(id) = text.strip_prefix("did:web:") {
            web_url(id)?;
        } else {
            let message = "expected a DID of method key or web: \"did:key:z…\" or \"did:web:example.com\"";
            return Err(Error::new(ErrorKind::Version, message));
        }
        Ok(Did(text.into()))
    }
    /// The `did:key` of an Ed25519 public key.
    pub fn of_key(public: &[u8; 32]) -> Did {
        let bytes = [&ED25519[..], public].concat();
        Did(format!("did:key:z{}", bs58::encode(bytes).into_string()).into())
    }
    /// The public key of a `did:key`.
    pub fn key(&self) -> Option<[u8; 32]> {
        read_key(self.0.strip_prefix("did:key:")?).ok()
    }
    /// Where the document of a `did:web` is (W3C CCG did:web, "Read").
    pub fn web_url(&self) -> Option<String> {
        web_url(self.0.strip_prefix("did:web:")?).ok()
    }
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key of what follows `did:key:`; base58 has one spelling a value, leading zeros included.
fn read_key(id: &str) -> Result<[u8; 32]> {
    let malformed = |what: &str| Error::new(ErrorKind::Malformed, format!("a did:key: {what}"));
    let digits = id.strip_prefix('z').ok_or_else(|| malformed("expected \"z\", base58btc"))?;
    let bytes = bs58::decode(digits).into_vec().map_err(|_| malformed("expected base58 after the \"z\""))?;
    let key = bytes.strip_prefix(&ED25519).ok_or_else(|| {
        Error::new(ErrorKind::Version, "a did:key of another kind of key than Ed25519 (multicodec 0xed)")
    })?;
    key.try_into().map_err(|_| malformed("expected 32 bytes of key"))
}

/// The URL of what follows `did:web:`: a domain, maybe with a port as `%3A`, and a path with colons.
fn web_url(id: &str) -> Result<String> {
    let malformed = || {
        let message =
            "a did:web: expected a lower-case domain, \"%3A\" before a port, \":\" between parts of a path";
        Error::new(ErrorKind::Malformed, message)
    };
    let (domain, path) = id.split_once(':').map_or((id, None), |(domain, path)| (domain, Some(path)));
    let (host, port) = domain.split_once("%3A").map_or((domain, None), |(host, port)| (host, Some(port)));
    super::profile::check_member_name(host).map_err(|_| malformed())?;
    let port = match port {
        None => String::new(),
        Some(port) => {
            let number: u16 = port.parse().map_err(|_| malformed())?;
            if number.to_string() != port {
                return Err(malformed());
            }
            format!(":{number}")
        }
    };
    let Some(path) = path else { return Ok(format!("https://{host}{port}/.well-known/did.json")) };
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(fits) && part.bytes().any(|b| b.is_ascii_alphanumeric())
    };
    match path.split(':').all(is_part) {
        true => Ok(format!("https://{host}{port}/{}/did.json", path.replace(':', "/"))),
        false => Err(malformed()),
    }
}

#[cfg(test)]
mod tests;
