//! Days to moments. A local time that the clock jumps over is the moment of the jump. Of one that comes twice, a cut-off
//! is the second, since payments are taken until then, and a settlement the first, since money may move from then on:
//! either way a payment is never believed to be stoppable for longer than it is.

use super::file::{DayCycle, Days};
use interdict_engine::limits::CALENDAR_ENTRIES_MAX;
use interdict_engine::settlement::{Calendar, Cycle, Table};
use interdict_engine::{Error, ErrorKind};
use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Error as TimeError, Timestamp};

/// Which of a local time's two moments counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    First,
    Second,
}

/// The table of a calendar's days.
///
/// # Errors
/// More cut-offs than a table holds, or none; days that no time stamp reaches.
pub fn compile(days: &Days, name: &str) -> Result<Calendar, Error> {
    let out_of_range = |e: TimeError| days.error(0, ErrorKind::Invalid, format!("its days: {e}"));
    let midnight = |day: Date| Ok(day.to_zoned(days.zone.clone())?.timestamp().as_millisecond());
    let from_ms = midnight(days.from).map_err(out_of_range)?;
    let until_ms = days.until.tomorrow().and_then(midnight).map_err(out_of_range)?;
    let table = match days.settles_after_ms {
        Some(ms) => Table::After(ms),
        None => Table::Cycles(cycles(days)?),
    };
    let (name, version) = (name.to_owned(), days.version.clone());
    let calendar = Calendar { name, version, from_ms, until_ms, table };
    calendar.check().map_err(|e| days.error(0, e.kind, e.message))?;
    Ok(calendar)
}

fn cycles(days: &Days) -> Result<Vec<Cycle>, Error> {
    let mut table: Vec<Cycle> = Vec::new();
    let mut day = days.from;
    loop {
        for cycle in days.cycles_of(day) {
            // The table ends where it would have to know holidays that it does not have.
            let Some(settles_on) = settles_on(days, day, cycle) else { return Ok(table) };
            let moment = |day, time, which| {
                let moment = moment(&days.zone, day, time, which);
                moment.map_err(|e| days.error(cycle.line, ErrorKind::Invalid, e.to_string()))
            };
            let before_ms = moment(day, cycle.cut_off, Which::Second)?;
            let settles_ms = moment(settles_on, cycle.settles.unwrap_or(cycle.cut_off), Which::First)?;
            // Two cut-offs that one jump of the clock passes are one: the first that was to come.
            if table.last().is_some_and(|last| last.before_ms >= before_ms) {
                continue;
            }
            // The first of two moments may be before a cut-off that is the second.
            table.push(Cycle { before_ms, settles_ms: settles_ms.max(before_ms) });
            if table.len() > CALENDAR_ENTRIES_MAX {
                let message = format!(
                    "more than {CALENDAR_ENTRIES_MAX} cut-offs by {day}: expected fewer days or cycles"
                );
                return Err(days.error(0, ErrorKind::TooLarge, message));
            }
        }
        if day >= days.until {
            return Ok(table);
        }
        day = day.tomorrow().map_err(|e| days.error(0, ErrorKind::Invalid, e.to_string()))?;
    }
}

/// The day on which a cut-off's payments settle; `None`: past the calendar's last.
fn settles_on(days: &Days, from: Date, cycle: &DayCycle) -> Option<Date> {
    let (mut day, mut left) = (from, cycle.after_days);
    while left > 0 {
        day = day.tomorrow().ok().filter(|day| *day <= days.until)?;
        left -= u16::from(days.is_business(day));
    }
    Some(day)
}

/// The moment of a local time, ms since the Unix epoch.
fn moment(zone: &TimeZone, day: Date, time: Time, which: Which) -> Result<i64, TimeError> {
    let local = zone.to_ambiguous_timestamp(day.to_datetime(time));
    let moment = match local.offset() {
        AmbiguousOffset::Unambiguous { .. } => local.unambiguous()?,
        AmbiguousOffset::Fold { .. } if which == Which::First => local.earlier()?,
        AmbiguousOffset::Fold { .. } => local.later()?,
        AmbiguousOffset::Gap { .. } => jump(zone, local.earlier()?),
    };
    Ok(moment.as_millisecond())
}

/// The jump that passes over a local time, whose reading by the offset of after the jump is before it.
fn jump(zone: &TimeZone, before: Timestamp) -> Timestamp {
    zone.following(before).next().map_or(before, |jump| jump.timestamp())
}
