//! A member's end of the hub's HTTP: blocking, one agent, mutual TLS with pins, a bound on every answer. What it returns is
//! bytes; who asks verifies them.

use super::tls::{Identity, Pins, client_config};
use anyhow::{Context, Result, anyhow};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, TcpConnector, Transport,
    TransportAdapter,
};

/// Longest that a call may take, connecting included.
pub const TIMEOUT: Duration = Duration::from_secs(60);
/// Most bytes of an error's body that are read.
const PROBLEM_BYTES_MAX: u64 = 16 << 10;
/// Where the hub's paths begin.
const PREFIX: &str = "/alliance/v1/";

/// The hub answered, and not with 2xx.
#[derive(Debug, Clone)]
pub struct Refused {
    /// HTTP status.
    pub status: u16,
    /// What it says, for people.
    pub detail: String,
    /// When to try again, where it says so.
    pub retry_after_s: Option<u64>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the hub answered {}: {}", self.status, self.detail)
    }
}
impl std::error::Error for Refused {}

/// Asks one hub.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
    base: String,
}

impl Client {
    /// For a URL `https://HOST:PORT`, and the pins of the hub's certificate.
    ///
    /// # Errors
    /// Another URL; no pin.
    pub fn new(url: &str, identity: Identity, hub: Pins) -> Result<Client> {
        let host = url.strip_prefix("https://").map(|rest| rest.trim_end_matches('/'));
        let host = host.filter(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@']));
        let host = host.with_context(|| format!("{url:?}: expected https://HOST:PORT of the hub"))?;
        let connector =
            ().chain(TcpConnector::default()).chain(PinnedTls(Arc::new(client_config(identity, hub)?)));
        let config = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(TIMEOUT))
            .user_agent(concat!("interdict/", env!("CARGO_PKG_VERSION")))
            .build();
        let agent = Agent::with_parts(config, connector, DefaultResolver::default());
        Ok(Client { agent, base: format!("https://{host}{PREFIX}") })
    }

    /// Gets a path below `/alliance/v1/`; at most so many bytes.
    ///
    /// # Errors
    /// [`Refused`] as the error's cause where the hub said no; else no connection, or an answer that is too long.
    pub fn get(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>> {
        let url = format!("{}{path}", self.base);
        let answered = self.agent.get(&url).call();
        read(answered, bytes_max).with_context(|| format!("GET {path}"))
    }
    /// As [`Client::get`], `None` where there is no such thing.
    ///
    /// # Errors
    /// As there, but for 404.
    pub fn find(&self, path: &str, bytes_max: u64) -> Result<Option<Vec<u8>>> {
        match self.get(path, bytes_max) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if refused(&error).is_some_and(|refused| refused.status == 404) => Ok(None),
            Err(error) => Err(error),
        }
    }
    /// Posts bytes to a path.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn post(&self, path: &str, body: &[u8], bytes_max: u64) -> Result<Vec<u8>> {
        let url = format!("{}{path}", self.base);
        let answered = self.agent.post(&url).header("content-type", "application/octet-stream").send(body);
        read(answered, bytes_max).with_context(|| format!("POST {path}"))
    }
}

/// What the hub said no with, where that is why.
pub fn refused(error: &anyhow::Error) -> Option<&Refused> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

type Answered = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

fn read(answered: Answered, bytes_max: u64) -> Result<Vec<u8>> {
    let mut response = answered.map_err(|e| anyhow!("{e}"))?;
    let status = response.status().as_u16();
    let bytes_max = if (200..300).contains(&status) { bytes_max } else { PROBLEM_BYTES_MAX };
    let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let retry_after_s = retry_after.and_then(|text| text.parse().ok());
    let bytes = response.body_mut().with_config().limit(bytes_max).read_to_vec();
    let bytes = bytes.map_err(|e| anyhow!("{e} (limit {bytes_max} bytes)"))?;
    if (200..300).contains(&status) {
        return Ok(bytes);
    }
    let problem: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
    let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str()).unwrap_or("no details");
    // It goes to a terminal or a log.
    let detail = detail.chars().filter(|c| !c.is_control()).take(500).collect();
    Err(Refused { status, detail, retry_after_s }.into())
}

/// Wraps what connected in TLS.
struct PinnedTls(Arc<ClientConfig>);

impl fmt::Debug for PinnedTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinnedTls")
    }
}

impl<In: Transport> Connector<In> for PinnedTls {
    type Out = PinnedTransport;
    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(below) = chained else { return Ok(None) };
        // Pins say whose certificate it is; the name in it is of no account.
        let name = ServerName::try_from("hub").expect("a name");
        let mut conn = ClientConnection::new(self.0.clone(), name)?;
        let mut sock =
            TransportAdapter::new(Box::new(below) as Box<dyn Transport>, details.current_time.clone());
        sock.set_timeout(details.timeout);
        conn.complete_io(&mut sock)?;
        let buffers =
            LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(PinnedTransport { buffers, stream: StreamOwned::new(conn, sock) }))
    }
}

struct PinnedTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for PinnedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinnedTransport")
    }
}

impl Transport for PinnedTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }
    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        use std::io::Write as _;
        self.stream.get_mut().set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }
    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        use std::io::Read as _;
        self.stream.get_mut().set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }
    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }
    fn is_tls(&self) -> bool {
        true
    }
}
