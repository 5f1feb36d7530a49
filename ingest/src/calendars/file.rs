//! What a calendar file may say, and the days that it comes to, checked. Errors name the line.

use crate::normalise::time::duration_ms;
use interdict_engine::error::nearest;
use interdict_engine::{Error, ErrorKind, Place};
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// Most business days from a cut-off to its settlement.
const AFTER_DAYS_MAX: u16 = 366;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    /// For people; the configuration names the calendar.
    #[serde(rename = "title")]
    _title: String,
    version: Spanned<String>,
    zone: Spanned<String>,
    valid_from: Spanned<String>,
    valid_until: Spanned<String>,
    #[serde(default)]
    weekend: Vec<Spanned<String>>,
    settles_after: Option<Spanned<String>>,
    #[serde(default)]
    cycles: Vec<CycleShape>,
    #[serde(default)]
    holidays: Vec<Named>,
    #[serde(default)]
    short_days: Vec<ShortShape>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CycleShape {
    cut_off: Spanned<String>,
    settles: Option<Spanned<String>>,
    after_days: Option<Spanned<u16>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    date: Spanned<String>,
    #[serde(rename = "name")]
    _name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShortShape {
    date: Spanned<String>,
    #[serde(rename = "name")]
    _name: String,
    cycles: Vec<CycleShape>,
}

/// A cut-off of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayCycle {
    /// Local time that a payment must be accepted before.
    pub cut_off: Time,
    /// Local time at which it settles; `None`: at the cut-off's.
    pub settles: Option<Time>,
    /// Business days after the cut-off's day on which it settles; 0: on the same.
    pub after_days: u16,
    /// Line of the file, from 1.
    pub line: usize,
}

/// What a calendar says, checked.
#[derive(Debug)]
pub struct Days {
    /// The file, as errors call it.
    pub file: String,
    /// Its version.
    pub version: String,
    /// Where its times are.
    pub zone: TimeZone,
    /// The first day it says something of.
    pub from: Date,
    /// The last one.
    pub until: Date,
    /// Days of the week without cut-offs.
    pub weekend: Vec<Weekday>,
    /// Days without cut-offs, and the line that says so.
    pub holidays: BTreeMap<Date, usize>,
    /// How long after its acceptance a payment settles, in ms, where there are no cut-offs.
    pub settles_after_ms: Option<i64>,
    /// The cut-offs of a business day, in order.
    pub cycles: Vec<DayCycle>,
    /// Business days that have others.
    pub short_days: BTreeMap<Date, Vec<DayCycle>>,
}

impl Days {
    /// Whether a day is neither of the weekend nor a holiday.
    pub fn is_business(&self, day: Date) -> bool {
        !self.weekend.contains(&day.weekday()) && !self.holidays.contains_key(&day)
    }
    /// The cut-offs of a day.
    pub fn cycles_of(&self, day: Date) -> &[DayCycle] {
        match self.short_days.get(&day) {
            _ if !self.is_business(day) => &[],
            Some(cycles) => cycles,
            None => &self.cycles,
        }
    }
    /// An error at a line.
    pub fn error(&self, line: usize, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, message).at(Place::at(&self.file, line, 0))
    }
}

