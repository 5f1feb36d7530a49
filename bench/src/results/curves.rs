//! Latency and CPU time of `interdict serve` at parts of its own saturation, for each number of lanes and each kind of
//! journal, beside the comparison handler in the same run; and the drawings of it.

use super::machine::Stamp;
use super::orchestrate::{Plan, Server, answer_bytes, start_empty, start_interdict};
use super::svg::{Kind, Panel, Series, figure};
use super::{Better, Results, Runs};
use crate::load::bodies::Bodies;
use crate::load::saturation::{self, Limits, Saturation};
use crate::load::{self, Arrival, LoadConfig, LoadReport};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Parts of saturation, in percent.
pub const PERCENTS: [u32; 4] = [25, 50, 75, 90];
const FILE: &str = "curves.json";
const JOURNALS: [&str; 2] = ["os", "disk"];

/// What one server did at one rate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Point {
    /// Of saturation.
    pub percent: u32,
    /// What was measured.
    pub load: LoadReport,
}

/// One server in one setting.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Curve {
    /// Threads that evaluate; none said: the comparison handler.
    pub lanes: Option<usize>,
    /// `os` or `disk`; empty: the comparison handler.
    pub journal: String,
    /// The highest rate it keeps up with.
    pub saturation: Saturation,
    /// One for each of [`PERCENTS`]; none where it kept up with no rate that was tried.
    pub points: Vec<Point>,
}

/// Everything of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Curves {
    /// The commit that ran.
    pub commit: String,
    /// The machine it ran on.
    pub machine: String,
    /// What was configured, for people.
    pub setting: String,
    /// One for each server and setting.
    pub curves: Vec<Curve>,
}

impl Curve {
    /// Its name, for people.
    pub fn name(&self) -> String {
        match self.lanes {
            None => "comparison handler".into(),
            Some(lanes) => format!("lanes {lanes}, journal {}", self.journal),
        }
    }
    fn series(&self, figure: impl Fn(&LoadReport) -> f64) -> Series {
        let points = self.points.iter().map(|point| (f64::from(point.percent), figure(&point.load)));
        let class = self.lanes.map_or("other".to_owned(), |lanes| format!("l{} {}", lanes % 3, self.journal));
        Series { name: self.name(), class, points: points.collect() }
    }
}

/// Measures; what came of it is in `WORK/curves.json`, too. The plan's `rate` is where searches begin, its `seconds`
/// the length of a point, its `rounds` are not used.
///
/// # Errors
/// When a server cannot be started or asked.
pub fn run(plan: &Plan, lanes: &[usize]) -> anyhow::Result<Curves> {
    std::fs::create_dir_all(&plan.work).with_context(|| format!("cannot make {}", plan.work.display()))?;
    let stamp = Stamp::read();
    let (mut curves, mut size) = (Vec::new(), None);
    for (number, (count, journal)) in
        lanes.iter().flat_map(|count| JOURNALS.map(|journal| (*count, journal))).enumerate()
    {
        eprintln!("interdict-bench: lanes {count}, journal {journal}");
        let server = start_interdict(plan, number, |command| {
            command.args(["--lanes", &count.to_string()]).env("INTERDICT_JOURNAL__DURABILITY", journal);
        })?;
        if size.is_none() {
            let bodies = Bodies::of_next_days(plan.seed, Some("size".into()))?.take(100);
            size = Some(answer_bytes(&server.target, bodies)?);
        }
        curves.push(measure(plan, &server, Some(count), journal)?);
        // The next one has a folder of its own, and disks are small.
        drop(server);
        let _ = std::fs::remove_dir_all(plan.work.join(format!("data-{number}")));
    }
    eprintln!("interdict-bench: the comparison handler");
    let server = start_empty(plan, 0, size.context("no lanes to measure")?)?;
    curves.push(measure(plan, &server, None, "")?);
    let curves = Curves { commit: stamp.commit, machine: stamp.machine, setting: plan.setting(), curves };
    let path = plan.work.join(FILE);
    std::fs::write(&path, serde_json::to_string_pretty(&curves)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(curves)
}

fn measure(plan: &Plan, server: &Server, lanes: Option<usize>, journal: &str) -> anyhow::Result<Curve> {
    let mut bodies = Bodies::of_next_days(plan.seed, Some("curve".into()))?;
    let config = LoadConfig {
        target: server.target.clone(),
        rate: plan.rate,
        seconds: plan.step_seconds,
        warmup_s: plan.step_seconds / 4.0,
        connections: plan.connections,
        arrival: Arrival::Poisson,
        seed: plan.seed,
        pid: Some(server.child.id()),
    };
    let saturation = saturation::find(&config, &mut bodies, Limits::default())?;
    let mut points = Vec::new();
    for percent in PERCENTS.into_iter().filter(|_| saturation.rate > 0.0) {
        let rate = saturation.rate * f64::from(percent) / 100.0;
        let config =
            LoadConfig { rate, seconds: plan.seconds, warmup_s: plan.seconds / 5.0, ..config.clone() };
        let load = load::run(&config, bodies.take(load::requests(&config)))?;
        points.push(Point { percent, load });
    }
    Ok(Curve { lanes, journal: journal.into(), saturation, points })
}

/// What the last run left; none where there was none.
///
/// # Errors
/// When the file is not of this form.
pub fn read(work: &Path) -> anyhow::Result<Option<Curves>> {
    let path = work.join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).map(Some).with_context(|| format!("{}", path.display()))
}

