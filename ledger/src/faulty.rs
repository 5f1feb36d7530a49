//! A disk in memory that fails as disks do, by seed: errors, short and torn writes, a full disk, failing and lying
//! syncs, crashes that lose what was not synced. For tests and the simulator; the journal does not know it.

use crate::error::{Error, ErrorKind};
use crate::storage::{File, Lock, Storage};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

const SECTOR: usize = 512;

/// How often each thing goes wrong, in thousandths of the calls it can happen to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// A write fails; whether it took none, some or all of the bytes is drawn too.
    pub write: u32,
    /// A write takes fewer bytes than given and says so.
    pub short_write: u32,
    /// A cut fails.
    pub truncate: u32,
    /// Making a file fails.
    pub create: u32,
    /// A sync fails. What was not synced then stays so until it is written again, though later syncs say yes: Linux
    /// tells a failure once and takes the pages as clean.
    pub sync: u32,
    /// A sync says yes and does nothing.
    pub lying_sync: u32,
    /// Bytes the disk takes in all; 0 for no bound.
    pub capacity_bytes: u64,
}

/// What a crash takes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// The process: every byte written stays.
    Process,
    /// The power: of what was not synced, any sectors may be lost, and names may be.
    Power,
}

/// A folder on a faulty disk in memory. Clones share the disk.
#[derive(Clone)]
pub struct MemoryStorage {
    disk: Arc<Mutex<Disk>>,
    /// Handles of before the last crash fail.
    life: u64,
}

struct Disk {
    files: BTreeMap<String, MemoryFile>,
    faults: Faults,
    random: u64,
    life: u64,
    locked: bool,
}

#[derive(Default, Clone)]
struct MemoryFile {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    name_synced: bool,
    /// For each byte, whether a sync failed on it since it was written; shorter than `bytes` where none did.
    dropped: Vec<bool>,
}

impl MemoryFile {
    fn drop_unsynced(&mut self) {
        let is_synced = |(at, byte)| self.durable.get(at) == Some(byte);
        self.dropped = self.bytes.iter().enumerate().map(|byte| !is_synced(byte)).collect();
    }
    fn written(&mut self, from: usize, to: usize) {
        let end = to.min(self.dropped.len());
        self.dropped[from.min(end)..end].fill(false);
    }
    fn sync(&mut self) {
        let mut durable = self.bytes.clone();
        for (at, byte) in
            durable.iter_mut().enumerate().filter(|(at, _)| self.dropped.get(*at) == Some(&true))
        {
            *byte = self.durable.get(at).copied().unwrap_or(0);
        }
        self.durable = durable;
    }
}

