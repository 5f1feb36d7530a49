//! `/openapi.json`, generated from the answers' types and the request's shape.

use super::decisions::json;
use super::{holds, labels, lists, ops, packs, problem, settlement};
use crate::answer;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

/// An amount in minor units.
#[derive(Serialize, ToSchema)]
struct Money {
    /// Minor units of the currency (ISO 4217 exponent), 0 or more.
    #[schema(minimum = 0, example = 5767)]
    minor: i64,
    /// ISO 4217 alphabetic code.
    #[schema(example = "EUR")]
    currency: String,
}

/// A card: a PAN or a token.
#[derive(Serialize, ToSchema)]
struct Card {
    /// 12 to 19 digits with a Luhn check digit.
    pan: Option<String>,
    /// A token that stands for the card.
    token: Option<String>,
}

/// An account: an IBAN, or bank and number.
#[derive(Serialize, ToSchema)]
struct Account {
    /// ISO 13616.
    iban: Option<String>,
    /// Account number, together with `bank`.
    number: Option<String>,
    /// The bank of `number`.
    bank: Option<String>,
}

/// The paying party.
#[derive(Serialize, ToSchema)]
struct Payer {
    /// Name.
    name: Option<String>,
    /// ISO 3166-1 alpha-2.
    country: Option<String>,
}

/// The paid party.
#[derive(Serialize, ToSchema)]
struct Payee {
    /// Name.
    name: Option<String>,
    /// Its account.
    account: Option<Account>,
    /// ISO 3166-1 alpha-2.
    country: Option<String>,
}

/// The card acceptor.
#[derive(Serialize, ToSchema)]
struct Merchant {
    /// Card acceptor identification code.
    id: Option<String>,
    /// Name and descriptor.
    name: Option<String>,
    /// ISO 18245.
    mcc: Option<String>,
    /// ISO 3166-1 alpha-2.
    country: Option<String>,
}

/// A terminal.
#[derive(Serialize, ToSchema)]
struct Terminal {
    /// Card acceptor terminal identification.
    id: String,
}

/// The customer's device.
#[derive(Serialize, ToSchema)]
struct Device {
    /// Device id.
    id: Option<String>,
    /// IP address.
    ip: Option<String>,
    /// User agent.
    user_agent: Option<String>,
}

/// References.
#[derive(Serialize, ToSchema)]
struct Refs {
    /// System trace audit number, 6 digits.
    stan: Option<String>,
    /// Retrieval reference number, 12 characters.
    rrn: Option<String>,
    /// Unique end-to-end transaction reference, a UUID v4.
    uetr: Option<String>,
    /// Transmission date and time (DE7): MMDDhhmmss in UTC, or RFC 3339.
    transmitted_at: Option<String>,
    /// The payment that this message follows.
    original: Option<Original>,
}

/// The payment that a message follows.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum Original {
    /// By its id.
    Id(String),
    /// By its ISO 8583 elements.
    Elements(OriginalElements),
}

/// What DE90 says of an original.
#[derive(Serialize, ToSchema)]
struct OriginalElements {
    /// Message type, as 0100.
    mti: Option<String>,
    /// System trace audit number, 6 digits.
    stan: String,
    /// Transmission date and time (DE7): MMDDhhmmss in UTC, or RFC 3339.
    transmitted_at: String,
    /// Acquiring institution; the message's own where it is left out.
    acquirer: Option<String>,
    /// Forwarding institution; not compared.
    forwarder: Option<String>,
    /// Retrieval reference number; the message's own where it is left out.
    rrn: Option<String>,
}

/// A payment to decide on. Required: `time`, `amount` and one of card, account, device, merchant, terminal, payee,
/// email, phone.
#[derive(Serialize, ToSchema)]
struct DecisionRequest {
    /// The client's id; its identity unless an `Idempotency-Key` is sent.
    id: Option<String>,
    /// The institution; wins over the header `Interdict-Tenant`.
    tenant: Option<String>,
    /// request, advice, reversal, repeat, completion or refund.
    #[schema(example = "request")]
    kind: Option<String>,
    /// RFC 3339.
    #[schema(example = "2018-04-01T00:02:10.000Z")]
    time: String,
    /// What is paid.
    amount: Money,
    /// What is settled, in a cross-border payment.
    settlement_amount: Option<Money>,
    /// chip, contactless, magstripe, ecommerce, atm, qr_merchant, qr_consumer, transfer, wallet or phone.
    channel: Option<String>,
    /// The card.
    card: Option<Card>,
    /// The payer's account.
    account: Option<Account>,
    /// The payer.
    payer: Option<Payer>,
    /// The payee.
    payee: Option<Payee>,
    /// The merchant.
    merchant: Option<Merchant>,
    /// The terminal.
    terminal: Option<Terminal>,
    /// Acquiring institution.
    acquirer: Option<String>,
    /// Issuing institution.
    issuer: Option<String>,
    /// The device.
    device: Option<Device>,
    /// E-mail address.
    email: Option<String>,
    /// Phone number, E.164.
    phone: Option<String>,
    /// Remittance information.
    text: Option<String>,
    /// QR payload.
    qr: Option<String>,
    /// References.
    refs: Option<Refs>,
    /// When the payment settles, RFC 3339.
    settles_at: Option<String>,
    /// Time for the answer, in ms; wins over `Interdict-Deadline-Ms`.
    deadline_ms: Option<u32>,
}

