//! One score of one ensemble (100 trees of depth 6 over 16 inputs, generated): ours, lowered to integers, beside tract on
//! the same file, one row at a time as the path asks.

use criterion::{Criterion, criterion_group, criterion_main};
use interdict_engine::calibration::Calibration;
use interdict_engine::domain::{SlotId, SlotView, Value};
use interdict_engine::error::Place;
use interdict_engine::models::{Input, Kind, Missing, Model, ModelScratch, ModelSource, ScoreFrom};
use prost::Message;
use std::hint::black_box;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension::Value as Dim};
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use tract_onnx::pb::{TensorShapeProto, TypeProto, ValueInfoProto, type_proto};
use tract_onnx::prelude::*;

const TREES: i64 = 100;
const DEPTH: u32 = 6;
const INPUTS: u16 = 16;
const ROWS: usize = 1024;

struct Numbers([i64; INPUTS as usize]);
impl SlotView for Numbers {
    fn value(&self, slot: SlotId) -> Option<Value<'_>> {
        self.0.get(usize::from(slot.0)).map(|value| Value::Int(*value))
    }
}

/// The same figures on every machine.
fn dice(state: &mut u64) -> i64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as i64
}

fn ints(name: &str, ints: Vec<i64>) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: 7, ints, ..Default::default() }
}
fn floats(name: &str, floats: Vec<f32>) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: 6, floats, ..Default::default() }
}

fn info(name: &str, width: i64) -> ValueInfoProto {
    let dim = |n| Dimension { value: Some(Dim::DimValue(n)), ..Default::default() };
    let shape = TensorShapeProto { dim: vec![dim(1), dim(width)] };
    let tensor = type_proto::Tensor { elem_type: 1, shape: Some(shape) };
    let of = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: name.into(), r#type: Some(of), ..Default::default() }
}

/// Full binary trees with random thresholds and leaves.
fn file() -> Vec<u8> {
    let (splits, nodes) = ((1i64 << DEPTH) - 1, (2i64 << DEPTH) - 1);
    let all = || (0..TREES).flat_map(|tree| (0..nodes).map(move |node| (tree, node)));
    let leaves = || all().filter(|(_, node)| *node >= splits);
    let mut seed = 1;
    let child = |node: i64, side: i64| if node < splits { 2 * node + side } else { 0 };
    let modes = all().map(|(_, node)| if node < splits { "BRANCH_LEQ" } else { "LEAF" }.into()).collect();
    let logistic = AttributeProto {
        name: "post_transform".into(),
        r#type: 3,
        s: "LOGISTIC".into(),
        ..Default::default()
    };
    let attribute = vec![
        ints("nodes_treeids", all().map(|(tree, _)| tree).collect()),
        ints("nodes_nodeids", all().map(|(_, node)| node).collect()),
        ints("nodes_featureids", all().map(|_| dice(&mut seed) % i64::from(INPUTS)).collect()),
        floats("nodes_values", all().map(|_| (dice(&mut seed) % 1000) as f32 + 0.5).collect()),
        ints("nodes_truenodeids", all().map(|(_, node)| child(node, 1)).collect()),
        ints("nodes_falsenodeids", all().map(|(_, node)| child(node, 2)).collect()),
        AttributeProto { name: "nodes_modes".into(), r#type: 8, strings: modes, ..Default::default() },
        ints("class_treeids", leaves().map(|(tree, _)| tree).collect()),
        ints("class_nodeids", leaves().map(|(_, node)| node).collect()),
        ints("class_ids", leaves().map(|_| 0).collect()),
        floats("class_weights", leaves().map(|_| (dice(&mut seed) % 2001 - 1000) as f32 / 4000.0).collect()),
        ints("classlabels_int64s", vec![0, 1]),
        logistic,
    ];
    let node = NodeProto {
        op_type: "TreeEnsembleClassifier".into(),
        domain: "ai.onnx.ml".into(),
        input: vec!["x".into()],
        output: vec!["label".into(), "p".into()],
        attribute,
        ..Default::default()
    };
    let (input, output) = (vec![info("x", INPUTS.into())], vec![info("p", 2)]);
    let graph = GraphProto { node: vec![node], input, output, name: "g".into(), ..Default::default() };
    let opset = OperatorSetIdProto { domain: "ai.onnx.ml".into(), version: 3 };
    ModelProto { ir_version: 8, opset_import: vec![opset], graph: Some(graph), ..Default::default() }
        .encode_to_vec()
}

fn ours(file: &[u8]) -> Model {
    let input = |slot| Input {
        slot: SlotId(slot),
        path: format!("slot_{slot}"),
        name: None,
        missing: Missing::Undecided,
        divide_by: 1,
    };
    let source = ModelSource {
        pack: 0,
        id: "bench".into(),
        file: "bench.onnx".into(),
        place: Place::default(),
        onnx: file,
        inputs: (0..INPUTS).map(input).collect(),
        output: None,
        class: None,
        score: ScoreFrom::Probability,
        counts: false,
    };
    Model::compile(&source).expect("a forest of our own making")
}

fn bench(c: &mut Criterion) {
    let file = file();
    let mut seed = 7;
    let rows: Vec<Numbers> =
        (0..ROWS).map(|_| Numbers(std::array::from_fn(|_| dice(&mut seed) % 1000))).collect();
    let mut group = c.benchmark_group("models");
    let model = ours(&file);
    assert_eq!(model.kind(), Kind::Trees);
    println!("static cost: {} ps", model.cost_ps(&Calibration::default()));
    let (mut at, mut scratch) = (0, ModelScratch::default());
    group.bench_function("ours", |b| {
        b.iter(|| {
            at = (at + 1) % ROWS;
            black_box(model.score(&rows[at], &mut scratch))
        });
    });
    let proto = tract_onnx::onnx().proto_model_for_read(&mut &file[..]).expect("an ONNX file");
    let plan = tract_onnx::onnx().model_for_proto_model(&proto).and_then(|model| model.into_optimized());
    let plan = plan.and_then(|model| model.into_runnable()).expect("tract runs classifiers");
    let tensors: Vec<Tensor> = rows
        .iter()
        .map(|row| {
            let floats = row.0.iter().map(|v| *v as f32).collect();
            tract_ndarray::Array2::from_shape_vec((1, row.0.len()), floats).expect("one row").into()
        })
        .collect();
    group.bench_function("tract", |b| {
        b.iter(|| {
            at = (at + 1) % ROWS;
            black_box(plan.run(tvec!(tensors[at].clone().into())).expect("it has run before"))
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
