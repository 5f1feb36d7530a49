#![allow(clippy::unwrap_used)]

use super::*;
use crate::error::ErrorKind;
use crate::keys::{KeyType, SignerKey};
use crate::kind::MemberId;
use crate::log::{Memory, Policy, Writer, prove, tree};
use crate::note::Note;
use proptest::prelude::*;

const LOG: &str = "alliance.example/queries";
const RESPONSE: &[u8] = b"what was answered";

fn member() -> SignerKey {
    SignerKey::from_seed("bank-a.example", KeyType::Ed25519, &[1; 32]).unwrap()
}
fn log() -> SignerKey {
    SignerKey::from_seed(LOG, KeyType::Ed25519, &[2; 32]).unwrap()
}
fn witness(n: u8) -> SignerKey {
    SignerKey::from_seed(&format!("bank-{n}.example"), KeyType::Cosignature, &[10 + n; 32]).unwrap()
}
fn request() -> Request {
    Request {
        log: LOG.into(),
        member: MemberId(3),
        epoch: 12,
        service: Service::Confirm,
        items: 16,
        body: hash(b"blinded elements"),
        time_ms: 1_790_000_000_000,
    }
}
fn asked() -> Note {
    let mut note = Note::new(request().encode().unwrap()).unwrap();
    note.sign(&member());
    note
}
fn opening() -> Opening {
    Opening { salt: [5; 16], query: Query::new(&request(), &asked(), RESPONSE, 1_790_000_000_010) }
}

#[test]
fn the_records_have_one_spelling() {
    let (query, promise) = (opening().query.encode(), Promise::new(LOG, 7, &opening(), 9).encode().unwrap());
    assert_eq!(
        query.lines().map(|line| line.split(' ').next().unwrap()).collect::<Vec<_>>(),
        ["interdict/query/v1", "member", "epoch", "service", "items", "request", "response", "time_ms"]
    );
    assert_eq!(Query::decode(&query).unwrap().encode(), query);
    assert_eq!(Promise::decode(&promise).unwrap().encode().unwrap(), promise);
    let request = asked().text().to_owned();
    assert_eq!(Request::decode(&request).unwrap().encode().unwrap(), request);
    for (text, from, to) in
        [(&query, "confirm", "Confirm"), (&query, "member 3", "member 03"), (&query, "v1", "v2")]
    {
        assert!(Query::decode(&text.replacen(from, to, 1)).is_err(), "{to}");
    }
    for cut in 0..query.len() {
        assert!(
            Query::decode(&query[..cut]).is_err() && Opening::decode(&opening().encode()[..cut]).is_err()
        );
    }
}

#[test]
fn neither_can_deny_what_was_asked_and_answered() {
    let keys = [member().verifier().clone()];
    assert_eq!(Request::verify(&asked(), &keys, b"blinded elements").unwrap(), request());
    assert_eq!(Request::verify(&asked(), &keys, b"others").unwrap_err().kind, ErrorKind::Corrupt);
    let stranger = [witness(0).verifier().as_type(KeyType::Ed25519)];
    assert_eq!(
        Request::verify(&asked(), &stranger, b"blinded elements").unwrap_err().kind,
        ErrorKind::UnknownKey
    );
    let promise = Promise::new(LOG, 7, &opening(), 9);
    let mut note = Note::new(promise.encode().unwrap()).unwrap();
    note.sign(&log());
    assert_eq!(Promise::verify(&note, &[log().verifier().clone()]).unwrap(), promise);
    promise.check(&asked(), RESPONSE, &opening()).unwrap();
    let mut other_request = Note::new(Request { items: 17, ..request() }.encode().unwrap()).unwrap();
    other_request.sign(&member());
    let more = Opening { query: Query { items: 17, ..opening().query }, ..opening() };
    let salted = Opening { salt: [6; 16], ..opening() };
    for (request, response, opening) in [
        (&other_request, RESPONSE, &opening()),
        (&asked(), b"another".as_slice(), &opening()),
        (&asked(), RESPONSE, &more),
        (&asked(), RESPONSE, &salted),
    ] {
        assert_eq!(promise.check(request, response, opening).unwrap_err().kind, ErrorKind::Corrupt);
    }
    // The member's key is not the log's.
    let mut forged = Note::new(promise.encode().unwrap()).unwrap();
    forged.sign(&member());
    assert_eq!(
        Promise::verify(&forged, &[member().verifier().clone()]).unwrap_err().kind,
        ErrorKind::Invalid
    );
}

