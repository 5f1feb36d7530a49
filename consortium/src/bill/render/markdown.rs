//! Markdown: what a finance officer reads and files.

use super::{Overview, UsageView, day, days, state_name};
use crate::bill::basis::Basis;
use crate::bill::fields::base64;
use crate::bill::statement::Statement;
use std::fmt::{self, Write as _};

/// A member's statement.
pub fn statement(statement: &Statement) -> String {
    written(|out| write_statement(out, statement))
}

/// A bill over all members.
pub fn overview(overview: &Overview<'_>) -> String {
    written(|out| write_overview(out, overview))
}

/// Usage of a period.
pub fn usage(view: &UsageView<'_>) -> String {
    written(|out| write_usage(out, view))
}

fn written(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut out = String::new();
    write(&mut out).expect("writing to memory does not fail");
    out
}

fn write_statement(out: &mut String, statement: &Statement) -> fmt::Result {
    let (basis, party) = (&statement.basis, &statement.party);
    let currency = basis.currency;
    writeln!(out, "# Statement {} for {}\n", basis.number, party.name)?;
    write_head(out, basis)?;
    writeln!(out, "| Member | {} (number {}, class {}) |\n", party.name, party.member, party.class)?;
    writeln!(
        out,
        "| Service | Counted by | Queries | Items | Free | Price ({currency}) | Amount ({currency}) |"
    )?;
    writeln!(out, "|---|---|---:|---:|---:|---:|---:|")?;
    for (service, line) in &statement.lines {
        let queries = if service.is_proved() { grouped(line.queries) } else { "–".to_owned() };
        let (items, free, amount) =
            (grouped(line.items), grouped(line.free), money(&currency.amount(line.amount_minor)));
        let (title, source, price) = (service.title(), service.source(), currency.price(line.price_micro));
        writeln!(out, "| {title} | {source} | {queries} | {items} | {free} | {price} | {amount} |")?;
    }
    if statement.minimum_minor != 0 {
        let amount = money(&currency.amount(statement.minimum_minor));
        writeln!(out, "| Up to the period's minimum | tariff | | | | | {amount} |")?;
    }
    let debits = money(&currency.amount(statement.debits_minor()));
    writeln!(out, "| **Debits** | | | | | | **{debits}** |\n")?;
    if !statement.credits.is_empty() {
        writeln!(out, "| Credit for | Confirmed signals | Amount ({currency}) |\n|---|---:|---:|")?;
        for (epoch, credit) in &statement.credits {
            let amount = money(&currency.amount(credit.amount_minor));
            writeln!(out, "| epoch {epoch} | {} | {amount} |", grouped(credit.signals))?;
        }
        let credits = money(&currency.amount(statement.credits_minor()));
        writeln!(out, "| **Credits** | | **{credits}** |\n")?;
    }
    let net = statement.net_minor();
    let amount = money(&currency.amount(net.saturating_abs()));
    match net {
        0 => writeln!(out, "**Nothing is to be paid.**\n")?,
        ..0 => writeln!(out, "**To pay: {amount} {currency}**\n")?,
        _ => writeln!(out, "**To receive: {amount} {currency}**\n")?,
    }
    if let Some(reported) = statement.reported {
        let hash = base64(&reported.hash);
        writeln!(
            out,
            "Self-reported lines are from report {} of {}, which it signed (SHA-256 `{hash}`). \
             They are not proved by the query log.\n",
            reported.number, party.name
        )?;
    }
    write_basis(out, basis)
}

