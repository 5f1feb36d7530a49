//! Runs a pack's examples and tests over its own rules and says, for each that fails, where it stands, what it expected
//! and what came.

use super::check::check;
use super::load::{Pack, sorted};
use super::schema::schema;
use super::{Case, SlotValues};
use crate::calibration::Calibration;
use crate::domain::{Outcome, Schema};
use crate::error::{Error, Place};
use crate::rules::{Mode, Rule, RuleResults, RuleSet, Undecided};
use std::fmt;

/// A failed example or test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where it stands.
    pub place: Place,
    /// Which example or test.
    pub name: String,
    /// What it expected.
    pub expected: String,
    /// What came.
    pub got: String,
    /// Why, part by part of the rule's condition; empty where it does not help.
    pub why: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: expected {}, got {}", self.place, self.name, self.expected, self.got)?;
        self.why.lines().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// How one rule did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleReport {
    /// `pack/rule`.
    pub id: String,
    /// How many examples it has.
    pub examples: usize,
    /// Over its own examples and all tests of the pack: how often it hit.
    pub hits: usize,
    /// How often it missed.
    pub misses: usize,
    /// How often it was undecided.
    pub undecided: usize,
}

/// What the tests of a pack came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestReport {
    /// What keeps the pack from being tested at all; see [`super::check`].
    pub errors: Vec<Error>,
    /// How many examples and tests held.
    pub passed: usize,
    /// Those that did not, in the order of the files.
    pub failures: Vec<Failure>,
    /// Every rule.
    pub rules: Vec<RuleReport>,
}

impl TestReport {
    /// Whether everything held.
    pub fn is_ok(&self) -> bool {
        self.errors.is_empty() && self.failures.is_empty()
    }
}

/// The rule's id within its pack, of `rule` or `pack/rule`.
pub(super) fn short_id<'a>(pack: &Pack, id: &'a str) -> &'a str {
    id.strip_prefix(pack.name()).and_then(|rest| rest.strip_prefix('/')).unwrap_or(id)
}

/// Tests a pack by itself, against the lists it expects. Budgets are `check`'s.
pub fn test(pack: &Pack) -> TestReport {
    let checked = check(pack, &Calibration::FREE);
    let built = schema(&[pack], &[]).map(|built| built.schema);
    let rules = built.as_ref().map_err(Vec::clone).and_then(|s| RuleSet::compile(pack.rule_sources(0), s));
    match (built, rules) {
        (Ok(schema), Ok(rules)) if checked.is_ok() => Tester::run(pack, &schema, &rules),
        (_, Err(errors)) if checked.is_ok() => TestReport { errors: sorted(errors), ..TestReport::default() },
        _ => TestReport { errors: checked.errors, ..TestReport::default() },
    }
}

struct Tester<'a> {
    pack: &'a Pack,
    schema: &'a Schema,
    rules: &'a RuleSet,
    results: RuleResults,
    report: TestReport,
}

impl<'a> Tester<'a> {
    fn run(pack: &'a Pack, schema: &'a Schema, rules: &'a RuleSet) -> TestReport {
        let reports = rules.rules().iter().zip(&pack.rules).map(|(rule, decl)| RuleReport {
            id: rule.id().into(),
            examples: decl.hit.len() + decl.miss.len(),
            hits: 0,
            misses: 0,
            undecided: 0,
        });
        let report = TestReport { rules: reports.collect(), ..TestReport::default() };
        let mut tester = Tester { pack, schema, rules, results: rules.results(), report };
        for (number, decl) in pack.rules.iter().enumerate() {
            decl.hit.iter().for_each(|row| tester.example(number, row, true));
            decl.miss.iter().for_each(|row| tester.example(number, row, false));
        }
        pack.cases.iter().for_each(|case| tester.case(case));
        tester.report
    }

    fn example(&mut self, number: usize, slots: &SlotValues, must_hit: bool) {
        let row = slots.row(self.schema).expect("check admits known slots only");
        let rule = &self.rules.rules()[number];
        let result = rule.eval(&row);
        // A row of examples is about its own rule; trying it on all others would make checking a big pack quadratic.
        let report = &mut self.report.rules[number];
        match result {
            Ok(Some(_)) => report.hits += 1,
            Ok(None) => report.misses += 1,
            Err(Undecided) => report.undecided += 1,
        }
        if result.is_ok_and(|score| score.is_some() == must_hit) {
            self.report.passed += 1;
            return;
        }
        self.report.failures.push(Failure {
            place: slots.place.clone(),
            name: format!("example of rule {:?}", rule.id()),
            expected: if must_hit { "a hit".into() } else { "a miss".into() },
            got: told(result),
            why: rule.explain(self.schema, &row).when.to_string(),
        });
    }

