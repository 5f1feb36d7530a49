//! Bodies and their manifests: one spelling, every wrong byte named, and what may go into the log.

use crate::world;
use interdict_consortium::error::{ErrorKind, Place};
use interdict_consortium::keys::{KeyType, SignerKey};
use interdict_consortium::kind::Kind;
use interdict_consortium::note::Note;
use interdict_consortium::signal::manifest::Admission;
use interdict_consortium::signal::{Body, Key, Manifest, Op, Row};
use sha2::{Digest, Sha256};

fn rows() -> Vec<Row<'static>> {
    let mut rows: Vec<_> = [9, 0, 7, 3].map(|signal| world::row(signal, 2, Op::Add, 70, 500, 9_000)).into();
    rows.push(world::row(0, 2, Op::Confirmed, 0, 600, 0));
    rows.push(world::row(4, 2, Op::Dispute, 0, 0, 0));
    rows.push(world::row(5, 2, Op::Withdraw, 0, 0, 0));
    rows
}

fn manifest(body: &[u8]) -> Manifest {
    Manifest {
        alliance: "alliance.example".into(),
        member: "bank-a.example".into(),
        number: 7,
        tag_key_version: 2,
        rows: Body::read(body).unwrap().len() as u64,
        bytes: body.len() as u64,
        sha256: Sha256::digest(body).into(),
        legal_basis: Some("GDPR art. 6(1)(f)".into()),
        created_ms: 1_000,
    }
}

#[test]
fn a_body_has_one_spelling_and_every_flipped_bit_is_seen() {
    let body = Body::write(&mut rows()).unwrap();
    let mut turned = rows();
    turned.reverse();
    assert_eq!(Body::write(&mut turned).unwrap(), body);
    let read: Vec<_> = Body::read(&body).unwrap().rows().collect();
    assert_eq!(read, turned);
    assert_eq!(Body::write(&mut read.clone()).unwrap(), body);
    for at in 0..body.len() {
        for bit in 0..8 {
            let mut bytes = body.clone();
            bytes[at] ^= 1 << bit;
            // A tag or a time may be another; then it is another row, and written again the same bytes.
            if let Ok(body) = Body::read(&bytes) {
                let mut rows: Vec<_> = body.rows().collect();
                assert_ne!(rows, read, "byte {at} bit {bit}");
                assert_eq!(Body::write(&mut rows).unwrap(), bytes, "byte {at} bit {bit}");
            }
        }
        assert!(Body::read(&body[..at]).is_err());
    }
}

#[test]
fn a_row_says_what_its_operation_says() {
    let refused = |row: Row<'static>| Body::write(&mut [row]).unwrap_err();
    let add = world::row(0, 2, Op::Add, 70, 500, 9_000);
    let name = world::row(7, 2, Op::Add, 70, 500, 9_000);
    for wrong in [
        Row { reason: None, ..add },
        Row { severity: 101, ..add },
        Row { expires_ms: add.last_seen_ms, ..add },
        Row { first_seen_ms: 0, ..add },
        Row { expires_ms: u64::MAX, ..add },
        Row { text: "text", ..add },
        Row { text: "", ..name },
        Row { text: "Another", ..name },
        Row { key: Key::open(Kind::Name, " a"), text: " a", ..name },
        Row { op: Op::Withdraw, ..add },
        Row { op: Op::Dispute, ..add },
        Row { severity: 1, ..world::row(0, 2, Op::Dispute, 0, 0, 0) },
        Row { last_seen_ms: 501, ..world::row(0, 2, Op::Confirmed, 0, 500, 0) },
        Row { first_seen_ms: 1, ..world::row(0, 2, Op::Expire, 0, 0, 0) },
    ] {
        assert_eq!(
            (refused(wrong).kind, refused(wrong).place),
            (ErrorKind::Invalid, Place::Row(0)),
            "{wrong:?}"
        );
    }
    let both = Body::write(&mut [add, world::row(0, 2, Op::Withdraw, 0, 0, 0)]).unwrap_err();
    assert_eq!((both.kind, both.place), (ErrorKind::Invalid, Place::Row(1)));
    assert_eq!(Body::write(&mut []).unwrap_err().kind, ErrorKind::Invalid);
}

