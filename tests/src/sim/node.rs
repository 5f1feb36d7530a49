//! One life of a simulated node: the core, intake, sequencing, journal and recovery of production, put together as
//! `interdict::node::Node` does, without its threads.

use super::Broken;
use super::clock::Ticking;
use super::lanes::Lanes;
use super::packs;
use super::plan::Plan;
use interdict::node::clock::Clock;
use interdict::node::combining::combine;
use interdict::node::core::{Answered, Core, Job, Reply, Waiting};
use interdict::node::disk::Watch;
use interdict::node::intake::Intake;
use interdict::node::pace::Pace;
use interdict::node::quota::Terms;
use interdict::node::recovery::{self, Basis, Found, Rebuilt, catalogue_hash};
use interdict::node::sequencing::{Means, Sequencing};
use interdict::node::tally::Tally;
use interdict_engine::domain::{Body, Event, GenerationId};
use interdict_engine::generation::Generation;
use interdict_engine::identity::IdentityLimits;
use interdict_engine::sequencer::{ENGINE, Sequencer, SequencerLimits};
use interdict_engine::settlement::BookLimits;
use interdict_engine::unfinished::{Progress, Unfinished};
use interdict_ledger::faulty::MemoryStorage;
use interdict_ledger::journal::{Durability, Options, Reader, Syncer};
use interdict_ledger::{Error, MasterKey, Sealing};
use parking_lot::Mutex;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// A running node.
pub struct Node {
    /// The owner of all state.
    pub core: Arc<Mutex<Core>>,
    /// What waits for it.
    pub intake: Arc<Intake>,
    /// With lanes, the sequencer's steps.
    pub sequencing: Option<Sequencing<Lanes>>,
    /// Reads the journal.
    pub reader: Reader,
    watch: Watch,
    syncer: Syncer,
    clock: Arc<Ticking>,
    micro_batch: usize,
    in_order: bool,
    wanted: AtomicBool,
}

/// The master key of every simulated journal.
pub fn key() -> MasterKey {
    MasterKey::from_bytes([42; 32])
}

/// The bounds of every simulated sequencer.
fn limits() -> SequencerLimits {
    // Identity remembers all, so that a second decision on a payment is always wrong.
    let identity = IdentityLimits { horizon_ms: i64::MAX / 4, ..IdentityLimits::default() };
    SequencerLimits { features: Default::default(), identity }
}

impl Node {
    /// Opens a journal with recovery.
    ///
    /// # Errors
    /// What the disk fails with, or what is damaged.
    pub fn open(
        plan: &Plan,
        storage: &MemoryStorage,
        clock: &Arc<Ticking>,
        random: ChaCha8Rng,
    ) -> Result<(Node, Found), Error> {
        let durability = match plan.broken {
            Some(Broken::TellsBeforeSync) => Durability::Os,
            _ => plan.durability,
        };
        let mut options = Options::new(durability, ENGINE, catalogue_hash());
        (options.segment_bytes, options.stepped) = (plan.segment_bytes, true);
        options.clock = Arc::new(|| 1_700_000_000_000);
        let basis = Basis {
            storage: Arc::new(storage.clone()),
            sealing: &Sealing::from(&key()),
            options,
            sequencer: Sequencer::new(limits(), recovery::empty_generation()),
            resume: None,
            progress: Progress::new(Unfinished::new(1 << 16)),
            generation: &packs::generation,
            why: &|| None,
        };
        let Rebuilt { sequencer, journal, found, .. } = recovery::rebuild(basis)?;
        let sequencer = match plan.broken {
            Some(Broken::ForgottenBook) => sequencer.with_book_limits(BookLimits::default()),
            _ => sequencer,
        };
        let (reader, syncer) = (journal.reader(), journal.syncer());
        let (pace, tally) = (Arc::new(Pace::new(plan.lanes)), Arc::new(Tally::new(plan.lanes, false)));
        let core = Core::new(sequencer, Some(journal), tally.clone()).timed(pace.clone(), clock.clone());
        let (core, watch) = (Arc::new(Mutex::new(core)), Watch::default());
        core.lock().watched(plan.policy, watch.watcher());
        let terms = plan.quota.then(|| ("zeta".to_owned(), Terms { weight: 2, rate: Some((30.0, 4.0)) }));
        let terms = terms.into_iter().collect();
        let intake = Arc::new(Intake::new(pace.clone(), clock.clone(), terms, plan.micro_batch));
        let sequencing = (plan.lanes > 0).then(|| {
            let means = Means {
                intake: intake.clone(),
                core: core.clone(),
                pace: pace.clone(),
                clock: clock.clone(),
                micro_batch: plan.micro_batch,
            };
            let of_node = (clock.clone(), pace.clone(), tally.clone());
            let speed = (plan.lane_max_ns, plan.room);
            Sequencing::new(means, Lanes::new(plan.lanes, of_node, random, speed, plan.broken))
        });
        let (clock, micro_batch) = (clock.clone(), plan.micro_batch);
        let node = Node {
            core,
            intake,
            sequencing,
            reader,
            watch,
            syncer,
            clock,
            micro_batch,
            in_order: false,
            wanted: AtomicBool::default(),
        };
        Ok((node, found))
    }
    /// All jobs are taken in their order, as a feed's are.
    pub fn in_order(&mut self) {
        self.in_order = true;
    }

