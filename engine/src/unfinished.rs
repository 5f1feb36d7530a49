//! Payments whose verdict lacks stages, by cut-off: what is still to be finished, oldest first. Small, plain and bounded,
//! so that it can be kept in an image of the state; what it lets go of is found again in the journal.

use crate::domain::{Accepted, Body, Verdict};
use crate::error::{Error, ErrorKind};
use crate::generation::Settings;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Version of the encoding below; its first byte.
const VERSION: u8 = 1;

/// Sequences by cut-off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    by_cut_off: BTreeSet<(i64, u64)>,
    cut_offs: BTreeMap<u64, i64>,
    max: usize,
    lacks: bool,
}

#[derive(Serialize, Deserialize)]
struct Encoded {
    lacks: bool,
    all: Vec<(i64, u64)>,
}

impl Unfinished {
    /// An empty one that holds at most so many (at least one).
    pub fn new(max: usize) -> Unfinished {
        Unfinished { by_cut_off: BTreeSet::new(), cut_offs: BTreeMap::new(), max: max.max(1), lacks: false }
    }
    /// When a payment settles, ms since the Unix epoch, by the settings of the generation it is judged by.
    pub fn cut_off_ms(accepted: &Accepted, settings: &Settings) -> i64 {
        let arrival_ms = accepted.event.arrival_ms;
        match &accepted.event.body {
            Body::Payment(tx) => settings.settlement.cut_off(tx, arrival_ms).at_ms,
            _ => arrival_ms,
        }
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.cut_offs.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cut_offs.is_empty()
    }
    /// Whether some that belong here were let go for the bound, and are to be looked for in the journal.
    pub fn lacks(&self) -> bool {
        self.lacks
    }
    /// All that were let go have been found.
    pub fn looked_for(&mut self) {
        self.lacks = false;
    }
    /// Whether a sequence is among them.
    pub fn contains(&self, sequence: u64) -> bool {
        self.cut_offs.contains_key(&sequence)
    }
    /// Adds a payment by its cut-off (ms since the Unix epoch); one that is known keeps its own. Past the bound that of
    /// the latest cut-off is let go, be it this one, and given back.
    pub fn insert(&mut self, cut_off_ms: i64, sequence: u64) -> Option<u64> {
        if self.contains(sequence) {
            return None;
        }
        self.cut_offs.insert(sequence, cut_off_ms);
        self.by_cut_off.insert((cut_off_ms, sequence));
        if self.len() <= self.max {
            return None;
        }
        let (_, last) = self.by_cut_off.pop_last()?;
        self.cut_offs.remove(&last);
        self.lacks = true;
        Some(last)
    }
    /// Takes a payment out; whether it was there.
    pub fn remove(&mut self, sequence: u64) -> bool {
        let Some(cut_off_ms) = self.cut_offs.remove(&sequence) else { return false };
        self.by_cut_off.remove(&(cut_off_ms, sequence))
    }
    /// Cut-off and sequence of all, the earliest cut-off first.
    pub fn iter(&self) -> impl Iterator<Item = (i64, u64)> {
        self.by_cut_off.iter().copied()
    }
    /// Its bytes: version, whether some are lacking, pairs of cut-off and sequence in order (docs/formats/journal.md).
    pub fn encode(&self) -> Vec<u8> {
        let encoded = Encoded { lacks: self.lacks, all: self.iter().collect() };
        postcard::to_extend(&encoded, vec![VERSION]).expect("plain data always encodes")
    }
    /// That of its bytes, with a bound of its own.
    ///
    /// # Errors
    /// `Version` or `Corrupt`.
    pub fn decode(bytes: &[u8], max: usize) -> Result<Unfinished, Error> {
        let rest = versioned(bytes)?;
        let Encoded { lacks, all } = postcard::from_bytes(rest).map_err(|e| corrupt(e.to_string()))?;
        if !all.is_sorted_by(|a, b| a < b) {
            return Err(corrupt("not in the order of their cut-offs".into()));
        }
        let mut unfinished = Unfinished { lacks, ..Unfinished::new(max) };
        for (cut_off_ms, sequence) in all {
            if unfinished.contains(sequence) {
                return Err(corrupt(format!("sequence {sequence} twice")));
            }
            unfinished.insert(cut_off_ms, sequence);
        }
        Ok(unfinished)
    }
}

/// What the journal's records leave to be done, followed record by record: a part of an image of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Payments that are accepted and not decided: sequence and cut-off, ms since the Unix epoch.
    pub open: BTreeMap<u64, i64>,
    /// Payments that are decided with stages skipped and not finished.
    pub unfinished: Unfinished,
}

