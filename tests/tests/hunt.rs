//! The settlement window: what is learned stops what has not settled. A hunt comes to what judging every payment of the
//! journal again comes to, whatever was learned, after a restart as before it, and whatever became of its files.
#![allow(clippy::unwrap_used)]

#[path = "hunt/consortium.rs"]
mod consortium;
#[allow(dead_code)] // Other tests use the rest, here and below.
#[path = "world/deployment.rs"]
mod deployment;
#[allow(dead_code)]
#[path = "world/submissions.rs"]
mod submissions;

use deployment::Deployment;
use interdict::node::clock::{Clock, Manual};
use interdict::node::{Answered, Job, Node, Options, Reply};
use interdict_bench::world::{Item, World, WorldConfig, rfc3339};
use interdict_engine::domain::{
    Accepted, Body, Decided, Effect, Entry, Event, Field, HoldState, KeyId, Label, Lever, ListDelta, Outcome,
    Subject, SubjectKind, Tag, Transaction, TransactionKind,
};
use interdict_engine::generation::View;
use interdict_engine::lane::{Open, Scratch, decide};
use interdict_engine::sequencer::{Submission, Work};
use interdict_ingest::Decoder;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);
/// Messages of the world.
const MESSAGES: usize = 1_200;
/// When all of them arrive; `world/submissions.rs`.
const ARRIVAL_MS: i64 = 1_777_593_600_000;

const RULE: &str = "rules:
  - id: late
    title: What comes after a publication
    when: amount.minor >= 9000
    outcome: review
    score: 77
    code: LATER
    examples:
      hit: [{amount.minor: 9000}]
      miss: [{amount.minor: 8999}]
";

/// A pack of its own that changes from publication to publication.
fn set_pack(deployment: &Deployment, outcome: &str) {
    let pack = deployment.config.parent().unwrap().join("../packs/later");
    std::fs::create_dir_all(pack.join("rules")).unwrap();
    let manifest = "name: later\nversion: 1.0.0\nowner: tests@example.org\ndescription: For tests.\n";
    std::fs::write(pack.join("pack.yaml"), manifest).unwrap();
    let rule = RULE.replace("outcome: review", &format!("outcome: {outcome}"));
    std::fs::write(pack.join("rules/later.yaml"), rule).unwrap();
}

fn deployment() -> Deployment {
    let deployment = Deployment::whole();
    set_pack(&deployment, "review");
    let mut table: toml::Table = std::fs::read_to_string(&deployment.config).unwrap().parse().unwrap();
    table["rules"]["packs"].as_array_mut().unwrap().push("../packs/later".into());
    let window = "[window]\nlessons_every_s = 0\npercent = 100\n";
    table.extend(window.parse::<toml::Table>().unwrap());
    std::fs::write(&deployment.config, toml::to_string(&table).unwrap()).unwrap();
    deployment
}

fn open(deployment: &Deployment, data: &Path, lanes: usize, clock: &Arc<Manual>) -> Arc<Node> {
    let loaded = interdict::config::load(&deployment.config).unwrap();
    let options = Options { lanes: Some(lanes), hunts: true, ..Options::default() };
    let node = Node::open_by(data, loaded, &options, clock.wall_ms(), clock.clone()).unwrap();
    // Until a test lets it.
    node.window.as_ref().unwrap().hold_back(true);
    node
}

/// A clock that shows when the world arrives.
fn clock() -> Arc<Manual> {
    let clock = Manual::default();
    clock.step_wall(ARRIVAL_MS + 3_600_000 - clock.wall_ms());
    Arc::new(clock)
}

/// The world, of which some payments settle before now and most later.
fn world(decoder: &Decoder) -> Vec<Submission> {
    let world = World::new(&WorldConfig { transactions: MESSAGES, ..WorldConfig::default() }).unwrap();
    let mut number = 0;
    let settling: Vec<Submission> = world
        .items()
        .filter_map(|item| {
            let Item::Transaction { mut json, .. } = item else { return None };
            number += 1;
            let settles_ms = ARRIVAL_MS + 3_600_000 * (1 + number % 11 - 2) + 1;
            json["settles_at"] = rfc3339(settles_ms).into();
            Some(submissions::payment(decoder, &json))
        })
        .collect();
    let mut settling = settling.into_iter();
    let steps = submissions::submissions(decoder, &world).into_iter().map(|step| step.submission);
    steps
        .map(|submission| match submission.event.body {
            Body::Payment(_) => settling.next().unwrap(),
            _ => submission,
        })
        .collect()
}

