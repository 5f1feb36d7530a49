//! Any bytes as what a log, a witness or a member is sent: refused, or written again as the same bytes.
#![no_main]

use interdict_consortium::log::checkpoint::Checkpoint;
use interdict_consortium::log::witness::AddCheckpoint;
use interdict_consortium::log::{Policy, Proof, Tile, tail, tile};
use interdict_consortium::note::Note;
use interdict_consortium::query::opening::{decode_all, encode_all};
use interdict_consortium::query::{Opening, Promise, Query, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(note.encode().as_bytes(), bytes);
    }
    if let Ok(proof) = Proof::parse(bytes) {
        assert_eq!(proof.encode().as_bytes(), bytes);
    }
    if let Ok(request) = AddCheckpoint::parse(bytes) {
        assert_eq!(request.to_string().as_bytes(), bytes);
    }
    if let Ok(opening) = Opening::decode(bytes) {
        assert_eq!(opening.encode(), bytes);
    }
    if let Ok(all) = decode_all(bytes) {
        assert_eq!(encode_all(all.iter().map(|(index, opening)| (*index, opening))).expect("in order"), bytes);
    }
    let _ = (Policy::parse(bytes), tail::read(bytes), tile::hashes(bytes, 256), tile::entries(bytes, 256));
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(tile) = Tile::parse(text) {
        assert_eq!(tile.to_string(), text);
    }
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(checkpoint.to_string(), text);
    }
    if let Ok(query) = Query::decode(text) {
        assert_eq!(query.encode(), text);
    }
    if let Ok(request) = Request::decode(text) {
        assert_eq!(request.encode().expect("as read"), text);
    }
    if let Ok(promise) = Promise::decode(text) {
        assert_eq!(promise.encode().expect("as read"), text);
    }
});
