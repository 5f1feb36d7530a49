//! Keys of the ring are taken up: the newest that seals, and the newest that tags. Each is an event in the one order;
//! what was tagged under the key before and comes after the event is refused by the sequencer and read again.

use super::core::{Answered, Core};
use super::keys::{NodeKeys, TAGS};
use super::outage::Unwritable;
use super::ring::{Purpose, Ring};
use super::{Node, failpoint};
use anyhow::{Result, bail};
use interdict_engine::domain::{Accepted, Body, Event, KeyTaken, KeyUse};
use interdict_engine::keys::{EarlierTagKey, Keys};
use interdict_engine::limits::FOLLOW_UPS_WAIT_MS;
use interdict_engine::sequencer::Submission;
use serde::Serialize;
use std::sync::atomic::Ordering;
use utoipa::ToSchema;
use zeroize::Zeroizing;

const DAY_MS: i64 = 86_400_000;

/// The keys in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct InForce {
    /// Number of the key that seals.
    pub sealing: u32,
    /// Number of the key that identifiers are tagged under.
    pub tags: u32,
    /// Tag keys before it under which tags are made too.
    pub earlier: Vec<EarlierInForce>,
}

/// A tag key that was replaced and is needed still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EarlierInForce {
    /// Its number.
    pub number: u32,
    /// Until when, ms since the Unix epoch.
    pub until_ms: i64,
}

/// Whether the ring has the keys that the journal says are in force.
///
/// # Errors
/// Which one it lacks.
pub fn check_ring(keys: &NodeKeys, in_force: &Keys) -> Result<()> {
    let ring = keys.ring.lock();
    if ring.key(in_force.tags()).is_none() {
        bail!(
            "key ring {}: the journal says that identifiers are tagged under key {}, and it is not there; put it \
             back from a backup of the keys",
            ring.dir().display(),
            in_force.tags()
        );
    }
    Ok(())
}

impl Node {
    /// Takes up what the ring's folder has that is not in force: `by` whom goes into the event.
    ///
    /// # Errors
    /// A ring that lacks a key or has a damaged one; a tag key while a file is followed, or while as many earlier ones
    /// are needed as there may be; a journal that takes no records. What was taken up before the error stays so.
    pub fn take_up_keys(&self, by: &str, now_ms: i64) -> Result<InForce> {
        let _rotating = self.rotating.lock();
        *self.keys.ring.lock() = Ring::open(&self.keys.dir)?;
        let in_force = self.with_core(|core| core.sequencer.keys().clone());
        let newest = |purpose| {
            let ring = self.keys.ring.lock();
            let key = ring.newest(purpose);
            (key.row.number, key.master.ident().0)
        };
        let (number, ident) = newest(Purpose::Sealing);
        if number > in_force.sealing() {
            let by = by.to_owned();
            let taken = KeyTaken { used_for: KeyUse::Sealing, number, ident, until_ms: None, by };
            self.take_up(taken, now_ms, |_| {})?;
            self.seal_under(number);
        }
        let (number, ident) = newest(Purpose::Tags);
        if number > in_force.tags() {
            if self.follows.load(Ordering::Acquire) {
                bail!(
                    "a file is followed, so tag key {number} is taken up at a restart; nothing was changed"
                );
            }
            let until_ms = Some(now_ms.saturating_add(self.tag_horizon_ms()));
            let taken = KeyTaken { used_for: KeyUse::Tags, number, ident, until_ms, by: by.to_owned() };
            // Under the core's lock: what is read from then on is sequenced after the event.
            self.take_up(taken, now_ms, |keys| self.tag_by(keys, now_ms))?;
        }
        Ok(self.keys_in_force(now_ms))
    }

