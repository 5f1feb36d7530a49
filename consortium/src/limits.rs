//! Every bound of the consortium in one place, with its unit and what happens when it is reached.

/// Longest note (text and signatures), in bytes; a longer one is refused before it is read.
pub const NOTE_BYTES_MAX: usize = 1 << 20;
/// Most signature lines of a note (C2SP signed-note lets a verifier limit them); more are refused.
pub const SIGNATURES_MAX: usize = 128;
/// Longest name of a key, in bytes.
pub const KEY_NAME_BYTES_MAX: usize = 255;
/// Longest value of a record's line, in bytes.
pub const VALUE_BYTES_MAX: usize = 4096;
/// Most lines of a record.
pub const RECORD_LINES_MAX: usize = 16_384;

// The bill.
/// Most leaves of the query log that one bill covers (a bit each is held while they are counted); more need more bills.
pub const BILL_LEAVES_MAX: u64 = 1 << 28;
/// Most confirmed signals that one bill credits.
pub const BILL_SIGNALS_MAX: u64 = 1 << 40;
/// Most parties to one bill; the settlement has a line for each.
pub const PARTIES_MAX: usize = 4096;
/// Highest price of an item, in micro-units: a million major units.
pub const PRICE_MICRO_MAX: u64 = 1_000_000_000_000;
/// Largest amount or sum of amounts, in minor units, on either side of zero; pain.001 admits 18 digits.
pub const AMOUNT_MINOR_MAX: i64 = 1_000_000_000_000_000;
/// Most classes of a tariff.
pub const TARIFF_CLASSES_MAX: usize = 64;
/// Longest name of a class or a period, in bytes.
pub const BILL_WORD_BYTES_MAX: usize = 32;
/// How far outside of its period a query may lie that a bill counts, in milliseconds: the merge delay, generously.
pub const PERIOD_SLACK_MS: u64 = 60_000;
/// Longest reason of a dispute or reference of a deposit, in bytes.
pub const REASON_BYTES_MAX: usize = 1024;
/// Most postings of one account; more are refused. 800 years of monthly statements and nine deposits a month.
pub const POSTINGS_MAX: usize = 100_000;
