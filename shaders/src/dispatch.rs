//! Decides for each search whether GPU or CPU answers it, and sees that it is answered: a query that the GPU does
//! not answer in time, completely, or at all runs on SIMD on the thread that asked. Both give the same result.

mod stats;
mod calibrate;
mod answer;
mod selftest;
mod route;
mod queue;
mod bank;
mod search;

pub use bank::BankHandle;
pub use calibrate::{Calibration, NAME_PERCENTS, SearchCost};
pub use stats::{Ran, Stats, Why};

pub(crate) use answer::{Ask, fingerprint_hits, name_hits, vector_hits};
pub(crate) use bank::largest;
pub(crate) use calibrate::best_ns;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::Kernel;
use crate::gpu::{AdapterFacts, Card, Fault, NoGpu, Wanted};
use queue::Shared;

/// Who answers, where both could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The one that is expected to be sooner, by the costs measured at start.
    Calibrated,
    /// The GPU whenever it can: for tests and measurements.
    GpuFirst,
}

/// How a dispatcher is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Take a software adapter where there is no other. It is slower than SIMD: for tests alone.
    pub allow_software: bool,
    /// Who answers, where both could.
    pub route: Route,
    /// The CPU kernel that answers what the GPU does not.
    pub kernel: Kernel,
    /// A batch that takes longer takes the device out of service.
    pub watchdog: Duration,
    /// Bindings, and so shards, of at most this many bytes, however many the adapter allows (at least 4,096).
    pub binding_bytes_max: Option<u64>,
    /// The share of device memory, in percent, past which an upload is refused, where the driver tells its budget.
    pub memory_percent_max: u8,
    /// Bytes of banks that this dispatcher may hold on the device; an upload past them is refused.
    pub banks_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            allow_software: false,
            route: Route::Calibrated,
            kernel: Kernel::best(),
            watchdog: Duration::from_secs(2),
            binding_bytes_max: None,
            memory_percent_max: 90,
            banks_bytes_max: u64::MAX,
        }
    }
}

/// One device and the thread that feeds it.
#[derive(Debug)]
pub struct Dispatcher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    calibration: Calibration,
    options: Options,
}

/// The first run of a pipeline may compile it, which a driver can take seconds for.
const START_WAIT: Duration = Duration::from_secs(30);

/// Compares every shader with its twin, and measures it.
pub(crate) fn calibrated(card: &Card, kernel: Kernel) -> Result<Calibration, Fault> {
    selftest::run(card)?;
    calibrate::measure(card, kernel)
}

impl Dispatcher {
    /// Opens the device, compiles every pipeline, compares each with its twin and measures it. Takes some tenths of
    /// a second; on return the device serves.
    ///
    /// # Errors
    /// [`NoGpu`] where there is no loader, driver or adapter, only a software adapter that is not allowed, or one
    /// that does not open or gives other results than the twin.
    pub fn start(options: Options) -> Result<Self, NoGpu> {
        let card = Card::open(Wanted {
            allow_software: options.allow_software,
            binding_bytes_max: options.binding_bytes_max,
            memory_percent_max: options.memory_percent_max,
        })?;
        let name = &card.gpu().facts.name;
        let calibration = calibrated(&card, options.kernel).map_err(|fault| NoGpu::failed(name, fault))?;
        let shared = Arc::new(Shared::new(card, options.watchdog));
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("interdict-gpu".to_owned())
            .spawn(move || serving.serve())
            .map_err(|e| NoGpu::absent(format!("no thread for the device: {e}")))?;
        Ok(Self { shared, thread: Some(thread), calibration, options })
    }

    /// What the driver says of the adapter.
    #[must_use]
    pub fn adapter(&self) -> &AdapterFacts {
        &self.shared.card.gpu().facts
    }

    /// The costs measured at start.
    #[must_use]
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Queries by backend, faults by kind, and the queue, since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Destroys the device under whatever is in flight, as a driver's reset would: for drills and tests. The
    /// dispatcher serves on, by SIMD.
    pub fn lose_device(&self) {
        self.shared.card.gpu().device.destroy();
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(thread) = self.thread.take() {
            // Its panics end in faults; what is left to join has nothing to say.
            drop(thread.join());
        }
    }
}
