//! What the simulated clients and operators ask for, drawn from a seed: payments of every kind that name one another by
//! ids from a small pool, late and early, the same again, another under the same key; labels and list deltas.

use super::clock::MS;
use super::wishes::Wish;
use interdict_engine::domain::{
    Body, Effect, Entry, Event, Field, KeyId, Label, ListDelta, Subject, SubjectKind, Tag, Transaction,
    TransactionKind,
};
use interdict_engine::sequencer::{Refers, Submission};
use interdict_engine::settlement::HUNT_HORIZON_MS;
use rand::{Rng, RngExt};
use std::sync::Arc;

/// The wall clock's time when the simulation begins, ms since the Unix epoch.
pub const START_MS: i64 = 1_522_540_800_000;

/// The institutions.
pub const TENANTS: [&str; 3] = ["acme", "zeta", "omega"];

const IDS: u8 = 24;
const CARDS: u8 = 4;

/// Something to ask for.
#[derive(Debug, Clone)]
pub enum What {
    /// A payment message.
    Payment(Payment),
    /// A label of the request of an id.
    Label {
        /// The id.
        id: u8,
        /// Fraud or good.
        label: Label,
    },
    /// A change of a list.
    Delta(ListDelta),
    /// The generation of a number is to judge from now on.
    Publish(usize),
    /// Something about holds, or at the gate; of which payment is seen when it is asked for.
    Hold(Wish),
}

/// A payment message.
#[derive(Debug, Clone)]
pub struct Payment {
    kind: TransactionKind,
    id: Option<u8>,
    refers: Option<u8>,
    minor: i64,
    dollars: bool,
    card: u8,
    time_ms: i64,
    /// When it settles, where it says so.
    settles_ms: Option<i64>,
}

/// One thing that a client wants done, and how it goes about it.
#[derive(Debug, Clone)]
pub struct Op {
    /// Its number, from 1.
    pub number: usize,
    /// Whose it is.
    pub tenant: Arc<str>,
    /// What it is.
    pub what: What,
    /// When it is asked for first, ns.
    pub at_ns: u64,
    /// How long the answer may take, ns; `None`: as long as it likes.
    pub deadline_ns: Option<u64>,
    /// After how long without an answer it is asked for again, ns.
    pub timeout_ns: u64,
}

impl Op {
    /// Draws everything that is asked for in `storm_ms`.
    pub fn draw(count: usize, storm_ms: u64, random: &mut impl Rng) -> Vec<Op> {
        let mut ops: Vec<Op> = Vec::with_capacity(count);
        for number in 1..=count {
            let at_ns = random.random_range(0..storm_ms * MS);
            let tenant = TENANTS[[0, 0, 0, 1, 2][random.random_range(0..5)]].into();
            let what = draw(random, at_ns);
            let deadline_ns = (random.random_range(0..3) > 0).then(|| random.random_range(1..60) * MS);
            let timeout_ns = random.random_range(1..300) * MS;
            let mut op = Op { number, tenant, what, at_ns, deadline_ns, timeout_ns };
            if let Some(earlier) = earlier(&ops, random) {
                (op.tenant, op.what) = (earlier.tenant.clone(), earlier.what.clone());
                op.at_ns = (earlier.at_ns + random.random_range(0..40) * MS).saturating_sub(5 * MS);
                // Another payment under the same key.
                if let (What::Payment(payment), 0) = (&mut op.what, random.random_range(0..3)) {
                    payment.minor += 1;
                }
            }
            ops.push(op);
        }
        ops
    }
    /// What is submitted at a moment.
    pub fn submission(&self, arrival_ms: i64) -> Submission {
        let event = |body| Event { tenant: self.tenant.clone(), arrival_ms, body };
        let other = |body, refers_to| Submission {
            event: event(body),
            identity: None,
            alias: None,
            payment_digest: 0,
            refers_to,
        };
        match &self.what {
            What::Payment(payment) => Submission {
                event: event(Body::Payment(Box::new(self.transaction(payment)))),
                identity: self.identity(),
                alias: None,
                payment_digest: payment.digest(),
                refers_to: (!self.refers().is_empty()).then(|| Refers::new(self.refers())),
            },
            // The number tells the oracle which label it was.
            What::Label { id, label } => {
                let body = Body::Label { target: 0, label: *label, time_ms: self.number as i64 };
                other(body, Some(identity(TransactionKind::Request, *id).into()))
            }
            What::Delta(delta) => other(Body::ListDelta(Box::new(delta.clone())), None),
            What::Publish(_) | What::Hold(_) => unreachable!("asked for in other ways"),
        }
    }
    /// The key under which it is known.
    pub fn identity(&self) -> Option<u128> {
        match &self.what {
            What::Payment(payment) => payment.id.map(|id| identity(payment.kind, id)),
            _ => None,
        }
    }
    /// What identity compares.
    pub fn digest(&self) -> u128 {
        match &self.what {
            What::Payment(payment) => payment.digest(),
            _ => 0,
        }
    }
    /// The identities that what it follows may have.
    pub fn refers(&self) -> Vec<u128> {
        match &self.what {
            What::Payment(payment) => refers(payment.kind, payment.refers),
            What::Label { id, .. } => vec![identity(TransactionKind::Request, *id)],
            What::Delta(_) | What::Publish(_) | What::Hold(_) => Vec::new(),
        }
    }
    /// Whether it goes the callers' way, by tenants' weights and with a deadline, and not the operators'.
    pub fn is_payment(&self) -> bool {
        matches!(self.what, What::Payment(_))
    }

