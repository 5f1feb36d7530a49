//! Which network carries a payment, from the fields it has, and what is said of a tenant, a network and a channel: the
//! most specific row counts.

use crate::domain::{Field, Transaction};
use serde::{Deserialize, Serialize};

/// A network and what its payments look like. Every condition that names anything must hold; one that names nothing
/// always does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its name, as levers, calendars and code maps call it.
    pub name: String,
    /// Tenants.
    pub tenants: Vec<String>,
    /// Channels.
    pub channels: Vec<String>,
    /// Currencies (ISO 4217): of the settlement amount where the payment has one, else of the amount.
    pub currencies: Vec<String>,
    /// Acquiring institutions.
    pub acquirers: Vec<String>,
    /// Issuing institutions.
    pub issuers: Vec<String>,
    /// First digits of the card's issuer identification number.
    pub bins: Vec<String>,
    /// Countries (ISO 3166-1) of the payee: of the account where it tells its own (an IBAN), else of the payee.
    pub payee_countries: Vec<String>,
    /// As there, of the payer.
    pub payer_countries: Vec<String>,
}

impl Network {
    /// Whether it carries a payment.
    pub fn fits(&self, tx: &Transaction) -> bool {
        let first = |one: Field, other: Field| tx.text(one).or_else(|| tx.text(other));
        let any = |values: &[String], of: Option<&str>| {
            values.is_empty() || of.is_some_and(|of| values.iter().any(|value| value == of))
        };
        let bin = || {
            tx.text(Field::CardBin).is_some_and(|bin| self.bins.iter().any(|b| bin.starts_with(b.as_str())))
        };
        any(&self.tenants, Some(&tx.tenant))
            && any(&self.channels, tx.text(Field::Channel))
            && any(&self.currencies, first(Field::SettlementCurrency, Field::AmountCurrency))
            && any(&self.acquirers, tx.text(Field::Acquirer))
            && any(&self.issuers, tx.text(Field::Issuer))
            && (self.bins.is_empty() || bin())
            && any(&self.payee_countries, first(Field::PayeeAccountCountry, Field::PayeeCountry))
            && any(&self.payer_countries, first(Field::AccountCountry, Field::PayerCountry))
    }
    /// Its conditions.
    pub fn conditions(&self) -> [&[String]; 8] {
        [
            &self.tenants,
            &self.channels,
            &self.currencies,
            &self.acquirers,
            &self.issuers,
            &self.bins,
            &self.payee_countries,
            &self.payer_countries,
        ]
    }
}

/// What rows are looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Of<'a> {
    /// The payment's tenant.
    pub tenant: &'a str,
    /// Its network, where one fits.
    pub network: Option<&'a str>,
    /// Its channel, where it says one.
    pub channel: Option<&'a str>,
}

/// What a row is for; what is `None` is for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// A tenant.
    pub tenant: Option<String>,
    /// A network.
    pub network: Option<String>,
    /// A channel.
    pub channel: Option<String>,
}

impl Scope {
    /// What a tenant's word counts for, then a network's, then a channel's: a row that names the tenant goes before all
    /// that do not, among those one that names the network, and so on.
    pub(crate) const TENANT: u8 = 4;
    const NETWORK: u8 = 2;
    pub(crate) const CHANNEL: u8 = 1;

    /// How specific it is for a payment; `None`: it is for others.
    pub fn rank(&self, of: &Of<'_>) -> Option<u8> {
        let one = |said: &Option<String>, is: Option<&str>, weight: u8| match said {
            None => Some(0),
            Some(said) => (is == Some(said)).then_some(weight),
        };
        Some(
            one(&self.tenant, Some(of.tenant), Scope::TENANT)?
                + one(&self.network, of.network, Scope::NETWORK)?
                + one(&self.channel, of.channel, Scope::CHANNEL)?,
        )
    }
}

/// The most specific of some rows, and how specific it is; of equals the first.
pub(super) fn most_specific<'a, T>(
    rows: impl IntoIterator<Item = (&'a Scope, T)>,
    of: &Of<'_>,
) -> Option<(u8, T)> {
    let mut best: Option<(u8, T)> = None;
    for (scope, row) in rows {
        if let Some(rank) = scope.rank(of)
            && best.as_ref().is_none_or(|(known, _)| rank > *known)
        {
            best = Some((rank, row));
        }
    }
    best
}
