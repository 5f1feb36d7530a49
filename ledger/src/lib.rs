//! Interdict's ledger: what lasts. The journal is the one order of everything that matters, written through a
//! [`storage::Storage`], so that the simulator's faulty disk and the real one run the same code.

pub mod error;
pub mod key;
pub mod sealing;
pub mod storage;
pub mod faulty;
pub mod journal;
pub mod dead_letter;
pub mod snapshot;
pub mod identity_store;
pub mod window;
pub mod archive;

pub use error::{Error, ErrorKind, Place};
pub use key::{KeyIdent, MasterKey};
pub use sealing::Sealing;
