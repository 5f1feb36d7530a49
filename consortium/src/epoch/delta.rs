//! The difference of an epoch's snapshot from its parent's: one entry a signal that was added, changed or removed,
//! ascending (docs/formats/epoch.md). Parent and delta give the snapshot back, byte for byte.

use crate::epoch::header::{HEADER_BYTES, Header};
use crate::epoch::snapshot::{Order, ROW_BYTES, Row, Snapshot, SnapshotWriter};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::fixed::{Hashing, Sink, Texts, Written, check_magic, get, get_u32, get_u64, malformed, put};
use crate::limits::{EPOCH_ROWS_MAX, TEXT_AREA_BYTES_MAX};
use crate::signal::Key;
use crate::signal::row::key_at;
use std::cmp::Ordering;

const MAGIC: &[u8; 8] = b"INTDDELT";
const VERSION: u32 = 1;
/// Magic, version, zero, hash of the parent.
const OWN_BYTES: usize = 48;
const ENTRIES_AT: usize = OWN_BYTES + HEADER_BYTES;
const TRAILER_BYTES: usize = 32;
/// A row as far as its key goes: all that an entry has of a removed signal.
const KEY_BYTES: usize = 40;

/// How many signals a delta adds, changes and removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Active now, and not before.
    pub added: u64,
    /// Active before and now, with other attributes.
    pub changed: u64,
    /// Active before, and no more.
    pub removed: u64,
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// A signal that was not there.
    Added(Row<'a>),
    /// A signal that was there and is another now.
    Changed(Row<'a>),
    /// A signal that is there no more.
    Removed(Key),
}

impl Change<'_> {
    /// Which signal.
    pub fn key(&self) -> Key {
        match self {
            Change::Added(row) | Change::Changed(row) => row.key,
            Change::Removed(key) => *key,
        }
    }
    const fn number(&self) -> u8 {
        match self {
            Change::Added(_) => 1,
            Change::Changed(_) => 2,
            Change::Removed(_) => 3,
        }
    }
    fn count(&self, counts: &mut Counts) {
        match self {
            Change::Added(_) => counts.added += 1,
            Change::Changed(_) => counts.changed += 1,
            Change::Removed(_) => counts.removed += 1,
        }
    }
}

/// A delta that was checked, where its bytes lie.
#[derive(Debug, Clone)]
pub struct Delta<'a> {
    parent: [u8; 32],
    header: Header,
    counts: Counts,
    entries: &'a [u8],
    texts: &'a [u8],
}

impl<'a> Delta<'a> {
    /// Reads a delta; checks every byte of it.
    ///
    /// # Errors
    /// `Malformed`, `Invalid`, `Version`, `TooLarge`, with the byte or the entry (as a row).
    pub fn open(bytes: &'a [u8]) -> Result<Delta<'a>> {
        check_magic(bytes, MAGIC, VERSION, ENTRIES_AT + TRAILER_BYTES)?;
        if get_u32(bytes, 12) != 0 {
            return Err(malformed(12, "expected 0"));
        }
        let header = Header::decode(&bytes[OWN_BYTES..])?;
        let end = bytes.len() - TRAILER_BYTES;
        let [added, changed, removed, texts] = [0, 8, 16, 24].map(|at| get_u64(bytes, end + at));
        let is_large = |count: u64| count > EPOCH_ROWS_MAX;
        if [added, changed, removed].into_iter().any(is_large) || texts > TEXT_AREA_BYTES_MAX as u64 {
            return Err(Error::new(ErrorKind::TooLarge, "more than may be").at(Place::Byte(end as u64)));
        }
        let entries = (added + changed) * (1 + ROW_BYTES as u64) + removed * (1 + KEY_BYTES as u64);
        let expected = ENTRIES_AT as u64 + entries + texts;
        if expected != end as u64 {
            return Err(malformed(
                end,
                format!("counts of {expected} bytes, the file has {end} before them"),
            ));
        }
        let entries = usize::try_from(entries).expect("below the file's length");
        let (entries, texts) = bytes[ENTRIES_AT..end].split_at(entries);
        let counts = Counts { added, changed, removed };
        let delta = Delta { parent: get(bytes, 16), header, counts, entries, texts };
        delta.check()?;
        Ok(delta)
    }
    fn check(&self) -> Result<()> {
        let (mut order, mut counts, mut at, mut number) = (Order::default(), Counts::default(), 0, 0);
        while at < self.entries.len() {
            let place = |e: Error| e.at(Place::Row(number));
            let (change, text_at, next) = self.entry(at).map_err(place)?;
            let text = match change {
                Change::Added(row) | Change::Changed(row) => row.text,
                Change::Removed(_) => "",
            };
            order.next(&change.key(), text_at, text).map_err(place)?;
            change.count(&mut counts);
            (at, number) = (next, number + 1);
        }
        match counts == self.counts {
            true => order.end(self.texts),
            false => Err(Error::new(ErrorKind::Malformed, "other counts than its entries")),
        }
    }
    /// The entry at a byte of the entries: what it is, where its text begins, where the next entry begins.
    fn entry(&self, at: usize) -> Result<(Change<'a>, u32, usize)> {
        let cut_off = || Error::new(ErrorKind::Malformed, "an entry that is cut off");
        let number = *self.entries.get(at).ok_or_else(cut_off)?;
        let bytes = |len: usize| self.entries.get(at + 1..at + 1 + len).ok_or_else(cut_off);
        match number {
            1 | 2 => {
                let bytes = bytes(ROW_BYTES)?;
                let row = Row::decode(bytes, self.texts, &self.header)?;
                let change = if number == 1 { Change::Added(row) } else { Change::Changed(row) };
                Ok((change, get_u32(bytes, 72), at + 1 + ROW_BYTES))
            }
            3 => {
                let bytes = bytes(KEY_BYTES)?;
                if bytes[1..4] != [0; 3] {
                    return Err(Error::new(ErrorKind::Malformed, "a removed signal with more than its key"));
                }
                Ok((Change::Removed(key_at(bytes)?), 0, at + 1 + KEY_BYTES))
            }
            other => {
                let message = format!("change {other} is not known here: expected 1 to 3");
                Err(Error::new(ErrorKind::Version, message))
            }
        }
    }
    /// SHA-256 of the snapshot that it begins from.
    pub fn parent(&self) -> [u8; 32] {
        self.parent
    }
    /// The header of the snapshot that it leads to.
    pub fn header(&self) -> &Header {
        &self.header
    }
    /// What is in it.
    pub fn counts(&self) -> Counts {
        self.counts
    }
    /// All entries, ascending by signal.
    pub fn changes(&self) -> impl Iterator<Item = Change<'a>> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let (change, _, next) = (at < self.entries.len()).then(|| self.entry(at))?.ok()?;
            at = next;
            Some(change)
        })
    }
}

