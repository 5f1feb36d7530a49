//! `RESULTS.md` out of the results: one table a group, the machine once where it is the same for all.

use super::{Better, Entry, Results};
use std::collections::BTreeSet;
use std::fmt::Write;

/// A number with three significant digits or, above a thousand, whole.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1_000.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn row(text: &mut String, name: &str, entry: &Entry) {
    let (other, ratio) = match (&entry.alternative, entry.ratio) {
        (Some(other), Some(ratio)) => {
            (format!("{} ({})", number(other.value), other.name), format!("{}×", number(ratio)))
        }
        (Some(other), None) => (format!("{} ({})", number(other.value), other.name), "–".into()),
        (None, _) => ("–".into(), "–".into()),
    };
    let better = if entry.better == Better::Lower { "lower" } else { "higher" };
    let _ = writeln!(
        text,
        "| {name} | {} {} | {better} | {other} | {ratio} | {} | {:.1} % | {} |",
        number(entry.value),
        entry.unit,
        entry.runs,
        entry.spread * 100.0,
        entry.note
    );
}

/// The whole file.
pub fn markdown(results: &Results) -> String {
    let mut text = String::from(
        "# Results\n\nWritten by `make bench` from `bench/results.json`; not edited by hand. Value and alternative are \
         medians from the same run on the same machine; ratio is value over alternative; spread is (largest − \
         smallest) over the median of the runs, for criterion the width of the median's confidence interval. \
         `docs/BENCH.md` says what each figure is.\n",
    );
    let stamps: BTreeSet<(&str, &str)> =
        results.values().map(|entry| (entry.commit.as_str(), entry.machine.as_str())).collect();
    for (commit, machine) in &stamps {
        let _ = write!(text, "\nCommit `{commit}` on {machine}.\n");
    }
    let mut group = None;
    for (name, entry) in results {
        let (of, what) = name.split_once('/').unwrap_or(("other", name));
        if group != Some(of) {
            group = Some(of);
            let _ = write!(
                text,
                "\n## {of}\n\n| what | value | better | alternative | ratio | runs | spread | note |\n\
                 |---|---|---|---|---|---|---|---|\n"
            );
        }
        let label = if stamps.len() > 1 { format!("{what} ({})", entry.commit) } else { what.to_owned() };
        row(&mut text, &label, entry);
    }
    text
}
