//! Open loop without a bound on patience: every request is sent at its intended start, over a connection that is free
//! or a new one, up to a bound; past it the arrival counts as unsent. What came back is kept by arrival, so that
//! stretches of a run can be told apart afterwards, and what the generator was late with from what the server was.

mod drive;
mod wire;

use super::schedule::starts_ns;
use super::{Arrival, Percentiles, histogram};
use crate::client::Target;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;

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
    /// Answer seen − request wholly in the socket, in ns: the server's time, and how late the generator looked.
    pub service_ns: u64,
    /// The same to the last moment at which the answer was surely not there: at least so long was the server's.
    pub least_ns: u64,
    /// Answer seen − intended start, in ns.
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
    /// Answers of any kind that the server surely gave after the deadline, counted from sending: they were not there
    /// when the generator looked last before they came, and that was past it.
    #[serde(default)]
    pub late_at_server: u64,
    /// The same by when the generator saw them.
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
                told.late_at_server += u64::from(one.least_ns > deadline_ns);
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
            "{name:<14} {:>8.0}/s  full {:>8.0}/s ({:>5.1} %)  default {:>6}  refused {:>6}  late {:>6} ({} as seen, {} from start)  \
             unsent {:>6}  broken {}  p50/p99/max {:.0}/{:.0}/{:.0} µs",
            self.rate,
            self.full_per_s,
            100.0 * self.full_share(),
            self.default,
            self.refused,
            self.late_at_server,
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

/// Makes the load of all surges side by side, each over connections of its own, and waits for the answers: by surge and
/// stretch, what each arrival came to. Everything is on this thread, which is best pinned to a core of its own.
///
/// # Errors
/// When a connection cannot be opened at the beginning.
pub fn run(surges: &[Surge], bodies: Vec<Vec<Bytes>>) -> anyhow::Result<Vec<Vec<Vec<Arrived>>>> {
    let arrived = drive::drive(surges, &bodies)?;
    Ok(surges.iter().zip(arrived).map(|(surge, arrived)| surge.split(arrived)).collect())
}
