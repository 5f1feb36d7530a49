//! One verdict's story in plain words, from the feed's own values: what was paid, what was answered and why, what was
//! counted, what could not be decided, and what can still be done. Made from the verdict, the accepted record and
//! the generation, never from what a rule's author meant; `interdict explain` and `GET /v1/decisions/…` tell it.

mod finished;
mod lists;
mod matched;
mod models;
mod payment;
mod row;
mod rules;
mod features;
mod text;
mod told;
mod words;

pub use finished::told as told_finished;
pub use matched::Matched;
pub use models::ToldModel;
pub(crate) use words::span;

pub use told::{Fact, Part, Story, ToldEntry, ToldFeature, ToldFinished, ToldReason, ToldRule, ToldSkip};

use crate::answer::{Source, listed_name, time};
use interdict_engine::domain::{Accepted, Lever, Outcome, ReasonSource, Transaction, Verdict};
use interdict_engine::generation::Generation;
use interdict_engine::rules::{Mode, RuleResults};
use interdict_engine::{SkipReason, Stage};
use row::Row;

/// Tells a verdict's story. `accepted` is the record the verdict is of, `recovered` as `decided` has it; `rule`
/// (`pack/rule`, or its last part) is a rule to tell part by part, whatever it came to.
pub fn tell(source: &Source<'_>, accepted: &Accepted, recovered: bool, rule: Option<&str>) -> Story {
    let verdict = source.verdict;
    let mut story = opening(verdict, source.transaction, accepted, recovered);
    if let Some(would) = source.recorded.would {
        let (kind, what) = (source.transaction.kind.name(), outcome_means(would));
        let would = would.name();
        story
            .notes
            .push(format!("{kind}: a fact; as a request its outcome would have been {would} ({what})"));
    }
    let found = source.found();
    let (row, generation) = (Row::new(source, &found), source.view.generation());
    let pack = |pack: &interdict_engine::packs::Pack| format!("{} {}", pack.name(), pack.manifest.version);
    story.packs = generation.packs().iter().map(pack).collect();
    let results = evaluate(source, &row);
    let entries = lists::entries(source, &results);
    story.reasons =
        verdict.reasons.iter().map(|reason| told_reason(source, &row, reason, &entries)).collect();
    for hit in &results.hits {
        let mut told = rules::told(&row, source, hit.rule);
        told.cancelled_by = entries.canceller_of_rule(&told.rule);
        match generation.rules().rule(hit.rule).mode() {
            Mode::Shadow => story.shadow.push(told),
            Mode::Live if told.cancelled_by.is_some() => story.cancelled.push(told),
            Mode::Live => {}
        }
    }
    story.models = models::told(source, &row, &found);
    story.undecided = results.undecided.iter().map(|number| rules::told(&row, source, *number)).collect();
    story.features = features::told(source);
    story.rule = rule.map(|name| asked(source, &row, &entries, name));
    story.text = text::render(&story);
    story
}

/// The story of a verdict whose generation is no longer kept: what the records alone say.
pub fn tell_without_generation(
    verdict: &Verdict,
    tx: &Transaction,
    accepted: &Accepted,
    recovered: bool,
) -> Story {
    let mut story = opening(verdict, tx, accepted, recovered);
    story.reasons = verdict
        .reasons
        .iter()
        .map(|reason| {
            let words = match reason.source {
                ReasonSource::Rule(number) => format!("rule number {number} of a generation that is gone"),
                ReasonSource::Entry { list, entry, .. } => format!("entry {entry} of list number {list}"),
                ReasonSource::Default(pack) => format!("the default that pack number {pack} declares"),
                ReasonSource::Name { rule, watchlist, entry, score, .. } => format!(
                    "rule number {rule}: a name like entry {entry} of watchlist number {watchlist}, score {score}"
                ),
                ReasonSource::Model(model) => format!("the score of model number {model}"),
                ReasonSource::Stale(place) => format!("list number {place} of the settings was stale"),
            };
            ToldReason { stage: reason.stage.name(), source: words.clone(), words, rule: None, entry: None }
        })
        .collect();
    story.notes.push(format!(
        "generation {} is no longer kept, so rules, lists and counts cannot be named",
        verdict.generation
    ));
    story.text = text::render(&story);
    story
}

impl Story {
    /// Adds a note and tells the text anew.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
        self.text = text::render(self);
    }
}

