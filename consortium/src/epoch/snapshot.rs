//! What is active in an epoch: a header, rows of 76 bytes ascending by signal, the open texts, and the counts at the end
//! (docs/formats/epoch.md). A snapshot is read where it lies; nothing of it is used before all of it was checked.

use crate::epoch::header::{HEADER_BYTES, Header};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::fixed::{Hashing, Sink, Texts, Written, get_u16, get_u32, get_u64, malformed, put, text_of};
use crate::kind::{MemberId, Privacy};
use crate::limits::{EPOCH_ROWS_MAX, TEXT_AREA_BYTES_MAX, TIME_MS_MAX};
use crate::signal::row::{check_open_text, key_at};
use crate::signal::{Key, Reason};

/// Bytes of a row.
pub const ROW_BYTES: usize = 76;
const TRAILER_BYTES: usize = 16;
const NOBODY: u16 = u16::MAX;

/// An active signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// Which.
    pub key: Key,
    /// Why.
    pub reason: Reason,
    /// How grave, 0 to 100.
    pub severity: u8,
    /// When anybody saw it first, in unix milliseconds.
    pub first_seen_ms: u64,
    /// When anybody saw it last.
    pub last_seen_ms: u64,
    /// Until when it is active if nobody says anything more; after the time the snapshot was built.
    pub expires_ms: u64,
    /// How many trusted members contribute it.
    pub trusted: u16,
    /// How many members contribute it, trusted ones included; at least 1.
    pub contributors: u16,
    /// Whose contribution leads, where the kind's rules let others see that.
    pub member: Option<MemberId>,
    /// The text of an open signal; else empty.
    pub text: &'a str,
}

impl<'a> Row<'a> {
    pub(crate) fn encode(&self, (text_at, text_len): (u32, u16)) -> [u8; ROW_BYTES] {
        let mut bytes = [0; ROW_BYTES];
        bytes[0] = self.key.kind as u8;
        bytes[1] = self.severity;
        put(&mut bytes, 2, &self.reason.code().to_le_bytes());
        put(&mut bytes, 4, &self.key.key_version.to_le_bytes());
        put(&mut bytes, 8, &self.key.tags.tag);
        put(&mut bytes, 24, &self.key.tags.exact);
        put(&mut bytes, 40, &self.first_seen_ms.to_le_bytes());
        put(&mut bytes, 48, &self.last_seen_ms.to_le_bytes());
        put(&mut bytes, 56, &self.expires_ms.to_le_bytes());
        put(&mut bytes, 64, &self.trusted.to_le_bytes());
        put(&mut bytes, 66, &self.contributors.to_le_bytes());
        put(&mut bytes, 68, &self.member.map_or(NOBODY, |member| member.0).to_le_bytes());
        put(&mut bytes, 70, &text_len.to_le_bytes());
        put(&mut bytes, 72, &text_at.to_le_bytes());
        bytes
    }
    /// Reads one and checks it by its snapshot's header.
    pub(crate) fn decode(bytes: &[u8], texts: &'a [u8], header: &Header) -> Result<Row<'a>> {
        let member = Some(get_u16(bytes, 68)).filter(|member| *member != NOBODY).map(MemberId);
        let row = Row {
            key: key_at(bytes)?,
            reason: Reason::by_code(get_u16(bytes, 2))?,
            severity: bytes[1],
            first_seen_ms: get_u64(bytes, 40),
            last_seen_ms: get_u64(bytes, 48),
            expires_ms: get_u64(bytes, 56),
            trusted: get_u16(bytes, 64),
            contributors: get_u16(bytes, 66),
            member,
            text: text_of(texts, get_u32(bytes, 72), get_u16(bytes, 70))?,
        };
        row.check(header)?;
        Ok(row)
    }
    fn check(&self, header: &Header) -> Result<()> {
        let refuse = |message: &str| Err(Error::new(ErrorKind::Invalid, message));
        let shape = header.check_key(&self.key)?;
        if self.reason.is_of_dispute() || self.severity > 100 {
            return refuse("expected a signal's reason and a severity up to 100");
        }
        let times = (self.first_seen_ms, self.last_seen_ms, self.expires_ms);
        if times.0 == 0 || times.0 > times.1 || times.1 > TIME_MS_MAX || times.2 > TIME_MS_MAX {
            return refuse("expected first seen, not after last seen");
        }
        if times.2 <= header.built_ms {
            return refuse("ended before the snapshot was built");
        }
        if self.contributors == 0 || self.trusted > self.contributors {
            return refuse("expected a contributor, and no more trusted ones than all");
        }
        if self.member.is_some() != shape.names_member {
            return refuse(
                "says who contributed where the kind does not allow it, or does not where it must",
            );
        }
        match shape.privacy {
            Privacy::Open => check_open_text(&self.key, self.text),
            _ if self.text.is_empty() => Ok(()),
            _ => refuse("text beside a tag"),
        }
    }
}

/// A snapshot that was checked, where its bytes lie.
#[derive(Debug, Clone)]
pub struct Snapshot<'a> {
    header: Header,
    rows: &'a [u8],
    texts: &'a [u8],
}

