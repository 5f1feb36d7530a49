//! `kill -9` under load, over and over on the same data folder: whatever a client was told is there afterwards, once
//! and unchanged, and the state is what it would be had nothing crashed. `INTERDICT_CRASH_ROUNDS=N` for more rounds.
#![allow(clippy::unwrap_used)]

#[path = "crash/load.rs"]
mod load;
#[path = "crash/checks.rs"]
mod checks;
#[path = "crash/again.rs"]
mod again;
#[path = "crash/sync.rs"]
mod sync;
#[path = "crash/outage.rs"]
mod outage;
#[path = "crash/backup.rs"]
mod backup;
#[path = "crash/live.rs"]
mod live;
#[path = "crash/finish.rs"]
mod finish;
#[path = "crash/hunt.rs"]
mod hunt;

use interdict_tests::node::{Running, Start, default_config};
use load::Load;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_interdict-under-test");
/// Rounds of `make test`.
const ROUNDS: u64 = 40;
/// Rounds on one data folder: recovery reads it all each time.
const ROUNDS_A_FOLDER: u64 = 20;
/// Payments of the world that a folder's rounds are fed from.
const WORLD: usize = 80_000;

#[test]
fn what_was_acknowledged_outlives_every_kill() {
    let number = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (rounds, seed) = (number("INTERDICT_CRASH_ROUNDS", ROUNDS), number("INTERDICT_CRASH_SEED", 1));
    let mut left = rounds;
    for folder in 0.. {
        let count = left.min(ROUNDS_A_FOLDER);
        if count == 0 {
            break;
        }
        one_folder(seed ^ (folder << 32), count);
        left -= count;
    }
}

/// How a round ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// From outside, after so many ms.
    Kill(u64),
    /// By itself, at a fail point.
    FailPoint(&'static str, u64),
    /// Asked to, after so many ms.
    Terminate(u64),
}

/// What happens to the last segment between the end and the next start.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Tail {
    Left,
    /// Bytes after the last whole batch, as a write that was cut short leaves them.
    Garbage(usize),
    /// Bytes gone, as a power cut under `durability = os` takes them.
    Cut(u64),
}

#[derive(Debug)]
struct Round {
    number: u64,
    lanes: u64,
    durability: &'static str,
    publishes: bool,
    /// Events between two images of the state.
    image_every: u64,
    end: End,
    tail: Tail,
}

impl Round {
    fn new(number: u64, last: bool, dice: &mut ChaCha8Rng) -> Round {
        let lanes = [0, 1, 0, 2][(number % 4) as usize];
        let durability = if dice.random_bool(0.3) { "disk" } else { "os" };
        let publishes = dice.random_bool(0.25);
        let image_every = if dice.random_bool(0.7) { dice.random_range(20..400) } else { 1_000_000 };
        let end = match number % 8 {
            _ if last => End::Terminate(dice.random_range(30..150)),
            1 => End::FailPoint("lanes.before_give", dice.random_range(1..400)),
            2 => End::FailPoint("journal.after_append", dice.random_range(1..200)),
            4 => End::FailPoint("journal.before_append", dice.random_range(1..200)),
            6 => End::FailPoint("answer.before_reply", dice.random_range(20..400)),
            7 => End::Terminate(dice.random_range(30..150)),
            _ => End::Kill(dice.random_range(2..200)),
        };
        let tail = match (end, durability) {
            (End::Terminate(_), _) => Tail::Left,
            (_, "os") if dice.random_bool(0.3) => Tail::Cut(dice.random_range(1..1500)),
            _ if dice.random_bool(0.4) => Tail::Garbage(dice.random_range(1..3000)),
            _ => Tail::Left,
        };
        Round { number, lanes, durability, publishes, image_every, end, tail }
    }
    fn start(&self, data: &Path) -> Start {
        let start = Start::new(BINARY, default_config(), data)
            .args(&["--lanes", &self.lanes.to_string()])
            .env("INTERDICT_JOURNAL__DURABILITY", self.durability)
            .env("INTERDICT_SNAPSHOT__EVERY_EVENTS", &self.image_every.to_string())
            // On a loaded machine a deadline would make a verdict depend on the clock.
            .env("INTERDICT_DECISION__DEADLINE_MS", "60000");
        match self.end {
            End::FailPoint(name, count) => start.env("INTERDICT_FAILPOINT", &format!("{name}:{count}")),
            End::Kill(_) | End::Terminate(_) => start,
        }
    }
}

/// What happened on a folder.
#[derive(Debug, Default)]
struct Told {
    fail_points: u64,
    recovered: u64,
    refused: usize,
    cut_off: usize,
    /// Starts from an image, and images that a start did not use.
    from_image: u64,
    images_refused: usize,
}

