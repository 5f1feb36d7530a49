//! What can go wrong on a GPU, counted by kind, and the flag that takes a faulty device out of service.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Kinds of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// The device is gone: reset, unplugged or destroyed.
    Lost,
    /// A batch took longer than the watchdog allows.
    Timeout,
    /// No memory for a bank or a batch.
    OutOfMemory,
    /// wgpu refused a call: a bug of ours, or a limit that was not known.
    Validation,
    /// The driver or wgpu failed in another way.
    Internal,
    /// The device's answer differs from the twin's.
    Wrong,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Lost, Self::Timeout, Self::OutOfMemory, Self::Validation, Self::Internal, Self::Wrong];

    /// The kind's name, as metrics label it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Timeout => "timeout",
            Self::OutOfMemory => "out_of_memory",
            Self::Validation => "validation",
            Self::Internal => "internal",
            Self::Wrong => "wrong",
        }
    }
}

/// A fault, with what the driver said of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("gpu {}: {detail}", kind.name())]
pub struct Fault {
    /// Its kind.
    pub kind: FaultKind,
    /// The driver's or wgpu's words; never a bank's or a query's content.
    pub detail: String,
}

impl Fault {
    pub(crate) fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// A wait for `what` that did not end well.
    pub(crate) fn waiting(what: &str, error: &wgpu::PollError) -> Self {
        let kind = match error {
            wgpu::PollError::Timeout => FaultKind::Timeout,
            // What is waited for was never submitted: wgpu drops the submissions to a lost device in silence.
            wgpu::PollError::WrongSubmissionIndex(..) => FaultKind::Lost,
        };
        Self::new(kind, format!("{what}: {error}"))
    }
}

impl From<wgpu::Error> for Fault {
    fn from(error: wgpu::Error) -> Self {
        match error {
            wgpu::Error::OutOfMemory { source } => Self::new(FaultKind::OutOfMemory, source.to_string()),
            wgpu::Error::Validation { description, .. } => Self::new(FaultKind::Validation, description),
            wgpu::Error::Internal { description, .. } => Self::new(FaultKind::Internal, description),
        }
    }
}

/// There is no GPU to serve: everything runs on SIMD.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no gpu: {why}")]
pub struct NoGpu {
    /// Why, in words.
    pub why: String,
    /// What went wrong with a device that is there; `None` where there is none to use, which is no fault.
    pub fault: Option<Fault>,
}

impl NoGpu {
    /// No device that may serve.
    pub(crate) fn absent(why: impl Into<String>) -> Self {
        Self { why: why.into(), fault: None }
    }

    /// The device `name` is there, and does not work.
    pub(crate) fn failed(name: &str, fault: Fault) -> Self {
        Self { why: format!("{name}: {fault}"), fault: Some(fault) }
    }
}

/// The health of one device, shared with wgpu's handlers.
#[derive(Debug, Default)]
pub(crate) struct Health {
    retired: AtomicBool,
    why: Mutex<Option<Fault>>,
    counts: [AtomicU64; FaultKind::ALL.len()],
}

impl Health {
    /// Counts a fault that leaves the device in service.
    pub(crate) fn count(&self, kind: FaultKind) {
        self.counts[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a fault and takes the device out of service. The first such fault is kept as the reason; what follows
    /// from it on a device already retired is not counted again.
    pub(crate) fn retire(&self, fault: &Fault) {
        let mut why = self.why.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if why.is_none() {
            self.count(fault.kind);
            *why = Some(fault.clone());
        }
        self.retired.store(true, Ordering::Release);
    }

    /// The device serves no more.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Why it serves no more.
    pub(crate) fn why(&self) -> Option<Fault> {
        self.why.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Faults by kind, in the order of [`FaultKind::ALL`].
    pub(crate) fn counts(&self) -> [u64; FaultKind::ALL.len()] {
        std::array::from_fn(|kind| self.counts[kind].load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submission_that_the_device_never_took_means_that_it_is_lost() {
        assert_eq!(Fault::waiting("a batch", &wgpu::PollError::Timeout).kind, FaultKind::Timeout);
        let never = wgpu::PollError::WrongSubmissionIndex(7, 6);
        assert_eq!(Fault::waiting("a batch", &never).kind, FaultKind::Lost);
    }

    #[test]
    fn the_first_fault_that_retires_is_the_reason_and_is_counted_once() {
        let health = Health::default();
        health.count(FaultKind::OutOfMemory);
        assert!(!health.is_retired());
        health.retire(&Fault::new(FaultKind::Lost, "reset"));
        health.retire(&Fault::new(FaultKind::Internal, "what followed"));
        assert!(health.is_retired());
        assert_eq!(health.why().map(|fault| fault.to_string()), Some("gpu lost: reset".to_owned()));
        assert_eq!(health.counts(), [1, 0, 1, 0, 0, 0]);
    }
}
