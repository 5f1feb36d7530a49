//! The two records of a transaction: `accepted`, what was taken in and stamped, and `decided`, the record of law.

use super::decision::Outcome;
use super::decision::{GenerationId, VERDICT_VERSION, Verdict};
use super::event::{Body, Event, EventKind, KeyTaken, Label, ListDelta};
use super::hold::{Clear, Found, HoldAct, Opened};
use super::reason::Reason;
use super::transaction::{Earlier, Keyed, Transaction};
use super::wire::append;
use crate::error::{Error, ErrorKind};
use crate::limits::{BANKS_MAX, TAG_KEYS_EARLIER_MAX};
use crate::stage::{SkipReason, Stage};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::sync::Arc;

/// A feature's stamped value: an integer, or undecided.
pub type Stamp = Option<i64>;

/// An event with its stamps.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// Place in the one order, from 1.
    pub sequence: u64,
    /// The event.
    pub event: Event,
    /// The generation it was stamped with.
    pub generation: GenerationId,
    /// Version of the engine that stamped it.
    pub engine: String,
    /// Feature values, in the order of the generation's feature slots; empty for what is not a payment.
    pub features: Vec<Stamp>,
    /// Positions in `features`, ascending, whose value is approximate: its window reaches past the key's exact events
    /// into panes of at most 1/60 of it, which are counted whole.
    pub approximate: Vec<u16>,
    /// The identity's key (wire.md, idempotency): a keyed hash of tenant and key; `None` without identity.
    pub identity: Option<u128>,
    /// The key its `id` alone would give, where a client's header key won over it.
    pub alias: Option<u128>,
    /// Keyed digest of what identity compares.
    pub payment_digest: u128,
    /// Sequence of the payment this message follows (a reversal's original), where it was found.
    pub original: Option<u64>,
    /// The identities one of which that payment will have, where it was not found and the message waits for it.
    pub waits_for: Vec<u128>,
}

/// Version of the encodings below; the first byte of each.
pub const RECORD_VERSION: u8 = 1;
/// Version of an accepted record with approximate values: their positions stand before the rest. One without is still
/// written as version 1, byte for byte.
pub const RECORD_VERSION_APPROXIMATE: u8 = 2;
/// Version of an accepted record that waits for its payment: the positions, which may be none, then the identities
/// stand before the rest.
pub const RECORD_VERSION_WAITS: u8 = 3;

/// Version of an accepted record of a payment that was tagged under earlier keys too: positions and identities to wait
/// for, which may be none, then what it is known by under each of those keys stand before the rest.
pub const RECORD_VERSION_EARLIER: u8 = 4;

#[derive(Serialize, Deserialize)]
struct Header<'a> {
    sequence: u64,
    tenant: &'a str,
    arrival_ms: i64,
    kind: EventKind,
    generation: GenerationId,
    engine: &'a str,
    features: Cow<'a, [Stamp]>,
    identity: Option<u128>,
    alias: Option<u128>,
    payment_digest: u128,
    original: Option<u64>,
    #[serde(with = "serde_bytes_slice")]
    body: &'a [u8],
}

/// `&[u8]` as a length and bytes, without a crate for two functions.
mod serde_bytes_slice {
    pub fn serialize<S: serde::Serializer>(bytes: &&[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(bytes)
    }
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(d: D) -> Result<&'de [u8], D::Error> {
        serde::Deserialize::deserialize(d)
    }
}

#[derive(Serialize, Deserialize)]
enum OtherBody {
    Outcome { target: u64, outcome: Outcome },
    Label { target: u64, label: Label, time_ms: i64 },
    ListDelta(ListDelta),
    Publish { generation: GenerationId },
    Hunt(Found),
    HoldAct(HoldAct),
    Key(KeyTaken),
    Clear(Clear),
    Hunted { through: u64 },
}

/// Positions of approximate values, identities to wait for, and what it is known by under earlier keys.
type Front = (Vec<u16>, Vec<u128>, Vec<Earlier>);

