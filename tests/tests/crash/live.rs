//! Packs and lists are uploaded, published, replaced by broken ones and rolled back while payments stream: no verdict is
//! lost, each is by the generation that was in force at its place, and what is refused changes nothing.

use super::load::Load;
use super::{BINARY, checks};
use interdict::history::Folder;
use interdict_engine::domain::{Accepted, Body, Decided, GenerationId};
use interdict_ledger::journal::RecordKind;
use interdict_tests::blackbox::{probe, run, text, write};
use interdict_tests::node::{Client, Start};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longest that the stream may take to bring what is waited for.
const GIVE_UP: Duration = Duration::from_secs(60);
/// How often everything is changed.
const ROUNDS: usize = 2;
/// Payments of the world that the stream is fed from: more than it sends.
const WORLD: usize = 150_000;
/// Payments between two changes, at least.
const BETWEEN: usize = 40;

#[test]
fn changes_under_load_lose_no_verdict_and_each_is_by_one_generation() {
    for (seed, lanes) in [(31, "0"), (32, "2")] {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("watched.csv"), "type,value\nmerchant,M-99\n");
        let config = probe(dir.path(), "\n[lists.watched]\nfile = \"watched.csv\"\n");
        let (data, load) = (dir.path().join("data"), Load::new(seed, WORLD));
        let mut node = Start::new(BINARY, &config, &data).args(&["--lanes", lanes]).start().unwrap();
        let stop = AtomicBool::new(false);
        let published = std::thread::scope(|scope| {
            let streaming = scope.spawn(|| {
                for round in 1.. {
                    load.run(&node, round, false, &stop);
                    if stop.load(Ordering::Acquire) {
                        return;
                    }
                }
            });
            let wait = || {
                let (before, began) = (load.known().acknowledged.len(), Instant::now());
                while load.known().acknowledged.len() < before + BETWEEN {
                    assert!(!streaming.is_finished() && began.elapsed() < GIVE_UP, "no more payments");
                    std::thread::sleep(Duration::from_millis(2));
                }
            };
            let mut operator = Operator::new(dir.path(), node.client(), &wait);
            for round in 0..ROUNDS {
                operator.turn(round);
            }
            stop.store(true, Ordering::Release);
            operator.published
        });
        memory_is_shown(&node.client());
        checks::all_acknowledged(&node.client(), &load);
        assert!(node.terminate().unwrap().success(), "{}", node.log());
        checks::verified(&data);
        each_by_the_one_in_force(&data, &load, &published);
    }
}

struct Operator<'a> {
    dir: &'a Path,
    client: Client,
    /// Lets the stream go on for a while.
    wait: &'a dyn Fn(),
    second: Vec<u8>,
    published: BTreeSet<String>,
}

impl Operator<'_> {
    fn new<'a>(dir: &'a Path, client: Client, wait: &'a dyn Fn()) -> Operator<'a> {
        let second = archive(&second(dir));
        Operator { dir, client, wait, second, published: BTreeSet::new() }
    }

    fn turn(&mut self, round: usize) {
        let first = self.in_force();
        assert_eq!(first["packs"][0]["version"], "1.0.0", "{first}");
        assert_eq!(self.upload(&self.second).0, 200);
        let second = self.publish(&json!(null));
        assert_eq!(self.in_force()["packs"][0]["version"], "1.1.0");
        self.broken_ones_change_nothing();
        let name = |generation: &Value| generation.as_str().unwrap().split('@').next().unwrap().to_owned();
        let back = self.publish(&json!({"generation": name(&first["generation"])}));
        assert_eq!(name(&json!(back)), name(&first["generation"]), "rolled back to another");
        assert_ne!(name(&json!(back)), name(&json!(second)));
        assert_eq!(self.in_force()["packs"], first["packs"]);
        // A publication of the list, which also shows that the uploaded pack was rolled back with the generation.
        let rows: String = (0..=round).map(|row| format!("merchant,M-{row}\n")).collect();
        write(&self.dir.join("watched.csv"), format!("type,value\n{rows}"));
        self.publish(&json!({}));
        assert_eq!(self.in_force()["packs"], first["packs"]);
    }

    fn broken_ones_change_nothing(&self) {
        let before = self.in_force();
        let (status, why) = self.upload(&self.second[..self.second.len() / 2]);
        assert!((400..500).contains(&status) && !why.is_empty(), "{status} {why}");
        let list = self.dir.join("watched.csv");
        let good = std::fs::read_to_string(&list).unwrap();
        write(&list, "type,value\ncolour,red\n");
        let refused = self.client.post("/v1/generations", &json!(null)).unwrap();
        assert!(refused.status == 422 && refused.text.contains("line 2"), "{}", refused.text);
        write(&list, good);
        for unknown in ["g-000000000000", "g-00"] {
            let refused = self.client.post("/v1/generations", &json!({"generation": unknown})).unwrap();
            assert!(refused.status == 422 && refused.text.contains(unknown), "{}", refused.text);
        }
        assert_eq!(self.client.post("/v1/generations", &json!({"generatoin": "x"})).unwrap().status, 400);
        (self.wait)();
        assert_eq!(self.in_force(), before, "what was refused changed something");
    }

    fn in_force(&self) -> Value {
        let mut found = self.client.get("/v1/packs").unwrap().json();
        // Deltas go on meanwhile.
        let id = found["generation"].as_str().unwrap().split('@').next().unwrap().to_owned();
        found["generation"] = id.into();
        found
    }
    fn upload(&self, archive: &[u8]) -> (u16, String) {
        let headers = [("content-type", "application/octet-stream")];
        let reply = self.client.send("POST", "/v1/packs", &headers, archive).unwrap();
        (reply.status, reply.text)
    }
    /// Publishes and lets payments be judged by it.
    fn publish(&mut self, body: &Value) -> String {
        let reply = self.client.post("/v1/generations", body).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
        let generation = reply.json()["generation"].as_str().unwrap().to_owned();
        self.published.insert(generation.clone());
        (self.wait)();
        generation
    }
}

