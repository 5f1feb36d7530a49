//! Measures `interdict serve` beside the comparison handler: both started on this machine in turn, in alternating
//! order, several rounds, with the same bodies. Each `serve` has a fresh data folder and has seen six weeks of the
//! simulated world before: windows are covered, banks have learned and lists have entries, so that every stage works.

use super::machine::Stamp;
use super::stages::{self, Stages};
use super::{Better, Entry, Results, Runs};
use crate::client::Target;
use crate::load::bodies::Bodies;
use crate::load::saturation::{self, Limits};
use crate::load::{self, Arrival, LoadConfig, LoadReport};
use crate::sys;
use crate::world::stream::{Speed, Streamer};
use crate::world::{World, WorldConfig};
use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use hyper::Method;
use serde::{Deserialize, Serialize};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const INTERDICT: &str = "interdict";
const EMPTY: &str = "empty";

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The `interdict` binary.
    pub binary: PathBuf,
    /// Its configuration.
    pub config: PathBuf,
    /// Watchlists beside the configuration's own, by name.
    pub watchlists: Vec<(String, PathBuf)>,
    /// Where data folders and raw runs go; what lies there from earlier runs is replaced.
    pub work: PathBuf,
    /// Rounds.
    pub rounds: usize,
    /// Rate of the latency measurement, a second.
    pub rate: f64,
    /// Its length, in seconds, of which the first fifth warms up.
    pub seconds: f64,
    /// Length of one step of the search for saturation, in seconds.
    pub step_seconds: f64,
    /// Connections.
    pub connections: usize,
    /// Seed of bodies and arrivals.
    pub seed: u64,
}

/// One server in one round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// From 0.
    pub round: usize,
    /// `interdict`, or `empty`: the comparison handler.
    pub server: String,
    /// At the plan's rate.
    pub load: LoadReport,
    /// The search for the highest rate.
    pub saturation: saturation::Saturation,
    /// What its stages did at the plan's rate; empty for the comparison handler.
    #[serde(default)]
    pub stages: Stages,
    /// What was configured, for people.
    #[serde(default)]
    pub setting: String,
}

impl Plan {
    /// The two sanctions lists of a folder like `shared/data`, as [`Plan::watchlists`]; those that are there.
    pub fn sanctions(data: &Path) -> Vec<(String, PathBuf)> {
        let lists = [("ofac-sdn", "ofac/sdn.csv"), ("un-consolidated", "un/consolidated.xml")];
        let there = lists.map(|(name, file)| (name.to_owned(), data.join(file))).into_iter();
        // The server resolves what is relative from its configuration.
        let absolute = |(name, file): (String, PathBuf)| Some((name, file.canonicalize().ok()?));
        there.filter_map(absolute).collect()
    }
    pub(super) fn setting(&self) -> String {
        let lists: Vec<&str> = self.watchlists.iter().map(|(name, _)| name.as_str()).collect();
        let more = if lists.is_empty() { "no sanctions lists".into() } else { lists.join(" and ") };
        format!("{} with {more}, after six weeks of the world", self.config.display())
    }
}

/// A started server; it ends with this value.
pub(super) struct Server {
    pub child: Child,
    pub target: Target,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = sys::stop(&mut self.child, Duration::from_secs(15)) {
            eprintln!("interdict-bench: cannot stop process {}: {error:#}", self.child.id());
        }
    }
}

fn free_address() -> anyhow::Result<String> {
    // Closed at once: nobody else on this machine is told of the port in between.
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

fn start(mut command: Command, address: &str, log: &Path) -> anyhow::Result<Server> {
    let log_file = std::fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command
        .stdin(Stdio::null())
        .stdout(log_file.try_clone()?)
        .stderr(log_file)
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let server = Server { child, target: Target::parse(&format!("http://{address}"))? };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ready = runtime.block_on(server.target.wait_ready(Duration::from_secs(60)));
    ready.with_context(|| format!("{program} (its output is in {})", log.display()))?;
    Ok(server)
}

/// A server in a fresh data folder, with what `more` sets, after six weeks of the world.
pub(super) fn start_interdict(
    plan: &Plan,
    round: usize,
    more: impl FnOnce(&mut Command),
) -> anyhow::Result<Server> {
    let (address, data) = (free_address()?, plan.work.join(format!("data-{round}")));
    if data.exists() {
        std::fs::remove_dir_all(&data).with_context(|| format!("cannot clear {}", data.display()))?;
    }
    let mut command = Command::new(&plan.binary);
    command
        .arg("serve")
        .arg("--config")
        .arg(&plan.config)
        .arg("--data")
        .arg(&data)
        .args(["--http", &address]);
    for (name, file) in &plan.watchlists {
        let file = toml_text(file)?;
        command
            .env(format!("INTERDICT_WATCHLISTS__{}", name.to_uppercase()), format!("{{ files = [{file}] }}"));
    }
    more(&mut command);
    let server = start(command, &address, &plan.work.join(format!("interdict-{round}.log")))?;
    live_six_weeks(&server.target, plan.seed).context("streaming the world before the load")?;
    Ok(server)
}

fn toml_text(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().ok_or_else(|| anyhow!("{}: no UTF-8", path.display()))?;
    // JSON's strings are TOML's basic strings.
    Ok(serde_json::to_string(text)?)
}

/// Streams the first stretch of the world's days, with its labels and list entries.
fn live_six_weeks(target: &Target, seed: u64) -> anyhow::Result<()> {
    let world = World::new(&WorldConfig { seed, ..WorldConfig::default() })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { Streamer::new(target.clone(), false).await?.run(&world, Speed::Max).await })
}

