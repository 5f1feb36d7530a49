//! `interdict explain`: finds one payment in a data folder, by its id or sequence, and tells its verdict's story. Reads
//! only, so it works beside a running node.

use crate::answer::Source;
use crate::history::{Folder, History};
use crate::story::{Story, held, tell, tell_without_generation, told_finished};
use anyhow::{Result, anyhow, bail};
use interdict_engine::domain::{Accepted, Body, Decided, Finished, FoundNow, HoldAct, Label, Transaction};
use interdict_engine::features::FollowUp;
use interdict_engine::generation::View;
use interdict_engine::waiting::{Waiter, Waiting, WaitingLimits};
use interdict_ledger::journal::{Reader, RecordKind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The payment: its id (the latest of that id), or @SEQUENCE, or seq-SEQUENCE.
    #[arg(value_name = "ID|@SEQUENCE")]
    payment: String,
    /// Also tell why this rule (pack/rule) hit, missed or was undecided.
    #[arg(long, value_name = "PACK/RULE")]
    rule: Option<String>,
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Only payments of this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// The configuration, where it says that keys lie elsewhere.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Runs `interdict explain`.
///
/// # Errors
/// No such payment or rule, a payment without verdict, a folder that cannot be read.
pub fn run(args: Args) -> Result<ExitCode> {
    let folder = Folder::open(&args.data, args.config.as_deref())?;
    let story = explain(&folder, &args.payment, args.tenant.as_deref(), args.rule.as_deref())?;
    if let Some(rule) = story.rule.as_ref().filter(|rule| rule.result == "unknown") {
        bail!("{}", rule.because.join("; "));
    }
    if args.json {
        println!("{}", serde_json::to_string(&story)?);
    } else {
        print!("{}", story.text);
    }
    Ok(ExitCode::SUCCESS)
}

/// Whom somebody asks about.
struct Wanted<'a> {
    id: &'a str,
    sequence: Option<u64>,
    tenant: Option<&'a str>,
}

impl Wanted<'_> {
    fn is(&self, accepted: &Accepted, tx: &Transaction) -> bool {
        if self.tenant.is_some_and(|tenant| *tenant != *accepted.event.tenant) {
            return false;
        }
        // An id that a client gave wins over what it looks like.
        let by_sequence =
            self.sequence == Some(accepted.sequence) && (self.id.starts_with('@') || tx.id.is_none());
        by_sequence || tx.id.as_deref() == Some(self.id)
    }
}

/// A payment that was found, and what it was judged by; `None` where that is no longer kept.
struct Found {
    sequence: u64,
    tenant: Arc<str>,
    view: Option<Arc<View>>,
    /// Whether all of the view is known.
    is_certain: bool,
    /// What happened to it afterwards.
    since: Vec<String>,
}

