//! A tag stands for an identifier: 128 bits of HMAC-SHA-256 under a key with an id, so that equal identifiers are
//! equal tags to whoever holds the key, and nothing to anybody else. Tags are made in `ingest::normalise`.

use serde::{Deserialize, Serialize};
use std::fmt;

/// 128 bits of a keyed hash of an identifier. Zero never occurs in practice (2^-128) and is used nowhere as a mark.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tag(pub u128);

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:08x}…", (self.0 >> 96) as u32)
    }
}

/// Which key made a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyId(pub u16);

impl KeyId {
    /// The tenant's state key: features, identity, window, and the tenant's own lists. Derived per tenant, so one
    /// tenant's tags mean nothing to another.
    pub const STATE: KeyId = KeyId(1);
    /// The key of lists that all tenants of this node share.
    pub const SHARED: KeyId = KeyId(2);
}
