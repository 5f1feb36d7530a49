//! The node under the simulator (`interdict_tests::sim`): thousands of seeds, each printed with how to repeat it where it
//! fails. `INTERDICT_SIM_SEED` runs one, with `INTERDICT_SIM_TRACE=1` telling what happens; `INTERDICT_SIM_SEEDS` says how
//! many, `INTERDICT_SIM_FROM` from which on.
#![allow(clippy::unwrap_used)]

use interdict_tests::sim::{Broken, Summary, run};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|e| panic!("{name}={text}: {e}")))
}

/// A seed's summary, or what is wrong; a panic is wrong too.
fn told(seed: u64, broken: Option<Broken>) -> Result<Summary, String> {
    let trace = std::env::var("INTERDICT_SIM_TRACE").is_ok_and(|on| on == "1");
    let ended = catch_unwind(AssertUnwindSafe(|| run(seed, broken, trace)));
    ended.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
    })
}

fn add(sum: &mut Summary, one: &Summary) {
    let Summary { acknowledged, same, different, early, refused, skipped, kills, power_losses, .. } = *one;
    sum.acknowledged += acknowledged;
    sum.same += same;
    sum.different += different;
    sum.early += early;
    sum.refused += refused;
    sum.skipped += skipped;
    sum.kills += kills;
    sum.power_losses += power_losses;
    sum.in_call += one.in_call;
    sum.recovered += one.recovered;
    sum.failed_starts += one.failed_starts;
    sum.damaged += one.damaged;
    sum.lost += one.lost;
    sum.judged += one.judged;
    sum.holds += one.holds;
    sum.ended += one.ended;
    sum.too_late += one.too_late;
    sum.gone += one.gone;
}

#[test]
fn nothing_acknowledged_is_lost_or_changed_whatever_the_disk_and_the_clients_do() {
    let one = number("INTERDICT_SIM_SEED");
    let from = one.or(number("INTERDICT_SIM_FROM")).unwrap_or(0);
    let count = if one.is_some() { 1 } else { number("INTERDICT_SIM_SEEDS").unwrap_or(2_000) };
    let (mut sum, mut failed) = (Summary::default(), Vec::new());
    for seed in from..from + count {
        match told(seed, None) {
            Ok(summary) => add(&mut sum, &summary),
            Err(what) => {
                println!(
                    "seed {seed}: {what}\n  repeat: INTERDICT_SIM_SEED={seed} INTERDICT_SIM_TRACE=1 cargo test -p \
                     interdict-tests --test sim nothing_acknowledged -- --nocapture"
                );
                failed.push(seed);
            }
        }
        assert!(failed.len() < 10, "seeds {failed:?} fail");
    }
    println!("{count} seeds from {from}: {sum:?}");
    assert!(failed.is_empty(), "seeds {failed:?} fail");
}

/// The simulator sees what is broken: each of these is found within some seeds.
#[test]
fn what_is_broken_on_purpose_is_found() {
    for broken in Broken::ALL {
        let found = (0..150).find_map(|seed| told(seed, Some(broken)).err().map(|what| (seed, what)));
        let (seed, what) = found.unwrap_or_else(|| panic!("{broken:?} is not found"));
        println!("{broken:?} is found by seed {seed}: {what}");
    }
}

#[test]
fn a_seed_repeats() {
    for seed in 0..40 {
        let (first, second) = (told(seed, None).unwrap(), told(seed, None).unwrap());
        assert_eq!(first, second, "seed {seed}");
    }
}
