//! Random lists, deltas and transactions, and what engine and oracle tell of a transaction; shared by the tests of
//! lists and of folds.

use interdict_engine::domain::{
    Effect, Entry, Field, KeyId, ListDelta, Outcome, Subject, SubjectKind, Tag, Transaction, TransactionKind,
};
use interdict_engine::lists::{Hits, ListMeta, ListView, Resolution, RuleHit, resolve};
use interdict_tests::oracle::lists::{List, Lists, Seen};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

pub const RULES: [(&str, Outcome); 2] = [("cards/a", Outcome::Hold), ("cards/b", Outcome::Challenge)];
pub const NAMES: [&str; 3] = ["stolen", "vip", "ofac-sdn"];
pub const TENANTS: [&str; 2] = ["acme", "zeta"];
/// Times and dates are drawn from 0 to 9, so that they often meet exactly.
pub const TIMES: std::ops::Range<i64> = 0..10;

pub fn subject() -> impl Strategy<Value = Subject> {
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
pub fn addresses_v4() -> Vec<std::net::Ipv4Addr> {
    vec![[10, 0, 0, 1].into(), [10, 0, 7, 0].into(), [203, 0, 113, 7].into(), [203, 0, 113, 6].into()]
}
pub fn addresses_v6() -> Vec<std::net::Ipv6Addr> {
    ["2001:db8::1", "2001:db8::", "2001:db8:0:1::5", "fe80::1"].map(|text| text.parse().unwrap()).to_vec()
}

pub fn entry() -> impl Strategy<Value = Entry> {
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
pub fn entries(max: usize) -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::vec(entry(), 0..max).prop_map(|entries| {
        entries
            .into_iter()
            .map(|entry| (entry.subject, entry))
            .collect::<BTreeMap<_, _>>()
            .into_values()
            .collect()
    })
}
pub fn list() -> impl Strategy<Value = (ListMeta, Vec<Entry>)> {
    let outcome = select(vec![Outcome::Decline, Outcome::Hold, Outcome::Review]);
    let owner = prop::option::of(select(TENANTS.to_vec()));
    (select(NAMES.to_vec()), owner, outcome, entries(14)).prop_map(|(name, owner, block_outcome, entries)| {
        (ListMeta { block_outcome, ..ListMeta::new(name, owner.map(Arc::from), 1) }, entries)
    })
}
/// Lists of which no two have one name and owner.
pub fn lists() -> impl Strategy<Value = Vec<(ListMeta, Vec<Entry>)>> {
    prop::collection::vec(list(), 0..5).prop_map(|lists| {
        let by_name = lists.into_iter().map(|list| ((list.0.name.clone(), list.0.tenant.clone()), list));
        by_name.collect::<BTreeMap<_, _>>().into_values().collect()
    })
}
/// A delta, its tenant, and how many sequences it is after the one before it.
pub fn delta() -> impl Strategy<Value = (u64, &'static str, ListDelta)> {
    let remove = prop::collection::vec(subject(), 0..4);
    let names = select([NAMES.as_slice(), &["new"]].concat());
    (1u64..4, select(TENANTS.to_vec()), names, any::<bool>(), entries(6), remove).prop_map(
        |(gap, tenant, name, shared, add, remove)| {
            (gap, tenant, ListDelta { list: name.to_owned(), shared, add, remove })
        },
    )
}
/// A transaction and its sequence.
pub fn transaction() -> impl Strategy<Value = (u64, Transaction)> {
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

pub fn oracle_of(lists: &[(ListMeta, Vec<Entry>)]) -> Lists {
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
pub type Told = (u16, Subject, Field, String, bool);

pub fn told_by_engine(
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
pub fn told_by_oracle(
    lists: &Lists,
    sequence: u64,
    tx: &Transaction,
) -> (Option<Outcome>, Vec<Told>, Vec<bool>) {
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
