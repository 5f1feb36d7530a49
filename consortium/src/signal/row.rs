//! A row of a contribution's body: 104 bytes, little-endian (docs/formats/contribution.md). What may be in it depends on
//! the operation; everything else is zero, so that a row has one spelling.

use crate::error::{Error, ErrorKind, Result};
use crate::fixed::{Texts, get, get_u16, get_u32, get_u64, put, text_of};
use crate::kind::Kind;
use crate::limits::{SIGNAL_TEXT_BYTES_MAX, TIME_MS_MAX};
use crate::signal::{Key, Op, Reason, Tags};

/// Bytes of a row.
pub const ROW_BYTES: usize = 104;

/// A row: one thing that a member says about one signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// Which signal.
    pub key: Key,
    /// What is said of it.
    pub op: Op,
    /// Why: of a claim or a dispute; else `None`.
    pub reason: Option<Reason>,
    /// How grave, 0 to 100: of a claim; else 0.
    pub severity: u8,
    /// When it was first seen, in unix milliseconds: of a claim; of an outcome, when it was met; else 0.
    pub first_seen_ms: u64,
    /// When it was last seen: of a claim; of an outcome, the same as first; else 0.
    pub last_seen_ms: u64,
    /// When it ends by itself: of a claim; else 0.
    pub expires_ms: u64,
    /// SHA-256 of what the member keeps as evidence; zero where there is none.
    pub evidence: [u8; 32],
    /// The open text, of a claim about an open signal; else empty.
    pub text: &'a str,
}

