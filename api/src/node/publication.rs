//! Publications: what the configuration has at a start and when it is asked for, packs that were uploaded, and
//! generations that were in force before. Each is an event of the one order; what is built is `publish.rs`'s.

use super::core::Answered;
use super::outage::Unwritable;
use super::{Node, failpoint, fold, publish, signed, store};
use anyhow::{Result, bail};
use interdict_consortium::pack::Route;
use interdict_engine::domain::{Body, Event, GenerationId};
use interdict_engine::generation::Generation;
use interdict_engine::packs;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Built generations held in memory beside the one in force; past it they are let go and built again when asked for.
pub(super) const BUILT_MAX: usize = 16;

impl Node {
    pub(super) fn publish_configured(&self, wanted: Arc<Generation>, now_ms: i64) -> Result<()> {
        let mark = self.data.join("generations").join("configured");
        let hash = interdict_engine::generation::hex(&wanted.hash());
        let known = std::fs::read_to_string(&mark).unwrap_or_default();
        let in_force = self.view().id().hash;
        // A generation published through the API since then stays in force over a restart.
        if known.trim() == hash && self.recovered.last_sequence > 0 {
            self.keep_uploaded(&wanted);
            return Ok(());
        }
        let _publishing = self.publishing.lock();
        let wanted = fold::under(&wanted, &self.view(), &self.store)?;
        if in_force != wanted.hash() {
            self.publish_next(wanted, now_ms)?;
        }
        failpoint::reached("publish.before_mark");
        store::write_whole(&mark, format!("{hash}\n").as_bytes())
    }

    /// Packs in force that the configuration does not have were uploaded before the restart; the next publication
    /// must not drop them.
    pub(super) fn keep_uploaded(&self, configured: &Generation) {
        let view = self.view();
        let mut uploaded = self.uploaded.lock();
        for pack in view.generation().packs() {
            let same = configured.packs().iter().any(|known| known.content_hash() == pack.content_hash());
            if !same {
                uploaded.insert(pack.name().to_owned(), pack.archive());
            }
        }
    }

    /// Publishes a generation made while `publishing` was held: an event in the journal, visible to every later
    /// transaction.
    ///
    /// # Errors
    /// When deltas do not fit the new base, or the journal cannot write ([`Unwritable`]).
    pub(super) fn publish_next(&self, generation: Arc<Generation>, now_ms: i64) -> Result<GenerationId> {
        let published = self.publish_under_lock(generation, now_ms);
        // As below, where it was refused.
        self.work();
        published
    }
    pub(super) fn publish_under_lock(
        &self,
        generation: Arc<Generation>,
        now_ms: i64,
    ) -> Result<GenerationId> {
        {
            let mut built = self.generations.lock();
            if built.len() >= BUILT_MAX {
                built.clear();
            }
            built.insert(generation.hash(), generation.clone());
        }
        let id = GenerationId { hash: generation.hash(), overlay: 0 };
        let event =
            Event { tenant: "default".into(), arrival_ms: now_ms, body: Body::Publish { generation: id } };
        failpoint::reached("publish.before_append");
        let mut core = self.core.lock();
        match core.publish(generation, event)? {
            Answered::Noted(accepted) => {
                // Even where the journal cannot write it now: it will, and then names it.
                let in_use: Vec<[u8; 32]> = {
                    let mut published = self.published.lock();
                    published.insert(accepted.generation.hash);
                    published.iter().copied().collect()
                };
                let written = core.write();
                let durable = core.durable();
                drop(core);
                // Whoever brought a payment meanwhile found the core taken and went; it does not wait for the sync.
                self.work();
                written.and_then(|()| durable()).map_err(|why| Unwritable { why, is_kept: true })?;
                let kept = self.store.retain(self.loaded.config.journal.retain_generations, &in_use);
                if let Err(e) = kept {
                    tracing::warn!("older generations could not be removed: {e:#}");
                }
                Ok(accepted.generation)
            }
            Answered::Refused(error) => Err(error.into()),
            other => anyhow::bail!("publication came to {other:?}"),
        }
    }

    /// Checks, tests and keeps an uploaded pack archive for the next publication; its name and version. Its signature,
    /// where packs must be signed, is verified now; what is kept is the pack without it.
    ///
    /// # Errors
    /// Everything that is wrong with the pack or its signature.
    pub fn upload_pack(&self, archive: &[u8]) -> Result<(String, String)> {
        let mut files = packs::unarchive(archive)?;
        let signatures = signed::split(&mut files);
        let trust = signed::trust(&self.loaded.config.packs)?;
        let manifest = signed::verified(&trust, &signatures, &files, "pack")?;
        let pack = publish::checked_pack(files, "pack", &self.loaded.hardware.costs)?;
        if let Some(manifest) = manifest {
            let manifest = signed::of_pack(manifest, &pack, "pack")?;
            signed::admit(&self.store, &[manifest], Route::Upload, self.clock.wall_ms())?;
        }
        let named = (pack.name().to_owned(), pack.manifest.version.clone());
        self.uploaded.lock().insert(named.0.clone(), pack.archive());
        Ok(named)
    }

