//! Idempotency: the same payment again is the same verdict again, another payment under its key is refused, and a
//! tenant's keys are its own.

use super::{Probe, canonical, problem};
use interdict_tests::blackbox::payment;
use serde_json::json;

#[test]
fn the_same_payment_again_gets_the_same_verdict_also_after_a_restart() {
    let mut probe = Probe::start();
    let body = payment(json!({"id": "once", "amount": {"minor": 95_000, "currency": "EUR"}}));
    let first = probe.verdict(&body);
    assert_eq!(first["meta"]["replayed"], false);
    let others = probe.verdict(&payment(json!({"id": "between"})));
    let mut spelled = body.clone();
    spelled["text"] = json!("what the digest does not cover may differ");
    for again in [&body, &spelled] {
        let again = probe.verdict(again);
        assert_eq!(again["meta"]["replayed"], true);
        assert_eq!((canonical(&again), &again["id"]), (canonical(&first), &first["id"]));
        assert_eq!(again["codes"], first["codes"]);
    }
    probe.restart();
    let again = probe.verdict(&body);
    assert_eq!(again["meta"]["replayed"], true);
    assert_eq!(canonical(&again), canonical(&first));
    let next = probe.verdict(&payment(json!({"id": "after"})));
    assert_eq!(
        next["sequence"].as_u64(),
        others["sequence"].as_u64().map(|s| s + 1),
        "retries take no sequence"
    );
    for path in ["/v1/decisions/once".to_owned(), format!("/v1/decisions/@{}", first["sequence"])] {
        let read = probe.client.get(&path).unwrap();
        assert_eq!(read.status, 200, "{}", read.text);
        assert_eq!((canonical(&read.json()), &read.json()["id"]), (canonical(&first), &first["id"]));
    }
    problem(&probe.client.get("/v1/decisions/never").unwrap(), 404);
    problem(&probe.client.get("/v1/decisions/@999999").unwrap(), 404);
    problem(&probe.client.get("/v1/decisions/seq-999999").unwrap(), 404);
    problem(&probe.client.get("/v1/decisions/@once").unwrap(), 400);
}

#[test]
fn another_payment_under_the_key_is_a_conflict_in_whatever_it_differs() {
    let probe = Probe::start();
    let base = json!({"id": "k", "card": {"pan": "4111111111111111"}, "merchant": {"id": "M-1"}, "terminal": {"id": "T-1"}});
    let first = probe.verdict(&payment(base.clone()));
    for (name, value) in [
        ("amount", json!({"minor": 1001, "currency": "EUR"})),
        ("amount", json!({"minor": 1000, "currency": "USD"})),
        ("card", json!({"pan": "5555555555554444"})),
        ("merchant", json!({"id": "M-2"})),
        ("terminal", json!({"id": "T-2"})),
    ] {
        let mut other = payment(base.clone());
        other[name] = value;
        let conflict = problem(&probe.decide(&other), 409);
        assert!(conflict["detail"].as_str().unwrap().contains(&first["sequence"].to_string()), "{conflict}");
    }
    let repeat = probe.verdict(&payment({
        let mut repeat = base.clone();
        repeat["kind"] = json!("repeat");
        repeat
    }));
    assert_eq!(repeat["meta"]["replayed"], true, "a repeat counts as what it repeats");
    assert_eq!(probe.verdict(&payment(base))["meta"]["replayed"], true, "conflicts changed nothing");
}

