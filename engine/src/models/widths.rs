//! What tract may run: a closed set of operators on one row of numbers, whose widths and products are counted before
//! tract sees the file. So no hostile file makes it reserve or compute more than the bounds, and what is refused is
//! refused by name.

use super::attributes::{Attributes, elements, numbers};
use super::onnx::{Graph, invalid, named};
use crate::error::{Error, ErrorKind, nearest};
use crate::limits::{MODEL_PRODUCTS_MAX, MODEL_WIDTH_MAX};
use std::collections::HashMap;
use tract_onnx::pb::{NodeProto, TensorProto};

/// One row in, a row of the same width out.
const ONE_TO_ONE: [&str; 23] = [
    "Abs",
    "Ceil",
    "Clip",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "HardSigmoid",
    "Identity",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "Neg",
    "Normalizer",
    "Relu",
    "Selu",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Tanh",
    "ThresholdedRelu",
];
/// Two rows, or a row and a constant, in.
const TWO_TO_ONE: [&str; 6] = ["Add", "Div", "Mul", "Pow", "PRelu", "Sub"];
/// The rest.
const OTHERS: [&str; 8] = [
    "BatchNormalization",
    "Cast",
    "Concat",
    "Gemm",
    "LinearClassifier",
    "LinearRegressor",
    "MatMul",
    "Scaler",
];

/// What a score takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    pub operators: u64,
    pub products: u64,
    /// Columns of the output.
    pub width: usize,
}

/// Checks a graph for tract.
///
/// # Errors
/// `Invalid` for operators and forms that we do not run, by name; `TooLarge` past the bounds.
pub(super) fn check(graph: &Graph) -> Result<Cost, Error> {
    let mut rows: HashMap<&str, usize> = HashMap::new();
    for input in &graph.inputs {
        rows.insert(&input.name, bounded(input.width)?);
    }
    let tensors = graph.proto.graph.as_ref().map_or(&[][..], |graph| &graph.initializer);
    for tensor in tensors {
        numbers(tensor).map_err(|e| invalid(format!("tensor {:?}: {e}", tensor.name)))?;
    }
    let mut products = 0;
    for node in graph.nodes() {
        let op = Op { node, graph, rows: &rows };
        let (output, width, cost) = op.check()?;
        products += cost;
        if products > MODEL_PRODUCTS_MAX {
            let message = format!("a score takes {products} products, limit {MODEL_PRODUCTS_MAX}");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        if let Some(output) = node.output.get(output) {
            rows.insert(output, bounded(width)?);
        }
    }
    let width = rows.get(graph.output.as_str()).copied();
    let width = width.ok_or_else(|| invalid(format!("output {:?} is not a row of numbers", graph.output)))?;
    Ok(Cost { operators: graph.nodes().len() as u64, products, width })
}

fn bounded(width: usize) -> Result<usize, Error> {
    if (1..=MODEL_WIDTH_MAX).contains(&width) {
        return Ok(width);
    }
    let message = format!("a row between two operators is {width} wide, limit 1 to {MODEL_WIDTH_MAX}");
    Err(Error::new(ErrorKind::TooLarge, message))
}

struct Op<'g> {
    node: &'g NodeProto,
    graph: &'g Graph,
    rows: &'g HashMap<&'g str, usize>,
}

impl<'g> Op<'g> {
    /// Which output is the row, its width, and the products it takes.
    fn check(&self) -> Result<(usize, usize, u64), Error> {
        let kind = self.node.op_type.as_str();
        if !matches!(self.node.domain.as_str(), "" | "ai.onnx" | "ai.onnx.ml") {
            let message = format!("{} of domain {:?} is not supported", named(self.node), self.node.domain);
            return Err(invalid(message));
        }
        let (output, width, products) = match kind {
            _ if ONE_TO_ONE.contains(&kind) => {
                self.scalars_behind(1)?;
                self.over_columns(kind)?;
                (0, self.row(0)?, 0)
            }
            _ if TWO_TO_ONE.contains(&kind) => (0, self.pair()?, 0),
            "Cast" if matches!(self.attributes().int("to"), Some(1 | 11)) => (0, self.row(0)?, 0),
            "Cast" => return Err(self.refuse("a cast to another type than float or double is not supported")),
            "Concat" => (0, self.concat()?, 0),
            "Scaler" => (0, self.scaler()?, 0),
            "BatchNormalization" => (0, self.normalization()?, 0),
            "MatMul" => (0, self.product(1, false)?, 0),
            "Gemm" => (0, self.gemm()?, 0),
            "LinearClassifier" => (1, self.linear("classlabels_ints", "classlabels_strings")?, 0),
            "LinearRegressor" => (0, self.linear("", "")?, 0),
            _ => return Err(self.unknown()),
        };
        let products =
            if products == 0 && matches!(kind, "MatMul" | "Gemm" | "LinearClassifier" | "LinearRegressor") {
                self.row(0)? as u64 * width as u64
            } else {
                // A transcendental function is worth some products.
                width as u64 * 8
            };
        Ok((output, width, products))
    }

