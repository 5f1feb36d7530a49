//! The epochs of the hub: what is new is merged, the snapshot built and offered to members, who build it themselves and
//! cosign; with the quorum the manifest becomes a leaf, and only then the next one is begun.

use super::config::EpochSection;
use super::state::{Hub, now_ms, storage};
use crate::alliance::folder::Files;
use crate::alliance::{merge, view};
use anyhow::{Context, Result};
use interdict_consortium::epoch::manifest::{Parent, TagKey};
use interdict_consortium::epoch::{Manifest, Snapshot, State, build, delta};
use interdict_consortium::error::{Error, ErrorKind};
use interdict_consortium::member::{Numbered, Registry};
use interdict_consortium::note::Note;
use interdict_consortium::record::type_of;
use parking_lot::Mutex;
use std::sync::Arc;

/// Records that an epoch's content may depend on; with none of them since the last one there is nothing to build.
const CHANGES: [&str; 7] =
    ["contribution", "rules", "tag-key", "admission", "suspension", "reinstatement", "leaving"];
/// The files of an epoch.
pub const MANIFEST: &str = "manifest";
/// Its snapshot.
pub const SNAPSHOT: &str = "snapshot";
/// What differs from the snapshot before.
pub const DELTA: &str = "delta";
/// Where members stand, at the size of the newest epoch: the hub's own, never sent.
const STATE: &str = "state";

type Answer<T> = std::result::Result<T, Error>;

/// The epochs of a folder.
pub struct Epochs {
    files: Files,
    section: EpochSection,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The newest with its quorum.
    latest: Option<Known>,
    /// The one that waits for cosignatures.
    waiting: Option<Known>,
}

#[derive(Clone)]
struct Known {
    manifest: Arc<Manifest>,
    note: Note,
}

impl Epochs {
    /// Opens those of a folder: those whose manifest is a leaf have their quorum, a newer one waits.
    ///
    /// # Errors
    /// Files that do not read.
    pub fn open(hub: &Hub) -> Result<Epochs> {
        let epochs = Epochs {
            files: hub.held.files("epochs")?,
            section: hub.config.hub.epochs.clone(),
            inner: Mutex::default(),
        };
        let registry = hub.registry();
        let published = registry.latest(Numbered::Epoch, None).map(|latest| latest.number);
        {
            let mut inner = epochs.inner.lock();
            if let Some(latest) = registry.latest(Numbered::Epoch, None) {
                let manifest = Arc::new(Manifest::parse(latest.note.text())?);
                hub.metrics.epoch(manifest.number, manifest.built_ms, manifest.rows);
                inner.latest = Some(Known { manifest, note: (*latest.note).clone() });
            }
            let next = published.unwrap_or(0) + 1;
            if let Some(bytes) = epochs.files.read(&path(next, MANIFEST))? {
                let note = Note::parse(&bytes).with_context(|| path(next, MANIFEST))?;
                inner.waiting = Some(Known { manifest: Arc::new(Manifest::parse(note.text())?), note });
            }
            hub.metrics.epoch_waits(inner.waiting.is_some());
        }
        Ok(epochs)
    }
    /// The note of the newest epoch with its quorum.
    pub fn latest(&self) -> Option<Note> {
        self.inner.lock().latest.as_ref().map(|known| known.note.clone())
    }
    /// The newest epoch with its quorum.
    pub fn latest_manifest(&self) -> Option<Arc<Manifest>> {
        self.inner.lock().latest.as_ref().map(|known| known.manifest.clone())
    }
    /// The note of the one that waits for cosignatures.
    pub fn waiting(&self) -> Option<Note> {
        self.inner.lock().waiting.as_ref().map(|known| known.note.clone())
    }
    /// The bytes of a file of an epoch.
    ///
    /// # Errors
    /// `NotFound`, `Storage`.
    pub fn file(&self, number: u64, name: &str) -> Answer<Vec<u8>> {
        let none =
            || Error::new(ErrorKind::NotFound, format!("{name} of epoch {number} is not there (any more)"));
        self.files.read(&path(number, name)).map_err(|e| storage(&e.into()))?.ok_or_else(none)
    }
    /// The version of the tag key that a query by an epoch's number is about; 0: the newest there is, for a first
    /// contribution.
    ///
    /// # Errors
    /// `Stale` for an epoch whose keys are not told any more.
    pub fn version_of(&self, epoch: u32, registry: &Registry) -> Answer<u32> {
        let newest = registry.tag_key().map(|leaf| leaf.key.version);
        if epoch == 0 {
            return newest.ok_or_else(|| Error::new(ErrorKind::Stale, "the alliance has no tag key yet"));
        }
        let stale =
            || Error::new(ErrorKind::Stale, format!("epoch {epoch} is not one that can be asked about"));
        let inner = self.inner.lock();
        let known = [&inner.latest, &inner.waiting].into_iter().flatten();
        let held =
            known.map(|known| &known.manifest).find(|manifest| manifest.number == u64::from(epoch)).cloned();
        drop(inner);
        let manifest = match held {
            Some(manifest) => manifest,
            None => {
                let bytes = self.file(epoch.into(), MANIFEST).map_err(|_| stale())?;
                Arc::new(Manifest::parse(Note::parse(&bytes)?.text())?)
            }
        };
        manifest.versions().last().copied().ok_or_else(stale)
    }

