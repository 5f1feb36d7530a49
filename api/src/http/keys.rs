//! The key ring's call: has the node take up keys that `interdict keys rotate` has made. No key ever passes here.

use super::App;
use super::auth::Role;
use super::decisions::json;
use super::problem::Problem;
use crate::node::Unwritable;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Takes up what the ring has that is not in force; the keys in force then.
pub async fn rotate(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let caller = match app.caller(&headers, Role::Admin) {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    // Files are read and the disk is waited for: off the I/O threads.
    let node = app.node.clone();
    let taken =
        tokio::task::spawn_blocking(move || node.take_up_keys(&caller.name, node.clock.wall_ms())).await;
    match taken {
        Ok(Ok(in_force)) => json(StatusCode::OK, &in_force),
        Ok(Err(error)) => {
            let status = match error.downcast_ref::<Unwritable>() {
                Some(_) => StatusCode::SERVICE_UNAVAILABLE,
                None => StatusCode::CONFLICT,
            };
            Problem::new(status, format!("{error:#}")).into_response()
        }
        Err(_) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the rotation panicked").into_response(),
    }
}