fn write_overview(out: &mut String, overview: &Overview<'_>) -> fmt::Result {
    let settlement = &overview.bill.settlement;
    let currency = settlement.basis.currency;
    let money = |minor: i64| money(&currency.amount(minor));
    writeln!(out, "# Settlement {} of {}\n", settlement.basis.number, settlement.basis.alliance)?;
    write_head(out, &settlement.basis)?;
    writeln!(out, "| Operator | {} |\n", settlement.operator.1)?;
    writeln!(
        out,
        "| Service | Counted by | Queries | Items | Amount ({currency}) |\n|---|---|---:|---:|---:|"
    )?;
    for (service, total) in &settlement.services {
        let queries = if service.is_proved() { grouped(total.queries) } else { "–".to_owned() };
        let (items, amount) = (grouped(total.items), money(total.amount_minor));
        writeln!(out, "| {} | {} | {queries} | {items} | {amount} |", service.title(), service.source())?;
    }
    if settlement.minimum_minor != 0 {
        writeln!(out, "| Up to minimums | tariff | | | {} |", money(settlement.minimum_minor))?;
    }
    writeln!(out, "| **Debits** | | | | **{}** |\n", money(settlement.totals.revenue_minor))?;
    let has_states = overview.states.is_some();
    let (head, rule) = if has_states { (" Statement |", "---|") } else { ("", "") };
    writeln!(
        out,
        "| Member | Class | Debits | Credits | Net ({currency}) |{head}\n|---|---|---:|---:|---:|{rule}"
    )?;
    for (member, statement) in &overview.bill.statements {
        let (name, class) = (&statement.party.name, &statement.party.class);
        let (debits, credits) = (money(statement.debits_minor()), money(statement.credits_minor()));
        write!(out, "| {name} | {class} | {debits} | {credits} | {} |", money(statement.net_minor()))?;
        if let Some(states) = overview.states {
            write!(out, " {} |", states.get(member).map_or("–", |state| state_name(*state)))?;
        }
        writeln!(out)?;
    }
    let end = if has_states { " |" } else { "" };
    let operator = &settlement.operator;
    let has_own =
        if overview.bill.statements.contains_key(&operator.0) { ", position after its own" } else { "" };
    writeln!(
        out,
        "| {} (operator{has_own}) | | | | {} |{end}",
        operator.1,
        money(settlement.operator_net_minor)
    )?;
    let sum: i64 = overview.bill.nets().iter().map(|(_, net)| net).sum();
    writeln!(out, "| **Sum of nets** | | | | **{}** |{end}\n", money(sum))?;
    writeln!(
        out,
        "Confirmed signals: {}. Rounding each line once (half to even) left the operator {} micro-units.\n",
        grouped(settlement.totals.signals),
        settlement.residue_micro
    )?;
    let names = overview.bill.names();
    let unreported = overview.bill.unreported();
    if !unreported.is_empty() {
        let unreported = unreported.iter().map(|member| names[member]).collect::<Vec<_>>().join(", ");
        writeln!(out, "No self-report for this period came from: {unreported}.\n")?;
    }
    if !overview.transfers.is_empty() {
        writeln!(out, "| From | To | Amount ({currency}) |\n|---|---|---:|")?;
        for transfer in overview.transfers {
            let name = |member| names.get(&member).copied().unwrap_or("–");
            let (from, to) = (name(transfer.from), name(transfer.to));
            writeln!(out, "| {from} | {to} | {} |", money(transfer.amount_minor))?;
        }
        writeln!(out)?;
    }
    write_basis(out, &settlement.basis)
}

fn write_usage(out: &mut String, view: &UsageView<'_>) -> fmt::Result {
    let (first, last) = days(view.period);
    writeln!(out, "# Usage in {}\n\n{first} to {last} (UTC)\n", view.period.name)?;
    writeln!(out, "| Member | Service | Counted by | Queries | Items |\n|---|---|---|---:|---:|")?;
    for ((member, service), count) in view.counts() {
        let queries = if service.is_proved() { grouped(count.queries) } else { "–".to_owned() };
        let (name, items) = (view.name(member), grouped(count.items));
        writeln!(out, "| {name} | {} | {} | {queries} | {items} |", service.title(), service.source())?;
    }
    let range = view.usage.range();
    writeln!(out, "\nLeaves {} to {} of the query log, each opened once.", range.start, range.end)
}

/// The first lines of the table that says what a bill is about.
fn write_head(out: &mut String, basis: &Basis) -> fmt::Result {
    let (first, last) = days(&basis.period);
    writeln!(out, "| | |\n|---|---|")?;
    writeln!(out, "| Alliance | {} |", basis.alliance)?;
    writeln!(out, "| Period | {} ({first} to {last}, UTC) |", basis.period.name)?;
    writeln!(out, "| Made | {} |", day(basis.created_ms))?;
    if let Some(replaced) = basis.replaces {
        writeln!(out, "| Replaces | number {replaced} |")?;
    }
    Ok(())
}

fn write_basis(out: &mut String, basis: &Basis) -> fmt::Result {
    let [queries, governance] = [&basis.queries, &basis.governance];
    writeln!(out, "## What it follows from\n")?;
    writeln!(
        out,
        "- Query log: leaves {} to {}, root `{}`",
        queries.from,
        queries.to,
        base64(&queries.root)
    )?;
    let root = base64(&governance.root);
    writeln!(out, "- Governance log: leaves {} to {}, root `{root}`", governance.from, governance.to)?;
    writeln!(out, "- Tariff {}: `{}`", basis.tariff.version, base64(&basis.tariff.hash))?;
    match basis.previous {
        Some(previous) => writeln!(out, "- Settlement before: `{}`", base64(&previous)),
        None => writeln!(out, "- This is the first settlement"),
    }
}

/// A number in groups of three digits.
fn grouped(number: u64) -> String {
    group(&number.to_string())
}

/// An amount with its whole part in groups of three digits.
fn money(amount: &str) -> String {
    let (sign, rest) = amount.strip_prefix('-').map_or(("", amount), |rest| ("-", rest));
    match rest.split_once('.') {
        Some((whole, part)) => format!("{sign}{}.{part}", group(whole)),
        None => format!("{sign}{}", group(rest)),
    }
}

fn group(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
