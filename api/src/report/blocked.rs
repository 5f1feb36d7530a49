//! `report blocked`: each payment that was blocked or rejected for sanctions, with what an officer has to file of it: who
//! paid whom how much and when, whom the list names and how alike the names were, who decided it and why.

mod told;

use super::{DESTROYED, Past, Period, ToldPeriod};
use crate::answer::{listed_name, time};
use crate::history::Folder;
use anyhow::{Result, anyhow};
use interdict_engine::domain::{
    Accepted, Body, Field, GenerationId, HoldId, HoldState, ReasonSource, Transaction,
};
use interdict_engine::generation::PartKind;
use interdict_engine::settlement::{Ended, Hold};
use interdict_engine::similarity::names::Bank;
use serde::Serialize;
use std::collections::BTreeMap;

/// What OFAC asks for in its reports and a journal cannot have. 31 CFR 501.603(b)(1): initial reports of blocked
/// property; 31 CFR 501.604(b): reports of rejected transactions; each within 10 business days of the action.
pub const NOT_GIVEN: [&str; 8] = [
    "the filer: name and address of your institution, and a contact with telephone and e-mail (501.603(b)(1), 501.604(b))",
    "account numbers: the journal has keyed tags of them, which are no accounts; what is told is country, bank, BIN and last four digits",
    "addresses of the parties and of the financial institutions involved, where the payment's feed has none",
    "where the blocked property is held now: the account it was moved to (501.603(b)(1))",
    "the value in US dollars at the day of the action, where the payment is in another currency (501.603(b)(1))",
    "the sanctions programme and legal authority: the list is told, the programme is the publisher's (501.603(b)(1), 501.604(b))",
    "a copy of the payment or transfer instructions as they came (501.603(b)(1), 501.604(b)): keep it where the rail's messages are",
    "business days that are federal holidays: `report_due` counts Monday to Friday only, so it is never too late",
];
/// Days that are no weekend until a report is due (31 CFR 501.603(b)(1)(i), 501.604(c)).
const DUE_WEEKDAYS: u32 = 10;

/// The report.
#[derive(Debug, Serialize)]
pub struct Blocked {
    /// Over what: those that were decided in it.
    pub period: ToldPeriod,
    /// The last sequence that was read.
    pub through: u64,
    /// In the order in which they were decided.
    pub rows: Vec<BlockedRow>,
    /// What the officer has to add.
    pub not_given: Vec<&'static str>,
    /// What a reader has to know.
    pub notes: Vec<String>,
}

/// A payment that was blocked or rejected.
#[derive(Debug, Clone, Serialize)]
pub struct BlockedRow {
    /// `h-SEQUENCE`.
    pub hold: String,
    /// `blocked` or `rejected`.
    pub action: &'static str,
    /// When that was decided, RFC 3339.
    pub decided_at: String,
    /// The API key's name, with the person behind a slash where one was named.
    pub decided_by: String,
    /// The written reason; null where none was written, `[destroyed]` where its key is.
    pub reason: Option<String>,
    /// The day on which OFAC's ten business days end at the earliest.
    pub report_due: Option<String>,
    /// Whose payment.
    pub tenant: String,
    /// Its place in the one order.
    pub sequence: u64,
    /// The client's id, and the rail's references, where the payment has them.
    pub id: Option<String>,
    /// ISO 20022's end-to-end reference of the transaction (UETR).
    pub uetr: Option<String>,
    /// ISO 8583 field 37.
    pub rrn: Option<String>,
    /// When it was made, RFC 3339.
    pub time: String,
    /// When it was stopped, RFC 3339.
    pub stopped_at: String,
    /// Minor units.
    pub minor: i64,
    /// ISO 4217; null where it is not known.
    pub currency: Option<String>,
    /// How it came.
    pub channel: Option<String>,
    /// Who pays.
    pub payer: Party,
    /// Who is paid.
    pub payee: Party,
    /// The merchant's name.
    pub merchant: Option<String>,
    /// What it says it is for.
    pub text: Option<String>,
    /// First digits of the card.
    pub card_bin: Option<String>,
    /// Its last four.
    pub card_last4: Option<String>,
    /// Whom it is like, strongest first.
    pub matches: Vec<Match>,
    /// All causes by name.
    pub causes: Vec<String>,
    /// By which generation it was stopped.
    pub generation: String,
}

