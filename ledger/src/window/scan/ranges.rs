//! Prefixes of addresses and BINs. A prefix is a range of 32-bit values: a table of 65,536 bits says whether a value may
//! be in one, sorted ranges whether it is, and the prefixes themselves, by length, whether it is one of the row's family
//! and tenant.

use super::super::column::{Address, BIN_DIGITS};
use super::super::rows::{Row, Rows};
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;

/// What a prefix is of.
pub(super) trait Prefix: Copy + Eq + Hash + std::fmt::Debug {
    /// A row's value.
    type Value: Copy;
    /// Shifted by so much, a column's value is below 65,536.
    const SHIFT: u32;

    /// The first and the last value of the column that it may mean.
    fn range(self) -> (u32, u32);
    /// Names the group of prefixes that it is compared in: its length, and its family.
    fn length(self) -> u16;
    /// The column's values.
    fn column<'a>(rows: &Rows<'a>) -> &'a [u32];
    /// A row's whole value; `None` where it has none.
    fn value(row: &Row<'_, '_>) -> Option<Self::Value>;
    /// The one prefix of a group that may mean a value.
    fn of_length(value: Self::Value, length: u16) -> Option<Self>;
}

/// An IP prefix: bits at the low end, host bits zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct IpPrefix {
    family: u8,
    bits: u128,
    prefix: u8,
}

impl IpPrefix {
    /// The prefix of a network; `None` where it is longer than an address.
    pub(super) fn of(network: IpAddr, prefix: u8) -> Option<IpPrefix> {
        // As it stands, not in canonical form: lists keep IPv6 prefixes that cover mapped addresses as IPv6, and those
        // never meet an IPv4 address.
        let (family, bits) = match network {
            IpAddr::V4(v4) => (4, u128::from(u32::from(v4))),
            IpAddr::V6(v6) => (6, u128::from(v6)),
        };
        IpPrefix::cut(family, bits, prefix)
    }
    fn cut(family: u8, bits: u128, prefix: u8) -> Option<IpPrefix> {
        let host = (if family == 4 { 32u8 } else { 128 }).checked_sub(prefix)?;
        let mask = u128::MAX.checked_shl(u32::from(host)).unwrap_or(0);
        Some(IpPrefix { family, bits: bits & mask, prefix })
    }
}

impl Prefix for IpPrefix {
    type Value = Address;
    const SHIFT: u32 = 16;

    fn range(self) -> (u32, u32) {
        let lo = if self.family == 4 { self.bits as u32 } else { (self.bits >> 96) as u32 };
        let host = u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
        (lo, lo | host)
    }
    fn length(self) -> u16 {
        u16::from(self.family) << 8 | u16::from(self.prefix)
    }
    fn column<'a>(rows: &Rows<'a>) -> &'a [u32] {
        rows.ip_fingerprint
    }
    fn value(row: &Row<'_, '_>) -> Option<Address> {
        let address = row.ip();
        (address.family != 0).then_some(address)
    }
    fn of_length(value: Address, length: u16) -> Option<IpPrefix> {
        let (bits, _) = value.bits()?;
        let is_it = u16::from(value.family) == length >> 8;
        is_it.then(|| IpPrefix::cut(value.family, bits, length as u8)).flatten()
    }
}

/// A BIN prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct BinPrefix {
    number: u32,
    digits: u8,
}

impl BinPrefix {
    /// The prefix of so many digits; `None` where they are none or too many.
    pub(super) fn of(number: u32, digits: u8) -> Option<BinPrefix> {
        let fits = (1..=BIN_DIGITS).contains(&digits) && number < 10u32.pow(u32::from(digits));
        fits.then_some(BinPrefix { number, digits })
    }
}

/// What one step of the last of so many digits is, in eight.
fn step(digits: u8) -> u32 {
    10u32.pow(u32::from(BIN_DIGITS - digits))
}

