//! What a generation computes: the packs' feature groups, checked once, with their filters and the rates that
//! convert amounts. Immutable, shared by the sequencer and whoever needs the slots' order.

use crate::domain::{Aggregate, Currency, FeatureSpec, Field, KeyId, KeySpec, Transaction, ValueType};
use crate::error::{Error, ErrorKind};
use crate::limits::{
    FEATURE_KEY_PARTS_MAX, FEATURE_SLOTS_MAX, FEATURE_SPAN_MS_MAX, SPACES_MAX, WINDOWS_PER_SPACE_MAX,
};
use foldhash::quality::FixedState;
use std::fmt;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

/// A group's compiled condition over the transaction's own fields; `None` is undecided and does not count.
pub type Filter = Arc<dyn Fn(&Transaction) -> Option<bool> + Send + Sync>;

/// Exchange rates by time.
pub trait Rates: Send + Sync {
    /// `minor` units of `from` in minor units of `to` at `time_ms` (ms since the Unix epoch); `None` where there is
    /// no rate. Not asked when the two are the same.
    fn convert(&self, minor: i64, from: Currency, to: Currency, time_ms: i64) -> Option<i64>;
}

/// One part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Identifier(Field),
    IpPrefix,
}

/// A group, ready to run.
pub(crate) struct Group {
    pub spec: FeatureSpec,
    pub filter: Option<Filter>,
    parts: Vec<Part>,
    /// Longest window plus delay, ms.
    pub span_ms: i64,
    /// Whether any aggregate needs amounts, values, or labels at the delayed end.
    pub amounts: bool,
    pub distinct: Option<Field>,
    pub undelayed: bool,
    pub delayed: bool,
    pub slots: usize,
}

/// The feature groups of a generation, in slot order.
pub struct FeaturePlan {
    groups: Vec<Arc<Group>>,
    rates: Arc<dyn Rates>,
    slots: Vec<(String, &'static str)>,
}

impl fmt::Debug for FeaturePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeaturePlan").field("slots", &self.slots).finish_non_exhaustive()
    }
}

