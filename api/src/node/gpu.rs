//! The device that lanes may ask of banks: opened before the node is ready, given copies of what banks have learned,
//! and opened anew after it failed, all on a thread of its own. Without one, and whenever it does not answer, lanes
//! search on the CPU and find the same.

use super::Node;
use super::background::Background;
use crate::config::schema::GpuUse;
use anyhow::{Result, bail};
use arc_swap::ArcSwapOption;
use interdict_engine::generation::View;
use interdict_engine::similarity::vectors::Frozen;
use interdict_shaders::shader::Search;
use interdict_shaders::{Dispatcher, FaultKind, NoGpu, Route, Stats, Why};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// The variable by which tests have Mesa's software adapter serve. Not a key of the configuration, which is copied
/// from test to production with all that is in it; a process started without the variable cannot do it.
pub const TEST_VARIABLE: &str = "INTERDICT_TEST_GPU";

/// Wait before a device that failed is opened again; twice as long each time, up to `BACKOFF_MAX`.
const BACKOFF_MIN: Duration = Duration::from_secs(10);
const BACKOFF_MAX: Duration = Duration::from_secs(600);
/// How often the thread looks at the device's health when nothing is learned.
const LOOK: Duration = Duration::from_secs(1);
/// Least time between two looks at what banks have learned.
const REST: Duration = Duration::from_millis(20);

/// How a device is used.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Without a device the node does not start.
    pub required: bool,
    /// How it is opened.
    pub device: interdict_shaders::Options,
    /// Payments from which a bank is copied to it; `None`: as its calibration says.
    pub least: Option<usize>,
    /// First wait before it is opened again.
    pub backoff_min: Duration,
    /// Longest wait.
    pub backoff_max: Duration,
}

impl Settings {
    /// As the configuration says; `None`: no device is to be used.
    pub fn configured(used: GpuUse) -> Option<Settings> {
        let required = match used {
            GpuUse::Off => return None,
            GpuUse::Auto => false,
            GpuUse::Require => true,
        };
        let device = interdict_shaders::Options::default();
        Some(Settings { required, device, least: None, backoff_min: BACKOFF_MIN, backoff_max: BACKOFF_MAX })
    }

    /// For tests: a software adapter serves too, every search goes to the device whatever it costs, banks are copied
    /// from one full segment on, and a lost device is opened again at once. The watchdog is patient, since a software
    /// adapter on a busy machine is slow.
    pub fn of_tests() -> Settings {
        let device = interdict_shaders::Options {
            allow_software: true,
            route: Route::GpuFirst,
            watchdog: Duration::from_secs(30),
            ..interdict_shaders::Options::default()
        };
        let wait = Duration::from_millis(50);
        Settings { required: true, device, least: Some(1024), backoff_min: wait, backoff_max: wait }
    }

    /// As [`TEST_VARIABLE`] says, where it is set.
    ///
    /// # Errors
    /// A value that is not known: a test must not pass because of a slip of the pen.
    pub fn of_environment() -> Result<Option<Settings>> {
        match std::env::var(TEST_VARIABLE) {
            Err(_) => Ok(None),
            Ok(value) if value == "software" => {
                tracing::warn!("{TEST_VARIABLE} is set: a software adapter may serve, slower than the CPU");
                Ok(Some(Settings::of_tests()))
            }
            Ok(value) => bail!("{TEST_VARIABLE} {value:?}: expected \"software\""),
        }
    }
}

/// What devices have done since the node's start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Whether one serves now.
    pub up: bool,
    /// Searches that a device answered, in the order of [`Search::ALL`].
    pub gpu: [u64; Search::ALL.len()],
    /// Searches of what was meant for a device that the CPU answered, in the order of [`Why::ALL`].
    pub simd: [u64; Why::ALL.len()],
    /// Faults, in the order of [`FaultKind::ALL`].
    pub faults: [u64; FaultKind::ALL.len()],
    /// Batches that a device answered.
    pub batches: u64,
    /// Bytes of banks on devices now.
    pub bank_bytes: u64,
}

impl Totals {
    fn add(&mut self, stats: &Stats) {
        let add = |to: &mut [u64], from: &[u64]| to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        add(&mut self.gpu, &stats.gpu);
        add(&mut self.simd, &stats.simd);
        add(&mut self.faults, &stats.faults);
        self.batches += stats.batches;
    }
}

