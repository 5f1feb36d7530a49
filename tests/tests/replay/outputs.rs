//! What a replay leaves: the summary, the verdicts' table, a data folder; and that the same feed gives the same.

use super::{BINARY, COLUMNS, Place, Row, feed, read, table, write_parquet};
use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, Int64Type, TimeUnit, UInt64Type};
use interdict_tests::blackbox::{payment, run, text, write};
use serde_json::{Value, json};
use std::sync::Arc;

fn ids(place: &Place, out: &str) -> Vec<Option<String>> {
    let batches = place.decisions(out);
    let ids = batches.iter().flat_map(|batch| {
        batch
            .column_by_name("transaction_id")
            .unwrap()
            .as_string::<i32>()
            .iter()
            .map(|id| id.map(str::to_owned))
    });
    ids.collect()
}

#[test]
fn the_decisions_are_a_table_of_the_contracts_columns_with_a_row_for_each_accepted_record() {
    let place = Place::new("");
    let mut lines = feed(40);
    let odd = "ünï/ \"quoted\", 007";
    lines[3] = payment(json!({"id": odd, "amount": {"minor": 95_000, "currency": "EUR"}})).to_string();
    lines[4] = payment(json!({"tenant": "acme", "deadline_ms": 0})).to_string();
    lines[5] = "{".into();
    let path = place.lines("feed.jsonl", &lines);
    let summary = place.summary("out", &[&path], &[]);
    assert_eq!((&summary["transactions"], &summary["rejected"]), (&json!(39), &json!(1)));
    let batches = place.decisions("out");
    let list = || DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
    let expected = [
        ("sequence", DataType::UInt64),
        ("event_time", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
        ("transaction_id", DataType::Utf8),
        ("tenant", DataType::Utf8),
        ("outcome", DataType::Utf8),
        ("score", DataType::Int32),
        ("reasons", list()),
        ("skipped", list()),
        ("default_applied", DataType::Boolean),
        ("generation", DataType::Utf8),
        ("latency_us", DataType::Float32),
    ];
    let schema = batches[0].schema();
    let columns: Vec<(&str, DataType)> =
        schema.fields().iter().map(|field| (field.name().as_str(), field.data_type().clone())).collect();
    assert_eq!(columns, expected);
    let ids = ids(&place, "out");
    assert_eq!(ids.len(), 39);
    assert_eq!(ids[3].as_deref(), Some(odd), "unchanged");
    assert_eq!(ids[4], None);
    let row = |column: &str| batches[0].column_by_name(column).unwrap().clone();
    let texts = |column: &str, at: usize| -> Vec<String> {
        let list = row(column).as_list::<i32>().value(at);
        list.as_string::<i32>().iter().map(|text| text.unwrap().to_owned()).collect()
    };
    assert_eq!(texts("reasons", 3), ["probe/larger", "probe/large"]);
    assert_eq!(row("outcome").as_string::<i32>().value(3), "challenge");
    assert_eq!(row("tenant").as_string::<i32>().value(4), "acme");
    let sequences: Vec<u64> = row("sequence").as_primitive::<UInt64Type>().values().to_vec();
    assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
    let generation = summary["generation"].as_str().unwrap();
    assert!(row("generation").as_string::<i32>().iter().all(|one| one == Some(generation)));
}

#[test]
fn the_summary_is_the_last_line_and_has_the_contracts_keys() {
    let place = Place::new("");
    let path = place.lines("feed.jsonl", &feed(100));
    let plain = run(
        BINARY,
        &["replay", text(&path), "--config", text(&place.config), "--out", text(&place.path("a"))],
    );
    assert_eq!(plain.code, 0);
    assert!(plain.stdout.lines().count() > 1, "a table for people");
    let done = place.replay("b", &[&path], &["--lanes", "2"]);
    assert_eq!(done.stdout.lines().count(), 1, "only the summary: {}", done.stdout);
    for summary in [plain.summary(), done.summary()] {
        assert_eq!(summary["transactions"], 100);
        assert_eq!(summary["rejected"], 0);
        let outcomes = summary["outcomes"].as_object().unwrap();
        for name in ["approve", "review", "challenge", "hold", "decline", "recorded"] {
            assert!(outcomes[name].is_u64(), "{summary}");
        }
        assert_eq!(outcomes.values().map(|n| n.as_u64().unwrap()).sum::<u64>(), 100);
        assert!(summary["generation"].as_str().unwrap().starts_with("g-"));
        let digest = summary["verdict_digest"].as_str().unwrap();
        assert!(digest.len() == 64 && digest.chars().all(|c| c.is_ascii_hexdigit()), "{digest}");
        for stage in ["features", "lists", "rules"] {
            for count in ["evaluated", "hits", "decisive", "skipped"] {
                assert!(summary["stages"][stage][count].is_u64(), "{summary}");
            }
            assert_eq!(summary["stages"][stage]["evaluated"], 100);
        }
        let timing = &summary["timing"];
        for key in ["elapsed_s", "throughput_tps"] {
            assert!(timing[key].is_number(), "{summary}");
        }
        for key in ["p50", "p99", "p999", "max"] {
            assert!(timing["latency_us"][key].is_number(), "{summary}");
        }
    }
    assert_eq!(plain.summary()["lanes"], json!([100]));
    let lanes = done.summary()["lanes"].as_array().unwrap().clone();
    assert_eq!(lanes.len(), 2);
    assert_eq!(lanes.iter().map(|n| n.as_u64().unwrap()).sum::<u64>(), 100);
}

#[test]
fn two_runs_and_any_number_of_lanes_give_the_same_but_for_the_clock() {
    let place = Place::new("");
    let mut lines = feed(600);
    lines[7] = "wrong".into();
    lines[8] = lines[6].clone();
    let path = place.lines("feed.jsonl", &lines);
    let mut runs: Vec<Value> = (0..3)
        .map(|n| {
            place.summary(&format!("out-{n}"), &[&path], &["--lanes", ["0", "0", "3"][n], "--stats", "full"])
        })
        .collect();
    let without_clock = |summary: &mut Value| {
        let object = summary.as_object_mut().unwrap();
        object.remove("timing");
        object.remove("lanes");
        object.clone()
    };
    let runs: Vec<_> = runs.iter_mut().map(without_clock).collect();
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[0], runs[2]);
    assert!(runs[0]["outcomes"]["review"].as_u64() > Some(0), "{:?}", runs[0]);
    assert_ne!(runs[0]["stages"]["rules"]["decisive"], 0);
    assert_eq!(ids(&place, "out-0"), ids(&place, "out-2"));
}

