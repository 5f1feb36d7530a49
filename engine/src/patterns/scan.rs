//! One payment's texts through the databases. Nothing is allocated once the scratch has met the set and the longest text.

use super::emit::Confirm;
use super::ffi::{Refused, Scratch};
use super::pattern::View;
use super::set::{Group, PatternSet};
use super::twin;
use super::views::Folder;
use crate::domain::{Field, Transaction};
use crate::error::{Error, ErrorKind};

/// What a lane scans in; made once, fits every set.
#[derive(Debug, Default)]
pub struct PatternScratch {
    scratch: Scratch,
    folder: Folder,
    found: Vec<u32>,
}

/// Which patterns hit, of the set that was scanned for last. Empty (stage did not run) until then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PatternHits {
    bits: Vec<u64>,
    /// The set; 0 for none.
    of: u64,
}

impl PatternHits {
    /// Says that the stage did not run.
    pub fn clear(&mut self) {
        self.of = 0;
    }
    fn begin(&mut self, set: &PatternSet) {
        self.bits.clear();
        self.bits.resize(set.patterns.len().div_ceil(64), 0);
        self.of = set.id;
    }
    fn bit(&self, number: usize) -> bool {
        self.bits.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }
    fn set(&mut self, number: u32) {
        self.bits[number as usize / 64] |= 1 << (number % 64);
    }
}

impl PatternSet {
    /// Looks for every pattern in the payment's texts.
    ///
    /// # Errors
    /// When the library cannot scan (no memory for its scratch); `hits` then says that the stage did not run.
    pub fn scan(
        &self,
        tx: &Transaction,
        scratch: &mut PatternScratch,
        hits: &mut PatternHits,
    ) -> Result<(), Error> {
        self.scan_fields(&|field| tx.text(field), scratch, hits)
    }

    /// As [`PatternSet::scan`], over texts given by field.
    ///
    /// # Errors
    /// As there.
    pub fn scan_fields<'t>(
        &self,
        text_of: &dyn Fn(Field) -> Option<&'t str>,
        scratch: &mut PatternScratch,
        hits: &mut PatternHits,
    ) -> Result<(), Error> {
        hits.begin(self);
        for group in &self.groups {
            let Some(text) = text_of(group.field) else { continue };
            let PatternScratch { scratch, folder, found } = scratch;
            let scanned = match group.view {
                View::Raw => self.scan_text(group, text, scratch, found, hits),
                View::Folded => {
                    folder.fold(text);
                    folder.readings().try_for_each(|text| self.scan_text(group, text, scratch, found, hits))
                }
            };
            if let Err(refused) = scanned {
                hits.clear();
                return Err(Error::new(ErrorKind::Invalid, refused.message));
            }
        }
        Ok(())
    }

    fn scan_text(
        &self,
        group: &Group,
        text: &str,
        scratch: &mut Scratch,
        found: &mut Vec<u32>,
        hits: &mut PatternHits,
    ) -> Result<(), Refused> {
        found.clear();
        found.reserve(group.members.len());
        group.database.scan(text, scratch, found)?;
        for place in found.iter() {
            let number = group.members[*place as usize];
            if !hits.bit(number as usize) && self.confirms(number, text) {
                hits.set(number);
            }
        }
        Ok(())
    }

    fn confirms(&self, number: u32, text: &str) -> bool {
        let pattern = &self.patterns[number as usize];
        let exact = match pattern.confirm {
            Confirm::Never => true,
            Confirm::NonAscii => text.is_ascii(),
            Confirm::Always => false,
        };
        exact || twin::of(pattern).is_some_and(|twin| twin.is_match(text))
    }

    /// Whether a declared pattern hit; `None` when the stage did not run.
    pub fn hit(&self, hits: &PatternHits, number: u32) -> Option<bool> {
        (hits.of == self.id && (number as usize) < self.declared).then(|| hits.bit(number as usize))
    }
    /// What a lift came to; `None` when the stage did not run, there is no such lift, or the library did not take it:
    /// then the rule evaluates it itself. Means nothing for a text that is missing.
    #[inline]
    pub fn lifted(&self, hits: &PatternHits, lift: u32) -> Option<bool> {
        let number = self.declared + lift as usize;
        let runs = hits.of == self.id && self.patterns.get(number).is_some_and(|pattern| pattern.runs);
        runs.then(|| hits.bit(number))
    }
    /// Whether any declared pattern hit. Allocates nothing, so that it can be asked of every payment.
    pub fn any_hit(&self, hits: &PatternHits) -> bool {
        let (whole, rest) = (self.declared / 64, self.declared % 64);
        let last = hits.bits.get(whole).is_some_and(|word| word & ((1 << rest) - 1) != 0);
        hits.of == self.id && (hits.bits.iter().take(whole).any(|word| *word != 0) || last)
    }
    /// The numbers of the declared patterns that hit, in order.
    pub fn hits(&self, hits: &PatternHits) -> impl Iterator<Item = u32> {
        let words = if hits.of == self.id { hits.bits.clone() } else { Vec::new() };
        let declared = self.declared as u32;
        words
            .into_iter()
            .enumerate()
            .flat_map(|(at, word)| {
                (0..64u32).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at as u32 * 64 + bit)
            })
            .take_while(move |number| *number < declared)
    }
}
