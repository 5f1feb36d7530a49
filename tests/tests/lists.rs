//! Exact lists against the slow oracle: random lists, deltas, transactions and times give the same hits and the same
//! outcome, at every sequence, whatever came after it; and the deltas' bounds and their all-or-nothing.
#![allow(clippy::unwrap_used, missing_docs)]

use interdict_engine::ErrorKind;
use interdict_engine::domain::{
    Effect, Entry, Field, KeyId, ListDelta, Outcome, Subject, SubjectKind, Tag, Transaction, TransactionKind,
};
use interdict_engine::limits::{DELTA_ENTRIES_MAX, LISTS_MAX, OVERLAY_ENDED_MAX, OVERLAY_ENTRIES_MAX};
use interdict_engine::lists::{
    DELTA_IDS_FROM, Hits, ListBase, ListMeta, ListView, Overlay, Resolution, RuleHit, Snapshot, added_by,
    build, resolve,
};
use interdict_tests::oracle::lists::{List, Lists, Seen};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, mpsc};

const RULES: [(&str, Outcome); 2] = [("cards/a", Outcome::Hold), ("cards/b", Outcome::Challenge)];
const NAMES: [&str; 3] = ["stolen", "vip", "ofac-sdn"];
const TENANTS: [&str; 2] = ["acme", "zeta"];
/// Times and dates are drawn from 0 to 9, so that they often meet exactly.
const TIMES: std::ops::Range<i64> = 0..10;

fn subject() -> impl Strategy<Value = Subject> {
    let kinds = [SubjectKind::Card, SubjectKind::Account, SubjectKind::Name, SubjectKind::Email];
    let v4 = (select(vec![0u8, 8, 16, 31, 32]), select(addresses_v4())).prop_map(|(prefix, address)| {
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        Subject::Ip { network: IpAddr::V4((u32::from(address) & mask).into()), prefix }
    });
    let v6 = (select(vec![0u8, 32, 64, 127, 128]), select(addresses_v6())).prop_map(|(prefix, address)| {
        let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
        Subject::Ip { network: IpAddr::V6((u128::from(address) & mask).into()), prefix }
    });
    let bin =
        (1u8..=8, select(vec![41_111_111u32, 41_111_122, 5_000_000, 0])).prop_map(|(digits, number)| {
            Subject::Bin { number: number / 10u32.pow(u32::from(8 - digits)), digits }
        });
    prop_oneof![
        4 => (select(kinds.to_vec()), 0u128..5).prop_map(|(kind, tag)| Subject::Tag { kind, tag: Tag(tag) }),
        1 => v4, 1 => v6, 1 => bin,
    ]
}
fn addresses_v4() -> Vec<std::net::Ipv4Addr> {
    vec![[10, 0, 0, 1].into(), [10, 0, 7, 0].into(), [203, 0, 113, 7].into(), [203, 0, 113, 6].into()]
}
fn addresses_v6() -> Vec<std::net::Ipv6Addr> {
    ["2001:db8::1", "2001:db8::", "2001:db8:0:1::5", "fe80::1"].map(|text| text.parse().unwrap()).to_vec()
}

