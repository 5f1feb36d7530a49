//! A payment of the window once more through the lane, by what is in force now. It is judged by the stamps it got when it
//! came: features that nobody counted then are undecided.

use crate::node::Node;
use crate::node::recovery::Generations;
use anyhow::{Result, anyhow};
use interdict_engine::domain::{Accepted, GenerationId, Outcome, Stamp, Verdict};
use interdict_engine::generation::{Generation, View};
use interdict_engine::lane::{Open, Scratch, decide};
use interdict_engine::sequencer::Work;
use interdict_ledger::journal::Unsealer;
use interdict_ledger::window::Row;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Judges payments by one view.
pub(super) struct Judge<'n> {
    node: &'n Node,
    view: Arc<View>,
    scratch: Scratch,
    unsealer: Unsealer,
    /// By hash of the generation that stamped a payment, where its stamps go; `None`: they stay where they are.
    carried: BTreeMap<[u8; 32], Option<Vec<Option<u16>>>>,
}

/// What a payment comes to now.
pub(super) struct Again {
    /// The payment.
    pub(super) work: Work,
    /// The verdict.
    pub(super) verdict: Verdict,
    /// The outcome that counts: of a fact, what it would be.
    pub(super) outcome: Outcome,
    /// Whether its text could be read; without it, it can only come out weaker.
    pub(super) is_whole: bool,
}

impl<'n> Judge<'n> {
    /// By a view.
    pub(super) fn new(node: &'n Node, view: Arc<View>) -> Judge<'n> {
        let (scratch, unsealer) = (Scratch::default(), node.reader.unsealer());
        Judge { node, view, scratch, unsealer, carried: BTreeMap::new() }
    }
    /// What it judges by.
    pub(super) fn view(&self) -> &Arc<View> {
        &self.view
    }
    /// Whoever pauses lets go of the key he holds.
    pub(super) fn forget_keys(&mut self) {
        self.unsealer = self.node.reader.unsealer();
    }
    /// Judges a row.
    ///
    /// # Errors
    /// When the row or its segment's header cannot be read.
    pub(super) fn again(&mut self, row: &Row<'_, '_>) -> Result<Again> {
        let accepted = row.accepted(&mut self.unsealer).map_err(|e| anyhow!("{e}"))?;
        let is_whole = row.sealed().is_empty() || !accepted.encode_sealed().is_empty();
        let mut accepted = Box::new(accepted);
        accepted.features = self.carry(&accepted);
        let mut work = Work { accepted, view: self.view.clone(), prints: None };
        let banks = self.view.generation().banks();
        if !banks.is_empty() {
            work.prints = Some(Arc::new(banks.prints(work.transaction(), &work.accepted.features)));
        }
        let verdict = decide(&work, &mut Open, &mut self.scratch);
        let would = self.scratch.found.to_record(self.view.generation()).would;
        let outcome = would.unwrap_or(verdict.outcome);
        Ok(Again { work, verdict, outcome, is_whole })
    }
    /// A payment's stamps in the slots of this view's generation.
    fn carry(&mut self, accepted: &Accepted) -> Vec<Stamp> {
        let (hash, node, view) = (accepted.generation.hash, self.node, &self.view);
        let carried = self.carried.entry(hash).or_insert_with(|| {
            let to = view.generation().plan();
            match hash == view.generation().hash() {
                true => None,
                // Of a generation that is not kept nobody knows what its stamps mean.
                false => Some(
                    generation(node, &accepted.generation)
                        .map_or_else(|| vec![None; to.len()], |from| to.carry(from.plan())),
                ),
            }
        });
        match carried {
            None => accepted.features.clone(),
            Some(places) => {
                let stamp = |place: &Option<u16>| {
                    place.and_then(|at| accepted.features.get(usize::from(at)).copied().flatten())
                };
                places.iter().map(stamp).collect()
            }
        }
    }
}

fn generation(node: &Node, id: &GenerationId) -> Option<Arc<Generation>> {
    node.is_built(&id.hash).or_else(|| Generations::new(&node.store).get(id))
}
