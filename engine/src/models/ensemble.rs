//! TreeEnsembleClassifier and TreeEnsembleRegressor (ai.onnx.ml, versions 1 to 3) as plain trees, reduced to the one sum
//! that the score depends on. Where the specification is silent and runtimes differ, the model is refused.

use super::attributes::Attributes;
use super::onnx::Graph;
use crate::error::{Error, ErrorKind};
use crate::limits::{MODEL_NODES_MAX, MODEL_TREES_MAX};
use std::collections::{HashMap, HashSet};
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
    /// The value it reads its columns from.
    pub input: String,
    pub nodes: Vec<Node>,
    /// Root of each tree.
    pub roots: Vec<usize>,
    pub base: f64,
    /// Whether the sum is a log-odds, else it is the score itself.
    pub is_logistic: bool,
}

/// The ensemble that the score comes from; `None` where it comes from something else.
///
/// # Errors
/// For ensembles in a form that we do not lower: nothing else runs them.
pub(super) fn find(graph: &Graph, class: Option<u16>) -> Result<Option<Ensemble>, Error> {
    let Some((node, at, is_sigmoid)) = producer(graph) else { return Ok(None) };
    let attributes = Attributes(node);
    if node.op_type == "TreeEnsembleClassifier" && at == 0 {
        return Err(attributes.refuse("its first output is the label; name the second, the probabilities"));
    }
    let (mut nodes, positions) = nodes(attributes)?;
    let column = if node.op_type == "TreeEnsembleClassifier" {
        if is_sigmoid {
            return Err(attributes.refuse("Sigmoid after a classifier is not supported"));
        }
        classifier(attributes, class)?
    } else {
        regressor(attributes, class, is_sigmoid)?
    };
    leaves(attributes, &mut nodes, &positions, &column)?;
    let roots = roots(attributes, &nodes, &positions)?;
    if column.is_average {
        let trees = roots.len() as f64;
        nodes.iter_mut().for_each(|node| {
            if let Node::Leaf(weight) = node {
                *weight /= trees;
            }
        });
    }
    let ensemble = Ensemble {
        input: node.input.first().cloned().unwrap_or_default(),
        nodes,
        roots,
        base: if column.is_complement { 1.0 - column.base } else { column.base },
        is_logistic: column.is_logistic,
    };
    Ok(Some(ensemble))
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

/// The sum that the score is made of.
struct Column {
    /// Prefix of the leaves' attributes.
    prefix: &'static str,
    /// What a leaf's weight counts, by the class or target it is for.
    factors: Vec<f64>,
    base: f64,
    is_complement: bool,
    is_logistic: bool,
    is_average: bool,
}

fn one_of(attributes: Attributes<'_>, class: Option<u16>, count: usize, what: &str) -> Result<usize, Error> {
    match class.map(usize::from) {
        Some(class) if class < count => Ok(class),
        Some(class) => Err(attributes.refuse(format!("class is {class}, the model has {count} {what}"))),
        None if count <= 2 => Ok(count - 1),
        None => Err(attributes.refuse(format!("class is missing: the model has {count} {what}"))),
    }
}

fn unknown_transform(attributes: Attributes<'_>, transform: &str, of: &str) -> Error {
    attributes.refuse(format!("post_transform {transform} over {of} is not supported"))
}

fn classifier(attributes: Attributes<'_>, class: Option<u16>) -> Result<Column, Error> {
    let labels =
        attributes.ints("classlabels_int64s").len().max(attributes.words("classlabels_strings").len());
    if !(2..=1024).contains(&labels) {
        return Err(attributes.refuse(format!("{labels} classes, limit 2 to 1024")));
    }
    let class = one_of(attributes, class, labels, "classes")?;
    let weights = attributes.numbers("class_weights")?;
    let base = attributes.numbers("base_values")?;
    let used: HashSet<i64> = attributes.ints("class_ids").iter().copied().collect();
    let transform = attributes.word("post_transform");
    let mut column = Column {
        prefix: "class",
        factors: vec![0.0; labels],
        base: 0.0,
        is_complement: false,
        is_logistic: transform == "LOGISTIC",
        is_average: false,
    };
    if labels == 2 && used.len() == 1 {
        // One column for two classes: the sum is the second's.
        column.base = match base[..] {
            [] => 0.0,
            [one] => one,
            [a, b] if a == b => a,
            _ => return Err(attributes.refuse("base_values differ for one column of two classes")),
        };
        let all_positive = weights.iter().all(|weight| *weight >= 0.0);
        match transform {
            // Here onnxruntime leaves the logistic function out.
            "LOGISTIC" if all_positive => {
                return Err(attributes.refuse("LOGISTIC over weights that are all positive is ambiguous"));
            }
            // And here the first class is 1 − sum to some runtimes and −sum to others.
            "" | "NONE" if class == 0 && !all_positive => {
                return Err(
                    attributes.refuse("the first class of one column with negative weights is ambiguous")
                );
            }
            "" | "NONE" | "LOGISTIC" => {}
            other => return Err(unknown_transform(attributes, other, "one column of two classes")),
        }
        column.is_complement = class == 0 && !column.is_logistic;
        let sign = if class == 0 { -1.0 } else { 1.0 };
        column.base *= if column.is_logistic { sign } else { 1.0 };
        column.factors.fill(sign);
        return Ok(column);
    }
    if !(base.is_empty() || base.len() == labels) {
        return Err(attributes.refuse(format!("{} base_values for {labels} classes", base.len())));
    }
    let base = |class: usize| base.get(class).copied().unwrap_or(0.0);
    column.base = base(class);
    column.factors[class] = 1.0;
    match transform {
        "" | "NONE" | "LOGISTIC" => {}
        // Of two classes it is the logistic function of their difference.
        "SOFTMAX" if labels == 2 => {
            column.is_logistic = true;
            column.base -= base(1 - class);
            column.factors[1 - class] = -1.0;
        }
        other => return Err(unknown_transform(attributes, other, &format!("{labels} classes"))),
    }
    Ok(column)
}

fn regressor(attributes: Attributes<'_>, class: Option<u16>, is_sigmoid: bool) -> Result<Column, Error> {
    let targets = attributes.int("n_targets").unwrap_or(1);
    let targets = usize::try_from(targets).ok().filter(|n| (1..=1024).contains(n));
    let targets = targets.ok_or_else(|| attributes.refuse("n_targets must be 1 to 1024"))?;
    let class = one_of(attributes, class, targets, "targets")?;
    let base = attributes.numbers("base_values")?;
    if !(base.is_empty() || base.len() == targets) {
        return Err(attributes.refuse(format!("{} base_values for {targets} targets", base.len())));
    }
    let is_average = match attributes.word("aggregate_function") {
        "" | "SUM" => false,
        "AVERAGE" => true,
        other => return Err(attributes.refuse(format!("aggregate_function {other} is not supported"))),
    };
    let is_logistic = match attributes.word("post_transform") {
        "" | "NONE" => is_sigmoid,
        "LOGISTIC" if !is_sigmoid => true,
        other => return Err(unknown_transform(attributes, other, "a regressor")),
    };
    let mut factors = vec![0.0; targets];
    factors[class] = 1.0;
    let base = base.get(class).copied().unwrap_or(0.0);
    Ok(Column { prefix: "target", factors, base, is_complement: false, is_logistic, is_average })
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
