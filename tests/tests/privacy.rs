//! No card number, name, account, address or text that a caller sends is left anywhere in the clear: not in the data
//! folder, dead or alive, not in logs, metrics, errors or tables. What is looked at is every byte.
#![allow(clippy::unwrap_used)]

#[path = "privacy/people.rs"]
mod people;

use arrow::array::Array;
use interdict_tests::blackbox::{payment, probe, run_with, text, write};
use interdict_tests::node::{Client, Running, Start};
use interdict_tests::traces::Secrets;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use people::{Person, people};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

const BINARY: &str = env!("CARGO_BIN_EXE_interdict-under-test");

/// A right request that says everything about a person.
fn right(person: &Person, id: &str) -> Value {
    payment(json!({
        "id": id,
        "card": {"pan": person.pan},
        "account": {"iban": person.iban},
        "payer": {"name": person.name, "country": "PT"},
        "payee": {"name": person.payee, "account": {"number": person.number, "bank": "BANK1"}},
        "merchant": {"id": person.merchant, "name": person.shop},
        "terminal": {"id": person.terminal},
        "device": {"id": person.device, "user_agent": person.agent},
        "email": person.email,
        "phone": person.phone,
        "text": person.text,
        "qr": format!("000201{}6304A1B2", person.pan),
    }))
}

/// Wrong requests that hold a person's values in all the places where they could be repeated from.
fn wrong(person: &Person, id: &str) -> Vec<Vec<u8>> {
    let base = right(person, id);
    let with = |name: &str, value: Value| {
        let mut body = base.clone();
        body[name] = value;
        body.to_string().into_bytes()
    };
    let broken_pan = format!("{}0", person.pan);
    let mut bodies = vec![
        with("card", json!({"pan": broken_pan})),
        with("card", json!({"pan": person.digits().parse::<u64>().unwrap()})),
        with("card", json!(person.pan)),
        with("card", json!({"pan": person.pan, "token": person.name})),
        with("card", json!({"token": "t", "cvv": person.pan})),
        with("amount", json!({"minor": person.pan, "currency": "EUR"})),
        with("amount", json!({"minor": 1, "currency": person.name})),
        with("amount", json!(person.email)),
        with("account", json!({"iban": format!("{}9", person.iban)})),
        with("account", json!({"number": person.iban})),
        with("email", json!(person.name)),
        with("email", json!(format!("{} at example", person.email))),
        with("phone", json!(person.text)),
        with("kind", json!(person.name)),
        with("channel", json!(person.email)),
        with("time", json!(person.phone)),
        with("refs", json!({"stan": person.pan, "rrn": person.name, "uetr": person.iban})),
        with("device", json!({"ip": person.pan})),
        with("text", json!(format!("{} {}", person.text, "x".repeat(4096)))),
        with("track2", json!(format!("{}=2512", person.digits()))),
        with("cardholder", json!({"name": person.name, "deep": {"pan": person.pan}})),
        with(&person.pan, json!(person.name)),
        with("tenant", json!(format!("{}\u{7}", person.name))),
        with("id", json!(format!("{}\u{0}", person.pan))),
    ];
    let whole = base.to_string();
    bodies.push(whole.as_bytes()[..whole.len() - 1].to_vec());
    bodies.push(format!("{whole} {}", person.pan).into_bytes());
    bodies.push(format!("\"{} {}\"", person.pan, person.name).into_bytes());
    bodies.push(format!("{} {}", person.pan, person.name).into_bytes());
    let mut bad_utf8 = whole.into_bytes();
    bad_utf8.truncate(bad_utf8.len() - 1);
    bad_utf8.push(0xff);
    bodies.push(bad_utf8);
    bodies
}

/// A started node whose stdout is kept in a file beside its data.
fn start(config: &Path, dir: &Path) -> Running {
    let script = dir.join("serve.sh");
    let stdout = dir.join("stdout.log");
    write(&script, format!("#!/bin/sh\nexec {BINARY} \"$@\" >>{}\n", stdout.display()));
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    Start::new(script, config, dir.join("data")).env("INTERDICT_LOG", "trace").start().unwrap()
}

