//! All lists of a generation in one: one table per tag key and one set of ranges per address family and for BINs, so
//! that a probe costs the same for one list as for sixty-four.

use super::check::{BIN_DIGITS, address_bits};
use super::layers::{Layer, LayerKind, List};
use super::layout::Row;
use super::meta::ListMeta;
use super::ranges::Ranges;
use super::snapshot::Snapshot;
use super::table::Table;
use crate::domain::{Entry, KeyId, Subject, SubjectKind, Tag};
use crate::error::{Error, ErrorKind};
use crate::limits::{LIST_ENTRIES_MAX, LISTS_MAX};
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

const KINDS: usize = SubjectKind::ALL.len();

/// The lists of a generation, without what deltas have changed since; immutable.
pub struct ListBase {
    lists: Vec<List>,
    /// The first number of each list's rows among all rows, in list order; one more than there are lists.
    starts: Vec<u32>,
    /// Override targets by list, first row of their snapshot and string number, shared, so that a hit carries its
    /// target without allocating.
    targets: Vec<HashMap<(u64, u32), Arc<str>>>,
    /// Another list of each one's name, under the other version of the consortium's key.
    twins: Vec<Option<u16>>,
    state: Table,
    shared: Table,
    consortium: [Table; 2],
    /// By consortium key and kind: how many of a tag's bits its lists have.
    cuts: [[u8; KINDS]; 2],
    v4: Ranges<u32>,
    v6: Ranges<u128>,
    bins: Ranges<u32>,
}

impl fmt::Debug for ListBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListBase({:?})", self.lists)
    }
}

