//! Looking for subjects in a chunk: every row and field that one of them means. First by 32 bits of each value, with
//! SIMD ([`Kernel`]), which may say yes too often and never too seldom; then by the whole tag, address or BIN.

mod filter;
mod ranges;
mod kernel;
mod portable;
#[cfg(target_arch = "x86_64")]
mod avx2;

pub use filter::Filter;
pub use kernel::Kernel;

use super::column::{TagColumn, TagColumns, fingerprint};
use super::rows::Rows;
use interdict_engine::domain::{Field, KeyId, Subject, Tag};
use interdict_engine::lists::ListMeta;
use ranges::{BinPrefix, IpPrefix, Prefixes};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A row that a subject means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hit {
    /// The row's place in its chunk.
    pub row: u32,
    /// The field: an identifier, `device.ip` or `card.bin`.
    pub field: Field,
    /// Of an identifier: the key its tag is under, as lists say it; else [`KeyId::STATE`].
    pub key: KeyId,
}

/// Subjects to be looked for, as they are collected.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    tags: HashMap<u128, TagColumns>,
    /// Truncated ones, by how many bits they have.
    cut: BTreeMap<u8, HashMap<u128, TagColumns>>,
    ips: Prefixes<IpPrefix>,
    bins: Prefixes<BinPrefix>,
}

impl Wanted {
    /// Adds a subject of a tenant's own list, or of one that all tenants share (`None`).
    pub fn add(&mut self, tenant: Option<&str>, subject: &Subject) {
        match *subject {
            Subject::Tag { kind, tag } => {
                let key = if tenant.is_none() { KeyId::SHARED } else { KeyId::STATE };
                self.add_tag(tag.0, TagColumns::of_kind(kind, key));
            }
            Subject::Ip { network, prefix } => {
                if let Some(prefix) = IpPrefix::of(network, prefix) {
                    self.ips.add(prefix, tenant);
                }
            }
            Subject::Bin { number, digits } => {
                if let Some(prefix) = BinPrefix::of(number, digits) {
                    self.bins.add(prefix, tenant);
                }
            }
        }
    }
    /// Adds a subject of a list, by what the list is: of its tags as many bits are looked for as it has.
    pub fn add_of(&mut self, meta: &ListMeta, subject: &Subject) {
        match (*subject, meta.consortium) {
            (Subject::Tag { kind, tag }, Some(of)) => {
                let columns = TagColumns::of_kind(kind, meta.key());
                if of.is_cut() {
                    let known = self.cut.entry(of.bits).or_default().entry(tag.0).or_default();
                    *known = known.and(columns);
                } else {
                    self.add_tag(tag.0, columns);
                }
            }
            _ => self.add(meta.tenant.as_deref(), subject),
        }
    }
    /// Adds a tag, to be looked for in some columns.
    pub fn add_tag(&mut self, tag: u128, columns: TagColumns) {
        let known = self.tags.entry(tag).or_default();
        *known = known.and(columns);
    }
    /// How many subjects there are.
    pub fn len(&self) -> usize {
        let cut: usize = self.cut.values().map(HashMap::len).sum();
        self.tags.len() + cut + self.ips.len() + self.bins.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// What looks for them.
    pub fn build(self) -> Query {
        let mut sorted: Vec<(u128, TagColumns)> = self.tags.into_iter().collect();
        sorted.sort_unstable_by_key(|(tag, _)| *tag);
        let columns = sorted.iter().fold(TagColumns::default(), |all, (_, columns)| all.and(*columns));
        let fingerprints: Vec<u32> = sorted.iter().map(|(tag, _)| fingerprint(*tag)).collect();
        let filter = Filter::new(&fingerprints);
        let cut = self.cut.into_iter().map(|(bits, tags)| Cut::new(bits, tags)).collect();
        let (known, ips, bins) = (Known::new(sorted), self.ips.build(), self.bins.build());
        Query { filter, columns, known, cut, ips, bins }
    }
}

/// The wanted tags in order, and where those of the same first bits begin, so that a row's 16 bytes are read only where
/// its fingerprint is a wanted one.
#[derive(Debug, Clone, Default)]
struct Known {
    /// Ascending.
    tags: Vec<(u128, TagColumns)>,
    /// By the first bits of a fingerprint, the place of the first tag that is not below.
    starts: Vec<u32>,
    shift: u32,
}

impl Known {
    fn new(tags: Vec<(u128, TagColumns)>) -> Known {
        let bits = (usize::BITS - tags.len().leading_zeros()).clamp(1, 24);
        let shift = 32 - bits;
        let first = |tag: u128| (fingerprint(tag) >> shift) as usize;
        let mut starts = vec![0; (1 << bits) + 1];
        tags.iter().for_each(|(tag, _)| starts[first(*tag) + 1] += 1);
        for place in 1..starts.len() {
            starts[place] += starts[place - 1];
        }
        Known { tags, starts, shift }
    }
    /// The tags whose fingerprint is this one, which are few.
    fn of(&self, fingerprint: u32) -> impl Iterator<Item = &(u128, TagColumns)> {
        let bucket = (fingerprint >> self.shift) as usize;
        let tags = &self.tags[self.starts[bucket] as usize..self.starts[bucket + 1] as usize];
        tags.iter().filter(move |(tag, _)| super::fingerprint(*tag) == fingerprint)
    }
}

/// Truncated tags of one length. Of fewer than 32 bits, what is compared first is as many bits of the fingerprints.
#[derive(Debug, Clone)]
struct Cut {
    bits: u8,
    shift: u32,
    filter: Filter,
    columns: TagColumns,
    tags: HashMap<u128, TagColumns>,
}

impl Cut {
    fn new(bits: u8, tags: HashMap<u128, TagColumns>) -> Cut {
        let shift = 32u32.saturating_sub(bits.into());
        // A fingerprint that would be 0 is 1, of which nothing is left where any bit is shifted out; without a shift it
        // is what the rows have.
        let first: Vec<u32> = tags.keys().map(|tag| fingerprint(*tag) >> shift).collect();
        let columns = tags.values().fold(TagColumns::default(), |all, columns| all.and(*columns));
        Cut { bits, shift, filter: Filter::new(&first), columns, tags }
    }
    fn scan(&self, rows: &Rows<'_>, kernel: Kernel, scratch: &mut Scratch, hits: &mut Vec<Hit>) {
        for column in TagColumn::all().filter(|column| self.columns.has(*column)) {
            let Some(tags) = rows.tags[column.number()] else { continue };
            let Scratch { candidates, shifted } = scratch;
            candidates.clear();
            match self.shift {
                0 => kernel.find(&self.filter, tags.fingerprints, candidates),
                shift => {
                    shifted.clear();
                    shifted.extend(tags.fingerprints.iter().map(|value| value >> shift));
                    kernel.find(&self.filter, shifted, candidates);
                }
            }
            for &row in candidates.iter().filter(|row| tags.fingerprints[**row as usize] != 0) {
                let tag = Tag(u128::from_be_bytes(tags.tags[row as usize])).cut(self.bits);
                if self.tags.get(&tag.0).is_some_and(|columns| columns.has(column)) {
                    hits.push(Hit { row, field: column.field(), key: column.key() });
                }
            }
        }
    }
}

/// Looks for subjects. Built once, asked for each chunk.
#[derive(Debug, Clone)]
pub struct Query {
    filter: Filter,
    columns: TagColumns,
    known: Known,
    cut: Vec<Cut>,
    ips: ranges::Built<IpPrefix>,
    bins: ranges::Built<BinPrefix>,
}

/// Buffers of a scan, reused from chunk to chunk.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    candidates: Vec<u32>,
    shifted: Vec<u32>,
}

