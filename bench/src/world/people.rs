//! Who lives in the world: customers with card, account and devices, and whom they pay. Names are invented.

use super::dice::Dice;
use super::identifiers;
use super::payments::Account;
use super::places::{COUNTRIES, country_of};

const FIRST: [&str; 40] = [
    "Ana",
    "Bruno",
    "Carla",
    "Dario",
    "Elsa",
    "Felix",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Karin",
    "Luca",
    "Marta",
    "Nils",
    "Olga",
    "Paulo",
    "Quirin",
    "Rosa",
    "Sven",
    "Tilda",
    "Ursula",
    "Vasco",
    "Wanda",
    "Xaver",
    "Yara",
    "Zeno",
    "Amélie",
    "Björn",
    "Chloé",
    "Dörte",
    "Édouard",
    "Françoise",
    "Gökhan",
    "Håkon",
    "İpek",
    "Jürgen",
    "Łukasz",
    "María",
    "Noëlle",
    "Søren",
];
const LAST: [&str; 40] = [
    "Almeira",
    "Bergholt",
    "Castellan",
    "Dovrenko",
    "Eskildane",
    "Fontreal",
    "Grabowka",
    "Hollandt",
    "Iversund",
    "Jarosek",
    "Kallweit",
    "Lindmoor",
    "Marquesa",
    "Nordahlin",
    "Okafora",
    "Pellegrand",
    "Quintal",
    "Rosenkvist",
    "Salvadore",
    "Tervonen",
    "Ullmark",
    "Vandoren",
    "Wexfield",
    "Xanthos",
    "Yamakado",
    "Zelenski-Moor",
    "Ahlström",
    "Brânză",
    "Çelikay",
    "Dąbrowska",
    "Évrard",
    "Frölich",
    "Gálvez",
    "Højgaard",
    "Ibáñez",
    "Jørstad",
    "Krämerin",
    "Løvdal",
    "Müllner",
    "Österling",
];
const BILLERS: [&str; 3] = ["City Energy Supply", "Homestead Rents", "Northern Telecom Bills"];
const AGENTS: [&str; 5] = [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_2 like Mac OS X)",
    "Mozilla/5.0 (Linux; Android 15; SM-S921B)",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64)",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_6)",
    "Mozilla/5.0 (X11; Linux x86_64)",
];

/// A phone or computer.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) id: String,
    pub(crate) ip: String,
    pub(crate) user_agent: &'static str,
}

/// Whom a transfer goes to.
#[derive(Debug, Clone)]
pub(crate) struct Payee {
    pub(crate) name: String,
    pub(crate) account: Account,
    pub(crate) country: usize,
}

/// Somebody who pays.
#[derive(Debug, Clone)]
pub(crate) struct Customer {
    pub(crate) name: String,
    pub(crate) country: usize,
    pub(crate) pan: String,
    pub(crate) account: Account,
    pub(crate) email: String,
    pub(crate) phone: String,
    pub(crate) devices: Vec<Device>,
    /// Indices into the world's payees.
    pub(crate) payees: Vec<usize>,
    /// How often this one pays, relative to the others.
    pub(crate) activity: usize,
}

/// A name nobody bears, as far as we know.
pub(crate) fn name(dice: &mut Dice) -> String {
    format!("{} {}", dice.pick(&FIRST), dice.pick(&LAST))
}

/// A new device with an address.
pub(crate) fn device(dice: &mut Dice, ip: String) -> Device {
    Device { id: format!("d-{}", dice.digits(9)), ip, user_agent: dice.pick::<&'static str>(&AGENTS) }
}

/// A country, drawn by how many live there.
pub(crate) fn country(dice: &mut Dice) -> usize {
    let weights: Vec<usize> = COUNTRIES.iter().map(|country| country.weight).collect();
    dice.weighted(&weights)
}

/// A new person to be paid.
pub(crate) fn payee(dice: &mut Dice, country: usize) -> Payee {
    Payee { name: name(dice), account: identifiers::account(dice, country_of(country)), country }
}

/// Everybody's payees: billers first (three a country, in the countries' order), then persons.
pub(crate) fn payees(dice: &mut Dice, persons: usize) -> Vec<Payee> {
    let mut all = Vec::new();
    for (index, place) in COUNTRIES.iter().enumerate() {
        for biller in BILLERS {
            let account = identifiers::account(dice, place);
            all.push(Payee { name: format!("{biller} {}", place.town), account, country: index });
        }
    }
    for _ in 0..persons {
        let country = country(dice);
        all.push(payee(dice, country));
    }
    all
}

/// A customer whose payees are chosen among `payees`.
pub(crate) fn customer(dice: &mut Dice, payees: &[Payee]) -> Customer {
    let country = country(dice);
    let place = country_of(country);
    let name = name(dice);
    let devices = (0..dice.between(1, 2)).map(|_| {
        let ip = identifiers::home_ip(dice, country);
        device(dice, ip)
    });
    let devices = devices.collect();
    let billers = COUNTRIES.len() * BILLERS.len();
    let mut own: Vec<usize> = (country * BILLERS.len()..(country + 1) * BILLERS.len()).collect();
    let near: Vec<usize> =
        (billers..payees.len()).filter(|&index| payees[index].country == country).collect();
    for _ in 0..dice.between(2, 4) {
        let cross_border = near.is_empty() || dice.chance(150);
        let index =
            if cross_border { billers + dice.below(payees.len() - billers) } else { *dice.pick(&near) };
        own.push(index);
    }
    Customer {
        name,
        country,
        pan: identifiers::pan(dice, place),
        account: identifiers::account(dice, place),
        email: format!("c{}@mail.example", dice.digits(8)),
        phone: format!("{}{}", place.dial, dice.digits(9)),
        devices,
        payees: own,
        activity: dice.below(4) + 1,
    }
}
