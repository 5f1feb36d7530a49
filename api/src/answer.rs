//! The answer's shape on the wire, made from a canonical verdict: names, codes, audiences and values are looked up
//! in the generation and the accepted record, and a reader sees only the reasons meant for it. It borrows all it can:
//! it lives from the lookup to its bytes.

mod detail;

pub use detail::{Detail, Shown};

use crate::node::consortium;
use crate::node::{Settled, recall::Recalled};
use interdict_engine::domain::{Audience, Entry, Field, Finished, Outcome, Reason, ReasonSource, Recorded};
use interdict_engine::domain::{SlotId, Stamp, Transaction, Value, Verdict};
use interdict_engine::generation::View;
use interdict_engine::lane::{Evidence, Found, Input, Scratch, find_again};
use interdict_engine::lists::ListMeta;
use interdict_engine::packs::CodeMap;
use interdict_engine::rules::Class;
use interdict_engine::similarity::names;
use serde::Serialize;
use std::borrow::Cow;
use std::sync::LazyLock;
use utoipa::ToSchema;

/// What codes a generation without packs answers with.
static BUILT_IN_CODES: LazyLock<CodeMap> = LazyLock::new(CodeMap::default);

/// One decision.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Answer<'a> {
    /// The request's id, or `seq-SEQUENCE`.
    pub id: Cow<'a, str>,
    /// Place in the one order.
    pub sequence: u64,
    /// approve, review, challenge, hold, decline or recorded.
    #[schema(example = "approve")]
    pub outcome: &'static str,
    /// 0 to 1000.
    pub score: u16,
    /// Why, strongest first.
    pub reasons: Vec<ReasonAnswer<'a>>,
    /// Stages that did not answer.
    pub skipped: Vec<SkippedAnswer>,
    /// Whether a skipped stage's declared default took part.
    pub default_applied: bool,
    /// What can still stop the payment; `none` where nothing applies.
    pub lever: &'static str,
    /// Codes of the rails.
    pub codes: Codes<'a>,
    /// The generation that decided, `g-HASH@OVERLAY`.
    pub generation: String,
    /// What is not part of the verdict.
    pub meta: Meta,
}

/// One reason.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReasonAnswer<'a> {
    /// The stage that gave it.
    pub stage: &'static str,
    /// `pack/rule`, or `lists/NAME`.
    pub rule: Cow<'a, str>,
    /// Reason code.
    pub code: Cow<'a, str>,
    /// internal, processor or customer.
    pub audience: &'static str,
    /// The values it looked at.
    #[schema(value_type = Object)]
    pub detail: Detail<'a>,
    /// Those of them that are approximate: counts of a key with so many events that the window's beginning is known
    /// only to a sixtieth of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approximate: Vec<&'a str>,
}

/// A stage that did not answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SkippedAnswer {
    /// The stage.
    pub stage: &'static str,
    /// deadline or unavailable.
    pub reason: &'static str,
}

/// Codes of the rails.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Codes<'a> {
    /// ISO 8583 data element 39; null where the network has no code for the outcome.
    pub iso8583: Option<&'a str>,
    /// ISO 20022 pacs.002.
    pub iso20022: Iso20022<'a>,
}

/// Status and reason of a pacs.002.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Iso20022<'a> {
    /// `TxSts`; null where the rail has no status for the outcome.
    pub status: Option<&'a str>,
    /// `StsRsnInf/Rsn/Cd`; absent where the status needs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
}

/// What is not part of the verdict.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Meta {
    /// From the request's last byte read to the answer's first byte written, in µs.
    pub latency_us: u64,
    /// The engine's version.
    pub engine: &'static str,
    /// Whether this is an earlier verdict given again.
    pub replayed: bool,
    /// Whether the verdict was made at recovery.
    pub recovered: bool,
    /// Whether it is safe on the disk as the node promises; absent where it is. False: told from memory, as
    /// `journal.when_unwritable` or `journal.sync_late` allows, and lost if the node ends before the disk takes it.
    #[serde(skip_serializing_if = "Clone::clone")]
    pub durable: bool,
    /// Whether reasons were left out that the reader may not see.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub filtered: bool,
    /// Of a fact (advice, reversal, completion), whose outcome is `recorded`: the outcome it would have had as a
    /// request, where that is stronger than approve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_be: Option<&'static str>,
}

