//! `POST /v1/decisions`, one or a batch, and `GET /v1/decisions/{id}`.

use super::auth::{Caller, Role};
use super::entry::Slot;
use super::problem::Problem;
use super::{App, Waited, header_text, overloaded, refusal};
use crate::answer::{Answer, FinishedAnswer, Meta, Source};
use crate::node::Answered;
use crate::node::intake::Refusal;
use crate::node::lookup::Given;
use crate::node::timing::{Step, is_timed};
use crate::node::turns::Turn;
use crate::story::{self, Story};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, FromRequest, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use interdict_engine::domain::{Audience, Body, Event, Finished};
use interdict_engine::sequencer::{ENGINE, Submission};
use interdict_ingest::dead_letter::RecordKind;
use interdict_ingest::decode::request::is_batch;
use interdict_ingest::{Decoded, FieldError, RequestContext};
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::{Duration, Instant};
use utoipa::ToSchema;

/// What an answer has room for before its buffer grows: most have a reason or none.
const ANSWER_BYTES: usize = 1024;

/// A request's headers and body, taken out of it; axum's extractor of headers clones them.
pub struct Taken(HeaderMap, Bytes);

impl<S: Send + Sync> FromRequest<S> for Taken {
    type Rejection = BytesRejection;
    async fn from_request(mut request: Request, state: &S) -> Result<Taken, BytesRejection> {
        let headers = std::mem::take(request.headers_mut());
        Ok(Taken(headers, Bytes::from_request(request, state).await?))
    }
}

/// A request to decide, whoever read it.
pub struct Asked<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// What its headers say.
    pub context: RequestContext<'a>,
    /// Its body.
    pub body: &'a [u8],
    /// When it had come.
    pub arrived: Instant,
    /// How long it may have lain in its socket before.
    pub lag: Duration,
}

/// What a payment carried, for what its connection's next one may be guessed to carry.
#[derive(Debug, Clone)]
pub struct Carried {
    /// Its tenant.
    pub tenant: Arc<str>,
    /// Its deadline in ms.
    pub deadline_ms: u32,
}

/// Decides one transaction or a batch.
pub async fn decide(
    State(app): State<Arc<App>>,
    Extension(waited): Extension<Waited>,
    Taken(headers, body): Taken,
) -> Response {
    // A body that comes slowly is its sender's business; waiting for a place is not.
    let now = app.node.clock.now();
    let arrived = now.checked_sub(waited.0).unwrap_or(now);
    match decide_inner(&app, &headers, &body, arrived).await {
        Ok(answer) => json_bytes(StatusCode::OK, answer),
        Err(problem) => problem.into_response(),
    }
}

async fn decide_inner(
    app: &App,
    headers: &HeaderMap,
    body: &Bytes,
    arrived: Instant,
) -> Result<Vec<u8>, Problem> {
    let caller = app.caller(headers, Role::Submit)?;
    let idempotency_key = match header_text(headers, "idempotency-key")? {
        Some(key) => Some(key),
        None => header_text(headers, "x-idempotency-key")?,
    };
    let context = RequestContext {
        tenant: header_text(headers, "interdict-tenant")?,
        idempotency_key,
        deadline_ms: header_text(headers, "interdict-deadline-ms")?,
        default_tenant: caller.tenant.as_deref().unwrap_or("default"),
    };
    let asked = Asked { caller: &caller, context, body, arrived, lag: app.lag.now(arrived) };
    let (turn, slot) = turn_of(app, &asked, None).await;
    if turn == Turn::Refused {
        return Err(overloaded(Refusal::Express));
    }
    answer(app, &asked, turn, slot, &mut None).await
}

/// Has a request wait for its turn, by what its headers say and, where they do not, its connection's last one did. A
/// refusal is counted; whoever asks gives it.
pub async fn turn_of<'a>(
    app: &'a App,
    asked: &Asked<'_>,
    carried: Option<&Carried>,
) -> (Turn, Option<Slot<'a>>) {
    let config = &app.node.loaded.config;
    let context = &asked.context;
    let tenant = match (context.tenant, carried) {
        (Some(named), Some(carried)) if *carried.tenant == *named => carried.tenant.clone(),
        (Some(named), _) => named.into(),
        (None, Some(carried)) => carried.tenant.clone(),
        (None, None) => context.default_tenant.into(),
    };
    let deadline_ms = match (context.deadline_ms.and_then(|text| text.parse().ok()), carried) {
        (Some(said), _) => said,
        (None, Some(carried)) => carried.deadline_ms,
        (None, None) => {
            let of_tenant = config.tenants.get(&*tenant).and_then(|section| section.deadline_ms);
            of_tenant.unwrap_or(config.decision.deadline_ms)
        }
    };
    let deadline = (deadline_ms > 0).then(|| due(asked, deadline_ms));
    let (turn, slot) = app.entry.ask(&tenant, asked.arrived, deadline).await;
    if turn == Turn::Refused {
        app.metrics.refused(&Answered::Overloaded(Refusal::Express));
    }
    (turn, slot)
}

