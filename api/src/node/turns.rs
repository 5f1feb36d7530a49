//! Whose request is decided next, before anything is spent on it: a queue each tenant, served by weight, as long as a
//! turn comes in time. What has no time for a verdict is answered by a default or refused, in a small part of the time;
//! past that it waits, owed an answer, and its connection is not read. Whoever calls has clock, socket and task.

use super::fair::Fair;
use super::pace::Average;
use interdict_engine::limits::{INTAKE_JOBS_MAX, INTAKE_TENANTS_MAX};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is no verdict (a default, a refusal) has this part of the time, be others waiting or late. Without a bound it
/// feeds itself: who is refused asks again at once, and 2,000 connections that only are refused take a core.
const LESSER_PART: u64 = 8;
/// What of that is saved up: so many turns, and at least so many ns. It is spent all at once, and whoever has a turn next
/// waits for that.
const SAVED_TURNS: u64 = 4;
const SAVED_NS: u64 = 500_000;
/// Answering is measured; reading what is refused, and the kernel's part of both, take about as long again.
const REFUSAL_TIMES: u64 = 2;
/// Turns that one measurement of their pace is taken over; fewer are a batch, which comes all at once.
const MEASURED_TURNS: u32 = 32;
/// A turn is promised for so many quarters of what is left of a deadline at most: the rest is for what comes between,
/// since a promise that is not kept costs twice.
const PROMISED_QUARTERS: u32 = 3;
/// Whoever is owed an answer for so long has it next.
const OWED_MAX: Duration = Duration::from_millis(500);

/// What a request gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// To be read and decided.
    Full,
    /// To be read and answered by declared defaults.
    Default,
    /// To be refused as it is.
    Refused,
}

/// A request that asks for its turn.
#[derive(Debug)]
pub struct Asking<T> {
    /// When it came.
    pub came: Instant,
    /// When its answer must be there; `None`: no matter when.
    pub deadline: Option<Instant>,
    /// Whoever is told.
    pub token: T,
}

/// What is known of the machine at the moment.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// The time.
    pub at: Instant,
    /// Requests that were let in and that nobody has begun to decide.
    pub inside: usize,
    /// ns from one turn to the next, where none was measured yet.
    pub guess_ns: u64,
    /// ns that a verdict needs from its end to its caller.
    pub tail_ns: u64,
}

/// Everybody who waits to be read.
#[derive(Debug)]
pub struct Turns<T> {
    fair: Fair<Arc<str>, Asking<T>>,
    owed: VecDeque<Asking<T>>,
    /// Most that may be inside at once.
    room: usize,
    /// Threads that read.
    threads: u64,
    /// What there is for lesser answers, and until when it was reckoned.
    credit_ns: u64,
    earned: Option<Instant>,
    /// From one turn to the next while others wait, everything that happens between included.
    pace: Average,
    refusal: Average,
    measured: Option<(Instant, u32)>,
    /// Turns given: to be decided, by defaults, refused.
    pub given: [u64; 3],
}

impl<T> Turns<T> {
    /// Nobody waits; so many may be inside at once, read by so many threads.
    pub fn new(room: usize, threads: usize) -> Turns<T> {
        Turns {
            fair: Fair::new(INTAKE_TENANTS_MAX),
            owed: VecDeque::new(),
            room: room.max(1),
            threads: threads.max(1) as u64,
            credit_ns: 0,
            earned: None,
            pace: Average::default(),
            refusal: Average::default(),
            measured: None,
            given: [0; 3],
        }
    }
    /// How many wait: for a turn, and for an answer that they are owed.
    pub fn waiting(&self) -> (usize, usize) {
        (self.fair.len(), self.owed.len())
    }
    /// ns from one turn to the next.
    pub fn pace_ns(&self, guess_ns: u64) -> u64 {
        match self.pace.ns() {
            0 => guess_ns.max(1),
            ns => ns,
        }
    }
    /// A refusal took so long.
    pub fn refused_in(&self, took: Duration) {
        self.refusal.note(took.as_nanos() as u64);
    }

