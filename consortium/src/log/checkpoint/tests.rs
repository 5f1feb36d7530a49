#![allow(clippy::unwrap_used)]

use super::*;
use crate::keys::SignerKey;

/// The example of C2SP tlog-checkpoint, without its signature.
const TEXT: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

#[test]
fn a_checkpoint_reads_and_is_written_as_it_was() {
    let checkpoint = Checkpoint::parse(TEXT).unwrap();
    assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("example.com/behind-the-sofa", 20_852_163));
    assert_eq!(checkpoint.to_string(), TEXT);
    let extended = format!("{TEXT}one more line\nanother\n");
    assert_eq!(Checkpoint::parse(&extended).unwrap().to_string(), extended);
}

#[test]
fn what_is_none_is_refused_at_its_line() {
    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    for (text, line) in [
        (String::new(), 1),
        ("\n1\n".to_owned() + root + "\n", 1),
        ("a".into(), 1),
        ("a\n01\n".to_owned() + root + "\n", 2),
        ("a\n+1\n".to_owned() + root + "\n", 2),
        ("a\n18446744073709551616\n".to_owned() + root + "\n", 2),
        ("a\n1\n".to_owned() + root, 3),
        ("a\n1\nAAAA\n".into(), 3),
        ("a\n1\n".to_owned() + &root.replace('=', "") + "\n", 3),
        // The same bytes by other spare bits: one root, one spelling.
        ("a\n1\n".to_owned() + &root.replace("I=", "J=") + "\n", 3),
        (TEXT.to_owned() + "\n", 4),
        (TEXT.to_owned() + "x\n\ny\n", 4),
        (TEXT.to_owned() + "x", 4),
    ] {
        let error = Checkpoint::parse(&text).unwrap_err();
        assert_eq!((error.kind, error.place), (ErrorKind::Malformed, Place::Line(line)), "{text:?}");
    }
    let empty = format!("a\n0\n{root}\n");
    assert_eq!(Checkpoint::parse(&empty).unwrap_err().kind, ErrorKind::Invalid);
    assert!(Checkpoint::new("a\nb", 0, empty_root()).is_err());
}

#[test]
fn only_the_logs_own_key_makes_it_one() {
    let log = SignerKey::from_seed("log.example", KeyType::Ed25519, &[1; 32]).unwrap();
    let other = SignerKey::from_seed("other.example", KeyType::Ed25519, &[2; 32]).unwrap();
    let keys = [log.verifier().clone(), other.verifier().clone()];
    let mut note = Note::new(Checkpoint::new("log.example", 1, [1; 32]).unwrap().to_string()).unwrap();
    note.sign(&log);
    Checkpoint::verify(&note, &keys[..1]).unwrap();
    assert_eq!(Checkpoint::verify(&note, &keys[1..]).unwrap_err().kind, ErrorKind::Quorum);
    let mut note = Note::new(note.text().to_owned()).unwrap();
    note.sign(&other);
    assert_eq!(Checkpoint::verify(&note, &keys).unwrap_err().kind, ErrorKind::Invalid);
}
