//! What must not be accepted as an epoch, and what a cosigner that rebuilds one is told.

use crate::world::{self, BUILT_MS, Said};
use interdict_consortium::epoch::delta::{self, Delta};
use interdict_consortium::epoch::manifest::{File, Manifest, Parent, TagKey};
use interdict_consortium::epoch::{
    Accepted, Held, Snapshot, State, Trust, accept, follow, rebuild_and_compare,
};
use interdict_consortium::error::{ErrorKind, Place, Result};
use interdict_consortium::keys::{KeyType, SignerKey, VerifierKey};
use interdict_consortium::note::Note;
use interdict_consortium::signal::Op;
use sha2::{Digest, Sha256};

const NOW_MS: u64 = BUILT_MS + 50;

fn signer(name: &str, seed: u8) -> SignerKey {
    SignerKey::from_seed(name, KeyType::Ed25519, &[seed; 32]).unwrap()
}
fn operator() -> SignerKey {
    signer("alliance.example", 1)
}
fn members() -> [SignerKey; 3] {
    [signer("bank-a.example", 2), signer("bank-b.example", 3), signer("bank-c.example", 4)]
}
fn trust(cosigners_min: usize) -> Trust {
    let members: Vec<VerifierKey> = members().iter().map(|key| key.verifier().clone()).collect();
    Trust::new("alliance.example", &[operator().verifier().clone()], &members, cosigners_min)
}

struct Epoch {
    manifest: Manifest,
    state: Vec<u8>,
    snapshot: Vec<u8>,
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// An epoch of the leaves 10 and 11, or of leaf 12 too, with the first as its parent.
fn epoch(number: u64, parent: Option<&Epoch>) -> Epoch {
    let add =
        |leaf, signal| Said::new(leaf, 0, leaf, vec![world::row(signal, 2, Op::Add, 80, 900_000, 1_400_000)]);
    let all = [add(10, 0), add(11, 7), add(12, 2)];
    let size = 11 + number;
    let view = world::view(number, BUILT_MS + number, &[2]);
    let state = world::state(None, &all[..usize::try_from(size).unwrap() - 10], &[2], size);
    let snapshot = world::snapshot(&state, &view);
    let opened = Snapshot::open(&snapshot).unwrap();
    let parent = parent.map(|parent| {
        let mut bytes = Vec::new();
        let from = Snapshot::open(&parent.snapshot).unwrap();
        let (written, counts) = delta::write(&from, &hash(&parent.snapshot), &opened, &mut bytes).unwrap();
        Parent { manifest: parent.manifest.sha256().unwrap(), delta: written.into(), counts }
    });
    let manifest = Manifest {
        alliance: "alliance.example".into(),
        number,
        parent,
        governance_size: size,
        governance_root: [9; 32],
        built_ms: BUILT_MS + number,
        valid_from_ms: BUILT_MS + 10,
        valid_until_ms: BUILT_MS + 1_000,
        snapshot: File { sha256: hash(&snapshot), bytes: snapshot.len() as u64 },
        rows: opened.len() as u64,
        tag_keys: vec![TagKey { version: 2, voprf: [8; 32] }],
        kinds: opened.header().kinds().map(|(kind, shape)| (kind, shape.privacy, shape.bits)).collect(),
    };
    Epoch { manifest, state, snapshot }
}

fn signed(manifest: &Manifest, signers: &[&SignerKey]) -> Note {
    let mut note = manifest.note().unwrap();
    signers.iter().for_each(|key| note.sign(key));
    note
}
fn whole(manifest: &Manifest) -> Note {
    let [a, b, _] = members();
    signed(manifest, &[&operator(), &a, &b])
}
fn kind_of(result: Result<Accepted<'_>>) -> ErrorKind {
    result.unwrap_err().kind
}

#[test]
fn what_has_its_quorum_is_taken_and_follows_what_is_held() {
    let first = epoch(1, None);
    let second = epoch(2, Some(&first));
    let text = second.manifest.text().unwrap();
    assert_eq!(Manifest::parse(&text).unwrap(), second.manifest);
    let taken = accept(&whole(&first.manifest), &trust(2), None, NOW_MS, &first.snapshot).unwrap();
    assert_eq!(taken.snapshot.len(), 2);
    let next =
        accept(&whole(&second.manifest), &trust(2), Some(&taken.held), NOW_MS, &second.snapshot).unwrap();
    assert_eq!((next.held.number, next.snapshot.len()), (2, 3));
    assert_eq!(follow(&whole(&second.manifest), &trust(2), &taken.held).unwrap(), next.held);
}

#[test]
fn every_flipped_bit_of_manifest_and_snapshot_is_refused() {
    let epoch = epoch(1, None);
    let trust = trust(2);
    let note = whole(&epoch.manifest);
    let bytes = note.encode().into_bytes();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            let read = Note::parse(&bytes)
                .and_then(|note| accept(&note, &trust, None, NOW_MS, &epoch.snapshot).map(|_| ()));
            assert!(read.is_err(), "manifest byte {at} bit {bit}");
        }
    }
    let rows: Vec<_> = Snapshot::open(&epoch.snapshot).unwrap().rows().collect();
    for at in 0..epoch.snapshot.len() {
        for bit in 0..8 {
            let mut bytes = epoch.snapshot.clone();
            bytes[at] ^= 1 << bit;
            if bit == 0 {
                let refused = kind_of(accept(&note, &trust, None, NOW_MS, &bytes));
                assert_eq!(refused, ErrorKind::Corrupt, "snapshot byte {at}");
            }
            // Without the hash: what still reads says something else, never the same in another spelling.
            if let Ok(snapshot) = Snapshot::open(&bytes) {
                let is_same = snapshot.rows().eq(rows.iter().copied());
                let header = Snapshot::open(&epoch.snapshot).unwrap();
                assert!(!is_same || snapshot.header() != header.header(), "snapshot byte {at} bit {bit}");
            }
        }
        assert!(Snapshot::open(&epoch.snapshot[..at]).is_err());
    }
}

