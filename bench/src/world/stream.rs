//! Streams a world through the inline API: decisions in batches, labels and list entries where they fall in event
//! time. 503 and 429 are asked again as the server says; anything else unexpected ends the stream and names the id.

use super::report::Report;
use super::{Item, Scenario, World};
use crate::client::{Answer, Connection, Target};
use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use hyper::Method;
use indicatif::{ProgressBar, ProgressStyle};
use interdict_engine::domain::Outcome;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Most decisions in one request.
pub const BATCH_MAX: usize = 100;
/// How often a request is asked again before the stream gives up; with `Retry-After: 1` about a minute.
const TRIES_MAX: u32 = 60;

/// How fast event time passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// As fast as the server answers.
    Max,
    /// So many seconds of event time in one second.
    Times(f64),
}

impl std::str::FromStr for Speed {
    type Err = String;
    fn from_str(text: &str) -> Result<Speed, String> {
        match text.parse::<f64>() {
            _ if text == "max" => Ok(Speed::Max),
            Ok(times) if times.is_finite() && times > 0.0 => Ok(Speed::Times(times)),
            _ => Err(format!("speed {text:?}: expected max, or event seconds a second, above 0")),
        }
    }
}

/// Streams a world through a server.
#[derive(Debug)]
pub struct Streamer {
    target: Target,
    connection: Connection,
    progress: ProgressBar,
    pending: Vec<(String, Value, Option<Scenario>)>,
    report: Report,
    started: Instant,
}

impl Streamer {
    /// Connects; with `live`, one line on stderr says where the stream is.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn new(target: Target, live: bool) -> anyhow::Result<Streamer> {
        let connection = target.connect().await?;
        let progress = if live { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let style =
            ProgressStyle::with_template("{bar:24} {pos}/{len} {per_sec} {msg}").expect("a fixed template");
        progress.set_style(style);
        let report = Report::default();
        Ok(Streamer { target, connection, progress, pending: Vec::new(), report, started: Instant::now() })
    }

    /// What was answered so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Streams one world, in order.
    ///
    /// # Errors
    /// When the server cannot be reached, keeps refusing, or answers anything that is not a verdict; the message
    /// names the id.
    pub async fn run(&mut self, world: &World, speed: Speed) -> anyhow::Result<()> {
        self.progress.inc_length(world.transactions() as u64);
        let began = Instant::now();
        let mut first_ms = None;
        for item in world.items() {
            if let Speed::Times(times) = speed {
                let passed_ms = item.time_ms() - *first_ms.get_or_insert(item.time_ms());
                let due = began + Duration::from_secs_f64(passed_ms as f64 / 1000.0 / times);
                if due > Instant::now() {
                    self.flush().await?;
                    tokio::time::sleep_until(due.into()).await;
                }
            }
            self.item(item).await?;
        }
        self.flush().await?;
        self.progress.abandon();
        Ok(())
    }

    async fn item(&mut self, item: Item) -> anyhow::Result<()> {
        match item {
            Item::Transaction { id, json, truth, .. } => {
                self.pending.push((id, json, truth));
                if self.pending.len() == BATCH_MAX {
                    self.flush().await?;
                }
            }
            Item::Label { id, label, time_ms } => {
                self.flush().await?;
                let body = json!([{"id": id, "label": label, "time": super::rfc3339(time_ms)}]);
                self.ask(Method::POST, "/v1/labels", &body)
                    .await
                    .with_context(|| format!("label of {id}"))?;
            }
            Item::ListEntries { list, entries, .. } => {
                self.flush().await?;
                let path = format!("/v1/lists/{list}/entries");
                let body = Value::Array(entries);
                self.ask(Method::PUT, &path, &body)
                    .await
                    .with_context(|| format!("entries of list {list}"))?;
            }
        }
        Ok(())
    }

