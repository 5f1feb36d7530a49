//! Imports: what is right is taken, what is wrong is named by its line, and no identifier is in any message. The MISP event
//! is one that PyMISP 2.5.34 has made from the templates of misp-objects.

use crate::world;
use interdict_consortium::epoch::{Snapshot, export};
use interdict_consortium::error::{Error, ErrorKind, Place, Result};
use interdict_consortium::kind::{Kind, Privacy};
use interdict_consortium::signal::draft::{Defaults, Given, Imported, rows};
use interdict_consortium::signal::{Body, Op, Policies, Reason, Tags, csv, misp};
use std::path::PathBuf;

const NOV_20_MS: u64 = 1_795_132_800_000;
const DAY_MS: u64 = 86_400_000;

pub fn corpus(file: &str) -> Vec<u8> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
    std::fs::read(root.join(file)).unwrap()
}

/// Every kind but devices is shared.
pub fn policies() -> Policies {
    let mut policies = Policies::default();
    let policy = |privacy, bits| world::policy(privacy, bits, 1, 2, false);
    policies.set(Kind::Card, policy(Privacy::Oblivious, 30)).unwrap();
    for kind in [Kind::Account, Kind::Ip, Kind::Email, Kind::Phone] {
        policies.set(kind, policy(Privacy::Keyed, 128)).unwrap();
    }
    policies.set(Kind::Name, policy(Privacy::Open, 0)).unwrap();
    policies
}

/// The caller's part: spelling without spaces, a bank before an account that is no IBAN; card numbers by their length.
pub fn canonical(given: Given<'_>) -> Result<String> {
    let compact: String = given.text.split_whitespace().collect();
    match given.kind {
        Kind::Card if compact.len() != 16 => Err(Error::new(ErrorKind::Invalid, "value: no card number")),
        Kind::Account => Ok(given.bank.map_or(compact.clone(), |bank| format!("{bank}/{compact}"))),
        Kind::Name => Ok(given.text.to_owned()),
        _ => Ok(compact),
    }
}

fn import(
    read: fn(&[u8], &Defaults<'_>, interdict_consortium::signal::draft::Canonical<'_>) -> Result<Imported>,
    file: &[u8],
) -> Result<Imported> {
    let policies = policies();
    let defaults = Defaults { policies: &policies, reason: Reason::OTHER, now_ms: NOV_20_MS };
    read(file, &defaults, &mut canonical)
}

/// Kind and spelling of all that was taken.
fn taken(imported: &Imported) -> Vec<(&'static str, String)> {
    imported.drafts.iter().map(|draft| (draft.kind.name(), draft.canonical.to_string())).collect()
}

fn lines(imported: &Imported) -> Vec<(usize, &str)> {
    let line = |error: &Error| match error.place {
        Place::Line(line) => line,
        _ => 0,
    };
    imported.errors.iter().map(|error| (line(error), error.message.split(':').next().unwrap())).collect()
}

