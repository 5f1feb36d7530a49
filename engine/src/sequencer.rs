//! The one owner of all mutable state of the path: order, identity, features, and which generation is in force.
//! Sans-I/O: submissions in, stamped records and work out; time comes with the submissions.

use crate::domain::{Accepted, Body, ClearState, Event, GenerationId, Opened, Transaction};
use crate::error::{Error, ErrorKind};
use crate::features::{FeatureState, FollowKind, FollowUp, Found, StateLimits};
use crate::generation::{Generation, View};
use crate::identity::{Cold, Identity, IdentityLimits, Seen};
use crate::image::{Reader, Writer};
use crate::keys::Keys;
use crate::limits::{CLEAR_EVENT_MAX, REFERS_MAX};
use crate::settlement::{self, Book, BookLimits, Labelled, TakenBack};
use crate::similarity::vectors::{Banks, Prints};
use crate::waiting::{FollowUps, Waiting, WaitingLimits};
use std::sync::Arc;

/// The engine's version, stamped into every accepted record.
pub const ENGINE: &str = env!("CARGO_PKG_VERSION");

/// An event with what identifies it and what it refers to.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The event.
    pub event: Event,
    /// The identity's key; `None` when the payment has none.
    pub identity: Option<u128>,
    /// A second key: the one its `id` alone would give, where a client's header key won over it, else the one of its
    /// ISO 8583 elements. Labels and reversals name a payment by either.
    pub alias: Option<u128>,
    /// Digest of what identity compares.
    pub payment_digest: u128,
    /// The payment the event refers to (a reversal's original, a label's payment). A label that names a sequence
    /// carries it in its body instead.
    pub refers_to: Option<Refers>,
}

/// The identities that a payment referred to may have, the likeliest first: an id may be that of a request, an advice,
/// a completion or a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refers(Vec<u128>);

impl Refers {
    /// Some identities; past [`REFERS_MAX`] they are left out.
    pub fn new(keys: impl IntoIterator<Item = u128>) -> Refers {
        Refers(keys.into_iter().take(REFERS_MAX).collect())
    }
    /// The identities.
    pub fn keys(&self) -> &[u128] {
        &self.0
    }
}

impl From<u128> for Refers {
    fn from(key: u128) -> Refers {
        Refers(vec![key])
    }
}

/// What a submission became.
#[derive(Debug)]
pub enum Taken {
    /// To be decided by a lane.
    Work(Work),
    /// Taken note of; nothing is to be decided.
    Noted(Box<Accepted>),
    /// The same payment again: its verdict is the one of this sequence.
    Same(u64),
    /// A different payment under a known key.
    Different(u64),
    /// Not taken; the state is as it was.
    Refused(Error),
}

/// One transaction for a lane: what was accepted, and everything it is judged by.
#[derive(Debug, Clone)]
pub struct Work {
    /// The stamped transaction.
    pub accepted: Box<Accepted>,
    /// The generation, the overlay and the banks it sees.
    pub view: Arc<View>,
    /// The transaction as each bank compares it; `None` where the generation has no banks.
    pub prints: Option<Arc<Prints>>,
}

impl Work {
    /// The transaction.
    pub fn transaction(&self) -> &Transaction {
        match &self.accepted.event.body {
            Body::Payment(tx) => tx,
            _ => unreachable!("only payments become work"),
        }
    }
}

/// Bounds of the sequencer's state.
#[derive(Debug, Clone, Copy)]
pub struct SequencerLimits {
    /// Of the feature state.
    pub features: StateLimits,
    /// Of the identity tables.
    pub identity: IdentityLimits,
}

/// Counts of what happened, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SequencerCounts {
    /// Labels, reversals and completions that have not met their payment and will not: it is not known (any more), or
    /// did not come in time.
    pub unmatched: u64,
    /// What became of reversals and completions.
    pub follow_ups: FollowUps,
    /// Features that a recovery computed otherwise than the journal says.
    pub restored_differently: u64,
}

/// The sequencer.
pub struct Sequencer {
    last_sequence: u64,
    identity: Identity,
    features: FeatureState,
    waiting: Waiting,
    banks: Banks,
    book: Book,
    view: Arc<View>,
    keys: Keys,
    /// Of what is in the journal: the same live, restored and in an image.
    counts: SequencerCounts,
    /// Labels that were refused, as their payment is not known; the journal has none of them.
    refused: u64,
    /// How often the consortium's keys were exchanged since the start: of this process, not of the state.
    exchanges: u32,
}

