//! One endpoint's thread: it reads notices behind its cursor, sends them, tries again, gives up in the end, and moves the
//! cursor over what is dealt with. What it holds is one page of notices; all else waits in the journal.

use super::client::{Answer, Client};
use super::cursor::Cursor;
use super::dead::{Dead, Letter};
use super::figures::{EndpointFigures, Figures};
use super::notice::{Notice, NoticeKind, Source};
use super::permits::Permits;
use crate::config::outward::{Begin, EndpointSection};
use crate::node::now_ms;
use crate::node::store::write_whole;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Most notices in memory, an endpoint (more only where one sequence has more).
pub const PAGE_MAX: usize = 64;
/// How often it looks for new notices when there are none.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often it looks whether a disabled endpoint is enabled again, and whether it has to end.
const GLANCE_EVERY: Duration = Duration::from_millis(50);
/// How often the cursor is written while notices are being delivered; a kill sends again what came since.
const CURSOR_EVERY: Duration = Duration::from_secs(1);
/// How often it is written where it has only moved over payments without notices: after a kill they are read again, and
/// nothing is sent twice for it. Each writing is two syncs, which under `durability = "disk"` payments wait behind.
const CURSOR_IDLE_EVERY: Duration = Duration::from_secs(30);
/// How often dead letters are counted while nothing waits: `resend` takes some away beside us.
const COUNT_EVERY: Duration = Duration::from_secs(10);
/// Wait after the journal could not be read, or the disk not written.
const TROUBLE_EVERY: Duration = Duration::from_secs(5);

/// An endpoint with all that its thread needs.
pub struct Endpoint {
    pub(super) name: String,
    pub(super) settings: EndpointSection,
    pub(super) kinds: Vec<NoticeKind>,
    pub(super) client: Client,
    pub(super) cursor: Cursor,
    pub(super) dead: Dead,
    /// There while the endpoint is disabled.
    pub(super) gone: PathBuf,
}

/// What became of a notice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Delivered, or a dead letter.
    Done,
    /// Neither: the thread ends, or the endpoint is disabled.
    Left,
}

pub(super) struct Worker {
    pub endpoint: Endpoint,
    pub place: usize,
    pub figures: Figures,
    pub permits: Arc<Permits>,
    pub stop: Arc<AtomicBool>,
}

/// Where a disabled endpoint's mark lies.
pub fn gone_path(data: &Path, name: &str) -> PathBuf {
    data.join("webhooks/disabled").join(name)
}

impl Endpoint {
    /// Whether it is told of a notice.
    pub(super) fn wants(&self, notice: &Notice) -> bool {
        let tenants = &self.settings.tenants;
        (tenants.is_empty() || tenants.contains(&notice.tenant))
            && (self.kinds.is_empty() || self.kinds.contains(&notice.kind))
    }

    /// Where it begins: behind its cursor, or where the configuration says.
    fn begin(&self, source: &dyn Source) -> u64 {
        let configured = || match self.settings.from {
            Begin::Oldest => 0,
            Begin::Newest => source.newest(),
        };
        match self.cursor.read() {
            Ok(Some(sequence)) if sequence > source.newest() => {
                let newest = source.newest();
                tracing::warn!(
                    endpoint = self.name,
                    sequence,
                    newest,
                    "the webhook cursor is ahead of the journal"
                );
                newest
            }
            Ok(Some(sequence)) => sequence,
            Ok(None) => configured(),
            Err(error) => {
                let from = configured();
                tracing::error!(endpoint = self.name, from, "{error:#}; it is put aside, and begins anew");
                if let Err(error) = self.cursor.put_aside() {
                    tracing::error!(endpoint = self.name, "{error:#}");
                }
                from
            }
        }
    }
}

