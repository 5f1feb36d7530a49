//! Banks searched on a real device (lavapipe on most machines) against a plain list, while they learn, unlearn and
//! forget. No adapter is a failure under `CI=true` and a printed skip elsewhere.
#![allow(clippy::unwrap_used)]

use super::super::tests::{fingerprints, plainly, vectors};
use super::super::{Likest, Print, VectorScratch};
use super::*;
use crate::domain::Label;
use crate::packs::BankDecl;
use interdict_shaders::{Kernel, Options, Route, sample};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::Cell;
use std::collections::BTreeMap;

fn device() -> Option<Arc<Dispatcher>> {
    let watchdog = Duration::from_secs(30);
    let options = Options { allow_software: true, route: Route::GpuFirst, watchdog, ..Options::default() };
    match Dispatcher::start(options) {
        Ok(dispatcher) => Some(Arc::new(dispatcher)),
        Err(no_gpu) if no_gpu.fault.is_some() => panic!("{no_gpu}"),
        Err(no_gpu) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
            panic!("{no_gpu}; install mesa-vulkan-drivers and libvulkan1 for lavapipe")
        }
        Err(no_gpu) => {
            eprintln!("skipped: {no_gpu}");
            None
        }
    }
}

/// What a bank should hold, in plain lists of a segment each.
#[derive(Clone, Default)]
struct Plain(Vec<Vec<(u64, Print, Label)>>);

impl Plain {
    fn learn(&mut self, sequence: u64, label: Label, print: Print, capacity: usize) {
        match self.0.last_mut() {
            Some(last) if last.len() < SEGMENT => last.push((sequence, print, label)),
            _ => self.0.push(vec![(sequence, print, label)]),
        }
        if self.0.iter().map(Vec::len).sum::<usize>() > capacity && self.0.len() > 1 {
            self.0.remove(0);
        }
    }
    fn unlearn(&mut self, sequence: u64) {
        self.0.iter_mut().for_each(|segment| segment.retain(|(known, ..)| *known != sequence));
        self.0.retain(|segment| !segment.is_empty());
    }
    fn all(&self) -> impl Iterator<Item = &(u64, Print, Label)> {
        self.0.iter().flatten()
    }
    fn answer(&self, decl: &BankDecl, query: &Print) -> Option<Likest> {
        let held: BTreeMap<_, _> = self.all().map(|(at, print, label)| (*at, (*print, *label))).collect();
        plainly(decl, &held, query)
    }
}

/// One bank with its plain list.
#[derive(Clone, Default)]
struct Pair(Contents, Plain);

impl Pair {
    fn learn(&mut self, sequence: u64, label: Label, print: Print, capacity: usize) {
        self.0 = self.0.learn(sequence, label, &print, capacity);
        self.1.learn(sequence, label, print, capacity);
    }
    /// Takes a payment out; what it was.
    fn unlearn(&mut self, pick: usize) -> Option<(u64, Print, Label)> {
        let len = self.1.all().count();
        let known = *self.1.all().nth(pick.checked_rem(len)?)?;
        let (next, was_there) = self.0.unlearn(known.0);
        assert!(was_there);
        self.0 = next;
        self.1.unlearn(known.0);
        Some(known)
    }
}

/// Prints around few centres: near ones, and ties.
struct Prints(sample::Numbers, Vec<Print>);

impl Prints {
    fn new(seed: u64, is_vector: bool) -> Prints {
        let mut numbers = sample::Numbers::new(seed);
        let mut centre = || match is_vector {
            true => Print::Vector(sample::vector(&mut numbers)),
            false => Print::Fingerprint(sample::fingerprint(&mut numbers)),
        };
        let centres = (0..40).map(|_| centre()).collect();
        Prints(numbers, centres)
    }
    fn next(&mut self) -> Print {
        let mut print = self.1[self.0.below(40) as usize];
        for _ in 0..self.0.below(20) {
            let at = self.0.below(64) as usize;
            match &mut print {
                Print::Fingerprint(words) => words[at % 4] ^= 1 << at,
                Print::Vector(values) => values[at] = values[at].wrapping_add(3),
            }
        }
        print
    }
}

/// Lessons, removals (each perhaps learned again under the other label), and whether the device gets what is due.
type Step = (usize, Vec<(usize, bool)>, bool);

fn steps() -> impl Strategy<Value = (u64, Vec<Step>, usize, u8, bool)> {
    let removals = prop::collection::vec((any::<usize>(), any::<bool>()), 0..12);
    let steps = prop::collection::vec((0usize..1800, removals, any::<bool>()), 2..7);
    (any::<u64>(), steps, prop::sample::select(vec![1024, 3000, 5000, 100_000]), 1u8..=64, any::<bool>())
}