/// When the answer must be there. What a request waited to be read is over; the answer's way to the socket is in what
/// admission adds.
fn due(asked: &Asked<'_>, deadline_ms: u32) -> Instant {
    let deadline = asked.arrived + Duration::from_millis(deadline_ms.into());
    deadline.checked_sub(asked.lag).unwrap_or(asked.arrived)
}

/// The answer to a request that was let in; `carried` is set where it was read.
pub async fn answer(
    app: &App,
    asked: &Asked<'_>,
    turn: Turn,
    slot: Option<Slot<'_>>,
    carried: &mut Option<Carried>,
) -> Result<Vec<u8>, Problem> {
    let ready = app.node.ready().and_then(|()| app.node.fresh(app.node.clock.wall_ms()));
    ready.map_err(|why| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why))?;
    let Asked { caller, context, body, arrived, .. } = asked;
    if is_batch(body) {
        return batch(app, asked, turn, slot).await;
    }
    let times = &app.node.tally.times;
    let decoded = times.decode(&app.decoder, body, context).map_err(|error| {
        app.dead_letter("http", &error, RecordKind::Request, body);
        Problem::from(&error)
    })?;
    caller.for_tenant(&decoded.tx.tenant)?;
    let (one, deadline) = submission(app, decoded, asked, turn, carried);
    let tenant = one.event.tenant.clone();
    let mut answered = app.call(one, deadline, slot).await;
    for _ in 0..READ_AGAIN_MAX {
        if !is_of_other_keys(&answered) {
            break;
        }
        let decoded = app.decoder.decode(body, context).map_err(|error| Problem::from(&error))?;
        let (one, deadline) = submission(app, decoded, asked, turn, carried);
        answered = app.call(one, deadline, None).await;
    }
    let timed = matches!(&answered, Answered::Decided(settled) if is_timed(settled.verdict.sequence));
    let began = timed.then(Instant::now);
    let mut answer = Vec::with_capacity(ANSWER_BYTES);
    render(app, caller, &tenant, answered, *arrived, &mut answer)?;
    began.into_iter().for_each(|began| times.observe(Step::Answer, began.elapsed()));
    Ok(answer)
}

async fn batch(app: &App, asked: &Asked<'_>, turn: Turn, slot: Option<Slot<'_>>) -> Result<Vec<u8>, Problem> {
    let Asked { caller, context, body, arrived, .. } = asked;
    let submission = |decoded| submission(app, decoded, asked, turn, &mut None);
    let whole = |error: FieldError| {
        app.dead_letter("http", &error, RecordKind::Request, body);
        Problem::from(&error)
    };
    let elements = app.decoder.decode_batch(body, context).map_err(whole)?;
    // The raw elements again, for the dead letters of those that are wrong.
    let raw: Vec<&RawValue> = serde_json::from_slice(body).unwrap_or_default();
    let mut outcomes: Vec<Option<Problem>> = Vec::with_capacity(elements.len());
    let mut submissions = Vec::with_capacity(elements.len());
    for (at, element) in elements.into_iter().enumerate() {
        let checked = match element {
            Ok(decoded) => caller.for_tenant(&decoded.tx.tenant).map(|()| decoded),
            Err(error) => {
                let bytes = raw.get(at).map_or(&[][..], |raw| raw.get().as_bytes());
                app.dead_letter("http", &error, RecordKind::Request, bytes);
                Err(Problem::from(&error))
            }
        };
        match checked {
            Ok(decoded) => {
                submissions.push(submission(decoded));
                outcomes.push(None);
            }
            Err(problem) => outcomes.push(Some(problem)),
        }
    }
    let tenants: Vec<Arc<str>> = submissions.iter().map(|(one, _)| one.event.tenant.clone()).collect();
    let mut answers = app.call_all(submissions, slot).await;
    for _ in 0..READ_AGAIN_MAX {
        let stale: Vec<usize> = (0..answers.len()).filter(|at| is_of_other_keys(&answers[*at])).collect();
        if stale.is_empty() {
            break;
        }
        let again = app.decoder.decode_batch(body, context).map_err(|error| Problem::from(&error))?;
        // As before: what is right was submitted, in order.
        let right = again.into_iter().filter_map(Result::ok);
        let right = right.filter(|decoded| caller.for_tenant(&decoded.tx.tenant).is_ok()).enumerate();
        let of_stale = right.filter(|(at, _)| stale.binary_search(at).is_ok());
        let submissions = of_stale.map(|(_, decoded)| submission(decoded)).collect();
        for (at, answered) in stale.iter().zip(app.call_all(submissions, None).await) {
            answers[*at] = answered;
        }
    }
    let mut answers = answers.into_iter().zip(tenants);
    let mut all = Vec::with_capacity(ANSWER_BYTES * outcomes.len());
    all.push(b'[');
    for (at, problem) in outcomes.into_iter().enumerate() {
        if at > 0 {
            all.push(b',');
        }
        let told = match problem {
            Some(problem) => Err(problem),
            None => {
                let (answered, tenant) = answers.next().expect("one answer a submission");
                render(app, caller, &tenant, answered, *arrived, &mut all)
            }
        };
        if let Err(problem) = told {
            write_json(&problem, &mut all);
        }
    }
    all.push(b']');
    Ok(all)
}

