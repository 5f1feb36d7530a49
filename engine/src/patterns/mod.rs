//! Patterns: thousands of expressions over the text fields of a payment, found in one Hyperscan pass a field and view.
//! The regex twin confirms what Hyperscan can only approximate, is the tests' oracle, and gives `explain` its
//! positions. `matches(…)` of rules runs here too, as lifts.

mod pattern;
mod parse;
mod emit;
mod ffi;
mod cache;
mod fold;
mod views;
mod set;
mod scan;
mod twin;
mod lint;
mod cost;
#[cfg(test)]
mod tests;

pub use cache::DatabaseCache;
pub use lint::lint;
pub use pattern::{Extended, Lift, PatternSource, View, field_by_path, text_fields};
pub use scan::{PatternHits, PatternScratch};
pub use set::PatternSet;
pub use views::{Folder, fold};
