//! `interdict gpu-check`: whether this machine's GPU gives the CPU's results on full-size banks, and what it is worth
//! beside SIMD. A difference, or no usable GPU, is a finding (exit 1).

use super::FINDING;
use super::lists::working;
use anyhow::Result;
use interdict_shaders::check::{self, CheckOptions, Equality, Report, Timing};
use interdict_shaders::dispatch::{Calibration, NAME_PERCENTS};
use interdict_shaders::shader::Search;
use interdict_shaders::{AdapterFacts, Kernel};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Largest bank that may be asked for: 2^24 names or vectors, 1 GiB of vectors.
const SIZE_MAX: u64 = 1 << 24;

/// Arguments of `gpu-check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Bank sizes to time, ascending; equality is checked on the largest. 10000,100000,1000000 on a card,
    /// 1000,10000,50000 on a software adapter.
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=SIZE_MAX))]
    sizes: Vec<u64>,
    /// A software adapter is no finding. It never serves; this checks the shaders on a machine without a card.
    #[arg(long)]
    allow_software: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Runs `gpu-check`.
///
/// # Errors
/// None: whatever is wrong with the GPU is a finding.
pub fn run(args: Args) -> Result<ExitCode> {
    let mut sizes: Vec<usize> = args.sizes.iter().map(|&size| size as usize).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let options = CheckOptions { allow_software: args.allow_software, sizes, kernel: Kernel::best() };
    let bar = working("opening the adapter");
    let report = check::run(&options, |doing| bar.set_message(doing.to_owned()));
    bar.finish_and_clear();
    if args.json {
        println!("{}", as_json(&report));
    } else {
        print_text(&report);
    }
    Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FINDING) })
}

fn as_json(report: &Report) -> Value {
    json!({
        "ok": report.findings.is_empty(),
        "findings": report.findings,
        "adapter": report.adapter.as_ref().map(adapter_json),
        "simd": report.kernel.name(),
        "equality": report.equality.iter().map(equality_json).collect::<Vec<_>>(),
        "calibration": report.calibration.as_ref().map(calibration_json),
        "sweep": report.sweep.iter().map(timing_json).collect::<Vec<_>>(),
    })
}

fn adapter_json(facts: &AdapterFacts) -> Value {
    json!({
        "name": facts.name,
        "type": facts.device_type,
        "driver": facts.driver,
        "software": facts.is_software,
        "limits": {
            "binding_bytes": facts.binding_bytes_max,
            "buffer_bytes": facts.buffer_bytes_max,
            "workgroup_bytes": facts.workgroup_bytes_max,
            "workgroup_threads": facts.workgroup_threads_max,
            "workgroups": facts.workgroups_max,
        },
    })
}

fn equality_json(done: &Equality) -> Value {
    json!({
        "search": done.search.name(),
        "bank": done.bank_len,
        "queries": done.queries,
        "twin_queries": done.twin_queries,
        "overflowed": done.overflowed,
        "hits": done.hits,
        "equal": done.difference.is_none(),
        "difference": done.difference,
    })
}

fn calibration_json(calibration: &Calibration) -> Value {
    let costs = Search::ALL.iter().map(|&search| {
        let cost = calibration.of(search);
        json!({
            "search": search.name(),
            "gpu_floor_us": micro(cost.gpu_floor_ns / 1e3),
            "gpu_ns_each": micro(cost.gpu_ns_each),
            "simd_ns_each": micro(cost.simd_ns_each),
            "break_even": cost.break_even(),
        })
    });
    let names = NAME_PERCENTS.iter().zip(calibration.names_simd_ns_each);
    json!({
        "searches": costs.collect::<Vec<_>>(),
        "names_simd_ns_each": names
            .map(|(percent, ns)| json!({"percent": percent, "ns": micro(ns)}))
            .collect::<Vec<_>>(),
    })
}

fn timing_json(timing: &Timing) -> Value {
    json!({
        "search": timing.search.name(),
        "bank": timing.bank_len,
        "batch": timing.batch,
        "rounds": timing.rounds,
        "gpu_p50_us": micro(timing.gpu_p50_us),
        "gpu_p99_us": micro(timing.gpu_p99_us),
        "gpu_ns_per_pair": micro(timing.gpu_ns_per_pair),
        "simd_us": micro(timing.simd_us),
        "simd_ns_per_pair": micro(timing.simd_ns_per_pair),
    })
}

/// Six decimals: below a femtosecond a pair there is nothing to say.
fn micro(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

fn print_text(report: &Report) {
    match &report.adapter {
        None => println!("adapter  none"),
        Some(facts) => {
            println!("adapter  {}, {}, driver {}", facts.name, facts.device_type, facts.driver);
            println!(
                "limits   bindings {} MiB, buffers {} MiB, workgroups {} B and {} threads",
                facts.binding_bytes_max >> 20,
                facts.buffer_bytes_max >> 20,
                facts.workgroup_bytes_max,
                facts.workgroup_threads_max
            );
            if facts.is_software {
                println!(
                    "note     a software adapter: smaller banks, and timings that say nothing of a card"
                );
            }
        }
    }
    for done in &report.equality {
        println!(
            "equal    {:13}  {}: bank {}, {} queries, {} hits{}",
            done.search.name(),
            done.difference.as_deref().unwrap_or("yes"),
            done.bank_len,
            done.queries,
            done.hits,
            if done.overflowed > 0 { format!(", {} overflowed", done.overflowed) } else { String::new() }
        );
    }
    if let Some(calibration) = &report.calibration {
        for search in Search::ALL {
            let cost = calibration.of(search);
            let from =
                cost.break_even().map_or("never sooner".to_owned(), |from| format!("sooner from {from}"));
            println!("route    {:13}  gpu {from}, floor {:.0} us", search.name(), cost.gpu_floor_ns / 1e3);
        }
    }
    if !report.sweep.is_empty() {
        println!(
            "{:22}  {:>9} {:>5} {:>12} {:>12} {:>11} {:>12} {:>11}",
            "timing", "bank", "batch", "gpu p50 us", "gpu p99 us", "gpu ns/pair", "simd 1 us", "simd ns/pair"
        );
    }
    for timing in &report.sweep {
        println!(
            "         {:13}  {:>9} {:>5} {:>12.1} {:>12.1} {:>11.4} {:>12.1} {:>11.4}",
            timing.search.name(),
            timing.bank_len,
            timing.batch,
            timing.gpu_p50_us,
            timing.gpu_p99_us,
            timing.gpu_ns_per_pair,
            timing.simd_us,
            timing.simd_ns_per_pair
        );
    }
    for finding in &report.findings {
        println!("finding  {finding}");
    }
}
