//! What tract does not run, said in what it runs: `Scaler` is (x − offset) × scale in floats, as ONNX-ML says, and the
//! labels of a `LinearClassifier`, which no score depends on, are numbers. So there is one evaluator of all but trees.

use super::attributes::Attributes;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto};

/// ONNX's number of the type float.
const FLOAT: i32 = 1;
/// The core operators' version where a file names none.
const OPSET: i64 = 15;

/// The file with the same scores, in operators that tract has. `widths` has checked it.
pub(super) fn lower(mut proto: ModelProto) -> ModelProto {
    let Some(graph) = &mut proto.graph else { return proto };
    for (at, mut node) in std::mem::take(&mut graph.node).into_iter().enumerate() {
        match node.op_type.as_str() {
            "Scaler" => scaler(graph, at, &node),
            "LinearClassifier" => {
                number_labels(&mut node);
                graph.node.push(node);
            }
            _ => graph.node.push(node),
        }
    }
    if !proto.opset_import.iter().any(|set| matches!(set.domain.as_str(), "" | "ai.onnx")) {
        proto.opset_import.push(OperatorSetIdProto { domain: String::new(), version: OPSET });
    }
    proto
}

/// tract looks words up in a table of numbers only.
fn number_labels(node: &mut NodeProto) {
    for attribute in node.attribute.iter_mut().filter(|attribute| attribute.name == "classlabels_strings") {
        let ints = (0..attribute.strings.len() as i64).collect();
        *attribute =
            AttributeProto { name: "classlabels_ints".into(), r#type: 7, ints, ..Default::default() };
    }
}

fn scaler(graph: &mut GraphProto, at: usize, node: &NodeProto) {
    let (Some(input), Some(output)) = (node.input.first(), node.output.first()) else { return };
    let value = |what: &str| format!("Scaler {at} {what}");
    let (float, moved) = (value("float"), value("moved"));
    let to = AttributeProto { name: "to".into(), r#type: 2, i: i64::from(FLOAT), ..Default::default() };
    let mut push = |op_type: &str, inputs: &[&String], output: &String, attribute| {
        graph.node.push(NodeProto {
            op_type: op_type.into(),
            name: value(op_type),
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![output.clone()],
            attribute,
            ..Default::default()
        });
    };
    let (offset, scale) = (value("offset"), value("scale"));
    push("Cast", &[input], &float, vec![to]);
    push("Sub", &[&float, &offset], &moved, vec![]);
    push("Mul", &[&moved, &scale], output, vec![]);
    for (name, key) in [(offset, "offset"), (scale, "scale")] {
        // `widths` has read them before, so there is no error to lose here.
        let numbers = Attributes(node).numbers(key).unwrap_or_default();
        graph.initializer.push(TensorProto {
            name,
            dims: vec![1, numbers.len() as i64],
            data_type: FLOAT,
            float_data: numbers.iter().map(|number| *number as f32).collect(),
            ..Default::default()
        });
    }
}
