//! How a hold begins: from a payment, its verdict and the terms of the generation that judged it, and from nothing else.

use super::terms::AtExpiry;
use crate::domain::{
    Accepted, Body, Field, Learned, LearnedWhat, Opened, Outcome, Reason, ReasonSource, TransactionKind,
    Verdict,
};
use crate::generation::View;
use crate::rules::Class;

/// What stops a payment: a verdict of hold or, of a fact, what it would have been. `None`: it goes on, or is declined,
/// so that nothing of it will settle; or it takes something back, which nobody holds. `would` is the outcome a fact would
/// have had.
pub fn inline(accepted: &Accepted, view: &View, verdict: &Verdict, would: Option<Outcome>) -> Option<Opened> {
    if takes_back(accepted) {
        return None;
    }
    let outcome = match (verdict.outcome, would) {
        (Outcome::Hold, _) => Outcome::Hold,
        (Outcome::Recorded, Some(would)) if would >= Outcome::Hold => would,
        _ => return None,
    };
    Some(opening(accepted, view, verdict, outcome, None, accepted.event.arrival_ms))
}

/// What stops a payment whose stages were finished, where it would have been stopped and was not, or was held by less than
/// is known now: whoever released it did not know that. Whether it begins is the book's to say. `answered` is the outcome
/// it had, or of a fact would have had; `at_ms`: when it was finished, ms since the Unix epoch.
pub fn on_finishing(
    accepted: &Accepted,
    view: &View,
    verdict: &Verdict,
    would: Option<Outcome>,
    (answered, at_ms): (Outcome, i64),
) -> Option<Opened> {
    let outcome = would.unwrap_or(verdict.outcome);
    // What was declined is nobody's to settle; of a fact that would have been declined it is not so.
    let is_declined = answered > Outcome::Hold && would.is_none();
    if outcome < Outcome::Hold || is_declined || takes_back(accepted) {
        return None;
    }
    let learned = Learned { sequence: verdict.sequence, at_ms, what: LearnedWhat::Stages };
    Some(opening(accepted, view, verdict, outcome, Some(learned), at_ms))
}

/// What takes something back is held by nobody.
fn takes_back(accepted: &Accepted) -> bool {
    matches!(&accepted.event.body, Body::Payment(tx) if tx.kind == TransactionKind::Reversal)
}

/// The hold of a payment by a verdict, live or hunted. `at_ms`: when, ms since the Unix epoch.
pub fn opening(
    accepted: &Accepted,
    view: &View,
    verdict: &Verdict,
    outcome: Outcome,
    learned: Option<Learned>,
    at_ms: i64,
) -> Opened {
    let Body::Payment(tx) = &accepted.event.body else { unreachable!("only payments are judged") };
    let settings = view.generation().settings();
    let (lever, terms) = (settings.lever(tx), &settings.settlement);
    let cut_off_ms = terms.cut_off(tx, accepted.event.arrival_ms).at_ms;
    let sanctions = of_sanctions(view, verdict);
    let expiry = terms.hold_terms(lever, &tx.tenant).expiry(at_ms, cut_off_ms, sanctions);
    Opened {
        tenant: (&*tx.tenant).into(),
        at_ms,
        until_ms: expiry.map(|(until_ms, _)| until_ms),
        expiry_releases: expiry.is_some_and(|(_, end)| end == AtExpiry::Release),
        cut_off_ms,
        lever,
        recall: settings.recall(tx),
        amount_minor: tx.int(Field::AmountMinor).unwrap_or(0),
        currency: tx.text(Field::AmountCurrency).unwrap_or_default().into(),
        sanctions,
        outcome,
        score: verdict.score,
        reasons: verdict.reasons.clone(),
        causes: causes(view, verdict),
        generation: verdict.generation,
        learned,
    }
}

/// A verdict's reasons by name, as [`Opened::causes`]; `view` knows its generation.
pub fn causes(view: &View, verdict: &Verdict) -> Vec<Box<str>> {
    verdict.reasons.iter().map(|reason| cause(view, reason).into()).collect()
}

/// A reason by name.
fn cause(view: &View, reason: &Reason) -> String {
    let generation = view.generation();
    let pack = |number: u16| generation.packs().get(usize::from(number)).map_or("", |pack| pack.name());
    match reason.source {
        ReasonSource::Rule(rule) => generation.rules().rule(rule).id().to_owned(),
        ReasonSource::Entry { list, field, .. } => {
            let field = Field::from_number(field).map_or("", |field| field.def().path);
            format!("list:{}/{field}", view.lists().list_name(list).unwrap_or_default())
        }
        ReasonSource::Name { watchlist, entry, .. } => {
            let list = generation.watchlists().get(usize::from(watchlist));
            let id = list
                .and_then(|list| list.bank.entries().get(entry as usize))
                .map_or("", |entry| entry.id.as_str());
            format!("watchlist:{}/{id}", list.map_or("", |list| list.name.as_str()))
        }
        ReasonSource::Model(model) => {
            let model = generation.models().get(usize::from(model));
            model.map_or_else(String::new, |model| format!("model:{}/{}", pack(model.pack()), model.id()))
        }
        ReasonSource::Default(number) => format!("default:{}/{}", pack(number), reason.stage.name()),
        ReasonSource::Stale(place) => {
            let list = generation.settings().freshness.get(usize::from(place));
            format!("stale:{}", list.map_or("", |known| known.list.as_str()))
        }
    }
}

/// Whether a sanctions list, or a rule about sanctions that stops, is among the reasons.
fn of_sanctions(view: &View, verdict: &Verdict) -> bool {
    let (lists, rules) = (view.lists(), view.generation().rules());
    verdict.reasons.iter().any(|reason| match reason.source {
        ReasonSource::Entry { list, .. } => lists.list_meta(list).is_some_and(|meta| meta.sanctions),
        ReasonSource::Rule(rule) | ReasonSource::Name { rule, .. } => {
            let rule = rules.rule(rule);
            rule.class() == Class::Sanctions && rule.outcome() >= Outcome::Hold
        }
        ReasonSource::Default(_) | ReasonSource::Model(_) | ReasonSource::Stale(_) => false,
    })
}
