//! `report interceptions`: what was stopped on its way, by lever, reason, list and currency; what became of it, how long
//! before the cut-off it was stopped, how often for nothing; and which payments turned out to be fraud that had gone.

use super::table::{Table, csv_line};
use super::{Past, Period, ToldPeriod};
use anyhow::Result;
use interdict_engine::domain::{Body, Field, HoldId, HoldState, Label, Lever, Outcome, TransactionKind};
use interdict_engine::settlement::Hold;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// The report. Everything in it is in a fixed order.
#[derive(Debug, Serialize)]
pub struct Interceptions {
    /// Over what: holds and cases that were opened, payments that arrived in it.
    pub period: ToldPeriod,
    /// The last sequence that was read: what became of them is as of there.
    pub through: u64,
    /// By lever, reason, list and currency; each hold is in one row, that of its strongest cause.
    pub rows: Vec<Row>,
    /// The same by currency.
    pub totals: Vec<Row>,
    /// Fraud labels on payments that nothing stops.
    pub missed: Vec<Missed>,
    /// What a reader has to know.
    pub notes: Vec<String>,
}

/// How many, and how much in minor units of a row's currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// Minor units.
    #[serde(serialize_with = "whole")]
    pub minor: i128,
}

/// JSON's readers take no more than this.
fn whole<S: Serializer>(minor: &i128, to: S) -> Result<S::Ok, S::Error> {
    match i64::try_from(*minor) {
        Ok(minor) => to.serialize_i64(minor),
        Err(_) => to.serialize_str(&minor.to_string()),
    }
}

impl Sum {
    fn add(&mut self, minor: i64) {
        self.count += 1;
        self.minor += i128::from(minor);
    }
}

/// What was stopped by a lever, for a reason, in a currency.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Row {
    /// What could stop it; null in totals.
    pub lever: Option<&'static str>,
    /// The strongest cause: `pack/rule`, `list:NAME/FIELD`, `watchlist:NAME`, `model:PACK/NAME`, `default:PACK/STAGE`,
    /// `stale:LIST`, `label:fraud`; null in totals.
    pub reason: Option<String>,
    /// The list or watchlist of the reason, where it is one.
    pub list: Option<String>,
    /// ISO 4217; null where it is not known.
    pub currency: Option<String>,
    /// All of them.
    pub all: Sum,
    /// By where they stand: `held`, `released`, `confirmed`, `expired_released`, `expired_confirmed`, `blocked`,
    /// `rejected`, `reversed`, `too_late`.
    pub states: BTreeMap<&'static str, Sum>,
    /// How long before its cut-off a payment was stopped, in seconds; null where none was (cases that were too late).
    pub ahead_s: Option<Ahead>,
    /// Released by somebody, of those that somebody decided, in thousandths (rounded down); null where nobody has.
    pub false_alarm_permille: Option<u64>,
    /// Labelled fraud since, wherever they stand.
    pub fraud: Sum,
    /// Labelled good since.
    pub good: Sum,
    #[serde(skip)]
    ahead_ms: Vec<i64>,
}

/// How long ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Ahead {
    /// The shortest.
    pub least: i64,
    /// The middle one; of an even number the shorter of the two.
    pub median: i64,
    /// The longest.
    pub most: i64,
}

/// Payments that were labelled fraud and that nothing stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missed {
    /// `not_found`; `released` and `expired_released`: had been held; `too_late`: found after its cut-off.
    pub how: &'static str,
    /// What the payment was answered.
    pub outcome: &'static str,
    /// ISO 4217; null where it is not known.
    pub currency: Option<String>,
    /// How many, and how much.
    #[serde(flatten)]
    pub sum: Sum,
}

impl Row {
    fn add(&mut self, hold: &Hold, label: Option<Label>) {
        let minor = hold.opened.amount_minor;
        self.all.add(minor);
        self.states.entry(hold.state.name()).or_default().add(minor);
        match label {
            Some(Label::Fraud) => self.fraud.add(minor),
            Some(Label::Good) => self.good.add(minor),
            None => {}
        }
        if hold.state != HoldState::TooLate {
            self.ahead_ms.push(hold.opened.cut_off_ms.saturating_sub(hold.opened.at_ms));
        }
    }
    fn end(mut self) -> Row {
        self.ahead_ms.sort_unstable();
        let place = |at: usize| self.ahead_ms.get(at).map(|ms| ms.div_euclid(1000));
        let last = self.ahead_ms.len().saturating_sub(1);
        self.ahead_s = place(0).zip(place(last / 2)).zip(place(last)).map(|((least, median), most)| Ahead {
            least,
            median,
            most,
        });
        let of = |state: HoldState| self.states.get(state.name()).map_or(0, |sum| sum.count);
        let stopped = [HoldState::Confirmed, HoldState::Blocked, HoldState::Rejected].map(of);
        let released = of(HoldState::Released);
        let decided = released + stopped.iter().sum::<u64>();
        self.false_alarm_permille = (decided > 0).then(|| released * 1000 / decided.max(1));
        for state in HoldState::ALL {
            self.states.entry(state.name()).or_default();
        }
        self
    }
}

