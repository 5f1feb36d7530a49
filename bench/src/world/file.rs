//! Writes a world to files: the messages as a JSONL feed in the wire's own form, and beside it what a feed of
//! transactions cannot carry: labels, list entries and the truth.

use super::rfc3339;
use super::{Item, Scenario, World};
use anyhow::Context;
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes `FILE.jsonl` and beside it `FILE.labels.jsonl`, `FILE.lists.jsonl` and `FILE.truth.jsonl`; gives back how
/// many messages there are.
///
/// # Errors
/// When a file cannot be made or written.
pub fn write(world: &World, out: &Path) -> anyhow::Result<usize> {
    let beside = |what: &str| out.with_extension(format!("{what}.jsonl"));
    let open = |path: PathBuf| -> anyhow::Result<BufWriter<File>> {
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(BufWriter::new(file))
    };
    let mut messages = open(out.to_owned())?;
    let (mut labels, mut lists, mut truths) =
        (open(beside("labels"))?, open(beside("lists"))?, open(beside("truth"))?);
    for item in world.items() {
        match item {
            Item::Transaction { id, json, truth, .. } => {
                writeln!(messages, "{json}")?;
                if json["kind"] == "request" {
                    writeln!(truths, "{}", json!({"id": id, "scenario": truth.map(Scenario::name)}))?;
                }
            }
            Item::Label { id, label, time_ms } => {
                writeln!(labels, "{}", json!({"id": id, "label": label, "time": rfc3339(time_ms)}))?;
            }
            Item::ListEntries { list, entries, time_ms } => {
                writeln!(lists, "{}", json!({"list": list, "time": rfc3339(time_ms), "entries": entries}))?;
            }
        }
    }
    for mut file in [messages, labels, lists, truths] {
        file.flush()?;
    }
    Ok(world.transactions())
}
