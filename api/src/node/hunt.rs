//! The second clock's thread: it follows the journal into the settlement window, and whenever something is learned judges
//! again what has not settled. What it finds are events like any other; the path is not asked for anything but a turn.
//! The window is a cache of the journal, and a hunt that was cut off begins again without finding anything twice.

mod archiving;
mod changes;
mod facts;
mod figures;
mod filling;
mod judging;
mod labels;
mod learned;
mod progress;
mod round;

pub use archiving::Archiving;
pub use facts::WindowFacts;
pub use figures::{Figures, Reading};
pub(super) use round::hand_over;

use super::Node;
use super::background::Background;
use super::share::Share;
use crate::config::schema::{ArchiveSection, WindowSection};
use anyhow::{Result, anyhow};
use filling::Filling;
use interdict_engine::generation::View;
use interdict_ledger::storage::FileStorage;
use interdict_ledger::window::Window;
use learned::Lists;
use parking_lot::{Mutex, RwLock};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// How often it looks whether there is anything new.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// So long it lets whoever waits for the core go first; then it takes its share all the same, since a cut-off comes.
const PATIENCE: Duration = Duration::from_millis(20);
/// After the journal or the window's files could not be read or written.
const AGAIN: Duration = Duration::from_secs(10);
/// How often settled rows are let go of, where there is no archive to say it.
const TIDY_EVERY: Duration = Duration::from_secs(30);

/// The window and what hunting it came to.
pub struct Hunt {
    /// The payments that are to settle, as far as the journal has been followed.
    pub window: Arc<RwLock<Window>>,
    /// Figures for metrics and status.
    pub figures: Figures,
    /// Where settled payments go.
    pub archive: Option<Archiving>,
    dir: PathBuf,
    settings: WindowSection,
    /// The lists that the last hunt of this process judged by.
    judged_by: Mutex<Option<Lists>>,
    held_back: AtomicBool,
}

impl Hunt {
    /// The window of a data folder, as far as its files fit the journal; what does not fit is told and built anew.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(data: &Path, settings: WindowSection, archive: &ArchiveSection) -> Result<Hunt> {
        let failed = |e: interdict_ledger::Error| anyhow!("{e}");
        let dir = data.join("window");
        let journal = FileStorage::create(data.join("journal")).map_err(failed)?;
        let (window, refused) = Window::open(&dir, &journal).map_err(failed)?;
        if let Some(why) = refused {
            tracing::warn!("the settlement window is built anew from the journal: {why}");
        }
        let figures = Figures::default();
        Ok(Hunt {
            window: Arc::new(RwLock::new(window)),
            figures,
            archive: archive.enabled.then(|| Archiving::new(&data.join("archive"), archive.clone())),
            dir,
            settings,
            judged_by: Mutex::default(),
            held_back: AtomicBool::new(false),
        })
    }
    /// Has nothing hunted until it is let on again: for tests.
    pub fn hold_back(&self, held_back: bool) {
        self.held_back.store(held_back, Ordering::Release);
    }
    /// Payments that had their cut-off before this time become no rows any more. Those of a node that stood still are to
    /// be archived all the same.
    fn taken_from_ms(&self, now_ms: i64) -> i64 {
        let since_ms = if self.archive.is_some() { archiving::CATCH_UP_MS } else { 0 };
        now_ms - self.settings.keep_h * 3_600_000 - since_ms
    }
    fn tidy_every(&self) -> Duration {
        self.archive.as_ref().map_or(TIDY_EVERY, Archiving::every)
    }
    fn lessons_every(&self) -> Duration {
        Duration::from_secs(self.settings.lessons_every_s)
    }
}

impl Node {
    /// The window, which is there wherever its thread is.
    fn hunt(&self) -> &Hunt {
        self.window.as_ref().expect("whoever hunts has a window")
    }
}

