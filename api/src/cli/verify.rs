//! `interdict verify`: the journal's own check, then every verdict made again in this process from its accepted record
//! and the kept generation, and only then compared with the record of law. Changes nothing and takes no lock.

use super::FINDING;
use crate::history::{Folder, Gone, History};
use anyhow::{Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use interdict_engine::domain::{Accepted, Body, Decided, ReasonSource, Verdict};
use interdict_engine::generation::{View, hex};
use interdict_engine::lane::{AsRecorded, Scratch, decide};
use interdict_engine::sequencer::{ENGINE, Work};
use interdict_ledger::journal::{RecordKind, Report, Stored};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Differences that are told in full; the rest is counted.
const TOLD_MAX: usize = 10;
/// Records between two steps of the progress bar.
const STEP: u64 = 4096;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The configuration, where it says that keys lie elsewhere.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// First sequence whose verdict is made again.
    #[arg(long, value_name = "SEQUENCE", default_value_t = 1)]
    from: u64,
    /// Last sequence whose verdict is made again; all by default.
    #[arg(long, value_name = "SEQUENCE")]
    to: Option<u64>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

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
    /// What the journal's own check found.
    pub journal: JournalSummary,
    /// What is wrong beside the verdicts, a line each.
    pub findings: Vec<String>,
    /// The first differences.
    pub differences: Vec<Difference>,
}

/// What the journal's own check found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct JournalSummary {
    /// Segments.
    pub segments: usize,
    /// Records, accepted and decided.
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
    /// Whether something is not as it should be.
    pub fn is_finding(&self) -> bool {
        self.different > 0 || self.damaged > 0 || !self.findings.is_empty() || self.journal.damage.is_some()
    }
}

/// Runs `interdict verify`: exit code 0 where all is equal, 1 for any finding.
///
/// # Errors
/// When the folder cannot be read: no journal, no key, a wrong key.
pub fn run(args: Args) -> Result<ExitCode> {
    let folder = Folder::open(&args.data, args.config.as_deref())?;
    let bar = progress();
    let summary = verify(&folder, args.from, args.to.unwrap_or(u64::MAX), &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    if args.json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        print!("{}", text(&summary));
    }
    Ok(ExitCode::from(if summary.is_finding() { FINDING } else { 0 }))
}

/// A bar on stderr when that is a terminal, else nothing.
fn progress() -> ProgressBar {
    use std::io::IsTerminal;
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("verify {bar:40} {human_pos}/{human_len} records {eta}");
    ProgressBar::new(0).with_style(style.expect("the template is a constant that parses"))
}

/// Checks a folder: the journal, and the verdicts of the sequences `from` to `to`. `tell` hears how many records of
/// how many were read.
///
/// # Errors
/// When the check cannot be done. What it finds is in the summary.
pub fn verify(folder: &Folder, from: u64, to: u64, tell: &mut dyn FnMut(u64, u64)) -> Result<Summary> {
    let report = folder.check()?;
    let total = report.accepted + report.decided;
    let mut summary = Summary { journal: journal_summary(&report), ..Summary::default() };
    if report.damage.is_some() {
        return Ok(summary);
    }
    let reader = folder.reader()?;
    let from_the_start = reader.segments().first().is_none_or(|first| first.number == 1);
    let mut pass = Pass {
        history: History::new(&folder.store, from_the_start),
        pending: BTreeMap::new(),
        scratch: Scratch::default(),
        bytes: Vec::with_capacity(256),
        range: (from, to),
        summary: &mut summary,
    };
    let mut done = 0;
    reader
        .for_each(0, &mut |stored| {
            if done % STEP == 0 {
                tell(done, total);
            }
            done += 1;
            pass.record(stored)
        })
        .map_err(|e| anyhow!("{e}"))?;
    let undecided = pass.pending.len() as u64;
    let found = pass.history.findings().to_vec();
    summary.undecided = undecided;
    summary.findings.splice(0..0, found);
    Ok(summary)
}

fn journal_summary(report: &Report) -> JournalSummary {
    JournalSummary {
        segments: report.segments.len(),
        records: report.accepted + report.decided,
        last_sequence: report.last_sequence,
        head: hex(&report.head),
        torn_bytes: report.torn.iter().map(|torn| torn.bytes_cut).sum(),
        damage: report.damage.as_ref().map(|error| Damage {
            segment: error.place.map(|place| place.segment),
            offset: error.place.map(|place| place.offset),
            what: error.message.clone(),
        }),
    }
}

/// A payment whose `decided` has not come yet.
enum Pending {
    /// It can be decided again.
    Work { work: Work, is_readable: bool, is_certain: bool },
    /// It cannot.
    Gone(Gone),
}

