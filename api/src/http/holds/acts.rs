//! What people do with holds: `POST /v1/holds/{id}/{act}`, and the same with several at once. Each is an event of the
//! journal before it is answered; whether it may be done is said by the book, or where it is about who does it, here.

use super::super::auth::{Caller, Role};
use super::super::decisions::json;
use super::super::problem::Problem;
use super::super::{App, refusal};
use super::found;
use crate::config::settlement::PersonsBy;
use crate::node::Answered;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use interdict_engine::domain::{Act, Body, Event, HoldAct, HoldId};
use interdict_engine::limits::{HOLD_COMMENT_BYTES_MAX, HOLDS_AT_ONCE_MAX};
use interdict_engine::sequencer::Submission;
use interdict_engine::settlement::Hold;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Who may act on holds.
const ACTORS: &[Role] = &[Role::Risk];
/// Longest name of a person, in bytes.
const WHO_BYTES_MAX: usize = 64;

/// Why, and who.
#[derive(Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub struct ActRequest {
    /// Why, in words, at most 4,096 bytes; sealed in the journal. A false match needs it.
    comment: String,
    /// The person, beside the API key: 1 to 64 of letters, digits and `.-_@`.
    who: Option<String>,
}

/// The same with several.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActsRequest {
    /// Which holds; at most 1,000.
    ids: Vec<String>,
    /// As for one.
    #[serde(default)]
    comment: String,
    /// As for one.
    #[serde(default)]
    who: Option<String>,
}

/// What was done.
#[derive(Serialize, ToSchema)]
pub struct Done {
    /// The hold.
    id: String,
    /// What was done.
    act: &'static str,
    /// Where the hold stands now.
    state: &'static str,
    /// Who did it, as it is noted.
    by: String,
    /// The event's place in the one order.
    sequence: u64,
}

/// What was done with several, in the order asked.
#[derive(Serialize, ToSchema)]
pub struct AllDone {
    /// Each what was done, or why not.
    results: Vec<DoneOrNot>,
}

/// What was done with one of several, or why not.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum DoneOrNot {
    /// It was done.
    Done(Done),
    /// It was not.
    Not {
        /// The hold, as it was named.
        id: String,
        /// Why not.
        problem: Problem,
    },
}

/// Does something with a hold.
pub async fn one(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path((id, act)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    match one_inner(&app, &headers, &id, &act, &body).await {
        Ok(done) => json(StatusCode::OK, &done),
        Err(problem) => problem.into_response(),
    }
}

async fn one_inner(
    app: &App,
    headers: &HeaderMap,
    id: &str,
    act: &str,
    body: &[u8],
) -> Result<Done, Problem> {
    let caller = app.keys.caller_of(headers, ACTORS)?;
    let act = act_of(act).ok_or_else(no_such_act)?;
    let request: ActRequest = if body.is_empty() { ActRequest::default() } else { read(body)? };
    let by = By::of(app, &caller, request.who.as_deref(), act)?;
    let (id, hold) = found(app, headers, &caller, id)?;
    let _alone = match act {
        Act::FalseMatch => Some(app.holds.second_person.lock().await),
        _ => None,
    };
    by.may(app, act, id, &hold)?;
    let submission = submission(app, id, &hold, act, &by, request.comment);
    done(app, id, act, by.text, app.call(submission, None, None).await)
}

/// Releases or confirms several holds, each on its own.
pub async fn several(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(act): Path<String>,
    body: Bytes,
) -> Response {
    match several_inner(&app, &headers, &act, &body).await {
        Ok(done) => json(StatusCode::OK, &done),
        Err(problem) => problem.into_response(),
    }
}

async fn several_inner(app: &App, headers: &HeaderMap, act: &str, body: &[u8]) -> Result<AllDone, Problem> {
    let caller = app.keys.caller_of(headers, ACTORS)?;
    let act = act_of(act).filter(|act| matches!(act, Act::Release | Act::Confirm));
    let act = act.ok_or_else(no_such_act)?;
    let ActsRequest { ids, comment, who } = read(body)?;
    if ids.len() > HOLDS_AT_ONCE_MAX {
        let text = format!("{} holds at once, limit {HOLDS_AT_ONCE_MAX}", ids.len());
        return Err(Problem {
            field: Some("ids".into()),
            ..Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text)
        });
    }
    let by = By::of(app, &caller, who.as_deref(), act)?;
    let (mut submissions, mut checked) = (Vec::new(), Vec::with_capacity(ids.len()));
    for id in &ids {
        checked.push(found(app, headers, &caller, id).map(|(id, hold)| {
            submissions.push((submission(app, id, &hold, act, &by, comment.clone()), None));
            id
        }));
    }
    let mut answers = app.call_all(submissions, None).await.into_iter();
    let results = ids.into_iter().zip(checked).map(|(text, checked)| {
        let answered = checked.and_then(|id| {
            done(app, id, act, by.text.clone(), answers.next().expect("one answer a submission"))
        });
        answered.map_or_else(|problem| DoneOrNot::Not { id: text, problem }, DoneOrNot::Done)
    });
    Ok(AllDone { results: results.collect() })
}