#[test]
fn a_csv_file_becomes_a_body() {
    let imported = import(csv::read, &corpus("consortium_csv/right.csv")).unwrap();
    assert_eq!((imported.errors.len(), imported.passed_over), (0, 0));
    let [card, account, name, dispute, confirmed] = &imported.drafts[..] else { panic!("{imported:?}") };
    assert_eq!(
        (card.canonical.as_str(), card.reason.unwrap().name(), card.severity),
        ("4111111111111111", "card_stolen", 85)
    );
    assert_eq!(
        (card.first_seen_ms, card.last_seen_ms),
        (NOV_20_MS - 19 * DAY_MS, NOV_20_MS - 18 * DAY_MS + 36_000_000)
    );
    assert_eq!(card.expires_ms, NOV_20_MS + 11 * DAY_MS);
    assert_eq!(
        (account.canonical.as_str(), account.severity, account.evidence),
        ("BARCGB22/12345678", 70, [0xaa; 32])
    );
    assert_eq!(
        (account.last_seen_ms, account.expires_ms),
        (1_700_000_000_000, 1_700_000_000_000 + world::LIFETIME_MS)
    );
    assert_eq!((name.canonical.as_str(), name.first_seen_ms), ("Noether, \"Emmy\"", NOV_20_MS));
    assert_eq!(
        (dispute.op, confirmed.op, confirmed.last_seen_ms),
        (Op::Dispute, Op::Confirmed, card.last_seen_ms)
    );
    assert!(!format!("{imported:?}").contains("4111"));

    let tagged = |kind: Kind, text: &str| {
        let exact = if kind == Kind::Card { [9; 16] } else { [0; 16] };
        let byte = u8::try_from(text.len()).unwrap();
        Ok(Tags { tag: [byte | 0x80; 16], exact })
    };
    let mut rows = rows(&imported.drafts, &policies(), 3, tagged).unwrap();
    assert_eq!(
        rows[0].key.tags.tag[3..],
        [0x90 & 0xfc, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        "cut to 30 bits"
    );
    assert_eq!((rows[2].text, rows[2].key.key_version, rows[1].text), ("Noether, \"Emmy\"", 0, ""));
    assert_eq!(Body::read(&Body::write(&mut rows).unwrap()).unwrap().len(), 5);
}

#[test]
fn wrong_lines_are_named_and_nothing_else_is_lost() {
    let imported = import(csv::read, &corpus("consortium_csv/wrong.csv")).unwrap();
    assert_eq!(taken(&imported), [("card", "4111111111111111".to_owned())]);
    assert_eq!(
        lines(&imported),
        [(2, "reason"), (4, "line 3"), (5, "expected 4 values, found 1"), (5, "expected a closing quote")]
    );
    let file = "kind,value,op,reason,severity,last_seen,expires,evidence\r\n\
        card,1,,,,,,\r\n\r\ncard,4111111111111111,,,,,,\r\nplanet,Mars,,,,,,\r\ndevice,d,,,,,,\r\nip,1.1.1.1,steal,,,,,\r\n\
        ip,1.1.1.2,,outdated,,,,\r\nip,1.1.1.3,dispute,,,,,\r\nip,1.1.1.4,,,101,,,\r\nip,1.1.1.5,,,,2027-01-01,,\r\n\
        ip,1.1.1.6,,,,,2020-01-01,\r\nip,1.1.1.7,withdraw,,,2020-01-01,,\r\nip,1.1.1.8,,,,,,abc\r\nip,,,,,,,\r\nip,1.1.1.9,,,,,,\r\n";
    let imported = import(csv::read, file.as_bytes()).unwrap();
    assert_eq!(taken(&imported), [("card", "4111111111111111".to_owned()), ("ip", "1.1.1.9".to_owned())]);
    let expected = [
        (2, "value"),
        (5, "kind"),
        (6, "signals of kind device are not shared here"),
        (7, "op"),
        (8, "reason"),
        (9, "reason"),
        (10, "severity"),
        (11, "last_seen"),
        (12, "expires"),
        (13, "last_seen"),
        (14, "evidence"),
        (15, "value"),
    ];
    assert_eq!(lines(&imported), expected);
    let all = imported.errors.iter().map(ToString::to_string).collect::<String>();
    for secret in ["4111", "5500", "1.1.1", "Mars", "steal"] {
        assert!(!all.contains(secret), "{all}");
    }
    for header in ["", "kind\n", "kind,value,colour\n", "kind,value,kind\n"] {
        let error = import(csv::read, header.as_bytes()).unwrap_err();
        assert_eq!((error.kind, error.place), (ErrorKind::Malformed, Place::Line(1)), "{header:?}");
    }
    let many = format!("kind,value\n{}", "card,1\n".repeat(250));
    let imported = import(csv::read, many.as_bytes()).unwrap();
    assert_eq!((imported.errors.len(), imported.errors_unnamed), (100, 150));
}

#[test]
fn what_pymisp_writes_becomes_signals() {
    let imported = import(misp::read, &corpus("consortium_misp/event.json")).unwrap();
    assert_eq!(imported.errors, []);
    let expected = [
        ("account", "GB82WEST12345698765432"),
        ("ip", "198.51.100.9"),
        ("ip", "192.0.2.7"),
        ("card", "4111111111111111"),
        // The account beside an IBAN is the same one; a card's verification value, a mail's recipient and a victim are none.
        ("account", "DE89370400440532013000"),
        ("account", "BARCGB22/12345678"),
        ("ip", "2001:db8::7"),
        ("email", "mule@evil.example"),
        ("phone", "+4915112345678"),
        ("name", "Maxi"),
        ("email", "max@evil.example"),
        ("name", "Max Mustermann"),
    ];
    assert_eq!(taken(&imported), expected.map(|(kind, text)| (kind, text.to_owned())));
    // A domain, a victim, a file.
    assert_eq!(imported.passed_over, 3);
    let card = &imported.drafts[3];
    assert_eq!(
        (card.first_seen_ms, card.last_seen_ms),
        (NOV_20_MS - 19 * DAY_MS + 36_000_000, NOV_20_MS - DAY_MS + 36_000_000)
    );
    // Seen alone on the event's day, and by an object of the template's own times: from the first to the last.
    let ip = &imported.drafts[2];
    assert_eq!((ip.first_seen_ms, ip.last_seen_ms), (NOV_20_MS - 18 * DAY_MS, NOV_20_MS));
    assert!(imported.drafts.iter().all(|draft| draft.op == Op::Add && draft.evidence == card.evidence));
}

#[test]
fn what_is_no_event_is_refused_and_odd_ones_are_passed_over() {
    let refused = |file: &str| import(misp::read, file.as_bytes()).unwrap_err();
    assert_eq!(refused("{\"Event\":\n4111111111111111x}").to_string(), "line 2: not JSON");
    for none in ["3", "{}", "[{\"Event\":{\"info\":\"\"}},3]", "{\"response\":7}"] {
        assert_eq!(refused(none).kind, ErrorKind::Malformed, "{none}");
    }
    let odd = r#"{"info":"","Object":[{"name":"credit-card","deleted":true,"Attribute":[{"object_relation":"cc-number",
        "value":"4111111111111111"}]},{"name":"credit-card","Attribute":[{"object_relation":"cc-number","value":"41"}]},
        {"name":"ip-port","Attribute":[{"object_relation":"ip","value":"192.0.2.1","to_ids":false}]},{}]}"#;
    let imported = import(misp::read, odd.as_bytes()).unwrap();
    assert_eq!((imported.drafts.len(), imported.passed_over), (0, 3));
    let errors: Vec<_> = imported.errors.iter().map(|error| (error.kind, error.place.clone())).collect();
    assert_eq!(errors, [(ErrorKind::Invalid, Place::Row(1))]);
}

