//! What must hold of a data folder after crashes: by the node's own answers, by `verify`, and against an engine that
//! never crashed.

use super::BINARY;
use super::load::{Known, Load, canonical, submit};
use interdict::config;
use interdict::history::Folder;
use interdict::node::limits;
use interdict::node::recovery::{Generations, empty_generation};
use interdict_engine::domain::{Accepted, Body, Decided};
use interdict_engine::lane::{Gate, Scratch, decide};
use interdict_engine::sequencer::{Refers, Sequencer, Submission, Taken};
use interdict_engine::settlement::inline;
use interdict_engine::{SkipReason, Stage};
use interdict_ledger::journal::RecordKind;
use interdict_ledger::snapshot::{Image, list};
use interdict_tests::node::{Client, Running, Start, default_config};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Ids that are asked for one by one after a restart.
const READ_ONE_BY_ONE: usize = 40;
/// Payments that are asked again after a restart.
const ASKED_AGAIN: usize = 600;
/// Payments in one request.
const BATCH: usize = 100;

/// The newest image, which a clean end wrote, is what a start makes of the whole journal, byte for byte.
pub fn equals_a_rebuild(data: &Path) {
    let images = data.join("snapshots");
    let digest = || {
        let (_, newest) = list(&images).unwrap().swap_remove(0);
        let image = Image::open(&newest).unwrap();
        (image.about().sequence(), image.digest().unwrap())
    };
    let ended = digest();
    std::fs::remove_dir_all(&images).unwrap();
    let mut node = Start::new(BINARY, default_config(), data).start().unwrap();
    assert_eq!(node.logged("from_image=").as_deref(), Some("0"));
    assert!(node.terminate().unwrap().success(), "{}", node.log());
    assert!(digest() == ended, "the state that lived through all this is not the one that the journal gives");
}

/// After a restart: recovery told nothing wrong; the last round's acknowledged verdicts and some older ones are there
/// as they were; what got no answer gets one now. `may_end`: a
/// fail point is armed. How many verdicts recovery made comes back.
pub fn restarted(node: &Running, load: &Load, dice: &mut ChaCha8Rng, may_end: bool) -> u64 {
    let client = node.client();
    let status = client.get("/v1/status").expect("it is ready").json();
    assert_eq!(status["restored_differently"], 0, "{status}");
    let last = status["sequence"].as_u64().expect("a sequence");
    let (bodies, ids, mut waiting) = {
        let mut known = load.known();
        let greatest = known.noted.last().copied().unwrap_or(0);
        assert!(greatest <= last, "a label or list delta at {greatest} was acknowledged, the last is {last}");
        (chosen(&known, dice), chosen_ids(&known, dice), std::mem::take(&mut known.unanswered))
    };
    for id in ids {
        let reply = client.get(&format!("/v1/decisions/{id}")).expect("it is ready");
        let sequence = load.known().acknowledged[&id].sequence();
        assert_eq!(
            reply.status,
            200,
            "{id} was acknowledged at {sequence}: {}\n{}\n{}",
            reply.text,
            node.log(),
            load.known().acknowledged[&id].body
        );
        let answer = reply.json();
        assert_eq!(answer["meta"]["replayed"], true);
        assert_eq!(canonical(&answer), load.known().acknowledged[&id].verdict, "{id}");
    }
    waiting.extend(bodies);
    while !waiting.is_empty() {
        let rest = waiting.split_off(waiting.len().min(BATCH));
        if submit(&client, load, waiting).is_none() {
            assert!(may_end, "it took no payments:\n{}", node.log());
            // The armed fail point was reached here already; the next round asks for the rest.
            let mut known = load.known();
            let unknown = rest.into_iter().filter(|body| !known.knows(body)).collect::<Vec<_>>();
            known.unanswered.extend(unknown);
            break;
        }
        waiting = rest;
    }
    status["recovered"].as_u64().expect("a count")
}

