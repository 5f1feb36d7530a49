//! The feature stage on the Handbook's feed: ns per transaction for customer and terminal, six windows and count,
//! sum, max and distinct each (48 values), in micro-batches of 1, 8 and 32; and with labels and a hot key beside.
#![allow(clippy::unwrap_used, missing_docs)]

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int32Type, TimestampMillisecondType};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use interdict_engine::domain::{
    Aggregate, Currency, FeatureSpec, Field, KeyId, KeySpec, OnReversal, Tag, Transaction, TransactionKind,
};
use interdict_engine::features::kernels::Kernel;
use interdict_engine::features::{FeaturePlan, FeatureState, Rates, StateLimits};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

const HOUR_MS: i64 = 60 * 60 * 1000;

struct NoRates;

impl Rates for NoRates {
    fn convert(&self, _: i64, _: Currency, _: Currency, _: i64) -> Option<i64> {
        None
    }
}

fn transactions() -> Vec<Transaction> {
    let folder = std::env::var_os("INTERDICT_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")));
    let path = folder.join("handbook/transactions-2018-04-to-07.parquet");
    let file =
        std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}; set INTERDICT_DATA", path.display()));
    let tenant: Arc<str> = "handbook".into();
    let tag = |number: i32| Tag((number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    let mut all = Vec::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
        let batch = batch.unwrap();
        let column = |name: &str| batch.column_by_name(name).unwrap().as_ref();
        let times = column("TX_DATETIME").as_primitive::<TimestampMillisecondType>();
        let customers = column("CUSTOMER_ID").as_primitive::<Int32Type>();
        let terminals = column("TERMINAL_ID").as_primitive::<Int32Type>();
        let amounts = column("TX_AMOUNT").as_primitive::<Float64Type>();
        for at in 0..batch.num_rows() {
            let mut tx = Transaction::new(tenant.clone(), TransactionKind::Request, times.value(at));
            tx.set_int(Field::AmountMinor, (amounts.value(at) * 100.0).round() as i64);
            tx.set_text(Field::AmountCurrency, "EUR");
            tx.add_tag(Field::Card, KeyId::STATE, tag(customers.value(at)));
            tx.add_tag(Field::Merchant, KeyId::STATE, tag(terminals.value(at) / 100));
            tx.add_tag(Field::Terminal, KeyId::STATE, tag(terminals.value(at)));
            all.push(tx);
        }
    }
    all
}

fn group(name: &str, key: Field, distinct: Field) -> FeatureSpec {
    use Aggregate::*;
    let windows = [("1h", 1), ("6h", 6), ("1d", 24), ("7d", 168), ("14d", 336), ("28d", 672)];
    FeatureSpec {
        name: name.into(),
        key: KeySpec::Identifier(key),
        windows: windows.map(|(name, hours)| (name.to_owned(), hours * HOUR_MS)).to_vec(),
        aggregates: vec![Count, Sum, Max, Distinct],
        distinct: Some(distinct),
        currency: Currency::parse("EUR"),
        delay_ms: 0,
        seen: false,
        on_reversal: OnReversal::Net,
        kinds: vec![TransactionKind::Request],
        filter: None,
    }
}

fn run(state: &mut FeatureState, all: &[Transaction], batch: usize, first: u64) {
    let mut out = Vec::with_capacity(256);
    let mut sequence = first;
    for batch in all.chunks(batch) {
        let refs: Vec<&Transaction> = batch.iter().collect();
        if batch.len() > 1 {
            state.prefetch(&refs);
        }
        for tx in batch {
            out.clear();
            state.apply(sequence, tx.time_ms, tx, &mut out);
            black_box(&out);
            sequence += 1;
        }
    }
}

fn features(c: &mut Criterion) {
    let all = transactions();
    let (warmup, timed) = all.split_at(all.len() - 400_000);
    let customer = group("customer", Field::Card, Field::Terminal);
    let terminal = group("terminal", Field::Terminal, Field::Card);
    let merchant = group("merchant", Field::Merchant, Field::Card);
    let plan = |specs: &[&FeatureSpec]| {
        let groups = specs.iter().map(|spec| ((*spec).clone(), None)).collect();
        Arc::new(FeaturePlan::new(groups, Arc::new(NoRates)).unwrap())
    };
    let two = plan(&[&customer, &terminal]);
    let mut benches: Vec<(String, Arc<FeaturePlan>, usize, Kernel)> = Vec::new();
    for batch in [1, 8, 32] {
        benches.push((format!("batch {batch}"), two.clone(), batch, Kernel::detect()));
    }
    for kernel in Kernel::available() {
        benches.push((format!("batch 8, {kernel:?}"), two.clone(), 8, kernel));
    }
    benches.push(("customer alone".into(), plan(&[&customer]), 8, Kernel::detect()));
    benches.push((
        "with a key of thousands of events".into(),
        plan(&[&customer, &terminal, &merchant]),
        8,
        Kernel::detect(),
    ));
    let mut bench = c.benchmark_group("features/handbook");
    bench.sample_size(10).throughput(Throughput::Elements(timed.len() as u64));
    for (name, plan, batch, kernel) in benches {
        let fresh = || {
            let mut state = FeatureState::with_kernel(plan.clone(), StateLimits::default(), kernel);
            run(&mut state, warmup, batch, 1);
            state
        };
        bench.bench_function(name, |b| {
            let timed = |mut state: FeatureState| {
                run(&mut state, timed, batch, 1 + warmup.len() as u64);
                state
            };
            b.iter_batched(fresh, timed, BatchSize::PerIteration);
        });
    }
    bench.finish();
}

criterion_group!(benches, features);
criterion_main!(benches);
