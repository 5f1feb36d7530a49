//! Money: integers of minor units in a currency of ISO 4217, prices in micro-units (10^-6 of a major unit), and the one
//! place where the one becomes the other: rounded half to even, once a line.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::AMOUNT_MINOR_MAX;
use std::fmt;

/// Micro-units of a major unit.
pub const MICRO: u64 = 1_000_000;
/// How amounts are rounded; stands in every tariff, so that nobody need guess.
pub const ROUNDING: &str = "half-even";

/// Active codes of ISO 4217 list one by decimals of their minor unit; XXX, XTS and metals are not money here.
const DIGITS: [(u8, &str); 4] = [
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
    (
        2,
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE \
         CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL \
         HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR \
         MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK \
         SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD \
         XCG YER ZAR ZMW ZWG",
    ),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF UYW"),
];

/// A currency with the decimals of its minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: [u8; 3],
    digits: u8,
}

impl Currency {
    /// The currency of a code.
    ///
    /// # Errors
    /// `Invalid` for what is no active code of ISO 4217.
    pub fn parse(code: &str) -> Result<Currency> {
        let row = DIGITS.iter().find(|(_, codes)| codes.split(' ').any(|known| known == code));
        let found = row.and_then(|(digits, _)| {
            Some(Currency { code: code.as_bytes().try_into().ok()?, digits: *digits })
        });
        found.ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "expected an active currency code of ISO 4217 (\"EUR\")")
        })
    }
    /// Its code.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code).expect("parse admits ASCII only")
    }
    /// Decimals of its minor unit.
    pub const fn digits(self) -> u8 {
        self.digits
    }
    /// Micro-units of a minor unit.
    pub const fn micro_of_minor(self) -> u64 {
        10u64.pow(6 - self.digits as u32)
    }
    /// An amount in major units, without the code: `-57.60`.
    pub fn amount(self, minor: i64) -> String {
        decimal(i128::from(minor), usize::from(self.digits))
    }
    /// An amount with the code, as people read it: `-57.60 EUR`.
    pub fn format(self, minor: i64) -> String {
        format!("{} {}", self.amount(minor), self.code())
    }
    /// A price in major units: all decimals that the currency has, and more where the price has them: `0.0025`.
    pub fn price(self, micro: u64) -> String {
        let text = decimal(i128::from(micro), 6);
        let (whole, part) = text.split_once('.').expect("six decimals");
        let kept = part.trim_end_matches('0').len().max(usize::from(self.digits));
        if kept == 0 { whole.to_owned() } else { format!("{whole}.{}", &part[..kept]) }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

fn decimal(value: i128, digits: usize) -> String {
    let (sign, value) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
    if digits == 0 {
        return format!("{sign}{value}");
    }
    let unit = 10u128.pow(digits as u32);
    format!("{sign}{}.{:0digits$}", value / unit, value % unit)
}

/// The quotient as an integer, halves to the even one.
///
/// # Panics
/// For a denominator that is not positive.
pub fn round_half_even(numerator: i128, denominator: i128) -> i128 {
    assert!(denominator > 0, "a denominator is positive");
    let (floor, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
    // rest and denominator - rest, rather than twice the rest, which could pass i128.
    match rest.cmp(&(denominator - rest)) {
        std::cmp::Ordering::Less => floor,
        std::cmp::Ordering::Equal => floor + (floor & 1),
        std::cmp::Ordering::Greater => floor + 1,
    }
}

/// An amount within its bound.
///
/// # Errors
/// `TooLarge` past `AMOUNT_MINOR_MAX` on either side.
pub(super) fn bounded(minor: i128) -> Result<i64> {
    let fits = minor.unsigned_abs() <= AMOUNT_MINOR_MAX.unsigned_abs().into();
    i64::try_from(minor).ok().filter(|_| fits).ok_or_else(|| {
        let message = format!("an amount of {minor} minor units, limit {AMOUNT_MINOR_MAX}");
        Error::new(ErrorKind::TooLarge, message)
    })
}
