//! Holds, for those who decide about them: `GET /v1/holds` and `GET /v1/holds/{id}`. What is done with them is in
//! `acts`, what happens to them in `stream`.

mod query;
pub mod acts;
pub mod stream;

use super::App;
use super::auth::{Caller, Role};
use super::decisions::{internal, json};
use super::problem::Problem;
use crate::answer::{ReasonAnswer, Source, time};
use crate::node::Node;
use crate::node::holds::{Holds, Told};
use crate::rail::telling::Message;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use interdict_engine::domain::{Accepted, Audience, Body, FoundNow, HoldId, Label, Learned, LearnedWhat};
use interdict_engine::settlement::{AtExpiry, Hold, HoldKind};
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

/// What all who are at work with holds share.
pub struct Desk {
    /// Held from the look at who says that a sanctions hold is no match to the event that says it a second time.
    second_person: tokio::sync::Mutex<()>,
    streams: Arc<Semaphore>,
}

impl Default for Desk {
    fn default() -> Desk {
        Desk {
            second_person: tokio::sync::Mutex::default(),
            streams: Arc::new(Semaphore::new(stream::STREAMS_MAX)),
        }
    }
}

impl Desk {
    /// Streams that are open.
    pub fn streams(&self) -> usize {
        stream::STREAMS_MAX - self.streams.available_permits()
    }
}

/// Who may see holds.
pub const READERS: &[Role] = &[Role::Risk, Role::Ops];

/// A hold, as lists have it.
#[derive(Debug, Serialize, ToSchema)]
pub struct HoldRow {
    /// `h-SEQUENCE`, or `h-SEQUENCE-N` for a payment's later ones.
    #[schema(example = "h-1742")]
    id: String,
    /// held, released, confirmed, expired_released, expired_confirmed, blocked, rejected, reversed or too_late.
    state: &'static str,
    /// Whose payment.
    tenant: String,
    /// The payment.
    payment: HeldPayment,
    /// What is held back: settlement, payout or fulfilment; null where nothing can be (too_late).
    kind: Option<&'static str>,
    /// What can stop the payment.
    lever: &'static str,
    /// Whether its rail knows a recall once it is too late (camt.056).
    recall: bool,
    /// When it was opened, RFC 3339.
    opened_at: String,
    /// The event that placed it; null where it began with the payment's own verdict.
    placed_by: Option<u64>,
    /// When the payment settles, RFC 3339.
    cut_off: String,
    /// When it ends by itself, RFC 3339; null: never.
    until: Option<String>,
    /// What happens then: release or confirm.
    at_expiry: Option<&'static str>,
    /// Whether it is a sanctions hold, which only people end.
    sanctions: bool,
    /// What the payment would be answered: hold or decline.
    outcome: &'static str,
    /// 0 to 1000.
    score: u16,
    /// The generation that says so.
    generation: String,
    /// Rules, lists and models among the causes, by name; only for readers of internal reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    causes: Option<Vec<String>>,
    /// What was learned since the payment was answered; null where the answer itself was the hold.
    learned: Option<LearnedAnswer>,
    /// Judged again it would not be held: its release is proposed, and why.
    release_proposed: Option<FreedAnswer>,
    /// Of a sanctions hold: who says that it is no match, until a second person says it too.
    false_match_proposed: Option<ByWhom>,
    /// What ended it.
    ended: Option<ByWhom>,
}

/// A payment that is held.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldPayment {
    /// The client's id; null where it had none, or is no longer kept.
    id: Option<Box<str>>,
    /// Its place in the one order.
    sequence: u64,
    /// What is paid.
    amount: HeldAmount,
}

/// An amount.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldAmount {
    /// Minor units.
    minor: i64,
    /// ISO 4217; null where it is not known.
    currency: Option<String>,
}

/// Who did something, and when.
#[derive(Debug, Serialize, ToSchema)]
pub struct ByWhom {
    /// The API key's name, with the person behind a slash where one was named; `timer` or `reversal`.
    by: String,
    /// RFC 3339.
    at: String,
    /// The event's sequence.
    sequence: u64,
}

/// What was learned.
#[derive(Debug, Serialize, ToSchema)]
pub struct LearnedAnswer {
    /// list, generation, label or stages.
    kind: &'static str,
    /// The list's name, for readers of internal reasons, or the generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The event's sequence.
    sequence: u64,
    /// RFC 3339.
    at: String,
}

impl LearnedAnswer {
    fn of(learned: &Learned, reader: Audience) -> LearnedAnswer {
        let name = match &learned.what {
            LearnedWhat::List(name) => Some(name.clone()).filter(|_| reader == Audience::Internal),
            LearnedWhat::Generation(id) => Some(id.to_string()),
            LearnedWhat::Label | LearnedWhat::Stages => None,
        };
        let kind = learned.what.name();
        LearnedAnswer { kind, name, sequence: learned.sequence, at: time(learned.at_ms) }
    }
}

/// Why a release is proposed.
#[derive(Debug, Serialize, ToSchema)]
pub struct FreedAnswer {
    /// What the payment would be answered now.
    outcome: &'static str,
    /// By which generation.
    generation: String,
    /// What was learned.
    learned: LearnedAnswer,
    /// The event's sequence.
    sequence: u64,
}

