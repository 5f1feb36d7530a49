//! Who paid what to whom, how and when: the fields of the accepted record in the words of people. What the journal
//! keeps sealed is told where its key is there, and said to be destroyed where it is not.

use super::Fact;
use super::words::{money, quoted};
use crate::answer::time;
use interdict_engine::domain::{Field, Transaction, Value};

/// Said in place of a text whose key was destroyed.
const DESTROYED: &str = "no longer readable: its key was destroyed when retention ended";

/// The payment's facts, in the order people ask for them.
pub(super) fn facts(tx: &Transaction, arrival_ms: i64) -> Vec<Fact> {
    let mut facts = Facts { tx, out: Vec::with_capacity(16) };
    let say = &mut facts;
    say.add("amount", Some(money(tx.amount_minor(), tx.text(Field::AmountCurrency))));
    say.add(
        "settlement",
        tx.int(Field::SettlementMinor).map(|minor| money(minor, tx.text(Field::SettlementCurrency))),
    );
    say.add("kind", Some(tx.kind.name().into()));
    say.text("channel", Field::Channel);
    say.add("time", Some(time(tx.time_ms)));
    say.add("arrived", Some(time(arrival_ms)));
    say.add("card", card(tx));
    let payer = [
        sealed(tx, Field::PayerName, Field::PayerNameTag),
        tx.text(Field::PayerCountry).map(|country| format!("country {country}")),
        account(tx, Field::Account, Field::AccountCountry, Some(Field::AccountBank)),
    ];
    say.joined("payer", payer);
    let payee = [
        sealed(tx, Field::PayeeName, Field::PayeeNameTag),
        tx.text(Field::PayeeCountry).map(|country| format!("country {country}")),
        account(tx, Field::Payee, Field::PayeeAccountCountry, None),
    ];
    say.joined("payee", payee);
    let merchant = [
        sealed(tx, Field::MerchantId, Field::Merchant),
        tx.text(Field::MerchantName).map(quoted),
        tx.text(Field::MerchantMcc).map(|mcc| format!("category {mcc}")),
        tx.text(Field::MerchantCountry).map(|country| format!("country {country}")),
    ];
    say.joined("merchant", merchant);
    say.add("terminal", sealed(tx, Field::TerminalId, Field::Terminal));
    let ip = match tx.get(Field::DeviceIp) {
        Some(Value::Ip(ip)) => Some(format!("address {ip}")),
        _ => None,
    };
    let known = tx.get(Field::Device).map(|_| "known by its id (kept as a tag)".to_owned());
    say.joined("device", [known, ip, tx.text(Field::DeviceUserAgent).map(quoted)]);
    say.add(
        "e-mail",
        tx.text(Field::EmailDomain).map(|domain| format!("an address at {domain} (kept as a tag)")),
    );
    say.add("phone", tx.get(Field::Phone).map(|_| "given (kept as a tag)".into()));
    say.text("corridor", Field::Corridor);
    say.text("remittance text", Field::Text);
    say.text("QR payload", Field::Qr);
    say.text("acquirer", Field::Acquirer);
    say.text("issuer", Field::Issuer);
    for (name, field) in [
        ("trace number", Field::Stan),
        ("retrieval reference", Field::Rrn),
        ("UETR", Field::Uetr),
        ("follows", Field::Original),
    ] {
        say.text(name, field);
    }
    say.add(
        "settles",
        match tx.get(Field::SettlesAt) {
            Some(Value::Time(ms)) => Some(time(ms)),
            _ => None,
        },
    );
    facts.out
}

struct Facts<'a> {
    tx: &'a Transaction,
    out: Vec<Fact>,
}

impl Facts<'_> {
    fn add(&mut self, name: &'static str, value: Option<String>) {
        self.out.extend(value.map(|value| Fact { name, value }));
    }
    fn text(&mut self, name: &'static str, field: Field) {
        // What callers write is shown quoted where it may hold anything; codes are plain by the catalogue's checks.
        let is_free = field.def().sensitivity == interdict_engine::domain::catalogue::Sensitivity::Sealed;
        let told =
            |text: &str| if is_free { quoted(text) } else { quoted(text).trim_matches('"').to_owned() };
        let value = self.tx.text(field).map(told);
        self.add(name, value);
    }
    fn joined(&mut self, name: &'static str, parts: impl IntoIterator<Item = Option<String>>) {
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        self.add(name, (!parts.is_empty()).then(|| parts.join(", ")));
    }
}

/// A text that is kept sealed beside its tag: the tag without the text says that the key is gone.
fn sealed(tx: &Transaction, text: Field, tag: Field) -> Option<String> {
    match (tx.text(text), tx.get(tag)) {
        (Some(value), _) => Some(quoted(value)),
        (None, Some(_)) => Some(format!("{} {DESTROYED}", text.def().path)),
        (None, None) => None,
    }
}

fn card(tx: &Transaction) -> Option<String> {
    match (tx.text(Field::CardLast4), tx.text(Field::CardBin)) {
        (Some(last4), Some(bin)) => Some(format!("card ending {last4}, BIN {bin}")),
        (Some(last4), None) => Some(format!("card ending {last4}")),
        (None, Some(bin)) => Some(format!("card with BIN {bin}")),
        (None, None) => tx.get(Field::Card).map(|_| "a card given by its token (kept as a tag)".into()),
    }
}

fn account(tx: &Transaction, tag: Field, country: Field, bank: Option<Field>) -> Option<String> {
    tx.get(tag)?;
    let of = match (tx.text(country), bank.and_then(|bank| tx.text(bank))) {
        (Some(country), _) => format!(" with an IBAN of {country}"),
        (None, Some(bank)) => format!(" at bank {}", quoted(bank)),
        (None, None) => String::new(),
    };
    Some(format!("account{of} (kept as a tag)"))
}
