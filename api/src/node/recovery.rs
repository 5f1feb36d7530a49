//! Opening a data folder: the journal's records go through the sequencer again in their order, and what was accepted
//! but not decided is decided now, marked `recovered`, so that a retry gets that verdict.

use super::cold::Told;
use super::core::Records;
use super::failpoint;
use super::keys::NodeKeys;
use super::publish;
use super::store::Store;
use crate::config::Loaded;
use anyhow::{Result, anyhow};
use interdict_engine::domain::{Accepted, Decided, GenerationId};
use interdict_engine::generation::{Generation, Manifest};
use interdict_engine::lane::{Open, Scratch, decide};
use interdict_engine::sequencer::{ENGINE, Sequencer, SequencerLimits, Taken, Work};
use interdict_ledger::MasterKey;
use interdict_ledger::identity_store::IdentityStore;
use interdict_ledger::journal::{Durability, Journal, Options, Record, RecordKind, Stored, Torn};
use interdict_ledger::storage::{FileStorage, Storage};
use prometheus::{Histogram, HistogramOpts};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// What opening found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Sequence of the last accepted event; 0 in a new folder.
    pub last_sequence: u64,
    /// Records read.
    pub records: u64,
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
    /// What was found.
    pub found: Found,
    /// The generations that were met last.
    pub generations: Built,
    /// Every generation that the journal names.
    pub published: BTreeSet<[u8; 32]>,
}

/// Generations by hash.
pub type Built = BTreeMap<[u8; 32], Arc<Generation>>;

/// Built generations held at once: a journal may name hundreds of folded ones, each with an index of all lists.
const BUILT_MAX: usize = 4;

/// Generations by hash, built from the store; the last ones stay built.
pub struct Generations<'a> {
    store: &'a Store,
    built: RefCell<Built>,
    named: RefCell<BTreeSet<[u8; 32]>>,
    missing: RefCell<Option<String>>,
}

impl<'a> Generations<'a> {
    /// None built yet.
    pub fn new(store: &'a Store) -> Generations<'a> {
        Generations {
            store,
            built: RefCell::default(),
            named: RefCell::default(),
            missing: RefCell::default(),
        }
    }
    /// The generation of an id, where it is kept.
    pub fn get(&self, id: &GenerationId) -> Option<Arc<Generation>> {
        if let Some(known) = self.built.borrow().get(&id.hash) {
            return Some(known.clone());
        }
        let built = match self.store.manifest(&id.hash) {
            Ok(Some(manifest)) => publish::assemble(manifest, self.store),
            Ok(None) => return None,
            Err(e) => Err(e),
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

/// What a journal is opened on, and what is rebuilt from it.
pub struct Ground<'a> {
    /// Where the journal lies.
    pub storage: Arc<dyn Storage>,
    /// What its data keys are wrapped with.
    pub master: &'a MasterKey,
    /// How it is written.
    pub options: Options,
    /// An empty sequencer, with its bounds.
    pub sequencer: Sequencer,
    /// The generation of an id, where it is kept.
    pub generation: &'a dyn Fn(&GenerationId) -> Option<Arc<Generation>>,
    /// Why the last generation that was not given could not be built, if it is kept at all.
    pub why: &'a dyn Fn() -> Option<String>,
}

/// Opens the journal of a data folder and rebuilds the sequencer from it; `syncs` is told how long each sync takes.
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
    let storage = FileStorage::create(data.join("journal")).map_err(|e| anyhow!("{e}"))?;
    let generations = Generations::new(store);
    let cold = Box::new(Told::new(IdentityStore::new(&data.join("identity.redb"))));
    let tenants = loaded.config.tenants.iter();
    let feature_keys =
        tenants.filter_map(|(name, tenant)| Some((name.as_str().into(), tenant.feature_keys?)));
    let sequencer = Sequencer::new(limits, empty_generation()).with_tenant_keys(feature_keys);
    let ground = Ground {
        storage: Arc::new(storage),
        master: &keys.master,
        options: options(loaded, syncs),
        sequencer: sequencer.with_cold(cold),
        generation: &|id| generations.get(id),
        why: &|| generations.why(),
    };
    let opened = open_on(ground).map_err(|e| anyhow!("journal of {}: {e}", data.display()))?;
    let (sequencer, journal, found) = opened;
    let (generations, published) = generations.into_built();
    Ok(Opened { sequencer, journal, found, generations, published })
}

/// Opens a journal, wherever it lies, and rebuilds the sequencer from it. Sequences have no gap: state from which
/// events are missing would judge what comes otherwise than before.
///
/// # Errors
/// As [`open`]; damage is placed.
pub fn open_on(ground: Ground<'_>) -> Result<(Sequencer, Journal, Found), interdict_ledger::Error> {
    let Ground { storage, master, options, mut sequencer, generation, why } = ground;
    let mut undecided: BTreeMap<u64, Work> = BTreeMap::new();
    let opened = Journal::open_with(storage, master, options, &mut |stored: &Stored<'_>| {
        let failed = |why: String| interdict_ledger::Error::new(interdict_ledger::ErrorKind::Corrupt, why);
        match stored.kind {
            RecordKind::Decided => {
                undecided.remove(&stored.sequence);
            }
            RecordKind::Accepted => {
                let next = sequencer.last_sequence() + 1;
                if stored.sequence != next {
                    let missing =
                        format!("sequence {} where {next} belongs: records are gone", stored.sequence);
                    return Err(failed(missing));
                }
                let sealed = stored.sealed()?;
                let accepted = Accepted::decode(stored.open(), sealed.as_deref())
                    .map_err(|e| failed(format!("accepted {}: {e}", stored.sequence)))?;
                let taken = sequencer.restore(accepted, generation).map_err(|e| {
                    let why = why().map_or(String::new(), |why| format!(": {why}"));
                    failed(format!("sequence {}: {e}{why}", stored.sequence))
                })?;
                if let Taken::Work(work) = taken {
                    undecided.insert(stored.sequence, work);
                }
            }
        }
        Ok(())
    });
    let (mut journal, recovery) = opened?;
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
    decide_now(&mut journal, undecided)?;
    let found = Found {
        last_sequence: recovery.last_sequence,
        records: recovery.records,
        decided_now,
        restored_differently: sequencer.counts().restored_differently,
        torn: recovery.torn,
    };
    Ok((sequencer, journal, found))
}

fn decide_now(journal: &mut Journal, undecided: BTreeMap<u64, Work>) -> Result<(), interdict_ledger::Error> {
    if undecided.is_empty() {
        return Ok(());
    }
    let (mut scratch, mut records) = (Scratch::default(), Records::default());
    for work in undecided.values() {
        let verdict = decide(work, &mut Open, &mut scratch);
        let recorded = scratch.found.to_record(work.view.generation());
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
