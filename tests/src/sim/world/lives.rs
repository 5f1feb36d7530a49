//! The node's lives in the world: it crashes, is started, and what it finds is compared with what was acknowledged.

use super::{Task, World};
use crate::sim::books::Failure;
use crate::sim::clients::START_MS;
use crate::sim::clock::MS;
use crate::sim::disk::weather;
use crate::sim::holds;
use crate::sim::node::Node;
use crate::sim::packs;
use interdict_ledger::ErrorKind;
use interdict_ledger::faulty::{Crash, Faults};
use interdict_ledger::journal::{Durability, OwnedRecord};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

impl World {
    /// The disk did what checksums are for.
    pub(super) fn is_damaged(&self) -> bool {
        let harm = self.storage.harm();
        self.plan.broken.is_none() && (harm.misdirected > 0 || harm.rotted > 0)
    }
    /// The disk did what no durability is promised against.
    pub(super) fn is_lossy(&self) -> bool {
        self.is_damaged() || self.took_power
    }

    pub(super) fn crash(&mut self) {
        let power = self.plan.power && self.random.random_range(0..3) > 0;
        let crash = if power { Crash::Power } else { Crash::Process };
        trace!(self, "crash: {crash:?}");
        self.summary.power_losses += usize::from(power);
        self.summary.kills += usize::from(!power);
        self.took_power |= power && self.plan.durability == Durability::Os;
        self.storage = self.storage.crash(crash);
        self.gone();
    }
    /// What the node had in memory is gone, and nobody it has not told will be.
    pub(super) fn gone(&mut self) {
        self.node = None;
        self.open.clear();
        self.inbox.lock().clear();
        self.books.crashed();
        if self.is_lossy() {
            // They may be of payments that are gone.
            self.bound.clear();
        }
        (self.sync_ends_ns, self.watch_ns) = (None, None);
        let after_ns = self.random.random_range(1..50) * MS;
        self.agenda.at(self.clock.passed_ns() + after_ns, Task::Start);
    }

    pub(super) fn start(&mut self) -> Result<bool, Failure> {
        let faults = match !self.is_well && self.random.random_range(0..3) == 0 {
            true => weather(&self.plan, &self.storage, &mut self.random),
            false => Faults::default(),
        };
        self.storage.set_faults(faults);
        if !self.is_well && self.random.random_range(0..6) == 0 {
            self.storage.stop_after(Some(self.random.random_range(0..12)));
        }
        let random = ChaCha8Rng::seed_from_u64(self.random.random());
        let opened = Node::open(&self.plan, &self.storage, &self.clock, random);
        if self.storage.is_stopped() {
            self.summary.in_call += 1;
            self.crash();
            return Ok(false);
        }
        let (node, found) = match opened {
            Ok(opened) => opened,
            Err(e) => return self.failed_start(&e),
        };
        trace!(self, "started: {found:?}");
        if found.restored_differently > 0 {
            return Err(format!("{} stamps were restored differently", found.restored_differently));
        }
        // Looked at in good weather; what is checked is what was found.
        self.storage.set_faults(Faults::default());
        let records = node.reader.records(1).collect::<Result<Vec<_>, _>>();
        self.node = Some(node);
        let records = match records {
            Ok(records) => records,
            Err(e) if self.is_damaged() => return self.failed_start(&e),
            Err(e) => return Err(format!("what was recovered reads as {e}")),
        };
        self.compare(records.clone())?;
        if let Some(node) = &self.node {
            holds::judge(&records, node.core.lock().sequencer.book())?;
        }
        if found.last_sequence == 0 {
            self.publish_first();
        }
        self.storage.set_faults(if self.is_well { Faults::default() } else { faults });
        Ok(false)
    }
    pub(super) fn compare(&mut self, records: Vec<OwnedRecord>) -> Result<(), Failure> {
        self.fold(records.len() as u64, 0);
        let lossy = self.is_lossy();
        let kept = self.books.compare(records, lossy)?;
        self.summary.recovered = self.summary.recovered.max(kept.recovered);
        self.summary.lost += kept.lost;
        Ok(())
    }
    pub(super) fn publish_first(&mut self) {
        let (arrival_ms, reply) = (START_MS, self.reply(0));
        if let Some(node) = &mut self.node {
            node.publish(packs::generations()[0].clone(), arrival_ms, reply);
        }
    }
    /// A start that fails is tried again, unless for damage: which is said, with its place, and ends the seed.
    pub(super) fn failed_start(&mut self, error: &interdict_ledger::Error) -> Result<bool, Failure> {
        trace!(self, "the start fails: {error}");
        if matches!(error.kind, ErrorKind::Corrupt | ErrorKind::Version) {
            self.summary.damaged += 1;
            return match (self.is_lossy(), error.place) {
                (true, Some(_)) => Ok(true),
                (true, None) => Err(format!("damage without its place: {error}")),
                (false, _) => Err(format!("damage on a disk that keeps its promises: {error}")),
            };
        }
        if self.is_well {
            return Err(format!("a good disk, and the start fails: {error}"));
        }
        self.summary.failed_starts += 1;
        self.gone();
        Ok(false)
    }
}