/// A text with places to name in errors.
struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn line<T>(&self, spanned: &Spanned<T>) -> usize {
        self.line_at(spanned.span().start)
    }
    fn line_at(&self, offset: usize) -> usize {
        self.text.as_bytes()[..offset.min(self.text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
    }
    fn wrong<T>(&self, at: &Spanned<T>, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Invalid, message).at(Place::at(self.file, self.line(at), 0))
    }
    fn malformed(&self, error: &toml::de::Error) -> Error {
        let message = error.message();
        let line = error.span().map_or(0, |span| self.line_at(span.start));
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        let message = match quoted.split_first() {
            Some((unknown, known)) if message.starts_with("unknown field") => {
                let hint = nearest(unknown, known.iter().copied());
                let hint = hint.map_or(String::new(), |name| format!(", did you mean {name:?}?"));
                format!("unknown key {unknown:?}{hint} (known here: {})", known.join(", "))
            }
            _ => message.to_owned(),
        };
        Error::new(ErrorKind::Malformed, message).at(Place::at(self.file, line, 0))
    }
    fn date(&self, key: &str, text: &Spanned<String>) -> Result<Date, Error> {
        let said = text.get_ref();
        // Ten characters: jiff also takes longer forms.
        let date = (said.len() == 10).then(|| said.parse::<Date>().ok()).flatten();
        date.ok_or_else(|| {
            self.wrong(text, format!("{key} = {said:?}: expected a day that there is, as in \"2026-12-25\""))
        })
    }
    fn time(&self, key: &str, text: &Spanned<String>) -> Result<Time, Error> {
        let said = text.get_ref();
        let time = matches!(said.len(), 5 | 8).then(|| said.parse::<Time>().ok()).flatten();
        time.ok_or_else(|| {
            self.wrong(text, format!("{key} = {said:?}: expected a time of day, as in \"17:00\""))
        })
    }
    fn zone(&self, text: &Spanned<String>) -> Result<TimeZone, Error> {
        let name = text.get_ref();
        let known = jiff::tz::db();
        known.get(name).map_err(|_| {
            let names: Vec<String> = known.available().map(|name| name.to_string()).collect();
            let hint = nearest(name, names.iter().map(String::as_str));
            let hint = hint.map_or(String::new(), |name| format!(", did you mean {name:?}?"));
            let expected = "expected an IANA time zone, as in \"Europe/Berlin\"";
            self.wrong(text, format!("zone = {name:?}: {expected}{hint}"))
        })
    }
    fn weekday(&self, text: &Spanned<String>) -> Result<Weekday, Error> {
        let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        let at = days.iter().position(|day| day == text.get_ref());
        let day = at.and_then(|at| Weekday::from_monday_zero_offset(at as i8).ok());
        day.ok_or_else(|| {
            let said = text.get_ref();
            let hint = nearest(said, days).map_or(String::new(), |day| format!(", did you mean {day:?}?"));
            self.wrong(text, format!("weekend: {said:?}: expected one of {}{hint}", days.join(", ")))
        })
    }
    /// The cut-offs of a day, which must be in order, none settling before itself.
    fn cycles(&self, shapes: &[CycleShape]) -> Result<Vec<DayCycle>, Error> {
        let mut cycles: Vec<DayCycle> = Vec::with_capacity(shapes.len());
        for shape in shapes {
            let cut_off = self.time("cut_off", &shape.cut_off)?;
            let settles = shape.settles.as_ref().map(|text| self.time("settles", text)).transpose()?;
            let after_days = shape.after_days.as_ref().map_or(0, |days| *days.get_ref());
            if let Some(days) = shape.after_days.as_ref().filter(|_| after_days > AFTER_DAYS_MAX) {
                return Err(self.wrong(days, format!("after_days = {after_days}, limit {AFTER_DAYS_MAX}")));
            }
            if let Some(text) = &shape.settles
                && settles.is_some_and(|settles| after_days == 0 && settles < cut_off)
            {
                let message = "expected a time from the cut-off on, or after_days = 1 or more";
                return Err(self.wrong(text, format!("settles = {:?}: {message}", text.get_ref())));
            }
            if cycles.last().is_some_and(|last| last.cut_off >= cut_off) {
                let message = "expected a time after the cut-off before it";
                return Err(
                    self.wrong(&shape.cut_off, format!("cut_off = {:?}: {message}", shape.cut_off.get_ref()))
                );
            }
            cycles.push(DayCycle { cut_off, settles, after_days, line: self.line(&shape.cut_off) });
        }
        Ok(cycles)
    }
}

/// Reads a calendar's text.
///
/// # Errors
/// What is not known, missing or contradicts itself, with its line.
pub fn read(file: &str, text: &str) -> Result<Days, Error> {
    let source = Source { file, text };
    let shape: Shape = toml::from_str(text).map_err(|e| source.malformed(&e))?;
    let (from, until) =
        (source.date("valid_from", &shape.valid_from)?, source.date("valid_until", &shape.valid_until)?);
    if until < from {
        return Err(source.wrong(&shape.valid_until, format!("valid_until = \"{until}\" is before {from}")));
    }
    if shape.version.get_ref().is_empty() {
        return Err(source.wrong(&shape.version, "version is empty"));
    }
    let weekend: Vec<Weekday> =
        shape.weekend.iter().map(|day| source.weekday(day)).collect::<Result<_, _>>()?;
    let settles_after_ms = match &shape.settles_after {
        None => None,
        Some(text) if !shape.cycles.is_empty() => {
            return Err(source.wrong(text, "settles_after: expected either this or cycles, not both"));
        }
        Some(text) => Some(duration_ms(text.get_ref()).ok_or_else(|| {
            let said = text.get_ref();
            source.wrong(text, format!("settles_after = {said:?}: expected a duration such as 10s"))
        })?),
    };
    if settles_after_ms.is_none() && shape.cycles.is_empty() {
        let message = "cycles are missing: expected [[cycles]] with a cut_off, or settles_after";
        return Err(Error::new(ErrorKind::Invalid, message).at(Place::file(file)));
    }
    let mut days = Days {
        file: file.to_owned(),
        version: shape.version.get_ref().clone(),
        zone: source.zone(&shape.zone)?,
        from,
        until,
        weekend,
        holidays: BTreeMap::new(),
        settles_after_ms,
        cycles: source.cycles(&shape.cycles)?,
        short_days: BTreeMap::new(),
    };
    let within = |key: &str, text: &Spanned<String>| {
        let date = source.date(key, text)?;
        if (from..=until).contains(&date) {
            return Ok(date);
        }
        Err(source.wrong(text, format!("{key} = \"{date}\": expected a day from {from} to {until}")))
    };
    for holiday in &shape.holidays {
        let date = within("date", &holiday.date)?;
        if days.holidays.insert(date, source.line(&holiday.date)).is_some() {
            return Err(
                source.wrong(&holiday.date, format!("date = \"{date}\": this holiday is there twice"))
            );
        }
    }
    for short in &shape.short_days {
        let (date, cycles) = (within("date", &short.date)?, source.cycles(&short.cycles)?);
        if settles_after_ms.is_some() || !days.is_business(date) || cycles.is_empty() {
            let message = "expected a business day and cycles of its own";
            return Err(source.wrong(&short.date, format!("date = \"{date}\": {message}")));
        }
        if days.short_days.insert(date, cycles).is_some() {
            return Err(
                source.wrong(&short.date, format!("date = \"{date}\": this short day is there twice"))
            );
        }
    }
    Ok(days)
}
