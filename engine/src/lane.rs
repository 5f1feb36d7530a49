//! The lane: one transaction through its stages, a line each. A pure function of the stamped transaction and its
//! view, so the verdict does not depend on how many threads there are or which of them runs it.

mod evidence;
mod found;
mod known;
mod row;

pub use evidence::Evidence;
pub use found::{Found, Names, ScreenMatch, Screened};
pub use known::Known;
pub use row::Row;

use crate::decision;
use crate::domain::{Confirmation, Recorded, Stamp, Transaction, Verdict};
use crate::generation::View;
use crate::lists::Resolution;
use crate::models::ModelScratch;
use crate::patterns::PatternScratch;
use crate::rules::RuleResults;
use crate::sequencer::Work;
use crate::similarity::names::{Match, Scratch as ScreenScratch};
use crate::similarity::vectors::{Frozen, Prints, VectorScratch};
use crate::stage::{SkipReason, Stage};
use std::time::Duration;

/// What a lane works in: reused from one transaction to the next, so that none allocates once these have grown.
#[derive(Default)]
pub struct Scratch {
    /// What the stages found in the transaction at hand.
    pub found: Found,
    /// Rule results of the transaction at hand.
    pub rules: RuleResults,
    /// What precedence made of them.
    pub resolution: Resolution,
    patterns: PatternScratch,
    screens: ScreenScratch,
    matches: Vec<Match>,
    known: Option<Known>,
    vectors: VectorScratch,
    models: ModelScratch,
}

impl Scratch {
    /// One that keeps what screens found for names that came before: for a lane, which meets many.
    pub fn of_lane() -> Scratch {
        Scratch { known: Some(Known::new()), ..Scratch::default() }
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch")
            .field("found", &self.found)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

/// Asked before each stage: `None` to run it, or why it is skipped. Live, it looks at the deadline; replaying, at
/// what the record of law says was skipped.
pub trait Gate {
    /// Whether a stage is skipped.
    fn skip(&mut self, stage: Stage) -> Option<SkipReason>;
    /// Told when all stages are over and the verdict is made, which nothing skips.
    fn deciding(&mut self) {}
    /// What the record of law says of slots that cannot be made again from payment and generation; `None` live.
    fn recorded(&self) -> Option<&Recorded> {
        None
    }
    /// What has been said of the payment's candidates of a consortium's lists.
    fn confirmed(&self) -> &[Confirmation] {
        &[]
    }
    /// A device that may be asked of banks, and what is left of the payment's time (`None`: no matter how long). It
    /// changes no answer.
    fn device(&self) -> Option<(&Frozen, Option<Duration>)> {
        None
    }
}

/// Skips nothing.
#[derive(Debug, Clone, Copy)]
pub struct Open;
impl Gate for Open {
    fn skip(&mut self, _: Stage) -> Option<SkipReason> {
        None
    }
}

/// Skips nothing, and knows what was said of candidates.
#[derive(Debug, Clone, Copy)]
pub struct Confirmed<'a>(pub &'a [Confirmation]);
impl Gate for Confirmed<'_> {
    fn skip(&mut self, _: Stage) -> Option<SkipReason> {
        None
    }
    fn confirmed(&self) -> &[Confirmation] {
        self.0
    }
}

/// Skips what a verdict says was skipped, and takes from the record what cannot be made again.
#[derive(Debug, Clone, Copy)]
pub struct AsRecorded<'a>(pub &'a [(Stage, SkipReason)], pub &'a Recorded);
impl Gate for AsRecorded<'_> {
    fn skip(&mut self, stage: Stage) -> Option<SkipReason> {
        let skipped = self.0.iter().find(|(skipped, _)| *skipped == stage).map(|(_, reason)| *reason);
        // Of candidates the stage ran, and says again what it said.
        skipped.filter(|reason| *reason != SkipReason::ConfirmLate)
    }
    fn confirmed(&self) -> &[Confirmation] {
        &self.1.confirmed
    }
    fn recorded(&self) -> Option<&Recorded> {
        Some(self.1)
    }
}

/// What a lane judges: the stamped transaction and everything it is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The transaction.
    pub tx: &'a Transaction,
    /// Its stamped features.
    pub features: &'a [Stamp],
    /// Its generation, overlay and banks.
    pub view: &'a View,
    /// The transaction as each bank compares it; `None` where it is not known any more, or there are no banks.
    pub prints: Option<&'a Prints>,
}