/// A label.
#[derive(Serialize, ToSchema)]
struct LabelRequest {
    /// The payment, by the client's id; or
    id: Option<String>,
    /// by its sequence.
    sequence: Option<u64>,
    /// fraud or good.
    label: String,
    /// When it became known, RFC 3339.
    time: String,
}

#[utoipa::path(post, path = "/v1/decisions", request_body = DecisionRequest,
    params(("Idempotency-Key" = Option<String>, Header), ("Interdict-Tenant" = Option<String>, Header),
           ("Interdict-Deadline-Ms" = Option<u32>, Header)),
    responses((status = 200, body = answer::Answer, description = "A verdict; an array gives an array"),
              (status = 400, body = problem::Problem, description = "Malformed"),
              (status = 409, body = problem::Problem, description = "A different payment under the same key"),
              (status = 422, body = problem::Problem, description = "Well-formed but invalid; the field is named"),
              (status = 503, body = problem::Problem, description = "Not ready")))]
#[allow(dead_code)]
fn decide() {}

#[utoipa::path(get, path = "/v1/decisions/{id}", params(("id" = String, Path, description = "The id, or @SEQUENCE")),
    responses((status = 200, body = super::decisions::Explained, description = "The verdict and its story"),
              (status = 404, body = problem::Problem, description = "Not known")))]
#[allow(dead_code)]
fn read() {}

#[utoipa::path(post, path = "/v1/labels", request_body = Vec<LabelRequest>,
    responses((status = 200, body = Vec<labels::Labelled>, description = "In order; each a result or a problem")))]
#[allow(dead_code)]
fn label() {}

#[utoipa::path(post, path = "/v1/settlement/clear", request_body = settlement::ClearRequest,
    responses((status = 200, body = settlement::ClearAnswer, description = "In the order asked; what has no go is not settled"),
              (status = 413, body = problem::Problem, description = "More than 10,000 ids"),
              (status = 503, body = problem::Problem, description = "Nothing is settled; ask again")))]
#[allow(dead_code)]
fn clear() {}

#[utoipa::path(get, path = "/v1/holds",
    params(("state" = Option<String>, Query, description = "held, released …; several with commas"),
           ("tenant" = Option<String>, Query), ("lever" = Option<String>, Query),
           ("kind" = Option<String>, Query, description = "settlement, payout or fulfilment"),
           ("reason" = Option<String>, Query, description = "pack/rule, or the name of a list or watchlist"),
           ("sanctions" = Option<bool>, Query),
           ("proposed" = Option<bool>, Query, description = "Whether a hunt or a person proposes to let it go"),
           ("since" = Option<String>, Query, description = "Opened then or later, RFC 3339"),
           ("until" = Option<String>, Query, description = "Opened before, RFC 3339"),
           ("currency" = Option<String>, Query),
           ("min_amount" = Option<i64>, Query, description = "In minor units"),
           ("order" = Option<String>, Query, description = "id (the default) or deadline"),
           ("cursor" = Option<String>, Query, description = "`next` of the page before"),
           ("limit" = Option<u32>, Query, description = "1 to 1000, 100 by default")),
    responses((status = 200, body = holds::HoldsAnswer, description = "A page"),
              (status = 422, body = problem::Problem, description = "A wrong parameter, by name")))]
#[allow(dead_code)]
fn all_holds() {}

#[utoipa::path(get, path = "/v1/holds/{id}", params(("id" = String, Path)),
    responses((status = 200, body = holds::HoldAnswer, description = "With its causes and what was done with it"),
              (status = 404, body = problem::Problem, description = "Not known")))]
#[allow(dead_code)]
fn one_hold() {}