/// What a payment came to when the stages were run that had been skipped.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FinishedAnswer<'a> {
    /// As the verdict's; what was answered stays.
    pub outcome: &'static str,
    /// 0 to 1000.
    pub score: u16,
    /// Why, strongest first.
    pub reasons: Vec<ReasonAnswer<'a>>,
    /// Stages that could not run then either.
    pub skipped: Vec<SkippedAnswer>,
    /// What could still stop the payment.
    pub lever: &'static str,
    /// Of a fact: the outcome it would have had as a request, where that is stronger than approve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_be: Option<&'static str>,
    /// When it was finished, RFC 3339.
    pub at: String,
}

impl<'a> FinishedAnswer<'a> {
    /// Of a record and the answer that its verdict makes for a reader.
    pub fn of(finished: &Finished, answer: Answer<'a>) -> FinishedAnswer<'a> {
        let Answer { outcome, score, reasons, skipped, lever, meta, .. } = answer;
        let (would_be, at) = (meta.would_be, time(finished.at_ms));
        FinishedAnswer { outcome, score, reasons, skipped, lever, would_be, at }
    }
}

/// What an answer is made from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The canonical verdict.
    pub verdict: &'a Verdict,
    /// The transaction it is about.
    pub transaction: &'a Transaction,
    /// Its stamped features.
    pub features: &'a [Stamp],
    /// Which of them are approximate.
    pub approximate: &'a [u16],
    /// The view that decided (or one that knows the same generation).
    pub view: &'a View,
    /// Entries that the verdict names and the view does not have.
    pub recalled: &'a [Recalled],
    /// What the verdict used and cannot be made again.
    pub recorded: &'a Recorded,
    /// What the lane found of what the reasons name; `None` for an older verdict: it is then found again.
    pub evidence: Option<&'a Evidence>,
}

/// A verdict that was made just now.
impl<'a> From<&'a Settled> for Source<'a> {
    fn from(settled: &'a Settled) -> Source<'a> {
        let accepted = &settled.work.accepted;
        Source {
            verdict: &settled.verdict,
            transaction: settled.work.transaction(),
            features: &accepted.features,
            approximate: &accepted.approximate,
            view: &settled.work.view,
            recalled: &[],
            recorded: &settled.recorded,
            evidence: Some(&settled.evidence),
        }
    }
}

impl<'a> Source<'a> {
    /// What the verdict's stages found, made again.
    pub fn found(&self) -> Found {
        let mut scratch = Scratch::default();
        self.find_again(&mut scratch);
        scratch.found
    }
    /// As [`Source::found`], left in a scratch that is used again.
    pub fn find_again(&self, scratch: &mut Scratch) {
        let input = Input { tx: self.transaction, features: self.features, view: self.view, prints: None };
        find_again(&input, self.verdict, self.recorded, scratch);
    }

