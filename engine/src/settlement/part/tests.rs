#![allow(clippy::unwrap_used)]

use super::super::calendar::{Cycle, Table};
use super::super::terms::{AtExpiry, HoldUntil};
use super::*;
use crate::domain::TransactionKind;
use crate::generation::Settings;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn payment(tenant: &str, texts: &[(Field, &str)]) -> Transaction {
    let mut tx = Transaction::new(tenant.into(), TransactionKind::Request, 0);
    texts.iter().for_each(|(field, text)| tx.set_text(*field, text));
    tx
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn scope(tenant: &str, network: &str, channel: &str) -> Scope {
    Scope { tenant: some(tenant), network: some(network), channel: some(channel) }
}

fn network(name: &str, channels: &[&str]) -> Network {
    let channels = channels.iter().map(ToString::to_string).collect();
    Network { name: name.into(), channels, ..Network::default() }
}

#[test]
fn the_first_network_whose_conditions_all_hold_carries_the_payment() {
    let list = |values: &[&str]| values.iter().map(ToString::to_string).collect::<Vec<_>>();
    let visa = Network { name: "visa".into(), bins: list(&["4"]), ..Network::default() };
    let t2 = Network {
        name: "t2".into(),
        currencies: list(&["EUR"]),
        payee_countries: list(&["DE", "FR"]),
        payer_countries: list(&["PT"]),
        ..network("t2", &["transfer"])
    };
    let own = Network {
        name: "own".into(),
        tenants: list(&["acme"]),
        acquirers: list(&["40001"]),
        issuers: list(&["40001"]),
        ..Network::default()
    };
    let settlement = Settlement { networks: vec![own, visa, t2], ..Settlement::default() };
    let carries = |tenant: &str, texts: &[(Field, &str)]| {
        settlement.network(&payment(tenant, texts)).map(ToOwned::to_owned)
    };
    use Field::{
        AccountCountry, Acquirer, AmountCurrency, CardBin, Channel, Issuer, PayeeAccountCountry,
        PayeeCountry, PayerCountry, SettlementCurrency,
    };
    assert_eq!(carries("acme", &[(CardBin, "411111")]), some("visa"));
    assert_eq!(carries("acme", &[(CardBin, "511111")]), None);
    let us = [(Acquirer, "40001"), (Issuer, "40001"), (CardBin, "411111")];
    assert_eq!(carries("acme", &us), some("own"));
    assert_eq!(carries("other", &us), some("visa"));
    let transfer = |payee: &str, account: &str, currency: &str, settles: &str| {
        let all = [
            (Channel, "transfer"),
            (AmountCurrency, currency),
            (SettlementCurrency, settles),
            (PayeeCountry, payee),
            (PayeeAccountCountry, account),
            (AccountCountry, "PT"),
            (PayerCountry, "BR"),
        ];
        let said: Vec<_> = all.into_iter().filter(|(_, text)| !text.is_empty()).collect();
        carries("acme", &said)
    };
    assert_eq!(transfer("DE", "", "EUR", ""), some("t2"));
    // The account's country and the settlement's currency go before the payee's and the amount's.
    assert_eq!(transfer("US", "FR", "USD", "EUR"), some("t2"));
    assert_eq!(transfer("DE", "US", "EUR", ""), None);
    assert_eq!(transfer("DE", "", "EUR", "USD"), None);
    assert_eq!(carries("acme", &[(Channel, "transfer"), (AmountCurrency, "EUR")]), None);
}

#[test]
fn a_tenants_lever_goes_before_a_networks_before_a_channels() {
    let row = |at: Scope, lever| LeverRow { scope: at, lever: Some(lever), recall: None };
    let levers = |pairs: &[(&str, Lever)]| {
        pairs.iter().map(|(channel, lever)| ((*channel).to_owned(), *lever as u8)).collect()
    };
    let mut settings = Settings {
        levers: BTreeMap::from([
            (String::new(), levers(&[("transfer", Lever::StopBeforeCutoff), ("chip", Lever::CancelCapture)])),
            ("acme".to_owned(), levers(&[("transfer", Lever::AcceptWithoutPosting)])),
        ]),
        ..Settings::default()
    };
    let transfer = |tenant: &str| payment(tenant, &[(Field::Channel, "transfer")]);
    let wallet = payment("other", &[(Field::Channel, "wallet")]);
    assert_eq!(settings.lever(&transfer("other")), Lever::StopBeforeCutoff);
    assert_eq!(settings.lever(&transfer("acme")), Lever::AcceptWithoutPosting);
    assert_eq!(settings.lever(&payment("acme", &[(Field::Channel, "chip")])), Lever::CancelCapture);
    assert_eq!(settings.lever(&wallet), Lever::None);
    assert_eq!(settings.lever(&payment("acme", &[])), Lever::None);

    settings.settlement.networks = vec![network("sct", &["transfer"])];
    settings.settlement.levers.push(row(scope("", "", ""), Lever::DetainGoods));
    assert_eq!(settings.lever(&wallet), Lever::DetainGoods, "a word for all, where nothing else is said");
    assert_eq!(settings.lever(&transfer("other")), Lever::StopBeforeCutoff, "a channel before all");
    settings.settlement.levers.push(row(scope("", "sct", ""), Lever::WithholdPayout));
    assert_eq!(settings.lever(&transfer("other")), Lever::WithholdPayout, "a network before a channel");
    assert_eq!(settings.lever(&transfer("acme")), Lever::AcceptWithoutPosting, "a tenant before a network");
    settings.settlement.levers.push(row(scope("", "sct", "transfer"), Lever::None));
    assert_eq!(settings.lever(&transfer("other")), Lever::None, "a network's channel before the network");
    settings.settlement.levers.push(row(scope("acme", "sct", ""), Lever::CancelCapture));
    assert_eq!(
        settings.lever(&transfer("acme")),
        Lever::CancelCapture,
        "of one tenant, network before channel"
    );
    settings.settlement.levers.push(row(scope("acme", "sct", "transfer"), Lever::StopBeforeCutoff));
    assert_eq!(settings.lever(&transfer("acme")), Lever::StopBeforeCutoff);
}

#[test]
fn a_recall_is_said_apart_from_the_lever() {
    let row = |at: Scope, lever, recall| LeverRow { scope: at, lever, recall };
    let mut settings = Settings::default();
    let tx = payment("acme", &[(Field::Channel, "transfer")]);
    assert!(!settings.recall(&tx));
    settings.settlement.levers.push(row(scope("", "", "transfer"), Some(Lever::Recall), None));
    assert_eq!((settings.lever(&tx), settings.recall(&tx)), (Lever::Recall, true));
    settings.settlement.levers.push(row(scope("acme", "", "transfer"), Some(Lever::StopBeforeCutoff), None));
    assert_eq!((settings.lever(&tx), settings.recall(&tx)), (Lever::StopBeforeCutoff, false));
    settings.settlement.levers.push(row(scope("", "", ""), None, Some(true)));
    assert_eq!((settings.lever(&tx), settings.recall(&tx)), (Lever::StopBeforeCutoff, true));
    settings.settlement.levers.push(row(scope("acme", "", ""), None, Some(false)));
    assert!(!settings.recall(&tx));
}

fn calendar(name: &str, settles_ms: i64) -> Calendar {
    let table = Table::Cycles(vec![Cycle { before_ms: 100, settles_ms }]);
    Calendar { name: name.into(), version: "1".into(), from_ms: 0, until_ms: 1000, table }
}

#[test]
fn a_cut_off_is_said_or_a_calendars_or_the_default() {
    let cut_off = |at: Scope, calendar| CutOffRow { scope: at, calendar };
    let settlement = Settlement {
        networks: vec![network("sct", &["transfer"])],
        calendars: vec![calendar("all", 200), calendar("sct", 300), calendar("acme", 400)],
        cut_offs: vec![
            cut_off(scope("", "", "chip"), 0),
            cut_off(scope("", "sct", ""), 1),
            cut_off(scope("acme", "", "transfer"), 2),
        ],
        cut_off_default_ms: 5000,
        ..Settlement::default()
    };
    settlement.check().unwrap();
    let at = |tenant: &str, channel: &str, arrival_ms: i64| {
        let CutOff { at_ms, from } =
            settlement.cut_off(&payment(tenant, &[(Field::Channel, channel)]), arrival_ms);
        (at_ms, from)
    };
    assert_eq!(at("other", "chip", 99), (200, CutOffFrom::Calendar));
    assert_eq!(at("other", "transfer", 99), (300, CutOffFrom::Calendar));
    assert_eq!(at("acme", "transfer", 99), (400, CutOffFrom::Calendar));
    assert_eq!(at("acme", "wallet", 99), (5099, CutOffFrom::Default));
    assert_eq!(at("acme", "transfer", 100), (5100, CutOffFrom::OutOfCalendar));
    assert_eq!(at("acme", "transfer", -1), (4999, CutOffFrom::OutOfCalendar));
    let mut said = payment("acme", &[(Field::Channel, "transfer")]);
    said.set_time(Field::SettlesAt, 7);
    assert_eq!(settlement.cut_off(&said, 99), CutOff { at_ms: 7, from: CutOffFrom::Said });
    let plain = Settlement::default().cut_off(&payment("acme", &[]), 5);
    assert_eq!(plain, CutOff { at_ms: 5 + CUT_OFF_DEFAULT_MS, from: CutOffFrom::Default });
}

#[test]
fn a_tenants_terms_of_holds_go_before_everybodys() {
    let terms = |ms| HoldTerms { until: HoldUntil::For(ms), at_expiry: AtExpiry::Release };
    let hold = |lever, tenant: &str, ms| HoldRow { lever, tenant: some(tenant), terms: terms(ms) };
    let holds = vec![
        hold(Lever::CancelCapture, "", 1),
        hold(Lever::CancelCapture, "acme", 2),
        hold(Lever::DetainGoods, "acme", 3),
    ];
    let settlement = Settlement { holds, ..Settlement::default() };
    assert_eq!(settlement.hold_terms(Lever::CancelCapture, "acme"), terms(2));
    assert_eq!(settlement.hold_terms(Lever::CancelCapture, "other"), terms(1));
    assert_eq!(settlement.hold_terms(Lever::DetainGoods, "other"), HoldTerms::default());
}

#[test]
fn bounds_and_missing_calendars_are_refused() {
    let too_many =
        Settlement { networks: vec![network("n", &[]); NETWORKS_MAX + 1], ..Settlement::default() };
    let error = too_many.check().unwrap_err();
    assert!(error.kind == ErrorKind::TooLarge && error.message.contains("limit 256"), "{error}");
    let row = CutOffRow { scope: Scope::default(), calendar: 1 };
    let dangling =
        Settlement { calendars: vec![calendar("a", 200)], cut_offs: vec![row], ..Settlement::default() };
    let error = Settlement::decode(&dangling.extend(Vec::new())).unwrap_err();
    assert!(error.message.contains("calendar number 1"), "{error}");
    let negative = Settlement { cut_off_default_ms: -1, ..Settlement::default() };
    assert!(negative.check().is_err());
}

fn scopes() -> impl Strategy<Value = Scope> {
    let word = |words: &'static [&'static str]| proptest::sample::select(words);
    (word(&["", "a", "b"]), word(&["", "n", "m"]), word(&["", "chip", "atm"]))
        .prop_map(|(tenant, network, channel)| scope(tenant, network, channel))
}

proptest! {
    /// The row that counts is the first in the order tenant, network, channel: asked one by one, from all three said
    /// down to none.
    #[test]
    fn the_most_specific_row_counts(
        rows in proptest::collection::vec(scopes(), 0..12),
        (tenant, carrier, channel) in ("[ab]", proptest::option::of("[nm]"), proptest::option::of("chip|atm")),
    ) {
        let of = Of { tenant: &tenant, network: carrier.as_deref(), channel: channel.as_deref() };
        let numbered = rows.iter().enumerate().map(|(at, row)| (row, at));
        let found = most_specific(numbered, &of).map(|(_, at)| at);
        let mut expected = None;
        'asked: for said in (0..8).rev() {
            for (at, row) in rows.iter().enumerate() {
                let same = [
                    (said & 4 != 0, &row.tenant, Some(&tenant)),
                    (said & 2 != 0, &row.network, carrier.as_ref()),
                    (said & 1 != 0, &row.channel, channel.as_ref()),
                ];
                if same.iter().all(|(said, row, is)| if *said { row.is_some() && row.as_ref() == *is } else { row.is_none() }) {
                    expected = Some(at);
                    break 'asked;
                }
            }
        }
        prop_assert_eq!(found, expected);
    }
}
