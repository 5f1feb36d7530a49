//! The journal's payments into rows of the window: each that was accepted and decided and is to settle, in the one order.

use super::{Hunter, Node};
use crate::node::recovery::Generations;
use anyhow::{Result, anyhow};
use interdict_engine::domain::{Accepted, Body, Field, GenerationId, Lever, Outcome, TransactionKind};
use interdict_engine::generation::Generation;
use interdict_ledger::journal::{At, Go};
use interdict_ledger::window::{Growing, NewRow, Pair, Pairs};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Generations whose terms are held at once.
const TERMS_MAX: usize = 16;

/// Generations by hash.
type Terms = BTreeMap<[u8; 32], Arc<Generation>>;

/// How far the journal has been followed.
pub(super) struct Filling {
    at: At,
    pairs: Pairs,
    terms: Terms,
    /// The last sequence that was met, payment or not.
    pub(super) met: u64,
}

impl Filling {
    /// Whether all payments up to a sequence that are decided are rows.
    pub(super) fn has(&self, through: u64) -> bool {
        self.met >= through && self.pairs.first().is_none_or(|first| first > through)
    }
}

impl Hunter {
    /// Follows the journal to what is safe in it now.
    pub(super) fn fill(&mut self, node: &Arc<Node>) -> Result<()> {
        let failed = |e: interdict_ledger::Error| anyhow!("{e}");
        if self.filling.is_none() {
            let from = node.hunt().window.read().resume().cloned();
            let at = match from {
                Some(at) => Some(at),
                None => node.reader.beginning().map_err(failed)?,
            };
            let Some(at) = at else { return Ok(()) };
            let (pairs, terms, met) = (Pairs::new(at.clone()), BTreeMap::new(), at.last_sequence());
            self.filling = Some(Filling { at, pairs, terms, met });
            self.mend(node)?;
        }
        let Some(Filling { at, pairs, terms, met }) = self.filling.take() else { return Ok(()) };
        let (pairs, met, share) = (RefCell::new(pairs), Cell::new(met), RefCell::new(&mut self.share));
        let (mut terms, mut failed_at, labels) = (terms, None, &mut self.labels);
        let reached = node.reader.follow(
            at,
            &mut |stored| {
                met.set(met.get().max(stored.sequence));
                labels.take(stored)?;
                pairs.borrow_mut().take(stored)
            },
            &mut |at| match put_away(node, &mut pairs.borrow_mut(), &mut terms, at, &mut || {
                share.borrow_mut().breathe()
            }) {
                Ok(()) if share.borrow_mut().go_on() => Go::On,
                Ok(()) => Go::Stop,
                Err(e) => {
                    failed_at = Some(e);
                    Go::Stop
                }
            },
        );
        let at = reached.map_err(failed)?;
        match failed_at {
            // Followed anew from where the window's rows end.
            Some(e) => Err(e),
            None => {
                let (pairs, met) = (pairs.into_inner(), met.get());
                self.filling = Some(Filling { at, pairs, terms, met });
                Ok(())
            }
        }
    }

    /// Puts the rows of files back that were refused at the start.
    fn mend(&mut self, node: &Arc<Node>) -> Result<()> {
        let failed = |e: interdict_ledger::Error| anyhow!("{e}");
        let lost: Vec<(String, u64, u64)> = {
            let window = node.hunt().window.read();
            window.lost().map(|lost| (lost.name.clone(), lost.first, lost.last)).collect()
        };
        for (name, first, last) in lost {
            // Where it begins is of no matter: it is not asked where to go on.
            let Some(begin) = node.reader.beginning().map_err(failed)? else { return Ok(()) };
            let (mut pairs, mut terms, mut rows) = (Pairs::new(begin), BTreeMap::new(), Growing::default());
            let read = node.reader.for_each(first, &mut |stored| match stored.sequence > last {
                true => Ok(()),
                false => pairs.take(stored),
            });
            read.map_err(failed)?;
            while let Some(pair) = pairs.pop().map_err(failed)? {
                with_row(node, &mut terms, &pair, |new| rows.push(new).map_err(failed))?;
            }
            tracing::info!(file = name, rows = rows.len(), "a refused file of the window was made anew");
            node.hunt().window.write().mend(&name, rows).map_err(failed)?;
        }
        Ok(())
    }
}

/// Puts what is decided into the window, up to a place that was reached.
fn put_away(
    node: &Node,
    pairs: &mut Pairs,
    terms: &mut Terms,
    at: &At,
    breathe: &mut dyn FnMut(),
) -> Result<()> {
    let failed = |e: interdict_ledger::Error| anyhow!("{e}");
    while let Some(pair) = pairs.pop().map_err(failed)? {
        with_row(node, terms, &pair, |new| node.hunt().window.write().push(new).map(drop).map_err(failed))?;
        breathe();
    }
    let resume = pairs.resume(at);
    node.hunt().window.write().reached(at, &resume).map_err(failed)
}

/// Makes a row of a payment that is to settle and whose cut-off is not long past.
fn with_row(
    node: &Node,
    terms: &mut Terms,
    pair: &Pair,
    put: impl FnOnce(&NewRow<'_>) -> Result<()>,
) -> Result<()> {
    let Pair { taken, accepted, decided_bytes, decided } = pair;
    let outcome = decided.recorded.would.unwrap_or(decided.verdict.outcome);
    let Body::Payment(tx) = &accepted.event.body else { return Ok(()) };
    if !settles(tx.kind, decided.verdict.outcome) {
        return Ok(());
    }
    // Where its generation is no longer kept, the least is assumed: nothing stops it, and it settles as it says.
    let generation = generation_of(node, terms, &decided.verdict.generation);
    let (cut_off_ms, lever) = match &generation {
        Some(generation) => {
            let settings = generation.settings();
            (settings.settlement.cut_off(tx, accepted.event.arrival_ms).at_ms, settings.lever(tx))
        }
        None => (said(accepted), Lever::None),
    };
    if cut_off_ms < node.hunt().taken_from_ms(node.clock.wall_ms()) {
        return Ok(());
    }
    put(&NewRow { taken, accepted, decided_bytes, decided, outcome, cut_off_ms, lever })
}

/// Whether a payment settles: money moves, and it was not declined.
pub(in crate::node) fn settles(kind: TransactionKind, answered: Outcome) -> bool {
    kind != TransactionKind::Reversal && answered != Outcome::Decline
}

fn said(accepted: &Accepted) -> i64 {
    use interdict_engine::domain::Value;
    match &accepted.event.body {
        Body::Payment(tx) => match tx.get(Field::SettlesAt) {
            Some(Value::Time(ms)) => ms,
            _ => accepted.event.arrival_ms,
        },
        _ => accepted.event.arrival_ms,
    }
}

fn generation_of(node: &Node, terms: &mut Terms, id: &GenerationId) -> Option<Arc<Generation>> {
    if let Some(known) = terms.get(&id.hash) {
        return Some(known.clone());
    }
    let in_force = node.view().generation().clone();
    let generation = match in_force.hash() == id.hash {
        true => Some(in_force),
        false => {
            let generations = Generations::new(&node.store);
            node.is_built(&id.hash).or_else(|| generations.get(id))
        }
    }?;
    if terms.len() >= TERMS_MAX {
        terms.clear();
    }
    terms.insert(id.hash, generation.clone());
    Some(generation)
}
