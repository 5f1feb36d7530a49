//! CSV (RFC 4180, by the `csv` crate): one row a line, plain decimals with a point, for spreadsheets and ledgers.

use super::{Overview, UsageView, state_name};
use crate::bill::statement::Statement;

/// Columns of [`statement`].
const STATEMENT: [&str; 15] = [
    "statement",
    "period",
    "member",
    "name",
    "class",
    "kind",
    "service",
    "counted_by",
    "epoch",
    "queries",
    "items",
    "free",
    "price",
    "amount",
    "currency",
];

/// A member's statement: its lines, minimum, credits, and its net. Debits are below zero.
pub fn statement(statement: &Statement) -> String {
    statements([statement])
}

/// The statements of all members, one below the other.
pub fn statements<'a>(statements: impl IntoIterator<Item = &'a Statement>) -> String {
    written(|out| {
        out.write_record(STATEMENT)?;
        statements.into_iter().try_for_each(|statement| write_statement(out, statement))
    })
}

fn write_statement(out: &mut Writer, statement: &Statement) -> csv::Result<()> {
    let (basis, party) = (&statement.basis, &statement.party);
    let (number, member) = (basis.number.to_string(), party.member.to_string());
    let mut row = |kind: &str, values: [&str; 7], minor: i64| {
        let amount = basis.currency.amount(minor);
        let head = [&number, &basis.period.name, &member, &party.name, &party.class].map(String::as_str);
        let row =
            head.into_iter().chain([kind]).chain(values).chain([amount.as_str(), basis.currency.code()]);
        out.write_record(row)
    };
    for (service, line) in &statement.lines {
        let queries = if service.is_proved() { line.queries.to_string() } else { String::new() };
        let (items, free) = (line.items.to_string(), line.free.to_string());
        let price = basis.currency.price(line.price_micro);
        let values = [service.name(), service.source(), "", &queries, &items, &free, &price];
        row("usage", values, -line.amount_minor)?;
    }
    if statement.minimum_minor != 0 {
        row("minimum", ["", "tariff", "", "", "", "", ""], -statement.minimum_minor)?;
    }
    for (epoch, credit) in &statement.credits {
        let (epoch, signals) = (epoch.to_string(), credit.signals.to_string());
        row("credit", ["", "governance log", &epoch, "", &signals, "", ""], credit.amount_minor)?;
    }
    row("net", [""; 7], statement.net_minor())
}

/// A bill over all members: a row each, the operator's last.
pub fn overview(overview: &Overview<'_>) -> String {
    let (bill, basis) = (overview.bill, &overview.bill.settlement.basis);
    written(|out| {
        out.write_record([
            "settlement",
            "period",
            "member",
            "name",
            "class",
            "debits",
            "credits",
            "net",
            "currency",
            "statement",
        ])?;
        let number = basis.number.to_string();
        let amount = |minor: i64| basis.currency.amount(minor);
        for (member, statement) in &bill.statements {
            let state =
                overview.states.and_then(|states| states.get(member)).map_or("", |state| state_name(*state));
            let (debits, credits) = (amount(-statement.debits_minor()), amount(statement.credits_minor()));
            let (member, net, party) = (member.to_string(), amount(statement.net_minor()), &statement.party);
            let head =
                [&number, &basis.period.name, &member, &party.name, &party.class, &debits, &credits, &net];
            out.write_record(head.map(String::as_str).into_iter().chain([basis.currency.code(), state]))?;
        }
        let (operator, name) = &bill.settlement.operator;
        let (operator, net) = (operator.to_string(), amount(bill.settlement.operator_net_minor));
        let row = [&number, &basis.period.name, &operator, name].map(String::as_str);
        out.write_record(row.into_iter().chain(["operator", "", "", &net, basis.currency.code(), ""]))
    })
}

/// Usage of a period.
pub fn usage(view: &UsageView<'_>) -> String {
    written(|out| {
        out.write_record(["period", "member", "name", "service", "counted_by", "queries", "items"])?;
        view.counts().into_iter().try_for_each(|((member, service), count)| {
            let queries = if service.is_proved() { count.queries.to_string() } else { String::new() };
            let (number, items, name) = (member.to_string(), count.items.to_string(), view.name(member));
            let period = view.period.name.as_str();
            out.write_record([period, &number, &name, service.name(), service.source(), &queries, &items])
        })
    })
}

type Writer = csv::Writer<Vec<u8>>;

fn written(write: impl FnOnce(&mut Writer) -> csv::Result<()>) -> String {
    let mut out = csv::Writer::from_writer(Vec::new());
    write(&mut out).expect("writing to memory does not fail");
    let bytes = out.into_inner().expect("writing to memory does not fail");
    String::from_utf8(bytes).expect("only text was written")
}
