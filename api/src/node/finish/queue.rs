//! The finisher's queue: what is unfinished, by cut-off, and as far as memory has room the view that each payment was
//! judged by. A view pins its generation, so views are bounded apart; one that is not held is made again.

use super::confirm::{Answer, Candidate, Confirming};
use interdict_engine::generation::View;
use interdict_engine::limits::{UNFINISHED_GENERATIONS_MAX, UNFINISHED_VIEWS_MAX};
use interdict_engine::unfinished::Unfinished;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A payment that waits to be finished.
#[derive(Debug, Clone)]
pub struct Lacking {
    /// When it settles, ms since the Unix epoch.
    pub cut_off_ms: i64,
    /// Its place in the one order.
    pub sequence: u64,
    /// What it was judged by; `None`: no longer held.
    pub view: Option<Arc<View>>,
    /// What is to be confirmed before it is finished.
    pub candidates: Vec<Candidate>,
}

/// All of them.
#[derive(Debug)]
pub struct Queue {
    unfinished: Unfinished,
    /// By the first sequence that it was held for.
    views: BTreeMap<u64, Held>,
    /// By sequence, the key of the view that is held for it.
    held_for: BTreeMap<u64, u64>,
    let_go: u64,
    confirming: Confirming,
}

#[derive(Debug)]
struct Held {
    view: Arc<View>,
    waiting: usize,
}

/// What bounds hold for a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// Those of views and of generations.
    Bounded,
    /// That of views: it was made again, and all of one pass are of one generation.
    Remade,
    /// None: the next payment needs it.
    Always,
}

impl Queue {
    /// Of payments without views.
    pub fn new(unfinished: Unfinished) -> Queue {
        let confirming = Confirming::default();
        Queue { unfinished, views: BTreeMap::new(), held_for: BTreeMap::new(), let_go: 0, confirming }
    }
    /// What an image of the state keeps of it.
    pub fn unfinished(&self) -> &Unfinished {
        &self.unfinished
    }
    /// To say that nothing is lacking.
    pub fn unfinished_mut(&mut self) -> &mut Unfinished {
        &mut self.unfinished
    }
    /// How often a payment was let go for the bound.
    pub fn let_go(&self) -> u64 {
        self.let_go
    }
    /// Views held, and generations that they are of.
    pub fn held(&self) -> (usize, usize) {
        (self.views.len(), self.generations().len())
    }
    fn generations(&self) -> BTreeSet<[u8; 32]> {
        self.views.values().map(|held| held.view.id().hash).collect()
    }

