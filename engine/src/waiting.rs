//! Reversals and completions that came before their payment: they wait for it, bounded in number and in arrival time,
//! and are handed out when it comes. A part of the sequencer's state, the same live and restored.

use crate::domain::{Currency, TransactionKind};
use crate::error::Error;
use crate::features::{FollowKind, FollowUp};
use crate::image::{Reader, Writer, senseless};
use crate::limits::{FOLLOW_UPS_PER_TENANT_MAX, FOLLOW_UPS_WAIT_MS, FOLLOW_UPS_WAITING_MAX, REFERS_MAX};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A message that waits for the payment it follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiter {
    /// Its tenant.
    pub tenant: Arc<str>,
    /// The identities that its payment may have.
    pub keys: Vec<u128>,
    /// When it came, ms since the Unix epoch; never before one that came earlier.
    pub arrival_ms: i64,
    /// What it does to the payment.
    pub follow: FollowUp,
}

/// Bounds of what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingLimits {
    /// Most over all tenants.
    pub all_max: usize,
    /// Most of one tenant.
    pub tenant_max: usize,
    /// How long, in ms of arrival time.
    pub wait_ms: i64,
}

impl Default for WaitingLimits {
    fn default() -> Self {
        let (all_max, tenant_max) = (FOLLOW_UPS_WAITING_MAX, FOLLOW_UPS_PER_TENANT_MAX);
        WaitingLimits { all_max, tenant_max, wait_ms: FOLLOW_UPS_WAIT_MS }
    }
}

/// All that waits, of every tenant.
#[derive(Debug, Default)]
pub struct Waiting {
    limits: WaitingLimits,
    /// By sequence, so in order of arrival; this is the state, the rest follows from it.
    waiters: BTreeMap<u64, Waiter>,
    by_key: HashMap<u128, SmallVec<[u64; 1]>, FixedState>,
    by_tenant: HashMap<Arc<str>, usize, FixedState>,
    clock_ms: i64,
}

