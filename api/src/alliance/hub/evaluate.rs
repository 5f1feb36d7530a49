//! A query: checked, counted against the member's rate, evaluated, and its leaf durable before the answer is given. One
//! thread writes the leaves of all queries that come within a few milliseconds with one sync.

use super::entry::Caller;
use super::epoch::Epochs;
use super::openings::Openings;
use super::state::{Hub, now_ms, storage};
use anyhow::{Context, Result};
use interdict_consortium::error::{Error, ErrorKind};
use interdict_consortium::note::Note;
use interdict_consortium::query::{Opening, Promise, Query, Request, Service};
use interdict_consortium::tag::oblivious::{ELEMENT_BYTES, REQUEST_HEAD_BYTES, read_request};
use interdict_consortium::tag::random::Random;
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longest note of a request.
const NOTE_BYTES_MAX: usize = 4096;
/// Longest body of a query: a note's length, the note, and what is asked.
pub const QUERY_BYTES_MAX: usize = 4
    + NOTE_BYTES_MAX
    + REQUEST_HEAD_BYTES
    + interdict_consortium::limits::EVALUATE_ITEMS_MAX * ELEMENT_BYTES;
/// How far the time of a request may lie from the hub's, in ms: an old one is somebody's replay.
const SKEW_MS_MAX: u64 = 300_000;
/// Queries that wait for the writer; more are told to come again.
const WAITING_MAX: usize = 4_096;
/// Queries that are written at once.
const BATCH_MAX: usize = 1_024;
/// How long after its answer a query's leaf is under a checkpoint at the latest.
pub const MERGE_MS: u64 = 1_000;

type Answer<T> = std::result::Result<T, Error>;

/// A query whose leaf is to be written, and where its index goes.
struct Job {
    opening: Opening,
    index: SyncSender<Answer<u64>>,
}

/// The writer of queries.
pub struct Asking {
    jobs: Mutex<Option<SyncSender<Job>>>,
    openings: Arc<Mutex<Openings>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Asking {
    /// Opens the openings and starts the writer.
    ///
    /// # Errors
    /// A folder that is not whole.
    pub fn start(hub: &Arc<Hub>) -> Result<Asking> {
        let openings = Openings::open(hub.held.files("openings")?, hub.queries.size())?;
        let openings = Arc::new(Mutex::new(openings));
        let (jobs, waiting) = sync_channel(WAITING_MAX);
        let (hub, kept) = (hub.clone(), openings.clone());
        let thread = std::thread::Builder::new().name("queries".into());
        let thread = thread.spawn(move || write(&hub, &kept, &waiting)).context("starting a thread")?;
        Ok(Asking { jobs: Mutex::new(Some(jobs)), openings, thread: Mutex::new(Some(thread)) })
    }
    /// Makes a query's leaf durable; its index.
    fn put(&self, opening: Opening) -> Answer<u64> {
        let (index, answer) = sync_channel(1);
        let ended = || Error::new(ErrorKind::Storage, "the hub is ending");
        let jobs = self.jobs.lock().clone().ok_or_else(ended)?;
        jobs.try_send(Job { opening, index }).map_err(|e| match e {
            TrySendError::Full(_) => {
                Error::new(ErrorKind::RateLimited, "too many queries wait to be written")
            }
            TrySendError::Disconnected(_) => ended(),
        })?;
        answer.recv().map_err(|_| ended())?
    }
    /// Openings of a range of leaves.
    ///
    /// # Errors
    /// `NotFound` past those there are; `Storage`.
    pub fn openings(&self, range: Range<u64>) -> Answer<Vec<(u64, Opening)>> {
        let openings = self.openings.lock();
        if range.end > openings.count() || range.start >= range.end {
            let message = format!("leaves {} to {} of {}", range.start, range.end, openings.count());
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        let bytes = openings.read(range.clone()).map_err(|e| storage(&e))?;
        range.zip(bytes).map(|(index, bytes)| Ok((index, Opening::decode(&bytes)?))).collect()
    }
    /// Takes no more, and ends when what was taken is written.
    pub fn end(&self) {
        self.jobs.lock().take();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the writer of queries had ended before");
        }
    }
}

/// The writer: collects, writes, and signs a checkpoint where its time has come.
fn write(hub: &Hub, openings: &Mutex<Openings>, jobs: &Receiver<Job>) {
    let section = &hub.config.hub.queries;
    let (collect, every) =
        (Duration::from_millis(section.batch_ms), Duration::from_millis(section.checkpoint_ms));
    let mut signed = Instant::now();
    let mut is_over = false;
    while !is_over {
        let mut batch = Vec::new();
        match jobs.recv_timeout(every) {
            Ok(job) => batch.push(job),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => is_over = true,
        }
        let until = Instant::now() + collect;
        while !batch.is_empty() && batch.len() < BATCH_MAX {
            match jobs.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(job) => batch.push(job),
                Err(_) => break,
            }
        }
        if !batch.is_empty() {
            answer(batch, |batch| keep(hub, openings, batch));
        }
        if is_over || signed.elapsed() >= every || hub.queries.size() == hub.queries.published_size() {
            if let Err(error) = hub.check_halted().and_then(|()| hub.queries.checkpoint(now_ms())) {
                hub.metrics.failed("checkpoint");
                tracing::error!("no checkpoint over the queries: {error}");
            }
            signed = Instant::now();
        }
    }
}

