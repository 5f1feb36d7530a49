//! Metrics of the member's part in an alliance; all zero without one.

use super::Reading;
use crate::alliance::node::{Figures, STEPS};

impl Reading<'_> {
    pub(in crate::metrics) fn member(&self, figures: &Figures) {
        let read = figures.read();
        self.counters(
            "interdict_consortium_rounds_total",
            "Rounds with the hub that ended well",
            &[],
            vec![(Vec::new(), read.rounds)],
        );
        let failures = STEPS.iter().zip(read.failures).map(|(step, count)| (vec![(*step).to_owned()], count));
        self.counters(
            "interdict_consortium_failures_total",
            "What failed, by step; it is tried again",
            &["step"],
            failures.collect(),
        );
        self.float(
            "interdict_consortium_sync_age_seconds",
            "Time since a round with the hub ended well",
            read.synced_age_s,
        );
        self.float(
            "interdict_consortium_epoch_valid_seconds",
            "Time until the epoch in force is out of date; negative past it",
            read.valid_s,
        );
        let gauge = |name: &str, help: &str, value: u64| {
            self.gauges(name, help, &[], vec![(Vec::new(), value as i64)]);
        };
        gauge("interdict_consortium_epoch", "The epoch in force; 0 before the first", read.epoch);
        gauge("interdict_consortium_rows", "Signals of the epoch in force", read.rows);
        gauge(
            "interdict_consortium_rows_unusable",
            "Signals that nothing can be looked for by",
            read.unusable,
        );
        gauge("interdict_consortium_promises_broken", "Promises that the hub has not kept", read.broken);
        let counts = read.confirmer;
        let asked = [
            ("cached", counts.cached),
            ("evaluated", counts.evaluated),
            ("late", counts.late),
            ("full", counts.full),
            ("failed", counts.failed),
            ("refused", counts.refused),
            ("no_epoch", counts.no_epoch),
        ];
        self.counters(
            "interdict_consortium_asks_total",
            "Candidates asked about, by what came of it",
            &["result"],
            asked.into_iter().map(|(result, count)| (vec![result.to_owned()], count)).collect(),
        );
        let told = ["confirmed", "false_alarm", "unclear"].into_iter().zip(read.told);
        self.counters(
            "interdict_consortium_outcomes_total",
            "What became of hits, as told to the alliance; unclear ones are not told",
            &["outcome"],
            told.map(|(outcome, count)| (vec![outcome.to_owned()], count)).collect(),
        );
        self.counters(
            "interdict_consortium_receipts_total",
            "Receipts of queries, checked and kept",
            &[],
            vec![(Vec::new(), read.receipts)],
        );
    }
}
