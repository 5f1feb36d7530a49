//! A list's snapshot, read where it lies: the engine does no I/O, so somebody else maps the file and hands over the
//! bytes. Everything is checked once at opening, so that a read afterwards cannot go wrong.

use super::build::RUN_MAX;
use super::bytes::{u32_at, u64_at};
use super::check;
use super::filter::place;
use super::hash::{below, hash};
use super::layout::{CHECKSUM_LEN, Layout, ROW_LEN, Row, SLOT_LEN, corrupt, slots_for};
use super::meta::ListMeta;
use crate::domain::{Effect, Entry, Subject};
use crate::error::Error;
use crate::limits::{IDENTIFIER_BYTES_MAX, SEVERITY_MAX};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;

/// Bytes that somebody holds: a mapped file, or a vector. They must not change.
pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// An opened snapshot; cloning it shares the bytes.
#[derive(Clone)]
pub struct Snapshot {
    bytes: Bytes,
    layout: Layout,
    meta: ListMeta,
    hash: [u8; 32],
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({:?}, {} entries)", self.meta.name, self.layout.entries)
    }
}

impl Snapshot {
    /// Opens a snapshot over bytes and checks all of it (about 0.1 s per million entries).
    ///
    /// # Errors
    /// `Malformed` where the magic is not there; `Version` for another format version; `Corrupt` for a truncated
    /// file, a checksum that does not match, and a file that contradicts itself. Each names the byte and what was
    /// expected there.
    pub fn open(bytes: Bytes) -> Result<Snapshot, Error> {
        let all: &[u8] = (*bytes).as_ref();
        let layout = Layout::read(all)?;
        let (body, checksum) = all.split_at(layout.strings.end);
        let hash: [u8; 32] = Sha256::digest(body).into();
        if hash != checksum {
            let at = body.len();
            return Err(corrupt(format!("byte {at}: the checksum of {CHECKSUM_LEN} bytes does not match")));
        }
        let at = layout.meta.start;
        let meta = ListMeta::decode(&all[layout.meta.clone()])
            .map_err(|e| corrupt(format!("byte {at}: meta: {e}")))?;
        let snapshot = Snapshot { layout, meta, hash, bytes: Arc::clone(&bytes) };
        let strings = snapshot.check_strings()?;
        snapshot.check_rows(strings)?;
        snapshot.check_table()?;
        Ok(snapshot)
    }

