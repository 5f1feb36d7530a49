//! What the faulty disk holds: of each file what is written and what is durable, what a power loss makes of the two,
//! and the draws of what goes wrong.

use super::{Faults, Harm};
use std::collections::BTreeMap;
use std::io;

const SECTOR: usize = 512;

/// The disk.
pub(super) struct Disk {
    pub files: BTreeMap<String, MemoryFile>,
    /// Files whose removal no sync of the names has made durable: a power loss may bring them back.
    removed: BTreeMap<String, MemoryFile>,
    pub faults: Faults,
    pub harm: Harm,
    random: u64,
    pub life: u64,
    pub locked: bool,
    pub stops_after: Option<u64>,
    pub is_stopped: bool,
}

#[derive(Default, Clone)]
pub(super) struct MemoryFile {
    pub bytes: Vec<u8>,
    durable: Vec<u8>,
    name_synced: bool,
    /// For each byte, whether a sync failed on it since it was written; shorter than `bytes` where none did.
    dropped: Vec<bool>,
    /// What the sync that has begun makes durable.
    begun: Option<Vec<u8>>,
}

impl MemoryFile {
    pub fn drop_unsynced(&mut self) {
        let is_synced = |(at, byte)| self.durable.get(at) == Some(byte);
        self.dropped = self.bytes.iter().enumerate().map(|byte| !is_synced(byte)).collect();
        self.begun = None;
    }
    fn written(&mut self, from: usize, to: usize) {
        let end = to.min(self.dropped.len());
        self.dropped[from.min(end)..end].fill(false);
    }
    fn sync(&mut self) {
        let mut durable = self.begun.take().unwrap_or_else(|| self.bytes.clone());
        for (at, byte) in
            durable.iter_mut().enumerate().filter(|(at, _)| self.dropped.get(*at) == Some(&true))
        {
            *byte = self.durable.get(at).copied().unwrap_or(0);
        }
        self.durable = durable;
    }
}

