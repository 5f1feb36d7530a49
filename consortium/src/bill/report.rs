//! What a member says of itself, `interdict/usage/v1`: payments screened and hits found in its own copy of the epoch, which
//! never leave it. Signed, not proved; the head of its journal's hash chain lets an auditor sample it later.

use super::basis::Period;
use super::fields::{self, base64, check_word};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::VerifierKey;
use crate::kind::MemberId;
use crate::limits::REPORTED_MAX;
use crate::note::Note;
use crate::record::{Reader, Writer};
use std::collections::BTreeMap;

/// The record's type.
pub const TYPE: &str = "usage";
const VERSION: u32 = 1;

/// The end of a journal (`docs/formats/journal.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalHead {
    /// Sequence of its last payment.
    pub sequence: u64,
    /// Chain hash there.
    pub chain: [u8; 32],
}

/// A self-report over one period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The alliance's name.
    pub alliance: String,
    /// Who.
    pub member: MemberId,
    /// Rises with every report of the member. The highest of a period holds; those before it are corrected by it.
    pub number: u32,
    /// Of which time.
    pub period: Period,
    /// Payments screened against the epoch.
    pub screened: u64,
    /// Hits in the member's own copy.
    pub local_hits: u64,
    /// How far its journal was.
    pub journal: JournalHead,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_ms: u64,
}

impl Report {
    /// The record.
    ///
    /// # Errors
    /// `Malformed`, `Invalid` for what [`Report::decode`] would refuse.
    pub fn encode(&self) -> Result<String> {
        self.check()?;
        let mut w = Writer::new(TYPE, VERSION);
        w.put("alliance", &self.alliance)?.put("member", self.member)?.put("number", self.number)?;
        self.period.put(&mut w)?;
        w.put("screened", self.screened)?.put("local_hits", self.local_hits)?;
        w.put("journal", format_args!("{} {}", self.journal.sequence, base64(&self.journal.chain)))?;
        w.put("created_ms", self.created_ms)?;
        Ok(w.finish())
    }
    /// Reads a record.
    ///
    /// # Errors
    /// `Malformed` with the line, `Version`, `TooLarge`.
    pub fn decode(text: &str) -> Result<Report> {
        let mut r = Reader::open(text, TYPE, VERSION)?;
        let alliance = r.take("alliance")?.to_owned();
        let (member, number) = (MemberId(r.number("member")?), r.number("number")?);
        let period = Period::take(&mut r)?;
        let (screened, local_hits) = (r.number("screened")?, r.number("local_hits")?);
        let value = r.take("journal")?;
        let [sequence, chain] = fields::split(&r, value)?;
        let journal =
            JournalHead { sequence: fields::number(&r, sequence)?, chain: fields::hash(&r, chain)? };
        let created_ms = r.number("created_ms")?;
        r.end()?;
        let report = Report { alliance, member, number, period, screened, local_hits, journal, created_ms };
        report.check()?;
        Ok(report)
    }
    fn check(&self) -> Result<()> {
        check_word("an alliance's name", &self.alliance, 63)?;
        let most = self.screened.max(self.local_hits);
        if most > REPORTED_MAX {
            let message = format!("a report of {most} payments or hits in one period, limit {REPORTED_MAX}");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok(())
    }
    /// Reads a note that the member's keys signed, and nobody else.
    ///
    /// # Errors
    /// As [`Report::decode`] and [`Note::verify_all`].
    pub fn verify(note: &Note, keys: &[VerifierKey]) -> Result<Report> {
        note.verify_all(keys)?;
        Report::decode(note.text())
    }
}

/// The report of each member that holds for a period, of all that there are of it, in whatever order.
///
/// # Errors
/// `Equivocation` for two different reports of one number; `Invalid` where a later report has an earlier journal.
pub fn in_force<'a>(
    reports: impl IntoIterator<Item = &'a Report>,
    period: &Period,
) -> Result<BTreeMap<MemberId, &'a Report>> {
    let mut all: BTreeMap<(MemberId, u32), &Report> = BTreeMap::new();
    for report in reports {
        if all.insert((report.member, report.number), report).is_some_and(|other| other != report) {
            let message = format!("member {} signed two reports of number {}", report.member, report.number);
            return Err(Error::new(ErrorKind::Equivocation, message));
        }
    }
    let mut last: Option<&Report> = None;
    let mut found = BTreeMap::new();
    for ((member, number), report) in all {
        let before = last.filter(|before| before.member == member);
        if before.is_some_and(|before| before.journal.sequence > report.journal.sequence) {
            let message =
                format!("report {number} of member {member} has an earlier journal than the one before");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        if report.period == *period {
            found.insert(member, report);
        }
        last = Some(report);
    }
    Ok(found)
}
