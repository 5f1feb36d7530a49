//! A normalised transaction: the catalogue's fields as typed slots, text in one arena, tags apart. Built once by
//! `ingest::normalise`, read by every stage, encoded into the journal in an open and a sealed part.

use super::catalogue::{Field, Sensitivity};
use super::slots::{Value, ValueType};
use super::tag::{KeyId, Tag};
use super::wire::{Each, append};
use crate::error::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// What a message about a payment is. An advice, a reversal and a completion are facts: they are recorded and get
/// no approve or decline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum TransactionKind {
    /// Asks for a decision (ISO 8583 x100, x200).
    Request = 0,
    /// Tells what was decided elsewhere (x120, x220).
    Advice = 1,
    /// Takes an earlier transaction back (x400, x420).
    Reversal = 2,
    /// Sends an earlier request again (x101, x201); the same payment under the same key.
    Repeat = 3,
    /// Completes an earlier authorization with its final amount.
    Completion = 4,
    /// Pays money back to the payer.
    Refund = 5,
}

impl TransactionKind {
    /// All kinds with their names.
    pub const ALL: [TransactionKind; 6] =
        [Self::Request, Self::Advice, Self::Reversal, Self::Repeat, Self::Completion, Self::Refund];

    /// The kind's name, as on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Advice => "advice",
            Self::Reversal => "reversal",
            Self::Repeat => "repeat",
            Self::Completion => "completion",
            Self::Refund => "refund",
        }
    }
    /// The kind of a name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
    /// Whether the message states a fact, so that its verdict is `recorded`.
    pub const fn is_fact(self) -> bool {
        matches!(self, Self::Advice | Self::Reversal | Self::Completion)
    }
}

/// The channels of wire.md.
pub const CHANNELS: [&str; 10] = [
    "chip",
    "contactless",
    "magstripe",
    "ecommerce",
    "atm",
    "qr_merchant",
    "qr_consumer",
    "transfer",
    "wallet",
    "phone",
];

/// A stored value. Text lies in the transaction's arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// An integer.
    Int(i64),
    /// A boolean.
    Bool(bool),
    /// ms since the Unix epoch.
    Time(i64),
    /// Arena range.
    Text {
        /// First byte.
        start: u32,
        /// Bytes.
        len: u32,
    },
    /// An address.
    Ip(IpAddr),
}

const ABSENT: u8 = u8::MAX;

/// A normalised transaction. Its `Debug` shows which fields it has and none of their values.
#[derive(Clone)]
pub struct Transaction {
    /// The institution it belongs to.
    pub tenant: Arc<str>,
    /// The client's id for it; its identity, together with the tenant.
    pub id: Option<Box<str>>,
    /// What the message is.
    pub kind: TransactionKind,
    /// Event time, ms since the Unix epoch.
    pub time_ms: i64,
    index: [u8; Field::COUNT],
    values: Vec<(Field, Slot)>,
    arena: String,
    tags: Vec<(Field, KeyId, Tag)>,
    keyed: Keyed,
}

/// Which tag keys a payment was read under.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keyed {
    /// How often they had been rotated; not recorded, since the order of events says it.
    pub rotations: u32,
    /// How often the consortium's keys had been exchanged since the start; not recorded: the tags are.
    pub exchanges: u32,
    /// What it is known by under each of the keys before that state may hang on, newest first.
    pub earlier: Vec<Earlier>,
}

/// What a payment is known by under an earlier tag key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Earlier {
    /// Its identity.
    pub identity: Option<u128>,
    /// Its second key.
    pub alias: Option<u128>,
    /// The digest of what identity compares; not recorded, since nothing that is recorded is compared again.
    #[serde(skip)]
    pub digest: u128,
}

impl Transaction {
    /// An empty transaction.
    pub fn new(tenant: Arc<str>, kind: TransactionKind, time_ms: i64) -> Transaction {
        Transaction {
            tenant,
            id: None,
            kind,
            time_ms,
            index: [ABSENT; Field::COUNT],
            values: Vec::with_capacity(24),
            arena: String::with_capacity(128),
            tags: Vec::with_capacity(12),
            keyed: Keyed::default(),
        }
    }

