//! `models/*.yaml`: an ONNX file beside it, the slots that are its inputs, and what its output is.

use super::archive::Files;
use super::load::{Pack, sorted};
use super::schema::PackSchema;
use super::yaml::{Node, Reader, Yaml};
use crate::domain::{Schema, ValueType};
use crate::error::{Error, ErrorKind, Place, nearest};
use crate::limits::MODEL_INPUTS_MAX;
use crate::models::{Class, Input, Missing, Model, ModelSource, ScoreFrom};

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
    /// Which class the score is of: a column of the output, from 0, or a label.
    pub class: Option<Class>,
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
                class: self.class.clone(),
                score: self.score,
                counts: self.counts,
            }),
            _ => Err(errors),
        }
    }

    /// The model, compiled.
    ///
    /// # Errors
    /// As [`ModelDecl::source`] and [`Model::compile`].
    pub(super) fn compile(&self, pack: u16, schema: &Schema, files: &Files) -> Result<Model, Vec<Error>> {
        Model::compile(&self.source(pack, schema, files)?)
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

/// Compiles the models of a schema, in the order of their slots; `packs` are those that the schema was built of. What
/// two packs may not both declare, and how many there may be, [`super::schema()`] has seen to.
///
/// # Errors
/// Everything that is wrong with any of them: unknown slots, files that are missing or broken, operators we do not run
/// (by name).
pub fn models(packs: &[&Pack], built: &PackSchema) -> Result<Vec<Model>, Vec<Error>> {
    let (mut models, mut errors) = (Vec::with_capacity(built.models.len()), Vec::new());
    for (number, declared) in &built.models {
        match declared.compile(*number as u16, &built.schema, packs[*number].files()) {
            Ok(model) => models.push(model),
            Err(found) => errors.extend(found),
        }
    }
    if errors.is_empty() { Ok(models) } else { Err(sorted(errors)) }
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
    let class = fields.maybe("class").and_then(|node| class(reader, node));
    let score = fields.maybe("score").and_then(|node| score(reader, node));
    let counts = fields.maybe("counts").and_then(|node| reader.flag(node, "counts"));
    Some(ModelDecl {
        id: id?.into(),
        file: file?,
        doc: doc?.into(),
        inputs: inputs?,
        output: output.map(String::from),
        class,
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

/// A column by its number, or a class by its label in quotes.
fn class(reader: &mut Reader<'_>, node: &Node) -> Option<Class> {
    match &node.value {
        Yaml::Text(_) => reader.text(node, "class").map(|label| Class::Label(label.into())),
        _ => reader.int(node, "class", 0..=1023).map(|column| Class::Column(column as u16)),
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::models::tests::build::{Dice, forest};
    use crate::models::{Kind, ModelScratch};
    use crate::packs::{Files, load, schema};

    const PACK: &str = "name: p\nversion: 1.0.0\nowner: o\n";

    fn files(yaml: &str) -> Files {
        let mut drawn = forest(&mut Dice(1), 1, 2);
        drawn.features = 2;
        drawn.base.clear();
        drawn.trees.truncate(1);
        drawn.trees[0] = vec![crate::models::tests::build::Branch::Leaf(vec![(0, -0.5), (1, 0.5)])];
        let file = |path: &str, bytes: &[u8]| (path.to_string(), bytes.to_vec());
        Files::from([
            file("pack.yaml", PACK.as_bytes()),
            file("models/m.yaml", yaml.as_bytes()),
            file("models/m.onnx", &drawn.file()),
        ])
    }

    const MODEL: &str = "id: m\nfile: m.onnx\ndoc: d\ninputs:\n  - {slot: amount.minor, divide_by: 100}\n  \
        - {slot: cross_border, missing: gap}\n";

    #[test]
    fn a_declared_model_is_read_and_compiled() {
        let pack =
            load(files(&format!("{MODEL}output: p\nclass: 1\ncounts: true\nscore: {{from: probability}}\n")));
        let pack = pack.unwrap();
        let declared = &pack.models[0];
        assert_eq!(
            (declared.slot_path().as_str(), declared.counts, declared.class.clone()),
            ("models.m", true, Some(Class::Column(1)))
        );
        let (first, second) = (&declared.inputs[0], &declared.inputs[1]);
        assert_eq!((first.divide_by, first.missing), (100, Missing::Undecided));
        assert_eq!((second.divide_by, second.missing), (1, Missing::Gap));
        let built = schema(&[&pack], &[]).unwrap();
        let models = models(&[&pack], &built).unwrap();
        assert_eq!((models[0].id(), models[0].kind(), models[0].counts()), ("m", Kind::Trees, true));
        let twice = schema(&[&pack, &pack], &[]).unwrap_err();
        assert!(twice[0].message.contains("is declared by pack \"p\" at models/m.yaml:1:1"), "{}", twice[0]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let wrong = |yaml: &str| {
            let errors = match load(files(yaml)) {
                Err(errors) => errors,
                Ok(pack) => models(&[&pack], &schema(&[&pack], &[]).unwrap()).unwrap_err(),
            };
            errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        let with = |from: &str, to: &str| wrong(&MODEL.replace(from, to));
        assert_eq!(
            with("amount.minor", "amount.minro"),
            "models/m.yaml:5:5: unknown slot \"amount.minro\"; did you mean amount.minor?"
        );
        assert!(with("amount.minor", "merchant.mcc").contains("is a string, a model reads numbers"));
        assert!(with("amount.minor", "models.m").contains("unknown slot"));
        assert!(with("missing: gap", "missing: 1.5").contains("expected an integer, undecided, or gap"));
        assert!(with("divide_by: 100", "divide_by: 0").contains("divide_by is 0, limit 1 to"));
        assert!(with("m.onnx", "../m.onnx").contains("expected the name of an .onnx file"));
        assert!(with("m.onnx", "n.onnx").contains("the pack has no file \"models/n.onnx\""));
        assert!(with("doc: d\n", "").contains("doc is missing"));
        assert!(with("doc: d\n", "doc: d\nclass: 1024\n").contains("class is 1024, limit 0 to 1023"));
        assert!(
            with("doc: d\n", "doc: d\nclass: fraud\n")
                .contains("class is \"fraud\", the model's classes are 0, 1")
        );
        assert!(
            with("doc: d\n", "doc: d\noutput: q\n").starts_with("models/m.onnx: model has no output \"q\"")
        );
        let mut broken = files(MODEL);
        broken.get_mut("models/m.onnx").unwrap().truncate(100);
        let pack = load(broken).unwrap();
        let built = schema(&[&pack], &[]).unwrap();
        let errors = models(&[&pack], &built).unwrap_err();
        assert!(errors[0].to_string().starts_with("models/m.onnx: not an ONNX file"), "{}", errors[0]);
    }

    /// The cards pack's own model: lowered, small, and with an opinion.
    #[test]
    fn the_cards_model_is_lowered_and_ranks_a_stolen_card_above_an_ordinary_one() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../packs/cards");
        let read = |path: &str| (path.to_string(), std::fs::read(root.join(path)).unwrap());
        let paths = ["pack.yaml", "features.yaml", "models/cards.yaml", "models/cards.onnx"];
        let pack = load(paths.map(read).into()).unwrap();
        assert!(pack.files()["models/cards.onnx"].len() < 1_000_000);
        let built = schema(&[&pack], &[]).unwrap();
        let model = models(&[&pack], &built).unwrap().remove(0);
        assert_eq!(model.kind(), Kind::Trees);
        let score = |amount: i64, week: i64| {
            let value = |path: &str| match path {
                "amount.minor" => Some(amount),
                "features.card.count_7d" => Some(10),
                "features.card.count_14d" => Some(20),
                "features.card.count_30d" => Some(40),
                "features.card.sum_7d" => Some(10 * week),
                "features.card.mean_7d" => Some(week),
                "features.card.sum_14d" => Some(10 * week + 50_000),
                "features.card.mean_14d" => Some((10 * week + 50_000) / 20),
                "features.card.sum_30d" => Some(10 * week + 150_000),
                "features.card.mean_30d" => Some((10 * week + 150_000) / 40),
                path if path.contains("terminal") => Some(0),
                _ => None,
            };
            let row = Slots(model.inputs().iter().map(|input| (input.slot, value(&input.path))).collect());
            model.score(&row, &mut ModelScratch::default())
        };
        let (ordinary, stolen) = (score(5000, 5000).unwrap(), score(24_000, 20_000).unwrap());
        assert!(ordinary < 20 && stolen > 500, "{ordinary} {stolen}");
    }

    struct Slots(Vec<(crate::domain::SlotId, Option<i64>)>);
    impl crate::domain::SlotView for Slots {
        fn value(&self, slot: crate::domain::SlotId) -> Option<crate::domain::Value<'_>> {
            let found = self.0.iter().find(|(known, _)| *known == slot)?;
            found.1.map(crate::domain::Value::Int)
        }
    }
}
