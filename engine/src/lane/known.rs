//! What screens found for names that came before, since customers and payees repeat. It is a function of the name, the
//! watchlists and the cut-off, so no verdict can tell whether it was kept or found anew. Bounded, allocated once, and
//! with no name in it: what is kept lies under a keyed hash of 128 bits.

use super::found::Screened;
use crate::limits::NAMES_KNOWN_MAX;
use sha2::{Digest, Sha256};
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

/// Places for what has one place by its hash; the one that was not asked for longest gives way.
const WAYS: usize = 4;
const SETS: usize = NAMES_KNOWN_MAX / WAYS;
/// The block of the hash, which the key fills: it is hashed once for all names.
const BLOCK_BYTES: usize = 64;

/// Hash of a name under a key of this process; 0 twice where there is none.
type NameTag = [u64; 2];

#[derive(Clone, Copy, Default)]
struct Kept {
    tag: NameTag,
    screened: Screened,
}

/// Names that came before, of one lane.
pub struct Known {
    keyed: Sha256,
    sets: Vec<[Kept; WAYS]>,
}

/// Says that it is there, and nothing of what is in it.
impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known(…)")
    }
}

impl Known {
    /// None yet, with room for [`NAMES_KNOWN_MAX`].
    pub fn new() -> Known {
        Known::with_sets(SETS)
    }
    fn with_sets(sets: usize) -> Known {
        assert!(sets.is_power_of_two(), "sets are found by a mask");
        // Each of these is a word of the system's randomness: nobody can make two names that hash alike, nor tell from
        // a hash whose it is.
        let mut key = [0; BLOCK_BYTES];
        for word in key.chunks_exact_mut(8) {
            word.copy_from_slice(&RandomState::new().build_hasher().finish().to_ne_bytes());
        }
        Known { keyed: Sha256::new_with_prefix(key), sets: vec![Default::default(); sets] }
    }

    /// What a name comes to in a context (watchlists and cut-off, hashed): as it is kept, else as `screen` finds it.
    /// Whether it was kept is told beside it.
    pub fn of(
        &mut self,
        context: &[u8; 16],
        name: &str,
        screen: impl FnOnce() -> Screened,
    ) -> (Screened, bool) {
        let tag = self.tag(context, name);
        let at = tag[0] as usize & (self.sets.len() - 1);
        let set = &mut self.sets[at];
        if let Some(place) = set.iter().position(|kept| kept.tag == tag) {
            set[..=place].rotate_right(1);
            return (set[0].screened, true);
        }
        set.rotate_right(1);
        set[0] = Kept { tag, screened: screen() };
        (set[0].screened, false)
    }

    fn tag(&self, context: &[u8; 16], name: &str) -> NameTag {
        let mut hash = self.keyed.clone();
        hash.update(context);
        hash.update(name);
        let hash = hash.finalize();
        let word = |at: usize| u64::from_le_bytes(hash[at..at + 8].try_into().expect("8 bytes"));
        [word(0), word(8)]
    }
}

impl Default for Known {
    fn default() -> Known {
        Known::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn screened(matches: u32) -> Screened {
        Screened { matches, best: None }
    }

    proptest! {
        /// A table much smaller than what is asked for gives what a table without bound would.
        #[test]
        fn what_is_kept_is_what_was_found(asked in prop::collection::vec((0u8..3, "[ab]{0,4}"), 1..400)) {
            let mut known = Known::with_sets(4);
            let mut found = HashMap::new();
            for (context, name) in asked {
                let next = found.len() as u32;
                let expected = *found.entry((context, name.clone())).or_insert(next);
                let (told, _) = known.of(&[context; 16], &name, || screened(expected));
                prop_assert_eq!(told, screened(expected));
            }
        }
    }

    #[test]
    fn what_was_asked_last_stays_and_another_context_is_another_name() {
        let mut known = Known::with_sets(1);
        let was_kept =
            |known: &mut Known, context: u8, name: &str| known.of(&[context; 16], name, || screened(1)).1;
        let names = ["a", "b", "c", "d"];
        assert!(names.iter().all(|name| !was_kept(&mut known, 0, name)));
        assert!(names.iter().all(|name| was_kept(&mut known, 0, name)));
        // The fifth takes the place of the first, which was asked longest ago.
        assert!(!was_kept(&mut known, 1, "d"));
        assert!(["b", "c", "d"].iter().all(|name| was_kept(&mut known, 0, name)));
        assert!(!was_kept(&mut known, 0, "a"));
    }

    #[test]
    fn nothing_of_a_name_is_in_it() {
        let mut known = Known::with_sets(1);
        known.of(&[0; 16], "Nikola Example", || screened(1));
        assert_eq!(format!("{known:?}"), "Known(…)");
        let other = Known::with_sets(1);
        assert_ne!(known.tag(&[0; 16], "Nikola Example"), other.tag(&[0; 16], "Nikola Example"));
    }
}
