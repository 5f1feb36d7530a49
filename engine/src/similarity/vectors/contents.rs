//! What one bank has learned for one tenant: labelled payments in segments of a thousand, so that a lesson copies one
//! segment and leaves every earlier version as it was for the lanes that still read it.

use super::VectorScratch;
use super::frozen::Frozen;
use super::plan::Print;
use crate::domain::Label;
use crate::error::Error;
use crate::image::{Reader, Writer, senseless};
use crate::limits::BANK_CAPACITY_MAX;
use crate::packs::{BankDecl, Likeness};
use interdict_shaders::{FingerprintBank, HammingHit, Kernel, VectorBank};
use interdict_shaders::{dot_topk, hamming_range, hamming_topk};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Payments of one segment: what one lesson copies.
pub(super) const SEGMENT: usize = 1024;

#[derive(Debug, Clone)]
pub(super) enum Segment {
    Fingerprints(FingerprintBank),
    Vectors(VectorBank),
}

impl Segment {
    pub(super) fn len(&self) -> usize {
        match self {
            Segment::Fingerprints(bank) => bank.len(),
            Segment::Vectors(bank) => bank.len(),
        }
    }
    pub(super) fn ids(&self) -> &[u64] {
        match self {
            Segment::Fingerprints(bank) => bank.ids(),
            Segment::Vectors(bank) => bank.ids(),
        }
    }
    fn of(print: &Print) -> Segment {
        match print {
            Print::Fingerprint(_) => Segment::Fingerprints(FingerprintBank::new()),
            Print::Vector(_) => Segment::Vectors(VectorBank::new()),
        }
    }
    /// Adds a print; one of the other kind is never offered, since a bank's declaration decides the kind.
    fn push(&mut self, id: u64, print: &Print) {
        let pushed = match (self, print) {
            (Segment::Fingerprints(bank), Print::Fingerprint(print)) => bank.push(id, print),
            (Segment::Vectors(bank), Print::Vector(vector)) => bank.push(id, vector),
            _ => unreachable!("a bank's declaration decides the kind of its prints"),
        };
        pushed.expect("a segment is far below a bank's bound");
    }
    fn print(&self, index: usize) -> Print {
        match self {
            Segment::Fingerprints(bank) => Print::Fingerprint(bank.fingerprint(index)),
            Segment::Vectors(bank) => Print::Vector(bank.vector(index)),
        }
    }
}

/// What a bank says of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Likest {
    /// Bits in common with the nearest (0 to 256), or its dot product.
    pub best: i64,
    /// How many labelled payments are near: of vectors at most k are counted.
    pub near: i64,
    /// Fraud among the k nearest (all, where there are fewer), per mille.
    pub fraud_share: i64,
}

/// A segment in its place. From the lesson that fills it on it has a *seal*, a number of this process that no other
/// has; what is removed after that is kept beside it, so that a copy made under the same seal can still be searched.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// 0: not full yet, or again.
    pub(super) seal: u64,
    /// What was removed since it was sealed, oldest first; `None`: nothing.
    gone: Option<Arc<[(u64, Print)]>>,
    pub(super) segment: Arc<Segment>,
}

impl Piece {
    /// What was removed since it was sealed, oldest first, under its ids.
    pub(super) fn gone(&self) -> &[(u64, Print)] {
        self.gone.as_deref().unwrap_or_default()
    }
    fn push(&mut self, id: u64, print: &Print) {
        let segment = Arc::make_mut(&mut self.segment);
        segment.push(id, print);
        self.seal = if segment.len() == SEGMENT { fresh() } else { 0 };
        self.gone = None;
    }
}

/// A number that nothing else in this process has. It says what is the same, and never gets into an answer.
fn fresh() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The labelled payments of one bank and tenant. A clone shares its segments.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// The same in all versions of one bank and tenant; 0 before the first lesson.
    line: u64,
    pieces: Vec<Piece>,
    len: usize,
    /// As the bank's declaration says at the last lesson.
    capacity: usize,
}

