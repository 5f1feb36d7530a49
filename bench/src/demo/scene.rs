//! Who pays what: the simulated world's ordinary payments, and a few with names.

use crate::world::{Item, World, WorldConfig, rfc3339};
use anyhow::{Context, Result};
use interdict_engine::domain::Outcome;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Holds by their payment's id.
pub(super) type Holds = BTreeMap<String, Value>;

/// Ordinary payments.
const ORDINARY: usize = 400;
/// The day begins: Tuesday 15 September 2026, 8:00 in Berlin.
const MORNING_MS: i64 = 1_789_452_000_000;
/// Between two of them, in ms: all have come by 10:00.
const APART_MS: i64 = 18_000;

/// A card that is in the wrong hands; the number is the schemes' own test number.
pub(super) const STOLEN_CARD: &str = "4111111111111111";
/// An account that money is moved through; the IBAN is the standard's own example.
pub(super) const MULE: &str = "DE89370400440532013000";
/// A name that is on nobody's list yet.
pub(super) const NAME: &str = "Marek Sundvall Chartering";

/// The ordinary payments, in order, with when they arrive. They settle by the calendars.
pub(super) fn ordinary() -> Result<Vec<(i64, Value)>> {
    let world = World::new(&WorldConfig::default())?;
    let requests = world.items().filter_map(|item| match item {
        Item::Transaction { json, .. } if json["kind"] == "request" => Some(json),
        _ => None,
    });
    let at = (0..).map(|number: i64| MORNING_MS + number * APART_MS);
    let timed = requests.take(ORDINARY).zip(at).map(|(mut json, at_ms)| {
        json["time"] = rfc3339(at_ms).into();
        json.as_object_mut().context("a payment is an object")?.remove("settles_at");
        Ok((at_ms, json))
    });
    timed.collect()
}

/// The payments with names: all are approved but the last, which comes in from a name that is on the house's list.
pub(super) fn named() -> Vec<Value> {
    let card = |id: &str, time: &str, minor: i64, shop: &str| {
        json!({
            "id": id, "kind": "request", "time": time, "amount": {"minor": minor, "currency": "EUR"},
            "channel": "contactless", "card": {"pan": STOLEN_CARD},
            "merchant": {"id": shop, "mcc": "5411", "country": "DE"},
        })
    };
    let transfer = |id: &str, time: &str, minor: i64, payee: &str, iban: &str| {
        json!({
            "id": id, "kind": "request", "time": time, "amount": {"minor": minor, "currency": "EUR"},
            "channel": "transfer", "account": {"iban": "DE75512108001245126199"},
            "payer": {"name": "Jonas Brandt", "country": "DE"},
            "payee": {"name": payee, "country": "DE", "account": {"iban": iban}},
        })
    };
    let with = |mut payment: Value, more: Value| {
        if let (Some(payment), Value::Object(more)) = (payment.as_object_mut(), more) {
            payment.extend(more);
        }
        payment
    };
    let other = "DE02120300000000202051";
    vec![
        card("bakery", "2026-09-15T06:10:00Z", 640, "bakery-1"),
        card("pharmacy", "2026-09-15T07:20:00Z", 2390, "pharmacy-1"),
        with(
            card("headphones", "2026-09-15T07:55:00Z", 18_900, "audio-shop"),
            json!({"channel": "ecommerce", "acquirer": "webshop", "settles_at": "2026-09-15T13:00:00Z"}),
        ),
        transfer("rent", "2026-09-15T07:00:00Z", 45_000, "Bruno Feldkamp", MULE),
        with(
            transfer("deposit", "2026-09-15T07:30:00Z", 30_000, "Bruno Feldkamp", MULE),
            json!({"acquirer": "sct-inst-out", "refs": {"uetr": "0b6c7f5e-8d2a-4c1f-9e3b-5a7d9c2e4f60"}}),
        ),
        transfer("charter", "2026-09-15T07:40:00Z", 80_000, NAME, other),
        with(
            transfer("incoming", "2026-09-15T07:45:00Z", 52_000, "Jonas Brandt", other),
            json!({
                "acquirer": "sct-inst-in", "payer": {"name": "Viktor Dragunovic", "country": "DE"},
                "refs": {"uetr": "5e1d3c2b-4a5f-4b6e-8c7d-9e0f1a2b3c4d"},
            }),
        ),
    ]
}

/// How many verdicts came to what.
pub(super) fn outcomes(verdicts: &BTreeMap<String, String>) -> String {
    let count = |outcome: Outcome| verdicts.values().filter(|one| *one == outcome.name()).count();
    let told = Outcome::ALL.iter().map(|outcome| (count(*outcome), outcome.name()));
    told.filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect::<Vec<_>>()
        .join(", ")
}
