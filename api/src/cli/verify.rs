//! `interdict verify`: the journal's own check, then every verdict made again in this process from its accepted record
//! and the kept generation, and only then compared with the record of law. Changes nothing and takes no lock.

mod told;

pub use told::{Damage, Difference, JournalSummary, Summary};

use super::FINDING;
use crate::history::{Folder, Gone, History};
use anyhow::{Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use interdict_engine::domain::{Accepted, Body, Decided};
use interdict_engine::lane::{AsRecorded, Scratch, decide};
use interdict_engine::sequencer::{ENGINE, Work};
use interdict_ledger::journal::{RecordKind, Stored};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

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
        print!("{}", told::text(&summary));
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
    let mut summary = Summary::of_journal(&report);
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
                        self.decided(&decided, stored.open());
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
                work: Work { accepted: Box::new(accepted), view: self.history.view().clone(), prints: None },
                is_readable,
                is_certain: self.history.is_certain(),
            },
        };
        self.pending.insert(sequence, pending);
    }

    /// Makes the verdict again and compares. The record is looked into for one thing before: which stages had not
    /// answered, since time is not in the accepted record.
    fn decided(&mut self, decided: &Decided, record: &[u8]) {
        let recorded = &decided.verdict;
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
        let made = decide(&work, &mut AsRecorded(&recorded.skipped, &decided.recorded), &mut self.scratch);
        self.bytes.clear();
        made.encode_into(&mut self.bytes);
        // Behind version, mark and what was recorded, the record is the canonical verdict.
        let is_equal = record.ends_with(&self.bytes) && made == *recorded;
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
                    let what = told::differing(recorded, &made, &work.view);
                    counts.differences.push(Difference { sequence: recorded.sequence, what });
                }
            }
        }
    }
}
