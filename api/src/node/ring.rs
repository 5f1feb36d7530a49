//! The key ring: the master key files of a node and what each is for. `master.key` is number 1 and was there first;
//! later ones are `master-N.key`, named with their ids in `ring.toml`, which holds no key. So a file that is lost,
//! damaged or exchanged is named at start, and a number is never given twice.

use anyhow::{Context, Result, anyhow, bail};
use interdict_ledger::{KeyIdent, MasterKey, Sealing};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The ring's file in the key folder.
pub const RING: &str = "ring.toml";
/// Most keys in a ring, retired ones included.
pub const RING_KEYS_MAX: usize = 1000;

/// What a master key is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Wraps the data keys of segments and dead letters.
    Sealing,
    /// Makes the tags of identifiers that state hangs on.
    Tags,
}

impl Purpose {
    /// Both.
    pub const ALL: [Purpose; 2] = [Purpose::Sealing, Purpose::Tags];

    /// The purpose's name.
    pub const fn name(self) -> &'static str {
        match self {
            Purpose::Sealing => "sealing",
            Purpose::Tags => "tags",
        }
    }
}

/// A key as the ring's file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its number, from 1, without gaps.
    pub number: u32,
    /// Derived from the key; says nothing about it.
    pub id: String,
    /// When it was made, ms since the Unix epoch; 0 where that was before there was a ring.
    pub made_ms: i64,
    /// What it is for.
    pub purposes: Vec<Purpose>,
    /// When it was destroyed, ms since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_ms: Option<i64>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RingFile {
    key: Vec<Row>,
}

/// A key of the ring that is there.
pub struct RingKey {
    /// What the file says of it.
    pub row: Row,
    /// The key.
    pub master: MasterKey,
}

/// The keys of a folder; by default of none.
#[derive(Default)]
pub struct Ring {
    dir: PathBuf,
    /// All there ever were, by number.
    rows: Vec<Row>,
    keys: Vec<RingKey>,
}

/// A key file's name.
pub fn key_file(number: u32) -> String {
    match number {
        1 => "master.key".to_owned(),
        _ => format!("master-{number}.key"),
    }
}

impl Ring {
    /// The ring of a folder; a folder with `master.key` alone is a ring of one key for everything.
    ///
    /// # Errors
    /// A file that is missing, that others may read, or that is not the key that the ring names, by its name.
    pub fn open(dir: &Path) -> Result<Ring> {
        let path = dir.join(RING);
        let rows = match fs::read_to_string(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            read => {
                let text = read.with_context(|| format!("key ring {}", path.display()))?;
                check_mode(&path)?;
                let file: RingFile = toml::from_str(&text)
                    .map_err(|e| anyhow!("key ring {}: {}", path.display(), e.message()))?;
                file.key
            }
        };
        if rows.iter().zip(1..).any(|(row, number)| row.number != number) {
            bail!("key ring {}: its keys are not numbered from 1 on", path.display());
        }
        named_all(dir, &rows)?;
        if rows.is_empty() {
            let master = MasterKey::load(&dir.join(key_file(1))).map_err(|e| anyhow!("{e}"))?;
            let (id, purposes) = (master.ident().to_string(), Purpose::ALL.to_vec());
            let row = Row { number: 1, id, made_ms: 0, purposes, retired_ms: None };
            return Ok(Ring {
                dir: dir.to_owned(),
                rows: vec![row.clone()],
                keys: vec![RingKey { row, master }],
            });
        }
        let keys = rows.iter().filter(|row| row.retired_ms.is_none()).map(|row| load(dir, row));
        Ok(Ring { dir: dir.to_owned(), keys: keys.collect::<Result<_>>()?, rows })
    }

    /// All keys there ever were, by number.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
    /// A key by its number, where it is there.
    pub fn key(&self, number: u32) -> Option<&RingKey> {
        self.keys.iter().find(|key| key.row.number == number)
    }
    /// The newest key for a purpose.
    pub fn newest(&self, purpose: Purpose) -> &RingKey {
        let for_it = |key: &&RingKey| key.row.purposes.contains(&purpose);
        self.keys.iter().rev().find(for_it).unwrap_or(&self.keys[0])
    }
    /// The keys for a purpose, oldest first.
    pub fn of(&self, purpose: Purpose) -> impl Iterator<Item = &RingKey> {
        self.keys.iter().filter(move |key| key.row.purposes.contains(&purpose))
    }
    /// The number of an id, retired or not.
    pub fn number_of(&self, id: KeyIdent) -> Option<u32> {
        self.rows.iter().find(|row| row.id == id.to_string()).map(|row| row.number)
    }
    /// What data keys are wrapped under: every key can have been that.
    pub fn sealing(&self) -> Sealing {
        let newest = self.newest(Purpose::Sealing).row.number;
        let rest = self.keys.iter().filter(|key| key.row.number != newest);
        let last = self.key(newest).into_iter();
        Sealing::of(rest.chain(last).map(|key| &key.master))
    }

