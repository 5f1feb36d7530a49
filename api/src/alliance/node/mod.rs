//! A member's part in its node (`[consortium]`): a thread beside the path that keeps the member's folder, publishes each
//! epoch as a generation, has candidates confirmed, and tells the alliance what became of hits. Without the hub the node
//! goes on with the epoch that it holds.

mod confirming;
mod epochs;
mod feedback;
mod figures;

pub use figures::{Figures, STEPS};

use crate::alliance::member::{MemberFolder, Session, sync};
use crate::node::Node;
use crate::node::background::Background;
use anyhow::{Context, Result};
use confirming::Confirming;
use epochs::Epoch;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often the thread looks whether payments wait to be confirmed: looking costs one lock.
const LOOK: Duration = Duration::from_millis(20);

/// What the thread works on.
struct Part {
    node: Arc<Node>,
    session: Session,
    epoch: Option<Epoch>,
    confirming: Confirming,
    tells_outcomes: bool,
    terms: crate::node::consortium::ConsortiumTerms,
    figures: Arc<Figures>,
}

/// Starts the member's part, where a folder is configured. What the folder holds already is in force when this returns, so
/// that a start without a hub decides by it from the first payment on.
///
/// # Errors
/// A folder that is no member's, is not joined, or that another process holds; an epoch in it that does not read.
pub fn start(node: &Arc<Node>) -> Result<Option<(Background, Arc<Figures>)>> {
    let section = &node.loaded.config.consortium;
    let Some(folder) = section.folder.as_ref().map(|folder| node.loaded.resolve(folder)) else {
        return Ok(None);
    };
    let session = MemberFolder::open(&folder).and_then(Session::open).context("[consortium]")?;
    let figures = Arc::new(Figures::started());
    let mut part = Part {
        node: node.clone(),
        session,
        epoch: None,
        confirming: Confirming::new(section.gather_ms)?,
        tells_outcomes: section.feedback,
        terms: section.terms()?,
        figures: figures.clone(),
    };
    part.take_keys().context("[consortium]: the tag key")?;
    part.take_epoch().context("[consortium]: the epoch that is held")?;
    let every = Duration::from_secs(section.sync_every_s);
    let thread = Background::start("consortium", move |stopped| part.run(every, stopped));
    Ok(Some((thread, figures)))
}

impl Part {
    fn run(mut self, every: Duration, stopped: &Arc<AtomicBool>) {
        let mut due = Instant::now();
        while !stopped.load(Ordering::Acquire) {
            if Instant::now() >= due {
                self.round();
                due = Instant::now() + every;
            }
            if let Some(epoch) = &self.epoch {
                self.confirming.step(&self.node, &mut self.session, epoch, &self.figures);
            }
            thread::park_timeout(LOOK.min(due.saturating_duration_since(Instant::now())));
        }
    }
    /// One round with the hub. What fails is logged and counted, and tried again in the next one.
    fn round(&mut self) {
        match sync::step(&mut self.session, |_| {}) {
            Ok(synced) => {
                self.figures.synced(&synced);
                for warning in &synced.warnings {
                    tracing::warn!(warning, "consortium: a round");
                }
                for broken in &synced.promises.broken {
                    tracing::error!(promise = broken, "consortium: the hub has not kept a promise");
                }
                let taken = self.take_keys().and_then(|()| self.take_epoch());
                if let Err(error) = taken {
                    self.figures.failed("publish");
                    tracing::error!(
                        error = format!("{error:#}"),
                        "consortium: a key or an epoch was not taken up"
                    );
                }
            }
            Err(error) => {
                self.figures.failed("sync");
                tracing::warn!(error = format!("{error:#}"), "consortium: no round with the hub");
            }
        }
        if self.tells_outcomes
            && let Some(epoch) = &self.epoch
        {
            match feedback::step(&self.node, &mut self.session, epoch) {
                Ok(told) => self.figures.told(told),
                Err(error) => {
                    self.figures.failed("feedback");
                    tracing::warn!(error = format!("{error:#}"), "consortium: outcomes were not told");
                }
            }
        }
    }
    /// Makes tags under a key as soon as the member has it: what comes before the first epoch under it is found by it.
    fn take_keys(&self) -> Result<()> {
        let epoch = self.epoch.as_ref().map(|epoch| &epoch.manifest);
        epochs::hold_keys(&self.node, &self.session, epoch, &self.node.consortium_versions())
    }
    /// Puts the epoch that the folder holds in force, where it is another than the one that is.
    fn take_epoch(&mut self) -> Result<()> {
        // The manifest alone first: it is small, and looked at in every round, so that what failed is tried again.
        let in_force = self.epoch.as_ref().map(|epoch| epoch.manifest.number);
        if sync::held_manifest(&self.session)?.is_none_or(|held| Some(held.number) == in_force) {
            return Ok(());
        }
        let Some((manifest, snapshot)) = sync::held_snapshot(&self.session)? else { return Ok(()) };
        let epoch = Epoch::new(manifest, snapshot)?;
        // First: no payment that is sequenced after the publication may lack a tag.
        epochs::hold_keys(
            &self.node,
            &self.session,
            Some(&epoch.manifest),
            &self.node.consortium_versions(),
        )?;
        let published = epoch.publish(&self.node, &self.session, &self.terms)?;
        self.confirming.set_epoch(&epoch)?;
        self.figures.published(&epoch, &published);
        tracing::info!(
            epoch = epoch.manifest.number,
            rows = epoch.manifest.rows,
            unusable = published.unusable,
            generation = published.generation.to_string(),
            "consortium: an epoch is in force"
        );
        self.epoch = Some(epoch);
        Ok(())
    }
}