fn corrupt(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Corrupt, format!("record: {what}"))
}

fn strip_version(bytes: &[u8]) -> Result<&[u8], Error> {
    match bytes.split_first() {
        Some((&RECORD_VERSION, rest)) => Ok(rest),
        Some((version, _)) => {
            Err(Error::new(ErrorKind::Version, format!("record: version {version}, known: {RECORD_VERSION}")))
        }
        None => Err(corrupt("no bytes")),
    }
}

impl Accepted {
    /// The open part: everything but names and free text.
    pub fn encode_open(&self) -> Vec<u8> {
        let body = match &self.event.body {
            Body::Payment(tx) => tx.encode_open(),
            other => {
                let other = match other.clone() {
                    Body::Payment(_) => unreachable!("matched above"),
                    Body::Outcome { target, outcome } => OtherBody::Outcome { target, outcome },
                    Body::Label { target, label, time_ms } => OtherBody::Label { target, label, time_ms },
                    Body::ListDelta(delta) => OtherBody::ListDelta(*delta),
                    Body::Publish { generation } => OtherBody::Publish { generation },
                    Body::Hunt(found) => OtherBody::Hunt(*found),
                    Body::HoldAct(act) => OtherBody::HoldAct(*act),
                    Body::Key(taken) => OtherBody::Key(*taken),
                    Body::Clear(clear) => OtherBody::Clear(*clear),
                    Body::Hunted { through } => OtherBody::Hunted { through },
                };
                postcard::to_stdvec(&other).expect("plain data always encodes")
            }
        };
        let header = Header {
            sequence: self.sequence,
            tenant: &self.event.tenant,
            arrival_ms: self.event.arrival_ms,
            kind: self.event.kind(),
            generation: self.generation,
            engine: &self.engine,
            features: Cow::Borrowed(&self.features),
            identity: self.identity,
            alias: self.alias,
            payment_digest: self.payment_digest,
            original: self.original,
            body: &body,
        };
        // What a payment's header and features take, as a rule.
        let mut out = Vec::with_capacity(256 + 4 * self.features.len() + body.len());
        out.push(RECORD_VERSION);
        let earlier = self.earlier();
        let waits = !self.waits_for.is_empty() || !earlier.is_empty();
        if !self.approximate.is_empty() || waits {
            out[0] = RECORD_VERSION_APPROXIMATE;
            append(&self.approximate, &mut out);
        }
        if waits {
            out[0] = RECORD_VERSION_WAITS;
            append(&self.waits_for, &mut out);
        }
        if !earlier.is_empty() {
            out[0] = RECORD_VERSION_EARLIER;
            append(earlier, &mut out);
        }
        append(&header, &mut out);
        out
    }
    fn earlier(&self) -> &[Earlier] {
        match &self.event.body {
            Body::Payment(tx) => &tx.keyed().earlier,
            _ => &[],
        }
    }
    /// The sealed part: names and free text, what somebody wrote about a hold; empty where there is none.
    pub fn encode_sealed(&self) -> Vec<u8> {
        match &self.event.body {
            Body::Payment(tx) => tx.encode_sealed(),
            Body::HoldAct(act) => act.comment.clone().into_bytes(),
            _ => Vec::new(),
        }
    }
    /// The kind of event that a record's open part is of, without reading the rest: whoever looks for few of them goes
    /// over millions.
    ///
    /// # Errors
    /// `Version` or `Corrupt`.
    pub fn kind_of(open: &[u8]) -> Result<EventKind, Error> {
        let (_, header) = Accepted::front(open)?;
        // The header's first fields, which have no marks between them.
        let (first, _) = postcard::take_from_bytes::<(u64, &str, i64, EventKind)>(header).map_err(corrupt)?;
        Ok(first.3)
    }
    /// What may stand before the header, and the header.
    fn front(open: &[u8]) -> Result<(Front, &[u8]), Error> {
        Ok(match open.split_first() {
            Some((&RECORD_VERSION_APPROXIMATE, rest)) => {
                let (approximate, rest) = postcard::take_from_bytes(rest).map_err(corrupt)?;
                ((approximate, Vec::new(), Vec::new()), rest)
            }
            Some((&RECORD_VERSION_WAITS, rest)) => {
                let ((approximate, waits_for), rest) = postcard::take_from_bytes(rest).map_err(corrupt)?;
                ((approximate, waits_for, Vec::new()), rest)
            }
            Some((&RECORD_VERSION_EARLIER, rest)) => postcard::take_from_bytes(rest).map_err(corrupt)?,
            _ => (Default::default(), strip_version(open)?),
        })
    }
    /// The record of its two parts. Without the sealed part a payment's text fields are absent.
    ///
    /// # Errors
    /// `Version` or `Corrupt`.
    pub fn decode(open: &[u8], sealed: Option<&[u8]>) -> Result<Accepted, Error> {
        let ((approximate, waits_for, earlier), header) = Accepted::front(open)?;
        if earlier.len() > TAG_KEYS_EARLIER_MAX {
            return Err(corrupt("more earlier tag keys than there may be"));
        }
        let header: Header<'_> = postcard::from_bytes(header).map_err(corrupt)?;
        if approximate.iter().any(|at| usize::from(*at) >= header.features.len()) {
            return Err(corrupt("an approximate value that is not there"));
        }
        let tenant: Arc<str> = header.tenant.into();
        let body = match header.kind {
            EventKind::Transaction
            | EventKind::Advice
            | EventKind::Reversal
            | EventKind::Repeat
            | EventKind::Completion
            | EventKind::Refund => {
                let mut tx = Transaction::decode(tenant.clone(), header.body, sealed)?;
                if !earlier.is_empty() {
                    tx.set_keyed(Keyed { earlier, ..Keyed::default() });
                }
                Body::Payment(Box::new(tx))
            }
            _ => match postcard::from_bytes(header.body).map_err(corrupt)? {
                OtherBody::Outcome { target, outcome } => Body::Outcome { target, outcome },
                OtherBody::Label { target, label, time_ms } => Body::Label { target, label, time_ms },
                OtherBody::ListDelta(delta) => Body::ListDelta(Box::new(delta)),
                OtherBody::Publish { generation } => Body::Publish { generation },
                OtherBody::Hunt(found) => Body::Hunt(Box::new(found)),
                OtherBody::HoldAct(act) => {
                    // Of a destroyed key, or of a reader that has none, nothing is left to say.
                    let comment = sealed.map(|bytes| String::from_utf8(bytes.to_vec()).map_err(corrupt));
                    Body::HoldAct(Box::new(HoldAct {
                        comment: comment.transpose()?.unwrap_or_default(),
                        ..act
                    }))
                }
                OtherBody::Key(taken) => Body::Key(Box::new(taken)),
                OtherBody::Clear(clear) => Body::Clear(Box::new(clear)),
                OtherBody::Hunted { through } => Body::Hunted { through },
            },
        };
        let event = Event { tenant, arrival_ms: header.arrival_ms, body };
        if event.kind() != header.kind {
            return Err(corrupt("a body of another kind than its header says"));
        }
        Ok(Accepted {
            sequence: header.sequence,
            event,
            generation: header.generation,
            engine: header.engine.into(),
            features: header.features.into_owned(),
            approximate,
            identity: header.identity,
            alias: header.alias,
            payment_digest: header.payment_digest,
            original: header.original,
            waits_for,
        })
    }
}

