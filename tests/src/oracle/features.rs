//! Features the most obvious way: every event of every group in one list, every window by looking at all of them.
//! No bounds, no expiry but what the semantics say, no shared code with the engine.

use interdict_engine::domain::record::Stamp;
use interdict_engine::domain::{
    Aggregate, Currency, FeatureSpec, Field, KeyId, KeySpec, Label, OnReversal, Tag, Transaction,
    TransactionKind, Value,
};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// `minor` units of one currency in another at a time (ms); `None` where there is no rate.
pub type Convert = Box<dyn Fn(i64, Currency, Currency, i64) -> Option<i64>>;
/// Whether a transaction counts in a group; `None` is undecided.
pub type Filter = Box<dyn Fn(&Transaction) -> Option<bool>>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Tag(Tag),
    Prefix(Vec<u8>),
    Pair(Box<Key>, Box<Key>),
}

#[derive(Debug, Clone)]
struct Event {
    sequence: u64,
    time: i64,
    /// As counted: what became of the payment changes it.
    amount: Option<i64>,
    value: Option<Tag>,
    fraud: bool,
}

/// What became of a payment, each with an amount in the payment's own currency, if that is known.
#[derive(Debug, Clone, Copy)]
enum Became {
    /// Taken back, all of it.
    Undone,
    /// Taken back in part.
    Reduced(Option<i64>),
    /// Completed by an amount.
    Completed(Option<i64>),
}

/// How a message follows a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// It takes its amount back; without one all that is left.
    Reverses,
    /// It completes it with its amount.
    Completes,
}

/// A message, with all that came after.
#[derive(Debug)]
struct Message {
    kind: TransactionKind,
    time: i64,
    asked: Option<i64>,
    currency: Option<Currency>,
    became: Vec<Became>,
    /// Of a completion: what it completes.
    completes: Option<u64>,
}

impl Message {
    /// What is left of its amount, from the beginning each time.
    fn left(&self) -> Option<i64> {
        let (mut left, mut completed) = (self.asked, None);
        for became in &self.became {
            left = match became {
                Became::Undone => Some(0),
                Became::Reduced(_) if left == Some(0) => left,
                Became::Reduced(minor) => left.zip(*minor).map(|(left, minor)| (left - minor).max(0)),
                Became::Completed(minor) => match completed {
                    None => *minor,
                    Some(()) => left.zip(*minor).map(|(left, minor)| left.saturating_add(minor)),
                },
            };
            if matches!(became, Became::Completed(_)) {
                completed = Some(());
            }
        }
        left
    }
}

#[derive(Debug, Default)]
struct KeyState {
    events: Vec<Event>,
    /// Earliest and latest event since the key came to life.
    first: i64,
    last: i64,
}

#[derive(Default)]
struct TenantState {
    high: Option<i64>,
    coverage: HashMap<usize, i64>,
    keys: HashMap<(usize, Key), KeyState>,
    /// The keys that a message was counted under.
    places: HashMap<u64, Vec<(usize, Key)>>,
    messages: HashMap<u64, Message>,
    /// What a completion completes that is itself no message here.
    completed: HashMap<u64, u64>,
}

/// The oracle.
pub struct Oracle {
    groups: Vec<(FeatureSpec, Option<Filter>)>,
    convert: Convert,
    lateness: i64,
    tenants: HashMap<String, TenantState>,
    /// Events later than the lateness bound, per group.
    pub late: Vec<u64>,
}

fn key_of(spec: &KeySpec, tx: &Transaction) -> Option<Key> {
    match spec {
        KeySpec::Identifier(field) => tx.tag(*field, KeyId::STATE).map(Key::Tag),
        KeySpec::IpPrefix => match tx.get(Field::DeviceIp)? {
            Value::Ip(IpAddr::V4(v4)) => Some(Key::Prefix(v4.octets()[..3].to_vec())),
            Value::Ip(IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
                Some(v4) => Some(Key::Prefix(v4.octets()[..3].to_vec())),
                None => Some(Key::Prefix(v6.octets()[..6].to_vec())),
            },
            _ => None,
        },
        KeySpec::Pair(a, b) => Some(Key::Pair(Box::new(key_of(a, tx)?), Box::new(key_of(b, tx)?))),
    }
}

impl Oracle {
    /// An oracle of some groups.
    pub fn new(groups: Vec<(FeatureSpec, Option<Filter>)>, convert: Convert, lateness_ms: i64) -> Oracle {
        let late = vec![0; groups.len()];
        Oracle { groups, convert, lateness: lateness_ms, tenants: HashMap::new(), late }
    }