    fn transaction(&self, payment: &Payment) -> Transaction {
        let mut tx = Transaction::new(self.tenant.clone(), payment.kind, payment.time_ms);
        // Names the op in the journal; no part of what identity compares.
        tx.id = Some(self.number.to_string().into());
        tx.set_int(Field::AmountMinor, payment.minor);
        tx.set_text(Field::AmountCurrency, if payment.dollars { "USD" } else { "EUR" });
        for key in [KeyId::STATE, KeyId(1), KeyId::SHARED] {
            tx.add_tag(Field::Card, key, Tag(1 + u128::from(payment.card)));
        }
        // Nothing stops what has no channel.
        if payment.card < CARDS - 1 {
            tx.set_text(Field::Channel, "transfer");
        }
        if let Some(settles_ms) = payment.settles_ms {
            tx.set_time(Field::SettlesAt, settles_ms);
        }
        tx.add_tag(Field::Merchant, KeyId::STATE, Tag(7));
        tx
    }
}

impl Payment {
    fn digest(&self) -> u128 {
        (self.minor as u128) << 16 | u128::from(self.dollars) << 8 | u128::from(self.card)
    }
}

fn earlier<'a>(ops: &'a [Op], random: &mut impl Rng) -> Option<&'a Op> {
    let is_again = random.random_range(0..5) == 0 && !ops.is_empty();
    is_again
        .then(|| &ops[random.random_range(0..ops.len())])
        .filter(|op| !matches!(op.what, What::Publish(_)))
}

fn draw(random: &mut impl Rng, at_ns: u64) -> What {
    let id = |random: &mut _| RngExt::random_range(random, 0..IDS);
    match random.random_range(0..32) {
        24.. => What::Hold(Wish::draw(random)),
        0 | 1 => {
            let label = if random.random_range(0..3) > 0 { Label::Fraud } else { Label::Good };
            What::Label { id: id(random), label }
        }
        2 | 3 => What::Delta(delta(random)),
        4 => What::Publish(random.random_range(0..super::packs::LIMITS.len())),
        _ => {
            // A request more often than the rest, which mostly follow one.
            let kinds = TransactionKind::ALL;
            let kind = kinds[[0, 0, 0, 1, 2, 3, 4, 5][random.random_range(0..8)].min(kinds.len() - 1)];
            let off_ms = match random.random_range(0..9) {
                0..6 => 0,
                6 | 7 => random.random_range(-50 * 60_000..10_000),
                _ => random.random_range(-3 * 3_600_000..0),
            };
            What::Payment(Payment {
                kind,
                id: (random.random_range(0..6) > 0).then(|| id(random)),
                refers: (random.random_range(0..5) > 0).then(|| id(random)),
                minor: random.random_range(0..1000),
                dollars: random.random_range(0..10) == 0,
                card: random.random_range(0..CARDS),
                time_ms: START_MS + (at_ns / MS) as i64 + off_ms,
                settles_ms: match random.random_range(0..4) {
                    0 => None,
                    1 => Some(START_MS + random.random_range(0..4_000)),
                    // As long after the beginning as something must be known before it.
                    _ => Some(START_MS + HUNT_HORIZON_MS + random.random_range(0..4_000)),
                },
            })
        }
    }
}

fn delta(random: &mut impl Rng) -> ListDelta {
    let list = ["watched", "seen"][random.random_range(0..2)].to_owned();
    let subject = |card: u8| Subject::Tag { kind: SubjectKind::Card, tag: Tag(1 + u128::from(card)) };
    let (mut add, mut remove) = (Vec::new(), Vec::new());
    for card in 0..CARDS {
        match random.random_range(0..6) {
            0 => add.push(Entry {
                id: 0,
                subject: subject(card),
                effect: if random.random_range(0..2) == 0 { Effect::Block } else { Effect::Flag },
                overridable: true,
                overrides: None,
                reason: "simulated".into(),
                severity: 50,
                contributor: "sim".into(),
                valid_from_ms: None,
                valid_to_ms: None,
            }),
            1..4 => remove.push(subject(card)),
            _ => {}
        }
    }
    ListDelta { list, shared: random.random_range(0..2) == 0, add, remove }
}

/// The identity that an id gives a message of a kind: a repeat is of the request's class.
fn identity(kind: TransactionKind, id: u8) -> u128 {
    let class = if kind == TransactionKind::Repeat { TransactionKind::Request } else { kind };
    (class as u128 + 1) << 64 | u128::from(id)
}

/// What a message of a kind may follow.
fn refers(kind: TransactionKind, id: Option<u8>) -> Vec<u128> {
    use TransactionKind::{Advice, Completion, Refund, Repeat, Request, Reversal};
    let may_be: &[TransactionKind] = match kind {
        Reversal => &[Request, Advice, Completion, Refund],
        Refund => &[Request, Advice, Completion],
        Completion => &[Request, Advice],
        Request | Repeat | Advice => &[Request],
    };
    id.into_iter().flat_map(|id| may_be.iter().map(move |kind| identity(*kind, id))).collect()
}
