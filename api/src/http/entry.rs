//! Where requests ask for their turn (`node/turns.rs`): the one place of it that has a clock, a lock and tasks.

use crate::node::Node;
use crate::node::turns::{Asking, Now, Turn, Turns};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Requests that may be let in and not begun, an I/O thread, where that thread decides too. They are decided and answered
/// as one: with 16 a tenant of few requests waited for 0.7 ms beside one of many, with 4 for 0.3 ms, at 2 % of the rate.
const COMBINED: usize = 4;

/// A wait for a turn that is longer says that there is not time enough for anything beside the path.
const PRESSED: Duration = Duration::from_millis(1);

/// The door.
pub struct Entry {
    node: Arc<Node>,
    turns: Mutex<Turns<oneshot::Sender<Turn>>>,
    /// Requests that were let in and are not at the intake yet.
    reading: AtomicUsize,
    /// Whether anybody waits at all.
    waiting: AtomicUsize,
}

impl Entry {
    /// Before a node that is read to by so many threads.
    pub fn new(node: Arc<Node>, io_threads: usize) -> Entry {
        let each = if node.has_lanes() { 2 * node.loaded.hardware.micro_batch } else { COMBINED };
        let room = each * io_threads.max(1);
        let turns = Mutex::new(Turns::new(room, io_threads));
        Entry { node, turns, reading: AtomicUsize::new(0), waiting: AtomicUsize::new(0) }
    }
    fn now(&self, at: Instant) -> Now {
        let pace = &self.node.pace;
        Now {
            at,
            inside: self.reading.load(Ordering::Relaxed) + self.node.queue_depth(),
            guess_ns: 2 * pace.full_ns(),
            tail_ns: pace.tail_ns(),
        }
    }

    /// Asks for a turn, and waits until it is given. What was let in counts as being read for as long as the slot is
    /// kept, at most until the request is at the intake.
    pub async fn ask(
        &self,
        tenant: &Arc<str>,
        came: Instant,
        deadline: Option<Instant>,
    ) -> (Turn, Option<Slot<'_>>) {
        let weight = self.node.intake.weight(tenant);
        let (token, told) = oneshot::channel();
        let given = {
            let mut turns = self.turns.lock();
            let now = self.now(self.node.clock.now());
            let given = turns.ask(tenant, weight, Asking { came, deadline, token }, now);
            if let Some((_, Turn::Full | Turn::Default)) = given {
                self.reading.fetch_add(1, Ordering::Relaxed);
            }
            self.show(&turns);
            let waits_ns = turns.waiting().0 as u64 * turns.pace_ns(now.guess_ns);
            if matches!(given, Some((_, Turn::Refused | Turn::Default)))
                || waits_ns > PRESSED.as_nanos() as u64
            {
                self.node.intake.press();
            }
            given
        };
        let turn = match given {
            Some((_, turn)) => turn,
            None => Waits { entry: self, told, is_told: false }.turn().await,
        };
        (turn, (turn != Turn::Refused).then(|| Slot(self)))
    }
    fn show(&self, turns: &Turns<oneshot::Sender<Turn>>) {
        let (fair, owed) = turns.waiting();
        self.waiting.store(fair + owed, Ordering::Relaxed);
    }
    /// Gives what turns can be given now; to be called when something has gone on.
    pub fn go_on(&self) {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut turns = self.turns.lock();
        let at = self.node.clock.now();
        while let Some((token, turn)) = turns.next(self.now(at)) {
            let is_read = turn != Turn::Refused;
            self.reading.fetch_add(usize::from(is_read), Ordering::Relaxed);
            // Whoever has gone away meanwhile is not read.
            if token.send(turn).is_err() && is_read {
                self.reading.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.show(&turns);
    }
    /// A refusal took so long.
    pub fn refused_in(&self, took: Duration) {
        self.turns.lock().refused_in(took);
    }
    /// What there is to tell.
    pub fn figures(&self) -> Figures {
        let turns = self.turns.lock();
        let pace = Duration::from_nanos(turns.pace_ns(0));
        Figures { waiting: turns.waiting(), given: turns.given, pace }
    }
}

/// What there is to tell of turns.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Requests that wait for their turn, and for an answer that they are owed.
    pub waiting: (usize, usize),
    /// Turns given: to be decided, by defaults, refused.
    pub given: [u64; 3],
    /// From one turn to the next.
    pub pace: Duration,
}

/// Somebody who waits. Whoever goes away while a turn is on its way to it gives it back.
struct Waits<'a> {
    entry: &'a Entry,
    told: oneshot::Receiver<Turn>,
    is_told: bool,
}
impl Waits<'_> {
    async fn turn(mut self) -> Turn {
        let told = (&mut self.told).await;
        self.is_told = true;
        told.unwrap_or(Turn::Refused)
    }
}
impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if self.is_told {
            return;
        }
        self.told.close();
        if self.told.try_recv().is_ok_and(|turn| turn != Turn::Refused) {
            self.entry.reading.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A request that is being read; see [`Entry::ask`].
pub struct Slot<'a>(&'a Entry);
impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.reading.fetch_sub(1, Ordering::Relaxed);
    }
}
