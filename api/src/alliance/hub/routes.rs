//! The hub's paths below `/alliance/v1/`: bytes in, bytes out, each with its bound; what is slow runs on threads of its own.

use super::entry::{Caller, Entry, body, enter};
use super::epoch::{DELTA, Epochs, MANIFEST, SNAPSHOT};
use super::evaluate::{Asking, QUERY_BYTES_MAX, evaluate};
use super::state::{Hub, PROPOSAL_BYTES_MAX, Proposed, now_ms};
use crate::http::problem::Problem;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router, middleware};
use interdict_consortium::bill::filing::{self, Filed};
use interdict_consortium::bill::governed;
use interdict_consortium::error::{Error, ErrorKind};
use interdict_consortium::limits::OPENINGS_MAX;
use interdict_consortium::member::{Role, Roles};
use interdict_consortium::note::Note;
use interdict_consortium::query::opening::encode_all;
use interdict_consortium::signal::row::ROW_BYTES;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Longest contribution, in bytes: its manifest and a body of all rows and texts that a contribution may have.
pub const CONTRIBUTION_BYTES_MAX: usize = 4
    + PROPOSAL_BYTES_MAX
    + 64
    + interdict_consortium::limits::CONTRIBUTION_ROWS_MAX * ROW_BYTES
    + (16 << 20);

/// What the handlers share.
pub struct App {
    /// Registry, logs, folder.
    pub hub: Arc<Hub>,
    /// Epochs.
    pub epochs: Arc<Epochs>,
    /// The writer of queries.
    pub asking: Arc<Asking>,
    /// Threads that work at once: more would take turns on the same cores, and hold as many bodies in memory.
    pub working: Semaphore,
    /// One statement is kept at a time.
    pub filing: parking_lot::Mutex<()>,
}

type Shared = State<Arc<App>>;
type Reply = Result<Response, Problem>;
type Read = Result<Bytes, BytesRejection>;

/// All paths, behind the entry.
pub fn router(app: Arc<App>, entry: Arc<Entry>) -> Router {
    let mut routes = Router::new();
    for log in ["governance", "queries"] {
        let at = |path: &str| format!("/alliance/v1/{log}/{path}");
        routes = routes
            .route(&at("checkpoint"), get(move |State(app): Shared| async move { checkpoint(&app, log) }))
            .route(&at("cosigned"), get(move |State(app): Shared| async move { cosigned(&app, log) }))
            .route(&at("offered"), get(move |State(app): Shared| async move { offered(&app, log) }))
            .route(
                &at("tile/{*path}"),
                get(move |State(app): Shared, Path(path): Path<String>| tile(app, log, path)),
            );
    }
    routes
        .route("/alliance/v1/propose", post(propose).layer(DefaultBodyLimit::max(PROPOSAL_BYTES_MAX)))
        .route("/alliance/v1/pending", get(pending))
        .route(
            "/alliance/v1/contribute",
            post(contribute).layer(DefaultBodyLimit::max(CONTRIBUTION_BYTES_MAX)),
        )
        .route("/alliance/v1/body/{sha256}", get(contributed))
        .route("/alliance/v1/epoch/latest", get(latest))
        .route("/alliance/v1/epoch/waiting", get(waiting))
        .route("/alliance/v1/epoch/{number}/{file}", get(epoch_file))
        .route(
            "/alliance/v1/epoch/{number}/cosign",
            post(cosign).layer(DefaultBodyLimit::max(PROPOSAL_BYTES_MAX)),
        )
        .route("/alliance/v1/evaluate", post(evaluated).layer(DefaultBodyLimit::max(QUERY_BYTES_MAX)))
        .route("/alliance/v1/add-checkpoint", post(add_checkpoint).layer(DefaultBodyLimit::max(64 << 10)))
        .route("/alliance/v1/openings/{range}", get(openings))
        .route("/alliance/v1/usage", post(propose).layer(DefaultBodyLimit::max(PROPOSAL_BYTES_MAX)))
        .route("/alliance/v1/statement/{period}", get(statement).post(keep_statement))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "no such path"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method")
        })
        .layer(middleware::from_fn_with_state(entry, enter))
        .with_state(app)
}

