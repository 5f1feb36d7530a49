//! An ONNX file, read with suspicion: bounded before it is decoded, in topological order, without subgraphs or data
//! outside, reduced to what the chosen output depends on.

use super::{ModelSource, messages};
use crate::error::{Error, ErrorKind, nearest};
use crate::limits::MODEL_OPERATORS_MAX;
use std::collections::{HashMap, HashSet};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dim;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, type_proto};
use tract_onnx::prelude::Framework;

/// The type of a tensor's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Elem {
    F32,
    F64,
    I64,
    I32,
    Bool,
}

impl Elem {
    /// The type of an ONNX number; `None` for those that no model of ours needs.
    pub(super) fn of(number: i32) -> Option<Elem> {
        Some(match DataType::try_from(number).ok()? {
            DataType::Float => Elem::F32,
            DataType::Double => Elem::F64,
            DataType::Int64 => Elem::I64,
            DataType::Int32 => Elem::I32,
            DataType::Bool => Elem::Bool,
            _ => return None,
        })
    }
    fn is_float(self) -> bool {
        matches!(self, Elem::F32 | Elem::F64)
    }
}

/// An input of the graph: a row of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GraphInput {
    pub name: String,
    pub elem: Elem,
    /// Columns.
    pub width: usize,
}

/// What of the file the model's score depends on.
#[derive(Debug)]
pub(super) struct Graph {
    /// The file with only the nodes, tensors and the one output that matter.
    pub proto: ModelProto,
    /// Its inputs, initializers not among them.
    pub inputs: Vec<GraphInput>,
    /// The output's name.
    pub output: String,
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

pub(super) fn malformed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Malformed, message)
}

impl Graph {
    /// Reads a file.
    pub(super) fn read(source: &ModelSource<'_>) -> Result<Graph, Error> {
        messages::bound(source.onnx)?;
        let mut bytes = source.onnx;
        let decoded = tract_onnx::onnx().proto_model_for_read(&mut bytes);
        let mut proto = decoded.map_err(|e| malformed(format!("not an ONNX file: {}", e.root_cause())))?;
        let mut graph = proto.graph.take().ok_or_else(|| malformed("not an ONNX file: it has no graph"))?;
        let output = output(&graph, source.output.as_deref())?;
        prune(&mut graph, &output)?;
        if let Some(tensor) = graph.initializer.iter().find(|t| is_outside(t)) {
            return Err(invalid(format!("tensor {:?} keeps its data in another file", tensor.name)));
        }
        if graph.node.len() > MODEL_OPERATORS_MAX {
            let message = format!("model has {} operators, limit {MODEL_OPERATORS_MAX}", graph.node.len());
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let inputs = inputs(&graph, source)?;
        check_names(&proto, source)?;
        proto.graph = Some(graph);
        Ok(Graph { proto, inputs, output })
    }

    /// Its nodes, each after those it depends on.
    pub(super) fn nodes(&self) -> &[NodeProto] {
        self.proto.graph.as_ref().map_or(&[], |graph| &graph.node)
    }
    /// The node that gives a value, and which of its outputs the value is; `None` for inputs and initializers.
    pub(super) fn producer(&self, value: &str) -> Option<(&NodeProto, usize)> {
        self.nodes()
            .iter()
            .find_map(|node| node.output.iter().position(|name| name == value).map(|at| (node, at)))
    }
    /// A constant tensor.
    pub(super) fn constant(&self, name: &str) -> Option<&TensorProto> {
        self.proto.graph.as_ref()?.initializer.iter().find(|tensor| tensor.name == name)
    }
}

/// How a node is named in messages.
pub(super) fn named(node: &NodeProto) -> String {
    format!("operator {} ({:?})", node.op_type, node.name)
}

fn is_outside(tensor: &TensorProto) -> bool {
    !tensor.external_data.is_empty() || tensor.data_location.is_some_and(|at| at != 0)
}

fn elem(info: &ValueInfoProto) -> Option<&type_proto::Tensor> {
    let type_proto::Value::TensorType(tensor) = info.r#type.as_ref()?.value.as_ref()?;
    Some(tensor)
}

fn output(graph: &GraphProto, wanted: Option<&str>) -> Result<String, Error> {
    let zipped = graph.node.iter().any(|node| node.op_type == "ZipMap");
    let hint = if zipped { "; export without ZipMap (skl2onnx: options={\"zipmap\": False})" } else { "" };
    let is_float = |info: &&ValueInfoProto| {
        elem(info).and_then(|tensor| Elem::of(tensor.elem_type)).is_some_and(Elem::is_float)
    };
    let all = || graph.output.iter().map(|info| info.name.as_str());
    match wanted {
        Some(wanted) => match graph.output.iter().find(|info| info.name == wanted) {
            Some(info) if is_float(&info) => Ok(wanted.into()),
            Some(_) => Err(invalid(format!("output {wanted:?} is not a tensor of float or double{hint}"))),
            None => {
                let near = nearest(wanted, all()).map_or(String::new(), |n| format!("; did you mean {n}?"));
                Err(invalid(format!("model has no output {wanted:?}{near}")))
            }
        },
        None => match graph.output.iter().filter(is_float).collect::<Vec<_>>()[..] {
            [one] => Ok(one.name.clone()),
            [] => Err(invalid(format!("model has no output of float or double{hint}"))),
            _ => {
                let names = all().collect::<Vec<_>>().join(", ");
                Err(invalid(format!("output is missing: the model has several ({names})")))
            }
        },
    }
}

/// Keeps what the output depends on, and checks that every node comes after what it depends on.
fn prune(graph: &mut GraphProto, output: &str) -> Result<(), Error> {
    let known: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let mut made: HashMap<&str, usize> = HashMap::new();
    let inputs: HashSet<&str> = graph.input.iter().map(|info| info.name.as_str()).collect();
    for (at, node) in graph.node.iter().enumerate() {
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            if known.contains(name.as_str())
                || inputs.contains(name.as_str())
                || made.insert(name, at).is_some()
            {
                return Err(malformed(format!("value {name:?} is made twice")));
            }
        }
    }
    let mut keep = vec![false; graph.node.len()];
    let mut needed: HashSet<String> = HashSet::from([output.to_string()]);
    for at in (0..graph.node.len()).rev() {
        let node = &graph.node[at];
        if !node.output.iter().any(|name| needed.contains(name)) {
            continue;
        }
        keep[at] = true;
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            let is_before = made.get(name.as_str()).is_some_and(|by| *by < at);
            if !is_before && !known.contains(name.as_str()) && !inputs.contains(name.as_str()) {
                let what = format!("{} reads {name:?}, which nothing before it makes", named(node));
                return Err(malformed(what));
            }
            needed.insert(name.clone());
        }
    }
    if !needed.contains(output) || !made.contains_key(output) {
        return Err(invalid(format!("output {output:?} is made by no operator")));
    }
    let mut keep = keep.into_iter();
    graph.node.retain(|_| keep.next().unwrap_or(false));
    graph.initializer.retain(|tensor| needed.contains(&tensor.name));
    graph.input.retain(|info| needed.contains(&info.name));
    graph.output.retain(|info| info.name == output);
    graph.value_info.clear();
    graph.quantization_annotation.clear();
    Ok(())
}

