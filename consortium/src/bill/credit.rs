//! Credits: what a contributor earns for signals that others confirmed. Which were confirmed follows from the outcomes in
//! the governance log; here they are numbers by member and epoch.

use crate::error::{Error, ErrorKind, Result};
use crate::kind::MemberId;
use crate::limits::BILL_SIGNALS_MAX;
use crate::signal::reputation::Tallies;
use std::collections::BTreeMap;

/// Confirmed signals of a contributor, as of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// The contributor.
    pub member: MemberId,
    /// The epoch as of which they were counted.
    pub epoch: u32,
    /// How many of its signals are confirmed there that were not credited before.
    pub signals: u64,
}

/// What contributors have earned by an epoch that nobody has credited them for yet. `credited` is the highest number that
/// each was credited for so far, and is raised: a confirmation that others take back costs nobody anything, and one that
/// comes again afterwards earns nothing twice.
pub fn earned(epoch: u32, tallies: &Tallies, credited: &mut BTreeMap<MemberId, u64>) -> Vec<Credit> {
    let mut credits = Vec::new();
    for (member, tally) in tallies {
        let so_far = credited.entry(*member).or_default();
        if tally.confirmed > *so_far {
            credits.push(Credit { member: *member, epoch, signals: tally.confirmed - *so_far });
            *so_far = tally.confirmed;
        }
    }
    credits
}

/// Credits by member and epoch.
///
/// # Errors
/// `Invalid` for a member and epoch that come twice, or without a signal.
pub(super) fn by_member(credits: &[Credit]) -> Result<BTreeMap<(MemberId, u32), u64>> {
    let mut found = BTreeMap::new();
    for credit in credits {
        let is_new = found.insert((credit.member, credit.epoch), credit.signals).is_none();
        if !is_new || credit.signals == 0 {
            let message =
                format!("credits of member {} in epoch {}: none, or twice", credit.member, credit.epoch);
            return Err(Error::new(ErrorKind::Invalid, message));
        }
    }
    Ok(found)
}

/// All confirmed signals of a bill.
///
/// # Errors
/// `TooLarge` past `BILL_SIGNALS_MAX`.
pub(super) fn total(credits: &BTreeMap<(MemberId, u32), u64>) -> Result<u64> {
    let sum = credits.values().try_fold(0u64, |sum, signals| sum.checked_add(*signals));
    sum.filter(|sum| *sum <= BILL_SIGNALS_MAX).ok_or_else(|| {
        Error::new(ErrorKind::TooLarge, format!("more than {BILL_SIGNALS_MAX} confirmed signals in one bill"))
    })
}
