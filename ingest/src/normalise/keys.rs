//! Tag keys: 128 bits of HMAC-SHA-256 under a key derived from the node's master key. The keyed state of the hash is
//! computed once per key and cloned per tag, which halves the cost. Nothing here shows or keeps what was tagged.

use hmac::{Hmac, KeyInit, Mac};
use interdict_engine::domain::{KeyId, SubjectKind, Tag};
use sha2::Sha256;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, RwLock};
use zeroize::Zeroizing;

/// First byte of what is hashed for a request's identity; subject kinds are far below.
const PURPOSE_IDENTITY: u8 = 0xF0;
/// First byte of what is hashed for a payment's digest.
const PURPOSE_PAYMENT: u8 = 0xF1;
/// First byte of what is hashed for a key's fingerprint.
const PURPOSE_CHECK: u8 = 0xF2;
/// Most tenants whose keys are kept at hand; a further one's are derived per request (2 µs), never refused.
const TENANTS_CACHED_MAX: usize = 4096;

/// One tag key: makes tags, and shows nothing.
#[derive(Clone)]
pub struct TagKey {
    keyed: Hmac<Sha256>,
}

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagKey(…)")
    }
}

impl TagKey {
    /// A key of raw bytes that others have too: the consortium's, whose tags these are then
    /// (`interdict_consortium::tag::keyed`). Nothing is derived from them. The caller wipes its own copy.
    pub fn from_bytes(bytes: &[u8; 32]) -> TagKey {
        TagKey { keyed: keyed(bytes) }
    }
    fn derive(master: &Hmac<Sha256>, purpose: &[&[u8]]) -> TagKey {
        let mut mac = master.clone();
        for part in purpose {
            mac.update(part);
        }
        let mut derived = mac.finalize().into_bytes();
        let keyed = Hmac::new_from_slice(&derived).expect("HMAC takes keys of any length");
        zeroize::Zeroize::zeroize(derived.as_mut_slice());
        TagKey { keyed }
    }
    fn first_128_bits(&self, purpose: u8, parts: &[&[u8]]) -> u128 {
        let mut mac = self.keyed.clone();
        mac.update(&[purpose]);
        for part in parts {
            mac.update(part);
        }
        let bytes = mac.finalize().into_bytes();
        u128::from_be_bytes(bytes[..16].try_into().expect("SHA-256 gives 32 bytes"))
    }

    /// The tag of an identifier in its canonical spelling. The kind is part of what is hashed.
    pub fn tag(&self, kind: SubjectKind, canonical: &str) -> Tag {
        Tag(self.first_128_bits(kind as u8, &[canonical.as_bytes()]))
    }
    /// A fingerprint of the key for list snapshots: equal keys have equal fingerprints, and it tells nothing else.
    pub fn key_check(&self) -> u64 {
        (self.first_128_bits(PURPOSE_CHECK, &[]) >> 64) as u64
    }
    /// A keyed hash of a request's identity: its class and its key text.
    pub(crate) fn identity(&self, class: u8, text: &str) -> u128 {
        self.first_128_bits(PURPOSE_IDENTITY, &[&[class], text.as_bytes()])
    }
    /// A keyed digest of what identity compares.
    pub(crate) fn payment(&self, bytes: &[u8]) -> u128 {
        self.first_128_bits(PURPOSE_PAYMENT, &[bytes])
    }
}

/// Told of each identifier that is tagged under a consortium's key, while it is there: nothing else keeps it.
pub trait Witness: Send + Sync {
    /// An identifier, in its canonical form, and its tag.
    fn tagged(&self, key: KeyId, kind: SubjectKind, tag: Tag, canonical: &str);
}

/// Who is told, if anybody.
#[derive(Clone, Default)]
pub(crate) struct Witnessed(Option<Arc<dyn Witness>>);

impl Witnessed {
    pub(crate) fn tagged(&self, key: KeyId, kind: SubjectKind, tag: Tag, canonical: &str) {
        if let Some(witness) = &self.0 {
            witness.tagged(key, kind, tag, canonical);
        }
    }
}

impl fmt::Debug for Witnessed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "somebody" } else { "nobody" })
    }
}