fn entry() -> impl Strategy<Value = Entry> {
    let effects = vec![Effect::Block, Effect::Block, Effect::Flag, Effect::Override];
    let targets: Vec<&str> = NAMES.into_iter().chain(RULES.map(|(name, _)| name)).collect();
    let dates = (prop::option::of(TIMES), prop::option::of(TIMES));
    (subject(), select(effects), any::<bool>(), select(targets), 0u8..=100, dates).prop_map(
        |(subject, effect, overridable, target, severity, (from, length))| {
            let is_override = effect == Effect::Override;
            let length = if is_override { Some(length.unwrap_or(9)) } else { length };
            Entry {
                id: 0,
                subject,
                effect,
                overridable,
                overrides: is_override.then(|| target.to_owned()),
                reason: format!("r{severity}"),
                severity,
                contributor: "risk".into(),
                valid_from_ms: from,
                valid_to_ms: length.map(|length| from.unwrap_or(0) + 1 + length),
            }
        },
    )
}
/// Entries of which no two have one subject.
fn entries(max: usize) -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::vec(entry(), 0..max).prop_map(|entries| {
        entries
            .into_iter()
            .map(|entry| (entry.subject, entry))
            .collect::<BTreeMap<_, _>>()
            .into_values()
            .collect()
    })
}
fn list() -> impl Strategy<Value = (ListMeta, Vec<Entry>)> {
    let outcome = select(vec![Outcome::Decline, Outcome::Hold, Outcome::Review]);
    let owner = prop::option::of(select(TENANTS.to_vec()));
    (select(NAMES.to_vec()), owner, outcome, entries(14)).prop_map(|(name, owner, block_outcome, entries)| {
        (ListMeta { block_outcome, ..ListMeta::new(name, owner.map(Arc::from), 1) }, entries)
    })
}
/// Lists of which no two have one name and owner.
fn lists() -> impl Strategy<Value = Vec<(ListMeta, Vec<Entry>)>> {
    prop::collection::vec(list(), 0..5).prop_map(|lists| {
        let by_name = lists.into_iter().map(|list| ((list.0.name.clone(), list.0.tenant.clone()), list));
        by_name.collect::<BTreeMap<_, _>>().into_values().collect()
    })
}
/// A delta, its tenant, and how many sequences it is after the one before it.
fn delta() -> impl Strategy<Value = (u64, &'static str, ListDelta)> {
    let remove = prop::collection::vec(subject(), 0..4);
    let names = select([NAMES.as_slice(), &["new"]].concat());
    (1u64..4, select(TENANTS.to_vec()), names, any::<bool>(), entries(6), remove).prop_map(
        |(gap, tenant, name, shared, add, remove)| {
            (gap, tenant, ListDelta { list: name.to_owned(), shared, add, remove })
        },
    )
}
/// A transaction and its sequence.
fn transaction() -> impl Strategy<Value = (u64, Transaction)> {
    let fields =
        [Field::Card, Field::Account, Field::Payee, Field::PayerNameTag, Field::PayeeNameTag, Field::Email];
    let tags = prop::collection::vec((prop::option::of(0u128..5), prop::option::of(0u128..5)), fields.len());
    let mapped = addresses_v4().into_iter().map(|v4| IpAddr::V6(v4.to_ipv6_mapped()));
    let addresses =
        addresses_v4().into_iter().map(IpAddr::V4).chain(addresses_v6().into_iter().map(IpAddr::V6));
    let ip = prop::option::of(select(addresses.chain(mapped).collect::<Vec<_>>()));
    let bin = prop::option::of(select(vec!["41111111", "411111", "05000000", "050000", "00000000"]));
    (1u64..30, select(TENANTS.to_vec()), TIMES, tags, ip, bin).prop_map(
        move |(sequence, tenant, time_ms, tags, ip, bin)| {
            let mut tx = Transaction::new(tenant.into(), TransactionKind::Request, time_ms);
            for (field, (state, shared)) in fields.into_iter().zip(tags) {
                state.into_iter().for_each(|tag| tx.add_tag(field, KeyId::STATE, Tag(tag)));
                shared.into_iter().for_each(|tag| tx.add_tag(field, KeyId::SHARED, Tag(tag)));
            }
            ip.into_iter().for_each(|ip| tx.set_ip(Field::DeviceIp, ip));
            bin.into_iter().for_each(|bin| tx.set_text(Field::CardBin, bin));
            (sequence, tx)
        },
    )
}

fn base_of(lists: &[(ListMeta, Vec<Entry>)]) -> ListBase {
    let open = |(meta, entries): &(ListMeta, Vec<Entry>)| {
        Snapshot::open(Arc::new(build(meta, entries.clone()).unwrap())).unwrap()
    };
    ListBase::new(lists.iter().map(open).collect()).unwrap()
}
fn oracle_of(lists: &[(ListMeta, Vec<Entry>)]) -> Lists {
    let seen = |entry: &Entry| Seen { entry: entry.clone(), from: 0, to: None };
    Lists(
        lists
            .iter()
            .map(|(meta, entries)| List {
                name: meta.name.clone(),
                owner: meta.tenant.as_deref().map(str::to_owned),
                block_outcome: meta.block_outcome,
                entries: entries.iter().map(seen).collect(),
            })
            .collect(),
    )
}

/// A hit without its entry's id, and whether it was cancelled: what both sides must agree on.
type Told = (u16, Subject, Field, String, bool);

fn told_by_engine(
    view: ListView<'_>,
    tx: &Transaction,
    hits: &mut Hits,
) -> (Option<Outcome>, Vec<Told>, Vec<bool>) {
    let mut out = Resolution::new();
    view.prefetch(&[tx]);
    view.probe(tx, hits);
    let rules: Vec<RuleHit<'_>> =
        RULES.iter().zip(0..).map(|(&(name, outcome), number)| RuleHit { number, name, outcome }).collect();
    resolve(hits, |list| view.list_name(list), &rules, &mut out);
    let mut told: Vec<Told> = Vec::new();
    for (place, hit) in hits.iter().enumerate() {
        let entry = Entry { id: 0, ..view.entry(hit.list, hit.entry).unwrap() };
        assert_eq!(
            (hit.effect, hit.overridable, hit.severity),
            (entry.effect, entry.overridable, entry.severity)
        );
        assert_eq!(hit.overrides.as_deref(), entry.overrides.as_deref());
        assert!(hits.lists() >> hit.list & 1 == 1);
        told.push((
            hit.list,
            entry.subject,
            hit.field,
            format!("{entry:?}"),
            out.hit_cancelled_by(place).is_some(),
        ));
    }
    told.sort();
    (out.outcome(), told, (0..rules.len()).map(|rule| out.rule_cancelled_by(rule).is_some()).collect())
}
fn told_by_oracle(lists: &Lists, sequence: u64, tx: &Transaction) -> (Option<Outcome>, Vec<Told>, Vec<bool>) {
    let found = lists.probe(sequence, tx);
    let (outcome, cancelled, rules) = lists.resolve(&found, &RULES);
    let mut told: Vec<Told> = found
        .iter()
        .zip(cancelled)
        .map(|(&(list, place, field), cancelled)| {
            let entry = &lists.0[list].entries[place].entry;
            (list as u16, entry.subject, field, format!("{entry:?}"), cancelled)
        })
        .collect();
    told.sort();
    (outcome, told, rules)
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