    /// Makes a key for some purposes; its number. A running node goes on with the keys it has until it is told.
    ///
    /// # Errors
    /// When the folder cannot be written; everything is as before then.
    pub fn add(dir: &Path, purposes: &[Purpose], now_ms: i64) -> Result<u32> {
        let _lock = lock(dir)?;
        let ring = Ring::open(dir)?;
        if ring.rows.len() >= RING_KEYS_MAX {
            bail!("key ring {}: {RING_KEYS_MAX} keys, the most there can be", dir.display());
        }
        let number = ring.rows.len() as u32 + 1;
        let (path, aside) = (dir.join(key_file(number)), aside(dir, number));
        // What an earlier attempt left is no key of anything.
        match fs::remove_file(&aside) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(e).with_context(|| aside.display().to_string());
            }
            _ => {}
        }
        let master = MasterKey::create(&aside).map_err(|e| anyhow!("{e}"))?;
        let mut rows = ring.rows;
        rows.push(Row {
            number,
            id: master.ident().to_string(),
            made_ms: now_ms,
            purposes: purposes.to_vec(),
            retired_ms: None,
        });
        // The name comes last: what lies aside and is in the ring is found there, whatever ends this here.
        write(dir, rows)?;
        fs::rename(&aside, &path).with_context(|| path.display().to_string())?;
        fs::File::open(dir).and_then(|dir| dir.sync_all()).with_context(|| dir.display().to_string())?;
        Ok(number)
    }

    /// Destroys a key that nothing needs any more, which the caller has made sure of: its file is overwritten and
    /// removed; the ring goes on naming it.
    ///
    /// # Errors
    /// A key that is not there, and what the system says.
    pub fn retire(dir: &Path, number: u32, now_ms: i64) -> Result<()> {
        let _lock = lock(dir)?;
        let ring = Ring::open(dir)?;
        let mut rows = ring.rows;
        let row = rows.iter_mut().find(|row| row.number == number && row.retired_ms.is_none());
        row.with_context(|| format!("key ring {}: there is no key {number}", dir.display()))?.retired_ms =
            Some(now_ms);
        write(dir, rows)?;
        let path = dir.join(key_file(number));
        let destroy = || -> std::io::Result<()> {
            let file = fs::OpenOptions::new().write(true).open(&path)?;
            file.write_all_at(&[0; 32], 0)?;
            file.sync_all()?;
            fs::remove_file(&path)?;
            fs::File::open(dir)?.sync_all()
        };
        destroy().with_context(|| path.display().to_string())
    }
    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

fn aside(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("master-{number}.new"))
}

/// One at a time; the lock goes with the handle.
fn lock(dir: &Path) -> Result<fs::File> {
    let shown = || format!("key folder {}", dir.display());
    let handle = fs::File::open(dir).with_context(shown)?;
    handle.lock().with_context(shown)?;
    Ok(handle)
}

fn write(dir: &Path, rows: Vec<Row>) -> Result<()> {
    let text = toml::to_string(&RingFile { key: rows }).context("a ring is text and numbers")?;
    let text = format!("# The keys of this node and what each is for; `interdict keys` writes it.\n\n{text}");
    let (path, aside) = (dir.join(RING), dir.join("ring.new"));
    let write = || -> std::io::Result<()> {
        match fs::remove_file(&aside) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&aside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, &path)?;
        fs::File::open(dir)?.sync_all()
    };
    write().with_context(|| format!("writing {}", path.display()))
}

fn check_mode(path: &Path) -> Result<()> {
    let mode = fs::metadata(path).with_context(|| path.display().to_string())?.permissions().mode() & 0o7777;
    if mode != 0o600 {
        bail!("key ring {}: mode {mode:04o}, must be 0600: only its owner may write it", path.display());
    }
    Ok(())
}

/// Key files that the ring does not name: it was lost, or put back from an older copy.
fn named_all(dir: &Path, rows: &[Row]) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("key folder {}", dir.display()))? {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix("master-")?.strip_suffix(".key"));
        let Some(number) = digits.and_then(|digits| digits.parse::<u32>().ok()) else { continue };
        if !rows.iter().any(|row| row.number == number) {
            bail!(
                "key ring {}: {} is there, and the ring does not name it; put {RING} back from a backup of the keys",
                dir.join(RING).display(),
                key_file(number)
            );
        }
    }
    Ok(())
}

