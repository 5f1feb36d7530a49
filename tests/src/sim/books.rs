//! What the simulator remembers of what was acknowledged, and what it asks of a journal because of it: everything once, in
//! order, byte for byte as it was told.

use super::clients::Op;
use super::wishes::Known;
use interdict_engine::domain::{Accepted, Body, Decided, Verdict};
use interdict_ledger::journal::{OwnedRecord, RecordKind};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Why a seed fails.
pub type Failure = String;

/// An answer that was told as safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The accepted record's two parts.
    pub accepted: (Vec<u8>, Vec<u8>),
    /// The canonical verdict; `None` for what has none.
    pub verdict: Option<Vec<u8>>,
}

impl Ack {
    /// Of what was told.
    pub fn of(accepted: &Accepted, verdict: Option<&interdict_engine::domain::Verdict>) -> Ack {
        let parts = (accepted.encode_open(), accepted.encode_sealed());
        Ack { accepted: parts, verdict: verdict.map(|verdict| verdict.encode()) }
    }
}

/// Everything that was acknowledged.
#[derive(Debug, Default)]
pub struct Books {
    acked: BTreeMap<u64, Ack>,
    sequences: HashMap<(Arc<str>, u128), u64>,
    /// Answers told before they were safe, in this life: by identity.
    early: HashMap<(Arc<str>, u128), (u64, Vec<u8>)>,
    /// The journal's records when it was last opened.
    history: Vec<OwnedRecord>,
}

/// What a check found.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kept {
    /// Acknowledged answers that are no longer there, where that is allowed.
    pub lost: usize,
    /// Verdicts made at a recovery.
    pub recovered: usize,
}

impl Books {
    /// Notes an answer that was told as safe; the same as every time before.
    ///
    /// # Errors
    /// When it is not.
    pub fn ack(&mut self, op: &Op, sequence: u64, ack: Ack) -> Result<(), Failure> {
        if let Some(identity) = op.identity() {
            let key = (op.tenant.clone(), identity);
            let known = *self.sequences.entry(key.clone()).or_insert(sequence);
            if known != sequence {
                return Err(format!("op {} was told sequence {sequence}, before {known}", op.number));
            }
            if let Some((early, verdict)) = self.early.remove(&key)
                && (early != sequence || ack.verdict.as_ref() != Some(&verdict))
            {
                return Err(format!("op {}: sequence {sequence} is not what was told early", op.number));
            }
        }
        match self.acked.get(&sequence) {
            Some(known) if *known != ack => Err(format!("sequence {sequence} was told otherwise before")),
            Some(_) if op.identity().is_none() => Err(format!("sequence {sequence} was told twice")),
            _ => {
                self.acked.insert(sequence, ack);
                Ok(())
            }
        }
    }
    /// Notes a verdict that was told early.
    pub fn early(&mut self, op: &Op, sequence: u64, verdict: Vec<u8>) {
        if let Some(identity) = op.identity() {
            self.early.insert((op.tenant.clone(), identity), (sequence, verdict));
        }
    }
    /// The payment that was acknowledged so many before the last; of the first again where there are not as many.
    ///
    /// # Errors
    /// Where what was told reads as nothing.
    pub fn payment(&self, pick: usize) -> Result<Option<Known>, Failure> {
        let all = || self.acked.values().rev().filter(|ack| ack.verdict.is_some());
        let Some(ack) = all().nth(pick % all().count().max(1)) else { return Ok(None) };
        let (open, sealed) = &ack.accepted;
        let accepted = Accepted::decode(open, Some(sealed)).map_err(|e| e.to_string())?;
        let verdict =
            Verdict::decode(ack.verdict.as_deref().unwrap_or_default()).map_err(|e| e.to_string())?;
        Ok(Some(Known { accepted, verdict }))
    }
    /// How many answers were acknowledged and are not lost.
    pub fn len(&self) -> usize {
        self.acked.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.acked.is_empty()
    }
    /// The node is gone, and with it what it only had in memory.
    pub fn crashed(&mut self) {
        self.early.clear();
    }