fn chosen(known: &Known, dice: &mut ChaCha8Rng) -> Vec<Value> {
    let mut bodies: Vec<Value> = Vec::with_capacity(ASKED_AGAIN);
    // The newest are the ones a crash would lose.
    let newest = known.fresh.iter().rev().take(ASKED_AGAIN * 2 / 3);
    bodies.extend(newest.map(|id| known.acknowledged[id].body.clone()));
    let share = (ASKED_AGAIN as f64 / 3.0 / known.acknowledged.len().max(1) as f64).min(1.0);
    let older = known.acknowledged.values().filter(|_| dice.random_bool(share));
    bodies.extend(older.map(|one| one.body.clone()));
    bodies
}

fn chosen_ids(known: &Known, dice: &mut ChaCha8Rng) -> Vec<String> {
    let count = known.fresh.len();
    let random =
        (0..READ_ONE_BY_ONE.min(count) / 2).map(|_| known.fresh[dice.random_range(0..count)].clone());
    random.chain(known.fresh.iter().rev().take(READ_ONE_BY_ONE / 2).cloned()).collect()
}

/// After a drain: whatever got no answer was not taken. Gives back the number of those.
pub fn not_taken(client: &Client, load: &Load) -> usize {
    let known = load.known();
    let unanswered: BTreeSet<&str> = known.unanswered.iter().filter_map(|body| body["id"].as_str()).collect();
    for id in &unanswered {
        if !known.acknowledged.contains_key(*id) {
            let reply = client.get(&format!("/v1/decisions/{id}")).expect("it is ready");
            assert_eq!(reply.status, 404, "{id} was taken before the drain and not answered: {}", reply.text);
        }
    }
    unanswered.len()
}

/// Every acknowledged verdict, once more through the API.
pub fn all_acknowledged(client: &Client, load: &Load) {
    let bodies: Vec<Value> = load.known().acknowledged.values().map(|one| one.body.clone()).collect();
    for chunk in bodies.chunks(BATCH) {
        submit(client, load, chunk.to_vec()).expect("it is ready");
    }
}

/// `interdict verify` finds nothing.
pub fn verified(data: &Path) -> Value {
    let out = Command::new(super::BINARY).args(["verify", "--json", "--data"]).arg(data).output();
    let out = out.expect("the binary starts");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{text}\n{}", String::from_utf8_lossy(&out.stderr));
    let summary: Value = serde_json::from_str(&text).expect("one object");
    assert_eq!(summary["checked"], summary["equal"], "{summary}");
    assert_eq!(summary["not_kept"], 0, "{summary}");
    assert_eq!(summary["undecided"], 0, "{summary}");
    assert_eq!(summary["findings"], json!([]), "{summary}");
    summary
}

/// Skips what a verdict says was skipped, and computes everything else.
struct Skips<'a>(&'a [(Stage, SkipReason)]);
impl Gate for Skips<'_> {
    fn skip(&mut self, stage: Stage) -> Option<SkipReason> {
        self.0.iter().find(|(skipped, _)| *skipped == stage).map(|(_, reason)| *reason)
    }
}

