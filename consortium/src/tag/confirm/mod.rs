//! Confirmation, for the member: a hit of the prefilter is a candidate until its exact tag is known; from the cache, or
//! in batches from the tag service. A state machine without a clock: what is late, has failed or found no room gets the
//! declared default. Of an identifier nothing is kept but its keyed tag once its batch is done with.

mod cache;
mod flight;

use super::keyed::check_canonical;
use super::oblivious::{Blinded, ServiceKey};
use super::random::Random;
use crate::error::{Error, ErrorKind, Result};
use crate::kind::Kind;
use crate::limits::{EVALUATE_ITEMS_MAX, TAG_VERSIONS_ALIVE_MAX};
use cache::Cache;
use flight::{Flight, State};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use zeroize::Zeroizing;

/// Bounds and times, of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Most answers kept, for each version of the tag key.
    pub answers_max: usize,
    /// Most identifiers of the own portfolio, for each version of the tag key.
    pub portfolio_max: usize,
    /// Most candidates that wait for an answer; a further one gets the default.
    pub waiting_max: usize,
    /// Most identifiers in a batch, at most `EVALUATE_ITEMS_MAX`.
    pub batch_max: usize,
    /// Most batches without an answer.
    pub in_flight_max: usize,
    /// How long an identifier waits for others to share its batch, in ms.
    pub gather_ms: u64,
    /// When a candidate gets the default, in ms after it was asked about.
    pub late_ms: u64,
    /// After how many ms without an answer a batch has failed.
    pub answer_ms: u64,
    /// How often a batch that failed is sent again.
    pub retries_max: u32,
    /// How long it waits before that, in ms; twice as long each time.
    pub retry_ms: u64,
}

impl Default for Settings {
    /// For a service in the same country: an answer within some tens of ms.
    fn default() -> Self {
        Settings {
            answers_max: 1 << 20,
            portfolio_max: 20_000_000,
            waiting_max: 4096,
            batch_max: EVALUATE_ITEMS_MAX,
            in_flight_max: 4,
            gather_ms: 2,
            late_ms: 250,
            answer_ms: 2000,
            retries_max: 2,
            retry_ms: 100,
        }
    }
}

/// What an epoch says of tags: its number, the version of the tag key and the service's public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochKeys {
    /// The epoch's number.
    pub epoch: u32,
    /// Version of the tag key that its rows are tagged under.
    pub tag_version: u32,
    /// Whose proofs count.
    pub service: ServiceKey,
}

/// Why a candidate gets the declared default instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// No answer within `late_ms`.
    Late,
    /// As many wait as may.
    Full,
    /// The service did not answer, however often it was asked.
    Failed,
    /// The service's answer does not hold: malformed, or the proof proves nothing.
    Refused,
    /// No epoch with this version of the tag key is in force.
    Version,
    /// The identifier is none that can be tagged.
    Identifier,
}

/// What is known of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// Its exact tag, to be looked up among the rows of its keyed tag; valid for epochs of this service key.
    Exact {
        /// The first 128 bits of the VOPRF.
        tag: u128,
        /// The service's public key that it was proven under.
        service: [u8; 32],
    },
    /// Nothing: what the configuration declares counts.
    Default(Why),
}

/// What was found out about an ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The number that it was asked under.
    pub ask: u64,
    /// What is known.
    pub confirmed: Confirmed,
}

/// What comes of an ask at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It is known, or never will be.
    Known(Confirmed),
    /// An [`Outcome`] will follow, at the latest `late_ms` after the ask.
    Waits,
}

/// A batch to be sent to the tag service, for the first time or again with the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// To be named with the answer.
    pub number: u64,
    /// How many items it is: what is metered.
    pub items: usize,
    /// Epoch, count and elements, to go behind the signed request.
    pub body: Vec<u8>,
}

/// What was counted since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Candidates asked about.
    pub asked: u64,
    /// Of them known from the cache.
    pub cached: u64,
    /// Items evaluated by the service.
    pub evaluated: u64,
    /// Batches sent, and how many of them again.
    pub sent: u64,
    /// Batches sent again.
    pub sent_again: u64,
    /// Candidates that got the default because they were late.
    pub late: u64,
    /// Because as many waited as may.
    pub full: u64,
    /// Because the service did not answer.
    pub failed: u64,
    /// Because its answer did not hold.
    pub refused: u64,
    /// For want of an epoch of their version, or of an identifier.
    pub no_epoch: u64,
}

