//! The merge against an oracle that knows no files, no streams and no states: maps, and every question asked of all rows
//! anew. It shares no code with what it checks but the rows themselves.

use crate::world::{self, BUILT_MS, LIFETIME_MS, SIGNALS, Said};
use interdict_consortium::epoch::delta::{self, Change};
use interdict_consortium::epoch::{Delta, Snapshot, View};
use interdict_consortium::kind::MemberId;
use interdict_consortium::signal::{Key, Op, Policy, Row};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// All that was said about one signal, by member, in each member's order.
type Sayings = BTreeMap<u16, Vec<Row<'static>>>;

fn sayings(said: &[Said]) -> BTreeMap<Key, Sayings> {
    let mut by_number: Vec<&Said> = said.iter().collect();
    by_number.sort_by_key(|said| said.number);
    let mut all: BTreeMap<Key, Sayings> = BTreeMap::new();
    for said in by_number {
        for row in &said.rows {
            all.entry(row.key).or_default().entry(said.member).or_default().push(*row);
        }
    }
    all
}

/// The last row whose operation is one of these.
fn last(rows: &[Row<'static>], ops: &[Op]) -> Option<Row<'static>> {
    rows.iter().rev().find(|row| ops.contains(&row.op)).copied()
}

/// The claim that a member makes in the end: an ended one ends what follows too, until it is added again.
fn claim(rows: &[Row<'static>]) -> Option<Row<'static>> {
    let begin = rows.iter().rposition(|row| row.op == Op::Add)?;
    let end = rows[begin..].iter().any(|row| matches!(row.op, Op::Withdraw | Op::Expire));
    if end { None } else { last(&rows[begin..], &[Op::Add, Op::Correct]) }
}

fn has_contributed(rows: &[Row<'static>]) -> bool {
    rows.iter().any(|row| row.op == Op::Add)
}

fn disputes(rows: &[Row<'static>]) -> bool {
    let standing = last(rows, &[Op::Dispute, Op::WithdrawDispute]).is_some_and(|row| row.op == Op::Dispute);
    standing && claim(rows).is_none()
}

/// Of these members: who confirms, who speaks against.
fn voices(sayings: &Sayings, heard: impl Fn(u16) -> bool) -> (BTreeSet<u16>, BTreeSet<u16>) {
    let (mut confirm, mut against) = (BTreeSet::new(), BTreeSet::new());
    for (member, rows) in sayings.iter().filter(|(member, _)| heard(**member)) {
        let outcome = last(rows, &[Op::Confirmed, Op::FalseAlarm]).filter(|_| !has_contributed(rows));
        if outcome.is_some_and(|row| row.op == Op::Confirmed) {
            confirm.insert(*member);
        }
        if outcome.is_some_and(|row| row.op == Op::FalseAlarm) || disputes(rows) {
            against.insert(*member);
        }
    }
    (confirm, against)
}

fn is_trusted(view: &View, all: &BTreeMap<Key, Sayings>, member: u16) -> bool {
    let rules = view.contributors.iter().any(|c| c.id == MemberId(member) && c.trusted);
    let (mut good, mut bad) = (view.smoothing.confirmed, view.smoothing.refuted);
    for sayings in all.values() {
        if sayings.get(&member).is_some_and(|rows| has_contributed(rows)) {
            let (confirm, against) = voices(sayings, |_| true);
            good += u64::from(confirm.len() > against.len());
            bad += u64::from(against.len() > confirm.len());
        }
    }
    rules && good * 1000 / (good + bad) >= u64::from(view.smoothing.floor_permille)
}

/// What a row of a snapshot should say.
#[derive(Debug, PartialEq)]
struct Expected {
    key: Key,
    text: &'static str,
    severity: u8,
    reason: &'static str,
    times: (u64, u64, u64),
    counts: (usize, usize),
    member: Option<u16>,
}

fn expected_row(
    key: Key,
    sayings: &Sayings,
    policy: &Policy,
    view: &View,
    trusted: &BTreeSet<u16>,
) -> Option<Expected> {
    let heard = |id: u16| view.contributors.iter().any(|c| c.id == MemberId(id) && c.active);
    let (confirm, against) = voices(sayings, heard);
    let is_disputed = sayings.iter().any(|(member, rows)| heard(*member) && disputes(rows));
    if is_disputed && confirm.len() <= against.len() {
        return None;
    }
    let mut live: Vec<(u16, Row<'static>, u64)> = Vec::new();
    for (member, rows) in sayings.iter().filter(|(member, _)| heard(**member)) {
        if let Some(row) = claim(rows) {
            let end = row.expires_ms.min(row.last_seen_ms + LIFETIME_MS);
            if end > view.built_ms {
                live.push((*member, row, end));
            }
        }
    }
    // The latest end up to which one of the two rules is met.
    let met = |at: u64| {
        let left: Vec<u16> =
            live.iter().filter(|(_, _, end)| *end >= at).map(|(member, ..)| *member).collect();
        let of_trust = left.iter().filter(|member| trusted.contains(member)).count();
        (policy.trusted_min > 0 && of_trust >= usize::from(policy.trusted_min))
            || (policy.independent_min > 0 && left.len() >= usize::from(policy.independent_min))
    };
    let until = live.iter().map(|(_, _, end)| *end).filter(|end| met(*end)).max()?;
    let mut leading = live.clone();
    leading.sort_by(|a, b| {
        let of_trust = trusted.contains(&b.0).cmp(&trusted.contains(&a.0));
        of_trust.then(b.1.severity.cmp(&a.1.severity)).then(a.0.cmp(&b.0))
    });
    let (member, lead, _) = leading[0];
    Some(Expected {
        key,
        text: lead.text,
        severity: lead.severity,
        reason: lead.reason.unwrap().name(),
        times: (
            live.iter().map(|(_, row, _)| row.first_seen_ms).min()?,
            live.iter().map(|(_, row, _)| row.last_seen_ms).max()?,
            until,
        ),
        counts: (live.iter().filter(|(member, ..)| trusted.contains(member)).count(), live.len()),
        member: Some(member).filter(|_| policy.names_member),
    })
}

fn expected(said: &[Said], view: &View) -> Vec<Expected> {
    let all = sayings(said);
    let members: BTreeSet<u16> = (0..6).collect();
    let trusted = members.into_iter().filter(|member| is_trusted(view, &all, *member)).collect();
    let row = |(key, sayings): (&Key, &Sayings)| {
        let is_alive = key.key_version == 0 || view.key_versions.contains(&key.key_version);
        expected_row(*key, sayings, view.policies.get(key.kind)?, view, &trusted).filter(|_| is_alive)
    };
    all.iter().filter_map(row).collect()
}

fn found(snapshot: &[u8]) -> Vec<Expected> {
    let of = |row: interdict_consortium::epoch::Row<'_>| Expected {
        key: row.key,
        text: world::NAMES.into_iter().find(|name| *name == row.text).unwrap_or_default(),
        severity: row.severity,
        reason: row.reason.name(),
        times: (row.first_seen_ms, row.last_seen_ms, row.expires_ms),
        counts: (usize::from(row.trusted), usize::from(row.contributors)),
        member: row.member.map(|member| member.0),
    };
    Snapshot::open(snapshot).unwrap().rows().map(of).collect()
}

/// (member, rows of (signal, operation, severity, seen, how long)).
type Drawn = Vec<(u16, Vec<(usize, usize, u8, u64, u64)>)>;

/// Contributions; those from leaf `dead` on are under version 2 alone, others under either, as the signal's number says.
fn said(drawn: Drawn, dead: u64) -> Vec<Said> {
    let (mut said, mut numbers) = (Vec::new(), BTreeMap::new());
    for (leaf, (member, rows)) in (10..).zip(drawn) {
        let version = if leaf < dead && leaf % 2 == 0 { 1 } else { 2 };
        let mut kept: BTreeMap<_, Row<'static>> = BTreeMap::new();
        for (signal, op, severity, seen, long) in rows {
            let op = Op::ALL[op];
            let row = world::row(signal, version, op, severity, seen, seen + 6 + long);
            kept.entry((row.key, op.aspect())).or_insert(row);
        }
        let number = numbers.entry(member).or_insert(0u64);
        *number += leaf;
        said.push(Said::new(leaf, member, *number, kept.into_values().collect()));
    }
    said
}

fn drawn() -> impl Strategy<Value = Drawn> {
    // Few signals, and many additions and confirmations, so that some are active and some disputes are settled.
    let signal = prop_oneof![2 => Just(0usize), 2 => Just(7usize), 3 => 0..SIGNALS];
    let op = prop_oneof![5 => Just(0usize), 3 => Just(6usize), 8 => 0..8usize];
    let row = (signal, op, 0..=100u8, 600_000..BUILT_MS, 100_000..600_000u64);
    prop::collection::vec((0..6u16, prop::collection::vec(row, 1..10)), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(768))]

    /// One snapshot whether it is built of all at once, in steps, or in another order; the one that the oracle says; and the
    /// parent and the delta give it back.
    #[test]
    fn the_merge_is_the_oracles(drawn in drawn(), dead in 10..45u64, cut in 10..40u64, later in 0..300_000u64, turn in 0..30usize) {
        let said = said(drawn, dead);
        let size = 10 + said.len() as u64;
        let alive = |size: u64| if size > dead { vec![2] } else { vec![1, 2] };
        let view = world::view(2, BUILT_MS + later, &alive(size));
        let whole = world::state(None, &said, &alive(size), size);
        let snapshot = world::snapshot(&whole, &view);
        prop_assert_eq!(found(&snapshot), expected(&said, &view));

        let mut turned = said.clone();
        turned.rotate_left(turn % said.len());
        prop_assert_eq!(&world::state(None, &turned, &alive(size), size), &whole);

        let cut = cut.min(size);
        let (before, after): (Vec<_>, Vec<_>) = said.iter().cloned().partition(|said| said.leaf < cut);
        let first = world::state(None, &before, &alive(cut), cut);
        let parent = world::snapshot(&first, &world::view(1, BUILT_MS, &alive(cut)));
        prop_assert_eq!(&world::state(Some(&first), &after, &alive(size), size), &whole);

        let (old, new) = (Snapshot::open(&parent).unwrap(), Snapshot::open(&snapshot).unwrap());
        let (hash, mut bytes) = ([7; 32], Vec::new());
        let (written, counts) = delta::write(&old, &hash, &new, &mut bytes).unwrap();
        prop_assert_eq!(written.bytes, bytes.len() as u64);
        let delta = Delta::open(&bytes).unwrap();
        prop_assert_eq!(delta.counts(), counts);
        prop_assert_eq!(slow_delta(&old, &new), delta.changes().map(kind_of).collect::<BTreeMap<_, _>>());
        let mut again = Vec::new();
        delta::apply(&old, &hash, &delta, &mut again).unwrap();
        prop_assert_eq!(again, snapshot);
    }
}

fn kind_of(change: Change<'_>) -> (Key, &'static str) {
    let word = match change {
        Change::Added(_) => "added",
        Change::Changed(_) => "changed",
        Change::Removed(_) => "removed",
    };
    (change.key(), word)
}

fn slow_delta(old: &Snapshot<'_>, new: &Snapshot<'_>) -> BTreeMap<Key, &'static str> {
    let (old, new): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (old.rows().map(|row| (row.key, row)).collect(), new.rows().map(|row| (row.key, row)).collect());
    let all: BTreeSet<Key> = old.keys().chain(new.keys()).copied().collect();
    let word = |key: Key| match (old.get(&key), new.get(&key)) {
        (None, _) => Some((key, "added")),
        (_, None) => Some((key, "removed")),
        (Some(old), Some(new)) => (old != new).then_some((key, "changed")),
    };
    all.into_iter().filter_map(word).collect()
}

/// Of the draws above enough must be active, settled, lapsed: an oracle that is never asked shows nothing.
#[test]
fn a_signal_lives_as_the_rules_say() {
    let add = |leaf, member, number, signal, ends| {
        Said::new(leaf, member, number, vec![world::row(signal, 2, Op::Add, 80, 900_000, ends)])
    };
    let say =
        |leaf, member, number, op| Said::new(leaf, member, number, vec![world::row(0, 2, op, 0, 900_000, 0)]);
    let late = 1_400_000;
    let card = |said: &[Said], built_ms| {
        let view = world::view(1, built_ms, &[2]);
        let state = world::state(None, said, &[2], 100);
        let rows = found(&world::snapshot(&state, &view));
        assert_eq!(rows, expected(said, &view));
        rows.into_iter().map(|row| (row.counts, row.times.2)).next()
    };
    // One that is not trusted does not do; two do, until the first of them ends.
    let two = [add(1, 2, 1, 0, late), add(2, 3, 1, 0, late - 9)];
    assert_eq!(card(&two[..1], BUILT_MS), None);
    assert_eq!(card(&two, BUILT_MS), Some(((0, 2), late - 9)));
    assert_eq!(card(&two, late - 9), None);
    // One that is trusted does; one that is suspended is not heard.
    assert_eq!(card(&[add(1, 0, 1, 0, late)], BUILT_MS), Some(((1, 1), late)));
    assert_eq!(card(&[add(1, 5, 1, 0, late)], BUILT_MS), None);
    // A lifetime ends a signal that would last longer.
    assert_eq!(
        card(&[add(1, 0, 1, 0, u64::from(u32::MAX))], BUILT_MS),
        Some(((1, 1), 900_005 + LIFETIME_MS))
    );
    // A dispute stops it; one confirmation does not outnumber it, two do; its withdrawal ends it.
    let mut said = vec![add(1, 0, 1, 0, late), say(2, 2, 1, Op::Dispute)];
    assert_eq!(card(&said, BUILT_MS), None);
    said.push(say(3, 3, 1, Op::Confirmed));
    assert_eq!(card(&said, BUILT_MS), None);
    // Its own contributor's word is none.
    said.push(say(4, 0, 2, Op::Confirmed));
    assert_eq!(card(&said, BUILT_MS), None);
    said.push(say(5, 4, 1, Op::Confirmed));
    assert!(card(&said, BUILT_MS).is_some());
    said.truncate(2);
    said.push(say(6, 2, 2, Op::WithdrawDispute));
    assert!(card(&said, BUILT_MS).is_some());
    // A correction of what was withdrawn changes nothing.
    said.extend([
        say(7, 0, 3, Op::Withdraw),
        Said::new(8, 0, 4, vec![world::row(0, 2, Op::Correct, 9, 900_000, late)]),
    ]);
    assert_eq!(card(&said, BUILT_MS), None);
}

/// A trusted member whose signals are refuted is trusted no more, also when those signals have lapsed.
#[test]
fn reputation_takes_trust_away_and_outlives_the_key() {
    let refuted = |leaf, version| {
        vec![
            Said::new(
                leaf,
                0,
                leaf,
                (0..3).map(|s| world::row(s, version, Op::Add, 50, 900_000, 950_000)).collect(),
            ),
            Said::new(
                leaf + 1,
                3,
                leaf,
                (0..3).map(|s| world::row(s, version, Op::FalseAlarm, 0, 910_000, 0)).collect(),
            ),
        ]
    };
    let good = Said::new(20, 0, 20, vec![world::row(0, 2, Op::Add, 50, 900_000, 1_400_000)]);
    let view = world::view(1, BUILT_MS, &[2]);
    let trusted = |said: &[Said]| {
        let rows = found(&world::snapshot(&world::state(None, said, &[2], 100), &view));
        assert_eq!(rows, expected(said, &view));
        rows.len() == 1
    };
    assert!(trusted(std::slice::from_ref(&good)));
    for version in [1, 2] {
        let mut said = refuted(5, version);
        said.push(good.clone());
        assert!(!trusted(&said), "version {version}");
    }
}
