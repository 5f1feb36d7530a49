//! The Handbook's Parquet through the feed that `replay` uses, against the same rows read by Arrow alone and put into
//! wire.md's JSON: whatever the format, a payment is the same transaction with the same identity.
#![allow(clippy::unwrap_used)]

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int8Type, Int32Type, TimestampMillisecondType};
use interdict_engine::domain::Label;
use interdict_ingest::dead_letter::mask;
use interdict_ingest::decode::entries::decode_entries;
use interdict_ingest::feeds::{ColumnMap, FileFeed, FileOptions};
use interdict_ingest::lists::{csv, jsonl};
use interdict_ingest::{Decoder, RequestContext, TagKeys};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const COLUMNS: &str = r#"{"id": "TRANSACTION_ID", "time": "TX_DATETIME", "card.token": "CUSTOMER_ID",
    "terminal.id": "TERMINAL_ID", "amount.minor": {"column": "TX_AMOUNT", "scale": "minor"},
    "amount.currency": {"const": "EUR"}, "label": "TX_FRAUD", "label_delay": "7d"}"#;

/// Every how many rows the slow way is taken as well.
const STEP: usize = 97;

/// The Handbook's file: in `INTERDICT_DATA`, or in `shared/data` beside this folder or above it. Without it (and outside
/// CI) the test says so and ends.
fn handbook() -> Option<PathBuf> {
    let named = std::env::var_os("INTERDICT_DATA").map(PathBuf::from);
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/data"));
    let file = "handbook/transactions-2018-04-to-07.parquet";
    let found = named.into_iter().chain(above).map(|data| data.join(file)).find(|path| path.exists());
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "no {file}: set INTERDICT_DATA");
    if found.is_none() {
        eprintln!("skipped: no {file}; set INTERDICT_DATA");
    }
    found
}

#[test]
fn the_handbook_is_read_whole_and_right() {
    let Some(path) = handbook() else { return };
    let decoder = Decoder::new(Arc::new(TagKeys::new(&[7; 32])));
    let columns: ColumnMap = serde_json::from_str(COLUMNS).unwrap();
    let options = FileOptions { columns: Some(columns), default_tenant: "default".into() };
    let mut feed = FileFeed::open(&path, decoder.clone(), &options).unwrap();
    assert_eq!(feed.records(), Some(1_169_723));

    let file = std::fs::File::open(&path).unwrap();
    let slow = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let (mut rows, mut frauds, mut cents, mut slow_cents) = (0usize, 0, 0i64, 0i64);
    for batch in slow {
        let batch = batch.unwrap();
        let int = |name: &str, row: usize| {
            batch.column_by_name(name).unwrap().as_primitive::<Int32Type>().value(row)
        };
        for row in 0..batch.num_rows() {
            let item = feed.next().unwrap().unwrap();
            let record = item.result.unwrap();
            rows += 1;
            assert_eq!(item.number, rows as u64);
            cents += record.decoded.tx.amount_minor();
            let label = record.label.unwrap();
            frauds += usize::from(label.label == Label::Fraud);
            let amount = batch.column_by_name("TX_AMOUNT").unwrap().as_primitive::<Float64Type>().value(row);
            let spelled = format!("{amount:.2}").replace('.', "").parse::<i64>().unwrap();
            slow_cents += spelled;
            if rows % STEP != 0 {
                continue;
            }
            let times = batch.column_by_name("TX_DATETIME").unwrap();
            let time_ms = times.as_primitive::<TimestampMillisecondType>().value(row);
            assert_eq!(label.visible_at_ms, time_ms + 7 * 86_400_000);
            let fraud = batch.column_by_name("TX_FRAUD").unwrap().as_primitive::<Int8Type>().value(row);
            assert_eq!(label.label == Label::Fraud, fraud == 1);
            let time = times.as_primitive::<TimestampMillisecondType>().value_as_datetime(row).unwrap();
            let json = serde_json::json!({
                "id": int("TRANSACTION_ID", row).to_string(),
                "time": time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
                "amount": {"minor": spelled, "currency": "EUR"},
                "card": {"token": int("CUSTOMER_ID", row).to_string()},
                "terminal": {"id": int("TERMINAL_ID", row).to_string()},
            });
            let slow = decoder.decode(json.to_string().as_bytes(), &RequestContext::default()).unwrap();
            assert_eq!(record.decoded, slow, "row {rows}");
        }
    }
    assert!(feed.next().is_none());
    assert_eq!((rows, frauds, cents), (1_169_723, 9_465, slow_cents));
}

/// The fuzzers' corpora as an ordinary test: whatever a fuzzer has found stays found.
#[test]
fn the_fuzzers_corpora_break_nothing() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let keys = Arc::new(TagKeys::new(&[7; 32]));
    let decoder = Decoder::new(keys.clone());
    let mut files = 0;
    for folder in ["decode", "list_csv"] {
        for file in std::fs::read_dir(corpus.join(folder)).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            files += 1;
            let ctx = RequestContext::default();
            let _ = decoder.decode(&bytes, &ctx);
            let _ = decoder.decode_batch(&bytes, &ctx);
            let _ = decoder.decode_labels(&bytes, "default");
            let _ = decode_entries(&bytes, keys.shared(), "");
            let _ = csv::read_entries(&*bytes, "f", keys.shared(), "");
            let _ = jsonl::read_entries(&*bytes, "f", keys.shared(), "");
            let masked = mask(&bytes);
            assert!(!masked.windows(12).any(|window| window.iter().all(u8::is_ascii_digit)));
        }
    }
    assert!(files >= 6, "{files} files");
    let wire = std::fs::read(corpus.join("decode/wire.json")).unwrap();
    assert!(decoder.decode(&wire, &RequestContext::default()).is_ok());
    let list = std::fs::read(corpus.join("list_csv/right.csv")).unwrap();
    assert_eq!(csv::read_entries(&*list, "f", keys.shared(), "").map(|entries| entries.len()), Ok(2));
}

#[test]
fn tags_under_the_consortium_s_key_are_the_consortium_s() {
    use interdict_consortium::{kind::Kind, tag::keyed::TagKey as ConsortiumKey};
    use interdict_engine::domain::SubjectKind;
    let bytes = *b"thirty-two bytes, the same to us";
    let (ours, theirs) =
        (interdict_ingest::normalise::keys::TagKey::from_bytes(&bytes), ConsortiumKey::new(3, &bytes));
    for kind in Kind::ALL {
        let subject = SubjectKind::ALL.into_iter().find(|subject| *subject as u8 == kind as u8).unwrap();
        for text in
            ["4111111111111111", "DE89370400440532013000", "mallory@example.com", "+4915112345678", "é", "x"]
        {
            assert_eq!(ours.tag(subject, text).0, theirs.tag(kind, text), "{kind} {text}");
        }
        assert_ne!(ours.tag(subject, "x").0, ConsortiumKey::new(3, &[0; 32]).tag(kind, "x"));
    }
}
