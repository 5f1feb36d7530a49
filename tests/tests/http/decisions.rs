//! One decision and a batch: what must be there, what may be left out, and what an answer always has.

use super::{BINARY, Probe, canonical};
use interdict_tests::blackbox::payment;
use interdict_tests::node::{Start, default_config};
use serde_json::{Value, json};

/// wire.md's example.
fn example() -> Value {
    json!({
        "id": "tx-20180401-000017",
        "tenant": "acme",
        "kind": "request",
        "time": "2018-04-01T00:02:10.000Z",
        "amount": {"minor": 5767, "currency": "EUR"},
        "settlement_amount": {"minor": 6310, "currency": "USD"},
        "channel": "ecommerce",
        "card": {"pan": "4111111111111111"},
        "account": {"iban": "DE89370400440532013000"},
        "payer": {"name": "Ana Silva", "country": "PT"},
        "payee": {"name": "Olaf Scholze", "account": {"iban": "FR1420041010050500013M02606"}, "country": "FR"},
        "merchant": {"id": "M-3156", "name": "Café du Nord", "mcc": "5812", "country": "FR"},
        "terminal": {"id": "T-3156"},
        "acquirer": "40001", "issuer": "40002",
        "device": {"id": "d-77", "ip": "203.0.113.7", "user_agent": "Mozilla/5.0"},
        "email": "ana@example.org", "phone": "+351210000000",
        "text": "invoice 1042 gift cards",
        "qr": "00020101021126...6304A1B2",
        "refs": {"stan": "000123", "rrn": "809100000123", "uetr": "8a562c67-ca16-48ba-b074-65581be6f011", "original": null},
        "settles_at": "2018-04-02T21:00:00Z",
        "deadline_ms": 20
    })
}

/// `g-` and twelve hex digits, `@` and a number.
fn is_generation(text: &str) -> bool {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.strip_prefix("g-").and_then(|rest| rest.split_once('@')).is_some_and(|(hash, overlay)| {
        hash.len() == 12 && hash.chars().all(hex) && !overlay.is_empty() && overlay.parse::<u64>().is_ok()
    })
}

/// Every field of the contract, with its type and its closed set.
fn assert_whole(answer: &Value) {
    let one_of = |name: &str, set: &[&str]| {
        assert!(answer[name].as_str().is_some_and(|value| set.contains(&value)), "{name}: {answer}");
    };
    assert!(answer["id"].is_string() && answer["sequence"].is_u64(), "{answer}");
    one_of("outcome", &["approve", "review", "challenge", "hold", "decline", "recorded"]);
    assert!(answer["score"].as_u64().is_some_and(|score| score <= 1000), "{answer}");
    for reason in answer["reasons"].as_array().expect("reasons are a list") {
        for name in ["stage", "rule", "code", "audience"] {
            assert!(reason[name].as_str().is_some_and(|text| !text.is_empty()), "{name}: {reason}");
        }
        assert!(["internal", "processor", "customer"].contains(&reason["audience"].as_str().unwrap()));
        assert!(reason["rule"].as_str().unwrap().contains('/') && reason["detail"].is_object(), "{reason}");
    }
    assert!(answer["skipped"].is_array() && answer["default_applied"].is_boolean(), "{answer}");
    let levers = ["withhold_payout", "cancel_capture", "stop_before_cutoff", "accept_without_posting"];
    one_of("lever", &[&levers[..], &["detain_goods", "recall", "none"]].concat());
    let codes = &answer["codes"];
    assert!(codes["iso8583"].is_null() || codes["iso8583"].as_str().is_some_and(|code| code.len() == 2));
    assert!(codes["iso20022"].get("status").is_some(), "{answer}");
    assert!(is_generation(answer["generation"].as_str().unwrap_or_default()), "{answer}");
    let meta = &answer["meta"];
    assert!(meta["latency_us"].is_u64() && meta["engine"].is_string(), "{answer}");
    assert!(meta["replayed"].is_boolean() && meta["recovered"].is_boolean(), "{answer}");
}

