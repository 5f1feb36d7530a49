//! Listening: plain HTTP on loopback, TLS anywhere else, and a drain that answers what was taken.

use super::connection::{Duplex, Front, Handed};
use super::{App, router};
use crate::config::Loaded;
use anyhow::{Context, Result, bail};
use axum::serve::Listener;
use axum_server::tls_rustls::RustlsConfig;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// Connections that wait to be handed over to hyper; those after them wait with their first such request.
const HANDED_MAX: usize = 64;
/// A handshake that takes longer is given up.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How soon it is tried again to take a connection.
const NOT_TAKEN: Duration = Duration::from_millis(20);
/// How often it is looked whether the last answer was given.
const LOOK: Duration = Duration::from_millis(5);
/// Most connections that wait to be accepted; std's 128 are soon full in a burst of new ones, and one more then tries
/// again a second later, far past any deadline.
const BACKLOG: i32 = 4096;

/// Where the API listens and how.
pub struct Listening {
    /// The bound socket.
    pub listener: TcpListener,
    /// Its address.
    pub address: SocketAddr,
    tls: Option<(std::path::PathBuf, std::path::PathBuf)>,
    drain: Duration,
}

/// Binds, and refuses what is not safe: anything but loopback needs a certificate and API keys.
///
/// # Errors
/// An address that cannot be bound, or one beyond loopback without TLS or keys.
pub fn bind(loaded: &Loaded, address: Option<&str>, has_keys: bool) -> Result<Listening> {
    let http = &loaded.config.http;
    let text = address.unwrap_or(&http.listen);
    let address: SocketAddr =
        text.parse().with_context(|| format!("http.listen {text:?}: expected IP:PORT"))?;
    let tls = match (&http.tls_certificate, &http.tls_key) {
        (Some(certificate), Some(key)) => Some((loaded.resolve(certificate), loaded.resolve(key))),
        (None, None) => None,
        _ => bail!("http.tls_certificate and http.tls_key go together"),
    };
    if !address.ip().is_loopback() && (tls.is_none() || !has_keys) {
        bail!(
            "http.listen {address} is not loopback: it needs http.tls_certificate, http.tls_key and API keys \
             (interdict keys add); refusing to start"
        );
    }
    if let Some((_, key)) = &tls {
        let mode = std::fs::metadata(key).with_context(|| format!("http.tls_key {}", key.display()))?;
        let mode = mode.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            bail!("http.tls_key {}: mode {mode:04o}, must be 0600", key.display());
        }
    }
    let listener = TcpListener::bind(address).with_context(|| format!("binding {address}"))?;
    socket2::SockRef::from(&listener).listen(BACKLOG)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok(Listening { listener, address, tls, drain: Duration::from_millis(http.drain_ms) })
}

/// Serves until SIGTERM or SIGINT; then takes no more, answers what was taken, and returns.
///
/// # Errors
/// When the certificate does not load or the socket fails.
pub async fn serve(listening: Listening, app: Arc<App>) -> Result<()> {
    tokio::spawn(watch(app.clone()));
    let (node, routes) = (app.node.clone(), router(app.clone()));
    let Listening { listener, address, tls, drain } = listening;
    let tls = match tls {
        None => None,
        Some((certificate, key)) => {
            let config = RustlsConfig::from_pem_file(&certificate, &key)
                .await
                .with_context(|| format!("TLS from {} and {}", certificate.display(), key.display()))?;
            Some(TlsAcceptor::from(config.get_inner()))
        }
    };
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (hand_over, handed) = mpsc::channel(HANDED_MAX);
    let front = Arc::new(Front::new(app, hand_over));
    let taking = tokio::spawn(take(listener, tls, front.clone()));
    // Idle keep-alive connections would hold a graceful shutdown open for ever; past the drain they are cut.
    let (asked, mut was_asked) = tokio::sync::watch::channel(false);
    let stop = {
        let front = front.clone();
        async move {
            signalled().await;
            node.drain();
            front.drain();
            taking.abort();
            let _ = asked.send(true);
        }
    };
    let serving = axum::serve(HandedOver { handed, address }, routes).with_graceful_shutdown(stop);
    let all = async {
        serving.into_future().await?;
        while !front.is_idle() {
            tokio::time::sleep(LOOK).await;
        }
        anyhow::Ok(())
    };
    let cut = async move {
        let _ = was_asked.wait_for(|asked| *asked).await;
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        served = all => served,
        () = cut => Ok(()),
    }
}

/// Takes connections, each on a task of its own.
async fn take(listener: tokio::net::TcpListener, tls: Option<TlsAcceptor>, front: Arc<Front>) {
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(taken) => taken,
            Err(e) => {
                // Of this one connection, or no descriptor is left: others must close first.
                tracing::debug!("a connection was not taken: {e}");
                tokio::time::sleep(NOT_TAKEN).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let (front, tls) = (front.clone(), tls.clone());
        tokio::spawn(async move {
            let Some(tls) = tls else { return front.serve(stream, from).await };
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_MAX, tls.accept(stream)).await {
                front.serve(stream, from).await;
            }
        });
    }
}

/// Looks at how late the runtime is, and meanwhile has those told who wait for a turn or an answer though nothing else
/// goes on.
async fn watch(app: Arc<App>) {
    loop {
        app.lag.look().await;
        app.entry.go_on();
    }
}

/// What hyper serves: connections with a request that is not read elsewhere.
struct HandedOver {
    handed: mpsc::Receiver<Handed>,
    address: SocketAddr,
}
impl Listener for HandedOver {
    type Io = Box<dyn Duplex>;
    type Addr = SocketAddr;
    async fn accept(&mut self) -> Handed {
        match self.handed.recv().await {
            Some(handed) => handed,
            // Nobody hands over any more.
            None => std::future::pending().await,
        }
    }
    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// Ends when the process is asked to end.
pub async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminate => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
