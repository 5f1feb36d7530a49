//! Opening a data folder: the newest image of the state that fits is read (`snapshot/load.rs`), the journal's records
//! behind it, or all of them, go through the sequencer again in their order, and what was accepted but not decided is
//! decided now, marked `recovered`, so that a retry gets that verdict.

use super::core::Records;
use super::failpoint;
use super::finish::queue::{Lacking, Queue};
use super::keys::NodeKeys;
use super::publish;
use super::snapshot::{self, Began, Figures, Ground, Image, Newest, Reason, Snapshots};
use super::store::Store;
use crate::config::Loaded;
use anyhow::{Result, anyhow};
use interdict_engine::domain::{Accepted, Decided, Finished, GenerationId};
use interdict_engine::generation::{Generation, Manifest};
use interdict_engine::lane::{Open, Scratch, decide};
use interdict_engine::sequencer::{ENGINE, Sequencer, SequencerLimits, Taken, Work};
use interdict_engine::settlement;
use interdict_engine::unfinished::{Progress, Unfinished};
use interdict_ledger::Sealing;
use interdict_ledger::journal::{Durability, Journal, Options, Record, RecordKind, Resume, Stored, Torn};
use interdict_ledger::storage::{FileStorage, Storage};
use prometheus::{Histogram, HistogramOpts};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// What opening found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Sequence of the last accepted event; 0 in a new folder.
    pub last_sequence: u64,
    /// Records read.
    pub records: u64,
    /// The sequence of the image that the state was read from; 0 where it was none.
    pub from_image: u64,
    /// Transactions that had no verdict and got it now.
    pub decided_now: u64,
    /// Stamped features that came out otherwise than the journal says.
    pub restored_differently: u64,
    /// Tails that were cut.
    pub torn: Vec<Torn>,
}

/// A recovered folder.
pub struct Opened {
    /// The sequencer, as it was.
    pub sequencer: Sequencer,
    /// The journal, ready for the next record.
    pub journal: Journal,
    /// What was decided with stages skipped, and not finished.
    pub unfinished: Queue,
    /// What was found.
    pub found: Found,
    /// The generations that were met last.
    pub generations: Built,
    /// Every generation that the journal names.
    pub published: BTreeSet<[u8; 32]>,
    /// The images of the state.
    pub snapshots: Snapshots,
}

/// Generations by hash.
pub type Built = BTreeMap<[u8; 32], Arc<Generation>>;

/// Built generations held at once: a journal may name hundreds of folded ones, each with an index of all lists.
const BUILT_MAX: usize = 4;

/// Gives the generation of a hash, where somebody has it built.
pub type Knows<'a> = dyn Fn(&[u8; 32]) -> Option<Arc<Generation>> + 'a;

/// Generations by hash, built from the store; the last ones stay built.
pub struct Generations<'a> {
    store: &'a Store,
    built: RefCell<Built>,
    named: RefCell<BTreeSet<[u8; 32]>>,
    missing: RefCell<Option<String>>,
    known: Option<&'a Knows<'a>>,
}

impl<'a> Generations<'a> {
    /// None built yet.
    pub fn new(store: &'a Store) -> Generations<'a> {
        Generations {
            store,
            built: RefCell::default(),
            named: RefCell::default(),
            missing: RefCell::default(),
            known: None,
        }
    }
    /// With somebody who may have some built already.
    #[must_use]
    pub fn known_by(self, known: &'a Knows<'a>) -> Generations<'a> {
        Generations { known: Some(known), ..self }
    }
    /// Notes generations that the journal names in a part that is not read.
    pub fn named(&self, hashes: &[[u8; 32]]) {
        self.named.borrow_mut().extend(hashes);
    }
    /// The generation of an id, where it is kept.
    pub fn get(&self, id: &GenerationId) -> Option<Arc<Generation>> {
        if let Some(known) = self.built.borrow().get(&id.hash) {
            return Some(known.clone());
        }
        let built = match (self.known.and_then(|known| known(&id.hash)), self.store.manifest(&id.hash)) {
            (Some(known), _) => Ok(known),
            (None, Ok(Some(manifest))) => publish::assemble(manifest, self.store),
            (None, Ok(None)) => return None,
            (None, Err(e)) => Err(e),
        };
        match built {
            Ok(generation) => {
                let mut built = self.built.borrow_mut();
                if built.len() >= BUILT_MAX {
                    built.clear();
                }
                built.insert(id.hash, generation.clone());
                self.named.borrow_mut().insert(id.hash);
                Some(generation)
            }
            Err(why) => {
                *self.missing.borrow_mut() = Some(format!("{why:#}"));
                None
            }
        }
    }
    /// Why the last generation that was not given could not be built, if it is kept at all.
    pub fn why(&self) -> Option<String> {
        self.missing.borrow().clone()
    }
    /// Those still built, and the hashes of all that were.
    pub fn into_built(self) -> (Built, BTreeSet<[u8; 32]>) {
        (self.built.into_inner(), self.named.into_inner())
    }
}

