//! What features say does not depend on the tag keys: a stream whose identifiers are tagged under keys that change on the
//! way, against the same stream under one key. Stamps, and while tags are made under both keys every figure of the state, are the same at every step.

use super::engine_plan;
use super::streams::{LATENESS_MS, START_MS, Step, specs, streams, transaction};
use interdict_engine::domain::{Currency, Earlier, Field, KeyId, Keyed, Label, Tag, Transaction, Value};
use interdict_engine::features::{FeatureState, FollowKind, FollowUp, StateLimits};
use proptest::prelude::*;

/// How long state may hang on a tag: the longest window with its delay, lateness at either end, and how far the
/// streams' times run ahead.
const HORIZON_MS: i64 = 400_000 + 2 * LATENESS_MS + 60_000;

/// A tag under another key: as different, and as equal, as tags of HMAC-SHA-256.
fn under(key: u32, tag: Tag) -> Tag {
    let mixed = (tag.0 ^ u128::from(key) << 77).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    if key == 0 { tag } else { Tag(mixed ^ mixed >> 61) }
}

/// The same payment as it is normalised after rotations; keys newest first.
fn tagged(tx: &Transaction, keys: &[u32]) -> Transaction {
    let mut out = Transaction::new(tx.tenant.clone(), tx.kind, tx.time_ms);
    tx.int(Field::AmountMinor).into_iter().for_each(|minor| out.set_int(Field::AmountMinor, minor));
    tx.text(Field::AmountCurrency).into_iter().for_each(|code| out.set_text(Field::AmountCurrency, code));
    if let Some(Value::Ip(ip)) = tx.get(Field::DeviceIp) {
        out.set_ip(Field::DeviceIp, ip);
    }
    for (field, key, tag) in tx.tags() {
        match *key {
            KeyId::STATE => {
                out.add_tag(*field, KeyId::STATE, under(keys[0], *tag));
                out.add_tag(*field, KeyId::LISTS, *tag);
                for (id, key) in KeyId::EARLIER.into_iter().zip(&keys[1..]) {
                    out.add_tag(*field, id, under(*key, *tag));
                }
            }
            key => out.add_tag(*field, key, *tag),
        }
    }
    out.set_keyed(Keyed { earlier: vec![Earlier::default(); keys.len() - 1], ..Keyed::default() });
    out
}

/// The keys in force, newest first, with when each was replaced.
struct Ring {
    keys: Vec<(u32, i64)>,
    made: u32,
    ends: bool,
}

impl Ring {
    fn rotate(&mut self, now_ms: i64) {
        // As many earlier ones as there may be: refused.
        if self.keys.len() > KeyId::EARLIER.len() {
            return;
        }
        self.keys[0].1 = now_ms;
        self.made += 1;
        self.keys.insert(0, (self.made, i64::MAX));
    }
    fn numbers(&mut self, now_ms: i64) -> Vec<u32> {
        let is_needed =
            |(_, replaced_ms): &(u32, i64)| !self.ends || now_ms < replaced_ms.saturating_add(HORIZON_MS);
        self.keys.retain(is_needed);
        self.keys.iter().map(|(number, _)| *number).collect()
    }
}

/// Runs a stream through both; `rotations`: before which steps the key is replaced.
fn compare(steps: &[Step], rotations: &[usize], ends: bool, limits: StateLimits) {
    let new = || FeatureState::new(engine_plan(&specs()), limits);
    let (mut plain, mut rotated) = (new(), new());
    let mut ring = Ring { keys: vec![(0, i64::MAX)], made: 0, ends };
    let (mut now_ms, mut tenants) = (START_MS, Vec::<(u64, String)>::new());
    for (at, step) in steps.iter().enumerate() {
        let sequence = at as u64 + 1;
        rotations.iter().filter(|rotation| **rotation == at).for_each(|_| ring.rotate(now_ms));
        let target = |back: u8| match tenants.len().checked_sub(1 + usize::from(back)) {
            Some(at) => tenants[at].clone(),
            None => (sequence + 1000, "tenant0".to_owned()),
        };
        match step {
            Step::Pay { tenant, after_ms, off_ms, content, amount } => {
                now_ms += after_ms;
                let off_ms = if ends { (*off_ms).clamp(-LATENESS_MS, 60_000) } else { *off_ms };
                let tx = transaction(*tenant, now_ms + off_ms, *content, *amount);
                let other = tagged(&tx, &ring.numbers(now_ms));
                if sequence.is_multiple_of(3) {
                    rotated.prefetch(&[&other]);
                }
                let (mut expected, mut got) = (Vec::new(), Vec::new());
                plain.apply(sequence, now_ms, &tx, &mut expected);
                rotated.apply(sequence, now_ms, &other, &mut got);
                assert_eq!(got, expected, "sequence {sequence}");
                assert_eq!(rotated.approximate(), plain.approximate(), "sequence {sequence}");
                tenants.push((sequence, tx.tenant.to_string()));
            }
            Step::Label { back, fraud } => {
                let (target, tenant) = target(*back);
                let label = if *fraud { Label::Fraud } else { Label::Good };
                assert_eq!(rotated.label(&tenant, target, label), plain.label(&tenant, target, label));
            }
            Step::Follow { back, completes, amount, dollars, .. } => {
                let (of, tenant) = target(*back);
                let currency = if *dollars { Currency::parse("USD") } else { None };
                let kind = if *completes { FollowKind::Completion } else { FollowKind::Reversal };
                let follow = FollowUp { kind, sequence, amount_minor: *amount, currency };
                assert_eq!(rotated.follow(&tenant, of, &follow), plain.follow(&tenant, of, &follow));
            }
            Step::Replan => {
                plain.replan(engine_plan(&specs()));
                rotated.replan(engine_plan(&specs()));
            }
        }
        // A dead key under an earlier tag that is made no more is not met again; it waits for the sweep.
        if !ends {
            assert_eq!(rotated.stats(), plain.stats(), "after {sequence}");
        }
    }
}

fn cases() -> u32 {
    std::env::var("INTERDICT_ROTATION_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(48)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]
    /// While tags are made under earlier keys too; with keys evicted, blocks, chunks and panes.
    #[test]
    fn a_rotation_changes_no_stamp(
        steps in streams(700),
        rotations in prop::collection::vec(0..400usize, 1..4),
        keys_max in prop_oneof![Just(1_000_000usize), 1..8usize],
        events_exact_max in prop_oneof![Just(65_536usize), 65..200usize],
        bytes_max in prop_oneof![Just(1usize << 30), 2_000..20_000usize],
    ) {
        let limits = StateLimits { lateness_ms: LATENESS_MS, keys_max, events_exact_max, bytes_max, ..StateLimits::default() };
        compare(&steps, &rotations, false, limits);
    }

    /// And when they no longer are, since nothing hangs on them.
    #[test]
    fn the_end_of_an_earlier_key_changes_none_either(
        steps in streams(900),
        rotations in prop::collection::vec(0..600usize, 1..6),
        events_exact_max in prop_oneof![Just(65_536usize), 65..200usize],
    ) {
        let limits = StateLimits { lateness_ms: LATENESS_MS, events_exact_max, ..StateLimits::default() };
        compare(&steps, &rotations, true, limits);
    }
}
