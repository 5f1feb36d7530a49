#![allow(clippy::unwrap_used)]

use super::*;

/// The example of the documentation of Go's `golang.org/x/mod/sumdb/note`.
const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\
    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn key(name: &str, seed: u8) -> SignerKey {
    SignerKey::from_seed(name, KeyType::Ed25519, &[seed; 32]).unwrap()
}
fn verifiers(keys: &[&SignerKey]) -> Vec<VerifierKey> {
    keys.iter().map(|key| key.verifier().clone()).collect()
}

#[test]
fn a_note_signed_by_go_verifies_and_comes_out_as_it_was() {
    let known = [VerifierKey::parse(GO_KEY).unwrap()];
    let note = Note::parse(GO_NOTE.as_bytes()).unwrap();
    assert_eq!(note.verify_all(&known).unwrap().len(), 1);
    assert_eq!(note.encode(), GO_NOTE);
    assert_eq!(known[0].to_string(), GO_KEY);
}

#[test]
fn any_flipped_bit_is_refused() {
    let known = [VerifierKey::parse(GO_KEY).unwrap()];
    for at in 0..GO_NOTE.len() {
        for bit in 0..8 {
            let mut bytes = GO_NOTE.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            let read =
                Note::parse(&bytes).and_then(|note| note.verify_all(&known).map(|signed| signed.len()));
            assert!(read.is_err(), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn several_signatures_are_a_quorum_and_an_unknown_one_is_named_with_its_line() {
    let (a, b, stranger) = (key("a.example", 1), key("b.example", 2), key("c.example", 3));
    let mut note = Note::new("interdict/x/v1\nsaid yes\n".into()).unwrap();
    note.sign(&a);
    let mut other = note.clone();
    other.sign(&b);
    note.merge(&other).unwrap();
    note.merge(&other).unwrap();
    let known = verifiers(&[&a, &b]);
    let signed = note.verify_all(&known).unwrap();
    assert_eq!(signed.iter().map(|s| s.key.name()).collect::<Vec<_>>(), ["a.example", "b.example"]);
    note.sign(&stranger);
    let error = note.verify_all(&known).unwrap_err();
    assert_eq!((error.kind, error.place), (ErrorKind::UnknownKey, Place::Line(6)));
    assert_eq!(note.verify_known(&known).unwrap().len(), 2);
    let text = note.encode();
    let doubled = format!("{text}{}\n", note.signatures()[0]);
    let error = Note::parse(doubled.as_bytes()).unwrap().verify_known(&known).unwrap_err();
    assert_eq!((error.kind, error.place), (ErrorKind::Malformed, Place::Line(7)));
    let else_said = Note::new("interdict/x/v1\nsaid no\n".into()).unwrap();
    assert_eq!(note.merge(&else_said).unwrap_err().kind, ErrorKind::Invalid);
}

#[test]
fn a_cosignature_signs_the_time_too() {
    let witness = SignerKey::from_seed("w.example", KeyType::Cosignature, &[4; 32]).unwrap();
    let mut note = Note::new("log.example\n1\nAAAA\n".into()).unwrap();
    note.cosign(&witness, 1_700_000_000);
    let known = verifiers(&[&witness]);
    assert_eq!(note.verify_known(&known).unwrap()[0].time_s, Some(1_700_000_000));
    let mut bytes = note.signatures[0].bytes.to_vec();
    bytes[7] ^= 1;
    note.signatures[0].bytes = bytes.into();
    assert_eq!(note.verify_known(&known).unwrap_err().kind, ErrorKind::Corrupt);
    // The same key as a note's key is another key.
    assert_ne!(witness.verifier().id(), witness.verifier().as_type(KeyType::Ed25519).id());
}

#[test]
fn keys_read_back_and_their_ids_must_fit() {
    let signer = key("a.example/sign", 9);
    let again = SignerKey::parse(&signer.to_text()).unwrap();
    assert_eq!(again.verifier(), signer.verifier());
    assert!(!format!("{signer:?}").contains("PRIVATE"));
    let text = signer.verifier().to_string();
    assert_eq!(&VerifierKey::parse(&text).unwrap(), signer.verifier());
    let renamed = text.replacen("a.example", "b.example", 1);
    assert_eq!(VerifierKey::parse(&renamed).unwrap_err().kind, ErrorKind::Corrupt);
    for wrong in ["", "a", "a+b+c", "a b+00000000+AAAA", "a+0000000G+AAAA"] {
        assert_eq!(VerifierKey::parse(wrong).unwrap_err().kind, ErrorKind::Malformed, "{wrong:?}");
    }
    // ML-DSA-44's type byte: known to C2SP, not here.
    let unknown = format!("a+00000000+{}", STANDARD.encode([0x06; 33]));
    assert_eq!(VerifierKey::parse(&unknown).unwrap_err().kind, ErrorKind::Version);
    // The point of order one: anything would verify.
    let mut weak = [0; 32];
    weak[0] = 1;
    assert!(VerifierKey::new("a", KeyType::Ed25519, &weak).is_err());
}

#[test]
fn what_is_no_note_is_refused_at_its_line() {
    let signature = GO_NOTE.lines().last().unwrap();
    for (text, line) in [
        (format!("a\tb\n\n{signature}\n"), Place::Line(1)),
        (format!("a\n\n{signature}"), Place::Line(3)),
        (format!("a\n\n{signature}\n-- x AAAA\n"), Place::Line(4)),
        (format!("a\n{signature}\n"), Place::Whole),
        ("a\n\n".into(), Place::Line(3)),
    ] {
        let error = Note::parse(text.as_bytes()).unwrap_err();
        assert_eq!((error.kind, error.place), (ErrorKind::Malformed, line), "{text:?}");
    }
    assert!(Note::new("no newline".into()).is_err());
    let long = vec![b'a'; NOTE_BYTES_MAX + 1];
    assert_eq!(Note::parse(&long).unwrap_err().kind, ErrorKind::TooLarge);
}
