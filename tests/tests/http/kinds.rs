//! Every row of docs/formats/kinds.md from outside: what a message of each kind is answered, what it does to the sums
//! and counts of its card, and what becomes of one that comes too early, too late, twice or for too much.

use super::{BINARY, Probe, canonical, problem};
use interdict_tests::blackbox::{payment, probe, run, text, write};
use interdict_tests::node::Start;
use serde_json::{Value, json};
use tempfile::TempDir;

const FEATURES: &str = "\
features:
  - {name: spent, key: card, windows: [1h], aggregates: [count, sum], currency: EUR}
  - {name: asked, key: card, windows: [1h], aggregates: [sum], currency: EUR, on_reversal: keep}
  - {name: back, key: card, windows: [1h], aggregates: [count, sum], currency: EUR, kinds: [refund]}
";

/// One rule tells the counts of every message, the other stops large ones.
const RULES: &str = "\
rules:
  - id: tell
    title: What was counted
    when: >
      features.spent.count_1h >= 0 && features.spent.sum_1h >= 0 && features.asked.sum_1h >= 0
      && features.back.count_1h >= 0 && features.back.sum_1h >= 0
    outcome: review
    score: 1
    code: COUNTED
    audience: internal
    examples:
      hit:
        - {features.spent.count_1h: 0, features.spent.sum_1h: 0, features.asked.sum_1h: 0,
           features.back.count_1h: 0, features.back.sum_1h: 0}
      miss:
        - {features.spent.count_1h: -1, features.spent.sum_1h: 0, features.asked.sum_1h: 0,
           features.back.count_1h: 0, features.back.sum_1h: 0}
  - id: stop
    title: Too much
    when: amount.minor >= 90000
    outcome: decline
    score: 900
    code: TOO_MUCH
    audience: internal
    examples:
      hit:
        - {amount.minor: 90000}
      miss:
        - {amount.minor: 89999}
";

fn start() -> Probe {
    let dir = TempDir::new().unwrap();
    let config = probe(dir.path(), "");
    write(&dir.path().join("probe/features.yaml"), FEATURES);
    write(&dir.path().join("probe/rules/rules.yaml"), RULES);
    let node = Start::new(BINARY, &config, dir.path().join("data")).start().unwrap();
    let probe = Probe { client: node.client(), node, dir, config };
    // Windows are covered from the first payment on, so that one comes long before.
    probe.verdict(&payment(json!({"time": "2018-03-01T00:00:00Z"})));
    probe
}

