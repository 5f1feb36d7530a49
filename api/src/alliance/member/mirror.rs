//! A member's copy of a log: every leaf and every tile, taken over only once the root over all of them is the one that the
//! hub signed. With it the alliance goes on when its operator is gone, and nobody can change what was.

use crate::alliance::client::Client;
use crate::alliance::folder::Files;
use crate::alliance::leaves::Leaves;
use anyhow::{Context, Result, bail};
use interdict_consortium as consortium;
use interdict_consortium::error::{Error, ErrorKind};
use interdict_consortium::keys::VerifierKey;
use interdict_consortium::limits::{LEAF_BYTES_MAX, NOTE_BYTES_MAX};
use interdict_consortium::log::prove::{self, Tiles};
use interdict_consortium::log::tile::{Content, WIDTH};
use interdict_consortium::log::{Checkpoint, Monitor, Prover, Tile};
use interdict_consortium::note::Note;
use std::cell::RefCell;
use std::sync::Arc;

/// The file of the newest checkpoint that was checked.
pub const CHECKPOINT: &str = "checkpoint";
/// Where evidence of two histories is kept.
pub const EVIDENCE: &str = "evidence";

/// What one round found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// Leaves before.
    pub from: u64,
    /// Leaves now.
    pub to: u64,
}

/// A mirror.
pub struct Mirror {
    name: &'static str,
    files: Arc<Files>,
    monitor: Monitor,
    leaves: Leaves,
}

impl Mirror {
    /// Opens the mirror of a log; checked against its checkpoint.
    ///
    /// # Errors
    /// Tiles that are not those of the checkpoint; a checkpoint of another log.
    pub fn open(files: Files, name: &'static str, keys: &[VerifierKey]) -> Result<Mirror> {
        let monitor = match files.read(CHECKPOINT)? {
            None => Monitor::new(keys),
            Some(bytes) => {
                let held = Note::parse(&bytes)?;
                Monitor::resume(keys, &held, &files).with_context(|| format!("the mirror of {name}"))?
            }
        };
        Ok(Mirror { name, files: Arc::new(files), monitor, leaves: Leaves::default() })
    }
    /// Leaves.
    pub fn size(&self) -> u64 {
        self.monitor.held().map_or(0, |(checkpoint, _)| checkpoint.size)
    }
    /// The newest checkpoint that was checked.
    pub fn checkpoint(&self) -> Option<(&Checkpoint, &Note)> {
        self.monitor.held()
    }
    /// Hands over the leaves from one on, in order.
    ///
    /// # Errors
    /// What `each` answers; the folder's.
    pub fn leaves(
        &self,
        from: u64,
        mut each: impl FnMut(u64, &[u8]) -> consortium::error::Result<()>,
    ) -> consortium::error::Result<()> {
        let size = self.size();
        if from >= size {
            return Ok(());
        }
        prove::for_bundles(&*self.files, (from, size), size, |first, leaves| {
            (first..).zip(leaves).try_for_each(|(index, leaf)| each(index, leaf))
        })
    }
    /// A leaf.
    ///
    /// # Errors
    /// `NotFound`; the folder's.
    pub fn leaf(&self, index: u64) -> consortium::error::Result<Vec<u8>> {
        self.leaves.leaf(&*self.files, index, self.size())
    }
    /// The root of the tree of its first leaves.
    ///
    /// # Errors
    /// `NotFound` past its size; the folder's.
    pub fn root(&self, size: u64) -> consortium::error::Result<[u8; 32]> {
        Prover::new(&*self.files, self.size()).root(size)
    }
    /// Fetches what is new and takes it over once all of it is checked. `each` gets the new leaves before; where it
    /// refuses one nothing is taken over.
    ///
    /// # Errors
    /// No hub; a log that does not extend what was seen (evidence is kept in the folder); what `each` answers.
    pub fn advance(
        &mut self,
        client: &Client,
        each: impl FnMut(u64, &[u8]) -> consortium::error::Result<()>,
    ) -> Result<Round> {
        let note = client.get(&format!("{}/checkpoint", self.name), NOTE_BYTES_MAX as u64)?;
        let note = Note::parse(&note).with_context(|| format!("checkpoint of {}", self.name))?;
        let held = self.size();
        let fetching =
            Fetching { client, name: self.name, files: &self.files, held, error: RefCell::default() };
        let advanced = self.monitor.advance_with(&note, &fetching, each);
        if let Some(error) = fetching.error.take() {
            return Err(error);
        }
        let report = match advanced {
            Ok(report) => report,
            Err(error) => return Err(self.refused(error)),
        };
        let fetching =
            Fetching { client, name: self.name, files: &self.files, held, error: RefCell::default() };
        self.keep(&note, report.from, report.to, &fetching)?;
        Ok(Round { from: report.from, to: report.to })
    }
    /// Keeps the new tiles, then the checkpoint.
    fn keep(&self, note: &Note, from: u64, to: u64, fetching: &Fetching<'_>) -> Result<()> {
        if from < to {
            for tile in Tile::all_new(from, to) {
                let bytes = prove::read(fetching, &tile);
                if let Some(error) = fetching.error.take() {
                    return Err(error);
                }
                let bytes = cut(&tile, bytes?)?;
                self.files.write(&tile.to_string(), &bytes)?;
            }
            let checkpoint = Checkpoint::parse(note.text())?;
            if Prover::new(&*self.files, to).root(to)? != checkpoint.root {
                bail!("{}: the hub's tiles are not those of the tree that it signed", self.name);
            }
        }
        // The newest note also where only cosignatures are new.
        self.files.write(CHECKPOINT, note.encode().as_bytes())?;
        Ok(())
    }
    fn refused(&self, error: Error) -> anyhow::Error {
        if let Some(evidence) = self.monitor.evidence() {
            let kept = self.files.write(EVIDENCE, evidence.to_string().as_bytes());
            let at = self.files.path().join(EVIDENCE);
            return match kept {
                Ok(()) => anyhow::Error::new(error).context(format!("evidence is kept in {}", at.display())),
                Err(e) => anyhow::Error::new(error).context(format!("evidence could not be kept: {e}")),
            };
        }
        anyhow::Error::new(error).context(format!("the log {}", self.name))
    }
}

