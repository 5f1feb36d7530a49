//! Idempotency beyond memory: with room for one key there, old payments are still known, after every kind of end, and
//! whatever lies where the store belongs.

use super::{BINARY, Probe, canonical};
use interdict_tests::blackbox::{payment, probe, write};
use interdict_tests::node::{Running, Start};
use serde_json::{Value, json};
use tempfile::TempDir;

const PROFILE: &str = include_str!("../../../hw-profiles/embedded-2core.toml");

/// A node with room for one key a tenant in memory.
fn tight() -> Probe {
    let dir = TempDir::new().unwrap();
    let (config, profile) = (probe(dir.path(), ""), dir.path().join("tight.toml"));
    assert!(PROFILE.contains("identity_memory_mib = 256"));
    write(&profile, PROFILE.replace("identity_memory_mib = 256", "identity_memory_mib = 0"));
    let text = std::fs::read_to_string(&config).unwrap();
    write(&config, text.replace("embedded-2core", profile.to_str().unwrap()));
    let node = start(&config, dir.path());
    Probe { client: node.client(), node, dir, config }
}

fn start(config: &std::path::Path, dir: &std::path::Path) -> Running {
    Start::new(BINARY, config, dir.join("data")).start().unwrap()
}

fn body(number: usize) -> Value {
    payment(json!({"id": format!("p-{number}"), "amount": {"minor": 1000 + number, "currency": "EUR"}}))
}

fn known(probe: &Probe, firsts: &[Value]) {
    for (number, first) in firsts.iter().enumerate() {
        let again = probe.verdict(&body(number));
        assert_eq!(again["meta"]["replayed"], true, "{again}");
        assert_eq!(canonical(&again), canonical(first));
    }
}

fn metric(probe: &Probe, name: &str) -> u64 {
    let text = probe.client.get("/metrics").unwrap().text;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.unwrap_or_else(|| panic!("no {name} in:\n{text}")).parse().unwrap()
}

#[test]
fn what_left_memory_is_known_also_after_a_restart_a_kill_and_with_a_spoilt_store() {
    const PAYMENTS: usize = 40;
    let mut probe = tight();
    let firsts: Vec<Value> = (0..PAYMENTS).map(|number| probe.verdict(&body(number))).collect();
    known(&probe, &firsts);
    let on_disk = |probe: &Probe| metric(probe, "interdict_identity_keys{place=\"disk\"}");
    assert_eq!((on_disk(&probe), PAYMENTS), (39, 40));
    let other = payment(json!({"id": "p-0", "amount": {"minor": 7, "currency": "EUR"}}));
    super::problem(&probe.decide(&other), 409);
    assert_eq!(probe.client.get("/v1/decisions/p-3").unwrap().json()["sequence"], firsts[3]["sequence"]);
    let label = json!([{"id": "p-1", "label": "fraud", "time": "2018-04-02T12:00:00Z"}]);
    assert_eq!(probe.client.post("/v1/labels", &label).unwrap().status, 200, "labels find it by its id");

    probe.restart();
    known(&probe, &firsts);
    probe.node.kill();
    let store = probe.data().join("identity.redb");
    assert!(store.is_file());
    for spoilt in [&b""[..], b"redb\x1A\x0A and then nothing that a store would hold"] {
        write(&store, spoilt);
        probe.node = start(&probe.config, probe.dir.path());
        probe.client = probe.node.client();
        known(&probe, &firsts);
        assert_eq!(on_disk(&probe), 39);
        probe.node.kill();
    }
}

#[test]
fn a_store_that_cannot_be_made_costs_old_keys_and_no_payment() {
    let mut probe = tight();
    std::fs::create_dir(probe.data().join("identity.redb")).unwrap();
    let firsts: Vec<Value> = (0..3).map(|number| probe.verdict(&body(number))).collect();
    assert_eq!(probe.verdict(&body(2))["sequence"], firsts[2]["sequence"], "memory still knows the last");
    let anew = probe.verdict(&body(0));
    assert_eq!(anew["meta"]["replayed"], false, "past the horizon, as declared");
    assert_eq!(metric(&probe, "interdict_identity_evicted_total{reason=\"failed\"}"), 3);
    assert!(metric(&probe, "interdict_identity_failures_total") >= 3);
    let log = probe.node.log();
    assert_eq!(log.matches("identity store: making the file").count(), 1, "told once a minute:\n{log}");

    // With the place free again, a restart knows all of them; of the one decided twice, the later verdict.
    assert!(probe.node.terminate().unwrap().success());
    std::fs::remove_dir(probe.data().join("identity.redb")).unwrap();
    probe.node = start(&probe.config, probe.dir.path());
    probe.client = probe.node.client();
    assert_eq!(probe.verdict(&body(0))["sequence"], anew["sequence"]);
    assert_eq!(probe.verdict(&body(1))["sequence"], firsts[1]["sequence"]);
}
