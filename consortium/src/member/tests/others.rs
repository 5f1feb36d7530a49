//! The records of other parts, as those parts write them, are leaves here.

use super::super::alliance::*;
use super::super::*;
use crate::epoch::{self, manifest::File};
use crate::kind::MemberId;
use crate::signal;

#[test]
fn real_contributions_and_epochs_are_leaves() {
    let mut registry = founded();
    let contribution = signal::Manifest {
        alliance: "alliance.example".into(),
        member: BANKS[1].into(),
        number: 7,
        tag_key_version: 1,
        rows: 0,
        bytes: 16,
        sha256: [1; 32],
        legal_basis: None,
        created_ms: NOW_MS,
    };
    let note = by(contribution.text().unwrap(), &[BANKS[1]]);
    let applied = apply(&mut registry, &note).unwrap();
    let (ty, author) = (Numbered::Contribution, MemberId(1));
    assert_eq!(applied, Applied::Other { ty, author, number: 7 });
    let latest = registry.latest(ty, Some(author)).unwrap();
    assert_eq!((latest.number, latest.leaf, &*latest.note), (7, 1, &note));
    let epoch = epoch::Manifest {
        alliance: "alliance.example".into(),
        number: 1,
        parent: None,
        governance_size: 2,
        governance_root: [2; 32],
        built_ms: NOW_MS,
        valid_from_ms: NOW_MS,
        valid_until_ms: NOW_MS + 1,
        snapshot: File { sha256: [3; 32], bytes: 64 },
        rows: 0,
        tag_keys: vec![epoch::manifest::TagKey { version: 1, voprf: [4; 32] }],
        kinds: vec![],
    };
    let note = by(epoch.text().unwrap(), &[HUB, BANKS[0], BANKS[1]]);
    let applied = apply(&mut registry, &note).unwrap();
    assert_eq!(applied, Applied::Other { ty: Numbered::Epoch, author: MemberId(6), number: 1 });
    let signers = registry.signed_by(&note, 2).unwrap();
    assert_eq!(signers.into_iter().collect::<Vec<_>>(), [MemberId(0), MemberId(1), MemberId(6)]);
}
