//! `interdict tune`: measures this machine with the real node and writes a hardware profile, with what was measured in
//! it. The rules by which values are picked are in `pick.rs`; everything that is no matter of measuring (durability,
//! memory) is taken from the built-in profile that fits.

mod drive;
mod handoff;
mod pick;
mod written;

use super::doctor::measure::{Delays, sync, wake_up};
use super::lists::working;
use crate::calibrate;
use crate::config::profiles::{self, Machine, choose};
use crate::config::{Loaded, load};
use anyhow::{Context, Result, bail};
use drive::Driver;
use interdict_engine::calibration::Calibration;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Arguments of `tune`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The profile to write; without it, it is printed.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace a file that is there.
    #[arg(long, requires = "out")]
    force: bool,
    /// Measure with this configuration's packs and lists, not with the small pack that travels inside the binary.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A folder on the disk that will hold the journal; the temporary folder by default.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How long payments are judged for, all settings together, in seconds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Print what was measured and picked as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Payments handed in at once, and what each takes then.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Batched {
    size: usize,
    us: f64,
}

/// What a node with so many lanes did.
#[derive(Debug, Clone, PartialEq)]
struct Judged {
    lanes: usize,
    /// Payments a second, as many as it takes at once.
    per_s: f64,
    /// From handing one in to its answer, one at a time.
    alone: Delays,
}

/// A hand-over to another thread and back, with a payment's work between.
#[derive(Debug, Clone, PartialEq)]
struct Handed {
    spins: u32,
    delays: Delays,
}

/// Everything that was measured.
#[derive(Debug, Clone, PartialEq)]
struct Measured {
    wake_up: Delays,
    sync: Delays,
    batches: Vec<Batched>,
    lanes: Vec<Judged>,
    handoffs: Vec<Handed>,
    costs: Calibration,
    /// What was judged by, for people.
    judged_by: String,
    seconds: u64,
}

/// Runs `tune`.
///
/// # Errors
/// A file that is there without `--force`, a configuration that does not load, a folder that cannot be written.
pub fn run(args: Args) -> Result<ExitCode> {
    if let Some(out) = args.out.as_ref().filter(|out| !args.force && out.exists()) {
        bail!("{}: is there; --force replaces it", out.display());
    }
    let machine = Machine::read();
    let fits = choose(&machine);
    let base = profiles::profile(fits.name, Path::new("."))?;
    let measured = measure(&args, &machine)?;
    let picked = pick::pick(&base, &measured, &machine);
    let text = written::profile(&picked, &measured, &machine, &fits)?;
    // What does not load is not written.
    profiles::parse(&text, args.out.as_deref().unwrap_or(Path::new("profile")))?;
    match &args.out {
        Some(out) => write(out, &text, args.force)?,
        None if !args.json => print!("{text}"),
        None => {}
    }
    if args.json {
        println!("{}", written::json(&picked, &measured, &fits));
    } else if let Some(out) = &args.out {
        println!("{}: lanes {}, io_threads {}", out.display(), picked.lanes, picked.io_threads);
    }
    Ok(ExitCode::SUCCESS)
}

fn write(out: &Path, text: &str, force: bool) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).create_new(!force);
    let mut file = options.open(out).with_context(|| format!("cannot write {}", out.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", out.display()))
}

fn measure(args: &Args, machine: &Machine) -> Result<Measured> {
    let folder = args.data.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = Folder::make(&folder)?;
    let bar = working("measuring wake-ups and the disk");
    let wake_up = wake_up();
    let sync = sync(&scratch.0).with_context(|| format!("measuring the disk in {}", folder.display()))?;
    let (loaded, judged_by) = judged_by(args, &scratch.0)?;
    let driver = Driver { scratch: &scratch.0, loaded };
    let candidates = pick::lanes_to_try(machine.cores);
    // A part for each lane count, and one for all sizes of a micro-batch.
    let each = Duration::from_secs(args.seconds) / (candidates.len() as u32 + 1);
    bar.set_message("judging payments by micro-batches");
    let batches = driver.batches(each)?;
    let micro_batch = pick::micro_batch(&batches);
    let mut lanes = Vec::new();
    for count in candidates {
        bar.set_message(format!("judging payments with {count} lanes"));
        lanes.push(driver.lanes(count, micro_batch, pick::io_threads(machine.cores, count), each)?);
    }
    bar.set_message("handing over between threads");
    let work = batches.first().map_or(Duration::ZERO, |one| Duration::from_nanos((one.us * 1e3) as u64));
    let handoffs =
        pick::SPINS.map(|spins| Handed { spins, delays: handoff::round_trips(spins, work) }).to_vec();
    bar.set_message("measuring what a unit of each stage's work costs");
    let costs = calibrate::measure()?;
    bar.finish_and_clear();
    Ok(Measured { wake_up, sync, batches, lanes, handoffs, costs, judged_by, seconds: args.seconds })
}

/// The configuration to judge by, and what it is called.
fn judged_by(args: &Args, scratch: &Path) -> Result<(Loaded, String)> {
    if let Some(path) = &args.config {
        return Ok((load(path)?, path.display().to_string()));
    }
    const PACK: [(&str, &str); 4] = [
        ("pack.yaml", include_str!("tune/pack/pack.yaml")),
        ("features.yaml", include_str!("tune/pack/features.yaml")),
        ("rules/rules.yaml", include_str!("tune/pack/rules/rules.yaml")),
        ("patterns/texts.yaml", include_str!("tune/pack/patterns/texts.yaml")),
    ];
    for (name, text) in PACK {
        let path = scratch.join("pack").join(name);
        std::fs::create_dir_all(path.parent().expect("a file lies in a folder"))?;
        std::fs::write(path, text)?;
    }
    let path = scratch.join("tune.toml");
    std::fs::write(&path, "[rules]\npacks = [\"pack\"]\n")?;
    Ok((load(&path)?, "the pack inside the binary".into()))
}

/// A folder of this run's own, which ends with it.
struct Folder(PathBuf);

impl Folder {
    fn make(parent: &Path) -> Result<Folder> {
        let path = parent.join(format!("interdict-tune-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_dir_all(&self.0) {
            eprintln!("interdict: {} could not be removed: {e}", self.0.display());
        }
    }
}
