//! In time: what cannot have a full verdict before its deadline gets the declared default, or is refused at once; by a
//! clock that the test moves, so that nothing here depends on how fast the machine is.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // tests/ablation.rs uses the rest.
#[path = "world/deployment.rs"]
mod deployment;
#[path = "admission/turns.rs"]
mod turns;

use deployment::Deployment;
use interdict::cli::verify::verify;
use interdict::history::Folder;
use interdict::http::decisions::from_decoded;
use interdict::node::budget::Budget;
use interdict::node::clock::{Clock, Manual};
use interdict::node::intake::{Batch, Intake, Refusal};
use interdict::node::pace::Pace;
use interdict::node::quota::Terms;
use interdict::node::{Answered, Job, Node, Options};
use interdict_engine::domain::{Body, Event, Outcome, Transaction, TransactionKind};
use interdict_engine::limits::{INTAKE_EXPRESS_MAX, INTAKE_JOBS_MAX};
use interdict_engine::sequencer::Submission;
use interdict_engine::{SkipReason, Stage};
use interdict_ingest::{Decoder, RequestContext};
use interdict_tests::blackbox::{payment, probe, write};
use interdict_tests::node::Start;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_interdict-under-test");
const MS: Duration = Duration::from_millis(1);

/// A payment that knows only its number, for the intake alone; what it is refused for is sent.
fn numbered(number: usize, tenant: &str, deadline: Instant, told: &Sender<(usize, Answered)>) -> Job {
    let tx = Transaction::new(tenant.into(), TransactionKind::Request, 0);
    let event = Event { tenant: tenant.into(), arrival_ms: 0, body: Body::Payment(Box::new(tx)) };
    let submission =
        Submission { event, identity: None, alias: None, payment_digest: number as u128, refers_to: None };
    let told = told.clone();
    Job {
        submission,
        deadline: Some(deadline),
        reply: Box::new(move |answered| drop(told.send((number, answered)))),
    }
}

fn intake(terms: &[(&str, Terms)]) -> (Intake, Arc<Pace>, Arc<Manual>) {
    let (pace, clock) = (Arc::new(Pace::new(0)), Arc::new(Manual::default()));
    pace.take.note(100_000);
    pace.stages_all.note(900_000);
    let terms = terms.iter().map(|(name, terms)| ((*name).to_owned(), *terms)).collect();
    (Intake::new(pace.clone(), clock.clone(), terms, 16), pace, clock)
}

/// What became of an arrival in the simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Full(Duration),
    Default(Duration),
    Refused,
}

