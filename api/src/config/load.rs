//! From files and environment to a checked configuration. An unknown key is an error with file, line and the
//! nearest name; relative paths are relative to the file that names them.

use super::profiles::{self, AUTO, Choice, Machine, profile};
use super::schema::{Config, GpuUse, Hardware};
use super::settlement::{self, CUT_OFF_H_MAX};
use crate::node::disk::Policy;
use anyhow::{Context, Result, anyhow, bail};
use interdict_engine::error::nearest;
use interdict_engine::limits::{UNFINISHED_CEILING, WINDOW_KEPT_H_MAX};
use std::path::{Path, PathBuf};

/// Largest bound of what the journal may have in memory, in MiB.
const UNWRITTEN_MIB_MAX: u64 = 64 << 10;
/// Longest retention of text, in days: a century.
const RETAIN_DAYS_MAX: u32 = 36_525;
/// Longest that a segment takes records, in hours: a year.
const SEGMENT_HOURS_MAX: u32 = 8_784;

/// A configuration with where it came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The checked configuration.
    pub config: Config,
    /// The machine's profile.
    pub hardware: Hardware,
    /// Which one it is, where the configuration leaves it to the machine (`auto`).
    pub chosen: Option<Choice>,
    /// The config file.
    pub path: PathBuf,
    /// The file's own text, for origins.
    text: String,
    /// Keys set by the environment.
    overridden: Vec<String>,
}

/// Reads a config file, applies `INTERDICT_SECTION__KEY` from the environment, and checks it.
///
/// # Errors
/// A file that cannot be read; a key, type or value that is not known, with its line.
pub fn load(path: &Path) -> Result<Loaded> {
    let text = std::fs::read_to_string(path).with_context(|| format!("config {}", path.display()))?;
    let mut table: toml::Table = toml::from_str(&text).map_err(|e| explain(path, &text, &e))?;
    let overridden = apply_environment(&mut table, std::env::vars())?;
    // Without overrides the text itself is read, since only that has lines to name in errors.
    let config: Config = if overridden.is_empty() {
        toml::from_str(&text).map_err(|e| explain(path, &text, &e))?
    } else {
        table.try_into().map_err(|e| explain(path, "", &e))?
    };
    let chosen = (config.profile.0 == AUTO).then(|| profiles::choose(&Machine::read()));
    let name = chosen.as_ref().map_or(config.profile.0.as_str(), |chosen| chosen.name);
    let hardware = profile(name, path)?;
    check(&config).with_context(|| format!("config {}", path.display()))?;
    Ok(Loaded { config, hardware, chosen, path: path.to_owned(), text, overridden })
}

pub(super) fn explain(path: &Path, text: &str, error: &toml::de::Error) -> anyhow::Error {
    let message = error.message();
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let place = match line {
        Some(line) if !text.is_empty() => format!("{}:{line}", path.display()),
        _ => path.display().to_string(),
    };
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        Some((unknown, known)) if message.starts_with("unknown field") => {
            let hint = nearest(unknown, known.iter().copied());
            let hint = hint.map_or(String::new(), |name| format!(", did you mean {name:?}?"));
            anyhow!("{place}: unknown key {unknown:?}{hint} (known here: {})", known.join(", "))
        }
        _ => anyhow!("{place}: {message}"),
    }
}

/// Sets `section.key` for each `INTERDICT_SECTION__KEY`; the names of what it set.
fn apply_environment(
    table: &mut toml::Table,
    vars: impl Iterator<Item = (String, String)>,
) -> Result<Vec<String>> {
    let mut overridden = Vec::new();
    for (name, value) in vars {
        let Some((section, key)) = name.strip_prefix("INTERDICT_").and_then(|rest| rest.split_once("__"))
        else {
            continue;
        };
        let (section, key) = (section.to_lowercase(), key.to_lowercase());
        let parsed = value.parse::<toml::Value>().unwrap_or(toml::Value::String(value));
        let entry = table.entry(section.clone()).or_insert_with(|| toml::Table::new().into());
        let Some(entry) = entry.as_table_mut() else { bail!("{name}: {section:?} is not a section") };
        entry.insert(key.clone(), parsed);
        overridden.push(format!("{section}.{key}"));
    }
    overridden.sort();
    Ok(overridden)
}

