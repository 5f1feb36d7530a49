//! A calendar as the engine has it: integers only. Time zones, weekends and holidays were applied when the
//! configuration was read (`interdict_ingest::calendars`, docs/formats/calendar.md).

use crate::error::{Error, ErrorKind};
use crate::limits::CALENDAR_ENTRIES_MAX;
use serde::{Deserialize, Serialize};

/// One cut-off of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cycle {
    /// What is accepted before this moment, and not before the cut-off that comes earlier, …, ms since the Unix epoch.
    pub before_ms: i64,
    /// … settles at this one, ms since the Unix epoch.
    pub settles_ms: i64,
}

/// When what is accepted settles.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Table {
    /// At cut-offs, in their order.
    Cycles(Vec<Cycle>),
    /// At any time, so many ms after it was accepted.
    After(i64),
}

/// A calendar, compiled.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Calendar {
    /// Its name in the configuration.
    pub name: String,
    /// Its version, as its file says.
    pub version: String,
    /// The first moment it says something of, ms since the Unix epoch.
    pub from_ms: i64,
    /// The first it says nothing of any more, ms since the Unix epoch.
    pub until_ms: i64,
    /// Its cut-offs.
    pub table: Table,
}

/// Where a cut-off comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CutOffFrom {
    /// The payment says when it settles.
    Said,
    /// A calendar.
    Calendar,
    /// No calendar is for the payment: so long after its arrival.
    Default,
    /// The calendar that is for the payment says nothing of the time it came at: as the default. Worth an alarm, since
    /// a calendar that has run out is to be replaced.
    OutOfCalendar,
}

impl CutOffFrom {
    /// All of them.
    pub const ALL: [CutOffFrom; 4] = [Self::Said, Self::Calendar, Self::Default, Self::OutOfCalendar];
    /// Its name, as in metrics and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Said => "said",
            Self::Calendar => "calendar",
            Self::Default => "default",
            Self::OutOfCalendar => "out_of_calendar",
        }
    }
}

/// When a payment settles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CutOff {
    /// From this moment on nothing but a recall helps, ms since the Unix epoch.
    pub at_ms: i64,
    /// Who says so.
    pub from: CutOffFrom,
}

impl Calendar {
    /// When a payment that was accepted at a time settles, ms since the Unix epoch; `None`: the calendar does not reach
    /// that time, or its last cut-off was before.
    pub fn settles_ms(&self, accepted_ms: i64) -> Option<i64> {
        if !(self.from_ms..self.until_ms).contains(&accepted_ms) {
            return None;
        }
        match &self.table {
            Table::After(ms) => accepted_ms.checked_add(*ms),
            Table::Cycles(cycles) => {
                let next = cycles.partition_point(|cycle| cycle.before_ms <= accepted_ms);
                cycles.get(next).map(|cycle| cycle.settles_ms)
            }
        }
    }

    /// Whether it is one that can be searched: within its bounds, in order, nothing settled before its cut-off.
    ///
    /// # Errors
    /// `TooLarge` or `Invalid`, with what is wrong.
    pub fn check(&self) -> Result<(), Error> {
        let Calendar { name, from_ms, until_ms, .. } = self;
        let wrong = |what: &str| Err(Error::new(ErrorKind::Invalid, format!("calendar {name:?}: {what}")));
        if from_ms >= until_ms {
            return wrong("it is valid at no time");
        }
        let cycles = match &self.table {
            Table::After(ms) if *ms < 0 => return wrong("settles before it is accepted"),
            Table::After(_) => return Ok(()),
            Table::Cycles(cycles) => cycles,
        };
        if cycles.len() > CALENDAR_ENTRIES_MAX {
            let message =
                format!("calendar {name:?}: {} cut-offs, limit {CALENDAR_ENTRIES_MAX}", cycles.len());
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        if cycles.is_empty() {
            return wrong("it has no cut-off");
        }
        if !cycles.is_sorted_by(|a, b| a.before_ms < b.before_ms) {
            return wrong("its cut-offs are not in order");
        }
        if cycles.iter().any(|cycle| cycle.settles_ms < cycle.before_ms) {
            return wrong("something settles before its cut-off");
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(table: Table, from_ms: i64, until_ms: i64) -> Calendar {
        Calendar { name: "c".into(), version: "1".into(), from_ms, until_ms, table }
    }

    #[test]
    fn just_before_a_cut_off_at_it_and_past_the_last() {
        let cycle = |before_ms, settles_ms| Cycle { before_ms, settles_ms };
        let calendar = of(Table::Cycles(vec![cycle(10, 15), cycle(20, 20), cycle(30, 99)]), 5, 40);
        calendar.check().unwrap();
        let told = [4, 5, 9, 10, 19, 20, 29, 30, 39, 40].map(|ms| calendar.settles_ms(ms));
        let expected = [None, Some(15), Some(15), Some(20), Some(20), Some(99), Some(99), None, None, None];
        assert_eq!(told, expected);
        let instant = of(Table::After(10), 5, 40);
        assert_eq!([4, 5, 39, 40].map(|ms| instant.settles_ms(ms)), [None, Some(15), Some(49), None]);
    }

    #[test]
    fn what_cannot_be_searched_is_refused() {
        let cycles = |pairs: &[(i64, i64)]| {
            let cycles = pairs
                .iter()
                .map(|(before_ms, settles_ms)| Cycle { before_ms: *before_ms, settles_ms: *settles_ms });
            Table::Cycles(cycles.collect())
        };
        let long: Vec<(i64, i64)> = (0..=CALENDAR_ENTRIES_MAX as i64).map(|at| (at, at)).collect();
        for (table, until_ms, expected) in [
            (cycles(&[(1, 1)]), 0, "at no time"),
            (Table::After(-1), 9, "before it is accepted"),
            (cycles(&[]), 9, "no cut-off"),
            (cycles(&[(2, 2), (2, 3)]), 9, "order"),
            (cycles(&[(2, 1)]), 9, "settles before"),
            (cycles(&long), 9, "limit 65536"),
        ] {
            let error = of(table, 0, until_ms).check().unwrap_err();
            assert!(error.message.contains(expected), "{error}");
        }
    }

    proptest! {
        /// The search comes to what walking the table comes to.
        #[test]
        fn the_search_is_a_walk(
            steps in proptest::collection::vec((1i64..50, 0i64..200), 1..60),
            at in -10i64..2000,
        ) {
            let mut before_ms = 0;
            let cycles: Vec<Cycle> = steps.iter().map(|(step, wait)| {
                before_ms += step;
                Cycle { before_ms, settles_ms: before_ms + wait }
            }).collect();
            let walked = cycles.iter().find(|cycle| at < cycle.before_ms).map(|cycle| cycle.settles_ms);
            let calendar = of(Table::Cycles(cycles), 0, 1500);
            calendar.check().unwrap();
            prop_assert_eq!(calendar.settles_ms(at), walked.filter(|_| (0..1500).contains(&at)));
        }
    }
}
