//! The generator against the comparison handler, over real sockets.

#![allow(clippy::unwrap_used)]

use super::bodies::{Bodies, Kind};
use super::empty::EmptyConfig;
use super::*;
use crate::world::report::Report;
use crate::world::stream::{Speed, Streamer};
use crate::world::{World, WorldConfig};
use interdict_engine::domain::Outcome;
use std::net::SocketAddr;

/// A comparison handler on a thread of its own; it ends with the test process.
fn server(config: EmptyConfig) -> (Target, SocketAddr) {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            empty::serve(listener, config).await.unwrap();
        });
    });
    let address: SocketAddr = told.recv().unwrap();
    (Target::parse(&format!("http://{address}")).unwrap(), address)
}

fn config(target: Target, rate: f64, seconds: f64) -> LoadConfig {
    let pid = Some(std::process::id());
    LoadConfig {
        target,
        rate,
        seconds,
        warmup_s: 0.0,
        connections: 4,
        arrival: Arrival::Constant,
        seed: 1,
        pid,
    }
}

#[test]
fn every_request_is_answered_with_an_answer_of_the_size_asked_for() {
    let (target, _) = server(EmptyConfig { answer_bytes: 600, stall: None });
    let config = config(target, 500.0, 1.0);
    let bodies = Bodies::new(Kind::World, 1, None).unwrap().take(requests(&config));
    let report = run(&config, bodies).unwrap();
    assert_eq!(report.requests, 500);
    assert_eq!(report.statuses, BTreeMap::from([(200, 500)]));
    assert_eq!((report.errors, report.unfinished, report.answer_bytes), (0, 0, 300_000));
    assert!(report.latency_us.p50 > 0.0 && report.server_cpu_us_per_request.is_some());
}

#[test]
fn a_stall_is_charged_to_every_request_that_waited() {
    // 200 ms of standstill at 500 a second is about 100 requests of 1,000, delayed by 200 ms down to 0: p99 must see
    // about 180 ms. A closed loop over 4 connections would have 4 slow requests of 1,000, and p99 would see nothing.
    let stall = Some((300, Duration::from_millis(200)));
    let (target, _) = server(EmptyConfig { stall, ..EmptyConfig::default() });
    let config = config(target, 500.0, 2.0);
    let bodies = Bodies::new(Kind::Minimal, 1, None).unwrap().take(requests(&config));
    let report = run(&config, bodies).unwrap();
    assert!(report.latency_us.p99 > 150_000.0, "{:?}", report.latency_us);
    assert!(report.latency_us.p50 < 150_000.0, "{:?}", report.latency_us);
    assert!(report.service_us.p99 < report.latency_us.p99 / 2.0, "closed-loop p99 {}", report.service_us.p99);
    assert!(report.backlog_max >= 50, "{}", report.backlog_max);
}

#[test]
fn what_is_refused_is_counted_by_status() {
    let (target, _) = server(EmptyConfig::default());
    let config = config(target, 100.0, 0.05);
    let luhn = r#"{"time":"2026-03-02T00:00:00Z","amount":{"minor":1,"currency":"EUR"},"card":{"pan":"4111111111111112"}}"#;
    let bodies = ["{", luhn, r#"{"time":"soon","amount":{"minor":1,"currency":"EUR"},"card":{}}"#];
    let report = run(&config, bodies.map(Bytes::from_static_str).to_vec()).unwrap();
    assert_eq!(report.statuses, BTreeMap::from([(400, 1), (422, 2)]));
}

trait FromStaticStr {
    fn from_static_str(text: &'static str) -> Bytes;
}
impl FromStaticStr for Bytes {
    fn from_static_str(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }
}

#[test]
fn a_world_streams_through_and_every_answer_is_counted() {
    let (target, _) = server(EmptyConfig::default());
    let world = World::new(&WorldConfig { transactions: 1_500, ..WorldConfig::default() }).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report: Report = runtime.block_on(async {
        let mut streamer = Streamer::new(target, false).await.unwrap();
        streamer.run(&world, Speed::Max).await.unwrap();
        streamer.report().clone()
    });
    assert_eq!(report.answers(), 1_500);
    assert!(report.outcomes().all(|(outcome, count)| outcome == Outcome::Approve || count == 0));
    assert_eq!(report.false_positives().1, 0);
}

/// Refuses every third request whole and every seventh element of a batch, once each, and answers the rest.
fn grudging() -> Target {
    use axum::http::StatusCode;
    use axum::response::IntoResponse;
    use serde_json::{Value, json};
    use std::collections::HashSet;
    use std::sync::Mutex;
    let seen: Arc<Mutex<(u64, HashSet<String>)>> = Arc::default();
    let decide = move |axum::Json(batch): axum::Json<Vec<Value>>| async move {
        let mut seen = seen.lock().unwrap();
        seen.0 += 1;
        if seen.0 % 3 == 1 {
            return (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "0")]).into_response();
        }
        let answers = batch.iter().enumerate().map(|(place, request)| {
            let id = request["id"].as_str().unwrap();
            if id == "w-000900" {
                return json!({"status": 422, "field": "card.pan", "expected": "a PAN", "detail": "4000001234"});
            }
            match place % 7 == 3 && seen.1.insert(id.to_owned()) {
                true => json!({"status": 429}),
                false => json!({"id": id, "outcome": "approve", "reasons": [], "meta": {"replayed": false}}),
            }
        });
        axum::Json(answers.collect::<Vec<_>>()).into_response()
    };
    let ok = || async { axum::Json(json!({})) };
    let router = axum::Router::new()
        .route("/v1/decisions", axum::routing::post(decide))
        .route("/v1/labels", axum::routing::post(ok))
        .route("/v1/lists/{name}/entries", axum::routing::put(ok));
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
    });
    Target::parse(&format!("http://{}", told.recv().unwrap())).unwrap()
}

#[test]
fn refusals_are_asked_again_and_anything_else_ends_the_stream_with_the_id() {
    let target = grudging();
    let world = World::new(&WorldConfig { transactions: 1_000, ..WorldConfig::default() }).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (answers, error) = runtime.block_on(async {
        let mut streamer = Streamer::new(target, false).await.unwrap();
        let error = streamer.run(&world, Speed::Max).await.unwrap_err();
        (streamer.report().answers(), format!("{error:#}"))
    });
    assert!((700..950).contains(&answers), "{answers}");
    assert!(error.contains("w-000900") && error.contains("card.pan"), "{error}");
    assert!(!error.contains("4000001234"), "a detail may hold what was sent: {error}");
}

#[test]
fn a_server_that_is_not_there_is_an_error_with_its_address() {
    let config = config(Target::parse("http://127.0.0.1:9").unwrap(), 10.0, 0.1);
    let error = run(&config, vec![Bytes::from_static(b"{}")]).unwrap_err();
    assert!(format!("{error:#}").contains("127.0.0.1:9"), "{error:#}");
    for bad in ["https://a:1", "http://", "http://host", "http://a:1/path"] {
        assert!(Target::parse(bad).is_err(), "{bad}");
    }
}