/// Saturation in each setting, beside the comparison handler's.
pub fn results(curves: &Curves) -> Results {
    let stamp = Stamp { commit: curves.commit.clone(), machine: curves.machine.clone() };
    let other = curves.curves.iter().find(|curve| curve.lanes.is_none());
    let other = other.map(|curve| ("empty handler".to_owned(), vec![curve.saturation.rate]));
    let ours = curves.curves.iter().filter(|curve| curve.lanes.is_some());
    let entry = |curve: &Curve| {
        let runs = Runs { values: vec![curve.saturation.rate], alternative: other.clone() };
        (format!("curves/saturation, {}", curve.name()), runs.entry("requests/s", Better::Higher, &stamp, ""))
    };
    ours.map(entry).collect()
}

/// Draws `latency.svg` and `cost.svg` into a folder.
///
/// # Errors
/// When it cannot be written.
pub fn draw(curves: &Curves, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let foot = [
        format!("{} · commit {}", curves.machine, curves.commit),
        format!("{} · open loop, Poisson, from the intended start", curves.setting),
    ];
    let panel = |title: &str, unit: &str, kind, of: &dyn Fn(&LoadReport) -> f64| Panel {
        title: title.into(),
        unit: unit.into(),
        kind,
        series: curves.curves.iter().map(|curve| curve.series(of)).collect(),
    };
    let latency = [
        panel("p50", "µs", Kind::Log, &|load| load.latency_us.p50),
        panel("p99", "µs", Kind::Log, &|load| load.latency_us.p99),
        panel("p99.9", "µs", Kind::Log, &|load| load.latency_us.p999),
        panel("max", "µs", Kind::Log, &|load| load.latency_us.max),
    ];
    let bar = |curve: &Curve| Series {
        points: vec![(0.0, curve.saturation.rate)],
        ..curve.series(|load| load.latency_us.p50)
    };
    let cost = [
        panel("CPU time a request", "CPU-µs", Kind::Linear, &|load| {
            load.server_cpu_us_per_request.unwrap_or_default()
        }),
        Panel {
            title: "Saturation (p99 ≤ 10 ms)".into(),
            unit: "requests/s".into(),
            kind: Kind::Bars,
            series: curves.curves.iter().map(bar).collect(),
        },
    ];
    for (name, title, panels) in [
        ("latency.svg", "Latency by load", &latency[..]),
        ("cost.svg", "What a request costs, and how many there can be", &cost[..]),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, figure(title, &foot, panels))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::load::Percentiles;
    use std::collections::BTreeMap;

    fn curve(lanes: Option<usize>, journal: &str, rate: f64, base: f64) -> Curve {
        let saturation = Saturation { rate, p99_limit_us: 10_000.0, broke: true, steps: Vec::new() };
        let points = PERCENTS.map(|percent| {
            let slow = base * f64::from(percent) / 25.0;
            let latency_us = Percentiles {
                p50: slow,
                p99: slow * 4.0,
                p999: slow * 9.0,
                max: slow * 30.0,
                ..Percentiles::default()
            };
            let load = LoadReport {
                rate: rate * f64::from(percent) / 100.0,
                seconds: 1.0,
                connections: 1,
                requests: 100,
                answered_per_s: 100.0,
                statuses: BTreeMap::from([(200, 100)]),
                errors: 0,
                unfinished: 0,
                answer_bytes: 1,
                latency_us,
                service_us: Percentiles::default(),
                generator_lag_us: Percentiles::default(),
                backlog_max: 0,
                server_cpu_us_per_request: Some(40.0 + base / 10.0),
            };
            Point { percent, load }
        });
        Curve { lanes, journal: journal.into(), saturation, points: points.to_vec() }
    }

    #[test]
    fn a_run_is_read_again_and_drawn_beside_the_comparison_handler() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).unwrap().is_none());
        let mut all = Vec::new();
        for (lanes, journal) in (0..3).flat_map(|lanes| JOURNALS.map(|journal| (lanes, journal))) {
            let slower = if journal == "disk" { 8.0 } else { 1.0 };
            all.push(curve(Some(lanes), journal, 10_000.0 / (1.0 + lanes as f64), 100.0 * slower));
        }
        all.push(curve(None, "", 20_000.0, 60.0));
        // On a slow disk no rate may hold: there is a bar of nothing, and no curve.
        all[5].points.clear();
        all[5].saturation.rate = 0.0;
        let curves = Curves { commit: "c".into(), machine: "a & b".into(), setting: "s".into(), curves: all };
        std::fs::write(dir.path().join(FILE), serde_json::to_string(&curves).unwrap()).unwrap();
        let curves = read(dir.path()).unwrap().unwrap();
        let results = results(&curves);
        let first = &results["curves/saturation, lanes 0, journal os"];
        assert_eq!((first.ratio, first.commit.as_str(), results.len()), (Some(0.5), "c", 6));
        draw(&curves, &dir.path().join("drawn")).unwrap();
        let text = std::fs::read_to_string(dir.path().join("drawn/latency.svg")).unwrap();
        assert!(text.contains("a &amp; b") && text.contains("prefers-color-scheme: dark"), "{text}");
        // A line for each curve with points in each of four panels, and one in the legend for each curve.
        assert_eq!(text.matches("<polyline").count(), 6 * 4 + 7);
        let bars = std::fs::read_to_string(dir.path().join("drawn/cost.svg")).unwrap();
        assert_eq!(bars.matches("class=\"bar").count(), 7);
    }
}
