//! Decode of wire.md's own body, beside what serde_json alone takes to parse it into a `Value`, in the same run. Both
//! read the same bytes; ours also checks, canonicalises, tags (22 HMACs) and builds the transaction. And Parquet rows.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use interdict_ingest::feeds::{FileFeed, FileOptions};
use interdict_ingest::{Decoder, RequestContext, TagKeys};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const WIRE: &str = include_str!("../../ingest/src/decode/tests/wire.json");

const SMALL: &str = r#"{"id":"1","time":"2018-04-01T00:02:10Z","amount":{"minor":5767,"currency":"EUR"},"card":{"token":"596"},"terminal":{"id":"3156"}}"#;

fn decode(c: &mut Criterion) {
    let decoder = Decoder::new(Arc::new(TagKeys::new(&[7; 32])));
    let ctx = RequestContext::default();
    for (name, body) in [("wire", WIRE), ("small", SMALL)] {
        let mut group = c.benchmark_group(format!("decode/{name}"));
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function("interdict", |b| {
            b.iter(|| decoder.decode(black_box(body.as_bytes()), &ctx).expect("a right body"));
        });
        group.bench_function("serde_json_value", |b| {
            b.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(body.as_bytes())).expect("JSON"));
        });
        group.finish();
    }
    let mut group = c.benchmark_group("decode/wrong");
    let wrong = WIRE.replace("\"deadline_ms\"", "\"deadline\"");
    group.bench_function("interdict", |b| {
        b.iter(|| decoder.decode(black_box(wrong.as_bytes()), &ctx).expect_err("an unknown field"));
    });
    group.bench_function("mask", |b| {
        b.iter(|| interdict_ingest::dead_letter::mask(black_box(wrong.as_bytes())))
    });
    group.finish();
}

/// Rows a second of the Handbook's Parquet: columns to transactions, with two identifiers, identity and label.
fn parquet(c: &mut Criterion) {
    const ROWS: usize = 100_000;
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/data"));
    let data = std::env::var_os("INTERDICT_DATA").map(PathBuf::from);
    let mut paths = data.into_iter().chain(above);
    let file = "handbook/transactions-2018-04-to-07.parquet";
    let Some(path) = paths.find_map(|folder| Some(folder.join(file)).filter(|path| path.exists())) else {
        eprintln!("decode/parquet skipped: no {file}; set INTERDICT_DATA");
        return;
    };
    let columns = r#"{"id": "TRANSACTION_ID", "time": "TX_DATETIME", "card.token": "CUSTOMER_ID",
        "terminal.id": "TERMINAL_ID", "amount.minor": {"column": "TX_AMOUNT", "scale": "minor"},
        "amount.currency": {"const": "EUR"}, "label": "TX_FRAUD", "label_delay": "7d"}"#;
    let columns = Some(serde_json::from_str(columns).expect("a right mapping"));
    let options = FileOptions { columns, default_tenant: "default".into() };
    let decoder = Decoder::new(Arc::new(TagKeys::new(&[7; 32])));
    let mut group = c.benchmark_group("decode/parquet");
    group.sample_size(10).throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("handbook_rows", |b| {
        b.iter(|| {
            let feed = FileFeed::open(&path, decoder.clone(), &options).expect("the Handbook");
            feed.take(ROWS).filter(|item| item.as_ref().is_ok_and(|item| item.result.is_ok())).count()
        });
    });
    group.finish();
}

criterion_group!(benches, decode, parquet);
criterion_main!(benches);
