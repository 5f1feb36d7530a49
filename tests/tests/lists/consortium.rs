//! Lists of a consortium against an oracle that compares tags as strings of binary digits: whole and truncated tags, two
//! versions of the key at once, beside lists of the institution's own; and what one snapshot says otherwise than another.

use super::draw::{TIMES, entries, lists, oracle_of, told_by_engine, told_by_oracle, transaction};
use super::{base_of, card, shared};
use interdict_engine::ErrorKind;
use interdict_engine::domain::{
    Effect, Entry, Field, KeyId, Outcome, Subject, SubjectKind, Tag, Transaction,
};
use interdict_engine::lists::{
    ConsortiumList, Difference, Hits, ListBase, ListMeta, ListView, Listed, Overlay, Resolution, Snapshot,
    build, build_listed, diff, resolve,
};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const KINDS: [(SubjectKind, &[Field]); 4] = [
    (SubjectKind::Card, &[Field::Card]),
    (SubjectKind::Account, &[Field::Account, Field::Payee]),
    (SubjectKind::Name, &[Field::PayerNameTag, Field::PayeeNameTag]),
    (SubjectKind::Email, &[Field::Email]),
];

/// Few tags, some of which begin alike.
fn tag() -> impl Strategy<Value = u128> {
    (select(vec![0u128, 1, 0x8000_0000]), select(vec![0u128, 1 << 95, 1, 2])).prop_map(|(a, b)| a << 96 | b)
}

/// A list of one kind under one version: bits, what a candidate means, entries by tag.
type Drawn = (ListMeta, Vec<Entry>);

fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
    let one = |kind: SubjectKind, version: u32| {
        let bits = select(vec![1u8, 31, 32, 33, 96, 97, 127, 128]);
        let unconfirmed = select(vec![Outcome::Review, Outcome::Hold]);
        let outcome = select(vec![Outcome::Decline, Outcome::Hold, Outcome::Review]);
        let said = (select(vec![Effect::Block, Effect::Flag]), prop::option::of(TIMES));
        let entries = prop::collection::btree_map(tag(), said, 0..6);
        (bits, unconfirmed, outcome, entries).prop_map(move |(bits, unconfirmed, block_outcome, entries)| {
            let consortium = Some(ConsortiumList { version, bits, unconfirmed });
            let name = format!("consortium_{}", kind.name());
            let meta = ListMeta { block_outcome, consortium, ..ListMeta::new(name, None, 9) };
            let cut = entries.into_iter().map(|(tag, said)| (Tag(tag).cut(bits), said));
            let entry = |(tag, (effect, valid_to_ms))| Entry {
                id: 0,
                subject: Subject::Tag { kind, tag },
                effect,
                overridable: false,
                overrides: None,
                reason: "mule".into(),
                severity: 7,
                contributor: "trusted".into(),
                valid_from_ms: None,
                valid_to_ms,
            };
            (meta, cut.collect::<BTreeMap<_, _>>().into_iter().map(entry).collect())
        })
    };
    let all = KINDS.map(|(kind, _)| [(kind, 4), (kind, 5)]).concat();
    let all: Vec<_> = all.into_iter().map(|(kind, version)| prop::option::of(one(kind, version))).collect();
    all.prop_map(|lists| lists.into_iter().flatten().collect())
}

/// A payment with tags of its own, and under either version of the consortium's key.
fn payment() -> impl Strategy<Value = (u64, Transaction)> {
    let tags = prop::collection::vec(prop::option::of(tag()), 12);
    (transaction(), tags).prop_map(|((sequence, mut tx), tags)| {
        let fields = KINDS.iter().flat_map(|(_, fields)| fields.iter().copied());
        let under = fields.flat_map(|field| KeyId::CONSORTIUM.map(|key| (field, key)));
        for ((field, key), tag) in under.zip(tags) {
            tag.into_iter().for_each(|tag| tx.add_tag(field, key, Tag(tag)));
        }
        (sequence, tx)
    })
}

/// List name, version, first digits of the tag, field, whether a candidate.
type Told = (String, u32, String, Field, bool);

