//! Every kernel finds what sets and text find, and what the lists themselves would hit.

use super::super::scan::{Filter, Scratch};
use super::super::*;
use super::{growing, payment, transaction};
use interdict_engine::domain::{
    Effect, Entry, Field, KeyId, ListDelta, Subject, SubjectKind, Tag, Transaction,
};
use interdict_engine::lists::{ConsortiumList, Hits, ListBase, ListMeta, ListView, Overlay, Snapshot, build};
use proptest::prelude::*;
use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Few tags, so that they meet; some begin alike, and one begins with 32 zeros.
fn tag() -> impl Strategy<Value = Tag> {
    (prop::sample::select(vec![0u128, 1, 0xffff_ffff, 0x8000_0001, 77]), 0u128..4)
        .prop_map(|(first, last)| Tag(first << 96 | last))
}
fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|mut four| {
            four[0] %= 2;
            four[1] %= 2;
            IpAddr::from(four)
        }),
        any::<[u8; 3]>().prop_map(|last| IpAddr::from([
            0x2001,
            0xdb8,
            0,
            u16::from(last[0] % 3),
            0,
            0,
            0,
            u16::from(last[1])
        ])),
        any::<[u8; 2]>().prop_map(|last| IpAddr::from([
            0,
            0,
            0,
            0,
            0,
            0xffff,
            u16::from(last[0] % 2),
            u16::from(last[1])
        ])),
        Just(IpAddr::from([0, 0, 0, 0])),
    ]
}
fn digits(most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!['0', '4', '9']), 1..=most).prop_map(String::from_iter)
}
fn payments() -> impl Strategy<Value = Transaction> {
    let field = || prop::sample::select(Field::IDENTIFIERS.to_vec());
    let tags = prop::collection::hash_map((field(), any::<bool>()), tag(), 0..6);
    let tenant = prop::sample::select(vec!["acme", "beta"]);
    (tenant, tags, prop::option::of(address()), prop::option::of(digits(8))).prop_map(
        |(tenant, tags, ip, bin)| {
            let mut tx = transaction(tenant);
            for ((field, shared), tag) in tags {
                tx.add_tag(field, if shared { KeyId::SHARED } else { KeyId::STATE }, tag);
            }
            ip.into_iter().for_each(|ip| tx.set_ip(Field::DeviceIp, ip));
            bin.iter().for_each(|bin| tx.set_text(Field::CardBin, bin));
            tx
        },
    )
}
/// The same under keys of consortium lists.
fn consortium_payments() -> impl Strategy<Value = Transaction> {
    payments().prop_map(|tx| {
        let mut under = transaction(&tx.tenant);
        for (field, key, tag) in tx.tags() {
            under.add_tag(*field, KeyId::CONSORTIUM[usize::from(*key == KeyId::SHARED)], *tag);
        }
        if let Some(Value::Ip(ip)) = tx.get(Field::DeviceIp) {
            under.set_ip(Field::DeviceIp, ip);
        }
        tx.text(Field::CardBin).into_iter().for_each(|bin| under.set_text(Field::CardBin, bin));
        under
    })
}
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            IpAddr::V4((u32::from(v4) & u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)).into())
        }
        IpAddr::V6(v6) => {
            IpAddr::V6((u128::from(v6) & u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)).into())
        }
    }
}
fn subject() -> impl Strategy<Value = Subject> {
    let kinds: Vec<SubjectKind> =
        SubjectKind::ALL.into_iter().filter(|k| !matches!(k, SubjectKind::Ip | SubjectKind::Bin)).collect();
    prop_oneof![
        3 => (prop::sample::select(kinds), tag()).prop_map(|(kind, tag)| Subject::Tag { kind, tag }),
        1 => (address(), 0u8..=128).prop_map(|(address, prefix)| {
            let address = address.to_canonical();
            let prefix = if address.is_ipv4() { prefix % 33 } else { prefix };
            Subject::Ip { network: masked(address, prefix), prefix }
        }),
        1 => digits(8).prop_map(|digits| Subject::Bin { number: digits.parse().unwrap(), digits: digits.len() as u8 }),
    ]
}

/// The address's bits as text, so that a prefix is a prefix.
fn text(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => format!("4{:032b}", u32::from(v4)),
        IpAddr::V6(v6) => format!("6{:0128b}", u128::from(v6)),
    }
}

