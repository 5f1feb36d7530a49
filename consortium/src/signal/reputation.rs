//! What outcomes say of a contributor: of its signals, how many others confirmed, and how many they refuted (disputed, or
//! met as false alarms). It depends on what members have said and on nothing else, no clock, no rule, no member's state;
//! so what lapses can be carried as a sum. It takes trust away, below a floor, and never gives any.

use crate::error::{Error, ErrorKind, Result};
use crate::kind::MemberId;
use crate::signal::stand::Stand;
use std::collections::BTreeMap;

/// A contributor's signals by what came of them; each signal counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Signals that more members confirmed than spoke against.
    pub confirmed: u64,
    /// Signals that more members spoke against than confirmed.
    pub refuted: u64,
}

/// All contributors' tallies.
pub type Tallies = BTreeMap<MemberId, Tally>;

/// Adds what one signal says of its contributors, withdrawn and ended ones included.
pub fn count(stands: &[Stand<'_>], tallies: &mut Tallies) {
    let confirming = stands.iter().filter(|stand| stand.is_confirming()).count();
    let against = stands.iter().filter(|stand| stand.is_against()).count();
    if confirming == against {
        return;
    }
    for stand in stands.iter().filter(|stand| stand.has_contributed()) {
        let tally = tallies.entry(stand.member).or_default();
        match confirming > against {
            true => tally.confirmed += 1,
            false => tally.refuted += 1,
        }
    }
}

/// How a tally becomes a figure. Part of the rules: every member must use the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Smoothing {
    /// Confirmed signals that everybody begins with.
    pub confirmed: u64,
    /// Refuted signals that everybody begins with.
    pub refuted: u64,
    /// Below so many of a thousand a contributor is not trusted.
    pub floor_permille: u16,
}

impl Default for Smoothing {
    /// Nine of ten to begin with, so that a newcomer has 900; trusted down to 600: of a newcomer, until six signals are
    /// refuted and none confirmed.
    fn default() -> Smoothing {
        Smoothing { confirmed: 9, refuted: 1, floor_permille: 600 }
    }
}

impl Smoothing {
    /// That it is one.
    ///
    /// # Errors
    /// `Invalid` where nobody would have a figure to begin with, or the floor is above a thousand.
    pub fn check(&self) -> Result<()> {
        let begins = self.confirmed.checked_add(self.refuted).filter(|sum| (1..=1_000_000).contains(sum));
        if begins.is_none() || self.floor_permille > 1000 {
            let message = "reputation begins with 1 to 1,000,000 signals, and its floor is at most 1000";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(())
    }
    /// A tally's figure: confirmed ones of a thousand, rounded down.
    pub fn permille(&self, tally: Tally) -> u16 {
        let good = u128::from(tally.confirmed) + u128::from(self.confirmed);
        let all = good + u128::from(tally.refuted) + u128::from(self.refuted);
        u16::try_from(good * 1000 / all.max(1)).expect("a part of a thousand")
    }
    /// Whether a tally leaves trust.
    pub fn is_trusted(&self, tally: Tally) -> bool {
        self.permille(tally) >= self.floor_permille
    }
}
