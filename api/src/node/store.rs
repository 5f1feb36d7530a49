//! The kept generations on disk: content-addressed objects (pack archives, list snapshots, watchlists, settings, rates) and one
//! manifest a generation. A file is written aside, synced and renamed, so that it is there whole or not at all.

use super::cache::PatternCache;
use anyhow::{Context, Result, bail};
use interdict_consortium::pack::Admitted;
use interdict_engine::generation::{Manifest, hex};
use memmap2::Mmap;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of an object, mapped.
pub type Object = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// The folder `generations/` of a data folder.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
    patterns: PatternCache,
}

impl Store {
    /// The store of a data folder; its folders are made where they are missing.
    ///
    /// # Errors
    /// When a folder cannot be made.
    pub fn open(data: &Path) -> Result<Store> {
        let dir = data.join("generations");
        for sub in ["objects", "manifests"] {
            fs::create_dir_all(dir.join(sub)).with_context(|| format!("{}", dir.join(sub).display()))?;
        }
        Ok(Store { dir, patterns: PatternCache::new(data, true) })
    }
    /// The store of a data folder that is only read: nothing is made.
    pub fn existing(data: &Path) -> Store {
        Store { dir: data.join("generations"), patterns: PatternCache::new(data, false) }
    }
    /// Where compiled pattern databases are kept.
    pub fn patterns(&self) -> &PatternCache {
        &self.patterns
    }
    /// Whether an object is there, whatever its bytes.
    pub fn has(&self, hash: &[u8; 32]) -> bool {
        self.dir.join("objects").join(hex(hash)).exists()
    }
    /// Keeps an object under its hash; nothing is written when it is there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, bytes: &[u8]) -> Result<[u8; 32]> {
        let hash: [u8; 32] = Sha256::digest(bytes).into();
        let path = self.dir.join("objects").join(hex(&hash));
        if !path.exists() {
            write_whole(&path, bytes)?;
        }
        Ok(hash)
    }
    /// An object by its hash, mapped and checked against it.
    ///
    /// # Errors
    /// When it is missing, or its bytes are not those of its name.
    pub fn get(&self, hash: &[u8; 32]) -> Result<Object> {
        let path = self.dir.join("objects").join(hex(hash));
        let file = fs::File::open(&path).with_context(|| format!("object {}", path.display()))?;
        let mapped = map(&file).with_context(|| format!("object {}", path.display()))?;
        if <[u8; 32]>::from(Sha256::digest(&mapped)) != *hash {
            bail!("object {}: its bytes do not match its name; restore it from a backup", path.display());
        }
        Ok(Arc::new(mapped))
    }
    /// Keeps a manifest; its hash names the generation.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_manifest(&self, manifest: &Manifest) -> Result<()> {
        let path = self.dir.join("manifests").join(hex(&manifest.hash()));
        if path.exists() { Ok(()) } else { write_whole(&path, manifest.text().as_bytes()) }
    }
    /// The manifest of a generation, checked against its hash; `None` when it is no longer kept.
    ///
    /// # Errors
    /// When it does not read, or its bytes are not those of its name.
    pub fn manifest(&self, hash: &[u8; 32]) -> Result<Option<Manifest>> {
        let path = self.dir.join("manifests").join(hex(hash));
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).with_context(|| format!("manifest {}", path.display()))?;
        let manifest = Manifest::parse(&text).with_context(|| format!("manifest {}", path.display()))?;
        if manifest.hash() != *hash {
            bail!("manifest {}: its bytes do not match its name", path.display());
        }
        Ok(Some(manifest))
    }
    /// Which signed packs were taken into use; nothing yet where there is no such file.
    ///
    /// # Errors
    /// When it does not read.
    pub fn admitted(&self) -> Result<Admitted> {
        let path = self.dir.join("admitted");
        match fs::read_to_string(&path) {
            Ok(text) => Admitted::decode(&text).with_context(|| format!("{}", path.display())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Admitted::default()),
            Err(e) => Err(e).with_context(|| format!("{}", path.display())),
        }
    }
    /// Keeps it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_admitted(&self, admitted: &Admitted) -> Result<()> {
        write_whole(&self.dir.join("admitted"), admitted.encode()?.as_bytes())
    }
    /// Drops all but the newest `keep` manifests, and the objects that none of the kept ones names. `in_use` are
    /// kept whatever their age.
    ///
    /// # Errors
    /// When the folder cannot be read or a file not removed.
    pub fn retain(&self, keep: usize, in_use: &[[u8; 32]]) -> Result<usize> {
        let mut manifests = Vec::new();
        for entry in fs::read_dir(self.dir.join("manifests"))? {
            let entry = entry?;
            manifests.push((entry.metadata()?.modified()?, entry.path()));
        }
        manifests.sort();
        let is_used = |path: &Path| in_use.iter().any(|hash| path.ends_with(hex(hash)));
        let cut = manifests.len().saturating_sub(keep);
        let (mut dropped, mut kept_objects) = (0, HashSet::new());
        for (at, (_, path)) in manifests.iter().enumerate() {
            if at < cut && !is_used(path) {
                fs::remove_file(path)?;
                dropped += 1;
            } else {
                kept_objects
                    .extend(Manifest::parse(&fs::read_to_string(path)?)?.objects().map(|hash| hex(&hash)));
            }
        }
        if dropped > 0 {
            for entry in fs::read_dir(self.dir.join("objects"))? {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if !kept_objects.contains(&name) {
                    fs::remove_file(path)?;
                }
            }
        }
        Ok(dropped)
    }
}

/// Maps a file read-only.
#[allow(unsafe_code)]
fn map(file: &fs::File) -> std::io::Result<Mmap> {
    // SAFETY: objects are written once under the hash of their bytes and never changed in place, so the mapped
    // bytes do not change under us; the folder belongs to this process alone (0700).
    unsafe { Mmap::map(file) }
}

/// Writes a file aside, syncs it and renames it into place, then syncs the folder.
///
/// # Errors
/// When any of that fails; the place is then as it was.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().context("a file lies in a folder")?;
    let aside = path.with_extension(format!("tmp{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)?;
        fs::File::open(folder)?.sync_all()
    };
    write()
        .inspect_err(|_| drop(fs::remove_file(&aside)))
        .with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_what_its_name_says_or_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let hash = store.put(b"a pack").unwrap();
        assert_eq!((*store.get(&hash).unwrap()).as_ref(), b"a pack");
        let path = dir.path().join("generations/objects").join(hex(&hash));
        fs::write(path, b"another").unwrap();
        assert!(store.get(&hash).is_err());
    }
}