/// Runs what computes or waits for the disk on a thread of its own.
async fn work<T: Send + 'static>(
    app: &Arc<App>,
    with: impl FnOnce(&App) -> Result<T, Error> + Send + 'static,
) -> Result<T, Problem> {
    let failed = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the hub is ending");
    let permit = app.working.acquire().await.map_err(failed)?;
    let working = app.clone();
    let done = tokio::task::spawn_blocking(move || with(&working)).await;
    drop(permit);
    let done = done.map_err(|_| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the hub has a fault; its log says more")
    })?;
    done.map_err(Problem::from)
}

fn note_of(bytes: &[u8]) -> Result<Note, Error> {
    Note::parse(bytes)
}

fn text(note: Option<Note>) -> Reply {
    let none = || Problem::new(StatusCode::NOT_FOUND, "there is none yet");
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], note.ok_or_else(none)?.encode())
        .into_response())
}

fn bytes(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response()
}

fn book<'a>(app: &'a App, log: &str) -> &'a super::book::Book {
    if log == "governance" { &app.hub.governance } else { &app.hub.queries }
}

fn checkpoint(app: &App, log: &str) -> Reply {
    text(book(app, log).published())
}

fn cosigned(app: &App, log: &str) -> Reply {
    text(book(app, log).cosigned())
}

fn offered(app: &App, log: &str) -> Reply {
    text(book(app, log).offered(now_ms()))
}

async fn tile(app: Arc<App>, log: &'static str, path: String) -> Reply {
    let tile = work(&app, move |app| book(app, log).tile(&format!("tile/{path}"))).await?;
    // Whole ones never change.
    Ok(bytes(tile))
}

async fn propose(State(app): Shared, read: Read) -> Reply {
    let read = body(read)?;
    let proposed = work(&app, move |app| app.hub.propose(&note_of(&read)?)).await?;
    Ok(match proposed {
        Proposed::Leaf(leaf, applied) => {
            (StatusCode::OK, axum::Json(json!({"leaf": leaf, "applied": format!("{applied:?}")})))
                .into_response()
        }
        Proposed::Waits(missing) => {
            (StatusCode::ACCEPTED, axum::Json(json!({"pending": true, "missing": missing}))).into_response()
        }
    })
}

/// The notes that wait, each behind its length (u32, big endian).
async fn pending(State(app): Shared) -> Response {
    let mut out = Vec::new();
    for note in app.hub.pending() {
        let note = note.encode();
        out.extend_from_slice(&(note.len() as u32).to_be_bytes());
        out.extend_from_slice(note.as_bytes());
    }
    bytes(out)
}

/// A length (u32, big endian), the manifest's note, the body.
async fn contribute(State(app): Shared, Extension(caller): Extension<Caller>, read: Read) -> Reply {
    caller.must_be(&[Role::Contributor])?;
    let read = body(read)?;
    let promise = work(&app, move |app| {
        let malformed = || {
            Error::new(
                ErrorKind::Malformed,
                "a contribution is a length (u32), its manifest's note, and its body",
            )
        };
        let (length, rest) = read.split_first_chunk::<4>().ok_or_else(malformed)?;
        let (note, body) =
            rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(malformed)?;
        app.hub.contribute(&note_of(note)?, body, &caller)
    });
    text(Some(promise.await?))
}

async fn contributed(State(app): Shared, Path(sha256): Path<String>) -> Reply {
    let is_hash =
        sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !is_hash {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "expected a SHA-256 in lower-case hex"));
    }
    let found = work(&app, move |app| {
        let none = || Error::new(ErrorKind::NotFound, "no such body");
        let read = app.hub.bodies.read(&sha256).map_err(|e| super::state::storage(&e.into()))?;
        read.ok_or_else(none)
    });
    Ok(bytes(found.await?))
}

async fn latest(State(app): Shared) -> Reply {
    text(app.epochs.latest())
}

async fn waiting(State(app): Shared) -> Reply {
    text(app.epochs.waiting())
}

async fn epoch_file(State(app): Shared, Path((number, file)): Path<(u64, String)>) -> Reply {
    let name = [MANIFEST, SNAPSHOT, DELTA].into_iter().find(|name| *name == file);
    let name =
        name.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "expected manifest, snapshot or delta"))?;
    Ok(bytes(work(&app, move |app| app.epochs.file(number, name)).await?))
}

async fn cosign(State(app): Shared, Path(number): Path<u64>, read: Read) -> Reply {
    let read = body(read)?;
    let done = work(&app, move |app| app.epochs.cosign(&app.hub, number, &note_of(&read)?)).await?;
    Ok(axum::Json(json!({"quorum": done})).into_response())
}

