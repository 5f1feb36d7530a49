//! The stage's work: every entry that hits a transaction, of its tenant's lists and the shared ones, valid at its
//! event time and visible at its sequence.

use super::check::{BIN_DIGITS, masked};
use super::index::ListBase;
use super::layers::List;
use super::layout::Row;
use super::meta::{ConsortiumList, ListMeta};
use super::overlay::{Added, Overlay};
use crate::domain::{Confirmation, Effect, Entry, Field, KeyId, Outcome, Subject, SubjectKind, Transaction, Value};
use crate::limits::HITS_RESERVED;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

/// An entry that hit a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The list's number in the view.
    pub list: u16,
    /// The entry's id within the list.
    pub entry: u64,
    /// The field that it hit.
    pub field: Field,
    /// What it does.
    pub effect: Effect,
    /// For a block: whether an override may cancel it.
    pub overridable: bool,
    /// 0 to 100.
    pub severity: u8,
    /// What a block of this list means.
    pub block_outcome: Outcome,
    /// For an override: the list, or the rule (`pack/rule`), it cancels.
    pub overrides: Option<Arc<str>>,
    /// Of a list of truncated tags: the hit is a candidate, and this is what it leads to until it is confirmed.
    pub unconfirmed: Option<Outcome>,
}

impl Hit {
    /// What the hit alone leads to; `None` for an override. A candidate never leads to more than it would confirmed.
    pub fn outcome(&self) -> Option<Outcome> {
        let confirmed = match self.effect {
            Effect::Flag => Outcome::Review,
            Effect::Block => self.block_outcome,
            Effect::Override => return None,
        };
        Some(self.unconfirmed.map_or(confirmed, |unconfirmed| unconfirmed.min(confirmed)))
    }
    /// Whether the hit is a candidate: its tag's first bits are an entry's, and nobody has said yet that all are.
    pub const fn is_candidate(&self) -> bool {
        self.unconfirmed.is_some()
    }
}

/// A lane's buffer of hits, reused from transaction to transaction. Sorted by list, entry and field.
#[derive(Debug, Clone)]
pub struct Hits(Vec<Hit>);

impl Default for Hits {
    fn default() -> Self {
        Hits::new()
    }
}

impl Hits {
    /// An empty buffer with room for `HITS_RESERVED` hits; only a transaction with more of them allocates.
    pub fn new() -> Hits {
        Hits(Vec::with_capacity(HITS_RESERVED))
    }
    /// Empties the buffer; its room stays.
    pub fn clear(&mut self) {
        self.0.clear();
    }
    /// Settles candidates by what was said of their fields: of one that is listed the hit counts, of one that is not it is
    /// none.
    pub fn settle(&mut self, confirmed: &[Confirmation]) {
        let said = |field: Field| confirmed.iter().find(|one| one.field == field as u8).map(|one| one.listed);
        self.0.retain_mut(|hit| match said(hit.field).filter(|_| hit.is_candidate()) {
            Some(true) => {
                hit.unconfirmed = None;
                true
            }
            Some(false) => false,
            None => true,
        });
    }
    /// The lists that hit, as bits by their numbers.
    pub fn lists(&self) -> u64 {
        self.0.iter().fold(0, |bits, hit| bits | 1 << hit.list)
    }
}

impl Deref for Hits {
    type Target = [Hit];
    fn deref(&self) -> &[Hit] {
        &self.0
    }
}

/// The lists as one transaction sees them: a generation's base under the overlay of the transaction's sequence.
#[derive(Clone, Copy)]
pub struct ListView<'a> {
    /// The lists of the generation.
    pub base: &'a ListBase,
    /// What deltas before the transaction have changed.
    pub overlay: &'a Overlay,
}

impl<'a> ListView<'a> {
    /// Asks the cache for what the probes of these transactions will read first; worth it before two or more, and
    /// before one with several identifiers.
    pub fn prefetch(&self, transactions: &[&Transaction]) {
        for transaction in transactions {
            for (field, key, tag) in transaction.tags() {
                if let (Some(kind), Some(key)) = (SubjectKind::of_field(*field), probed(*key)) {
                    let subject = self.base.cut(key, kind, *tag);
                    self.base.prefetch(key, &subject);
                    if key.consortium_slot().is_none() {
                        self.overlay.prefetch(&subject);
                    }
                }
            }
        }
    }

