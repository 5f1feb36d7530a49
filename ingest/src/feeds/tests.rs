#![allow(clippy::unwrap_used)]
//! Feeds over real files: right rows, wrong rows, and files that are cut or of another shape than their mapping.

use super::*;
use crate::decode::{Decoder, RequestContext};
use crate::error::{FeedError, Status};
use crate::normalise::keys::TagKeys;
use ::arrow::array::*;
use ::arrow::datatypes::{DataType, Field as Column, Int8Type, Schema, TimeUnit};
use ::arrow::ipc::CompressionType;
use ::arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use ::arrow::record_batch::RecordBatch;
use ::parquet::arrow::ArrowWriter;
use ::parquet::file::properties::WriterProperties;
use interdict_engine::domain::Field;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn decoder() -> Decoder {
    Decoder::new(Arc::new(TagKeys::new(&[7; 32])))
}

/// The Handbook's mapping, as its config will say it.
const HANDBOOK: &str = r#"{"id": "TRANSACTION_ID", "time": "TX_DATETIME", "card": {"token": "CUSTOMER_ID"},
    "terminal.id": {"template": "T-{TERMINAL_ID}"}, "amount": {"minor": {"column": "TX_AMOUNT", "scale": "minor"},
    "currency": {"const": "EUR"}}, "label": "TX_FRAUD", "label_delay": "7d"}"#;

fn options(columns: &str) -> FileOptions {
    FileOptions { columns: Some(serde_json::from_str(columns).unwrap()), default_tenant: "default".into() }
}

fn handbook_batch(rows: i32) -> RecordBatch {
    let ids = Int32Array::from_iter_values(0..rows);
    let times = TimestampMillisecondArray::from_iter_values((0..i64::from(rows)).map(|row| row * 1000));
    let customers = Int32Array::from_iter((0..rows).map(|row| (row != 2).then_some(row % 7)));
    let terminals = Int32Array::from_iter((0..rows).map(|row| (row != 2).then_some(row % 5)));
    let amounts = Float64Array::from_iter((0..rows).map(|row| match row {
        3 => None,
        4 => Some(-1.0),
        row => Some(f64::from(row) + 0.16),
    }));
    let frauds =
        PrimitiveArray::<Int8Type>::from_iter((0..rows).map(|row| (row != 1).then_some((row == 5) as i8)));
    let ms = DataType::Timestamp(TimeUnit::Millisecond, None);
    let columns: Vec<(&str, DataType, ArrayRef)> = vec![
        ("TRANSACTION_ID", DataType::Int32, Arc::new(ids)),
        ("TX_DATETIME", ms, Arc::new(times)),
        ("UNUSED", DataType::Int32, Arc::new(Int32Array::from(vec![0; rows as usize]))),
        ("CUSTOMER_ID", DataType::Int32, Arc::new(customers)),
        ("TERMINAL_ID", DataType::Int32, Arc::new(terminals)),
        ("TX_AMOUNT", DataType::Float64, Arc::new(amounts)),
        ("TX_FRAUD", DataType::Int8, Arc::new(frauds)),
    ];
    batch(columns)
}

fn batch(columns: Vec<(&str, DataType, ArrayRef)>) -> RecordBatch {
    let fields: Vec<_> = columns.iter().map(|(name, ty, _)| Column::new(*name, ty.clone(), true)).collect();
    let arrays = columns.into_iter().map(|(.., array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn write(folder: &Path, batch: &RecordBatch) -> PathBuf {
    let path = folder.join("feed.parquet");
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(5000))
        .set_compression(::parquet::basic::Compression::SNAPPY)
        .build();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    path
}

#[test]
fn a_parquet_feed_gives_every_row_or_says_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &handbook_batch(10_000));
    let feed = FileFeed::open(&path, decoder(), &options(HANDBOOK)).unwrap();
    assert_eq!(feed.records(), Some(10_000));
    let items: Vec<_> = feed.map(Result::unwrap).collect();
    assert_eq!(items.len(), 10_000);
    let record = items[6001].result.as_ref().unwrap();
    let json = r#"{"id": "6001", "time": "1970-01-01T01:40:01Z", "card": {"token": "2"}, "terminal": {"id": "T-1"},
        "amount": {"minor": 600116, "currency": "EUR"}}"#;
    assert_eq!(record.decoded, decoder().decode(json.as_bytes(), &RequestContext::default()).unwrap());
    let label = |row: usize| items[row].result.as_ref().unwrap().label;
    assert_eq!(label(5), Some(FeedLabel { label: Label::Fraud, visible_at_ms: 5_000 + 7 * 86_400_000 }));
    assert_eq!((label(0).map(|l| l.label), label(1)), (Some(Label::Good), None));
    let wrong: Vec<_> = items.iter().filter_map(|item| Some((item, item.result.as_ref().err()?))).collect();
    let told: Vec<_> = wrong.iter().map(|(item, error)| (item.number, error.field.as_str())).collect();
    assert_eq!(told, [(3, ""), (4, "amount.minor"), (5, "amount.minor")]);
    assert!(wrong[2].1.expected.contains("TX_AMOUNT") && wrong[2].1.to_string().contains("row 5"));
    assert!(wrong[0].1.place.file.as_deref().unwrap().ends_with("feed.parquet"));
    let raw: serde_json::Value = serde_json::from_slice(wrong[2].0.raw.as_ref().unwrap()).unwrap();
    assert_eq!(
        (&raw["TX_AMOUNT"], &raw["TRANSACTION_ID"]),
        (&serde_json::json!(-1.0), &serde_json::json!(4))
    );
    assert!(items[0].raw.is_none());
}

