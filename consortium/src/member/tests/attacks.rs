//! What must not be accepted, each under its name.

use super::super::alliance::*;
use super::super::*;
use crate::error::ErrorKind;
use crate::note::Note;

/// That a note is refused and the registry left as it was.
fn refused(registry: &mut Registry, note: &Note, kind: ErrorKind) {
    let before = registry.clone();
    let error = apply(registry, note).unwrap_err();
    assert_eq!(error.kind, kind, "{error}");
    assert_eq!(*registry, before);
}
/// A founded alliance with an application of bank-f in its log.
fn with_application() -> (Registry, String) {
    let mut registry = founded();
    let (application, admission) = admission(&registry, "bank-f.example", BANKS[0]);
    apply(&mut registry, &by(application.to_text().unwrap(), &["bank-f.example"])).unwrap();
    (registry, admission.to_text().unwrap())
}

#[test]
fn a_forged_or_missing_quorum() {
    let (mut registry, text) = with_application();
    refused(&mut registry, &by(text.clone(), &BANKS[..2]), ErrorKind::Quorum);
    refused(&mut registry, &Note::new(text.clone()).unwrap(), ErrorKind::Quorum);
    // A key that the forger made under a member's name.
    let mut note = by(text.clone(), &BANKS[..2]);
    note.sign(&sign(BANKS[2], 9));
    refused(&mut registry, &note, ErrorKind::UnknownKey);
    // A real signature of another text.
    let other = by(text.replace("created_ms 17", "created_ms 16"), &[BANKS[2]]);
    let line = other.signatures()[0].to_string();
    let forged = format!("{}{line}\n", by(text, &BANKS[..2]).encode());
    refused(&mut registry, &Note::parse(forged.as_bytes()).unwrap(), ErrorKind::Corrupt);
}

#[test]
fn a_suspended_members_vote() {
    let (mut registry, text) = with_application();
    let suspension = Suspension(ruling(&registry, BANKS[2], 1)).to_text().unwrap();
    apply(&mut registry, &by(suspension, &[BANKS[0], BANKS[1], BANKS[3]])).unwrap();
    refused(&mut registry, &by(text.clone(), &BANKS[..3]), ErrorKind::Forbidden);
    // Nor is it counted among those who vote: two of four are half.
    apply(&mut registry, &by(text, &BANKS[..2])).unwrap();
    // Nor does it change its keys by itself.
    let own = rotation(&registry, BANKS[2], RotationBy::Own, 1, 1).to_text().unwrap();
    let keys = [sign(BANKS[2], 0), sign(BANKS[2], 1)];
    refused(&mut registry, &signed(own, &[&keys[0], &keys[1]]), ErrorKind::Forbidden);
}

#[test]
fn replayed_records() {
    let (mut registry, text) = with_application();
    let (application, _) = admission(&registry, "bank-f.example", BANKS[0]);
    let application = by(application.to_text().unwrap(), &["bank-f.example"]);
    refused(&mut registry, &application, ErrorKind::Stale);
    let admission = by(text, &BANKS);
    apply(&mut registry, &admission).unwrap();
    refused(&mut registry, &admission, ErrorKind::Stale);
    refused(&mut registry, &application, ErrorKind::Invalid);
    let suspension = by(Suspension(ruling(&registry, "bank-f.example", 1)).to_text().unwrap(), &BANKS);
    let back = by(Reinstatement(ruling(&registry, "bank-f.example", 2)).to_text().unwrap(), &BANKS);
    apply(&mut registry, &suspension).unwrap();
    apply(&mut registry, &back).unwrap();
    refused(&mut registry, &suspension, ErrorKind::Stale);
    refused(&mut registry, &genesis_note(), ErrorKind::Invalid);
    let old = by(tag_key(&registry, 1).to_text().unwrap(), &[&BANKS[..], &[HUB]].concat());
    apply(&mut registry, &old).unwrap();
    let next = by(tag_key(&registry, 2).to_text().unwrap(), &[&BANKS[..], &[HUB]].concat());
    apply(&mut registry, &next).unwrap();
    refused(&mut registry, &old, ErrorKind::Stale);
}

#[test]
fn a_key_that_was_rotated_away() {
    let (mut registry, text) = with_application();
    let own = rotation(&registry, BANKS[0], RotationBy::Own, 1, 1).to_text().unwrap();
    let keys = [sign(BANKS[0], 0), sign(BANKS[0], 1)];
    apply(&mut registry, &signed(own, &[&keys[0], &keys[1]])).unwrap();
    let old = by(text.clone(), &BANKS[..3]);
    assert!(registry.check(&old).unwrap_err().message.ends_with("the key was rotated away"));
    refused(&mut registry, &old, ErrorKind::Forbidden);
    // One vote under two keys: with the old one it is refused, and it would be one vote.
    let mut twice = by(text, &BANKS[..2]);
    twice.sign(&keys[1]);
    refused(&mut registry, &twice, ErrorKind::Forbidden);
    // Nor does the old key come back.
    let again = rotation(&registry, BANKS[0], RotationBy::Own, 2, 0).to_text().unwrap();
    refused(&mut registry, &signed(again, &[&keys[1], &keys[0]]), ErrorKind::Invalid);
}

