//! Messages against the shape of the samples in `shared/data/iso20022`, read back, at their limits, and as files.
#![allow(clippy::unwrap_used)]

use super::original::{NOT_PROVIDED, Payment};
use super::shape::{Schema, Shape, parse};
use super::*;
use interdict_engine::domain::money::Currency;
use proptest::prelude::*;
use std::path::{Path, PathBuf};

/// FinancialInstitutionIdentification18: one of its ways of naming a bank.
const INSTITUTION: Schema = Schema {
    parent: "FinInstnId",
    sequence: &["BICFI", "ClrSysMmbId", "Othr"],
    choice: &["BICFI", "ClrSysMmbId", "Othr"],
    section: "FinancialInstitutionIdentification18",
};
/// GenericFinancialIdentification1.
const OTHER: Schema =
    Schema { parent: "Othr", sequence: &["Id"], choice: &[], section: "GenericFinancialIdentification1" };
/// Elements of pacs.002.001.10 that no sample shows.
const STATUS_REPORT: &[Schema] = &[
    INSTITUTION,
    OTHER,
    Schema {
        parent: "TxInfAndSts",
        sequence: &[
            "OrgnlGrpInf",
            "OrgnlInstrId",
            "OrgnlEndToEndId",
            "OrgnlTxId",
            "OrgnlUETR",
            "TxSts",
            "StsRsnInf",
            "AccptncDtTm",
            "FctvIntrBkSttlmDt",
            "InstgAgt",
            "InstdAgt",
        ],
        choice: &[],
        section: "PaymentTransaction110",
    },
    Schema {
        parent: "StsRsnInf",
        sequence: &["Rsn", "AddtlInf"],
        choice: &[],
        section: "StatusReasonInformation12",
    },
];
/// Elements of camt.056.001.08 that the sample does not show.
const CANCELLATION: &[Schema] = &[
    INSTITUTION,
    OTHER,
    Schema { parent: "Cretr", sequence: &["Pty", "Agt"], choice: &["Pty", "Agt"], section: "Party40Choice" },
    Schema {
        parent: "TxInf",
        sequence: &[
            "OrgnlGrpInf",
            "OrgnlInstrId",
            "OrgnlEndToEndId",
            "OrgnlTxId",
            "OrgnlUETR",
            "OrgnlIntrBkSttlmAmt",
            "OrgnlIntrBkSttlmDt",
            "CxlRsnInf",
        ],
        choice: &["OrgnlTxId", "OrgnlUETR"],
        section: "PaymentTransaction106",
    },
    Schema {
        parent: "CxlRsnInf",
        sequence: &["Rsn", "AddtlInf"],
        choice: &[],
        section: "PaymentCancellationReason5",
    },
    Schema {
        parent: "Rsn",
        sequence: &["Cd", "Prtry"],
        choice: &["Cd", "Prtry"],
        section: "CancellationReason33Choice",
    },
];

/// The samples of a message. Without them (and outside CI) the test says so and ends.
fn samples(message: &str) -> Option<Vec<String>> {
    let named = std::env::var_os("INTERDICT_DATA").map(PathBuf::from);
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/data"));
    let folder = named.into_iter().chain(above).map(|root| root.join("iso20022")).find(|dir| dir.is_dir());
    assert!(folder.is_some() || std::env::var_os("CI").is_none(), "no iso20022: set INTERDICT_DATA");
    let Some(folder) = folder else {
        eprintln!("skipped: no iso20022; set INTERDICT_DATA");
        return None;
    };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let of_message = |path: &&PathBuf| path.file_name().unwrap().to_str().unwrap().contains(message);
    let texts: Vec<String> =
        files.iter().filter(of_message).map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(!texts.is_empty(), "no sample of {message}");
    Some(texts)
}

const UETR: &str = "8a562c67-ca16-48ba-b074-65581be6f011";
/// 2023-06-04T14:55:32Z.
const TIME_MS: i64 = 1_685_890_532_250;

fn original() -> Original {
    let payment = Payment { id: Some("p-1"), uetr: Some(UETR), rrn: Some("315514123456"), time_ms: TIME_MS };
    Original::of(payment, "pacs.008.001.08").unwrap()
}
fn bank(id: &str) -> Agent {
    Agent::of(id, Some("USABA"))
}
fn report(status: Status) -> StatusReport {
    StatusReport {
        message_id: message_id("", "h-123", status.code()).unwrap(),
        created_ms: TIME_MS,
        original: original(),
        status,
        reason: status.needs_reason().then(|| Reason::code("RR04")),
        accepted_ms: None,
        settlement_date: None,
        instructing: bank("021040078"),
        instructed: bank("011104238"),
    }
}
fn recall() -> Cancellation {
    Cancellation {
        message_id: message_id("N1", "h-123-2", "C056").unwrap(),
        created_ms: TIME_MS,
        assigner: bank("011104238"),
        assignee: bank("021040078"),
        case_id: "h-123-2".into(),
        original: original(),
        amount: Amount { minor: 4_502_175, currency: Currency::parse("USD").unwrap() },
        settlement_date: jiff::civil::date(2023, 6, 20),
        reason: Reason::code("FRAD"),
    }
}

