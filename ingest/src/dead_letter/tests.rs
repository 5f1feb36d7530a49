use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const PAN: &str = "4111111111111111";
const NAME: &str = "Ana Silva";
const IBAN: &str = "DE89370400440532013000";

fn masked(value: &Value) -> String {
    String::from_utf8(mask(&serde_json::to_vec(value).unwrap())).unwrap()
}

#[test]
fn names_stay_and_values_go() {
    let value = json!({
        "id": "tx-17", "time": "2018-04-01T00:02:10Z", "amount": {"minor": 5767, "currency": "EUR"},
        "card": {"pan": PAN}, "payer": {"name": NAME, "country": "PT"}, "nmae": NAME, "cvv": "123",
        "channel": NAME, "refs": {"original": "4111-1111-1111-1111", "stan": "000123"}, "extra": {"a": [1, true, null]}
    });
    let expected = json!({
        "id": "tx-17", "time": "2018-04-01T00:02:10Z", "amount": {"minor": 5767, "currency": "EUR"},
        "card": {"pan": "***"}, "payer": {"name": "***", "country": "PT"}, "nmae": "***", "cvv": "***",
        "channel": "***", "refs": {"original": "***", "stan": "000123"}, "extra": {"a": ["***", "***", null]}
    });
    assert_eq!(serde_json::from_str::<Value>(&masked(&value)).unwrap(), expected);
    assert_eq!(mask(b"[]"), b"[]");
    assert_eq!(mask(br#"[{"kind":"refund"},{}]"#), br#"[{"kind":"refund"},{}]"#);
}

#[test]
fn what_cannot_be_read_is_a_length_and_a_place() {
    let raw = format!(r#"{{"card":{{"pan":"{PAN}"}}, "payer": {{"name": "{NAME}"#);
    let masked = String::from_utf8(mask(raw.as_bytes())).unwrap();
    assert_eq!(masked, format!(r#"{{"unreadable_bytes":{0},"line":1,"column":{0}}}"#, raw.len()));
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    assert!(mask(deep.as_bytes()).len() < 200);
    assert!(mask(b"\xff{}").starts_with(b"{\"unreadable_bytes\":3"));
}

#[test]
fn other_bodies_have_their_own_names() {
    let label = br#"{"id":"tx-1","label":"fraud","time":"2018-04-01T00:00:00Z"}"#;
    assert_eq!(mask_as(RecordKind::Label, label), label);
    let entry = br#"{"card":{"pan":"4111111111111111"},"effect":"block","overridable":true}"#;
    let expected = br#"{"card":{"pan":"***"},"effect":"block","overridable":true}"#;
    assert_eq!(mask_as(RecordKind::Entry, entry), expected);
}

/// The secret in some spelling a client might send.
fn secret() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(PAN)),
        Just(json!("4111 1111 1111 1111")),
        Just(json!("x4111-1111-1111-1111y")),
        Just(json!(4_111_111_111_111_111_u64)),
        Just(json!(4_111_111_111_111_111.5)),
        Just(json!(NAME)),
        Just(json!(format!("to {NAME}"))),
        Just(json!(IBAN)),
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    let names = REQUEST.leaves.iter().flat_map(|leaf| leaf.path.split('.')).chain(["cvv", "nmae", "X-1"]);
    let name = prop::sample::select(names.map(String::from).collect::<Vec<_>>());
    secret().prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec((name.clone(), inner.clone()), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            prop::collection::vec(inner, 0..4).prop_map(Value::Array),
        ]
    })
}

fn assert_clean(masked: &str) -> Result<(), TestCaseError> {
    let digits: String = masked.chars().filter(char::is_ascii_digit).collect();
    prop_assert!(
        !masked.contains("Silva") && !masked.contains(IBAN) && !digits.contains("411111"),
        "{}",
        masked
    );
    Ok(())
}

proptest! {
    #[test]
    fn no_secret_survives_wherever_it_stands(value in tree()) {
        let masked = masked(&value);
        assert_clean(&masked)?;
        prop_assert!(serde_json::from_str::<Value>(&masked).is_ok());
    }

    #[test]
    fn nor_in_cut_bytes(value in tree(), cut in 0usize..400, flip in 0usize..400, to in any::<u8>()) {
        let mut raw = serde_json::to_vec(&value).unwrap();
        raw.truncate(cut);
        // A flipped byte may break a name or a number in two, never leave one whole that was not there.
        if let Some(byte) = raw.get_mut(flip) { *byte = to; }
        let masked = mask(&raw);
        prop_assert!(!masked.windows(5).any(|window| window == b"Silva"));
        prop_assert!(!masked.windows(12).any(|window| window.iter().all(u8::is_ascii_digit)));
    }
}