/// A message about card `c`, at noon and some seconds.
fn message(kind: &str, id: &str, second: u32, minor: i64, more: Value) -> Value {
    let mut body = payment(json!({
        "id": id, "kind": kind, "card": {"token": "c"},
        "time": format!("2018-04-01T12:{:02}:{:02}Z", second / 60, second % 60),
        "amount": {"minor": minor, "currency": "EUR"},
    }));
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn after(original: impl Into<Value>) -> Value {
    json!({"refs": {"original": original.into()}})
}

/// Counts as an answer tells them: spent count and sum, sum as asked, refunds' count and sum.
fn told(answer: &Value) -> [i64; 5] {
    let reason = answer["reasons"].as_array().unwrap().iter().find(|reason| reason["code"] == "COUNTED");
    let detail = &reason.unwrap_or_else(|| panic!("nothing was counted: {answer}"))["detail"];
    ["spent.count", "spent.sum", "asked.sum", "back.count", "back.sum"]
        .map(|name| detail[format!("features.{name}_1h")].as_i64().unwrap())
}

/// What the card has spent, seen by a refund of nothing, which itself counts only among refunds.
fn look(probe: &Probe, second: u32) -> [i64; 3] {
    let body = message("refund", "", second, 0, json!({"id": null}));
    told(&probe.verdict(&body))[..3].try_into().unwrap()
}

fn metric(probe: &Probe, name: &str) -> u64 {
    let text = probe.client.get("/metrics").unwrap().text;
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    line.unwrap_or_else(|| panic!("no {name}")).rsplit(' ').next().unwrap().parse().unwrap()
}

fn became(probe: &Probe, kind: &str, result: &str) -> u64 {
    metric(probe, &format!("interdict_follow_ups_total{{kind=\"{kind}\",result=\"{result}\"}}"))
}

/// Ends the node; every verdict of its folder comes out the same again.
fn verified(mut probe: Probe) {
    assert!(probe.node.terminate().unwrap().success());
    let done = run(BINARY, &["verify", "--data", text(&probe.data()), "--json"]);
    let summary = done.summary();
    assert_eq!((done.code, &summary["different"]), (0, &json!(0)), "{}{}", done.stdout, done.stderr);
    assert!(summary["checked"].as_u64() > Some(0) && summary["checked"] == summary["equal"], "{summary}");
}

#[test]
fn a_repeat_is_the_request_it_repeats_whichever_comes_first() {
    let probe = start();
    let repeat = probe.verdict(&message("repeat", "a", 1, 1000, json!({})));
    assert_eq!((&repeat["outcome"], &repeat["meta"]["replayed"]), (&json!("review"), &json!(false)));
    let request = probe.verdict(&message("request", "a", 1, 1000, json!({})));
    assert_eq!(request["meta"]["replayed"], true);
    assert_eq!(canonical(&request), canonical(&repeat));
    assert_eq!(look(&probe, 2), [1, 1000, 1000], "counted once");
    verified(probe);
}

#[test]
fn every_kind_sent_twice_is_answered_once_and_counted_once_also_after_a_restart() {
    let mut probe = start();
    probe.verdict(&message("request", "paid", 1, 1000, json!({})));
    let twice = [
        message("request", "x", 2, 100, json!({})),
        message("advice", "x", 3, 100, json!({})),
        message("completion", "x", 4, 700, after("paid")),
        message("reversal", "x", 5, 200, after("paid")),
        message("refund", "x", 6, 30, after("paid")),
    ];
    let first: Vec<Value> = twice.iter().map(|body| probe.verdict(body)).collect();
    for round in 0..2 {
        for (body, first) in twice.iter().zip(&first) {
            let again = probe.verdict(body);
            assert_eq!(again["meta"]["replayed"], true, "round {round}: {again}");
            assert_eq!(canonical(&again), canonical(first));
            assert_eq!(again["meta"]["would_be"], first["meta"]["would_be"]);
        }
        if round == 0 {
            probe.restart();
        }
    }
    let changed = message("reversal", "x", 5, 201, after("paid"));
    problem(&probe.decide(&changed), 409);
    let counted = told(&probe.verdict(&message("refund", "y", 7, 0, json!({}))));
    // paid 1000, completed by 700, 200 of it reversed; one request and one advice of 100.
    assert_eq!(counted, [3, 700, 1200, 2, 30]);
    verified(probe);
}

#[test]
fn an_advice_is_a_fact_that_counts_and_says_what_it_would_have_been() {
    let probe = start();
    let quiet = probe.verdict(&message("advice", "a", 1, 1000, json!({})));
    assert_eq!((&quiet["outcome"], &quiet["meta"]["would_be"]), (&json!("recorded"), &json!("review")));
    assert_eq!(told(&quiet)[..2], [1, 1000]);
    let loud = probe.verdict(&message("advice", "b", 2, 90_000, json!({})));
    assert_eq!((&loud["outcome"], &loud["meta"]["would_be"]), (&json!("recorded"), &json!("decline")));
    assert_eq!((&loud["score"], &loud["reasons"][0]["rule"]), (&json!(900), &json!("probe/stop")));
    assert_eq!(look(&probe, 3)[..2], [2, 91_000]);
    let read = probe.client.get("/v1/decisions/b").unwrap().json();
    assert_eq!(read["meta"]["would_be"], "decline");
    let story = read["explanation"]["text"].as_str().unwrap();
    assert!(story.contains("as a request its outcome would have been decline"), "{story}");
    let request = probe.verdict(&message("request", "c", 4, 90_000, json!({})));
    assert_eq!((&request["outcome"], &request["meta"]["would_be"]), (&json!("decline"), &Value::Null));
    verified(probe);
}

#[test]
fn a_completion_takes_the_place_of_what_was_authorised_and_is_no_second_attempt() {
    let probe = start();
    probe.verdict(&message("request", "p", 1, 5000, json!({})));
    let completion = probe.verdict(&message("completion", "p", 2, 7000, after("p")));
    assert_eq!(completion["outcome"], "recorded");
    assert_eq!(told(&completion)[..3], [1, 7000, 5000], "its own stamps see it");
    probe.verdict(&message("completion", "p-2", 3, 1000, after("p")));
    assert_eq!(look(&probe, 4), [1, 8000, 5000], "a further one adds; `keep` keeps what was asked for");
    // A reversed completion is taken off what it completed.
    probe.verdict(&message("reversal", "r", 5, 1000, after("p-2")));
    assert_eq!(look(&probe, 6), [1, 7000, 5000]);
    // Without a preauthorisation it is recorded, and counts nowhere by default.
    let alone = probe.verdict(&message("completion", "alone", 7, 300, json!({})));
    assert_eq!(alone["outcome"], "recorded");
    assert_eq!((look(&probe, 8), became(&probe, "completion", "no_original")), ([1, 7000, 5000], 1));
    assert_eq!(became(&probe, "completion", "matched"), 2);
    verified(probe);
}

#[test]
fn a_refund_is_decided_and_never_spent() {
    let probe = start();
    probe.verdict(&message("request", "p", 1, 5000, json!({})));
    let refund = probe.verdict(&message("refund", "p", 2, 2000, after("p")));
    assert_eq!((&refund["outcome"], &refund["meta"]["would_be"]), (&json!("review"), &Value::Null));
    assert_eq!(told(&refund), [1, 5000, 5000, 1, 2000]);
    assert_eq!(probe.verdict(&message("refund", "q", 3, 90_000, json!({})))["outcome"], "decline");
    // A refund taken back is taken off the refunds.
    probe.verdict(&message("reversal", "r", 4, 500, after("q")));
    let counted = told(&probe.verdict(&message("refund", "s", 5, 0, json!({}))));
    assert_eq!(counted, [1, 5000, 5000, 3, 91_500]);
    verified(probe);
}

#[test]
fn a_reversal_takes_its_amount_back_once_and_never_more_than_there_is() {
    let probe = start();
    probe.verdict(&message("request", "p", 1, 1000, json!({})));
    let part = message("reversal", "r-1", 2, 300, after("p"));
    assert_eq!(told(&probe.verdict(&part))[..3], [1, 700, 1000]);
    assert_eq!(probe.verdict(&part)["meta"]["replayed"], true, "a repeat of it is it");
    assert_eq!(look(&probe, 3), [1, 700, 1000]);
    assert_eq!(told(&probe.verdict(&message("reversal", "r-2", 4, 900, after("p"))))[..3], [1, 0, 1000]);
    assert_eq!(became(&probe, "reversal", "past_amount"), 1);
    // What is reversed already has nothing left to take.
    probe.verdict(&message("reversal", "r-3", 5, 1000, after("p")));
    assert_eq!((look(&probe, 6), became(&probe, "reversal", "past_amount")), ([1, 0, 1000], 2));
    // A reversal is not reversed: what it names is no payment, and it waits for one.
    let undone = probe.verdict(&message("reversal", "r-4", 7, 300, after("r-1")));
    assert_eq!((&undone["outcome"], look(&probe, 8)), (&json!("recorded"), [1, 0, 1000]));
    assert_eq!(became(&probe, "reversal", "waited"), 1);
    // In another currency, without a rate, it is not known what is left.
    probe.verdict(&message("request", "q", 9, 400, json!({})));
    let dollars = json!({"amount": {"minor": 100, "currency": "USD"}, "refs": {"original": "q"}});
    let answer = probe.verdict(&message("reversal", "r-5", 10, 0, dollars));
    assert!(answer["reasons"].as_array().unwrap().is_empty(), "the sum is undecided: {answer}");
    verified(probe);
}

#[test]
fn what_comes_before_its_payment_waits_for_it_also_through_a_restart() {
    let mut probe = start();
    let early = probe.verdict(&message("reversal", "r", 1, 300, after("p")));
    assert_eq!((&early["outcome"], look(&probe, 2)), (&json!("recorded"), [0, 0, 0]));
    probe.verdict(&message("completion", "c", 3, 2500, after("q")));
    assert_eq!(metric(&probe, "interdict_follow_ups_waiting"), 2);
    probe.restart();
    assert_eq!(metric(&probe, "interdict_follow_ups_waiting"), 2);
    let payment = probe.verdict(&message("request", "p", 4, 1000, json!({})));
    assert_eq!(told(&payment)[..3], [1, 1000, 1000], "its own stamps are as it was asked for");
    assert_eq!(look(&probe, 5), [1, 700, 1000]);
    probe.verdict(&message("request", "q", 6, 2000, json!({})));
    assert_eq!(look(&probe, 7), [2, 3200, 3000]);
    assert_eq!(metric(&probe, "interdict_follow_ups_waiting"), 0);
    for kind in ["reversal", "completion"] {
        assert_eq!((became(&probe, kind, "waited"), became(&probe, kind, "matched_later")), (1, 1), "{kind}");
    }
    let told = run(BINARY, &["explain", "p", "--data", text(&probe.data())]).stdout;
    let line = format!("followed by a reversal that had come before it, at sequence {}", early["sequence"]);
    assert!(told.contains(&line), "{told}");
    let told = run(BINARY, &["explain", "r", "--data", text(&probe.data())]).stdout;
    assert!(told.contains(&format!("its payment came at sequence {}", payment["sequence"])), "{told}");
    probe.restart();
    assert_eq!(look(&probe, 8), [2, 3200, 3000], "the same again from the journal");
    verified(probe);
}

#[test]
fn the_original_is_named_by_its_elements_as_de90_does() {
    let probe = start();
    let refs = json!({"stan": "000123", "rrn": "809100000123", "transmitted_at": "0401120001"});
    let paid = |more: Value| {
        let mut body =
            message("request", "", 1, 1000, json!({"id": null, "acquirer": "40001", "refs": refs}));
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    let first = probe.verdict(&paid(json!({})));
    assert_eq!(first["meta"]["replayed"], false);
    let again = probe.verdict(&paid(json!({"kind": "repeat"})));
    assert_eq!((&again["meta"]["replayed"], &again["sequence"]), (&json!(true), &first["sequence"]));
    problem(&probe.decide(&paid(json!({"amount": {"minor": 1, "currency": "EUR"}}))), 409);
    let de90 = json!({"mti": "0100", "stan": "000123", "transmitted_at": "2018-04-01T12:00:01Z",
        "acquirer": "00000040001", "forwarder": "00000000000"});
    let reversal = |id: &str, original: &Value, minor: i64| {
        message("reversal", id, 2, minor, json!({"refs": {"rrn": "809100000123", "original": original}}))
    };
    assert_eq!(told(&probe.verdict(&reversal("r-1", &de90, 300)))[..2], [1, 700]);
    let mut advised = de90.clone();
    advised["mti"] = json!("0120");
    assert_eq!(told(&probe.verdict(&reversal("r-2", &advised, 300)))[..2], [1, 700], "it was no advice");
    let mut unsaid = de90.clone();
    unsaid.as_object_mut().unwrap().remove("mti");
    assert_eq!(told(&probe.verdict(&reversal("r-3", &unsaid, 300)))[..2], [1, 400]);
    // Before the payment, which has an id as well.
    let mut other = de90;
    other["stan"] = json!("000124");
    probe.verdict(&reversal("r-4", &other, 250));
    let refs = json!({"stan": "000124", "rrn": "809100000123", "transmitted_at": "0401120001"});
    probe.verdict(&paid(json!({"id": "named", "refs": refs})));
    assert_eq!(look(&probe, 3), [2, 400 + 750, 2000]);
    let mut wrong = other;
    wrong["mti"] = json!("0420");
    let problem_of =
        |original: &Value| problem(&probe.decide(&reversal("w", original, 1)), 422)["field"].clone();
    assert_eq!(problem_of(&wrong), "refs.original.mti");
    assert_eq!(problem_of(&json!({"stan": "000124"})), "refs.original.transmitted_at");
    assert_eq!(problem_of(&json!({"stan": "1"})), "refs.original.stan");
    assert_eq!(problem_of(&json!(7)), "refs.original");
    verified(probe);
}

#[test]
fn events_count_by_their_own_time_in_whatever_order_they_come() {
    let probe = start();
    let at = |second, minor| {
        told(&probe.verdict(&message("request", &format!("t-{second}"), second, minor, json!({}))))
    };
    assert_eq!(at(1800, 10)[..2], [1, 10]);
    assert_eq!(at(600, 200)[..2], [1, 200], "what is later by its own time is not in its window");
    assert_eq!(at(1200, 3000)[..2], [2, 3200]);
    assert_eq!(look(&probe, 2400)[..2], [3, 3210], "and who is later still sees all");
    // A reversal counts from its arrival on, whatever its own time says.
    probe.verdict(&message("reversal", "r", 0, 200, after("t-600")));
    assert_eq!(look(&probe, 2401)[..2], [3, 3010]);
    // Later than the bound of an hour.
    let far = json!({"time": "2018-04-01T14:30:00Z"});
    probe.verdict(&message("request", "far", 0, 5, far));
    let late = probe.verdict(&message("request", "late", 1900, 70, json!({})));
    assert_eq!(late["reasons"], json!([]), "its hour is not known any more, and so undecided: {late}");
    assert!(metric(&probe, "interdict_feature_late_total{group=\"spent\"}") >= 1);
    verified(probe);
}