/// One server whose payments take what the intake believes: 1 ms with stages, 0.1 ms without. Arrivals at the times
/// given, each with its tenant; ends in the same order.
fn simulate(arrivals: &[(Duration, &str)], deadline: Duration, terms: &[(&str, Terms)]) -> Vec<End> {
    let (intake, pace, clock) = intake(terms);
    let (send, told) = channel();
    let began = clock.now();
    let mut ends: Vec<Option<End>> = vec![None; arrivals.len()];
    let mut next = 0;
    let passed = || clock.now() - began;
    let admit_until = |next: &mut usize, until: Duration| {
        while *next < arrivals.len() && arrivals[*next].0 <= until {
            let (at, tenant) = arrivals[*next];
            clock.advance(at.saturating_sub(passed()));
            intake.admit([numbered(*next, tenant, began + at + deadline, &send)]);
            *next += 1;
        }
        clock.advance(until.saturating_sub(passed()));
    };
    let mut batch = Batch::default();
    while next < arrivals.len() || intake.waiting() > 0 {
        if intake.waiting() == 0 {
            let until = arrivals[next].0;
            admit_until(&mut next, until);
        }
        if !intake.take(16, true, &mut batch) {
            continue;
        }
        let mut done = passed();
        let mut of_batch = Vec::new();
        for (job, until) in batch.jobs.drain(..).zip(batch.until.drain(..)) {
            let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(began + done));
            let is_full = left >= Duration::from_nanos(pace.full_ns() - pace.express_ns());
            done += Duration::from_nanos(if is_full { pace.full_ns() } else { pace.express_ns() });
            of_batch.push((job.submission.payment_digest as usize, is_full));
        }
        admit_until(&mut next, done);
        intake.done(of_batch.len());
        for (number, is_full) in of_batch {
            let took = done - arrivals[number].0;
            ends[number] = Some(if is_full { End::Full(took) } else { End::Default(took) });
        }
        for (number, answered) in told.try_iter() {
            assert!(matches!(answered, Answered::Overloaded(Refusal::Express)), "{answered:?}");
            ends[number] = Some(End::Refused);
        }
    }
    told.try_iter().for_each(|(number, _)| ends[number] = Some(End::Refused));
    ends.into_iter().map(|end| end.expect("everything that came was answered")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// However arrivals fall, at three times what can be done in full: whatever is answered is answered in time, and
    /// at least four fifths of what can be done in full is.
    #[test]
    fn at_three_times_saturation_every_verdict_is_in_time_and_most_that_can_be_are_full(
        gaps_us in proptest::collection::vec(0u64..667, 3_000),
        deadline_ms in 18u64..60,
    ) {
        let mut at = Duration::ZERO;
        let arrivals: Vec<(Duration, &str)> = gaps_us
            .iter()
            .map(|gap_us| {
                at += Duration::from_micros(*gap_us);
                (at, "t")
            })
            .collect();
        let deadline = MS * deadline_ms as u32;
        let ends = simulate(&arrivals, deadline, &[]);
        let late: Vec<&End> = ends
            .iter()
            .filter(|end| matches!(end, End::Full(took) | End::Default(took) if *took > deadline))
            .collect();
        prop_assert!(late.is_empty(), "{} late, {:?} of {deadline:?}", late.len(), late[0]);
        let full = ends.iter().filter(|end| matches!(end, End::Full(_))).count();
        let possible = at.as_millis() as f64;
        prop_assert!(full as f64 >= 0.8 * possible, "{full} of {possible} full verdicts");
    }

    /// A tenant at a tenth of its share notices nothing of one at ten times its own.
    #[test]
    fn a_tenant_below_its_share_gets_full_verdicts_beside_one_far_above(gaps_us in proptest::collection::vec(0u64..400, 3_000)) {
        let mut at = Duration::ZERO;
        let mut arrivals = Vec::new();
        for (number, gap_us) in gaps_us.iter().enumerate() {
            at += Duration::from_micros(*gap_us);
            arrivals.push((at, if number.is_multiple_of(100) { "modest" } else { "greedy" }));
        }
        let ends = simulate(&arrivals, MS * 60, &[]);
        for (end, (_, tenant)) in ends.iter().zip(&arrivals) {
            prop_assert!(*tenant == "greedy" || matches!(end, End::Full(_)), "{end:?}");
        }
        prop_assert!(ends.iter().any(|end| !matches!(end, End::Full(_))), "the greedy one is too much");
    }
}

#[test]
fn under_light_load_every_verdict_is_full_and_after_a_surge_again() {
    let mut arrivals: Vec<(Duration, &str)> = (0..200).map(|n| (MS * 2 * n, "t")).collect();
    arrivals.extend((0..2_000).map(|n| (MS * 400 + MS * n / 5, "t")));
    arrivals.extend((0..200).map(|n| (MS * 830 + MS * 2 * n, "t")));
    let ends = simulate(&arrivals, MS * 20, &[]);
    let is_full = |end: &&End| matches!(end, End::Full(_));
    assert_eq!(ends[..200].iter().filter(is_full).count(), 200);
    assert!(ends[200..2_200].iter().filter(is_full).count() < 1_000);
    // 30 ms after the last of the surge.
    assert_eq!(ends[2_200..].iter().filter(is_full).count(), 200);
}

#[test]
fn what_has_no_room_is_refused_and_the_one_with_most_gives_way() {
    let (intake, _, clock) = intake(&[("heavy", Terms { weight: 2, rate: None })]);
    let (send, told) = channel();
    let far = clock.now() + Duration::from_secs(3_600);
    let mut number = 0;
    let mut admit = |tenant: &str, deadline| {
        intake.admit([numbered(number, tenant, deadline, &send)]);
        number += 1;
        number - 1
    };
    (0..INTAKE_JOBS_MAX).for_each(|_| {
        admit("a", far);
    });
    assert!(told.try_recv().is_err());
    let last = admit("a", far);
    assert!(matches!(told.try_recv(), Ok((who, Answered::Overloaded(Refusal::Queue))) if who == last));
    // Another tenant has its place from the one that has most, whose newest job goes.
    admit("b", far);
    assert!(matches!(told.try_recv(), Ok((who, Answered::Overloaded(Refusal::Queue))) if who == last - 1));
    assert_eq!(intake.waiting(), INTAKE_JOBS_MAX);
    // What has no time left goes express, as far as there is room.
    let now = clock.now();
    (0..INTAKE_EXPRESS_MAX).for_each(|_| {
        admit("heavy", now);
    });
    let refused =
        told.try_iter().filter(|(_, a)| matches!(a, Answered::Overloaded(Refusal::Express))).count();
    assert!(refused > 0, "{refused}");
    let depths: BTreeMap<_, _> =
        intake.depths().into_iter().map(|(queue, tenant, len)| ((queue, tenant), len)).collect();
    assert_eq!(depths[&("fair", "other".to_owned())], INTAKE_JOBS_MAX);
    assert_eq!(depths[&("express", "other".to_owned())], INTAKE_EXPRESS_MAX - refused);
    assert_eq!(depths[&("fair", "heavy".to_owned())], 0);
}

