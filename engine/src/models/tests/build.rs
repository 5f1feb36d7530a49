//! ONNX files made in memory: random forests and small networks.

use prost::Message;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
pub use tract_onnx::pb::{AttributeProto, NodeProto, StringStringEntryProto, TensorProto};
use tract_onnx::pb::{
    GraphProto, ModelProto, OperatorSetIdProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

/// A seeded source of numbers.
pub struct Dice(pub u64);
impl Dice {
    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
    pub fn weight(&mut self) -> f32 {
        (self.roll(2_000_001) as f32 - 1_000_000.0) / 1_500_000.0
    }
    /// Mostly small; sometimes larger than an f32 holds exactly; sometimes a gap.
    pub fn value(&mut self) -> Option<i64> {
        match self.roll(10) {
            0 => None,
            1 => Some(self.roll(1 << 40) as i64 - (1 << 39)),
            2 => Some(*[i64::MAX, i64::MIN, 0, (1 << 24) + 1].get(self.roll(4) as usize).unwrap()),
            _ => Some(self.roll(41) as i64 - 20),
        }
    }
    fn threshold(&mut self) -> f32 {
        match self.roll(12) {
            0 => f32::INFINITY,
            1 => (self.roll(1 << 40) as i64 - (1 << 39)) as f32,
            2 => self.weight(),
            _ => (self.roll(81) as f32 - 40.0) / 2.0,
        }
    }
}

#[derive(Debug, Clone)]
pub enum Branch {
    Split { mode: &'static str, feature: usize, value: f32, gap: bool, yes: usize, no: usize },
    Leaf(Vec<(usize, f32)>),
}

/// A forest as it was drawn.
#[derive(Debug, Clone)]
pub struct Forest {
    pub trees: Vec<Vec<Branch>>,
    pub features: usize,
    pub classes: usize,
    pub base: Vec<f32>,
    pub transform: &'static str,
    pub is_regressor: bool,
    pub aggregate: &'static str,
}

pub const MODES: [&str; 6] =
    ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_GTE"];

/// Draws a forest whose decisions are of the first `modes` kinds and whose leaves weigh for `columns` classes.
pub fn forest(dice: &mut Dice, modes: usize, columns: usize) -> Forest {
    let features = 1 + dice.roll(5) as usize;
    let trees = (0..1 + dice.roll(20)).map(|_| tree(dice, modes, columns, features)).collect();
    let base = vec![dice.weight(); if dice.roll(2) == 0 { 0 } else { 2 }];
    let (transform, aggregate) = ("LOGISTIC", "SUM");
    Forest { trees, features, classes: 2, base, transform, is_regressor: false, aggregate }
}

fn tree(dice: &mut Dice, modes: usize, columns: usize, features: usize) -> Vec<Branch> {
    let leaf = |dice: &mut Dice| Branch::Leaf((0..columns).map(|class| (class, dice.weight())).collect());
    let mut nodes = vec![leaf(dice)];
    for _ in 0..dice.roll(24) {
        let at = dice.roll(nodes.len() as u64) as usize;
        if matches!(nodes[at], Branch::Leaf(_)) {
            let (yes, no) = (nodes.len(), nodes.len() + 1);
            nodes.extend([leaf(dice), leaf(dice)]);
            nodes[at] = Branch::Split {
                mode: MODES[dice.roll(modes as u64) as usize],
                feature: dice.roll(features as u64) as usize,
                value: dice.threshold(),
                gap: dice.roll(2) == 0,
                yes,
                no,
            };
        }
    }
    nodes
}

pub fn floats(name: &str, floats: Vec<f32>) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: 6, floats, ..Default::default() }
}
pub fn ints(name: &str, ints: Vec<i64>) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: 7, ints, ..Default::default() }
}
pub fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: 2, i, ..Default::default() }
}
pub fn word(name: &str, word: &str) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: 3, s: word.into(), ..Default::default() }
}

