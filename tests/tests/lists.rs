//! Exact lists against the slow oracle: random lists, deltas, transactions and times give the same hits and the same
//! outcome, at every sequence, whatever came after it; and the deltas' bounds and their all-or-nothing.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "lists/consortium.rs"]
mod consortium;
#[path = "lists/draw.rs"]
mod draw;

use draw::{delta, lists, oracle_of, told_by_engine, told_by_oracle, transaction};
use interdict_engine::ErrorKind;
use interdict_engine::domain::{
    Effect, Entry, Field, KeyId, ListDelta, Subject, SubjectKind, Tag, Transaction, TransactionKind,
};
use interdict_engine::limits::{DELTA_ENTRIES_MAX, LISTS_MAX, OVERLAY_ENDED_MAX, OVERLAY_ENTRIES_MAX};
use interdict_engine::lists::{
    DELTA_IDS_FROM, Hits, ListBase, ListMeta, ListView, Overlay, Snapshot, added_by, build,
};
use proptest::prelude::*;
use std::sync::{Arc, mpsc};

fn base_of(lists: &[(ListMeta, Vec<Entry>)]) -> ListBase {
    let open = |(meta, entries): &(ListMeta, Vec<Entry>)| {
        Snapshot::open(Arc::new(build(meta, entries.clone()).unwrap())).unwrap()
    };
    ListBase::new(lists.iter().map(open).collect()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn engine_and_oracle_agree_at_every_sequence(
        lists in lists(),
        deltas in prop::collection::vec(delta(), 0..9),
        transactions in prop::collection::vec(transaction(), 1..10),
    ) {
        let (base, mut oracle) = (base_of(&lists), oracle_of(&lists));
        let mut overlays = vec![(0, Overlay::new(&base))];
        let mut sequence = 0;
        for (gap, tenant, delta) in &deltas {
            sequence += gap;
            let next = overlays[overlays.len() - 1].1.apply(&base, sequence, tenant, delta).unwrap();
            overlays.push((sequence, next));
            oracle.apply(sequence, tenant, delta);
        }
        let latest = ListView { base: &base, overlay: &overlays[overlays.len() - 1].1 };
        let mut hits = Hits::new();
        // All deltas have been applied by now: an overlay of an earlier sequence must not have noticed.
        for (sequence, tx) in &transactions {
            let at = overlays.iter().rposition(|(delta, _)| delta < sequence).unwrap();
            let view = ListView { base: &base, overlay: &overlays[at].1 };
            let expected = told_by_oracle(&oracle, *sequence, tx);
            prop_assert_eq!(&told_by_engine(view, tx, &mut hits), &expected);

            for hit in hits.iter() {
                let (from, to) = latest.visibility(hit.list, hit.entry).unwrap();
                prop_assert!(from < *sequence && to.is_none_or(|to| *sequence <= to));
                prop_assert_eq!(latest.entry(hit.list, hit.entry), view.entry(hit.list, hit.entry));
            }

            // The same lists built from scratch at this sequence, without an overlay.
            let rebuilt: Vec<(ListMeta, Vec<Entry>)> = (0..view.len() as u16)
                .map(|list| (view.list_meta(list).unwrap().clone(), view.entries(list)))
                .collect();
            let rebuilt = base_of(&rebuilt);
            let view = ListView { base: &rebuilt, overlay: &Overlay::new(&rebuilt) };
            prop_assert_eq!(&told_by_engine(view, tx, &mut hits), &expected);
        }
        for (number, list) in oracle.0.iter().enumerate() {
            prop_assert_eq!(latest.number(&list.name, list.owner.as_deref()), Some(number as u16));
            let live = list.entries.iter().filter(|seen| seen.to.is_none());
            prop_assert_eq!(latest.entries(number as u16).len(), live.clone().count());
            for seen in live {
                let entry = latest.entry_of(number as u16, &seen.entry.subject).map(|e| Entry { id: 0, ..e });
                prop_assert_eq!(entry.as_ref(), Some(&seen.entry));
            }
        }
        prop_assert_eq!(latest.find("declared-but-never-loaded", "acme"), None);
    }
}

fn block(tag: u128) -> Entry {
    Entry {
        id: 0,
        subject: Subject::Tag { kind: SubjectKind::Card, tag: Tag(tag) },
        effect: Effect::Block,
        overridable: true,
        overrides: None,
        reason: "stolen".into(),
        severity: 90,
        contributor: "risk".into(),
        valid_from_ms: None,
        valid_to_ms: None,
    }
}
fn shared(list: &str, add: Vec<Entry>) -> ListDelta {
    ListDelta { list: list.into(), shared: true, add, remove: vec![] }
}
fn card(tag: u128) -> Transaction {
    let mut tx = Transaction::new("acme".into(), TransactionKind::Request, 5);
    tx.add_tag(Field::Card, KeyId::SHARED, Tag(tag));
    tx
}

#[test]
fn a_refused_delta_changes_nothing_and_names_what_is_wrong() {
    let base = base_of(&[]);
    let overlay = Overlay::new(&base).apply(&base, 7, "acme", &shared("stolen", vec![block(1)])).unwrap();
    let other = Entry { severity: 1, ..block(2) };
    let many = (0..=DELTA_ENTRIES_MAX as u128).map(block).collect();
    for (sequence, delta, kind, says) in [
        (8, shared("stolen", vec![block(2), other]), ErrorKind::Invalid, "entries 1 and 2 are the same card"),
        (
            8,
            shared("stolen", vec![block(2), Entry { severity: 200, ..block(3) }]),
            ErrorKind::Invalid,
            "entry 2: severity",
        ),
        (7, shared("stolen", vec![block(2)]), ErrorKind::Invalid, "sequence 7, expected one above 7"),
        (8, shared("pack/rule", vec![block(2)]), ErrorKind::Invalid, "list name"),
        (8, shared("stolen", many), ErrorKind::TooLarge, "10001 entries in one delta, limit 10000"),
    ] {
        let error = overlay.apply(&base, sequence, "acme", &delta).err().unwrap();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(says), "{error}");
    }
    let view = ListView { base: &base, overlay: &overlay };
    let mut hits = Hits::new();
    view.probe(&card(2), &mut hits);
    assert_eq!((hits.len(), overlay.len(), view.len()), (0, 1, 1));
    view.probe(&card(1), &mut hits);
    assert_eq!(hits[0].entry, DELTA_IDS_FROM + (7 << 16), "a delta's ids follow from its sequence");
    assert_eq!((added_by(hits[0].entry), added_by(DELTA_IDS_FROM - 1)), (Some(7), None));
    let twice = shared("stolen", vec![block(2), block(2)]);
    assert_eq!(
        overlay.apply(&base, 8, "acme", &twice).unwrap().len(),
        2,
        "the same entry twice is one entry"
    );
}