/// What the banks of a generation said, inline for as many as there may be: every payment has one of these where there
/// are banks, and a lane does not allocate.
pub type RecordedBanks = SmallVec<[Option<[i64; 3]>; BANKS_MAX]>;

/// What is kept beside a verdict: what it used and nobody can make again from the payment and its generation alone
/// (what banks had learned by then, and the scores of models that compute in floating point), and what it says nothing
/// of, because a fact is only recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// By bank of the generation: best likeness, how many are near, fraud share; empty when no bank had an answer.
    pub banks: RecordedBanks,
    /// Model number and score, 0 to 1000.
    pub models: Vec<(u16, Option<u16>)>,
    /// Of a fact: the outcome it would have had as a request, where that is stronger than approve. What a case or hold
    /// is opened for.
    #[serde(skip)]
    pub would: Option<Outcome>,
    /// The hold that begins with this verdict.
    #[serde(skip)]
    pub hold: Option<Box<Opened>>,
    /// Of a verdict that was finished: what had been said of its candidates by then.
    #[serde(skip)]
    pub confirmed: Vec<Confirmation>,
}

/// What was said of an identifier that was a candidate of a consortium's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Confirmation {
    /// The field it is in, as its catalogue number.
    pub field: u8,
    /// Whether its exact tag is listed; else the candidates of the field are none.
    pub listed: bool,
}

