//! A log of the consortium's queries at its full length: what it takes on disk, what a checkpoint costs, how long a proof
//! from its tiles takes, how soon it opens, and the memory for all that. Real files, written without syncs: what a sync
//! costs is the disk's.

use crate::results::machine::Stamp;
use crate::results::{Better, Results, Runs};
use crate::sys;
use anyhow::{Context, Result, ensure};
use interdict_consortium::error::{Error, ErrorKind};
use interdict_consortium::keys::{KeyType, SignerKey};
use interdict_consortium::log::policy::Policy;
use interdict_consortium::log::tree::leaf_hash;
use interdict_consortium::log::{Folder, Writer};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::{ErrorKind as IoKind, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Leaves between checkpoints while the log is filled: as many as may wait.
const BATCH: u64 = 1 << 16;
/// Proofs made and verified, of leaves drawn at random.
const PROOFS: usize = 500;
/// The file with what was measured, in the work folder.
const FILE: &str = "translog.json";

/// What was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogReport {
    /// Leaves of 32 bytes.
    pub leaves: u64,
    /// Seconds of filling.
    pub fill_s: f64,
    /// Files, their bytes, and the bytes of the blocks they take.
    pub files: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Bytes of their blocks.
    pub disk_bytes: u64,
    /// Milliseconds until it was open.
    pub open_ms: f64,
    /// Microseconds of an append of one leaf and a checkpoint over it.
    pub checkpoint_us: Vec<f64>,
    /// Microseconds of a proof from tiles, checked against the root.
    pub proof_us: Vec<f64>,
    /// Microseconds of verifying it against a policy of no witnesses: one signature and the hashes.
    pub verify_us: Vec<f64>,
    /// Bytes of a proof as text.
    pub proof_bytes: u64,
    /// Resident memory of the process when the log was full and open, in MiB.
    pub memory_mib: f64,
}

/// Files without syncs.
#[derive(Debug)]
struct Unsynced(PathBuf);

fn storage(path: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Storage, format!("{}: {error}", path.display()))
}

impl Unsynced {
    fn at(&self, path: &str) -> interdict_consortium::error::Result<PathBuf> {
        let path = self.0.join(path);
        let parent = path.parent().unwrap_or(&self.0);
        if !parent.is_dir() {
            std::fs::create_dir_all(parent).map_err(|e| storage(parent, &e))?;
        }
        Ok(path)
    }
}

impl Folder for Unsynced {
    fn read(&self, path: &str) -> interdict_consortium::error::Result<Option<Vec<u8>>> {
        let path = self.0.join(path);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == IoKind::NotFound => Ok(None),
            Err(e) => Err(storage(&path, &e)),
        }
    }
    fn write(&self, path: &str, bytes: &[u8]) -> interdict_consortium::error::Result<()> {
        let path = self.at(path)?;
        let aside = path.with_extension("aside");
        std::fs::write(&aside, bytes)
            .and_then(|()| std::fs::rename(&aside, &path))
            .map_err(|e| storage(&path, &e))
    }
    fn append(&self, path: &str, bytes: &[u8]) -> interdict_consortium::error::Result<()> {
        let path = self.at(path)?;
        let file = std::fs::OpenOptions::new().append(true).create(true).open(&path);
        file.and_then(|mut file| file.write_all(bytes)).map_err(|e| storage(&path, &e))
    }
    fn sync(&self, _: &str) -> interdict_consortium::error::Result<()> {
        Ok(())
    }
    fn list(&self, path: &str) -> interdict_consortium::error::Result<Vec<String>> {
        let path = self.0.join(path);
        let entries = match std::fs::read_dir(&path) {
            Err(e) if e.kind() == IoKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|e| storage(&path, &e))?,
        };
        Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
    }
    fn remove(&self, path: &str) -> interdict_consortium::error::Result<()> {
        let path = self.0.join(path);
        std::fs::remove_file(&path).map_err(|e| storage(&path, &e))
    }
}

/// A commitment, as the log of queries has them.
fn leaf(n: u64) -> [u8; 32] {
    Sha256::digest(n.to_be_bytes()).into()
}

/// Fills a log of so many leaves below the work folder, measures, removes it.
///
/// # Errors
/// The disk's.
pub fn run(work: &Path, leaves: u64) -> Result<LogReport> {
    let home = work.join("translog-data");
    if home.exists() {
        std::fs::remove_dir_all(&home).with_context(|| home.display().to_string())?;
    }
    let report = measure(&home, leaves)?;
    std::fs::remove_dir_all(&home).with_context(|| home.display().to_string())?;
    let path = work.join(FILE);
    std::fs::write(&path, serde_json::to_vec(&report)?).with_context(|| path.display().to_string())?;
    Ok(report)
}