#[utoipa::path(post, path = "/v1/holds/{id}/{act}", request_body = Option<holds::acts::ActRequest>,
    params(("id" = String, Path),
           ("act" = String, Path, description = "release, confirm, comment; of a sanctions hold block, reject, false-match")),
    responses((status = 200, body = holds::acts::Done, description = "It was done"),
              (status = 404, body = problem::Problem, description = "Not known"),
              (status = 409, body = problem::Problem, description = "It has ended, the act is not for it, or a second person is needed")))]
#[allow(dead_code)]
fn act_on_hold() {}

#[utoipa::path(post, path = "/v1/holds/{act}", request_body = holds::acts::ActsRequest,
    params(("act" = String, Path, description = "release or confirm")),
    responses((status = 200, body = holds::acts::AllDone, description = "In the order asked")))]
#[allow(dead_code)]
fn act_on_holds() {}

#[utoipa::path(get, path = "/v1/holds/stream",
    params(("Last-Event-ID" = Option<String>, Header, description = "Goes on behind this event"),
           ("tenant" = Option<String>, Query),
           ("from" = Option<String>, Query, description = "now (the default) or oldest")),
    responses((status = 200, content_type = "text/event-stream", body = String,
               description = "Events as webhooks have them (docs/formats/webhooks.md)"),
              (status = 503, body = problem::Problem, description = "As many streams are open as there may be")))]
#[allow(dead_code)]
fn stream_holds() {}

#[utoipa::path(get, path = "/v1/lists", responses((status = 200, body = Vec<lists::ListRow>, description = "Lists")))]
#[allow(dead_code)]
fn all_lists() {}

#[utoipa::path(put, path = "/v1/lists/{name}/entries", params(("name" = String, Path)),
    responses((status = 200, body = lists::Published, description = "The first sequence that sees the entries"),
              (status = 422, body = problem::Problem, description = "Nothing was changed")))]
#[allow(dead_code)]
fn add_entries() {}

#[utoipa::path(delete, path = "/v1/lists/{name}/entries", params(("name" = String, Path)),
    responses((status = 200, body = lists::Published, description = "The first sequence that misses the entries")))]
#[allow(dead_code)]
fn remove_entries() {}

#[utoipa::path(get, path = "/v1/packs", responses((status = 200, body = packs::Packs, description = "In force")))]
#[allow(dead_code)]
fn all_packs() {}

#[utoipa::path(post, path = "/v1/packs", responses((status = 200, body = packs::Uploaded, description = "Checked and kept"),
    (status = 422, body = problem::Problem, description = "What is wrong, by file, line and column")))]
#[allow(dead_code)]
fn upload_pack() {}

#[utoipa::path(post, path = "/v1/generations", request_body = Option<packs::Wanted>,
    responses((status = 200, body = packs::Publication, description = "In force from here on")))]
#[allow(dead_code)]
fn publish() {}

#[utoipa::path(post, path = "/v1/keys/rotate",
    responses((status = 200, body = crate::node::rotate::InForce, description = "The keys in force from here on"),
              (status = 409, body = problem::Problem, description = "What of the ring cannot be taken up")))]
#[allow(dead_code)]
fn rotate_keys() {}

#[utoipa::path(get, path = "/v1/status", responses((status = 200, body = ops::Status, description = "Status")))]
#[allow(dead_code)]
fn status() {}

#[utoipa::path(get, path = "/healthz", responses((status = 200, description = "The process lives")))]
#[allow(dead_code)]
fn healthz() {}

#[utoipa::path(get, path = "/readyz", responses((status = 200, description = "Takes requests"),
    (status = 503, body = problem::Problem, description = "Does not, and why")))]
#[allow(dead_code)]
fn readyz() {}

#[utoipa::path(get, path = "/metrics",
    responses((status = 200, content_type = "text/plain", body = String, description = "Prometheus exposition")))]
#[allow(dead_code)]
fn metrics() {}

#[derive(OpenApi)]
#[openapi(
    info(title = "Interdict", description = "Fraud-signal matching in the authorization path"),
    paths(
        decide,
        read,
        label,
        clear,
        all_holds,
        one_hold,
        act_on_hold,
        act_on_holds,
        stream_holds,
        all_lists,
        add_entries,
        remove_entries,
        all_packs,
        upload_pack,
        publish,
        rotate_keys,
        status,
        healthz,
        readyz,
        metrics
    )
)]
struct Document;

/// The document.
pub async fn document() -> Response {
    json(StatusCode::OK, &Document::openapi())
}
