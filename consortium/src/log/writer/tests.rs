#![allow(clippy::unwrap_used)]

use super::*;
use crate::keys::KeyType;
use crate::log::Memory;
use crate::log::tree::{node_hash, verify_consistency};
use proptest::prelude::*;

mod crash;

fn key() -> SignerKey {
    SignerKey::from_seed("alliance.example/queries", KeyType::Ed25519, &[1; 32]).unwrap()
}
fn leaf_of(n: u64) -> Vec<u8> {
    format!("leaf {n}").into_bytes()
}
fn leaves(range: Range<u64>) -> Vec<Vec<u8>> {
    range.map(leaf_of).collect()
}
/// The root by RFC 6962's recursion over hashes.
fn root_over(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => crate::log::tree::empty_root(),
        [one] => *one,
        more => {
            let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
            node_hash(&root_over(left), &root_over(right))
        }
    }
}
fn root_of_first(size: u64) -> Hash {
    root_over(&(0..size).map(|n| leaf_hash(&leaf_of(n))).collect::<Vec<_>>())
}
/// The paths of all files of a folder.
fn paths(folder: &Memory) -> Vec<String> {
    let debug = format!("{folder:?}");
    debug.split('"').filter(|part| part.starts_with("tile/")).map(str::to_owned).collect()
}

#[test]
fn a_log_grows_is_proved_and_opens_again() {
    let folder = Memory::default();
    let mut writer = Writer::open(&folder, key()).unwrap();
    assert_eq!(writer.prove(0, None).unwrap_err().kind, ErrorKind::NotFound);
    let empty = writer.checkpoint().unwrap().clone();
    assert_eq!(Checkpoint::parse(empty.text()).unwrap().size, 0);
    let mut checkpoints = Vec::new();
    for (from, to) in [(0, 1), (1, 255), (255, 256), (256, 300), (300, 1024), (1024, 1025)] {
        assert_eq!(writer.append(&leaves(from..to)).unwrap(), from..to);
        assert_eq!((writer.size(), writer.pending()), (to, (to - from) as usize));
        assert_eq!(writer.leaf(to - 1).unwrap(), leaf_of(to - 1));
        let note = writer.checkpoint().unwrap().clone();
        let checkpoint = Checkpoint::verify(&note, &[key().verifier().clone()]).unwrap();
        assert_eq!((checkpoint.size, checkpoint.root), (to, root_of_first(to)));
        for index in [0, from, to - 1] {
            let proof = writer.prove(index, None).unwrap();
            let leaf = leaf_hash(&leaf_of(index));
            crate::log::tree::verify_inclusion(&leaf, index, to, &proof.hashes, &checkpoint.root).unwrap();
            assert_eq!(writer.leaf(index).unwrap(), leaf_of(index));
        }
        checkpoints.push(checkpoint);
        writer = Writer::open(&folder, key()).unwrap();
        assert_eq!(writer.published().unwrap().1, &note);
        assert_eq!(writer.checkpoint().unwrap(), &note);
    }
    let last = checkpoints.last().unwrap();
    for old in &checkpoints {
        writer.check_extends(old).unwrap();
        let request = writer.add_checkpoint(old.size).unwrap();
        verify_consistency((old.size, &old.root), (last.size, &last.root), &request.proof).unwrap();
    }
    // No partial tile is left where the full one is there.
    let paths = paths(&folder);
    assert!(paths.iter().any(|path| path == "tile/0/000") && paths.iter().any(|path| path.contains(".p/")));
    for path in paths.iter().filter_map(|path| path.split_once(".p/")) {
        assert!(!paths.iter().any(|other| other == path.0), "{path:?}");
    }
    assert_eq!(folder.read(TAIL).unwrap(), Some(Vec::new()));
}

#[test]
fn what_would_be_another_history_is_refused() {
    let folder = Memory::default();
    let mut writer = Writer::open(&folder, key()).unwrap();
    writer.append(&leaves(0..300)).unwrap();
    writer.checkpoint().unwrap();
    writer.append(&leaves(300..301)).unwrap();
    let seen = Checkpoint::new("alliance.example/queries", 200, root_of_first(200)).unwrap();
    writer.check_extends(&seen).unwrap();
    let other = Checkpoint { root: [9; 32], ..seen.clone() };
    assert_eq!(writer.check_extends(&other).unwrap_err().kind, ErrorKind::Equivocation);
    let later = Checkpoint { size: 301, ..seen };
    assert_eq!(writer.check_extends(&later).unwrap_err().kind, ErrorKind::Stale);
    // Another key's checkpoint, another tile, another bundle: not opened.
    let other = SignerKey::from_seed("alliance.example/queries", KeyType::Ed25519, &[2; 32]).unwrap();
    assert_eq!(Writer::open(&folder, other).unwrap_err().kind, ErrorKind::Quorum);
    for path in
        ["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44", "checkpoint", "tail"]
    {
        let bytes = folder.read(path).unwrap().unwrap();
        let mut changed = bytes.clone();
        let at = if path == "tail" { 6 } else { 31 };
        changed[at] ^= 1;
        folder.write(path, &changed).unwrap();
        match path {
            // Below the edge: found by whoever reads it, and by no proof.
            "tile/0/000" => {
                let writer = Writer::open(&folder, key()).unwrap();
                assert_eq!(writer.prove(0, None).unwrap_err().kind, ErrorKind::Corrupt);
            }
            // A frame that no later one follows may have been torn: it counts as never promised.
            "tail" => assert_eq!(Writer::open(&folder, key()).unwrap().size(), 300),
            _ => assert!(Writer::open(&folder, key()).is_err(), "{path}"),
        }
        folder.write(path, &bytes).unwrap();
    }
    assert_eq!(Writer::open(&folder, key()).unwrap().size(), 301);
}