/// A party of a payment, as far as the payment says.
#[derive(Debug, Clone, Serialize)]
pub struct Party {
    /// Its name; `[destroyed]` where its key is; null where the payment had none.
    pub name: Option<String>,
    /// ISO 3166-1.
    pub country: Option<String>,
    /// The account's country.
    pub account_country: Option<String>,
    /// The account's bank.
    pub account_bank: Option<String>,
}

/// Whom a payment is like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Match {
    /// The list or watchlist.
    pub list: String,
    /// The list's own id of the entry; of an exact list its number.
    pub entry: String,
    /// The listed name that was most alike; null of an exact list, and where the watchlist is no longer kept.
    pub name: Option<String>,
    /// 0 to 1000; null of an exact list, which holds what is equal.
    pub score: Option<u16>,
    /// The payment's field, of an exact list.
    pub field: Option<String>,
}

impl Blocked {
    /// Makes the report.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn of(folder: &Folder, past: &Past, period: &Period) -> Result<Blocked> {
        let mut lists = Lists { folder, known: BTreeMap::new() };
        let (mut rows, mut notes) = (Vec::new(), past.notes());
        for (id, hold) in past.book().after(None) {
            let Some(ended) = hold.ended.as_ref().filter(|_| is_of_sanctions(hold.state)) else { continue };
            if period.has(&hold.opened.tenant, ended.at_ms) {
                match row(past, &mut lists, id, hold, ended)? {
                    Some(row) => rows.push((ended.sequence, row)),
                    None => notes.push(format!("{id}: its payment is no longer in the journal")),
                }
            }
        }
        rows.sort_by_key(|(decided, _)| *decided);
        let rows = rows.into_iter().map(|(_, row)| row).collect();
        let (period, through) = (period.told(), past.through);
        Ok(Blocked { period, through, rows, not_given: NOT_GIVEN.to_vec(), notes })
    }
}

const fn is_of_sanctions(state: HoldState) -> bool {
    matches!(state, HoldState::Blocked | HoldState::Rejected)
}

fn row(
    past: &Past,
    lists: &mut Lists<'_>,
    id: HoldId,
    hold: &Hold,
    ended: &Ended,
) -> Result<Option<BlockedRow>> {
    let Some(record) = past.reader.read_accepted(id.payment).map_err(|e| anyhow!("{e}"))? else {
        return Ok(None);
    };
    let accepted = Accepted::decode(&record.open, record.sealed.as_deref())?;
    let Body::Payment(tx) = &accepted.event.body else { return Ok(None) };
    let open = |field: Field| tx.text(field).map(str::to_owned);
    let sealed = |field: Field| sealed(tx, field, record.sealed.is_none());
    let opened = &hold.opened;
    let matches = opened.reasons.iter().zip(&opened.causes);
    let matches =
        matches.filter_map(|(reason, cause)| lists.matched(&reason.source, cause, &opened.generation));
    Ok(Some(BlockedRow {
        hold: id.to_string(),
        action: hold.state.name(),
        decided_at: time(ended.at_ms),
        decided_by: ended.by.to_string(),
        reason: words(past, ended.sequence)?,
        report_due: due(ended.at_ms),
        tenant: opened.tenant.to_string(),
        sequence: id.payment,
        id: tx.id.as_deref().map(str::to_owned),
        uetr: open(Field::Uetr),
        rrn: open(Field::Rrn),
        time: time(tx.time_ms),
        stopped_at: time(opened.at_ms),
        minor: opened.amount_minor,
        currency: Some(opened.currency.to_string()).filter(|currency| !currency.is_empty()),
        channel: open(Field::Channel),
        payer: Party {
            name: sealed(Field::PayerName),
            country: open(Field::PayerCountry),
            account_country: open(Field::AccountCountry),
            account_bank: open(Field::AccountBank),
        },
        payee: Party {
            name: sealed(Field::PayeeName),
            country: open(Field::PayeeCountry),
            account_country: open(Field::PayeeAccountCountry),
            account_bank: None,
        },
        merchant: sealed(Field::MerchantName),
        text: sealed(Field::Text),
        card_bin: open(Field::CardBin),
        card_last4: open(Field::CardLast4),
        matches: matches.collect(),
        causes: opened.causes.iter().map(ToString::to_string).collect(),
        generation: opened.generation.to_string(),
    }))
}