/// What a subject of a tenant's list (`None`: shared) means of a payment.
fn oracle(tx: &Transaction, tenant: Option<&str>, subject: &Subject) -> Vec<(Field, KeyId)> {
    let is_seen = tenant.is_none_or(|tenant| tenant == &*tx.tenant);
    match *subject {
        Subject::Tag { kind, tag } => {
            let key = if tenant.is_none() { KeyId::SHARED } else { KeyId::STATE };
            let same = tx
                .tags()
                .iter()
                .filter(|(field, k, t)| (SubjectKind::of_field(*field), *k, *t) == (Some(kind), key, tag));
            same.map(|(field, ..)| (*field, key)).collect()
        }
        Subject::Ip { network, prefix } => {
            let Some(Value::Ip(address)) = tx.get(Field::DeviceIp) else { return Vec::new() };
            let network = &text(network)[..1 + usize::from(prefix)];
            let hits = is_seen && text(address).starts_with(network);
            hits.then_some((Field::DeviceIp, KeyId::STATE)).into_iter().collect()
        }
        Subject::Bin { number, digits } => {
            let prefix = format!("{number:0width$}", width = usize::from(digits));
            let hits = is_seen && tx.text(Field::CardBin).is_some_and(|bin| bin.starts_with(&prefix));
            hits.then_some((Field::CardBin, KeyId::STATE)).into_iter().collect()
        }
    }
}
use interdict_engine::domain::Value;

fn found(rows: &Rows<'_>, wanted: Wanted, kernel: Kernel) -> Vec<Hit> {
    let mut hits = Vec::new();
    wanted.build().scan(rows, kernel, &mut Scratch::default(), &mut hits);
    hits
}

