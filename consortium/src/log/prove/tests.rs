#![allow(clippy::unwrap_used)]

use super::*;
use crate::keys::{KeyType, SignerKey};
use crate::log::{Folder, Memory, Writer};

fn log_of(size: u64) -> (Memory, Checkpoint) {
    let folder = Memory::default();
    let key = SignerKey::from_seed("log.example", KeyType::Ed25519, &[1; 32]).unwrap();
    let mut writer = Writer::open(&folder, key).unwrap();
    writer.append(&(0..size).map(|n| n.to_be_bytes()).collect::<Vec<_>>()).unwrap();
    let checkpoint = Checkpoint::parse(writer.checkpoint().unwrap().text()).unwrap();
    (folder, checkpoint)
}

#[test]
fn the_tiles_that_are_named_suffice() {
    for size in [1, 2, 255, 256, 257, 513, 600] {
        let (folder, checkpoint) = log_of(size);
        for (index, old) in [(0, 0), (size / 2, size / 2), (size - 1, size - 1), (size - 1, size)] {
            let own = Tile::of(Node { level: 0, index }, size).unwrap();
            let few = Memory::default();
            for tile in inclusion_tiles(index, size).into_iter().chain([own]) {
                few.write(&tile.to_string(), &folder.tile(&tile).unwrap().unwrap()).unwrap();
            }
            Prover::new(&few, size).inclusion(index, &checkpoint).unwrap();
            let few = Memory::default();
            let of_old = cover(0, old).into_iter().filter_map(|node| Tile::of(node, size));
            for tile in consistency_tiles(old, size).into_iter().chain(of_old) {
                few.write(&tile.to_string(), &folder.tile(&tile).unwrap().unwrap()).unwrap();
            }
            Prover::new(&few, size).consistency(old, &checkpoint).unwrap();
        }
        let error = Prover::new(&folder, size).inclusion(size, &checkpoint).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
    }
}

#[test]
fn a_flipped_bit_in_a_tile_that_a_proof_uses_gives_no_proof() {
    let (folder, checkpoint) = log_of(600);
    // Leaf 300: from its own tile, and from those that hold its neighbours' roots.
    for (path, at) in
        [("tile/0/001", 44 * 32), ("tile/0/001", 3), ("tile/1/000.p/2", 5), ("tile/0/002.p/88", 77)]
    {
        let bytes = folder.read(path).unwrap().unwrap();
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            folder.write(path, &changed).unwrap();
            let error = Prover::new(&folder, 600).inclusion(300, &checkpoint).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Corrupt, "{path} {bit}");
        }
        folder.write(path, &bytes[1..]).unwrap();
        let error = Prover::new(&folder, 600).inclusion(300, &checkpoint).unwrap_err();
        assert!(error.kind == ErrorKind::Corrupt && error.message.contains(path), "{error}");
        folder.remove(path).unwrap();
        let error = Prover::new(&folder, 600).inclusion(300, &checkpoint).unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        folder.write(path, &bytes).unwrap();
    }
    Prover::new(&folder, 600).inclusion(300, &checkpoint).unwrap();
}

#[test]
fn leaves_come_in_order_and_a_full_bundle_stands_for_a_partial_one() {
    let (folder, _) = log_of(600);
    for (from, to) in [(0, 0), (0, 1), (255, 257), (3, 599), (256, 512), (600, 600)] {
        let mut seen = from;
        for_bundles(&folder, (from, to), 600, |first, leaves| {
            assert_eq!(first, seen);
            leaves.iter().for_each(|leaf| {
                assert_eq!(*leaf, seen.to_be_bytes());
                seen += 1;
            });
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, to);
    }
    assert_eq!(for_bundles(&folder, (599, 601), 600, |_, _| Ok(())).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(leaf(&folder, 599, 600).unwrap(), 599u64.to_be_bytes());
    assert_eq!(leaf(&folder, 10, 300).unwrap(), 10u64.to_be_bytes());
    assert_eq!(leaf(&folder, 600, 600).unwrap_err().kind, ErrorKind::NotFound);
}
