//! The event loop: one thread, no runtime, requests made beforehand. It never sleeps while a start is near, since a
//! kernel's tick is as long as a deadline here.

use super::wire::{self, Answer};
use super::{Arrived, Came, Surge};
use crate::load::DRAIN;
use anyhow::Context;
use bytes::Bytes;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

/// Connections opened before the first start, at most; others are opened as they are needed.
const OPEN_FIRST: usize = 64;
/// Before the first start, so that the server has taken the connections in.
const SETTLE: Duration = Duration::from_millis(30);
/// A start that is nearer than this is waited for without sleeping: the kernel's timers here are as coarse.
const NEAR: Duration = Duration::from_millis(2);
/// Starts in a row that are sent before answers are looked for.
const SENT_MAX: usize = 8;

struct Connection {
    stream: TcpStream,
    surge: usize,
    /// The arrival that it carries, and when its request was wholly in the socket.
    busy: Option<(usize, Instant)>,
    read: Vec<u8>,
}

struct Driver<'a> {
    surges: &'a [Surge],
    requests: Vec<Vec<Vec<u8>>>,
    arrived: Vec<Vec<Arrived>>,
    connections: Vec<Option<Connection>>,
    /// By surge: those that are free, the last used last, and how many are open.
    idle: Vec<Vec<usize>>,
    open: Vec<usize>,
    poll: Poll,
    began: Instant,
    waiting: usize,
}

/// What each arrival of each surge came to.
pub(super) fn drive(surges: &[Surge], bodies: &[Vec<Bytes>]) -> anyhow::Result<Vec<Vec<Arrived>>> {
    let starts: Vec<Vec<u64>> = surges.iter().map(Surge::starts).collect();
    let mut order: Vec<(u64, usize, usize)> = Vec::new();
    for (surge, starts) in starts.iter().enumerate() {
        order.extend(starts.iter().enumerate().map(|(number, start_ns)| (*start_ns, surge, number)));
    }
    order.sort_unstable();
    let requests = surges
        .iter()
        .zip(bodies)
        .map(|(surge, bodies)| bodies.iter().map(|body| wire::request(&surge.target, body)).collect());
    let arrived = starts.iter().map(|starts| {
        starts.iter().map(|start_ns| Arrived { start_ns: *start_ns, ..Arrived::default() }).collect()
    });
    let mut driver = Driver {
        surges,
        requests: requests.collect(),
        arrived: arrived.collect(),
        connections: Vec::new(),
        idle: vec![Vec::new(); surges.len()],
        open: vec![0; surges.len()],
        poll: Poll::new()?,
        began: Instant::now() + SETTLE,
        waiting: 0,
    };
    for (surge, of) in surges.iter().enumerate() {
        for _ in 0..OPEN_FIRST.min(of.connections_max) {
            let at = driver.connect(surge).context("opening the load's connections")?;
            driver.idle[surge].push(at);
        }
    }
    driver.began = Instant::now() + SETTLE;
    driver.run(&order)?;
    Ok(driver.arrived)
}

impl Driver<'_> {
    fn run(&mut self, order: &[(u64, usize, usize)]) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(16_384);
        let (mut next, mut looked) = (0, Instant::now());
        let last = order.last().map_or(self.began, |(start_ns, ..)| self.due(*start_ns));
        loop {
            let mut sent = 0;
            while sent < SENT_MAX && next < order.len() && self.due(order[next].0) <= Instant::now() {
                let (_, surge, number) = order[next];
                self.send(surge, number);
                (next, sent) = (next + 1, sent + 1);
            }
            let now = Instant::now();
            if next == order.len() && (self.waiting == 0 || now > last + DRAIN) {
                return Ok(());
            }
            let until = order.get(next).map_or(last + DRAIN, |(start_ns, ..)| self.due(*start_ns));
            let left = until.saturating_duration_since(now);
            let timeout = if left < NEAR { Duration::ZERO } else { left - NEAR };
            // What comes now was not there when it was looked before.
            let before = std::mem::replace(&mut looked, now);
            match self.poll.poll(&mut events, Some(timeout)) {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            // After a sleep it came at its end, not at its beginning.
            let before = if timeout.is_zero() { before } else { Instant::now() };
            for event in &events {
                self.read(event.token().0, before);
            }
        }
    }
    fn due(&self, start_ns: u64) -> Instant {
        self.began + Duration::from_nanos(start_ns)
    }

    fn connect(&mut self, surge: usize) -> std::io::Result<usize> {
        let stream = std::net::TcpStream::connect(self.surges[surge].target.authority())?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        let at = self.connections.len();
        self.poll.registry().register(&mut stream, Token(at), Interest::READABLE)?;
        self.connections.push(Some(Connection { stream, surge, busy: None, read: Vec::with_capacity(4096) }));
        self.open[surge] += 1;
        Ok(at)
    }
    fn send(&mut self, surge: usize, number: usize) {
        let free = self.idle[surge].pop();
        let at = match free {
            None if self.open[surge] >= self.surges[surge].connections_max => {
                self.arrived[surge][number].came = Came::Unsent;
                return;
            }
            None => self.connect(surge).ok(),
            free => free,
        };
        let request = std::mem::take(&mut self.requests[surge][number]);
        let sent = at.and_then(|at| {
            let connection = self.connections[at].as_mut()?;
            // It carries nothing, so there is room for a request in its socket.
            let whole = connection.stream.write(&request).is_ok_and(|written| written == request.len());
            connection.busy = Some((number, Instant::now()));
            whole.then_some(())
        });
        match sent {
            Some(()) => self.waiting += 1,
            None => {
                self.arrived[surge][number].came = Came::Broken;
                at.into_iter().for_each(|at| self.close(at));
            }
        }
    }
    fn close(&mut self, at: usize) {
        if let Some(connection) = self.connections[at].take() {
            self.open[connection.surge] -= 1;
            self.idle[connection.surge].retain(|idle| *idle != at);
        }
    }

    /// Takes what came on a connection; `before`: when there was surely nothing yet.
    fn read(&mut self, at: usize, before: Instant) {
        let Some(connection) = self.connections[at].as_mut() else { return };
        let mut buffer = [0; 16_384];
        let ended = loop {
            match connection.stream.read(&mut buffer) {
                Ok(0) => break true,
                Ok(count) => connection.read.extend_from_slice(&buffer[..count]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break false,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => break true,
            }
        };
        let surge = connection.surge;
        let Some((number, sent)) = connection.busy else {
            if ended {
                self.close(at);
            }
            return;
        };
        let (came, stays) = match wire::answer(&connection.read) {
            Answer::Part if !ended => return,
            Answer::Part | Answer::Broken => (Came::Broken, false),
            Answer::Whole(came, stays) => (came, stays && !ended),
        };
        connection.busy = None;
        connection.read.clear();
        let now = Instant::now();
        self.waiting -= 1;
        let one = &mut self.arrived[surge][number];
        one.came = came;
        one.service_ns = (now - sent).as_nanos() as u64;
        one.least_ns = before.saturating_duration_since(sent).as_nanos() as u64;
        let since_ns = now.saturating_duration_since(self.began).as_nanos() as u64;
        one.latency_ns = since_ns.saturating_sub(one.start_ns);
        if stays {
            self.idle[surge].push(at);
        } else {
            self.close(at);
        }
    }
}
