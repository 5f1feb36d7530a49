//! A disk in memory that fails as disks do, by seed: errors, short, torn and misdirected writes, bits that rot, a full
//! disk, failing, slow and lying syncs, a machine that stops in the middle of a call, crashes that lose what was not
//! synced. For tests and the simulator; the journal does not know it.

mod disk;

use crate::error::{Error, ErrorKind};
use crate::storage::{File, Lock, Storage};
use disk::Disk;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// How often each thing goes wrong, in thousandths of the calls it can happen to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// A write fails; whether it took none, some or all of the bytes is drawn too.
    pub write: u32,
    /// A write takes fewer bytes than given and says so.
    pub short_write: u32,
    /// A write takes all bytes, says so, and puts them elsewhere: in the same file or another.
    pub misdirect: u32,
    /// A cut fails.
    pub truncate: u32,
    /// Making a file fails.
    pub create: u32,
    /// A read fails.
    pub read: u32,
    /// A read finds one bit of what it reads changed, for good.
    pub rot: u32,
    /// A sync fails. What was not synced then stays so until it is written again, though later syncs say yes: Linux
    /// tells a failure once and takes the pages as clean.
    pub sync: u32,
    /// A sync says yes and does nothing.
    pub lying_sync: u32,
    /// Bytes the disk takes in all; 0 for no bound.
    pub capacity_bytes: u64,
}

/// What the disk did that no caller was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Harm {
    /// Writes that went elsewhere.
    pub misdirected: u64,
    /// Bits that changed.
    pub rotted: u64,
    /// Syncs that did nothing.
    pub lied: u64,
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

impl MemoryStorage {
    /// An empty disk without faults; the seed decides every later draw.
    pub fn new(seed: u64) -> MemoryStorage {
        MemoryStorage { disk: Arc::new(Mutex::new(Disk::new(seed))), life: 0 }
    }
    /// From now on these faults are drawn.
    pub fn set_faults(&self, faults: Faults) {
        self.disk().faults = faults;
    }
    /// What it did so far that nobody was told.
    pub fn harm(&self) -> Harm {
        self.disk().harm
    }
    /// A sync has begun elsewhere: the next one makes durable what is written now, and nothing behind.
    pub fn begin_sync(&self) {
        self.disk().begin_sync();
    }
    /// The machine stops at the call after so many more that change something (`None`: it does not): that call has any
    /// part of its effect, and it and all later ones fail, until [`MemoryStorage::crash`].
    pub fn stop_after(&self, calls: Option<u64>) {
        self.disk().stops_after = calls;
    }
    /// Whether the machine stands still.
    pub fn is_stopped(&self) -> bool {
        let disk = self.disk();
        disk.is_stopped || disk.life != self.life
    }
    /// Crashes: every open handle and lock is dead, and what comes back is the same disk after the restart, without
    /// faults.
    #[must_use]
    pub fn crash(&self, crash: Crash) -> MemoryStorage {
        let mut disk = self.disk();
        disk.restart();
        if crash == Crash::Power {
            disk.lose_power();
        }
        MemoryStorage { disk: self.disk.clone(), life: disk.life }
    }
    /// All files with their bytes.
    pub fn dump(&self) -> BTreeMap<String, Vec<u8>> {
        self.disk().files.iter().map(|(name, file)| (name.clone(), file.bytes.clone())).collect()
    }
    /// How many bytes its files have in all.
    pub fn used_bytes(&self) -> u64 {
        self.disk().used()
    }
    /// Sets a file's bytes, as if synced.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        self.disk().put(name, bytes);
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("no holder of this lock panics")
    }
    fn alive(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.disk();
        if disk.life != self.life || disk.is_stopped { Err(crashed()) } else { Ok(disk) }
    }
    /// As [`MemoryStorage::alive`], for a call that changes something, which may be the machine's last: `Err` with
    /// the disk where it is, to have some of its effect.
    fn call(&self) -> io::Result<Result<MutexGuard<'_, Disk>, MutexGuard<'_, Disk>>> {
        let mut disk = self.alive()?;
        Ok(if disk.is_last_call() { Err(disk) } else { Ok(disk) })
    }
    fn handle(&self, name: &str) -> Arc<dyn File> {
        Arc::new(Handle { storage: self.clone(), name: name.to_owned() })
    }
}

fn crashed() -> io::Error {
    io::Error::other("the machine has crashed")
}

impl Storage for MemoryStorage {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.alive()?.files.keys().cloned().collect())
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut disk = match self.call()? {
            Ok(disk) => disk,
            Err(mut last) => {
                if last.below(2) == 0 {
                    last.create(name);
                }
                return Err(crashed());
            }
        };
        let rate = disk.faults.create;
        if disk.happens(rate) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.create(name);
        drop(disk);
        Ok(self.handle(name))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.alive()?.file(name)?;
        Ok(self.handle(name))
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        match self.call()? {
            Ok(mut disk) => disk.remove(name),
            Err(mut last) => {
                if last.below(2) == 0 {
                    let _ = last.remove(name);
                }
                Err(crashed())
            }
        }
    }
    fn sync_names(&self) -> io::Result<()> {
        let mut disk = self.call()?.map_err(|_| crashed())?;
        let (fails, lies) = (disk.faults.sync, disk.faults.lying_sync);
        if disk.happens(fails) {
            return Err(io::Error::other("the disk failed to sync"));
        }
        if disk.happens(lies) {
            disk.harm.lied += 1;
        } else {
            disk.sync_names();
        }
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
        let (fails, rots) = (disk.faults.read, disk.faults.rot);
        if disk.happens(fails) {
            return Err(io::Error::other("the disk failed to read"));
        }
        let len = disk.file(&self.name)?.bytes.len();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(len);
        let n = buffer.len().min(len - from);
        if n > 0 && disk.happens(rots) {
            let (at, bit) = (from + disk.below(n as u64) as usize, disk.below(8));
            disk.rot(&self.name, at, 1 << bit);
        }
        buffer[..n].copy_from_slice(&disk.file(&self.name)?.bytes[from..from + n]);
        Ok(n)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut disk = match self.storage.call()? {
            Ok(disk) => disk,
            Err(mut last) => {
                let taken = last.below(bytes.len() as u64 + 1) as usize;
                last.write(&self.name, offset as usize, &bytes[..taken])?;
                return Err(crashed());
            }
        };
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
        if !failed && disk.happens(faults.misdirect) {
            disk.misdirect(&self.name, offset as usize, &bytes[..taken]);
        } else {
            disk.write(&self.name, offset as usize, &bytes[..taken])?;
        }
        if failed { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
    }
    fn sync(&self) -> io::Result<()> {
        let mut disk = match self.storage.call()? {
            Ok(disk) => disk,
            Err(mut last) => {
                if last.below(2) == 0 {
                    last.sync(&self.name)?;
                }
                return Err(crashed());
            }
        };
        let faults = disk.faults;
        let (fails, lies) = (disk.happens(faults.sync), disk.happens(faults.lying_sync));
        if fails {
            disk.file(&self.name)?.drop_unsynced();
            return Err(io::Error::other("the disk failed to sync"));
        }
        if lies {
            disk.harm.lied += 1;
            return Ok(());
        }
        disk.sync(&self.name)
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut disk = self.storage.call()?.map_err(|_| crashed())?;
        let rate = disk.faults.truncate;
        if disk.happens(rate) {
            return Err(io::Error::other("the disk failed to cut a file"));
        }
        disk.truncate(&self.name, len as usize)
    }
}
