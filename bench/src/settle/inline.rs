//! What a hunt costs the payments beside it: the real `interdict serve` over a filled window, an open loop of payments at
//! three tenths of saturation, turn about without and with a hunt for a changed pack going on, in one run, so that the
//! machine's own drift falls on both. Publishing is not in it: a round begins when the hunt has.

use super::{SettleConfig, set_pack};
use crate::client::Target;
use crate::load::saturation::{self, Limits};
use crate::load::{self, Arrival, LoadConfig, LoadReport};
use crate::payments::Payments;
use crate::results::machine::Stamp;
use crate::results::{Better, Entry, Runs, median};
use crate::sys;
use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::Bytes;
use hyper::Method;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Part of saturation at which payments come.
const PART: f64 = 0.3;
/// First rate of the search for saturation, a second, and the length of one of its steps, in seconds.
const FIRST_RATE: f64 = 3000.0;
const STEP_S: f64 = 0.6;
/// Length of a round at most, in seconds: a hunt that goes on for longer is not waited for.
const ROUND_S: f64 = 5.0;
/// Of a hunt's length, which the first one tells, so much is measured: it is to go on for the whole of a round.
const OF_A_HUNT: f64 = 0.7;
const CONNECTIONS: usize = 32;
const WAIT_MAX: Duration = Duration::from_secs(300);

/// What came of it. Latencies are completion − intended start, at the client, in µs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shift {
    /// Payments a second.
    pub rate: f64,
    /// Of so many a second that the server keeps up with.
    pub saturation: f64,
    /// Payments in the window when it began.
    pub window: u64,
    /// Length of a round, in seconds.
    pub round_s: f64,
    /// How long the first hunt took beside the payments, in seconds.
    pub hunt_s: f64,
    /// Of rounds without a hunt.
    pub quiet_p50_us: Vec<f64>,
    /// As there.
    pub quiet_p99_us: Vec<f64>,
    /// Of rounds with one.
    pub hunting_p50_us: Vec<f64>,
    /// As there.
    pub hunting_p99_us: Vec<f64>,
    /// Whether server and generator had a core each.
    pub pinned: bool,
}

impl Shift {
    /// p99 with a hunt over p99 without: of the medians.
    pub fn p99_ratio(&self) -> f64 {
        median(&self.hunting_p99_us) / median(&self.quiet_p99_us)
    }
    /// The figures for `results.json`.
    pub(super) fn entries(&self, stamp: &Stamp) -> Vec<(String, Entry)> {
        let cores = if self.pinned { "server and generator on a core each" } else { "on shared cores" };
        let note = format!(
            "open loop at the client, Poisson, {:.0}/s ({:.0} % of saturation); {cores}; a changed pack hunted over {} payments \
             for the whole of a round of {:.1} s; a hunt takes {:.1} s beside them",
            self.rate,
            100.0 * PART,
            self.window,
            self.round_s,
            self.hunt_s,
        );
        let figure = |with: &[f64], without: &[f64], note: &str| {
            let alternative = Some(("without a hunt".to_owned(), without.to_vec()));
            Runs { values: with.to_vec(), alternative }.entry("µs", Better::Lower, stamp, note)
        };
        vec![
            ("settle/inline p50".into(), figure(&self.hunting_p50_us, &self.quiet_p50_us, "")),
            ("settle/inline p99".into(), figure(&self.hunting_p99_us, &self.quiet_p99_us, &note)),
        ]
    }
}

/// A started server.
struct Server {
    child: Child,
    target: Target,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = sys::stop(&mut self.child, Duration::from_secs(30)) {
            eprintln!("interdict-bench: cannot stop process {}: {error:#}", self.child.id());
        }
    }
}

/// Measures on a folder whose window is filled. `numbers`: the first payment that it has not seen.
///
/// # Errors
/// When the server cannot be started or does not answer, or a hunt does not last.
pub fn measure(
    config: &SettleConfig,
    home: &Path,
    deployed: &Path,
    payments: &Payments,
    numbers: u64,
) -> Result<Shift> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let pin = |core: usize| cores.get(core).is_some_and(|core| core_affinity::set_for_current(*core));
    // The server inherits it. What it has beside the path shares the core with it: the worst there is.
    let pinned = cores.len() >= 2 && pin(0);
    let server = start(config, home, deployed)?;
    let pinned = pinned && pin(1);
    let shift = Measuring { home, payments, target: server.target.clone(), next: numbers }.run(config.rounds);
    drop(server);
    Ok(Shift { window: numbers, pinned, ..shift? })
}

fn start(config: &SettleConfig, home: &Path, deployed: &Path) -> Result<Server> {
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let log = config.work.join("settle-serve.log");
    let out = std::fs::File::create(&log).with_context(|| log.display().to_string())?;
    let mut command = Command::new(&config.binary);
    command.arg("serve").arg("--config").arg(deployed).arg("--data").arg(home.join("node"));
    command.args(["--http", &address]).stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
    let child = command.spawn().with_context(|| config.binary.display().to_string())?;
    let server = Server { child, target: Target::parse(&format!("http://{address}"))? };
    let ready = server.target.wait_ready(Duration::from_secs(120));
    block_on(ready).with_context(|| format!("its output is in {}", log.display()))?;
    Ok(server)
}

fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

struct Measuring<'a> {
    home: &'a Path,
    payments: &'a Payments,
    target: Target,
    /// The next payment's number.
    next: u64,
}

impl Measuring<'_> {
    fn run(mut self, rounds: usize) -> Result<Shift> {
        // What the start had to hunt is hunted first.
        self.until_hunted()?;
        let saturation = self.saturation()?;
        ensure!(saturation > 0.0, "the server does not keep up with {FIRST_RATE} payments a second");
        let rate = saturation * PART;
        // How long a hunt takes beside payments: as many rounds as it goes on for.
        self.publish("approve")?;
        let began = Instant::now();
        while self.unhunted()? > 0 {
            ensure!(began.elapsed() < WAIT_MAX, "the hunt never came to its end");
            self.load(rate, 0.5)?;
        }
        let hunt_s = began.elapsed().as_secs_f64();
        let round_s = (hunt_s * OF_A_HUNT).min(ROUND_S);
        ensure!(round_s > 0.3, "a hunt takes {hunt_s:.2} s, too short to measure beside: take more payments");
        let mut shift = Shift {
            rate,
            saturation,
            window: 0,
            round_s,
            hunt_s,
            quiet_p50_us: Vec::new(),
            quiet_p99_us: Vec::new(),
            hunting_p50_us: Vec::new(),
            hunting_p99_us: Vec::new(),
            pinned: false,
        };
        for round in 0..rounds {
            let quiet = self.load(rate, round_s)?;
            shift.quiet_p50_us.push(quiet.latency_us.p50);
            shift.quiet_p99_us.push(quiet.latency_us.p99);
            self.publish(if round % 2 == 0 { "hold" } else { "approve" })?;
            let hunting = self.load(rate, round_s)?;
            ensure!(self.unhunted()? > 0, "round {round}: the hunt had ended before the round did");
            shift.hunting_p50_us.push(hunting.latency_us.p50);
            shift.hunting_p99_us.push(hunting.latency_us.p99);
            self.until_hunted()?;
        }
        Ok(shift)
    }
    fn config(&self, rate: f64, seconds: f64) -> LoadConfig {
        LoadConfig {
            target: self.target.clone(),
            rate,
            seconds,
            warmup_s: seconds / 5.0,
            connections: CONNECTIONS,
            arrival: Arrival::Poisson,
            seed: self.next,
            pid: None,
        }
    }
    fn bodies(&mut self, count: usize) -> Vec<Bytes> {
        let first = self.next;
        self.next += count as u64;
        (first..self.next).map(|number| Bytes::from(self.payments.json(number))).collect()
    }
    /// Payments at a rate, all of which are answered.
    fn load(&mut self, rate: f64, seconds: f64) -> Result<LoadReport> {
        let config = self.config(rate, seconds);
        let bodies = self.bodies(load::requests(&config));
        let report = load::run(&config, bodies)?;
        let refused = report.statuses.iter().any(|(status, _)| *status != 200);
        if refused || report.errors + report.unfinished > 0 {
            bail!("not every payment was answered with 200: {:?}", report.statuses);
        }
        Ok(report)
    }
    fn saturation(&mut self) -> Result<f64> {
        let config = self.config(FIRST_RATE, STEP_S);
        let found = saturation::find_with(&config, &mut |count| self.bodies(count), Limits::default())?;
        Ok(found.rate)
    }
    /// Publishes the pack with another outcome; there is something to hunt then.
    fn publish(&self, outcome: &str) -> Result<()> {
        set_pack(self.home, outcome)?;
        let answer = self.ask(Method::POST, "/v1/generations")?;
        ensure!(self.unhunted()? > 0, "nothing is to be hunted after {answer}");
        Ok(())
    }
    fn until_hunted(&self) -> Result<()> {
        let began = Instant::now();
        while self.unhunted()? > 0 {
            ensure!(began.elapsed() < WAIT_MAX, "the hunt never came to its end");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
    /// What was learned and is not hunted through, in events.
    fn unhunted(&self) -> Result<u64> {
        let text = self.ask(Method::GET, "/metrics")?;
        let line = text.lines().find_map(|line| line.strip_prefix("interdict_unhunted_events "));
        line.and_then(|count| count.parse().ok()).ok_or_else(|| anyhow!("/metrics has no unhunted events"))
    }
    fn ask(&self, method: Method, path: &str) -> Result<String> {
        block_on(async {
            let answer = self.target.connect().await?.send(method, path, Bytes::new()).await?;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            ensure!(answer.status == 200, "{path}: {} {text}", answer.status);
            Ok(text)
        })
    }
}
