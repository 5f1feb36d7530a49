//! What a payment came to when the stages were run that had been skipped: told beside the verdict, which stays.

use super::{Story, ToldFinished, outcome_means, text};
use crate::answer::{Source, time};
use interdict_engine::domain::{Finished, ReasonSource};

/// Tells a finished verdict; `source`: of that verdict, where its generation is kept.
pub fn told(finished: &Finished, source: Option<&Source<'_>>) -> ToldFinished {
    let Finished { verdict, recorded, .. } = finished;
    let named = |reason: &interdict_engine::domain::Reason| match (source, reason.source) {
        (Some(source), _) => source.rule_name(reason).into_owned(),
        (None, ReasonSource::Rule(number) | ReasonSource::Name { rule: number, .. }) => {
            format!("rule number {number}")
        }
        (None, ReasonSource::Entry { list, entry, .. }) => format!("entry {entry} of list number {list}"),
        (None, ReasonSource::Model(number)) => format!("model number {number}"),
        (None, ReasonSource::Stale(place)) => format!("stale list number {place}"),
        (None, ReasonSource::Default(pack)) => format!("default of pack number {pack}"),
    };
    let reasons: Vec<String> = verdict.reasons.iter().map(named).collect();
    let (outcome, at) = (recorded.would.unwrap_or(verdict.outcome), time(finished.at_ms));
    let because = match reasons.is_empty() {
        true => "no live rule and no list entry hit".to_owned(),
        false => format!("because of {}", reasons.join(", ")),
    };
    let words = format!(
        "the skipped stages ran at {at}: {}, score {} ({because}); {}; what was answered stays{}",
        outcome.name(),
        verdict.score,
        outcome_means(outcome),
        // Whether it began depends on what holds there were.
        recorded.hold.as_ref().map_or("", |_| ", and a hold for that begins where none waits")
    );
    ToldFinished { outcome: verdict.outcome.name(), score: verdict.score, reasons, at, words }
}

impl Story {
    /// Adds what it came to and tells the text anew.
    pub fn finish(&mut self, finished: ToldFinished) {
        self.finished = Some(finished);
        self.text = text::render(self);
    }
}
