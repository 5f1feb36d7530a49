//! What a bill is about, said alike in its settlement and in every statement: period, ranges and roots of both logs,
//! tariff by hash, and the bill before it. Ranges follow one another, so no query is billed twice and none falls between.

use super::fields::{self, base64, check_word};
use super::money::Currency;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::BILL_WORD_BYTES_MAX;
use crate::record::{Reader, Writer};
use std::ops::Range;

/// A span of time with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// Its name in paths and titles, `[a-z0-9.-]`: `2026-11`.
    pub name: String,
    /// Its begin, in milliseconds since the Unix epoch.
    pub from_ms: u64,
    /// Its end, which is no more of it.
    pub until_ms: u64,
}

impl Period {
    pub(super) fn put(&self, w: &mut Writer) -> Result<()> {
        check_word("a period's name", &self.name, BILL_WORD_BYTES_MAX)?;
        if self.from_ms >= self.until_ms {
            return Err(Error::new(ErrorKind::Invalid, "a period begins before it ends"));
        }
        w.put("period", &self.name)?.put("from_ms", self.from_ms)?.put("until_ms", self.until_ms)?;
        Ok(())
    }
    pub(super) fn take(r: &mut Reader<'_>) -> Result<Period> {
        let name = r.take("period")?.to_owned();
        check_word("a period's name", &name, BILL_WORD_BYTES_MAX).map_err(|e| r.refuse(e.message))?;
        let period = Period { name, from_ms: r.number("from_ms")?, until_ms: r.number("until_ms")? };
        if period.from_ms >= period.until_ms {
            return Err(r.refuse("a period begins before it ends"));
        }
        Ok(period)
    }
}

/// A range of a log and the root at its end, for which there is a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRange {
    /// First leaf.
    pub from: u64,
    /// The log's size at the end: the first leaf that is not in it.
    pub to: u64,
    /// Root of the log at that size.
    pub root: [u8; 32],
}

impl LogRange {
    /// The leaves.
    pub fn leaves(&self) -> Range<u64> {
        self.from..self.to
    }
    fn spelled(&self) -> String {
        format!("{} {} {}", self.from, self.to, base64(&self.root))
    }
    fn take(r: &mut Reader<'_>, key: &'static str) -> Result<LogRange> {
        let value = r.take(key)?;
        let [from, to, root] = fields::split(r, value)?;
        let range = LogRange {
            from: fields::number(r, from)?,
            to: fields::number(r, to)?,
            root: fields::hash(r, root)?,
        };
        if range.from > range.to {
            return Err(r.refuse("a range ends before it begins"));
        }
        Ok(range)
    }
}

/// A tariff by its version and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TariffRef {
    /// Its version.
    pub version: u32,
    /// SHA-256 of its record.
    pub hash: [u8; 32],
}

/// What a bill is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    /// The alliance's name.
    pub alliance: String,
    /// The bill's number, from 1, each one more than the last.
    pub number: u32,
    /// When.
    pub period: Period,
    /// Which queries.
    pub queries: LogRange,
    /// Which leaves of the governance log: credits follow from the outcomes in them.
    pub governance: LogRange,
    /// At which prices.
    pub tariff: TariffRef,
    /// In which currency, the tariff's.
    pub currency: Currency,
    /// Hash of the settlement before this one; none for the first.
    pub previous: Option<[u8; 32]>,
    /// The number of an earlier bill of the same period and ranges in whose place this one stands.
    pub replaces: Option<u32>,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_ms: u64,
}