    /// Builds an epoch where something is new, or the newest is old; whether it did.
    ///
    /// # Errors
    /// The folder's; bodies that are not there. Nothing is offered then.
    pub fn build_due(&self, hub: &Hub) -> Result<bool> {
        hub.check_halted()?;
        let (latest, waits) = {
            let inner = self.inner.lock();
            (inner.latest.clone(), inner.waiting.is_some())
        };
        let registry = hub.registry();
        let now_ms = now_ms();
        if waits || registry.tag_key().is_none() {
            return Ok(false);
        }
        let from = latest.as_ref().map_or(0, |known| known.manifest.governance_size);
        let is_old = latest.as_ref().is_none_or(|known| {
            now_ms.saturating_sub(known.manifest.built_ms) > self.section.renew_s.saturating_mul(1000)
        });
        if !is_old && !has_changes(hub, from, registry.size())? {
            return Ok(false);
        }
        self.build(hub, &registry, latest.as_ref().map(|known| &*known.manifest), now_ms)?;
        Ok(true)
    }
    fn build(&self, hub: &Hub, registry: &Registry, parent: Option<&Manifest>, now_ms: u64) -> Result<()> {
        let size = registry.size();
        let number = parent.map_or(1, |parent| parent.number + 1);
        let built_ms = now_ms.max(parent.map_or(0, |parent| parent.built_ms) + 1);
        self.consolidate(hub, registry, size)?;
        let state = self.files.read(STATE)?.context("the state was just written")?;
        let state = State::open(&state)?;
        let view = view::view(registry, size, number, built_ms)?;
        let mut sink = self.files.begin(&path(number, SNAPSHOT))?;
        let written = build(&state, &view, &mut sink)?;
        sink.finish()?;
        let snapshot = self.files.read(&path(number, SNAPSHOT))?.context("the snapshot was just written")?;
        let parent = match parent {
            None => None,
            Some(parent) => Some(self.write_delta(parent, number, &snapshot)?),
        };
        let tag_keys = view.key_versions.iter().map(|version| {
            let leaf = registry.tag_key_of(*version).context("an alive version has its record")?;
            Ok(TagKey { version: *version, voprf: leaf.key.voprf })
        });
        let manifest = Manifest {
            alliance: registry.alliance().to_owned(),
            number,
            parent,
            governance_size: size,
            governance_root: hub.governance.root(size)?,
            built_ms,
            valid_from_ms: built_ms,
            valid_until_ms: built_ms + registry.rules_as_of(size).epoch_valid_ms,
            snapshot: written.into(),
            rows: written.rows,
            tag_keys: tag_keys.collect::<Result<_>>()?,
            kinds: Snapshot::open(&snapshot)?.header().kinds().map(|(k, s)| (k, s.privacy, s.bits)).collect(),
        };
        let mut note = manifest.note()?;
        note.sign(&hub.keys.sign);
        self.files.write(&path(number, MANIFEST), note.encode().as_bytes())?;
        let manifest = Arc::new(manifest);
        tracing::info!(epoch = number, rows = manifest.rows, leaves = size, "built, and offered to members");
        self.inner.lock().waiting = Some(Known { manifest, note: note.clone() });
        hub.metrics.epoch_waits(true);
        // An alliance whose rules ask for no cosigners publishes at once.
        self.publish_where_enough(hub)?;
        Ok(())
    }
    fn write_delta(&self, parent: &Manifest, number: u64, snapshot: &[u8]) -> Result<Parent> {
        let before = self.files.read(&path(parent.number, SNAPSHOT))?;
        let before = before.with_context(|| format!("the snapshot of epoch {} is gone", parent.number))?;
        let mut sink = self.files.begin(&path(number, DELTA))?;
        let (written, counts) = delta::write(
            &Snapshot::open(&before)?,
            &parent.snapshot.sha256,
            &Snapshot::open(snapshot)?,
            &mut sink,
        )?;
        sink.finish()?;
        Ok(Parent { manifest: parent.sha256()?, delta: written.into(), counts })
    }
    /// Brings the state to a size of the governance log.
    fn consolidate(&self, hub: &Hub, registry: &Registry, size: u64) -> Result<()> {
        merge::consolidate(
            &self.files,
            STATE,
            registry,
            size,
            |leaf| hub.governance.leaf(leaf),
            |name| hub.bodies.read(name).map_err(anyhow::Error::from),
        )
    }