/// The story of one payment of a data folder.
///
/// # Errors
/// No such payment; no verdict yet; a damaged journal.
pub fn explain(folder: &Folder, payment: &str, tenant: Option<&str>, rule: Option<&str>) -> Result<Story> {
    let number = payment.strip_prefix('@').or_else(|| payment.strip_prefix("seq-"));
    let sequence = number.and_then(|number| number.parse().ok());
    if payment.starts_with('@') && sequence.is_none() {
        bail!("{payment:?}: expected @ and a sequence, as in @1742");
    }
    let wanted = Wanted { id: payment, sequence, tenant };
    let reader = folder.reader()?;
    let (found, findings) = find(folder, &reader, &wanted)?;
    let failed = |e: interdict_ledger::Error| anyhow!("{e}");
    let Found { sequence, view, is_certain, since, .. } = found;
    let record = reader.read_accepted(sequence).map_err(failed)?;
    let record = record.ok_or_else(|| anyhow!("sequence {sequence} is no longer in the journal"))?;
    let accepted = Accepted::decode(&record.open, record.sealed.as_deref())?;
    let Body::Payment(tx) = &accepted.event.body else { bail!("sequence {sequence} is no payment") };
    let Some(record) = reader.read_decided(sequence).map_err(failed)? else {
        bail!(
            "the payment at sequence {sequence} has no verdict yet: the node stopped before it, or decides it now"
        );
    };
    let decided = Decided::decode(&record.open)?;
    let finished = reader.read_finished(sequence).map_err(failed)?;
    let finished = finished.map(|record| Finished::decode(&record.open)).transpose()?;
    let verdict = &decided.verdict;
    let mut story = match &view {
        Some(view) => {
            let (features, approximate) = (&accepted.features, &accepted.approximate);
            let (recalled, recorded) = (&[][..], &decided.recorded);
            let (transaction, evidence) = (tx, None);
            let source =
                Source { verdict, transaction, features, approximate, view, recalled, recorded, evidence };
            let mut story = tell(&source, &accepted, decided.recovered, rule);
            if let Some(finished) = &finished {
                let Finished { verdict, recorded, .. } = finished;
                let told = told_finished(finished, Some(&Source { verdict, recorded, ..source }));
                story.finish(told);
            }
            story
        }
        None => {
            let mut story = tell_without_generation(verdict, tx, &accepted, decided.recovered);
            decided.recorded.hold.iter().for_each(|hold| story.note(held(verdict.sequence, hold)));
            finished.iter().for_each(|finished| story.finish(told_finished(finished, None)));
            story
        }
    };
    since.into_iter().chain(findings).for_each(|note| story.note(note));
    match &view {
        Some(view) if view.id() != verdict.generation => {
            story.note(format!(
                "the journal leads to {}, the verdict names {}",
                view.id(),
                verdict.generation
            ));
        }
        Some(_) if !is_certain => story.note("not all list deltas before this payment are known".into()),
        None if rule.is_some() => story.note("the rule cannot be told without its generation".into()),
        _ => {}
    }
    Ok(story)
}

/// One pass: the latest payment that is meant, with the view at its sequence.
fn find(folder: &Folder, reader: &Reader, wanted: &Wanted<'_>) -> Result<(Found, Vec<String>)> {
    let from_the_start = reader.segments().first().is_none_or(|first| first.number == 1);
    let mut history = History::new(&folder.store, from_the_start);
    let mut found: Option<Found> = None;
    let mut other: Option<&'static str> = None;
    let mut tenants: Vec<Arc<str>> = Vec::new();
    let mut waiting = Waiting::new(WaitingLimits::default());
    let read = reader.for_each(0, &mut |stored| {
        if stored.kind != RecordKind::Accepted {
            return Ok(());
        }
        let accepted = Accepted::decode(stored.open(), Some(&[])).map_err(|e| {
            let why = format!("accepted {}: {e}", stored.sequence);
            interdict_ledger::Error::new(interdict_ledger::ErrorKind::Corrupt, why)
        })?;
        if let (Some(found), Some(line)) = (&mut found, afterwards(&accepted, stored.sequence)) {
            found.since.extend((line.0 == found.sequence).then_some(line.1));
        }
        let met = waited(&mut waiting, &accepted);
        if let Some(found) = &mut found {
            let own = met.iter().filter(|waiter| waiter.follow.sequence == found.sequence);
            found.since.extend(own.map(|_| format!("its payment came at sequence {}", accepted.sequence)));
        }
        match &accepted.event.body {
            Body::Payment(tx) if wanted.is(&accepted, tx) => {
                tenants.push(accepted.event.tenant.clone());
                found = Some(Found {
                    sequence: accepted.sequence,
                    tenant: accepted.event.tenant.clone(),
                    view: history.gone().is_none().then(|| history.view().clone()),
                    is_certain: history.is_certain(),
                    since: met.iter().map(|waiter| had_waited(&waiter.follow)).collect(),
                });
            }
            Body::Payment(_) => {}
            body => {
                if wanted.sequence == Some(accepted.sequence) {
                    other = Some(name_of(body));
                }
                history.apply(&accepted);
            }
        }
        Ok(())
    });
    read.map_err(|e| anyhow!("{e}"))?;
    let findings = history.findings().to_vec();
    let Some(mut found) = found else {
        let of = wanted.tenant.map_or(String::new(), |tenant| format!(" of tenant {tenant:?}"));
        match (other, wanted.sequence) {
            (Some(what), Some(sequence)) => bail!("sequence {sequence} is {what}, not a payment"),
            _ => bail!("no payment {:?}{of} in this folder", wanted.id),
        }
    };
    tenants.retain(|tenant| *tenant != found.tenant);
    tenants.sort();
    tenants.dedup();
    if !tenants.is_empty() {
        let names = tenants.iter().map(|t| format!("{:?}", &**t)).collect::<Vec<_>>().join(", ");
        found.since.push(format!("tenant {names} has a payment of this id as well (--tenant names it)"));
    }
    Ok((found, findings))
}

