//! How long a start would take: from the newest image of the state and the journal behind it.

use super::{Row, State};
use crate::node::snapshot::FOLDER;
use interdict_ledger::snapshot::{self, Image};
use std::path::Path;
use std::time::Duration;

/// Bytes of an image read in a second, and of the journal put through the sequencer again: `interdict-bench restart`
/// on two shared cores (bench/RESULTS.md), rounded down.
const IMAGE_PER_S: u64 = 300 << 20;
const JOURNAL_PER_S: u64 = 35 << 20;
/// A start that takes longer is worth a word.
const LONG: Duration = Duration::from_secs(60);

/// The row of a data folder.
pub(super) fn row(data: &Path, now_ms: i64) -> Row {
    let journal = segments(&data.join("journal"));
    let newest = snapshot::list(&data.join(FOLDER)).unwrap_or_default();
    let newest = newest.into_iter().find_map(|(_, path)| Image::open(&path).ok());
    let Some(image) = newest else {
        let all: u64 = journal.iter().map(|(_, bytes)| bytes).sum();
        let takes = Duration::from_secs(all / JOURNAL_PER_S);
        let found =
            format!("no image of the state, {} MiB of journal: about {} s", all >> 20, takes.as_secs());
        let advice =
            "One is written at a clean end, and while the node runs (docs/OPERATIONS.md, [snapshot]).";
        return Row::new("start", State::or(takes < LONG, State::Warn), found, advice);
    };
    let (about, bytes) = (image.about(), image.bytes());
    let behind = journal.iter().filter(|(number, _)| *number >= about.at.segment());
    let behind: u64 = behind.map(|(_, bytes)| bytes).sum::<u64>().saturating_sub(about.at.offset());
    let takes = Duration::from_secs(bytes / IMAGE_PER_S + behind / JOURNAL_PER_S);
    let age_min = now_ms.saturating_sub(about.created_ms) / 60_000;
    let found = format!(
        "an image of sequence {}, {age_min} min old, {} MiB, and {} MiB of journal behind it: about {} s",
        about.sequence(),
        bytes >> 20,
        behind >> 20,
        takes.as_secs()
    );
    let advice =
        "Generations are built besides; what refuses an image (another version, other bounds) is in the log.";
    Row::new("start", State::or(takes < LONG, State::Warn), found, advice)
}

/// Numbers and lengths of the journal's files.
fn segments(dir: &Path) -> Vec<(u64, u64)> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let segment = |entry: std::fs::DirEntry| {
        let number = entry.file_name().to_str()?.strip_suffix(".seg")?.parse().ok()?;
        Some((number, entry.metadata().ok()?.len()))
    };
    entries.filter_map(segment).collect()
}
