//! The merged index of one key: buckets of one cache line, ten fingerprints and ten row numbers each, so that a miss
//! (nearly every probe) touches one line and reads nothing else. Filter and table in one: a false candidate comes
//! once in about ten thousand probes, and the full 128-bit tag of its row settles it.

use super::hash::{below, hash};
use super::prefetch;
use crate::domain::Subject;
use crate::error::{Error, ErrorKind};

const PER_BUCKET: usize = 10;
/// Rows per bucket that the table is sized for: at 6 of 10 about 4 % of buckets overflow into the next one.
const FILL: u64 = 6;
/// Longest run of buckets. A tag that is in all 64 lists needs 7; longer runs mean chosen tags, and another seed.
const RUN_MAX: usize = 64;
const SEEDS_MAX: u64 = 16;

#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
struct Bucket {
    /// Fingerprints; 0 where the place is free.
    prints: [u16; PER_BUCKET],
    /// How many rows found this bucket full and went on: while 0, a look-up ends here.
    passed: u32,
    rows: [u32; PER_BUCKET],
}

const _: () = assert!(size_of::<Bucket>() == 64);

/// A table of row numbers by subject.
pub(super) struct Table {
    seed: u64,
    buckets: Vec<Bucket>,
}

fn print(hash: u64) -> u16 {
    // Places come from the high bits, fingerprints from the low ones.
    (hash as u16).max(1)
}

impl Table {
    /// The table of `count` rows; `rows` gives them anew for each seed tried.
    pub fn new<I: Iterator<Item = (Subject, u32)>>(count: u64, rows: impl Fn() -> I) -> Result<Table, Error> {
        let buckets = if count == 0 { 0 } else { count.div_ceil(FILL) as usize + RUN_MAX };
        for seed in 0..SEEDS_MAX {
            let mut table = Table { seed, buckets: vec![Bucket::default(); buckets] };
            if rows().all(|(subject, row)| table.insert(&subject, row)) {
                return Ok(table);
            }
        }
        let message = format!("lists: tags collide under {SEEDS_MAX} seeds, runs limit {RUN_MAX} buckets");
        Err(Error::new(ErrorKind::Invalid, message))
    }
    /// The first bucket of a hash. The last `RUN_MAX` buckets are nobody's first, so that runs need not wrap.
    fn home(&self, hash: u64) -> usize {
        below(hash, (self.buckets.len() - RUN_MAX) as u64) as usize
    }
    fn insert(&mut self, subject: &Subject, row: u32) -> bool {
        let hash = hash(subject, self.seed);
        let home = self.home(hash);
        for bucket in &mut self.buckets[home..home + RUN_MAX] {
            if let Some(free) = bucket.prints.iter().position(|print| *print == 0) {
                bucket.prints[free] = print(hash);
                bucket.rows[free] = row;
                return true;
            }
            bucket.passed += 1;
        }
        false
    }
    /// Calls `candidate` with every row whose fingerprint is the subject's, in no meaningful order.
    #[inline]
    pub fn candidates(&self, subject: &Subject, mut candidate: impl FnMut(u32)) {
        if self.buckets.is_empty() {
            return;
        }
        let hash = hash(subject, self.seed);
        let home = self.home(hash);
        let wanted = print(hash);
        for bucket in &self.buckets[home..home + RUN_MAX] {
            let mut found = 0u32;
            for (place, print) in bucket.prints.iter().enumerate() {
                found |= u32::from(*print == wanted) << place;
            }
            while found != 0 {
                candidate(bucket.rows[found.trailing_zeros() as usize]);
                found &= found - 1;
            }
            if bucket.passed == 0 {
                return;
            }
        }
    }
    /// Asks the cache for the line that `candidates` will read first.
    #[inline]
    pub fn prefetch(&self, subject: &Subject) {
        if !self.buckets.is_empty() {
            prefetch::read(&self.buckets[self.home(hash(subject, self.seed))]);
        }
    }
    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.buckets.len() * size_of::<Bucket>()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::{SubjectKind, Tag};

    fn card(n: u128) -> Subject {
        Subject::Tag { kind: SubjectKind::Card, tag: Tag(n) }
    }
    fn candidates(table: &Table, subject: Subject) -> Vec<u32> {
        let mut out = Vec::new();
        table.candidates(&subject, |row| out.push(row));
        out.sort_unstable();
        out
    }

    #[test]
    fn every_row_is_a_candidate_and_hardly_anything_else() {
        let table = Table::new(50_000, || (0..50_000u32).map(|n| (card(u128::from(n)), n))).unwrap();
        assert!((0..50_000).all(|n| candidates(&table, card(u128::from(n))).contains(&n)));
        let false_ones: usize = (50_000..150_000).map(|n| candidates(&table, card(n)).len()).sum();
        assert!(false_ones < 100, "{false_ones} false candidates in 100,000 probes");
        assert!(candidates(&Table::new(0, std::iter::empty).unwrap(), card(1)).is_empty());
    }

    #[test]
    fn a_tag_in_all_lists_is_found_in_all_and_chosen_collisions_are_refused() {
        let rows = || (0..1000u32).map(|n| (card(u128::from(n / 64)), n));
        let table = Table::new(1000, rows).unwrap();
        assert_eq!(candidates(&table, card(3)), (192..256).collect::<Vec<_>>());
        let error = Table::new(2000, || (0..2000).map(|n| (card(1), n))).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Invalid);
    }
}
