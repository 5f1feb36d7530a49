//! Metrics of the key ring and of retention.

use super::Reading;
use crate::node::Node;
use crate::node::ring::Purpose;
use std::sync::atomic::Ordering;

impl Reading<'_> {
    pub(super) fn keys(&self, node: &Node) {
        let (now_ms, one) = (node.clock.wall_ms(), |value: i64| vec![(vec![], value)]);
        let in_force = node.keys_in_force(now_ms);
        let made_s = |number: u32| {
            let ring = node.keys.ring.lock();
            ring.key(number).map_or(0, |key| key.row.made_ms.div_euclid(1000))
        };
        let keys = [(Purpose::Sealing, in_force.sealing), (Purpose::Tags, in_force.tags)];
        let rows = keys.map(|(purpose, number)| (vec![purpose.name().to_owned()], made_s(number)));
        self.gauges(
            "interdict_key_made_timestamp_seconds",
            "When the key in force was made, by purpose; 0 for the first",
            &["purpose"],
            rows.into(),
        );
        let rows = keys.map(|(purpose, number)| (vec![purpose.name().to_owned()], i64::from(number)));
        self.gauges("interdict_key_number", "The key in force, by purpose", &["purpose"], rows.into());
        let until_ms = in_force.earlier.iter().map(|earlier| earlier.until_ms).max().unwrap_or(0);
        self.gauges(
            "interdict_tags_dual_until_timestamp_seconds",
            "Until when tags are made under earlier keys too; 0 while none are",
            &[],
            one(until_ms.div_euclid(1000)),
        );
        let done = &node.keeping.done;
        let count = |counted: &std::sync::atomic::AtomicU64| counted.load(Ordering::Relaxed);
        let destroyed = [("journal", count(&done.destroyed)), ("letters", count(&done.letters))];
        self.counters(
            "interdict_retention_keys_destroyed_total",
            "Data keys destroyed since their retention had passed, by what",
            &["what"],
            destroyed.map(|(what, count)| (vec![what.to_owned()], count)).into(),
        );
        self.counters(
            "interdict_retention_failures_total",
            "Data keys that could not be destroyed, tries again included",
            &[],
            vec![(vec![], count(&done.failures))],
        );
        self.gauges(
            "interdict_retention_overdue_segments",
            "Segments past their retention whose text is still readable",
            &[],
            one(count(&done.overdue) as i64),
        );
        self.gauges(
            "interdict_retention_readable_segments",
            "Segments whose text is readable, as of the last look",
            &[],
            one(count(&done.readable) as i64),
        );
        self.gauges(
            "interdict_retention_looked_timestamp_seconds",
            "When it was last looked for what has passed its retention",
            &[],
            one(node.keeping.looked_ms().div_euclid(1000)),
        );
    }
}
