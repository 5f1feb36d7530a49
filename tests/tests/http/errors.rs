//! What is refused, with which status, which field it names, and that no error ever repeats a value of the request.

use super::{Probe, problem};
use interdict_tests::blackbox::payment;
use serde_json::{Value, json};
use std::io::{Read, Write};

/// Stands in every wrong value, so that an error that repeats one is seen.
const MARK: &str = "Qzx7Wk";

fn with(path: &[&str], value: Value) -> Value {
    let mut body = payment(json!({"id": "e"}));
    let mut at = &mut body;
    for name in path {
        at = &mut at[*name];
    }
    *at = value;
    body
}

#[test]
fn what_is_well_formed_but_invalid_is_422_and_names_the_field() {
    let probe = Probe::start();
    let long = format!("{MARK}{}", "x".repeat(4091));
    let cases: Vec<(Vec<&str>, Value, &str)> = vec![
        (vec!["time"], Value::Null, "time"),
        (vec!["time"], json!(MARK), "time"),
        (vec!["time"], json!("2018-02-30T00:00:00Z"), "time"),
        (vec!["amount"], Value::Null, "amount.minor"),
        (vec!["amount"], json!(MARK), "amount"),
        (vec!["amount", "minor"], Value::Null, "amount.minor"),
        (vec!["amount", "minor"], json!(57.67), "amount.minor"),
        (vec!["amount", "minor"], json!("5767"), "amount.minor"),
        (vec!["amount", "minor"], json!(-1), "amount.minor"),
        (vec!["amount", "minor"], json!(u64::MAX), "amount.minor"),
        (vec!["amount", "minor"], json!(9_000_000_000_000_000_000u64), "amount.minor"),
        (vec!["amount", "currency"], json!("EURO"), "amount.currency"),
        (vec!["amount", "currency"], json!("ZZZ"), "amount.currency"),
        (vec!["settlement_amount"], json!({"minor": 1}), "settlement_amount.currency"),
        (vec!["kind"], json!(MARK), "kind"),
        (vec!["channel"], json!(MARK), "channel"),
        (vec!["card"], json!({"pan": "4111111111111112"}), "card.pan"),
        (vec!["card"], json!({"pan": MARK}), "card.pan"),
        (vec!["card"], json!({"pan": 4111111111111111u64}), "card.pan"),
        (vec!["card"], json!({"pan": "4111111111111111", "token": MARK}), "card"),
        (vec!["card"], json!([MARK]), "card"),
        (vec!["account"], json!({"iban": "DE89370400440532013001"}), "account.iban"),
        (vec!["account"], json!({"number": MARK}), "account.bank"),
        (vec!["payee"], json!({"account": {"iban": MARK}}), "payee.account.iban"),
        (vec!["device"], json!({"ip": "203.0.113.256"}), "device.ip"),
        (vec!["email"], json!(MARK), "email"),
        (vec!["phone"], json!(MARK), "phone"),
        (vec!["merchant", "mcc"], json!(MARK), "merchant.mcc"),
        (vec!["merchant", "country"], json!("XX"), "merchant.country"),
        (vec!["refs"], json!({"uetr": MARK}), "refs.uetr"),
        (vec!["text"], json!(long), "text"),
        (vec!["payee"], json!({"name": long}), "payee.name"),
        (vec!["deadline_ms"], json!(-1), "deadline_ms"),
        (vec!["settles_at"], json!(MARK), "settles_at"),
        (vec!["id"], json!(""), "id"),
        (vec!["id"], json!("a\u{7}b"), "id"),
        (vec!["tenant"], json!(""), "tenant"),
        (vec!["merchnt"], json!({"id": MARK}), "merchnt"),
        (vec!["merchant", "nmae"], json!(MARK), "merchant.nmae"),
        (vec!["card"], json!({"token": "t", "cvv": MARK}), "card.cvv"),
        (vec!["cvv2"], json!(MARK), "cvv2"),
        (vec!["track2"], json!(MARK), "track2"),
    ];
    for (path, value, field) in cases {
        let reply = probe.decide(&with(&path, value.clone()));
        let told = problem(&reply, 422);
        assert_eq!(told["field"], field, "{value}: {told}");
        assert!(told["expected"].as_str().is_some_and(|text| !text.is_empty()), "{told}");
        assert!(!reply.text.contains(MARK) && !reply.text.contains("411111111"), "{told}");
    }
    let near = |path: &[&str]| problem(&probe.decide(&with(path, json!("x"))), 422)["expected"].clone();
    assert!(near(&["merchnt"]).as_str().unwrap().contains("merchant"));
    assert!(near(&["merchant", "nmae"]).as_str().unwrap().contains("merchant.name"));
    let told = near(&["cvv"]);
    assert!(told.as_str().unwrap().contains("not accepted"), "{told}");
    let exact = probe.decide(&with(&["text"], json!("x".repeat(4096))));
    assert_eq!(exact.status, 200, "4 KiB are allowed: {}", exact.text);
    assert_eq!(
        probe.decide(&with(&["amount", "minor"], json!(0))).status,
        409,
        "zero is fine, if another payment"
    );
}