    /// Fills `hits` with every entry that hits the transaction, and nothing else.
    pub fn probe(&self, transaction: &Transaction, hits: &mut Hits) {
        hits.0.clear();
        let mut probe = Probe { view: *self, transaction, field: Field::Kind, hits: &mut hits.0 };
        for &(field, key, tag) in transaction.tags() {
            if let (Some(kind), Some(key)) = (SubjectKind::of_field(field), probed(key)) {
                probe.field = field;
                probe.tag(key, &self.base.cut(key, kind, tag));
            }
        }
        if let Some(Value::Ip(address)) = transaction.get(Field::DeviceIp) {
            probe.field = Field::DeviceIp;
            probe.ip(address.to_canonical());
        }
        if let Some((number, digits)) = transaction.text(Field::CardBin).and_then(bin) {
            probe.field = Field::CardBin;
            probe.bin(number, digits);
        }
        hits.0.sort_unstable_by_key(|hit| (hit.list, hit.entry, hit.field));
    }

    /// How many lists there are; their numbers are below it.
    pub fn len(&self) -> usize {
        self.base.len() + self.overlay.lists().len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// What a list is, by its number.
    pub fn list_meta(&self, number: u16) -> Option<&'a ListMeta> {
        self.base.meta(number).or_else(|| self.overlay.meta(number))
    }
    /// A list's name, by its number.
    pub fn list_name(&self, number: u16) -> Option<&'a str> {
        self.list_meta(number).map(|meta| meta.name.as_str())
    }
    /// The list that a name means to a tenant: its own, else the shared one; `None` where the list was declared but
    /// never loaded, which is not the same as a list without hits.
    pub fn find(&self, name: &str, tenant: &str) -> Option<u16> {
        self.number(name, Some(tenant)).or_else(|| self.number(name, None))
    }
    /// The number of the list of this name and owner (`None`: shared).
    pub fn number(&self, name: &str, owner: Option<&str>) -> Option<u16> {
        self.base.number(name, owner).or_else(|| self.overlay.number(name, owner))
    }
    /// An entry by list and id, live or ended, for `explain`; `None` where there is none, or it ended so long ago
    /// that it has been forgotten.
    pub fn entry(&self, list: u16, id: u64) -> Option<Entry> {
        self.base.entry(list, id).or_else(|| self.overlay.added(list, id).map(|added| added.entry.clone()))
    }
    /// When the subject of an entry was first heard of, ms since the Unix epoch, where its list says so.
    pub fn first_seen_ms(&self, list: u16, id: u64) -> Option<i64> {
        self.base.list(list).filter(|list| id < list.rows()).and_then(|list| list.first_seen_ms(id))
    }
    /// Whether two numbers are of one list to whoever names it: a consortium's list under both its keys has one name.
    pub fn is_one(&self, list: u16, other: u16) -> bool {
        list == other || self.base.twin(list) == Some(other)
    }
    /// From which sequence (exclusive) to which (inclusive) transactions see an entry: 0 for an entry of the base
    /// (whenever a delta put it there, where a fold did so since),
    /// `None` for one that has not ended.
    pub fn visibility(&self, list: u16, id: u64) -> Option<(u64, Option<u64>)> {
        let from = match self.base.list(list) {
            Some(base) if id < base.rows() => 0,
            _ => self.overlay.added(list, id)?.visible_from,
        };
        Some((from, self.overlay.ended_at(list, id)))
    }
    /// The live entry of a subject in a list.
    pub fn entry_of(&self, list: u16, subject: &Subject) -> Option<Entry> {
        if let Some(added) = self.overlay.current(subject).and_then(|c| c.iter().find(|a| a.list == list)) {
            return Some(added.entry.clone());
        }
        let row = self.base.list(list)?.row_of(subject)?;
        (!self.overlay.has_ended(list, row)).then(|| self.base.entry(list, row)).flatten()
    }
    /// How many live entries a list has. Walks over all that deltas have changed.
    pub fn live(&self, list: u16) -> usize {
        let base = self.base.list(list).map_or(0, List::len);
        let ended = self.overlay.ended_in_base().filter(|(of, _)| *of == list).count();
        (base as usize).saturating_sub(ended) + self.overlay.current_of_list(list).count()
    }
    /// Whether a list has live entries that deltas added, folded or not.
    pub fn has_additions(&self, list: u16) -> bool {
        let mut folded = self.base.list(list).into_iter().flat_map(List::added);
        folded.any(|row| !self.overlay.has_ended(list, row))
            || self.overlay.current_of_list(list).next().is_some()
    }
    /// The live entries of a list, in the order of their subjects: what a new base would be built of.
    pub fn entries(&self, list: u16) -> Vec<Entry> {
        let base = self.base.list(list).into_iter().flat_map(|list| list.entries());
        let kept = base.filter(|entry| !self.overlay.has_ended(list, entry.id));
        let added = self.overlay.current_of_list(list).map(|added| added.entry.clone());
        let mut out: Vec<Entry> = kept.chain(added).collect();
        out.sort_unstable_by_key(|entry| entry.subject);
        out
    }
}

