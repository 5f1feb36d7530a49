//! A running node: keys, kept generations, journal, sequencer and lanes, put together. HTTP and `replay` both drive
//! it; neither has a path of its own.

pub mod keys;
pub mod cache;
pub mod cold;
pub mod store;
pub mod publish;
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
pub mod intake;
pub mod core;
pub mod disk;
pub mod outage;
pub mod failpoint;
pub mod lanes;
pub mod recovery;
pub mod snapshot;
pub mod recall;
pub mod lookup;

pub use self::bounds::limits;
pub use self::core::{Answered, Job, Reply, Settled, Waiting};
pub use self::outage::Unwritable;

use self::bounds::terms;
use self::clock::{Clock, Machine};
use self::core::Core;
use self::disk::Watching;
use self::folding::{Folding, Folds};
use self::gpu::Gpu;
use self::intake::{Batch, Intake};
use self::keys::NodeKeys;
use self::lanes::{Lanes, Setting, Waits};
use self::pace::Pace;
use self::snapshot::{Following, Snapshots};
use self::store::Store;
use self::tally::Tally;
use crate::config::Loaded;
use anyhow::{Context, Result, bail};
use arc_swap::ArcSwap;
use interdict_engine::domain::{Body, Event, GenerationId};
use interdict_engine::freshness::WhenStale;
use interdict_engine::generation::{Generation, View};
use interdict_engine::packs;
use interdict_engine::sequencer::Submission;
use interdict_ledger::journal::Reader;
use parking_lot::{Mutex, MutexGuard};
use prometheus::Histogram;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Built generations held in memory beside the one in force; past it they are let go and built again when asked for.
const BUILT_MAX: usize = 16;

