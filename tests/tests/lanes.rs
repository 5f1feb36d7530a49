//! The number of lanes changes no verdict, list deltas between payments change them alike on any number, and no stage
//! is there for show: verdicts differ without it.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // tests/ablation.rs uses the rest, here and below.
#[path = "world/deployment.rs"]
mod deployment;
#[path = "lanes/feeds.rs"]
mod feeds;
#[allow(dead_code)]
#[path = "world/submissions.rs"]
mod submissions;

use deployment::Deployment;
use feeds::Feed;
use interdict::cli::verify::verify;
use interdict::history::Folder;
use interdict::http::decisions::from_decoded;
use interdict::node::{Answered, Job, Node, Options};
use interdict_bench::world::Item;
use interdict_engine::domain::{Body, Event, ListDelta, Outcome, Verdict};
use interdict_engine::sequencer::Submission;
use interdict_ingest::decode::entries::{decode_entries, decode_subjects};
use interdict_ingest::{Decoder, RequestContext};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Instant;

/// What `replay --json` prints last.
fn replay(feed: &Feed, lanes: usize, full_stats: bool) -> Value {
    let out = tempfile::tempdir().unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_interdict-under-test"))
        .args(["replay", "--json", "--lanes", &lanes.to_string()])
        .args(["--stats", if full_stats { "full" } else { "sample" }])
        .arg("--config")
        .arg(&feed.config)
        .arg("--out")
        .arg(out.path().join("data"))
        .arg(&feed.file)
        .env("INTERDICT_LOG", "warn")
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

/// Everything but lanes and clock is the same on 0, 1, 2 and 8 lanes, and every lane works.
fn any_number_of_lanes_gives_the_same(feed: &Feed, transactions: u64) -> Value {
    let mut first: Option<Value> = None;
    for lanes in [0, 1, 2, 8] {
        let mut summary = replay(feed, lanes, false);
        let worked = summary["lanes"].as_array().unwrap();
        assert_eq!(worked.len(), lanes.max(1), "{summary}");
        assert!(worked.iter().all(|count| count.as_u64() > Some(0)), "{lanes} lanes: {worked:?}");
        let total: u64 = worked.iter().filter_map(Value::as_u64).sum();
        assert_eq!(summary["transactions"].as_u64(), Some(total));
        println!("{lanes} lanes: {worked:?}, {} a second", summary["timing"]["throughput_tps"]);
        let object = summary.as_object_mut().unwrap();
        object.remove("lanes");
        object.remove("timing");
        assert_eq!(first.get_or_insert_with(|| summary.clone()), &summary, "{lanes} lanes");
    }
    let first = first.unwrap();
    let taken = first["transactions"].as_u64().unwrap() + first["duplicates"].as_u64().unwrap();
    assert_eq!((taken, &first["rejected"]), (transactions, &json!(0)), "{first}");
    first
}

#[test]
fn the_world_s_verdicts_are_the_same_on_any_number_of_lanes() {
    let feed = feeds::world(12_000);
    let summary = any_number_of_lanes_gives_the_same(&feed, 12_000);
    for outcome in ["approve", "decline", "recorded"] {
        assert!(summary["outcomes"][outcome].as_u64() > Some(0), "no {outcome}: {summary}");
    }
}

#[test]
fn the_handbook_s_verdicts_are_the_same_on_any_number_of_lanes() {
    const ROWS: usize = 40_000;
    let feed = feeds::handbook(ROWS);
    let summary = any_number_of_lanes_gives_the_same(&feed, ROWS as u64);
    // Labels are events between the payments, in the same places on any number of lanes.
    assert!(summary["labels"].as_u64() > Some(0), "{summary}");
}

#[test]
fn without_any_one_stage_verdicts_differ() {
    let feed = feeds::world(12_000);
    let whole = replay(&feed, 2, true);
    for stage in ["features", "lists", "patterns", "similarity", "models", "rules"] {
        let counts = &whole["stages"][stage];
        println!("{stage}: {counts}");
        for count in ["evaluated", "hits", "decisive"] {
            assert!(counts[count].as_u64() > Some(0), "{stage} {count}: {counts}");
        }
        assert_eq!(counts["skipped"], 0, "{stage}");
    }
    // And not only by that count: a node without the artefacts decides otherwise.
    for section in ["lists", "rules"] {
        let without = replay(&feed.without(section), 2, false);
        assert_eq!(without["transactions"], whole["transactions"]);
        assert_ne!(without["outcomes"], whole["outcomes"], "without {section}");
        assert_eq!(without["stages"][section]["hits"], 0, "without {section}: {without}");
    }
}

/// Payments of the world with a list delta after each, in one fixed order.
fn payments_and_deltas(decoder: &Decoder, count: usize) -> Vec<Submission> {
    let mut order = Vec::with_capacity(2 * count);
    // A card is blocked after one payment and let go after the next but two, so that its next ones meet both.
    let mut blocked: HashMap<String, usize> = HashMap::new();
    let world = feeds::make(count);
    let payments = world.items().filter_map(|item| match item {
        Item::Transaction { json, .. } => Some(json),
        _ => None,
    });
    for json in payments {
        let decoded = decoder.decode(json.to_string().as_bytes(), &RequestContext::default()).unwrap();
        let arrival_ms = decoded.tx.time_ms;
        order.push(from_decoded(decoded, arrival_ms));
        let subject = if json["card"].is_object() {
            json!([{"card": json["card"], "effect": "block", "reason": "beside traffic"}])
        } else {
            json!([{"ip": format!("198.51.100.{}", order.len() % 256), "effect": "flag", "reason": "beside"}])
        };
        let turn = blocked.entry(subject.to_string()).or_default();
        *turn += 1;
        let mut delta = ListDelta { list: "blocked".into(), shared: true, add: vec![], remove: vec![] };
        let key = decoder.keys().shared();
        if (*turn).is_multiple_of(3) {
            let mut subject = subject;
            let fields = subject[0].as_object_mut().unwrap();
            fields.retain(|name, _| name == "card" || name == "ip");
            delta.remove = decode_subjects(subject.to_string().as_bytes(), key).unwrap();
        } else {
            delta.add = decode_entries(subject.to_string().as_bytes(), key, "an analyst").unwrap();
        }
        let body = Body::ListDelta(Box::new(delta));
        let event = Event { tenant: "default".into(), arrival_ms, body };
        order.push(Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None });
    }
    order
}