/// The keys one tenant's transactions are tagged under.
#[derive(Debug, Clone)]
pub struct TenantKeys {
    /// The tenant.
    pub tenant: Arc<str>,
    /// How often the state key had been rotated.
    pub rotations: u32,
    /// The tenant's own key ([`interdict_engine::domain::KeyId::STATE`]): features, identity, window.
    pub state: TagKey,
    /// The key of the lists that all tenants share ([`interdict_engine::domain::KeyId::SHARED`]).
    pub shared: TagKey,
    /// State keys before it under which tags are made too, newest first
    /// ([`interdict_engine::domain::KeyId::EARLIER`]).
    pub earlier: Vec<TagKey>,
    /// Of each consortium key that is alive, by the place of its version
    /// ([`interdict_engine::domain::KeyId::CONSORTIUM`]).
    pub consortium: [Option<TagKey>; 2],
    /// How often those had been exchanged since the start.
    pub exchanges: u32,
    pub(crate) witness: Witnessed,
    /// Of the tenant's own lists, where it is no longer `state` ([`interdict_engine::domain::KeyId::LISTS`]).
    first: Option<TagKey>,
}

impl TenantKeys {
    /// The key of the tenant's own lists: its first state key, whatever came after it.
    pub fn lists(&self) -> &TagKey {
        self.first.as_ref().unwrap_or(&self.state)
    }
    /// Whether the state key was ever rotated.
    pub fn is_rotated(&self) -> bool {
        self.first.is_some()
    }
    /// The state key and those before it, newest first.
    pub fn states(&self) -> impl Iterator<Item = &TagKey> {
        std::iter::once(&self.state).chain(&self.earlier)
    }
}

/// The tag keys of a node, derived from its master keys: the first one, and those that state is tagged under since.
pub struct TagKeys {
    first: Hmac<Sha256>,
    shared: TagKey,
    ring: RwLock<Ring>,
}

/// What tags are made under now; the tenants' keys go with it.
struct Ring {
    /// Another with every change.
    turn: u64,
    rotations: u32,
    /// `None`: the first.
    state: Option<Hmac<Sha256>>,
    earlier: Vec<Hmac<Sha256>>,
    /// By the place of its version, the consortium's keys that are alive.
    consortium: [Option<(u32, TagKey)>; 2],
    exchanges: u32,
    witness: Witnessed,
    tenants: HashMap<Arc<str>, Arc<TenantKeys>>,
}

impl Ring {
    fn derive(&self, first: &Hmac<Sha256>, shared: &TagKey, tenant: &str) -> TenantKeys {
        let of = |master: &Hmac<Sha256>| TagKey::derive(master, &[b"state:", tenant.as_bytes()]);
        TenantKeys {
            tenant: tenant.into(),
            rotations: self.rotations,
            state: of(self.state.as_ref().unwrap_or(first)),
            shared: shared.clone(),
            earlier: self.earlier.iter().map(of).collect(),
            consortium: self.consortium.each_ref().map(|key| key.as_ref().map(|(_, key)| key.clone())),
            exchanges: self.exchanges,
            witness: self.witness.clone(),
            first: self.state.as_ref().map(|_| of(first)),
        }
    }
}

impl fmt::Debug for TagKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagKeys(…)")
    }
}

fn keyed(master: &[u8; 32]) -> Hmac<Sha256> {
    let master_copy = Zeroizing::new(*master);
    Hmac::new_from_slice(&*master_copy).expect("HMAC takes keys of any length")
}

