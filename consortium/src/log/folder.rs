//! What a log, a mirror or a witness needs of the disk: whole files written at once, one file that grows, and the
//! promise that what was synced outlives a power cut. The api has it on real files; here it is in memory.

use super::prove::Tiles;
use super::tile::Tile;
use crate::error::Result;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A folder. Paths are relative, of `/`-separated parts; folders on the way come into being by themselves. After an
/// error nobody knows what was done: what is held is learnt by reading it anew.
pub trait Folder {
    /// A file's bytes; `None` where there is none.
    ///
    /// # Errors
    /// `Storage`.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>>;
    /// Replaces a file by these bytes, or makes it. Whoever reads sees the old bytes or the new ones, whole, also after
    /// a power cut; once it has returned, the new ones, for ever.
    ///
    /// # Errors
    /// `Storage`.
    fn write(&self, path: &str, bytes: &[u8]) -> Result<()>;
    /// As [`Folder::write`], for many files, in any order; each for itself is old or new. Files can do it with fewer
    /// syncs than one by one.
    ///
    /// # Errors
    /// `Storage`.
    fn write_all(&self, files: &[(String, Vec<u8>)]) -> Result<()> {
        files.iter().try_for_each(|(path, bytes)| self.write(path, bytes))
    }
    /// Adds bytes to the end of a file, or makes it; a power cut before [`Folder::sync`] may lose or tear them.
    ///
    /// # Errors
    /// `Storage`.
    fn append(&self, path: &str, bytes: &[u8]) -> Result<()>;
    /// Makes durable what a file, if it is there, holds.
    ///
    /// # Errors
    /// `Storage`.
    fn sync(&self, path: &str) -> Result<()>;
    /// The names of the files in a folder, in any order; none where there is no such folder.
    ///
    /// # Errors
    /// `Storage`.
    fn list(&self, path: &str) -> Result<Vec<String>>;
    /// Removes a file, if it is there; a power cut may bring it back.
    ///
    /// # Errors
    /// `Storage`.
    fn remove(&self, path: &str) -> Result<()>;
}

macro_rules! through {
    ($pointer:ty) => {
        impl<F: Folder + ?Sized> Folder for $pointer {
            fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
                (**self).read(path)
            }
            fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
                (**self).write(path, bytes)
            }
            fn write_all(&self, files: &[(String, Vec<u8>)]) -> Result<()> {
                (**self).write_all(files)
            }
            fn append(&self, path: &str, bytes: &[u8]) -> Result<()> {
                (**self).append(path, bytes)
            }
            fn sync(&self, path: &str) -> Result<()> {
                (**self).sync(path)
            }
            fn list(&self, path: &str) -> Result<Vec<String>> {
                (**self).list(path)
            }
            fn remove(&self, path: &str) -> Result<()> {
                (**self).remove(path)
            }
        }
    };
}
through!(&F);
through!(Arc<F>);

/// Tiles are files of a folder under their own paths.
impl<F: Folder> Tiles for F {
    fn tile(&self, tile: &Tile) -> Result<Option<Vec<u8>>> {
        self.read(&tile.to_string())
    }
}

/// A folder in memory: fetched tiles to prove or verify from, and logs that need not last.
#[derive(Debug, Default)]
pub struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

impl Memory {
    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Folder for Memory {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.files().get(path).cloned())
    }
    fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.files().insert(path.into(), bytes.into());
        Ok(())
    }
    fn append(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.files().entry(path.into()).or_default().extend_from_slice(bytes);
        Ok(())
    }
    fn sync(&self, _: &str) -> Result<()> {
        Ok(())
    }
    fn list(&self, path: &str) -> Result<Vec<String>> {
        let folder = format!("{path}/");
        let files = self.files();
        let under = files.range(folder.clone()..).map_while(|(file, _)| file.strip_prefix(&folder));
        Ok(under.filter(|name| !name.contains('/')).map(str::to_owned).collect())
    }
    fn remove(&self, path: &str) -> Result<()> {
        self.files().remove(path);
        Ok(())
    }
}
