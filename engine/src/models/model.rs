//! A model as the lane sees it: slots in, one integer score out. Which evaluator runs it is decided at load.

use super::competing::Competing;
use super::onnx::Graph;
use super::runner::Runner;
use super::trees::Trees;
use super::{columns, ensemble};
use crate::calibration::Calibration;
use crate::domain::{SlotId, SlotView, Value};
use crate::error::{Error, ErrorKind, Place};
use crate::limits::{MODEL_FILE_BYTES_MAX, MODEL_INPUTS_MAX, SCORE_MAX};

/// What a model is given where a slot is missing or undecided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Missing {
    /// Nothing: the model's own slot is missing then.
    Undecided,
    /// This number, in the slot's unit.
    Value(i64),
    /// Not a number: the model was trained with gaps and says itself where they lead.
    Gap,
}

/// One input of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The slot it is read from: an integer, a boolean (0 or 1) or a time (ms since the Unix epoch).
    pub slot: SlotId,
    /// The slot's path, for messages.
    pub path: String,
    /// The graph's input of this name; without one, the next column of the graph's one input.
    pub name: Option<String>,
    /// What counts where the slot is missing.
    pub missing: Missing,
    /// The model sees the slot's value divided by this (at least 1), so that minor units become units.
    pub divide_by: i64,
}

/// What a model's output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ScoreFrom {
    /// A probability: the score is 1000 times it, rounded half up, clamped to 0 to 1000.
    #[default]
    Probability,
    /// A score already: rounded half up, clamped to 0 to 1000.
    Thousandths,
}

/// Which of a model's classes the score is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Class {
    /// By its column of the output, from 0.
    Column(u16),
    /// By the label it was trained under.
    Label(String),
}

/// A model as a pack declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSource<'a> {
    /// The pack's number within the generation.
    pub pack: u16,
    /// The model's id; its slot is `models.ID`.
    pub id: String,
    /// The ONNX file's path within the pack, for messages.
    pub file: String,
    /// Where the model is declared.
    pub place: Place,
    /// The file's bytes.
    pub onnx: &'a [u8],
    /// The inputs: by name, or in the order of the columns.
    pub inputs: Vec<Input>,
    /// The graph's output that holds the score; without one, the only output of floating-point numbers.
    pub output: Option<String>,
    /// Which class; it may be left out where there is one column, or two that have no labels of text: then the last.
    pub class: Option<Class>,
    /// What the output is.
    pub score: ScoreFrom,
    /// Whether the score may count towards the verdict's by itself.
    pub counts: bool,
}

/// Which evaluator runs a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Ours, in integers: the same score on every machine, so it can be computed again.
    Trees,
    /// tract, in floating point: its score must be kept with the verdict (`decided`), never computed again.
    Tract,
}

/// A compiled model.
#[derive(Debug)]
pub struct Model {
    pack: u16,
    id: String,
    inputs: Vec<Input>,
    counts: bool,
    score: ScoreFrom,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Trees(Trees),
    Competing(Competing),
    Tract(Box<Runner>),
}

/// What a model works in, reused from one transaction to the next.
#[derive(Debug, Default)]
pub struct ModelScratch {
    pub(super) values: Vec<Option<i64>>,
    pub(super) ints: Vec<i64>,
    /// Whether the last score failed inside tract, and is missing for that.
    pub failed: bool,
}

impl Model {
    /// Compiles a model: lowered to integers where it is a tree ensemble, else prepared for tract.
    ///
    /// # Errors
    /// Everything that is wrong with it, each at the ONNX file: what is not ONNX, operators and forms that we do not
    /// run (by name), inputs that do not fit, bounds of `limits.rs`.
    pub fn compile(source: &ModelSource<'_>) -> Result<Model, Vec<Error>> {
        let at = |e: Error| vec![e.at(Place::file(&source.file))];
        bounds(source).map_err(at)?;
        let graph = Graph::read(source).map_err(at)?;
        let body = match ensemble::find(&graph, source.class.as_ref()).map_err(at)? {
            Some(found) => {
                let columns = columns::resolve(&graph, source, &found.input).map_err(at)?;
                if found.competes() {
                    Body::Competing(Competing::lower(&found, &columns, source.score).map_err(at)?)
                } else {
                    let ensemble = found.sum(0).map_err(at)?;
                    Body::Trees(Trees::lower(&ensemble, &columns, source.score).map_err(at)?)
                }
            }
            None => Body::Tract(Box::new(Runner::prepare(&graph, source).map_err(at)?)),
        };
        let (pack, counts, score) = (source.pack, source.counts, source.score);
        Ok(Model { pack, id: source.id.clone(), inputs: source.inputs.clone(), counts, score, body })
    }