impl<'a> Snapshot<'a> {
    /// Reads a snapshot; checks every byte of it. That it is the one that a quorum signed is for [`crate::epoch::accept`].
    ///
    /// # Errors
    /// `Malformed`, `Invalid`, `Version`, `TooLarge`, with the byte or the row.
    pub fn open(bytes: &'a [u8]) -> Result<Snapshot<'a>> {
        let snapshot = Snapshot::again(bytes)?;
        snapshot.check()?;
        Ok(snapshot)
    }
    /// Over bytes that [`Snapshot::open`] has checked and that have lain in memory since: the rows, which are most of the work
    /// (0.3 s for ten million), are not looked at again.
    ///
    /// # Errors
    /// As [`Snapshot::open`], of header and counts.
    pub fn again(bytes: &'a [u8]) -> Result<Snapshot<'a>> {
        let header = Header::decode(bytes)?;
        let (rows, texts) = sections(bytes, HEADER_BYTES)?;
        Ok(Snapshot { header, rows, texts })
    }
    fn check(&self) -> Result<()> {
        let mut order = Order::default();
        for (number, bytes) in self.rows.chunks_exact(ROW_BYTES).enumerate() {
            let row = Row::decode(bytes, self.texts, &self.header);
            let checked = row.and_then(|row| order.next(&row.key, get_u32(bytes, 72), row.text));
            checked.map_err(|e| e.at(Place::Row(number as u64)))?;
        }
        order.end(self.texts)
    }
    /// What it says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }
    /// How many signals.
    pub fn len(&self) -> usize {
        self.rows.len() / ROW_BYTES
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    /// A row, from 0; `None` behind the last.
    pub fn row(&self, number: usize) -> Option<Row<'a>> {
        let bytes = self.rows.get(number * ROW_BYTES..(number + 1) * ROW_BYTES)?;
        Some(Row::decode(bytes, self.texts, &self.header).expect("all rows were checked at opening"))
    }
    /// All rows, ascending by signal.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'a>> + '_ {
        (0..self.len()).map(|number| self.row(number).expect("a number below the count"))
    }
    /// The row of a signal, by binary search.
    pub fn find(&self, key: &Key) -> Option<Row<'a>> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let mid = low + (high - low) / 2;
            let row = self.row(mid)?;
            match row.key.cmp(key) {
                std::cmp::Ordering::Equal => return Some(row),
                std::cmp::Ordering::Less => low = mid + 1,
                std::cmp::Ordering::Greater => high = mid,
            }
        }
        None
    }
}

/// The rows and texts of a file whose last 16 bytes count them, behind a header that was read.
pub(crate) fn sections(bytes: &[u8], header_bytes: usize) -> Result<(&[u8], &[u8])> {
    let end = bytes.len().checked_sub(TRAILER_BYTES).filter(|end| *end >= header_bytes);
    let end = end.ok_or_else(|| Error::new(ErrorKind::Malformed, "the file is cut off"))?;
    let (rows, texts) = (get_u64(bytes, end), get_u64(bytes, end + 8));
    if rows > EPOCH_ROWS_MAX || texts > TEXT_AREA_BYTES_MAX as u64 {
        let message = format!("{rows} rows and {texts} bytes of text: more than may be");
        return Err(Error::new(ErrorKind::TooLarge, message).at(Place::Byte(end as u64)));
    }
    let expected = header_bytes as u64 + rows * ROW_BYTES as u64 + texts;
    if expected != end as u64 {
        return Err(malformed(end, format!("counts of {expected} bytes, the file has {end} before them")));
    }
    let body = &bytes[header_bytes..end];
    let texts_at = body.len() - usize::try_from(texts).expect("below the file's length");
    Ok(body.split_at(texts_at))
}

/// That rows ascend and their texts follow one another.
#[derive(Debug, Default)]
pub(crate) struct Order {
    before: Option<Key>,
    text_at: u32,
}

impl Order {
    pub(crate) fn next(&mut self, key: &Key, text_at: u32, text: &str) -> Result<()> {
        if self.before.as_ref().is_some_and(|before| before >= key) {
            return Err(Error::new(ErrorKind::Malformed, "out of order: rows ascend, no signal twice"));
        }
        self.before = Some(*key);
        let expected = if text.is_empty() { 0 } else { self.text_at };
        if text_at != expected {
            return Err(Error::new(ErrorKind::Malformed, "its text does not follow the one before it"));
        }
        self.text_at += u32::try_from(text.len()).expect("a text's length has 16 bits");
        Ok(())
    }
    pub(crate) fn end(&self, texts: &[u8]) -> Result<()> {
        match self.text_at as usize == texts.len() {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Malformed, "text that is no row's")),
        }
    }
}

/// Writes a snapshot to a sink, row by row in ascending order.
pub(crate) struct SnapshotWriter<S> {
    out: Hashing<S>,
    texts: Texts,
    rows: u64,
}

impl<S: Sink> SnapshotWriter<S> {
    pub(crate) fn new(sink: S, header: &Header) -> Result<SnapshotWriter<S>> {
        let mut out = Hashing::new(sink);
        out.put(&header.encode())?;
        Ok(SnapshotWriter { out, texts: Texts::default(), rows: 0 })
    }
    pub(crate) fn put(&mut self, row: &Row<'_>) -> Result<()> {
        self.rows += 1;
        if self.rows > EPOCH_ROWS_MAX {
            return Err(Error::new(ErrorKind::TooLarge, format!("more than {EPOCH_ROWS_MAX} rows")));
        }
        let text = self.texts.add(row.text)?;
        self.out.put(&row.encode(text))
    }
    pub(crate) fn finish(mut self) -> Result<Written> {
        for piece in self.texts.bytes().chunks(1 << 15) {
            self.out.put(piece)?;
        }
        self.out.put(&self.rows.to_le_bytes())?;
        self.out.put(&(self.texts.bytes().len() as u64).to_le_bytes())?;
        self.out.finish(self.rows)
    }
}