/// What came back and was logged, to be looked through at the end.
#[derive(Default)]
struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    fn add(&mut self, what: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push((what.into(), bytes.into()));
    }
    fn send(
        &mut self,
        client: &Client,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> u16 {
        let reply = client.send(method, path, headers, body).unwrap();
        let headers = format!("{:?}", reply.headers);
        self.add(format!("{method} {path}: {}", reply.status), format!("{headers}\n{}", reply.text));
        reply.status
    }
    /// Asserts that no secret is in any of it.
    fn assert_clean(&self, secrets: &Secrets) {
        for (what, bytes) in &self.0 {
            // The path is the request's own; only what came back counts.
            let found = secrets.found_in(bytes);
            assert!(found.is_empty(), "{what}: {found:?}\n{}", String::from_utf8_lossy(bytes));
        }
    }
}

fn all_secrets(people: &[Person]) -> Secrets {
    let mut secrets = Secrets::default();
    for person in people {
        person.secrets().iter().for_each(|secret| secrets.add(secret));
    }
    secrets
}

fn assert_folder_clean(secrets: &Secrets, dir: &Path, witness: &str) {
    let (found, files, bytes) = secrets.found_under(dir);
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(files >= 5 && bytes > 10_000, "{files} files, {bytes} bytes: what was looked at?");
    // The search itself works on these bytes: an open id is found in them.
    let mut open = Secrets::default();
    open.add(witness);
    let (seen, ..) = open.found_under(&dir.join("journal"));
    assert!(!seen.is_empty(), "{witness:?} is an open field of the journal and was not found");
}

/// A person's values through every call that takes any.
fn exercise(client: &Client, seen: &mut Seen, people: &[Person], round: usize) {
    for (n, person) in people.iter().enumerate() {
        let id = format!("privacy-{round}-{n}");
        let body = right(person, &id).to_string();
        let key = format!("{}-{round}", person.pan);
        let headers = [("Idempotency-Key", key.as_str())];
        assert_eq!(seen.send(client, "POST", "/v1/decisions", &headers, body.as_bytes()), 200);
        assert_eq!(seen.send(client, "POST", "/v1/decisions", &headers, body.as_bytes()), 200);
        for body in wrong(person, &format!("{id}-wrong")) {
            let status = seen.send(client, "POST", "/v1/decisions", &[], &body);
            assert!(matches!(status, 400 | 422), "{status}: {}", String::from_utf8_lossy(&body));
        }
        let batch: Vec<Box<serde_json::value::RawValue>> =
            wrong(person, "b").into_iter().filter_map(|body| serde_json::from_slice(&body).ok()).collect();
        let batch = serde_json::to_vec(&batch).unwrap();
        assert_eq!(seen.send(client, "POST", "/v1/decisions", &[], &batch), 200);
        let deadline = [("Interdict-Deadline-Ms", person.pan.as_str())];
        assert_eq!(seen.send(client, "POST", "/v1/decisions", &deadline, body.as_bytes()), 422);
        for path in [person.digits(), person.email.replace('@', "%40"), format!("@{}", person.digits())] {
            let status = client.get(&format!("/v1/decisions/{path}")).unwrap();
            assert!(matches!(status.status, 400 | 404), "{}", status.text);
            seen.add("GET of a secret", status.text);
        }
        let labels = json!([
            {"id": person.pan, "label": "fraud", "time": "2018-04-02T00:00:00Z"},
            {"id": id, "label": person.name, "time": person.email},
            {"id": id, "label": "good", "time": "2018-04-02T00:00:00Z", "note": person.text},
        ]);
        assert_eq!(seen.send(client, "POST", "/v1/labels", &[], labels.to_string().as_bytes()), 200);
        let entries = json!([
            {"card": {"pan": person.pan}, "effect": "flag"},
            {"account": {"iban": person.iban}, "effect": "flag"},
            {"email": person.email, "effect": "flag"},
            {"phone": person.phone, "effect": "flag"},
            {"name": person.name, "effect": "flag"},
            {"device": {"id": person.device}, "effect": "flag"},
            {"merchant": {"id": person.merchant}, "effect": "flag"},
        ]);
        let entries = entries.to_string();
        assert_eq!(seen.send(client, "PUT", "/v1/lists/found/entries", &[], entries.as_bytes()), 200);
        let bad = json!([{"card": {"pan": format!("{}1", person.pan)}}, {"name": person.name, "effect": person.email},
            {"iban": person.iban}, {"bin": person.pan}, {"ip": person.phone}]);
        assert_eq!(seen.send(client, "PUT", "/v1/lists/found/entries", &[], bad.to_string().as_bytes()), 422);
        if n % 2 == 0 {
            assert_eq!(seen.send(client, "DELETE", "/v1/lists/found/entries", &[], entries.as_bytes()), 200);
        }
    }
    for path in ["/metrics", "/v1/status", "/v1/lists", "/v1/packs"] {
        assert_eq!(seen.send(client, "GET", path, &[], b""), 200);
    }
}

