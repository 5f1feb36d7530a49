//! For operations: live, ready, metrics, status.

use super::App;
use super::auth::Role;
use super::decisions::json;
use super::problem::Problem;
use crate::answer::time;
use crate::node::Node;
use crate::node::tally::StageSummary;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use interdict_engine::sequencer::ENGINE;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// What the node is doing.
#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    /// The engine's version.
    pub engine: &'static str,
    /// The generation in force.
    pub generation: String,
    /// Last sequence given.
    pub sequence: u64,
    /// Verdicts by outcome since the start.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// What each stage did since the start, by stage name.
    pub stages: BTreeMap<&'static str, StageSummary>,
    /// Transactions each lane decided; with `lanes = 0` one number.
    pub lanes: Vec<u64>,
    /// What waits for the sequencer.
    pub queue: usize,
    /// Payments in the settlement window, and the hunt through it; absent where none is kept.
    pub window: Option<WindowStatus>,
    /// Transactions that recovery found without a verdict and decided.
    pub recovered: u64,
    /// Features that recovery computed otherwise than the journal says; 0 unless engine or machine are at fault.
    pub restored_differently: u64,
    /// What a virtual clock shows, RFC 3339, where the process goes by one (`INTERDICT_VIRTUAL_CLOCK`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_clock: Option<String>,
}

/// The settlement window.
#[derive(Debug, Serialize, ToSchema)]
pub struct WindowStatus {
    /// Payments in it.
    pub payments: usize,
    /// All of them have been judged by everything learned up to this sequence.
    pub hunted_through: u64,
    /// Events that something was learned by and that are not hunted yet.
    pub unhunted: usize,
    /// The hunt under way, or the last one.
    pub hunt: crate::node::hunt::Reading,
}

fn window(node: &Node) -> Option<WindowStatus> {
    let hunt = node.window.as_ref()?;
    let (hunted_through, unhunted) = node.with_core(|core| {
        let book = core.sequencer.book();
        (book.hunted_through(), book.unhunted().len())
    });
    let payments = hunt.window.read().len();
    Some(WindowStatus { payments, hunted_through, unhunted, hunt: hunt.figures.reading() })
}

/// 200 while the process lives.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// 200 when the node takes requests, 503 with the reason when it does not.
pub async fn readyz(State(app): State<Arc<App>>) -> Response {
    match app.node.ready().and_then(|()| app.node.fresh(app.node.clock.wall_ms())) {
        Ok(()) => "ready\n".into_response(),
        Err(why) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
    }
}

/// The Prometheus exposition.
pub async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    match app.caller(&headers, Role::Ops) {
        Ok(_) => (
            [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
            app.metrics.text(&app.node, &app.entry, app.lag.now(std::time::Instant::now())),
        )
            .into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// What the node is doing.
pub async fn status(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if let Err(problem) = app.caller(&headers, Role::Ops) {
        return problem.into_response();
    }
    let node = &app.node;
    json(
        StatusCode::OK,
        &Status {
            engine: ENGINE,
            generation: node.view().id().to_string(),
            sequence: node.with_core(|core| core.sequencer.last_sequence()),
            outcomes: node.tally.outcomes(),
            stages: node.tally.stages(),
            lanes: node.tally.lanes(),
            queue: node.queue_depth(),
            window: window(node),
            recovered: node.recovered.decided_now,
            restored_differently: node.recovered.restored_differently,
            virtual_clock: node.clock.is_virtual().then(|| time(node.clock.wall_ms())),
        },
    )
}
