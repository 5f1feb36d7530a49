//! Candidates are confirmed: the exact tag of each is asked of the tag service, in batches, or is known already, and looked
//! up in the epoch. A payment is told once all of its candidates are settled. What the service does not answer is asked
//! again later, until the payment settles: then the node itself says that it is late.

use super::epochs::Epoch;
use super::figures::Figures;
use crate::alliance::member::session::now_ms;
use crate::alliance::member::{Session, query};
use crate::node::Node;
use crate::node::finish::confirm::{Answer, Candidate};
use anyhow::Result;
use interdict_consortium::epoch::Snapshot;
use interdict_consortium::kind::Kind;
use interdict_consortium::signal::{Key, Tags};
use interdict_consortium::tag::confirm::{Asked, Confirmed, Confirmer, EpochKeys, Settings, Why};
use interdict_consortium::tag::oblivious::ServiceKey;
use interdict_consortium::tag::random::Random;
use interdict_engine::domain::{Confirmation, SubjectKind};
use std::collections::{BTreeMap, HashMap};

/// Payments looked at in a step.
const PAYMENTS_MAX: usize = 1024;
/// How long a candidate waits for an answer before it is asked about anew, in ms.
const LATE_MS: u64 = 10_000;
/// How long an ask that came to nothing rests before the next, in ms.
const REST_MS: u64 = 5_000;

/// What is asked, and what is known of payments that wait.
pub(super) struct Confirming {
    confirmer: Confirmer,
    /// By the number of an ask: payment and field.
    asks: HashMap<u64, (u64, u8)>,
    next_ask: u64,
    payments: BTreeMap<u64, Waiting>,
}

/// A payment that waits.
struct Waiting {
    candidates: Vec<Candidate>,
    /// By place among the candidates.
    states: Vec<State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be asked from a time on, ms since the Unix epoch.
    Open { from_ms: u64 },
    /// Asked.
    Asked,
    /// Known.
    Settled { listed: bool },
    /// Never to be known: the identifier is gone, or its version of the key.
    Lost,
}

impl Confirming {
    pub fn new(gather_ms: u64) -> Result<Confirming> {
        let settings = Settings { gather_ms, late_ms: LATE_MS, ..Settings::default() };
        let confirmer = Confirmer::new(settings)?;
        Ok(Confirming { confirmer, asks: HashMap::new(), next_ask: 0, payments: BTreeMap::new() })
    }
    /// Another epoch: what was settled by the one before is looked up again, from the answers that are kept.
    pub fn set_epoch(&mut self, epoch: &Epoch) -> Result<()> {
        let number = u32::try_from(epoch.manifest.number)?;
        for key in &epoch.manifest.tag_keys {
            let service = ServiceKey::from_bytes(&key.voprf)?;
            let keys = EpochKeys { epoch: number, tag_version: key.version, service };
            for outcome in self.confirmer.set_epoch(keys) {
                self.asks.remove(&outcome.ask);
            }
        }
        self.payments.clear();
        self.asks.clear();
        Ok(())
    }