/// One pass over the records.
struct Pass<'a> {
    history: History<'a>,
    pending: BTreeMap<u64, Pending>,
    scratch: Scratch,
    bytes: Vec<u8>,
    range: (u64, u64),
    summary: &'a mut Summary,
}

impl Pass<'_> {
    fn record(&mut self, stored: &Stored<'_>) -> Result<(), interdict_ledger::Error> {
        let (from, to) = self.range;
        match stored.kind {
            RecordKind::Accepted if stored.sequence <= to => {
                // Sealed parts cost a decryption, and only payments in the range need theirs.
                let sealed = if stored.sequence >= from { stored.sealed()? } else { Some(Vec::new()) };
                match Accepted::decode(stored.open(), sealed.as_deref()) {
                    Ok(accepted) => self.accepted(stored.sequence, accepted, sealed.is_some()),
                    Err(e) => self.finding(format!("accepted record of sequence {}: {e}", stored.sequence)),
                }
            }
            RecordKind::Decided if (from..=to).contains(&stored.sequence) => {
                match Decided::decode(stored.open()) {
                    Ok(decided) if decided.verdict.sequence == stored.sequence => {
                        self.decided(&decided.verdict, stored.open());
                    }
                    Ok(decided) => {
                        let inside = decided.verdict.sequence;
                        self.finding(format!(
                            "decided record of sequence {} holds that of {inside}",
                            stored.sequence
                        ));
                    }
                    Err(e) => self.finding(format!("decided record of sequence {}: {e}", stored.sequence)),
                }
            }
            RecordKind::Accepted | RecordKind::Decided => {}
        }
        Ok(())
    }

    fn finding(&mut self, what: String) {
        if self.summary.findings.len() < TOLD_MAX {
            self.summary.findings.push(what);
        }
    }

    fn accepted(&mut self, sequence: u64, accepted: Accepted, is_readable: bool) {
        if accepted.sequence != sequence {
            return self.finding(format!(
                "accepted record of sequence {sequence} holds that of {}",
                accepted.sequence
            ));
        }
        if !matches!(accepted.event.body, Body::Payment(_)) {
            return self.history.apply(&accepted);
        }
        if sequence < self.range.0 {
            return;
        }
        let pending = match self.history.gone() {
            Some(gone) => Pending::Gone(gone.clone()),
            None => Pending::Work {
                work: Work { accepted: Box::new(accepted), view: self.history.view().clone() },
                is_readable,
                is_certain: self.history.is_certain(),
            },
        };
        self.pending.insert(sequence, pending);
    }

    /// Makes the verdict again and compares. The record is looked into for one thing before: which stages had not
    /// answered, since time is not in the accepted record.
    fn decided(&mut self, recorded: &Verdict, record: &[u8]) {
        let counts = &mut *self.summary;
        let (work, is_readable, is_certain) = match self.pending.remove(&recorded.sequence) {
            Some(Pending::Work { work, is_readable, is_certain }) => (work, is_readable, is_certain),
            Some(Pending::Gone(Gone::NotKept)) => return counts.not_kept += 1,
            Some(Pending::Gone(Gone::Damaged)) => return counts.damaged += 1,
            Some(Pending::Gone(Gone::OtherEngine)) => {
                (counts.checked, counts.other_engine) = (counts.checked + 1, counts.other_engine + 1);
                return;
            }
            None => {
                return self
                    .finding(format!("sequence {} has a verdict and is no payment", recorded.sequence));
            }
        };
        let made = decide(&work, &mut AsRecorded(&recorded.skipped), &mut self.scratch);
        self.bytes.clear();
        made.encode_into(&mut self.bytes);
        // The record's first two bytes are its version and mark; the rest is the canonical verdict.
        let is_equal = record.get(2..) == Some(&self.bytes[..]);
        if !is_equal && !is_certain {
            return counts.not_kept += 1;
        }
        counts.checked += 1;
        match () {
            () if is_equal => counts.equal += 1,
            () if work.accepted.engine != ENGINE => counts.other_engine += 1,
            () if !is_readable => counts.unreadable += 1,
            () => {
                counts.different += 1;
                if counts.differences.len() < TOLD_MAX {
                    let what = differing(recorded, &made, &work.view);
                    counts.differences.push(Difference { sequence: recorded.sequence, what });
                }
            }
        }
    }
}

/// What differs between the recorded verdict and the one made again.
fn differing(recorded: &Verdict, made: &Verdict, view: &Arc<View>) -> Vec<String> {
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

/// The reasons by name, in order. Numbers of a record that was tampered with may name nothing.
fn reasons(verdict: &Verdict, view: &View) -> String {
    let generation = view.generation();
    let names = verdict.reasons.iter().map(|reason| match reason.source {
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

fn text(summary: &Summary) -> String {
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
    let more = summary.different.saturating_sub(summary.differences.len() as u64);
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
