//! Records of holds and of the gate: what they say is there again, and cut anywhere they are refused.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::domain::{
    Act, ClearState, Cleared, FoundNow, HoldId, Learned, LearnedWhat, Lever, Reason, ReasonSource, SlotId,
};
use crate::stage::{SkipReason, Stage};

fn opened(learned: Option<LearnedWhat>) -> Opened {
    Opened {
        tenant: "acme".into(),
        at_ms: 5,
        until_ms: Some(i64::MAX),
        expiry_releases: true,
        cut_off_ms: -9,
        lever: Lever::DetainGoods,
        recall: true,
        amount_minor: 12_300,
        currency: "EUR".into(),
        sanctions: false,
        outcome: Outcome::Decline,
        score: 1000,
        reasons: vec![Reason {
            stage: Stage::Rules,
            source: ReasonSource::Rule(3),
            slots: Default::default(),
        }],
        causes: vec!["cards/ceiling".into()],
        generation: GenerationId { hash: [3; 32], overlay: 2 },
        learned: learned.map(|what| Learned { sequence: 4, at_ms: 6, what }),
    }
}

fn accepted(body: Body) -> Accepted {
    Accepted {
        sequence: 7,
        event: Event { tenant: "acme".into(), arrival_ms: 5, body },
        generation: GenerationId { hash: [3; 32], overlay: 2 },
        engine: "0.1.0".into(),
        features: Vec::new(),
        approximate: Vec::new(),
        identity: None,
        alias: None,
        payment_digest: 0,
        original: None,
        waits_for: Vec::new(),
    }
}

fn bodies() -> Vec<Body> {
    let generation = GenerationId { hash: [9; 32], overlay: 1 };
    let learned = [
        LearnedWhat::List("stolen".into()),
        LearnedWhat::Generation(generation),
        LearnedWhat::Label,
        LearnedWhat::Stages,
    ];
    let found = |now| Body::Hunt(Box::new(Found { target: 3, now }));
    let mut all: Vec<Body> = learned
        .into_iter()
        .zip([false, true, true, false])
        .map(|(what, too_late)| found(FoundNow::Stops { opened: Box::new(opened(Some(what))), too_late }))
        .collect();
    let learned = Learned { sequence: 2, at_ms: 1, what: LearnedWhat::Label };
    all.push(found(FoundNow::Frees { outcome: Outcome::Approve, generation, learned }));
    let acts =
        [Act::Comment, Act::Release, Act::Confirm, Act::Expire, Act::Block, Act::Reject, Act::FalseMatch];
    all.extend(acts.map(|act| {
        let hold = HoldId { payment: 3, number: 2 };
        Body::HoldAct(Box::new(HoldAct { hold, act, by: "ann".into(), comment: "spoke to Jo Doe".into() }))
    }));
    let payments = ClearState::ALL.map(|state| Cleared {
        sequence: 3,
        cut_off_ms: 8,
        lacks: state == ClearState::Held,
        state,
        flagged: state == ClearState::Go,
    });
    let clear =
        Clear { horizon_ms: 300_000, unhunted_goes: true, hunted_through: 6, payments: payments.into() };
    all.extend([Body::Clear(Box::new(clear)), Body::Hunted { through: 6 }]);
    all
}

#[test]
fn events_of_holds_are_there_again_and_cut_anywhere_they_are_refused() {
    for body in bodies() {
        let record = accepted(body);
        let (open, sealed) = (record.encode_open(), record.encode_sealed());
        assert_eq!(open[0], RECORD_VERSION);
        assert_eq!(Accepted::decode(&open, Some(&sealed)).unwrap(), record);
        for cut in 0..open.len() {
            assert!(Accepted::decode(&open[..cut], Some(&sealed)).is_err(), "{record:?} cut at {cut}");
        }
    }
}

#[test]
fn what_somebody_wrote_is_sealed_and_gone_with_its_key() {
    for body in bodies() {
        let Body::HoldAct(act) = body else { continue };
        let record = accepted(Body::HoldAct(act.clone()));
        let (open, sealed) = (record.encode_open(), record.encode_sealed());
        assert_eq!(sealed, act.comment.as_bytes());
        assert!(!open.windows(3).any(|bytes| bytes == b"Doe"), "nothing of it is in the open part");
        let without = Accepted::decode(&open, None).unwrap();
        let gone = HoldAct { comment: String::new(), ..*act };
        assert_eq!(without, accepted(Body::HoldAct(Box::new(gone))));
        assert!(Accepted::decode(&open, Some(&[0xff])).is_err(), "no text");
    }
}

#[test]
fn a_verdict_that_a_hold_begins_with_has_it_and_records_without_are_as_before() {
    let verdict = Verdict {
        sequence: 7,
        outcome: Outcome::Hold,
        score: 900,
        reasons: Vec::new(),
        skipped: Vec::new(),
        default_applied: false,
        lever: Lever::DetainGoods,
        generation: GenerationId { hash: [3; 32], overlay: 2 },
    };
    for (would, models) in [
        (None, Vec::new()),
        (Some(Outcome::Hold), Vec::new()),
        (None, vec![(1, Some(3))]),
        (Some(Outcome::Decline), vec![(1, None)]),
    ] {
        let hold = Some(Box::new(opened(None)));
        let recorded = Recorded { models: models.clone(), would, hold, ..Recorded::default() };
        let decided = Decided { verdict: verdict.clone(), recovered: true, recorded };
        let bytes = decided.encode();
        assert_eq!(bytes[0], DECIDED_HOLD);
        assert!(bytes.ends_with(&verdict.encode()), "the verdict's bytes are the same");
        assert_eq!(Decided::decode(&bytes).unwrap(), decided);
        for cut in 0..bytes.len() {
            assert!(Decided::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let without = Decided { recorded: Recorded { models, would, ..Recorded::default() }, ..decided };
        assert_ne!(without.encode()[0], DECIDED_HOLD);
        assert_eq!(Decided::decode(&without.encode()).unwrap(), without);
    }
    // What is read in short is what is read whole, and cut within it neither is.
    let reasons = vec![Reason {
        stage: Stage::Lists,
        source: ReasonSource::Entry { list: 300, entry: 1 << 40, field: 2 },
        slots: [SlotId(5), SlotId(7_000)].into_iter().collect(),
    }];
    for (reasons, skipped) in
        [(Vec::new(), Vec::new()), (reasons, vec![(Stage::Models, SkipReason::Deadline)])]
    {
        let lacks = !skipped.is_empty();
        let verdict =
            Verdict { sequence: 1 << 33, outcome: Outcome::Challenge, reasons, skipped, ..verdict.clone() };
        let decided = Decided { verdict, recovered: false, recorded: Recorded::default() };
        let held = Recorded { hold: Some(Box::new(opened(None))), ..Recorded::default() };
        let expected = (1 << 33, Outcome::Challenge, lacks);
        assert_eq!(Decided::in_short(&decided.encode()).unwrap(), expected);
        let held = Decided { recorded: held, ..decided.clone() };
        assert_eq!(Decided::in_short(&held.encode()).unwrap(), expected);
        let bytes = decided.encode();
        assert!((0..12).all(|cut| Decided::in_short(&bytes[..cut]).is_err()));
    }
    // An outcome that there is none of, where the hold's would stand.
    let mut bytes = vec![DECIDED_HOLD, 0, 99];
    append(&opened(None), &mut bytes);
    assert!(Decided::decode(&bytes).is_err());
}
