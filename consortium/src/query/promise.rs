//! The promise that an answer carries, `interdict/promise/v1`, signed by the service: at which index the query's leaf
//! is, and by when a checkpoint has it. It binds the response to the request, so the service cannot deny what it
//! answered; a promise that was broken is evidence.

use super::opening::Opening;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::VerifierKey;
use crate::log::policy::Verdict;
use crate::log::tree::leaf_hash;
use crate::log::{Hash, Prover, Tiles};
use crate::note::Note;
use crate::record::{Reader, Writer};

/// A promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// The log's origin.
    pub log: String,
    /// The leaf's index.
    pub index: u64,
    /// The leaf: the commitment to the query's record.
    pub leaf: Hash,
    /// By when a checkpoint has it, in ms since the Unix epoch.
    pub merge_by_ms: u64,
    /// The hash of the text of the member's request.
    pub request: Hash,
    /// The hash of the response.
    pub response: Hash,
}

/// How it stands with a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The checkpoint has the leaf at its index.
    Kept,
    /// The checkpoint is not that long yet, and need not be.
    Waiting,
    /// The checkpoint is not that long, and had to be.
    Late,
    /// The checkpoint has another leaf at that index.
    Broken,
}

impl Promise {
    /// For an answer whose leaf is durable at an index.
    pub fn new(log: &str, index: u64, opening: &Opening, merge_by_ms: u64) -> Promise {
        Promise {
            log: log.into(),
            index,
            leaf: opening.leaf(),
            merge_by_ms,
            request: opening.query.request,
            response: opening.query.response,
        }
    }
    /// The text that is signed.
    ///
    /// # Errors
    /// `Malformed` or `TooLarge` for a log's name that cannot be a line's value.
    pub fn encode(&self) -> Result<String> {
        let mut w = Writer::new("promise", 1);
        w.put("log", &self.log)?.put("index", self.index)?.put_bytes("leaf", &self.leaf)?;
        w.put("merge_by_ms", self.merge_by_ms)?;
        w.put_bytes("request", &self.request)?.put_bytes("response", &self.response)?;
        Ok(w.finish())
    }
    /// Reads a text.
    ///
    /// # Errors
    /// `Malformed` and `Version` with the line.
    pub fn decode(text: &str) -> Result<Promise> {
        let mut r = Reader::open(text, "promise", 1)?;
        let promise = Promise {
            log: r.take("log")?.to_owned(),
            index: r.number("index")?,
            leaf: r.array("leaf")?,
            merge_by_ms: r.number("merge_by_ms")?,
            request: r.array("request")?,
            response: r.array("response")?,
        };
        r.end()?;
        Ok(promise)
    }
    /// Reads a promise that one of these keys, those of the log, has signed.
    ///
    /// # Errors
    /// As [`Note::verify_all`] and [`Promise::decode`]; `Invalid` for a key under another name than the log's.
    pub fn verify(note: &Note, log_keys: &[VerifierKey]) -> Result<Promise> {
        let signed = note.verify_all(log_keys)?;
        let promise = Promise::decode(note.text())?;
        if signed.iter().any(|signed| signed.key.name() != promise.log) {
            return Err(Error::new(ErrorKind::Invalid, "a promise is signed by the key of the log it names"));
        }
        Ok(promise)
    }
    /// Checks that it is the promise for a request, a response and an opening: what a member does with an answer.
    ///
    /// # Errors
    /// `Corrupt`, with what does not fit.
    pub fn check(&self, request: &Note, response: &[u8], opening: &Opening) -> Result<()> {
        let (asked, answered) = (super::hash(request.text().as_bytes()), super::hash(response));
        let query = &opening.query;
        let wrong = match () {
            () if self.request != asked || query.request != asked => "another request",
            () if self.response != answered || query.response != answered => "another response",
            () if self.leaf != opening.leaf() => "another opening",
            () => return Ok(()),
        };
        Err(Error::new(ErrorKind::Corrupt, format!("the promise or its opening is that of {wrong}")))
    }
    /// How it stands under a checkpoint, whose tiles are at hand, at a time.
    ///
    /// # Errors
    /// `Invalid` for another log's checkpoint; as [`Prover::inclusion`].
    pub fn standing(&self, verdict: &Verdict, tiles: &impl Tiles, now_ms: u64) -> Result<Standing> {
        let checkpoint = &verdict.checkpoint;
        if checkpoint.origin != self.log {
            return Err(Error::new(ErrorKind::Invalid, "the checkpoint is another log's"));
        }
        if self.index >= checkpoint.size {
            return Ok(if now_ms <= self.merge_by_ms { Standing::Waiting } else { Standing::Late });
        }
        let mut prover = Prover::new(tiles, checkpoint.size);
        // Made and checked against the root, so that the leaf below it is the log's and not the tiles'.
        prover.inclusion(self.index, checkpoint)?;
        let is_kept = prover.leaf_hash(self.index)? == leaf_hash(&self.leaf);
        Ok(if is_kept { Standing::Kept } else { Standing::Broken })
    }
}