    /// Compares a journal, whole, with all that was acknowledged and with what was there before. `lossy`: the disk did
    /// what no durability is promised against, so what came last may be gone; the rest must be right all the same.
    ///
    /// # Errors
    /// What is wrong.
    pub fn compare(&mut self, found: Vec<OwnedRecord>, lossy: bool) -> Result<Kept, Failure> {
        let (accepted, decided) = in_order(&found)?;
        let mut kept = Kept { recovered: decided.values().filter(|d| d.recovered).count(), lost: 0 };
        let same = self.history.iter().zip(&found).take_while(|(before, now)| before == now).count();
        if same < self.history.len() {
            // Of a journal that lost its end only verdicts that are made anew may follow.
            let is_cut = found[same..].iter().all(|record| record.kind == RecordKind::Decided);
            if !lossy || !is_cut {
                return Err(format!("record {same} of {} is not what it was", self.history.len()));
            }
        }
        let mut lost = Vec::new();
        for (sequence, ack) in &self.acked {
            let parts = accepted.get(sequence).map(|(record, _)| (&record.open, record.sealed.as_ref()));
            let verdict = decided.get(sequence).map(|decided| decided.verdict.encode());
            match parts {
                Some((open, sealed)) if *open == ack.accepted.0 && sealed == Some(&ack.accepted.1) => {}
                None if lossy => lost.push(*sequence),
                None => return Err(format!("sequence {sequence} was acknowledged and is gone")),
                Some(_) => return Err(format!("accepted {sequence} is not what was acknowledged")),
            }
            if parts.is_some() && verdict != ack.verdict {
                let is_anew = decided.get(sequence).is_some_and(|decided| decided.recovered);
                if !(lossy && is_anew) {
                    return Err(format!("the verdict of {sequence} is not what was acknowledged"));
                }
                lost.push(*sequence);
            }
        }
        kept.lost = lost.len();
        self.acked.retain(|sequence, _| !lost.contains(sequence));
        self.sequences.retain(|_, sequence| !lost.contains(sequence));
        self.history = found;
        Ok(kept)
    }
}

type Read<'a> = (BTreeMap<u64, (&'a OwnedRecord, Accepted)>, BTreeMap<u64, Decided>);

/// The journal's records by sequence: sequences rise by one, each payment is decided once, after it was accepted.
fn in_order(found: &[OwnedRecord]) -> Result<Read<'_>, Failure> {
    let (mut accepted, mut decided) = (BTreeMap::new(), BTreeMap::new());
    for record in found {
        let sequence = record.sequence;
        match record.kind {
            RecordKind::Accepted => {
                if sequence != accepted.len() as u64 + 1 {
                    return Err(format!("accepted {sequence} is number {}", accepted.len() + 1));
                }
                accepted.insert(sequence, (record, decode(record)?));
            }
            RecordKind::Decided => {
                let read = Decided::decode(&record.open).map_err(|e| format!("decided {sequence}: {e}"))?;
                let of = accepted.get(&sequence).map(|(_, accepted): &(_, Accepted)| &accepted.event.body);
                if !matches!(of, Some(Body::Payment(_))) || read.verdict.sequence != sequence {
                    return Err(format!("decided {sequence} is of nothing that was accepted"));
                }
                if decided.insert(sequence, read).is_some() {
                    return Err(format!("{sequence} was decided twice"));
                }
            }
            // The thread that finishes is not part of the simulation.
            RecordKind::Finished => return Err(format!("{sequence} was finished by nobody")),
        }
    }
    let is_open = |(_, accepted): &(_, Accepted)| matches!(accepted.event.body, Body::Payment(_));
    match accepted.iter().find(|(sequence, one)| is_open(one) && !decided.contains_key(sequence)) {
        Some((sequence, _)) => Err(format!("{sequence} was accepted and is not decided")),
        None => Ok((accepted, decided)),
    }
}

/// An accepted record, read.
///
/// # Errors
/// When it is none.
pub fn decode(record: &OwnedRecord) -> Result<Accepted, Failure> {
    let read = Accepted::decode(&record.open, record.sealed.as_deref());
    read.map_err(|e| format!("accepted {}: {e}", record.sequence))
}
