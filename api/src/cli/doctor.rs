//! `interdict doctor`: measures this machine instead of trusting its data sheet, and says what p99 it leaves room for.
//! Each row is ok, warn or fail, with a sentence of advice; a fail is a finding (exit 1).

mod disk;
mod folder;
mod machine;
pub(super) mod measure;
mod sources;
mod start;

use super::FINDING;
use super::lists::working;
use crate::config::profiles::{self, AUTO, Choice, Machine, choose};
use crate::config::{Loaded, schema::Hardware};
use crate::node::keys::key_folder;
use crate::node::now_ms;
use crate::node::publish::{checked_pack, read_pack_folder};
use crate::node::signed;
use anyhow::{Context, Result};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration to check; without it the machine alone is looked at.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder to look at; without it the disk of the temporary folder is measured.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// How a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    Warn,
    Fail,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail => "fail",
        }
    }
    /// Ok when `ok` holds, else the other.
    const fn or(ok: bool, other: State) -> State {
        if ok { State::Ok } else { other }
    }
}

/// One thing that was looked at.
#[derive(Debug)]
struct Row {
    state: State,
    what: &'static str,
    found: String,
    advice: String,
}

impl Row {
    fn new(what: &'static str, state: State, found: impl Into<String>, advice: impl Into<String>) -> Row {
        Row { state, what, found: found.into(), advice: advice.into() }
    }
}

/// What a verdict takes besides waking up and the disk: decoding, state, rules and the answer, without any waiting.
const WORK: Duration = Duration::from_micros(100);

/// Runs `doctor`.
///
/// # Errors
/// When the folder to measure in is not there; everything else is a row.
pub fn run(args: Args) -> Result<ExitCode> {
    let folder = args.data.clone().unwrap_or_else(std::env::temp_dir);
    if !folder.is_dir() {
        anyhow::bail!("{}: no such folder", folder.display());
    }
    let bar = working("measuring wake-ups and the disk");
    let (rows, p99) = examine(&args, &folder)?;
    bar.finish_and_clear();
    let failed = rows.iter().any(|row| row.state == State::Fail);
    if args.json {
        let row =
            |r: &Row| json!({"what": r.what, "state": r.state.name(), "found": r.found, "advice": r.advice});
        let rows: Vec<_> = rows.iter().map(row).collect();
        println!("{}", json!({"ok": !failed, "p99_us": p99.as_micros() as u64, "rows": rows}));
    } else {
        for row in &rows {
            println!(
                "{:4}  {:12}  {}\n      {:12}  {}",
                row.state.name(),
                row.what,
                row.found,
                "",
                row.advice
            );
        }
    }
    Ok(if failed { ExitCode::from(FINDING) } else { ExitCode::SUCCESS })
}

fn examine(args: &Args, folder: &Path) -> Result<(Vec<Row>, Duration)> {
    let (loaded, checked) = match &args.config {
        None => (None, Vec::new()),
        Some(path) => match crate::config::load(path) {
            Ok(loaded) => {
                let rows = config(&loaded);
                (Some(loaded), rows)
            }
            Err(e) => {
                let advice = "Mend it; `serve` refuses it.";
                (None, vec![Row::new("config", State::Fail, format!("{e:#}"), advice)])
            }
        },
    };
    let here = Machine::read();
    let (cores, fits) = (here.cores, choose(&here));
    let hardware = match &loaded {
        Some(loaded) => loaded.hardware.clone(),
        None => profiles::profile(fits.name, Path::new("."))?,
    };
    let durability = loaded.as_ref().map_or(hardware.durability.as_str(), |l| l.durability()).to_owned();
    let wake = measure::wake_up();
    let sync =
        measure::sync(folder).with_context(|| format!("measuring the disk in {}", folder.display()))?;
    let mut rows = vec![
        machine::cores(cores, &hardware),
        profile(&fits, loaded.as_ref()),
        machine::wake_up(&wake, &hardware),
        machine::sync(&sync, &durability),
        machine::cpu(),
        machine::memory(&hardware),
        machine::clock(),
        machine::open_files(loaded.as_ref().map_or(1024, |l| l.config.http.requests_max)),
        disk::free(folder),
    ];
    if let Some(data) = &args.data {
        let named = loaded.as_ref().and_then(|l| l.config.keys.dir.as_deref().map(|dir| l.resolve(dir)));
        rows.push(match key_folder(data, named.as_deref()) {
            Ok(dir) => folder::keys(&dir),
            Err(e) => {
                Row::new("keys", State::Fail, format!("{e:#}"), "Name a folder that is there in [keys] dir.")
            }
        });
    }
    rows.extend(args.data.iter().map(|data| start::row(data, now_ms())));
    rows.extend(checked);
    let p99 = reachable(&wake, &sync, &durability, &hardware);
    rows.push(verdict(p99, &durability));
    Ok((rows, p99))
}

