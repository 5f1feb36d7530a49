//! What the world promises: determinism, order, valid shapes, and enough of everything.

#![allow(clippy::unwrap_used)]

use super::places::CURRENCIES;
use super::*;
use interdict_engine::domain::Currency;
use std::collections::{BTreeMap, BTreeSet};

fn small(seed: u64) -> World {
    World::new(&WorldConfig { seed, transactions: 6_000, ..WorldConfig::default() }).unwrap()
}

fn bytes(world: &World) -> Vec<u8> {
    let mut bytes = Vec::new();
    for item in world.items() {
        bytes.extend(format!("{item:?}\n").into_bytes());
    }
    bytes
}

fn messages(world: &World) -> Vec<(Value, Option<Scenario>)> {
    let one = |item| match item {
        Item::Transaction { json, truth, .. } => Some((json, truth)),
        _ => None,
    };
    world.items().filter_map(one).collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let first = bytes(&small(7));
    assert_eq!(first, bytes(&small(7)));
    assert_ne!(first, bytes(&small(8)));
}

#[test]
fn items_come_in_event_time_order_and_the_count_is_kept() {
    let world = small(1);
    assert_eq!(world.transactions(), 6_000);
    let times: Vec<i64> = world.items().map(|item| item.time_ms()).collect();
    assert!(times.is_sorted());
    let first = world.items().next().unwrap();
    assert!(matches!(first, Item::ListEntries { list: "sanctions", .. }), "lists before what they apply to");
}

#[test]
fn nine_currencies_or_more_and_both_amounts_and_countries_across_borders() {
    let messages = messages(&small(1));
    let currencies: BTreeSet<&str> =
        messages.iter().map(|(json, _)| json["amount"]["currency"].as_str().unwrap()).collect();
    assert!(currencies.len() >= 9, "{currencies:?}");
    let (mut crossing, mut two_amounts) = (0, 0);
    for (json, _) in &messages {
        let from = json["payer"]["country"].as_str().unwrap();
        let to = json["merchant"]["country"].as_str().or(json["payee"]["country"].as_str()).unwrap();
        assert!(json["amount"]["minor"].as_i64().unwrap() > 0);
        crossing += usize::from(from != to);
        if let Some(settlement) = json.get("settlement_amount") {
            assert_ne!(settlement["currency"], json["amount"]["currency"]);
            assert_ne!(from, to, "two currencies are two countries here");
            two_amounts += 1;
        }
    }
    assert!(crossing > 300 && two_amounts > 150, "{crossing} cross-border, {two_amounts} with two amounts");
    for currency in CURRENCIES {
        let known = Currency::parse(currency.code).unwrap();
        assert_eq!(known.exponent(), currency.exponent, "{}", currency.code);
    }
}

#[test]
fn every_channel_and_kind_occurs() {
    let messages = messages(&small(1));
    for (field, values) in [
        ("channel", &["chip", "contactless", "ecommerce", "qr_merchant", "transfer", "atm", "magstripe"][..]),
        ("kind", &["request", "reversal", "refund", "repeat", "advice"][..]),
    ] {
        for value in values {
            assert!(messages.iter().any(|(json, _)| json[field] == *value), "{field} {value}");
        }
    }
}

#[test]
fn what_follows_names_what_it_follows() {
    let world = small(1);
    let mut seen: BTreeMap<String, Value> = BTreeMap::new();
    for (json, _) in messages(&world) {
        let id = json["id"].as_str().unwrap().to_owned();
        match json["kind"].as_str().unwrap() {
            "repeat" => {
                let original = &seen[&id];
                for field in ["amount", "card", "account", "merchant", "terminal"] {
                    assert_eq!(original.get(field), json.get(field), "{id}: {field}");
                }
            }
            "reversal" | "refund" => {
                let original = json["refs"]["original"].as_str().unwrap();
                assert_eq!(seen[original]["amount"], json["amount"]);
                assert!(seen.insert(id, json).is_none());
            }
            _ => assert!(seen.insert(id.clone(), json).is_none(), "{id} twice"),
        }
    }
}

#[test]
fn every_scenario_occurs_and_fraud_is_rare() {
    let world = World::new(&WorldConfig::default()).unwrap();
    let mut counts: BTreeMap<Scenario, usize> = BTreeMap::new();
    let messages = messages(&world);
    let named = messages.iter().filter(|(json, _)| json["payee"].get("name").is_some()).count();
    for (_, truth) in &messages {
        if let Some(scenario) = truth {
            *counts.entry(*scenario).or_default() += 1;
        }
    }
    for scenario in Scenario::ALL {
        assert!(counts.get(&scenario).is_some_and(|&count| count >= 6), "{scenario:?}: {counts:?}");
    }
    let fraud: usize = counts.values().sum();
    assert!(fraud * 100 < messages.len() * 4, "{fraud} of {}", messages.len());
    let sanctioned = counts[&Scenario::SanctionedExact] + counts[&Scenario::SanctionedMisspelt];
    assert!(sanctioned * 10 <= named * 3, "{sanctioned} of {named} payments with names");
}

