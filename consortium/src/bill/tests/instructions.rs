//! pain.001.001.09 against a strict list of elements, order, counts and forms, and the order of pain.013 samples, whose
//! payment information has the same parts.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::bill::netting::{Transfer, settle};
use crate::bill::pain001::{Account, AccountNumber, Initiation, NAMESPACE};
use crate::error::ErrorKind;
use quick_xml::Reader;
use quick_xml::events::Event;
use std::path::{Path, PathBuf};

/// What may be in an element: a child's name, least and most of it (0: any number).
type Content = &'static [(&'static str, usize, usize)];

/// The elements that we may write, in the order of the schema of EPC132-08, SEPA Credit Transfer Customer-to-PSP
/// implementation guidelines, 2023 version 1.0 (a restriction of pain.001.001.09), by path from CstmrCdtTrfInitn. The list
/// was made by hand from that schema, which also accepted the message of the first test (libxml2). SEPA has neither `Othr`
/// accounts nor `SHAR`: they are ISO 20022's own.
const ELEMENTS: &[(&str, Content)] = &[
    ("", &[("GrpHdr", 1, 1), ("PmtInf", 1, 0)]),
    (
        "GrpHdr",
        &[("MsgId", 1, 1), ("CreDtTm", 1, 1), ("NbOfTxs", 1, 1), ("CtrlSum", 1, 1), ("InitgPty", 1, 1)],
    ),
    ("GrpHdr/InitgPty", &[("Nm", 0, 1)]),
    (
        "PmtInf",
        &[
            ("PmtInfId", 1, 1),
            ("PmtMtd", 1, 1),
            ("NbOfTxs", 1, 1),
            ("CtrlSum", 1, 1),
            ("PmtTpInf", 0, 1),
            ("ReqdExctnDt", 1, 1),
            ("Dbtr", 1, 1),
            ("DbtrAcct", 1, 1),
            ("DbtrAgt", 1, 1),
            ("ChrgBr", 0, 1),
            ("CdtTrfTxInf", 1, 0),
        ],
    ),
    ("PmtInf/PmtTpInf", &[("SvcLvl", 0, 1)]),
    ("PmtInf/PmtTpInf/SvcLvl", &[("Cd", 1, 1)]),
    ("PmtInf/ReqdExctnDt", &[("Dt", 1, 1)]),
    ("PmtInf/Dbtr", &[("Nm", 1, 1)]),
    ("PmtInf/DbtrAcct", &[("Id", 1, 1)]),
    ("PmtInf/DbtrAcct/Id", &[("IBAN", 0, 1), ("Othr", 0, 1)]),
    ("PmtInf/DbtrAcct/Id/Othr", &[("Id", 1, 1)]),
    ("PmtInf/DbtrAgt", &[("FinInstnId", 1, 1)]),
    ("PmtInf/DbtrAgt/FinInstnId", &[("BICFI", 0, 1), ("Othr", 0, 1)]),
    ("PmtInf/DbtrAgt/FinInstnId/Othr", &[("Id", 1, 1)]),
    (
        "PmtInf/CdtTrfTxInf",
        &[
            ("PmtId", 1, 1),
            ("Amt", 1, 1),
            ("CdtrAgt", 0, 1),
            ("Cdtr", 1, 1),
            ("CdtrAcct", 1, 1),
            ("RmtInf", 0, 1),
        ],
    ),
    ("PmtInf/CdtTrfTxInf/PmtId", &[("EndToEndId", 1, 1)]),
    ("PmtInf/CdtTrfTxInf/Amt", &[("InstdAmt", 1, 1)]),
    ("PmtInf/CdtTrfTxInf/CdtrAgt", &[("FinInstnId", 1, 1)]),
    ("PmtInf/CdtTrfTxInf/CdtrAgt/FinInstnId", &[("BICFI", 1, 1)]),
    ("PmtInf/CdtTrfTxInf/Cdtr", &[("Nm", 1, 1)]),
    ("PmtInf/CdtTrfTxInf/CdtrAcct", &[("Id", 1, 1)]),
    ("PmtInf/CdtTrfTxInf/CdtrAcct/Id", &[("IBAN", 0, 1), ("Othr", 0, 1)]),
    ("PmtInf/CdtTrfTxInf/CdtrAcct/Id/Othr", &[("Id", 1, 1)]),
    ("PmtInf/CdtTrfTxInf/RmtInf", &[("Ustrd", 0, 1)]),
];

