//! Open loop without a bound on patience: every request is sent at its intended start, over a connection that is free
//! or a new one, up to a bound; past it the arrival counts as unsent. What came back is kept by arrival, so that
//! stretches of a run can be told apart afterwards.

use super::schedule::{Gate, spawn_pacer, starts_ns};
use super::{Arrival, DRAIN, Percentiles, histogram};
use crate::client::{Connection, Target};
use bytes::Bytes;
use hyper::Method;
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Stretches of load, one after another, over one set of connections.
#[derive(Debug, Clone)]
pub struct Surge {
    /// The server, with the headers that every request carries.
    pub target: Target,
    /// Rate a second and length in seconds of each stretch.
    pub stretches: Vec<(f64, f64)>,
    /// Most connections.
    pub connections_max: usize,
    /// Seed of the Poisson arrivals.
    pub seed: u64,
}

/// What an arrival came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Came {
    /// A verdict with every stage.
    Full,
    /// A verdict by declared defaults, in part or wholly.
    Default,
    /// 429 or 503.
    Refused,
    /// Another status, or a broken connection.
    Broken,
    /// Never sent: every connection was taken.
    Unsent,
    /// No answer until the end.
    #[default]
    Unfinished,
}

/// One arrival.
#[derive(Debug, Clone, Copy, Default)]
pub struct Arrived {
    /// Intended start, in ns after the beginning.
    pub start_ns: u64,
    /// What it came to.
    pub came: Came,
    /// Answer − sending, in ns.
    pub service_ns: u64,
    /// Answer − intended start, in ns.
    pub latency_ns: u64,
}

/// A stretch, told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Stretch {
    pub rate: f64,
    pub seconds: f64,
    pub arrivals: u64,
    pub full: u64,
    pub default: u64,
    pub refused: u64,
    pub broken: u64,
    pub unsent: u64,
    pub unfinished: u64,
    /// Answers of any kind after the deadline, counted from sending.
    pub late_from_sending: u64,
    /// The same, counted from the intended start: what the generator held up is in it.
    pub late_from_start: u64,
    pub full_per_s: f64,
    /// Answers, from sending.
    pub service_us: Percentiles,
    /// Answers, from the intended start.
    pub latency_us: Percentiles,
}

impl Stretch {
    /// Tells the arrivals of a stretch of so many seconds.
    pub fn of(arrivals: &[Arrived], rate: f64, seconds: f64, deadline: Duration) -> Stretch {
        let (mut service, mut latency) = (histogram(), histogram());
        let mut told = Stretch { rate, seconds, arrivals: arrivals.len() as u64, ..Stretch::default() };
        let deadline_ns = deadline.as_nanos() as u64;
        for one in arrivals {
            let counted = match one.came {
                Came::Full => &mut told.full,
                Came::Default => &mut told.default,
                Came::Refused => &mut told.refused,
                Came::Broken => &mut told.broken,
                Came::Unsent => &mut told.unsent,
                Came::Unfinished => &mut told.unfinished,
            };
            *counted += 1;
            if matches!(one.came, Came::Full | Came::Default | Came::Refused) {
                service.saturating_record(one.service_ns);
                latency.saturating_record(one.latency_ns);
                told.late_from_sending += u64::from(one.service_ns > deadline_ns);
                told.late_from_start += u64::from(one.latency_ns > deadline_ns);
            }
        }
        told.full_per_s = told.full as f64 / seconds.max(f64::MIN_POSITIVE);
        (told.service_us, told.latency_us) = (Percentiles::of(&service), Percentiles::of(&latency));
        told
    }
    /// The part of the arrivals that got a full verdict.
    pub fn full_share(&self) -> f64 {
        self.full as f64 / self.arrivals.max(1) as f64
    }
    /// One line.
    pub fn line(&self, name: &str) -> String {
        format!(
            "{name:<14} {:>8.0}/s  full {:>8.0}/s ({:>5.1} %)  default {:>6}  refused {:>6}  late {:>6} ({} from start)  \
             unsent {:>6}  broken {}  p50/p99/max {:.0}/{:.0}/{:.0} µs",
            self.rate,
            self.full_per_s,
            100.0 * self.full_share(),
            self.default,
            self.refused,
            self.late_from_sending,
            self.late_from_start,
            self.unsent,
            self.broken + self.unfinished,
            self.service_us.p50,
            self.service_us.p99,
            self.service_us.max
        )
    }
}

struct Shared {
    target: Target,
    began: Instant,
    bodies: Vec<Bytes>,
    state: Mutex<State>,
}

struct State {
    idle: Vec<Connection>,
    open: usize,
    arrived: Vec<Arrived>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }
}

