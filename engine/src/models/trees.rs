//! Tree ensembles in integers: every decision is `value <= threshold` on i64, both children stand side by side, a leaf
//! leads to itself. So a step is a load, a comparison and an addition, eight trees at a time, without a branch to guess.

use super::columns::Column;
use super::ensemble::{Compare, Ensemble, Node};
use super::link::{FRACTION_BITS, Link, ONE};
use super::onnx::invalid;
use super::{ModelScratch, ScoreFrom};
use crate::calibration::Calibration;
use crate::error::{Error, ErrorKind};
use crate::limits::{MODEL_DEPTH_MAX, MODEL_SUM_MAX};

/// Trees walked together: enough loads in flight to hide the cache's latency.
const ABREAST: usize = 8;

#[derive(Debug, Clone, Copy)]
struct Step {
    /// `value <= threshold` goes to `next`, else to `next + 1`.
    threshold: i64,
    /// Position in the row of values.
    column: u32,
    next: u32,
}

#[derive(Debug)]
struct Group {
    roots: [u32; ABREAST],
    /// Steps after which each of its trees has arrived at a leaf.
    depth: u32,
}

/// A lowered ensemble.
#[derive(Debug)]
pub(super) struct Trees {
    steps: Vec<Step>,
    /// What each step adds to the sum when it is a leaf, in units of 2^-32.
    leaves: Vec<i64>,
    groups: Vec<Group>,
    /// The declared input of each column; the row has these twice, once for each side that a gap can fall to.
    columns: Vec<u32>,
    base: i64,
    link: Link,
}

/// The nearest fixed-point number: off by 2^-33 at most.
fn fixed(weight: f64) -> i64 {
    (weight * ONE as f64).round() as i64
}

impl Trees {
    /// Lowers an ensemble over its columns. A sum is off the exact one by at most 2^-33 for each tree and the base.
    pub(super) fn lower(ensemble: &Ensemble, columns: &[Column], from: ScoreFrom) -> Result<Trees, Error> {
        check_sum(ensemble)?;
        let link = match (ensemble.is_logistic, from) {
            (true, ScoreFrom::Probability) => Link::Logistic,
            (false, ScoreFrom::Probability) => Link::Identity,
            (false, ScoreFrom::Thousandths) => Link::Thousandths,
            (true, ScoreFrom::Thousandths) => {
                return Err(invalid("score.from is thousandths, but the model gives a probability"));
            }
        };
        let mut flat = Flat { columns, steps: Vec::new(), leaves: Vec::new(), work: Vec::new() };
        let mut trees = Vec::with_capacity(ensemble.roots.len());
        for root in &ensemble.roots {
            trees.push(flat.tree(&ensemble.nodes, *root)?);
        }
        // Trees of like depth together: a group takes as many steps as its deepest.
        trees.sort_by_key(|(_, depth)| *depth);
        let nothing = flat.push();
        flat.leaf(nothing, 0);
        let groups = trees.chunks(ABREAST).map(|trees| {
            let mut roots = [nothing; ABREAST];
            roots.iter_mut().zip(trees).for_each(|(slot, (root, _))| *slot = *root);
            Group { roots, depth: trees.iter().map(|(_, depth)| *depth).max().unwrap_or(0) }
        });
        Ok(Trees {
            groups: groups.collect(),
            columns: columns.iter().map(|column| column.input as u32).collect(),
            base: fixed(ensemble.base),
            link,
            steps: flat.steps,
            leaves: flat.leaves,
        })
    }

    /// The score of the values in the scratch.
    pub(super) fn score(&self, scratch: &mut ModelScratch) -> u16 {
        self.link.score(self.sum(scratch))
    }

    /// Base and leaves, in units of 2^-32. `check_sum` bounds it far below an i64.
    pub(super) fn sum(&self, scratch: &mut ModelScratch) -> i64 {
        let ModelScratch { values, ints, .. } = scratch;
        ints.clear();
        let value = |column: &u32| values[*column as usize];
        let inner = |value: i64| value.clamp(i64::MIN + 1, i64::MAX - 1);
        ints.extend(self.columns.iter().map(|column| value(column).map_or(i64::MIN, inner)));
        ints.extend(self.columns.iter().map(|column| value(column).map_or(i64::MAX, inner)));
        let mut sum = self.base;
        for group in &self.groups {
            let mut at = group.roots;
            for _ in 0..group.depth {
                for at in &mut at {
                    let step = self.steps[*at as usize];
                    *at = step.next + u32::from(ints[step.column as usize] > step.threshold);
                }
            }
            sum += at.iter().map(|at| self.leaves[*at as usize]).sum::<i64>();
        }
        sum
    }

    /// Estimated ps of one score.
    pub(super) fn cost_ps(&self, costs: &Calibration) -> u64 {
        let steps: u64 = self.groups.iter().map(|group| u64::from(group.depth) * ABREAST as u64).sum();
        costs.trees_ps + steps * costs.tree_step_ps
    }
    /// How many nodes it keeps.
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }
}

