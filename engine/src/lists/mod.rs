//! Exact lists: whom a list means, by tag, IP prefix or BIN prefix. A list is built once into an immutable snapshot,
//! a generation merges its lists into one index per key, deltas lie over it as a persistent overlay, and one probe
//! per identifier finds every entry of every list that hits a transaction.

mod bytes;
mod check;
mod filter;
mod hash;
mod layout;
mod prefetch;
mod ranges;
mod table;
pub mod meta;
pub mod snapshot;
pub mod build;
pub mod diff;
pub mod layers;
pub mod index;
pub mod overlay;
mod rebase;
pub mod fold;
pub mod probe;
pub mod precedence;
#[cfg(test)]
mod tests;

pub use build::{Listed, build, build_listed};
pub use diff::{Difference, diff};
pub use fold::{ListFold, fold};
pub use index::ListBase;
pub use layers::{Layer, LayerKind, List};
pub use meta::{CONSORTIUM_NAMES, ConsortiumList, ListMeta, is_consortium_name};
pub use overlay::{DELTA_IDS_FROM, Overlay, added_by};
pub use precedence::{Resolution, RuleHit, resolve};
pub use probe::{Hit, Hits, ListView};
pub use snapshot::{Bytes, Snapshot};
