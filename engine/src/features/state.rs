//! The features of every tenant, owned by the sequencer: apply a transaction, get its stamps; labels, reversals and
//! completions find what they mean by its sequence. No clock, no I/O, the same results for the same order of events.

use super::answer::Stamps;
use super::block::Event;
use super::change::{Change, Target};
use super::figures::{Found, GroupStats, StateLimits, Stats};
use super::follow::{FollowKind, FollowUp};
use super::kernels::Kernel;
use super::originals::{Handle, Original, Originals};
use super::plan::{FeaturePlan, Group, Rates};
use super::rename::Value;
use super::space::{Hashed, Key, Now, Run, Space, hash_of, horizon_ms};
use crate::domain::record::Stamp;
use crate::domain::{Currency, Field, KeyId, Label, OnReversal, Transaction};
use crate::error::Error;
use crate::image::{Reader, Writer, senseless};
use crate::limits::{FEATURE_AMOUNT_MINOR_MAX, FEATURE_TENANTS_MAX, SPACES_MAX};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The features of every tenant.
pub struct FeatureState {
    plan: Arc<FeaturePlan>,
    limits: StateLimits,
    kernel: Kernel,
    tenants: Vec<Tenant>,
    by_name: HashMap<Arc<str>, usize, FixedState>,
    next_uid: u32,
    /// Most keys a group, of the tenants that may have fewer than the rest.
    keys_max: HashMap<Arc<str>, usize, FixedState>,
    unknown_targets: u64,
    keys: Vec<Option<Hashed>>,
    approximate: Vec<u16>,
}

/// One tenant's features; nothing is shared between tenants.
struct Tenant {
    /// Latest event time, ms; no event moves it ahead of its arrival by more than the lateness bound.
    high_ms: i64,
    runs: Vec<Run>,
    originals: Originals,
    limits: StateLimits,
}

impl FeatureState {
    /// An empty state, with the fastest kernels that the processor runs.
    pub fn new(plan: Arc<FeaturePlan>, limits: StateLimits) -> Self {
        Self::with_kernel(plan, limits, Kernel::detect())
    }
    /// An empty state with given kernels; the results are the same with all.
    pub fn with_kernel(plan: Arc<FeaturePlan>, limits: StateLimits, kernel: Kernel) -> Self {
        FeatureState {
            plan,
            limits,
            kernel,
            tenants: Vec::new(),
            by_name: HashMap::default(),
            next_uid: 0,
            keys_max: HashMap::default(),
            unknown_targets: 0,
            keys: Vec::new(),
            approximate: Vec::new(),
        }
    }
    /// With fewer keys a group for some tenants; to be said before their first transaction. A tenant at its bound
    /// evicts its own keys, never another's.
    #[must_use]
    pub fn with_tenant_keys(mut self, keys_max: impl IntoIterator<Item = (Arc<str>, usize)>) -> Self {
        self.keys_max.extend(keys_max);
        self
    }
    /// Changes the plan: groups whose spec is equal keep their state, others begin with the next transaction.
    pub fn replan(&mut self, plan: Arc<FeaturePlan>) {
        for tenant in &mut self.tenants {
            let mut old = std::mem::take(&mut tenant.runs);
            for group in plan.groups() {
                let space = match old.iter().position(|(before, _)| before.spec == group.spec) {
                    Some(at) => old.swap_remove(at).1,
                    None => new_space(&mut self.next_uid, group, &tenant.limits),
                };
                tenant.runs.push((group.clone(), space));
            }
        }
        self.plan = plan;
    }
    /// Its bounds, and those of tenants that have others, as a text.
    pub fn bounds(&self) -> String {
        let own: BTreeMap<_, _> = self.keys_max.iter().collect();
        format!("{:?} {own:?}", self.limits)
    }
    /// Writes all of it, the tenants in the order in which they came.
    pub fn save(&self, to: &mut Writer<'_>) {
        let mut names = vec![""; self.tenants.len()];
        self.by_name.iter().for_each(|(name, number)| names[*number] = name);
        to.u32(self.next_uid);
        to.u64(self.unknown_targets);
        to.count(self.tenants.len());
        for (name, tenant) in names.into_iter().zip(&self.tenants) {
            to.text(name);
            to.i64(tenant.high_ms);
            tenant.originals.save(to);
            to.count(tenant.runs.len());
            tenant.runs.iter().for_each(|(_, space)| space.save(to));
        }
    }
    /// What [`FeatureState::save`] wrote, into a state without tenants, of the same plan and bounds.
    ///
    /// # Errors
    /// `Corrupt` for what cannot have been written; whatever the source returns.
    pub fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Error> {
        assert!(self.tenants.is_empty(), "an image is the whole state");
        (self.next_uid, self.unknown_targets) = (from.u32()?, from.u64()?);
        for number in 0..from.count(FEATURE_TENANTS_MAX)? {
            let name: Arc<str> = from.text()?.into();
            let limits = self.limits_of(&name);
            let high_ms = from.i64()?;
            let originals = Originals::load(from, limits.originals_max)?;
            let plan = self.plan.clone();
            if from.count(SPACES_MAX)? != plan.groups().len() {
                return Err(senseless("other feature groups than its generation has"));
            }
            let space = |group: &Arc<Group>| Ok((group.clone(), Space::load(from, &limits)?));
            let runs = plan.groups().iter().map(space).collect::<Result<_, Error>>()?;
            self.tenants.push(Tenant { high_ms, runs, originals, limits });
            self.by_name.insert(name, number);
        }
        Ok(())
    }
    /// Fetches into the cache what `apply` of these transactions will read. Changes no result.
    pub fn prefetch(&self, batch: &[&Transaction]) {
        let mut probes: SmallVec<[(&Space, Hashed); 64]> = SmallVec::new();
        for tx in batch {
            let Some(tenant) = self.by_name.get(&tx.tenant) else { continue };
            for (group, space) in &self.tenants[*tenant].runs {
                if let Some(key) = group.key(tx).map(|key| (key, hash_of(key))) {
                    space.prefetch_index(key);
                    probes.push((space, key));
                }
            }
        }
        let headers: SmallVec<[Option<u32>; 64]> =
            probes.iter().map(|(space, key)| space.prefetch_header(*key)).collect();
        for ((space, _), number) in probes.iter().zip(headers) {
            if let Some(number) = number {
                space.prefetch_block(number);
            }
        }
    }

