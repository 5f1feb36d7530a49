//! How much a member may ask of the tag service: a bucket of items each, refilled at a rate. Whoever walks a BIN needs
//! 10^9 of them; this is what makes that long, and the log what makes it seen. Exact integers; the time is handed in.

use crate::error::{Error, ErrorKind, Result};
use crate::kind::MemberId;
use crate::limits::EVALUATE_ITEMS_MAX;
use std::collections::BTreeMap;

/// One item in units of the bucket: an hour in ms, so that a rate in items an hour is units a ms, without rounding.
const ITEM: u64 = 3_600_000;

/// How much a member may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Items an hour, in the long run.
    pub items_per_hour: u32,
    /// Items at once, after a pause.
    pub burst_items: u32,
}

impl Rate {
    /// A rate.
    ///
    /// # Errors
    /// `Invalid` for none, or for a burst smaller than a whole batch, which could never be asked then.
    pub fn new(items_per_hour: u32, burst_items: u32) -> Result<Rate> {
        if items_per_hour == 0 || (burst_items as usize) < EVALUATE_ITEMS_MAX {
            let message = format!(
                "a rate of {items_per_hour} items an hour, {burst_items} at once: expected at least 1 and {EVALUATE_ITEMS_MAX}"
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(Rate { items_per_hour, burst_items })
    }
    fn full(self) -> u64 {
        u64::from(self.burst_items) * ITEM
    }
}

/// Whether items may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// They may, and are taken.
    Granted,
    /// They may not; nothing was taken.
    Refused {
        /// After how many ms the same would be granted; `None`: never, it is more than the burst.
        wait_ms: Option<u64>,
    },
}

impl Allowance {
    /// As a result.
    ///
    /// # Errors
    /// `RateLimited` where it is refused, with the time to wait.
    pub fn granted(self) -> Result<()> {
        let Allowance::Refused { wait_ms } = self else { return Ok(()) };
        let message = wait_ms.map_or("more items than may be asked for at once".to_owned(), |wait_ms| {
            format!("more items than may be asked for in this time: to be asked again in {wait_ms} ms")
        });
        Err(Error::new(ErrorKind::RateLimited, message))
    }
}

/// What a member has asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// Items granted.
    pub granted_items: u64,
    /// Items refused.
    pub refused_items: u64,
    /// Requests refused.
    pub refused_requests: u64,
}

#[derive(Debug)]
struct Bucket {
    rate: Rate,
    units: u64,
    /// When it was filled last.
    at_ms: u64,
    asked: Asked,
}

/// The buckets of all members: as many as members were admitted, at most 65 536.
#[derive(Debug)]
pub struct Limiter {
    rate: Rate,
    buckets: BTreeMap<MemberId, Bucket>,
}

impl Limiter {
    /// A limiter that gives every member the same rate, unless [`Limiter::set_rate`] says another. All buckets begin
    /// full: after a restart of the hub each member has one burst more, which hands out no more than a pause does.
    pub fn new(rate: Rate) -> Limiter {
        Limiter { rate, buckets: BTreeMap::new() }
    }
    /// Gives a member a rate of its own, from now on; what it has saved is kept, up to the new burst.
    pub fn set_rate(&mut self, member: MemberId, rate: Rate, now_ms: u64) {
        let bucket = self.fill(member, now_ms);
        bucket.rate = rate;
        bucket.units = bucket.units.min(rate.full());
    }
    /// Takes so many items of a member's bucket: all or none.
    pub fn take(&mut self, member: MemberId, items: u32, now_ms: u64) -> Allowance {
        let bucket = self.fill(member, now_ms);
        let wanted = u64::from(items) * ITEM;
        if wanted <= bucket.units {
            bucket.units -= wanted;
            bucket.asked.granted_items += u64::from(items);
            return Allowance::Granted;
        }
        bucket.asked.refused_items += u64::from(items);
        bucket.asked.refused_requests += 1;
        let can_ever = items <= bucket.rate.burst_items;
        let missing = wanted - bucket.units;
        let wait_ms = can_ever.then(|| missing.div_ceil(u64::from(bucket.rate.items_per_hour)));
        Allowance::Refused { wait_ms }
    }
    /// What a member has asked for since the start.
    pub fn asked(&self, member: MemberId) -> Asked {
        self.buckets.get(&member).map(|bucket| bucket.asked).unwrap_or_default()
    }
    /// All members who have asked, by number.
    pub fn all(&self) -> impl Iterator<Item = (MemberId, Asked)> {
        self.buckets.iter().map(|(member, bucket)| (*member, bucket.asked))
    }

