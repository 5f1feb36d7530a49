//! What may be said of what leaves the node: `[rail]`, ISO 20022 messages, and `[webhooks]`, notices to others' servers.
//! Checked here too. A secret itself is never in the configuration, only where it lies.

use super::schema::Config;
use crate::webhooks::NoticeKind;
use anyhow::{Result, bail};
use interdict_engine::error::nearest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Most endpoints: each has a thread.
pub const ENDPOINTS_MAX: usize = 32;
/// Most requests under way at once, all endpoints together.
const IN_FLIGHT_MAX: usize = 64;
/// Most files of messages that wait to be taken.
const FILES_MAX: usize = 10_000_000;
/// Most dead letters of an endpoint.
const DEAD_MAX: usize = 1_000_000;
/// Longest prefix of message ids: with any hold's id and a step it fits Max35Text for sequences below 10^15.
const PREFIX_MAX: usize = 6;

/// `[rail]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RailSection {
    /// Whether messages are written to `DIR/rail/outgoing`.
    pub enabled: bool,
    /// Most files there that nobody has taken; past it messages wait in the journal.
    pub files_max: usize,
    /// Name of the message that payments came in (OrgnlMsgNmId).
    pub original_message: String,
    /// Clearing system that institutions' ids are of, as in `USABA`; without it they are just numbers.
    pub clearing_system: Option<String>,
    /// The id of the bank that speaks.
    pub agent: Option<String>,
    /// Tenant → the id of its bank, where it is another.
    pub agents: BTreeMap<String, String>,
    /// The rail's operator: told where a payment names no other bank.
    pub hub: Option<String>,
    /// Beginning of message ids, at most six letters and digits: what tells two nodes of one bank apart.
    pub message_prefix: String,
}
impl Default for RailSection {
    fn default() -> Self {
        RailSection {
            enabled: false,
            files_max: 100_000,
            original_message: "pacs.008.001.08".into(),
            clearing_system: None,
            agent: None,
            agents: BTreeMap::new(),
            hub: None,
            message_prefix: String::new(),
        }
    }
}

/// `[webhooks]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhooksSection {
    /// Most requests under way at once, all endpoints together.
    pub in_flight_max: usize,
    /// Most dead letters kept of an endpoint; past it the endpoint waits.
    pub dead_max: usize,
    /// PEM file of the roots that servers' certificates are checked against; the system's by default.
    pub tls_roots: Option<PathBuf>,
    /// Name → endpoint.
    pub endpoints: BTreeMap<String, EndpointSection>,
}
impl Default for WebhooksSection {
    fn default() -> Self {
        WebhooksSection { in_flight_max: 8, dead_max: 10_000, tls_roots: None, endpoints: BTreeMap::new() }
    }
}

/// Where an endpoint begins that has no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Begin {
    /// With the oldest notice that the journal has.
    #[default]
    Oldest,
    /// With what comes from now on.
    Newest,
}

/// `[webhooks.endpoints.NAME]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointSection {
    /// Where notices are posted: https, or http on loopback.
    pub url: String,
    /// File of secrets, 0600, one a line, the newest first; relative to the config file.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// Environment variable of secrets, separated by spaces.
    #[serde(default)]
    pub secret_env: Option<String>,
    /// Only notices of these tenants; of all where it is empty.
    #[serde(default)]
    pub tenants: Vec<String>,
    /// Only these kinds, as in `hold.placed`; all where it is empty.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Where it begins without a cursor: `oldest` or `newest`.
    #[serde(default)]
    pub from: Begin,
    /// Requests under way at once; more than 1 gives up the order within that many notices.
    #[serde(default = "in_flight")]
    pub in_flight: usize,
    /// How long an answer may take, in ms, connecting included.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    /// Tries of one notice; after the last it becomes a dead letter.
    #[serde(default = "attempts_max")]
    pub attempts_max: u32,
    /// Wait after the first failed try, in ms; it doubles with each.
    #[serde(default = "backoff_ms")]
    pub backoff_ms: u64,
    /// Longest wait between tries, in s.
    #[serde(default = "backoff_max_s")]
    pub backoff_max_s: u64,
}
fn in_flight() -> usize {
    1
}
fn timeout_ms() -> u64 {
    10_000
}
fn attempts_max() -> u32 {
    12
}
fn backoff_ms() -> u64 {
    1000
}
fn backoff_max_s() -> u64 {
    3600
}

/// Checks both sections.
///
/// # Errors
/// A value outside its bounds, by key.
pub(super) fn check(config: &Config) -> Result<()> {
    check_rail(&config.rail)?;
    let webhooks = &config.webhooks;
    within("webhooks.in_flight_max", webhooks.in_flight_max as u64, 1, IN_FLIGHT_MAX as u64)?;
    within("webhooks.dead_max", webhooks.dead_max as u64, 1, DEAD_MAX as u64)?;
    if webhooks.endpoints.len() > ENDPOINTS_MAX {
        bail!("webhooks.endpoints: {} are configured, limit {ENDPOINTS_MAX}", webhooks.endpoints.len());
    }
    webhooks.endpoints.iter().try_for_each(|(name, endpoint)| check_endpoint(name, endpoint))
}