fn measure(home: &Path, leaves: u64) -> Result<LogReport> {
    let key = SignerKey::from_seed("alliance.example/queries", KeyType::Ed25519, &[1; 32])?;
    let folder = Unsynced(home.to_owned());
    let mut writer = Writer::open(&folder, key.clone())?;
    let began = Instant::now();
    for from in (0..leaves).step_by(BATCH as usize) {
        let batch: Vec<[u8; 32]> = (from..leaves.min(from + BATCH)).map(leaf).collect();
        writer.append(&batch)?;
        writer.checkpoint()?;
    }
    let fill_s = began.elapsed().as_secs_f64();
    let sizes = sizes(home)?;
    drop(writer);
    let began = Instant::now();
    let mut writer = Writer::open(&folder, key.clone())?;
    let open_ms = began.elapsed().as_secs_f64() * 1e3;
    ensure!(writer.size() == leaves, "{} leaves of {leaves}", writer.size());
    let text = Policy::text_of(std::slice::from_ref(key.verifier()), &[], 0)?;
    let policy = Policy::parse(text.as_bytes())?;
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let (mut proof_us, mut verify_us, mut proof_bytes) = (Vec::new(), Vec::new(), 0);
    for _ in 0..PROOFS {
        let index = rng.random_range(0..leaves);
        let began = Instant::now();
        let proof = writer.prove(index, None)?;
        proof_us.push(began.elapsed().as_secs_f64() * 1e6);
        let began = Instant::now();
        proof.verify(&policy, &leaf_hash(&leaf(index)))?;
        verify_us.push(began.elapsed().as_secs_f64() * 1e6);
        proof_bytes = proof_bytes.max(proof.encode().len() as u64);
    }
    let mut checkpoint_us = Vec::new();
    for n in leaves..leaves + 100 {
        let began = Instant::now();
        writer.append(&[leaf(n)])?;
        writer.checkpoint()?;
        checkpoint_us.push(began.elapsed().as_secs_f64() * 1e6);
    }
    let (files, bytes, disk_bytes) = sizes;
    let memory_mib = sys::rss_mib(std::process::id())?;
    Ok(LogReport {
        leaves,
        fill_s,
        files,
        bytes,
        disk_bytes,
        open_ms,
        checkpoint_us,
        proof_us,
        verify_us,
        proof_bytes,
        memory_mib,
    })
}

/// Files below a folder, their bytes, and those of their blocks.
fn sizes(home: &Path) -> Result<(u64, u64, u64)> {
    let (mut total, mut open) = ((0, 0, 0), vec![home.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let (entry, about) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
            match about.is_dir() {
                true => open.push(entry),
                false => total = (total.0 + 1, total.1 + about.len(), total.2 + about.blocks() * 512),
            }
        }
    }
    Ok(total)
}

/// The figures of the last run; none where there was none.
///
/// # Errors
/// When the file is not of this form.
pub fn results(work: &Path, stamp: &Stamp) -> Result<Results> {
    let path = work.join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Err(e) if e.kind() == IoKind::NotFound => return Ok(Results::new()),
        other => other.with_context(|| path.display().to_string())?,
    };
    let report: LogReport = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let size = format!("a log of {} leaves of 32 bytes, files without syncs", report.leaves);
    let of = |values: &[f64], unit: &str, note: &str| {
        Runs { values: values.to_vec(), alternative: None }.entry(
            unit,
            Better::Lower,
            stamp,
            &format!("{size}{note}"),
        )
    };
    let a_leaf = |bytes: u64| [bytes as f64 / report.leaves as f64];
    let on_disk = format!(
        "; {} files, {} MiB, {} MiB of blocks",
        report.files,
        report.bytes >> 20,
        report.disk_bytes >> 20
    );
    let fill = [report.fill_s * 1e6 / report.leaves as f64];
    let batches = format!("; {BATCH} leaves a checkpoint; {:.0} MiB of memory", report.memory_mib);
    let text =
        format!("; from the disk's cache, checked against the root; {} bytes as text", report.proof_bytes);
    Ok(Results::from([
        ("consortium/log on disk, a leaf".to_owned(), of(&a_leaf(report.disk_bytes), "bytes", &on_disk)),
        ("consortium/log append, a leaf of many".to_owned(), of(&fill, "us", &batches)),
        ("consortium/log append and checkpoint of one leaf".to_owned(), of(&report.checkpoint_us, "us", "")),
        ("consortium/log opens".to_owned(), of(&[report.open_ms], "ms", "")),
        ("consortium/log proof".to_owned(), of(&report.proof_us, "us", &text)),
        (
            "consortium/log proof verified".to_owned(),
            of(&report.verify_us, "us", "; with the log's signature, no witness"),
        ),
    ]))
}
