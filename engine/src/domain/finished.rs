//! The record of a payment that was finished: its verdict as it would have been had no stage been skipped for want of
//! time. The record of law stays the one that was answered; this one is for what happens until settlement.

use super::record::{Decided, Recorded};
use super::{Outcome, Verdict};
use crate::error::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

/// Version of the encoding below; its first byte.
const VERSION: u8 = 1;
/// Version of a record with confirmations: they stand behind the header. One without is still written as version 1.
const VERSION_CONFIRMED: u8 = 2;

/// What finishing came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// When it was made, ms since the Unix epoch.
    pub at_ms: i64,
    /// Version of the engine that made it.
    pub engine: String,
    /// The verdict with all stages, by what the payment was judged by at its sequence.
    pub verdict: Verdict,
    /// What the verdict used and cannot be made again.
    pub recorded: Recorded,
}

#[derive(Serialize, Deserialize)]
struct Header<'a> {
    at_ms: i64,
    engine: &'a str,
}

impl Finished {
    /// The outcome that counts: of a fact, which is only recorded, the one that it would have had as a request.
    pub fn outcome(&self) -> Outcome {
        self.recorded.would.unwrap_or(self.verdict.outcome)
    }
    /// The record's bytes: version, time, engine, confirmations where there are any, then what a `decided` of the same
    /// verdict is.
    pub fn encode(&self) -> Vec<u8> {
        let header = Header { at_ms: self.at_ms, engine: &self.engine };
        let confirmed = &self.recorded.confirmed;
        let version = if confirmed.is_empty() { VERSION } else { VERSION_CONFIRMED };
        let mut out = postcard::to_extend(&header, vec![version]).expect("plain data always encodes");
        if !confirmed.is_empty() {
            out = postcard::to_extend(confirmed, out).expect("plain data always encodes");
        }
        let (verdict, recorded) = (self.verdict.clone(), self.recorded.clone());
        out.extend(Decided { verdict, recovered: false, recorded }.encode());
        out
    }
    /// The record of its bytes.
    ///
    /// # Errors
    /// `Version` or `Corrupt`.
    pub fn decode(bytes: &[u8]) -> Result<Finished, Error> {
        let corrupt = |what: String| Error::new(ErrorKind::Corrupt, format!("finished record: {what}"));
        let (version, rest) = match bytes.split_first() {
            Some((&version @ (VERSION | VERSION_CONFIRMED), rest)) => (version, rest),
            Some((version, _)) => {
                let text = format!("finished record: version {version}, known: {VERSION}");
                return Err(Error::new(ErrorKind::Version, text));
            }
            None => return Err(corrupt("no bytes".into())),
        };
        let (Header { at_ms, engine }, rest) =
            postcard::take_from_bytes(rest).map_err(|e| corrupt(e.to_string()))?;
        let (confirmed, rest) = match version {
            VERSION => (Vec::new(), rest),
            _ => postcard::take_from_bytes(rest).map_err(|e| corrupt(e.to_string()))?,
        };
        if version == VERSION_CONFIRMED && confirmed.is_empty() {
            return Err(corrupt("no confirmations where there should be some".into()));
        }
        let Decided { verdict, recovered, recorded } = Decided::decode(rest)?;
        let recorded = Recorded { confirmed, ..recorded };
        if recovered {
            return Err(corrupt("marked as recovered".into()));
        }
        Ok(Finished { at_ms, engine: engine.to_owned(), verdict, recorded })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::record::Confirmation;
    use super::super::{GenerationId, Lever};
    use super::*;

    #[test]
    fn it_is_what_was_encoded_ends_with_the_verdict_and_is_never_half_read() {
        let verdict = Verdict {
            sequence: 7,
            outcome: Outcome::Decline,
            score: 900,
            reasons: Vec::new(),
            skipped: Vec::new(),
            default_applied: false,
            lever: Lever::None,
            generation: GenerationId { hash: [3; 32], overlay: 2 },
        };
        let recorded = Recorded { models: vec![(1, Some(3))], ..Recorded::default() };
        let finished = Finished { at_ms: -5, engine: "0.1.0".into(), verdict, recorded };
        let bytes = finished.encode();
        assert!(bytes.ends_with(&finished.verdict.encode()));
        assert_eq!(Finished::decode(&bytes).unwrap(), finished);
        for cut in 0..bytes.len() {
            assert!(Finished::decode(&bytes[..cut]).is_err());
        }
        let confirmed = vec![Confirmation { field: 3, listed: true }, Confirmation { field: 9, listed: false }];
        let recorded = Recorded { confirmed, ..finished.recorded.clone() };
        let with = Finished { recorded, ..finished.clone() };
        assert_eq!((Finished::decode(&with.encode()).unwrap(), with.encode()[0]), (with.clone(), 2));
        for cut in 0..with.encode().len() {
            assert!(Finished::decode(&with.encode()[..cut]).is_err());
        }
        let mut later = bytes;
        later[0] = 3;
        assert_eq!(Finished::decode(&later).unwrap_err().kind, ErrorKind::Version);
    }
}
