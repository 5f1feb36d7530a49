//! Metrics of the webhooks' endpoints; there where endpoints are configured.

use super::Reading;
use crate::node::now_ms;
use crate::webhooks::{Figures, Summary};

impl Reading<'_> {
    pub(in crate::metrics) fn webhooks(&self, figures: &Figures) {
        let endpoints = figures.summaries(now_ms());
        let tries = endpoints.iter().flat_map(|endpoint| {
            let row =
                |(result, count): &(&str, u64)| (vec![endpoint.name.clone(), (*result).to_owned()], *count);
            endpoint.tries.iter().map(row).collect::<Vec<_>>()
        });
        self.counters(
            "interdict_webhook_deliveries_total",
            "Requests to an endpoint, tries again included, by what came of them",
            &["endpoint", "result"],
            tries.collect(),
        );
        let gauge = |name: &str, help: &str, value: fn(&Summary) -> i64| {
            let rows = endpoints.iter().map(|endpoint| (vec![endpoint.name.clone()], value(endpoint)));
            self.gauges(name, help, &["endpoint"], rows.collect());
        };
        gauge("interdict_webhook_dead_letters", "Notices given up and kept", |e| e.dead as i64);
        gauge("interdict_webhook_lag_sequences", "Sequences behind the newest", |e| e.lag as i64);
        gauge(
            "interdict_webhook_oldest_undelivered_seconds",
            "How long ago the oldest notice under way happened; 0 where none is",
            |e| e.oldest_age_ms.div_euclid(1000),
        );
        gauge("interdict_webhook_up", "1 while notices are delivered to it", |e| e.up.into());
    }
}