/// A hold with its causes and all that was done with it.
#[derive(Debug, Serialize, ToSchema)]
pub struct HoldAnswer<'a> {
    /// As lists have it.
    #[serde(flatten)]
    row: HoldRow,
    /// Why, strongest first, as decisions tell it; null where payment or generation are no longer kept.
    reasons: Option<Vec<ReasonAnswer<'a>>>,
    /// Whether reasons were left out that the reader may not see.
    filtered: bool,
    /// What is known of its payment since: its last label; null where there is none.
    label: Option<LabelAnswer>,
    /// What was done with it, in order.
    acts: Vec<ActRow>,
    /// What its rail is told of it so far, where `[rail]` is configured; only for readers of internal reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    rail_messages: Option<Vec<RailMessage>>,
}

/// A message to the rail.
#[derive(Debug, Serialize, ToSchema)]
pub struct RailMessage {
    /// MsgId: `h-1742-ACWP`.
    id: String,
    /// pacs.002.001.10 or camt.056.001.08.
    message: &'static str,
    /// ACWP, PDNG, ACCC, BLCK or RJCT of pacs.002; C056 of a recall.
    status: &'static str,
    /// When what it tells happened, RFC 3339.
    at: String,
    /// The message; null where it cannot be written.
    xml: Option<String>,
    /// Why it cannot.
    error: Option<String>,
}

impl RailMessage {
    fn of(message: Message) -> RailMessage {
        let (xml, error) = match message.xml {
            Ok(xml) => (Some(xml), None),
            Err(why) => (None, Some(why.to_string())),
        };
        let (name, status) = (message.what.message(), message.what.name());
        RailMessage { id: message.id, message: name, status, at: time(message.at_ms), xml, error }
    }
}

/// A payment's last label. It ends no hold by itself.
#[derive(Debug, Serialize, ToSchema)]
pub struct LabelAnswer {
    /// fraud or good.
    #[schema(value_type = String)]
    label: Label,
    /// RFC 3339.
    at: String,
    /// The event's sequence.
    sequence: u64,
}

/// What somebody did with a hold.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActRow {
    /// comment, release, confirm, expire, block, reject, false_match, or propose_release (a hunt's).
    act: &'static str,
    /// Who and when.
    #[serde(flatten)]
    by: ByWhom,
    /// Why, in words; only for readers of internal reasons, and null where its key was destroyed.
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<Option<String>>,
}

/// A page of holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct HoldsAnswer {
    /// In the order asked for.
    holds: Vec<HoldRow>,
    /// `cursor` of the next page; null where there is none. A page may have fewer than its limit and yet a next one.
    next: Option<String>,
}

/// Holds that fit a filter, a page at a time.
pub async fn all(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Query(query): Query<Vec<(String, String)>>,
) -> Response {
    let asked = || -> Result<_, Problem> {
        let caller = app.keys.caller_of(&headers, READERS)?;
        let mut asked = query::read(&query)?;
        asked.filter.tenant = tenant_of(&headers, &caller, asked.filter.tenant)?;
        Ok((asked, caller.role.audience()))
    };
    let (asked, reader) = match asked() {
        Ok(asked) => asked,
        Err(problem) => return problem.into_response(),
    };
    blocking(move || {
        let Holds { holds, next } = app.node.holds(&asked.filter, asked.from, asked.most);
        let payments: Vec<u64> = holds.iter().map(|(id, _)| id.payment).collect();
        let ids = app.node.ids_of(&payments).map_err(internal)?;
        let rows = holds.iter().zip(ids).map(|((id, hold), payment)| row(*id, hold, payment, reader));
        let answer = HoldsAnswer { holds: rows.collect(), next: next.map(|next| next.to_string()) };
        Ok(json(StatusCode::OK, &answer))
    })
    .await
}

/// One hold with everything.
pub async fn one(State(app): State<Arc<App>>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    let caller = match app.keys.caller_of(&headers, READERS) {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let headers = headers.clone();
    blocking(move || {
        let (id, hold) = found(&app, &headers, &caller, &id)?;
        let reader = caller.role.audience();
        let payment = app.node.ids_of(&[id.payment]).map_err(internal)?.pop().flatten();
        let told = told(&app.node, id, &hold);
        let (reasons, filtered) = match &told {
            Some(told) => {
                let (reasons, filtered) = source(told).reasons(reader);
                (Some(reasons), filtered)
            }
            None => (None, false),
        };
        let acts = app.node.events(&hold.acts).map_err(internal)?;
        let acts = acts.iter().filter_map(|event| act(event, reader)).collect();
        let of_rail = match reader {
            Audience::Internal => app.node.rail_messages(id, &hold).map_err(internal)?,
            _ => Vec::new(),
        };
        let rail_messages = (!of_rail.is_empty()).then(|| of_rail.into_iter().map(RailMessage::of).collect());
        let row = row(id, &hold, payment, reader);
        let label = app.node.label(id.payment).map(|known| LabelAnswer {
            label: known.label,
            at: time(known.at_ms),
            sequence: known.sequence,
        });
        Ok(json(StatusCode::OK, &HoldAnswer { row, reasons, filtered, label, acts, rail_messages }))
    })
    .await
}

/// Runs what reads the journal where it keeps nobody from being answered.
async fn blocking(work: impl FnOnce() -> Result<Response, Problem> + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer.unwrap_or_else(IntoResponse::into_response),
        Err(e) => internal(e.into()).into_response(),
    }
}

