//! What the endpoints have come to, for the metrics. Kept by the workers, read when somebody asks.

use super::client::Answer;
use super::notice::Source;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Of one endpoint.
#[derive(Debug, Default)]
pub struct EndpointFigures {
    /// Tries, in the order of `Answer::NAMES`.
    tries: [AtomicU64; Answer::NAMES.len()],
    /// Dead letters there are.
    pub(super) dead: AtomicU64,
    /// The last sequence that was dealt with.
    pub(super) cursor: AtomicU64,
    /// When the oldest notice happened that is under way, ms since the Unix epoch; 0: none.
    pub(super) oldest_ms: AtomicI64,
    /// Whether its thread is at work, and the endpoint is not disabled.
    pub(super) up: AtomicBool,
}

impl EndpointFigures {
    pub(super) fn tried(&self, answer: Answer) {
        let place = Answer::NAMES.iter().position(|name| *name == answer.name());
        self.tries[place.expect("every answer's name is among the names")].fetch_add(1, Ordering::Relaxed);
    }
}

/// Of one endpoint, as they were when somebody asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The endpoint.
    pub name: String,
    /// Tries by what came of them.
    pub tries: [(&'static str, u64); Answer::NAMES.len()],
    /// Dead letters.
    pub dead: u64,
    /// Sequences between the newest and the last that was dealt with.
    pub lag: u64,
    /// How long ago the oldest notice happened that is not delivered, ms; 0 where none is known.
    pub oldest_age_ms: i64,
    /// Whether it is being delivered to.
    pub up: bool,
}

/// Of all endpoints. Cheap to clone.
#[derive(Clone, Default)]
pub struct Figures {
    pub(super) endpoints: Arc<Vec<(String, EndpointFigures)>>,
    source: Arc<OnceLock<Arc<dyn Source>>>,
}

impl Figures {
    pub(super) fn new(names: impl Iterator<Item = String>) -> Figures {
        let endpoints = names.map(|name| (name, EndpointFigures::default())).collect();
        Figures { endpoints: Arc::new(endpoints), source: Arc::default() }
    }
    pub(super) fn follow(&self, source: Arc<dyn Source>) {
        drop(self.source.set(source));
    }
    /// Each endpoint's.
    pub fn summaries(&self, now_ms: i64) -> Vec<Summary> {
        let newest = self.source.get().map(|source| source.newest());
        let of = |(name, figures): &(String, EndpointFigures)| {
            let oldest_ms = figures.oldest_ms.load(Ordering::Relaxed);
            let count = |place: usize| figures.tries[place].load(Ordering::Relaxed);
            Summary {
                name: name.clone(),
                tries: std::array::from_fn(|place| (Answer::NAMES[place], count(place))),
                dead: figures.dead.load(Ordering::Relaxed),
                lag: newest.unwrap_or(0).saturating_sub(figures.cursor.load(Ordering::Relaxed)),
                oldest_age_ms: if oldest_ms == 0 { 0 } else { (now_ms - oldest_ms).max(0) },
                up: figures.up.load(Ordering::Relaxed),
            }
        };
        self.endpoints.iter().map(of).collect()
    }
}