    fn amount(&self, spec: &FeatureSpec, minor: i64, from: Option<Currency>, time: i64) -> Option<i64> {
        if minor == 0 {
            return Some(0);
        }
        let (from, to) = (from?, spec.currency?);
        let minor = if from == to { minor } else { (self.convert)(minor, from, to, time)? };
        (minor.abs() <= 1 << 56).then_some(minor)
    }

    /// Counts a transaction. With `answer`, gives the stamps; without, an empty list.
    pub fn apply(&mut self, sequence: u64, arrival_ms: i64, tx: &Transaction, answer: bool) -> Vec<Stamp> {
        let mut tenant = self.tenants.remove(tx.tenant.as_ref()).unwrap_or_default();
        let clamped = tx.time_ms.min(arrival_ms + self.lateness);
        let high = tenant.high.map_or(clamped, |high| high.max(clamped));
        tenant.high = Some(high);
        let message = Message {
            kind: tx.kind,
            time: tx.time_ms,
            asked: tx.int(Field::AmountMinor),
            currency: tx.text(Field::AmountCurrency).and_then(Currency::parse),
            became: Vec::new(),
            completes: tenant.completed.remove(&sequence),
        };
        tenant.messages.insert(sequence, message);
        let mut out = Vec::new();
        for number in 0..self.groups.len() {
            tenant.coverage.entry(number).or_insert(clamped);
            self.apply_group(number, &mut tenant, sequence, high, tx, answer, &mut out);
        }
        self.tenants.insert(tx.tenant.to_string(), tenant);
        out
    }

    #[allow(clippy::too_many_arguments)]
    fn apply_group(
        &mut self,
        number: usize,
        tenant: &mut TenantState,
        sequence: u64,
        high: i64,
        tx: &Transaction,
        answer: bool,
        out: &mut Vec<Stamp>,
    ) {
        let (spec, filter) = &self.groups[number];
        let t = tx.time_ms;
        let Some(key) = key_of(&spec.key, tx) else {
            out.extend(spec.slots().iter().filter(|_| answer).map(|_| None));
            return;
        };
        let longest = spec.windows.iter().map(|(_, ms)| *ms).max().unwrap_or(0);
        let cutoff = high - (longest + spec.delay_ms + self.lateness);
        let counts =
            spec.kinds.contains(&tx.kind) && filter.as_ref().is_none_or(|filter| filter(tx) == Some(true));
        // A key whose events all lie before the horizon is as if it had never been.
        let place = (number, key);
        if tenant.keys.get(&place).is_some_and(|state| state.last <= cutoff) {
            tenant.keys.remove(&place);
        }
        if counts && t <= high - self.lateness {
            self.late[number] += 1;
        }
        if counts && t > cutoff {
            let currency = tx.text(Field::AmountCurrency).and_then(Currency::parse);
            let event = Event {
                sequence,
                time: t,
                amount: self.amount(spec, tx.amount_minor(), currency, t),
                value: spec.distinct.and_then(|field| tx.tag(field, KeyId::STATE)),
                fraud: false,
            };
            let state =
                tenant.keys.entry(place.clone()).or_insert(KeyState { events: vec![], first: t, last: t });
            state.first = state.first.min(t);
            state.last = state.last.max(t);
            state.events.push(event);
            tenant.places.entry(sequence).or_default().push(place.clone());
        }
        if !answer {
            return;
        }
        let nothing = KeyState::default();
        let state = tenant.keys.get(&place).unwrap_or(&nothing);
        let coverage = tenant.coverage[&number];
        for aggregate in &spec.aggregates {
            let delay = match aggregate {
                Aggregate::FraudShare | Aggregate::FraudCount => spec.delay_ms,
                _ => 0,
            };
            for (_, window) in &spec.windows {
                let (after, until) = (t - delay - window, t - delay);
                let decided = after + 1 >= coverage && after >= cutoff;
                let events: Vec<&Event> =
                    state.events.iter().filter(|e| after < e.time && e.time <= until).collect();
                out.push(if decided { value(*aggregate, &events) } else { None });
            }
        }
        if spec.seen {
            let before =
                state.events.iter().filter(|e| e.sequence < sequence && e.time <= t && e.time > cutoff);
            out.push(before.map(|e| t - e.time).min());
            out.push(Some(if state.events.is_empty() { 0 } else { (t - state.first).max(0) }));
        }
    }

    /// Labels a transaction; whether it is known.
    pub fn label(&mut self, tenant: &str, target: u64, label: Label) -> bool {
        let Some(mut state) = self.tenants.remove(tenant) else { return false };
        let known = state.messages.contains_key(&target);
        each_event(&mut state, target, |_, event| event.fraud = label == Label::Fraud);
        self.tenants.insert(tenant.to_owned(), state);
        known
    }

