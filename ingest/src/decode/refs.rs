//! What a message is known by beside its id, and which payment it follows: the elements of ISO 8583 that name a
//! message, and `refs.original` as an id or as such elements (DE90). Both give the identities the original may have.

use super::identity::{IdentityKey, class_of, identity_key};
use super::shape::Leaf;
use super::values::Values;
use crate::error::FieldError;
use crate::normalise::identifiers as ids;
use crate::normalise::keys::{TagKey, TenantKeys};
use crate::normalise::text::{Checked, identifier};
use crate::normalise::time;
use interdict_engine::domain::TransactionKind;
use std::borrow::Cow;

/// Keys of ISO 8583's elements are told from those of ids by this bit of the class.
const CLASS_ISO: u8 = 0x80;

/// The elements that name a message: DE32, DE11, DE37 and DE7, as one text.
pub(super) struct Elements(String);

impl Elements {
    /// DE90 pads the institution with zeros where DE32 has none, so those in front do not count.
    fn new(acquirer: &str, stan: &str, rrn: &str, transmitted_at: &str) -> Elements {
        let is_number = acquirer.bytes().all(|byte| byte.is_ascii_digit());
        let acquirer = if is_number { acquirer.trim_start_matches('0') } else { acquirer };
        Elements(format!("{acquirer}/{stan}/{rrn}/{transmitted_at}"))
    }
    /// Those of a message itself; `None` where it lacks one of them.
    pub(super) fn of(values: &Values<'_>) -> Result<Option<Elements>, FieldError> {
        let at = checked(values, Leaf::TransmittedAt, transmission)?;
        let acquirer = checked(values, Leaf::Acquirer, identifier)?;
        let rest = (values.text(Leaf::Stan), values.text(Leaf::Rrn));
        Ok(match (acquirer, rest, at) {
            (Some(acquirer), (Some(stan), Some(rrn)), Some(at)) => {
                Some(Elements::new(&acquirer, stan, rrn, &at))
            }
            _ => None,
        })
    }
    /// The text.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
    /// The identity that they give a message of a kind.
    pub(super) fn key(&self, state: &TagKey, kind: TransactionKind) -> IdentityKey {
        identity_key(state, CLASS_ISO | class_of(kind), &self.0)
    }
}

/// The payment that a message follows.
pub(super) enum Original<'v> {
    /// By its id.
    Id(&'v str),
    /// By its elements, and whether it was advised (`None` where the message does not say).
    Elements(Elements, Option<bool>),
}

const PARTS: [Leaf; 6] = [
    Leaf::OriginalMti,
    Leaf::OriginalStan,
    Leaf::OriginalTransmittedAt,
    Leaf::OriginalAcquirer,
    Leaf::OriginalForwarder,
    Leaf::OriginalRrn,
];

impl<'v> Original<'v> {
    /// What `refs.original` names. Acquirer and RRN may be left out where they are the message's own, as they are when
    /// a 0400 repeats DE32 and DE37; the forwarder is checked and says nothing more.
    pub(super) fn read(values: &'v Values<'_>) -> Result<Option<Original<'v>>, FieldError> {
        let has_parts = PARTS.into_iter().any(|leaf| !values.is_absent(leaf));
        if let Some(id) = values.text(Leaf::Original) {
            if has_parts {
                return Err(FieldError::invalid(
                    Leaf::Original.path(),
                    "an id or the original's elements, not both",
                ));
            }
            return Ok(Some(Original::Id(id)));
        }
        if !has_parts {
            return Ok(None);
        }
        let is_advice = checked(values, Leaf::OriginalMti, mti)?;
        checked(values, Leaf::OriginalForwarder, identifier)?;
        let stan = must(values, Leaf::OriginalStan, Leaf::OriginalStan, ids::stan)?;
        let at = must(values, Leaf::OriginalTransmittedAt, Leaf::OriginalTransmittedAt, transmission)?;
        let acquirer = must(values, Leaf::OriginalAcquirer, Leaf::Acquirer, identifier)?;
        let rrn = must(values, Leaf::OriginalRrn, Leaf::Rrn, ids::rrn)?;
        Ok(Some(Original::Elements(Elements::new(&acquirer, stan, rrn, &at), is_advice)))
    }
    /// How rules see it: the id, or DE32/DE11/DE37/DE7.
    pub(super) fn text(&self) -> &str {
        match self {
            Original::Id(id) => id,
            Original::Elements(elements, _) => elements.text(),
        }
    }
    /// The identities it may have, the likeliest first, for a message of a kind: of each kind that it may be, under
    /// each state key.
    pub(super) fn identities(&self, keys: &TenantKeys, kind: TransactionKind) -> Vec<IdentityKey> {
        let may_be = may_be(kind).iter();
        match self {
            Original::Id(id) => {
                let of = |of: &TransactionKind| {
                    let class = class_of(*of);
                    keys.states().map(move |state| identity_key(state, class, id))
                };
                may_be.flat_map(of).collect()
            }
            Original::Elements(elements, is_advice) => {
                let is = |of: &&TransactionKind| is_advice.is_none_or(|is| is == is_advised(**of));
                let of = |of: &TransactionKind| {
                    let kind = *of;
                    keys.states().map(move |state| elements.key(state, kind))
                };
                may_be.filter(is).flat_map(of).collect()
            }
        }
    }
}