proptest! {
    #[test]
    fn every_kernel_finds_what_sets_and_text_find(
        txs in prop::collection::vec(payments(), 1..150),
        subjects in prop::collection::vec((prop::sample::select(vec![None, Some("acme"), Some("beta")]), subject()), 0..20),
    ) {
        let payments: Vec<_> = (1..).zip(&txs).map(|(sequence, tx)| payment(sequence, tx.clone())).collect();
        let growing = growing(&payments);
        let mut wanted = Wanted::default();
        subjects.iter().for_each(|(tenant, subject)| wanted.add(*tenant, subject));
        let expected: BTreeSet<Hit> = (0..).zip(&txs).flat_map(|(row, tx)| {
            let means = subjects.iter().flat_map(move |(tenant, subject)| oracle(tx, *tenant, subject));
            means.map(move |(field, key)| Hit { row, field, key })
        }).collect();
        for kernel in Kernel::available() {
            let hits = found(&growing.rows(), wanted.clone(), kernel);
            prop_assert_eq!(&hits, &expected.iter().copied().collect::<Vec<_>>(), "{}", kernel.name());
        }
    }

    /// A delta's subjects, looked for in the window, are the fields that the lists stage would hit by that delta.
    #[test]
    fn the_window_finds_what_the_lists_would_hit(
        txs in prop::collection::vec(payments(), 1..40),
        subjects in prop::collection::btree_set(subject(), 1..20),
        shared in any::<bool>(),
    ) {
        let base = ListBase::new(Vec::new()).unwrap();
        let add = subjects.iter().map(|subject| entry(*subject)).collect();
        let delta = ListDelta { list: "noon".into(), shared, add, remove: Vec::new() };
        let overlay = Overlay::new(&base).apply(&base, 1, "acme", &delta).unwrap();
        let view = ListView { base: &base, overlay: &overlay };
        let mut wanted = Wanted::default();
        subjects.iter().for_each(|subject| wanted.add((!shared).then_some("acme"), subject));
        let payments: Vec<_> = (2..).zip(&txs).map(|(sequence, tx)| payment(sequence, tx.clone())).collect();
        let growing = growing(&payments);
        let ours: BTreeSet<(u32, Field)> =
            found(&growing.rows(), wanted, Kernel::best()).iter().map(|hit| (hit.row, hit.field)).collect();
        let mut theirs = BTreeSet::new();
        let mut hits = Hits::new();
        for (row, tx) in (0u32..).zip(&txs) {
            view.probe(tx, &mut hits);
            theirs.extend(hits.iter().map(|hit| (row, hit.field)));
        }
        // The tags of these payments are made up, so that another tenant may have the same ones: not so in life.
        let of_owner = |(row, field): &(u32, Field)| {
            shared || *field == Field::DeviceIp || *field == Field::CardBin || &*txs[*row as usize].tenant == "acme"
        };
        prop_assert_eq!(ours.iter().filter(|hit| of_owner(hit)).collect::<Vec<_>>(), theirs.iter().collect::<Vec<_>>());
    }

    /// Consortium lists of whole and of truncated tags, under either key: the fields that the lists stage would hit.
    #[test]
    fn the_window_finds_what_consortium_lists_would_hit(
        txs in prop::collection::vec(consortium_payments(), 1..60),
        subjects in prop::collection::vec((0u32..2, subject()), 1..20),
        bits in prop::sample::select(vec![1u8, 30, 31, 32, 33, 96, 98, 127, 128]),
    ) {
        let mut lists = Vec::new();
        for version in 0..2 {
            let consortium = Some(ConsortiumList { bits, ..ConsortiumList::whole(version) });
            let meta = ListMeta { consortium, ..ListMeta::new("consortium", None, 1) };
            let cut = |subject: Subject| match subject {
                Subject::Tag { kind, tag } => Subject::Tag { kind, tag: tag.cut(bits) },
                other => other,
            };
            let own = subjects.iter().filter(|(of, _)| *of == version).map(|(_, subject)| cut(*subject));
            let own: BTreeSet<Subject> = own.collect();
            lists.push((meta, own));
        }
        let snapshots = lists.iter().map(|(meta, subjects)| {
            let entries = subjects.iter().map(|subject| entry(*subject)).collect();
            Snapshot::open(Arc::new(build(meta, entries).unwrap())).unwrap()
        });
        let base = ListBase::new(snapshots.collect()).unwrap();
        let view = ListView { base: &base, overlay: &Overlay::new(&base) };
        let mut wanted = Wanted::default();
        lists.iter().for_each(|(meta, all)| all.iter().for_each(|subject| wanted.add_of(meta, subject)));
        let payments: Vec<_> = (2..).zip(&txs).map(|(sequence, tx)| payment(sequence, tx.clone())).collect();
        let growing = growing(&payments);
        let ours: BTreeSet<(u32, Field)> = found(&growing.rows(), wanted.clone(), Kernel::best())
            .iter().map(|hit| (hit.row, hit.field)).collect();
        for kernel in Kernel::available() {
            let hits = found(&growing.rows(), wanted.clone(), kernel);
            prop_assert!(hits.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(&hits.iter().map(|hit| (hit.row, hit.field)).collect::<BTreeSet<_>>(), &ours);
        }
        let (mut theirs, mut hits) = (BTreeSet::new(), Hits::new());
        for (row, tx) in (0u32..).zip(&txs) {
            view.probe(tx, &mut hits);
            theirs.extend(hits.iter().map(|hit| (row, hit.field)));
        }
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn kernels_pass_the_same_values_and_all_that_are_wanted(
        values in prop::collection::vec(any::<u32>(), 0..500),
        others in prop::collection::vec(any::<u32>(), 0..2000),
        taken in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut wanted: Vec<u32> = others;
        wanted.extend(taken.iter().filter(|_| !values.is_empty()).map(|index| *index.get(&values)));
        for wanted in [&wanted[..], &wanted[wanted.len().saturating_sub(8)..]] {
            let filter = Filter::new(wanted);
            let set: HashSet<u32> = wanted.iter().copied().collect();
            let plain: Vec<u32> = (0..).zip(&values).filter(|(_, value)| filter.may_have(**value)).map(|(at, _)| at).collect();
            let lost = (0..).zip(&values).find(|(at, value)| set.contains(value) && !plain.contains(at));
            prop_assert_eq!(lost, None);
            for kernel in Kernel::available() {
                let mut found = vec![7];
                kernel.find(&filter, &values, &mut found);
                prop_assert_eq!(&found[1..], &plain[..], "{}", kernel.name());
            }
        }
    }
}

fn entry(subject: Subject) -> Entry {
    Entry {
        id: 0,
        subject,
        effect: Effect::Block,
        overridable: true,
        overrides: None,
        reason: "stolen".into(),
        severity: 50,
        contributor: "test".into(),
        valid_from_ms: None,
        valid_to_ms: None,
    }
}

#[test]
fn a_filter_passes_few_of_the_others() {
    // An odd constant's multiples: spread evenly, and none twice.
    let value = |n: u32| n.wrapping_mul(0x9e37_79b1);
    for (wanted, most) in [(9, 10), (10_000, 8_000), (100_000, 8_000), (400_000, 8_000)] {
        let members: Vec<u32> = (0..wanted).map(value).collect();
        let filter = Filter::new(&members);
        let passed = (wanted..wanted + 1_000_000).filter(|n| filter.may_have(value(*n))).count();
        assert!(passed <= most, "{wanted} wanted: {passed} of a million others pass");
    }
}
