//! The tariff, `interdict/tariff/v1`: a note in the governance log. What an item costs by service and class, what a period
//! costs at least, what contributors are credited, and what happens to an account that runs low.

use super::basis::{TariffRef, put_currency, take_currency};
use super::fields::{self, check_rising, check_word};
use super::hash_of;
use super::money::{Currency, MICRO, ROUNDING};
use super::service::Service;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{AMOUNT_MINOR_MAX, BILL_WORD_BYTES_MAX, PRICE_MICRO_MAX, TARIFF_CLASSES_MAX};
use crate::record::{Reader, Writer};
use std::collections::BTreeMap;

/// The record's type.
pub const TYPE: &str = "tariff";
const VERSION: u32 = 1;

/// What an item costs. No price is a price of 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Price {
    /// In micro-units of a major unit.
    pub micro: u64,
    /// Items of a period that cost nothing.
    pub free: u64,
}

/// What happens when a balance is below its floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtFloor {
    /// The member is told, and served.
    Warn,
    /// The member's queries are refused.
    Refuse,
}

impl AtFloor {
    /// Its name in records.
    pub const fn name(self) -> &'static str {
        match self {
            AtFloor::Warn => "warn",
            AtFloor::Refuse => "refuse",
        }
    }
}

/// What holds for a class of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// What a period costs at least, in minor units.
    pub minimum_minor: i64,
    /// The floor of a balance, in minor units; below zero it is a credit line.
    pub floor_minor: i64,
    /// What happens below it.
    pub at_floor: AtFloor,
}

/// How contributors of confirmed signals are credited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreditRule {
    /// Not at all.
    None,
    /// So many micro-units a confirmed signal.
    Signal(u64),
    /// So many millionths of what the period's bills come to, by each one's part of all confirmed signals. Where none
    /// was confirmed, nobody is credited.
    SharePpm(u32),
}

/// A tariff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tariff {
    /// The alliance's name.
    pub alliance: String,
    /// Its version, each one more than the last.
    pub version: u32,
    /// In which currency.
    pub currency: Currency,
    /// It holds for periods that begin at this time or later, in milliseconds since the Unix epoch.
    pub valid_from_ms: u64,
    /// The classes.
    pub classes: BTreeMap<String, Terms>,
    /// Prices by service and class.
    pub prices: BTreeMap<(Service, String), Price>,
    /// Credits.
    pub credit: CreditRule,
}

