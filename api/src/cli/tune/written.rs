//! The profile as a file for people: each value with what it was picked by, then what was measured.

use super::Measured;
use crate::cli::doctor::measure::{Delays, shown};
use crate::config::profiles::{Choice, Machine};
use crate::config::schema::Hardware;
use anyhow::Result;
use serde_json::{Value, json};
use std::fmt::Write;

/// Figures of a build for development are too slow by much.
const DEBUG: &str =
    if cfg!(debug_assertions) { "# By a build for development: measure again with a release.\n" } else { "" };

fn us(delays: &Delays) -> Value {
    json!({
        "count": delays.count,
        "p50_us": delays.p50.as_micros() as u64,
        "p99_us": delays.p99.as_micros() as u64,
        "max_us": delays.max.as_micros() as u64,
    })
}

fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(": ")).map_or("an unknown processor", |(_, name)| name).to_owned()
}

fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

/// What was measured, as `[measured]` and `--json` have it.
fn measured(measured: &Measured) -> Value {
    let round = |value: f64| (value * 10.0).round() / 10.0;
    json!({
        "judged_by": measured.judged_by,
        "seconds": measured.seconds,
        "load": load(),
        "wake_up": us(&measured.wake_up),
        "fdatasync": us(&measured.sync),
        "micro_batch": measured.batches.iter()
            .map(|one| json!({"size": one.size, "us_each": round(one.us)})).collect::<Vec<_>>(),
        "lanes": measured.lanes.iter()
            .map(|one| json!({"lanes": one.lanes, "per_s": one.per_s.round(), "alone": us(&one.alone)}))
            .collect::<Vec<_>>(),
        "handoff": measured.handoffs.iter()
            .map(|one| json!({"spins": one.spins, "round_trip": us(&one.delays)})).collect::<Vec<_>>(),
    })
}

/// What `--json` prints.
pub(super) fn json(picked: &Hardware, from: &Measured, fits: &Choice) -> Value {
    let mut profile = serde_json::to_value(picked).unwrap_or_default();
    if let Some(profile) = profile.as_object_mut() {
        profile.remove("measured");
    }
    json!({"base": fits.name, "base_because": fits.why, "profile": profile, "measured": measured(from)})
}

/// The file.
///
/// # Errors
/// None that values of these types give.
pub(super) fn profile(
    picked: &Hardware,
    from: &Measured,
    machine: &Machine,
    fits: &Choice,
) -> Result<String> {
    let mut text = format!(
        "# Measured by `interdict tune` on {}, {} cores, load {:.2} (what else ran has its part in every figure).\n\
         {}# What is not measured is {}'s: {}.\n",
        processor(),
        machine.cores,
        load(),
        DEBUG,
        fits.name,
        fits.why
    );
    let at = |p99: &Delays| format!("p99 {}", shown(p99.p99));
    let lanes: Vec<String> = from
        .lanes
        .iter()
        .map(|one| format!("{}: {:.0}/s, alone {}", one.lanes, one.per_s, at(&one.alone)))
        .collect();
    let batches: Vec<String> =
        from.batches.iter().map(|one| format!("{}: {:.1} us", one.size, one.us)).collect();
    let handoffs: Vec<String> =
        from.handoffs.iter().map(|one| format!("{}: {}", one.spins, at(&one.delays))).collect();
    let why = [
        (
            "lanes",
            format!(
                "the fewest within 5 % of the best, of those with cores of their own and at most twice as slow alone ({})",
                lanes.join("; ")
            ),
        ),
        ("io_threads", "the cores that sequencer and lanes leave".into()),
        ("micro_batch", format!("the smallest within 5 % of the best (a payment: {})", batches.join("; "))),
        ("pin", "where there are lanes, and more cores than they need".into()),
        (
            "spins",
            format!(
                "the fewest that are not a fifth slower; {}'s while lanes = 0 (there and back: {})",
                fits.name,
                handoffs.join("; ")
            ),
        ),
        ("ring", String::new()),
        ("park_us", format!("a net; threads woke after {} at p99", shown(from.wake_up.p99))),
        (
            "durability",
            format!(
                "yours to say: an fdatasync took {} at p50, {} at p99",
                shown(from.sync.p50),
                shown(from.sync.p99)
            ),
        ),
    ];
    let mut table = toml::Table::try_from(picked)?;
    table.remove("costs");
    table.remove("measured");
    for (key, because) in why {
        if let Some(value) = table.remove(key) {
            if !because.is_empty() {
                writeln!(text, "# {key}: {because}")?;
            }
            writeln!(text, "{key} = {value}")?;
        }
    }
    for (key, value) in table {
        writeln!(text, "{key} = {value}")?;
    }
    writeln!(
        text,
        "\n# ps a unit; packs' budgets are held against these. What was too short to tell here is the built-in table's.\n[costs]"
    )?;
    for (key, ps) in picked.costs.figures() {
        writeln!(text, "{key} = {ps}")?;
    }
    writeln!(text, "\n[measured]")?;
    let values = toml::Table::try_from(measured(from))?;
    for (key, value) in values {
        match value {
            toml::Value::Array(rows) => {
                writeln!(text, "{key} = [")?;
                for row in rows {
                    writeln!(text, "  {row},")?;
                }
                writeln!(text, "]")?;
            }
            value => writeln!(text, "{key} = {value}")?,
        }
    }
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::pick::{pick, tests};
    use super::*;
    use crate::config::profiles::{parse, profile as named};
    use std::path::Path;

    #[test]
    fn what_is_written_loads_as_what_was_picked() {
        let base = named("server", Path::new(".")).unwrap();
        let machine = Machine { cores: 8, memory_mib: None, card: false };
        let (from, fits) = (tests::measured(), Choice { name: "server", why: "a test".into() });
        let mut picked = pick(&base, &from, &machine);
        picked.costs.screen_ps += 7;
        let text = profile(&picked, &from, &machine, &fits).unwrap();
        let mut read = parse(&text, Path::new("here.toml")).unwrap();
        assert_eq!(read.measured["lanes"][2]["per_s"].as_float(), Some(90_000.0), "{text}");
        assert_eq!(read.measured["fdatasync"]["p99_us"].as_integer(), Some(900));
        read.measured.clear();
        assert_eq!(toml::to_string(&read).unwrap(), toml::to_string(&picked).unwrap());
        assert!(text.contains("# lanes: the fewest within 5 %"), "{text}");
        let json = json(&picked, &from, &fits);
        assert_eq!(
            (&json["profile"]["lanes"], &json["measured"]["micro_batch"][0]["size"]),
            (&2.into(), &1.into())
        );
    }
}
