//! Verdicts that were given: by sequence from the journal, with the generation that gave them, for retries,
//! `GET /v1/decisions/…` and `explain`.

use super::Node;
use super::publication::BUILT_MAX;
use super::recall::Recalled;
use super::recovery::Generations;
use anyhow::{Result, anyhow};
use interdict_engine::domain::{
    Accepted, Body, Decided, Finished, GenerationId, Recorded, Transaction, Verdict,
};
use interdict_engine::generation::{Generation, View};
use std::sync::Arc;

/// Most identities' owners that are looked up under the core's lock at once.
const KNOWN_AT_ONCE: usize = 256;

/// A verdict with what it was made from.
#[derive(Debug)]
pub struct Given {
    /// What was accepted.
    pub accepted: Accepted,
    /// The canonical verdict.
    pub verdict: Verdict,
    /// Whether it was made at recovery.
    pub recovered: bool,
    /// What it used and cannot be made again.
    pub recorded: Recorded,
    /// A view that knows its generation.
    pub view: Arc<View>,
    /// Entries that it names and the view does not have.
    pub recalled: Vec<Recalled>,
    /// What it came to with the stages that it lacks, and the entries that this names, where it was finished.
    pub finished: Option<(Finished, Vec<Recalled>)>,
}

impl Given {
    /// The transaction.
    pub fn transaction(&self) -> &Transaction {
        match &self.accepted.event.body {
            Body::Payment(tx) => tx,
            _ => unreachable!("only payments have verdicts"),
        }
    }
}

impl Node {
    /// The verdict of a sequence; `None` where there is none.
    ///
    /// # Errors
    /// When the journal cannot be read, or the generation is no longer kept.
    pub fn given(&self, sequence: u64) -> Result<Option<Given>> {
        let failed = |e: interdict_ledger::Error| anyhow!("{e}");
        let Some(decided) = self.reader.read_decided(sequence).map_err(failed)? else { return Ok(None) };
        let Some(accepted) = self.reader.read_accepted(sequence).map_err(failed)? else { return Ok(None) };
        let finished = self.reader.read_finished(sequence).map_err(failed)?;
        let decided = Decided::decode(&decided.open)?;
        let accepted = Accepted::decode(&accepted.open, accepted.sealed.as_deref())?;
        let view = self.view_of(&decided.verdict.generation)?;
        let recalled = self.recall(&decided.verdict, &view)?;
        let Decided { verdict, recovered, recorded } = decided;
        let finished = finished.map(|record| -> Result<_> {
            let finished = Finished::decode(&record.open)?;
            let recalled = self.recall(&finished.verdict, &view)?;
            Ok((finished, recalled))
        });
        let finished = finished.transpose()?;
        Ok(Some(Given { accepted, verdict, recovered, recorded, view, recalled, finished }))
    }

    /// Whether a sequence's verdict is in memory only, since the disk does not take it.
    pub fn is_unwritten(&self, sequence: u64) -> bool {
        self.reader.is_unwritten(sequence)
    }

    /// The tenant whose payment a sequence is; `None` where it is no payment, or no longer kept. Unlike
    /// [`Node::given`] it needs no generation: a chargeback may come long after that one was dropped.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn tenant_of(&self, sequence: u64) -> Result<Option<Arc<str>>> {
        let failed = |e: interdict_ledger::Error| anyhow!("{e}");
        let Some(accepted) = self.reader.read_accepted(sequence).map_err(failed)? else { return Ok(None) };
        let accepted = Accepted::decode(&accepted.open, accepted.sealed.as_deref())?;
        Ok(matches!(accepted.event.body, Body::Payment(_)).then_some(accepted.event.tenant))
    }

    /// The verdict of a client's id: of the first of its identities that is known.
    ///
    /// # Errors
    /// As [`Node::given`].
    pub fn given_by_id(&self, tenant: &str, keys: impl IntoIterator<Item = u128>) -> Result<Option<Given>> {
        match self.known(tenant, keys) {
            Some((_, sequence)) => self.given(sequence),
            None => Ok(None),
        }
    }

    /// The first of some identities that is known, with its sequence.
    pub fn known(&self, tenant: &str, keys: impl IntoIterator<Item = u128>) -> Option<(u128, u64)> {
        self.with_core(|core| {
            let sequence_of = |key| core.sequencer.sequence_of(tenant, key).map(|sequence| (key, sequence));
            keys.into_iter().find_map(sequence_of)
        })
    }

    /// As [`Node::known`], for many: the sequence of each one's first identity that is known. The core is let go of in
    /// between.
    pub fn known_together(&self, tenant: &str, keys: &[Vec<u128>]) -> Vec<Option<u64>> {
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(KNOWN_AT_ONCE) {
            self.with_core(|core| {
                let first =
                    |keys: &Vec<u128>| keys.iter().find_map(|key| core.sequencer.sequence_of(tenant, *key));
                found.extend(keys.iter().map(first));
            });
        }
        found
    }

    /// A view that can name what a verdict's reasons point at: the one in force where it is of the same generation
    /// (its overlay has the entries of deltas, as a rule), else the bare generation.
    pub(super) fn view_of(&self, id: &GenerationId) -> Result<Arc<View>> {
        let current = self.view();
        if current.id().hash == id.hash {
            return Ok(current);
        }
        Ok(View::new(self.generation(id)?, id.overlay))
    }

    pub(super) fn generation(&self, id: &GenerationId) -> Result<Arc<Generation>> {
        if let Some(known) = self.generations.lock().get(&id.hash) {
            return Ok(known.clone());
        }
        let generations = Generations::new(&self.store);
        let built = generations.get(id).ok_or_else(|| anyhow!("generation {id} is no longer kept"))?;
        let mut known = self.generations.lock();
        if known.len() >= BUILT_MAX {
            known.clear();
        }
        known.insert(id.hash, built.clone());
        Ok(built)
    }
}
