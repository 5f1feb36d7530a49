//! Usage: a fold over the openings of a range of the query log. The order of leaves does not matter; each leaf of the range
//! must be opened exactly once, or the error names it.

use super::service::Service;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::kind::MemberId;
use crate::limits::BILL_LEAVES_MAX;
use crate::query::Query;
use std::collections::BTreeMap;
use std::ops::Range;

/// What errors call the query log.
const LOG: &str = "queries";

/// A leaf whose opening has been verified against the commitment in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// The leaf, from 0.
    pub index: u64,
    /// Who asked.
    pub member: MemberId,
    /// For what.
    pub service: Service,
    /// How many items.
    pub items: u32,
    /// When, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// By which epoch's keys.
    pub epoch: u32,
}

impl Opened {
    /// Of a leaf's opening, which must have been checked against the leaf ([`crate::query::Opening::check`]).
    pub fn of(index: u64, query: &Query) -> Opened {
        let Query { member, epoch, service, items, time_ms, .. } = *query;
        Opened { index, member, service: service.into(), items, time_ms, epoch }
    }
}

/// What a member used of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Queries, which are leaves; 0 where the member reports.
    pub queries: u64,
    /// Items.
    pub items: u64,
}

/// What was used in a range of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    range: Range<u64>,
    counts: BTreeMap<(MemberId, Service), Count>,
    /// Time and index of the earliest and of the latest leaf.
    span: Option<[(u64, u64); 2]>,
}

impl Usage {
    /// Of all leaves of a range.
    ///
    /// # Errors
    /// `NotFound` for the first leaf that is not opened, `Invalid` for one that is opened twice, lies outside or says a
    /// service that is not asked for in the log; `TooLarge` past `BILL_LEAVES_MAX`.
    pub fn fold(range: Range<u64>, opened: impl IntoIterator<Item = Opened>) -> Result<Usage> {
        let (usage, seen) = Usage::gather(range, opened, None)?;
        match seen.first_missing() {
            None => Ok(usage),
            Some(place) => {
                let message = "not opened: a bill needs every leaf of its range";
                Err(Error::new(ErrorKind::NotFound, message).at(Place::Leaf(LOG, usage.range.start + place)))
            }
        }
    }
    /// Of those leaves of a range that are one member's: what it can count by itself, from its own openings.
    ///
    /// # Errors
    /// As [`Usage::fold`], but for leaves that are not opened; `Invalid` for another member's.
    pub fn fold_own(
        range: Range<u64>,
        member: MemberId,
        opened: impl IntoIterator<Item = Opened>,
    ) -> Result<Usage> {
        Ok(Usage::gather(range, opened, Some(member))?.0)
    }

    fn gather(
        range: Range<u64>,
        opened: impl IntoIterator<Item = Opened>,
        only: Option<MemberId>,
    ) -> Result<(Usage, Seen)> {
        let leaves = range.end.saturating_sub(range.start);
        if leaves > BILL_LEAVES_MAX {
            let message = format!("a bill over {leaves} leaves, limit {BILL_LEAVES_MAX}");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let mut seen = Seen::new(leaves);
        let mut usage = Usage { range, counts: BTreeMap::new(), span: None };
        for leaf in opened {
            let refused =
                |message: String| Error::new(ErrorKind::Invalid, message).at(Place::Leaf(LOG, leaf.index));
            if !usage.range.contains(&leaf.index) {
                let message = format!("outside of the range {}..{}", usage.range.start, usage.range.end);
                return Err(refused(message));
            }
            if !seen.put(leaf.index - usage.range.start) {
                return Err(refused("opened twice".to_owned()));
            }
            if !leaf.service.is_proved() {
                return Err(refused(format!("{} is no service of the query log", leaf.service)));
            }
            if only.is_some_and(|member| member != leaf.member) {
                return Err(refused(format!("a query of member {}", leaf.member)));
            }
            usage.add(&leaf);
        }
        Ok((usage, seen))
    }
    fn add(&mut self, leaf: &Opened) {
        let count = self.counts.entry((leaf.member, leaf.service)).or_default();
        count.queries += 1;
        // At most 2^28 leaves of less than 2^32 items.
        count.items += u64::from(leaf.items);
        let at = (leaf.time_ms, leaf.index);
        self.span = Some(self.span.map_or([at, at], |[first, last]| [first.min(at), last.max(at)]));
    }

    /// Which leaves.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }
    /// Counts by member and service, in that order.
    pub fn counts(&self) -> impl Iterator<Item = (MemberId, Service, Count)> + '_ {
        self.counts.iter().map(|((member, service), count)| (*member, *service, *count))
    }
    /// A member's counts, by service.
    pub fn of(&self, member: MemberId) -> impl Iterator<Item = (Service, Count)> + '_ {
        let all = (member, Service::Confirm)..=(member, Service::Screened);
        self.counts.range(all).map(|((_, service), count)| (*service, *count))
    }
    /// Time (ms) and leaf of the earliest and of the latest query.
    pub fn span(&self) -> Option<[(u64, u64); 2]> {
        self.span
    }
}

/// Which leaves were opened: a bit each.
struct Seen {
    leaves: u64,
    words: Vec<u64>,
}

impl Seen {
    fn new(leaves: u64) -> Seen {
        Seen { leaves, words: vec![0; leaves.div_ceil(64) as usize] }
    }
    /// Whether it was not there yet.
    fn put(&mut self, place: u64) -> bool {
        let (word, bit) = (&mut self.words[(place / 64) as usize], 1 << (place % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
    fn first_missing(&self) -> Option<u64> {
        let word = self.words.iter().position(|word| *word != u64::MAX)?;
        let place = word as u64 * 64 + u64::from(self.words[word].trailing_ones());
        (place < self.leaves).then_some(place)
    }
}
