//! Whatever comes: no panic, and nothing accepted that was changed.

use super::super::alliance::*;
use super::super::*;
use crate::error::ErrorKind;
use crate::limits::*;
use crate::note::Note;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// A registry, and notes that it would take as its next leaf.
static NEXT: LazyLock<(Registry, Vec<Note>)> = LazyLock::new(|| {
    let mut registry = founded();
    let (application, admission) = admission(&registry, "bank-f.example", BANKS[0]);
    apply(&mut registry, &by(application.to_text().unwrap(), &["bank-f.example"])).unwrap();
    let (other, _) = super::super::alliance::admission(&registry, "bank-g.example", BANKS[0]);
    let everybody = [&BANKS[..], &[HUB]].concat();
    let change = RulesChange {
        genesis: registry.genesis(),
        created_ms: NOW_MS,
        rules: Rules { version: 2, ..rules() },
    };
    let own = rotation(&registry, BANKS[0], RotationBy::Own, 1, 1).to_text().unwrap();
    let notes = vec![
        by(admission.to_text().unwrap(), &everybody),
        by(other.to_text().unwrap(), &["bank-g.example"]),
        signed(own, &[&sign(BANKS[0], 0), &sign(BANKS[0], 1)]),
        by(Suspension(ruling(&registry, BANKS[1], 1)).to_text().unwrap(), &everybody),
        by(change.to_text().unwrap(), &everybody),
        by(tag_key(&registry, 1).to_text().unwrap(), &everybody),
    ];
    notes.iter().for_each(|note| registry.check(note).unwrap());
    (registry, notes)
});

#[test]
fn one_flipped_bit_anywhere() {
    let (registry, notes) = &*NEXT;
    for note in notes {
        let bytes = note.encode().into_bytes();
        // Every fifth byte, another bit each: all bits of all bytes would be a minute.
        for at in (0..bytes.len()).step_by(5) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at / 5 % 8);
            let read = Note::parse(&flipped).and_then(|note| registry.check(&note));
            assert!(read.is_err(), "byte {at} of\n{note}");
        }
    }
}

#[test]
fn what_is_too_large_is_refused_before_it_is_kept() {
    let (registry, _) = &*NEXT;
    let text = format!(
        "interdict/contribution/v1\nalliance alliance.example\nmember bank-a.example\nnumber 1\n{}",
        "note x\n".repeat(MANIFEST_BYTES_MAX / 7)
    );
    assert_eq!(registry.check(&by(text, &[BANKS[0]])).unwrap_err().kind, ErrorKind::TooLarge);
    let mut ruling = ruling(registry, BANKS[0], 1);
    ruling.reason = "x".repeat(REASON_BYTES_MAX + 1);
    assert_eq!(Suspension(ruling).to_text().unwrap_err().kind, ErrorKind::TooLarge);
    let mut genesis = genesis();
    genesis.founders = vec![genesis.founders[0].clone(); FOUNDERS_MAX + 1];
    assert_eq!(genesis.to_text().unwrap_err().kind, ErrorKind::TooLarge);
    let mut bank = profile(BANKS[0], &[Role::Contributor]);
    bank.tls = (0..=TLS_CERTIFICATES_MAX).map(|n| text_hash(&n.to_string())).collect();
    assert!(bank.check().is_err());
    bank = profile(BANKS[0], &[Role::Contributor]);
    bank.evidence = (0..=EVIDENCE_MAX).map(|n| ("licence".into(), text_hash(&n.to_string()))).collect();
    assert_eq!(bank.check().unwrap_err().kind, ErrorKind::TooLarge);
}

#[test]
fn the_oldest_application_lapses_for_one_more() {
    let mut registry = founded();
    let (mut application, admission) = admission(&registry, "bank-f.example", BANKS[0]);
    for n in 0..=APPLICATIONS_MAX {
        application.created_ms = NOW_MS + n as u64;
        apply(&mut registry, &by(application.to_text().unwrap(), &["bank-f.example"])).unwrap();
    }
    assert_eq!(registry.applications().count(), APPLICATIONS_MAX);
    let note = by(admission.to_text().unwrap(), &BANKS);
    assert_eq!(registry.check(&note).unwrap_err().kind, ErrorKind::NotFound);
    application.created_ms = NOW_MS;
    apply(&mut registry, &by(application.to_text().unwrap(), &["bank-f.example"])).unwrap();
    apply(&mut registry, &note).unwrap();
    assert_eq!(registry.applications().count(), 0, "the others of that name go too");
}

#[test]
fn no_member_more_than_may_be_active() {
    let mut registry = founded();
    let name = |n: usize| format!("bank-{n}.example");
    let mut admit = |n: usize| {
        let (application, admission) = admission(&registry, &name(n), BANKS[0]);
        apply(&mut registry, &by(application.to_text().unwrap(), &[&name(n)])).unwrap();
        // Half of all who vote by then.
        let voters: Vec<_> = registry.voters().map(|member| member.profile.name.clone()).collect();
        let voters: Vec<_> = voters.iter().map(String::as_str).take(voters.len().div_ceil(2)).collect();
        apply(&mut registry, &by(admission.to_text().unwrap(), &voters))
    };
    for n in 0..ACTIVE_MEMBERS_MAX - 7 {
        admit(n).unwrap();
    }
    assert_eq!(admit(200).unwrap_err().kind, ErrorKind::TooLarge);
    assert_eq!(registry.active().count(), ACTIVE_MEMBERS_MAX);
    let ids: BTreeSet<_> = registry.members().map(|member| member.id).collect();
    assert_eq!(ids.len(), ACTIVE_MEMBERS_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() })]

    /// Lines lost, doubled, moved, overwritten, and signed well: refused, or a record of one spelling.
    #[test]
    fn signed_nonsense(which in 0usize..6, edits in prop::collection::vec((0u8..5, any::<prop::sample::Index>(),
        any::<prop::sample::Index>(), "[ -~]{0,12}"), 1..4))
    {
        let (registry, notes) = &*NEXT;
        let mut lines: Vec<String> = notes[which].text().lines().map(str::to_owned).collect();
        for (edit, at, other, noise) in edits {
            if lines.is_empty() {
                break;
            }
            let (at, other) = (at.index(lines.len()), other.index(lines.len()));
            match edit {
                0 => drop(lines.remove(at)),
                1 => lines.insert(other, lines[at].clone()),
                2 => lines.swap(at, other),
                3 => lines[at] = noise,
                _ => {
                    let key = lines[at].split(' ').next().unwrap_or_default().to_owned();
                    lines[at] = format!("{key} {noise}");
                }
            }
        }
        let text = lines.join("\n") + "\n";
        if let Ok(mut note) = Note::new(text.clone()) {
            [&BANKS[..], &[HUB]].concat().iter().for_each(|name| note.sign(&sign(name, 0)));
            if registry.check(&note).is_ok() {
                let mut after = registry.clone();
                prop_assert!(apply(&mut after, &note).is_ok());
                prop_assert!(apply(&mut after, &note).is_err(), "twice");
            }
        }
    }
}
