#![allow(clippy::unwrap_used)]
//! The decoder against wire.md's own body, and against every kind of wrong input.

use super::entries::{decode_entries, decode_subjects};
use super::request::is_batch;
use super::*;
use crate::error::{FieldError, Status};
use crate::normalise::keys::TagKeys;
use interdict_engine::domain::*;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// wire.md's request, word for word but for the dots in `qr`.
pub(crate) const WIRE: &str = include_str!("tests/wire.json");

fn decoder() -> Decoder {
    Decoder::new(Arc::new(TagKeys::new(&[7; 32])))
}

fn decode(body: &str) -> Result<Decoded, FieldError> {
    decoder().decode(body.as_bytes(), &RequestContext::default())
}

fn minimal() -> Json {
    json!({"id": "tx-1", "time": "2018-04-01T00:02:10Z", "amount": {"minor": 1, "currency": "EUR"},
        "card": {"pan": "4111111111111111"}})
}

/// The minimal body with one more value at a dotted path (`!` removes it).
fn with(path: &str, value: Json) -> String {
    let mut body = minimal();
    let mut at = &mut body;
    for name in path.split('.') {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[name];
    }
    *at = value;
    body.to_string()
}

fn wrong(body: &str) -> (u16, String, String) {
    let error = decode(body).expect_err(body);
    (error.status.http(), error.field, error.expected)
}

#[test]
fn the_wire_s_own_body_is_read_whole() {
    let decoded = decode(WIRE).unwrap();
    let tx = &decoded.tx;
    assert_eq!((&*tx.tenant, tx.id.as_deref()), ("acme", Some("tx-20180401-000017")));
    assert_eq!((tx.time_ms, tx.amount_minor(), decoded.deadline_ms), (1_522_540_930_000, 5767, Some(20)));
    for (field, text) in [
        (Field::AmountCurrency, "EUR"),
        (Field::SettlementCurrency, "USD"),
        (Field::Channel, "ecommerce"),
        (Field::CardBin, "41111111"),
        (Field::CardLast4, "1111"),
        (Field::AccountCountry, "DE"),
        (Field::PayerName, "Ana Silva"),
        (Field::PayeeAccountCountry, "FR"),
        (Field::MerchantId, "M-3156"),
        (Field::MerchantName, "Café du Nord"),
        (Field::MerchantMcc, "5812"),
        (Field::TerminalId, "T-3156"),
        (Field::Acquirer, "40001"),
        (Field::DeviceUserAgent, "Mozilla/5.0"),
        (Field::EmailDomain, "example.org"),
        (Field::Text, "invoice 1042 gift cards"),
        (Field::Stan, "000123"),
        (Field::Rrn, "809100000123"),
        (Field::Uetr, "8a562c67-ca16-48ba-b074-65581be6f011"),
        (Field::Corridor, "PT-FR"),
    ] {
        assert_eq!(tx.text(field), Some(text), "{field:?}");
    }
    assert_eq!(tx.get(Field::CrossBorder), Some(Value::Bool(true)));
    assert_eq!(tx.get(Field::DeviceIp), Some(Value::Ip("203.0.113.7".parse().unwrap())));
    assert_eq!(tx.get(Field::SettlesAt), Some(Value::Time(1_522_702_800_000)));
    assert_eq!((tx.text(Field::Original), decoded.original.as_slice()), (None, &[][..]));
    let keys = decoder().keys().tenant("acme");
    for (field, kind, canonical) in [
        (Field::Card, SubjectKind::Card, "4111111111111111"),
        (Field::Account, SubjectKind::Account, "DE89370400440532013000"),
        (Field::Payee, SubjectKind::Account, "FR1420041010050500013M02606"),
        (Field::PayerNameTag, SubjectKind::Name, "ana silva"),
        (Field::PayeeNameTag, SubjectKind::Name, "olaf scholze"),
        (Field::Merchant, SubjectKind::Merchant, "M-3156"),
        (Field::Terminal, SubjectKind::Terminal, "T-3156"),
        (Field::Device, SubjectKind::Device, "d-77"),
        (Field::Email, SubjectKind::Email, "ana@example.org"),
        (Field::Phone, SubjectKind::Phone, "+351210000000"),
    ] {
        assert_eq!(tx.tag(field, KeyId::STATE), Some(keys.state.tag(kind, canonical)), "{field:?}");
        assert_eq!(tx.tag(field, KeyId::SHARED), Some(keys.shared.tag(kind, canonical)), "{field:?}");
    }
    assert_eq!(tx.tags().len(), 20);
    assert!(!format!("{decoded:?}").contains("Silva"));
    for secret in ["4111111111111111", "DE8937", "FR1420", "ana@", "+35121", "d-77"] {
        assert!(!format!("{tx:?}").contains(secret), "{secret}");
    }
    assert!(tx.encode_sealed().windows(9).any(|bytes| bytes == b"Ana Silva"));
}

