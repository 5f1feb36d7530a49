//! What a label or reversal does to an event that is counted: to its lane while it has one, to its pane's sums after.

use super::block::ViewMut;

/// Where an event is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub sequence: u64,
    /// Its event time, ms.
    pub time_ms: i64,
    /// Nothing up to this is kept, ms.
    pub cutoff_ms: i64,
}

/// A change of one event in one group.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    /// Labelled; `was` is the label before.
    Fraud { was: bool, is: bool },
    /// An amount is taken off.
    Amount {
        taken: Taken,
        /// What the event counts before and after, minor units of the group's currency; `None` when that is not known.
        /// Only for panes: a lane has its own amount.
        before: Option<i64>,
        after: Option<i64>,
    },
}

/// What is taken off an amount.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Taken {
    All,
    /// Minor units of the group's currency; `None` when there is no rate.
    Part(Option<i64>),
}

impl ViewMut<'_> {
    /// Changes a lane's event.
    pub fn change(&mut self, lane: usize, change: &Change) {
        let bit = 1 << lane;
        match change {
            Change::Fraud { is: true, .. } => self.head.fraud |= bit,
            Change::Fraud { is: false, .. } => self.head.fraud &= !bit,
            Change::Amount { taken, .. } => {
                let known = self.head.unknown & bit == 0;
                let left = match taken {
                    Taken::All => Some(0),
                    Taken::Part(Some(minor)) if known => {
                        Some(self.amounts[lane].saturating_sub(*minor).max(0))
                    }
                    Taken::Part(_) => None,
                };
                self.amounts[lane] = left.unwrap_or(0);
                self.head.unknown &= !bit;
                self.head.unknown |= u64::from(left.is_none()) << lane;
            }
        }
    }
}
