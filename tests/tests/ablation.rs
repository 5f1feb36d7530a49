//! No stage is there for show: in the simulated world under the default deployment each one runs, finds something and
//! decides, and a deployment without its artefacts answers otherwise. And the one scenario that is missed is missed.
#![allow(clippy::unwrap_used)]

#[path = "world/deployment.rs"]
mod deployment;
#[path = "world/submissions.rs"]
mod submissions;

use deployment::Deployment;
use interdict::node::{Answered, Node, Options};
use interdict_bench::world::report::Report;
use interdict_bench::world::{Scenario, World, WorldConfig};
use interdict_engine::Stage;
use interdict_engine::domain::{Body, Outcome};
use interdict_ingest::Decoder;
use std::sync::Arc;
use submissions::submissions;

const STAGES: [Stage; 6] =
    [Stage::Features, Stage::Lists, Stage::Patterns, Stage::Similarity, Stage::Models, Stage::Rules];

/// What a payment was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Given {
    truth: Option<Scenario>,
    outcome: Outcome,
    score: u16,
}

/// The default world's verdicts in its order, and the node that gave them.
fn run(deployment: &Deployment, with_entries: bool) -> (Vec<Given>, Arc<Node>) {
    let data = tempfile::tempdir().unwrap();
    let loaded = interdict::config::load(&deployment.config).unwrap();
    let options = Options { lanes: Some(0), full_stats: true, ..Options::default() };
    let node = Node::open(data.path(), loaded, &options, 0).unwrap();
    let world = World::new(&WorldConfig::default()).unwrap();
    let mut given = Vec::with_capacity(world.transactions());
    for step in submissions(&Decoder::new(node.keys.tags.clone()), &world) {
        if !with_entries && matches!(step.submission.event.body, Body::ListDelta(_)) {
            continue;
        }
        match node.call(step.submission) {
            Answered::Decided(settled) => {
                let (outcome, score) = (settled.verdict.outcome, settled.verdict.score);
                given.push(Given { truth: step.truth, outcome, score });
            }
            // A label, or entries; the world repeats some of its payments.
            Answered::Noted(_) | Answered::Same(_) => {}
            other => panic!("{other:?}"),
        }
    }
    (given, node)
}

fn report(given: &[Given]) -> Report {
    let mut report = Report::default();
    given.iter().for_each(|one| report.add(one.truth, one.outcome, None));
    report
}

/// Caught, in per cent.
fn recall(report: &Report, scenario: Scenario) -> u64 {
    let (payments, caught) = report.recall(scenario);
    caught * 100 / payments
}

/// What is found less of without a stage.
fn found_by(stage: Stage) -> &'static [Scenario] {
    match stage {
        Stage::Features => &[Scenario::Mules, Scenario::Takeover],
        Stage::Lists => &[Scenario::StolenCard],
        Stage::Patterns => &[Scenario::ScamText],
        Stage::Similarity => &[Scenario::SanctionedMisspelt, Scenario::StolenCard, Scenario::Mules],
        Stage::Models => &[Scenario::Pickpocket],
        Stage::Rules => &[Scenario::CompromisedTerminal],
        _ => &[],
    }
}

#[test]
fn without_any_one_stage_s_artefacts_one_verdict_in_a_thousand_differs() {
    let (whole, node) = run(&Deployment::whole(), true);
    for stage in STAGES {
        let counts = node.tally.stages()[stage.name()];
        println!("{}: {counts:?}", stage.name());
        assert_eq!((counts.evaluated, counts.skipped), (whole.len() as u64, 0), "{}", stage.name());
        assert!(counts.hits > 0 && counts.decisive > 0, "{}: {counts:?}", stage.name());
    }
    let told = report(&whole);
    println!("{}", told.table());
    for scenario in Scenario::ALL {
        let (recall, missed) = (recall(&told, scenario), scenario == Scenario::FriendlyFraud);
        assert!(if missed { recall <= 20 } else { recall >= 60 }, "{}: {recall} %", scenario.name());
    }
    let (good, flagged) = told.false_positives();
    assert!(flagged * 100 <= good, "{flagged} of {good} good payments are not let through");

    for stage in STAGES {
        let (without, _) = run(&Deployment::without(stage), stage != Stage::Lists);
        assert_eq!(without.len(), whole.len());
        let pairs = || whole.iter().zip(&without);
        let outcomes = pairs().filter(|(a, b)| a.outcome != b.outcome).count();
        let scores = pairs().filter(|(a, b)| (a.outcome, a.score) != (b.outcome, b.score)).count();
        println!("without {}: {outcomes} outcomes differ, with scores {scores}", stage.name());
        assert!(outcomes * 1000 >= whole.len(), "without {}: {outcomes} of {}", stage.name(), whole.len());
        // And to the worse: some fraud is answered more weakly.
        let weaker = pairs().filter(|(a, b)| a.truth.is_some() && b.outcome < a.outcome).count();
        println!("  {weaker} frauds are answered more weakly");
        assert!(weaker > 0, "without {}", stage.name());
        let told_without = report(&without);
        for &scenario in found_by(stage) {
            let (with, without) = (recall(&told, scenario), recall(&told_without, scenario));
            println!("  {}: {with} % to {without} %", scenario.name());
            assert!(without < with, "without {}: {} {without} %", stage.name(), scenario.name());
        }
    }
}
