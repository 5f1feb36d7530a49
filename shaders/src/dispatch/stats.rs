//! Where queries ran and why, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::gpu::{Fault, FaultKind};
use crate::shader::Search;

/// Where a query ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ran {
    /// On the GPU.
    Gpu,
    /// On the CPU's SIMD path.
    Simd(Why),
}

/// Why a query ran on the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// The CPU is expected to be sooner.
    BreakEven,
    /// The GPU might not answer within the query's budget.
    Budget,
    /// The bank is not on the device.
    NotUploaded,
    /// The queue was full.
    Busy,
    /// The device is out of service, or failed under this query.
    Fault,
    /// The GPU's answer did not come in time.
    Late,
    /// More hits than a batch keeps.
    Overflow,
}

impl Why {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::BreakEven,
        Self::Budget,
        Self::NotUploaded,
        Self::Busy,
        Self::Fault,
        Self::Late,
        Self::Overflow,
    ];

    /// The reason's name, as metrics label it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BreakEven => "break_even",
            Self::Budget => "budget",
            Self::NotUploaded => "not_uploaded",
            Self::Busy => "busy",
            Self::Fault => "fault",
            Self::Late => "late",
            Self::Overflow => "overflow",
        }
    }
}

/// What a dispatcher has done since its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Queries answered by the GPU, by search, in the order of [`Search::ALL`].
    pub gpu: [u64; Search::ALL.len()],
    /// Queries answered by the CPU, by reason, in the order of [`Why::ALL`].
    pub simd: [u64; Why::ALL.len()],
    /// Faults by kind, in the order of [`FaultKind::ALL`].
    pub faults: [u64; FaultKind::ALL.len()],
    /// Batches that the GPU answered.
    pub batches: u64,
    /// Queries that wait for the device now.
    pub queue_len: usize,
    /// Bytes of banks on the device now.
    pub banks_bytes: u64,
    /// Why the device is out of service, if it is.
    pub retired: Option<Fault>,
}

impl Stats {
    /// Queries answered by the GPU.
    #[must_use]
    pub fn gpu_queries(&self) -> u64 {
        self.gpu.iter().sum()
    }

    /// Queries answered by the CPU.
    #[must_use]
    pub fn simd_queries(&self) -> u64 {
        self.simd.iter().sum()
    }

    /// Queries answered by the CPU for that reason.
    #[must_use]
    pub fn simd_for(&self, why: Why) -> u64 {
        self.simd[why as usize]
    }

    /// Faults of that kind.
    #[must_use]
    pub fn faults_of(&self, kind: FaultKind) -> u64 {
        self.faults[kind as usize]
    }
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    gpu: [AtomicU64; Search::ALL.len()],
    simd: [AtomicU64; Why::ALL.len()],
    pub batches: AtomicU64,
    pub banks_bytes: AtomicU64,
}

impl Counters {
    pub(super) fn count(&self, search: Search, ran: Ran) {
        let counter = match ran {
            Ran::Gpu => &self.gpu[search as usize],
            Ran::Simd(why) => &self.simd[why as usize],
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn gpu(&self) -> [u64; Search::ALL.len()] {
        std::array::from_fn(|search| self.gpu[search].load(Ordering::Relaxed))
    }

    pub(super) fn simd(&self) -> [u64; Why::ALL.len()] {
        std::array::from_fn(|why| self.simd[why].load(Ordering::Relaxed))
    }
}