fn answer(batch: Vec<Job>, keep: impl FnOnce(&[Job]) -> Answer<u64>) {
    let kept = keep(&batch);
    for (at, job) in (0..).zip(batch) {
        // One that was given up meanwhile has its leaf all the same.
        let _ = job.index.send(kept.clone().map(|first| first + at));
    }
}

/// Openings first: a leaf that nobody can open would be a query that nobody can bill.
fn keep(hub: &Hub, openings: &Mutex<Openings>, batch: &[Job]) -> Answer<u64> {
    hub.check_halted()?;
    let (mut bytes, mut leaves) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
    for job in batch {
        bytes.push(job.opening.encode());
        leaves.push(job.opening.leaf());
    }
    let kept =
        openings.lock().append(&bytes).map_err(|e| storage(&e)).and_then(|()| hub.queries.append(&leaves));
    match kept {
        Ok(range) => Ok(range.start),
        Err(error) => {
            // Openings and leaves may have come apart; a start puts them together again.
            hub.halt();
            tracing::error!("queries are taken no more until the hub is started again: {error}");
            Err(error)
        }
    }
}

/// Answers a query: evaluations and proof, the length of the promise's note (u32, big endian), the note, the opening.
///
/// # Errors
/// As [`read`]; `RateLimited`; `Stale` for an epoch that is not asked about any more; `Storage`.
pub fn evaluate(
    hub: &Hub,
    epochs: &Epochs,
    asking: &Asking,
    caller: &Caller,
    body: &[u8],
) -> Answer<Vec<u8>> {
    let begun = Instant::now();
    hub.check_halted()?;
    let registry = hub.registry();
    let (note, asked) = read(body)?;
    let member = registry.member(caller.id).ok_or_else(|| Error::new(ErrorKind::Forbidden, "no member"))?;
    let request = Request::verify(&note, std::slice::from_ref(&member.profile.sign), asked)?;
    let (epoch, elements) = read_request(asked)?;
    let items = (elements.len() / ELEMENT_BYTES) as u32;
    let now = now_ms();
    check(hub, caller, &request, epoch, items, now)?;
    let service = hub.service(epochs.version_of(epoch, &registry)?)?;
    hub.limiter.lock().take(caller.id, items, now).granted()?;
    let mut fill = |bytes: &mut [u8]| getrandom::fill(bytes).expect("the system has randomness");
    let mut random = Random::new(&mut fill);
    let response = service.evaluate(elements, &mut random)?;
    let opening = Opening { salt: random.bytes(), query: Query::new(&request, &note, &response, now_ms()) };
    let index = asking.put(opening.clone())?;
    let promise = Promise::new(&request.log, index, &opening, now_ms() + MERGE_MS);
    let mut promise = Note::new(promise.encode()?)?;
    promise.sign(&hub.keys.queries);
    let promise = promise.encode();
    let mut out = response;
    out.extend_from_slice(&(promise.len() as u32).to_be_bytes());
    out.extend_from_slice(promise.as_bytes());
    out.extend_from_slice(&opening.encode());
    hub.metrics.evaluated(items.into(), begun.elapsed());
    Ok(out)
}

fn check(hub: &Hub, caller: &Caller, request: &Request, epoch: u32, items: u32, now: u64) -> Answer<()> {
    let refuse = |kind, message: &str| Err(Error::new(kind, message));
    if request.member != caller.id {
        return refuse(ErrorKind::Forbidden, "the request is another member's");
    }
    if request.log != hub.keys.queries.verifier().name() {
        return refuse(ErrorKind::Invalid, "the request names another log");
    }
    if request.service != Service::Confirm {
        return refuse(ErrorKind::Invalid, "this service is not offered here");
    }
    if (request.epoch, request.items) != (epoch, items) {
        return refuse(ErrorKind::Invalid, "the request's epoch and items are not those that are asked");
    }
    if request.time_ms.abs_diff(now) > SKEW_MS_MAX {
        return refuse(ErrorKind::Stale, "the request's time is more than five minutes from the hub's");
    }
    Ok(())
}

/// Takes a query apart: the member's request, and what is asked.
///
/// # Errors
/// `Malformed`, `TooLarge`.
pub fn read(body: &[u8]) -> Answer<(Note, &[u8])> {
    let malformed =
        || Error::new(ErrorKind::Malformed, "a query is a length (u32), a request's note, and what is asked");
    let (length, rest) = body.split_first_chunk::<4>().ok_or_else(malformed)?;
    let length = u32::from_be_bytes(*length) as usize;
    if length > NOTE_BYTES_MAX {
        let message = format!("a request's note of {length} bytes, limit {NOTE_BYTES_MAX}");
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let (note, asked) = rest.split_at_checked(length).ok_or_else(malformed)?;
    Ok((Note::parse(note)?, asked))
}
