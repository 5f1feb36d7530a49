//! Events of holds and of the gate through the sequencer: they do what they should, what is refused leaves no trace, and
//! what a record says of what was weighed stands when it is read again.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::domain::{
    Act, Clear, Cleared, Effect, Entry, Field, Found, FoundNow, HoldAct, HoldId, HoldState, Label, Learned,
    LearnedWhat, Lever, ListDelta, Outcome, Subject, SubjectKind, Tag, TransactionKind,
};
use crate::generation::Manifest;
use crate::settlement::PastBook;

const NOW_MS: i64 = 1_700_000_000_000;
const HOUR_MS: i64 = 3_600_000;

fn sequencer() -> Sequencer {
    let none = |_: &[u8; 32]| unreachable!("an empty manifest has no parts");
    let generation = Arc::new(Generation::build(Manifest::new(Vec::new()), &none).unwrap());
    let limits = SequencerLimits { features: StateLimits::default(), identity: IdentityLimits::default() };
    Sequencer::new(limits, generation)
}

fn image(sequencer: &Sequencer) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes);
    sequencer.save(&mut writer);
    writer.end();
    bytes
}

fn submission(body: Body, arrival_ms: i64) -> Submission {
    let event = Event { tenant: "acme".into(), arrival_ms, body };
    Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None }
}

/// What the journal has: accepted records, and verdicts' holds.
#[derive(Clone)]
enum Record {
    Accepted(Vec<u8>, Vec<u8>),
    Decided(u64, Option<Opened>),
}

struct Path {
    sequencer: Sequencer,
    journal: Vec<Record>,
}

impl Path {
    fn new() -> Path {
        Path { sequencer: sequencer(), journal: Vec::new() }
    }
    fn submit(&mut self, submission: Submission) -> Result<Accepted, Error> {
        let mut out = Vec::new();
        self.sequencer.step([submission], &mut out);
        let accepted = match out.remove(0) {
            Taken::Work(work) => *work.accepted,
            Taken::Noted(accepted) => *accepted,
            Taken::Refused(error) => return Err(error),
            other => panic!("{other:?}"),
        };
        self.journal.push(Record::Accepted(accepted.encode_open(), accepted.encode_sealed()));
        Ok(accepted)
    }
    fn note(&mut self, body: Body) -> Result<Accepted, Error> {
        self.submit(submission(body, NOW_MS))
    }
    fn payment(
        &mut self,
        identity: u128,
        kind: TransactionKind,
        refers: Option<u128>,
        minor: Option<i64>,
    ) -> u64 {
        let mut tx = Transaction::new("acme".into(), kind, NOW_MS);
        if let Some(minor) = minor {
            tx.set_int(Field::AmountMinor, minor);
            tx.set_text(Field::AmountCurrency, "EUR");
        }
        let mut submission = submission(Body::Payment(Box::new(tx)), NOW_MS);
        (submission.identity, submission.refers_to) = (Some(identity), refers.map(Refers::from));
        self.submit(submission).unwrap().sequence
    }
    fn decided(&mut self, sequence: u64, hold: Option<Opened>) {
        self.sequencer.decided(sequence, hold.as_ref());
        self.journal.push(Record::Decided(sequence, hold));
    }
    fn request(&mut self, identity: u128, hold: Option<Opened>) -> u64 {
        let sequence = self.payment(identity, TransactionKind::Request, None, Some(100));
        self.decided(sequence, hold);
        sequence
    }
    fn state(&self, payment: u64) -> Option<HoldState> {
        self.sequencer.book().latest(payment).map(|(_, hold)| hold.state)
    }
    fn restored(&self) -> Sequencer {
        restored(&self.journal)
    }
}

fn restored(journal: &[Record]) -> Sequencer {
    let mut again = sequencer();
    for record in journal {
        match record {
            Record::Accepted(open, sealed) => {
                let accepted = Accepted::decode(open, Some(sealed)).unwrap();
                again.restore(accepted, &|_| None).unwrap();
            }
            Record::Decided(sequence, hold) => again.decided(*sequence, hold.as_ref()),
        }
    }
    again
}

fn hold(sanctions: bool) -> Opened {
    Opened {
        tenant: "acme".into(),
        at_ms: NOW_MS,
        until_ms: (!sanctions).then_some(NOW_MS + HOUR_MS),
        expiry_releases: false,
        cut_off_ms: NOW_MS + HOUR_MS,
        lever: Lever::StopBeforeCutoff,
        recall: false,
        amount_minor: 100,
        currency: "EUR".into(),
        sanctions,
        outcome: Outcome::Hold,
        score: 700,
        reasons: Vec::new(),
        causes: Vec::new(),
        generation: GenerationId { hash: [1; 32], overlay: 0 },
        learned: None,
    }
}

