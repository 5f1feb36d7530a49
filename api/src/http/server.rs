//! Listening: plain HTTP on loopback, TLS anywhere else, and a drain that answers what was taken.

use super::{App, router};
use crate::config::Loaded;
use anyhow::{Context, Result, bail};
use axum_server::tls_rustls::RustlsConfig;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

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
    tokio::spawn(app.lag.clone().watch());
    let (node, routes) = (app.node.clone(), router(app));
    let Listening { listener, tls, drain, .. } = listening;
    match tls {
        None => {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            // Idle keep-alive connections would hold a graceful shutdown open for ever; past the drain they are cut.
            let (asked, mut was_asked) = tokio::sync::watch::channel(false);
            let stop = async move {
                signalled().await;
                node.drain();
                let _ = asked.send(true);
            };
            let serving = axum::serve(listener, routes).with_graceful_shutdown(stop).into_future();
            let cut = async move {
                let _ = was_asked.wait_for(|asked| *asked).await;
                tokio::time::sleep(drain).await;
            };
            tokio::select! {
                served = serving => served?,
                () = cut => {}
            }
        }
        Some((certificate, key)) => {
            let config = RustlsConfig::from_pem_file(&certificate, &key)
                .await
                .with_context(|| format!("TLS from {} and {}", certificate.display(), key.display()))?;
            let handle = axum_server::Handle::new();
            let stopping = handle.clone();
            tokio::spawn(async move {
                signalled().await;
                node.drain();
                stopping.graceful_shutdown(Some(drain));
            });
            axum_server::from_tcp_rustls(listener, config)?
                .handle(handle)
                .serve(routes.into_make_service())
                .await?;
        }
    }
    Ok(())
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
