//! How the report of what was blocked is written: a paragraph a payment, or a line of CSV.

use super::{Blocked, BlockedRow, Match, Party};
use crate::report::table::{csv_line, printable};
use std::fmt::Write;

const HEADER: [&str; 31] = [
    "hold",
    "action",
    "decided_at",
    "decided_by",
    "reason",
    "report_due",
    "tenant",
    "sequence",
    "id",
    "uetr",
    "rrn",
    "time",
    "stopped_at",
    "minor",
    "currency",
    "channel",
    "payer_name",
    "payer_country",
    "payer_account_country",
    "payer_account_bank",
    "payee_name",
    "payee_country",
    "payee_account_country",
    "merchant",
    "text",
    "card_bin",
    "card_last4",
    "list",
    "entry",
    "listed_name",
    "score",
];

impl Blocked {
    /// As CSV (RFC 4180): a line a payment, with its strongest match; all matches, causes and the generation follow.
    pub fn csv(&self) -> String {
        let mut header = HEADER.map(String::from).to_vec();
        header.extend(["field", "more_matches", "causes", "generation"].map(String::from));
        let mut out = csv_line(&header);
        self.rows.iter().for_each(|row| out.push_str(&csv_line(&row.record())));
        out
    }
    /// As text, a paragraph a payment.
    pub fn text(&self) -> String {
        let mut out =
            format!("Blocked and rejected {}, as of sequence {}\n", self.period.text(), self.through);
        if self.rows.is_empty() {
            out.push_str("\nnone\n");
        }
        for row in &self.rows {
            let _ = writeln!(
                out,
                "\n{} {} {} by {}",
                row.hold,
                row.action,
                row.decided_at,
                printable(&row.decided_by)
            );
            for (what, value) in row.facts() {
                let _ = writeln!(out, "  {what:<16}{}", printable(&value));
            }
        }
        out.push_str("\nFor OFAC's reports (31 CFR 501.603 and 501.604) this does not give:\n");
        for one in &self.not_given {
            let _ = writeln!(out, "- {one}");
        }
        for note in &self.notes {
            let _ = writeln!(out, "\nnote: {note}");
        }
        out
    }
}

impl Match {
    fn text(&self) -> String {
        let name = self.name.as_ref().map_or(String::new(), |name| format!(" {name:?}"));
        let score = self.score.map_or(String::new(), |score| format!(", {score} of 1000"));
        let field = self.field.as_ref().map_or(String::new(), |field| format!(", by {field}"));
        format!("{} entry {}{name}{score}{field}", self.list, self.entry)
    }
}

impl Party {
    fn text(&self) -> String {
        let parts = [
            Some(self.name.clone().unwrap_or_else(|| "(no name)".into())),
            self.country.clone(),
            self.account_country.as_ref().map(|country| format!("account in {country}")),
            self.account_bank.as_ref().map(|bank| format!("at bank {bank}")),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl BlockedRow {
    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![
            ("why", self.reason.clone().unwrap_or_else(|| "(nothing was written)".into())),
            ("payment", format!("sequence {} of {}, made {}", self.sequence, self.tenant, self.time)),
            (
                "amount",
                format!("{} minor units {}", self.minor, self.currency.as_deref().unwrap_or("(no currency)")),
            ),
            ("payer", self.payer.text()),
            ("payee", self.payee.text()),
        ];
        let card = self.card_bin.as_ref().map(|bin| match &self.card_last4 {
            Some(last4) => format!("{bin}…{last4}"),
            None => format!("{bin}…"),
        });
        let more = [
            ("id", self.id.clone()),
            ("uetr", self.uetr.clone()),
            ("rrn", self.rrn.clone()),
            ("channel", self.channel.clone()),
            ("merchant", self.merchant.clone()),
            ("text", self.text.clone()),
            ("card", card),
        ];
        facts.extend(more.into_iter().filter_map(|(what, value)| Some((what, value?))));
        facts.extend(self.matches.iter().map(|one| ("like", one.text())));
        facts.push(("causes", self.causes.join(", ")));
        facts.push(("stopped", format!("{} by {}", self.stopped_at, self.generation)));
        facts.extend(self.report_due.clone().map(|day| ("report due", day)));
        facts
    }
    fn record(&self) -> Vec<String> {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_default();
        let (payer, payee, first) = (&self.payer, &self.payee, self.matches.first());
        let of_first = |get: &dyn Fn(&Match) -> Option<String>| first.and_then(get).unwrap_or_default();
        vec![
            self.hold.clone(),
            self.action.to_owned(),
            self.decided_at.clone(),
            self.decided_by.clone(),
            or_none(&self.reason),
            or_none(&self.report_due),
            self.tenant.clone(),
            self.sequence.to_string(),
            or_none(&self.id),
            or_none(&self.uetr),
            or_none(&self.rrn),
            self.time.clone(),
            self.stopped_at.clone(),
            self.minor.to_string(),
            or_none(&self.currency),
            or_none(&self.channel),
            or_none(&payer.name),
            or_none(&payer.country),
            or_none(&payer.account_country),
            or_none(&payer.account_bank),
            or_none(&payee.name),
            or_none(&payee.country),
            or_none(&payee.account_country),
            or_none(&self.merchant),
            or_none(&self.text),
            or_none(&self.card_bin),
            or_none(&self.card_last4),
            of_first(&|one| Some(one.list.clone())),
            of_first(&|one| Some(one.entry.clone())),
            of_first(&|one| one.name.clone()),
            of_first(&|one| one.score.map(|score| score.to_string())),
            of_first(&|one| one.field.clone()),
            self.matches.iter().skip(1).map(Match::text).collect::<Vec<_>>().join("; "),
            self.causes.join("; "),
            self.generation.clone(),
        ]
    }
}