/// The journal against an engine that never crashed: its accepted events, submitted anew in their order to an empty
/// sequencer, get the same sequences, stamped features and generations, and the lane gives the bytes that were
/// recorded. Each identity was accepted once; each acknowledged verdict is the one of its sequence.
pub fn equals_a_run_without_crashes(data: &Path, load: &Load) {
    let loaded = config::load(&default_config()).expect("the default configuration loads");
    let folder = Folder::open(data, None).expect("a data folder");
    let reader = folder.reader().expect("a whole journal");
    let (mut accepted, mut decided) = (Vec::new(), BTreeMap::new());
    for record in reader.records(0) {
        let record = record.expect("a whole record");
        match record.kind {
            RecordKind::Accepted => accepted
                .push(Accepted::decode(&record.open, record.sealed.as_deref()).expect("a whole record")),
            RecordKind::Decided => {
                let one = Decided::decode(&record.open).expect("a whole record");
                assert!(decided.insert(record.sequence, one).is_none(), "{} twice", record.sequence);
            }
            // With a deadline of a minute nothing is skipped.
            RecordKind::Finished => panic!("{} lacked nothing and was finished", record.sequence),
        }
    }
    let generations = Generations::new(&folder.store);
    let mut fresh = Sequencer::new(limits(&loaded), empty_generation());
    let (mut scratch, mut taken, mut identities) = (Scratch::default(), Vec::new(), BTreeMap::new());
    for recorded in &accepted {
        let sequence = recorded.sequence;
        let now = match &recorded.event.body {
            Body::Publish { generation } => {
                let generation = generations.get(generation).expect("a kept generation");
                fresh.publish(generation, recorded.event.clone())
            }
            _ => {
                fresh.step([submission(recorded, &identities)], &mut taken);
                taken.pop().expect("one for each")
            }
        };
        if let Some(key) = recorded.identity {
            assert!(identities.insert(sequence, key).is_none(), "{sequence} twice");
        }
        match now {
            Taken::Work(work) => {
                assert_eq!(*work.accepted, *recorded, "stamped otherwise without crashes");
                let recorded = decided.get(&sequence).expect("a verdict for each payment");
                let verdict = decide(&work, &mut Skips(&recorded.verdict.skipped), &mut scratch);
                assert_eq!(verdict.encode(), recorded.verdict.encode(), "decided otherwise without crashes");
                let mut learned = scratch.found.to_record(work.view.generation());
                let hold = inline(&work.accepted, &work.view, &verdict, learned.would);
                fresh.decided(sequence, hold.as_ref());
                learned.hold = hold.map(Box::new);
                assert_eq!(learned, recorded.recorded, "banks learned otherwise without crashes");
            }
            Taken::Noted(now) => assert_eq!(*now, *recorded, "noted otherwise without crashes"),
            other => panic!("sequence {sequence} came to {other:?}"),
        }
    }
    let unique: BTreeSet<u128> = identities.values().copied().collect();
    assert_eq!(unique.len(), identities.len(), "a payment was accepted twice");
    let payments = accepted.iter().filter(|one| matches!(one.event.body, Body::Payment(_))).count();
    assert_eq!(decided.len(), payments, "a verdict for each payment and nothing else");
    acknowledged_are_recorded(&load.known(), &accepted);
}

fn acknowledged_are_recorded(known: &Known, accepted: &[Accepted]) {
    let by_sequence: BTreeMap<u64, &Accepted> = accepted.iter().map(|one| (one.sequence, one)).collect();
    for (id, acknowledged) in &known.acknowledged {
        match &by_sequence.get(&acknowledged.sequence()).expect("acknowledged and not recorded").event.body {
            Body::Payment(tx) => assert_eq!(tx.id.as_deref(), Some(id.as_str())),
            other => panic!("{id} was acknowledged at {other:?}"),
        }
    }
    for sequence in &known.noted {
        let one = by_sequence.get(sequence).expect("acknowledged and not recorded");
        assert!(matches!(one.event.body, Body::Label { .. } | Body::ListDelta(_)), "{one:?}");
    }
}

/// The submission that an accepted record came from. A label names its payment by sequence already.
fn submission(recorded: &Accepted, identities: &BTreeMap<u64, u128>) -> Submission {
    Submission {
        event: recorded.event.clone(),
        identity: recorded.identity,
        alias: recorded.alias,
        payment_digest: recorded.payment_digest,
        refers_to: recorded.original.map(|original| identities[&original].into()).or_else(|| {
            let waits_for = &recorded.waits_for;
            (!waits_for.is_empty()).then(|| Refers::new(waits_for.iter().copied()))
        }),
    }
}
