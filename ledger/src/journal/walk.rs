//! One pass over all segments, shared by recovery, the offline reader and `check`: finds the segments, follows the
//! chain from each to the next, checks the order of sequences, and builds the index.

use super::format::{HEADER_BYTES, Header, SegmentKey};
use super::frame::{Frame, Stored};
use super::index::{Index, SegmentIndex};
use super::place::Resume;
use super::scan::{Break, Scanned, proof_of_damage, scan};
use super::{RecordKind, Torn};
use crate::error::{Error, ErrorKind};
use crate::sealing::Sealing;
use crate::storage::{File, Storage, read_exact_at};
use std::sync::Arc;

const SUFFIX: &str = ".seg";

/// A segment's file name.
pub fn segment_name(number: u64) -> String {
    format!("{number:020}{SUFFIX}")
}

fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// A segment with a good header.
pub(crate) struct Found {
    pub header: Header,
    pub file: Arc<dyn File>,
    pub len: u64,
}

/// The end of what the journal holds; the next segment goes on from here.
#[derive(Clone)]
pub(crate) struct Tail {
    pub number: u64,
    pub bytes: u64,
    pub chain: [u8; 32],
}

/// What a walk found.
pub(crate) struct Walk {
    pub index: Index,
    /// The last segment with a good header; `None` in an empty journal.
    pub last: Option<(Found, Scanned)>,
    /// A file behind it whose header was never finished.
    pub unfinished: Option<Torn>,
    /// What lies behind the last good frame of the last segment.
    pub torn: Option<Torn>,
    pub epoch: u64,
    pub last_sequence: u64,
}

/// Opens a segment and reads its header. `Ok(None)`: the file has no bytes behind the header and the header is not
/// whole, as a crash while making the segment leaves it.
fn open_segment(storage: &dyn Storage, number: u64) -> Result<(Option<Found>, u64), Error> {
    let failed = |e: &std::io::Error| Error::io("opening", e).at(number, 0);
    let file = storage.open(&segment_name(number)).map_err(|e| failed(&e))?;
    let len = file.len().map_err(|e| failed(&e))?;
    if len < HEADER_BYTES as u64 {
        return Ok((None, len));
    }
    let mut bytes = [0; HEADER_BYTES];
    read_exact_at(&*file, &mut bytes, 0).map_err(|e| failed(&e))?;
    match Header::decode(&bytes) {
        Ok(header) if header.number != number => {
            let text = format!("segment header: number {}, the file's name says {number}", header.number);
            Err(Error::new(ErrorKind::Corrupt, text).at(number, 0))
        }
        Ok(header) => Ok((Some(Found { header, file, len }), len)),
        Err(e) if len == HEADER_BYTES as u64 && e.kind == ErrorKind::Corrupt => Ok((None, len)),
        Err(e) => Err(e.at(number, 0)),
    }
}

/// The numbers of all segments, in order, without a gap.
pub(crate) fn numbers(storage: &dyn Storage) -> Result<Vec<u64>, Error> {
    let names = storage.list().map_err(|e| Error::io("listing the journal", &e))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    if let Some(pair) = numbers.windows(2).find(|pair| pair[0] + 1 != pair[1]) {
        let text = format!("this segment is missing; there are {} and {}", pair[0], pair[1]);
        return Err(Error::new(ErrorKind::Corrupt, text).at(pair[0] + 1, 0));
    }
    Ok(numbers)
}

/// Gets every batch, with its segment's header and key.
pub(crate) type Each<'e> = dyn FnMut(&Header, &Frame<'_>, Option<&SegmentKey>) -> Result<(), Error> + 'e;