/// What the records alone say.
fn opening(verdict: &Verdict, tx: &Transaction, accepted: &Accepted, recovered: bool) -> Story {
    let mut notes = Vec::new();
    if recovered {
        notes.push("the verdict was made at recovery, after the node had stopped between taking the payment in and deciding it".into());
    }
    if let Some(original) = accepted.original {
        notes.push(format!("the message follows the payment at sequence {original}"));
    }
    if !accepted.waits_for.is_empty() {
        notes
            .push("the payment that the message follows was not known when it came: it waited for it".into());
    }
    Story {
        text: String::new(),
        id: tx.id.as_deref().map_or_else(|| format!("seq-{}", verdict.sequence), str::to_owned),
        sequence: verdict.sequence,
        tenant: tx.tenant.to_string(),
        payment: payment::facts(tx, accepted.event.arrival_ms),
        outcome: verdict.outcome.name(),
        outcome_means: outcome_means(verdict.outcome),
        score: verdict.score,
        score_means: score_means(verdict.score),
        reasons: Vec::new(),
        models: Vec::new(),
        cancelled: Vec::new(),
        shadow: Vec::new(),
        undecided: Vec::new(),
        skipped: verdict.skipped.iter().map(|(stage, reason)| told_skip(*stage, *reason)).collect(),
        default_applied: verdict.default_applied,
        features: Vec::new(),
        lever: verdict.lever.name(),
        lever_means: lever_means(verdict, tx),
        generation: verdict.generation.to_string(),
        packs: Vec::new(),
        engine: accepted.engine.clone(),
        recovered,
        finished: None,
        notes,
        rule: None,
    }
}

/// What every rule of the tenant's packs came to, over the values as they were.
fn evaluate(source: &Source<'_>, row: &Row<'_>) -> RuleResults {
    let mut results = RuleResults::default();
    let generation: &Generation = source.view.generation();
    if !was_skipped(source.verdict, Stage::Rules) {
        let applies = generation.applies(&source.transaction.tenant);
        generation.rules().evaluate_packs(row, |pack| applies[usize::from(pack)], &mut results);
    }
    results
}

fn was_skipped(verdict: &Verdict, stage: Stage) -> bool {
    // One whose candidates nobody has confirmed has run.
    verdict.skipped.iter().any(|(skipped, why)| *skipped == stage && *why != SkipReason::ConfirmLate)
}

fn told_reason(
    source: &Source<'_>,
    row: &Row<'_>,
    reason: &interdict_engine::domain::Reason,
    entries: &lists::Entries,
) -> ToldReason {
    let stage = reason.stage.name();
    let generation = source.view.generation();
    match reason.source {
        ReasonSource::Rule(number) if (number as usize) < generation.rules().len() => {
            let rule = rules::told(row, source, number);
            let score = rule.score.map_or(String::new(), |score| format!(", score {score}"));
            let words = format!("{} (rule {}, asks for {}{score})", rule.title, rule.rule, rule.asks);
            ToldReason { stage, source: rule.rule.clone(), words, rule: Some(rule), entry: None }
        }
        ReasonSource::Name { rule: number, watchlist, entry, name, score, .. }
            if (number as usize) < generation.rules().len() =>
        {
            let rule = rules::told(row, source, number);
            let listed = generation.watchlists().get(usize::from(watchlist));
            let named = listed.and_then(|list| Some((list, list.bank.entries().get(entry as usize)?)));
            let like = named.map_or_else(
                || format!("entry number {entry} of watchlist number {watchlist}"),
                |(list, entry)| {
                    format!("{:?} (entry {} of {})", listed_name(entry, name), entry.id, list.name)
                },
            );
            let words = format!(
                "{} (rule {}, asks for {}): most like {like}, {score} of 1000",
                rule.title, rule.rule, rule.asks
            );
            ToldReason { stage, source: rule.rule.clone(), words, rule: Some(rule), entry: None }
        }
        ReasonSource::Model(number) => {
            let model = generation.models().get(usize::from(number));
            let name = source.rule_name(reason);
            let pack = model.and_then(|model| generation.packs().get(usize::from(model.pack())));
            let doc = model.and_then(|model| models::doc(pack, model)).unwrap_or("");
            let words = format!("model {name} gives it the score {}: {doc}", source.verdict.score);
            ToldReason { stage, source: name.into_owned(), words, rule: None, entry: None }
        }
        ReasonSource::Rule(number) | ReasonSource::Name { rule: number, .. } => {
            let words = format!("rule number {number}, which the generation does not have");
            ToldReason { stage, source: words.clone(), words, rule: None, entry: None }
        }
        ReasonSource::Entry { list, entry, field } => {
            let entry = entries.told(list, entry, field);
            let (name, words) = (format!("lists/{}", entry.list), lists::words(&entry));
            ToldReason { stage, source: name, words, rule: None, entry: Some(entry) }
        }
        ReasonSource::Stale(place) => {
            let stale = generation.settings().freshness.get(usize::from(place));
            let (name, made) = stale.map_or(("", 0), |stale| (stale.list.as_str(), stale.made_ms));
            let words = format!("list {name} was too old to be relied on: its file is of {}", time(made));
            ToldReason { stage, source: format!("lists/{name}"), words, rule: None, entry: None }
        }
        ReasonSource::Default(pack) => {
            let pack = generation.packs().get(usize::from(pack));
            let name = pack.map_or("a pack that the generation does not have", |pack| pack.name());
            let outcome = pack.map_or("", |pack| pack.manifest.default_of(reason.stage).name());
            let words = format!("stage {stage} was skipped; pack {name} declares {outcome} for that case");
            let source = format!("{name}/default-of-{stage}");
            ToldReason { stage, source, words, rule: None, entry: None }
        }
    }
}

