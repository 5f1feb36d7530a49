//! The decoding side: files to submissions on a thread of its own, wrong records to the dead letters.

use super::Plan;
use crate::http::decisions::from_decoded;
use crate::node::Node;
use anyhow::{Context, Result, anyhow};
use interdict_engine::sequencer::Submission;
use interdict_ingest::feeds::{FeedLabel, FileFeed, FileOptions};
use interdict_ingest::{Decoder, FeedError, FieldError};
use interdict_ledger::dead_letter::DeadLetters;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Records in one hand-over from the decoding thread.
const CHUNK: usize = 256;
/// Chunks that may wait.
const CHUNKS: usize = 16;
/// Errors that are printed; all are counted and kept as dead letters.
pub(super) const PRINTED_MAX: u64 = 20;

/// A record, ready to be submitted.
pub struct Prepared {
    /// The submission; its arrival time is the event time.
    pub submission: Submission,
    /// Its label, where the feed has one.
    pub label: Option<FeedLabel>,
}

impl Prepared {
    /// Event time, ms since the Unix epoch.
    pub fn time_ms(&self) -> i64 {
        self.submission.event.arrival_ms
    }
    /// The key that a label names it by.
    pub fn identity(&self) -> Option<u128> {
        self.submission.alias.or(self.submission.identity)
    }
}

enum Item {
    Record(Box<Prepared>),
    Wrong(FieldError, Vec<u8>),
    Broken(FeedError),
}

/// The files of a plan.
pub struct Source {
    feeds: Vec<FileFeed>,
    /// Records in one hand-over: one where the next may be long in coming.
    chunk: usize,
    letters: DeadLetters,
}

impl Source {
    /// Opens all files, so that a wrong mapping or a missing file is told before the first record.
    ///
    /// # Errors
    /// A file that cannot be opened or whose columns do not fit the mapping.
    pub fn new(node: &Arc<Node>, plan: &Plan) -> Result<Source> {
        let columns = crate::follow::columns(&node.loaded)?;
        let options = FileOptions { columns, default_tenant: "default".into() };
        let decoder = Decoder::new(node.keys.tags.clone());
        let open = |path| FileFeed::open(path, decoder.clone(), &options).map_err(|e| anyhow!("{e}"));
        let mut feeds = plan.feeds.iter().map(|path| open(path)).collect::<Result<Vec<_>>>()?;
        if let Some(path) = &plan.follow {
            let followed = FileFeed::follow(path, decoder.clone(), &options, plan.stop.clone());
            feeds.push(followed.map_err(|e| anyhow!("{e}"))?);
        }
        let chunk = if plan.follow.is_some() { 1 } else { CHUNK };
        let dir = node.data.join("dead-letters");
        let letters = DeadLetters::open(&dir, &node.keys.sealing, crate::cli::serve::LETTERS_BYTES_MAX);
        Ok(Source { feeds, chunk, letters: letters.map_err(|e| anyhow!("{e}"))? })
    }
    /// How many records the files say they have; `None` where one does not say.
    pub fn records(&self) -> Option<u64> {
        self.feeds.iter().map(FileFeed::records).sum()
    }

    /// Hands every record to `each`, in order; the number of wrong ones. What was read before a file broke stands.
    ///
    /// # Errors
    /// What `each` returns; a file that could not be read to its end.
    pub fn run(self, mut each: impl FnMut(Prepared) -> Result<()>) -> Result<u64> {
        let Source { feeds, chunk, mut letters } = self;
        let (send, receive) = sync_channel(CHUNKS);
        let decoding =
            thread::Builder::new().name("decode".into()).spawn(move || decode(feeds, chunk, &send));
        let decoding = decoding.context("a thread to decode in")?;
        let done = take_all(receive, &mut letters, &mut each);
        decoding.join().map_err(|_| anyhow!("the decoding thread panicked"))?;
        done
    }
}

fn take_all(
    receive: Receiver<Vec<Item>>,
    letters: &mut DeadLetters,
    each: &mut impl FnMut(Prepared) -> Result<()>,
) -> Result<u64> {
    let mut wrong = 0;
    for item in receive.into_iter().flatten() {
        match item {
            Item::Record(prepared) => each(*prepared)?,
            Item::Wrong(error, masked) => {
                wrong += 1;
                if wrong <= PRINTED_MAX {
                    eprintln!("rejected: {error}");
                } else if wrong == PRINTED_MAX + 1 {
                    eprintln!("rejected: further ones are counted and kept as dead letters only");
                }
                // A letter that finds no room is counted there; the run goes on.
                letters.keep(&error.to_string(), &masked).map_err(|e| anyhow!("{e}"))?;
            }
            Item::Broken(error) => return Err(anyhow!("{error}")),
        }
    }
    Ok(wrong)
}

fn decode(feeds: Vec<FileFeed>, chunk_len: usize, send: &SyncSender<Vec<Item>>) {
    let mut chunk = Vec::with_capacity(chunk_len);
    for read in feeds.into_iter().flatten() {
        chunk.push(match read {
            Ok(item) => match item.result {
                Ok(record) => {
                    let arrival_ms = record.decoded.tx.time_ms;
                    let submission = from_decoded(record.decoded, arrival_ms);
                    Item::Record(Box::new(Prepared { submission, label: record.label }))
                }
                Err(error) => {
                    let raw = item.raw.as_ref().map_or(&[][..], |raw| raw.as_slice());
                    Item::Wrong(error, interdict_ingest::dead_letter::mask(raw))
                }
            },
            Err(error) => Item::Broken(error),
        });
        // Nobody listens any more: the run has ended with an error of its own.
        if chunk.len() == chunk_len
            && send.send(std::mem::replace(&mut chunk, Vec::with_capacity(chunk_len))).is_err()
        {
            return;
        }
    }
    drop(send.send(chunk));
}