/// The graph's inputs, each a row of numbers of a known width; one whose width the file leaves open is as wide as the
/// declared inputs.
fn inputs(graph: &GraphProto, source: &ModelSource<'_>) -> Result<Vec<GraphInput>, Error> {
    let is_constant = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
    let mut inputs = Vec::new();
    for info in graph.input.iter().filter(|info| !is_constant(&info.name)) {
        let name = &info.name;
        let tensor = elem(info).ok_or_else(|| invalid(format!("input {name:?} is not a tensor")))?;
        let elem = Elem::of(tensor.elem_type).ok_or_else(|| {
            invalid(format!("input {name:?} is not of float, double, int64, int32 or bool"))
        })?;
        let dims = tensor.shape.as_ref().map_or(&[][..], |shape| &shape.dim);
        let width = match dims {
            [rows, columns] => {
                if let Some(Dim::DimValue(rows)) = rows.value
                    && rows > 1
                {
                    return Err(invalid(format!("input {name:?} has {rows} rows, expected any or one")));
                }
                match columns.value {
                    Some(Dim::DimValue(columns)) if columns > 0 => {
                        usize::try_from(columns).unwrap_or(usize::MAX)
                    }
                    _ => source.inputs.len(),
                }
            }
            _ => {
                let message =
                    format!("input {name:?} has {} dimensions, expected rows and columns", dims.len());
                return Err(invalid(message));
            }
        };
        inputs.push(GraphInput { name: name.clone(), elem, width });
    }
    if inputs.is_empty() {
        return Err(invalid("the output depends on no input"));
    }
    Ok(inputs)
}

/// The property under which a training script may write the slots it trained on, comma-separated, in order.
pub(super) const SLOTS_PROPERTY: &str = "interdict.slots";

fn check_names(proto: &ModelProto, source: &ModelSource<'_>) -> Result<(), Error> {
    let Some(trained) = proto.metadata_props.iter().find(|entry| entry.key == SLOTS_PROPERTY) else {
        return Ok(());
    };
    let trained: Vec<&str> = trained.value.split(',').collect();
    let declared: Vec<&str> = source.inputs.iter().map(|input| input.path.as_str()).collect();
    if trained == declared {
        return Ok(());
    }
    let at = trained.iter().zip(&declared).take_while(|(a, b)| a == b).count();
    let (was, is) = (trained.get(at).unwrap_or(&"nothing"), declared.get(at).unwrap_or(&"nothing"));
    Err(invalid(format!("input {} is {is}, but the model was trained on {was} there", at + 1)))
}
