//! `interdict backup`: reads a data folder as `verify` does, without a lock and without stopping the node. The journal is
//! taken up to its last whole batch; what it names was written before it, so what is copied after it is never too old.

use super::files::{self, make_folder, sync_folder};
use super::{FILES, FORMAT, Item, MANIFEST, Manifest, PARTS, is_hash};
use crate::history::Folder;
use crate::node::snapshot::FOLDER;
use crate::node::{failpoint, now_ms};
use anyhow::{Context, Result, anyhow, bail};
use interdict_engine::generation::hex;
use interdict_engine::sequencer::ENGINE;
use interdict_ledger::journal::{At, Report, SegmentInfo, segment_name};
use interdict_ledger::snapshot;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// How often the journal is read again when it changed under the reader: the writer left a segment, or retention
/// removed one.
const ATTEMPTS: u32 = 5;
const LOCK: &str = "lock";

/// A backup that was made.
#[derive(Debug)]
pub struct Made {
    /// What it holds.
    pub manifest: Manifest,
    /// Files that were copied now.
    pub copied: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Files of an earlier backup that nothing names any more, and that were removed.
    pub removed: u64,
}

/// Backs up the data folder `data` into `out`, or brings the backup there up to date. `config` says where the keys lie
/// when not in the folder.
///
/// # Errors
/// A damaged journal or object; a folder that is no backup, or one of another journal; whatever cannot be read or
/// written. The backup that was there before is whole then.
pub fn backup(
    data: &Path,
    config: Option<&Path>,
    out: &Path,
    with_keys: bool,
    with_snapshot: bool,
) -> Result<Made> {
    let folder = Folder::open(data, config)?;
    let previous = open(out)?;
    let lock = fs::File::create(out.join(LOCK)).with_context(|| out.display().to_string())?;
    lock.try_lock().map_err(|e| anyhow!("{}: another backup is at work in it: {e}", out.display()))?;
    let (made_ms, mut making) = (now_ms(), Making::new(data, out));
    // The mark first: an older one costs a start a publication, a newer one than the journal would spare it one.
    making.optional("generations/configured")?;
    let report = making.journal(&folder, previous.as_ref())?;
    for part in ["generations/manifests", "generations/objects"] {
        making.kept(part)?;
    }
    // After them: a newer one lets no version fall that these have.
    making.optional("generations/admitted")?;
    for name in files::names(&data.join("dead-letters"))? {
        making.optional(&format!("dead-letters/{name}"))?;
    }
    if with_snapshot {
        making.image(&report)?;
    }
    if with_keys {
        making.keys(&folder.keys.dir)?;
    }
    sync_folder(&making.files)?;
    failpoint::reached("backup.before_manifest");
    let manifest = Manifest {
        format: FORMAT,
        engine: ENGINE.to_owned(),
        made_ms,
        last_sequence: report.last_sequence,
        head: hex(&report.head),
        with_keys,
        files: making.items.into_values().collect(),
        sum: String::new(),
    };
    let manifest = manifest.write(out)?;
    let removed = clean(&making.files, &manifest)?;
    for name in files::names(out)?.iter().filter(|name| is_manifest(name) && *name != MANIFEST) {
        fs::remove_file(out.join(name)).with_context(|| out.display().to_string())?;
    }
    Ok(Made { manifest, copied: making.copied, copied_bytes: making.copied_bytes, removed })
}

/// Makes a backup's folder, or finds the backup there.
fn open(out: &Path) -> Result<Option<Manifest>> {
    make_folder(&out.join(FILES))?;
    for entry in fs::read_dir(out).with_context(|| out.display().to_string())? {
        let name = entry?.file_name();
        let is_ours = name == FILES || name == LOCK || name.to_str().is_some_and(is_manifest);
        if !is_ours {
            bail!(
                "{}: {} is there, so it is no backup's folder; take an empty one",
                out.display(),
                name.display()
            );
        }
    }
    Manifest::read(out)
}

/// Whether a name is the manifest's, or that of one which was being written.
fn is_manifest(name: &str) -> bool {
    name == MANIFEST || name.starts_with("backup.tmp")
}

struct Making<'a> {
    data: &'a Path,
    files: PathBuf,
    items: BTreeMap<String, Item>,
    copied: u64,
    copied_bytes: u64,
}

