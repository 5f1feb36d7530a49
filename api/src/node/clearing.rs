//! What the settlement gate has to know of a payment that is no part of the book of holds: whose it is, when it settles,
//! whether its verdict lets it settle, and whether all of its stages have run. From the journal's records, read together,
//! and kept for those who ask again.

use super::store::Store;
use anyhow::{Context, Result, anyhow};
use interdict_engine::domain::{Accepted, Body, Decided, GenerationId, Outcome, TransactionKind};
use interdict_engine::generation::{PartKind, Settings};
use interdict_engine::limits::CLEAR_FACTS_MAX;
use interdict_engine::settlement::Settlement;
use interdict_ledger::journal::{OwnedRecord, Reader, RecordKind};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Sequences whose records are read together.
const TOGETHER: usize = 256;
/// Generations whose terms are kept; more are read from the store again.
const TERMS_MAX: usize = 64;

/// What the gate knows of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Whose it is.
    pub tenant: Arc<str>,
    /// When it settles, ms since the Unix epoch, by the settings of its own generation; `i64::MAX` where that one is no
    /// longer kept, so that everything that was learned counts for it.
    pub cut_off_ms: i64,
    /// Whether its verdict lets it settle: it is not declined, no reversal, and was not challenged. `None`: it has no verdict
    /// yet.
    pub settles: Option<bool>,
    /// Whether its verdict lacks stages that have not been finished.
    pub lacks: bool,
}

/// Who knows the facts. Asked while nobody has the core.
pub trait Facts: Send + Sync {
    /// The facts of sequences, in their order; `None` for what is no payment, or is no longer kept.
    ///
    /// # Errors
    /// When they cannot be read now.
    fn facts(&self, sequences: &[u64]) -> Result<Vec<Option<Fact>>>;
}

/// What the node has for the gate.
pub struct Clearing {
    source: Box<dyn Facts>,
    unknown: AtomicU64,
}

impl Clearing {
    /// With somebody who knows the facts.
    pub fn new(source: impl Facts + 'static) -> Clearing {
        Clearing { source: Box::new(source), unknown: AtomicU64::new(0) }
    }
    /// As [`Facts::facts`].
    ///
    /// # Errors
    /// As there.
    pub fn facts(&self, sequences: &[u64]) -> Result<Vec<Option<Fact>>> {
        self.source.facts(sequences)
    }
    /// So many more payments were asked for that nobody knows: no event has them.
    pub fn unknown(&self, count: u64) {
        self.unknown.fetch_add(count, Ordering::Relaxed);
    }
    /// How often that was, since the start.
    pub fn unknown_count(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }
}

/// The facts as the journal has them.
pub struct JournalFacts {
    reader: Reader,
    store: Store,
    /// `None`: no longer kept.
    terms: Mutex<BTreeMap<[u8; 32], Option<Arc<Settlement>>>>,
    known: Mutex<Known>,
}

/// Facts that cannot change any more, of two ages: when the younger half is full it becomes the older one.
#[derive(Default)]
struct Known {
    younger: HashMap<u64, Fact>,
    older: HashMap<u64, Fact>,
}

impl Known {
    fn get(&mut self, sequence: u64) -> Option<Fact> {
        if let Some(fact) = self.younger.get(&sequence) {
            return Some(fact.clone());
        }
        let fact = self.older.remove(&sequence)?;
        self.put(sequence, fact.clone());
        Some(fact)
    }
    fn put(&mut self, sequence: u64, fact: Fact) {
        if self.younger.len() >= CLEAR_FACTS_MAX / 2 {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert(sequence, fact);
    }
}

impl JournalFacts {
    /// Of a node's journal and store.
    pub fn new(reader: Reader, store: Store) -> JournalFacts {
        JournalFacts { reader, store, terms: Mutex::default(), known: Mutex::default() }
    }