impl<'a> Row<'a> {
    /// A row that says nothing beside its operation.
    pub fn bare(key: Key, op: Op) -> Row<'a> {
        Row {
            key,
            op,
            reason: None,
            severity: 0,
            first_seen_ms: 0,
            last_seen_ms: 0,
            expires_ms: 0,
            evidence: [0; 32],
            text: "",
        }
    }
    /// A dispute.
    pub fn dispute(key: Key, reason: Reason) -> Row<'a> {
        Row { reason: Some(reason), ..Row::bare(key, Op::Dispute) }
    }
    /// An outcome (`Confirmed` or `FalseAlarm`), at a time in unix milliseconds.
    pub fn outcome(key: Key, op: Op, met_ms: u64) -> Row<'a> {
        Row { first_seen_ms: met_ms, last_seen_ms: met_ms, ..Row::bare(key, op) }
    }

    /// That it says what its operation says, and nothing else.
    ///
    /// # Errors
    /// `Invalid` with the field.
    pub fn check(&self) -> Result<()> {
        let refuse = |message: &str| Err(Error::new(ErrorKind::Invalid, format!("{}: {message}", self.op)));
        if self.key.is_open() && self.key.tags.exact != [0; 16] {
            return refuse("an open signal has no exact tag");
        }
        let times = (self.first_seen_ms, self.last_seen_ms, self.expires_ms);
        if times.0.max(times.1).max(times.2) > TIME_MS_MAX {
            return refuse("a time after the year 9998");
        }
        match self.op {
            Op::Add | Op::Correct => {
                if self.reason.is_none_or(Reason::is_of_dispute) {
                    return refuse("expected a signal's reason");
                }
                if self.severity > 100 {
                    return refuse("a severity above 100");
                }
                if times.0 == 0 || times.0 > times.1 || times.1 >= times.2 {
                    return refuse("expected first seen, not after last seen, before the end");
                }
                return self.check_text();
            }
            Op::Dispute => {
                if !self.reason.is_some_and(Reason::is_of_dispute) {
                    return refuse("expected a dispute's reason");
                }
                if times != (0, 0, 0) {
                    return refuse("a dispute has no times");
                }
            }
            Op::Confirmed | Op::FalseAlarm => {
                if times.0 == 0 || times.0 != times.1 || times.2 != 0 {
                    return refuse("expected one time, when the signal was met");
                }
            }
            Op::Withdraw | Op::Expire | Op::WithdrawDispute => {
                if times != (0, 0, 0) {
                    return refuse("it has no times");
                }
            }
        }
        if self.op != Op::Dispute && self.reason.is_some() {
            return refuse("it has no reason");
        }
        if self.severity != 0 || !self.text.is_empty() {
            return refuse("it has no severity and no text");
        }
        Ok(())
    }
    fn check_text(&self) -> Result<()> {
        match self.key.is_open() {
            true => check_open_text(&self.key, self.text),
            false if self.text.is_empty() => Ok(()),
            false => Err(Error::new(ErrorKind::Invalid, "text beside a tag: the kind is not open")),
        }
    }

    /// Writes it; its text goes to the area.
    pub(crate) fn encode(&self, texts: &mut Texts) -> Result<[u8; ROW_BYTES]> {
        let (text_at, text_len) = texts.add(self.text)?;
        let mut bytes = [0; ROW_BYTES];
        bytes[0] = self.key.kind as u8;
        bytes[1] = self.op as u8;
        put(&mut bytes, 2, &self.reason.map_or(0, Reason::code).to_le_bytes());
        put(&mut bytes, 4, &self.key.key_version.to_le_bytes());
        put(&mut bytes, 8, &self.key.tags.tag);
        put(&mut bytes, 24, &self.key.tags.exact);
        put(&mut bytes, 40, &self.first_seen_ms.to_le_bytes());
        put(&mut bytes, 48, &self.last_seen_ms.to_le_bytes());
        put(&mut bytes, 56, &self.expires_ms.to_le_bytes());
        put(&mut bytes, 64, &self.evidence);
        put(&mut bytes, 96, &text_at.to_le_bytes());
        put(&mut bytes, 100, &text_len.to_le_bytes());
        bytes[102] = self.severity;
        Ok(bytes)
    }
    /// Reads one; checks what is in it alone.
    pub(crate) fn decode(bytes: &[u8], texts: &'a [u8]) -> Result<Row<'a>> {
        let reason = match get_u16(bytes, 2) {
            0 => None,
            code => Some(Reason::by_code(code)?),
        };
        if bytes[103] != 0 {
            return Err(Error::new(ErrorKind::Malformed, "its last byte is not zero"));
        }
        let row = Row {
            key: key_at(bytes)?,
            op: Op::by_number(bytes[1])?,
            reason,
            severity: bytes[102],
            first_seen_ms: get_u64(bytes, 40),
            last_seen_ms: get_u64(bytes, 48),
            expires_ms: get_u64(bytes, 56),
            evidence: get(bytes, 64),
            text: text_of(texts, get_u32(bytes, 96), get_u16(bytes, 100))?,
        };
        row.check()?;
        Ok(row)
    }
}

/// The key of a row: every row has kind, version and tags at the same places.
pub(crate) fn key_at(bytes: &[u8]) -> Result<Key> {
    let tags = Tags { tag: get(bytes, 8), exact: get(bytes, 24) };
    Ok(Key { kind: Kind::by_number(bytes[0])?, key_version: get_u32(bytes, 4), tags })
}

/// That a text is one that may be shared, and the one that the key is of.
pub(crate) fn check_open_text(key: &Key, text: &str) -> Result<()> {
    let refuse = |message: String| Err(Error::new(ErrorKind::Invalid, message));
    if text.is_empty() || text.len() > SIGNAL_TEXT_BYTES_MAX {
        return refuse(format!(
            "an open text of {} bytes: expected 1 to {SIGNAL_TEXT_BYTES_MAX}",
            text.len()
        ));
    }
    if text.trim() != text || text.contains(char::is_control) {
        return refuse("an open text with white space at an end, or control characters".into());
    }
    if key.tags != Tags::open(key.kind, text) {
        return refuse("an open signal's tag is not the hash of its text".into());
    }
    Ok(())
}
