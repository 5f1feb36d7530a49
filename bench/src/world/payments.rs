//! What a payment looks like on the wire (`wire.md`), and the builders of each kind. Builders take who and where and
//! fill in the rest, so that attacks and daily life make the same kind of payment.

use super::dice::Dice;
use super::identifiers;
use super::people::{Customer, Device, Payee};
use super::places::{Money, country_of};
use super::shops::{Merchant, Terminal};
use serde::Serialize;

/// `amount` and `settlement_amount`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Amount {
    pub(crate) minor: i64,
    pub(crate) currency: &'static str,
}

/// `card`
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Card {
    pub(crate) pan: String,
}

/// `account`: an IBAN, or bank and number.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub(crate) struct Account {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) iban: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bank: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<String>,
}

impl Account {
    /// An account with an IBAN.
    pub(crate) fn iban(iban: String) -> Account {
        Account { iban: Some(iban), bank: None, number: None }
    }
    /// An account of a country without IBANs.
    pub(crate) fn number(bank: String, number: String) -> Account {
        Account { iban: None, bank: Some(bank), number: Some(number) }
    }
}

/// `payer` and `payee`
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Party {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<Account>,
    pub(crate) country: &'static str,
}

/// `merchant`
#[derive(Debug, Clone, Serialize)]
pub(crate) struct MerchantPart {
    pub(crate) id: String,
    name: String,
    mcc: &'static str,
    country: &'static str,
}

/// `terminal`
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TerminalPart {
    pub(crate) id: String,
}

/// `device`
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DevicePart {
    id: String,
    ip: String,
    user_agent: &'static str,
}

/// `refs`
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Refs {
    #[serde(skip_serializing_if = "Option::is_none")]
    stan: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rrn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uetr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) original: Option<String>,
}

/// The body of one decision request, but for its id and time, which are known when the whole feed is in order.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Payment {
    pub(crate) kind: &'static str,
    pub(crate) amount: Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) settlement_amount: Option<Amount>,
    pub(crate) channel: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) card: Option<Card>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<Account>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) payer: Option<Party>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) payee: Option<Party>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) merchant: Option<MerchantPart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) terminal: Option<TerminalPart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acquirer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<DevicePart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qr: Option<String>,
    pub(crate) refs: Refs,
    /// Days after the payment on which it settles; written as `settles_at`.
    #[serde(skip)]
    pub(crate) settles_after_days: i64,
}

/// Amount in the currency of the place and, where that differs, in the payer's own.
fn amounts(cents: i64, place: Money, own: Money) -> (Amount, Option<Amount>) {
    let amount = Amount { minor: place.of_cents(cents), currency: place.code };
    let settlement =
        (place.code != own.code).then(|| Amount { minor: own.of_cents(cents), currency: own.code });
    (amount, settlement)
}

fn refs(dice: &mut Dice) -> Refs {
    Refs { stan: Some(dice.digits(6)), rrn: Some(dice.digits(12)), uetr: None, original: None }
}

fn issuer_of(customer: &Customer) -> String {
    format!("{}02", 400 + customer.country)
}

/// A card payment at a merchant, without the parts that differ between a terminal and the internet.
fn at_merchant(
    dice: &mut Dice,
    customer: &Customer,
    merchant: &Merchant,
    channel: &'static str,
    cents: i64,
) -> Payment {
    let (home, place) = (country_of(customer.country), country_of(merchant.country));
    let (amount, settlement_amount) = amounts(cents, place.money, home.money);
    Payment {
        kind: "request",
        amount,
        settlement_amount,
        channel,
        card: Some(Card { pan: customer.pan.clone() }),
        account: None,
        payer: Some(Party { name: None, account: None, country: home.code }),
        payee: None,
        merchant: Some(MerchantPart {
            id: merchant.id.clone(),
            name: merchant.name.clone(),
            mcc: merchant.mcc,
            country: place.code,
        }),
        terminal: None,
        acquirer: Some(format!("{}01", 400 + merchant.country)),
        issuer: Some(issuer_of(customer)),
        device: None,
        email: None,
        phone: None,
        text: None,
        qr: None,
        refs: refs(dice),
        settles_after_days: 2,
    }
}

/// A payment by card at a terminal: chip, contactless, magstripe or atm.
pub(crate) fn card_present(
    dice: &mut Dice,
    customer: &Customer,
    merchant: &Merchant,
    terminal: &Terminal,
    channel: &'static str,
    cents: i64,
) -> Payment {
    let mut payment = at_merchant(dice, customer, merchant, channel, cents);
    payment.terminal = Some(TerminalPart { id: terminal.id.clone() });
    payment
}

/// A payment by card over the internet, from some device.
pub(crate) fn ecommerce(
    dice: &mut Dice,
    customer: &Customer,
    merchant: &Merchant,
    device: &Device,
    cents: i64,
) -> Payment {
    let mut payment = at_merchant(dice, customer, merchant, "ecommerce", cents);
    payment.device = Some(device_part(device));
    payment.email = Some(customer.email.clone());
    payment.phone = dice.chance(400).then(|| customer.phone.clone());
    if dice.chance(500) {
        payment.payer =
            Some(Party { name: Some(customer.name.clone()), ..payment.payer.expect("set above") });
    }
    payment
}

/// A merchant-presented QR payment out of the payer's account.
pub(crate) fn qr(dice: &mut Dice, customer: &Customer, merchant: &Merchant, cents: i64) -> Payment {
    let mut payment = at_merchant(dice, customer, merchant, "qr_merchant", cents);
    let place = country_of(merchant.country);
    payment.card = None;
    payment.account = Some(customer.account.clone());
    payment.device = Some(device_part(&customer.devices[0]));
    payment.payer = Some(Party {
        name: Some(customer.name.clone()),
        account: None,
        country: country_of(customer.country).code,
    });
    let number = super::shops::currency_number(place.money.code);
    payment.qr = Some(identifiers::qr(&merchant.id, &merchant.name, merchant.mcc, place, number));
    payment.settles_after_days = 1;
    payment
}

/// A credit transfer from the customer's account, from some device, to a payee.
pub(crate) fn transfer(
    dice: &mut Dice,
    customer: &Customer,
    device: &Device,
    payee: &Payee,
    cents: i64,
    text: &str,
) -> Payment {
    let (home, there) = (country_of(customer.country), country_of(payee.country));
    let amount = Amount { minor: home.money.of_cents(cents), currency: home.money.code };
    let settlement_amount = (home.money.code != there.money.code)
        .then(|| Amount { minor: there.money.of_cents(cents), currency: there.money.code });
    Payment {
        kind: "request",
        amount,
        settlement_amount,
        channel: "transfer",
        card: None,
        account: Some(customer.account.clone()),
        payer: Some(Party { name: Some(customer.name.clone()), account: None, country: home.code }),
        payee: Some(Party {
            name: Some(payee.name.clone()),
            account: Some(payee.account.clone()),
            country: there.code,
        }),
        merchant: None,
        terminal: None,
        acquirer: None,
        issuer: Some(issuer_of(customer)),
        device: Some(device_part(device)),
        email: None,
        phone: None,
        text: (!text.is_empty()).then(|| text.to_owned()),
        qr: None,
        refs: Refs { stan: None, rrn: None, uetr: Some(dice.uuid()), original: None },
        settles_after_days: 1,
    }
}

fn device_part(device: &Device) -> DevicePart {
    DevicePart { id: device.id.clone(), ip: device.ip.clone(), user_agent: device.user_agent }
}