/// One that waits: when it is late, and its ask.
type Waiter = (u64, u64);
/// Version of the tag key and keyed tag.
type Key = (u32, u128);

/// An identifier that no batch has yet.
struct Queued {
    tag: u128,
    kind: Kind,
    canonical: Zeroizing<String>,
    since_ms: u64,
}

struct Version {
    keys: EpochKeys,
    cache: Cache,
    queue: VecDeque<Queued>,
}

/// The member's confirmation.
pub struct Confirmer {
    settings: Settings,
    /// At most `TAG_VERSIONS_ALIVE_MAX`, by version.
    versions: BTreeMap<u32, Version>,
    /// What is queued or in a batch, and who waits for it.
    open: HashMap<Key, Vec<Waiter>>,
    late: BTreeSet<(u64, u64, Key)>,
    flights: BTreeMap<u64, Flight>,
    next_batch: u64,
    /// The latest time seen: a clock that is set back makes nothing late twice.
    now_ms: u64,
    counts: Counts,
}

impl std::fmt::Debug for Confirmer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Confirmer({} wait, {} batches in flight)", self.late.len(), self.flights.len())
    }
}

impl Confirmer {
    /// A confirmer that knows no epoch yet.
    ///
    /// # Errors
    /// `Invalid` for a batch of none or more than `EVALUATE_ITEMS_MAX`, or for no batch in flight.
    pub fn new(settings: Settings) -> Result<Confirmer> {
        if !(1..=EVALUATE_ITEMS_MAX).contains(&settings.batch_max) || settings.in_flight_max == 0 {
            let message =
                format!("confirmation: expected batches of 1 to {EVALUATE_ITEMS_MAX}, one or more in flight");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(Confirmer {
            settings,
            versions: BTreeMap::new(),
            open: HashMap::new(),
            late: BTreeSet::new(),
            flights: BTreeMap::new(),
            next_batch: 0,
            now_ms: 0,
            counts: Counts::default(),
        })
    }

    /// An epoch is in force. The newest two versions of the tag key stay alive; what is known under an older one, or
    /// under another key of the service, is dropped. Those who wait under a version that goes get the default.
    pub fn set_epoch(&mut self, keys: EpochKeys) -> Vec<Outcome> {
        let fresh = || Version { keys, cache: Cache::default(), queue: VecDeque::new() };
        let version = self.versions.entry(keys.tag_version).or_insert_with(fresh);
        if version.keys.service != keys.service {
            version.cache = Cache::default();
        }
        version.keys = keys;
        let mut outcomes = Vec::new();
        while self.versions.len() > TAG_VERSIONS_ALIVE_MAX {
            let Some((gone, version)) = self.versions.pop_first() else { break };
            for queued in version.queue {
                self.settle((gone, queued.tag), Confirmed::Default(Why::Version), &mut outcomes);
            }
        }
        outcomes
    }
    /// The versions of the tag key that are alive, oldest first.
    pub fn versions(&self) -> impl Iterator<Item = u32> {
        self.versions.keys().copied()
    }
    /// Makes an exact tag known ahead: of the own portfolio, evaluated in batches of its own at a rotation.
    ///
    /// # Errors
    /// `NotFound` for a version that is not alive; `TooLarge` past `portfolio_max`.
    pub fn prime(&mut self, tag_version: u32, tag: u128, exact: u128) -> Result<()> {
        let version = self.versions.get_mut(&tag_version).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("version {tag_version} of the tag key is not alive"))
        })?;
        version.cache.prime(tag, exact, self.settings.portfolio_max)
    }
    /// The exact tag where it is known: for whoever asks, and for the portfolio at a rotation of the tag key, which does
    /// not change it.
    pub fn known(&mut self, tag_version: u32, tag: u128) -> Option<u128> {
        self.versions.get_mut(&tag_version)?.cache.get(tag, self.settings.answers_max)
    }

    /// Asks about a candidate: an identifier whose keyed tag (whole, 128 bits) passed the prefilter. `ask` is the
    /// caller's number for it.
    pub fn ask(
        &mut self,
        ask: u64,
        kind: Kind,
        canonical: &str,
        (tag_version, tag): (u32, u128),
        now_ms: u64,
    ) -> Asked {
        self.see(now_ms);
        self.counts.asked += 1;
        let default = |why| Asked::Known(Confirmed::Default(why));
        let Some(version) = self.versions.get_mut(&tag_version) else {
            self.counts.no_epoch += 1;
            return default(Why::Version);
        };
        if let Some(exact) = version.cache.get(tag, self.settings.answers_max) {
            self.counts.cached += 1;
            return Asked::Known(Confirmed::Exact { tag: exact, service: *version.keys.service.bytes() });
        }
        if check_canonical(kind, canonical).is_err() {
            self.counts.no_epoch += 1;
            return default(Why::Identifier);
        }
        if self.late.len() >= self.settings.waiting_max {
            self.counts.full += 1;
            return default(Why::Full);
        }
        let (key, late_ms) = ((tag_version, tag), self.now_ms.saturating_add(self.settings.late_ms));
        let waiters = self.open.entry(key).or_insert_with(|| {
            let canonical = Zeroizing::new(canonical.to_owned());
            version.queue.push_back(Queued { tag, kind, canonical, since_ms: self.now_ms });
            Vec::new()
        });
        waiters.push((late_ms, ask));
        self.late.insert((late_ms, ask, key));
        Asked::Waits
    }

    /// The next batch to be sent, if one is due: one that failed and has waited, or a new one that is full or whose
    /// first item has waited for `gather_ms`. To be called until there is none.
    pub fn next_batch(&mut self, now_ms: u64, random: &mut Random<'_>) -> Option<Batch> {
        self.see(now_ms);
        let now_ms = self.now_ms;
        if let Some((number, flight)) = self.flights.iter_mut().find(|(_, flight)| flight.is_due(now_ms)) {
            self.counts.sent += 1;
            self.counts.sent_again += 1;
            return Some(flight.send(*number, now_ms));
        }
        if self.flights.len() >= self.settings.in_flight_max {
            return None;
        }
        let settings = &self.settings;
        let is_ready = |version: &&mut Version| {
            let waited =
                version.queue.front().is_some_and(|first| now_ms - first.since_ms >= settings.gather_ms);
            waited || version.queue.len() >= settings.batch_max
        };
        let version = self.versions.values_mut().find(is_ready)?;
        let count = version.queue.len().min(self.settings.batch_max);
        let items: Vec<Queued> = version.queue.drain(..count).collect();
        let identifiers = items.iter().map(|item| (item.kind, item.canonical.as_str()));
        let blinded = Blinded::new(identifiers, random).expect("within the bounds, as asked");
        let tags = items.iter().map(|item| item.tag).collect();
        let mut flight = Flight::new(version.keys, blinded, tags);
        let number = self.next_batch;
        self.next_batch += 1;
        self.counts.sent += 1;
        let batch = flight.send(number, now_ms);
        self.flights.insert(number, flight);
        Some(batch)
    }

    /// The service has answered a batch: evaluations and proof, which are checked.
    ///
    /// # Errors
    /// `NotFound` for a batch that is none or was given up. An answer that does not hold is no error here: those who
    /// wait get the default, and the second part says what is wrong with it.
    pub fn answered(
        &mut self,
        number: u64,
        answer: &[u8],
        now_ms: u64,
    ) -> Result<(Vec<Outcome>, Option<Error>)> {
        self.see(now_ms);
        let flight = self.take_flight(number)?;
        let mut outcomes = Vec::new();
        let exact = match flight.blinded.finish(answer, &flight.keys.service) {
            Ok(exact) => exact,
            Err(error) => {
                self.give_up(&flight, Why::Refused, &mut outcomes);
                return Ok((outcomes, Some(error)));
            }
        };
        self.counts.evaluated += exact.len() as u64;
        let service = flight.keys.service;
        for (tag, exact) in flight.tags.iter().zip(exact) {
            let version = self.versions.get_mut(&flight.keys.tag_version);
            if let Some(version) = version.filter(|version| version.keys.service == service) {
                version.cache.put(*tag, exact, self.settings.answers_max);
            }
            let key = (flight.keys.tag_version, *tag);
            self.settle(key, Confirmed::Exact { tag: exact, service: *service.bytes() }, &mut outcomes);
        }
        Ok((outcomes, None))
    }
    /// The service could not be asked, or refused: the batch is sent again as long as somebody waits and `retries_max`
    /// allows, else those who wait get the default.
    ///
    /// # Errors
    /// As [`Confirmer::answered`].
    pub fn failed(&mut self, number: u64, now_ms: u64) -> Result<Vec<Outcome>> {
        self.see(now_ms);
        let flight = self.take_flight(number)?;
        let mut outcomes = Vec::new();
        self.fail(number, flight, &mut outcomes);
        Ok(outcomes)
    }
    /// What has become late by now: asks, and batches without an answer, which have failed.
    pub fn tick(&mut self, now_ms: u64) -> Vec<Outcome> {
        self.see(now_ms);
        let mut outcomes = Vec::new();
        while let Some((late_ms, ask, key)) =
            self.late.first().copied().filter(|first| first.0 <= self.now_ms)
        {
            self.late.pop_first();
            self.counts.late += 1;
            outcomes.push(Outcome { ask, confirmed: Confirmed::Default(Why::Late) });
            if let Some(waiters) = self.open.get_mut(&key) {
                waiters.retain(|waiter| *waiter != (late_ms, ask));
            }
        }
        if !outcomes.is_empty() {
            self.forget_unwanted();
        }
        let unanswered = |flight: &Flight| flight.is_unanswered(self.now_ms, self.settings.answer_ms);
        let failed: Vec<u64> =
            self.flights.iter().filter(|(_, flight)| unanswered(flight)).map(|(number, _)| *number).collect();
        for number in failed {
            if let Some(flight) = self.flights.remove(&number) {
                self.fail(number, flight, &mut outcomes);
            }
        }
        outcomes
    }
    /// When something is due next without anything happening, in ms: a batch to be sent, or [`Confirmer::tick`].
    pub fn next_due_ms(&self) -> Option<u64> {
        let may_send = self.flights.len() < self.settings.in_flight_max;
        let gathered = |version: &Version| {
            let first = version.queue.front().filter(|_| may_send)?;
            let is_full = version.queue.len() >= self.settings.batch_max;
            Some(if is_full { self.now_ms } else { first.since_ms.saturating_add(self.settings.gather_ms) })
        };
        let late = self.late.first().map(|first| first.0);
        let flights = self.flights.values().map(|flight| flight.due_ms(self.settings.answer_ms));
        self.versions.values().filter_map(gathered).chain(late).chain(flights).min()
    }
    /// How many wait for an answer.
    pub fn waiting(&self) -> usize {
        self.late.len()
    }
    /// How many exact tags are known, over all versions.
    pub fn cached(&self) -> usize {
        self.versions.values().map(|version| version.cache.len()).sum()
    }
    /// What was counted.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn see(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
    }
    fn take_flight(&mut self, number: u64) -> Result<Flight> {
        self.flights.remove(&number).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("batch {number} is none, or was given up or answered"))
        })
    }
    fn fail(&mut self, number: u64, mut flight: Flight, outcomes: &mut Vec<Outcome>) {
        let key = |tag: &u128| (flight.keys.tag_version, *tag);
        let is_wanted = flight.tags.iter().any(|tag| self.open.get(&key(tag)).is_some_and(|w| !w.is_empty()));
        if !is_wanted || flight.sent > self.settings.retries_max {
            self.give_up(&flight, Why::Failed, outcomes);
            return;
        }
        let doubled = self.settings.retry_ms.saturating_mul(1 << (flight.sent - 1).min(20));
        flight.state = State::Due { at_ms: self.now_ms.saturating_add(doubled) };
        self.flights.insert(number, flight);
    }
    fn give_up(&mut self, flight: &Flight, why: Why, outcomes: &mut Vec<Outcome>) {
        for tag in &flight.tags {
            self.settle((flight.keys.tag_version, *tag), Confirmed::Default(why), outcomes);
        }
    }
    /// Everybody who waits for an identifier gets this, and it is open no longer.
    fn settle(&mut self, key: Key, confirmed: Confirmed, outcomes: &mut Vec<Outcome>) {
        for (late_ms, ask) in self.open.remove(&key).unwrap_or_default() {
            self.late.remove(&(late_ms, ask, key));
            match confirmed {
                Confirmed::Default(Why::Failed) => self.counts.failed += 1,
                Confirmed::Default(Why::Refused) => self.counts.refused += 1,
                Confirmed::Default(_) => self.counts.no_epoch += 1,
                Confirmed::Exact { .. } => {}
            }
            outcomes.push(Outcome { ask, confirmed });
        }
    }
    /// Drops identifiers that no batch has and nobody waits for. A batch on its way keeps its own until it is answered:
    /// the answer is paid for, and the next payment finds it in the cache.
    fn forget_unwanted(&mut self) {
        let open = &mut self.open;
        for (number, version) in &mut self.versions {
            version.queue.retain(|queued| {
                let key = (*number, queued.tag);
                let is_wanted = open.get(&key).is_some_and(|waiters| !waiters.is_empty());
                if !is_wanted {
                    open.remove(&key);
                }
                is_wanted
            });
        }
    }
}

#[cfg(test)]
mod tests;
