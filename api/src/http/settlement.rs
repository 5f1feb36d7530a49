//! `POST /v1/settlement/clear`: which payments may settle. What each is told is an event of the journal before it is an
//! answer, and what has been told to go is told so again.

use super::auth::Role;
use super::decisions::{internal, json};
use super::problem::Problem;
use super::{App, refusal};
use crate::node::clearing::Fact;
use crate::node::{Answered, Node};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use interdict_engine::domain::{Body, Clear, ClearState, Cleared, Event};
use interdict_engine::limits::{CLEAR_EVENT_MAX, CLEAR_IDS_MAX};
use interdict_engine::sequencer::Submission;
use interdict_ingest::Decoder;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use utoipa::ToSchema;

/// How long a payment's verdict is waited for that is on its way; without one by then it is held.
const VERDICT_WAIT: Duration = Duration::from_millis(250);
/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What is asked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClearRequest {
    /// The payments, by the client's ids, as `@SEQUENCE`, or by sequence; at most 10,000.
    #[schema(value_type = Vec<String>)]
    ids: Vec<AskedId>,
}

/// A payment as somebody names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
enum AskedId {
    Text(Box<str>),
    Sequence(u64),
}

impl<'de> Deserialize<'de> for AskedId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AskedId, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = AskedId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id or a sequence")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<AskedId, E> {
                Ok(AskedId::Text(text.into()))
            }
            fn visit_u64<E: de::Error>(self, sequence: u64) -> Result<AskedId, E> {
                Ok(AskedId::Sequence(sequence))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl AskedId {
    /// The sequence that it is by itself, whatever ids there are.
    fn sequence(&self) -> Option<u64> {
        match self {
            AskedId::Sequence(sequence) => Some(*sequence),
            AskedId::Text(text) => number(text.strip_prefix('@')?),
        }
    }
    /// The sequence that it is where no payment has it as its id.
    fn made_up(&self) -> Option<u64> {
        match self {
            AskedId::Text(text) => number(text.strip_prefix("seq-")?),
            AskedId::Sequence(_) => None,
        }
    }
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// What the gate says.
#[derive(Serialize, ToSchema)]
pub struct ClearAnswer {
    /// In the order asked.
    results: Vec<ClearResult>,
    /// All payments have been judged by everything that was learned up to this sequence.
    hunted_through: u64,
}

/// What the gate says of a payment. What has no `go` is not settled.
#[derive(Serialize, ToSchema)]
pub struct ClearResult {
    /// As it was asked for.
    #[schema(value_type = String)]
    id: AskedId,
    /// go, held, too_late or unknown.
    state: &'static str,
    /// Whether it has `go` by the declared default, though not all that counts for it was hunted by then.
    flagged: bool,
}

/// Says of each payment whether it may settle.
pub async fn clear(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    clear_inner(&app, &headers, &body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn clear_inner(app: &Arc<App>, headers: &HeaderMap, body: &Bytes) -> Result<Response, Problem> {
    let caller = app.caller(headers, Role::Submit)?;
    let tenant: Arc<str> = app.tenant(headers, &caller)?.into();
    let ready = app.node.ready();
    ready.map_err(|why| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why))?;
    let ids = read(body)?;
    let (of, whose) = (app.clone(), tenant.clone());
    // It reads the journal, and may wait for verdicts.
    let found = tokio::task::spawn_blocking(move || {
        let asked = Asked::find(&of, &whose, &ids);
        (ids, asked)
    });
    let (ids, asked) = found.await.map_err(|e| internal(e.into()))?;
    let Asked { places, mut payments } = asked.map_err(internal)?;
    let mut hunted_through = None;
    // One after the other, so that payments come between.
    for payments in payments.chunks_mut(CLEAR_EVENT_MAX) {
        let answered = app.call(submission(app, &tenant, payments), None, None).await;
        let clear = match answered {
            Answered::Noted(accepted) => match accepted.event.body {
                Body::Clear(clear) => clear,
                _ => unreachable!("what is asked at the gate stays so"),
            },
            other => return Err(refusal(other)),
        };
        payments.copy_from_slice(&clear.payments);
        hunted_through =
            Some(hunted_through.map_or(clear.hunted_through, |n: u64| n.min(clear.hunted_through)));
    }
    let hunted_through =
        hunted_through.unwrap_or_else(|| app.node.with_core(|core| core.sequencer.book().hunted_through()));
    let unknown = places.iter().filter(|place| place.is_none()).count();
    app.node.clearing.unknown(unknown as u64);
    let results = ids.into_iter().zip(places).map(|(id, place)| {
        let (state, flagged) =
            place.map_or((ClearState::Unknown, false), |at| (payments[at].state, payments[at].flagged));
        ClearResult { id, state: state.name(), flagged }
    });
    Ok(json(StatusCode::OK, &ClearAnswer { results: results.collect(), hunted_through }))
}

/// The ids of a body. Its errors quote nothing of it: an id may be what it should not be.
fn read(body: &[u8]) -> Result<Vec<AskedId>, Problem> {
    let expected = format!("{{\"ids\": [...]}}, at most {CLEAR_IDS_MAX} ids or sequences");
    let wrong = |status, what: String| Problem {
        field: Some("ids".into()),
        expected: Some(expected.clone()),
        ..Problem::new(status, what)
    };
    let request: ClearRequest = serde_json::from_slice(body).map_err(|e| match e.is_data() {
        true => wrong(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("ids: expected {expected}; byte {} of line {}", e.column(), e.line()),
        ),
        false => {
            wrong(StatusCode::BAD_REQUEST, format!("no JSON at byte {} of line {}", e.column(), e.line()))
        }
    })?;
    match request.ids.len() {
        len if len > CLEAR_IDS_MAX => {
            Err(wrong(StatusCode::PAYLOAD_TOO_LARGE, format!("{len} ids, limit {CLEAR_IDS_MAX}")))
        }
        _ => Ok(request.ids),
    }
}

/// What is asked at the gate.
struct Asked {
    /// Of each id the payment's place; `None`: there is no such payment of the tenant.
    places: Vec<Option<usize>>,
    /// The payments, each once.
    payments: Vec<Cleared>,
}

impl Asked {
    fn find(app: &App, tenant: &str, ids: &[AskedId]) -> anyhow::Result<Asked> {
        let sequences = sequences(&app.node, &app.decoder, tenant, ids);
        let mut wanted: Vec<u64> = sequences.iter().copied().flatten().collect();
        wanted.sort_unstable();
        wanted.dedup();
        let facts = facts(&app.node, &wanted)?;
        let facts = wanted.into_iter().zip(facts);
        let of_tenant = facts
            .filter_map(|(sequence, fact)| Some((sequence, fact.filter(|fact| *fact.tenant == *tenant)?)));
        // In the order of their sequences, so each is found again.
        let payments: Vec<Cleared> = of_tenant.map(|(sequence, fact)| asked(sequence, &fact)).collect();
        let place = |sequence: &u64| payments.binary_search_by_key(sequence, |one| one.sequence).ok();
        let places = sequences.iter().map(|sequence| sequence.as_ref().and_then(place)).collect();
        Ok(Asked { places, payments })
    }
}

/// Which sequence each id is.
fn sequences(node: &Node, decoder: &Decoder, tenant: &str, ids: &[AskedId]) -> Vec<Option<u64>> {
    let mut found: Vec<Option<u64>> = ids.iter().map(AskedId::sequence).collect();
    // Most ids are a request's, which has one identity as a rule: the others are made only for what is not found by it.
    for first in [true, false] {
        let of = |text: &str| match first {
            true => vec![decoder.identity_of(tenant, text).0],
            false => decoder.identities_of(tenant, text).map(|key| key.0).collect(),
        };
        let (mut places, mut keys) = (Vec::new(), Vec::new());
        for (at, id) in ids.iter().enumerate().filter(|(at, _)| found[*at].is_none()) {
            if let AskedId::Text(text) = id
                && !text.starts_with('@')
            {
                places.push(at);
                keys.push(of(text));
            }
        }
        for (at, sequence) in places.into_iter().zip(node.known_together(tenant, &keys)) {
            found[at] = sequence;
        }
    }
    for (found, id) in found.iter_mut().zip(ids).filter(|(found, _)| found.is_none()) {
        *found = id.made_up();
    }
    found
}

/// The facts of sequences; a verdict that is on its way is waited for.
fn facts(node: &Node, wanted: &[u64]) -> anyhow::Result<Vec<Option<Fact>>> {
    let until = Instant::now() + VERDICT_WAIT;
    loop {
        let facts = node.clearing.facts(wanted)?;
        let waits = facts.iter().flatten().any(|fact| fact.settles.is_none());
        if !waits || Instant::now() >= until {
            return Ok(facts);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A payment as it is asked for: with `go`, unless its verdict rules that out, or it has none.
fn asked(sequence: u64, fact: &Fact) -> Cleared {
    let state = if fact.settles == Some(true) { ClearState::Go } else { ClearState::Held };
    Cleared { sequence, cut_off_ms: fact.cut_off_ms, lacks: fact.lacks, state, flagged: false }
}

fn submission(app: &App, tenant: &Arc<str>, payments: &[Cleared]) -> Submission {
    // The sequencer says what is not said here.
    let clear = Clear { horizon_ms: 0, unhunted_goes: false, hunted_through: 0, payments: payments.to_vec() };
    let (arrival_ms, body) = (app.node.clock.wall_ms(), Body::Clear(Box::new(clear)));
    let event = Event { tenant: tenant.clone(), arrival_ms, body };
    Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_text_or_a_number_and_errors_quote_nothing() {
        let ids = read(br#"{"ids": ["a", "@17", 17, "seq-17", "@+17", "@", "seq-x"]}"#).unwrap();
        let sequences: Vec<_> = ids.iter().map(|id| (id.sequence(), id.made_up())).collect();
        let none = (None, None);
        let expected = [none, (Some(17), None), (Some(17), None), (None, Some(17)), none, none, none];
        assert_eq!(sequences, expected);
        assert_eq!(serde_json::to_string(&ids[1..3]).unwrap(), r#"["@17",17]"#);
        for (wrong, status) in [
            (r#"{"ids": ["4539148803436467", -1]}"#, 422),
            (r#"{"ids": ["4539148803436467", {}]}"#, 422),
            (r#"{"ids": "4539148803436467"}"#, 422),
            (r#"{"ids": [], "4539148803436467": 1}"#, 422),
            (r#"{}"#, 422),
            (r#"["4539148803436467"]"#, 422),
            (r#"{"ids": ["4539148803436467""#, 400),
            ("", 400),
        ] {
            let problem = read(wrong.as_bytes()).err().unwrap();
            assert_eq!(problem.status, status, "{wrong}");
            assert!(!problem.detail.contains("4539"), "{}", problem.detail);
        }
        let many = |count: usize| serde_json::json!({"ids": vec![7; count]}).to_string();
        assert_eq!(read(many(CLEAR_IDS_MAX).as_bytes()).unwrap().len(), CLEAR_IDS_MAX);
        assert_eq!(read(many(CLEAR_IDS_MAX + 1).as_bytes()).err().unwrap().status, 413);
    }
}
