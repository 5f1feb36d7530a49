//! Reads one segment front to back in 1 MiB reads, and tells apart what a crash leaves (a torn tail) from what only
//! damage explains (valid frames behind the break).

use super::Durability;
use super::format::{HEADER_BYTES, Header};
use super::frame::{FRAME_HEAD, Frame, NoFrame, frame_len};
use crate::error::{Error, ErrorKind};
use crate::storage::{File, read_exact_at};

const READ_BYTES: u64 = 1 << 20;

/// Where a segment's frames stop being frames.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Break {
    pub offset: u64,
    pub why: NoFrame,
}

/// What a scan found, or where one goes on.
#[derive(Debug, Clone)]
pub(crate) struct Scanned {
    /// End of the last good frame, in bytes of the file.
    pub end: u64,
    /// Where that frame begins; 0 before the first.
    pub last: u64,
    /// The chain hash there.
    pub chain: [u8; 32],
    /// Frames so far, the footer included.
    pub frames: u32,
    /// Records so far.
    pub records: u64,
    /// Whether the last good frame is a footer.
    pub closed: bool,
    /// How much of the file the frames say was on disk; 0 under `Os`.
    pub durable: u64,
    /// Set where bytes are left that are no frame.
    pub broken: Option<Break>,
}

impl Scanned {
    /// Before a segment's first frame.
    pub(crate) fn start(header: &Header) -> Scanned {
        Scanned {
            end: HEADER_BYTES as u64,
            last: 0,
            chain: header.chain(),
            frames: 0,
            records: 0,
            closed: false,
            durable: 0,
            broken: None,
        }
    }
}

/// Reads the frames of a segment behind `found` and up to `end` bytes and hands each batch to `each`. With `chained`, every chain hash is
/// computed anew; otherwise the stored ones are taken, as their checksums cover them.
///
/// # Errors
/// `Corrupt`, placed, for whole frames that are not in their place; `Io`; whatever `each` returns.
pub(crate) fn scan(
    file: &dyn File,
    header: &Header,
    end: u64,
    chained: bool,
    mut found: Scanned,
    each: &mut dyn FnMut(&Frame<'_>) -> Result<(), Error>,
) -> Result<Scanned, Error> {
    let corrupt = |at: u64, what: &str| Error::new(ErrorKind::Corrupt, what).at(header.number, at);
    let seed = header.seed();
    let mut window = Window { file, end, base: found.end, bytes: Vec::new(), at: 0 };
    loop {
        let frame =
            match window.next(seed).map_err(|e| Error::io("reading", &e).at(header.number, found.end))? {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(found),
                Err(why) => {
                    found.broken = Some(Break { offset: found.end, why });
                    return Ok(found);
                }
            };
        if found.closed {
            return Err(corrupt(frame.at, "a frame after the footer"));
        }
        if frame.ordinal() != found.frames {
            let text = format!("frame {} where frame {} belongs", frame.ordinal(), found.frames);
            return Err(corrupt(frame.at, &text));
        }
        if chained && !frame.follows(&found.chain) {
            return Err(corrupt(frame.at, "the chain hash does not follow from the batch before"));
        }
        if frame.count() == 0 {
            let (counted, _) = frame.footer().ok_or_else(|| corrupt(frame.at, "a footer of unknown form"))?;
            if counted != found.records {
                let has = found.records;
                let text = format!("the footer counts {counted} records, the segment has {has}");
                return Err(corrupt(frame.at, &text));
            }
            found.closed = true;
        } else {
            each(&frame)?;
            found.records += u64::from(frame.count());
        }
        found.durable = found.durable.max(frame.durable());
        (found.chain, found.frames) = (frame.chain(), found.frames + 1);
        (found.last, found.end) = (frame.at, frame.at + frame.len());
    }
}

/// A sliding part of a file.
struct Window<'f> {
    file: &'f dyn File,
    end: u64,
    /// Offset of `bytes[0]`.
    base: u64,
    bytes: Vec<u8>,
    at: usize,
}

