//! The load of a round: clients that stream the simulated world, ask again, label, and change lists, and write down
//! every answer they got. What got none is kept to be asked again.

use interdict_bench::world::{Item, World, WorldConfig};
use interdict_tests::node::{Client, Running};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Clients at once.
const CLIENTS: u64 = 3;
/// Most payments a round sends, so that a round that nothing kills ends.
const ROUND_MAX: usize = 3_000;

/// A payment's answer: the request and the canonical part of what came back.
pub struct Acknowledged {
    pub body: Value,
    pub verdict: Value,
}

impl Acknowledged {
    pub fn sequence(&self) -> u64 {
        self.verdict["sequence"].as_u64().expect("a verdict has a sequence")
    }
}

/// What the clients know of a data folder.
#[derive(Default)]
pub struct Known {
    /// By id.
    pub acknowledged: BTreeMap<String, Acknowledged>,
    /// Ids acknowledged in the last round.
    pub fresh: Vec<String>,
    /// Payments that got no answer.
    pub unanswered: Vec<Value>,
    /// Sequences of labels and list deltas that were acknowledged.
    pub noted: BTreeSet<u64>,
    pub counts: Counts,
}

#[derive(Default, Debug)]
pub struct Counts {
    pub retries: u64,
    pub repeats: u64,
    pub labels: u64,
    pub deltas: u64,
    pub publications: u64,
}

/// A verdict without what may differ from answer to answer.
pub fn canonical(answer: &Value) -> Value {
    let mut verdict = answer.clone();
    let object = verdict.as_object_mut().expect("a verdict is an object");
    assert!(object.contains_key("outcome"), "no verdict: {answer}");
    object.remove("meta");
    object.remove("codes");
    // Only a `GET` gives it.
    object.remove("explanation");
    verdict
}

impl Known {
    /// Takes note of a payment's answer. The same id has the same verdict, however often and through whomever it is
    /// asked for.
    pub fn answered(&mut self, body: Value, answer: &Value, was_known: bool) {
        let (id, verdict) = (answer["id"].as_str().expect("an id").to_owned(), canonical(answer));
        assert_eq!(body["id"], answer["id"], "an answer to another request");
        if was_known {
            assert_eq!(answer["meta"]["replayed"], true, "decided a second time: {answer}");
        }
        if let Some(known) = self.acknowledged.get(&id) {
            assert_eq!(known.verdict, verdict, "{id} changed its verdict");
            self.counts.repeats += 1;
            return;
        }
        self.fresh.push(id.clone());
        self.acknowledged.insert(id, Acknowledged { body, verdict });
    }
    /// Forgets what lies behind a sequence that the journal was cut to; payments among it are asked for again.
    pub fn forget_after(&mut self, last: u64) -> usize {
        self.noted.retain(|sequence| *sequence <= last);
        let lost = self.acknowledged.extract_if(.., |_, one| one.sequence() > last);
        let lost: Vec<Acknowledged> = lost.map(|(_, one)| one).collect();
        let count = lost.len();
        self.unanswered.extend(lost.into_iter().map(|one| one.body));
        self.fresh.retain(|id| self.acknowledged.contains_key(id));
        count
    }
    pub fn knows(&self, body: &Value) -> bool {
        self.acknowledged.contains_key(body["id"].as_str().expect("the world gives ids"))
    }
}

/// The world's items, streamed over the rounds of a folder.
pub struct Load {
    items: Mutex<VecDeque<Item>>,
    pub known: Mutex<Known>,
    seed: u64,
}

impl Load {
    pub fn new(seed: u64, transactions: usize) -> Load {
        let world = World::new(&WorldConfig { seed, transactions, ..WorldConfig::default() });
        let items = world.expect("a size that worlds have").items().collect();
        Load { items: Mutex::new(items), known: Mutex::default(), seed }
    }
    pub fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().expect("a client failed; its own message says why")
    }

    /// Streams until the node dies, `stop` is set, or the round has had enough. `publishes`: one client also
    /// publishes the configuration's generation again, which is an event like any other.
    pub fn run(&self, node: &Running, round: u64, publishes: bool, stop: &AtomicBool) {
        let before = self.known().acknowledged.len();
        self.known().fresh.clear();
        std::thread::scope(|scope| {
            for number in 0..CLIENTS {
                let client = node.client();
                let seed = self.seed ^ (round << 8) ^ (number << 56);
                scope.spawn(move || {
                    let dice = ChaCha8Rng::seed_from_u64(seed);
                    let mut one = Streaming { load: self, client, dice };
                    let mut turn = 0;
                    while !stop.load(Ordering::Acquire)
                        && self.known().acknowledged.len() < before + ROUND_MAX
                    {
                        turn += 1;
                        let publish = publishes && number == 0 && turn == 8;
                        if one.turn(publish).is_none() {
                            return;
                        }
                    }
                });
            }
        });
    }
}

struct Streaming<'a> {
    load: &'a Load,
    client: Client,
    dice: ChaCha8Rng,
}

