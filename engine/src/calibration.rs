//! What a unit of each stage's work costs: one table, so that estimates of packs rest on figures that can be looked up,
//! measured again (`interdict packs check --calibrate`) and set (`[costs]` of a hardware profile).

use crate::error::{Error, ErrorKind};
use crate::limits::COST_PS_MAX;
use serde::{Deserialize, Serialize};

macro_rules! costs {
    ($($(#[$doc:meta])* $name:ident = $default:expr;)*) => {
        /// Costs of one core, in picoseconds. The default is the built-in table: deterministic, so that a pack that
        /// one machine accepts is not refused by another.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Calibration {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Default for Calibration {
            fn default() -> Calibration {
                Calibration { $($name: $default,)* }
            }
        }

        impl Calibration {
            /// Nothing costs anything, for who asks a pack but for its budgets.
            pub(crate) const FREE: Calibration = Calibration { $($name: 0,)* };
            /// Every figure with its name, in the table's order.
            pub fn figures(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

costs! {
    /// Scanning one text of 256 bytes in a database, without its patterns (`bench/benches/patterns.rs`).
    scan_ps = 150_000;
    /// Folding a text of 256 bytes (`bench/benches/patterns.rs`, fold).
    fold_ps = 2_000_000;
    /// What a pattern with three fixed characters or more adds to a scan (`bench/benches/patterns.rs`).
    pattern_ps = 1_000;
    /// What one with two adds: tried at every place where the two stand.
    pattern_short_ps = 20_000;
    /// What one with fewer adds: tried at every byte.
    pattern_bare_ps = 100_000;
    /// What one with an edit or Hamming distance adds.
    pattern_near_ps = 200_000;
    /// One name against one watchlist of 20,000 names, as sanctions lists have (`bench/benches/kernels.rs`).
    screen_ps = 20_000_000;
    /// One fingerprint of a bank (`bench/benches/kernels.rs`, AVX2, the slower form).
    fingerprint_ps = 1_500;
    /// One vector of a bank (`bench/benches/kernels.rs`, AVX2).
    vector_ps = 4_500;
    /// One attribute of a payment's own fingerprint: a SHA-256 of one block.
    attribute_ps = 150_000;
    /// Reading one input of a model (`bench/benches/models.rs`).
    model_input_ps = 5_000;
    /// Starting on trees.
    trees_ps = 20_000;
    /// One step down a tree, where eight are walked together (`bench/benches/models.rs`, ours).
    tree_step_ps = 1_500;
    /// One class of a softmax over trees: e to a difference of sums.
    class_ps = 60_000;
    /// Starting a run on tract.
    tract_ps = 1_000_000;
    /// One operator on tract.
    tract_operator_ps = 400_000;
    /// One multiplication on tract.
    tract_product_ps = 500;
    /// Reading a slot in a rule, and testing it (`bench/benches/rules.rs`).
    slot_ps = 5_000;
    /// A constant, or a comparison of numbers.
    step_ps = 1_000;
    /// One of a few texts that a text is compared with.
    among_ps = 2_000;
    /// Comparing or searching a text of 256 bytes, about the longest merchant descriptor or user agent seen.
    text_ps = 40_000;
    /// `matches` run by a rule: the lazy DFA of the regex crate takes about a byte a ns, once its states are built.
    matches_ps = 400_000;
    /// Handing a row to the CEL interpreter (`bench/benches/rules.rs`).
    interpreted_ps = 3_000_000;
    /// One node that it visits.
    interpreted_node_ps = 150_000;
}

impl Calibration {
    /// Checks figures that somebody wrote.
    ///
    /// # Errors
    /// `Invalid` for one of 0 (it would turn a budget off) or above `COST_PS_MAX`, by name.
    pub fn check(&self) -> Result<(), Error> {
        match self.figures().into_iter().find(|(_, ps)| !(1..=COST_PS_MAX).contains(ps)) {
            Some((name, ps)) => {
                let message = format!("{name} is {ps}, limit 1 to {COST_PS_MAX}");
                Err(Error::new(ErrorKind::Invalid, message))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound_and_what_turns_a_budget_off_is_refused() {
        let table = Calibration::default();
        assert!(table.check().is_ok());
        assert_eq!(table.figures().len(), 24);
        let wrong = |costs: Calibration| costs.check().unwrap_err().message;
        assert_eq!(wrong(Calibration { fold_ps: 0, ..table }), "fold_ps is 0, limit 1 to 1000000000");
        assert!(wrong(Calibration { slot_ps: u64::MAX, ..table }).starts_with("slot_ps is 1844674"));
    }
}
