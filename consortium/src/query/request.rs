//! What a member asks, signed by it: `interdict/request/v1`. It names the log that has to hold the query, so that it is
//! worth nothing to another alliance, and the hash of what is asked, which itself is not kept.

use super::hash;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::VerifierKey;
use crate::kind::MemberId;
use crate::log::Hash;
use crate::note::Note;
use crate::record::{Reader, Writer};
use std::fmt;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Service {
    /// Exact tags of identifiers that the service does not see.
    Confirm = 1,
    /// A joint score.
    Joint = 2,
}

impl Service {
    /// All, in order.
    pub const ALL: [Service; 2] = [Service::Confirm, Service::Joint];
    /// Its name in records and tariffs.
    pub const fn name(self) -> &'static str {
        match self {
            Service::Confirm => "confirm",
            Service::Joint => "joint",
        }
    }
    /// The service of a name.
    ///
    /// # Errors
    /// `Invalid`, with the names there are.
    pub fn by_name(name: &str) -> Result<Service> {
        Service::ALL.into_iter().find(|service| service.name() == name).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, format!("{name:?} is no service: expected confirm or joint"))
        })
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A request without what is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The origin of the log of queries.
    pub log: String,
    /// Who asks.
    pub member: MemberId,
    /// By which epoch's keys.
    pub epoch: u32,
    /// What for.
    pub service: Service,
    /// Items asked for: what is billed.
    pub items: u32,
    /// SHA-256 of what is asked.
    pub body: Hash,
    /// When, in ms since the Unix epoch.
    pub time_ms: u64,
}

impl Request {
    /// The text that is signed.
    ///
    /// # Errors
    /// `Malformed` or `TooLarge` for a log's name that cannot be a line's value.
    pub fn encode(&self) -> Result<String> {
        let mut w = Writer::new("request", 1);
        w.put("log", &self.log)?.put("member", self.member)?.put("epoch", self.epoch)?;
        w.put("service", self.service)?.put("items", self.items)?;
        w.put_bytes("body", &self.body)?.put("time_ms", self.time_ms)?;
        Ok(w.finish())
    }
    /// Reads a text.
    ///
    /// # Errors
    /// `Malformed` and `Version` with the line.
    pub fn decode(text: &str) -> Result<Request> {
        let mut r = Reader::open(text, "request", 1)?;
        let request = Request {
            log: r.take("log")?.to_owned(),
            member: MemberId(r.number("member")?),
            epoch: r.number("epoch")?,
            service: Service::by_name(r.take("service")?)?,
            items: r.number("items")?,
            body: r.array("body")?,
            time_ms: r.number("time_ms")?,
        };
        r.end()?;
        Ok(request)
    }
    /// Reads a request that one of these keys, those of one member, has signed, over these bytes.
    ///
    /// # Errors
    /// As [`Note::verify_all`] and [`Request::decode`]; `Corrupt` where other bytes were signed.
    pub fn verify(note: &Note, member_keys: &[VerifierKey], body: &[u8]) -> Result<Request> {
        note.verify_all(member_keys)?;
        let request = Request::decode(note.text())?;
        if request.body != hash(body) {
            return Err(Error::new(ErrorKind::Corrupt, "what is asked is not what the member signed"));
        }
        Ok(request)
    }
}
