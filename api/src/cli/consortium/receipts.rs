//! `interdict consortium receipt`: proofs of queries, each a file that anybody can check offline with the alliance's policy.

use super::{Place, print};
use crate::alliance::member::MemberFolder;
use crate::alliance::member::session::POLICY;
use crate::answer::time;
use anyhow::{Context, Result};
use interdict_consortium::log::Policy;
use interdict_consortium::query::{Receipt, receipt};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `consortium receipt`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// The receipts of a folder, checked.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Print a receipt by the index of its leaf.
    Show {
        #[command(flatten)]
        place: Place,
        /// The leaf.
        index: u64,
    },
    /// Check a receipt by a policy; needs no folder, no hub, no network.
    Verify {
        /// The receipt.
        file: PathBuf,
        /// Whose word counts (C2SP tlog-policy): alliance.policy of a member's folder.
        #[arg(long, value_name = "FILE")]
        policy: PathBuf,
        /// Print one JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
}

pub fn run(args: Args) -> Result<ExitCode> {
    match args.verb {
        Verb::List { place } => {
            let folder = MemberFolder::open(&place.folder)?;
            let policy = policy(&folder.at(POLICY))?;
            let files = folder.files("receipts")?;
            let mut all = Vec::new();
            for name in files.list("")? {
                let bytes = files.read(&name)?.unwrap_or_default();
                let checked = receipt::verify(&bytes, &policy).with_context(|| name.clone())?;
                all.push(told(&checked));
            }
            print(place.json, json!({"receipts": all}), || {
                all.iter().map(line).collect::<Vec<_>>().join("\n")
            });
        }
        Verb::Show { place, index } => {
            let folder = MemberFolder::open(&place.folder)?;
            let bytes = folder.files("receipts")?.read(&format!("{index}.tlog-proof"))?;
            let bytes = bytes.with_context(|| format!("no receipt of leaf {index}"))?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            print(place.json, json!({"receipt": text}), || text.trim_end().to_owned());
        }
        Verb::Verify { file, policy: path, json } => {
            let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
            let checked =
                receipt::verify(&bytes, &policy(&path)?).with_context(|| file.display().to_string())?;
            let told = told(&checked);
            print(json, told.clone(), || line(&told));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn policy(path: &Path) -> Result<Policy> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Policy::parse(&bytes).with_context(|| path.display().to_string())
}

fn told(receipt: &Receipt) -> Value {
    let query = &receipt.query;
    json!({
        "log": receipt.verdict.checkpoint.origin,
        "leaf": receipt.index,
        "leaves": receipt.verdict.checkpoint.size,
        "member": query.member.0,
        "epoch": query.epoch,
        "service": query.service.name(),
        "items": query.items,
        "time": time(i64::try_from(query.time_ms).unwrap_or(i64::MAX)),
        "witnesses": receipt.verdict.witnesses.iter().map(|(key, _)| key.name()).collect::<Vec<_>>(),
    })
}

fn line(told: &Value) -> String {
    let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
    format!(
        "leaf {} of {} ({} leaves): member {} asked {} for {} items at {}; witnesses {}",
        told["leaf"],
        text("log"),
        told["leaves"],
        told["member"],
        text("service"),
        told["items"],
        text("time"),
        told["witnesses"]
    )
}