    fn fill(&mut self, member: MemberId, now_ms: u64) -> &mut Bucket {
        let rate = self.rate;
        let bucket = self.buckets.entry(member).or_insert_with(|| Bucket {
            rate,
            units: rate.full(),
            at_ms: now_ms,
            asked: Asked::default(),
        });
        // A clock that is set back refills nothing twice.
        let passed_ms = now_ms.saturating_sub(bucket.at_ms);
        let refill = passed_ms.saturating_mul(bucket.rate.items_per_hour.into());
        bucket.units = bucket.units.saturating_add(refill).min(bucket.rate.full());
        bucket.at_ms = bucket.at_ms.max(now_ms);
        bucket
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const A: MemberId = MemberId(0);
    const B: MemberId = MemberId(1);

    fn limiter() -> Limiter {
        Limiter::new(Rate::new(3600, 512).unwrap())
    }

    #[test]
    fn enumeration_beyond_the_rate_is_refused_and_counted() {
        let mut limiter = limiter();
        // Batches of 256 as fast as they go, for an hour of 100 ms steps: the burst and the hour's items, no item more.
        let mut granted = 0;
        for step in 0..36_000u64 {
            if limiter.take(A, 256, step * 100) == Allowance::Granted {
                granted += 256;
            }
        }
        assert!((512 + 3600 - 256..=512 + 3600).contains(&granted), "{granted}");
        let asked = limiter.asked(A);
        assert_eq!(asked.granted_items, granted);
        assert_eq!(asked.refused_items, 36_000 * 256 - granted);
        assert_eq!(asked.refused_requests, 36_000 - granted / 256);
        // Another member notices nothing.
        assert_eq!(limiter.take(B, 512, 3_600_000), Allowance::Granted);
        assert_eq!(limiter.all().count(), 2);
    }

    #[test]
    fn what_is_refused_takes_nothing_and_says_how_long_to_wait() {
        let mut limiter = limiter();
        assert_eq!(limiter.take(A, 512, 0), Allowance::Granted);
        assert_eq!(limiter.take(A, 3, 0), Allowance::Refused { wait_ms: Some(3000) });
        assert_eq!(limiter.take(A, 3, 2999), Allowance::Refused { wait_ms: Some(1) });
        assert_eq!(limiter.take(A, 3, 3000), Allowance::Granted);
        let never = limiter.take(A, 513, u64::MAX);
        assert_eq!(never, Allowance::Refused { wait_ms: None });
        assert_eq!(never.granted().unwrap_err().kind, ErrorKind::RateLimited);
        assert_eq!(limiter.take(A, 512, u64::MAX), Allowance::Granted);
        // A clock that goes back neither refills nor breaks.
        assert!(limiter.take(A, 1, 5).granted().is_err());
        assert!(limiter.take(A, 1, u64::MAX).granted().is_err());
    }

    #[test]
    fn a_rate_of_its_own_counts_from_then_on() {
        let mut limiter = limiter();
        limiter.set_rate(A, Rate::new(1, 256).unwrap(), 0);
        assert_eq!(limiter.take(A, 257, 0), Allowance::Refused { wait_ms: None });
        assert_eq!(limiter.take(A, 256, 0), Allowance::Granted);
        assert_eq!(limiter.take(A, 1, 3_599_999), Allowance::Refused { wait_ms: Some(1) });
        assert_eq!(limiter.take(A, 1, 3_600_000), Allowance::Granted);
        for (rate, burst) in [(0, 512), (1, 255)] {
            assert_eq!(Rate::new(rate, burst).unwrap_err().kind, ErrorKind::Invalid);
        }
    }

    proptest! {
        /// Against a bucket that counts in 128-bit fractions from the first request on: never more than the burst and
        /// what has flowed since, whatever is asked when; and what would be granted after the wait is.
        #[test]
        fn never_more_than_burst_and_flow(steps in prop::collection::vec((0u64..20_000, 1u32..600), 1..60)) {
            let (rate, mut limiter, mut now_ms) = (Rate::new(7200, 512).unwrap(), Limiter::new(Rate::new(7200, 512).unwrap()), 0u64);
            let mut units: u128 = u128::from(rate.burst_items) * 3_600_000;
            for (passed_ms, items) in steps {
                now_ms += passed_ms;
                units = (units + u128::from(passed_ms) * 7200).min(512 * 3_600_000);
                let wanted = u128::from(items) * 3_600_000;
                let expected = wanted <= units;
                let got = limiter.take(A, items, now_ms);
                prop_assert_eq!(got == Allowance::Granted, expected);
                if expected {
                    units -= wanted;
                } else if let Allowance::Refused { wait_ms: Some(wait_ms) } = got {
                    prop_assert!(units + u128::from(wait_ms) * 7200 >= wanted);
                    prop_assert!(units + u128::from(wait_ms - 1) * 7200 < wanted);
                }
            }
        }
    }
}
