//! `interdict webhooks`: the endpoints and their dead letters, sending these again, and enabling an endpoint that answered
//! 410. Works beside a running node and without one.

use crate::config::{self, Loaded};
use crate::webhooks::client::Answer;
use crate::webhooks::cursor::Cursor;
use crate::webhooks::dead::{Dead, Letter};
use crate::webhooks::{Webhooks, worker::gone_path};
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `webhooks`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Each endpoint: how far it is, whether it is disabled, its dead letters.
    List {
        #[command(flatten)]
        place: Place,
        /// Print one JSON object an endpoint instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Send dead letters again, each once; what is taken is a dead letter no more.
    #[command(group = clap::ArgGroup::new("which").required(true).args(["id", "all"]))]
    Resend {
        /// The endpoint.
        name: String,
        /// The notice with this id.
        #[arg(long)]
        id: Option<String>,
        /// All of them, in their order.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Deliver again to an endpoint that answered 410, from where it stopped.
    Enable {
        /// The endpoint.
        name: String,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, clap::Args)]
struct Place {
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// Runs `webhooks`.
///
/// # Errors
/// An endpoint that is not configured; a file that does not read.
pub fn run(args: Args) -> Result<ExitCode> {
    match args.verb {
        Verb::List { place, json } => list(&config::load(&place.config)?, &place.data, json),
        Verb::Resend { name, id, all: _, place } => {
            resend(&config::load(&place.config)?, &place.data, &name, id.as_deref())
        }
        Verb::Enable { name, place } => enable(&config::load(&place.config)?, &place.data, &name),
    }
}

fn list(loaded: &Loaded, data: &Path, as_json: bool) -> Result<ExitCode> {
    let section = &loaded.config.webhooks;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for name in section.endpoints.keys() {
        let cursor = Cursor::of(data, name).read();
        let letters = Dead::of(data, name, section.dead_max).read()?;
        let disabled = gone_path(data, name).exists();
        if as_json {
            let (at, damage) = match &cursor {
                Ok(at) => (*at, None),
                Err(error) => (None, Some(format!("{error:#}"))),
            };
            let letters: Vec<&Letter> = letters.iter().map(|(_, letter)| letter).collect();
            let told = json!({
                "endpoint": name, "cursor": at, "cursor_error": damage, "disabled": disabled, "dead": letters,
            });
            writeln!(out, "{told}")?;
            continue;
        }
        let at = match cursor {
            Ok(Some(sequence)) => format!("up to sequence {sequence}"),
            Ok(None) => "not begun".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        let state = if disabled { ", disabled (it answered 410)" } else { "" };
        writeln!(out, "{name}: {at}{state}, {} dead letters", letters.len())?;
        for (_, letter) in &letters {
            let Letter { id, kind, sequence, attempts, last, .. } = letter;
            writeln!(out, "  {id}  {kind}  sequence {sequence}, {attempts} tries, the last: {last}")?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn resend(loaded: &Loaded, data: &Path, name: &str, id: Option<&str>) -> Result<ExitCode> {
    known(loaded, name)?;
    let webhooks = Webhooks::open(data, loaded)?;
    let mut letters = Dead::of(data, name, loaded.config.webhooks.dead_max).read()?;
    letters.retain(|(_, letter)| id.is_none_or(|id| letter.id == id));
    if let Some(id) = id.filter(|_| letters.is_empty()) {
        bail!("{name} has no dead letter {id:?}");
    }
    let mut left = 0;
    for (path, letter) in &letters {
        let answer = webhooks.send_once(name, &letter.notice()?)?;
        if answer == Answer::Delivered {
            fs::remove_file(path).with_context(|| path.display().to_string())?;
        } else {
            left += 1;
        }
        match answer {
            Answer::Status(status, _) => println!("{}  {status}", letter.id),
            other => println!("{}  {}", letter.id, other.name()),
        }
    }
    Ok(if left == 0 { ExitCode::SUCCESS } else { ExitCode::from(super::FAILED) })
}

fn enable(loaded: &Loaded, data: &Path, name: &str) -> Result<ExitCode> {
    known(loaded, name)?;
    let mark = gone_path(data, name);
    if mark.exists() {
        fs::remove_file(&mark).with_context(|| mark.display().to_string())?;
        println!("{name} is enabled");
    } else {
        println!("{name} is not disabled");
    }
    Ok(ExitCode::SUCCESS)
}

fn known(loaded: &Loaded, name: &str) -> Result<()> {
    let names: Vec<&str> = loaded.config.webhooks.endpoints.keys().map(String::as_str).collect();
    if names.contains(&name) {
        return Ok(());
    }
    bail!("no endpoint {name:?} is configured (known: {})", names.join(", "))
}
