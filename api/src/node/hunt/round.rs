//! One hunt: through which sequence, for what, over which payments; and what it finds, handed to the core as events.

use super::judging::{Again, Judge};
use super::labels::is_by_label;
use super::learned::{Cause, Lists, Plan, Subjects};
use super::progress::Progress;
use super::{Hunter, Node};
use crate::node::core::{Answered, Job, Reply};
use crate::node::failpoint;
use anyhow::{Result, anyhow, bail};
use interdict_engine::ErrorKind;
use interdict_engine::domain::{Body, Event, Found, FoundNow, HoldState, Label, Learned, Opened, Outcome};
use interdict_engine::generation::View;
use interdict_engine::sequencer::Submission;
use interdict_engine::settlement::{UnhuntedEvent, opening};
use interdict_ledger::window::scan::{Kernel, Scratch};
use interdict_ledger::window::{Chunk, Hit, Row, Rows};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Findings handed over at once.
const AT_ONCE: usize = 64;
/// How often a hunt through all payments looks for lists that have changed meanwhile: what they name is hunted at once.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often it writes down how far it has come.
const NOTE_EVERY: Duration = Duration::from_secs(2);

/// A hunt that is due.
pub(super) struct Due {
    /// All payments up to this sequence are to be judged by the view.
    through: u64,
    view: Arc<View>,
    events: Vec<UnhuntedEvent>,
}

/// Hunts where something was learned; whether there was anything to do.
///
/// # Errors
/// When the journal or the window cannot be read, or the core takes nothing; the hunt is due again then.
pub(super) fn hunt(node: &Arc<Node>, hunter: &mut Hunter) -> Result<bool> {
    if hunter.due.is_none() {
        hunter.due = due(node, hunter);
    }
    let Some(Due { through, .. }) = &hunter.due else { return Ok(false) };
    // Payments without a verdict are no rows yet, and were judged by what was in force when they came.
    let through = *through;
    if node.with_core(|core| core.sequencer.book().decided_through()) < through {
        return Ok(false);
    }
    hunter.fill(node)?;
    if !hunter.filling.as_ref().is_some_and(|filling| filling.has(through)) {
        return Ok(false);
    }
    // What is known of a payment counts before what it is judged to be.
    hunter.heed(node)?;
    let Some(Due { through, view, events }) = hunter.due.take() else { return Ok(false) };
    let plan = Plan::of(node, &events, node.hunt().judged_by.lock().as_ref(), &view)?;
    let too_soon = hunter.swept.is_some_and(|at| at.elapsed() < node.hunt().lessons_every());
    // Lessons of banks come with each label: all payments are judged for many of them together.
    let waits = plan.all.is_some() && plan.lessons_only && too_soon;
    if waits && plan.subjects().is_none() {
        hunter.seen = Some(node.view());
        return Ok(false);
    }
    let mut round = Round::begin(node, hunter, view.clone(), through);
    round.subjects(&plan)?;
    if let Some(all) = plan.all.as_ref().filter(|_| !waits) {
        round.all(all)?;
    }
    round.flush()?;
    let stopped = round.stopped;
    node.hunt().figures.end();
    if stopped || waits {
        return Ok(false);
    }
    failpoint::reached("hunt.before_end");
    note(node, Body::Hunted { through })?;
    Progress::forget(&node.hunt().dir);
    *node.hunt().judged_by.lock() = Some(Lists::of(&view));
    if plan.all.is_some() {
        hunter.swept = Some(Instant::now());
    }
    Ok(true)
}

/// What is due, where anything is. The core is asked only where what is in force has changed since it was asked last.
fn due(node: &Node, hunter: &mut Hunter) -> Option<Due> {
    let shown = node.view();
    let lessons_wait = hunter.swept.is_some_and(|at| at.elapsed() >= node.hunt().lessons_every());
    if hunter.seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, &shown)) && !lessons_wait {
        return None;
    }
    let (through, view, events) = node.with_core(|core| {
        let sequencer = &core.sequencer;
        (sequencer.last_sequence(), sequencer.view().clone(), sequencer.book().unhunted().to_vec())
    });
    hunter.seen = Some(view.clone());
    (!events.is_empty()).then_some(Due { through, view, events })
}

/// Submits an event and waits for it.
fn note(node: &Node, body: Body) -> Result<()> {
    let event = Event { tenant: "".into(), arrival_ms: node.clock.wall_ms(), body };
    match node.call(submission(event)) {
        Answered::Noted(_) => Ok(()),
        other => bail!("the end of a hunt was not taken: {}", told(&other)),
    }
}

fn submission(event: Event) -> Submission {
    Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None }
}

fn told(answered: &Answered) -> String {
    match answered {
        Answered::Refused(error) => error.to_string(),
        Answered::Unavailable(why) => why.clone(),
        _ => "the node is overloaded".into(),
    }
}

