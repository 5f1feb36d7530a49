//! A set of payments that is let go of by days: what has settled long ago is asked for by nobody, and a node that runs for
//! years must not keep it. Whether a payment is in it is one look-up, whatever the days.

use super::sequences::Sequences;
use crate::error::Error;
use crate::image::{Reader, Writer, senseless};
use std::collections::BTreeMap;

/// A day, in ms.
const DAY_MS: i64 = 86_400_000;

/// The day of a time, from the Unix epoch.
pub fn day(at_ms: i64) -> i64 {
    at_ms.div_euclid(DAY_MS)
}

/// Payments by sequence, each kept until its day.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dated {
    all: Sequences,
    by_day: BTreeMap<i64, Sequences>,
}

impl Dated {
    /// Whether it is among them.
    pub fn contains(&self, sequence: u64) -> bool {
        self.all.contains(sequence)
    }
    /// Adds one that is kept until the day of `until_ms` at least; whether it is new. Of one that is there the first day
    /// stands.
    pub fn insert(&mut self, sequence: u64, until_ms: i64) -> bool {
        let is_new = self.all.insert(sequence);
        if is_new {
            self.by_day.entry(day(until_ms)).or_default().insert(sequence);
        }
        is_new
    }
    /// Takes one out.
    pub fn remove(&mut self, sequence: u64) {
        if self.all.remove(sequence) {
            self.by_day.retain(|_, of_day| !of_day.remove(sequence) || of_day.count() > 0);
        }
    }
    /// Lets go of all days before one; the last sequence among them.
    pub fn forget_before(&mut self, day: i64) -> Option<u64> {
        let mut last = None;
        while let Some(first) = self.by_day.first_entry().filter(|first| *first.key() < day) {
            let gone = first.remove();
            last = last.max(gone.last());
            self.all.remove_all(&gone);
        }
        last
    }
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.all.count()
    }
    /// Writes it, day by day.
    pub fn save(&self, to: &mut Writer<'_>) {
        to.count(self.by_day.len());
        for (day, of_day) in &self.by_day {
            to.i64(*day);
            of_day.save(to);
        }
    }
    /// What [`Dated::save`] wrote.
    ///
    /// # Errors
    /// `Corrupt` for days that are empty or out of order, and payments that have two; whatever the source returns.
    pub fn load(from: &mut Reader<'_>) -> Result<Dated, Error> {
        let mut dated = Dated::default();
        for _ in 0..from.count(usize::MAX)? {
            let (day, of_day) = (from.i64()?, Sequences::load(from)?);
            let in_order = dated.by_day.last_key_value().is_none_or(|(last, _)| *last < day);
            let before = dated.all.count();
            dated.all.add_all(&of_day);
            if !in_order || of_day.count() == 0 || dated.all.count() != before + of_day.count() {
                return Err(senseless("days of payments out of order"));
            }
            dated.by_day.insert(day, of_day);
        }
        Ok(dated)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(dated: &Dated) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        dated.save(&mut writer);
        writer.end();
        bytes
    }
    fn load(mut bytes: &[u8]) -> Result<Dated, Error> {
        Dated::load(&mut Reader::new(&mut bytes))
    }

    proptest! {
        #[test]
        fn it_holds_what_a_map_of_days_would(
            steps in prop::collection::vec((0u8..5, 0u64..40, -3i64..6), 0..120),
        ) {
            let (mut dated, mut map) = (Dated::default(), BTreeMap::<u64, i64>::new());
            for (step, sequence, of_day) in steps {
                match step {
                    0 => {
                        let gone = map.iter().filter(|(_, kept)| **kept < of_day).map(|(one, _)| *one).max();
                        map.retain(|_, kept| *kept >= of_day);
                        prop_assert_eq!(dated.forget_before(of_day), gone);
                    }
                    1 => {
                        map.remove(&sequence);
                        dated.remove(sequence);
                    }
                    _ => {
                        let is_new = dated.insert(sequence, of_day * DAY_MS + 7);
                        prop_assert_eq!(is_new, !map.contains_key(&sequence));
                        map.entry(sequence).or_insert(of_day);
                    }
                }
                prop_assert_eq!(dated.count(), map.len() as u64);
                prop_assert!((0..40).all(|one| dated.contains(one) == map.contains_key(&one)));
                let read = load(&bytes(&dated)).unwrap();
                prop_assert_eq!(bytes(&read), bytes(&dated));
                prop_assert_eq!(read, dated.clone());
            }
        }
    }

    #[test]
    fn days_out_of_order_and_payments_of_two_days_are_refused() {
        let written = |days: &[(i64, u64)]| {
            let mut bytes = Vec::new();
            let mut writer = Writer::new(&mut bytes);
            writer.count(days.len());
            for (day, sequence) in days {
                writer.i64(*day);
                let mut of_day = Sequences::default();
                of_day.insert(*sequence);
                of_day.save(&mut writer);
            }
            writer.end();
            bytes
        };
        assert!(load(&written(&[(1, 5), (2, 6)])).is_ok());
        for wrong in [[(2, 5), (1, 6)], [(1, 5), (1, 6)], [(1, 5), (2, 5)]] {
            assert!(load(&written(&wrong)).is_err(), "{wrong:?}");
        }
    }
}
