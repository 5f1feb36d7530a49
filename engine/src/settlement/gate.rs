//! The settlement gate: what a payment is told when its settlement comes. A generation counts for a payment when it was
//! published long enough before the payment's cut-off; what has not been hunted through by then is no silent go.

use super::book::{Book, Hold, Unhunted, conflict};
use crate::domain::{Clear, ClearState, Cleared, HoldState};
use crate::error::Error;

impl Book {
    /// Something was learned by which payments before it have not been judged.
    pub(crate) fn learned(&mut self, sequence: u64, at_ms: i64) {
        // Nothing has to be hunted before the first payment: what a node begins with is not to cost events.
        if !self.any {
            self.hunted_through = sequence;
            return;
        }
        if self.unhunted.len() >= self.limits.learned_max {
            // Pairs become one: as early as either, as far as the later. The gate asks for more by it, never for less.
            let pairs = self.unhunted.chunks(2);
            self.unhunted = pairs
                .map(|pair| Unhunted {
                    sequence: pair.last().expect("no chunk is empty").sequence,
                    first: pair[0].first,
                    at_ms: pair.iter().map(|one| one.at_ms).min().expect("no chunk is empty"),
                })
                .collect();
        }
        self.unhunted.push(Unhunted { sequence, first: sequence, at_ms });
    }
    /// All payments of the window have been judged by the view as of a sequence.
    ///
    /// # Errors
    /// `Conflict`, with nothing changed, where one of them has no verdict yet and cannot have been.
    pub(crate) fn hunted(&mut self, through: u64) -> Result<(), Error> {
        let decided = self.decided_through();
        if through > decided {
            let text =
                format!("payment {} has no verdict yet, so {through} is not hunted through", decided + 1);
            return Err(conflict(text));
        }
        self.hunted_through = self.hunted_through.max(through);
        self.unhunted.retain(|one| one.sequence > through);
        Ok(())
    }

    /// Says of each payment that is asked for with `go` whether it has it.
    pub(crate) fn judge(&self, clear: &mut Clear) {
        let Clear { horizon_ms, unhunted_goes, hunted_through, payments } = clear;
        *hunted_through = self.hunted_through;
        // The earliest publication among those from each place on: a payment is asked only about what came after it.
        let mut earliest: Vec<i64> = self.unhunted.iter().map(|one| one.at_ms).collect();
        for at in (1..earliest.len()).rev() {
            earliest[at - 1] = earliest[at - 1].min(earliest[at]);
        }
        for one in payments.iter_mut().filter(|one| one.state == ClearState::Go) {
            (one.state, one.flagged) = self.say(one, &earliest, *horizon_ms, *unhunted_goes);
        }
    }
    fn say(
        &self,
        one: &Cleared,
        earliest: &[i64],
        horizon_ms: i64,
        unhunted_goes: bool,
    ) -> (ClearState, bool) {
        // What has gone has gone: whoever asks again is told the same.
        if self.gone.contains(one.sequence) {
            return (ClearState::Go, self.flagged.contains(one.sequence));
        }
        if self.late.contains(one.sequence) {
            return (ClearState::TooLate, false);
        }
        let is_held = |hold: &Hold| hold.state == HoldState::Held;
        // Without a verdict nobody knows what it will be; of what was taken back nothing is left to settle.
        if self.is_stopped(one.sequence)
            || self.is_reversed(one.sequence)
            || self.latest(one.sequence).is_some_and(|(_, hold)| is_held(hold))
            || self.is_undecided(one.sequence)
        {
            return (ClearState::Held, false);
        }
        if self.is_forgotten(one.sequence, one.cut_off_ms) {
            return (ClearState::Unknown, false);
        }
        let after = self.unhunted.partition_point(|learned| learned.sequence <= one.sequence);
        let counts_until_ms = one.cut_off_ms.saturating_sub(horizon_ms);
        let unhunted = earliest.get(after).is_some_and(|at_ms| *at_ms <= counts_until_ms);
        match (unhunted || one.lacks, unhunted_goes) {
            (false, _) => (ClearState::Go, false),
            (true, true) => (ClearState::Go, true),
            (true, false) => (ClearState::Held, false),
        }
    }
}