/// The messages that had waited for a payment and now follow it: the same steps as the sequencer's.
fn waited(waiting: &mut Waiting, accepted: &Accepted) -> Vec<Waiter> {
    let Body::Payment(tx) = &accepted.event.body else { return Vec::new() };
    waiting.expire(accepted.event.arrival_ms);
    let keys = [accepted.identity, accepted.alias].into_iter().flatten();
    let met = waiting.take(&tx.tenant, keys, tx.kind);
    if let Some(follow) = FollowUp::of(accepted.sequence, tx).filter(|_| !accepted.waits_for.is_empty()) {
        waiting.wait(&tx.tenant, &accepted.waits_for, follow);
    }
    met
}

fn had_waited(follow: &FollowUp) -> String {
    format!("followed by a {} that had come before it, at sequence {}", follow.kind.name(), follow.sequence)
}

/// What an event says about an earlier payment: whose sequence, and a line.
fn afterwards(accepted: &Accepted, sequence: u64) -> Option<(u64, String)> {
    let told = match &accepted.event.body {
        Body::Payment(tx) => {
            return Some((
                accepted.original?,
                format!("followed by a {} at sequence {sequence}", tx.kind.name()),
            ));
        }
        Body::Label { target, label, time_ms } => {
            let label = match label {
                Label::Fraud => "fraud",
                Label::Good => "good",
            };
            (
                *target,
                format!(
                    "labelled {label} at sequence {sequence}, known since {}",
                    crate::answer::time(*time_ms)
                ),
            )
        }
        Body::Outcome { target, outcome } => {
            (*target, format!("{} elsewhere, told at sequence {sequence}", outcome.name()))
        }
        Body::Hunt(found) => (found.target, hunted(&found.now, sequence)),
        Body::HoldAct(act) => {
            let HoldAct { hold, act, by, comment } = &**act;
            let words = if comment.is_empty() { String::new() } else { format!(": {comment}") };
            (hold.payment, format!("{hold}: {} by {by} at sequence {sequence}{words}", act.name()))
        }
        Body::ListDelta(_) | Body::Publish { .. } | Body::Key(_) | Body::Clear(_) | Body::Hunted { .. } => {
            return None;
        }
    };
    Some(told)
}

fn hunted(now: &FoundNow, sequence: u64) -> String {
    match now {
        FoundNow::Stops { opened, too_late: false } => {
            format!("held at sequence {sequence}: it would be answered {} now", opened.outcome.name())
        }
        FoundNow::Stops { opened, too_late: true } => format!(
            "found at sequence {sequence}, too late to be held: it would be answered {} now",
            opened.outcome.name()
        ),
        FoundNow::Frees { outcome, .. } => {
            format!(
                "its release is proposed at sequence {sequence}: it would be answered {} now",
                outcome.name()
            )
        }
    }
}

const fn name_of(body: &Body) -> &'static str {
    match body {
        Body::Payment(_) => "a payment",
        Body::Outcome { .. } => "an outcome",
        Body::Label { .. } => "a label",
        Body::ListDelta(_) => "a list delta",
        Body::Publish { .. } => "a publication",
        Body::Hunt(_) => "what a hunt found",
        Body::HoldAct(_) => "an act on a hold",
        Body::Clear(_) => "what the settlement gate said",
        Body::Hunted { .. } => "a hunt's end",
        Body::Key(_) => "a key that was taken up",
    }
}
