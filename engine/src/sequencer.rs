//! The one owner of all mutable state of the path: order, identity, features, and which generation is in force.
//! Sans-I/O: submissions in, stamped records and work out; time comes with the submissions.

use crate::domain::{Accepted, Body, Event, GenerationId, Transaction, TransactionKind};
use crate::error::{Error, ErrorKind};
use crate::features::{FeatureState, Found, StateLimits};
use crate::generation::{Generation, View};
use crate::identity::{Cold, Identity, IdentityLimits, Seen};
use crate::similarity::vectors::{Banks, Prints};
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
    /// The key its `id` alone would give, where a client's header key won over it: labels and reversals name a
    /// payment by its id.
    pub alias: Option<u128>,
    /// Digest of what identity compares.
    pub payment_digest: u128,
    /// Identity key of the payment the event refers to (a reversal's original, a label's payment). A label that
    /// names a sequence carries it in its body instead.
    pub refers_to: Option<u128>,
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
    /// Reversals and labels whose payment is not known (any more).
    pub unmatched: u64,
    /// Features that a recovery computed otherwise than the journal says.
    pub restored_differently: u64,
}

/// The sequencer.
pub struct Sequencer {
    last_sequence: u64,
    identity: Identity,
    features: FeatureState,
    banks: Banks,
    view: Arc<View>,
    counts: SequencerCounts,
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
            banks: Banks::new(generation.banks().clone()),
            view: View::new(generation, 0),
            counts: SequencerCounts::default(),
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

    /// What the next transaction is judged by.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }
    /// The last sequence given.
    pub fn last_sequence(&self) -> u64 {
        self.last_sequence
    }
    /// Counts since the start.
    pub fn counts(&self) -> SequencerCounts {
        self.counts
    }
    /// The feature state, for its statistics.
    pub fn features(&self) -> &FeatureState {
        &self.features
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
        if let (Body::Payment(_), Some(key)) = (&event.body, identity) {
            match self.identity.look_up(&tenant, key, payment_digest, event.arrival_ms) {
                Seen::New => {}
                Seen::Same(sequence) => return Taken::Same(sequence),
                Seen::Different(sequence) => return Taken::Different(sequence),
            }
        }
        let original = refers_to.and_then(|key| self.identity.sequence_at(&tenant, key, event.arrival_ms));
        if let Body::Label { target, .. } = &mut event.body
            && refers_to.is_some()
        {
            match original {
                Some(sequence) => *target = sequence,
                None => {
                    self.counts.unmatched += 1;
                    return Taken::Refused(Error::new(
                        ErrorKind::NotFound,
                        "no payment with this id is known",
                    ));
                }
            }
        }
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
                let reverses = tx.kind == TransactionKind::Reversal;
                if reverses {
                    let found = accepted.original.map(|target| {
                        let amount = tx.int(crate::domain::Field::AmountMinor);
                        self.features.reverse(&tenant, target, amount)
                    });
                    self.counts.unmatched += u64::from(found != Some(Found::Applied));
                }
                let mut stamps = Vec::with_capacity(self.view.generation().plan().len());
                self.features.apply(sequence, accepted.event.arrival_ms, tx, &mut stamps);
                let arrival_ms = accepted.event.arrival_ms;
                for key in [accepted.identity, accepted.alias].into_iter().flatten() {
                    self.identity.remember(&tenant, key, accepted.payment_digest, sequence, arrival_ms);
                }
                let prints = self.banks.observe(sequence, tx, &stamps);
                accepted.features = stamps;
                accepted.approximate = self.features.approximate().to_vec();
                self.last_sequence = sequence;
                return Ok(Taken::Work(Work {
                    accepted: Box::new(accepted),
                    view: self.view.clone(),
                    prints,
                }));
            }
            Body::Label { target, label, .. } => {
                if *target >= sequence || *target == 0 {
                    let message = format!("no payment has sequence {target}");
                    return Err(Error::new(ErrorKind::NotFound, message));
                }
                if self.features.label(&tenant, *target, *label) == Found::Unknown {
                    self.counts.unmatched += 1;
                }
                if self.banks.label(&tenant, *target, *label) {
                    self.view = self.view.with_learned(self.banks.learned().clone());
                }
            }
            Body::ListDelta(delta) => {
                self.view = self.view.delta(sequence, &tenant, accepted.event.arrival_ms, delta)?
            }
            Body::Publish { .. } => {
                let generation = publishes.expect("a publication comes with its generation");
                let view = self.view.publish(generation, sequence)?;
                self.features.replan(view.generation().plan().clone());
                self.banks.replan(view.generation().banks().clone());
                self.view = view.with_learned(self.banks.learned().clone());
            }
            Body::Outcome { .. } | Body::Hold { .. } | Body::Release { .. } => {}
        }
        self.last_sequence = sequence;
        accepted.generation = self.view.id();
        Ok(Taken::Noted(Box::new(accepted)))
    }

    /// Takes an accepted record of the journal again, at its own sequence, without asking identity. `generation`
    /// gives the generation that a publication names.
    ///
    /// # Errors
    /// `Corrupt` for a sequence out of order, `NotFound` for a generation that is not kept, and whatever a list
    /// delta is refused for.
    pub fn restore(
        &mut self,
        accepted: Accepted,
        generation: &dyn Fn(&GenerationId) -> Option<Arc<Generation>>,
    ) -> Result<Taken, Error> {
        if accepted.sequence <= self.last_sequence {
            let message = format!("sequence {} after {}", accepted.sequence, self.last_sequence);
            return Err(Error::new(ErrorKind::Corrupt, message));
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
