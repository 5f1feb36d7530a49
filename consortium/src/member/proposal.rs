//! Proposals: notes that collect signatures until their rule is met. Only signatures that verify and count are kept, so
//! that nobody can spoil a proposal with one that the log would refuse.

use super::demand::Missing;
use super::registry::Registry;
use super::spelled::text_hash;
use crate::error::{Error, ErrorKind, Result};
use crate::kind::MemberId;
use crate::limits::{PROPOSALS_MAX, PROPOSALS_PER_MEMBER_MAX};
use crate::note::{Note, Signed};
use std::collections::BTreeMap;

/// A note that is not yet signed by all who must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The record with the signatures so far.
    pub note: Note,
    /// Who brought it: an active member whose signature came with it.
    pub proposer: MemberId,
    /// When it came, Unix ms.
    pub since_ms: u64,
    /// What it lacks, as it was when last looked at.
    pub missing: Missing,
}

/// What came of a note that was offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offered {
    /// It is signed by all who must: the log may take it. It is a proposal no longer.
    Ready(Note),
    /// It waits, and for what.
    Waiting(Missing),
}

/// Proposals by the SHA-256 of their text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pending {
    by_hash: BTreeMap<[u8; 32], Proposal>,
}

impl Pending {
    /// None.
    pub fn new() -> Pending {
        Pending::default()
    }
    /// Takes a new proposal, or more signatures of one that is here.
    ///
    /// # Errors
    /// As [`Registry::check`], but for `Quorum`: a record that the log would refuse whoever signed it, or a signature
    /// that it would refuse; nothing is kept of it. `Forbidden` where no active member has signed; `TooLarge` past
    /// `PROPOSALS_MAX` or `PROPOSALS_PER_MEMBER_MAX`.
    pub fn offer(&mut self, registry: &Registry, note: &Note, now_ms: u64) -> Result<Offered> {
        let hash = text_hash(note.text());
        let (_, demand) = registry.weigh(note.text())?;
        let mut all = note.clone();
        if let Some(held) = self.by_hash.get(&hash) {
            all.merge(&held.note)?;
        }
        match demand.verify(registry, &all).and_then(|()| registry.check(&all)) {
            Ok(()) => {
                self.by_hash.remove(&hash);
                return Ok(Offered::Ready(all));
            }
            Err(error) if error.kind == ErrorKind::Quorum => {}
            Err(error) => return Err(error),
        }
        let known = demand.known(registry);
        let signed = all.verify_all(&known)?;
        let missing = demand.missing(registry, &signed);
        match self.by_hash.get_mut(&hash) {
            Some(held) => {
                held.missing = missing.clone();
                held.note = all;
            }
            None => {
                let proposer = self.room(registry, &signed)?;
                let missing = missing.clone();
                self.by_hash.insert(hash, Proposal { note: all, proposer, since_ms: now_ms, missing });
            }
        }
        Ok(Offered::Waiting(missing))
    }
    /// The member on whose account a new proposal goes.
    fn room(&self, registry: &Registry, signed: &[Signed<'_>]) -> Result<MemberId> {
        let active = |s: &Signed<'_>| registry.by_key(s.key.public()).filter(|member| member.is_active());
        let proposer = signed.iter().find_map(active).map(|member| member.id).ok_or_else(|| {
            Error::new(
                ErrorKind::Forbidden,
                "a proposal needs the signature of an active member to wait here",
            )
        })?;
        let too_many = |what: String| Err(Error::new(ErrorKind::TooLarge, what));
        let own = self.by_hash.values().filter(|held| held.proposer == proposer).count();
        if own >= PROPOSALS_PER_MEMBER_MAX {
            return too_many(format!(
                "{own} proposals of this member wait already, limit {PROPOSALS_PER_MEMBER_MAX}"
            ));
        }
        match self.by_hash.len() >= PROPOSALS_MAX {
            true => too_many(format!("{PROPOSALS_MAX} proposals wait already, and that is the limit")),
            false => Ok(proposer),
        }
    }
    /// What a proposal lacks.
    pub fn missing(&self, hash: &[u8; 32]) -> Option<&Missing> {
        self.by_hash.get(hash).map(|held| &held.missing)
    }
    /// All, by their text's hash.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8; 32], &Proposal)> {
        self.by_hash.iter()
    }
    /// Looks at all again after the registry has moved on: signatures that no longer count (of a member suspended, of a
    /// key rotated away) are taken off, and what the log would now refuse is dropped. Answers those that have become
    /// ready (fewer voters, other rules), which wait here no longer, and how many were dropped.
    pub fn refresh(&mut self, registry: &Registry) -> (Vec<Note>, usize) {
        let (mut ready, mut dropped) = (Vec::new(), 0);
        for (hash, held) in std::mem::take(&mut self.by_hash) {
            let Some(note) = still_good(registry, &held.note) else {
                dropped += 1;
                continue;
            };
            let again = Pending::new().offer(registry, &note, held.since_ms);
            match again {
                Ok(Offered::Ready(note)) => ready.push(note),
                Ok(Offered::Waiting(missing)) => {
                    self.by_hash.insert(hash, Proposal { note, missing, ..held });
                }
                Err(_) => dropped += 1,
            }
        }
        (ready, dropped)
    }
    /// Drops what came before a time; how many.
    pub fn expire(&mut self, before_ms: u64) -> usize {
        let all = self.by_hash.len();
        self.by_hash.retain(|_, held| held.since_ms >= before_ms);
        all - self.by_hash.len()
    }
}

/// The note with those signatures that count now; `None` where the record itself no longer does.
fn still_good(registry: &Registry, note: &Note) -> Option<Note> {
    let (_, demand) = registry.weigh(note.text()).ok()?;
    let known = demand.known(registry);
    let mut good = note.clone();
    good.retain(|s| known.iter().any(|key| key.name() == &*s.name && key.id() == s.key_id));
    Some(good)
}

#[cfg(test)]
mod tests;
