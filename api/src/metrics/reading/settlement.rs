//! Metrics of holds and of the settlement gate.

use super::Reading;
use crate::node::Node;
use interdict_engine::domain::{ClearState, HoldState, Lever};
use interdict_engine::settlement::CutOffFrom;
use std::sync::atomic::Ordering;

impl Reading<'_> {
    pub(super) fn settlement(&self, node: &Node) {
        let (counts, through, unhunted) = node.with_core(|core| {
            let book = core.sequencer.book();
            (book.counts(), book.hunted_through(), book.unhunted().len())
        });
        let one = |value: i64| vec![(vec![], value)];
        let (now_ms, open) = (node.clock.wall_ms(), node.open_holds());
        let levers = || Lever::ALL.into_iter().zip(&open);
        self.gauges(
            "interdict_holds_open",
            "Holds that wait for somebody, by what stops the payment",
            &["lever"],
            levers().map(|(lever, open)| (vec![lever.name().to_owned()], open.count as i64)).collect(),
        );
        let left = levers().filter_map(|(lever, open)| {
            let left_s = open.deadline_ms?.saturating_sub(now_ms).div_euclid(1000);
            Some((vec![lever.name().to_owned()], left_s))
        });
        self.gauges(
            "interdict_hold_deadline_seconds",
            "How long until the first of them expires or its payment settles; negative: so long ago",
            &["lever"],
            left.collect(),
        );
        let states = HoldState::ALL.into_iter().zip(counts.states);
        self.counters(
            "interdict_holds_total",
            "Holds and cases by the state that they came to; held: those that were placed",
            &["state"],
            states.map(|(state, count)| (vec![state.name().to_owned()], count)).collect(),
        );
        self.counters(
            "interdict_holds_unlisted_total",
            "Payments that are stopped without a hold of their own, for want of room",
            &[],
            vec![(vec![], counts.unlisted)],
        );
        self.counters(
            "interdict_hold_releases_proposed_total",
            "Holds whose release was proposed since the payment would not be held now",
            &[],
            vec![(vec![], counts.proposed)],
        );
        self.counters(
            "interdict_hold_timer_failures_total",
            "Holds that could not be ended when their time had run out, tries again included",
            &[],
            vec![(vec![], node.timers.failed.load(Ordering::Relaxed))],
        );
        let cleared = ClearState::ALL.into_iter().zip(counts.cleared).map(|(state, count)| {
            // What nobody knows is in no event, and is counted since the start.
            let count = if state == ClearState::Unknown { node.clearing.unknown_count() } else { count };
            (vec![state.name().to_owned()], count)
        });
        self.counters(
            "interdict_settlement_cleared_total",
            "Answers of the settlement gate, by what was said",
            &["state"],
            cleared.collect(),
        );
        self.counters(
            "interdict_settlement_flagged_total",
            "Payments that may settle by the declared default though not all that counts for them was hunted",
            &[],
            vec![(vec![], counts.flagged)],
        );
        self.gauges(
            "interdict_hunted_through",
            "All payments of the window have been judged by everything learned up to this sequence",
            &[],
            one(through as i64),
        );
        self.gauges(
            "interdict_unhunted_events",
            "Events that something was learned by and that are not hunted yet",
            &[],
            one(unhunted as i64),
        );
        let rail =
            [("written", &node.rail.written), ("waits", &node.rail.waits), ("untold", &node.rail.untold)];
        self.counters(
            "interdict_rail_messages_total",
            "Messages to the rail by what became of them; waits counts tries",
            &["result"],
            rail.map(|(name, count)| (vec![name.to_owned()], count.load(Ordering::Relaxed))).into(),
        );
        let Some(hunt) = &node.window else { return };
        let (rows, memory, files) = {
            let window = hunt.window.read();
            (window.len(), window.memory_bytes(), window.file_bytes())
        };
        self.gauges("interdict_window_payments", "Payments in the settlement window", &[], one(rows as i64));
        let bytes = [("memory", memory as i64), ("files", files as i64)];
        self.gauges(
            "interdict_window_bytes",
            "Bytes of the settlement window, by where they are",
            &["where"],
            bytes.map(|(place, bytes)| (vec![place.to_owned()], bytes)).to_vec(),
        );
        let (figures, reading) = (&hunt.figures, hunt.figures.reading());
        let cut_offs = CutOffFrom::ALL.into_iter().zip(&figures.cut_offs);
        self.counters(
            "interdict_window_cut_offs_total",
            "Payments that came into the window since the start, by where their cut-off is from",
            &["from"],
            cut_offs
                .map(|(from, count)| (vec![from.name().to_owned()], count.load(Ordering::Relaxed)))
                .collect(),
        );
        let progress = [("done", reading.done as i64), ("total", reading.total as i64)];
        self.gauges(
            "interdict_hunt_payments",
            "Of the hunt under way: payments it has looked at, and all it has to; 0 when there is none",
            &["progress"],
            progress.map(|(which, count)| (vec![which.to_owned()], count)).to_vec(),
        );
        // A counter that is there before its first hit is one that can be alarmed on.
        let (view, mut hits) = (node.view(), hunt.figures.hits());
        let lists = (0..view.lists().len() as u16).filter_map(|list| view.lists().list_name(list));
        for name in lists.chain(["generation", "label"]) {
            hits.entry(name.to_owned()).or_default();
        }
        let results = ["held", "too_late", "release_proposed"];
        let hits = hits.iter().flat_map(|(learned, counts)| {
            let by = results.iter().zip(counts);
            by.map(|(result, count)| (vec![learned.clone(), (*result).to_owned()], *count))
        });
        self.counters(
            "interdict_retrohunt_hits_total",
            "What hunts have found since the start, by what was learned (a list, generation, label) and what it came to",
            &["list", "result"],
            hits.collect(),
        );
        for (name, help, counter) in [
            ("interdict_hunts_total", "Hunts that came to their end", &figures.hunts),
            ("interdict_hunt_failures_total", "Hunts that failed and are tried again", &figures.failures),
            ("interdict_hunt_judged_total", "Payments of the window that were judged again", &figures.judged),
            (
                "interdict_hunt_unreadable_total",
                "Of those, the ones whose text was destroyed, so that they were judged without it",
                &figures.unreadable,
            ),
        ] {
            self.counters(name, help, &[], vec![(vec![], counter.load(Ordering::Relaxed))]);
        }
    }
}
