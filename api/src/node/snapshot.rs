//! Images of the state, so that a start reads the journal's end and not all of it: which one a start may use
//! (`load.rs`), and who writes the next: the node itself at its end, and beside the path a thread that follows the
//! journal with a sequencer of its own (`follow.rs`), since the state is a function of the journal.

pub mod follow;
mod load;
mod priority;

pub use load::{Image, Loading, Reason, Refused, load};

use super::cold::Told;
use super::recovery::catalogue_hash;
use crate::config::Loaded;
use crate::config::schema::{FinishSection, Snapshot};
use interdict_engine::generation::Generation;
use interdict_engine::image::LAYOUT;
use interdict_engine::sequencer::{ENGINE, Sequencer, SequencerLimits};
use interdict_engine::unfinished::{Progress, Unfinished};
use interdict_ledger::identity_store::IdentityStore;
use interdict_ledger::journal::{At, Resume};
use interdict_ledger::snapshot::{self, About, ColdPages};
use interdict_ledger::{Error, ErrorKind};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The folder of the images in a data folder.
pub const FOLDER: &str = "snapshots";

/// What sequencers of a node are built with, and where their images lie.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The folder of the images.
    pub dir: PathBuf,
    /// Where identity's cold store lies.
    cold: PathBuf,
    limits: SequencerLimits,
    /// Tenants with fewer feature keys.
    keys_max: Vec<(Arc<str>, usize)>,
    /// How what was skipped is finished.
    finish: FinishSection,
}

impl Ground {
    /// That of a data folder and configuration.
    pub fn new(data: &Path, loaded: &Loaded, limits: SequencerLimits) -> Ground {
        let tenants = loaded.config.tenants.iter();
        let keys_max =
            tenants.filter_map(|(name, tenant)| Some((name.as_str().into(), tenant.feature_keys?)));
        let (dir, cold) = (data.join(FOLDER), data.join("identity.redb"));
        let finish = loaded.config.finish.clone();
        Ground { dir, cold, limits, keys_max: keys_max.collect(), finish }
    }
    /// For a second sequencer beside the node's own.
    fn aside(&self) -> Ground {
        Ground { cold: self.dir.join("identity.redb"), ..self.clone() }
    }
    /// What is to be done before the first record.
    pub fn progress(&self) -> Progress {
        Progress::new(Unfinished::new(self.finish.queue_max))
    }
    /// What was to be done at an image.
    ///
    /// # Errors
    /// As [`Progress::decode`].
    fn progress_at(&self, about: &About) -> Result<Progress, interdict_engine::Error> {
        Progress::decode(&about.progress, self.finish.queue_max)
    }
    /// A sequencer that has taken nothing, over the cold keys of an image.
    pub fn sequencer(&self, generation: Arc<Generation>, base: Option<ColdPages>) -> Sequencer {
        let cold = match base {
            Some(base) => IdentityStore::over(&self.cold, base),
            None => IdentityStore::new(&self.cold),
        };
        let sequencer = Sequencer::new(self.limits, generation).with_tenant_keys(self.keys_max.clone());
        sequencer.with_cold(Box::new(Told::new(cold)))
    }
}

/// What an attempt to write an image came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It was written.
    Ok,
    /// The disk was full.
    Full,
    /// It could not be written, or identity's store not be read.
    Io,
    /// The journal could not be followed up to it.
    Journal,
    /// A stamped value came out otherwise than the journal has it.
    Stamps,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 5] =
        [Outcome::Ok, Outcome::Full, Outcome::Io, Outcome::Journal, Outcome::Stamps];
    /// Its name, as in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Full => "full",
            Outcome::Io => "io",
            Outcome::Journal => "journal",
            Outcome::Stamps => "stamps",
        }
    }
}

/// How a start came to its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Began {
    /// From an image and the journal behind it.
    Image,
    /// From the whole journal, as there was no image.
    #[default]
    None,
    /// From the whole journal, as no image that was there could be used.
    Refused,
    /// From the whole journal, as images are turned off.
    Off,
}

impl Began {
    /// All of them.
    pub const ALL: [Began; 4] = [Began::Image, Began::None, Began::Refused, Began::Off];
    /// Its name, as in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Began::Image => "image",
            Began::None => "none",
            Began::Refused => "refused",
            Began::Off => "off",
        }
    }
}

/// The newest image that is known to be good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newest {
    /// Its last sequence.
    pub sequence: u64,
    /// When it was written, ms since the Unix epoch.
    pub created_ms: i64,
    /// Its length.
    pub bytes: u64,
}

