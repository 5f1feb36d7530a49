//! Settled payments into the archive before the window lets go of them, with what became of them; and the labels that
//! come later. A disk that takes nothing stops nothing else: rows stay in the window, and it is tried again.

use super::{Hunter, Node, is_held};
use crate::config::schema::ArchiveSection;
use anyhow::{Result, anyhow};
use interdict_engine::domain::{GenerationId, HoldState, Label, Outcome};
use interdict_engine::settlement::causes;
use interdict_ledger::archive::{Archive, Fate, LabelRow};
use interdict_ledger::window::{Row, Rows};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// So long a node may have stood still and still archives all: what had its cut-off before is in the journal only.
pub(super) const CATCH_UP_MS: i64 = 7 * DAY_MS;
const DAY_MS: i64 = 86_400_000;
/// Labels are written with the next payments, or when there are so many of them, or so long after.
const LABELS_AT_ONCE: usize = 4096;
const LABELS_EVERY: Duration = Duration::from_secs(3600);
/// Rows between two rests.
const STEP: usize = 64;

/// A node's archive.
pub struct Archiving {
    dir: PathBuf,
    settings: ArchiveSection,
    /// Payments that were written.
    pub rows: AtomicU64,
    /// Bytes of the files that were written.
    pub bytes: AtomicU64,
    /// Labels that were written.
    pub labels: AtomicU64,
    /// Times that something could not be written.
    pub failures: AtomicU64,
}

impl Archiving {
    pub(super) fn new(dir: &Path, settings: ArchiveSection) -> Archiving {
        let [rows, bytes, labels, failures] = std::array::from_fn(|_| AtomicU64::new(0));
        Archiving { dir: dir.into(), settings, rows, bytes, labels, failures }
    }
    pub(super) fn every(&self) -> Duration {
        Duration::from_secs(self.settings.every_s)
    }
}

/// Names of the stamped features of generations that rows were stamped by; `None`: it is no longer kept.
type Names = BTreeMap<[u8; 32], Option<Arc<Vec<String>>>>;

