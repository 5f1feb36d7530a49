//! Rows in the making: what an import reads, with the identifier in its canonical spelling, before it has tags. A draft
//! holds an identifier and so shows none, and wipes it when dropped.

use crate::error::{Error, ErrorKind, Place, Result};
use crate::kind::{Kind, Privacy};
use crate::limits::{IMPORT_ERRORS_MAX, TIME_MS_MAX};
use crate::signal::{Key, Op, Policies, Reason, Row, Tags};
use jiff::{Timestamp, civil::Date};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt;
use zeroize::Zeroizing;

/// An identifier as a file gives it.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    /// Of which kind.
    pub kind: Kind,
    /// As it stands there.
    pub text: &'a str,
    /// The bank of an account that is no IBAN, where the file says one.
    pub bank: Option<&'a str>,
}

/// Makes canonical spellings: those that tags are made of. Its errors must not quote what it was given.
pub type Canonical<'c> = &'c mut dyn FnMut(Given<'_>) -> Result<String>;

/// What an import takes where a file says nothing.
#[derive(Debug, Clone, Copy)]
pub struct Defaults<'a> {
    /// The rules of the kinds: which are shared, and how long a signal lives.
    pub policies: &'a Policies,
    /// Why, where a row gives no reason.
    pub reason: Reason,
    /// Now, in unix milliseconds: when a signal was seen, where a row says nothing. Nothing may be seen later.
    pub now_ms: u64,
}

/// A row without tags.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft {
    /// Where in the file it stands.
    pub place: Place,
    /// Of which kind.
    pub kind: Kind,
    /// The identifier in its canonical spelling.
    pub canonical: Zeroizing<String>,
    /// What is said of it.
    pub op: Op,
    /// Why.
    pub reason: Option<Reason>,
    /// How grave.
    pub severity: u8,
    /// When it was first seen, in unix milliseconds.
    pub first_seen_ms: u64,
    /// When it was last seen.
    pub last_seen_ms: u64,
    /// When it ends.
    pub expires_ms: u64,
    /// SHA-256 of the evidence, or zero.
    pub evidence: [u8; 32],
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Draft({:?}, {}, {}, …)", self.place, self.kind, self.op)
    }
}

impl Draft {
    /// The row under a key.
    pub fn row(&self, key: Key) -> Row<'_> {
        let text = if key.is_open() && self.op.has_claim() { self.canonical.as_str() } else { "" };
        Row {
            key,
            op: self.op,
            reason: self.reason,
            severity: self.severity,
            first_seen_ms: self.first_seen_ms,
            last_seen_ms: self.last_seen_ms,
            expires_ms: self.expires_ms,
            evidence: self.evidence,
            text,
        }
    }
}

/// The rows of drafts, to write a body of. `tags` makes those of an identifier under a version of the key; it is not asked
/// about kinds that are open. Exact tags come from a service, in batches: who has them already looks them up here.
///
/// # Errors
/// What `tags` says, and `Invalid` for what the kind's level does not allow, both at the draft's place.
pub fn rows<'d>(
    drafts: &'d [Draft],
    policies: &Policies,
    key_version: u32,
    mut tags: impl FnMut(Kind, &str) -> Result<Tags>,
) -> Result<Vec<Row<'d>>> {
    let mut rows = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let at = |e: Error| e.at(draft.place.clone());
        let policy = policies.get(draft.kind).ok_or_else(|| at(not_shared(draft.kind)))?;
        let key = match policy.privacy {
            Privacy::Open => Key::open(draft.kind, &draft.canonical),
            Privacy::Keyed | Privacy::Oblivious => {
                let tags = tags(draft.kind, &draft.canonical).map_err(at)?.cut_to(policy.bits);
                Key { kind: draft.kind, key_version, tags }
            }
        };
        let row = draft.row(key);
        policy.check_key(&key).and_then(|()| row.check()).map_err(at)?;
        rows.push(row);
    }
    Ok(rows)
}

/// What an import came to: all that was right, and where the rest is wrong.
#[derive(Debug, Default)]
pub struct Imported {
    /// What was right, in the file's order.
    pub drafts: Vec<Draft>,
    /// What was wrong, at most `IMPORT_ERRORS_MAX`; none quotes an identifier.
    pub errors: Vec<Error>,
    /// How many errors more there were.
    pub errors_unnamed: u64,
    /// What was passed over as none of ours: other objects, deleted ones, kinds that are not shared.
    pub passed_over: u64,
    /// By a hash, so that no second copy of an identifier is kept; gone when the import ends.
    seen: HashMap<[u8; 32], usize>,
}

impl Imported {
    pub(crate) fn fail(&mut self, place: Place, error: Error) {
        match self.errors.len() < IMPORT_ERRORS_MAX {
            true => self.errors.push(error.at(place)),
            false => self.errors_unnamed += 1,
        }
    }
    /// Takes a draft, unless the file has said something about it before: then its number.
    pub(crate) fn take(&mut self, draft: Draft) -> std::result::Result<(), (usize, Draft)> {
        let parts = [draft.kind as u8, draft.op.aspect() as u8];
        let key =
            Sha256::new().chain_update(parts).chain_update(draft.canonical.as_bytes()).finalize().into();
        match self.seen.get(&key) {
            Some(before) => Err((*before, draft)),
            None => {
                self.seen.insert(key, self.drafts.len());
                self.drafts.push(draft);
                Ok(())
            }
        }
    }
    pub(crate) fn finish(mut self) -> Imported {
        self.seen = HashMap::new();
        self
    }
}

pub(crate) fn not_shared(kind: Kind) -> Error {
    Error::new(ErrorKind::Invalid, format!("signals of kind {kind} are not shared here"))
}

/// A time: RFC 3339, a date (its beginning in UTC), or unix milliseconds.
pub(crate) fn time_ms(text: &str) -> Option<u64> {
    let ms = match text.parse::<u64>() {
        Ok(ms) => ms,
        Err(_) => {
            let time = text.parse::<Timestamp>().ok().or_else(|| {
                let zoned = text.parse::<Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
                Some(zoned.timestamp())
            });
            u64::try_from(time?.as_millisecond()).ok()?
        }
    };
    Some(ms).filter(|ms| (1..=TIME_MS_MAX).contains(ms))
}