fn submit(node: &Arc<Node>, order: &[Submission]) {
    let (send, receive) = channel();
    let jobs: Vec<Job> = order
        .iter()
        .map(|submission| {
            let send = send.clone();
            let reply: Reply = Box::new(move |answered| drop(send.send(answered)));
            Job { submission: submission.clone(), deadline: None, reply }
        })
        .collect();
    node.submit(jobs);
    drop(send);
    for answered in receive {
        assert!(
            matches!(answered, Answered::Decided(_) | Answered::Noted(_) | Answered::Same(_)),
            "{answered:?}"
        );
    }
}

/// Lets what is due be hunted, and waits for its end.
fn hunt(node: &Arc<Node>) {
    let window = node.window.as_ref().unwrap();
    window.hold_back(false);
    let began = Instant::now();
    while node.with_core(|core| !core.sequencer.book().unhunted().is_empty()) {
        assert!(began.elapsed() < Duration::from_secs(240), "{:?}", window.figures.reading());
        std::thread::sleep(2 * MS);
    }
    window.hold_back(true);
}

/// What the book says of each payment it knows: state of its last hold, and whether its release is proposed.
type Stands = BTreeMap<u64, (HoldState, bool, u16)>;

fn stands(node: &Node) -> Stands {
    node.with_core(|core| {
        let all = core.sequencer.book().after(None);
        all.map(|(id, hold)| (id.payment, (hold.state, hold.frees.is_some(), id.number))).collect()
    })
}

/// Every payment of the journal with its verdict.
fn payments(node: &Node) -> Vec<(Accepted, Decided)> {
    let last = node.written_sequence();
    (1..=last)
        .filter_map(|sequence| {
            let given = node.given(sequence).ok().flatten()?;
            let decided =
                Decided { verdict: given.verdict, recovered: given.recovered, recorded: given.recorded };
            Some((given.accepted, decided))
        })
        .collect()
}

/// What a payment comes to by a view, and what its lever can do.
fn again(accepted: &Accepted, view: &Arc<View>, scratch: &mut Scratch) -> (Outcome, bool, bool) {
    let mut work = Work { accepted: Box::new(accepted.clone()), view: view.clone(), prints: None };
    let generation = view.generation();
    if !generation.banks().is_empty() {
        let prints = generation.banks().prints(work.transaction(), &accepted.features);
        work.prints = Some(Arc::new(prints));
    }
    let verdict = decide(&work, &mut Open, scratch);
    let outcome = scratch.found.to_record(generation).would.unwrap_or(verdict.outcome);
    let (tx, settings) = (work.transaction(), generation.settings());
    let cut_off_ms = settings.settlement.cut_off(tx, accepted.event.arrival_ms).at_ms;
    let lever = settings.lever(tx);
    (outcome, !matches!(lever, Lever::None | Lever::Recall), ARRIVAL_MS + 3_600_000 < cut_off_ms)
}

/// The last label of each payment that has one, and its own sequence.
fn labels(node: &Node) -> BTreeMap<u64, (Label, u64)> {
    let all: Vec<u64> = (1..=node.written_sequence()).collect();
    let events = all.chunks(256).flat_map(|some| node.events(some).unwrap());
    let labels = events.filter_map(|event| match event.event.body {
        Body::Label { target, label, .. } => Some((target, (label, event.sequence))),
        _ => None,
    });
    labels.collect()
}

