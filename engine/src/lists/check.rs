//! What an entry must be before it enters a list, by a build or by a delta: a canonical subject, an override that
//! names its target, its owner and its end, and texts within their bounds. Messages never quote a subject.

use super::meta::ListMeta;
use crate::domain::{Effect, Entry, Subject, SubjectKind};
use crate::error::{Error, ErrorKind};
use crate::limits::{IDENTIFIER_BYTES_MAX, SEVERITY_MAX};
use std::net::IpAddr;

/// Checks one entry; the message says what was expected, and the caller says where.
pub(super) fn entry(entry: &Entry) -> Result<(), Error> {
    subject(&entry.subject)?;
    if entry.severity > SEVERITY_MAX {
        return invalid(format!("severity {}, limit {SEVERITY_MAX}", entry.severity));
    }
    for (what, text) in [
        ("reason", entry.reason.as_str()),
        ("contributor", entry.contributor.as_str()),
        ("overrides", entry.overrides.as_deref().unwrap_or_default()),
    ] {
        if text.len() > IDENTIFIER_BYTES_MAX {
            return invalid(format!("{what} has {} bytes, limit {IDENTIFIER_BYTES_MAX}", text.len()));
        }
    }
    if let (Some(from), Some(to)) = (entry.valid_from_ms, entry.valid_to_ms)
        && from >= to
    {
        return invalid(format!("valid_from {from} is not before valid_to {to}, so it would never count"));
    }
    match (entry.effect, entry.overrides.as_deref()) {
        (Effect::Override, None | Some("")) => {
            invalid("an override without \"overrides\": expected the list or rule that it cancels".into())
        }
        (Effect::Override, Some(_)) if entry.contributor.is_empty() => {
            invalid("an override without \"contributor\": expected who answers for it".into())
        }
        (Effect::Override, Some(_)) if entry.valid_to_ms.is_none() => {
            invalid("an override without \"valid_to\": expected when it ends".into())
        }
        (Effect::Block | Effect::Flag, Some(_)) => {
            invalid(format!("a {} with \"overrides\": only an override has one", entry.effect.name()))
        }
        _ => Ok(()),
    }
}

/// Checks that a subject is in the one form in which it is compared.
pub(super) fn subject(subject: &Subject) -> Result<(), Error> {
    match *subject {
        Subject::Tag { kind: kind @ (SubjectKind::Ip | SubjectKind::Bin), .. } => {
            invalid(format!("a tag of kind {:?}: expected a prefix", kind.name()))
        }
        Subject::Tag { .. } => Ok(()),
        Subject::Ip { network, prefix } => {
            let bits = address_bits(network);
            if prefix > bits {
                return invalid(format!("ip prefix /{prefix}, limit /{bits}"));
            }
            if prefix >= 96 && matches!(network, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()) {
                return invalid(
                    "an IPv4 prefix in IPv6 form (::ffff:0:0/96): expected it in IPv4 form".into(),
                );
            }
            if masked(network, prefix) != network {
                return invalid(format!("ip prefix /{prefix} has host bits that are not zero"));
            }
            Ok(())
        }
        Subject::Bin { number, digits } => {
            if !(1..=BIN_DIGITS).contains(&digits) {
                return invalid(format!("bin prefix of {digits} digits, expected 1 to {BIN_DIGITS}"));
            }
            if number >= 10u32.pow(u32::from(digits)) {
                return invalid(format!("bin prefix has more than its {digits} digits"));
            }
            Ok(())
        }
    }
}

/// Checks that a tag has no bits that its list leaves out.
pub(super) fn cut(subject: &Subject, meta: &ListMeta) -> Result<(), Error> {
    match (subject, meta.consortium) {
        (Subject::Tag { tag, .. }, Some(of)) if tag.cut(of.bits) != *tag => {
            invalid(format!("a tag of more than the list's {} bits", of.bits))
        }
        _ => Ok(()),
    }
}

/// Most digits of a BIN prefix, and of the BIN slot (ISO/IEC 7812-1:2017).
pub(super) const BIN_DIGITS: u8 = 8;

/// Bits of an address of this family: 32 or 128.
pub(super) const fn address_bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The network of an address at a prefix length of at most its family's bits.
pub(super) fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    }
}

fn invalid<T>(message: String) -> Result<T, Error> {
    Err(Error::new(ErrorKind::Invalid, message))
}