impl TagKeys {
    /// The keys of a master key of 32 bytes, never rotated. The caller wipes its own copy; this one is wiped when
    /// dropped.
    pub fn new(master: &[u8; 32]) -> TagKeys {
        let first = keyed(master);
        let shared = TagKey::derive(&first, &[b"shared:"]);
        let ring = Ring {
            turn: 0,
            rotations: 0,
            state: None,
            earlier: Vec::new(),
            consortium: [None, None],
            exchanges: 0,
            witness: Witnessed::default(),
            tenants: HashMap::new(),
        };
        TagKeys { first, shared, ring: RwLock::new(ring) }
    }
    /// Makes state's tags under another master key from now on, and under some before it too, newest first. Whoever
    /// has a tenant's keys in hand goes on with those; `rotations` tells what was made with them.
    pub fn rotate(&self, rotations: u32, state: &[u8; 32], earlier: &[Zeroizing<[u8; 32]>]) {
        let earlier = earlier.iter().map(|master| keyed(master)).collect();
        let state = Some(keyed(state));
        let mut ring = self.ring.write().expect("no holder of this lock panics");
        (ring.turn, ring.rotations, ring.state, ring.earlier) = (ring.turn + 1, rotations, state, earlier);
        ring.tenants.clear();
    }
    /// Has the consortium's keys that were alive when the node stopped, before anything is read: no exchange.
    ///
    /// # Errors
    /// As [`TagKeys::exchange`].
    pub fn begin_with(&self, keys: &[(u32, Zeroizing<[u8; 32]>)]) -> Result<(), String> {
        if !keys.is_empty() {
            self.exchange(keys)?;
            self.ring.write().expect("no holder of this lock panics").exchanges = 0;
        }
        Ok(())
    }
    /// Makes tags under these keys of the consortium too from now on, by version, and under no others of it: one, or
    /// two successive ones while they are exchanged. How often that was done since the start.
    ///
    /// # Errors
    /// Two versions that have one place; nothing is changed then.
    pub fn exchange(&self, keys: &[(u32, Zeroizing<[u8; 32]>)]) -> Result<u32, String> {
        let mut consortium = [None, None];
        for (version, key) in keys {
            let place = (version % 2) as usize;
            if let Some((other, _)) = consortium[place].replace((*version, TagKey::from_bytes(key))) {
                return Err(format!(
                    "versions {other} and {version} of the consortium's key at once: expected one, or two in succession"
                ));
            }
        }
        let mut ring = self.ring.write().expect("no holder of this lock panics");
        (ring.turn, ring.exchanges, ring.consortium) = (ring.turn + 1, ring.exchanges + 1, consortium);
        ring.tenants.clear();
        Ok(ring.exchanges)
    }
    /// Has somebody told of what is tagged under the consortium's keys, from the next reading on.
    pub fn witnessed_by(&self, witness: Arc<dyn Witness>) {
        let mut ring = self.ring.write().expect("no holder of this lock panics");
        (ring.turn, ring.witness) = (ring.turn + 1, Witnessed(Some(witness)));
        ring.tenants.clear();
    }
    /// The consortium's key of a version, where it is alive here.
    pub fn consortium(&self, version: u32) -> Option<TagKey> {
        let ring = self.ring.read().expect("no holder of this lock panics");
        let known = ring.consortium[(version % 2) as usize].as_ref();
        known.filter(|(known, _)| *known == version).map(|(_, key)| key.clone())
    }
    /// The versions of the consortium's key under which tags are made, ascending.
    pub fn versions(&self) -> Vec<u32> {
        let ring = self.ring.read().expect("no holder of this lock panics");
        let mut versions: Vec<u32> = ring.consortium.iter().flatten().map(|(version, _)| *version).collect();
        versions.sort_unstable();
        versions
    }
    /// How often state's key was rotated.
    pub fn rotations(&self) -> u32 {
        self.ring.read().expect("no holder of this lock panics").rotations
    }
    /// Under how many earlier keys tags are made too.
    pub fn earlier(&self) -> usize {
        self.ring.read().expect("no holder of this lock panics").earlier.len()
    }
    /// The key of the lists that all tenants share.
    pub fn shared(&self) -> &TagKey {
        &self.shared
    }
    /// The keys of a tenant: `HMAC(master, "state:" + tenant)` and the shared one.
    pub fn tenant(&self, tenant: &str) -> Arc<TenantKeys> {
        let (keys, turn) = {
            let ring = self.ring.read().expect("no holder of this lock panics");
            if let Some(keys) = ring.tenants.get(tenant) {
                return keys.clone();
            }
            (Arc::new(ring.derive(&self.first, &self.shared, tenant)), ring.turn)
        };
        let mut ring = self.ring.write().expect("no holder of this lock panics");
        // What was derived before a rotation is no longer what a tenant's keys are.
        if ring.turn == turn && ring.tenants.len() < TENANTS_CACHED_MAX {
            ring.tenants.insert(keys.tenant.clone(), keys.clone());
        }
        keys
    }
    /// A fingerprint of the shared list key, for list snapshots.
    pub fn key_check(&self) -> u64 {
        self.shared.key_check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_differ_by_kind_tenant_and_key_and_are_hmac_sha256() {
        let keys = TagKeys::new(&[7; 32]);
        let (a, b) = (keys.tenant("a"), keys.tenant("b"));
        let tag = a.state.tag(SubjectKind::Card, "4111111111111111");
        assert_eq!(tag, keys.tenant("a").state.tag(SubjectKind::Card, "4111111111111111"));
        assert_ne!(tag, a.state.tag(SubjectKind::Account, "4111111111111111"));
        assert_ne!(tag, b.state.tag(SubjectKind::Card, "4111111111111111"));
        assert_ne!(tag, a.shared.tag(SubjectKind::Card, "4111111111111111"));
        assert_eq!(a.shared.key_check(), b.shared.key_check());
        assert_ne!(a.state.key_check(), b.state.key_check());

        let once = |key: &[u8], parts: &[&[u8]]| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
            parts.iter().for_each(|part| mac.update(part));
            mac.finalize().into_bytes()
        };
        let state = once(&[7; 32], &[b"state:a"]);
        let full = once(&state, &[&[SubjectKind::Card as u8], b"4111111111111111"]);
        assert_eq!(tag.0.to_be_bytes()[..], full[..16]);
    }

