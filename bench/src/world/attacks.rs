//! What fraudsters do, scenario by scenario. An attack is a handful of drafts with the truth on them; some attacks
//! teach a list something afterwards.

use super::Scenario;
use super::dice::Dice;
use super::feed::{DAY_MS, Draft, HOUR_MS, MINUTE_MS, Population};
use super::identifiers;
use super::payments;
use super::people::{self, Customer, Device, Payee};
use super::places::{COUNTRIES, EUR, country_of};
use super::sanctioned;
use serde_json::{Value, json};

const SCAM_TEXTS: [&str; 8] = [
    "move to safe account as advised by bank security",
    "SAFE ACCOUNT transfer police case 4471",
    "gift cards for tax office payment",
    "pay fine with gift cards urgent",
    "crypto unlock fee wallet verification",
    "lottery release fee",
    "customs fee for parcel from soldier",
    "help my son new number",
];

/// What a consortium learns from an attack, and the card the owner gets instead.
pub(crate) struct Learned {
    pub(crate) known_ms: i64,
    pub(crate) pan: String,
    pub(crate) replacement: String,
}

impl Learned {
    /// The entry of the list of stolen cards: a flag, because what to do about it is the pack's to say.
    pub(crate) fn entry(&self) -> Value {
        json!({"card": {"pan": self.pan}, "effect": "flag", "reason": "STOLEN", "severity": 90})
    }
}

fn attack_start(dice: &mut Dice, population: &Population, first_day: i64) -> i64 {
    let span = (population.days - first_day) * DAY_MS - 12 * HOUR_MS;
    population.start_ms + first_day * DAY_MS + dice.below(span as usize) as i64
}

fn attacker_device(dice: &mut Dice) -> Device {
    let ip = identifiers::attacker_ip(dice);
    people::device(dice, ip)
}

/// Small tests at shops that sell downloads, then large purchases; in half of the cases the thief comes back after
/// the consortium has learned of the card.
pub(crate) fn stolen_card(dice: &mut Dice, population: &Population) -> (Vec<Draft>, Option<Learned>) {
    let customer = population.customer(dice);
    let device = attacker_device(dice);
    let mut time_ms = attack_start(dice, population, 1);
    let mut drafts = Vec::new();
    let mut buy = |dice: &mut Dice, time_ms: i64, trade: usize, cents: i64| {
        let country = if trade == 0 { customer.country } else { dice.below(COUNTRIES.len()) };
        let merchant = population.shops.online_trade(country, trade);
        let payment = payments::ecommerce(dice, customer, merchant, &device, cents);
        drafts.push(Draft::fraud(time_ms, payment, Scenario::StolenCard));
    };
    for _ in 0..dice.between(5, 9) {
        let cents = dice.between(50, 300);
        buy(dice, time_ms, 0, cents);
        time_ms += dice.between(20, 110) * 1000;
    }
    for _ in 0..dice.between(2, 4) {
        time_ms += dice.between(2, 15) * MINUTE_MS;
        let trade = *dice.pick(&[3, 4]);
        let cents = dice.between(20_000, 90_000);
        buy(dice, time_ms, trade, cents);
    }
    if dice.chance(400) {
        return (drafts, None);
    }
    let known_ms = time_ms + dice.between(30, 360) * MINUTE_MS;
    let mut back_ms = known_ms + dice.between(2, 20) * HOUR_MS;
    for _ in 0..dice.between(1, 3) {
        let cents = dice.between(5_000, 60_000);
        buy(dice, back_ms, 3, cents);
        back_ms += dice.between(5, 300) * MINUTE_MS;
    }
    let replacement = identifiers::pan(dice, country_of(customer.country));
    (drafts, Some(Learned { known_ms, pan: customer.pan.clone(), replacement }))
}

/// A skimmed terminal: cards that went through it in the first quarter of the time are used again as magnetic stripe copies, at the
/// same (colluding) shop and at foreign cash machines. `good` is daily life, which says whose cards went through.
pub(crate) fn compromised_terminal(
    dice: &mut Dice,
    population: &Population,
    good: &[Draft],
    country: usize,
) -> Vec<Draft> {
    let merchant = population.shops.supermarket(country);
    let skimmed = &population.shops.terminals[merchant.terminals[0]];
    let skimmed_days = population.days / 4;
    let last_ms = population.start_ms + skimmed_days * DAY_MS;
    let mut pans: Vec<&str> = Vec::new();
    for draft in good.iter().filter(|draft| draft.time_ms < last_ms) {
        let there = draft.payment.terminal.as_ref().is_some_and(|terminal| terminal.id == skimmed.id);
        let card = draft.payment.card.as_ref().filter(|_| there);
        if let Some(card) = card.filter(|card| !pans.contains(&card.pan.as_str())) {
            pans.push(&card.pan);
        }
    }
    pans.truncate(20);
    let mut drafts = Vec::new();
    for pan in pans {
        let customer = population.by_pan(pan);
        for _ in 0..dice.between(1, 3) {
            let time_ms = attack_start(dice, population, skimmed_days);
            let payment = if dice.chance(650) {
                let cents = dice.between(8_000, 40_000);
                payments::card_present(dice, customer, merchant, skimmed, "magstripe", cents)
            } else {
                let abroad = (customer.country + dice.between(1, 15) as usize) % COUNTRIES.len();
                let machine = population.shops.cash_machine(abroad);
                let terminal = population.shops.terminal(dice, machine);
                let cents = dice.between(10, 40) * 1_000;
                payments::card_present(dice, customer, machine, terminal, "magstripe", cents)
            };
            drafts.push(Draft::fraud(time_ms, payment, Scenario::CompromisedTerminal));
        }
    }
    drafts
}

