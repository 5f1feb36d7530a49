//! What a replay cannot go on with: exit 3, and a message that names the file and the place.

use super::{BINARY, COLUMNS, Place, Row, feed, table, write_parquet};
use interdict_tests::blackbox::{run, text, write};

fn rows() -> Vec<Row> {
    (0..20_000).map(|n| (n, n, Some(n % 7), (n % 97) as f64, 0)).collect()
}

#[test]
fn a_truncated_table_is_refused_by_name_wherever_it_was_cut() {
    let place = Place::new(COLUMNS);
    let whole = place.path("whole.parquet");
    write_parquet(&whole, &table(&rows()));
    let bytes = std::fs::read(&whole).unwrap();
    for (n, keep) in [0, 3, 100, bytes.len() / 2, bytes.len() - 1].into_iter().enumerate() {
        let cut = place.path("cut.parquet");
        write(&cut, &bytes[..keep]);
        let done = place.replay(&format!("out-{n}"), &[&cut], &[]);
        assert_eq!(done.code, 3, "{keep} bytes: {}", done.stderr);
        assert!(done.stderr.contains("cut.parquet"), "{keep} bytes: {}", done.stderr);
        assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
    }
}

#[test]
fn a_table_that_is_damaged_inside_ends_the_run_and_names_the_file() {
    let place = Place::new(COLUMNS);
    let whole = place.path("whole.parquet");
    write_parquet(&whole, &table(&rows()));
    let mut bytes = std::fs::read(&whole).unwrap();
    // The first column chunk's page header.
    bytes[4..40].fill(0xff);
    let damaged = place.path("damaged.parquet");
    write(&damaged, bytes);
    let done = place.replay("out", &[&damaged], &[]);
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(done.stderr.contains("damaged.parquet") && !done.stderr.contains("panicked"), "{}", done.stderr);
}

#[test]
fn a_missing_column_is_told_with_the_nearest_name() {
    let place = Place::new(&COLUMNS.replace("\"TX_AMOUNT\"", "\"TX_AMUONT\""));
    let path = place.path("feed.parquet");
    write_parquet(&path, &table(&rows()[..3]));
    let done = place.replay("out", &[&path], &[]);
    assert_eq!(done.code, 3);
    for word in ["feed.parquet", "TX_AMUONT", "TX_AMOUNT"] {
        assert!(done.stderr.contains(word), "{word}: {}", done.stderr);
    }
    let place = Place::new(&COLUMNS.replace("card.token", "card.tokne"));
    let done = place.replay("out", &[&path], &[]);
    assert_eq!(done.code, 3);
    assert!(done.stderr.contains("card.tokne") && done.stderr.contains("card.token"), "{}", done.stderr);
    let place = Place::new("");
    let done = place.replay("out", &[&path], &[]);
    assert_eq!(done.code, 3);
    assert!(done.stderr.contains("feed.columns"), "{}", done.stderr);
}

#[test]
fn a_missing_feed_a_folder_in_use_and_misuse_are_told_apart() {
    let place = Place::new("");
    let path = place.lines("feed.jsonl", &feed(3));
    let missing = place.replay("out", &[&place.path("nowhere.jsonl")], &[]);
    assert_eq!(missing.code, 3);
    assert!(missing.stderr.contains("nowhere.jsonl"), "{}", missing.stderr);
    let folder = place.replay("folder", &[place.dir.path()], &[]);
    assert_eq!(folder.code, 3, "{}", folder.stderr);
    place.summary("used", &[&path], &[]);
    let used = place.replay("used", &[&path], &[]);
    assert_eq!(used.code, 3);
    assert!(used.stderr.contains("used") && used.stderr.contains("journal"), "{}", used.stderr);
    assert_eq!(place.replay("x", &[&path], &["--speed", "fast"]).code, 2);
    assert_eq!(place.replay("x", &[], &[]).code, 2, "no feed");
    let empty = place.lines("empty.jsonl", &[""; 0]);
    let summary = place.summary("empty", &[&empty], &[]);
    assert_eq!(summary["transactions"], 0);
}

#[test]
fn a_truncated_list_and_a_broken_pack_are_told_by_file_and_line() {
    let place = Place::new("\n[lists.watched]\nfile = \"watched.csv\"\n");
    let path = place.lines("feed.jsonl", &feed(3));
    let fails = |out: &str| {
        let done = place.replay(out, &[&path], &[]);
        assert_eq!(done.code, 3, "{}", done.stderr);
        assert!(!place.path(out).join("decisions").exists());
        done.stderr
    };
    write(&place.path("watched.csv"), "type,value,reason\nmerchant,M-1,x\nmerchant,M-2");
    let error = fails("a");
    assert!(error.contains("watched.csv") && error.contains("line 3"), "{error}");
    write(&place.path("watched.csv"), "type,value\nmerchant,M-1\n");
    // A snapshot that lacks its end.
    let built = place.path("watched.ilist");
    let list = place.path("watched.csv");
    let data = place.path("keys-here");
    write(&data.join("x"), "");
    let args =
        ["lists", "build", text(&list), "--name", "watched", "--data", text(&data), "--out", text(&built)];
    let done = run(BINARY, &args);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let bytes = std::fs::read(&built).unwrap();
    write(&built, &bytes[..bytes.len() - 9]);
    let config = std::fs::read_to_string(&place.config).unwrap();
    write(&place.config, config.replace("watched.csv", "watched.ilist"));
    let error = fails("b");
    assert!(error.contains("watched.ilist"), "{error}");
    write(&place.config, config);
    let rules = place.path("probe/rules/rules.yaml");
    let good = std::fs::read_to_string(&rules).unwrap();
    write(&rules, good.replace("outcome: review", "outcome: reveiw"));
    let error = fails("c");
    assert!(error.contains("probe/rules/rules.yaml:5"), "{error}");
    write(&rules, good.replace("  - id: larger", "  - id: larger\n   bad"));
    let error = fails("d");
    assert!(error.contains("probe/rules/rules.yaml:"), "{error}");
}
