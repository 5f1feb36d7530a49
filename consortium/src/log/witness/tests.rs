#![allow(clippy::unwrap_used)]

use super::*;
use crate::log::{Memory, Writer};
use std::cell::Cell;

fn log_key() -> SignerKey {
    SignerKey::from_seed("log.example", KeyType::Ed25519, &[1; 32]).unwrap()
}
fn key() -> SignerKey {
    SignerKey::from_seed("bank-a.example", KeyType::Cosignature, &[2; 32]).unwrap()
}
fn keys() -> [VerifierKey; 1] {
    [log_key().verifier().clone()]
}
/// A log of leaves of one kind, and its requests at a size.
fn log(kind: &str, size: u64) -> Writer<Memory> {
    let mut writer = Writer::open(Memory::default(), log_key()).unwrap();
    writer.append(&(0..size).map(|n| format!("{kind} {n}")).collect::<Vec<_>>()).unwrap();
    writer.checkpoint().unwrap();
    writer
}
fn ask(witness: &mut Witness<&Memory>, log: &Writer<Memory>, old: u64) -> Answer {
    let request = log.add_checkpoint(old).unwrap().to_string();
    assert_eq!(AddCheckpoint::parse(request.as_bytes()).unwrap().to_string(), request);
    witness.add_checkpoint(request.as_bytes(), 1_700_000_000).unwrap()
}

#[test]
fn it_cosigns_what_extends_what_it_cosigned() {
    let folder = Memory::default();
    let mut witness = Witness::open(&folder, key(), &keys()).unwrap();
    let mut old = 0;
    for size in [0, 1, 1, 7, 300] {
        let mut log = log("a", size);
        let answer = ask(&mut witness, &log, old);
        let Answer::Cosigned(line) = &answer else { panic!("{answer:?}") };
        assert_eq!((answer.status(), answer.media_type()), (200, "text/plain; charset=utf-8"));
        assert_eq!(log.add_cosignatures(line, &[key().verifier().clone()]).unwrap(), 1);
        old = size;
        // It knows after a restart.
        witness = Witness::open(&folder, key(), &keys()).unwrap();
        assert_eq!(witness.held("log.example").unwrap().0.size, size);
    }
    let answer = ask(&mut witness, &log("a", 400), 7);
    assert_eq!((answer.status(), answer.body().as_str()), (409, "300\n"));
    assert_eq!(answer.media_type(), "text/x.tlog.size");
    // A shorter tree is refused too; whether it is of the same history one cannot tell from it.
    assert_eq!(ask(&mut witness, &log("a", 200), 200), Answer::Conflict(300));
}

#[test]
fn a_split_view_is_refused_with_both_checkpoints_as_evidence() {
    let folder = Memory::default();
    let mut witness = Witness::open(&folder, key(), &keys()).unwrap();
    let (honest, fork) = (log("a", 300), log("b", 300));
    ask(&mut witness, &honest, 0);
    for (old, status) in [(300, 422), (0, 409), (300, 422)] {
        let answer = ask(&mut witness, &fork, old);
        let Answer::Equivocation(_, evidence) = &answer else { panic!("{answer:?}") };
        assert_eq!(answer.status(), status);
        evidence.verify(&keys()).unwrap();
        assert_eq!(evidence.held.text(), honest.published().unwrap().1.text());
        assert_eq!(evidence.offered.text(), fork.published().unwrap().1.text());
    }
    let kept = witness.evidence("log.example").unwrap().unwrap();
    assert!(kept.contains(honest.published().unwrap().1.text()));
    assert!(kept.contains(fork.published().unwrap().1.text()));
    // A longer fork has no proof that the witness would take.
    let fork = log("b", 400);
    let answer = ask(&mut witness, &fork, 300);
    assert!(matches!(&answer, Answer::Refused(422, error) if error.kind == ErrorKind::Corrupt), "{answer:?}");
    assert_eq!(ask(&mut witness, &log("a", 400), 300).status(), 200);
    // No evidence is two checkpoints that do not exclude each other.
    let (one, two) = (log("a", 300), log("a", 400));
    let of = |log: &Writer<Memory>| log.published().unwrap().1.clone();
    let none = Evidence { held: of(&one), offered: of(&two), bridge: None };
    assert_eq!(none.verify(&keys()).unwrap_err().kind, ErrorKind::Invalid);
    let none = Evidence { held: of(&one), offered: of(&one), bridge: None };
    assert_eq!(none.verify(&keys()).unwrap_err().kind, ErrorKind::Invalid);
}