    /// Reverses a transaction, in full or by some minor units of its own currency; whether it can be.
    pub fn reverse(&mut self, tenant: &str, target: u64, amount_minor: Option<i64>) -> bool {
        self.follow(tenant, target, Follows::Reverses, 0, amount_minor, None).is_some()
    }

    /// Lets the message `own` follow a transaction; `None` when it cannot, else whether more was taken back than was
    /// left.
    pub fn follow(
        &mut self,
        tenant: &str,
        target: u64,
        follows: Follows,
        own: u64,
        amount: Option<i64>,
        currency: Option<Currency>,
    ) -> Option<bool> {
        use TransactionKind::{Completion, Refund, Reversal};
        let mut state = self.tenants.remove(tenant)?;
        let may = state.messages.get(&target).is_some_and(|message| match follows {
            Follows::Reverses => message.kind != Reversal,
            Follows::Completes => ![Reversal, Completion, Refund].contains(&message.kind),
        });
        let past = may.then(|| match follows {
            Follows::Reverses => {
                let past = self.become_one(&mut state, target, follows, amount, currency);
                if let Some(completed) = state.messages[&target].completes {
                    self.become_one(&mut state, completed, follows, amount, currency);
                }
                past
            }
            Follows::Completes => {
                // A completion that was known before what it completes counts with what is left of it.
                let amount = match state.messages.get_mut(&own) {
                    Some(message) => {
                        message.completes = Some(target);
                        message.left()
                    }
                    None => {
                        state.completed.insert(own, target);
                        amount
                    }
                };
                self.become_one(&mut state, target, follows, amount, currency)
            }
        });
        self.tenants.insert(tenant.to_owned(), state);
        past
    }

    /// What is left of a message's amount.
    pub fn left(&self, tenant: &str, sequence: u64) -> Option<i64> {
        self.tenants.get(tenant)?.messages.get(&sequence)?.left()
    }
    /// What a completion completes.
    pub fn completes(&self, tenant: &str, sequence: u64) -> Option<u64> {
        self.tenants.get(tenant)?.messages.get(&sequence)?.completes
    }
    fn become_one(
        &self,
        state: &mut TenantState,
        target: u64,
        follows: Follows,
        amount: Option<i64>,
        currency: Option<Currency>,
    ) -> bool {
        let Some(message) = state.messages.get_mut(&target) else { return false };
        let own = amount.map(|minor| minor.max(0)).and_then(|minor| match (currency, message.currency) {
            _ if minor == 0 => Some(0),
            (None, _) => Some(minor),
            (Some(from), Some(to)) if from == to => Some(minor),
            (Some(from), to) => (self.convert)(minor, from, to?, message.time),
        });
        let past = matches!((own, message.left()), (Some(own), Some(left)) if own > left);
        message.became.push(match follows {
            Follows::Reverses if amount.is_none() => Became::Undone,
            Follows::Reverses => Became::Reduced(own),
            Follows::Completes => Became::Completed(own),
        });
        let (left, currency, time) = (message.left(), message.currency, message.time);
        each_event(state, target, |group, event| {
            let spec = &self.groups[group].0;
            if spec.on_reversal == OnReversal::Net {
                event.amount = left.and_then(|left| self.amount(spec, left, currency, time));
            }
        });
        past && follows == Follows::Reverses
    }
}

/// A transaction's events, each with its group.
fn each_event(state: &mut TenantState, target: u64, mut each: impl FnMut(usize, &mut Event)) {
    for place in state.places.get(&target).into_iter().flatten() {
        let key = state.keys.get_mut(place);
        let events = key.into_iter().flat_map(|key| key.events.iter_mut());
        events.filter(|event| event.sequence == target).for_each(|event| each(place.0, event));
    }
}

fn value(aggregate: Aggregate, events: &[&Event]) -> Stamp {
    let count = events.len() as i64;
    let frauds = events.iter().filter(|event| event.fraud).count() as i64;
    let amounts: Option<Vec<i128>> = events.iter().map(|event| event.amount.map(i128::from)).collect();
    match aggregate {
        Aggregate::Count => Some(count),
        Aggregate::Distinct => {
            let values: HashSet<Tag> = events.iter().filter_map(|event| event.value).collect();
            Some(values.len() as i64)
        }
        Aggregate::FraudCount => Some(frauds),
        Aggregate::FraudShare => (count > 0).then(|| frauds * 1000 / count),
        Aggregate::Sum => amounts.map(|amounts| {
            amounts.iter().sum::<i128>().clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
        }),
        Aggregate::Max => amounts.and_then(|amounts| amounts.into_iter().max()).map(|max| max as i64),
        Aggregate::Mean => amounts
            .filter(|amounts| !amounts.is_empty())
            .map(|amounts| (amounts.iter().sum::<i128>() / amounts.len() as i128) as i64),
    }
}
