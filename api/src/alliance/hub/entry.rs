//! Who asks, and how much at once: each request is looked up by its connection's certificate in the registry as it is now,
//! so that a suspension holds for the next request of a connection that is open already.

use super::metrics::{Call, Metrics};
use super::server::Peer;
use crate::alliance::tls::{Pin, Pins};
use crate::http::problem::Problem;
use arc_swap::ArcSwap;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use interdict_consortium::error::{Error, ErrorKind};
use interdict_consortium::kind::MemberId;
use interdict_consortium::member::{Role, Roles};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A member that may ask.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Its number.
    pub id: MemberId,
    /// Its name.
    pub name: Arc<str>,
    /// What it may be.
    pub roles: Roles,
}

impl Caller {
    /// That it has one of these roles.
    ///
    /// # Errors
    /// 403, with the roles.
    pub fn must_be(&self, roles: &[Role]) -> Result<(), Problem> {
        match self.roles.has_any(Roles::of(roles)) {
            true => Ok(()),
            false => {
                let message = format!("this is for members of role {}", Roles::of(roles));
                Err(Problem::new(StatusCode::FORBIDDEN, message))
            }
        }
    }
}

/// Who may ask, by certificate.
#[derive(Debug, Default)]
pub struct Callers {
    by_pin: ArcSwap<HashMap<Pin, Caller>>,
    /// What the handshake lets in: the same certificates.
    pins: Pins,
}

impl Callers {
    /// These from now on.
    pub fn set(&self, all: impl IntoIterator<Item = (Pin, Caller)>) {
        let all: HashMap<Pin, Caller> = all.into_iter().collect();
        self.pins.set(all.keys().copied());
        self.by_pin.store(Arc::new(all));
    }
    /// The certificates, for the handshake.
    pub fn pins(&self) -> &Pins {
        &self.pins
    }
    /// The member of a certificate.
    pub fn find(&self, pin: &Pin) -> Option<Caller> {
        self.by_pin.load().get(pin).cloned()
    }
}

/// What stands before every call.
pub struct Entry {
    /// Who may ask.
    pub callers: Arc<Callers>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Most requests of a member at once.
    pub per_member_max: usize,
    /// How long a request may take.
    pub time_max: Duration,
    under_way: Mutex<HashMap<MemberId, usize>>,
}

impl Entry {
    /// With nothing under way.
    pub fn new(
        callers: Arc<Callers>,
        metrics: Arc<Metrics>,
        per_member_max: usize,
        time_max: Duration,
    ) -> Entry {
        Entry { callers, metrics, per_member_max, time_max, under_way: Mutex::default() }
    }
    fn begin(self: &Arc<Self>, id: MemberId) -> Result<UnderWay, Problem> {
        let mut under_way = self.under_way.lock();
        let own = under_way.entry(id).or_default();
        if *own >= self.per_member_max {
            let message =
                format!("{own} requests of this member are under way, limit {}", self.per_member_max);
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, message));
        }
        *own += 1;
        Ok(UnderWay { entry: self.clone(), id })
    }
}

/// A request under way; counted until dropped.
struct UnderWay {
    entry: Arc<Entry>,
    id: MemberId,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut under_way = self.entry.under_way.lock();
        if let Some(own) = under_way.get_mut(&self.id) {
            *own -= 1;
            if *own == 0 {
                under_way.remove(&self.id);
            }
        }
    }
}

/// Looks up the caller, bounds what it has under way and how long that takes, and counts.
pub async fn enter(
    State(entry): State<Arc<Entry>>,
    Extension(Peer(pin)): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let call = Call::of(request.uri().path());
    let answer = async {
        let caller = entry.callers.find(&pin).ok_or_else(|| {
            let message = "this certificate is no active member's (any more)";
            Problem::new(StatusCode::FORBIDDEN, message)
        })?;
        let _under_way = entry.begin(caller.id)?;
        request.extensions_mut().insert(caller);
        let late = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the request took too long");
        tokio::time::timeout(entry.time_max, next.run(request)).await.map_err(late)
    };
    let response = answer.await.unwrap_or_else(IntoResponse::into_response);
    entry.metrics.answered(call, response.status().as_u16());
    response
}

/// A body within its bound.
///
/// # Errors
/// 413 past it, 400 where it does not come whole.
pub fn body(read: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    read.map_err(|refused| {
        let status = refused.status();
        let message = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "the body is longer than this call takes",
            _ => "the body did not come whole",
        };
        Problem::new(status, message)
    })
}

/// An error of the alliance as HTTP has it. Its message names places, bounds and members, never what was asked.
impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        let status = match error.kind {
            ErrorKind::Malformed | ErrorKind::Version => StatusCode::BAD_REQUEST,
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Stale | ErrorKind::Equivocation => StatusCode::CONFLICT,
            ErrorKind::Forbidden | ErrorKind::UnknownKey => StatusCode::FORBIDDEN,
            ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            ErrorKind::Invalid | ErrorKind::Corrupt | ErrorKind::Quorum => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Problem::new(status, error.to_string())
    }
}
