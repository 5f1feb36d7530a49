//! Folding list deltas into the base changes nothing that a payment meets: not against the oracle, whatever deltas
//! come while a fold is made; not over restarts and changed configurations, beside a node that never folds; not on
//! any number of lanes. And with it deltas go on far past the overlay's bound.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "lists/draw.rs"]
mod draw;
#[path = "folds/feeder.rs"]
mod feeder;

use draw::{delta, lists, oracle_of, told_by_engine, told_by_oracle, transaction};
use feeder::{Feeder, bin, delta_of, tag};
use interdict_engine::domain::{Entry, ListDelta, Outcome};
use interdict_engine::limits::{DELTA_ENTRIES_MAX, OVERLAY_ENDED_MAX, OVERLAY_ENTRIES_MAX};
use interdict_engine::lists::{
    Hits, LayerKind, ListBase, ListMeta, ListView, Overlay, Snapshot, build, fold,
};
use interdict_tests::oracle::lists::Lists;
use proptest::prelude::*;
use proptest::sample::subsequence;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

type Parts = Vec<(LayerKind, Vec<u8>)>;

fn open(parts: &Parts) -> Arc<ListBase> {
    let snapshots =
        parts.iter().map(|(kind, bytes)| (*kind, Snapshot::open(Arc::new(bytes.clone())).unwrap()));
    Arc::new(ListBase::layered(snapshots.collect()).unwrap())
}

/// Lists as a node has them, without a node.
struct Folding {
    parts: Parts,
    base: Arc<ListBase>,
    overlay: Overlay,
    folded_to: u64,
}

