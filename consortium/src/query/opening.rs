//! The record of an answered query, `interdict/query/v1`, and its opening: a salt and that record. The log's leaf is
//! the hash of both; without the salt nobody can try records until one fits.

use super::hash;
use super::request::{Request, Service};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::kind::MemberId;
use crate::limits::OPENINGS_MAX;
use crate::log::Hash;
use crate::note::Note;
use crate::record::{Reader, Writer};
use sha2::{Digest, Sha256};

/// A query that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Who asked.
    pub member: MemberId,
    /// By which epoch's keys.
    pub epoch: u32,
    /// What for.
    pub service: Service,
    /// Items answered: what is billed.
    pub items: u32,
    /// The hash of the text of the member's request.
    pub request: Hash,
    /// The hash of the response.
    pub response: Hash,
    /// When it was answered, in ms since the Unix epoch.
    pub time_ms: u64,
}

impl Query {
    /// Of a request, verified before, and its response.
    pub fn new(request: &Request, note: &Note, response: &[u8], time_ms: u64) -> Query {
        Query {
            member: request.member,
            epoch: request.epoch,
            service: request.service,
            items: request.items,
            request: hash(note.text().as_bytes()),
            response: hash(response),
            time_ms,
        }
    }
    /// The record's text.
    pub fn encode(&self) -> String {
        let mut w = Writer::new("query", 1);
        let put = |w: &mut Writer| -> Result<()> {
            w.put("member", self.member)?.put("epoch", self.epoch)?.put("service", self.service)?;
            w.put("items", self.items)?.put_bytes("request", &self.request)?;
            w.put_bytes("response", &self.response)?.put("time_ms", self.time_ms)?;
            Ok(())
        };
        put(&mut w).expect("numbers, names and hashes are values");
        w.finish()
    }
    /// Reads a record.
    ///
    /// # Errors
    /// `Malformed` and `Version` with the line.
    pub fn decode(text: &str) -> Result<Query> {
        let mut r = Reader::open(text, "query", 1)?;
        let query = Query {
            member: MemberId(r.number("member")?),
            epoch: r.number("epoch")?,
            service: Service::by_name(r.take("service")?)?,
            items: r.number("items")?,
            request: r.array("request")?,
            response: r.array("response")?,
            time_ms: r.number("time_ms")?,
        };
        r.end()?;
        Ok(query)
    }
}

/// What opens a leaf of the log of queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Random, drawn anew for every query.
    pub salt: [u8; 16],
    /// The record.
    pub query: Query,
}

impl Opening {
    /// Salt and record: what the leaf is the hash of, and what a receipt carries.
    pub fn encode(&self) -> Vec<u8> {
        [&self.salt[..], self.query.encode().as_bytes()].concat()
    }
    /// Reads it.
    ///
    /// # Errors
    /// `Malformed`, `Version`.
    pub fn decode(bytes: &[u8]) -> Result<Opening> {
        let refused =
            || Error::new(ErrorKind::Malformed, "an opening is a salt of 16 bytes and a query's record");
        let (salt, record) = bytes.split_first_chunk::<16>().ok_or_else(refused)?;
        let record = std::str::from_utf8(record).map_err(|_| refused())?;
        Ok(Opening { salt: *salt, query: Query::decode(record)? })
    }
    /// The leaf: SHA-256 of salt and record.
    pub fn leaf(&self) -> Hash {
        Sha256::digest(self.encode()).into()
    }
    /// Checks that it opens a leaf.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn check(&self, leaf: &[u8]) -> Result<()> {
        if self.leaf()[..] != *leaf {
            return Err(Error::new(ErrorKind::Corrupt, "the opening is not that of the leaf"));
        }
        Ok(())
    }
}

/// Openings with the indices of their leaves, as they are sent: for each a u64 (index), a u16 (bytes), both big-endian,
/// and the opening; indices rise.
///
/// # Errors
/// `Invalid` where they do not; `TooLarge` past `OPENINGS_MAX`.
pub fn encode_all<'a>(openings: impl IntoIterator<Item = (u64, &'a Opening)>) -> Result<Vec<u8>> {
    let (mut bytes, mut last, mut count) = (Vec::new(), None, 0);
    for (index, opening) in openings {
        check_place(index, last, count)?;
        let encoded = opening.encode();
        bytes.extend_from_slice(&index.to_be_bytes());
        bytes.extend_from_slice(&(encoded.len() as u16).to_be_bytes());
        bytes.extend_from_slice(&encoded);
        (last, count) = (Some(index), count + 1);
    }
    Ok(bytes)
}

/// Reads what [`encode_all`] writes.
///
/// # Errors
/// `Malformed` with the byte, `Version`; as there.
pub fn decode_all(bytes: &[u8]) -> Result<Vec<(u64, Opening)>> {
    let (mut all, mut at) = (Vec::<(u64, Opening)>::new(), 0);
    while at < bytes.len() {
        let read = bytes[at..].split_first_chunk::<8>().and_then(|(index, rest)| {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            Some((u64::from_be_bytes(*index), rest.get(..u16::from_be_bytes(*length).into())?))
        });
        let place = Place::Byte(at as u64);
        let torn = || Error::new(ErrorKind::Malformed, "openings end in the middle of one").at(place.clone());
        let (index, opening) = read.ok_or_else(torn)?;
        check_place(index, all.last().map(|(index, _)| *index), all.len())?;
        all.push((index, Opening::decode(opening).map_err(|e| e.at(Place::Leaf("queries", index)))?));
        at += 10 + opening.len();
    }
    Ok(all)
}

fn check_place(index: u64, last: Option<u64>, count: usize) -> Result<()> {
    if count == OPENINGS_MAX {
        return Err(Error::new(ErrorKind::TooLarge, format!("more than {OPENINGS_MAX} openings at once")));
    }
    if last.is_some_and(|last| last >= index) {
        let message = "openings come in the order of their leaves, each once";
        return Err(Error::new(ErrorKind::Invalid, message).at(Place::Leaf("queries", index)));
    }
    Ok(())
}
