//! What `interdict verify` says: counts, findings and the first differences, as JSON and as text.

use interdict_engine::domain::{Opened, ReasonSource, Verdict};
use interdict_engine::generation::{View, hex};
use interdict_ledger::journal::Report;
use serde::Serialize;

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// Verdicts made again and compared: `equal` + `different` + `other_engine` + `unreadable`.
    pub checked: u64,
    /// Of these, the same bytes.
    pub equal: u64,
    /// Other bytes, by the same engine.
    pub different: u64,
    /// Not compared: the generation is no longer kept, or what is needed to know its lists is gone.
    pub not_kept: u64,
    /// Other bytes, but another engine version took the payment in.
    pub other_engine: u64,
    /// Other bytes, but names and texts could not be read since their key was destroyed.
    pub unreadable: u64,
    /// Not compared: the generation is kept and is not as it was written.
    pub damaged: u64,
    /// Accepted without verdict: what a crash leaves until the next start, or what is being decided right now.
    pub undecided: u64,
    /// Of what was finished afterwards, likewise.
    pub finished: FinishedSummary,
    /// What the journal's own check found.
    pub journal: JournalSummary,
    /// What is wrong beside the verdicts, a line each.
    pub findings: Vec<String>,
    /// The first differences.
    pub differences: Vec<Difference>,
}

/// What was found of verdicts that were finished after they had been given without some stage.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FinishedSummary {
    /// Made again and compared: `equal` + `different` + `other_engine` + `unreadable`.
    pub checked: u64,
    /// Of these, the same bytes.
    pub equal: u64,
    /// Other bytes, by the same engine.
    pub different: u64,
    /// Not compared: what they were judged by is no longer kept, or not as it was written.
    pub not_kept: u64,
    /// Other bytes, but another engine version finished them.
    pub other_engine: u64,
    /// Other bytes, but names and texts could not be read since their key was destroyed.
    pub unreadable: u64,
}

/// What the journal's own check found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct JournalSummary {
    /// Segments.
    pub segments: usize,
    /// Records of all kinds.
    pub records: u64,
    /// Last accepted sequence.
    pub last_sequence: u64,
    /// The chain hash at the end; kept elsewhere, it vouches for everything before it.
    pub head: String,
    /// Bytes at the end that are no whole batch, as a crash leaves them.
    pub torn_bytes: u64,
    /// The first damage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<Damage>,
}

/// Damage, and where.
#[derive(Debug, Clone, Serialize)]
pub struct Damage {
    /// The segment's number; absent where the damage has no place.
    pub segment: Option<u64>,
    /// Offset in its file, in bytes.
    pub offset: Option<u64>,
    /// What it is.
    pub what: String,
}

/// A verdict that came out otherwise.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    /// The payment's sequence.
    pub sequence: u64,
    /// What differs: recorded and recomputed.
    pub what: Vec<String>,
}

impl Summary {
    /// What the journal's own check found, and nothing else yet.
    pub fn of_journal(report: &Report) -> Summary {
        let journal = JournalSummary {
            segments: report.segments.len(),
            records: report.accepted + report.decided + report.finished,
            last_sequence: report.last_sequence,
            head: hex(&report.head),
            torn_bytes: report.torn.iter().map(|torn| torn.bytes_cut).sum(),
            damage: report.damage.as_ref().map(|error| Damage {
                segment: error.place.map(|place| place.segment),
                offset: error.place.map(|place| place.offset),
                what: error.message.clone(),
            }),
        };
        Summary { journal, ..Summary::default() }
    }
    /// Whether something is not as it should be.
    pub fn is_finding(&self) -> bool {
        self.different > 0
            || self.finished.different > 0
            || self.damaged > 0
            || !self.findings.is_empty()
            || self.journal.damage.is_some()
    }
}

/// What differs between the recorded verdict and the one made again.
pub(super) fn differing(recorded: &Verdict, made: &Verdict, view: &View) -> Vec<String> {
    let mut what = Vec::new();
    let mut compare = |name: &str, recorded: String, made: String| {
        if recorded != made {
            what.push(format!("{name}: recorded {recorded}, recomputed {made}"));
        }
    };
    compare("outcome", recorded.outcome.name().into(), made.outcome.name().into());
    compare("score", recorded.score.to_string(), made.score.to_string());
    compare("reasons", reasons(recorded, view), reasons(made, view));
    let slots =
        |verdict: &Verdict| format!("{:?}", verdict.reasons.iter().map(|r| &r.slots).collect::<Vec<_>>());
    compare("slots of the reasons", slots(recorded), slots(made));
    let skipped = |verdict: &Verdict| {
        let each =
            verdict.skipped.iter().map(|(stage, reason)| format!("{} ({})", stage.name(), reason.name()));
        format!("[{}]", each.collect::<Vec<_>>().join(", "))
    };
    compare("skipped", skipped(recorded), skipped(made));
    compare("default_applied", recorded.default_applied.to_string(), made.default_applied.to_string());
    compare("lever", recorded.lever.name().into(), made.lever.name().into());
    compare("generation", recorded.generation.to_string(), made.generation.to_string());
    what
}

