//! Lowered ensembles give what a plain walk gives, and what tract gives.

use super::build::{Dice, Forest, encode, floats, forest, graph, int, model, node};
use super::*;
use crate::models::columns::{self, entered};
use crate::models::onnx::{Elem, Graph};
use crate::models::{Kind, ensemble, runner, trees};
use proptest::prelude::*;
use tract_onnx::prelude::*;

fn widened(row: &[Option<i64>]) -> Vec<f64> {
    row.iter().map(|value| value.map_or(f64::NAN, |v| entered(v, 1, Elem::F32))).collect()
}

/// What the score should be, before it is rounded.
fn exact(forest: &Forest, row: &[f64], class: usize) -> f64 {
    let sums = forest.sums(row);
    let logistic = |sum: f64| 1.0 / (1.0 + (-sum).exp());
    match forest.transform {
        "LOGISTIC" => logistic(sums[class]),
        "SOFTMAX" => logistic(sums[class] - sums[1 - class]),
        _ => sums[class],
    }
}

fn is_near(score: u16, probability: f64) -> bool {
    let wanted = (1000.0 * probability).clamp(0.0, 1000.0);
    (f64::from(score) - wanted).abs() <= 0.5 + 1e-4
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn scores_are_those_of_a_plain_walk(seed in any::<u64>(), kind in 0usize..5, class in 0u16..2) {
        let mut dice = Dice(seed);
        let mut drawn = forest(&mut dice, 6, 2);
        (drawn.transform, drawn.is_regressor) =
            [("NONE", false), ("LOGISTIC", false), ("SOFTMAX", false), ("NONE", true), ("LOGISTIC", true)][kind];
        if kind == 3 {
            drawn.aggregate = "AVERAGE";
        }
        let file = drawn.file();
        let model = Model::compile(&ModelSource { class: Some(Class::Column(class)), ..source(&file, drawn.features) }).unwrap();
        prop_assert_eq!(model.kind(), Kind::Trees);
        for _ in 0..20 {
            let row: Vec<Option<i64>> = (0..drawn.features).map(|_| dice.value()).collect();
            let wanted = exact(&drawn, &widened(&row), class.into());
            let score = score(&model, &row).unwrap();
            prop_assert!(is_near(score, wanted), "{score} {wanted} {row:?}");
        }
    }

    #[test]
    fn one_column_of_two_classes_is_the_second_ones(seed in any::<u64>(), class in 0u16..2) {
        let mut dice = Dice(seed);
        let mut drawn = forest(&mut dice, 6, 1);
        drawn.base.truncate(1);
        let file = drawn.file();
        let model = Model::compile(&ModelSource { class: Some(Class::Column(class)), ..source(&file, drawn.features) }).unwrap();
        for _ in 0..10 {
            let row: Vec<Option<i64>> = (0..drawn.features).map(|_| dice.value()).collect();
            let second = exact(&drawn, &widened(&row), 0);
            let wanted = if class == 1 { second } else { 1.0 - second };
            prop_assert!(is_near(score(&model, &row).unwrap(), wanted));
        }
    }

    #[test]
    fn several_classes_compete(
        seed in any::<u64>(), classes in 3usize..7, which in any::<prop::sample::Index>(), each_its_own in any::<bool>(),
    ) {
        let mut dice = Dice(seed);
        let mut drawn = forest(&mut dice, 6, classes);
        drawn.classes = classes;
        drawn.transform = "SOFTMAX";
        drawn.base = (0..if seed % 2 == 0 { classes } else { 0 }).map(|_| dice.weight()).collect();
        if each_its_own {
            // As boosting writes them: a tree speaks of one class.
            for (at, tree) in drawn.trees.iter_mut().enumerate() {
                for branch in tree {
                    if let super::build::Branch::Leaf(leaves) = branch {
                        leaves.retain(|(class, _)| *class == at % classes);
                    }
                }
            }
        }
        let (file, class) = (drawn.file(), which.index(classes));
        let declared = Some(Class::Label(class.to_string()));
        let model = Model::compile(&ModelSource { class: declared, ..source(&file, drawn.features) }).unwrap();
        prop_assert_eq!(model.kind(), Kind::Trees);
        for _ in 0..20 {
            let row: Vec<Option<i64>> = (0..drawn.features).map(|_| dice.value()).collect();
            let sums = drawn.sums(&widened(&row));
            let wanted = 1.0 / sums.iter().map(|sum| (sum - sums[class]).exp()).sum::<f64>();
            prop_assert!(is_near(score(&model, &row).unwrap(), wanted), "{wanted} {row:?}");
        }
    }

    #[test]
    fn sums_are_off_by_a_known_bound(seed in any::<u64>()) {
        let mut dice = Dice(seed);
        let drawn = forest(&mut dice, 6, 2);
        let file = drawn.file();
        let source = source(&file, drawn.features);
        let graph = Graph::read(&source).unwrap();
        let found = ensemble::find(&graph, None).unwrap().unwrap();
        let columns = columns::resolve(&graph, &source, &found.input).unwrap();
        let lowered = trees::Trees::lower(&found.sum(0).unwrap(), &columns, ScoreFrom::Probability).unwrap();
        for _ in 0..10 {
            let values: Vec<Option<i64>> = (0..drawn.features).map(|_| dice.value()).collect();
            let wanted = drawn.sums(&widened(&values))[1];
            let mut scratch = ModelScratch { values, ..ModelScratch::default() };
            let sum = lowered.sum(&mut scratch) as f64 / 2f64.powi(32);
            // 2^-33 for each tree and the base; the walk's own f64 sums are far finer.
            let bound = (drawn.trees.len() + 1) as f64 * 2f64.powi(-33) + 1e-12;
            prop_assert!((sum - wanted).abs() <= bound, "{sum} {wanted}");
        }
    }

    #[test]
    fn tract_gives_the_same_within_one(seed in any::<u64>(), columns in 1usize..3) {
        let mut dice = Dice(seed);
        // The first four kinds of decision: tract takes a GTE node for a leaf, and NEQ of a gap for false.
        let mut drawn = forest(&mut dice, 4, columns);
        if columns == 1 {
            // Of one column tract wants two bases, and onnxruntime makes something else of them.
            drawn.base.clear();
        }
        let file = drawn.file();
        let source = source(&file, drawn.features);
        let model = Model::compile(&source).unwrap();
        let plan = runner::plan(&Graph::read(&source).unwrap()).unwrap();
        for _ in 0..20 {
            let row: Vec<Option<i64>> = (0..drawn.features).map(|_| dice.value()).collect();
            let floats = widened(&row).iter().map(|v| *v as f32).collect();
            let tensor = tract_ndarray::Array2::from_shape_vec((1, row.len()), floats).unwrap();
            let output = plan.run(tvec!(Tensor::from(tensor).into())).unwrap();
            let theirs = f64::from(output[0].to_plain_array_view::<f32>().unwrap()[[0, 1]]);
            let ours = f64::from(score(&model, &row).unwrap());
            prop_assert!((ours - (1000.0 * theirs + 0.5).floor()).abs() <= 1.0, "{ours} {theirs} {row:?}");
        }
    }

    #[test]
    fn divided_and_scaled_inputs_meet_the_same_thresholds(
        seed in any::<u64>(), divide_by in prop::sample::select(vec![1i64, 3, 100, 86_400_000]), elem in 0usize..3,
    ) {
        let mut dice = Dice(seed);
        let drawn = forest(&mut dice, 6, 2);
        let (offset, factor) = (dice.weight() * 30.0, 0.01 + dice.weight().abs());
        let cast = super::build::NodeProto { attribute: vec![int("to", 1)], ..node("Cast", &["x"], &["f"]) };
        let scaler = super::build::NodeProto {
            attribute: vec![floats("offset", vec![offset]), floats("scale", vec![factor])],
            ..node("Scaler", &["f"], &["s"])
        };
        let (elem_type, elem) = [(1, Elem::F32), (11, Elem::F64), (7, Elem::I64)][elem];
        let divide_by = if elem == Elem::I64 { 1 } else { divide_by };
        let nodes = vec![cast, scaler, drawn.node("s", "p")];
        let file = encode(&model(graph(nodes, &[("x", elem_type, drawn.features)], "p", vec![])));
        let mut source = source(&file, drawn.features);
        source.inputs = (0..drawn.features as u16).map(|slot| input(slot, divide_by)).collect();
        let model = Model::compile(&source).unwrap();
        for _ in 0..20 {
            let row: Vec<Option<i64>> = (0..drawn.features).map(|_| dice.value().map(|v| v / 2)).collect();
            let number = |v: i64| {
                let f = (v as f64 / divide_by as f64) as f32;
                f64::from((f - offset) * factor)
            };
            let seen: Vec<f64> = row.iter().map(|v| v.map_or(f64::NAN, number)).collect();
            prop_assert!(is_near(score(&model, &row).unwrap(), exact(&drawn, &seen, 1)));
        }
    }
}