#[test]
fn with_a_device_a_bank_says_what_a_plain_list_says() {
    let Some(device) = device() else { return };
    let (with_gone, older) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config::with_cases(24));
    let done = runner.run(&steps(), |(seed, steps, capacity, k, is_vector)| {
        let learns = [Label::Fraud, Label::Good];
        let decl = if is_vector { vectors(k) } else { fingerprints(k, &learns, capacity as u32) };
        let (mut prints, mut scratch) = (Prints::new(seed, is_vector), VectorScratch::default());
        let (mut pair, mut frozen) = (Pair::default(), Frozen::new(device.clone()));
        let (mut versions, mut sequence) = (Vec::new(), 0);
        for (lessons, removals, renew) in steps {
            for _ in 0..lessons {
                sequence += 1;
                let label = learns[usize::from(sequence % 3 == 0)];
                pair.learn(sequence, label, prints.next(), capacity);
            }
            versions.push(pair.clone());
            if renew && let Some(next) = frozen.renewed(&Learned::of(&pair.0), Some(SEGMENT)) {
                frozen = next;
            }
            for (pick, again) in removals {
                let known = pair.unlearn(pick);
                if let Some((at, print, label)) = known.filter(|_| again) {
                    let other = learns[usize::from(label == Label::Fraud)];
                    pair.learn(at, other, print, capacity);
                }
            }
            versions.push(pair.clone());
            for (at, Pair(contents, plain)) in versions.iter().enumerate().rev().take(4) {
                if let Some(part) = frozen.part_of(contents, usize::from(k)) {
                    with_gone.set(with_gone.get() + usize::from(part.gone > 0));
                    older.set(older.get() + usize::from(at + 1 < versions.len()));
                }
                for query in [prints.next(), prints.next()] {
                    let with = Some((&frozen, None));
                    let said = contents.likest(Kernel::best(), &decl, &query, with, &mut scratch);
                    prop_assert_eq!(said, plain.answer(&decl, &query), "{:?}", frozen);
                    let alone = contents.likest(Kernel::best(), &decl, &query, None, &mut scratch);
                    prop_assert_eq!(said, alone);
                }
            }
        }
        Ok(())
    });
    done.unwrap();
    let stats = device.stats();
    println!("{stats:?}; {} with removed payments, {} older versions", with_gone.get(), older.get());
    assert!(stats.gpu_queries() > 50 && with_gone.get() > 0 && older.get() > 0, "{stats:?}");
    assert_eq!(stats.banks_bytes, 0, "what was copied is let go of");
}

#[test]
fn a_bank_is_copied_when_an_eighth_is_new_and_before_its_oldest_leave() {
    let Some(device) = device() else { return };
    let (mut pair, mut prints) = (Pair::default(), Prints::new(1, false));
    let mut frozen = Frozen::new(device);
    let (mut copies, mut copied) = (0, 0);
    let mut learn = |pair: &mut Pair, frozen: &mut Frozen, sequences: Range<u64>, capacity| {
        for sequence in sequences {
            pair.learn(sequence, Label::Fraud, prints.next(), capacity);
            if let Some(next) = frozen.renewed(&Learned::of(&pair.0), Some(2 * SEGMENT)) {
                *frozen = next;
                (copies, copied) = (copies + 1, copied + frozen.payments());
            }
        }
        (copies, copied)
    };
    const FULL: usize = 40 * SEGMENT;
    assert_eq!(learn(&mut pair, &mut frozen, 1..2048, FULL), (0, 0), "one full segment is too few");
    let (copies, copied) = learn(&mut pair, &mut frozen, 2048..FULL as u64 + 1, FULL);
    // Each copy holds an eighth more than the one before, but for whole segments.
    assert!((15..30).contains(&copies) && copied < 10 * FULL, "{copies} copies of {copied} payments");
    assert!(frozen.payments() > FULL * 8 / 10);
    // Full: the copy leaves out the oldest, so that it serves while they leave.
    let steady = learn(&mut pair, &mut frozen, FULL as u64 + 1..2 * FULL as u64, FULL);
    assert!((steady.0 - copies) < 25, "{} copies for 40 segments", steady.0 - copies);
    assert!(frozen.part_of(&pair.0, 10).is_some());
    // A bank that is gone is let go of.
    let next = frozen.renewed(&Learned::default(), Some(SEGMENT)).unwrap();
    assert_eq!(next.payments(), 0);
}
