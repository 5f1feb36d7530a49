//! Collects criterion's estimates. The table says which benchmark is whose alternative; a benchmark that is in no row
//! is reported alone, so nothing measured is lost.

use super::machine::Stamp;
use super::{Alternative, Better, Entry, Results, ratio};
use anyhow::Context;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// (our function, the alternative's function, what the alternative is), within any group of criterion that has both.
/// Ours with several alternatives has a row of results for each.
const PAIRS: &[(&str, &str, &str)] = &[
    ("interdict", "cel interpreter", "cel interpreter"),
    ("interdict", "serde_json_value", "serde_json::Value, nothing checked"),
    ("interdict", "one Hyperscan database", ONE_DATABASE),
    ("interdict", "RegexSet", REGEX_SET),
    ("interdict, raw view", "one Hyperscan database", ONE_DATABASE),
    ("interdict, raw view", "RegexSet", REGEX_SET),
    ("ours", "rapidfuzz ratio", RAPIDFUZZ),
    ("ours", "strsim osa_distance", "strsim osa_distance, every name"),
    ("ours", "strsim jaro_winkler", "strsim jaro_winkler, every name"),
    ("ours, length window only", "rapidfuzz ratio", RAPIDFUZZ),
    ("ours", "simsimd", SIMSIMD),
    ("ours", "reading the same bytes", STREAM),
    ("ours, all within 90", "simsimd", SIMSIMD),
    ("ours, all within 90", "reading the same bytes", STREAM),
    ("ours", "tract", "tract"),
    ("merged index, overlay 0", "std HashMap per list", "a std HashMap per list"),
    ("merged index, overlay 0", "one std HashMap", "one std HashMap for all lists"),
    ("merged index, overlay 100000", "std HashMap per list", "a std HashMap per list"),
    ("merged index, overlay 100000", "one std HashMap", "one std HashMap for all lists"),
    ("os, 100 sealed", "plain write(2)", "plain write(2) of as many bytes"),
    ("os, none sealed", "redb, no sync", "redb without sync"),
    ("ours", "memcpy", "memcpy of the columns that are read"),
    ("ours", "std HashSet", "a std HashSet asked for every tag"),
    ("ours", "ct-merkle", "ct-merkle, all leaves in memory"),
    ("ours", "std HashSet of fingerprints", "a std HashSet asked for every fingerprint, hits compared"),
];
const ONE_DATABASE: &str = "one Hyperscan database over the joined text";
const REGEX_SET: &str = "regex::RegexSet over the joined text";
const RAPIDFUZZ: &str = "rapidfuzz ratio, every name";
const SIMSIMD: &str = "simsimd, a pair at a time";
const STREAM: &str = "reading the same bytes";

#[derive(Deserialize)]
struct Benchmark {
    group_id: String,
    function_id: Option<String>,
    value_str: Option<String>,
    throughput: Option<serde_json::Value>,
}
#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}
#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
    confidence_interval: Interval,
}
#[derive(Deserialize)]
struct Interval {
    lower_bound: f64,
    upper_bound: f64,
}
#[derive(Deserialize)]
struct Sample {
    times: Vec<f64>,
}

/// A benchmark's figures.
struct Measured {
    /// Median, in ns per element where the benchmark says how many elements one iteration has.
    ns: f64,
    spread: f64,
    samples: usize,
    per_element: bool,
}

fn parse<T: for<'a> Deserialize<'a>>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{}: not criterion's form", path.display()))
}

/// The `new` folders under criterion's folder; criterion nests at most group, function, parameter.
fn folders(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut found, mut level) = (Vec::new(), vec![root.to_owned()]);
    for _depth in 0..4 {
        let mut next = Vec::new();
        for folder in level {
            for entry in
                std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?
            {
                let path = entry?.path();
                match path.file_name() {
                    Some(name) if name == "new" && path.join("estimates.json").exists() => found.push(path),
                    Some(name) if path.is_dir() && name != "report" => next.push(path),
                    _ => {}
                }
            }
        }
        level = next;
    }
    found.sort();
    Ok(found)
}