#[test]
fn a_rate_is_kept_to_and_says_when_to_come_again() {
    let (intake, _, clock) = intake(&[("bound", Terms { weight: 1, rate: Some((0.5, 2.0)) })]);
    let (send, told) = channel();
    let far = clock.now() + Duration::from_secs(3_600);
    let admit = |tenant: &str| intake.admit([numbered(0, tenant, far, &send)]);
    (0..3).for_each(|_| admit("bound"));
    (0..3).for_each(|_| admit("other"));
    let refused: Vec<Answered> = told.try_iter().map(|(_, answered)| answered).collect();
    assert!(
        matches!(refused[..], [Answered::Overloaded(why)] if why.name() == "rate" && why.retry_after_s() == 2)
    );
    clock.advance(Duration::from_secs(2));
    admit("bound");
    assert!(told.try_recv().is_err());
    admit("bound");
    assert!(told.try_recv().is_ok());
}

/// Stages cost 1 (lists), 5 (patterns), 40 (similarity), 3 (models), 4 ms (rules) and the answer 2 ms.
#[test]
fn what_is_dear_is_skipped_before_what_is_cheap() {
    let deployment = Deployment::whole();
    let folder = tempfile::tempdir().unwrap();
    let loaded = interdict::config::load(&deployment.config).unwrap();
    let node = Node::open(folder.path(), loaded, &Options::default(), 0).unwrap();
    let view = node.view();
    let generation = view.generation();
    assert!(Stage::LANE.iter().all(|stage| generation.has(*stage)), "the default deployment has every stage");
    let cost_ms = BTreeMap::from([
        (Stage::Lists, 1),
        (Stage::Patterns, 5),
        (Stage::Similarity, 40),
        (Stage::Models, 3),
        (Stage::Rules, 4),
    ]);
    let run = |left_ms: u32| -> (Vec<&'static str>, Duration) {
        let (pace, clock) = (Pace::new(0), Manual::default());
        cost_ms.iter().for_each(|(stage, ms)| pace.stage(*stage).note(ms * 1_000_000));
        pace.journal.note(2_000_000);
        let began = clock.now();
        let mut budget = Budget::new(Some(began + MS * left_ms), &clock, &pace, generation);
        let mut skipped = Vec::new();
        for stage in Stage::LANE {
            match budget.skip(stage) {
                None => clock.advance(MS * cost_ms[&stage] as u32),
                Some(SkipReason::Deadline) => skipped.push(stage.name()),
                Some(why) => panic!("{why:?}"),
            }
        }
        let spent = budget.finish();
        assert_eq!(Duration::from_nanos(spent), clock.now() - began, "every stage that ran is timed");
        (skipped, clock.now() - began)
    };
    // Whatever is left, the answer is in time, as long as there is time for it.
    for left_ms in 2..80 {
        let (skipped, spent) = run(left_ms);
        assert!(spent + 2 * MS <= MS * left_ms, "{left_ms} ms: {skipped:?} skipped, {spent:?} spent");
    }
    assert_eq!(run(100).0, Vec::<&str>::new());
    assert_eq!(run(50).0, ["similarity"]);
    assert_eq!(run(14).0, ["patterns", "similarity"]);
    assert_eq!(run(8).0, ["patterns", "similarity", "models"]);
    assert_eq!(run(6).0, ["lists", "patterns", "similarity", "models"]);
    assert_eq!(run(0).0, ["lists", "patterns", "similarity", "models", "rules"]);
    // Without a deadline nothing is, and no clock is asked.
    let (pace, clock) = (Pace::new(0), Manual::default());
    let mut budget = Budget::new(None, &clock, &pace, generation);
    assert!(Stage::LANE.into_iter().all(|stage| budget.skip(stage).is_none()));
    assert_eq!(budget.finish(), 0);
}