impl Progress {
    /// Of no record yet.
    pub fn new(unfinished: Unfinished) -> Progress {
        Progress { open: BTreeMap::new(), unfinished }
    }
    /// A payment is accepted, to be judged by a generation of these settings.
    pub fn accepted(&mut self, accepted: &Accepted, settings: &Settings) {
        let cut_off_ms = Unfinished::cut_off_ms(accepted, settings);
        self.open.insert(accepted.sequence, cut_off_ms);
    }
    /// A payment is decided.
    pub fn decided(&mut self, verdict: &Verdict) {
        let open = self.open.remove(&verdict.sequence);
        if let Some(cut_off_ms) = open.filter(|_| !verdict.skipped.is_empty()) {
            self.unfinished.insert(cut_off_ms, verdict.sequence);
        }
    }
    /// A payment is finished.
    pub fn finished(&mut self, sequence: u64) {
        self.unfinished.remove(sequence);
    }
    /// Its bytes: version, what is open as pairs of sequence and cut-off, then those of what is unfinished.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = postcard::to_extend(&self.open, vec![VERSION]).expect("plain data always encodes");
        out.extend(self.unfinished.encode());
        out
    }
    /// That of its bytes, with a bound of its own.
    ///
    /// # Errors
    /// `Version` or `Corrupt`.
    pub fn decode(bytes: &[u8], max: usize) -> Result<Progress, Error> {
        let rest = versioned(bytes)?;
        let (open, rest) = postcard::take_from_bytes(rest).map_err(|e| corrupt(e.to_string()))?;
        Ok(Progress { open, unfinished: Unfinished::decode(rest, max)? })
    }
}

fn corrupt(what: String) -> Error {
    Error::new(ErrorKind::Corrupt, format!("unfinished payments: {what}"))
}

/// What is behind the version.
fn versioned(bytes: &[u8]) -> Result<&[u8], Error> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => Ok(rest),
        Some((version, _)) => {
            let text = format!("unfinished payments: version {version}, known: {VERSION}");
            Err(Error::new(ErrorKind::Version, text))
        }
        None => Err(corrupt("no bytes".into())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever comes and goes: the earliest cut-offs are kept, in order, up to the bound, and encoding loses
        /// nothing.
        #[test]
        fn the_earliest_are_kept_in_order_and_survive_encoding(
            steps in proptest::collection::vec((any::<bool>(), -20i64..20, 1u64..60), 0..200),
            max in 1usize..30,
        ) {
            let mut unfinished = Unfinished::new(max);
            let (mut oracle, mut lacks) = (Vec::<(i64, u64)>::new(), false);
            for (comes, cut_off_ms, sequence) in steps {
                let known = oracle.iter().position(|(_, known)| *known == sequence);
                match (comes, known) {
                    (true, None) => {
                        oracle.push((cut_off_ms, sequence));
                        oracle.sort_unstable();
                        let let_go = (oracle.len() > max).then(|| oracle.pop().unwrap().1);
                        lacks |= let_go.is_some();
                        prop_assert_eq!(unfinished.insert(cut_off_ms, sequence), let_go);
                    }
                    (true, Some(_)) => prop_assert_eq!(unfinished.insert(cut_off_ms, sequence), None),
                    (false, known) => {
                        known.map(|at| oracle.remove(at));
                        prop_assert_eq!(unfinished.remove(sequence), known.is_some());
                    }
                }
                prop_assert_eq!(unfinished.iter().collect::<Vec<_>>(), oracle.clone());
                prop_assert_eq!((unfinished.len(), unfinished.lacks()), (oracle.len(), lacks));
            }
            let bytes = unfinished.encode();
            prop_assert_eq!(&Unfinished::decode(&bytes, max).unwrap(), &unfinished);
            for cut in 0..bytes.len() {
                prop_assert!(Unfinished::decode(&bytes[..cut], max).is_err());
            }
            // A smaller bound keeps the earliest.
            let smaller = Unfinished::decode(&bytes, 3).unwrap();
            prop_assert_eq!(smaller.iter().collect::<Vec<_>>(), oracle[..oracle.len().min(3)].to_vec());
            prop_assert_eq!(smaller.lacks(), lacks || oracle.len() > 3);
        }
    }

    #[test]
    fn what_is_out_of_order_or_twice_there_is_refused() {
        let bytes = |all: &[(i64, u64)]| {
            let encoded = Encoded { lacks: false, all: all.to_vec() };
            postcard::to_extend(&encoded, vec![VERSION]).unwrap()
        };
        for (all, expected) in [(&[(2, 1), (1, 2)][..], "order"), (&[(1, 7), (2, 7)], "twice")] {
            let error = Unfinished::decode(&bytes(all), 9).unwrap_err();
            assert!(error.kind == ErrorKind::Corrupt && error.message.contains(expected), "{error}");
        }
        assert_eq!(Unfinished::decode(&[2], 9).unwrap_err().kind, ErrorKind::Version);
    }
}