#[test]
fn a_missing_input_is_undecided_or_what_the_pack_says() {
    let drawn = forest(&mut Dice(7), 6, 2);
    let file = drawn.file();
    let mut source = source(&file, drawn.features);
    let row = vec![None; drawn.features];
    source.inputs.iter_mut().for_each(|input| input.missing = Missing::Undecided);
    assert_eq!(score(&Model::compile(&source).unwrap(), &row), None);
    source.inputs.iter_mut().for_each(|input| input.missing = Missing::Value(3));
    let threes = vec![Some(3); drawn.features];
    let model = Model::compile(&source).unwrap();
    assert_eq!(score(&model, &row), score(&model, &threes));
}

#[test]
fn inputs_are_bound_by_name_and_joined() {
    let drawn = Forest { features: 2, ..forest(&mut Dice(11), 1, 2) };
    let concat =
        super::build::NodeProto { attribute: vec![int("axis", 1)], ..node("Concat", &["a", "b"], &["x"]) };
    let trees = drawn.trees.iter().map(|tree| {
        let fit = |branch: &super::build::Branch| match branch.clone() {
            super::build::Branch::Split { mode, feature, value, gap, yes, no } => {
                super::build::Branch::Split { mode, feature: feature % 2, value, gap, yes, no }
            }
            leaf => leaf,
        };
        tree.iter().map(fit).collect()
    });
    let drawn = Forest { trees: trees.collect(), ..drawn };
    let nodes = vec![concat, drawn.node("x", "p")];
    let file = encode(&model(graph(nodes, &[("a", 1, 1), ("b", 1, 1)], "p", vec![])));
    let mut source = source(&file, 2);
    assert!(refusal(&source).contains("name the one that each slot is for"));
    source.inputs[0].name = Some("b".into());
    source.inputs[1].name = Some("a".into());
    let model = Model::compile(&source).unwrap();
    for (a, b) in [(-3, 9), (0, 0), (14, -14), (5, 1)] {
        let wanted = exact(&drawn, &[a as f64, b as f64], 1);
        assert!(is_near(score(&model, &[Some(b), Some(a)]).unwrap(), wanted));
    }
    source.inputs[1].name = Some("c".into());
    assert!(refusal(&source).contains("no input \"c\""));
}
