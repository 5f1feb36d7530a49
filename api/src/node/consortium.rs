//! A consortium's part in a node: the keys that its members share, and what its epochs list, published as lists like any
//! others. Whoever keeps the epochs (`alliance`) calls; nothing here knows of members, logs or a hub.

pub mod keys;
mod lists;
mod outcomes;
mod rows;
pub mod vault;

pub use keys::ConsortiumKey;
pub use lists::{ConsortiumTerms, Names, PublishedConsortium};
pub use outcomes::{ConsortiumOutcome, ConsortiumOutcomes};
pub use rows::{Class, ConsortiumRow, told};