    /// Takes what waits, asks, and tells what is known.
    pub fn step(&mut self, node: &Node, session: &mut Session, epoch: &Epoch, figures: &Figures) {
        if node.confirming() == 0 && self.payments.is_empty() {
            return;
        }
        let snapshot = match epoch.snapshot() {
            Ok(snapshot) => snapshot,
            Err(error) => {
                figures.failed("confirm");
                tracing::error!(
                    error = format!("{error:#}"),
                    "consortium: the epoch in memory does not read"
                );
                return;
            }
        };
        self.take(node);
        self.ask(&snapshot);
        self.send(session, epoch, &snapshot, figures);
        for outcome in self.confirmer.tick(now_ms()) {
            self.settle(outcome.ask, outcome.confirmed, &snapshot);
        }
        self.tell(node);
        figures.confirming(self.confirmer.counts());
    }
    /// Takes the payments that wait in the node, and forgets those that no longer do.
    fn take(&mut self, node: &Node) {
        let waiting = node.candidates(0, PAYMENTS_MAX);
        let mut fresh: BTreeMap<u64, Waiting> = BTreeMap::new();
        for candidate in waiting {
            let sequence = candidate.sequence;
            if let Some(known) = self.payments.remove(&sequence) {
                fresh.insert(sequence, known);
            }
            let entry = fresh
                .entry(sequence)
                .or_insert_with(|| Waiting { candidates: Vec::new(), states: Vec::new() });
            if entry
                .candidates
                .iter()
                .all(|one| (one.field, one.version) != (candidate.field, candidate.version))
            {
                entry.candidates.push(candidate);
                entry.states.push(State::Open { from_ms: 0 });
            }
        }
        self.payments = fresh;
    }
    fn ask(&mut self, snapshot: &Snapshot<'_>) {
        let now_ms = now_ms();
        for (sequence, payment) in &mut self.payments {
            for (candidate, state) in payment.candidates.iter().zip(&mut payment.states) {
                if !matches!(*state, State::Open { from_ms } if from_ms <= now_ms) {
                    continue;
                }
                let Some(kind) = kind_of(candidate.kind) else {
                    *state = State::Lost;
                    continue;
                };
                let tagged = (candidate.version, candidate.tag.0);
                if let Some(exact) = self.confirmer.known(tagged.0, tagged.1) {
                    *state = State::Settled { listed: is_listed(candidate, exact, snapshot) };
                    continue;
                }
                let Some(identifier) = &candidate.identifier else {
                    *state = State::Lost;
                    continue;
                };
                let ask = self.next_ask;
                self.next_ask += 1;
                *state = match self.confirmer.ask(ask, kind, identifier.canonical(), tagged, now_ms) {
                    Asked::Waits => {
                        self.asks.insert(ask, (*sequence, candidate.field as u8));
                        State::Asked
                    }
                    Asked::Known(confirmed) => state_of(confirmed, candidate, snapshot, now_ms),
                };
            }
        }
    }
    fn send(&mut self, session: &mut Session, epoch: &Epoch, snapshot: &Snapshot<'_>, figures: &Figures) {
        let mut fill = |bytes: &mut [u8]| getrandom::fill(bytes).expect("the system has randomness");
        while let Some(batch) = self.confirmer.next_batch(now_ms(), &mut Random::new(&mut fill)) {
            let number = epoch.manifest.number as u32;
            let outcomes = match query::evaluate(session, number, batch.items, &batch.body) {
                Ok((response, _)) => match self.confirmer.answered(batch.number, &response, now_ms()) {
                    Ok((outcomes, wrong)) => {
                        if let Some(wrong) = wrong {
                            figures.failed("confirm");
                            tracing::error!(error = %wrong, "consortium: the tag service's answer proves nothing");
                        }
                        outcomes
                    }
                    Err(_) => Vec::new(),
                },
                Err(error) => {
                    figures.failed("confirm");
                    tracing::warn!(error = format!("{error:#}"), "consortium: nothing was confirmed");
                    self.confirmer.failed(batch.number, now_ms()).unwrap_or_default()
                }
            };
            for outcome in outcomes {
                self.settle(outcome.ask, outcome.confirmed, snapshot);
            }
        }
    }
    fn settle(&mut self, ask: u64, confirmed: Confirmed, snapshot: &Snapshot<'_>) {
        let Some((sequence, field)) = self.asks.remove(&ask) else { return };
        let Some(payment) = self.payments.get_mut(&sequence) else { return };
        for (candidate, state) in payment.candidates.iter().zip(&mut payment.states) {
            if candidate.field as u8 == field && *state == State::Asked {
                *state = state_of(confirmed, candidate, snapshot, now_ms());
            }
        }
    }
    /// Tells the node of each payment of which all is known that will be.
    fn tell(&mut self, node: &Node) {
        self.payments.retain(|sequence, payment| {
            let is_over = |state: &State| matches!(state, State::Settled { .. } | State::Lost);
            if !payment.states.iter().all(is_over) {
                return true;
            }
            // A field has one identifier: under two versions of the key it is listed if it is under either.
            let mut fields: BTreeMap<u8, bool> = BTreeMap::new();
            for (candidate, state) in payment.candidates.iter().zip(&payment.states) {
                if let State::Settled { listed } = state {
                    *fields.entry(candidate.field as u8).or_default() |= listed;
                }
            }
            let answer = match fields.is_empty() {
                true => Answer::Late,
                false => Answer::Said(
                    fields.into_iter().map(|(field, listed)| Confirmation { field, listed }).collect(),
                ),
            };
            node.confirm(*sequence, answer);
            false
        });
    }
}

fn state_of(confirmed: Confirmed, candidate: &Candidate, snapshot: &Snapshot<'_>, now_ms: u64) -> State {
    match confirmed {
        Confirmed::Exact { tag, .. } => State::Settled { listed: is_listed(candidate, tag, snapshot) },
        Confirmed::Default(Why::Version | Why::Identifier) => State::Lost,
        Confirmed::Default(_) => State::Open { from_ms: now_ms + REST_MS },
    }
}

/// Whether the epoch has a row of the candidate's cut tag and this exact tag.
fn is_listed(candidate: &Candidate, exact: u128, snapshot: &Snapshot<'_>) -> bool {
    let Some(kind) = kind_of(candidate.kind) else { return false };
    let bits = snapshot.header().kind(kind).map_or(0, |shape| shape.bits);
    let tags = Tags { tag: candidate.tag.0.to_be_bytes(), exact: exact.to_be_bytes() }.cut_to(bits);
    snapshot.find(&Key { kind, key_version: candidate.version, tags }).is_some()
}

fn kind_of(kind: SubjectKind) -> Option<Kind> {
    Kind::by_number(kind as u8).ok()
}
