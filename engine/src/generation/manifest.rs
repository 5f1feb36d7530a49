//! What a generation is made of, by the hash of each part: the text that is hashed, stored and named.

use crate::error::{Error, ErrorKind};
use crate::lists::LayerKind;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// What a generation is made of, by the hash of each part. Its text is what is hashed and stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    parts: Vec<(PartKind, String, [u8; 32])>,
}

/// The kinds of part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartKind {
    /// A pack archive.
    Pack,
    /// A list snapshot: the list as the configuration has it.
    List,
    /// A list snapshot over it: entries that deltas added.
    Added,
    /// A list snapshot over it: subjects whose entry deltas ended.
    Ended,
    /// The sequence up to which deltas are in the list snapshots, in decimal digits.
    Folded,
    /// The settings.
    Settings,
    /// The exchange rates.
    Rates,
    /// A watchlist: listed names, as [`Bank`] encodes them.
    Watchlist,
}

impl PartKind {
    const ALL: [PartKind; 8] = [
        Self::Pack,
        Self::List,
        Self::Added,
        Self::Ended,
        Self::Folded,
        Self::Settings,
        Self::Rates,
        Self::Watchlist,
    ];
    const fn name(self) -> &'static str {
        match self {
            Self::Pack => "pack",
            Self::List => "list",
            Self::Added => "added",
            Self::Ended => "ended",
            Self::Folded => "folded",
            Self::Settings => "settings",
            Self::Rates => "rates",
            Self::Watchlist => "watchlist",
        }
    }
    /// What a part of this kind says of a list; `None` where it is no list snapshot.
    pub const fn layer(self) -> Option<LayerKind> {
        match self {
            Self::List => Some(LayerKind::File),
            Self::Added => Some(LayerKind::Added),
            Self::Ended => Some(LayerKind::Ended),
            _ => None,
        }
    }
}

impl From<LayerKind> for PartKind {
    fn from(kind: LayerKind) -> PartKind {
        match kind {
            LayerKind::File => PartKind::List,
            LayerKind::Added => PartKind::Added,
            LayerKind::Ended => PartKind::Ended,
        }
    }
}

const MANIFEST_HEAD: &str = "interdict generation 1";

impl Manifest {
    /// The manifest of parts, in the order they are given (packs in the order of the config, which numbers rules).
    pub fn new(parts: Vec<(PartKind, String, [u8; 32])>) -> Manifest {
        Manifest { parts }
    }
    /// Its text: a head line, then `kind name hash` a line.
    pub fn text(&self) -> String {
        let mut text = format!("{MANIFEST_HEAD}\n");
        for (kind, name, hash) in &self.parts {
            let _ = writeln!(text, "{} {name} {}", kind.name(), hex(hash));
        }
        text
    }
    /// SHA-256 of its text: the generation's hash.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.text()).into()
    }
    /// The manifest of a text.
    ///
    /// # Errors
    /// `Malformed`, naming the line.
    pub fn parse(text: &str) -> Result<Manifest, Error> {
        let mut lines = text.lines().enumerate();
        let malformed = |line: usize| Error::new(ErrorKind::Malformed, format!("manifest line {}", line + 1));
        if lines.next().map(|(_, head)| head) != Some(MANIFEST_HEAD) {
            return Err(malformed(0));
        }
        let mut parts = Vec::new();
        for (number, line) in lines {
            let words: Vec<&str> = line.split(' ').collect();
            let [kind, name, hash] = words[..] else { return Err(malformed(number)) };
            let kind =
                PartKind::ALL.into_iter().find(|k| k.name() == kind).ok_or_else(|| malformed(number))?;
            parts.push((kind, name.to_owned(), unhex(hash).ok_or_else(|| malformed(number))?));
        }
        Ok(Manifest { parts })
    }
    /// The parts: kind, name, hash.
    pub fn parts(&self) -> &[(PartKind, String, [u8; 32])] {
        &self.parts
    }
    /// The hashes of all parts.
    pub fn objects(&self) -> impl Iterator<Item = [u8; 32]> {
        self.parts.iter().map(|(_, _, hash)| *hash)
    }
}

/// Lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}