/// A configuration with a list file that names these people.
fn config(dir: &Path, people: &[Person]) -> PathBuf {
    let config = probe(dir, "\n[lists.watched]\nfile = \"watched.csv\"\n");
    let rows = people.iter().map(|p| {
        let (pan, iban, email, phone, name) = (p.digits(), &p.iban, &p.email, &p.phone, p.name);
        format!(
            "card,{pan},flag\naccount,{iban},flag\nemail,{email},flag\nphone,{phone},flag\nname,{name},flag\n"
        )
    });
    write(&dir.join("watched.csv"), format!("type,value,effect\n{}", rows.collect::<String>()));
    config
}

#[test]
fn serving_leaves_no_value_in_the_clear_dead_or_alive() {
    let people = people();
    let secrets = all_secrets(&people);
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &people);
    let data = dir.path().join("data");
    let mut seen = Seen::default();

    let mut node = start(&config, dir.path());
    exercise(&node.client(), &mut seen, &people[..people.len() / 2], 0);
    assert_folder_clean(&secrets, &data, "privacy-0-1");
    // Killed while requests are under way: what is half written is as clean.
    let killed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (client, people, killed) = (node.client(), &people, &killed);
        scope.spawn(move || {
            for n in 0.. {
                let body = right(&people[n % people.len()], &format!("privacy-killed-{n}"));
                let bad = wrong(&people[n % people.len()], "w").swap_remove(n % 24);
                let sent = client.post("/v1/decisions", &body).is_ok();
                if killed.load(Ordering::Acquire) && !sent {
                    return;
                }
                let _ = client.send("POST", "/v1/decisions", &[], bad);
            }
        });
        std::thread::sleep(std::time::Duration::from_millis(60));
        node.kill();
        killed.store(true, Ordering::Release);
    });
    seen.add("the log of the killed node", node.log());
    assert_folder_clean(&secrets, &data, "privacy-killed-1");

    let mut node = start(&config, dir.path());
    exercise(&node.client(), &mut seen, &people, 1);
    // A story holds names, for whoever may read them; it must not leave the answer.
    let story = node.client().get("/v1/decisions/privacy-1-0").unwrap();
    assert!(story.status == 200 && story.text.contains(people[0].name), "{}", story.text);
    assert!(node.terminate().unwrap().success());
    let log = node.log();
    assert!(log.contains("drained") && log.contains("list delta"), "{log}");
    seen.add("the log", log);
    seen.add("stdout", std::fs::read(dir.path().join("stdout.log")).unwrap());
    assert_folder_clean(&secrets, &data, "privacy-1-2");
    seen.assert_clean(&secrets);

    for json in [&["--json"][..], &[]] {
        let args = [&["dead-letters", "--data", text(&data)], json].concat();
        let letters = run_with(BINARY, &args, &[]);
        assert!(letters.code == 0 && letters.stdout.lines().count() > 500, "{}", letters.stderr);
        let found = secrets.found_in(letters.stdout.as_bytes());
        assert!(found.is_empty(), "dead letters are masked: {found:?}");
    }
}

