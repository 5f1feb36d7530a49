//! The Handbook's real feed with 3 % of the events up to an hour late, 1 % reversed, and labels after seven days:
//! every window of a deterministic sample of customers, terminals and merchants is computed again by the oracle.

use super::{engine_plan, group, oracle, reversal};
use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int8Type, Int32Type, TimestampMillisecondType};
use interdict_engine::domain::{
    Aggregate, FeatureSpec, Field, KeyId, KeySpec, Label, Tag, Transaction, TransactionKind,
};
use interdict_engine::features::{FeatureState, Found, StateLimits};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;

struct Row {
    time_ms: i64,
    customer: i32,
    terminal: i32,
    cents: i64,
    fraud: bool,
}

/// The first `max` rows of the feed.
fn rows(max: usize) -> Vec<Row> {
    let folder = std::env::var_os("INTERDICT_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")));
    let path = folder.join("handbook/transactions-2018-04-to-07.parquet");
    let file =
        std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}; set INTERDICT_DATA", path.display()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().with_limit(max).build().unwrap();
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let column = |name: &str| batch.column_by_name(name).unwrap().as_ref();
        let times = column("TX_DATETIME").as_primitive::<TimestampMillisecondType>();
        let customers = column("CUSTOMER_ID").as_primitive::<Int32Type>();
        let terminals = column("TERMINAL_ID").as_primitive::<Int32Type>();
        let amounts = column("TX_AMOUNT").as_primitive::<Float64Type>();
        let frauds = column("TX_FRAUD").as_primitive::<Int8Type>();
        rows.extend((0..batch.num_rows()).map(|at| Row {
            time_ms: times.value(at),
            customer: customers.value(at),
            terminal: terminals.value(at),
            cents: (amounts.value(at) * 100.0).round() as i64,
            fraud: frauds.value(at) == 1,
        }));
    }
    rows
}

/// What reaches the engine, in order of arrival.
enum Arrival {
    Pay(usize),
    Label(usize),
    Reverse(usize, Option<i64>),
}

fn random(at: usize, what: u64) -> u64 {
    let mut x = (at as u64 ^ what << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    x ^ x >> 32
}

fn arrivals(rows: &[Row]) -> Vec<(i64, Arrival)> {
    let mut arrivals = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let late = random(at, 1) % 100 < 3;
        let paid_ms = row.time_ms + if late { (random(at, 2) % HOUR_MS as u64) as i64 } else { 0 };
        arrivals.push((paid_ms, Arrival::Pay(at)));
        if random(at, 3).is_multiple_of(100) {
            let part = random(at, 4).is_multiple_of(2);
            let after_ms = (random(at, 5) % (3 * DAY_MS) as u64) as i64;
            arrivals.push((paid_ms + after_ms, Arrival::Reverse(at, part.then_some(row.cents / 3))));
        }
        if row.fraud || random(at, 6).is_multiple_of(50) {
            arrivals.push((row.time_ms + 7 * DAY_MS, Arrival::Label(at)));
        }
    }
    arrivals.sort_by_key(|(time_ms, _)| *time_ms);
    arrivals
}

fn specs() -> Vec<FeatureSpec> {
    use Aggregate::*;
    let days = |days: &[i64]| days.iter().map(|days| days * DAY_MS).collect::<Vec<_>>();
    let six = [HOUR_MS, 6 * HOUR_MS, DAY_MS, 7 * DAY_MS, 14 * DAY_MS, 28 * DAY_MS];
    let id = KeySpec::Identifier;
    let mut customer = group("customer", id(Field::Card), &six, &[Count, Sum, Max, Mean, Distinct]);
    customer.distinct = Some(Field::Terminal);
    customer.seen = true;
    let mut terminal = group("terminal", id(Field::Terminal), &six, &[Count, Sum, Max, Distinct]);
    terminal.distinct = Some(Field::Card);
    let mut risk = group("risk", id(Field::Terminal), &days(&[1, 7, 28]), &[FraudShare, FraudCount]);
    risk.delay_ms = 7 * DAY_MS;
    // Hundred merchants of a hundred terminals each: thousands of live events.
    let mut merchant = group("merchant", id(Field::Merchant), &six, &[Count, Sum, Max, Distinct, FraudShare]);
    merchant.distinct = Some(Field::Card);
    vec![customer, terminal, risk, merchant]
}