impl Waiting {
    /// Nothing waits yet.
    pub fn new(limits: WaitingLimits) -> Waiting {
        Waiting { limits, clock_ms: i64::MIN, ..Waiting::default() }
    }
    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiters.len()
    }
    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }
    /// What waits, in order of sequence: with the clock, all there is to know of the state.
    pub fn iter(&self) -> impl Iterator<Item = &Waiter> {
        self.waiters.values()
    }
    /// The latest arrival time it was told, ms since the Unix epoch.
    pub fn clock_ms(&self) -> i64 {
        self.clock_ms
    }
    /// The state of a clock and of what waited, in order of sequence.
    pub fn from_parts(
        limits: WaitingLimits,
        clock_ms: i64,
        waiters: impl IntoIterator<Item = Waiter>,
    ) -> Waiting {
        let mut waiting = Waiting { clock_ms, ..Waiting::new(limits) };
        waiters.into_iter().for_each(|waiter| waiting.insert(waiter));
        waiting
    }

    /// Takes note of the time, and gives what has waited too long.
    pub fn expire(&mut self, now_ms: i64) -> Vec<Waiter> {
        let mut expired = Vec::new();
        self.clock_ms = self.clock_ms.max(now_ms);
        while let Some(oldest) = self.waiters.first_entry() {
            if self.clock_ms.saturating_sub(oldest.get().arrival_ms) <= self.limits.wait_ms {
                break;
            }
            let sequence = *oldest.key();
            expired.extend(self.remove(sequence));
        }
        expired
    }
    /// Lets a message wait, from the time that `expire` was told last; whether there is room. Sequences ascend.
    pub fn wait(&mut self, tenant: &Arc<str>, keys: &[u128], follow: FollowUp) -> bool {
        let of_tenant = self.by_tenant.get(tenant).copied().unwrap_or(0);
        if self.len() >= self.limits.all_max || of_tenant >= self.limits.tenant_max {
            return false;
        }
        let arrival_ms = self.clock_ms;
        self.insert(Waiter { tenant: tenant.clone(), keys: keys.to_vec(), arrival_ms, follow });
        true
    }
    fn insert(&mut self, waiter: Waiter) {
        let sequence = waiter.follow.sequence;
        for key in &waiter.keys {
            self.by_key.entry(*key).or_default().push(sequence);
        }
        *self.by_tenant.entry(waiter.tenant.clone()).or_default() += 1;
        self.waiters.insert(sequence, waiter);
    }
    /// Takes what waits for a payment of a kind under any of its identities, in the order in which it came.
    pub fn take(
        &mut self,
        tenant: &str,
        keys: impl IntoIterator<Item = u128>,
        kind: TransactionKind,
    ) -> Vec<Waiter> {
        let mut sequences: SmallVec<[u64; 4]> = SmallVec::new();
        for key in keys {
            let waiting = self.by_key.get(&key).into_iter().flatten().copied();
            sequences.extend(waiting.filter(|sequence| {
                let waiter = &self.waiters[sequence];
                *waiter.tenant == *tenant && waiter.follow.kind.may_follow(kind)
            }));
        }
        sequences.sort_unstable();
        sequences.dedup();
        sequences.into_iter().filter_map(|sequence| self.remove(sequence)).collect()
    }
    fn remove(&mut self, sequence: u64) -> Option<Waiter> {
        let waiter = self.waiters.remove(&sequence)?;
        for key in &waiter.keys {
            if let Some(waiting) = self.by_key.get_mut(key) {
                waiting.retain(|other| *other != sequence);
                if waiting.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
        if let Some(count) = self.by_tenant.get_mut(&waiter.tenant) {
            *count -= 1;
            if *count == 0 {
                self.by_tenant.remove(&waiter.tenant);
            }
        }
        Some(waiter)
    }
}

impl Waiter {
    fn save(&self, to: &mut Writer<'_>) {
        let FollowUp { kind, sequence, amount_minor, currency } = self.follow;
        to.text(&self.tenant);
        to.count(self.keys.len());
        self.keys.iter().for_each(|key| to.u128(*key));
        to.i64(self.arrival_ms);
        to.u8(kind as u8);
        to.u64(sequence);
        to.value(&(amount_minor, currency.as_ref().map(Currency::code)));
    }
    fn load(from: &mut Reader<'_>) -> Result<Waiter, Error> {
        let tenant = from.text()?.into();
        let keys = (0..from.count(REFERS_MAX)?).map(|_| from.u128()).collect::<Result<_, Error>>()?;
        let (arrival_ms, kind) = (from.i64()?, from.u8()?);
        let kind = FollowKind::ALL.get(usize::from(kind)).copied();
        let kind = kind.ok_or_else(|| senseless("a message that follows in a way that there is not"))?;
        let sequence = from.u64()?;
        let (amount_minor, code): (Option<i64>, Option<String>) = from.value()?;
        let parse = |code: String| Currency::parse(&code).ok_or_else(|| senseless("a currency"));
        let currency = code.map(parse).transpose()?;
        Ok(Waiter { tenant, keys, arrival_ms, follow: FollowUp { kind, sequence, amount_minor, currency } })
    }
}

impl Waiting {
    /// Writes the clock, and what waits in order of sequence.
    pub fn save(&self, to: &mut Writer<'_>) {
        to.i64(self.clock_ms());
        to.count(self.len());
        self.iter().for_each(|waiter| waiter.save(to));
    }
    /// What [`Waiting::save`] wrote, under the same bounds.
    ///
    /// # Errors
    /// `Corrupt` for what cannot have been written; whatever the source returns.
    pub fn load(from: &mut Reader<'_>, limits: WaitingLimits) -> Result<Waiting, Error> {
        let clock_ms = from.i64()?;
        let count = from.count(limits.all_max)?;
        let waiters = (0..count).map(|_| Waiter::load(from)).collect::<Result<Vec<_>, Error>>()?;
        Ok(Waiting::from_parts(limits, clock_ms, waiters))
    }
}

/// What became of the messages of one kind that follow a payment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FollowUpCounts {
    /// Their payment was known.
    pub matched: u64,
    /// It was not, and they waited.
    pub waited: u64,
    /// It came, and what had waited was applied.
    pub matched_later: u64,
    /// It did not come in time.
    pub expired: u64,
    /// There was no room to wait.
    pub no_room: u64,
    /// Its features know it no more.
    pub forgotten: u64,
    /// It is of a kind that cannot be followed so.
    pub other_kind: u64,
    /// They named none.
    pub no_original: u64,
    /// Of the applied ones: reversals of more than was left.
    pub past_amount: u64,
}

