//! `interdict serve`: the node behind HTTP, until SIGTERM.

use crate::alliance;
use crate::config::{self, settlement};
use crate::follow::Following;
use crate::http::auth::ApiKeys;
use crate::http::entry::Entry;
use crate::http::holds::Desk;
use crate::http::lag::Lag;
use crate::http::{App, server};
use crate::metrics::Metrics;
use crate::node::clock::{self, Clock, Driven, Machine};
use crate::node::{Node, Options, failpoint, keys};
use crate::rail;
use crate::webhooks::Webhooks;
use anyhow::{Context, Result};
use interdict_ingest::Decoder;
use interdict_ledger::dead_letter::DeadLetters;
use parking_lot::Mutex;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Most bytes of dead letters that are kept.
pub const LETTERS_BYTES_MAX: u64 = 64 << 20;

/// Tasks that run before sockets are looked at again. With tokio's 61, a request lay in its socket for as long as 61
/// others took, though its tenant's turn was next.
const EVENT_INTERVAL: u32 = 16;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration file.
    #[arg(long)]
    config: PathBuf,
    /// Data folder: journal, kept generations, keys.
    #[arg(long, required_unless_present = "check")]
    data: Option<PathBuf>,
    /// Address and port; wins over `http.listen`.
    #[arg(long)]
    http: Option<String>,
    /// A JSONL file of requests to take as well, on as it grows.
    #[arg(long, value_name = "FILE")]
    follow: Option<PathBuf>,
    /// Threads that evaluate; wins over the profile's.
    #[arg(long)]
    lanes: Option<usize>,
    /// Print the resolved configuration with each value's origin, and end.
    #[arg(long)]
    check: bool,
    /// Ask every verdict again without each stage, for the count of decisive stages (not 1 in 64).
    #[arg(long, value_parser = ["sample", "full"], default_value = "sample")]
    stats: String,
}

/// Serves.
///
/// # Errors
/// A wrong configuration, pack or list; a damaged journal; an address that cannot be bound.
pub fn run(args: Args) -> Result<ExitCode> {
    let loaded = config::load(&args.config)?;
    if args.check {
        let mut out = std::io::stdout().lock();
        for (key, value, origin) in loaded.origins()? {
            writeln!(out, "{key} = {value}  # {origin}")?;
        }
        for calendar in settlement::build(&loaded)?.calendars {
            writeln!(out, "# {}", settlement::describe(&calendar))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let data = args.data.context("--data DIR is needed")?;
    init_log();
    if failpoint::arm_from_environment()? {
        tracing::warn!("{} is set: this process will end itself", failpoint::VARIABLE);
    }
    let key_dir = keys::key_folder(&data, loaded.config.keys.dir.as_deref())?;
    let key_file = loaded.config.http.api_keys.as_ref().map(|path| loaded.resolve(path));
    let key_file = key_file.or_else(|| Some(key_dir.join("api-keys.toml")).filter(|path| path.exists()));
    let api_keys = key_file.map_or(Ok(ApiKeys::none()), |path| ApiKeys::load(&path))?;
    // Bound first: a port in use must not cost the recovery of a large journal.
    let listening = server::bind(&loaded, args.http.as_deref(), api_keys.is_some())?;
    // Only fails where a provider is installed already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    if let Some(chosen) = &loaded.chosen {
        tracing::info!(profile = chosen.name, why = chosen.why, "chose a hardware profile");
    }
    // Before the recovery too: a wrong secret is told at once.
    let webhooks = Webhooks::open(&data, &loaded)?;
    let full_stats = args.stats == "full";
    let options = Options { full_stats, lanes: args.lanes, gpu: None, hunts: true, snapshots: true };
    let threads = loaded.hardware.io_threads.max(1);
    let clock = clock_of(&listening)?;
    let node = Node::open_by(&data, loaded, &options, clock.wall_ms(), clock)?;
    let found = &node.recovered;
    for torn in &found.torn {
        tracing::warn!(
            segment = torn.segment,
            offset = torn.offset,
            bytes = torn.bytes_cut,
            "cut a torn tail"
        );
    }
    tracing::info!(
        records = found.records,
        from_image = found.from_image,
        took_ms = node.snapshots.figures().start.as_millis() as u64,
        last_sequence = found.last_sequence,
        decided_now = found.decided_now,
        restored_differently = found.restored_differently,
        generation = node.view().id().to_string(),
        "recovered"
    );
    let letters = DeadLetters::open(&data.join("dead-letters"), &node.keys.sealing, LETTERS_BYTES_MAX)
        .map_err(|e| anyhow::anyhow!("{e}"))?;
    let letters = Arc::new(Mutex::new(letters));
    node.keeping.keep_letters(letters.clone());
    // More than there are cores take turns on them, and each turn is a wait for all whose requests the other has.
    let cores = std::thread::available_parallelism().map_or(threads, usize::from);
    let threads = threads.min(cores);
    let app = Arc::new(App {
        entry: Entry::new(node.clone(), threads),
        decoder: Decoder::new(node.keys.tags.clone()),
        keys: api_keys,
        metrics: Metrics::new(),
        letters,
        lag: Lag::default(),
        holds: Desk::default(),
        node: node.clone(),
    });
    app.metrics.watch_webhooks(webhooks.figures());
    let told = (!webhooks.is_empty()).then(|| webhooks.start(node.notices.clone()));
    let rail = rail::follower::start(&node)?;
    let alliance = alliance::node::start(&node)?;
    if let Some((_, figures)) = &alliance {
        app.metrics.watch_consortium(figures.clone());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .event_interval(EVENT_INTERVAL)
        .enable_all()
        .build()?;
    let address = listening.address;
    tracing::info!(%address, "listening");
    let following = args.follow.as_deref().map(|path| Following::start(&app, path)).transpose()?;
    let served = runtime.block_on(server::serve(listening, app));
    if let Some(following) = following {
        following.end();
    }
    served?;
    // Handlers that were cut hold the node until their tasks are gone.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    tracing::info!("drained");
    if let Some(told) = told {
        told.end();
    }
    if let Some(rail) = rail {
        rail.end();
    }
    if let Some((alliance, _)) = alliance {
        alliance.end();
    }
    node.close()?;
    Ok(ExitCode::SUCCESS)
}

/// The machine's clock, or the one that somebody drives: only where nobody but this machine can ask, since what it shows
/// is no time of day, and holds end by it.
fn clock_of(listening: &server::Listening) -> Result<Arc<dyn Clock>> {
    let Some(driven) = Driven::of_environment()? else { return Ok(Arc::new(Machine)) };
    anyhow::ensure!(
        listening.address.ip().is_loopback(),
        "{} is set and {} is not loopback: a node that others ask goes by the machine's clock; refusing to start",
        clock::VARIABLE,
        listening.address
    );
    tracing::warn!(
        shows = crate::answer::time(driven.wall_ms()),
        "VIRTUAL CLOCK: {} is set; payments come, hunts look and holds end by it, and not by the time of day",
        clock::VARIABLE
    );
    Ok(driven)
}

/// The log: to stderr, level by `INTERDICT_LOG` (`info` by default). It never holds a request's values.
pub fn init_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("INTERDICT_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi);
    // Set once a process; a second call (a test) keeps the first.
    drop(log.try_init());
}
