//! A tag stands for an identifier: 128 bits of HMAC-SHA-256 under a key with an id, so that equal identifiers are
//! equal tags to whoever holds the key, and nothing to anybody else. Tags are made in `ingest::normalise`.

use crate::limits::TAG_KEYS_EARLIER_MAX;
use serde::{Deserialize, Serialize};
use std::fmt;

/// 128 bits of a keyed hash of an identifier. Zero never occurs in practice (2^-128) and is used nowhere as a mark.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tag(pub u128);

impl Tag {
    /// Bits of a whole tag.
    pub const BITS: u8 = 128;

    /// The tag with all but its first `bits` bits zero: what lists of truncated tags hold. 0 bits are none, and more
    /// than 128 are all of them.
    pub const fn cut(self, bits: u8) -> Tag {
        match bits {
            0 => Tag(0),
            1..Self::BITS => Tag(self.0 & u128::MAX << (Self::BITS - bits)),
            _ => self,
        }
    }
}

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
    /// Keys that the members of a consortium share: of two successive versions, which are all that live at once, the
    /// even and the odd one.
    pub const CONSORTIUM: [KeyId; 2] = [KeyId(6), KeyId(7)];

    /// Of a version of the consortium's key.
    pub const fn consortium(version: u32) -> KeyId {
        Self::CONSORTIUM[(version % 2) as usize]
    }
    /// Which of the two consortium keys this is, 0 or 1; `None` for any other key.
    pub const fn consortium_slot(self) -> Option<usize> {
        match self {
            KeyId(6) => Some(0),
            KeyId(7) => Some(1),
            _ => None,
        }
    }
}
