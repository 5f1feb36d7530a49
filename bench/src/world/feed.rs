//! Puts it all together: daily life, attacks, what follows a payment (reversal, refund, repeat, advice), labels and
//! list entries, in event-time order, with ids.

use super::dice::Dice;
use super::payments::Payment;
use super::people::{self, Customer, Payee};
use super::shops::Shops;
use super::{Item, Scenario, WorldConfig, attacks, daily, sanctioned};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::HashMap;

pub(crate) const MINUTE_MS: i64 = 60_000;
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// A message before it has an id.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) time_ms: i64,
    pub(crate) payment: Payment,
    pub(crate) truth: Option<Scenario>,
    /// The draft this one follows: what a reversal takes back, a refund pays back, a repeat repeats.
    original: Option<usize>,
}

impl Draft {
    /// A good payment.
    pub(crate) fn good(time_ms: i64, payment: Payment) -> Draft {
        Draft { time_ms, payment, truth: None, original: None }
    }
    /// A payment that is part of a fraud.
    pub(crate) fn fraud(time_ms: i64, payment: Payment, truth: Scenario) -> Draft {
        Draft { time_ms, payment, truth: Some(truth), original: None }
    }
}

/// Who and what is there: the same in every round of a seed.
#[derive(Debug)]
pub(crate) struct Population {
    customers: Vec<Customer>,
    activity: Vec<usize>,
    by_pan: HashMap<String, usize>,
    pub(crate) payees: Vec<Payee>,
    pub(crate) shops: Shops,
    pub(crate) start_ms: i64,
    pub(crate) days: i64,
}

impl Population {
    fn new(config: &WorldConfig) -> Population {
        let mut dice = Dice::new(config.seed, 0);
        // About 66 payments each: five to six a day.
        let count = (config.transactions / 66).max(40);
        let shops = Shops::new(&mut dice);
        let mut payees = people::payees(&mut dice, count);
        for name in sanctioned::INNOCENT {
            let country = people::country(&mut dice);
            payees.push(Payee { name: name.into(), ..people::payee(&mut dice, country) });
        }
        let customers: Vec<Customer> = (0..count).map(|_| people::customer(&mut dice, &payees)).collect();
        Population {
            activity: customers.iter().map(|customer| customer.activity).collect(),
            by_pan: customers.iter().enumerate().map(|(index, c)| (c.pan.clone(), index)).collect(),
            customers,
            payees,
            shops,
            start_ms: config.start_ms + i64::from(config.round) * config.days * DAY_MS,
            days: config.days,
        }
    }
    /// Some customer, by activity.
    pub(crate) fn customer(&self, dice: &mut Dice) -> &Customer {
        // Four classes of activity: rejection is cheaper than a weighted draw over all.
        loop {
            let index = dice.below(self.customers.len());
            if dice.below(4) < self.activity[index] {
                return &self.customers[index];
            }
        }
    }
    /// The customer of a card of this world.
    pub(crate) fn by_pan(&self, pan: &str) -> &Customer {
        &self.customers[self.by_pan[pan]]
    }
}