/// A mule: many payers to one fresh account within hours, and the money moved abroad at once.
pub(crate) fn mules(dice: &mut Dice, population: &Population) -> Vec<Draft> {
    let country = people::country(dice);
    let mule = people::payee(dice, country);
    let mut time_ms = attack_start(dice, population, 2);
    let mut drafts = Vec::new();
    for _ in 0..dice.between(7, 14) {
        time_ms += dice.between(3, 25) * MINUTE_MS;
        let victim = population.customer(dice);
        let (cents, device) = (dice.between(30_000, 150_000), victim.devices[0].clone());
        let payment = payments::transfer(dice, victim, &device, &mule, cents, "investment deposit");
        drafts.push(Draft::fraud(time_ms, payment, Scenario::Mules));
    }
    let device = attacker_device(dice);
    let holder = mule_as_customer(dice, &mule, &device);
    let away = people::payee(dice, (country + 5) % COUNTRIES.len());
    for _ in 0..2 {
        time_ms += dice.between(5, 40) * MINUTE_MS;
        let cents = dice.between(200_000, 450_000);
        let payment = payments::transfer(dice, &holder, &device, &away, cents, "");
        drafts.push(Draft::fraud(time_ms, payment, Scenario::Mules));
    }
    drafts
}

fn mule_as_customer(dice: &mut Dice, mule: &Payee, device: &Device) -> Customer {
    Customer {
        name: mule.name.clone(),
        country: mule.country,
        pan: identifiers::pan(dice, country_of(mule.country)),
        account: mule.account.clone(),
        email: format!("m{}@mail.example", dice.digits(8)),
        phone: format!("+999{}", dice.digits(8)),
        devices: vec![device.clone()],
        payees: Vec::new(),
        activity: 1,
    }
}

/// A takeover: a device nobody knows sends large transfers from the customer's account to a new payee.
pub(crate) fn takeover(dice: &mut Dice, population: &Population) -> Vec<Draft> {
    let customer = population.customer(dice);
    let device = attacker_device(dice);
    let country = people::country(dice);
    let payee = people::payee(dice, country);
    let mut time_ms = attack_start(dice, population, 1);
    let drafts = (0..dice.between(1, 3)).map(|_| {
        let cents = dice.between(120_000, 800_000);
        let payment = payments::transfer(dice, customer, &device, &payee, cents, "savings");
        time_ms += dice.between(2, 12) * MINUTE_MS;
        Draft::fraud(time_ms, payment, Scenario::Takeover)
    });
    drafts.collect()
}

/// A payment to a sanctioned party, as listed or with a slip.
pub(crate) fn sanctioned(dice: &mut Dice, population: &Population, scenario: Scenario) -> Draft {
    let customer = population.customer(dice);
    let country = people::country(dice);
    let mut payee = people::payee(dice, country);
    payee.name = match scenario {
        Scenario::SanctionedExact => sanctioned::exact(dice),
        _ => sanctioned::misspelt(dice),
    };
    let time_ms = attack_start(dice, population, 0);
    let (cents, device) = (dice.around(60_000), customer.devices[0].clone());
    let payment = payments::transfer(dice, customer, &device, &payee, cents, "consulting");
    Draft::fraud(time_ms, payment, scenario)
}

/// A victim, on the own device, pays somebody new because of a story.
pub(crate) fn scam_text(dice: &mut Dice, population: &Population) -> Draft {
    let customer = population.customer(dice);
    let country = people::country(dice);
    let payee = people::payee(dice, country);
    let time_ms = attack_start(dice, population, 0);
    let (cents, device, text) = (dice.around(90_000), customer.devices[0].clone(), *dice.pick(&SCAM_TEXTS));
    let payment = payments::transfer(dice, customer, &device, &payee, cents, text);
    Draft::fraud(time_ms, payment, Scenario::ScamText)
}

/// A card stolen in a town where the euro is paid, tapped at the shops around until it is blocked: no large amount in
/// itself, but none that the owner would spend there in a week. From the last two weeks of six.
pub(crate) fn pickpocket(dice: &mut Dice, population: &Population) -> Vec<Draft> {
    let mut victim = population.customer(dice);
    while country_of(victim.country).money != EUR {
        victim = population.customer(dice);
    }
    let mut time_ms = attack_start(dice, population, population.days * 5 / 7);
    let drafts = (0..dice.between(3, 5)).map(|_| {
        let merchant = population.shops.street_trade(victim.country, *dice.pick(&[5, 6]));
        let terminal = population.shops.terminal(dice, merchant);
        let cents = dice.between(11_000, 30_000);
        time_ms += dice.between(8, 40) * MINUTE_MS;
        let payment = payments::card_present(dice, victim, merchant, terminal, "contactless", cents);
        Draft::fraud(time_ms, payment, Scenario::Pickpocket)
    });
    drafts.collect()
}

/// Turns some of the good customers' internet purchases into friendly fraud: the same customer, device and shop, and
/// only the truth is another. Of the first two thirds of the time, so that the dispute falls within it.
pub(crate) fn friendly_fraud(dice: &mut Dice, daily: &mut [Draft], count: usize, population: &Population) {
    let last_ms = population.start_ms + population.days * DAY_MS * 2 / 3;
    let mut ordinary: Vec<usize> = (0..daily.len())
        .filter(|&at| daily[at].payment.channel == "ecommerce" && daily[at].time_ms < last_ms)
        .collect();
    for _ in 0..count.min(ordinary.len()) {
        let at = ordinary.swap_remove(dice.below(ordinary.len()));
        daily[at].truth = Some(Scenario::FriendlyFraud);
    }
}