/// Every benchmark under `root` (`target/criterion`), paired by the table. Empty where there is no such folder.
///
/// # Errors
/// When a file of criterion cannot be read.
pub fn collect(root: &Path, stamp: &Stamp) -> anyhow::Result<Results> {
    if !root.exists() {
        return Ok(Results::new());
    }
    // (group, parameter) → function → figures
    let mut groups: BTreeMap<(String, String), BTreeMap<String, Measured>> = BTreeMap::new();
    for folder in folders(root)? {
        let benchmark: Benchmark = parse(&folder.join("benchmark.json"))?;
        let estimates: Estimates = parse(&folder.join("estimates.json"))?;
        let sample: Sample = parse(&folder.join("sample.json"))?;
        let elements = benchmark.throughput.as_ref().and_then(|throughput| throughput["Elements"].as_f64());
        let interval = &estimates.median.confidence_interval;
        let measured = Measured {
            ns: estimates.median.point_estimate / elements.unwrap_or(1.0).max(1.0),
            spread: (interval.upper_bound - interval.lower_bound) / estimates.median.point_estimate,
            samples: sample.times.len(),
            per_element: elements.is_some(),
        };
        let key = (benchmark.group_id, benchmark.value_str.unwrap_or_default());
        groups.entry(key).or_default().insert(benchmark.function_id.unwrap_or_default(), measured);
    }
    let mut results = Results::new();
    for ((group, parameter), functions) in groups {
        let of_name = |function: &str| {
            let parts = [group.as_str(), function, parameter.as_str()];
            parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
        };
        let is_alternative =
            |name: &str| PAIRS.iter().any(|(ours, other, _)| *other == name && functions.contains_key(*ours));
        for (function, measured) in functions.iter().filter(|(name, _)| !is_alternative(name)) {
            let others = PAIRS.iter().filter(|(ours, ..)| ours == function).filter_map(|(_, other, what)| {
                let value = functions.get(*other)?.ns;
                Some((*other, Alternative { name: (*what).into(), value }))
            });
            let mut others = others.peekable();
            if others.peek().is_none() {
                results.insert(of_name(function), entry(measured, None, stamp));
            }
            for (number, (other, alternative)) in others.enumerate() {
                let beside = if number == 0 { String::new() } else { format!(", beside {other}") };
                results.insert(
                    of_name(&format!("{function}{beside}")),
                    entry(measured, Some(alternative), stamp),
                );
            }
        }
    }
    Ok(results)
}

fn entry(measured: &Measured, alternative: Option<Alternative>, stamp: &Stamp) -> Entry {
    Entry {
        value: measured.ns,
        unit: if measured.per_element { "ns per element" } else { "ns" }.into(),
        better: Better::Lower,
        ratio: ratio(measured.ns, alternative.as_ref()),
        alternative,
        runs: measured.samples,
        spread: measured.spread,
        commit: stamp.commit.clone(),
        machine: stamp.machine.clone(),
        note: String::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn measure(
        root: &Path,
        group: &str,
        function: &str,
        value: Option<&str>,
        median: f64,
        elements: Option<u64>,
    ) {
        let mut folder = root.join(group).join(function);
        if let Some(value) = value {
            folder.push(value);
        }
        folder.push("new");
        std::fs::create_dir_all(&folder).unwrap();
        let put = |name: &str, json: serde_json::Value| {
            std::fs::write(folder.join(name), json.to_string()).unwrap()
        };
        let throughput = elements.map(|count| serde_json::json!({"Elements": count}));
        put(
            "benchmark.json",
            serde_json::json!({"group_id": group, "function_id": function, "value_str": value, "throughput": throughput}),
        );
        let interval = serde_json::json!({"lower_bound": median * 0.9, "upper_bound": median * 1.1});
        put(
            "estimates.json",
            serde_json::json!({"median": {"point_estimate": median, "confidence_interval": interval}}),
        );
        put("sample.json", serde_json::json!({"times": vec![median; 50]}));
    }

    #[test]
    fn pairs_are_found_and_the_rest_stands_alone() {
        let dir = tempfile::tempdir().unwrap();
        let stamp = Stamp { commit: "c".into(), machine: "m".into() };
        assert!(collect(&dir.path().join("none"), &stamp).unwrap().is_empty());
        measure(dir.path(), "lists", "ours", Some("10000"), 200.0, Some(10));
        measure(dir.path(), "lists", "simsimd", Some("10000"), 800.0, Some(10));
        measure(dir.path(), "lists", "reading the same bytes", Some("10000"), 100.0, Some(10));
        measure(dir.path(), "decode", "json", None, 1500.0, None);
        let results = collect(dir.path(), &stamp).unwrap();
        let second = "lists/ours, beside reading the same bytes/10000";
        assert_eq!(results.keys().collect::<Vec<_>>(), ["decode/json", second, "lists/ours/10000"]);
        assert_eq!((results[second].value, results[second].ratio), (20.0, Some(2.0)));
        let lists = &results["lists/ours/10000"];
        assert_eq!((lists.value, lists.ratio, lists.runs), (20.0, Some(0.25), 50));
        assert!((lists.spread - 0.2).abs() < 1e-9);
        assert_eq!((results["decode/json"].value, &results["decode/json"].alternative), (1500.0, &None));
    }

    /// A function that was renamed would silently stand without its ratio.
    #[test]
    fn every_function_of_the_table_is_in_some_bench() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
        let benches: String = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect();
        for name in PAIRS.iter().flat_map(|(ours, other, _)| [ours, other]) {
            assert!(benches.contains(&format!("\"{name}\"")), "no bench has a function {name:?}");
        }
        let mut pairs: Vec<_> = PAIRS.iter().map(|(ours, other, _)| (ours, other)).collect();
        pairs.sort();
        pairs.dedup();
        assert_eq!(pairs.len(), PAIRS.len(), "a pair stands in the table twice");
    }
}