    /// What the stages found of what the reasons name: as the lane left it, else, where a reason names any, found again.
    fn evidence(&self) -> Cow<'a, Evidence> {
        let generation = self.view.generation();
        match self.evidence {
            Some(evidence) => Cow::Borrowed(evidence),
            None if self.verdict.reasons.iter().any(|reason| Evidence::is_asked(reason, generation)) => {
                Cow::Owned(Evidence::of(self.verdict, generation, &self.found()))
            }
            None => Cow::Owned(Evidence::default()),
        }
    }

    /// The answer for a reader of an audience.
    pub fn answer(&self, reader: Audience, meta: Meta) -> Answer<'a> {
        let verdict = self.verdict;
        let (reasons, filtered) = self.reasons(reader);
        Answer {
            id: self.id(),
            sequence: verdict.sequence,
            outcome: verdict.outcome.name(),
            score: verdict.score,
            reasons,
            skipped: verdict
                .skipped
                .iter()
                .map(|(stage, reason)| SkippedAnswer { stage: stage.name(), reason: reason.name() })
                .collect(),
            default_applied: verdict.default_applied,
            lever: verdict.lever.name(),
            codes: self.codes(),
            generation: verdict.generation.to_string(),
            meta: Meta { filtered, would_be: self.recorded.would.map(Outcome::name), ..meta },
        }
    }

    /// The reasons that a reader of an audience may see, and whether there are others.
    pub fn reasons(&self, reader: Audience) -> (Vec<ReasonAnswer<'a>>, bool) {
        let (all, evidence) = (&self.verdict.reasons, self.evidence());
        let told = all.iter().filter_map(|reason| self.reason(reason, reader, &evidence));
        let told: Vec<ReasonAnswer<'a>> = told.collect();
        let filtered = told.len() < all.len();
        (told, filtered)
    }

    /// The request's id, or `seq-SEQUENCE` where it had none.
    pub fn id(&self) -> Cow<'a, str> {
        let id = self.transaction.id.as_deref();
        id.map_or_else(|| Cow::Owned(format!("seq-{}", self.verdict.sequence)), Cow::Borrowed)
    }

    /// The names of the reasons' rules, as `decisions/*.parquet` lists them.
    pub fn rule_name(&self, reason: &Reason) -> Cow<'a, str> {
        let generation = self.view.generation();
        let made = match reason.source {
            ReasonSource::Rule(number) => return Cow::Borrowed(generation.rules().rule(number).id()),
            ReasonSource::Entry { list, entry, .. } => {
                let meta = self.list_of(list, entry);
                format!("lists/{}", meta.map_or("no longer kept", |meta| &meta.name))
            }
            ReasonSource::Name { rule, .. } => return Cow::Borrowed(generation.rules().rule(rule).id()),
            ReasonSource::Model(number) => match generation.models().get(usize::from(number)) {
                Some(model) => {
                    let pack = generation.packs().get(usize::from(model.pack()));
                    format!("{}/{}", pack.map_or("", |pack| pack.name()), model.id())
                }
                None => format!("model number {number}"),
            },
            ReasonSource::Stale(place) => {
                let stale = generation.settings().freshness.get(usize::from(place));
                format!("lists/{}", stale.map_or("no longer kept", |stale| &stale.list))
            }
            ReasonSource::Default(pack) => {
                let name = generation.packs().get(usize::from(pack)).map_or("", |pack| pack.name());
                format!("{name}/default-of-{}", reason.stage.name())
            }
        };
        Cow::Owned(made)
    }

    /// The code of a reason, and whom it is for.
    fn code(&self, reason: &Reason) -> (&'a str, Audience) {
        match reason.source {
            ReasonSource::Rule(rule) | ReasonSource::Name { rule, .. } => {
                let rule = self.view.generation().rules().rule(rule);
                (rule.code(), rule.audience())
            }
            ReasonSource::Model(_) => ("MODEL_SCORE", Audience::Internal),
            ReasonSource::Entry { list, entry, .. } => {
                let meta = self.list_of(list, entry);
                meta.map_or(("LIST", Audience::Internal), |meta| (meta.code.as_str(), meta.audience))
            }
            ReasonSource::Stale(_) => ("LIST_STALE", Audience::Processor),
            ReasonSource::Default(_) => ("STAGE_SKIPPED", Audience::Processor),
        }
    }

    /// A reason for a reader of an audience; `None` where it may not see it.
    fn reason(&self, reason: &Reason, reader: Audience, evidence: &Evidence) -> Option<ReasonAnswer<'a>> {
        let (code, audience) = self.code(reason);
        if audience < reader {
            return None;
        }
        let (mut detail, mut approximate) = (Detail::default(), Vec::new());
        match reason.source {
            ReasonSource::Rule(_) | ReasonSource::Model(_) => {
                self.slots(reason, evidence, &mut detail, &mut approximate);
            }
            ReasonSource::Name { screen, watchlist, entry, name, score, .. } => {
                self.slots(reason, evidence, &mut detail, &mut approximate);
                let generation = self.view.generation();
                if let Some(screen) = generation.screens().get(usize::from(screen)) {
                    detail.insert("field", Shown::text(screen.field.def().path));
                }
                if let Some(list) = generation.watchlists().get(usize::from(watchlist)) {
                    detail.insert("list", Shown::text(&list.name));
                    if let Some(listed) = list.bank.entries().get(entry as usize) {
                        detail.insert("entry", Shown::text(&listed.id));
                        detail.insert("name", Shown::text(listed_name(listed, name)));
                    }
                }
                detail.insert("score", Shown::Int(score.into()));
            }
            ReasonSource::Entry { list, entry, field } => {
                let (meta, found) = self.entry(list, entry);
                let name = meta.map_or("", |meta| meta.name.as_str());
                detail.insert("list", Shown::text(name));
                detail.insert("entry", Shown::made(entry.to_string()));
                if let Some(field) = Field::from_number(field) {
                    detail.insert("field", Shown::text(field.def().path));
                }
                if meta.is_some_and(|meta| meta.consortium.is_some()) {
                    let is_candidate = self.is_candidate(list, field);
                    self.signal((list, entry), found.as_ref(), is_candidate, &mut detail);
                }
                if let Some(entry) = found {
                    detail.insert("effect", Shown::text(entry.effect.name()));
                    detail.insert("reason", Shown::made(entry.reason));
                    detail.insert("severity", Shown::Int(entry.severity.into()));
                    if let Some(overrides) = entry.overrides {
                        detail.insert("overrides", Shown::made(overrides));
                    }
                }
            }
            ReasonSource::Stale(place) => {
                let settings = self.view.generation().settings();
                if let Some(stale) = settings.freshness.get(usize::from(place)) {
                    detail.insert("list", Shown::text(&stale.list));
                    detail.insert("made", Shown::made(time(stale.made_ms)));
                    detail.insert("fresh_for_s", Shown::Int(stale.fresh_for_ms / 1000));
                }
            }
            ReasonSource::Default(_) => {}
        }
        let (stage, rule, code) = (reason.stage.name(), self.rule_name(reason), Cow::Borrowed(code));
        Some(ReasonAnswer { stage, rule, code, audience: audience.name(), detail, approximate })
    }

    /// Whether an entry that hit a field is a candidate: of a list of truncated tags, and nobody has said that it is
    /// listed.
    pub fn is_candidate(&self, list: u16, field: u8) -> bool {
        let is_cut = self.list(list).and_then(|meta| meta.consortium).is_some_and(|of| of.is_cut());
        is_cut && !self.recorded.confirmed.iter().any(|one| one.field == field && one.listed)
    }
    /// What a reason says of a consortium's signal: who stands behind it, since when it is known, and whether it is yet
    /// to be confirmed.
    fn signal(
        &self,
        (list, id): (u16, u64),
        entry: Option<&Entry>,
        is_candidate: bool,
        detail: &mut Detail<'a>,
    ) {
        if let Some(entry) = entry {
            let (class, member) = consortium::told(&entry.contributor);
            detail.insert("class", Shown::made(class.to_owned()));
            if let Some(member) = member {
                detail.insert("member", Shown::made(member.to_owned()));
            }
        }
        if let Some(seen_ms) = self.view.lists().first_seen_ms(list, id) {
            // As old as it was when the payment was made.
            detail
                .insert("age_s", Shown::Int(self.transaction.time_ms.saturating_sub(seen_ms).max(0) / 1000));
        }
        if is_candidate {
            detail.insert("candidate", Shown::Bool(true));
        }
    }

    /// Whether a slot is a feature whose value is approximate.
    pub fn is_approximate(&self, slot: SlotId) -> bool {
        let at = slot.0.checked_sub(self.view.generation().slots().starts.features);
        at.is_some_and(|at| self.approximate.contains(&at))
    }

    /// The value of a slot that a reason names. A list has none here: an entry that hit has a reason of its own, with
    /// its own audience.
    fn value(&self, slot: SlotId, evidence: &Evidence) -> Option<Value<'a>> {
        let starts = &self.view.generation().slots().starts;
        match slot.0 {
            at if at < starts.features => self.transaction.get(Field::from_number(u8::try_from(at).ok()?)?),
            at if at < starts.lists => {
                self.features.get(usize::from(at - starts.features)).copied().flatten().map(Value::Int)
            }
            _ => evidence.value(slot),
        }
    }

    /// The values of the slots that a reason names.
    fn slots(
        &self,
        reason: &Reason,
        evidence: &Evidence,
        detail: &mut Detail<'a>,
        approximate: &mut Vec<&'a str>,
    ) {
        for slot in &reason.slots {
            let path = self.view.generation().schema().def(*slot).path.as_str();
            if let Some(value) = self.value(*slot, evidence).and_then(Shown::of) {
                detail.insert(path, value);
            }
            if self.is_approximate(*slot) {
                approximate.push(path);
            }
        }
    }

    /// A list and an entry of it, as far as they are known.
    pub fn entry(&self, list: u16, id: u64) -> (Option<&'a ListMeta>, Option<Entry>) {
        match self.recalled(list, id) {
            Some(one) => (Some(&one.list), Some(one.entry.clone())),
            None => (self.list(list), self.view.lists().entry(list, id)),
        }
    }
    fn recalled(&self, list: u16, id: u64) -> Option<&'a Recalled> {
        self.recalled.iter().find(|one| (one.number, one.entry.id) == (list, id))
    }
    /// The list of an entry, as far as it is known.
    fn list_of(&self, list: u16, entry: u64) -> Option<&'a ListMeta> {
        self.recalled(list, entry).map_or_else(|| self.list(list), |one| Some(&one.list))
    }
    /// A list, as far as it is known.
    pub fn list(&self, number: u16) -> Option<&'a ListMeta> {
        let recalled = self.recalled.iter().find(|one| one.number == number).map(|one| &one.list);
        recalled.or_else(|| self.view.lists().list_meta(number))
    }

    /// The codes of the rails: by the network's map, from the outcome and the class of its strongest reason.
    fn codes(&self) -> Codes<'a> {
        let generation = self.view.generation();
        let class = self.verdict.reasons.iter().find_map(|reason| match reason.source {
            ReasonSource::Rule(number) | ReasonSource::Name { rule: number, .. } => {
                let rule = generation.rules().rule(number);
                (rule.outcome() > Outcome::Approve).then_some(rule.class())
            }
            ReasonSource::Entry { list, entry, .. } => self
                .list_of(list, entry)
                .map(|meta| if meta.sanctions { Class::Sanctions } else { Class::default() }),
            ReasonSource::Default(_) | ReasonSource::Model(_) | ReasonSource::Stale(_) => None,
        });
        // The pack of the strongest reason says how its verdict is told; without one the first pack's map does.
        let pack = self.verdict.reasons.iter().find_map(|reason| match reason.source {
            ReasonSource::Rule(number) | ReasonSource::Name { rule: number, .. } => {
                Some(generation.rules().rule(number).pack())
            }
            ReasonSource::Default(pack) => Some(pack),
            ReasonSource::Entry { .. } | ReasonSource::Model(_) | ReasonSource::Stale(_) => None,
        });
        let of_pack = generation.packs().get(usize::from(pack.unwrap_or(0))).map(|pack| &pack.codes);
        let map = of_pack.unwrap_or(&BUILT_IN_CODES);
        // The payment's own network, where the map knows it; else the configured one.
        let settings = generation.settings();
        let own = settings.settlement.network(self.transaction).filter(|name| map.knows(name));
        let network = own.or(Some(settings.network.as_str()).filter(|name| !name.is_empty()));
        let mapped = map.codes(network, self.verdict.outcome, class.unwrap_or_default());
        let iso20022 = Iso20022 { status: mapped.status.as_deref(), reason: mapped.reason.as_deref() };
        Codes { iso8583: mapped.iso8583.as_deref(), iso20022 }
    }
}

/// One of an entry's names as the list writes it; the primary one where there is no such.
pub fn listed_name(entry: &names::Entry, name: u16) -> &str {
    let named = entry.names.get(usize::from(name)).or(entry.names.first());
    named.map_or("", |alias| &alias.name)
}

/// RFC 3339 of ms since the Unix epoch.
pub fn time(ms: i64) -> String {
    interdict_engine::rules::format_time(ms)
}