fn read_stages(server: &Server) -> anyhow::Result<Stages> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(stages::read(&server.target))
}

pub(super) fn start_empty(plan: &Plan, round: usize, answer_bytes: usize) -> anyhow::Result<Server> {
    let address = free_address()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["empty", "--http", &address, "--answer-bytes", &answer_bytes.to_string()]);
    start(command, &address, &plan.work.join(format!("empty-{round}.log")))
}

/// Median size of an answer, from a hundred bodies asked one after the other; also checks that they are answered.
pub(super) fn answer_bytes(target: &Target, bodies: Vec<Bytes>) -> anyhow::Result<usize> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut sizes = runtime.block_on(async {
        let mut connection = target.connect().await?;
        let mut sizes = Vec::new();
        for body in bodies {
            let answer = connection.send(Method::POST, "/v1/decisions", body).await?;
            if answer.status != 200 {
                bail!("a world's request was answered with status {}", answer.status);
            }
            sizes.push(answer.body.len());
        }
        anyhow::Ok(sizes)
    })?;
    sizes.sort_unstable();
    sizes.get(sizes.len() / 2).copied().ok_or_else(|| anyhow!("no bodies"))
}

fn measure(plan: &Plan, server: &Server, name: &str, round: usize) -> anyhow::Result<Run> {
    let mut bodies = Bodies::of_next_days(plan.seed, Some(format!("{name}{round}")))?;
    let before = (name == INTERDICT).then(|| read_stages(server)).transpose()?;
    let config = LoadConfig {
        target: server.target.clone(),
        rate: plan.rate,
        seconds: plan.seconds,
        warmup_s: plan.seconds / 5.0,
        connections: plan.connections,
        arrival: Arrival::Poisson,
        seed: plan.seed + round as u64,
        pid: Some(server.child.id()),
    };
    let load = load::run(&config, bodies.take(load::requests(&config)))?;
    let refused =
        load.statuses.iter().filter(|(status, _)| **status != 200).map(|(_, count)| count).sum::<u64>();
    if refused + load.errors + load.unfinished > 0 {
        bail!("{name}, round {round}: not every request was answered with 200: {:?}", load.statuses);
    }
    let stages = match before {
        None => Stages::new(),
        Some(before) => {
            let stages = stages::between(&before, &read_stages(server)?);
            stages::ensure_all_ran(&stages)?;
            stages
        }
    };
    let steps = LoadConfig { seconds: plan.step_seconds, warmup_s: plan.step_seconds / 4.0, ..config };
    let saturation = saturation::find(&steps, &mut bodies, Limits::default())?;
    Ok(Run { round, server: name.into(), load, saturation, stages, setting: plan.setting() })
}