#[test]
fn a_manifest_reads_back_and_fits_its_body_alone() {
    let body = Body::write(&mut rows()).unwrap();
    let right = manifest(&body);
    assert_eq!(Manifest::parse(&right.text().unwrap()).unwrap(), right);
    right.body(&body).unwrap();
    let refused = |manifest: Manifest| manifest.body(&body).unwrap_err().kind;
    assert_eq!(refused(Manifest { rows: 3, ..right.clone() }), ErrorKind::Invalid);
    assert_eq!(refused(Manifest { bytes: 3, ..right.clone() }), ErrorKind::Corrupt);
    assert_eq!(refused(Manifest { sha256: [0; 32], ..right.clone() }), ErrorKind::Corrupt);
    assert_eq!(refused(Manifest { tag_key_version: 1, ..right.clone() }), ErrorKind::Invalid);
    assert_eq!(refused(Manifest { legal_basis: None, ..right.clone() }), ErrorKind::Invalid);
    assert_eq!(refused(Manifest { created_ms: 504, ..right.clone() }), ErrorKind::Invalid);
    let keyed = Body::write(&mut [world::row(3, 2, Op::Add, 1, 500, 900)]).unwrap();
    assert_eq!(manifest(&keyed).body(&keyed).unwrap_err().kind, ErrorKind::Invalid, "a basis for nothing");
}

#[test]
fn only_the_members_own_signature_counts() {
    let body = Body::write(&mut rows()).unwrap();
    let signer = |name: &str, seed| SignerKey::from_seed(name, KeyType::Ed25519, &[seed; 32]).unwrap();
    let (own, other) = (signer("bank-a.example", 1), signer("bank-b.example", 2));
    let known = [own.verifier().clone(), other.verifier().clone()];
    let open = |signers: &[&SignerKey]| {
        let mut note = Note::new(manifest(&body).text().unwrap()).unwrap();
        signers.iter().for_each(|key| note.sign(key));
        Manifest::open(&note, &known).map_err(|e| e.kind)
    };
    assert_eq!(open(&[&own]), Ok(manifest(&body)));
    assert_eq!(open(&[&other]), Err(ErrorKind::Forbidden));
    assert_eq!(open(&[&own, &other]), Err(ErrorKind::Forbidden));
    assert_eq!(open(&[]), Err(ErrorKind::Quorum));
}

#[test]
fn what_may_not_go_into_the_log_is_refused_with_its_row() {
    let bytes = Body::write(&mut rows()).unwrap();
    let (manifest, body) = (manifest(&bytes), Body::read(&bytes).unwrap());
    let policies = world::policies();
    let right = Admission { previous: Some(6), alive: &[1, 2], policies: &policies, now_ms: Some(900) };
    manifest.admit(&body, &right).unwrap();
    let refused = |at: Admission<'_>| manifest.admit(&body, &at).map_err(|e| (e.kind, e.place)).unwrap_err();
    assert_eq!(refused(Admission { previous: Some(7), ..right }), (ErrorKind::Stale, Place::Whole));
    assert_eq!(refused(Admission { alive: &[3, 4], ..right }), (ErrorKind::Stale, Place::Whole));
    let late = interdict_consortium::signal::Manifest { created_ms: 999_999, ..manifest.clone() };
    assert_eq!(late.admit(&body, &right).unwrap_err().kind, ErrorKind::Invalid);
    late.admit(&body, &Admission { now_ms: None, ..right }).unwrap();
    // Fewer bits than the rows have, and a kind that is not shared.
    let mut fewer = policies.clone();
    fewer
        .set(Kind::Card, world::policy(interdict_consortium::kind::Privacy::Oblivious, 20, 1, 2, false))
        .unwrap();
    assert_eq!(refused(Admission { policies: &fewer, ..right }), (ErrorKind::Invalid, Place::Row(0)));
    let none = Default::default();
    assert_eq!(refused(Admission { policies: &none, ..right }), (ErrorKind::Invalid, Place::Row(0)));
}