#[test]
fn requests_that_are_none_have_their_statuses() {
    let folder = Memory::default();
    let mut witness = Witness::open(&folder, key(), &keys()).unwrap();
    let request = log("a", 3).add_checkpoint(0).unwrap();
    let note = request.checkpoint.encode();
    let hash = text_of(&[7; 32]);
    let other = note.replace("log.example", "other.example");
    let forged = note.replace("\n3\n", "\n4\n");
    let empty = Checkpoint::new("log.example", 0, super::super::tree::empty_root()).unwrap().to_string();
    let empty = note.replace(request.checkpoint.text(), &empty.replace("47", "48"));
    for (body, status) in [
        (String::new(), 400),
        (format!("old 01\n\n{note}"), 400),
        (format!("old 0\nAAAA\n\n{note}"), 400),
        (format!("old 0\n{}\n{note}", format!("{hash}\n").repeat(64)), 400),
        (format!("old 4\n\n{note}"), 400),
        (format!("old 0\n{note}"), 400),
        (format!("old 0\n\n{other}"), 404),
        (format!("old 0\n\n{forged}"), 403),
        (format!("old 0\n\n{empty}"), 422),
        (format!("old 0\n{hash}\n\n{note}"), 422),
        (format!("old 1\n\n{note}"), 409),
    ] {
        assert_eq!(witness.add_checkpoint(body.as_bytes(), 1).unwrap().status(), status, "{body:?}");
    }
    assert_eq!(witness.held("log.example"), None);
    let body = request.to_string().into_bytes();
    for (at, bit) in (0..body.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut changed = body.clone();
        changed[at] ^= 1 << bit;
        assert_ne!(witness.add_checkpoint(&changed, 1).unwrap().status(), 200, "byte {at} bit {bit}");
    }
    assert!(Witness::open(&folder, log_key(), &keys()).is_err());
    folder.write(&path("witness", "log.example"), b"rubbish").unwrap();
    assert!(Witness::open(&folder, key(), &keys()).is_err());
}

/// A folder whose writes stop, before or after they are done.
#[derive(Debug, Default)]
struct Stopping {
    folder: Memory,
    is_done: bool,
    is_stopped: Cell<bool>,
}

impl Folder for &Stopping {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.folder.read(path)
    }
    fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        if self.is_done || !self.is_stopped.get() {
            self.folder.write(path, bytes)?;
        }
        let error = || Error::new(ErrorKind::Storage, "stopped");
        (!self.is_stopped.get()).then_some(()).ok_or_else(error)
    }
    fn append(&self, _: &str, _: &[u8]) -> Result<()> {
        unreachable!("a witness writes whole files")
    }
    fn sync(&self, _: &str) -> Result<()> {
        unreachable!("a witness writes whole files")
    }
    fn list(&self, _: &str) -> Result<Vec<String>> {
        unreachable!("a witness lists nothing")
    }
    fn remove(&self, _: &str) -> Result<()> {
        unreachable!("a witness removes nothing")
    }
}

#[test]
fn a_crash_while_it_saves_never_lets_it_cosign_two_histories() {
    for is_done in [false, true] {
        let folder = Stopping { is_done, ..Stopping::default() };
        let mut witness = Witness::open(&folder, key(), &keys()).unwrap();
        let body = |log: &Writer<Memory>, old| log.add_checkpoint(old).unwrap().to_string().into_bytes();
        let cosign = |witness: &mut Witness<_>, body: Vec<u8>| witness.add_checkpoint(&body, 1);
        assert_eq!(cosign(&mut witness, body(&log("a", 3), 0)).unwrap().status(), 200);
        folder.is_stopped.set(true);
        let error = cosign(&mut witness, body(&log("a", 5), 3)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Storage);
        folder.is_stopped.set(false);
        let mut witness = Witness::open(&folder, key(), &keys()).unwrap();
        let held = if is_done { 5 } else { 3 };
        assert_eq!(witness.held("log.example").unwrap().0.size, held);
        assert_ne!(cosign(&mut witness, body(&log("b", 5), 3)).unwrap().status(), 200);
        assert_eq!(cosign(&mut witness, body(&log("a", 9), held)).unwrap().status(), 200);
    }
}
