//! The machine's rows: cores, wake-ups, disk, instructions, memory, clock and bounds, each with what to do about it.

use super::measure::{Delays, shown};
use super::{Row, State};
use crate::config::profiles::{bounds_mib, memory_mib};
use crate::config::schema::Hardware;
use std::fs::read_to_string;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// 2025-01-01, in seconds since the Unix epoch: an earlier clock has never been set.
const CLOCK_SET_S: u64 = 1_735_689_600;

pub(super) fn cores(cores: usize, hardware: &Hardware) -> Row {
    let load = read_to_string("/proc/loadavg").ok();
    let load: Option<f64> = load.and_then(|text| text.split(' ').next()?.parse().ok());
    let found = match load {
        Some(load) => format!("{cores} cores, load {load:.2}"),
        None => format!("{cores} cores, load unknown"),
    };
    let threads = hardware.threads();
    if hardware.lanes > 0 && threads > cores {
        let advice = format!("The profile runs {threads} threads on {cores} cores: set fewer lanes, or 0.");
        return Row::new("cores", State::Warn, found, advice);
    }
    if load.is_some_and(|load| load > cores as f64 * 0.7) {
        return Row::new(
            "cores",
            State::Warn,
            found,
            "Others are busy here; a p99 on a shared machine is theirs as well.",
        );
    }
    Row::new("cores", State::Ok, found, "Enough for the profile.")
}

pub(super) fn wake_up(delays: &Delays, hardware: &Hardware) -> Row {
    let Delays { count, p50, p99, max } = delays;
    let found = format!("p50 {}, p99 {}, max {} of {count}", shown(*p50), shown(*p99), shown(*max));
    let advice = match (p99.as_micros(), hardware.lanes) {
        (0..200, _) => "Parked threads wake in time.",
        (_, 0) => {
            "Threads wake late: leave lanes = 0, give the process cores of its own, or a realtime kernel."
        }
        _ => "Threads wake late: set lanes = 0 (embedded-2core), or give the process isolated cores.",
    };
    Row::new("wake-up", State::or(*p99 < Duration::from_micros(200), State::Warn), found, advice)
}

pub(super) fn sync(delays: &Delays, durability: &str) -> Row {
    let Delays { count, p50, p99, max } = delays;
    let found = format!("fdatasync p50 {}, p99 {}, max {} of {count}", shown(*p50), shown(*p99), shown(*max));
    if durability != "disk" {
        let advice = "No answer waits for it with durability \"os\"; power loss may cost the last records.";
        return Row::new("disk", State::Ok, found, advice);
    }
    match p99.as_millis() {
        0..5 => Row::new("disk", State::Ok, found, "Fast enough that every answer can wait for it."),
        5..50 => Row::new(
            "disk",
            State::Warn,
            found,
            "Every answer waits for it: a disk with power-loss protection takes microseconds.",
        ),
        _ => Row::new(
            "disk",
            State::Fail,
            found,
            "Too slow for durability \"disk\": use another disk, or \"os\" if losing the last records is allowed.",
        ),
    }
}

