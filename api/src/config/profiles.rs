//! Hardware profiles: those that travel inside the binary, a file's checks, and which one fits a machine (`auto`).

use super::load::explain;
use super::schema::Hardware;
use anyhow::{Context, Result, bail, ensure};
use interdict_engine::error::nearest;
use interdict_engine::limits::{
    IO_THREADS_MAX, LANES_MAX, MICRO_BATCH_MAX, PARK_US_MAX, PARK_US_MIN, PROFILE_MEMORY_MIB_MAX,
    PROFILE_ORIGINALS_MAX, RING_MAX, RING_MIN, SPINS_MAX,
};
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// The profile's name that stands for whichever fits the machine.
pub const AUTO: &str = "auto";
/// Bytes that one payment costs which labels and reversals can still find; an upper estimate.
pub const ORIGINAL_BYTES: u64 = 128;

/// The profiles that travel inside the binary, so that it runs without the repository; a file of the same name
/// beside the config, or a path, comes first.
pub const BUILT_IN: [(&str, &str); 3] = [
    ("embedded-2core", include_str!("../../../hw-profiles/embedded-2core.toml")),
    ("server", include_str!("../../../hw-profiles/server.toml")),
    ("gpu-server", include_str!("../../../hw-profiles/gpu-server.toml")),
];

/// The profile of a name or path; of `auto`, the one that fits this machine.
///
/// # Errors
/// A name that is neither a file beside the config nor built in; a file that does not read, or whose values are out of
/// bounds.
pub fn profile(name: &str, config: &Path) -> Result<Hardware> {
    if name == AUTO {
        return profile(choose(&Machine::read()).name, config);
    }
    let beside = config.parent().unwrap_or(Path::new(".")).join(format!("../hw-profiles/{name}.toml"));
    let (text, place) = if Path::new(name).is_file() {
        (read_to_string(name)?, PathBuf::from(name))
    } else if beside.is_file() {
        (read_to_string(&beside)?, beside)
    } else if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
        ((*text).to_owned(), PathBuf::from(format!("hw-profiles/{name}.toml")))
    } else {
        let known = BUILT_IN.iter().map(|(known, _)| *known).chain([AUTO]);
        let hint = nearest(name, known).map_or(String::new(), |near| format!(", did you mean {near:?}?"));
        bail!("profile {name:?}: no such file and no such built-in profile{hint}");
    };
    parse(&text, &place)
}

/// A profile's text, checked; `place` is what errors name.
///
/// # Errors
/// A key that is not known, or a value out of bounds.
pub fn parse(text: &str, place: &Path) -> Result<Hardware> {
    let hardware: Hardware = toml::from_str(text).map_err(|e| explain(place, text, &e))?;
    check(&hardware).with_context(|| place.display().to_string())?;
    Ok(hardware)
}

fn check(hardware: &Hardware) -> Result<()> {
    let Hardware { lanes, io_threads, micro_batch, ring, .. } = *hardware;
    let Hardware { feature_memory_mib, identity_memory_mib, originals, .. } = *hardware;
    if !matches!(hardware.durability.as_str(), "os" | "disk") {
        bail!("durability {:?}: expected \"os\" or \"disk\"", hardware.durability);
    }
    let bounds = [
        ("lanes", lanes as u64, 0, LANES_MAX as u64),
        ("io_threads", io_threads as u64, 1, IO_THREADS_MAX as u64),
        ("micro_batch", micro_batch as u64, 1, MICRO_BATCH_MAX as u64),
        ("spins", hardware.spins.into(), 0, SPINS_MAX.into()),
        ("ring", ring as u64, RING_MIN as u64, RING_MAX as u64),
        ("park_us", hardware.park_us, PARK_US_MIN, PARK_US_MAX),
        ("feature_memory_mib", feature_memory_mib as u64, 1, PROFILE_MEMORY_MIB_MAX),
        ("identity_memory_mib", identity_memory_mib as u64, 0, PROFILE_MEMORY_MIB_MAX),
        ("originals", originals as u64, 0, PROFILE_ORIGINALS_MAX),
        ("background_percent", hardware.background_percent.into(), 0, 100),
    ];
    for (key, value, least, most) in bounds {
        ensure!((least..=most).contains(&value), "{key} {value}: expected {least} to {most}");
    }
    hardware.costs.check().context("costs")
}

/// Whether that is a profile inside the binary.
pub fn is_built_in(name: &str) -> bool {
    BUILT_IN.iter().any(|(known, _)| *known == name)
}

/// Most that a profile's bounds come to, in MiB, for one tenant and one feature group.
pub fn bounds_mib(hardware: &Hardware) -> u64 {
    let originals = (hardware.originals as u64).saturating_mul(ORIGINAL_BYTES) >> 20;
    hardware.feature_memory_mib as u64 + hardware.identity_memory_mib as u64 + originals
}

/// What a profile is chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory that it may use, in MiB; `None` where the system does not say.
    pub memory_mib: Option<u64>,
    /// Whether a driver for compute on a card is there. Whether it works is found out by who opens it.
    pub card: bool,
}

impl Machine {
    /// This one. Nothing is opened and nothing measured.
    pub fn read() -> Machine {
        // Integrated graphics have none of these; they share the memory that SIMD reads, and are no gain.
        let card = ["/dev/nvidia0", "/dev/kfd"].iter().any(|device| Path::new(device).exists());
        Machine {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: memory_mib().map(|(total, _)| total),
            card,
        }
    }
}

