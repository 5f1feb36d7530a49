//! The features of every tenant, owned by the sequencer: apply a transaction, get its stamps; labels and reversals
//! find what they mean by its sequence. No clock, no I/O, the same results for the same order of events.

use super::plan::FeaturePlan;
use crate::domain::record::Stamp;
use crate::domain::{Label, Transaction};
use std::sync::Arc;

/// Bounds of the state, each per tenant and group, unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateLimits {
    /// Most keys; past it the key least recently counted is evicted.
    pub keys_max: usize,
    /// Most bytes of keys and events; past it keys are evicted likewise.
    pub bytes_max: usize,
    /// Most events of one key; past it its oldest events are dropped and the windows that reach them undecided.
    pub events_exact_max: usize,
    /// Most transactions, per tenant, that labels and reversals still find.
    pub originals_max: usize,
    /// How late an event may be and still be in every window that it belongs to, ms.
    pub lateness_ms: i64,
}

impl Default for StateLimits {
    fn default() -> Self {
        StateLimits {
            keys_max: 4 << 20,
            bytes_max: 2 << 30,
            events_exact_max: 1 << 16,
            originals_max: 8 << 20,
            lateness_ms: 60 * 60 * 1000,
        }
    }
}

/// Whether a label's or reversal's target is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It is, and its events, where they still count, have changed.
    Applied,
    /// It is not: never seen for this tenant, or too long ago.
    Unknown,
}

/// Figures of one group, over all tenants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupStats {
    /// The group's name.
    pub name: String,
    /// Keys held.
    pub keys: u64,
    /// Events held.
    pub events: u64,
    /// Bytes of keys and events.
    pub bytes: u64,
    /// Keys evicted for a bound, ever.
    pub evictions: u64,
    /// Events that came later than the lateness bound, ever.
    pub late_beyond_horizon: u64,
}

/// Figures of the state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Tenants with state.
    pub tenants: u64,
    /// Labels and reversals whose target was not known, ever.
    pub unknown_targets: u64,
    /// The groups, in plan order.
    pub groups: Vec<GroupStats>,
}

/// The features of every tenant.
pub struct FeatureState {
    plan: Arc<FeaturePlan>,
    limits: StateLimits,
}

impl FeatureState {
    /// An empty state.
    pub fn new(plan: Arc<FeaturePlan>, limits: StateLimits) -> Self {
        FeatureState { plan, limits }
    }
    /// Changes the plan: groups whose spec is equal keep their state, others begin with the next transaction.
    pub fn replan(&mut self, plan: Arc<FeaturePlan>) {
        self.plan = plan;
    }
    /// Fetches into the cache what `apply` of these transactions will read. Changes no result.
    pub fn prefetch(&self, _batch: &[&Transaction]) {}
    /// Counts a transaction and appends its stamps, one per slot of the plan; `None` is undecided. Sequences ascend;
    /// `arrival_ms` is ms since the Unix epoch.
    pub fn apply(&mut self, _sequence: u64, _arrival_ms: i64, _tx: &Transaction, out: &mut Vec<Stamp>) {
        out.extend(std::iter::repeat_n(None, self.plan.len()));
    }
    /// Marks a transaction's events as fraud, or not.
    pub fn label(&mut self, _tenant: &str, _target: u64, _label: Label) -> Found {
        Found::Unknown
    }
    /// Takes an amount off a transaction's events in the groups that net reversals: all of it, or `amount_minor`
    /// minor units of the transaction's own currency, not below 0.
    pub fn reverse(&mut self, _tenant: &str, _target: u64, _amount_minor: Option<i64>) -> Found {
        Found::Unknown
    }
    /// The state's figures.
    pub fn stats(&self) -> Stats {
        let _ = self.limits;
        Stats::default()
    }
}
