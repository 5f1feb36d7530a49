//! What a log, a witness and a member are sent, changed at random: every reader refuses it, or writes it again as the same
//! bytes, so that nothing has two spellings. `tests/fuzz/fuzz_targets/consortium_log.rs` does the same for longer.
#![allow(clippy::unwrap_used)]

use interdict_consortium::keys::{KeyType, SignerKey};
use interdict_consortium::kind::MemberId;
use interdict_consortium::log::checkpoint::Checkpoint;
use interdict_consortium::log::witness::AddCheckpoint;
use interdict_consortium::log::{Memory, Policy, Proof, Tile, Writer, tail, tile};
use interdict_consortium::note::Note;
use interdict_consortium::query::opening::{decode_all, encode_all};
use interdict_consortium::query::{Opening, Promise, Query, Request, Service};
use proptest::prelude::*;
use std::sync::OnceLock;

/// One right input of each kind.
fn right() -> &'static [Vec<u8>] {
    static RIGHT: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    RIGHT.get_or_init(|| {
        let key = SignerKey::from_seed("alliance.example/queries", KeyType::Ed25519, &[1; 32]).unwrap();
        let (time_ms, body) = (1_790_000_000_000, [7; 32]);
        let request = Request {
            log: key.verifier().name().into(),
            member: MemberId(3),
            epoch: 12,
            service: Service::Confirm,
            items: 16,
            body,
            time_ms,
        };
        let mut asked = Note::new(request.encode().unwrap()).unwrap();
        asked.sign(&key);
        let opening = Opening { salt: [5; 16], query: Query::new(&request, &asked, b"answer", time_ms) };
        let promise = Promise::new(key.verifier().name(), 4, &opening, time_ms);
        let mut writer = Writer::open(Memory::default(), key.clone()).unwrap();
        writer.append(&[opening.leaf(), body, body]).unwrap();
        let checkpoint = writer.checkpoint().unwrap().clone();
        vec![
            asked.encode().into_bytes(),
            asked.text().as_bytes().to_vec(),
            checkpoint.text().as_bytes().to_vec(),
            writer.prove(0, Some(opening.encode())).unwrap().encode().into_bytes(),
            writer.add_checkpoint(2).unwrap().to_string().into_bytes(),
            opening.encode(),
            opening.query.encode().into_bytes(),
            promise.encode().unwrap().into_bytes(),
            encode_all([(0, &opening), (9, &opening)]).unwrap(),
            Policy::text_of(&[key.verifier().clone()], &[], 0).unwrap().into_bytes(),
            tail::frame(3, &[b"one", b"two"]).unwrap(),
            b"tile/3/x001/234.p/56".to_vec(),
        ]
    })
}

/// How many readers took it; each that does must write the same.
fn read(bytes: &[u8]) -> usize {
    let mut written = Vec::new();
    written.extend(Note::parse(bytes).map(|note| note.encode().into_bytes()));
    written.extend(Proof::parse(bytes).map(|proof| proof.encode().into_bytes()));
    written.extend(AddCheckpoint::parse(bytes).map(|request| request.to_string().into_bytes()));
    written.extend(Opening::decode(bytes).map(|opening| opening.encode()));
    written.extend(decode_all(bytes).map(|all| encode_all(all.iter().map(|(n, o)| (*n, o))).unwrap()));
    if let Ok(text) = std::str::from_utf8(bytes) {
        written.extend(Tile::parse(text).map(|tile| tile.to_string().into_bytes()));
        written.extend(Checkpoint::parse(text).map(|checkpoint| checkpoint.to_string().into_bytes()));
        written.extend(Query::decode(text).map(|query| query.encode().into_bytes()));
        written.extend(Request::decode(text).map(|request| request.encode().unwrap().into_bytes()));
        written.extend(Promise::decode(text).map(|promise| promise.encode().unwrap().into_bytes()));
    }
    written.iter().for_each(|again| assert_eq!(again, bytes));
    let others = [
        Policy::parse(bytes).is_ok(),
        tail::read(bytes).is_ok_and(|tail| tail.is_some_and(|tail| !tail.is_torn)),
    ];
    // A tile or a bundle is what it is; only its length can be wrong.
    let _ = (tile::hashes(bytes, 256), tile::entries(bytes, 256));
    written.len() + others.iter().filter(|is_read| **is_read).count()
}

#[test]
fn what_is_right_is_read() {
    assert!(right().iter().all(|bytes| read(bytes) >= 1));
}

/// The seeds of the fuzz target were not written by us: a script made them from the formats.
#[test]
fn every_seed_of_the_fuzz_target_is_read() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/corpus/consortium_log");
    let seeds: Vec<_> = std::fs::read_dir(corpus).unwrap().map(|seed| seed.unwrap().path()).collect();
    assert_eq!(seeds.len(), right().len());
    seeds.iter().for_each(|seed| assert!(read(&std::fs::read(seed).unwrap()) >= 1, "{}", seed.display()));
}

proptest! {
    #[test]
    fn what_is_changed_is_refused_or_has_one_spelling(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0usize..6, any::<prop::sample::Index>()), 1..4),
    ) {
        let mut bytes = which.get(right()).clone();
        for (place, change, other) in changes {
            let at = place.index(bytes.len().max(1));
            match change {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, b"\n 0+/=A\xff"[other.index(8)]),
                2 if !bytes.is_empty() => drop(bytes.remove(at)),
                3 if !bytes.is_empty() => bytes[at] = b"\n 019+/=Aa\0"[other.index(11)],
                4 => bytes.extend_from_within(at..),
                _ => bytes.extend_from_slice(&other.get(right())[..]),
            }
        }
        read(&bytes);
    }
}
