//! Metrics of holds and of the settlement gate.

use super::Reading;
use crate::node::Node;
use interdict_engine::domain::{ClearState, HoldState, Lever};
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
    }
}