fn by_oracle(lists: &[Drawn], tx: &Transaction) -> (Option<Outcome>, BTreeSet<Told>) {
    let digits = |tag: Tag| format!("{:0128b}", tag.0);
    let (mut told, mut outcome) = (BTreeSet::new(), None);
    for (meta, entries) in lists {
        let of = meta.consortium.unwrap();
        // As in docs/formats: 6 for even versions, 7 for odd ones.
        let key = KeyId(if of.version % 2 == 0 { 6 } else { 7 });
        for entry in entries {
            let Subject::Tag { kind, tag } = entry.subject else { panic!() };
            let first = digits(tag)[..usize::from(of.bits)].to_owned();
            let (_, fields) = KINDS.iter().find(|(known, _)| *known == kind).unwrap();
            for field in *fields {
                let theirs = tx.tag(*field, key).map(digits);
                if entry.valid_to_ms.is_some_and(|to| tx.time_ms >= to)
                    || !theirs.is_some_and(|theirs| theirs.starts_with(&first))
                {
                    continue;
                }
                let whole = if entry.effect == Effect::Flag { Outcome::Review } else { meta.block_outcome };
                let is_candidate = of.bits < 128;
                outcome = outcome.max(Some(if is_candidate { whole.min(of.unconfirmed) } else { whole }));
                told.insert((meta.name.clone(), of.version, first.clone(), *field, is_candidate));
            }
        }
    }
    (outcome, told)
}