impl Folding {
    fn new(lists: &[(ListMeta, Vec<Entry>)]) -> Folding {
        let files =
            lists.iter().map(|(meta, entries)| (LayerKind::File, build(meta, entries.clone()).unwrap()));
        let parts: Parts = files.collect();
        let base = open(&parts);
        Folding { overlay: Overlay::new(&base), parts, base, folded_to: 0 }
    }
    fn view(&self) -> ListView<'_> {
        ListView { base: &self.base, overlay: &self.overlay }
    }
    fn delta(&mut self, sequence: u64, tenant: &str, delta: &ListDelta) {
        self.overlay = self.overlay.apply(&self.base, sequence, tenant, delta).unwrap();
    }
    /// What a fold makes now, and up to which sequence it holds deltas.
    fn begin(&self) -> (Parts, u64) {
        let mut parts = Parts::new();
        for (number, folded) in (0..).zip(fold(self.view(), &|_| 1).unwrap()) {
            let layers = self.base.list(number).map_or(&[][..], |list| list.layers());
            parts.extend(layers[..folded.kept].iter().map(|layer| self.parts[layer.part()].clone()));
            parts.extend(folded.put);
        }
        (parts, self.overlay.sequence())
    }
    fn publish(&mut self, (parts, folded_to): (Parts, u64)) {
        let base = open(&parts);
        let folded = (self.folded_to, folded_to);
        self.overlay = self.overlay.rebase(&self.base, &base, folded).unwrap();
        (self.parts, self.base, self.folded_to) = (parts, base, folded_to);
    }
    fn agrees_with(&self, oracle: &Lists) {
        let view = self.view();
        assert_eq!(view.len(), oracle.0.len());
        for (number, list) in (0..).zip(&oracle.0) {
            assert_eq!(view.number(&list.name, list.owner.as_deref()), Some(number));
            let live = list.entries.iter().filter(|seen| seen.to.is_none());
            let expected: BTreeMap<_, _> =
                live.map(|seen| (seen.entry.subject, seen.entry.clone())).collect();
            let entries = view.entries(number).into_iter();
            let found: BTreeMap<_, _> =
                entries.map(|entry| (entry.subject, Entry { id: 0, ..entry })).collect();
            assert_eq!(found, expected);
            for entry in view.entries(number) {
                assert_eq!(view.entry(number, entry.id).as_ref(), Some(&entry));
                assert_eq!(view.entry_of(number, &entry.subject).as_ref(), Some(&entry));
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Delta(u64, &'static str, ListDelta),
    /// A fold's view is taken; it is published by the next `End`, after whatever deltas come between.
    Begin,
    End,
}

fn step() -> impl Strategy<Value = Step> {
    let delta = delta().prop_map(|(gap, tenant, delta)| Step::Delta(gap, tenant, delta));
    prop_oneof![4 => delta, 2 => Just(Step::Begin), 2 => Just(Step::End)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn folds_at_random_points_change_nothing_that_the_oracle_sees(
        lists in lists(),
        steps in prop::collection::vec(step(), 0..24),
        transactions in prop::collection::vec(transaction(), 1..10),
    ) {
        let (mut folding, mut oracle) = (Folding::new(&lists), oracle_of(&lists));
        let (mut sequence, mut pending) = (0, None);
        let mut views = vec![(0, folding.base.clone(), folding.overlay.clone())];
        for step in &steps {
            match step {
                Step::Delta(gap, tenant, delta) => {
                    sequence += gap;
                    folding.delta(sequence, tenant, delta);
                    oracle.apply(sequence, tenant, delta);
                }
                Step::Begin if pending.is_none() => pending = Some(folding.begin()),
                Step::End => {
                    let Some(made) = pending.take() else { continue };
                    sequence += 1;
                    let changes = folding.overlay.len();
                    folding.publish(made);
                    // An entry that took the place of one that is folded by now is two changes: itself, and the end
                    // of that one.
                    prop_assert!(folding.overlay.len() <= 2 * changes);
                }
                Step::Begin => continue,
            }
            folding.agrees_with(&oracle);
            views.push((sequence, folding.base.clone(), folding.overlay.clone()));
        }
        let mut hits = Hits::new();
        for (sequence, tx) in &transactions {
            let (_, base, overlay) = views.iter().rev().find(|(at, ..)| at < sequence).unwrap();
            let told = told_by_engine(ListView { base, overlay }, tx, &mut hits);
            prop_assert_eq!(told, told_by_oracle(&oracle, *sequence, tx));
        }
        // With nothing between its view and its publication, a fold leaves no change behind.
        let made = folding.begin();
        folding.publish(made);
        prop_assert_eq!((folding.overlay.len(), folding.view().len()), (0, oracle.0.len()));
        folding.agrees_with(&oracle);
    }
}

#[test]
fn a_stack_stays_as_short_as_the_logarithm_of_its_changes_and_old_news_is_refused() {
    let mut folding = Folding::new(&[]);
    let first = folding.begin();
    for sequence in 1..=200u64 {
        let remove = sequence.checked_sub(3).map(|tag_| tag(tag_.into()).subject);
        let add = vec![tag(u128::from(sequence)), tag(u128::from(sequence) + 1000)];
        let delta = ListDelta { remove: remove.into_iter().collect(), ..delta_of("made", add) };
        folding.delta(sequence, "t", &delta);
        let made = folding.begin();
        folding.publish(made);
        let layers = folding.base.lists()[0].layers().len();
        assert!(layers <= 16, "{layers} snapshots after {sequence} folds");
        assert_eq!(folding.view().entries(0).len() as u64, 2 * sequence - sequence.saturating_sub(3));
    }
    let error = folding.overlay.rebase(&folding.base, &open(&first.0), (folding.folded_to, 0)).err().unwrap();
    assert!(error.message.contains("up to sequence 0, the one in force up to 200"), "{error}");
}

#[test]
fn what_ends_while_a_fold_is_made_stays_ended_even_past_what_is_remembered() {
    let mut folding = Folding::new(&[]);
    folding.delta(1, "t", &delta_of("made", (0..100).map(tag).collect()));
    let made = folding.begin();
    let gone = ListDelta { remove: (0..50).map(|n| tag(n).subject).collect(), ..delta_of("made", vec![]) };
    folding.delta(2, "t", &gone);
    let mut sequence = 2;
    // So many entries come and go that nobody remembers the fifty.
    for _ in 0..=OVERLAY_ENDED_MAX / 5000 {
        let churn: Vec<Entry> = (1_000..6_000).map(tag).collect();
        let remove = churn.iter().map(|entry| entry.subject).collect();
        sequence += 2;
        folding.delta(sequence - 1, "t", &delta_of("made", churn));
        folding.delta(sequence, "t", &ListDelta { remove, ..delta_of("made", vec![]) });
    }
    folding.publish(made);
    let left: Vec<Entry> =
        folding.view().entries(0).into_iter().map(|entry| Entry { id: 0, ..entry }).collect();
    assert_eq!(left, (50..100).map(tag).collect::<Vec<_>>());
}

#[derive(Debug, Clone)]
enum Act {
    Delta {
        list: &'static str,
        add: Vec<u32>,
        remove: Vec<u32>,
    },
    Fold,
    /// Other files; an absent one takes its list out of the configuration. Without a restart a file is only emptied.
    Files {
        hot: Option<Vec<u32>>,
        cold: Option<Vec<u32>>,
        restart: bool,
    },
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    let bins = || subsequence((400_010u32..400_018).collect::<Vec<_>>(), 0..5);
    let names = prop::sample::select(vec!["hot", "cold", "made"]);
    let delta = (names, bins(), bins()).prop_map(|(list, add, remove)| Act::Delta { list, add, remove });
    let files = (prop::option::weighted(0.8, bins()), prop::option::weighted(0.8, bins()), any::<bool>());
    let files = files.prop_map(|(hot, cold, restart)| Act::Files { hot, cold, restart });
    prop_oneof![6 => delta, 3 => Just(Act::Fold), 2 => files, 1 => Just(Act::Restart)]
}

/// What deltas took away without a file's word against it: whether it stays away under a later file is not promised
/// (a fold remembers it, an overlay does not).
#[derive(Default)]
struct Unsure {
    removed: BTreeSet<(String, u32)>,
    unsure: BTreeSet<(String, u32)>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_node_that_folds_has_the_lists_of_one_that_never_does(acts in prop::collection::vec(act(), 1..16)) {
        let (mut folds, mut never) = (Feeder::new(OVERLAY_ENTRIES_MAX), Feeder::new(OVERLAY_ENTRIES_MAX));
        let mut files: BTreeMap<&str, Option<Vec<u32>>> =
            BTreeMap::from([("hot", Some(vec![400_010, 400_011])), ("cold", Some(vec![]))]);
        let mut sure = Unsure::default();
        for feeder in [&mut folds, &mut never] {
            feeder.files(&files);
            feeder.restart();
        }
        for act in &acts {
            match act {
                Act::Delta { list, add, remove } => {
                    for number in remove {
                        let key = ((*list).to_owned(), *number);
                        let in_file = files.get(list).cloned().flatten().is_some_and(|f| f.contains(number));
                        if !in_file { sure.unsure.insert(key.clone()); }
                        sure.removed.insert(key);
                    }
                    for number in add {
                        let key = ((*list).to_owned(), *number);
                        sure.removed.remove(&key);
                        sure.unsure.remove(&key);
                    }
                    let add: Vec<Entry> = add.iter().map(|number| bin(*number, "by delta")).collect();
                    let remove = remove.iter().map(|number| bin(*number, "").subject).collect();
                    let delta = ListDelta { remove, ..delta_of(list, add) };
                    [&folds, &never].into_iter().for_each(|feeder| feeder.delta(&delta));
                }
                Act::Fold => drop(folds.node().fold(1).unwrap()),
                Act::Files { hot, cold, restart } => {
                    for (name, file) in [("hot", hot), ("cold", cold)] {
                        let was = files[name].is_some();
                        let file = if *restart { file.clone() } else { was.then(|| file.clone().unwrap_or_default()) };
                        for (list, number) in &sure.removed {
                            if list == name && !file.as_ref().is_some_and(|file| file.contains(number)) {
                                sure.unsure.insert((list.clone(), *number));
                            }
                        }
                        files.insert(name, file);
                    }
                    for feeder in [&mut folds, &mut never] {
                        feeder.files(&files);
                        if *restart {
                            feeder.restart();
                        } else {
                            feeder.node().publish_current(1).unwrap();
                        }
                    }
                }
                Act::Restart => [&mut folds, &mut never].into_iter().for_each(Feeder::restart),
            }
            let told = |feeder: &Feeder| {
                let lists = feeder.lists().into_iter().map(|(name, mut entries)| {
                    entries.retain(|number, _| !sure.unsure.contains(&(name.clone(), *number)));
                    (name, entries)
                });
                lists.collect::<BTreeMap<_, _>>()
            };
            prop_assert_eq!(told(&folds), told(&never), "after {:?}", act);
        }
        let verified = folds.verify();
        prop_assert_eq!(verified.findings, Vec::<String>::new());
    }
}

/// Payments before, between and after deltas and folds: the folds at fixed places where `fold_every` says so, else
/// wherever the node's own thread makes them. The verdicts' bytes and outcomes, by payment.
fn run(
    lanes: usize,
    fold_at: usize,
    deltas: usize,
    size: usize,
    fold_every: usize,
) -> Vec<(Vec<u8>, Outcome)> {
    let mut feeder = Feeder::new(fold_at);
    feeder.files(&BTreeMap::from([("hot", Some(vec![])), ("cold", Some(vec![]))]));
    feeder.lanes = lanes;
    feeder.restart();
    let mut verdicts = Vec::new();
    let mut refused = 0;
    for round in 0..deltas {
        // Cards 0 to 9 come and go in turn; the rest is volume.
        let add = (0..size as u128 - 1).map(|n| tag(1_000_000 + round as u128 * size as u128 + n));
        let add: Vec<Entry> = [feeder.card(round % 10)].into_iter().chain(add).collect();
        let remove = vec![feeder.card((round + 5) % 10).subject];
        let delta = ListDelta { remove, ..delta_of("hot", add) };
        while !feeder.try_delta(&delta) {
            refused += 1;
            std::thread::sleep(Duration::from_millis(50));
        }
        for card in 0..10 {
            verdicts.push(feeder.pay(round * 10 + card, card));
        }
        if fold_every > 0 && round % fold_every == fold_every - 1 {
            feeder.node().fold(1).unwrap();
        }
    }
    let folds = feeder.node().folds.ok.load(Ordering::Relaxed);
    println!(
        "{lanes} lanes: {} changes, {folds} folds in {:.2} s, {refused} deltas refused and tried again",
        deltas * size,
        feeder.node().folds.duration.get_sample_sum()
    );
    assert!(folds >= 3, "{folds} folds");
    if fold_every > 0 {
        // What was answered is told again over the folds, by name. (Large generations are built again for it, and at
        // a restart, so not where they are large.)
        for (sequence, verdict) in &verdicts {
            assert!(feeder.tells_its_entries(*sequence), "{verdict:?}");
        }
        feeder.restart();
    }
    let verified = feeder.verify();
    assert_eq!((verified.equal, verified.different), (verdicts.len() as u64, 0));
    assert_eq!(verified.findings, Vec::<String>::new());
    verdicts.into_iter().map(|(_, verdict)| (verdict.encode(), verdict.outcome)).collect()
}

#[test]
fn over_folds_verdicts_are_the_same_bytes_on_any_number_of_lanes_and_in_verify() {
    let first = run(0, OVERLAY_ENTRIES_MAX, 40, 50, 7);
    for lanes in [1, 8] {
        assert_eq!(run(lanes, OVERLAY_ENTRIES_MAX, 40, 50, 7), first, "{lanes} lanes");
    }
    let declined = first.iter().filter(|(_, outcome)| *outcome == Outcome::Decline).count();
    assert!((100..300).contains(&declined), "{declined} of {}", first.len());
}

#[test]
fn three_times_the_overlay_s_bound_goes_through_beside_traffic() {
    let rounds = 3 * OVERLAY_ENTRIES_MAX / DELTA_ENTRIES_MAX + 1;
    let size = DELTA_ENTRIES_MAX - 1;
    let folded = run(1, OVERLAY_ENTRIES_MAX / 4, rounds, size, 0);
    // The same outcomes as with small deltas that never come near the bound.
    let outcomes =
        |verdicts: Vec<(Vec<u8>, Outcome)>| verdicts.into_iter().map(|(_, o)| o).collect::<Vec<_>>();
    assert_eq!(outcomes(folded), outcomes(run(0, OVERLAY_ENTRIES_MAX, rounds, 2, 20)));
}

#[test]
fn a_fold_that_fails_changes_nothing_is_counted_and_tried_again() {
    let mut feeder = Feeder::new(10);
    feeder.files(&BTreeMap::from([("hot", Some(vec![])), ("cold", Some(vec![]))]));
    feeder.restart();
    let wait_for = |what: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !what() {
            assert!(began.elapsed() < Duration::from_secs(60), "it never came");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    feeder.keep_away(true);
    feeder.delta(&delta_of("hot", (400_000..400_020).map(|number| bin(number, "by delta")).collect()));
    wait_for(&|| feeder.node().folds.failed.load(Ordering::Relaxed) > 0);
    feeder.delta(&delta_of("hot", vec![bin(400_020, "by delta")]));
    assert_eq!((feeder.node().view().overlay().len(), feeder.lists()["hot"].len()), (21, 21));
    feeder.keep_away(false);
    wait_for(&|| feeder.node().folds.ok.load(Ordering::Relaxed) > 0);
    assert_eq!((feeder.node().view().overlay().len(), feeder.lists()["hot"].len()), (0, 21));
    feeder.restart();
    assert_eq!((feeder.node().view().overlay().len(), feeder.lists()["hot"].len()), (0, 21));
}
