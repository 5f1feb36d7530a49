//! What hits come to together, as a pure function: non-overridable block > override > overridable block > flag. An
//! override cancels what it names and nothing else, and the strongest of what is left is the outcome.

use super::probe::Hit;
use crate::domain::{Effect, Outcome};
use crate::limits::HITS_RESERVED;

/// A live rule that hit. Rules in shadow mode are not passed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleHit<'a> {
    /// The rule's number in the generation.
    pub number: u32,
    /// Its name as an override writes it: `pack/rule`.
    pub name: &'a str,
    /// Its outcome.
    pub outcome: Outcome,
}

/// What hits come to; a lane's buffer, reused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    outcome: Option<Outcome>,
    hits: Vec<Option<usize>>,
    rules: Vec<Option<usize>>,
}

impl Default for Resolution {
    fn default() -> Self {
        Resolution::new()
    }
}

impl Resolution {
    /// An empty buffer with room for `HITS_RESERVED` list hits and as many rules.
    pub fn new() -> Resolution {
        let room = || Vec::with_capacity(HITS_RESERVED);
        Resolution { outcome: None, hits: room(), rules: room() }
    }
    /// The strongest outcome that was not cancelled; `None` where nothing hit or all of it was cancelled.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }
    /// The list hit that cancelled the list hit at this place, if one did.
    pub fn hit_cancelled_by(&self, hit: usize) -> Option<usize> {
        self.hits[hit]
    }
    /// The list hit that cancelled the rule hit at this place, if one did.
    pub fn rule_cancelled_by(&self, rule: usize) -> Option<usize> {
        self.rules[rule]
    }
}

/// Resolves the hits of one transaction, all of them valid and visible to it (as `ListView::probe` gives them).
///
/// An override that names a list cancels every overridable block and every flag of the lists of that name, on
/// whichever field they hit; one that names a rule (`pack/rule`) cancels that rule's outcome. A non-overridable block
/// is never cancelled. Where several overrides name one thing, the first in the order of the hits is named as the canceller.
/// `list_name` gives a list's name by its number.
pub fn resolve<'n>(
    hits: &[Hit],
    list_name: impl Fn(u16) -> Option<&'n str>,
    rules: &[RuleHit<'_>],
    out: &mut Resolution,
) {
    let canceller = |name: &str| {
        hits.iter().position(|hit| hit.effect == Effect::Override && hit.overrides.as_deref() == Some(name))
    };
    out.hits.clear();
    out.hits.extend(hits.iter().map(|hit| {
        let can_be_cancelled = match hit.effect {
            Effect::Block => hit.overridable,
            Effect::Flag => true,
            Effect::Override => false,
        };
        if can_be_cancelled { list_name(hit.list).and_then(canceller) } else { None }
    }));
    out.rules.clear();
    out.rules.extend(rules.iter().map(|rule| canceller(rule.name)));
    let of_lists =
        hits.iter().zip(&out.hits).filter(|(_, by)| by.is_none()).filter_map(|(hit, _)| hit.outcome());
    let of_rules = rules.iter().zip(&out.rules).filter(|(_, by)| by.is_none()).map(|(rule, _)| rule.outcome);
    out.outcome = of_lists.chain(of_rules).max();
}
