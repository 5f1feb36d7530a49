//! The inline API: axum over the node. A handler decodes, submits, awaits, and renders; what a verdict is is decided
//! elsewhere.

pub mod problem;
pub mod auth;
pub mod decisions;
pub mod labels;
pub mod settlement;
pub mod holds;
pub mod lists;
pub mod packs;
pub mod keys;
pub mod ops;
pub mod openapi;
pub mod server;
pub mod lag;
pub mod entry;
pub mod wire;
pub mod connection;

use crate::metrics::Metrics;
use crate::node::intake::Refusal;
use crate::node::{Answered, Job, Node};
use auth::{ApiKeys, Caller, Role};
use axum::Router;
use axum::extract::Request;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use entry::{Entry, Slot};
use interdict_engine::limits::{BODY_BYTES_MAX, PACK_BYTES_MAX, PACK_FILES_MAX, PACK_PATH_BYTES_MAX};
use interdict_engine::sequencer::Submission;
use interdict_ingest::{Decoder, FieldError};
use interdict_ledger::dead_letter::DeadLetters;
use lag::Lag;
use parking_lot::Mutex;
use problem::Problem;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::util::MapRequestLayer;

/// Largest pack archive: the pack's files with their paths and lengths.
const ARCHIVE_BYTES_MAX: usize = PACK_BYTES_MAX + PACK_FILES_MAX * (PACK_PATH_BYTES_MAX + 16) + 1024;

/// What every handler works with.
pub struct App {
    /// The node.
    pub node: Arc<Node>,
    /// Bytes to transactions.
    pub decoder: Decoder,
    /// Who may call.
    pub keys: ApiKeys,
    /// What is counted.
    pub metrics: Metrics,
    /// Where wrong records go.
    pub letters: Arc<Mutex<DeadLetters>>,
    /// How late requests are read.
    pub lag: Lag,
    /// What those share who are at work with holds.
    pub holds: holds::Desk,
    /// Where requests ask for their turn to be read.
    pub entry: Entry,
}

/// The routes.
pub fn router(app: Arc<App>) -> Router {
    let requests_max = app.node.loaded.config.http.requests_max.max(1);
    Router::new()
        .route("/v1/decisions", post(decisions::decide))
        .route("/v1/decisions/{id}", get(decisions::read))
        .route("/v1/labels", post(labels::label))
        .route("/v1/settlement/clear", post(settlement::clear))
        .route("/v1/holds", get(holds::all))
        .route("/v1/holds/stream", get(holds::stream::stream))
        .route("/v1/holds/{id}", get(holds::one).post(holds::acts::several))
        .route("/v1/holds/{id}/{act}", post(holds::acts::one))
        .route("/v1/lists", get(lists::all))
        .route("/v1/lists/{name}/entries", put(lists::add).delete(lists::remove))
        .route(
            "/v1/packs",
            get(packs::all).post(packs::upload).layer(DefaultBodyLimit::max(ARCHIVE_BYTES_MAX)),
        )
        .route("/v1/generations", post(packs::publish))
        .route("/v1/keys/rotate", post(keys::rotate))
        .route("/v1/status", get(ops::status))
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(ops::readyz))
        .route("/metrics", get(ops::metrics))
        .route("/openapi.json", get(openapi::document))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "no such call; see /openapi.json") })
        // One layer of all: each that the router is given puts another box around every route, cloned per request.
        .layer(
            ServiceBuilder::new()
                .layer(axum::middleware::map_response_with_state(app.clone(), in_our_words))
                .layer(MapRequestLayer::new(came))
                .layer(GlobalConcurrencyLimitLayer::new(requests_max))
                .layer(MapRequestLayer::new(let_in))
                // One byte more than allowed is read, so that the decoder can say what is too large.
                .layer(DefaultBodyLimit::max(BODY_BYTES_MAX + 1)),
        )
        .with_state(app)
}

/// When a request's head had been read.
#[derive(Clone, Copy)]
struct Came(Instant);

/// How long a request waited for a place among `http.requests_max`; part of its deadline.
#[derive(Clone, Copy)]
pub struct Waited(Duration);

fn came(mut request: Request) -> Request {
    request.extensions_mut().insert(Came(Instant::now()));
    request
}
fn let_in(mut request: Request) -> Request {
    if let Some(Came(came)) = request.extensions_mut().remove() {
        request.extensions_mut().insert(Waited(came.elapsed()));
    }
    request
}

/// What axum refuses before a handler sees it (a body over the bound, a wrong method, a path that is no UTF-8) as a
/// problem like any other. Its own text is dropped: it may quote the path, which a caller may have put a card into.
async fn in_our_words(State(app): State<Arc<App>>, response: Response) -> Response {
    let (status, headers) = (response.status(), response.headers());
    let is_problem = headers.get(CONTENT_TYPE).is_some_and(|content| content == "application/problem+json");
    if is_problem || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let mut problem = match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            app.metrics.rejected("http", interdict_ingest::error::Status::TooLarge.name());
            let expected =
                format!("a body of at most {BODY_BYTES_MAX} bytes ({ARCHIVE_BYTES_MAX} for a pack)");
            Problem {
                expected: Some(expected.clone()),
                ..Problem::new(status, format!("expected {expected}"))
            }
        }
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(status, "no such method here; see /openapi.json"),
        _ => Problem::new(status, "the request could not be read"),
    }
    .into_response();
    if let Some(allow) = headers.get(ALLOW) {
        problem.headers_mut().insert(ALLOW, allow.clone());
    }
    problem
}

impl App {
    /// The caller of a request.
    fn caller(&self, headers: &HeaderMap, needed: Role) -> Result<Caller, Problem> {
        self.keys.caller(headers, needed)
    }

