//! Entries to a snapshot's bytes. The same entries in any order give the same bytes, so that a list's content hash
//! names what it says and nothing else.

use super::check;
use super::filter::place;
use super::hash::{below, hash};
use super::layout::{Layout, ROW_LEN, Row, SLOT_LEN, slots_for};
use super::meta::ListMeta;
use crate::domain::{Entry, Subject};
use crate::error::{Error, ErrorKind};
use crate::limits::LIST_ENTRIES_MAX;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Longest run of slots that a look-up may walk; a build that finds a longer one tries the next seed.
pub(super) const RUN_MAX: u64 = 512;
const SEEDS_MAX: u64 = 16;

/// An entry, and when its subject was first heard of, which no delta says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The entry.
    pub entry: Entry,
    /// First heard of, ms since the Unix epoch, where that is known.
    pub first_seen_ms: Option<i64>,
}

impl From<Entry> for Listed {
    fn from(entry: Entry) -> Listed {
        Listed { entry, first_seen_ms: None }
    }
}

/// Builds a snapshot. An entry's `id` is not looked at: its row is its place among the sorted subjects.
///
/// # Errors
/// As [`build_listed`].
pub fn build(meta: &ListMeta, entries: Vec<Entry>) -> Result<Vec<u8>, Error> {
    build_listed(meta, entries.into_iter().map(Listed::from).collect())
}

/// As [`build`], of entries with more to say.
///
/// # Errors
/// `Invalid` for meta or an entry that means nothing (an override without `overrides`, `contributor` or
/// `valid_to_ms`, say), and for two entries of one subject that are not identical, naming them by their place among
/// `entries`, from 1. `TooLarge` past `LIST_ENTRIES_MAX`.
pub fn build_listed(meta: &ListMeta, entries: Vec<Listed>) -> Result<Vec<u8>, Error> {
    meta.check()?;
    if entries.len() as u64 > LIST_ENTRIES_MAX {
        let message = format!("list {:?}: {} entries, limit {LIST_ENTRIES_MAX}", meta.name, entries.len());
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let entries = sorted(meta, entries)?;
    let strings = Strings::of(&entries);
    let encoded = strings.encode(&meta.name)?;
    let head = meta.encode();
    let subjects: Vec<Subject> = entries.iter().map(|one| one.entry.subject).collect();
    let (seed, table) = table(&meta.name, &subjects)?;
    let tags = subjects.iter().filter(|subject| matches!(subject, Subject::Tag { .. })).count() as u64;
    let layout = Layout::new(entries.len() as u64, tags, seed, head.len(), encoded.len())
        .expect("the bound on entries keeps every size far below 2^63");

    let mut out = vec![0; layout.strings.end];
    out[..layout.header().len()].copy_from_slice(&layout.header());
    out[layout.meta.clone()].copy_from_slice(&head);
    write_filter(&mut out[layout.filter.clone()], &subjects, seed);
    for (slot, bytes) in table.iter().zip(out[layout.table.clone()].chunks_exact_mut(SLOT_LEN)) {
        bytes.copy_from_slice(&slot.to_le_bytes());
    }
    for (listed, bytes) in entries.iter().zip(out[layout.rows.clone()].chunks_exact_mut(ROW_LEN)) {
        bytes.copy_from_slice(&strings.row(listed).encode());
    }
    out[layout.strings.clone()].copy_from_slice(&encoded);
    let checksum = Sha256::digest(&out);
    out.extend_from_slice(&checksum);
    Ok(out)
}

/// Checked, sorted by subject, identical duplicates dropped.
fn sorted(meta: &ListMeta, entries: Vec<Listed>) -> Result<Vec<Listed>, Error> {
    let list = &meta.name;
    let mut numbered: Vec<(usize, Listed)> = Vec::with_capacity(entries.len());
    for (number, Listed { entry, first_seen_ms }) in (1..).zip(entries) {
        check::entry(&entry)
            .and_then(|()| check::cut(&entry.subject, meta))
            .map_err(|e| Error::new(e.kind, format!("list {list:?}: entry {number}: {}", e.message)))?;
        numbered.push((number, Listed { entry: Entry { id: 0, ..entry }, first_seen_ms }));
    }
    numbered.sort_by_key(|(number, one)| (one.entry.subject, *number));
    let mut out: Vec<Listed> = Vec::with_capacity(numbered.len());
    let mut before = 0;
    for (number, one) in numbered {
        let subject = one.entry.subject;
        match out.last() {
            Some(last) if last.entry.subject == subject && *last == one => {}
            Some(last) if last.entry.subject == subject => {
                let kind = subject.kind().name();
                return Err(Error::new(
                    ErrorKind::Invalid,
                    format!(
                        "list {list:?}: entries {before} and {number} are the same {kind} and say different things"
                    ),
                ));
            }
            _ => {
                out.push(one);
                before = number;
            }
        }
    }
    Ok(out)
}

/// The fingerprint table: row + 1 in the low half of a slot, fingerprint in the high half, 0 for empty.
fn table(list: &str, subjects: &[Subject]) -> Result<(u64, Vec<u64>), Error> {
    let slots = slots_for(subjects.len() as u64);
    'seeds: for seed in 0..SEEDS_MAX {
        let mut table = vec![0u64; slots as usize];
        for (row, subject) in subjects.iter().enumerate() {
            let hash = hash(subject, seed);
            let mut at = below(hash, slots);
            let mut run = 0;
            while table[at as usize] != 0 {
                at = (at + 1) % slots;
                run += 1;
                if run >= RUN_MAX {
                    continue 'seeds;
                }
            }
            table[at as usize] = hash << 32 | (row as u64 + 1);
        }
        return Ok((seed, table));
    }
    // 16 seeds in a row do not happen by chance: somebody has chosen the subjects.
    let message = format!("list {list:?}: subjects collide under {SEEDS_MAX} seeds, runs limit {RUN_MAX}");
    Err(Error::new(ErrorKind::Invalid, message))
}

