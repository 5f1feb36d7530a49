//! An epoch in the node: its keys made known, its rows published as lists. Whether it may be used was decided when the
//! folder took it over.

use crate::alliance::member::Session;
use crate::alliance::member::session::now_ms;
use crate::node::Node;
use crate::node::consortium::{Class, ConsortiumKey, ConsortiumRow, ConsortiumTerms, PublishedConsortium};
use anyhow::{Context, Result};
use interdict_consortium::epoch::{Manifest, Snapshot};
use interdict_consortium::kind::Kind;
use interdict_consortium::signal::Reason;
use interdict_engine::domain::{SubjectKind, Tag};
use std::collections::HashMap;
use std::sync::Arc;

/// The epoch that is in force.
pub(super) struct Epoch {
    /// Its manifest.
    pub manifest: Manifest,
    /// Its snapshot's bytes, of which candidates' exact tags are asked.
    pub snapshot: Vec<u8>,
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
    /// The snapshot, which was checked when it was taken over.
    ///
    /// # Errors
    /// Bytes that have changed since.
    pub fn snapshot(&self) -> Result<Snapshot<'_>> {
        Ok(Snapshot::open(&self.snapshot)?)
    }
    /// Makes tags under the versions of the key that the epoch has: those first, so that no payment that is sequenced after
    /// the publication lacks one.
    ///
    /// # Errors
    /// A version that the member has no copy of.
    pub fn exchange_keys(&self, node: &Node, session: &Session) -> Result<()> {
        let key = |version| {
            let key = session.tag_key(version).with_context(|| format!("tag key {version}"))?;
            Ok(ConsortiumKey::new(version, key.bytes()))
        };
        let mut keys = self.manifest.versions().into_iter().map(key).collect::<Result<Vec<_>>>()?;
        // What lists in force are under stays alive until they are replaced; then it goes (`publish`).
        for version in node.consortium_versions() {
            if keys.len() < 2
                && keys.iter().all(|key| key.version != version && key.version.abs_diff(version) == 1)
            {
                keys.push(key(version)?);
            }
        }
        keys.sort_by_key(|key| key.version);
        node.exchange_consortium_keys(&keys)
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
        let alive = self.manifest.versions();
        if node.consortium_versions().iter().any(|version| !alive.contains(version)) {
            let keys = alive
                .into_iter()
                .map(|version| Ok(ConsortiumKey::new(version, session.tag_key(version)?.bytes())));
            node.exchange_consortium_keys(&keys.collect::<Result<Vec<_>>>()?)?;
        }
        Ok(published)
    }
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
    fn kinds_have_one_number_in_both() {
        for kind in Kind::ALL {
            assert_eq!(subject_kind(kind) as u8, kind as u8);
            assert_eq!(subject_kind(kind).name(), kind.name());
        }
    }
}