    /// The pack's number.
    pub fn pack(&self) -> u16 {
        self.pack
    }
    /// The model's id.
    pub fn id(&self) -> &str {
        &self.id
    }
    /// Whether its score may count towards the verdict's by itself.
    pub fn counts(&self) -> bool {
        self.counts
    }
    /// What it reads, in order.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }
    /// Which evaluator runs it.
    pub fn kind(&self) -> Kind {
        match &self.body {
            Body::Trees(_) | Body::Competing(_) => Kind::Trees,
            Body::Tract(_) => Kind::Tract,
        }
    }
    /// Estimated cost of one score, in ps.
    pub fn cost_ps(&self, costs: &Calibration) -> u64 {
        let reading = costs.model_input_ps * self.inputs.len() as u64;
        reading
            + match &self.body {
                Body::Trees(trees) => trees.cost_ps(costs),
                Body::Competing(sums) => sums.cost_ps(costs),
                Body::Tract(runner) => runner.cost_ps(costs),
            }
    }

    /// The score, 0 to 1000; `None` when an input is missing that the model cannot do without, or when tract failed
    /// (told in the scratch). Trees allocate nothing once the scratch has grown; tract allocates.
    pub fn score(&self, row: &dyn SlotView, scratch: &mut ModelScratch) -> Option<u16> {
        scratch.failed = false;
        scratch.values.clear();
        for input in &self.inputs {
            let value = match (row.value(input.slot).and_then(number), input.missing) {
                (Some(value), _) => Some(value),
                (None, Missing::Undecided) => return None,
                (None, Missing::Value(value)) => Some(value),
                (None, Missing::Gap) => None,
            };
            scratch.values.push(value);
        }
        match &self.body {
            Body::Trees(trees) => Some(trees.score(scratch)),
            Body::Competing(sums) => Some(sums.score(scratch)),
            Body::Tract(runner) => {
                scratch.ints.clear();
                scratch.ints.extend(scratch.values.iter().flatten());
                let score = runner.run(&self.inputs, &scratch.ints).and_then(|raw| rounded(raw, self.score));
                scratch.failed = score.is_none();
                score
            }
        }
    }
}

fn number(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Int(v) | Value::Time(v) => Some(v),
        Value::Bool(v) => Some(v.into()),
        Value::Text(_) | Value::Ip(_) | Value::Present => None,
    }
}

/// A floating-point output as a score; `None` for what is not a number.
fn rounded(raw: f64, from: ScoreFrom) -> Option<u16> {
    let thousandths = match from {
        ScoreFrom::Probability => raw * 1000.0,
        ScoreFrom::Thousandths => raw,
    };
    let clamped = (thousandths + 0.5).floor().clamp(0.0, f64::from(SCORE_MAX));
    (!raw.is_nan()).then_some(clamped as u16)
}

fn bounds(source: &ModelSource<'_>) -> Result<(), Error> {
    let too_large = |message: String| Err(Error::new(ErrorKind::TooLarge, message));
    if source.onnx.len() > MODEL_FILE_BYTES_MAX {
        return too_large(format!("model is {} bytes, limit {MODEL_FILE_BYTES_MAX}", source.onnx.len()));
    }
    if source.inputs.is_empty() || source.inputs.len() > MODEL_INPUTS_MAX {
        return too_large(format!("model has {} inputs, limit 1 to {MODEL_INPUTS_MAX}", source.inputs.len()));
    }
    match source.inputs.iter().find(|input| input.divide_by < 1) {
        Some(input) => {
            let message = format!("input {}: divide_by is {}, least 1", input.path, input.divide_by);
            Err(Error::new(ErrorKind::Invalid, message))
        }
        None => Ok(()),
    }
}