/// A cause as a report has it, and the list it names: entries of a watchlist are too many to be rows.
fn reason(cause: Option<&str>) -> (String, Option<String>) {
    let Some(cause) = cause else { return ("unknown".into(), None) };
    let name = |rest: &str| rest.split('/').next().unwrap_or(rest).to_owned();
    if let Some(rest) = cause.strip_prefix("watchlist:") {
        let list = name(rest);
        return (format!("watchlist:{list}"), Some(list));
    }
    let list = cause.strip_prefix("list:").map(name).or_else(|| cause.strip_prefix("stale:").map(Into::into));
    (cause.to_owned(), list)
}

fn known(currency: &str) -> Option<String> {
    Some(currency.to_owned()).filter(|currency| !currency.is_empty())
}

impl Interceptions {
    /// Makes the report.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn of(past: &Past, period: &Period) -> Result<Interceptions> {
        let book = past.book();
        let mut rows: BTreeMap<(u8, String, Option<String>, Option<String>), Row> = BTreeMap::new();
        let mut totals: BTreeMap<Option<String>, Row> = BTreeMap::new();
        let all = book.after(None).filter(|(_, hold)| period.has(&hold.opened.tenant, hold.opened.at_ms));
        for (HoldId { payment, .. }, hold) in all {
            let label = book.label(payment).map(|known| known.label);
            let opened = &hold.opened;
            let (reason, list) = reason(opened.causes.first().map(|cause| &**cause));
            let currency = known(&opened.currency);
            totals.entry(currency.clone()).or_default().add(hold, label);
            rows.entry((opened.lever as u8, reason, list, currency)).or_default().add(hold, label);
        }
        let rows = rows.into_iter().map(|((lever, reason, list, currency), row)| {
            Row {
                lever: Some(Lever::ALL[usize::from(lever)].name()),
                reason: Some(reason),
                list,
                currency,
                ..row
            }
            .end()
        });
        let (rows, totals) = (
            rows.collect(),
            totals.into_iter().map(|(currency, row)| Row { currency, ..row }.end()).collect(),
        );
        let (missed, gone) = missed(past, period)?;
        let mut notes = past.notes();
        if gone > 0 {
            notes.push(format!("{gone} payments that were labelled fraud are no longer in the journal"));
        }
        Ok(Interceptions { period: period.told(), through: past.through, rows, totals, missed, notes })
    }
}

/// Fraud that had gone, and how many labels are on payments that are no longer there.
fn missed(past: &Past, period: &Period) -> Result<(Vec<Missed>, usize)> {
    let book = past.book();
    let fraud = book.labels_after(0).filter(|(_, known)| known.label == Label::Fraud);
    let went = fraud.filter_map(|(payment, _)| {
        let how = match book.latest(payment).map(|(_, hold)| hold.state) {
            None if book.is_stopped(payment) => return None,
            None => "not_found",
            Some(state) if state.stops() => return None,
            Some(state) => state.name(),
        };
        Some((payment, how))
    });
    let went: BTreeMap<u64, &'static str> = went.collect();
    let asked: Vec<u64> = went.keys().copied().collect();
    let mut sums: BTreeMap<(&'static str, &'static str, Option<String>), Sum> = BTreeMap::new();
    let mut read = 0;
    past.payments(&asked, &mut |accepted, decided| {
        read += 1;
        let Body::Payment(tx) = &accepted.event.body else { return Ok(()) };
        // Refused at once, or no money that moves.
        let outcome = decided.map(|decided| decided.verdict.outcome);
        if outcome == Some(Outcome::Decline) || tx.kind == TransactionKind::Reversal {
            return Ok(());
        }
        if period.has(&accepted.event.tenant, accepted.event.arrival_ms) {
            let currency = tx.text(Field::AmountCurrency).and_then(known);
            let key = (went[&accepted.sequence], outcome.map_or("undecided", Outcome::name), currency);
            sums.entry(key).or_default().add(tx.int(Field::AmountMinor).unwrap_or(0));
        }
        Ok(())
    })?;
    let missed =
        sums.into_iter().map(|((how, outcome, currency), sum)| Missed { how, outcome, currency, sum });
    Ok((missed.collect(), asked.len() - read))
}

