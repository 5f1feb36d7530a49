//! `interdict restore`: a backup into an empty folder, every byte checked against its hash, the journal against its own
//! checksums, chain and the head that was recorded, and verdicts made again. Until all of that holds the folder carries
//! a mark, and a node refuses it.

use super::files::{self, make_folder, sync_folder};
use super::{Item, Manifest, PARTS, RESTORING};
use crate::cli::verify::{Summary, verify};
use crate::history::Folder;
use crate::node::failpoint;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Verdicts that a sample makes again: the newest.
const SAMPLE: u64 = 10_000;
/// Files that are told of when something is wrong with them; the rest is counted.
const TOLD_MAX: usize = 20;

/// Which verdicts are made again after a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Verify {
    /// Every one.
    All,
    /// The newest 10,000.
    Sample,
    /// None: only hashes, checksums, the chain and its head are checked.
    None,
}

/// A restored folder.
#[derive(Debug)]
pub struct Restored {
    /// What was restored.
    pub manifest: Manifest,
    /// What `verify` found; the journal's part of it under [`Verify::None`] too.
    pub verified: Summary,
}

/// Restores the backup `from` into `data`, which is empty, or not there, or was left by a restore that did not end.
/// Keys come from the backup, else from the folder `keys`, else from where `config` says.
///
/// # Errors
/// A folder with something in it; a backup that is not whole, with each such file by name; a journal that is not the
/// one that was backed up; verdicts that come out otherwise. The folder is then none that a node takes.
pub fn restore(
    from: &Path,
    data: &Path,
    keys: Option<&Path>,
    config: Option<&Path>,
    which: Verify,
) -> Result<Restored> {
    let Some(manifest) = Manifest::read(from)? else {
        bail!("{}: no backup is there, or none that was finished", from.display());
    };
    if !manifest.with_keys && keys.is_none() && config.is_none() {
        bail!("the backup has no keys: --keys names the folder of their copy, or --config where they lie");
    }
    all_right(&manifest, |item| present(item, from))?;
    begin(data)?;
    all_right(&manifest, |item| bring(item, from, data))?;
    if let (false, Some(keys)) = (manifest.with_keys, keys) {
        copy_keys(keys, &data.join("keys"))?;
    }
    let folders: BTreeSet<_> =
        manifest.files.iter().filter_map(|item| Path::new(&item.path).parent()).collect();
    folders
        .iter()
        .flat_map(|folder| folder.ancestors())
        .try_for_each(|folder| sync_folder(&data.join(folder)))?;
    let verified = check(&manifest, data, config, which)?;
    fs::remove_file(data.join(RESTORING)).with_context(|| data.display().to_string())?;
    sync_folder(data)?;
    Ok(Restored { manifest, verified })
}

/// Asks something of every file; what is wrong comes back together.
fn all_right(manifest: &Manifest, mut one: impl FnMut(&Item) -> Result<(), String>) -> Result<()> {
    let wrong = manifest.files.iter().filter_map(|item| one(item).err().map(|why| (item, why)));
    let wrong: Vec<String> = wrong.map(|(item, why)| format!("{}: {why}", item.named())).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let more = wrong.len().saturating_sub(TOLD_MAX);
    let more = if more > 0 { format!("\nand {more} more") } else { String::new() };
    bail!("the backup is not whole:\n{}{more}", wrong[..wrong.len().min(TOLD_MAX)].join("\n"))
}

/// Before anything is written: whether a file is there, as long as it was.
fn present(item: &Item, from: &Path) -> Result<(), String> {
    match fs::metadata(item.stored(from)) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err("missing".into()),
        Err(e) => Err(e.to_string()),
        Ok(found) if found.len() != item.bytes => Err(format!("{} bytes, were {}", found.len(), item.bytes)),
        Ok(_) => Ok(()),
    }
}

/// Takes a folder for a restore: empties one that a restore has left, refuses any other that has something in it.
fn begin(data: &Path) -> Result<()> {
    make_folder(data)?;
    let mark = data.join(RESTORING);
    let failed = || format!("data folder {}", data.display());
    if mark.exists() {
        for part in PARTS.iter().map(|part| data.join(part)).filter(|part| part.exists()) {
            fs::remove_dir_all(&part).with_context(|| part.display().to_string())?;
        }
    } else if fs::read_dir(data).with_context(failed)?.next().is_some() {
        bail!("{}: not empty; a backup is restored into an empty folder", failed());
    }
    fs::write(&mark, "").with_context(failed)?;
    sync_folder(data)
}

/// Copies a file to its place; its bytes must be those that were backed up.
fn bring(item: &Item, from: &Path, data: &Path) -> Result<(), String> {
    failpoint::reached("restore.before_file");
    let to = data.join(&item.path);
    let folder = to.parent().expect("a checked path lies in a folder");
    make_folder(folder).map_err(|e| format!("{e:#}"))?;
    let copied = files::copy(&item.stored(from), u64::MAX, &to).map_err(|e| e.to_string())?;
    if (copied.bytes, &copied.sha256) != (item.bytes, &item.sha256) {
        return Err("its bytes are not those that were backed up".into());
    }
    Ok(())
}

fn copy_keys(from: &Path, to: &Path) -> Result<()> {
    make_folder(to)?;
    for name in files::names(from)? {
        files::copy(&from.join(&name), u64::MAX, &to.join(&name))
            .with_context(|| format!("key file {name}"))?;
    }
    sync_folder(to)
}

/// Whether the folder holds what was backed up, and its verdicts come out as they did.
fn check(manifest: &Manifest, data: &Path, config: Option<&Path>, which: Verify) -> Result<Summary> {
    let folder = Folder::open(data, config)?;
    let (least, greatest) = match which {
        Verify::All => (1, u64::MAX),
        Verify::Sample => (manifest.last_sequence.saturating_sub(SAMPLE - 1).max(1), u64::MAX),
        Verify::None => (u64::MAX, 0),
    };
    let summary = match which {
        Verify::None => Summary::of_journal(&folder.check()?),
        Verify::All | Verify::Sample => verify(&folder, least, greatest, &mut |_, _| {})?,
    };
    if let Some(damage) = &summary.journal.damage {
        bail!("the restored journal is damaged: {}", damage.what);
    }
    let (head, last) = (&summary.journal.head, summary.journal.last_sequence);
    if (head, last) != (&manifest.head, manifest.last_sequence) {
        bail!(
            "the restored journal ends at {last} with head {head}, the backup's at {} with {}",
            manifest.last_sequence,
            manifest.head
        );
    }
    if summary.is_finding() {
        let findings = summary.findings.join("\n");
        bail!(
            "{} verdicts came out otherwise, {} by generations that are not as they were written; the backup's files \
             are whole, so the folder that was backed up had this already (--verify none restores it all the same)\n{findings}",
            summary.different,
            summary.damaged
        );
    }
    Ok(summary)
}
