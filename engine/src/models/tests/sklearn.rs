//! Models that scikit-learn trained and skl2onnx wrote give what scikit-learn gives: `models/fixtures`, made by `make.py`
//! there.

use super::*;
use crate::models::Kind;
use std::path::PathBuf;

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/models/fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The source of a fixture whose inputs must all be there.
fn whole<'f>(file: &'f [u8], inputs: usize, class: &str) -> ModelSource<'f> {
    let mut source = source(file, inputs);
    source.inputs.iter_mut().for_each(|input| input.missing = Missing::Undecided);
    source.class = match class {
        "-" => None,
        class => Some(class.parse().map_or_else(|_| Class::Label(class.into()), Class::Column)),
    };
    if class == "-" {
        source.score = ScoreFrom::Thousandths;
    }
    source
}

#[test]
fn scores_are_those_of_scikit_learn() {
    let scores = String::from_utf8(fixture("scores.txt")).unwrap();
    let mut seen = Vec::<(String, Kind)>::new();
    for line in scores.lines() {
        let [name, class, row, wanted] = line.split(';').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let row: Vec<Option<i64>> = row.split(' ').map(|value| Some(value.parse().unwrap())).collect();
        let file = fixture(&format!("{name}.onnx"));
        let model =
            Model::compile(&whole(&file, row.len(), class)).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let thousandths = wanted.parse::<f64>().unwrap() * if class == "-" { 1.0 } else { 1000.0 };
        let score = f64::from(score(&model, &row).unwrap());
        // Half of one is the rounding; scikit-learn computes in doubles what the file has in floats.
        let off = (score - thousandths.clamp(0.0, 1000.0)).abs();
        assert!(off <= 0.51, "{name} {row:?}: {score}, scikit-learn {thousandths}");
        if seen.last().is_none_or(|(last, _)| last != name) {
            seen.push((name.to_string(), model.kind()));
        }
    }
    assert_eq!(seen.len(), 13, "{seen:?}");
    for (name, kind) in seen {
        let is_trees = ["trees", "boosted", "forest"].iter().any(|family| name.starts_with(family));
        assert_eq!(kind, if is_trees { Kind::Trees } else { Kind::Tract }, "{name}");
    }
}

#[test]
fn of_several_classes_the_one_that_counts_is_declared() {
    for name in ["logistic_three", "trees_three", "boosted_three", "forest_three"] {
        let file = fixture(&format!("{name}.onnx"));
        let mut declared = whole(&file, 8, "fraud");
        assert!(Model::compile(&declared).is_ok(), "{name}");
        declared.class = None;
        let told = refusal(&declared);
        assert!(
            told.ends_with("class is missing: say which of fraud, good, review the score is of"),
            "{told}"
        );
        declared.class = Some(Class::Label("fruad".into()));
        let told = refusal(&declared);
        assert!(told.ends_with("class is \"fruad\", the model's classes are fraud, good, review"), "{told}");
    }
    let file = fixture("network_three.onnx");
    let told = refusal(&whole(&file, 8, "fraud"));
    assert!(told.contains("does not name its classes; give the column, 0 to 2"), "{told}");
}

#[test]
fn a_scaler_that_does_not_fit_is_refused_by_name() {
    use super::build::{NodeProto, encode, floats, graph, model, node, tensor};
    let with = |offset: Vec<f32>, scale: Vec<f32>| {
        let scaler = NodeProto {
            attribute: vec![floats("offset", offset), floats("scale", scale)],
            ..node("Scaler", &["x"], &["s"])
        };
        let nodes = vec![scaler, node("MatMul", &["s", "w"], &["p"])];
        encode(&model(graph(nodes, &[("x", 1, 2)], "p", vec![tensor("w", &[2, 1], vec![0.25, 0.5])])))
    };
    let file = with(vec![1.0, 2.0], vec![0.5]);
    let model = Model::compile(&whole(&file, 2, "0")).unwrap();
    // (3 − 1) · 0.5 · 0.25 + (2 − 2) · 0.5 · 0.5
    assert_eq!(score(&model, &[Some(3), Some(2)]), Some(250));
    let refused = |offset, scale| refusal(&whole(&with(offset, scale), 2, "0"));
    assert!(
        refused(vec![1.0; 3], vec![1.0])
            .contains("Scaler (\"Scaler_1\"): offset has 3 numbers for 2 columns")
    );
    assert!(refused(vec![0.0], vec![]).contains("scale has 0 numbers for 2 columns"));
    assert!(refused(vec![0.0], vec![f32::NAN]).contains("scale holds NaN"));
}

/// A run that gives no number is told from an input that is missing: only the first is a failure.
#[test]
fn a_run_without_a_number_is_a_failure() {
    let file = fixture("root.onnx");
    let model = Model::compile(&whole(&file, 1, "0")).unwrap();
    let mut scratch = ModelScratch::default();
    let mut ask = |value| (model.score(&Numbers(&[value]), &mut scratch), scratch.failed);
    assert_eq!(ask(Some(1001)), (None, true));
    assert_eq!(ask(None), (None, false));
    assert_eq!(ask(Some(1000)), (Some(0), false));
}