impl Recorded {
    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.banks.is_empty() && self.models.is_empty() && self.would.is_none() && self.hold.is_none()
    }
}

/// The record of law of one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The canonical verdict.
    pub verdict: Verdict,
    /// Whether it was decided at recovery, from an `accepted` that had no `decided`.
    pub recovered: bool,
    /// What the verdict used and cannot be made again.
    pub recorded: Recorded,
}

/// Version of a decided record that has a [`Recorded`]; one without is still written as version 1.
const DECIDED_RECORDED: u8 = 2;
/// Version of one of a fact that would have been stopped: that outcome stands before the rest.
const DECIDED_WOULD: u8 = 3;
/// Version of one that a hold begins with: that outcome (or [`NO_OUTCOME`]) and the hold stand before the rest.
const DECIDED_HOLD: u8 = 4;
/// Stands for an outcome where there is none.
const NO_OUTCOME: u8 = u8::MAX;

impl Decided {
    /// The record's bytes: version, mark, what was recorded where there is any, canonical verdict.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        let version = match (&self.recorded.hold, self.recorded.would) {
            (Some(_), _) => DECIDED_HOLD,
            (None, Some(_)) => DECIDED_WOULD,
            (None, None) if self.recorded.is_empty() => RECORD_VERSION,
            (None, None) => DECIDED_RECORDED,
        };
        out.extend([version, u8::from(self.recovered)]);
        out.extend(self.recorded.would.map(|would| would as u8));
        if let Some(hold) = &self.recorded.hold {
            if self.recorded.would.is_none() {
                out.push(NO_OUTCOME);
            }
            append(hold, &mut out);
        }
        if version != RECORD_VERSION {
            append(&self.recorded, &mut out);
        }
        self.verdict.encode_into(&mut out);
        out
    }
    /// Sequence, outcome, and whether stages were skipped, of the record of these bytes: what is asked of thousands at
    /// once. That the verdict is spelled as it must be is not looked at.
    ///
    /// # Errors
    /// As [`Decided::decode`].
    pub fn in_short(bytes: &[u8]) -> Result<(u64, Outcome, bool), Error> {
        #[derive(Deserialize)]
        struct Front {
            sequence: u64,
            outcome: Outcome,
            _score: u16,
            _reasons: Vec<Reason>,
            skipped: Vec<(Stage, SkipReason)>,
        }
        if let [RECORD_VERSION, 0 | 1, VERDICT_VERSION, rest @ ..] = bytes {
            let (Front { sequence, outcome, skipped, .. }, _) =
                postcard::take_from_bytes(rest).map_err(corrupt)?;
            return Ok((sequence, outcome, !skipped.is_empty()));
        }
        let Verdict { sequence, outcome, skipped, .. } = Decided::decode(bytes)?.verdict;
        Ok((sequence, outcome, !skipped.is_empty()))
    }
    /// Whether a hold begins with the record of these bytes.
    pub fn has_hold(bytes: &[u8]) -> bool {
        bytes.first() == Some(&DECIDED_HOLD)
    }
    /// The record of its bytes.
    ///
    /// # Errors
    /// `Version` or `Corrupt`.
    pub fn decode(bytes: &[u8]) -> Result<Decided, Error> {
        let (version, rest) = match bytes.split_first() {
            Some((&version @ (DECIDED_RECORDED | DECIDED_WOULD | DECIDED_HOLD), rest)) => (version, rest),
            _ => (RECORD_VERSION, strip_version(bytes)?),
        };
        let Some((mark @ (0 | 1), rest)) = rest.split_first() else { return Err(corrupt("no mark")) };
        let (would, rest) = match (version, rest.split_first()) {
            (DECIDED_HOLD, Some((&NO_OUTCOME, rest))) => (None, rest),
            (DECIDED_WOULD | DECIDED_HOLD, Some((number, rest))) => {
                let would = Outcome::ALL.into_iter().find(|outcome| *outcome as u8 == *number);
                (Some(would.ok_or_else(|| corrupt("no such outcome"))?), rest)
            }
            _ => (None, rest),
        };
        let (hold, rest) = match version {
            DECIDED_HOLD => {
                let (hold, rest) = postcard::take_from_bytes(rest).map_err(corrupt)?;
                (Some(hold), rest)
            }
            _ => (None, rest),
        };
        let (recorded, verdict) = match version {
            RECORD_VERSION => (Recorded::default(), rest),
            _ => postcard::take_from_bytes(rest).map_err(corrupt)?,
        };
        let recorded = Recorded { would, hold, ..recorded };
        Ok(Decided { verdict: Verdict::decode(verdict)?, recovered: *mark == 1, recorded })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::domain::TransactionKind;

    fn accepted(approximate: &[u16]) -> Accepted {
        let tx = Transaction::new("acme".into(), TransactionKind::Request, 1_700_000_000_000);
        Accepted {
            sequence: 7,
            event: Event { tenant: "acme".into(), arrival_ms: 5, body: Body::Payment(Box::new(tx)) },
            generation: GenerationId { hash: [3; 32], overlay: 2 },
            engine: "0.1.0".into(),
            features: vec![Some(3), None, Some(-1)],
            approximate: approximate.to_vec(),
            identity: Some(9),
            alias: None,
            payment_digest: 11,
            original: None,
            waits_for: Vec::new(),
        }
    }

    #[test]
    fn what_a_fact_would_have_been_is_kept_and_records_without_are_as_before() {
        let verdict = Verdict {
            sequence: 7,
            outcome: Outcome::Recorded,
            score: 900,
            reasons: Vec::new(),
            skipped: Vec::new(),
            default_applied: false,
            lever: crate::domain::Lever::None,
            generation: GenerationId { hash: [3; 32], overlay: 2 },
        };
        let models = vec![(1, Some(3))];
        for (would, models, version) in [
            (None, Vec::new(), RECORD_VERSION),
            (None, models.clone(), DECIDED_RECORDED),
            (Some(Outcome::Decline), Vec::new(), DECIDED_WOULD),
            (Some(Outcome::Review), models, DECIDED_WOULD),
        ] {
            let recorded = Recorded { models, would, ..Recorded::default() };
            let decided = Decided { verdict: verdict.clone(), recovered: false, recorded };
            let bytes = decided.encode();
            assert_eq!(bytes[0], version);
            assert!(bytes.ends_with(&verdict.encode()), "the verdict's bytes are the same");
            assert_eq!(Decided::decode(&bytes).unwrap(), decided);
            for cut in 0..bytes.len() {
                assert!(Decided::decode(&bytes[..cut]).is_err());
            }
        }
        assert!(Decided::decode(&[DECIDED_WOULD, 0, 9, 0, 0]).is_err());
    }

    #[test]
    fn what_a_message_waits_for_is_kept_and_records_without_are_as_before() {
        for approximate in [&[][..], &[1]] {
            let mut waits = accepted(approximate);
            waits.waits_for = vec![7, u128::MAX];
            let bytes = waits.encode_open();
            assert_eq!(bytes[0], RECORD_VERSION_WAITS);
            assert!(bytes.ends_with(&accepted(&[]).encode_open()[1..]));
            assert_eq!(Accepted::decode(&bytes, Some(&[])).unwrap(), waits);
            for cut in 0..bytes.len() {
                assert!(Accepted::decode(&bytes[..cut], Some(&[])).is_err());
            }
        }
    }

    #[test]
    fn approximate_values_are_marked_and_records_without_any_are_as_before() {
        let exact = accepted(&[]).encode_open();
        assert_eq!(exact[0], RECORD_VERSION);
        assert_eq!(Accepted::decode(&exact, Some(&[])).unwrap(), accepted(&[]));
        let marked = accepted(&[0, 2]).encode_open();
        assert_eq!(marked[..4], [RECORD_VERSION_APPROXIMATE, 2, 0, 2]);
        assert_eq!(marked[4..], exact[1..]);
        assert_eq!(Accepted::decode(&marked, Some(&[])).unwrap(), accepted(&[0, 2]));
        for cut in 0..marked.len() {
            assert!(Accepted::decode(&marked[..cut], Some(&[])).is_err());
        }
        let error = Accepted::decode(&accepted(&[3]).encode_open(), Some(&[])).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Corrupt);
        let error = Accepted::decode(&[5, 0], Some(&[])).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Version);
    }

    #[test]
    fn what_a_payment_is_known_by_under_earlier_keys_is_kept_and_records_without_are_as_before() {
        let one = Earlier { identity: Some(7), alias: None, digest: 5 };
        let two = Earlier { identity: None, alias: Some(u128::MAX), digest: 6 };
        for (approximate, waits_for, earlier) in [
            (&[][..], vec![], vec![one]),
            (&[1], vec![], vec![one, two]),
            (&[], vec![9], vec![Earlier::default()]),
        ] {
            let mut rotated = accepted(approximate);
            rotated.waits_for = waits_for;
            let Body::Payment(tx) = &mut rotated.event.body else { panic!() };
            tx.set_keyed(Keyed { rotations: 3, earlier: earlier.clone() });
            let bytes = rotated.encode_open();
            assert_eq!(bytes[0], RECORD_VERSION_EARLIER);
            assert!(bytes.ends_with(&accepted(&[]).encode_open()[1..]));
            assert_eq!(Accepted::kind_of(&bytes).unwrap(), EventKind::Transaction);
            let back = Accepted::decode(&bytes, Some(&[])).unwrap();
            assert_eq!(back, rotated);
            let Body::Payment(tx) = &back.event.body else { panic!() };
            let recorded = |one: &Earlier| Earlier { digest: 0, ..*one };
            assert_eq!(tx.keyed().earlier, earlier.iter().map(recorded).collect::<Vec<_>>());
            assert_eq!(back.encode_open(), bytes);
            for cut in 0..bytes.len() {
                assert!(Accepted::decode(&bytes[..cut], Some(&[])).is_err());
            }
        }
    }

    #[test]
    fn a_key_that_was_taken_up_is_an_event() {
        use crate::domain::KeyUse;
        let taken = KeyTaken {
            used_for: KeyUse::Tags,
            number: 2,
            ident: [7; 8],
            until_ms: Some(9),
            by: "ops".into(),
        };
        let mut record = accepted(&[]);
        record.event.body = Body::Key(Box::new(taken));
        let bytes = record.encode_open();
        assert_eq!(Accepted::kind_of(&bytes).unwrap(), EventKind::Key);
        assert!(Accepted::kind_of(&bytes[..8]).is_err());
        assert_eq!(Accepted::decode(&bytes, Some(&[])).unwrap(), record);
        assert!(record.encode_sealed().is_empty());
    }
}

#[cfg(test)]
mod holds;