/// A hold in a few words: what of it comes from the generation and the payment.
pub(super) fn hold(hold: Option<&Opened>) -> String {
    let Some(hold) = hold else { return "none".into() };
    let Opened { outcome, lever, at_ms, until_ms, cut_off_ms, sanctions, amount_minor, currency, .. } = hold;
    let until = until_ms.map_or("nobody's timer".into(), |until_ms| until_ms.to_string());
    let what = if *sanctions { "sanctions hold" } else { "hold" };
    format!(
        "{what} by {} ({}) from {at_ms} until {until}, cut-off {cut_off_ms}, {amount_minor} {currency}, causes [{}]",
        lever.name(),
        outcome.name(),
        hold.causes.join(", ")
    )
}

/// The reasons by name, in order. Numbers of a record that was tampered with may name nothing.
fn reasons(verdict: &Verdict, view: &View) -> String {
    let generation = view.generation();
    let names = verdict.reasons.iter().map(|reason| match reason.source {
        ReasonSource::Name { rule, watchlist, entry, score, .. } => {
            let rule = generation.rules().rules().get(rule as usize).map_or("no rule", |rule| rule.id());
            format!("{rule}: entry {entry} of watchlist number {watchlist}, score {score}")
        }
        ReasonSource::Model(number) => format!("model number {number}"),
        ReasonSource::Stale(place) => format!("stale list number {place}"),
        ReasonSource::Rule(number) => match generation.rules().rules().get(number as usize) {
            Some(rule) => rule.id().to_owned(),
            None => format!("rule number {number}"),
        },
        ReasonSource::Entry { list, entry, field } => {
            let name = view.lists().list_name(list).map_or_else(|| format!("number {list}"), str::to_owned);
            format!("lists/{name} entry {entry} field {field}")
        }
        ReasonSource::Default(pack) => format!("default of pack number {pack} for {}", reason.stage.name()),
    });
    format!("[{}]", names.collect::<Vec<_>>().join(", "))
}

/// The summary for people.
pub(super) fn text(summary: &Summary) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    let journal = &summary.journal;
    // Writing to a string cannot fail.
    let _ = match &journal.damage {
        Some(damage) => {
            let place = match (damage.segment, damage.offset) {
                (Some(segment), Some(offset)) => format!(" at segment {segment} offset {offset}"),
                _ => String::new(),
            };
            writeln!(out, "journal: damaged{place}: {}; no verdict was compared", damage.what)
        }
        None => writeln!(
            out,
            "journal: whole: {} segments, {} records, last sequence {}, head {}",
            journal.segments, journal.records, journal.last_sequence, journal.head
        ),
    };
    if journal.torn_bytes > 0 {
        let _ = writeln!(
            out,
            "journal: {} bytes at its end are no whole batch, as a crash leaves them",
            journal.torn_bytes
        );
    }
    for finding in &summary.findings {
        let _ = writeln!(out, "found: {finding}");
    }
    for difference in &summary.differences {
        let _ = writeln!(out, "sequence {}: {}", difference.sequence, difference.what.join("; "));
    }
    let more =
        (summary.different + summary.finished.different).saturating_sub(summary.differences.len() as u64);
    if more > 0 {
        let _ = writeln!(out, "and {more} more that differ");
    }
    if journal.damage.is_none() {
        let s = summary;
        let _ = writeln!(
            out,
            "verdicts: {} checked, {} equal, {} different; {} not kept, {} of another engine",
            s.checked, s.equal, s.different, s.not_kept, s.other_engine
        );
        let f = &s.finished;
        if f.checked + f.not_kept > 0 {
            let _ = writeln!(
                out,
                "finished: {} checked, {} equal, {} different; {} not kept, {} of another engine",
                f.checked, f.equal, f.different, f.not_kept, f.other_engine
            );
        }
        for (count, what) in [
            (s.damaged, "of a damaged generation"),
            (s.unreadable, "whose texts are no longer readable"),
            (s.undecided, "accepted without a verdict yet"),
        ] {
            if count > 0 {
                let _ = writeln!(out, "          {count} {what}");
            }
        }
    }
    out
}
