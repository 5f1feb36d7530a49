//! What is told of holds, in the journal's order: a thread follows the journal up to what is safe and turns records into
//! notices. The latest are kept in memory for streams and webhooks; whoever is further behind is read to from the journal
//! again, from where it was. Nothing of it is asked of the path.

mod turning;

use super::Node;
use super::background::Background;
use crate::webhooks::{Notice, Page, Source};
use anyhow::{Result, anyhow};
use interdict_engine::domain::HoldId;
use interdict_engine::settlement::Hold;
use interdict_ledger::journal::{At, Go, Reader};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use turning::turn;

/// Notices kept in memory, about 1 kB each.
pub const LATEST: usize = 4096;
/// How often the journal is looked at for more.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// It works so long at most before it rests, and rests so many times as long: a quarter of a core while it catches up.
const WORK_MAX: Duration = Duration::from_millis(2);
const REST_TIMES: u32 = 3;
/// After the journal could not be read.
const AGAIN: Duration = Duration::from_secs(5);
/// Batches of the journal that are read for one page of whoever is behind.
const BATCHES: usize = 4096;
/// Places of those that are behind which are remembered, so that none is looked for from its segment's beginning each time.
const PLACES: usize = 64;

/// Notices of holds.
pub struct Notices {
    reader: Reader,
    node: OnceLock<Weak<Node>>,
    latest: Mutex<Latest>,
    /// Where those who are behind have been read to.
    places: Mutex<VecDeque<(u64, At)>>,
    /// How far the journal has been followed.
    reached: watch::Sender<u64>,
}

/// The latest notices.
struct Latest {
    /// Everything behind this place is here.
    from: u64,
    notices: VecDeque<Arc<Notice>>,
    /// Everything up to this place has been looked at.
    through: u64,
    /// There; `None` before the journal's first segment.
    at: Option<At>,
}

/// A place of the journal as one number: it grows along the journal, and is exact in JSON's numbers up to segment
/// 131,071.
pub(super) fn place(segment: u64, offset: u64) -> u64 {
    (segment << 36) | offset
}
fn segment_of(place: u64) -> u64 {
    place >> 36
}
fn end(at: &At) -> u64 {
    place(at.segment(), at.offset())
}

impl Notices {
    /// From a place of the journal on; what comes before it is in the journal.
    pub fn new(reader: Reader, at: Option<At>) -> Notices {
        let from = at.as_ref().map_or(0, end);
        let latest = Latest { from, notices: VecDeque::new(), through: from, at };
        let (node, latest) = (OnceLock::new(), Mutex::new(latest));
        Notices { reader, node, latest, places: Mutex::default(), reached: watch::Sender::new(from) }
    }
    /// Told whenever the journal has been followed further, and how far.
    pub fn reached(&self) -> watch::Receiver<u64> {
        self.reached.subscribe()
    }
    /// The holds of a payment, as the book has them now. Empty while the node ends.
    fn holds_of(&self, payment: u64) -> Vec<(HoldId, Hold)> {
        let Some(node) = self.node.get().and_then(Weak::upgrade) else { return Vec::new() };
        node.with_core(|core| {
            let holds = core.sequencer.book().of_payment(payment);
            holds.map(|(id, hold)| (id, hold.clone())).collect()
        })
    }

    /// Reads on from a place, hands on the notices of each batch, and stops where `until` says so or there is no more.
    fn read(
        &self,
        at: At,
        until: &mut dyn FnMut(&At, Vec<Notice>) -> Go,
    ) -> Result<At, interdict_ledger::Error> {
        let of_batch = RefCell::new(Vec::new());
        self.reader.follow(
            at,
            &mut |stored| {
                turn(stored, &|payment| self.holds_of(payment), &self.reader, &mut of_batch.borrow_mut())
            },
            &mut |at| until(at, std::mem::take(&mut of_batch.borrow_mut())),
        )
    }

