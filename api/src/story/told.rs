//! The story's structured form, as `--json` and `GET /v1/decisions/…` give it.

use super::{Matched, ToldModel};
use serde::Serialize;
use utoipa::ToSchema;

/// A verdict's story. Everything in it is meant for the risk team: it shows internal reasons, names and free text.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Story {
    /// The whole of it, as text.
    pub text: String,
    /// The request's id, or `seq-SEQUENCE`.
    pub id: String,
    /// Place in the one order.
    pub sequence: u64,
    /// The institution.
    pub tenant: String,
    /// What was paid, by whom, to whom, how, when.
    pub payment: Vec<Fact>,
    /// approve, review, challenge, hold, decline or recorded.
    pub outcome: &'static str,
    /// What the outcome means for the payment.
    pub outcome_means: &'static str,
    /// 0 to 1000.
    pub score: u16,
    /// What the score means.
    pub score_means: String,
    /// Why, strongest first.
    pub reasons: Vec<ToldReason>,
    /// What each model said.
    pub models: Vec<ToldModel>,
    /// Live rules that hit and were cancelled by an override.
    pub cancelled: Vec<ToldRule>,
    /// Rules that hit in shadow mode: they changed nothing.
    pub shadow: Vec<ToldRule>,
    /// Rules that came to no answer.
    pub undecided: Vec<ToldRule>,
    /// Stages that did not answer.
    pub skipped: Vec<ToldSkip>,
    /// Whether a skipped stage's declared default took part.
    pub default_applied: bool,
    /// What was counted, as it stood at this payment.
    pub features: Vec<ToldFeature>,
    /// The lever's name; `none` where nothing applies.
    pub lever: &'static str,
    /// What the lever can still do.
    pub lever_means: String,
    /// The generation that decided, `g-HASH@OVERLAY`.
    pub generation: String,
    /// The packs of the generation, `name version`.
    pub packs: Vec<String>,
    /// The engine that took the payment in.
    pub engine: String,
    /// Whether the verdict was made at recovery, after a crash.
    pub recovered: bool,
    /// What it came to later, with the stages that were skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<ToldFinished>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
    /// What the rule that was asked about came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<ToldRule>,
}

/// A named value of the payment.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Fact {
    /// What it is.
    pub name: &'static str,
    /// Its value, for people.
    pub value: String,
}

/// A reason of the verdict: a rule, a list entry, or the default of a skipped stage.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ToldReason {
    /// The stage that gave it.
    pub stage: &'static str,
    /// `pack/rule`, `lists/NAME` or `pack/default-of-STAGE`.
    pub source: String,
    /// One sentence.
    pub words: String,
    /// The rule, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<ToldRule>,
    /// The list entry, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<ToldEntry>,
}

/// What a rule came to, and why.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct ToldRule {
    /// `pack/rule`.
    pub rule: String,
    /// What it is about.
    pub title: String,
    /// hit, miss, undecided, skipped (the stage did not run), not_for_tenant or unknown.
    pub result: &'static str,
    /// The score of a hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<u16>,
    /// What a hit asks for.
    pub asks: &'static str,
    /// Reason code.
    pub code: String,
    /// internal, processor or customer.
    pub audience: &'static str,
    /// live or shadow.
    pub mode: &'static str,
    /// The override that cancelled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled_by: Option<String>,
    /// Its condition, part by part, in the order of the text.
    pub parts: Vec<Part>,
    /// What made the result: the parts that failed, held, or could not be decided.
    pub because: Vec<String>,
    /// Where its patterns matched in the payment's texts.
    pub matched: Vec<Matched>,
}

/// A part of a condition.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Part {
    /// How deep it lies; 0 for the whole.
    pub depth: usize,
    /// true, false or undecided.
    pub truth: &'static str,
    /// Its text as the rule has it, or `all of`, `any of`, `not`, `if, then, else`.
    pub text: String,
    /// The values it read, in words.
    pub reads: Vec<String>,
}

/// A list entry that hit.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct ToldEntry {
    /// The list's name.
    pub list: String,
    /// The entry's id in the list.
    pub entry: String,
    /// The field it hit.
    pub field: String,
    /// block, override or flag.
    pub effect: &'static str,
    /// What the entry says: the list's outcome for a block, review for a flag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asks: Option<&'static str>,
    /// Reason code of the list.
    pub code: String,
    /// internal, processor or customer.
    pub audience: &'static str,
    /// Why the entry is there.
    pub reason: String,
    /// 0 to 100; 0 when not given.
    pub severity: u8,
    /// On whose word.
    pub contributor: String,
    /// Of a consortium's signal: `trusted`, or `independent:` and how many members stand behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The member that it is from, where the rules let it be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// When it was first heard of, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<String>,
    /// Whether it is a candidate: only the first bits of its tag are known to be the payment's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub candidate: bool,
    /// For a block: whether an override may cancel it.
    pub overridable: bool,
    /// For an override: what it cancels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overrides: Option<String>,
    /// From when it counts (event time, RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<String>,
    /// From when it no longer counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<String>,
    /// Sequence of the delta that brought it; absent for an entry of the generation itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_sequence: Option<u64>,
    /// The override that cancelled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled_by: Option<String>,
}

/// A stage that did not answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ToldSkip {
    /// The stage.
    pub stage: &'static str,
    /// deadline or unavailable.
    pub reason: &'static str,
    /// One sentence.
    pub words: String,
}

/// What a payment came to when its skipped stages were run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ToldFinished {
    /// The outcome that it came to; what was answered stays.
    pub outcome: &'static str,
    /// 0 to 1000.
    pub score: u16,
    /// Why, strongest first: `pack/rule`, `lists/NAME`, or a number where the generation is gone.
    pub reasons: Vec<String>,
    /// When, RFC 3339.
    pub at: String,
    /// One sentence.
    pub words: String,
}

/// A feature's stamped value.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ToldFeature {
    /// `features.GROUP.AGGREGATE_WINDOW`.
    pub path: String,
    /// The value; null when undecided.
    pub value: Option<i64>,
    /// Its unit.
    pub unit: String,
    /// Whether the value is approximate: it may hold what lies up to a sixtieth of the window outside it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub approximate: bool,
    /// The value in words.
    pub words: String,
}
