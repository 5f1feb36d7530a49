//! What must hold of a pack before it is published: names and types, examples for every rule, the cost bound; and what
//! its authors may want to know.

use super::cost::{self, PartCost, StageCost};
use super::load::{Pack, sorted};
use super::schema::{PackSchema, schema};
use super::{BankDecl, check_patterns};
use crate::calibration::Calibration;
use crate::domain::{Outcome, SlotId};
use crate::error::{Error, ErrorKind, Place, nearest};
use crate::rules::{Mode, Rule, ScoreSource};
use crate::similarity::vectors::BankPlan;
use crate::stage::Stage;
use std::collections::HashSet;

/// What a check found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What must be mended, sorted by place.
    pub errors: Vec<Error>,
    /// What may be meant, sorted by place.
    pub warnings: Vec<Error>,
    /// How many rules the pack has.
    pub rules: usize,
    /// How many of them are in shadow.
    pub shadow: usize,
    /// How many are run by the interpreter in part.
    pub interpreted: usize,
    /// How many feature slots it declares.
    pub feature_slots: usize,
    /// Static cost of all rules together, an estimate in ps.
    pub cost_ps: u64,
    /// Worst-case cost of each stage that the pack has a part in.
    pub costs: Vec<StageCost>,
}

impl Report {
    /// Whether the pack may be published.
    pub fn is_ok(&self) -> bool {
        self.errors.is_empty()
    }
}

/// Checks a pack by itself, against the lists it expects; `costs` is what its budgets are held against.
pub fn check(pack: &Pack, costs: &Calibration) -> Report {
    match schema(&[pack], &[]) {
        Ok(built) => check_against(pack, &built, costs),
        Err(errors) => Report { errors, rules: pack.rules.len(), ..Report::default() },
    }
}

/// Checks a pack against the schema of a whole generation.
pub fn check_against(pack: &Pack, built: &PackSchema, costs: &Calibration) -> Report {
    let mut report = Report {
        rules: pack.rules.len(),
        shadow: pack.rules.iter().filter(|rule| rule.mode == Mode::Shadow).count(),
        feature_slots: pack.features.iter().map(|feature| feature.spec.slots().len()).sum(),
        ..Report::default()
    };
    let mut read = HashSet::new();
    let mut rule_costs = Vec::new();
    for (decl, source) in pack.rules.iter().zip(pack.rule_sources(0)) {
        let compiled = Rule::compile(source, &built.schema);
        let always = compiled.as_ref().is_ok_and(|rule| rule.when().constant() == Some(Some(true)));
        examples(decl, always, built, &mut report.errors);
        match compiled {
            Ok(rule) => {
                read.extend(rule.slots().iter().copied());
                report.cost_ps = report.cost_ps.saturating_add(rule.cost_ps(costs));
                rule_costs.push(cost::rule(&decl.id, &rule, costs));
                report.interpreted += usize::from(rule.is_interpreted());
                advise(decl, &rule, costs, &mut report.warnings);
            }
            Err(errors) => report.errors.extend(errors),
        }
    }
    cases(pack, built, &mut report.errors);
    stages(pack, built, costs, &mut read, &mut report);
    report.costs.push(StageCost::of(pack, Stage::Rules, Vec::new(), rule_costs));
    report.costs.sort_by_key(|cost| cost.stage);
    let over = report.costs.iter().filter_map(StageCost::over_budget);
    report.errors.extend(over);
    unused(pack, built, &read, &mut report.warnings);
    report.errors = sorted(report.errors);
    report.warnings = sorted(report.warnings);
    report
}

fn note(errors: &mut Vec<Error>, place: &Place, message: String) {
    errors.push(Error::new(ErrorKind::Invalid, message).at(place.clone()));
}

/// Every rule has examples that must hit and that must not, all of known slots. One that `always` holds has no miss
/// to show.
fn examples(decl: &super::RuleDecl, always: bool, built: &PackSchema, errors: &mut Vec<Error>) {
    for (rows, what, possible) in [(&decl.hit, "hit", true), (&decl.miss, "miss", !always)] {
        if rows.is_empty() && possible {
            let message =
                format!("rule {:?}: examples.{what} is missing; every rule shows what must {what}", decl.id);
            note(errors, &decl.place, message);
        }
        rows.iter().filter_map(|row| row.row(&built.schema).err()).for_each(|found| errors.extend(found));
    }
}

