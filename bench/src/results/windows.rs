//! Reads what `bench/compare/windows.py` printed: what DuckDB and polars need for the Handbook's windows, and beside
//! them what `interdict replay` needed for the whole path on the same file, when the script was told.

use super::machine::Stamp;
use super::{Alternative, Better, Results, Runs, median, ratio};
use anyhow::Context;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The script's output.
#[derive(Debug, Deserialize)]
struct Output {
    transactions: u64,
    runs: Vec<Run>,
    /// Seconds of `interdict replay`, one a run.
    #[serde(default)]
    replay_s: Vec<f64>,
}

#[derive(Debug, Deserialize)]
struct Run {
    engine: String,
    /// `moments` (count, sum, max) or `all` (distinct as well).
    aggregates: String,
    /// `one` or `all`.
    threads: String,
    wall_s: f64,
    cpu_s: f64,
}

/// The entries of a file with the script's output.
///
/// # Errors
/// When the file cannot be read or is not of this form.
pub fn read(path: &Path, stamp: &Stamp) -> anyhow::Result<Results> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let output: Output = serde_json::from_str(&text).with_context(|| format!("{}", path.display()))?;
    let per_second = output.transactions as f64;
    let mut by_case: BTreeMap<String, Vec<&Run>> = BTreeMap::new();
    for run in &output.runs {
        by_case
            .entry(format!("{}_{}_{}_threads", run.engine, run.aggregates, run.threads))
            .or_default()
            .push(run);
    }
    let mut results = Results::new();
    let note = "12 windows (customer and terminal) over the Handbook's Parquet, batch";
    for (case, runs) in &by_case {
        let micros = |seconds: &dyn Fn(&Run) -> f64| -> Vec<f64> {
            runs.iter().map(|run| seconds(run) * 1e6 / per_second).collect()
        };
        let cpu = Runs { values: micros(&|run| run.cpu_s), alternative: None };
        results.insert(
            format!("windows/{case}_cpu"),
            cpu.entry("CPU-µs per transaction", Better::Lower, stamp, note),
        );
    }
    let fastest = by_case
        .iter()
        .filter(|(case, _)| case.contains("_all_"))
        .map(|(case, runs)| (case, runs.iter().map(|run| per_second / run.wall_s).collect::<Vec<f64>>()))
        .max_by(|(_, one), (_, other)| median(one).total_cmp(&median(other)));
    if !output.replay_s.is_empty() {
        let replay = Runs {
            values: output.replay_s.iter().map(|seconds| per_second / seconds).collect(),
            alternative: fastest.map(|(case, rates)| (case.clone(), rates)),
        };
        let note = "the whole path with journal, beside the windows alone as a batch";
        results.insert("replay/handbook".into(), replay.entry("transactions/s", Better::Higher, stamp, note));
    }
    Ok(results)
}

/// Criterion's figure for the same windows and aggregates, one transaction after the other.
const FEATURES: &str = "features/handbook/batch 8";

/// Puts the feature stage beside the cheapest batch over the same windows (one thread, all aggregates), by CPU time.
pub fn beside_features(results: &mut Results) {
    let batches = results
        .iter()
        .filter(|(name, _)| name.starts_with("windows/") && name.ends_with("_all_one_threads_cpu"));
    let cheapest = batches.min_by(|(_, one), (_, other)| one.value.total_cmp(&other.value));
    let Some((name, batch)) = cheapest else { return };
    let engine = name.trim_start_matches("windows/").split('_').next().unwrap_or_default();
    let alternative =
        Alternative { name: format!("{engine}, as one batch, one thread, CPU"), value: batch.value * 1000.0 };
    if let Some(features) = results.get_mut(FEATURES) {
        features.ratio = ratio(features.value, Some(&alternative));
        features.alternative = Some(alternative);
        features.note = "48 values a transaction, each known before the next is taken".into();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_output_becomes_entries() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("windows.json");
        let text = r#"{"transactions": 1000000, "replay_s": [10.0, 12.0, 11.0], "extra": 1, "runs": [
            {"engine": "polars", "aggregates": "all", "threads": "one", "wall_s": 3.0, "cpu_s": 2.9},
            {"engine": "polars", "aggregates": "all", "threads": "one", "wall_s": 3.2, "cpu_s": 3.1},
            {"engine": "duckdb", "aggregates": "all", "threads": "all", "wall_s": 16.0, "cpu_s": 30.0}]}"#;
        std::fs::write(&path, text).unwrap();
        let stamp = Stamp { commit: "c".into(), machine: "m".into() };
        let results = read(&path, &stamp).unwrap();
        assert_eq!(results["windows/polars_all_one_threads_cpu"].value, 3.0);
        let replay = results["replay/handbook"].clone();
        assert_eq!(replay.alternative.as_ref().unwrap().name, "polars_all_one_threads");
        assert!((replay.value - 1e6 / 11.0).abs() < 1.0);

        let mut results = results;
        results.insert(FEATURES.into(), super::super::Entry { value: 600.0, ..replay.clone() });
        beside_features(&mut results);
        let features = &results[FEATURES];
        assert_eq!(features.alternative.as_ref().map(|other| other.value), Some(3000.0));
        assert_eq!(features.ratio, Some(0.2));
    }
}
