//! `kill -9` while what was skipped is being finished: after each restart it goes on; nothing is finished twice, nothing
//! is lost, and it comes to the same bytes as without a crash.

use super::BINARY;
use interdict::history::Folder;
use interdict_engine::domain::{Accepted, Body, Decided, Finished};
use interdict_engine::lane::{Open, Scratch, decide};
use interdict_engine::sequencer::{Sequencer, Submission, Taken};
use interdict_ledger::journal::RecordKind;
use interdict_tests::blackbox::{payment, probe};
use interdict_tests::node::{Running, Start};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Payments of each round, all without time for any stage.
const PAYMENTS: usize = 60;

/// How the rounds end: at the how-manieth write of finished verdicts, or from outside after so many ms.
const ROUNDS: [(&str, u64); 6] = [
    ("finish.before_append", 1),
    ("finish.after_append", 1),
    ("", 3),
    ("finish.before_append", 3),
    ("", 40),
    ("finish.after_append", 2),
];

#[test]
fn what_was_skipped_is_finished_once_whatever_kills_the_node() {
    let folder = tempfile::tempdir().unwrap();
    let (config, data) = (probe(folder.path(), ""), folder.path().join("data"));
    for (round, (point, count)) in ROUNDS.into_iter().enumerate() {
        let start = Start::new(BINARY, &config, &data).args(&["--lanes", ["0", "1"][round % 2]]);
        let start = if point.is_empty() {
            start
        } else {
            start.env("INTERDICT_FAILPOINT", &format!("{point}:{count}"))
        };
        // It may reach the point before it is ready, by what the round before has left.
        let Ok(mut node) = start.start() else { continue };
        pay(&node, round);
        if point.is_empty() {
            std::thread::sleep(Duration::from_millis(count));
        } else {
            // Where nothing is left to finish it is never reached.
            let _ = node.wait(Duration::from_secs(5));
        }
        node.kill();
    }
    let mut node = Start::new(BINARY, &config, &data).start().unwrap();
    let began = Instant::now();
    while !node.client().get("/metrics").unwrap().text.contains("interdict_finish_queue_depth 0\n") {
        assert!(began.elapsed() < Duration::from_secs(120), "never finished");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(node.terminate().unwrap().success());
    let summary = super::checks::verified(&data);
    let finished = compare(&data);
    assert!(finished > PAYMENTS, "{finished}");
    assert_eq!(summary["finished"]["equal"], finished as u64, "{summary}");
}

/// Sends until it dies.
fn pay(node: &Running, round: usize) {
    let client = node.client();
    for number in 0..PAYMENTS {
        let amount = json!({"minor": 40_000 + 1_000 * number, "currency": "EUR"});
        let body = payment(json!({"id": format!("{round}-{number}"), "deadline_ms": 0, "amount": amount}));
        if client.post("/v1/decisions", &body).is_err() {
            return;
        }
    }
}

/// Each verdict that lacks stages has one finished beside it, of the bytes that the accepted record gives in a process
/// that never crashed; how many.
fn compare(data: &Path) -> usize {
    let folder = Folder::open(data, None).unwrap();
    let generations = interdict::node::recovery::Generations::new(&folder.store);
    let loaded_limits = interdict_engine::sequencer::SequencerLimits {
        features: interdict_engine::features::StateLimits::default(),
        identity: interdict_engine::identity::IdentityLimits::default(),
    };
    let empty = interdict::node::recovery::empty_generation();
    let mut sequencer = Sequencer::new(loaded_limits, empty);
    let (mut made, mut scratch, mut taken) = (BTreeMap::new(), Scratch::default(), Vec::new());
    let (mut lacking, mut finished) = (0, BTreeMap::new());
    for record in folder.reader().unwrap().records(0) {
        let record = record.unwrap();
        match record.kind {
            RecordKind::Accepted => {
                let accepted = Accepted::decode(&record.open, record.sealed.as_deref()).unwrap();
                if let Body::Publish { generation } = &accepted.event.body {
                    sequencer.publish(generations.get(generation).unwrap(), accepted.event.clone());
                    continue;
                }
                let Accepted { event, identity, alias, payment_digest, .. } = accepted;
                sequencer.step(
                    [Submission { event, identity, alias, payment_digest, refers_to: None }],
                    &mut taken,
                );
                if let Some(Taken::Work(work)) = taken.pop() {
                    made.insert(record.sequence, decide(&work, &mut Open, &mut scratch).encode());
                }
            }
            RecordKind::Decided => {
                let decided = Decided::decode(&record.open).unwrap();
                lacking += usize::from(!decided.verdict.skipped.is_empty());
            }
            RecordKind::Finished => {
                let one = Finished::decode(&record.open).unwrap();
                assert_eq!(&one.verdict.encode(), &made[&record.sequence]);
                assert!(finished.insert(record.sequence, one).is_none(), "{} twice", record.sequence);
            }
        }
    }
    assert_eq!(finished.len(), lacking);
    lacking
}
