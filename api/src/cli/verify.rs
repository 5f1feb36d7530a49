//! `interdict verify`: the journal's own check, then every verdict made again in this process from its accepted record
//! and the kept generation, and only then compared with the record of law. Changes nothing and takes no lock.

mod told;

pub use told::{Damage, Difference, FinishedSummary, JournalSummary, Summary};

use super::FINDING;
use crate::history::{Folder, Gone, History};
use anyhow::{Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use interdict_engine::domain::{Accepted, Body, Decided, Finished, Opened, Outcome, Recorded, Verdict};
use interdict_engine::lane::{AsRecorded, Scratch, decide};
use interdict_engine::sequencer::{ENGINE, Work};
use interdict_engine::settlement;
use interdict_ledger::journal::{Reader, RecordKind, Stored};
use std::collections::{BTreeMap, BTreeSet};
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
    let total = report.accepted + report.decided + report.finished;
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
        finished: finished(&reader, from, to)?,
        reader: &reader,
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

/// The payments of a range that were finished. A first pass, since theirs are records of later, when what they were
/// judged by has long been let go.
fn finished(reader: &Reader, from: u64, to: u64) -> Result<BTreeSet<u64>> {
    let mut finished = BTreeSet::new();
    if reader.any_finished() {
        let read = reader.for_each(from, &mut |stored| {
            if stored.kind == RecordKind::Finished && stored.sequence <= to {
                finished.insert(stored.sequence);
            }
            Ok(())
        });
        read.map_err(|e| anyhow!("{e}"))?;
    }
    Ok(finished)
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
    /// Those that were finished and are not compared yet.
    finished: BTreeSet<u64>,
    reader: &'a Reader,
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
                        self.decided(&decided, stored.open())?;
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
            // Its verdict was in a segment that is gone.
            RecordKind::Finished if self.finished.remove(&stored.sequence) => {
                self.summary.finished.not_kept += 1;
            }
            RecordKind::Accepted | RecordKind::Decided | RecordKind::Finished => {}
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

    /// Makes the verdict again and compares, and that of a payment which was finished. The records are looked into for
    /// one thing before: which stages had not answered, since time is not in the accepted record.
    fn decided(&mut self, decided: &Decided, record: &[u8]) -> Result<(), interdict_ledger::Error> {
        let sequence = decided.verdict.sequence;
        let pending = self.pending.remove(&sequence);
        let finished =
            if self.finished.remove(&sequence) { self.reader.read_finished(sequence)? } else { None };
        let counts = &mut *self.summary;
        let (work, is_readable, is_certain) = match pending {
            Some(Pending::Work { work, is_readable, is_certain }) => (work, is_readable, is_certain),
            Some(Pending::Gone(gone)) => {
                counts.finished.not_kept += u64::from(finished.is_some());
                match gone {
                    Gone::NotKept => counts.not_kept += 1,
                    Gone::Damaged => counts.damaged += 1,
                    Gone::OtherEngine => {
                        (counts.checked, counts.other_engine) = (counts.checked + 1, counts.other_engine + 1);
                    }
                }
                return Ok(());
            }
            None => {
                self.finding(format!("sequence {sequence} has a verdict and is no payment"));
                return Ok(());
            }
        };
        let (made, is_equal) = self.again(&work, &decided.verdict, &decided.recorded, record);
        let hold = settlement::inline(&work.accepted, &work.view, &made, self.would(&work));
        let hold = other_hold(&decided.recorded, hold, &work.accepted.engine);
        let is_equal = is_equal && hold.is_none();
        let judged = Judged { is_equal, is_certain, is_readable, is_ours: work.accepted.engine == ENGINE };
        let Summary { checked, equal, different, not_kept, other_engine, unreadable, .. } = self.summary;
        judged.count([checked, equal, different, not_kept, other_engine, unreadable]);
        if judged.is_different() {
            self.differs((sequence, ""), &decided.verdict, &made, &work, hold);
        }
        if let Some(record) = finished {
            let answered = decided.recorded.would.unwrap_or(decided.verdict.outcome);
            self.finished_again(&work, &record.open, answered, judged);
        }
        Ok(())
    }

    /// The verdict, made again, and whether it is the record's.
    fn again(
        &mut self,
        work: &Work,
        verdict: &Verdict,
        recorded: &Recorded,
        record: &[u8],
    ) -> (Verdict, bool) {
        let made = decide(work, &mut AsRecorded(&verdict.skipped, recorded), &mut self.scratch);
        self.bytes.clear();
        made.encode_into(&mut self.bytes);
        // Behind version, mark and what was recorded, the record is the canonical verdict.
        let is_equal = record.ends_with(&self.bytes) && made == *verdict;
        (made, is_equal)
    }

    /// Of a fact that was just made again, the outcome that it would have had.
    fn would(&self, work: &Work) -> Option<Outcome> {
        self.scratch.found.to_record(work.view.generation()).would
    }

    /// The same of a finished verdict. `answered`: what the payment had been answered.
    fn finished_again(&mut self, work: &Work, record: &[u8], answered: Outcome, judged: Judged) {
        let sequence = work.accepted.sequence;
        let finished = match Finished::decode(record) {
            Ok(finished) if finished.verdict.sequence == sequence => finished,
            Ok(finished) => {
                let inside = finished.verdict.sequence;
                return self
                    .finding(format!("finished record of sequence {sequence} holds that of {inside}"));
            }
            Err(e) => return self.finding(format!("finished record of sequence {sequence}: {e}")),
        };
        let (made, is_equal) = self.again(work, &finished.verdict, &finished.recorded, record);
        let (view, before) = (&work.view, (answered, finished.at_ms));
        let hold = settlement::on_finishing(&work.accepted, view, &made, self.would(work), before);
        let hold = other_hold(&finished.recorded, hold, &finished.engine);
        let is_equal = is_equal && hold.is_none();
        let judged = Judged { is_equal, is_ours: finished.engine == ENGINE, ..judged };
        let FinishedSummary { checked, equal, different, not_kept, other_engine, unreadable } =
            &mut self.summary.finished;
        judged.count([checked, equal, different, not_kept, other_engine, unreadable]);
        if judged.is_different() {
            self.differs((sequence, "finished: "), &finished.verdict, &made, work, hold);
        }
    }

    fn differs(
        &mut self,
        (sequence, which): (u64, &str),
        recorded: &Verdict,
        made: &Verdict,
        work: &Work,
        hold: Option<String>,
    ) {
        if self.summary.differences.len() < TOLD_MAX {
            let what = told::differing(recorded, made, &work.view);
            let what = what.into_iter().chain(hold).map(|what| format!("{which}{what}")).collect();
            self.summary.differences.push(Difference { sequence, what });
        }
    }
}

/// How the hold in a record differs from the one that the payment, its view and its verdict come to. An engine from
/// before there were holds recorded none.
fn other_hold(recorded: &Recorded, made: Option<Opened>, engine: &str) -> Option<String> {
    let was = recorded.hold.as_deref();
    if was == made.as_ref() || was.is_none() && engine != ENGINE {
        return None;
    }
    Some(format!("hold: recorded {}, recomputed {}", told::hold(was), told::hold(made.as_ref())))
}

/// A verdict that was made again.
#[derive(Clone, Copy)]
struct Judged {
    is_equal: bool,
    is_certain: bool,
    is_readable: bool,
    is_ours: bool,
}

impl Judged {
    fn is_different(self) -> bool {
        !self.is_equal && self.is_certain && self.is_ours && self.is_readable
    }
    fn count(self, counts: [&mut u64; 6]) {
        let [checked, equal, different, not_kept, other_engine, unreadable] = counts;
        if !self.is_equal && !self.is_certain {
            *not_kept += 1;
            return;
        }
        *checked += 1;
        *match () {
            () if self.is_equal => equal,
            () if !self.is_ours => other_engine,
            () if !self.is_readable => unreadable,
            () => different,
        } += 1;
    }
}
