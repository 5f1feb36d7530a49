//! List hits in words: whose list, which entry, what it does and why it is there, and which override cancelled what.
//! Rebuilt from the verdict's reasons, which name every entry that hit, overrides and what they cancelled included.

use super::ToldEntry;
use super::words::quoted;
use crate::answer::{Source, time};
use crate::node::consortium;
use interdict_engine::domain::{Audience, Effect, Field, Outcome, ReasonSource};
use interdict_engine::lists::{Hit, Resolution, RuleHit, added_by, resolve};
use interdict_engine::rules::{Mode, RuleResults};
use std::sync::Arc;

/// The entries of a verdict, with what cancelled what.
pub(super) struct Entries {
    told: Vec<((u16, u64, u8), ToldEntry)>,
    /// Rule and the override that cancelled it.
    rules: Vec<(String, String)>,
}

impl Entries {
    /// One of them.
    pub(super) fn told(&self, list: u16, entry: u64, field: u8) -> ToldEntry {
        let found = self.told.iter().find(|(key, _)| *key == (list, entry, field));
        found.map(|(_, told)| told.clone()).unwrap_or_default()
    }
    /// The override that cancelled a rule.
    pub(super) fn canceller_of_rule(&self, rule: &str) -> Option<String> {
        self.rules.iter().find(|(known, _)| known == rule).map(|(_, by)| by.clone())
    }
}

/// All entries that the verdict's reasons name. `results` are the rules' hits, which overrides may have cancelled.
pub(super) fn entries(source: &Source<'_>, results: &RuleResults) -> Entries {
    let mut found: Vec<(Hit, ToldEntry)> = source
        .verdict
        .reasons
        .iter()
        .filter_map(|reason| match reason.source {
            ReasonSource::Entry { list, entry, field } => Some(entry_of(source, list, entry, field)),
            _ => None,
        })
        .collect();
    // The lane's order, in which the first override of several is the canceller.
    found.sort_by_key(|(hit, _)| (hit.list, hit.entry, hit.field));
    let (hits, mut told): (Vec<Hit>, Vec<ToldEntry>) = found.into_iter().unzip();
    let all = source.view.generation().rules();
    let live: Vec<RuleHit<'_>> = results
        .hits
        .iter()
        .map(|hit| (hit.rule, all.rule(hit.rule)))
        .filter(|(_, rule)| rule.mode() == Mode::Live)
        .map(|(number, rule)| RuleHit { number, name: rule.id(), outcome: rule.outcome() })
        .collect();
    let name_of = |number| source.list(number).map(|meta| meta.name.as_str());
    let mut resolution = Resolution::default();
    resolve(&hits, name_of, &live, &mut resolution);
    let name = |told: &ToldEntry| format!("override entry {} of list {:?}", told.entry, told.list);
    let cancellers: Vec<Option<String>> =
        (0..hits.len()).map(|at| resolution.hit_cancelled_by(at).map(|by| name(&told[by]))).collect();
    let rules = live
        .iter()
        .enumerate()
        .filter_map(|(at, rule)| Some((rule.name.to_owned(), name(&told[resolution.rule_cancelled_by(at)?]))))
        .collect();
    told.iter_mut().zip(cancellers).for_each(|(told, by)| told.cancelled_by = by);
    let keys = hits.iter().map(|hit| (hit.list, hit.entry, hit.field as u8));
    Entries { told: keys.zip(told).collect(), rules }
}

