//! What overload does to verdicts: the rate up to which all are full and in time, three times that for a while, and how
//! soon all is as before. And how a tenant far over its share changes the verdicts of one well below it.

use super::bodies::Bodies;
use super::surge::{self, Arrived, Stretch, Surge};
use crate::client::Target;
use crate::sys;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Halvings of the search for saturation.
const HALVINGS: usize = 3;
/// Most steps of it upwards.
const STEPS_MAX: usize = 16;
/// So much of a stretch must be full verdicts to count as normal.
const NORMAL_FULL: f64 = 0.99;
/// Length of the slices in which the return to normal is looked for, in ms.
const SLICE_MS: u64 = 100;
/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The server; its requests carry the deadline.
    pub target: Target,
    /// The deadline.
    pub deadline: Duration,
    /// First rate tried, a second.
    pub rate: f64,
    /// Length of each step of the search, in seconds.
    pub step_seconds: f64,
    /// Length of the overload and of what follows it, in seconds each.
    pub seconds: f64,
    /// How many times saturation the overload is.
    pub times: f64,
    /// Most connections.
    pub connections: usize,
    /// Seed of arrivals.
    pub seed: u64,
    /// The server's process, for its memory.
    pub pid: Option<u32>,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Overload {
    /// The deadline in ms.
    pub deadline_ms: f64,
    /// The rates tried, the last one that held among them.
    pub steps: Vec<Stretch>,
    /// The highest rate a second at which 99 % were full verdicts and p99 from the intended start was in time.
    pub saturation: f64,
    /// Half of it, before.
    pub before: Stretch,
    /// The overload.
    pub during: Stretch,
    /// Half of it again.
    pub after: Stretch,
    /// Full verdicts a second under overload, as a part of the saturation.
    pub goodput_share: f64,
    /// From the end of the overload until every later slice of 100 ms was normal, in ms; `None`: never.
    pub recovery_ms: Option<u64>,
    /// The server's resident memory in MiB: before, most, at the end.
    pub rss_mib: Option<(f64, f64, f64)>,
}

/// Runs it.
///
/// # Errors
/// When the server cannot be reached.
pub fn run(plan: &Plan, bodies: &mut Bodies) -> anyhow::Result<Overload> {
    let surge = |stretches| Surge {
        target: plan.target.clone(),
        stretches,
        connections_max: plan.connections,
        seed: plan.seed,
    };
    let mut steps = Vec::new();
    let mut holds = |rate: f64| -> anyhow::Result<bool> {
        // The first part warms up.
        let surge = surge(vec![(rate, plan.step_seconds / 4.0), (rate, plan.step_seconds)]);
        let arrived = one(&surge, bodies)?;
        let told = Stretch::of(&arrived[1], rate, plan.step_seconds, plan.deadline);
        let held = told.full_share() >= NORMAL_FULL
            && told.latency_us.p99 <= plan.deadline.as_secs_f64() * 1e6
            && told.unsent + told.broken + told.unfinished == 0;
        steps.push(told);
        Ok(held)
    };
    // A second try: on shared cores one step in some is disturbed by others.
    let mut holds = |rate: f64| Ok::<_, anyhow::Error>(holds(rate)? || holds(rate)?);
    let (mut good, mut bad, mut rate) = (0.0, None, plan.rate);
    for _ in 0..STEPS_MAX {
        if !holds(rate)? {
            bad = Some(rate);
            break;
        }
        good = rate;
        rate *= 1.5;
    }
    if let Some(mut bad) = bad {
        for _ in 0..HALVINGS {
            let middle = (good + bad) / 2.0;
            if holds(middle)? { good = middle } else { bad = middle }
        }
    }
    anyhow::ensure!(
        good > 0.0,
        "at {} a second not all verdicts are full and in time; begin lower",
        plan.rate
    );
    let rss = plan.pid.map(Rss::watch);
    let surge = surge(vec![
        (good / 2.0, plan.seconds / 2.0),
        (good * plan.times, plan.seconds),
        (good / 2.0, plan.seconds),
    ]);
    let arrived = one(&surge, bodies)?;
    let tell =
        |at: usize| Stretch::of(&arrived[at], surge.stretches[at].0, surge.stretches[at].1, plan.deadline);
    let during = tell(1);
    Ok(Overload {
        deadline_ms: plan.deadline.as_secs_f64() * 1e3,
        steps,
        saturation: good,
        before: tell(0),
        goodput_share: during.full_per_s / good,
        during,
        after: tell(2),
        recovery_ms: recovery_ms(&arrived[2], plan.deadline),
        rss_mib: rss.map(Rss::end),
    })
}