    #[test]
    fn keys_show_nothing() {
        let keys = TagKeys::new(&[9; 32]);
        keys.rotate(1, &[8; 32], &[Zeroizing::new([9; 32])]);
        keys.exchange(&[(3, Zeroizing::new([7; 32]))]).expect("one key");
        let shown = format!("{keys:?} {:?}", keys.tenant("acme"));
        let tenant = "TenantKeys { tenant: \"acme\", rotations: 1, state: TagKey(…), shared: TagKey(…), \
                      earlier: [TagKey(…)], consortium: [None, Some(TagKey(…))], exchanges: 1, \
                      witness: nobody, first: Some(TagKey(…)) }";
        assert_eq!(shown, format!("TagKeys(…) {tenant}"));
    }

    #[test]
    fn the_consortium_s_key_is_its_bytes_and_two_successive_ones_live_at_once() {
        let keys = TagKeys::new(&[7; 32]);
        let k = |byte| Zeroizing::new([byte; 32]);
        assert_eq!(keys.exchange(&[(4, k(1))]), Ok(1));
        assert_eq!(keys.exchange(&[(4, k(1)), (5, k(2))]), Ok(2));
        assert_eq!(keys.versions(), [4, 5]);
        let tag = keys.consortium(5).expect("alive").tag(SubjectKind::Card, "4111111111111111");
        let mut mac = Hmac::<Sha256>::new_from_slice(&[2; 32]).expect("any length");
        mac.update(&[SubjectKind::Card as u8]);
        mac.update(b"4111111111111111");
        assert_eq!(tag.0.to_be_bytes()[..], mac.finalize().into_bytes()[..16]);
        assert!(keys.exchange(&[(4, k(1)), (6, k(2))]).is_err_and(|e| e.contains("4 and 6")));
        assert_eq!(keys.versions(), [4, 5]);
        keys.rotate(1, &[8; 32], &[]);
        assert_eq!((keys.versions(), keys.tenant("a").exchanges), (vec![4, 5], 2));
        assert!(keys.consortium(3).is_none() && keys.consortium(6).is_none());
        assert_eq!((keys.exchange(&[]), keys.versions()), (Ok(3), vec![]));
    }

    #[test]
    fn a_rotation_changes_the_state_key_and_no_list_s() {
        let keys = TagKeys::new(&[7; 32]);
        let before = keys.tenant("a");
        keys.rotate(1, &[8; 32], &[Zeroizing::new([7; 32])]);
        let after = keys.tenant("a");
        let tag = |key: &TagKey| key.tag(SubjectKind::Card, "4111111111111111");
        assert!(!before.is_rotated() && after.is_rotated());
        assert_ne!(tag(&before.state), tag(&after.state));
        assert_eq!(tag(&after.state), tag(&TagKeys::new(&[8; 32]).tenant("a").state));
        for same in [after.lists(), &after.earlier[0], before.lists()] {
            assert_eq!(tag(same), tag(&before.state));
        }
        assert_eq!(tag(&after.shared), tag(&before.shared));
        assert_eq!(after.states().map(tag).collect::<Vec<_>>(), [tag(&after.state), tag(&before.state)]);
        keys.rotate(1, &[8; 32], &[]);
        assert_eq!((keys.earlier(), keys.tenant("a").states().count()), (0, 1));
        assert_eq!(tag(keys.tenant("a").lists()), tag(&before.state));
    }
}