/// A log of 300 queries, of which `opening` is number 290, and a policy of two of three witnesses.
fn answered() -> (Writer<Memory>, Policy, Note) {
    let mut writer = Writer::open(Memory::default(), log()).unwrap();
    let leaf = |n: u64| if n == 290 { opening().leaf().to_vec() } else { hash(&n.to_be_bytes()).to_vec() };
    writer.append(&(0..300).map(leaf).collect::<Vec<_>>()).unwrap();
    let mut note = writer.checkpoint().unwrap().clone();
    (0..2).for_each(|n| note.cosign(&witness(n), 1_790_000_001));
    let witnesses: Vec<_> = (0..3).map(|n| witness(n).verifier().clone()).collect();
    let text = Policy::text_of(&[log().verifier().clone()], &witnesses, 2).unwrap();
    (writer, Policy::parse(text.as_bytes()).unwrap(), note)
}

#[test]
fn a_member_makes_its_receipt_and_anybody_checks_it() {
    let (writer, policy, note) = answered();
    // From the tiles that are named, and no others.
    let few = Memory::default();
    for tile in prove::inclusion_tiles(290, 300) {
        crate::log::Folder::write(&few, &tile.to_string(), &prove::read(writer.folder(), &tile).unwrap())
            .unwrap();
    }
    let bytes = receipt::build(&few, &note, 290, &opening()).unwrap().encode();
    let receipt = receipt::verify(bytes.as_bytes(), &policy).unwrap();
    assert_eq!((receipt.index, &receipt.query), (290, &opening().query));
    assert_eq!((receipt.verdict.checkpoint.size, receipt.verdict.witnesses.len()), (300, 2));
    assert_eq!(receipt::build(&few, &note, 289, &opening()).unwrap_err().kind, ErrorKind::Corrupt);
    for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut changed = bytes.clone().into_bytes();
        changed[at] ^= 1 << bit;
        assert!(receipt::verify(&changed, &policy).is_err(), "byte {at} bit {bit}");
    }
    let bare = writer.prove(290, None).unwrap().encode();
    assert_eq!(receipt::verify(bare.as_bytes(), &policy).unwrap_err().kind, ErrorKind::Malformed);
}

#[test]
fn a_promise_is_kept_waited_for_late_or_broken() {
    let (writer, policy, note) = answered();
    let verdict = policy.verify(&note).unwrap();
    let standing = |promise: &Promise, now_ms| promise.standing(&verdict, writer.folder(), now_ms);
    let promise = Promise::new(LOG, 290, &opening(), 1_000);
    assert_eq!(standing(&promise, 5_000).unwrap(), Standing::Kept);
    // A hub that dropped the query: another leaf is there, or none when it is time.
    assert_eq!(standing(&Promise { index: 291, ..promise.clone() }, 0).unwrap(), Standing::Broken);
    assert_eq!(standing(&Promise { index: 300, ..promise.clone() }, 1_000).unwrap(), Standing::Waiting);
    assert_eq!(standing(&Promise { index: 300, ..promise.clone() }, 1_001).unwrap(), Standing::Late);
    let elsewhere = Promise { log: "other.example".into(), ..promise };
    assert_eq!(standing(&elsewhere, 0).unwrap_err().kind, ErrorKind::Invalid);
}

#[test]
fn a_leaf_tells_nothing_of_its_record_without_the_salt() {
    let one = opening();
    let two = Opening { salt: [6; 16], ..one.clone() };
    assert_ne!(one.leaf(), two.leaf());
    assert_eq!(one.leaf(), hash(&one.encode()));
    one.check(&one.leaf()).unwrap();
    assert_eq!(two.check(&one.leaf()).unwrap_err().kind, ErrorKind::Corrupt);
    assert_ne!(tree::leaf_hash(&one.leaf()), one.leaf());
}

proptest! {
    #[test]
    fn openings_are_sent_in_order_and_read_back(
        indices in prop::collection::btree_set(any::<u64>(), 0..20), items in any::<u32>(), cut in any::<prop::sample::Index>(),
    ) {
        let opening = Opening { query: Query { items, ..opening().query }, ..opening() };
        let all: Vec<(u64, Opening)> = indices.iter().map(|index| (*index, opening.clone())).collect();
        let bytes = opening::encode_all(all.iter().map(|(index, opening)| (*index, opening))).unwrap();
        prop_assert_eq!(&opening::decode_all(&bytes).unwrap(), &all);
        if let Some(error) = (!all.is_empty()).then(|| opening::decode_all(&bytes[..bytes.len() - 1]).unwrap_err()) {
            prop_assert_eq!(error.kind, ErrorKind::Malformed);
            let first = [&bytes[..], &bytes[..10 + opening.encode().len()]].concat();
            prop_assert_eq!(opening::decode_all(&first).unwrap_err().kind, ErrorKind::Invalid);
            let _ = opening::decode_all(&bytes[cut.index(bytes.len())..]);
        }
    }
}