fn check(config: &Config) -> Result<()> {
    use interdict_engine::domain::{Lever, Outcome, transaction::CHANNELS};
    let tenant_levers =
        config.tenants.iter().map(|(name, tenant)| (format!("tenants.{name}.levers"), &tenant.levers));
    for (section, levers) in tenant_levers.chain([("decision.levers".to_owned(), &config.decision.levers)]) {
        for (channel, lever) in levers {
            if !CHANNELS.contains(&channel.as_str()) {
                bail!("{section}.{channel}: expected one of {}", CHANNELS.join(", "));
            }
            if Lever::by_name(lever).is_none() {
                let known: Vec<&str> = Lever::ALL.iter().map(|l| l.name()).collect();
                bail!("{section}.{channel} = {lever:?}: expected one of {}", known.join(", "));
            }
        }
    }
    for (name, tenant) in &config.tenants {
        let weight_max = interdict_engine::limits::TENANT_WEIGHT_MAX;
        if let Some(weight) = tenant.weight.filter(|weight| !(1..=weight_max).contains(weight)) {
            bail!("tenants.{name}.weight = {weight}: expected 1 to {weight_max}");
        }
        for (key, value, least) in [("rate", tenant.rate, 0.001), ("burst", tenant.burst, 1.0)] {
            if let Some(value) = value.filter(|value| !(least..=1e9).contains(value)) {
                bail!("tenants.{name}.{key} = {value}: expected {least} to 1000000000");
            }
        }
        if tenant.burst.is_some() && tenant.rate.is_none() {
            bail!("tenants.{name}.burst: rate is missing, so nothing is bounded");
        }
    }
    crate::node::signed::trust(&config.packs)?;
    super::outward::check(config)?;
    let (fold_at, fold_at_max) = (config.lists.fold_at, interdict_engine::limits::OVERLAY_ENTRIES_MAX);
    if !(1..=fold_at_max).contains(&fold_at) {
        bail!("lists.fold_at = {fold_at}: expected 1 to {fold_at_max} changes");
    }
    for (name, list) in &config.lists.named {
        let outcome = list.block_outcome.as_deref().unwrap_or("decline");
        if Outcome::by_name(outcome).is_none_or(|o| o <= Outcome::Approve) {
            bail!("lists.{name}.block_outcome = {outcome:?}: expected review, challenge, hold or decline");
        }
    }
    if let Some(durability) = &config.journal.durability
        && !matches!(durability.as_str(), "os" | "disk")
    {
        bail!("journal.durability = {durability:?}: expected \"os\" or \"disk\"");
    }
    let finish = &config.finish;
    if !(0..=CUT_OFF_H_MAX).contains(&finish.cut_off_h) {
        bail!("finish.cut_off_h = {}: expected 0 to {CUT_OFF_H_MAX} hours", finish.cut_off_h);
    }
    if !(1..=UNFINISHED_CEILING).contains(&finish.queue_max) {
        bail!("finish.queue_max = {}: expected 1 to {UNFINISHED_CEILING}", finish.queue_max);
    }
    let unwritten_mib = config.journal.unwritten_max_mib;
    if !(1..=UNWRITTEN_MIB_MAX).contains(&unwritten_mib) {
        bail!("journal.unwritten_max_mib = {unwritten_mib}: expected 1 to {UNWRITTEN_MIB_MAX} MiB");
    }
    let snapshot = &config.snapshot;
    let least = [
        ("every_events", snapshot.every_events),
        ("every_s", snapshot.every_s),
        ("keep", snapshot.keep as u64),
    ];
    if let Some((key, _)) = least.iter().find(|(_, value)| *value == 0) {
        bail!("snapshot.{key} = 0: expected 1 or more; enabled = false turns images off");
    }
    let archive = &config.archive;
    let keep_h = config.window.keep_h;
    if !(0..=WINDOW_KEPT_H_MAX).contains(&keep_h) {
        bail!("window.keep_h = {keep_h}: expected 0 to {WINDOW_KEPT_H_MAX} hours");
    }
    if !(1..=i64::from(RETAIN_DAYS_MAX)).contains(&archive.keep_days) || archive.every_s == 0 {
        bail!("archive: expected keep_days of 1 to {RETAIN_DAYS_MAX} and every_s of 1 or more");
    }
    if let Some(days) = config.journal.retain_text_days.filter(|days| !(1..=RETAIN_DAYS_MAX).contains(days)) {
        bail!("journal.retain_text_days = {days}: expected 1 to {RETAIN_DAYS_MAX} days");
    }
    let hours = config.journal.segment_max_h;
    if !(1..=SEGMENT_HOURS_MAX).contains(&hours) {
        bail!("journal.segment_max_h = {hours}: expected 1 to {SEGMENT_HOURS_MAX} hours");
    }
    settlement::check(config)
}