/// Runs the plan; the raw runs are also written to `WORK/load-runs.json`, and replaced by the next plan's.
///
/// # Errors
/// When a server cannot be started, or does not answer everything at the plan's rate.
pub fn run(plan: &Plan) -> anyhow::Result<Vec<Run>> {
    std::fs::create_dir_all(&plan.work).with_context(|| format!("cannot make {}", plan.work.display()))?;
    let size = {
        let server = start_interdict(plan, plan.rounds, |_| {})?;
        answer_bytes(&server.target, Bodies::of_next_days(plan.seed, Some("size".into()))?.take(100))?
    };
    let mut runs = Vec::new();
    for round in 0..plan.rounds {
        let mut order = [INTERDICT, EMPTY];
        order.rotate_left(round % 2);
        for name in order {
            eprintln!("interdict-bench: round {} of {}, {name}", round + 1, plan.rounds);
            let server = match name {
                EMPTY => start_empty(plan, round, size)?,
                _ => start_interdict(plan, round, |_| {})?,
            };
            runs.push(measure(plan, &server, name, round)?);
        }
    }
    let path = plan.work.join("load-runs.json");
    std::fs::write(&path, serde_json::to_string_pretty(&runs)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(runs)
}

/// Reads the raw runs of the last plan; none where there are none.
///
/// # Errors
/// When the file is not of this form.
pub fn read_runs(work: &Path) -> anyhow::Result<Vec<Run>> {
    let path = work.join("load-runs.json");
    if !path.exists() {
        return Ok(Vec::new());
    }
    serde_json::from_str(&std::fs::read_to_string(&path)?).with_context(|| format!("{}", path.display()))
}

/// The entries of some runs.
pub fn results(runs: &[Run], stamp: &Stamp) -> Results {
    if runs.is_empty() {
        return Results::new();
    }
    let values = |server: &str, figure: &dyn Fn(&Run) -> f64| -> Vec<f64> {
        runs.iter().filter(|run| run.server == server).map(figure).collect()
    };
    let entry = |unit: &str, better: Better, note: &str, figure: &dyn Fn(&Run) -> f64| -> Entry {
        let alternative = Some(("empty handler".to_owned(), values(EMPTY, figure)));
        Runs { values: values(INTERDICT, figure), alternative }.entry(unit, better, stamp, note)
    };
    let at_rate = format!("open loop, Poisson, {:.0}/s, from the intended start", runs[0].load.rate);
    let limit = runs[0].saturation.p99_limit_us / 1000.0;
    let highest = format!("highest rate with p99 ≤ {limit:.0} ms and 98 % answered in time");
    let cpu_note = format!("all threads of the server process; {}", runs[0].setting);
    let cpu = |run: &Run| run.load.server_cpu_us_per_request.unwrap_or_default();
    let ours = runs.iter().filter(|run| !run.stages.is_empty());
    let by_stage: Vec<(&Stages, f64)> = ours.map(|run| (&run.stages, cpu(run))).collect();
    let mut results = Results::from([
        ("serve/latency_p50".into(), entry("µs", Better::Lower, &at_rate, &|run| run.load.latency_us.p50)),
        ("serve/latency_p99".into(), entry("µs", Better::Lower, &at_rate, &|run| run.load.latency_us.p99)),
        ("serve/latency_p999".into(), entry("µs", Better::Lower, &at_rate, &|run| run.load.latency_us.p999)),
        (
            "serve/generator_lag_p99".into(),
            entry("µs", Better::Lower, "how late the generator woke; part of the latencies", &|run| {
                run.load.generator_lag_us.p99
            }),
        ),
        ("serve/cpu_per_request".into(), entry("CPU-µs", Better::Lower, &cpu_note, &cpu)),
        (
            "serve/throughput".into(),
            entry("requests/s", Better::Higher, &highest, &|run| run.saturation.rate),
        ),
    ]);
    if !by_stage.is_empty() {
        results.extend(stages::results(&by_stage, stamp));
    }
    results
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::load::Percentiles;
    use std::collections::BTreeMap;

    fn run(round: usize, server: &str, p99: f64, cpu_us: f64, rate: f64) -> Run {
        let load = LoadReport {
            rate: 2000.0,
            seconds: 8.0,
            connections: 32,
            requests: 16_000,
            answered_per_s: 2000.0,
            statuses: BTreeMap::from([(200, 20_000)]),
            errors: 0,
            unfinished: 0,
            answer_bytes: 1,
            latency_us: Percentiles { p99, ..Percentiles::default() },
            service_us: Percentiles::default(),
            generator_lag_us: Percentiles::default(),
            backlog_max: 3,
            server_cpu_us_per_request: Some(cpu_us),
        };
        let saturation =
            saturation::Saturation { rate, p99_limit_us: 10_000.0, broke: true, steps: Vec::new() };
        let took = stages::Took { seconds: 4e-5, timed: 10.0, evaluated: 640.0, hits: 64.0 };
        let stages = [("rules".to_owned(), took)].into_iter().filter(|_| server == INTERDICT).collect();
        Run { round, server: server.into(), load, saturation, stages, setting: "s".into() }
    }

    #[test]
    fn raw_runs_become_medians_beside_the_empty_handlers() {
        let runs = [
            run(0, "interdict", 300.0, 12.0, 20_000.0),
            run(0, "empty", 100.0, 5.0, 50_000.0),
            run(1, "empty", 120.0, 6.0, 40_000.0),
            run(1, "interdict", 340.0, 14.0, 22_000.0),
        ];
        let stamp = Stamp { commit: "c".into(), machine: "m".into() };
        let results = results(&runs, &stamp);
        let cpu = &results["serve/cpu_per_request"];
        assert_eq!((cpu.value, cpu.alternative.as_ref().map(|a| a.value), cpu.runs), (13.0, Some(5.5), 2));
        assert_eq!(results["serve/latency_p99"].value, 320.0);
        assert_eq!(results["serve/throughput"].better, Better::Higher);
        let of_stages = ["stages/08 rules", "stages/12 the rest"].map(|name| results[name].value.round());
        assert_eq!(of_stages, [4.0, 9.0]);
        assert!(super::results(&[], &stamp).is_empty());
    }

    #[test]
    fn a_binary_that_is_not_there_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let plan = Plan {
            binary: "/nonexistent/interdict".into(),
            config: "deploy/default.toml".into(),
            watchlists: Vec::new(),
            work: dir.path().join("work"),
            rounds: 1,
            rate: 100.0,
            seconds: 1.0,
            step_seconds: 1.0,
            connections: 1,
            seed: 1,
        };
        let error = format!("{:#}", super::run(&plan).unwrap_err());
        assert!(error.contains("/nonexistent/interdict"), "{error}");
        assert!(read_runs(&plan.work).unwrap().is_empty());
    }
}
