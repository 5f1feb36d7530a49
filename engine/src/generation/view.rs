//! A generation with the list deltas published over it and what banks have learned: what one transaction is judged by.

use super::Generation;
use crate::domain::{GenerationId, ListDelta, Transaction};
use crate::error::Error;
use crate::freshness::{Freshness, WhenStale};
use crate::image::{Reader, Writer, senseless};
use crate::lists::{ListMeta, ListView, Overlay};
use crate::packs::ListDecl;
use crate::similarity::vectors::Learned;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A generation and the list deltas over it: what one transaction is judged by. Immutable; a delta makes a new one
/// that shares all but the changed path.
pub struct View {
    generation: Arc<Generation>,
    overlay: Overlay,
    /// What banks had learned from labels before.
    learned: Learned,
    /// When a delta last touched a list that may become stale, by name: arrival, ms since the Unix epoch.
    touched: Arc<BTreeMap<String, i64>>,
    id: GenerationId,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.id.fmt(f)
    }
}

impl View {
    /// The view of a generation without deltas, published at a sequence.
    pub fn new(generation: Arc<Generation>, sequence: u64) -> Arc<View> {
        let id = GenerationId { hash: generation.hash(), overlay: sequence };
        let (overlay, learned) = (Overlay::new(generation.lists()), Learned::default());
        Arc::new(View { overlay, learned, touched: Arc::default(), generation, id })
    }
    /// Its id, as verdicts name it.
    pub fn id(&self) -> GenerationId {
        self.id
    }
    /// The generation.
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }
    /// The deltas over it.
    pub fn overlay(&self) -> &Overlay {
        &self.overlay
    }
    /// The lists and watchlists that are stale at a time (ms since the Unix epoch) under a policy, each with its place
    /// in the settings.
    pub fn stale(&self, policy: WhenStale, now_ms: i64) -> impl Iterator<Item = (usize, &Freshness)> {
        let all = self.generation.settings().freshness.iter().enumerate();
        all.filter(move |(_, known)| {
            known.when_stale == policy && known.is_stale(now_ms, self.touched.get(&known.list).copied())
        })
    }
    /// What banks have learned by now.
    pub fn learned(&self) -> &Learned {
        &self.learned
    }
    /// The view after banks have learned; of the same generation and deltas, so its id stays.
    pub fn with_learned(&self, learned: Learned) -> Arc<View> {
        let (generation, overlay) = (self.generation.clone(), self.overlay.clone());
        Arc::new(View { generation, overlay, learned, touched: self.touched.clone(), id: self.id })
    }
    /// Its lists.
    pub fn lists(&self) -> ListView<'_> {
        ListView { base: self.generation.lists(), overlay: &self.overlay }
    }
    /// Fetches what a micro-batch will probe into the caches; changes nothing.
    pub fn prefetch(&self, batch: &[&Transaction]) {
        self.lists().prefetch(batch);
    }
    /// The view after a list delta at a sequence.
    ///
    /// # Errors
    /// Whatever the overlay refuses the delta for; the view is as it was.
    pub fn delta(
        &self,
        sequence: u64,
        tenant: &str,
        arrival_ms: i64,
        delta: &ListDelta,
    ) -> Result<Arc<View>, Error> {
        let declared = ListDecl::find(self.generation.packs(), &delta.list);
        let describe = |meta: &mut ListMeta| {
            if let Some(declared) = declared {
                declared.describe(meta);
            }
        };
        let overlay = self.overlay.apply_as(self.generation.lists(), sequence, tenant, delta, describe)?;
        let id = GenerationId { hash: self.id.hash, overlay: sequence };
        let mut touched = self.touched.clone();
        if self.generation.settings().freshness.iter().any(|known| known.list == delta.list) {
            Arc::make_mut(&mut touched).insert(delta.list.clone(), arrival_ms);
        }
        let (generation, learned) = (self.generation.clone(), self.learned.clone());
        Ok(Arc::new(View { generation, overlay, learned, touched, id }))
    }
    /// The view after another generation is published at a sequence. What deltas have said stays said: they lie
    /// over the new base as they lay over the old, but for those that the new base holds.
    ///
    /// # Errors
    /// When the deltas do not fit the new base (too many lists), or it lacks some that were folded into the old one;
    /// the view is as it was.
    pub fn publish(&self, generation: Arc<Generation>, sequence: u64) -> Result<Arc<View>, Error> {
        let folded = (self.generation.folded_to(), generation.folded_to());
        let overlay = self.overlay.rebase(self.generation.lists(), generation.lists(), folded)?;
        let id = GenerationId { hash: generation.hash(), overlay: sequence };
        let (learned, touched) = (self.learned.clone(), self.touched.clone());
        Ok(Arc::new(View { generation, overlay, learned, touched, id }))
    }

    /// Writes what lies over the generation, but for what banks have learned, which is theirs to write.
    pub fn save(&self, to: &mut Writer<'_>) {
        to.bytes(&self.id.hash);
        to.u64(self.id.overlay);
        self.overlay.save(to);
        to.value(&*self.touched);
    }
    /// What [`View::save`] wrote, over the same generation.
    ///
    /// # Errors
    /// `Corrupt` for another generation, and for what cannot have been written; whatever the source returns.
    pub fn load(
        from: &mut Reader<'_>,
        generation: Arc<Generation>,
        learned: Learned,
    ) -> Result<Arc<View>, Error> {
        let hash = generation.hash();
        if from.take(hash.len())? != hash {
            return Err(senseless("of another generation"));
        }
        let id = GenerationId { hash, overlay: from.u64()? };
        let overlay = Overlay::load(from, generation.lists())?;
        let touched = Arc::new(from.value()?);
        Ok(Arc::new(View { generation, overlay, learned, touched, id }))
    }
}
