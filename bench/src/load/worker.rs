//! One worker a connection: takes the next request whose start has come, sends it, and records how long it took since
//! that start. Everything runs on one thread, so the lock is never contended.

use super::schedule::Gate;
use super::{LoadConfig, LoadReport, Percentiles, histogram};
use crate::client::{Connection, Target};
use bytes::Bytes;
use hdrhistogram::Histogram;
use hyper::Method;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

struct Inner {
    began: Instant,
    starts_ns: Arc<[u64]>,
    bodies: Vec<Bytes>,
    warmup_ns: u64,
    gate: Arc<Gate>,
    next: AtomicUsize,
    tally: Mutex<Tally>,
}

struct Tally {
    latency: Histogram<u64>,
    service: Histogram<u64>,
    statuses: BTreeMap<u16, u64>,
    done: Vec<bool>,
    answered_measured: u64,
    errors: u64,
    answer_bytes: u64,
    backlog_max: u64,
}

/// What the workers share.
pub(crate) struct Shared {
    inner: Arc<Inner>,
    lag: Histogram<u64>,
    unfinished: u64,
}

/// A worker's part of it.
pub(crate) struct Handle(Arc<Inner>);

impl Inner {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().expect("nobody panics while holding it")
    }
    fn due(&self, number: usize) -> Instant {
        self.began + Duration::from_nanos(self.starts_ns[number])
    }
    fn is_measured(&self, number: usize) -> bool {
        self.starts_ns[number] >= self.warmup_ns
    }
}

impl Shared {
    pub(crate) fn new(began: Instant, starts_ns: Arc<[u64]>, bodies: Vec<Bytes>, warmup_ns: u64) -> Shared {
        let tally = Tally {
            latency: histogram(),
            service: histogram(),
            statuses: BTreeMap::new(),
            done: vec![false; bodies.len()],
            answered_measured: 0,
            errors: 0,
            answer_bytes: 0,
            backlog_max: 0,
        };
        let gate = Arc::new(Gate { permits: Semaphore::new(0), due: AtomicUsize::new(0) });
        let next = AtomicUsize::new(0);
        let inner = Inner { began, starts_ns, bodies, warmup_ns, gate, next, tally: Mutex::new(tally) };
        Shared { inner: Arc::new(inner), lag: histogram(), unfinished: 0 }
    }
    pub(crate) fn gate(&self) -> Arc<Gate> {
        self.inner.gate.clone()
    }
    pub(crate) fn handle(&self) -> Handle {
        Handle(self.inner.clone())
    }

    /// Charges what was never answered with the time it has waited.
    pub(crate) fn finish(mut self, lag: Histogram<u64>) -> Shared {
        let now = Instant::now();
        let mut tally = self.inner.tally();
        for number in 0..self.inner.bodies.len() {
            if !tally.done[number] {
                self.unfinished += 1;
                if self.inner.is_measured(number) {
                    let waited = now.saturating_duration_since(self.inner.due(number));
                    tally.latency.saturating_record(waited.as_nanos() as u64);
                }
            }
        }
        drop(tally);
        self.lag = lag;
        self
    }

    pub(crate) fn report(&self, config: &LoadConfig, cpu_us: Option<f64>) -> LoadReport {
        let tally = self.inner.tally();
        let seconds = (config.seconds - config.warmup_s).max(f64::MIN_POSITIVE);
        let answered = tally.statuses.values().sum::<u64>();
        LoadReport {
            rate: config.rate,
            seconds,
            connections: config.connections,
            requests: tally.latency.len(),
            answered_per_s: tally.answered_measured as f64 / seconds,
            statuses: tally.statuses.clone(),
            errors: tally.errors,
            unfinished: self.unfinished,
            answer_bytes: tally.answer_bytes,
            latency_us: Percentiles::of(&tally.latency),
            service_us: Percentiles::of(&tally.service),
            generator_lag_us: Percentiles::of(&self.lag),
            backlog_max: tally.backlog_max,
            server_cpu_us_per_request: cpu_us.filter(|_| answered > 0).map(|cpu_us| cpu_us / answered as f64),
        }
    }
}

/// Takes and sends until every request has been taken.
pub(crate) async fn run(handle: Handle, target: Target, connection: Connection) {
    let inner = handle.0;
    let mut connection = Some(connection);
    loop {
        let permit = inner.gate.permits.acquire().await.expect("the gate is never closed");
        permit.forget();
        let number = inner.next.fetch_add(1, Ordering::Relaxed);
        if number >= inner.bodies.len() {
            return;
        }
        let backlog = inner.gate.due.load(Ordering::Relaxed).saturating_sub(number + 1) as u64;
        let sent = Instant::now();
        let answer = match open(&mut connection, &target).await {
            Ok(open) => open.send(Method::POST, "/v1/decisions", inner.bodies[number].clone()).await,
            Err(error) => Err(error),
        };
        let now = Instant::now();
        let mut tally = inner.tally();
        tally.backlog_max = tally.backlog_max.max(backlog);
        tally.done[number] = true;
        if inner.is_measured(number) {
            tally.latency.saturating_record((now - inner.due(number)).as_nanos() as u64);
            tally.service.saturating_record((now - sent).as_nanos() as u64);
        }
        match answer {
            Ok(answer) => {
                *tally.statuses.entry(answer.status).or_default() += 1;
                tally.answer_bytes += answer.body.len() as u64;
                // Answers after the last start are latency, not throughput.
                let in_time = now <= inner.due(inner.bodies.len() - 1) + Duration::from_millis(100);
                let counts = answer.status == 200 && inner.is_measured(number) && in_time;
                tally.answered_measured += u64::from(counts);
            }
            Err(_) => {
                tally.errors += 1;
                connection = None;
            }
        }
    }
}

/// The worker's connection, opened again when the last request broke it.
async fn open<'a>(
    connection: &'a mut Option<Connection>,
    target: &Target,
) -> anyhow::Result<&'a mut Connection> {
    if connection.is_none() {
        *connection = Some(target.connect().await?);
    }
    Ok(connection.as_mut().expect("just opened"))
}