/// A text of the payment. Of a destroyed key nobody knows whether there was one.
fn sealed(tx: &Transaction, field: Field, is_destroyed: bool) -> Option<String> {
    match is_destroyed {
        true => Some(DESTROYED.into()),
        false => tx.text(field).map(str::to_owned),
    }
}

/// What was written with an act.
fn words(past: &Past, sequence: u64) -> Result<Option<String>> {
    let record = past.reader.read_accepted(sequence).map_err(|e| anyhow!("{e}"))?;
    let Some(record) = record else { return Ok(None) };
    Ok(match record.sealed {
        None => Some(DESTROYED.into()),
        Some(words) => Some(String::from_utf8_lossy(&words).into_owned()).filter(|words| !words.is_empty()),
    })
}

/// The day so many weekdays after a time.
fn due(at_ms: i64) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(at_ms).ok()?;
    let (mut day, mut left) = (at.to_zoned(jiff::tz::TimeZone::UTC).date(), DUE_WEEKDAYS);
    while left > 0 {
        day = day.tomorrow().ok()?;
        left -= u32::from(!matches!(
            day.weekday(),
            jiff::civil::Weekday::Saturday | jiff::civil::Weekday::Sunday
        ));
    }
    Some(day.to_string())
}

/// Watchlists of kept generations, by hash of their content.
struct Lists<'f> {
    folder: &'f Folder,
    known: BTreeMap<[u8; 32], Option<Bank>>,
}

/// Watchlists held at once.
const LISTS_MAX: usize = 8;

impl Lists<'_> {
    fn matched(&mut self, source: &ReasonSource, cause: &str, generation: &GenerationId) -> Option<Match> {
        match source {
            ReasonSource::Name { entry, name, score, .. } => {
                let (list, id) = cause.strip_prefix("watchlist:")?.split_once('/')?;
                let bank = self.bank(generation, list);
                let listed = bank.and_then(|bank| bank.entries().get(*entry as usize));
                let name = listed.map(|entry| listed_name(entry, *name).to_owned());
                Some(Match { list: list.into(), entry: id.into(), name, score: Some(*score), field: None })
            }
            ReasonSource::Entry { entry, .. } => {
                let (list, field) = cause.strip_prefix("list:")?.split_once('/')?;
                let (entry, field) = (entry.to_string(), Some(field.to_owned()));
                Some(Match { list: list.into(), entry, name: None, score: None, field })
            }
            ReasonSource::Rule(_)
            | ReasonSource::Default(_)
            | ReasonSource::Model(_)
            | ReasonSource::Stale(_) => None,
        }
    }
    fn bank(&mut self, generation: &GenerationId, list: &str) -> Option<&Bank> {
        let store = &self.folder.store;
        let manifest = store.manifest(&generation.hash).ok().flatten()?;
        let is_it = |kind: PartKind, name: &str| kind == PartKind::Watchlist && name == list;
        let (_, _, hash) = manifest.parts().iter().find(|(kind, name, _)| is_it(*kind, name))?;
        if self.known.len() >= LISTS_MAX && !self.known.contains_key(hash) {
            self.known.clear();
        }
        let read = || Bank::decode((*store.get(hash).ok()?).as_ref()).ok();
        self.known.entry(*hash).or_insert_with(read).as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_due_after_ten_weekdays() {
        // A Monday, a Friday, a Saturday, a Sunday.
        for (at, day) in [
            (1_795_996_800_000, "2026-12-14"),
            (1_795_996_800_000 + 4 * 86_400_000, "2026-12-18"),
            (1_795_996_800_000 + 5 * 86_400_000, "2026-12-18"),
            (1_795_996_800_000 + 6 * 86_400_000, "2026-12-18"),
        ] {
            assert_eq!(due(at).as_deref(), Some(day));
        }
    }
}
