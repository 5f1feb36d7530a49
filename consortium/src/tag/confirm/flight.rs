//! A batch on its way: sent, or waiting to be sent again with the same bytes, so that a service which has answered it
//! already can tell, and nobody pays twice for one question.

use super::{Batch, EpochKeys};
use crate::tag::oblivious::Blinded;

/// Where a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// With the service.
    Sent { since_ms: u64 },
    /// To be sent at a time.
    Due { at_ms: u64 },
}

/// A batch, what undoes its blinding, and its keyed tags in order.
pub(super) struct Flight {
    pub(super) keys: EpochKeys,
    pub(super) blinded: Blinded,
    pub(super) tags: Vec<u128>,
    pub(super) state: State,
    /// How often it was sent.
    pub(super) sent: u32,
}

impl Flight {
    pub(super) fn new(keys: EpochKeys, blinded: Blinded, tags: Vec<u128>) -> Flight {
        Flight { keys, blinded, tags, state: State::Due { at_ms: 0 }, sent: 0 }
    }
    pub(super) fn send(&mut self, number: u64, now_ms: u64) -> Batch {
        self.sent += 1;
        self.state = State::Sent { since_ms: now_ms };
        Batch { number, items: self.tags.len(), body: self.blinded.request(self.keys.epoch) }
    }
    pub(super) fn is_due(&self, now_ms: u64) -> bool {
        matches!(self.state, State::Due { at_ms } if at_ms <= now_ms)
    }
    pub(super) fn is_unanswered(&self, now_ms: u64, answer_ms: u64) -> bool {
        matches!(self.state, State::Sent { since_ms } if since_ms.saturating_add(answer_ms) <= now_ms)
    }
    pub(super) fn due_ms(&self, answer_ms: u64) -> u64 {
        match self.state {
            State::Sent { since_ms } => since_ms.saturating_add(answer_ms),
            State::Due { at_ms } => at_ms,
        }
    }
}
