//! `GET /v1/holds/stream`: each beginning, act and end of a hold as a server-sent event (WHATWG HTML, 9.2), in the
//! journal's order. A reader that was cut names the last event it has had and goes on behind it.

use super::super::App;
use super::super::problem::Problem;
use super::{READERS, tenant_of};
use crate::node::Node;
use crate::webhooks::{Notice, Source};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Most streams at once; a further one is refused (503).
pub const STREAMS_MAX: usize = 64;
/// Events that are ready before a reader takes them.
const AHEAD: usize = 64;
/// Notices looked at together.
const PAGE: usize = 256;
/// A reader that takes nothing for so long is cut.
const SLOW: Duration = Duration::from_secs(30);
/// How often something is sent when there is nothing to say, so that both sides know the other is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A page that took so long was read from the journal.
const LONG: Duration = Duration::from_millis(2);
/// How often a stream looks whether the node ends.
const GLANCE_EVERY: Duration = Duration::from_millis(250);

/// Streams what happens to holds.
pub async fn stream(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Query(query): Query<Vec<(String, String)>>,
) -> Response {
    let begun = || -> Result<_, Problem> {
        let caller = app.keys.caller_of(&headers, READERS)?;
        let asked = Asked::read(&headers, &query)?;
        let tenant = tenant_of(&headers, &caller, asked.tenant)?;
        let permit = app.holds.streams.clone().try_acquire_owned().map_err(|_| {
            let text = format!("{STREAMS_MAX} streams of holds are open, which is the limit");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, text)
        })?;
        Ok((tenant, asked.from, permit))
    };
    let (tenant, from, permit) = match begun() {
        Ok(begun) => begun,
        Err(problem) => return problem.into_response(),
    };
    let (send, receive) = mpsc::channel(AHEAD);
    let telling = Telling::begin(app.node.clone(), tenant, from, permit);
    // Ends when the reader is gone or too slow, or the node ends.
    tokio::spawn(telling.run(send));
    let events = stream::unfold(receive, async |mut receive| Some((receive.recv().await?, receive)));
    let mut response =
        Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("")).into_response();
    // Proxies that gather answers would keep them back.
    let (name, no) = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response.headers_mut().insert(name, no);
    response
}

/// Where a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// With what comes from now on.
    Now,
    /// With the oldest that the journal has.
    Oldest,
    /// Behind an event: its place, and which of the events there.
    Behind(u64, u32),
}

struct Asked {
    tenant: Option<String>,
    from: From,
}

impl Asked {
    fn read(headers: &HeaderMap, query: &[(String, String)]) -> Result<Asked, Problem> {
        let wrong = |name: &str, expected: &str| Problem {
            field: Some(name.to_owned()),
            expected: Some(expected.to_owned()),
            ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{name}: expected {expected}"))
        };
        let mut asked = Asked { tenant: None, from: From::Now };
        for (name, value) in query {
            match (name.as_str(), value.as_str()) {
                ("tenant", tenant) => asked.tenant = Some(tenant.to_owned()),
                ("from", "now") => asked.from = From::Now,
                ("from", "oldest") => asked.from = From::Oldest,
                ("from", _) => return Err(wrong("from", "now or oldest")),
                _ => return Err(wrong("query", "tenant or from")),
            }
        }
        // What a browser sends when it comes again wins.
        if let Some(last) = super::super::header_text(headers, "last-event-id")? {
            let behind = behind(last).ok_or_else(|| wrong("last-event-id", "the id of an event"))?;
            asked.from = behind;
        }
        Ok(asked)
    }
}

/// Behind the event of an id, `n-PLACE` or `n-PLACE-N`.
fn behind(id: &str) -> Option<From> {
    let rest = id.strip_prefix("n-")?;
    let (place, number) = rest.split_once('-').unwrap_or((rest, "1"));
    Some(From::Behind(place.parse().ok()?, number.parse().ok()?))
}