/// The kinds of payment that a message may follow.
const fn may_be(kind: TransactionKind) -> &'static [TransactionKind] {
    use TransactionKind::{Advice, Completion, Refund, Repeat, Request, Reversal};
    match kind {
        Reversal => &[Request, Advice, Completion, Refund],
        Refund => &[Request, Advice, Completion],
        Completion => &[Request, Advice],
        Request | Repeat | Advice => &[Request],
    }
}

/// Whether a message of a kind has an MTI of an advice (x120, x220).
const fn is_advised(kind: TransactionKind) -> bool {
    matches!(kind, TransactionKind::Advice | TransactionKind::Completion)
}

fn checked<'v, T>(
    values: &'v Values<'_>,
    leaf: Leaf,
    check: impl FnOnce(&'v str) -> Checked<T>,
) -> Result<Option<T>, FieldError> {
    let invalid = |expected| FieldError::invalid(leaf.path(), expected);
    values.text(leaf).map(check).transpose().map_err(invalid)
}

/// A part of the original, else the message's own.
fn must<'v, T>(
    values: &'v Values<'_>,
    leaf: Leaf,
    own: Leaf,
    check: impl FnOnce(&'v str) -> Checked<T>,
) -> Result<T, FieldError> {
    let at = if values.is_absent(leaf) { own } else { leaf };
    let invalid = |expected| FieldError::invalid(leaf.path(), expected);
    values
        .text(at)
        .ok_or("the original's, or the message's own in its place")
        .and_then(check)
        .map_err(invalid)
}

/// Whether the message of a type is an advice.
///
/// # Errors
/// What was expected.
pub(crate) fn mti(text: &str) -> Checked<bool> {
    match text.as_bytes() {
        [version, b'1' | b'2', function, origin]
            if [version, origin].into_iter().all(u8::is_ascii_digit) && (b'0'..=b'3').contains(function) =>
        {
            Ok(*function >= b'2')
        }
        _ => Err("the 4 digits of a message type that can be followed, as 0100, 0120, 0200 or 0220"),
    }
}

/// When a message was sent (DE7): MMDDhhmmss in UTC, or a whole time, of which that is kept.
///
/// # Errors
/// What was expected.
pub(crate) fn transmission(text: &str) -> Checked<Cow<'_, str>> {
    const EXPECTED: &str = "MMDDhhmmss in UTC, or an RFC 3339 time";
    if text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let part = |at: usize| text[at..at + 2].parse().unwrap_or(u8::MAX);
        let right = (1..=12).contains(&part(0)) && (1..=31).contains(&part(2)) && part(4) < 24;
        let right = right && part(6) < 60 && part(8) < 60;
        return if right { Ok(Cow::Borrowed(text)) } else { Err(EXPECTED) };
    }
    let ms = time::rfc3339_ms(text).map_err(|_| EXPECTED)?;
    let at = jiff::Timestamp::from_millisecond(ms).map_err(|_| EXPECTED)?;
    Ok(Cow::Owned(at.strftime("%m%d%H%M%S").to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn message_types_and_times_of_transmission() {
        for (text, is_advice) in
            [("0100", false), ("0101", false), ("1200", false), ("0120", true), ("0220", true)]
        {
            assert_eq!(mti(text), Ok(is_advice), "{text}");
        }
        for text in ["", "100", "0400", "0420", "0800", "01x0", "0140", "01000", "0１0"] {
            assert!(mti(text).is_err(), "{text}");
        }
        assert_eq!(transmission("0401000210").unwrap(), "0401000210");
        assert_eq!(transmission("2018-04-01T02:02:10.9+02:00").unwrap(), "0401000210");
        for text in [
            "",
            "0001000210",
            "1301000210",
            "0132000210",
            "0401240000",
            "0401006000",
            "0401000060",
            "04010002",
            "2018-04-01",
        ] {
            assert!(transmission(text).is_err(), "{text}");
        }
    }
}