impl Basis {
    pub(super) fn put(&self, w: &mut Writer) -> Result<()> {
        self.check()?;
        w.put("alliance", &self.alliance)?.put("number", self.number)?;
        self.period.put(w)?;
        w.put("queries", self.queries.spelled())?.put("governance", self.governance.spelled())?;
        w.put("tariff", format_args!("{} {}", self.tariff.version, base64(&self.tariff.hash)))?;
        put_currency(w, self.currency)?;
        w.put_some("previous", self.previous.map(|hash| base64(&hash)))?;
        w.put_some("replaces", self.replaces)?.put("created_ms", self.created_ms)?;
        Ok(())
    }
    pub(super) fn take(r: &mut Reader<'_>) -> Result<Basis> {
        let alliance = r.take("alliance")?.to_owned();
        let number = r.number("number")?;
        let period = Period::take(r)?;
        let (queries, governance) = (LogRange::take(r, "queries")?, LogRange::take(r, "governance")?);
        let value = r.take("tariff")?;
        let [version, hash] = fields::split(r, value)?;
        let tariff = TariffRef { version: fields::number(r, version)?, hash: fields::hash(r, hash)? };
        let currency = take_currency(r)?;
        let previous = r.take_some("previous")?.map(|value| fields::hash(r, value)).transpose()?;
        let replaces = r.number_some("replaces")?;
        let created_ms = r.number("created_ms")?;
        let basis = Basis {
            alliance,
            number,
            period,
            queries,
            governance,
            tariff,
            currency,
            previous,
            replaces,
            created_ms,
        };
        basis.check().map_err(|e| r.refuse(e.message))?;
        Ok(basis)
    }
    fn check(&self) -> Result<()> {
        check_word("an alliance's name", &self.alliance, 63)?;
        let invalid = |message: &str| Err(Error::new(ErrorKind::Invalid, message));
        if [&self.queries, &self.governance].into_iter().any(|range| range.from > range.to) {
            return invalid("a range ends before it begins");
        }
        match (self.number, self.previous, self.replaces) {
            (0, ..) => invalid("bills are numbered from 1"),
            (1, None, None) => Ok(()),
            (1, ..) => invalid("the first bill has none before it"),
            (_, None, _) => invalid("every bill but the first names the one before it"),
            (number, _, Some(replaced)) if replaced == 0 || replaced >= number => {
                invalid("a bill stands in for an earlier one")
            }
            _ => Ok(()),
        }
    }

    /// Checks that this bill may follow all those before it, given in order.
    ///
    /// # Errors
    /// `Invalid` where its number, its range or what it replaces does not follow; `Corrupt` where the settlement before
    /// is not the one it names.
    pub fn check_follows(&self, before: &[(Basis, [u8; 32])]) -> Result<()> {
        let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message));
        if before.len() + 1 != self.number as usize {
            return invalid(format!("bill {} after {} others", self.number, before.len()));
        }
        let Some((last, hash)) = before.last() else {
            return Ok(());
        };
        if self.previous != Some(*hash) {
            let message = format!("bill {} names another settlement {} before it", self.number, last.number);
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        if let Some(replaced) = self.replaces {
            let same = before.iter().find(|(basis, _)| basis.number == replaced);
            let is_same = same.is_some_and(|(basis, _)| {
                (&basis.period, &basis.queries, &basis.governance)
                    == (&self.period, &self.queries, &self.governance)
            });
            return match is_same {
                true => Ok(()),
                false => {
                    invalid(format!("bill {} is of another period or range than {replaced}", self.number))
                }
            };
        }
        let ends = before.iter().map(|(basis, _)| basis);
        let queries = ends.clone().map(|basis| basis.queries.to).max().unwrap_or_default();
        let governance = ends.map(|basis| basis.governance.to).max().unwrap_or_default();
        if (self.queries.from, self.governance.from) != (queries, governance) {
            let message = format!(
                "bill {} begins at query {} and governance leaf {}: expected {queries} and {governance}",
                self.number, self.queries.from, self.governance.from
            );
            return invalid(message);
        }
        Ok(())
    }
}

/// `currency EUR 2`: the code, and how many decimals its minor unit has.
pub(super) fn put_currency(w: &mut Writer, currency: Currency) -> Result<()> {
    w.put("currency", format_args!("{currency} {}", currency.digits()))?;
    Ok(())
}

pub(super) fn take_currency(r: &mut Reader<'_>) -> Result<Currency> {
    let value = r.take("currency")?;
    let [code, digits] = fields::split(r, value)?;
    let currency = Currency::parse(code).map_err(|e| r.refuse(e.message))?;
    match fields::number::<u8>(r, digits)? == currency.digits() {
        true => Ok(currency),
        false => Err(r.refuse(format!("{currency} has {} decimals (ISO 4217)", currency.digits()))),
    }
}