#[test]
fn the_samples_have_the_shape_that_they_give() {
    for (message, schema) in [("pacs.002", STATUS_REPORT), ("camt.056", CANCELLATION)] {
        let Some(samples) = samples(message) else { return };
        let shape = Shape::of(&samples, schema);
        for sample in &samples {
            assert_eq!(shape.faults(sample), Vec::<String>::new());
        }
    }
}

/// A checker that lets everything pass would prove nothing.
#[test]
fn what_is_not_of_the_shape_is_found() {
    let (Some(reports), Some(recalls)) = (samples("pacs.002"), samples("camt.056")) else { return };
    let of_report = Shape::of(&reports, STATUS_REPORT);
    let good = report(Status::Rjct).to_xml().unwrap();
    let wrong = [
        good.replace("<TxSts>RJCT</TxSts>", ""),
        good.replace("<TxSts>RJCT</TxSts>", "<TxSts>RJCT</TxSts><TxSts>RJCT</TxSts>"),
        good.replace("TxSts>", "TxStatus>"),
        good.replace("<Cd>RR04</Cd>", "<Cd>RR04</Cd><AddtlInf>in the wrong place</AddtlInf>"),
        good.replace("+00:00", "Z"),
        good.replace(UETR, "8a562c67-ca16-18ba-b074-65581be6f011"),
        good.replace("pacs.002.001.10", "pacs.002.001.12"),
        good.replace("<MsgId>h-123-RJCT", &format!("<MsgId>{}", "x".repeat(36))),
        good.replace("<StsRsnInf>", "<StsRsnInf lang=\"en\">"),
        good.replace("pacs.008.001.08", "pacs8"),
    ];
    for wrong in &wrong {
        assert_ne!(*wrong, good, "the change did not change anything");
        assert_ne!(of_report.faults(wrong), Vec::<String>::new(), "{wrong}");
    }
    let of_recall = Shape::of(&recalls, CANCELLATION);
    let good = recall().to_xml().unwrap();
    for wrong in [
        good.replace(" Ccy=\"USD\"", " Currency=\"USD\""),
        good.replace("45021.75", "45,021.75"),
        good.replace("<OrgnlIntrBkSttlmDt>2023-06-20</OrgnlIntrBkSttlmDt>", ""),
        good.replace("2023-06-20", "20.06.2023"),
    ] {
        assert_ne!(wrong, good);
        assert_ne!(of_recall.faults(&wrong), Vec::<String>::new(), "{wrong}");
    }
}

#[test]
fn our_messages_have_the_shape_of_the_samples() {
    let (Some(reports), Some(recalls)) = (samples("pacs.002"), samples("camt.056")) else { return };
    let of_report = Shape::of(&reports, STATUS_REPORT);
    for status in Status::ALL {
        let plain = report(status);
        let full = StatusReport {
            reason: Some(Reason::narrative("R&D <check> of the payee's name, \"as listed\"")),
            accepted_ms: Some(TIME_MS),
            settlement_date: Some(jiff::civil::date(2023, 6, 4)),
            instructing: Agent::of("DEUTDEFF", None),
            instructed: Agent::of("4711", None),
            ..plain.clone()
        };
        let sparse = StatusReport {
            original: Original { uetr: None, instruction_id: None, ..original() },
            ..plain.clone()
        };
        for report in [&plain, &full, &sparse] {
            let xml = report.to_xml().unwrap();
            assert_eq!(of_report.faults(&xml), Vec::<String>::new(), "{xml}");
            well_formed(&xml);
        }
        let read = parse(&full.to_xml().unwrap());
        let payment = "FIToFIPmtStsRpt/TxInfAndSts";
        let at = |path: &str| read.at(&format!("{payment}/{path}")).map(str::to_owned);
        assert_eq!(at("TxSts").as_deref(), Some(status.code()));
        let text = "R&D <check> of the payee's name, \"as listed\"";
        assert_eq!(at("StsRsnInf/AddtlInf").as_deref(), Some(text));
        assert_eq!(at("InstgAgt/FinInstnId/BICFI").as_deref(), Some("DEUTDEFF"));
        assert_eq!(at("OrgnlGrpInf/OrgnlMsgId").as_deref(), Some(NOT_PROVIDED));
        assert_eq!(at("OrgnlGrpInf/OrgnlCreDtTm").as_deref(), Some("2023-06-04T14:55:32+00:00"));
    }
    let of_recall = Shape::of(&recalls, CANCELLATION);
    let narrated = Cancellation { reason: Reason::narrative("held too late"), ..recall() };
    let own = ReasonCode::Proprietary("HELD".into());
    let own = Cancellation { reason: Reason { code: own, text: None }, ..recall() };
    for recall in [recall(), narrated, own] {
        let xml = recall.to_xml().unwrap();
        assert_eq!(of_recall.faults(&xml), Vec::<String>::new(), "{xml}");
        well_formed(&xml);
    }
}