fn one_folder(seed: u64, rounds: u64) {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let (began, folder) = (Instant::now(), tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    let load = Load::new(seed, WORLD);
    first_starts(&data);
    let mut told = Told::default();
    for number in 0..rounds {
        let round = Round::new(number, number + 1 == rounds, &mut dice);
        let node = round.start(&data).start().unwrap_or_else(|e| panic!("{round:?}: {e}"));
        told.recovered += checks::restarted(&node, &load, &mut dice, matches!(round.end, End::FailPoint(..)));
        told.from_image += u64::from(node.logged("from_image=").is_some_and(|sequence| sequence != "0"));
        told.images_refused += node.log().matches("is not used: ").count();
        let gave_up = run(node, &load, &round);
        told.fail_points += u64::from(gave_up);
        if gave_up && matches!(round.end, End::FailPoint("lanes.before_give", _)) {
            recovery_is_cut_off(&data);
        }
        println!("{round:?} {} acknowledged, gave up {gave_up}", load.known().fresh.len());
        told.cut_off += damage(&data, &load, round.tail, &mut dice);
    }
    let mut node = Start::new(BINARY, default_config(), &data).start().unwrap();
    // The last round was asked to end.
    told.refused = checks::not_taken(&node.client(), &load);
    checks::restarted(&node, &load, &mut dice, false);
    checks::all_acknowledged(&node.client(), &load);
    assert!(node.terminate().unwrap().success(), "{}", node.log());
    checks::equals_a_rebuild(&data);
    let summary = checks::verified(&data);
    checks::equals_a_run_without_crashes(&data, &load);
    let known = load.known();
    println!(
        "folder {seed:x}: {rounds} rounds, {} verdicts acknowledged, {} in the journal, {:?}, {told:?}; {:.1} s",
        known.acknowledged.len(),
        summary["checked"],
        known.counts,
        began.elapsed().as_secs_f64(),
    );
    assert!(told.from_image > 0, "no start came from an image: {told:?}");
    assert!(known.counts.retries > 0 && known.counts.deltas > 0, "{:?}", known.counts);
}

/// The first start of a folder, cut off at each of its steps: the next one goes on from there.
fn first_starts(data: &Path) {
    let points =
        ["publish.before_append", "journal.before_append", "journal.after_append", "publish.before_mark"];
    for point in points {
        let start = Start::new(BINARY, default_config(), data).env("INTERDICT_FAILPOINT", point);
        // What the third has published, the fourth finds and only marks.
        let error = start.start().expect_err(point);
        assert!(error.contains("signal: 6"), "{point}: {error}");
    }
}

/// What a lane was never given has no verdict. The start that gives it one is cut off before and after it writes that.
fn recovery_is_cut_off(data: &Path) {
    for point in ["recovery.before_append", "recovery.after_append"] {
        let start = Start::new(BINARY, default_config(), data).env("INTERDICT_FAILPOINT", point);
        let error = start.start().expect_err(point);
        assert!(error.contains("signal: 6"), "{point}: {error}");
    }
}

/// Streams until the round's end, and sees the node end as it should; whether it ended at a fail point.
fn run(mut node: Running, load: &Load, round: &Round) -> bool {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (watched, stop) = (&node, &stop);
        let streaming = scope.spawn(move || load.run(watched, round.number, round.publishes, stop));
        let pause = |ms| std::thread::sleep(Duration::from_millis(ms));
        match round.end {
            End::Kill(ms) => {
                pause(ms);
                watched.signal("KILL");
            }
            End::Terminate(ms) => {
                pause(ms);
                watched.signal("TERM");
            }
            End::FailPoint(..) => {}
        }
        streaming.join().unwrap();
        stop.store(true, Ordering::Release);
    });
    match round.end {
        End::Terminate(_) => {
            let ended = node.wait(Duration::from_secs(30)).unwrap_or_else(|e| panic!("{round:?}: {e}"));
            assert!(ended.success(), "{round:?}: {ended}:\n{}", node.log());
            false
        }
        // The clients stop at the first request without answer: it is dead or about to be, unless the round ended
        // before the point was reached.
        End::FailPoint(..) => match node.wait(Duration::from_millis(200)) {
            Ok(ended) => {
                assert_eq!(ended.signal(), Some(6), "{round:?}: {ended}:\n{}", node.log());
                true
            }
            Err(_) => {
                node.kill();
                false
            }
        },
        End::Kill(_) => {
            node.kill();
            false
        }
    }
}

/// Damages the journal's end as a crash of the machine would; the number of acknowledged verdicts that this took.
fn damage(data: &Path, load: &Load, tail: Tail, dice: &mut ChaCha8Rng) -> usize {
    let journal = data.join("journal");
    let files = std::fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap().path());
    let is_segment = |path: &PathBuf| path.file_stem().is_some_and(|stem| stem.len() == 20);
    let last = files.filter(is_segment).max().unwrap();
    let mut file = OpenOptions::new().write(true).open(last).unwrap();
    let end = file.seek(SeekFrom::End(0)).unwrap();
    match tail {
        Tail::Left => 0,
        Tail::Garbage(count) => {
            let bytes: Vec<u8> = (0..count).map(|_| dice.random()).collect();
            file.write_all(&bytes).unwrap();
            0
        }
        Tail::Cut(bytes) => {
            file.set_len(end.saturating_sub(bytes)).unwrap();
            let report = interdict::history::Folder::open(data, None).unwrap().check().unwrap();
            assert_eq!(report.damage, None, "a cut tail is no damage");
            load.known().forget_after(report.last_sequence)
        }
    }
}
