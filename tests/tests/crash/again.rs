//! What an answer given again must not lose: the list entry it names, when that has ended and been forgotten, and the
//! way to a payment that was no request.

use super::BINARY;
use super::load::canonical;
use interdict_tests::node::{Start, default_config};
use serde_json::{Value, json};

fn payment(id: &str, kind: &str) -> Value {
    json!({
        "id": id, "kind": kind, "time": "2026-03-02T08:00:00Z", "amount": {"minor": 1200, "currency": "EUR"},
        "channel": "ecommerce", "card": {"pan": "4111111111111111"}, "merchant": {"id": "M-1"}
    })
}

#[test]
fn an_answer_names_its_list_entry_after_the_entry_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let start = Start::new(BINARY, default_config(), folder.path().join("data"));
    let node = start.start().unwrap();
    let client = node.client();
    // One list that the configuration has, one that the delta makes.
    let card = json!({"pan": "4111111111111111"});
    for list in ["stolen_cards", "made_here"] {
        let entry = json!([{"card": card, "effect": "block", "reason": "reported", "severity": 7}]);
        assert_eq!(client.put(&format!("/v1/lists/{list}/entries"), &entry).unwrap().status, 200);
    }
    let body = payment("a", "request");
    let first = canonical(&client.post("/v1/decisions", &body).unwrap().json());
    let told: Vec<&Value> = first["reasons"].as_array().unwrap().iter().collect();
    for list in ["lists/stolen_cards", "lists/made_here"] {
        let reason = told.iter().find(|reason| reason["rule"] == list).unwrap();
        assert_eq!(reason["detail"]["reason"], "reported", "{first}");
    }
    for list in ["stolen_cards", "made_here"] {
        let (path, subjects) = (format!("/v1/lists/{list}/entries"), json!([{"card": card}]).to_string());
        let ended = client.send("DELETE", &path, &[("content-type", "application/json")], subjects);
        assert_eq!(ended.unwrap().status, 200);
    }
    // A publication keeps only what is in force.
    assert_eq!(client.post("/v1/generations", &json!({})).unwrap().status, 200);
    assert_eq!(canonical(&client.post("/v1/decisions", &body).unwrap().json()), first);
    let read = client.get("/v1/decisions/a").unwrap().json();
    assert_eq!(canonical(&read), first);
    assert!(!read["explanation"].to_string().contains("no longer known"), "{read}");
    drop(node);
    let node = start.start().unwrap();
    assert_eq!(canonical(&node.client().post("/v1/decisions", &body).unwrap().json()), first);
}

#[test]
fn an_advice_is_read_and_labelled_by_its_own_id() {
    let folder = tempfile::tempdir().unwrap();
    let node = Start::new(BINARY, default_config(), folder.path().join("data")).start().unwrap();
    let client = node.client();
    for kind in ["advice", "completion", "refund", "reversal"] {
        let answer = client.post("/v1/decisions", &payment(kind, kind)).unwrap().json();
        let read = client.get(&format!("/v1/decisions/{kind}")).unwrap();
        assert_eq!((read.status, canonical(&read.json())), (200, canonical(&answer)), "{}", read.text);
        let label = json!([{"id": kind, "label": "fraud", "time": "2026-03-03T08:00:00Z"}]);
        let labelled = client.post("/v1/labels", &label).unwrap().json();
        assert_eq!(labelled[0]["sequence"], answer["sequence"], "{kind}: {labelled}");
    }
    // The request's own identity comes first where several messages share an id.
    for kind in ["request", "advice"] {
        client.post("/v1/decisions", &payment("shared", kind)).unwrap();
    }
    let request = client.post("/v1/decisions", &payment("shared", "request")).unwrap().json();
    assert_eq!(canonical(&client.get("/v1/decisions/shared").unwrap().json()), canonical(&request));
}
