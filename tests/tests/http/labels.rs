//! Labels: by id and by sequence, each element on its own, within the tenant.

use super::{Probe, problem};
use interdict_tests::blackbox::payment;
use serde_json::json;

#[test]
fn labels_name_a_payment_by_id_or_sequence_and_an_unknown_one_is_a_problem_in_its_place() {
    // Without a window, whose hunt would hold what is labelled, with an event of its own between these.
    let mut probe = Probe::configured("\n[window]\nenabled = false\n");
    let one = probe.verdict(&payment(json!({"id": "one"})));
    let two = probe.decide_with(&[("Idempotency-Key", "k-2")], &payment(json!({"id": "two"}))).json();
    let time = "2018-04-09T00:00:00Z";
    let labels = json!([
        {"id": "one", "label": "fraud", "time": time},
        {"sequence": two["sequence"], "label": "good", "time": time},
        {"id": "never", "label": "fraud", "time": time},
        {"id": "one", "label": "maybe", "time": time},
        {"id": "two", "label": "fraud", "time": time},
        {"sequence": 999_999, "label": "fraud", "time": time},
        {"id": "one", "sequence": 1, "label": "fraud", "time": time},
    ]);
    let reply = probe.client.post("/v1/labels", &labels).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text);
    let answers = reply.json();
    assert_eq!(answers.as_array().unwrap().len(), 7, "{answers}");
    assert_eq!(answers[0]["sequence"], one["sequence"]);
    assert_eq!(answers[1]["sequence"], two["sequence"]);
    assert_eq!(answers[4]["sequence"], two["sequence"], "by its id, though a header key won over it");
    assert!(answers[1]["label_sequence"].as_u64() > answers[0]["label_sequence"].as_u64(), "{answers}");
    for (at, status) in [(2, 404), (3, 422), (5, 404), (6, 422)] {
        assert_eq!(answers[at]["status"], status, "{at}: {answers}");
        assert!(
            answers[at]["detail"].is_string() && answers[at].get("label_sequence").is_none(),
            "{answers}"
        );
    }
    let next = probe.verdict(&payment(json!({})));
    assert_eq!(next["sequence"].as_u64(), answers[4]["label_sequence"].as_u64().map(|s| s + 1));
    problem(&probe.client.post("/v1/labels", &json!({"id": "one"})).unwrap(), 422);
    probe.restart();
    let after =
        probe.client.post("/v1/labels", &json!([{"id": "one", "label": "good", "time": time}])).unwrap();
    assert_eq!(after.json()[0]["sequence"], one["sequence"], "ids are known after a restart: {}", after.text);
}

#[test]
fn a_tenant_labels_its_own_payments_only() {
    let probe = Probe::start();
    let acme = probe.verdict(&payment(json!({"id": "one", "tenant": "acme"})));
    let label = |tenant: &str, target: serde_json::Value| {
        let mut label = target;
        label["label"] = json!("fraud");
        label["time"] = json!("2018-04-09T00:00:00Z");
        let headers = [("Interdict-Tenant", tenant)];
        probe.client.send("POST", "/v1/labels", &headers, json!([label]).to_string()).unwrap().json()[0]
            .clone()
    };
    assert_eq!(label("other", json!({"id": "one"}))["status"], 404);
    assert_eq!(
        label("other", json!({"sequence": acme["sequence"]}))["status"],
        404,
        "nor by a number it guessed"
    );
    assert_eq!(label("acme", json!({"id": "one"}))["sequence"], acme["sequence"]);
    assert_eq!(label("acme", json!({"sequence": acme["sequence"]}))["sequence"], acme["sequence"]);
}
