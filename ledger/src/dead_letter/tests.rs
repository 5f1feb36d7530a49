#![allow(clippy::unwrap_used)]

use super::*;
use crate::MasterKey;

const DAY_MS: i64 = 86_400_000;

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn letters_are_kept_encrypted_bounded_and_read_back_without_a_torn_last_one() {
    let (dir, key) = (tempfile::tempdir().unwrap(), MasterKey::generate().unwrap());
    let mut letters = DeadLetters::open(dir.path(), &key, 300).unwrap();
    assert!(letters.keep("amount.minor", b"{\"amount\":***}").unwrap());
    assert!(letters.keep("time", b"{}").unwrap());
    assert!(!letters.keep("text", &[b'x'; 300]).unwrap());
    assert_eq!(letters.dropped(), 1);
    let path = dir.path().join("letters-00000001.bin");
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(6).any(|w| w == b"amount"));
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(read(dir.path(), &key).unwrap(), ["amount.minor\n{\"amount\":***}"]);
    assert_eq!(read(dir.path(), &MasterKey::generate().unwrap()).unwrap_err().kind, ErrorKind::WrongKey);
    // What comes after a torn one is read too.
    let mut letters = DeadLetters::open(dir.path(), &key, 1000).unwrap();
    assert!(letters.keep("kind", b"{}").unwrap());
    assert_eq!(read(dir.path(), &key).unwrap()[1..], ["kind\n{}"]);
    // A changed byte of a letter, of its time, or of the header is found.
    for at in [bytes.len() - 30, HEADER_BYTES + 5, 17] {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        std::fs::write(&path, bad).unwrap();
        assert_eq!(read(dir.path(), &key).unwrap_err().kind, ErrorKind::Corrupt, "{at}");
    }
}

#[test]
fn what_passed_its_retention_is_gone_and_the_rest_reads_under_its_own_keys() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (MasterKey::from_bytes([1; 32]), MasterKey::from_bytes([2; 32]));
    let sealing = Sealing::from(&first);
    let mut letters = DeadLetters::open(dir.path(), &sealing, 1 << 20).unwrap();
    assert!(letters.keep_at("one", b"{}", DAY_MS).unwrap());
    assert!(letters.keep_at("two", b"{}", DAY_MS + 5).unwrap());
    sealing.seal_under(&second);
    assert!(letters.keep_at("three", b"{}", DAY_MS + 6).unwrap());
    assert!(letters.keep_at("four", b"{}", 2 * DAY_MS + 6).unwrap());
    assert_eq!(names(dir.path()).len(), 3, "a file a key, and a file a day");
    assert_eq!(read(dir.path(), &sealing).unwrap(), ["one\n{}", "two\n{}", "three\n{}", "four\n{}"]);
    assert_eq!(read(dir.path(), &second).unwrap_err().kind, ErrorKind::WrongKey);
    assert_eq!(master_keys(dir.path()).unwrap(), [first.ident(), second.ident(), second.ident()]);

    let copy = std::fs::read(dir.path().join("letters-00000001.bin")).unwrap();
    assert_eq!(letters.destroy_through(DAY_MS + 4).unwrap(), 0, "its newest letter is younger");
    assert_eq!(letters.destroy_through(DAY_MS + 5).unwrap(), 1);
    assert_eq!(letters.oldest_ms(), Some(DAY_MS + 6));
    assert_eq!(read(dir.path(), &second).unwrap(), ["three\n{}", "four\n{}"]);
    // Where only the name came back, as on a disk whose blocks were kept: nobody reads the letters without the slot.
    let mut left = copy;
    left[32..92].fill(0);
    std::fs::write(dir.path().join("letters-00000001.bin"), left).unwrap();
    assert_eq!(read(dir.path(), &sealing).unwrap(), ["three\n{}", "four\n{}"]);

    // After a restart too, whoever made the files; and the one that is being written.
    let mut letters = DeadLetters::open(dir.path(), &sealing, 1 << 20).unwrap();
    assert!(letters.keep_at("five", b"{}", 3 * DAY_MS).unwrap());
    assert_eq!(letters.destroy_through(3 * DAY_MS).unwrap(), 4);
    assert_eq!((names(dir.path()).len(), letters.oldest_ms()), (0, None));
    assert!(letters.keep_at("six", b"{}", 3 * DAY_MS + 1).unwrap());
    assert_eq!(read(dir.path(), &second).unwrap(), ["six\n{}"]);
}

/// The file of a folder that an earlier version wrote.
#[test]
fn the_former_file_is_read_and_destroyed() {
    let (dir, key) = (tempfile::tempdir().unwrap(), MasterKey::from_bytes([1; 32]));
    let sealing = Sealing::from(&key);
    let sealed = sealing.letters()[0].encrypt(&Nonce::from([3; 12]), &b"time\n{}"[..]).unwrap();
    let frame = [&(sealed.len() as u32).to_le_bytes()[..], &[3; 12], &sealed].concat();
    std::fs::write(dir.path().join(FORMER_NAME), &frame).unwrap();
    sealing.seal_under(&MasterKey::from_bytes([2; 32]));
    let mut letters = DeadLetters::open(dir.path(), &sealing, 1 << 20).unwrap();
    assert!(letters.keep("kind", b"{}").unwrap());
    assert_eq!(read(dir.path(), &sealing).unwrap(), ["time\n{}", "kind\n{}"]);
    assert!(read(dir.path(), &MasterKey::from_bytes([9; 32])).is_err());
    assert_eq!(letters.destroy_through(0).unwrap(), 0);
    assert_eq!(letters.destroy_through(i64::MAX).unwrap(), 2);
    assert!(names(dir.path()).is_empty());
}