fn transaction(tenant: &Arc<str>, row: &Row) -> Transaction {
    let mut tx = Transaction::new(tenant.clone(), TransactionKind::Request, row.time_ms);
    tx.set_int(Field::AmountMinor, row.cents);
    tx.set_text(Field::AmountCurrency, "EUR");
    let tag = |number: i32| Tag((number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    tx.add_tag(Field::Card, KeyId::STATE, tag(row.customer));
    tx.add_tag(Field::Terminal, KeyId::STATE, tag(row.terminal));
    tx.add_tag(Field::Merchant, KeyId::STATE, tag(row.terminal / 100));
    tx
}

#[test]
fn on_the_handbook_engine_and_oracle_agree_on_every_sampled_window() {
    let rows = rows(400_000);
    assert_eq!(rows.len(), 400_000);
    let specs = specs();
    let limits = StateLimits { lateness_ms: HOUR_MS, ..StateLimits::default() };
    let mut state = FeatureState::new(engine_plan(&specs), limits);
    let mut oracle = oracle(&specs, HOUR_MS);
    let plan = engine_plan(&specs);
    let tenant: Arc<str> = "handbook".into();
    let (mut sequences, mut out) = (vec![0; rows.len()], Vec::new());
    let (mut compared, mut decided, mut labels, mut reversals) = (0u64, 0u64, 0u64, 0u64);
    let mut sampled = HashSet::new();
    for (sequence, (arrival_ms, arrival)) in (1u64..).zip(arrivals(&rows)) {
        match arrival {
            Arrival::Pay(at) => {
                let tx = transaction(&tenant, &rows[at]);
                sequences[at] = sequence;
                out.clear();
                state.apply(sequence, arrival_ms, &tx, &mut out);
                // A key is in the sample or not; the merchants' answers are taken where either other key's are.
                let sample = rows[at].customer % 97 == 0 || rows[at].terminal % 197 == 0;
                let expected = oracle.apply(sequence, arrival_ms, &tx, sample);
                if sample {
                    sampled.insert((rows[at].customer, rows[at].terminal));
                    compared += expected.len() as u64;
                    decided += expected.iter().filter(|stamp| stamp.is_some()).count() as u64;
                    if let Some(slot) = (0..out.len()).find(|slot| out[*slot] != expected[*slot]) {
                        let path = &plan.slots()[slot].0;
                        panic!("row {at}, {path}: {:?}, not {:?}", out[slot], expected[slot]);
                    }
                }
            }
            Arrival::Label(at) => {
                let label = if rows[at].fraud { Label::Fraud } else { Label::Good };
                assert_eq!(state.label(&tenant, sequences[at], label), Found::Applied);
                oracle.label(&tenant, sequences[at], label);
                labels += 1;
            }
            Arrival::Reverse(at, amount) => {
                assert_ne!(state.follow(&tenant, sequences[at], &reversal(amount)), Found::Unknown);
                oracle.reverse(&tenant, sequences[at], amount);
                reversals += 1;
            }
        }
    }
    println!("{compared} values, {decided} decided, {labels} labels, {reversals} reversals");
    assert!(decided > 200_000 && compared > decided, "{decided} of {compared} decided");
    assert!(labels > 5_000 && reversals > 3_000);
    let stats = state.stats();
    println!("{stats:?}");
    assert!(stats.groups[3].events / stats.groups[3].keys > 1_000, "merchants have thousands of events");
}
