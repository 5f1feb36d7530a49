//! The command line: a command a measurement, with what each can be told.

use clap::{Args, Parser, Subcommand};
use interdict_bench::load::Arrival;
use interdict_bench::load::bodies::Kind;
use interdict_bench::load::empty::EmptyConfig;
use interdict_bench::world::WorldConfig;
use interdict_bench::world::stream::Speed;
use std::path::PathBuf;

/// Interdict's world simulator, load generator and comparisons.
#[derive(Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Stream the simulated world through POST /v1/decisions, with labels and list entries, or write it to files
    World(WorldArgs),
    /// Open-loop load: latency from intended start times
    Load(LoadArgs),
    /// Three times saturation with a deadline: who gets what, when all is normal again, and the server's memory
    Overload(OverloadArgs),
    /// Two tenants of equal weight: one far over its share, the other far below; what the second notices
    Fair(OverloadArgs),
    /// What publications cost the payments beside them: p99 with and without, in one run
    Swap(SwapArgs),
    /// Serve the comparison handler: reads, parses, validates, answers as many bytes
    Empty(EmptyArgs),
    /// Measure `interdict serve` beside the comparison handler, then write the results
    RunAll(RunAllArgs),
    /// Measure latency and CPU time at parts of saturation, with 0, 1 and 2 lanes, journal os and disk; `report` draws
    Curves(CurvesArgs),
    /// Measure a start with an image of the state and one from the journal, after so many payments
    Restart(RestartArgs),
    /// Measure hunts of the settlement window beside a replay, and the gate beside a map
    Settle(SettleArgs),
    /// Measure a log of the consortium at its full length: size on disk, proofs, opening
    Log(LogArgs),
    /// Show a day on the settlement clock: what is learned at noon stops in the evening what was approved in the morning
    DemoRetrohunt(DemoArgs),
    /// An alliance of five banks, told in plain words: what one reports stops payments at others; proof and bill
    DemoConsortium(DemoConsortiumArgs),
    /// Overload and fair against a server of their own, pinned to one core with the generator on another
    Surges(SurgesArgs),
    /// Collect criterion's estimates and the last run-all into bench/results.json and bench/RESULTS.md
    Report(ReportArgs),
}

#[derive(Args)]
pub struct WorldArgs {
    /// Server, as http://HOST:PORT
    #[arg(long, required_unless_present = "out", conflicts_with = "out")]
    pub url: Option<String>,
    /// Write FILE.jsonl instead, with FILE.labels.jsonl, FILE.lists.jsonl and FILE.truth.jsonl beside it
    #[arg(long, value_name = "FILE.jsonl")]
    pub out: Option<PathBuf>,
    /// Messages of all kinds, a round
    #[arg(long, default_value_t = WorldConfig::default().transactions)]
    pub transactions: usize,
    /// The same seed gives the same bytes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// max, or seconds of event time in one second
    #[arg(long, default_value = "max")]
    pub speed: Speed,
    /// End after the first stretch of days instead of going on with the next
    #[arg(long)]
    pub once: bool,
    /// Print the report as JSON on one line
    #[arg(long)]
    pub json: bool,
    /// Print what each stage of the server did, too
    #[arg(long, conflicts_with = "json")]
    pub stages: bool,
    /// How long to wait for the server to be ready, in seconds
    #[arg(long, default_value_t = 30)]
    pub wait: u64,
}

