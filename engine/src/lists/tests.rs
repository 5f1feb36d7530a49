//! The snapshot's promises (same bytes in any order, every damage refused) and the precedence truth table with dates.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::domain::{
    Effect, Entry, Field, KeyId, Outcome, Subject, SubjectKind, Tag, Transaction, TransactionKind,
};
use crate::error::{Error, ErrorKind};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::sync::Arc;

const DAY_MS: i64 = 86_400_000;

fn card(n: u128) -> Subject {
    Subject::Tag { kind: SubjectKind::Card, tag: Tag(n) }
}
fn ip(text: &str, prefix: u8) -> Subject {
    Subject::Ip { network: text.parse().unwrap(), prefix }
}
fn entry(subject: Subject, effect: Effect) -> Entry {
    let is_override = effect == Effect::Override;
    Entry {
        id: 0,
        subject,
        effect,
        overridable: true,
        overrides: is_override.then(|| "blocked".into()),
        reason: "test".into(),
        severity: 50,
        contributor: "risk".into(),
        valid_from_ms: None,
        valid_to_ms: is_override.then_some(100 * DAY_MS),
    }
}
fn meta(name: &str) -> ListMeta {
    ListMeta::new(name, None, 7)
}
fn open(bytes: Vec<u8>) -> Result<Snapshot, Error> {
    Snapshot::open(Arc::new(bytes))
}
fn some_entries() -> Vec<Entry> {
    let mut entries: Vec<Entry> = (0..20).map(|n| entry(card(n * 77), Effect::Block)).collect();
    entries.push(entry(ip("203.0.113.0", 24), Effect::Flag));
    entries.push(entry(ip("2001:db8::", 32), Effect::Flag));
    entries.push(entry(Subject::Bin { number: 42, digits: 6 }, Effect::Override));
    entries[3].valid_from_ms = Some(-5);
    entries[3].reason = "stolen ✓".into();
    entries
}

