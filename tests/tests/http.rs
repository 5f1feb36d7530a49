//! The inline API from outside: the real binary, real sockets, and only what wire.md promises.
#![allow(clippy::unwrap_used)]

#[path = "http/admin.rs"]
mod admin;
#[path = "http/decisions.rs"]
mod decisions;
#[path = "http/errors.rs"]
mod errors;
#[path = "http/explain.rs"]
mod explain;
#[path = "http/holds.rs"]
mod holds;
#[path = "http/identity.rs"]
mod identity;
#[path = "http/identity_disk.rs"]
mod identity_disk;
#[path = "http/keys.rs"]
mod keys;
#[path = "http/kinds.rs"]
mod kinds;
#[path = "http/labels.rs"]
mod labels;
#[path = "http/lists.rs"]
mod lists;
#[path = "http/process.rs"]
mod process;
#[path = "http/rail.rs"]
mod rail;
#[path = "http/report.rs"]
mod report;
#[path = "http/settlement.rs"]
mod settlement;
#[path = "http/signed.rs"]
mod signed;
#[path = "http/stream.rs"]
mod stream;
#[path = "http/wire.rs"]
mod wire;

use interdict_tests::blackbox::probe;
use interdict_tests::node::{Client, Reply, Running, Start};
use serde_json::Value;
use std::path::PathBuf;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_interdict-under-test");

/// A node on the pack `probe`, its client, and the folder that goes with it.
struct Probe {
    node: Running,
    client: Client,
    dir: TempDir,
    config: PathBuf,
}

impl Probe {
    fn start() -> Probe {
        Probe::configured("")
    }
    /// With more at the end of the configuration.
    fn configured(more: &str) -> Probe {
        let dir = TempDir::new().unwrap();
        let config = probe(dir.path(), more);
        let node = Start::new(BINARY, &config, dir.path().join("data")).start().unwrap();
        Probe { client: node.client(), node, dir, config }
    }
    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }
    /// Ends the node in order and starts it again on the same folder.
    fn restart(&mut self) {
        assert!(self.node.terminate().unwrap().success());
        self.node = Start::new(BINARY, &self.config, self.data()).start().unwrap();
        self.client = self.node.client();
    }
    fn decide(&self, body: &Value) -> Reply {
        self.client.post("/v1/decisions", body).unwrap()
    }
    fn decide_with(&self, headers: &[(&str, &str)], body: &Value) -> Reply {
        self.client.send("POST", "/v1/decisions", headers, body.to_string()).unwrap()
    }
    /// The verdict of a request that must get one.
    fn verdict(&self, body: &Value) -> Value {
        let reply = self.decide(body);
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()
    }
}

/// What of an answer is the canonical verdict: all but `id`, `codes`, `meta` and, where it was read, its story.
fn canonical(answer: &Value) -> Value {
    let mut canonical = answer.clone();
    let object = canonical.as_object_mut().expect("a verdict");
    for outside in ["id", "codes", "meta", "explanation"] {
        object.remove(outside);
    }
    canonical
}

/// Checks that a reply is RFC 9457's, with a status, and gives it.
fn problem(reply: &Reply, status: u16) -> Value {
    assert_eq!(reply.status, status, "{}", reply.text);
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{}", reply.text);
    let problem = reply.json();
    assert_eq!(problem["status"], status, "{problem}");
    assert!(problem["type"].is_string() && problem["title"].is_string(), "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
    problem
}
