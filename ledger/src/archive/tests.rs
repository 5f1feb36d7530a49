//! What is archived is read back, once, however often it was added and whatever ended in between.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::window::tests::{growing, payment, transaction};
use crate::window::{Growing, TagColumn};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, TimestampMillisecondType, UInt64Type};
use arrow::record_batch::RecordBatch;
use interdict_engine::domain::catalogue::{CATALOGUE, Retention};
use interdict_engine::domain::{Field, KeyId, Sensitivity, Tag};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs::File;

/// 2026-11-30T00:00:00Z.
const DAY_MS: i64 = 1_795_996_800_000;
const HOURS_24_MS: i64 = 86_400_000;

fn names() -> Vec<String> {
    vec!["velocity.card.1h".to_owned(), "velocity.card.24h".to_owned()]
}
fn fate<'a>(sequence: u64, names: &'a [String], reasons: &'a [String]) -> Fate<'a> {
    Fate {
        settled_ms: settled_ms(sequence),
        outcome: Outcome::Review,
        reasons,
        state: "settled",
        hold: sequence.is_multiple_of(5).then_some("released"),
        cleared_ms: sequence.is_multiple_of(2).then_some(DAY_MS - 5),
        label: sequence.is_multiple_of(7).then_some(Label::Fraud),
        features: names,
    }
}
/// Three days, the last ms and the first of them among the times.
fn settled_ms(sequence: u64) -> i64 {
    DAY_MS
        + HOURS_24_MS * (sequence % 3) as i64
        + if sequence.is_multiple_of(2) { HOURS_24_MS - 1 } else { 0 }
}

fn payments(count: u64) -> Growing {
    let payments: Vec<_> = (1..=count)
        .map(|sequence| {
            let mut tx = transaction("acme");
            tx.id = (!sequence.is_multiple_of(4)).then(|| format!("tx-{sequence}").into());
            tx.set_text(Field::PayerName, "Ana Silva");
            tx.set_ip(Field::DeviceIp, "::ffff:203.0.113.7".parse().unwrap());
            tx.set_bool(Field::CrossBorder, sequence % 2 == 1);
            tx.set_time(Field::SettlesAt, settled_ms(sequence));
            tx.add_tag(Field::Card, KeyId::STATE, Tag(u128::from(sequence) << 64));
            payment(sequence, tx)
        })
        .collect();
    growing(&payments)
}

/// All there is, by day; each file's rows in their order.
fn read(archive: &Archive) -> BTreeMap<String, Vec<RecordBatch>> {
    let mut all = BTreeMap::new();
    for day in archive.days().unwrap() {
        let mut names = archive.names(&day).unwrap();
        names.sort();
        for name in names.into_iter().filter(|name| !name.ends_with(ASIDE)) {
            let file = File::open(archive.folder(&day).join(name)).unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
            all.entry(day.clone()).or_insert_with(Vec::new).extend(reader.map(Result::unwrap));
        }
    }
    all
}
fn sequences(archive: &Archive) -> BTreeMap<String, Vec<u64>> {
    let of = |batches: Vec<RecordBatch>| {
        let columns =
            batches.iter().map(|batch| batch.column(0).as_primitive::<UInt64Type>().values().to_vec());
        let mut all: Vec<u64> = columns.flatten().collect();
        all.sort_unstable();
        all
    };
    read(archive).into_iter().map(|(day, batches)| (day, of(batches))).collect()
}

