//! A running node: keys, kept generations, journal, sequencer and lanes, put together. HTTP and `replay` both drive
//! it; neither has a path of its own.

pub mod keys;
pub mod ring;
pub mod cache;
pub mod cold;
pub mod store;
pub mod publish;
pub mod signed;
pub mod publication;
pub mod fold;
pub mod folding;
pub mod gpu;
pub mod watchlists;
pub mod tally;
pub mod gate;
pub mod timing;
pub mod clock;
pub mod pace;
pub mod budget;
pub mod quota;
mod bounds;
pub mod fair;
pub mod turns;
pub mod intake;
pub mod submit;
pub mod core;
pub mod background;
mod share;
pub mod disk;
pub mod outage;
pub mod failpoint;
pub mod combining;
pub mod sequencing;
pub mod finish;
pub mod hunt;
pub mod lanes;
pub mod recovery;
pub mod snapshot;
pub mod recall;
pub mod lookup;
pub mod clearing;
pub mod notices;
pub mod timers;
pub mod holds;
pub mod retention;
pub mod rotate;
pub mod consortium;

pub use self::bounds::limits;
pub use self::core::{Answered, Job, Reply, Settled, Waiting};
pub use self::outage::Unwritable;

use self::background::Background;
use self::bounds::terms;
use self::clearing::{Clearing, JournalFacts};
use self::clock::{Clock, Machine};
use self::core::Core;
use self::finish::Finish;
use self::folding::Folds;
use self::gpu::Gpu;
use self::hunt::{Hunt, WindowFacts};
use self::intake::Intake;
use self::keys::NodeKeys;
use self::lanes::{Lanes, Setting, Waits};
use self::notices::Notices;
use self::pace::Pace;
use self::retention::Keeping;
use self::sequencing::Means;
use self::snapshot::Snapshots;
use self::store::Store;
use self::tally::Tally;
use crate::config::Loaded;
use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use interdict_engine::generation::{Generation, View};
use interdict_ledger::journal::Reader;
use parking_lot::Mutex;
use prometheus::Histogram;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const HOUR_MS: i64 = 3_600_000;

/// How a node is opened.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Ask every verdict again without each stage, not 1 in 64.
    pub full_stats: bool,
    /// Lanes, where they differ from the profile's.
    pub lanes: Option<usize>,
    /// How a GPU is used, where that differs from configuration and environment: for tests.
    pub gpu: Option<gpu::Settings>,
    /// Follow the journal into the settlement window and hunt it, where the configuration lets it. A replay does not: its
    /// payments are of the past.
    pub hunts: bool,
    /// Write images of the state, where the configuration lets it. A replay does not: its warm-up is not in the
    /// journal.
    pub snapshots: bool,
}

/// A node.
pub struct Node {
    /// The data folder.
    pub data: PathBuf,
    /// The configuration it was opened with.
    pub loaded: Loaded,
    /// Its keys.
    pub keys: Arc<NodeKeys>,
    /// Its kept generations.
    pub store: Store,
    /// What its stages did.
    pub tally: Arc<Tally>,
    /// What opening found.
    pub recovered: recovery::Found,
    /// What waits for the sequencer.
    pub intake: Arc<Intake>,
    /// How long things take.
    pub pace: Arc<Pace>,
    /// By which deadlines are kept.
    pub clock: Arc<dyn Clock>,
    shown: Arc<ArcSwap<View>>,
    /// What folds of list deltas came to.
    pub folds: Folds,
    /// How long syncs of the journal took, in seconds.
    pub syncs: Histogram,
    /// What was skipped and is finished.
    pub finish: Arc<Finish>,
    /// What the settlement gate asks.
    pub clearing: Clearing,
    /// What is told of holds.
    pub notices: Arc<Notices>,
    /// What the timers of holds came to.
    pub timers: timers::Timers,
    /// What became of messages to the rail.
    pub rail: crate::rail::follower::Figures,
    /// The payments that are to settle, where they are followed.
    pub window: Option<Hunt>,
    core: Arc<Mutex<Core>>,
    lanes: Option<Lanes>,
    /// Threads beside the path, in the order of their starts.
    background: Mutex<Vec<Background>>,
    /// Whether images of the state are written.
    writes_images: bool,
    /// The images of its state.
    pub snapshots: Arc<Snapshots>,
    /// The device that searches banks, where one is used.
    pub gpu: Option<Arc<Gpu>>,
    /// Held from the view that a generation is made from to its publication, so that none is made from a view that
    /// is no longer in force.
    publishing: Mutex<()>,
    recent_folds: Mutex<VecDeque<[u8; 32]>>,
    reader: Reader,
    /// Generations built so far, for looking verdicts up; any can be built again from the store.
    generations: Mutex<BTreeMap<[u8; 32], Arc<Generation>>>,
    /// Every generation that the journal names: recovery builds each again, so the store must keep them all.
    published: Mutex<BTreeSet<[u8; 32]>>,
    uploaded: Mutex<BTreeMap<String, Vec<u8>>>,
    /// When each list's content was last changed, ms since the Unix epoch.
    list_times: Mutex<BTreeMap<String, i64>>,
    draining: AtomicBool,
    /// Somebody found the core taken, or is about to try it.
    wanted: AtomicBool,
    micro_batch: usize,
    /// What is destroyed when its retention has passed.
    pub keeping: Keeping,
    /// Held while keys of the ring are taken up.
    rotating: Mutex<()>,
    /// Whether a file is followed: what was read of it cannot be read again under another tag key.
    pub follows: AtomicBool,
    /// Held from the count of a tenant's list entries to the delta that adds to them.
    pub list_quota: tokio::sync::Mutex<()>,
}

