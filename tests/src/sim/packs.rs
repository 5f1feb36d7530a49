//! The generations that the simulated nodes publish: small, with the same features and another limit each, built once.

use crate::blackbox::{probe, write};
use interdict::node::{keys::NodeKeys, publish, store::Store};
use interdict_engine::domain::GenerationId;
use interdict_engine::generation::Generation;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

const PACK: &str = "\
name: probe
version: 1.0.0
owner: tests@example.org
description: For the simulator.
lists:
  - name: watched
    doc: what the simulated operators put on it
    code: WATCHED
    audience: customer
defaults:
  lists: review
  rules: hold
";

/// `LIMIT` is put in.
const RULES: &str = "\
rules:
  - id: large
    title: A large amount
    when: amount.minor >= LIMIT
    outcome: review
    score: 300
    code: LARGE
    audience: internal
    examples: {hit: [{amount.minor: LIMIT}], miss: [{amount.minor: 1}]}
  - id: often
    title: Often within the hour
    when: features.card.count_1h >= 4
    outcome: challenge
    score: 500
    code: OFTEN
    audience: internal
    examples: {hit: [{features.card.count_1h: 4}], miss: [{features.card.count_1h: 3}]}
  - id: much
    title: Much within the hour
    when: features.net.sum_1h >= 2500
    outcome: hold
    score: 600
    code: MUCH
    audience: internal
    examples: {hit: [{features.net.sum_1h: 2500}], miss: [{features.net.sum_1h: 2499}]}
";

/// From how many payments of a card within the hour on it is too often.
pub const OFTEN: i64 = 4;
/// From what net sum of a card within the hour on it is too much.
pub const MUCH: i64 = 2500;
/// From what amount on a payment is large, in each generation.
pub const LIMITS: [i64; 3] = [400, 600, 800];

const FEATURES: &str = "\
features:
  - {name: card, key: card, windows: [1h], aggregates: [count]}
  - {name: net, key: card, windows: [10m, 1h], aggregates: [count, sum, max], currency: EUR}
  - {name: keep, key: card, windows: [1h], aggregates: [sum], currency: EUR, on_reversal: keep}
  - {name: all, key: merchant, windows: [1h], aggregates: [count, sum], currency: EUR,
     kinds: [request, repeat, advice, reversal, completion, refund]}
  - {name: fraud, key: merchant, windows: [10m], aggregates: [fraud_count], delay: 1m}
";

/// The generations, by number.
pub fn generations() -> &'static [Arc<Generation>] {
    static BUILT: OnceLock<Vec<Arc<Generation>>> = OnceLock::new();
    BUILT.get_or_init(|| LIMITS.iter().map(|limit| build(*limit)).collect())
}

/// The generation of an id.
pub fn generation(id: &GenerationId) -> Option<Arc<Generation>> {
    generations().iter().find(|generation| generation.hash() == id.hash).cloned()
}

fn build(limit: i64) -> Arc<Generation> {
    let dir = tempfile::tempdir().expect("the system has room for a folder");
    let config = probe(dir.path(), "");
    write(&dir.path().join("probe/pack.yaml"), PACK);
    write(&dir.path().join("probe/rules/rules.yaml"), RULES.replace("LIMIT", &limit.to_string()));
    write(&dir.path().join("probe/features.yaml"), FEATURES);
    let loaded = interdict::config::load(&config).expect("the configuration is good");
    let store = Store::open(dir.path()).expect("the folder is new");
    let keys = NodeKeys::open(dir.path(), true).expect("the folder is new");
    publish::build(&loaded, &store, &keys, &BTreeMap::new()).expect("the pack is good")
}
