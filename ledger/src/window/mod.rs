//! The settlement window as data: each payment that is accepted, decided and to settle is a row of a chunk of columns,
//! so that what is learned later can be looked for in all of them at once. A cache of the journal, thrown away and
//! rebuilt where it does not fit. docs/formats/window.md is the format of its files.

mod column;
mod rows;
mod growing;
mod chunk;
mod map;
mod file;
mod manifest;
mod pairs;
mod store;
pub mod scan;
#[cfg(test)]
pub(crate) mod tests;

pub use chunk::Chunk;
pub use column::{Address, BIN_DIGITS, TagColumn, TagColumns, bin, fingerprint};
pub use growing::Growing;
pub use pairs::{Pair, Pairs};
pub use rows::{Blobs, Coded, Row, Rows, Tags};
pub use scan::{Hit, Kernel, Query, Wanted};
pub use store::{Lost, UNWRITTEN_MAX, Window};

// How the parts go together, for whoever follows the journal:
//
//     let (mut window, why_anew) = Window::open(dir, storage)?;
//     for lost in window.lost() { read its sequences from the journal into a Growing; window.mend(name, growing)?; }
//     let at = window.resume() or reader.beginning();
//     let mut pairs = Pairs::new(at);
//     reader.follow(at, |stored| pairs.take(stored), |at| {
//         while let Some(pair) = pairs.pop()? { if it is to settle { window.push(&NewRow { … })?; } }  // Full: write_full(at)
//         window.reached(at, &pairs.resume(at))?;
//     })
//
// and for whoever looks for what was learned: `Wanted::add` each subject, `build`, then for each of `Window::rows` (one
// chunk, 65,536 rows) `Query::scan`; a hit's payment is `Row::accepted` and `Row::decided`.

use crate::error::Place;
use crate::journal::Stored;
use interdict_engine::domain::{Accepted, Decided, Lever, Outcome};

/// Rows of a chunk at most. What is done with a window is done a chunk at a time, so that whoever shares a core with it
/// waits for no more than this.
pub const CHUNK_ROWS: usize = 65_536;
/// Bytes of records of a chunk at most, but for its last row: far below what the 32-bit offsets of Arrow reach.
pub const CHUNK_BYTES_MAX: usize = 256 << 20;

/// An accepted record as it lies in the journal: copied when it is met, since its decision may come later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its place in the one order.
    pub sequence: u64,
    /// Where it lies.
    pub place: Place,
    /// The open part.
    pub open: Vec<u8>,
    /// The sealed part, encrypted.
    pub sealed: Vec<u8>,
}

impl From<&Stored<'_>> for Taken {
    fn from(stored: &Stored<'_>) -> Taken {
        let (open, sealed) = (stored.open().to_vec(), stored.ciphertext().to_vec());
        Taken { sequence: stored.sequence, place: stored.place(), open, sealed }
    }
}

/// What becomes a row.
#[derive(Clone, Copy)]
pub struct NewRow<'a> {
    /// The accepted record as it lies in the journal.
    pub taken: &'a Taken,
    /// What it says.
    pub accepted: &'a Accepted,
    /// The decided record's bytes.
    pub decided_bytes: &'a [u8],
    /// What it says.
    pub decided: &'a Decided,
    /// The outcome that counts: of a fact, what it would have been.
    pub outcome: Outcome,
    /// Until when the payment can be stopped, ms since the Unix epoch.
    pub cut_off_ms: i64,
    /// What can still stop it.
    pub lever: Lever,
}
