//! Names like listed names: every name of a watchlist whose score can reach the cut-off is found, then ranked.
//! `fold` makes tokens of text, `rescore` says how alike two names are, `bank` is the list as data, `index` and
//! `candidates` find whom to score without losing anyone, `screen` puts them together.

pub mod fold;
pub mod forms;
mod words;
pub mod edits;
pub mod align;
pub mod rescore;
pub mod bank;
pub mod index;
pub mod candidates;
pub mod screen;
#[cfg(test)]
mod tests;

pub use bank::{Alias, Bank, Entry, Kind, Quality};
pub use rescore::score_pair;
pub use screen::{Match, Scratch, Screener};

/// The cut-off that counts as a match unless the caller names another: 0.80. Every threshold of the scorer is laid
/// so that this one cut-off holds for pairs and for screening, for persons, companies and vessels.
pub const CUTOFF_DEFAULT: u16 = 800;
