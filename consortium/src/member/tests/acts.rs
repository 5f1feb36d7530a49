//! What each record makes of the state.

use super::super::alliance::*;
use super::super::*;
use crate::error::{ErrorKind, Place};
use crate::kind::{Kind, MemberId, Privacy};
use std::collections::BTreeSet;

#[test]
fn an_alliance_is_founded_by_all_its_founders() {
    let registry = founded();
    assert_eq!((registry.size(), registry.alliance()), (1, "alliance.example"));
    assert_eq!(registry.active().count(), 7);
    assert_eq!(registry.voters().count(), 5);
    let bank = registry.by_name(BANKS[2]).unwrap();
    assert_eq!(bank.id, MemberId(2));
    assert_eq!(registry.by_key(bank.profile.witness.public()).unwrap().id, bank.id);
    assert_eq!(registry.by_tls(bank.profile.tls.first().unwrap()).unwrap().id, bank.id);
    assert_eq!(registry.operator().member, MemberId(6));
    assert_eq!(registry.rules().kind(Kind::Card).unwrap().privacy, Privacy::Oblivious);
    assert!(registry.rules().kind(Kind::Phone).is_none());
    // One founder who has not signed, and there is none.
    let text = genesis().to_text().unwrap();
    let error = Registry::found(&by(text, &[&BANKS[..], &[HUB]].concat())).unwrap_err();
    assert_eq!((error.kind, &error.place), (ErrorKind::Quorum, &Place::Leaf("governance", 0)));
    assert_eq!(error.message, "missing: the signature of auditor.example (founder)");
}

#[test]
fn an_applicant_is_admitted_by_sponsor_and_quorum() {
    let mut registry = founded();
    let (application, admission) = admission(&registry, "bank-f.example", BANKS[0]);
    let note = by(application.to_text().unwrap(), &["bank-f.example"]);
    let hash = admission.application;
    assert_eq!(apply(&mut registry, &note).unwrap(), Applied::Application(hash));
    // Half of five, rounded up.
    let two = by(admission.to_text().unwrap(), &BANKS[..2]);
    let error = apply(&mut registry, &two).unwrap_err();
    assert_eq!(
        error.to_string(),
        "governance leaf 2: missing: 1 of 3 votes to admit: 2 are there, bank-c.example, bank-d.example, \
         bank-e.example may still vote"
    );
    let three = by(admission.to_text().unwrap(), &BANKS[..3]);
    assert_eq!(apply(&mut registry, &three).unwrap(), Applied::Admitted(MemberId(7)));
    let member = registry.by_name("bank-f.example").unwrap();
    assert_eq!((member.admitted, member.state), (2, State::Active));
    assert_eq!(registry.applications().count(), 0);
    assert_eq!(registry.voters().count(), 6);
    assert!(registry.member_as_of(MemberId(7), 2).is_none());
    assert!(registry.member_as_of(MemberId(7), 3).is_some());
}

#[test]
fn keys_change_on_the_members_word_or_the_quorums() {
    let mut registry = founded();
    let (old, new, newer) = (sign(BANKS[0], 0), sign(BANKS[0], 1), sign(BANKS[0], 2));
    let own = rotation(&registry, BANKS[0], RotationBy::Own, 1, 1).to_text().unwrap();
    let error = apply(&mut registry, &signed(own.clone(), &[&old])).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Quorum, "the new key must sign too");
    assert_eq!(apply(&mut registry, &signed(own, &[&old, &new])).unwrap(), Applied::Rotated(MemberId(0)));
    assert_eq!(registry.by_name(BANKS[0]).unwrap().profile.sign, *new.verifier());
    assert!(registry.signers_as_of(1).contains(old.verifier()));
    assert!(!registry.signers_as_of(2).contains(old.verifier()));
    // Lost: two thirds of the four others, and the new key.
    let lost = rotation(&registry, BANKS[0], RotationBy::Quorum, 1, 2).to_text().unwrap();
    let mut note = by(lost, &BANKS[1..3]);
    note.sign(&newer);
    note.sign(&new);
    assert_eq!(registry.check(&note).unwrap_err().kind, ErrorKind::Quorum, "nobody votes on itself");
    note.sign(&sign(BANKS[3], 0));
    assert_eq!(apply(&mut registry, &note).unwrap(), Applied::Rotated(MemberId(0)));
    let member = registry.by_name(BANKS[0]).unwrap();
    assert_eq!((member.rotations, member.rulings, member.since), (1, 1, 2));
}

