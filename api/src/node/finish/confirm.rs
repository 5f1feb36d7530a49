//! Candidates of a consortium's lists of truncated tags, until somebody says whether the exact tag is listed. The payment was
//! answered by what its list declares; it is finished, once, when all of its candidates are settled, when whoever asks
//! gives up, or at its cut-off. What waits is in memory, bounded; after a restart it is found again in the journal.

use super::Finish;
use super::window::Handed;
use crate::node::Node;
use crate::node::consortium::vault::Identifier;
use crate::node::hunt;
use anyhow::Result;
use interdict_engine::domain::{
    Accepted, Body, Confirmation, Field, Found, FoundNow, Learned, LearnedWhat, Outcome, SubjectKind, Tag,
    Verdict,
};
use interdict_engine::generation::View;
use interdict_engine::lists::Hits;
use interdict_engine::stage::SkipReason;
use interdict_engine::unfinished::Unfinished;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::Thread;

/// Payments that wait at most: beyond, one is finished as late at once. Small, since the finisher passes over them.
pub const CONFIRMING_MAX: usize = 16_384;

/// A candidate: the first bits of a payment's tag are those of a listed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The payment, by its place in the one order.
    pub sequence: u64,
    /// The institution it belongs to.
    pub tenant: Arc<str>,
    /// The field that the identifier is in.
    pub field: Field,
    /// What it identifies.
    pub kind: SubjectKind,
    /// Version of the consortium's key.
    pub version: u32,
    /// The whole tag under that key: names the identifier to whoever has tagged his own portfolio.
    pub tag: Tag,
    /// When the payment arrived, ms since the Unix epoch.
    pub arrival_ms: i64,
    /// When it settles, ms since the Unix epoch: what is said later is of no use.
    pub cut_off_ms: i64,
    /// The identifier in its canonical form, as long as this process has it: what is to be blinded. Not after a restart.
    pub identifier: Option<Identifier>,
}

/// What is said of a payment's candidates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Of each field whether its exact tag is listed.
    Said(Vec<Confirmation>),
    /// Nobody will say it in time: what the list declares stays, and the payment is finished as `confirm_late`.
    Late,
}

impl Answer {
    pub(super) fn confirmations(&self) -> &[Confirmation] {
        match self {
            Answer::Said(all) => all,
            Answer::Late => &[],
        }
    }
}

/// What waits, and what was said.
#[derive(Debug, Default)]
pub struct Confirming {
    waiting: BTreeMap<u64, Vec<Candidate>>,
    said: BTreeMap<u64, Answer>,
}

impl Confirming {
    /// How many payments wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
    /// Whether a payment waits.
    pub fn is_waiting(&self, sequence: u64) -> bool {
        self.waiting.contains_key(&sequence)
    }
    /// Has a payment wait; past the bound it does not, and is finished as late.
    pub(super) fn wait_for(&mut self, sequence: u64, candidates: Vec<Candidate>) -> bool {
        let waits = !candidates.is_empty() && self.waiting.len() < CONFIRMING_MAX;
        if waits {
            self.waiting.insert(sequence, candidates);
        }
        waits
    }
    /// What is said of a payment that waits; whether it does.
    pub(super) fn answer(&mut self, sequence: u64, answer: Answer) -> bool {
        let waited = self.waiting.remove(&sequence).is_some();
        if waited {
            self.said.insert(sequence, answer);
        }
        waited
    }
    pub(super) fn remove(&mut self, sequence: u64) {
        self.waiting.remove(&sequence);
        self.said.remove(&sequence);
    }
}

/// What was said of candidates, by payments.
#[derive(Debug, Default)]
pub struct Counts {
    answers: [AtomicU64; 3],
}

impl Counts {
    fn count(&self, answer: &Answer) {
        let at = match answer {
            Answer::Said(all) => usize::from(!all.iter().any(|one| one.listed)),
            Answer::Late => 2,
        };
        self.answers[at].fetch_add(1, Relaxed);
    }
    pub(super) fn late(&self, payments: usize) {
        self.answers[2].fetch_add(payments as u64, Relaxed);
    }
    /// By answer: `listed` where any field is, `not_listed`, `late`.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.answers.each_ref().map(|count| count.load(Relaxed));
        ["listed", "not_listed", "late"].into_iter().zip(counts)
    }
}

/// Whether a verdict waits for its candidates to be confirmed.
pub(super) fn is_late(verdict: &Verdict) -> bool {
    verdict.skipped.iter().any(|(_, reason)| *reason == SkipReason::ConfirmLate)
}

