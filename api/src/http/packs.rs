//! `GET`/`POST /v1/packs` and `POST /v1/generations`: what is in force, an uploaded pack archive, and publication.

use super::App;
use super::auth::Role;
use super::decisions::json;
use super::problem::Problem;
use crate::node::Unwritable;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use interdict_engine::generation::hex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A pack in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct PackRow {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Owner.
    pub owner: String,
    /// Live and shadow rules.
    pub rules: usize,
    /// SHA-256 of its archive.
    pub sha256: String,
}

/// The packs in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct Packs {
    /// The generation.
    pub generation: String,
    /// Its packs.
    pub packs: Vec<PackRow>,
}

/// An uploaded pack, checked and kept for the next publication.
#[derive(Debug, Serialize, ToSchema)]
pub struct Uploaded {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
}

/// What is to be published: the configuration and uploaded packs as they are now, unless a generation is named.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// One that was in force before, as answers write it: to roll back.
    pub generation: Option<String>,
}

/// A publication.
#[derive(Debug, Serialize, ToSchema)]
pub struct Publication {
    /// The generation now in force.
    pub generation: String,
}

/// The packs in force.
pub async fn all(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let rows = || -> Result<Response, Problem> {
        app.caller(&headers, Role::Read)?;
        let view = app.node.view();
        let packs = view.generation().packs().iter().map(|pack| PackRow {
            name: pack.name().to_owned(),
            version: pack.manifest.version.clone(),
            owner: pack.manifest.owner.clone(),
            rules: pack.rules.len(),
            sha256: hex(&pack.content_hash()),
        });
        Ok(json(StatusCode::OK, &Packs { generation: view.id().to_string(), packs: packs.collect() }))
    };
    rows().unwrap_or_else(IntoResponse::into_response)
}

/// Checks, tests and keeps a pack archive (`interdict packs build`).
pub async fn upload(State(app): State<Arc<App>>, request: Request) -> Response {
    // Asked first: nobody else may have as much as a pack's bytes read.
    let caller = match app.caller(request.headers(), Role::Risk) {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let body = match Bytes::from_request(request, &app).await {
        Ok(body) => body,
        Err(refused) => return refused.into_response(),
    };
    let uploaded = || -> Result<Response, Problem> {
        let wrong = |e: anyhow::Error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{e:#}"));
        let (name, version) = app.node.upload_pack(&body).map_err(wrong)?;
        tracing::info!(caller = caller.name, pack = name, version, "pack uploaded");
        Ok(json(StatusCode::OK, &Uploaded { name, version }))
    };
    uploaded().unwrap_or_else(IntoResponse::into_response)
}

/// Publishes configuration and uploaded packs as they are now, or a generation that was in force before.
pub async fn publish(State(app): State<Arc<App>>, request: Request) -> Response {
    let caller = match app.caller(request.headers(), Role::Risk) {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let body = match Bytes::from_request(request, &app).await {
        Ok(body) => body,
        Err(refused) => return refused.into_response(),
    };
    let wanted = if body.is_empty() { Ok(None) } else { serde_json::from_slice::<Option<Wanted>>(&body) };
    let wanted = match wanted {
        Ok(wanted) => wanted.unwrap_or_default(),
        Err(e) => return Problem::new(StatusCode::BAD_REQUEST, e.to_string()).into_response(),
    };
    // Building reads folders and compiles rules: off the I/O threads.
    let (node, began) = (app.node.clone(), std::time::Instant::now());
    let publishing = move || match &wanted.generation {
        Some(name) => node.publish_kept(name, node.clock.wall_ms()),
        None => node.publish_current(node.clock.wall_ms()),
    };
    let published = tokio::task::spawn_blocking(publishing).await;
    match published {
        Ok(Ok(generation)) => {
            app.metrics.reloaded(true, began.elapsed());
            tracing::info!(caller = caller.name, generation = generation.to_string(), "generation published");
            json(StatusCode::OK, &Publication { generation: generation.to_string() })
        }
        Ok(Err(error)) => {
            app.metrics.reloaded(false, began.elapsed());
            match error.downcast_ref::<Unwritable>() {
                Some(unwritable) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, unwritable.to_string()),
                None => {
                    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{error:#}; nothing was changed"))
                }
            }
            .into_response()
        }
        Err(_) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the publication panicked").into_response(),
    }
}
