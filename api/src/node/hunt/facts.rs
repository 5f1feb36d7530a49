//! What the settlement gate has to know of payments, from the window's rows, in memory or mapped; of those that are not in
//! it, from the journal.

use crate::node::clearing::{Fact, Facts, settles};
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
    fn of_rows(&self, sequences: &[u64]) -> Result<Vec<Option<Fact>>> {
        let mut found = vec![None; sequences.len()];
        // Payments have few tenants, and each name is held once.
        let mut tenants: HashMap<Box<str>, Arc<str>> = HashMap::new();
        let mut last: Option<Arc<str>> = None;
        let window = self.window.read();
        window
            .look_up(sequences, &mut |place, row| {
                let (outcome, lacks) = row.in_short()?;
                // Whether it has been finished since, the journal knows.
                if lacks {
                    return Ok(());
                }
                let name = row.tenant();
                let tenant = match last.take().filter(|last| **last == *name) {
                    Some(last) => last,
                    None => tenants.entry(name.into()).or_insert_with(|| name.into()).clone(),
                };
                last = Some(tenant.clone());
                // What is declined and what takes back is no row.
                let settles = Some(row.kind().is_some_and(|kind| settles(kind, outcome)));
                found[place] = Some(Fact { tenant, cut_off_ms: row.cut_off_ms(), settles, lacks: false });
                Ok(())
            })
            .map_err(|e| anyhow!("{e}"))?;
        Ok(found)
    }
}

impl<F: Facts> Facts for WindowFacts<F> {
    fn facts(&self, sequences: &[u64]) -> Result<Vec<Option<Fact>>> {
        let mut found = self.of_rows(sequences)?;
        let rest: Vec<usize> = (0..found.len()).filter(|place| found[*place].is_none()).collect();
        if !rest.is_empty() {
            let wanted: Vec<u64> = rest.iter().map(|place| sequences[*place]).collect();
            for (place, fact) in rest.into_iter().zip(self.journal.facts(&wanted)?) {
                found[place] = fact;
            }
        }
        Ok(found)
    }
}
