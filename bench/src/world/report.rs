//! How well a pack does on the world: recall per scenario and false positives among good payments, as a table and as
//! JSON. A false positive is put down to the scenario whose rule gave the strongest reason, by the rule's name.

use super::Scenario;
use interdict_engine::domain::Outcome;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What one kind of payment got.
#[derive(Debug, Clone, Default)]
struct Row {
    outcomes: [u64; Outcome::ALL.len()],
    /// Good payments that were not let through by a rule of this scenario.
    false_positives: u64,
}

impl Row {
    fn total(&self) -> u64 {
        self.outcomes.iter().sum()
    }
    /// Review or stronger.
    fn caught(&self) -> u64 {
        self.outcomes[Outcome::Review as usize..].iter().sum()
    }
    /// Stronger than review: the payment did not simply go on.
    fn stopped(&self) -> u64 {
        self.outcomes[Outcome::Challenge as usize..].iter().sum()
    }
}

/// Collects (truth, outcome) pairs.
#[derive(Debug, Clone, Default)]
pub struct Report {
    scenarios: BTreeMap<Scenario, Row>,
    good: Row,
    /// False positives by a rule or list that belongs to no scenario.
    other_false_positives: u64,
    replayed: u64,
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64 * 10_000.0).round() / 100.0)
}

impl Report {
    /// Counts one answer. `rule` is the strongest reason's rule (`world/mules-fan-in`), or its list, if there is one.
    pub fn add(&mut self, truth: Option<Scenario>, outcome: Outcome, rule: Option<&str>) {
        let row = match truth {
            Some(scenario) => self.scenarios.entry(scenario).or_default(),
            None => &mut self.good,
        };
        row.outcomes[outcome as usize] += 1;
        if truth.is_none() && outcome >= Outcome::Review {
            match rule.and_then(scenario_of_rule) {
                Some(scenario) => self.scenarios.entry(scenario).or_default().false_positives += 1,
                None => self.other_false_positives += 1,
            }
        }
    }
    /// Counts an answer that repeats an earlier one; it is in no other figure.
    pub fn add_replayed(&mut self) {
        self.replayed += 1;
    }
    /// How many answers had each outcome.
    pub fn outcomes(&self) -> impl Iterator<Item = (Outcome, u64)> + '_ {
        Outcome::ALL.into_iter().map(|outcome| {
            let of_row = |row: &Row| row.outcomes[outcome as usize];
            (outcome, of_row(&self.good) + self.scenarios.values().map(of_row).sum::<u64>())
        })
    }
    /// Answers counted, replayed ones too.
    pub fn answers(&self) -> u64 {
        self.outcomes().map(|(_, count)| count).sum::<u64>() + self.replayed
    }
    /// (payments, caught) of a scenario; caught is review or stronger.
    pub fn recall(&self, scenario: Scenario) -> (u64, u64) {
        self.scenarios.get(&scenario).map_or((0, 0), |row| (row.total(), row.caught()))
    }
    /// (decided good payments, of these review or stronger); facts are not decided and not counted.
    pub fn false_positives(&self) -> (u64, u64) {
        (self.good.total() - self.good.outcomes[Outcome::Recorded as usize], self.good.caught())
    }

    /// The report as one JSON object. Shares are per cent with two decimals, null where nothing was counted.
    pub fn json(&self) -> Value {
        let rows: serde_json::Map<String, Value> = Scenario::ALL
            .into_iter()
            .map(|scenario| {
                let row = self.scenarios.get(&scenario).cloned().unwrap_or_default();
                let value = json!({
                    "payments": row.total(), "caught": row.caught(), "stopped": row.stopped(),
                    "recall_percent": percent(row.caught(), row.total()),
                    "outcomes": outcomes_json(&row), "false_positives": row.false_positives,
                });
                (scenario.name().to_owned(), value)
            })
            .collect();
        let (good, flagged) = self.false_positives();
        let outcomes: serde_json::Map<String, Value> =
            self.outcomes().map(|(outcome, count)| (outcome.name().to_owned(), count.into())).collect();
        json!({
            "answers": self.answers(), "replayed": self.replayed, "outcomes": outcomes, "scenarios": rows,
            "good": {
                "payments": good, "false_positives": flagged, "stopped": self.good.stopped(),
                "false_positive_percent": percent(flagged, good), "outcomes": outcomes_json(&self.good),
                "by_no_scenario": self.other_false_positives,
            },
        })
    }

    /// The report as a table for people.
    pub fn table(&self) -> String {
        let mut text = String::from(
            "scenario                payments  caught  recall %  stopped  approve  review  challenge  hold  decline  false pos.\n",
        );
        let share = |part, whole| percent(part, whole).map_or("-".to_owned(), |value| format!("{value:.1}"));
        let mut line = |name: &str, row: &Row, recall: String, false_positives: String| {
            let o = &row.outcomes;
            let at = |outcome: Outcome| o[outcome as usize];
            let _ = writeln!(
                text,
                "{name:<22}  {:>8}  {:>6}  {recall:>8}  {:>7}  {:>7}  {:>6}  {:>9}  {:>4}  {:>7}  {false_positives:>10}",
                row.total(),
                row.caught(),
                row.stopped(),
                at(Outcome::Approve),
                at(Outcome::Review),
                at(Outcome::Challenge),
                at(Outcome::Hold),
                at(Outcome::Decline),
            );
        };
        for scenario in Scenario::ALL {
            let row = self.scenarios.get(&scenario).cloned().unwrap_or_default();
            let recall = share(row.caught(), row.total());
            line(scenario.name(), &row, recall, row.false_positives.to_string());
        }
        let (good, flagged) = self.false_positives();
        line("(good)", &self.good, "-".into(), flagged.to_string());
        let _ = write!(
            text,
            "false positives: {flagged} of {good} decided good payments ({} %); {} of them by rules of no scenario\n\
             outcomes:",
            share(flagged, good),
            self.other_false_positives
        );
        for (outcome, count) in self.outcomes() {
            let _ = write!(text, "  {} {count}", outcome.name());
        }
        let _ = writeln!(text, "  (replayed {})", self.replayed);
        text
    }
}

