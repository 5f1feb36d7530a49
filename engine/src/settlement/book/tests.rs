//! The book against an oracle that is slow and obvious (`oracle.rs`): whatever happens in whatever order, the book says
//! what the oracle says, refuses what it refuses, and is the same after an image and after a journal that is read again.
#![allow(clippy::unwrap_used)]

mod oracle;

use super::{Book, BookLimits, TakenBack};
use crate::domain::{
    Act, Clear, ClearState, Cleared, Found, FoundNow, GenerationId, HoldAct, HoldId, HoldState, Learned,
    LearnedWhat, Lever, Opened, Outcome,
};
use crate::error::ErrorKind;
use crate::image::{Reader, Writer};
use crate::settlement::UnhuntedEvent;
use oracle::Oracle;
use proptest::prelude::*;

const TENANTS: [&str; 2] = ["acme", "zeta"];
const PEOPLE: [&str; 3] = ["ann", "bob", "eve"];
const DAY_MS: i64 = 86_400_000;
const LEVERS: [Lever; 4] = [Lever::StopBeforeCutoff, Lever::WithholdPayout, Lever::None, Lever::Recall];

/// How a hold begins, without what its payment says.
#[derive(Debug, Clone)]
struct Terms {
    until_ms: Option<i64>,
    releases: bool,
    cut_off_ms: i64,
    lever: usize,
    sanctions: bool,
    foreign: bool,
    cause: u8,
    declined: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Payment,
    Other,
    Decide { pick: usize, hold: Option<Terms> },
    Finish { pick: usize, terms: Terms },
    Reverse { pick: usize, amount_minor: Option<i64>, dollars: Option<bool> },
    Left { pick: usize, minor: Option<i64> },
    Stops { pick: usize, terms: Terms, learned: u64 },
    Frees { pick: usize },
    Act { pick: usize, number: u16, act: Act, by: usize, comment: bool, tenant: usize },
    Expire,
    Clear { picks: Vec<usize>, lacks: bool, cut_off_ms: i64, horizon_ms: i64, goes: bool, ruled_out: bool },
    Learned,
    Hunted { back: u64 },
    Time(i64),
    Image,
}

