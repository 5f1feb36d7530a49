//! The comparison handler: the same HTTP stack, reads, parses and validates the same bodies, and writes an answer of
//! the same size. What a server costs above it is the engine; what it costs itself is the hop.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::serve::ListenerExt;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;

/// How the handler answers.
#[derive(Debug, Clone)]
pub struct EmptyConfig {
    /// Size of one answer in bytes; an answer is filled up to it and never shorter than its fields.
    pub answer_bytes: usize,
    /// Holds every answer up, once, for so long, after so many requests: to see that a generator notices.
    pub stall: Option<(u64, Duration)>,
}

impl Default for EmptyConfig {
    /// About the size of an approval with codes.
    fn default() -> Self {
        EmptyConfig { answer_bytes: 420, stall: None }
    }
}

#[derive(Deserialize)]
#[allow(dead_code)] // read by serde: the point is to parse and hold what a server has to
struct Amount<'a> {
    minor: i64,
    currency: &'a str,
}
#[derive(Deserialize)]
#[allow(dead_code)]
struct Account<'a> {
    iban: Option<&'a str>,
    bank: Option<&'a str>,
    number: Option<&'a str>,
}
#[derive(Deserialize)]
#[allow(dead_code)]
struct Card<'a> {
    pan: Option<&'a str>,
    token: Option<&'a str>,
}
#[derive(Deserialize)]
#[allow(dead_code)]
struct Party<'a> {
    #[serde(borrow)]
    name: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    account: Option<Account<'a>>,
    country: Option<&'a str>,
}
#[derive(Deserialize)]
#[allow(dead_code)]
struct Merchant<'a> {
    id: &'a str,
    #[serde(borrow)]
    name: Option<std::borrow::Cow<'a, str>>,
    mcc: Option<&'a str>,
    country: Option<&'a str>,
}
#[derive(Deserialize)]
#[allow(dead_code)]
struct Id<'a> {
    id: &'a str,
}
#[derive(Deserialize)]
#[allow(dead_code)]
struct Device<'a> {
    id: Option<&'a str>,
    ip: Option<&'a str>,
    #[serde(borrow)]
    user_agent: Option<std::borrow::Cow<'a, str>>,
}
#[derive(Deserialize)]
#[allow(dead_code)]
struct Refs<'a> {
    stan: Option<&'a str>,
    rrn: Option<&'a str>,
    uetr: Option<&'a str>,
    original: Option<&'a str>,
}
#[derive(Deserialize)]
#[allow(dead_code)]
struct Request<'a> {
    id: Option<&'a str>,
    kind: Option<&'a str>,
    time: &'a str,
    #[serde(borrow)]
    amount: Amount<'a>,
    settlement_amount: Option<Amount<'a>>,
    channel: Option<&'a str>,
    card: Option<Card<'a>>,
    account: Option<Account<'a>>,
    payer: Option<Party<'a>>,
    payee: Option<Party<'a>>,
    merchant: Option<Merchant<'a>>,
    terminal: Option<Id<'a>>,
    acquirer: Option<&'a str>,
    issuer: Option<&'a str>,
    device: Option<Device<'a>>,
    email: Option<&'a str>,
    phone: Option<&'a str>,
    #[serde(borrow)]
    text: Option<std::borrow::Cow<'a, str>>,
    qr: Option<std::borrow::Cow<'a, str>>,
    refs: Option<Refs<'a>>,
    settles_at: Option<&'a str>,
}

impl Request<'_> {
    /// What makes a well-formed request invalid, by field.
    fn invalid(&self) -> Option<&'static str> {
        let known = interdict_engine::domain::Currency::parse;
        let subject = self.card.is_some()
            || self.account.is_some()
            || self.merchant.is_some()
            || self.terminal.is_some()
            || self.payee.is_some()
            || self.device.is_some();
        let card = self.card.as_ref().and_then(|card| card.pan);
        let addresses = self.device.as_ref().and_then(|device| device.ip);
        [
            ("time", self.time.parse::<jiff::Timestamp>().is_ok()),
            ("amount.minor", self.amount.minor >= 0),
            ("amount.currency", known(self.amount.currency).is_some()),
            (
                "settlement_amount",
                self.settlement_amount.as_ref().is_none_or(|a| known(a.currency).is_some()),
            ),
            ("card", subject || self.email.is_some() || self.phone.is_some()),
            ("card.pan", card.is_none_or(passes_luhn)),
            ("device.ip", addresses.is_none_or(|ip| ip.parse::<std::net::IpAddr>().is_ok())),
            ("settles_at", self.settles_at.is_none_or(|time| time.parse::<jiff::Timestamp>().is_ok())),
        ]
        .into_iter()
        .find_map(|(field, valid)| (!valid).then_some(field))
    }
}