    /// Sends what waits. Elements that the server asks to be sent again are, alone, until each has its verdict.
    async fn flush(&mut self) -> anyhow::Result<()> {
        let mut batch = std::mem::take(&mut self.pending);
        let mut tries = 0;
        while !batch.is_empty() {
            let place = || format!("decisions {} to {}", batch[0].0, batch[batch.len() - 1].0);
            let body = Value::Array(batch.iter().map(|(_, json, _)| json.clone()).collect());
            let answer = self.ask(Method::POST, "/v1/decisions", &body).await.with_context(place)?;
            let verdicts: Vec<Value> = serde_json::from_slice(&answer.body).with_context(place)?;
            if verdicts.len() != batch.len() {
                bail!("{}: {} answers to {} requests", place(), verdicts.len(), batch.len());
            }
            let mut again = Vec::new();
            for (asked, verdict) in batch.into_iter().zip(verdicts) {
                match verdict["status"].as_u64() {
                    Some(429 | 503) => again.push(asked),
                    _ => self.count(&asked.0, asked.2, &verdict)?,
                }
            }
            batch = again;
            if !batch.is_empty() {
                tries += 1;
                wait(tries, None).await.with_context(|| format!("decision {}", batch[0].0))?;
            }
        }
        self.show();
        Ok(())
    }

    fn count(&mut self, id: &str, truth: Option<Scenario>, verdict: &Value) -> anyhow::Result<()> {
        let outcome = verdict["outcome"].as_str().and_then(Outcome::by_name);
        // A problem is quoted by its machine-readable parts only: `detail` may hold what was sent.
        let outcome = outcome.ok_or_else(|| {
            anyhow!(
                "decision {id}: no verdict but status {}, field {}, expected {}",
                verdict["status"],
                verdict["field"],
                verdict["expected"]
            )
        })?;
        if verdict["id"] != id {
            bail!("decision {id}: the answer in its place is for {}", verdict["id"]);
        }
        if verdict["meta"]["replayed"] == true {
            self.report.add_replayed();
        } else {
            self.report.add(truth, outcome, strongest(verdict));
        }
        self.progress.inc(1);
        Ok(())
    }

    fn show(&self) {
        let counts: Vec<String> = self
            .report
            .outcomes()
            .filter(|(_, count)| *count > 0)
            .map(|(outcome, count)| format!("{} {count}", outcome.name()))
            .collect();
        self.progress.set_message(format!("{} · {} s", counts.join(" · "), self.started.elapsed().as_secs()));
    }

    /// Sends one request until it is answered with 2xx.
    async fn ask(&mut self, method: Method, path: &str, body: &Value) -> anyhow::Result<Answer> {
        let body = Bytes::from(serde_json::to_vec(body)?);
        for tries in 1.. {
            match self.connection.send(method.clone(), path, body.clone()).await {
                Ok(answer) if (200..300).contains(&answer.status) => return Ok(answer),
                Ok(answer) if answer.status == 503 || answer.status == 429 => {
                    wait(tries, answer.retry_after_s).await?;
                }
                Ok(answer) => {
                    let problem: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
                    let (field, expected) = (&problem["field"], &problem["expected"]);
                    bail!("{method} {path}: status {}, field {field}, expected {expected}", answer.status);
                }
                // Ids make a request safe to send again when its answer was lost.
                Err(error) => {
                    wait(tries, None).await.with_context(|| format!("{method} {path}: {error:#}"))?;
                    if let Ok(connection) = self.target.connect().await {
                        self.connection = connection;
                    }
                }
            }
        }
        unreachable!("wait gives up first")
    }
}

/// The rule, or list, of the first reason: reasons come strongest first.
fn strongest(verdict: &Value) -> Option<&str> {
    let reason = verdict["reasons"].as_array()?.first()?;
    reason["detail"]["list"].as_str().or_else(|| reason["rule"].as_str())
}

async fn wait(tries: u32, retry_after_s: Option<u64>) -> anyhow::Result<()> {
    if tries >= TRIES_MAX {
        bail!("refused {tries} times");
    }
    let pause = retry_after_s.map_or(Duration::from_millis(100), |s| Duration::from_secs(s.min(30)));
    tokio::time::sleep(pause).await;
    Ok(())
}
