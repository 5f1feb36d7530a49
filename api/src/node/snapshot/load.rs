//! Which image a start may use: the newest that is whole, of this engine and these bounds, whose generation is kept,
//! and whose place the journal holds. Each other one is refused by name and reason, and the next older tried.

use super::Ground;
use crate::node::recovery::{Generations, catalogue_hash, empty_generation};
use interdict_engine::domain::GenerationId;
use interdict_engine::sequencer::{ENGINE, Sequencer};
use interdict_engine::unfinished::Progress;
use interdict_ledger::ErrorKind;
use interdict_ledger::journal::Resume;
use interdict_ledger::snapshot::{self, About};
use interdict_ledger::storage::Storage;
use std::path::{Path, PathBuf};

/// Why an image is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is damaged, cut, or cannot be read.
    Damaged,
    /// It is of another format, engine, catalogue, or of other bounds.
    Other,
    /// The journal does not hold its place: it was cut back, or is another.
    Journal,
    /// Its generation is not kept, or does not build.
    Generation,
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 4] = [Reason::Damaged, Reason::Other, Reason::Journal, Reason::Generation];
    /// Its name, as in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Damaged => "damaged",
            Reason::Other => "other",
            Reason::Journal => "journal",
            Reason::Generation => "generation",
        }
    }
}

/// An image that is not used.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Where it lies.
    pub path: PathBuf,
    /// Why, in a word.
    pub reason: Reason,
    /// Why, in a sentence.
    pub why: String,
}

/// A state that was read.
pub struct Image {
    /// The sequencer, as it was.
    pub sequencer: Sequencer,
    /// Where the journal is to be read on.
    pub resume: Resume,
    /// What was to be decided and finished there.
    pub progress: Progress,
    /// What the image was of.
    pub about: About,
    /// Its length.
    pub bytes: u64,
}

/// What looking for one came to.
pub struct Loading {
    /// The newest that can be used.
    pub image: Option<Image>,
    /// Those that are newer.
    pub refused: Vec<Refused>,
}

/// Looks for the newest image that can be used, and reads it.
pub fn load(ground: &Ground, journal: &dyn Storage, generations: &Generations<'_>) -> Loading {
    let mut loading = Loading { image: None, refused: Vec::new() };
    let found = snapshot::list(&ground.dir).unwrap_or_else(|e| {
        tracing::warn!("{}: {e}; the whole journal is read", ground.dir.display());
        Vec::new()
    });
    for (_, path) in found {
        match one(ground, &path, journal, generations) {
            Ok(image) => {
                loading.image = Some(image);
                return loading;
            }
            Err((reason, why)) => {
                let path_shown = path.display();
                tracing::warn!(reason = reason.name(), "image {path_shown} is not used: {why}");
                loading.refused.push(Refused { path, reason, why });
            }
        }
    }
    loading
}

fn one(
    ground: &Ground,
    path: &Path,
    journal: &dyn Storage,
    generations: &Generations<'_>,
) -> Result<Image, (Reason, String)> {
    let unreadable = |e: interdict_ledger::Error| match e.kind {
        ErrorKind::Version => (Reason::Other, e.message),
        _ => (Reason::Damaged, e.message),
    };
    let image = snapshot::Image::open(path).map_err(unreadable)?;
    let about = image.about();
    let bounds = ground.sequencer(empty_generation(), None).bounds();
    if let Some(why) = about.misfit(ENGINE, &catalogue_hash(), &bounds) {
        return Err((Reason::Other, why));
    }
    for at in [&about.at, &about.settled] {
        at.check(journal).map_err(|e| (Reason::Journal, e.to_string()))?;
    }
    let id = GenerationId { hash: about.generation, overlay: 0 };
    let generation = generations.get(&id).ok_or_else(|| {
        let why = generations.why().unwrap_or_else(|| "it is not kept".into());
        (Reason::Generation, format!("generation {id}: {why}"))
    })?;
    let resume = image.resume().map_err(unreadable)?;
    let mut sequencer = ground.sequencer(generation, Some(image.cold().map_err(unreadable)?));
    image.load(&mut sequencer).map_err(unreadable)?;
    if sequencer.last_sequence() != about.sequence() {
        let (has, says) = (sequencer.last_sequence(), about.sequence());
        return Err((Reason::Damaged, format!("its state ends at {has}, and it says {says}")));
    }
    let progress = ground.progress_at(about).map_err(|e| (Reason::Damaged, e.to_string()))?;
    generations.named(&about.published);
    Ok(Image { sequencer, resume, progress, about: about.clone(), bytes: image.bytes() })
}
