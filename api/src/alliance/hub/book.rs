//! One of the hub's two logs: its writer, the checkpoint that witnesses are being asked for, and the newest that enough of
//! them have cosigned. One checkpoint is offered until it has its cosignatures or its time is over: under load the newest
//! changes faster than members come by.

use super::metrics::Metrics;
use crate::alliance::folder::{Files, Held};
use crate::alliance::leaves::Leaves;
use anyhow::Result;
use interdict_consortium::error::{Error, ErrorKind};
use interdict_consortium::keys::{SignerKey, VerifierKey};
use interdict_consortium::log::{Checkpoint, Proof, Prover, Tile, Writer};
use interdict_consortium::note::Note;
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::Arc;

/// How long one checkpoint is offered before a newer one is.
const OFFERED_MS: u64 = 5_000;
/// The file of the newest checkpoint with enough cosignatures.
const COSIGNED: &str = "cosigned";

type Answer<T> = std::result::Result<T, Error>;

/// A log that is served.
pub struct Book {
    name: &'static str,
    files: Arc<Files>,
    metrics: Arc<Metrics>,
    leaves: Leaves,
    inner: Mutex<Inner>,
}

struct Inner {
    writer: Writer<Arc<Files>>,
    offered: Option<(Note, u64)>,
    cosigned: Option<Note>,
}