fn terms() -> impl Strategy<Value = Terms> {
    let until = prop_oneof![1 => Just(None), 3 => (0i64..80).prop_map(Some)];
    (until, any::<bool>(), -5i64..90, 0..9usize, 0..4u8, any::<bool>(), 0..3u8, any::<bool>()).prop_map(
        |(until_ms, releases, cut_off_ms, lever, sanctions, foreign, cause, declined)| Terms {
            until_ms: until_ms.filter(|_| sanctions > 0),
            releases,
            cut_off_ms,
            // Mostly one that holds.
            lever: lever.saturating_sub(5),
            sanctions: sanctions == 0,
            foreign,
            cause,
            declined,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    use Act::{Block, Comment, Confirm, Expire, FalseMatch, Reject, Release};
    let acts = prop::sample::select(vec![
        Comment, Release, Release, Confirm, Expire, Block, Reject, FalseMatch, FalseMatch, FalseMatch,
    ]);
    prop_oneof![
        6 => Just(Step::Payment),
        1 => Just(Step::Other),
        8 => (0..12usize, prop::option::weighted(0.7, terms())).prop_map(|(pick, hold)| Step::Decide { pick, hold }),
        2 => (0..12usize, terms()).prop_map(|(pick, terms)| Step::Finish { pick, terms }),
        1 => (0..12usize, prop::option::of(0i64..2)).prop_map(|(pick, minor)| Step::Left { pick, minor }),
        4 => (0..12usize, prop::option::of(prop::sample::select(vec![40, 60, 100, 120, -7])), prop::option::of(any::<bool>()))
            .prop_map(|(pick, amount_minor, dollars)| Step::Reverse { pick, amount_minor, dollars }),
        5 => (0..12usize, terms(), 0..4u64).prop_map(|(pick, terms, learned)| Step::Stops { pick, terms, learned }),
        2 => (0..12usize).prop_map(|pick| Step::Frees { pick }),
        9 => (0..12usize, prop_oneof![5 => Just(0u16), 1 => Just(1), 1 => Just(2)], acts, 0..3usize, any::<bool>(), 0..5usize)
            .prop_map(|(pick, number, act, by, comment, tenant)| Step::Act { pick, number, act, by, comment, tenant }),
        2 => Just(Step::Expire),
        6 => (prop::collection::vec(0..12usize, 0..5), prop::bool::weighted(0.15), cut_off(), 0i64..30, any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(picks, lacks, cut_off_ms, horizon_ms, goes, ruled_out)| Step::Clear { picks, lacks, cut_off_ms, horizon_ms, goes, ruled_out }),
        4 => Just(Step::Learned),
        2 => (0..30u64).prop_map(|back| Step::Hunted { back }),
        // Clocks are set back, too.
        3 => prop_oneof![12 => 0i64..40, 4 => -30i64..0, 1 => DAY_MS..3 * DAY_MS].prop_map(Step::Time),
        1 => Just(Step::Image),
    ]
}

/// From now; now and then of a payment of long ago, or whose terms are no longer kept.
fn cut_off() -> impl Strategy<Value = i64> {
    prop_oneof![20 => -5i64..90, 2 => -4 * DAY_MS..0, 1 => Just(i64::MAX)]
}

/// What a journal has of it: events as they were taken, and verdicts.
#[derive(Debug, Clone)]
enum Record {
    /// With its arrival.
    Taken(Event, i64),
    Decided(u64, Option<Opened>),
    Finished(u64, Opened),
}

#[derive(Debug, Clone)]
enum Event {
    Payment(Option<(u64, TakenBack)>),
    Other,
    Left(u64, Option<i64>),
    Found(Found),
    Act(String, HoldAct, i64),
    Clear(Clear),
    Learned(i64),
    Hunted(u64),
}

/// A book, its oracle, and its journal.
struct Both {
    book: Book,
    oracle: Oracle,
    journal: Vec<Record>,
    sequence: u64,
    payments: Vec<u64>,
    now_ms: i64,
}

fn opened(payment: u64, terms: &Terms, now_ms: i64, learned: Option<u64>) -> Opened {
    let generation = GenerationId { hash: [7; 32], overlay: 0 };
    Opened {
        tenant: TENANTS[payment as usize % 2].into(),
        at_ms: now_ms,
        until_ms: terms.until_ms.map(|until_ms| now_ms + until_ms),
        expiry_releases: terms.releases,
        cut_off_ms: now_ms + terms.cut_off_ms,
        lever: LEVERS[terms.lever],
        recall: false,
        amount_minor: 100,
        currency: if terms.foreign { "USD" } else { "EUR" }.into(),
        sanctions: terms.sanctions,
        outcome: if terms.declined { Outcome::Decline } else { Outcome::Hold },
        score: 500,
        reasons: Vec::new(),
        causes: vec![["rule", "list", "default"][usize::from(terms.cause)].into()],
        generation,
        learned: learned.map(|sequence| Learned { sequence, at_ms: 1, what: LearnedWhat::Label }),
    }
}

impl Both {
    fn new(limits: BookLimits) -> Both {
        Both {
            book: Book::new(limits),
            oracle: Oracle::new(limits),
            journal: Vec::new(),
            sequence: 0,
            payments: Vec::new(),
            now_ms: 1000,
        }
    }
    fn payment(&self, pick: usize) -> Option<u64> {
        // The latest ones, so that much happens to few.
        self.payments.iter().rev().nth(pick % self.payments.len().clamp(1, 8)).copied()
    }
    fn taken(&mut self, event: Event, waits: bool) {
        self.sequence += 1;
        self.book.taken(self.sequence, waits, self.now_ms);
        self.oracle.taken(self.sequence, waits, self.now_ms);
        self.journal.push(Record::Taken(event, self.now_ms));
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let (next, now_ms) = (self.sequence + 1, self.now_ms);
        match step {
            Step::Payment => {
                self.taken(Event::Payment(None), true);
                self.payments.push(next);
            }
            Step::Other => self.taken(Event::Other, false),
            Step::Decide { pick, hold } => {
                let Some(payment) = self.payment(*pick).filter(|one| self.oracle.is_undecided(*one)) else {
                    return Ok(());
                };
                let hold = hold.as_ref().map(|terms| opened(payment, terms, now_ms, None));
                self.book.decided(payment, hold.as_ref());
                self.oracle.decided(payment, hold.as_ref());
                self.journal.push(Record::Decided(payment, hold));
            }
            Step::Finish { pick, terms } => {
                let Some(payment) = self.payment(*pick).filter(|one| !self.oracle.is_undecided(*one)) else {
                    return Ok(());
                };
                let hold = opened(payment, terms, now_ms, Some(payment));
                self.book.finished(payment, &hold);
                self.oracle.finished(payment, &hold);
                self.journal.push(Record::Finished(payment, hold));
            }
            Step::Reverse { pick, amount_minor, dollars } => {
                let Some(payment) = self.payment(*pick) else { return Ok(()) };
                let currency = dollars.map(|dollars| if dollars { "USD" } else { "EUR" }.into());
                let back = TakenBack { amount_minor: *amount_minor, currency, sequence: next, at_ms: now_ms };
                self.oracle.reversed(payment, &back);
                self.book.reversed(payment, back.clone());
                // The reversal is a payment message, and waits for its verdict as any other.
                self.taken(Event::Payment(Some((payment, back))), true);
                self.payments.push(next);
            }
            Step::Left { pick, minor } => {
                let Some(payment) = self.payment(*pick) else { return Ok(()) };
                self.book.left(payment, *minor);
                self.oracle.left(payment, *minor);
                self.taken(Event::Left(payment, *minor), false);
            }
            Step::Stops { pick, terms, learned } => {
                let Some(target) = self.payment(*pick) else { return Ok(()) };
                let hold = opened(target, terms, now_ms, Some(*learned));
                let now = FoundNow::Stops { opened: Box::new(hold), too_late: false };
                self.found(Found { target, now })?;
            }
            Step::Frees { pick } => {
                let Some(target) = self.payment(*pick) else { return Ok(()) };
                let generation = GenerationId { hash: [8; 32], overlay: 0 };
                let learned = Learned { sequence: 1, at_ms: 1, what: LearnedWhat::Label };
                self.found(Found {
                    target,
                    now: FoundNow::Frees { outcome: Outcome::Approve, generation, learned },
                })?;
            }
            Step::Act { pick, number, act, by, comment, tenant } => {
                let Some(payment) = self.payment(*pick) else { return Ok(()) };
                let own = TENANTS[payment as usize % 2];
                let tenant = TENANTS.iter().filter(|one| **one != own).nth(*tenant).unwrap_or(&own);
                let number =
                    if *number > 0 { *number } else { self.oracle.latest_number(payment).unwrap_or(1) };
                self.act(
                    tenant,
                    HoldAct {
                        hold: HoldId { payment, number },
                        act: *act,
                        by: PEOPLE[*by].into(),
                        comment: if *comment { "seen" } else { " " }.into(),
                    },
                )?;
            }
            Step::Expire => {
                let due: Vec<HoldId> = self.book.expired(now_ms).collect();
                prop_assert_eq!(&due, &self.oracle.expired(now_ms));
                for hold in due {
                    let tenant = TENANTS[hold.payment as usize % 2];
                    let act = HoldAct { hold, act: Act::Expire, by: "node".into(), comment: String::new() };
                    self.act(tenant, act)?;
                }
                prop_assert!(self.book.next_timer_ms().is_none_or(|at_ms| at_ms > now_ms));
            }
            Step::Clear { picks, lacks, cut_off_ms, horizon_ms, goes, ruled_out } => {
                let payments = picks.iter().filter_map(|pick| {
                    Some(Cleared {
                        sequence: self.payment(*pick)?,
                        cut_off_ms: now_ms.saturating_add(*cut_off_ms),
                        lacks: *lacks,
                        state: if *ruled_out { ClearState::Held } else { ClearState::Go },
                        flagged: false,
                    })
                });
                self.clear(Clear {
                    horizon_ms: *horizon_ms,
                    unhunted_goes: *goes,
                    hunted_through: 0,
                    payments: payments.collect(),
                })?;
            }
            Step::Learned => {
                self.book.learned(next, now_ms);
                // Before the first payment there is nothing to be hunted.
                match self.payments.is_empty() {
                    true => self.oracle.hunted_through = next,
                    false => self.oracle.learned.push((next, now_ms)),
                }
                self.taken(Event::Learned(now_ms), false);
            }
            Step::Hunted { back } => {
                let through = self.sequence.saturating_sub(*back);
                let said = self.book.hunted(through);
                prop_assert_eq!(said.is_ok(), self.oracle.hunted(through));
                if said.is_ok() {
                    self.taken(Event::Hunted(through), false);
                }
            }
            Step::Time(ms) => self.now_ms += ms,
            Step::Image => {
                let bytes = bytes(&self.book);
                let mut source = &bytes[..];
                let book = Book::load(&mut Reader::new(&mut source), self.book.limits()).unwrap();
                prop_assert_eq!(&book, &self.book);
                self.book = book;
                prop_assert_eq!(bytes, self::bytes(&self.book));
            }
        }
        Ok(())
    }
    fn found(&mut self, mut found: Found) -> Result<(), TestCaseError> {
        let before = bytes(&self.book);
        self.book.weigh(&mut found, self.now_ms);
        if let FoundNow::Stops { opened, too_late } = &found.now {
            prop_assert_eq!(*too_late, self.oracle.is_too_late(found.target, opened, self.now_ms));
        }
        let said = self.book.found(&found, self.sequence + 1);
        prop_assert_eq!(said.is_ok(), self.oracle.found(&found, self.sequence + 1));
        match said {
            Ok(()) => self.taken(Event::Found(found), false),
            Err(e) => {
                prop_assert_eq!(e.kind, ErrorKind::Conflict);
                prop_assert_eq!(bytes(&self.book), before);
            }
        }
        Ok(())
    }
    fn act(&mut self, tenant: &str, act: HoldAct) -> Result<(), TestCaseError> {
        let (next, before) = (self.sequence + 1, bytes(&self.book));
        let said = self.book.act(tenant, &act, next, self.now_ms);
        let expected = self.oracle.act(tenant, &act, next, self.now_ms);
        prop_assert_eq!(said.as_ref().err().map(|e| e.kind), expected, "{:?}: {:?}", act, said);
        match said {
            Ok(()) => self.taken(Event::Act(tenant.into(), act, self.now_ms), false),
            Err(_) => prop_assert_eq!(bytes(&self.book), before),
        }
        Ok(())
    }
    fn clear(&mut self, mut clear: Clear) -> Result<(), TestCaseError> {
        let before = bytes(&self.book);
        self.book.judge(&mut clear);
        prop_assert_eq!(bytes(&self.book), before, "asking changes nothing");
        prop_assert_eq!(clear.hunted_through, self.oracle.hunted_through);
        for one in &clear.payments {
            let told = (one.state, one.flagged);
            let exact = self.oracle.gate(one, clear.horizon_ms, clear.unhunted_goes);
            if told == exact {
                continue;
            }
            // Bounds may make the gate ask for more than has to be, and for nothing else.
            let may = self.oracle.learned_since() >= self.book.limits().learned_max;
            prop_assert!(may && exact == (ClearState::Go, false), "{:?}, expected {:?}", told, exact);
            let by_default = match clear.unhunted_goes {
                true => (ClearState::Go, true),
                false => (ClearState::Held, false),
            };
            prop_assert_eq!(told, by_default);
        }
        self.book.cleared(&clear);
        clear.payments.iter().for_each(|one| self.oracle.cleared(one));
        let mut again = clear.clone();
        again
            .payments
            .iter_mut()
            .filter(|one| one.state == ClearState::Go)
            .for_each(|one| one.flagged = false);
        self.book.judge(&mut again);
        let gone = clear.payments.iter().zip(&again.payments).filter(|(one, _)| one.state == ClearState::Go);
        prop_assert!(gone.into_iter().all(|(one, again)| one == again), "what has gone has gone");
        self.taken(Event::Clear(clear), false);
        Ok(())
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        let Both { book, oracle, .. } = self;
        let shown: Vec<_> = book.after(None).map(|(id, hold)| (id, hold.clone())).collect();
        prop_assert_eq!(&shown, &oracle.shown());
        let open: Vec<HoldId> = book.open_after(None).map(|(id, _)| id).collect();
        prop_assert_eq!(book.open_len(), open.len());
        let held = shown.iter().filter(|(_, hold)| hold.state == HoldState::Held);
        prop_assert_eq!(open, held.map(|(id, _)| *id).collect::<Vec<_>>());
        for (at, (id, hold)) in shown.iter().enumerate() {
            prop_assert_eq!(book.hold(*id), Some(hold));
            prop_assert!(
                book.after(Some(*id)).map(|(id, _)| id).eq(shown[at + 1..].iter().map(|(id, _)| *id))
            );
        }
        for payment in 1..=self.sequence {
            prop_assert_eq!(book.is_stopped(payment), oracle.is_stopped(payment), "{} stopped", payment);
            prop_assert_eq!(book.is_gone(payment), oracle.gone(payment).is_some());
            prop_assert_eq!(book.is_late(payment), oracle.is_late(payment));
            prop_assert_eq!(book.is_reversed(payment), oracle.is_reversed(payment));
        }
        prop_assert_eq!(book.gone_count(), oracle.gone_count());
        prop_assert_eq!(book.decided_through(), oracle.decided_through());
        prop_assert_eq!(book.hunted_through(), oracle.hunted_through);
        prop_assert_eq!(book.next_timer_ms(), oracle.next_timer_ms());
        prop_assert_eq!(book.counts(), oracle.counts);
        prop_assert!(book.unhunted().len() <= book.limits().learned_max);
        if oracle.learned_since() < book.limits().learned_max {
            let exact = book.unhunted().iter().map(|one| (one.sequence, one.at_ms));
            prop_assert!(exact.eq(oracle.unhunted()));
        }
        // Each that is not hunted through is among them, alone or with others.
        let covered = |at: &(u64, i64)| {
            let of = |one: &UnhuntedEvent| (one.first..=one.sequence).contains(&at.0) && one.at_ms <= at.1;
            book.unhunted().iter().any(of)
        };
        prop_assert!(oracle.unhunted().all(|at| covered(&at)));
        Ok(())
    }
    /// The book that the journal comes to, read again in its order.
    fn rebuilt(&self) -> Book {
        let (mut book, mut sequence) = (Book::new(self.book.limits()), 0);
        for record in self.journal.clone() {
            let (event, at_ms) = match record {
                Record::Taken(event, at_ms) => (event, at_ms),
                Record::Decided(payment, hold) => {
                    book.decided(payment, hold.as_ref());
                    continue;
                }
                Record::Finished(payment, hold) => {
                    book.finished(payment, &hold);
                    continue;
                }
            };
            sequence += 1;
            let waits = matches!(event, Event::Payment(_));
            match event {
                Event::Payment(back) => {
                    back.into_iter().for_each(|(payment, back)| book.reversed(payment, back))
                }
                Event::Other => {}
                Event::Left(payment, minor) => book.left(payment, minor),
                Event::Found(found) => book.found(&found, sequence).unwrap(),
                Event::Act(tenant, act, at_ms) => book.act(&tenant, &act, sequence, at_ms).unwrap(),
                Event::Clear(clear) => book.cleared(&clear),
                Event::Learned(at_ms) => book.learned(sequence, at_ms),
                Event::Hunted(through) => book.hunted(through).unwrap(),
            }
            book.taken(sequence, waits, at_ms);
        }
        book
    }
}

fn bytes(book: &Book) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes);
    book.save(&mut writer);
    writer.end();
    bytes
}

