//! Images of the state: one that was read goes on exactly as the one that was written, down to its own bytes, whatever
//! the stream; a file that is changed or cut anywhere is refused.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "shared with the tests of lists, which use all of it")]
#[path = "lists/draw.rs"]
mod lists;
#[path = "snapshots/draw.rs"]
mod draw;

use draw::{START_MS, Step, generations, limits, steps, take};
use interdict::node::recovery;
use interdict_engine::domain::{Accepted, GenerationId};
use interdict_engine::generation::Generation;
use interdict_engine::image::{LAYOUT, Writer};
use interdict_engine::sequencer::{ENGINE, Sequencer, Taken};
use interdict_ledger::MasterKey;
use interdict_ledger::identity_store::IdentityStore;
use interdict_ledger::journal::{At, Durability, Journal, Options, Resume};
use interdict_ledger::snapshot::{self, About, Image};
use interdict_ledger::storage::FileStorage;
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A place of some journal, since an image rests on one.
struct Somewhere {
    dir: tempfile::TempDir,
    journal: Journal,
    stores: usize,
}

impl Somewhere {
    fn new() -> Somewhere {
        let dir = tempfile::tempdir().unwrap();
        let storage = Arc::new(FileStorage::create(dir.path().join("journal")).unwrap());
        let (journal, _) = Journal::open(
            storage,
            &MasterKey::from_bytes([7; 32]),
            Options::new(Durability::Os, "t", [0; 32]),
        )
        .unwrap();
        Somewhere { dir, journal, stores: 0 }
    }
    fn place(&self) -> (At, Resume) {
        let at = self.journal.at().unwrap();
        (at.clone(), self.journal.resume(at))
    }
    fn store(&mut self) -> PathBuf {
        self.stores += 1;
        self.dir.path().join(format!("identity-{}.redb", self.stores))
    }
    fn empty(&mut self) -> Sequencer {
        let store = Box::new(IdentityStore::new(&self.store()));
        Sequencer::new(limits(), recovery::empty_generation()).with_cold(store)
    }
    fn write(&self, sequencer: &Sequencer) -> PathBuf {
        self.try_write(sequencer).unwrap().path
    }
    fn try_write(&self, sequencer: &Sequencer) -> Result<snapshot::Written, interdict_ledger::Error> {
        let (at, index) = self.place();
        let about = About {
            engine: ENGINE.into(),
            layout: LAYOUT,
            catalogue: [0; 32],
            bounds: sequencer.bounds(),
            generation: sequencer.view().generation().hash(),
            published: vec![],
            created_ms: 0,
            records: 0,
            settled: at.clone(),
            at,
            progress: vec![],
        };
        let images = self.dir.path().join("snapshots");
        snapshot::write(&images, &about, &index, sequencer, &mut || {})
    }
    fn read(&mut self, path: &Path) -> Result<Sequencer, interdict_ledger::Error> {
        let image = Image::open(path)?;
        image.resume()?;
        let generation = generation_of(&image.about().generation).unwrap();
        let store = IdentityStore::over(&self.store(), image.cold()?);
        let mut sequencer = Sequencer::new(limits(), generation).with_cold(Box::new(store));
        image.load(&mut sequencer)?;
        assert_eq!(image.about().misfit(ENGINE, &[0; 32], &sequencer.bounds()), None);
        Ok(sequencer)
    }
    fn reloaded(&mut self, sequencer: &Sequencer) -> Sequencer {
        let path = self.write(sequencer);
        self.read(&path).unwrap()
    }
}

fn generation_of(hash: &[u8; 32]) -> Option<Arc<Generation>> {
    generations().iter().find(|generation| generation.hash() == *hash).cloned()
}

/// All that the state is, as bytes.
fn bytes(sequencer: &Sequencer) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut to = Writer::new(&mut bytes);
    sequencer.save(&mut to);
    let identity = sequencer.identity();
    for drawer in identity.drawers() {
        to.u64(drawer.0);
        identity.each_cold(drawer, &mut |entry| entry.save(&mut to)).unwrap();
    }
    to.end();
    bytes
}

/// What two states come to on one step; its record, where it has one.
fn both(live: Taken, other: &Taken) -> Option<Accepted> {
    match (live, other) {
        (Taken::Work(live), Taken::Work(other)) => {
            assert_eq!(live.accepted, other.accepted);
            assert_eq!(live.prints, other.prints);
            assert_eq!(live.view.id(), other.view.id());
            Some(*live.accepted)
        }
        (Taken::Noted(live), Taken::Noted(other)) => {
            assert_eq!(&live, other);
            Some(*live)
        }
        (Taken::Same(live), Taken::Same(other)) | (Taken::Different(live), Taken::Different(other)) => {
            assert_eq!(live, *other);
            None
        }
        (Taken::Refused(live), Taken::Refused(other)) => {
            assert_eq!(live, *other);
            None
        }
        other => panic!("{other:?}"),
    }
}