#[test]
fn columns_are_checked_before_the_first_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &handbook_batch(10));
    let open = |columns: &str| FileFeed::open(&path, decoder(), &options(columns)).unwrap_err().to_string();
    for (columns, said) in [
        (
            HANDBOOK.replace("\"CUSTOMER_ID\"", "\"CUSTOMR_ID\""),
            "no column \"CUSTOMR_ID\"; the nearest is \"CUSTOMER_ID\"",
        ),
        (
            HANDBOOK.replace("\"CUSTOMER_ID\"", "\"TX_AMOUNT\""),
            "column \"TX_AMOUNT\" is Float64, expected text or an integer for card.token",
        ),
        (HANDBOOK.replace("\"TX_DATETIME\"", "\"TRANSACTION_ID\""), "expected a timestamp"),
        (HANDBOOK.replace("{TERMINAL_ID}", "{TX_AMOUNT}"), "for terminal.id"),
        (HANDBOOK.replace("\"TX_FRAUD\"", "\"TX_AMOUNT\""), "for label"),
        (HANDBOOK.replace("\"TX_AMOUNT\"", "\"TX_DATETIME\""), "expected a number for amount.minor"),
    ] {
        let error = open(&columns);
        assert!(error.contains(said) && error.contains("feed.parquet: "), "{error}");
    }
    let none = FileFeed::open(&path, decoder(), &FileOptions::default()).unwrap_err();
    assert!(none.to_string().contains("column mapping"));
    assert!(FileFeed::open(Path::new("/nowhere.jsonl"), decoder(), &FileOptions::default()).is_err());
}

#[test]
fn a_cut_or_damaged_parquet_file_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &handbook_batch(20_000));
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 3, 4, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = FileFeed::open(&path, decoder(), &options(HANDBOOK)).unwrap_err();
        assert!(
            error.to_string().contains("feed.parquet: expected a whole Parquet file"),
            "{length}: {error}"
        );
    }
    // The footer is right and a page of a later row group is not: what came before stands. A page without a checksum
    // may be damaged so that it still reads; then its rows are other rows, which no reader can know.
    let mut noticed = 0;
    for eighth in 1..8 {
        let mut damaged = whole.clone();
        let at = whole.len() * eighth / 8;
        damaged[at..at + 200].fill(0xAA);
        std::fs::write(&path, &damaged).unwrap();
        let Ok(mut feed) = FileFeed::open(&path, decoder(), &options(HANDBOOK)) else { continue };
        let (mut rows, mut failed) = (0, None);
        for item in &mut feed {
            match item {
                Ok(_) => rows += 1,
                Err(error) => failed = Some(error.to_string()),
            }
        }
        assert!(feed.next().is_none());
        if let Some(failed) = failed {
            noticed += 1;
            assert!(failed.contains(&format!("feed.parquet: after row {rows}: ")), "{rows}: {failed}");
            // Row groups of 5,000 rows, four of them, read in batches of 4,096.
            assert!(rows + 4096 >= 5000 * (eighth / 2), "{rows} rows before the damage at {eighth} eighths");
        }
    }
    assert!(noticed >= 2, "of seven damaged files {noticed} were noticed");
}

