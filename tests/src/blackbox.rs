//! What the black-box tests share: the binary as a command, a payment to start from, and a small pack with its
//! configuration, so that what a test expects stands in the test and not in the packs that ship.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a command came to.
#[derive(Debug, Clone)]
pub struct Done {
    /// Exit status; -1 where a signal ended it.
    pub code: i32,
    /// Everything on stdout.
    pub stdout: String,
    /// Everything on stderr.
    pub stderr: String,
}

impl Done {
    /// The last line of stdout as JSON; `Null` where it is none.
    pub fn summary(&self) -> Value {
        self.stdout.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or(Value::Null)
    }
}

/// Runs the binary to its end.
pub fn run(binary: &str, args: &[&str]) -> Done {
    run_with(binary, args, &[])
}

/// Runs the binary to its end, with variables of the environment.
pub fn run_with(binary: &str, args: &[&str], env: &[(&str, &str)]) -> Done {
    let output = Command::new(binary)
        .args(args)
        .env_remove("INTERDICT_LOG")
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("cargo has built the binary");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the binary writes UTF-8");
    Done {
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// A small payment: time, amount and a merchant, with the fields of `more` on top.
pub fn payment(more: Value) -> Value {
    let mut body = json!({
        "time": "2018-04-01T12:00:00Z",
        "amount": {"minor": 1000, "currency": "EUR"},
        "channel": "ecommerce",
        "merchant": {"id": "M-1"},
    });
    let Value::Object(more) = more else { panic!("fields of a payment are an object") };
    for (name, value) in more {
        body[name] = value;
    }
    body
}

const PACK: &str = "\
name: probe
version: 1.0.0
owner: tests@example.org
description: For the black-box tests.
lists:
  - name: watched
    doc: what the tests put on it
    code: WATCHED
    audience: customer
  - name: banned
    doc: a list that is a sanctions list by its class
    class: sanctions
    code: BANNED
defaults:
  lists: review
  rules: hold
";

const RULES: &str = "\
rules:
  - id: large
    title: A large amount
    when: amount.minor >= 50000
    outcome: review
    score: 300
    code: LARGE
    audience: internal
    examples:
      hit:
        - {amount.minor: 50000}
      miss:
        - {amount.minor: 49999}
  - id: larger
    title: A larger amount, which the customer is told
    when: amount.minor >= 90000
    outcome: challenge
    score: 500
    code: LARGER
    audience: customer
    examples:
      hit:
        - {amount.minor: 90000}
      miss:
        - {amount.minor: 89999}
  - id: held
    title: A transfer that is large
    when: channel == \"transfer\" && amount.minor >= 90000
    outcome: hold
    score: 700
    code: HELD
    audience: processor
    examples:
      hit:
        - {channel: transfer, amount.minor: 90000}
      miss:
        - {channel: chip, amount.minor: 90000}
  - id: often
    title: The third payment of a card within the hour, or a later one
    when: features.card.count_1h >= 3
    outcome: approve
    score: 111
    code: OFTEN
    audience: customer
    examples:
      hit:
        - {features.card.count_1h: 3}
      miss:
        - {features.card.count_1h: 2}
";

const FEATURES: &str = "\
features:
  - name: card
    key: card
    windows: [1h]
    aggregates: [count]
";

const CONFIG: &str = "\
profile = \"embedded-2core\"

[rules]
packs = [\"probe\"]

[decision]
deadline_ms = 60000

[decision.levers]
ecommerce = \"cancel_capture\"
transfer = \"stop_before_cutoff\"
";

/// Writes the pack `probe` and its configuration into a folder, with `more` at the configuration's end; the
/// configuration's path.
pub fn probe(dir: &Path, more: &str) -> PathBuf {
    write(&dir.join("probe/pack.yaml"), PACK);
    write(&dir.join("probe/rules/rules.yaml"), RULES);
    write(&dir.join("probe/features.yaml"), FEATURES);
    let config = dir.join("interdict.toml");
    // A hunt's events come in between whenever something is learned: only where a test asks for it.
    let window = if more.contains("[window]") { "" } else { "\n[window]\nenabled = false\n" };
    write(&config, format!("{CONFIG}{more}{window}"));
    config
}

/// A time so many ms from now, RFC 3339.
pub fn after_ms(ms: i64) -> String {
    interdict_engine::rules::format_time(interdict::node::now_ms() + ms)
}

/// Writes a file and the folders it lies in.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    let folder = path.parent().expect("a file lies in a folder");
    std::fs::create_dir_all(folder).expect("a temporary folder takes folders");
    std::fs::write(path, bytes).expect("a temporary folder takes files");
}

/// A path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}
