//! TreeEnsembleClassifier and TreeEnsembleRegressor (ai.onnx.ml, versions 1 to 3) as plain trees, reduced to the sum that
//! the score depends on; with a softmax, to the sums of all classes, which compete.

use super::Class;
use super::attributes::Attributes;
use super::onnx::Graph;
use super::outputs::{Column, Sums, classifier, regressor};
use crate::error::{Error, ErrorKind};
use crate::limits::{MODEL_NODES_MAX, MODEL_TREES_MAX};
use std::collections::HashMap;
use tract_onnx::pb::NodeProto;

/// How a decision compares its input with its threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Leq,
    Lt,
    Gte,
    Gt,
    Eq,
    Neq,
}

/// A node: a decision or a leaf.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Node {
    Split {
        compare: Compare,
        /// Column of the ensemble's input.
        feature: usize,
        threshold: f64,
        /// Where a gap (NaN) goes: to the true side?
        gap_is_true: bool,
        /// Positions in the list of nodes.
        when_true: usize,
        when_false: usize,
    },
    /// What the leaf adds to the sum.
    Leaf(f64),
}

/// An ensemble whose score is what `transform` makes of `base + Σ leaves`.
#[derive(Debug)]
pub(super) struct Ensemble {
    pub nodes: Vec<Node>,
    /// Root of each tree.
    pub roots: Vec<usize>,
    pub base: f64,
    /// Whether the sum is a log-odds, else it is the score itself.
    pub is_logistic: bool,
}

/// An ensemble's operator, understood; each sum is made when it is asked for, since a file may have many.
pub(super) struct Found<'g> {
    /// The value it reads its columns from.
    pub input: String,
    /// Which of its sums the score is of.
    pub class: usize,
    attributes: Attributes<'g>,
    nodes: Vec<Node>,
    positions: Positions,
    columns: Vec<Column>,
}

/// The ensemble that the score comes from; `None` where it comes from something else.
///
/// # Errors
/// For ensembles in a form that we do not lower: nothing else runs them.
pub(super) fn find<'g>(graph: &'g Graph, class: Option<&Class>) -> Result<Option<Found<'g>>, Error> {
    let Some((node, at, is_sigmoid)) = producer(graph) else { return Ok(None) };
    let attributes = Attributes(node);
    if node.op_type == "TreeEnsembleClassifier" && at == 0 {
        return Err(attributes.refuse("its first output is the label; name the second, the probabilities"));
    }
    let (nodes, positions) = nodes(attributes)?;
    let Sums { columns, class } = if node.op_type == "TreeEnsembleClassifier" {
        if is_sigmoid {
            return Err(attributes.refuse("Sigmoid after a classifier is not supported"));
        }
        classifier(attributes, class)?
    } else {
        regressor(attributes, class, is_sigmoid)?.into()
    };
    let input = node.input.first().cloned().unwrap_or_default();
    Ok(Some(Found { input, class, attributes, nodes, positions, columns }))
}

impl Found<'_> {
    /// Whether several sums compete for the score.
    pub(super) fn competes(&self) -> bool {
        self.columns.len() > 1
    }
    /// How many sums there are.
    pub(super) fn len(&self) -> usize {
        self.columns.len()
    }

    /// One of the sums.
    pub(super) fn sum(&self, at: usize) -> Result<Ensemble, Error> {
        let (column, mut nodes) = (&self.columns[at], self.nodes.clone());
        leaves(self.attributes, &mut nodes, &self.positions, column)?;
        let mut roots = roots(self.attributes, &nodes, &self.positions)?;
        if column.is_average {
            let trees = roots.len() as f64;
            nodes.iter_mut().for_each(|node| {
                if let Node::Leaf(weight) = node {
                    *weight /= trees;
                }
            });
        }
        if self.competes() {
            // Boosting grows a tree for each class, and the others' say nothing here.
            roots.retain(|root| weighs(&nodes, *root));
        }
        let base = if column.is_complement { 1.0 - column.base } else { column.base };
        Ok(Ensemble { nodes, roots, base, is_logistic: column.is_logistic })
    }
}

/// Whether a tree adds anything to the sum.
fn weighs(nodes: &[Node], root: usize) -> bool {
    let mut stack = vec![root];
    while let Some(at) = stack.pop() {
        match nodes[at] {
            Node::Leaf(weight) if weight != 0.0 => return true,
            Node::Leaf(_) => {}
            Node::Split { when_true, when_false, .. } => stack.extend([when_true, when_false]),
        }
    }
    false
}

/// The ensemble behind the output, and which of its outputs; whether a Sigmoid stands between.
fn producer(graph: &Graph) -> Option<(&NodeProto, usize, bool)> {
    let (mut value, mut is_sigmoid) = (graph.output.as_str(), false);
    // Nodes come after what they read, so this ends.
    loop {
        let (node, at) = graph.producer(value)?;
        match node.op_type.as_str() {
            "TreeEnsembleClassifier" | "TreeEnsembleRegressor" => return Some((node, at, is_sigmoid)),
            "Identity" => {}
            // To float or double.
            "Cast" if matches!(Attributes(node).int("to"), Some(1 | 11)) => {}
            "Sigmoid" if !is_sigmoid => is_sigmoid = true,
            _ => return None,
        }
        value = node.input.first()?;
    }
}

type Positions = HashMap<(i64, i64), usize>;