#[test]
fn lists_are_bounded_and_an_owner_s_list_comes_before_the_shared_one() {
    let base = base_of(&[]);
    let mut overlay = Overlay::new(&base);
    for number in 0..LISTS_MAX as u64 {
        overlay =
            overlay.apply(&base, number + 1, "acme", &shared(&format!("l{number}"), vec![block(1)])).unwrap();
    }
    let error = overlay.apply(&base, 99, "acme", &shared("one-more", vec![])).err().unwrap();
    assert_eq!(error.kind, ErrorKind::TooLarge);
    let mut hits = Hits::new();
    ListView { base: &base, overlay: &overlay }.probe(&card(1), &mut hits);
    assert_eq!((hits.len(), hits.lists()), (LISTS_MAX, u64::MAX));

    let own = ListDelta { shared: false, ..shared("vip", vec![block(1)]) };
    let overlay = Overlay::new(&base).apply(&base, 1, "acme", &shared("vip", vec![])).unwrap();
    let overlay = overlay.apply(&base, 2, "acme", &own).unwrap();
    let view = ListView { base: &base, overlay: &overlay };
    assert_eq!(
        (view.find("vip", "acme"), view.find("vip", "zeta"), view.find("x", "acme")),
        (Some(1), Some(0), None)
    );
}

