//! From the journal to payments: each accepted payment with its decision, in the one order, however late the decision
//! comes. And the place from which all this could be begun again without losing one.

use super::Taken;
use crate::error::{Error, ErrorKind};
use crate::journal::{At, RecordKind, Stored};
use interdict_engine::domain::{Accepted, Body, Decided};
use std::collections::{BTreeMap, VecDeque};

/// A payment that was accepted and decided.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The accepted record as it lies in the journal.
    pub taken: Taken,
    /// What it says, without its text.
    pub accepted: Accepted,
    /// The decided record's bytes.
    pub decided_bytes: Vec<u8>,
    /// What it says.
    pub decided: Decided,
}

/// Payments whose decision has not been met yet, or waits for that of an earlier one; as many as a node has under way.
#[derive(Debug)]
pub struct Pairs {
    pending: BTreeMap<u64, (Taken, Accepted, Option<Vec<u8>>)>,
    /// Places, the first of them before the first pending payment.
    places: VecDeque<At>,
}

impl Pairs {
    /// None, before a place of the journal from which its records will be taken.
    pub fn new(from: At) -> Pairs {
        Pairs { pending: BTreeMap::new(), places: VecDeque::from([from]) }
    }
    /// Takes a record, in the journal's order. A decision without its payment is of one that was met before the place
    /// where this began.
    ///
    /// # Errors
    /// `Corrupt`, `Version`.
    pub fn take(&mut self, stored: &Stored<'_>) -> Result<(), Error> {
        let sequence = stored.sequence;
        match stored.kind {
            RecordKind::Accepted => {
                let accepted = Accepted::decode(stored.open(), None).map_err(|e| corrupt(stored, &e))?;
                if matches!(accepted.event.body, Body::Payment(_)) {
                    self.pending.insert(sequence, (stored.into(), accepted, None));
                }
            }
            RecordKind::Decided => {
                if let Some((.., decided)) = self.pending.get_mut(&sequence) {
                    *decided = Some(stored.open().to_vec());
                }
            }
            RecordKind::Finished => {}
        }
        Ok(())
    }
    /// The next payment in the one order, once it is decided and all before it are.
    ///
    /// # Errors
    /// `Corrupt`, `Version`.
    pub fn pop(&mut self) -> Result<Option<Pair>, Error> {
        let Some(first) = self.pending.first_entry().filter(|first| first.get().2.is_some()) else {
            return Ok(None);
        };
        let (taken, accepted, decided_bytes) = first.remove();
        let decided_bytes = decided_bytes.unwrap_or_default();
        let decided = Decided::decode(&decided_bytes).map_err(|e| {
            let text = format!("window: decided record of sequence {}: {e}", taken.sequence);
            Error::new(ErrorKind::Corrupt, text)
        })?;
        Ok(Some(Pair { taken, accepted, decided_bytes, decided }))
    }
    /// The first payment that waits.
    pub fn first(&self) -> Option<u64> {
        self.pending.keys().next().copied()
    }
    /// How many payments wait.
    pub fn len(&self) -> usize {
        self.pending.len()
    }
    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
    /// Told each place that is reached, once all that [`Pairs::pop`] gave is put away; gives the last place from which
    /// whatever is still pending would be met again.
    pub fn resume(&mut self, reached: &At) -> At {
        self.places.push_back(reached.clone());
        let first = self.pending.keys().next().copied().unwrap_or(u64::MAX);
        while self.places.get(1).is_some_and(|place| place.last_sequence() < first) {
            self.places.pop_front();
        }
        self.places.front().unwrap_or(reached).clone()
    }
}

fn corrupt(stored: &Stored<'_>, why: &dyn std::fmt::Display) -> Error {
    let text = format!("window: accepted record of sequence {}: {why}", stored.sequence);
    Error::new(ErrorKind::Corrupt, text).at(stored.place().segment, stored.place().offset)
}