/// Devices of this node that somebody may still ask.
#[derive(Default)]
struct Devices {
    /// The one that serves, and retired ones.
    held: Vec<Arc<Dispatcher>>,
    /// Copies that others have replaced. They are let go of here, so that no lane pays for it.
    replaced: Vec<Arc<Frozen>>,
    /// What devices did that are gone.
    past: Totals,
}

/// The device of a node.
pub struct Gpu {
    settings: Settings,
    frozen: ArcSwapOption<Frozen>,
    devices: Mutex<Devices>,
    /// Banks have learned since the thread looked.
    due: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Gpu {
    /// Opens, warms and tests the device. `None` where there is none and none is required.
    ///
    /// # Errors
    /// When one is required and there is none that works.
    pub fn open(settings: Settings) -> Result<Option<Arc<Gpu>>> {
        let gpu = Gpu {
            settings,
            frozen: ArcSwapOption::empty(),
            devices: Mutex::default(),
            due: AtomicBool::new(true),
            thread: OnceLock::new(),
        };
        match gpu.open_device() {
            Ok(()) => Ok(Some(Arc::new(gpu))),
            Err(no_gpu) if gpu.settings.required => bail!("a gpu is required: {no_gpu}"),
            // There will not be one later either.
            Err(no_gpu) if no_gpu.fault.is_none() => {
                tracing::info!("{no_gpu}; banks are searched on the CPU");
                Ok(None)
            }
            Err(no_gpu) => {
                tracing::warn!("{no_gpu}; banks are searched on the CPU meanwhile");
                Ok(Some(Arc::new(gpu)))
            }
        }
    }

    fn open_device(&self) -> Result<(), NoGpu> {
        let opened = Dispatcher::start(self.settings.device.clone());
        let mut devices = self.devices.lock();
        let dispatcher = opened.map(Arc::new).inspect_err(|no_gpu| {
            if let Some(fault) = &no_gpu.fault {
                devices.past.faults[fault.kind as usize] += 1;
            }
        })?;
        let facts = dispatcher.adapter();
        tracing::info!(adapter = facts.name, driver = facts.driver, "a gpu serves banks");
        devices.held.push(dispatcher.clone());
        drop(devices);
        self.replace(Some(Arc::new(Frozen::new(dispatcher))));
        Ok(())
    }

    fn replace(&self, with: Option<Arc<Frozen>>) {
        self.devices.lock().replaced.extend(self.frozen.swap(with));
    }

    /// What lanes may ask now.
    pub fn frozen(&self) -> Option<Arc<Frozen>> {
        self.frozen.load_full()
    }

    /// Banks have learned something.
    pub fn learned(&self) {
        if !self.due.swap(true, Ordering::AcqRel)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// Copies what this view's banks have learned, where enough is new. Blocks for the transfer.
    pub fn renew(&self, view: &View) {
        let Some(frozen) = self.frozen() else { return };
        if let Some(next) = frozen.renewed(view.learned(), self.settings.least) {
            tracing::debug!(payments = next.payments(), "banks copied to the gpu");
            self.replace(Some(Arc::new(next)));
        }
    }

    /// What devices have done so far.
    pub fn totals(&self) -> Totals {
        let devices = self.devices.lock();
        let mut totals = devices.past.clone();
        for dispatcher in &devices.held {
            let stats = dispatcher.stats();
            totals.add(&stats);
            totals.bank_bytes += stats.banks_bytes;
        }
        totals.up = self.frozen().is_some_and(|frozen| frozen.dispatcher().stats().retired.is_none());
        totals
    }

    /// Loses the device under whatever is in flight, as a driver's reset would: for drills and tests.
    pub fn lose_device(&self) {
        if let Some(frozen) = self.frozen() {
            frozen.dispatcher().lose_device();
        }
    }

    /// Lets go of copies and devices that nobody can ask any more.
    fn let_go(&self) {
        let mut devices = self.devices.lock();
        let unused = |count: usize| count == 1;
        let copies: Vec<_> =
            devices.replaced.extract_if(.., |frozen| unused(Arc::strong_count(frozen))).collect();
        drop(copies);
        let Devices { held, past, .. } = &mut *devices;
        let gone: Vec<_> = held.extract_if(.., |device| unused(Arc::strong_count(device))).collect();
        gone.iter().for_each(|device| past.add(&device.stats()));
        drop(devices);
        // Joins their threads.
        drop(gone);
    }

    /// Starts the thread that keeps the device and its copies.
    pub fn start(self: &Arc<Gpu>, node: Weak<Node>) -> Background {
        let gpu = self.clone();
        let serving = Background::start("gpu-banks", move |stop| run(&node, stop, &gpu));
        self.thread.get_or_init(|| serving.thread());
        serving
    }
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gpu({:?})", self.frozen())
    }
}

/// When a failed device is opened again.
struct Probe {
    /// Wait after the next failure.
    wait: Duration,
    not_before: Instant,
    /// Since when the device serves.
    since: Instant,
}

impl Probe {
    /// A failure: how long to wait now. One that served for longer than the longest wait begins anew.
    fn failed(&mut self, settings: &Settings, now: Instant) -> Duration {
        if now.saturating_duration_since(self.since) > settings.backoff_max {
            self.wait = settings.backoff_min;
        }
        let wait = self.wait;
        self.not_before = now + wait;
        self.wait = (wait * 2).min(settings.backoff_max);
        wait
    }
}

fn run(node: &Weak<Node>, stop: &AtomicBool, gpu: &Gpu) {
    let now = Instant::now();
    let mut probe = Probe { wait: gpu.settings.backoff_min, not_before: now, since: now };
    let look = LOOK.min(gpu.settings.backoff_min);
    while !stop.load(Ordering::Acquire) {
        if !gpu.due.load(Ordering::Acquire) || gpu.frozen().is_none() {
            thread::park_timeout(look);
        }
        if stop.load(Ordering::Acquire) {
            return;
        }
        keep_device(gpu, &mut probe);
        if gpu.frozen().is_some() && gpu.due.swap(false, Ordering::AcqRel) {
            // Held for the view only, so that whoever closes the node finds itself its last holder.
            let Some(view) = node.upgrade().map(|node| node.view()) else { return };
            gpu.renew(&view);
        }
        gpu.let_go();
        thread::sleep(REST);
    }
}

/// Takes a device that failed out of the lanes' way, and opens it again when its time has come.
fn keep_device(gpu: &Gpu, probe: &mut Probe) {
    let retired = gpu.frozen().and_then(|frozen| frozen.dispatcher().stats().retired);
    if let Some(fault) = retired {
        gpu.replace(None);
        let wait = probe.failed(&gpu.settings, Instant::now());
        tracing::error!("{fault}; banks are searched on the CPU, the gpu is opened again in {wait:?}");
    } else if gpu.frozen().is_none() && Instant::now() >= probe.not_before {
        match gpu.open_device() {
            Ok(()) => {
                probe.since = Instant::now();
                gpu.due.store(true, Ordering::Release);
            }
            Err(no_gpu) => {
                probe.since = Instant::now();
                let wait = probe.failed(&gpu.settings, Instant::now());
                tracing::error!("{no_gpu}; it is opened again in {wait:?}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_to_its_bound_and_begins_anew_after_a_long_service() {
        let settings = Settings::configured(GpuUse::Auto).expect("auto uses a device");
        let start = Instant::now();
        let mut probe = Probe { wait: settings.backoff_min, not_before: start, since: start };
        let waits: Vec<u64> =
            (0..8).map(|_| probe.failed(&settings, start + Duration::from_secs(5)).as_secs()).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(probe.not_before, start + Duration::from_secs(605));
        assert_eq!(probe.failed(&settings, start + Duration::from_secs(601)).as_secs(), 10);
    }

    #[test]
    fn off_opens_nothing_and_only_require_ends_a_start() {
        assert!(Settings::configured(GpuUse::Off).is_none());
        let required = |used| Settings::configured(used).map(|settings| settings.required);
        assert_eq!((required(GpuUse::Auto), required(GpuUse::Require)), (Some(false), Some(true)));
        let device = Settings::configured(GpuUse::Require).map(|settings| settings.device);
        assert!(device.is_some_and(|device| !device.allow_software && device.route == Route::Calibrated));
    }
}