/// A hunt under way.
struct Round<'n, 'h> {
    node: &'n Node,
    hunter: &'h mut Hunter,
    judge: Judge<'n>,
    kernel: Kernel,
    scratch: Scratch,
    /// Payments that were held when it began.
    held: BTreeSet<u64>,
    found: Vec<(Box<str>, Found)>,
    looked: Instant,
    /// Up to which sequence changed lists have been hunted on the way.
    quick_through: u64,
    stopped: bool,
}

impl<'n, 'h> Round<'n, 'h> {
    fn begin(node: &'n Node, hunter: &'h mut Hunter, view: Arc<View>, through: u64) -> Round<'n, 'h> {
        let held = node.with_core(|core| {
            let book = core.sequencer.book();
            let is_fraud = |payment| book.label(payment).is_some_and(|known| known.label == Label::Fraud);
            // Of what is known to be fraud nothing that is judged proposes a release.
            let open = book.open_after(None).filter(|(id, hold)| !is_by_label(hold) && !is_fraud(id.payment));
            open.map(|(id, _)| id.payment).collect::<BTreeSet<u64>>()
        });
        node.hunt().figures.begin(through, node.hunt().window.read().len() as u64);
        Round {
            node,
            hunter,
            judge: Judge::new(node, view),

            kernel: Kernel::best(),
            scratch: Scratch::default(),
            held,
            found: Vec::new(),
            looked: Instant::now(),
            quick_through: through,
            stopped: false,
        }
    }
    fn chunks(&self) -> Vec<Arc<Chunk>> {
        self.node.hunt().window.read().chunks().cloned().collect()
    }
    /// Whether to go on, after a rest where one is owed.
    fn goes_on(&mut self) -> bool {
        if !self.stopped && !self.hunter.share.go_on() {
            self.stopped = true;
        }
        !self.stopped
    }

    /// Judges the payments that changed lists name.
    fn subjects(&mut self, plan: &Plan) -> Result<()> {
        let Some(subjects) = plan.subjects() else { return Ok(()) };
        for chunk in self.chunks() {
            self.named(&chunk.rows(), &subjects)?;
        }
        let node = self.node;
        let window = node.hunt().window.read();
        self.named(&window.growing().rows(), &subjects)
    }
    fn named(&mut self, rows: &Rows<'_>, subjects: &Subjects) -> Result<()> {
        if rows.is_empty() || !self.goes_on() {
            return Ok(());
        }
        let mut hits: Vec<Hit> = Vec::new();
        subjects.query.scan(rows, self.kernel, &mut self.scratch, &mut hits);
        for hits in hits.chunk_by(|one, next| one.row == next.row) {
            if !self.goes_on() {
                break;
            }
            let row = rows.row(hits[0].row as usize);
            let Cause { learned, added, published } = subjects.cause(&row, hits);
            // What came after it was judged by it.
            if row.sequence() < learned.sequence {
                self.judge_row(&row, &learned, |ended, is_other| {
                    learned.sequence > ended && if published { is_other } else { added }
                })?;
            }
        }
        Ok(())
    }

    /// Judges all payments that came before an event.
    fn all(&mut self, learned: &Learned) -> Result<()> {
        let dir = self.node.hunt().dir.clone();
        let done = Progress::read(&dir, learned.sequence, self.node.written_sequence());
        let mut noted = Instant::now();
        for chunk in self.chunks() {
            if chunk.span().1 <= done {
                self.node.hunt().figures.done(chunk.len() as u64);
                continue;
            }
            self.sweep(&chunk.rows(), learned, done)?;
            if self.stopped {
                break;
            }
            if noted.elapsed() >= NOTE_EVERY {
                // What was found so far is in the journal before it says so.
                self.flush()?;
                let (done, journal) = (chunk.span().1, self.node.written_sequence());
                Progress { learned: learned.sequence, done, journal }.write(&dir)?;
                noted = Instant::now();
            }
        }
        let node = self.node;
        let window = node.hunt().window.read();
        match self.stopped {
            true => Ok(()),
            false => self.sweep(&window.growing().rows(), learned, done),
        }
    }
    fn sweep(&mut self, rows: &Rows<'_>, learned: &Learned, done: u64) -> Result<()> {
        for row in rows.iter() {
            self.node.hunt().figures.done(1);
            if row.sequence() >= learned.sequence {
                break;
            }
            if row.sequence() <= done {
                continue;
            }
            if !self.goes_on() {
                return Ok(());
            }
            self.judge_row(&row, learned, |ended, is_other| learned.sequence > ended && is_other)?;
            if self.looked.elapsed() >= LOOK_EVERY {
                self.quickly()?;
                self.judge.forget_keys();
            }
        }
        Ok(())
    }
    /// Hunts for lists that have changed since this hunt began: what is burned now does not wait for a hunt through all.
    /// The next one looks for them again, and says that it has.
    fn quickly(&mut self) -> Result<()> {
        self.looked = Instant::now();
        if Arc::ptr_eq(&self.node.view(), self.judge.view()) {
            return Ok(());
        }
        let after = self.quick_through;
        let (through, view, events) = self.node.with_core(|core| {
            let sequencer = &core.sequencer;
            let unhunted = sequencer.book().unhunted().iter().filter(|one| one.sequence > after);
            (sequencer.last_sequence(), sequencer.view().clone(), unhunted.copied().collect::<Vec<_>>())
        });
        self.quick_through = through;
        let plan = Plan::of(self.node, &events, None, &view)?;
        let Some(subjects) = plan.subjects() else { return Ok(()) };
        let judge = std::mem::replace(&mut self.judge, Judge::new(self.node, view));
        let looked = self.chunks().iter().try_for_each(|chunk| self.named(&chunk.rows(), &subjects));
        let node = self.node;
        // Whoever sweeps the chunk that grows has this lock already. No writer can wait between the two: there is none but
        // this thread.
        let looked = looked.and_then(|()| {
            let window = node.hunt().window.read();
            self.named(&window.growing().rows(), &subjects)
        });
        self.judge = judge;
        looked?;
        self.flush()
    }