/// Figures of a node's images.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// How the start came to its state.
    pub began: Began,
    /// Images that the start refused, by reason.
    pub refused: [u64; Reason::ALL.len()],
    /// How long the start took to have the state, the journal's end included.
    pub start: Duration,
    /// Attempts to write one, by what they came to.
    pub outcomes: [u64; Outcome::ALL.len()],
    /// The newest good one.
    pub newest: Option<Newest>,
    /// How long the last one took that was written, from the first event that was read for it.
    pub took: Duration,
    /// Whether a second state is in memory now.
    pub working: bool,
}

/// A node's images.
#[derive(Debug)]
pub struct Snapshots {
    ground: Ground,
    settings: Snapshot,
    /// When the node started: as old is an image that is not there.
    since_ms: i64,
    figures: Mutex<Figures>,
}

/// What an image is made of, beside the state.
pub struct Place {
    /// The journal's place, and its index up to there.
    pub index: Resume,
    /// A place by which all before it is decided.
    pub settled: At,
    /// Every generation that the journal names up to it.
    pub published: Vec<[u8; 32]>,
    /// What is to be decided and finished there.
    pub progress: Progress,
}

impl Snapshots {
    /// The images of a node, as its start left them.
    pub fn new(ground: Ground, settings: Snapshot, figures: Figures) -> Snapshots {
        Snapshots { ground, settings, since_ms: super::now_ms(), figures: Mutex::new(figures) }
    }
    /// Figures, for metrics.
    pub fn figures(&self) -> Figures {
        self.figures.lock().clone()
    }
    /// Whether images are written and used.
    pub fn is_on(&self) -> bool {
        self.settings.enabled
    }
    /// Whether the next is due, when the journal ends at a sequence.
    fn is_due(&self, last_sequence: u64, now_ms: i64) -> bool {
        let newest = self.figures.lock().newest;
        let (sequence, created_ms) =
            newest.map_or((0, self.since_ms), |newest| (newest.sequence, newest.created_ms));
        let events = last_sequence.saturating_sub(sequence);
        let age_s = now_ms.saturating_sub(created_ms) / 1000;
        events >= self.settings.every_events || (events > 0 && age_s >= self.settings.every_s as i64)
    }
    /// Writes the image of a state that is as the journal has it at a place; `rest` is called about once a mebibyte.
    /// What it came to is counted and logged.
    pub fn write(&self, sequencer: &Sequencer, place: Place, began: Instant, rest: &mut dyn FnMut()) {
        let about = About {
            engine: ENGINE.to_owned(),
            layout: LAYOUT,
            catalogue: catalogue_hash(),
            bounds: sequencer.bounds(),
            generation: sequencer.view().generation().hash(),
            published: place.published,
            created_ms: super::now_ms(),
            records: place.index.records(),
            at: place.index.at().clone(),
            settled: place.settled,
            progress: place.progress.encode(),
        };
        let written = snapshot::write(&self.ground.dir, &about, &place.index, sequencer, rest);
        let sequence = about.sequence();
        match written {
            Err(error) => {
                let outcome = if error.kind == ErrorKind::Full { Outcome::Full } else { Outcome::Io };
                self.failed(outcome, &error);
            }
            Ok(written) => {
                let took = began.elapsed();
                let (bytes, created_ms) = (written.bytes, about.created_ms);
                {
                    let mut figures = self.figures.lock();
                    figures.outcomes[Outcome::Ok as usize] += 1;
                    figures.newest = Some(Newest { sequence, created_ms, bytes });
                    figures.took = took;
                }
                tracing::info!(
                    sequence,
                    bytes,
                    took_ms = took.as_millis() as u64,
                    "wrote an image of the state"
                );
                if let Err(e) = snapshot::prune(&self.ground.dir, self.settings.keep) {
                    tracing::warn!("older images of the state could not be removed: {e}");
                }
            }
        }
    }
    fn failed(&self, outcome: Outcome, error: &Error) {
        self.figures.lock().outcomes[outcome as usize] += 1;
        let reason = outcome.name();
        tracing::error!(reason, "no image of the state was written: {error}; the older ones stay");
    }
    /// Writes the image of the live state at the journal's end, where there is anything new in it.
    pub fn write_live(
        &self,
        sequencer: &Sequencer,
        journal: &interdict_ledger::journal::Journal,
        published: Vec<[u8; 32]>,
        unfinished: &Unfinished,
    ) {
        let newest = self.figures.lock().newest;
        if !self.is_on() || newest.is_some_and(|newest| newest.sequence == sequencer.last_sequence()) {
            return;
        }
        let Some(at) = journal.at() else {
            tracing::warn!("no image of the state was written: the journal has not taken all of it");
            return;
        };
        // All that it has taken is decided.
        let progress = Progress { unfinished: unfinished.clone(), ..self.ground.progress() };
        let place = Place { index: journal.resume(at.clone()), settled: at, published, progress };
        self.write(sequencer, place, Instant::now(), &mut || {});
    }
}
