//! `models/*.yaml`: an ONNX file beside it, the slots that are its inputs, and what its output is.

use super::archive::Files;
use super::yaml::{Node, Reader, Yaml};
use crate::domain::{Schema, ValueType};
use crate::error::{Error, ErrorKind, Place, nearest};
use crate::limits::MODEL_INPUTS_MAX;
use crate::models::{Input, Missing, ModelSource, ScoreFrom};

/// A declared input of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInput {
    /// Path of the slot it is read from.
    pub slot: String,
    /// The graph's input of this name; without one, the next column.
    pub name: Option<String>,
    /// What counts where the slot is missing; `undecided` unless declared.
    pub missing: Missing,
    /// The model sees the slot's value divided by this; 1 unless declared.
    pub divide_by: i64,
    /// Where it is declared.
    pub place: Place,
}

/// A declared model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelDecl {
    /// Its id; rules read its score as `models.ID`.
    pub id: String,
    /// The ONNX file, within the pack.
    pub file: String,
    /// What it is, for people.
    pub doc: String,
    /// Its inputs, in order.
    pub inputs: Vec<ModelInput>,
    /// The graph's output that holds the score.
    pub output: Option<String>,
    /// Which column of the output, from 0.
    pub class: Option<u16>,
    /// What the output is.
    pub score: ScoreFrom,
    /// Whether the score counts towards the verdict's by itself; `false` unless declared.
    pub counts: bool,
    /// Where it is declared.
    pub place: Place,
}

impl ModelDecl {
    /// The path of its slot.
    pub fn slot_path(&self) -> String {
        format!("models.{}", self.id)
    }

    /// The model as `models` compiles it; `pack` is the pack's number within the generation, `files` are the pack's.
    ///
    /// # Errors
    /// `NotFound` for a file that the pack lacks, `Invalid` for inputs that are no slots or slots that are no numbers.
    /// A model's own slot is none: models read what was there before any model ran.
    pub fn source<'f>(
        &self,
        pack: u16,
        schema: &Schema,
        files: &'f Files,
    ) -> Result<ModelSource<'f>, Vec<Error>> {
        let mut errors = Vec::new();
        let onnx = files.get(&self.file);
        if onnx.is_none() {
            let message = format!("model {:?}: the pack has no file {:?}", self.id, self.file);
            errors.push(Error::new(ErrorKind::NotFound, message).at(self.place.clone()));
        }
        let bound = self.inputs.iter().map(|input| input.bind(schema));
        let inputs: Vec<Input> = bound.filter_map(|input| input.map_err(|e| errors.push(e)).ok()).collect();
        match onnx {
            Some(onnx) if errors.is_empty() => Ok(ModelSource {
                pack,
                id: self.id.clone(),
                file: self.file.clone(),
                place: self.place.clone(),
                onnx,
                inputs,
                output: self.output.clone(),
                class: self.class,
                score: self.score,
                counts: self.counts,
            }),
            _ => Err(errors),
        }
    }
}

impl ModelInput {
    fn bind(&self, schema: &Schema) -> Result<Input, Error> {
        let refuse = |message: String| Error::new(ErrorKind::Invalid, message).at(self.place.clone());
        let path = &self.slot;
        let is_model = |path: &str| path.starts_with("models.");
        let Some(slot) = schema.find(path).filter(|_| !is_model(path)) else {
            let known = schema.slots().map(|(_, def)| def.path.as_str()).filter(|path| !is_model(path));
            let near = nearest(path, known).map_or(String::new(), |near| format!("; did you mean {near}?"));
            return Err(refuse(format!("unknown slot {path:?}{near}")));
        };
        let ty = schema.def(slot).ty;
        if !matches!(ty, ValueType::Int | ValueType::Bool | ValueType::Time) {
            return Err(refuse(format!("slot {path:?} is a {}, a model reads numbers", ty.name())));
        }
        let (name, missing, divide_by) = (self.name.clone(), self.missing, self.divide_by);
        Ok(Input { slot, path: path.clone(), name, missing, divide_by })
    }
}