#[test]
fn every_type_that_fits_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let us = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let dictionary: DictionaryArray<Int8Type> = vec![Some("DE"), None].into_iter().collect();
    let columns: Vec<(&str, DataType, ArrayRef)> = vec![
        ("id", DataType::UInt64, Arc::new(UInt64Array::from(vec![7, u64::MAX]))),
        ("at", us, Arc::new(TimestampMicrosecondArray::from(vec![1_999, 0]).with_timezone("UTC"))),
        ("s", DataType::Int64, Arc::new(Int64Array::from(vec![2, i64::MAX]))),
        ("text", DataType::LargeUtf8, Arc::new(LargeStringArray::from(vec!["caf\u{e9}", "x"]))),
        ("country", dictionary.data_type().clone(), Arc::new(dictionary)),
        ("minor", DataType::UInt8, Arc::new(UInt8Array::from(vec![5, 6]))),
        ("fraud", DataType::Boolean, Arc::new(BooleanArray::from(vec![true, false]))),
        ("email", DataType::Utf8View, Arc::new(StringViewArray::from(vec!["a@b.c", "a@b.c"]))),
        ("when", DataType::Utf8, Arc::new(StringArray::from(vec!["1970-01-01T00:00:05Z", "x"]))),
    ];
    let path = write(folder.path(), &batch(columns));
    let columns = |time: &str, id: &str| {
        format!(
            r#"{{"id": "{id}", "time": {time}, "text": "text", "payer.country": "country", "amount.minor": "minor",
            "amount.currency": {{"const": "EUR"}}, "email": "email", "label": "fraud", "deadline_ms": {{"const": 9}}}}"#
        )
    };
    let read = |columns: String| -> Vec<_> {
        let feed = FileFeed::open(&path, decoder(), &options(&columns)).unwrap();
        feed.map(|item| item.unwrap().result).collect()
    };
    let rows = read(columns("\"at\"", "id"));
    let first = rows[0].as_ref().unwrap();
    assert_eq!((first.decoded.tx.time_ms, first.decoded.tx.id.as_deref()), (1, Some("7")));
    assert_eq!(first.decoded.tx.text(Field::Text), Some("café"));
    assert_eq!(first.decoded.tx.text(Field::PayerCountry), Some("DE"));
    assert_eq!((first.label.unwrap().label, first.decoded.deadline_ms), (Label::Fraud, Some(9)));
    assert_eq!(rows[1].as_ref().unwrap_err().field, "id");
    let rows = read(columns(r#"{"column": "s", "unit": "s"}"#, "text"));
    assert_eq!(rows[0].as_ref().unwrap().decoded.tx.time_ms, 2000);
    assert_eq!(rows[1].as_ref().unwrap_err().field, "time");
    let rows = read(columns("\"when\"", "text"));
    assert_eq!(rows[0].as_ref().unwrap().decoded.tx.time_ms, 5000);
    assert_eq!(rows[1].as_ref().unwrap_err().field, "time");
}

const LINE: &str = r#"{"time":"2018-04-01T00:02:10Z","amount":{"minor":1,"currency":"EUR"},"email":"a@b.c"}"#;

fn jsonl(bytes: &[u8], columns: Option<&ColumnMap>) -> Vec<FeedItem> {
    jsonl::JsonlFeed::new(bytes, "feed.jsonl", decoder(), columns, "acme").map(Result::unwrap).collect()
}

#[test]
fn a_wrong_line_is_its_own_error_only() {
    let mut bytes = format!("\u{feff}{LINE}\r\n\n{LINE} x\n{{\"text\": \"").into_bytes();
    bytes.extend(b"\xff\"}\n");
    bytes.extend(format!("{{\"text\": \"{}\"}}\n{LINE}", "x".repeat(1 << 20)).as_bytes());
    let items = jsonl(&bytes, None);
    let told: Vec<_> =
        items.iter().map(|item| (item.number, item.result.as_ref().err().map(|e| e.status))).collect();
    let (malformed, large) = (Some(Status::Malformed), Some(Status::TooLarge));
    assert_eq!(told, [(1, None), (3, malformed), (4, malformed), (5, large), (6, None)]);
    let error = items[2].result.as_ref().unwrap_err();
    assert_eq!((error.place.line, error.place.offset), (Some(4), Some(10)));
    assert_eq!(error.to_string(), "expected UTF-8 (feed.jsonl, line 4, byte 10)");
    assert_eq!(&*items[0].result.as_ref().unwrap().decoded.tx.tenant, "acme");
    assert!(items[1].raw.as_ref().unwrap().ends_with(b" x"));
    assert!(format!("{:?}", items[1]).contains("raw_bytes: Some(87)"), "{:?}", items[1]);
}

#[test]
fn lines_of_another_shape_go_through_a_mapping() {
    let columns: ColumnMap = serde_json::from_str(HANDBOOK).unwrap();
    let good = r#"{"TRANSACTION_ID": 17, "TX_DATETIME": "1970-01-01T00:00:01Z", "CUSTOMER_ID": "c", "TERMINAL_ID": 3,
        "TX_AMOUNT": 57.16, "TX_FRAUD": 1, "MORE": []}"#
        .replace('\n', "");
    let text =
        format!("{good}\n{}\n{}\n[]\n{{", good.replace("57.16", "\"57\""), good.replace("\"c\"", "[]"));
    let items = jsonl(text.as_bytes(), Some(&columns));
    let record = items[0].result.as_ref().unwrap();
    assert_eq!((record.decoded.tx.amount_minor(), record.decoded.tx.id.as_deref()), (5716, Some("17")));
    assert_eq!(record.label.map(|label| label.label), Some(Label::Fraud));
    let told: Vec<_> =
        items[1..].iter().map(|item| item.result.as_ref().unwrap_err().field.as_str()).collect();
    assert_eq!(told, ["amount.minor", "card.token", "", ""]);
}

