//! A tenant's rate: a bucket of tokens, one a payment, filled at the rate and holding at most the burst.

use std::time::{Duration, Instant};

/// What a tenant may have, as configured.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Its weight among those that wait.
    pub weight: u32,
    /// Payments a second, and how many at once; `None`: as many as there is room for.
    pub rate: Option<(f64, f64)>,
}

impl Default for Terms {
    fn default() -> Self {
        Terms { weight: 1, rate: None }
    }
}

/// A bucket.
#[derive(Debug)]
pub struct Bucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub fn new((rate, burst): (f64, f64), now: Instant) -> Bucket {
        Bucket { rate, burst, tokens: burst, at: now }
    }
    /// Takes a token.
    ///
    /// # Errors
    /// How long until there is one.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.at);
        self.at = self.at.max(now);
        self.tokens = (self.tokens + passed.as_secs_f64() * self.rate).min(self.burst);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64(((1.0 - self.tokens) / self.rate).clamp(0.0, 3600.0)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// In any stretch of time a bucket lets through at most its burst and what the rate gives, and it never makes
        /// a caller wait longer than it said.
        #[test]
        fn no_stretch_lets_through_more_than_burst_and_rate(
            rate in 1u32..2000,
            burst in 1u32..50,
            gaps_us in proptest::collection::vec(0u64..20_000, 1..300),
        ) {
            let began = Instant::now();
            let mut bucket = Bucket::new((rate.into(), burst.into()), began);
            let (mut at, mut through, mut promised) = (began, Vec::new(), None::<Instant>);
            for gap_us in gaps_us {
                at += Duration::from_micros(gap_us);
                match bucket.take(at) {
                    Ok(()) => { through.push(at); promised = None; }
                    Err(wait) => {
                        prop_assert!(promised.is_none_or(|by| at < by + Duration::from_micros(1)));
                        promised = Some(at + wait);
                    }
                }
            }
            for (first, from) in through.iter().enumerate() {
                for (last, to) in through.iter().enumerate().skip(first) {
                    let most = f64::from(burst) + (*to - *from).as_secs_f64() * f64::from(rate);
                    prop_assert!((last - first + 1) as f64 <= most + 1e-6);
                }
            }
        }
    }
}