impl Tariff {
    /// Its version and hash.
    ///
    /// # Errors
    /// As [`Tariff::encode`].
    pub fn reference(&self) -> Result<TariffRef> {
        Ok(TariffRef { version: self.version, hash: hash_of(&self.encode()?) })
    }
    /// The price of an item.
    pub fn price(&self, service: Service, class: &str) -> Price {
        self.prices.get(&(service, class.to_owned())).copied().unwrap_or_default()
    }
    /// What holds for a class.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn terms(&self, class: &str) -> Result<Terms> {
        self.classes.get(class).copied().ok_or_else(|| {
            let message = format!("tariff {} has no class {class:?}", self.version);
            Error::new(ErrorKind::NotFound, message)
        })
    }

    /// The record.
    ///
    /// # Errors
    /// `Malformed`, `Invalid`, `TooLarge` for what may not stand in a tariff.
    pub fn encode(&self) -> Result<String> {
        self.check()?;
        let mut w = Writer::new(TYPE, VERSION);
        w.put("alliance", &self.alliance)?.put("version", self.version)?;
        put_currency(&mut w, self.currency)?;
        w.put("rounding", ROUNDING)?.put("valid_from_ms", self.valid_from_ms)?;
        for (class, terms) in &self.classes {
            let Terms { minimum_minor, floor_minor, at_floor } = terms;
            w.put("class", format_args!("{class} {minimum_minor} {floor_minor} {}", at_floor.name()))?;
        }
        for ((service, class), price) in &self.prices {
            w.put("price", format_args!("{service} {class} {} {}", price.micro, price.free))?;
        }
        match self.credit {
            CreditRule::None => w.put("credit", "none")?,
            CreditRule::Signal(micro) => w.put("credit", format_args!("signal {micro}"))?,
            CreditRule::SharePpm(ppm) => w.put("credit", format_args!("share {ppm}"))?,
        };
        Ok(w.finish())
    }
    /// Reads a record.
    ///
    /// # Errors
    /// `Malformed` with the line, `Version`, `TooLarge`.
    pub fn decode(text: &str) -> Result<Tariff> {
        let mut r = Reader::open(text, TYPE, VERSION)?;
        let (alliance, version) = (r.take("alliance")?.to_owned(), r.number("version")?);
        let currency = take_currency(&mut r)?;
        if r.take("rounding")? != ROUNDING {
            return Err(r.refuse(format!("expected {ROUNDING:?}, the one rule that this version knows")));
        }
        let valid_from_ms = r.number("valid_from_ms")?;
        let mut classes = BTreeMap::new();
        while let Some(value) = r.take_some("class")? {
            let [class, minimum, floor, at_floor] = fields::split(&r, value)?;
            let at_floor = [AtFloor::Warn, AtFloor::Refuse].into_iter().find(|at| at.name() == at_floor);
            let terms = Terms {
                minimum_minor: fields::number(&r, minimum)?,
                floor_minor: fields::number(&r, floor)?,
                at_floor: at_floor.ok_or_else(|| r.refuse("expected \"warn\" or \"refuse\""))?,
            };
            check_rising(&r, classes.last_key_value().map(|(last, _)| last), &class.to_owned())?;
            classes.insert(class.to_owned(), terms);
        }
        let mut prices = BTreeMap::new();
        while let Some(value) = r.take_some("price")? {
            let [service, class, micro, free] = fields::split(&r, value)?;
            let service = Service::by_name(service).map_err(|e| r.refuse(e.message))?;
            let price = Price { micro: fields::number(&r, micro)?, free: fields::number(&r, free)? };
            let key = (service, class.to_owned());
            check_rising(&r, prices.last_key_value().map(|(last, _)| last), &key)?;
            prices.insert(key, price);
        }
        let credit = match r.take("credit")?.split_once(' ') {
            None => CreditRule::None,
            Some(("signal", micro)) => CreditRule::Signal(fields::number(&r, micro)?),
            Some(("share", ppm)) => CreditRule::SharePpm(fields::number(&r, ppm)?),
            Some(_) => return Err(r.refuse("expected \"none\", \"signal N\" or \"share N\"")),
        };
        let tariff = Tariff { alliance, version, currency, valid_from_ms, classes, prices, credit };
        // The one spelling: also of "credit something", which read as none above.
        match tariff.encode() {
            Ok(again) if again == text => {}
            Ok(_) => return Err(r.refuse("expected \"none\", \"signal N\" or \"share N\"")),
            Err(error) => return Err(r.refuse(error.message)),
        }
        r.end()?;
        Ok(tariff)
    }

    fn check(&self) -> Result<()> {
        check_word("an alliance's name", &self.alliance, 63)?;
        let refuse = |kind, message: String| Err(Error::new(kind, message));
        if self.classes.is_empty() || self.classes.len() > TARIFF_CLASSES_MAX {
            let message = format!("{} classes: expected 1 to {TARIFF_CLASSES_MAX}", self.classes.len());
            return refuse(ErrorKind::TooLarge, message);
        }
        for (class, terms) in &self.classes {
            check_word("a class", class, BILL_WORD_BYTES_MAX)?;
            let floor_fits = terms.floor_minor.unsigned_abs() <= AMOUNT_MINOR_MAX.unsigned_abs();
            if !(0..=AMOUNT_MINOR_MAX).contains(&terms.minimum_minor) || !floor_fits {
                return refuse(
                    ErrorKind::Invalid,
                    format!("class {class:?}: a minimum or floor out of range"),
                );
            }
        }
        for ((service, class), price) in &self.prices {
            if !self.classes.contains_key(class) {
                return refuse(
                    ErrorKind::Invalid,
                    format!("a price of {service} for {class:?}, which is no class"),
                );
            }
            if price.micro > PRICE_MICRO_MAX {
                let message = format!("{service} at {} micro-units, limit {PRICE_MICRO_MAX}", price.micro);
                return refuse(ErrorKind::TooLarge, message);
            }
        }
        match self.credit {
            CreditRule::Signal(micro) if micro > PRICE_MICRO_MAX => refuse(
                ErrorKind::TooLarge,
                format!("a credit of {micro} micro-units, limit {PRICE_MICRO_MAX}"),
            ),
            CreditRule::SharePpm(ppm) if u64::from(ppm) > MICRO => {
                refuse(ErrorKind::Invalid, format!("a share of {ppm} millionths: more than all"))
            }
            _ => Ok(()),
        }
    }
}

/// The tariff in force at the begin of a period: the highest version that is valid from then or earlier.
///
/// # Errors
/// `NotFound`.
pub fn in_force(tariffs: &[Tariff], period_from_ms: u64) -> Result<&Tariff> {
    let valid = tariffs.iter().filter(|tariff| tariff.valid_from_ms <= period_from_ms);
    valid
        .max_by_key(|tariff| tariff.version)
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "no tariff is in force at the begin of the period"))
}