impl Forest {
    /// The operator.
    pub fn node(&self, input: &str, output: &str) -> NodeProto {
        let (mut tree_ids, mut node_ids, mut features, mut values) = (vec![], vec![], vec![], vec![]);
        let (mut modes, mut yes_ids, mut no_ids, mut gaps) = (vec![], vec![], vec![], vec![]);
        let (mut leaf_trees, mut leaf_nodes, mut leaf_ids, mut weights) = (vec![], vec![], vec![], vec![]);
        for (t, tree) in self.trees.iter().enumerate() {
            for (n, branch) in tree.iter().enumerate() {
                tree_ids.push(t as i64);
                node_ids.push(n as i64);
                let (mode, feature, value, gap, yes, no) = match branch {
                    Branch::Split { mode, feature, value, gap, yes, no } => {
                        (*mode, *feature, *value, *gap, *yes, *no)
                    }
                    Branch::Leaf(leaves) => {
                        for (class, weight) in leaves {
                            leaf_trees.push(t as i64);
                            leaf_nodes.push(n as i64);
                            leaf_ids.push(*class as i64);
                            weights.push(*weight);
                        }
                        ("LEAF", 0, 0.0, false, 0, 0)
                    }
                };
                modes.push(mode.as_bytes().to_vec());
                features.push(feature as i64);
                values.push(value);
                gaps.push(i64::from(gap));
                yes_ids.push(yes as i64);
                no_ids.push(no as i64);
            }
        }
        let prefix = if self.is_regressor { "target" } else { "class" };
        let of = |name: &str| format!("{prefix}_{name}");
        let mut attribute = vec![
            ints("nodes_treeids", tree_ids),
            ints("nodes_nodeids", node_ids),
            ints("nodes_featureids", features),
            floats("nodes_values", values),
            ints("nodes_truenodeids", yes_ids),
            ints("nodes_falsenodeids", no_ids),
            ints("nodes_missing_value_tracks_true", gaps),
            AttributeProto { name: "nodes_modes".into(), r#type: 8, strings: modes, ..Default::default() },
            ints(&of("treeids"), leaf_trees),
            ints(&of("nodeids"), leaf_nodes),
            ints(&of("ids"), leaf_ids),
            floats(&of("weights"), weights),
            word("post_transform", self.transform),
        ];
        if !self.base.is_empty() {
            attribute.push(floats("base_values", self.base.clone()));
        }
        let mut outputs = vec![output.to_string()];
        let op_type = if self.is_regressor {
            attribute.push(word("aggregate_function", self.aggregate));
            attribute.push(int("n_targets", self.classes as i64));
            "TreeEnsembleRegressor"
        } else {
            attribute.push(ints("classlabels_int64s", (0..self.classes as i64).collect()));
            outputs.insert(0, "label".into());
            "TreeEnsembleClassifier"
        };
        NodeProto { attribute, ..node(op_type, &[input], &outputs) }
    }

    /// The file.
    pub fn file(&self) -> Vec<u8> {
        let graph = graph(vec![self.node("x", "p")], &[("x", 1, self.features)], "p", vec![]);
        encode(&model(graph))
    }

    /// The exact sum of each class, base included, by a plain walk.
    pub fn sums(&self, row: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.classes];
        for tree in &self.trees {
            let mut at = 0;
            while let Branch::Split { mode, feature, value, gap, yes, no } = &tree[at] {
                let (x, t) = (row[*feature], f64::from(*value));
                let holds = match *mode {
                    _ if x.is_nan() => *gap,
                    "BRANCH_LEQ" => x <= t,
                    "BRANCH_LT" => x < t,
                    "BRANCH_GT" => x > t,
                    "BRANCH_GTE" => x >= t,
                    "BRANCH_EQ" => x == t,
                    _ => x != t,
                };
                at = if holds { *yes } else { *no };
            }
            if let Branch::Leaf(leaves) = &tree[at] {
                leaves.iter().for_each(|(class, weight)| sums[*class] += f64::from(*weight));
            }
        }
        let count = if self.aggregate == "AVERAGE" { self.trees.len() as f64 } else { 1.0 };
        let base = |class: usize| self.base.get(class).copied().map_or(0.0, f64::from);
        sums.iter().enumerate().map(|(class, sum)| sum / count + base(class)).collect()
    }
}

pub fn node<S: ToString>(op_type: &str, inputs: &[&str], outputs: &[S]) -> NodeProto {
    NodeProto {
        op_type: op_type.into(),
        name: format!("{op_type}_1"),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: outputs.iter().map(ToString::to_string).collect(),
        ..Default::default()
    }
}

fn value(name: &str, elem_type: i32, width: usize) -> ValueInfoProto {
    let dim = |value| Dimension { value, ..Default::default() };
    let columns = dim(Some(dimension::Value::DimValue(width as i64)));
    let shape = TensorShapeProto { dim: vec![dim(Some(dimension::Value::DimParam("N".into()))), columns] };
    let tensor = type_proto::Tensor { elem_type, shape: Some(shape) };
    let of = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: name.into(), r#type: Some(of), ..Default::default() }
}

/// A graph; inputs are name, type (1: float, 7: int64, 11: double) and width.
pub fn graph(
    node: Vec<NodeProto>,
    inputs: &[(&str, i32, usize)],
    output: &str,
    initializer: Vec<TensorProto>,
) -> GraphProto {
    GraphProto {
        node,
        name: "g".into(),
        input: inputs.iter().map(|(name, elem, width)| value(name, *elem, *width)).collect(),
        output: vec![value(output, 1, 2)],
        initializer,
        ..Default::default()
    }
}

pub fn tensor(name: &str, dims: &[i64], float_data: Vec<f32>) -> TensorProto {
    TensorProto { name: name.into(), dims: dims.to_vec(), data_type: 1, float_data, ..Default::default() }
}

pub fn model(graph: GraphProto) -> ModelProto {
    let opset = |domain: &str, version| OperatorSetIdProto { domain: domain.into(), version };
    ModelProto {
        ir_version: 8,
        opset_import: vec![opset("", 15), opset("ai.onnx.ml", 3)],
        graph: Some(graph),
        ..Default::default()
    }
}

pub fn encode(model: &ModelProto) -> Vec<u8> {
    model.encode_to_vec()
}
