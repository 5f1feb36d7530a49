//! Credits: what a contributor earns for signals that others confirmed. Which were confirmed follows from the outcomes in
//! the governance log; here they are numbers by member and epoch.

use crate::error::{Error, ErrorKind, Result};
use crate::kind::MemberId;
use crate::limits::BILL_SIGNALS_MAX;
use std::collections::BTreeMap;

/// Confirmed signals of a contributor in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// The contributor.
    pub member: MemberId,
    /// The epoch.
    pub epoch: u64,
    /// How many of its signals were confirmed there.
    pub signals: u64,
}

/// Credits by member and epoch.
///
/// # Errors
/// `Invalid` for a member and epoch that come twice, or without a signal.
pub(super) fn by_member(credits: &[Credit]) -> Result<BTreeMap<(MemberId, u64), u64>> {
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
pub(super) fn total(credits: &BTreeMap<(MemberId, u64), u64>) -> Result<u64> {
    let sum = credits.values().try_fold(0u64, |sum, signals| sum.checked_add(*signals));
    sum.filter(|sum| *sum <= BILL_SIGNALS_MAX).ok_or_else(|| {
        Error::new(ErrorKind::TooLarge, format!("more than {BILL_SIGNALS_MAX} confirmed signals in one bill"))
    })
}
