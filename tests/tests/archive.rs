//! DuckDB, pandas and pyarrow read the archive, and pyarrow a file of the settlement window, as what was put into them.
//! They come with `tools/deps.sh test`; without them the test is a failure under `CI=true`, and says so elsewhere.
#![allow(clippy::unwrap_used)]

use interdict_engine::domain::{
    Accepted, Body, Decided, Event, Field, GenerationId, KeyId, Label, Lever, Outcome, Recorded, Tag,
    Transaction, TransactionKind, Verdict,
};
use interdict_ledger::MasterKey;
use interdict_ledger::Place;
use interdict_ledger::archive::{Archive, Fate, schema};
use interdict_ledger::journal::{Durability, Journal, Options};
use interdict_ledger::storage::FileStorage;
use interdict_ledger::window::{NewRow, Taken, Window};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

const ROWS: u64 = 1_000;
/// 2026-11-30T00:00:00Z.
const DAY_MS: i64 = 1_795_996_800_000;
const HOURS_24_MS: i64 = 86_400_000;

fn card(sequence: u64) -> u128 {
    // An odd constant's multiples: spread like real tags.
    u128::from(sequence).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}
fn settled_ms(sequence: u64) -> i64 {
    DAY_MS + HOURS_24_MS * (sequence % 2) as i64 + sequence as i64
}

fn accepted(sequence: u64) -> Accepted {
    let tenant: Arc<str> = if sequence % 2 == 1 { "acme".into() } else { "beta".into() };
    let mut tx = Transaction::new(tenant.clone(), TransactionKind::Request, DAY_MS - 1_000);
    tx.set_int(Field::AmountMinor, 100 + sequence as i64);
    tx.set_text(Field::AmountCurrency, "EUR");
    tx.set_text(Field::PayerName, "Ana Silva");
    tx.add_tag(Field::Card, KeyId::STATE, Tag(card(sequence)));
    Accepted {
        sequence,
        event: Event { tenant, arrival_ms: DAY_MS - 900, body: Body::Payment(Box::new(tx)) },
        generation: GenerationId { hash: [7; 32], overlay: 1 },
        engine: "test".into(),
        features: vec![Some(sequence as i64), sequence.is_multiple_of(4).then_some(1)],
        approximate: Vec::new(),
        identity: None,
        alias: None,
        payment_digest: 0,
        original: None,
        waits_for: Vec::new(),
    }
}
fn decided(sequence: u64) -> Decided {
    let verdict = Verdict {
        sequence,
        outcome: Outcome::Approve,
        score: 10,
        reasons: Vec::new(),
        skipped: Vec::new(),
        default_applied: false,
        lever: Lever::StopBeforeCutoff,
        generation: GenerationId { hash: [7; 32], overlay: 1 },
    };
    Decided { verdict, recovered: false, recorded: Recorded::default() }
}

/// A window of some payments, all of them archived in two batches of which the second repeats half of the first.
fn write(dir: &Path) -> PathBuf {
    let storage = Arc::new(FileStorage::create(dir.join("journal")).unwrap());
    let options = Options::new(Durability::Os, "test", [3; 32]);
    let (journal, _) = Journal::open(storage.clone(), &MasterKey::from_bytes([5; 32]), options).unwrap();
    let (mut window, _) = Window::open(&dir.join("window"), &*storage).unwrap();
    for sequence in 1..=ROWS {
        let (accepted, decided) = (accepted(sequence), decided(sequence));
        let taken = Taken {
            sequence,
            place: Place { segment: 1, offset: 240 },
            open: accepted.encode_open(),
            sealed: Vec::new(),
        };
        let row = NewRow {
            taken: &taken,
            accepted: &accepted,
            decided_bytes: &decided.encode(),
            decided: &decided,
            outcome: Outcome::Approve,
            cut_off_ms: settled_ms(sequence) - 1,
            lever: Lever::StopBeforeCutoff,
        };
        window.push(&row).unwrap();
    }
    let at = journal.at().unwrap();
    window.reached(&at, &at).unwrap();
    window.save().unwrap();
    let archive = Archive::open(&dir.join("archive")).unwrap();
    let names = ["velocity.card.1h".to_owned(), "velocity.card.24h".to_owned()];
    let (plain, listed) = (vec!["velocity".to_owned()], vec!["velocity".to_owned(), "listed".to_owned()]);
    for sequences in [1..=600, 301..=ROWS] {
        let mut batch = archive.batch();
        for rows in window.rows() {
            for row in rows.iter().filter(|row| sequences.contains(&row.sequence())) {
                let sequence = row.sequence();
                let fate = Fate {
                    settled_ms: settled_ms(sequence),
                    outcome: Outcome::Approve,
                    reasons: if sequence.is_multiple_of(10) { &listed } else { &plain },
                    state: "settled",
                    hold: None,
                    cleared_ms: Some(DAY_MS),
                    label: sequence.is_multiple_of(100).then_some(Label::Fraud),
                    features: &names,
                };
                batch.add(&row, &fate).unwrap();
            }
        }
        batch.finish().unwrap();
    }
    let mut files = std::fs::read_dir(dir.join("window")).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.extension().is_some_and(|extension| extension == "arrow")).unwrap()
}