/// Starts the thread of a node.
pub(super) fn start(node: &Arc<Node>) -> Background {
    let (weak, intake) = (Arc::downgrade(node), node.intake.clone());
    let percent = node.hunt().settings.percent.unwrap_or(node.loaded.hardware.background_percent);
    let keeps_labels = node.hunt().archive.is_some();
    Background::start("hunt", move |stop| {
        let share = Share::new(intake, stop.clone(), percent.max(1)).with_patience(PATIENCE);
        Hunter {
            node: weak,
            share,
            stop: stop.clone(),
            filling: None,
            labels: labels::Labels::new(keeps_labels),
            due: None,
            seen: None,
            swept: None,
            tidied: None,
            labelled: Instant::now(),
        }
        .run();
    })
}

/// The thread's own.
struct Hunter {
    node: Weak<Node>,
    share: Share,
    stop: Arc<AtomicBool>,
    filling: Option<Filling>,
    labels: labels::Labels,
    /// A hunt that waits until the window has come as far.
    due: Option<round::Due>,
    /// What was in force when the core was asked last.
    seen: Option<Arc<View>>,
    /// When all payments were judged last.
    swept: Option<Instant>,
    tidied: Option<Instant>,
    /// When labels were archived last.
    labelled: Instant,
}

impl Hunter {
    fn run(mut self) {
        while !self.is_stopped() {
            // Held for a round only, so that whoever closes the node finds itself its last holder.
            let Some(node) = self.node.upgrade() else { return };
            let wait = match self.turn(&node) {
                Ok(wait) => wait,
                Err(e) => {
                    node.hunt().figures.failed(&e);
                    tracing::error!("the settlement window cannot be hunted now: {e:#}; again in {AGAIN:?}");
                    // What was read of it may be what does not fit.
                    (self.filling, self.due, self.seen) = (None, None, None);
                    AGAIN
                }
            };
            drop(node);
            if !wait.is_zero() {
                thread::park_timeout(wait);
                self.share.slept();
            }
        }
        if let Some(node) = self.node.upgrade()
            && let Err(e) = node.hunt().window.write().save()
        {
            tracing::warn!(
                "the settlement window's last rows are read from the journal at the next start: {e}"
            );
        }
    }
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
    /// Follows the journal, hunts where something was learned, and lets go of what has settled; how long to wait then.
    fn turn(&mut self, node: &Arc<Node>) -> Result<Duration> {
        self.fill(node)?;
        if node.hunt().held_back.load(Ordering::Acquire) {
            return Ok(LOOK_EVERY);
        }
        // Before anything is hunted: what a node that stood still has missed is not judged again.
        if self.tidied.is_none_or(|at| at.elapsed() >= node.hunt().tidy_every()) {
            self.tidy(node)?;
            self.tidied = Some(Instant::now());
        }
        self.heed(node)?;
        let hunted = round::hunt(node, self)?;
        Ok(if hunted { Duration::ZERO } else { LOOK_EVERY })
    }
    /// Lets go of rows whose cut-off is long past, but for those that are held; where there is an archive they are in it
    /// before, or stay.
    fn tidy(&mut self, node: &Arc<Node>) -> Result<()> {
        let until_ms = node.clock.wall_ms() - node.hunt().settings.keep_h * 3_600_000;
        if !self.archive(node, until_ms) {
            return Ok(());
        }
        let mut window = node.hunt().window.write();
        let dropped = window.drop_settled(until_ms, &mut |row| is_held(node, row.sequence()));
        let dropped = dropped.map_err(|e| anyhow!("{e}"))?;
        if dropped > 0 {
            tracing::info!(payments = dropped, "settled payments left the window");
        }
        Ok(())
    }
}

fn is_held(node: &Node, payment: u64) -> bool {
    node.with_core(|core| {
        let latest = core.sequencer.book().latest(payment);
        latest.is_some_and(|(_, hold)| hold.state == interdict_engine::domain::HoldState::Held)
    })
}