    /// Takes a member's cosignature of the epoch that waits; whether it has its quorum now.
    ///
    /// # Errors
    /// `Stale` where another epoch waits, or none; as `Note::verify_all`.
    pub fn cosign(&self, hub: &Hub, number: u64, note: &Note) -> Answer<bool> {
        hub.check_halted()?;
        let registry = hub.registry();
        {
            let mut inner = self.inner.lock();
            let stale =
                || Error::new(ErrorKind::Stale, format!("epoch {number} does not wait for cosignatures"));
            let waiting =
                inner.waiting.as_mut().filter(|known| known.manifest.number == number).ok_or_else(stale)?;
            if waiting.note.text() != note.text() {
                return Err(Error::new(
                    ErrorKind::Equivocation,
                    format!("another epoch {number} waits here"),
                ));
            }
            note.verify_all(&registry.signers())?;
            waiting.note.merge(note)?;
            let bytes = waiting.note.encode();
            self.files.write(&path(number, MANIFEST), bytes.as_bytes()).map_err(|e| storage(&e.into()))?;
        }
        self.publish_where_enough(hub)
    }
    fn publish_where_enough(&self, hub: &Hub) -> Answer<bool> {
        let registry = hub.registry();
        let mut inner = self.inner.lock();
        let Some(waiting) = inner.waiting.clone() else { return Ok(false) };
        let trust = view::trust(&registry, waiting.manifest.governance_size);
        match trust.open(&waiting.note) {
            Err(error) if error.kind == ErrorKind::Quorum => return Ok(false),
            other => other.map(drop)?,
        }
        hub.publish(&waiting.note)?;
        let Known { manifest, .. } = &waiting;
        tracing::info!(epoch = manifest.number, "has its quorum");
        hub.metrics.epoch(manifest.number, manifest.built_ms, manifest.rows);
        hub.metrics.epoch_waits(false);
        let number = manifest.number;
        (inner.latest, inner.waiting) = (Some(waiting), None);
        drop(inner);
        self.drop_old(number).map_err(|e| storage(&e))?;
        Ok(true)
    }
    /// Drops snapshots and deltas of epochs that are older than is kept; manifests stay.
    fn drop_old(&self, newest: u64) -> Result<()> {
        let Some(last) = newest.checked_sub(self.section.keep) else { return Ok(()) };
        for number in (1..=last).rev() {
            if self.files.len(&path(number, SNAPSHOT))?.is_none() {
                break;
            }
            self.files.remove(&path(number, DELTA))?;
            self.files.remove(&path(number, SNAPSHOT))?;
        }
        Ok(())
    }
}

fn has_changes(hub: &Hub, from: u64, to: u64) -> Result<bool> {
    for leaf in from..to {
        let note = Note::parse(&hub.governance.leaf(leaf)?)?;
        if type_of(note.text()).is_ok_and(|(ty, _)| CHANGES.contains(&ty)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Where a file of an epoch lies.
pub fn path(number: u64, name: &str) -> String {
    format!("{number}/{name}")
}
