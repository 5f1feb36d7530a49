//! Broken, truncated and hostile files are errors, never panics, and cost no more than their bounds.

use super::build::{Branch, Dice, Forest, encode, forest, graph, model, node, tensor};
use super::*;
use proptest::prelude::*;

fn network() -> Vec<u8> {
    let nodes = vec![node("MatMul", &["x", "w"], &["m"]), node("Sigmoid", &["m"], &["p"])];
    let weights = tensor("w", &[2, 2], vec![0.5, -1.0, 0.25, 2.0]);
    encode(&model(graph(nodes, &[("x", 1, 2)], "p", vec![weights])))
}

/// A file may compile after all; then it must score without a panic.
fn survives(file: &[u8], inputs: usize) {
    let mut source = source(file, inputs);
    // Only a forest takes gaps.
    let gaps = source.clone();
    source.inputs.iter_mut().for_each(|input| input.missing = Missing::Undecided);
    for model in [source, gaps].iter().flat_map(Model::compile) {
        for value in [Some(0), Some(i64::MAX), Some(i64::MIN), None] {
            let score = score(&model, &vec![value; inputs]);
            assert!(score.is_none_or(|score| score <= 1000));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn flipped_bytes_never_panic(seed in any::<u64>(), flips in 1u64..6, is_network in any::<bool>()) {
        let mut dice = Dice(seed);
        let (mut file, inputs) = if is_network {
            (network(), 2)
        } else {
            let drawn = forest(&mut dice, 6, 2);
            (drawn.file(), drawn.features)
        };
        for _ in 0..flips {
            let at = dice.roll(file.len() as u64) as usize;
            file[at] ^= 1 << dice.roll(8);
        }
        survives(&file, inputs);
    }

    #[test]
    fn bytes_that_are_no_model_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survives(&bytes, 1);
    }

    #[test]
    fn a_file_that_ends_early_never_panics(seed in any::<u64>()) {
        let mut dice = Dice(seed);
        let drawn = forest(&mut dice, 6, 2);
        let file = drawn.file();
        let end = dice.roll(file.len() as u64) as usize;
        survives(&file[..end], drawn.features);
    }
}

fn one_tree(nodes: Vec<Branch>) -> Forest {
    let base = Vec::new();
    let (transform, aggregate) = ("LOGISTIC", "SUM");
    Forest { trees: vec![nodes], features: 1, classes: 2, base, transform, is_regressor: false, aggregate }
}

fn split(yes: usize, no: usize) -> Branch {
    Branch::Split { mode: "BRANCH_LEQ", feature: 0, value: 1.0, gap: false, yes, no }
}

fn leaf(weight: f32) -> Branch {
    Branch::Leaf(vec![(0, -weight), (1, weight)])
}

#[test]
fn trees_that_are_none_are_refused() {
    let refused = |nodes: Vec<Branch>| refusal(&source(&one_tree(nodes).file(), 1));
    assert!(refused(vec![split(1, 1), leaf(1.0)]).contains("two parents"));
    assert!(refused(vec![split(1, 5), leaf(1.0)]).contains("tree 0 has no node 5"));
    assert!(refused(vec![leaf(1.0), leaf(1.0)]).contains("two roots"));
    let circle = vec![split(3, 4), split(2, 5), split(1, 6), leaf(1.0), leaf(1.0), leaf(1.0), leaf(1.0)];
    assert!(refused(circle).contains("circle"));
    assert!(refused(vec![leaf(2e9)]).contains("may add up to"));
    let chain = |at: usize| if at.is_multiple_of(2) { split(at + 1, at + 2) } else { leaf(1.0) };
    let mut deep: Vec<Branch> = (0..200).map(chain).collect();
    deep.push(leaf(0.0));
    assert!(refused(deep).contains("deeper than 64"));
    let far = Branch::Split { mode: "BRANCH_LEQ", feature: 7, value: 1.0, gap: false, yes: 1, no: 2 };
    assert!(refused(vec![far, leaf(1.0), leaf(1.0)]).contains("reads column 7, the input has 1"));
    let odd = Branch::Split { mode: "BRANCH_MEMBER", feature: 0, value: 1.0, gap: false, yes: 1, no: 2 };
    assert!(refused(vec![odd, leaf(1.0), leaf(1.0)]).contains("\"BRANCH_MEMBER\" is not supported"));
    let nan = Branch::Split { mode: "BRANCH_LEQ", feature: 0, value: f32::NAN, gap: false, yes: 1, no: 2 };
    assert!(refused(vec![nan, leaf(1.0), leaf(1.0)]).contains("NaN"));
}

#[test]
fn forms_that_runtimes_disagree_on_are_refused() {
    let refused =
        |forest: Forest, class: Option<Class>| refusal(&ModelSource { class, ..source(&forest.file(), 1) });
    let tree = |weight: f32| one_tree(vec![Branch::Leaf(vec![(0, weight)])]);
    assert!(
        refused(Forest { transform: "NONE", ..tree(-1.0) }, Some(Class::Column(0))).contains("ambiguous")
    );
    assert!(refused(Forest { base: vec![0.5, 0.5], ..tree(-1.0) }, None).contains("ambiguous"));
    assert!(refused(Forest { transform: "PROBIT", ..tree(-1.0) }, None).contains("PROBIT"));
    let least = Forest { is_regressor: true, aggregate: "MIN", classes: 1, transform: "NONE", ..tree(1.0) };
    assert!(refused(least, None).contains("aggregate_function MIN is not supported"));
    let three = Forest { classes: 3, ..one_tree(vec![leaf(1.0)]) };
    assert!(refused(three.clone(), None).contains("class is missing"));
    let three = Forest { transform: "SOFTMAX", ..three };
    assert!(refused(three.clone(), None).contains("class is missing: say which of 0, 1, 2 the score is of"));
    assert!(refused(three.clone(), Some(Class::Column(3))).contains("class is 3, the model has 3 classes"));
    let label = |label: &str| Some(Class::Label(label.into()));
    let wrong = refused(three.clone(), label("fraud"));
    assert!(wrong.contains("class is \"fraud\", the model's classes are 0, 1, 2"), "{wrong}");
    let file = three.file();
    let thousandths = ModelSource { class: label("1"), score: ScoreFrom::Thousandths, ..source(&file, 1) };
    assert!(refusal(&thousandths).contains("the model gives a probability"));
    assert!(refused(Forest { classes: 65, ..three.clone() }, label("1")).contains("65 classes, limit 64"));
    assert!(refused(Forest { transform: "SOFTMAX_ZERO", ..three }, label("1")).contains("SOFTMAX_ZERO"));
}

#[test]
fn what_does_not_fit_the_declaration_is_refused() {
    let drawn = one_tree(vec![leaf(1.0)]);
    let file = drawn.file();
    assert!(refusal(&source(&file, 2)).contains("has 1 columns, 2 slots are given"));
    let named = |output: &str| refusal(&ModelSource { output: Some(output.into()), ..source(&file, 1) });
    assert!(named("q").contains("no output \"q\"; did you mean p?"));
    assert!(refusal(&source(&[], 1)).contains("no graph"));
    let zipped = vec![drawn.node("x", "q"), node("ZipMap", &["q"], &["p"])];
    let mut graph = graph(zipped, &[("x", 1, 1)], "p", vec![]);
    graph.output[0].r#type = None;
    assert!(refusal(&source(&encode(&model(graph)), 1)).contains("export without ZipMap"));
    let mut trained = model(super::build::graph(vec![drawn.node("x", "p")], &[("x", 1, 1)], "p", vec![]));
    let key = crate::models::onnx::SLOTS_PROPERTY.to_string();
    let property =
        |value: &str| super::build::StringStringEntryProto { key: key.clone(), value: value.into() };
    trained.metadata_props = vec![property("slot_0")];
    assert!(Model::compile(&source(&encode(&trained), 1)).is_ok());
    trained.metadata_props = vec![property("amount.minor")];
    let message = refusal(&source(&encode(&trained), 1));
    assert!(message.contains("input 1 is slot_0, but the model was trained on amount.minor"), "{message}");
}

#[test]
fn many_small_messages_are_counted_before_they_are_decoded() {
    // A graph of two-byte nodes: 168 bytes each, once decoded.
    let nodes = [0x0a, 0x00].repeat(1 << 17);
    let mut file = vec![0x3a];
    let mut len = nodes.len();
    while len > 127 {
        file.push(len as u8 | 128);
        len >>= 7;
    }
    file.push(len as u8);
    file.extend(nodes);
    assert!(refusal(&source(&file, 1)).contains("messages"));
}