/// The generation without packs and lists that a new folder starts from.
pub fn empty_generation() -> Arc<Generation> {
    let none = |_: &[u8; 32]| unreachable!("an empty manifest has no parts");
    Arc::new(Generation::build(Manifest::new(Vec::new()), &none).expect("nothing can be wrong with nothing"))
}

/// The journal's options for a configuration.
fn options(loaded: &Loaded, syncs: &Histogram) -> Options {
    let durability = if loaded.durability() == "disk" { Durability::Disk } else { Durability::Os };
    let mut options = Options::new(durability, ENGINE, catalogue_hash());
    options.segment_bytes = loaded.config.journal.segment_mib << 20;
    let syncs = syncs.clone();
    options.on_sync = Some(Arc::new(move |took| syncs.observe(took.as_secs_f64())));
    options
}

/// How long syncs took: 50 µs to 26 s by factors of two.
pub fn sync_histogram() -> Histogram {
    let buckets = (0..20).map(|n| 5e-5 * f64::from(1u32 << n)).collect();
    let options =
        HistogramOpts::new("interdict_journal_sync_seconds", "How long an fdatasync of the journal took");
    Histogram::with_opts(options.buckets(buckets)).expect("the name is valid")
}

/// Hash of the field catalogue, stamped into each segment: which numbers mean which fields.
pub fn catalogue_hash() -> [u8; 32] {
    let rows = interdict_engine::domain::catalogue::CATALOGUE.iter();
    let text: String = rows.map(|def| format!("{} {}\n", def.path, def.ty.name())).collect();
    Sha256::digest(text).into()
}

/// Opens the journal of a data folder and has the sequencer as it was, from an image of it or from the journal alone;
/// `syncs` is told how long each sync takes.
///
/// # Errors
/// A damaged journal, a locked folder, a wrong key, a generation that the journal names and the store lacks.
pub fn open(
    data: &Path,
    loaded: &Loaded,
    keys: &NodeKeys,
    store: &Store,
    limits: SequencerLimits,
    syncs: &Histogram,
) -> Result<Opened> {
    let began = Instant::now();
    let storage = FileStorage::create(data.join("journal")).map_err(|e| anyhow!("{e}"))?;
    let generations = Generations::new(store);
    let ground = Ground::new(data, loaded, limits);
    let settings = loaded.config.snapshot.clone();
    let mut figures = Figures { began: Began::Off, ..Figures::default() };
    let image =
        if settings.enabled { read_image(&ground, &storage, &generations, &mut figures) } else { None };
    let (sequencer, resume, progress, from_image) = match image {
        Some(Image { sequencer, resume, progress, about, .. }) => {
            (sequencer, Some(resume), progress, about.sequence())
        }
        None => (ground.sequencer(empty_generation(), None), None, ground.progress(), 0),
    };
    let basis = Basis {
        storage: Arc::new(storage),
        sealing: &keys.sealing,
        options: options(loaded, syncs),
        sequencer,
        resume,
        progress,
        generation: &|id| generations.get(id),
        why: &|| generations.why(),
    };
    let rebuilt = rebuild(basis).map_err(|e| anyhow!("journal of {}: {e}", data.display()))?;
    let Rebuilt { sequencer, journal, unfinished, mut found } = rebuilt;
    found.from_image = from_image;
    figures.start = began.elapsed();
    let (generations, published) = generations.into_built();
    let snapshots = Snapshots::new(ground, settings, figures);
    Ok(Opened { sequencer, journal, unfinished, found, generations, published, snapshots })
}

