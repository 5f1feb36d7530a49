//! A list of a generation as a stack of snapshots: the configuration's file at the bottom, over it what folds have
//! written of deltas. The topmost snapshot that names a subject decides it, so another file under the same stack
//! leaves said what deltas have said.

use super::layout::Row;
use super::meta::ListMeta;
use super::snapshot::Snapshot;
use crate::domain::{Entry, Subject};
use std::collections::HashSet;

/// What a snapshot in a list's stack says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    /// The list as the configuration has it; only at the bottom.
    File,
    /// Entries that deltas added.
    Added,
    /// Subjects whose entry deltas ended; of its entries only the subjects count.
    Ended,
}

/// One snapshot of a list's stack.
#[derive(Debug, Clone)]
pub struct Layer {
    kind: LayerKind,
    snapshot: Snapshot,
    /// The list's number of the snapshot's first row.
    start: u64,
    part: usize,
}

impl Layer {
    /// What it says.
    pub fn kind(&self) -> LayerKind {
        self.kind
    }
    /// The snapshot.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }
    /// Its place, from 0, among all snapshots that the base was made of.
    pub fn part(&self) -> usize {
        self.part
    }
    /// How many of the list's rows it has.
    fn rows(&self) -> u64 {
        if self.kind == LayerKind::Ended { 0 } else { self.snapshot.len() }
    }
}

/// A list of a base. Its rows are those of its snapshots one after another, from the bottom; some may be hidden by
/// snapshots above.
#[derive(Debug, Clone)]
pub struct List {
    meta: ListMeta,
    layers: Vec<Layer>,
    hidden: HashSet<u64>,
    rows: u64,
}

impl List {
    /// A list of its bottom snapshot.
    pub(super) fn new(kind: LayerKind, snapshot: Snapshot, part: usize) -> List {
        let meta = snapshot.meta().clone();
        let mut list = List { meta, layers: Vec::new(), hidden: HashSet::new(), rows: 0 };
        list.put(kind, snapshot, part);
        list
    }
    /// Puts a snapshot on top: what it names is hidden below. Costs a look-up a layer for each of its entries.
    pub(super) fn put(&mut self, kind: LayerKind, snapshot: Snapshot, part: usize) {
        if !self.layers.is_empty() {
            let named = (0..snapshot.len()).map(|row| snapshot.row(row).subject);
            let hidden: Vec<u64> = named.filter_map(|subject| self.row_of(&subject)).collect();
            self.hidden.extend(hidden);
        }
        let layer = Layer { kind, snapshot, start: self.rows, part };
        self.rows += layer.rows();
        self.layers.push(layer);
    }

    /// What the list is: as its bottom snapshot says.
    pub fn meta(&self) -> &ListMeta {
        &self.meta
    }
    /// Its snapshots, bottom first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }
    /// Whether the configuration has a file for it.
    pub fn has_file(&self) -> bool {
        self.layers.first().is_some_and(|layer| layer.kind == LayerKind::File)
    }
    /// How many entries it has.
    pub fn len(&self) -> u64 {
        self.rows - self.hidden.len() as u64
    }
    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// How many rows it has, hidden ones included.
    pub fn rows(&self) -> u64 {
        self.rows
    }
    /// An entry by its row, hidden or not. Panics when there is no such row, like an index.
    pub fn entry(&self, row: u64) -> Entry {
        let layer = self.layer_of(row);
        Entry { id: row, ..layer.snapshot.entry(row - layer.start) }
    }
    /// When the subject of a row was first heard of, ms since the Unix epoch, where its snapshot says so. Panics when
    /// there is no such row.
    pub fn first_seen_ms(&self, row: u64) -> Option<i64> {
        self.row(row).first_seen_ms
    }
    /// All entries, by row.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        (0..self.rows).filter(|row| !self.is_hidden(*row)).map(|row| self.entry(row))
    }
    /// The row of a subject's entry; `None` where the list does not have it.
    pub fn row_of(&self, subject: &Subject) -> Option<u64> {
        self.row_below(self.layers.len(), subject)
    }
    /// Bytes of its snapshots.
    pub fn bytes_len(&self) -> usize {
        self.layers.iter().map(|layer| layer.snapshot.bytes_len()).sum()
    }

    /// The row of a subject's entry, as the lowest `layers` of the stack have it.
    pub(super) fn row_below(&self, layers: usize, subject: &Subject) -> Option<u64> {
        let named = self.layers[..layers].iter().rev();
        let (layer, row) = named.filter_map(|layer| Some((layer, layer.snapshot.row_of(subject)?))).next()?;
        (layer.kind != LayerKind::Ended).then_some(layer.start + row)
    }
    /// The rows that are not hidden, in order.
    pub(super) fn visible(&self) -> impl Iterator<Item = (u64, Row)> + '_ {
        (0..self.rows).filter(|row| !self.is_hidden(*row)).map(|row| (row, self.row(row)))
    }
    /// The rows of entries that deltas added and no later fold ended, in order.
    pub(super) fn added(&self) -> impl Iterator<Item = u64> + '_ {
        let file = self.layers.first().filter(|layer| layer.kind == LayerKind::File).map_or(0, Layer::rows);
        (file..self.rows).filter(|row| !self.is_hidden(*row))
    }
    pub(super) fn row(&self, row: u64) -> Row {
        let layer = self.layer_of(row);
        layer.snapshot.row(row - layer.start)
    }
    /// A text of the snapshot that has a row.
    pub(super) fn text(&self, row: u64, number: u32) -> Option<&str> {
        self.layer_of(row).snapshot.text(number)
    }
    /// The first row of the snapshot that has a row: names the snapshot.
    pub(super) fn start_of(&self, row: u64) -> u64 {
        self.layer_of(row).start
    }
    fn is_hidden(&self, row: u64) -> bool {
        !self.hidden.is_empty() && self.hidden.contains(&row)
    }
    #[inline]
    fn layer_of(&self, row: u64) -> &Layer {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        let holds = |layer: &&Layer| layer.start <= row && row - layer.start < layer.rows();
        self.layers.iter().find(holds).expect("the rows of the layers are the list's rows")
    }
}
