//! Reports over a data folder: what was intercepted on its way to settlement and what became of it, and what was blocked
//! or rejected for sanctions. Facts are the journal's, made again without a node; amounts stay in their currency.

mod blocked;
mod interceptions;
mod table;

pub use blocked::{Blocked, BlockedRow, Match, Party};
pub use interceptions::{Interceptions, Missed, Row, Sum};

use crate::history::Folder;
use anyhow::{Result, anyhow, bail};
use interdict_engine::domain::{Accepted, Decided, Finished};
use interdict_engine::limits::{PAST_HOLDS_MAX, PAST_LABELS_MAX};
use interdict_engine::settlement::{Book, PastBook};
use interdict_ledger::journal::{Reader, RecordKind, Stored};
use serde::Serialize;

/// Stands for a text whose key was destroyed.
pub const DESTROYED: &str = "[destroyed]";
/// Records that are read together.
const TOGETHER: usize = 256;

/// What a report is over.
#[derive(Debug, Clone, Default)]
pub struct Period {
    /// From this time on, ms since the Unix epoch.
    pub from_ms: Option<i64>,
    /// Before this time, ms since the Unix epoch.
    pub to_ms: Option<i64>,
    /// Whose payments; `None`: all.
    pub tenant: Option<String>,
}

impl Period {
    /// Whether something of a tenant at a time, ms since the Unix epoch, is in it.
    pub fn has(&self, tenant: &str, at_ms: i64) -> bool {
        self.tenant.as_deref().is_none_or(|wanted| wanted == tenant)
            && self.from_ms.is_none_or(|from_ms| at_ms >= from_ms)
            && self.to_ms.is_none_or(|to_ms| at_ms < to_ms)
    }
    fn told(&self) -> ToldPeriod {
        let (from, to) = (self.from_ms.map(crate::answer::time), self.to_ms.map(crate::answer::time));
        ToldPeriod { from, to, tenant: self.tenant.clone() }
    }
}

/// A period in words.
#[derive(Debug, Clone, Serialize)]
pub struct ToldPeriod {
    /// RFC 3339; null: from the journal's beginning.
    pub from: Option<String>,
    /// RFC 3339, itself outside; null: to the journal's end.
    pub to: Option<String>,
    /// Null: all tenants.
    pub tenant: Option<String>,
}

/// What a journal says of holds.
pub struct Past {
    past: PastBook,
    reader: Reader,
    from_the_start: bool,
    through: u64,
}

impl Past {
    /// Reads a folder's journal once.
    ///
    /// # Errors
    /// A damaged journal; more holds or labels than one report tells of.
    pub fn read(folder: &Folder) -> Result<Past> {
        let reader = folder.reader()?;
        let from_the_start = reader.segments().first().is_none_or(|first| first.number == 1);
        let (mut past, mut through) = (PastBook::new(), 0);
        let read = reader.for_each(0, &mut |stored| {
            through = through.max(stored.sequence);
            take(&mut past, stored)
        });
        read.map_err(|e| anyhow!("{e}"))?;
        if past.is_full() {
            bail!(
                "the journal has more than {PAST_HOLDS_MAX} holds or {PAST_LABELS_MAX} labels: one report does not tell of so many"
            );
        }
        Ok(Past { past, reader, from_the_start, through })
    }
    fn book(&self) -> &Book {
        self.past.book()
    }
    /// What the reader of a report has to know of it.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.from_the_start {
            notes.push(
                "the journal's first segments are no longer there: what began in them is not told".into(),
            );
        }
        if self.past.refused() > 0 {
            notes.push(format!("{} events are about holds that are not told", self.past.refused()));
        }
        let unlisted = self.book().counts().unlisted;
        if unlisted > 0 {
            notes.push(format!(
                "{unlisted} payments were stopped without a hold of their own, for want of room"
            ));
        }
        notes
    }
    /// Payments with their records, in the order asked; one that is no longer in the journal is left out.
    fn payments(
        &self,
        sequences: &[u64],
        each: &mut dyn FnMut(&Accepted, Option<&Decided>) -> Result<()>,
    ) -> Result<()> {
        for together in sequences.chunks(TOGETHER) {
            let kinds = [RecordKind::Accepted, RecordKind::Decided];
            let asked: Vec<_> = together.iter().flat_map(|one| kinds.map(|kind| (kind, *one))).collect();
            let found = self.reader.read_many(&asked).map_err(|e| anyhow!("{e}"))?;
            for pair in found.chunks(kinds.len()) {
                let [Some(accepted), decided] = pair else { continue };
                let accepted = Accepted::decode(&accepted.open, Some(&[]))?;
                let decided = decided.as_ref().map(|record| Decided::decode(&record.open)).transpose()?;
                each(&accepted, decided.as_ref())?;
            }
        }
        Ok(())
    }
}

fn take(past: &mut PastBook, stored: &Stored<'_>) -> Result<(), interdict_ledger::Error> {
    let corrupt = |e: interdict_engine::Error| {
        let why = format!("record of sequence {}: {e}", stored.sequence);
        interdict_ledger::Error::new(interdict_ledger::ErrorKind::Corrupt, why)
    };
    match stored.kind {
        RecordKind::Accepted => {
            let accepted = Accepted::decode(stored.open(), Some(&[])).map_err(corrupt)?;
            past.take(&accepted);
        }
        RecordKind::Decided if Decided::has_hold(stored.open()) => {
            let decided = Decided::decode(stored.open()).map_err(corrupt)?;
            past.decided(stored.sequence, decided.recorded.hold.as_deref());
        }
        RecordKind::Decided => past.decided(stored.sequence, None),
        RecordKind::Finished => {
            let finished = Finished::decode(stored.open()).map_err(corrupt)?;
            past.finished(stored.sequence, finished.recorded.hold.as_deref());
        }
    }
    Ok(())
}
