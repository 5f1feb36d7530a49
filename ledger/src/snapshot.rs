//! An image of the state in a file: what it is of and rests on, the journal's index up to it, the sequencer's state,
//! and identity's cold keys. Every byte is under a checksum and the end names every part, so a file that is damaged or
//! cut anywhere is refused. docs/formats/snapshot.md is the format.

mod chunks;
mod cold;
mod read;
mod write;

pub use cold::ColdPages;
pub use read::Image;
pub use write::{Written, write};

use crate::journal::At;
use interdict_engine::image::{LAYOUT, Reader, Writer};
use std::path::{Path, PathBuf};

/// Version of the file's format.
pub const FORMAT: u32 = 1;
const MAGIC: [u8; 8] = *b"ITDSNAP\n";
/// Magic, version, checksum of both.
const HEADER_BYTES: u64 = 16;
/// Magic, the offsets of the five parts, checksum of all before.
const TRAILER_BYTES: u64 = 52;
const SUFFIX: &str = ".img";
/// A file that is being written, or whose writer ended before it was whole.
const PART: &str = ".part";

/// What an image is of, and what must be as it was for it to be of use.
#[derive(Debug, Clone)]
pub struct About {
    /// The engine's version.
    pub engine: String,
    /// Version of what the state's bytes mean ([`LAYOUT`]).
    pub layout: u32,
    /// Hash of the field catalogue.
    pub catalogue: [u8; 32],
    /// All bounds that the state depends on ([`interdict_engine::sequencer::Sequencer::bounds`]).
    pub bounds: String,
    /// Hash of the generation in force.
    pub generation: [u8; 32],
    /// Every generation that the journal names up to it.
    pub published: Vec<[u8; 32]>,
    /// When it was written, ms since the Unix epoch.
    pub created_ms: i64,
    /// Records of the journal before it.
    pub records: u64,
    /// The journal's place that the state is of.
    pub at: At,
    /// A place by which all that was accepted before it was decided: the journal must hold that, too.
    pub settled: At,
    /// What is to be decided and finished at that place ([`interdict_engine::unfinished::Progress`], encoded).
    pub progress: Vec<u8>,
}

impl About {
    /// The last sequence in it.
    pub fn sequence(&self) -> u64 {
        self.at.last_sequence()
    }
    fn save(&self, to: &mut Writer<'_>) {
        to.text(&self.engine);
        to.u32(self.layout);
        to.bytes(&self.catalogue);
        to.text(&self.bounds);
        to.bytes(&self.generation);
        to.value(&self.published);
        to.i64(self.created_ms);
        to.u64(self.records);
        self.at.save(to);
        self.settled.save(to);
        to.value(&self.progress);
    }
    fn load(from: &mut Reader<'_>) -> Result<About, interdict_engine::Error> {
        let (engine, layout) = (from.text()?, from.u32()?);
        let mut catalogue = [0; 32];
        catalogue.copy_from_slice(from.take(32)?);
        let bounds = from.text()?;
        let mut generation = [0; 32];
        generation.copy_from_slice(from.take(32)?);
        let (published, created_ms, records) = (from.value()?, from.i64()?, from.u64()?);
        let (at, settled, progress) = (At::load(from)?, At::load(from)?, from.value()?);
        Ok(About {
            engine,
            layout,
            catalogue,
            bounds,
            generation,
            published,
            created_ms,
            records,
            at,
            settled,
            progress,
        })
    }
    /// Why an engine of a version, catalogue and bounds cannot use it; `None`: it can.
    pub fn misfit(&self, engine: &str, catalogue: &[u8; 32], bounds: &str) -> Option<String> {
        if self.engine != engine {
            return Some(format!("it is of engine {}, this is {engine}", self.engine));
        }
        if self.layout != LAYOUT {
            return Some(format!("its state is of layout {}, this engine has {LAYOUT}", self.layout));
        }
        if self.catalogue != *catalogue {
            return Some("it is of another field catalogue".into());
        }
        (self.bounds != bounds)
            .then(|| format!("it was made under other bounds: {}; now: {bounds}", self.bounds))
    }
}

/// The images of a folder, newest first: the last sequence of each, as its name says, and its path.
///
/// # Errors
/// The system's; none where the folder is not there.
pub fn list(dir: &Path) -> std::io::Result<Vec<(u64, PathBuf)>> {
    let entries = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(SUFFIX));
        if let Some(sequence) = name.and_then(|digits| digits.parse().ok()) {
            found.push((sequence, path));
        }
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

/// Where the image of a sequence lies in a folder.
pub fn path(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(format!("{sequence:020}{SUFFIX}"))
}

/// Removes what unfinished writing left in a folder, and all images but the newest `keep`; gives how many of these it
/// removed. What is being read meanwhile stays readable until it is closed.
///
/// # Errors
/// The system's.
pub fn prune(dir: &Path, keep: usize) -> std::io::Result<usize> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| PART.ends_with(&*extension.to_string_lossy())) {
            std::fs::remove_file(path)?;
        }
    }
    let old = list(dir)?.split_off(keep.min(list(dir)?.len()));
    old.iter().try_for_each(|(_, path)| std::fs::remove_file(path))?;
    Ok(old.len())
}

#[cfg(test)]
mod tests;
