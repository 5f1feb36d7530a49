//! What became of payments that a consortium's signals stopped: the labels that came and the holds that ended, as what is
//! known of the signals. They flow back, so that whoever told a signal learns whether it was right.

use crate::node::Node;
use anyhow::{Result, anyhow};
use interdict_engine::domain::GenerationId;
use interdict_engine::domain::{
    Accepted, Act, Body, Decided, EventKind, Finished, Label, Reason, ReasonSource, Subject, SubjectKind, Tag,
};
use interdict_ledger::journal::RecordKind;
use std::collections::BTreeSet;

/// What became known of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConsortiumOutcome {
    /// The event by which it became known, by its place in the one order.
    pub sequence: u64,
    /// The payment that the signal hit.
    pub payment: u64,
    /// What the signal is about.
    pub kind: SubjectKind,
    /// Version of the consortium's key.
    pub version: u32,
    /// Its tag, as listed: of `bits` bits.
    pub tag: Tag,
    /// As listed.
    pub bits: u8,
    /// Confirmed fraud; else a false alarm.
    pub confirmed: bool,
    /// When it became known, ms since the Unix epoch.
    pub time_ms: i64,
}

/// Some of them, and how far they reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsortiumOutcomes {
    /// In the order of their events, each signal of a payment once an event.
    pub rows: Vec<ConsortiumOutcome>,
    /// All events up to this sequence have been looked at; where to go on.
    pub through: u64,
}

/// An event that says what a payment was.
struct Said {
    sequence: u64,
    payment: u64,
    confirmed: bool,
    time_ms: i64,
}

impl Node {
    /// What became known of the consortium's signals by events after `after` (0: from the beginning, else what
    /// [`ConsortiumOutcomes::through`] said; it outlives restarts): a label, or the end of a hold by a person. At most
    /// `events_max` such events are looked at. Of a payment those signals count that its verdict names, as answered, as
    /// finished, or as the hold's. A candidate counts only where it was confirmed by then: else the payment met another
    /// identifier, or nobody can say yet.
    ///
    /// # Errors
    /// When the journal cannot be read, or a generation is no longer kept.
    pub fn consortium_outcomes(&self, after: u64, events_max: usize) -> Result<ConsortiumOutcomes> {
        let (said, through) = self.said_after(after, events_max)?;
        let mut rows = Vec::new();
        for said in said {
            rows.extend(self.signals_of(&said)?);
        }
        Ok(ConsortiumOutcomes { rows, through })
    }

    fn said_after(&self, after: u64, events_max: usize) -> Result<(Vec<Said>, u64)> {
        let last = self.reader.last_sequence();
        let (mut said, mut through) = (Vec::new(), after.max(last));
        let read = self.reader.for_each(after.saturating_add(1), &mut |stored| {
            if stored.kind != RecordKind::Accepted || stored.sequence > last || said.len() >= events_max {
                return Ok(());
            }
            let failed = |e: interdict_engine::Error| {
                interdict_ledger::Error::new(interdict_ledger::ErrorKind::Corrupt, e.to_string())
            };
            let kind = Accepted::kind_of(stored.open()).map_err(failed)?;
            if !matches!(kind, EventKind::Label | EventKind::HoldAct) {
                return Ok(());
            }
            let accepted = Accepted::decode(stored.open(), None).map_err(failed)?;
            let (payment, confirmed, time_ms) = match accepted.event.body {
                Body::Label { target, label, time_ms } => (target, label == Label::Fraud, time_ms),
                Body::HoldAct(act) => {
                    let confirmed = match act.act {
                        Act::Confirm | Act::Block | Act::Reject => true,
                        Act::Release | Act::FalseMatch => false,
                        Act::Comment | Act::Expire => return Ok(()),
                    };
                    (act.hold.payment, confirmed, accepted.event.arrival_ms)
                }
                _ => return Ok(()),
            };
            said.push(Said { sequence: stored.sequence, payment, confirmed, time_ms });
            if said.len() == events_max {
                through = stored.sequence;
            }
            Ok(())
        });
        read.map_err(|e| anyhow!("{e}"))?;
        Ok((said, through))
    }

    fn signals_of(&self, said: &Said) -> Result<BTreeSet<ConsortiumOutcome>> {
        let failed = |e: interdict_ledger::Error| anyhow!("{e}");
        let wanted = [RecordKind::Decided, RecordKind::Finished].map(|kind| (kind, said.payment));
        let records = self.reader.read_many(&wanted).map_err(failed)?;
        let mut reasons: Vec<(GenerationId, Vec<Reason>)> = Vec::new();
        if let Some(record) = &records[0] {
            let verdict = Decided::decode(&record.open)?.verdict;
            reasons.push((verdict.generation, verdict.reasons));
        }
        // Of a cut tag it is known only by these whether it meant this payment.
        let mut confirmed_fields = Vec::new();
        if let Some(record) = &records[1] {
            let Finished { verdict, recorded, .. } = Finished::decode(&record.open)?;
            confirmed_fields.extend(recorded.confirmed.iter().filter(|one| one.listed).map(|one| one.field));
            reasons.push((verdict.generation, verdict.reasons));
        }
        self.with_core(|core| {
            for (_, hold) in core.sequencer.book().of_payment(said.payment) {
                reasons.push((hold.opened.generation, hold.opened.reasons.clone()));
            }
        });
        let mut rows = BTreeSet::new();
        for (generation, reasons) in reasons {
            let entries = reasons.iter().filter_map(|reason| match reason.source {
                ReasonSource::Entry { list, entry, field } => Some((list, entry, field)),
                _ => None,
            });
            let entries: Vec<(u16, u64, u8)> = entries.collect();
            if entries.is_empty() {
                continue;
            }
            let generation = self.generation_by(&generation)?;
            for (list, entry, field) in entries {
                let Some(list) = generation.lists().list(list).filter(|list| entry < list.rows()) else {
                    continue;
                };
                let Some(of) = list.meta().consortium else { continue };
                if of.bits < 128 && !confirmed_fields.contains(&field) {
                    continue;
                }
                let Subject::Tag { kind, tag } = list.entry(entry).subject else { continue };
                let Said { sequence, payment, confirmed, time_ms } = *said;
                let (version, bits) = (of.version, of.bits);
                rows.insert(ConsortiumOutcome {
                    sequence,
                    payment,
                    kind,
                    version,
                    tag,
                    bits,
                    confirmed,
                    time_ms,
                });
            }
        }
        Ok(rows)
    }
    fn generation_by(
        &self,
        id: &GenerationId,
    ) -> Result<std::sync::Arc<interdict_engine::generation::Generation>> {
        match self.is_built(&id.hash) {
            Some(generation) => Ok(generation),
            None => self.generation(id),
        }
    }
}
