//! Which keys of the node's ring are in force, as the events in the one order say. What is sequenced after a rotation
//! of the tag keys must have been tagged after it: the sequencer refuses the rest, to be read again.

use crate::domain::{KeyTaken, KeyUse};
use crate::error::{Error, ErrorKind};
use crate::limits::TAG_KEYS_EARLIER_MAX;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// A tag key that was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierTagKey {
    /// Its number in the ring.
    pub number: u32,
    /// When it was replaced, ms since the Unix epoch.
    pub replaced_ms: i64,
    /// Until when tags are made under it too, as was reckoned then; ms since the Unix epoch.
    pub until_ms: i64,
}

/// The keys in force: all that the sequencer's state knows of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    sealing: u32,
    tags: u32,
    rotations: u32,
    /// Newest first, at most [`TAG_KEYS_EARLIER_MAX`]: older ones had passed before the newest was taken up.
    earlier: Vec<EarlierTagKey>,
}

impl Default for Keys {
    /// One key for everything, number 1.
    fn default() -> Keys {
        Keys { sealing: 1, tags: 1, rotations: 0, earlier: Vec::new() }
    }
}

impl Keys {
    /// The number of the key that the journal said last to seal under.
    pub fn sealing(&self) -> u32 {
        self.sealing
    }
    /// The number of the key that identifiers are tagged under.
    pub fn tags(&self) -> u32 {
        self.tags
    }
    /// How often the tag key was replaced.
    pub fn rotations(&self) -> u32 {
        self.rotations
    }
    /// The tag keys before it, newest first.
    pub fn earlier(&self) -> &[EarlierTagKey] {
        &self.earlier
    }

    /// As the sequencer does, for whoever reads the journal.
    ///
    /// # Errors
    /// `Invalid` for an event that the sequencer would not have taken.
    pub fn restore(&mut self, taken: &KeyTaken, arrival_ms: i64) -> Result<(), Error> {
        self.take(taken, arrival_ms)
    }

    /// Takes note of a key that was taken up at a moment, ms since the Unix epoch.
    ///
    /// # Errors
    /// `Invalid` for one that is older than the one in force, and for a tag key while as many are needed as there may
    /// be; nothing is changed then.
    pub(crate) fn take(&mut self, taken: &KeyTaken, arrival_ms: i64) -> Result<(), Error> {
        let invalid = |what: String| Err(Error::new(ErrorKind::Invalid, what));
        let (number, in_force) = match taken.used_for {
            KeyUse::Sealing => (taken.number, self.sealing),
            KeyUse::Tags => (taken.number, self.tags),
        };
        if number <= in_force {
            let name = taken.used_for.name();
            return invalid(format!("key {number} for {name}: key {in_force} is in force already"));
        }
        if taken.used_for == KeyUse::Sealing {
            self.sealing = number;
            return Ok(());
        }
        let needed: SmallVec<[EarlierTagKey; TAG_KEYS_EARLIER_MAX]> =
            self.earlier.iter().filter(|earlier| earlier.until_ms > arrival_ms).copied().collect();
        if needed.len() >= TAG_KEYS_EARLIER_MAX {
            return invalid(format!(
                "key {number} for tags: {} earlier ones are made tags under still, limit {TAG_KEYS_EARLIER_MAX}",
                needed.len()
            ));
        }
        let until_ms = taken.until_ms.unwrap_or(i64::MAX);
        let replaced = EarlierTagKey { number: self.tags, replaced_ms: arrival_ms, until_ms };
        self.earlier = std::iter::once(replaced).chain(needed).collect();
        (self.tags, self.rotations) = (number, self.rotations + 1);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn taken(used_for: KeyUse, number: u32, until_ms: i64) -> KeyTaken {
        KeyTaken { used_for, number, ident: [0; 8], until_ms: Some(until_ms), by: String::new() }
    }

    #[test]
    fn two_earlier_tag_keys_at_most_are_needed_at_once() {
        let mut keys = Keys::default();
        keys.take(&taken(KeyUse::Sealing, 2, 0), 5).unwrap();
        assert_eq!((keys.sealing(), keys.tags(), keys.rotations()), (2, 1, 0));
        keys.take(&taken(KeyUse::Tags, 3, 100), 10).unwrap();
        keys.take(&taken(KeyUse::Tags, 4, 120), 30).unwrap();
        let numbers = |keys: &Keys| keys.earlier().iter().map(|key| key.number).collect::<Vec<_>>();
        assert_eq!((keys.tags(), keys.rotations(), numbers(&keys)), (4, 2, vec![3, 1]));
        let before = keys.clone();
        assert_eq!(keys.take(&taken(KeyUse::Tags, 5, 200), 99).unwrap_err().kind, ErrorKind::Invalid);
        assert_eq!(keys.take(&taken(KeyUse::Tags, 4, 200), 101).unwrap_err().kind, ErrorKind::Invalid);
        assert_eq!(keys, before);
        keys.take(&taken(KeyUse::Tags, 5, 200), 101).unwrap();
        assert_eq!((keys.tags(), numbers(&keys)), (5, vec![4, 3]));
    }
}
