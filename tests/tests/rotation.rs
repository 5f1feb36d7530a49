//! Keys rotate and nothing else changes: the same stream with and without rotations of the tag keys comes to the same
//! verdicts and stamps; sealing keys rotate; what passed its retention is unreadable, and everything else goes on.
#![allow(clippy::unwrap_used)]

#[path = "rotation/live.rs"]
mod live;
#[path = "rotation/retention.rs"]
mod retention;
#[path = "rotation/streams.rs"]
mod streams;

use interdict::node::ring::{Purpose, Ring, key_file};
use interdict::node::{Answered, Node, Options};
use interdict_engine::domain::{Body, Event};
use interdict_engine::sequencer::Submission;
use interdict_ingest::{Decoder, RequestContext};
use interdict_tests::blackbox::write;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

const BINARY: &str = env!("CARGO_BIN_EXE_interdict-under-test");
const DAY_MS: i64 = 86_400_000;

const PACK: &str = "name: probe\nversion: \"1\"\nowner: tests\nlists:\n  - {name: hot, doc: cards}\n";
const FEATURES: &str = "features:
  - {name: card, key: card, windows: [1h, 1d, 20d], aggregates: [count, sum, max, distinct], currency: EUR, distinct: merchant, seen: true}
  - {name: merchant, key: merchant, windows: [1d, 7d], aggregates: [count, distinct], distinct: card}
  - {name: both, key: [card, merchant], windows: [20d], aggregates: [count]}
";
const RULES: &str = "rules:
  - id: burst
    title: Many payments in quick succession
    when: features.card.count_1d > 3 || features.card.distinct_20d > 4
    outcome: review
    score: features.card.count_20d
    code: VELOCITY
    examples:
      hit: [{features.card.count_1d: 4, features.card.distinct_20d: 1, features.card.count_20d: 4}]
      miss: [{features.card.count_1d: 1, features.card.distinct_20d: 1}]
  - id: near
    title: Like a known fraud
    when: similar.like.best >= 200
    outcome: hold
    score: similar.like.best
    code: LIKE
    examples:
      hit: [{similar.like.best: 256}]
      miss: [{similar.like.best: 100}]
";
const BANKS: &str = "banks:
  - id: like
    kind: fingerprint
    doc: payments of the same card and shop
    attributes: [card.tag, merchant.tag, channel, {slot: amount.minor, steps: [1000, 10000]}]
    range: 60
    k: 4
";

/// A folder with a configuration, and the key that two nodes share.
struct Place {
    dir: PathBuf,
    data: &'static str,
}

impl Place {
    fn new(dir: &Path, more: &str) -> Place {
        Place::with_data(dir, "data", more)
    }
    /// Two data folders of one configuration, which makes one generation of it.
    fn with_data(dir: &Path, data: &'static str, more: &str) -> Place {
        for (name, text) in [
            ("pack.yaml", PACK),
            ("features.yaml", FEATURES),
            ("rules/all.yaml", RULES),
            ("banks.yaml", BANKS),
        ] {
            write(&dir.join("pack").join(name), text);
        }
        write(&dir.join("hot.csv"), "type,value,effect,reason\nmerchant,M-5,block,STOLEN\n");
        let lists = "[lists.hot]\nfile = \"hot.csv\"\ntenant = \"acme\"\n";
        write(&dir.join("c.toml"), format!("[rules]\npacks = [\"pack\"]\n{lists}{more}"));
        let keys = dir.join(data).join("keys");
        write(&keys.join("master.key"), [7; 32]);
        mode(&keys, 0o700);
        mode(&keys.join("master.key"), 0o600);
        Place { dir: dir.to_owned(), data }
    }
    fn config(&self) -> PathBuf {
        self.dir.join("c.toml")
    }
    fn data(&self) -> PathBuf {
        self.dir.join(self.data)
    }
    fn keys(&self) -> PathBuf {
        self.data().join("keys")
    }
    fn open(&self, now_ms: i64) -> Arc<Node> {
        let loaded = interdict::config::load(&self.config()).unwrap();
        Node::open(&self.data(), loaded, &Options::default(), now_ms).unwrap()
    }
    /// The binary with the folder's `--data`: exit code, stdout, stderr.
    fn run(&self, args: &[&str]) -> (i32, String, String) {
        let out = Command::new(BINARY).args(args).arg("--data").arg(self.data()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (out.status.code().unwrap(), text(out.stdout), text(out.stderr))
    }
    fn verify(&self) -> Value {
        let (code, out, err) = self.run(&["verify", "--json"]);
        assert_eq!(code, 0, "{out}{err}");
        serde_json::from_str(&out).unwrap()
    }
    /// Every file of the data folder but those of the key folder, with its bytes.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let (mut files, mut folders) = (Vec::new(), vec![self.data()]);
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                match path.is_dir() {
                    true if path == self.keys() => {}
                    true => folders.push(path),
                    false => files.push((path.clone(), fs::read(path).unwrap())),
                }
            }
        }
        files
    }
    /// No key of the ring is in any file but its own.
    fn holds_no_key(&self) {
        for number in 1.. {
            let Ok(key) = fs::read(self.keys().join(key_file(number))) else { break };
            for (path, bytes) in self.files() {
                assert!(!bytes.windows(32).any(|part| part == key), "key {number} is in {}", path.display());
            }
            let ring = fs::read(self.keys().join("ring.toml")).unwrap_or_default();
            assert!(!ring.windows(32).any(|part| part == key));
        }
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Has a node take up a new key for a purpose.
fn rotate(node: &Node, purpose: Purpose, now_ms: i64) {
    Ring::add(&node.keys.dir, &[purpose], now_ms).unwrap();
    node.take_up_keys("a test", now_ms).unwrap();
}

fn submission(decoder: &Decoder, tenant: &str, body: &Value, now_ms: i64) -> Submission {
    let context = RequestContext { default_tenant: tenant, ..RequestContext::default() };
    let decoded = decoder.decode(body.to_string().as_bytes(), &context).unwrap();
    Submission {
        refers_to: decoded.refers_to(),
        identity: decoded.id_key.map(|key| key.0),
        alias: decoded.id_alias.map(|key| key.0),
        payment_digest: decoded.payment_digest,
        event: Event { tenant: tenant.into(), arrival_ms: now_ms, body: Body::Payment(Box::new(decoded.tx)) },
    }
}

fn pay(node: &Node, tenant: &str, body: &Value, now_ms: i64) -> Answered {
    let decoder = Decoder::new(node.keys.tags.clone());
    node.call(submission(&decoder, tenant, body, now_ms))
}
