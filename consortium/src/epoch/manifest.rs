//! `interdict/epoch/v1`: what an epoch is built of, what its snapshot and its delta must be, when it holds, and the keys
//! that its tags are under. The operator signs it; members cosign it who have built the same bytes.

use crate::epoch::delta::Counts;
use crate::epoch::header::{Header, check_versions};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::fixed::{Written, sha256};
use crate::kind::{Kind, Privacy};
use crate::limits::TIME_MS_MAX;
use crate::note::Note;
use crate::record::{Reader, Writer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A file of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Its bytes.
    pub bytes: u64,
}

impl From<Written> for File {
    fn from(written: Written) -> File {
        File { sha256: written.sha256, bytes: written.bytes }
    }
}

/// What an epoch comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// SHA-256 of the text of the manifest before this one ([`Manifest::sha256`]).
    pub manifest: [u8; 32],
    /// The difference from its snapshot.
    pub delta: File,
    /// What is in it.
    pub counts: Counts,
}

/// A version of the tag key that is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagKey {
    /// Which, from 1.
    pub version: u32,
    /// The public key of the VOPRF beside it (RFC 9497): exact tags of this version are under it, and the tag service can
    /// give no member another one unseen.
    pub voprf: [u8; 32],
}

/// An epoch's manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Of which alliance.
    pub alliance: String,
    /// Which epoch, from 1.
    pub number: u64,
    /// The epoch before; there for all but the first.
    pub parent: Option<Parent>,
    /// Leaves of the governance log that it is built of.
    pub governance_size: u64,
    /// The log's root at that size.
    pub governance_root: [u8; 32],
    /// When it was built, in unix milliseconds: expiry is judged then.
    pub built_ms: u64,
    /// From when it may be used.
    pub valid_from_ms: u64,
    /// Until when (exclusive).
    pub valid_until_ms: u64,
    /// The snapshot.
    pub snapshot: File,
    /// Its rows.
    pub rows: u64,
    /// The versions of the tag key that are alive, ascending.
    pub tag_keys: Vec<TagKey>,
    /// How each shared kind is told, by kind: level and bits of the tag.
    pub kinds: Vec<(Kind, Privacy, u8)>,
}