#[test]
fn members_are_suspended_reinstated_and_leave() {
    let mut registry = founded();
    let text = Suspension(ruling(&registry, BANKS[4], 1)).to_text().unwrap();
    assert_eq!(apply(&mut registry, &by(text, &BANKS[..3])).unwrap(), Applied::Suspended(MemberId(4)));
    assert_eq!((registry.voters().count(), registry.witnesses().len()), (4, 6));
    let text = Leaving(ruling(&registry, BANKS[4], 1)).to_text().unwrap();
    assert_eq!(apply(&mut registry, &by(text, &[BANKS[4]])).unwrap(), Applied::Left(MemberId(4)));
    // Who has left comes back only by its own will.
    let text = Reinstatement(ruling(&registry, BANKS[4], 2)).to_text().unwrap();
    let error = apply(&mut registry, &by(text.clone(), &BANKS[..4])).unwrap_err();
    assert!(error.message.ends_with("the signature of bank-e.example (who comes back)"), "{error}");
    let note = by(text, &[BANKS[0], BANKS[1], BANKS[2], BANKS[4]]);
    assert_eq!(apply(&mut registry, &note).unwrap(), Applied::Reinstated(MemberId(4)));
    assert_eq!(registry.voters().count(), 5);
    let states: Vec<_> = (1..5).map(|size| registry.member_as_of(MemberId(4), size).unwrap().state).collect();
    assert_eq!(states, [State::Active, State::Suspended, State::Left, State::Active]);
}

#[test]
fn another_operator_takes_the_logs_over() {
    let mut registry = founded();
    let text = Leaving(ruling(&registry, HUB, 1)).to_text().unwrap();
    apply(&mut registry, &by(text, &[HUB])).unwrap();
    let key = by(tag_key(&registry, 1).to_text().unwrap(), &BANKS);
    assert_eq!(registry.check(&key).unwrap_err().kind, ErrorKind::Forbidden, "there is no operator");
    let change = OperatorChange {
        genesis: registry.genesis(),
        created_ms: NOW_MS,
        serial: 2,
        operator: BANKS[1].into(),
        logs: logs(1),
        reason: "the hub is gone".into(),
    };
    let text = change.to_text().unwrap();
    let error = registry.check(&by(text.clone(), &[BANKS[0], BANKS[2], BANKS[3], BANKS[4]])).unwrap_err();
    assert_eq!(error.message, "missing: the signature of bank-b.example (new operator)");
    assert_eq!(apply(&mut registry, &by(text, &BANKS[..4])).unwrap(), Applied::Operator(MemberId(1)));
    assert_eq!(registry.operator().logs, logs(1));
    assert_eq!(registry.operator_as_of(2).logs, logs(0));
    assert!(registry.member(MemberId(1)).unwrap().can(Role::Operator));
    assert!(registry.member(MemberId(6)).unwrap().profile.roles.is_empty());
}

#[test]
fn rules_change_by_quorum_and_hold_from_the_next_leaf() {
    let mut registry = founded();
    let mut change = RulesChange { genesis: registry.genesis(), created_ms: NOW_MS, rules: rules() };
    change.rules.version = 2;
    change.rules.quorums[Act::Suspend as usize] = Quorum { numerator: 1, denominator: 1, at_least: 1 };
    let note = by(change.to_text().unwrap(), &BANKS[1..]);
    assert_eq!(apply(&mut registry, &note).unwrap(), Applied::Rules(2));
    assert_eq!((registry.rules_as_of(1).version, registry.rules_as_of(2).version), (1, 2));
    let text = Suspension(ruling(&registry, BANKS[4], 1)).to_text().unwrap();
    assert_eq!(registry.check(&by(text.clone(), &BANKS[..3])).unwrap_err().kind, ErrorKind::Quorum);
    registry.check(&by(text, &BANKS[..4])).unwrap();
    // Rules that nobody could change again are refused.
    change.rules.version = 3;
    change.rules.quorums[Act::Rules as usize].at_least = 6;
    let error = registry.check(&by(change.to_text().unwrap(), &BANKS)).unwrap_err();
    assert_eq!(error.message, "quorum rules asks for at least 6 votes, and 5 members may vote");
    change.rules.quorums[Act::Rules as usize] = Quorum { numerator: 1, denominator: 2, at_least: 1 };
    assert!(change.to_text().unwrap_err().message.ends_with("1/2 is not more than half"));
}