    /// Adds a payment. At the bound the one of the latest cut-off is let go.
    pub fn push(&mut self, lacking: Lacking) {
        let Lacking { cut_off_ms, sequence, view, candidates } = lacking;
        if self.unfinished.contains(sequence) {
            return;
        }
        if let Some(let_go) = self.unfinished.insert(cut_off_ms, sequence) {
            self.let_go += 1;
            self.release(let_go);
            self.confirming.remove(let_go);
            if let_go == sequence {
                return;
            }
        }
        self.confirming.wait_for(sequence, candidates);
        if let Some(view) = view {
            self.hold(sequence, view, Room::Bounded);
        }
    }
    /// Holds a view that was made again for a payment.
    pub fn hold_remade(&mut self, sequence: u64, view: Arc<View>, is_first: bool) {
        if self.unfinished.contains(sequence) && !self.held_for.contains_key(&sequence) {
            self.hold(sequence, view, if is_first { Room::Always } else { Room::Remade });
        }
    }
    fn hold(&mut self, sequence: u64, view: Arc<View>, room: Room) {
        let is_full = self.views.len() >= UNFINISHED_VIEWS_MAX && room != Room::Always;
        let before = self.views.range_mut(..=sequence).next_back();
        let key = match before {
            Some((key, held)) if Arc::ptr_eq(&held.view, &view) => {
                held.waiting += 1;
                *key
            }
            // Two payments with lanes between them may come the wrong way round, and the key be taken: that one's view
            // is made again.
            Some((key, _)) if *key == sequence => return,
            _ if is_full => return,
            _ => {
                if room == Room::Bounded {
                    self.make_room(view.id().hash);
                }
                self.views.insert(sequence, Held { view, waiting: 1 });
                sequence
            }
        };
        self.held_for.insert(sequence, key);
    }
    /// Of the generations the oldest goes where a further one comes: what is judged by it is first in the queue as a
    /// rule, and what was not finished by now has no time in sight.
    fn make_room(&mut self, hash: [u8; 32]) {
        let known = self.generations();
        if known.contains(&hash) || known.len() < UNFINISHED_GENERATIONS_MAX {
            return;
        }
        let oldest = self.views.values().next().map(|held| held.view.id().hash);
        self.views.retain(|_, held| Some(held.view.id().hash) != oldest);
        let views = &self.views;
        self.held_for.retain(|_, key| views.contains_key(key));
    }
    fn release(&mut self, sequence: u64) {
        let Some(key) = self.held_for.remove(&sequence) else { return };
        if let Some(held) = self.views.get_mut(&key) {
            held.waiting -= 1;
            if held.waiting == 0 {
                self.views.remove(&key);
            }
        }
    }
    /// Takes a payment out; whether it was there.
    pub fn remove(&mut self, sequence: u64) -> bool {
        self.release(sequence);
        self.confirming.remove(sequence);
        self.unfinished.remove(sequence)
    }
    /// What waits to be confirmed, and what was said of it.
    pub fn confirming(&mut self) -> &mut Confirming {
        &mut self.confirming
    }
    /// Whether nothing is left to do but to wait for what is to be confirmed.
    pub fn is_done(&self) -> bool {
        self.unfinished.len() == self.confirming.waiting() && !self.unfinished.lacks()
    }
    /// Gives up waiting for those that settle by a time, ms since the Unix epoch; how many.
    pub fn settled(&mut self, now_ms: i64) -> usize {
        if self.confirming.waiting() == 0 {
            return 0;
        }
        let settled = self.unfinished.iter().take_while(|(cut_off_ms, _)| *cut_off_ms <= now_ms);
        settled.filter(|(_, sequence)| self.confirming.answer(*sequence, Answer::Late)).count()
    }
    /// The first ones, by cut-off, that wait for nobody; they stay.
    pub fn first(&self, count: usize) -> Vec<Lacking> {
        let first = self.unfinished.iter().filter(|(_, sequence)| !self.confirming.is_waiting(*sequence));
        let first = first.take(count);
        let lacking = |(cut_off_ms, sequence)| {
            let held = self.held_for.get(&sequence).and_then(|key| self.views.get(key));
            let view = held.map(|held| held.view.clone());
            Lacking { cut_off_ms, sequence, view, candidates: Vec::new() }
        };
        first.map(lacking).collect()
    }
    /// The first ones whose views are not held.
    pub fn first_without_view(&self, count: usize) -> BTreeSet<u64> {
        let all = self.unfinished.iter().map(|(_, sequence)| sequence);
        all.filter(|sequence| !self.held_for.contains_key(sequence)).take(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::recovery::empty_generation;
    use super::*;

    fn lacking(cut_off_ms: i64, sequence: u64, view: Option<&Arc<View>>) -> Lacking {
        Lacking { cut_off_ms, sequence, view: view.cloned(), candidates: Vec::new() }
    }
    fn has_view(queue: &Queue, sequence: u64) -> Option<bool> {
        let all = queue.first(usize::MAX);
        all.iter().find(|one| one.sequence == sequence).map(|one| one.view.is_some())
    }

    #[test]
    fn views_are_shared_let_go_with_the_last_payment_and_bounded() {
        let mut queue = Queue::new(Unfinished::new(100_000));
        let views: Vec<Arc<View>> =
            (0..UNFINISHED_VIEWS_MAX as u64 + 5).map(|at| View::new(empty_generation(), at)).collect();
        for (at, view) in (0..).zip(&views) {
            queue.push(lacking(10, 2 * at + 1, Some(view)));
            queue.push(lacking(10, 2 * at + 2, Some(view)));
        }
        assert_eq!(queue.held(), (UNFINISHED_VIEWS_MAX, 1));
        let last = 2 * views.len() as u64;
        assert_eq!((has_view(&queue, 1), has_view(&queue, last)), (Some(true), Some(false)));
        assert_eq!(queue.first_without_view(3).into_iter().next(), Some(2 * UNFINISHED_VIEWS_MAX as u64 + 1));
        assert!(queue.remove(1) && !queue.remove(1));
        assert_eq!(queue.held().0, UNFINISHED_VIEWS_MAX, "2 still needs it");
        queue.remove(2);
        assert_eq!(queue.held().0, UNFINISHED_VIEWS_MAX - 1);
        assert_eq!(Arc::strong_count(&views[0]), 1);
        // There is room for one that was made again, and for the first one always.
        for (sequence, first) in [(last, false), (last - 2, false), (last - 4, true)] {
            queue.hold_remade(sequence, views[(sequence / 2 - 1) as usize].clone(), first);
        }
        let held = [last, last - 2, last - 4].map(|sequence| has_view(&queue, sequence));
        assert_eq!(held, [Some(true), Some(false), Some(true)]);
    }

    #[test]
    fn at_the_bound_the_latest_cut_off_goes_with_its_view() {
        let mut queue = Queue::new(Unfinished::new(2));
        let view = View::new(empty_generation(), 0);
        for (cut_off_ms, sequence) in [(30, 1), (10, 2), (20, 3), (40, 4)] {
            queue.push(lacking(cut_off_ms, sequence, Some(&view)));
        }
        let order: Vec<u64> = queue.first(9).iter().map(|one| one.sequence).collect();
        assert_eq!((order, queue.let_go(), queue.unfinished().lacks()), (vec![2, 3], 2, true));
        assert!(queue.remove(2) && queue.remove(3));
        assert_eq!((queue.held(), Arc::strong_count(&view)), ((0, 0), 1));
    }
}
