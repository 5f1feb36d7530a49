//! `POST /v1/labels`: chargebacks and confirmations, each an event of its own.

use super::auth::Role;
use super::decisions::{internal, json};
use super::problem::Problem;
use super::{App, refusal};
use crate::node::Answered;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use interdict_engine::domain::{Body, Event};
use interdict_engine::sequencer::Submission;
use interdict_ingest::dead_letter::RecordKind;
use interdict_ingest::decode::labels::{LabelItem, LabelTarget};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;
use utoipa::ToSchema;

/// What became of a label.
#[derive(Debug, Serialize, ToSchema)]
pub struct Labelled {
    /// The payment it is about.
    pub sequence: u64,
    /// The label's own place in the one order; later payments' features count it.
    pub label_sequence: u64,
}

/// Takes labels; an array gives an array in the same order, each element a result or a problem.
pub async fn label(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    match label_inner(&app, &headers, &body).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn label_inner(app: &App, headers: &HeaderMap, body: &Bytes) -> Result<Response, Problem> {
    let caller = app.caller(headers, Role::Submit)?;
    let tenant = app.tenant(headers, &caller)?;
    let labels = app.decoder.decode_labels(body, &tenant).map_err(|error| {
        app.dead_letter("http", &error, RecordKind::Label, body);
        Problem::from(&error)
    })?;
    let arrival_ms = app.node.clock.wall_ms();
    let mut problems = Vec::with_capacity(labels.len());
    let mut submissions = Vec::with_capacity(labels.len());
    for label in labels {
        match label {
            Ok(mut item) => {
                if let LabelTarget::Id(id, key) = &mut item.target {
                    // An unknown id stays the request's: its payment may be on its way, before this in the queue.
                    let keys = app.decoder.identities_of(&tenant, id).map(|key| key.0);
                    key.0 = app.node.known(&tenant, keys).map_or(key.0, |(known, _)| known);
                }
                match checked(app, &tenant, &item) {
                    Ok(()) => {
                        submissions.push((submission(&tenant, item, arrival_ms), None));
                        problems.push(None);
                    }
                    Err(problem) => problems.push(Some(problem)),
                }
            }
            Err(error) => {
                app.metrics.rejected("http", error.status.name());
                problems.push(Some(Problem::from(&error)));
            }
        }
    }
    let mut answers = app.call_all(submissions, None).await.into_iter();
    let rendered: Vec<Box<RawValue>> = problems
        .into_iter()
        .map(|problem| match problem {
            Some(problem) => to_raw_value(&problem),
            None => match answers.next().expect("one answer a submission") {
                Answered::Noted(accepted) => match accepted.event.body {
                    Body::Label { target, .. } => {
                        to_raw_value(&Labelled { sequence: target, label_sequence: accepted.sequence })
                    }
                    _ => unreachable!("a label stays one"),
                },
                other => to_raw_value(&refusal(other)),
            },
        })
        .map(|raw| raw.expect("an answer always encodes"))
        .collect();
    Ok(json(StatusCode::OK, &rendered))
}

/// Whether a label's sequence is a payment of its tenant: anybody can guess a number, as nobody can an id.
fn checked(app: &App, tenant: &str, item: &LabelItem) -> Result<(), Problem> {
    let LabelTarget::Sequence(sequence) = item.target else { return Ok(()) };
    match app.node.tenant_of(sequence).map_err(internal)? {
        Some(of) if *of == *tenant => Ok(()),
        _ => Err(Problem::new(StatusCode::NOT_FOUND, format!("no payment has sequence {sequence}"))),
    }
}

/// The submission of a label.
pub fn submission(tenant: &str, item: LabelItem, arrival_ms: i64) -> Submission {
    let (target, refers_to) = match item.target {
        LabelTarget::Id(_, key) => (0, Some(key.0.into())),
        LabelTarget::Sequence(sequence) => (sequence, None),
    };
    let body = Body::Label { target, label: item.label, time_ms: item.time_ms };
    let event = Event { tenant: tenant.into(), arrival_ms, body };
    Submission { event, identity: None, alias: None, payment_digest: 0, refers_to }
}
