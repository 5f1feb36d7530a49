//! What operations ask the hub, on loopback: `/metrics`, `/healthz` (the process runs), `/readyz` (logs open, checkpoints
//! signed in time).

use super::metrics::Metrics;
use anyhow::{Context, Result};
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// Says whether the hub is ready, or why it is not.
pub type Ready = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Binds and serves until `stop` says so, on a task of its own; the address.
///
/// # Errors
/// An address that cannot be bound.
pub async fn start(
    address: SocketAddr,
    metrics: Arc<Metrics>,
    ready: Ready,
    mut stop: watch::Receiver<bool>,
) -> Result<SocketAddr> {
    let listener =
        tokio::net::TcpListener::bind(address).await.with_context(|| format!("hub.ops {address}"))?;
    let address = listener.local_addr()?;
    let exposition = move || {
        let text = metrics.text();
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text) }
    };
    let is_ready = move || {
        let answer = match ready() {
            Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
        };
        async move { answer.into_response() }
    };
    let routes = Router::new()
        .route("/metrics", get(exposition))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(is_ready));
    tokio::spawn(async move {
        let ended = async move {
            let _ = stop.wait_for(|stop| *stop).await;
        };
        if let Err(e) = axum::serve(listener, routes).with_graceful_shutdown(ended).await {
            tracing::error!("the operations' port ended: {e}");
        }
    });
    Ok(address)
}
