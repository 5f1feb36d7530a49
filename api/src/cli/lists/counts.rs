//! What a list holds, counted: entries by type and effect, and how their validity lies about now.

use interdict_engine::domain::Entry;
use interdict_engine::rules::format_time;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How many entries there are of each type and effect.
#[derive(Default)]
pub(super) struct Counts {
    pub total: u64,
    by: BTreeMap<(&'static str, &'static str), u64>,
}

impl Counts {
    pub fn of(entries: impl Iterator<Item = impl std::borrow::Borrow<Entry>>) -> Counts {
        let mut counts = Counts::default();
        for entry in entries {
            let entry = entry.borrow();
            counts.total += 1;
            *counts.by.entry((entry.subject.kind().name(), entry.effect.name())).or_default() += 1;
        }
        counts
    }
    pub fn json(&self) -> Vec<Value> {
        let row = |((kind, effect), count): (&(&str, &str), &u64)| json!({"type": kind, "effect": effect, "entries": count});
        self.by.iter().map(row).collect()
    }
    pub fn print(&self) {
        for ((kind, effect), count) in &self.by {
            println!("  {kind:8}  {effect:8}  {count}");
        }
    }
}

/// How the entries' validity lies about now.
#[derive(Default)]
pub(super) struct Validity {
    now: u64,
    later: u64,
    ended: u64,
    first_from_ms: Option<i64>,
    last_to_ms: Option<i64>,
}

impl Validity {
    pub fn of(entries: impl Iterator<Item = Entry>, now_ms: i64) -> Validity {
        let mut validity = Validity::default();
        for entry in entries {
            if entry.is_valid_at(now_ms) {
                validity.now += 1;
            } else if entry.valid_to_ms.is_some_and(|to| to <= now_ms) {
                validity.ended += 1;
            } else {
                validity.later += 1;
            }
            validity.first_from_ms = entry.valid_from_ms.into_iter().chain(validity.first_from_ms).min();
            validity.last_to_ms = validity.last_to_ms.max(entry.valid_to_ms);
        }
        validity
    }
    pub fn json(&self) -> Value {
        json!({
            "now": self.now, "later": self.later, "ended": self.ended,
            "first_from": self.first_from_ms.map(format_time), "last_to": self.last_to_ms.map(format_time),
        })
    }
    pub fn print(&self) {
        let time = |ms: Option<i64>| ms.map_or("none".into(), format_time);
        let (first, last) = (time(self.first_from_ms), time(self.last_to_ms));
        println!(
            "valid      {} now, {} later, {} ended (first from {first}, last to {last})",
            self.now, self.later, self.ended
        );
    }
}
