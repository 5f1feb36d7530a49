//! The holds that a journal comes to, against the oracle (`oracle/holds.rs`), and the node's own book against both.

use super::Summary;
use super::books::{Failure, decode};
use crate::oracle::holds::{Held, Holds};
use interdict_engine::domain::{Decided, HoldState};
use interdict_engine::settlement::{Book, Hold};
use interdict_ledger::journal::{OwnedRecord, RecordKind};

/// Judges a journal, whole, in its order; and the book of the node that has it.
///
/// # Errors
/// What is not as the oracle has it.
pub fn judge(records: &[OwnedRecord], book: &Book) -> Result<Holds, Failure> {
    let mut holds = Holds::default();
    for record in records {
        let sequence = record.sequence;
        let taken = match record.kind {
            RecordKind::Accepted => holds.accepted(&decode(record)?),
            RecordKind::Decided => {
                let Decided { verdict, recorded, .. } =
                    Decided::decode(&record.open).map_err(|e| e.to_string())?;
                holds.decided(&verdict, recorded.would, recorded.hold.as_deref())
            }
            RecordKind::Finished => Err("finished by nobody".into()),
        };
        taken.map_err(|what| format!("sequence {sequence}: {what}"))?;
    }
    compare(&holds, book)?;
    Ok(holds)
}

fn compare(holds: &Holds, book: &Book) -> Result<(), Failure> {
    let mut expected: Vec<&Held> = holds.all.iter().collect();
    expected.sort_by_key(|held| held.id);
    let found: Vec<_> = book.after(None).map(|(id, hold)| (id, hold.clone())).collect();
    if found.len() != expected.len() {
        return Err(format!("the book has {} holds, expected {}", found.len(), expected.len()));
    }
    for ((id, hold), held) in found.iter().zip(expected) {
        let Hold { opened, placed_at, state, ended, proposed, frees, taken_back_minor, acts } = hold;
        let ended = ended.as_ref().map(|one| (one.sequence, one.at_ms, one.by.to_string()));
        let said = Held {
            id: *id,
            opened: opened.clone(),
            placed_at: *placed_at,
            state: *state,
            ended,
            proposed: proposed.as_ref().map(|one| one.by.to_string()),
            frees: frees.as_ref().map(|one| one.sequence),
            taken_back: *taken_back_minor,
            acts: acts.clone(),
        };
        if said != *held {
            return Err(format!("the book says {said:?}, expected {held:?}"));
        }
    }
    let is_gone = holds.gone.iter().all(|(payment, _)| book.is_gone(*payment));
    if !is_gone || book.gone_count() != holds.gone.len() as u64 {
        return Err(format!("{} payments have gone, expected {:?}", book.gone_count(), holds.gone));
    }
    if book.hunted_through() != holds.hunted_through {
        return Err(format!("hunted through {}, expected {}", book.hunted_through(), holds.hunted_through));
    }
    let unhunted = book.unhunted().iter().map(|one| (one.sequence, one.at_ms));
    if !unhunted.eq(holds.unhunted()) {
        return Err(format!("{:?} is not hunted through, expected otherwise", book.unhunted()));
    }
    Ok(())
}

/// Counts what a journal had of them.
pub fn count(holds: &Holds, summary: &mut Summary) {
    summary.holds += holds.all.len();
    summary.ended += holds.all.iter().filter(|held| held.ended.is_some()).count();
    summary.too_late += holds.all.iter().filter(|held| held.state == HoldState::TooLate).count();
    summary.gone += holds.gone.len();
}