fn write_filter(out: &mut [u8], subjects: &[Subject], seed: u64) {
    let words = out.len() as u64 / 8;
    for subject in subjects {
        let (word, bits) = place(hash(subject, seed), words);
        let word = &mut out[word as usize * 8..][..8];
        for (byte, more) in word.iter_mut().zip(bits.to_le_bytes()) {
            *byte |= more;
        }
    }
}

/// The distinct texts of a list, sorted.
struct Strings<'a>(BTreeMap<&'a str, u32>);

impl<'a> Strings<'a> {
    fn of(entries: &'a [Listed]) -> Strings<'a> {
        let mut numbers = BTreeMap::new();
        for Listed { entry, .. } in entries {
            numbers.insert(entry.reason.as_str(), 0);
            numbers.insert(entry.contributor.as_str(), 0);
            numbers.extend(entry.overrides.as_deref().map(|text| (text, 0)));
        }
        for (number, place) in (0..).zip(numbers.values_mut()) {
            *place = number;
        }
        Strings(numbers)
    }
    fn row(&self, Listed { entry, first_seen_ms }: &Listed) -> Row {
        Row {
            subject: entry.subject,
            effect: entry.effect,
            overridable: entry.overridable,
            severity: entry.severity,
            valid_from_ms: entry.valid_from_ms,
            valid_to_ms: entry.valid_to_ms,
            overrides: entry.overrides.as_deref().map(|text| self.0[text]),
            reason: self.0[entry.reason.as_str()],
            contributor: self.0[entry.contributor.as_str()],
            first_seen_ms: *first_seen_ms,
        }
    }
    /// Count, then one offset more than texts, then the texts.
    fn encode(&self, list: &str) -> Result<Vec<u8>, Error> {
        let bytes: usize = self.0.keys().map(|text| text.len()).sum();
        if u32::try_from(bytes).is_err() {
            let message = format!("list {list:?}: {bytes} bytes of distinct texts, limit {}", u32::MAX);
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let mut out = Vec::with_capacity(bytes + 8 + 4 * self.0.len());
        out.extend_from_slice(&(self.0.len() as u32).to_le_bytes());
        let mut at = 0u32;
        out.extend_from_slice(&at.to_le_bytes());
        for text in self.0.keys() {
            at += text.len() as u32;
            out.extend_from_slice(&at.to_le_bytes());
        }
        self.0.keys().for_each(|text| out.extend_from_slice(text.as_bytes()));
        Ok(out)
    }
}