    /// Judges a payment again, and notes what differs. `again_held`: of a hold that had ended by an event, whether the
    /// payment is held again, told also whether what stops it now is other than what had.
    fn judge_row(
        &mut self,
        row: &Row<'_, '_>,
        learned: &Learned,
        again_held: impl FnOnce(u64, bool) -> bool,
    ) -> Result<()> {
        let again = self.judge.again(row)?;
        let figures = &self.node.hunt().figures;
        figures.judged.fetch_add(1, Relaxed);
        figures.unreadable.fetch_add(u64::from(!again.is_whole), Relaxed);
        let sequence = row.sequence();
        if again.outcome < Outcome::Hold {
            if self.held.contains(&sequence) && again.is_whole {
                self.frees(row, &again, learned);
            }
            return self.flush_full();
        }
        let opened = self.opening(&again, learned);
        let latest = self.node.with_core(|core| {
            let book = core.sequencer.book();
            let latest = book.latest(sequence).map(|(_, hold)| {
                let ended = hold.ended.as_ref().map_or(0, |ended| ended.sequence);
                (hold.state, ended, hold.opened.causes.clone())
            });
            (latest, book.is_stopped(sequence) || book.is_reversed(sequence))
        });
        let stops = match latest {
            (_, true) => false,
            // Held by its own verdict, and no more in the book: it has been told of long ago.
            (None, _) => row.outcome().is_some_and(|before| before < Outcome::Hold),
            (Some((HoldState::Released | HoldState::ExpiredReleased, ended, causes)), _) => {
                again_held(ended, opened.causes.iter().any(|cause| !causes.contains(cause)))
            }
            (Some(_), _) => false,
        };
        if stops {
            let now = FoundNow::Stops { opened: Box::new(opened), too_late: false };
            self.found.push((row.tenant().into(), Found { target: sequence, now }));
        }
        self.flush_full()
    }
    fn opening(&self, again: &Again, learned: &Learned) -> Opened {
        let Again { work, verdict, outcome, .. } = again;
        opening(
            &work.accepted,
            self.judge.view(),
            verdict,
            *outcome,
            Some(learned.clone()),
            self.node.clock.wall_ms(),
        )
    }
    fn frees(&mut self, row: &Row<'_, '_>, again: &Again, learned: &Learned) {
        let (outcome, generation) = (again.outcome, again.verdict.generation);
        let now = FoundNow::Frees { outcome, generation, learned: learned.clone() };
        self.held.remove(&row.sequence());
        self.found.push((row.tenant().into(), Found { target: row.sequence(), now }));
    }

    fn flush_full(&mut self) -> Result<()> {
        if self.found.len() >= AT_ONCE { self.flush() } else { Ok(()) }
    }
    /// Hands over what was found, and waits until it is written.
    fn flush(&mut self) -> Result<()> {
        if self.found.is_empty() {
            return Ok(());
        }
        failpoint::reached("hunt.before_found");
        hand_over(self.node, std::mem::take(&mut self.found))
    }
}

/// Hands over what was found of payments, each with its tenant, and waits until it is written.
pub(in crate::node) fn hand_over(node: &Node, found: Vec<(Box<str>, Found)>) -> Result<()> {
    let (send, receive) = mpsc::channel();
    let arrival_ms = node.clock.wall_ms();
    let jobs = found.into_iter().map(|(tenant, found)| {
        let event = Event { tenant: (*tenant).into(), arrival_ms, body: Body::Hunt(Box::new(found)) };
        let send = send.clone();
        let reply: Reply = Box::new(move |answered| drop(send.send(answered)));
        Job { submission: submission(event), deadline: None, reply }
    });
    let jobs: Vec<Job> = jobs.collect();
    if jobs.is_empty() {
        return Ok(());
    }
    node.submit(jobs);
    drop(send);
    for answered in receive {
        match answered {
            Answered::Noted(accepted) => {
                if let Body::Hunt(found) = &accepted.event.body {
                    node.hunt().figures.found(&found.now);
                }
            }
            // Somebody was faster, or another hunt has said it.
            Answered::Refused(error) if error.kind == ErrorKind::Conflict => {}
            other => return Err(anyhow!("what a hunt found was not taken: {}", told(&other))),
        }
    }
    Ok(())
}