#[test]
fn one_vote_counted_twice() {
    let (mut registry, text) = with_application();
    // The member's own line twice, then its witness key as another signer.
    let note = by(text.clone(), &BANKS[..2]);
    let twice = format!("{}{}\n", note.encode(), note.signatures()[1]);
    refused(&mut registry, &Note::parse(twice.as_bytes()).unwrap(), ErrorKind::Malformed);
    let mut witness = note.clone();
    witness.cosign(&key(BANKS[1], crate::keys::KeyType::Cosignature, 0), 1_700_000_000);
    refused(&mut registry, &witness, ErrorKind::UnknownKey);
    // In a quorum's rotation the new key signs beside the votes, and is none.
    let lost = rotation(&registry, BANKS[1], RotationBy::Quorum, 1, 1).to_text().unwrap();
    let mut note = by(lost, &[BANKS[0], BANKS[1], BANKS[2]]);
    note.sign(&sign(BANKS[1], 1));
    refused(&mut registry, &note, ErrorKind::Quorum);
    // A second member with the first one's keys.
    let (mut application, _) = admission(&registry, "bank-g.example", BANKS[0]);
    application.profile.tls = registry.by_name(BANKS[0]).unwrap().profile.tls.clone();
    refused(&mut registry, &by(application.to_text().unwrap(), &["bank-g.example"]), ErrorKind::Invalid);
    let public = registry.by_name(BANKS[0]).unwrap().profile.sign.public();
    application.profile = profile("bank-g.example", &[Role::Contributor]);
    application.profile.sign =
        crate::keys::VerifierKey::new("bank-g.example", crate::keys::KeyType::Ed25519, public).unwrap();
    refused(&mut registry, &by(application.to_text().unwrap(), &["bank-g.example"]), ErrorKind::Invalid);
}

#[test]
fn a_sponsor_without_the_role() {
    let (mut registry, text) = with_application();
    let auditor = text.replace("sponsor bank-a.example", "sponsor auditor.example");
    refused(&mut registry, &by(auditor, &[&BANKS[..], &[AUDITOR]].concat()), ErrorKind::Forbidden);
    refused(&mut registry, &by(text.clone(), &BANKS[1..]), ErrorKind::Quorum);
    let none = text.replace("sponsor bank-a.example\n", "");
    refused(&mut registry, &by(none, &BANKS), ErrorKind::Invalid);
    let more = text.replace("roles contributor,consumer", "roles contributor,consumer,auditor");
    refused(&mut registry, &by(more, &BANKS), ErrorKind::Invalid);
}

#[test]
fn an_applicant_that_the_rules_do_not_admit() {
    let mut registry = founded();
    let (mut application, mut admission) = admission(&registry, "bank-f.example", BANKS[0]);
    for what in ["country", "evidence"] {
        application.profile = profile("bank-f.example", &[Role::Contributor, Role::Consumer]);
        match what {
            "country" => application.profile.jurisdiction = Country::parse("KP").unwrap(),
            _ => application.profile.evidence.clear(),
        }
        let text = application.to_text().unwrap();
        admission.application = text_hash(&text);
        apply(&mut registry, &by(text, &["bank-f.example"])).unwrap();
        refused(&mut registry, &by(admission.to_text().unwrap(), &BANKS), ErrorKind::Invalid);
    }
    application.profile.roles = Roles::of(&[Role::Operator]);
    refused(&mut registry, &by(application.to_text().unwrap(), &["bank-f.example"]), ErrorKind::Invalid);
    application.profile.roles = Roles::of(&[Role::Contributor]);
    let text = application.to_text().unwrap();
    refused(&mut registry, &by(text, &[BANKS[0]]), ErrorKind::Forbidden);
}