#[test]
fn the_header_names_the_payment_before_its_id_does() {
    let probe = Probe::start();
    let first = probe.decide_with(&[("Idempotency-Key", "h-1")], &payment(json!({"id": "a"}))).json();
    let same = probe.decide_with(&[("Idempotency-Key", "h-1")], &payment(json!({"id": "b"}))).json();
    assert_eq!(same["meta"]["replayed"], true, "{same}");
    assert_eq!(same["sequence"], first["sequence"]);
    let spelled = probe.decide_with(&[("X-Idempotency-Key", "h-1")], &payment(json!({}))).json();
    assert_eq!(spelled["sequence"], first["sequence"], "both spellings are one key");
    let new = probe.decide_with(&[("Idempotency-Key", "h-2")], &payment(json!({"id": "a"}))).json();
    assert_eq!(new["meta"]["replayed"], false, "the header wins over the id");
    let kind = probe.decide_with(&[("Idempotency-Key", "h-1")], &payment(json!({"kind": "advice"})));
    problem(&kind, 409);
    let read = probe.client.get("/v1/decisions/b").unwrap();
    assert_eq!(read.status, 404, "what was not decided has no verdict under its own id");
    let amount = json!({"amount": {"minor": 7, "currency": "EUR"}});
    problem(&probe.decide_with(&[("Idempotency-Key", "h-1")], &payment(amount)), 409);
    let batch = probe.decide_with(&[("Idempotency-Key", "h-3")], &json!([payment(json!({}))]));
    assert_eq!(problem(&batch, 400)["field"], "Idempotency-Key");
    let batch = probe.decide_with(&[("X-Idempotency-Key", "h-3")], &json!([payment(json!({}))]));
    problem(&batch, 400);
}

#[test]
fn a_uetr_is_an_identity_where_there_is_no_other() {
    let probe = Probe::start();
    let body = payment(json!({"refs": {"uetr": "8a562c67-ca16-48ba-b074-65581be6f011"}}));
    let first = probe.verdict(&body);
    let again = probe.verdict(&body);
    assert_eq!(again["meta"]["replayed"], true);
    assert_eq!(canonical(&again), canonical(&first));
}

#[test]
fn the_bodys_tenant_wins_and_tenants_share_no_ids() {
    let probe = Probe::start();
    let of = |tenant: &str, more: serde_json::Value| {
        probe.decide_with(&[("Interdict-Tenant", tenant)], &payment(more))
    };
    let acme = of("other", json!({"id": "t", "tenant": "acme"})).json();
    assert_eq!(
        of("acme", json!({"id": "t"})).json()["sequence"],
        acme["sequence"],
        "the body's tenant was taken"
    );
    let other = of("other", json!({"id": "t", "amount": {"minor": 5, "currency": "EUR"}})).json();
    assert_eq!(other["meta"]["replayed"], false, "{other}");
    let default = probe.verdict(&payment(json!({"id": "t"})));
    assert_eq!(default["meta"]["replayed"], false);
    let named = probe.verdict(&payment(json!({"id": "t", "tenant": "default"})));
    assert_eq!(named["sequence"], default["sequence"], "no tenant means default");
    let read = |tenant: &str, id: &str| {
        probe.client.send("GET", &format!("/v1/decisions/{id}"), &[("Interdict-Tenant", tenant)], "").unwrap()
    };
    assert_eq!(read("acme", "t").json()["sequence"], acme["sequence"]);
    assert_eq!(read("other", "t").json()["sequence"], other["sequence"]);
    let by_sequence = format!("@{}", acme["sequence"]);
    assert_eq!(read("other", &by_sequence).status, 404, "a sequence of another tenant");
    assert_eq!(read("acme", &by_sequence).status, 200);
}

#[test]
fn a_retry_that_comes_while_the_first_is_under_way_waits_for_it() {
    let probe = Probe::start();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..8)
            .map(|_| {
                let client = probe.node.client();
                scope.spawn(move || client.post("/v1/decisions", &payment(json!({"id": "race"}))).unwrap())
            })
            .collect();
        asking.into_iter().map(|one| one.join().unwrap().json()).collect()
    });
    let first = answers.iter().filter(|answer| answer["meta"]["replayed"] == false).count();
    assert_eq!(first, 1, "{answers:?}");
    assert!(answers.iter().all(|answer| canonical(answer) == canonical(&answers[0])), "{answers:?}");
}
