//! Bytes to fields. A shape says what a JSON object may hold; one reader reads any shape; what it reads is assembled
//! into a transaction, a label or a list entry by the same checks, whatever the format was.

pub mod shape;
pub mod request;
pub mod labels;
pub mod entries;
mod assemble;
mod elements;
mod identity;
pub(crate) mod reader;
pub(crate) mod refs;
pub(crate) mod values;

#[cfg(test)]
mod tests;

pub use identity::IdentityKey;
pub use labels::{LabelItem, LabelTarget};
pub use request::{Decoded, Decoder, RequestContext};
