//! A data folder that an earlier version wrote (`fixtures/v0.1.0-a/README.md`): it opens, verifies, is explained, and a
//! node goes on in it.

use super::{interdict, snapshot, verify};
use interdict_tests::blackbox::text;
use interdict_tests::node::Start;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const BINARY: &str = env!("CARGO_BIN_EXE_interdict-under-test");
const PAYMENTS: u64 = 50;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/v0.1.0-a")
}

/// A copy of it: its data folder and its configuration.
fn copy() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    super::copy_tree(&fixture(), dir.path());
    let data = dir.path().join("data");
    // Git keeps no mode but the one for executing.
    fs::set_permissions(data.join("keys/master.key"), fs::Permissions::from_mode(0o600)).unwrap();
    // The folder was written in November 2026; its callers' retries come whenever this runs.
    let config = dir.path().join("interdict.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\n\n[identity]\nhorizon_h = 876000\n")).unwrap();
    (dir, data, config)
}

/// Nothing differs that the same engine should have made the same.
fn is_whole(data: &Path, checked: u64) {
    let (code, found) = verify(data, &[]);
    let count = |name: &str| found[name].as_u64().unwrap();
    assert_eq!((code, &found["findings"]), (0, &json!([])), "{found}");
    assert_eq!(count("checked"), checked, "{found}");
    assert_eq!(count("equal") + count("other_engine"), checked, "{found}");
}

#[test]
fn a_folder_of_an_earlier_version_opens_verifies_and_is_explained() {
    let (_dir, data, _) = copy();
    let before = snapshot(&data);
    is_whole(&data, PAYMENTS);
    let (code, told, err) = interdict(&["explain", "old-22", "--data", text(&data)]);
    assert_eq!(code, 0, "{err}");
    for part in ["Outcome: recorded", "is on list \"watched\"", "[features.card.count_1h = 5", "engine 0.1.0"]
    {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
    assert!(snapshot(&data) == before, "reading changed the folder");
}

#[test]
fn a_node_goes_on_in_a_folder_of_an_earlier_version() {
    let (_dir, data, config) = copy();
    let answers: Vec<(Value, Value)> =
        serde_json::from_slice(&fs::read(fixture().join("answers.json")).unwrap()).unwrap();
    assert_eq!(answers.len() as u64, PAYMENTS);
    let mut node = Start::new(BINARY, &config, &data).start().unwrap();
    let client = node.client();
    let status = client.get("/v1/status").unwrap().json();
    assert_eq!(status["restored_differently"], 0, "{status}");
    for (request, told) in &answers {
        let mut answer = client.post("/v1/decisions", request).unwrap().json();
        assert_eq!(answer["meta"]["replayed"], true, "{answer}");
        let fields = answer.as_object_mut().unwrap();
        fields.remove("meta");
        fields.remove("codes");
        assert_eq!(answer, *told, "a verdict that was given changed");
    }
    // Seven requests of the card in the hour were counted then; the count goes on from there.
    let next = json!({
        "id": "new-0", "time": "2026-12-01T00:50:10Z", "amount": {"minor": 100, "currency": "EUR"},
        "channel": "ecommerce", "card": {"pan": "4111111111111111"}, "merchant": {"id": "M-3156"}
    });
    let answer = client.post("/v1/decisions", &next).unwrap().json();
    assert!(answer["sequence"].as_u64() > answers[49].1["sequence"].as_u64(), "{answer}");
    assert_eq!(answer["reasons"][0]["detail"]["features.card.count_1h"], 8, "{answer}");
    assert!(node.terminate().unwrap().success(), "{}", node.log());
    is_whole(&data, PAYMENTS + 1);
}
