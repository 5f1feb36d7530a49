//! An HTTP/1.1 client of one keep-alive connection: tokio and hyper, nothing hidden (no pool, no redirects, no
//! retries), so that what is measured is the server.

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::TcpStream;

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After` in seconds, where it was given as such.
    pub retry_after_s: Option<u64>,
    /// The body.
    pub body: Bytes,
}

/// Where the server listens.
#[derive(Debug, Clone)]
pub struct Target {
    authority: String,
    headers: Vec<(&'static str, String)>,
}

impl Target {
    /// The target of `http://HOST:PORT` (a trailing slash is ignored).
    ///
    /// # Errors
    /// When the address is not of that form.
    pub fn parse(url: &str) -> anyhow::Result<Target> {
        let rest =
            url.strip_prefix("http://").ok_or_else(|| anyhow!("url {url:?}: expected http://HOST:PORT"))?;
        let authority = rest.trim_end_matches('/');
        if authority.is_empty() || authority.contains('/') || !authority.contains(':') {
            bail!("url {url:?}: expected http://HOST:PORT");
        }
        Ok(Target { authority: authority.to_owned(), headers: Vec::new() })
    }
    /// `HOST:PORT`.
    pub fn authority(&self) -> &str {
        &self.authority
    }
    /// The headers that every request to it carries.
    pub fn headers(&self) -> &[(&'static str, String)] {
        &self.headers
    }
    /// With a header that every request to it carries.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Target {
        self.headers.push((name, value.to_owned()));
        self
    }
    /// Opens a connection.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn connect(&self) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(&self.authority)
            .await
            .with_context(|| format!("cannot connect to {}", self.authority))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends when either side closes; an error here is the next request's error there.
        tokio::spawn(connection);
        Ok(Connection { sender, target: self.clone() })
    }
    /// Waits until `GET /readyz` answers 200.
    ///
    /// # Errors
    /// When it has not within `limit`.
    pub async fn wait_ready(&self, limit: Duration) -> anyhow::Result<()> {
        let ready = async {
            loop {
                if let Ok(mut connection) = self.connect().await
                    && let Ok(answer) = connection.send(Method::GET, "/readyz", Bytes::new()).await
                    && answer.status == 200
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(limit, ready)
            .await
            .map_err(|_| anyhow!("{} was not ready within {} s", self.authority, limit.as_secs()))
    }
}

/// A keep-alive connection.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    target: Target,
}

impl Connection {
    /// Sends one request with a JSON body and reads the whole answer.
    ///
    /// # Errors
    /// When the connection breaks; it cannot be used again then.
    pub async fn send(&mut self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Answer> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.target.authority)
            .header(CONTENT_TYPE, "application/json");
        let headers = self.target.headers.iter();
        let request = headers.fold(request, |request, (name, value)| request.header(*name, value));
        let request = request.body(Full::new(body))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let (status, retry_after_s) =
            (response.status().as_u16(), retry_after.and_then(|text| text.parse().ok()));
        Ok(Answer { status, retry_after_s, body: response.into_body().collect().await?.to_bytes() })
    }
}
