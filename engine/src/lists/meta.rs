//! What a list is, apart from its entries: whose it is, what a block of it means, who may read its reasons, and
//! under which key its tags were made.

use crate::domain::{Audience, KeyId, Outcome, Tag};
use crate::error::{Error, ErrorKind};
use crate::limits::{IDENTIFIER_BYTES_MAX, LIST_NAME_BYTES_MAX};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the names of a consortium's lists and watchlists begin with; `consortium_card` is that of cards.
pub const CONSORTIUM_NAMES: &str = "consortium_";

/// Whether a name is one that a consortium's lists and watchlists have, and nobody else's.
pub fn is_consortium_name(name: &str) -> bool {
    name.starts_with(CONSORTIUM_NAMES)
}

/// What makes a list one of a consortium: its tags are under a key that the members share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsortiumList {
    /// Version of the key that made the tags.
    pub version: u32,
    /// How many of a tag's first bits its entries have, 1 to 128; the others are zero. With fewer than 128 a hit is a
    /// candidate.
    pub bits: u8,
    /// What a candidate leads to until it is confirmed: `review` or `hold`, never more.
    pub unconfirmed: Outcome,
}

impl ConsortiumList {
    /// A list of whole tags, whose hits need no confirmation.
    pub const fn whole(version: u32) -> ConsortiumList {
        ConsortiumList { version, bits: Tag::BITS, unconfirmed: Outcome::Review }
    }
    /// Whether its hits are candidates.
    pub const fn is_cut(&self) -> bool {
        self.bits < Tag::BITS
    }
}

/// What a list is, apart from its entries; stored in the snapshot's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListMeta {
    /// Name, unique among its owner's lists: 1 to 64 of `a-z A-Z 0-9 _ - .`, so that no list can be taken for a
    /// rule (`pack/rule`) in an override.
    pub name: String,
    /// Whether all tenants see the list; then its tags are made under `KeyId::SHARED`, or under a consortium's key.
    pub shared: bool,
    /// The owner where the list is not shared; then its tags are made under the owner's `KeyId::STATE`.
    pub tenant: Option<Arc<str>>,
    /// What a block means: `review` or stronger.
    pub block_outcome: Outcome,
    /// Reason code of the list's hits, at most 256 bytes.
    pub code: String,
    /// Who may read the list's reasons.
    pub audience: Audience,
    /// Whether this is a sanctions list: its importer makes blocks non-overridable unless the entry says otherwise.
    pub sanctions: bool,
    /// Fingerprint of the key that made the tags, so that a snapshot built under other keys is refused; not looked
    /// at where the list has no tags (IP and BIN prefixes only).
    pub key_check: u64,
    /// Whether it is a consortium's, and how its tags were made; such a list is shared.
    pub consortium: Option<ConsortiumList>,
}

