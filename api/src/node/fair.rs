//! Weighted round robin: a queue each party, and the next job comes from the party that has had least for its weight.
//! Jobs of a party keep their order. A party that was away comes back as if it had just had its share: neither does it
//! pay for what it had while others were away, nor has it saved anything up.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::Hash;

/// What one job takes of a party of weight 1. Divided by the weight, so it bounds how exact shares are: 1000 parts
/// take it to within 0.01 %.
const TURN: u64 = 1 << 24;
/// Past this the reckoning begins anew, at a moment when nobody waits.
const ANEW: u64 = 1 << 62;

/// Who waits, and whose turn it is.
#[derive(Debug)]
pub struct Fair<K, T> {
    parties: HashMap<K, Party<T>>,
    /// The parties with jobs, by when their next job's turn begins; ties by who has waited for longest.
    turns: BTreeSet<(u64, u64, K)>,
    /// Where the turn last given began.
    now: u64,
    arrivals: u64,
    len: usize,
    weight: u64,
    parties_max: usize,
}

#[derive(Debug)]
struct Party<T> {
    jobs: VecDeque<T>,
    weight: u32,
    /// Where its next turn begins, and its place among ties; of meaning while it has jobs, the first one always.
    next: u64,
    since: u64,
}

impl<K: Clone + Eq + Hash + Ord, T> Fair<K, T> {
    /// An empty one, for so many parties at once.
    pub fn new(parties_max: usize) -> Fair<K, T> {
        Fair {
            parties: HashMap::new(),
            turns: BTreeSet::new(),
            now: 0,
            arrivals: 0,
            len: 0,
            weight: 0,
            parties_max,
        }
    }
    /// Jobs that wait.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Jobs of one party that wait.
    pub fn len_of(&self, key: &K) -> usize {
        self.parties.get(key).map_or(0, |party| party.jobs.len())
    }
    /// The waiting parties with their numbers of jobs.
    pub fn waiting(&self) -> impl Iterator<Item = (&K, usize)> {
        self.parties.iter().map(|(key, party)| (key, party.jobs.len())).filter(|(_, len)| *len > 0)
    }

    /// Queues a job of a party of that weight (at least 1).
    ///
    /// # Errors
    /// The job again, where there are too many parties already.
    pub fn push(&mut self, key: K, weight: u32, job: T) -> Result<(), T> {
        if !self.parties.contains_key(&key) && self.parties.len() >= self.parties_max {
            self.parties.retain(|_, party| !party.jobs.is_empty());
            if self.parties.len() >= self.parties_max {
                return Err(job);
            }
        }
        let party = self.parties.entry(key.clone()).or_insert_with(|| Party {
            jobs: VecDeque::new(),
            weight: 1,
            next: 0,
            since: 0,
        });
        if party.jobs.is_empty() {
            self.arrivals += 1;
            party.weight = weight.max(1);
            party.next = party.next.max(self.now);
            party.since = self.arrivals;
            self.turns.insert((party.next, party.since, key));
            self.weight += u64::from(party.weight);
        }
        party.jobs.push_back(job);
        self.len += 1;
        Ok(())
    }

    /// The job whose turn it is; it stays.
    pub fn front(&self) -> Option<&T> {
        let (.., key) = self.turns.first()?;
        self.parties.get(key)?.jobs.front()
    }
    /// The job whose turn it is.
    pub fn take(&mut self) -> Option<T> {
        let (start, since, key) = self.turns.pop_first()?;
        self.now = start;
        let party = self.parties.get_mut(&key).expect("a party that has turns is known");
        let job = party.jobs.pop_front().expect("a party that has turns has jobs");
        self.len -= 1;
        party.next = start + TURN / u64::from(party.weight);
        if party.jobs.is_empty() {
            self.weight -= u64::from(party.weight);
        } else {
            self.turns.insert((party.next, since, key));
        }
        if self.len == 0 && self.now > ANEW {
            self.parties.clear();
            self.now = 0;
        }
        Some(job)
    }

    /// About how many jobs go before the next one that this party brings: its own, and as many of the others' as their
    /// weights entitle them to meanwhile.
    pub fn ahead(&self, key: &K, weight: u32) -> usize {
        let (own, weight) = self.parties.get(key).map_or((0, weight), |party| match party.jobs.len() {
            0 => (0, weight),
            len => (len, party.weight),
        });
        let others = self.weight - if own > 0 { u64::from(weight) } else { 0 };
        let meanwhile = (own as u64 + 1).saturating_mul(others).div_ceil(u64::from(weight.max(1)));
        own + (self.len - own).min(usize::try_from(meanwhile).unwrap_or(usize::MAX))
    }

