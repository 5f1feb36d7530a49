//! What the entry rules say of a kind, and who a contributor is, as far as signals need it: plain values that who calls
//! takes from the governance log.

use crate::error::{Error, ErrorKind, Result};
use crate::kind::{Kind, MemberId, Privacy};
use crate::limits::TIME_MS_MAX;
use crate::signal::Key;
use std::ops::RangeInclusive;

/// The bits that a tag may have at a level. Fewer than 8 would make every identifier a candidate; with more than 64 no two
/// identifiers share one.
pub const fn bits_of(privacy: Privacy) -> RangeInclusive<u8> {
    match privacy {
        Privacy::Open => 0..=0,
        Privacy::Keyed => 128..=128,
        Privacy::Oblivious => 8..=64,
    }
}

/// What the rules say of a kind of signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How much of an identifier others see.
    pub privacy: Privacy,
    /// Bits of the tag: 0 for open kinds, 128 for keyed ones, 8 to 64 for oblivious ones.
    pub bits: u8,
    /// Trusted contributors that make a signal active; 0: none alone do.
    pub trusted_min: u16,
    /// Contributors of whatever kind that make it active; 0: none alone do.
    pub independent_min: u16,
    /// How long after it was last seen a signal is active at most, in milliseconds.
    pub lifetime_ms: u64,
    /// Whether others see who contributed.
    pub names_member: bool,
}

impl Policy {
    fn check(&self) -> Result<()> {
        let bits = bits_of(self.privacy);
        let refuse = |message: String| Err(Error::new(ErrorKind::Invalid, message));
        if !bits.contains(&self.bits) {
            let (from, to) = (bits.start(), bits.end());
            return refuse(format!("{} bits for {}: expected {from} to {to}", self.bits, self.privacy));
        }
        if self.trusted_min == 0 && self.independent_min == 0 {
            return refuse("no number of contributors would make a signal active".into());
        }
        if self.lifetime_ms == 0 || self.lifetime_ms > TIME_MS_MAX {
            return refuse(format!("a lifetime of {} ms: expected 1 to {TIME_MS_MAX}", self.lifetime_ms));
        }
        Ok(())
    }
    /// That a signal is told as the kind's level asks.
    ///
    /// # Errors
    /// `Invalid`, with what does not fit.
    pub fn check_key(&self, key: &Key) -> Result<()> {
        let wrong = match self.privacy {
            Privacy::Open if !key.is_open() => "has a tag under a key, and the kind is open",
            Privacy::Keyed | Privacy::Oblivious if key.is_open() => "is open, and the kind is not",
            Privacy::Keyed if key.tags.exact != [0; 16] => "has an exact tag, and the kind is keyed",
            Privacy::Oblivious if key.tags.exact == [0; 16] => "has no exact tag, and the kind is oblivious",
            Privacy::Oblivious if !key.tags.is_cut_to(self.bits) => {
                "has more of its tag than the kind's bits"
            }
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::Invalid, format!("a signal of kind {} {wrong}", key.kind)))
    }
}

/// The policies of all kinds that are shared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies([Option<Policy>; Kind::Name as usize + 1]);

impl Policies {
    /// Sets a kind's.
    ///
    /// # Errors
    /// `Invalid` for bits that the level does not have, and for rules under which nothing would ever be active.
    pub fn set(&mut self, kind: Kind, policy: Policy) -> Result<()> {
        policy.check()?;
        self.0[kind as usize] = Some(policy);
        Ok(())
    }
    /// A kind's; `None` where it is not shared.
    pub fn get(&self, kind: Kind) -> Option<&Policy> {
        self.0[kind as usize].as_ref()
    }
    /// All, by kind.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, &Policy)> {
        Kind::ALL.into_iter().filter_map(|kind| Some((kind, self.get(kind)?)))
    }
    /// That a signal is of a kind that is shared, and told as its level asks.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn check_key(&self, key: &Key) -> Result<()> {
        let refused =
            || Error::new(ErrorKind::Invalid, format!("signals of kind {} are not shared here", key.kind));
        self.get(key.kind).ok_or_else(refused)?.check_key(key)
    }
}

/// A member that contributes, at the size of the governance log that an epoch is built at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contributor {
    /// Which.
    pub id: MemberId,
    /// Whether the rules trust it; below the reputation's floor it is not, whatever they say.
    pub trusted: bool,
    /// Whether it is a member in good standing; what others have said does not count while they are not.
    pub active: bool,
}
