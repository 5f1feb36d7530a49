//! Random streams of everything that changes the state, from few names, so that they meet: all kinds of message by four
//! tenants, retries, messages that wait, labels, list deltas, and publications of other plans.

use crate::lists;
use interdict::node::{keys::NodeKeys, publish, recovery, store::Store};
use interdict_engine::domain::{
    Body, Event, Field, GenerationId, KeyId, Label, ListDelta, Tag, Transaction, TransactionKind,
};
use interdict_engine::features::StateLimits;
use interdict_engine::generation::Generation;
use interdict_engine::identity::IdentityLimits;
use interdict_engine::sequencer::{Refers, Sequencer, SequencerLimits, Submission, Taken};
use interdict_tests::blackbox::{probe, write};
use proptest::option;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

pub const START_MS: i64 = 1_522_540_800_000;
const TENANTS: [&str; 4] = ["acme", "zeta", "north", "south"];

const FIRST: &str = "\
features:
  - {name: card, key: card, windows: [1m, 10m, 1h], aggregates: [count, sum, max, mean, distinct], distinct: merchant, currency: EUR, seen: true}
  - {name: keep, key: device, windows: [1h], aggregates: [count, sum], currency: EUR, on_reversal: keep}
  - {name: all, key: merchant, windows: [10m, 2h], aggregates: [count, sum], currency: EUR, kinds: [request, repeat, advice, reversal, completion, refund]}
  - {name: fraud, key: merchant, windows: [10m], aggregates: [fraud_share, fraud_count], delay: 1m}
";
// `all` is as before, and is read at a delay too, `card` has other windows, and one is new.
const SECOND: &str = "\
features:
  - {name: all, key: merchant, windows: [10m, 2h], aggregates: [count, sum], currency: EUR, kinds: [request, repeat, advice, reversal, completion, refund]}
  - {name: card, key: card, windows: [5m, 1h], aggregates: [count, distinct], distinct: device}
  - {name: pair, key: [card, merchant], windows: [1h], aggregates: [count]}
";
const BANKS: &str = "banks:
  - id: alike
    kind: fingerprint
    doc: payments that share amount and channel with labelled ones
    attributes: [channel, {slot: amount.minor, steps: [100, 300, 600]}]
    range: 40
    k: 4
";
const VECTOR: &str = "  - id: near
    kind: vector
    doc: payments of a similar amount
    dimensions: [{slot: amount.minor, from: 0, to: 1000}]
    range: 100
    k: 3
";

/// Three generations: with features and a bank; with others and a second bank; and with nothing.
pub fn generations() -> &'static [Arc<Generation>; 3] {
    static BUILT: OnceLock<[Arc<Generation>; 3]> = OnceLock::new();
    BUILT.get_or_init(|| {
        let build = |features: &str, banks: &str| {
            let dir = tempfile::tempdir().unwrap();
            let config = probe(dir.path(), "\n[lists.stolen]\nfile = \"stolen.csv\"\nfresh_for = \"24h\"\n");
            write(&dir.path().join("stolen.csv"), "type,value\nbin,41111111\nip,10.0.0.1\nip,10.0.0.0/16\n");
            std::fs::remove_file(dir.path().join("probe/rules/rules.yaml")).unwrap();
            write(&dir.path().join("probe/features.yaml"), features);
            write(&dir.path().join("probe/banks.yaml"), banks);
            let loaded = interdict::config::load(&config).unwrap();
            let (store, keys) = (Store::open(dir.path()).unwrap(), NodeKeys::open(dir.path(), true).unwrap());
            publish::build(&loaded, &store, &keys, &BTreeMap::new()).unwrap()
        };
        [build(FIRST, BANKS), build(SECOND, &format!("{BANKS}{VECTOR}")), recovery::empty_generation()]
    })
}

/// Bounds that streams of some hundreds reach.
pub fn limits() -> SequencerLimits {
    let features = StateLimits {
        keys_max: 7,
        bytes_max: 24_000,
        events_exact_max: 66,
        originals_max: 90,
        lateness_ms: 20 * 60_000,
    };
    let identity = IdentityLimits {
        horizon_ms: 6 * 3_600_000,
        bytes_max: 16 * 64,
        disk_bytes_max: 64 * 96,
        tenants_max: 2,
    };
    SequencerLimits { features, identity }
}

