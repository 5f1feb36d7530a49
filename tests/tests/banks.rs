//! Banks of labelled payments through the whole node: they learn from labels, rules and models read what they say, the
//! answer names it, and `verify` and a restarted node come to the same.
#![allow(clippy::unwrap_used)]

use interdict_tests::blackbox::{payment, probe, write};
use interdict_tests::node::Start;
use serde_json::{Value, json};
use std::process::Command;

const BINARY: &str = env!("CARGO_BIN_EXE_interdict-under-test");

const BANKS: &str = "banks:
  - id: fraud_like
    kind: fingerprint
    doc: payments that share merchant code, country and channel with labelled ones
    attributes: [merchant.mcc, merchant.country, channel, {slot: amount.minor, steps: [1000, 10000, 100000]}]
    range: 40
    k: 4
";
const RULES: &str = "rules:
  - id: near_fraud
    title: As good as a known fraud
    when: similar.fraud_like.best >= 250 && similar.fraud_like.fraud_share >= 500
    outcome: hold
    score: similar.fraud_like.fraud_share
    code: NEAR_FRAUD
    examples:
      hit: [{similar.fraud_like.best: 256, similar.fraud_like.fraud_share: 1000}]
      miss: [{similar.fraud_like.best: 100, similar.fraud_like.fraud_share: 1000}]
";

fn like(id: &str, mcc: &str) -> Value {
    payment(json!({"id": id, "channel": "ecommerce", "merchant": {"id": "M-1", "mcc": mcc, "country": "FR"}}))
}

#[test]
fn a_label_teaches_and_the_next_payment_like_it_is_held() {
    let dir = tempfile::tempdir().unwrap();
    let config = probe(dir.path(), "");
    write(&dir.path().join("probe/banks.yaml"), BANKS);
    write(&dir.path().join("probe/rules/near.yaml"), RULES);
    let data = dir.path().join("data");
    let node = Start::new(BINARY, &config, &data).start().unwrap();
    let client = node.client();
    let decide = |body: &Value| client.post("/v1/decisions", body).unwrap().json();
    let first = decide(&like("a", "5967"));
    assert_eq!(first["outcome"], "approve", "nothing is known yet: {first}");
    let label = json!([{"id": "a", "label": "fraud", "time": "2026-03-15T00:00:00Z"}]);
    assert_eq!(client.post("/v1/labels", &label).unwrap().status, 200);
    let held = decide(&like("b", "5967"));
    assert_eq!((&held["outcome"], &held["score"]), (&json!("hold"), &json!(1000)), "{held}");
    let detail = &held["reasons"][0]["detail"];
    assert_eq!(detail["similar.fraud_like.best"], 256, "{held}");
    assert_eq!(decide(&like("c", "5411"))["outcome"], "approve", "another kind of shop");
    let good = json!([{"id": "a", "label": "good", "time": "2026-03-16T00:00:00Z"}]);
    assert_eq!(client.post("/v1/labels", &good).unwrap().status, 200);
    let freed = decide(&like("d", "5967"));
    assert_eq!(freed["outcome"], "approve", "a later label takes the place of the earlier: {freed}");
    assert_eq!(client.post("/v1/labels", &label).unwrap().status, 200);
    let again = decide(&like("b", "5967"));
    assert_eq!((&again["outcome"], &again["meta"]["replayed"]), (&json!("hold"), &json!(true)));
    assert_eq!(again["reasons"], held["reasons"], "what the bank said then is told, not what it says now");
    // kill -9: the banks are rebuilt from the journal.
    drop(node);
    let verify = Command::new(BINARY).args(["verify", "--json", "--data"]).arg(&data).output().unwrap();
    let summary: Value = serde_json::from_slice(&verify.stdout).unwrap();
    assert_eq!((&summary["equal"], &summary["different"]), (&json!(4), &json!(0)), "{summary}");
    let node = Start::new(BINARY, &config, &data).start().unwrap();
    let after = node.client().post("/v1/decisions", &like("e", "5967")).unwrap().json();
    assert_eq!((&after["outcome"], &after["score"]), (&json!("hold"), &json!(1000)), "{after}");
}
