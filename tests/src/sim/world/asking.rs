//! Clients in the world: they ask, again and again, and compare what they are told with what they were told before.

use super::{TRIES_MAX, Task, Told, WELL_TIMEOUT_NS, World};
use crate::sim::Broken;
use crate::sim::books::{Ack, Failure, decode};
use crate::sim::clients::{Op, What};
use crate::sim::node::Node;
use crate::sim::packs;
use crate::sim::wishes::Wish;
use interdict::node::clock::Clock;
use interdict::node::core::{Answered, Job, Reply};
use interdict_engine::domain::{Accepted, Body, Decided, Event};
use interdict_engine::sequencer::Submission;
use interdict_ledger::ErrorKind;
use std::time::Duration;

impl World {
    pub(super) fn send(&mut self, number: usize) -> Result<(), Failure> {
        if self.done.contains(&number) {
            return Ok(());
        }
        let again_ns = self.ops[number].timeout_ns.max(if self.is_well { WELL_TIMEOUT_NS } else { 0 });
        self.agenda.at(self.clock.passed_ns() + again_ns, Task::Send(number));
        if self.is_well {
            self.tries[number] += 1;
            if self.tries[number] > TRIES_MAX {
                return Err(format!("op {number} gets no answer on a good disk: {:?}", self.ops[number]));
            }
        }
        if let What::Hold(wish) = self.ops[number].what.clone() {
            return self.wish(number, &wish);
        }
        self.ask(number);
        Ok(())
    }
    /// Asks for something about holds; what it comes to is seen the first time.
    fn wish(&mut self, number: usize, wish: &Wish) -> Result<(), Failure> {
        if self.node.is_none() {
            return Ok(());
        }
        if !self.bound.contains_key(&number) {
            let known = |pick: usize| self.books.payment(pick).ok().flatten();
            let Some(node) = &self.node else { return Ok(()) };
            let core = node.core.lock();
            let event = wish.event(&known, core.sequencer.book(), self.wall_ms());
            drop(core);
            let event = event.map(|(tenant, body)| match self.plan.broken {
                Some(Broken::OpenGate) => (tenant, nothing_counts(body)),
                _ => (tenant, body),
            });
            match event {
                Some(event) => drop(self.bound.insert(number, event)),
                None if self.is_well => drop(self.done.insert(number)),
                None => {}
            }
        }
        let Some((tenant, body)) = self.bound.get(&number).cloned() else { return Ok(()) };
        let reply = self.reply(number);
        trace!(self, "op {number} attempt {}: {body:?}", self.attempts);
        let event = Event { tenant, arrival_ms: self.wall_ms(), body };
        let submission =
            Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None };
        if let Some(node) = &mut self.node {
            node.bring(Job { submission, deadline: None, reply }, false);
        }
        Ok(())
    }
    pub(super) fn ask(&mut self, number: usize) {
        let (op, arrival_ms) = (self.ops[number].clone(), self.wall_ms());
        let reply = self.reply(number);
        let Some(node) = &mut self.node else {
            self.open.remove(&self.attempts);
            return;
        };
        trace!(self, "op {number} attempt {}: {:?}", self.attempts, op.what);
        if let What::Publish(generation) = op.what {
            return node.publish(packs::generations()[generation].clone(), arrival_ms, reply);
        }
        let deadline = op.deadline_ns.filter(|_| !self.is_well);
        let deadline = deadline.map(|ns| self.clock.now() + Duration::from_nanos(ns));
        node.bring(Job { submission: op.submission(arrival_ms), deadline, reply }, op.is_payment());
    }
    /// What the next attempt is told by; whoever has stopped tells nobody.
    pub(super) fn reply(&mut self, op: usize) -> Reply {
        self.attempts += 1;
        self.open.insert(self.attempts);
        let (attempt, inbox, storage) = (self.attempts, self.inbox.clone(), self.storage.clone());
        Box::new(move |answered| {
            if !storage.is_stopped() {
                inbox.lock().push(Told { op, attempt, answered });
            }
        })
    }
    /// Somebody has the core for a look at its figures, while the next clients come.
    pub(super) fn look(&mut self) {
        let Some(node) = self.node.as_ref().filter(|_| self.plan.lanes == 0) else { return };
        let core = node.core.clone();
        let held = core.lock();
        let waiting = self.ops.iter().filter(|op| op.is_payment() && !self.done.contains(&op.number));
        let callers: Vec<usize> = waiting.map(|op| op.number).take(3).collect();
        callers.into_iter().for_each(|op| self.ask(op));
        drop(held);
        self.node.as_ref().into_iter().for_each(Node::work);
    }

    pub(super) fn told(&mut self, told: Told) -> Result<(), Failure> {
        let Told { op: number, attempt, answered } = told;
        if !self.open.remove(&attempt) {
            return Err(format!("op {number} was answered twice"));
        }
        let op = self.ops[number].clone();
        trace!(self, "op {number} attempt {attempt} is told {}", short(&answered));
        self.fold(number as u64, attempt);
        match answered {
            Answered::Decided(settled) => {
                let verdict = &settled.verdict;
                self.summary.skipped += usize::from(!verdict.skipped.is_empty());
                self.ack(&op, verdict.sequence, Ack::of(&settled.work.accepted, Some(verdict)))
            }
            Answered::Noted(accepted) => self.ack(&op, accepted.sequence, Ack::of(&accepted, None)),
            Answered::Same(sequence) => {
                let Some((accepted, ack)) = self.given(sequence)? else { return self.unread(number) };
                let is_it = accepted.identity == op.identity() && accepted.payment_digest == op.digest();
                if !is_it || accepted.event.tenant != op.tenant {
                    return Err(format!("op {number} is not the payment of sequence {sequence}"));
                }
                self.summary.same += 1;
                self.ack(&op, sequence, ack)
            }
            Answered::Different(sequence) => {
                let Some(accepted) = self.accepted(sequence)? else { return self.unread(number) };
                if accepted.identity != op.identity() || accepted.payment_digest == op.digest() {
                    return Err(format!("op {number} does not differ from sequence {sequence}"));
                }
                self.summary.different += 1;
                self.done.insert(number);
                Ok(())
            }
            Answered::Refused(_) => {
                self.done.insert(number);
                Ok(())
            }
            Answered::Overloaded(_) | Answered::Unavailable(_) => {
                self.summary.refused += 1;
                Ok(())
            }
            Answered::Early(inside) => self.early(&op, &inside),
        }
    }
    pub(super) fn ack(&mut self, op: &Op, sequence: u64, ack: Ack) -> Result<(), Failure> {
        self.fold(sequence, ack.verdict.as_ref().map_or(0, Vec::len) as u64);
        self.summary.acknowledged += 1;
        self.done.insert(op.number);
        self.books.ack(op, sequence, ack)
    }
    pub(super) fn early(&mut self, op: &Op, inside: &Answered) -> Result<(), Failure> {
        self.summary.early += 1;
        match inside {
            Answered::Decided(settled) => {
                self.books.early(op, settled.verdict.sequence, settled.verdict.encode());
            }
            Answered::Same(sequence) => {
                if let Some((_, Ack { verdict: Some(verdict), .. })) = self.given(*sequence)? {
                    self.books.early(op, *sequence, verdict);
                }
            }
            other => return Err(format!("op {} was told early: {}", op.number, short(other))),
        }
        Ok(())
    }
    /// What the journal has of a sequence, as whoever answers a retry reads it; `None` where the disk does not let it.
    pub(super) fn given(&self, sequence: u64) -> Result<Option<(Accepted, Ack)>, Failure> {
        let Some(node) = self.reads() else { return Ok(None) };
        let both = (node.reader.read_accepted(sequence), node.reader.read_decided(sequence));
        let (accepted, decided) = match both {
            (Ok(Some(accepted)), Ok(Some(decided))) => (accepted, decided),
            (Err(e), _) | (_, Err(e)) if self.may_fail(&e) => return Ok(None),
            other => return Err(format!("sequence {sequence} was told and reads as {other:?}")),
        };
        let read = decode(&accepted)?;
        let verdict = Decided::decode(&decided.open).map_err(|e| e.to_string())?.verdict;
        let parts = (accepted.open, accepted.sealed.unwrap_or_default());
        Ok(Some((read, Ack { accepted: parts, verdict: Some(verdict.encode()) })))
    }
    pub(super) fn reads(&self) -> Option<&Node> {
        self.node.as_ref().filter(|_| !self.storage.is_stopped())
    }
    /// What was accepted under a sequence; it may still be with a lane.
    pub(super) fn accepted(&self, sequence: u64) -> Result<Option<Accepted>, Failure> {
        let Some(node) = self.reads() else { return Ok(None) };
        match node.reader.read_accepted(sequence) {
            Ok(Some(accepted)) => decode(&accepted).map(Some),
            Err(e) if self.may_fail(&e) => Ok(None),
            other => Err(format!("sequence {sequence} was told and reads as {other:?}")),
        }
    }
    /// A verdict that was given and cannot be read; where that is for damage, it never can.
    pub(super) fn unread(&mut self, op: usize) -> Result<(), Failure> {
        if self.is_damaged() && self.is_well {
            self.done.insert(op);
        }
        Ok(())
    }
    pub(super) fn may_fail(&self, error: &interdict_ledger::Error) -> bool {
        let is_of_damage = matches!(error.kind, ErrorKind::Corrupt | ErrorKind::Version);
        self.is_damaged() || (!is_of_damage && !self.is_well)
    }
}

/// What whoever asks at the gate says that is broken.
fn nothing_counts(mut body: Body) -> Body {
    if let Body::Clear(clear) = &mut body {
        clear.payments.iter_mut().for_each(|one| (one.cut_off_ms, one.lacks) = (0, false));
    }
    body
}

/// An answer in a few words.
fn short(answered: &Answered) -> String {
    match answered {
        Answered::Decided(settled) => {
            let verdict = &settled.verdict;
            format!("{} {:?}, skipped {:?}", verdict.sequence, verdict.outcome, verdict.skipped)
        }
        Answered::Noted(accepted) => format!("{} noted", accepted.sequence),
        Answered::Early(inside) => format!("early: {}", short(inside)),
        other => format!("{other:?}"),
    }
}