fn load(dir: &Path, row: &Row) -> Result<RingKey> {
    let name = key_file(row.number);
    let known: KeyIdent = row.id.parse().map_err(|e| anyhow!("key ring: {name}: {e}"))?;
    let (path, aside) = (dir.join(&name), aside(dir, row.number));
    // `add` was ended between the ring and the name.
    let path = if !path.exists() && aside.exists() { aside } else { path };
    let advice = "put it back from a backup of the keys";
    if !path.exists() {
        bail!("key ring: key {} is lost: there is no {}; {advice}", row.number, path.display());
    }
    let master =
        MasterKey::load(&path).map_err(|e| anyhow!("key ring: key {}: {e}; {advice}", row.number))?;
    if master.ident() != known {
        bail!(
            "key ring: {} is not key {} of the ring, {known}: it is {}, damaged or another's; {advice}",
            path.display(),
            row.number,
            master.ident()
        );
    }
    Ok(RingKey { row: row.clone(), master })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        MasterKey::load_or_create(&dir.path().join(key_file(1))).unwrap();
        dir
    }
    fn error(dir: &Path) -> String {
        format!("{:#}", Ring::open(dir).err().unwrap())
    }

    #[test]
    fn a_ring_grows_and_names_what_is_lost_damaged_or_open_to_others() {
        let dir = folder();
        let dir = dir.path();
        let alone = Ring::open(dir).unwrap();
        assert_eq!(alone.newest(Purpose::Sealing).row.number, 1);
        assert_eq!(Ring::add(dir, &[Purpose::Sealing], 5).unwrap(), 2);
        assert_eq!(Ring::add(dir, &[Purpose::Tags], 6).unwrap(), 3);
        let ring = Ring::open(dir).unwrap();
        assert_eq!(ring.newest(Purpose::Sealing).row.number, 2);
        assert_eq!(ring.newest(Purpose::Tags).row.number, 3);
        assert_eq!(ring.sealing().newest(), ring.key(2).unwrap().master.ident());
        assert_eq!(ring.number_of(alone.newest(Purpose::Tags).master.ident()), Some(1));
        for name in [RING, "master-2.key", "master-3.key"] {
            let mode = fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o7777;
            assert_eq!(mode, 0o600, "{name}");
        }

        let (path, kept) = (dir.join("master-2.key"), fs::read(dir.join("master-2.key")).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(
            error(dir).contains("key 2 is lost") && error(dir).contains("master-2.key"),
            "{}",
            error(dir)
        );
        let put = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        };
        let mut bad = kept.clone();
        bad[7] ^= 1;
        put(&bad);
        assert!(error(dir).contains("master-2.key is not key 2 of the ring"), "{}", error(dir));
        put(&kept[..31]);
        assert!(error(dir).contains("key 2") && error(dir).contains("31 bytes"), "{}", error(dir));
        put(&kept);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(error(dir).contains("0640"), "{}", error(dir));
        put(&kept);
        let text = fs::read(dir.join(RING)).unwrap();
        fs::remove_file(dir.join(RING)).unwrap();
        assert!(error(dir).contains("the ring does not name it"), "{}", error(dir));
        fs::write(dir.join(RING), text).unwrap();
        assert!(error(dir).contains("0644"), "{}", error(dir));
        fs::set_permissions(dir.join(RING), fs::Permissions::from_mode(0o600)).unwrap();
        Ring::open(dir).unwrap();
    }

    #[test]
    fn a_retired_key_is_gone_and_its_number_not_given_again() {
        let dir = folder();
        let dir = dir.path();
        Ring::add(dir, &Purpose::ALL, 5).unwrap();
        Ring::retire(dir, 1, 9).unwrap();
        assert!(!dir.join("master.key").exists());
        let ring = Ring::open(dir).unwrap();
        assert!(ring.key(1).is_none() && ring.rows()[0].retired_ms == Some(9));
        assert_eq!(ring.newest(Purpose::Tags).row.number, 2);
        assert!(Ring::retire(dir, 1, 9).is_err());
        assert_eq!(Ring::add(dir, &[Purpose::Tags], 5).unwrap(), 3);
    }

    /// Ended at either place, the ring is the one before or the one after.
    #[test]
    fn a_key_that_was_being_made_is_there_or_not() {
        let dir = folder();
        let dir = dir.path();
        Ring::add(dir, &[Purpose::Tags], 5).unwrap();
        // After the ring, before the name.
        fs::rename(dir.join("master-2.key"), aside(dir, 2)).unwrap();
        assert_eq!(Ring::open(dir).unwrap().newest(Purpose::Tags).row.number, 2);
        // Before the ring.
        fs::rename(aside(dir, 2), dir.join("master-2.key")).unwrap();
        fs::write(aside(dir, 3), [1; 32]).unwrap();
        assert_eq!(Ring::open(dir).unwrap().newest(Purpose::Tags).row.number, 2);
        assert_eq!(Ring::add(dir, &[Purpose::Tags], 6).unwrap(), 3);
        assert_ne!(fs::read(dir.join("master-3.key")).unwrap(), [1; 32]);
    }
}