/// The mirror's tiles: a partial one of an older tree is the first part of the one there is.
impl Tiles for Mirror {
    fn tile(&self, tile: &Tile) -> consortium::error::Result<Option<Vec<u8>>> {
        if let Some(bytes) = Tiles::tile(&*self.files, tile)? {
            return Ok(Some(bytes));
        }
        let Some(wider) =
            Tile::at(tile.content, tile.index, self.size()).filter(|wider| wider.width > tile.width)
        else {
            return Ok(None);
        };
        Tiles::tile(&*self.files, &wider)
    }
}

/// Tiles of what is held from the folder, all others from the hub.
struct Fetching<'a> {
    client: &'a Client,
    name: &'a str,
    files: &'a Files,
    held: u64,
    /// What the hub or the network said, where that is why a tile is missing.
    error: RefCell<Option<anyhow::Error>>,
}

impl Tiles for Fetching<'_> {
    fn tile(&self, tile: &Tile) -> consortium::error::Result<Option<Vec<u8>>> {
        let level = match tile.content {
            Content::Entries => 0,
            Content::Hashes(level) => level,
        };
        let end = tile.index * u64::from(WIDTH) + u64::from(tile.width);
        let is_held = end.checked_shl(8 * u32::from(level)).is_some_and(|end| end <= self.held);
        if is_held && let Some(bytes) = Tiles::tile(self.files, tile)? {
            return Ok(Some(bytes));
        }
        let bytes_max = u64::from(tile.width) * (LEAF_BYTES_MAX as u64 + 2);
        match self.client.find(&format!("{}/{tile}", self.name), bytes_max) {
            Ok(found) => Ok(found),
            Err(error) => {
                let message = format!("{tile} could not be fetched");
                self.error.replace(Some(error));
                Err(Error::new(ErrorKind::Storage, message))
            }
        }
    }
}

/// The first part of a fuller tile, as wide as a tile says.
fn cut(tile: &Tile, bytes: Vec<u8>) -> Result<Vec<u8>> {
    match tile.content {
        Content::Hashes(_) => {
            let wanted = usize::from(tile.width) * 32;
            Ok(bytes.get(..wanted).with_context(|| format!("{tile}: {} bytes", bytes.len()))?.to_vec())
        }
        Content::Entries => {
            let mut bundle = Vec::new();
            for leaf in consortium::log::tile::entries(&bytes, tile.width)? {
                consortium::log::tile::put_entry(&mut bundle, leaf)?;
            }
            Ok(bundle)
        }
    }
}