impl Prefix for BinPrefix {
    type Value = (u32, u8);
    /// Eight digits are below 2^27.
    const SHIFT: u32 = 11;

    fn range(self) -> (u32, u32) {
        let lo = self.number * step(self.digits);
        (lo, lo + (step(self.digits) - 1))
    }
    fn length(self) -> u16 {
        u16::from(self.digits)
    }
    fn column<'a>(rows: &Rows<'a>) -> &'a [u32] {
        rows.bin
    }
    fn value(row: &Row<'_, '_>) -> Option<(u32, u8)> {
        row.bin()
    }
    fn of_length((bin, digits): (u32, u8), length: u16) -> Option<BinPrefix> {
        let length = length as u8;
        (length <= digits).then(|| BinPrefix { number: bin / step(length), digits: length })
    }
}

/// Whose rows a prefix means.
#[derive(Debug, Clone, Default)]
struct Whose {
    everybody: bool,
    tenants: HashSet<Box<str>>,
}

/// Prefixes as they are collected.
#[derive(Debug, Clone)]
pub(super) struct Prefixes<P>(HashMap<P, Whose>);

impl<P> Default for Prefixes<P> {
    fn default() -> Self {
        Prefixes(HashMap::new())
    }
}

impl<P: Prefix> Prefixes<P> {
    pub(super) fn add(&mut self, prefix: P, tenant: Option<&str>) {
        let whose = self.0.entry(prefix).or_default();
        match tenant {
            None => whose.everybody = true,
            Some(tenant) => drop(whose.tenants.insert(tenant.into())),
        }
    }
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
    pub(super) fn build(self) -> Built<P> {
        let mut ranges: Vec<(u32, u32)> = self.0.keys().map(|prefix| prefix.range()).collect();
        ranges.sort_unstable();
        ranges.dedup_by(|next, kept| {
            let joins = next.0 <= kept.1;
            if joins {
                kept.1 = kept.1.max(next.1);
            }
            joins
        });
        let mut table = vec![0; 1024];
        for (lo, hi) in &ranges {
            (lo >> P::SHIFT..=hi >> P::SHIFT).for_each(|bit| table[bit as usize / 64] |= 1 << (bit % 64));
        }
        let mut lengths: Vec<u16> = self.0.keys().map(|prefix| prefix.length()).collect();
        lengths.sort_unstable();
        lengths.dedup();
        Built { table, ranges, lengths, prefixes: self.0 }
    }
}

/// Prefixes to be looked for.
#[derive(Debug, Clone)]
pub(super) struct Built<P> {
    table: Vec<u64>,
    /// Ascending and apart.
    ranges: Vec<(u32, u32)>,
    lengths: Vec<u16>,
    prefixes: HashMap<P, Whose>,
}

impl<P: Prefix> Built<P> {
    /// The rows that a prefix means, ascending.
    pub(super) fn scan(&self, rows: &Rows<'_>) -> impl Iterator<Item = u32> {
        let values = if self.ranges.is_empty() { &[] } else { P::column(rows) };
        let may = move |value: u32| {
            let bit = (value >> P::SHIFT) as usize;
            self.table[bit / 64] >> (bit % 64) & 1 == 1 && self.is_in_range(value)
        };
        let places = values.iter().zip(0..).filter(move |(value, _)| may(**value));
        places.map(|(_, row)| row).filter(|row| self.means(&rows.row(*row as usize)))
    }
    fn is_in_range(&self, value: u32) -> bool {
        let after = self.ranges.partition_point(|(lo, _)| *lo <= value);
        after > 0 && value <= self.ranges[after - 1].1
    }
    fn means(&self, row: &Row<'_, '_>) -> bool {
        let Some(value) = P::value(row) else { return false };
        self.lengths.iter().any(|length| {
            let whose = P::of_length(value, *length).and_then(|prefix| self.prefixes.get(&prefix));
            whose.is_some_and(|whose| whose.everybody || whose.tenants.contains(row.tenant()))
        })
    }
}