/// Payments of which completions and reversals have left nothing, counted from the beginning.
fn taken_back(all: &[(Accepted, Decided)]) -> BTreeSet<u64> {
    let (mut left, mut completed) = (BTreeMap::<u64, i64>::new(), BTreeSet::new());
    let mut follow = |left: &mut BTreeMap<u64, i64>, target: u64, tx: &Transaction| {
        let (Some(minor), Some(before)) = (tx.int(Field::AmountMinor), left.get(&target)) else { return };
        let now = match tx.kind {
            TransactionKind::Completion if completed.insert(target) => minor,
            TransactionKind::Completion => before + minor,
            TransactionKind::Reversal => (before - minor).max(0),
            _ => return,
        };
        left.insert(target, now);
    };
    let mut followed = BTreeSet::new();
    for (at, (accepted, _)) in all.iter().enumerate() {
        let Body::Payment(tx) = &accepted.event.body else { continue };
        if let Some(original) = accepted.original {
            followed.insert(original);
            follow(&mut left, original, tx);
        }
        left.insert(accepted.sequence, tx.int(Field::AmountMinor).unwrap_or(i64::MAX));
        // What waited for it.
        for (earlier, _) in &all[..at] {
            let Body::Payment(tx) = &earlier.event.body else { continue };
            if accepted.identity.is_some_and(|own| earlier.waits_for.contains(&own)) {
                followed.insert(accepted.sequence);
                follow(&mut left, accepted.sequence, tx);
            }
        }
    }
    followed.retain(|one| left.get(one) == Some(&0));
    followed
}

/// What is to stand after a hunt, by judging every payment again.
fn brute_force(node: &Node, before: &Stands, learned_last: u64) -> Stands {
    let (view, mut scratch, mut expected) = (node.view(), Scratch::default(), before.clone());
    let (labels, all) = (labels(node), payments(node));
    let taken_back = taken_back(&all);
    for (accepted, decided) in all {
        let Body::Payment(tx) = &accepted.event.body else { continue };
        let sequence = accepted.sequence;
        let answered = decided.recorded.would.unwrap_or(decided.verdict.outcome);
        if tx.kind == TransactionKind::Reversal || decided.verdict.outcome == Outcome::Decline {
            continue;
        }
        let (now, has_lever, in_time) = again(&accepted, &view, &mut scratch);
        let state = if has_lever && in_time { HoldState::Held } else { HoldState::TooLate };
        let hold =
            node.with_core(|core| core.sequencer.book().latest(sequence).map(|(_, hold)| hold.clone()));
        if hold.is_none() && taken_back.contains(&sequence) {
            continue;
        }
        // What is known of it comes before what it is judged to be.
        match (labels.get(&sequence), hold) {
            (Some((Label::Fraud, _)), None) => {
                expected.insert(sequence, (state, false, 1));
                continue;
            }
            (Some((Label::Fraud, known_at)), Some(hold)) if hold.state == HoldState::Held => {
                let is_proposed = hold.frees.is_some_and(|freed| freed.sequence > *known_at);
                expected.insert(sequence, (HoldState::Held, is_proposed, before[&sequence].2));
                continue;
            }
            (Some((Label::Good, known_at)), Some(hold))
                if hold.state == HoldState::Held
                    && !hold.opened.sanctions
                    && hold.placed_at.is_none_or(|placed_at| placed_at < *known_at) =>
            {
                expected.insert(sequence, (HoldState::Held, true, before[&sequence].2));
                continue;
            }
            _ => {}
        }
        if sequence >= learned_last {
            continue;
        }
        match before.get(&sequence) {
            Some((HoldState::Held, _, number)) if now < Outcome::Hold => {
                expected.insert(sequence, (HoldState::Held, true, *number));
            }
            None if now >= Outcome::Hold && answered < Outcome::Hold => {
                expected.insert(sequence, (state, false, 1));
            }
            _ => {}
        }
    }
    expected
}