/// What a journal is opened on, and what is rebuilt from it.
pub struct Basis<'a> {
    /// Where the journal lies.
    pub storage: Arc<dyn Storage>,
    /// What its data keys are wrapped with.
    pub sealing: &'a Sealing,
    /// How it is written.
    pub options: Options,
    /// The sequencer as it was at `resume`, or an empty one, with its bounds.
    pub sequencer: Sequencer,
    /// The journal's place from which it is read; `None`: from its beginning.
    pub resume: Option<Resume>,
    /// What was not decided and not finished there.
    pub progress: Progress,
    /// The generation of an id, where it is kept.
    pub generation: &'a dyn Fn(&GenerationId) -> Option<Arc<Generation>>,
    /// Why the last generation that was not given could not be built, if it is kept at all.
    pub why: &'a dyn Fn() -> Option<String>,
}

/// What a journal came to.
pub struct Rebuilt {
    /// The sequencer, as it was.
    pub sequencer: Sequencer,
    /// The journal, ready for the next record.
    pub journal: Journal,
    /// What was decided with stages skipped, and not finished.
    pub unfinished: Queue,
    /// What was found.
    pub found: Found,
}

/// Opens a journal, wherever it lies, and rebuilds the sequencer from it. Sequences have no gap: state from which
/// events are missing would judge what comes otherwise than before.
///
/// # Errors
/// As [`open`]; damage is placed.
pub fn rebuild(basis: Basis<'_>) -> Result<Rebuilt, interdict_ledger::Error> {
    let Basis { storage, sealing, options, sequencer, resume, progress, generation, why } = basis;
    let mut again = Again::new(sequencer, progress);
    let opened = Journal::open_from(storage, sealing, options, resume, &mut |stored| {
        again.take(stored, generation, why)
    });
    let (mut journal, recovery) = opened?;
    let Again { mut sequencer, undecided, unfinished, .. } = again;
    if sequencer.last_sequence() != recovery.last_sequence {
        // Of records in front that are gone, without one behind them, only the segments' headers tell.
        let text = format!(
            "it says that sequence {} was accepted, and has the records of {}",
            recovery.last_sequence,
            sequencer.last_sequence()
        );
        let first = recovery.segments.first().map_or(1, |segment| segment.number);
        return Err(interdict_ledger::Error::new(interdict_ledger::ErrorKind::Corrupt, text).at(first, 0));
    }
    let decided_now = undecided.len() as u64;
    decide_now(&mut journal, &mut sequencer, undecided)?;
    let found = Found {
        last_sequence: recovery.last_sequence,
        records: recovery.records,
        from_image: 0,
        decided_now,
        restored_differently: sequencer.counts().restored_differently,
        torn: recovery.torn,
    };
    Ok(Rebuilt { sequencer, journal, unfinished, found })
}

/// The newest image that can be used; what became of it and of those that cannot goes into the figures.
fn read_image(
    ground: &Ground,
    storage: &FileStorage,
    generations: &Generations<'_>,
    figures: &mut Figures,
) -> Option<Image> {
    let loading = snapshot::load(ground, storage, generations);
    for refused in &loading.refused {
        let reason = Reason::ALL.iter().position(|reason| *reason == refused.reason);
        figures.refused[reason.expect("all reasons are there")] += 1;
    }
    figures.began = match &loading.image {
        Some(_) => Began::Image,
        None if loading.refused.is_empty() => Began::None,
        None => Began::Refused,
    };
    figures.newest = loading.image.as_ref().map(|image| Newest {
        sequence: image.about.sequence(),
        created_ms: image.about.created_ms,
        bytes: image.bytes,
    });
    loading.image
}