impl Surge {
    /// Intended starts of all stretches, in ns.
    fn starts(&self) -> Vec<u64> {
        let mut all = Vec::new();
        let mut from_s = 0.0;
        for (number, (rate, seconds)) in (0..).zip(&self.stretches) {
            let count = (rate * seconds).round() as usize;
            let starts = starts_ns(Arrival::Poisson, *rate, count, self.seed + number);
            let (from_ns, most_ns) = ((from_s * 1e9) as u64, (seconds * 1e9) as u64);
            all.extend(starts.into_iter().filter(|ns| *ns < most_ns).map(|ns| from_ns + ns));
            from_s += seconds;
        }
        all
    }
    /// How many bodies it needs at most.
    pub fn requests(&self) -> usize {
        self.stretches.iter().map(|(rate, seconds)| (rate * seconds).round() as usize).sum()
    }

    /// Makes the load and waits for the answers; the arrivals of each stretch.
    ///
    /// # Errors
    /// When not even one connection can be opened.
    pub async fn run(&self, bodies: Vec<Bytes>) -> anyhow::Result<Vec<Vec<Arrived>>> {
        let starts: Arc<[u64]> = self.starts().into();
        let first = self.target.connect().await?;
        let arrived =
            starts.iter().map(|start_ns| Arrived { start_ns: *start_ns, ..Arrived::default() }).collect();
        let state = Mutex::new(State { idle: vec![first], open: 1, arrived });
        let began = Instant::now() + Duration::from_millis(20);
        let shared = Arc::new(Shared { target: self.target.clone(), began, bodies, state });
        let gate = Arc::new(Gate { permits: Semaphore::new(0), due: AtomicUsize::new(0) });
        let pacer = spawn_pacer(began, starts.clone(), gate.clone(), 0);
        let mut sending = tokio::task::JoinSet::new();
        for number in 0..starts.len() {
            gate.permits.acquire().await.expect("the gate is never closed").forget();
            let connection = {
                let mut state = shared.state();
                match state.idle.pop() {
                    None if state.open >= self.connections_max => {
                        state.arrived[number].came = Came::Unsent;
                        continue;
                    }
                    None => {
                        state.open += 1;
                        None
                    }
                    free => free,
                }
            };
            sending.spawn(send(shared.clone(), number, connection));
            while sending.try_join_next().is_some() {}
        }
        let _ = tokio::time::timeout(DRAIN, async { while sending.join_next().await.is_some() {} }).await;
        sending.abort_all();
        // It has opened the gate for the last time, or the loop above would still wait.
        drop(pacer.join());
        let arrived = std::mem::take(&mut shared.state().arrived);
        Ok(self.split(arrived))
    }
    fn split(&self, arrived: Vec<Arrived>) -> Vec<Vec<Arrived>> {
        let mut ends = Vec::new();
        let mut end_s = 0.0;
        for (_, seconds) in &self.stretches {
            end_s += seconds;
            ends.push((end_s * 1e9) as u64);
        }
        let mut stretches = vec![Vec::new(); ends.len()];
        for one in arrived {
            let at = ends.partition_point(|end| *end <= one.start_ns).min(ends.len() - 1);
            stretches[at].push(one);
        }
        stretches
    }
}

async fn send(shared: Arc<Shared>, number: usize, connection: Option<Connection>) {
    let sent = Instant::now();
    let open = match connection {
        Some(connection) => Ok(connection),
        None => shared.target.connect().await,
    };
    let answered = match open {
        Ok(mut connection) => {
            let body = shared.bodies[number].clone();
            connection.send(Method::POST, "/v1/decisions", body).await.map(|answer| (connection, answer))
        }
        Err(error) => Err(error),
    };
    let now = Instant::now();
    let mut state = shared.state();
    let came = match answered {
        Ok((connection, answer)) => {
            state.idle.push(connection);
            match answer.status {
                // The answer's own word for a verdict that lacks nothing.
                200 if has(&answer.body, b"\"skipped\":[]") => Came::Full,
                200 => Came::Default,
                429 | 503 => Came::Refused,
                _ => Came::Broken,
            }
        }
        Err(_) => {
            state.open -= 1;
            Came::Broken
        }
    };
    let one = &mut state.arrived[number];
    one.came = came;
    one.service_ns = (now - sent).as_nanos() as u64;
    let since_ns = now.saturating_duration_since(shared.began).as_nanos() as u64;
    one.latency_ns = since_ns.saturating_sub(one.start_ns);
}

fn has(body: &[u8], word: &[u8]) -> bool {
    body.windows(word.len()).any(|window| window == word)
}