/// The form of a text, by the end of its path.
fn has_form(path: &str, text: &str) -> bool {
    let max = |chars: usize| (1..=chars).contains(&text.chars().count());
    let form = |form: &str| {
        text.len() == form.len()
            && text
                .bytes()
                .zip(form.bytes())
                .all(|(b, f)| if f == b'0' { b.is_ascii_digit() } else { b == f })
    };
    let decimal = || {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        digits(whole) && digits(part) && part.len() <= 5 && whole.len() + part.len() <= 18
    };
    let sepa = text.chars().all(|c| c.is_ascii_alphanumeric() || "/-?:().,'+ ".contains(c));
    sepa && match path.rsplit('/').next().unwrap() {
        "MsgId" | "PmtInfId" | "EndToEndId" => max(35) && !text.starts_with('/') && !text.contains("//"),
        "CreDtTm" => form("0000-00-00T00:00:00+00:00"),
        "Dt" => form("0000-00-00"),
        "NbOfTxs" => max(15) && text.bytes().all(|b| b.is_ascii_digit()),
        "CtrlSum" | "InstdAmt" => decimal(),
        "Nm" => max(70),
        "PmtMtd" => text == "TRF",
        "Cd" => text == "SEPA",
        "ChrgBr" => matches!(text, "SLEV" | "SHAR"),
        "Ustrd" => max(140),
        "IBAN" => (15..=34).contains(&text.len()),
        "BICFI" => matches!(text.len(), 8 | 11),
        "Id" => max(34),
        other => panic!("{other} has a text and no form here"),
    }
}

#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    fn at(&self, path: &str) -> &str {
        &path.split('/').fold(self, |at, name| at.children.iter().find(|c| c.name == name).unwrap()).text
    }
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> + 'a {
        self.children.iter().filter(move |child| child.name == name)
    }
}