pub(super) fn cpu() -> Row {
    let features = features();
    let (there, missing): (Vec<_>, Vec<_>) = features.into_iter().partition(|(_, there)| *there);
    let names = |list: Vec<(&'static str, bool)>| {
        list.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
    };
    // Wider vectors are a gain, hashing and encryption in software a loss at every transaction.
    let slow = missing.iter().any(|(name, _)| matches!(*name, "sha" | "aes" | "sha2"));
    let (there, missing) = (names(there), names(missing));
    let found = if missing.is_empty() { there } else { format!("{there} (not {missing})") };
    let advice = if slow {
        "Tags and the journal hash and encrypt in software here: some microseconds more a transaction."
    } else {
        "Hashing and encryption have instructions of their own."
    };
    Row::new("cpu", State::or(!slow, State::Warn), found, advice)
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<(&'static str, bool)> {
    vec![
        ("avx2", is_x86_feature_detected!("avx2")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("sha", is_x86_feature_detected!("sha")),
        ("aes", is_x86_feature_detected!("aes")),
    ]
}

#[cfg(target_arch = "aarch64")]
fn features() -> Vec<(&'static str, bool)> {
    use std::arch::is_aarch64_feature_detected as has;
    vec![("neon", has!("neon")), ("sha2", has!("sha2")), ("aes", has!("aes"))]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn features() -> Vec<(&'static str, bool)> {
    Vec::new()
}

pub(super) fn memory(hardware: &Hardware) -> Row {
    let bound = bounds_mib(hardware);
    let bounds = format!("the profile's bounds come to {bound} MiB (one tenant)");
    let Some((total, available)) = memory_mib() else {
        return Row::new("memory", State::Warn, format!("unknown, {bounds}"), "Compare them yourself.");
    };
    let found = format!("{available} of {total} MiB available, {bounds}");
    let advice = "Lower feature_memory_mib, identity_memory_mib or originals; past the machine's memory the kernel kills the process.";
    match () {
        () if bound > total => Row::new("memory", State::Fail, found, advice),
        () if bound > available => Row::new("memory", State::Warn, found, advice),
        () => Row::new("memory", State::Ok, found, "Enough, also with every bound reached."),
    }
}

pub(super) fn clock() -> Row {
    const READS: u32 = 10_000;
    let start = Instant::now();
    for _ in 0..READS {
        std::hint::black_box(Instant::now());
    }
    let each_ns = (start.elapsed() / READS).as_nanos();
    let source = read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    let source = source.map_or("unknown".into(), |text| text.trim().to_owned());
    let set = SystemTime::now().duration_since(UNIX_EPOCH).is_ok_and(|since| since.as_secs() > CLOCK_SET_S);
    let found = format!("source {source}, {each_ns} ns a reading");
    match () {
        () if !set => Row::new(
            "clock",
            State::Fail,
            format!("{found}, before 2025"),
            "Set the clock (NTP); arrival times and validity dates hang on it.",
        ),
        () if each_ns > 500 => Row::new(
            "clock",
            State::Warn,
            found,
            "Each stage reads the clock: prefer tsc or kvm-clock as the kernel's clock source.",
        ),
        () => Row::new(
            "clock",
            State::Ok,
            found,
            "Keep it set by NTP; arrival times and validity dates hang on it.",
        ),
    }
}

pub(super) fn open_files(requests_max: usize) -> Row {
    let limits = read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let Some(soft) = line.and_then(|line| line.split_whitespace().next()) else {
        return Row::new("open files", State::Warn, "unknown", "See `ulimit -n`.");
    };
    // A connection each, and room for segments, lists and generations.
    let needed = requests_max as u64 + 256;
    let enough = soft == "unlimited" || soft.parse::<u64>().is_ok_and(|soft| soft >= needed);
    let found = format!("ulimit -n {soft}, {needed} needed for {requests_max} requests at once");
    let advice =
        if enough { "Enough." } else { "Raise it (LimitNOFILE= in systemd), or lower [http] requests_max." };
    Row::new("open files", State::or(enough, State::Warn), found, advice)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn hardware(lanes: usize, feature_memory_mib: usize) -> Hardware {
        let mut hardware = crate::config::profiles::profile("server", std::path::Path::new(".")).unwrap();
        (hardware.lanes, hardware.feature_memory_mib) = (lanes, feature_memory_mib);
        hardware
    }

    #[test]
    fn bounds_past_the_machine_fail_and_threads_past_the_cores_warn() {
        assert_eq!(memory(&hardware(4, 1 << 40)).state, State::Fail);
        assert_eq!(cores(2, &hardware(4, 1)).state, State::Warn);
        assert_eq!(open_files(1 << 40).state, State::Warn);
        let slow = Delays {
            count: 1,
            p50: Duration::from_millis(80),
            p99: Duration::from_millis(80),
            max: Duration::from_millis(80),
        };
        assert_eq!(sync(&slow, "disk").state, State::Fail);
        assert_eq!(sync(&slow, "os").state, State::Ok);
        assert_eq!(wake_up(&slow, &hardware(4, 1)).state, State::Warn);
    }
}