impl Streaming<'_> {
    /// One request; `None` once the node does not answer.
    fn turn(&mut self, publish: bool) -> Option<()> {
        if publish {
            let reply = self.client.post("/v1/generations", &json!({})).ok()?;
            assert!(reply.status == 200 || reply.status == 503, "{}: {}", reply.status, reply.text);
            self.load.known().counts.publications += u64::from(reply.status == 200);
        }
        if self.dice.random_bool(0.06) {
            return self.ask_again();
        }
        let first = self.load.items.lock().expect("nobody panics while holding it").pop_front();
        match first.expect("the world is larger than what a folder's rounds send") {
            Item::Transaction { json, .. } => {
                if self.dice.random_bool(0.04) && json["card"].is_object() {
                    self.delta(&json)?;
                }
                let more = if self.dice.random_bool(0.3) { self.dice.random_range(1..24) } else { 0 };
                self.pay(json, more)
            }
            Item::Label { id, label, time_ms } => self.label(&id, label, time_ms),
            Item::ListEntries { list, entries, .. } => {
                self.noted_delta("PUT", &format!("/v1/lists/{list}/entries"), &json!(entries))
            }
        }
    }

    /// A payment, with up to `more` that follow it in the feed as one batch.
    fn pay(&mut self, first: Value, more: usize) -> Option<()> {
        let mut bodies = vec![first];
        {
            let mut items = self.load.items.lock().expect("nobody panics while holding it");
            while bodies.len() <= more {
                let Some(Item::Transaction { .. }) = items.front() else { break };
                let Some(Item::Transaction { json, .. }) = items.pop_front() else { unreachable!() };
                bodies.push(json);
            }
        }
        submit(&self.client, self.load, bodies)
    }

    /// A payment whose verdict is known.
    fn ask_again(&mut self) -> Option<()> {
        let body = {
            let mut known = self.load.known();
            known.counts.retries += 1;
            let recent = known.fresh.len();
            if recent == 0 {
                return Some(());
            }
            let id = &known.fresh[self.dice.random_range(0..recent)];
            known.acknowledged[id].body.clone()
        };
        submit(&self.client, self.load, vec![body])
    }

    fn label(&mut self, id: &str, label: &str, time_ms: i64) -> Option<()> {
        let was_known = self.load.known().acknowledged.contains_key(id);
        let time = interdict::answer::time(time_ms);
        let reply =
            self.client.post("/v1/labels", &json!([{"id": id, "label": label, "time": time}])).ok()?;
        if reply.status == 503 {
            return None;
        }
        let answer = &reply.json()[0];
        match answer["label_sequence"].as_u64() {
            Some(sequence) => {
                let mut known = self.load.known();
                known.counts.labels += 1;
                assert!(known.noted.insert(sequence), "label at a sequence that was given before: {answer}");
                Some(())
            }
            // Its payment may be one that got no answer, or whose answer another client is still waiting for.
            None if answer["status"] == 404 && !was_known => Some(()),
            None if answer["status"] == 503 => None,
            None => panic!("label of {id}: {}", reply.text),
        }
    }

    /// A single entry, or the end of one.
    fn delta(&mut self, payment: &Value) -> Option<()> {
        let path = "/v1/lists/stolen_cards/entries";
        let card = &payment["card"];
        if self.dice.random_bool(0.7) {
            self.noted_delta("PUT", path, &json!([{"card": card, "effect": "block", "reason": "crash test"}]))
        } else {
            self.noted_delta("DELETE", path, &json!([{"card": card}]))
        }
    }

    fn noted_delta(&mut self, method: &str, path: &str, body: &Value) -> Option<()> {
        let headers = [("content-type", "application/json")];
        let reply = self.client.send(method, path, &headers, body.to_string()).ok()?;
        match reply.status {
            200 => {
                let sequence = reply.json()["sequence"].as_u64().expect("the first that sees it") - 1;
                let mut known = self.load.known();
                known.counts.deltas += 1;
                assert!(known.noted.insert(sequence), "a delta at a sequence that was given before");
                Some(())
            }
            // An entry that was never there cannot end.
            404 | 422 if method == "DELETE" => Some(()),
            503 => None,
            status => panic!("{method} {path}: {status} {}", reply.text),
        }
    }
}

/// Submits payments, alone or as a batch, and takes note of what comes back; `None` where the node does not answer.
pub fn submit(client: &Client, load: &Load, bodies: Vec<Value>) -> Option<()> {
    let was_known: Vec<bool> = {
        let known = load.known();
        bodies.iter().map(|body| known.knows(body)).collect()
    };
    let reply = match &bodies[..] {
        [one] => client.post("/v1/decisions", one),
        many => client.post("/v1/decisions", &json!(many)),
    };
    let mut known = load.known();
    let reply = match reply {
        Ok(reply) if reply.status != 503 => reply,
        _ => {
            known.unanswered.extend(bodies);
            return None;
        }
    };
    assert_eq!(reply.status, 200, "{}", reply.text);
    let answer = reply.json();
    let answers = if bodies.len() == 1 { std::slice::from_ref(&answer) } else { answer.as_array()? };
    assert_eq!(answers.len(), bodies.len(), "an answer for each");
    let mut all = Some(());
    for ((body, answer), was_known) in bodies.into_iter().zip(answers).zip(was_known) {
        if answer["status"] == 503 {
            known.unanswered.push(body);
            all = None;
        } else {
            known.answered(body, answer, was_known);
        }
    }
    all
}
