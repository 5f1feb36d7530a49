//! `interdict/contribution/v1`: whose rows these are, which of theirs, and what the body must be. The note goes into the
//! governance log; the body lies beside it, by its hash.

use crate::error::{Error, ErrorKind, Place, Result};
use crate::fixed::sha256;
use crate::keys::VerifierKey;
use crate::limits::{CLOCK_AHEAD_MS_MAX, TIME_MS_MAX};
use crate::note::Note;
use crate::record::{Reader, Writer};
use crate::signal::{Body, Policies};

/// A contribution's manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Of which alliance.
    pub alliance: String,
    /// Whose, by name.
    pub member: String,
    /// Which of the member's, rising; gaps are allowed.
    pub number: u64,
    /// Of the key that all tags of the body are under.
    pub tag_key_version: u32,
    /// Rows of the body.
    pub rows: u64,
    /// Bytes of the body.
    pub bytes: u64,
    /// SHA-256 of the body.
    pub sha256: [u8; 32],
    /// On which legal basis open text is shared; there where the body has some, and only there.
    pub legal_basis: Option<String>,
    /// When it was made, in unix milliseconds, by the member's clock.
    pub created_ms: u64,
}

impl Manifest {
    /// The text that is signed.
    ///
    /// # Errors
    /// `Malformed` for a name or a legal basis that a line cannot hold.
    pub fn text(&self) -> Result<String> {
        let mut w = Writer::new("contribution", 1);
        w.put("alliance", &self.alliance)?.put("member", &self.member)?.put("number", self.number)?;
        w.put("tag_key_version", self.tag_key_version)?;
        w.put("rows", self.rows)?.put("bytes", self.bytes)?.put_bytes("sha256", &self.sha256)?;
        w.put_some("legal_basis", self.legal_basis.as_deref())?.put("created_ms", self.created_ms)?;
        Ok(w.finish())
    }
    /// Reads a text; what it says may still be wrong.
    ///
    /// # Errors
    /// `Malformed`, `Version`, `Invalid`, with the line.
    pub fn parse(text: &str) -> Result<Manifest> {
        let mut r = Reader::open(text, "contribution", 1)?;
        let manifest = Manifest {
            alliance: r.take("alliance")?.to_owned(),
            member: r.take("member")?.to_owned(),
            number: r.number("number")?,
            tag_key_version: r.number("tag_key_version")?,
            rows: r.number("rows")?,
            bytes: r.number("bytes")?,
            sha256: r.array("sha256")?,
            legal_basis: r.take_some("legal_basis")?.map(str::to_owned),
            created_ms: r.number("created_ms")?,
        };
        if manifest.created_ms > TIME_MS_MAX {
            return Err(r.refuse("a time after the year 9998"));
        }
        r.end()?;
        match manifest.tag_key_version {
            0 => Err(Error::new(ErrorKind::Invalid, "key versions are from 1").at(Place::Line(5))),
            _ => Ok(manifest),
        }
    }
    /// Reads a signed one. All its signatures must be by keys of `known`, the keys that the member signs with.
    ///
    /// # Errors
    /// As [`Manifest::parse`] and [`Note::verify_all`]; `Forbidden` where it is signed by another name than it says.
    pub fn open(note: &Note, known: &[VerifierKey]) -> Result<Manifest> {
        let manifest = Manifest::parse(note.text())?;
        let signed = note.verify_all(known)?;
        match signed.iter().all(|signed| signed.key.name() == manifest.member) {
            true => Ok(manifest),
            false => {
                let message = format!("a contribution of {:?}, signed by another", manifest.member);
                Err(Error::new(ErrorKind::Forbidden, message))
            }
        }
    }

    /// That these bytes are the body that was signed, and what is in them is as the manifest says.
    ///
    /// # Errors
    /// `Corrupt` where size or hash differ; `Invalid` with the row; as [`Body::read`].
    pub fn body<'a>(&self, bytes: &'a [u8]) -> Result<Body<'a>> {
        if bytes.len() as u64 != self.bytes {
            let message = format!("a body of {} bytes, signed were {}", bytes.len(), self.bytes);
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        if sha256(bytes) != self.sha256 {
            return Err(Error::new(ErrorKind::Corrupt, "the body is not the one that was signed"));
        }
        let body = Body::read(bytes)?;
        if body.len() as u64 != self.rows {
            let message = format!("a body of {} rows, signed were {}", body.len(), self.rows);
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let mut has_text = false;
        for (number, row) in body.rows().enumerate() {
            let refuse = |message| Err(Error::new(ErrorKind::Invalid, message).at(Place::Row(number as u64)));
            if !row.key.is_open() && row.key.key_version != self.tag_key_version {
                return refuse("a tag under another version of the key than the manifest's");
            }
            if row.last_seen_ms > self.created_ms {
                return refuse("seen after the contribution was made");
            }
            has_text |= !row.text.is_empty();
        }
        match (has_text, self.legal_basis.is_some()) {
            (true, false) => Err(Error::new(ErrorKind::Invalid, "open text without a legal basis")),
            (false, true) => Err(Error::new(ErrorKind::Invalid, "a legal basis, and no open text")),
            _ => Ok(body),
        }
    }

    /// Whether a contribution may go into the log now: what a hub asks, and what every member that replays asks again with
    /// the leaf's view (without the clock).
    ///
    /// `previous` is the number of the member's contribution before it, `alive` the versions of the tag key that are alive.
    ///
    /// # Errors
    /// `Stale` for a number that does not rise or a key version that is not alive; `Invalid` for a kind that is not shared
    /// or told otherwise than its level asks (with the row), and for a time ahead of the clock.
    pub fn admit(&self, body: &Body<'_>, at: &Admission<'_>) -> Result<()> {
        if at.previous.is_some_and(|previous| self.number <= previous) {
            let message = format!("contribution {} is not above the one before it", self.number);
            return Err(Error::new(ErrorKind::Stale, message));
        }
        if !at.alive.contains(&self.tag_key_version) {
            let message = format!("version {} of the tag key is not alive", self.tag_key_version);
            return Err(Error::new(ErrorKind::Stale, message));
        }
        if at.now_ms.is_some_and(|now_ms| self.created_ms > now_ms + CLOCK_AHEAD_MS_MAX) {
            return Err(Error::new(ErrorKind::Invalid, "made in the future by the clock here"));
        }
        for (number, row) in body.rows().enumerate() {
            at.policies.check_key(&row.key).map_err(|e| e.at(Place::Row(number as u64)))?;
        }
        Ok(())
    }
}

/// What decides whether a contribution may go into the log, at its place there.
#[derive(Debug, Clone, Copy)]
pub struct Admission<'a> {
    /// The number of the member's contribution before it.
    pub previous: Option<u64>,
    /// The versions of the tag key that are alive.
    pub alive: &'a [u32],
    /// The rules of the kinds.
    pub policies: &'a Policies,
    /// The hub's clock, in unix milliseconds; `None` when the log is replayed.
    pub now_ms: Option<u64>,
}
