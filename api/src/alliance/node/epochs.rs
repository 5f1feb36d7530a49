//! An epoch in the node: its keys made known, its rows published as lists. Whether it may be used was decided when the
//! folder took it over.

use crate::alliance::member::Session;
use crate::alliance::member::session::now_ms;
use crate::node::Node;
use crate::node::consortium::{Class, ConsortiumKey, ConsortiumRow, ConsortiumTerms, PublishedConsortium};
use anyhow::{Context, Result, bail};
use interdict_consortium::epoch::{Manifest, Snapshot};
use interdict_consortium::kind::Kind;
use interdict_consortium::signal::Reason;
use interdict_engine::domain::{SubjectKind, Tag};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

/// The epoch that is in force.
pub(super) struct Epoch {
    /// Its manifest.
    pub manifest: Manifest,
    /// Its snapshot's bytes, checked, of which candidates' exact tags are asked.
    snapshot: Vec<u8>,
}

/// The engine's name for a kind of signal; the numbers are the same (a test compares them).
pub(super) fn subject_kind(kind: Kind) -> SubjectKind {
    match kind {
        Kind::Card => SubjectKind::Card,
        Kind::Account => SubjectKind::Account,
        Kind::Device => SubjectKind::Device,
        Kind::Merchant => SubjectKind::Merchant,
        Kind::Terminal => SubjectKind::Terminal,
        Kind::Ip => SubjectKind::Ip,
        Kind::Email => SubjectKind::Email,
        Kind::Phone => SubjectKind::Phone,
        Kind::Name => SubjectKind::Name,
    }
}

impl Epoch {
    /// An epoch as the folder holds it. It was checked when it was taken over, and its file has lain on a disk since.
    ///
    /// # Errors
    /// Bytes that are not those which the manifest signs, or that contradict themselves.
    pub fn new(manifest: Manifest, snapshot: Vec<u8>) -> Result<Epoch> {
        if <[u8; 32]>::from(Sha256::digest(&snapshot)) != manifest.snapshot.sha256 {
            bail!("the snapshot of epoch {} in the folder is not the one that was signed", manifest.number);
        }
        Snapshot::open(&snapshot)?;
        Ok(Epoch { manifest, snapshot })
    }
    /// The snapshot.
    ///
    /// # Errors
    /// None that [`Epoch::new`] has not had.
    pub fn snapshot(&self) -> Result<Snapshot<'_>> {
        Ok(Snapshot::again(&self.snapshot)?)
    }
    /// Publishes the rows, and lets go of keys that nothing is under any more.
    ///
    /// # Errors
    /// As [`Node::publish_consortium`].
    pub fn publish(
        &self,
        node: &Node,
        session: &Session,
        terms: &ConsortiumTerms,
    ) -> Result<PublishedConsortium> {
        let snapshot = self.snapshot()?;
        let mut words = Words::default();
        let registry = session.registry()?;
        let rows = snapshot.rows().map(|row| {
            let bits = snapshot.header().kind(row.key.kind).map_or(128, |shape| shape.bits);
            let class = match row.trusted {
                0 => Class::Independent(row.contributors),
                _ => Class::Trusted,
            };
            let member = row.member.and_then(|id| registry.member(id));
            ConsortiumRow {
                kind: subject_kind(row.key.kind),
                version: row.key.key_version,
                tag: Tag(u128::from_be_bytes(row.key.tags.tag)),
                bits: if row.key.is_open() { 128 } else { bits },
                reason: words.reason(row.reason),
                severity: row.severity,
                class,
                first_seen_ms: i64::try_from(row.first_seen_ms).ok(),
                expires_ms: i64::try_from(row.expires_ms).ok(),
                member: member.map(|member| words.name(&member.profile.name)),
                text: (!row.text.is_empty()).then(|| row.text.into()),
            }
        });
        let now_ms = i64::try_from(now_ms()).unwrap_or(i64::MAX);
        let published = node.publish_consortium(rows, terms, now_ms)?;
        hold_keys(node, session, Some(&self.manifest), &[])?;
        Ok(published)
    }
}

/// Which versions of the tag key tags are to be made under: the epoch's, the newest as soon as the member has its copy (so
/// that what comes before the first epoch under it is found by it), and while there is room one that lists in force are under
/// still. At most two, in succession.
fn versions_to_hold(epoch: &[u32], newest: Option<u32>, in_use: &[u32]) -> Vec<u32> {
    let mut held = epoch.to_vec();
    for version in newest.into_iter().chain(in_use.iter().copied()) {
        let fits = match held.as_slice() {
            [] => true,
            [one] => one.abs_diff(version) == 1,
            _ => false,
        };
        if fits {
            held.push(version);
        }
    }
    held.sort_unstable();
    held
}

/// Makes tags under these versions from now on. `in_use`: of lists that are about to be replaced.
///
/// # Errors
/// A version of the epoch that the member has no copy of; as [`Node::exchange_consortium_keys`].
pub(super) fn hold_keys(
    node: &Node,
    session: &Session,
    epoch: Option<&Manifest>,
    in_use: &[u32],
) -> Result<()> {
    let of_epoch = epoch.map(Manifest::versions).unwrap_or_default();
    // A member that was admitted lately has no copy yet: it has one when it is given one.
    let newest = session.newest_version().ok().filter(|version| session.tag_key(*version).is_ok());
    let keys = versions_to_hold(&of_epoch, newest, in_use).into_iter().map(|version| {
        let key = session.tag_key(version).with_context(|| format!("tag key {version}"))?;
        Ok(ConsortiumKey::new(version, key.bytes()))
    });
    node.exchange_consortium_keys(&keys.collect::<Result<Vec<_>>>()?)
}

/// Texts that many rows share.
#[derive(Default)]
struct Words {
    reasons: HashMap<u16, Arc<str>>,
    names: HashMap<String, Arc<str>>,
}

impl Words {
    fn reason(&mut self, reason: Reason) -> Arc<str> {
        self.reasons.entry(reason.code()).or_insert_with(|| reason.name().into()).clone()
    }
    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let new: Arc<str> = name.into();
        self.names.insert(name.to_owned(), new.clone());
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_key_is_held_before_an_epoch_is_under_it_and_an_old_one_until_none_is() {
        assert!(versions_to_hold(&[], None, &[]).is_empty());
        assert_eq!(versions_to_hold(&[], Some(1), &[]), [1]);
        assert_eq!(versions_to_hold(&[1], Some(1), &[1]), [1]);
        assert_eq!(versions_to_hold(&[1], Some(2), &[1]), [1, 2]);
        assert_eq!(versions_to_hold(&[2], Some(2), &[1]), [1, 2]);
        assert_eq!(versions_to_hold(&[1, 2], Some(3), &[1]), [1, 2]);
        assert_eq!(versions_to_hold(&[2], Some(3), &[]), [2, 3]);
        // Two that do not succeed one another cannot be held: the epoch's goes first.
        assert_eq!(versions_to_hold(&[3], Some(3), &[1]), [3]);
    }

    #[test]
    fn kinds_have_one_number_in_both() {
        for kind in Kind::ALL {
            assert_eq!(subject_kind(kind) as u8, kind as u8);
            assert_eq!(subject_kind(kind).name(), kind.name());
        }
    }
}