    /// Counts a transaction and appends its stamps, one per slot of the plan; `None` is undecided. Sequences ascend;
    /// `arrival_ms` is ms since the Unix epoch.
    pub fn apply(&mut self, sequence: u64, arrival_ms: i64, tx: &Transaction, out: &mut Vec<Stamp>) {
        self.approximate.clear();
        let Some(number) = self.tenant(&tx.tenant) else {
            out.extend(std::iter::repeat_n(None, self.plan.len()));
            return;
        };
        let tenant = &mut self.tenants[number];
        let ahead_ms = arrival_ms.saturating_add(self.limits.lateness_ms);
        let time_ms = tx.time_ms.min(ahead_ms);
        tenant.high_ms = tenant.high_ms.max(time_ms);
        let now = Now {
            kernel: self.kernel,
            limits: tenant.limits,
            sequence,
            time_ms: tx.time_ms,
            high_ms: tenant.high_ms,
        };
        self.keys.clear();
        for (group, space) in &tenant.runs {
            let key = group.key(tx).map(|key| (key, hash_of(key)));
            if let Some(key) = key {
                space.prefetch_index(key);
            }
            self.keys.push(key);
        }
        // None but for a time after a rotation of the tag keys.
        let earlier = tx.keyed().earlier.len().min(KeyId::EARLIER.len());
        let was: SmallVec<[SmallVec<[u128; KeyId::EARLIER.len()]>; SPACES_MAX]> = match earlier {
            0 => SmallVec::new(),
            _ => rename(tenant, self.kernel, tx, &KeyId::EARLIER[..earlier], &self.keys),
        };
        let headers: SmallVec<[Option<u32>; SPACES_MAX]> = tenant
            .runs
            .iter()
            .zip(&self.keys)
            .map(|((_, space), key)| key.and_then(|key| space.prefetch_header(key)))
            .collect();
        for ((_, space), header) in tenant.runs.iter().zip(&headers) {
            if let Some(header) = header {
                space.prefetch_block(*header);
            }
        }
        let mut handles: SmallVec<[Handle; SPACES_MAX]> = SmallVec::new();
        let mut stamps = Stamps::new(out, &mut self.approximate);
        for (at, ((group, space), key)) in tenant.runs.iter_mut().zip(&self.keys).enumerate() {
            space.begin(time_ms);
            let was = was.get(at).map_or(&[][..], |was| was.as_slice());
            let key = key.map(|hashed| Key { hashed, was });
            let event =
                (key.is_some() && group.counts(tx)).then(|| event(group, self.plan.rates(), sequence, tx));
            if let Some(header) = space.apply(&now, group, key, event, &mut stamps) {
                handles.push((space.uid, header));
            }
        }
        let amount = (tx.int(Field::AmountMinor), tx.text(Field::AmountCurrency));
        tenant.originals.push(sequence, (tx.kind, tx.time_ms), amount, &handles);
    }
    fn tenant(&mut self, name: &Arc<str>) -> Option<usize> {
        if let Some(number) = self.by_name.get(name) {
            return Some(*number);
        }
        if self.tenants.len() >= FEATURE_TENANTS_MAX {
            return None;
        }
        let limits = self.limits_of(name);
        let new = |group: &Arc<Group>| (group.clone(), new_space(&mut self.next_uid, group, &limits));
        let runs = self.plan.groups().iter().map(new).collect();
        let originals = Originals::new(self.limits.originals_max);
        self.tenants.push(Tenant { high_ms: i64::MIN, runs, originals, limits });
        self.by_name.insert(name.clone(), self.tenants.len() - 1);
        Some(self.tenants.len() - 1)
    }

