//! Holds as people ask for them: found in the book a thousand at a time, so that the core is never held for long, and told
//! with what the journal has of them.

use super::Node;
use super::recall::Recalled;
use anyhow::{Result, anyhow};
use interdict_engine::domain::{Accepted, Body, Decided, Finished, HoldId, HoldState, Lever};
use interdict_engine::domain::{Recorded, Stamp, Verdict};
use interdict_engine::generation::View;
use interdict_engine::settlement::{Book, Hold, HoldKind, Labelled};
use interdict_ledger::journal::RecordKind;
use std::collections::BinaryHeap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Most holds that are looked at under the core's lock at once.
const LOOKED_AT: usize = 1024;
/// Most holds that one page by id looks at; where so many do not fit its filter it ends early, with a cursor.
const LOOKED_AT_MAX: usize = 1 << 17;
/// Payments whose records are read together.
const TOGETHER: usize = 256;

/// Which holds are asked for; what is `None` or empty asks for nothing.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Where they stand; any of these.
    pub states: Vec<HoldState>,
    /// Whose payments.
    pub tenant: Option<String>,
    /// What can stop them.
    pub lever: Option<Lever>,
    /// What is held back.
    pub kind: Option<HoldKind>,
    /// A cause: `pack/rule`, or the name of a list or watchlist.
    pub reason: Option<String>,
    /// Whether a sanctions list or rule is among the causes.
    pub sanctions: Option<bool>,
    /// Whether somebody, or a hunt, proposes to let it go.
    pub proposed: Option<bool>,
    /// Opened at this time or later, ms since the Unix epoch.
    pub since_ms: Option<i64>,
    /// Opened before this time, ms since the Unix epoch.
    pub until_ms: Option<i64>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// Of this amount or more, in minor units.
    pub least_minor: Option<i64>,
}

impl Filter {
    /// Whether a hold is asked for.
    pub fn fits(&self, hold: &Hold) -> bool {
        let opened = &hold.opened;
        let is = |wanted: Option<bool>, truth: bool| wanted.is_none_or(|wanted| wanted == truth);
        (self.states.is_empty() || self.states.contains(&hold.state))
            && self.tenant.as_deref().is_none_or(|tenant| *tenant == *opened.tenant)
            && self.lever.is_none_or(|lever| lever == opened.lever)
            && self.kind.is_none_or(|kind| HoldKind::of(opened.lever) == Some(kind))
            && is(self.sanctions, opened.sanctions)
            && is(self.proposed, hold.frees.is_some() || hold.proposed.is_some())
            && self.since_ms.is_none_or(|since_ms| opened.at_ms >= since_ms)
            && self.until_ms.is_none_or(|until_ms| opened.at_ms < until_ms)
            && self.currency.as_deref().is_none_or(|currency| *currency == *opened.currency)
            && self.least_minor.is_none_or(|least| opened.amount_minor >= least)
            && self.reason.as_deref().is_none_or(|reason| opened.causes.iter().any(|c| is_cause(c, reason)))
    }
    fn is_of_open_ones(&self) -> bool {
        self.states == [HoldState::Held]
    }
}

/// Whether a cause is the one named: itself, or the list, watchlist or stale list of it.
fn is_cause(cause: &str, named: &str) -> bool {
    let list = ["list:", "watchlist:"].iter().find_map(|front| cause.strip_prefix(front));
    let list = list.map(|rest| rest.split('/').next().unwrap_or(rest));
    cause == named || list == Some(named) || cause.strip_prefix("stale:") == Some(named)
}

/// When something has to have been done about a hold, ms since the Unix epoch: its timer, else its payment's cut-off.
pub fn deadline_ms(hold: &Hold) -> i64 {
    hold.opened.until_ms.unwrap_or(hold.opened.cut_off_ms)
}

