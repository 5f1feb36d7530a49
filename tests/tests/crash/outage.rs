//! A disk that takes nothing for a while (`prlimit --fsize` on the running node): the node says so, acknowledges
//! nothing that it may not keep, goes on without a restart, and has everything once the disk takes it again.

use super::load::{Load, canonical, submit};
use super::{BINARY, checks};
use interdict_tests::node::{Client, Running, Start, default_config};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Longest that anything here may take before the test gives up.
const GIVE_UP: Duration = Duration::from_secs(60);

/// From here on no file of the node may be written, or any may.
fn limit(node: &Running, limited: bool) {
    let limit = if limited { "--fsize=0:unlimited" } else { "--fsize=unlimited:unlimited" };
    let done = Command::new("prlimit").args(["--pid", &node.pid().to_string(), limit]).output();
    let done = done.expect("prlimit (util-linux) is there");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < GIVE_UP, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn metric(client: &Client, series: &str) -> u64 {
    let text = client.get("/metrics").unwrap().text;
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{series} in\n{text}")).parse().unwrap()
}

fn start(data: &Path, lanes: &str, durability: &str) -> Start {
    Start::new(BINARY, default_config(), data)
        .args(&["--lanes", lanes])
        .env("INTERDICT_JOURNAL__DURABILITY", durability)
        .env("INTERDICT_DECISION__DEADLINE_MS", "60000")
}

fn payment(id: &str) -> Value {
    json!({
        "id": id, "time": "2026-03-02T08:00:00Z", "amount": {"minor": 1200, "currency": "EUR"},
        "channel": "ecommerce", "card": {"pan": "4111111111111111"}, "merchant": {"id": "M-1"}
    })
}

/// Streams, takes the disk away under the traffic, and looks at what the node says then.
fn outage(node: &Running, load: &Load, round: u64) {
    let (client, stop) = (node.client(), AtomicBool::new(false));
    let before = load.known().acknowledged.len();
    std::thread::scope(|scope| {
        // Every client stops at its first 503.
        let streaming = scope.spawn(|| load.run(node, round, false, &stop));
        until("traffic", || load.known().acknowledged.len() > before + 150 || streaming.is_finished());
        limit(node, true);
        streaming.join().unwrap();
    });
    let probe = payment(&format!("probe-{round}"));
    until("a refusal", || client.post("/v1/decisions", &probe).unwrap().status == 503);
    load.known().unanswered.push(probe.clone());
    let refused = client.post("/v1/decisions", &probe).unwrap();
    let why = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(why.starts_with("the journal cannot write: journal: segment "), "{why}");
    assert!(why.contains("File too large"), "{why}");
    assert_eq!(refused.header("retry-after"), Some("1"));
    let ready = client.get("/readyz").unwrap();
    assert_eq!((ready.status, ready.json()["detail"].as_str()), (503, Some(&*why)));
    assert_eq!(client.get("/healthz").unwrap().status, 200);
    let entry = json!([{"card": {"pan": "4111111111111111"}, "effect": "block"}]);
    assert_eq!(client.put("/v1/lists/stolen_cards/entries", &entry).unwrap().status, 503);
    let published = client.post("/v1/generations", &json!({})).unwrap();
    assert_eq!(published.status, 503, "{}", published.text);
    assert!(published.text.contains("nothing was changed"), "{}", published.text);
    assert_eq!((metric(&client, "interdict_ready"), metric(&client, "interdict_journal_writable")), (0, 0));
    assert!(metric(&client, "interdict_journal_unwritten_records") > 0);
    assert!(metric(&client, r#"interdict_journal_write_failures_total{kind="full"}"#) > 0);
}

/// Gives the disk back; the node notices by itself. Whoever got no answer asks again.
fn recovered(node: &Running, load: &Load) {
    let client = node.client();
    limit(node, false);
    until("ready again", || client.get("/readyz").unwrap().status == 200);
    assert_eq!(metric(&client, "interdict_journal_unwritten_records"), 0);
    assert_eq!(metric(&client, "interdict_journal_writable"), 1);
    let waiting = std::mem::take(&mut load.known().unanswered);
    assert!(!waiting.is_empty());
    for chunk in waiting.chunks(100) {
        submit(&client, load, chunk.to_vec()).expect("it is ready");
    }
}

fn lives_through(lanes: &str, durability: &str) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let load = Load::new(7, 30_000);
    let start = start(&data, lanes, durability);
    let mut node = start.start().unwrap();
    for round in 0..3 {
        outage(&node, &load, round);
        recovered(&node, &load);
    }
    assert!(node.log().contains("the journal is written again"), "{}", node.log());
    checks::all_acknowledged(&node.client(), &load);
    // The last outage ends with the process: what was acknowledged is there.
    outage(&node, &load, 3);
    node.kill();
    let mut node = start.start().unwrap();
    let waiting = std::mem::take(&mut load.known().unanswered);
    submit(&node.client(), &load, waiting).expect("it is ready");
    checks::all_acknowledged(&node.client(), &load);
    assert!(node.terminate().unwrap().success(), "{}", node.log());
    checks::verified(&data);
    checks::equals_a_run_without_crashes(&data, &load);
}

#[test]
fn a_node_lives_through_a_full_disk_without_a_restart() {
    for (lanes, durability) in [("0", "os"), ("2", "os"), ("0", "disk"), ("2", "disk")] {
        lives_through(lanes, durability);
    }
}

#[test]
fn a_node_that_is_told_to_continue_answers_from_memory_up_to_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let start = start(&data, "0", "os")
        .env("INTERDICT_JOURNAL__WHEN_UNWRITABLE", "continue")
        .env("INTERDICT_JOURNAL__UNWRITTEN_MAX_MIB", "1");
    let mut node = start.start().unwrap();
    let client = node.client();
    let decide = |body: &Value| client.post("/v1/decisions", body).unwrap();
    let safe = decide(&payment("before")).json();
    assert!(safe["meta"].get("durable").is_none(), "{safe}");
    limit(&node, true);
    let first = decide(&payment("a")).json();
    assert_eq!(
        (&first["meta"]["durable"], &first["meta"]["replayed"]),
        (&json!(false), &json!(false)),
        "{first}"
    );
    let again = decide(&payment("a")).json();
    assert_eq!(
        (&again["meta"]["durable"], &again["meta"]["replayed"]),
        (&json!(false), &json!(true)),
        "{again}"
    );
    assert_eq!(canonical(&again), canonical(&first));
    let read = client.get("/v1/decisions/a").unwrap().json();
    assert_eq!((&read["meta"]["durable"], canonical(&read)), (&json!(false), canonical(&first)));
    // A control event is a promise, and none is made.
    let entry = json!([{"card": {"pan": "4111111111111111"}, "effect": "block"}]);
    assert_eq!(client.put("/v1/lists/stolen_cards/entries", &entry).unwrap().status, 503);
    assert_eq!(client.post("/v1/generations", &json!({})).unwrap().status, 503);
    let label = json!([{"id": "before", "label": "fraud", "time": "2026-03-03T08:00:00Z"}]);
    assert_eq!(client.post("/v1/labels", &label).unwrap().json()[0]["status"], 503);
    assert_eq!(client.get("/readyz").unwrap().status, 200);
    assert_eq!(metric(&client, "interdict_journal_writable"), 0);
    assert!(metric(&client, "interdict_undurable_answers_total") >= 2);
    // Up to the bound.
    let (mut told, mut refused) = (vec![first], None);
    for batch in 0..100 {
        let bodies: Vec<Value> = (0..100).map(|n| payment(&format!("more-{batch}-{n}"))).collect();
        let reply = client.post("/v1/decisions", &json!(bodies)).unwrap();
        let answers =
            if reply.status == 503 { vec![reply.json()] } else { reply.json().as_array().unwrap().clone() };
        for answer in answers {
            if answer["status"] == 503 {
                refused.get_or_insert(answer);
            } else {
                told.push(answer);
            }
        }
        if refused.is_some() {
            break;
        }
    }
    let why = refused.expect("there is a bound")["detail"].as_str().unwrap().to_owned();
    assert!(why.contains("limit 1 MiB"), "{why}");
    assert_eq!(client.get("/readyz").unwrap().status, 503);
    limit(&node, false);
    until("ready again", || client.get("/readyz").unwrap().status == 200);
    for answer in &told {
        let again = client.get(&format!("/v1/decisions/{}", answer["id"].as_str().unwrap())).unwrap().json();
        assert_eq!(canonical(&again), canonical(answer));
        assert!(again["meta"].get("durable").is_none(), "{again}");
    }
    assert_eq!(client.put("/v1/lists/stolen_cards/entries", &entry).unwrap().status, 200);
    assert!(node.terminate().unwrap().success(), "{}", node.log());
    let summary = checks::verified(&data);
    assert_eq!(summary["checked"].as_u64(), Some(told.len() as u64 + 1));
}