    /// The tenant a call without a body's own is for: the header, else the key's, else `default`.
    fn tenant(&self, headers: &HeaderMap, caller: &Caller) -> Result<String, Problem> {
        let header = header_text(headers, "interdict-tenant")?;
        let tenant = header.or(caller.tenant.as_deref()).unwrap_or("default").to_owned();
        caller.for_tenant(&tenant)?;
        Ok(tenant)
    }

    /// Submits one event and awaits its answer; `slot` is what its request was let in with.
    async fn call(
        &self,
        submission: Submission,
        deadline: Option<Instant>,
        slot: Option<Slot<'_>>,
    ) -> Answered {
        let (job, answer) = self.job(submission, deadline);
        self.admit([job], slot).await;
        let answered = answer.await.ok();
        self.handed_over(answered.as_ref().map(|(_, given)| *given));
        answered.map_or_else(stopping, |(answered, _)| answered)
    }
    /// A job, and where its answer comes with the time at which it was given.
    fn job(
        &self,
        submission: Submission,
        deadline: Option<Instant>,
    ) -> (Job, oneshot::Receiver<(Answered, Instant)>) {
        let (send, receive) = oneshot::channel();
        let clock = self.node.clock.clone();
        let reply = Box::new(move |answered| drop(send.send((answered, clock.now()))));
        (Job { submission, deadline, reply }, receive)
    }
    async fn admit(&self, jobs: impl IntoIterator<Item = Job>, slot: Option<Slot<'_>>) {
        let soon = self.node.admit_soon(jobs);
        drop(slot);
        if soon.gathers() {
            // Whatever else can be read now is read first, and decided and written as one batch: 32 connections at
            // saturation had a write each. A caller that goes away meanwhile drops this, and its jobs are taken.
            tokio::task::yield_now().await;
        }
        drop(soon);
        self.entry.go_on();
    }
    /// Notes how long an answer that was given at a time took to come here.
    fn handed_over(&self, given: Option<Instant>) {
        if let Some(given) = given {
            let waited = self.node.clock.now().saturating_duration_since(given);
            self.node.pace.hand_over.note(waited.as_nanos() as u64);
        }
    }

    /// Submits events together and awaits their answers, in order.
    async fn call_all(
        &self,
        submissions: Vec<(Submission, Option<Instant>)>,
        slot: Option<Slot<'_>>,
    ) -> Vec<Answered> {
        let mut answers = Vec::with_capacity(submissions.len());
        let jobs = submissions.into_iter().map(|(submission, deadline)| {
            let (job, answer) = self.job(submission, deadline);
            answers.push(answer);
            job
        });
        let jobs: Vec<Job> = jobs.collect();
        self.admit(jobs, slot).await;
        let mut answered = Vec::with_capacity(answers.len());
        let mut last = None;
        for answer in answers {
            answered.push(match answer.await {
                Ok((answer, given)) => {
                    last = last.max(Some(given));
                    answer
                }
                Err(_) => stopping(),
            });
        }
        self.handed_over(last);
        answered
    }

    /// Keeps a wrong record as a dead letter, masked and encrypted, and counts it. A letter that cannot be kept is
    /// counted too: the caller has its error either way.
    pub fn dead_letter(
        &self,
        protocol: &str,
        error: &FieldError,
        kind: interdict_ingest::dead_letter::RecordKind,
        raw: &[u8],
    ) {
        self.metrics.rejected(protocol, error.status.name());
        let masked = interdict_ingest::dead_letter::mask_as(kind, raw);
        if !matches!(self.letters.lock().keep(&error.to_string(), &masked), Ok(true)) {
            self.metrics.dropped("decode", "dead_letter");
        }
    }
}

fn stopping() -> Answered {
    Answered::Unavailable("the node is stopping".into())
}

/// A header as text; `None` when absent.
fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    headers
        .get(name)
        .map(|value| {
            value.to_str().map_err(|_| Problem {
                field: Some(name.to_owned()),
                expected: Some("visible ASCII".into()),
                ..Problem::new(StatusCode::BAD_REQUEST, format!("{name}: expected visible ASCII"))
            })
        })
        .transpose()
}

/// What has no room, and when to try again.
pub(crate) fn overloaded(why: Refusal) -> Problem {
    let (status, detail) = match why {
        Refusal::Queue => (StatusCode::SERVICE_UNAVAILABLE, "too many requests of this tenant wait"),
        Refusal::Express => {
            (StatusCode::SERVICE_UNAVAILABLE, "more requests come than can be decided in time")
        }
        Refusal::Rate(_) => (StatusCode::TOO_MANY_REQUESTS, "the tenant's rate is used up"),
    };
    Problem { retry_after_s: why.retry_after_s(), ..Problem::new(status, detail) }
}

/// What is not an answer, as a problem.
fn refusal(answered: Answered) -> Problem {
    match answered {
        Answered::Different(sequence) => Problem::new(
            StatusCode::CONFLICT,
            format!("a different payment is known under this key (sequence {sequence})"),
        ),
        Answered::Refused(error) => {
            let status = match error.kind {
                interdict_engine::ErrorKind::NotFound => StatusCode::NOT_FOUND,
                interdict_engine::ErrorKind::Conflict => StatusCode::CONFLICT,
                interdict_engine::ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            };
            Problem::new(status, error.to_string())
        }
        Answered::Unavailable(why) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, why),
        Answered::Overloaded(why) => overloaded(why),
        Answered::Decided(_) | Answered::Noted(_) | Answered::Same(_) | Answered::Early(_) => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "an answer of another kind than was asked for")
        }
    }
}
