//! `interdict replay`: files through the path, verdicts to a data folder, a summary as the last line.

use crate::config;
use crate::node::{Node, Options};
use crate::replay::{self, Plan};
use anyhow::{Result, bail};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Feeds: Parquet, Arrow IPC or CSV with the config's column mapping, or JSONL.
    #[arg(required_unless_present = "follow")]
    feed: Vec<PathBuf>,
    /// Configuration file.
    #[arg(long)]
    config: PathBuf,
    /// Data folder to write; must not hold a journal yet.
    #[arg(long)]
    out: PathBuf,
    /// A JSONL file to read after the feeds, and on as it grows, until SIGINT or SIGTERM.
    #[arg(long, value_name = "FILE")]
    follow: Option<PathBuf>,
    /// Files that feed the state first, without verdicts.
    #[arg(long, num_args = 1..)]
    warmup: Vec<PathBuf>,
    /// Also write a Parquet file of every number that a rule or model could read, as it was stamped, with the labels.
    #[arg(long)]
    features: Option<PathBuf>,
    /// Threads that evaluate; wins over the profile's.
    #[arg(long)]
    lanes: Option<usize>,
    /// Event seconds per second, or `max`.
    #[arg(long, default_value = "max", value_parser = speed)]
    speed: Speed,
    /// Ask every verdict again without each stage, for the count of decisive stages (not 1 in 64).
    #[arg(long, value_parser = ["sample", "full"], default_value = "sample")]
    stats: String,
    /// Only the summary, as one JSON object on one line.
    #[arg(long)]
    json: bool,
}

/// How fast event time runs.
#[derive(Debug, Clone, Copy)]
struct Speed(Option<f64>);

fn speed(text: &str) -> Result<Speed, String> {
    match text.parse::<f64>() {
        _ if text == "max" => Ok(Speed(None)),
        Ok(factor) if factor > 0.0 && factor.is_finite() => Ok(Speed(Some(factor))),
        _ => Err(format!("speed {text:?}: expected a number above 0, or max")),
    }
}

/// Replays.
///
/// # Errors
/// A wrong configuration, a feed that cannot be read, a folder that is in use.
pub fn run(args: Args) -> Result<ExitCode> {
    super::serve::init_log();
    let mut loaded = config::load(&args.config)?;
    if let Some(columns) = &loaded.config.feed.columns {
        // A label names its payment by id, so ids must be remembered for as long as labels take.
        let delay = columns.get("label_delay").and_then(toml::Value::as_str);
        let delay_h = delay.and_then(interdict_ingest::normalise::time::duration_ms).unwrap_or(0) / 3_600_000;
        loaded.config.identity.horizon_h = loaded.config.identity.horizon_h.max(delay_h + 24);
    }
    let journal = args.out.join("journal");
    if journal.is_dir()
        && std::fs::read_dir(&journal)?.any(|entry| entry.is_ok_and(|e| e.file_name() != "lock"))
    {
        bail!("{} holds a journal already; give --out a new folder", args.out.display());
    }
    let options = Options { full_stats: args.stats == "full", lanes: args.lanes, ..Options::default() };
    let node = Node::open(&args.out, loaded, &options, 0)?;
    let plan = Plan {
        feeds: args.feed,
        follow: args.follow,
        stop: Arc::default(),
        warmup: args.warmup,
        speed: args.speed.0,
        features: args.features,
        progress: std::io::stderr().is_terminal(),
    };
    if plan.follow.is_some() {
        stop_when_asked(plan.stop.clone())?;
    }
    let summary = replay::run(&node, &plan);
    node.close()?;
    let summary = summary?;
    if !args.json {
        print_table(&summary);
    }
    println!("{}", serde_json::to_string(&summary)?);
    Ok(ExitCode::SUCCESS)
}

/// Sets `stop` when the process is asked to end; the run then ends as at the end of its feeds, with its summary.
fn stop_when_asked(stop: Arc<AtomicBool>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(crate::http::server::signalled());
        stop.store(true, Ordering::Relaxed);
    })?;
    Ok(())
}

fn print_table(summary: &replay::Summary) {
    println!("{:<12}{:>12}{:>12}{:>12}{:>12}", "stage", "evaluated", "hits", "decisive", "skipped");
    for (stage, counts) in &summary.stages {
        let (evaluated, hits) = (counts.evaluated, counts.hits);
        println!("{stage:<12}{evaluated:>12}{hits:>12}{:>12}{:>12}", counts.decisive, counts.skipped);
    }
    let outcomes: Vec<String> =
        summary.outcomes.iter().filter(|(_, n)| **n > 0).map(|(name, n)| format!("{name} {n}")).collect();
    println!("{} transactions: {}", summary.transactions, outcomes.join(", "));
    println!("{} rejected, {} duplicates, {} labels", summary.rejected, summary.duplicates, summary.labels);
}
