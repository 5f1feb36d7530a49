//! `bench/results.json` and `bench/RESULTS.md`: every figure with its alternative, the ratio, how many runs, their
//! spread, the commit and the machine. Written by `make bench` only, through `report`.

pub mod criterion;
pub mod curves;
pub mod machine;
pub mod orchestrate;
pub mod render;
pub mod stages;
pub mod surges;
pub mod svg;
pub mod windows;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Which way a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Times and costs.
    Lower,
    /// Rates.
    Higher,
}

/// What a figure is compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    /// What it is.
    pub name: String,
    /// Its figure, in the same unit, from the same run.
    pub value: f64,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The figure: the median of the runs.
    pub value: f64,
    /// Its unit.
    pub unit: String,
    /// Which way it is better.
    pub better: Better,
    /// What it is compared with; null where there is nothing to compare with.
    pub alternative: Option<Alternative>,
    /// `value` / `alternative.value`.
    pub ratio: Option<f64>,
    /// Of how many runs (for criterion, samples) `value` is the median.
    pub runs: usize,
    /// (largest − smallest) / median over the runs; for criterion the width of the median's confidence interval over
    /// the median.
    pub spread: f64,
    /// The commit measured, with `+changes` when the working tree differed from it.
    pub commit: String,
    /// The machine.
    pub machine: String,
    /// What one has to know to read it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// All figures by name (`stage/what`).
pub type Results = BTreeMap<String, Entry>;

#[derive(Serialize, Deserialize)]
struct File {
    schema: u32,
    results: Results,
}

/// A figure from several runs, each beside its alternative's.
#[derive(Debug, Clone)]
pub struct Runs {
    /// Our figures.
    pub values: Vec<f64>,
    /// What the alternative is, and its figures.
    pub alternative: Option<(String, Vec<f64>)>,
}

/// The middle value (the mean of the two middle ones); 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// (largest − smallest) / median; 0 where the median is.
pub fn spread(values: &[f64]) -> f64 {
    let middle = median(values);
    if middle == 0.0 {
        return 0.0;
    }
    let largest = values.iter().copied().fold(f64::MIN, f64::max);
    let smallest = values.iter().copied().fold(f64::MAX, f64::min);
    (largest - smallest) / middle
}

impl Runs {
    /// The entry of these runs.
    pub fn entry(&self, unit: &str, better: Better, stamp: &machine::Stamp, note: &str) -> Entry {
        let value = median(&self.values);
        let alternative = self
            .alternative
            .as_ref()
            .map(|(name, values)| Alternative { name: name.clone(), value: median(values) });
        Entry {
            value,
            unit: unit.into(),
            better,
            ratio: ratio(value, alternative.as_ref()),
            alternative,
            runs: self.values.len(),
            spread: spread(&self.values),
            commit: stamp.commit.clone(),
            machine: stamp.machine.clone(),
            note: note.into(),
        }
    }
}

/// `value` over the alternative's, where that is not 0.
pub(crate) fn ratio(value: f64, alternative: Option<&Alternative>) -> Option<f64> {
    alternative.filter(|other| other.value != 0.0).map(|other| value / other.value)
}

/// Reads `results.json`; none where there is no such file.
///
/// # Errors
/// When it is not of this schema.
pub fn read(path: &Path) -> anyhow::Result<Results> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Results::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let file: File = serde_json::from_str(&text).with_context(|| format!("{}", path.display()))?;
    anyhow::ensure!(file.schema == 1, "{}: schema {}, expected 1", path.display(), file.schema);
    Ok(file.results)
}

/// Writes `results.json` and, beside it, `RESULTS.md`.
///
/// # Errors
/// When they cannot be written.
pub fn write(path: &Path, results: &Results) -> anyhow::Result<()> {
    let file = File { schema: 1, results: results.clone() };
    let text = serde_json::to_string_pretty(&file)? + "\n";
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    let markdown = path.with_file_name("RESULTS.md");
    std::fs::write(&markdown, render::markdown(results))
        .with_context(|| format!("cannot write {}", markdown.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn entry(values: &[f64], other: &[f64]) -> Entry {
        let stamp = machine::Stamp { commit: "abc".into(), machine: "test".into() };
        let runs = Runs { values: values.into(), alternative: Some(("empty handler".into(), other.into())) };
        runs.entry("µs", Better::Lower, &stamp, "a note")
    }

    #[test]
    fn medians_spreads_and_ratios() {
        let entry = entry(&[12.0, 10.0, 11.0], &[5.0, 6.0]);
        assert_eq!((entry.value, entry.runs, entry.ratio), (11.0, 3, Some(2.0)));
        assert!((entry.spread - 2.0 / 11.0).abs() < 1e-12);
        assert_eq!((median(&[]), spread(&[])), (0.0, 0.0));
    }

    #[test]
    fn what_is_written_is_read_again_and_another_schema_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.json");
        assert!(read(&path).unwrap().is_empty());
        let results = Results::from([("serve/cpu".to_owned(), entry(&[1.0], &[2.0]))]);
        write(&path, &results).unwrap();
        assert_eq!(read(&path).unwrap(), results);
        let markdown = std::fs::read_to_string(dir.path().join("RESULTS.md")).unwrap();
        assert!(
            markdown.contains("## serve")
                && markdown.contains("| cpu |")
                && markdown.contains("empty handler"),
            "{markdown}"
        );
        std::fs::write(&path, r#"{"schema": 2, "results": {}}"#).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("schema 2"));
    }
}