#[test]
fn a_wrong_number_is_told_by_its_field_however_it_is_written() {
    let probe = Probe::start();
    for minor in ["1e3", "1.0", "123456789012345678901234567890", "1e999", "-0.5", "true", "[]", "{}"] {
        let body = format!(
            r#"{{"time":"2018-04-01T12:00:00Z","amount":{{"minor":{minor},"currency":"EUR"}},"merchant":{{"id":"M"}}}}"#
        );
        let reply = probe.client.send("POST", "/v1/decisions", &[], body).unwrap();
        let told = problem(&reply, 422);
        assert_eq!(told["field"], "amount.minor", "{minor}: {told}");
        assert!(!reply.text.contains("1234567890"), "{told}");
    }
}

#[test]
fn what_is_not_json_is_400() {
    let probe = Probe::start();
    let good = payment(json!({"id": MARK})).to_string();
    let deep = |n: usize| format!("{}\"{MARK}\"{}", "[".repeat(n), "]".repeat(n));
    let mut bad_utf8 = good.replace(MARK, "@").into_bytes();
    let at = bad_utf8.iter().position(|byte| *byte == b'@').unwrap();
    bad_utf8[at] = 0xff;
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("no JSON", MARK.into()),
        ("cut", good.as_bytes()[..good.len() - 1].to_vec()),
        ("trailing", format!("{good} {MARK}").into()),
        ("two values", format!("{good}{good}").into()),
        ("bad UTF-8", bad_utf8),
        ("a field twice", good.replacen('{', &format!("{{\"id\":\"{MARK}2\","), 1).into()),
        ("a lone surrogate", good.replace(MARK, "\\ud800").into()),
        ("deep, unknown field", good.replacen('{', &format!("{{\"x\":{},", deep(100_000)), 1).into()),
        ("unclosed batch", format!("[{good}").into()),
    ];
    for (name, body) in cases {
        let reply = probe.client.send("POST", "/v1/decisions", &[], body).unwrap();
        assert!(matches!(reply.status, 400 | 422), "{name}: {} {}", reply.status, reply.text);
        // What nests too deep may be refused for its name before its depth is reached.
        problem(&reply, if name.starts_with("deep") { reply.status } else { 400 });
        assert!(!reply.text.contains(MARK), "{name}: {}", reply.text);
    }
    assert_eq!(probe.decide(&payment(json!({"id": MARK}))).status, 200, "and the node lives on");
}

#[test]
fn a_body_over_a_mebibyte_is_413_and_one_of_a_mebibyte_is_read() {
    let probe = Probe::start();
    let padded = |bytes: usize| {
        let good = payment(json!({})).to_string();
        format!("{good}{}", " ".repeat(bytes - good.len()))
    };
    for (bytes, status) in [(1 << 20, 200), ((1 << 20) + 1, 413)] {
        for path in ["/v1/decisions", "/v1/labels"] {
            let reply = probe.client.send("POST", path, &[], padded(bytes)).unwrap();
            match (path, status) {
                ("/v1/labels", 200) => assert_eq!(reply.status, 422, "no array: {}", reply.text),
                (_, 200) => assert_eq!(reply.status, 200, "{}", reply.text),
                _ => drop(problem(&reply, 413)),
            }
        }
    }
    // One that says it is longer is refused as soon as the bound is passed, not when all of it has come.
    let mut stream = std::net::TcpStream::connect(probe.node.address()).unwrap();
    let head = format!("POST /v1/decisions HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", 64 << 20);
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(padded((1 << 20) + 2).as_bytes()).unwrap();
    let mut answer = String::new();
    // Whatever ends the connection after the answer is of no interest.
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("application/problem+json"), "{answer}");
    let many: Vec<Value> = (0..1001).map(|_| json!({})).collect();
    problem(&probe.decide(&json!(many)), 413);
    assert_eq!(probe.decide(&json!(many[..1000])).status, 200, "each of them is a problem of its own");
}

#[test]
fn wrong_headers_and_unknown_calls_are_told() {
    let probe = Probe::start();
    let body = payment(json!({}));
    let told = problem(&probe.decide_with(&[("Interdict-Deadline-Ms", "soon")], &body), 422);
    assert_eq!(told["field"], "Interdict-Deadline-Ms");
    let told = problem(&probe.decide_with(&[("Idempotency-Key", "")], &body), 422);
    assert_eq!(told["field"], "Idempotency-Key");
    let long = "k".repeat(257);
    problem(&probe.decide_with(&[("Idempotency-Key", &long)], &body), 422);
    problem(&probe.decide_with(&[("Interdict-Tenant", "")], &body), 422);
    problem(&probe.client.get("/v1/nothing").unwrap(), 404);
    problem(&probe.client.get("/").unwrap(), 404);
    let method = probe.client.send("DELETE", "/v1/decisions", &[], "").unwrap();
    problem(&method, 405);
    assert_eq!(method.header("allow"), Some("POST"));
    let path = probe.client.get("/v1/decisions/%ff4111111111111111").unwrap();
    problem(&path, 400);
    assert!(!path.text.contains("41111"), "{}", path.text);
}

#[test]
fn a_wrong_request_changes_nothing() {
    let probe = Probe::start();
    let sequence = |probe: &Probe| probe.client.get("/v1/status").unwrap().json()["sequence"].clone();
    let before = sequence(&probe);
    let _ = probe.decide(&with(&["amount", "minor"], json!(-1)));
    let _ = probe.client.send("POST", "/v1/decisions", &[], "{").unwrap();
    let _ = probe
        .client
        .post("/v1/labels", &json!([{"id": "never", "label": "fraud", "time": "2018-04-01T00:00:00Z"}]));
    assert_eq!(sequence(&probe), before);
}
