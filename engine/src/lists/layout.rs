//! The snapshot's bytes (docs/formats/list-snapshot.md): a header of sizes, from which every section's place follows,
//! and rows of 64 bytes. Writing and reading stand side by side here, so that they cannot drift apart.

use super::bytes::{array, u32_at, u64_at};
use super::filter::words_for;
use crate::domain::{Effect, Subject, SubjectKind, Tag};
use crate::error::{Error, ErrorKind};
use crate::limits::LIST_ENTRIES_MAX;
use std::net::IpAddr;
use std::ops::Range;

pub(super) const MAGIC: &[u8; 8] = b"INTDLIST";
pub(super) const VERSION: u32 = 1;
pub(super) const HEADER_LEN: usize = 128;
pub(super) const CHECKSUM_LEN: usize = 32;
pub(super) const ROW_LEN: usize = 64;
pub(super) const SLOT_LEN: usize = 8;
const ALIGN: usize = 64;
const SECTIONS: [&str; 5] = ["meta", "filter", "table", "entries", "strings"];

/// Slots of the fingerprint table of `entries` rows: two thirds full.
pub(super) const fn slots_for(entries: u64) -> u64 {
    entries + entries / 2 + 1
}

/// Sizes and places of everything in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub entries: u64,
    /// How many of the entries are tags.
    pub tags: u64,
    /// Seed of the hash that filter and table were made with.
    pub seed: u64,
    pub meta: Range<usize>,
    pub filter: Range<usize>,
    pub table: Range<usize>,
    pub rows: Range<usize>,
    pub strings: Range<usize>,
}