/// Where a page begins: behind this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// In the order of ids.
    Id(Option<HoldId>),
    /// In the order of deadlines.
    Deadline(Option<(i64, HoldId)>),
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cursor::Id(Some(id)) => write!(f, "{id}"),
            Cursor::Deadline(Some((deadline_ms, id))) => write!(f, "{deadline_ms}.{id}"),
            Cursor::Id(None) | Cursor::Deadline(None) => Ok(()),
        }
    }
}

impl FromStr for Cursor {
    type Err = ();
    fn from_str(text: &str) -> Result<Cursor, ()> {
        match text.split_once('.') {
            None => Ok(Cursor::Id(Some(text.parse()?))),
            Some((deadline_ms, id)) => {
                Ok(Cursor::Deadline(Some((deadline_ms.parse().map_err(drop)?, id.parse()?))))
            }
        }
    }
}

/// Some holds.
#[derive(Debug)]
pub struct Holds {
    /// In the order asked for.
    pub holds: Vec<(HoldId, Hold)>,
    /// Where the next page begins; `None`: there is none.
    pub next: Option<Cursor>,
}

/// A hold with what its causes are told by.
pub struct Told {
    /// Its payment.
    pub accepted: Accepted,
    /// The verdict that it began with, be it a later one than the payment was answered.
    pub verdict: Verdict,
    /// What that used and cannot be made again.
    pub recorded: Recorded,
    /// A view that knows its generation.
    pub view: Arc<View>,
    /// Entries that it names and the view does not have.
    pub recalled: Vec<Recalled>,
    /// The payment's stamps in the slots of that generation, and which of them are approximate.
    pub stamps: (Vec<Stamp>, Vec<u16>),
}

/// Open holds of a lever.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenOf {
    /// How many there are.
    pub count: u64,
    /// The first deadline among them, ms since the Unix epoch.
    pub deadline_ms: Option<i64>,
}

impl Node {
    /// The holds that wait for somebody, by lever, in the order of [`Lever::ALL`].
    pub fn open_holds(&self) -> [OpenOf; Lever::ALL.len()] {
        let (mut open, mut after) = ([OpenOf::default(); Lever::ALL.len()], None);
        loop {
            let (mut seen, was) = (0, after);
            self.with_core(|core| {
                for (id, hold) in core.sequencer.book().open_after(was).take(LOOKED_AT) {
                    (seen, after) = (seen + 1, Some(id));
                    let of = &mut open[hold.opened.lever as usize];
                    of.count += 1;
                    let deadline_ms = deadline_ms(hold);
                    of.deadline_ms = Some(of.deadline_ms.map_or(deadline_ms, |first| first.min(deadline_ms)));
                }
            });
            if seen < LOOKED_AT {
                return open;
            }
        }
    }
    /// A hold as it stands.
    pub fn hold(&self, id: HoldId) -> Option<Hold> {
        self.with_core(|core| core.sequencer.book().hold(id).cloned())
    }

    /// What a payment was labelled last.
    pub fn label(&self, payment: u64) -> Option<Labelled> {
        self.with_core(|core| core.sequencer.book().label(payment))
    }