fn ipc(batch: &RecordBatch, stream: bool) -> Vec<u8> {
    ipc_with(batch, stream, IpcWriteOptions::default())
}

fn ipc_with(batch: &RecordBatch, stream: bool, options: IpcWriteOptions) -> Vec<u8> {
    let (mut bytes, half) = (Vec::new(), batch.num_rows() / 2);
    let parts = [batch.slice(0, half), batch.slice(half, batch.num_rows() - half)];
    if stream {
        let mut writer = StreamWriter::try_new_with_options(&mut bytes, &batch.schema(), options).unwrap();
        parts.iter().for_each(|part| writer.write(part).unwrap());
        writer.finish().unwrap();
    } else {
        let mut writer = FileWriter::try_new_with_options(&mut bytes, &batch.schema(), options).unwrap();
        parts.iter().for_each(|part| writer.write(part).unwrap());
        writer.finish().unwrap();
    }
    bytes
}

#[test]
fn arrow_gives_what_parquet_gives() {
    let folder = tempfile::tempdir().unwrap();
    let rows = handbook_batch(5_000);
    let read = |path: &Path| -> Vec<FeedItem> {
        let feed = FileFeed::open(path, decoder(), &options(HANDBOOK)).unwrap();
        feed.map(Result::unwrap).collect()
    };
    // The place names the file, which differs; the rest of an error is the same.
    let plain = |items: Vec<FeedItem>| -> Vec<_> {
        let told = |item: FeedItem| match item.result {
            Ok(record) => (item.number, Some(record), None, item.raw),
            Err(error) => (item.number, None, Some((error.field, error.expected)), item.raw),
        };
        items.into_iter().map(told).collect()
    };
    let parquet = plain(read(&write(folder.path(), &rows)));
    for compression in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        for stream in [false, true] {
            let writing = IpcWriteOptions::default().try_with_compression(Some(compression)).unwrap();
            let path = folder.path().join("compressed.feather");
            std::fs::write(&path, ipc_with(&rows, stream, writing)).unwrap();
            assert_eq!(plain(read(&path)), parquet, "{compression:?} {stream}");
        }
    }
    // A stream is known by its first bytes, whatever its name.
    for (name, stream) in [("a.arrow", false), ("a.feather", false), ("a.ipc", true), ("a.bin", true)] {
        let path = folder.path().join(name);
        std::fs::write(&path, ipc(&rows, stream)).unwrap();
        assert_eq!(plain(read(&path)), parquet, "{name}");
    }
}