#[test]
fn a_part_has_every_open_field_what_became_of_it_and_no_text() {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::open(&dir.path().join("archive")).unwrap();
    let (growing, names) = (payments(40), names());
    let reasons = vec!["velocity".to_owned(), "listed".to_owned()];
    let rows = growing.rows();
    let mut batch = archive.batch();
    for row in rows.iter() {
        assert!(batch.add(&row, &fate(row.sequence(), &names, &reasons)).unwrap());
    }
    let parts = batch.finish().unwrap();
    assert_eq!(parts.iter().map(|part| part.rows).collect::<Vec<_>>(), [13, 14, 13]);
    assert_eq!(archive.days().unwrap(), ["2026-11-30", "2026-12-01", "2026-12-02"]);
    let mut seen = 0;
    for (day, batches) in read(&archive) {
        for batch in batches {
            let column = |name: &str| batch.column_by_name(name).unwrap_or_else(|| panic!("{name}"));
            for at in 0..batch.num_rows() {
                let sequence = column("sequence").as_primitive::<UInt64Type>().value(at);
                let settled = column("settled").as_primitive::<TimestampMillisecondType>().value(at);
                assert_eq!((settled, &super::day(settled).unwrap()), (settled_ms(sequence), &day));
                assert_eq!(column("kind").as_string::<i32>().value(at), "request");
                assert_eq!(column("device.ip").as_string::<i32>().value(at), "203.0.113.7");
                assert_eq!(column("amount.minor").as_primitive::<Int64Type>().value(at), 1_250);
                assert_eq!(column("cross_border").as_boolean().value(at), sequence % 2 == 1);
                assert_eq!(column("id").is_null(at), sequence.is_multiple_of(4));
                assert_eq!(column("hold").is_null(at), !sequence.is_multiple_of(5));
                assert_eq!(column("label").is_null(at), !sequence.is_multiple_of(7));
                assert_eq!(column("decided").as_string::<i32>().value(at), "approve");
                let reasons = column("reasons").as_list::<i32>().value(at);
                assert_eq!(
                    reasons.as_string::<i32>().iter().flatten().collect::<Vec<_>>(),
                    ["velocity", "listed"]
                );
                let features = column("features").as_map().value(at);
                let values = features.column(1).as_primitive::<Int64Type>();
                assert_eq!((values.value(0), values.is_null(1)), (3, true));
                let card = column("card.tag.own").as_fixed_size_binary().value(at).to_vec();
                assert_eq!(card, (u128::from(sequence) << 64).to_be_bytes());
                assert!(column("card.tag.shared").is_null(at) && column("account.country").is_null(at));
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 40);
    let columns = schema();
    for def in CATALOGUE {
        let has = columns.column_with_name(def.path).is_some();
        assert_eq!(has, def.sensitivity == Sensitivity::Open, "{}", def.path);
        assert_eq!(def.retention == Retention::Archive, def.sensitivity != Sensitivity::Sealed);
    }
    let archived = |column: &TagColumn| column.key().consortium_slot().is_none();
    assert!(TagColumn::all().all(|c| archived(&c) == columns.column_with_name(&c.name()).is_some()));
    for part in parts {
        let bytes = std::fs::read(part.path).unwrap();
        assert!(!bytes.windows(9).any(|text| text == b"Ana Silva"));
    }
}

#[test]
fn what_does_not_fit_is_refused_and_a_writer_that_ended_early_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::open(dir.path()).unwrap();
    let (growing, names) = (payments(9), names());
    let rows = growing.rows();
    let mut batch = archive.batch();
    let error = batch.add(&rows.row(0), &fate(1, &names[..1], &[])).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    let never = Fate { settled_ms: i64::MAX, ..fate(1, &names, &[]) };
    assert_eq!(batch.add(&rows.row(0), &never).unwrap_err().kind, ErrorKind::Invalid);
    batch.add(&rows.row(6), &fate(7, &names, &[])).unwrap();
    let error = batch.add(&rows.row(0), &fate(1, &names, &[])).unwrap_err();
    assert!(error.message.contains("sequence 1 after 7"), "{error}");
    drop(batch);
    let files = |archive: &Archive| -> Vec<String> {
        archive.days().unwrap().iter().flat_map(|day| archive.names(day).unwrap()).collect()
    };
    assert_eq!(files(&archive), Vec::<String>::new());
    // Killed in between: what is left is removed at the next start, and a part that is damaged is named.
    let folder = archive.folder("2026-11-30");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join(".00000000000000000003.parquet.part"), "half").unwrap();
    let archive = Archive::open(dir.path()).unwrap();
    assert_eq!(files(&archive), Vec::<String>::new());
    let damaged = "part-00000000000000000001-00000000000000000009.parquet";
    std::fs::write(folder.join(damaged), "PAR1 and no more").unwrap();
    let error = archive.batch().add(&rows.row(2), &fate(3, &names, &[])).unwrap_err();
    assert!(error.kind == ErrorKind::Corrupt && error.message.contains(damaged), "{error}");
    assert_eq!(archive.remove_before(DAY_MS + HOURS_24_MS).unwrap(), 1);
    assert_eq!(files(&archive), Vec::<String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn batches_repeated_in_any_cut_leave_each_payment_once(
        cuts in prop::collection::vec((0usize..30, 1usize..31, any::<bool>()), 1..8),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (growing, names) = (payments(30), names());
        let rows = growing.rows();
        let mut expected: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (from, to, ends) in cuts.into_iter().map(|(from, len, ends)| (from, (from + len).min(30), ends)) {
            let archive = Archive::open(dir.path()).unwrap();
            let mut batch = archive.batch();
            for row in rows.iter().skip(from).take(to - from) {
                let day = super::day(settled_ms(row.sequence())).unwrap();
                let is_new = batch.add(&row, &fate(row.sequence(), &names, &[])).unwrap();
                let known = expected.get(&day).is_some_and(|known| known.contains(&row.sequence()));
                prop_assert_eq!(is_new, !known);
            }
            if !ends {
                // Killed: what is aside stays there.
                std::mem::forget(batch);
            } else {
                batch.finish().unwrap();
                for sequence in from as u64 + 1..=to as u64 {
                    let known = expected.entry(super::day(settled_ms(sequence)).unwrap()).or_default();
                    known.push(sequence);
                    known.sort_unstable();
                    known.dedup();
                }
            }
            let there: BTreeMap<_, _> = sequences(&archive).into_iter().collect();
            prop_assert_eq!(&there, &expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever is added again, and however clocks step, each label is there once and days go whole.
    #[test]
    fn labels_repeated_in_any_cut_are_there_once(
        days in prop::collection::vec(0i64..4, 1..40),
        cuts in prop::collection::vec((0usize..40, 1usize..41), 1..6),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let archive = Archive::open(dir.path()).unwrap();
        let all: Vec<LabelRow> = days.iter().zip(1u64..).map(|(day, at)| LabelRow {
            payment: at * 7,
            label: if at % 3 == 0 { Label::Good } else { Label::Fraud },
            sequence: at * 10,
            at_ms: DAY_MS + day * HOURS_24_MS,
        }).collect();
        // What is added begins where it ended before, or earlier.
        let mut to = 0;
        for (back, more) in cuts {
            let from = to - back.min(to);
            to = (to + more).min(all.len());
            archive.add_labels(all[from..to].iter().copied()).unwrap();
        }
        let mut found = Vec::new();
        let labels = Archive { dir: archive.label_folder() };
        for (day, batches) in read(&labels) {
            for batch in batches {
                for at in 0..batch.num_rows() {
                    let number = |column: usize| batch.column(column).as_primitive::<UInt64Type>().value(at);
                    let arrival = batch.column(3).as_primitive::<TimestampMillisecondType>().value(at);
                    prop_assert_eq!(&super::day(arrival).unwrap(), &day);
                    found.push((number(2), number(0), batch.column(1).as_string::<i32>().value(at).to_owned()));
                }
            }
        }
        found.sort();
        let name = |label| if label == Label::Good { "good" } else { "fraud" }.to_owned();
        let expected: Vec<_> = all[..to].iter().map(|row| (row.sequence, row.payment, name(row.label))).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(archive.days().unwrap().len(), 0, "they are no days of the archive");
    }
}
