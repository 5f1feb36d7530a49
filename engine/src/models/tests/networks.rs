//! What is no tree ensemble runs on tract, and only operators that we name do.

use super::build::{AttributeProto, NodeProto, encode, floats, graph, int, ints, model, node, tensor, word};
use super::*;
use crate::models::Kind;

/// Two inputs, neither of which may be missing.
fn whole(file: &[u8]) -> ModelSource<'_> {
    let mut source = source(file, 2);
    source.inputs.iter_mut().for_each(|input| input.missing = Missing::Undecided);
    source
}

/// A perceptron with one hidden layer of two, as skl2onnx writes it.
fn perceptron() -> Vec<NodeProto> {
    vec![
        NodeProto { attribute: vec![int("to", 1)], ..node("Cast", &["x"], &["c"]) },
        node("MatMul", &["c", "w"], &["m"]),
        node("Add", &["m", "b"], &["a"]),
        node("Relu", &["a"], &["r"]),
        node("MatMul", &["r", "v"], &["n"]),
        node("Sigmoid", &["n"], &["s"]),
        node("Sub", &["one", "s"], &["t"]),
        NodeProto { attribute: vec![int("axis", 1)], ..node("Concat", &["t", "s"], &["p"]) },
    ]
}

fn constants() -> Vec<super::build::TensorProto> {
    vec![
        tensor("w", &[2, 2], vec![0.5, -1.0, 0.25, 2.0]),
        tensor("b", &[2], vec![0.1, -0.2]),
        tensor("v", &[2, 1], vec![0.7, -0.3]),
        tensor("one", &[1], vec![1.0]),
    ]
}

fn file(nodes: Vec<NodeProto>) -> Vec<u8> {
    encode(&model(graph(nodes, &[("x", 1, 2)], "p", constants())))
}

#[test]
fn a_perceptron_runs_on_tract() {
    let file = file(perceptron());
    let mut source = whole(&file);
    source.inputs[0].divide_by = 10;
    let model = Model::compile(&source).unwrap();
    assert_eq!(model.kind(), Kind::Tract);
    for (a, b) in [(0i64, 0i64), (10, 1), (-30, 4), (55, -2), (1000, 3)] {
        let (x, y) = (a as f64 / 10.0, b as f64);
        let hidden = [(0.5 * x + 0.25 * y + 0.1).max(0.0), (-x + 2.0 * y - 0.2).max(0.0)];
        let wanted = 1000.0 / (1.0 + (-(0.7 * hidden[0] - 0.3 * hidden[1])).exp());
        let score = f64::from(score(&model, &[Some(a), Some(b)]).unwrap());
        assert!((score - wanted).abs() <= 0.51, "{score} {wanted}");
    }
    source.inputs[1].missing = Missing::Gap;
    assert!(refusal(&source).contains("input slot_1: only tree ensembles take gaps"));
}

#[test]
fn a_logistic_regression_runs_on_tract() {
    let labels = ints("classlabels_ints", vec![0, 1]);
    let linear = NodeProto {
        attribute: vec![
            floats("coefficients", vec![-0.5, 0.25, 0.5, -0.25]),
            floats("intercepts", vec![-0.1, 0.1]),
            labels,
            word("post_transform", "LOGISTIC"),
        ],
        ..node("LinearClassifier", &["x"], &["label", "p"])
    };
    let model = file(vec![linear]);
    let model = Model::compile(&whole(&model)).unwrap();
    let score = f64::from(score(&model, &[Some(3), Some(2)]).unwrap());
    assert!((score - 1000.0 / (1.0 + (-1.1f64).exp())).abs() <= 0.51, "{score}");
}

#[test]
fn operators_we_do_not_run_are_refused_by_name() {
    let with = |op: &str, attribute: Vec<AttributeProto>| {
        let mut nodes = perceptron();
        nodes[3] = NodeProto { attribute, ..node(op, &["a"], &["r"]) };
        refusal(&source(&file(nodes), 2))
    };
    for op in ["Loop", "Conv", "Reshape", "Expand", "Tile", "NonZero", "Rulu", "TreeEnsembleRegressor"] {
        assert!(with(op, vec![]).contains(&format!("operator {op} (\"{op}_1\"): is not supported")), "{op}");
    }
    assert!(with("Rulu", vec![]).contains("Relu"));
    assert!(with("Cast", vec![int("to", 7)]).contains("Cast"));
    assert!(with("Gemm", vec![]).contains("constant matrix"));
    for axis in [0, 2, -2] {
        let told = with("Softmax", vec![int("axis", axis)]);
        assert!(told.contains(&format!("axis {axis} is not supported, only columns")), "{told}");
    }
    let foreign = NodeProto { domain: "com.microsoft".into(), ..node("FusedGemm", &["x"], &["p"]) };
    assert!(refusal(&source(&file(vec![foreign]), 2)).contains("com.microsoft"));
}

#[test]
fn what_the_output_does_not_need_is_left_out() {
    let mut nodes = perceptron();
    nodes.push(node("ArrayFeatureExtractor", &["p"], &["label"]));
    let file = file(nodes);
    assert_eq!(Model::compile(&whole(&file)).unwrap().kind(), Kind::Tract);
}

#[test]
fn rows_do_not_multiply() {
    let pair = |dims: &[i64]| {
        let len = dims.iter().product::<i64>() as usize;
        let constant = tensor("k", dims, vec![1.0; len]);
        let graph = graph(vec![node("Add", &["x", "k"], &["p"])], &[("x", 1, 2)], "p", vec![constant]);
        encode(&model(graph))
    };
    assert!(Model::compile(&whole(&pair(&[1, 2]))).is_ok());
    assert!(refusal(&source(&pair(&[3, 2]), 2)).contains("several rows"));
    assert!(refusal(&source(&pair(&[3]), 2)).contains("2 and 3 wide"));
    // Doubled 16 times, a row of two would be 131,072 wide.
    let double = |at: usize| NodeProto {
        attribute: vec![int("axis", 1)],
        ..node("Concat", &[&format!("v{at}"), &format!("v{at}")], &[format!("v{}", at + 1)])
    };
    let mut nodes: Vec<NodeProto> = (0..16).map(double).collect();
    nodes[0].input = vec!["x".into(), "x".into()];
    nodes.push(node("Identity", &["v16"], &["p"]));
    assert!(refusal(&source(&file(nodes), 2)).contains("limit 1 to 4096"));
}