    fn limits_of(&self, name: &str) -> StateLimits {
        let own_max = self.keys_max.get(name).copied().unwrap_or(usize::MAX);
        StateLimits { keys_max: self.limits.keys_max.min(own_max), ..self.limits }
    }

    /// Slots, of those that the latest `apply` stamped, whose value is approximate: their window reaches past the
    /// key's exact events into panes (limits.rs). Ascending; never an undecided one.
    pub fn approximate(&self) -> &[u16] {
        &self.approximate
    }

    /// Marks a transaction's events as fraud, or not.
    pub fn label(&mut self, tenant: &str, target: u64, label: Label) -> Found {
        let is = label == Label::Fraud;
        let Some(tenant) = self.by_name.get(tenant).copied() else { return self.unknown() };
        let Some((before, _)) = self.note(tenant, target, |original| original.fraud = is) else {
            return self.unknown();
        };
        self.change(tenant, &before, |_| Some(Change::Fraud { was: before.fraud, is }));
        Found::Applied
    }
    /// Lets a transaction's amount follow what became of it, in the groups that net reversals: a reversal takes off,
    /// not below 0; a completion replaces. A reversed completion is taken off what it completed, too. Amounts of
    /// another currency than the transaction's are converted at its event time; without a rate its amount is unknown.
    pub fn follow(&mut self, tenant: &str, target: u64, follow: &FollowUp) -> Found {
        let Some(tenant) = self.by_name.get(tenant).copied() else { return self.unknown() };
        let originals = &mut self.tenants[tenant].originals;
        match originals.find(target).map(|original| original.kind) {
            None => return self.unknown(),
            Some(kind) if !follow.kind.may_follow(kind) => return Found::OtherKind,
            Some(_) => {}
        }
        let mut follow = *follow;
        if follow.kind == FollowKind::Completion {
            // One that waited may have been reversed itself meanwhile.
            if let Some(own) = originals.find(follow.sequence) {
                follow.amount_minor = own.left_minor();
            }
            originals.note_completed(follow.sequence, target);
        }
        let is_past = self.follow_one(tenant, target, &follow);
        let completed = self.tenants[tenant].originals.completed_by(target);
        if let Some(completed) = completed.filter(|_| follow.kind == FollowKind::Reversal) {
            self.follow_one(tenant, completed, &follow);
        }
        if is_past { Found::PastAmount } else { Found::Applied }
    }
    /// What completions and reversals have left of a transaction's amount, and where it is a completion of what it
    /// completed, each with its sequence; an amount of `None` is not known. Nothing of what is not known.
    pub fn left(&mut self, tenant: &str, target: u64) -> [Option<(u64, Option<i64>)>; 2] {
        let Some(tenant) = self.by_name.get(tenant).copied() else { return [None; 2] };
        let originals = &mut self.tenants[tenant].originals;
        [Some(target), originals.completed_by(target)].map(|sequence| {
            let original = originals.find(sequence?)?;
            Some((original.sequence, original.left_minor()))
        })
    }
    /// Whether a reversal would have taken more than was left.
    fn follow_one(&mut self, tenant: usize, target: u64, follow: &FollowUp) -> bool {
        let plan = self.plan.clone();
        let mut is_past = false;
        let noted = self.note(tenant, target, |original| {
            let minor = follow.amount_minor.map(|minor| minor.max(0));
            let own = minor.and_then(|minor| in_its_own(plan.rates(), original, minor, follow.currency));
            match follow.kind {
                FollowKind::Reversal if minor.is_none() => original.take_all(),
                FollowKind::Reversal => is_past = original.take(own),
                FollowKind::Completion => original.complete(own),
            }
        });
        let Some((before, after)) = noted else { return false };
        self.change(tenant, &before, |group| {
            if !group.amounts || group.spec.on_reversal != OnReversal::Net {
                return None;
            }
            let own = |minor| converted(group, plan.rates(), minor, before.currency(), before.time_ms);
            let (before, after) = (before.left_minor().and_then(own), after.left_minor().and_then(own));
            Some(Change::Amount { before, after })
        });
        is_past
    }
    fn unknown(&mut self) -> Found {
        self.unknown_targets += 1;
        Found::Unknown
    }
    /// Notes something of a transaction; gives it as it was and as it is.
    fn note(
        &mut self,
        tenant: usize,
        target: u64,
        note: impl FnOnce(&mut Original),
    ) -> Option<(Original, Original)> {
        let original = self.tenants[tenant].originals.find(target)?;
        let before = *original;
        note(original);
        Some((before, *original))
    }
    /// Changes a transaction's event in each group, where it still counts.
    fn change(&mut self, tenant: usize, original: &Original, change: impl Fn(&Group) -> Option<Change>) {
        let Tenant { high_ms, runs, originals, limits } = &mut self.tenants[tenant];
        for (uid, number) in originals.handles(original) {
            // A group that a newer plan dropped is not there any more.
            let Some((group, space)) = runs.iter_mut().find(|(_, space)| space.uid == uid) else { continue };
            if let Some(change) = change(group) {
                let cutoff_ms = high_ms.saturating_sub(horizon_ms(group, limits));
                let target = Target { sequence: original.sequence, time_ms: original.time_ms, cutoff_ms };
                space.change(self.kernel, number, &target, &change);
            }
        }
    }