/// Every case is of known slots and rules.
fn cases(pack: &Pack, built: &PackSchema, errors: &mut Vec<Error>) {
    for case in &pack.cases {
        if let Err(found) = case.slots.row(&built.schema) {
            errors.extend(found);
        }
        let expected = [&case.expect.hits, &case.expect.shadow, &case.expect.undecided];
        for id in expected.into_iter().flatten().flatten() {
            let short = super::test::short_id(pack, id);
            if !pack.rules.iter().any(|rule| rule.id == short) {
                let near = nearest(short, pack.rules.iter().map(|rule| rule.id.as_str()));
                let near = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
                note(errors, &case.place, format!("test {:?}: unknown rule {id:?}{near}", case.name));
            }
        }
    }
}

/// What the stages before the rules make of the pack: patterns and models compile, banks find their slots, and each
/// has its cost.
fn stages(
    pack: &Pack,
    built: &PackSchema,
    costs: &Calibration,
    read: &mut HashSet<SlotId>,
    report: &mut Report,
) {
    patterns(pack, costs, report);
    if let Err(errors) = BankPlan::new(pack.banks.clone(), &built.schema, built.starts.lists) {
        report.errors.extend(errors);
    }
    let similar = cost::similarity(pack, costs);
    if !similar.is_empty() {
        report.costs.push(StageCost::of(pack, Stage::Similarity, Vec::new(), similar));
    }
    let mut models = Vec::new();
    for decl in &pack.models {
        match decl.compile(0, &built.schema, pack.files()) {
            Ok(model) => {
                read.extend(model.inputs().iter().map(|input| input.slot));
                models.push(PartCost { part: format!("model {:?}", decl.id), ps: model.cost_ps(costs) });
            }
            Err(errors) => report.errors.extend(errors),
        }
    }
    if !models.is_empty() {
        report.costs.push(StageCost::of(pack, Stage::Models, Vec::new(), models));
    }
    let banked = pack.banks.iter().flat_map(BankDecl::slots);
    read.extend(banked.filter_map(|path| built.schema.find(path)));
}

/// Patterns: the library takes them, their examples hit and miss, and none is likely to be slow.
fn patterns(pack: &Pack, costs: &Calibration, report: &mut Report) {
    if pack.patterns.is_empty() {
        return;
    }
    let found = check_patterns(&pack.patterns, costs);
    report.costs.push(StageCost::of(pack, Stage::Patterns, found.shared, found.costs));
    report.errors.extend(found.errors);
    report.warnings.extend(found.warnings);
}

/// What is allowed, but seldom meant.
fn advise(decl: &super::RuleDecl, rule: &Rule, costs: &Calibration, warnings: &mut Vec<Error>) {
    let id = &decl.id;
    // A rule that ranks every payment always holds, and is meant to.
    let ranks_all = decl.outcome == Outcome::Approve && rule.when().constant() == Some(Some(true));
    if let Some(constant) = rule.when().constant().filter(|_| !ranks_all) {
        let always = match constant {
            Some(true) => "always true",
            Some(false) => "never true",
            None => "always undecided",
        };
        note(warnings, &decl.when.place(0), format!("rule {id:?}: the condition is {always}"));
    }
    if decl.outcome == Outcome::Approve && decl.score == ScoreSource::Constant(0) {
        note(warnings, &decl.place, format!("rule {id:?} has no effect: outcome approve, score 0"));
    }
    if rule.is_interpreted() {
        let message = format!(
            "rule {id:?} is run by the CEL interpreter (macros, joined strings): about {} us, where others take less than one",
            rule.cost_ps(costs) / 1_000_000
        );
        note(warnings, &decl.when.place(0), message);
    }
}

/// Features that no rule and no model reads, and lists that no rule does: features cost time and memory at every payment.
fn unused(pack: &Pack, built: &PackSchema, read: &HashSet<SlotId>, warnings: &mut Vec<Error>) {
    for feature in &pack.features {
        let slots = feature.spec.slots();
        let is_read = |path: &str| built.schema.find(path).is_some_and(|slot| read.contains(&slot));
        let idle: Vec<&str> =
            slots.iter().map(|(path, _)| path.as_str()).filter(|path| !is_read(path)).collect();
        let name = &feature.spec.name;
        match idle.len() {
            0 => {}
            all if all == slots.len() => {
                note(
                    warnings,
                    &feature.place,
                    format!("feature {name:?} is unused: no rule or model reads any of it"),
                );
            }
            some => {
                let shown = idle[..some.min(3)].join(", ");
                let more = if some > 3 { ", …" } else { "" };
                let message =
                    format!("feature {name:?}: {some} of {} slots are unused: {shown}{more}", slots.len());
                note(warnings, &feature.place, message);
            }
        }
    }
    for list in &pack.manifest.lists {
        let slot = built.schema.find(&format!("lists.{}", list.name));
        if !slot.is_some_and(|slot| read.contains(&slot)) {
            // Its blocks and flags count without any rule.
            let message =
                format!("list {:?} is read by no rule; its own effects count all the same", list.name);
            note(warnings, &list.place, message);
        }
    }
}
