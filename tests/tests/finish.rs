//! What was skipped is finished: it comes to what the lane without a deadline gives at the payment's sequence, whatever
//! came since; the earliest cut-off first; within its bounds; after a restart as before it; and it is shown.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // Other tests use the rest, here and below.
#[path = "world/deployment.rs"]
mod deployment;
#[allow(dead_code)]
#[path = "world/submissions.rs"]
mod submissions;

use deployment::Deployment;
use interdict::cli::verify::verify;
use interdict::history::Folder;
use interdict::node::clock::{Clock, Manual};
use interdict::node::{Answered, Job, Node, Options};
use interdict_bench::world::{World, WorldConfig};
use interdict_engine::Stage;
use interdict_engine::domain::{Accepted, Body, Decided, Finished, Outcome, Recorded, TransactionKind};
use interdict_engine::generation::Settings;
use interdict_engine::limits::UNFINISHED_VIEWS_MAX;
use interdict_engine::sequencer::Submission;
use interdict_engine::unfinished::Unfinished;
use interdict_ingest::Decoder;
use interdict_ledger::journal::RecordKind;
use interdict_tests::blackbox::{payment, probe, run, text};
use interdict_tests::node::{Client, Start};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_interdict-under-test");
const MS: Duration = Duration::from_millis(1);
/// Messages of the world.
const MESSAGES: usize = 1_500;

/// Looks until something holds; gives up only when it will never.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(300), "{what} never came");
        std::thread::sleep(3 * MS);
    }
}