    /// The state's figures.
    pub fn stats(&self) -> Stats {
        let groups = self.plan.groups().iter().enumerate().map(|(at, group)| {
            let mut stats = GroupStats { name: group.spec.name.clone(), ..GroupStats::default() };
            for space in self.tenants.iter().map(|tenant| &tenant.runs[at].1) {
                stats.keys += space.keys as u64;
                stats.events += space.events as u64;
                stats.bytes += (space.bytes() + space.evicted_bytes()) as u64;
                stats.evictions += space.evictions;
                stats.late_beyond_horizon += space.late;
            }
            stats
        });
        Stats {
            tenants: self.tenants.len() as u64,
            unknown_targets: self.unknown_targets,
            groups: groups.collect(),
        }
    }
}

/// Moves what a transaction's keys were under earlier tag keys; what they were, by group.
#[cold]
fn rename(
    tenant: &mut Tenant,
    kernel: Kernel,
    tx: &Transaction,
    earlier: &[KeyId],
    keys: &[Option<Hashed>],
) -> SmallVec<[SmallVec<[u128; KeyId::EARLIER.len()]>; SPACES_MAX]> {
    let mut all = SmallVec::new();
    for ((group, space), hashed) in tenant.runs.iter_mut().zip(keys) {
        let Some(hashed) = *hashed else {
            all.push(SmallVec::new());
            continue;
        };
        let under = earlier.iter().filter_map(|under| group.key_under(tx, *under));
        let was: SmallVec<[u128; KeyId::EARLIER.len()]> = under.filter(|was| *was != hashed.0).collect();
        let value = |under| group.distinct.and_then(|field| tx.tag(field, under)).map(|tag| hash_of(tag.0));
        let values: SmallVec<[u32; KeyId::EARLIER.len()]> =
            earlier.iter().filter_map(|under| value(*under)).collect();
        let value = value(KeyId::STATE).map(|now| Value { now, was: &values });
        space.rename(kernel, Key { hashed, was: &was }, value);
        all.push(was);
    }
    all
}

fn new_space(next_uid: &mut u32, group: &Group, limits: &StateLimits) -> Space {
    *next_uid += 1;
    Space::new(*next_uid, group, limits)
}

fn event(group: &Group, rates: &dyn Rates, sequence: u64, tx: &Transaction) -> Event {
    let amount = if group.amounts {
        let minor = tx.int(Field::AmountMinor);
        minor.and_then(|minor| converted(group, rates, minor, tx.text(Field::AmountCurrency), tx.time_ms))
    } else {
        Some(0)
    };
    let value = group.distinct.and_then(|field| tx.tag(field, KeyId::STATE));
    Event { time_ms: tx.time_ms, sequence: sequence as u32, amount, value: value.map(|tag| hash_of(tag.0)) }
}

fn converted(group: &Group, rates: &dyn Rates, minor: i64, from: Option<&str>, time_ms: i64) -> Option<i64> {
    // Nothing is nothing in any currency.
    if minor == 0 {
        return Some(0);
    }
    let (from, to) = (from?, group.spec.currency?);
    // Comparing codes first: looking one up in the table costs more than all the rest.
    let minor =
        if from == to.code() { minor } else { rates.convert(minor, Currency::parse(from)?, to, time_ms)? };
    (-FEATURE_AMOUNT_MINOR_MAX..=FEATURE_AMOUNT_MINOR_MAX).contains(&minor).then_some(minor)
}

/// An amount in a transaction's own currency, minor units, at the rate of its event time.
fn in_its_own(rates: &dyn Rates, original: &Original, minor: i64, from: Option<Currency>) -> Option<i64> {
    match (from, original.currency()) {
        _ if minor == 0 => Some(0),
        (None, _) => Some(minor),
        (Some(from), Some(own)) if from.code() == own => Some(minor),
        (Some(from), own) => rates.convert(minor, from, Currency::parse(own?)?, original.time_ms),
    }
}
