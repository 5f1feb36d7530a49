//! Daily life: good payments of every channel, by the clock of the customer's country, and the odd things good
//! customers do that look like fraud (a new tablet, a game night, a collection for a present).

use super::dice::Dice;
use super::feed::{DAY_MS, Draft, HOUR_MS, MINUTE_MS, Population};
use super::identifiers;
use super::payments::{self, Payment};
use super::people::{self, Customer};
use super::places::{MERCHANT_COUNTRIES, country_of};

/// How many payments fall into each local hour, relative to the others.
const HOURS: [usize; 24] =
    [3, 2, 1, 1, 1, 2, 8, 18, 26, 28, 30, 36, 48, 42, 34, 32, 36, 46, 52, 46, 36, 26, 16, 8];
const TEXTS: [&str; 12] = [
    "rent march",
    "invoice 1042",
    "dinner thanks",
    "electricity",
    "pocket money",
    "phone bill",
    "football club",
    "birthday present",
    "car repair",
    "your half of the trip",
    "piano lessons",
    "",
];
const UNUSUAL_TEXTS: [&str; 3] =
    ["gift cards for the team party", "safe account savings plan", "thanks, officer"];

/// One good payment at some time of the stretch.
pub(crate) fn payment(dice: &mut Dice, population: &Population) -> Draft {
    let customer = population.customer(dice);
    let time_ms = moment(dice, population, customer);
    let payment = match dice.weighted(&[28, 22, 24, 8, 14, 4]) {
        0 => at_terminal(dice, population, customer, "chip"),
        1 => at_terminal(dice, population, customer, "contactless"),
        2 => on_internet(dice, population, customer),
        3 => by_qr(dice, population, customer),
        4 => by_transfer(dice, population, customer),
        _ => at_cash_machine(dice, population, customer),
    };
    Draft::good(time_ms, payment)
}

/// A time of day at which this customer is awake, mostly.
fn moment(dice: &mut Dice, population: &Population, customer: &Customer) -> i64 {
    let hour = dice.weighted(&HOURS) as i64 - country_of(customer.country).utc_offset_h;
    let within_day_ms = hour.rem_euclid(24) * HOUR_MS + dice.below(HOUR_MS as usize) as i64;
    population.start_ms + dice.below(population.days as usize) as i64 * DAY_MS + within_day_ms
}

fn at_terminal(
    dice: &mut Dice,
    population: &Population,
    customer: &Customer,
    channel: &'static str,
) -> Payment {
    let travelling = dice.chance(60);
    let country = if travelling { dice.below(MERCHANT_COUNTRIES) } else { customer.country };
    let merchant = population.shops.on_street(dice, country);
    let terminal = population.shops.terminal(dice, merchant);
    let cents = dice.around(merchant.typical_cents);
    // Worn chips: not every magnetic stripe is a copy.
    let channel = if dice.chance(15) { "magstripe" } else { channel };
    payments::card_present(dice, customer, merchant, terminal, channel, cents)
}

fn at_cash_machine(dice: &mut Dice, population: &Population, customer: &Customer) -> Payment {
    let country = if dice.chance(60) { dice.below(MERCHANT_COUNTRIES) } else { customer.country };
    let merchant = population.shops.cash_machine(country);
    let terminal = population.shops.terminal(dice, merchant);
    let cents = dice.between(1, 15) * 2_000;
    payments::card_present(dice, customer, merchant, terminal, "atm", cents)
}

fn on_internet(dice: &mut Dice, population: &Population, customer: &Customer) -> Payment {
    let merchant = population.shops.on_internet(dice, customer.country);
    let cents = dice.around(merchant.typical_cents);
    if dice.chance(5) {
        let device = borrowed(dice, customer);
        return payments::ecommerce(dice, customer, merchant, &device, cents);
    }
    let device = dice.pick(&customer.devices).clone();
    payments::ecommerce(dice, customer, merchant, &device, cents)
}

/// A device this customer has not used before, at home.
fn borrowed(dice: &mut Dice, customer: &Customer) -> people::Device {
    let ip = identifiers::home_ip(dice, customer.country);
    people::device(dice, ip)
}

fn by_qr(dice: &mut Dice, population: &Population, customer: &Customer) -> Payment {
    let country = if dice.chance(120) { dice.below(MERCHANT_COUNTRIES) } else { customer.country };
    let merchant = population.shops.on_street(dice, country);
    let cents = dice.around(merchant.typical_cents);
    payments::qr(dice, customer, merchant, cents)
}

fn by_transfer(dice: &mut Dice, population: &Population, customer: &Customer) -> Payment {
    let text = if dice.chance(8) { *dice.pick(&UNUSUAL_TEXTS) } else { *dice.pick(&TEXTS) };
    let device = if dice.chance(8) { borrowed(dice, customer) } else { dice.pick(&customer.devices).clone() };
    let typical = if dice.chance(25) { 140_000 } else { 11_000 };
    let cents = dice.around(typical);
    if dice.chance(120) {
        let country = if dice.chance(200) { people::country(dice) } else { customer.country };
        let payee = people::payee(dice, country);
        return payments::transfer(dice, customer, &device, &payee, cents, text);
    }
    let payee = &population.payees[*dice.pick(&customer.payees)];
    payments::transfer(dice, customer, &device, payee, cents, text)
}

/// A game night: several small purchases within minutes, like a card tester's.
pub(crate) fn game_night(dice: &mut Dice, population: &Population) -> Vec<Draft> {
    let customer = population.customer(dice);
    let shop = population.shops.online_trade(customer.country, 0);
    let mut time_ms = moment(dice, population, customer);
    let device = customer.devices[0].clone();
    let drafts = (0..dice.between(3, 6)).map(|_| {
        time_ms += dice.between(1, 6) * MINUTE_MS;
        let cents = dice.between(199, 999);
        Draft::good(time_ms, payments::ecommerce(dice, customer, shop, &device, cents))
    });
    drafts.collect()
}

/// A collection for a present: several payers, one payee nobody paid before, like a mule's.
pub(crate) fn collection(dice: &mut Dice, population: &Population) -> Vec<Draft> {
    let first = population.customer(dice);
    let payee = people::payee(dice, first.country);
    let mut time_ms = moment(dice, population, first);
    let drafts = (0..dice.between(3, 6)).map(|_| {
        let customer = population.customer(dice);
        time_ms += dice.between(3, 50) * MINUTE_MS;
        let (cents, device) = (dice.between(1_000, 4_000), customer.devices[0].clone());
        Draft::good(
            time_ms,
            payments::transfer(dice, customer, &device, &payee, cents, "present for the teacher"),
        )
    });
    drafts.collect()
}
