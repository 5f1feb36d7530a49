//! The decoder of decision requests: one body or a batch. Sans-I/O and shared by all threads; `api` gives it the body
//! and the three headers that matter, a file feed gives it lines.

use super::assemble::assemble;
use super::elements::elements;
use super::identity::IdentityKey;
use super::reader::read;
use super::shape::REQUEST;
use super::values::Values;
use crate::error::FieldError;
use crate::normalise::keys::TagKeys;
use interdict_engine::domain::Transaction;
use interdict_engine::limits::{BATCH_MAX, BODY_BYTES_MAX};
use interdict_engine::sequencer::Refers;
use std::fmt;
use std::sync::Arc;

/// What comes with a body, beside it.
#[derive(Debug, Clone, Copy)]
pub struct RequestContext<'a> {
    /// `Interdict-Tenant`; the body's `tenant` wins.
    pub tenant: Option<&'a str>,
    /// `Idempotency-Key` or `X-Idempotency-Key`; wins over the body's `id`. With a batch it is refused.
    pub idempotency_key: Option<&'a str>,
    /// `Interdict-Deadline-Ms`, as sent; the body's `deadline_ms` wins.
    pub deadline_ms: Option<&'a str>,
    /// The tenant of a request that names none.
    pub default_tenant: &'a str,
}

impl Default for RequestContext<'_> {
    fn default() -> Self {
        RequestContext { tenant: None, idempotency_key: None, deadline_ms: None, default_tenant: "default" }
    }
}

/// A request, decoded and normalised.
#[derive(Clone, PartialEq)]
pub struct Decoded {
    /// The transaction. Its `id` is the body's, unchanged.
    pub tx: Transaction,
    /// Its identity; `None` without header key, `id`, ISO 8583's elements and UETR.
    pub id_key: Option<IdentityKey>,
    /// The identity that its `id` alone would give, where a header key won over it: labels, `refs.original` and
    /// `GET /v1/decisions/{id}` name a payment by its `id`. Else the one of its ISO 8583 elements, where the `id` or
    /// header won over them: `refs.original` may name them.
    pub id_alias: Option<IdentityKey>,
    /// Keyed digest of what identity compares: amount, currency, card or account tag, merchant tag, terminal tag and
    /// kind, a repeat counting as a request. 0 never marks anything here.
    pub payment_digest: u128,
    /// The identities that the payment which `refs.original` names may have, the likeliest first; none without it.
    pub original: Vec<IdentityKey>,
    /// Time for the answer, in ms from the arrival of the request.
    pub deadline_ms: Option<u32>,
}

impl Decoded {
    /// The payment that it refers to, for the sequencer.
    pub fn refers_to(&self) -> Option<Refers> {
        let keys = self.original.iter().map(|key| key.0);
        (!self.original.is_empty()).then(|| Refers::new(keys))
    }
}

impl fmt::Debug for Decoded {
    /// Without the transaction's text, which holds names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Transaction { tenant, id, kind, time_ms, .. } = &self.tx;
        let mut shown = f.debug_struct("Decoded");
        shown.field("tenant", tenant).field("id", id).field("kind", kind).field("time_ms", time_ms);
        shown.field("id_key", &self.id_key).finish_non_exhaustive()
    }
}

/// Bytes to transactions.
#[derive(Debug, Clone)]
pub struct Decoder {
    keys: Arc<TagKeys>,
}

impl Decoder {
    /// A decoder that tags under these keys.
    pub fn new(keys: Arc<TagKeys>) -> Decoder {
        Decoder { keys }
    }
    /// The keys it tags under.
    pub fn keys(&self) -> &Arc<TagKeys> {
        &self.keys
    }
    /// The identity of a payment by its id or client key, as labels and lookups name it.
    pub fn identity_of(&self, tenant: &str, id: &str) -> IdentityKey {
        super::identity::identity_key(&self.keys.tenant(tenant).state, super::identity::CLASS_REQUEST, id)
    }

    /// The identities that an id may stand for, the request's first: an advice, completion, refund or reversal has one
    /// of its own even where it carries its request's id; and each under each state key that is in force.
    pub fn identities_of(&self, tenant: &str, id: &str) -> impl Iterator<Item = IdentityKey> + use<> {
        use super::identity::{class_of, identity_key};
        use interdict_engine::domain::TransactionKind::{Advice, Completion, Refund, Request, Reversal};
        let (keys, mut all) = (self.keys.tenant(tenant), Vec::with_capacity(5));
        for kind in [Request, Advice, Completion, Refund, Reversal] {
            all.extend(keys.states().map(|state| identity_key(state, class_of(kind), id)));
        }
        all.into_iter()
    }

    /// One request.
    ///
    /// # Errors
    /// The first thing that is wrong: its field, what was expected, and the byte where reading stopped. Never a value.
    pub fn decode(&self, body: &[u8], ctx: &RequestContext<'_>) -> Result<Decoded, FieldError> {
        self.decode_telling(body, ctx, || ())
    }

    /// One request; `read_to_end` is called between the two stages: the body is decoded, and not normalised yet.
    ///
    /// # Errors
    /// As [`Decoder::decode`].
    pub fn decode_telling(
        &self,
        body: &[u8],
        ctx: &RequestContext<'_>,
        read_to_end: impl FnOnce(),
    ) -> Result<Decoded, FieldError> {
        check_body_size(body)?;
        let values = read(&REQUEST, body)?;
        read_to_end();
        self.assemble(&values, ctx)
    }

    /// A batch: an array of requests, each decoded or refused on its own.
    ///
    /// # Errors
    /// When the whole is no array, is too large, or came with an `Idempotency-Key`.
    pub fn decode_batch(
        &self,
        body: &[u8],
        ctx: &RequestContext<'_>,
    ) -> Result<Vec<Result<Decoded, FieldError>>, FieldError> {
        check_body_size(body)?;
        if ctx.idempotency_key.is_some() {
            return Err(FieldError::malformed("Idempotency-Key", "no such header with a batch"));
        }
        let elements = elements(body, BATCH_MAX)?;
        let decode = |(row, element): (usize, &&serde_json::value::RawValue)| {
            self.decode(element.get().as_bytes(), ctx).map_err(|error| error.at_row(row as u64))
        };
        Ok(elements.iter().enumerate().map(decode).collect())
    }

    pub(crate) fn assemble(
        &self,
        values: &Values<'_>,
        ctx: &RequestContext<'_>,
    ) -> Result<Decoded, FieldError> {
        assemble(&self.keys, values, ctx)
    }
}

/// Whether a body is an array, so that a caller knows which of the two calls it needs.
pub fn is_batch(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
}

pub(crate) fn check_body_size(body: &[u8]) -> Result<(), FieldError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(FieldError::too_large("", format!("a body of at most {BODY_BYTES_MAX} bytes")));
    }
    Ok(())
}
