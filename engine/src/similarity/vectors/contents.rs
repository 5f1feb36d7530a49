//! What one bank has learned for one tenant: labelled payments in segments of a thousand, so that a lesson copies one
//! segment and leaves every earlier version as it was for the lanes that still read it.

use super::VectorScratch;
use super::plan::Print;
use crate::domain::Label;
use crate::packs::{BankDecl, Likeness};
use interdict_shaders::{FingerprintBank, Kernel, VectorBank, dot_topk, hamming_range, hamming_topk};
use std::sync::Arc;

/// Payments of one segment: what one lesson copies.
const SEGMENT: usize = 1024;

#[derive(Debug, Clone)]
enum Segment {
    Fingerprints(FingerprintBank),
    Vectors(VectorBank),
}

impl Segment {
    fn len(&self) -> usize {
        match self {
            Segment::Fingerprints(bank) => bank.len(),
            Segment::Vectors(bank) => bank.len(),
        }
    }
    fn ids(&self) -> &[u64] {
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

/// The labelled payments of one bank and tenant. A clone shares its segments.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    segments: Vec<Arc<Segment>>,
    len: usize,
}

/// The id under which a payment stands in a bank: ordered by sequence, fraud told by the lowest bit.
const fn id_of(sequence: u64, label: Label) -> u64 {
    sequence << 1 | matches!(label, Label::Fraud) as u64
}

impl Contents {
    /// How many payments it holds.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// This and one labelled payment more; the oldest segment leaves when there are more than `capacity`.
    pub(super) fn learn(&self, sequence: u64, label: Label, print: &Print, capacity: usize) -> Contents {
        let mut next = self.clone();
        let id = id_of(sequence, label);
        match next.segments.last_mut() {
            Some(last) if last.len() < SEGMENT => Arc::make_mut(last).push(id, print),
            _ => {
                let mut segment = Segment::of(print);
                segment.push(id, print);
                next.segments.push(Arc::new(segment));
            }
        }
        next.len += 1;
        if next.len > capacity && next.segments.len() > 1 {
            next.len -= next.segments.remove(0).len();
        }
        next
    }
    /// This without a payment, whatever its label was. Whether it was there.
    pub(super) fn unlearn(&self, sequence: u64) -> (Contents, bool) {
        let mut next = self.clone();
        for (at, segment) in self.segments.iter().enumerate() {
            let Some(found) = segment.ids().iter().position(|id| id >> 1 == sequence) else { continue };
            let mut kept = Segment::of(&segment.print(found));
            for index in (0..segment.len()).filter(|index| *index != found) {
                kept.push(segment.ids()[index], &segment.print(index));
            }
            next.len -= 1;
            if kept.len() == 0 {
                next.segments.remove(at);
            } else {
                next.segments[at] = Arc::new(kept);
            }
            return (next, true);
        }
        (next, false)
    }
    /// What the bank says of a payment; `None` while it has learned nothing.
    pub fn likest(
        &self,
        kernel: Kernel,
        decl: &BankDecl,
        print: &Print,
        scratch: &mut VectorScratch,
    ) -> Option<Likest> {
        if self.is_empty() {
            return None;
        }
        let k = usize::from(decl.k);
        scratch.nearest.clear();
        let mut near = 0;
        for segment in &self.segments {
            match (&**segment, print, &decl.likeness) {
                (
                    Segment::Fingerprints(bank),
                    Print::Fingerprint(query),
                    Likeness::Fingerprint { range, .. },
                ) => {
                    hamming_topk(kernel, bank, query, k, &mut scratch.hamming);
                    scratch
                        .nearest
                        .extend(scratch.hamming.iter().map(|hit| (i64::from(hit.distance), hit.id)));
                    // Where the k nearest do not all lie in range, those that do are all there are.
                    let within = |distance: u32| distance <= u32::from(*range);
                    near += match scratch.hamming.last() {
                        Some(last) if scratch.hamming.len() == k && within(last.distance) => {
                            hamming_range(kernel, bank, query, u32::from(*range), 0, &mut scratch.hamming)
                                .found
                        }
                        _ => scratch.hamming.iter().filter(|hit| within(hit.distance)).count(),
                    };
                }
                (Segment::Vectors(bank), Print::Vector(query), Likeness::Vector { .. }) => {
                    dot_topk(kernel, bank, query, k, &mut scratch.dot);
                    scratch.nearest.extend(scratch.dot.iter().map(|hit| (-i64::from(hit.dot), hit.id)));
                }
                _ => unreachable!("a bank's declaration decides the kind of its prints"),
            }
        }
        scratch.nearest.sort_unstable();
        scratch.nearest.truncate(k);
        let frauds = scratch.nearest.iter().filter(|(_, id)| id & 1 == 1).count();
        let nearest = scratch.nearest.first().expect("the bank is not empty").0;
        let (best, near) = match &decl.likeness {
            Likeness::Fingerprint { .. } => (256 - nearest, near),
            Likeness::Vector { range, .. } => {
                (-nearest, scratch.nearest.iter().filter(|(rank, _)| -rank >= i64::from(*range)).count())
            }
        };
        let fraud_share = frauds as i64 * 1000 / scratch.nearest.len() as i64;
        Some(Likest { best, near: near as i64, fraud_share })
    }
}
