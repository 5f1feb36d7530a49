//! What the stages did, counted: evaluated, hit, decisive, skipped; outcomes; rule hits; how much each lane worked.
//! Atomics, so that lanes count without a lock; read by the replay's summary and by `/metrics`.

use super::timing::StageTimes;
use interdict_engine::domain::{Outcome, Verdict};
use interdict_engine::generation::View;
use interdict_engine::lane::{Scratch, decide_without};
use interdict_engine::rules::Mode;
use interdict_engine::sequencer::Work;
use interdict_engine::{SkipReason, Stage};
use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use utoipa::ToSchema;

/// The stages that are counted.
pub const STAGES: [Stage; 6] =
    [Stage::Features, Stage::Lists, Stage::Patterns, Stage::Similarity, Stage::Models, Stage::Rules];

/// Why a stage may be skipped.
const REASONS: [SkipReason; 3] =
    [SkipReason::Deadline, SkipReason::Unavailable, SkipReason::ConfirmLate];

/// One verdict in this many is asked again without each stage, unless all are.
const SAMPLE: u64 = 64;

#[derive(Debug, Default)]
struct StageCounts {
    evaluated: AtomicU64,
    hits: AtomicU64,
    decisive: AtomicU64,
    /// By reason.
    skipped: [AtomicU64; REASONS.len()],
}

/// The counts of a node.
#[derive(Debug)]
pub struct Tally {
    /// How long stages took.
    pub times: StageTimes,
    full: bool,
    stages: [StageCounts; STAGES.len()],
    outcomes: [AtomicU64; Outcome::ALL.len()],
    lanes: Vec<AtomicU64>,
    undecided: AtomicU64,
    defaults: AtomicU64,
    names: AtomicU64,
    names_known: AtomicU64,
    /// Shadow hits by generation and rule number.
    shadow: RwLock<BTreeMap<[u8; 32], Arc<[AtomicU64]>>>,
    /// Scores that failed inside tract, by the model's id: seldom, so behind a lock.
    model_failures: Mutex<BTreeMap<String, u64>>,
    /// Verdicts with a shadow hit, by outcome as given and as it were if shadow rules counted.
    diffs: [[AtomicU64; Outcome::ALL.len()]; Outcome::ALL.len()],
}

/// One stage's counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct StageSummary {
    /// Transactions the stage ran for.
    pub evaluated: u64,
    /// Transactions it found something in: a decided feature, a list entry, a pattern, a similar name or payment, a
    /// model's score above 0, a live or shadow rule.
    pub hits: u64,
    /// Verdicts (of those asked) whose outcome would differ without the stage.
    pub decisive: u64,
    /// Transactions it was skipped for.
    pub skipped: u64,
}

impl Tally {
    /// Counts for `lanes` lanes (at least one). `full` asks every verdict again without each stage, not 1 in 64.
    pub fn new(lanes: usize, full: bool) -> Tally {
        Tally {
            times: StageTimes::new(),
            full,
            stages: Default::default(),
            outcomes: Default::default(),
            lanes: (0..lanes.max(1)).map(|_| AtomicU64::new(0)).collect(),
            undecided: AtomicU64::new(0),
            defaults: AtomicU64::new(0),
            names: AtomicU64::new(0),
            names_known: AtomicU64::new(0),
            shadow: RwLock::default(),
            model_failures: Mutex::default(),
            diffs: Default::default(),
        }
    }

    /// Counts one verdict; `scratch` still holds what its stages found, and may be overwritten.
    pub fn count(&self, work: &Work, verdict: &Verdict, scratch: &mut Scratch, lane: usize) {
        self.lanes[lane].fetch_add(1, Relaxed);
        self.outcomes[verdict.outcome as usize].fetch_add(1, Relaxed);
        self.undecided.fetch_add(scratch.rules.undecided.len() as u64, Relaxed);
        self.defaults.fetch_add(u64::from(verdict.default_applied), Relaxed);
        let names = scratch.found.names();
        self.names.fetch_add(names.screened.into(), Relaxed);
        self.names_known.fetch_add(names.known.into(), Relaxed);
        self.count_shadow(work, verdict, scratch);
        let generation = work.view.generation();
        for number in scratch.found.failed_models() {
            let id = generation.models()[usize::from(*number)].id();
            *self.model_failures.lock().entry(id.to_owned()).or_default() += 1;
        }
        for (stage, counts) in STAGES.iter().zip(&self.stages).filter(|(stage, _)| generation.has(**stage)) {
            let found = match stage {
                Stage::Features => work.accepted.features.iter().any(Option::is_some),
                Stage::Rules => !scratch.rules.hits.is_empty(),
                stage => scratch.found.any(*stage),
            };
            if let Some((_, why)) = verdict.skipped.iter().find(|(skipped, _)| skipped == stage) {
                counts.skipped[*why as usize].fetch_add(1, Relaxed);
            } else {
                counts.evaluated.fetch_add(1, Relaxed);
                counts.hits.fetch_add(u64::from(found), Relaxed);
            }
        }
        // By sequence, so that the same transactions are asked whatever the number of lanes.
        if self.full || verdict.sequence.is_multiple_of(SAMPLE) {
            for (stage, counts) in
                STAGES.iter().zip(&self.stages).filter(|(stage, _)| generation.has(**stage))
            {
                let without = decide_without(work, verdict, *stage, scratch);
                counts.decisive.fetch_add(u64::from(without.outcome != verdict.outcome), Relaxed);
            }
        }
    }

