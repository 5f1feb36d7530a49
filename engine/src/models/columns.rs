//! Which slot each column of a graph's inputs is, and how a slot's integer becomes the number a tree compares: casts and
//! scalers are all monotone, so every threshold can be moved to the integer's side, exactly.

use super::ModelSource;
use super::attributes::Attributes;
use super::onnx::{Elem, Graph, invalid, named};
use crate::error::{Error, ErrorKind, nearest};
use crate::limits::MODEL_WIDTH_MAX;
use std::collections::HashMap;

/// For each input of the graph, the declared inputs that are its columns, by position.
pub(super) fn bind(graph: &Graph, source: &ModelSource<'_>) -> Result<Vec<Vec<usize>>, Error> {
    let names = || graph.inputs.iter().map(|input| input.name.as_str());
    let named = source.inputs.iter().filter(|input| input.name.is_some()).count();
    if named != 0 && named != source.inputs.len() {
        return Err(invalid("some inputs have a name and some have not; name all or none"));
    }
    if named == 0 && graph.inputs.len() > 1 {
        let names = names().collect::<Vec<_>>().join(", ");
        return Err(invalid(format!(
            "the model has several inputs ({names}); name the one that each slot is for"
        )));
    }
    for input in &source.inputs {
        if let Some(name) = input.name.as_deref()
            && !names().any(|known| known == name)
        {
            let near = nearest(name, names()).map_or(String::new(), |n| format!("; did you mean {n}?"));
            return Err(invalid(format!("input {}: the model has no input {name:?}{near}", input.path)));
        }
    }
    let mut bound = Vec::new();
    for wanted in &graph.inputs {
        let is_its = |name: &Option<String>| name.as_ref().is_none_or(|name| *name == wanted.name);
        let columns: Vec<usize> =
            (0..source.inputs.len()).filter(|at| is_its(&source.inputs[*at].name)).collect();
        if columns.len() != wanted.width {
            let message = format!(
                "the model's input {:?} has {} columns, {} slots are given for it",
                wanted.name,
                wanted.width,
                columns.len()
            );
            return Err(invalid(message));
        }
        for input in columns.iter().map(|at| &source.inputs[*at]) {
            if input.divide_by != 1 && matches!(wanted.elem, Elem::I64 | Elem::I32) {
                let message = format!("input {}: the model takes integers, divide_by must be 1", input.path);
                return Err(invalid(message));
            }
        }
        bound.push(columns);
    }
    Ok(bound)
}

/// A slot's integer as an input of the graph sees it: f32 and f64 of the quotient, integers as they are.
pub(super) fn entered(value: i64, divide_by: i64, elem: Elem) -> f64 {
    let quotient = value as f64 / divide_by as f64;
    match elem {
        Elem::F32 => f64::from(quotient as f32),
        Elem::F64 | Elem::I64 | Elem::Bool => quotient,
        Elem::I32 => quotient.clamp(f64::from(i32::MIN), f64::from(i32::MAX)),
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    F32,
    Scale { offset: f32, factor: f32 },
}

/// Most steps between an input and an ensemble.
const STEPS_MAX: usize = 8;

/// One column of an ensemble's input.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    /// The declared input, by position.
    pub input: usize,
    divide_by: i64,
    enters_as: Elem,
    elem: Elem,
    steps: Vec<Step>,
}

impl Column {
    /// The number that a decision compares. Never decreases with the value: division by a positive number, rounding,
    /// and a scaler with a positive factor all keep the order.
    fn number(&self, value: i64) -> f64 {
        let mut number = entered(value, self.divide_by, self.enters_as);
        for step in &self.steps {
            number = match *step {
                Step::F32 => f64::from(number as f32),
                Step::Scale { offset, factor } => f64::from((number as f32 - offset) * factor),
            };
        }
        number
    }

    /// The largest value whose number is at most (or, strictly, less than) a threshold, found by bisection on the
    /// comparison itself; `i64::MIN` where there is none. Values themselves lie strictly between `i64::MIN` and
    /// `i64::MAX`.
    pub(super) fn last(&self, threshold: f64, is_strict: bool) -> i64 {
        let holds = |value: i64| {
            let number = self.number(value);
            if is_strict { number < threshold } else { number <= threshold }
        };
        let (mut low, mut high) = (i128::from(i64::MIN), i128::from(i64::MAX));
        while high - low > 1 {
            let middle = (low + high).div_euclid(2);
            if holds(middle as i64) { low = middle } else { high = middle }
        }
        low as i64
    }
}