impl<'a> From<&'a Work> for Input<'a> {
    fn from(work: &'a Work) -> Input<'a> {
        Input {
            tx: work.transaction(),
            features: &work.accepted.features,
            view: &work.view,
            prints: work.prints.as_deref(),
        }
    }
}

/// The verdict on one transaction. What each stage found stays in `scratch` for whoever counts or records it.
pub fn decide(work: &Work, gate: &mut dyn Gate, scratch: &mut Scratch) -> Verdict {
    let skipped = find(&work.into(), gate, scratch);
    let (tx, generation) = (work.transaction(), work.view.generation());
    scratch.rules.clear();
    if scratch.found.ran(Stage::Rules) {
        let row = Row::new(tx, &work.accepted.features, &work.view, &scratch.found);
        let applies = generation.applies(&tx.tenant);
        generation.rules().evaluate_packs(&row, |pack| applies[usize::from(pack)], &mut scratch.rules);
    }
    gate.deciding();
    let (verdict, would) =
        decision::decide(work, &scratch.found, &scratch.rules, skipped, &mut scratch.resolution);
    scratch.found.would = would;
    verdict
}

/// What the stages before the rules find in a transaction; which stages were skipped, and why.
pub fn find(input: &Input<'_>, gate: &mut dyn Gate, scratch: &mut Scratch) -> Vec<(Stage, SkipReason)> {
    let Scratch { found, patterns, screens, matches, known, vectors, models, .. } = scratch;
    let Input { tx, features, view, .. } = *input;
    let generation = view.generation();
    let (mut skipped, mut unavailable) = (Vec::new(), Vec::new());
    found.clear(generation);
    let recorded = gate.recorded().cloned();
    let mut runs = |gate: &mut dyn Gate, stage: Stage, found: &mut Found| {
        if !generation.has(stage) {
            return false;
        }
        let reason = gate.skip(stage);
        skipped.extend(reason.map(|reason| (stage, reason)));
        if reason.is_none() {
            found.set_ran(stage);
        }
        reason.is_none()
    };
    if runs(gate, Stage::Lists, found) {
        view.lists().probe(tx, &mut found.hits);
        found.hits.settle(gate.confirmed());
    }
    if runs(gate, Stage::Patterns, found) && found.scan(generation, tx, patterns).is_err() {
        found.set_absent(Stage::Patterns);
        unavailable.push(Stage::Patterns);
    }
    if runs(gate, Stage::Similarity, found) {
        found.screen(generation, tx, screens, matches, known.as_mut());
        // Before the models, which may read what the banks said.
        match &recorded {
            Some(recorded) => found.recall_banks(recorded),
            None => found.compare(input, gate, vectors),
        }
    }
    if runs(gate, Stage::Models, found) {
        found.score(tx, features, view, models);
        if let Some(recorded) = &recorded {
            found.recall_models(generation, recorded);
        }
    }
    runs(gate, Stage::Rules, found);
    for stage in unavailable {
        let at = skipped.partition_point(|(before, _)| *before < stage);
        skipped.insert(at, (stage, SkipReason::Unavailable));
    }
    skipped
}

/// The verdict as it would be if a stage had nothing to say: its slots absent, its hits none. For the count of
/// decisive stages; `scratch` holds what the stages found, and keeps it.
pub fn decide_without(work: &Work, verdict: &Verdict, absent: Stage, scratch: &mut Scratch) -> Verdict {
    let (tx, generation) = (work.transaction(), work.view.generation());
    let features: &[Stamp] = if absent == Stage::Features { &[] } else { &work.accepted.features };
    let kept = scratch.found.hide(absent);
    if absent < Stage::Models && scratch.found.ran(Stage::Models) {
        scratch.found.score(tx, features, &work.view, &mut scratch.models);
    }
    scratch.rules.clear();
    if scratch.found.ran(Stage::Rules) {
        let row = Row::new(tx, features, &work.view, &scratch.found);
        let applies = generation.applies(&tx.tenant);
        generation.rules().evaluate_packs(&row, |pack| applies[usize::from(pack)], &mut scratch.rules);
    }
    let skipped = verdict.skipped.clone();
    let (without, _) =
        decision::decide(work, &scratch.found, &scratch.rules, skipped, &mut scratch.resolution);
    scratch.found.show(absent, kept);
    without
}

/// What the stages found, made again from what was recorded and left in `scratch.found`: for whoever tells a verdict's
/// story, or all of its slots.
pub fn find_again(input: &Input<'_>, verdict: &Verdict, recorded: &Recorded, scratch: &mut Scratch) {
    find(input, &mut AsRecorded(&verdict.skipped, recorded), scratch);
}