/// The nodes in the file's order, leaves without their weights, and where each (tree, node) stands.
fn nodes(attributes: Attributes<'_>) -> Result<(Vec<Node>, Positions), Error> {
    let list = |name: &str| attributes.ints(name);
    let (trees, ids, features) = (list("nodes_treeids"), list("nodes_nodeids"), list("nodes_featureids"));
    let (when_true, when_false) = (list("nodes_truenodeids"), list("nodes_falsenodeids"));
    let gaps = list("nodes_missing_value_tracks_true");
    let thresholds = attributes.numbers("nodes_values")?;
    let modes: Vec<&[u8]> = attributes.words("nodes_modes").collect();
    let len = ids.len();
    if len == 0 || len > MODEL_NODES_MAX {
        let message = format!("{} nodes, limit 1 to {MODEL_NODES_MAX}", len);
        return Err(Error { kind: ErrorKind::TooLarge, ..attributes.refuse(message) });
    }
    let lengths =
        [trees.len(), features.len(), when_true.len(), when_false.len(), thresholds.len(), modes.len()];
    if lengths.iter().any(|l| *l != len) || !(gaps.is_empty() || gaps.len() == len) {
        return Err(attributes.refuse("its lists of nodes differ in length"));
    }
    let mut positions = HashMap::with_capacity(len);
    for at in 0..len {
        if positions.insert((trees[at], ids[at]), at).is_some() {
            return Err(attributes.refuse(format!("node {} of tree {} is there twice", ids[at], trees[at])));
        }
    }
    let mut nodes = Vec::with_capacity(len);
    for at in 0..len {
        let child = |id: i64| {
            let missing = || attributes.refuse(format!("tree {} has no node {id}", trees[at]));
            positions.get(&(trees[at], id)).copied().ok_or_else(missing)
        };
        let Some(compare) = mode(modes[at]).map_err(|e| attributes.refuse(e))? else {
            nodes.push(Node::Leaf(0.0));
            continue;
        };
        let bad = || attributes.refuse(format!("input column {} is not possible", features[at]));
        nodes.push(Node::Split {
            compare,
            feature: usize::try_from(features[at]).map_err(|_| bad())?,
            threshold: thresholds[at],
            gap_is_true: gaps.get(at).is_some_and(|gap| *gap != 0),
            when_true: child(when_true[at])?,
            when_false: child(when_false[at])?,
        });
    }
    Ok((nodes, positions))
}

fn mode(word: &[u8]) -> Result<Option<Compare>, String> {
    Ok(Some(match word {
        b"LEAF" => return Ok(None),
        b"BRANCH_LEQ" => Compare::Leq,
        b"BRANCH_LT" => Compare::Lt,
        b"BRANCH_GTE" => Compare::Gte,
        b"BRANCH_GT" => Compare::Gt,
        b"BRANCH_EQ" => Compare::Eq,
        b"BRANCH_NEQ" => Compare::Neq,
        other => return Err(format!("node mode {:?} is not supported", String::from_utf8_lossy(other))),
    }))
}

/// Adds up what each leaf gives to the column.
fn leaves(
    attributes: Attributes<'_>,
    nodes: &mut [Node],
    positions: &Positions,
    column: &Column,
) -> Result<(), Error> {
    let list = |name: &str| attributes.ints(&format!("{}_{name}", column.prefix));
    let (trees, ids, classes) = (list("treeids"), list("nodeids"), list("ids"));
    let weights = attributes.numbers(&format!("{}_weights", column.prefix))?;
    if [trees.len(), ids.len(), classes.len()].iter().any(|len| *len != weights.len()) {
        return Err(attributes.refuse("its lists of leaves differ in length"));
    }
    for (at, weight) in weights.iter().enumerate() {
        let (tree, id, class) = (trees[at], ids[at], classes[at]);
        let factor = usize::try_from(class).ok().and_then(|class| column.factors.get(class));
        let factor = factor.ok_or_else(|| attributes.refuse(format!("a leaf is for class {class}")))?;
        match positions.get(&(tree, id)).map(|at| &mut nodes[*at]) {
            Some(Node::Leaf(sum)) => *sum += factor * weight,
            _ => {
                return Err(
                    attributes.refuse(format!("node {id} of tree {tree} has a weight and is no leaf"))
                );
            }
        }
    }
    Ok(())
}

/// The root of each tree: the node that is nobody's child. Every other node has exactly one parent, and all hang
/// together, so no path is endless.
fn roots(attributes: Attributes<'_>, nodes: &[Node], positions: &Positions) -> Result<Vec<usize>, Error> {
    let mut has_parent = vec![false; nodes.len()];
    for node in nodes {
        let Node::Split { when_true, when_false, .. } = *node else { continue };
        for child in [when_true, when_false] {
            if std::mem::replace(&mut has_parent[child], true) {
                return Err(attributes.refuse("a node has two parents"));
            }
        }
    }
    let mut by_tree: HashMap<i64, usize> = HashMap::new();
    for (&(tree, _), &at) in positions {
        if !has_parent[at] && by_tree.insert(tree, at).is_some() {
            return Err(attributes.refuse(format!("tree {tree} has two roots")));
        }
    }
    if by_tree.len() > MODEL_TREES_MAX {
        let message = format!("{} trees, limit {MODEL_TREES_MAX}", by_tree.len());
        return Err(Error { kind: ErrorKind::TooLarge, ..attributes.refuse(message) });
    }
    let mut roots: Vec<usize> = by_tree.into_values().collect();
    roots.sort_unstable();
    let (mut reached, mut stack) = (0, roots.clone());
    while let Some(at) = stack.pop() {
        reached += 1;
        if let Node::Split { when_true, when_false, .. } = nodes[at] {
            stack.extend([when_true, when_false]);
        }
    }
    if reached == nodes.len() { Ok(roots) } else { Err(attributes.refuse("a tree has nodes in a circle")) }
}