/// By `xmllint` where it is installed; `parse` has read each anyway.
fn well_formed(xml: &str) {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let tool = Command::new("xmllint").args(["--noout", "-"]).stdin(Stdio::piped()).spawn();
    let Ok(mut tool) = tool else { return };
    tool.stdin.take().unwrap().write_all(xml.as_bytes()).unwrap();
    assert!(tool.wait().unwrap().success(), "{xml}");
}

#[test]
fn a_message_is_these_bytes() {
    let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.002.001.10">
  <FIToFIPmtStsRpt>
    <GrpHdr>
      <MsgId>h-123-BLCK</MsgId>
      <CreDtTm>2023-06-04T14:55:32+00:00</CreDtTm>
    </GrpHdr>
    <TxInfAndSts>
      <OrgnlGrpInf>
        <OrgnlMsgId>NOTPROVIDED</OrgnlMsgId>
        <OrgnlMsgNmId>pacs.008.001.08</OrgnlMsgNmId>
        <OrgnlCreDtTm>2023-06-04T14:55:32+00:00</OrgnlCreDtTm>
      </OrgnlGrpInf>
      <OrgnlInstrId>315514123456</OrgnlInstrId>
      <OrgnlEndToEndId>NOTPROVIDED</OrgnlEndToEndId>
      <OrgnlTxId>p-1</OrgnlTxId>
      <OrgnlUETR>8a562c67-ca16-48ba-b074-65581be6f011</OrgnlUETR>
      <TxSts>BLCK</TxSts>
      <StsRsnInf>
        <Rsn>
          <Cd>RR04</Cd>
        </Rsn>
      </StsRsnInf>
      <InstgAgt>
        <FinInstnId>
          <ClrSysMmbId>
            <ClrSysId>
              <Cd>USABA</Cd>
            </ClrSysId>
            <MmbId>021040078</MmbId>
          </ClrSysMmbId>
        </FinInstnId>
      </InstgAgt>
      <InstdAgt>
        <FinInstnId>
          <ClrSysMmbId>
            <ClrSysId>
              <Cd>USABA</Cd>
            </ClrSysId>
            <MmbId>011104238</MmbId>
          </ClrSysMmbId>
        </FinInstnId>
      </InstdAgt>
    </TxInfAndSts>
  </FIToFIPmtStsRpt>
</Document>
"#;
    assert_eq!(report(Status::Blck).to_xml().unwrap(), expected);
}

#[test]
fn identifiers_are_never_cut() {
    let long = "x".repeat(36);
    let base = report(Status::Acwp);
    let wrong = [
        StatusReport { message_id: long.clone(), ..base.clone() },
        StatusReport {
            original: Original { transaction_id: Some(long.clone()), ..original() },
            ..base.clone()
        },
        StatusReport {
            original: Original { end_to_end_id: Some(long.clone()), ..original() },
            ..base.clone()
        },
        StatusReport { instructed: Agent::Other(long.clone()), ..base.clone() },
        StatusReport {
            reason: Some(Reason { code: ReasonCode::Proprietary(long.clone()), text: None }),
            ..base.clone()
        },
    ];
    for report in wrong {
        let error = report.to_xml().unwrap_err();
        assert!(matches!(error, Wrong::TooLong { chars: 36, chars_max: 35, .. }), "{error}");
        assert!(!error.to_string().contains(&long), "the value is not told");
    }
    let exact = "é".repeat(35);
    let report = StatusReport { message_id: exact.clone(), ..base };
    assert_eq!(parse(&report.to_xml().unwrap()).at("FIToFIPmtStsRpt/GrpHdr/MsgId"), Some(exact.as_str()));
    // An id of ours that is too long is left out where the UETR says which payment it is, else it is an error.
    let payment = Payment { id: Some(&long), uetr: Some(UETR), rrn: None, time_ms: 0 };
    assert_eq!(Original::of(payment, "pacs.008.001.08").unwrap().transaction_id, None);
    let without = Payment { uetr: None, ..payment };
    assert!(matches!(Original::of(without, "pacs.008.001.08"), Err(Wrong::TooLong { chars: 36, .. })));
}