/// What is done between two parts of the world: nothing, or a pack is changed and published.
enum Between {
    Nothing,
    Publish(&'static str),
}

const RULE: &str = "rules:
  - id: late
    title: Whatever comes after a publication
    when: amount.minor >= 1
    outcome: review
    score: 77
    code: LATER
    examples:
      hit: [{amount.minor: 1}]
      miss: [{amount.minor: 0}]
";

/// A pack of its own, whose version and rules change from publication to publication.
fn set_pack(deployment: &Deployment, outcome: &str) {
    let pack = deployment.config.parent().unwrap().join("../packs/later");
    std::fs::create_dir_all(pack.join("rules")).unwrap();
    let manifest = "name: later\nversion: 1.0.0\nowner: tests@example.org\ndescription: For tests.\n";
    std::fs::write(pack.join("pack.yaml"), manifest).unwrap();
    let rule = RULE.replace("outcome: review", &format!("outcome: {outcome}"));
    std::fs::write(pack.join("rules/later.yaml"), rule).unwrap();
}

/// The default deployment with a pack `later`, and some settings.
fn deployment(more: &str) -> Deployment {
    let deployment = Deployment::whole();
    set_pack(&deployment, "review");
    let mut table: toml::Table = std::fs::read_to_string(&deployment.config).unwrap().parse().unwrap();
    let packs = table["rules"]["packs"].as_array_mut().unwrap();
    packs.push("../packs/later".into());
    table.extend(more.parse::<toml::Table>().unwrap());
    std::fs::write(&deployment.config, toml::to_string(&table).unwrap()).unwrap();
    deployment
}

fn open(deployment: &Deployment, data: &Path, lanes: usize, clock: Arc<Manual>) -> Arc<Node> {
    let loaded = interdict::config::load(&deployment.config).unwrap();
    let options = Options { lanes: Some(lanes), ..Options::default() };
    Node::open_by(data, loaded, &options, 0, clock).unwrap()
}

/// Submits all, each batch with the moment until which its stages may take.
fn submit(node: &Arc<Node>, order: &[Submission], mut deadline: impl FnMut() -> Option<Instant>) {
    let (send, receive) = channel();
    for batch in order.chunks(7) {
        let deadline = deadline();
        let job = |submission: &Submission| {
            let (submission, send) = (submission.clone(), send.clone());
            Job { submission, deadline, reply: Box::new(move |answered| drop(send.send(answered))) }
        };
        node.submit(batch.iter().map(job));
        // One batch after another, so that what is made dear below is so for all of it.
        for answered in receive.iter().take(batch.len()) {
            assert!(
                matches!(answered, Answered::Decided(_) | Answered::Noted(_) | Answered::Same(_)),
                "{answered:?}"
            );
        }
    }
}

/// What a journal holds, by sequence; finished ones in the order they were written.
struct Held {
    accepted: BTreeMap<u64, Accepted>,
    decided: BTreeMap<u64, Decided>,
    finished: Vec<Finished>,
}

fn held(data: &Path, deployment: &Deployment) -> Held {
    let folder = Folder::open(data, Some(&deployment.config)).unwrap();
    let mut held = Held { accepted: BTreeMap::new(), decided: BTreeMap::new(), finished: Vec::new() };
    for record in folder.reader().unwrap().records(0) {
        let record = record.unwrap();
        match record.kind {
            RecordKind::Accepted => {
                let accepted = Accepted::decode(&record.open, record.sealed.as_deref()).unwrap();
                held.accepted.insert(record.sequence, accepted);
            }
            RecordKind::Decided => {
                held.decided.insert(record.sequence, Decided::decode(&record.open).unwrap());
            }
            RecordKind::Finished => held.finished.push(Finished::decode(&record.open).unwrap()),
        }
    }
    held
}

/// The world with labels, list entries and publications in between, through a node without deadlines: the oracle.
fn oracle(deployment: &Deployment, parts: &[(Vec<Submission>, Between)], data: &Path) -> Held {
    set_pack(deployment, "review");
    let node = open(deployment, data, 0, Arc::default());
    for (order, between) in parts {
        submit(&node, order, || None);
        between_parts(&node, deployment, between);
    }
    node.close().unwrap();
    held(data, deployment)
}

fn between_parts(node: &Arc<Node>, deployment: &Deployment, between: &Between) {
    if let Between::Publish(outcome) = between {
        set_pack(deployment, outcome);
        node.publish_current(0).unwrap();
    }
}

/// The same, with deadlines that skip all stages or some of the dearer ones, and nothing finished meanwhile.
fn skipping(
    node: &Arc<Node>,
    clock: &Manual,
    deployment: &Deployment,
    parts: &[(Vec<Submission>, Between)],
    dice: &mut ChaCha8Rng,
) {
    for (order, between) in parts {
        submit(node, order, || {
            // Any part of the stages becomes too dear for what is left.
            for stage in Stage::LANE {
                let ns = if dice.random_bool(0.4) { 1_000_000_000 } else { 1 };
                (0..200).for_each(|_| node.pace.stage(stage).note(ns));
            }
            match dice.random_range(0..4) {
                0 => None,
                1 => Some(clock.now()),
                _ => Some(clock.now() + 500 * MS),
            }
        });
        between_parts(node, deployment, between);
    }
}

fn parts(deployment: &Deployment) -> Vec<(Vec<Submission>, Between)> {
    let keys = deployment.config.parent().unwrap().join("../keys");
    let keys = interdict::node::keys::NodeKeys::open(&keys, false).unwrap();
    let world = World::new(&WorldConfig { transactions: MESSAGES, ..WorldConfig::default() }).unwrap();
    let steps = submissions::submissions(&Decoder::new(keys.tags.clone()), &world);
    let order: Vec<Submission> = steps.into_iter().map(|step| step.submission).collect();
    let between = [
        Between::Publish("hold"),
        Between::Publish("decline"),
        Between::Publish("challenge"),
        Between::Nothing,
    ];
    let size = order.len().div_ceil(between.len());
    order.chunks(size).map(<[Submission]>::to_vec).zip(between).collect()
}

/// Each payment whose verdict lacks stages has been finished once, and is what the oracle gave.
fn agree(held: &Held, oracle: &Held) -> usize {
    assert_eq!(held.accepted.len(), oracle.accepted.len());
    let lacking: BTreeSet<u64> = held
        .decided
        .iter()
        .filter(|(_, decided)| !decided.verdict.skipped.is_empty())
        .map(|(sequence, _)| *sequence)
        .collect();
    let finished: BTreeSet<u64> = held.finished.iter().map(|one| one.verdict.sequence).collect();
    assert_eq!(finished.len(), held.finished.len(), "finished twice");
    assert_eq!(finished, lacking);
    for finished in &held.finished {
        let expected = &oracle.decided[&finished.verdict.sequence];
        assert_eq!(finished.verdict.encode(), expected.verdict.encode(), "{:?}", finished.verdict);
        let without = |recorded: &Recorded| Recorded { hold: None, ..recorded.clone() };
        assert_eq!(without(&finished.recorded), without(&expected.recorded));
        // A hold comes with it where the payment would be stopped and was not declined; whether it begins is the book's to say.
        let would = |outcome: Outcome, recorded: &Recorded| recorded.would.unwrap_or(outcome);
        let answered = &held.decided[&finished.verdict.sequence];
        let is_declined = answered.verdict.outcome == Outcome::Decline;
        // What takes something back is held by nobody.
        let takes_back = matches!(&held.accepted[&finished.verdict.sequence].event.body,
            Body::Payment(tx) if tx.kind == TransactionKind::Reversal);
        let is = would(finished.verdict.outcome, &finished.recorded) >= Outcome::Hold;
        assert_eq!(
            finished.recorded.hold.is_some(),
            is && !is_declined && !takes_back,
            "{:?}",
            finished.recorded
        );
        if let (Some(one), Some(other)) = (&finished.recorded.hold, &expected.recorded.hold) {
            assert_eq!(
                (one.lever, one.cut_off_ms, &one.causes),
                (other.lever, other.cut_off_ms, &other.causes)
            );
        }
    }
    lacking.len()
}

fn verified(data: &Path, deployment: &Deployment, finished: usize) {
    let folder = Folder::open(data, Some(&deployment.config)).unwrap();
    let summary = verify(&folder, 1, u64::MAX, &mut |_, _| {}).unwrap();
    let told = format!("{summary:?}");
    assert_eq!((summary.checked, summary.different), (summary.equal, 0), "{told}");
    assert_eq!(
        (summary.finished.equal, summary.finished.checked),
        (finished as u64, finished as u64),
        "{told}"
    );
    assert!(!summary.is_finding(), "{told}");
}

/// The order of a journal's finished records is that of the cut-offs.
fn is_by_cut_off(held: &Held) -> bool {
    let cut_off = |finished: &Finished| {
        let sequence = finished.verdict.sequence;
        (Unfinished::cut_off_ms(&held.accepted[&sequence], &Settings::default()), sequence)
    };
    held.finished.iter().map(cut_off).is_sorted()
}

#[test]
fn what_is_finished_is_what_a_payment_without_a_deadline_gets_whatever_came_since() {
    let seeds = std::env::var("INTERDICT_FINISH_SEEDS").map_or(1, |text| text.parse().unwrap());
    let deployment = deployment("");
    let parts = parts(&deployment);
    let folder = tempfile::tempdir().unwrap();
    let oracle = oracle(&deployment, &parts, &folder.path().join("oracle"));
    for seed in 0..seeds {
        for lanes in [0, 2] {
            let mut dice = ChaCha8Rng::seed_from_u64(seed * 2 + lanes as u64);
            let data = folder.path().join(format!("{seed}-{lanes}"));
            set_pack(&deployment, "review");
            let clock = Arc::new(Manual::default());
            let node = open(&deployment, &data, lanes, clock.clone());
            node.finish.hold_back(true);
            skipping(&node, &clock, &deployment, &parts, &mut dice);
            let waiting = node.finish.waiting().0;
            let (views, generations) = node.finish.queue().held();
            assert!(views <= UNFINISHED_VIEWS_MAX && generations <= 2, "{views} views of {generations}");
            node.finish.hold_back(false);
            until("the end of finishing", || node.finish.is_done());
            // Some views were of generations that were let go, or one of too many.
            assert!(node.finish.passes.load(std::sync::atomic::Ordering::Relaxed) > 0);
            assert_eq!(node.finish.window.total(), waiting as u64);
            assert!(node.finish.window.changes().any(|(from, to, count)| from != to && count > 0));
            node.close().unwrap();
            let held = held(&data, &deployment);
            let finished = agree(&held, &oracle);
            assert_eq!(finished, waiting);
            assert!(finished > MESSAGES / 4, "{finished}");
            let kinds: BTreeSet<Vec<Stage>> = held
                .decided
                .values()
                .map(|decided| decided.verdict.skipped.iter().map(|(stage, _)| *stage).collect())
                .collect();
            assert!(kinds.len() > 4, "{kinds:?}");
            assert!(is_by_cut_off(&held));
            verified(&data, &deployment, finished);
        }
    }
}

#[test]
fn after_a_restart_and_past_the_bound_everything_is_finished_once_and_the_same() {
    let deployment = deployment("[finish]\nqueue_max = 300\n");
    let parts = parts(&deployment);
    let folder = tempfile::tempdir().unwrap();
    let oracle = oracle(&deployment, &parts, &folder.path().join("oracle"));
    let data = folder.path().join("data");
    set_pack(&deployment, "review");
    let clock = Arc::new(Manual::default());
    let node = open(&deployment, &data, 0, clock.clone());
    node.finish.hold_back(true);
    skipping(&node, &clock, &deployment, &parts, &mut ChaCha8Rng::seed_from_u64(5));
    assert_eq!(node.finish.waiting().0, 300);
    let let_go = node.finish.queue().let_go();
    assert!(let_go > 100, "{let_go}");
    node.close().unwrap();
    // Twice more, and each time it is stopped in the middle.
    for so_far in [20, 250] {
        let node = open(&deployment, &data, 0, clock.clone());
        until("some of them", || node.finish.window.total() >= so_far || node.finish.is_done());
        node.close().unwrap();
    }
    let node = open(&deployment, &data, 0, clock);
    until("the end of finishing", || node.finish.is_done());
    // What came again was finished before.
    assert_eq!(node.finish.not_kept.load(std::sync::atomic::Ordering::Relaxed), 0);
    node.close().unwrap();
    let held = held(&data, &deployment);
    let finished = agree(&held, &oracle);
    verified(&data, &deployment, finished);
}

fn metric(client: &Client, series: &str) -> i64 {
    let text = client.get("/metrics").unwrap().text;
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{series} in\n{text}")).parse().unwrap()
}

#[test]
fn what_it_came_to_is_shown_beside_the_verdict_which_stays() {
    let dir = tempfile::tempdir().unwrap();
    let config = probe(dir.path(), "");
    let data = dir.path().join("data");
    let node = Start::new(BINARY, &config, &data).start().unwrap();
    let client = node.client();
    let body = payment(json!({
        "id": "late", "deadline_ms": 0, "amount": {"minor": 95_000, "currency": "EUR"},
        "settles_at": "2018-04-02T00:00:00Z"
    }));
    let first = client.post("/v1/decisions", &body).unwrap().json();
    assert_eq!((&first["outcome"], &first["default_applied"]), (&json!("hold"), &json!(true)), "{first}");
    assert!(first.get("finished").is_none());
    let moved = "interdict_finished_total{from=\"hold\",to=\"challenge\"}";
    until("its finishing", || metric(&client, moved) == 1);
    assert_eq!(metric(&client, "interdict_finish_queue_depth"), 0);
    let shown = client.get("/v1/decisions/late").unwrap().json();
    assert_eq!(shown["outcome"], "hold", "{shown}");
    let finished = &shown["finished"];
    assert_eq!((&finished["outcome"], &finished["score"]), (&json!("challenge"), &json!(500)), "{shown}");
    assert_eq!(finished["reasons"][0]["rule"], "probe/larger", "{shown}");
    assert!(finished["at"].as_str().is_some_and(|at| at.starts_with("20") && at.ends_with('Z')), "{shown}");
    let told = shown["explanation"]["text"].as_str().unwrap();
    assert!(told.contains("\nFinished\n  the skipped stages ran at 20"), "{told}");
    // A retry gets what was answered.
    let again = client.post("/v1/decisions", &body).unwrap().json();
    assert_eq!((&again["outcome"], &again["reasons"]), (&first["outcome"], &first["reasons"]));
    assert!(again.get("finished").is_none(), "{again}");
    // One that lacks nothing has none.
    client.post("/v1/decisions", &payment(json!({"id": "whole"}))).unwrap();
    assert!(client.get("/v1/decisions/whole").unwrap().json().get("finished").is_none());
    drop(node);
    let explained = run(BINARY, &["explain", "late", "--json", "--data", text(&data)]).summary();
    assert_eq!(explained["finished"]["outcome"], "challenge", "{explained}");
    assert_eq!(explained["finished"]["reasons"], json!(["probe/larger", "probe/large"]), "{explained}");
    let verified = run(BINARY, &["verify", "--json", "--data", text(&data)]);
    assert_eq!((verified.code, &verified.summary()["finished"]["equal"]), (0, &json!(1)), "{verified:?}");
}