#[derive(Args)]
pub struct LoadArgs {
    /// Server, as http://HOST:PORT
    #[arg(long)]
    pub url: String,
    /// Intended starts a second (with --find-saturation, the first rate tried)
    #[arg(long, default_value_t = 1000.0)]
    pub rate: f64,
    /// For how long, in seconds (with --find-saturation, each step)
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// Seconds at the start that are not measured; a fifth by default
    #[arg(long)]
    pub warmup: Option<f64>,
    /// Connections
    #[arg(long, default_value_t = 32)]
    pub connections: usize,
    /// When requests start
    #[arg(long, value_enum, default_value_t = Arrival::Poisson)]
    pub arrival: Arrival,
    /// What is sent
    #[arg(long, value_enum, default_value_t = Kind::World)]
    pub body: Kind,
    /// Seed of bodies and arrivals
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The server's process, for its CPU time per request
    #[arg(long)]
    pub pid: Option<u32>,
    /// Raise the rate until p99 or the backlog breaks
    #[arg(long)]
    pub find_saturation: bool,
    /// Print JSON on one line
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct OverloadArgs {
    /// Server, as http://HOST:PORT
    #[arg(long)]
    pub url: String,
    /// Deadline of every request, in ms
    #[arg(long, default_value_t = 20)]
    pub deadline_ms: u32,
    /// overload: the first rate tried, a second; fair: the saturation that shares are of
    #[arg(long, default_value_t = 1000.0)]
    pub rate: f64,
    /// Length of the overload, and of what follows it, in seconds
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    /// Length of a step of the search for saturation, in seconds
    #[arg(long, default_value_t = 2.0)]
    pub step_seconds: f64,
    /// How many times saturation, or the share; 3 and 10 by default
    #[arg(long)]
    pub times: Option<f64>,
    /// Most connections
    #[arg(long, default_value_t = 2000)]
    pub connections: usize,
    /// Seed of bodies and arrivals
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The server's process, for its memory
    #[arg(long)]
    pub pid: Option<u32>,
    /// Print JSON on one line
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct SwapArgs {
    /// Load of each round
    #[command(flatten)]
    pub load: LoadArgs,
    /// Rounds without publications, and as many with
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Seconds from the start of one publication to that of the next
    #[arg(long, default_value_t = 1.0)]
    pub every: f64,
}

#[derive(Args)]
pub struct EmptyArgs {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8479")]
    pub http: String,
    /// Bytes of one answer
    #[arg(long, default_value_t = EmptyConfig::default().answer_bytes)]
    pub answer_bytes: usize,
    /// Threads; as many as there are cores by default
    #[arg(long)]
    pub threads: Option<usize>,
    /// Stand still once, after so many requests, for --stall-ms
    #[arg(long, requires = "stall_ms")]
    pub stall_after: Option<u64>,
    /// For how long to stand still, in ms
    #[arg(long, requires = "stall_after")]
    pub stall_ms: Option<u64>,
}

#[derive(Args)]
pub struct ReportArgs {
    /// The results file; RESULTS.md is written beside it
    #[arg(long, default_value = "bench/results.json")]
    pub results: PathBuf,
    /// Criterion's folder
    #[arg(long, default_value = "target/criterion")]
    pub criterion: PathBuf,
    /// Folder of run-all
    #[arg(long, default_value = "target/interdict-bench")]
    pub work: PathBuf,
    /// Output of bench/compare/windows.py
    #[arg(long)]
    pub windows: Option<PathBuf>,
    /// Where the curves are drawn
    #[arg(long, default_value = "docs/curves")]
    pub curves: PathBuf,
}

/// A server that is started to be measured.
#[derive(Args)]
pub struct ServedArgs {
    /// The interdict binary
    #[arg(long)]
    pub binary: PathBuf,
    /// Its configuration
    #[arg(long, default_value = "deploy/default.toml")]
    pub config: PathBuf,
    /// Folder with ofac/sdn.csv and un/consolidated.xml, which are screened against too; INTERDICT_DATA by default
    #[arg(long, value_name = "DIR")]
    pub data_sets: Option<PathBuf>,
    /// Seed of bodies and arrivals
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

#[derive(Args)]
pub struct CurvesArgs {
    #[command(flatten)]
    pub served: ServedArgs,
    /// Where data folders and curves.json go
    #[arg(long, default_value = "target/interdict-bench")]
    pub work: PathBuf,
    /// Length of one point in seconds, of which the first fifth warms up
    #[arg(long, default_value_t = 4.0)]
    pub seconds: f64,
    /// Length of one step of the search for saturation, in seconds
    #[arg(long, default_value_t = 1.0)]
    pub step_seconds: f64,
    /// First rate of that search, a second
    #[arg(long, default_value_t = 1000.0)]
    pub rate: f64,
    /// Lanes to measure with
    #[arg(long, value_delimiter = ',', default_value = "0,1,2")]
    pub lanes: Vec<usize>,
    /// Connections
    #[arg(long, default_value_t = 32)]
    pub connections: usize,
}

#[derive(Args)]
pub struct RestartArgs {
    /// The node's configuration
    #[arg(long, default_value = "deploy/default.toml")]
    pub config: PathBuf,
    /// Where the data folder and restart.json go
    #[arg(long, default_value = "target/interdict-bench")]
    pub work: PathBuf,
    /// Payments
    #[arg(long, default_value_t = 1_000_000)]
    pub events: u64,
    /// Starts each way
    #[arg(long, default_value_t = 1)]
    pub runs: usize,
    /// Leave the data folder there
    #[arg(long)]
    pub keep: bool,
}

#[derive(Args)]
pub struct SettleArgs {
    /// The folder with `deploy` and `packs`
    #[arg(long, default_value = ".")]
    pub repository: PathBuf,
    /// The interdict binary that replays
    #[arg(long, default_value = "target/release/interdict")]
    pub binary: PathBuf,
    /// Where the data folder and settle.json go
    #[arg(long, default_value = "target/interdict-bench")]
    pub work: PathBuf,
    /// Payments
    #[arg(long, default_value_t = 1_000_000)]
    pub events: u64,
    /// Rounds of payments without a hunt beside them, and as many with; 0 leaves that out
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
}

#[derive(Args)]
pub struct LogArgs {
    /// Where the log and translog.json go
    #[arg(long, default_value = "target/interdict-bench")]
    pub work: PathBuf,
    /// Leaves
    #[arg(long, default_value_t = 10_000_000)]
    pub leaves: u64,
}

#[derive(Args)]
pub struct DemoArgs {
    /// The binary interdict
    #[arg(long, default_value = "target/release/interdict")]
    pub binary: PathBuf,
    /// The repository's folder
    #[arg(long, default_value = ".")]
    pub repository: PathBuf,
    /// Where configuration, data folder and logs go; emptied first
    #[arg(long, default_value = "target/demo-retrohunt")]
    pub work: PathBuf,
}

#[derive(Args)]
pub struct DemoConsortiumArgs {
    /// The binary interdict
    #[arg(long, default_value = "target/release/interdict")]
    pub binary: PathBuf,
    /// The repository's folder
    #[arg(long, default_value = ".")]
    pub repository: PathBuf,
    /// A Python that has the package cryptography
    #[arg(long, default_value = "target/test-venv/bin/python")]
    pub python: PathBuf,
    /// Where folders and logs go; emptied first
    #[arg(long, default_value = "target/demo-consortium")]
    pub work: PathBuf,
}

#[derive(Args)]
pub struct SurgesArgs {
    #[command(flatten)]
    pub served: ServedArgs,
    /// Where the data folder and surges.json go
    #[arg(long, default_value = "target/interdict-bench")]
    pub work: PathBuf,
    /// Deadline of every request, in ms
    #[arg(long, default_value_t = 20)]
    pub deadline_ms: u32,
    /// Length of the overload, of what follows it, and of each half of fair, in seconds
    #[arg(long, default_value_t = 4.0)]
    pub seconds: f64,
    /// Length of one step of the search for saturation, in seconds
    #[arg(long, default_value_t = 1.0)]
    pub step_seconds: f64,
    /// First rate of that search, a second
    #[arg(long, default_value_t = 2000.0)]
    pub rate: f64,
    /// Most connections of a tenant
    #[arg(long, default_value_t = 1000)]
    pub connections: usize,
}

#[derive(Args)]
pub struct RunAllArgs {
    #[command(flatten)]
    pub served: ServedArgs,
    /// Rounds
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Rate of the latency measurement, a second
    #[arg(long, default_value_t = 2000.0)]
    pub rate: f64,
    /// Its length in seconds
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// Length of one step of the search for saturation, in seconds
    #[arg(long, default_value_t = 2.0)]
    pub step_seconds: f64,
    /// Connections
    #[arg(long, default_value_t = 32)]
    pub connections: usize,
    /// Keep the raw runs in --work and write no results; `report` does later
    #[arg(long)]
    pub measure_only: bool,
    #[command(flatten)]
    pub report: ReportArgs,
}
