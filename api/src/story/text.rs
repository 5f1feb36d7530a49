//! The story as text: the payment, the answer, why, what was counted, what stayed open, what can still be done.

use super::words::quoted;
use super::{Story, ToldRule};
use std::fmt::Write as _;

/// Most features told in the text where no rule read them; all are in the structured form.
const FEATURES_TOLD_MAX: usize = 24;
/// Most matches told in the text for one rule; all are in the structured form.
const MATCHED_TOLD_MAX: usize = 8;

/// The whole text.
pub(super) fn render(story: &Story) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, story);
    out
}

fn write(out: &mut String, story: &Story) -> std::fmt::Result {
    writeln!(out, "Payment {:?} (sequence {}, tenant {:?})", story.id, story.sequence, story.tenant)?;
    for fact in &story.payment {
        writeln!(out, "  {:<20}{}", fact.name, fact.value)?;
    }
    writeln!(out, "\nOutcome: {}: {}", story.outcome, story.outcome_means)?;
    writeln!(out, "Score:   {} of 1000: {}", story.score, story.score_means)?;
    writeln!(out, "Lever:   {}: {}", story.lever, story.lever_means)?;
    reasons(out, story)?;
    models(out, story)?;
    section(out, "Hit, but cancelled by an override", &story.cancelled)?;
    section(out, "Undecided, so they said nothing", &story.undecided)?;
    section(out, "Hit in shadow mode, which changes nothing", &story.shadow)?;
    if !story.skipped.is_empty() {
        writeln!(out, "\nSkipped")?;
        for skip in &story.skipped {
            writeln!(out, "  {}", skip.words)?;
        }
        let applied = if story.default_applied { "took part" } else { "did not take part" };
        writeln!(out, "  declared defaults {applied} in the verdict")?;
    }
    if let Some(finished) = &story.finished {
        writeln!(out, "\nFinished\n  {}", finished.words)?;
    }
    features(out, story)?;
    if let Some(rule) = &story.rule {
        writeln!(out, "\nThe rule that was asked about")?;
        told_rule(out, rule, true)?;
    }
    if !story.notes.is_empty() {
        writeln!(out, "\nNotes")?;
        for note in &story.notes {
            writeln!(out, "  {note}")?;
        }
    }
    let packs = if story.packs.is_empty() { String::new() } else { format!(" ({})", story.packs.join(", ")) };
    writeln!(out, "\nDecided by generation {}{packs}; taken in by engine {}", story.generation, story.engine)
}

fn reasons(out: &mut String, story: &Story) -> std::fmt::Result {
    if story.reasons.is_empty() {
        return writeln!(out, "\nWhy\n  no live rule and no list entry hit");
    }
    writeln!(out, "\nWhy")?;
    for (number, reason) in story.reasons.iter().enumerate() {
        writeln!(out, "{:>3}. {}", number + 1, reason.words)?;
        if let Some(rule) = &reason.rule {
            parts(out, rule)?;
            matched(out, rule)?;
        }
    }
    Ok(())
}

fn models(out: &mut String, story: &Story) -> std::fmt::Result {
    if story.models.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nWhat the models said")?;
    story.models.iter().try_for_each(|model| writeln!(out, "  {}: {}", model.model, model.words))
}

fn section(out: &mut String, title: &str, rules: &[ToldRule]) -> std::fmt::Result {
    if rules.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    rules.iter().try_for_each(|rule| told_rule(out, rule, false))
}

fn told_rule(out: &mut String, rule: &ToldRule, whole: bool) -> std::fmt::Result {
    let score = rule.score.map_or(String::new(), |score| format!(", score {score}"));
    let mode = if rule.mode == "shadow" { ", shadow" } else { "" };
    if rule.title.is_empty() {
        writeln!(out, "  {}: {}", rule.rule, rule.result)?;
    } else {
        let asks = format!("would ask for {}", rule.asks);
        writeln!(out, "  {} (rule {}): {}{score}; {asks}{mode}", rule.title, rule.rule, rule.result)?;
    }
    if let Some(by) = &rule.cancelled_by {
        writeln!(out, "      cancelled by {by}")?;
    }
    for because in &rule.because {
        writeln!(out, "      because {because}")?;
    }
    if whole {
        parts(out, rule)?;
    }
    matched(out, rule)
}

fn matched(out: &mut String, rule: &ToldRule) -> std::fmt::Result {
    for one in rule.matched.iter().take(MATCHED_TOLD_MAX) {
        let (pattern, field, excerpt) = (&one.pattern, one.field, quoted(&one.excerpt));
        writeln!(out, "      {pattern} matched bytes {} to {} of {field}: {excerpt}", one.start, one.end)?;
    }
    match rule.matched.len().saturating_sub(MATCHED_TOLD_MAX) {
        0 => Ok(()),
        more => writeln!(out, "      and {more} more places (--json has all)"),
    }
}

fn parts(out: &mut String, rule: &ToldRule) -> std::fmt::Result {
    for part in &rule.parts {
        let reads =
            if part.reads.is_empty() { String::new() } else { format!("   [{}]", part.reads.join("; ")) };
        writeln!(out, "     {:width$} {:<9}  {}{reads}", "", part.truth, part.text, width = part.depth * 2)?;
    }
    Ok(())
}

fn features(out: &mut String, story: &Story) -> std::fmt::Result {
    if story.features.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nCounted up to this payment, which is included")?;
    for feature in story.features.iter().take(FEATURES_TOLD_MAX) {
        writeln!(out, "  {}", feature.words)?;
    }
    match story.features.len().saturating_sub(FEATURES_TOLD_MAX) {
        0 => Ok(()),
        more => writeln!(out, "  and {more} more (--json has all)"),
    }
}