    /// Publishes configuration and uploaded packs as they are now.
    ///
    /// # Errors
    /// As [`publish::build`]; when deltas do not fit the new lists, or the journal takes no records.
    pub fn publish_current(&self, now_ms: i64) -> Result<GenerationId> {
        let uploaded = self.uploaded.lock().clone();
        let times = publish::list_times(&self.loaded);
        let (configured, costs) = publish::build_costed(&self.loaded, &self.store, &self.keys, &uploaded)?;
        self.pace.guess(&costs);
        let _publishing = self.publishing.lock();
        let generation = fold::under(&configured, &self.view(), &self.store)?;
        let id = self.publish_next(generation, now_ms)?;
        times.into_iter().for_each(|(name, time_ms)| self.list_changed(&name, time_ms));
        Ok(id)
    }

    /// Publishes a generation again that was in force before, with its packs, list files, watchlists, settings and
    /// rates; what list deltas have said since then stays said. `name`: as answers write it, with or without the
    /// sequence, or its whole hash. Uploaded packs become those that it has.
    ///
    /// # Errors
    /// When no generation that was ever in force, or more than one, has that name; when its parts are gone; as
    /// [`Node::publish_current`].
    pub fn publish_kept(&self, name: &str, now_ms: i64) -> Result<GenerationId> {
        let digits = name.strip_prefix("g-").unwrap_or(name).split('@').next().unwrap_or_default();
        // As answers write it: shorter names would be guesses.
        if digits.len() < 12 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            bail!("generation {name:?}: expected g- and 12 digits, or the 64 of its hash");
        }
        let digits = digits.to_ascii_lowercase();
        let fits = |hash: &&[u8; 32]| interdict_engine::generation::hex(*hash).starts_with(&digits);
        let found: Vec<[u8; 32]> = self.published.lock().iter().filter(fits).copied().collect();
        let [hash] = found[..] else {
            bail!("generation {name:?}: {} that were in force here have that name", found.len());
        };
        let kept = self.generation(&GenerationId { hash, overlay: 0 })?;
        let _publishing = self.publishing.lock();
        let wanted = fold::configured(&kept, &self.store)?;
        let id = self.publish_next(fold::under(&wanted, &self.view(), &self.store)?, now_ms)?;
        self.upload_again(&kept);
        Ok(id)
    }
    /// Uploaded packs go back to what a generation has of them. What a folder has stays the folder's: it is read again
    /// at the next publication.
    pub(super) fn upload_again(&self, kept: &Generation) {
        let folders = self.loaded.config.rules.packs.iter().map(|dir| self.loaded.resolve(dir));
        let folders = folders.filter_map(|dir| packs::load(publish::read_pack_folder(&dir).ok()?).ok());
        let folders: BTreeMap<String, [u8; 32]> =
            folders.map(|pack| (pack.name().to_owned(), pack.content_hash())).collect();
        let mut uploaded = self.uploaded.lock();
        let mut again = BTreeMap::new();
        for pack in kept.packs() {
            let of_folder = folders.get(pack.name());
            let was_uploaded = uploaded.contains_key(pack.name()) || of_folder.is_none();
            if was_uploaded && of_folder != Some(&pack.content_hash()) {
                again.insert(pack.name().to_owned(), pack.archive());
            }
        }
        *uploaded = again;
    }
    /// Generations held built beside the one in force, and the bytes of the lists of the one in force and of those.
    pub fn built(&self) -> (usize, [usize; 2]) {
        let bytes =
            |generation: &Generation| generation.lists().memory_bytes() + generation.lists().snapshot_bytes();
        let view = self.view();
        let generations = self.generations.lock();
        let kept = generations.iter().filter(|(hash, _)| **hash != view.id().hash);
        let (count, kept) = kept.fold((0, 0), |(n, sum), (_, one)| (n + 1, sum + bytes(one)));
        (count, [bytes(view.generation()), kept])
    }

    /// A list's content was changed at a time, in ms since the Unix epoch.
    pub fn list_changed(&self, name: &str, time_ms: i64) {
        let mut times = self.list_times.lock();
        let known = times.entry(name.to_owned()).or_insert(time_ms);
        *known = (*known).max(time_ms);
    }
    /// When each list's content was last changed, ms since the Unix epoch: its file's own time when it was read, or a
    /// delta's arrival (deltas of before a restart are not counted, so that a list never looks fresher than it is).
    pub fn list_times(&self) -> BTreeMap<String, i64> {
        self.list_times.lock().clone()
    }

    /// A generation that is in memory.
    pub(super) fn is_built(&self, hash: &[u8; 32]) -> Option<Arc<Generation>> {
        let view = self.view();
        let in_force = (view.generation().hash() == *hash).then(|| view.generation().clone());
        in_force.or_else(|| self.generations.lock().get(hash).cloned())
    }
}