#[test]
fn a_cut_or_ill_fitting_arrow_file_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.arrow");
    let rows = handbook_batch(5_000);
    let open = |columns: &str| FileFeed::open(&path, decoder(), &options(columns));
    for stream in [false, true] {
        let whole = ipc(&rows, stream);
        std::fs::write(&path, &whole).unwrap();
        let wrong = open(&HANDBOOK.replace("\"CUSTOMER_ID\"", "\"TX_AMOUNT\"")).unwrap_err().to_string();
        assert!(wrong.contains("column \"TX_AMOUNT\" is Float64, expected text or an integer"), "{wrong}");
        for length in [0, 3, 10, 100, whole.len() / 3, whole.len() * 2 / 3, whole.len() - 700] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let (mut rows, mut told) = (0, String::new());
            match open(HANDBOOK) {
                Err(error) => told = error.to_string(),
                Ok(feed) => feed.for_each(|item| match item {
                    Ok(_) => rows += 1,
                    Err(error) => told = error.to_string(),
                }),
            }
            // A stream cut between two batches looks like one that has ended; what was read stands.
            assert!(told.contains("a.arrow: ") || (stream && rows > 0), "{stream} {length}: {told:?}");
            assert!(rows < 5_000 || stream, "{stream} {length}");
        }
    }
}

#[test]
fn a_bomb_in_an_arrow_file_is_refused_before_it_is_decompressed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.feather");
    let rows = handbook_batch(5_000);
    for compression in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        for stream in [false, true] {
            let writing = IpcWriteOptions::default().try_with_compression(Some(compression)).unwrap();
            let mut bytes = ipc_with(&rows, stream, writing);
            // A column of 2,500 numbers of 64 bits says how long it becomes: let one of the second batch say more.
            let length = 20_000u64.to_le_bytes();
            let at = bytes.windows(8).rposition(|window| window == length).unwrap();
            bytes[at..at + 8].copy_from_slice(&(1u64 << 40).to_le_bytes());
            std::fs::write(&path, &bytes).unwrap();
            let told = FileFeed::open(&path, decoder(), &options(HANDBOOK)).unwrap_err().to_string();
            let wanted = "a.feather: batch 2 is 10995";
            assert!(told.contains(wanted) && told.contains("bytes decompressed, limit 536870912"), "{told}");
            bytes[at..at + 8].copy_from_slice(&20_001u64.to_le_bytes());
            std::fs::write(&path, &bytes).unwrap();
            let feed = FileFeed::open(&path, decoder(), &options(HANDBOOK)).unwrap();
            assert!(
                feed.filter(Result::is_err).count() == 1,
                "a wrong length within the bound ends the feed"
            );
        }
    }
}

const CSV: &str = "\u{feff}TRANSACTION_ID,TX_DATETIME,CUSTOMER_ID,TERMINAL_ID,TX_AMOUNT,MORE,TX_FRAUD\r\n\
    17,1970-01-01T00:00:01Z,c-1,3,57.16,\"x, \"\"y\"\"\",1\r\n\
    18,1970-01-01T00:00:02Z,c-1,3,10,,false\r\n";

fn csv_items(text: &str, columns: &str) -> Vec<Result<FeedItem, FeedError>> {
    let map: ColumnMap = serde_json::from_str(columns).unwrap();
    csv::CsvFeed::new(text.as_bytes(), "feed.csv", decoder(), &map, "acme").unwrap().collect()
}

#[test]
fn csv_is_typed_by_its_mapping() {
    let items: Vec<FeedItem> = csv_items(CSV, HANDBOOK).into_iter().map(Result::unwrap).collect();
    let first = items[0].result.as_ref().unwrap();
    let json = r#"{"id": "17", "time": "1970-01-01T00:00:01Z", "card": {"token": "c-1"}, "terminal": {"id": "T-3"},
        "amount": {"minor": 5716, "currency": "EUR"}, "tenant": "acme"}"#;
    assert_eq!(first.decoded, decoder().decode(json.as_bytes(), &RequestContext::default()).unwrap());
    let label = |item: &FeedItem| item.result.as_ref().unwrap().label.unwrap().label;
    assert_eq!((label(&items[0]), label(&items[1])), (Label::Fraud, Label::Good));
    assert_eq!(items[1].result.as_ref().unwrap().decoded.tx.amount_minor(), 1000);
    let columns = r#"{"id": "i", "time": {"column": "t", "unit": "s"}, "email": "e", "amount.minor": "m",
        "amount.currency": "c", "label": "l"}"#;
    let items = csv_items("i,t,e,m,c,l\n1,7,a@b.c,12,EUR,fraud\n2,7,a@b.c,12,EUR,\n", columns);
    let record = items[0].as_ref().unwrap().result.as_ref().unwrap();
    assert_eq!((record.decoded.tx.time_ms, record.decoded.tx.amount_minor()), (7000, 12));
    assert_eq!(items[1].as_ref().unwrap().result.as_ref().unwrap().label, None);
}

