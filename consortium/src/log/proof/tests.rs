#![allow(clippy::unwrap_used)]

use super::*;
use crate::keys::{KeyType, SignerKey};
use crate::log::tree::leaf_hash;
use crate::log::{Memory, Writer};

fn receipt() -> (Policy, Proof) {
    let log = SignerKey::from_seed("log.example", KeyType::Ed25519, &[1; 32]).unwrap();
    let witness = SignerKey::from_seed("w.example", KeyType::Cosignature, &[2; 32]).unwrap();
    let text = Policy::text_of(&[log.verifier().clone()], &[witness.verifier().clone()], 1).unwrap();
    let mut writer = Writer::open(Memory::default(), log).unwrap();
    writer.append(&(0..300).map(|n: u64| n.to_be_bytes()).collect::<Vec<_>>()).unwrap();
    writer.checkpoint().unwrap();
    let mut proof = writer.prove(299, Some(b"what the leaf is made of".to_vec())).unwrap();
    proof.checkpoint.cosign(&witness, 1);
    (Policy::parse(text.as_bytes()).unwrap(), proof)
}

#[test]
fn a_proof_reads_back_verifies_and_any_flipped_bit_is_refused() {
    let (policy, proof) = receipt();
    let (text, leaf) = (proof.encode(), leaf_hash(&299u64.to_be_bytes()));
    assert_eq!(Proof::parse(text.as_bytes()).unwrap(), proof);
    assert_eq!(proof.verify(&policy, &leaf).unwrap().checkpoint.size, 300);
    assert_eq!(proof.verify(&policy, &leaf_hash(b"another")).unwrap_err().kind, ErrorKind::Corrupt);
    let extra = text.find("\nindex").unwrap();
    for (at, bit) in (0..text.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1 << bit;
        let read = Proof::parse(&bytes).and_then(|proof| proof.verify(&policy, &leaf).map(|_| proof));
        // What is in `extra` nothing vouches for; who makes the leaf from it has another leaf then.
        let is_extra = at < extra && read.as_ref().is_ok_and(|read| read.extra != proof.extra);
        assert!(read.is_err() || is_extra, "byte {at} bit {bit}");
    }
}

#[test]
fn what_is_no_proof_is_refused_at_its_line() {
    let (_, proof) = receipt();
    let note = proof.checkpoint.encode();
    let hash = text_of(&[7; 32]);
    for (head, line, kind) in [
        ("c2sp.org/tlog-proof@v2\nindex 0\n".to_owned(), 1, ErrorKind::Version),
        (format!("{FIRST}\n"), 2, ErrorKind::Malformed),
        (format!("{FIRST}\nindex 01\n"), 2, ErrorKind::Malformed),
        (format!("{FIRST}\nextra \nindex 0\n"), 2, ErrorKind::Malformed),
        (format!("{FIRST}\nextra AA==\nextra AA==\nindex 0\n"), 3, ErrorKind::Malformed),
        (format!("{FIRST}\nindex 0\nextra AA==\n"), 3, ErrorKind::Malformed),
        (format!("{FIRST}\nindex 0\n{hash}\nAAAA\n"), 4, ErrorKind::Malformed),
        (format!("{FIRST}\nindex 0\n{}", format!("{hash}\n").repeat(64)), 66, ErrorKind::TooLarge),
    ] {
        let error = Proof::parse(format!("{head}\n{note}").as_bytes()).unwrap_err();
        assert_eq!((error.kind, error.place), (kind, Place::Line(line)), "{head:?}");
    }
    Proof::parse(format!("{FIRST}\nindex 0\n\n{note}").as_bytes()).unwrap();
    assert!(Proof::parse(format!("{FIRST}\nindex 0\n{note}").as_bytes()).is_err());
}
