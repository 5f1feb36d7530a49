//! What the settlement gate has to know of payments, from the window's rows, in memory or mapped; of those that are not in
//! it, from the journal.

use crate::node::clearing::{Fact, Facts};
use anyhow::{Result, anyhow};
use interdict_ledger::window::Window;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;

/// The window's facts before the journal's.
pub struct WindowFacts<F> {
    window: Arc<RwLock<Window>>,
    journal: F,
}

impl<F: Facts> WindowFacts<F> {
    /// Of a window, and of whoever knows the rest.
    pub fn new(window: Arc<RwLock<Window>>, journal: F) -> WindowFacts<F> {
        WindowFacts { window, journal }
    }
}

impl<F: Facts> Facts for WindowFacts<F> {
    fn facts(&self, sequences: &[u64]) -> Result<Vec<Option<Fact>>> {
        let (mut found, mut rest) = (Vec::with_capacity(sequences.len()), Vec::new());
        // Payments have few tenants, and each name is held once.
        let mut tenants: HashMap<Box<str>, Arc<str>> = HashMap::new();
        {
            let window = self.window.read();
            for sequence in sequences {
                let fact = window.row(*sequence, |row| {
                    let decided = row.decided().map_err(|e| anyhow!("{e}"))?;
                    // Whether it has been finished since, the journal knows.
                    if !decided.verdict.skipped.is_empty() {
                        return Ok(None);
                    }
                    let tenant = match tenants.get(row.tenant()) {
                        Some(tenant) => tenant.clone(),
                        None => tenants.entry(row.tenant().into()).or_insert(row.tenant().into()).clone(),
                    };
                    let cut_off_ms = row.cut_off_ms();
                    // What does not settle is no row.
                    Ok::<_, anyhow::Error>(Some(Fact {
                        tenant,
                        cut_off_ms,
                        settles: Some(true),
                        lacks: false,
                    }))
                });
                let fact = fact.transpose()?.flatten();
                if fact.is_none() {
                    rest.push((found.len(), *sequence));
                }
                found.push(fact);
            }
        }
        if !rest.is_empty() {
            let wanted: Vec<u64> = rest.iter().map(|(_, sequence)| *sequence).collect();
            for ((place, _), fact) in rest.into_iter().zip(self.journal.facts(&wanted)?) {
                found[place] = fact;
            }
        }
        Ok(found)
    }
}