fn by_engine(view: ListView<'_>, tx: &Transaction) -> (Option<Outcome>, BTreeSet<Told>) {
    let (mut hits, mut out) = (Hits::new(), Resolution::new());
    view.prefetch(&[tx]);
    view.probe(tx, &mut hits);
    resolve(&hits, |list| view.list_name(list), &[], &mut out);
    let told = hits.iter().map(|hit| {
        let meta = view.list_meta(hit.list).unwrap();
        let of = meta.consortium.unwrap();
        let Subject::Tag { tag, .. } = view.entry(hit.list, hit.entry).unwrap().subject else { panic!() };
        let first = format!("{:0128b}", tag.0)[..usize::from(of.bits)].to_owned();
        (meta.name.clone(), of.version, first, hit.field, hit.is_candidate())
    });
    (out.outcome(), told.collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hits_by_consortium_keys_are_the_oracle_s(
        drawn in drawn(), own in lists(), payments in prop::collection::vec(payment(), 1..12),
    ) {
        let alone = base_of(&drawn);
        let both = base_of(&[&own[..], &drawn[..]].concat());
        let own_oracle = oracle_of(&own);
        for (sequence, tx) in &payments {
            let view = ListView { base: &alone, overlay: &Overlay::new(&alone) };
            prop_assert_eq!(by_engine(view, tx), by_oracle(&drawn, tx));
            // Neither kind of list has a part in the other's hits.
            let view = ListView { base: &both, overlay: &Overlay::new(&both) };
            let mut hits = Hits::new();
            let (outcome, mut told, _) = told_by_engine(view, tx, &mut hits);
            told.retain(|told| usize::from(told.0) < own.len());
            let expected = told_by_oracle(&own_oracle, *sequence, tx);
            prop_assert_eq!(told, expected.1);
            prop_assert_eq!(outcome, expected.0.max(by_oracle(&drawn, tx).0));
        }
    }

    #[test]
    fn what_differs_is_what_maps_tell(old in entries(20), new in entries(20), same in entries(10)) {
        let snapshot = |entries: &[Entry]| {
            let by_subject: BTreeMap<Subject, Entry> =
                entries.iter().map(|entry| (entry.subject, entry.clone())).collect();
            let bytes = build(&ListMeta::new("l", None, 1), by_subject.values().cloned().collect()).unwrap();
            (by_subject, Snapshot::open(Arc::new(bytes)).unwrap())
        };
        // On another's word, for another reason, is no difference.
        let told = |entry: &Entry| Entry { reason: "other".into(), contributor: "other".into(), ..entry.clone() };
        let (old_map, old) = snapshot(&[&old[..], &same[..]].concat());
        let (new_map, new) = snapshot(&[new, same.iter().map(told).collect()].concat());
        let blind = |entry: &Entry| Entry { reason: String::new(), contributor: String::new(), ..entry.clone() };
        let expected = |old: &BTreeMap<Subject, Entry>, new: &BTreeMap<Subject, Entry>| {
            let all: BTreeSet<Subject> = old.keys().chain(new.keys()).copied().collect();
            let differs = all.into_iter().filter(|s| old.get(s).map(blind) != new.get(s).map(blind));
            let what = |s: &Subject| if new.contains_key(s) { Difference::Listed } else { Difference::Gone };
            differs.map(|subject| (subject, what(&subject))).collect::<Vec<_>>()
        };
        let found = |old: Option<&Snapshot>, new: Option<&Snapshot>| {
            let mut found = Vec::new();
            diff(old, new, &mut |subject, difference| { found.push((subject, difference)); true });
            found
        };
        let nothing = BTreeMap::new();
        prop_assert_eq!(found(Some(&old), Some(&new)), expected(&old_map, &new_map));
        prop_assert_eq!(found(None, Some(&new)), expected(&nothing, &new_map));
        prop_assert_eq!(found(Some(&old), None), expected(&old_map, &nothing));
    }
}

fn meta(version: u32, bits: u8) -> ListMeta {
    let consortium = Some(ConsortiumList { bits, ..ConsortiumList::whole(version) });
    ListMeta { consortium, ..ListMeta::new("consortium_card", None, 1) }
}
fn open(meta: &ListMeta, entries: Vec<Entry>) -> Snapshot {
    Snapshot::open(Arc::new(build(meta, entries).unwrap())).unwrap()
}

#[test]
fn a_snapshot_says_its_key_and_when_a_signal_was_first_seen_and_others_have_the_bytes_they_had() {
    let listed = |seen| Listed { entry: super::block(3 << 120), first_seen_ms: seen };
    let bytes = build_listed(&meta(7, 30), vec![listed(Some(-5))]).unwrap();
    let snapshot = Snapshot::open(Arc::new(bytes)).unwrap();
    assert_eq!(snapshot.meta(), &meta(7, 30));
    assert_eq!((snapshot.meta().key(), snapshot.first_seen_ms(0)), (KeyId(7), Some(-5)));
    let plain = ListMeta::new("consortium_card", None, 1);
    assert_eq!(
        build_listed(&plain, vec![listed(None)]).unwrap(),
        build(&plain, vec![super::block(3 << 120)]).unwrap()
    );
    // A tag of more bits than its list has is no entry.
    let error = build(&meta(7, 30), vec![super::block(1)]).unwrap_err();
    assert!(error.kind == ErrorKind::Invalid && error.message.contains("30 bits"), "{error}");
    for bad in [0, 129] {
        assert!(build(&meta(7, bad), vec![]).unwrap_err().message.contains("bits"));
    }
    let declines = Some(ConsortiumList { unconfirmed: Outcome::Decline, ..ConsortiumList::whole(7) });
    assert!(build(&ListMeta { consortium: declines, ..meta(7, 30) }, vec![]).is_err());
}

#[test]
fn two_versions_of_a_list_are_one_to_whoever_names_it_and_no_delta_touches_them() {
    let snapshots =
        || vec![open(&meta(4, 128), vec![super::block(1)]), open(&meta(5, 128), vec![super::block(2)])];
    let base = ListBase::new(snapshots()).unwrap();
    let view = ListView { base: &base, overlay: &Overlay::new(&base) };
    assert!(view.is_one(0, 1) && view.is_one(1, 0) && view.is_one(0, 0));
    assert_eq!(view.find("consortium_card", "acme"), Some(0));
    // The same tag under a key that no consortium has hits nothing.
    let mut hits = Hits::new();
    view.probe(&card(1), &mut hits);
    assert!(hits.is_empty());
    let error =
        Overlay::new(&base).apply(&base, 1, "acme", &shared("consortium_card", vec![super::block(9)]));
    assert!(error.unwrap_err().message.contains("epochs"));
    for (more, says) in [(meta(6, 128), "two successive versions"), (meta(4, 30), "there twice")] {
        let mut all = snapshots();
        all.push(open(&more, vec![]));
        let error = ListBase::new(all).unwrap_err();
        assert!(error.message.contains(says), "{error}");
    }
    let other = ListMeta { name: "consortium_cards".into(), ..meta(4, 30) };
    let error = ListBase::new([snapshots(), vec![open(&other, vec![super::block(1 << 127)])]].concat());
    assert!(error.unwrap_err().message.contains("card tags of 30 bits"));
    // A list that deltas made under the name stays one of its own.
    let nothing = ListBase::new(vec![]).unwrap();
    let made =
        Overlay::new(&nothing).apply(&nothing, 1, "acme", &shared("consortium_card", vec![super::block(7)]));
    let moved = made.unwrap().rebase(&nothing, &base, (0, 0)).unwrap();
    let view = ListView { base: &base, overlay: &moved };
    view.probe(&card(7), &mut hits);
    assert_eq!((view.len(), hits.len(), hits.first().map(|hit| hit.list)), (3, 1, Some(2)));
}
