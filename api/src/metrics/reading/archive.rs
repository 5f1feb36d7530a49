//! Metrics of the archive of settled payments.

use super::Reading;
use crate::node::Node;
use crate::node::hunt::Archiving;
use std::sync::atomic::{AtomicU64, Ordering};

impl Reading<'_> {
    pub(super) fn archive(&self, node: &Node) {
        let archiving = node.window.as_ref().and_then(|hunt| hunt.archive.as_ref());
        let counter = |name: &str, help: &str, of: fn(&Archiving) -> &AtomicU64| {
            let count = archiving.map_or(0, |archiving| of(archiving).load(Ordering::Relaxed));
            self.counters(name, help, &[], vec![(vec![], count)]);
        };
        counter("interdict_archive_rows_total", "Settled payments that were archived", |a| &a.rows);
        counter("interdict_archive_bytes_total", "Bytes of the archive's files that were written", |a| {
            &a.bytes
        });
        counter("interdict_archive_labels_total", "Labels that were written beside them", |a| &a.labels);
        counter(
            "interdict_archive_failures_total",
            "Times that settled payments could not be archived and stayed in the window",
            |a| &a.failures,
        );
    }
}
