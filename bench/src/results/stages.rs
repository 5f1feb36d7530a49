//! What each stage of a running server costs a payment, from `GET /metrics` before and after a load, beside the CPU time
//! of its whole process: what the stages do not account for is HTTP, the kernel and the bookkeeping between them.

use super::machine::Stamp;
use super::{Better, Results, Runs};
use crate::client::Target;
use anyhow::{Context, ensure};
use bytes::Bytes;
use hyper::Method;
use interdict::node::tally::STAGES;
use interdict::node::timing::Step;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One stage's figures, from the server's start or between two readings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Took {
    /// Seconds that all timed payments spent in it.
    pub seconds: f64,
    /// Timed payments.
    pub timed: f64,
    /// Payments it ran for; 0 for a stage that is not counted.
    pub evaluated: f64,
    /// Payments it found something in.
    pub hits: f64,
}

/// Figures by the stage's name.
pub type Stages = BTreeMap<String, Took>;

/// Reads them from a server.
///
/// # Errors
/// When it does not answer with metrics.
pub async fn read(target: &Target) -> anyhow::Result<Stages> {
    let answer = target.connect().await?.send(Method::GET, "/metrics", Bytes::new()).await?;
    ensure!(answer.status == 200, "GET /metrics: status {}", answer.status);
    parse(std::str::from_utf8(&answer.body).context("GET /metrics")?)
}

fn parse(text: &str) -> anyhow::Result<Stages> {
    let mut stages = Stages::new();
    for (name, rest) in text.lines().filter_map(|line| line.split_once("{stage=\"")) {
        let Some(kept) = name.strip_prefix("interdict_stage_") else { continue };
        let (stage, value) = rest.split_once("\"} ").unwrap_or_default();
        let field: fn(&mut Took) -> &mut f64 = match kept {
            "duration_seconds_sum" => |took| &mut took.seconds,
            "duration_seconds_count" => |took| &mut took.timed,
            "evaluated_total" => |took| &mut took.evaluated,
            "hits_total" => |took| &mut took.hits,
            _ => continue,
        };
        let value = value.parse().with_context(|| format!("GET /metrics: {name} of {stage:?}"))?;
        *field(stages.entry(stage.to_owned()).or_default()) = value;
    }
    Ok(stages)
}

/// What came between two readings of one server.
pub fn between(before: &Stages, after: &Stages) -> Stages {
    let since = |(stage, after): (&String, &Took)| {
        let before = before.get(stage).copied().unwrap_or_default();
        let took = Took {
            seconds: after.seconds - before.seconds,
            timed: after.timed - before.timed,
            evaluated: after.evaluated - before.evaluated,
            hits: after.hits - before.hits,
        };
        (stage.clone(), took)
    };
    after.iter().map(since).collect()
}

/// That every stage ran: a configuration without packs for one would be measured as if it were cheap.
///
/// # Errors
/// Names the stage that did not.
pub fn ensure_all_ran(stages: &Stages) -> anyhow::Result<()> {
    for stage in STAGES {
        let ran = stages.get(stage.name()).is_some_and(|took| took.evaluated > 0.0);
        ensure!(ran, "stage {:?} ran for no payment; the configuration has nothing for it", stage.name());
    }
    Ok(())
}

/// µs a payment spends in a stage; `None` where none was timed.
fn us(stages: &Stages, step: Step) -> Option<f64> {
    let took = stages.get(step.name()).filter(|took| took.timed > 0.0)?;
    Some(took.seconds / took.timed * 1e6)
}

/// The entries of some runs, each with the CPU-µs that the whole process took for a request; in the order of the path.
pub fn results(runs: &[(&Stages, f64)], stamp: &Stamp) -> Results {
    let mut results = Results::new();
    let mut add = |number: usize, name: &str, note: &str, values: Vec<f64>| {
        if !values.is_empty() {
            let entry = Runs { values, alternative: None }.entry("CPU-µs", Better::Lower, stamp, note);
            results.insert(format!("stages/{number:02} {name}"), entry);
        }
    };
    for (number, step) in (1..).zip(Step::ALL) {
        let figure = |of: fn(&Took) -> f64| -> f64 {
            runs.iter().filter_map(|(stages, _)| stages.get(step.name())).map(of).sum()
        };
        let (evaluated, hits) = (figure(|took| took.evaluated), figure(|took| took.hits));
        let found =
            (evaluated > 0.0).then(|| format!("; found something in {:.1} %", hits / evaluated * 100.0));
        let note = format!("{} payments timed{}", figure(|took| took.timed), found.unwrap_or_default());
        add(number, step.name(), &note, runs.iter().filter_map(|(stages, _)| us(stages, step)).collect());
    }
    let sum = |stages: &Stages| Step::ALL.into_iter().filter_map(|step| us(stages, step)).sum::<f64>();
    let all = Step::ALL.len();
    let rest = "CPU time of the process, less all of the above: HTTP, the kernel, queues, metrics";
    add(all + 1, "the rest", rest, runs.iter().map(|(stages, cpu)| cpu - sum(stages)).collect());
    results
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn metrics(timed: f64, each_us: f64) -> Stages {
        let mut text = String::from("# TYPE interdict_stage_hits_total counter\ninterdict_ready 1\n");
        for step in Step::ALL {
            let (stage, seconds) = (step.name(), timed * each_us / 1e6);
            text += &format!("interdict_stage_duration_seconds_bucket{{stage=\"{stage}\",le=\"1e-7\"}} 0\n");
            text += &format!("interdict_stage_duration_seconds_sum{{stage=\"{stage}\"}} {seconds:e}\n");
            text += &format!("interdict_stage_duration_seconds_count{{stage=\"{stage}\"}} {timed}\n");
        }
        for stage in STAGES {
            let (stage, evaluated) = (stage.name(), timed * 64.0);
            text += &format!("interdict_stage_evaluated_total{{stage=\"{stage}\"}} {evaluated}\n");
            text += &format!("interdict_stage_hits_total{{stage=\"{stage}\"}} {timed}\n");
        }
        parse(&text).unwrap()
    }

    #[test]
    fn what_came_between_two_readings_is_told_by_stage_and_the_rest_is_named() {
        let (before, after) = (metrics(10.0, 9.0), metrics(30.0, 5.0));
        let load = between(&before, &after);
        ensure_all_ran(&load).unwrap();
        assert_eq!((load["lists"].timed, load["lists"].evaluated), (20.0, 1280.0));
        let stamp = Stamp { commit: "c".into(), machine: "m".into() };
        let results = results(&[(&load, 50.0), (&load, 60.0), (&load, 70.0)], &stamp);
        assert_eq!(results.len(), Step::ALL.len() + 1);
        // 10 payments at 9 µs were before: 30 · 5 − 10 · 9 = 60 µs over 20.
        let lists = &results["stages/04 lists"];
        assert!((lists.value - 3.0).abs() < 1e-9, "{lists:?}");
        assert_eq!(lists.note, "60 payments timed; found something in 1.6 %");
        assert!((results["stages/12 the rest"].value - 27.0).abs() < 1e-9);
    }

    #[test]
    fn a_stage_that_did_not_run_is_named() {
        let (before, mut after) = (metrics(1.0, 1.0), metrics(2.0, 1.0));
        after.get_mut("patterns").unwrap().evaluated = before["patterns"].evaluated;
        let error = ensure_all_ran(&between(&before, &after)).unwrap_err().to_string();
        assert!(error.contains("\"patterns\""), "{error}");
        assert!(ensure_all_ran(&Stages::new()).is_err());
        assert!(parse("interdict_stage_hits_total{stage=\"lists\"} many").is_err());
    }
}