fn limits() -> impl Strategy<Value = BookLimits> {
    let kept = || (0..3i64).prop_map(|days| days * DAY_MS);
    prop_oneof![
        Just(BookLimits::default()),
        (1..4usize, 0..4usize, 1..4usize, 2..5usize, kept(), kept()).prop_map(
            |(open_max, ended_max, acts_max, learned_max, settled_kept_ms, reversed_kept_ms)| BookLimits {
                open_max,
                ended_max,
                acts_max,
                learned_max,
                settled_kept_ms,
                reversed_kept_ms,
                ..BookLimits::default()
            }
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_book_is_what_the_oracle_says_whatever_happens_in_whatever_order(
        limits in limits(),
        steps in prop::collection::vec(step(), 1..140),
    ) {
        let mut both = Both::new(limits);
        for step in &steps {
            both.take(step)?;
            both.compare()?;
        }
        let rebuilt = both.rebuilt();
        prop_assert_eq!(&rebuilt, &both.book);
        prop_assert_eq!(bytes(&rebuilt), bytes(&both.book));
    }
}

fn both_with(terms: &Terms) -> Both {
    let mut both = Both::new(BookLimits::default());
    both.take(&Step::Payment).unwrap();
    both.take(&Step::Decide { pick: 0, hold: Some(terms.clone()) }).unwrap();
    both
}

fn act(act: Act, by: &str, comment: &str) -> HoldAct {
    HoldAct { hold: HoldId { payment: 1, number: 1 }, act, by: by.into(), comment: comment.into() }
}

fn plain(sanctions: bool) -> Terms {
    let until_ms = (!sanctions).then_some(50);
    Terms {
        until_ms,
        releases: true,
        cut_off_ms: 80,
        lever: 0,
        sanctions,
        foreign: false,
        cause: 0,
        declined: false,
    }
}

/// The table of docs/formats/holds.md, a line each.
#[test]
fn each_act_is_for_the_holds_it_is_for_and_a_hold_ends_once() {
    use Act::{Block, Comment, Confirm, Expire, FalseMatch, Reject, Release};
    for sanctions in [false, true] {
        for one in [Comment, Release, Confirm, Expire, Block, Reject, FalseMatch] {
            let mut both = both_with(&plain(sanctions));
            let early = both.book.act("zeta", &act(one, "ann", "seen"), 2, 1000);
            let is_for = match one {
                Comment => true,
                Release | Confirm => !sanctions,
                Block | Reject | FalseMatch => sanctions,
                Expire => false,
            };
            assert_eq!(early.is_ok(), is_for, "{one:?} of a sanctions hold ({sanctions})");
            if one == Expire {
                let late = both.book.act("zeta", &act(one, "node", ""), 2, 1050);
                assert_eq!(late.is_ok(), !sanctions, "a timer ends what it may");
            }
            let ends = !matches!(one, Comment | FalseMatch) && (is_for || one == Expire && !sanctions);
            for again in [Release, Confirm, Expire, Block, Reject, FalseMatch] {
                let error = both.book.act("zeta", &act(again, "ann", "seen"), 3, 2000).err();
                assert!(
                    !ends || error.is_some_and(|e| e.kind == ErrorKind::Conflict),
                    "{again:?} after {one:?}"
                );
                if !ends {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_false_match_takes_two_people_and_their_reasons() {
    let mut both = both_with(&plain(true));
    let say =
        |both: &mut Both, by: &str, why: &str| both.book.act("zeta", &act(Act::FalseMatch, by, why), 2, 1000);
    assert_eq!(say(&mut both, "ann", " ").unwrap_err().kind, ErrorKind::Invalid);
    say(&mut both, "ann", "another birthday").unwrap();
    assert_eq!(say(&mut both, "ann", "really").unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(say(&mut both, "bob", "").unwrap_err().kind, ErrorKind::Invalid);
    assert!(both.book.latest(1).is_some_and(|(_, hold)| hold.state == HoldState::Held));
    say(&mut both, "bob", "seen the passport").unwrap();
    assert!(both.book.latest(1).is_some_and(|(_, hold)| hold.state == HoldState::Released));
}

#[test]
fn a_comment_has_words_and_a_bound() {
    let mut both = both_with(&plain(false));
    let mut say =
        |text: &str| both.book.act("zeta", &act(Act::Comment, "ann", text), 2, 1000).err().map(|e| e.kind);
    assert_eq!(say(""), Some(ErrorKind::Invalid));
    let longest = "x".repeat(crate::limits::HOLD_COMMENT_BYTES_MAX);
    assert_eq!(say(&longest), None);
    assert_eq!(say(&format!("{longest}x")), Some(ErrorKind::TooLarge));
}

#[test]
fn an_image_that_cannot_have_been_written_is_refused() {
    let both = both_with(&plain(false));
    let whole = bytes(&both.book);
    let load = |bytes: &[u8], limits| {
        let mut source = bytes;
        Book::load(&mut Reader::new(&mut source), limits)
    };
    assert_eq!(load(&whole, BookLimits::default()).unwrap(), both.book);
    for cut in 0..whole.len() {
        assert!(load(&whole[..cut], BookLimits::default()).is_err(), "cut at {cut}");
    }
    let none = BookLimits { open_max: 0, ended_max: 0, ..BookLimits::default() };
    assert!(load(&whole, none).is_err());
    // A hold that is open and has ended.
    let mut wrong = Book::new(BookLimits::default());
    wrong.ended.push_back(HoldId { payment: 9, number: 1 });
    assert!(load(&bytes(&wrong), BookLimits::default()).is_err());
}

/// The declared default held it, somebody released it, and then the stages ran that had been skipped.
#[test]
fn what_was_held_by_default_and_released_is_held_again_when_finishing_says_more() {
    let by = |cause: u8, declined: bool| Terms { cause, declined, ..plain(false) };
    for (finished, begins) in [(by(0, false), false), (by(1, false), true), (by(0, true), true)] {
        let mut both = both_with(&by(0, false));
        let finish = Step::Finish { pick: 0, terms: finished.clone() };
        both.take(&finish).unwrap();
        assert_eq!(both.book.open_len(), 1, "it waits for somebody already");
        both.act("zeta", act(Act::Release, "ann", "")).unwrap();
        both.take(&finish).unwrap();
        both.compare().unwrap();
        let latest = both.book.latest(1).map(|(id, hold)| (id.number, hold.state));
        let expected = if begins { (2, HoldState::Held) } else { (1, HoldState::Released) };
        assert_eq!(latest, Some(expected), "{finished:?}");
    }
}

/// Never `go` for what is forgotten, and no memory of it.
#[test]
fn what_has_settled_long_ago_is_forgotten_and_told_unknown() {
    let limits = BookLimits::default();
    let mut both = Both::new(limits);
    let ask = |both: &mut Both, cut_off_ms| {
        let picks = vec![0];
        let clear =
            Step::Clear { picks, lacks: false, cut_off_ms, horizon_ms: 0, goes: false, ruled_out: false };
        both.take(&clear).unwrap();
        match both.journal.last() {
            Some(Record::Taken(Event::Clear(clear), _)) => clear.payments[0].state,
            other => panic!("{other:?}"),
        }
    };
    both.take(&Step::Payment).unwrap();
    both.take(&Step::Decide { pick: 0, hold: None }).unwrap();
    assert_eq!(ask(&mut both, 50), ClearState::Go);
    both.take(&Step::Time(limits.settled_kept_ms - DAY_MS)).unwrap();
    both.take(&Step::Other).unwrap();
    assert_eq!(ask(&mut both, 50 - limits.settled_kept_ms), ClearState::Go, "told the same");
    both.take(&Step::Time(3 * DAY_MS)).unwrap();
    both.take(&Step::Other).unwrap();
    both.compare().unwrap();
    assert_eq!((both.book.gone_count(), both.book.is_gone(1)), (0, false));
    assert_eq!(ask(&mut both, -limits.settled_kept_ms - 2 * DAY_MS), ClearState::Unknown);
    assert_eq!(ask(&mut both, i64::MAX), ClearState::Unknown, "nobody knows its cut-off");
}

#[test]
fn nothing_is_left_to_settle_of_what_was_taken_back_until_a_completion_says_so() {
    let mut both = Both::new(BookLimits::default());
    both.take(&Step::Payment).unwrap();
    both.take(&Step::Decide { pick: 0, hold: None }).unwrap();
    let told = |both: &Both| {
        let (sequence, cut_off_ms, state) = (1, 2000, ClearState::Go);
        let payments = vec![Cleared { sequence, cut_off_ms, lacks: false, state, flagged: false }];
        let mut clear = Clear { horizon_ms: 0, unhunted_goes: false, hunted_through: 0, payments };
        both.book.judge(&mut clear);
        clear.payments[0].state
    };
    assert_eq!(told(&both), ClearState::Go);
    both.take(&Step::Left { pick: 0, minor: Some(0) }).unwrap();
    assert_eq!(told(&both), ClearState::Held);
    let terms = plain(false);
    both.take(&Step::Stops { pick: 0, terms, learned: 1 }).unwrap();
    assert_eq!(both.book.open_len(), 0, "there is nothing to hold");
    both.take(&Step::Left { pick: 0, minor: Some(1) }).unwrap();
    both.compare().unwrap();
    assert_eq!(told(&both), ClearState::Go);
}