/// What is never run is not for ever thought as dear as it once was.
#[test]
fn a_stage_that_once_was_dear_is_tried_again() {
    let generation = interdict::node::recovery::empty_generation();
    let (pace, clock) = (Pace::new(0), Manual::default());
    pace.stage(Stage::Rules).note(50_000_000);
    let skips = (0..1_000).take_while(|_| {
        let mut budget = Budget::new(Some(clock.now() + 20 * MS), &clock, &pace, &generation);
        budget.skip(Stage::Rules).is_some()
    });
    let skips = skips.count();
    assert!((10..500).contains(&skips), "{skips}");
}

/// A payment of a tenant through the decoder, as HTTP would bring it.
fn decoded(decoder: &Decoder, id: &str, tenant: &str) -> Submission {
    let context = RequestContext { default_tenant: tenant, ..RequestContext::default() };
    let body = payment(json!({"id": id, "amount": {"minor": 95_000, "currency": "EUR"}}));
    from_decoded(decoder.decode(body.to_string().as_bytes(), &context).unwrap(), 0)
}

#[test]
fn while_the_core_stands_still_only_those_whose_deadline_passes_get_defaults() {
    for lanes in [0, 1] {
        let dir = tempfile::tempdir().unwrap();
        let config = probe(dir.path(), "");
        let clock = Arc::new(Manual::default());
        let loaded = interdict::config::load(&config).unwrap();
        let options = Options { lanes: Some(lanes), ..Options::default() };
        let data = dir.path().join("data");
        let node = Node::open_by(&data, loaded, &options, 0, clock.clone()).unwrap();
        let decoder = Decoder::new(node.keys.tags.clone());
        let (send, told) = channel();
        node.with_core(|_| {
            let began = clock.now();
            let jobs: Vec<Job> = (0..40)
                .map(|number: u32| {
                    let submission = decoded(&decoder, &format!("p-{number}"), "t");
                    let deadline = Some(began + if number.is_multiple_of(4) { 5 * MS } else { 500 * MS });
                    let told = send.clone();
                    let reply = Box::new(move |answered| drop(told.send((number, answered))));
                    Job { submission, deadline, reply }
                })
                .collect();
            node.admit(jobs);
            clock.advance(10 * MS);
        });
        drop(send);
        let mut answers = 0;
        for (number, answered) in told.iter().take(40) {
            let Answered::Decided(settled) = answered else { panic!("{answered:?}") };
            let skipped: Vec<Stage> = settled.verdict.skipped.iter().map(|(stage, _)| *stage).collect();
            if number.is_multiple_of(4) {
                assert_eq!(skipped, [Stage::Lists, Stage::Rules], "{lanes} lanes, payment {number}");
                assert_eq!((settled.verdict.outcome, settled.verdict.default_applied), (Outcome::Hold, true));
            } else {
                assert_eq!(skipped, [], "{lanes} lanes, payment {number}");
                assert_eq!(settled.verdict.outcome, Outcome::Challenge);
            }
            answers += 1;
        }
        assert_eq!(answers, 40);
        let skips: u64 = node.tally.skips().map(|(_, _, count)| count).sum();
        assert_eq!(skips, 20);
        node.close().unwrap();
        // Recorded like any other: made again from the journal they are the same.
        let folder = Folder::open(&data, Some(&config)).unwrap();
        let verified = verify(&folder, 1, u64::MAX, &mut |_, _| {}).unwrap();
        assert_eq!((verified.equal, verified.findings), (40, Vec::new()), "{lanes} lanes");
    }
}