    /// What the list is.
    pub fn meta(&self) -> &ListMeta {
        &self.meta
    }
    /// How many entries it has.
    pub fn len(&self) -> u64 {
        self.layout.entries
    }
    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Whether any entry is a tag, so that `ListMeta::key_check` matters.
    pub fn has_tags(&self) -> bool {
        self.layout.tags > 0
    }
    /// How many entries are tags; they come first.
    pub(super) fn tags(&self) -> u64 {
        self.layout.tags
    }
    /// SHA-256 of the content; equal lists are equal here.
    pub fn content_hash(&self) -> [u8; 32] {
        self.hash
    }
    /// An entry by its row, from 0. Panics when there is no such row, like an index.
    pub fn entry(&self, row: u64) -> Entry {
        let stored = self.row(row);
        let text = |number: u32| self.text(number).expect("strings were checked at opening").to_owned();
        Entry {
            id: row,
            subject: stored.subject,
            effect: stored.effect,
            overridable: stored.overridable,
            overrides: stored.overrides.map(text),
            reason: text(stored.reason),
            severity: stored.severity,
            contributor: text(stored.contributor),
            valid_from_ms: stored.valid_from_ms,
            valid_to_ms: stored.valid_to_ms,
        }
    }
    /// When the subject of a row was first heard of, ms since the Unix epoch, where the list says so. Panics when there
    /// is no such row.
    pub fn first_seen_ms(&self, row: u64) -> Option<i64> {
        self.row(row).first_seen_ms
    }
    /// All entries, by row.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Entry> + '_ {
        (0..self.len() as usize).map(|row| self.entry(row as u64))
    }
    /// The row of a subject; `None` where the list does not have it. Touches one filter word for most misses.
    pub fn row_of(&self, subject: &Subject) -> Option<u64> {
        let all = self.all();
        let hash = hash(subject, self.layout.seed);
        let (word, bits) = place(hash, self.layout.filter.len() as u64 / 8);
        u64_at(all, self.layout.filter.start + word as usize * 8).filter(|word| word & bits == bits)?;
        let slots = slots_for(self.len());
        let mut at = below(hash, slots);
        for _ in 0..RUN_MAX {
            let slot = u64_at(all, self.layout.table.start + at as usize * SLOT_LEN)?;
            let row = (slot & u64::from(u32::MAX)).checked_sub(1)?;
            if slot >> 32 == hash & u64::from(u32::MAX) && self.row(row).subject == *subject {
                return Some(row);
            }
            at = (at + 1) % slots;
        }
        None
    }
    /// Bytes of the file.
    pub fn bytes_len(&self) -> usize {
        self.layout.total_len()
    }

    pub(super) fn row(&self, row: u64) -> Row {
        assert!(row < self.len(), "row {row} of {}", self.len());
        let at = self.layout.rows.start + row as usize * ROW_LEN;
        let bytes = self.all().get(at..at + ROW_LEN).expect("sections were checked at opening");
        Row::decode(bytes).expect("rows were checked at opening")
    }
    pub(super) fn text(&self, number: u32) -> Option<&str> {
        let section = self.all().get(self.layout.strings.clone())?;
        let count = u32_at(section, 0)? as usize;
        let at = 4 + 4 * number as usize;
        let texts = 4 + 4 * (count + 1);
        if number as usize >= count {
            return None;
        }
        let (start, end) = (u32_at(section, at)? as usize, u32_at(section, at + 4)? as usize);
        std::str::from_utf8(section.get(texts.checked_add(start)?..texts.checked_add(end)?)?).ok()
    }
    fn all(&self) -> &[u8] {
        (*self.bytes).as_ref()
    }

    /// Checks the string table and gives how many strings there are.
    fn check_strings(&self) -> Result<u32, Error> {
        let start = self.layout.strings.start;
        let section = &self.all()[self.layout.strings.clone()];
        let count = u32_at(section, 0).filter(|count| section.len() / 4 > *count as usize + 1);
        let count = match count {
            Some(count) => count,
            None => return Err(corrupt(format!("byte {start}: more strings than the section holds"))),
        };
        let texts = 4 + 4 * (count as usize + 1);
        if u32_at(section, 4) != Some(0)
            || u32_at(section, texts - 4) != u32::try_from(section.len() - texts).ok()
        {
            return Err(corrupt(format!("byte {start}: the strings do not fill their section")));
        }
        let mut before = None;
        for number in 0..count {
            let text = self.text(number).filter(|text| text.len() <= IDENTIFIER_BYTES_MAX);
            if text.is_none() || text <= before {
                return Err(corrupt(format!(
                    "byte {start}: string {number} is no text, too long or out of order"
                )));
            }
            before = text;
        }
        Ok(count)
    }
    /// Checks every row: canonical, in order, with strings that exist.
    fn check_rows(&self, strings: u32) -> Result<(), Error> {
        let (mut before, mut tags) = (None, 0);
        let section = &self.all()[self.layout.rows.clone()];
        for (number, bytes) in section.chunks_exact(ROW_LEN).enumerate() {
            let at = self.layout.rows.start + number * ROW_LEN;
            let wrong = |what: &str| Err(corrupt(format!("byte {at}: entry {number}: {what}")));
            let Some(row) = Row::decode(bytes) else {
                return wrong("not an entry's bytes");
            };
            if check::subject(&row.subject).and_then(|()| check::cut(&row.subject, &self.meta)).is_err()
                || row.severity > SEVERITY_MAX
            {
                return wrong("its subject or severity is out of range");
            }
            if Some(row.subject) <= before {
                return wrong("its subject is not above the one before it");
            }
            if [Some(row.reason), Some(row.contributor), row.overrides]
                .into_iter()
                .flatten()
                .any(|s| s >= strings)
            {
                return wrong("a string that is not there");
            }
            let complete = row.overrides.is_some() && row.valid_to_ms.is_some();
            if (row.effect == Effect::Override) != row.overrides.is_some()
                || (row.effect == Effect::Override && !complete)
            {
                return wrong("an override without its target or its end, or a target without an override");
            }
            tags += u64::from(matches!(row.subject, Subject::Tag { .. }));
            before = Some(row.subject);
        }
        if tags != self.layout.tags {
            return Err(corrupt(format!("byte 32: {} tags, the entries have {tags}", self.layout.tags)));
        }
        Ok(())
    }
    /// Checks that the table holds as many rows as there are entries, and none besides.
    fn check_table(&self) -> Result<(), Error> {
        let start = self.layout.table.start;
        let mut full = 0;
        for (number, slot) in self.all()[self.layout.table.clone()].chunks_exact(SLOT_LEN).enumerate() {
            let row = u64::from(u32_at(slot, 0).unwrap_or(0));
            if row > self.len() {
                let at = start + number * SLOT_LEN;
                return Err(corrupt(format!(
                    "byte {at}: slot of entry {}, there are {}",
                    row - 1,
                    self.len()
                )));
            }
            full += u64::from(row > 0);
        }
        if full != self.len() {
            return Err(corrupt(format!("byte {start}: the table holds {full} entries of {}", self.len())));
        }
        Ok(())
    }
}