#[test]
fn a_replay_leaves_no_value_in_the_clear() {
    let people = people();
    let secrets = all_secrets(&people);
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &people);
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for (n, person) in people.iter().enumerate() {
        lines.push(right(person, &format!("privacy-{n}")).to_string().into_bytes());
        lines.extend(wrong(person, &format!("privacy-wrong-{n}")));
        lines.push(right(person, &format!("privacy-{n}")).to_string().replace("1000", "1001").into_bytes());
    }
    let feed = dir.path().join("feed.jsonl");
    write(&feed, lines.join(&b'\n'));
    let out = dir.path().join("out");
    for (lanes, out) in [("0", &out), ("2", &dir.path().join("out-2"))] {
        let args = ["replay", text(&feed), "--config", text(&config), "--out", text(out), "--lanes", lanes];
        let done = run_with(BINARY, &args, &[("INTERDICT_LOG", "trace")]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(done.summary()["transactions"], people.len(), "{}", done.stderr);
        for (what, said) in [("stdout", &done.stdout), ("stderr", &done.stderr)] {
            let found = secrets.found_in(said.as_bytes());
            assert!(found.is_empty(), "{what}: {found:?}\n{said}");
        }
        assert_folder_clean(&secrets, out, "privacy-3");
        // The table is compressed; what it holds is looked at unpacked.
        let table = std::fs::File::open(out.join("decisions/part-00000.parquet")).unwrap();
        let batches = ParquetRecordBatchReaderBuilder::try_new(table).unwrap().build().unwrap();
        for batch in batches.map(Result::unwrap) {
            for column in batch.columns() {
                let data = column.to_data();
                let buffers = data.buffers().iter().chain(data.child_data().iter().flat_map(|c| c.buffers()));
                for buffer in buffers {
                    assert_eq!(secrets.found_in(buffer), []);
                }
            }
        }
        let letters = run_with(BINARY, &["dead-letters", "--data", text(out)], &[]);
        assert_eq!(secrets.found_in(letters.stdout.as_bytes()), []);
    }
}

#[test]
fn what_an_operator_may_read_needs_the_key() {
    let people = people();
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &people);
    let mut node = start(&config, dir.path());
    let body = right(&people[0], "mine");
    assert_eq!(node.client().post("/v1/decisions", &body).unwrap().status, 200);
    assert!(node.terminate().unwrap().success());
    let data = dir.path().join("data");
    let keys = data.join("keys");
    let mut inside: Vec<PathBuf> = std::fs::read_dir(&keys).unwrap().map(|e| e.unwrap().path()).collect();
    inside.sort();
    for path in inside {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
    }
    let explain = || run_with(BINARY, &["explain", "mine", "--data", text(&data)], &[]);
    let told = explain();
    assert!(told.code == 0 && told.stdout.contains(people[0].name), "{}{}", told.stdout, told.stderr);
    // Under another key there is nothing to read, and the values are not in the message either.
    std::fs::rename(&keys, dir.path().join("away")).unwrap();
    let args = ["keys", "add", "--name", "x", "--role", "ops", "--data", text(&data)];
    assert_eq!(run_with(BINARY, &args, &[]).code, 0);
    let told = explain();
    assert_ne!(told.code, 0, "{}", told.stdout);
    let found = all_secrets(&people).found_in(format!("{}{}", told.stdout, told.stderr).as_bytes());
    assert!(found.is_empty(), "{found:?}");
}
