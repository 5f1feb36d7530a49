//! Where money is spent: merchants on streets and on the internet, terminals, cash machines.

use super::dice::Dice;
use super::places::{MERCHANT_COUNTRIES, country_of};

/// What a kind of shop is called, its merchant category code (ISO 18245), and what a visit costs, in euro cents.
type Trade = (&'static str, &'static str, i64);

/// Trades on the street; the first is the supermarket where most people go.
const STREET: [Trade; 8] = [
    ("Super Market", "5411", 3200),
    ("Café du Nord", "5812", 1800),
    ("Fuel Stop", "5541", 5200),
    ("Pharmacy", "5912", 1500),
    ("Book Corner", "5942", 2200),
    ("Clothing House", "5651", 6500),
    ("Electro Point", "5732", 14000),
    ("Corner Bakery", "5462", 700),
];
/// Trades on the internet.
const ONLINE: [Trade; 8] = [
    ("Download Games", "5816", 600),
    ("Stream Video", "4899", 1200),
    ("Web Fashion", "5651", 5500),
    ("Electro Online", "5732", 16000),
    ("Gift Card Hub", "5947", 4000),
    ("Air Tickets", "4511", 21000),
    ("Grand Casino Net", "7995", 5000),
    ("Parcel Books", "5942", 2400),
];

/// A shop.
#[derive(Debug, Clone)]
pub(crate) struct Merchant {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) mcc: &'static str,
    pub(crate) country: usize,
    pub(crate) typical_cents: i64,
    /// Indices into the world's terminals; empty on the internet.
    pub(crate) terminals: Vec<usize>,
}

/// A terminal or cash machine.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    pub(crate) id: String,
}

/// All shops, by country and kind.
#[derive(Debug, Default)]
pub(crate) struct Shops {
    pub(crate) merchants: Vec<Merchant>,
    pub(crate) terminals: Vec<Terminal>,
    street: Vec<Vec<usize>>,
    online: Vec<Vec<usize>>,
    cash: Vec<usize>,
}

impl Shops {
    /// The shops of every country.
    pub(crate) fn new(dice: &mut Dice) -> Shops {
        let mut shops = Shops::default();
        for country in 0..MERCHANT_COUNTRIES {
            let town = country_of(country).town;
            let street = STREET.map(|trade| shops.open(dice, country, trade, town, true));
            let online = ONLINE.map(|trade| shops.open(dice, country, trade, "", false));
            let cash = shops.open(dice, country, ("Cash Machine", "6011", 9000), town, true);
            shops.street.push(street.to_vec());
            shops.online.push(online.to_vec());
            shops.cash.push(cash);
        }
        shops
    }

    fn open(&mut self, dice: &mut Dice, country: usize, trade: Trade, town: &str, street: bool) -> usize {
        let (name, mcc, typical_cents) = trade;
        let index = self.merchants.len();
        let mut terminals = Vec::new();
        if street {
            for _ in 0..dice.between(1, 3) {
                terminals.push(self.terminals.len());
                self.terminals.push(Terminal { id: format!("T-{:04}", 1000 + self.terminals.len()) });
            }
        }
        let suffix = if town.is_empty() { country_of(country).code } else { town };
        self.merchants.push(Merchant {
            id: format!("M-{:04}", 1000 + index),
            name: format!("{name} {suffix}"),
            mcc,
            country,
            typical_cents,
            terminals,
        });
        index
    }

    /// A shop on a street of a country: often the supermarket.
    pub(crate) fn on_street(&self, dice: &mut Dice, country: usize) -> &Merchant {
        let place = &self.street[country];
        let index = if dice.chance(350) { place[0] } else { *dice.pick(place) };
        &self.merchants[index]
    }
    /// A shop on the internet: at home three times in four.
    pub(crate) fn on_internet(&self, dice: &mut Dice, home: usize) -> &Merchant {
        let country = if dice.chance(750) { home } else { dice.below(self.online.len()) };
        // Casinos and gift cards are a small part of what people buy.
        let trade = dice.weighted(&[30, 20, 22, 12, 4, 6, 2, 20]);
        &self.merchants[self.online[country][trade]]
    }
    /// The shop of a trade on the street, by its place in the table: 5 clothing, 6 electronics.
    pub(crate) fn street_trade(&self, country: usize, trade: usize) -> &Merchant {
        &self.merchants[self.street[country][trade]]
    }
    /// The shop of a trade on the internet, by its place in the table: 0 games, 3 electronics, 4 gift cards.
    pub(crate) fn online_trade(&self, country: usize, trade: usize) -> &Merchant {
        &self.merchants[self.online[country][trade]]
    }
    /// The cash machine of a country.
    pub(crate) fn cash_machine(&self, country: usize) -> &Merchant {
        &self.merchants[self.cash[country]]
    }
    /// The supermarket of a country.
    pub(crate) fn supermarket(&self, country: usize) -> &Merchant {
        &self.merchants[self.street[country][0]]
    }
    /// Some terminal of a shop.
    pub(crate) fn terminal(&self, dice: &mut Dice, merchant: &Merchant) -> &Terminal {
        &self.terminals[*dice.pick(&merchant.terminals)]
    }
}

/// The numeric code of a currency of the world (ISO 4217), as QR payloads write it.
pub(crate) fn currency_number(code: &str) -> u16 {
    match code {
        "USD" => 840,
        "GBP" => 826,
        "CHF" => 756,
        "SEK" => 752,
        "PLN" => 985,
        "CZK" => 203,
        "DKK" => 208,
        "NOK" => 578,
        "JPY" => 392,
        "BRL" => 986,
        "INR" => 356,
        "KWD" => 414,
        _ => 978,
    }
}
