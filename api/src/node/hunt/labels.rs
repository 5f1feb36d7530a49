//! Labels of payments that have not settled. Fraud, on a payment that nothing stops, is the strongest signal there is: it
//! is held. Good, on one that is held, proposes its release; not of a sanctions hold, of which a label says nothing.

use super::round::hand_over;
use super::{Hunter, Node};
use anyhow::{Result, anyhow};
use interdict_engine::domain::{
    Accepted, Body, EventKind, Found, FoundNow, HoldState, Label, Learned, LearnedWhat, Lever, Opened,
    Outcome, Verdict,
};
use interdict_engine::limits::{LABELLED_MAX, SCORE_MAX};
use interdict_engine::settlement::{Hold, Labelled, opening};
use interdict_ledger::journal::{RecordKind, Stored};
use interdict_ledger::window::Row;
use std::collections::BTreeMap;

/// The cause of a hold that a label placed.
pub(super) const CAUSE: &str = "label:fraud";
/// Labels that are asked of the book at once.
const AT_ONCE: usize = 1024;

/// Labels on their way.
#[derive(Default)]
pub(super) struct Labels {
    is_begun: bool,
    /// Those to be heeded, by payment.
    fresh: BTreeMap<u64, Labelled>,
    /// Those to be archived, by their own sequence.
    pub(super) kept: BTreeMap<u64, (u64, Labelled)>,
    /// Whether there is an archive to keep them for.
    keeps: bool,
}

impl Labels {
    pub(super) fn new(keeps: bool) -> Labels {
        Labels { keeps, ..Labels::default() }
    }
    /// Takes a record of the journal.
    pub(super) fn take(&mut self, stored: &Stored<'_>) -> Result<(), interdict_ledger::Error> {
        let corrupt = |e: interdict_engine::Error| {
            interdict_ledger::Error::new(interdict_ledger::ErrorKind::Corrupt, e.to_string())
        };
        if stored.kind != RecordKind::Accepted
            || Accepted::kind_of(stored.open()).map_err(corrupt)? != EventKind::Label
        {
            return Ok(());
        }
        let accepted = Accepted::decode(stored.open(), None).map_err(corrupt)?;
        if let Body::Label { target, label, .. } = accepted.event.body {
            let (sequence, at_ms) = (accepted.sequence, accepted.event.arrival_ms);
            self.add(target, Labelled { label, sequence, at_ms });
        }
        Ok(())
    }
    fn add(&mut self, payment: u64, known: Labelled) {
        let before = self.fresh.get(&payment).map_or(0, |before| before.sequence);
        if known.sequence > before {
            self.fresh.insert(payment, known);
        }
        if self.keeps {
            self.kept.insert(known.sequence, (payment, known));
        }
        // Whatever is not archived for long, since the disk does not take it, stays in the journal only.
        while self.kept.len() > LABELLED_MAX {
            self.kept.pop_first();
        }
        while self.fresh.len() > LABELLED_MAX {
            self.fresh.pop_first();
        }
    }
    /// At the start, what the book knows: the journal is followed from where the window ends, and a label may lie before.
    fn begin(&mut self, node: &Node) {
        let mut after = 0;
        loop {
            let some: Vec<(u64, Labelled)> =
                node.with_core(|core| core.sequencer.book().labels_after(after).take(AT_ONCE).collect());
            let Some((last, _)) = some.last() else { break };
            after = *last;
            some.into_iter().for_each(|(payment, known)| self.add(payment, known));
        }
        self.is_begun = true;
    }
}

/// Whether a label placed a hold: what judging its payment again comes to is nothing to it.
pub(super) fn is_by_label(hold: &Hold) -> bool {
    hold.opened.causes.iter().any(|cause| **cause == *CAUSE)
}

impl Hunter {
    /// Acts on the labels that have come, as far as their payments have been followed.
    ///
    /// # Errors
    /// When the window cannot be read, or the core takes nothing; they are looked at again then.
    pub(super) fn heed(&mut self, node: &Node) -> Result<()> {
        if !self.labels.is_begun {
            self.labels.begin(node);
        }
        let Some(filling) = self.filling.as_ref().filter(|_| !self.labels.fresh.is_empty()) else {
            return Ok(());
        };
        let (ready, mut found) = (self.labels.fresh.clone().into_iter(), Vec::new());
        let ready: Vec<_> = ready.filter(|(payment, _)| filling.has(*payment)).collect();
        for (payment, known) in &ready {
            let window = node.hunt().window.read();
            let made = window.row(*payment, |row| heeded(node, &row, known)).transpose()?.flatten();
            found.extend(made);
        }
        hand_over(node, found)?;
        for (payment, known) in ready {
            if self.labels.fresh.get(&payment) == Some(&known) {
                self.labels.fresh.remove(&payment);
            }
        }
        Ok(())
    }
}

/// What a label of a payment comes to; `None`: nothing.
fn heeded(node: &Node, row: &Row<'_, '_>, known: &Labelled) -> Result<Option<(Box<str>, Found)>> {
    let payment = row.sequence();
    let (latest, is_stopped) = node.with_core(|core| {
        let book = core.sequencer.book();
        let is_stopped = book.is_stopped(payment) || book.is_reversed(payment);
        (book.latest(payment).map(|(_, hold)| hold.clone()), is_stopped)
    });
    let learned = Learned { sequence: known.sequence, at_ms: known.at_ms, what: LearnedWhat::Label };
    let now = match (known.label, latest) {
        (Label::Fraud, None) if !is_stopped => stops(node, row, learned)?,
        // Somebody released it, and did not know then.
        (Label::Fraud, Some(hold))
            if matches!(hold.state, HoldState::Released | HoldState::ExpiredReleased)
                && hold.ended.as_ref().is_some_and(|ended| ended.sequence < known.sequence) =>
        {
            stops(node, row, learned)?
        }
        // Its release was proposed, and is no longer.
        (Label::Fraud, Some(hold))
            if hold.state == HoldState::Held
                && hold.frees.as_ref().is_some_and(|freed| freed.sequence < known.sequence) =>
        {
            stops(node, row, learned)?
        }
        (Label::Good, Some(hold))
            if hold.state == HoldState::Held
                && hold.frees.is_none()
                && !hold.opened.sanctions
                && hold.placed_at.is_none_or(|placed_at| placed_at < known.sequence) =>
        {
            FoundNow::Frees { outcome: Outcome::Approve, generation: node.view().id(), learned }
        }
        _ => return Ok(None),
    };
    Ok(Some((row.tenant().into(), Found { target: payment, now })))
}

/// The hold of a payment that is known to be fraud, by the terms that are in force.
fn stops(node: &Node, row: &Row<'_, '_>, learned: Learned) -> Result<FoundNow> {
    let (accepted, view) = (row.accepted_open().map_err(|e| anyhow!("{e}"))?, node.view());
    let verdict = Verdict {
        sequence: row.sequence(),
        outcome: Outcome::Hold,
        score: SCORE_MAX,
        reasons: Vec::new(),
        skipped: Vec::new(),
        default_applied: false,
        lever: Lever::None,
        generation: view.id(),
    };
    let opened = opening(&accepted, &view, &verdict, Outcome::Hold, Some(learned), node.clock.wall_ms());
    let opened = Opened { causes: vec![CAUSE.into()], ..opened };
    Ok(FoundNow::Stops { opened: Box::new(opened), too_late: false })
}