fn check_rail(rail: &RailSection) -> Result<()> {
    within("rail.files_max", rail.files_max as u64, 1, FILES_MAX as u64)?;
    let prefix = &rail.message_prefix;
    if prefix.len() > PREFIX_MAX || !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        bail!("rail.message_prefix = {prefix:?}: expected at most {PREFIX_MAX} letters and digits");
    }
    if rail.original_message.is_empty() || rail.original_message.chars().count() > 35 {
        bail!("rail.original_message = {:?}: expected 1 to 35 characters", rail.original_message);
    }
    if let Some(system) = &rail.clearing_system
        && !((1..=5).contains(&system.len())
            && system.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()))
    {
        bail!("rail.clearing_system = {system:?}: expected 1 to 5 capital letters and digits");
    }
    let agents = rail.agents.iter().map(|(tenant, id)| (format!("rail.agents.{tenant}"), id));
    let one = |key: &str, id: &'_ Option<String>| id.clone().map(|id| (key.to_owned(), id));
    let named = [one("rail.agent", &rail.agent), one("rail.hub", &rail.hub)].into_iter().flatten();
    for (key, id) in named.chain(agents.map(|(key, id)| (key, id.clone()))) {
        if id.trim().is_empty() || id.chars().count() > 35 {
            bail!("{key} = {id:?}: expected 1 to 35 characters");
        }
    }
    if rail.enabled && rail.agent.is_none() && rail.agents.is_empty() {
        bail!("rail.agent: missing, and rail.enabled needs the bank that speaks");
    }
    Ok(())
}

fn check_endpoint(name: &str, endpoint: &EndpointSection) -> Result<()> {
    let key = |key: &str| format!("webhooks.endpoints.{name}.{key}");
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(1..=40).contains(&name.len()) || !name.bytes().all(plain) {
        bail!("webhooks.endpoints.{name}: expected 1 to 40 lower-case letters, digits and hyphens as a name");
    }
    // The URL is not quoted: it may have a token in it.
    if let Err(expected) = crate::webhooks::check_url(&endpoint.url) {
        bail!("{}: expected {expected}", key("url"));
    }
    if endpoint.secret_file.is_some() == endpoint.secret_env.is_some() {
        bail!("{} or secret_env: expected one of them", key("secret_file"));
    }
    for kind in &endpoint.kinds {
        if NoticeKind::by_name(kind).is_none() {
            let known = NoticeKind::ALL.map(NoticeKind::name);
            let hint = nearest(kind, known);
            let hint = hint.map_or(String::new(), |name| format!(", did you mean {name:?}?"));
            bail!("{}: {kind:?}{hint} (known: {})", key("kinds"), known.join(", "));
        }
    }
    within(&key("in_flight"), endpoint.in_flight as u64, 1, 16)?;
    within(&key("timeout_ms"), endpoint.timeout_ms, 10, 60_000)?;
    within(&key("attempts_max"), endpoint.attempts_max.into(), 1, 100)?;
    within(&key("backoff_ms"), endpoint.backoff_ms, 1, 3_600_000)?;
    within(&key("backoff_max_s"), endpoint.backoff_max_s, 1, 86_400)
}

fn within(key: &str, value: u64, least: u64, most: u64) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    bail!("{key} = {value}: expected {least} to {most}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::config::load;

    fn told(text: &str) -> Result<Vec<String>, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, text).unwrap();
        let loaded = load(&path).map_err(|error| format!("{error:#}"))?;
        Ok(loaded.origins().unwrap().into_iter().map(|(key, value, _)| format!("{key} = {value}")).collect())
    }
    fn endpoint(more: &str) -> String {
        format!("[webhooks.endpoints.ops]\nurl = \"https://example.com/h\"\nsecret_file = \"s\"\n{more}")
    }

    #[test]
    fn an_endpoint_has_defaults_and_is_printed_without_its_secret() {
        let rows = told(&endpoint("kinds = [\"hold.placed\"]\n")).unwrap();
        for row in [
            "webhooks.endpoints.ops.secret_file = \"s\"",
            "webhooks.endpoints.ops.from = \"oldest\"",
            "webhooks.endpoints.ops.attempts_max = 12",
            "webhooks.in_flight_max = 8",
            "rail.enabled = false",
        ] {
            assert!(rows.iter().any(|told| told == row), "{row} in {rows:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_its_key() {
        let without_secret = "[webhooks.endpoints.ops]\nurl = \"https://example.com/h\"\n";
        let plain = endpoint("").replace("https", "http");
        let many: String = (0..33).map(|n| endpoint("").replace("ops", &format!("e{n}"))).collect();
        for (text, expected) in [
            (endpoint("kinds = [\"hold.place\"]\n"), "did you mean \"hold.placed\"?"),
            (endpoint("secret_env = \"S\"\n"), "expected one of them"),
            (without_secret.into(), "expected one of them"),
            (plain, "webhooks.endpoints.ops.url: expected an https URL"),
            (endpoint("timeout_ms = 0\n"), "webhooks.endpoints.ops.timeout_ms = 0: expected 10 to 60000"),
            (endpoint("in_flight = 17\n"), "expected 1 to 16"),
            (
                endpoint("timeouts_ms = 3\n"),
                "c.toml:4: unknown key \"timeouts_ms\", did you mean \"timeout_ms\"?",
            ),
            (endpoint("from = \"new\"\n"), "`newest`"),
            (endpoint("").replace("ops", "Ops"), "as a name"),
            (endpoint("").replace("ops", "\"../x\""), "as a name"),
            (many, "33 are configured, limit 32"),
            ("[webhooks]\ndead_max = 0\n".into(), "webhooks.dead_max = 0"),
            ("[rail]\nmessage_prefix = \"a-b\"\n".into(), "rail.message_prefix"),
            ("[rail]\nclearing_system = \"usaba\"\n".into(), "rail.clearing_system"),
            ("[rail]\nenabled = true\n".into(), "rail.agent: missing"),
            ("[rail]\nagents.b = \"\"\n".into(), "rail.agents.b"),
            ("[rail]\nfile_max = 3\n".into(), "did you mean \"files_max\"?"),
        ] {
            let error = told(&text).unwrap_err();
            assert!(error.contains(expected), "{expected} in {error}");
        }
    }
}
