//! Everything from bytes to a [`interdict_engine::domain::Transaction`]: feeds, decoders, normalise, list importers.
//! It knows no HTTP and no async; a body, a line or a row goes in, a transaction or a [`FieldError`] comes out, and
//! identifiers leave only as keyed tags. Modules in flow order.

pub mod error;
pub mod feeds;
pub mod decode;
pub mod normalise;
pub mod lists;
pub mod watchlists;
pub mod calendars;
pub mod dead_letter;

pub use decode::{Decoded, Decoder, IdentityKey, RequestContext};
pub use error::{FeedError, FieldError, Status, Where};
pub use feeds::{FeedItem, FeedLabel, FeedRecord};
pub use normalise::keys::{TagKeys, TenantKeys};
