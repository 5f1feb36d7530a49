#![allow(clippy::unwrap_used)]

use super::*;
use crate::keys::SignerKey;

fn key(name: &str, ty: KeyType, seed: u8) -> SignerKey {
    SignerKey::from_seed(name, ty, &[seed; 32]).unwrap()
}
fn log() -> SignerKey {
    key("log.example", KeyType::Ed25519, 1)
}
fn witness(n: u8) -> SignerKey {
    key(&format!("w{n}.example"), KeyType::Cosignature, 10 + n)
}
fn note(witnesses: &[u8]) -> Note {
    let mut note = Note::new(Checkpoint::new("log.example", 1, [1; 32]).unwrap().to_string()).unwrap();
    note.sign(&log());
    witnesses.iter().for_each(|n| note.cosign(&witness(*n), 1_700_000_000));
    note
}

/// The example of C2SP tlog-policy with keys, blanks and comments.
fn example() -> String {
    let mut text = format!("# ours\n\nlog {} https://log.example\n", log().verifier());
    for (n, name) in ["X1", "X2", "X3", "Y1", "Y2", "Y3"].iter().enumerate() {
        text += &format!(" witness\t{name}  {}\n", witness(n as u8).verifier());
        if n == 2 {
            text += "group X-witnesses 2 X1 X2 X3\n";
        }
    }
    text + "group Y-witnesses any Y1 Y2 Y3\ngroup X-and-Y all X-witnesses Y-witnesses \nquorum X-and-Y"
}

#[test]
fn groups_of_groups_make_the_quorum() {
    let policy = Policy::parse(example().as_bytes()).unwrap();
    for mask in 0..64u8 {
        let signed: Vec<u8> = (0..6).filter(|n| mask & 1 << n != 0).collect();
        let is_met = (mask & 7).count_ones() >= 2 && mask >> 3 != 0;
        match policy.verify(&note(&signed)) {
            Ok(verdict) => {
                assert!(is_met, "{signed:?}");
                assert_eq!(verdict.log, *log().verifier());
                assert_eq!(verdict.witnesses.len(), signed.len());
                assert!(verdict.witnesses.iter().all(|(_, time_s)| *time_s == 1_700_000_000));
            }
            Err(error) => assert!(!is_met && error.kind == ErrorKind::Quorum, "{signed:?}: {error}"),
        }
    }
}

#[test]
fn k_of_n_is_written_for_others() {
    let witnesses: Vec<VerifierKey> = (0..3).map(|n| witness(n).verifier().clone()).collect();
    let text = Policy::text_of(&[log().verifier().clone()], &witnesses, 2).unwrap();
    let policy = Policy::parse(text.as_bytes()).unwrap();
    policy.verify(&note(&[2, 0])).unwrap();
    policy.verify(&note(&[2, 5, 0])).unwrap();
    assert_eq!(policy.verify(&note(&[2, 5])).unwrap_err().kind, ErrorKind::Quorum);
    // The log's word without the witnesses', the witnesses' without the log's.
    assert_eq!(policy.verify(&note(&[])).unwrap_err().kind, ErrorKind::Quorum);
    let mut alone = Note::new(note(&[]).text().to_owned()).unwrap();
    (0..3).for_each(|n| alone.cosign(&witness(n), 7));
    assert_eq!(policy.verify(&alone).unwrap_err().kind, ErrorKind::Quorum);
    let text = Policy::text_of(&[log().verifier().clone()], &witnesses, 0).unwrap();
    Policy::parse(text.as_bytes()).unwrap().verify(&note(&[])).unwrap();
    assert_eq!(Policy::text_of(&[], &witnesses, 4).unwrap_err().kind, ErrorKind::Invalid);
    let mut other = Note::new(Checkpoint::new("other.example", 1, [1; 32]).unwrap().to_string()).unwrap();
    other.sign(&log());
    assert_eq!(policy.verify(&other).unwrap_err().kind, ErrorKind::UnknownKey);
}

#[test]
fn any_flipped_bit_of_a_checkpoint_is_refused() {
    let witnesses: Vec<VerifierKey> = (0..2).map(|n| witness(n).verifier().clone()).collect();
    let text = Policy::text_of(&[log().verifier().clone()], &witnesses, 2).unwrap();
    let (policy, whole) = (Policy::parse(text.as_bytes()).unwrap(), note(&[0, 1]).encode().into_bytes());
    for (at, bit) in (0..whole.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        let verified = Note::parse(&bytes).and_then(|note| policy.verify(&note));
        assert!(verified.is_err(), "byte {at} bit {bit}");
    }
}

#[test]
fn what_is_no_policy_is_refused_at_its_line() {
    let (log, w) = (log().verifier().clone(), witness(0).verifier().clone());
    let same = witness(0).verifier().as_type(KeyType::Ed25519);
    for (text, place, kind) in [
        (String::new(), Place::Whole, ErrorKind::Invalid),
        ("quorum X".into(), Place::Line(1), ErrorKind::Invalid),
        ("quorum none\nquorum none".into(), Place::Line(2), ErrorKind::Invalid),
        (format!("log {w}\n"), Place::Line(1), ErrorKind::Invalid),
        (format!("log {log}\nlog {log}\n"), Place::Line(2), ErrorKind::Invalid),
        (format!("witness X {same}\n"), Place::Line(1), ErrorKind::Invalid),
        (format!("witness none {w}\n"), Place::Line(1), ErrorKind::Invalid),
        (format!("witness X {w}\nwitness Y {w}\n"), Place::Line(2), ErrorKind::Invalid),
        (format!("witness X {w}\ngroup X any X\n"), Place::Line(2), ErrorKind::Invalid),
        (format!("witness X {w}\ngroup G 2 X\n"), Place::Line(2), ErrorKind::Invalid),
        (format!("witness X {w}\ngroup G 0 X\n"), Place::Line(2), ErrorKind::Invalid),
        (format!("witness X {w}\ngroup G 01 X\n"), Place::Line(2), ErrorKind::Malformed),
        (format!("witness X {w}\ngroup G all\n"), Place::Line(2), ErrorKind::Invalid),
        (format!("witness X {w}\ngroup G any X\ngroup H any X\n"), Place::Line(3), ErrorKind::Invalid),
        (format!("witness X {w}\ngroup G any G\n"), Place::Line(2), ErrorKind::Invalid),
        ("quorum none extra".into(), Place::Line(1), ErrorKind::Malformed),
        ("witless".into(), Place::Line(1), ErrorKind::Malformed),
        ("quorum none\r".into(), Place::Line(1), ErrorKind::Malformed),
        ("log x".into(), Place::Line(1), ErrorKind::Malformed),
    ] {
        let error = Policy::parse(text.as_bytes()).unwrap_err();
        assert_eq!((error.kind, error.place), (kind, place), "{text:?}: {}", error.message);
    }
    // Bytes past ASCII are names like others, whatever they are.
    let text = [
        format!("witness K\u{212a} {w}\nwitness \u{e9} {}\n", witness(1).verifier()).as_bytes(),
        b"# \xff\nquorum K\xe2\x84\xaa",
    ]
    .concat();
    Policy::parse(&text).unwrap();
    assert_eq!(Policy::parse(&vec![b' '; POLICY_BYTES_MAX + 1]).unwrap_err().kind, ErrorKind::TooLarge);
}