impl Query {
    /// Appends all hits of a chunk, by row, then field; each once.
    pub fn scan(&self, rows: &Rows<'_>, kernel: Kernel, scratch: &mut Scratch, hits: &mut Vec<Hit>) {
        let before = hits.len();
        for column in TagColumn::all().filter(|column| self.columns.has(*column)) {
            self.scan_column(rows, column, kernel, scratch, hits);
        }
        for cut in &self.cut {
            cut.scan(rows, kernel, scratch, hits);
        }
        let hit = |field| move |row| Hit { row, field, key: KeyId::STATE };
        hits.extend(self.ips.scan(rows).map(hit(Field::DeviceIp)));
        hits.extend(self.bins.scan(rows).map(hit(Field::CardBin)));
        hits[before..].sort_unstable();
        if !self.cut.is_empty() {
            // A whole tag and its first bits may both be wanted.
            let found = hits.split_off(before);
            hits.extend(found.into_iter().collect::<BTreeSet<Hit>>());
        }
    }

    fn scan_column(
        &self,
        rows: &Rows<'_>,
        column: TagColumn,
        kernel: Kernel,
        scratch: &mut Scratch,
        hits: &mut Vec<Hit>,
    ) {
        let Some(tags) = rows.tags[column.number()] else { return };
        scratch.candidates.clear();
        kernel.find(&self.filter, tags.fingerprints, &mut scratch.candidates);
        for &row in &scratch.candidates {
            let found = tags.fingerprints[row as usize];
            let mut same = self.known.of(found).filter(|(_, columns)| columns.has(column)).peekable();
            if same.peek().is_none() {
                continue;
            }
            let tag = u128::from_be_bytes(tags.tags[row as usize]);
            if same.any(|(wanted, _)| *wanted == tag) {
                hits.push(Hit { row, field: column.field(), key: column.key() });
            }
        }
    }
}
