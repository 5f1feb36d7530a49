//! The merge: a state and any number of bodies, each in its own order, read as one sequence of signals with where each
//! member stands on it. Memory is a cursor a source and one signal's stands.

use crate::epoch::state::State;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::kind::MemberId;
use crate::limits::MERGE_BODIES_MAX;
use crate::signal::stand::Stand;
use crate::signal::{Body, Key};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// A contribution that is in the governance log, with its body.
#[derive(Debug, Clone, Copy)]
pub struct Admitted<'a> {
    /// The leaf of its manifest, from 0.
    pub leaf: u64,
    /// Whose.
    pub member: MemberId,
    /// Which of theirs.
    pub number: u64,
    /// Its body.
    pub body: Body<'a>,
}

/// The row that a source gives next. What a member has said counts in the order of its numbers, behind the state.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    key: Key,
    member: MemberId,
    /// `None`: the state.
    number: Option<u64>,
    source: usize,
}

/// The merged sequence.
pub(crate) struct Merge<'a> {
    state: Option<&'a State<'a>>,
    bodies: &'a [Admitted<'a>],
    /// Of each body, the row that comes next; last of all, the state's.
    next: Vec<usize>,
    heads: BinaryHeap<Reverse<Head>>,
}

impl<'a> Merge<'a> {
    /// A merge of what a state has and of bodies of leaves from its size up to another, in any order.
    pub(crate) fn new(
        state: Option<&'a State<'a>>,
        bodies: &'a [Admitted<'a>],
        governance_size: u64,
    ) -> Result<Merge<'a>> {
        check(state.map_or(0, State::governance_size), bodies, governance_size)?;
        let (next, heads) = (vec![0; bodies.len() + 1], BinaryHeap::with_capacity(bodies.len() + 1));
        let mut merge = Merge { state, bodies, next, heads };
        (0..=bodies.len()).for_each(|source| merge.push(source));
        Ok(merge)
    }
    fn push(&mut self, source: usize) {
        let row = self.next[source];
        let head = match self.bodies.get(source) {
            Some(admitted) => admitted.body.key(row).map(|key| Head {
                key,
                member: admitted.member,
                number: Some(admitted.number),
                source,
            }),
            None => self.state.and_then(|state| {
                let (key, member) = state.key(row)?;
                Some(Head { key, member, number: None, source })
            }),
        };
        self.heads.extend(head.map(Reverse));
    }
    /// The next signal and where members stand on it, ascending by member; who stands nowhere is left out, so the list
    /// may be empty.
    pub(crate) fn next(&mut self, stands: &mut Vec<Stand<'a>>) -> Option<Key> {
        stands.clear();
        let key = self.heads.peek()?.0.key;
        while let Some(Reverse(head)) = self.heads.peek() {
            if head.key != key {
                break;
            }
            let (source, member) = (head.source, head.member);
            if stands.last().is_none_or(|stand| stand.member != member) {
                if stands.last().is_some_and(Stand::is_empty) {
                    stands.pop();
                }
                stands.push(Stand::new(member));
            }
            let stand = stands.last_mut().expect("it was just pushed where there was none");
            let row = self.next[source];
            self.next[source] += 1;
            match self.bodies.get(source) {
                Some(admitted) => stand.apply(&admitted.body.row(row).expect("its key was read")),
                None => *stand = self.state.and_then(|state| state.row(row)).expect("its key was read").1,
            }
            self.heads.pop();
            self.push(source);
        }
        if stands.last().is_some_and(Stand::is_empty) {
            stands.pop();
        }
        Some(key)
    }
}

/// That bodies are of leaves behind the state and before the new size, and each member's numbers rise with its leaves.
fn check(from: u64, bodies: &[Admitted<'_>], to: u64) -> Result<()> {
    if bodies.len() > MERGE_BODIES_MAX {
        let message = format!("{} contributions at once, limit {MERGE_BODIES_MAX}", bodies.len());
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let refuse = |leaf, message: &str| {
        Err(Error::new(ErrorKind::Invalid, message).at(Place::Leaf("governance", leaf)))
    };
    if from > to {
        return refuse(to, "the state is of a longer log than the one to merge");
    }
    let mut by_leaf = BTreeMap::new();
    for body in bodies {
        if !(from..to).contains(&body.leaf) {
            return refuse(body.leaf, "not among the leaves to merge");
        }
        if by_leaf.insert(body.leaf, (body.member, body.number)).is_some() {
            return refuse(body.leaf, "given twice");
        }
    }
    let mut last = BTreeMap::new();
    for (leaf, (member, number)) in by_leaf {
        if last.insert(member, number).is_some_and(|before| before >= number) {
            return refuse(leaf, "its number is not above the member's one before it");
        }
    }
    Ok(())
}