impl Disk {
    /// SplitMix64: enough for drawing faults, and needs no crate.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
    fn happens(&mut self, thousandths: u32) -> bool {
        thousandths > 0 && self.below(1000) < u64::from(thousandths)
    }
    fn used(&self) -> u64 {
        self.files.values().map(|file| file.bytes.len() as u64).sum()
    }
    fn file(&mut self, name: &str) -> io::Result<&mut MemoryFile> {
        self.files.get_mut(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl MemoryStorage {
    /// An empty disk without faults; the seed decides every later draw.
    pub fn new(seed: u64) -> MemoryStorage {
        let (files, faults) = (BTreeMap::new(), Faults::default());
        let disk = Disk { files, faults, random: seed, life: 0, locked: false };
        MemoryStorage { disk: Arc::new(Mutex::new(disk)), life: 0 }
    }
    /// From now on these faults are drawn.
    pub fn set_faults(&self, faults: Faults) {
        self.disk().faults = faults;
    }
    /// Crashes: every open handle and lock is dead, and what comes back is the same disk after the restart, without
    /// faults.
    #[must_use]
    pub fn crash(&self, crash: Crash) -> MemoryStorage {
        let mut guard = self.disk();
        let disk = &mut *guard;
        disk.life += 1;
        (disk.locked, disk.faults) = (false, Faults::default());
        if crash == Crash::Power {
            let names: Vec<String> = disk.files.keys().cloned().collect();
            for name in names {
                lose(disk, &name);
            }
        }
        for file in disk.files.values_mut() {
            if crash == Crash::Power {
                file.durable.clone_from(&file.bytes);
                file.name_synced = true;
                file.dropped.clear();
            }
        }
        MemoryStorage { disk: self.disk.clone(), life: disk.life }
    }
    /// All files with their bytes.
    pub fn dump(&self) -> BTreeMap<String, Vec<u8>> {
        self.disk().files.iter().map(|(name, file)| (name.clone(), file.bytes.clone())).collect()
    }
    /// Sets a file's bytes, as if synced.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let file = MemoryFile { durable: bytes.clone(), bytes, name_synced: true, dropped: Vec::new() };
        self.disk().files.insert(name.to_owned(), file);
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("no holder of this lock panics")
    }
    fn alive(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.disk();
        if disk.life != self.life { Err(io::Error::other("the machine has crashed")) } else { Ok(disk) }
    }
    fn handle(&self, name: &str) -> Arc<dyn File> {
        Arc::new(Handle { storage: self.clone(), name: name.to_owned() })
    }
}

/// What a power loss leaves of one file: the synced bytes for sure; of the rest nothing, a part from the front, or any
/// sectors with zeros between. A name that was not synced may be gone.
fn lose(disk: &mut Disk, name: &str) {
    let way = disk.below(4);
    let Some(mut file) = disk.files.remove(name) else { return };
    if !file.name_synced && way == 0 {
        return;
    }
    let same = file.bytes.iter().zip(&file.durable).take_while(|(a, b)| a == b).count();
    match way {
        0 | 1 => file.bytes.clone_from(&file.durable),
        2 => {
            // Writes reached the disk in order, up to some byte.
            let keep = same + disk.below((file.bytes.len() - same) as u64 + 1) as usize;
            let mut bytes = file.bytes[..keep].to_vec();
            if file.durable.len() > keep {
                bytes.extend_from_slice(&file.durable[keep..]);
            }
            file.bytes = bytes;
        }
        _ => {
            let longest = file.bytes.len().max(file.durable.len());
            let mut bytes = file.durable.clone();
            bytes.resize(longest, 0);
            let mut kept_end = file.durable.len();
            for start in (0..file.bytes.len()).step_by(SECTOR) {
                let end = (start + SECTOR).min(file.bytes.len());
                if end > same && disk.below(2) == 0 {
                    bytes[start..end].copy_from_slice(&file.bytes[start..end]);
                    kept_end = kept_end.max(end);
                }
            }
            bytes.truncate(kept_end);
            file.bytes = bytes;
        }
    }
    disk.files.insert(name.to_owned(), file);
}

impl Storage for MemoryStorage {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.alive()?.files.keys().cloned().collect())
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut disk = self.alive()?;
        let rate = disk.faults.create;
        if disk.happens(rate) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = disk.files.entry(name.to_owned()).or_default();
        file.bytes.clear();
        file.dropped.clear();
        drop(disk);
        Ok(self.handle(name))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.alive()?.file(name)?;
        Ok(self.handle(name))
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        let removed = self.alive()?.files.remove(name);
        removed.map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    fn sync_names(&self) -> io::Result<()> {
        let mut disk = self.alive()?;
        let rate = disk.faults.sync;
        if disk.happens(rate) {
            return Err(io::Error::other("the disk failed to sync"));
        }
        disk.files.values_mut().for_each(|file| file.name_synced = true);
        Ok(())
    }
    fn lock(&self) -> Result<Box<dyn Lock>, Error> {
        let mut disk = self.alive().map_err(|e| Error::io("locking", &e))?;
        if std::mem::replace(&mut disk.locked, true) {
            let text = format!("another journal is open on this disk, pid {}", std::process::id());
            return Err(Error::new(ErrorKind::Locked, text));
        }
        Ok(Box::new(MemoryLock(self.clone())))
    }
}

struct MemoryLock(MemoryStorage);
impl Lock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut disk = self.0.disk();
        if disk.life == self.0.life {
            disk.locked = false;
        }
    }
}

struct Handle {
    storage: MemoryStorage,
    name: String,
}

impl File for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.storage.alive()?.file(&self.name)?.bytes.len() as u64)
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.storage.alive()?;
        let bytes = &disk.file(&self.name)?.bytes;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let n = buffer.len().min(bytes.len() - from);
        buffer[..n].copy_from_slice(&bytes[from..from + n]);
        Ok(n)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.storage.alive()?;
        let faults = disk.faults;
        let room = match faults.capacity_bytes {
            0 => bytes.len() as u64,
            capacity => capacity.saturating_sub(disk.used()),
        };
        let (mut taken, mut failed) = (bytes.len().min(room as usize), room == 0);
        if disk.happens(faults.write) {
            (taken, failed) = (taken.min(disk.below(bytes.len() as u64 + 1) as usize), true);
        } else if disk.happens(faults.short_write) {
            taken = taken.min(disk.below(bytes.len() as u64) as usize);
        }
        let file = disk.file(&self.name)?;
        let start = offset as usize;
        if file.bytes.len() < start + taken {
            file.bytes.resize(start + taken, 0);
        }
        file.bytes[start..start + taken].copy_from_slice(&bytes[..taken]);
        file.written(start, start + taken);
        if failed { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
    }
    fn sync(&self) -> io::Result<()> {
        let mut disk = self.storage.alive()?;
        let faults = disk.faults;
        let (fails, lies) = (disk.happens(faults.sync), disk.happens(faults.lying_sync));
        let file = disk.file(&self.name)?;
        if fails {
            file.drop_unsynced();
            return Err(io::Error::other("the disk failed to sync"));
        }
        if !lies {
            file.sync();
        }
        Ok(())
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut disk = self.storage.alive()?;
        let rate = disk.faults.truncate;
        if disk.happens(rate) {
            return Err(io::Error::other("the disk failed to cut a file"));
        }
        let file = disk.file(&self.name)?;
        file.bytes.resize(len as usize, 0);
        file.dropped.truncate(len as usize);
        Ok(())
    }
}