impl Window<'_> {
    /// The next frame, `None` at the end.
    fn next(&mut self, seed: u32) -> std::io::Result<Result<Option<Frame<'_>>, NoFrame>> {
        let offset = self.base + self.at as u64;
        let left = self.end - offset;
        if left == 0 {
            return Ok(Ok(None));
        }
        if left < FRAME_HEAD as u64 {
            return Ok(Err(NoFrame::Short { needs: FRAME_HEAD as u64 }));
        }
        self.fill(FRAME_HEAD)?;
        let len = match frame_len(&self.bytes[self.at..]) {
            None => return Ok(Err(NoFrame::Length)),
            Some(needs) if needs > left => return Ok(Err(NoFrame::Short { needs })),
            Some(len) => len as usize,
        };
        self.fill(len)?;
        let start = self.at;
        self.at += len;
        Ok(Frame::parse(&self.bytes[start..start + len], offset, seed).map(Some))
    }

    /// Makes `n` bytes available from `at` on; the caller knows that the file has them.
    fn fill(&mut self, n: usize) -> std::io::Result<()> {
        let have = self.bytes.len() - self.at;
        if have >= n {
            return Ok(());
        }
        self.bytes.copy_within(self.at.., 0);
        self.base += self.at as u64;
        self.at = 0;
        let more = (READ_BYTES.max(n as u64)).min(self.end - self.base) as usize;
        self.bytes.resize(more, 0);
        read_exact_at(self.file, &mut self.bytes[have..], self.base + have as u64)
    }
}

/// Whether the break in the last segment can be what a crash left. It cannot when a valid frame lies behind it:
/// under `Os` every write(2) that a killed process finished is there, so a gap is damage; under `Disk` unsynced
/// blocks may reach the disk in any order, so only a frame written when the break was already known to be on disk
/// (its `durable`), or one that belongs where the break is, proves damage. Returns where such a frame lies.
pub(crate) fn proof_of_damage(
    file: &dyn File,
    header: &Header,
    broken: Break,
    frames: u32,
    end: u64,
) -> Result<Option<u64>, Error> {
    let failed = |e: &std::io::Error| Error::io("reading", e).at(header.number, broken.offset);
    let mut head = vec![0; (READ_BYTES as usize).min((end - broken.offset) as usize)];
    let mut frame_bytes = Vec::new();
    let mut base = broken.offset;
    while end - base >= FRAME_HEAD as u64 {
        head.truncate((end - base).min(head.len() as u64) as usize);
        read_exact_at(file, &mut head, base).map_err(|e| failed(&e))?;
        for at in 0..=head.len() - FRAME_HEAD {
            let offset = base + at as u64;
            let Some(len) = plausible(&head[at..], offset, broken, frames, end) else { continue };
            frame_bytes.resize(len as usize, 0);
            read_exact_at(file, &mut frame_bytes, offset).map_err(|e| failed(&e))?;
            let Ok(frame) = Frame::parse(&frame_bytes, offset, header.seed()) else { continue };
            // The very frame that is missing, elsewhere: no crash moves it.
            let is_moved = frame.ordinal() == frames;
            if header.durability == Durability::Os || frame.durable() > broken.offset || is_moved {
                return Ok(Some(offset));
            }
        }
        base += (head.len() - FRAME_HEAD + 1) as u64;
    }
    Ok(None)
}

/// The length of the frame that may begin here, by fields that are cheap to test before its checksum.
fn plausible(head: &[u8], offset: u64, broken: Break, frames: u32, end: u64) -> Option<u64> {
    let len = frame_len(head)?;
    let word = |at| u32::from_le_bytes(super::format::take(head, at));
    let ordinals = u64::from(frames)..=u64::from(frames) + (offset - broken.offset) / FRAME_HEAD as u64;
    let durable = u64::from_le_bytes(super::format::take(head, 16));
    let fits = offset > broken.offset && offset + len <= end && durable <= offset;
    (fits && ordinals.contains(&u64::from(word(8))) && u64::from(word(12)) < len).then_some(len)
}