fn passes_luhn(pan: &str) -> bool {
    let sum = pan.bytes().rev().enumerate().try_fold(0u32, |sum, (place, digit)| {
        let value = u32::from(digit.wrapping_sub(b'0'));
        let doubled = if place % 2 == 1 { 2 * value - if value > 4 { 9 } else { 0 } } else { value };
        (value < 10).then_some(sum + doubled)
    });
    (12..=19).contains(&pan.len()) && sum.is_some_and(|sum| sum % 10 == 0)
}

struct Empty {
    config: EmptyConfig,
    sequence: AtomicU64,
    stalled: tokio::sync::RwLock<()>,
}

impl Empty {
    fn answer(&self, request: &Request<'_>) -> String {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        let id = request.id.unwrap_or("seq");
        let head = format!(
            "{{\"id\":\"{id}\",\"sequence\":{sequence},\"outcome\":\"approve\",\"score\":0,\"reasons\":[],\
             \"skipped\":[],\"default_applied\":false,\"lever\":\"none\",\
             \"codes\":{{\"iso8583\":\"00\",\"iso20022\":{{\"status\":\"ACTC\"}}}},\"generation\":\"g-000000000000@0\",\
             \"meta\":{{\"latency_us\":0,\"engine\":\"empty\",\"replayed\":{},\"recovered\":false,\"fill\":\"",
            request.kind == Some("repeat")
        );
        let fill = self.config.answer_bytes.saturating_sub(head.len() + 3);
        format!("{head}{:x<fill$}\"}}}}", "")
    }
}

/// The router: decisions (one or a batch), and the calls a world's stream makes.
pub fn router(config: EmptyConfig) -> Router {
    let state =
        Arc::new(Empty { config, sequence: AtomicU64::new(0), stalled: tokio::sync::RwLock::new(()) });
    Router::new()
        .route("/v1/decisions", post(decide))
        .route("/v1/labels", post(accept))
        .route("/v1/lists/{name}/entries", put(accept))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(|| async { "ok" }))
        .with_state(state)
}

async fn accept(body: Bytes) -> Response {
    match serde_json::from_slice::<Vec<serde_json::Value>>(&body) {
        Ok(entries) => axum::Json(json!({"accepted": entries.len()})).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn decide(State(empty): State<Arc<Empty>>, body: Bytes) -> Response {
    if let Some((after, how_long)) = empty.config.stall
        && empty.sequence.compare_exchange(after, after + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    {
        // Whoever comes while this sleeps waits for it below, as behind a stopped process.
        let _stalled = empty.stalled.write().await;
        tokio::time::sleep(how_long).await;
    }
    let _running = empty.stalled.read().await;
    if body.first() == Some(&b'[') {
        let Ok(requests) = serde_json::from_slice::<Vec<Request<'_>>>(&body) else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        let answers: Vec<String> = requests
            .iter()
            .map(|request| match request.invalid() {
                Some(field) => json!({"status": 422, "field": field}).to_string(),
                None => empty.answer(request),
            })
            .collect();
        return ([(CONTENT_TYPE, "application/json")], format!("[{}]", answers.join(","))).into_response();
    }
    match serde_json::from_slice::<Request<'_>>(&body) {
        Ok(request) => match request.invalid() {
            Some(field) => {
                (StatusCode::UNPROCESSABLE_ENTITY, axum::Json(json!({"status": 422, "field": field})))
                    .into_response()
            }
            None => ([(CONTENT_TYPE, "application/json")], empty.answer(&request)).into_response(),
        },
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// Serves until the process ends.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, config: EmptyConfig) -> anyhow::Result<()> {
    let listener = listener.tap_io(|stream| {
        // Without it a small answer may wait for the client's delayed acknowledgement (40 ms).
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router(config)).await?;
    Ok(())
}