/// The only tenant whose holds a caller asks for, or may; `None`: all.
fn tenant_of(headers: &HeaderMap, caller: &Caller, asked: Option<String>) -> Result<Option<String>, Problem> {
    let header = super::header_text(headers, "interdict-tenant")?.map(str::to_owned);
    let tenant = asked.or(header).or_else(|| caller.tenant.clone());
    tenant.iter().try_for_each(|tenant| caller.for_tenant(tenant))?;
    Ok(tenant)
}

/// The hold of an id, where the caller may see it: whose it is else is not told.
pub(super) fn found(
    app: &App,
    headers: &HeaderMap,
    caller: &Caller,
    id: &str,
) -> Result<(HoldId, Hold), Problem> {
    let tenant = tenant_of(headers, caller, None)?;
    let id: HoldId = id.parse().map_err(|()| unknown())?;
    let hold = app.node.hold(id).ok_or_else(unknown)?;
    match tenant {
        Some(tenant) if *tenant != *hold.opened.tenant => Err(unknown()),
        _ => Ok((id, hold)),
    }
}
fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no hold is known under this id")
}

/// What its causes are told by, as far as it is kept.
fn told(node: &Node, id: HoldId, hold: &Hold) -> Option<Told> {
    node.told(id, hold).unwrap_or_else(|e| {
        tracing::warn!(hold = %id, "its causes cannot be told: {e:#}");
        None
    })
}
fn source(told: &Told) -> Source<'_> {
    let Body::Payment(transaction) = &told.accepted.event.body else {
        unreachable!("only payments are held");
    };
    Source {
        verdict: &told.verdict,
        transaction,
        features: &told.stamps.0,
        approximate: &told.stamps.1,
        view: &told.view,
        recalled: &told.recalled,
        recorded: &told.recorded,
        evidence: None,
    }
}

fn row(id: HoldId, hold: &Hold, payment: Option<Box<str>>, reader: Audience) -> HoldRow {
    let opened = &hold.opened;
    let currency = Some(opened.currency.to_string()).filter(|currency| !currency.is_empty());
    let amount = HeldAmount { minor: opened.amount_minor, currency };
    let expiry = if opened.expiry_releases { AtExpiry::Release } else { AtExpiry::Confirm };
    HoldRow {
        id: id.to_string(),
        state: hold.state.name(),
        tenant: opened.tenant.to_string(),
        payment: HeldPayment { id: payment, sequence: id.payment, amount },
        kind: HoldKind::of(opened.lever).map(HoldKind::name),
        lever: opened.lever.name(),
        recall: opened.recall,
        opened_at: time(opened.at_ms),
        placed_by: hold.placed_at,
        cut_off: time(opened.cut_off_ms),
        until: opened.until_ms.map(time),
        at_expiry: opened.until_ms.map(|_| expiry.name()),
        sanctions: opened.sanctions,
        outcome: opened.outcome.name(),
        score: opened.score,
        generation: opened.generation.to_string(),
        causes: (reader == Audience::Internal)
            .then(|| opened.causes.iter().map(ToString::to_string).collect()),
        learned: opened.learned.as_ref().map(|learned| LearnedAnswer::of(learned, reader)),
        release_proposed: hold.frees.as_ref().map(|freed| FreedAnswer {
            outcome: freed.outcome.name(),
            generation: freed.generation.to_string(),
            learned: LearnedAnswer::of(&freed.learned, reader),
            sequence: freed.sequence,
        }),
        false_match_proposed: hold.proposed.as_ref().map(|proposed| ByWhom {
            by: proposed.by.to_string(),
            at: time(proposed.at_ms),
            sequence: proposed.sequence,
        }),
        ended: hold.ended.as_ref().map(|ended| ByWhom {
            by: ended.by.to_string(),
            at: time(ended.at_ms),
            sequence: ended.sequence,
        }),
    }
}

fn act(event: &Accepted, reader: Audience) -> Option<ActRow> {
    let by =
        |by: &str| ByWhom { by: by.to_owned(), at: time(event.event.arrival_ms), sequence: event.sequence };
    match &event.event.body {
        Body::HoldAct(act) => {
            let comment = Some(act.comment.clone()).filter(|comment| !comment.is_empty());
            let comment = (reader == Audience::Internal).then_some(comment);
            Some(ActRow { act: act.act.name(), by: by(&act.by), comment })
        }
        Body::Hunt(found) if matches!(found.now, FoundNow::Frees { .. }) => {
            Some(ActRow { act: "propose_release", by: by("hunt"), comment: None })
        }
        _ => None,
    }
}