    /// A page of holds behind a place.
    pub fn holds(&self, filter: &Filter, from: Cursor, most: usize) -> Holds {
        match from {
            Cursor::Id(after) => self.holds_by_id(filter, after, most),
            Cursor::Deadline(after) => self.holds_by_deadline(filter, after, most),
        }
    }
    fn holds_by_id(&self, filter: &Filter, mut after: Option<HoldId>, most: usize) -> Holds {
        let (mut holds, mut looked_at) = (Vec::new(), 0);
        let is_all = loop {
            let (mut seen, was) = (0, after);
            self.with_core(|core| {
                for (id, hold) in behind(core.sequencer.book(), filter, was).take(LOOKED_AT) {
                    (seen, after) = (seen + 1, Some(id));
                    if filter.fits(hold) {
                        holds.push((id, hold.clone()));
                        if holds.len() >= most {
                            break;
                        }
                    }
                }
            });
            looked_at += seen;
            if holds.len() >= most || looked_at >= LOOKED_AT_MAX {
                break false;
            }
            if seen < LOOKED_AT {
                break true;
            }
        };
        Holds { holds, next: (!is_all).then_some(Cursor::Id(after)) }
    }
    fn holds_by_deadline(&self, filter: &Filter, after: Option<(i64, HoldId)>, most: usize) -> Holds {
        // All are looked at, and the earliest kept: the last of them is on top.
        let (mut first, mut more, mut at) = (BinaryHeap::with_capacity(most + 1), false, None);
        loop {
            let (mut seen, was) = (0, at);
            self.with_core(|core| {
                for (id, hold) in behind(core.sequencer.book(), filter, was).take(LOOKED_AT) {
                    (seen, at) = (seen + 1, Some(id));
                    let place = (deadline_ms(hold), id);
                    if after.is_some_and(|after| place <= after) || !filter.fits(hold) {
                        continue;
                    }
                    first.push(place);
                    if first.len() > most {
                        more = true;
                        first.pop();
                    }
                }
            });
            if seen < LOOKED_AT {
                break;
            }
        }
        let places = first.into_sorted_vec();
        let next = places.last().filter(|_| more).map(|last| Cursor::Deadline(Some(*last)));
        let mut holds = Vec::with_capacity(places.len());
        for places in places.chunks(LOOKED_AT) {
            self.with_core(|core| {
                let book = core.sequencer.book();
                let found = places.iter().filter_map(|(_, id)| Some((*id, book.hold(*id)?)));
                // One may have been ended meanwhile.
                let still = found.filter(|(_, hold)| filter.fits(hold));
                holds.extend(still.map(|(id, hold)| (id, hold.clone())));
            });
        }
        Holds { holds, next }
    }

