//! Listening for members: mutual TLS, so many connections at once in all and of one certificate, and a drain that answers
//! what was taken. A stranger gets no further than the handshake.

use crate::alliance::tls::{Pin, pin_of};
use anyhow::Result;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

/// A handshake that takes longer is given up.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Handshakes at once; whoever comes beyond them is turned away and comes again.
const HANDSHAKES_MAX: usize = 64;
/// A request's headers come within this, from when its connection is free; twice what a client keeps one idle.
const HEADERS_MAX: Duration = Duration::from_secs(30);
/// Most bytes of headers.
const HEADER_BYTES_MAX: usize = 16 << 10;
/// No connection lives longer: pins and roles are looked at in each request, a socket that nobody reads is not.
const CONNECTION_MAX: Duration = Duration::from_secs(3600);
/// How soon it is tried again to take a connection.
const NOT_TAKEN: Duration = Duration::from_millis(20);

/// Whose certificate a connection showed.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub Pin);

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// In all.
    pub connections_max: usize,
    /// Of one certificate.
    pub per_member_max: usize,
}

/// The connections there are, by certificate.
#[derive(Debug)]
struct Places {
    bounds: Bounds,
    taken: Mutex<HashMap<Pin, usize>>,
}

/// A connection's place; free when dropped.
struct Place {
    places: Arc<Places>,
    pin: Pin,
}

impl Places {
    fn take(self: &Arc<Self>, pin: Pin) -> Option<Place> {
        let mut taken = self.taken.lock();
        let all: usize = taken.values().sum();
        let own = taken.entry(pin).or_default();
        if all >= self.bounds.connections_max || *own >= self.bounds.per_member_max {
            return None;
        }
        *own += 1;
        Some(Place { places: self.clone(), pin })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        if let Some(own) = taken.get_mut(&self.pin) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.pin);
            }
        }
    }
}

/// Serves until `stop` says so; then takes no more, answers what was taken, for at most `drain`, and returns.
///
/// # Errors
/// When the socket fails for good.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    routes: Router,
    bounds: Bounds,
    mut stop: watch::Receiver<bool>,
    drain: Duration,
) -> Result<()> {
    let acceptor = TlsAcceptor::from(tls);
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let places = Arc::new(Places { bounds, taken: Mutex::default() });
    // Each connection holds a sender; the last one dropped says that all are done.
    let (working, mut done) = tokio::sync::mpsc::channel::<()>(1);
    loop {
        let accepted = tokio::select! {
            () = asked(&mut stop) => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, _) = match accepted {
            Ok(accepted) => accepted,
            Err(e) => {
                tracing::debug!("a connection was not taken: {e}");
                tokio::time::sleep(NOT_TAKEN).await;
                continue;
            }
        };
        let Ok(shaking) = handshakes.clone().try_acquire_owned() else { continue };
        let (acceptor, places, routes) = (acceptor.clone(), places.clone(), routes.clone());
        let (stop, working) = (stop.clone(), working.clone());
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let shaken = tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await;
            drop(shaking);
            if let Ok(Ok(stream)) = shaken {
                connection(stream, &places, routes, stop).await;
            }
            drop(working);
        });
    }
    drop(working);
    let _ = tokio::time::timeout(drain, done.recv()).await;
    Ok(())
}

async fn connection(
    stream: tokio_rustls::server::TlsStream<TcpStream>,
    places: &Arc<Places>,
    routes: Router,
    mut stop: watch::Receiver<bool>,
) {
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let Some(pin) = certificate.map(pin_of) else { return };
    let Some(_place) = places.take(pin) else {
        tracing::warn!(
            "a member has too many connections, or there are too many in all; one more was closed"
        );
        return;
    };
    let service = TowerToHyperService::new(routes.layer(Extension(Peer(pin))));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADERS_MAX).max_buf_size(HEADER_BYTES_MAX);
    let mut served = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let whole = async {
        tokio::select! {
            _ = served.as_mut() => {}
            () = asked(&mut stop) => {
                served.as_mut().graceful_shutdown();
                let _ = served.as_mut().await;
            }
        }
    };
    let _ = tokio::time::timeout(CONNECTION_MAX, whole).await;
}

/// Ends when `stop` says so, or nobody can say it any more.
async fn asked(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}
