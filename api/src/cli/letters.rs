//! `interdict dead-letters`: what clients sent that could not be taken, masked when it was kept. Only whoever has the
//! folder's key can read them.

use super::keys::DataFolder;
use anyhow::{Result, anyhow};
use serde_json::json;
use std::io::Write;
use std::process::ExitCode;

/// Arguments of `dead-letters`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: DataFolder,
    /// Print one JSON object a letter instead of text.
    #[arg(long)]
    json: bool,
}

/// Runs `dead-letters`.
///
/// # Errors
/// A missing or wrong key, and a letter that does not open under it.
pub fn run(args: Args) -> Result<ExitCode> {
    let loaded = args.place.load()?;
    let keys = args.place.keys(loaded.as_ref(), false)?;
    // `serve` and `replay` keep them there.
    let folder = args.place.data.join("dead-letters");
    let letters = interdict_ledger::dead_letter::read(&folder, &keys.sealing).map_err(|e| anyhow!("{e}"))?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for (number, letter) in (1..).zip(&letters) {
        let (about, record) = letter.split_once('\n').unwrap_or((letter, ""));
        if args.json {
            writeln!(out, "{}", json!({"number": number, "about": about, "record": record}))?;
        } else {
            writeln!(out, "{number}  {}\n   {}", printable(about), printable(record))?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// A letter is somebody else's bytes: what a terminal would act on is escaped.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}