    fn attributes(&self) -> Attributes<'g> {
        Attributes(self.node)
    }
    fn refuse(&self, message: impl std::fmt::Display) -> Error {
        self.attributes().refuse(message)
    }
    fn unknown(&self) -> Error {
        let known = ONE_TO_ONE.into_iter().chain(TWO_TO_ONE).chain(OTHERS);
        let known = known.chain(["TreeEnsembleClassifier", "TreeEnsembleRegressor"]);
        let near = nearest(&self.node.op_type, known).map_or(String::new(), |n| format!("; {n} is"));
        let place = match self.node.op_type.as_str() {
            "TreeEnsembleClassifier" | "TreeEnsembleRegressor" => " in front of other operators",
            _ => "",
        };
        self.refuse(format!("is not supported{place}{near}"))
    }

    fn name(&self, at: usize) -> Option<&'g str> {
        self.node.input.get(at).map(String::as_str).filter(|name| !name.is_empty())
    }
    /// The width of an input that is a row.
    fn row(&self, at: usize) -> Result<usize, Error> {
        let row = self.name(at).and_then(|name| self.rows.get(name)).copied();
        row.ok_or_else(|| self.refuse(format!("its input {} is not a row of numbers", at + 1)))
    }
    fn constant(&self, at: usize) -> Option<&'g TensorProto> {
        self.graph.constant(self.name(at)?)
    }
    /// A constant that spreads over a row: how wide it is. One of several rows would multiply the rows.
    fn spread(&self, at: usize) -> Option<usize> {
        let dims = &self.constant(at)?.dims;
        let (columns, rows) = dims.split_last().map_or((1, &[][..]), |(columns, rows)| (*columns, rows));
        (rows.len() < 2 && rows.iter().all(|rows| *rows == 1)).then(|| elements(&[columns]))?
    }
    /// Inputs from a position on are constants of one number (the bounds of Clip).
    fn scalars_behind(&self, from: usize) -> Result<(), Error> {
        let is_scalar = |at: usize| self.name(at).is_none() || self.spread(at) == Some(1);
        match (from..self.node.input.len()).find(|at| !is_scalar(*at)) {
            Some(at) => Err(self.refuse(format!("its input {} is not one constant", at + 1))),
            None => Ok(()),
        }
    }

    /// A softmax over the one row would be 1 everywhere, and over an axis that is not there tract's own affair.
    fn over_columns(&self, kind: &str) -> Result<(), Error> {
        let axis = self.attributes().int("axis");
        match axis.filter(|_| matches!(kind, "Softmax" | "LogSoftmax")) {
            None | Some(1 | -1) => Ok(()),
            Some(axis) => Err(self.refuse(format!("axis {axis} is not supported, only columns (1 or -1)"))),
        }
    }

    fn pair(&self) -> Result<usize, Error> {
        if self.row(0).is_err() && self.row(1).is_err() {
            return Err(self.refuse("neither input is a row of numbers"));
        }
        let width = |at: usize| {
            let width = self.row(at).ok().or_else(|| self.spread(at));
            width.ok_or_else(|| self.refuse(format!("its input {} has several rows", at + 1)))
        };
        match (width(0)?, width(1)?) {
            (a, b) if a == b || b == 1 => Ok(a),
            (1, b) => Ok(b),
            (a, b) => Err(self.refuse(format!("its inputs are {a} and {b} wide"))),
        }
    }

    fn concat(&self) -> Result<usize, Error> {
        if !matches!(self.attributes().int("axis"), Some(1 | -1)) {
            return Err(self.refuse("only columns are joined (axis 1)"));
        }
        (0..self.node.input.len()).try_fold(0usize, |sum, at| Ok(sum.saturating_add(self.row(at)?)))
    }

    fn scaler(&self) -> Result<usize, Error> {
        let (width, attributes) = (self.row(0)?, self.attributes());
        for name in ["offset", "scale"] {
            let count = attributes.numbers(name)?.len();
            if count != 1 && count != width {
                return Err(self.refuse(format!("{name} has {count} numbers for {width} columns")));
            }
        }
        Ok(width)
    }

    fn normalization(&self) -> Result<usize, Error> {
        let width = self.row(0)?;
        match (1..5).find(|at| self.spread(*at) != Some(width)) {
            Some(at) => Err(self.refuse(format!("its input {} is not {width} constants", at + 1))),
            None => Ok(width),
        }
    }

    /// The width of a row times a constant matrix.
    fn product(&self, at: usize, is_transposed: bool) -> Result<usize, Error> {
        let row = self.row(0)?;
        let dims = self.constant(at).map_or(&[][..], |tensor| &tensor.dims);
        let [a, b] = dims else {
            return Err(self.refuse("its second input is not a constant matrix"));
        };
        let (rows, columns) = if is_transposed { (b, a) } else { (a, b) };
        match (elements(&[*rows]), elements(&[*columns])) {
            (Some(rows), Some(columns)) if rows == row => Ok(columns),
            _ => Err(self.refuse(format!("its row is {row} wide, its matrix has {rows} rows"))),
        }
    }

    fn gemm(&self) -> Result<usize, Error> {
        if self.attributes().int("transA").unwrap_or(0) != 0 {
            return Err(self.refuse("transA is not supported"));
        }
        let width = self.product(1, self.attributes().int("transB").unwrap_or(0) != 0)?;
        match self.name(2).map(|_| self.spread(2)) {
            None => Ok(width),
            Some(Some(added)) if added == width || added == 1 => Ok(width),
            Some(_) => Err(self.refuse(format!("its third input is not {width} constants"))),
        }
    }

    fn linear(&self, ints: &str, strings: &str) -> Result<usize, Error> {
        let attributes = self.attributes();
        let row = self.row(0)?;
        let width = if ints.is_empty() {
            usize::try_from(attributes.int("targets").unwrap_or(1)).unwrap_or(0)
        } else {
            attributes.ints(ints).len().max(attributes.words(strings).len())
        };
        let (factors, added) = (attributes.numbers("coefficients")?, attributes.numbers("intercepts")?);
        if width == 0 || factors.len() != row.saturating_mul(width) {
            let message = format!("{} coefficients for {row} columns and {width} results", factors.len());
            return Err(self.refuse(message));
        }
        if !added.is_empty() && added.len() != width {
            return Err(self.refuse(format!("{} intercepts for {width} results", added.len())));
        }
        Ok(width)
    }
}