/// The key that lists say of a tag made under `key`: a tenant's lists stay under its first state key when that is
/// rotated. `None`: no list is under it.
#[inline]
fn probed(key: KeyId) -> Option<KeyId> {
    match key {
        KeyId::STATE | KeyId::SHARED => Some(key),
        KeyId::LISTS => Some(KeyId::STATE),
        key => key.consortium_slot().map(|slot| KeyId::CONSORTIUM[slot]),
    }
}

/// The digits of a BIN slot, at most eight.
fn bin(text: &str) -> Option<(u32, u8)> {
    let digits = text.get(..text.len().min(usize::from(BIN_DIGITS)))?;
    let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten().map(|number| (number, digits.len() as u8))
}

struct Probe<'a, 'h> {
    view: ListView<'a>,
    transaction: &'a Transaction,
    field: Field,
    hits: &'h mut Vec<Hit>,
}

impl Probe<'_, '_> {
    #[inline]
    fn tag(&mut self, key: KeyId, subject: &Subject) {
        self.view.base.tagged(key, subject, |list, row, stored| self.stored(list, row, &stored));
        // What a consortium's lists hold is said by its epochs, never by deltas.
        if key.consortium_slot().is_some() {
            return;
        }
        if let Some(current) = self.view.overlay.current(subject) {
            for added in current {
                // A tag means something under its list's key only.
                if self.view.list_meta(added.list).is_some_and(|meta| meta.key() == key) {
                    self.added(added);
                }
            }
        }
    }
    fn ip(&mut self, address: IpAddr) {
        self.view.base.covering_ip(address, |list, row, stored| self.stored(list, row, &stored));
        let overlay = self.view.overlay;
        for prefix in overlay.lengths().of_ip(address) {
            let subject = Subject::Ip { network: masked(address, prefix), prefix };
            overlay.current(&subject).into_iter().flatten().for_each(|added| self.added(added));
        }
    }
    fn bin(&mut self, number: u32, digits: u8) {
        self.view.base.covering_bin(number, digits, |list, row, stored| self.stored(list, row, &stored));
        let overlay = self.view.overlay;
        for length in overlay.lengths().of_bin().take_while(|length| *length <= digits) {
            let number = number / 10u32.pow(u32::from(digits - length));
            let subject = Subject::Bin { number, digits: length };
            overlay.current(&subject).into_iter().flatten().for_each(|added| self.added(added));
        }
    }
    fn stored(&mut self, list: u16, row: u64, stored: &Row) {
        if !stored.is_valid_at(self.transaction.time_ms) || self.view.overlay.has_ended(list, row) {
            return;
        }
        let Some(meta) = self.view.base.meta(list).filter(|m| m.is_seen_by(&self.transaction.tenant)) else {
            return;
        };
        self.hits.push(Hit {
            list,
            entry: row,
            field: self.field,
            effect: stored.effect,
            overridable: stored.overridable,
            severity: stored.severity,
            block_outcome: meta.block_outcome,
            overrides: self.view.base.target(list, row, stored),
            unconfirmed: meta.consortium.filter(ConsortiumList::is_cut).map(|of| of.unconfirmed),
        });
    }
    fn added(&mut self, added: &Added) {
        if !added.entry.is_valid_at(self.transaction.time_ms) {
            return;
        }
        let meta = self.view.list_meta(added.list);
        let Some(meta) = meta.filter(|meta| meta.is_seen_by(&self.transaction.tenant)) else { return };
        self.hits.push(Hit {
            list: added.list,
            entry: added.entry.id,
            field: self.field,
            effect: added.entry.effect,
            overridable: added.entry.overridable,
            severity: added.entry.severity,
            block_outcome: meta.block_outcome,
            overrides: added.target.clone(),
            unconfirmed: None,
        });
    }
}
