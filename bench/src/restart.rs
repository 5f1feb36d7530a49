//! How long a start takes with an image of the state and without: fills a real data folder through a node with
//! simulated payments, stops it, starts it both ways, and compares the states byte for byte.

use crate::payments::Payments;
use crate::results::machine::Stamp;
use crate::results::{Better, Results, Runs};
use anyhow::{Context, Result, bail, ensure};
use interdict::config::{self, Loaded};
use interdict::node::snapshot::Began;
use interdict::node::{Node, Options};
use interdict_engine::image::{Sink, Writer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// When the stream begins, ms since the Unix epoch: 2 March 2026.
const START_MS: i64 = 1_772_409_600_000;
/// The file with what was measured, in the work folder.
const FILE: &str = "restart.json";

/// What to measure.
#[derive(Debug, Clone)]
pub struct RestartConfig {
    /// The node's configuration.
    pub config: PathBuf,
    /// Where data folder and result go.
    pub work: PathBuf,
    /// Payments.
    pub events: u64,
    /// Starts each way.
    pub runs: usize,
    /// Leave the data folder there.
    pub keep: bool,
}

/// What was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RestartReport {
    /// Payments.
    pub events: u64,
    /// Seconds of filling the folder.
    pub fill_s: f64,
    /// Length of the image, and of the journal.
    pub image_bytes: u64,
    /// Bytes of the journal.
    pub journal_bytes: u64,
    /// Seconds until the state was there, with the image.
    pub image_s: Vec<f64>,
    /// Seconds until the state was there, from the journal.
    pub journal_s: Vec<f64>,
    /// Seconds until the node was open, with the image: generations built and checked as well.
    pub open_s: Vec<f64>,
    /// Seconds of a clean end, the image's writing included.
    pub close_s: Vec<f64>,
    /// Whether all states were equal, byte for byte.
    pub equal: bool,
}

/// Measures, and writes the figures into the work folder.
///
/// # Errors
/// When a node cannot be started, a start took the wrong way, or the states differ.
pub fn run(config: &RestartConfig) -> Result<RestartReport> {
    let data = config.work.join("restart-data");
    if data.exists() {
        std::fs::remove_dir_all(&data).with_context(|| data.display().to_string())?;
    }
    std::fs::create_dir_all(&config.work)?;
    let began = Instant::now();
    let node = open(&data, config, true, Began::None)?;
    let payments = Payments { prefix: "r", start_ms: START_MS, step_ms: 40, settles_ms: None };
    payments.fill(&node, config.events)?;
    let fill_s = began.elapsed().as_secs_f64();
    let (live, mut close_s) = (digest(&node), Vec::new());
    close_s.push(close(node)?);
    let mut report = RestartReport {
        events: config.events,
        fill_s,
        image_bytes: bytes_of(&data.join("snapshots"))?,
        journal_bytes: bytes_of(&data.join("journal"))?,
        image_s: Vec::new(),
        journal_s: Vec::new(),
        open_s: Vec::new(),
        close_s: Vec::new(),
        equal: true,
    };
    let equal = |node: &Node, how: &str| {
        ensure!(digest(node) == live, "{how}: the state is not the one that was stopped");
        Ok(())
    };
    for _ in 0..config.runs {
        let (began, node) = (Instant::now(), open(&data, config, true, Began::Image)?);
        report.open_s.push(began.elapsed().as_secs_f64());
        report.image_s.push(node.snapshots.figures().start.as_secs_f64());
        equal(&node, "a start from the image")?;
        close(node)?;
        let node = open(&data, config, false, Began::Off)?;
        report.journal_s.push(node.snapshots.figures().start.as_secs_f64());
        equal(&node, "a start from the journal")?;
        close(node)?;
    }
    report.close_s = close_s;
    let text = serde_json::to_string_pretty(&report)?;
    std::fs::write(config.work.join(FILE), text + "\n")?;
    if !config.keep {
        std::fs::remove_dir_all(&data)?;
    }
    Ok(report)
}

fn open(data: &Path, config: &RestartConfig, with_images: bool, way: Began) -> Result<Arc<Node>> {
    let mut loaded: Loaded = config::load(&config.config)?;
    loaded.config.snapshot.enabled = with_images;
    // Only what the end writes is measured; nothing follows beside it.
    (loaded.config.snapshot.every_events, loaded.config.snapshot.every_s) = (u64::MAX, u64::MAX >> 16);
    let options = Options { lanes: Some(0), snapshots: with_images, ..Options::default() };
    let node = Node::open(data, loaded, &options, START_MS)?;
    let began = node.snapshots.figures().began;
    if began != way {
        bail!("the start came by {:?}, not {way:?}", began);
    }
    Ok(node)
}

/// Ends a node as SIGTERM does; how long that took, in seconds.
fn close(node: Arc<Node>) -> Result<f64> {
    let began = Instant::now();
    node.close()?;
    Ok(began.elapsed().as_secs_f64())
}

/// A hash of all that the state is.
fn digest(node: &Node) -> [u8; 32] {
    struct Hashed(Sha256);
    impl Sink for Hashed {
        fn put(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
    }
    node.with_core(|core| {
        let mut hashed = Hashed(Sha256::new());
        let mut to = Writer::new(&mut hashed);
        core.sequencer.save(&mut to);
        let identity = core.sequencer.identity();
        for drawer in identity.drawers() {
            to.u64(drawer.0);
            // A store that cannot be read gives another hash, and that is told.
            drop(identity.each_cold(drawer, &mut |entry| entry.save(&mut to)));
        }
        to.end();
        hashed.0.finalize().into()
    })
}

fn bytes_of(dir: &Path) -> Result<u64> {
    let entries = std::fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    entries.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

/// The figures of the last run; none where there was none.
///
/// # Errors
/// When the file is not of this form.
pub fn results(work: &Path, stamp: &Stamp) -> Result<Results> {
    let path = work.join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Results::new()),
        other => other.with_context(|| path.display().to_string())?,
    };
    let report: RestartReport = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let note = format!(
        "{} payments: image {} MiB, journal {} MiB; until the state is there, equal byte for byte both ways",
        report.events,
        report.image_bytes >> 20,
        report.journal_bytes >> 20
    );
    let start = Runs {
        values: report.image_s.clone(),
        alternative: Some(("the whole journal".into(), report.journal_s.clone())),
    };
    let open = Runs { values: report.open_s.clone(), alternative: None };
    let close = Runs { values: report.close_s.clone(), alternative: None };
    let with = "with generations built and checked";
    Ok(Results::from([
        ("restart/state".to_owned(), start.entry("s", Better::Lower, stamp, &note)),
        ("restart/node".to_owned(), open.entry("s", Better::Lower, stamp, with)),
        ("restart/end".to_owned(), close.entry("s", Better::Lower, stamp, "a clean end, with the image")),
    ]))
}