/// How a node is opened.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Ask every verdict again without each stage, not 1 in 64.
    pub full_stats: bool,
    /// Lanes, where they differ from the profile's.
    pub lanes: Option<usize>,
    /// How a GPU is used, where that differs from configuration and environment: for tests.
    pub gpu: Option<gpu::Settings>,
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
    core: Arc<Mutex<Core>>,
    watching: Mutex<Option<Watching>>,
    lanes: Option<Lanes>,
    /// The images of its state.
    pub snapshots: Arc<Snapshots>,
    following: Mutex<Option<Following>>,
    folding: Mutex<Option<Folding>>,
    /// The device that searches banks, where one is used.
    pub gpu: Option<Arc<Gpu>>,
    serving: Mutex<Option<gpu::Serving>>,
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
    micro_batch: usize,
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
            opened.snapshots.write_live(&opened.sequencer, &opened.journal, published);
        }
        let reader = opened.journal.reader();
        let pace = Arc::new(Pace::new(lane_count));
        pace.guess(&costs);
        let core = Core::new(opened.sequencer, Some(opened.journal), tally.clone());
        let mut core = core.timed(pace.clone(), clock.clone());
        core.search_by(gpu.clone());
        let shown = core.shown();
        let core = Arc::new(Mutex::new(core));
        let micro_batch = loaded.hardware.micro_batch;
        let intake = Arc::new(Intake::new(pace.clone(), clock.clone(), terms(&loaded), micro_batch));
        let lanes = (lane_count > 0).then(|| {
            let (intake, core, tally) = (intake.clone(), core.clone(), tally.clone());
            let (pace, clock, gpu) = (pace.clone(), clock.clone(), gpu.clone());
            let waits = Waits::of(&loaded.hardware);
            let setting = Setting { intake, core, tally, pace, clock, gpu, micro_batch, waits };
            Lanes::start(lane_count, setting, loaded.hardware.pin)
        });
        let node = Arc::new(Node {
            data: data.to_owned(),
            keys,
            store,
            tally,
            recovered: opened.found,
            syncs,
            intake,
            pace,
            clock,
            shown,
            core,
            watching: Mutex::default(),
            lanes,
            snapshots: Arc::new(opened.snapshots),
            following: Mutex::default(),
            folds: Folds::default(),
            folding: Mutex::default(),
            gpu,
            serving: Mutex::default(),
            publishing: Mutex::default(),
            recent_folds: Mutex::default(),
            reader,
            published: Mutex::new(opened.published),
            generations: Mutex::new(opened.generations),
            uploaded: Mutex::default(),
            list_times: Mutex::new(list_times),
            draining: AtomicBool::new(false),
            micro_batch,
            list_quota: tokio::sync::Mutex::default(),
            loaded,
        });
        // Held for the look only, so that whoever closes the node finds itself its last holder.
        let of_node = Arc::downgrade(&node);
        let (watching, watcher) = Watching::start(move || of_node.upgrade().map(|node| node.write_again()));
        *node.watching.lock() = Some(watching);
        node.core.lock().watched(node.loaded.disk_policy(), watcher);
        node.publish_configured(wanted, now_ms)?;
        let (folding, caller) = Folding::start(Arc::downgrade(&node), node.loaded.config.lists.fold_at);
        *node.folding.lock() = Some(folding);
        node.core.lock().fold_by(caller);
        if writes {
            let (of_node, snapshots) = (Arc::downgrade(&node), node.snapshots.clone());
            let following = Following::start(of_node, snapshots, node.store.clone(), node.reader.clone());
            *node.following.lock() = Some(following);
        }
        if let Some(gpu) = &node.gpu {
            // What the journal taught is on the device before the first payment comes.
            gpu.renew(&node.view());
            *node.serving.lock() = Some(gpu.start(Arc::downgrade(&node)));
        }
        Ok(node)
    }

    fn publish_configured(&self, wanted: Arc<Generation>, now_ms: i64) -> Result<()> {
        let mark = self.data.join("generations").join("configured");
        let hash = interdict_engine::generation::hex(&wanted.hash());
        let known = std::fs::read_to_string(&mark).unwrap_or_default();
        let in_force = self.view().id().hash;
        // A generation published through the API since then stays in force over a restart.
        if known.trim() == hash && self.recovered.last_sequence > 0 {
            self.keep_uploaded(&wanted);
            return Ok(());
        }
        let _publishing = self.publishing.lock();
        let wanted = fold::under(&wanted, &self.view(), &self.store)?;
        if in_force != wanted.hash() {
            self.publish_next(wanted, now_ms)?;
        }
        failpoint::reached("publish.before_mark");
        store::write_whole(&mark, format!("{hash}\n").as_bytes())
    }

    /// Packs in force that the configuration does not have were uploaded before the restart; the next publication
    /// must not drop them.
    fn keep_uploaded(&self, configured: &Generation) {
        let view = self.view();
        let mut uploaded = self.uploaded.lock();
        for pack in view.generation().packs() {
            let same = configured.packs().iter().any(|known| known.content_hash() == pack.content_hash());
            if !same {
                uploaded.insert(pack.name().to_owned(), pack.archive());
            }
        }
    }

    /// Publishes a generation made while `publishing` was held: an event in the journal, visible to every later
    /// transaction.
    ///
    /// # Errors
    /// When deltas do not fit the new base, or the journal cannot write ([`Unwritable`]).
    fn publish_next(&self, generation: Arc<Generation>, now_ms: i64) -> Result<GenerationId> {
        let published = self.publish_under_lock(generation, now_ms);
        // As below, where it was refused.
        self.work();
        published
    }
    fn publish_under_lock(&self, generation: Arc<Generation>, now_ms: i64) -> Result<GenerationId> {
        {
            let mut built = self.generations.lock();
            if built.len() >= BUILT_MAX {
                built.clear();
            }
            built.insert(generation.hash(), generation.clone());
        }
        let id = GenerationId { hash: generation.hash(), overlay: 0 };
        let event =
            Event { tenant: "default".into(), arrival_ms: now_ms, body: Body::Publish { generation: id } };
        failpoint::reached("publish.before_append");
        let mut core = self.core.lock();
        if let Some(why) = core.refuses_control() {
            return Err(Unwritable { why, is_kept: false }.into());
        }
        let taken = core.sequencer.publish(generation, event);
        match core.note(taken) {
            Answered::Noted(accepted) => {
                // Even where the journal cannot write it now: it will, and then names it.
                let in_use: Vec<[u8; 32]> = {
                    let mut published = self.published.lock();
                    published.insert(accepted.generation.hash);
                    published.iter().copied().collect()
                };
                let written = core.write();
                let durable = core.durable();
                drop(core);
                // Whoever brought a payment meanwhile found the core taken and went; it does not wait for the sync.
                self.work();
                written.and_then(|()| durable()).map_err(|why| Unwritable { why, is_kept: true })?;
                let kept = self.store.retain(self.loaded.config.journal.retain_generations, &in_use);
                if let Err(e) = kept {
                    tracing::warn!("older generations could not be removed: {e:#}");
                }
                Ok(accepted.generation)
            }
            Answered::Refused(error) => Err(error.into()),
            other => anyhow::bail!("publication came to {other:?}"),
        }
    }

    /// Checks, tests and keeps an uploaded pack archive for the next publication; its name and version.
    ///
    /// # Errors
    /// Everything that is wrong with the pack.
    pub fn upload_pack(&self, archive: Vec<u8>) -> Result<(String, String)> {
        let files = interdict_engine::packs::unarchive(&archive)?;
        let pack = publish::checked_pack(files, "pack", &self.loaded.hardware.costs)?;
        let named = (pack.name().to_owned(), pack.manifest.version.clone());
        self.uploaded.lock().insert(named.0.clone(), archive);
        Ok(named)
    }

    /// Publishes configuration and uploaded packs as they are now.
    ///
    /// # Errors
    /// As [`publish::build`]; when deltas do not fit the new lists, or the journal takes no records.
    pub fn publish_current(&self, now_ms: i64) -> Result<GenerationId> {
        let uploaded = self.uploaded.lock().clone();
        let times = publish::list_times(&self.loaded);
        let (configured, costs) = publish::build_costed(&self.loaded, &self.store, &self.keys, &uploaded)?;
        self.pace.guess(&costs);
        let _publishing = self.publishing.lock();
        let generation = fold::under(&configured, &self.view(), &self.store)?;
        let id = self.publish_next(generation, now_ms)?;
        times.into_iter().for_each(|(name, time_ms)| self.list_changed(&name, time_ms));
        Ok(id)
    }

    /// Publishes a generation again that was in force before, with its packs, list files, watchlists, settings and
    /// rates; what list deltas have said since then stays said. `name`: as answers write it, with or without the
    /// sequence, or its whole hash. Uploaded packs become those that it has.
    ///
    /// # Errors
    /// When no generation that was ever in force, or more than one, has that name; when its parts are gone; as
    /// [`Node::publish_current`].
    pub fn publish_kept(&self, name: &str, now_ms: i64) -> Result<GenerationId> {
        let digits = name.strip_prefix("g-").unwrap_or(name).split('@').next().unwrap_or_default();
        // As answers write it: shorter names would be guesses.
        if digits.len() < 12 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            bail!("generation {name:?}: expected g- and 12 digits, or the 64 of its hash");
        }
        let digits = digits.to_ascii_lowercase();
        let fits = |hash: &&[u8; 32]| interdict_engine::generation::hex(*hash).starts_with(&digits);
        let found: Vec<[u8; 32]> = self.published.lock().iter().filter(fits).copied().collect();
        let [hash] = found[..] else {
            bail!("generation {name:?}: {} that were in force here have that name", found.len());
        };
        let kept = self.generation(&GenerationId { hash, overlay: 0 })?;
        let _publishing = self.publishing.lock();
        let wanted = fold::configured(&kept, &self.store)?;
        let id = self.publish_next(fold::under(&wanted, &self.view(), &self.store)?, now_ms)?;
        self.upload_again(&kept);
        Ok(id)
    }
    /// Uploaded packs go back to what a generation has of them. What a folder has stays the folder's: it is read again
    /// at the next publication.
    fn upload_again(&self, kept: &Generation) {
        let folders = self.loaded.config.rules.packs.iter().map(|dir| self.loaded.resolve(dir));
        let folders = folders.filter_map(|dir| packs::load(publish::read_pack_folder(&dir).ok()?).ok());
        let folders: BTreeMap<String, [u8; 32]> =
            folders.map(|pack| (pack.name().to_owned(), pack.content_hash())).collect();
        let mut uploaded = self.uploaded.lock();
        let mut again = BTreeMap::new();
        for pack in kept.packs() {
            let of_folder = folders.get(pack.name());
            let was_uploaded = uploaded.contains_key(pack.name()) || of_folder.is_none();
            if was_uploaded && of_folder != Some(&pack.content_hash()) {
                again.insert(pack.name().to_owned(), pack.archive());
            }
        }
        *uploaded = again;
    }
    /// Generations held built beside the one in force, and the bytes of the lists of the one in force and of those.
    pub fn built(&self) -> (usize, [usize; 2]) {
        let bytes =
            |generation: &Generation| generation.lists().memory_bytes() + generation.lists().snapshot_bytes();
        let view = self.view();
        let generations = self.generations.lock();
        let kept = generations.iter().filter(|(hash, _)| **hash != view.id().hash);
        let (count, kept) = kept.fold((0, 0), |(n, sum), (_, one)| (n + 1, sum + bytes(one)));
        (count, [bytes(view.generation()), kept])
    }

    /// A list's content was changed at a time, in ms since the Unix epoch.
    pub fn list_changed(&self, name: &str, time_ms: i64) {
        let mut times = self.list_times.lock();
        let known = times.entry(name.to_owned()).or_insert(time_ms);
        *known = (*known).max(time_ms);
    }
    /// When each list's content was last changed, ms since the Unix epoch: its file's own time when it was read, or a
    /// delta's arrival (deltas of before a restart are not counted, so that a list never looks fresher than it is).
    pub fn list_times(&self) -> BTreeMap<String, i64> {
        self.list_times.lock().clone()
    }

    /// Submits jobs that are to be taken in their order, whatever their tenants: a feed's, an operator's. Their replies
    /// are called when their answers are durable, on some thread.
    pub fn submit(&self, jobs: impl IntoIterator<Item = Job>) {
        self.intake.feed(jobs);
        self.work();
    }
    /// Submits callers' jobs: taken by their tenants' weights, in order within a tenant; a payment whose deadline the
    /// wait would outlast is answered by defaults, or refused.
    pub fn admit(&self, jobs: impl IntoIterator<Item = Job>) {
        self.intake.admit(jobs);
        self.work();
    }
    /// Has what waits taken.
    fn work(&self) {
        match &self.lanes {
            Some(lanes) => lanes.wake(),
            None => self.combine(),
        }
    }

    /// Combining: whoever gets the core drains what waits, its own jobs and others', and looks again after letting
    /// go, so that no job is left by a thread that came while the core was held.
    fn combine(&self) {
        let mut batch = Batch::default();
        while self.intake.waiting() > 0 {
            let Some(mut core) = self.core.try_lock() else { return };
            while self.intake.take(self.micro_batch, true, &mut batch) {
                let _in_hand = self.intake.hold(&batch);
                core.process_until(&mut batch.jobs, &mut batch.until);
                batch.until.clear();
                // Under load this goes on and on: whoever waits for the core (figures, a publication) comes between.
                MutexGuard::bump(&mut core);
            }
        }
    }

    /// A generation that is in memory.
    fn is_built(&self, hash: &[u8; 32]) -> Option<Arc<Generation>> {
        let view = self.view();
        let in_force = (view.generation().hash() == *hash).then(|| view.generation().clone());
        in_force.or_else(|| self.generations.lock().get(hash).cloned())
    }

    /// Submits one event and waits for its answer on this thread.
    pub fn call(&self, submission: Submission) -> Answered {
        let (send, receive) = std::sync::mpsc::sync_channel(1);
        let reply: Reply = Box::new(move |answered| drop(send.send(answered)));
        self.submit([Job { submission, deadline: None, reply }]);
        receive.recv().unwrap_or_else(|_| Answered::Unavailable("the node is stopping".into()))
    }

    /// Feeds the state without deciding or keeping anything: a replay's warm-up.
    pub fn warm_up(&self, submissions: impl IntoIterator<Item = Submission>) {
        let mut taken = Vec::new();
        let mut core = self.core.lock();
        core.sequencer.step(submissions, &mut taken);
        core.show();
    }

    /// What the next transaction is judged by. Waits for nobody.
    pub fn view(&self) -> Arc<View> {
        self.shown.load_full()
    }
    /// The last sequence that the journal has. Waits for nobody.
    pub fn written_sequence(&self) -> u64 {
        self.reader.last_sequence()
    }
    /// Something of the core, under its lock: figures for metrics and status.
    pub fn with_core<T>(&self, f: impl FnOnce(&Core) -> T) -> T {
        let found = f(&self.core.lock());
        // Whoever brought a payment meanwhile found the core taken and went.
        self.work();
        found
    }
    /// Writes what waits for the disk; whether anything still does.
    fn write_again(&self) -> bool {
        let mut core = self.core.lock();
        core.try_again();
        let still_waits = core.is_troubled();
        drop(core);
        // Whoever brought a payment meanwhile found the core taken and went.
        self.work();
        still_waits
    }
    /// Jobs that wait for the sequencer.
    pub fn queue_depth(&self) -> usize {
        self.intake.waiting()
    }
    /// Whether the node takes requests, or why not.
    pub fn ready(&self) -> Result<(), String> {
        if self.draining.load(Ordering::Acquire) {
            return Err("draining".into());
        }
        // Whoever has the core is at work with it, or will find out; callers do not wait for that. A look at it must
        // not leave behind what came meanwhile.
        let Some(mut core) = self.core.try_lock() else { return Ok(()) };
        core.try_again();
        let ready = core.refuses().map_or(Ok(()), Err);
        drop(core);
        if self.lanes.is_none() {
            self.combine();
        }
        ready
    }
    /// Whether every list that payments must not be judged without is fresh, or which one is not. Asked by whoever
    /// serves: a replay's payments are of the past, and so are its lists.
    pub fn fresh(&self, now_ms: i64) -> Result<(), String> {
        match self.view().stale(WhenStale::Stop, now_ms).next() {
            None => Ok(()),
            Some((_, list)) => Err(format!(
                "list {:?} is older than its fresh_for of {} s, and its when_stale is stop",
                list.list,
                list.fresh_for_ms / 1000
            )),
        }
    }
    /// Takes no more requests; those taken are answered.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }
    /// Ends lanes and journal in order: everything taken is decided, answered and written.
    ///
    /// # Errors
    /// When the last sync fails.
    pub fn close(self: Arc<Node>) -> Result<()> {
        // It may hold the node while it folds.
        let folding = self.folding.lock().take();
        folding.into_iter().for_each(Folding::end);
        let following = self.following.lock().take();
        let writes = following.is_some();
        following.into_iter().for_each(Following::end);
        let watching = self.watching.lock().take();
        watching.into_iter().for_each(Watching::end);
        let node = Arc::into_inner(self).context("somebody still holds the node")?;
        drop(node.lanes);
        let core = Arc::into_inner(node.core).context("a lane still holds the core")?.into_inner();
        let (sequencer, Some(journal)) = core.into_parts() else { return Ok(()) };
        let waits = journal.unwritten_records();
        if writes {
            let published = node.published.into_inner().into_iter().collect();
            node.snapshots.write_live(&sequencer, &journal, published);
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