/// The id under which a payment stands in a bank: ordered by sequence, fraud told by the lowest bit.
const fn id_of(sequence: u64, label: Label) -> u64 {
    sequence << 1 | matches!(label, Label::Fraud) as u64
}

impl Contents {
    /// Writes what it holds; what only tells copies on a device apart is of this process and is not written.
    pub(super) fn save(&self, to: &mut Writer<'_>) {
        to.count(self.capacity);
        to.count(self.pieces.len());
        for Piece { segment, .. } in &self.pieces {
            to.count(segment.len());
            for (at, id) in segment.ids().iter().enumerate() {
                to.u64(*id);
                segment.print(at).save(to);
            }
        }
    }
    /// What [`Contents::save`] wrote, of a bank of the same declaration.
    pub(super) fn load(from: &mut Reader<'_>, decl: &BankDecl) -> Result<Contents, Error> {
        let mut contents = Contents { capacity: from.count(usize::MAX)?, ..Contents::default() };
        for _ in 0..from.count(BANK_CAPACITY_MAX as usize)? {
            let mut piece: Option<Piece> = None;
            for _ in 0..from.count(SEGMENT)? {
                let (id, print) = (from.u64()?, Print::load(from, decl)?);
                let new = || Piece { seal: 0, gone: None, segment: Arc::new(Segment::of(&print)) };
                piece.get_or_insert_with(new).push(id, &print);
            }
            let piece = piece.ok_or_else(|| senseless("an empty part of a bank"))?;
            contents.len += piece.segment.len();
            contents.pieces.push(piece);
        }
        if contents.capacity > 0 {
            contents.line = fresh();
        }
        Ok(contents)
    }
    /// How many payments it holds.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    pub(super) fn line(&self) -> u64 {
        self.line
    }
    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
    /// Most payments it holds.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }
    /// This and one labelled payment more; the oldest segment leaves when there are more than `capacity`.
    pub(super) fn learn(&self, sequence: u64, label: Label, print: &Print, capacity: usize) -> Contents {
        let mut next = self.clone();
        let id = id_of(sequence, label);
        match next.pieces.last_mut() {
            Some(last) if last.segment.len() < SEGMENT => last.push(id, print),
            _ => {
                let mut piece = Piece { seal: 0, gone: None, segment: Arc::new(Segment::of(print)) };
                piece.push(id, print);
                next.pieces.push(piece);
            }
        }
        if next.line == 0 {
            next.line = fresh();
        }
        next.len += 1;
        next.capacity = capacity;
        if next.len > capacity && next.pieces.len() > 1 {
            next.len -= next.pieces.remove(0).segment.len();
        }
        next
    }
    /// This without a payment, whatever its label was. Whether it was there.
    pub(super) fn unlearn(&self, sequence: u64) -> (Contents, bool) {
        let mut next = self.clone();
        for (at, Piece { seal, gone, segment }) in self.pieces.iter().enumerate() {
            let Some(found) = segment.ids().iter().position(|id| id >> 1 == sequence) else { continue };
            let (id, removed) = (segment.ids()[found], segment.print(found));
            let mut kept = Segment::of(&removed);
            for index in (0..segment.len()).filter(|index| *index != found) {
                kept.push(segment.ids()[index], &segment.print(index));
            }
            next.len -= 1;
            if kept.len() == 0 {
                next.pieces.remove(at);
            } else {
                let before = gone.as_deref().unwrap_or_default().iter().copied();
                let gone = (*seal != 0).then(|| before.chain([(id, removed)]).collect());
                next.pieces[at] = Piece { seal: *seal, gone, segment: Arc::new(kept) };
            }
            return (next, true);
        }
        (next, false)
    }
    /// What the bank says of a payment; `None` while it has learned nothing. What `device` holds of the bank is
    /// searched there, or wherever it thinks best in the time that is left; the answer is the same.
    pub fn likest(
        &self,
        kernel: Kernel,
        decl: &BankDecl,
        print: &Print,
        device: Option<(&Frozen, Option<Duration>)>,
        scratch: &mut VectorScratch,
    ) -> Option<Likest> {
        if self.is_empty() {
            return None;
        }
        let asked = Asked { print, decl, k: usize::from(decl.k) };
        scratch.nearest.clear();
        let mut near = 0;
        let part = device.and_then(|(frozen, left)| Some((frozen.part_of(self, asked.k)?, frozen, left)));
        let covered = part.as_ref().map_or(0..0, |(part, ..)| part.pieces());
        if let Some((part, frozen, left)) = &part {
            near += part.search(&asked, frozen, *left, scratch);
        }
        let rest = self.pieces[..covered.start].iter().chain(&self.pieces[covered.end..]);
        near += rest.map(|piece| asked.of(kernel, &piece.segment, scratch)).sum::<usize>();
        Some(asked.answer(near, scratch))
    }
}