#[test]
fn the_longest_hold_has_a_message_id() {
    let id = message_id("NODE01", "h-999999999999999-65535", "PDNG2").unwrap();
    assert_eq!(id, "NODE01h-999999999999999-65535-PDNG2");
    assert!(message_id("NODE012", "h-999999999999999-65535", "PDNG2").is_err());
}

#[test]
fn what_says_nothing_is_refused() {
    let base = report(Status::Rjct);
    let mut wrong = vec![
        StatusReport { reason: None, ..base.clone() },
        StatusReport { reason: Some(Reason::code("NARR")), ..base.clone() },
        StatusReport { reason: Some(Reason::narrative("  ")), ..base.clone() },
        StatusReport { reason: Some(Reason::code("frad")), ..base.clone() },
        StatusReport { message_id: " ".into(), ..base.clone() },
        StatusReport { message_id: "a\u{1}".into(), ..base.clone() },
        StatusReport { created_ms: -1, ..base.clone() },
        StatusReport { created_ms: i64::MAX, ..base.clone() },
        StatusReport { instructing: Agent::Bic("deutdeff".into()), ..base.clone() },
        StatusReport { original: Original { uetr: Some("1".into()), ..original() }, ..base.clone() },
    ];
    let nothing = Original { uetr: None, transaction_id: None, instruction_id: None, ..original() };
    wrong.push(StatusReport { original: nothing, ..base });
    for report in wrong {
        assert!(report.to_xml().is_err(), "{report:?}");
    }
    let negative = Amount { minor: -1, ..recall().amount };
    assert!(Cancellation { amount: negative, ..recall() }.to_xml().is_err());
    let digits = Amount { minor: i64::MAX, ..recall().amount };
    assert!(Cancellation { amount: digits, ..recall() }.to_xml().is_err());
}

#[test]
fn amounts_have_the_decimals_of_their_currency() {
    for (currency, minor, decimal) in [
        ("USD", 4_502_175, "45021.75"),
        ("JPY", 800, "800"),
        ("KWD", 1, "0.001"),
        ("CLF", 12_345, "1.2345"),
        ("EUR", 0, "0.00"),
    ] {
        let amount = Amount { minor, currency: Currency::parse(currency).unwrap() };
        let xml = Cancellation { amount, ..recall() }.to_xml().unwrap();
        let element = format!("<OrgnlIntrBkSttlmAmt Ccy=\"{currency}\">{decimal}</OrgnlIntrBkSttlmAmt>");
        assert!(xml.contains(&element), "{xml}");
    }
}

#[test]
fn a_hold_begins_once_and_ends_once() {
    use Status::*;
    let may = |status: Status, earlier| status.may_follow(earlier);
    assert!(may(Acwp, None) && may(Pdng, Some(Acwp)) && may(Pdng, Some(Pdng)));
    for end in [Accc, Blck, Rjct] {
        assert!(may(end, Some(Acwp)) && may(end, Some(Pdng)) && !may(end, None));
        assert!(Status::ALL.iter().all(|after| !may(*after, Some(end))));
    }
    assert!(!may(Acwp, Some(Acwp)) && !may(Acwp, Some(Pdng)));
    assert!(Status::ALL.iter().all(|status| Status::by_code(status.code()) == Some(*status)));
}

/// Each way a hold goes is a sequence of statuses that a rail takes.
#[test]
fn whatever_becomes_of_a_hold_may_be_told() {
    use interdict_engine::domain::HoldState;
    let begun = Status::of_hold(HoldState::Held, false);
    assert_eq!((begun, Status::of_hold(HoldState::Held, true)), (Some(Status::Acwp), Some(Status::Pdng)));
    for state in HoldState::ALL.into_iter().filter(|state| *state != HoldState::Held) {
        match Status::of_hold(state, true) {
            Some(status) => {
                assert!(status.is_final() && status.may_follow(begun), "{state:?}");
                assert_eq!(status == Status::Accc, !state.stops(), "{state:?}: what may settle is credited");
            }
            None => assert!(matches!(state, HoldState::Reversed | HoldState::TooLate)),
        }
    }
}