/// Python with the three libraries, which lies beside what cargo builds.
fn python() -> Option<PathBuf> {
    let exe = std::env::current_exe().unwrap();
    // target/PROFILE/deps/archive-…
    let python = exe.ancestors().nth(3).unwrap().join("test-venv/bin/python");
    if python.is_file() {
        return Some(python);
    }
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!in_ci, "{} must be there under CI=true: tools/deps.sh test makes it", python.display());
    eprintln!("skipped: no {}; tools/deps.sh test makes it", python.display());
    None
}

#[test]
fn duckdb_pandas_and_pyarrow_read_the_archive_and_pyarrow_the_window() {
    let dir = tempfile::tempdir().unwrap();
    let window = write(dir.path());
    let Some(python) = python() else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/archive/read.py");
    let run = Command::new(python).arg(script).arg(dir.path().join("archive")).arg(&window).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let found: Value = serde_json::from_slice(&run.stdout).unwrap();
    let of_day = |day: &str, odd: bool| {
        let all = || (1..=ROWS).filter(move |sequence| (sequence % 2 == 1) == odd);
        json!([
            day,
            all().count(),
            all().map(|sequence| 100 + sequence).sum::<u64>(),
            all().count(),
            all().filter(|sequence| sequence.is_multiple_of(100)).count(),
            all().sum::<u64>(),
            all().filter(|sequence| sequence.is_multiple_of(4)).count(),
            all().filter(|sequence| sequence.is_multiple_of(10)).count(),
            all().map(settled_ms).min(),
            all().map(settled_ms).max(),
        ])
    };
    let days = json!([of_day("2026-11-30", false), of_day("2026-12-01", true)]);
    assert_eq!(found["duckdb"], days);
    assert_eq!(found["pandas"], days);
    let hex = |tag: u128| format!("{tag:032x}");
    let cards: Vec<String> = (1..=ROWS).map(card).map(hex).collect();
    let table = &found["pyarrow"];
    assert_eq!(table["sequences"], json!((1..=ROWS).collect::<Vec<u64>>()));
    assert_eq!((&table["cards"], &table["version"]), (&json!(cards), &json!("1")));
    let mut columns: Vec<String> = schema().fields().iter().map(|field| field.name().clone()).collect();
    columns.push("day".into());
    columns.sort();
    assert_eq!(table["columns"], json!(columns));
    let window = &found["window"];
    let fingerprints: Vec<u32> = (1..=ROWS).map(|sequence| (card(sequence) >> 96) as u32).collect();
    assert_eq!(
        *window,
        json!({
            "batches": 1, "rows": ROWS, "copied": 0, "tenants": ["acme", "beta"], "nulls": 0,
            "cut_off": [(settled_ms(1) - 1) as f64 / 1e3, (settled_ms(2) - 1) as f64 / 1e3],
            "cards": cards, "fingerprints": fingerprints, "generation": "07".repeat(32),
        })
    );
}
