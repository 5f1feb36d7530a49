//! Three times saturation, and a tenant far over its share, against `interdict serve` on a core of its own with the
//! generator on another one: what the server does, apart from what the two take from each other.

use super::machine::Stamp;
use super::orchestrate::{Plan, start_interdict};
use super::{Better, Results, Runs};
use crate::load::bodies::Bodies;
use crate::load::overload::{self, Fair, Overload};
use crate::load::surge::Stretch;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

const FILE: &str = "surges.json";

/// Everything of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Surges {
    /// The commit that ran.
    pub commit: String,
    /// The machine it ran on.
    pub machine: String,
    /// What was configured, for people.
    pub setting: String,
    /// Whether server and generator had a core each.
    pub pinned: bool,
    /// Three times saturation.
    pub overload: Overload,
    /// Two tenants.
    pub fair: Fair,
}

/// How long and with what deadline.
#[derive(Debug, Clone, Copy)]
pub struct Lengths {
    /// Of every request.
    pub deadline: Duration,
    /// Most connections of a tenant.
    pub connections: usize,
}

/// The cores that this thread may run on; to be asked once, before it is pinned, since afterwards there is one.
fn cores() -> Vec<core_affinity::CoreId> {
    core_affinity::get_core_ids().unwrap_or_default()
}
/// Pins this thread, and the processes that it starts from then on, to the core of that number; whether it could.
fn pin(cores: &[core_affinity::CoreId], core: usize) -> bool {
    cores.get(core).is_some_and(|core| core_affinity::set_for_current(*core))
}

/// Measures; what came of it is in `WORK/surges.json`, too. The plan's `rate` is where the search for saturation begins,
/// its `seconds` the length of the overload and of what follows it.
///
/// # Errors
/// When the server cannot be started or asked.
pub fn run(plan: &Plan, lengths: Lengths) -> anyhow::Result<Surges> {
    std::fs::create_dir_all(&plan.work).with_context(|| format!("cannot make {}", plan.work.display()))?;
    let stamp = Stamp::read();
    let cores = cores();
    // The server inherits it.
    let pinned = cores.len() >= 2 && pin(&cores, 0);
    let server = start_interdict(plan, 0, |_| {})?;
    let pinned = pinned && pin(&cores, 1);
    let deadline_ms = lengths.deadline.as_millis().to_string();
    let mut load = overload::Plan {
        target: server.target.clone().with_header("interdict-deadline-ms", &deadline_ms),
        deadline: lengths.deadline,
        rate: plan.rate,
        step_seconds: plan.step_seconds,
        seconds: plan.seconds,
        times: 3.0,
        connections: lengths.connections,
        seed: plan.seed,
        pid: Some(server.child.id()),
    };
    let mut bodies = Bodies::of_next_days(plan.seed, Some("surge".into()))?;
    let overload = overload::run(&load, &mut bodies)?;
    eprint!("{}", overload.text());
    (load.rate, load.times) = (overload.saturation, 10.0);
    let fair = overload::fair(&load, &mut bodies)?;
    eprint!("{}", fair.text());
    drop(server);
    let _ = std::fs::remove_dir_all(plan.work.join("data-0"));
    let (commit, machine, setting) = (stamp.commit, stamp.machine, plan.setting());
    let surges = Surges { commit, machine, setting, pinned, overload, fair };
    let path = plan.work.join(FILE);
    std::fs::write(&path, serde_json::to_string_pretty(&surges)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(surges)
}

/// What the last run left; none where there was none.
///
/// # Errors
/// When the file is not of this form.
pub fn read(work: &Path) -> anyhow::Result<Option<Surges>> {
    let path = work.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(serde_json::from_str(&text).with_context(|| path.display().to_string())?)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Answers of a stretch, and how many of them the server surely gave late.
fn late_share(stretch: &Stretch) -> f64 {
    let answers = stretch.full + stretch.default + stretch.refused;
    100.0 * stretch.late_at_server as f64 / answers.max(1) as f64
}

/// The figures for `results.json`.
pub fn results(surges: &Surges) -> Results {
    let stamp = Stamp { commit: surges.commit.clone(), machine: surges.machine.clone() };
    let Surges { overload, fair, .. } = surges;
    let cores = if surges.pinned { "server and generator on a core each" } else { "on shared cores" };
    let during = &overload.during;
    let told = format!(
        "{}; {cores}; deadline {} ms; {:.0}/s for {:.0} s: {} full, {} defaults, {} refused, {} unsent, {} broken",
        surges.setting,
        overload.deadline_ms,
        during.rate,
        during.seconds,
        during.full,
        during.default,
        during.refused,
        during.unsent,
        during.broken + during.unfinished,
    );
    let beside = &fair.beside;
    let tenants = format!(
        "B at a tenth of its half, A at ten times its half of {:.0}/s; B got {} full, {} defaults, {} refused; A {} full, {} \
         defaults, {} refused, {} unsent",
        fair.saturation,
        beside.full,
        beside.default,
        beside.refused,
        fair.greedy.full,
        fair.greedy.default,
        fair.greedy.refused,
        fair.greedy.unsent,
    );
    let one = |value: f64, unit: &str, better, note: &str| {
        Runs { values: vec![value], alternative: None }.entry(unit, better, &stamp, note)
    };
    let not_full = 100.0 * (1.0 - beside.full_share());
    let entries = [
        (
            "overload/saturation",
            one(overload.saturation, "requests/s", Better::Higher, "99 % full, p99 in time"),
        ),
        (
            "overload/full verdicts",
            one(100.0 * overload.goodput_share, "% of saturation", Better::Higher, &told),
        ),
        ("overload/late at the server", one(late_share(during), "% of answers", Better::Lower, "")),
        (
            "overload/longest answer",
            one(during.service_us.max, "µs", Better::Lower, "as the generator saw it"),
        ),
        (
            "overload/normal again",
            one(
                overload.recovery_ms.map_or(1000.0 * overload.after.seconds, |ms| ms as f64),
                "ms",
                Better::Lower,
                if overload.recovery_ms.is_none() { "not before the end" } else { "" },
            ),
        ),
        (
            "overload/memory",
            one(overload.rss_mib.map_or(0.0, |(_, most, _)| most), "MiB at most", Better::Lower, ""),
        ),
        ("fair/B's p99 beside A over alone", one(fair.p99_ratio, "ratio", Better::Lower, &tenants)),
        ("fair/B not full beside A", one(not_full, "% of B's payments", Better::Lower, "")),
    ];
    entries.into_iter().map(|(name, entry)| (name.to_owned(), entry)).collect()
}