/// How often a request is read again since the tag keys were rotated while it was on its way: rotations are rarer.
const READ_AGAIN_MAX: usize = 3;

/// Whether a payment was read under other tag keys than those in force when its turn came. Nothing of it was taken.
fn is_of_other_keys(answered: &Answered) -> bool {
    matches!(answered, Answered::Refused(error) if error.kind == interdict_engine::ErrorKind::OtherKeys)
}

fn submission(
    app: &App,
    decoded: Decoded,
    asked: &Asked<'_>,
    turn: Turn,
    carried: &mut Option<Carried>,
) -> (Submission, Option<Instant>) {
    let tenant = decoded.tx.tenant.clone();
    let config = &app.node.loaded.config;
    let of_tenant = config.tenants.get(&*tenant).and_then(|section| section.deadline_ms);
    let deadline_ms = decoded.deadline_ms.or(of_tenant).unwrap_or(config.decision.deadline_ms);
    let arrival_ms = app.node.clock.wall_ms();
    app.metrics.skew(arrival_ms - decoded.tx.time_ms);
    let submission = from_decoded(decoded, arrival_ms);
    // What has no turn for its stages has no time for them.
    let deadline = if turn == Turn::Full { due(asked, deadline_ms) } else { asked.arrived };
    *carried = Some(Carried { tenant, deadline_ms });
    (submission, Some(deadline))
}

/// The submission of a decoded request that arrived at a time.
pub fn from_decoded(decoded: Decoded, arrival_ms: i64) -> Submission {
    Submission {
        refers_to: decoded.refers_to(),
        identity: decoded.id_key.map(|key| key.0),
        alias: decoded.id_alias.map(|key| key.0),
        payment_digest: decoded.payment_digest,
        event: Event {
            tenant: decoded.tx.tenant.clone(),
            arrival_ms,
            body: Body::Payment(Box::new(decoded.tx)),
        },
    }
}

/// Appends the answer to `out`; nothing of it where there is a problem instead.
fn render(
    app: &App,
    caller: &Caller,
    tenant: &str,
    answered: Answered,
    arrived: Instant,
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    let (answered, durable) = match answered {
        Answered::Early(answered) => (*answered, false),
        answered => (answered, true),
    };
    if !durable {
        app.metrics.undurable();
    }
    let meta = |replayed, recovered| Meta {
        latency_us: u64::try_from(arrived.elapsed().as_micros()).unwrap_or(u64::MAX),
        engine: ENGINE,
        replayed,
        recovered,
        durable,
        filtered: false,
        would_be: None,
    };
    let reader = caller.role.audience();
    match answered {
        Answered::Decided(settled) => {
            let source = Source::from(&*settled);
            app.metrics.decided("http", &source, arrived.elapsed());
            write_json(&source.answer(reader, meta(false, false)), out);
            Ok(())
        }
        Answered::Same(sequence) => {
            let given = app.node.given(sequence).map_err(internal)?;
            let given = given
                .filter(|given| *given.accepted.event.tenant == *tenant)
                .ok_or_else(|| Problem::new(StatusCode::GONE, "its verdict is no longer kept"))?;
            app.metrics.replayed();
            write_json(&source(&given).answer(reader, meta(true, given.recovered)), out);
            Ok(())
        }
        other => {
            app.metrics.refused(&other);
            Err(refusal(other))
        }
    }
}

