//! `interdict restore`: a data folder from a backup, checked before a node may take it.

use crate::backup::{Verify, restore};
use crate::node::failpoint;
use anyhow::Result;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `restore`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The backup's folder.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The data folder to make: an empty one, or none.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// A folder with the keys, where the backup has none; they are copied to DATA/keys.
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// The configuration, where it says that keys lie elsewhere.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which verdicts are made again and compared: all, the newest 10,000, or none.
    #[arg(long, value_enum, default_value = "sample")]
    verify: Verify,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Runs `restore`.
///
/// # Errors
/// As [`restore`].
pub fn run(args: Args) -> Result<ExitCode> {
    failpoint::arm_from_environment()?;
    let (keys, config) = (args.keys.as_deref(), args.config.as_deref());
    let restored = restore(&args.from, &args.data, keys, config, args.verify)?;
    let (manifest, verified) = (&restored.manifest, &restored.verified);
    if args.json {
        let told = json!({
            "last_sequence": manifest.last_sequence, "head": manifest.head,
            "files": manifest.files.len(), "bytes": manifest.bytes(), "verified": verified,
        });
        println!("{told}");
    } else {
        println!("{} files, {} bytes, each as it was", manifest.files.len(), manifest.bytes());
        println!("journal whole up to sequence {}, head {}", manifest.last_sequence, manifest.head);
        println!(
            "verdicts made again: {}, equal {}, of another engine {}, not kept {}",
            verified.checked, verified.equal, verified.other_engine, verified.not_kept
        );
    }
    Ok(ExitCode::SUCCESS)
}