/// What takes the journal's records again.
struct Again {
    sequencer: Sequencer,
    /// What was accepted and is not decided yet.
    undecided: BTreeMap<u64, Work>,
    /// The cut-offs of payments from before the image that are decided behind it, by sequence.
    open: BTreeMap<u64, i64>,
    unfinished: Queue,
}

impl Again {
    fn new(sequencer: Sequencer, progress: Progress) -> Again {
        let Progress { open, unfinished } = progress;
        let (undecided, unfinished) = (BTreeMap::new(), Queue::new(unfinished));
        Again { sequencer, undecided, open, unfinished }
    }
    fn take(
        &mut self,
        stored: &Stored<'_>,
        generation: &dyn Fn(&GenerationId) -> Option<Arc<Generation>>,
        why: &dyn Fn() -> Option<String>,
    ) -> Result<(), interdict_ledger::Error> {
        let failed = |why: String| interdict_ledger::Error::new(interdict_ledger::ErrorKind::Corrupt, why);
        match stored.kind {
            RecordKind::Decided => self.decided(stored.sequence, stored.open()),
            RecordKind::Finished => {
                self.unfinished.remove(stored.sequence);
                // What does not decode is `verify`'s to tell.
                if let Ok(finished) = Finished::decode(stored.open()) {
                    self.sequencer.finished(stored.sequence, finished.recorded.hold.as_deref());
                }
            }
            RecordKind::Accepted => {
                let next = self.sequencer.last_sequence() + 1;
                if stored.sequence != next {
                    let missing =
                        format!("sequence {} where {next} belongs: records are gone", stored.sequence);
                    return Err(failed(missing));
                }
                let sealed = stored.sealed()?;
                let accepted = Accepted::decode(stored.open(), sealed.as_deref())
                    .map_err(|e| failed(format!("accepted {}: {e}", stored.sequence)))?;
                let taken = self.sequencer.restore(accepted, generation).map_err(|e| {
                    let why = why().map_or(String::new(), |why| format!(": {why}"));
                    failed(format!("sequence {}: {e}{why}", stored.sequence))
                })?;
                if let Taken::Work(work) = taken {
                    self.undecided.insert(stored.sequence, work);
                }
            }
        }
        Ok(())
    }
    fn decided(&mut self, sequence: u64, record: &[u8]) {
        let (work, open) = (self.undecided.remove(&sequence), self.open.remove(&sequence));
        // What does not decode is `verify`'s to tell.
        let decided = Decided::decode(record);
        let hold = decided.as_ref().ok().and_then(|decided| decided.recorded.hold.as_deref());
        self.sequencer.decided(sequence, hold);
        if !decided.is_ok_and(|decided| !decided.verdict.skipped.is_empty()) {
            return;
        }
        let of_work = work
            .as_ref()
            .map(|work| Unfinished::cut_off_ms(&work.accepted, work.view.generation().settings()));
        if let Some(cut_off_ms) = of_work.or(open) {
            // What is to be confirmed is found when its turn comes.
            let (view, candidates) = (work.map(|work| work.view), Vec::new());
            self.unfinished.push(Lacking { cut_off_ms, sequence, view, candidates });
        }
    }
}

fn decide_now(
    journal: &mut Journal,
    sequencer: &mut Sequencer,
    undecided: BTreeMap<u64, Work>,
) -> Result<(), interdict_ledger::Error> {
    if undecided.is_empty() {
        return Ok(());
    }
    let (mut scratch, mut records) = (Scratch::default(), Records::default());
    for work in undecided.values() {
        let verdict = decide(work, &mut Open, &mut scratch);
        let mut recorded = scratch.found.to_record(work.view.generation());
        let hold = settlement::inline(&work.accepted, &work.view, &verdict, recorded.would);
        sequencer.decided(verdict.sequence, hold.as_ref());
        recorded.hold = hold.map(Box::new);
        records.decided(&Decided { verdict, recovered: true, recorded });
    }
    let batch: Vec<Record<'_>> = records.iter().collect();
    failpoint::reached("recovery.before_append");
    journal.append(&batch).map_err(|mut e| {
        e.message = format!("deciding what had no verdict: {}", e.message);
        e
    })?;
    failpoint::reached("recovery.after_append");
    Ok(())
}