    /// The event; `then` is called under the core's lock once it has its sequence.
    fn take_up(&self, taken: KeyTaken, now_ms: i64, then: impl FnOnce(&Keys)) -> Result<()> {
        let (used_for, number, by) = (taken.used_for.name(), taken.number, taken.by.clone());
        let event = Event { tenant: "default".into(), arrival_ms: now_ms, body: Body::Key(Box::new(taken)) };
        failpoint::reached("keys.before_append");
        let mut core = self.core.lock();
        let accepted = control(&mut core, event)?;
        then(core.sequencer.keys());
        let written = core.write();
        let durable = core.durable();
        drop(core);
        failpoint::reached("keys.after_append");
        // Whoever brought a payment meanwhile found the core taken and went.
        self.work();
        written.and_then(|()| durable()).map_err(|why| Unwritable { why, is_kept: true })?;
        tracing::info!(used_for, number, by, sequence = accepted.sequence, "a key of the ring was taken up");
        Ok(())
    }
    fn seal_under(&self, number: u32) {
        if let Some(key) = self.keys.ring.lock().key(number) {
            self.keys.sealing.seal_under(&key.master);
        }
        self.roll();
    }

    /// Has identifiers tagged under the keys that the sequencer goes by, and no longer under those that nothing hangs
    /// on any more.
    pub fn refresh_tags(&self, now_ms: i64) {
        let core = self.core.lock();
        self.tag_by(core.sequencer.keys(), now_ms);
        drop(core);
        self.work();
    }
    fn tag_by(&self, in_force: &Keys, now_ms: i64) {
        let ring = self.keys.ring.lock();
        let derived = |number: u32| ring.key(number).map(|key| key.master.derive(TAGS));
        let needed = self.earlier(in_force, now_ms);
        let earlier: Vec<Zeroizing<[u8; 32]>> =
            needed.iter().filter_map(|(earlier, _)| derived(earlier.number)).collect();
        let tags = &self.keys.tags;
        if (tags.rotations(), tags.earlier()) == (in_force.rotations(), earlier.len()) {
            return;
        }
        // `check_ring` and the ring's own reading have seen it.
        let Some(state) = derived(in_force.tags()) else { return };
        tags.rotate(in_force.rotations(), &state, &earlier);
    }
    /// The tag keys before the one in force that something may hang on, with until when.
    fn earlier(&self, in_force: &Keys, now_ms: i64) -> Vec<(EarlierTagKey, i64)> {
        let horizon_ms = self.tag_horizon_ms();
        let until =
            |earlier: &EarlierTagKey| earlier.until_ms.max(earlier.replaced_ms.saturating_add(horizon_ms));
        let all = in_force.earlier().iter().map(|earlier| (*earlier, until(earlier)));
        all.filter(|(_, until_ms)| *until_ms > now_ms).collect()
    }
    /// How long state may hang on a tag after the last payment that was tagged so, in ms: the longest of the features'
    /// windows with their lateness at either end, identity's horizon, and the time a reversal waits; and a day, for
    /// clocks.
    fn tag_horizon_ms(&self) -> i64 {
        let limits = super::limits(&self.loaded);
        let view = self.view();
        let spans = view.generation().plan().specs().map(|spec| {
            let longest_ms = spec.windows.last().map_or(0, |(_, window_ms)| *window_ms);
            longest_ms.saturating_add(spec.delay_ms)
        });
        let features_ms = spans.max().unwrap_or(0).saturating_add(2 * limits.features.lateness_ms);
        features_ms.max(limits.identity.horizon_ms).max(FOLLOW_UPS_WAIT_MS).saturating_add(DAY_MS)
    }

    /// The keys in force at a moment, ms since the Unix epoch.
    pub fn keys_in_force(&self, now_ms: i64) -> InForce {
        let keys = self.with_core(|core| core.sequencer.keys().clone());
        let earlier = self.earlier(&keys, now_ms).into_iter();
        let earlier =
            earlier.map(|(key, until_ms)| EarlierInForce { number: key.number, until_ms }).collect();
        InForce { sealing: keys.sealing(), tags: keys.tags(), earlier }
    }
}

/// Sequences an event of the node's own.
fn control(core: &mut Core, event: Event) -> Result<Box<Accepted>> {
    if let Some(why) = core.refuses_control() {
        return Err(Unwritable { why, is_kept: false }.into());
    }
    let submission = Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None };
    let mut taken = Vec::with_capacity(1);
    core.sequencer.step([submission], &mut taken);
    let taken = taken.pop().expect("one of each submission");
    match core.note(taken) {
        Answered::Noted(accepted) => Ok(accepted),
        Answered::Refused(error) => Err(error.into()),
        other => bail!("a key's event came to {other:?}"),
    }
}
