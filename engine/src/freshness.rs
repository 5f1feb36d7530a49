//! How old a list or watchlist may become, and what then: so that one that is no longer fed is noticed by more than its
//! owner. Judged by the payment's own arrival time, so that a replay comes to the same.

use serde::{Deserialize, Serialize};

/// What happens to payments while a list is stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum WhenStale {
    /// It is logged and measured; payments go on.
    Warn = 0,
    /// Every payment that the list is for is reviewed at least.
    Review = 1,
    /// The node takes no payments until the list is fed.
    Stop = 2,
}

impl WhenStale {
    /// All policies.
    pub const ALL: [WhenStale; 3] = [Self::Warn, Self::Review, Self::Stop];
    /// The policy's name, as in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            WhenStale::Warn => "warn",
            WhenStale::Review => "review",
            WhenStale::Stop => "stop",
        }
    }
    /// The policy of a name.
    pub fn by_name(name: &str) -> Option<WhenStale> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }
}

/// One list's freshness.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Freshness {
    /// The list's or watchlist's name.
    pub list: String,
    /// The tenant it is for; `None`: all.
    pub tenant: Option<String>,
    /// When its files were made, ms since the Unix epoch. A delta makes it fresh anew.
    pub made_ms: i64,
    /// How long it stays fresh, in ms.
    pub fresh_for_ms: i64,
    /// What then.
    pub when_stale: WhenStale,
}

impl Freshness {
    /// Whether it is stale at a time, when a delta last touched it at `touched_ms`.
    pub fn is_stale(&self, now_ms: i64, touched_ms: Option<i64>) -> bool {
        let since = touched_ms.map_or(self.made_ms, |touched| touched.max(self.made_ms));
        now_ms.saturating_sub(since) > self.fresh_for_ms
    }
    /// Whether payments of a tenant are judged by it.
    pub fn is_for(&self, tenant: &str) -> bool {
        self.tenant.as_deref().is_none_or(|of| of == tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_stale_past_its_time_and_fresh_again_after_a_delta() {
        let (list, when_stale) = ("l".into(), WhenStale::Review);
        let list = Freshness { list, tenant: Some("a".into()), made_ms: 1000, fresh_for_ms: 500, when_stale };
        assert!(!list.is_stale(1500, None) && list.is_stale(1501, None));
        assert!(!list.is_stale(1501, Some(1200)) && list.is_stale(1501, Some(200)));
        assert!(list.is_for("a") && !list.is_for("b"));
        assert!(WhenStale::ALL.iter().all(|policy| WhenStale::by_name(policy.name()) == Some(*policy)));
    }
}
