//! What a payment of the past was judged by, made again from the journal's records: the view at its sequence, without
//! identity and features, which its own record has. For what is finished after its view has been let go.

use crate::domain::{Accepted, Body, GenerationId};
use crate::error::{Error, ErrorKind};
use crate::generation::{Generation, View};
use crate::similarity::vectors::Banks;
use std::sync::Arc;

/// The view as records change it: the same steps as the sequencer's.
pub struct Past {
    view: Arc<View>,
    banks: Banks,
}

impl Past {
    /// Before the first record; `generation` is the one that a sequencer begins with.
    pub fn new(generation: Arc<Generation>) -> Past {
        let banks = Banks::new(generation.banks().clone());
        Past { view: View::new(generation, 0), banks }
    }
    /// What the next payment is judged by.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }
    /// Whether a payment leaves anything behind that later ones may be judged by (its prints, until a label comes), so
    /// that its sealed part is needed.
    pub fn observes(&self) -> bool {
        !self.view.generation().banks().is_empty()
    }
    /// Takes a record, in the journal's order; `generation` gives what a publication names.
    ///
    /// # Errors
    /// `NotFound` for a generation that is not kept; whatever a delta or publication is refused for, which the journal
    /// would not have then.
    pub fn apply(
        &mut self,
        accepted: &Accepted,
        generation: &dyn Fn(&GenerationId) -> Option<Arc<Generation>>,
    ) -> Result<(), Error> {
        let (sequence, tenant) = (accepted.sequence, &accepted.event.tenant);
        match &accepted.event.body {
            Body::Payment(tx) => drop(self.banks.observe(sequence, tx, &accepted.features)),
            Body::Label { target, label, .. } => {
                if self.banks.label(tenant, *target, *label) {
                    self.view = self.view.with_learned(self.banks.learned().clone());
                }
            }
            Body::ListDelta(delta) => {
                self.view = self.view.delta(sequence, tenant, accepted.event.arrival_ms, delta)?;
            }
            Body::Publish { generation: id } => {
                let published = generation(id).ok_or_else(|| {
                    Error::new(ErrorKind::NotFound, format!("generation {id} is no longer kept"))
                })?;
                let view = self.view.publish(published, sequence)?;
                self.banks.replan(view.generation().banks().clone());
                self.view = view.with_learned(self.banks.learned().clone());
            }
            Body::Key(_)
            | Body::Outcome { .. }
            | Body::Hunt(_)
            | Body::HoldAct(_)
            | Body::Clear(_)
            | Body::Hunted { .. } => {}
        }
        Ok(())
    }
}