/// The verdicts by sequence, and how many sequences were given.
fn submit_all(node: &Arc<Node>, order: Vec<Submission>) -> (BTreeMap<u64, Verdict>, usize) {
    let (count, began) = (order.len(), Instant::now());
    let (send, receive) = channel();
    let mut order = order.into_iter();
    loop {
        let jobs: Vec<Job> = order
            .by_ref()
            .take(16)
            .map(|submission| {
                let send = send.clone();
                Job { submission, deadline: None, reply: Box::new(move |answered| drop(send.send(answered))) }
            })
            .collect();
        if jobs.is_empty() {
            break;
        }
        node.submit(jobs);
    }
    drop(send);
    let (mut verdicts, mut noted) = (BTreeMap::new(), 0);
    for answered in receive {
        match answered {
            Answered::Decided(settled) => drop(verdicts.insert(settled.verdict.sequence, settled.verdict)),
            Answered::Noted(_) => noted += 1,
            // The world repeats some of its payments.
            Answered::Same(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    println!("{} payments beside {noted} labels and deltas: {rate:.0} events a second", verdicts.len());
    (verdicts, noted)
}

#[test]
fn labels_teach_banks_the_same_on_any_number_of_lanes() {
    const PAYMENTS: usize = 6_000;
    let deployment = Deployment::whole();
    let world = feeds::make(PAYMENTS);
    let mut first: Option<BTreeMap<u64, Verdict>> = None;
    for lanes in [0, 1, 8] {
        let folder = tempfile::tempdir().unwrap();
        let loaded = interdict::config::load(&deployment.config).unwrap();
        let options = Options { lanes: Some(lanes), full_stats: lanes == 0, ..Options::default() };
        let node = Node::open(folder.path(), loaded, &options, 0).unwrap();
        let steps = submissions::submissions(&Decoder::new(node.keys.tags.clone()), &world);
        let (verdicts, noted) = submit_all(&node, steps.into_iter().map(|step| step.submission).collect());
        assert!(noted > 50, "{noted} labels and entries");
        if lanes == 0 {
            for (stage, counts) in node.tally.stages() {
                assert!(counts.hits > 0 && counts.decisive > 0, "{stage}: {counts:?}");
            }
        }
        node.close().unwrap();
        let verified = verify(
            &Folder::open(folder.path(), Some(&deployment.config)).unwrap(),
            1,
            u64::MAX,
            &mut |_, _| {},
        );
        let verified = verified.unwrap();
        assert_eq!((verified.equal, verified.findings), (verdicts.len() as u64, Vec::new()));
        let first = first.get_or_insert_with(|| verdicts.clone());
        assert_eq!(first.len(), verdicts.len());
        for (one, other) in first.values().zip(verdicts.values()) {
            assert_eq!(one.encode(), other.encode(), "{lanes} lanes: sequence {}", one.sequence);
        }
    }
}

#[test]
fn deltas_beside_traffic_change_the_same_verdicts_on_any_number_of_lanes() {
    const PAYMENTS: usize = 6_000;
    let feed = feeds::world(1_000);
    let mut of_lanes: Vec<BTreeMap<u64, Verdict>> = Vec::new();
    for lanes in [0, 1, 8] {
        let folder = tempfile::tempdir().unwrap();
        let loaded = interdict::config::load(&feed.config).unwrap();
        let options = Options { lanes: Some(lanes), ..Options::default() };
        let node = Node::open(folder.path(), loaded, &options, 0).unwrap();
        let order = payments_and_deltas(&Decoder::new(node.keys.tags.clone()), PAYMENTS);
        let (verdicts, noted) = submit_all(&node, order);
        assert_eq!(noted, PAYMENTS, "every delta was taken");
        node.close().unwrap();
        // Made again from the journal, one by one, without lanes, queues and micro-batches.
        let verified =
            verify(&Folder::open(folder.path(), Some(&feed.config)).unwrap(), 1, u64::MAX, &mut |_, _| {});
        let verified = verified.unwrap();
        assert_eq!((verified.equal, verified.checked), (verdicts.len() as u64, verdicts.len() as u64));
        assert_eq!(verified.findings, Vec::<String>::new());
        of_lanes.push(verdicts);
    }
    let first = &of_lanes[0];
    for other in &of_lanes[1..] {
        assert_eq!(first.len(), other.len());
        for (one, other) in first.values().zip(other.values()) {
            assert_eq!(one.encode(), other.encode(), "sequence {}", one.sequence);
        }
    }
    let declined = first.values().filter(|verdict| verdict.outcome == Outcome::Decline).count();
    let share = declined as f64 / first.len() as f64;
    assert!((0.05..0.95).contains(&share), "the deltas decide some payments and not others: {share}");
}