#[test]
fn a_snapshot_gives_back_what_it_was_built_of() {
    let entries = some_entries();
    let snapshot = open(build(&meta("blocked"), entries.clone()).unwrap()).unwrap();
    assert_eq!((snapshot.len(), snapshot.meta(), snapshot.has_tags()), (23, &meta("blocked"), true));
    let mut back: Vec<Entry> = snapshot.entries().collect();
    assert!(back.iter().zip(0..).all(|(entry, row)| entry.id == row), "an id is a row");
    for entry in &entries {
        assert_eq!(
            snapshot.row_of(&entry.subject).map(|row| snapshot.entry(row).subject),
            Some(entry.subject)
        );
    }
    assert_eq!(snapshot.row_of(&card(1)), None);
    back.iter_mut().for_each(|entry| entry.id = 0);
    let mut sorted = entries;
    sorted.sort_by_key(|entry| entry.subject);
    assert_eq!(back, sorted);
    let owned = ListMeta { block_outcome: Outcome::Hold, ..ListMeta::new("vip", Some("acme".into()), 1) };
    let empty = open(build(&owned, vec![]).unwrap()).unwrap();
    assert_eq!((empty.meta(), empty.is_empty(), empty.row_of(&card(1))), (&owned, true, None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_entries_in_any_order_give_the_same_bytes(
        entries in Just(some_entries()).prop_shuffle(), again in 0usize..23,
    ) {
        let mut entries = entries;
        entries.push(Entry { id: 99, ..entries[again].clone() });
        let bytes = build(&meta("blocked"), entries).unwrap();
        prop_assert_eq!(bytes, build(&meta("blocked"), some_entries()).unwrap());
    }

    /// A file whose checksum is right may still be made to harm: opening it refuses, or using it is safe.
    #[test]
    fn a_forged_file_is_refused_or_harmless(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in 0usize..40,
    ) {
        let mut bytes = build(&meta("blocked"), some_entries()).unwrap();
        let body = bytes.len() - 32 - cut.saturating_sub(32);
        bytes.truncate(body);
        for (at, value) in changes {
            let at = at.index(body);
            bytes[at] = value;
        }
        bytes.extend_from_slice(&Sha256::digest(&bytes));
        if let Ok(snapshot) = open(bytes) {
            prop_assert_eq!(snapshot.entries().count() as u64, snapshot.len());
            for n in 0..40 {
                snapshot.row_of(&card(n * 77));
            }
            let rows = snapshot.len();
            let base = ListBase::new(vec![snapshot]).unwrap();
            prop_assert_eq!(base.entries(), rows);
        }
    }
}

#[test]
fn every_flipped_byte_and_every_cut_is_refused_and_says_where() {
    let good = build(&meta("blocked"), some_entries()).unwrap();
    let error = |bytes: Vec<u8>| open(bytes).unwrap_err();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        let kind = error(bytes).kind;
        let expected = match at {
            0..8 => ErrorKind::Malformed,
            8..12 => ErrorKind::Version,
            _ => ErrorKind::Corrupt,
        };
        assert_eq!(kind, expected, "byte {at}");
    }
    for len in 0..good.len() {
        let e = error(good[..len].to_vec());
        assert_eq!(e.kind, ErrorKind::Corrupt, "{len} bytes: {e}");
        assert!(e.message.contains(&format!("truncated at byte {len}")), "{len} bytes: {e}");
    }
    let mut longer = good.clone();
    longer.push(0);
    assert!(error(longer).message.contains("bytes after the end"));
    let mut magic = good.clone();
    magic[0] = b'X';
    let mut version = good.clone();
    version[8] = 9;
    let mut flipped = good.clone();
    flipped[700] ^= 1;
    for (bytes, says) in [
        (magic, "byte 0: magic"),
        (version, "version 9, known: 1"),
        (flipped, "checksum of 32 bytes does not match"),
    ] {
        let message = error(bytes).message;
        assert!(message.contains(says), "{message}");
    }
}

#[test]
fn entries_that_mean_nothing_are_refused_by_their_place() {
    let no_target = Entry { overrides: None, ..entry(card(9), Effect::Override) };
    let no_owner = Entry { contributor: String::new(), ..entry(card(9), Effect::Override) };
    let no_end = Entry { valid_to_ms: None, ..entry(card(9), Effect::Override) };
    let never = Entry { valid_from_ms: Some(9), valid_to_ms: Some(9), ..entry(card(9), Effect::Flag) };
    let other = Entry { severity: 51, ..entry(card(1), Effect::Block) };
    let mapped = entry(ip("::ffff:10.0.0.0", 104), Effect::Flag);
    let tagged_ip = entry(Subject::Tag { kind: SubjectKind::Ip, tag: Tag(1) }, Effect::Flag);
    for (bad, says) in [
        (no_target, "entry 2: an override without \"overrides\""),
        (no_owner, "entry 2: an override without \"contributor\""),
        (no_end, "entry 2: an override without \"valid_to\""),
        (Entry { overrides: Some("x".into()), ..entry(card(9), Effect::Block) }, "only an override has one"),
        (never, "valid_from 9 is not before valid_to 9"),
        (Entry { severity: 101, ..entry(card(9), Effect::Flag) }, "severity 101, limit 100"),
        (
            Entry { reason: "x".repeat(257), ..entry(card(9), Effect::Flag) },
            "reason has 257 bytes, limit 256",
        ),
        (entry(ip("10.0.0.1", 24), Effect::Flag), "host bits"),
        (entry(ip("10.0.0.0", 33), Effect::Flag), "/33, limit /32"),
        (mapped, "IPv4 form"),
        (entry(Subject::Bin { number: 1000, digits: 3 }, Effect::Flag), "more than its 3 digits"),
        (entry(Subject::Bin { number: 0, digits: 9 }, Effect::Flag), "9 digits"),
        (tagged_ip, "expected a prefix"),
        (other, "entries 1 and 2 are the same card and say different things"),
    ] {
        let e = build(&meta("blocked"), vec![entry(card(1), Effect::Block), bad]).unwrap_err();
        assert_eq!(e.kind, ErrorKind::Invalid);
        assert!(e.message.contains(says), "{e}: expected {says:?}");
    }
    for name in ["", "pack/rule", "a b", &"x".repeat(65)] {
        assert_eq!(build(&meta(name), vec![]).unwrap_err().kind, ErrorKind::Invalid);
    }
    assert!(build(&ListMeta { block_outcome: Outcome::Approve, ..meta("a") }, vec![]).is_err());
}

#[test]
fn lists_of_other_keys_and_twins_are_refused() {
    let snapshot = open(build(&meta("blocked"), some_entries()).unwrap()).unwrap();
    let base = ListBase::new(vec![snapshot.clone()]).unwrap();
    assert!(base.check_keys(|meta| Some(if meta.tenant.is_none() { 7 } else { 0 })).is_ok());
    assert!(base.check_keys(|_| Some(8)).unwrap_err().message.contains("another key"));
    assert!(ListBase::new(vec![snapshot.clone(), snapshot]).err().unwrap().message.contains("twice"));
    let no_tags = build(&meta("ips"), vec![entry(ip("10.0.0.0", 8), Effect::Flag)]).unwrap();
    assert!(ListBase::new(vec![open(no_tags).unwrap()]).unwrap().check_keys(|_| Some(8)).is_ok());
}

/// One list hit of each kind or none, at a time before, at, within and after its dates, beside an override of the
/// list and an override of the rule or none: written out, not computed.
#[test]
fn the_truth_table_of_precedence_with_dates() {
    use Outcome::{Decline, Hold, Review};
    // The list is valid from day 10 to day 20, the overrides from day 12 to day 15.
    let before_dates = 9;
    let (first, in_override, last_overridden, override_over, last, over) = (10, 12, 14, 15, 19, 20);
    // entry, overridable, day, override of the list, rule's outcome, override of the rule -> outcome
    type Line = (Option<(Effect, bool)>, i64, bool, Option<Outcome>, bool, Option<Outcome>);
    let (hard, soft, flag) =
        (Some((Effect::Block, false)), Some((Effect::Block, true)), Some((Effect::Flag, true)));
    let table: &[Line] = &[
        // Nothing hits.
        (None, first, false, None, false, None),
        (None, in_override, true, None, true, None),
        // A non-overridable block stands against everything within its dates, and is nothing outside them.
        (hard, before_dates, false, None, false, None),
        (hard, first, false, None, false, Some(Decline)),
        (hard, in_override, true, None, false, Some(Decline)),
        (hard, in_override, true, Some(Review), true, Some(Decline)),
        (hard, last, true, None, false, Some(Decline)),
        (hard, over, true, None, false, None),
        // An overridable block falls to an override that names its list, from the override's first ms to its end.
        (soft, before_dates, false, None, false, None),
        (soft, first, false, None, false, Some(Decline)),
        (soft, first, true, None, false, Some(Decline)),
        (soft, in_override, true, None, false, None),
        (soft, last_overridden, true, None, false, None),
        (soft, override_over, true, None, false, Some(Decline)),
        (soft, last, true, None, false, Some(Decline)),
        (soft, over, true, None, false, None),
        // It does not fall to an override that names a rule.
        (soft, in_override, false, None, true, Some(Decline)),
        // A flag is the weakest: an override of its list cancels it, one of a rule does not.
        (flag, before_dates, false, None, false, None),
        (flag, first, false, None, false, Some(Review)),
        (flag, in_override, true, None, false, None),
        (flag, in_override, false, None, true, Some(Review)),
        (flag, override_over, true, None, false, Some(Review)),
        (flag, over, true, None, false, None),
        // Rules: cancelled by the override that names them, within its dates only.
        (None, in_override, false, Some(Hold), false, Some(Hold)),
        (None, in_override, true, Some(Hold), false, Some(Hold)),
        (None, in_override, false, Some(Hold), true, None),
        (None, first, false, Some(Hold), true, Some(Hold)),
        (None, override_over, false, Some(Hold), true, Some(Hold)),
        // The strongest of what is left.
        (soft, in_override, true, Some(Hold), false, Some(Hold)),
        (soft, in_override, true, Some(Hold), true, None),
        (soft, in_override, false, Some(Hold), true, Some(Decline)),
        (flag, in_override, false, Some(Hold), false, Some(Hold)),
        (flag, in_override, true, Some(Hold), false, Some(Hold)),
        (flag, in_override, true, Some(Hold), true, None),
    ];
    for (number, &(hit, day, list_override, rule, rule_override, expected)) in table.iter().enumerate() {
        let dated = |subject, effect, from: i64, to: i64| Entry {
            valid_from_ms: Some(from * DAY_MS),
            valid_to_ms: Some(to * DAY_MS),
            ..entry(subject, effect)
        };
        let of_hit = hit.map(|(effect, overridable)| Entry { overridable, ..dated(card(1), effect, 10, 20) });
        let device = Subject::Tag { kind: SubjectKind::Device, tag: Tag(2) };
        let list = dated(device, Effect::Override, 12, 15);
        let of_list = list_override.then_some(list);
        let rule_target =
            Entry { overrides: Some("cards/velocity".into()), ..dated(card(1), Effect::Override, 12, 15) };
        let of_rule = rule_override.then_some(rule_target);
        let lists = [("blocked", of_hit), ("vip", of_list), ("waived", of_rule)];
        let lists = lists
            .map(|(name, entry)| open(build(&meta(name), entry.into_iter().collect()).unwrap()).unwrap());
        let base = ListBase::new(lists.to_vec()).unwrap();
        let view = ListView { base: &base, overlay: &Overlay::new(&base) };
        let rules: Vec<RuleHit<'_>> =
            rule.map(|outcome| RuleHit { number: 0, name: "cards/velocity", outcome }).into_iter().collect();
        // The first ms of a day and its last: dates are sharp to the ms.
        for time_ms in [day * DAY_MS, (day + 1) * DAY_MS - 1] {
            let mut tx = Transaction::new("acme".into(), TransactionKind::Request, time_ms);
            tx.add_tag(Field::Card, KeyId::SHARED, Tag(1));
            tx.add_tag(Field::Device, KeyId::SHARED, Tag(2));
            let (mut hits, mut out) = (Hits::new(), Resolution::default());
            view.probe(&tx, &mut hits);
            resolve(&hits, |list| view.list_name(list), &rules, &mut out);
            assert_eq!(out.outcome(), expected, "line {number}, {time_ms} ms: {hits:?}");
        }
    }
}