impl Loaded {
    /// What the node does while the journal's disk fails or is slow.
    pub fn disk_policy(&self) -> Policy {
        let journal = &self.config.journal;
        Policy {
            when_unwritable: journal.when_unwritable,
            sync_late: journal.sync_late,
            unwritten_bytes_max: journal.unwritten_max_mib << 20,
        }
    }
    /// A path of the config, relative to the config file.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        if path.is_absolute() {
            return path.to_owned();
        }
        self.path.parent().unwrap_or(Path::new(".")).join(path)
    }
    /// `os` or `disk`, from the config or the profile.
    pub fn durability(&self) -> &str {
        self.config.journal.durability.as_deref().unwrap_or(&self.hardware.durability)
    }
    /// Whether a GPU searches banks, from the config or the profile.
    pub fn gpu(&self) -> GpuUse {
        self.config.similarity.gpu.unwrap_or(self.hardware.gpu)
    }
    /// Every value with its origin, as `serve --check` prints it: `section.key = value  # origin`.
    pub fn origins(&self) -> Result<Vec<(String, String, String)>> {
        let resolved = toml::Table::try_from(&self.config)?;
        let in_file: toml::Table = toml::from_str(&self.text)?;
        let mut leaves = Vec::new();
        flatten("", &toml::Value::Table(resolved), &mut leaves);
        let mut rows: Vec<(String, String, String)> = leaves
            .into_iter()
            .map(|(key, value)| {
                let origin = if self.overridden.contains(&key) {
                    "environment".to_owned()
                } else if in_table(&in_file, &key) {
                    self.path.display().to_string()
                } else {
                    "default".to_owned()
                };
                (key, value, origin)
            })
            .collect();
        let hardware = toml::Table::try_from(&self.hardware)?;
        let origin = match &self.chosen {
            Some(chosen) => format!("profile {} (auto: {})", chosen.name, chosen.why),
            None => format!("profile {}", self.config.profile.0),
        };
        let mut leaves = Vec::new();
        flatten("hardware", &toml::Value::Table(hardware), &mut leaves);
        rows.extend(leaves.into_iter().map(|(key, value)| (key, value, origin.clone())));
        Ok(rows)
    }
}

fn flatten(prefix: &str, value: &toml::Value, out: &mut Vec<(String, String)>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&path, value, out);
            }
        }
        leaf => out.push((prefix.to_owned(), leaf.to_string())),
    }
}