impl Manifest {
    /// The text that is signed.
    ///
    /// # Errors
    /// `Malformed`, `Invalid` for what a reader would refuse.
    pub fn text(&self) -> Result<String> {
        self.check()?;
        let mut w = Writer::new("epoch", 1);
        w.put("alliance", &self.alliance)?.put("number", self.number)?;
        if let Some(parent) = &self.parent {
            w.put_bytes("parent", &parent.manifest)?;
        }
        w.put("governance_size", self.governance_size)?
            .put_bytes("governance_root", &self.governance_root)?;
        w.put("built_ms", self.built_ms)?.put("valid_from_ms", self.valid_from_ms)?;
        w.put("valid_until_ms", self.valid_until_ms)?;
        w.put_bytes("snapshot_sha256", &self.snapshot.sha256)?.put("snapshot_bytes", self.snapshot.bytes)?;
        w.put("snapshot_rows", self.rows)?;
        if let Some(Parent { delta, counts, .. }) = &self.parent {
            w.put_bytes("delta_sha256", &delta.sha256)?.put("delta_bytes", delta.bytes)?;
            w.put("delta_added", counts.added)?.put("delta_changed", counts.changed)?;
            w.put("delta_removed", counts.removed)?;
        }
        for key in &self.tag_keys {
            w.put("tag_key", format_args!("{} {}", key.version, STANDARD.encode(key.voprf)))?;
        }
        for (kind, privacy, bits) in &self.kinds {
            w.put("kind", format_args!("{kind} {privacy} {bits}"))?;
        }
        Ok(w.finish())
    }
    /// Reads a text.
    ///
    /// # Errors
    /// `Malformed`, `Version`, `Invalid`, with the line where there is one.
    pub fn parse(text: &str) -> Result<Manifest> {
        let mut r = Reader::open(text, "epoch", 1)?;
        let (alliance, number) = (r.take("alliance")?.to_owned(), r.number("number")?);
        let parent = match r.take_some("parent")? {
            None => None,
            Some(hash) => {
                Some(hash32(hash).ok_or_else(|| r.refuse("\"parent\": expected 32 bytes in base64"))?)
            }
        };
        let (governance_size, governance_root) = (r.number("governance_size")?, r.array("governance_root")?);
        let (built_ms, valid_from_ms) = (r.number("built_ms")?, r.number("valid_from_ms")?);
        let valid_until_ms = r.number("valid_until_ms")?;
        let snapshot = File { sha256: r.array("snapshot_sha256")?, bytes: r.number("snapshot_bytes")? };
        let rows = r.number("snapshot_rows")?;
        let parent = match parent {
            None => None,
            Some(manifest) => {
                let delta = File { sha256: r.array("delta_sha256")?, bytes: r.number("delta_bytes")? };
                let (added, changed) = (r.number("delta_added")?, r.number("delta_changed")?);
                let counts = Counts { added, changed, removed: r.number("delta_removed")? };
                Some(Parent { manifest, delta, counts })
            }
        };
        let tag_keys = lines(&mut r, "tag_key", tag_key)?;
        let kinds = lines(&mut r, "kind", kind)?;
        r.end()?;
        let manifest = Manifest {
            alliance,
            number,
            parent,
            governance_size,
            governance_root,
            built_ms,
            valid_from_ms,
            valid_until_ms,
            snapshot,
            rows,
            tag_keys,
            kinds,
        };
        manifest.check()?;
        Ok(manifest)
    }
    fn check(&self) -> Result<()> {
        let refuse = |message: &str| Err(Error::new(ErrorKind::Invalid, message));
        if self.number == 0 || (self.number == 1) != self.parent.is_none() {
            return refuse("expected a number from 1, and a parent for all epochs but the first");
        }
        if self.valid_from_ms >= self.valid_until_ms || self.built_ms >= self.valid_until_ms {
            return refuse("expected an end after the beginning and after the time it was built");
        }
        if self.built_ms == 0 || self.valid_until_ms > TIME_MS_MAX {
            return refuse("a time of 0, or after the year 9998");
        }
        check_versions(&self.versions())?;
        match self.kinds.is_sorted_by(|a, b| a.0 < b.0) {
            true => Ok(()),
            false => refuse("kinds ascend by their numbers, none twice"),
        }
    }
    /// What other records call this manifest by: SHA-256 of its text, whoever has signed it.
    ///
    /// # Errors
    /// As [`Manifest::text`].
    pub fn sha256(&self) -> Result<[u8; 32]> {
        Ok(sha256(self.text()?.as_bytes()))
    }
    /// The versions of the tag key, ascending.
    pub fn versions(&self) -> Vec<u32> {
        self.tag_keys.iter().map(|key| key.version).collect()
    }
    /// A note of it, still unsigned.
    ///
    /// # Errors
    /// As [`Manifest::text`].
    pub fn note(&self) -> Result<Note> {
        Note::new(self.text()?)
    }
    /// That a snapshot's header says the same.
    pub(crate) fn check_header(&self, header: &Header) -> Result<()> {
        let kinds = header.kinds().map(|(kind, shape)| (kind, shape.privacy, shape.bits));
        let is_same = header.number == self.number
            && header.built_ms == self.built_ms
            && header.key_versions == self.versions()
            && kinds.eq(self.kinds.iter().copied());
        match is_same {
            true => Ok(()),
            false => {
                let message = "the header does not say what the manifest says of number, time, keys or kinds";
                Err(Error::new(ErrorKind::Corrupt, message).at(Place::Byte(16)))
            }
        }
    }
}

/// All lines of a key, each by a reader of its value.
fn lines<T>(r: &mut Reader<'_>, key: &'static str, read: fn(&str) -> Option<T>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    while let Some(value) = r.take_some(key)? {
        all.push(read(value).ok_or_else(|| r.refuse(format!("{key:?}: not as it is written")))?);
    }
    Ok(all)
}

fn hash32(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

fn tag_key(value: &str) -> Option<TagKey> {
    let (version, voprf) = value.split_once(' ')?;
    let parsed = version.parse().ok().filter(|number: &u32| number.to_string() == version)?;
    Some(TagKey { version: parsed, voprf: hash32(voprf)? })
}

fn kind(value: &str) -> Option<(Kind, Privacy, u8)> {
    let mut parts = value.splitn(3, ' ');
    let (kind, privacy, bits) = (parts.next()?, parts.next()?, parts.next()?);
    let parsed = bits.parse().ok().filter(|number: &u8| number.to_string() == bits)?;
    Some((Kind::by_name(kind).ok()?, Privacy::by_name(privacy).ok()?, parsed))
}