    /// Takes the newest job back from the party that has most for its weight.
    pub fn push_out(&mut self) -> Option<T> {
        let most = |party: &Party<T>| party.jobs.len() as u64 * TURN / u64::from(party.weight);
        let waiting = self.parties.iter().filter(|(_, party)| !party.jobs.is_empty());
        let key = waiting.max_by_key(|(_, party)| (most(party), party.since)).map(|(key, _)| key.clone())?;
        let party = self.parties.get_mut(&key).expect("just found");
        let job = party.jobs.pop_back();
        self.len -= 1;
        if party.jobs.is_empty() {
            self.turns.remove(&(party.next, party.since, key));
            self.weight -= u64::from(party.weight);
        }
        job
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What weighted round robin means, the slow way: each party's turns in exact fractions, and a walk over all.
    #[derive(Default)]
    struct Oracle {
        /// Queue, weight, next turn as a fraction (numerator over weight's lcm), who came first.
        parties: Vec<(VecDeque<u32>, u32, u128, u64)>,
        now: u128,
        arrivals: u64,
    }
    /// Divisible by every weight that is drawn, and near enough to what `Fair` rounds by.
    const WHOLE: u128 = 2520;

    impl Oracle {
        fn push(&mut self, party: usize, weight: u32, job: u32) {
            self.parties.resize_with(self.parties.len().max(party + 1), Default::default);
            let known = &mut self.parties[party];
            if known.0.is_empty() {
                self.arrivals += 1;
                *known = (VecDeque::new(), weight, known.2.max(self.now), self.arrivals);
            }
            known.0.push_back(job);
        }
        fn take(&mut self) -> Option<u32> {
            let waiting = self.parties.iter_mut().filter(|party| !party.0.is_empty());
            let party = waiting.min_by_key(|party| (party.2, party.3))?;
            self.now = party.2;
            party.2 += WHOLE / u128::from(party.1);
            party.0.pop_front()
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push(usize),
        Take,
    }
    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![3 => (0usize..5).prop_map(Step::Push), 2 => Just(Step::Take)]
    }

    proptest! {
        /// Weights whose parts of a turn are whole in both: the order is the oracle's, job by job.
        #[test]
        fn the_order_is_that_of_the_slow_oracle(
            weights in proptest::collection::vec(prop_oneof![Just(1u32), Just(2), Just(4), Just(8)], 5),
            steps in proptest::collection::vec(step(), 1..400),
        ) {
            let (mut fair, mut oracle) = (Fair::new(16), Oracle::default());
            for (job, step) in (0u32..).zip(steps) {
                match step {
                    Step::Push(party) => {
                        fair.push(party, weights[party], job).unwrap();
                        oracle.push(party, weights[party], job);
                    }
                    Step::Take => {
                        let front = fair.front().copied();
                        let taken = fair.take();
                        prop_assert_eq!((front, taken), (taken, oracle.take()));
                    }
                }
            }
            while let Some(expected) = oracle.take() {
                prop_assert_eq!(fair.take(), Some(expected));
            }
            prop_assert_eq!((fair.take(), fair.len(), fair.weight), (None, 0, 0));
        }

        /// Any weights: while two parties both wait, neither gets more than one job ahead of its share, a party's jobs
        /// keep their order, and a job never goes after more others than was said when it came.
        #[test]
        fn nobody_gets_ahead_of_its_share(
            weights in proptest::collection::vec(1u32..=1000, 2..5),
            counts in proptest::collection::vec(1usize..120, 5),
        ) {
            let mut fair = Fair::new(16);
            let mut said = HashMap::new();
            for (party, weight) in weights.iter().enumerate() {
                for job in 0..counts[party] {
                    fair.push(party, *weight, (party, job)).unwrap();
                }
            }
            for (party, weight) in weights.iter().enumerate() {
                said.insert((party, counts[party]), fair.ahead(&party, *weight));
            }
            for (party, weight) in weights.iter().enumerate() {
                fair.push(party, *weight, (party, counts[party])).unwrap();
            }
            let mut had = vec![0usize; weights.len()];
            let mut before = 0;
            while let Some((party, job)) = fair.take() {
                prop_assert_eq!(job, had[party], "in order");
                had[party] += 1;
                if let Some(said) = said.get(&(party, job)) {
                    // As many as were queued after it was said may come on top, one each.
                    prop_assert!(before <= said + 2 * weights.len(), "{before} went before, {said} were said");
                }
                before += 1;
                for other in 0..weights.len() {
                    let both_wait = had[party] <= counts[party] && had[other] <= counts[other];
                    let turns = |at: usize| had[at] as f64 / f64::from(weights[at]);
                    let one = 1.0 / f64::from(weights[party]) + 1.0 / f64::from(weights[other]);
                    prop_assert!(!both_wait || turns(party) - turns(other) <= one * 1.001);
                }
            }
        }

        /// At the bound the one with most for its weight gives way, and everything else stays as it was.
        #[test]
        fn whoever_has_most_for_its_weight_gives_way(
            weights in proptest::collection::vec(1u32..=4, 3),
            counts in proptest::collection::vec(0usize..20, 3),
        ) {
            let mut fair = Fair::new(16);
            for party in 0..3 {
                (0..counts[party]).for_each(|job| fair.push(party, weights[party], (party, job)).unwrap());
            }
            let turns = |party: usize| counts[party] as f64 / f64::from(weights[party]);
            let most = (0..3).map(turns).fold(0.0, f64::max);
            let len = fair.len();
            match fair.push_out() {
                None => prop_assert_eq!(len, 0),
                Some((party, job)) => {
                    prop_assert_eq!((job + 1, fair.len()), (counts[party], len - 1));
                    prop_assert!(turns(party) >= most - 1e-6);
                }
            }
            let (expected, mut left) = (fair.len(), 0);
            while fair.take().is_some() {
                left += 1;
            }
            prop_assert_eq!((left, fair.len(), fair.weight), (expected, 0, 0));
        }
    }

    #[test]
    fn parties_are_bounded_and_those_that_left_make_room() {
        let mut fair = Fair::new(2);
        fair.push("a", 1, 1).unwrap();
        fair.push("b", 1, 2).unwrap();
        assert_eq!(fair.push("c", 1, 3), Err(3));
        assert_eq!(fair.take(), Some(1));
        fair.push("c", 1, 3).unwrap();
        assert_eq!(fair.waiting().count(), 2);
    }
}
