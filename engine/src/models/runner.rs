//! Everything that is not a tree ensemble, on tract: one thread, one row. Floating point may differ between machines, so
//! a score made here is kept with the verdict and never computed again. tract's panics are contained and become errors.

use super::columns::{bind, entered};
use super::onnx::{Elem, Graph, invalid};
use super::outputs;
use super::widths::{self, Cost};
use super::{Class, Input, Missing, ModelSource, lower};
use crate::calibration::Calibration;
use crate::error::{Error, ErrorKind};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tract_onnx::prelude::*;

type Plan = Arc<TypedRunnableModel>;

/// A model on tract.
pub(super) struct Runner {
    plan: Plan,
    /// For each input of the graph: its type and the declared inputs that are its columns.
    inputs: Vec<(Elem, Vec<usize>)>,
    /// Column of the output.
    class: usize,
    cost: Cost,
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tract, {} operators, {} products", self.cost.operators, self.cost.products)
    }
}

impl Runner {
    /// Prepares a graph.
    ///
    /// # Errors
    /// Whatever `widths` refuses, a class that is not there, and what tract itself refuses.
    pub(super) fn prepare(graph: &Graph, source: &ModelSource<'_>) -> Result<Runner, Error> {
        let cost = widths::check(graph)?;
        // What NaN becomes in a network is each runtime's own affair (a Relu may make 0 of it).
        if let Some(input) = source.inputs.iter().find(|input| input.missing == Missing::Gap) {
            return Err(invalid(format!("input {}: only tree ensembles take gaps", input.path)));
        }
        let inputs: Vec<(Elem, Vec<usize>)> =
            graph.inputs.iter().map(|input| input.elem).zip(bind(graph, source)?).collect();
        let class = class(graph, source, cost.width)?;
        let plan = contained(|| plan(graph));
        let plan = plan.map_err(|message| invalid(format!("tract cannot run it: it panicked: {message}")))?;
        let plan = plan.map_err(|e| invalid(format!("tract cannot run it: {}", e.root_cause())))?;
        let runner = Runner { plan, inputs, class, cost };
        // One row of ones: what fails always fails now.
        match runner.run(&source.inputs, &vec![1; source.inputs.len()]) {
            Some(_) => Ok(runner),
            None => Err(Error::new(ErrorKind::Invalid, "tract cannot run it: a row of ones gives no number")),
        }
    }

    /// The output's number for declared inputs; `None` where tract fails.
    pub(super) fn run(&self, declared: &[Input], values: &[i64]) -> Option<f64> {
        let tensors = self.inputs.iter().map(|(elem, columns)| {
            let row = columns.iter().map(|at| entered(values[*at], declared[*at].divide_by, *elem));
            let shape = (1, columns.len());
            match elem {
                Elem::F32 => tensor(shape, row.map(|v| v as f32)),
                Elem::F64 => tensor(shape, row),
                Elem::I64 => tensor(shape, row.map(|v| v as i64)),
                Elem::I32 => tensor(shape, row.map(|v| v as i32)),
                Elem::Bool => tensor(shape, row.map(|v| v != 0.0)),
            }
        });
        let tensors: TVec<TValue> = tensors.collect();
        let outputs = contained(|| self.plan.run(tensors)).ok()?.ok()?;
        let output = outputs.first()?.cast_to::<f64>().ok()?;
        let number = *output.to_plain_array_view::<f64>().ok()?.iter().nth(self.class)?;
        Some(number).filter(|number| !number.is_nan())
    }

    /// Estimated ps of one score.
    pub(super) fn cost_ps(&self, costs: &Calibration) -> u64 {
        let Cost { operators, products, .. } = self.cost;
        costs.tract_ps + operators * costs.tract_operator_ps + products * costs.tract_product_ps
    }
}

/// The column of the output that the score is in.
fn class(graph: &Graph, source: &ModelSource<'_>, width: usize) -> Result<usize, Error> {
    if let Some((attributes, labels)) = outputs::linear(graph).filter(|(_, labels)| labels.len() == width) {
        return labels.pick(attributes, source.class.as_ref());
    }
    match &source.class {
        Some(Class::Column(class)) if usize::from(*class) < width => Ok((*class).into()),
        Some(Class::Column(class)) => {
            Err(invalid(format!("class is {class}, the output has {width} columns")))
        }
        Some(Class::Label(label)) => Err(invalid(format!(
            "class is {label:?}, but the model's file does not name its classes; give the column, 0 to {}",
            width - 1
        ))),
        None if width <= 2 => Ok(width - 1),
        None => Err(invalid(format!("class is missing: the output has {width} columns"))),
    }
}

fn tensor<T: Datum>((rows, columns): (usize, usize), row: impl Iterator<Item = T>) -> TValue {
    let array = tract_ndarray::Array2::from_shape_vec((rows, columns), row.collect());
    Tensor::from(array.expect("the row is as long as it has columns")).into()
}

/// tract's plan of a graph whose inputs are one row each.
pub(super) fn plan(graph: &Graph) -> TractResult<Plan> {
    // tract wants every operator's name only once, ONNX does not.
    let mut proto = lower::lower(graph.proto.clone());
    let nodes = proto.graph.iter_mut().flat_map(|graph| &mut graph.node);
    nodes.enumerate().for_each(|(at, node)| node.name = format!("{at} {}", node.name));
    let mut model = tract_onnx::onnx().with_ignore_output_shapes(true).parse(&proto, None)?.model;
    for (at, input) in graph.inputs.iter().enumerate() {
        let of = match input.elem {
            Elem::F32 => f32::datum_type(),
            Elem::F64 => f64::datum_type(),
            Elem::I64 => i64::datum_type(),
            Elem::I32 => i32::datum_type(),
            Elem::Bool => bool::datum_type(),
        };
        model.set_input_fact(at, InferenceFact::dt_shape(of, [1, input.width]))?;
    }
    model.into_optimized()?.into_runnable()
}

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside tract, where a panic becomes an error that says what it said: a panic hook need not
/// write it to stderr as well. Panics of anything else are none of this.
pub fn panics_are_contained() -> bool {
    CONTAINED.try_with(Cell::get).unwrap_or(false)
}

/// Longest text of a panic that an error repeats, in characters.
const PANIC_CHARS_MAX: usize = 200;

/// What a call gives, or the first line of its panic. The call owns or only reads what it touches, so nothing is left
/// halfway.
fn contained<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            CONTAINED.set(self.0);
        }
    }
    let _restore = Restore(CONTAINED.replace(true));
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("");
        text.lines().next().unwrap_or("").chars().take(PANIC_CHARS_MAX).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_inside_is_an_error_and_only_there_contained() {
        assert!(!panics_are_contained());
        let nested =
            contained(|| (panics_are_contained(), contained(panics_are_contained), panics_are_contained()));
        assert_eq!(nested, Ok((true, Ok(true), true)));
        assert!(!panics_are_contained());
        let width = 3;
        assert_eq!(
            contained(|| panic!("no row of {width}\nat length")),
            Err::<(), _>("no row of 3".to_string())
        );
        assert!(!panics_are_contained());
    }
}
