//! What makes two messages the same payment (wire.md, idempotency): a keyed hash of the tenant, a class and the key's
//! text. The class keeps an advice, reversal, completion or refund that carries the `id` (or UETR) of its request
//! from being taken for the request sent again; a repeat is of the request's class, for it *is* that request.

use crate::normalise::keys::TagKey;
use interdict_engine::domain::TransactionKind;

/// The identity of a message within the node: a keyed hash of tenant, class and key text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityKey(pub u128);

/// The class of requests and their repeats, and of whatever key a client gave in a header: such a key is one per
/// message, so one that comes with another kind is another payment under the key (409), as wire.md says.
pub(crate) const CLASS_REQUEST: u8 = 0;

/// The class of a kind, for keys that a message shares with the payment it is about.
pub(crate) fn class_of(kind: TransactionKind) -> u8 {
    match kind {
        TransactionKind::Request | TransactionKind::Repeat => CLASS_REQUEST,
        other => other as u8,
    }
}

/// The key of a text in a class, under a state key.
pub(crate) fn identity_key(state: &TagKey, class: u8, text: &str) -> IdentityKey {
    IdentityKey(state.identity(class, text))
}