    /// Brings a job, as a caller or an operator.
    pub fn bring(&mut self, job: Job, is_payment: bool) {
        match is_payment && !self.in_order {
            true => self.intake.admit([job]),
            false => self.intake.feed([job]),
        }
        self.work();
    }
    /// Has what waits taken; with lanes the sequencer takes it when its turn comes.
    pub fn work(&self) {
        if self.sequencing.is_none() {
            combine(&self.intake, &self.core, &self.wanted, self.micro_batch);
        }
    }
    /// Publishes a generation.
    pub fn publish(&mut self, generation: Arc<Generation>, arrival_ms: i64, reply: Reply) {
        let id = GenerationId { hash: generation.hash(), overlay: 0 };
        let event = Event { tenant: "default".into(), arrival_ms, body: Body::Publish { generation: id } };
        let mut core = self.core.lock();
        match core.publish(generation, event) {
            Ok(answered) => core.settle(vec![Waiting { answered, reply, deadline: None }]),
            Err(unwritable) => reply(Answered::Unavailable(unwritable.why)),
        }
        drop(core);
        self.work();
    }
    /// A turn of the sequencer's thread; whether it did anything.
    pub fn turn(&mut self, takes: bool, collects: bool) -> bool {
        let Some(sequencing) = &mut self.sequencing else { return false };
        sequencing.crew.work();
        (takes && sequencing.take()) | (collects && sequencing.collect())
    }
    /// When a lane has made something.
    pub fn lane_ns(&self) -> Option<u64> {
        self.sequencing.as_ref().and_then(|sequencing| sequencing.crew.next_ns())
    }
    /// Whether nothing waits and nothing is out.
    pub fn is_idle(&self) -> bool {
        self.intake.waiting() == 0 && self.sequencing.as_ref().is_none_or(Sequencing::is_idle)
    }
    /// A turn of whoever watches over the disk; when the next one is due, ns.
    pub fn watch(&mut self) -> Option<u64> {
        let core = &self.core;
        let again = || {
            let mut core = core.lock();
            core.try_again();
            Some(core.is_troubled())
        };
        let wakes: Option<Instant> = self.watch.step(self.clock.now(), again).flatten();
        self.work();
        wakes.map(|wakes| self.clock.ns_of(wakes))
    }
    /// Begins a sync; whether anything is to be synced.
    pub fn begin_sync(&self) -> bool {
        self.syncer.begin()
    }
    /// Ends a sync.
    pub fn end_sync(&self) {
        self.syncer.step();
    }
    /// Closes the journal.
    ///
    /// # Errors
    /// What is not safe.
    pub fn close(self) -> Result<(), Error> {
        let Node { core, sequencing, .. } = self;
        drop(sequencing);
        let core = Arc::into_inner(core).expect("nobody else has the core").into_inner();
        core.into_parts().1.map_or(Ok(()), |journal| journal.close())
    }
}