#[test]
fn every_outcome_can_be_a_default_and_the_strongest_of_the_skipped_stages_counts() {
    for (lists, rules, expected) in [
        ("approve", "approve", "approve"),
        ("approve", "review", "review"),
        ("challenge", "approve", "challenge"),
        ("review", "hold", "hold"),
        ("decline", "challenge", "decline"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let config = probe(dir.path(), "");
        let pack = dir.path().join("probe/pack.yaml");
        let text = std::fs::read_to_string(&pack).unwrap();
        let (head, _) = text.split_once("defaults:").unwrap();
        write(&pack, format!("{head}defaults:\n  lists: {lists}\n  rules: {rules}\n"));
        let node = Start::new(BINARY, &config, dir.path().join("data")).start().unwrap();
        let answer = node.client().post("/v1/decisions", &payment(json!({"deadline_ms": 0}))).unwrap().json();
        assert_eq!(answer["outcome"], expected, "{answer}");
        assert_eq!(answer["default_applied"], true, "{answer}");
        let skipped = answer["skipped"].as_array().unwrap().iter();
        let skipped: Vec<&str> = skipped.filter_map(|skip| skip["stage"].as_str()).collect();
        assert_eq!(skipped, ["lists", "rules"], "{answer}");
    }
}

#[test]
fn a_tenant_over_its_rate_is_told_429_and_when_to_come_again_and_others_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let config = probe(dir.path(), "\n[tenants.bound]\nrate = 0.01\nburst = 2\n");
    let node = Start::new(BINARY, &config, dir.path().join("data")).start().unwrap();
    let client = node.client();
    let send = |tenant: &str| {
        let body = payment(json!({})).to_string();
        client.send("POST", "/v1/decisions", &[("Interdict-Tenant", tenant)], body).unwrap()
    };
    assert_eq!((send("bound").status, send("bound").status), (200, 200));
    let refused = send("bound");
    assert_eq!(refused.status, 429, "{}", refused.text);
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    let after_s: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=100).contains(&after_s), "{after_s}");
    assert_eq!(send("free").status, 200);
    // In a batch only the elements past it.
    let batch = json!([payment(json!({"tenant": "bound"})), payment(json!({"tenant": "free"}))]);
    let answers = client.post("/v1/decisions", &batch).unwrap().json();
    assert_eq!(answers[0]["status"], 429, "{answers}");
    assert_eq!(answers[1]["outcome"], "approve", "{answers}");
    let metrics = client.get("/metrics").unwrap().text;
    assert!(metrics.contains("interdict_admission_refused_total{reason=\"rate\"} 2\n"), "{metrics}");
}

#[test]
fn a_tenant_s_lists_and_packs_stay_within_its_quotas() {
    let dir = tempfile::tempdir().unwrap();
    let config = probe(dir.path(), "\n[tenants.bound]\nlist_entries = 2\ncost_us = 1000\n");
    let node = Start::new(BINARY, &config, dir.path().join("data")).start().unwrap();
    let client = node.client();
    let put = |tenant: &str, list: &str, bins: &[&str]| {
        let entries: Vec<_> = bins.iter().map(|bin| json!({"bin": bin, "effect": "flag"})).collect();
        let path = format!("/v1/lists/{list}/entries");
        client.send("PUT", &path, &[("Interdict-Tenant", tenant)], json!(entries).to_string()).unwrap()
    };
    assert_eq!(put("bound", "own", &["400000"]).status, 200);
    assert_eq!(put("bound", "second", &["400001"]).status, 200);
    let refused = put("bound", "own", &["400000", "400002"]);
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert_eq!((&refused.json()["field"], refused.text.contains("at most 2")), (&json!("[1]"), true));
    // Another's place takes none, and what is removed makes room.
    assert_eq!(put("bound", "own", &["400000"]).status, 200);
    let gone = json!([{"bin": "400001"}]).to_string();
    let headers = [("Interdict-Tenant", "bound")];
    assert_eq!(client.send("DELETE", "/v1/lists/second/entries", &headers, gone).unwrap().status, 200);
    assert_eq!(put("bound", "own", &["400002"]).status, 200);
    assert_eq!(put("free", "own", &["400000", "400001", "400002"]).status, 200);
    drop(node);
    // One microsecond does not do for the probe's rules: the pack is named, and nothing is published.
    let dear = std::fs::read_to_string(&config).unwrap().replace("cost_us = 1000", "cost_us = 0");
    write(&config, dear);
    let refused = Start::new(BINARY, &config, dir.path().join("data")).start().unwrap_err();
    assert!(refused.contains("tenants.bound.cost_us = 0") && refused.contains("probe 0."), "{refused}");
}

#[test]
fn a_tenant_at_its_feature_keys_evicts_its_own_and_no_other_s() {
    let dir = tempfile::tempdir().unwrap();
    let config = probe(dir.path(), "\n[tenants.bound]\nfeature_keys = 2\n");
    let node = Start::new(BINARY, &config, dir.path().join("data")).start().unwrap();
    let client = node.client();
    let pay = |tenant: &str, card: &str| {
        let body = payment(json!({"tenant": tenant, "card": {"token": card}}));
        assert_eq!(client.post("/v1/decisions", &body).unwrap().status, 200);
    };
    for number in 0..6 {
        pay("free", &format!("f-{number}"));
        pay("bound", &format!("b-{number}"));
    }
    let metrics = client.get("/metrics").unwrap().text;
    assert!(metrics.contains("interdict_feature_evictions_total{group=\"card\"} 4\n"), "{metrics}");
    assert!(metrics.contains("interdict_feature_keys{group=\"card\"} 8\n"), "{metrics}");
}
