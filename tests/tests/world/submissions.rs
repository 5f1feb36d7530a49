//! The simulated world as submissions to a node in this process: payments, labels and list entries in event-time
//! order, as `make run` sends them over HTTP.

use interdict::http::decisions::from_decoded;
use interdict::http::labels;
use interdict_bench::world::{Item, Scenario, World, rfc3339};
use interdict_engine::domain::{Body, Event, ListDelta};
use interdict_engine::sequencer::Submission;
use interdict_ingest::decode::entries::decode_entries;
use interdict_ingest::{Decoder, RequestContext};
use serde_json::{Value, json};

const TENANT: &str = "default";
/// When everything arrives: after the last of it has happened, weeks of event time within minutes, as in `make run`.
const ARRIVAL_MS: i64 = 1_777_593_600_000;

/// Something to submit, with the truth of a payment.
pub struct Step {
    pub submission: Submission,
    pub truth: Option<Scenario>,
}

/// Everything that happens in a world.
pub fn submissions(decoder: &Decoder, world: &World) -> Vec<Step> {
    let step = |item| match item {
        Item::Transaction { json, truth, .. } => Step { submission: payment(decoder, &json), truth },
        Item::Label { id, label, time_ms } => {
            Step { submission: self::label(decoder, &id, label, time_ms), truth: None }
        }
        Item::ListEntries { list, entries, .. } => {
            Step { submission: self::entries(decoder, list, entries), truth: None }
        }
    };
    world.items().map(step).collect()
}

/// A payment of the world.
pub fn payment(decoder: &Decoder, json: &Value) -> Submission {
    let decoded = decoder.decode(json.to_string().as_bytes(), &RequestContext::default()).unwrap();
    from_decoded(decoded, ARRIVAL_MS)
}

fn label(decoder: &Decoder, id: &str, label: &str, time_ms: i64) -> Submission {
    let body = json!([{"id": id, "label": label, "time": rfc3339(time_ms)}]).to_string();
    let mut items = decoder.decode_labels(body.as_bytes(), TENANT).unwrap();
    labels::submission(TENANT, items.remove(0).unwrap(), ARRIVAL_MS)
}

fn entries(decoder: &Decoder, list: &str, entries: Vec<Value>) -> Submission {
    let text = Value::Array(entries).to_string();
    let add = decode_entries(text.as_bytes(), decoder.keys().shared(), "the world").unwrap();
    let delta = ListDelta { list: list.into(), shared: true, add, remove: vec![] };
    let body = Body::ListDelta(Box::new(delta));
    let event = Event { tenant: TENANT.into(), arrival_ms: ARRIVAL_MS, body };
    Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None }
}