const HEADER: &[&str] = &[
    "LEVER",
    "REASON",
    "LIST",
    "CUR",
    "COUNT",
    "AMOUNT",
    "HELD",
    "RELEASED",
    "CONFIRMED",
    "EXP.REL",
    "EXP.CONF",
    "BLOCKED",
    "REJECTED",
    "REVERSED",
    "TOO LATE",
    "AHEAD",
    "FALSE",
    "FRAUD",
    "GOOD",
];

impl Interceptions {
    /// As tables of text. Amounts are in minor units.
    pub fn text(&self) -> String {
        let mut out = format!("Interceptions {}, as of sequence {}\n\n", self.period.text(), self.through);
        if self.rows.is_empty() {
            out.push_str("none\n");
        } else {
            let mut table = Table::new(HEADER, 4);
            for row in self.rows.iter().chain(&self.totals) {
                table.row(row.cells());
            }
            out.push_str(&table.text());
            out.push_str(
                "\nCounts; AMOUNT in minor units. AHEAD: median time before the cut-off. FALSE: released by somebody, of those\nthat somebody decided. FRAUD, GOOD: labelled since. Each hold is in the row of its strongest cause.\n",
            );
        }
        out.push_str("\nLabelled fraud and not stopped\n\n");
        if self.missed.is_empty() {
            out.push_str("none\n");
        } else {
            let mut table = Table::new(&["HOW", "ANSWERED", "CUR", "COUNT", "AMOUNT"], 3);
            for Missed { how, outcome, currency, sum } in &self.missed {
                let currency = currency.clone().unwrap_or_else(|| "-".into());
                let (count, minor) = (sum.count.to_string(), sum.minor.to_string());
                table.row(vec![(*how).into(), (*outcome).into(), currency, count, minor]);
            }
            out.push_str(&table.text());
        }
        for note in &self.notes {
            out.push_str(&format!("\nnote: {note}\n"));
        }
        out
    }
    /// As CSV (RFC 4180): rows, then what was missed, told apart by the first column.
    pub fn csv(&self) -> String {
        let mut header: Vec<String> =
            ["table", "lever", "reason", "list", "currency", "count", "minor"].map(Into::into).into();
        for state in HoldState::ALL {
            header.extend([format!("{}_count", state.name()), format!("{}_minor", state.name())]);
        }
        let last = [
            "ahead_least_s",
            "ahead_median_s",
            "ahead_most_s",
            "false_alarm_permille",
            "fraud_count",
            "fraud_minor",
            "good_count",
            "good_minor",
        ];
        header.extend(last.map(String::from));
        let mut out = csv_line(&header);
        for row in &self.rows {
            out.push_str(&csv_line(&row.record()));
        }
        for Missed { how, outcome, currency, sum } in &self.missed {
            let mut record = vec![String::new(); header.len()];
            record[0] = "missed".into();
            record[2] = format!("{how}:{outcome}");
            record[4] = currency.clone().unwrap_or_default();
            (record[5], record[6]) = (sum.count.to_string(), sum.minor.to_string());
            out.push_str(&csv_line(&record));
        }
        out
    }
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let mut cells = vec![
            self.lever.unwrap_or("all").to_owned(),
            or_dash(self.reason.clone()),
            or_dash(self.list.clone()),
            or_dash(self.currency.clone()),
            self.all.count.to_string(),
            self.all.minor.to_string(),
        ];
        cells.extend(HoldState::ALL.map(|state| self.states[state.name()].count.to_string()));
        cells.push(or_dash(self.ahead_s.map(|ahead| crate::report::table::span(ahead.median))));
        let share = |permille: u64| format!("{}.{}%", permille / 10, permille % 10);
        cells.push(or_dash(self.false_alarm_permille.map(share)));
        cells.extend([self.fraud.count.to_string(), self.good.count.to_string()]);
        cells
    }
    fn record(&self) -> Vec<String> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let sum = |sum: Sum| [sum.count.to_string(), sum.minor.to_string()];
        let number = |number: Option<i64>| number.map_or_else(String::new, |number| number.to_string());
        let mut record = vec!["intercepted".to_owned(), self.lever.unwrap_or_default().to_owned()];
        record.extend([text(&self.reason), text(&self.list), text(&self.currency)]);
        record.extend(sum(self.all));
        record.extend(HoldState::ALL.into_iter().flat_map(|state| sum(self.states[state.name()])));
        let ahead = self.ahead_s;
        record.extend([ahead.map(|a| a.least), ahead.map(|a| a.median), ahead.map(|a| a.most)].map(number));
        record.push(self.false_alarm_permille.map_or_else(String::new, |share| share.to_string()));
        record.extend(sum(self.fraud).into_iter().chain(sum(self.good)));
        record
    }
}
