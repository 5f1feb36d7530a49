//! Countries and currencies of the world: how many decimals, what a euro is worth, how an IBAN looks. The rates are
//! those of `deploy/reference/rates.csv` for the world's first week, so that the pack's sums agree with the world's.

/// A currency of ISO 4217.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Money {
    /// Alphabetic code.
    pub(crate) code: &'static str,
    /// Decimal places of the minor unit.
    pub(crate) exponent: u32,
    /// Units for one euro, in millionths.
    pub(crate) per_eur_micro: i64,
}

const fn money(code: &'static str, exponent: u32, per_eur_micro: i64) -> Money {
    Money { code, exponent, per_eur_micro }
}

pub(crate) const EUR: Money = money("EUR", 2, 1_000_000);
const USD: Money = money("USD", 2, 1_085_000);
const GBP: Money = money("GBP", 2, 845_000);
const CHF: Money = money("CHF", 2, 948_000);
const SEK: Money = money("SEK", 2, 11_250_000);
const PLN: Money = money("PLN", 2, 4_300_000);
const CZK: Money = money("CZK", 2, 25_100_000);
const DKK: Money = money("DKK", 2, 7_460_000);
const NOK: Money = money("NOK", 2, 11_600_000);
const JPY: Money = money("JPY", 0, 161_500_000);
const BRL: Money = money("BRL", 2, 5_450_000);
const INR: Money = money("INR", 2, 90_400_000);
const KWD: Money = money("KWD", 3, 334_000);

/// All currencies of the world.
#[cfg(test)]
pub(crate) const CURRENCIES: [Money; 13] = [EUR, USD, GBP, CHF, SEK, PLN, CZK, DKK, NOK, JPY, BRL, INR, KWD];

impl Money {
    /// Minor units for so many euro cents; at least one.
    pub(crate) fn of_cents(self, cents: i64) -> i64 {
        let minor =
            i128::from(cents) * i128::from(self.per_eur_micro) * 10i128.pow(self.exponent) / 100_000_000;
        i64::try_from(minor).expect("the world's amounts are small").max(1)
    }
}

/// A country of the world.
#[derive(Debug)]
pub(crate) struct Country {
    /// ISO 3166-1 alpha-2.
    pub(crate) code: &'static str,
    /// ISO 3166-1 numeric; test cards are 400000 followed by it.
    pub(crate) numeric: &'static str,
    /// Its currency.
    pub(crate) money: Money,
    /// How many customers live here, relative to the others.
    pub(crate) weight: usize,
    /// Calling code.
    pub(crate) dial: &'static str,
    /// Hours ahead of UTC.
    pub(crate) utc_offset_h: i64,
    /// Classes and lengths of the basic bank account number (ISO 13616); empty where there is no IBAN.
    pub(crate) bban: &'static [(u8, usize)],
    /// Some town.
    pub(crate) town: &'static str,
}

#[allow(clippy::too_many_arguments)] // a table's row
const fn country(
    code: &'static str,
    numeric: &'static str,
    money: Money,
    weight: usize,
    dial: &'static str,
    utc_offset_h: i64,
    bban: &'static [(u8, usize)],
    town: &'static str,
) -> Country {
    Country { code, numeric, money, weight, dial, utc_offset_h, bban, town }
}

/// The countries of the world.
pub(crate) static COUNTRIES: [Country; 16] = [
    country("DE", "276", EUR, 14, "+49", 1, &[(b'n', 18)], "Bremen"),
    country("FR", "250", EUR, 12, "+33", 1, &[(b'n', 23)], "Nantes"),
    country("PT", "620", EUR, 9, "+351", 0, &[(b'n', 21)], "Braga"),
    country("ES", "724", EUR, 8, "+34", 1, &[(b'n', 20)], "Gijon"),
    country("NL", "528", EUR, 6, "+31", 1, &[(b'a', 4), (b'n', 10)], "Zwolle"),
    country("GB", "826", GBP, 12, "+44", 0, &[(b'a', 4), (b'n', 14)], "Leeds"),
    country("US", "840", USD, 10, "+1", -5, &[], "Toledo"),
    country("CH", "756", CHF, 5, "+41", 1, &[(b'n', 17)], "Chur"),
    country("SE", "752", SEK, 5, "+46", 1, &[(b'n', 20)], "Umea"),
    country("PL", "616", PLN, 6, "+48", 1, &[(b'n', 24)], "Torun"),
    country("CZ", "203", CZK, 4, "+420", 1, &[(b'n', 20)], "Olomouc"),
    country("DK", "208", DKK, 3, "+45", 1, &[(b'n', 14)], "Aarhus"),
    country("NO", "578", NOK, 3, "+47", 1, &[(b'n', 11)], "Bergen"),
    country("JP", "392", JPY, 4, "+81", 9, &[], "Otaru"),
    country("BR", "076", BRL, 5, "+55", -3, &[(b'n', 23), (b'a', 1), (b'n', 1)], "Recife"),
    country("KW", "414", KWD, 2, "+965", 3, &[(b'a', 4), (b'n', 22)], "Salmiya"),
];

/// A country without customers, whose merchants take QR payments from travellers.
static INDIA: Country = country("IN", "356", INR, 0, "+91", 5, &[], "Mysuru");

/// A country of a number: the table, then India.
pub(crate) fn country_of(index: usize) -> &'static Country {
    COUNTRIES.get(index).unwrap_or(&INDIA)
}

/// How many countries have merchants.
pub(crate) const MERCHANT_COUNTRIES: usize = 17;
