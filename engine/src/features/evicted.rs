//! What is remembered of evicted keys, so that one that comes back is undecided as far back as its events are lost,
//! while keys that were never seen stay decided.

use crate::error::Error;
use crate::image::{Reader, Writer};
use crate::limits::FEATURE_EVICTED_MAX;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::VecDeque;

/// What is known of a key beside the events held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// Earliest event, ms; `UNKNOWN_MS` when that may be among what was lost and forgotten.
    pub first_ms: i64,
    /// Latest event, ms.
    pub last_ms: i64,
    /// No event after this is lost.
    pub lost_ms: i64,
}

impl Known {
    /// Writes it.
    pub fn save(&self, to: &mut Writer<'_>) {
        to.i64s(&[self.first_ms, self.last_ms, self.lost_ms]);
    }
    /// What [`Known::save`] wrote.
    pub fn load(from: &mut Reader<'_>) -> Result<Known, Error> {
        Ok(Known { first_ms: from.i64()?, last_ms: from.i64()?, lost_ms: from.i64()? })
    }
}

/// Stands for an unknown first event, and for "nothing lost".
pub(crate) const UNKNOWN_MS: i64 = i64::MIN;
/// How many of the oldest are looked at for one to forget.
const FORGET_ATTEMPTS: usize = 8;

#[derive(Debug)]
pub(crate) struct Evicted {
    known: HashMap<u128, (Known, u32), FixedState>,
    order: VecDeque<(u128, u32)>,
    next: u32,
    max: usize,
}

impl Evicted {
    /// A memory of at most `keys_max` keys and the bound of limits.rs.
    pub fn new(keys_max: usize) -> Evicted {
        let max = keys_max.clamp(1, FEATURE_EVICTED_MAX);
        Evicted { known: HashMap::default(), order: VecDeque::new(), next: 0, max }
    }
    /// What is known of an evicted key.
    pub fn get(&self, key: u128) -> Option<Known> {
        self.known.get(&key).map(|(known, _)| *known)
    }
    /// Takes a key out: it is held again.
    pub fn take(&mut self, key: u128) -> Option<Known> {
        self.known.remove(&key).map(|(known, _)| known)
    }
    /// Remembers a key; gives what was forgotten for it: the oldest, but rather one whose events are not dated after
    /// `ahead_ms`, since forgetting such a one makes every key undecided until then.
    pub fn remember(&mut self, key: u128, known: Known, ahead_ms: i64) -> Option<Known> {
        self.next = self.next.wrapping_add(1);
        self.known.insert(key, (known, self.next));
        self.order.push_back((key, self.next));
        if self.order.len() <= self.max {
            return None;
        }
        for attempt in 0..FORGET_ATTEMPTS {
            let (oldest, number) = self.order.pop_front()?;
            match self.known.get(&oldest) {
                Some((known, current)) if *current == number => {
                    if known.lost_ms <= ahead_ms || attempt + 1 == FORGET_ATTEMPTS {
                        return self.take(oldest);
                    }
                    self.order.push_back((oldest, number));
                }
                _ => return None,
            }
        }
        None
    }
    /// Writes them in the order in which they are forgotten, with the places of those that came back.
    pub fn save(&self, to: &mut Writer<'_>) {
        to.u32(self.next);
        to.count(self.order.len());
        for (key, number) in &self.order {
            to.u128(*key);
            to.u32(*number);
            let current = self.known.get(key).filter(|(_, current)| current == number);
            to.bool(current.is_some());
            current.iter().for_each(|(known, _)| known.save(to));
        }
    }
    /// What [`Evicted::save`] wrote, under the same bound.
    pub fn load(from: &mut Reader<'_>, keys_max: usize) -> Result<Evicted, Error> {
        let mut evicted = Evicted { next: from.u32()?, ..Evicted::new(keys_max) };
        for _ in 0..from.count(evicted.max)? {
            let (key, number) = (from.u128()?, from.u32()?);
            evicted.order.push_back((key, number));
            if from.bool()? {
                evicted.known.insert(key, (Known::load(from)?, number));
            }
        }
        Ok(evicted)
    }
    /// How many keys are remembered.
    pub fn len(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first_and_one_that_came_back_never() {
        let known = |ms| Known { first_ms: ms, last_ms: ms, lost_ms: ms };
        let mut evicted = Evicted::new(3);
        for key in 1..=3 {
            assert_eq!(evicted.remember(key, known(key as i64), 100), None);
        }
        assert_eq!(evicted.take(1), Some(known(1)));
        // 1 came back and went again: its old place in the order means nothing now.
        assert_eq!(evicted.remember(1, known(10), 100), None);
        assert_eq!(evicted.remember(4, known(4), 100), Some(known(2)));
        assert_eq!((evicted.get(1), evicted.get(2), evicted.len()), (Some(known(10)), None, 3));
        // 3 is dated ahead and stays; 1 goes.
        assert_eq!(evicted.remember(3, known(500), 100), None);
        assert_eq!(evicted.remember(5, known(5), 100), Some(known(10)));
    }
}