/// Goes over all segments. `each` gets every batch with its segment's key, in order; with a place to resume from, only
/// those behind it: of the segments before only the headers are read, and must be those that were there.
///
/// # Errors
/// `Corrupt`, `Version` (placed), `WrongKey`, `Io`; whatever `each` returns. A torn tail is not an error.
pub(crate) fn walk(
    storage: &dyn Storage,
    sealing: &Sealing,
    chained: bool,
    resume: Option<Resume>,
    each: &mut Each<'_>,
) -> Result<Walk, Error> {
    let all = numbers(storage)?;
    let mut walk = Walk {
        index: Index::default(),
        last: None,
        unfinished: None,
        torn: None,
        epoch: 0,
        last_sequence: 0,
    };
    let mut start = None;
    let mut numbers = all.into_iter();
    if let Some(resume) = resume {
        let at = resume.at.segment;
        start = Some(skip(&mut walk, storage, resume, &mut numbers)?).map(|start| (at, start));
    }
    let mut next = numbers.next().map(|number| open_segment(storage, number).map(|found| (number, found)));
    while let Some(found) = next.take() {
        let (number, (found, len)) = found?;
        let Some(found) = found else {
            if numbers.next().is_some() {
                return Err(Error::new(ErrorKind::Corrupt, "segment header: not whole").at(number, 0));
            }
            walk.unfinished = Some(Torn { segment: number, offset: 0, bytes_cut: len });
            break;
        };
        next = numbers.next().map(|number| open_segment(storage, number).map(|found| (number, found)));
        let successor = match &next {
            Some(Ok((_, (Some(successor), _)))) => Some(successor.header.clone()),
            // Damage in a later header is reported when the walk gets there; this segment is read first.
            Some(Err(_)) | Some(Ok((_, (None, _)))) | None => None,
        };
        let is_last = !matches!(next, Some(Err(_))) && successor.is_none();
        let begin = start.take_if(|(at, _)| *at == number).map(|(_, start)| start);
        walk_segment(&mut walk, (found, begin), (successor.as_ref(), is_last), sealing, chained, each)?;
    }
    Ok(walk)
}

/// A segment that is read from a place in it.
type Begun = (SegmentIndex, Scanned);

/// Takes the segments before a place over, by their headers; gives the one that it is in, as far as it goes. Segments
/// that were removed since, from the oldest on, are forgotten.
fn skip(
    walk: &mut Walk,
    storage: &dyn Storage,
    resume: Resume,
    numbers: &mut std::vec::IntoIter<u64>,
) -> Result<Begun, Error> {
    let Resume { at, segments } = resume;
    walk.last_sequence = at.last_sequence;
    let first = numbers.as_slice().first().copied().unwrap_or(u64::MAX);
    for mut known in segments.into_iter().filter(|known| known.info.number >= first) {
        let number = known.info.number;
        let corrupt = |offset, what: &str| Err(Error::new(ErrorKind::Corrupt, what).at(number, offset));
        let (Some(found), len) = open_segment(storage, number)? else {
            return corrupt(0, "segment header: not whole");
        };
        if found.header.chain() != known.info.origin {
            return corrupt(0, "segment header: not the one that was there when the image was written");
        }
        if len < known.info.bytes {
            return corrupt(len, "the segment is shorter than when the image was written");
        }
        known.info.key = SegmentIndex::new(&found.header).info.key;
        walk.epoch = found.header.epoch;
        if number == at.segment {
            return Ok((known, at.scanned));
        }
        known.info.excess_bytes = len - known.info.bytes;
        walk.index.segments.push(known);
        numbers.next();
    }
    Err(Error::new(ErrorKind::Corrupt, "the segment that the image rests on is gone").at(at.segment, 0))
}