    /// Shadow rules are in no verdict; here is where their hits are seen.
    fn count_shadow(&self, work: &Work, verdict: &Verdict, scratch: &Scratch) {
        let (id, rules) = (work.view.id(), work.view.generation().rules());
        let mut live = None;
        for hit in scratch.rules.hits.iter().filter(|hit| rules.rule(hit.rule).mode() == Mode::Shadow) {
            let known = self.shadow.read().get(&id.hash).cloned();
            let counts = known.unwrap_or_else(|| {
                let fresh = || (0..rules.len()).map(|_| AtomicU64::new(0)).collect();
                self.shadow.write().entry(id.hash).or_insert_with(fresh).clone()
            });
            counts[hit.rule as usize].fetch_add(1, Relaxed);
            // A verdict is the strongest of what was not cancelled, so a rule that counts can only make it stronger.
            let rule = rules.rule(hit.rule);
            let cancelled = scratch.found.hits.iter().any(|hit| hit.overrides.as_deref() == Some(rule.id()));
            let outcome = if cancelled { verdict.outcome } else { rule.outcome() };
            live = live.max(Some(outcome.max(verdict.outcome)));
        }
        // Of a fact nothing is decided, with shadow rules or without.
        if let Some(live) = live.filter(|_| verdict.outcome != Outcome::Recorded) {
            self.diffs[verdict.outcome as usize][live as usize].fetch_add(1, Relaxed);
        }
    }
    /// Verdicts with a shadow hit: the outcome given, the outcome if shadow rules counted, how many.
    pub fn shadow_diffs(&self) -> impl Iterator<Item = (Outcome, Outcome, u64)> {
        let decided = || Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Recorded);
        let pairs =
            decided().flat_map(move |from| decided().filter(move |to| *to >= from).map(move |to| (from, to)));
        pairs.map(|(from, to)| (from, to, self.diffs[from as usize][to as usize].load(Relaxed)))
    }
    /// Hits of a view's shadow rules so far, by rule id.
    pub fn shadow_hits(&self, view: &View) -> BTreeMap<String, u64> {
        let counts = self.shadow.read().get(&view.id().hash).cloned();
        let shadow =
            view.generation().rules().rules().iter().enumerate().filter(|(_, r)| r.mode() == Mode::Shadow);
        shadow
            .map(|(number, rule)| {
                (rule.id().to_owned(), counts.as_ref().map_or(0, |counts| counts[number].load(Relaxed)))
            })
            .collect()
    }

    /// Scores that failed inside tract, by model: those of the view from 0 on, and those that failed before it.
    pub fn model_failures(&self, view: &View) -> BTreeMap<String, u64> {
        let mut counts = self.model_failures.lock().clone();
        for model in view.generation().models() {
            counts.entry(model.id().to_owned()).or_default();
        }
        counts
    }

    /// Counts by stage name.
    pub fn stages(&self) -> BTreeMap<&'static str, StageSummary> {
        let summary = |counts: &StageCounts| StageSummary {
            evaluated: counts.evaluated.load(Relaxed),
            hits: counts.hits.load(Relaxed),
            decisive: counts.decisive.load(Relaxed),
            skipped: counts.skipped.iter().map(|count| count.load(Relaxed)).sum(),
        };
        STAGES.iter().zip(&self.stages).map(|(stage, counts)| (stage.name(), summary(counts))).collect()
    }
    /// Transactions each stage was skipped for: stage, reason, how many.
    pub fn skips(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let counted = STAGES.iter().zip(&self.stages);
        counted.flat_map(|(stage, counts)| {
            let by_reason = REASONS.iter().zip(&counts.skipped);
            by_reason.map(|(reason, count)| (stage.name(), reason.name(), count.load(Relaxed)))
        })
    }
    /// Verdicts by outcome name.
    pub fn outcomes(&self) -> BTreeMap<&'static str, u64> {
        Outcome::ALL
            .into_iter()
            .zip(&self.outcomes)
            .map(|(o, count)| (o.name(), count.load(Relaxed)))
            .collect()
    }
    /// Transactions each lane decided; with `lanes = 0` one number.
    pub fn lanes(&self) -> Vec<u64> {
        self.lanes.iter().map(|count| count.load(Relaxed)).collect()
    }
    /// Rule evaluations that were undecided.
    pub fn undecided(&self) -> u64 {
        self.undecided.load(Relaxed)
    }
    /// Names that were searched for in watchlists, and names whose result was kept from before.
    pub fn names(&self) -> [(&'static str, u64); 2] {
        let (all, known) = (self.names.load(Relaxed), self.names_known.load(Relaxed));
        [("searched", all.saturating_sub(known)), ("known", known)]
    }
    /// Verdicts in which a default took part.
    pub fn defaults(&self) -> u64 {
        self.defaults.load(Relaxed)
    }
}
