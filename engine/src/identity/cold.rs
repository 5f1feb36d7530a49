//! The place beyond memory where identity keeps what it pushed out: drawers of keys, filled in order of time and
//! thrown away whole. The engine does no I/O; whoever builds a sequencer gives it one of these.

use crate::error::Error;
use crate::image::{Reader, Writer};
use std::fmt::Debug;
use std::sync::Arc;

/// What is known of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The sequence it was decided at.
    pub sequence: u64,
    /// Keyed digest of what identity compares.
    pub digest: u128,
    /// When it arrived, in ms since the Unix epoch.
    pub arrival_ms: i64,
}

/// A key with what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The keyed hash of tenant and key.
    pub key: u128,
    /// What is known.
    pub known: Known,
}

impl Entry {
    /// Writes it, in 48 bytes.
    pub fn save(&self, to: &mut Writer<'_>) {
        to.u128(self.key);
        to.u64(self.known.sequence);
        to.u128(self.known.digest);
        to.i64(self.known.arrival_ms);
    }
    /// What [`Entry::save`] wrote.
    ///
    /// # Errors
    /// Whatever the source returns.
    pub fn load(from: &mut Reader<'_>) -> Result<Entry, Error> {
        let (key, sequence, digest, arrival_ms) = (from.u128()?, from.u64()?, from.u128()?, from.i64()?);
        Ok(Entry { key, known: Known { sequence, digest, arrival_ms } })
    }
}

/// Names a drawer; never given twice by one [`super::Identity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Drawer(pub u64);

/// Why a cold store could not read or write; never holds a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ColdError(pub String);

/// A store of drawers. It is a cache of the journal: nothing in it need outlive the process, but what was put must be
/// found by every `get` after it, however the store writes it behind.
pub trait Cold: Debug + Send {
    /// What a drawer holds under a key; where the key was put twice, what was put last.
    ///
    /// # Errors
    /// When the store cannot be read. Identity counts it and takes the key as past the horizon.
    fn get(&self, drawer: Drawer, key: u128) -> Result<Option<Known>, ColdError>;
    /// Adds a batch, in the order the keys came, to a drawer; its first batch makes it.
    ///
    /// # Errors
    /// When the store does not take it; nothing of the batch is kept then, and identity counts its keys as lost.
    fn put_all(&mut self, drawer: Drawer, batch: Arc<[Entry]>) -> Result<(), ColdError>;
    /// Throws a drawer away; it is not asked for again.
    ///
    /// # Errors
    /// When the store cannot; its room is then not given back.
    fn forget(&mut self, drawer: Drawer) -> Result<(), ColdError>;
    /// Gives each key of a drawer once, in ascending order, as [`Cold::get`] would: for an image of the state.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn each(&self, drawer: Drawer, each: &mut dyn FnMut(&Entry)) -> Result<(), ColdError>;
    /// Bytes it holds on disk.
    fn bytes(&self) -> u64 {
        0
    }
    /// Keys that it took and could not write afterwards.
    fn lost(&self) -> u64 {
        0
    }
}
