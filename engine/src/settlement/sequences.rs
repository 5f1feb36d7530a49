//! A set of sequences, compressed: what is cleared or stopped stays known at a bit or less a payment.

use crate::error::Error;
use crate::image::{Reader, Writer, senseless};
use roaring::RoaringTreemap;

/// A set of sequences.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sequences(RoaringTreemap);

impl Sequences {
    /// Whether it is among them.
    pub fn contains(&self, sequence: u64) -> bool {
        self.0.contains(sequence)
    }
    /// Adds one; whether it is new.
    pub fn insert(&mut self, sequence: u64) -> bool {
        self.0.insert(sequence)
    }
    /// Takes one out; whether it was there.
    pub fn remove(&mut self, sequence: u64) -> bool {
        self.0.remove(sequence)
    }
    /// Adds all of another set.
    pub fn add_all(&mut self, others: &Sequences) {
        self.0 |= &others.0;
    }
    /// Takes all of another set out.
    pub fn remove_all(&mut self, others: &Sequences) {
        self.0 -= &others.0;
    }
    /// The last one.
    pub fn last(&self) -> Option<u64> {
        self.0.max()
    }
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }
    /// Writes it as runs of first and last, so that equal sets have equal bytes whatever they were made of.
    pub fn save(&self, to: &mut Writer<'_>) {
        let runs = self.runs();
        to.count(runs.len());
        for (first, last) in runs {
            to.u64s(&[first, last]);
        }
    }
    fn runs(&self) -> Vec<(u64, u64)> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for sequence in &self.0 {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == sequence => *last = sequence,
                _ => runs.push((sequence, sequence)),
            }
        }
        runs
    }
    /// What [`Sequences::save`] wrote.
    ///
    /// # Errors
    /// `Corrupt` for runs that are not in order, or touch; whatever the source returns.
    pub fn load(from: &mut Reader<'_>) -> Result<Sequences, Error> {
        let (count, mut set, mut before) = (from.count(usize::MAX)?, RoaringTreemap::new(), None::<u64>);
        for _ in 0..count {
            let (first, last) = (from.u64()?, from.u64()?);
            if first > last || before.is_some_and(|before| first <= before.saturating_add(1)) {
                return Err(senseless("runs of sequences out of order"));
            }
            set.insert_range(first..=last);
            before = Some(last);
        }
        Ok(Sequences(set))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn bytes(set: &Sequences) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        set.save(&mut writer);
        writer.end();
        bytes
    }

    proptest! {
        #[test]
        fn it_is_a_set_and_equal_sets_have_equal_bytes(all in proptest::collection::vec(0u64..300, 0..200)) {
            let (mut set, mut oracle) = (Sequences::default(), BTreeSet::new());
            for one in &all {
                prop_assert_eq!(set.insert(*one), oracle.insert(*one));
            }
            prop_assert!((0..301).all(|one| set.contains(one) == oracle.contains(&one)));
            prop_assert_eq!(set.count(), oracle.len() as u64);
            let written = bytes(&set);
            let mut other = Sequences::default();
            for one in all.iter().rev() {
                other.insert(*one);
            }
            prop_assert_eq!(&bytes(&other), &written);
            let mut source = &written[..];
            prop_assert_eq!(Sequences::load(&mut Reader::new(&mut source)).unwrap(), set);
        }
    }

    #[test]
    fn runs_that_touch_or_go_back_are_refused() {
        for runs in [[(5, 4), (9, 9)], [(1, 3), (4, 5)], [(5, 6), (1, 2)]] {
            let mut bytes = Vec::new();
            let mut writer = Writer::new(&mut bytes);
            writer.count(2);
            runs.iter().for_each(|(first, last)| writer.u64s(&[*first, *last]));
            writer.end();
            let mut source = &bytes[..];
            assert!(Sequences::load(&mut Reader::new(&mut source)).is_err());
        }
    }
}