impl Node {
    /// Opens a data folder (made where it is missing): recovers the journal, and publishes the configuration's
    /// generation where it differs from the one last published from a configuration.
    ///
    /// # Errors
    /// Wrong packs, lists or keys; a damaged journal; another process on the same folder.
    pub fn open(data: &Path, loaded: Loaded, options: &Options, now_ms: i64) -> Result<Arc<Node>> {
        Node::open_by(data, loaded, options, now_ms, Arc::new(Machine))
    }
    /// As [`Node::open`], with deadlines kept by another clock than the machine's.
    ///
    /// # Errors
    /// As there.
    pub fn open_by(
        data: &Path,
        loaded: Loaded,
        options: &Options,
        now_ms: i64,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Node>> {
        std::fs::create_dir_all(data).with_context(|| format!("data folder {}", data.display()))?;
        crate::backup::refuse_half_restored(data)?;
        let named = loaded.config.keys.dir.as_deref().map(|dir| loaded.resolve(dir));
        let key_dir = keys::key_folder(data, named.as_deref())?;
        let keys = Arc::new(NodeKeys::open(&key_dir, true)?);
        let store = Store::open(data)?;
        // Built before the journal is touched: a broken pack must not cost a running node its folder's lock.
        let list_times = publish::list_times(&loaded);
        let (wanted, costs) = publish::build_costed(&loaded, &store, &keys, &BTreeMap::new())?;
        // Nor a GPU that is required and not there.
        let gpu = match &options.gpu {
            Some(settings) => Some(settings.clone()),
            None => gpu::Settings::of_environment()?.or_else(|| gpu::Settings::configured(loaded.gpu())),
        };
        let gpu = gpu.map(Gpu::open).transpose()?.flatten();
        let lane_count = options.lanes.unwrap_or(loaded.hardware.lanes);
        let tally = Arc::new(Tally::new(lane_count, options.full_stats));
        let syncs = recovery::sync_histogram();
        let opened = recovery::open(data, &loaded, &keys, &store, limits(&loaded), &syncs)?;
        let writes = options.snapshots && opened.snapshots.is_on();
        let found = &opened.found;
        if writes && (found.records >= loaded.config.snapshot.every_events || found.restored_differently > 0)
        {
            // The next start is spared what this one has read, whatever becomes of it. And where bounds have changed,
            // the thread that follows from here finds no stamp that is not its own.
            let published = opened.published.iter().copied().collect();
            let unfinished = opened.unfinished.unfinished();
            opened.snapshots.write_live(&opened.sequencer, &opened.journal, published, unfinished);
        }
        let (reader, keeping) = (opened.journal.reader(), Keeping::new(opened.journal.retention()));
        let notices = Arc::new(Notices::new(reader.clone(), opened.journal.at()));
        rotate::check_ring(&keys, opened.sequencer.keys())?;
        let pace = Arc::new(Pace::new(lane_count));
        pace.guess(&costs);
        let core = Core::new(opened.sequencer, Some(opened.journal), tally.clone());
        let mut core = core.timed(pace.clone(), clock.clone());
        core.search_by(gpu.clone());
        let finish = Arc::new(Finish::new(opened.unfinished));
        core.finish_by(finish.clone());
        let settings = &loaded.config.window;
        let window = (options.hunts && settings.enabled)
            .then(|| Hunt::open(data, settings.clone(), &loaded.config.archive));
        let window = window.transpose()?;
        let journal = JournalFacts::new(reader.clone(), store.clone());
        let clearing = match &window {
            Some(hunt) => Clearing::new(WindowFacts::new(hunt.window.clone(), journal)),
            None => Clearing::new(journal),
        };
        let shown = core.shown();
        keys.vault.watch(shown.clone());
        let core = Arc::new(Mutex::new(core));
        let micro_batch = loaded.hardware.micro_batch;
        let intake = Arc::new(Intake::new(pace.clone(), clock.clone(), terms(&loaded), micro_batch));
        let lanes = (lane_count > 0).then(|| {
            let (intake, core, tally) = (intake.clone(), core.clone(), tally.clone());
            let (pace, clock, gpu) = (pace.clone(), clock.clone(), gpu.clone());
            let waits = Waits::of(&loaded.hardware);
            let means = Means { intake, core, pace, clock, micro_batch };
            let setting = Setting { means, tally, gpu, waits };
            Lanes::start(lane_count, setting, loaded.hardware.pin)
        });
        let node = Arc::new(Node {
            clearing,
            notices,
            timers: timers::Timers::default(),
            rail: crate::rail::follower::Figures::default(),
            data: data.to_owned(),
            keys,
            store,
            tally,
            recovered: opened.found,
            syncs,
            finish,
            window,
            intake,
            pace,
            clock,
            shown,
            core,
            lanes,
            background: Mutex::default(),
            writes_images: writes,
            snapshots: Arc::new(opened.snapshots),
            folds: Folds::default(),
            gpu,
            publishing: Mutex::default(),
            recent_folds: Mutex::default(),
            reader,
            published: Mutex::new(opened.published),
            generations: Mutex::new(opened.generations),
            uploaded: Mutex::default(),
            list_times: Mutex::new(list_times),
            draining: AtomicBool::new(false),
            wanted: AtomicBool::new(false),
            micro_batch,
            list_quota: tokio::sync::Mutex::default(),
            keeping,
            rotating: Mutex::default(),
            follows: AtomicBool::new(false),
            loaded,
        });
        node.begin(wanted, now_ms)?;
        Ok(node)
    }
    /// Starts the threads beside the path, and publishes what the configuration has.
    fn begin(self: &Arc<Node>, wanted: Arc<Generation>, now_ms: i64) -> Result<()> {
        // Held for the look only, so that whoever closes the node finds itself its last holder.
        let of_node = Arc::downgrade(self);
        let write_again = move || of_node.upgrade().map(|node| node.write_again());
        let (watching, watcher) = disk::start(self.clock.clone(), write_again);
        self.beside(watching);
        self.core.lock().watched(self.loaded.disk_policy(), watcher);
        self.publish_configured(wanted, now_ms)?;
        self.refresh_tags(now_ms);
        // A ring that lacks a key was refused above; one that has a key too many goes on with those in force.
        if let Err(e) = self.take_up_keys("start", now_ms) {
            tracing::warn!("a key of the ring is not taken up: {e:#}");
        }
        self.beside(retention::start(Arc::downgrade(self)));
        let (folding, caller) = folding::start(Arc::downgrade(self), self.loaded.config.lists.fold_at);
        self.beside(folding);
        self.core.lock().fold_by(caller);
        self.beside(finish::start(self));
        if self.window.is_some() {
            self.beside(hunt::start(self));
        }
        self.beside(notices::start(self));
        self.beside(timers::start(self));
        if self.writes_images {
            let (of_node, snapshots) = (Arc::downgrade(self), self.snapshots.clone());
            let (store, reader) = (self.store.clone(), self.reader.clone());
            self.beside(snapshot::follow::start(of_node, snapshots, store, reader));
        }
        if let Some(gpu) = &self.gpu {
            // What the journal taught is on the device before the first payment comes.
            gpu.renew(&self.view());
            self.beside(gpu.start(Arc::downgrade(self)));
        }
        Ok(())
    }
    fn beside(&self, thread: Background) {
        self.background.lock().push(thread);
    }

    /// Ends lanes and journal in order: everything taken is decided, answered and written.
    ///
    /// # Errors
    /// When the last sync fails.
    pub fn close(self: Arc<Node>) -> Result<()> {
        // One of them may hold the node for a while. The disk is watched until the others have ended.
        let threads = std::mem::take(&mut *self.background.lock());
        threads.into_iter().rev().for_each(Background::end);
        let node = Arc::into_inner(self).context("somebody still holds the node")?;
        drop(node.lanes);
        let core = Arc::into_inner(node.core).context("a lane still holds the core")?.into_inner();
        let (sequencer, Some(journal)) = core.into_parts() else { return Ok(()) };
        let waits = journal.unwritten_records();
        if node.writes_images {
            let published = node.published.into_inner().into_iter().collect();
            let queue = node.finish.queue();
            node.snapshots.write_live(&sequencer, &journal, published, queue.unfinished());
        }
        drop(sequencer);
        journal.close().map_err(|e| anyhow::anyhow!("{waits} records in memory could not be written: {e}"))
    }
}

/// ms since the Unix epoch by this machine's clock.
pub fn now_ms() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
