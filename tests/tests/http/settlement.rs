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
fn what_was_learned_between_two_calls_changes_only_what_has_not_gone() {
    // Nobody hunts.
    let probe = Probe::holding("\n[window]\nenabled = false\n");
    let settles = json!({"settles_at": "2100-01-01T00:00:00Z"});
    probe.pay("gone", 1000, settles.clone());
    probe.pay("late", 1000, settles);
    assert_eq!(probe.clear(json!(["gone"])), ["go"]);
    // Something is learned, and not hunted through.
    let learned = probe.client.put("/v1/lists/found/entries", &json!([{"merchant": {"id": "M-9"}}])).unwrap();
    assert_eq!(learned.status, 200, "{}", learned.text);
    assert_eq!(probe.clear(json!(["gone", "late"])), ["go", "held"]);
    // It counts for those that settle later only, and for none that came after it.
    probe.pay("now", 1000, json!({"settles_at": "2020-01-01T00:00:00Z"}));
    probe.pay("after", 1000, json!({"settles_at": "2100-01-01T00:00:00Z"}));
    assert_eq!(probe.clear(json!(["now", "after"])), ["go", "go"]);
}

#[test]
fn a_hold_between_two_calls_changes_only_what_has_not_gone() {
    let probe = Probe::holding("");
    let of = |merchant: &str| json!({"settles_at": "2100-01-01T00:00:00Z", "merchant": {"id": merchant}});
    for (id, merchant) in [("gone", "M-9"), ("late", "M-9"), ("good", "M-8")] {
        probe.pay(id, 1000, of(merchant));
    }
    assert_eq!(probe.clear(json!(["gone"])), ["go"]);
    let learned = probe.client.put("/v1/lists/found/entries", &json!([{"merchant": {"id": "M-9"}}])).unwrap();
    assert_eq!(learned.status, 200, "{}", learned.text);
    let through = learned.json()["sequence"].as_u64().unwrap() - 1;
    let began = std::time::Instant::now();
    let answer = loop {
        let answer = probe
            .client
            .post("/v1/settlement/clear", &json!({"ids": ["gone", "late", "good"]}))
            .unwrap()
            .json();
        if answer["hunted_through"].as_u64() >= Some(through) {
            break answer;
        }
        assert!(began.elapsed().as_secs() < 60, "{answer}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let states: Vec<_> = answer["results"].as_array().unwrap().iter().map(|one| &one["state"]).collect();
    assert_eq!(json!(states), json!(["go", "held", "go"]));
    // What had gone is a case, and what it was told it is told again.
    let found = probe.client.get("/v1/holds?reason=found").unwrap().json();
    let told: Vec<_> = found["holds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hold| [&hold["payment"]["id"], &hold["state"]])
        .collect();
    assert_eq!(json!(told), json!([["gone", "too_late"], ["late", "held"]]));
    let hold = probe.hold(found["holds"][1]["id"].as_str().unwrap());
    assert_eq!((&hold["learned"]["kind"], &hold["learned"]["name"]), (&json!("list"), &json!("found")));
    assert_eq!(hold["reasons"][0]["detail"]["list"], "found");
    assert_eq!(probe.clear(json!(["gone"])), ["go"]);
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

/// Fully reversed is nothing to settle, held or not; a challenge is a soft decline, and whoever passes it comes again.
#[test]
fn nothing_settles_that_was_taken_back_or_was_only_challenged() {
    let mut probe = Probe::holding("");
    let back = |id: &str, original: &str, minor: i64| {
        let refs = json!({"kind": "reversal", "refs": {"original": original}});
        probe.pay(id, minor, refs);
    };
    for id in ["whole", "parts", "some", "kept", "again"] {
        probe.pay(id, 1000, json!({}));
    }
    back("b-1", "whole", 1000);
    back("b-2", "parts", 400);
    back("b-3", "parts", 600);
    back("b-4", "some", 999);
    // One that comes before its payment.
    back("b-5", "early", 1000);
    probe.pay("early", 1000, json!({}));
    // What it came to in the end is said after its reversal.
    back("b-6", "again", 1000);
    probe.pay("c-1", 300, json!({"kind": "completion", "refs": {"original": "again"}}));
    // The customer was asked, and the authenticated payment is one of its own; or what happened is a completion.
    assert_eq!(probe.pay("asked", 60_600, json!({}))["outcome"], "challenge");
    probe.pay("passed", 60_601, json!({"refs": {"original": "asked"}}));
    assert_eq!(probe.pay("asked-2", 60_600, json!({}))["outcome"], "challenge");
    probe.pay("done", 60_600, json!({"kind": "completion", "refs": {"original": "asked-2"}}));
    let ids = json!([
        "whole", "parts", "some", "kept", "early", "again", "c-1", "asked", "passed", "asked-2", "done"
    ]);
    let expected = ["held", "held", "go", "go", "held", "go", "go", "held", "go", "held", "go"];
    for round in 0..2 {
        assert_eq!(probe.clear(ids.clone()), expected, "round {round}");
        probe.restart();
    }
    // What has gone has gone: it left before it was taken back.
    probe.pay("b-7", 1000, json!({"kind": "reversal", "refs": {"original": "kept"}}));
    assert_eq!(probe.clear(json!(["kept"])), ["go"]);
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