#[test]
fn a_narrative_is_broken_between_words_and_ends_said() {
    let words = "word ".repeat(200);
    let xml =
        StatusReport { reason: Some(Reason::narrative(&words)), ..report(Status::Rjct) }.to_xml().unwrap();
    let lines: Vec<&str> = xml
        .lines()
        .filter_map(|line| line.trim().strip_prefix("<AddtlInf>")?.strip_suffix("</AddtlInf>"))
        .collect();
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().all(|line| line.chars().count() <= 105));
    assert!(lines[0].ends_with("word") && lines[3].ends_with("..."), "{lines:?}");
}

#[test]
fn the_banks_are_those_of_the_configuration_and_the_payment() {
    let section: crate::config::outward::RailSection = toml::from_str(
        "clearing_system = \"USABA\"\nagent = \"021040078\"\nhub = \"021150706\"\nagents.b = \"DEUTDEFF\"",
    )
    .unwrap();
    let parties = Parties::new(&section);
    assert_eq!(parties.own("a").unwrap(), bank("021040078"));
    assert_eq!(parties.own("b").unwrap(), Agent::Bic("DEUTDEFF".into()));
    let institutions = [Some("021040078"), None, Some("011104238")];
    assert_eq!(parties.other("a", &institutions).unwrap(), bank("011104238"));
    assert_eq!(parties.other("a", &[None]).unwrap(), bank("021150706"));
    let nobody = Parties::new(&crate::config::outward::RailSection::default());
    assert!(nobody.own("a").is_err());
}

#[test]
fn a_message_is_one_file_and_the_bound_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let outgoing = Outgoing::open(dir.path(), 2).unwrap();
    let xml = report(Status::Acwp).to_xml().unwrap();
    assert_eq!(outgoing.write("h-1-ACWP", &xml).unwrap(), Written::Now);
    assert_eq!(outgoing.write("h-1-ACWP", &xml).unwrap(), Written::Before);
    let error = outgoing.write("h-1-ACWP", "<other/>").unwrap_err().to_string();
    assert!(error.contains("another message has this id"), "{error}");
    assert_eq!(outgoing.write("../h/2", &xml).unwrap(), Written::Now);
    assert!(outgoing.dir().join("%2E.%2Fh%2F2.xml").exists());
    assert_eq!(outgoing.write("h-3", &xml).unwrap(), Written::Full);
    assert_eq!(outgoing.write("h-1-ACWP", &xml).unwrap(), Written::Before, "what is there is there");
    // Somebody takes one; a process that was killed while it wrote left a part.
    std::fs::remove_file(outgoing.dir().join("h-1-ACWP.xml")).unwrap();
    std::fs::write(outgoing.dir().join("h-9.tmp77"), "<Docu").unwrap();
    assert_eq!(outgoing.write("h-3", &xml).unwrap(), Written::Now);
    let again = Outgoing::open(dir.path(), 2).unwrap();
    assert_eq!(again.write("h-4", &xml).unwrap(), Written::Full);
    let mut names: Vec<_> = std::fs::read_dir(again.dir())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["%2E.%2Fh%2F2.xml", "h-3.xml"]);
    assert_eq!(std::fs::read_to_string(again.dir().join("h-3.xml")).unwrap(), xml);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Whatever text comes: refused, or read back as it was, in a message of the shape, with the same bytes each time.
    #[test]
    fn any_text_is_refused_or_comes_back(id in ".{0,40}", text in ".{0,300}", minor in 0i64..1_000_000_000_000_000) {
        let reason = Reason { text: Some(text.clone()), ..Reason::code("FRAD") };
        let amount = Amount { minor, ..recall().amount };
        let recall = Cancellation { case_id: id.clone(), reason, amount, ..recall() };
        let fits = (1..=35).contains(&id.chars().count()) && !id.trim().is_empty();
        let is_unwritable = id.chars().chain(text.chars()).any(|c| c.is_control() || c >= '\u{fffe}');
        match recall.to_xml() {
            Err(_) => prop_assert!(!fits || is_unwritable),
            Ok(xml) => {
                prop_assert!(fits);
                let read = parse(&xml);
                prop_assert_eq!(read.at("FIToFIPmtCxlReq/Case/Id"), Some(id.as_str()));
                prop_assert_eq!(&recall.to_xml().unwrap(), &xml);
                if let Some(samples) = samples("camt.056") {
                    prop_assert_eq!(Shape::of(&samples, CANCELLATION).faults(&xml), Vec::<String>::new());
                }
                let amount = read.at("FIToFIPmtCxlReq/Undrlyg/TxInf/OrgnlIntrBkSttlmAmt").unwrap();
                prop_assert_eq!(amount.replace('.', "").parse::<i64>().unwrap(), minor);
            }
        }
    }
}