    fn read(&self, sequences: &[u64], found: &mut BTreeMap<u64, Fact>) -> Result<()> {
        let kinds = [RecordKind::Accepted, RecordKind::Decided, RecordKind::Finished];
        let wanted: Vec<_> =
            sequences.iter().flat_map(|sequence| kinds.map(|kind| (kind, *sequence))).collect();
        let records = self.reader.read_many(&wanted).map_err(|e| anyhow!("{e}"))?;
        for (sequence, records) in sequences.iter().zip(records.chunks_exact(kinds.len())) {
            let [Some(accepted), decided, finished] = records else { continue };
            if let Some(fact) = self.fact(accepted, decided.as_ref(), finished.is_some())? {
                if fact.settles.is_some() && !fact.lacks {
                    self.known.lock().put(*sequence, fact.clone());
                }
                found.insert(*sequence, fact);
            }
        }
        Ok(())
    }
    fn fact(
        &self,
        accepted: &OwnedRecord,
        decided: Option<&OwnedRecord>,
        is_finished: bool,
    ) -> Result<Option<Fact>> {
        // What it says of itself in words is of no matter here.
        let accepted = Accepted::decode(&accepted.open, None)?;
        let Body::Payment(tx) = &accepted.event.body else { return Ok(None) };
        let verdict = decided.map(|record| Decided::decode(&record.open)).transpose()?;
        let verdict = verdict.map(|decided| decided.verdict);
        let cut_off_ms = self
            .terms(&accepted.generation)?
            .map_or(i64::MAX, |terms| terms.cut_off(tx, accepted.event.arrival_ms).at_ms);
        Ok(Some(Fact {
            cut_off_ms,
            settles: verdict.as_ref().map(|verdict| settles(tx.kind, verdict.outcome)),
            lacks: verdict.is_some_and(|verdict| !verdict.skipped.is_empty()) && !is_finished,
            tenant: accepted.event.tenant,
        }))
    }

    /// What a generation says of settlement, without building it: its lists may be large.
    fn terms(&self, id: &GenerationId) -> Result<Option<Arc<Settlement>>> {
        if let Some(terms) = self.terms.lock().get(&id.hash) {
            return Ok(terms.clone());
        }
        let read = || -> Result<Option<Arc<Settlement>>> {
            let Some(manifest) = self.store.manifest(&id.hash)? else { return Ok(None) };
            let part = manifest.parts().iter().find(|(kind, ..)| *kind == PartKind::Settings);
            let Some((_, _, hash)) = part else { return Ok(Some(Arc::default())) };
            Ok(Some(Arc::new(Settings::decode((*self.store.get(hash)?).as_ref())?.settlement)))
        };
        let terms = read().with_context(|| format!("the terms of generation {id}"))?;
        let mut known = self.terms.lock();
        if known.len() >= TERMS_MAX {
            known.clear();
        }
        known.insert(id.hash, terms.clone());
        Ok(terms)
    }
}

impl Facts for JournalFacts {
    fn facts(&self, sequences: &[u64]) -> Result<Vec<Option<Fact>>> {
        let mut facts: Vec<Option<Fact>> = {
            let mut known = self.known.lock();
            sequences.iter().map(|sequence| known.get(*sequence)).collect()
        };
        let lacking = sequences.iter().zip(&facts).filter(|(_, fact)| fact.is_none());
        let mut unknown: Vec<u64> = lacking.map(|(sequence, _)| *sequence).collect();
        if unknown.is_empty() {
            return Ok(facts);
        }
        unknown.sort_unstable();
        unknown.dedup();
        let mut found = BTreeMap::new();
        for together in unknown.chunks(TOGETHER) {
            self.read(together, &mut found)?;
        }
        for (fact, sequence) in facts.iter_mut().zip(sequences).filter(|(fact, _)| fact.is_none()) {
            *fact = found.get(sequence).cloned();
        }
        Ok(facts)
    }
}

/// Whether a payment with this verdict may settle, as far as that alone says; a hold is the book's matter. A challenge is a
/// soft decline (DE39 1A and 65): whoever passes it pays by a request of its own, or by a completion or advice that says
/// what happened, and that one settles.
pub(super) fn settles(kind: TransactionKind, outcome: Outcome) -> bool {
    kind != TransactionKind::Reversal && !matches!(outcome, Outcome::Decline | Outcome::Challenge)
}