/// Blocks of things that some payments have: cards, accounts, merchants, devices, names, addresses, BINs.
fn blocks(node: &Node, dice: &mut ChaCha8Rng) -> Vec<Submission> {
    let all = payments(node);
    let mut deltas = Vec::new();
    for number in 0..6 {
        let mut add = Vec::new();
        for _ in 0..3 {
            let (accepted, _) = &all[dice.random_range(0..all.len())];
            let Body::Payment(tx) = &accepted.event.body else { continue };
            let shared: Vec<(Field, Tag)> = tx
                .tags()
                .iter()
                .filter(|(_, key, _)| *key == KeyId::SHARED)
                .map(|(f, _, t)| (*f, *t))
                .collect();
            let subject = match (dice.random_range(0..16), tx.text(Field::CardBin), tx.get(Field::DeviceIp)) {
                (0, Some(bin), _) => {
                    let digits = bin.len();
                    Some(Subject::Bin { number: bin[..digits].parse().unwrap(), digits: digits as u8 })
                }
                (1, _, Some(interdict_engine::domain::Value::Ip(ip))) => {
                    Some(Subject::Ip { network: ip, prefix: if ip.is_ipv4() { 32 } else { 128 } })
                }
                _ if shared.is_empty() => None,
                _ => {
                    let (field, tag) = shared[dice.random_range(0..shared.len())];
                    SubjectKind::of_field(field).map(|kind| Subject::Tag { kind, tag })
                }
            };
            let effect = if dice.random_bool(0.8) { Effect::Block } else { Effect::Flag };
            add.extend(subject.map(|subject| Entry {
                id: 0,
                subject,
                effect,
                overridable: false,
                overrides: None,
                reason: "FOUND".into(),
                severity: 0,
                contributor: "tests".into(),
                valid_from_ms: None,
                valid_to_ms: None,
            }));
        }
        add.sort_by_key(|entry| entry.subject);
        add.dedup_by_key(|entry| entry.subject);
        let list = if number % 2 == 0 { "stolen_cards".to_owned() } else { format!("found_{number}") };
        let delta = ListDelta { list, shared: true, add, remove: vec![] };
        let event = Event {
            tenant: "default".into(),
            arrival_ms: ARRIVAL_MS,
            body: Body::ListDelta(Box::new(delta)),
        };
        deltas.push(Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None });
    }
    deltas
}

#[test]
fn a_hunt_comes_to_what_judging_everything_again_comes_to() {
    let (deployment, folder, clock) = (deployment(), tempfile::tempdir().unwrap(), clock());
    let keys = deployment.config.parent().unwrap().join("../keys");
    let keys = interdict::node::keys::NodeKeys::open(&keys, false).unwrap();
    let order = world(&Decoder::new(keys.tags.clone()));
    let mut dice = ChaCha8Rng::seed_from_u64(9);
    let (mut found, mut freed) = (0, 0);
    // Lists only, a pack that stops, one that frees again, lists again, both.
    let parts = [None, Some("hold"), Some("review"), None, Some("decline")];
    for (round, (part, publish)) in order.chunks(order.len().div_ceil(parts.len())).zip(parts).enumerate() {
        // Another number of lanes each time; a window of its files, and one made anew.
        if round == 3 {
            std::fs::remove_dir_all(folder.path().join("window")).unwrap();
        }
        let node = open(&deployment, folder.path(), round % 3, &clock);
        submit(&node, part);
        if let Some(outcome) = publish {
            set_pack(&deployment, outcome);
            node.publish_current(clock.wall_ms()).unwrap();
        }
        if publish.is_none() || round == 4 {
            submit(&node, &blocks(&node, &mut dice));
        }
        let learned_last = node.with_core(|core| core.sequencer.book().unhunted().last().unwrap().sequence);
        // What has expired by now is ended by a thread, some time.
        while node.with_core(|core| core.sequencer.book().expired(clock.wall_ms()).next().is_some()) {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let before = stands(&node);
        let expected = brute_force(&node, &before, learned_last);
        hunt(&node);
        let now = stands(&node);
        let differ: Vec<_> = expected
            .iter()
            .filter(|(sequence, stand)| now.get(sequence) != Some(stand))
            .map(|(sequence, stand)| (sequence, stand, now.get(sequence)))
            .chain(
                now.iter()
                    .filter(|(sequence, _)| !expected.contains_key(sequence))
                    .map(|(s, n)| (s, n, None)),
            )
            .collect();
        assert!(differ.is_empty(), "round {round}: {differ:?}");
        found += now.len() - before.len();
        freed += now.values().filter(|(_, freed, _)| *freed).count();
        // Nothing is found twice.
        hunt(&node);
        assert_eq!(stands(&node), now);
        node.close().unwrap();
    }
    assert!(found > 50 && freed > 10, "{found} found, {freed} freed");
}
