#![allow(clippy::unwrap_used)]

use super::file::{Days, read};
use super::*;
use interdict_engine::settlement::Table;
use jiff::civil::{Date, DateTime, Time, Weekday, date};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

const YEARS: [i16; 3] = [2026, 2027, 2028];

/// A calendar that is shipped: its text's days, and its table.
fn shipped(name: &str) -> (Days, Calendar) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../deploy/calendars/{name}.toml"));
    let text = std::fs::read_to_string(&path).unwrap();
    (file::read(name, &text).unwrap(), super::read(&path, name).unwrap())
}

fn cycles(calendar: &Calendar) -> &[interdict_engine::settlement::Cycle] {
    match &calendar.table {
        Table::Cycles(cycles) => cycles,
        Table::After(_) => panic!("{}: no cut-offs", calendar.name),
    }
}

fn utc(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

/// Easter Sunday (Meeus, Jones and Butcher; Meeus, Astronomical Algorithms, chapter 8).
fn easter(year: i16) -> Date {
    let y = i32::from(year);
    let (a, b, c) = (y % 19, y / 100, y % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (b - (b + 8) / 25 + 1) / 3;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let n = h + l - 7 * m + 114;
    date(year, (n / 31) as i8, (n % 31 + 1) as i8)
}

fn nth(year: i16, month: i8, nth: i8, weekday: Weekday) -> Date {
    date(year, month, 1).nth_weekday_of_month(nth, weekday).unwrap()
}

fn of_euro(year: i16) -> Vec<Date> {
    let easter = easter(year);
    let fixed = [(1, 1), (5, 1), (12, 25), (12, 26)].map(|(month, day)| date(year, month, day));
    let moved = [easter - 2.days(), easter + 1.day()];
    fixed.into_iter().chain(moved).collect()
}

/// Of the Federal Reserve: on a Sunday the Monday after, on a Saturday none.
fn of_the_fed(year: i16) -> Vec<Date> {
    let fixed = [(1, 1), (6, 19), (7, 4), (11, 11), (12, 25)].map(|(month, day)| date(year, month, day));
    let fixed = fixed.into_iter().filter(|day| day.weekday() != Weekday::Saturday);
    let fixed = fixed.map(|day| if day.weekday() == Weekday::Sunday { day + 1.day() } else { day });
    let monday = Weekday::Monday;
    let moved = [
        nth(year, 1, 3, monday),
        nth(year, 2, 3, monday),
        nth(year, 5, -1, monday),
        nth(year, 9, 1, monday),
        nth(year, 10, 2, monday),
        nth(year, 11, 4, Weekday::Thursday),
    ];
    fixed.chain(moved).collect()
}

/// Of England and Wales: what falls on a weekend has the next weekday that is free.
fn of_england(year: i16) -> Vec<Date> {
    let easter = easter(year);
    let mut days = vec![
        easter - 2.days(),
        easter + 1.day(),
        nth(year, 5, 1, Weekday::Monday),
        nth(year, 5, -1, Weekday::Monday),
        nth(year, 8, -1, Weekday::Monday),
    ];
    for (month, day) in [(1, 1), (12, 25), (12, 26)] {
        let mut day = date(year, month, day);
        while days.contains(&day) || [Weekday::Saturday, Weekday::Sunday].contains(&day.weekday()) {
            day = day.tomorrow().unwrap();
        }
        days.push(day);
    }
    days
}

/// Holidays of a year by rule.
type Rule = fn(i16) -> Vec<Date>;

#[test]
fn shipped_holidays_are_those_that_the_rules_give() {
    assert_eq!(YEARS.map(easter), [date(2026, 4, 5), date(2027, 3, 28), date(2028, 4, 16)]);
    let rules: [(&str, Rule); 5] = [
        ("target", of_euro),
        ("cards-t1", of_euro),
        ("cards-capture", of_euro),
        ("fedwire", of_the_fed),
        ("chaps", of_england),
    ];
    for (name, rule) in rules {
        let expected: BTreeSet<Date> = YEARS.into_iter().flat_map(rule).collect();
        let told: BTreeSet<Date> = shipped(name).0.holidays.into_keys().collect();
        assert_eq!(told, expected, "{name}");
    }
}

#[test]
fn shipped_calendars_have_a_cut_off_on_each_business_day_and_on_no_other() {
    for name in ["target", "cards-t1", "cards-capture", "fedwire", "chaps"] {
        let (days, calendar) = shipped(name);
        let local = |ms: i64| Timestamp::from_millisecond(ms).unwrap().to_zoned(days.zone.clone());
        let mut with: BTreeSet<Date> = BTreeSet::new();
        for cycle in cycles(&calendar) {
            for day in [cycle.before_ms, cycle.settles_ms].map(|ms| local(ms).date()) {
                assert!(!days.holidays.contains_key(&day), "{name}: {day} is a holiday");
                assert!(day.weekday().to_monday_one_offset() < 6, "{name}: {day} is a weekend's");
            }
            with.insert(local(cycle.before_ms).date());
        }
        let all = date(2026, 1, 1).series(1.day()).take_while(|day| *day <= date(2028, 12, 31));
        let business =
            |day: &Date| day.weekday().to_monday_one_offset() < 6 && !days.holidays.contains_key(day);
        let mut business: BTreeSet<Date> = all.filter(business).collect();
        if name == "cards-t1" {
            // It settles in a year that the file does not know.
            assert_eq!(business.pop_last(), Some(date(2028, 12, 29)));
        }
        assert_eq!(with, business, "{name}");
    }
}

#[test]
fn edges_of_a_shipped_calendar() {
    let (_, target) = shipped("target");
    let settles = |at: &str| target.settles_ms(utc(at));
    let at = |text: &str| Some(utc(text));
    // A Wednesday: just before, at, just after 17:00 in Frankfurt.
    assert_eq!(settles("2026-02-11T15:59:59.999Z"), at("2026-02-11T16:00:00Z"));
    assert_eq!(settles("2026-02-11T16:00:00Z"), at("2026-02-12T16:00:00Z"));
    assert_eq!(settles("2026-02-11T16:00:00.001Z"), at("2026-02-12T16:00:00Z"));
    // Friday evening, over the night in which summer time begins.
    assert_eq!(settles("2026-03-27T16:00:00Z"), at("2026-03-30T15:00:00Z"));
    // Over the night in which it ends.
    assert_eq!(settles("2026-10-23T15:00:00Z"), at("2026-10-26T16:00:00Z"));
    // The chain of Easter: Thursday evening to Tuesday.
    assert_eq!(settles("2026-04-02T14:59:59Z"), at("2026-04-02T15:00:00Z"));
    assert_eq!(settles("2026-04-02T15:00:00Z"), at("2026-04-07T15:00:00Z"));
    // Christmas on a Friday and Saturday; month's and year's ends.
    assert_eq!(settles("2026-12-24T16:00:00Z"), at("2026-12-28T16:00:00Z"));
    assert_eq!(settles("2026-02-27T16:00:00Z"), at("2026-03-02T16:00:00Z"));
    assert_eq!(settles("2026-12-31T16:00:00Z"), at("2027-01-04T16:00:00Z"));
    // Leap day, a Tuesday.
    assert_eq!(settles("2028-02-28T16:00:00Z"), at("2028-02-29T16:00:00Z"));
    // Before its first moment, and past its last cut-off.
    assert_eq!(settles("2025-12-31T22:59:59.999Z"), None);
    assert_eq!(settles("2025-12-31T23:00:00Z"), at("2026-01-02T16:00:00Z"));
    assert_eq!(settles("2028-12-29T15:59:59.999Z"), at("2028-12-29T16:00:00Z"));
    assert_eq!(settles("2028-12-29T16:00:00Z"), None);

    let (_, cards) = shipped("cards-t1");
    assert_eq!(cards.settles_ms(utc("2026-04-02T17:00:00Z")), at("2026-04-07T07:00:00Z"));
    assert_eq!(cards.settles_ms(utc("2026-04-02T18:00:00Z")), at("2026-04-08T07:00:00Z"));
    assert_eq!(cards.settles_ms(utc("2028-12-28T18:59:59Z")), at("2028-12-29T08:00:00Z"));
    assert_eq!(cards.settles_ms(utc("2028-12-28T19:00:00Z")), None);

    let (_, instant) = shipped("instant");
    assert_eq!(instant.settles_ms(utc("2026-12-25T23:59:55Z")), at("2026-12-26T00:00:05Z"));
    assert_eq!(instant.settles_ms(utc("2029-01-01T00:00:00Z")), None);
}

/// A calendar of every day from 2026-03-01 to 2026-11-30.
fn berlin(rest: &str) -> Result<Calendar, Error> {
    let head = "title = \"t\"\nversion = \"1\"\nzone = \"Europe/Berlin\"\nvalid_from = \"2026-03-01\"\n\
                valid_until = \"2026-11-30\"\n";
    parse("c.toml", &format!("{head}{rest}"), "c")
}

#[test]
fn a_local_time_that_is_not_there_is_the_jump_and_of_one_that_is_twice_the_later_is_the_cut_off() {
    let one = berlin("[[cycles]]\ncut_off = \"02:30\"\nsettles = \"02:45\"\n").unwrap();
    let of = |calendar: &Calendar, at: &str| {
        let found = cycles(calendar).iter().find(|cycle| cycle.before_ms == utc(at));
        found.map(|cycle| Timestamp::from_millisecond(cycle.settles_ms).unwrap().to_string())
    };
    // 2026-03-29: from 02:00 to 03:00 at 01:00 UTC, so neither 02:30 nor 02:45 is there.
    assert_eq!(of(&one, "2026-03-29T01:00:00Z").unwrap(), "2026-03-29T01:00:00Z");
    // 2026-10-25: 02:00 to 03:00 twice. Taken until the second 02:30; the first 02:45 is before that, so it settles then.
    assert_eq!(of(&one, "2026-10-25T01:30:00Z").unwrap(), "2026-10-25T01:30:00Z");
    assert_eq!(of(&one, "2026-10-25T00:30:00Z"), None);
    // The next day's cut-off, settled at the first of two.
    let next = berlin("[[cycles]]\ncut_off = \"12:00\"\nsettles = \"02:45\"\nafter_days = 1\n").unwrap();
    assert_eq!(of(&next, "2026-10-24T10:00:00Z").unwrap(), "2026-10-25T00:45:00Z");
    assert_eq!(of(&next, "2026-03-28T11:00:00Z").unwrap(), "2026-03-29T01:00:00Z");
    // Two cut-offs that the jump passes at once are one: that of the earlier.
    let two = berlin(
        "[[cycles]]\ncut_off = \"02:15\"\nsettles = \"05:00\"\n[[cycles]]\ncut_off = \"02:45\"\nsettles = \"06:00\"\n",
    );
    let two = two.unwrap();
    assert_eq!(of(&two, "2026-03-29T01:00:00Z").unwrap(), "2026-03-29T03:00:00Z");
    assert_eq!(cycles(&two).len(), 2 * 275 - 1);
}

#[test]
fn short_days_and_several_cycles() {
    let calendar = berlin(
        "weekend = [\"saturday\", \"sunday\"]\n[[cycles]]\ncut_off = \"08:00\"\n[[cycles]]\ncut_off = \"16:00\"\n\
         settles = \"07:00\"\nafter_days = 2\n[[holidays]]\ndate = \"2026-06-05\"\nname = \"a Friday\"\n\
         [[short_days]]\ndate = \"2026-06-04\"\nname = \"the day before\"\ncycles = [{ cut_off = \"11:00\" }]\n",
    );
    let calendar = calendar.unwrap();
    let settles =
        |at: &str| Timestamp::from_millisecond(calendar.settles_ms(utc(at)).unwrap()).unwrap().to_string();
    assert_eq!(settles("2026-06-03T05:00:00Z"), "2026-06-03T06:00:00Z");
    // Two business days on: Thursday, and over the holiday and the weekend Monday.
    assert_eq!(settles("2026-06-03T06:00:00Z"), "2026-06-08T05:00:00Z");
    assert_eq!(settles("2026-06-03T14:00:00Z"), "2026-06-04T09:00:00Z");
    assert_eq!(settles("2026-06-04T09:00:00Z"), "2026-06-08T06:00:00Z");
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_what_was_expected() {
    let cycle = "[[cycles]]\ncut_off = \"17:00\"\n";
    let holiday = |day: &str| format!("{cycle}[[holidays]]\ndate = \"{day}\"\nname = \"n\"\n");
    let short = |rest: &str| format!("weekend = [\"saturday\"]\n{cycle}[[short_days]]\n{rest}name = \"n\"\n");
    for (rest, line, expected) in [
        (holiday("2026-06-31"), 9, "date = \"2026-06-31\": expected a day that there is"),
        (holiday("2026-W23-1"), 9, "a day that there is"),
        (holiday("2027-01-01"), 9, "expected a day from 2026-03-01 to 2026-11-30"),
        (
            format!("{}[[holidays]]\ndate = \"2026-06-01\"\nname = \"m\"\n", holiday("2026-06-01")),
            12,
            "twice",
        ),
        ("[[cycles]]\ncut_off = \"25:00\"\n".into(), 7, "expected a time of day"),
        ("[[cycles]]\ncut_off = \"17\"\n".into(), 7, "expected a time of day"),
        (format!("{cycle}settles = \"16:59\"\n"), 8, "after_days = 1 or more"),
        (format!("{cycle}after_days = 367\n"), 8, "limit 366"),
        (format!("{cycle}{cycle}"), 9, "after the cut-off before it"),
        ("weekend = [\"saterday\"]\n".to_owned() + cycle, 6, "did you mean \"saturday\"?"),
        (format!("settles_after = \"10s\"\n{cycle}"), 6, "either this or cycles"),
        ("settles_after = \"10\"\n".into(), 6, "a duration such as 10s"),
        (String::new(), 0, "cycles are missing"),
        ("[[cycle]]\ncut_off = \"17:00\"\n".into(), 6, "did you mean \"cycles\"?"),
        ("[[cycles]]\ncutoff = \"17:00\"\n".into(), 7, "did you mean \"cut_off\"?"),
        (short("date = \"2026-06-06\"\ncycles = [{ cut_off = \"11:00\" }]\n"), 10, "a business day"),
        (short("date = \"2026-06-08\"\ncycles = []\n"), 10, "cycles of its own"),
    ] {
        let error = berlin(&rest).unwrap_err();
        assert!(error.message.contains(expected), "{rest}: {error}");
        assert_eq!((error.place.file.as_str(), error.place.line), ("c.toml", line), "{rest}: {error}");
    }
    let week = ["mon", "tues", "wednes", "thurs", "fri", "satur", "sun"].map(|day| format!("\"{day}day\""));
    let none = berlin(&format!("weekend = [{}]\n{cycle}", week.join(", "))).unwrap_err();
    assert!(none.message.contains("has no cut-off"), "{none}");
    let text = |zone: &str, until: &str| {
        format!(
            "title = \"t\"\nversion = \"1\"\nzone = \"{zone}\"\nvalid_from = \"2026-03-01\"\nvalid_until = \"{until}\"\n{cycle}"
        )
    };
    let error = parse("c.toml", &text("Europe/Berln", "2026-03-01"), "c").unwrap_err();
    assert!(error.message.contains("did you mean \"Europe/Berlin\"?") && error.place.line == 3, "{error}");
    let error = parse("c.toml", &text("UTC", "2026-02-28"), "c").unwrap_err();
    assert!(error.message.contains("is before 2026-03-01") && error.place.line == 5, "{error}");
    let error = parse("c.toml", &text("UTC", "2226-02-28"), "c").unwrap_err();
    assert!(error.message.contains("more than 65536 cut-offs by 2205-"), "{error}");
    assert!(super::read(Path::new("none.toml"), "c").unwrap_err().place.file == "none.toml");
}

/// A calendar as it is thrown.
#[derive(Debug, Clone)]
struct Thrown {
    zone: &'static str,
    from: Date,
    len: usize,
    weekend: Vec<Weekday>,
    holidays: BTreeSet<Date>,
    cycles: Vec<Cut>,
    short: Option<(Date, Vec<Cut>)>,
}
/// Cut-off and settlement as minutes of the day, business days between.
type Cut = (i16, Option<i16>, usize);

fn time(minute: i16) -> Time {
    Time::new((minute / 60) as i8, (minute % 60) as i8, 0, 0).unwrap()
}

impl Thrown {
    fn text(&self) -> String {
        let until = self.from + ((self.len - 1) as i64).days();
        let weekend: Vec<String> =
            self.weekend.iter().map(|day| format!("\"{}\"", format!("{day:?}").to_lowercase())).collect();
        let mut text = format!(
            "title = \"t\"\nversion = \"1\"\nzone = \"{}\"\nvalid_from = \"{}\"\nvalid_until = \"{until}\"\nweekend = [{}]\n",
            self.zone,
            self.from,
            weekend.join(", ")
        );
        let cycle = |(cut_off, settles, after_days): &Cut| {
            let settles = settles.map_or(String::new(), |at| format!(", settles = \"{}\"", time(at)));
            format!("{{ cut_off = \"{}\"{settles}, after_days = {after_days} }}", time(*cut_off))
        };
        let all = |cycles: &[Cut]| cycles.iter().map(cycle).collect::<Vec<_>>().join(", ");
        writeln!(text, "cycles = [{}]", all(&self.cycles)).unwrap();
        for day in &self.holidays {
            writeln!(text, "[[holidays]]\ndate = \"{day}\"\nname = \"n\"").unwrap();
        }
        if let Some((day, cycles)) = &self.short {
            writeln!(text, "[[short_days]]\ndate = \"{day}\"\nname = \"n\"\ncycles = [{}]", all(cycles))
                .unwrap();
        }
        text
    }
    fn is_business(&self, day: Date) -> bool {
        !self.weekend.contains(&day.weekday()) && !self.holidays.contains(&day)
    }
}

/// What a calendar says, from a clock that is looked at every minute: no local time is ever turned into a moment.
struct Oracle {
    /// Each local day's minutes: moment, and what the clock shows.
    clock: BTreeMap<Date, Vec<(i64, Time)>>,
}

impl Oracle {
    fn new(thrown: &Thrown) -> Oracle {
        let zone = TimeZone::get(thrown.zone).unwrap();
        let begin =
            DateTime::from(thrown.from).to_zoned(TimeZone::UTC).unwrap().timestamp().as_second() - 86_400;
        let mut clock: BTreeMap<Date, Vec<(i64, Time)>> = BTreeMap::new();
        for minute in 0..(thrown.len as i64 + 3) * 1440 {
            let at = Timestamp::from_second(begin + minute * 60).unwrap();
            let shown = zone.to_datetime(at);
            clock.entry(shown.date()).or_default().push((at.as_millisecond(), shown.time()));
        }
        Oracle { clock }
    }
    /// When the clock has passed a time of a day for good.
    fn passed(&self, day: Date, time: Time) -> i64 {
        let minutes = &self.clock[&day];
        let before = minutes.iter().filter(|(_, shown)| *shown < time).map(|(ms, _)| ms + 60_000).max();
        before.unwrap_or(minutes[0].0)
    }
    /// When the clock first shows a time of a day, or a later one.
    fn reached(&self, day: Date, time: Time) -> i64 {
        let after = self.clock[&day].iter().filter(|(_, shown)| *shown >= time).map(|(ms, _)| *ms).min();
        after.unwrap()
    }
    fn settles_ms(&self, thrown: &Thrown, at: i64) -> Option<i64> {
        let all: Vec<Date> = (0..thrown.len).map(|n| thrown.from + (n as i64).days()).collect();
        let (first, last) = (self.clock[&all[0]][0].0, self.clock[all.last().unwrap()].last().unwrap().0);
        if at < first || at >= last + 60_000 {
            return None;
        }
        let business: Vec<Date> = all.into_iter().filter(|day| thrown.is_business(*day)).collect();
        for (n, day) in business.iter().enumerate() {
            let own = thrown.short.as_ref().filter(|(short, _)| short == day).map(|(_, cycles)| cycles);
            for (cut_off, settles, after_days) in own.unwrap_or(&thrown.cycles) {
                let on = business.get(n + after_days)?;
                let before = self.passed(*day, time(*cut_off));
                if at < before {
                    return Some(self.reached(*on, time(settles.unwrap_or(*cut_off))).max(before));
                }
            }
        }
        None
    }
}

/// Cut-offs in order, near 02:00 as often as not, where clocks change.
fn cuts() -> impl Strategy<Value = Vec<Cut>> {
    let minute = prop_oneof![0i16..1440, 0i16..240];
    let one = (minute.clone(), proptest::option::of(minute), 0usize..4);
    proptest::collection::vec(one, 1..4).prop_map(|mut cuts| {
        cuts.sort_unstable();
        cuts.dedup_by_key(|(cut_off, ..)| *cut_off);
        for (cut_off, settles, after_days) in &mut cuts {
            if *after_days == 0 {
                *settles = settles.map(|at| at.max(*cut_off));
            }
        }
        cuts
    })
}

fn thrown() -> impl Strategy<Value = Thrown> {
    let zones = ["Europe/Berlin", "America/New_York", "America/Santiago", "Australia/Lord_Howe", "UTC"];
    // Near the changes of the clock of these zones, and elsewhere.
    let days =
        [date(2026, 3, 20), date(2026, 10, 18), date(2026, 4, 1), date(2026, 8, 30), date(2027, 12, 20)];
    let from = (proptest::sample::select(days.to_vec()), 0i64..12).prop_map(|(day, n)| day + n.days());
    (
        proptest::sample::select(zones.to_vec()),
        from,
        1usize..16,
        proptest::collection::btree_set(0i8..7, 0..4),
        proptest::collection::vec(0usize..16, 0..6),
        cuts(),
        proptest::option::of((0usize..16, cuts())),
    )
        .prop_map(|(zone, from, len, weekend, holidays, cycles, short)| {
            let day = |n: usize| from + (n as i64).days();
            let weekend: Vec<Weekday> =
                weekend.into_iter().map(|at| Weekday::from_monday_zero_offset(at).unwrap()).collect();
            let holidays = holidays.into_iter().filter(|n| *n < len).map(day).collect();
            let mut thrown = Thrown { zone, from, len, weekend, holidays, cycles, short: None };
            let short = short.map(|(n, cycles)| (day(n % len), cycles));
            thrown.short = short.filter(|(day, _)| thrown.is_business(*day));
            thrown
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    /// A compiled table comes to what days walked one by one under a clock come to.
    #[test]
    fn a_table_is_its_days_walked_one_by_one(
        thrown in thrown(),
        asked in proptest::collection::vec((0i64..18 * 86_400_000, -1i64..2), 24),
    ) {
        let oracle = Oracle::new(&thrown);
        let calendar = match parse("c.toml", &thrown.text(), "c") {
            Ok(calendar) => calendar,
            Err(error) => {
                // Only where no day is left that has a cut-off which settles within its days.
                prop_assert!(error.message.contains("has no cut-off"), "{}", error);
                let asked = oracle.clock.values().flatten();
                prop_assert!(asked.step_by(60).all(|(ms, _)| oracle.settles_ms(&thrown, *ms).is_none()));
                return Ok(());
            }
        };
        let begin = oracle.clock.values().next().unwrap()[0].0;
        let edges: Vec<i64> = cycles(&calendar).iter().map(|cycle| cycle.before_ms).collect();
        for (at, near) in asked {
            // Anywhere, and just before, at and just after a cut-off.
            let edge = edges[usize::try_from(at).unwrap() % edges.len()] + near;
            for at in [begin + at, edge, calendar.from_ms + near, calendar.until_ms + near] {
                prop_assert_eq!(calendar.settles_ms(at), oracle.settles_ms(&thrown, at), "at {}", at);
            }
        }
    }
}

#[test]
fn a_file_reads_the_same_twice() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/calendars/target.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(parse("a", &text, "t").unwrap(), super::read(&path, "t").unwrap());
    assert_eq!(read("a", &text).unwrap().version, "2026-1");
}