/// How far streams got, so that what they are to meet is met.
#[derive(Debug, Default)]
struct Met {
    evicted: u64,
    cold: u64,
    waiting: usize,
    approximate: usize,
    ended: usize,
    learned: u64,
    same: u64,
}

/// Runs a stream on a state that lives on and one that is written and read at each of some places.
fn run(steps: &[(i64, Step)], cuts: &[usize], met: &mut Met) {
    let mut somewhere = Somewhere::new();
    let (mut live, mut other) = (somewhere.empty(), somewhere.empty());
    let (mut records, mut now_ms) = (Vec::new(), START_MS);
    let first = [(0, Step::Publish(0))];
    for (at, (after_ms, step)) in first.iter().chain(steps).enumerate() {
        now_ms += after_ms;
        if cuts.contains(&at) {
            other = somewhere.reloaded(&other);
            assert!(bytes(&live) == bytes(&other), "read back at {at}");
        }
        let taken = take(&mut live, at as u64, now_ms, step);
        met.same += u64::from(matches!(taken, Taken::Same(_)));
        met.approximate += live.features().approximate().len();
        records.extend(both(taken, &take(&mut other, at as u64, now_ms, step)));
    }
    assert!(bytes(&live) == bytes(&other), "at the end");
    // And one that was made of the journal's records.
    let mut rebuilt = somewhere.empty();
    for record in records {
        rebuilt.restore(record, &|id: &GenerationId| generation_of(&id.hash)).unwrap();
    }
    assert_eq!(rebuilt.counts().restored_differently, 0);
    assert!(bytes(&live) == bytes(&rebuilt), "rebuilt");
    let stats = live.identity().stats();
    met.evicted += live.features().stats().groups.iter().map(|group| group.evictions).sum::<u64>();
    met.cold += stats.disk_keys;
    met.waiting += live.waiting().len();
    met.ended += live.view().overlay().len();
    met.learned += live.banks().counts().learned;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_state_that_was_read_goes_on_as_the_one_that_was_written(
        steps in steps(600),
        cuts in prop::collection::vec(0..600usize, 1..4),
    ) {
        run(&steps, &cuts, &mut Met::default());
    }
}

/// A stream that meets everything, the same each time.
fn a_stream(len: usize) -> Vec<(i64, Step)> {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    steps(len).new_tree(&mut runner).unwrap().current()
}

#[test]
fn the_streams_above_meet_what_they_are_for() {
    let mut met = Met::default();
    run(&a_stream(2000), &[300, 600], &mut met);
    println!("{met:?}");
    assert!(met.evicted > 0 && met.cold > 0 && met.waiting > 0 && met.approximate > 0, "{met:?}");
    assert!(met.ended > 0 && met.learned > 0 && met.same > 0, "{met:?}");
}

#[test]
fn a_full_disk_costs_the_new_image_and_leaves_the_old_one() {
    let mut somewhere = Somewhere::new();
    let mut sequencer = somewhere.empty();
    take(&mut sequencer, 0, START_MS, &Step::Publish(0));
    let path = somewhere.write(&sequencer);
    let whole = std::fs::read(&path).unwrap();
    // Where the next one is written first.
    let part = path.with_extension("img.part");
    std::os::unix::fs::symlink("/dev/full", &part).unwrap();
    let error = somewhere.try_write(&sequencer).unwrap_err();
    assert_eq!(error.kind, interdict_ledger::ErrorKind::Full, "{error}");
    assert!(!part.exists() && std::fs::read(&path).unwrap() == whole);
}

#[test]
fn an_image_that_is_changed_or_cut_anywhere_is_refused() {
    let mut somewhere = Somewhere::new();
    let (mut sequencer, mut now_ms) = (somewhere.empty(), START_MS);
    for (at, (after_ms, step)) in [(0, Step::Publish(0))].iter().chain(&a_stream(1000)).enumerate() {
        now_ms += after_ms;
        take(&mut sequencer, at as u64, now_ms, step);
    }
    let path = somewhere.write(&sequencer);
    let whole = std::fs::read(&path).unwrap();
    let bad = path.with_extension("bad");
    let refused = |somewhere: &mut Somewhere, bytes: &[u8], what: &str| {
        std::fs::write(&bad, bytes).unwrap();
        assert!(somewhere.read(&bad).is_err(), "{what} was not noticed");
    };
    assert!(bytes(&somewhere.read(&path).unwrap()) == bytes(&sequencer));
    // Every byte near either end, where offsets and lengths are, and some of the rest.
    let some = (0..whole.len()).filter(|at| *at < 300 || whole.len() - at < 60 || at % 997 == 0);
    for at in some.clone() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        refused(&mut somewhere, &changed, &format!("byte {at}"));
    }
    for length in some.chain([whole.len() - 1]) {
        refused(&mut somewhere, &whole[..length], &format!("a cut at {length}"));
    }
    let longer = [&whole[..], b"x"].concat();
    refused(&mut somewhere, &longer, "a byte more");
}