/// A payment as a bank is asked of it.
pub(super) struct Asked<'a> {
    pub(super) print: &'a Print,
    pub(super) decl: &'a BankDecl,
    pub(super) k: usize,
}

impl Asked<'_> {
    /// Adds the k nearest of a segment to `scratch.nearest`; of fingerprints, how many are near.
    fn of(&self, kernel: Kernel, segment: &Segment, scratch: &mut VectorScratch) -> usize {
        match (segment, self.print, &self.decl.likeness) {
            (Segment::Fingerprints(bank), Print::Fingerprint(query), Likeness::Fingerprint { range, .. }) => {
                let range = u32::from(*range);
                hamming_topk(kernel, bank, query, self.k, &mut scratch.hamming);
                scratch.nearest.extend(scratch.hamming.iter().map(rank));
                let all = || hamming_range(kernel, bank, query, range, 0, &mut scratch.counted).found;
                within(&scratch.hamming, self.k, range, all)
            }
            (Segment::Vectors(bank), Print::Vector(query), Likeness::Vector { .. }) => {
                dot_topk(kernel, bank, query, self.k, &mut scratch.dot);
                scratch.nearest.extend(scratch.dot.iter().map(|hit| (-i64::from(hit.dot), hit.id)));
                0
            }
            _ => unreachable!("a bank's declaration decides the kind of its prints"),
        }
    }
    /// The answer from the nearest of all parts, and from how many fingerprints are near.
    fn answer(&self, near: usize, scratch: &mut VectorScratch) -> Likest {
        scratch.nearest.sort_unstable();
        scratch.nearest.truncate(self.k);
        let frauds = scratch.nearest.iter().filter(|(_, id)| id & 1 == 1).count();
        let nearest = scratch.nearest.first().expect("the bank is not empty").0;
        let (best, near) = match &self.decl.likeness {
            Likeness::Fingerprint { .. } => (256 - nearest, near),
            Likeness::Vector { range, .. } => {
                (-nearest, scratch.nearest.iter().filter(|(rank, _)| -rank >= i64::from(*range)).count())
            }
        };
        let fraud_share = frauds as i64 * 1000 / scratch.nearest.len() as i64;
        Likest { best, near: near as i64, fraud_share }
    }
}

/// A hit as `scratch.nearest` holds it.
pub(super) fn rank(hit: &HammingHit) -> (i64, u64) {
    (i64::from(hit.distance), hit.id)
}

/// How many lie within `range`, from the `k` nearest: where these do not all lie in range, those that do are all
/// there are; else `all` counts.
pub(super) fn within(nearest: &[HammingHit], k: usize, range: u32, all: impl FnOnce() -> usize) -> usize {
    match nearest.last() {
        Some(last) if nearest.len() == k && last.distance <= range => all(),
        _ => nearest.iter().filter(|hit| hit.distance <= range).count(),
    }
}
