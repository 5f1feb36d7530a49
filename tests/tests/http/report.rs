//! Reports, labels of payments that have not settled, and the archive, from outside: what the command line tells beside a
//! running node is what was done to it, counted again here.

use super::holds::hold_of;
use super::{BINARY, Probe};
use interdict::node::keys::NodeKeys;
use interdict::node::recovery::catalogue_hash;
use interdict_engine::sequencer::ENGINE;
use interdict_ledger::journal::{Durability, Journal, Options, Reader};
use interdict_ledger::storage::FileStorage;
use interdict_tests::blackbox::{Done, after_ms, payment, run, text, write};
use interdict_tests::node::Start;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

impl Probe {
    fn report(&self, which: &str, more: &[&str]) -> Done {
        let (data, config) = (self.data(), self.config.clone());
        let mut args = vec!["report", which, "--data", text(&data), "--config", text(&config)];
        args.extend(more);
        run(BINARY, &args)
    }
    fn reported(&self, which: &str, more: &[&str]) -> Value {
        let done = self.report(which, &[more, &["--json"]].concat());
        assert_eq!(done.code, 0, "{}", done.stderr);
        serde_json::from_str(&done.stdout).unwrap()
    }
    fn label(&self, sequence: u64, label: &str) {
        let body = json!([{"sequence": sequence, "label": label, "time": "2026-01-01T00:00:00Z"}]);
        let reply = self.client.post("/v1/labels", &body).unwrap();
        assert!(reply.json()[0]["label_sequence"].is_u64(), "{}", reply.text);
    }
    /// Waits until a hold is there and as wanted.
    fn await_hold(&self, hold: &str, is: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let reply = self.client.get(&format!("/v1/holds/{hold}")).unwrap();
            if reply.status == 200 && is(&reply.json()) {
                return reply.json();
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{hold}: {}", reply.text);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// What the test itself did with a payment: its hold's reason and state where there is one, and its label.
struct Did {
    minor: i64,
    currency: &'static str,
    reason: Option<&'static str>,
    state: &'static str,
    label: Option<&'static str>,
    outcome: String,
}

const STATES: [&str; 9] = [
    "held",
    "released",
    "confirmed",
    "expired_released",
    "expired_confirmed",
    "blocked",
    "rejected",
    "reversed",
    "too_late",
];

/// The reason of an amount, by the rules of the pack.
fn reason_of(minor: i64) -> Option<&'static str> {
    match minor {
        77_700 => Some("probe/listed"),
        990_000.. => None,
        95_000.. => Some("probe/secret"),
        90_000.. => Some("probe/stop"),
        _ => None,
    }
}

fn world(probe: &Probe, dice: &mut ChaCha8Rng) -> Vec<Did> {
    let mut all = Vec::new();
    for number in 0..200 {
        let minor = [1_000, 5_000, 77_700, 90_000, 91_234, 95_000, 990_000][dice.random_range(0..7)];
        let currency = ["EUR", "USD", "JPY"][dice.random_range(0..3)];
        let settled = dice.random_bool(0.4);
        let settles = if settled { "2018-04-02T00:00:00Z" } else { "2100-01-01T00:00:00Z" };
        let id = format!("p-{number}");
        let body = payment(json!({
            "id": id, "amount": {"minor": minor, "currency": currency}, "settles_at": settles,
        }));
        let verdict = probe.verdict(&body);
        let (sequence, mut reason) = (verdict["sequence"].as_u64().unwrap(), reason_of(minor));
        let mut state = match (reason, settled) {
            (None, _) => "",
            (Some(_), true) => "too_late",
            (Some(_), false) => "held",
        };
        if state == "held" {
            let act = match (minor, dice.random_range(0..4)) {
                (_, 0) => "",
                (77_700, 1) => "block",
                (77_700, _) => "reject",
                (_, 1) => "confirm",
                (_, 2) => "release",
                _ => "reversal",
            };
            state = match act {
                "" => "held",
                "reversal" => {
                    // In halves, neither of which a rule minds.
                    for (half, minor) in [(1, minor / 2), (2, minor - minor / 2)] {
                        let back = json!({
                            "id": format!("r-{number}-{half}"), "kind": "reversal", "refs": {"original": id},
                            "amount": {"minor": minor, "currency": currency},
                        });
                        probe.verdict(&payment(back));
                    }
                    "reversed"
                }
                act => {
                    let done = probe.done(&hold_of(&verdict), act, json!({"comment": "seen"}));
                    STATES.into_iter().find(|state| *state == done["state"]).unwrap()
                }
            };
        }
        let mut label = None;
        if dice.random_bool(0.4) && state != "released" {
            let said = ["fraud", "good"][dice.random_range(0..2)];
            probe.label(sequence, said);
            label = Some(said);
            // What goes and has not settled is stopped by it.
            if said == "fraud" && state.is_empty() && !settled && minor != 990_000 {
                probe.await_hold(&format!("h-{sequence}"), |_| true);
                (reason, state) = (Some("label:fraud"), "held");
            }
        }
        let outcome = verdict["outcome"].as_str().unwrap().to_owned();
        all.push(Did { minor, currency, reason, state, label, outcome });
    }
    all
}

#[test]
fn what_a_report_adds_up_is_what_was_done() {
    let probe = Probe::holding("");
    let all = world(&probe, &mut ChaCha8Rng::seed_from_u64(5));
    let report = probe.reported("interceptions", &[]);
    let mut expected: BTreeMap<(&str, &str), Vec<&Did>> = BTreeMap::new();
    for did in &all {
        if let Some(reason) = did.reason {
            expected.entry((reason, did.currency)).or_default().push(did);
        }
    }
    let reasons: BTreeSet<&str> = expected.keys().map(|(reason, _)| *reason).collect();
    assert_eq!(reasons.len(), 4, "the world has every reason: {reasons:?}");
    let sum = |of: &dyn Fn(&&&Did) -> bool, those: &[&Did]| {
        let those: Vec<_> = those.iter().filter(of).collect();
        json!({"count": those.len(), "minor": those.iter().map(|did| did.minor).sum::<i64>()})
    };
    let rows = report["rows"].as_array().unwrap();
    let told: Vec<(&str, &str)> =
        rows.iter().map(|row| (row["reason"].as_str().unwrap(), row["currency"].as_str().unwrap())).collect();
    assert_eq!(told, expected.keys().copied().collect::<Vec<_>>());
    for (row, (key, those)) in rows.iter().zip(&expected) {
        assert_eq!((&row["lever"], &row["list"]), (&json!("cancel_capture"), &Value::Null));
        assert_eq!(row["all"], sum(&|_| true, those), "{key:?}");
        for state in STATES {
            assert_eq!(row["states"][state], sum(&|did| did.state == state, those), "{key:?} {state}");
        }
        for label in ["fraud", "good"] {
            assert_eq!(row[label], sum(&|did| did.label == Some(label), those), "{key:?} {label}");
        }
        let count = |states: &[&str]| those.iter().filter(|did| states.contains(&did.state)).count();
        let decided = count(&["released", "confirmed", "blocked", "rejected"]);
        let share = (decided > 0).then(|| count(&["released"]) * 1000 / decided.max(1));
        assert_eq!(row["false_alarm_permille"], json!(share), "{key:?}");
        let was_in_time = those.iter().any(|did| did.state != "too_late");
        // All that was in time settles in 2100.
        assert_eq!(row["ahead_s"]["median"].as_i64().is_some_and(|s| s > 2_000_000_000), was_in_time);
    }
    let mut missed: BTreeMap<(&str, &str, &str), (u64, i64)> = BTreeMap::new();
    let went = all.iter().filter(|did| ["", "too_late"].contains(&did.state) && did.outcome != "decline");
    for did in went.filter(|did| did.label == Some("fraud")) {
        let how = if did.state.is_empty() { "not_found" } else { "too_late" };
        let sum = missed.entry((how, &did.outcome, did.currency)).or_default();
        *sum = (sum.0 + 1, sum.1 + did.minor);
    }
    assert!(missed.len() >= 4);
    let missed = missed.into_iter().map(|((how, outcome, currency), (count, minor))| {
        json!({"how": how, "outcome": outcome, "currency": currency, "count": count, "minor": minor})
    });
    assert_eq!(report["missed"], missed.collect::<Value>());
    // Totals never cross a currency.
    let held =
        |currency: &str| all.iter().filter(|did| did.reason.is_some() && did.currency == currency).count();
    let totals = report["totals"].as_array().unwrap().iter();
    let totals: Vec<_> = totals.map(|total| (&total["currency"], &total["all"]["count"])).collect();
    let counts = ["EUR", "JPY", "USD"].map(|currency| (json!(currency), json!(held(currency))));
    assert_eq!(totals, counts.iter().map(|(currency, count)| (currency, count)).collect::<Vec<_>>());
    // The same as CSV and as a table, and again the same.
    let csv = probe.report("interceptions", &["--csv"]).stdout;
    assert_eq!(csv.lines().filter(|line| line.starts_with("intercepted,")).count(), rows.len());
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let counted = reader.records().map(Result::unwrap).filter(|line| &line[0] == "intercepted");
    let counted: usize = counted.map(|line| line[5].parse::<usize>().unwrap()).sum();
    assert_eq!(counted, all.iter().filter(|did| did.reason.is_some()).count());
    let table = probe.report("interceptions", &[]).stdout;
    assert!(table.contains("probe/secret") && table.contains("label:fraud"), "{table}");
    assert_eq!(probe.reported("interceptions", &[])["rows"], report["rows"]);
    // Other times, another tenant, and what is no time.
    for other in [["--to", "2020-01-01"], ["--from", "2100-01-01T00:00:00Z"], ["--tenant", "nobody"]] {
        let none = probe.reported("interceptions", &other);
        assert_eq!((&none["rows"], &none["missed"]), (&json!([]), &json!([])), "{other:?}");
    }
    assert_eq!(probe.reported("interceptions", &["--from", "2020-01-01"])["rows"], report["rows"]);
    assert_eq!(probe.report("interceptions", &["--from", "yesterday"]).code, 2);
    assert_eq!(run(BINARY, &["report", "interceptions", "--data", "/nowhere"]).code, 3);
}

/// A node that screens payees against a list of one name.
fn screening() -> Probe {
    let probe = Probe::holding("");
    let Probe { mut node, dir, config, .. } = probe;
    assert!(node.terminate().unwrap().success());
    let screens =
        "screens:\n  - {id: payee, doc: the payee, field: payee.name, watchlists: [house], cutoff: 800}\n";
    write(&dir.path().join("probe/screens.yaml"), screens);
    let rules = dir.path().join("probe/rules/names.yaml");
    write(
        &rules,
        "rules:
  - id: name
    title: The payee's name is like a listed one
    when: names.payee.score >= 800
    outcome: hold
    score: names.payee.score
    code: SANCTIONS_NAME
    audience: internal
    class: sanctions
    examples:
      hit: [{names.payee.score: 912, names.payee.matches: 1}]
      miss: [{names.payee.score: 0, names.payee.matches: 0}]
",
    );
    write(&dir.path().join("house.csv"), "id,name,kind\nH-1,Viktor Dragunovic,person\n");
    let mut text = std::fs::read_to_string(&config).unwrap();
    text.push_str("\n[watchlists.house]\nfiles = [\"house.csv\"]\n");
    write(&config, text);
    let node = Start::new(BINARY, &config, dir.path().join("data")).start().unwrap();
    Probe { client: node.client(), node, dir, config }
}

#[test]
fn what_an_officer_files_has_names_words_and_whom_the_list_names() {
    let mut probe = screening();
    let pay = |id: &str, name: &str, minor: i64| {
        let body = payment(json!({
            "id": id, "amount": {"minor": minor, "currency": "EUR"}, "settles_at": "2100-01-01T00:00:00Z",
            "payer": {"name": "Ana Silva", "country": "PT"}, "payee": {"name": name, "country": "RS"},
            "card": {"pan": "4111111111111111"}, "text": "rent, \"May\"",
        }));
        hold_of(&probe.verdict(&body))
    };
    let first = pay("a", "Viktor Dragunovich", 5_000);
    let second = pay("b", "DRAGUNOVIC, Viktor", 7_000);
    let third = pay("c", "Viktor Dragunovic", 8_000);
    probe.done(&second, "reject", json!({"comment": "born in another year, same passport", "who": "ben"}));
    probe.done(&first, "block", json!({"comment": "same birthday", "who": "anna"}));
    let report = probe.reported("blocked", &[]);
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2, "{report}");
    let told: Vec<_> =
        rows.iter().map(|row| [&row["hold"], &row["action"], &row["decided_by"], &row["reason"]]).collect();
    let expected = [
        [second.as_str(), "rejected", "loopback/ben", "born in another year, same passport"],
        [first.as_str(), "blocked", "loopback/anna", "same birthday"],
    ];
    assert_eq!(json!(told), json!(expected), "in the order they were decided");
    let row = &rows[1];
    assert_eq!(
        (&row["payer"]["name"], &row["payee"]["name"]),
        (&json!("Ana Silva"), &json!("Viktor Dragunovich"))
    );
    assert_eq!((&row["minor"], &row["currency"], &row["id"]), (&json!(5_000), &json!("EUR"), &json!("a")));
    assert_eq!((&row["card_bin"], &row["card_last4"]), (&json!("41111111"), &json!("1111")));
    let one = &row["matches"][0];
    assert_eq!(
        (&one["list"], &one["entry"], &one["name"]),
        (&json!("house"), &json!("H-1"), &json!("Viktor Dragunovic"))
    );
    assert!(one["score"].as_u64().is_some_and(|score| (800..1000).contains(&score)), "{one}");
    assert!(
        rows[0]["matches"][0]["score"].as_u64() > one["score"].as_u64(),
        "the same words in another order"
    );
    assert!(row["report_due"].is_string() && row["generation"].as_str().unwrap().starts_with("g-"));
    let not_given = report["not_given"].to_string();
    assert!(
        not_given.contains("501.603")
            && not_given.contains("501.604")
            && not_given.contains("account numbers")
    );
    let csv = probe.report("blocked", &["--csv"]).stdout;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().unwrap().clone();
    let records: Vec<_> = reader.records().map(Result::unwrap).collect();
    let cell = |row: usize, name: &str| {
        records[row][header.iter().position(|known| known == name).unwrap()].to_owned()
    };
    assert_eq!(
        (records.len(), cell(0, "text"), cell(1, "listed_name")),
        (2, "rent, \"May\"".into(), "Viktor Dragunovic".into())
    );
    let table = probe.report("blocked", &[]).stdout;
    assert!(table.contains("Viktor Dragunovich") && table.contains("same birthday"), "{table}");
    assert_eq!(probe.reported("blocked", &["--to", "2020-01-01"])["rows"], json!([]));
    // The interceptions name the list, not each entry of it.
    let intercepted = probe.reported("interceptions", &[]);
    let rows = &probe.reported("interceptions", &[])["rows"];
    assert_eq!((&rows[0]["reason"], &rows[0]["list"]), (&json!("watchlist:house"), &json!("house")));
    assert_eq!((&rows[0]["all"]["count"], &rows[0]["states"]["held"]["count"]), (&json!(3), &json!(1)));
    // Once the keys are destroyed, nobody can read names and words, and everything else stands.
    probe.done(&third, "comment", json!({"comment": "asked the bank", "who": "anna"}));
    assert!(probe.node.terminate().unwrap().success());
    destroy_keys(&probe);
    let report = probe.reported("blocked", &[]);
    for (row, action) in [(0, "rejected"), (1, "blocked")] {
        let row = &report["rows"][row];
        for gone in [&row["payer"]["name"], &row["payee"]["name"], &row["reason"], &row["text"]] {
            assert_eq!(gone, "[destroyed]", "{row}");
        }
        assert_eq!((&row["action"], &row["matches"][0]["entry"]), (&json!(action), &json!("H-1")));
    }
    assert_eq!(probe.reported("interceptions", &[])["rows"], intercepted["rows"]);
    // A start that has the journal only takes what was done as done.
    std::fs::remove_dir_all(probe.data().join("snapshots")).unwrap();
    probe.restart_ended();
    assert_eq!(
        (&probe.hold(&first)["state"], &probe.hold(&third)["state"]),
        (&json!("blocked"), &json!("held"))
    );
}

fn destroy_keys(probe: &Probe) {
    let keys = NodeKeys::open(&probe.data().join("keys"), false).unwrap();
    let storage = Arc::new(FileStorage::open(probe.data().join("journal")).unwrap());
    let segments = Reader::open(storage.clone(), &keys.sealing).unwrap().segments();
    let options = Options::new(Durability::Os, ENGINE, catalogue_hash());
    let (mut journal, _) = Journal::open(storage, &keys.sealing, options).unwrap();
    segments.iter().for_each(|segment| journal.destroy_key(segment.number).unwrap());
    journal.close().unwrap();
}

#[test]
fn a_fraud_label_stops_what_has_not_settled_and_a_good_one_proposes_a_release() {
    let mut probe = Probe::holding("");
    let pay = |probe: &Probe, id: &str, minor: i64| {
        probe.pay(id, minor, json!({"settles_at": "2100-01-01T00:00:00Z"}))
    };
    let sequence = |verdict: &Value| verdict["sequence"].as_u64().unwrap();
    let (goes, held, listed) = (pay(&probe, "a", 1_000), pay(&probe, "b", 90_000), pay(&probe, "c", 77_700));
    probe.label(sequence(&goes), "fraud");
    probe.label(sequence(&held), "good");
    probe.label(sequence(&listed), "good");
    let stopped = probe.await_hold(&hold_of(&goes), |_| true);
    assert_eq!((&stopped["state"], &stopped["causes"]), (&json!("held"), &json!(["label:fraud"])));
    assert_eq!((&stopped["learned"]["kind"], &stopped["label"]["label"]), (&json!("label"), &json!("fraud")));
    assert_eq!((&stopped["lever"], &stopped["score"]), (&json!("cancel_capture"), &json!(1000)));
    let proposed = probe.await_hold(&hold_of(&held), |hold| !hold["release_proposed"].is_null());
    assert_eq!((&proposed["state"], &proposed["label"]["label"]), (&json!("held"), &json!("good")));
    assert_eq!(proposed["release_proposed"]["learned"]["kind"], "label");
    assert_eq!(probe.clear(json!(["a", "b"])), ["held", "held"]);
    // Taken back, and the proposal with it; a sanctions hold heeds none.
    probe.label(sequence(&held), "fraud");
    let kept = probe.await_hold(&hold_of(&held), |hold| hold["release_proposed"].is_null());
    assert_eq!((&kept["state"], &kept["label"]["label"]), (&json!("held"), &json!("fraud")));
    assert_eq!(probe.hold(&hold_of(&listed))["release_proposed"], Value::Null);
    // Whoever releases it knows the label: it is not held for it again, but it is for a later one. What is learned
    // otherwise proposes no release of a payment that is known to be fraud.
    assert_eq!(probe.done(&hold_of(&goes), "release", json!({}))["state"], "released");
    probe.restart();
    let added = probe.client.put("/v1/lists/watched/entries", &json!([{"bin": "400000"}])).unwrap();
    assert_eq!(added.status, 200, "{}", added.text);
    let other = pay(&probe, "d", 1_000);
    probe.label(sequence(&other), "fraud");
    probe.await_hold(&hold_of(&other), |_| true);
    let again = format!("{}-2", hold_of(&goes));
    assert_eq!(probe.client.get(&format!("/v1/holds/{again}")).unwrap().status, 404);
    assert_eq!(probe.hold(&hold_of(&goes))["state"], "released");
    probe.label(sequence(&goes), "fraud");
    assert_eq!(probe.await_hold(&again, |_| true)["state"], "held");
}

/// Python with DuckDB and pyarrow, which lies beside what cargo builds.
fn python() -> Option<PathBuf> {
    let exe = std::env::current_exe().unwrap();
    let python = exe.ancestors().nth(3).unwrap().join("test-venv/bin/python");
    if python.is_file() {
        return Some(python);
    }
    assert!(!std::env::var("CI").is_ok_and(|ci| ci == "true"), "{} must be there", python.display());
    eprintln!("skipped: no {}; tools/deps.sh test makes it", python.display());
    None
}

const READ: &str = r#"
import duckdb, json, sys, pyarrow.dataset as ds
root = sys.argv[1]
rows = duckdb.sql(f"""
  SELECT p.id, p.state, p.hold, p.outcome, p.reasons, p.label, l.label, p."amount.minor", len(map_keys(p.features))
  FROM read_parquet('{root}/day=*/*.parquet', hive_partitioning = true, union_by_name = true) p
  LEFT JOIN (SELECT sequence, arg_max(label, label_sequence) AS label
             FROM read_parquet('{root}/_labels/*/*.parquet') GROUP BY sequence) l USING (sequence)
  ORDER BY p.sequence""").fetchall()
print(json.dumps({"rows": rows, "pyarrow": ds.dataset(root, format="parquet", partitioning="hive").count_rows()}))
"#;

#[test]
fn what_has_settled_is_archived_once_and_read_by_others() {
    let more = "\n[window]\nkeep_h = 0\n[archive]\nevery_s = 1\n";
    let mut probe = Probe::holding(more);
    let dir: TempDir = TempDir::new().unwrap();
    let settles = after_ms(3_000);
    let pay = |probe: &Probe, id: &str, minor: i64| probe.pay(id, minor, json!({"settles_at": settles}));
    pay(&probe, "goes", 1_000);
    let confirmed = pay(&probe, "stopped", 90_000);
    pay(&probe, "never", 990_000);
    let late = pay(&probe, "late", 2_000);
    assert_eq!(probe.done(&hold_of(&confirmed), "confirm", json!({}))["state"], "confirmed");
    assert_eq!(probe.clear(json!(["goes"])), ["go"]);
    // The disk does not take it at first: a file lies where the folder belongs.
    write(&probe.data().join("archive"), "in the way");
    let metric = |probe: &Probe, name: &str| -> u64 {
        let text = probe.client.get("/metrics").unwrap().text;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        line.unwrap() as u64
    };
    let await_metric = |probe: &Probe, name: &str, least: u64| {
        let began = Instant::now();
        while metric(probe, name) < least {
            assert!(began.elapsed() < Duration::from_secs(60), "{name}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    await_metric(&probe, "interdict_archive_failures_total", 1);
    assert_eq!(metric(&probe, "interdict_archive_rows_total"), 0);
    std::fs::remove_file(probe.data().join("archive")).unwrap();
    await_metric(&probe, "interdict_archive_rows_total", 3);
    // A label that comes afterwards; and a window that is made anew archives nothing twice.
    probe.label(late["sequence"].as_u64().unwrap(), "fraud");
    assert!(probe.node.terminate().unwrap().success());
    std::fs::remove_dir_all(probe.data().join("window")).unwrap();
    probe.restart_ended();
    let settles = after_ms(200);
    probe.pay("next", 3_000, json!({"settles_at": settles}));
    await_metric(&probe, "interdict_archive_rows_total", 1);
    await_metric(&probe, "interdict_archive_labels_total", 1);
    let Some(python) = python() else { return };
    let script = dir.path().join("read.py");
    write(&script, READ);
    let run = Command::new(python).arg(script).arg(probe.data().join("archive")).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let found: Value = serde_json::from_slice(&run.stdout).unwrap();
    let rows = json!([
        ["goes", "cleared", null, "approve", [], null, null, 1_000, 1],
        ["stopped", "confirmed", "confirmed", "hold", ["probe/stop"], null, null, 90_000, 1],
        ["late", "settled", null, "approve", [], null, "fraud", 2_000, 1],
        ["next", "settled", null, "approve", [], null, null, 3_000, 1],
    ]);
    assert_eq!(found, json!({"rows": rows, "pyarrow": 4}));
}

/// A disk that is full while they settle: they stay rows, nothing half-written is left, and later they are archived.
#[test]
fn what_the_disk_has_no_room_for_stays_in_the_window_until_it_has() {
    let probe = Probe::holding("\n[window]\nkeep_h = 0\n[archive]\nevery_s = 1\n");
    let limit = |limit: &str| {
        let pid = probe.node.pid().to_string();
        let done = Command::new("prlimit").args(["--pid", &pid, limit]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let of = |name: &str| -> u64 {
        let text = probe.client.get("/metrics").unwrap().text;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
        value.parse::<f64>().unwrap() as u64
    };
    let until = |what: &str, is_so: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < Duration::from_secs(60), "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let settles = after_ms(1_500);
    for id in ["one", "two", "three"] {
        probe.pay(id, 1_000, json!({"settles_at": settles}));
    }
    until("rows", &|| of("interdict_window_payments") == 3);
    limit("--fsize=0:unlimited");
    until("it fails", &|| of("interdict_archive_failures_total") > 0);
    assert_eq!((of("interdict_archive_rows_total"), of("interdict_window_payments")), (0, 3));
    assert!(archived(&probe).is_empty());
    limit("--fsize=unlimited:unlimited");
    until("it is archived", &|| of("interdict_window_payments") == 0);
    assert_eq!(of("interdict_archive_rows_total"), 3);
    assert_eq!(archived(&probe).iter().map(|(_, rows)| rows).sum::<u64>(), 3);
}

/// Killed when the archive has them and the window still does: each is there once, with what became of it.
#[test]
fn what_is_archived_when_it_is_killed_is_there_once() {
    let more = "\n[window]\nkeep_h = 0\n[archive]\nevery_s = 1\n";
    let mut probe = Probe::holding(more);
    probe.node.kill();
    let start = Start::new(BINARY, &probe.config, probe.data());
    // The first look finds nothing, so the point is reached without anything to drop, too.
    probe.node = start.clone().env("INTERDICT_FAILPOINT", "archive.before_drop:2").start().unwrap();
    probe.client = probe.node.client();
    let settles = after_ms(400);
    for (id, minor) in [("goes", 1_000), ("stays", 2_000), ("stopped", 90_000)] {
        probe.pay(id, minor, json!({"settles_at": settles}));
    }
    // It ends itself at the second look or a later one, whichever finds them settled first.
    let mut ends = 0;
    while archived(&probe).is_empty() {
        probe.node.wait(Duration::from_secs(60)).unwrap();
        probe.node = start.clone().env("INTERDICT_FAILPOINT", "archive.before_drop:2").start().unwrap();
        probe.client = probe.node.client();
        ends += 1;
        assert!(ends < 20, "nothing is archived");
    }
    probe.node.kill();
    probe.restart_ended();
    let window = || probe.client.get("/v1/status").unwrap().json()["window"]["payments"].clone();
    let began = Instant::now();
    while window() != json!(0) {
        assert!(began.elapsed() < Duration::from_secs(60), "{}", window());
        std::thread::sleep(Duration::from_millis(20));
    }
    let rows = archived(&probe);
    assert_eq!(rows.iter().map(|(_, rows)| rows).sum::<u64>(), 3, "{rows:?}");
}

/// The archive's files with how many rows each has, by the footer that Parquet ends with.
fn archived(probe: &Probe) -> Vec<(String, u64)> {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let mut found = Vec::new();
    let Ok(days) = std::fs::read_dir(probe.data().join("archive")) else { return found };
    for day in days.flatten().filter(|day| day.file_name().to_string_lossy().starts_with("day=")) {
        for part in std::fs::read_dir(day.path()).unwrap().flatten() {
            let name = part.file_name().to_string_lossy().into_owned();
            if name.ends_with(".parquet") {
                let file = std::fs::File::open(part.path()).unwrap();
                let rows = SerializedFileReader::new(file).unwrap().metadata().file_metadata().num_rows();
                found.push((name, rows as u64));
            }
        }
    }
    found.sort();
    found
}

impl Probe {
    fn restart_ended(&mut self) {
        self.node = Start::new(BINARY, &self.config, self.data()).start().unwrap();
        self.client = self.node.client();
    }
}
