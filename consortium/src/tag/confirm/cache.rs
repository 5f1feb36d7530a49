//! Exact tags that are known already, by whole keyed tag, so that no identifier is kept: the member's own portfolio,
//! tagged ahead, and what the service has answered. Both bounded; answers make room for newer ones.

use crate::error::{Error, ErrorKind, Result};
use std::collections::HashMap;

/// Keyed tag → exact tag, under one version of the tag key and one key of the service.
#[derive(Debug, Default)]
pub(super) struct Cache {
    portfolio: HashMap<u128, u128>,
    /// Answers used or got since `old` was laid down; when half the bound is reached it becomes `old`, and what nobody
    /// asked for in between is gone. Costs no list of ages and never holds more than the bound.
    young: HashMap<u128, u128>,
    old: HashMap<u128, u128>,
}

impl Cache {
    pub(super) fn get(&mut self, tag: u128, answers_max: usize) -> Option<u128> {
        if let Some(exact) = self.portfolio.get(&tag).or_else(|| self.young.get(&tag)) {
            return Some(*exact);
        }
        let exact = self.old.remove(&tag)?;
        self.put(tag, exact, answers_max);
        Some(exact)
    }
    pub(super) fn put(&mut self, tag: u128, exact: u128, answers_max: usize) {
        if self.portfolio.contains_key(&tag) || answers_max == 0 {
            return;
        }
        if self.young.len() >= answers_max.div_ceil(2) {
            self.old = std::mem::take(&mut self.young);
        }
        // With a bound of one there is no old half.
        if self.young.len() + self.old.len() >= answers_max {
            self.old.clear();
        }
        self.young.insert(tag, exact);
    }
    pub(super) fn prime(&mut self, tag: u128, exact: u128, portfolio_max: usize) -> Result<()> {
        if self.portfolio.len() >= portfolio_max && !self.portfolio.contains_key(&tag) {
            let message = format!("the portfolio has {portfolio_max} identifiers, which is the limit");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        self.portfolio.insert(tag, exact);
        Ok(())
    }
    pub(super) fn len(&self) -> usize {
        self.portfolio.len() + self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn answers_are_bounded_and_those_in_use_stay() {
        for bound in [0, 1, 2, 3, 10, 64] {
            let mut cache = Cache::default();
            for tag in 0..1000u128 {
                cache.put(tag, tag + 1, bound);
                assert!(cache.len() <= bound, "bound {bound}");
                assert_eq!(cache.get(tag, bound), (bound > 0).then_some(tag + 1));
                assert!(cache.len() <= bound, "bound {bound}");
                if bound >= 10 {
                    assert!(tag < 3 || cache.get(3, bound) == Some(4), "asked for all along");
                }
            }
        }
    }

    #[test]
    fn the_portfolio_stays_and_says_when_it_is_full() {
        let mut cache = Cache::default();
        cache.prime(1, 11, 2).unwrap();
        cache.prime(2, 12, 2).unwrap();
        cache.prime(2, 13, 2).unwrap();
        assert_eq!(cache.prime(3, 13, 2).unwrap_err().kind, ErrorKind::TooLarge);
        (10..100).for_each(|tag| cache.put(tag, 0, 4));
        assert_eq!((cache.get(1, 4), cache.get(2, 4), cache.get(3, 4)), (Some(11), Some(13), None));
    }
}