fn entry_of(source: &Source<'_>, list: u16, id: u64, field: u8) -> (Hit, ToldEntry) {
    let (meta, entry) = source.entry(list, id);
    let hit_field = Field::from_number(field).unwrap_or(Field::Kind);
    let block_outcome = meta.map_or(Outcome::Decline, |meta| meta.block_outcome);
    let mut told = ToldEntry {
        list: meta.map_or_else(|| format!("number {list}, no longer known"), |meta| meta.name.clone()),
        entry: id.to_string(),
        field: words_of(hit_field).to_owned(),
        effect: "unknown",
        code: meta.map_or_else(String::new, |meta| meta.code.clone()),
        audience: meta.map_or(Audience::Internal, |meta| meta.audience).name(),
        ..ToldEntry::default()
    };
    let mut hit = Hit {
        list,
        entry: id,
        field: hit_field,
        effect: Effect::Flag,
        overridable: false,
        severity: 0,
        block_outcome,
        overrides: None,
        unconfirmed: meta
            .and_then(|meta| meta.consortium)
            .filter(|_| source.is_candidate(list, field))
            .map(|of| of.unconfirmed),
    };
    if let Some(entry) = entry {
        (hit.effect, hit.overridable, hit.severity) = (entry.effect, entry.overridable, entry.severity);
        hit.overrides = entry.overrides.as_deref().map(Arc::from);
        told.effect = entry.effect.name();
        told.asks = hit.outcome().map(Outcome::name);
        (told.overridable, told.severity) = (entry.overridable, entry.severity);
        (told.reason, told.contributor, told.overrides) = (entry.reason, entry.contributor, entry.overrides);
        (told.valid_from, told.valid_to) = (entry.valid_from_ms.map(time), entry.valid_to_ms.map(time));
        told.since_sequence = added_by(id);
        if meta.is_some_and(|meta| meta.consortium.is_some()) {
            let (class, member) = consortium::told(&told.contributor);
            (told.class, told.member) = (Some(class.to_owned()), member.map(str::to_owned));
            told.first_seen = source.view.lists().first_seen_ms(list, id).map(time);
            told.candidate = hit.is_candidate();
        }
    }
    (hit, told)
}

/// One sentence of an entry.
pub(super) fn words(told: &ToldEntry) -> String {
    let mut words = format!("{} is on list {:?} (entry {})", told.field, told.list, told.entry);
    match (told.effect, told.asks) {
        ("unknown", _) => words += ": the entry has ended and is no longer known",
        ("override", _) => {
            words += &format!(": an override of {:?}", told.overrides.as_deref().unwrap_or_default());
        }
        (effect, Some(asks)) => words += &format!(": a {effect}, which asks for {asks}"),
        (effect, None) => words += &format!(": a {effect}"),
    }
    if !told.reason.is_empty() {
        words += &format!("; reason {}", quoted(&told.reason));
    }
    if told.severity > 0 {
        words += &format!("; severity {} of 100", told.severity);
    }
    if let Some(class) = &told.class {
        match class.strip_prefix("independent:") {
            Some(members) => words += &format!("; told by {members} members independently"),
            None => words += "; told by a trusted member",
        }
        if let Some(member) = &told.member {
            words += &format!(", {member}");
        }
        if let Some(seen) = &told.first_seen {
            words += &format!("; first heard of at {seen}");
        }
        if told.candidate {
            words += "; a candidate: only the first bits of the tag are compared, and it is to be confirmed";
        }
    } else if !told.contributor.is_empty() {
        words += &format!("; by {}", quoted(&told.contributor));
    }
    match (&told.valid_from, &told.valid_to) {
        (Some(from), Some(to)) => words += &format!("; valid from {from} until {to}"),
        (Some(from), None) => words += &format!("; valid from {from}"),
        (None, Some(to)) => words += &format!("; valid until {to}"),
        (None, None) => {}
    }
    if let Some(sequence) = told.since_sequence {
        words += &format!("; put there at sequence {sequence}");
    }
    if told.effect == "block" && !told.overridable {
        words += "; no override can cancel it";
    }
    if let Some(by) = &told.cancelled_by {
        words += &format!("; cancelled by {by}");
    }
    words
}

fn words_of(field: Field) -> &'static str {
    match field {
        Field::Card => "the card",
        Field::CardBin => "the card's BIN",
        Field::Account => "the payer's account",
        Field::Payee => "the payee's account",
        Field::PayerNameTag => "the payer's name",
        Field::PayeeNameTag => "the payee's name",
        Field::Merchant => "the merchant",
        Field::Terminal => "the terminal",
        Field::Device => "the device",
        Field::DeviceIp => "the device's address",
        Field::Email => "the e-mail address",
        Field::Phone => "the phone number",
        _ => field.def().path,
    }
}