impl Book {
    /// Opens a log of a folder, or begins it.
    ///
    /// # Errors
    /// A log that is not whole, or of another key.
    pub fn open(held: &Held, name: &'static str, key: SignerKey, metrics: Arc<Metrics>) -> Result<Book> {
        let files = Arc::new(held.files(name)?);
        let writer = Writer::open(files.clone(), key)?;
        let cosigned = files.read(COSIGNED)?.map(|bytes| Note::parse(&bytes)).transpose()?;
        let inner = Mutex::new(Inner { writer, offered: None, cosigned });
        Ok(Book { name, files, metrics, leaves: Leaves::default(), inner })
    }
    /// Durable leaves.
    pub fn size(&self) -> u64 {
        self.inner.lock().writer.size()
    }
    /// Leaves under the newest checkpoint.
    pub fn published_size(&self) -> u64 {
        self.inner.lock().writer.published().map_or(0, |(checkpoint, _)| checkpoint.size)
    }
    /// Appends leaves for good.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub fn append(&self, leaves: &[impl AsRef<[u8]>]) -> Answer<Range<u64>> {
        self.inner.lock().writer.append(leaves)
    }
    /// Signs a checkpoint where there are new leaves.
    ///
    /// # Errors
    /// As [`Writer::checkpoint`].
    pub fn checkpoint(&self, now_ms: u64) -> Answer<()> {
        let mut inner = self.inner.lock();
        let is_new = inner.writer.pending() > 0 || inner.writer.published().is_none();
        inner.writer.checkpoint()?;
        if is_new {
            self.metrics.checkpoint(self.name, inner.writer.size(), now_ms);
        }
        Ok(())
    }
    /// The newest checkpoint, with the cosignatures that have come for it.
    pub fn published(&self) -> Option<Note> {
        self.inner.lock().writer.published().map(|(_, note)| note.clone())
    }
    /// The newest checkpoint that enough witnesses have cosigned.
    pub fn cosigned(&self) -> Option<Note> {
        self.inner.lock().cosigned.clone()
    }
    /// The checkpoint that witnesses are asked for.
    pub fn offered(&self, now_ms: u64) -> Option<Note> {
        self.inner.lock().offer(now_ms)
    }
    /// Takes a witness's cosignature of the checkpoint that is offered, or of the newest; `enough` make it count. How
    /// many it has.
    ///
    /// # Errors
    /// `Stale` where another checkpoint is offered by now; `Corrupt`, `UnknownKey` for what is no cosignature of one of
    /// these witnesses.
    pub fn cosign(
        &self,
        note: &Note,
        witnesses: &[VerifierKey],
        enough: usize,
        now_ms: u64,
    ) -> Answer<usize> {
        if note.signatures().len() > witnesses.len() + 1 {
            return Err(Error::new(ErrorKind::TooLarge, "more signatures than there are witnesses"));
        }
        let mut inner = self.inner.lock();
        let (offered, since_ms) = match &inner.offered {
            Some((offered, since_ms)) if offered.text() == note.text() => (offered.clone(), *since_ms),
            _ => match inner.writer.published() {
                Some((_, published)) if published.text() == note.text() => (published.clone(), now_ms),
                _ => {
                    return Err(Error::new(
                        ErrorKind::Stale,
                        "another checkpoint is offered to witnesses by now",
                    ));
                }
            },
        };
        let signed = note.verify_known(witnesses).map_err(|e| match e.kind {
            ErrorKind::Quorum => {
                Error::new(ErrorKind::UnknownKey, "no cosignature of a witness of this alliance")
            }
            _ => e,
        })?;
        let is_witness = |name: &str, id| signed.iter().any(|s| s.key.name() == name && s.key.id() == id);
        let mut lines = String::new();
        for signature in note.signatures().iter().filter(|s| is_witness(&s.name, s.key_id)) {
            lines += &format!("{signature}\n");
        }
        let mut merged = offered;
        merged.merge(&Note::parse(format!("{}\n{lines}", note.text()).as_bytes())?)?;
        if inner.writer.published().is_some_and(|(_, published)| published.text() == note.text()) {
            inner.writer.add_cosignatures(&lines, witnesses)?;
        }
        let count = merged.verify_known(witnesses)?.len();
        let is_newer = inner.cosigned.as_ref().is_none_or(|held| size_of(held) <= size_of(&merged));
        if count >= enough && is_newer {
            self.files
                .write(COSIGNED, merged.encode().as_bytes())
                .map_err(|e| Error::new(ErrorKind::Storage, format!("{COSIGNED}: {e}")))?;
            inner.cosigned = Some(merged.clone());
        }
        let is_offered = inner.offered.as_ref().is_none_or(|(held, _)| size_of(held) <= size_of(&merged));
        if is_offered {
            inner.offered = Some((merged, since_ms));
        }
        Ok(count)
    }
    /// A tile or an entry bundle as it lies in the folder.
    ///
    /// # Errors
    /// `Malformed` for what is no tile's path; `NotFound`; `Storage`.
    pub fn tile(&self, path: &str) -> Answer<Vec<u8>> {
        let tile = Tile::parse(path)?;
        interdict_consortium::log::prove::Tiles::tile(&*self.files, &tile)?
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("{tile} is not there (yet, or any more)")))
    }
    /// The proof that a leaf is under the newest checkpoint that is cosigned, or where it is not under that one the
    /// newest there is.
    ///
    /// # Errors
    /// `NotFound` for a leaf that no checkpoint has yet.
    pub fn prove(&self, index: u64, extra: Option<Vec<u8>>) -> Answer<Proof> {
        let inner = self.inner.lock();
        let cosigned = inner.cosigned.clone().filter(|note| size_of(note) > index);
        match cosigned {
            None => inner.writer.prove(index, extra),
            Some(note) => {
                drop(inner);
                let checkpoint = Checkpoint::parse(note.text())?;
                let hashes = Prover::new(&*self.files, checkpoint.size).inclusion(index, &checkpoint)?;
                Ok(Proof { extra, index, hashes, checkpoint: note })
            }
        }
    }
    /// A leaf that is durable.
    ///
    /// # Errors
    /// `NotFound`, `Storage`.
    pub fn leaf(&self, index: u64) -> Answer<Vec<u8>> {
        let size = self.published_size();
        if index < size {
            self.leaves.leaf(&*self.files, index, size)
        } else {
            self.inner.lock().writer.leaf(index)
        }
    }
    /// The root of the tree of its first leaves.
    ///
    /// # Errors
    /// `NotFound` past the newest checkpoint; `Storage`.
    pub fn root(&self, size: u64) -> Answer<[u8; 32]> {
        Prover::new(&*self.files, self.published_size()).root(size)
    }
    /// That this log extends a checkpoint that a member has seen.
    ///
    /// # Errors
    /// As [`Writer::check_extends`].
    pub fn check_extends(&self, seen: &Checkpoint) -> Answer<()> {
        self.inner.lock().writer.check_extends(seen)
    }
    /// The key's name.
    pub fn origin(&self) -> String {
        self.inner.lock().writer.origin().to_owned()
    }
}

impl Inner {
    fn offer(&mut self, now_ms: u64) -> Option<Note> {
        let (_, newest) = self.writer.published()?;
        let is_over = match &self.offered {
            None => true,
            Some((offered, since_ms)) => {
                let is_done = self.cosigned.as_ref().is_some_and(|held| held.text() == offered.text());
                is_done && offered.text() != newest.text() || now_ms.saturating_sub(*since_ms) > OFFERED_MS
            }
        };
        if is_over && self.offered.as_ref().is_none_or(|(offered, _)| offered.text() != newest.text()) {
            self.offered = Some((newest.clone(), now_ms));
        }
        self.offered.as_ref().map(|(offered, _)| offered.clone())
    }
}

fn size_of(note: &Note) -> u64 {
    Checkpoint::parse(note.text()).map_or(0, |checkpoint| checkpoint.size)
}
