//! A backup: files under the hash of their bytes, and one manifest that says where each belongs. A file is never
//! changed once it is there and the manifest is replaced whole, so a backup that is cut off leaves the one before.

mod files;
mod make;
mod restore;

pub use make::{Made, backup};
pub use restore::{Restored, Verify, restore};

use anyhow::{Context, Result, bail};
use interdict_engine::generation::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Component, Path, PathBuf};

/// The manifest's name in a backup's folder.
const MANIFEST: &str = "backup.json";
/// The folder of its files.
const FILES: &str = "files";
/// What lies in a data folder while a backup is restored into it.
const RESTORING: &str = "restoring";
/// Version of the manifest's format.
const FORMAT: u32 = 1;
/// The folders of a data folder that a backup may hold. The rest are caches, which a start makes again.
const PARTS: [&str; 5] = ["journal", "generations", "dead-letters", "keys", crate::node::snapshot::FOLDER];

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this format.
    pub format: u32,
    /// Version of the engine that made it.
    pub engine: String,
    /// When it was begun, ms since the Unix epoch.
    pub made_ms: i64,
    /// Sequence of the journal's last accepted event.
    pub last_sequence: u64,
    /// The journal's chain hash at its end: it vouches for everything before it.
    pub head: String,
    /// Whether the keys are among the files.
    pub with_keys: bool,
    /// The files, by path.
    pub files: Vec<Item>,
    /// SHA-256 of this manifest with an empty `sum`.
    pub sum: String,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Where it belongs in a data folder.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes; its name in the backup.
    pub sha256: String,
    /// Of a segment: what tells it from any other there ever was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

impl Manifest {
    /// The manifest of a backup's folder; `None` where there is none (yet).
    ///
    /// # Errors
    /// One that does not read, is not as it was written, or is of a version that is not known.
    pub fn read(dir: &Path) -> Result<Option<Manifest>> {
        let path = dir.join(MANIFEST);
        let named = || format!("backup's manifest {}", path.display());
        let bytes = match std::fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.with_context(named)?,
        };
        #[derive(Deserialize)]
        struct Versioned {
            format: u32,
        }
        let Versioned { format } = serde_json::from_slice(&bytes).with_context(named)?;
        if format != FORMAT {
            bail!("{}: format {format}, known: {FORMAT}", named());
        }
        let mut manifest: Manifest = serde_json::from_slice(&bytes).with_context(named)?;
        let said = std::mem::take(&mut manifest.sum);
        if manifest.summed() != said {
            bail!("{}: its bytes are not those that were written", named());
        }
        manifest.sum = said;
        for item in &manifest.files {
            item.check().with_context(named)?;
        }
        Ok(Some(manifest))
    }
    /// The hash of everything but `sum`, which is empty.
    fn summed(&self) -> String {
        hex(&<[u8; 32]>::from(Sha256::digest(self.text())))
    }
    fn text(&self) -> String {
        serde_json::to_string_pretty(self).expect("text and numbers are JSON")
    }
    fn write(mut self, dir: &Path) -> Result<Manifest> {
        self.sum = self.summed();
        crate::node::store::write_whole(&dir.join(MANIFEST), self.text().as_bytes())?;
        Ok(self)
    }
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|item| item.bytes).sum()
    }
}

impl Item {
    /// Where the backup in `dir` has its bytes.
    fn stored(&self, dir: &Path) -> PathBuf {
        dir.join(FILES).join(&self.sha256)
    }
    /// What it is called where something is wrong with it.
    fn named(&self) -> String {
        format!("{} ({FILES}/{})", self.path, self.sha256)
    }
    /// Whether it names a file of a data folder and nothing beside it: a manifest may come from anywhere.
    fn check(&self) -> Result<()> {
        let path = Path::new(&self.path);
        let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        let is_part = PARTS.iter().any(|part| path.starts_with(part) && path != Path::new(part));
        if !is_plain || !is_part || !is_hash(&self.sha256) {
            bail!("{:?} is no file of a data folder", self.path);
        }
        Ok(())
    }
}

/// Whether a text is a SHA-256 in lower-case hex.
fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Refuses a data folder into which a restore was begun and not finished.
///
/// # Errors
/// For such a folder.
pub fn refuse_half_restored(data: &Path) -> Result<()> {
    if data.join(RESTORING).exists() {
        bail!(
            "data folder {}: a restore into it was not finished; run `interdict restore` again",
            data.display()
        );
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let item = Item {
            path: "journal/00000000000000000001.seg".into(),
            bytes: 240,
            sha256: "ab".repeat(32),
            origin: None,
        };
        Manifest {
            format: FORMAT,
            engine: "0.1.0".into(),
            made_ms: 1,
            last_sequence: 7,
            head: "00".repeat(32),
            with_keys: false,
            files: vec![item],
            sum: String::new(),
        }
    }

    #[test]
    fn a_manifest_reads_back_and_no_changed_byte_passes() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), None);
        let written = manifest().write(dir.path()).unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), Some(written));
        let path = dir.path().join(MANIFEST);
        let bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            std::fs::write(&path, changed).unwrap();
            assert!(Manifest::read(dir.path()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_manifest_names_files_of_a_data_folder_only() {
        let check = |path: &str, sha256: &str| {
            Item { path: path.into(), sha256: sha256.into(), ..manifest().files[0].clone() }.check()
        };
        let hash = "0f".repeat(32);
        check("generations/objects/x", &hash).unwrap();
        for path in ["journal", "journal/../../x", "/etc/passwd", "../journal/x", "cache/x", "", "restoring"]
        {
            assert!(check(path, &hash).is_err(), "{path:?}");
        }
        assert!(check("journal/x", "../x").is_err());
    }
}