impl Disk {
    pub fn new(seed: u64) -> Disk {
        Disk {
            files: BTreeMap::new(),
            removed: BTreeMap::new(),
            faults: Faults::default(),
            harm: Harm::default(),
            random: seed,
            life: 0,
            locked: false,
            stops_after: None,
            is_stopped: false,
        }
    }
    /// SplitMix64: enough for drawing faults, and needs no crate.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
    pub fn happens(&mut self, thousandths: u32) -> bool {
        thousandths > 0 && self.below(1000) < u64::from(thousandths)
    }
    /// Counts a call; whether the machine stops in it.
    pub fn is_last_call(&mut self) -> bool {
        let Some(calls) = &mut self.stops_after else { return false };
        self.is_stopped = *calls == 0;
        *calls = calls.saturating_sub(1);
        self.is_stopped
    }
    pub fn used(&self) -> u64 {
        self.files.values().map(|file| file.bytes.len() as u64).sum()
    }
    pub fn file(&mut self, name: &str) -> io::Result<&mut MemoryFile> {
        self.files.get_mut(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    pub fn put(&mut self, name: &str, bytes: Vec<u8>) {
        let durable = bytes.clone();
        let file = MemoryFile { bytes, durable, name_synced: true, ..MemoryFile::default() };
        self.files.insert(name.to_owned(), file);
    }

    pub fn create(&mut self, name: &str) {
        let file = self.files.entry(name.to_owned()).or_default();
        file.bytes.clear();
        file.dropped.clear();
    }
    pub fn remove(&mut self, name: &str) -> io::Result<()> {
        let removed = self.files.remove(name).ok_or(io::ErrorKind::NotFound)?;
        if removed.name_synced {
            self.removed.insert(name.to_owned(), removed);
        }
        Ok(())
    }
    pub fn sync_names(&mut self) {
        self.files.values_mut().for_each(|file| file.name_synced = true);
        self.removed.clear();
    }
    pub fn write(&mut self, name: &str, start: usize, bytes: &[u8]) -> io::Result<()> {
        let file = self.file(name)?;
        let end = start + bytes.len();
        if file.bytes.len() < end {
            file.bytes.resize(end, 0);
        }
        file.bytes[start..end].copy_from_slice(bytes);
        file.written(start, end);
        Ok(())
    }
    pub fn truncate(&mut self, name: &str, len: usize) -> io::Result<()> {
        let file = self.file(name)?;
        file.bytes.resize(len, 0);
        file.dropped.truncate(len);
        Ok(())
    }
    pub fn begin_sync(&mut self) {
        self.files.values_mut().for_each(|file| file.begun = Some(file.bytes.clone()));
    }
    pub fn sync(&mut self, name: &str) -> io::Result<()> {
        self.file(name)?.sync();
        Ok(())
    }

    /// Writes somewhere else than told.
    pub fn misdirect(&mut self, name: &str, start: usize, bytes: &[u8]) {
        self.harm.misdirected += 1;
        let names: Vec<String> = self.files.keys().cloned().collect();
        let other = names[self.below(names.len() as u64) as usize].clone();
        let len = self.files[&other].bytes.len() as u64;
        let mut at = self.below(len + 1) as usize;
        if other == name && at == start {
            at += 1 + self.below(SECTOR as u64) as usize;
        }
        self.write(&other, at, bytes).expect("it was just listed");
    }
    /// Changes bits of a byte, for good.
    pub fn rot(&mut self, name: &str, at: usize, bits: u8) {
        self.harm.rotted += 1;
        let Some(file) = self.files.get_mut(name) else { return };
        let MemoryFile { bytes, durable, begun, .. } = file;
        for byte in [bytes.get_mut(at), durable.get_mut(at), begun.as_mut().and_then(|b| b.get_mut(at))] {
            byte.into_iter().for_each(|byte| *byte ^= bits);
        }
    }

    /// The machine comes back, without faults.
    pub fn restart(&mut self) {
        self.life += 1;
        (self.locked, self.faults) = (false, Faults::default());
        (self.stops_after, self.is_stopped) = (None, false);
        self.files.values_mut().for_each(|file| file.begun = None);
    }
    /// Nothing is left but what was durable, and of the rest what happened to reach the disk.
    pub fn lose_power(&mut self) {
        let names: Vec<String> = self.files.keys().cloned().collect();
        names.iter().for_each(|name| self.lose(name));
        for (name, file) in std::mem::take(&mut self.removed) {
            let is_there = self.files.get(&name).is_some_and(|file| file.name_synced);
            if !is_there && self.below(2) == 0 {
                self.files.insert(name.clone(), file);
                self.lose(&name);
            }
        }
        for file in self.files.values_mut() {
            file.durable.clone_from(&file.bytes);
            file.name_synced = true;
            file.dropped.clear();
        }
    }
    /// What a power loss leaves of one file: the synced bytes for sure; of the rest nothing, a part from the front, or
    /// any sectors with zeros between. A name that was not synced may be gone.
    fn lose(&mut self, name: &str) {
        let way = self.below(4);
        let Some(mut file) = self.files.remove(name) else { return };
        if !file.name_synced && way == 0 {
            return;
        }
        let same = file.bytes.iter().zip(&file.durable).take_while(|(a, b)| a == b).count();
        match way {
            0 | 1 => file.bytes.clone_from(&file.durable),
            2 => {
                // Writes reached the disk in order, up to some byte.
                let keep = same + self.below((file.bytes.len() - same) as u64 + 1) as usize;
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
                    if end > same && self.below(2) == 0 {
                        bytes[start..end].copy_from_slice(&file.bytes[start..end]);
                        kept_end = kept_end.max(end);
                    }
                }
                bytes.truncate(kept_end);
                file.bytes = bytes;
            }
        }
        self.files.insert(name.to_owned(), file);
    }
}
