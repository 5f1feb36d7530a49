//! A bill from end to end: a tariff by quorum, queries, statements by the operator, recomputed and confirmed by the member,
//! recomputed by the operator's own check; one that is tampered with is not confirmed.

use super::world::World;
use interdict_consortium::bill::money::Currency;
use interdict_consortium::bill::service::Service;
use interdict_consortium::bill::tariff::{AtFloor, CreditRule, Price, Tariff, Terms};
use serde_json::json;

const UNTIL_MS: &str = "4102444800000";

fn tariff() -> Tariff {
    let terms = Terms { minimum_minor: 0, floor_minor: 0, at_floor: AtFloor::Warn };
    Tariff {
        alliance: "alliance.example".into(),
        version: 1,
        currency: Currency::parse("EUR").unwrap(),
        valid_from_ms: 1,
        classes: [("standard".to_owned(), terms)].into(),
        prices: [((Service::Confirm, "standard".to_owned()), Price { micro: 20_000, free: 0 })].into(),
        credit: CreditRule::None,
    }
}

#[test]
fn a_bill_is_recomputed_and_confirmed_by_both_parties() {
    let world = World::founded();
    let (operator, b) = (world.text("hub/operator"), world.text("b"));
    let file = world.path("tariff");
    std::fs::write(&file, tariff().encode().unwrap()).unwrap();
    let statement = |verb: &[&str]| world.run(&[&["consortium", "statement"], verb].concat());
    statement(&["tariff", "--json", "--folder", &operator, file.to_str().unwrap()]).unwrap();
    world.approve("a");
    world.approve("b");
    world.contribute(
        "b",
        "kind,value,reason\ncard,4111111111111111,card_stolen\ncard,4000000000000002,card_stolen\n",
    );
    world.until("the query is under a checkpoint", || world.sync("hub/operator")["queries"][1] == 1);
    let make = ["make", "--json", "--folder", &operator, "2026-11", "--from-ms", "1", "--until-ms", UNTIL_MS];
    let made = statement(&make).unwrap();
    assert_eq!(made["number"], 1, "{made}");
    // Two items of 0.02 EUR by member 2 (the operator is number 0); the operator is owed what b owes.
    assert!(made["nets"].as_array().unwrap().contains(&json!([2, -4])), "{made}");
    let checked = statement(&["check", "--json", "--folder", &operator, "2026-11"]).unwrap();
    assert_eq!(checked["differences"], json!([]), "{checked}");
    let own = statement(&["check", "--json", "--folder", &b, "2026-11"]).unwrap();
    assert_eq!(own["statements"].as_array().unwrap().len(), 1, "a member sees its own only: {own}");
    assert_eq!(own["statements"][0]["confirmed"], false, "{own}");
    let confirmed = statement(&["confirm", "--json", "--folder", &b, "2026-11"]).unwrap();
    assert_eq!(confirmed["signatures"], 2, "{confirmed}");
    let own = statement(&["check", "--json", "--folder", &b, "2026-11"]).unwrap();
    assert_eq!(own["statements"][0]["confirmed"], true, "{own}");
    // A hub that shows another statement than the settlement's is found out.
    let path = world.path("hub/statements/2026-11_1_statement_2");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("2026-11", "2026-12", 1)).unwrap();
    assert!(statement(&["confirm", "--json", "--folder", &b, "2026-11"]).is_err());
}
