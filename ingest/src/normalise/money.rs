//! Money: integer minor units within their bound and an ISO 4217 code; feeds with major units are scaled here.

use super::text::Checked;
use interdict_engine::domain::Currency;
use interdict_engine::limits::AMOUNT_MINOR_MAX;

/// What an amount is expected to be.
pub const EXPECTED_MINOR: &str = "an integer number of minor units from 0 to 1000000000000000";
/// What a currency is expected to be.
pub const EXPECTED_CURRENCY: &str = "an active ISO 4217 code of three capitals";

const _: () = assert!(AMOUNT_MINOR_MAX == 1_000_000_000_000_000, "the message above names the bound");

/// How near a half a scaled amount must be to count as one: binary fractions of major units (57.165 is a hair below
/// the half) miss it by some 1e-12 of their value, real differences are at least 1e-3.
const HALF_TOLERANCE: f64 = 1e-6;

/// An amount in minor units.
///
/// # Errors
/// What was expected.
pub fn minor_units(minor: i64) -> Checked<i64> {
    if (0..=AMOUNT_MINOR_MAX).contains(&minor) { Ok(minor) } else { Err(EXPECTED_MINOR) }
}

/// A currency.
///
/// # Errors
/// What was expected.
pub fn currency(code: &str) -> Checked<Currency> {
    Currency::parse(code).ok_or(EXPECTED_CURRENCY)
}

/// Major units as minor units of the currency, halves away from zero; what is a half but for its binary spelling is
/// taken as one.
///
/// # Errors
/// What was expected, also for what is not finite.
pub fn major_to_minor(major: f64, currency: Currency) -> Checked<i64> {
    let scaled = major * 10f64.powi(currency.exponent() as i32);
    let half = (scaled * 2.0).round() / 2.0;
    let scaled = if (scaled - half).abs() <= HALF_TOLERANCE { half } else { scaled };
    let rounded = scaled.round();
    if !(0.0..=AMOUNT_MINOR_MAX as f64).contains(&rounded) {
        return Err("an amount in major units, at least 0 and at most 1000000000000000 minor units");
    }
    Ok(rounded as i64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn halves_go_away_from_zero_and_bounds_hold() {
        let (eur, jpy, kwd) = (currency("EUR").unwrap(), currency("JPY").unwrap(), currency("KWD").unwrap());
        for (major, minor) in
            [(57.16, 5716), (57.165, 5717), (57.164, 5716), (0.0, 0), (1.005, 101), (0.285, 29)]
        {
            assert_eq!(major_to_minor(major, eur), Ok(minor), "{major}");
        }
        assert_eq!(major_to_minor(99.5, jpy), Ok(100));
        assert_eq!(major_to_minor(1.2345, kwd), Ok(1235));
        for bad in [-0.01, f64::NAN, f64::INFINITY, 1e14] {
            assert!(major_to_minor(bad, eur).is_err(), "{bad}");
        }
        assert!(minor_units(-1).is_err() && minor_units(AMOUNT_MINOR_MAX + 1).is_err());
        assert_eq!(minor_units(AMOUNT_MINOR_MAX), Ok(AMOUNT_MINOR_MAX));
        assert!(currency("eur").is_err());
    }

    proptest! {
        #[test]
        fn two_decimals_are_exact(minor in 0i64..100_000_000_000) {
            let major: f64 = format!("{}.{:02}", minor / 100, minor % 100).parse().unwrap();
            prop_assert_eq!(major_to_minor(major, currency("EUR").unwrap()), Ok(minor));
        }
    }
}