fn act(payment: u64, act: Act) -> Body {
    let (hold, comment) = (HoldId { payment, number: 1 }, "seen".to_owned());
    Body::HoldAct(Box::new(HoldAct { hold, act, by: "ann".into(), comment }))
}

fn stops(target: u64, learned: u64) -> Body {
    let learned = Learned { sequence: learned, at_ms: NOW_MS, what: LearnedWhat::List("stolen".into()) };
    let opened = Box::new(Opened { learned: Some(learned), ..hold(false) });
    Body::Hunt(Box::new(Found { target, now: FoundNow::Stops { opened, too_late: false } }))
}

fn clear(payments: &[u64]) -> Body {
    let payments = payments.iter().map(|sequence| Cleared {
        sequence: *sequence,
        cut_off_ms: NOW_MS + HOUR_MS,
        lacks: false,
        state: ClearState::Go,
        flagged: false,
    });
    let payments = payments.collect();
    Body::Clear(Box::new(Clear { horizon_ms: 0, unhunted_goes: true, hunted_through: 0, payments }))
}

fn told(accepted: &Accepted) -> Vec<ClearState> {
    let Body::Clear(clear) = &accepted.event.body else { panic!("{accepted:?}") };
    clear.payments.iter().map(|one| one.state).collect()
}

fn delta() -> Body {
    let entry = Entry {
        id: 0,
        subject: Subject::Tag { kind: SubjectKind::Card, tag: Tag(1) },
        effect: Effect::Block,
        overridable: true,
        overrides: None,
        reason: "reported".into(),
        severity: 50,
        contributor: "ops".into(),
        valid_from_ms: None,
        valid_to_ms: None,
    };
    Body::ListDelta(Box::new(ListDelta {
        list: "stolen".into(),
        shared: false,
        add: vec![entry],
        remove: Vec::new(),
    }))
}

#[test]
fn a_signal_holds_what_has_not_settled_and_the_gate_says_so() {
    let mut path = Path::new();
    let (first, second) = (path.request(1, None), path.request(2, None));
    assert_eq!(told(&path.note(clear(&[first])).unwrap()), [ClearState::Go]);
    let signal = path.note(delta()).unwrap().sequence;
    let unhunted: Vec<u64> = path.sequencer.book().unhunted().iter().map(|one| one.sequence).collect();
    assert_eq!(unhunted, [signal]);
    // Not hunted yet, and what is not hunted is held here; what has gone has gone.
    assert_eq!(told(&path.note(clear(&[second, first])).unwrap()), [ClearState::Held, ClearState::Go]);
    path.note(stops(second, signal)).unwrap();
    path.note(stops(first, signal)).unwrap();
    assert_eq!((path.state(first), path.state(second)), (Some(HoldState::TooLate), Some(HoldState::Held)));
    path.note(Body::Hunted { through: signal }).unwrap();
    assert!(path.sequencer.book().unhunted().is_empty());
    let third = path.request(3, None);
    let all = [first, second, third];
    use ClearState::{Go, Held};
    assert_eq!(told(&path.note(clear(&all)).unwrap()), [Go, Held, Go]);
    path.note(act(second, Act::Release)).unwrap();
    assert_eq!(path.state(second), Some(HoldState::Released));
    assert_eq!(told(&path.note(clear(&all)).unwrap()), [Go, Go, Go]);
    assert_eq!(image(&path.restored()), image(&path.sequencer));
}