async fn evaluated(State(app): Shared, Extension(caller): Extension<Caller>, read: Read) -> Reply {
    caller.must_be(&[Role::Consumer, Role::Contributor, Role::Authority])?;
    let read = body(read)?;
    let answer = work(&app, move |app| evaluate(&app.hub, &app.epochs, &app.asking, &caller, &read)).await?;
    Ok(bytes(answer))
}

/// A checkpoint as the member has seen it, with its cosignature or without: one that the log does not extend stops the hub.
async fn add_checkpoint(State(app): Shared, read: Read) -> Reply {
    let read = body(read)?;
    let count = work(&app, move |app| {
        let note = note_of(&read)?;
        app.hub.compare(&note)?;
        let registry = app.hub.registry();
        let witnesses = registry.witnesses();
        let is_by = |name: &str, id| witnesses.iter().any(|key| key.name() == name && key.id() == id);
        if !note.signatures().iter().any(|signature| is_by(&signature.name, signature.key_id)) {
            return Ok(0);
        }
        let enough = usize::from(registry.rules().epoch_cosigners_min);
        let origin = note.text().lines().next().unwrap_or_default();
        app.hub.book(origin)?.cosign(&note, &witnesses, enough, now_ms())
    });
    Ok(axum::Json(json!({"cosignatures": count.await?})).into_response())
}

async fn openings(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(range): Path<String>,
) -> Reply {
    let parsed = range.split_once('-').and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    let range: std::ops::Range<u64> = parsed
        .ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, "expected FROM-TO, two numbers of leaves"))?;
    if range.end.saturating_sub(range.start) > OPENINGS_MAX as u64 {
        let message = format!("more than {OPENINGS_MAX} leaves at once");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    let found = work(&app, move |app| {
        let all = app.asking.openings(range)?;
        let sees_all = caller.roles.has_any(Roles::of(&[Role::Auditor, Role::Operator]));
        let own = all.iter().filter(|(_, opening)| sees_all || opening.query.member == caller.id);
        encode_all(own.map(|(index, opening)| (*index, opening)))
    });
    Ok(bytes(found.await?))
}

/// A record of a bill by its place (`PERIOD_NUMBER_settlement`, `…_statement_MEMBER`), or a period's newest settlement.
async fn statement(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Reply {
    let found = work(&app, move |app| {
        let files = app.hub.held.files("statements").map_err(|e| super::state::storage(&e))?;
        let names = files.list("").map_err(|e| super::state::storage(&e.into()))?;
        let none = || Error::new(ErrorKind::NotFound, "no such statement");
        let filed = Filed::by_name(&name)
            .or_else(|| filing::newest(names.iter().map(String::as_str), &name, filing::What::Settlement));
        let filed = filed.ok_or_else(none)?;
        let sees_all = caller.roles.has_any(Roles::of(&[Role::Auditor, Role::Operator]));
        if !filed.what.may_be_read_by(caller.id, sees_all) {
            return Err(Error::new(ErrorKind::Forbidden, "this statement is another member's"));
        }
        let read = files.read(&filed.to_string()).map_err(|e| super::state::storage(&e.into()))?;
        read.ok_or_else(none)
    });
    Ok(bytes(found.await?))
}

/// Keeps a settlement, a statement or a dispute, or adds signatures to one that is kept.
async fn keep_statement(State(app): Shared, Path(period): Path<String>, read: Read) -> Reply {
    let read = body(read)?;
    let count = work(&app, move |app| {
        let note = note_of(&read)?;
        let filed = Filed::of(note.text())?;
        if filed.period != period {
            return Err(Error::new(ErrorKind::Invalid, "the record is of another period than the path"));
        }
        let files = app.hub.held.files("statements").map_err(|e| super::state::storage(&e))?;
        let registry = app.hub.registry();
        let name = filed.to_string();
        let _one = app.filing.lock();
        let held = files.read(&name).map_err(|e| super::state::storage(&e.into()))?;
        let held = held.map(|held| note_of(&held)).transpose()?;
        let kept = filing::offer(held.as_ref(), &note, &governed::signatories(&registry, registry.size()))?;
        files.write(&name, kept.encode().as_bytes()).map_err(|e| super::state::storage(&e.into()))?;
        Ok(kept.signatures().len())
    });
    Ok(axum::Json(json!({"signatures": count.await?})).into_response())
}
