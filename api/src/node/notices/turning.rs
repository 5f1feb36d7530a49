//! One record into what is told of it. A notice says what was so when the record was written and never changes, so that
//! whoever is told it twice is told the same: what was in the record, and of the book only what stays.

use super::place;
use crate::answer::time;
use crate::webhooks::{Notice, NoticeKind};
use interdict_engine::domain::{
    Accepted, Act, Body, Decided, EventKind, Finished, FoundNow, HoldAct, HoldId, HoldState, Opened,
};
use interdict_engine::settlement::{AtExpiry, Hold, HoldKind};
use interdict_ledger::journal::{Reader, RecordKind, Stored};
use interdict_ledger::{Error, ErrorKind};
use serde_json::{Value, json};

/// The holds of a payment, as they stand now.
type Holds<'a> = &'a dyn Fn(u64) -> Vec<(HoldId, Hold)>;

/// Appends what a record says of holds; most say nothing, and are not read further than that.
///
/// # Errors
/// `Corrupt` for a record that does not decode.
pub(super) fn turn(
    stored: &Stored<'_>,
    holds: Holds<'_>,
    reader: &Reader,
    out: &mut Vec<Notice>,
) -> Result<(), Error> {
    let wrong = |e: interdict_engine::Error| {
        let at = stored.place();
        let text = format!("record of sequence {}: {e}", stored.sequence);
        Error::new(ErrorKind::Corrupt, text).at(at.segment, at.offset)
    };
    let at = stored.place();
    let mut teller = Teller { place: place(at.segment, at.offset), told: 0, reader, out };
    match stored.kind {
        RecordKind::Decided if Decided::has_hold(stored.open()) => {
            let decided = Decided::decode(stored.open()).map_err(wrong)?;
            if let Some(opened) = decided.recorded.hold {
                teller.began(stored.sequence, &opened, holds)?;
            }
        }
        RecordKind::Decided => {}
        RecordKind::Finished => {
            let finished = Finished::decode(stored.open()).map_err(wrong)?;
            if let Some(opened) = finished.recorded.hold {
                teller.finished(stored.sequence, &opened, holds);
            }
        }
        RecordKind::Accepted => match Accepted::kind_of(stored.open()).map_err(wrong)? {
            EventKind::HoldAct | EventKind::Hunt | EventKind::Reversal => {
                // Words are sealed, and are not told.
                let accepted = Accepted::decode(stored.open(), None).map_err(wrong)?;
                teller.event(&accepted, holds)?;
            }
            _ => {}
        },
    }
    Ok(())
}

struct Teller<'a> {
    place: u64,
    told: u32,
    reader: &'a Reader,
    out: &'a mut Vec<Notice>,
}