#[test]
fn a_forged_or_missing_quorum_is_refused() {
    let epoch = epoch(1, None);
    let [a, b, c] = members();
    let operator = operator();
    let try_with = |note: &Note, min| accept(note, &trust(min), None, NOW_MS, &epoch.snapshot).map(|_| ());
    let of = |signers: &[&SignerKey]| signed(&epoch.manifest, signers);
    try_with(&of(&[&operator, &a, &c]), 2).unwrap();
    assert_eq!(try_with(&of(&[&operator, &a]), 2).unwrap_err().kind, ErrorKind::Quorum);
    assert_eq!(try_with(&of(&[&a, &b, &c]), 2).unwrap_err().kind, ErrorKind::Quorum);
    assert_eq!(try_with(&epoch.manifest.note().unwrap(), 0).unwrap_err().kind, ErrorKind::Quorum);
    // A stranger under a member's name, and one that calls itself otherwise.
    let stranger = signer("bank-b.example", 9);
    assert_eq!(try_with(&of(&[&operator, &a, &stranger]), 2).unwrap_err().kind, ErrorKind::UnknownKey);
    let stranger = signer("bank-x.example", 9);
    assert_eq!(try_with(&of(&[&operator, &a, &b, &stranger]), 2).unwrap_err().kind, ErrorKind::UnknownKey);
    // Signatures of another manifest.
    let other = Manifest { rows: 3, ..epoch.manifest.clone() };
    let text = whole(&epoch.manifest).encode();
    let moved = text.replace(&epoch.manifest.text().unwrap(), &other.text().unwrap());
    let moved = Note::parse(moved.as_bytes()).unwrap();
    assert_eq!(try_with(&moved, 2).unwrap_err().kind, ErrorKind::Corrupt);
    // Two keys of one member are one member; the operator is no cosigner of itself.
    let second = signer("bank-a.example", 7);
    let keys = [a.verifier().clone(), second.verifier().clone(), operator.verifier().clone()];
    let trust = Trust::new("alliance.example", &[operator.verifier().clone()], &keys, 2);
    let note = of(&[&operator, &a, &second]);
    assert_eq!(kind_of(accept(&note, &trust, None, NOW_MS, &epoch.snapshot)), ErrorKind::Quorum);
}

