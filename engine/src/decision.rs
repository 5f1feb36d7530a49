//! Hits to a verdict: the precedence of list effects and rules, the declared defaults of skipped stages, the score,
//! the reasons, and the lever. The only place where what a stage found becomes an outcome.

use crate::domain::{Effect, Lever, Outcome, Reason, ReasonSource, SlotId, Verdict};
use crate::freshness::WhenStale;
use crate::generation::Generation;
use crate::lane::{Found as StageFindings, ScreenMatch};
use crate::limits::{REASONS_MAX, SCORE_MAX};
use crate::lists::{Hit, Resolution, RuleHit, resolve};
use crate::rules::{self, Mode, RuleResults};
use crate::sequencer::Work;
use crate::stage::{SkipReason, Stage};
use smallvec::SmallVec;

/// Score of a block whose entry gives no severity; a flag gets half.
const BLOCK_SCORE: u16 = 1000;

/// The verdict on one transaction, from what its stages found, and what it would have been where a fact is only
/// recorded though a request would have been stopped. `resolution` is a buffer, reused.
pub fn decide(
    work: &Work,
    found_by: &StageFindings,
    results: &RuleResults,
    mut skipped: Vec<(Stage, SkipReason)>,
    resolution: &mut Resolution,
) -> (Verdict, Option<Outcome>) {
    // Said anew below, by what there is.
    skipped.retain(|(_, reason)| *reason != SkipReason::ConfirmLate);
    let (tx, generation, hits) = (work.transaction(), work.view.generation(), &found_by.hits);
    let all = generation.rules();
    let live: SmallVec<[rules::Hit; 16]> =
        results.hits.iter().filter(|hit| all.rule(hit.rule).mode() == Mode::Live).copied().collect();
    let named: SmallVec<[RuleHit<'_>; 16]> = live
        .iter()
        .map(|hit| {
            let rule = all.rule(hit.rule);
            RuleHit { number: hit.rule, name: rule.id(), outcome: rule.outcome() }
        })
        .collect();
    let lists = work.view.lists();
    resolve(hits, |number| lists.list_name(number), &named, resolution);

    let mut found = Found::default();
    for (at, hit) in hits.iter().enumerate() {
        let cancelled = resolution.hit_cancelled_by(at).is_some();
        found.entry(hit, cancelled);
    }
    for (at, hit) in live.iter().enumerate() {
        if resolution.rule_cancelled_by(at).is_none() {
            let rule = all.rule(hit.rule);
            let (stage, source) = rule_source(hit.rule, rule.slots(), found_by, generation);
            let reason = Reason { stage, source, slots: SmallVec::from_slice(rule.slots()) };
            found.add(rule.outcome(), hit.score, reason);
        }
    }
    found.models(generation, &tx.tenant, found_by);
    for (place, stale) in work.view.stale(WhenStale::Review, work.accepted.event.arrival_ms) {
        if stale.is_for(&tx.tenant) {
            let source = ReasonSource::Stale(place as u16);
            found.add(Outcome::Review, 0, Reason { stage: Stage::Lists, source, slots: SmallVec::new() });
        }
    }
    let mut default_applied = found.defaults(generation, &tx.tenant, &skipped);
    let is_open = |(at, hit): (usize, &Hit)| hit.is_candidate() && resolution.hit_cancelled_by(at).is_none();
    if hits.iter().enumerate().any(is_open) {
        // What its list declares took part.
        default_applied = true;
        let at = skipped.partition_point(|(before, _)| *before < Stage::Lists);
        skipped.insert(at, (Stage::Lists, SkipReason::ConfirmLate));
    }
    let wanted = found.outcome;
    let score = found.score;
    let outcome = if tx.kind.is_fact() { Outcome::Recorded } else { wanted };
    let would = Some(wanted).filter(|wanted| tx.kind.is_fact() && *wanted > Outcome::Approve);
    // Of a fact, what would have been stopped is still worth a lever: the case or hold that it opens uses it.
    let lever = match wanted {
        Outcome::Hold => generation.settings().lever(tx),
        _ => Lever::None,
    };
    let verdict = Verdict {
        sequence: work.accepted.sequence,
        outcome,
        score,
        reasons: found.reasons(),
        skipped,
        default_applied,
        lever,
        generation: work.view.id(),
    };
    (verdict, would)
}

/// Where a rule's reason comes from: a rule that asks a screen, and hits, tells the listed name that is most alike.
fn rule_source(
    rule: u32,
    slots: &[SlotId],
    found_by: &StageFindings,
    generation: &Generation,
) -> (Stage, ReasonSource) {
    let starts = &generation.slots().starts;
    for slot in slots.iter().filter(|slot| (starts.names..starts.banks).contains(&slot.0)) {
        let screen = (slot.0 - starts.names) / 2;
        if let Some(best) = found_by.screened(usize::from(screen)).and_then(|screened| screened.best) {
            let ScreenMatch { watchlist, entry, name, score } = best;
            let source = ReasonSource::Name { rule, screen, watchlist, entry, name, score };
            return (Stage::Similarity, source);
        }
    }
    (Stage::Rules, ReasonSource::Rule(rule))
}

/// What is worth telling, with what ranks it.
struct Candidate {
    outcome: Outcome,
    score: u16,
    reason: Reason,
}

struct Found {
    outcome: Outcome,
    score: u16,
    candidates: SmallVec<[Candidate; 16]>,
}

impl Default for Found {
    fn default() -> Self {
        Found { outcome: Outcome::Approve, score: 0, candidates: SmallVec::new() }
    }
}

impl Found {
    fn add(&mut self, outcome: Outcome, score: u16, reason: Reason) {
        self.outcome = self.outcome.max(outcome);
        self.score = self.score.max(score.min(SCORE_MAX));
        self.candidates.push(Candidate { outcome, score, reason });
    }
    fn entry(&mut self, hit: &Hit, cancelled: bool) {
        let source = ReasonSource::Entry { list: hit.list, entry: hit.entry, field: hit.field as u8 };
        let reason = Reason { stage: Stage::Lists, source, slots: SmallVec::from_slice(&[hit.field.into()]) };
        // An override, and what it cancelled, say why the outcome is no stronger: told, but counted for nothing.
        let Some(outcome) = hit.outcome().filter(|_| !cancelled) else {
            self.candidates.push(Candidate { outcome: Outcome::Approve, score: 0, reason });
            return;
        };
        let unrated = if hit.effect == Effect::Block { BLOCK_SCORE } else { BLOCK_SCORE / 2 };
        let score = if hit.severity == 0 { unrated } else { u16::from(hit.severity) * 10 };
        self.add(outcome, score, reason);
    }
    /// Models whose score counts: it ranks, and decides nothing by itself.
    fn models(&mut self, generation: &Generation, tenant: &str, found_by: &StageFindings) {
        let applies = generation.applies(tenant);
        for (number, model) in generation.models().iter().enumerate() {
            if let Some(score) =
                found_by.model(number).filter(|_| model.counts() && applies[usize::from(model.pack())])
            {
                let slot = SlotId(generation.slots().starts.models + number as u16);
                let source = ReasonSource::Model(number as u16);
                let slots = SmallVec::from_slice(&[slot]);
                self.add(Outcome::Approve, score, Reason { stage: Stage::Models, source, slots });
            }
        }
    }
    /// Adds the declared defaults of skipped stages: for each stage the strongest that a pack of the tenant
    /// declares. Whether any took part.
    fn defaults(&mut self, generation: &Generation, tenant: &str, skipped: &[(Stage, SkipReason)]) -> bool {
        let mut applied = false;
        for (stage, _) in skipped {
            let applying = generation.packs().iter().zip(generation.applies(tenant)).enumerate();
            let declared = applying
                .filter(|(_, (_, applies))| **applies)
                .map(|(at, (pack, _))| (pack.manifest.default_of(*stage), std::cmp::Reverse(at)));
            if let Some((outcome, std::cmp::Reverse(pack))) = declared.max() {
                applied = true;
                let source = ReasonSource::Default(pack as u16);
                self.add(outcome, 0, Reason { stage: *stage, source, slots: SmallVec::new() });
            }
        }
        applied
    }
    /// The reasons, strongest first. Rules and models that only rank (outcome approve) are told where their score is the
    /// verdict's; the others would be noise.
    fn reasons(mut self) -> Vec<Reason> {
        let top = self.score;
        self.candidates.retain(|candidate| {
            candidate.outcome > Outcome::Approve
                || !matches!(candidate.reason.source, ReasonSource::Rule(_) | ReasonSource::Model(_))
                || (candidate.score == top && top > 0)
        });
        self.candidates.sort_by_key(|c| std::cmp::Reverse((c.outcome, c.score)));
        self.candidates.truncate(REASONS_MAX);
        self.candidates.into_iter().map(|candidate| candidate.reason).collect()
    }
}
