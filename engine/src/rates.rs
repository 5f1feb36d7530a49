//! Exchange rates, part of a generation: for each currency, from when on, how many of its major units one euro buys.
//! Sums over several currencies use the rate valid at event time, in integers, so that every machine agrees.

use crate::domain::Currency;
use crate::error::{Error, ErrorKind, Place};
use std::collections::HashMap;

/// Decimal places a rate is kept with.
const SCALE: u32 = 9;

/// A table of rates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RateTable {
    /// Ascending by time; units of 10^-9 per euro.
    by_currency: HashMap<Currency, Vec<(i64, i128)>>,
}

impl RateTable {
    /// Reads a table: CSV lines `currency,valid_from_ms,per_eur` below that header; `valid_from_ms` in ms since the
    /// Unix epoch or a date `YYYY-MM-DD` (midnight UTC), `per_eur` a decimal of at most nine places. Lines that
    /// begin with `#` are comments.
    ///
    /// # Errors
    /// `Malformed` or `Invalid`, with file, line and what was expected.
    pub fn parse(file: &str, text: &str) -> Result<RateTable, Error> {
        let mut table = RateTable::default();
        let mut lines =
            text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        let place = |line: usize| Place::at(file, line + 1, 0);
        match lines.next() {
            Some((_, header)) if header.trim() == "currency,valid_from,per_eur" => {}
            other => {
                let error =
                    Error::new(ErrorKind::Malformed, "expected the header currency,valid_from,per_eur");
                return Err(error.at(place(other.map_or(0, |(line, _)| line))));
            }
        }
        for (line, text) in lines {
            let invalid = |message: String| Error::new(ErrorKind::Invalid, message).at(place(line));
            let cells: Vec<&str> = text.split(',').map(str::trim).collect();
            let [code, from, per_eur] = cells[..] else {
                return Err(invalid(format!("{} columns, expected 3", cells.len())));
            };
            let currency = Currency::parse(code)
                .ok_or_else(|| invalid(format!("currency {code:?}: expected an ISO 4217 code")))?;
            let from_ms =
                date_ms(from).ok_or_else(|| invalid(format!("valid_from {from:?}: expected YYYY-MM-DD")))?;
            let rate = decimal(per_eur)
                .filter(|rate| *rate > 0)
                .ok_or_else(|| invalid(format!("per_eur {per_eur:?}: expected a positive decimal")))?;
            let rows = table.by_currency.entry(currency).or_default();
            if rows.iter().any(|(other, _)| *other == from_ms) {
                return Err(invalid(format!("{code} has two rates from {from}")));
            }
            rows.push((from_ms, rate));
            rows.sort_unstable();
        }
        Ok(table)
    }

    fn per_eur(&self, currency: Currency, time_ms: i64) -> Option<i128> {
        if currency.code() == "EUR" {
            return Some(10i128.pow(SCALE));
        }
        let rows = self.by_currency.get(&currency)?;
        let after = rows.partition_point(|(from_ms, _)| *from_ms <= time_ms);
        Some(rows[..after].last()?.1)
    }

    /// `minor` units of `from` in minor units of `to` at a time (ms since the Unix epoch), rounded half away from
    /// zero; `None` where there is no rate for one of them at that time.
    pub fn convert(&self, minor: i64, from: Currency, to: Currency, time_ms: i64) -> Option<i64> {
        if from == to {
            return Some(minor);
        }
        let numerator = i128::from(minor) * self.per_eur(to, time_ms)? * 10i128.pow(to.exponent());
        let denominator = self.per_eur(from, time_ms)? * 10i128.pow(from.exponent());
        let half = if numerator < 0 { -denominator / 2 } else { denominator / 2 };
        i64::try_from((numerator + half) / denominator).ok()
    }
}

/// A decimal in units of 10^-9.
fn decimal(text: &str) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty()
        || whole.len() > 9
        || fraction.len() > SCALE as usize
        || !digits(whole)
        || !digits(fraction)
    {
        return None;
    }
    format!("{whole}{fraction:0<9}").parse().ok()
}

/// Midnight UTC of a date, in ms since the Unix epoch (days from civil, Howard Hinnant's algorithm).
fn date_ms(text: &str) -> Option<i64> {
    let parts: Vec<i64> = text.split('-').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [year, month, day] = parts[..] else { return None };
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year_from_march = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year_from_march.div_euclid(400), year_from_march.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + day_of_year;
    Some((era * 146_097 + day_of_era - 719_468) * 86_400_000)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    #[test]
    fn converts_at_the_rate_of_the_day_and_refuses_to_guess() {
        let text =
            "currency,valid_from,per_eur\nUSD,2018-04-01,1.25\nUSD,2018-05-01,1.20\nJPY,2018-04-01,130\n";
        let table = RateTable::parse("rates.csv", text).unwrap();
        let (eur, usd, jpy) = (currency("EUR"), currency("USD"), currency("JPY"));
        let (april, may) = (date_ms("2018-04-01").unwrap(), date_ms("2018-05-01").unwrap());
        assert_eq!(april, 1_522_540_800_000);
        assert_eq!(table.convert(1000, eur, usd, april), Some(1250));
        assert_eq!(table.convert(1000, eur, usd, may), Some(1200));
        assert_eq!(table.convert(1300, jpy, eur, april), Some(1000), "1300 yen are ten euros");
        assert_eq!(table.convert(1000, usd, eur, april - 1), None);
        assert_eq!(table.convert(1000, currency("GBP"), eur, april), None);
        assert_eq!(table.convert(7, currency("GBP"), currency("GBP"), 0), Some(7));
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = RateTable::parse("r.csv", "currency,valid_from,per_eur\nUSD,2018-04-01,0\n").unwrap_err();
        assert_eq!(error.to_string(), "r.csv:2: per_eur \"0\": expected a positive decimal");
        assert!(RateTable::parse("r.csv", "USD,1,1").is_err());
    }
}