#[test]
fn what_waits_has_a_bound_and_a_leaf_too() {
    let mut writer = Writer::open(Memory::default(), key()).unwrap();
    let many = vec![b"x"; PENDING_LEAVES_MAX];
    writer.append(&many).unwrap();
    assert_eq!(writer.append(&[b"y"]).unwrap_err().kind, ErrorKind::TooLarge);
    writer.checkpoint().unwrap();
    let long = vec![0u8; crate::limits::LEAF_BYTES_MAX + 1];
    assert_eq!(writer.append(&[&long]).unwrap_err().kind, ErrorKind::TooLarge);
    assert_eq!(writer.append(&[b"y"]).unwrap(), 65_536..65_537);
    writer.checkpoint().unwrap();
    writer.prove(65_535, None).unwrap();
}

#[test]
fn cosignatures_are_kept_with_the_checkpoint_they_are_of() {
    let folder = Memory::default();
    let witness = SignerKey::from_seed("bank-a.example", KeyType::Cosignature, &[3; 32]).unwrap();
    let stranger = SignerKey::from_seed("mallory.example", KeyType::Cosignature, &[4; 32]).unwrap();
    let mut writer = Writer::open(&folder, key()).unwrap();
    writer.append(&leaves(0..3)).unwrap();
    let known = [witness.verifier().clone()];
    assert_eq!(writer.add_cosignatures("", &known).unwrap_err().kind, ErrorKind::NotFound);
    let note = writer.checkpoint().unwrap().clone();
    let mut cosigned = Note::new(note.text().to_owned()).unwrap();
    cosigned.cosign(&stranger, 7);
    cosigned.cosign(&witness, 7);
    let lines: String = cosigned.signatures().iter().map(|line| format!("{line}\n")).collect();
    assert_eq!(writer.add_cosignatures(&lines, &known).unwrap(), 1);
    assert_eq!(writer.add_cosignatures(&lines, &known).unwrap(), 1);
    let held = Writer::open(&folder, key()).unwrap().published().unwrap().1.clone();
    assert_eq!(held.signatures().len(), 2);
    assert_eq!(held.verify_known(&known).unwrap()[0].time_s, Some(7));
    writer.append(&leaves(3..4)).unwrap();
    writer.checkpoint().unwrap();
    assert_eq!(writer.add_cosignatures(&lines, &known).unwrap_err().kind, ErrorKind::Corrupt);
}

#[test]
fn a_damaged_frame_before_a_whole_one_is_no_torn_one() {
    let folder = Memory::default();
    let mut writer = Writer::open(&folder, key()).unwrap();
    writer.append(&leaves(0..2)).unwrap();
    writer.append(&leaves(2..3)).unwrap();
    let bytes = folder.read(TAIL).unwrap().unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 4;
        folder.write(TAIL, &changed).unwrap();
        let is_first = at < bytes.len() - tail::frame(2, &leaves(2..3)).unwrap().len();
        match Writer::open(&folder, key()) {
            Ok(writer) => assert!(!is_first && writer.size() == 2, "{at}"),
            Err(error) => assert!(is_first && error.kind == ErrorKind::Corrupt, "{at}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// However the same leaves are cut into batches and checkpoints, the tree is the same, and so are the tiles.
    #[test]
    fn batches_leave_no_trace(cuts in prop::collection::vec((1u64..700, any::<bool>()), 1..8)) {
        let (folder, at_once) = (Memory::default(), Memory::default());
        let (mut writer, mut size) = (Writer::open(&folder, key()).unwrap(), 0);
        for (count, is_published) in cuts {
            writer.append(&leaves(size..size + count)).unwrap();
            size += count;
            if is_published {
                writer.checkpoint().unwrap();
                writer = Writer::open(&folder, key()).unwrap();
            }
        }
        let mut other = Writer::open(&at_once, key()).unwrap();
        other.append(&leaves(0..size)).unwrap();
        prop_assert_eq!(writer.checkpoint().unwrap(), other.checkpoint().unwrap());
        for tile in Tile::all_new(0, size) {
            let path = tile.to_string();
            prop_assert_eq!(folder.read(&path).unwrap(), at_once.read(&path).unwrap());
        }
    }
}
