//! Request bodies, made before the load begins: the world's requests in event-time order, each under an id that no
//! run used before, so that a server never answers from its idempotency store.

use crate::world::{Item, World, WorldConfig, rfc3339};
use bytes::Bytes;
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the bodies are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// The simulated world's requests.
    World,
    /// One small card payment, again and again.
    Minimal,
}

struct Template {
    /// The JSON object without id and time, and without its opening brace.
    rest: String,
    time_ms: i64,
}

/// A source of bodies.
pub struct Bodies {
    templates: Vec<Template>,
    /// Event time that all templates together take; added once for each time they are used up.
    span_ms: i64,
    run: String,
    made: usize,
}

impl Bodies {
    /// A source of some kind and seed. `run` makes the ids unique among runs against one server; by default the time.
    ///
    /// # Errors
    /// When the world cannot be made.
    pub fn new(kind: Kind, seed: u64, run: Option<String>) -> anyhow::Result<Bodies> {
        Bodies::of_world(kind, &WorldConfig { seed, ..WorldConfig::default() }, run)
    }
    /// The requests of what comes after a world's first stretch of days, for a server that has seen that one.
    ///
    /// # Errors
    /// As [`Bodies::new`].
    pub fn of_next_days(seed: u64, run: Option<String>) -> anyhow::Result<Bodies> {
        Bodies::of_world(Kind::World, &WorldConfig { seed, round: 1, ..WorldConfig::default() }, run)
    }
    fn of_world(kind: Kind, config: &WorldConfig, run: Option<String>) -> anyhow::Result<Bodies> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let run = run.unwrap_or_else(|| format!("{now:x}"));
        let templates = match kind {
            Kind::World => world_templates(config)?,
            Kind::Minimal => {
                let rest = r#""amount":{"minor":4990,"currency":"EUR"},"card":{"pan":"4111111111111111"}}"#;
                vec![Template { rest: rest.into(), time_ms: config.start_ms }]
            }
        };
        let span_ms = if kind == Kind::World { config.days * 86_400_000 } else { 1_000 };
        Ok(Bodies { templates, span_ms, run, made: 0 })
    }
    /// The next `count` bodies.
    pub fn take(&mut self, count: usize) -> Vec<Bytes> {
        (0..count).map(|_| self.next()).collect()
    }
    fn next(&mut self) -> Bytes {
        let (cycle, place) = (self.made / self.templates.len(), self.made % self.templates.len());
        let template = &self.templates[place];
        let time = rfc3339(template.time_ms + cycle as i64 * self.span_ms);
        self.made += 1;
        Bytes::from(format!(r#"{{"id":"l-{}-{}","time":"{time}",{}"#, self.run, self.made, template.rest))
    }
}

fn world_templates(config: &WorldConfig) -> anyhow::Result<Vec<Template>> {
    let template = |item| match item {
        Item::Transaction { json: Value::Object(mut object), time_ms, .. } if object["kind"] == "request" => {
            object.remove("id");
            object.remove("time");
            object.remove("settles_at");
            let text = Value::Object(object).to_string();
            Some(Template { rest: text[1..].to_owned(), time_ms })
        }
        _ => None,
    };
    Ok(World::new(config)?.items().filter_map(template).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn bodies_are_requests_with_unique_ids_and_rising_times() {
        let mut bodies = Bodies::new(Kind::World, 1, Some("t".into())).unwrap();
        let count = bodies.templates.len() + 500;
        let (mut ids, mut last) = (BTreeSet::new(), String::new());
        for body in bodies.take(count) {
            let json: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(json["kind"], "request");
            assert!(ids.insert(json["id"].as_str().unwrap().to_owned()));
            let time = json["time"].as_str().unwrap().to_owned();
            assert!(time >= last, "{time} after {last}");
            last = time;
        }
        let minimal = Bodies::new(Kind::Minimal, 1, None).unwrap().take(2);
        assert_ne!(minimal[0], minimal[1]);
        assert!(serde_json::from_slice::<Value>(&minimal[0]).is_ok());
    }
}