fn walk_segment(
    walk: &mut Walk,
    (found, begun): (Found, Option<Begun>),
    (successor, is_last): (Option<&Header>, bool),
    sealing: &Sealing,
    chained: bool,
    each: &mut Each<'_>,
) -> Result<(), Error> {
    let header = &found.header;
    let number = header.number;
    let corrupt = |offset: u64, what: String| Error::new(ErrorKind::Corrupt, what).at(number, offset);
    let key = header.data_key(sealing).map_err(|e| e.at(number, super::format::SLOT.start as u64))?;
    if header.epoch < walk.epoch {
        return Err(corrupt(0, format!("epoch {} after epoch {}", header.epoch, walk.epoch)));
    }
    walk.epoch = header.epoch;
    if walk.last.is_none() && begun.is_none() {
        // Older segments were removed, or this is the first: nothing to compare with.
        walk.last_sequence = header.first_sequence.saturating_sub(1);
    }
    if begun.is_none() && header.first_sequence != walk.last_sequence + 1 {
        let text =
            format!("begins with sequence {}, expected {}", header.first_sequence, walk.last_sequence + 1);
        return Err(corrupt(0, text));
    }
    let end = successor.map_or(found.len, |next| next.previous_bytes);
    if end > found.len || end < HEADER_BYTES as u64 {
        return Err(corrupt(found.len, format!("{} bytes, the next segment says {end}", found.len)));
    }
    let (mut index, start) = begun.unwrap_or_else(|| (SegmentIndex::new(header), Scanned::start(header)));
    if end < start.end {
        return Err(corrupt(end, "the segment ends before the place that the image rests on".to_owned()));
    }
    let mut last_sequence = walk.last_sequence;
    let scanned = scan(&*found.file, header, end, chained, start, &mut |frame| {
        let mut seen = Vec::with_capacity(frame.count() as usize);
        for stored in frame.records(header.number, key.as_ref()) {
            let stored: Stored<'_> = stored.map_err(|what| corrupt(frame.at, what.to_owned()))?;
            in_order(stored.kind, stored.sequence, &mut last_sequence)
                .map_err(|what| corrupt(frame.at, what))?;
            seen.push((stored.kind, stored.sequence));
        }
        index.add(frame.at, frame.len(), seen.into_iter());
        each(header, frame, key.as_ref())
    })?;
    walk.last_sequence = last_sequence;
    index.info.closed = scanned.closed;
    index.info.bytes = scanned.end;
    index.info.excess_bytes = found.len - scanned.end;
    match (scanned.broken, successor) {
        (None, None) => {}
        // Where it ends is in a header that cannot be read, which is what the walk says next; bytes behind are not known
        // to count.
        (Some(_), None) if !is_last => {}
        (Some(broken), _) if successor.is_some() || scanned.closed => {
            return Err(corrupt(broken.offset, broken.why.what().to_owned()));
        }
        (Some(broken), _) => walk.torn = Some(torn_or_damaged(&found, &scanned, broken)?),
        (None, Some(next)) if scanned.chain != next.previous_chain => {
            let text = "the chain hash at its end is not the one in the next segment's header";
            return Err(corrupt(end, text.to_owned()));
        }
        (None, Some(_)) => {}
    }
    walk.index.segments.push(index);
    walk.last = Some((found, scanned));
    Ok(())
}

fn torn_or_damaged(found: &Found, scanned: &Scanned, broken: Break) -> Result<Torn, Error> {
    let number = found.header.number;
    match proof_of_damage(&*found.file, &found.header, broken, scanned.frames, found.len)? {
        Some(behind) => {
            let text = format!("{}, and a valid frame follows at offset {behind}", broken.why.what());
            Err(Error::new(ErrorKind::Corrupt, text).at(number, broken.offset))
        }
        None => Ok(Torn { segment: number, offset: broken.offset, bytes_cut: found.len - broken.offset }),
    }
}

/// What the order of the journal allows next: each `accepted` has a greater sequence than the one before, and a
/// `decided` or `finished` comes after its `accepted`. Moves `last` on; the error is the reason, without place.
pub(crate) fn in_order(kind: RecordKind, sequence: u64, last: &mut u64) -> Result<(), String> {
    match kind {
        RecordKind::Accepted if sequence > *last => {
            *last = sequence;
            Ok(())
        }
        RecordKind::Accepted => Err(format!("accepted {sequence} after accepted {last}")),
        RecordKind::Decided | RecordKind::Finished if (1..=*last).contains(&sequence) => Ok(()),
        RecordKind::Decided => Err(format!("decided {sequence} before its accepted; the last one is {last}")),
        RecordKind::Finished => {
            Err(format!("finished {sequence} before its accepted; the last one is {last}"))
        }
    }
}