    /// Follows the journal to what is safe now; whether there may be more.
    fn follow(&self, stop: &AtomicBool) -> Result<bool> {
        let at = match self.latest.lock().at.take() {
            Some(at) => Some(at),
            None => self.reader.beginning().map_err(|e| anyhow!("{e}"))?,
        };
        let Some(at) = at else { return Ok(false) };
        let (began, mut more) = (Instant::now(), false);
        let read = self.read(at.clone(), &mut |at, notices| {
            self.latest.lock().put(end(at), notices);
            more = began.elapsed() >= WORK_MAX || stop.load(Ordering::Acquire);
            if more { Go::Stop } else { Go::On }
        });
        // Where it failed it begins there again; what was put already is not put twice.
        let failed = match read {
            Ok(at) => {
                let mut latest = self.latest.lock();
                latest.through = latest.through.max(end(&at));
                latest.at = Some(at);
                None
            }
            Err(e) => {
                self.latest.lock().at = Some(at);
                Some(anyhow!("{e}"))
            }
        };
        let through = self.latest.lock().through;
        self.reached.send_if_modified(|reached| std::mem::replace(reached, through) != through);
        failed.map_or(Ok(more), Err)
    }

    /// A page for somebody who is behind the latest notices.
    fn earlier(&self, after: u64, max: usize) -> Result<Page> {
        let failed = |e: interdict_ledger::Error| anyhow!("{e}");
        let until = self.latest.lock().from;
        let known = {
            let mut places = self.places.lock();
            let known = places.iter().position(|(place, _)| *place == after);
            known.and_then(|known| places.remove(known)).map(|(_, at)| at)
        };
        let at = match known {
            Some(at) => Some(at),
            None => match self.reader.beginning_of(segment_of(after)).map_err(failed)? {
                Some(at) => Some(at),
                // Its segment was removed, or there never was one.
                None => self.reader.beginning().map_err(failed)?,
            },
        };
        let Some(at) = at else { return Ok(Page { notices: Vec::new(), through: after }) };
        let (mut notices, mut batches) = (Vec::new(), 0);
        let at = self
            .read(at, &mut |at, of_batch| {
                notices.extend(of_batch.into_iter().filter(|notice| notice.sequence > after));
                batches += usize::from(end(at) > after);
                if notices.len() >= max || batches >= BATCHES || end(at) >= until { Go::Stop } else { Go::On }
            })
            .map_err(failed)?;
        let through = end(&at).max(after);
        let mut places = self.places.lock();
        if places.len() >= PLACES {
            places.pop_front();
        }
        places.push_back((through, at));
        Ok(Page { notices, through })
    }
}

impl Latest {
    /// Adds a batch's notices; those that are here are not added again.
    fn put(&mut self, end: u64, notices: Vec<Notice>) {
        for notice in notices.into_iter().filter(|notice| notice.sequence > self.through) {
            self.notices.push_back(Arc::new(notice));
        }
        self.through = self.through.max(end);
        while self.notices.len() > LATEST {
            let Some(first) = self.notices.pop_front() else { break };
            // The others of its record go with it.
            self.from = first.sequence;
            while self.notices.front().is_some_and(|next| next.sequence == first.sequence) {
                self.notices.pop_front();
            }
        }
    }
}

impl Source for Notices {
    fn after(&self, sequence: u64, max: usize) -> Result<Page> {
        {
            let latest = self.latest.lock();
            if sequence >= latest.from {
                let first = latest.notices.partition_point(|notice| notice.sequence <= sequence);
                let mut notices = Vec::new();
                for notice in latest.notices.iter().skip(first) {
                    let is_of_last =
                        notices.last().is_some_and(|last: &Notice| last.sequence == notice.sequence);
                    if notices.len() >= max && !is_of_last {
                        let through = notices.last().map_or(sequence, |last| last.sequence);
                        return Ok(Page { notices, through });
                    }
                    notices.push(Notice::clone(notice));
                }
                return Ok(Page { notices, through: latest.through.max(sequence) });
            }
        }
        self.earlier(sequence, max)
    }
    fn newest(&self) -> u64 {
        self.latest.lock().through
    }
}

/// Starts the thread of a node.
pub(super) fn start(node: &Arc<Node>) -> Background {
    let notices = node.notices.clone();
    // Set once: a node has one.
    let _ = notices.node.set(Arc::downgrade(node));
    Background::start("notices", move |stop| {
        while !stop.load(Ordering::Acquire) {
            let wait = match notices.follow(stop) {
                Ok(true) => WORK_MAX * REST_TIMES,
                Ok(false) => LOOK_EVERY,
                Err(e) => {
                    tracing::error!("notices of holds wait: {e:#}; reading again in {AGAIN:?}");
                    AGAIN
                }
            };
            thread::park_timeout(wait);
        }
    })
}