#[test]
fn a_misspelt_name_is_never_a_listed_one() {
    let mut dice = dice::Dice::new(5, 0);
    let listed: Vec<String> = sanctioned::NAMES.iter().map(|name| name.to_lowercase()).collect();
    for _ in 0..2_000 {
        let name = sanctioned::misspelt(&mut dice).to_lowercase();
        assert!(!listed.contains(&name), "{name}");
        let exact = sanctioned::exact(&mut dice).to_lowercase();
        assert!(listed.contains(&exact), "{exact}");
    }
}

#[test]
fn the_house_s_watchlist_is_the_world_s_sanctioned_names() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/lists/house.csv");
    let list = interdict_ingest::watchlists::read(std::path::Path::new(path)).unwrap();
    assert!(list.notes.is_empty() && list.entries.iter().all(|entry| entry.aliases.is_empty()));
    let names: Vec<&str> = list.entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, sanctioned::NAMES);
}

#[test]
fn friendly_fraud_looks_like_what_it_is_an_ordinary_purchase() {
    let world = small(1);
    let messages = messages(&world);
    let online = |json: &Value| json["channel"] == "ecommerce" && json["kind"] == "request";
    let mut friendly = 0;
    for (json, _) in messages.iter().filter(|(_, truth)| *truth == Some(Scenario::FriendlyFraud)) {
        friendly += 1;
        let own = |other: &Value, truth: Option<Scenario>| {
            truth.is_none() && online(other) && other["id"] != json["id"] && other["card"] == json["card"]
        };
        let known = messages.iter().filter(|(other, truth)| own(other, *truth));
        assert!(
            online(json) && known.count() > 0,
            "the card buys on the internet otherwise, too: {}",
            json["id"]
        );
    }
    assert_eq!(friendly, 6);
}

#[test]
fn labels_come_one_to_three_days_later_or_two_weeks_and_some_never() {
    let world = small(1);
    let (mut paid, mut frauds, mut labelled) = (BTreeMap::new(), 0, 0);
    let mut friendly = BTreeSet::new();
    for item in world.items() {
        match item {
            Item::Transaction { id, time_ms, truth, .. } => {
                if truth == Some(Scenario::FriendlyFraud) {
                    friendly.insert(id.clone());
                }
                paid.entry(id).or_insert(time_ms);
                frauds += usize::from(truth.is_some());
            }
            Item::Label { id, label, time_ms } => {
                let late_h = (time_ms - paid[&id]) / 3_600_000;
                let usual = if friendly.contains(&id) { 168..=336 } else { 24..=72 };
                assert!(usual.contains(&late_h), "{id}: {late_h} h");
                labelled += usize::from(label == "fraud");
            }
            Item::ListEntries { .. } => {}
        }
    }
    assert!(labelled > frauds / 2 && labelled < frauds, "{labelled} of {frauds}");
}

#[test]
fn rounds_share_people_but_neither_ids_nor_times() {
    let config = WorldConfig { transactions: 1_000, ..WorldConfig::default() };
    let rounds = [0, 1].map(|round| World::new(&WorldConfig { round, ..config.clone() }).unwrap());
    let [first, second] = rounds.map(|world| messages(&world));
    let column = |messages: &[(Value, Option<Scenario>)], path: [&str; 2]| -> BTreeSet<String> {
        messages.iter().filter_map(|(json, _)| json[path[0]].get(path[1]).map(Value::to_string)).collect()
    };
    let ids = |messages: &[(Value, Option<Scenario>)]| -> BTreeSet<String> {
        messages.iter().map(|(json, _)| json["id"].to_string()).collect()
    };
    assert!(ids(&first).is_disjoint(&ids(&second)));
    assert!(column(&first, ["card", "pan"]).intersection(&column(&second, ["card", "pan"])).count() > 10);
    assert!(first.iter().all(|(json, _)| json["time"].as_str().unwrap() < "2026-04-13"));
    assert!(second.iter().all(|(json, _)| json["time"].as_str().unwrap() >= "2026-04-13"));
}

#[test]
fn a_world_too_small_or_too_large_is_refused() {
    for transactions in [0, TRANSACTIONS_MIN - 1, TRANSACTIONS_MAX + 1] {
        let error = World::new(&WorldConfig { transactions, ..WorldConfig::default() }).unwrap_err();
        assert!(error.to_string().contains(&transactions.to_string()), "{error}");
    }
}

#[test]
fn the_packs_rates_know_every_currency_at_the_worlds_rate() {
    let rates =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/reference/rates.csv"))
            .unwrap();
    for currency in CURRENCIES.into_iter().filter(|currency| currency.code != "EUR") {
        let micro = currency.per_eur_micro;
        let rate = format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000);
        let rate = rate.trim_end_matches('0').trim_end_matches('.');
        let row = format!("\n{},2026-01-01,{rate}\n", currency.code);
        assert!(rates.contains(&row), "{row}");
    }
}