fn act_of(name: &str) -> Option<Act> {
    match name {
        "release" => Some(Act::Release),
        "confirm" => Some(Act::Confirm),
        "block" => Some(Act::Block),
        "reject" => Some(Act::Reject),
        "false-match" => Some(Act::FalseMatch),
        "comment" => Some(Act::Comment),
        _ => None,
    }
}
fn no_such_act() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no such call; see /openapi.json")
}

/// A body, told without quoting it where it is wrong.
fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|e| {
        let (status, what) = match e.is_data() {
            true => (StatusCode::UNPROCESSABLE_ENTITY, "not what is expected; see /openapi.json"),
            false => (StatusCode::BAD_REQUEST, "no JSON"),
        };
        Problem::new(status, format!("{what}: byte {} of line {}", e.column(), e.line()))
    })
}

/// Who acts.
struct By {
    /// As it is noted: the key's name, and the person behind a slash.
    text: String,
    persons_by: PersonsBy,
}

impl By {
    fn of(app: &App, caller: &Caller, who: Option<&str>, act: Act) -> Result<By, Problem> {
        // Without keys everybody is `loopback`.
        let persons_by = match app.keys.is_some() {
            true => app.node.loaded.config.settlement.persons_by,
            false => PersonsBy::Who,
        };
        let wrong = |expected: &str| Problem {
            field: Some("who".into()),
            expected: Some(expected.to_owned()),
            ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("who: expected {expected}"))
        };
        let plain = |c: char| c.is_alphanumeric() || ".-_@".contains(c);
        if let Some(who) = who
            && !((1..=WHO_BYTES_MAX).contains(&who.len()) && who.chars().all(plain))
        {
            return Err(wrong(&format!("1 to {WHO_BYTES_MAX} bytes of letters, digits and .-_@")));
        }
        if act == Act::FalseMatch && persons_by == PersonsBy::Who && who.is_none() {
            return Err(wrong("the person, since two have to say that it is no match"));
        }
        // The slash is ours, also where somebody wrote one into the file of keys.
        let key = caller.name.replace('/', "%2F");
        Ok(By { text: who.map_or_else(|| key.clone(), |who| format!("{key}/{who}")), persons_by })
    }
    fn person<'a>(&self, by: &'a str) -> &'a str {
        match (by.split_once('/'), self.persons_by) {
            (Some((key, _)), PersonsBy::Key) => key,
            (Some((_, who)), PersonsBy::Who) => who,
            (None, _) => by,
        }
    }
    /// Whether it is a second person where there has to be one. The book tells texts apart, which are more than persons.
    fn may(&self, app: &App, act: Act, id: HoldId, hold: &Hold) -> Result<(), Problem> {
        if act != Act::FalseMatch {
            return Ok(());
        }
        // As it stands now: the one at hand was looked up before it was this one's turn.
        let now = app.node.hold(id);
        let proposed = now.as_ref().unwrap_or(hold).proposed.as_ref();
        match proposed.filter(|proposed| self.person(&proposed.by) == self.person(&self.text)) {
            Some(proposed) => Err(Problem::new(
                StatusCode::CONFLICT,
                format!("{id}: a second person has to confirm what {} said", proposed.by),
            )),
            None => Ok(()),
        }
    }
}

fn submission(app: &App, id: HoldId, hold: &Hold, act: Act, by: &By, comment: String) -> Submission {
    let act = HoldAct { hold: id, act, by: by.text.clone(), comment };
    let (arrival_ms, body) = (app.node.clock.wall_ms(), Body::HoldAct(Box::new(act)));
    let event = Event { tenant: (&*hold.opened.tenant).into(), arrival_ms, body };
    Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None }
}

fn done(app: &App, id: HoldId, act: Act, by: String, answered: Answered) -> Result<Done, Problem> {
    let Answered::Noted(accepted) = answered else { return Err(refusal(answered)) };
    // One that ended so long ago that it is no longer shown was only commented on.
    let state = app.node.hold(id).map_or("ended", |hold| hold.state.name());
    Ok(Done { id: id.to_string(), act: act.name(), state, by, sequence: accepted.sequence })
}

const _: () = assert!(HOLD_COMMENT_BYTES_MAX == 4096 && HOLDS_AT_ONCE_MAX == 1000, "as the schema says");