#[test]
fn founders_are_trusted_until_members_say_otherwise() {
    let mut registry = founded();
    let all: BTreeSet<_> = (0..5).map(MemberId).collect();
    assert_eq!(*registry.trusted_as_of(1), all);
    let (application, admission) = admission(&registry, "bank-f.example", BANKS[0]);
    apply(&mut registry, &by(application.to_text().unwrap(), &["bank-f.example"])).unwrap();
    apply(&mut registry, &by(admission.to_text().unwrap(), &BANKS)).unwrap();
    assert_eq!(*registry.trusted_as_of(3), all, "a newcomer is not");
    let trusts = BTreeSet::from([BANKS[0].to_owned(), "bank-f.example".to_owned()]);
    let mut change = TrustChange { genesis: registry.genesis(), created_ms: NOW_MS, serial: 1, trusts };
    let text = change.to_text().unwrap();
    assert_eq!(registry.check(&by(text.clone(), &BANKS[..3])).unwrap_err().kind, ErrorKind::Quorum);
    assert_eq!(apply(&mut registry, &by(text, &BANKS[..4])).unwrap(), Applied::Trust(1));
    assert_eq!(*registry.trusted_as_of(4), BTreeSet::from([MemberId(0), MemberId(7)]));
    assert_eq!(*registry.trusted_as_of(3), all);
    (change.serial, change.trusts) = (2, BTreeSet::from(["stranger.example".to_owned()]));
    let note = by(change.to_text().unwrap(), &BANKS);
    assert_eq!(registry.check(&note).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn tag_keys_and_tariffs_need_the_operator_and_a_quorum() {
    let mut registry = founded();
    let first = tag_key(&registry, 1);
    assert_eq!(first.sealed.len(), 5, "neither the auditor nor the hub");
    let text = first.to_text().unwrap();
    let error = registry.check(&by(text.clone(), &[HUB, BANKS[0], BANKS[1]])).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Quorum);
    assert_eq!(registry.check(&by(text.clone(), &BANKS)).unwrap_err().kind, ErrorKind::Quorum);
    let note = by(text, &[HUB, BANKS[0], BANKS[1], BANKS[2], BANKS[3]]);
    assert_eq!(apply(&mut registry, &note).unwrap(), Applied::TagKey(1));
    assert!(registry.tag_key().unwrap().key.is_of(&text_hash("tag key 1")));
    assert!(!registry.tag_key().unwrap().key.is_of(&text_hash("tag key 2")));
    // Another HPKE key: that member lacks a copy, and any holder may give it one.
    let mut fresh = rotation(&registry, BANKS[2], RotationBy::Own, 1, 0);
    (fresh.sign, fresh.hpke) = (None, Some([3; 32]));
    apply(&mut registry, &by(fresh.to_text().unwrap(), &[BANKS[2]])).unwrap();
    assert_eq!(registry.lacks_tag_key().map(|m| m.id).collect::<Vec<_>>(), [MemberId(2)]);
    let mut copies = first.clone();
    copies.sealed = [(BANKS[2].to_owned(), vec![8; 80])].into();
    let text = copies.to_text().unwrap();
    assert_eq!(registry.check(&by(text.clone(), &[AUDITOR])).unwrap_err().kind, ErrorKind::Quorum);
    copies.voprf = [9; 32];
    assert_eq!(registry.check(&by(copies.to_text().unwrap(), &[HUB])).unwrap_err().kind, ErrorKind::Invalid);
    assert_eq!(apply(&mut registry, &by(text, &[BANKS[0]])).unwrap(), Applied::Copies(1));
    assert_eq!(registry.lacks_tag_key().count(), 0);

    let tariff = "interdict/tariff/v1\nalliance alliance.example\nversion 1\nprice x\n".to_owned();
    assert_eq!(registry.check(&by(tariff.clone(), &BANKS)).unwrap_err().kind, ErrorKind::Quorum);
    let all = [&BANKS[..4], &[HUB]].concat();
    let hash = text_hash(&tariff);
    assert_eq!(apply(&mut registry, &by(tariff.clone(), &all)).unwrap(), Applied::Tariff(hash));
    assert_eq!((registry.tariff(), registry.tariff_as_of(4)), (Some((4, hash)), None));
    assert_eq!(registry.check(&by(tariff, &all)).unwrap_err().kind, ErrorKind::Stale, "a tariff put back");
}

#[test]
fn every_record_has_one_spelling() {
    let registry = founded();
    let (application, admission) = admission(&registry, "bank-f.example", BANKS[0]);
    let genesis = genesis();
    let text = genesis.to_text().unwrap();
    assert_eq!(Genesis::of_text(&text).unwrap(), genesis);
    let text = application.to_text().unwrap();
    assert_eq!(Application::of_text(&text).unwrap(), application);
    let text = admission.to_text().unwrap();
    assert_eq!(Admission::of_text(&text).unwrap(), admission);
    // Another order, a line twice, another number.
    let two = text.replace("sponsor bank-a.example\n", "sponsor bank-b.example\nsponsor bank-a.example\n");
    let error = Admission::of_text(&two).unwrap_err();
    assert_eq!((error.kind, error.place), (ErrorKind::Malformed, Place::Line(7)));
    let twice = text.replace("sponsor bank-a.example\n", "sponsor bank-a.example\nsponsor bank-a.example\n");
    assert_eq!(Admission::of_text(&twice).unwrap_err().place, Place::Line(8));
    let roles = text.replace("contributor,consumer", "consumer,contributor");
    assert_eq!(Admission::of_text(&roles).unwrap_err().kind, ErrorKind::Malformed);
    let change = RulesChange { genesis: [1; 32], created_ms: 1, rules: rules() };
    let text = change.to_text().unwrap();
    assert_eq!(RulesChange::of_text(&text).unwrap(), change);
    for (from, to) in [("2/3 2", "02/3 2"), ("bits 30", "bits +30"), ("names_member no", "names_member No")] {
        assert_eq!(RulesChange::of_text(&text.replace(from, to)).unwrap_err().kind, ErrorKind::Malformed);
    }
    let unknown = text.replace("voters", "electors");
    assert_eq!(RulesChange::of_text(&unknown).unwrap_err().place, Place::Line(5));
    let open = text.replace("card oblivious bits 30", "card open bits 0");
    assert_eq!(RulesChange::of_text(&open).unwrap_err().kind, ErrorKind::Invalid, "no card numbers as text");
}