/// The pack `probe` with another ceiling, as its next version.
fn second(dir: &Path) -> PathBuf {
    let to = dir.join("second");
    for file in ["pack.yaml", "rules/rules.yaml", "features.yaml"] {
        let text = std::fs::read_to_string(dir.join("probe").join(file)).unwrap();
        let text = text.replace("1.0.0", "1.1.0").replace("50000", "60001").replace("49999", "60000");
        write(&to.join(file), text);
    }
    to
}

fn archive(dir: &Path) -> Vec<u8> {
    let out = dir.with_extension("pack");
    let built = run(BINARY, &["packs", "build", text(dir), "--out", text(&out)]);
    assert_eq!(built.code, 0, "{}", built.stderr);
    std::fs::read(out).unwrap()
}

fn memory_is_shown(client: &Client) {
    let text = client.get("/metrics").unwrap().text;
    let value = |series: &str| -> u64 {
        let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("{series} in\n{text}")).parse().unwrap()
    };
    let kept = value("interdict_generations_kept");
    assert!((1..=16).contains(&kept), "{kept}");
    assert!(value("interdict_generation_bytes{which=\"in_force\"}") > 0);
    assert!(value("interdict_generation_bytes{which=\"kept\"}") > 0);
}

/// Every payment's verdict is there once and names the generation that the journal says was in force at its place,
/// which is what its caller was told.
fn each_by_the_one_in_force(data: &Path, load: &Load, published: &BTreeSet<String>) {
    let reader = Folder::open(data, None).unwrap().reader().unwrap();
    let (mut in_force, mut expected) = (None, BTreeMap::new());
    let (mut decided, mut publications): (BTreeMap<u64, GenerationId>, BTreeSet<String>) = Default::default();
    for record in reader.records(0) {
        let record = record.unwrap();
        if record.kind == RecordKind::Decided {
            let verdict = Decided::decode(&record.open).unwrap().verdict;
            assert!(
                decided.insert(record.sequence, verdict.generation).is_none(),
                "{} twice",
                record.sequence
            );
            continue;
        }
        let accepted = Accepted::decode(&record.open, record.sealed.as_deref()).unwrap();
        match &accepted.event.body {
            Body::Publish { generation } => {
                in_force = Some(generation.hash);
                publications.insert(accepted.generation.to_string());
            }
            Body::Payment(_) => {
                expected.insert(accepted.sequence, in_force.expect("published before the first payment"));
            }
            _ => {}
        }
    }
    assert!(published.is_subset(&publications), "{published:?} in {publications:?}");
    let by: BTreeMap<u64, [u8; 32]> = decided.iter().map(|(sequence, id)| (*sequence, id.hash)).collect();
    assert!(by == expected, "a verdict is missing, or by a generation that was not in force");
    let used: BTreeSet<[u8; 32]> = by.values().copied().collect();
    assert!(used.len() > ROUNDS, "{} generations judged payments", used.len());
    for (id, one) in &load.known().acknowledged {
        assert_eq!(one.verdict["generation"], decided[&one.sequence()].to_string(), "{id}");
    }
}