/// A payment's candidates by what it was judged by; none where its lists have whole tags.
pub(super) fn candidates(accepted: &Accepted, view: &View, cut_off_ms: i64) -> Vec<Candidate> {
    let Body::Payment(tx) = &accepted.event.body else { return Vec::new() };
    let (lists, mut hits) = (view.lists(), Hits::new());
    if !view.generation().lists().has_cut() {
        return Vec::new();
    }
    lists.probe(tx, &mut hits);
    let candidate = |hit: &interdict_engine::lists::Hit| {
        let meta = lists.list_meta(hit.list)?;
        let (of, kind) = (meta.consortium?, SubjectKind::of_field(hit.field)?);
        Some(Candidate {
            sequence: accepted.sequence,
            tenant: tx.tenant.clone(),
            field: hit.field,
            kind,
            version: of.version,
            tag: tx.tag(hit.field, meta.key())?,
            arrival_ms: accepted.event.arrival_ms,
            cut_off_ms,
            identifier: None,
        })
    };
    hits.iter().filter(|hit| hit.is_candidate()).filter_map(candidate).collect()
}

impl Finish {
    fn wake(&self) {
        self.thread.get().into_iter().for_each(Thread::unpark);
    }
}

impl Node {
    /// Candidates that wait to be confirmed, by the place of their payments in the one order, behind `after`: at most so
    /// many payments, each with all of its candidates. They stay until [`Node::confirm`] or their cut-off.
    pub fn candidates(&self, after: u64, payments_max: usize) -> Vec<Candidate> {
        let mut queue = self.finish.queue();
        let behind = queue.confirming().waiting.range(after.saturating_add(1)..).take(payments_max);
        let mut all: Vec<Candidate> = behind.flat_map(|(_, all)| all.iter().cloned()).collect();
        drop(queue);
        for one in &mut all {
            one.identifier = self.keys.vault.get(one.kind, one.tag);
        }
        all
    }
    /// Says of a payment's candidates whether they are listed. The payment is finished by it on the finisher's thread: what
    /// it would have come to had that been known is recorded beside the verdict of law, with what was said, so that
    /// `verify` makes it again; a hold begins where it would have been stopped and was not, and where it was stopped and
    /// would not be, its release is proposed. A field of which nothing is said stays a candidate: `confirm_late`.
    ///
    /// Whether the payment waited for it: `false` for one that is settled, finished or unknown; nothing is done then.
    pub fn confirm(&self, sequence: u64, answer: Answer) -> bool {
        let waited = self.finish.queue().confirming().answer(sequence, answer.clone());
        if waited {
            self.finish.confirmed.count(&answer);
            self.finish.wake();
        }
        waited
    }
    /// How many payments wait to be confirmed.
    pub fn confirming(&self) -> usize {
        self.finish.queue().confirming().waiting()
    }

    /// What was said of a payment; `None` where it waits from now on, as after a restart.
    pub(super) fn answer_for(&self, accepted: &Accepted, view: &View) -> Option<Answer> {
        let mut queue = self.finish.queue();
        if let Some(answer) = queue.confirming().said.get(&accepted.sequence) {
            return Some(answer.clone());
        }
        let cut_off_ms = Unfinished::cut_off_ms(accepted, view.generation().settings());
        let waits = cut_off_ms > self.clock.wall_ms()
            && queue.confirming().wait_for(accepted.sequence, candidates(accepted, view, cut_off_ms));
        if !waits {
            self.finish.confirmed.late(1);
        }
        (!waits).then_some(Answer::Late)
    }

    /// Payments that were held for a candidate that is not listed: their release is proposed. Without a window nobody can,
    /// and the hold ends as holds end.
    pub(super) fn free_unlisted(&self, handed: &[Handed]) -> Result<()> {
        if self.window.is_none() {
            return Ok(());
        }
        let mut found = Vec::new();
        for Handed { answered, finished } in handed {
            let (verdict, outcome) = (&finished.verdict, finished.outcome());
            let confirmed = &finished.recorded.confirmed;
            if *answered < Outcome::Hold || outcome >= Outcome::Hold || confirmed.is_empty() {
                continue;
            }
            let generation = verdict.generation;
            let what = LearnedWhat::Generation(generation);
            let learned = Learned { sequence: verdict.sequence, at_ms: finished.at_ms, what };
            let now = FoundNow::Frees { outcome, generation, learned };
            let Some(tenant) = self.tenant_of(verdict.sequence)? else { continue };
            found.push(((*tenant).into(), Found { target: verdict.sequence, now }));
        }
        hunt::hand_over(self, found)
    }
}