    /// Somebody asks: told at once, or later by [`Turns::next`].
    pub fn ask(&mut self, tenant: &Arc<str>, weight: u32, asking: Asking<T>, now: Now) -> Option<(T, Turn)> {
        self.earn(now);
        if self.fair.is_empty() {
            self.measured = None;
        }
        let is_late = asking.deadline.is_some_and(|deadline| deadline <= now.at);
        if !is_late && self.fair.is_empty() && now.inside < self.room {
            return Some(self.give(asking, Turn::Full));
        }
        let ahead = self.fair.ahead(tenant, weight) + now.inside;
        let is_in_time = asking.deadline.is_none_or(|deadline| {
            let left = deadline.saturating_duration_since(now.at);
            self.until_verdict(ahead, now) <= left * PROMISED_QUARTERS / 4
        });
        if !is_in_time || self.fair.len() >= INTAKE_JOBS_MAX {
            return self.lesser(asking, is_late, now);
        }
        match self.fair.push(tenant.clone(), weight, asking) {
            Ok(()) => None,
            Err(asking) => self.lesser(asking, true, now),
        }
    }
    /// How long until the verdict of a request that so many go before; as many as there is room for may be in hand.
    fn until_verdict(&self, ahead: usize, now: Now) -> Duration {
        let turns = (ahead + self.room + 1) as u64;
        Duration::from_nanos(turns * self.pace_ns(now.guess_ns) + now.tail_ns)
    }
    /// A default, a refusal, or neither yet.
    fn lesser(&mut self, asking: Asking<T>, is_late: bool, now: Now) -> Option<(T, Turn)> {
        // A default is read, sequenced, written and finished later: with all of that it takes a turn of its own. It gets
        // what refusals leave of the time.
        let default_ns = self.pace_ns(now.guess_ns);
        let is_spare = self.owed.is_empty() && self.credit_ns >= default_ns + self.saved_max_ns(now) / 2;
        if !is_late && is_spare {
            self.credit_ns -= default_ns;
            return Some(self.give(asking, Turn::Default));
        }
        if self.credit_ns >= self.refusal_ns() {
            return Some(self.refuse(asking));
        }
        self.owed.push_back(asking);
        None
    }
    fn saved_max_ns(&self, now: Now) -> u64 {
        self.threads * SAVED_NS.max(SAVED_TURNS * self.pace_ns(now.guess_ns))
    }
    fn refusal_ns(&self) -> u64 {
        (REFUSAL_TIMES * self.refusal.ns()).max(1)
    }
    fn refuse(&mut self, asking: Asking<T>) -> (T, Turn) {
        self.credit_ns = self.credit_ns.saturating_sub(self.refusal_ns());
        self.give(asking, Turn::Refused)
    }
    fn earn(&mut self, now: Now) {
        let max_ns = self.saved_max_ns(now);
        self.credit_ns = match self.earned {
            None => max_ns,
            Some(from) => {
                let passed_ns = now.at.saturating_duration_since(from).as_nanos() as u64;
                max_ns.min(self.credit_ns + (self.threads * passed_ns / LESSER_PART))
            }
        };
        self.earned = self.earned.max(Some(now.at));
    }
    fn give(&mut self, asking: Asking<T>, turn: Turn) -> (T, Turn) {
        self.given[turn as usize] += 1;
        (asking.token, turn)
    }

    /// The next one to be told, if anybody can be told now; to be called until there is none.
    pub fn next(&mut self, now: Now) -> Option<(T, Turn)> {
        self.earn(now);
        let late = |turns: &Turns<T>, asking: &Asking<T>| {
            asking.deadline.is_some_and(|deadline| now.at + turns.until_verdict(now.inside, now) > deadline)
        };
        if now.inside < self.room
            && let Some(asking) = self.fair.take()
        {
            if late(self, &asking) {
                // It has waited for a promise that was not kept: whatever the credit, it is told in time.
                return Some(self.refuse(asking));
            }
            self.took_turn(now);
            return Some(self.give(asking, Turn::Full));
        }
        // The newest may still be answered in time; the oldest is late anyway, but must not wait for ever.
        let is_overdue = |asking: &Asking<T>| now.at.saturating_duration_since(asking.came) >= OWED_MAX;
        let is_free = now.inside < self.room;
        if is_free && self.owed.back().is_some_and(|newest| !late(self, newest)) {
            let newest = self.owed.pop_back()?;
            return Some(self.give(newest, Turn::Full));
        }
        if self.credit_ns < self.refusal_ns() {
            return None;
        }
        let asking = match self.owed.front() {
            Some(oldest) if is_overdue(oldest) => self.owed.pop_front(),
            _ => self.owed.pop_back(),
        }?;
        Some(self.refuse(asking))
    }
    fn took_turn(&mut self, now: Now) {
        self.measured = match self.measured {
            // What comes after the last of those that wait comes when it will.
            _ if self.fair.is_empty() => None,
            None => Some((now.at, 0)),
            Some((from, turns)) if turns + 1 < MEASURED_TURNS => Some((from, turns + 1)),
            Some((from, turns)) => {
                let took = now.at.saturating_duration_since(from);
                self.pace.note(took.as_nanos() as u64 / u64::from(turns + 1));
                Some((now.at, 0))
            }
        };
    }
}