#[test]
fn what_is_optional_may_be_null_or_absent() {
    let mut body: Json = serde_json::from_str(WIRE).unwrap();
    for name in body.as_object().unwrap().keys().cloned().collect::<Vec<_>>() {
        if !matches!(name.as_str(), "time" | "amount" | "merchant") {
            body[name] = Json::Null;
        }
    }
    let decoded = decode(&body.to_string()).unwrap();
    assert_eq!((decoded.tx.kind, decoded.tx.id), (TransactionKind::Request, None));
    assert_eq!((decoded.id_key, decoded.deadline_ms), (None, None));
    assert!(decode(&with("text", json!("  "))).unwrap().tx.text(Field::Text).is_none());
    assert!(decode(&with("amount.minor", json!(0))).is_ok());
}

#[test]
fn wrong_values_name_the_field_and_never_the_value() {
    for (path, value, expected) in [
        ("time", json!(null), "RFC 3339"),
        ("time", json!(1_522_540_930), "a string"),
        ("time", json!("yesterday"), "RFC 3339"),
        ("amount.minor", json!(null), "integer number of minor units"),
        ("amount.minor", json!(-1), "from 0"),
        ("amount.minor", json!(1.5), "without fraction"),
        ("amount.minor", json!(5.0), "without fraction"),
        ("amount.minor", json!("1"), "an integer"),
        ("amount.minor", json!(u64::MAX), "64 bits"),
        ("amount.minor", json!(1_000_000_000_000_001i64), "1000000000000000"),
        ("amount.currency", json!("eur"), "ISO 4217"),
        ("amount.currency", json!(null), "ISO 4217"),
        ("settlement_amount.minor", json!(1), "ISO 4217"),
        ("settlement_amount.currency", json!("EUR"), "minor units"),
        ("kind", json!("purchase"), "reversal"),
        ("channel", json!("pigeon"), "qr_merchant"),
        ("card.pan", json!("4111111111111112"), "Luhn"),
        ("card.pan", json!(4_111_111_111_111_111u64), "a string"),
        ("card.token", json!("t"), "either pan or token"),
        ("account.iban", json!("DE89370400440532013001"), "mod 97"),
        ("account.number", json!("1"), "the bank"),
        ("account.bank", json!("1"), "a number with its bank"),
        ("payee.account.iban", json!("XX"), "mod 97"),
        ("payer.country", json!("pt"), "ISO 3166-1"),
        ("payer.name", json!("a\u{0}b"), "without control"),
        ("payer.name", json!(["a"]), "a string"),
        ("merchant.id", json!(""), "1 to 256"),
        ("merchant.id", json!("m".repeat(257)), "1 to 256"),
        ("merchant.mcc", json!("58"), "4 digits"),
        ("merchant", json!("M-1"), "an object"),
        ("merchant", json!([]), "an object"),
        ("device.ip", json!("1.2.3"), "IPv4"),
        ("email", json!("ana"), "e-mail"),
        ("phone", json!("21"), "E.164"),
        ("text", json!("x".repeat(4097)), "4096"),
        ("text", json!(true), "a string"),
        ("refs.stan", json!("1"), "6 digits"),
        ("refs.rrn", json!("1"), "12"),
        ("refs.uetr", json!("1"), "UUID"),
        ("refs.original", json!(""), "1 to 256"),
        ("settles_at", json!("x"), "RFC 3339"),
        ("deadline_ms", json!(-1), "from 0"),
        ("id", json!("x".repeat(257)), "1 to 256"),
        ("id", json!(17), "a string"),
        ("tenant", json!("a\nb"), "identifier"),
    ] {
        let (status, field, said) = wrong(&with(path, value.clone()));
        let object = path.split('.').next().unwrap();
        let near = if path == "card.token" { field == "card" } else { field.starts_with(object) };
        assert!(near && said.contains(expected), "{path}: {field}: {said}");
        assert_eq!(status, 422, "{path}");
        let text = value.as_str().filter(|text| text.len() > 3);
        assert!(!text.is_some_and(|text| said.contains(text) || field.contains(text)), "{path}: {said}");
    }
    let (_, field, said) = wrong(r#"{"time":"2018-04-01T00:02:10Z","amount":{"minor":1,"currency":"EUR"}}"#);
    assert!(field.is_empty() && said.starts_with("one of card, account"));
    let (_, field, _) = wrong(r#"{"time":"2018-04-01T00:02:10Z","amount":null,"email":"a@b.c"}"#);
    assert_eq!(field, "amount.minor");
}

#[test]
fn unknown_names_are_told_with_the_nearest() {
    let (status, field, said) = wrong(&with("merchant.nmae", json!("Acme")));
    assert_eq!((status, field.as_str()), (422, "merchant.nmae"));
    assert!(said.ends_with("the nearest is merchant.name"), "{said}");
    let (_, field, _) = wrong(&with("payee.account.ibam", json!(null)));
    assert_eq!(field, "payee.account.ibam");
    let (_, field, _) = wrong(&with("4111111111111111", json!(1)));
    assert_eq!(field, "***");
}

#[test]
fn authentication_data_is_refused_wherever_it_stands() {
    for (path, said_at) in [
        ("cvv", "cvv"),
        ("card.cvv2", "card.cvv2"),
        ("card.Track2", "card.Track2"),
        ("PIN-block", "PIN-block"),
        ("extra.inner.pin_block", "extra.inner.pin_block"),
        ("text.cvc", "text.cvc"),
    ] {
        let (status, field, said) = wrong(&with(path, json!("98765")));
        assert_eq!((status, field.as_str()), (422, said_at));
        assert!(said.contains("sensitive authentication data is not accepted") && !said.contains("98765"));
    }
    let (_, field, _) = wrong(&with("extra", json!([1, {"track1": "x"}])));
    assert_eq!(field, "extra.track1");
}

#[test]
fn malformed_input_is_400_with_its_place() {
    let good = minimal().to_string();
    let duplicate = good.replacen("\"id\"", "\"id\":\"a\",\"id\"", 1);
    let nested = format!(r#"{{"extra":{}1{}}}"#, "[".repeat(17), "]".repeat(17));
    for (body, field) in [
        ("", ""),
        ("{", ""),
        (&good[..good.len() - 1], ""),
        (&format!("{good} x"), ""),
        (&format!("{good}{good}"), ""),
        (&duplicate, "id"),
        (&nested, "extra"),
        (&"[".repeat(100_000), ""),
        (r#"{"id": "\ud800"}"#, "id"),
        ("{'id': 1}", ""),
    ] {
        let error = decode(body).unwrap_err();
        assert_eq!((error.status, error.field.as_str()), (Status::Malformed, field), "{error}");
        assert!(error.place.offset.is_some(), "{error}");
    }
    let error = decoder().decode(b"{\"text\": \"\xff\"}", &RequestContext::default()).unwrap_err();
    assert_eq!((error.status.http(), error.field.as_str()), (400, "text"));
    assert_eq!(error.place.offset, Some(10));
    let (status, field, _) = wrong(r#"{"amount": {"minor": 1e999}}"#);
    assert_eq!((status, field.as_str()), (422, "amount.minor"));
    for body in ["null", "5", "\"x\"", "[]"] {
        assert_eq!(wrong(body).0, 422, "{body}");
    }
    let large = with("text", json!("x".repeat(1 << 20)));
    assert_eq!(wrong(&large).0, 413);
}

#[test]
fn identity_follows_the_wire() {
    let with_id = |id: &str, kind: &str| {
        let mut body = minimal();
        (body["id"], body["kind"]) = (json!(id), json!(kind));
        decode(&body.to_string()).unwrap()
    };
    let (request, repeat) = (with_id("a", "request"), with_id("a", "repeat"));
    assert_eq!((request.id_key, request.payment_digest), (repeat.id_key, repeat.payment_digest));
    let kinds = ["request", "advice", "reversal", "completion", "refund"];
    for (one, other) in kinds.iter().flat_map(|one| kinds.iter().map(move |other| (*one, *other))) {
        let (first, second) = (with_id("a", one), with_id("a", other));
        assert_eq!(first.id_key == second.id_key, one == other, "{one} {other}");
        assert_eq!(first.payment_digest == second.payment_digest, one == other);
    }
    let mut reversal = minimal();
    (reversal["kind"], reversal["refs"]) = (json!("reversal"), json!({"original": "a"}));
    assert_eq!(decode(&reversal.to_string()).unwrap().original[0], request.id_key.unwrap());
    assert_eq!(decoder().identity_of("default", "a"), request.id_key.unwrap());
    assert_ne!(decoder().identity_of("acme", "a"), request.id_key.unwrap());
    let of_any_kind: Vec<_> = decoder().identities_of("default", "a").collect();
    assert_eq!(of_any_kind[0], request.id_key.unwrap());
    for kind in interdict_engine::domain::TransactionKind::ALL {
        assert!(of_any_kind.contains(&with_id("a", kind.name()).id_key.unwrap()), "{kind:?}");
    }

    let body = minimal().to_string();
    let header = RequestContext { idempotency_key: Some("key"), ..RequestContext::default() };
    let keyed = decoder().decode(body.as_bytes(), &header).unwrap();
    assert_eq!(keyed.id_key, Some(decoder().identity_of("default", "key")));
    assert_eq!(keyed.id_alias, Some(decoder().identity_of("default", "tx-1")));
    assert_eq!(decode(&body).unwrap().id_alias, None);
    let mut by_uetr = minimal();
    (by_uetr["id"], by_uetr["refs"]) = (json!(null), json!({"uetr": "8A562C67-CA16-48BA-B074-65581BE6F011"}));
    let uetr = decoder().identity_of("default", "8a562c67-ca16-48ba-b074-65581be6f011");
    assert_eq!(decode(&by_uetr.to_string()).unwrap().id_key, Some(uetr));
}

/// A message with the elements of ISO 8583, and more of `refs`.
fn with_elements(kind: &str, id: Json, more: &[(&str, Json)]) -> Decoded {
    let mut body = minimal();
    (body["id"], body["kind"], body["acquirer"]) = (id, json!(kind), json!("40001"));
    body["refs"] = json!({"stan": "000123", "rrn": "809100000123", "transmitted_at": "0401000210"});
    more.iter().for_each(|(name, value)| body["refs"][*name] = value.clone());
    decode(&body.to_string()).unwrap()
}

#[test]
fn elements_of_iso_8583_are_an_identity_and_name_an_original() {
    let with = |kind: &str, more: &[(&str, Json)]| with_elements(kind, json!(null), more);
    let plain = with("request", &[]);
    assert_eq!((plain.id_key.is_some(), plain.id_alias, plain.refers_to()), (true, None, None));
    assert_eq!(with("repeat", &[]).id_key, plain.id_key);
    let uetr = json!("8a562c67-ca16-48ba-b074-65581be6f011");
    assert_eq!(with("request", &[("uetr", uetr)]).id_key, plain.id_key, "before the UETR");
    let sent = [("transmitted_at", json!("2018-04-01T00:02:10.5Z"))];
    assert_eq!(with("request", &sent).id_key, plain.id_key, "a whole time says the same");
    for (name, value) in [("stan", "000124"), ("rrn", "809100000124"), ("transmitted_at", "0401000211")] {
        assert_ne!(with("request", &[(name, json!(value))]).id_key, plain.id_key, "{name}");
        assert_eq!(with("request", &[(name, json!(null))]).id_key, None, "all four or none: {name}");
    }
    assert_ne!(with("advice", &[]).id_key, plain.id_key);
    let named = with_elements("request", json!("a"), &[]);
    assert_eq!(named.id_key, Some(decoder().identity_of("default", "a")), "after the id");
    assert_eq!(named.id_alias, plain.id_key);

    let of = |kind: &str, original: Json| {
        let own =
            [("stan", json!("000999")), ("transmitted_at", json!("0401000300")), ("original", original)];
        with(kind, &own)
    };
    let de90 = json!({"mti": "0100", "stan": "000123", "transmitted_at": "0401000210", "acquirer": "00000040001",
        "forwarder": "00000000000"});
    let reversal = of("reversal", de90.clone());
    assert_eq!(reversal.original[0], plain.id_key.unwrap(), "the RRN is the reversal's own");
    assert_eq!(reversal.tx.text(Field::Original), Some("40001/000123/809100000123/0401000210"));
    assert_eq!(reversal.original.len(), 2, "a request or a refund");
    let mut short = de90;
    for name in ["mti", "acquirer", "forwarder"] {
        short.as_object_mut().unwrap().remove(name);
    }
    let unsaid = of("reversal", short.clone()).original;
    assert_eq!((unsaid.len(), unsaid[0]), (4, plain.id_key.unwrap()));
    assert!(unsaid.contains(&with("advice", &[]).id_key.unwrap()));
    short["mti"] = json!("0220");
    let advised = of("completion", short).original;
    assert_eq!(advised, [with("advice", &[]).id_key.unwrap()]);
    assert_eq!(of("refund", json!("a")).original.len(), 3);

    let mut body = minimal();
    for (original, field) in [
        (json!({"stan": "000123", "transmitted_at": "0401000210", "acquirer": "1"}), "refs.original.rrn"),
        (
            json!({"stan": "000123", "transmitted_at": "0401000210", "rrn": "809100000123"}),
            "refs.original.acquirer",
        ),
        (json!({"transmitted_at": "0401000210"}), "refs.original.stan"),
        (json!({"stan": "000123", "transmitted_at": "x"}), "refs.original.transmitted_at"),
        (json!({"mti": "0420"}), "refs.original.mti"),
        (json!({"mti": 100}), "refs.original.mti"),
        (json!({"sten": "1"}), "refs.original.sten"),
        (json!({"track2": "1"}), "refs.original.track2"),
        (json!(["a"]), "refs.original"),
        (json!(true), "refs.original"),
    ] {
        body["refs"] = json!({"original": original});
        let (status, named, _) = wrong(&body.to_string());
        assert_eq!((status, named.as_str()), (422, field), "{original}");
    }
}

#[test]
fn the_digest_is_of_what_identity_compares() {
    let base = decode(&minimal().to_string()).unwrap().payment_digest;
    for (path, value, same) in [
        ("id", json!("other"), true),
        ("time", json!("2019-04-01T00:02:10Z"), true),
        ("text", json!("other"), true),
        ("card.pan", json!("4111 1111 1111 1111"), true),
        ("amount.minor", json!(2), false),
        ("amount.currency", json!("USD"), false),
        ("card.pan", json!("5555555555554444"), false),
        ("merchant.id", json!("M"), false),
        ("terminal.id", json!("M"), false),
        ("kind", json!("refund"), false),
    ] {
        let digest = decode(&with(path, value)).unwrap().payment_digest;
        assert_eq!(digest == base, same, "{path}");
    }
    let (merchant, terminal) = (with("merchant.id", json!("M")), with("terminal.id", json!("M")));
    assert_ne!(decode(&merchant).unwrap().payment_digest, decode(&terminal).unwrap().payment_digest);
}

#[test]
fn headers_stand_behind_the_body() {
    let ctx = RequestContext {
        tenant: Some("acme"),
        deadline_ms: Some("50"),
        default_tenant: "other",
        idempotency_key: None,
    };
    let tenant_of = |body: &str| {
        let decoded = decoder().decode(body.as_bytes(), &ctx).unwrap();
        (decoded.tx.tenant.to_string(), decoded.deadline_ms)
    };
    assert_eq!(tenant_of(&minimal().to_string()), ("acme".into(), Some(50)));
    assert_eq!(tenant_of(&with("tenant", json!("inner"))), ("inner".into(), Some(50)));
    assert_eq!(tenant_of(&with("deadline_ms", json!(7))), ("acme".into(), Some(7)));
    let body = minimal().to_string();
    for (ctx, field) in [
        (RequestContext { deadline_ms: Some("soon"), ..ctx }, "Interdict-Deadline-Ms"),
        (RequestContext { tenant: Some(""), ..ctx }, "Interdict-Tenant"),
        (RequestContext { idempotency_key: Some(""), ..ctx }, "Idempotency-Key"),
    ] {
        assert_eq!(decoder().decode(body.as_bytes(), &ctx).unwrap_err().field, field);
    }
}

#[test]
fn a_batch_loses_only_its_wrong_elements() {
    let body = format!("[{0}, {{\"nmae\": 1}}, null, {0}]", minimal());
    assert!(is_batch(body.as_bytes()) && !is_batch(b" {}"));
    let ctx = RequestContext::default();
    let batch = decoder().decode_batch(body.as_bytes(), &ctx).unwrap();
    let right: Vec<bool> = batch.iter().map(Result::is_ok).collect();
    assert_eq!(right, [true, false, false, true]);
    assert_eq!(batch[1].as_ref().unwrap_err().place.row, Some(1));
    let status = |body: &str, ctx: &RequestContext<'_>| {
        decoder().decode_batch(body.as_bytes(), ctx).unwrap_err().status.http()
    };
    assert_eq!(status("[1, 2", &ctx), 400);
    assert_eq!(status("[1] 2", &ctx), 400);
    assert_eq!(status("{}", &ctx), 422);
    assert_eq!(status(&format!("[{}1]", "1,".repeat(1000)), &ctx), 413);
    assert_eq!(
        decoder().decode_batch(format!("[{}1]", "1,".repeat(999)).as_bytes(), &ctx).unwrap().len(),
        1000
    );
    let keyed = RequestContext { idempotency_key: Some("k"), ..ctx };
    assert_eq!(status(&body, &keyed), 400);
}

#[test]
fn labels() {
    let body = r#"[{"id": "tx-1", "label": "fraud", "time": "2018-04-01T00:00:00Z"},
        {"sequence": 7, "label": "good", "time": "2018-04-01T00:00:00Z"},
        {"id": "a", "sequence": 7, "label": "good", "time": "2018-04-01T00:00:00Z"},
        {"sequence": -1, "label": "good", "time": "2018-04-01T00:00:00Z"},
        {"id": "a", "label": "bad", "time": "2018-04-01T00:00:00Z"}, {"id": "a", "label": "good"},
        {"id": "a", "lable": "good"}]"#;
    let labels = decoder().decode_labels(body.as_bytes(), "acme").unwrap();
    let fields: Vec<_> = labels.iter().map(|label| label.as_ref().err().map(|e| e.field.as_str())).collect();
    assert_eq!(
        fields,
        [None, None, Some("id"), Some("sequence"), Some("label"), Some("time"), Some("lable")]
    );
    let first = labels[0].as_ref().unwrap();
    assert_eq!(first.target, LabelTarget::Id("tx-1".into(), decoder().identity_of("acme", "tx-1")));
    assert_eq!((first.label, first.time_ms), (Label::Fraud, 1_522_540_800_000));
    assert!(decoder().decode_labels(b"{}", "acme").is_err());
}

#[test]
fn list_deltas_are_all_or_nothing() {
    let key = decoder().keys().shared().clone();
    let body = json!([
        {"card": {"pan": "4111 1111 1111 1111"}, "effect": "block", "overridable": true, "reason": "STOLEN", "severity": 90},
        {"account": {"iban": "DE89370400440532013000"}, "effect": "flag", "valid_from": "2018-04-01T00:00:00Z"},
        {"ip": "203.0.113.0/24"}, {"bin": "411111"}, {"name": "SILVA, Ana"},
        {"email": "A@b.c", "effect": "override", "overrides": "cards/velocity", "valid_to": "2018-04-01T00:00:00Z"}
    ]);
    let entries = decode_entries(body.to_string().as_bytes(), &key, "risk").unwrap();
    let tag = |kind, text| Subject::Tag { kind, tag: key.tag(kind, text) };
    assert_eq!(entries[0].subject, tag(SubjectKind::Card, "4111111111111111"));
    assert_eq!((entries[0].overridable, entries[0].severity, &*entries[0].contributor), (true, 90, "risk"));
    assert_eq!(entries[1].subject, tag(SubjectKind::Account, "DE89370400440532013000"));
    assert_eq!((entries[1].effect, entries[2].effect), (Effect::Flag, Effect::Block));
    assert_eq!(entries[3].subject, Subject::Bin { number: 411_111, digits: 6 });
    assert_eq!(entries[4].subject, tag(SubjectKind::Name, "silva ana"));
    assert_eq!(entries[5].overrides.as_deref(), Some("cards/velocity"));
    assert_eq!(decode_subjects(body.to_string().as_bytes(), &key).unwrap().len(), 6);

    let wrong = json!([
        {"email": "a@b.c"}, {"effect": "block"}, {"email": "a@b.c", "phone": "+351210000000"},
        {"email": "x"}, {"email": "a@b.c", "effect": "override"}, {"email": "a@b.c", "overrides": "x"},
        {"email": "a@b.c", "severity": 101}, {"email": "a@b.c", "effect": "ban"}, {"emial": "a@b.c"},
        {"email": "a@b.c", "valid_from": "2018-04-02T00:00:00Z", "valid_to": "2018-04-01T00:00:00Z"},
        {"email": "a@b.c", "contributor": "me"}, {"email": "a@b.c", "effect": "flag", "overridable": true}
    ]);
    let errors = decode_entries(wrong.to_string().as_bytes(), &key, "risk").unwrap_err();
    let fields: Vec<_> = errors.iter().map(|e| (e.place.row.unwrap(), e.field.as_str())).collect();
    assert_eq!(
        fields,
        [
            (1, ""),
            (2, ""),
            (3, "email"),
            (4, "overrides"),
            (5, "overrides"),
            (6, "severity"),
            (7, "effect"),
            (8, "emial"),
            (9, "valid_to"),
            (10, "contributor"),
            (11, "overridable")
        ]
    );
    let many = format!("[{}1]", "1,".repeat(500));
    assert_eq!(decode_entries(many.as_bytes(), &key, "").unwrap_err().len(), 100);
    assert_eq!(decode_entries(b"{", &key, "").unwrap_err().len(), 1);
}

/// wire.md's body with bytes changed, cut out or put in.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), 0usize..3, any::<u8>());
    prop::collection::vec(edit, 1..6).prop_map(|edits| {
        let mut bytes = WIRE.as_bytes().to_vec();
        for (at, how, byte) in edits {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.drain(at..(at + usize::from(byte) % 9).min(bytes.len()))),
            }
        }
        bytes
    })
}