fn check_sum(ensemble: &Ensemble) -> Result<(), Error> {
    let mut largest = ensemble.base.abs();
    for root in &ensemble.roots {
        let (mut of_tree, mut stack) = (0.0f64, vec![*root]);
        while let Some(at) = stack.pop() {
            match ensemble.nodes[at] {
                Node::Leaf(weight) => of_tree = of_tree.max(weight.abs()),
                Node::Split { when_true, when_false, .. } => stack.extend([when_true, when_false]),
            }
        }
        largest += of_tree;
    }
    if largest <= MODEL_SUM_MAX as f64 {
        return Ok(());
    }
    let message = format!("its leaves may add up to {largest:e}, limit {MODEL_SUM_MAX}");
    Err(Error::new(ErrorKind::TooLarge, message))
}

const _: () = assert!(MODEL_SUM_MAX < i64::MAX >> FRACTION_BITS);

/// The flattened nodes while they are made.
struct Flat<'c> {
    columns: &'c [Column],
    steps: Vec<Step>,
    leaves: Vec<i64>,
    /// Nodes to be put into a slot, at a depth.
    work: Vec<(usize, u32, u32)>,
}

impl Flat<'_> {
    fn push(&mut self) -> u32 {
        self.steps.push(Step { threshold: i64::MAX, column: 0, next: 0 });
        self.leaves.push(0);
        (self.steps.len() - 1) as u32
    }
    /// Two slots side by side; the first.
    fn pair(&mut self) -> u32 {
        let first = self.push();
        self.push();
        first
    }
    /// A leaf leads to itself: no value is above `i64::MAX`.
    fn leaf(&mut self, slot: u32, weight: i64) {
        self.forward(slot, slot);
        self.leaves[slot as usize] = weight;
    }
    /// Always leads to another slot.
    fn forward(&mut self, slot: u32, to: u32) {
        self.steps[slot as usize] = Step { threshold: i64::MAX, column: 0, next: to };
    }
    /// Goes to `next` up to a threshold, behind it to `next + 1`; a gap to `next` where `gap_is_left`.
    fn split(&mut self, slot: u32, column: usize, gap_is_left: bool, threshold: i64, next: u32) {
        let column = if gap_is_left { column } else { self.columns.len() + column };
        self.steps[slot as usize] = Step { threshold, column: column as u32, next };
    }

    /// Flattens one tree: its root's slot and its depth.
    fn tree(&mut self, nodes: &[Node], root: usize) -> Result<(u32, u32), Error> {
        let (slot, mut deepest) = (self.push(), 0);
        self.work.push((root, slot, 0));
        while let Some((at, slot, depth)) = self.work.pop() {
            deepest = deepest.max(depth);
            if depth as usize > MODEL_DEPTH_MAX {
                let message = format!("a tree is deeper than {MODEL_DEPTH_MAX} decisions");
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
            match nodes[at] {
                Node::Leaf(weight) => self.leaf(slot, fixed(weight)),
                Node::Split { compare, feature, threshold, gap_is_true, when_true, when_false } => {
                    let Some(column) = self.columns.get(feature) else {
                        let columns = self.columns.len();
                        return Err(invalid(format!(
                            "a tree reads column {feature}, the input has {columns}"
                        )));
                    };
                    let (last, before) = (column.last(threshold, false), column.last(threshold, true));
                    let children = match compare {
                        Compare::Leq => (last, when_true, when_false, gap_is_true),
                        Compare::Lt => (before, when_true, when_false, gap_is_true),
                        Compare::Gt => (last, when_false, when_true, !gap_is_true),
                        Compare::Gte => (before, when_false, when_true, !gap_is_true),
                        Compare::Eq | Compare::Neq => {
                            let is_eq = compare == Compare::Eq;
                            let (same, other) =
                                if is_eq { (when_true, when_false) } else { (when_false, when_true) };
                            let range = (before, last, gap_is_true == is_eq);
                            self.equal(slot, feature, range, (same, other), depth);
                            continue;
                        }
                    };
                    let (threshold, left, right, gap_is_left) = children;
                    let next = self.pair();
                    self.split(slot, feature, gap_is_left, threshold, next);
                    self.work.extend([(left, next, depth + 1), (right, next + 1, depth + 1)]);
                }
            }
        }
        Ok((slot, deepest))
    }

    /// `before < value <= last` goes to `same`, anything else to `other`: two decisions, of which the second leads
    /// over to the first's `other`.
    fn equal(
        &mut self,
        slot: u32,
        feature: usize,
        (before, last, gap_is_same): (i64, i64, bool),
        (same, other): (usize, usize),
        depth: u32,
    ) {
        let (upper, lower) = (self.pair(), self.pair());
        self.split(slot, feature, gap_is_same, last, upper);
        self.split(upper, feature, false, before, lower);
        self.forward(lower, upper + 1);
        // One more for `other`, which is also reached through the forward.
        self.work.extend([(other, upper + 1, depth + 3), (same, lower + 1, depth + 2)]);
    }
}
