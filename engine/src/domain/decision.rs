//! The canonical verdict and its one versioned binary encoding. "The same bytes" always means this encoding.

use super::reason::Reason;
use super::wire::append;
use crate::error::{Error, ErrorKind};
use crate::stage::{SkipReason, Stage};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What is answered, weakest first; a verdict is the strongest of what hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Outcome {
    /// A fact was taken note of (advice, reversal, completion); nothing was to be decided.
    Recorded = 0,
    /// Go on.
    Approve = 1,
    /// Go on; a case is opened.
    Review = 2,
    /// Step-up authentication.
    Challenge = 3,
    /// Authorised, but what the lever names is delayed.
    Hold = 4,
    /// Refused.
    Decline = 5,
}

impl Outcome {
    /// All outcomes, weakest first.
    pub const ALL: [Outcome; 6] =
        [Self::Recorded, Self::Approve, Self::Review, Self::Challenge, Self::Hold, Self::Decline];
    /// The outcome's name, as on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Approve => "approve",
            Self::Review => "review",
            Self::Challenge => "challenge",
            Self::Hold => "hold",
            Self::Decline => "decline",
        }
    }
    /// The outcome of a name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// What can still stop a payment after its authorization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Lever {
    /// Nothing.
    None = 0,
    /// The merchant's payout is withheld.
    WithholdPayout = 1,
    /// The capture is cancelled (0400, void).
    CancelCapture = 2,
    /// The transfer is stopped before the rail's cut-off.
    StopBeforeCutoff = 3,
    /// Accepted without posting (ISO 20022 ACWP).
    AcceptWithoutPosting = 4,
    /// The goods are detained.
    DetainGoods = 5,
    /// A recall is asked for (camt.056); a request only.
    Recall = 6,
}

impl Lever {
    /// All levers.
    pub const ALL: [Lever; 7] = [
        Self::None,
        Self::WithholdPayout,
        Self::CancelCapture,
        Self::StopBeforeCutoff,
        Self::AcceptWithoutPosting,
        Self::DetainGoods,
        Self::Recall,
    ];
    /// The lever's name, as on the wire and in config.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::WithholdPayout => "withhold_payout",
            Self::CancelCapture => "cancel_capture",
            Self::StopBeforeCutoff => "stop_before_cutoff",
            Self::AcceptWithoutPosting => "accept_without_posting",
            Self::DetainGoods => "detain_goods",
            Self::Recall => "recall",
        }
    }
    /// The lever of a name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lever| lever.name() == name)
    }
}

/// Which generation decided: a content hash, and the sequence of the last list delta it had seen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GenerationId {
    /// SHA-256 of the generation's manifest.
    pub hash: [u8; 32],
    /// Sequence of the last list delta, or of the publication itself when none came after it.
    pub overlay: u64,
}

impl GenerationId {
    /// The first twelve hex digits of the hash, which name the generation to people and folders.
    pub fn short(&self) -> String {
        self.hash[..6].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for GenerationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every answer has one: written as it is made.
        let [a, b, c, d, e, g, ..] = self.hash;
        write!(f, "g-{a:02x}{b:02x}{c:02x}{d:02x}{e:02x}{g:02x}@{}", self.overlay)
    }
}

impl fmt::Debug for GenerationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The canonical verdict. Latency, host and time of answer are not in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Verdict {
    /// The transaction's place in the one order.
    pub sequence: u64,
    /// What is answered.
    pub outcome: Outcome,
    /// 0 to 1000; ranks, and decides only through rules.
    pub score: u16,
    /// Why, strongest first.
    pub reasons: Vec<Reason>,
    /// Stages that did not answer, in flow order.
    pub skipped: Vec<(Stage, SkipReason)>,
    /// Whether a skipped stage's declared default took part.
    pub default_applied: bool,
    /// What can still stop the payment.
    pub lever: Lever,
    /// The generation that decided.
    pub generation: GenerationId,
}

/// Version of the canonical encoding; its first byte.
pub const VERDICT_VERSION: u8 = 1;

impl Verdict {
    /// Appends the canonical encoding: the version byte, then the fields in their order as postcard writes them
    /// (`docs/formats/verdict.md`).
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.push(VERDICT_VERSION);
        append(self, out);
    }
    /// The canonical encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        self.encode_into(&mut out);
        out
    }
    /// The verdict of a canonical encoding.
    ///
    /// # Errors
    /// `Version` for another first byte, `Corrupt` for bytes that are not the canonical encoding of a verdict.
    pub fn decode(bytes: &[u8]) -> Result<Verdict, Error> {
        match bytes.split_first() {
            Some((&VERDICT_VERSION, rest)) => {
                let (verdict, left) = postcard::take_from_bytes::<Verdict>(rest)
                    .map_err(|e| Error::new(ErrorKind::Corrupt, format!("verdict: {e}")))?;
                // Varints have longer spellings; only the one our encoder writes is canonical.
                if !left.is_empty() || verdict.encode() != bytes {
                    return Err(Error::new(ErrorKind::Corrupt, "verdict: not in canonical form"));
                }
                Ok(verdict)
            }
            Some((version, _)) => Err(Error::new(
                ErrorKind::Version,
                format!("verdict: version {version}, known: {VERDICT_VERSION}"),
            )),
            None => Err(Error::new(ErrorKind::Corrupt, "verdict: no bytes")),
        }
    }
}

impl FromStr for Outcome {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        Outcome::by_name(name).ok_or_else(|| {
            let known: Vec<&str> = Outcome::ALL.iter().map(|o| o.name()).collect();
            Error::new(ErrorKind::Invalid, format!("outcome {name:?}: expected one of {}", known.join(", ")))
        })
    }
}
