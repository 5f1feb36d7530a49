//! Messages to the rail from outside: which files there are, that a hold's answer has the same, and that a restart, even with
//! an old cursor, writes none otherwise than before.

use super::holds::hold_of;
use super::{BINARY, Probe};
use interdict_tests::node::Start;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const RAIL: &str = "
[rail]
enabled = true
agent = \"DEMODEFFXXX\"
hub = \"INSTHUBB\"
[[settlement.networks]]
name = \"in\"
acquirers = [\"in\"]
[[settlement.networks]]
name = \"out\"
acquirers = [\"out\"]
[[settlement.levers]]
network = \"in\"
lever = \"accept_without_posting\"
[[settlement.levers]]
network = \"out\"
lever = \"none\"
recall = true
";

impl Probe {
    fn rail(&self) -> PathBuf {
        self.dir.path().join("data/rail")
    }
    fn files(&self) -> BTreeMap<String, String> {
        let entries = std::fs::read_dir(self.rail().join("outgoing")).unwrap();
        let file = |path: PathBuf| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            // One that was being written may be gone.
            Some((name, std::fs::read_to_string(&path).ok()?))
        };
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|end| end == "xml")).filter_map(file).collect()
    }
    fn files_with(&self, name: &str) -> BTreeMap<String, String> {
        let began = Instant::now();
        loop {
            let files = self.files();
            if files.contains_key(name) {
                return files;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "no {name} in {:?}", files.keys());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn a_hold_is_told_step_by_step_and_never_otherwise_again() {
    let mut probe = Probe::holding(RAIL);
    let cursor = probe.rail().join("cursor");
    let first = std::fs::read(&cursor).unwrap();
    let held = hold_of(&probe.pay("in", 96_000, json!({"acquirer": "in"})));
    let case = hold_of(&probe.pay("out", 96_000, json!({"acquirer": "out"})));
    let other = hold_of(&probe.pay("other", 96_000, json!({})));
    for words in ["one", "two"] {
        probe.done(&held, "comment", json!({"comment": words}));
    }
    probe.done(&held, "release", json!({"comment": "well"}));
    let files = probe.files_with(&format!("{held}-ACCC"));
    let named: Vec<&str> = files.keys().map(String::as_str).collect();
    let expected = ["ACCC", "ACWP", "PDNG"].map(|status| format!("{held}-{status}"));
    let expected: Vec<String> = expected.into_iter().chain([format!("{case}-C056")]).collect();
    assert_eq!(named, expected);
    // A hold's answer has the same texts, in the order of what happened.
    let messages = probe.hold(&held)["rail_messages"].clone();
    let messages = messages.as_array().unwrap();
    let statuses: Vec<&Value> = messages.iter().map(|message| &message["status"]).collect();
    assert_eq!(statuses, ["ACWP", "PDNG", "ACCC"]);
    for message in messages.iter().chain(probe.hold(&case)["rail_messages"].as_array().unwrap()) {
        assert_eq!(message["xml"], files[message["id"].as_str().unwrap()]);
    }
    assert_eq!(probe.hold(&other)["rail_messages"], Value::Null);
    // What was taken is not told again by a restart.
    let taken = format!("{held}-ACWP");
    std::fs::remove_file(probe.rail().join(format!("outgoing/{taken}.xml"))).unwrap();
    probe.restart();
    let next = hold_of(&probe.pay("next", 96_000, json!({"acquirer": "in"})));
    let later = probe.files_with(&format!("{next}-ACWP"));
    assert!(!later.contains_key(&taken));
    assert!(files.iter().all(|(name, text)| *name == taken || later[name] == *text));
    // With a cursor that was written before: the same files, with the same bytes.
    assert!(probe.node.terminate().unwrap().success());
    std::fs::write(&cursor, &first).unwrap();
    probe.node = Start::new(BINARY, &probe.config, probe.data()).start().unwrap();
    let again = probe.files_with(&taken);
    assert!(files.iter().all(|(name, text)| again.get(name).is_none_or(|again| again == text)));
}