/// The columns of the value that an ensemble reads.
pub(super) fn resolve(graph: &Graph, source: &ModelSource<'_>, value: &str) -> Result<Vec<Column>, Error> {
    let mut known: HashMap<&str, Vec<Column>> = HashMap::new();
    for (input, bound) in graph.inputs.iter().zip(bind(graph, source)?) {
        let column = |at: &usize| Column {
            input: *at,
            divide_by: source.inputs[*at].divide_by,
            enters_as: input.elem,
            elem: input.elem,
            steps: Vec::new(),
        };
        known.insert(&input.name, bound.iter().map(column).collect());
    }
    for node in graph.nodes() {
        let Some(output) = node.output.first() else { continue };
        let inputs: Option<Vec<&Vec<Column>>> =
            node.input.iter().map(|name| known.get(name.as_str())).collect();
        let Some(inputs) = inputs.filter(|inputs| !inputs.is_empty()) else { continue };
        let attributes = Attributes(node);
        let columns = match node.op_type.as_str() {
            "Identity" => inputs[0].clone(),
            "Cast" => cast(attributes, inputs[0])?,
            "Scaler" => scaler(attributes, inputs[0])?,
            "Concat" if matches!(attributes.int("axis"), Some(1 | -1)) => {
                inputs.into_iter().flatten().cloned().collect()
            }
            _ => continue,
        };
        if columns.len() > MODEL_WIDTH_MAX || columns.iter().any(|column| column.steps.len() > STEPS_MAX) {
            let message =
                format!("{} makes more than {MODEL_WIDTH_MAX} columns or {STEPS_MAX} steps", named(node));
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        known.insert(output, columns);
    }
    let mut columns = known.remove(value).ok_or_else(|| before(graph, value))?;
    for column in columns.iter_mut().filter(|column| matches!(column.elem, Elem::I64 | Elem::I32)) {
        // Trees compare floats: so do integers, once they get there.
        column.steps.push(Step::F32);
    }
    Ok(columns)
}

/// What stands before an ensemble that we cannot take into it.
fn before(graph: &Graph, value: &str) -> Error {
    let node = graph.producer(value).map_or_else(|| "a constant".to_string(), |(node, _)| named(node));
    invalid(format!("{node} before a tree ensemble is not supported (Cast, Identity, Concat, Scaler are)"))
}

fn cast(attributes: Attributes<'_>, columns: &[Column]) -> Result<Vec<Column>, Error> {
    let to = attributes.int("to").and_then(|to| Elem::of(i32::try_from(to).ok()?));
    let is_integer = |elem: Elem| matches!(elem, Elem::I64 | Elem::I32);
    let mut columns = columns.to_vec();
    for column in &mut columns {
        match to {
            Some(Elem::F32) => column.steps.push(Step::F32),
            Some(Elem::F64) => {}
            Some(Elem::I64) if is_integer(column.elem) => {}
            _ => {
                return Err(attributes.refuse("a cast to another type than float or double is not supported"));
            }
        }
        column.elem = to.unwrap_or(column.elem);
    }
    Ok(columns)
}

fn scaler(attributes: Attributes<'_>, columns: &[Column]) -> Result<Vec<Column>, Error> {
    let (offsets, factors) = (attributes.numbers("offset")?, attributes.numbers("scale")?);
    let fits = |list: &[f64]| list.len() == 1 || list.len() == columns.len();
    if !fits(&offsets) || !fits(&factors) {
        return Err(attributes.refuse(format!("offset and scale do not fit {} columns", columns.len())));
    }
    let of = |list: &[f64], at: usize| list[if list.len() == 1 { 0 } else { at }] as f32;
    let mut columns = columns.to_vec();
    for (at, column) in columns.iter_mut().enumerate() {
        let (offset, factor) = (of(&offsets, at), of(&factors, at));
        if factor <= 0.0 {
            return Err(attributes.refuse(format!("scale {factor} is not above 0")));
        }
        column.steps.push(Step::Scale { offset, factor });
        column.elem = Elem::F32;
    }
    Ok(columns)
}