#[test]
fn a_snapshot_is_exported_as_csv() {
    let said = [world::Said::new(
        1,
        0,
        1,
        (0..10)
            .filter(|signal| [0, 9].contains(signal))
            .map(|signal| world::row(signal, 2, Op::Add, 71, 900_000, 1_300_000))
            .collect(),
    )];
    let snapshot =
        world::snapshot(&world::state(None, &said, &[2], 2), &world::view(1, world::BUILT_MS, &[2]));
    let mut text = Vec::new();
    export::csv(&Snapshot::open(&snapshot).unwrap(), &mut text).unwrap();
    let key = world::key(9, 0).tags.tag;
    let hex = key.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let expected = format!(
        "kind,key_version,tag,exact,text,reason,severity,trusted,contributors,member,first_seen,last_seen,expires\r\n\
        card,2,7f7f7f7c000000000000000000000000,10101010101010101010101010101002,,card_stolen,71,1,1,,\
        1970-01-01T00:15:00.000Z,1970-01-01T00:15:00.005Z,1970-01-01T00:21:40.000Z\r\n\
        name,0,{hex},,\"Noether, \"\"Emmy\"\"\",card_stolen,71,1,1,0,\
        1970-01-01T00:15:00.000Z,1970-01-01T00:15:00.005Z,1970-01-01T00:21:40.000Z\r\n"
    );
    assert_eq!(String::from_utf8(text).unwrap(), expected);
}
