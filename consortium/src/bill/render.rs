//! Statements, bills and usage as people and programs read them: Markdown, CSV, JSON. Amounts have the currency's decimals;
//! every count says whether the query log proves it or its member reported it. Records are the truth, these are views.

pub mod csv;
pub mod json;
pub mod markdown;

use super::basis::Period;
use super::compute::Bill;
use super::confirm::State;
use super::netting::Transfer;
use super::report::Report;
use super::service::Service;
use super::usage::{Count, Usage};
use crate::kind::MemberId;
use std::collections::BTreeMap;

/// A bill with what is known beside it: for the operator and the auditor, who may see all statements.
#[derive(Debug, Clone, Copy)]
pub struct Overview<'a> {
    /// The bill.
    pub bill: &'a Bill,
    /// How it stands with each statement, where that is to be shown.
    pub states: Option<&'a BTreeMap<MemberId, State>>,
    /// The payments that settle it, where they are to be shown.
    pub transfers: &'a [Transfer],
}

/// Usage of a period, proved and reported.
#[derive(Debug, Clone, Copy)]
pub struct UsageView<'a> {
    /// When.
    pub period: &'a Period,
    /// What the query log proves.
    pub usage: &'a Usage,
    /// What members report, by member ([`super::report::in_force`]).
    pub reports: &'a BTreeMap<MemberId, &'a Report>,
    /// Names by number.
    pub names: &'a BTreeMap<MemberId, &'a str>,
}

impl UsageView<'_> {
    /// Counts by member and service, proved and reported together; who shows them says which they are.
    fn counts(&self) -> BTreeMap<(MemberId, Service), Count> {
        let proved = self.usage.counts().map(|(member, service, count)| ((member, service), count));
        let reported = self.reports.iter().flat_map(|(member, report)| {
            let count = |service, items| ((*member, service), Count { queries: 0, items });
            [count(Service::LocalHits, report.local_hits), count(Service::Screened, report.screened)]
        });
        proved.chain(reported).collect()
    }
    fn name(&self, member: MemberId) -> String {
        self.names.get(&member).map_or_else(|| format!("member {member}"), |name| (*name).to_owned())
    }
}

/// A state in a word.
fn state_name(state: State) -> &'static str {
    match state {
        State::Open => "open",
        State::Confirmed => "confirmed",
        State::Disputed => "disputed",
    }
}

/// A day in UTC, `2026-11-30`; the number itself where no calendar has it.
fn day(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| format!("{ms} ms"), |time| time.strftime("%Y-%m-%d").to_string())
}

/// First and last day of a period.
fn days(period: &Period) -> (String, String) {
    (day(period.from_ms), day(period.until_ms.saturating_sub(1)))
}
