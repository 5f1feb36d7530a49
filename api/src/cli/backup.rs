//! `interdict backup`: a consistent copy of a data folder, beside a running node or not, and only what is new of it.

use crate::backup::{Made, backup};
use crate::node::failpoint;
use anyhow::Result;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `backup`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The data folder; a node may be at work in it.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The backup's folder: an empty one, or that of an earlier backup, which is brought up to date.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The configuration, where it says that keys lie elsewhere.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Put the keys in, too. Without them the backup is of no use to whoever steals it.
    #[arg(long)]
    with_keys: bool,
    /// Leave the image of the state out: smaller, and a start from it reads the whole journal.
    #[arg(long)]
    without_snapshot: bool,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Runs `backup`.
///
/// # Errors
/// As [`backup`].
pub fn run(args: Args) -> Result<ExitCode> {
    failpoint::arm_from_environment()?;
    let made = backup(&args.data, args.config.as_deref(), &args.out, args.with_keys, !args.without_snapshot)?;
    let Made { manifest, copied, copied_bytes, removed } = &made;
    if args.json {
        let told = json!({
            "last_sequence": manifest.last_sequence, "head": manifest.head, "with_keys": manifest.with_keys,
            "files": manifest.files.len(), "bytes": manifest.bytes(),
            "copied": copied, "copied_bytes": copied_bytes, "removed": removed,
        });
        println!("{told}");
    } else {
        println!("up to sequence {}, head {}", manifest.last_sequence, manifest.head);
        println!("{} files, {} bytes", manifest.files.len(), manifest.bytes());
        println!("copied now: {copied} files, {copied_bytes} bytes; removed: {removed}");
        if !manifest.with_keys {
            println!("without the keys: keep a copy of them elsewhere, nothing can be restored without");
        }
    }
    Ok(ExitCode::SUCCESS)
}
