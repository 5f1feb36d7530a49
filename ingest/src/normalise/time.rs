//! Times: RFC 3339 to ms since the Unix epoch, and durations of config files (`7d`).

use super::text::Checked;

/// What a time is expected to be.
pub const EXPECTED_TIME: &str = "an RFC 3339 time with an offset, such as 2018-04-01T00:02:10.000Z";

/// ms since the Unix epoch of an RFC 3339 time; finer digits are rounded down.
///
/// # Errors
/// What was expected.
pub fn rfc3339_ms(text: &str) -> Checked<i64> {
    // jiff reads more than RFC 3339 (zone annotations in brackets, for one); those are refused.
    if text.len() > 64 || text.contains('[') {
        return Err(EXPECTED_TIME);
    }
    let time: jiff::Timestamp = text.parse().map_err(|_| EXPECTED_TIME)?;
    i64::try_from(time.as_nanosecond().div_euclid(1_000_000)).map_err(|_| EXPECTED_TIME)
}

/// A duration such as `250ms`, `30s`, `15m`, `24h` or `7d`, in ms; `None` when it is not one.
pub fn duration_ms(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit_ms = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    text[..digits].parse::<i64>().ok()?.checked_mul(unit_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations() {
        assert_eq!(rfc3339_ms("2018-04-01T00:02:10.000Z"), Ok(1_522_540_930_000));
        assert_eq!(rfc3339_ms("2018-04-01T02:02:10+02:00"), Ok(1_522_540_930_000));
        assert_eq!(rfc3339_ms("1969-12-31T23:59:59.9996Z"), Ok(-1));
        assert_eq!(rfc3339_ms("2018-04-01T00:02:10.0009Z"), Ok(1_522_540_930_000));
        for bad in ["", "2018-04-01", "2018-04-01T00:02:10", "1522540930000", "2018-13-01T00:00:00Z", "x"] {
            assert!(rfc3339_ms(bad).is_err(), "{bad}");
        }
        assert_eq!(duration_ms("7d"), Some(604_800_000));
        assert_eq!(duration_ms("250ms"), Some(250));
        for bad in ["", "d", "7", "-1d", "7 d", "1.5h", "99999999999999999999d", "9223372036854775807d"] {
            assert_eq!(duration_ms(bad), None, "{bad}");
        }
    }
}
