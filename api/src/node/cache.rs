//! Compiled pattern databases kept beside the generations: compiling ten thousand patterns takes seconds, loading them
//! milliseconds. Losing a file costs a compilation; what is read is checked by the engine before it is believed.

use super::store::write_whole;
use interdict_engine::patterns::DatabaseCache;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Files kept; past it those unused longest go. A generation has one a text field and view.
const FILES_MAX: usize = 256;

/// The folder `cache/patterns` of a data folder.
#[derive(Debug, Clone)]
pub struct PatternCache {
    dir: PathBuf,
    writes: bool,
}

impl PatternCache {
    /// The cache of a data folder. One that does not write is for whoever only reads the folder.
    pub fn new(data: &Path, writes: bool) -> PatternCache {
        PatternCache { dir: data.join("cache").join("patterns"), writes }
    }

    fn prune(&self) {
        let Ok(files) = fs::read_dir(&self.dir) else { return };
        let mut files: Vec<(SystemTime, PathBuf)> = files
            .filter_map(|entry| {
                let entry = entry.ok()?;
                Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
            })
            .collect();
        files.sort();
        for (_, path) in &files[..files.len().saturating_sub(FILES_MAX)] {
            drop(fs::remove_file(path));
        }
    }
}

impl DatabaseCache for PatternCache {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        let path = self.dir.join(key);
        let bytes = fs::read(&path).ok()?;
        if self.writes {
            // Used now: what is used stays.
            drop(fs::File::options().write(true).open(&path).and_then(|f| f.set_modified(SystemTime::now())));
        }
        Some(bytes)
    }

    fn put(&self, key: &str, bytes: &[u8]) {
        if !self.writes {
            return;
        }
        let written = fs::create_dir_all(&self.dir)
            .map_err(anyhow::Error::from)
            .and_then(|()| write_whole(&self.dir.join(key), bytes));
        if let Err(e) = written {
            tracing::warn!(
                "a compiled pattern database was not kept, so the next start compiles it again: {e:#}"
            );
        }
        self.prune();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_got_and_the_oldest_goes_past_the_bound() {
        let dir = tempfile::tempdir().unwrap();
        let cache = PatternCache::new(dir.path(), true);
        for n in 0..FILES_MAX + 3 {
            cache.put(&format!("{n:064x}"), &[n as u8]);
        }
        assert_eq!(fs::read_dir(dir.path().join("cache/patterns")).unwrap().count(), FILES_MAX);
        assert_eq!(cache.get(&format!("{:064x}", FILES_MAX)), Some(vec![0]));
        let reader = PatternCache::new(dir.path(), false);
        reader.put("other", b"x");
        assert_eq!(reader.get("other"), None);
    }
}
