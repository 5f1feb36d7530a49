//! Lists and watchlists of the configuration: whether each opens, how much is in it, and whether it is older than it
//! may be. A row each, so that one that is no longer fed is seen before payments are judged by it.

use super::{Row, State};
use crate::cli::lists::passing_keys;
use crate::config::Loaded;
use crate::node::now_ms;
use crate::node::publish::{freshness, list_meta, list_snapshot, list_times, unsearched_of};
use crate::node::watchlists::watchlist_bank;
use crate::story::span;
use anyhow::{Context, Result};
use interdict_engine::freshness::{Freshness, WhenStale};
use interdict_engine::lists::Snapshot;
use interdict_engine::packs::Pack;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How old the files are, and how old they may be.
struct Ages {
    now_ms: i64,
    made_ms: BTreeMap<String, i64>,
    bounds: Vec<Freshness>,
}

/// A row for each list and watchlist, one for what is wrong with how old they may be, and one for each watchlist that
/// the packs ask for and nobody has configured.
pub(super) fn rows(loaded: &Loaded, packs: &[Pack]) -> Vec<Row> {
    let mut rows = Vec::new();
    let bounds = freshness(loaded).unwrap_or_else(|e| {
        rows.push(Row::new("fresh_for", State::Fail, format!("{e:#}"), "Mend it; `serve` refuses it."));
        Vec::new()
    });
    let ages = Ages { now_ms: now_ms(), made_ms: list_times(loaded), bounds };
    for name in loaded.config.lists.named.keys() {
        rows.push(ages.row("list", name, list(loaded, packs, name)));
    }
    for name in loaded.config.watchlists.keys() {
        rows.push(ages.row("watchlist", name, watchlist(loaded, name)));
    }
    let known = |name: &str| loaded.config.watchlists.contains_key(name);
    let mut asked: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (screen, watchlist) in unsearched_of(packs, known) {
        asked.entry(watchlist).or_default().push(screen);
    }
    for (watchlist, screens) in asked {
        let found = format!("{watchlist}: not configured, and asked for by screen {}", screens.join(", "));
        let advice =
            "Name its files in [watchlists]; until then it is not searched, and payments are judged without.";
        rows.push(Row::new("watchlist", State::Warn, found, advice));
    }
    rows
}

/// What a list holds.
fn list(loaded: &Loaded, packs: &[Pack], name: &str) -> Result<String> {
    let (list, keys) = (&loaded.config.lists.named[name], passing_keys()?);
    let meta = list_meta(name, list, packs, &keys)?;
    let bytes = list_snapshot(&loaded.resolve(&list.file), &meta, &keys)?;
    Ok(format!("{} entries", Snapshot::open(Arc::new(bytes))?.len()))
}

/// What a watchlist holds.
fn watchlist(loaded: &Loaded, name: &str) -> Result<String> {
    let files: Vec<_> =
        loaded.config.watchlists[name].files.iter().map(|file| loaded.resolve(file)).collect();
    let bank = watchlist_bank(&files).with_context(|| format!("watchlists.{name}"))?;
    let names: usize = bank.entries().iter().map(|entry| entry.names.len()).sum();
    Ok(format!("{} entries with {names} names", bank.entries().len()))
}

impl Ages {
    fn row(&self, what: &'static str, name: &str, holds: Result<String>) -> Row {
        let holds = match holds {
            Ok(holds) => holds,
            Err(e) => {
                let advice = "Mend it; `serve` refuses to start over it.";
                return Row::new(what, State::Fail, format!("{name}: {e:#}"), advice);
            }
        };
        let age_ms = self.made_ms.get(name).map_or(0, |made| (self.now_ms - made).max(0));
        let found = format!("{name}: {holds}, {} old", span(age_ms));
        let Some(bound) = self.bounds.iter().find(|bound| bound.list == name) else {
            let advice = "It never counts as stale; with a fresh_for, one that is no longer fed is noticed.";
            return Row::new(what, State::Ok, found, advice);
        };
        let found = format!("{found}, fresh for {}", span(bound.fresh_for_ms));
        if !bound.is_stale(self.now_ms, None) {
            return Row::new(what, State::Ok, found, "Nothing to do.");
        }
        let (state, advice) = match bound.when_stale {
            WhenStale::Warn => (State::Warn, "Stale: fetch it anew. Payments go on, and the metrics say so."),
            WhenStale::Review => (State::Warn, "Stale: fetch it anew. Until then every payment is reviewed."),
            WhenStale::Stop => (State::Fail, "Stale: fetch it anew. Until then `serve` answers no payment."),
        };
        Row::new(what, state, found, advice)
    }
}
