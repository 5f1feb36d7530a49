//! Models: ONNX files bound to slots, each giving one integer score, 0 to 1000. Tree ensembles are lowered at load to an
//! evaluator in integers that agrees with itself on every machine; everything else we can run runs on tract.

mod messages;
mod onnx;
mod columns;
mod ensemble;
mod outputs;
mod attributes;
mod link;
mod trees;
mod competing;
mod widths;
mod lower;
mod runner;
mod model;

#[cfg(test)]
pub(crate) mod tests;

pub use model::{Class, Input, Kind, Missing, Model, ModelScratch, ModelSource, ScoreFrom};
pub use runner::panics_are_contained;