/// The p99 below which waiting alone keeps a verdict: a wake-up of the I/O thread, two more where a sequencer and
/// lanes have threads of their own, and the disk where an answer waits for it.
fn reachable(
    wake: &measure::Delays,
    sync: &measure::Delays,
    durability: &str,
    hardware: &Hardware,
) -> Duration {
    let wake_ups = if hardware.lanes == 0 { 1 } else { 3 };
    let disk = if durability == "disk" { sync.p99 } else { Duration::ZERO };
    WORK + wake.p99 * wake_ups + disk
}

fn verdict(p99: Duration, durability: &str) -> Row {
    let found = format!("about {} with durability {durability:?}", measure::shown(p99));
    let state = State::or(p99 < Duration::from_millis(10), State::Warn);
    let advice = "An estimate from the wake-ups and the disk above, at low load; `make bench` measures the whole path.";
    Row::new("p99", state, found, advice)
}

fn profile(fits: &Choice, loaded: Option<&Loaded>) -> Row {
    let Choice { name, why } = fits;
    let advice = match *name {
        "embedded-2core" => {
            "embedded-2core: no threads of its own for the sequencer, since waking them costs more than their work."
        }
        _ => {
            "A sequencer and lanes on cores of their own; `interdict tune` finds how many are worth it here."
        }
    };
    match loaded.map(|l| l.config.profile.0.as_str()) {
        Some(chosen) if chosen != *name && profiles::is_built_in(chosen) => {
            Row::new("profile", State::Warn, format!("{chosen} is set, {name} fits: {why}"), advice)
        }
        Some(chosen) if chosen != *name && chosen != AUTO => {
            let found = format!("{chosen} is set; of the built-in ones {name} fits: {why}");
            Row::new("profile", State::Ok, found, "A profile of your own is believed.")
        }
        _ => Row::new("profile", State::Ok, format!("{name} fits: {why}"), advice),
    }
}

/// What `serve` would refuse, besides the file itself: packs that fail, lists and watchlists that do not read.
fn config(loaded: &Loaded) -> Vec<Row> {
    let (mut wrong, mut packs) = (Vec::new(), Vec::new());
    for dir in loaded.config.rules.packs.iter().map(|dir| loaded.resolve(dir)) {
        let (place, costs) = (dir.display().to_string(), &loaded.hardware.costs);
        let signed = |files| {
            let trust = signed::trust(&loaded.config.packs)?;
            signed::verified(&trust, &signed::of_folder(&dir)?, &files, &place)?;
            Ok(files)
        };
        match read_pack_folder(&dir).and_then(signed).and_then(|files| checked_pack(files, &place, costs)) {
            Ok(pack) => packs.push(pack),
            Err(e) => wrong.push(format!("{e:#}")),
        }
    }
    let row = match wrong.is_empty() {
        true => {
            let found = format!("{}: {} packs pass", loaded.path.display(), packs.len());
            Row::new("config", State::Ok, found, "Nothing to do.")
        }
        false => {
            let advice = "Mend these; `serve` refuses to start over them.";
            Row::new("config", State::Fail, wrong.join("\n"), advice)
        }
    };
    let mut rows = vec![row];
    rows.extend(sources::rows(loaded, &packs));
    rows
}
