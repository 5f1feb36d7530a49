//! Whether an epoch may be used: signed by the operator and by enough members, the next after what is held, in date, and
//! its bytes the ones that were signed. Whoever loads a snapshot asks here, and loads what it answers.

use crate::epoch::manifest::Manifest;
use crate::epoch::snapshot::Snapshot;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::fixed::sha256;
use crate::keys::VerifierKey;
use crate::note::Note;
use std::collections::BTreeSet;

/// Whose signatures count, by the governance log.
#[derive(Debug, Clone)]
pub struct Trust {
    alliance: String,
    operators: usize,
    /// The operator's keys first, then the members'.
    known: Vec<VerifierKey>,
    cosigners_min: usize,
}

impl Trust {
    /// The operator's keys, of which one must sign; the members' keys, of which so many must cosign, each member once
    /// and the operator not among them.
    pub fn new(
        alliance: &str,
        operator: &[VerifierKey],
        members: &[VerifierKey],
        cosigners_min: usize,
    ) -> Trust {
        let known = operator.iter().chain(members).cloned().collect();
        Trust { alliance: alliance.to_owned(), operators: operator.len(), known, cosigners_min }
    }
    /// Reads a manifest that the operator and enough members have signed. All signatures must be by known keys.
    ///
    /// # Errors
    /// As [`Manifest::parse`] and [`Note::verify_all`]; `Quorum`; `Invalid` for another alliance.
    pub fn open(&self, note: &Note) -> Result<Manifest> {
        let manifest = Manifest::parse(note.text())?;
        if manifest.alliance != self.alliance {
            let message = format!("an epoch of {:?}, expected {:?}", manifest.alliance, self.alliance);
            return Err(Error::new(ErrorKind::Invalid, message).at(Place::Line(2)));
        }
        let signed = note.verify_all(&self.known)?;
        let operators = &self.known[..self.operators];
        if !signed.iter().any(|signed| operators.contains(signed.key)) {
            return Err(Error::new(ErrorKind::Quorum, "not signed by the operator"));
        }
        let names = signed.iter().map(|signed| signed.key.name());
        let is_operator = |name: &str| operators.iter().any(|key| key.name() == name);
        let cosigners = names.filter(|name| !is_operator(name)).collect::<BTreeSet<_>>().len();
        if cosigners < self.cosigners_min {
            let message = format!("cosigned by {cosigners} members, expected {}", self.cosigners_min);
            return Err(Error::new(ErrorKind::Quorum, message));
        }
        Ok(manifest)
    }
}

/// What of the epoch that is held decides whether another may follow; kept with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Its number.
    pub number: u64,
    /// SHA-256 of its manifest's text.
    pub manifest: [u8; 32],
    /// SHA-256 of its snapshot: what a delta begins from.
    pub snapshot: [u8; 32],
    /// Leaves of the governance log that it was built of.
    pub governance_size: u64,
    /// When it was built, in unix milliseconds.
    pub built_ms: u64,
}

impl Held {
    /// What to keep of a manifest that was accepted or followed.
    ///
    /// # Errors
    /// As [`Manifest::text`].
    pub fn of(manifest: &Manifest) -> Result<Held> {
        Ok(Held {
            number: manifest.number,
            manifest: manifest.sha256()?,
            snapshot: manifest.snapshot.sha256,
            governance_size: manifest.governance_size,
            built_ms: manifest.built_ms,
        })
    }
}

/// An epoch that may be used.
#[derive(Debug, Clone)]
pub struct Accepted<'a> {
    /// Its manifest.
    pub manifest: Manifest,
    /// Its snapshot.
    pub snapshot: Snapshot<'a>,
    /// What to keep.
    pub held: Held,
}

/// Decides whether an epoch may be used now. Who has held none yet takes any that has its quorum.
///
/// # Errors
/// As [`Trust::open`]; `Stale` for a number not above the held one, a governance log shorter than its, a manifest out of
/// date or not yet valid; `Equivocation` for another parent than the held one; `NotFound` where epochs between are missing
/// ([`follow`] them first); `Corrupt` for a snapshot of another size or hash; as [`Snapshot::open`].
pub fn accept<'a>(
    note: &Note,
    trust: &Trust,
    held: Option<&Held>,
    now_ms: u64,
    snapshot: &'a [u8],
) -> Result<Accepted<'a>> {
    let manifest = trust.open(note)?;
    check_next(&manifest, held)?;
    if now_ms < manifest.valid_from_ms {
        let message = format!("epoch {} is valid only from {} ms", manifest.number, manifest.valid_from_ms);
        return Err(Error::new(ErrorKind::Stale, message));
    }
    if now_ms >= manifest.valid_until_ms {
        let message = format!("epoch {} was valid until {} ms", manifest.number, manifest.valid_until_ms);
        return Err(Error::new(ErrorKind::Stale, message));
    }
    if snapshot.len() as u64 != manifest.snapshot.bytes {
        let message =
            format!("a snapshot of {} bytes, signed were {}", snapshot.len(), manifest.snapshot.bytes);
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    if sha256(snapshot) != manifest.snapshot.sha256 {
        return Err(Error::new(ErrorKind::Corrupt, "the snapshot is not the one that was signed"));
    }
    let snapshot = Snapshot::open(snapshot)?;
    manifest.check_header(snapshot.header())?;
    if snapshot.len() as u64 != manifest.rows {
        let message = format!("a snapshot of {} rows, signed were {}", snapshot.len(), manifest.rows);
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    let held = Held::of(&manifest)?;
    Ok(Accepted { manifest, snapshot, held })
}

/// Follows an epoch that was missed, by its manifest alone: whether it is in date does not matter, since it is not used.
/// `trust` is that of its own time.
///
/// # Errors
/// As [`accept`], but for dates and the snapshot.
pub fn follow(note: &Note, trust: &Trust, held: &Held) -> Result<Held> {
    let manifest = trust.open(note)?;
    check_next(&manifest, Some(held))?;
    Held::of(&manifest)
}

fn check_next(manifest: &Manifest, held: Option<&Held>) -> Result<()> {
    let Some(held) = held else { return Ok(()) };
    let refuse = |kind, message: String| Err(Error::new(kind, message));
    if manifest.number <= held.number {
        let message = format!("epoch {} is not above {}, which is held", manifest.number, held.number);
        let is_other = manifest.number == held.number && manifest.sha256()? != held.manifest;
        let kind = if is_other { ErrorKind::Equivocation } else { ErrorKind::Stale };
        return refuse(kind, message);
    }
    if manifest.number > held.number + 1 {
        let message =
            format!("epoch {} cannot follow {}: the ones between are missing", manifest.number, held.number);
        return refuse(ErrorKind::NotFound, message);
    }
    if manifest.parent.is_none_or(|parent| parent.manifest != held.manifest) {
        let message = format!("epoch {} has another parent than the one that is held", manifest.number);
        return refuse(ErrorKind::Equivocation, message);
    }
    if manifest.governance_size < held.governance_size || manifest.built_ms <= held.built_ms {
        let message =
            format!("epoch {} was built of an older log, or earlier, than its parent", manifest.number);
        return refuse(ErrorKind::Stale, message);
    }
    Ok(())
}