impl ListMeta {
    /// A list as a delta makes it: blocks decline, code `LIST`, internal, no sanctions list.
    /// `tenant`: the owner, or `None` for a shared list.
    pub fn new(name: impl Into<String>, tenant: Option<Arc<str>>, key_check: u64) -> ListMeta {
        ListMeta {
            name: name.into(),
            shared: tenant.is_none(),
            tenant,
            block_outcome: Outcome::Decline,
            code: "LIST".into(),
            audience: Audience::Internal,
            sanctions: false,
            key_check,
            consortium: None,
        }
    }
    /// The key under which the list's tags are made.
    pub const fn key(&self) -> KeyId {
        match (self.consortium, self.shared) {
            (Some(of), _) => KeyId::consortium(of.version),
            (None, true) => KeyId::SHARED,
            (None, false) => KeyId::STATE,
        }
    }
    /// Whether two snapshots are of one list: of one name and owner, and of a consortium's key the same version. Those
    /// under another version are a list of their own with the same name.
    pub fn is_same(&self, other: &ListMeta) -> bool {
        let version = |meta: &ListMeta| meta.consortium.map(|of| of.version);
        self.is(&other.name, other.tenant.as_deref()) && version(self) == version(other)
    }
    /// Whether a tenant's transactions see the list.
    pub fn is_seen_by(&self, tenant: &str) -> bool {
        self.shared || self.tenant.as_deref() == Some(tenant)
    }
    /// Whether this is the list of a name and owner (`None`: shared).
    pub fn is(&self, name: &str, tenant: Option<&str>) -> bool {
        self.name == name && self.tenant.as_deref() == tenant
    }
    /// The bytes in a snapshot: the fields in their order, as postcard writes them; what makes it a consortium's only
    /// where it is one, so that all others have the bytes that they always had.
    pub(super) fn encode(&self) -> Vec<u8> {
        let tenant = self.tenant.as_deref();
        let outcome = (self.block_outcome, self.code.as_str(), self.audience);
        let all = (self.name.as_str(), self.shared, tenant, outcome, self.sanctions, self.key_check);
        let bytes = postcard::to_stdvec(&all).expect("plain data always encodes");
        match &self.consortium {
            Some(of) => postcard::to_extend(of, bytes).expect("plain data always encodes"),
            None => bytes,
        }
    }
    /// The meta of these bytes, checked; else what is wrong with them.
    pub(super) fn decode(bytes: &[u8]) -> Result<ListMeta, String> {
        type Wire<'a> = (&'a str, bool, Option<&'a str>, (Outcome, &'a str, Audience), bool, u64);
        let (wire, rest) = postcard::take_from_bytes::<Wire<'_>>(bytes).map_err(|e| e.to_string())?;
        let (name, shared, tenant, (block_outcome, code, audience), sanctions, key_check) = wire;
        let (name, tenant, code) = (name.to_owned(), tenant.map(Arc::from), code.to_owned());
        let (consortium, rest) = match rest {
            [] => (None, rest),
            _ => {
                let (of, rest) = postcard::take_from_bytes(rest).map_err(|e| e.to_string())?;
                (Some(of), rest)
            }
        };
        let meta = ListMeta {
            name,
            shared,
            tenant,
            block_outcome,
            code,
            audience,
            sanctions,
            key_check,
            consortium,
        };
        meta.check().map_err(|e| e.message)?;
        if !rest.is_empty() {
            return Err(format!("{} bytes after it", rest.len()));
        }
        Ok(meta)
    }
    /// Checks what the fields' documentation says.
    ///
    /// # Errors
    /// `Invalid`, naming the field and its value.
    pub fn check(&self) -> Result<(), Error> {
        let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message));
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if self.name.is_empty() || self.name.len() > LIST_NAME_BYTES_MAX || !self.name.chars().all(plain) {
            let name: String = self.name.chars().take(LIST_NAME_BYTES_MAX).collect();
            return invalid(format!(
                "list name {name:?}: expected 1 to {LIST_NAME_BYTES_MAX} of a-z, A-Z, 0-9, '_', '-', '.'"
            ));
        }
        let name = &self.name;
        match (self.shared, self.tenant.as_deref()) {
            (true, Some(tenant)) => {
                return invalid(format!("list {name:?}: shared, yet owned by {tenant:?}"));
            }
            (false, None | Some("")) => {
                return invalid(format!("list {name:?}: not shared, so it needs an owner"));
            }
            _ => {}
        }
        if self.block_outcome < Outcome::Review {
            let outcome = self.block_outcome.name();
            return invalid(format!(
                "list {name:?}: a block cannot mean {outcome:?}, expected review or stronger"
            ));
        }
        if let Some(ConsortiumList { bits, unconfirmed, .. }) = self.consortium {
            if !self.shared {
                return invalid(format!("list {name:?}: a consortium's, so it has no owner"));
            }
            if bits == 0 || bits > Tag::BITS {
                return invalid(format!("list {name:?}: tags of {bits} bits, expected 1 to {}", Tag::BITS));
            }
            if !matches!(unconfirmed, Outcome::Review | Outcome::Hold) {
                let outcome = unconfirmed.name();
                return invalid(format!(
                    "list {name:?}: a candidate cannot mean {outcome:?}, expected review or hold"
                ));
            }
        }
        if self.code.is_empty() || self.code.len() > IDENTIFIER_BYTES_MAX {
            let len = self.code.len();
            return invalid(format!(
                "list {name:?}: code has {len} bytes, expected 1 to {IDENTIFIER_BYTES_MAX}"
            ));
        }
        Ok(())
    }
}
