//! Wrong records: counted, told by file, line and field, kept masked, and the rest goes on.

use super::{BINARY, COLUMNS, Place, Row, table, write_parquet};
use interdict_tests::blackbox::{payment, run, text};
use serde_json::{Value, json};

const PAN: &str = "4539148803436467";

#[test]
fn each_wrong_line_is_told_by_its_place_and_field_and_the_rest_goes_on() {
    let place = Place::new("");
    let good = |id: &str| payment(json!({"id": id})).to_string().into_bytes();
    let with = |more: Value| payment(more).to_string().into_bytes();
    let no_time = payment(json!({})).to_string().replace("\"time\"", "\"tiem\"").into_bytes();
    let mut bad_utf8 = good("u");
    let at = bad_utf8.iter().position(|byte| *byte == b'u').unwrap();
    bad_utf8[at] = 0xff;
    // Each line, and for a wrong one what its message must hold beside its number.
    let lines: Vec<(Vec<u8>, &[&str])> = vec![
        (good("a"), &[]),
        (b"{\"id\": ".to_vec(), &["ends too early"]),
        (bad_utf8, &["UTF-8"]),
        (Vec::new(), &[]),
        (with(json!({"card": {"pan": "4539148803436468"}})), &["card.pan", "Luhn"]),
        (with(json!({"amount": {"minor": 57.67, "currency": "EUR"}})), &["amount.minor", "integer"]),
        (with(json!({"merchnt": {"id": PAN}})), &["merchnt", "merchant"]),
        (no_time, &["tiem", "time"]),
        (with(json!({"time": null})), &["time"]),
        (with(json!({"card": {"token": "t", "cvv": "123"}})), &["card.cvv", "not accepted"]),
        (with(json!({"account": {"iban": "DE89370400440532013001"}})), &["account.iban", "mod 97"]),
        (with(json!({"text": "x".repeat(5000)})), &["text", "4096"]),
        (with(json!({"id": "x".repeat(2 << 20)})), &["1048576"]),
        (b"[1, 2]".to_vec(), &["JSON object"]),
        (with(json!({"id": "a", "amount": {"minor": 1, "currency": "EUR"}})), &[]),
        (good("a"), &[]),
        (good("z"), &[]),
    ];
    let feed = place.lines("feed.jsonl", &lines.iter().map(|(line, _)| line).collect::<Vec<_>>());
    let done = place.replay("out", &[&feed], &[]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let wrong = lines.iter().filter(|(_, told)| !told.is_empty()).count();
    let summary = done.summary();
    assert_eq!(summary["transactions"], 2, "{summary}");
    assert_eq!(summary["rejected"], wrong + 1, "and the one under a known key: {summary}");
    assert_eq!(summary["duplicates"], 1, "{summary}");
    for (number, (_, told)) in (1..).zip(&lines).filter(|(_, (_, told))| !told.is_empty()) {
        let place = format!("line {number}");
        let ends = |line: &str| line.split_once(&place).is_some_and(|(_, rest)| rest.starts_with([',', ')']));
        let line = done.stderr.lines().find(|line| ends(line));
        let line = line.unwrap_or_else(|| panic!("no {place} in\n{}", done.stderr));
        assert!(line.starts_with("rejected: ") && line.contains("feed.jsonl"), "{line}");
        assert!(told.iter().all(|word| line.contains(word)), "{told:?} in {line}");
    }
    let conflict = done.stderr.lines().find(|line| line.contains("known under its key"));
    assert!(conflict.is_some_and(|line| line.contains("sequence 2")), "{}", done.stderr);
    assert!(!done.stderr.contains(PAN) && !done.stderr.contains("453914880343"), "{}", done.stderr);
}

#[test]
fn a_dead_letter_tells_what_was_wrong_and_is_masked() {
    let place = Place::new("");
    let lines = [
        payment(
            json!({"id": "a-1", "card": {"pan": "4539148803436468"}, "payee": {"name": "Ana Quillfeather"}}),
        ),
        payment(
            json!({"id": "a-2", "amount": {"minor": 1.5, "currency": "EUR"}, "email": "ana@quill.example"}),
        ),
    ];
    let feed = place.lines("feed.jsonl", &lines.map(|line| line.to_string()));
    assert_eq!(place.summary("out", &[&feed], &[])["rejected"], 2);
    let out = place.path("out");
    let read = run(BINARY, &["dead-letters", "--data", text(&out), "--json"]);
    assert_eq!(read.code, 0, "{}", read.stderr);
    let letters: Vec<Value> = read.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(letters.len(), 2);
    for (letter, (field, line, id)) in
        letters.iter().zip([("card.pan", 1, "a-1"), ("amount.minor", 2, "a-2")])
    {
        let about = letter["about"].as_str().unwrap();
        assert!(about.contains(field) && about.contains(&format!("line {line}")), "{about}");
        let record: Value = serde_json::from_str(letter["record"].as_str().unwrap()).unwrap();
        assert_eq!(record["id"], id, "a reference is kept");
        assert_eq!(record["merchant"]["id"], "***");
        assert_eq!(record["channel"], "ecommerce", "a code is kept");
    }
    for secret in ["4539148803436468", "Quillfeather", "quill.example"] {
        assert!(!read.stdout.contains(secret), "{secret}");
    }
    let text_form = run(BINARY, &["dead-letters", "--data", text(&out)]);
    assert!(
        text_form.stdout.contains("card.pan") && !text_form.stdout.contains("Quill"),
        "{}",
        text_form.stdout
    );
}

#[test]
fn a_wrong_row_of_a_table_is_told_by_its_row_column_and_field() {
    let place = Place::new(COLUMNS);
    let rows: Vec<Row> = vec![
        (1, 0, Some(7), 10.0, 0),
        (2, 3600, Some(7), -1.0, 0),
        (3, 7200, None, 12.0, 0),
        (4, 7200, Some(8), f64::NAN, 0),
        (5, 9000, Some(8), 600.0, 1),
    ];
    let feed = place.path("feed.parquet");
    write_parquet(&feed, &table(&rows));
    let done = place.replay("out", &[&feed], &[]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let summary = done.summary();
    assert_eq!((&summary["transactions"], &summary["rejected"]), (&json!(2), &json!(3)), "{}", done.stderr);
    for (row, word) in [(2, "amount.minor"), (3, "card"), (4, "TX_AMOUNT")] {
        let place = format!("feed.parquet, row {row})");
        let line = done.stderr.lines().find(|line| line.contains(&place));
        assert!(line.is_some_and(|line| line.contains(word)), "{place}, {word} in\n{}", done.stderr);
    }
}

#[test]
fn many_wrong_records_are_counted_and_not_all_printed() {
    let place = Place::new("");
    let feed = place.lines("feed.jsonl", &vec!["{}"; 500]);
    let done = place.replay("out", &[&feed], &[]);
    assert_eq!((done.code, done.summary()["rejected"].as_u64()), (0, Some(500)));
    assert!(done.stderr.lines().count() < 50, "{}", done.stderr);
    let read = run(BINARY, &["dead-letters", "--data", text(&place.path("out")), "--json"]);
    assert_eq!(read.stdout.lines().count(), 500);
    let other = |n: usize| payment(json!({"id": "a", "amount": {"minor": n, "currency": "EUR"}})).to_string();
    let feed = place.lines("conflicts.jsonl", &(0..500).map(other).collect::<Vec<_>>());
    let done = place.replay("conflicts", &[&feed], &[]);
    assert_eq!(done.summary()["rejected"], 499, "{}", done.stderr);
    assert!(done.stderr.lines().count() < 50, "{}", done.stderr);
}