#[test]
fn ended_entries_are_kept_for_explain_up_to_the_bound() {
    let base = base_of(&[]);
    let mut overlay = Overlay::new(&base);
    let per_delta = 8192;
    let rounds = (OVERLAY_ENDED_MAX / per_delta) as u64 + 3;
    for sequence in 1..=rounds {
        let entries =
            (0..per_delta as u128).map(|tag| Entry { severity: sequence as u8, ..block(tag) }).collect();
        overlay = overlay.apply(&base, sequence, "acme", &shared("stolen", entries)).unwrap();
    }
    let view = ListView { base: &base, overlay: &overlay };
    let id = |sequence: u64| DELTA_IDS_FROM + (sequence << 16);
    assert_eq!(overlay.len(), per_delta);
    // The overlay's filter has been made anew meanwhile; nothing may be lost by it.
    let mut hits = Hits::new();
    for tag in 0..per_delta as u128 {
        view.probe(&card(tag), &mut hits);
        assert_eq!(hits.len(), 1, "tag {tag}");
    }
    assert_eq!(view.visibility(0, id(rounds)), Some((rounds, None)));
    assert_eq!(view.visibility(0, id(rounds - 1)), Some((rounds - 1, Some(rounds))));
    assert_eq!(view.entry(0, id(3)).unwrap().severity, 3);
    assert_eq!(view.entry(0, id(2)), None, "forgotten: {OVERLAY_ENDED_MAX} have ended since");
}

#[test]
fn other_threads_read_their_sequence_s_overlay_while_deltas_go_on() {
    let base = &base_of(&[(ListMeta::new("stolen", None, 1), vec![block(1_000_000)])]);
    let (rounds, readers) = (2000u64, 2);
    std::thread::scope(|scope| {
        let mut lanes = Vec::new();
        for _ in 0..readers {
            let (send, receive) = mpsc::sync_channel::<(u64, Overlay)>(64);
            lanes.push(send);
            scope.spawn(move || {
                let mut hits = Hits::new();
                for (sequence, overlay) in receive {
                    let view = ListView { base, overlay: &overlay };
                    // Round n adds n and removes n - 10: exactly ten are there.
                    for tag in sequence.saturating_sub(12)..sequence + 3 {
                        view.probe(&card(u128::from(tag)), &mut hits);
                        let there = tag >= 1 && tag <= sequence && tag + 10 > sequence;
                        assert_eq!(hits.len(), usize::from(there), "tag {tag} at {sequence}");
                    }
                    view.probe(&card(1_000_000), &mut hits);
                    assert_eq!(hits.len(), 1);
                }
            });
        }
        let mut overlay = Overlay::new(base);
        for sequence in 1..=rounds {
            let remove = sequence.checked_sub(10).map(|tag| block(tag.into()).subject);
            let delta = ListDelta {
                remove: remove.into_iter().collect(),
                ..shared("stolen", vec![block(sequence.into())])
            };
            overlay = overlay.apply(base, sequence, "acme", &delta).unwrap();
            lanes[sequence as usize % readers].send((sequence, overlay.clone())).unwrap();
        }
        drop(lanes);
    });
}

#[test]
fn a_fingerprint_alone_is_never_a_hit() {
    // One entry: every tag looks at its bucket, and one in 65,536 has its fingerprint.
    let base = base_of(&[(ListMeta::new("stolen", None, 1), vec![block(0)])]);
    let overlay = Overlay::new(&base);
    let mut hits = Hits::new();
    for tag in 0..600_000 {
        ListView { base: &base, overlay: &overlay }.probe(&card(tag), &mut hits);
        assert_eq!(hits.len(), usize::from(tag == 0), "tag {tag}");
    }
}

#[test]
fn changes_are_bounded_and_at_the_bound_a_delta_is_refused_whole() {
    let base = base_of(&[]);
    let mut overlay = Overlay::new(&base);
    let chunk = |sequence: u64, len: usize| {
        let from = u128::from(sequence) * DELTA_ENTRIES_MAX as u128;
        shared("stolen", (from..from + len as u128).map(block).collect())
    };
    let (full, rest) = (OVERLAY_ENTRIES_MAX / DELTA_ENTRIES_MAX, OVERLAY_ENTRIES_MAX % DELTA_ENTRIES_MAX);
    for sequence in 1..=full as u64 {
        overlay = overlay.apply(&base, sequence, "acme", &chunk(sequence, DELTA_ENTRIES_MAX)).unwrap();
    }
    let next = full as u64 + 1;
    let error = overlay.apply(&base, next, "acme", &chunk(next, rest + 1)).err().unwrap();
    assert_eq!(error.kind, ErrorKind::TooLarge);
    assert!(error.message.contains("after a fold"), "{error}");
    assert_eq!(overlay.apply(&base, next, "acme", &chunk(next, rest)).unwrap().len(), OVERLAY_ENTRIES_MAX);
    let mut hits = Hits::new();
    ListView { base: &base, overlay: &overlay }
        .probe(&card(u128::from(next) * DELTA_ENTRIES_MAX as u128), &mut hits);
    assert!(hits.is_empty(), "nothing of the refused delta is seen");
}
