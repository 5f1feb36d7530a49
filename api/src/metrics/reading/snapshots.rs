//! Figures of the images of the state: how the start came to its state, and how old the newest image is.

use super::Reading;
use crate::node::snapshot::{Began, Outcome, Reason};
use crate::node::{Node, now_ms};
use std::time::Duration;

impl Reading<'_> {
    pub(super) fn snapshots(&self, node: &Node) {
        let figures = node.snapshots.figures();
        let one = |value: i64| vec![(vec![], value)];
        let began = Began::ALL.map(|way| (vec![way.name().to_owned()], i64::from(way == figures.began)));
        self.gauges(
            "interdict_snapshot_start",
            "1 for the way in which the start came to its state",
            &["way"],
            began.into(),
        );
        let refused = Reason::ALL.map(|reason| reason.name().to_owned()).into_iter().zip(figures.refused);
        self.counters(
            "interdict_snapshot_refused_total",
            "Images that the start did not use, by reason",
            &["reason"],
            refused.map(|(reason, count)| (vec![reason], count)).collect(),
        );
        let outcomes =
            Outcome::ALL.map(|outcome| outcome.name().to_owned()).into_iter().zip(figures.outcomes);
        self.counters(
            "interdict_snapshot_writes_total",
            "Attempts to write an image, by what they came to",
            &["result"],
            outcomes.map(|(outcome, count)| (vec![outcome], count)).collect(),
        );
        self.seconds("interdict_start_seconds", "How long the start took to have the state", figures.start);
        self.seconds("interdict_snapshot_duration_seconds", "How long the newest image took", figures.took);
        let (last, now_ms) = (node.written_sequence(), now_ms());
        let (sequence, created_ms, bytes) = figures
            .newest
            .map_or((0, now_ms, 0), |newest| (newest.sequence, newest.created_ms, newest.bytes));
        self.gauges(
            "interdict_snapshot_age_events",
            "Events that a start would read behind the newest image",
            &[],
            one(last.saturating_sub(sequence) as i64),
        );
        let age = Duration::from_millis(now_ms.saturating_sub(created_ms).max(0) as u64);
        self.seconds(
            "interdict_snapshot_age_seconds",
            "How old the newest image is; 0 where there is none",
            age,
        );
        self.gauges("interdict_snapshot_bytes", "Length of the newest image", &[], one(bytes as i64));
        self.gauges(
            "interdict_snapshot_working",
            "1 while the next image is made, with a second state in memory",
            &[],
            one(figures.working.into()),
        );
    }
}