#[derive(Debug)]
enum What {
    Message(usize),
    Label(usize, &'static str),
    List(&'static str, Vec<Value>),
}

/// Everything that happens, in order.
#[derive(Debug)]
pub(crate) struct Feed {
    drafts: Vec<Draft>,
    ids: Vec<String>,
    order: Vec<(i64, What)>,
}

impl Feed {
    pub(crate) fn new(config: &WorldConfig) -> Feed {
        let population = Population::new(config);
        let dice = &mut Dice::new(config.seed, 1 + u64::from(config.round));
        let mut learned: Vec<(i64, What)> = Vec::new();
        if config.round == 0 {
            learned.push((population.start_ms, What::List("sanctions", sanctioned::entries())));
        }
        let drafts = drafts(dice, &population, config.transactions, &mut learned);
        let mut order: Vec<(i64, What)> =
            drafts.iter().enumerate().map(|(index, draft)| (draft.time_ms, What::Message(index))).collect();
        order.extend(learned);
        order.extend(labels(dice, &drafts));
        // Stable: at the same millisecond messages come before what is learned, in the order they were made; but
        // the sanctions list comes first of all.
        order.sort_by_key(|(time_ms, what)| (*time_ms, !matches!(what, What::List("sanctions", _))));
        let ids = ids(config.round, &drafts, &order);
        Feed { drafts, ids, order }
    }

    pub(crate) fn transactions(&self) -> usize {
        self.drafts.len()
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = Item> + '_ {
        self.order.iter().map(|(time_ms, what)| match what {
            What::Message(index) => self.message(*index),
            What::Label(index, label) => {
                Item::Label { id: self.ids[*index].clone(), label, time_ms: *time_ms }
            }
            What::List(list, entries) => {
                Item::ListEntries { list, entries: entries.clone(), time_ms: *time_ms }
            }
        })
    }

    fn message(&self, index: usize) -> Item {
        let draft = &self.drafts[index];
        let mut payment = draft.payment.clone();
        if let Some(original) = draft.original.filter(|_| payment.kind != "repeat") {
            payment.refs.original = Some(self.ids[original].clone());
        }
        let mut json = serde_json::to_value(&payment).expect("plain data is always JSON");
        let settles_ms =
            draft.time_ms.div_euclid(DAY_MS) * DAY_MS + payment.settles_after_days * DAY_MS + 21 * HOUR_MS;
        json["id"] = self.ids[index].clone().into();
        json["time"] = rfc3339(draft.time_ms).into();
        json["settles_at"] = rfc3339(settles_ms).into();
        let truth = draft.truth.filter(|_| payment.kind == "request");
        Item::Transaction { id: self.ids[index].clone(), time_ms: draft.time_ms, json, truth }
    }
}

/// RFC 3339 in UTC, with milliseconds.
pub fn rfc3339(time_ms: i64) -> String {
    let timestamp =
        Timestamp::from_millisecond(time_ms).expect("the world's times are within a century of now");
    format!("{timestamp:.3}")
}

/// `per_20k` for every 20,000 messages, at least one.
fn scaled(per_20k: usize, transactions: usize) -> usize {
    (per_20k * transactions / 20_000).max(1)
}

fn drafts(
    dice: &mut Dice,
    population: &Population,
    count: usize,
    learned: &mut Vec<(i64, What)>,
) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = (0..count * 8 / 10).map(|_| daily::payment(dice, population)).collect();
    for _ in 0..scaled(14, count) {
        drafts.extend(daily::game_night(dice, population));
    }
    for _ in 0..scaled(8, count) {
        drafts.extend(daily::collection(dice, population));
    }
    let daily_end = drafts.len();
    let countries = [0, 5, 1, 6, 2];
    for nth in 0..scaled(2, count) {
        let country = countries[nth % countries.len()];
        if nth < countries.len() {
            let attack = attacks::compromised_terminal(dice, population, &drafts[..daily_end], country);
            drafts.extend(attack);
        }
    }
    let mut stolen = Vec::new();
    for _ in 0..scaled(10, count) {
        let (attack, entry) = attacks::stolen_card(dice, population);
        drafts.extend(attack);
        stolen.extend(entry);
    }
    for _ in 0..scaled(4, count) {
        drafts.extend(attacks::mules(dice, population));
    }
    for _ in 0..scaled(12, count) {
        drafts.extend(attacks::takeover(dice, population));
    }
    for _ in 0..scaled(12, count) {
        drafts.push(attacks::sanctioned(dice, population, Scenario::SanctionedExact));
    }
    for _ in 0..scaled(24, count) {
        drafts.push(attacks::sanctioned(dice, population, Scenario::SanctionedMisspelt));
        drafts.push(attacks::scam_text(dice, population));
    }
    for _ in 0..scaled(10, count) {
        drafts.extend(attacks::pickpocket(dice, population));
    }
    let end_ms = population.start_ms + population.days * DAY_MS;
    for draft in &mut drafts {
        draft.time_ms = draft.time_ms.min(end_ms - 1);
    }
    attacks::friendly_fraud(dice, &mut drafts[..count * 8 / 10], scaled(20, count), population);
    follow_ups(dice, &mut drafts, end_ms);
    // What is left of the count is daily life.
    while drafts.len() < count {
        drafts.push(daily::payment(dice, population));
    }
    for card in stolen {
        replace_card(&mut drafts, &card);
        learned.push((card.known_ms, What::List("stolen_cards", vec![card.entry()])));
    }
    drafts
}

/// A reported card is not used by its owner any more; what follows an earlier payment stays on the old one.
fn replace_card(drafts: &mut [Draft], stolen: &attacks::Learned) {
    for index in 0..drafts.len() {
        let began_ms = drafts[drafts[index].original.unwrap_or(index)].time_ms;
        let draft = &mut drafts[index];
        let card = draft.payment.card.as_mut().filter(|card| card.pan == stolen.pan);
        if let Some(card) = card.filter(|_| draft.truth.is_none() && began_ms > stolen.known_ms) {
            card.pan = stolen.replacement.clone();
        }
    }
}

/// What follows some payments. Card testers' attempts are taken back by the shop at once; good payments seldom.
fn follow_ups(dice: &mut Dice, drafts: &mut Vec<Draft>, end_ms: i64) {
    let first_pass = drafts.len();
    for index in 0..first_pass {
        let draft = &drafts[index];
        let tested = draft.truth == Some(Scenario::StolenCard) && draft.payment.amount.minor < 400;
        let (kind, delay_ms) = match dice.below(1000) {
            0..250 if tested => ("reversal", dice.between(5, 90) * 1000),
            0..8 => ("reversal", dice.between(20, 900) * 1000),
            8..15 if draft.payment.card.is_some() => ("refund", dice.between(3, 60) * HOUR_MS),
            15..20 => ("repeat", dice.between(4, 40) * 1000),
            20..26 if draft.payment.terminal.is_some() && draft.truth.is_none() => {
                // The acquirer could not reach us and decided itself; we are told afterwards.
                drafts[index].payment.kind = "advice";
                continue;
            }
            _ => continue,
        };
        let mut follow = draft.clone();
        follow.payment.kind = kind;
        follow.time_ms += delay_ms;
        follow.original = Some(index);
        if follow.time_ms < end_ms {
            drafts.push(follow);
        }
    }
}

/// Chargebacks and confirmations, one to three days later, disputes of what the customer bought oneself one to two
/// weeks; one fraud in eight is never reported, and sanctions are not a matter of chargebacks.
fn labels(dice: &mut Dice, drafts: &[Draft]) -> Vec<(i64, What)> {
    let mut labels = Vec::new();
    for (index, draft) in drafts.iter().enumerate() {
        let label = match draft.truth {
            _ if draft.payment.kind != "request" => continue,
            Some(Scenario::SanctionedExact | Scenario::SanctionedMisspelt) => continue,
            Some(_) if dice.chance(875) => "fraud",
            None if dice.chance(12) => "good",
            _ => continue,
        };
        let late_ms = match draft.truth {
            Some(Scenario::FriendlyFraud) => dice.between(7 * DAY_MS, 14 * DAY_MS),
            _ => dice.between(DAY_MS, 3 * DAY_MS),
        };
        let known_ms = draft.time_ms + late_ms;
        labels.push((known_ms, What::Label(index, label)));
    }
    labels
}

/// `w-000000` and so on in the feed's order; a repeat bears the id of what it repeats.
fn ids(round: u32, drafts: &[Draft], order: &[(i64, What)]) -> Vec<String> {
    let prefix = if round == 0 { "w".to_owned() } else { format!("w{round}") };
    let mut ids = vec![String::new(); drafts.len()];
    let messages = order.iter().filter_map(|(_, what)| match what {
        What::Message(index) => Some(*index),
        _ => None,
    });
    for (number, index) in messages.enumerate() {
        ids[index] = format!("{prefix}-{number:06}");
    }
    for (index, draft) in drafts.iter().enumerate() {
        if let Some(original) = draft.original.filter(|_| draft.payment.kind == "repeat") {
            ids[index] = ids[original].clone();
        }
    }
    ids
}
