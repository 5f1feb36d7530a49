//! What the finisher finds again in the journal: views that are no longer held, and payments that the queue let go.

use super::super::recovery::empty_generation;
use anyhow::{Result, anyhow};
use interdict_engine::ErrorKind;
use interdict_engine::domain::{Accepted, Decided, GenerationId};
use interdict_engine::generation::{Generation, View};
use interdict_engine::past::Past;
use interdict_ledger::journal::{Reader, RecordKind};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Records between two looks at whether to go on.
const EVERY: u64 = 64;

/// Views that were made again.
#[derive(Debug, Default)]
pub struct Remade {
    /// By sequence, those of the generation asked for.
    pub views: Vec<(u64, Arc<View>)>,
    /// From this sequence on nothing can be made again, since what it was judged by is not kept.
    pub gone_from: Option<u64>,
}

/// Ends a reading that has what it wanted.
fn enough() -> interdict_ledger::Error {
    interdict_ledger::Error::new(interdict_ledger::ErrorKind::Invalid, "enough was read")
}

/// The views of some payments, as far as they are of one generation: a pass over the journal up to the last of them.
/// `go_on` is asked now and then, and ends it with `None`.
///
/// # Errors
/// When the journal cannot be read.
pub fn views(
    reader: &Reader,
    wanted: &BTreeSet<u64>,
    hash: [u8; 32],
    generation: &dyn Fn(&GenerationId) -> Option<Arc<Generation>>,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Option<Remade>> {
    let mut remade = Remade::default();
    let Some(last) = wanted.last().copied() else { return Ok(Some(remade)) };
    if reader.segments().first().is_some_and(|first| first.number > 1) {
        remade.gone_from = Some(0);
        return Ok(Some(remade));
    }
    let (mut past, mut records, mut stopped, mut ended) = (Past::new(empty_generation()), 0u64, false, false);
    let read = reader.for_each(0, &mut |stored| {
        records += 1;
        if records.is_multiple_of(EVERY) && !go_on() {
            stopped = true;
            return Err(enough());
        }
        if stored.kind != RecordKind::Accepted {
            return Ok(());
        }
        if stored.sequence > last {
            ended = true;
            return Err(enough());
        }
        let sealed = if past.observes() { stored.sealed()? } else { Some(Vec::new()) };
        let failed = |e: &interdict_engine::Error| {
            let why = format!("accepted {}: {e}", stored.sequence);
            interdict_ledger::Error::new(interdict_ledger::ErrorKind::Corrupt, why)
        };
        let accepted = Accepted::decode(stored.open(), sealed.as_deref()).map_err(|e| failed(&e))?;
        if wanted.contains(&stored.sequence) && past.view().id().hash == hash {
            remade.views.push((stored.sequence, past.view().clone()));
        }
        match past.apply(&accepted, generation) {
            Ok(()) => Ok(()),
            Err(e) if e.kind == ErrorKind::NotFound => {
                (remade.gone_from, ended) = (Some(stored.sequence), true);
                Err(enough())
            }
            Err(e) => Err(failed(&e)),
        }
    });
    match read {
        _ if stopped => Ok(None),
        Err(e) if !ended => Err(anyhow!("{e}")),
        _ => Ok(Some(remade)),
    }
}

/// Payments that are decided with stages skipped and not finished.
#[derive(Debug, Default)]
pub struct Lacking {
    /// Their sequences.
    pub sequences: BTreeSet<u64>,
    /// There may be more after this sequence, since only so many were looked at.
    pub more_after: Option<u64>,
}

/// Those after a sequence, among the first `most` that are decided with stages skipped, finished or not: so it can be
/// asked for the rest where all of those are finished, and holds no more than that.
///
/// # Errors
/// When the journal cannot be read.
pub fn unfinished(
    reader: &Reader,
    after: u64,
    most: usize,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Option<Lacking>> {
    let (mut lacking, mut finished) = (BTreeSet::new(), BTreeSet::new());
    let (mut left_out, mut records, mut stopped) = (None::<u64>, 0u64, false);
    let read = reader.for_each(after.saturating_add(1), &mut |stored| {
        records += 1;
        if records.is_multiple_of(EVERY) && !go_on() {
            stopped = true;
            return Err(enough());
        }
        match stored.kind {
            RecordKind::Accepted => {}
            // What does not decode is `verify`'s to tell.
            RecordKind::Decided => {
                if Decided::decode(stored.open()).is_ok_and(|decided| !decided.verdict.skipped.is_empty()) {
                    lacking.insert(stored.sequence);
                }
                if lacking.len() > most
                    && let Some(last) = lacking.pop_last()
                {
                    finished.remove(&last);
                    left_out = Some(left_out.map_or(last, |least| least.min(last)));
                }
            }
            RecordKind::Finished => {
                if lacking.contains(&stored.sequence) {
                    finished.insert(stored.sequence);
                }
            }
        }
        Ok(())
    });
    match read {
        _ if stopped => Ok(None),
        Ok(()) => Ok(Some(Lacking {
            sequences: lacking.difference(&finished).copied().collect(),
            // All that were looked at come before the first that was left out.
            more_after: left_out.map(|least| least - 1),
        })),
        Err(e) => Err(anyhow!("{e}")),
    }
}
