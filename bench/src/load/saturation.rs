//! Finds the highest rate a server keeps up with: raises the rate by half until p99 or the backlog breaks, then halves
//! the interval between the last rate that held and the first that did not. A rate is broken when it breaks twice in a
//! row: on a shared machine one second in which somebody else had the core says nothing of the server.

use super::bodies::Bodies;
use super::{LoadConfig, LoadReport, requests, run};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Halvings after the first rate that breaks: 1.5× shrinks to 3 %.
const HALVINGS: usize = 4;
/// Most steps upwards; from 500 a second that is over a million.
const STEPS_MAX: usize = 20;

/// What counts as keeping up.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Highest p99 of completion − intended start, in µs.
    pub p99_us: f64,
    /// Least share of the intended requests that is answered in time.
    pub answered: f64,
}

impl Default for Limits {
    /// p99 of 10 ms; 98 % answered by the time of the last start.
    fn default() -> Self {
        Limits { p99_us: 10_000.0, answered: 0.98 }
    }
}

impl Limits {
    fn hold(&self, report: &LoadReport) -> bool {
        report.latency_us.p99 <= self.p99_us
            && report.unfinished == 0
            && report.errors == 0
            // Of the requests made, not of the rate: a Poisson arrival makes a few more or fewer.
            && report.answered_per_s * report.seconds >= report.requests as f64 * self.answered
    }
}

/// The rate, and how it was found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Saturation {
    /// Highest rate that held, a second; 0 when even the first did not.
    pub rate: f64,
    /// The p99 limit, in µs.
    pub p99_limit_us: f64,
    /// Whether the server broke above it. If not, the generator's own end was reached.
    pub broke: bool,
    /// Every rate tried.
    pub steps: Vec<Step>,
}

/// One rate.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Step {
    pub rate: f64,
    pub answered_per_s: f64,
    pub p99_us: f64,
    pub backlog_max: u64,
    pub held: bool,
}

/// Searches from `config.rate` upwards.
///
/// # Errors
/// As `run`.
pub fn find(config: &LoadConfig, bodies: &mut Bodies, limits: Limits) -> anyhow::Result<Saturation> {
    find_with(config, &mut |count| bodies.take(count), limits)
}

/// As [`find`], with bodies from anywhere.
///
/// # Errors
/// As `run`.
pub fn find_with(
    config: &LoadConfig,
    bodies: &mut dyn FnMut(usize) -> Vec<Bytes>,
    limits: Limits,
) -> anyhow::Result<Saturation> {
    let mut steps = Vec::new();
    let mut once = |rate: f64| -> anyhow::Result<bool> {
        let config = LoadConfig { rate, ..config.clone() };
        let report = run(&config, bodies(requests(&config)))?;
        let held = limits.hold(&report);
        steps.push(Step {
            rate,
            answered_per_s: report.answered_per_s,
            p99_us: report.latency_us.p99,
            backlog_max: report.backlog_max,
            held,
        });
        Ok(held)
    };
    let mut holds = |rate: f64| -> anyhow::Result<bool> { Ok(once(rate)? || once(rate)?) };
    let (mut good, mut bad) = (0.0, None);
    let mut rate = config.rate;
    for _ in 0..STEPS_MAX {
        if holds(rate)? {
            good = rate;
            rate *= 1.5;
        } else {
            bad = Some(rate);
            break;
        }
    }
    if let Some(mut bad) = bad {
        for _ in 0..HALVINGS {
            let middle = (good + bad) / 2.0;
            if holds(middle)? {
                good = middle;
            } else {
                bad = middle;
            }
        }
    }
    Ok(Saturation { rate: good, p99_limit_us: limits.p99_us, broke: bad.is_some(), steps })
}
