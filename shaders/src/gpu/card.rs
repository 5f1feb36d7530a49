//! A device with all that it needs to run batches. wgpu panics in some calls on a lost device; such a panic ends
//! here as a fault, like every other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Batch, Fault, FaultKind, Found, Gpu, GpuBank, NoGpu, Pipelines, Runner, Wanted};
use crate::layout::{Columns, NameBank};

/// An open device, compiled and ready to run.
#[derive(Debug)]
pub(crate) struct Card {
    gpu: Gpu,
    pipelines: Pipelines,
    runner: Mutex<Runner>,
}

impl Card {
    /// Opens and compiles; why not, in words, where it cannot.
    pub(crate) fn open(wanted: Wanted) -> Result<Self, NoGpu> {
        let opened = catch_unwind(|| {
            let gpu = Gpu::open(wanted)?;
            let compiled = Pipelines::new(&gpu)
                .and_then(|pipelines| Runner::new(&gpu, &pipelines).map(|runner| (pipelines, runner)));
            match compiled {
                Ok((pipelines, runner)) => Ok(Self { gpu, pipelines, runner: Mutex::new(runner) }),
                Err(fault) => Err(NoGpu::failed(&gpu.facts.name, fault)),
            }
        });
        opened.unwrap_or_else(|_| {
            let fault = Fault::new(FaultKind::Internal, "a panic while the device was opened");
            Err(NoGpu::failed("the Vulkan driver", fault))
        })
    }

    pub(crate) fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Runs one batch. Every fault but a lack of memory takes the device out of service.
    pub(crate) fn run(&self, batch: &Batch<'_>, timeout: Duration) -> Result<Vec<Found>, Fault> {
        let runner = self.runner.lock().unwrap_or_else(PoisonError::into_inner);
        self.caught(|| runner.run(&self.gpu, &self.pipelines, batch, timeout))
    }

    /// Uploads a bank of names.
    pub(crate) fn upload_names(&self, bank: &NameBank) -> Result<GpuBank, Fault> {
        self.caught(|| GpuBank::names(&self.gpu, &self.pipelines, bank))
    }

    /// Uploads a bank of fingerprints or vectors.
    pub(crate) fn upload_vectors<const WORDS: usize>(&self, bank: &Columns<WORDS>) -> Result<GpuBank, Fault> {
        self.caught(|| GpuBank::vectors(&self.gpu, &self.pipelines, bank))
    }

    fn caught<T>(&self, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        let health = &self.gpu.health;
        if let Some(fault) = health.why() {
            return Err(fault);
        }
        let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            let words = panic.downcast_ref::<String>().map_or("wgpu panicked", String::as_str);
            let lost = health.is_retired() || words.to_lowercase().contains("lost");
            let kind = if lost { FaultKind::Lost } else { FaultKind::Internal };
            Err(Fault::new(kind, words))
        });
        if let Err(fault) = &done {
            match fault.kind {
                FaultKind::OutOfMemory => health.count(fault.kind),
                _ => health.retire(fault),
            }
        }
        done
    }
}

#[cfg(test)]
impl Card {
    /// Any adapter; without one the tests that want it have nothing to say (tests/gpu.rs fails there under
    /// `CI=true`).
    pub(crate) fn any() -> Option<Self> {
        let wanted = Wanted { allow_software: true, binding_bytes_max: None, memory_percent_max: 90 };
        let no_gpu = match Self::open(wanted) {
            Ok(card) => return Some(card),
            Err(no_gpu) => no_gpu,
        };
        assert_eq!(no_gpu.fault, None, "{no_gpu}");
        eprintln!("skipped: {no_gpu}");
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_wgpu_is_a_fault_and_retires_the_device() {
        let Some(card) = Card::any() else { return };
        let fault =
            card.caught::<()>(|| panic!("{}", "Error in Device::poll: Parent device is lost")).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Lost);
        assert!(card.gpu().health.is_retired());
        assert_eq!(card.caught(|| Ok(1)).unwrap_err(), fault, "nothing runs on a retired device");
    }

    #[test]
    fn a_buffer_that_no_device_has_room_for_is_a_fault() {
        let Some(card) = Card::any() else { return };
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        let fault = card.caught(|| card.gpu().buffer("a pebibyte", 1 << 50, usage)).unwrap_err();
        assert!(matches!(fault.kind, FaultKind::OutOfMemory | FaultKind::Validation), "{fault}");
    }

    #[test]
    fn a_lack_of_memory_leaves_the_device_in_service() {
        let Some(card) = Card::any() else { return };
        let full = || Err::<(), _>(Fault::new(FaultKind::OutOfMemory, "not enough memory left"));
        assert_eq!(card.caught(full).unwrap_err().kind, FaultKind::OutOfMemory);
        assert!(!card.gpu().health.is_retired());
        assert_eq!(card.caught(|| Ok(1)), Ok(1));
        assert_eq!(card.gpu().health.counts()[FaultKind::OutOfMemory as usize], 1);
    }
}
