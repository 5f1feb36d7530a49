#![allow(clippy::unwrap_used)]

use super::super::alliance::*;
use super::super::*;
use super::*;

fn suspension(registry: &Registry, serial: u32) -> String {
    Suspension(ruling(registry, BANKS[4], serial)).to_text().unwrap()
}

#[test]
fn a_proposal_waits_until_its_rule_is_met() {
    let registry = founded();
    let mut pending = Pending::new();
    let text = suspension(&registry, 1);
    let hash = text_hash(&text);
    let first = pending.offer(&registry, &by(text.clone(), &[BANKS[0]]), 5).unwrap();
    let Offered::Waiting(missing) = first else { panic!("{first:?}") };
    assert_eq!(
        missing.to_string(),
        "missing: 2 of 3 votes to suspend: 1 are there, bank-b.example, bank-c.example, bank-d.example may still vote"
    );
    assert_eq!(pending.missing(&hash), Some(&missing));
    pending.offer(&registry, &by(text.clone(), &[BANKS[1]]), 6).unwrap();
    assert_eq!(pending.iter().next().unwrap().1.since_ms, 5);
    // A signature that does not verify, or does not count, spoils nothing.
    let forged = signed(text.clone(), &[&sign(BANKS[2], 7)]);
    assert_eq!(pending.offer(&registry, &forged, 6).unwrap_err().kind, ErrorKind::UnknownKey);
    let ready = pending.offer(&registry, &by(text, &[BANKS[2]]), 7).unwrap();
    let Offered::Ready(note) = ready else { panic!("{ready:?}") };
    registry.check(&note).unwrap();
    assert_eq!(pending.iter().count(), 0);
}

#[test]
fn what_the_log_would_refuse_does_not_wait() {
    let registry = founded();
    let mut pending = Pending::new();
    let stale = by(suspension(&registry, 2), &[BANKS[0]]);
    assert_eq!(pending.offer(&registry, &stale, 1).unwrap_err().kind, ErrorKind::Stale);
    // An application is signed by nobody else, so it is ready or nothing.
    let (application, _) = admission(&registry, "bank-f.example", BANKS[0]);
    let text = application.to_text().unwrap();
    let unsigned = Note::new(text.clone()).unwrap();
    assert!(pending.offer(&registry, &unsigned, 1).is_err());
    let offered = pending.offer(&registry, &by(text, &["bank-f.example"]), 1).unwrap();
    assert!(matches!(offered, Offered::Ready(_)));
    assert_eq!(pending, Pending::new());
}

#[test]
fn the_registry_moves_on_and_proposals_with_it() {
    let mut registry = founded();
    let mut pending = Pending::new();
    let text = suspension(&registry, 1);
    pending.offer(&registry, &by(text.clone(), &[BANKS[0], BANKS[3]]), 1).unwrap();
    // Its first signer is suspended: one signature counts, two of the three others are needed.
    let other = Suspension(ruling(&registry, BANKS[0], 1)).to_text().unwrap();
    apply(&mut registry, &by(other, &BANKS[1..4])).unwrap();
    assert_eq!(pending.refresh(&registry), (vec![], 0));
    let held = pending.iter().next().unwrap().1;
    assert_eq!(held.missing.votes, Some((Act::Suspend, 1, 2)));
    assert_eq!(held.note.signatures().len(), 1);
    // Decided by others meanwhile.
    apply(&mut registry, &by(text, &[BANKS[1], BANKS[2]])).unwrap();
    assert_eq!(pending.refresh(&registry), (vec![], 1), "its serial was overtaken");
    assert_eq!(pending.iter().count(), 0);
    let text = Reinstatement(ruling(&registry, BANKS[0], 2)).to_text().unwrap();
    pending.offer(&registry, &by(text, &[BANKS[1]]), 9).unwrap();
    assert_eq!(pending.expire(9), 0);
    assert_eq!(pending.expire(10), 1);
}

#[test]
fn one_member_does_not_fill_the_place() {
    let registry = founded();
    let mut pending = Pending::new();
    let text = |at: usize| {
        let mut ruling = ruling(&registry, BANKS[4], 1);
        ruling.created_ms = at as u64;
        Suspension(ruling).to_text().unwrap()
    };
    for at in 0..PROPOSALS_PER_MEMBER_MAX {
        pending.offer(&registry, &by(text(at), &[BANKS[0]]), 1).unwrap();
    }
    let more = text(PROPOSALS_PER_MEMBER_MAX);
    let error = pending.offer(&registry, &by(more.clone(), &[BANKS[0]]), 1).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge);
    pending.offer(&registry, &by(more, &[BANKS[1]]), 1).unwrap();
    // Signatures for those that wait are taken all the same.
    pending.offer(&registry, &by(text(0), &[BANKS[0]]), 1).unwrap();
}
