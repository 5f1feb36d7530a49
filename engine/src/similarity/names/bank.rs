//! A watchlist as data: whom it lists and under which names, with canonical bytes, so that it can be a
//! content-addressed part of a generation. What screening needs beside it is built from it at load.

use crate::error::{Error, ErrorKind};
use crate::limits::{TEXT_BYTES_MAX, WATCHLIST_ENTRIES_MAX, WATCHLIST_NAMES_PER_ENTRY_MAX};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const MAGIC: [u8; 4] = *b"IWLB";
const VERSION: u16 = 1;
const HEAD_BYTES: usize = 4 + 2;
const SUM_BYTES: usize = 32;

/// What an entry is; it decides how names are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Kind {
    /// A natural person.
    Person = 0,
    /// A company, body or organisation.
    Company = 1,
    /// A ship (or aircraft).
    Vessel = 2,
    /// Not known, or any of them.
    Other = 3,
}

impl Kind {
    /// The kind of a schema's name as lists write it (`Person`, `individual`, `Organization`, `vessel` …); what is
    /// not known, a legal entity included, is [`Kind::Other`].
    pub fn of_schema(schema: &str) -> Kind {
        match schema.trim().to_ascii_lowercase().as_str() {
            "person" | "individual" => Kind::Person,
            "company" | "organization" | "organisation" | "publicbody" | "entity" => Kind::Company,
            "vessel" | "ship" | "aircraft" | "airplane" | "vehicle" => Kind::Vessel,
            _ => Kind::Other,
        }
    }

    /// Whether something of this kind may be something of that kind.
    pub fn may_be(self, other: Kind) -> bool {
        self == other || self == Kind::Other || other == Kind::Other
    }
}

/// How good the list holds a name to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Quality {
    /// The primary name or a good alias.
    Strong = 0,
    /// An alias the list itself calls weak or low: found like any other, ranked lower.
    Weak = 1,
}

/// One name of an entry.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Alias {
    /// As the list writes it.
    pub name: String,
    /// How good the list holds it to be.
    pub quality: Quality,
}

/// Says how good a name is, never the name.
impl std::fmt::Debug for Alias {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Alias({} bytes, {:?})", self.name.len(), self.quality)
    }
}

/// One listed person, company or vessel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The list's own id.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// Its names; the first is the primary one.
    pub names: Vec<Alias>,
}

/// A watchlist: entries in the list's order; an entry's number is its place here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bank {
    entries: Vec<Entry>,
}

impl Bank {
    /// A bank of these entries.
    ///
    /// # Errors
    /// `TooLarge` past a bound of `limits.rs`, `Invalid` for an entry without a name.
    pub fn new(entries: Vec<Entry>) -> Result<Bank, Error> {
        let large = |message: String| Err(Error::new(ErrorKind::TooLarge, message));
        if entries.len() > WATCHLIST_ENTRIES_MAX {
            return large(format!("watchlist has {} entries, limit {WATCHLIST_ENTRIES_MAX}", entries.len()));
        }
        for (at, entry) in entries.iter().enumerate() {
            let names = entry.names.len();
            if names == 0 {
                return Err(Error::new(ErrorKind::Invalid, format!("watchlist entry {at} has no name")));
            }
            if names > WATCHLIST_NAMES_PER_ENTRY_MAX {
                return large(format!(
                    "watchlist entry {at} has {names} names, limit {WATCHLIST_NAMES_PER_ENTRY_MAX}"
                ));
            }
            let longest = entry.names.iter().map(|alias| alias.name.len()).chain([entry.id.len()]).max();
            if let Some(bytes) = longest.filter(|&bytes| bytes > TEXT_BYTES_MAX) {
                return large(format!(
                    "watchlist entry {at} has a name or id of {bytes} bytes, limit {TEXT_BYTES_MAX}"
                ));
            }
        }
        Ok(Bank { entries })
    }

    /// The entries, in the list's order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The bank's canonical bytes: equal banks have equal bytes. Magic, version, postcard of the entries, SHA-256 of
    /// what is before it.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = [&MAGIC[..], &VERSION.to_le_bytes()].concat();
        bytes.extend(postcard::to_stdvec(self).expect("strings and numbers always serialise"));
        let sum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&sum);
        bytes
    }

    /// The bank of canonical bytes.
    ///
    /// # Errors
    /// `Malformed`: no bank; `Version`: of another version; `Corrupt`: the checksum differs; and those of
    /// [`Bank::new`].
    pub fn decode(bytes: &[u8]) -> Result<Bank, Error> {
        if bytes.len() < HEAD_BYTES + SUM_BYTES || bytes[..4] != MAGIC {
            return Err(Error::new(ErrorKind::Malformed, "not a watchlist bank"));
        }
        let version = u16::from_le_bytes([bytes[4], bytes[5]]);
        if version != VERSION {
            let message = format!("watchlist bank has version {version}, this engine knows {VERSION}");
            return Err(Error::new(ErrorKind::Version, message));
        }
        let (kept, sum) = bytes.split_at(bytes.len() - SUM_BYTES);
        if Sha256::digest(kept)[..] != *sum {
            return Err(Error::new(ErrorKind::Corrupt, "watchlist bank does not match its checksum"));
        }
        let (bank, rest): (Bank, _) = postcard::take_from_bytes(&kept[HEAD_BYTES..])
            .map_err(|error| Error::new(ErrorKind::Malformed, format!("watchlist bank: {error}")))?;
        if !rest.is_empty() {
            let message = format!("watchlist bank has {} bytes past its end", rest.len());
            return Err(Error::new(ErrorKind::Malformed, message));
        }
        Bank::new(bank.entries)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        let kind =
            prop_oneof![Just(Kind::Person), Just(Kind::Company), Just(Kind::Vessel), Just(Kind::Other)];
        let quality = prop_oneof![Just(Quality::Strong), Just(Quality::Weak)];
        let alias = (".{0,12}", quality).prop_map(|(name, quality)| Alias { name, quality });
        let entry = (".{0,6}", kind, prop::collection::vec(alias, 1..4))
            .prop_map(|(id, kind, names)| Entry { id, kind, names });
        prop::collection::vec(entry, 0..6)
    }

    proptest! {
        #[test]
        fn bytes_and_back(entries in entries(), flip in any::<prop::sample::Index>(), bit in 0u8..8) {
            let bank = Bank::new(entries).unwrap();
            let mut bytes = bank.encode();
            prop_assert_eq!(&Bank::decode(&bytes).unwrap(), &bank);
            prop_assert_eq!(&bank.clone().encode(), &bytes);
            let at = flip.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(Bank::decode(&bytes).is_err());
            prop_assert!(Bank::decode(&bytes[..at]).is_err());
        }
    }

    #[test]
    fn refuses_what_is_out_of_bounds() {
        let alias = |name: String| Alias { name, quality: Quality::Strong };
        let entry = |names| Entry { id: "1".into(), kind: Kind::Person, names };
        assert_eq!(Bank::new(vec![entry(vec![])]).unwrap_err().kind, ErrorKind::Invalid);
        let long = entry(vec![alias("x".repeat(TEXT_BYTES_MAX + 1))]);
        assert_eq!(Bank::new(vec![long]).unwrap_err().kind, ErrorKind::TooLarge);
        let many = entry(vec![alias("x".into()); WATCHLIST_NAMES_PER_ENTRY_MAX + 1]);
        assert_eq!(Bank::new(vec![many]).unwrap_err().kind, ErrorKind::TooLarge);
    }
}