    /// Counts what every rule makes of a row.
    fn count(&mut self, row: &super::Row) {
        self.rules.evaluate(row, &mut self.results);
        for report in &mut self.report.rules {
            report.misses += 1;
        }
        for hit in &self.results.hits {
            let report = &mut self.report.rules[hit.rule as usize];
            (report.misses, report.hits) = (report.misses - 1, report.hits + 1);
        }
        for number in &self.results.undecided {
            let report = &mut self.report.rules[*number as usize];
            (report.misses, report.undecided) = (report.misses - 1, report.undecided + 1);
        }
    }

    fn case(&mut self, case: &Case) {
        let row = case.slots.row(self.schema).expect("check admits known slots only");
        self.count(&row);
        let of = |mode: Mode| -> Vec<&str> {
            let hits = self.results.hits.iter().map(|hit| self.rules.rule(hit.rule));
            hits.filter(|rule| rule.mode() == mode).map(|rule| short_id(self.pack, rule.id())).collect()
        };
        let undecided: Vec<&str> =
            self.results.undecided.iter().map(|n| short_id(self.pack, self.rules.rule(*n).id())).collect();
        let live = self.results.hits.iter().filter(|hit| self.rules.rule(hit.rule).mode() == Mode::Live);
        let score = live.clone().map(|hit| hit.score).max().unwrap_or(0);
        let outcome = live.map(|hit| self.rules.rule(hit.rule).outcome()).max().unwrap_or(Outcome::Approve);
        let mut wrong: Vec<(String, String)> = Vec::new();
        let mut compare = |what: &str, expected: Option<String>, got: String| {
            if let Some(expected) = expected.filter(|expected| *expected != got) {
                wrong.push((format!("{what} {expected}"), format!("{what} {got}")));
            }
        };
        let expect = &case.expect;
        let ids = |ids: &Option<Vec<String>>| {
            ids.as_ref().map(|ids| listed(ids.iter().map(|id| short_id(self.pack, id)).collect()))
        };
        compare("outcome", expect.outcome.map(|o| o.name().into()), outcome.name().into());
        compare("score", expect.score.map(|score| score.to_string()), score.to_string());
        compare("hits", ids(&expect.hits), listed(of(Mode::Live)));
        compare("shadow", ids(&expect.shadow), listed(of(Mode::Shadow)));
        compare("undecided", ids(&expect.undecided), listed(undecided));
        if wrong.is_empty() {
            self.report.passed += 1;
            return;
        }
        let differing = self.differing(case);
        let why =
            differing.iter().map(|rule| rule.explain(self.schema, &row).to_string()).collect::<String>();
        let join =
            |side: fn(&(String, String)) -> &str| wrong.iter().map(side).collect::<Vec<_>>().join(", ");
        self.report.failures.push(Failure {
            place: case.place.clone(),
            name: format!("test {:?}", case.name),
            expected: join(|(expected, _)| expected),
            got: join(|(_, got)| got),
            why,
        });
    }

    /// The rules that should have hit and did not, or the other way: at most three, to be explained.
    fn differing(&self, case: &Case) -> Vec<&'a Rule> {
        let Some(expected) = &case.expect.hits else { return Vec::new() };
        let wants =
            |rule: &Rule| expected.iter().any(|id| short_id(self.pack, id) == short_id(self.pack, rule.id()));
        let hit = |number: usize| self.results.hits.iter().any(|hit| hit.rule as usize == number);
        let rules = self.rules.rules().iter().enumerate();
        let differing =
            rules.filter(|(number, rule)| rule.mode() == Mode::Live && wants(rule) != hit(*number));
        differing.map(|(_, rule)| rule).take(3).collect()
    }
}

fn told(result: Result<Option<u16>, Undecided>) -> String {
    match result {
        Ok(Some(score)) => format!("a hit (score {score})"),
        Ok(None) => "a miss".into(),
        Err(Undecided) => "undecided".into(),
    }
}

/// Ids as a set: sorted, each once.
fn listed(mut ids: Vec<&str>) -> String {
    ids.sort_unstable();
    ids.dedup();
    format!("[{}]", ids.join(", "))
}
