//! A data folder read from outside: its keys, its journal, its kept generations, and what each payment was judged by.
//! Read-only and without a lock, so it works beside a running node and after a crash; used by `verify` and `explain`.

use crate::config;
use crate::node::keys::{NodeKeys, key_folder};
use crate::node::publish::assemble;
use crate::node::recovery::empty_generation;
use crate::node::store::Store;
use anyhow::{Context, Result, anyhow, bail};
use interdict_engine::domain::{Accepted, Body, GenerationId};
use interdict_engine::generation::{Generation, View, hex};
use interdict_engine::sequencer::ENGINE;
use interdict_ledger::journal::{self, Reader, Report};
use interdict_ledger::storage::FileStorage;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Built generations held at once.
const BUILT_MAX: usize = 4;

/// A data folder.
pub struct Folder {
    /// Its keys.
    pub keys: NodeKeys,
    /// Its kept generations.
    pub store: Store,
    storage: Arc<FileStorage>,
}

impl Folder {
    /// Opens a data folder for reading; `config` says where the keys lie when not in the folder.
    ///
    /// # Errors
    /// A folder without journal or keys; a config that does not read.
    pub fn open(data: &Path, config: Option<&Path>) -> Result<Folder> {
        if !data.is_dir() {
            bail!("data folder {}: no such folder", data.display());
        }
        let loaded = config.map(config::load).transpose()?;
        let named = loaded.as_ref().and_then(|l| l.config.keys.dir.as_deref().map(|dir| l.resolve(dir)));
        let keys = NodeKeys::open(&key_folder(data, named.as_deref())?, false).with_context(|| {
            format!("data folder {} (--config names the keys when they lie elsewhere)", data.display())
        })?;
        let storage = FileStorage::open(data.join("journal")).map_err(|e| anyhow!("journal: {e}"))?;
        Ok(Folder { keys, store: Store::existing(data), storage: Arc::new(storage) })
    }
    /// The journal's own check: every checksum, every link of the chain, every sealed part.
    ///
    /// # Errors
    /// When the check cannot be done. Damage is in the report.
    pub fn check(&self) -> Result<Report> {
        journal::check(&*self.storage, &self.keys.sealing).map_err(|e| anyhow!("{e}"))
    }
    /// The journal, to be read.
    ///
    /// # Errors
    /// A damaged journal.
    pub fn reader(&self) -> Result<Reader> {
        Reader::open(self.storage.clone(), &self.keys.sealing).map_err(|e| anyhow!("{e}"))
    }
}

/// Why a payment's verdict cannot be made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gone {
    /// Its generation, or a part of it, is no longer in the store.
    NotKept,
    /// Its generation is kept, and not as it was written.
    Damaged,
    /// Its generation is kept whole and another engine wrote it; this one cannot build it.
    OtherEngine,
}

/// What payments are judged by, as the journal's events change it: the same steps as the sequencer's.
pub struct History<'a> {
    store: &'a Store,
    view: Arc<View>,
    gone: Option<Gone>,
    certain: bool,
    any_delta: bool,
    built: BTreeMap<[u8; 32], Arc<Generation>>,
    findings: Vec<String>,
}

impl<'a> History<'a> {
    /// What the first record of a journal is judged by. `from_the_start`: whether the journal still has its first
    /// segment; what was published in a removed one is not known.
    pub fn new(store: &'a Store, from_the_start: bool) -> History<'a> {
        History {
            store,
            view: View::new(empty_generation(), 0),
            gone: (!from_the_start).then_some(Gone::NotKept),
            certain: from_the_start,
            any_delta: !from_the_start,
            built: BTreeMap::new(),
            findings: Vec::new(),
        }
    }
    /// The view of the next payment; of the last generation that could be built where [`History::gone`] says so.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }
    /// Why the next payment's verdict cannot be made again; `None` when it can.
    pub fn gone(&self) -> Option<&Gone> {
        self.gone.as_ref()
    }
    /// Whether all list deltas before are known over the generations they were made for. Where not, a difference
    /// says nothing.
    pub fn is_certain(&self) -> bool {
        self.certain
    }
    /// What was found not to be as it was written, a line each.
    pub fn findings(&self) -> &[String] {
        &self.findings
    }

    /// Takes an accepted record that is no payment (of a payment nothing changes).
    pub fn apply(&mut self, accepted: &Accepted) {
        let sequence = accepted.sequence;
        match &accepted.event.body {
            Body::Publish { generation } => self.publish(sequence, generation, &accepted.engine),
            Body::ListDelta(delta) => {
                self.any_delta = true;
                match self.view.delta(sequence, &accepted.event.tenant, accepted.event.arrival_ms, delta) {
                    Ok(view) => self.view = view,
                    Err(e) if self.certain && self.gone.is_none() => {
                        self.certain = false;
                        self.findings.push(format!("list delta at sequence {sequence} does not apply: {e}"));
                    }
                    Err(_) => {}
                }
                // Over a stand-in for the base it may come to something else than it did.
                self.certain &= self.gone.is_none();
            }
            _ => {}
        }
    }

    fn publish(&mut self, sequence: u64, id: &GenerationId, engine: &str) {
        let published = match self.generation(id, engine) {
            Ok(generation) => self.view.publish(generation, sequence).map_err(|e| {
                self.findings.push(format!("publication at sequence {sequence} does not apply: {e}"));
                Gone::Damaged
            }),
            Err(gone) => Err(gone),
        };
        match published {
            Ok(view) => (self.view, self.gone) = (view, None),
            Err(gone) => {
                // Deltas made so far lie over a base that is not there.
                self.certain &= !self.any_delta;
                self.gone = Some(gone);
            }
        }
    }

    fn generation(&mut self, id: &GenerationId, engine: &str) -> Result<Arc<Generation>, Gone> {
        if let Some(known) = self.built.get(&id.hash) {
            return Ok(known.clone());
        }
        let manifest = match self.store.manifest(&id.hash) {
            Ok(Some(manifest)) => manifest,
            Ok(None) => return Err(Gone::NotKept),
            Err(e) => return self.damaged(id, &format!("{e:#}")),
        };
        for hash in manifest.objects() {
            if !self.store.has(&hash) {
                return Err(Gone::NotKept);
            }
            if let Err(e) = self.store.get(&hash) {
                let part = manifest.parts().iter().find(|(_, _, known)| *known == hash);
                let name = part.map_or("", |(_, name, _)| name);
                return self.damaged(id, &format!("{name:?}: {e:#}"));
            }
        }
        match assemble(manifest, self.store) {
            Ok(generation) => {
                // Folded generations may be many, and are rarely named twice.
                if self.built.len() >= BUILT_MAX {
                    self.built.clear();
                }
                self.built.insert(id.hash, generation.clone());
                Ok(generation)
            }
            Err(_) if engine != ENGINE => Err(Gone::OtherEngine),
            Err(e) => self.damaged(id, &format!("does not build: {e:#}")),
        }
    }

    fn damaged<T>(&mut self, id: &GenerationId, why: &str) -> Result<T, Gone> {
        let finding = format!("kept generation {} ({}): {why}", id.short(), hex(&id.hash));
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
        Err(Gone::Damaged)
    }
}
