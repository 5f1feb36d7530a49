#![allow(clippy::unwrap_used)]

use super::*;

fn text() -> String {
    let mut w = Writer::new("thing", 1);
    w.put("name", "a b").unwrap().put("count", 7).unwrap();
    w.put_some("note", None::<&str>).unwrap().put_bytes("hash", &[1, 2, 3]).unwrap();
    w.put("to", "x").unwrap().put("to", "y").unwrap();
    w.finish()
}

#[test]
fn what_is_written_is_read_in_its_order() {
    let text = text();
    assert_eq!(text, "interdict/thing/v1\nname a b\ncount 7\nhash AQID\nto x\nto y\n");
    let mut r = Reader::open(&text, "thing", 1).unwrap();
    assert_eq!(r.take("name").unwrap(), "a b");
    assert_eq!(r.number::<u32>("count").unwrap(), 7);
    assert_eq!(r.take_some("note").unwrap(), None);
    assert_eq!(r.array::<3>("hash").unwrap(), [1, 2, 3]);
    assert_eq!(r.take_all("to").unwrap(), ["x", "y"]);
    r.end().unwrap();
}

#[test]
fn what_is_not_expected_is_refused_at_its_line() {
    let text = text();
    assert_eq!(Reader::open(&text, "thing", 2).unwrap_err().kind, ErrorKind::Version);
    assert_eq!(Reader::open(&text, "other", 1).unwrap_err().kind, ErrorKind::Version);
    let mut r = Reader::open(&text, "thing", 1).unwrap();
    let error = r.take("count").unwrap_err();
    assert_eq!(error.to_string(), "line 2: expected \"count\", found \"name\"");
    r.take("name").unwrap();
    let error = r.end().unwrap_err();
    assert_eq!(error.to_string(), "line 3: \"count\" is not known here, or not at this place");
    for other in ["count 07", "count +7", "count -1", "count 7 ", "count 4294967296", "count "] {
        let text = format!("interdict/thing/v1\n{other}\n");
        let mut r = Reader::open(&text, "thing", 1).unwrap();
        let error = r.number::<u32>("count").unwrap_err();
        assert_eq!((error.kind, error.place), (ErrorKind::Malformed, Place::Line(2)), "{other:?}");
    }
    assert!(Reader::open("thing/v1\n", "thing", 1).is_err());
    assert!(Reader::open("interdict/thing/v01\n", "thing", 1).is_err());
}

#[test]
fn values_that_could_begin_a_line_are_not_written() {
    let mut w = Writer::new("thing", 1);
    assert!(w.put("name", "a\nrole operator").is_err());
    assert!(w.put("name", "").is_err());
    assert!(w.put("name", " a").is_err());
    assert_eq!(w.put("name", "x".repeat(VALUE_BYTES_MAX + 1)).unwrap_err().kind, ErrorKind::TooLarge);
    assert_eq!(w.finish(), "interdict/thing/v1\n");
}