impl FeaturePlan {
    /// The plan of some groups, each with its compiled filter where its spec has one.
    ///
    /// # Errors
    /// `Invalid` for a group that means nothing (no identifier in the key, unordered windows, a sum without
    /// currency, `distinct` without identifier, a name twice), `TooLarge` past a bound of `limits.rs`.
    pub fn new(
        groups: Vec<(FeatureSpec, Option<Filter>)>,
        rates: Arc<dyn Rates>,
    ) -> Result<FeaturePlan, Error> {
        if groups.len() > SPACES_MAX {
            let message = format!("{} feature groups, limit {SPACES_MAX}", groups.len());
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let mut slots: Vec<(String, &'static str)> = Vec::new();
        let mut checked: Vec<Arc<Group>> = Vec::new();
        for (spec, filter) in groups {
            if checked.iter().any(|group| group.spec.name == spec.name) {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    format!("two feature groups named \"{}\"", spec.name),
                ));
            }
            slots.extend(spec.slots());
            checked.push(Arc::new(Group::new(spec, filter)?));
        }
        if slots.len() > FEATURE_SLOTS_MAX {
            let message = format!("{} feature slots, limit {FEATURE_SLOTS_MAX}", slots.len());
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok(FeaturePlan { groups: checked, rates, slots })
    }

    /// A plan without any feature.
    pub fn empty() -> FeaturePlan {
        struct NoRates;
        impl Rates for NoRates {
            fn convert(&self, _: i64, _: Currency, _: Currency, _: i64) -> Option<i64> {
                None
            }
        }
        FeaturePlan { groups: Vec::new(), rates: Arc::new(NoRates), slots: Vec::new() }
    }

    /// Paths and units, in slot order: the groups in order, each as `FeatureSpec::slots` has them.
    pub fn slots(&self) -> &[(String, &'static str)] {
        &self.slots
    }
    /// How many slots there are: as many stamps as every transaction gets.
    pub fn len(&self) -> usize {
        self.slots.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
    /// Where each slot's value stands among the stamps of another plan; `None` for a group that the other one lacks or
    /// has otherwise. A payment is judged again by what was stamped when it came: what nobody counted then is undecided.
    pub fn carry(&self, from: &FeaturePlan) -> Vec<Option<u16>> {
        let starts = |plan: &FeaturePlan| {
            let starts = plan.groups.iter().scan(0, |next, group| {
                let start = *next;
                *next += group.slots;
                Some(start)
            });
            starts.collect::<Vec<_>>()
        };
        let theirs = starts(from);
        let mut out = Vec::with_capacity(self.len());
        for group in &self.groups {
            let same = from.groups.iter().zip(&theirs).find(|(other, _)| other.spec == group.spec);
            out.extend((0..group.slots).map(|at| same.map(|(_, start)| (start + at) as u16)));
        }
        out
    }
    /// The groups' specs, in order.
    pub fn specs(&self) -> impl ExactSizeIterator<Item = &FeatureSpec> {
        self.groups.iter().map(|group| &group.spec)
    }
    pub(crate) fn groups(&self) -> &[Arc<Group>] {
        &self.groups
    }
    pub(crate) fn rates(&self) -> &dyn Rates {
        self.rates.as_ref()
    }
}

fn flatten(key: &KeySpec) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut waiting = vec![key];
    while let Some(key) = waiting.pop() {
        match key {
            KeySpec::Identifier(field) => parts.push(Part::Identifier(*field)),
            KeySpec::IpPrefix => parts.push(Part::IpPrefix),
            KeySpec::Pair(first, second) => waiting.extend([second.as_ref(), first.as_ref()]),
        }
        if parts.len() + waiting.len() > FEATURE_KEY_PARTS_MAX {
            return None;
        }
    }
    Some(parts)
}

impl Group {
    fn new(spec: FeatureSpec, filter: Option<Filter>) -> Result<Group, Error> {
        let name = spec.name.as_str();
        let invalid =
            |what: String| Err(Error::new(ErrorKind::Invalid, format!("feature group \"{name}\": {what}")));
        let large =
            |what: String| Err(Error::new(ErrorKind::TooLarge, format!("feature group \"{name}\": {what}")));
        let Some(parts) = flatten(&spec.key) else {
            return large(format!("more than {FEATURE_KEY_PARTS_MAX} identifiers in its key"));
        };
        for field in parts.iter().filter_map(|part| match part {
            Part::Identifier(field) => Some(*field),
            Part::IpPrefix => None,
        }) {
            if field.def().ty != ValueType::Tag {
                return invalid(format!("key {} is not an identifier", field.def().path));
            }
        }
        if spec.windows.len() > WINDOWS_PER_SPACE_MAX {
            return large(format!("{} windows, limit {WINDOWS_PER_SPACE_MAX}", spec.windows.len()));
        }
        if let Some((window, ms)) = spec.windows.iter().find(|(_, ms)| *ms <= 0) {
            return invalid(format!("window {window} of {ms} ms, expected more than 0"));
        }
        if let Some(pair) = spec.windows.windows(2).find(|pair| pair[0].1 >= pair[1].1) {
            return invalid(format!("window {} after {}, expected ascending windows", pair[1].0, pair[0].0));
        }
        if spec.delay_ms < 0 {
            return invalid(format!("delay of {} ms, expected 0 or more", spec.delay_ms));
        }
        let longest_ms = spec.windows.last().map_or(0, |(_, ms)| *ms);
        let span_ms = longest_ms.saturating_add(spec.delay_ms);
        if span_ms > FEATURE_SPAN_MS_MAX {
            return large(format!("window and delay of {span_ms} ms, limit {FEATURE_SPAN_MS_MAX}"));
        }
        let has = |wanted: &[Aggregate]| spec.aggregates.iter().any(|aggregate| wanted.contains(aggregate));
        let amounts = has(&[Aggregate::Sum, Aggregate::Max, Aggregate::Mean]);
        if amounts && spec.currency.is_none() {
            return invalid("sum, max or mean without a currency".into());
        }
        let distinct = if has(&[Aggregate::Distinct]) {
            match spec.distinct {
                Some(field) if field.def().ty == ValueType::Tag => Some(field),
                Some(field) => return invalid(format!("distinct {} is not an identifier", field.def().path)),
                None => return invalid("distinct without an identifier to tell apart".into()),
            }
        } else {
            None
        };
        if spec.filter.is_some() != filter.is_some() {
            return invalid("its filter and the compiled filter handed over differ in being there".into());
        }
        let delayed = has(&[Aggregate::FraudShare, Aggregate::FraudCount]);
        let undelayed = amounts || has(&[Aggregate::Count, Aggregate::Distinct]);
        let slots = spec.slots().len();
        Ok(Group { parts, span_ms, amounts, distinct, undelayed, delayed, slots, filter, spec })
    }

    /// The transaction's key in this group; `None` when it lacks a part of it.
    pub fn key(&self, tx: &Transaction) -> Option<u128> {
        self.key_under(tx, KeyId::STATE)
    }
    /// What its key is under a tag key.
    pub fn key_under(&self, tx: &Transaction, under: KeyId) -> Option<u128> {
        if let [part] = self.parts.as_slice() {
            return part.of(tx, under);
        }
        let mut key = (0, 0);
        for part in &self.parts {
            let part = part.of(tx, under)?;
            key = (LOW.hash_one((key, part)), HIGH.hash_one((key, part)));
        }
        Some(u128::from(key.0) | u128::from(key.1) << 64)
    }

    /// Whether the transaction counts in this group, given that it has a key.
    pub fn counts(&self, tx: &Transaction) -> bool {
        self.spec.kinds.contains(&tx.kind)
            && self.filter.as_ref().is_none_or(|filter| filter(tx) == Some(true))
    }
}

// Two seeds, so that a pair's key has 128 bits; fixed, so that a run repeats.
const LOW: FixedState = FixedState::with_seed(0x0001_5eed);
const HIGH: FixedState = FixedState::with_seed(0x0002_5eed);

impl Part {
    fn of(self, tx: &Transaction, under: KeyId) -> Option<u128> {
        match self {
            Part::Identifier(field) => tx.tag(field, under).map(|tag| tag.0),
            Part::IpPrefix => match tx.get(Field::DeviceIp)? {
                crate::domain::Value::Ip(ip) => Some(prefix(ip)),
                _ => None,
            },
        }
    }
}

/// The /24 of IPv4 (also where it is written as IPv6), the /48 of IPv6.
fn prefix(ip: IpAddr) -> u128 {
    match ip.to_canonical() {
        IpAddr::V4(v4) => 4 << 64 | u128::from(u32::from(v4) >> 8),
        IpAddr::V6(v6) => 6 << 64 | u128::from(v6) >> 80,
    }
}
