//! `PUT` and `DELETE /v1/lists/{name}/entries`: deltas, all or nothing, seen by every later payment.

use super::auth::{Caller, Role};
use super::decisions::json;
use super::problem::Problem;
use super::{App, refusal};
use crate::node::Answered;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use interdict_engine::domain::{Body, Effect, Event, ListDelta};
use interdict_engine::packs::ListDecl;
use interdict_engine::rules::Class;
use interdict_engine::sequencer::Submission;
use interdict_ingest::FieldError;
use interdict_ingest::decode::entries::{decode_entries, decode_subjects};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// An override that names no end gets this one, since an override always has an expiry.
const OVERRIDE_DEFAULT_MS: i64 = 90 * 86_400_000;

/// What a delta came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Published {
    /// The first sequence that sees the delta.
    pub sequence: u64,
    /// The generation from then on.
    pub generation: String,
}

/// A list, as `GET /v1/lists` tells it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListRow {
    /// Its name.
    pub name: String,
    /// Whether every tenant sees it.
    pub shared: bool,
    /// What a block means.
    pub block_outcome: &'static str,
    /// Reason code.
    pub code: String,
    /// Entries in force, of the base and of deltas.
    pub entries: usize,
}

/// The lists a tenant sees.
pub async fn all(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let rows = || -> Result<Response, Problem> {
        let caller = app.caller(&headers, Role::Read)?;
        let tenant = app.tenant(&headers, &caller)?;
        let view = app.node.view();
        let lists = view.lists();
        let rows: Vec<ListRow> = (0..lists.len() as u16)
            .filter_map(|number| lists.list_meta(number).map(|meta| (number, meta)))
            .filter(|(_, meta)| meta.is_seen_by(&tenant))
            .map(|(number, meta)| ListRow {
                name: meta.name.clone(),
                shared: meta.shared,
                block_outcome: meta.block_outcome.name(),
                code: meta.code.clone(),
                entries: lists.entries(number).len(),
            })
            .collect();
        Ok(json(StatusCode::OK, &rows))
    };
    rows().unwrap_or_else(IntoResponse::into_response)
}

/// Adds entries; the first call makes the list.
pub async fn add(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(name): Path<String>,
    body: Bytes,
) -> Response {
    change(&app, &headers, name, &body, false).await.unwrap_or_else(IntoResponse::into_response)
}

/// Ends entries.
pub async fn remove(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(name): Path<String>,
    body: Bytes,
) -> Response {
    change(&app, &headers, name, &body, true).await.unwrap_or_else(IntoResponse::into_response)
}

async fn change(
    app: &App,
    headers: &HeaderMap,
    name: String,
    body: &Bytes,
    removes: bool,
) -> Result<Response, Problem> {
    let caller = app.caller(headers, Role::Risk)?;
    let tenant = app.tenant(headers, &caller)?;
    let delta = delta(app, &caller, &tenant, name, body, removes).map_err(|errors| {
        app.metrics.rejected("http", "list_delta");
        Problem::all(&errors)
    })?;
    let most = app.node.loaded.config.tenants.get(&tenant).and_then(|section| section.list_entries);
    let _counted = match most.filter(|_| !delta.shared && !delta.add.is_empty()) {
        Some(most) => {
            let alone = app.node.list_quota.lock().await;
            within_quota(app, &tenant, &delta, most)?;
            Some(alone)
        }
        None => None,
    };
    let changes = delta.add.len() + delta.remove.len();
    let (list, arrival_ms) = (delta.list.clone(), app.node.clock.wall_ms());
    let event = Event { tenant: tenant.as_str().into(), arrival_ms, body: Body::ListDelta(Box::new(delta)) };
    let submission = Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None };
    match app.call(submission, None, None).await {
        Answered::Noted(accepted) => {
            app.node.list_changed(&list, arrival_ms);
            tracing::info!(caller = caller.name, changes, sequence = accepted.sequence, "list delta");
            let published =
                Published { sequence: accepted.sequence + 1, generation: accepted.generation.to_string() };
            Ok(json(StatusCode::OK, &published))
        }
        other => Err(refusal(other)),
    }
}

/// Whether a tenant's own lists stay within its quota with what a delta adds; an entry in another's place adds none.
fn within_quota(app: &App, tenant: &str, delta: &ListDelta, most: usize) -> Result<(), Problem> {
    let view = app.node.view();
    let lists = view.lists();
    let own = (0..lists.len() as u16)
        .filter(|number| lists.list_meta(*number).is_some_and(|meta| meta.tenant.as_deref() == Some(tenant)));
    let mut held: usize = own.map(|number| lists.live(number)).sum();
    let list = lists.number(&delta.list, Some(tenant));
    for (at, entry) in delta.add.iter().enumerate() {
        let replaces = list.is_some_and(|list| lists.entry_of(list, &entry.subject).is_some());
        held += usize::from(!replaces);
        if held > most {
            app.metrics.not_admitted("lists");
            let expected = format!("at most {most} entries in the tenant's own lists together");
            let detail = format!("entry {} would be one too many; nothing was changed", at + 1);
            return Err(Problem {
                field: Some(format!("[{at}]")),
                expected: Some(expected),
                ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
            });
        }
    }
    Ok(())
}

fn delta(
    app: &App,
    caller: &Caller,
    tenant: &str,
    name: String,
    body: &[u8],
    removes: bool,
) -> Result<ListDelta, Vec<FieldError>> {
    let view = app.node.view();
    // A tenant's own list of that name comes first; a name that only the shared lists have means the shared one, but
    // not for a key that is bound to a tenant: what that one changes is its tenant's own. A new list is shared where
    // the default tenant makes it, since a node with one institution has no other.
    let lists = view.lists();
    let found = match caller.tenant {
        Some(_) => lists.number(&name, Some(tenant)),
        None => lists.find(&name, tenant),
    };
    let existing = found.and_then(|number| lists.list_meta(number));
    let shared = existing.map_or(tenant == "default" && caller.tenant.is_none(), |meta| meta.shared);
    // A list that this delta makes is what the packs expect of its name.
    let declared = || ListDecl::find(view.generation().packs(), &name);
    let sanctions = match existing {
        Some(meta) => meta.sanctions,
        None => declared().is_some_and(|declared| declared.class == Class::Sanctions),
    };
    let keys = app.decoder.keys();
    let of_tenant = keys.tenant(tenant);
    let key = if shared { keys.shared() } else { of_tenant.lists() };
    let mut delta = ListDelta { list: name, shared, add: Vec::new(), remove: Vec::new() };
    if removes {
        delta.remove = decode_subjects(body, key)?;
    } else {
        delta.add = decode_entries(body, key, &caller.name)?;
        let expires = app.node.clock.wall_ms() + OVERRIDE_DEFAULT_MS;
        for entry in &mut delta.add {
            // An override never cancels a sanctions entry, whatever a caller says.
            entry.overridable &= !sanctions;
            if entry.effect == Effect::Override {
                entry.valid_to_ms.get_or_insert(expires);
            }
        }
    }
    Ok(delta)
}