impl Hunter {
    /// Archives what has settled before a time, ms since the Unix epoch. Whether it may be let go of.
    pub(super) fn archive(&mut self, node: &Node, until_ms: i64) -> bool {
        let Some(archiving) = &node.hunt().archive else { return true };
        match self.archived(node, archiving, until_ms) {
            Ok(all) => all,
            Err(e) => {
                archiving.failures.fetch_add(1, Relaxed);
                let every = archiving.every();
                tracing::error!(
                    "settled payments cannot be archived and stay in the window: {e:#}; again in {every:?}"
                );
                false
            }
        }
    }
    fn archived(&mut self, node: &Node, archiving: &Archiving, until_ms: i64) -> Result<bool> {
        let failed = |e: interdict_ledger::Error| anyhow!("{e}");
        let window = node.hunt().window.read();
        let settled = window.settled(until_ms, &mut |row| is_held(node, row.sequence()));
        let labels_due = self.labels.kept.len() >= LABELS_AT_ONCE
            || (!self.labels.kept.is_empty() && self.labelled.elapsed() >= LABELS_EVERY);
        if settled.is_empty() && !labels_due {
            return Ok(true);
        }
        let archive = Archive::open(&archiving.dir).map_err(failed)?;
        if !self.put(node, archiving, &archive, &settled)? {
            return Ok(false);
        }
        drop(window);
        let labels = self.labels.kept.values().map(|(payment, known)| LabelRow {
            payment: *payment,
            label: known.label,
            sequence: known.sequence,
            at_ms: known.at_ms,
        });
        let written = archive.add_labels(labels).map_err(failed)?;
        archiving.labels.fetch_add(written.iter().map(|part| part.rows as u64).sum(), Relaxed);
        self.labels.kept.clear();
        self.labelled = Instant::now();
        let before_ms = node.clock.wall_ms() - archiving.settings.keep_days * DAY_MS;
        let removed = archive.remove_before(before_ms).map_err(failed)?;
        if removed > 0 {
            tracing::info!(days = removed, "days left the archive");
        }
        Ok(true)
    }
    /// False where the thread is to end before all is written.
    fn put(
        &mut self,
        node: &Node,
        archiving: &Archiving,
        archive: &Archive,
        settled: &[Rows<'_>],
    ) -> Result<bool> {
        let failed = |e: interdict_ledger::Error| anyhow!("{e}");
        let (mut batch, mut names) = (archive.batch(), Names::new());
        for (at, row) in settled.iter().flat_map(|rows| rows.iter()).enumerate() {
            if at.is_multiple_of(STEP) && !self.share.go_on() {
                return Ok(false);
            }
            add(node, &mut names, &row, &mut |fate| batch.add(&row, fate).map(drop).map_err(failed))?;
        }
        for part in batch.finish().map_err(failed)? {
            archiving.rows.fetch_add(part.rows as u64, Relaxed);
            archiving.bytes.fetch_add(std::fs::metadata(&part.path).map_or(0, |file| file.len()), Relaxed);
        }
        Ok(true)
    }
}

/// Adds a row with what became of it.
fn add(
    node: &Node,
    names: &mut Names,
    row: &Row<'_, '_>,
    put: &mut dyn FnMut(&Fate<'_>) -> Result<()>,
) -> Result<()> {
    let failed = |e: interdict_ledger::Error| anyhow!("{e}");
    let payment = row.sequence();
    let accepted = row.accepted_open().map_err(failed)?;
    let stood = node.with_core(|core| {
        let book = core.sequencer.book();
        Stood {
            hold: book.latest(payment).map(|(_, hold)| (hold.state, hold.opened.causes.clone())),
            is_stopped: book.is_stopped(payment),
            is_late: book.is_late(payment),
            is_gone: book.is_gone(payment),
            is_flagged: book.is_flagged(payment),
            is_reversed: book.is_reversed(payment),
            label: book.label(payment).map(|known| known.label),
        }
    });
    let features = names_of(node, names, &accepted.generation);
    let features = match features.filter(|names| names.len() == accepted.features.len()) {
        Some(names) => names,
        // Their generation is no longer kept: by their places.
        None => Arc::new((0..accepted.features.len()).map(|place| format!("#{place}")).collect()),
    };
    let reasons: Vec<String> = match &stood.hold {
        Some((_, causes)) => causes.iter().map(ToString::to_string).collect(),
        None => {
            let verdict = row.decided().map_err(failed)?.verdict;
            let view = if verdict.reasons.is_empty() { None } else { node.view_of(&verdict.generation).ok() };
            let causes = view.map(|view| causes(&view, &verdict)).unwrap_or_default();
            causes.iter().map(ToString::to_string).collect()
        }
    };
    put(&Fate {
        settled_ms: row.cut_off_ms(),
        outcome: row.outcome().unwrap_or(Outcome::Recorded),
        reasons: &reasons,
        state: stood.state(),
        hold: stood.hold.as_ref().map(|(state, _)| state.name()),
        // The gate's events have the time; the book knows only that it said so.
        cleared_ms: None,
        label: stood.label,
        features: &features,
    })
}

/// Where a payment stood when it left the window.
struct Stood {
    hold: Option<(HoldState, Vec<Box<str>>)>,
    is_stopped: bool,
    is_late: bool,
    is_gone: bool,
    is_flagged: bool,
    is_reversed: bool,
    label: Option<Label>,
}

impl Stood {
    /// As a code (docs/formats/archive.md).
    fn state(&self) -> &'static str {
        match &self.hold {
            Some((state, _)) if state.stops() => state.name(),
            // Its hold is no longer shown.
            None if self.is_stopped => "stopped",
            Some((HoldState::TooLate, _)) => "too_late",
            None if self.is_late => "too_late",
            _ if self.is_flagged => "flagged",
            _ if self.is_gone => "cleared",
            _ if self.is_reversed => "reversed",
            _ => "settled",
        }
    }
}

fn names_of(node: &Node, names: &mut Names, id: &GenerationId) -> Option<Arc<Vec<String>>> {
    let known = names.entry(id.hash).or_insert_with(|| {
        let view = node.view_of(id).ok()?;
        let slots = view.generation().plan().slots().iter().map(|(name, _)| name.clone());
        Some(Arc::new(slots.collect()))
    });
    known.clone()
}