/// The rule that somebody asks about.
fn asked(source: &Source<'_>, row: &Row<'_>, entries: &lists::Entries, name: &str) -> ToldRule {
    let generation = source.view.generation();
    let all = generation.rules();
    let by_end = || all.rules().iter().position(|rule| rule.id().split('/').next_back() == Some(name));
    let Some(number) = all.find(name).or_else(|| by_end().map(|at| at as u32)) else {
        let near = interdict_engine::error::nearest(name, all.rules().iter().map(|rule| rule.id()));
        let hint = near.map_or(String::new(), |near| format!(", did you mean {near:?}?"));
        let because = vec![format!("generation {} has no rule {name:?}{hint}", source.verdict.generation)];
        return ToldRule { rule: name.to_owned(), result: "unknown", because, ..ToldRule::default() };
    };
    let mut told = rules::told(row, source, number);
    told.cancelled_by = entries.canceller_of_rule(&told.rule);
    if was_skipped(source.verdict, Stage::Rules) {
        told.result = "skipped";
        told.because =
            vec!["the rules stage did not run for this payment; below is what it would have read".into()];
    } else if !generation.applies(&source.transaction.tenant)[usize::from(all.rule(number).pack())] {
        told.result = "not_for_tenant";
        told.because = vec![format!("its pack is not for tenant {:?}", &*source.transaction.tenant)];
    }
    told
}

fn told_skip(stage: Stage, reason: SkipReason) -> ToldSkip {
    let why = match reason {
        SkipReason::Deadline => "too little of the caller's deadline was left for it",
        SkipReason::Unavailable => "what it reads could not be loaded",
        SkipReason::ConfirmLate => "found candidates of a consortium's list that nobody confirmed in time",
    };
    let words = match reason {
        SkipReason::ConfirmLate => format!("{} ran, and {why}", stage.name()),
        _ => format!("{} did not run: {why}", stage.name()),
    };
    ToldSkip { stage: stage.name(), reason: reason.name(), words }
}

const fn outcome_means(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Recorded => "a fact was taken note of; nothing was to be decided",
        Outcome::Approve => "the payment goes on",
        Outcome::Review => "the payment goes on, and a case is opened",
        Outcome::Challenge => "the payer is asked to authenticate again (step-up)",
        Outcome::Hold => "authorised, but delayed until released, confirmed or timed out",
        Outcome::Decline => "the payment is refused",
    }
}

fn score_means(score: u16) -> String {
    match score {
        0 => "neither a live rule or list entry that hit nor a model that counts gives any".into(),
        _ => "the highest of the live rules and list entries that hit and of the models that count; it ranks payments and decides nothing by itself".into(),
    }
}

fn lever_means(verdict: &Verdict, tx: &Transaction) -> String {
    use interdict_engine::domain::{Field, Value};
    let settles = match tx.get(Field::SettlesAt) {
        Some(Value::Time(ms)) => format!(" (it settles at {})", time(ms)),
        _ => String::new(),
    };
    let means = match verdict.lever {
        Lever::None if verdict.outcome == Outcome::Hold => {
            "no lever is configured for this channel, so the payment can no longer be stopped: a case, not a stop"
        }
        Lever::None => "none applies: only a hold uses a lever",
        Lever::WithholdPayout => "the merchant's payout can be withheld",
        Lever::CancelCapture => "the capture can be cancelled (0400, void) until it clears",
        Lever::StopBeforeCutoff => "the transfer can be stopped before the rail's cut-off",
        Lever::AcceptWithoutPosting => {
            "it is accepted without posting (ISO 20022 ACWP) and can be kept from posting"
        }
        Lever::DetainGoods => "the goods can be detained",
        Lever::Recall => {
            "a recall can be asked for (camt.056); it is a request, which the other bank may refuse"
        }
    };
    format!("{means}{settles}")
}
