//! One try of one notice: a signed POST, and what its answer means. Redirects are not followed, nothing of the environment
//! (proxies) changes where it goes, and of the answer's body no more is read than lets the connection be used again.

use super::secret::Secrets;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// Most bytes of an answer's body that are read.
const ANSWER_BYTES_MAX: u64 = 16 << 10;
/// Longest wait that an answer may ask for, whatever it says.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);
/// Where systems keep their roots: Debian and Alpine, Red Hat, SUSE, BSD.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What came of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 2xx.
    Delivered,
    /// 410: the receiver wants no more.
    Gone,
    /// Any other status, redirects too, with how long it asks to be left alone.
    Status(u16, Option<Duration>),
    /// No answer in time.
    Timeout,
    /// No connection, no TLS, or no HTTP.
    Failed,
}

impl Answer {
    /// Its name: the metric's `result`, and what a dead letter tells.
    pub const fn name(self) -> &'static str {
        match self {
            Answer::Delivered => "delivered",
            Answer::Gone => "gone",
            Answer::Status(..) => "status",
            Answer::Timeout => "timeout",
            Answer::Failed => "failed",
        }
    }
    /// All names.
    pub const NAMES: [&str; 5] = ["delivered", "gone", "status", "timeout", "failed"];
}

/// The roots that servers' certificates are checked against, read once for all endpoints.
#[derive(Clone)]
pub struct Roots(RootCerts);

impl Roots {
    /// Of a PEM file, or of the first of the system's places that is there.
    ///
    /// # Errors
    /// No such file, or none with a certificate in it.
    pub fn load(file: Option<PathBuf>) -> Result<Roots> {
        let file = file.or_else(|| SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.exists()));
        let file = file.with_context(|| {
            format!("no roots for TLS: none of {} is there; set webhooks.tls_roots", SYSTEM_ROOTS.join(", "))
        })?;
        Roots::of(&file).with_context(|| format!("roots for TLS {}", file.display()))
    }
    fn of(file: &Path) -> Result<Roots> {
        let pem = std::fs::read(file)?;
        let mut certificates: Vec<Certificate<'static>> = Vec::new();
        for item in parse_pem(&pem) {
            if let PemItem::Certificate(certificate) = item? {
                certificates.push(certificate);
            }
        }
        if certificates.is_empty() {
            bail!("no certificate is in it");
        }
        Ok(Roots(RootCerts::new_with_certs(&certificates)))
    }
}

/// Posts notices to one endpoint.
pub struct Client {
    agent: Agent,
    url: String,
    secrets: Secrets,
}

impl Client {
    /// For a URL that was checked. Without roots only plain http works.
    pub fn new(
        url: &str,
        secrets: Secrets,
        timeout: Duration,
        connections: usize,
        roots: Option<Roots>,
    ) -> Client {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider);
        if let Some(Roots(roots)) = roots {
            tls = tls.root_certs(roots);
        }
        let config = Agent::config_builder()
            .tls_config(tls.build())
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(timeout))
            .max_idle_connections(connections)
            .max_idle_connections_per_host(connections)
            .user_agent(concat!("interdict/", env!("CARGO_PKG_VERSION")))
            .build();
        Client { agent: config.new_agent(), url: url.to_owned(), secrets }
    }

    /// Posts a body under an id, signed for a time (Unix seconds).
    pub fn post(&self, id: &str, body: &[u8], timestamp_s: i64) -> Answer {
        let posted = self
            .agent
            .post(&self.url)
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp_s.to_string())
            .header("webhook-signature", self.secrets.sign(id, timestamp_s, body))
            .send(body);
        let mut response = match posted {
            Ok(response) => response,
            Err(ureq::Error::Timeout(_)) => return Answer::Timeout,
            Err(_) => return Answer::Failed,
        };
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        // Whatever it says: only a connection whose answer was read can be used again.
        drop(response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec());
        match status {
            200..=299 => Answer::Delivered,
            410 => Answer::Gone,
            _ => Answer::Status(status, retry_after.map(|wait| wait.min(RETRY_AFTER_MAX))),
        }
    }
}