#[test]
fn with_lists_two_runs_are_the_same_under_the_same_keys() {
    let more = "\n[lists.watched]\nfile = \"watched.csv\"\n\n[keys]\ndir = \"shared-keys\"\n";
    let place = Place::new(more);
    write(&place.path("watched.csv"), "type,value\ncard,c-3\n");
    std::fs::create_dir(place.path("shared-keys")).unwrap();
    let path = place.lines("feed.jsonl", &feed(50));
    let runs = ["a", "b"].map(|out| place.summary(out, &[&path], &[]));
    assert_eq!(runs[0]["outcomes"]["decline"], 10, "{}", runs[0]);
    assert_eq!(runs[0]["verdict_digest"], runs[1]["verdict_digest"]);
    assert_eq!(runs[0]["generation"], runs[1]["generation"]);
    let other =
        run(BINARY, &["verify", "--data", text(&place.path("a")), "--config", text(&place.config), "--json"]);
    assert_eq!(other.code, 0, "{}", other.stderr);
    let verified = other.summary();
    assert_eq!((&verified["equal"], &verified["different"]), (&json!(50), &json!(0)), "{verified}");
}

#[test]
fn a_warm_up_feeds_the_state_and_writes_no_verdicts() {
    let place = Place::new("");
    let lines = feed(60);
    let (early, late) = lines.split_at(40);
    let warm = place.lines("warm.jsonl", early);
    let path = place.lines("feed.jsonl", late);
    let summary = place.summary("out", &[&path], &["--warmup", text(&warm)]);
    assert_eq!((&summary["transactions"], &summary["warmup"]), (&json!(20), &json!(40)), "{summary}");
    assert_eq!(ids(&place, "out").len(), 20);
    assert_eq!(ids(&place, "out")[0].as_deref(), Some("tx/40"));
    // The same later payments after the same earlier ones get the same outcomes and scores, judged or not.
    let whole = place.lines("whole.jsonl", &lines);
    place.summary("whole", &[&whole], &[]);
    let scores = |out: &str| -> Vec<i32> {
        let batches = place.decisions(out);
        let of = |batch: &arrow::record_batch::RecordBatch| {
            batch
                .column_by_name("score")
                .unwrap()
                .as_primitive::<arrow::datatypes::Int32Type>()
                .values()
                .to_vec()
        };
        batches.iter().flat_map(of).collect()
    };
    assert_eq!(scores("out"), scores("whole")[40..]);
    assert_eq!(scores("out")[0], 111, "the first of them sees what the warm-up counted");
}

