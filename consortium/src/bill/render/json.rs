//! JSON, for programs: amounts as decimal text (`amount`) and as integers of minor units (`amount_minor`).

use super::{Overview, UsageView, state_name};
use crate::bill::basis::Basis;
use crate::bill::fields::base64;
use crate::bill::money::Currency;
use crate::bill::statement::Statement;
use serde_json::{Map, Value, json};

/// A member's statement.
pub fn statement(statement: &Statement) -> Value {
    let Basis { currency, .. } = statement.basis;
    let lines = statement.lines.iter().map(|(service, line)| {
        let mut value = json!({
            "service": service.name(),
            "counted_by": service.source(),
            "is_proved": service.is_proved(),
            "items": line.items,
            "free": line.free,
            "price": currency.price(line.price_micro),
            "price_micro": line.price_micro,
        });
        if service.is_proved() {
            value["queries"] = line.queries.into();
        }
        put(&mut value, "amount", currency, line.amount_minor);
        value
    });
    let credits = statement.credits.iter().map(|(epoch, credit)| {
        let mut value = json!({ "epoch": epoch, "signals": credit.signals });
        put(&mut value, "amount", currency, credit.amount_minor);
        value
    });
    let reported = statement.reported;
    let mut value = json!({
        "basis": basis(&statement.basis),
        "member": statement.party.member.0,
        "name": statement.party.name,
        "class": statement.party.class,
        "reported": reported.map(|r| json!({ "number": r.number, "sha256": base64(&r.hash) })),
        "lines": lines.collect::<Vec<Value>>(),
        "credits_by_epoch": credits.collect::<Vec<Value>>(),
    });
    put(&mut value, "minimum", currency, statement.minimum_minor);
    put(&mut value, "debits", currency, statement.debits_minor());
    put(&mut value, "credits", currency, statement.credits_minor());
    put(&mut value, "net", currency, statement.net_minor());
    value
}

/// A bill over all members.
pub fn overview(overview: &Overview<'_>) -> Value {
    let (bill, settlement) = (overview.bill, &overview.bill.settlement);
    let currency = settlement.basis.currency;
    let services = settlement.services.iter().map(|(service, total)| {
        let mut value = json!({
            "service": service.name(), "counted_by": service.source(), "is_proved": service.is_proved(),
            "items": total.items,
        });
        if service.is_proved() {
            value["queries"] = total.queries.into();
        }
        put(&mut value, "amount", currency, total.amount_minor);
        value
    });
    let statements = bill.statements.iter().map(|(member, one)| {
        let mut value = statement(one);
        if let Value::Object(map) = &mut value {
            map.remove("basis");
        }
        if let Some(state) = overview.states.and_then(|states| states.get(member)) {
            value["state"] = state_name(*state).into();
        }
        value
    });
    let transfers = overview.transfers.iter().map(|transfer| {
        let mut value = json!({ "from": transfer.from.0, "to": transfer.to.0 });
        put(&mut value, "amount", currency, transfer.amount_minor);
        value
    });
    let mut operator = json!({ "member": settlement.operator.0.0, "name": settlement.operator.1 });
    put(&mut operator, "net", currency, settlement.operator_net_minor);
    let mut value = json!({
        "basis": basis(&settlement.basis),
        "services": services.collect::<Vec<Value>>(),
        "unreported": bill.unreported().iter().map(|member| member.0).collect::<Vec<_>>(),
        "signals": settlement.totals.signals,
        "residue_micro": settlement.residue_micro,
        "operator": operator,
        "statements": statements.collect::<Vec<Value>>(),
        "transfers": transfers.collect::<Vec<Value>>(),
    });
    put(&mut value, "minimum", currency, settlement.minimum_minor);
    put(&mut value, "debits", currency, settlement.totals.revenue_minor);
    put(&mut value, "credits", currency, settlement.credits_minor);
    value
}

/// Usage of a period.
pub fn usage(view: &UsageView<'_>) -> Value {
    let counts = view.counts().into_iter().map(|((member, service), count)| {
        let mut value = json!({
            "member": member.0,
            "name": view.name(member),
            "service": service.name(),
            "counted_by": service.source(),
            "is_proved": service.is_proved(),
            "items": count.items,
        });
        if service.is_proved() {
            value["queries"] = count.queries.into();
        }
        value
    });
    let (range, period) = (view.usage.range(), view.period);
    json!({
        "period": { "name": period.name, "from_ms": period.from_ms, "until_ms": period.until_ms },
        "queries": { "from": range.start, "to": range.end },
        "usage": counts.collect::<Vec<Value>>(),
    })
}

fn basis(basis: &Basis) -> Value {
    let Basis { period, queries, governance, tariff, .. } = basis;
    json!({
        "alliance": basis.alliance,
        "number": basis.number,
        "period": { "name": period.name, "from_ms": period.from_ms, "until_ms": period.until_ms },
        "queries": { "from": queries.from, "to": queries.to, "root": base64(&queries.root) },
        "governance": { "from": governance.from, "to": governance.to, "root": base64(&governance.root) },
        "tariff": { "version": tariff.version, "sha256": base64(&tariff.hash) },
        "currency": basis.currency.code(),
        "previous": basis.previous.map(|hash| base64(&hash)),
        "replaces": basis.replaces,
        "created_ms": basis.created_ms,
    })
}

/// An amount under a name, as text and in minor units.
fn put(value: &mut Value, name: &str, currency: Currency, minor: i64) {
    let map: &mut Map<String, Value> = value.as_object_mut().expect("an object is put into");
    map.insert(name.to_owned(), currency.amount(minor).into());
    map.insert(format!("{name}_minor"), minor.into());
}