impl ListBase {
    /// Merges lists; a list's number is its place here.
    ///
    /// # Errors
    /// `TooLarge` past `LISTS_MAX` lists or `LIST_ENTRIES_MAX` entries; `Invalid` for two lists of one name and
    /// owner, and for tags that collide by design.
    pub fn new(lists: Vec<Snapshot>) -> Result<ListBase, Error> {
        ListBase::layered(lists.into_iter().map(|list| (LayerKind::File, list)).collect())
    }
    /// Merges lists of stacks of snapshots: those of one name and owner are one list, the first at its bottom; a
    /// list's number is its place among the bottoms.
    ///
    /// # Errors
    /// As [`ListBase::new`]; hidden rows count as entries, and a file that is not a bottom is a second one.
    pub fn layered(parts: Vec<(LayerKind, Snapshot)>) -> Result<ListBase, Error> {
        let rows: u64 = parts.iter().map(|(_, snapshot)| snapshot.len()).sum();
        if rows > LIST_ENTRIES_MAX {
            let message = format!("{rows} list entries in one generation, limit {LIST_ENTRIES_MAX}");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let mut lists: Vec<List> = Vec::new();
        for (part, (kind, snapshot)) in parts.into_iter().enumerate() {
            let meta = snapshot.meta();
            let known = lists.iter_mut().find(|list| list.meta().is_same(meta));
            match known {
                Some(_) if kind == LayerKind::File => {
                    let owner = meta.tenant.as_deref().unwrap_or("all tenants");
                    let message = format!("list {:?} of {owner:?} is there twice", meta.name);
                    return Err(Error::new(ErrorKind::Invalid, message));
                }
                Some(known) => known.put(kind, snapshot, part),
                None => lists.push(List::new(kind, snapshot, part)),
            }
        }
        if lists.len() > LISTS_MAX {
            let message = format!("{} lists in one generation, limit {LISTS_MAX}", lists.len());
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        ListBase::index(lists)
    }

    fn index(lists: Vec<List>) -> Result<ListBase, Error> {
        let mut starts = vec![0u32];
        for list in &lists {
            starts.push(starts[starts.len() - 1] + list.rows() as u32);
        }
        let targets = lists.iter().map(targets_of).collect();
        let cuts = cuts(&lists)?;
        let twin = |at: usize| {
            let meta = lists[at].meta();
            let is_twin = |(other, list): &(usize, &List)| {
                *other != at && list.meta().is(&meta.name, meta.tenant.as_deref())
            };
            lists.iter().enumerate().find(is_twin).map(|(other, _)| other as u16)
        };
        let twins = (0..lists.len()).map(twin).collect();
        let table = |key: KeyId| {
            let of_key = || (0..lists.len()).filter(|list| lists[*list].meta().key() == key);
            // Hidden ones are counted too: a table a little larger, and no pass more.
            let snapshots = of_key().flat_map(|list| lists[list].layers()).map(Layer::snapshot);
            let tags = snapshots.map(Snapshot::tags).sum();
            Table::new(tags, || {
                of_key().flat_map(|list| {
                    let start = starts[list];
                    let tags =
                        lists[list].visible().filter(|(_, row)| matches!(row.subject, Subject::Tag { .. }));
                    tags.map(move |(row, stored)| (stored.subject, start + row as u32))
                })
            })
        };
        let (state, shared) = (table(KeyId::STATE)?, table(KeyId::SHARED)?);
        let [even, odd] = KeyId::CONSORTIUM;
        let consortium = [table(even)?, table(odd)?];
        let (mut v4, mut v6, mut bins) = (Vec::new(), Vec::new(), Vec::new());
        for list in 0..lists.len() {
            for (row, stored) in lists[list].visible() {
                let number = starts[list] + row as u32;
                match stored.subject {
                    Subject::Ip { network, prefix } => {
                        let span = address_bits(network) - prefix;
                        match network {
                            IpAddr::V4(v) => v4.push((v.into(), last_v4(v.into(), span), number)),
                            IpAddr::V6(v) => v6.push((v.into(), last_v6(v.into(), span), number)),
                        }
                    }
                    Subject::Bin { number: prefix, digits } => {
                        let (first, last) = bin_interval(prefix, digits);
                        bins.push((first, last, number));
                    }
                    Subject::Tag { .. } => {}
                }
            }
        }
        let (v4, v6, bins) = (Ranges::new(v4), Ranges::new(v6), Ranges::new(bins));
        Ok(ListBase { starts, targets, twins, state, shared, consortium, cuts, v4, v6, bins, lists })
    }

    /// Refuses lists whose tags were made under other keys. `expected`: the fingerprint of the key that a list's tags
    /// should be under; `None` where that is not held, as of a version of the consortium's key.
    ///
    /// # Errors
    /// `Invalid`, naming the list and both fingerprints, or the version.
    pub fn check_keys(&self, expected: impl Fn(&ListMeta) -> Option<u64>) -> Result<(), Error> {
        let snapshots = self.lists.iter().flat_map(List::layers).map(Layer::snapshot);
        for meta in snapshots.filter(|snapshot| snapshot.has_tags()).map(Snapshot::meta) {
            let Some(ours) = expected(meta) else {
                let (name, version) = (&meta.name, meta.consortium.map_or(0, |of| of.version));
                let message = format!(
                    "list {name:?} is under version {version} of the consortium's key, which is not held"
                );
                return Err(Error::new(ErrorKind::Invalid, message));
            };
            if meta.key_check != ours {
                let message = format!(
                    "list {:?} was built under another key: fingerprint {:016x}, this node's is {ours:016x}",
                    meta.name, meta.key_check
                );
                return Err(Error::new(ErrorKind::Invalid, message));
            }
        }
        Ok(())
    }
    /// How many lists there are.
    pub fn len(&self) -> usize {
        self.lists.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }
    /// Entries of all lists together.
    pub fn entries(&self) -> u64 {
        self.lists.iter().map(List::len).sum()
    }
    /// A list by its number.
    pub fn list(&self, number: u16) -> Option<&List> {
        self.lists.get(usize::from(number))
    }
    /// The lists, by number.
    pub fn lists(&self) -> &[List] {
        &self.lists
    }
    /// What a list is, by its number.
    pub fn meta(&self, number: u16) -> Option<&ListMeta> {
        self.list(number).map(List::meta)
    }
    /// The number of the list of this name and owner (`None`: shared).
    pub fn number(&self, name: &str, tenant: Option<&str>) -> Option<u16> {
        self.lists.iter().position(|list| list.meta().is(name, tenant)).map(|number| number as u16)
    }
    /// The number of a list that is the same as one of another base.
    pub(super) fn number_of(&self, meta: &ListMeta) -> Option<u16> {
        self.lists.iter().position(|list| list.meta().is_same(meta)).map(|number| number as u16)
    }
    /// Whether any list has truncated tags, so that its hits are candidates.
    pub fn has_cut(&self) -> bool {
        self.cuts.iter().flatten().any(|bits| *bits < Tag::BITS)
    }
    /// Whether a tag under a consortium's key would be a candidate of a list.
    pub fn may_be_candidate(&self, key: KeyId, kind: SubjectKind, tag: Tag) -> bool {
        let Some(slot) = key.consortium_slot() else { return false };
        if self.cuts[slot][kind as usize] == Tag::BITS {
            return false;
        }
        let mut found = false;
        self.tagged(key, &self.cut(key, kind, tag), |_, _, _| found = true);
        found
    }
    /// The list of the same name under the other version of the consortium's key, where there is one.
    pub fn twin(&self, number: u16) -> Option<u16> {
        self.twins.get(usize::from(number)).copied().flatten()
    }
    /// Bytes of memory held by the index, without the snapshots' own bytes.
    pub fn memory_bytes(&self) -> usize {
        let tables = [&self.state, &self.shared].into_iter().chain(&self.consortium);
        tables.map(Table::memory_bytes).sum::<usize>()
            + self.v4.memory_bytes()
            + self.v6.memory_bytes()
            + self.bins.memory_bytes()
    }
    /// Bytes of the snapshots, mapped or held.
    pub fn snapshot_bytes(&self) -> usize {
        self.lists.iter().map(List::bytes_len).sum()
    }

    /// An entry by list and row; `None` where there is none.
    pub(super) fn entry(&self, list: u16, row: u64) -> Option<Entry> {
        self.list(list).filter(|list| row < list.rows()).map(|list| list.entry(row))
    }
    pub(super) fn target(&self, list: u16, row: u64, stored: &Row) -> Option<Arc<str>> {
        let (text, list) = (stored.overrides?, usize::from(list));
        self.targets[list].get(&(self.lists[list].start_of(row), text)).cloned()
    }
    fn table(&self, key: KeyId) -> Option<&Table> {
        match key {
            KeyId::STATE => Some(&self.state),
            KeyId::SHARED => Some(&self.shared),
            key => key.consortium_slot().map(|slot| &self.consortium[slot]),
        }
    }
    /// A tag as the lists under its key have it.
    #[inline]
    pub(super) fn cut(&self, key: KeyId, kind: SubjectKind, tag: Tag) -> Subject {
        let tag = key.consortium_slot().map_or(tag, |slot| tag.cut(self.cuts[slot][kind as usize]));
        Subject::Tag { kind, tag }
    }
    #[inline]
    pub(super) fn prefetch(&self, key: KeyId, subject: &Subject) {
        if let Some(table) = self.table(key) {
            table.prefetch(subject);
        }
    }
    /// Every entry with this tag in lists under this key: list, row number, row.
    #[inline]
    pub(super) fn tagged(&self, key: KeyId, subject: &Subject, mut each: impl FnMut(u16, u64, Row)) {
        if let Some(table) = self.table(key) {
            table.candidates(subject, |number| {
                let (list, row, stored) = self.locate(number);
                if stored.subject == *subject {
                    each(list, row, stored);
                }
            });
        }
    }
    /// Every entry whose prefix covers the address (an IPv4 address in IPv6 form is an IPv4 address).
    pub(super) fn covering_ip(&self, address: IpAddr, mut each: impl FnMut(u16, u64, Row)) {
        let mut found = |number: u32| {
            let (list, row, stored) = self.locate(number);
            each(list, row, stored);
        };
        match address {
            IpAddr::V4(v) => self.v4.covering(v.into(), v.into(), &mut found),
            IpAddr::V6(v) => self.v6.covering(v.into(), v.into(), &mut found),
        }
    }
    /// Every entry whose BIN prefix begins the BIN of `digits` digits.
    pub(super) fn covering_bin(&self, number: u32, digits: u8, mut each: impl FnMut(u16, u64, Row)) {
        let (first, last) = bin_interval(number, digits);
        self.bins.covering(first, last, |number| {
            let (list, row, stored) = self.locate(number);
            each(list, row, stored);
        });
    }
    fn locate(&self, number: u32) -> (u16, u64, Row) {
        let list = self.starts.partition_point(|start| *start <= number) - 1;
        let row = u64::from(number - self.starts[list]);
        (list as u16, row, self.lists[list].row(row))
    }
}

/// By consortium key and kind, the bits of the lists' tags. A payment's tag is looked for once, so they are the same in
/// all lists under a key that have the kind, and the two keys are of one version each.
fn cuts(lists: &[List]) -> Result<[[u8; KINDS]; 2], Error> {
    let (mut known, mut versions) = ([[None; KINDS]; 2], [None; 2]);
    for meta in lists.iter().map(List::meta) {
        let Some((of, slot)) = meta.consortium.zip(meta.key().consortium_slot()) else { continue };
        let version = *versions[slot].get_or_insert(of.version);
        if version != of.version {
            let message = format!(
                "list {:?} is under version {} of the consortium's key, others under {version}: two successive \
                 versions at once",
                meta.name, of.version
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
    }
    for list in lists {
        let Some((of, slot)) = list.meta().consortium.zip(list.meta().key().consortium_slot()) else {
            continue;
        };
        for (_, row) in list.visible() {
            let Subject::Tag { kind, .. } = row.subject else { continue };
            let bits = *known[slot][kind as usize].get_or_insert(of.bits);
            if bits != of.bits {
                let (name, kind) = (&list.meta().name, kind.name());
                let message = format!(
                    "list {name:?}: {kind} tags of {} bits, another list under its key has {bits}",
                    of.bits
                );
                return Err(Error::new(ErrorKind::Invalid, message));
            }
        }
    }
    Ok(known.map(|kinds| kinds.map(|bits| bits.unwrap_or(Tag::BITS))))
}

fn targets_of(list: &List) -> HashMap<(u64, u32), Arc<str>> {
    let mut out = HashMap::new();
    for (row, text) in list.visible().filter_map(|(row, stored)| Some((row, stored.overrides?))) {
        out.entry((list.start_of(row), text))
            .or_insert_with(|| list.text(row, text).expect("strings were checked at opening").into());
    }
    out
}

fn last_v4(first: u32, span: u8) -> u32 {
    first | u32::MAX.checked_shr(32 - u32::from(span)).unwrap_or(0)
}
fn last_v6(first: u128, span: u8) -> u128 {
    first | u128::MAX.checked_shr(128 - u32::from(span)).unwrap_or(0)
}
/// A BIN prefix as an interval of eight-digit numbers.
fn bin_interval(number: u32, digits: u8) -> (u32, u32) {
    let span = 10u32.pow(u32::from(BIN_DIGITS - digits));
    (number * span, number * span + (span - 1))
}