/// The load of one surge alone.
fn one(surge: &Surge, bodies: &mut Bodies) -> anyhow::Result<Vec<Vec<Arrived>>> {
    let bodies = bodies.take(surge.requests());
    Ok(surge::run(std::slice::from_ref(surge), vec![bodies])?.pop().unwrap_or_default())
}

/// The end of the last slice that was not normal, counted from the stretch's first arrival.
fn recovery_ms(arrived: &[Arrived], deadline: Duration) -> Option<u64> {
    let from_ns = arrived.first()?.start_ns;
    let slice_of = |one: &Arrived| (one.start_ns - from_ns) / (SLICE_MS * 1_000_000);
    let slices: Vec<&[Arrived]> = arrived.chunk_by(|a, b| slice_of(a) == slice_of(b)).collect();
    let is_normal = |slice: &&[Arrived]| {
        let told = Stretch::of(slice, 0.0, 1.0, deadline);
        told.full_share() >= NORMAL_FULL && told.latency_us.p99 <= deadline.as_secs_f64() * 1e6
    };
    let last = slices.iter().rposition(|slice| !is_normal(slice));
    match last {
        None => Some(0),
        Some(last) if last + 1 == slices.len() => None,
        Some(last) => Some((slice_of(&slices[last][0]) + 1) * SLICE_MS),
    }
}

impl Overload {
    /// As text.
    pub fn text(&self) -> String {
        let mut lines = vec![format!("deadline {} ms", self.deadline_ms)];
        lines.extend(self.steps.iter().map(|step| step.line("step")));
        lines.push(format!("saturation     {:>8.0}/s full verdicts in time", self.saturation));
        lines.push(self.before.line("half"));
        lines.push(self.during.line("overload"));
        lines.push(self.after.line("half again"));
        lines
            .push(format!("full verdicts under overload: {:.1} % of saturation", 100.0 * self.goodput_share));
        lines.push(match self.recovery_ms {
            Some(ms) => format!("normal again within {ms} ms"),
            None => "not normal again before the end".into(),
        });
        if let Some((before, most, after)) = self.rss_mib {
            lines.push(format!(
                "server's memory: {before:.0} MiB before, {most:.0} at most, {after:.0} at the end"
            ));
        }
        lines.join("\n") + "\n"
    }
}

/// Looks at a process's memory until it is told to end.
struct Rss {
    stop: Arc<AtomicBool>,
    looking: std::thread::JoinHandle<(f64, f64, f64)>,
}

impl Rss {
    fn watch(pid: u32) -> Rss {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let looking = std::thread::spawn(move || {
            let first = sys::rss_mib(pid).unwrap_or_default();
            let (mut most, mut last) = (first, first);
            while !stopped.load(Ordering::Acquire) {
                last = sys::rss_mib(pid).unwrap_or(last);
                most = most.max(last);
                std::thread::sleep(LOOK);
            }
            (first, most, last)
        });
        Rss { stop, looking }
    }
    fn end(self) -> (f64, f64, f64) {
        self.stop.store(true, Ordering::Release);
        self.looking.join().expect("looking does not panic")
    }
}

/// Two tenants of equal weight.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fair {
    /// The saturation that shares are of, full verdicts a second.
    pub saturation: f64,
    /// B alone, at a tenth of its share.
    pub alone: Stretch,
    /// B the same, beside A.
    pub beside: Stretch,
    /// A at so many times its share.
    pub greedy: Stretch,
    /// B's p99 from sending beside A over that alone.
    pub p99_ratio: f64,
}

