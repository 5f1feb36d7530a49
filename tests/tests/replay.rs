//! `interdict replay` from outside: what it takes, what it refuses and says of it, and the files it leaves.
#![allow(clippy::unwrap_used)]

#[path = "replay/failures.rs"]
mod failures;
#[path = "replay/outputs.rs"]
mod outputs;
#[path = "replay/rejects.rs"]
mod rejects;

use arrow::array::{ArrayRef, Float64Array, Int64Array, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use interdict_tests::blackbox::{Done, payment, probe, run, text, write};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_interdict-under-test");

/// How the Parquet files of these tests map to our fields.
const COLUMNS: &str = r#"
[feed.columns]
id = "TRANSACTION_ID"
time = "TX_DATETIME"
"card.token" = "CUSTOMER_ID"
"amount.minor" = { column = "TX_AMOUNT", scale = "minor" }
"amount.currency" = { const = "EUR" }
channel = { const = "chip" }
label = "TX_FRAUD"
label_delay = "1d"
"#;

/// A folder with the pack `probe`, a configuration, and feeds.
struct Place {
    dir: TempDir,
    config: PathBuf,
}

impl Place {
    fn new(more: &str) -> Place {
        let dir = TempDir::new().unwrap();
        let config = probe(dir.path(), more);
        Place { dir, config }
    }
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    /// Writes lines as a feed; its path.
    fn lines(&self, name: &str, lines: &[impl AsRef<[u8]>]) -> PathBuf {
        let path = self.path(name);
        let lines: Vec<&[u8]> = lines.iter().map(AsRef::as_ref).collect();
        write(&path, lines.join(&b'\n'));
        path
    }
    /// Replays feeds into a folder of that name.
    fn replay(&self, out: &str, feeds: &[&Path], more: &[&str]) -> Done {
        let out = self.path(out);
        let mut args = vec!["replay"];
        args.extend(feeds.iter().map(|feed| text(feed)));
        args.extend(["--config", text(&self.config), "--out", text(&out), "--json"]);
        args.extend(more);
        run(BINARY, &args)
    }
    /// The summary of a replay that must go well.
    fn summary(&self, out: &str, feeds: &[&Path], more: &[&str]) -> Value {
        let done = self.replay(out, feeds, more);
        assert_eq!(done.code, 0, "{}", done.stderr);
        done.summary()
    }
    /// The rows of the verdicts that a replay left.
    fn decisions(&self, out: &str) -> Vec<RecordBatch> {
        let folder = self.path(out).join("decisions");
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        files.iter().flat_map(|path| read(path)).collect()
    }
}

fn read(path: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}

/// `count` payments of a few cards, four minutes apart, so that a card has three an hour.
fn feed(count: usize) -> Vec<String> {
    let body = |n: usize| {
        let (day, hour, minute) = (1 + n / 360, n / 15 % 24, n % 15 * 4);
        payment(json!({
            "id": format!("tx/{n}"),
            "time": format!("2018-04-{day:02}T{hour:02}:{minute:02}:00Z"),
            "card": {"token": format!("c-{}", n % 5)},
            "amount": {"minor": 1000 * (n % 100), "currency": "EUR"},
        }))
        .to_string()
    };
    (0..count).map(body).collect()
}

/// A row of the Parquet feeds: id, seconds from 2018-04-01, card, amount, label.
type Row = (i64, i64, Option<i64>, f64, i64);

fn table(rows: &[Row]) -> RecordBatch {
    const DAY_0_US: i64 = 1_522_540_800_000_000;
    let time = |row: &Row| DAY_0_US + row.1 * 1_000_000;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("TRANSACTION_ID", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)))),
        ("TX_DATETIME", Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(time)))),
        ("CUSTOMER_ID", Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>())),
        ("TX_AMOUNT", Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.3)))),
        ("TX_FRAUD", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.4)))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn write_parquet(path: &Path, batch: &RecordBatch) {
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}