#[derive(Debug, Clone)]
pub enum Step {
    Message {
        tenant: usize,
        kind: usize,
        again: u16,
        refers: Option<u16>,
        content: u32,
        minor: i64,
        off_ms: i64,
    },
    Label {
        tenant: usize,
        back: u16,
        fraud: bool,
    },
    Delta(&'static str, ListDelta),
    Publish(usize),
}

pub fn steps(len: usize) -> impl Strategy<Value = Vec<(i64, Step)>> {
    let off = prop_oneof![8 => Just(0i64), 2 => -15 * 60_000..=0i64, 1 => -3 * 3_600_000..=0i64];
    let kind = prop_oneof![6 => Just(0usize), 6 => 0..6usize];
    // Ids go up, so that most are new and some come again.
    let tenant = || prop_oneof![5 => Just(0usize), 1 => 1..4usize];
    let message = (tenant(), kind, 0..40u16, option::weighted(0.7, 0..60u16), any::<u32>(), 0..1000i64, off)
        .prop_map(|(tenant, kind, again, refers, content, minor, off_ms)| Step::Message {
            tenant,
            kind,
            again,
            refers,
            content,
            minor,
            off_ms,
        });
    let label = (tenant(), 0..80u16, any::<bool>()).prop_map(|(tenant, back, fraud)| Step::Label {
        tenant,
        back,
        fraud,
    });
    let delta = lists::delta().prop_map(|(_, tenant, delta)| Step::Delta(tenant, delta));
    let publish = (0..5usize).prop_map(|which| Step::Publish([0, 0, 1, 1, 2][which]));
    let step = prop_oneof![200 => message, 20 => label, 12 => delta, 2 => publish];
    let after = prop_oneof![200 => 0..5_000i64, 6 => 0..600_000i64, 1 => 0..5 * 3_600_000i64];
    prop::collection::vec((after, step), len / 3..len)
}

fn identity(tenant: usize, kind: TransactionKind, id: u64) -> u128 {
    let class = if kind == TransactionKind::Repeat { TransactionKind::Request } else { kind };
    // Spread over the whole range, as keyed hashes are.
    let key = (tenant as u128) << 80 | (class as u128) << 72 | u128::from(id);
    key.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
}

/// The submission of a step at a place in the stream; `None` for a publication.
pub fn submission(at: u64, now_ms: i64, step: &Step) -> Option<Submission> {
    let event = |tenant: &str, body| Event { tenant: tenant.into(), arrival_ms: now_ms, body };
    Some(match step {
        Step::Message { tenant, kind, again, refers, content, minor, off_ms } => {
            let (name, kind) = (TENANTS[*tenant], TransactionKind::ALL[*kind]);
            let mut tx = Transaction::new(name.into(), kind, now_ms + off_ms);
            tx.set_int(Field::AmountMinor, *minor);
            tx.set_text(Field::AmountCurrency, ["EUR", "EUR", "EUR", "USD"][*content as usize % 4]);
            tx.set_text(Field::Channel, ["chip", "ecommerce"][*content as usize / 4 % 2]);
            let fields = [(Field::Card, 3, 12), (Field::Merchant, 8, 2), (Field::Device, 12, 20)];
            for (field, shift, of) in fields {
                tx.add_tag(field, KeyId::STATE, Tag(u128::from(content >> shift) % of + 1));
            }
            // Ids grow with the stream; a small one is of a while ago, perhaps in another drawer.
            let id = |back: u16| (at + 20).saturating_sub(u64::from(back));
            let own = if *again < 34 { id(0) } else { id(*again) };
            let classes = [TransactionKind::Request, TransactionKind::Advice, TransactionKind::Completion];
            let refers = refers.map(|back| {
                // Some name what is yet to come.
                let of = id(back) + if content % 7 == 0 { 30 } else { 0 };
                Refers::new(classes.map(|kind| identity(*tenant, kind, of)))
            });
            Submission {
                event: event(name, Body::Payment(Box::new(tx))),
                identity: Some(identity(*tenant, kind, own)),
                alias: (content % 5 == 0).then(|| identity(*tenant, kind, own | 1 << 40)),
                payment_digest: 1,
                refers_to: refers,
            }
        }
        Step::Label { tenant, back, fraud } => {
            let label = if *fraud { Label::Fraud } else { Label::Good };
            let of = identity(*tenant, TransactionKind::Request, (at + 20).saturating_sub(u64::from(*back)));
            let body = Body::Label { target: 0, label, time_ms: now_ms };
            let (refers_to, event) = (Some(of.into()), event(TENANTS[*tenant], body));
            Submission { event, identity: None, alias: None, payment_digest: 0, refers_to }
        }
        Step::Delta(tenant, delta) => {
            let event = event(tenant, Body::ListDelta(Box::new(delta.clone())));
            Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None }
        }
        Step::Publish(_) => return None,
    })
}

/// What a step comes to.
pub fn take(sequencer: &mut Sequencer, at: u64, now_ms: i64, step: &Step) -> Taken {
    let mut out = Vec::new();
    match (submission(at, now_ms, step), step) {
        (Some(submission), _) => {
            sequencer.step([submission], &mut out);
            out.remove(0)
        }
        (None, Step::Publish(which)) => {
            let generation = generations()[*which].clone();
            let id = GenerationId { hash: generation.hash(), overlay: 0 };
            let body = Body::Publish { generation: id };
            sequencer.publish(generation, Event { tenant: "default".into(), arrival_ms: now_ms, body })
        }
        (None, other) => panic!("{other:?}"),
    }
}
