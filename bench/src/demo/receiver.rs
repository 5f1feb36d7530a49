//! A receiver of webhooks as a customer would have one: it checks each signature and keeps what it was told.

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use interdict::webhooks::secret::Secrets;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The demo's secret: the base64 of a text, no key of anybody's.
pub(super) const SECRET: &str = "whsec_VGhpcyBpcyB0aGUgZGVtbydzIG93biBzZWNyZXQuLi4=";

/// What was received, by notice id; at least once is the promise, so an id counts once.
#[derive(Clone)]
pub(super) struct Receiver {
    pub(super) url: String,
    told: Arc<Mutex<BTreeMap<String, Value>>>,
    refused: Arc<Mutex<usize>>,
}

impl Receiver {
    /// Listens on loopback.
    pub(super) async fn start() -> Result<Receiver> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("the webhook receiver")?;
        let url = format!("http://{}/holds", listener.local_addr()?);
        let receiver = Receiver { url, told: Arc::default(), refused: Arc::default() };
        let router = Router::new().route("/holds", post(take)).with_state(receiver.clone());
        // Ends with the process; a failure shows as notices that do not come.
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(receiver)
    }
    /// Notices of a kind.
    pub(super) fn count(&self, kind: &str) -> usize {
        let told = self.told.lock().expect("nobody panics while holding it");
        told.values().filter(|body| body["type"] == kind).count()
    }
    /// Requests whose signature was wrong.
    pub(super) fn refused(&self) -> usize {
        *self.refused.lock().expect("nobody panics while holding it")
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (id, time_s) = (header("webhook-id"), header("webhook-timestamp").parse().unwrap_or_default());
    let signed = Secrets::parse(SECRET).map(|secrets| secrets.sign(id, time_s, &body));
    let body = serde_json::from_slice(&body);
    match (signed, body) {
        (Ok(signed), Ok(body)) if signed == header("webhook-signature") => {
            receiver.told.lock().expect("nobody panics while holding it").insert(id.to_owned(), body);
            StatusCode::NO_CONTENT
        }
        _ => {
            *receiver.refused.lock().expect("nobody panics while holding it") += 1;
            StatusCode::UNAUTHORIZED
        }
    }
}