fn outcomes_json(row: &Row) -> Value {
    let pairs = Outcome::ALL
        .into_iter()
        .map(|outcome| (outcome.name().to_owned(), row.outcomes[outcome as usize].into()));
    Value::Object(pairs.collect())
}

/// The scenario a rule or list is about: the world's rules are named after their scenario, `world/mules-fan-in`; a
/// pack of one kind of fraud is about that.
fn scenario_of_rule(rule: &str) -> Option<Scenario> {
    let (pack, name) = rule.split_once('/').unwrap_or(("", rule));
    let name = name.replace('-', "_");
    match (pack, name.as_str()) {
        ("scams", _) => Some(Scenario::ScamText),
        ("screening", _) => Some(Scenario::SanctionedMisspelt),
        (_, "sanctions") => Some(Scenario::SanctionedExact),
        (_, "stolen_cards") => Some(Scenario::StolenCard),
        _ => Scenario::ALL.into_iter().find(|scenario| name.starts_with(scenario.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_recall_and_puts_false_positives_where_they_belong() {
        let mut report = Report::default();
        report.add(Some(Scenario::Mules), Outcome::Hold, Some("world/mules-fan-in"));
        report.add(Some(Scenario::Mules), Outcome::Approve, None);
        report.add(None, Outcome::Hold, Some("world/mules-fan-in"));
        report.add(None, Outcome::Review, Some("cards/card-burst"));
        report.add(None, Outcome::Approve, None);
        report.add(None, Outcome::Recorded, None);
        report.add_replayed();
        report.add(None, Outcome::Hold, Some("screening/payee-name"));
        report.add(None, Outcome::Review, Some("scams/story-known-payee"));
        assert_eq!(report.recall(Scenario::Mules), (2, 1));
        assert_eq!(report.false_positives(), (5, 4));
        assert_eq!(report.answers(), 9);
        let json = report.json();
        assert_eq!(json["scenarios"]["mules"]["recall_percent"], 50.0);
        assert_eq!(json["scenarios"]["mules"]["false_positives"], 1);
        assert_eq!(json["scenarios"]["sanctioned_misspelt"]["false_positives"], 1);
        assert_eq!(json["scenarios"]["scam_text"]["false_positives"], 1);
        assert_eq!(json["good"]["by_no_scenario"], 1);
        assert_eq!(json["scenarios"]["takeover"]["recall_percent"], Value::Null);
        assert!(report.table().contains("4 of 5 decided good payments (80.0 %)"), "{}", report.table());
    }
}