fn parse(xml: &str) -> Element {
    let mut reader = Reader::from_str(xml);
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => open.push(Element {
                name: start.name().as_ref().to_owned(),
                attributes: start
                    .attributes()
                    .map(|a| a.map(|a| (a.key.as_ref().to_owned(), a.value.to_string())).unwrap())
                    .collect(),
                ..Element::default()
            }),
            Event::End(_) => {
                let done = open.pop().unwrap();
                open.last_mut().unwrap().children.push(done);
            }
            Event::Text(text) => open.last_mut().unwrap().text.push_str(text.trim()),
            Event::GeneralRef(entity) => {
                let resolved = quick_xml::escape::resolve_predefined_entity(&entity).unwrap();
                open.last_mut().unwrap().text.push_str(resolved);
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!((open.len(), open[0].children.len()), (1, 1), "one root, closed");
    open.pop().unwrap().children.pop().unwrap()
}

/// Holds a message against the list.
fn hold(xml: &str) -> Element {
    let root = parse(xml);
    assert_eq!(root.attributes, [("xmlns".to_owned(), NAMESPACE.to_owned())]);
    assert_eq!((root.name.as_str(), root.children.len()), ("Document", 1));
    assert_eq!(root.children[0].name, "CstmrCdtTrfInitn");
    hold_at("", &root.children[0]);
    root
}

fn hold_at(path: &str, element: &Element) {
    let Some((_, content)) = ELEMENTS.iter().find(|(at, _)| *at == path) else {
        assert!(element.children.is_empty(), "{path} is not in the list");
        assert!(has_form(path, &element.text), "{path}: {:?}", element.text);
        let currency = path.ends_with("InstdAmt");
        assert_eq!(element.attributes.len(), usize::from(currency), "{path}");
        return;
    };
    assert!(element.text.is_empty() && element.attributes.is_empty(), "{path}");
    let mut last = 0;
    for child in &element.children {
        let place = content.iter().position(|(name, ..)| *name == child.name);
        let place = place.unwrap_or_else(|| panic!("{path}/{} is not in the list", child.name));
        assert!(place >= last, "{path}/{}: out of order", child.name);
        last = place;
        hold_at(format!("{path}/{}", child.name).trim_start_matches('/'), child);
    }
    for (name, least, most) in *content {
        let count = element.all(name).count();
        assert!(count >= *least && (*most == 0 || count <= *most), "{path}/{name}: {count} times");
    }
    if path.ends_with("Acct/Id") || path.ends_with("DbtrAgt/FinInstnId") {
        assert_eq!(element.children.len(), 1, "{path} is a choice");
    }
}

fn accounts() -> BTreeMap<MemberId, Account> {
    let account = |name: &str, iban: &str, bic: Option<&str>| Account {
        name: name.into(),
        number: AccountNumber::Iban(iban.into()),
        bic: bic.map(str::to_owned),
    };
    // Examples of the IBAN registry (SWIFT), which are nobody's accounts.
    BTreeMap::from([
        (OPERATOR, account("Alliance Operations S.A.", "BE68539007547034", Some("GEBABEBB"))),
        (MemberId(1), account("Bank A (Retail) plc", "DE89370400440532013000", Some("COBADEFFXXX"))),
        (MemberId(2), account("Banque d'Or", "FR1420041010050500013M02606", None)),
        (MemberId(3), account("Bank C", "NL91ABNA0417164300", None)),
        (MemberId(4), account("Bank D", "ES9121000418450200051332", None)),
        (MemberId(5), account("Bank E", "AT611904300234573201", None)),
    ])
}

fn message(bill: &Bill, transfers: &[Transfer]) -> Result<String, crate::error::Error> {
    let accounts = accounts();
    let initiation = Initiation {
        settlement: &bill.settlement,
        transfers,
        initiator: "Alliance Operations S.A.",
        created_ms: UNTIL_MS + 3_600_000,
        execution: jiff::civil::date(2026, 12, 3),
    };
    initiation.to_xml(|member| accounts.get(&member))
}

#[test]
fn instructions_are_in_the_standards_order_and_sum_to_what_is_owed() {
    let bill = world().bill();
    let transfers = settle(&bill.nets()).unwrap();
    let xml = message(&bill, &transfers).unwrap();
    assert_eq!(xml, message(&bill, &transfers).unwrap());
    let root = hold(&xml);
    let message = &root.children[0];
    assert_eq!(message.at("GrpHdr/CreDtTm"), "2026-12-01T01:00:00+00:00");
    assert_eq!(message.at("GrpHdr/NbOfTxs"), transfers.len().to_string());
    let owed: i64 = bill.nets().iter().map(|(_, net)| net.min(&0).abs()).sum();
    assert_eq!(message.at("GrpHdr/CtrlSum"), Currency::parse("EUR").unwrap().amount(owed));
    let mut ids = std::collections::BTreeSet::new();
    let mut sums = 0;
    for payer in message.all("PmtInf") {
        assert_eq!(payer.at("PmtTpInf/SvcLvl/Cd"), "SEPA");
        assert_eq!(payer.at("NbOfTxs"), payer.all("CdtTrfTxInf").count().to_string());
        sums += payer.at("CtrlSum").replace('.', "").parse::<i64>().unwrap();
        for payment in payer.all("CdtTrfTxInf") {
            assert!(ids.insert(payment.at("PmtId/EndToEndId").to_owned()), "an id twice");
            assert_eq!(payment.at("RmtInf/Ustrd"), "alliance.example statement 3 period 2026-11");
        }
    }
    assert_eq!((sums, ids.len()), (owed, transfers.len()));
    // Another choice of payments is another message, so that no bank takes it for the same one again.
    let part = hold(&self::message(&bill, &transfers[..1]).unwrap());
    assert_ne!(part.children[0].at("GrpHdr/MsgId"), message.at("GrpHdr/MsgId"));
    // The name with an apostrophe is escaped, and comes back as it was.
    assert!(message.all("PmtInf").any(|payer| payer.at("Dbtr/Nm") == "Banque d'Or"));
}

#[test]
fn other_currencies_have_their_decimals_and_no_sepa() {
    let mut world = world();
    world.tariff.currency = Currency::parse("JPY").unwrap();
    world.tariff.prices.values_mut().for_each(|price| price.micro *= 100);
    world.retariff();
    let bill = world.bill();
    let xml = message(&bill, &settle(&bill.nets()).unwrap()).unwrap();
    let root = hold(&xml);
    let payer = root.children[0].all("PmtInf").next().unwrap();
    assert_eq!((payer.at("ChrgBr"), payer.all("PmtTpInf").count()), ("SHAR", 0));
    let amount = &payer.all("CdtTrfTxInf").next().unwrap().all("Amt").next().unwrap().children[0];
    assert_eq!(amount.attributes, [("Ccy".to_owned(), "JPY".to_owned())]);
    assert!(!amount.text.contains('.'), "{}", amount.text);
}

#[test]
fn what_a_bank_would_refuse_is_not_written_and_no_account_is_quoted() {
    let bill = world().bill();
    let transfers = settle(&bill.nets()).unwrap();
    type Alter = fn(&mut Account);
    let cases: [(Alter, ErrorKind, &str); 8] = [
        (
            |a| a.number = AccountNumber::Iban("DE89370400440532013001".into()),
            ErrorKind::Invalid,
            "expected an IBAN",
        ),
        (
            |a| a.number = AccountNumber::Iban("DE89 3704 0044 0532 0130 00".into()),
            ErrorKind::Invalid,
            "an IBAN",
        ),
        (|a| a.number = AccountNumber::Other("0123456789".into()), ErrorKind::Invalid, "needs an IBAN"),
        (|a| a.bic = Some("COBADEFFX".into()), ErrorKind::Invalid, "a BIC"),
        (|a| a.name = "Bank <A>".into(), ErrorKind::Invalid, "SEPA's characters"),
        (|a| a.name = "Bank & Söhne".into(), ErrorKind::Invalid, "SEPA's characters"),
        (|a| a.name = "B".repeat(71), ErrorKind::TooLarge, "71 characters, limit 70"),
        (|a| a.name = " Bank".into(), ErrorKind::Invalid, "SEPA's characters"),
    ];
    for (alter, kind, what) in cases {
        let mut accounts = accounts();
        alter(accounts.get_mut(&MemberId(1)).unwrap());
        let initiation = Initiation {
            settlement: &bill.settlement,
            transfers: &transfers,
            initiator: "Alliance Operations S.A.",
            created_ms: UNTIL_MS,
            execution: jiff::civil::date(2026, 12, 3),
        };
        let error = initiation.to_xml(|member| accounts.get(&member)).unwrap_err();
        assert!(error.kind == kind && error.message.contains(what), "{error}");
        assert!(!error.message.contains("DE89") && !error.message.contains("0123"), "{error}");
        let error = initiation.to_xml(|_| None).unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
    }
    let transfer = |amount_minor| Transfer { from: MemberId(1), to: MemberId(2), amount_minor };
    assert_eq!(message(&bill, &[]).unwrap_err().kind, ErrorKind::Invalid);
    assert_eq!(message(&bill, &[transfer(0)]).unwrap_err().kind, ErrorKind::Invalid);
    assert_eq!(message(&bill, &[transfer(100_000_000_000)]).unwrap_err().kind, ErrorKind::TooLarge);
    hold(&message(&bill, &[transfer(99_999_999_999)]).unwrap());
    assert!(!format!("{:?}", accounts()[&MemberId(1)]).contains("DE89"));
}

#[test]
fn ids_fit_whatever_the_numbers() {
    let mut bill = world().bill();
    bill.settlement.basis.number = u32::MAX;
    let (from, to) = (MemberId(u16::MAX), MemberId(u16::MAX - 1));
    let accounts = accounts();
    let initiation = Initiation {
        settlement: &bill.settlement,
        transfers: &[Transfer { from, to, amount_minor: 1 }],
        initiator: "Alliance Operations S.A.",
        created_ms: UNTIL_MS,
        execution: jiff::civil::date(2026, 12, 3),
    };
    let root = hold(&initiation.to_xml(|_| accounts.get(&OPERATOR)).unwrap());
    let payment = root.children[0].all("PmtInf").next().unwrap().all("CdtTrfTxInf").next().unwrap();
    assert_eq!(payment.at("PmtId/EndToEndId").len(), 35);
}

/// The samples of pain.013, or none where the data is not there (a failure under CI).
fn samples() -> Vec<String> {
    let named = std::env::var_os("INTERDICT_DATA").map(PathBuf::from);
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/data"));
    let folder = named.into_iter().chain(above).map(|root| root.join("iso20022")).find(|dir| dir.is_dir());
    assert!(folder.is_some() || std::env::var_os("CI").is_none(), "no iso20022: set INTERDICT_DATA");
    let Some(folder) = folder else {
        eprintln!("skipped: no iso20022; set INTERDICT_DATA");
        return Vec::new();
    };
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.file_name().unwrap().to_str().unwrap().contains("pain.013"));
    let texts: Vec<String> = files.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(!texts.is_empty(), "no sample of pain.013");
    texts
}