#[test]
fn the_operator_alone() {
    let mut registry = founded();
    let mut change = RulesChange { genesis: registry.genesis(), created_ms: NOW_MS, rules: rules() };
    change.rules.version = 2;
    refused(&mut registry, &by(change.to_text().unwrap(), &[HUB]), ErrorKind::Quorum);
    refused(
        &mut registry,
        &by(change.to_text().unwrap(), &[HUB, BANKS[0], BANKS[1], BANKS[2]]),
        ErrorKind::Quorum,
    );
    let mut key = tag_key(&registry, 1);
    refused(&mut registry, &by(key.to_text().unwrap(), &[HUB]), ErrorKind::Quorum);
    let text = Suspension(ruling(&registry, BANKS[0], 1)).to_text().unwrap();
    refused(&mut registry, &by(text, &[HUB, AUDITOR]), ErrorKind::Quorum);
    // A key for one who is to have none, or none for one who is to have it.
    key.sealed.insert(HUB.into(), vec![1]);
    let all = [&BANKS[..], &[HUB]].concat();
    refused(&mut registry, &by(key.to_text().unwrap(), &all), ErrorKind::Forbidden);
    key.sealed.remove(HUB);
    key.sealed.remove(BANKS[3]);
    refused(&mut registry, &by(key.to_text().unwrap(), &all), ErrorKind::Invalid);
}

#[test]
fn a_record_of_another_alliance_of_the_same_name() {
    let mut other = genesis();
    other.created_ms += 1;
    let everybody: Vec<_> = BANKS.into_iter().chain([AUDITOR, HUB]).collect();
    let other = Registry::found(&by(other.to_text().unwrap(), &everybody)).unwrap();
    let text = Suspension(ruling(&other, BANKS[0], 1)).to_text().unwrap();
    refused(&mut founded(), &by(text, &BANKS), ErrorKind::Invalid);
}

#[test]
fn a_member_that_says_two_things_under_one_number() {
    let mut registry = founded();
    let contribution = |number: u64, rows: u64| {
        format!(
            "interdict/contribution/v1\nalliance alliance.example\nmember bank-a.example\nnumber {number}\nrows {rows}\n"
        )
    };
    let first = by(contribution(3, 1), &[BANKS[0]]);
    let applied = apply(&mut registry, &first).unwrap();
    assert!(matches!(applied, Applied::Other { ty: Numbered::Contribution, number: 3, .. }));
    // Another key since: each is judged by the keys of its time.
    let own = rotation(&registry, BANKS[0], RotationBy::Own, 1, 1).to_text().unwrap();
    apply(&mut registry, &signed(own, &[&sign(BANKS[0], 0), &sign(BANKS[0], 1)])).unwrap();
    let second = signed(contribution(3, 2), &[&sign(BANKS[0], 1)]);
    refused(&mut registry, &second, ErrorKind::Equivocation);
    let evidence = registry.evidence(&second).unwrap();
    assert_eq!((evidence.author, evidence.number), (crate::kind::MemberId(0), 3));
    assert_eq!(evidence.to_string(), format!("{first}\n{second}"));
    // What the member did not sign is evidence of nothing.
    let forged = by(contribution(3, 2), &[BANKS[1]]);
    refused(&mut registry, &forged, ErrorKind::Forbidden);
    assert!(registry.evidence(&forged).is_none());
    let again = signed(contribution(3, 1), &[&sign(BANKS[0], 1)]);
    refused(&mut registry, &again, ErrorKind::Stale);
    assert!(registry.evidence(&again).is_none());
    refused(&mut registry, &signed(contribution(2, 1), &[&sign(BANKS[0], 1)]), ErrorKind::Stale);
    // By role: the auditor contributes nothing, and a bank publishes no epoch.
    let text = contribution(1, 1).replace("bank-a", "auditor");
    refused(&mut registry, &by(text, &[AUDITOR]), ErrorKind::Forbidden);
    let epoch = |n| format!("interdict/epoch/v1\nalliance alliance.example\nnumber {n}\n");
    refused(&mut registry, &by(epoch(1), &BANKS[1..]), ErrorKind::Quorum);
    apply(&mut registry, &by(epoch(1), &[HUB, BANKS[1]])).unwrap();
    refused(&mut registry, &by(epoch(1).replace("epoch/v1", "epoch/v2"), &[HUB]), ErrorKind::Version);
    for other in ["consent", "statement"] {
        refused(&mut registry, &by(format!("interdict/{other}/v1\n"), &[HUB]), ErrorKind::Version);
    }
}

#[test]
fn a_leaf_that_is_not_the_next() {
    let mut registry = founded();
    let note = by(Leaving(ruling(&registry, HUB, 1)).to_text().unwrap(), &[HUB]);
    for leaf in [0, 2] {
        let before = registry.clone();
        assert_eq!(registry.apply(leaf, &note).unwrap_err().kind, ErrorKind::Invalid);
        assert_eq!(registry, before);
    }
    let genesis = genesis_note().encode();
    let leaves = [(0, genesis.as_bytes()), (1, genesis.as_bytes())];
    let error = Registry::replay(leaves).unwrap_err();
    assert_eq!(error.place, crate::error::Place::Leaf("governance", 1));
    assert_eq!(Registry::replay([]).unwrap_err().kind, ErrorKind::NotFound);
}
