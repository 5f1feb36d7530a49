//! What a pack costs at worst, stage by stage, from calibrated costs; and whether that is within the budgets it
//! declares. An estimate on one core of the machine that calibrated it, made to compare packs and to stop the runaway.

use super::load::Pack;
use super::{BankDecl, Likeness};
use crate::calibration::Calibration;
use crate::error::{Error, ErrorKind, Place};
use crate::rules::Rule;
use crate::stage::Stage;

/// How many of the dearest parts are named.
const NAMED: usize = 5;
const PS_PER_US: u64 = 1_000_000;

/// One part's cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartCost {
    /// What it is: `rule ID`, `pattern ID`, `screen ID`, `bank ID`, `model ID`, `folding of FIELD`, `database of FIELD`.
    pub part: String,
    /// ps of one payment at worst.
    pub ps: u64,
}

impl PartCost {
    /// The cost as people read it: `1.3 us`, below a tenth of that in ns with two figures.
    pub fn told(&self) -> String {
        told(self.ps)
    }
}

/// One stage's cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageCost {
    /// The stage.
    pub stage: Stage,
    /// ps of one payment at worst.
    pub ps: u64,
    /// The pack's budget in µs, where one is declared.
    pub budget_us: Option<u32>,
    /// What costs whatever the number of parts, dearest first.
    pub shared: Vec<PartCost>,
    /// The parts that cost most, dearest first.
    pub dearest: Vec<PartCost>,
}

impl StageCost {
    /// The cost of a stage's parts and of what they share.
    pub(super) fn of(
        pack: &Pack,
        stage: Stage,
        mut shared: Vec<PartCost>,
        mut parts: Vec<PartCost>,
    ) -> StageCost {
        let ps = shared.iter().chain(&parts).fold(0u64, |sum, part| sum.saturating_add(part.ps));
        for list in [&mut shared, &mut parts] {
            list.sort_by(|a, b| b.ps.cmp(&a.ps).then_with(|| a.part.cmp(&b.part)));
            list.truncate(NAMED);
        }
        StageCost { stage, ps, budget_us: pack.manifest.budget_us(stage), shared, dearest: parts }
    }
    /// The error of a stage over its budget, naming what costs most.
    pub(super) fn over_budget(&self) -> Option<Error> {
        let budget_us = self.budget_us.filter(|us| self.ps > u64::from(*us) * PS_PER_US)?;
        let message = format!(
            "static cost of {} is {}, budget {}_us is {budget_us}; {}",
            self.stage.name(),
            told(self.ps),
            self.stage.name(),
            self.told_parts()
        );
        Some(Error::new(ErrorKind::TooLarge, message).at(Place::file("pack.yaml")))
    }
    /// What it is made of, as people read it: `dearest: rule "r" 1.2 us`, behind what is shared, where anything is.
    pub fn told_parts(&self) -> String {
        let list = |parts: &[PartCost]| {
            let told: Vec<String> =
                parts.iter().map(|part| format!("{} {}", part.part, part.told())).collect();
            told.join(", ")
        };
        let shared =
            if self.shared.is_empty() { String::new() } else { format!("shared: {}; ", list(&self.shared)) };
        format!("{shared}dearest: {}", list(&self.dearest))
    }
}

fn told(ps: u64) -> String {
    match ps {
        0..10_000 => format!("{}.{} ns", ps / 1000, ps % 1000 / 100),
        10_000..100_000 => format!("{} ns", ps / 1000),
        _ => format!("{}.{} us", ps / PS_PER_US, ps % PS_PER_US / 100_000),
    }
}

/// The similarity stage's parts.
pub(super) fn similarity(pack: &Pack, costs: &Calibration) -> Vec<PartCost> {
    let screens = pack.screens.iter().map(|screen| PartCost {
        part: format!("screen {:?}", screen.id),
        ps: costs.screen_ps * screen.watchlists.len() as u64,
    });
    let banks = pack
        .banks
        .iter()
        .map(|bank| PartCost { part: format!("bank {:?}", bank.id), ps: bank_ps(bank, costs) });
    screens.chain(banks).collect()
}

fn bank_ps(bank: &BankDecl, costs: &Calibration) -> u64 {
    let (each_ps, print_ps) = match &bank.likeness {
        Likeness::Fingerprint { attributes, .. } => {
            (costs.fingerprint_ps, costs.attribute_ps * attributes.len() as u64)
        }
        Likeness::Vector { .. } => (costs.vector_ps, 0),
    };
    print_ps + u64::from(bank.capacity) * each_ps
}

/// A rule's part.
pub(super) fn rule(id: &str, rule: &Rule, costs: &Calibration) -> PartCost {
    PartCost { part: format!("rule {id:?}"), ps: rule.cost_ps(costs) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_told_with_figures_that_tell_something() {
        let cases =
            [(0, "0.0 ns"), (3_000, "3.0 ns"), (9_990, "9.9 ns"), (52_900, "52 ns"), (100_000, "0.1 us")];
        for (ps, wanted) in cases.into_iter().chain([(1_349_999, "1.3 us"), (120_000_000, "120.0 us")]) {
            assert_eq!(told(ps), wanted);
        }
    }
}
