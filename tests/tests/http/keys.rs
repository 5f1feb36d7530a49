//! API keys: who is unknown (401), who may not (403), and what a role sees.

use super::{BINARY, Probe, problem};
use interdict_tests::blackbox::{self, payment, run, text};
use interdict_tests::node::{Reply, Start};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Makes a key for a data folder; the key.
pub(super) fn key(data: &Path, name: &str, role: &str, tenant: Option<&str>) -> String {
    let mut args = vec!["keys", "add", "--name", name, "--role", role, "--data", text(data), "--json"];
    args.extend(tenant.iter().flat_map(|tenant| ["--tenant", tenant]));
    let made = run(BINARY, &args);
    assert_eq!(made.code, 0, "{}", made.stderr);
    made.summary()["key"].as_str().unwrap().to_owned()
}

/// A node with a key for each role.
pub(super) struct Keyed {
    pub(super) probe: Probe,
    keys: Vec<(&'static str, String)>,
}

impl Keyed {
    fn start() -> Keyed {
        Keyed::prepared(|_| ())
    }
    /// `prepare` is given the folder with the pack before the node starts.
    pub(super) fn prepared(prepare: impl FnOnce(&Path)) -> Keyed {
        let dir = tempfile::tempdir().unwrap();
        let config = blackbox::probe(dir.path(), "");
        prepare(dir.path());
        let data = dir.path().join("data");
        let mut keys: Vec<_> = ["submit", "read", "risk", "ops", "admin"]
            .map(|role| (role, key(&data, role, role, None)))
            .into();
        keys.push(("bound", key(&data, "bound", "submit", Some("acme"))));
        let node = Start::new(BINARY, &config, &data).start().unwrap();
        Keyed { probe: Probe { client: node.client(), node, dir, config }, keys }
    }
    pub(super) fn send(&self, who: &str, method: &str, path: &str, body: &Value) -> Reply {
        let key = self.keys.iter().find(|(name, _)| *name == who).map_or("wrong", |(_, key)| key);
        let bearer = format!("Bearer {key}");
        self.probe.client.send(method, path, &[("Authorization", &bearer)], body.to_string()).unwrap()
    }
}

#[test]
fn each_role_may_do_its_own_and_nothing_else() {
    let keyed = Keyed::start();
    let decided = keyed.send("submit", "POST", "/v1/decisions", &payment(json!({"id": "one"})));
    assert_eq!(decided.status, 200, "{}", decided.text);
    let entries = json!([{"merchant": {"id": "M-2"}}]);
    let label = json!([{"id": "one", "label": "good", "time": "2018-04-02T00:00:00Z"}]);
    let calls = [
        ("POST", "/v1/decisions", payment(json!({})), "submit admin"),
        ("POST", "/v1/labels", label, "submit admin"),
        ("GET", "/v1/decisions/one", json!(null), "read risk admin"),
        ("GET", "/v1/lists", json!(null), "read risk admin"),
        ("GET", "/v1/packs", json!(null), "read risk admin"),
        ("PUT", "/v1/lists/found/entries", entries.clone(), "risk admin"),
        ("DELETE", "/v1/lists/found/entries", entries, "risk admin"),
        ("POST", "/v1/generations", json!(null), "risk admin"),
        ("GET", "/metrics", json!(null), "ops admin"),
        ("GET", "/v1/status", json!(null), "ops admin"),
    ];
    for (method, path, body, allowed) in calls {
        for role in ["submit", "read", "risk", "ops", "admin"] {
            let reply = keyed.send(role, method, path, &body);
            if allowed.split(' ').any(|one| one == role) {
                assert_eq!(reply.status, 200, "{role} {method} {path}: {}", reply.text);
            } else {
                problem(&reply, 403);
            }
        }
        problem(&keyed.send("nobody", method, path, &body), 401);
        let without = keyed.probe.client.send(method, path, &[], body.to_string()).unwrap();
        let told = problem(&without, 401);
        assert!(!told.to_string().contains("wrong"), "{told}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(keyed.probe.client.get(path).unwrap().status, 200, "{path} needs no key");
    }
    let log = keyed.probe.node.log();
    assert!(keyed.keys.iter().all(|(_, key)| !log.contains(key.as_str())), "no key is logged");
}

#[test]
fn a_reader_sees_the_reasons_meant_for_it_and_is_told_that_there_are_others() {
    let keyed = Keyed::start();
    let body =
        payment(json!({"id": "one", "amount": {"minor": 95_000, "currency": "EUR"}, "channel": "transfer"}));
    let rules = |answer: &Value| -> Vec<String> {
        let reasons = answer["reasons"].as_array().unwrap().iter();
        reasons.map(|reason| reason["rule"].as_str().unwrap().to_owned()).collect()
    };
    for _ in 0..2 {
        let told = keyed.send("submit", "POST", "/v1/decisions", &body).json();
        assert_eq!(rules(&told), ["probe/held", "probe/larger"], "{told}");
        assert_eq!(told["meta"]["filtered"], true);
        assert_eq!(told["outcome"], "hold", "the verdict itself is the same");
        assert!(!told.to_string().contains("LARGE\""), "{told}");
    }
    let whole = keyed.send("risk", "GET", "/v1/decisions/one", &json!(null)).json();
    assert_eq!(rules(&whole), ["probe/held", "probe/larger", "probe/large"], "{whole}");
    assert!(whole["meta"].get("filtered").is_none(), "{whole}");
    let told = keyed.send("read", "GET", "/v1/decisions/one", &json!(null));
    assert_eq!(told.json()["meta"]["filtered"], true);
    assert!(!told.text.contains("probe/large\""), "nor by way of the story: {}", told.text);
}

#[test]
fn a_key_of_a_tenant_acts_for_it_alone() {
    let keyed = Keyed::start();
    let own = keyed.send("bound", "POST", "/v1/decisions", &payment(json!({"id": "one"})));
    assert_eq!(own.status, 200, "its tenant is the default for its requests: {}", own.text);
    let explicit =
        keyed.send("bound", "POST", "/v1/decisions", &payment(json!({"id": "one", "tenant": "acme"})));
    assert_eq!(explicit.json()["meta"]["replayed"], true, "{}", explicit.text);
    problem(&keyed.send("bound", "POST", "/v1/decisions", &payment(json!({"tenant": "other"}))), 403);
    let batch = json!([payment(json!({"tenant": "other"})), payment(json!({"id": "two"}))]);
    let batch = keyed.send("bound", "POST", "/v1/decisions", &batch).json();
    assert_eq!((&batch[0]["status"], &batch[1]["id"]), (&json!(403), &json!("two")), "{batch}");
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let config = blackbox::probe(dir.path(), "");
    let data = dir.path().join("data");
    let secret = key(&data, "one", "admin", None);
    let file = data.join("keys/api-keys.toml");
    assert!(!std::fs::read_to_string(&file).unwrap().contains(&secret), "its hash only");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let args = ["serve", "--config", text(&config), "--data", text(&data), "--http", "127.0.0.1:0"];
    let refused = run(BINARY, &args);
    assert_eq!(refused.code, 3);
    assert!(refused.stderr.contains("0640") && refused.stderr.contains("0600"), "{}", refused.stderr);
}
