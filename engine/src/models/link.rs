//! From a sum in fixed point to a score in thousandths. The logistic function is a table of the sums at which the score
//! steps up, made by integer arithmetic at compile time, so that no machine's `exp` has a say and the result is monotone.

use crate::limits::SCORE_MAX;

/// Fraction bits of sums and leaves: a unit is 2^-32.
pub(super) const FRACTION_BITS: u32 = 32;
/// One, in fixed point.
pub(super) const ONE: i64 = 1 << FRACTION_BITS;

/// What turns the sum into a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// The sum is a probability.
    Identity,
    /// The sum is a score in thousandths.
    Thousandths,
    /// The probability is 1 / (1 + e^-sum).
    Logistic,
}

impl Link {
    /// The score of a sum: rounded half up, clamped to 0 to 1000.
    pub(super) fn score(self, sum: i64) -> u16 {
        let max = i128::from(SCORE_MAX);
        match self {
            Link::Identity => round(i128::from(sum) * max).clamp(0, max) as u16,
            Link::Thousandths => round(i128::from(sum)).clamp(0, max) as u16,
            Link::Logistic => STEPS.partition_point(|step| *step <= sum) as u16,
        }
    }
}

/// Half up, from 2^-32 to 1.
fn round(fixed: i128) -> i128 {
    (fixed + i128::from(ONE / 2)) >> FRACTION_BITS
}

/// Entry k − 1 is the least sum whose probability is at least (k − 0.5) / 1000, so the score is how many entries are
/// at most the sum. ln((2k − 1) / (2001 − 2k)) is a difference of two logarithms of odd numbers.
static STEPS: [i64; SCORE_MAX as usize] = steps();

const GUARD_BITS: u32 = 64;

const fn steps() -> [i64; SCORE_MAX as usize] {
    // ln of the odd number 2i + 1 in units of 2^-64: each is the last one plus ln(n / (n − 2)) = 2 atanh(1 / (n − 1)).
    let mut ln = [0i128; 1000];
    let mut i = 1;
    while i < 1000 {
        ln[i] = ln[i - 1] + 2 * atanh_of_inverse(2 * i as i128);
        i += 1;
    }
    let mut steps = [0i64; 1000];
    let mut k = 1;
    while k <= 1000 {
        let exact = ln[k - 1] - ln[1000 - k];
        // Upwards: a sum counts from the first unit at which the step is reached.
        let unit = 1i128 << (GUARD_BITS - FRACTION_BITS);
        steps[k - 1] = -((-exact).div_euclid(unit)) as i64;
        k += 1;
    }
    steps
}

/// atanh(1 / m) = Σ 1 / ((2j + 1) m^(2j + 1)), in units of 2^-64, for m ≥ 2.
const fn atanh_of_inverse(m: i128) -> i128 {
    let mut power = (1i128 << GUARD_BITS) / m;
    let (mut sum, mut odd) = (0, 1);
    while power > 0 {
        sum += power / odd;
        power /= m * m;
        odd += 2;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn logistic(sum: i64) -> f64 {
        1000.0 / (1.0 + (-(sum as f64) / ONE as f64).exp())
    }

    #[test]
    fn the_steps_ascend_and_mirror_one_another() {
        assert!(STEPS.windows(2).all(|pair| pair[0] < pair[1]));
        for k in 0..500 {
            assert!((STEPS[k] + STEPS[999 - k]).abs() <= 1, "step {k}");
        }
    }

    #[test]
    fn each_step_is_where_the_logistic_function_crosses_a_half() {
        for (k, step) in STEPS.iter().enumerate() {
            let wanted = ((k as f64 + 0.5) / (999.5 - k as f64)).ln() * ONE as f64;
            // An f64's own error: 2^-52 of a figure up to 7.6 × 2^32.
            assert!((*step as f64 - wanted).abs() < 1.001, "step {k}: {step} {wanted}");
        }
        for (k, step) in STEPS.iter().enumerate() {
            assert_eq!(Link::Logistic.score(step - 1), k as u16);
            assert_eq!(Link::Logistic.score(*step), k as u16 + 1);
        }
    }

    proptest! {
        #[test]
        fn the_table_is_the_rounded_logistic(sum in -20 * ONE..20 * ONE) {
            let exact = logistic(sum);
            let score = f64::from(Link::Logistic.score(sum));
            prop_assert!((score - exact).abs() <= 0.5 + 1e-6, "{score} {exact}");
        }

        #[test]
        fn a_higher_sum_never_has_a_lower_score(a in any::<i64>(), b in any::<i64>()) {
            for link in [Link::Identity, Link::Thousandths, Link::Logistic] {
                let (low, high) = (link.score(a.min(b)), link.score(a.max(b)));
                prop_assert!(low <= high && high <= SCORE_MAX);
            }
        }

        #[test]
        fn probabilities_round_half_up(thousandths in 0i64..1000, part in 0.0f64..1.0) {
            let sum = ((thousandths as f64 + part) / 1000.0 * ONE as f64) as i64;
            let exact = sum as f64 * 1000.0 / ONE as f64;
            prop_assert_eq!(Link::Identity.score(sum), (exact + 0.5).floor() as u16);
        }
    }
}
