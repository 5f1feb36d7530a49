//! What publishing costs the payments beside it: the same load without and with `POST /v1/generations` in a loop, turn
//! about in one run, so that the machine's own drift falls on both.

use super::bodies::Bodies;
use super::{LoadConfig, LoadReport, requests, run};
use anyhow::Context;
use bytes::Bytes;
use hyper::Method;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Swap {
    /// Rounds without publications; as many with.
    pub rounds: usize,
    /// p99 of each round without, in µs from the intended start.
    pub quiet_p99_us: Vec<f64>,
    /// p99 of each round with.
    pub publishing_p99_us: Vec<f64>,
    /// Their medians' ratio, with over without.
    pub p99_ratio: f64,
    /// Publications that were answered with 200.
    pub publications: u64,
    /// How long one took, on average, in ms.
    pub publication_ms: f64,
    /// Requests that were not answered with 200.
    pub failed: u64,
}

/// Makes the load `rounds` times without and with a publication every `every`.
///
/// # Errors
/// As [`run`]; when a publication is refused.
pub fn measure(
    config: &LoadConfig,
    bodies: &mut Bodies,
    rounds: usize,
    every: Duration,
) -> anyhow::Result<Swap> {
    let (mut quiet, mut publishing) = (Vec::new(), Vec::new());
    let (mut failed, mut publications, mut took) = (0, 0, Duration::ZERO);
    for _ in 0..rounds {
        let report = run(config, bodies.take(requests(config)))?;
        failed += not_answered(&report);
        quiet.push(report.latency_us.p99);
        let stop = AtomicBool::new(false);
        let (report, published) = std::thread::scope(|scope| {
            let publisher = scope.spawn(|| publish(config, every, &stop));
            let report = run(config, bodies.take(requests(config)));
            stop.store(true, Ordering::Release);
            (report, publisher.join().expect("the publisher does not panic"))
        });
        let (report, (count, time)) = (report?, published?);
        (publications, took) = (publications + count, took + time);
        failed += not_answered(&report);
        publishing.push(report.latency_us.p99);
    }
    let p99_ratio = median(&publishing) / median(&quiet);
    let publication_ms = took.as_secs_f64() * 1000.0 / (publications.max(1) as f64);
    let (quiet_p99_us, publishing_p99_us) = (quiet, publishing);
    Ok(Swap { rounds, quiet_p99_us, publishing_p99_us, p99_ratio, publications, publication_ms, failed })
}

fn not_answered(report: &LoadReport) -> u64 {
    let others = report.statuses.iter().filter(|(status, _)| **status != 200);
    others.map(|(_, count)| count).sum::<u64>() + report.errors + report.unfinished
}

/// Publishes until it is told to stop; how often, and how long that took.
fn publish(config: &LoadConfig, every: Duration, stop: &AtomicBool) -> anyhow::Result<(u64, Duration)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = config.target.connect().await.context("the publisher's connection")?;
        let (mut count, mut took) = (0, Duration::ZERO);
        while !stop.load(Ordering::Acquire) {
            let began = Instant::now();
            let answer = connection.send(Method::POST, "/v1/generations", Bytes::new()).await?;
            let text = String::from_utf8_lossy(&answer.body);
            anyhow::ensure!(answer.status == 200, "publication: {} {text}", answer.status);
            (count, took) = (count + 1, took + began.elapsed());
            tokio::time::sleep(every.saturating_sub(began.elapsed())).await;
        }
        Ok((count, took))
    })
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