#[test]
fn parts_that_pain_013_has_too_are_in_the_order_of_its_samples() {
    let bill = world().bill();
    let ours = parse(&message(&bill, &settle(&bill.nets()).unwrap()).unwrap());
    for sample in samples() {
        let sample = parse(&sample);
        let compared = same_order(&ours.children[0], &sample.children[0]);
        assert!(compared > 10, "only {compared} pairs were compared");
    }
}

/// Of children that both have: that they come in one order. How many pairs were compared, all the way down.
fn same_order(ours: &Element, theirs: &Element) -> usize {
    let called = |element: &Element| {
        if element.name == "CdtTrfTx" { "CdtTrfTxInf".into() } else { element.name.clone() }
    };
    let names = |element: &Element| {
        let mut names: Vec<String> = element.children.iter().map(called).collect();
        names.dedup();
        names
    };
    let (own, other) = (names(ours), names(theirs));
    let shared: Vec<&String> = own.iter().filter(|name| other.contains(name)).collect();
    let there: Vec<&String> = other.iter().filter(|name| own.contains(name)).collect();
    assert_eq!(shared, there, "in {}", ours.name);
    let pairs = shared.len().saturating_sub(1);
    let below = shared.iter().map(|name| {
        let find =
            |element: &Element| element.children.iter().position(|child| called(child) == **name).unwrap();
        same_order(&ours.children[find(ours)], &theirs.children[find(theirs)])
    });
    pairs + below.sum::<usize>()
}
