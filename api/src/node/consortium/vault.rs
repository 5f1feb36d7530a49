//! Identifiers of candidates, in memory only: whoever confirms one has to blind it, and nothing else of the node keeps it.
//! Bounded: the oldest goes, and what was asked of it then is late.

use arc_swap::ArcSwap;
use interdict_engine::domain::{KeyId, SubjectKind, Tag};
use interdict_engine::generation::View;
use interdict_ingest::normalise::keys::Witness;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};
use zeroize::Zeroizing;

/// Identifiers at most.
pub const VAULT_MAX: usize = 65_536;

/// An identifier in its canonical form. It shows nothing, and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Identifier(Arc<Zeroizing<String>>);

impl Identifier {
    /// The canonical form.
    pub fn canonical(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Identifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identifier(…)")
    }
}

/// Identifiers by kind and whole tag.
#[derive(Default)]
pub struct Vault {
    /// What is in force; set once the node has it.
    shown: OnceLock<Arc<ArcSwap<View>>>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_tag: HashMap<(SubjectKind, u128), Identifier>,
    order: VecDeque<(SubjectKind, u128)>,
}

impl Vault {
    /// Keeps what the lists in force have candidates for, from now on.
    pub(in crate::node) fn watch(&self, shown: Arc<ArcSwap<View>>) {
        // Set once: a node has one.
        let _ = self.shown.set(shown);
    }
    /// The identifier of a tag.
    pub fn get(&self, kind: SubjectKind, tag: Tag) -> Option<Identifier> {
        self.kept.lock().by_tag.get(&(kind, tag.0)).cloned()
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.kept.lock().by_tag.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Witness for Vault {
    /// Before the payment is sequenced: what is listed meanwhile is asked of by its tag alone.
    fn tagged(&self, key: KeyId, kind: SubjectKind, tag: Tag, canonical: &str) {
        let Some(shown) = self.shown.get() else { return };
        if !shown.load().generation().lists().may_be_candidate(key, kind, tag) {
            return;
        }
        let mut kept = self.kept.lock();
        let Kept { by_tag, order } = &mut *kept;
        let id = (kind, tag.0);
        if by_tag.contains_key(&id) {
            return;
        }
        if order.len() >= VAULT_MAX
            && let Some(oldest) = order.pop_front()
        {
            by_tag.remove(&oldest);
        }
        by_tag.insert(id, Identifier(Arc::new(Zeroizing::new(canonical.to_owned()))));
        order.push_back(id);
    }
}
