//! A tag stands for an identifier: 128 bits of HMAC-SHA-256 under a key with an id, so that equal identifiers are
//! equal tags to whoever holds the key, and nothing to anybody else. Tags are made in `ingest::normalise`.

use crate::limits::TAG_KEYS_EARLIER_MAX;
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
    /// The tenant's state key that was in force: features, identity, window. Derived per tenant, so one tenant's tags
    /// mean nothing to another.
    pub const STATE: KeyId = KeyId(1);
    /// The key of lists that all tenants of this node share.
    pub const SHARED: KeyId = KeyId(2);
    /// The key of the tenant's own lists and of banks, which is not rotated: the first state key. Before the first
    /// rotation the two are one, and no tag is made under this id.
    pub const LISTS: KeyId = KeyId(3);
    /// State keys before the one in force, newest first, for as long as state may hang on them.
    pub const EARLIER: [KeyId; TAG_KEYS_EARLIER_MAX] = [KeyId(4), KeyId(5)];
}