    /// The client's ids of payments, in their order; `None` for one that had none, or is no longer kept.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn ids_of(&self, payments: &[u64]) -> Result<Vec<Option<Box<str>>>> {
        let mut wanted = payments.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut found = std::collections::BTreeMap::new();
        for together in wanted.chunks(TOGETHER) {
            let asked: Vec<_> = together.iter().map(|one| (RecordKind::Accepted, *one)).collect();
            let records = self.reader.read_many(&asked).map_err(|e| anyhow!("{e}"))?;
            for (payment, record) in together.iter().zip(records) {
                let Some(record) = record else { continue };
                if let Body::Payment(tx) = Accepted::decode(&record.open, None)?.event.body {
                    found.insert(*payment, tx.id);
                }
            }
        }
        Ok(payments.iter().map(|payment| found.get(payment).cloned().flatten()).collect())
    }

    /// Events by their sequences; what is no longer kept is left out.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn events(&self, sequences: &[u64]) -> Result<Vec<Accepted>> {
        let mut wanted: Vec<_> = sequences.iter().map(|one| (RecordKind::Accepted, *one)).collect();
        wanted.dedup();
        let records = self.reader.read_many(&wanted).map_err(|e| anyhow!("{e}"))?;
        let decode = |record: interdict_ledger::journal::OwnedRecord| {
            Ok(Accepted::decode(&record.open, record.sealed.as_deref())?)
        };
        records.into_iter().flatten().map(decode).collect()
    }

    /// What a hold's causes are told by; `None` where its payment is no longer kept.
    ///
    /// # Errors
    /// When the journal cannot be read, or its generation is no longer kept.
    pub fn told(&self, id: HoldId, hold: &Hold) -> Result<Option<Told>> {
        let failed = |e: interdict_ledger::Error| anyhow!("{e}");
        let Some(record) = self.reader.read_accepted(id.payment).map_err(failed)? else { return Ok(None) };
        let accepted = Accepted::decode(&record.open, record.sealed.as_deref())?;
        let opened = &hold.opened;
        let (verdict, recorded) = match self.begun_with(id, hold)? {
            Some(begun) => begun,
            None => {
                let verdict = Verdict {
                    sequence: id.payment,
                    outcome: opened.outcome,
                    score: opened.score,
                    reasons: opened.reasons.clone(),
                    skipped: Vec::new(),
                    default_applied: false,
                    lever: opened.lever,
                    generation: opened.generation,
                };
                (verdict, Recorded::default())
            }
        };
        let view = self.view_of(&opened.generation)?;
        let recalled = self.recall(&verdict, &view)?;
        let stamps = self.carried(&accepted, &view)?;
        Ok(Some(Told { accepted, verdict, recorded, view, recalled, stamps }))
    }
    /// The verdict that a hold began with, as the journal has it; `None` where a hunt placed it.
    fn begun_with(&self, id: HoldId, hold: &Hold) -> Result<Option<(Verdict, Recorded)>> {
        let failed = |e: interdict_ledger::Error| anyhow!("{e}");
        if hold.placed_at.is_some() {
            return Ok(None);
        }
        let is_it = |recorded: &Recorded| recorded.hold.as_deref() == Some(&hold.opened);
        if let Some(record) = self.reader.read_decided(id.payment).map_err(failed)? {
            let Decided { verdict, recorded, .. } = Decided::decode(&record.open)?;
            if is_it(&recorded) {
                return Ok(Some((verdict, recorded)));
            }
        }
        let Some(record) = self.reader.read_finished(id.payment).map_err(failed)? else { return Ok(None) };
        let Finished { verdict, recorded, .. } = Finished::decode(&record.open)?;
        Ok(is_it(&recorded).then_some((verdict, recorded)))
    }
    /// A payment's stamps in the slots of a view's generation: what was not counted then is not there.
    fn carried(&self, accepted: &Accepted, view: &View) -> Result<(Vec<Stamp>, Vec<u16>)> {
        if view.id().hash == accepted.generation.hash {
            return Ok((accepted.features.clone(), accepted.approximate.clone()));
        }
        let own = self.generation(&accepted.generation)?;
        let places = view.generation().plan().carry(own.plan());
        let stamp = |at: &Option<u16>| at.and_then(|at| accepted.features.get(usize::from(at)).copied()?);
        let is_approximate = |at: &Option<u16>| at.is_some_and(|at| accepted.approximate.contains(&at));
        let approximate = (0u16..).zip(&places).filter(|(_, at)| is_approximate(at)).map(|(place, _)| place);
        Ok((places.iter().map(stamp).collect(), approximate.collect()))
    }
}

fn behind<'a>(
    book: &'a Book,
    filter: &Filter,
    after: Option<HoldId>,
) -> Box<dyn Iterator<Item = (HoldId, &'a Hold)> + 'a> {
    match filter.is_of_open_ones() {
        true => Box::new(book.open_after(after)),
        false => Box::new(book.after(after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_its_text() {
        let id = HoldId { payment: 17, number: 2 };
        for (cursor, text) in
            [(Cursor::Id(Some(id)), "h-17-2"), (Cursor::Deadline(Some((-5, id))), "-5.h-17-2")]
        {
            assert_eq!((cursor.to_string().as_str(), text.parse()), (text, Ok(cursor)));
        }
        for wrong in ["", "17", "h-17-1", ".h-17", "5.", "x.h-17"] {
            assert_eq!(wrong.parse::<Cursor>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn a_cause_is_named_by_its_rule_or_its_list() {
        assert!(is_cause("cards/velocity", "cards/velocity") && !is_cause("cards/velocity", "cards"));
        assert!(is_cause("list:stolen/card", "stolen") && !is_cause("list:stolen/card", "card"));
        assert!(is_cause("watchlist:ofac/12/3", "ofac") && is_cause("stale:ofac", "ofac"));
    }
}
