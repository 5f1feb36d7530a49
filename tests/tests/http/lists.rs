//! List deltas: seen by exactly the payments after them, all or nothing, in their order of precedence, and each
//! tenant's own.

use super::{Probe, problem};
use interdict_tests::blackbox::payment;
use interdict_tests::node::Reply;
use serde_json::{Value, json};

impl Probe {
    fn put(&self, tenant: &str, list: &str, entries: &Value) -> Reply {
        let path = format!("/v1/lists/{list}/entries");
        self.client.send("PUT", &path, &[("Interdict-Tenant", tenant)], entries.to_string()).unwrap()
    }
    fn listed(&self, list: &str, entries: Value) -> Value {
        let reply = self.put("default", list, &entries);
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()
    }
    fn ended(&self, list: &str, entries: Value) -> Value {
        let path = format!("/v1/lists/{list}/entries");
        let reply = self.client.send("DELETE", &path, &[], entries.to_string()).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()
    }
    fn outcome(&self, more: Value) -> String {
        self.verdict(&payment(more))["outcome"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_delta_is_seen_from_its_sequence_on_and_ends_from_its_sequence_on() {
    let mut probe = Probe::start();
    let card = json!({"card": {"pan": "4111 1111 1111 1111"}});
    let before = probe.verdict(&payment(card.clone()));
    assert_eq!(before["outcome"], "approve");
    let entry = json!([{"card": {"pan": "4111111111111111"}, "reason": "R-7", "severity": 80}]);
    let published = probe.listed("found", entry.clone());
    assert!(published["sequence"].as_u64() > before["sequence"].as_u64(), "{published}");
    let after = probe.verdict(&payment(card.clone()));
    assert_eq!(after["sequence"], published["sequence"], "the first sequence that sees it");
    assert_eq!((&after["outcome"], &after["score"]), (&json!("decline"), &json!(800)), "{after}");
    assert_eq!(after["generation"], published["generation"]);
    assert_ne!(after["generation"], before["generation"]);
    let reason = &after["reasons"][0];
    assert_eq!((&reason["stage"], &reason["rule"]), (&json!("lists"), &json!("lists/found")), "{reason}");
    assert_eq!(reason["detail"]["list"], "found");
    assert_eq!(reason["detail"]["reason"], "R-7");
    assert!(reason["detail"]["entry"].is_string(), "{reason}");
    probe.restart();
    assert_eq!(probe.outcome(card.clone()), "decline", "deltas are in the journal");
    let ended = probe.ended("found", json!([{"card": {"pan": "4111111111111111"}}]));
    let free = probe.verdict(&payment(card.clone()));
    assert_eq!((&free["outcome"], &free["sequence"]), (&json!("approve"), &ended["sequence"]), "{free}");
    let told = probe.client.get(&format!("/v1/decisions/@{}", after["sequence"])).unwrap().json();
    assert_eq!(
        told["reasons"][0]["detail"]["reason"], "R-7",
        "an entry that has ended is still told: {told}"
    );
    probe.listed("found", entry);
    assert_eq!(probe.outcome(card), "decline");
}

#[test]
fn every_kind_of_subject_is_found_however_it_is_spelled() {
    let probe = Probe::start();
    let cases = [
        (json!({"card": {"token": "tok-1"}}), json!({"card": {"token": "tok-1"}})),
        (
            json!({"account": {"iban": "DE89370400440532013000"}}),
            json!({"account": {"iban": "de89 3704 0044 0532 0130 00"}}),
        ),
        (
            json!({"account": {"iban": "FR1420041010050500013M02606"}}),
            json!({"payee": {"account": {"iban": "FR14 2004 1010 0505 0001 3M02 606"}}}),
        ),
        (
            json!({"account": {"number": "77", "bank": "b"}}),
            json!({"account": {"number": "77", "bank": "b"}}),
        ),
        (json!({"device": {"id": "d-1"}}), json!({"device": {"id": "d-1"}})),
        (json!({"merchant": {"id": "M-9"}}), json!({"merchant": {"id": "M-9"}})),
        (json!({"terminal": {"id": "T-9"}}), json!({"terminal": {"id": "T-9"}})),
        (json!({"ip": "203.0.113.0/24"}), json!({"device": {"ip": "203.0.113.200"}})),
        (json!({"ip": "2001:db8::/32"}), json!({"device": {"ip": "2001:db8:1::5"}})),
        (json!({"ip": "198.51.100.7"}), json!({"device": {"ip": "198.51.100.7"}})),
        (json!({"bin": "555555"}), json!({"card": {"pan": "5555 5555 5555 4444"}})),
        (json!({"email": "Ana@Example.org"}), json!({"email": "ana@example.ORG"})),
        (json!({"phone": "+351 210 000 000"}), json!({"phone": "+351210000000"})),
        (json!({"name": "SCHOLZ, Ólaf"}), json!({"payee": {"name": "scholz  olaf"}})),
    ];
    for (entry, subject) in cases {
        assert_eq!(probe.outcome(subject.clone()), "approve", "{subject} before");
        probe.listed("found", json!([entry]));
        assert_eq!(probe.outcome(subject.clone()), "decline", "{entry} and {subject}");
        probe.ended("found", json!([entry]));
        assert_eq!(probe.outcome(subject), "approve", "{entry} ended");
    }
    probe.listed("found", json!([{"ip": "203.0.113.0/24"}, {"bin": "555555"}]));
    assert_eq!(probe.outcome(json!({"device": {"ip": "203.0.114.1"}})), "approve", "beside the prefix");
    assert_eq!(probe.outcome(json!({"card": {"pan": "4111111111111111"}})), "approve", "beside the BIN");
}

#[test]
fn precedence_is_firm_block_then_override_then_overridable_block_then_flag() {
    let probe = Probe::start();
    let subject = json!({"card": {"token": "c"}, "amount": {"minor": 60_000, "currency": "EUR"}});
    let card = |more: Value| {
        let mut entry = more;
        entry["card"] = json!({"token": "c"});
        json!([entry])
    };
    probe.listed("flags", card(json!({"effect": "flag"})));
    assert_eq!(probe.outcome(subject.clone()), "review");
    probe.listed("soft", card(json!({"effect": "block", "overridable": true})));
    assert_eq!(probe.outcome(subject.clone()), "decline");
    probe.listed(
        "waived",
        card(json!({"effect": "override", "overrides": "soft", "reason": "known customer"})),
    );
    let waived = probe.verdict(&payment(subject.clone()));
    assert_eq!(waived["outcome"], "review", "the flag and the rule are left: {waived}");
    assert!(waived["reasons"].as_array().unwrap().iter().any(|r| r["rule"] == "lists/waived"), "{waived}");
    probe.listed("hard", card(json!({"effect": "block"})));
    probe.listed("waived-2", card(json!({"effect": "override", "overrides": "hard"})));
    assert_eq!(probe.outcome(subject.clone()), "decline", "a block is not overridable unless it says so");
    probe.ended("hard", card(json!({})));
    assert_eq!(probe.outcome(subject.clone()), "review");
    probe.ended("flags", card(json!({})));
    probe.listed("waived-3", card(json!({"effect": "override", "overrides": "probe/large"})));
    assert_eq!(probe.outcome(subject), "approve", "an override of a rule");
    for wrong in [
        json!({"effect": "override"}),
        json!({"effect": "block", "overrides": "soft"}),
        json!({"effect": "flag", "overridable": true}),
        json!({"effect": "allow"}),
        json!({"severity": 101}),
        json!({"valid_from": "2018-01-02T00:00:00Z", "valid_to": "2018-01-01T00:00:00Z"}),
    ] {
        problem(&probe.put("default", "wrong", &card(wrong)), 422);
    }
}

#[test]
fn an_entry_counts_within_its_validity_by_event_time() {
    let probe = Probe::start();
    let (from, to) = ("2018-04-01T10:00:00Z", "2018-04-01T11:00:00Z");
    probe.listed("found", json!([{"merchant": {"id": "M-1"}, "valid_from": from, "valid_to": to}]));
    for (time, outcome) in [
        ("2018-04-01T09:59:59.999Z", "approve"),
        (from, "decline"),
        ("2018-04-01T10:59:59.999Z", "decline"),
        (to, "approve"),
    ] {
        assert_eq!(probe.outcome(json!({"time": time})), outcome, "{time}");
    }
}

#[test]
fn a_list_that_a_pack_expects_is_what_the_pack_says_also_when_a_put_makes_it() {
    let probe = Probe::start();
    probe.listed("watched", json!([{"merchant": {"id": "M-7"}}]));
    let watched = probe.verdict(&payment(json!({"merchant": {"id": "M-7"}})));
    let reason = &watched["reasons"][0];
    assert_eq!((&reason["code"], &reason["audience"]), (&json!("WATCHED"), &json!("customer")), "{reason}");
    probe.listed("banned", json!([{"name": "Olaf Scholze", "overridable": true}]));
    probe.listed("waived", json!([{"name": "Olaf Scholze", "effect": "override", "overrides": "banned"}]));
    let banned = probe.verdict(&payment(json!({"payee": {"name": "Olaf Scholze"}})));
    assert_eq!(banned["outcome"], "decline", "nothing overrides a sanctions entry: {banned}");
    assert_eq!(banned["reasons"][0]["code"], "BANNED", "{banned}");
}

#[test]
fn one_wrong_element_and_nothing_of_the_delta_is_taken() {
    let probe = Probe::start();
    let delta = json!([
        {"merchant": {"id": "M-1"}},
        {"card": {"pan": "4111111111111112"}},
        {"device": {"id": "d-1"}, "ip": "10.0.0.0/8"},
        {"colour": "red"},
    ]);
    let refused = problem(&probe.put("default", "found", &delta), 422);
    let errors = refused["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 3, "every wrong element is told: {refused}");
    assert_eq!(errors[0]["field"], "card.pan");
    for (error, row) in errors.iter().zip(1..) {
        assert!(error["detail"].as_str().unwrap().contains(&format!("row {row}")), "{error}");
    }
    assert_eq!(probe.outcome(json!({})), "approve", "M-1 was not listed");
    let lists = probe.client.get("/v1/lists").unwrap().json();
    assert!(lists.as_array().unwrap().iter().all(|list| list["name"] != "found"), "{lists}");
    problem(&probe.put("default", "no%20name", &json!([{"merchant": {"id": "M-1"}}])), 422);
    problem(&probe.put("default", "found", &json!({"merchant": {"id": "M-1"}})), 422);
    let bad_end =
        probe.client.send("DELETE", "/v1/lists/found/entries", &[], r#"[{"ip": "10.0.0.0/99"}]"#).unwrap();
    assert_eq!(problem(&bad_end, 422)["field"], "ip");
}

#[test]
fn a_tenants_list_is_its_own_and_the_default_tenants_is_everybodys() {
    let probe = Probe::start();
    let of = |tenant: &str| probe.outcome(json!({"tenant": tenant}));
    let entry = json!([{"merchant": {"id": "M-1"}}]);
    assert_eq!(probe.put("acme", "own", &entry).status, 200);
    assert_eq!(
        (of("acme"), of("other"), of("default")),
        ("decline".into(), "approve".into(), "approve".into())
    );
    let seen = |tenant: &str| {
        let lists =
            probe.client.send("GET", "/v1/lists", &[("Interdict-Tenant", tenant)], "").unwrap().json();
        lists.as_array().unwrap().iter().any(|list| list["name"] == "own")
    };
    assert_eq!((seen("acme"), seen("other")), (true, false));
    let ends = probe.client.send(
        "DELETE",
        "/v1/lists/own/entries",
        &[("Interdict-Tenant", "other")],
        entry.to_string(),
    );
    assert!(ends.is_ok());
    assert_eq!(of("acme"), "decline", "another tenant cannot end it");
    assert_eq!(probe.put("default", "all", &entry).status, 200);
    assert_eq!((of("other"), of("default")), ("decline".into(), "decline".into()), "shared");
    let override_all = json!([{"merchant": {"id": "M-1"}, "effect": "override", "overrides": "own"}]);
    assert_eq!(probe.put("other", "waived", &override_all).status, 200);
    assert_eq!(of("acme"), "decline", "nor can another tenant's override cancel it");
}