    fn set(&mut self, field: Field, slot: Slot) {
        assert_eq!(self.index[field as usize], ABSENT, "normalise sets each field once");
        self.index[field as usize] = self.values.len() as u8;
        self.values.push((field, slot));
    }
    /// Sets an integer field.
    pub fn set_int(&mut self, field: Field, value: i64) {
        assert_eq!(field.def().ty, ValueType::Int);
        self.set(field, Slot::Int(value));
    }
    /// Sets a boolean field.
    pub fn set_bool(&mut self, field: Field, value: bool) {
        assert_eq!(field.def().ty, ValueType::Bool);
        self.set(field, Slot::Bool(value));
    }
    /// Sets a time field other than the event time, in ms since the Unix epoch.
    pub fn set_time(&mut self, field: Field, value: i64) {
        assert_eq!(field.def().ty, ValueType::Time);
        self.set(field, Slot::Time(value));
    }
    /// Sets a text field.
    pub fn set_text(&mut self, field: Field, value: &str) {
        assert_eq!(field.def().ty, ValueType::Text);
        let start = u32::try_from(self.arena.len()).expect("bodies are at most 1 MiB");
        self.arena.push_str(value);
        self.set(field, Slot::Text { start, len: value.len() as u32 });
    }
    /// Sets an address field.
    pub fn set_ip(&mut self, field: Field, value: IpAddr) {
        assert_eq!(field.def().ty, ValueType::Ip);
        self.set(field, Slot::Ip(value));
    }
    /// Adds a tag of an identifier, one per active key.
    pub fn add_tag(&mut self, field: Field, key: KeyId, tag: Tag) {
        assert_eq!(field.def().ty, ValueType::Tag);
        self.tags.push((field, key, tag));
    }

    /// The tag keys it was read under.
    pub fn keyed(&self) -> &Keyed {
        &self.keyed
    }
    /// Says which tag keys it was read under, where they were rotated before.
    pub fn set_keyed(&mut self, keyed: Keyed) {
        self.keyed = keyed;
    }
    /// The tag of an identifier under the key that is never rotated: lists and banks go by it.
    pub fn lasting_tag(&self, field: Field) -> Option<Tag> {
        let is_state = |(f, k, _): &(Field, KeyId, Tag)| *f == field && *k == KeyId::STATE;
        let at = self.tags.iter().position(is_state)?;
        // The tags of one identifier lie side by side.
        let rest = self.tags[at..].iter().take_while(|(f, ..)| *f == field);
        let lasting = rest.filter(|(_, key, _)| *key == KeyId::LISTS).map(|(.., tag)| *tag).next();
        lasting.or(Some(self.tags[at].2))
    }

    /// The tag of an identifier under a key.
    pub fn tag(&self, field: Field, key: KeyId) -> Option<Tag> {
        self.tags.iter().find(|(f, k, _)| *f == field && *k == key).map(|(_, _, tag)| *tag)
    }
    /// All tags: field, key, tag.
    pub fn tags(&self) -> &[(Field, KeyId, Tag)] {
        &self.tags
    }
    /// A field's value; `None` when it is absent.
    pub fn get(&self, field: Field) -> Option<Value<'_>> {
        match field {
            Field::Kind => return Some(Value::Text(self.kind.name())),
            Field::Time => return Some(Value::Time(self.time_ms)),
            Field::Tenant => return Some(Value::Text(&self.tenant)),
            _ => {}
        }
        if field.def().ty == ValueType::Tag {
            return self.tags.iter().any(|(f, _, _)| *f == field).then_some(Value::Present);
        }
        match self.index[field as usize] {
            ABSENT => None,
            at => Some(self.read(self.values[usize::from(at)].1)),
        }
    }
    fn read(&self, slot: Slot) -> Value<'_> {
        match slot {
            Slot::Int(v) => Value::Int(v),
            Slot::Bool(v) => Value::Bool(v),
            Slot::Time(v) => Value::Time(v),
            Slot::Text { start, len } => Value::Text(&self.arena[start as usize..(start + len) as usize]),
            Slot::Ip(v) => Value::Ip(v),
        }
    }
    /// An integer field.
    pub fn int(&self, field: Field) -> Option<i64> {
        match self.get(field) {
            Some(Value::Int(v)) => Some(v),
            _ => None,
        }
    }
    /// A text field.
    pub fn text(&self, field: Field) -> Option<&str> {
        match self.get(field) {
            Some(Value::Text(v)) => Some(v),
            _ => None,
        }
    }
    /// Amount in minor units; every normalised transaction has one.
    pub fn amount_minor(&self) -> i64 {
        self.int(Field::AmountMinor).expect("normalise requires the amount")
    }

    /// The part that may be read in the clear: numbers, codes, tags.
    pub fn encode_open(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let tags = || self.tags.iter().map(|(field, key, tag)| (*field as u8, *key, *tag));
        // The fields of `OpenPart`, in its order.
        let id = self.id.as_deref();
        let values = Each(|| self.wires(Sensitivity::Open));
        append(&(self.kind, id, self.time_ms, values, Each(tags)), &mut out);
        out
    }
    /// The part that is encrypted from the first byte written: names and free text.
    pub fn encode_sealed(&self) -> Vec<u8> {
        if self.wires(Sensitivity::Sealed).next().is_none() {
            return Vec::new();
        }
        let mut out = Vec::with_capacity(128);
        append(&Each(|| self.wires(Sensitivity::Sealed)), &mut out);
        out
    }
    fn wires(&self, sensitivity: Sensitivity) -> impl Iterator<Item = (u8, WireValue<'_>)> {
        let values = self.values.iter().filter(move |(field, _)| field.def().sensitivity == sensitivity);
        values.map(|(field, slot)| (*field as u8, self.wire(*slot)))
    }
    fn wire(&self, slot: Slot) -> WireValue<'_> {
        match self.read(slot) {
            Value::Int(v) => WireValue::Int(v),
            Value::Bool(v) => WireValue::Bool(v),
            Value::Time(v) => WireValue::Time(v),
            Value::Text(v) => WireValue::Text(v),
            Value::Ip(v) => WireValue::Ip(v),
            Value::Present => unreachable!("tags are not slots"),
        }
    }

    /// The transaction of an open and a sealed part. Without the sealed part (its key destroyed) its text fields are
    /// absent.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are not what the encoders write.
    pub fn decode(tenant: Arc<str>, open: &[u8], sealed: Option<&[u8]>) -> Result<Transaction, Error> {
        let corrupt = |what: &str| Error::new(ErrorKind::Corrupt, format!("transaction: {what}"));
        let wire: OpenPart<'_> = postcard::from_bytes(open).map_err(|e| corrupt(&e.to_string()))?;
        let mut tx = Transaction::new(tenant, wire.kind, wire.time_ms);
        tx.id = wire.id.map(Into::into);
        for (field, key, tag) in wire.tags {
            let field = Field::from_number(field).ok_or_else(|| corrupt("unknown field"))?;
            if field.def().ty != ValueType::Tag {
                return Err(corrupt("a tag where the catalogue has none"));
            }
            tx.add_tag(field, key, tag);
        }
        let sealed: Vec<(u8, WireValue<'_>)> = match sealed {
            Some(bytes) if !bytes.is_empty() => {
                postcard::from_bytes(bytes).map_err(|e| corrupt(&e.to_string()))?
            }
            _ => Vec::new(),
        };
        for (number, value) in wire.values.into_iter().chain(sealed) {
            let field = Field::from_number(number).ok_or_else(|| corrupt("unknown field"))?;
            if tx.index[field as usize] != ABSENT {
                return Err(corrupt("a field twice"));
            }
            match (field.def().ty, value) {
                (ValueType::Int, WireValue::Int(v)) => tx.set_int(field, v),
                (ValueType::Bool, WireValue::Bool(v)) => tx.set_bool(field, v),
                (ValueType::Time, WireValue::Time(v)) => tx.set_time(field, v),
                (ValueType::Text, WireValue::Text(v)) => tx.set_text(field, v),
                (ValueType::Ip, WireValue::Ip(v)) => tx.set_ip(field, v),
                _ => return Err(corrupt("a value of another type than the catalogue's")),
            }
        }
        Ok(tx)
    }
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fields: Vec<&str> = self.values.iter().map(|(field, _)| field.def().path).collect();
        write!(f, "{} at {} with {}", self.kind.name(), self.time_ms, fields.join(", "))
    }
}