#[test]
fn replays_rollbacks_and_other_histories_are_refused() {
    let first = epoch(1, None);
    let second = epoch(2, Some(&first));
    let (one, two) = (Held::of(&first.manifest).unwrap(), Held::of(&second.manifest).unwrap());
    let refused = |manifest: &Manifest, held: &Held, now_ms, bytes: &[u8]| {
        kind_of(accept(&whole(manifest), &trust(2), Some(held), now_ms, bytes))
    };
    assert_eq!(refused(&first.manifest, &one, NOW_MS, &first.snapshot), ErrorKind::Stale);
    assert_eq!(refused(&first.manifest, &two, NOW_MS, &first.snapshot), ErrorKind::Stale);
    // Another epoch of the number that is held, and one with another parent: both are signed, and evidence.
    let rival = Manifest { governance_root: [1; 32], ..second.manifest.clone() };
    assert_eq!(refused(&rival, &two, NOW_MS, &second.snapshot), ErrorKind::Equivocation);
    let other = Held { manifest: [3; 32], ..one };
    assert_eq!(refused(&second.manifest, &other, NOW_MS, &second.snapshot), ErrorKind::Equivocation);
    let far = Manifest { number: 3, ..second.manifest.clone() };
    assert_eq!(refused(&far, &one, NOW_MS, &second.snapshot), ErrorKind::NotFound);
    let shrunk = Manifest { governance_size: 5, ..second.manifest.clone() };
    assert_eq!(refused(&shrunk, &one, NOW_MS, &second.snapshot), ErrorKind::Stale);
    // Not yet, and no more.
    assert_eq!(refused(&second.manifest, &one, BUILT_MS + 9, &second.snapshot), ErrorKind::Stale);
    assert_eq!(refused(&second.manifest, &one, BUILT_MS + 1_000, &second.snapshot), ErrorKind::Stale);
    accept(&whole(&second.manifest), &trust(2), Some(&one), BUILT_MS + 999, &second.snapshot).unwrap();
    // Another snapshot, another size, another alliance; another header than was signed.
    assert_eq!(refused(&second.manifest, &one, NOW_MS, &first.snapshot), ErrorKind::Corrupt);
    let elsewhere = Manifest { alliance: "other.example".into(), ..second.manifest.clone() };
    assert_eq!(refused(&elsewhere, &one, NOW_MS, &second.snapshot), ErrorKind::Invalid);
    let keys = vec![TagKey { version: 3, voprf: [8; 32] }];
    let rekeyed = Manifest { tag_keys: keys, ..second.manifest.clone() };
    assert_eq!(refused(&rekeyed, &one, NOW_MS, &second.snapshot), ErrorKind::Corrupt);
    let counted = Manifest { rows: 4, ..second.manifest.clone() };
    assert_eq!(refused(&counted, &one, NOW_MS, &second.snapshot), ErrorKind::Corrupt);
}

#[test]
fn a_manifest_that_could_not_be_is_not_written_and_not_read() {
    let right = epoch(1, None).manifest;
    let text = right.text().unwrap();
    for (from, to) in [
        ("number 1", "number 0"),
        ("number 1", "number 2"),
        ("tag_key 2 ", "tag_key 02 "),
        ("tag_key 2 ", "tag_key 0 "),
        ("kind card oblivious 30", "kind card oblivious 030"),
        ("kind card oblivious 30\nkind account keyed 128", "kind account keyed 128\nkind card oblivious 30"),
        ("valid_until_ms 1001000", "valid_until_ms 1000001"),
        ("built_ms", "built"),
        ("interdict/epoch/v1", "interdict/epoch/v2"),
    ] {
        let wrong = text.replace(from, to);
        assert_ne!(wrong, text);
        assert!(Manifest::parse(&wrong).is_err(), "{to}");
    }
    assert!(Manifest { number: 0, ..right.clone() }.text().is_err());
    assert!(Manifest { tag_keys: vec![], ..right }.text().is_err());
}