impl Layout {
    /// The layout of a file with these sizes; `None` when they overflow.
    pub fn new(entries: u64, tags: u64, seed: u64, meta_len: usize, strings_len: usize) -> Option<Layout> {
        let mut at = HEADER_LEN;
        let mut section = |len: Option<usize>| -> Option<Range<usize>> {
            let start = at.checked_next_multiple_of(ALIGN)?;
            at = start.checked_add(len?)?;
            Some(start..at)
        };
        let rows = usize::try_from(entries).ok().filter(|_| entries <= LIST_ENTRIES_MAX);
        Some(Layout {
            entries,
            tags,
            seed,
            meta: section(Some(meta_len))?,
            filter: section(rows.map(|_| words_for(entries) as usize * 8))?,
            table: section(rows.map(|_| slots_for(entries) as usize * SLOT_LEN))?,
            rows: section(rows.map(|rows| rows * ROW_LEN))?,
            strings: section(Some(strings_len))?,
        })
    }
    fn sections(&self) -> [&Range<usize>; 5] {
        [&self.meta, &self.filter, &self.table, &self.rows, &self.strings]
    }
    /// Bytes of the whole file, with its checksum.
    pub fn total_len(&self) -> usize {
        self.strings.end + CHECKSUM_LEN
    }
    /// The header's bytes.
    pub fn header(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[..8].copy_from_slice(MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        for (at, number) in
            [(16, self.total_len() as u64), (24, self.entries), (32, self.tags), (40, self.seed)]
        {
            out[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        for (number, section) in self.sections().into_iter().enumerate() {
            let at = 48 + 16 * number;
            out[at..at + 8].copy_from_slice(&(section.start as u64).to_le_bytes());
            out[at + 8..at + 16].copy_from_slice(&(section.len() as u64).to_le_bytes());
        }
        out
    }
    /// Reads a header and checks that the sections lie where its sizes say and that the file is as long as it says.
    pub fn read(bytes: &[u8]) -> Result<Layout, Error> {
        let magic = &bytes[..bytes.len().min(8)];
        if magic != &MAGIC[..magic.len()] {
            return error(ErrorKind::Malformed, format!("byte 0: magic {magic:02x?}, expected {MAGIC:02x?}"));
        }
        if let Some(version) = u32_at(bytes, 8).filter(|version| *version != VERSION) {
            return error(ErrorKind::Version, format!("byte 8: version {version}, known: {VERSION}"));
        }
        let number = |at: usize| {
            u64_at(bytes, at).ok_or_else(|| {
                let len = bytes.len();
                corrupt(format!("truncated at byte {len}: expected a header of {HEADER_LEN} bytes"))
            })
        };
        let last = number(HEADER_LEN - 8)?;
        let (total, len) = (number(16)?, bytes.len() as u64);
        if len < total {
            return Err(corrupt(format!("truncated at byte {len}: the header says {total} bytes")));
        }
        if len > total {
            return Err(corrupt(format!("{len} bytes, the header says {total}: bytes after the end")));
        }
        let (meta_len, strings_len) = (number(56)?, last);
        let sizes = usize::try_from(meta_len).ok().zip(usize::try_from(strings_len).ok());
        let (entries, tags, seed) = (number(24)?, number(32)?, number(40)?);
        let layout = sizes.and_then(|(meta, strings)| Layout::new(entries, tags, seed, meta, strings));
        let layout = layout.filter(|layout| layout.strings.end.checked_add(CHECKSUM_LEN).is_some());
        let Some(layout) = layout else {
            return Err(corrupt(format!("byte 24: {entries} entries, limit {LIST_ENTRIES_MAX}")));
        };
        for (number_of, (name, section)) in SECTIONS.into_iter().zip(layout.sections()).enumerate() {
            let at = 48 + 16 * number_of;
            let (start, len) = (number(at)?, number(at + 8)?);
            if (start, len) != (section.start as u64, section.len() as u64) {
                let message = format!(
                    "byte {at}: section {name} at {start}, {len} bytes; its sizes put it at {}, {} bytes",
                    section.start,
                    section.len()
                );
                return Err(corrupt(message));
            }
        }
        if layout.total_len() as u64 != total {
            let message = format!("byte 16: {total} bytes, the sections make {}", layout.total_len());
            return Err(corrupt(message));
        }
        if tags > entries {
            return Err(corrupt(format!("byte 32: {tags} tags among {entries} entries")));
        }
        Ok(layout)
    }
}

/// An entry without its texts, which are numbers in the string table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub subject: Subject,
    pub effect: Effect,
    pub overridable: bool,
    pub severity: u8,
    pub valid_from_ms: Option<i64>,
    pub valid_to_ms: Option<i64>,
    pub overrides: Option<u32>,
    pub reason: u32,
    pub contributor: u32,
    pub first_seen_ms: Option<i64>,
}

const OVERRIDABLE: u8 = 1;
const HAS_OVERRIDES: u8 = 2;
const HAS_FROM: u8 = 4;
const HAS_TO: u8 = 8;
const HAS_SEEN: u8 = 16;

impl Row {
    pub fn encode(&self) -> [u8; ROW_LEN] {
        let (value, detail, family) = match self.subject {
            Subject::Tag { tag, .. } => (tag.0, 0, 0),
            Subject::Ip { network: IpAddr::V4(v4), prefix } => (u128::from(u32::from(v4)), prefix, 4),
            Subject::Ip { network: IpAddr::V6(v6), prefix } => (u128::from(v6), prefix, 6),
            Subject::Bin { number, digits } => (u128::from(number), digits, 0),
        };
        let flags = if self.overridable { OVERRIDABLE } else { 0 }
            | self.overrides.map_or(0, |_| HAS_OVERRIDES)
            | self.valid_from_ms.map_or(0, |_| HAS_FROM)
            | self.valid_to_ms.map_or(0, |_| HAS_TO)
            | self.first_seen_ms.map_or(0, |_| HAS_SEEN);
        let mut out = [0; ROW_LEN];
        out[..16].copy_from_slice(&value.to_le_bytes());
        out[16..22].copy_from_slice(&[
            self.subject.kind() as u8,
            detail,
            family,
            self.effect as u8,
            flags,
            self.severity,
        ]);
        out[24..32].copy_from_slice(&self.valid_from_ms.unwrap_or(0).to_le_bytes());
        out[32..40].copy_from_slice(&self.valid_to_ms.unwrap_or(0).to_le_bytes());
        out[40..44].copy_from_slice(&self.overrides.unwrap_or(0).to_le_bytes());
        out[44..48].copy_from_slice(&self.reason.to_le_bytes());
        out[48..52].copy_from_slice(&self.contributor.to_le_bytes());
        out[52..60].copy_from_slice(&self.first_seen_ms.unwrap_or(0).to_le_bytes());
        out
    }
    /// The row of these bytes; `None` unless they are exactly what `encode` writes.
    pub fn decode(bytes: &[u8]) -> Option<Row> {
        let value = u128::from_le_bytes(array(bytes, 0)?);
        let [kind, detail, family, effect, flags, severity] = array(bytes, 16)?;
        let kind = *SubjectKind::ALL.get(usize::from(kind))?;
        let subject = match (kind, family) {
            (SubjectKind::Ip, 4) => {
                Subject::Ip { network: IpAddr::V4(u32::try_from(value).ok()?.into()), prefix: detail }
            }
            (SubjectKind::Ip, 6) => Subject::Ip { network: IpAddr::V6(value.into()), prefix: detail },
            (SubjectKind::Bin, 0) => Subject::Bin { number: u32::try_from(value).ok()?, digits: detail },
            (kind, 0) if kind != SubjectKind::Ip && detail == 0 => Subject::Tag { kind, tag: Tag(value) },
            _ => return None,
        };
        let has = |flag: u8| flags & flag != 0;
        let row = Row {
            subject,
            effect: [Effect::Flag, Effect::Block, Effect::Override]
                .into_iter()
                .find(|e| *e as u8 == effect)?,
            overridable: has(OVERRIDABLE),
            severity,
            valid_from_ms: Some(u64_at(bytes, 24)? as i64).filter(|_| has(HAS_FROM)),
            valid_to_ms: Some(u64_at(bytes, 32)? as i64).filter(|_| has(HAS_TO)),
            overrides: Some(u32_at(bytes, 40)?).filter(|_| has(HAS_OVERRIDES)),
            reason: u32_at(bytes, 44)?,
            contributor: u32_at(bytes, 48)?,
            first_seen_ms: Some(u64_at(bytes, 52)? as i64).filter(|_| has(HAS_SEEN)),
        };
        (row.encode() == bytes).then_some(row)
    }
    /// Whether the entry counts at an event time.
    pub fn is_valid_at(&self, time_ms: i64) -> bool {
        self.valid_from_ms.is_none_or(|from| from <= time_ms)
            && self.valid_to_ms.is_none_or(|to| time_ms < to)
    }
}

pub(super) fn corrupt(message: String) -> Error {
    Error::new(ErrorKind::Corrupt, format!("list snapshot: {message}"))
}
fn error<T>(kind: ErrorKind, message: String) -> Result<T, Error> {
    Err(Error::new(kind, format!("list snapshot: {message}")))
}