/// What it came to with the stages that it lacks, where it was finished.
fn finished_source(given: &Given) -> Option<(&Finished, Source<'_>)> {
    let (finished, recalled) = given.finished.as_ref()?;
    let Finished { verdict, recorded, .. } = finished;
    Some((finished, Source { verdict, recorded, recalled, ..source(given) }))
}

fn source(given: &Given) -> Source<'_> {
    Source {
        verdict: &given.verdict,
        transaction: given.transaction(),
        features: &given.accepted.features,
        approximate: &given.accepted.approximate,
        view: &given.view,
        recalled: &given.recalled,
        recorded: &given.recorded,
        evidence: None,
    }
}

/// A verdict given before, with its explanation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Explained<'a> {
    /// The verdict.
    #[serde(flatten)]
    pub answer: Answer<'a>,
    /// What it came to with the stages that were skipped, where it was finished. The answer stays the verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<FinishedAnswer<'a>>,
    /// Its story in words; only for readers of internal reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Story>,
}

/// The verdict of an id, or of `@sequence`, with its explanation.
pub async fn read(State(app): State<Arc<App>>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    let arrived = Instant::now();
    let found = || -> Result<Response, Problem> {
        let caller = app.caller(&headers, Role::Read)?;
        let tenant = app.tenant(&headers, &caller)?;
        let by_number = |text: &str| {
            let wrong = |_| Problem::new(StatusCode::BAD_REQUEST, "expected @ and a sequence number");
            app.node.given(text.parse().map_err(wrong)?).map_err(internal)
        };
        let given = match (id.strip_prefix('@'), id.strip_prefix("seq-")) {
            (Some(number), _) => by_number(number)?,
            (None, number) => {
                let keys = app.decoder.identities_of(&tenant, &id).map(|key| key.0);
                let by_id = app.node.given_by_id(&tenant, keys).map_err(internal)?;
                match (by_id, number.filter(|n| n.bytes().all(|b| b.is_ascii_digit()))) {
                    (None, Some(number)) => by_number(number)?,
                    (found, _) => found,
                }
            }
        };
        let given = given
            .filter(|given| *given.accepted.event.tenant == *tenant)
            .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "no verdict is known under this id"))?;
        let meta = Meta {
            latency_us: u64::try_from(arrived.elapsed().as_micros()).unwrap_or(u64::MAX),
            engine: ENGINE,
            replayed: true,
            recovered: given.recovered,
            durable: !app.node.is_unwritten(given.verdict.sequence),
            filtered: false,
            would_be: None,
        };
        let reader = caller.role.audience();
        // The story has names, texts and internal reasons: it is for the risk team.
        let finished = finished_source(&given);
        let explanation = (reader == Audience::Internal).then(|| {
            let mut story = story::tell(&source(&given), &given.accepted, given.recovered, None);
            let told =
                finished.as_ref().map(|(finished, source)| story::told_finished(finished, Some(source)));
            told.into_iter().for_each(|told| story.finish(told));
            story
        });
        let answer = source(&given).answer(reader, meta.clone());
        let finished = finished
            .as_ref()
            .map(|(finished, source)| FinishedAnswer::of(finished, source.answer(reader, meta)));
        Ok(json(StatusCode::OK, &Explained { answer, finished, explanation }))
    };
    found().unwrap_or_else(IntoResponse::into_response)
}

/// A failure of ours, told without its inside; the log has it.
pub fn internal(error: anyhow::Error) -> Problem {
    tracing::error!(error = format!("{error:#}"), "a lookup failed");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the journal could not be read; see the log")
}

/// A JSON response.
pub fn json(status: StatusCode, value: &impl serde::Serialize) -> Response {
    let mut body = Vec::with_capacity(ANSWER_BYTES);
    write_json(value, &mut body);
    json_bytes(status, body)
}
/// A response of JSON that is bytes already.
fn json_bytes(status: StatusCode, body: Vec<u8>) -> Response {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}
fn write_json(value: &impl Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("an answer always encodes");
}