#[test]
fn the_contracts_example_gets_a_whole_verdict_under_the_embedded_default() {
    let dir = tempfile::tempdir().unwrap();
    let node = Start::new(BINARY, default_config(), dir.path()).start().unwrap();
    let reply = node.client().post("/v1/decisions", &example()).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let answer = reply.json();
    assert_whole(&answer);
    assert_eq!(answer["id"], "tx-20180401-000017");
    assert_eq!(answer["meta"]["replayed"], false);
    assert_eq!(answer["default_applied"], false, "20 ms are plenty: {answer}");
}

#[test]
fn outcome_score_reasons_lever_and_codes_are_those_of_the_rules() {
    let probe = Probe::start();
    let quiet = probe.verdict(&payment(json!({"id": "quiet"})));
    assert_whole(&quiet);
    assert_eq!(
        (&quiet["outcome"], &quiet["score"], &quiet["lever"]),
        (&json!("approve"), &json!(0), &json!("none"))
    );
    assert_eq!(quiet["reasons"], json!([]));
    let loud = probe
        .verdict(&payment(json!({"amount": {"minor": 90_000, "currency": "EUR"}, "channel": "transfer"})));
    assert_whole(&loud);
    assert_eq!(loud["outcome"], "hold");
    assert_eq!(loud["score"], 700);
    assert_eq!(loud["lever"], "stop_before_cutoff");
    let rules: Vec<&str> =
        loud["reasons"].as_array().unwrap().iter().map(|r| r["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["probe/held", "probe/larger", "probe/large"], "strongest first");
    assert_eq!(loud["reasons"][0]["detail"], json!({"amount.minor": 90_000, "channel": "transfer"}));
    assert_eq!(loud["codes"]["iso8583"], "00", "authorised, but held: {loud}");
    assert_eq!(loud["codes"]["iso20022"]["status"], "ACWP");
}

#[test]
fn codes_and_levers_are_those_of_the_payments_network() {
    let probe = Probe::configured(
        "\n[settlement]\n[[settlement.networks]]\nname = \"visa\"\nbins = [\"4\"]\n\
         [[settlement.networks]]\nname = \"sct\"\nchannels = [\"transfer\"]\ncurrencies = [\"EUR\"]\n\
         [[settlement.levers]]\nnetwork = \"sct\"\nlever = \"accept_without_posting\"\n",
    );
    let large = |more: Value| {
        let mut body = payment(more);
        body["amount"]["minor"] = 90_000.into();
        probe.verdict(&body)
    };
    let visa = large(json!({"card": {"pan": "4111111111111111"}}));
    assert_eq!((&visa["outcome"], &visa["codes"]["iso8583"]), (&json!("challenge"), &json!("1A")), "{visa}");
    let other = large(json!({"card": {"pan": "5555555555554444"}}));
    assert_eq!(other["codes"]["iso8583"], "05", "no network: the configured one's codes: {other}");
    // A network that the map does not know: likewise. Its lever goes before the channel's.
    let euro = large(json!({"channel": "transfer"}));
    assert_eq!(
        (&euro["outcome"], &euro["lever"]),
        (&json!("hold"), &json!("accept_without_posting")),
        "{euro}"
    );
    assert_eq!(euro["codes"]["iso20022"]["status"], "ACWP");
    let dollar = large(json!({"channel": "transfer", "amount": {"minor": 0, "currency": "USD"}}));
    assert_eq!(dollar["lever"], "stop_before_cutoff", "{dollar}");
}

#[test]
fn time_amount_and_one_identifier_are_enough_and_without_an_id_the_answer_is_named_by_its_sequence() {
    let probe = Probe::start();
    let subjects = [
        json!({"card": {"pan": "4111 1111 1111 1111"}}),
        json!({"card": {"token": "tok_1"}}),
        json!({"account": {"iban": "DE89 3704 0044 0532 0130 00"}}),
        json!({"account": {"number": "0532013000", "bank": "37040044"}}),
        json!({"device": {"id": "d-1"}}),
        json!({"merchant": {"id": "M-1"}}),
        json!({"terminal": {"id": "T-1"}}),
        json!({"payee": {"name": "Olaf Scholze"}}),
        json!({"email": "ana@example.org"}),
        json!({"phone": "+351210000000"}),
    ];
    let mut sequences = Vec::new();
    for subject in subjects {
        let mut body = subject;
        body["time"] = json!("1999-12-31T23:59:59.999Z");
        body["amount"] = json!({"minor": 0, "currency": "JPY"});
        let answer = probe.verdict(&body);
        assert_eq!(answer["id"], format!("seq-{}", answer["sequence"]), "{body}");
        let again = probe.verdict(&body);
        assert_eq!(again["meta"]["replayed"], false, "without an id there is no identity");
        assert!(again["sequence"].as_u64() > answer["sequence"].as_u64());
        let read = probe.client.get(&format!("/v1/decisions/{}", answer["id"].as_str().unwrap())).unwrap();
        assert_eq!(canonical(&read.json()), canonical(&answer));
        sequences.push(answer["sequence"].as_u64().unwrap());
    }
    assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
    for missing in ["time", "amount", "merchant"] {
        let mut body = payment(json!({}));
        body.as_object_mut().unwrap().remove(missing);
        assert_eq!(probe.decide(&body).status, 422, "without {missing}");
    }
}

#[test]
fn facts_are_recorded_whatever_the_rules_say_and_requests_are_not() {
    let probe = Probe::start();
    let amount = json!({"minor": 90_000, "currency": "EUR"});
    for kind in ["advice", "reversal", "completion"] {
        let body = payment(json!({"id": format!("f-{kind}"), "kind": kind, "amount": amount}));
        let answer = probe.verdict(&body);
        assert_eq!(answer["outcome"], "recorded", "{kind}: {answer}");
        assert_eq!(answer["reasons"][0]["rule"], "probe/larger", "rules see it all the same: {answer}");
    }
    for kind in ["request", "repeat", "refund"] {
        let body = payment(json!({"id": format!("r-{kind}"), "kind": kind, "amount": amount}));
        assert_eq!(probe.verdict(&body)["outcome"], "challenge", "{kind}");
    }
}

#[test]
fn a_fact_under_its_requests_id_is_a_message_of_its_own() {
    let probe = Probe::start();
    let request = probe.verdict(&payment(json!({"id": "one"})));
    let reversal =
        probe.verdict(&payment(json!({"id": "one", "kind": "reversal", "refs": {"original": "one"}})));
    assert_eq!(reversal["outcome"], "recorded");
    assert_ne!(reversal["sequence"], request["sequence"]);
    let read = probe.client.get("/v1/decisions/one").unwrap().json();
    assert_eq!(read["sequence"], request["sequence"], "the id still names the request");
}

#[test]
fn without_time_the_declared_default_answers_and_says_so() {
    let probe = Probe::start();
    let body = payment(json!({"id": "late", "deadline_ms": 0, "channel": "transfer"}));
    for answer in [probe.verdict(&body), probe.verdict(&body)] {
        let skipped: Vec<&str> =
            answer["skipped"].as_array().unwrap().iter().map(|s| s["stage"].as_str().unwrap()).collect();
        assert_eq!(skipped, ["lists", "rules"], "{answer}");
        assert!(answer["skipped"].as_array().unwrap().iter().all(|s| s["reason"] == "deadline"), "{answer}");
        assert_eq!(answer["default_applied"], true);
        assert_eq!(answer["outcome"], "hold", "the pack's default for rules is the stronger one: {answer}");
        assert_eq!(answer["lever"], "stop_before_cutoff");
        assert!(answer["reasons"][0]["rule"].as_str().unwrap().starts_with("probe/default-of-"), "{answer}");
    }
    let by_header = probe.decide_with(&[("Interdict-Deadline-Ms", "0")], &payment(json!({})));
    assert_eq!(by_header.json()["default_applied"], true);
    let body_wins =
        probe.decide_with(&[("Interdict-Deadline-Ms", "0")], &payment(json!({"deadline_ms": 60_000})));
    assert_eq!(body_wins.json()["default_applied"], false);
}

#[test]
fn a_batch_answers_in_its_order_each_with_a_verdict_or_a_problem() {
    let probe = Probe::start();
    let reply = probe.decide(&json!([
        payment(json!({"id": "b-0"})),
        payment(json!({"id": "b-1", "amount": {"minor": 1.5, "currency": "EUR"}})),
        payment(json!({"id": "b-2", "amount": {"minor": 60_000, "currency": "EUR"}})),
        "no object",
        payment(json!({"id": "b-0"})),
        payment(json!({"id": "b-0", "kind": "repeat"})),
        payment(json!({"id": "b-2"})),
        payment(json!({})),
    ]));
    assert_eq!(reply.status, 200, "{}", reply.text);
    let answers = reply.json();
    assert_eq!(answers.as_array().unwrap().len(), 8);
    assert_whole(&answers[0]);
    assert_eq!((&answers[0]["id"], &answers[2]["id"]), (&json!("b-0"), &json!("b-2")));
    assert_eq!(answers[2]["outcome"], "review");
    assert_eq!((&answers[1]["status"], &answers[1]["field"]), (&json!(422), &json!("amount.minor")));
    assert!(answers[1]["detail"].as_str().unwrap().contains("row 1"), "{}", answers[1]);
    assert_eq!(answers[3]["status"], 422, "{}", answers[3]);
    for again in [4, 5] {
        assert_eq!(answers[again]["meta"]["replayed"], true, "{}", answers[again]);
        assert_eq!(canonical(&answers[again]), canonical(&answers[0]), "its original is in the same batch");
    }
    assert_eq!(answers[6]["status"], 409, "another amount under a key of the same batch");
    assert_eq!(answers[7]["id"], format!("seq-{}", answers[7]["sequence"]));
    assert_eq!(probe.decide(&json!([])).json(), json!([]));
}

#[test]
fn a_batch_of_more_than_a_micro_batch_keeps_its_order_on_any_number_of_lanes() {
    let dir = tempfile::tempdir().unwrap();
    let config = interdict_tests::blackbox::probe(dir.path(), "");
    let bodies: Vec<Value> = (0..200)
        .map(|n| {
            payment(json!({"id": format!("n-{}", n % 150), "card": {"token": format!("t-{}", n % 150 % 7)}}))
        })
        .collect();
    let mut verdicts = Vec::new();
    for lanes in ["0", "3"] {
        let data = dir.path().join(format!("lanes-{lanes}"));
        let node = Start::new(BINARY, &config, data).args(&["--lanes", lanes]).start().unwrap();
        // Windows are covered from the first payment on, so that one comes long before.
        let early = payment(json!({"time": "2018-03-01T00:00:00Z"}));
        assert_eq!(node.client().post("/v1/decisions", &early).unwrap().status, 200);
        let answers = node.client().post("/v1/decisions", &json!(bodies)).unwrap().json();
        let answers = answers.as_array().unwrap().clone();
        for (n, answer) in answers.iter().enumerate() {
            assert_eq!(answer["id"], bodies[n]["id"]);
            assert_eq!(answer["meta"]["replayed"], n >= 150, "{n}: {answer}");
            assert_eq!(canonical(answer), canonical(&answers[n % 150]));
        }
        let canonical: Vec<Value> = answers.iter().map(canonical).collect();
        verdicts.push(canonical);
    }
    assert_eq!(verdicts[0], verdicts[1]);
    assert!(verdicts[0].iter().any(|verdict| verdict["score"] == 111), "the third payment of a card");
}
