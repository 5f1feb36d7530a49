//! What a pack costs at worst, stage by stage, from calibrated costs; and whether that is within the budgets it
//! declares. An estimate on one core of the machine that calibrated it, made to compare packs and to stop the runaway.

use super::load::Pack;
use super::{BankDecl, Likeness};
use crate::error::{Error, ErrorKind, Place};
use crate::rules::Rule;
use crate::stage::Stage;

/// One screen against one watchlist of the size that sanctions lists have (20,000 names): `bench/benches/names.rs`.
const SCREEN_WATCHLIST_NS: u64 = 20_000;
/// One vector of a bank, scanned: `bench/benches/kernels.rs`, the AVX2 figures, which are the slower.
const FINGERPRINT_PS: u64 = 1_500;
const VECTOR_PS: u64 = 4_500;
/// One attribute of a fingerprint: a SHA-256 of one block.
const ATTRIBUTE_NS: u64 = 150;
/// How many of the dearest parts are named.
const NAMED: usize = 5;

/// One part's cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartCost {
    /// What it is: `rule ID`, `pattern ID`, `screen ID`, `bank ID`, `model ID`.
    pub part: String,
    /// ns of one payment at worst.
    pub ns: u64,
}

/// One stage's cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageCost {
    /// The stage.
    pub stage: Stage,
    /// ns of one payment at worst.
    pub ns: u64,
    /// The pack's budget in µs, where one is declared.
    pub budget_us: Option<u32>,
    /// What costs most, dearest first.
    pub dearest: Vec<PartCost>,
}

impl StageCost {
    /// The cost of a stage's parts; `shared_ns` is what they cost together beside that.
    pub(super) fn of(pack: &Pack, stage: Stage, shared_ns: u64, mut parts: Vec<PartCost>) -> StageCost {
        let ns = parts.iter().fold(shared_ns, |sum, part| sum.saturating_add(part.ns));
        parts.sort_by(|a, b| b.ns.cmp(&a.ns).then_with(|| a.part.cmp(&b.part)));
        parts.truncate(NAMED);
        StageCost { stage, ns, budget_us: pack.manifest.budget_us(stage), dearest: parts }
    }
    /// The error of a stage over its budget, naming what costs most.
    pub(super) fn over_budget(&self) -> Option<Error> {
        let budget_us = self.budget_us.filter(|us| self.ns > u64::from(*us) * 1000)?;
        let named: Vec<String> =
            self.dearest.iter().map(|part| format!("{} {}", part.part, told_us(part.ns))).collect();
        let (stage, cost) = (self.stage.name(), told_us(self.ns));
        let message = format!(
            "static cost of {stage} is {cost}, budget {stage}_us is {budget_us}; dearest: {}",
            named.join(", ")
        );
        Some(Error::new(ErrorKind::TooLarge, message).at(Place::file("pack.yaml")))
    }
}

fn told_us(ns: u64) -> String {
    format!("{}.{} us", ns / 1000, ns % 1000 / 100)
}

/// The similarity stage's parts.
pub(super) fn similarity(pack: &Pack) -> Vec<PartCost> {
    let screens = pack.screens.iter().map(|screen| PartCost {
        part: format!("screen {:?}", screen.id),
        ns: SCREEN_WATCHLIST_NS * screen.watchlists.len() as u64,
    });
    let banks =
        pack.banks.iter().map(|bank| PartCost { part: format!("bank {:?}", bank.id), ns: bank_ns(bank) });
    screens.chain(banks).collect()
}

fn bank_ns(bank: &BankDecl) -> u64 {
    let (each_ps, print_ns) = match &bank.likeness {
        Likeness::Fingerprint { attributes, .. } => (FINGERPRINT_PS, ATTRIBUTE_NS * attributes.len() as u64),
        Likeness::Vector { .. } => (VECTOR_PS, 0),
    };
    print_ns + u64::from(bank.capacity) * each_ps / 1000
}

/// A rule's part.
pub(super) fn rule(id: &str, rule: &Rule) -> PartCost {
    PartCost { part: format!("rule {id:?}"), ns: rule.cost_ns() }
}
