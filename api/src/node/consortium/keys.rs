//! The keys that a consortium's members share, in the node: files of the key folder, so that a start needs nobody else, and
//! in memory as long as they are alive. What was read under other keys is refused by the sequencer and read again.

use crate::node::Node;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use zeroize::Zeroizing;

const PREFIX: &str = "consortium-";
const SUFFIX: &str = ".key";

/// A version of the key that a consortium's members share. It shows nothing, and is wiped when dropped.
#[derive(Clone)]
pub struct ConsortiumKey {
    /// Its version; lists say it.
    pub version: u32,
    /// The key, as the members have it.
    pub key: Zeroizing<[u8; 32]>,
}

impl ConsortiumKey {
    /// A version of the key. The caller wipes its own copy.
    pub fn new(version: u32, key: &[u8; 32]) -> ConsortiumKey {
        ConsortiumKey { version, key: Zeroizing::new(*key) }
    }
}

impl std::fmt::Debug for ConsortiumKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ConsortiumKey(version {})", self.version)
    }
}

fn path(dir: &Path, version: u32) -> PathBuf {
    dir.join(format!("{PREFIX}{version}{SUFFIX}"))
}

/// The versions that a key folder has files of, ascending.
fn versions(dir: &Path) -> Result<Vec<u32>> {
    let mut versions = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("key folder {}", dir.display()))? {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
        versions.extend(digits.and_then(|digits| digits.parse::<u32>().ok()));
    }
    versions.sort_unstable();
    Ok(versions)
}

/// The keys of a folder that live on: the last two versions in succession. A version before them was about to be removed.
///
/// # Errors
/// A file that others may read, or that is no key.
pub fn load(dir: &Path) -> Result<Vec<(u32, Zeroizing<[u8; 32]>)>> {
    let versions = versions(dir)?;
    let Some(last) = versions.last().copied() else { return Ok(Vec::new()) };
    let alive =
        versions.into_iter().filter(|version| *version == last || last.checked_sub(1) == Some(*version));
    alive.map(|version| Ok((version, read(&path(dir, version))?))).collect()
}

fn read(path: &Path) -> Result<Zeroizing<[u8; 32]>> {
    let named = || format!("key file {}", path.display());
    let mut file = fs::File::open(path).with_context(named)?;
    let meta = file.metadata().with_context(named)?;
    let mode = meta.permissions().mode() & 0o7777;
    if mode != 0o600 {
        bail!("{}: mode {mode:04o}, must be 0600: only its owner may read it", named());
    }
    if meta.len() != 32 {
        bail!("{}: {} bytes, must be a file of 32", named(), meta.len());
    }
    let mut key = Zeroizing::new([0; 32]);
    file.read_exact(&mut *key).with_context(named)?;
    Ok(key)
}

/// Written aside and renamed: it is there whole or not at all.
fn write(dir: &Path, key: &ConsortiumKey) -> Result<()> {
    let (path, aside) = (path(dir, key.version), dir.join(format!("{PREFIX}{}.new", key.version)));
    let write = || -> std::io::Result<()> {
        match fs::remove_file(&aside) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        file.write_all(&*key.key)?;
        file.sync_all()?;
        fs::rename(&aside, &path)?;
        fs::File::open(dir)?.sync_all()
    };
    write().with_context(|| format!("key file {}", path.display()))
}

impl Node {
    /// Makes tags under these keys of the consortium from now on, and under no others of it: one, or two of successive
    /// versions while a key is exchanged; none: the node leaves. They are kept in the key folder, so a restart has them.
    ///
    /// To exchange a key without losing a match: give the earlier and the later version, publish lists under the later one
    /// (and the earlier one, as long as contributions under it live) with [`Node::publish_consortium`], and when none is
    /// left under the earlier version give the later one alone. From the call's return on every payment that is
    /// sequenced has tags under all of these keys: what was read before is read again. Giving what is alive does nothing.
    ///
    /// # Errors
    /// Versions that do not succeed one another; a version that lists in force are under and that is not among them;
    /// while a file is followed; a folder that cannot be written. Nothing is changed then.
    pub fn exchange_consortium_keys(&self, keys: &[ConsortiumKey]) -> Result<()> {
        let _rotating = self.rotating.lock();
        let _publishing = self.publishing.lock();
        let tags = &self.keys.tags;
        let is_alive = |key: &ConsortiumKey| {
            let check = interdict_ingest::normalise::keys::TagKey::from_bytes(&key.key).key_check();
            tags.consortium(key.version).is_some_and(|known| known.key_check() == check)
        };
        if keys.len() == tags.versions().len() && keys.iter().all(is_alive) {
            return Ok(());
        }
        if let [one, other] = keys
            && one.version.abs_diff(other.version) != 1
        {
            bail!(
                "versions {} and {} of the consortium's key at once: expected two in succession",
                one.version,
                other.version
            );
        }
        if keys.len() > 2 {
            bail!("{} versions of the consortium's key at once, limit 2", keys.len());
        }
        for list in self.view().generation().lists().lists() {
            let meta = list.meta();
            if let Some(of) = meta.consortium.filter(|of| keys.iter().all(|key| key.version != of.version)) {
                bail!("list {:?} is under version {} of the consortium's key still", meta.name, of.version);
            }
        }
        if self.follows.load(Ordering::Acquire) {
            bail!(
                "a file is followed, so the consortium's keys are exchanged at a restart; nothing was changed"
            );
        }
        for key in keys {
            write(&self.keys.dir, key)?;
        }
        let given: Vec<(u32, Zeroizing<[u8; 32]>)> =
            keys.iter().map(|key| (key.version, key.key.clone())).collect();
        {
            // Under the core's lock: what is read from then on is sequenced after it.
            let mut core = self.core.lock();
            let exchanges = tags.exchange(&given).map_err(|e| anyhow::anyhow!("{e}"))?;
            core.sequencer.keys_exchanged(exchanges);
        }
        // Whoever brought a payment meanwhile found the core taken and went.
        self.work();
        for version in versions(&self.keys.dir)? {
            if keys.iter().all(|key| key.version != version) {
                destroy(&path(&self.keys.dir, version))?;
            }
        }
        tracing::info!(versions = ?tags.versions(), "the consortium's keys were exchanged");
        Ok(())
    }
    /// The versions of the consortium's key under which tags are made, ascending.
    pub fn consortium_versions(&self) -> Vec<u32> {
        self.keys.tags.versions()
    }
}

/// Overwritten and removed, as a retired key of the ring.
fn destroy(path: &Path) -> Result<()> {
    use std::os::unix::fs::FileExt;
    let destroy = || -> std::io::Result<()> {
        let file = fs::OpenOptions::new().write(true).open(path)?;
        file.write_all_at(&[0; 32], 0)?;
        file.sync_all()?;
        fs::remove_file(path)
    };
    destroy().with_context(|| format!("key file {}", path.display()))
}
