//! The settlement gate from outside: what each payment is told, and that it is told the same again.

use super::holds::hold_of;
use super::{Probe, problem};
use interdict_tests::blackbox::payment;
use serde_json::{Value, json};

#[test]
fn each_id_is_answered_in_its_place_whatever_it_is() {
    let mut probe = Probe::holding("");
    let good = probe.pay("good", 1000, json!({}));
    probe.pay("held", 90_000, json!({}));
    probe.pay("refused", 990_000, json!({}));
    probe.pay("advice", 1000, json!({"kind": "advice"}));
    probe.pay("refund", 1000, json!({"kind": "refund"}));
    let unnamed = probe.verdict(&payment(json!({})));
    let made_up = format!("seq-{}", unnamed["sequence"]);
    let sequence = good["sequence"].as_u64().unwrap();
    let ids = json!([
        "nobody",
        "good",
        "held",
        "refused",
        "advice",
        "refund",
        made_up,
        sequence,
        format!("@{sequence}"),
        "@999999",
        999_999,
        0,
        1,
        "@",
        "",
        "good"
    ]);
    let expected = [
        "unknown", "go", "held", "held", "go", "go", "go", "go", "go", "unknown", "unknown", "unknown",
        "unknown", "unknown", "unknown", "go",
    ];
    for round in 0..3 {
        assert_eq!(probe.clear(ids.clone()), expected, "round {round}");
        if round == 1 {
            probe.restart();
        }
    }
    assert!(probe.clear(json!([])).is_empty());
    problem(&probe.client.post("/v1/settlement/clear", &json!({"ids": ["good", -1]})).unwrap(), 422);
    problem(&probe.client.post("/v1/settlement/clear", &json!({"ids": vec![1; 10_001]})).unwrap(), 413);
}

#[test]
fn a_hold_between_two_calls_changes_only_what_has_not_gone() {
    let probe = Probe::holding("");
    let settles = json!({"settles_at": "2100-01-01T00:00:00Z"});
    probe.pay("gone", 1000, settles.clone());
    probe.pay("late", 1000, settles);
    assert_eq!(probe.clear(json!(["gone"])), ["go"]);
    // Something is learned, and nobody has hunted it yet.
    let learned = probe.client.put("/v1/lists/found/entries", &json!([{"merchant": {"id": "M-9"}}])).unwrap();
    assert_eq!(learned.status, 200, "{}", learned.text);
    assert_eq!(probe.clear(json!(["gone", "late"])), ["go", "held"]);
    // It counts for those that settle later only, and for none that came after it.
    probe.pay("now", 1000, json!({"settles_at": "2020-01-01T00:00:00Z"}));
    probe.pay("after", 1000, json!({"settles_at": "2100-01-01T00:00:00Z"}));
    assert_eq!(probe.clear(json!(["now", "after"])), ["go", "go"]);
}

#[test]
fn a_release_after_the_cut_off_lets_it_go_and_a_hit_without_a_lever_is_too_late() {
    let probe = Probe::holding("");
    // Settled long ago: there is nothing to hold, only a case.
    let past = json!({"settles_at": "2020-01-01T00:00:00Z"});
    let case = hold_of(&probe.pay("past", 90_000, past));
    assert_eq!(probe.hold(&case)["state"], "too_late");
    // A channel without a lever.
    let free = hold_of(&probe.pay("free", 90_000, json!({"channel": "chip"})));
    let hold = probe.hold(&free);
    assert_eq!(
        (&hold["state"], &hold["lever"], &hold["kind"]),
        (&json!("too_late"), &json!("none"), &Value::Null)
    );
    assert_eq!(probe.clear(json!(["past", "free"])), ["too_late", "too_late"]);
    problem(&probe.act(&free, "release", json!({})), 409);
    // A sanctions hold outlives its cut-off; when two say it is no match, it goes after all.
    let soon = interdict_tests::blackbox::after_ms(1500);
    let listed = hold_of(&probe.pay("listed", 77_700, json!({"settles_at": soon})));
    assert_eq!(probe.hold(&listed)["state"], "held");
    std::thread::sleep(std::time::Duration::from_millis(1600));
    assert_eq!(probe.clear(json!(["listed"])), ["held"]);
    for who in ["anna", "ben"] {
        probe.done(&listed, "false-match", json!({"comment": "no match", "who": who}));
    }
    assert_eq!(probe.clear(json!(["listed"])), ["go"]);
}

#[test]
fn ten_thousand_ids_in_one_call_and_again() {
    let probe = Probe::holding("");
    for batch in 0..3 {
        let body: Vec<Value> = (0..1000).map(|n| payment(json!({"id": format!("p-{batch}-{n}")}))).collect();
        assert_eq!(probe.decide(&json!(body)).status, 200);
    }
    probe.pay("held", 90_000, json!({}));
    let mut ids: Vec<String> = (0..3).flat_map(|b| (0..1000).map(move |n| format!("p-{b}-{n}"))).collect();
    ids.push("held".into());
    ids.extend((0..6999).map(|n| format!("unknown-{n}")));
    assert_eq!(ids.len(), 10_000);
    let first = probe.clear(json!(ids));
    let count = |state: &str| first.iter().filter(|one| *one == state).count();
    assert_eq!((count("go"), count("held"), count("unknown")), (3000, 1, 6999));
    assert_eq!(first[3000], "held");
    assert_eq!(probe.clear(json!(ids)), first);
}
