//! How a payment's identifiers become columns that can be scanned: which there are, and the 32 bits of a tag, an address
//! or a BIN that are compared first.

use interdict_engine::domain::{Field, KeyId, SubjectKind, Transaction};
use std::net::IpAddr;

/// A column of tags: an identifier under the key of the tenant's own lists, of shared ones, or of a consortium's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagColumn(u8);

/// The keys that a column's tags may be under, as lists say them, with the ends of the columns' names.
const KEYS: [(KeyId, &str); 4] = [
    (KeyId::STATE, "own"),
    (KeyId::SHARED, "shared"),
    (KeyId::CONSORTIUM[0], "consortium0"),
    (KeyId::CONSORTIUM[1], "consortium1"),
];

impl TagColumn {
    /// How many there are: each identifier under each of the keys.
    pub const COUNT: usize = KEYS.len() * Field::IDENTIFIERS.len();

    /// The column of an identifier in the lists of one tenant, or in shared ones; `None` for a field that has no tags.
    pub fn of(field: Field, shared: bool) -> Option<TagColumn> {
        TagColumn::under(field, if shared { KeyId::SHARED } else { KeyId::STATE })
    }
    /// The column of an identifier under a key as lists say it: `STATE` for a tenant's own, `SHARED`, or one of
    /// `CONSORTIUM`; `None` for a field that has no tags, and for another key.
    pub fn under(field: Field, key: KeyId) -> Option<TagColumn> {
        let place = Field::IDENTIFIERS.iter().position(|identifier| *identifier == field)?;
        let key = KEYS.iter().position(|(known, _)| *known == key)?;
        Some(TagColumn((KEYS.len() * place + key) as u8))
    }
    /// All columns, by number.
    pub fn all() -> impl Iterator<Item = TagColumn> {
        (0..Self::COUNT as u8).map(TagColumn)
    }
    /// Its number, from 0.
    pub fn number(self) -> usize {
        usize::from(self.0)
    }
    /// The identifier.
    pub fn field(self) -> Field {
        Field::IDENTIFIERS[self.number() / KEYS.len()]
    }
    /// The key its tags are under, as lists say it.
    pub fn key(self) -> KeyId {
        KEYS[self.number() % KEYS.len()].0
    }
    /// The name of its 16 bytes in a file: the catalogue's path, and whose lists know it.
    pub fn name(self) -> String {
        format!("{}.{}", self.field().def().path, KEYS[self.number() % KEYS.len()].1)
    }
    /// The tag that a payment has in this column: the one that lists are probed by (`engine/src/lists/probe.rs`).
    pub fn tag_of(self, transaction: &Transaction) -> Option<u128> {
        let tag = match self.key() {
            KeyId::STATE => transaction.lasting_tag(self.field()),
            key => transaction.tag(self.field(), key),
        };
        tag.map(|tag| tag.0)
    }
}

/// A set of tag columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TagColumns(u64);

const _: () = assert!(TagColumn::COUNT <= 64);

impl TagColumns {
    /// The columns in which a subject of this kind may stand, under a key as lists say it.
    pub fn of_kind(kind: SubjectKind, key: KeyId) -> TagColumns {
        let of_kind =
            |column: &TagColumn| column.key() == key && SubjectKind::of_field(column.field()) == Some(kind);
        TagColumn::all().filter(of_kind).fold(TagColumns::default(), TagColumns::with)
    }
    /// All columns.
    pub fn all() -> TagColumns {
        TagColumn::all().fold(TagColumns::default(), TagColumns::with)
    }
    /// The set with one more.
    #[must_use]
    pub fn with(self, column: TagColumn) -> TagColumns {
        TagColumns(self.0 | 1 << column.0)
    }
    /// Both sets.
    #[must_use]
    pub fn and(self, other: TagColumns) -> TagColumns {
        TagColumns(self.0 | other.0)
    }
    /// Whether it has the column.
    pub fn has(self, column: TagColumn) -> bool {
        self.0 >> column.0 & 1 == 1
    }
}

/// The 32 bits of a tag that are scanned: its first four bytes, big endian. 0 says that there is no tag, so a tag that
/// begins so is scanned as 1; the whole tag is compared afterwards in any case.
#[inline]
pub fn fingerprint(tag: u128) -> u32 {
    ((tag >> 96) as u32).max(1)
}

/// An address as it lies in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Address {
    /// 4 or 6; 0: there is none.
    pub family: u8,
    /// IPv6, or IPv4 in its form in IPv6 (RFC 4291, 2.5.5.2).
    pub bytes: [u8; 16],
    /// The IPv4 address, or the first 32 bits of the IPv6 one, so that a prefix is a range.
    pub fingerprint: u32,
}

impl Address {
    /// The row's form of an address; one in mapped form is the IPv4 address, as for lists.
    pub fn of(address: IpAddr) -> Address {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                Address { family: 4, bytes: v4.to_ipv6_mapped().octets(), fingerprint: u32::from(v4) }
            }
            IpAddr::V6(v6) => {
                Address { family: 6, bytes: v6.octets(), fingerprint: (u128::from(v6) >> 96) as u32 }
            }
        }
    }
    /// The address's bits, at the low end, and how many they are.
    pub(super) fn bits(self) -> Option<(u128, u8)> {
        match self.family {
            4 => Some((u128::from_be_bytes(self.bytes) & u128::from(u32::MAX), 32)),
            6 => Some((u128::from_be_bytes(self.bytes), 128)),
            _ => None,
        }
    }
    /// The address.
    pub fn address(self) -> Option<IpAddr> {
        let (bits, len) = self.bits()?;
        Some(if len == 32 { IpAddr::V4((bits as u32).into()) } else { IpAddr::V6(bits.into()) })
    }
}

/// Most digits of a BIN (ISO/IEC 7812-1:2017).
pub const BIN_DIGITS: u8 = 8;

/// The digits of a BIN slot as lists read them, left-aligned to eight (`411111` is 41,111,100), and how many they are;
/// `None` where the slot is no number.
pub fn bin(text: &str) -> Option<(u32, u8)> {
    let digits = text.get(..text.len().min(usize::from(BIN_DIGITS)))?;
    let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    let number: u32 = plain.then(|| digits.parse().ok()).flatten()?;
    let len = digits.len() as u8;
    Some((number * 10u32.pow(u32::from(BIN_DIGITS - len)), len))
}
