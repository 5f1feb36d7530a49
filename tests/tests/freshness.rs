//! Lists that become stale: what the configuration says then happens, a delta makes them fresh, and `verify` comes to
//! the same.
#![allow(clippy::unwrap_used)]

use interdict_tests::blackbox::{payment, probe, write};
use interdict_tests::node::Start;
use serde_json::{Value, json};
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

const BINARY: &str = env!("CARGO_BIN_EXE_interdict-under-test");

fn old(path: &Path, text: &str) {
    write(path, text);
    let before = SystemTime::now() - Duration::from_secs(3 * 86_400);
    File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
}

fn section(name: &str, when_stale: &str) -> String {
    format!("\n[lists.{name}]\nfile = \"{name}.csv\"\nfresh_for = \"2d\"\nwhen_stale = \"{when_stale}\"\n")
}

#[test]
fn payments_are_reviewed_while_a_list_is_stale_and_go_on_once_a_delta_feeds_it() {
    let dir = tempfile::tempdir().unwrap();
    let sections = section("watched", "review") + &section("told", "warn");
    let config = probe(dir.path(), &sections);
    for list in ["watched", "told"] {
        old(&dir.path().join(format!("{list}.csv")), "type,value\nbin,400000\n");
    }
    let data = dir.path().join("data");
    let node = Start::new(BINARY, &config, &data).start().unwrap();
    let client = node.client();
    let stale = client.post("/v1/decisions", &payment(json!({"id": "1"}))).unwrap().json();
    assert_eq!(stale["outcome"], "review", "{stale}");
    let reasons: Vec<&Value> = stale["reasons"].as_array().unwrap().iter().collect();
    let told: Vec<&Value> = reasons.iter().map(|reason| &reason["code"]).collect();
    assert_eq!(told, ["LIST_STALE"], "{stale}");
    assert_eq!(reasons[0]["rule"], "lists/watched");
    let metrics = client.get("/metrics").unwrap().text;
    for line in [
        "interdict_list_stale{list=\"watched\",when_stale=\"review\"} 1",
        "interdict_list_stale{list=\"told\",when_stale=\"warn\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}");
    }
    let fed = client.put("/v1/lists/watched/entries", &json!([{"bin": "400001"}])).unwrap();
    assert_eq!(fed.status, 200);
    let fresh = client.post("/v1/decisions", &payment(json!({"id": "2"}))).unwrap().json();
    assert_eq!(fresh["outcome"], "approve", "{fresh}");
    drop(node);
    let verify = Command::new(BINARY).args(["verify", "--json", "--data"]).arg(&data).output().unwrap();
    let summary: Value = serde_json::from_slice(&verify.stdout).unwrap();
    assert_eq!((&summary["equal"], &summary["different"]), (&json!(2), &json!(0)), "{summary}");
    let node = Start::new(BINARY, &config, &data).start().unwrap();
    let again = node.client().post("/v1/decisions", &payment(json!({"id": "3"}))).unwrap().json();
    assert_eq!(again["outcome"], "approve", "what fed the list is remembered over a restart: {again}");
}

#[test]
fn a_list_that_must_be_fresh_stops_the_node_from_taking_payments() {
    let dir = tempfile::tempdir().unwrap();
    let config = probe(dir.path(), &section("watched", "stop"));
    old(&dir.path().join("watched.csv"), "type,value\nbin,400000\n");
    let data = dir.path().join("data");
    let node = Start::new(BINARY, &config, &data).start_unready().unwrap();
    let client = node.client();
    for reply in [client.get("/readyz").unwrap(), client.post("/v1/decisions", &payment(json!({}))).unwrap()]
    {
        assert_eq!(reply.status, 503);
        assert!(reply.text.contains("watched") && reply.text.contains("fresh_for"), "{}", reply.text);
    }
    assert_eq!(client.put("/v1/lists/watched/entries", &json!([{"bin": "400001"}])).unwrap().status, 200);
    assert_eq!(client.post("/v1/decisions", &payment(json!({}))).unwrap().status, 200);
}

#[test]
fn a_wrong_freshness_is_refused_by_name() {
    for (line, says) in [
        ("fresh_for = \"soon\"", "lists.watched.fresh_for"),
        ("fresh_for = \"2d\"\nwhen_stale = \"panic\"", "expected warn, review or stop"),
        ("when_stale = \"stop\"", "fresh_for is missing"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let config = probe(dir.path(), &format!("\n[lists.watched]\nfile = \"watched.csv\"\n{line}\n"));
        write(&dir.path().join("watched.csv"), "type,value\nbin,400000\n");
        let error = Start::new(BINARY, &config, dir.path().join("data")).start().err().unwrap().to_string();
        assert!(error.contains(says), "{line}: {error}");
    }
}
