#![allow(clippy::unwrap_used)]
//! List files: the right ones whole, the wrong ones by line and column.

use crate::normalise::keys::{TagKey, TagKeys};
use interdict_engine::domain::{Effect, Entry, Subject, SubjectKind};

fn key() -> TagKey {
    TagKeys::new(&[7; 32]).shared().clone()
}

fn csv(text: &[u8]) -> Result<Vec<Entry>, Vec<crate::FieldError>> {
    super::csv::read_entries(text, "list.csv", &key(), "risk")
}

fn wrong(text: &[u8]) -> Vec<(u64, String)> {
    csv(text).unwrap_err().into_iter().map(|error| (error.place.line.unwrap(), error.field)).collect()
}

#[test]
fn a_list_in_csv_is_the_same_list_in_jsonl() {
    let text = "type,value,effect,overridable,reason,severity,valid_to,overrides,contributor,bank\r\n\
        card,4111 1111 1111 1111,block,true,STOLEN,90,2019-01-01T00:00:00Z,,bank-a,\r\n\
        card,tok-1,,,,,,,,\r\n\
        account,DE89370400440532013000,flag,false,,,,,,\r\n\
        account,123,,,,,,,,BANK\r\n\
        ip,203.0.113.0/24,,,,,,,,\r\n\
        name,\"SILVA, Ana\",override,,,,,cards/x,,\r\n";
    let lines = r#"{"card": {"pan": "4111111111111111"}, "overridable": true, "reason": "STOLEN", "severity": 90, "valid_to": "2019-01-01T00:00:00Z", "contributor": "bank-a"}
        {"card": {"token": "tok-1"}}

        {"account": {"iban": "DE89370400440532013000"}, "effect": "flag"}
        {"account": {"number": "123", "bank": "BANK"}}
        {"ip": "203.0.113.0/24"}
        {"name": "silva ana", "effect": "override", "overrides": "cards/x"}"#;
    let entries = csv(text.as_bytes()).unwrap();
    assert_eq!(super::jsonl::read_entries(lines.as_bytes(), "list.jsonl", &key(), "risk").unwrap(), entries);
    let pan = key().tag(SubjectKind::Card, "4111111111111111");
    assert_eq!(entries[0].subject, Subject::Tag { kind: SubjectKind::Card, tag: pan });
    assert_eq!((&*entries[0].contributor, &*entries[1].contributor), ("bank-a", "risk"));
    assert_eq!((entries[0].effect, entries[5].effect), (Effect::Block, Effect::Override));
    assert!(entries.iter().map(|entry| entry.id).eq(0..6));
    assert_eq!(csv("\u{feff}type,value\n".as_bytes()), Ok(vec![]));
}

#[test]
fn a_bin_range_is_the_entries_of_its_prefixes() {
    let text = "type,value,reason\nbin,4111,A\nbin,411118-411120,B\nbin,51000000-51999999,C\n";
    let bins: Vec<(u32, u8, String)> = csv(text.as_bytes())
        .unwrap()
        .into_iter()
        .map(|entry| match entry.subject {
            Subject::Bin { number, digits } => (number, digits, entry.reason),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [(4111, 4, "A"), (411_118, 6, "B"), (411_119, 6, "B"), (411_120, 6, "B"), (51, 2, "C")];
    assert_eq!(bins, expected.map(|(number, digits, reason)| (number, digits, reason.to_owned())));
    assert_eq!(wrong(b"type,value\nbin,411119-411111\n"), [(2, "value".into())]);
}

#[test]
fn wrong_lists_are_told_by_line_and_column() {
    let at = |line, field: &str| (line, String::from(field));
    assert_eq!(wrong(b""), [at(1, "")]);
    assert_eq!(wrong(b"type\ncard\n"), [at(1, "value")]);
    assert_eq!(wrong(b"type,valu\n"), [at(1, "valu")]);
    assert_eq!(wrong(b"type,value,value\n"), [at(1, "value")]);
    assert_eq!(wrong(b"4111111111111111,x\n"), [at(1, "***")]);
    assert_eq!(wrong(b"type,value\r\ncard,ok\r\n\r\ncard,\"\"\r\n"), [at(4, "value")]);
    let body = b"type,value,severity\ncard,\ncart,x,1\nip,1.2.3.4/8,1\ncard,ok,1\nbin,12,1\nphone,x,1\n\
        card,a\x00b,1\ncard,ok,x\ncard,ok,101\n,x,1\nemail,\xff,1\ncard,ok,1,2\n";
    assert_eq!(
        wrong(body),
        [
            at(2, ""),
            at(3, "type"),
            at(4, "value"),
            at(6, "value"),
            at(7, "value"),
            at(8, "value"),
            at(9, "severity"),
            at(10, "severity"),
            at(11, "type"),
            at(12, "value"),
            at(13, "")
        ]
    );
    for error in csv(body).unwrap_err() {
        let said = error.to_string();
        assert!(said.contains("list.csv, line") && !said.contains("1.2.3.4"), "{said}");
    }
    let many = format!("type,value\n{}", "card,\n".repeat(500));
    assert_eq!(wrong(many.as_bytes()).len(), 100);
}

#[test]
fn a_list_cut_within_a_value_or_a_row_is_no_list() {
    assert_eq!(wrong(b"type,value\ncard,a\ncard,\"b").last().unwrap().0, 3);
    assert_eq!(wrong(b"type,value,effect\ncard,a,flag\ncard,b"), [(3, String::new())]);
    let lines = b"{\"bin\": \"411111\"}\n{\"bin\": \"4111\n{\"nmae\": 1}\n{\"bin\": \"\xff\"}";
    let errors = super::jsonl::read_entries(&lines[..], "l.jsonl", &key(), "").unwrap_err();
    let told: Vec<_> = errors.iter().map(|error| (error.place.line.unwrap(), error.field.as_str())).collect();
    assert_eq!(told, [(2, "bin"), (3, "nmae"), (4, "bin")]);
}