#[test]
fn wrong_csv_rows_are_told_by_line_and_column() {
    let rows = "1,yesterday,c,3,1,,0\n2,1970-01-01T00:00:01Z,c,3,1e3,,0\n3,1970-01-01T00:00:01Z,c,3,NaN,,0\n\
        4,1970-01-01T00:00:01Z,c,3,1,,maybe\n5,1970-01-01T00:00:01Z,c,3,1\n6,1970-01-01T00:00:01Z,\"a\nb\",3,-1,,0\n\
        7,1970-01-01T00:00:01Z,c,3,1,,0\n";
    let text = format!("{}\n{rows}", CSV.lines().next().unwrap());
    let items: Vec<FeedItem> = csv_items(&text, HANDBOOK).into_iter().map(Result::unwrap).collect();
    let told: Vec<_> =
        items.iter().map(|i| (i.number, i.result.as_ref().err().map(|e| e.field.as_str()))).collect();
    let amount = Some("amount.minor");
    let expected = [
        (2, Some("time")),
        (3, amount),
        (4, amount),
        (5, Some("label")),
        (6, Some("")),
        (7, amount),
        (9, None),
    ];
    assert_eq!(told, expected);
    let error = items[1].result.as_ref().unwrap_err();
    assert_eq!(
        error.to_string(),
        "amount.minor: expected a number, in column \"TX_AMOUNT\" (feed.csv, line 3)"
    );
    assert!(items[4].result.as_ref().unwrap_err().expected.contains("7 values, found 5"));
    let raw: serde_json::Value = serde_json::from_slice(items[1].raw.as_ref().unwrap()).unwrap();
    assert_eq!(raw["TX_AMOUNT"], "1e3");
    let with_cr = csv_items(&text.replace("0\n2,", "0\n\n2,").replace('\n', "\r\n"), HANDBOOK);
    let lines: Vec<u64> = with_cr.into_iter().map(|item| item.unwrap().number).collect();
    assert_eq!(lines, [2, 4, 5, 6, 7, 8, 10]);
    let mut bytes = CSV.as_bytes().to_vec();
    let at = bytes.windows(3).position(|three| three == b"c-1").unwrap();
    bytes[at] = 0xff;
    let map: ColumnMap = serde_json::from_str(HANDBOOK).unwrap();
    let mut feed = csv::CsvFeed::new(&bytes[..], "feed.csv", decoder(), &map, "").unwrap();
    assert!(feed.next().unwrap().unwrap().result.unwrap_err().expected.contains("in column \"CUSTOMER_ID\""));
}

#[test]
fn csv_files_that_do_not_fit_or_do_not_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feed.csv");
    let open = |text: &str| {
        std::fs::write(&path, text).unwrap();
        FileFeed::open(&path, decoder(), &options(HANDBOOK))
    };
    assert!(open("").unwrap_err().to_string().contains("expected a header"));
    let near = open(&CSV.replace("CUSTOMER_ID", "CUSTOMR_ID")).unwrap_err().to_string();
    assert!(near.contains("no column \"CUSTOMER_ID\"; the nearest is \"CUSTOMR_ID\""), "{near}");
    let twice = open(&CSV.replace("MORE", "TX_FRAUD")).unwrap_err().to_string();
    assert!(twice.contains("column \"TX_FRAUD\" is there twice"), "{twice}");
    assert!(
        FileFeed::open(&path, decoder(), &FileOptions::default())
            .unwrap_err()
            .to_string()
            .contains("a CSV feed")
    );
    // A quote left open: near the end of the file, and far from it.
    for rest in [10, 4 << 20] {
        let mut feed = open(&format!("{CSV}19,\"{}", "x\n".repeat(rest))).unwrap();
        let items: Vec<_> = feed.by_ref().collect();
        let error = items.iter().find_map(|item| item.as_ref().err()).unwrap().to_string();
        assert!(error.contains("quote") && error.contains("feed.csv: after line "), "{error}");
        assert!(items[0].as_ref().unwrap().result.is_ok() && items[1].as_ref().unwrap().result.is_ok());
    }
}