/// Runs B alone, then beside A at `plan.times` its share; `plan.rate` is the saturation.
///
/// # Errors
/// When the server cannot be reached.
pub fn fair(plan: &Plan, bodies: &mut Bodies) -> anyhow::Result<Fair> {
    let share = plan.rate / 2.0;
    let surge = |tenant: &str, rate: f64, connections_max: usize| Surge {
        target: plan.target.clone().with_header("interdict-tenant", tenant),
        stretches: vec![(rate, plan.seconds / 4.0), (rate, plan.seconds)],
        connections_max,
        seed: plan.seed,
    };
    let modest = surge("fair-b", share / 10.0, 64);
    let greedy = surge("fair-a", share * plan.times, plan.connections);
    let tell = |arrived: &[Vec<Arrived>], surge: &Surge| {
        Stretch::of(&arrived[1], surge.stretches[1].0, plan.seconds, plan.deadline)
    };
    let alone = one(&modest, bodies)?;
    let both = vec![bodies.take(modest.requests()), bodies.take(greedy.requests())];
    let mut both = surge::run(&[modest.clone(), greedy.clone()], both)?;
    let (crowd, beside) = (both.pop().unwrap_or_default(), both.pop().unwrap_or_default());
    let (alone, beside) = (tell(&alone, &modest), tell(&beside, &modest));
    Ok(Fair {
        saturation: plan.rate,
        p99_ratio: beside.service_us.p99 / alone.service_us.p99.max(f64::MIN_POSITIVE),
        greedy: tell(&crowd, &greedy),
        alone,
        beside,
    })
}

impl Fair {
    /// As text.
    pub fn text(&self) -> String {
        [
            self.alone.line("B alone"),
            self.beside.line("B beside A"),
            self.greedy.line("A"),
            format!("B's p99 beside A is {:.1} times that alone", self.p99_ratio),
        ]
        .join("\n")
            + "\n"
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::surge::Came;
    use super::*;

    fn slices(came: &[Came]) -> Vec<Arrived> {
        let of_slice = |(number, came): (u64, &Came)| {
            let start_ns = number * SLICE_MS * 1_000_000 + 7;
            [Arrived { start_ns, came: *came, service_ns: 1, least_ns: 1, latency_ns: 1 }; 3]
        };
        (5u64..).zip(came).flat_map(of_slice).collect()
    }

    #[test]
    fn recovery_ends_with_the_last_slice_that_is_not_normal() {
        use Came::{Default as D, Full as F};
        let deadline = Duration::from_millis(20);
        for (came, expected) in [
            (&[F, F, F][..], Some(0)),
            (&[D, F, D, F, F], Some(300)),
            (&[F, F, D], None),
            (&[D, F], Some(100)),
        ] {
            assert_eq!(recovery_ms(&slices(came), deadline), expected, "{came:?}");
        }
        assert_eq!(recovery_ms(&[], deadline), None);
    }

    #[test]
    fn what_comes_late_is_told_from_both_ends() {
        let one = |came, service_ms: u64, latency_ms: u64| Arrived {
            came,
            start_ns: 0,
            service_ns: service_ms * 1_000_000,
            least_ns: (service_ms * 1_000_000).saturating_sub(6_000_000),
            latency_ns: latency_ms * 1_000_000,
        };
        let arrived = [
            one(Came::Full, 1, 30),
            one(Came::Default, 25, 30),
            one(Came::Refused, 1, 1),
            one(Came::Unsent, 0, 0),
        ];
        let told = Stretch::of(&arrived, 4.0, 2.0, Duration::from_millis(20));
        assert_eq!((told.full, told.default, told.refused, told.unsent), (1, 1, 1, 1));
        assert_eq!((told.late_at_server, told.late_from_sending), (0, 1));
        assert_eq!((told.late_from_start, told.full_per_s), (2, 0.5));
    }
}