#[test]
fn a_reversal_ends_a_hold_before_and_after_the_verdict_in_whatever_order_it_comes() {
    let reversal = |path: &mut Path, identity, of, minor| {
        let sequence = path.payment(identity, TransactionKind::Reversal, Some(of), minor);
        path.decided(sequence, None);
        sequence
    };
    let mut path = Path::new();
    // After the verdict, in two parts.
    let held = path.request(1, Some(hold(false)));
    reversal(&mut path, 11, 1, Some(60));
    assert_eq!(path.state(held), Some(HoldState::Held));
    let second = reversal(&mut path, 12, 1, Some(40));
    assert_eq!(path.state(held), Some(HoldState::Reversed));
    let ended = path.sequencer.book().latest(held).unwrap().1.ended.clone().unwrap();
    assert_eq!((ended.sequence, &*ended.by), (second, "reversal"));
    // Before the verdict: all of it, then a part.
    let late = path.payment(2, TransactionKind::Request, None, Some(100));
    let all = reversal(&mut path, 21, 2, None);
    reversal(&mut path, 22, 2, Some(5));
    path.decided(late, Some(hold(false)));
    let ended = path.sequencer.book().latest(late).unwrap().1.ended.clone().unwrap();
    assert_eq!((path.state(late), ended.sequence), (Some(HoldState::Reversed), all));
    // Before the payment itself.
    let early = reversal(&mut path, 31, 3, Some(100));
    let after = path.request(3, Some(hold(true)));
    let ended = path.sequencer.book().latest(after).unwrap().1.ended.clone().unwrap();
    assert_eq!((path.state(after), ended.sequence), (Some(HoldState::Reversed), early));
    // What was taken back is not held, and has no go.
    assert_eq!(told(&path.note(clear(&[held, late, after])).unwrap()), [ClearState::Held; 3]);
    assert_eq!(image(&path.restored()), image(&path.sequencer));
}