/// Writes the difference between two snapshots to a sink; `parent_sha256` is the hash of the first one's bytes.
///
/// # Errors
/// `TooLarge`; what the sink says.
pub fn write(
    parent: &Snapshot<'_>,
    parent_sha256: &[u8; 32],
    snapshot: &Snapshot<'_>,
    sink: impl Sink,
) -> Result<(Written, Counts)> {
    let mut out = Hashing::new(sink);
    let mut own = [0; OWN_BYTES];
    put(&mut own, 0, MAGIC);
    put(&mut own, 8, &VERSION.to_le_bytes());
    put(&mut own, 16, parent_sha256);
    out.put(&own)?;
    out.put(&snapshot.header().encode())?;
    let (mut texts, mut counts) = (Texts::default(), Counts::default());
    let (mut old, mut new) = (parent.rows().peekable(), snapshot.rows().peekable());
    while let Some(change) = next_change(&mut old, &mut new) {
        let Some(change) = change else { continue };
        change.count(&mut counts);
        out.put(&[change.number()])?;
        match change {
            Change::Added(row) | Change::Changed(row) => out.put(&row.encode(texts.add(row.text)?))?,
            Change::Removed(key) => out.put(&key_bytes(&key))?,
        }
    }
    out.put(texts.bytes())?;
    for count in [counts.added, counts.changed, counts.removed, texts.bytes().len() as u64] {
        out.put(&count.to_le_bytes())?;
    }
    Ok((out.finish(counts.added + counts.changed + counts.removed)?, counts))
}

type Rows<I> = std::iter::Peekable<I>;

/// One step through both: `None` at their end, `Some(None)` for a row that is as it was.
fn next_change<'a, 'b>(
    old: &mut Rows<impl Iterator<Item = Row<'a>>>,
    new: &mut Rows<impl Iterator<Item = Row<'b>>>,
) -> Option<Option<Change<'b>>> {
    let order = match (old.peek(), new.peek()) {
        (None, None) => return None,
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (Some(old), Some(new)) => old.key.cmp(&new.key),
    };
    Some(match order {
        Ordering::Less => old.next().map(|row| Change::Removed(row.key)),
        Ordering::Greater => new.next().map(Change::Added),
        Ordering::Equal => {
            let (old, new) = (old.next()?, new.next()?);
            (old != new).then_some(Change::Changed(new))
        }
    })
}

fn key_bytes(key: &Key) -> [u8; KEY_BYTES] {
    let mut bytes = [0; KEY_BYTES];
    bytes[0] = key.kind as u8;
    put(&mut bytes, 4, &key.key_version.to_le_bytes());
    put(&mut bytes, 8, &key.tags.tag);
    put(&mut bytes, 24, &key.tags.exact);
    bytes
}

/// Writes the snapshot that a delta leads to from its parent; `parent_sha256` is the hash of the parent's bytes. That the
/// result is the one that was signed is for [`crate::epoch::accept`].
///
/// # Errors
/// `Stale` where the delta begins from another snapshot; `Corrupt` for a change that does not fit the parent; what the sink
/// says.
pub fn apply(
    parent: &Snapshot<'_>,
    parent_sha256: &[u8; 32],
    delta: &Delta<'_>,
    sink: impl Sink,
) -> Result<Written> {
    if delta.parent != *parent_sha256 {
        return Err(Error::new(ErrorKind::Stale, "the delta begins from another snapshot than the one held"));
    }
    let mut writer = SnapshotWriter::new(sink, &delta.header)?;
    let mut old = parent.rows().peekable();
    for (number, change) in delta.changes().enumerate() {
        let key = change.key();
        while let Some(row) = old.next_if(|row| row.key < key) {
            writer.put(&row)?;
        }
        let before = old.next_if(|row| row.key == key);
        let fits = match change {
            Change::Added(_) => before.is_none(),
            Change::Changed(row) => before.is_some_and(|before| before != row),
            Change::Removed(_) => before.is_some(),
        };
        if !fits {
            let message = "the change does not fit the snapshot that it begins from";
            return Err(Error::new(ErrorKind::Corrupt, message).at(Place::Row(number as u64)));
        }
        if let Change::Added(row) | Change::Changed(row) = change {
            writer.put(&row)?;
        }
    }
    old.try_for_each(|row| writer.put(&row))?;
    writer.finish()
}