impl Making<'_> {
    fn new<'a>(data: &'a Path, out: &Path) -> Making<'a> {
        Making { data, files: out.join(FILES), items: BTreeMap::new(), copied: 0, copied_bytes: 0 }
    }

    /// Keeps a file's first `limit` bytes as `path`; `None` where it is not there.
    fn keep(&mut self, from: &Path, path: &str, limit: u64) -> Result<Option<(Item, [u8; 32])>> {
        failpoint::reached("backup.before_file");
        let (hashed, was_copied) = match files::keep(from, limit, &self.files) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.with_context(|| from.display().to_string())?,
        };
        if was_copied {
            self.copied += 1;
            self.copied_bytes += hashed.bytes;
        }
        let item = Item { path: path.to_owned(), bytes: hashed.bytes, sha256: hashed.sha256, origin: None };
        Ok(Some((item, hashed.origin)))
    }
    fn take(&mut self, item: Item) {
        self.items.insert(item.path.clone(), item);
    }
    /// A file that need not be there. It may grow meanwhile: what it has now is taken.
    fn optional(&mut self, path: &str) -> Result<()> {
        let from = self.data.join(path);
        let Ok(found) = fs::metadata(&from) else { return Ok(()) };
        if let Some((item, _)) = self.keep(&from, path, found.len())? {
            self.take(item);
        }
        Ok(())
    }

    /// The journal as it is now, checked and copied; tried again where it changed meanwhile.
    fn journal(&mut self, folder: &Folder, previous: Option<&Manifest>) -> Result<Report> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let report = match folder.check() {
                Ok(report) => report,
                Err(e) => {
                    last = Some(e);
                    continue;
                }
            };
            if let Some(damage) = report.damage {
                bail!("the journal is damaged, so it is not backed up: {damage}");
            }
            goes_on_from(&report, previous)?;
            let all = report.segments.iter().map(|info| self.segment(info));
            match all.collect::<Result<Option<Vec<Item>>>>()? {
                Some(items) => {
                    items.into_iter().for_each(|item| self.take(item));
                    return Ok(report);
                }
                None => last = Some(anyhow!("the journal's segments changed while they were read")),
            }
        }
        Err(last.expect("there was an attempt"))
    }
    /// One segment's bytes that count; `None` where it is no longer the one that was checked.
    fn segment(&mut self, info: &SegmentInfo) -> Result<Option<Item>> {
        let path = format!("journal/{}", segment_name(info.number));
        let Some((mut item, origin)) = self.keep(&self.data.join(&path), &path, info.bytes)? else {
            return Ok(None);
        };
        item.origin = Some(hex(&origin));
        Ok((origin == info.origin && item.bytes == info.bytes).then_some(item))
    }

    /// The files of a folder whose names are hashes; one that is removed meanwhile is none that the journal names.
    fn kept(&mut self, part: &str) -> Result<()> {
        for name in files::names(&self.data.join(part))?.into_iter().filter(|name| is_hash(name)) {
            let path = format!("{part}/{name}");
            if let Some((item, _)) = self.keep(&self.data.join(&path), &path, u64::MAX)? {
                if part.ends_with("objects") && item.sha256 != name {
                    bail!("{path}: its bytes do not match its name");
                }
                self.take(item);
            }
        }
        Ok(())
    }
    /// The newest image of the state that the journal's copy holds all of. One that is removed meanwhile, or cannot be
    /// read, is none: a start can do without.
    fn image(&mut self, report: &Report) -> Result<()> {
        let folder = self.data.join(FOLDER);
        for (sequence, path) in snapshot::list(&folder).with_context(|| folder.display().to_string())? {
            let holds = |at: &At| {
                let segment = report.segments.iter().find(|info| info.number == at.segment());
                segment.is_some_and(|info| at.offset() <= info.bytes)
            };
            let Ok(image) = snapshot::Image::open(&path) else { continue };
            if sequence > report.last_sequence || !holds(&image.about().settled) {
                continue;
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if let Some((item, _)) = self.keep(&path, &format!("{FOLDER}/{name}"), u64::MAX)? {
                self.take(item);
                return Ok(());
            }
        }
        Ok(())
    }
    /// All key files, wherever they lie.
    fn keys(&mut self, dir: &Path) -> Result<()> {
        for name in files::names(dir)? {
            let path = format!("keys/{name}");
            if let Some((item, _)) = self.keep(&dir.join(&name), &path, u64::MAX)? {
                self.take(item);
            }
        }
        Ok(())
    }
}

/// Whether the journal is the one of the backup that it would replace, at the same place or further on. Another one,
/// or one that was begun again from an older state, must not cost the backup that is there.
fn goes_on_from(report: &Report, previous: Option<&Manifest>) -> Result<()> {
    let Some(previous) = previous else { return Ok(()) };
    let advice = "back it up into another folder";
    if report.last_sequence < previous.last_sequence {
        bail!(
            "the journal ends at sequence {}, the backup at {}: {advice}",
            report.last_sequence,
            previous.last_sequence
        );
    }
    let known: BTreeMap<&str, &str> = previous
        .files
        .iter()
        .filter_map(|item| Some((item.path.as_str(), item.origin.as_deref()?)))
        .collect();
    for info in &report.segments {
        let path = format!("{}/{}", PARTS[0], segment_name(info.number));
        if known.get(path.as_str()).is_some_and(|origin| *origin != hex(&info.origin)) {
            bail!("{path} is not the segment that the backup has under that number: {advice}");
        }
    }
    Ok(())
}

/// Removes what no manifest names any more.
fn clean(files: &Path, manifest: &Manifest) -> Result<u64> {
    let named: BTreeSet<&str> = manifest.files.iter().map(|item| item.sha256.as_str()).collect();
    let mut removed = 0;
    for name in files::names(files)?.iter().filter(|name| !named.contains(name.as_str())) {
        let path = files.join(name);
        fs::remove_file(&path).with_context(|| path.display().to_string())?;
        removed += 1;
    }
    Ok(removed)
}