#[test]
fn what_is_refused_leaves_state_sequence_and_image_as_they_were() {
    let mut path = Path::new();
    let held = path.request(1, Some(hold(false)));
    let listed = path.request(2, Some(hold(true)));
    let goes = path.request(3, None);
    path.note(stops(goes, 99)).unwrap();
    path.note(act(goes, Act::Release)).unwrap();
    let undecided = path.payment(4, TransactionKind::Request, None, Some(100));
    let next = path.sequencer.last_sequence() + 1;
    let frees = |target| {
        let learned = Learned { sequence: 1, at_ms: 0, what: LearnedWhat::Label };
        let generation = GenerationId { hash: [1; 32], overlay: 0 };
        let now = FoundNow::Frees { outcome: Outcome::Approve, generation, learned };
        Body::Hunt(Box::new(Found { target, now }))
    };
    let mut silent = act(held, Act::Comment);
    if let Body::HoldAct(act) = &mut silent {
        act.comment.clear();
    }
    let before = image(&path.sequencer);
    for (body, kind) in [
        (act(999, Act::Release), ErrorKind::NotFound),
        (act(undecided, Act::Release), ErrorKind::NotFound),
        (act(goes, Act::Confirm), ErrorKind::Conflict),
        (act(held, Act::Expire), ErrorKind::Conflict),
        (act(held, Act::Block), ErrorKind::Conflict),
        (act(listed, Act::Release), ErrorKind::Conflict),
        (act(listed, Act::Expire), ErrorKind::Conflict),
        (silent, ErrorKind::Invalid),
        (stops(held, 1), ErrorKind::Conflict),
        // Released by somebody who knew of it: a hunt that was broken off finds it again.
        (stops(goes, 99), ErrorKind::Conflict),
        (stops(undecided, 1), ErrorKind::Conflict),
        (stops(next, 1), ErrorKind::NotFound),
        (stops(0, 1), ErrorKind::NotFound),
        (frees(goes), ErrorKind::Conflict),
        (clear(&[held, next]), ErrorKind::NotFound),
        (clear(&vec![held; CLEAR_EVENT_MAX + 1]), ErrorKind::TooLarge),
        (Body::Hunted { through: next }, ErrorKind::NotFound),
        (Body::Hunted { through: undecided }, ErrorKind::Conflict),
    ] {
        let refused = path.note(body.clone()).map(drop).unwrap_err();
        assert_eq!(refused.kind, kind, "{body:?}: {refused}");
        assert_eq!(path.sequencer.last_sequence(), next - 1, "{body:?}");
        assert_eq!(image(&path.sequencer), before, "{body:?}");
    }
    let mut other = submission(act(held, Act::Release), NOW_MS);
    other.event.tenant = "zeta".into();
    assert_eq!(path.submit(other).map(drop).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(image(&path.sequencer), before);
}

#[test]
fn what_was_weighed_is_in_the_record_and_is_not_weighed_again() {
    let mut path = Path::new();
    let (first, second) = (path.request(1, None), path.request(2, None));
    // Past its cut-off: whoever found it had not said so.
    let late = path.submit(submission(stops(first, 1), NOW_MS + HOUR_MS)).unwrap();
    let Body::Hunt(found) = &late.event.body else { panic!("{late:?}") };
    assert!(matches!(found.now, FoundNow::Stops { too_late: true, .. }));
    let said = path.note(clear(&[first, second])).unwrap();
    assert_eq!(told(&said), [ClearState::TooLate, ClearState::Go]);
    let Body::Clear(clear) = &said.event.body else { panic!("{said:?}") };
    // The generation's terms, not what whoever asked had put there.
    assert_eq!((clear.horizon_ms, clear.unhunted_goes), (settlement::HUNT_HORIZON_MS, false));
    assert_eq!(image(&path.restored()), image(&path.sequencer));
    // A record that says otherwise stands as it is: a restore asks nobody.
    let mut journal = path.journal.clone();
    let mut other = said.clone();
    let Body::Clear(clear) = &mut other.event.body else { panic!("{other:?}") };
    (clear.payments[1].state, clear.payments[0].state) = (ClearState::Held, ClearState::Go);
    *journal.last_mut().unwrap() = Record::Accepted(other.encode_open(), other.encode_sealed());
    let again = restored(&journal);
    assert!(again.book().is_gone(first) && !again.book().is_gone(second));
}

#[test]
fn what_is_learned_counts_and_what_is_not_does_not() {
    let mut path = Path::new();
    let payment = path.request(1, None);
    let learned = |path: &Path| path.sequencer.book().unhunted().len();
    path.note(Body::Label { target: payment, label: crate::domain::Label::Fraud, time_ms: NOW_MS }).unwrap();
    assert_eq!(learned(&path), 0, "no bank learns from it here");
    path.note(delta()).unwrap();
    assert_eq!(learned(&path), 1);
    // The generation that is in force already judges as before.
    let generation = path.sequencer.view().generation().clone();
    let id = GenerationId { hash: generation.hash(), overlay: 0 };
    let event = Event { tenant: "acme".into(), arrival_ms: NOW_MS, body: Body::Publish { generation: id } };
    assert!(matches!(path.sequencer.publish(generation, event), Taken::Noted(_)));
    assert_eq!(learned(&path), 1);
}

#[test]
fn what_was_done_with_holds_counts_when_its_words_are_destroyed_and_for_readers_of_the_journal() {
    let mut path = Path::new();
    let (held, listed) = (path.request(1, Some(hold(false))), path.request(2, Some(hold(true))));
    let (taken, goes) = (path.request(3, Some(hold(false))), path.request(4, None));
    path.note(act(held, Act::Comment)).unwrap();
    path.note(act(held, Act::Release)).unwrap();
    path.note(act(listed, Act::FalseMatch)).unwrap();
    let mut second = act(listed, Act::FalseMatch);
    if let Body::HoldAct(act) = &mut second {
        act.by = "ben".into();
    }
    path.note(second).unwrap();
    path.payment(5, TransactionKind::Reversal, Some(3), None);
    // A reversal that comes before its payment.
    path.payment(6, TransactionKind::Reversal, Some(7), None);
    let early = path.request(7, Some(hold(false)));
    path.note(stops(goes, 99)).unwrap();
    path.note(Body::Label { target: goes, label: Label::Fraud, time_ms: 0 }).unwrap();
    let states = [held, listed, taken, early, goes].map(|payment| path.state(payment).unwrap());
    let (released, reversed) = (HoldState::Released, HoldState::Reversed);
    assert_eq!(states, [released, released, reversed, reversed, HoldState::Held]);
    let (mut again, mut past) = (sequencer(), PastBook::new());
    for record in &path.journal {
        match record {
            Record::Accepted(open, _) => {
                let accepted = Accepted::decode(open, None).unwrap();
                past.take(&accepted);
                again.restore(accepted, &|_| None).unwrap();
            }
            Record::Decided(sequence, hold) => {
                past.decided(*sequence, hold.as_ref());
                again.decided(*sequence, hold.as_ref());
            }
        }
    }
    let all = |book: &Book| -> Vec<_> { book.after(None).map(|(id, hold)| (id, hold.clone())).collect() };
    let expected = all(path.sequencer.book());
    assert_eq!((all(again.book()), all(past.book())), (expected.clone(), expected));
    let labels = |book: &Book| book.labels_after(0).collect::<Vec<_>>();
    let expected = labels(path.sequencer.book());
    assert_eq!((labels(again.book()), labels(past.book()), expected.len()), (expected.clone(), expected, 1));
    assert_eq!((past.refused(), past.is_full()), (0, false));
}
