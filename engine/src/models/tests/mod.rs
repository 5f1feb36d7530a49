//! Models against oracles: a plain walk in f64, and tract; and files that nobody should be hurt by.

#![allow(clippy::unwrap_used)]

pub(crate) mod build;
mod forests;
mod hostile;
mod networks;
mod sklearn;

use super::{Class, Input, Missing, Model, ModelScratch, ModelSource, ScoreFrom};
use crate::domain::{SlotId, SlotView, Value};
use crate::error::{Error, Place};

/// A row of numbers; slot n is number n.
struct Numbers<'a>(&'a [Option<i64>]);
impl SlotView for Numbers<'_> {
    fn value(&self, slot: SlotId) -> Option<Value<'_>> {
        self.0.get(usize::from(slot.0)).copied().flatten().map(Value::Int)
    }
}

fn input(slot: u16, divide_by: i64) -> Input {
    Input { slot: SlotId(slot), path: format!("slot_{slot}"), name: None, missing: Missing::Gap, divide_by }
}

fn source(onnx: &[u8], inputs: usize) -> ModelSource<'_> {
    ModelSource {
        pack: 0,
        id: "m".into(),
        file: "models/m.onnx".into(),
        place: Place::file("models/m.yaml"),
        onnx,
        inputs: (0..inputs as u16).map(|slot| input(slot, 1)).collect(),
        output: None,
        class: None,
        score: ScoreFrom::Probability,
        counts: false,
    }
}

fn score(model: &Model, row: &[Option<i64>]) -> Option<u16> {
    model.score(&Numbers(row), &mut ModelScratch::default())
}

fn refusal(source: &ModelSource<'_>) -> String {
    let errors: Vec<Error> = Model::compile(source).unwrap_err();
    assert_eq!(errors[0].place, Place::file("models/m.onnx"));
    errors[0].message.clone()
}
