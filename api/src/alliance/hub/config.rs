//! `[hub]`: where the operator's server listens, what lies where, and its bounds. An unknown key is an error with its line
//! and the nearest name, as in the node's configuration.

use crate::config::load::explain;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The file.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    hub: HubSection,
}

/// `[hub]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HubSection {
    /// Address and port for members; always mutual TLS.
    pub listen: String,
    /// The hub's folder; relative to the configuration's file.
    pub folder: PathBuf,
    /// Address and port on loopback of `/metrics`, `/healthz`, `/readyz`; none by default.
    #[serde(default)]
    pub ops: Option<String>,
    /// Most connections.
    #[serde(default = "connections_max")]
    pub connections_max: usize,
    /// Most connections of one member.
    #[serde(default = "per_member_max")]
    pub connections_per_member_max: usize,
    /// Most requests of one member at once; more are told to come again.
    #[serde(default = "requests_per_member_max")]
    pub requests_per_member_max: usize,
    /// How long a request may take, its body included, in ms.
    #[serde(default = "request_ms_max")]
    pub request_ms_max: u64,
    /// How long what was taken has to be answered at the end, in ms.
    #[serde(default = "drain_ms")]
    pub drain_ms: u64,
    /// Of epochs.
    #[serde(default)]
    pub epochs: EpochSection,
    /// Of queries.
    #[serde(default)]
    pub queries: QuerySection,
}

/// `[hub.epochs]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct EpochSection {
    /// How often it is looked whether there is something new, in ms; an epoch is only built where there is.
    pub every_ms: u64,
    /// An epoch that is older than this is followed by another though nothing is new, in s: members load none out of date.
    pub renew_s: u64,
    /// Epochs whose snapshots are kept; members that are further behind take the newest whole.
    pub keep: u64,
}
impl Default for EpochSection {
    fn default() -> Self {
        EpochSection { every_ms: 60_000, renew_s: 6 * 3600, keep: 48 }
    }
}

/// `[hub.queries]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuerySection {
    /// Items that a member may ask about a second, on average.
    pub items_per_s: u64,
    /// Items that it may ask about at once after a pause.
    pub burst_items: u64,
    /// How long queries are collected into one write, in ms; an answer waits for it.
    pub batch_ms: u64,
    /// How soon an answered query is under a signed checkpoint, in ms: at most 1,000, which is what promises say.
    pub checkpoint_ms: u64,
}
impl Default for QuerySection {
    fn default() -> Self {
        QuerySection { items_per_s: 100, burst_items: 2_000, batch_ms: 2, checkpoint_ms: 500 }
    }
}

fn connections_max() -> usize {
    512
}
fn per_member_max() -> usize {
    16
}
fn requests_per_member_max() -> usize {
    8
}
fn request_ms_max() -> u64 {
    60_000
}
fn drain_ms() -> u64 {
    5_000
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// What the file says.
    pub hub: HubSection,
    /// The folder, resolved.
    pub folder: PathBuf,
    /// Where members come.
    pub listen: SocketAddr,
    /// Where operations come.
    pub ops: Option<SocketAddr>,
}

/// Reads and checks a configuration.
///
/// # Errors
/// A file that does not read; a key, type or value that is not known, with its line.
pub fn load(path: &Path) -> Result<HubConfig> {
    let text = std::fs::read_to_string(path).with_context(|| format!("config {}", path.display()))?;
    let File { hub } = toml::from_str(&text).map_err(|e| explain(path, &text, &e))?;
    let checked = check(&hub).with_context(|| format!("config {}", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new(".")).join(&hub.folder);
    Ok(HubConfig { folder, listen: checked.0, ops: checked.1, hub })
}

fn check(hub: &HubSection) -> Result<(SocketAddr, Option<SocketAddr>)> {
    let address = |key: &str, text: &str| {
        text.parse::<SocketAddr>().with_context(|| format!("hub.{key} {text:?}: expected IP:PORT"))
    };
    let listen = address("listen", &hub.listen)?;
    let ops = hub.ops.as_deref().map(|text| address("ops", text)).transpose()?;
    if let Some(ops) = ops.filter(|ops| !ops.ip().is_loopback()) {
        bail!("hub.ops {ops}: expected an address on loopback, since nobody is asked there who he is");
    }
    let (epochs, queries) = (&hub.epochs, &hub.queries);
    let bounds: [(&str, u64, u64, u64); 11] = [
        ("connections_max", hub.connections_max as u64, 1, 65_536),
        ("connections_per_member_max", hub.connections_per_member_max as u64, 1, 4_096),
        ("requests_per_member_max", hub.requests_per_member_max as u64, 1, 1_024),
        ("request_ms_max", hub.request_ms_max, 100, 3_600_000),
        ("drain_ms", hub.drain_ms, 0, 600_000),
        ("epochs.every_ms", epochs.every_ms, 10, 86_400_000),
        ("epochs.renew_s", epochs.renew_s, 1, 31_536_000),
        ("epochs.keep", epochs.keep, 2, 100_000),
        ("queries.items_per_s", queries.items_per_s, 1, 1_000_000),
        ("queries.burst_items", queries.burst_items, 1, 100_000_000),
        ("queries.checkpoint_ms", queries.checkpoint_ms, 1, 1_000),
    ];
    if let Some((key, value, least, most)) =
        bounds.into_iter().find(|(_, value, least, most)| !(least..=most).contains(&value))
    {
        bail!("hub.{key} = {value}: expected {least} to {most}");
    }
    if queries.batch_ms > queries.checkpoint_ms {
        bail!(
            "hub.queries.batch_ms = {}: expected at most checkpoint_ms, {}",
            queries.batch_ms,
            queries.checkpoint_ms
        );
    }
    Ok((listen, ops))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn load_text(text: &str) -> Result<HubConfig> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hub.toml");
        std::fs::write(&path, text).unwrap();
        load(&path)
    }

    #[test]
    fn what_is_said_is_checked_and_what_is_not_known_is_told_with_its_line() {
        let good = "[hub]\nlisten = \"127.0.0.1:0\"\nfolder = \"data\"\n";
        let loaded = load_text(good).unwrap();
        assert!(loaded.folder.ends_with("data") && loaded.hub.queries.checkpoint_ms <= 1_000);
        for (more, expected) in [
            ("ops = \"0.0.0.0:1\"", "on loopback"),
            ("requests_per_member_max = 0", "expected 1 to 1024"),
            ("[hub.queries]\ncheckpoint_ms = 1001", "expected 1 to 1000"),
            ("[hub.queries]\nbatch_ms = 600", "at most checkpoint_ms"),
            ("[hub.epochs]\nkep = 3", "did you mean \"keep\"?"),
        ] {
            let error = format!("{:#}", load_text(&format!("{good}{more}\n")).unwrap_err());
            assert!(error.contains(expected), "{more}: {error}");
        }
        let error = load_text("[hub]\nlisten = \"x\"\nfolder = \"f\"\nopps = 1\n").unwrap_err().to_string();
        assert!(error.contains("hub.toml:4") && error.contains("\"ops\""), "{error}");
    }
}