fn in_table(table: &toml::Table, key: &str) -> bool {
    match key.split_once('.') {
        None => table.contains_key(key),
        Some((head, rest)) => match table.get(head) {
            Some(toml::Value::Table(inner)) => in_table(inner, rest),
            _ => false,
        },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::profiles::BUILT_IN;
    use super::*;
    use crate::node::disk::{SyncLate, WhenUnwritable};
    use interdict_engine::calibration::Calibration;

    fn load_text(text: &str) -> Result<Loaded> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, text).unwrap();
        load(&path)
    }

    #[test]
    fn an_unknown_key_names_its_line_and_the_nearest_one() {
        let error = load_text("[http]\nlisten = \"127.0.0.1:1\"\nlitsen = 3\n").unwrap_err().to_string();
        assert!(error.contains("c.toml:3") && error.contains("\"listen\""), "{error}");
    }

    #[test]
    fn a_wrong_lever_and_a_wrong_profile_are_told() {
        let error = format!("{:#}", load_text("[decision.levers]\nchip = \"cancel\"\n").unwrap_err());
        assert!(error.contains("decision.levers.chip") && error.contains("cancel_capture"), "{error}");
        let error = format!("{:#}", load_text("profile = \"serverr\"\n").unwrap_err());
        assert!(error.contains("did you mean \"server\""), "{error}");
    }

    #[test]
    fn a_profile_may_say_what_things_cost_here() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slow.toml");
        let read = |costs: &str| {
            std::fs::write(&path, format!("{}\n[costs]\n{costs}\n", BUILT_IN[0].1)).unwrap();
            profile(path.to_str().unwrap(), dir.path())
        };
        let table = Calibration::default();
        assert_eq!(profile("server", dir.path()).unwrap().costs, table);
        let costs = read("screen_ps = 45000000").unwrap().costs;
        assert_eq!(costs, Calibration { screen_ps: 45_000_000, ..table });
        let wrong = |costs: &str| format!("{:#}", read(costs).unwrap_err());
        assert!(
            wrong("screens_ps = 5").contains("did you mean \"screen_ps\"?"),
            "{}",
            wrong("screens_ps = 5")
        );
        assert!(wrong("fold_ps = 0").contains("costs: fold_ps is 0, limit 1 to"), "{}", wrong("fold_ps = 0"));
    }

    #[test]
    fn lists_have_a_key_of_their_own_beside_the_lists() {
        let loaded = load_text("[lists]\nfold_at = 7\n[lists.a]\nfile = \"a.csv\"\n").unwrap();
        assert_eq!((loaded.config.lists.fold_at, loaded.config.lists.named.len()), (7, 1));
        let origins = loaded.origins().unwrap();
        assert!(origins.iter().any(|(key, value, _)| key == "lists.fold_at" && value == "7"));
        assert!(origins.iter().any(|(key, ..)| key == "lists.a.file"));
        let error = format!("{:#}", load_text("[lists]\nfold_at = 262145\n").unwrap_err());
        assert!(error.contains("expected 1 to 262144"), "{error}");
        let error = load_text("[lists.a]\nfile = \"a.csv\"\nsanction = true\n").unwrap_err().to_string();
        assert!(error.contains("c.toml:3") && error.contains("\"sanctions\""), "{error}");
        assert_eq!(load_text("").unwrap().config.lists.fold_at, interdict_engine::limits::FOLD_AT);
    }

    #[test]
    fn the_config_says_more_of_a_gpu_than_the_profile() {
        let gpu = |text: &str| load_text(text).map(|loaded| loaded.gpu());
        assert_eq!(gpu("").unwrap(), GpuUse::Off);
        assert_eq!(gpu("profile = \"server\"").unwrap(), GpuUse::Off);
        assert_eq!(gpu("profile = \"gpu-server\"").unwrap(), GpuUse::Auto);
        assert_eq!(gpu("profile = \"gpu-server\"\n[similarity]\ngpu = \"off\"").unwrap(), GpuUse::Off);
        assert_eq!(gpu("[similarity]\ngpu = \"require\"").unwrap(), GpuUse::Require);
        let error = gpu("[similarity]\ngpu = \"requires\"").unwrap_err().to_string();
        assert!(error.contains("c.toml:2") && error.contains("`require`"), "{error}");
        let (server, gpu) = (BUILT_IN[1].1, BUILT_IN[2].1);
        let without = |text: &str| {
            let mut table: toml::Table = text.parse().unwrap();
            table.remove("gpu");
            table
        };
        assert_eq!(without(server), without(gpu), "but for the gpu the profiles are one");
    }

    #[test]
    fn what_a_failing_disk_does_is_one_of_the_words_known_and_within_bounds() {
        let loaded = load_text("[journal]\nwhen_unwritable = \"continue\"\nunwritten_max_mib = 7\n").unwrap();
        let policy = loaded.disk_policy();
        assert_eq!((policy.when_unwritable, policy.sync_late), (WhenUnwritable::Continue, SyncLate::Wait));
        assert_eq!(policy.unwritten_bytes_max, 7 << 20);
        let error = load_text("[journal]\nsync_late = \"awnser\"\n").unwrap_err().to_string();
        assert!(error.contains("c.toml:2") && error.contains("`answer`"), "{error}");
        let error = format!("{:#}", load_text("[journal]\nunwritten_max_mib = 0\n").unwrap_err());
        assert!(error.contains("journal.unwritten_max_mib = 0: expected 1 to 65536"), "{error}");
    }

    #[test]
    fn how_long_text_is_kept_has_bounds() {
        let journal = |text: &str| load_text(&format!("[journal]\n{text}\n")).map(|l| l.config.journal);
        let kept = journal("retain_text_days = 30\nsegment_max_h = 6").unwrap();
        assert_eq!((kept.retain_text_days, kept.segment_max_h), (Some(30), 6));
        assert_eq!(journal("").unwrap().retain_text_days, None);
        for wrong in ["retain_text_days = 0", "retain_text_days = 40000", "segment_max_h = 0"] {
            let error = format!("{:#}", journal(wrong).unwrap_err());
            assert!(error.contains(&format!("journal.{wrong}: expected 1 to ")), "{error}");
        }
    }

    #[test]
    fn the_environment_wins_and_says_so() {
        let mut table: toml::Table = toml::from_str("[http]\nlisten = \"127.0.0.1:1\"").unwrap();
        let vars = [("INTERDICT_HTTP__LISTEN".to_owned(), "127.0.0.1:9".to_owned())];
        let set = apply_environment(&mut table, vars.into_iter()).unwrap();
        assert_eq!(set, ["http.listen"]);
        assert_eq!(table["http"]["listen"].as_str(), Some("127.0.0.1:9"));
    }
}