/// Reports models of one id.
pub(super) fn duplicates(models: &[ModelDecl], errors: &mut Vec<Error>) {
    for (at, model) in models.iter().enumerate() {
        if let Some(first) = models[..at].iter().find(|known| known.id == model.id) {
            let message = format!("model {:?} is declared twice, first at {}", model.id, first.place);
            errors.push(Error::new(ErrorKind::Invalid, message).at(model.place.clone()));
        }
    }
}

const KEYS: [&str; 8] = ["id", "file", "doc", "inputs", "output", "class", "score", "counts"];

/// Reads one file: one model.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<ModelDecl> {
    let fields = reader.fields(node, "model", &KEYS)?;
    let id = fields.must(reader, "model", "id").and_then(|node| reader.identifier(node, "id"));
    let file = fields.must(reader, "model", "file").and_then(|node| file(reader, node));
    let doc = fields.must(reader, "model", "doc").and_then(|node| reader.text(node, "doc"));
    let inputs = fields.must(reader, "model", "inputs").and_then(|node| inputs(reader, node));
    let output = fields.maybe("output").and_then(|node| reader.text(node, "output"));
    let class = fields.maybe("class").and_then(|node| reader.int(node, "class", 0..=1023));
    let score = fields.maybe("score").and_then(|node| score(reader, node));
    let counts = fields.maybe("counts").and_then(|node| reader.flag(node, "counts"));
    Some(ModelDecl {
        id: id?.into(),
        file: file?,
        doc: doc?.into(),
        inputs: inputs?,
        output: output.map(String::from),
        class: class.map(|class| class as u16),
        score: score.unwrap_or_default(),
        counts: counts.unwrap_or(false),
        place: reader.place(node),
    })
}

/// The file's name beside the declaration, as a path within the pack.
fn file(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let name = reader.text(node, "file")?;
    if name.ends_with(".onnx") && !name.contains('/') {
        return Some(format!("models/{name}"));
    }
    reader.refuse_node(node, format!("file {name:?}: expected the name of an .onnx file in models/"))
}

fn score(reader: &mut Reader<'_>, node: &Node) -> Option<ScoreFrom> {
    let fields = reader.fields(node, "score", &["from"])?;
    let from = fields.must(reader, "score", "from")?;
    let known = [("probability", ScoreFrom::Probability), ("thousandths", ScoreFrom::Thousandths)];
    reader.word(from, "from", &known)
}

fn inputs(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<ModelInput>> {
    let list = reader.list(node, "inputs")?;
    if list.is_empty() || list.len() > MODEL_INPUTS_MAX {
        let message = format!("inputs has {} entries, limit 1 to {MODEL_INPUTS_MAX}", list.len());
        return reader.refuse_node(node, message);
    }
    // Every broken input is reported, then the model is left out.
    let inputs: Vec<Option<ModelInput>> = list.iter().map(|node| input(reader, node)).collect();
    inputs.into_iter().collect()
}

fn input(reader: &mut Reader<'_>, node: &Node) -> Option<ModelInput> {
    let fields = reader.fields(node, "input", &["slot", "name", "missing", "divide_by"])?;
    let slot = fields.must(reader, "input", "slot").and_then(|node| reader.text(node, "slot"));
    let name = fields.maybe("name").and_then(|node| reader.text(node, "name"));
    let missing = fields.maybe("missing").map_or(Some(Missing::Undecided), |node| missing(reader, node));
    let divide_by = fields.maybe("divide_by");
    let divide_by = divide_by.map_or(Some(1), |node| reader.int(node, "divide_by", 1..=1_000_000_000_000));
    Some(ModelInput {
        slot: slot?.into(),
        name: name.map(String::from),
        missing: missing?,
        divide_by: divide_by?,
        place: reader.place(node),
    })
}

fn missing(reader: &mut Reader<'_>, node: &Node) -> Option<Missing> {
    match &node.value {
        Yaml::Int(value) => Some(Missing::Value(*value)),
        Yaml::Text(word) if word == "undecided" => Some(Missing::Undecided),
        Yaml::Text(word) if word == "gap" => Some(Missing::Gap),
        _ => {
            reader.refuse_node(node, "missing: expected an integer, undecided, or gap (the model knows gaps)")
        }
    }
}