/// What one stream is told.
struct Telling {
    node: Arc<Node>,
    tenant: Option<String>,
    /// Everything up to here was told, or is not this reader's.
    at: u64,
    /// Of the events of the first place behind it so many were told before.
    skip: Option<(u64, u32)>,
    _permit: OwnedSemaphorePermit,
}

impl Telling {
    fn begin(node: Arc<Node>, tenant: Option<String>, from: From, permit: OwnedSemaphorePermit) -> Telling {
        let (at, skip) = match from {
            From::Now => (node.notices.newest(), None),
            From::Oldest => (0, None),
            From::Behind(place, number) => (place.saturating_sub(1), Some((place, number))),
        };
        Telling { node, tenant, at, skip, _permit: permit }
    }
    async fn run(mut self, send: mpsc::Sender<Result<Event, Infallible>>) {
        let mut reached = self.node.notices.reached();
        while !self.node.is_draining() {
            let (notices, at, began) = (self.node.notices.clone(), self.at, Instant::now());
            // It may have to read the journal.
            let page = tokio::task::spawn_blocking(move || notices.after(at, PAGE)).await;
            let took = began.elapsed();
            let page = match page {
                Ok(Ok(page)) => page,
                Ok(Err(e)) => return tracing::warn!("a stream of holds ends: {e:#}"),
                Err(_) => return,
            };
            let moved = page.through > self.at;
            self.at = page.through;
            for notice in page.notices {
                if !self.is_for_it(&notice) {
                    continue;
                }
                // Where nobody takes it, the reader is cut; it comes again and goes on behind what it has had.
                if !hand_over(&send, event(&notice), SLOW).await {
                    return;
                }
            }
            if took >= LONG {
                // The machine is the payments': whoever wants the past takes half of what it could.
                tokio::time::sleep(took).await;
            }
            if !moved {
                tokio::select! {
                    changed = reached.changed() => if changed.is_err() { return },
                    () = send.closed() => return,
                    () = tokio::time::sleep(GLANCE_EVERY) => {}
                }
            }
        }
    }
    fn is_for_it(&self, notice: &Notice) -> bool {
        let was_told = self.skip.is_some_and(|(place, told)| {
            notice.sequence == place
                && matches!(behind(&notice.id), Some(From::Behind(_, number)) if number <= told)
        });
        !was_told && self.tenant.as_deref().is_none_or(|tenant| *tenant == *notice.tenant)
    }
}

/// Whether the reader takes an event, or has room for it, within a time.
async fn hand_over(send: &mpsc::Sender<Result<Event, Infallible>>, event: Event, slow: Duration) -> bool {
    send.send_timeout(Ok(event), slow).await.is_ok()
}

fn event(notice: &Notice) -> Event {
    let data = String::from_utf8(notice.bytes()).expect("JSON is UTF-8");
    Event::default().id(&notice.id).event(notice.kind.name()).data(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_cut_and_one_that_does_is_waited_for() {
        let (send, mut receive) = mpsc::channel(AHEAD);
        let (never, soon) = (Duration::from_secs(600), Duration::from_millis(10));
        for _ in 0..AHEAD {
            assert!(hand_over(&send, Event::default(), soon).await, "there is room");
        }
        assert!(!hand_over(&send, Event::default(), soon).await, "there is none, and nobody takes any");
        let reader = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            (receive.recv().await.is_some(), receive)
        });
        assert!(hand_over(&send, Event::default(), never).await, "it has taken one");
        let (has_taken, receive) = reader.await.expect("it does not panic");
        assert!(has_taken);
        drop(receive);
        assert!(!hand_over(&send, Event::default(), never).await, "it has gone");
    }
    #[test]
    fn an_event_s_id_is_where_the_next_stream_begins() {
        assert_eq!(behind("n-17"), Some(From::Behind(17, 1)));
        assert_eq!(behind("n-17-2"), Some(From::Behind(17, 2)));
        for wrong in ["", "17", "n-", "n-x", "n-17-", "n-17-x"] {
            assert_eq!(behind(wrong), None, "{wrong}");
        }
    }
}