#[test]
fn a_cosigner_names_the_first_row_that_differs() {
    let first = epoch(1, None);
    let second = epoch(2, Some(&first));
    let state = State::open(&second.state).unwrap();
    let view = world::view(2, BUILT_MS + 2, &[2]);
    rebuild_and_compare(&second.manifest, &state, &view, &second.snapshot).unwrap();
    let refused = |manifest: &Manifest, bytes: &[u8]| {
        let error = rebuild_and_compare(manifest, &state, &view, bytes).unwrap_err();
        (error.kind, error.place)
    };
    // The severity of the second row; a signal that was dropped (the first that is missing); one too many.
    let mut graver = second.snapshot.clone();
    graver[80 + 76 + 1] += 1;
    assert_eq!(refused(&second.manifest, &graver), (ErrorKind::Corrupt, Place::Row(1)));
    let mut dropped = second.snapshot.clone();
    dropped.drain(80 + 76..80 + 2 * 76);
    assert_eq!(refused(&second.manifest, &dropped), (ErrorKind::Corrupt, Place::Row(1)));
    let longer = [&second.snapshot[..], &[0]].concat();
    assert_eq!(refused(&second.manifest, &longer).0, ErrorKind::Corrupt);
    let signed_other = Manifest { rows: 9, ..second.manifest.clone() };
    assert_eq!(refused(&signed_other, &second.snapshot), (ErrorKind::Corrupt, Place::Whole));
    // An epoch of fewer leaves than it says, and one of other rules.
    let short = State::open(&first.state).unwrap();
    let error = rebuild_and_compare(&second.manifest, &short, &view, &second.snapshot).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    let mut other = world::view(2, BUILT_MS + 2, &[1, 2]);
    let error = rebuild_and_compare(&second.manifest, &state, &other, &second.snapshot).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    // A hub that trusts a member which the log does not: the row's count of trusted ones.
    other = view.clone();
    other.contributors[0].trusted = false;
    other.contributors[1].trusted = false;
    let error = rebuild_and_compare(&second.manifest, &state, &other, &second.snapshot).unwrap_err();
    assert_eq!((error.kind, error.place), (ErrorKind::Corrupt, Place::Row(0)));
}

#[test]
fn a_delta_fits_its_parent_alone_and_every_flipped_bit_is_seen() {
    let first = epoch(1, None);
    let second = epoch(2, Some(&first));
    let (old, new) = (Snapshot::open(&first.snapshot).unwrap(), Snapshot::open(&second.snapshot).unwrap());
    let (from, mut bytes) = (hash(&first.snapshot), Vec::new());
    let (_, counts) = delta::write(&old, &from, &new, &mut bytes).unwrap();
    assert_eq!((counts.added, counts.changed, counts.removed), (1, 0, 0));
    let delta = Delta::open(&bytes).unwrap();
    let refused =
        |parent: &Snapshot<'_>, hash: &[u8; 32]| delta::apply(parent, hash, &delta, ()).unwrap_err().kind;
    assert_eq!(refused(&old, &[0; 32]), ErrorKind::Stale);
    assert_eq!(refused(&new, &from), ErrorKind::Corrupt);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            let applied = Delta::open(&bytes).and_then(|delta| delta::apply(&old, &from, &delta, ()));
            let is_right = applied.is_ok_and(|written| written.sha256 == second.manifest.snapshot.sha256);
            assert!(!is_right, "byte {at} bit {bit}");
        }
        assert!(Delta::open(&bytes[..at]).is_err());
    }
    for at in 0..second.state.len() {
        let mut bytes = second.state.clone();
        bytes[at] ^= 1;
        assert!(State::open(&bytes).is_err(), "state byte {at}");
    }
}
