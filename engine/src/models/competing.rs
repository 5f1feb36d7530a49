//! Classes that compete for one probability (softmax): a sum for each, and e to their differences in integers, so that
//! the score is the same on every machine.

use super::columns::Column;
use super::ensemble::Found;
use super::link::FRACTION_BITS;
use super::onnx::invalid;
use super::trees::Trees;
use super::{ModelScratch, ScoreFrom};
use crate::calibration::Calibration;
use crate::error::{Error, ErrorKind};
use crate::limits::{MODEL_COMPETING_MAX, MODEL_NODES_MAX, SCORE_MAX};

/// A lowered ensemble of several classes.
#[derive(Debug)]
pub(super) struct Competing {
    sums: Vec<Trees>,
    /// Which of them the score is of.
    class: usize,
}

impl Competing {
    /// Lowers each class's sum over the same columns.
    pub(super) fn lower(found: &Found<'_>, columns: &[Column], from: ScoreFrom) -> Result<Competing, Error> {
        if from == ScoreFrom::Thousandths {
            return Err(invalid("score.from is thousandths, but the model gives a probability"));
        }
        let (mut sums, mut nodes) = (Vec::with_capacity(found.len()), 0);
        for at in 0..found.len() {
            let trees = Trees::lower(&found.sum(at)?, columns, from)?;
            nodes += trees.len();
            if nodes > 2 * MODEL_NODES_MAX {
                let message = format!(
                    "{} classes with trees in common take more than {} nodes",
                    found.len(),
                    2 * MODEL_NODES_MAX
                );
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
            sums.push(trees);
        }
        Ok(Competing { sums, class: found.class })
    }

    /// The score of the values in the scratch.
    pub(super) fn score(&self, scratch: &mut ModelScratch) -> u16 {
        let mut sums = [0; MODEL_COMPETING_MAX];
        let sums = &mut sums[..self.sums.len()];
        for (sum, trees) in sums.iter_mut().zip(&self.sums) {
            *sum = trees.sum(scratch);
        }
        share(sums, self.class)
    }

    /// Estimated ps of one score.
    pub(super) fn cost_ps(&self, costs: &Calibration) -> u64 {
        self.sums.iter().map(|trees| trees.cost_ps(costs) + costs.class_ps).sum()
    }
}

/// The softmax of one of several sums (units of 2^-32), in thousandths, rounded half up.
fn share(sums: &[i64], class: usize) -> u16 {
    let highest = sums.iter().copied().max().unwrap_or(0);
    let weight = |sum: i64| u128::from(exp_of_minus(highest.abs_diff(sum)));
    // At least one weight is 1, and there are at most 64: neither zero nor an overflow.
    let all: u128 = sums.iter().map(|sum| weight(*sum)).sum();
    ((2 * u128::from(SCORE_MAX) * weight(sums[class]) + all) / (2 * all)) as u16
}

/// Fraction bits of powers of e.
const POWER_BITS: u32 = 62;
/// Bits of a difference of sums that matter: e^-64 is nothing in units of 2^-62.
const BITS: usize = FRACTION_BITS as usize + 6;

/// e^-gap in units of 2^-62, for a gap in units of 2^-32: the product of e^-2^k over the gap's bits.
fn exp_of_minus(gap: u64) -> u64 {
    if gap >> BITS != 0 {
        return 0;
    }
    let mut power = 1u64 << POWER_BITS;
    let mut bits = gap;
    while bits != 0 && power != 0 {
        let factor = POWERS[bits.trailing_zeros() as usize];
        power = ((u128::from(power) * u128::from(factor)) >> POWER_BITS) as u64;
        bits &= bits - 1;
    }
    power
}

/// e^-(2^(n − 32)) in units of 2^-62.
static POWERS: [u64; BITS] = powers();

const GUARD_BITS: u32 = 100;

const fn powers() -> [u64; BITS] {
    let mut powers = [0; BITS];
    let mut n = 0;
    while n < BITS {
        powers[n] = if n <= FRACTION_BITS as usize {
            (series(FRACTION_BITS - n as u32) >> (GUARD_BITS - POWER_BITS)) as u64
        } else {
            let half = powers[n - 1] as u128;
            ((half * half) >> POWER_BITS) as u64
        };
        n += 1;
    }
    powers
}

/// e^-(2^-shift) = Σ (−2^-shift)^n / n!, in units of 2^-100.
const fn series(shift: u32) -> i128 {
    let (mut term, mut sum, mut n) = (1i128 << GUARD_BITS, 0, 1);
    while term != 0 {
        sum += term;
        term = -(term >> shift) / n;
        n += 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: f64 = (1u64 << FRACTION_BITS) as f64;

    #[test]
    fn powers_are_those_of_e() {
        for (n, power) in POWERS.iter().enumerate() {
            let wanted = (-(2f64.powi(n as i32 - 32))).exp() * 2f64.powi(62);
            // f64 itself is off by 2^-53 of the figure; the squares beyond e^-1 lose some units each.
            assert!(
                (*power as f64 - wanted).abs() <= wanted * 2f64.powi(-51) + 32.0,
                "{n}: {power} {wanted}"
            );
        }
        assert_eq!((exp_of_minus(0), exp_of_minus(1 << BITS), exp_of_minus(u64::MAX)), (1 << 62, 0, 0));
    }

    #[test]
    fn equal_sums_share_equally_and_the_farthest_have_nothing() {
        assert_eq!(share(&[7, 7, 7, 7], 2), 250);
        assert_eq!(share(&[5, 5], 0), 500);
        assert_eq!((share(&[i64::MAX, i64::MIN], 0), share(&[i64::MAX, i64::MIN], 1)), (1000, 0));
    }

    proptest! {
        #[test]
        fn shares_are_the_rounded_softmax(
            sums in prop::collection::vec(-50.0f64..50.0, 2..=MODEL_COMPETING_MAX),
            which in any::<prop::sample::Index>(),
        ) {
            let class = which.index(sums.len());
            let fixed: Vec<i64> = sums.iter().map(|sum| (sum * ONE).round() as i64).collect();
            let all: f64 = sums.iter().map(|sum| (sum - sums[class]).exp()).sum();
            let score = f64::from(share(&fixed, class));
            prop_assert!((score - 1000.0 / all).abs() <= 0.5 + 1e-5, "{score} {}", 1000.0 / all);
        }

        #[test]
        fn a_higher_sum_never_has_a_lower_share(sums in prop::collection::vec(any::<i32>(), 3), more in 0i64..1 << 34) {
            let mut sums: Vec<i64> = sums.into_iter().map(|sum| i64::from(sum) << 3).collect();
            let before = share(&sums, 0);
            sums[0] += more;
            prop_assert!(share(&sums, 0) >= before);
        }
    }
}