#[test]
fn a_table_is_read_by_its_mapping_and_several_files_in_their_order() {
    let place = Place::new(COLUMNS);
    let rows: Vec<Row> =
        (0..300).map(|n| (n, n * 600, Some(n % 7), (n % 10) as f64 * 100.25, n % 2)).collect();
    let files = [place.path("a.parquet"), place.path("b.parquet")];
    write_parquet(&files[0], &table(&rows[..100]));
    write_parquet(&files[1], &table(&rows[100..]));
    let summary = place.summary("out", &[&files[0], &files[1]], &[]);
    assert_eq!((&summary["transactions"], &summary["rejected"]), (&json!(300), &json!(0)), "{summary}");
    assert!(summary["labels"].as_u64() > Some(0), "labels are visible after a day: {summary}");
    let expected: Vec<Option<String>> = rows.iter().map(|row| Some(row.0.to_string())).collect();
    assert_eq!(ids(&place, "out"), expected, "plain decimal, no padding");
    let one = place.path("one.parquet");
    write_parquet(&one, &table(&rows));
    let again = place.summary("one", &[&one], &[]);
    assert_eq!(again["verdict_digest"], summary["verdict_digest"], "however the rows are cut into files");
    // A table without the ending, by what it begins with.
    let bare = place.path("bare");
    std::fs::copy(&one, &bare).unwrap();
    assert_eq!(place.summary("bare-out", &[&bare], &[])["verdict_digest"], summary["verdict_digest"]);
}

#[test]
fn the_features_file_holds_what_was_stamped_and_the_labels() {
    let place = Place::new(COLUMNS);
    // Two cards in turn, 20 minutes apart: each has two payments an hour.
    let rows: Vec<Row> =
        (0..50).map(|n| (n, n * 1200, Some(n % 2), n as f64, i64::from(n % 5 == 0))).collect();
    let feed = place.path("a.parquet");
    write_parquet(&feed, &table(&rows));
    let file = place.path("features.parquet");
    let with = place.summary("with", &[&feed], &["--features", text(&file)]);
    let without = place.summary("without", &[&feed], &[]);
    assert_eq!(with["verdict_digest"], without["verdict_digest"], "it changes nothing");
    let batches = read(&file);
    let whole = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
    let column =
        |name: &str| whole.column_by_name(name).unwrap_or_else(|| panic!("no column {name}")).clone();
    let ids: Vec<String> =
        column("transaction_id").as_string::<i32>().iter().map(|id| id.unwrap().into()).collect();
    assert_eq!(ids, rows.iter().map(|row| row.0.to_string()).collect::<Vec<_>>());
    let labels: Vec<Option<bool>> = column("label").as_boolean().iter().collect();
    assert_eq!(labels, rows.iter().map(|row| Some(row.4 == 1)).collect::<Vec<_>>());
    let ints = |name: &str| column(name).as_primitive::<Int64Type>().iter().collect::<Vec<_>>();
    assert_eq!(ints("amount.minor"), rows.iter().map(|row| Some((row.3 * 100.0) as i64)).collect::<Vec<_>>());
    let counts = ints("features.card.count_1h");
    // No window is covered before an hour has passed.
    assert_eq!((counts[0], counts[6], counts[21]), (None, Some(2), Some(2)), "{counts:?}");
    assert!(whole.column_by_name("card.tag").is_none() && whole.column_by_name("terminal.id").is_none());
}
