//! The node's keys: a ring of master keys, from which everything else is derived by purpose.

use super::consortium::keys as consortium;
use super::consortium::vault::Vault;
use super::ring::Ring;
use anyhow::{Context, Result, anyhow, bail};
use interdict_engine::domain::Entry;
use interdict_engine::lists::ListMeta;
use interdict_ingest::TagKeys;
use interdict_ledger::{MasterKey, Sealing};
use parking_lot::Mutex;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The purpose that tag keys are derived by.
pub const TAGS: &str = "tags/1";

/// The keys of a node.
pub struct NodeKeys {
    /// The folder they lie in.
    pub dir: PathBuf,
    /// The first master key: lists are tagged under it.
    pub master: MasterKey,
    /// All master keys, as the folder had them when it was last read.
    pub ring: Mutex<Ring>,
    /// What names and texts are sealed under.
    pub sealing: Sealing,
    /// The keys that identifiers are tagged under.
    pub tags: Arc<TagKeys>,
    /// Identifiers of candidates of a consortium's lists.
    pub vault: Arc<Vault>,
}

impl NodeKeys {
    /// The keys of a folder; where there are none and `create` says so, they are made (0600, in a folder 0700).
    ///
    /// # Errors
    /// A file that others may read, that is no key, or that is missing.
    pub fn open(dir: &Path, create: bool) -> Result<NodeKeys> {
        let path = dir.join("master.key");
        if create {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)
                .with_context(|| dir.display().to_string())?;
        }
        // One that a ring names is lost, not yet to be made.
        let create = create && !dir.join(super::ring::RING).exists();
        let master = if create { MasterKey::load_or_create(&path) } else { MasterKey::load(&path) };
        let master = master.map_err(|e| anyhow!("{e}"))?;
        let ring = Ring::open(dir)?;
        let tags = Arc::new(TagKeys::new(&master.derive(TAGS)));
        tags.begin_with(&consortium::load(dir)?).map_err(|e| anyhow!("{}: {e}", dir.display()))?;
        let (vault, sealing) = (watched(&tags), ring.sealing());
        Ok(NodeKeys { dir: dir.to_owned(), master, sealing, ring: Mutex::new(ring), tags, vault })
    }
    /// Keys of nobody's folder, which last as long as the value.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn temporary() -> Result<NodeKeys> {
        let (dir, master) = (PathBuf::new(), MasterKey::generate().map_err(|e| anyhow!("{e}"))?);
        let (sealing, tags) = (Sealing::from(&master), Arc::new(TagKeys::new(&master.derive(TAGS))));
        let vault = watched(&tags);
        Ok(NodeKeys { dir, master, ring: Mutex::default(), sealing, tags, vault })
    }
    /// Fingerprint of the key that a tenant's own lists, or the shared ones (`None`), are tagged under.
    pub fn list_check(&self, tenant: Option<&str>) -> u64 {
        match tenant {
            Some(tenant) => self.tags.tenant(tenant).lists().key_check(),
            None => self.tags.shared().key_check(),
        }
    }
    /// Fingerprint of the key that a list's tags should be under; `None` for one of a version of the consortium's key
    /// that is not held.
    pub fn check_of(&self, meta: &ListMeta) -> Option<u64> {
        match meta.consortium {
            Some(of) => self.tags.consortium(of.version).map(|key| key.key_check()),
            None => Some(self.list_check(meta.tenant.as_deref())),
        }
    }
    /// The entries of a list file (JSONL by its ending, else CSV), tagged under the list's key.
    ///
    /// # Errors
    /// Every wrong line, with its column and what was expected.
    pub fn import(&self, file: &str, bytes: &[u8], meta: &ListMeta) -> Result<Vec<Entry>> {
        let tenant = meta.tenant.as_deref().map(|tenant| self.tags.tenant(tenant));
        let key = tenant.as_ref().map_or_else(|| self.tags.shared(), |keys| keys.lists());
        let read = if file.ends_with(".jsonl") || file.ends_with(".ndjson") {
            interdict_ingest::lists::jsonl::read_entries(bytes, file, key, file)
        } else {
            interdict_ingest::lists::csv::read_entries(bytes, file, key, file)
        };
        let mut entries = read.map_err(|errors| {
            anyhow!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        })?;
        // An override never cancels a sanctions entry, whatever a file says.
        entries.iter_mut().for_each(|entry| entry.overridable &= !meta.sanctions);
        Ok(entries)
    }
}

/// What keeps identifiers that are tagged under these keys, where they may be candidates.
fn watched(tags: &TagKeys) -> Arc<Vault> {
    let vault = Arc::new(Vault::default());
    tags.witnessed_by(vault.clone());
    vault
}

/// The key folder of a data folder and a configuration.
///
/// # Errors
/// When `[keys] dir` names a folder that is not there.
pub fn key_folder(data: &Path, configured: Option<&Path>) -> Result<PathBuf> {
    match configured {
        Some(dir) if !dir.is_dir() => bail!("[keys] dir {}: no such folder", dir.display()),
        Some(dir) => Ok(dir.to_owned()),
        None => Ok(data.join("keys")),
    }
}
