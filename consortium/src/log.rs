//! The transparency log: an RFC 6962 tree kept as C2SP tiles, its signed checkpoints, and all that others do with them:
//! prove, verify, cosign, watch. Whoever holds two checkpoints of one log can tell whether the later one extends the
//! earlier; whoever holds a receipt can check it without asking anybody.

// The tree and its proofs.
pub mod tree;
pub mod tile;
pub mod prove;

// What is signed, and whose signature counts.
pub mod checkpoint;
pub mod policy;
pub mod proof;

// Who keeps it, and who watches.
pub mod folder;
pub mod tail;
pub mod writer;
pub mod witness;
pub mod monitor;

pub use checkpoint::{Checkpoint, Evidence};
pub use folder::{Folder, Memory};
pub use monitor::Monitor;
pub use policy::Policy;
pub use proof::Proof;
pub use prove::{Prover, Tiles};
pub use tile::Tile;
pub use tree::{Frontier, Hash};
pub use witness::Witness;
pub use writer::Writer;