/// One value of wire.md's body replaced by another JSON value.
fn replaced() -> impl Strategy<Value = Json> {
    let leaves: Vec<&str> = super::shape::REQUEST.leaves.iter().map(|leaf| leaf.path).collect();
    let values = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "\\PC{0,20}".prop_map(Json::from),
        Just(json!([])),
        Just(json!({"a": {"b": [1]}})),
    ];
    (prop::sample::select(leaves), values).prop_map(|(path, value)| {
        let mut body: Json = serde_json::from_str(WIRE).unwrap();
        *path.split('.').fold(&mut body, |at, name| &mut at[name]) = value;
        body
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (decoder, ctx) = (decoder(), RequestContext::default());
        let _ = decoder.decode(&bytes, &ctx);
        let _ = decoder.decode_batch(&bytes, &ctx);
        let _ = decoder.decode_labels(&bytes, "t");
        let _ = decode_entries(&bytes, decoder.keys().shared(), "");
    }

    #[test]
    fn mutated_bodies_never_panic_and_never_pass_as_json_when_they_are_none(bytes in mutated()) {
        let decoded = decoder().decode(&bytes, &RequestContext::default());
        if let Err(error) = &decoded {
            let said = error.to_string();
            prop_assert!(!said.contains("Silva") && !said.contains("411111"), "{}", said);
        }
        let parsed = serde_json::from_slice::<Json>(&bytes);
        prop_assert!(parsed.is_ok() || decoded.is_err());
        if matches!(&decoded, Err(error) if error.status == Status::Malformed) {
            // Only a name twice is malformed to us and well-formed to serde_json.
            let twice = decoded.unwrap_err().expected.contains("once");
            prop_assert!(parsed.is_err() || twice);
        }
    }

    #[test]
    fn a_replaced_value_is_refused_at_its_field_or_taken(body in replaced()) {
        let text = body.to_string();
        if let Ok(decoded) = decode(&text) {
            let (open, sealed) = (decoded.tx.encode_open(), decoded.tx.encode_sealed());
            let back = Transaction::decode(decoded.tx.tenant.clone(), &open, Some(&sealed)).unwrap();
            prop_assert_eq!(back, decoded.tx);
        }
    }

    #[test]
    fn spelling_does_not_matter(spaces in "[ \n\t]{0,3}") {
        let spaced: String = minimal().to_string().replace(',', &format!(",{spaces}")).replace("\"card\"", "\"c\\u0061rd\"");
        prop_assert_eq!(decode(&spaced), decode(&minimal().to_string()));
    }
}
