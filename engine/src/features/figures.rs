//! The bounds that the state is made with and the figures that it gives.

/// Bounds of the state, each per tenant and group, unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateLimits {
    /// Most keys; past it the key least recently counted is evicted.
    pub keys_max: usize,
    /// Most bytes of keys and events; past it keys are evicted likewise.
    pub bytes_max: usize,
    /// Most events of one key that are kept one by one; past it its oldest are folded into panes and the windows that
    /// reach them approximate.
    pub events_exact_max: usize,
    /// Most transactions, per tenant, that labels, reversals and completions still find.
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

/// Whether the payment is known that a label, reversal or completion is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It is, and its events, where they still count, have changed.
    Applied,
    /// As `Applied`, and a reversal would have taken more than was left; what was left is taken.
    PastAmount,
    /// It is of a kind that cannot be followed so (a reversal is not reversed); nothing changed.
    OtherKind,
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
    /// Labels, reversals and completions whose target was not known, ever.
    pub unknown_targets: u64,
    /// The groups, in plan order.
    pub groups: Vec<GroupStats>,
}