impl Teller<'_> {
    fn tell(&mut self, kind: NoticeKind, time_ms: i64, id: HoldId, opened: Option<&Opened>, more: Value) {
        let mut body = json!({"hold": id.to_string(), "payment": {"sequence": id.payment}});
        let tenant = opened.map(|opened| opened.tenant.to_string());
        if let Some(opened) = opened {
            body["payment"] = self.payment(id.payment, opened);
            terms(opened, &mut body);
        }
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        self.told += 1;
        let id = match self.told {
            1 => format!("n-{}", self.place),
            told => format!("n-{}-{told}", self.place),
        };
        let tenant = tenant.unwrap_or_default();
        self.out.push(Notice { id, sequence: self.place, tenant, kind, time_ms, body });
    }
    fn payment(&self, sequence: u64, opened: &Opened) -> Value {
        let record = self.reader.read_accepted(sequence).ok().flatten();
        let accepted = record.and_then(|record| Accepted::decode(&record.open, None).ok());
        let id = accepted.and_then(|accepted| match accepted.event.body {
            Body::Payment(tx) => tx.id,
            _ => None,
        });
        let currency = Some(&*opened.currency).filter(|currency| !currency.is_empty());
        json!({
            "id": id,
            "sequence": sequence,
            "amount": {"minor": opened.amount_minor, "currency": currency},
        })
    }

    /// A hold began with its payment's verdict, and may have ended with it: it had been taken back before.
    fn began(&mut self, payment: u64, opened: &Opened, holds: Holds<'_>) -> Result<(), Error> {
        let id = HoldId { payment, number: 1 };
        let kind = match opened.can_hold(opened.at_ms) {
            true => NoticeKind::HoldPlaced,
            false => NoticeKind::CaseTooLate,
        };
        self.tell(kind, opened.at_ms, id, Some(opened), json!({}));
        self.taken_back(payment, None, holds)
    }
    /// A hold began when what had been skipped was finished, unless there was one already.
    fn finished(&mut self, payment: u64, opened: &Opened, holds: Holds<'_>) {
        let of_it = |(_, hold): &(HoldId, Hold)| hold.placed_at.is_none() && hold.opened == *opened;
        if let Some((id, hold)) = holds(payment).into_iter().find(of_it) {
            let kind = match hold.state {
                HoldState::TooLate => NoticeKind::CaseTooLate,
                _ => NoticeKind::HoldPlaced,
            };
            self.tell(kind, opened.at_ms, id, Some(opened), json!({}));
        }
    }
    /// The hold that a reversal ended, told with the later of the two records that it takes: the payment's verdict, and the
    /// reversal, which may have come first. `by`: only by this one.
    fn taken_back(&mut self, payment: u64, by: Option<u64>, holds: Holds<'_>) -> Result<(), Error> {
        for (id, hold) in holds(payment) {
            let Some(ended) = hold.ended.as_ref().filter(|_| hold.state == HoldState::Reversed) else {
                continue;
            };
            if by.is_some_and(|by| by != ended.sequence) {
                continue;
            }
            let (kind, sequence) = match by {
                Some(_) => (RecordKind::Decided, payment),
                None => (RecordKind::Accepted, ended.sequence),
            };
            let other = self.reader.place_of(kind, sequence)?;
            if other.is_some_and(|other| place(other.segment, other.offset) < self.place) {
                let more = json!({"state": "reversed", "by": "reversal"});
                self.tell(NoticeKind::HoldReversed, ended.at_ms, id, Some(&hold.opened), more);
            }
        }
        Ok(())
    }

    fn event(&mut self, accepted: &Accepted, holds: Holds<'_>) -> Result<(), Error> {
        let (sequence, at_ms) = (accepted.sequence, accepted.event.arrival_ms);
        match &accepted.event.body {
            Body::HoldAct(act) => self.act(act, sequence, at_ms, &accepted.event.tenant, holds),
            Body::Hunt(found) => {
                let known = holds(found.target);
                match &found.now {
                    FoundNow::Stops { opened, too_late } => {
                        let placed = known.iter().find(|(_, hold)| hold.placed_at == Some(sequence));
                        // One that ended so long ago that it is no longer shown is the payment's first as a rule.
                        let id = placed.map_or(HoldId { payment: found.target, number: 1 }, |(id, _)| *id);
                        let kind = if *too_late { NoticeKind::CaseTooLate } else { NoticeKind::HoldPlaced };
                        self.tell(kind, at_ms, id, Some(opened), json!({}));
                    }
                    FoundNow::Frees { outcome, generation, learned } => {
                        let freed = |hold: &Hold| hold.frees.as_ref().is_some_and(|f| f.sequence == sequence);
                        let Some((id, hold)) = known.iter().find(|(_, hold)| freed(hold)) else {
                            return Ok(());
                        };
                        let now = json!({"now": {"outcome": outcome.name(), "generation": generation.to_string(),
                            "learned": {"kind": learned.what.name(), "sequence": learned.sequence}}});
                        self.tell(NoticeKind::HoldReleaseProposed, at_ms, *id, Some(&hold.opened), now);
                    }
                }
            }
            Body::Payment(_) => {
                if let Some(original) = accepted.original {
                    self.taken_back(original, Some(sequence), holds)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
    fn act(&mut self, act: &HoldAct, sequence: u64, at_ms: i64, tenant: &str, holds: Holds<'_>) {
        let known = holds(act.hold.payment).into_iter().find(|(id, _)| *id == act.hold).map(|(_, hold)| hold);
        let proposes = known
            .as_ref()
            .is_some_and(|hold| hold.proposed.as_ref().is_some_and(|one| one.sequence == sequence));
        let releases = known.as_ref().is_some_and(|hold| hold.opened.expiry_releases);
        let (kind, state) = match act.act {
            Act::Comment => (NoticeKind::HoldCommented, None),
            Act::FalseMatch if proposes => (NoticeKind::HoldFalseMatchProposed, None),
            Act::Release | Act::FalseMatch => (NoticeKind::HoldReleased, Some(HoldState::Released)),
            Act::Confirm => (NoticeKind::HoldConfirmed, Some(HoldState::Confirmed)),
            Act::Block => (NoticeKind::HoldBlocked, Some(HoldState::Blocked)),
            Act::Reject => (NoticeKind::HoldRejected, Some(HoldState::Rejected)),
            Act::Expire if known.is_none() => (NoticeKind::HoldExpired, None),
            Act::Expire if releases => (NoticeKind::HoldExpired, Some(HoldState::ExpiredReleased)),
            Act::Expire => (NoticeKind::HoldExpired, Some(HoldState::ExpiredConfirmed)),
        };
        let mut more = json!({"by": act.by});
        if let Some(state) = state {
            more["state"] = state.name().into();
        }
        self.tell(kind, at_ms, act.hold, known.as_ref().map(|hold| &hold.opened), more);
        if let Some(last) = self.out.last_mut() {
            tenant.clone_into(&mut last.tenant);
        }
    }
}

/// What a hold is, as it began: no causes, whose names are for some readers only.
fn terms(opened: &Opened, body: &mut Value) {
    let expiry = if opened.expiry_releases { AtExpiry::Release } else { AtExpiry::Confirm };
    body["lever"] = opened.lever.name().into();
    body["kind"] = HoldKind::of(opened.lever).map(HoldKind::name).into();
    body["cut_off"] = time(opened.cut_off_ms).into();
    body["until"] = opened.until_ms.map(time).into();
    body["at_expiry"] = opened.until_ms.map(|_| expiry.name()).into();
    body["sanctions"] = opened.sanctions.into();
    body["recall"] = opened.recall.into();
    body["outcome"] = opened.outcome.name().into();
    body["score"] = opened.score.into();
    body["generation"] = opened.generation.to_string().into();
    if let Some(learned) = &opened.learned {
        let (sequence, at) = (learned.sequence, time(learned.at_ms));
        body["learned"] = json!({"kind": learned.what.name(), "sequence": sequence, "at": at});
    }
}