impl Worker {
    fn own(&self) -> &EndpointFigures {
        &self.figures.endpoints[self.place].1
    }
    fn ends(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
    /// Waits, but not past the end.
    fn pause(&self, wait: Duration) {
        let until = Instant::now() + wait;
        while !self.ends() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(GLANCE_EVERY));
        }
    }

    /// Delivers until it is to end.
    pub fn run(&self, source: &dyn Source) {
        let down = Down(self);
        let mut at = Progress {
            sequence: self.endpoint.begin(source),
            written: None,
            is_delivered: false,
            since: Instant::now(),
            counted: Instant::now(),
        };
        self.own().cursor.store(at.sequence, Ordering::Relaxed);
        while !self.ends() {
            let enabled = !self.endpoint.gone.exists();
            self.own().up.store(enabled, Ordering::Relaxed);
            if !enabled {
                self.write_cursor(&mut at, true);
                self.pause(LOOK_EVERY);
                continue;
            }
            match source.after(at.sequence, PAGE_MAX) {
                Ok(page) if page.notices.is_empty() => {
                    self.reach(&mut at, page.through);
                    let has_delivered = at.is_delivered;
                    self.write_cursor(&mut at, has_delivered);
                    self.count_dead(&mut at);
                    self.pause(LOOK_EVERY);
                }
                Ok(page) => self.deliver_page(&mut at, page.notices, page.through),
                Err(error) => {
                    tracing::warn!(
                        endpoint = self.endpoint.name,
                        "webhooks: the journal cannot be read: {error:#}"
                    );
                    self.pause(TROUBLE_EVERY);
                }
            }
        }
        self.write_cursor(&mut at, true);
        drop(down);
    }

    fn deliver_page(&self, at: &mut Progress, notices: Vec<Notice>, through: u64) {
        let wanted: Vec<Notice> = notices.into_iter().filter(|notice| self.endpoint.wants(notice)).collect();
        let mut done = 0;
        while done < wanted.len() {
            let wave = &wanted[done..wanted.len().min(done + self.endpoint.settings.in_flight)];
            self.own().oldest_ms.store(wave[0].time_ms, Ordering::Relaxed);
            let fates = self.deliver_wave(wave);
            let dealt_with = fates.iter().take_while(|fate| **fate == Fate::Done).count();
            done += dealt_with;
            at.is_delivered |= dealt_with > 0;
            // A sequence is dealt with when all its notices are.
            if let Some(last) = done.checked_sub(1).map(|place| wanted[place].sequence) {
                let is_split = wanted.get(done).is_some_and(|next| next.sequence == last);
                self.reach(at, if is_split { last.saturating_sub(1) } else { last });
            }
            self.write_cursor(at, false);
            if dealt_with < wave.len() {
                self.own().oldest_ms.store(wave[dealt_with].time_ms, Ordering::Relaxed);
                return;
            }
        }
        self.own().oldest_ms.store(0, Ordering::Relaxed);
        self.reach(at, through);
    }

    fn deliver_wave(&self, wave: &[Notice]) -> Vec<Fate> {
        if let [one] = wave {
            return vec![self.deliver(one)];
        }
        std::thread::scope(|scope| {
            let started: Vec<_> = wave.iter().map(|notice| scope.spawn(|| self.deliver(notice))).collect();
            // A panic in one is told by its hook; its notice is tried again.
            started.into_iter().map(|thread| thread.join().unwrap_or(Fate::Left)).collect()
        })
    }

    /// Tries until it is taken, given up, or the thread ends.
    fn deliver(&self, notice: &Notice) -> Fate {
        let (body, settings) = (notice.bytes(), &self.endpoint.settings);
        let mut attempts = 0;
        while !self.ends() {
            let answer = {
                let _permit = self.permits.take();
                self.endpoint.client.post(&notice.id, &body, now_ms().div_euclid(1000))
            };
            self.own().tried(answer);
            attempts += 1;
            let asked = match answer {
                Answer::Delivered => return Fate::Done,
                Answer::Gone => return self.disable(&notice.id),
                Answer::Status(_, retry_after) => retry_after,
                Answer::Timeout | Answer::Failed => None,
            };
            if attempts >= settings.attempts_max && self.give_up(notice, attempts, answer) {
                return Fate::Done;
            }
            let most = Duration::from_secs(settings.backoff_max_s);
            let wait = backoff(Duration::from_millis(settings.backoff_ms), most, attempts, random());
            self.pause(asked.map_or(wait, |asked| wait.max(asked.min(most))));
        }
        Fate::Left
    }

    /// Makes a dead letter of it; false where that has no room, so that it has to wait.
    fn give_up(&self, notice: &Notice, attempts: u32, last: Answer) -> bool {
        let last = match last {
            Answer::Status(status, _) => status.to_string(),
            other => other.name().to_owned(),
        };
        let letter = Letter {
            id: notice.id.clone(),
            sequence: notice.sequence,
            tenant: notice.tenant.clone(),
            kind: notice.kind.name().to_owned(),
            time_ms: notice.time_ms,
            dead_ms: now_ms(),
            attempts,
            last,
            body: notice.body.clone(),
        };
        let kept = self.endpoint.dead.put(&letter).and_then(|kept| {
            self.own().dead.store(self.endpoint.dead.count()? as u64, Ordering::Relaxed);
            Ok(kept)
        });
        let (endpoint, id) = (&self.endpoint.name, &notice.id);
        match &kept {
            Ok(true) => {
                tracing::warn!(endpoint, id, attempts, last = letter.last, "a notice became a dead letter")
            }
            Ok(false) => tracing::error!(endpoint, id, "webhooks.dead_max is reached; the endpoint waits"),
            Err(error) => {
                tracing::error!(endpoint, id, "a dead letter was not kept, so the endpoint waits: {error:#}")
            }
        }
        matches!(kept, Ok(true))
    }

    /// The receiver wants no more (410): nothing is sent until somebody enables it again.
    fn disable(&self, id: &str) -> Fate {
        let (endpoint, path) = (&self.endpoint.name, &self.endpoint.gone);
        tracing::error!(endpoint, id, "answered 410: disabled until `interdict webhooks enable`");
        let write = || -> Result<()> {
            std::fs::create_dir_all(path.parent().context("a mark lies in a folder")?)?;
            write_whole(path, format!("410 to {id} at {}\n", now_ms()).as_bytes())
        };
        if let Err(error) = write() {
            tracing::error!(endpoint, "the mark was not written: {error:#}");
            self.pause(TROUBLE_EVERY);
        }
        Fate::Left
    }

    fn reach(&self, at: &mut Progress, sequence: u64) {
        at.sequence = at.sequence.max(sequence);
        self.own().cursor.store(at.sequence, Ordering::Relaxed);
    }

    fn count_dead(&self, at: &mut Progress) {
        if at.counted.elapsed() >= COUNT_EVERY {
            at.counted = Instant::now();
            match self.endpoint.dead.count() {
                Ok(count) => self.own().dead.store(count as u64, Ordering::Relaxed),
                Err(error) => tracing::warn!(endpoint = self.endpoint.name, "dead letters: {error:#}"),
            }
        }
    }

    /// Writes the cursor where it has moved, at once or when its time has come.
    fn write_cursor(&self, at: &mut Progress, at_once: bool) {
        let every = if at.is_delivered { CURSOR_EVERY } else { CURSOR_IDLE_EVERY };
        let is_due = at_once || at.since.elapsed() >= every;
        if at.written == Some(at.sequence) || !is_due {
            return;
        }
        at.since = Instant::now();
        match self.endpoint.cursor.write(at.sequence) {
            Ok(()) => (at.written, at.is_delivered) = (Some(at.sequence), false),
            Err(error) => {
                tracing::warn!(
                    endpoint = self.endpoint.name,
                    "the webhook cursor was not written: {error:#}"
                );
            }
        }
    }
}

/// How far a thread is.
struct Progress {
    sequence: u64,
    written: Option<u64>,
    /// Something was delivered, or given up, since it was written.
    is_delivered: bool,
    since: Instant,
    counted: Instant,
}

/// Says that the thread is gone, also where it panicked.
struct Down<'a>(&'a Worker);
impl Drop for Down<'_> {
    fn drop(&mut self) {
        self.0.own().up.store(false, Ordering::Relaxed);
    }
}

/// Wait after `attempts` failed tries: `first` doubled with each, at most `most`; of that the upper half by chance, so
/// that endpoints which failed together do not come back together. `random` is any 32 bits.
pub(super) fn backoff(first: Duration, most: Duration, attempts: u32, random: u32) -> Duration {
    let doubled = first.saturating_mul(1 << attempts.saturating_sub(1).min(30)).min(most);
    doubled / 2 + (doubled / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// 32 random bits; the middle where the system has none.
fn random() -> u32 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u32::from_le_bytes(bytes),
        Err(_) => u32::MAX / 2,
    }
}