impl Sequencer {
    /// A sequencer with an empty state. Publish a generation through `step` before the first payment, so that the
    /// journal says what the payment was judged by.
    pub fn new(limits: SequencerLimits, generation: Arc<Generation>) -> Sequencer {
        let features = FeatureState::new(generation.plan().clone(), limits.features);
        Sequencer {
            last_sequence: 0,
            identity: Identity::new(limits.identity),
            features,
            waiting: Waiting::new(WaitingLimits::default()),
            banks: Banks::new(generation.banks().clone()),
            book: Book::default(),
            view: View::new(generation, 0),
            keys: Keys::default(),
            counts: SequencerCounts::default(),
            refused: 0,
            exchanges: 0,
        }
    }

    /// With a store for identity keys that memory has no room for; to be given before the first payment.
    #[must_use]
    pub fn with_cold(mut self, cold: Box<dyn Cold>) -> Sequencer {
        self.identity = self.identity.with_cold(cold);
        self
    }

    /// With fewer feature keys for some tenants; to be said before their first payment.
    #[must_use]
    pub fn with_tenant_keys(mut self, keys_max: impl IntoIterator<Item = (Arc<str>, usize)>) -> Sequencer {
        self.features = self.features.with_tenant_keys(keys_max);
        self
    }

    /// With other bounds of the book of holds; to be given before the first payment.
    #[must_use]
    pub fn with_book_limits(mut self, limits: BookLimits) -> Sequencer {
        self.book = Book::new(limits);
        self
    }

    /// What the next transaction is judged by.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }
    /// The keys of the node's ring that are in force.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }
    /// The consortium's keys were exchanged, for so many times since the start: what was read under those before is
    /// refused from now on, to be read again, so that no payment lacks tags that lists published later go by.
    pub fn keys_exchanged(&mut self, exchanges: u32) {
        self.exchanges = exchanges;
    }
    /// The last sequence given.
    pub fn last_sequence(&self) -> u64 {
        self.last_sequence
    }
    /// Counts since the start.
    pub fn counts(&self) -> SequencerCounts {
        SequencerCounts { unmatched: self.counts.unmatched + self.refused, ..self.counts }
    }
    /// The feature state, for its statistics.
    pub fn features(&self) -> &FeatureState {
        &self.features
    }
    /// The reversals and completions that wait for their payment.
    pub fn waiting(&self) -> &Waiting {
        &self.waiting
    }
    /// Holds, cases, and what the gate has said.
    pub fn book(&self) -> &Book {
        &self.book
    }
    /// A payment has its verdict, and with it a hold where one begins: to be said of every payment, when the record is
    /// written.
    pub fn decided(&mut self, sequence: u64, hold: Option<&Opened>) {
        self.book.decided(sequence, hold);
    }
    /// What a payment's verdict lacked was finished, and a hold begins with it: to be said when the record is written.
    pub fn finished(&mut self, sequence: u64, hold: Option<&Opened>) {
        if let Some(hold) = hold {
            self.book.finished(sequence, hold);
        }
    }
    /// The banks, for their statistics.
    pub fn banks(&self) -> &Banks {
        &self.banks
    }
    /// The identity tables, for their statistics.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
    /// The sequence of an identity key.
    pub fn sequence_of(&self, tenant: &str, key: u128) -> Option<u64> {
        self.identity.sequence(tenant, key)
    }

    /// Takes a micro-batch in its order. `out` gets one element for each submission.
    pub fn step(&mut self, batch: impl IntoIterator<Item = Submission>, out: &mut Vec<Taken>) {
        for submission in batch {
            let taken = self.take(submission, None);
            out.push(taken);
        }
    }

    /// Fetches what a micro-batch of payments will touch into the caches; changes nothing.
    pub fn prefetch(&self, batch: &[&Transaction]) {
        self.features.prefetch(batch);
        self.view.prefetch(batch);
    }

