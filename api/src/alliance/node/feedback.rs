//! What became of the alliance's hits here, told to the alliance as signed rows. How far the journal was looked at is kept
//! in the member's folder; a row that is told twice after a kill is one row to the merge, which counts a member once.

use super::epochs::Epoch;
use crate::alliance::member::session::now_ms;
use crate::alliance::member::{Session, contribute};
use crate::node::Node;
use crate::node::consortium::ConsortiumOutcome;
use anyhow::{Context, Result};
use interdict_consortium::epoch::Snapshot;
use interdict_consortium::kind::Kind;
use interdict_consortium::member::Role;
use interdict_consortium::signal::{Key, Op, Row};
use std::collections::BTreeMap;

/// Events looked at in a round.
const EVENTS_MAX: usize = 10_000;
/// The file of how far they were.
const THROUGH: &str = "feedback";

/// What a round told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Signals confirmed.
    pub confirmed: u64,
    /// False alarms.
    pub false_alarms: u64,
    /// Outcomes of which it cannot be said which signal is meant: another epoch, or several under one cut tag.
    pub unclear: u64,
}

/// One round.
///
/// # Errors
/// The journal's, the folder's, the hub's: the next round begins at the same place.
pub(super) fn step(node: &Node, session: &mut Session, epoch: &Epoch) -> Result<Told> {
    let me = session.me()?;
    if !me.can(Role::Consumer) && !me.can(Role::Contributor) {
        return Ok(Told::default());
    }
    let own = me.id;
    let files = session.folder.files("")?;
    let after = match files.read(THROUGH)? {
        Some(bytes) => std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok()),
        None => Some(0),
    };
    let after: u64 = after.with_context(|| format!("{THROUGH}: expected a sequence"))?;
    let outcomes = node.consortium_outcomes(after, EVENTS_MAX)?;
    tracing::debug!(
        after,
        through = outcomes.through,
        outcomes = outcomes.rows.len(),
        "consortium: outcomes"
    );
    if outcomes.through == after {
        return Ok(Told::default());
    }
    let snapshot = epoch.snapshot()?;
    let version = session.newest_version()?;
    let mut told = Told::default();
    // The last word on a signal counts.
    let mut rows: BTreeMap<Key, Row<'_>> = BTreeMap::new();
    for outcome in &outcomes.rows {
        let Some(row) = row_of(outcome, &snapshot) else {
            told.unclear += 1;
            continue;
        };
        // A member does not confirm its own; where others may not see whose a signal is, the merge leaves it out.
        if row.member == Some(own) {
            continue;
        }
        let op = if outcome.confirmed { Op::Confirmed } else { Op::FalseAlarm };
        // A label may say a time that lies ahead; a contribution may not.
        let met_ms = u64::try_from(outcome.time_ms).unwrap_or_default().min(now_ms());
        rows.insert(row.key, Row::outcome(row.key, op, met_ms));
    }
    let mut rows: Vec<Row<'_>> = rows.into_values().collect();
    if !rows.is_empty() {
        told.confirmed = rows.iter().filter(|row| row.op == Op::Confirmed).count() as u64;
        told.false_alarms = rows.len() as u64 - told.confirmed;
        contribute::send_rows(session, &mut rows, version, None)?;
    }
    files.write(THROUGH, outcomes.through.to_string().as_bytes())?;
    Ok(told)
}

/// The one row of the epoch that an outcome is about.
fn row_of<'a>(
    outcome: &ConsortiumOutcome,
    snapshot: &Snapshot<'a>,
) -> Option<interdict_consortium::epoch::snapshot::Row<'a>> {
    let kind = Kind::by_number(outcome.kind as u8).ok()?;
    let tag = outcome.tag.0.to_be_bytes();
    let place = |row: &interdict_consortium::epoch::snapshot::Row<'_>| {
        (row.key.kind, row.key.key_version, row.key.tags.tag)
    };
    let wanted = (kind, outcome.version, tag);
    // Rows ascend by kind, version, tag, exact tag: those of one cut tag lie side by side.
    let (mut low, mut high) = (0, snapshot.len());
    while low < high {
        let mid = low + (high - low) / 2;
        match snapshot.row(mid).is_some_and(|row| place(&row) < wanted) {
            true => low = mid + 1,
            false => high = mid,
        }
    }
    let first = snapshot.row(low).filter(|row| place(row) == wanted)?;
    let is_shared = snapshot.row(low + 1).is_some_and(|row| place(&row) == wanted);
    (!is_shared).then_some(first)
}
