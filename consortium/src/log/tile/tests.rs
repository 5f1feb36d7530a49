#![allow(clippy::unwrap_used)]

use super::*;
use std::collections::BTreeMap;

#[test]
fn paths_are_those_of_the_standard_and_have_one_spelling() {
    let tile = Tile { content: Content::Hashes(4), index: 1_234_067, width: 256 };
    assert_eq!(tile.to_string(), "tile/4/x001/x234/067");
    assert_eq!(Tile { width: 8, ..tile }.to_string(), "tile/4/x001/x234/067.p/8");
    assert_eq!(Tile { content: Content::Entries, index: 5, width: 256 }.to_string(), "tile/entries/005");
    for index in [0, 1, 999, 1000, 999_999, 1_000_000, u64::MAX >> 8] {
        for (content, width) in [(Content::Entries, 1), (Content::Hashes(0), 255), (Content::Hashes(7), 256)]
        {
            let tile = Tile { content, index, width };
            assert_eq!(Tile::parse(&tile.to_string()).unwrap(), tile);
        }
    }
    for wrong in [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/64/000",
        "tile/00/000",
        "tile/-1/000",
        "tile/+1/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000/",
        "tile/data/000",
        "/tile/0/000",
        "tile/0/../000",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert_eq!(Tile::parse(wrong).unwrap_err().kind, ErrorKind::Malformed, "{wrong:?}");
    }
}

#[test]
fn a_tree_has_the_tiles_of_the_standards_examples() {
    let widths = |size| {
        let mut widths = BTreeMap::<_, (u64, u16)>::new();
        for tile in Tile::all_new(0, size) {
            let (full, partial) = widths.entry(tile.content).or_default();
            if tile.is_full() { *full += 1 } else { *partial = tile.width }
        }
        widths.into_iter().collect::<Vec<_>>()
    };
    let (entries, level) = (Content::Entries, Content::Hashes);
    assert_eq!(
        widths(70_000),
        [(entries, (273, 112)), (level(0), (273, 112)), (level(1), (1, 17)), (level(2), (0, 1))]
    );
    assert_eq!(widths(256), [(entries, (1, 0)), (level(0), (1, 0)), (level(1), (0, 1))]);
    assert_eq!(widths(0), []);
    let new: Vec<String> = Tile::all_new(255, 257).map(|tile| tile.to_string()).collect();
    assert_eq!(
        new,
        ["tile/entries/000", "tile/entries/001.p/1", "tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1"]
    );
    assert_eq!(Tile::all_new(700, 700).count(), 0);
}

#[test]
fn bundles_hold_what_was_put_in_and_end_where_they_say() {
    let (long, mut bundle) = (vec![7; LEAF_BYTES_MAX], Vec::new());
    for leaf in [&b""[..], b"a", &long] {
        put_entry(&mut bundle, leaf).unwrap();
    }
    assert_eq!(entries(&bundle, 3).unwrap(), [&b""[..], b"a", &long]);
    assert_eq!(entries(&bundle, 2).unwrap().len(), 2);
    assert_eq!(entries(&bundle, 4).unwrap_err().kind, ErrorKind::Corrupt);
    let error = entries(&bundle[..bundle.len() - 1], 3).unwrap_err();
    assert_eq!((error.kind, error.place), (ErrorKind::Corrupt, Place::Byte(5)));
    let error = put_entry(&mut bundle, &vec![0; LEAF_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge);
    assert!(hashes(&[0; 63], 1).is_err() && hashes(&[0; 32], 2).is_err() && hashes(&[0; 8224], 1).is_err());
    assert_eq!(hashes(&[1; 96], 2).unwrap(), [[1; 32]; 2]);
}