    /// Publishes a generation: an event like any other, visible to all that come after it.
    pub fn publish(&mut self, generation: Arc<Generation>, event: Event) -> Taken {
        let submission =
            Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None };
        self.take(submission, Some(generation))
    }

    fn take(&mut self, submission: Submission, publishes: Option<Arc<Generation>>) -> Taken {
        let Submission { mut event, identity, alias, payment_digest, refers_to } = submission;
        let tenant = event.tenant.clone();
        if let Body::Payment(tx) = &event.body {
            if tx.keyed().rotations != self.keys.rotations() {
                let message = "the tag keys were rotated while it was on its way; it is to be read again";
                return Taken::Refused(Error::new(ErrorKind::OtherKeys, message));
            }
            if tx.keyed().exchanges != self.exchanges {
                let message = "the consortium's keys changed while it was on its way; it is to be read again";
                return Taken::Refused(Error::new(ErrorKind::OtherKeys, message));
            }
            let now = identity.map(|key| (key, payment_digest));
            let earlier = tx.keyed().earlier.iter().filter_map(|one| Some((one.identity?, one.digest)));
            for (key, digest) in now.into_iter().chain(earlier) {
                match self.identity.look_up(&tenant, key, digest, event.arrival_ms) {
                    Seen::New => {}
                    Seen::Same(sequence) => return Taken::Same(sequence),
                    Seen::Different(sequence) => return Taken::Different(sequence),
                }
            }
        }
        match &mut event.body {
            // Said once, and in the record: a restore does not weigh again.
            Body::Clear(clear) => {
                let count = clear.payments.len();
                if count > CLEAR_EVENT_MAX {
                    let text = format!("{count} payments at the gate in one event, limit {CLEAR_EVENT_MAX}");
                    return Taken::Refused(Error::new(ErrorKind::TooLarge, text));
                }
                let terms = &self.view.generation().settings().settlement;
                clear.horizon_ms = terms.hunt_horizon_ms;
                clear.unhunted_goes = terms.unhunted == settlement::Unhunted::GoFlagged;
                self.book.judge(clear);
            }
            Body::Hunt(found) => self.book.weigh(found, event.arrival_ms),
            _ => {}
        }
        let known = |key: &u128| self.identity.sequence_at(&tenant, *key, event.arrival_ms);
        let original = refers_to.as_ref().and_then(|refers| refers.keys().iter().find_map(known));
        if let Body::Label { target, .. } = &mut event.body
            && refers_to.is_some()
        {
            match original {
                Some(sequence) => *target = sequence,
                None => {
                    self.refused += 1;
                    return Taken::Refused(Error::new(
                        ErrorKind::NotFound,
                        "no payment with this id is known",
                    ));
                }
            }
        }
        let waits_for = match &event.body {
            Body::Payment(tx) if original.is_none() && FollowKind::of(tx.kind).is_some() => {
                refers_to.map_or_else(Vec::new, |refers| refers.0)
            }
            _ => Vec::new(),
        };
        let accepted = Accepted {
            sequence: self.last_sequence + 1,
            generation: self.view.id(),
            engine: ENGINE.to_owned(),
            features: Vec::new(),
            approximate: Vec::new(),
            identity,
            alias,
            payment_digest,
            original,
            waits_for,
            event,
        };
        match self.apply(accepted, publishes) {
            Ok(taken) => taken,
            Err(error) => Taken::Refused(error),
        }
    }

    /// Applies an event at its sequence. Live and recovery go through here, so they cannot drift apart. Whatever
    /// can be refused is refused before the state changes.
    fn apply(&mut self, mut accepted: Accepted, publishes: Option<Arc<Generation>>) -> Result<Taken, Error> {
        let sequence = accepted.sequence;
        let tenant = accepted.event.tenant.clone();
        match &accepted.event.body {
            Body::Payment(tx) => {
                self.expire(accepted.event.arrival_ms);
                let follow = FollowUp::of(sequence, tx);
                if let (Some(follow), Some(target)) = (follow, accepted.original) {
                    // Before its own stamps, so that they see what is left.
                    self.follow(&tenant, target, &follow, false);
                    self.take_back(target, &follow, accepted.event.arrival_ms);
                }
                let mut stamps = Vec::with_capacity(self.view.generation().plan().len());
                self.features.apply(sequence, accepted.event.arrival_ms, tx, &mut stamps);
                let arrival_ms = accepted.event.arrival_ms;
                for key in [accepted.identity, accepted.alias].into_iter().flatten() {
                    self.identity.remember(&tenant, key, accepted.payment_digest, sequence, arrival_ms);
                }
                let mut waited = Vec::new();
                if !self.waiting.is_empty() {
                    let now = [accepted.identity, accepted.alias].into_iter();
                    let earlier = tx.keyed().earlier.iter().flat_map(|one| [one.identity, one.alias]);
                    let keys = now.chain(earlier).flatten();
                    for waiter in self.waiting.take(&tenant, keys, tx.kind) {
                        self.follow(&tenant, sequence, &waiter.follow, true);
                        waited.push(waiter.follow);
                    }
                }
                if let Some(follow) = follow.filter(|_| accepted.original.is_none()) {
                    self.wait(&tenant, &accepted.waits_for, follow);
                }
                let prints = self.banks.observe(sequence, tx, &stamps);
                accepted.features = stamps;
                accepted.approximate = self.features.approximate().to_vec();
                self.last_sequence = sequence;
                self.book.taken(sequence, true, arrival_ms);
                for follow in waited {
                    self.take_back(sequence, &follow, arrival_ms);
                }
                return Ok(Taken::Work(Work {
                    accepted: Box::new(accepted),
                    view: self.view.clone(),
                    prints,
                }));
            }
            Body::Label { target, label, .. } => {
                self.is_earlier(*target, sequence)?;
                if self.features.label(&tenant, *target, *label) == Found::Unknown {
                    self.counts.unmatched += 1;
                }
                let (label, at_ms) = (*label, accepted.event.arrival_ms);
                self.book.labelled(*target, Labelled { label, sequence, at_ms });
                if self.banks.label(&tenant, *target, label) {
                    self.view = self.view.with_learned(self.banks.learned().clone());
                    self.book.learned(sequence, accepted.event.arrival_ms);
                }
            }
            Body::ListDelta(delta) => {
                self.view = self.view.delta(sequence, &tenant, accepted.event.arrival_ms, delta)?;
                self.book.learned(sequence, accepted.event.arrival_ms);
            }
            Body::Publish { .. } => {
                let generation = publishes.expect("a publication comes with its generation");
                let view = self.view.publish(generation, sequence)?;
                if view.generation().judges_otherwise(self.view.generation()) {
                    self.book.learned(sequence, accepted.event.arrival_ms);
                }
                self.features.replan(view.generation().plan().clone());
                self.banks.replan(view.generation().banks().clone());
                self.view = view.with_learned(self.banks.learned().clone());
            }
            Body::Key(taken) => self.keys.take(taken, accepted.event.arrival_ms)?,
            Body::Hunt(found) => {
                self.is_earlier(found.target, sequence)?;
                self.book.found(found, sequence)?;
            }
            Body::HoldAct(act) => self.book.act(&tenant, act, sequence, accepted.event.arrival_ms)?,
            Body::Clear(clear) => {
                let known = clear.payments.iter().filter(|one| one.state != ClearState::Unknown);
                known.into_iter().try_for_each(|one| self.is_earlier(one.sequence, sequence))?;
                self.book.cleared(clear);
            }
            Body::Hunted { through } => {
                self.is_earlier(*through, sequence)?;
                self.book.hunted(*through)?;
            }
            Body::Outcome { .. } => {}
        }
        self.last_sequence = sequence;
        self.book.taken(sequence, false, accepted.event.arrival_ms);
        accepted.generation = self.view.id();
        Ok(Taken::Noted(Box::new(accepted)))
    }

    fn is_earlier(&self, target: u64, sequence: u64) -> Result<(), Error> {
        match (1..sequence).contains(&target) {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::NotFound, format!("no payment has sequence {target}"))),
        }
    }
    /// Lets a payment follow what became of it. `waited`: the message came before the payment.
    fn follow(&mut self, tenant: &str, target: u64, follow: &FollowUp, waited: bool) {
        let found = self.features.follow(tenant, target, follow);
        let counts = self.counts.follow_ups.of_mut(follow.kind);
        let of_found = match found {
            Found::Applied | Found::PastAmount if waited => &mut counts.matched_later,
            Found::Applied | Found::PastAmount => &mut counts.matched,
            Found::OtherKind => &mut counts.other_kind,
            Found::Unknown => &mut counts.forgotten,
        };
        *of_found += 1;
        counts.past_amount += u64::from(found == Found::PastAmount);
        match found {
            Found::Applied | Found::PastAmount => {
                for (payment, left_minor) in self.features.left(tenant, target).into_iter().flatten() {
                    self.book.left(payment, left_minor);
                }
            }
            // Whatever its amount was.
            Found::Unknown if follow.kind == FollowKind::Reversal && follow.amount_minor.is_none() => {
                self.book.left(target, Some(0));
            }
            Found::Unknown | Found::OtherKind => {}
        }
        self.counts.unmatched += u64::from(matches!(found, Found::OtherKind | Found::Unknown));
    }
    /// Of a payment that was taken back, nothing is left to be held.
    fn take_back(&mut self, target: u64, follow: &FollowUp, at_ms: i64) {
        if let Some(back) = TakenBack::by(follow, at_ms) {
            self.book.reversed(target, back);
        }
    }
    fn wait(&mut self, tenant: &Arc<str>, keys: &[u128], follow: FollowUp) {
        let has_room = !keys.is_empty() && self.waiting.wait(tenant, keys, follow);
        let counts = self.counts.follow_ups.of_mut(follow.kind);
        match has_room {
            true => counts.waited += 1,
            false if keys.is_empty() => counts.no_original += 1,
            false => counts.no_room += 1,
        }
        self.counts.unmatched += u64::from(!has_room);
    }
    /// By arrival time, which the journal has, so that a restore lets go of the same.
    fn expire(&mut self, arrival_ms: i64) {
        for waiter in self.waiting.expire(arrival_ms) {
            self.counts.follow_ups.of_mut(waiter.follow.kind).expired += 1;
            self.counts.unmatched += 1;
        }
    }

    /// All bounds that the state depends on, as a text: an image fits where it is the same.
    pub fn bounds(&self) -> String {
        let waiting = WaitingLimits::default();
        let (identity, book) = (self.identity.limits(), self.book.limits());
        format!("{}; {identity:?}; {waiting:?}; {book:?}", self.features.bounds())
    }
    /// Writes the state (docs/formats/snapshot.md). What is left out is no part of it: how often a store failed, what
    /// was refused, and what identity's cold store holds, which lies apart ([`Identity::each_cold`]).
    pub fn save(&self, to: &mut Writer<'_>) {
        to.u64s(&[self.last_sequence, self.counts.unmatched]);
        self.counts.follow_ups.save(to);
        to.value(&self.keys);
        self.features.save(to);
        self.identity.save(to);
        self.waiting.save(to);
        self.banks.save(to);
        self.book.save(to);
        self.view.save(to);
    }
    /// What [`Sequencer::save`] wrote, into a sequencer of the same generation and bounds that has taken nothing yet,
    /// whose cold store holds what it held then. What comes of events from here on is what would have come of them
    /// there, byte for byte.
    ///
    /// # Errors
    /// `Corrupt` for what cannot have been written, and for another generation; whatever the source returns. The
    /// sequencer is of no use then.
    pub fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Error> {
        assert_eq!(self.last_sequence, 0, "an image is the whole state");
        (self.last_sequence, self.counts.unmatched) = (from.u64()?, from.u64()?);
        self.counts.follow_ups = FollowUps::load(from)?;
        self.keys = from.value()?;
        self.features.load(from)?;
        self.identity.load(from)?;
        self.waiting = Waiting::load(from, WaitingLimits::default())?;
        self.banks.load(from)?;
        self.book = Book::load(from, self.book.limits())?;
        self.view = View::load(from, self.view.generation().clone(), self.banks.learned().clone())?;
        Ok(())
    }

    /// Takes an accepted record of the journal again, at its own sequence, without asking identity. `generation`
    /// gives the generation that a publication names.
    ///
    /// # Errors
    /// `Corrupt` for a sequence out of order, `NotFound` for a generation that is not kept, and whatever a list
    /// delta is refused for.
    pub fn restore(
        &mut self,
        mut accepted: Accepted,
        generation: &dyn Fn(&GenerationId) -> Option<Arc<Generation>>,
    ) -> Result<Taken, Error> {
        if accepted.sequence <= self.last_sequence {
            let message = format!("sequence {} after {}", accepted.sequence, self.last_sequence);
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        // It had words where it needs any; their key may be destroyed by now.
        if let Body::HoldAct(act) = &mut accepted.event.body
            && act.comment.is_empty()
        {
            act.comment = "-".into();
        }
        let publishes = match &accepted.event.body {
            Body::Publish { generation: id } => Some(generation(id).ok_or_else(|| {
                Error::new(ErrorKind::NotFound, format!("generation {id} is no longer kept"))
            })?),
            _ => None,
        };
        let stamped = (accepted.features.clone(), accepted.approximate.clone());
        let taken = self.apply(accepted, publishes)?;
        if let Taken::Work(work) = &taken
            && (&work.accepted.features, &work.accepted.approximate) != (&stamped.0, &stamped.1)
        {
            self.counts.restored_differently += 1;
        }
        Ok(taken)
    }
}

#[cfg(test)]
mod tests;