impl PartialEq for Transaction {
    fn eq(&self, other: &Self) -> bool {
        self.tenant == other.tenant
            && self.encode_open() == other.encode_open()
            && self.encode_sealed() == other.encode_sealed()
    }
}

#[derive(Deserialize)]
struct OpenPart<'a> {
    kind: TransactionKind,
    id: Option<&'a str>,
    time_ms: i64,
    #[serde(borrow)]
    values: Vec<(u8, WireValue<'a>)>,
    tags: Vec<(u8, KeyId, Tag)>,
}

#[derive(Serialize, Deserialize)]
enum WireValue<'a> {
    Int(i64),
    Bool(bool),
    Time(i64),
    Text(&'a str),
    Ip(IpAddr),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sealed_part_holds_the_text_and_the_open_part_none_of_it() {
        let mut tx = Transaction::new("acme".into(), TransactionKind::Request, 1_522_540_930_000);
        tx.id = Some("tx-1".into());
        tx.set_int(Field::AmountMinor, 5767);
        tx.set_text(Field::AmountCurrency, "EUR");
        tx.set_text(Field::PayerName, "Ana Silva");
        tx.set_ip(Field::DeviceIp, "203.0.113.7".parse().expect("an address"));
        tx.set_bool(Field::CrossBorder, true);
        tx.add_tag(Field::Card, KeyId::STATE, Tag(7));
        let (open, sealed) = (tx.encode_open(), tx.encode_sealed());
        assert!(!open.windows(3).any(|w| w == b"Ana"));
        let back = Transaction::decode("acme".into(), &open, Some(&sealed)).expect("its own encoding");
        assert_eq!(back, tx);
        assert_eq!(back.text(Field::PayerName), Some("Ana Silva"));
        let without = Transaction::decode("acme".into(), &open, None).expect("its own encoding");
        assert_eq!((without.text(Field::PayerName), without.amount_minor()), (None, 5767));
        assert_eq!(without.tag(Field::Card, KeyId::STATE), Some(Tag(7)));
    }
}
