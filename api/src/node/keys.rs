//! The node's keys: one master key file, from which everything else is derived by purpose, and the API keys' file.

use anyhow::{Context, Result, anyhow, bail};
use interdict_engine::domain::Entry;
use interdict_engine::lists::ListMeta;
use interdict_ingest::TagKeys;
use interdict_ledger::MasterKey;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The keys of a node.
pub struct NodeKeys {
    /// The folder they lie in.
    pub dir: PathBuf,
    /// The master key.
    pub master: MasterKey,
    /// The keys that identifiers are tagged under.
    pub tags: Arc<TagKeys>,
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
        let master = if create { MasterKey::load_or_create(&path) } else { MasterKey::load(&path) };
        let master = master.map_err(|e| anyhow!("{e}"))?;
        let tags = Arc::new(TagKeys::new(&master.derive("tags/1")));
        Ok(NodeKeys { dir: dir.to_owned(), master, tags })
    }
    /// Fingerprint of the key that a tenant's own lists, or the shared ones (`None`), are tagged under.
    pub fn list_check(&self, tenant: Option<&str>) -> u64 {
        match tenant {
            Some(tenant) => self.tags.tenant(tenant).state.key_check(),
            None => self.tags.shared().key_check(),
        }
    }
    /// The entries of a list file (JSONL by its ending, else CSV), tagged under the list's key.
    ///
    /// # Errors
    /// Every wrong line, with its column and what was expected.
    pub fn import(&self, file: &str, bytes: &[u8], meta: &ListMeta) -> Result<Vec<Entry>> {
        let tenant = meta.tenant.as_deref().map(|tenant| self.tags.tenant(tenant));
        let key = tenant.as_ref().map_or_else(|| self.tags.shared(), |keys| &keys.state);
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
