//! The collecting side: verdicts in the order of their sequences, whatever lane made them, into the digest, the
//! Parquet sink and the latency figures.

use super::Latency;
use super::source::PRINTED_MAX;
use crate::answer::Source;
use crate::node::{Answered, Node, Settled};
use crate::sinks::decisions::DecisionsFile;
use crate::sinks::features::FeaturesFile;
use anyhow::{Context, Result, anyhow};
use interdict_engine::domain::Label;
use interdict_engine::generation::hex;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// An answer and how long it took.
pub struct Message {
    /// The answer.
    pub answered: Answered,
    /// From submission to answer.
    pub took: Duration,
    /// The payment's label, where the feed has one.
    pub label: Option<Label>,
}

/// What was collected.
#[derive(Debug, Default)]
pub struct Collected {
    /// Verdicts.
    pub verdicts: u64,
    /// Retries.
    pub duplicates: u64,
    /// Refusals and conflicts.
    pub refused: u64,
    /// SHA-256 over the canonical verdicts in order, hex.
    pub digest: String,
    /// Latency percentiles.
    pub latency: Latency,
}

impl Collected {
    /// Counts a refusal, and tells it where not many were told before.
    fn reject(&mut self, why: std::fmt::Arguments<'_>) {
        self.refused += 1;
        match self.refused.cmp(&(PRINTED_MAX + 1)) {
            std::cmp::Ordering::Less => eprintln!("rejected: {why}"),
            std::cmp::Ordering::Equal => eprintln!("rejected: further ones by the node are counted only"),
            std::cmp::Ordering::Greater => {}
        }
    }
}

/// The collecting thread.
pub struct Collector {
    send: Sender<Message>,
    failed: Arc<AtomicBool>,
    thread: JoinHandle<Result<Collected>>,
}

impl Collector {
    /// Starts collecting from the node's next sequence on; `features`: a file for the stamped slots as well.
    ///
    /// # Errors
    /// When the sink cannot be made.
    pub fn start(node: &Arc<Node>, features: Option<&Path>) -> Result<Collector> {
        let sink = DecisionsFile::create(&node.data, "part-00000")?;
        let features = features.map(|path| FeaturesFile::create(path, &node.view())).transpose()?;
        let next = node.with_core(|core| core.sequencer.last_sequence()) + 1;
        let (send, receive) = channel();
        let failed = Arc::new(AtomicBool::new(false));
        let flag = failed.clone();
        let run = move || {
            let (early, hash, took) = (BTreeMap::new(), Sha256::new(), Vec::new());
            let order = Order { next, early, sink, features, hash, took };
            order.run(&receive).inspect_err(|_| flag.store(true, Ordering::Release))
        };
        let thread =
            thread::Builder::new().name("collect".into()).spawn(run).context("a thread to collect in")?;
        Ok(Collector { send, failed, thread })
    }
    /// Where answers go.
    pub fn sender(&self) -> Sender<Message> {
        self.send.clone()
    }
    /// Whether collecting still works.
    ///
    /// # Errors
    /// When it has failed; `finish` says why.
    pub fn check(&self) -> Result<(), String> {
        if self.failed.load(Ordering::Acquire) {
            Err("the decisions could not be written".into())
        } else {
            Ok(())
        }
    }
    /// Ends collecting when all answers are in.
    ///
    /// # Errors
    /// When the sink could not be written.
    pub fn finish(self) -> Result<Collected> {
        drop(self.send);
        self.thread.join().map_err(|_| anyhow!("the collecting thread panicked"))?
    }
}

/// A verdict that was made: what it was made from, how long it took, and the feed's label.
type Made = (Box<Settled>, Duration, Option<Label>);

struct Order {
    next: u64,
    /// What came before its turn; `None` for sequences without a verdict.
    early: BTreeMap<u64, Option<Made>>,
    sink: DecisionsFile,
    features: Option<FeaturesFile>,
    hash: Sha256,
    took: Vec<u32>,
}

impl Order {
    fn run(mut self, receive: &Receiver<Message>) -> Result<Collected> {
        let mut collected = Collected::default();
        for Message { answered, took, label } in receive {
            match answered {
                Answered::Decided(settled) => {
                    self.early.insert(settled.verdict.sequence, Some((settled, took, label)));
                }
                Answered::Noted(accepted) => {
                    self.early.insert(accepted.sequence, None);
                }
                Answered::Same(_) => collected.duplicates += 1,
                Answered::Different(sequence) => {
                    collected.reject(format_args!(
                        "a different payment is known under its key (sequence {sequence})"
                    ));
                }
                Answered::Refused(error) => {
                    collected.reject(format_args!("{error}"));
                }
                Answered::Unavailable(why) => return Err(anyhow!("{why}")),
                // A replay has no deadlines; where its journal cannot write, its file of decisions is worth nothing.
                Answered::Early(_) => return Err(anyhow!("the journal cannot write")),
                Answered::Overloaded(why) => {
                    return Err(anyhow!("the node takes no more: {}", why.name()));
                }
            }
            while let Some(turn) = self.early.remove(&self.next) {
                self.next += 1;
                if let Some((settled, took, label)) = turn {
                    collected.verdicts += 1;
                    self.add(&settled, took, label)?;
                }
            }
        }
        assert!(self.early.is_empty(), "every sequence up to the last is answered");
        self.sink.close()?;
        if let Some(features) = self.features {
            features.close()?;
        }
        collected.digest = hex(&self.hash.finalize());
        collected.latency = percentiles(&mut self.took);
        Ok(collected)
    }

    fn add(&mut self, settled: &Settled, took: Duration, label: Option<Label>) -> Result<()> {
        self.hash.update(settled.verdict.encode());
        let ns = u32::try_from(took.as_nanos()).unwrap_or(u32::MAX);
        self.took.push(ns);
        let source = Source::from(settled);
        if let Some(features) = &mut self.features {
            features.add(&source, label)?;
        }
        self.sink.add(&source, ns as f32 / 1000.0)
    }
}

fn percentiles(took_ns: &mut [u32]) -> Latency {
    took_ns.sort_unstable();
    let at = |share: f64| {
        let place = ((took_ns.len() as f64 * share) as usize).min(took_ns.len().saturating_sub(1));
        took_ns.get(place).map_or(0.0, |ns| f64::from(*ns) / 1000.0)
    };
    Latency { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1.0) }
}
