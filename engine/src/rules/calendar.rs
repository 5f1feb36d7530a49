//! Calendar fields of a point in time, in UTC, and the ranges CEL gives to timestamps and durations. Written out
//! because the hot path reads them without a date library's types.

use std::ops::RangeInclusive;

/// Timestamps of CEL: years 1 to 9999, in ms since the Unix epoch.
pub(super) const TIME_MS: RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;
/// Durations of CEL: what fits an i64 of nanoseconds, in ms.
pub(super) const DURATION_MS: RangeInclusive<i64> = -(i64::MAX / 1_000_000)..=i64::MAX / 1_000_000;

const DAY_MS: i64 = 86_400_000;

/// A field of a point in time or of a duration, as CEL's `get…` functions name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    FullYear,
    /// From 0.
    Month,
    /// From 1.
    Date,
    /// From 0.
    DayOfMonth,
    /// From 0.
    DayOfYear,
    /// 0 is Sunday.
    DayOfWeek,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
    /// A duration as whole hours, minutes, seconds, milliseconds, truncated.
    TotalHours,
    TotalMinutes,
    TotalSeconds,
    TotalMilliseconds,
}

impl Part {
    /// The field that a method asks of a timestamp.
    pub fn of_time(method: &str) -> Option<Part> {
        Some(match method {
            "getFullYear" => Part::FullYear,
            "getMonth" => Part::Month,
            "getDate" => Part::Date,
            "getDayOfMonth" => Part::DayOfMonth,
            "getDayOfYear" => Part::DayOfYear,
            "getDayOfWeek" => Part::DayOfWeek,
            "getHours" => Part::Hours,
            "getMinutes" => Part::Minutes,
            "getSeconds" => Part::Seconds,
            "getMilliseconds" => Part::Milliseconds,
            _ => return None,
        })
    }
    /// The field that a method asks of a duration.
    pub fn of_duration(method: &str) -> Option<Part> {
        Some(match method {
            "getHours" => Part::TotalHours,
            "getMinutes" => Part::TotalMinutes,
            "getSeconds" => Part::TotalSeconds,
            "getMilliseconds" => Part::TotalMilliseconds,
            _ => return None,
        })
    }
    /// The field of a value in ms.
    pub fn of(self, ms: i64) -> i64 {
        let of_day = ms.rem_euclid(DAY_MS);
        let days = ms.div_euclid(DAY_MS);
        match self {
            Part::FullYear => civil(days).0,
            Part::Month => civil(days).1 - 1,
            Part::Date => civil(days).2,
            Part::DayOfMonth => civil(days).2 - 1,
            Part::DayOfYear => days - days_of(civil(days).0, 1, 1),
            Part::DayOfWeek => (days + 4).rem_euclid(7),
            Part::Hours => of_day / 3_600_000,
            Part::Minutes => of_day / 60_000 % 60,
            Part::Seconds => of_day / 1000 % 60,
            Part::Milliseconds => of_day % 1000,
            Part::TotalHours => ms / 3_600_000,
            Part::TotalMinutes => ms / 60_000,
            Part::TotalSeconds => ms / 1000,
            Part::TotalMilliseconds => ms,
        }
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar (the days-from-civil
/// algorithm with years that begin in March, so that the leap day is the last).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil`].
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    year.div_euclid(400) * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A point in time as RFC 3339 in UTC, with ms where there are any.
pub(super) fn rfc3339(ms: i64) -> String {
    let (year, month, day) = civil(ms.div_euclid(DAY_MS));
    let part = |part: Part| part.of(ms);
    let (h, m, s) = (part(Part::Hours), part(Part::Minutes), part(Part::Seconds));
    let fraction = match part(Part::Milliseconds) {
        0 => String::new(),
        ms => format!(".{ms:03}"),
    };
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}{fraction}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fields_are_those_of_the_cel_library(ms in TIME_MS) {
            let text = rfc3339(ms);
            for method in ["getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfYear", "getDayOfWeek",
                "getHours", "getMinutes", "getSeconds", "getMilliseconds"] {
                let program = cel::Program::compile(&format!("timestamp('{text}').{method}()")).expect("CEL");
                let expected = program.execute(&cel::Context::default());
                let part = Part::of_time(method).expect("known");
                prop_assert_eq!(expected, Ok(cel::Value::Int(part.of(ms))), "{} {}", text, method);
            }
        }
    }

    #[test]
    fn the_ends_of_the_ranges_read_well() {
        assert_eq!(rfc3339(*TIME_MS.start()), "0001-01-01T00:00:00Z");
        assert_eq!(rfc3339(*TIME_MS.end()), "9999-12-31T23:59:59.999Z");
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
    }
}