impl FollowUpCounts {
    /// By name, as metrics tell them.
    pub fn rows(&self) -> [(&'static str, u64); 9] {
        [
            ("matched", self.matched),
            ("waited", self.waited),
            ("matched_later", self.matched_later),
            ("expired", self.expired),
            ("no_room", self.no_room),
            ("forgotten", self.forgotten),
            ("other_kind", self.other_kind),
            ("no_original", self.no_original),
            ("past_amount", self.past_amount),
        ]
    }
}

/// What became of the messages that follow a payment, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FollowUps([FollowUpCounts; FollowKind::ALL.len()]);

impl FollowUps {
    fn fields(counts: &mut FollowUpCounts) -> [&mut u64; 9] {
        let FollowUpCounts {
            matched,
            waited,
            matched_later,
            expired,
            no_room,
            forgotten,
            other_kind,
            no_original,
            past_amount,
        } = counts;
        [matched, waited, matched_later, expired, no_room, forgotten, other_kind, no_original, past_amount]
    }
    /// Writes them.
    pub fn save(&self, to: &mut Writer<'_>) {
        self.0.clone().iter_mut().flat_map(FollowUps::fields).for_each(|count| to.u64(*count));
    }
    /// What [`FollowUps::save`] wrote.
    ///
    /// # Errors
    /// Whatever the source returns.
    pub fn load(from: &mut Reader<'_>) -> Result<FollowUps, Error> {
        let mut all = FollowUps::default();
        for count in all.0.iter_mut().flat_map(FollowUps::fields) {
            *count = from.u64()?;
        }
        Ok(all)
    }
    /// The counts of a kind.
    pub fn of(&self, kind: FollowKind) -> &FollowUpCounts {
        &self.0[kind as usize]
    }
    pub(crate) fn of_mut(&mut self, kind: FollowKind) -> &mut FollowUpCounts {
        &mut self.0[kind as usize]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn follow(sequence: u64, kind: FollowKind) -> FollowUp {
        FollowUp { kind, sequence, amount_minor: Some(5), currency: None }
    }
    fn sequences(waiters: &[Waiter]) -> Vec<u64> {
        waiters.iter().map(|waiter| waiter.follow.sequence).collect()
    }
    fn nothing_is_left(waiting: &Waiting) {
        assert!(waiting.is_empty() && waiting.by_key.is_empty() && waiting.by_tenant.is_empty());
    }

    #[test]
    fn what_waits_is_handed_out_once_in_order_to_its_tenants_payment_of_a_kind_it_may_follow() {
        let mut waiting = Waiting::new(WaitingLimits::default());
        let (acme, other): (Arc<str>, Arc<str>) = ("acme".into(), "other".into());
        waiting.expire(0);
        for (sequence, kind) in
            [(1, FollowKind::Reversal), (2, FollowKind::Completion), (3, FollowKind::Reversal)]
        {
            assert!(waiting.wait(&acme, &[10, 11], follow(sequence, kind)));
        }
        assert!(waiting.wait(&other, &[10], follow(4, FollowKind::Reversal)));
        assert!(waiting.take("acme", [12], TransactionKind::Request).is_empty());
        assert!(waiting.take("acme", [10], TransactionKind::Reversal).is_empty());
        assert_eq!(sequences(&waiting.take("acme", [11], TransactionKind::Refund)), [1, 3]);
        assert_eq!(sequences(&waiting.take("acme", [10, 11], TransactionKind::Request)), [2]);
        assert_eq!(sequences(&waiting.take("other", [10], TransactionKind::Request)), [4]);
        nothing_is_left(&waiting);
    }

    #[test]
    fn the_bounds_are_of_all_of_a_tenant_and_of_time_by_a_clock_that_does_not_go_back() {
        let mut waiting = Waiting::new(WaitingLimits { all_max: 3, tenant_max: 2, wait_ms: 100 });
        let tenants: [Arc<str>; 3] = ["a".into(), "b".into(), "c".into()];
        waiting.expire(1000);
        assert!(waiting.wait(&tenants[0], &[1], follow(1, FollowKind::Reversal)));
        waiting.expire(900);
        assert!(waiting.wait(&tenants[0], &[1], follow(2, FollowKind::Reversal)));
        assert!(!waiting.wait(&tenants[0], &[1], follow(3, FollowKind::Reversal)), "two of a tenant");
        assert!(waiting.wait(&tenants[1], &[2], follow(4, FollowKind::Reversal)));
        assert!(!waiting.wait(&tenants[2], &[3], follow(5, FollowKind::Reversal)), "three of all");
        assert_eq!(waiting.len(), 3);
        let mut waiting = Waiting::from_parts(waiting.limits, waiting.clock_ms(), waiting.iter().cloned());
        assert!(!waiting.wait(&tenants[0], &[1], follow(6, FollowKind::Reversal)), "as before");
        assert!(waiting.expire(1100).is_empty(), "a hundred ms are not too long");
        assert_eq!(sequences(&waiting.expire(1101)), [1, 2, 4]);
        nothing_is_left(&waiting);
    }
}
