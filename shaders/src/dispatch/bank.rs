//! A bank and its copy on the device. A handle is made for one state of a bank and never changes; a newer state is
//! a new handle, and the device's memory is free again when the last user of the old one is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Dispatcher;
use super::queue::Shared;
use crate::gpu::{Fault, FaultKind, GpuBank};
use crate::layout::{FingerprintBank, NameBank, VECTOR_WORDS, VectorBank};

/// A bank that can be searched on either side.
#[derive(Debug, Clone)]
pub struct BankHandle<B> {
    bank: Arc<B>,
    pub(super) gpu: Result<Arc<Uploaded>, Fault>,
    /// Of vectors, the largest value without its sign; 0 for other banks.
    pub(super) largest: u32,
    version: u64,
}

/// A bank on the device, and the bytes that it is accounted with.
#[derive(Debug)]
pub(super) struct Uploaded {
    pub bank: Arc<GpuBank>,
    bytes: u64,
    shared: Arc<Shared>,
}

impl Drop for Uploaded {
    fn drop(&mut self) {
        self.shared.counters.banks_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl<B> BankHandle<B> {
    /// The bank.
    #[must_use]
    pub fn bank(&self) -> &Arc<B> {
        &self.bank
    }

    /// Why the bank is not on the device, if it is not: searches run on SIMD.
    #[must_use]
    pub fn refused(&self) -> Option<&Fault> {
        self.gpu.as_ref().err()
    }

    /// Shards on the device (0 where it was refused).
    #[must_use]
    pub fn shards_len(&self) -> usize {
        self.gpu.as_ref().map_or(0, |uploaded| uploaded.bank.shards.len())
    }

    /// A number that rises with every handle of this process.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }
}

fn next_version() -> u64 {
    static VERSION: AtomicU64 = AtomicU64::new(0);
    VERSION.fetch_add(1, Ordering::Relaxed)
}

impl Dispatcher {
    /// Copies a bank of names to the device. Where the device refuses it (no memory, out of service) the handle
    /// says so, the fault is counted, and searches run on SIMD. Blocks for the transfer; not for a hot path.
    #[must_use]
    pub fn upload_names(&self, bank: Arc<NameBank>) -> BankHandle<NameBank> {
        let bytes = bank.words().len() * 4 + bank.blocks().len() * 8 + bank.lengths().len();
        let gpu = self.accounted(bytes as u64, || self.shared.card.upload_names(&bank));
        BankHandle { bank, gpu, largest: 0, version: next_version() }
    }

    /// Copies a bank of fingerprints to the device, as [`Dispatcher::upload_names`] does.
    #[must_use]
    pub fn upload_fingerprints(&self, bank: Arc<FingerprintBank>) -> BankHandle<FingerprintBank> {
        let bytes = bank.words().len() as u64 * 4;
        let gpu = self.accounted(bytes, || self.shared.card.upload_vectors(&bank));
        BankHandle { bank, gpu, largest: 0, version: next_version() }
    }

    /// Copies a bank of vectors to the device, as [`Dispatcher::upload_names`] does.
    #[must_use]
    pub fn upload_vectors(&self, bank: Arc<VectorBank>) -> BankHandle<VectorBank> {
        let bytes = bank.words().len() as u64 * 4;
        let gpu = self.accounted(bytes, || self.shared.card.upload_vectors(&bank));
        let largest = largest(&bank);
        BankHandle { bank, gpu, largest, version: next_version() }
    }

    fn accounted(
        &self,
        bytes: u64,
        upload: impl FnOnce() -> Result<GpuBank, Fault>,
    ) -> Result<Arc<Uploaded>, Fault> {
        let held = &self.shared.counters.banks_bytes;
        let before = held.fetch_add(bytes, Ordering::Relaxed);
        let limit = self.options.banks_bytes_max;
        let done = if before.saturating_add(bytes) > limit {
            self.shared.card.gpu().health.count(FaultKind::OutOfMemory);
            let detail = format!("a bank of {bytes} bytes beside {before}, limit {limit}");
            Err(Fault { kind: FaultKind::OutOfMemory, detail })
        } else {
            upload()
        };
        match done {
            Ok(bank) => {
                Ok(Arc::new(Uploaded { bank: Arc::new(bank), bytes, shared: Arc::clone(&self.shared) }))
            }
            Err(fault) => {
                held.fetch_sub(bytes, Ordering::Relaxed);
                Err(fault)
            }
        }
    }
}

/// The largest value of a bank's vectors without its sign (0 to 128).
pub(crate) fn largest(bank: &VectorBank) -> u32 {
    const { assert!(VECTOR_WORDS == 16) };
    let bytes: &[i8] = bytemuck::cast_slice(bank.words());
    bytes.iter().map(|value| u32::from(value.unsigned_abs())).max().unwrap_or(0)
}