/// Total and available memory in MiB; a container's bound counts, not the host's memory.
pub fn memory_mib() -> Option<(u64, u64)> {
    let info = read_to_string("/proc/meminfo").ok()?;
    let (total, available) = (meminfo_mib(&info, "MemTotal:")?, meminfo_mib(&info, "MemAvailable:")?);
    let limit =
        read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse::<u64>().ok());
    let total = limit.map_or(total, |bytes| total.min(bytes >> 20));
    Some((total, available.min(total)))
}

fn meminfo_mib(info: &str, key: &str) -> Option<u64> {
    let line = info.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kb| kb / 1024)
}

/// A built-in profile, and why it fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its name.
    pub name: &'static str,
    /// In words, for the log and for people.
    pub why: String,
}

/// The built-in profile that fits a machine: `server` where its threads and its bounds of memory have room, with a GPU
/// where there is a card; else `embedded-2core`, which shares whatever there is.
pub fn choose(machine: &Machine) -> Choice {
    let [(embedded, _), (server, text), (with_gpu, _)] = BUILT_IN;
    let hardware: Hardware = toml::from_str(text).expect("a test loads every built-in profile");
    let (threads, needs_mib) = (hardware.threads(), bounds_mib(&hardware));
    let Machine { cores, memory_mib, card } = *machine;
    if cores < threads {
        let why = format!("{cores} cores, {server} has {threads} threads that are awake at once");
        return Choice { name: embedded, why };
    }
    match memory_mib {
        Some(has) if has < needs_mib => Choice {
            name: embedded,
            why: format!("{has} MiB of memory, {server}'s bounds come to {needs_mib} MiB"),
        },
        _ if card => Choice { name: with_gpu, why: format!("{cores} cores and the driver of a card") },
        _ => Choice { name: server, why: format!("{cores} cores, no driver of a card") },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::schema::GpuUse;

    #[test]
    fn every_profile_inside_the_binary_or_beside_it_loads_and_says_why() {
        for (name, text) in BUILT_IN {
            let hardware = parse(text, Path::new(name)).unwrap();
            assert_eq!(hardware.gpu == GpuUse::Auto, name == "gpu-server");
            for key in ["spins", "ring", "park_us"] {
                let line = text.lines().find(|line| line.starts_with(&format!("{key} ="))).unwrap();
                assert!(line.contains("# "), "{name}: {line} does not say why");
            }
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hw-profiles");
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let hardware = parse(&read_to_string(&path).unwrap(), &path).unwrap();
            let again = toml::to_string(&hardware).unwrap();
            assert_eq!(toml::to_string(&parse(&again, &path).unwrap()).unwrap(), again);
        }
    }

    #[test]
    fn a_value_out_of_bounds_is_told_with_its_bounds() {
        let text = BUILT_IN[0].1;
        // As a file written before these keys were there.
        let old: String = text
            .lines()
            .filter(|l| !l.starts_with("spins") && !l.starts_with("ring"))
            .collect::<Vec<_>>()
            .join("\n");
        let hardware = parse(&old, Path::new("old")).unwrap();
        assert_eq!((hardware.spins, hardware.ring), (64, 256));
        for (key, wrong, bounds) in [
            ("lanes", "257", "lanes 257: expected 0 to 256"),
            ("io_threads", "0", "io_threads 0: expected 1 to 1024"),
            ("micro_batch", "17", "micro_batch 17: expected 1 to 16"),
            ("spins", "100001", "spins 100001: expected 0 to 100000"),
            ("ring", "31", "ring 31: expected 32 to 16384"),
            ("park_us", "99", "park_us 99: expected 100 to 100000"),
            ("originals", "68719476737", "originals 68719476737: expected 0 to 68719476736"),
        ] {
            let mut table: toml::Table = text.parse().unwrap();
            table.insert(key.into(), wrong.parse::<toml::Value>().unwrap());
            let error = format!("{:#}", parse(&table.to_string(), Path::new("p.toml")).unwrap_err());
            assert!(error.contains(bounds) && error.contains("p.toml"), "{error}");
        }
    }

    #[test]
    fn a_profile_is_chosen_by_cores_memory_and_card() {
        let choose = |cores, memory_mib, card| choose(&Machine { cores, memory_mib, card });
        assert_eq!(choose(2, Some(1 << 20), true).name, "embedded-2core");
        assert_eq!(choose(7, None, false).name, "embedded-2core");
        assert_eq!(choose(8, None, false).name, "server");
        assert_eq!(choose(64, Some(1 << 20), true).name, "gpu-server");
        let small = choose(64, Some(8 << 10), true);
        assert!(small.name == "embedded-2core" && small.why.contains("8192 MiB"), "{small:?}");
        let here = Machine::read();
        assert!(here.cores > 0);
        let (auto, named) =
            (profile(AUTO, Path::new(".")), profile(super::choose(&here).name, Path::new(".")));
        assert_eq!(toml::to_string(&auto.unwrap()).unwrap(), toml::to_string(&named.unwrap()).unwrap());
    }

    #[test]
    fn meminfo_is_read_in_mib() {
        let info = "MemTotal:       24683456 kB\nMemFree:  1 kB\n";
        assert_eq!(meminfo_mib(info, "MemTotal:"), Some(24_104));
        assert_eq!(meminfo_mib(info, "MemAvailable:"), None);
    }
}
