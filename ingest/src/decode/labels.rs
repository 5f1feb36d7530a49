//! Labels: `[{"id" or "sequence", "label": "fraud" or "good", "time"}]` to typed items, each read or refused on its own.

use super::elements::elements;
use super::identity::{CLASS_REQUEST, IdentityKey, identity_key};
use super::reader::read;
use super::request::{Decoder, check_body_size};
use super::shape::{LABEL, LabelLeaf};
use crate::error::FieldError;
use crate::normalise::time;
use interdict_engine::domain::Label;
use interdict_engine::limits::BATCH_MAX;

/// Which payment a label is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelTarget {
    /// By the client's id: the id, and the identity it gives a request.
    Id(Box<str>, IdentityKey),
    /// By sequence.
    Sequence(u64),
}

/// One label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelItem {
    /// The payment.
    pub target: LabelTarget,
    /// Fraud or good.
    pub label: Label,
    /// When it became known, ms since the Unix epoch.
    pub time_ms: i64,
}

/// A label by its name on the wire.
pub fn label_by_name(name: &str) -> Option<Label> {
    match name {
        "fraud" => Some(Label::Fraud),
        "good" => Some(Label::Good),
        _ => None,
    }
}

impl Decoder {
    /// The labels of a body, for one tenant, each on its own.
    ///
    /// # Errors
    /// When the whole is no array or is too large.
    pub fn decode_labels(
        &self,
        body: &[u8],
        tenant: &str,
    ) -> Result<Vec<Result<LabelItem, FieldError>>, FieldError> {
        check_body_size(body)?;
        let decode = |(row, element): (usize, &serde_json::value::RawValue)| {
            self.label(element.get().as_bytes(), tenant).map_err(|error| error.at_row(row as u64))
        };
        Ok(elements(body, BATCH_MAX)?.into_iter().enumerate().map(decode).collect())
    }

    fn label(&self, json: &[u8], tenant: &str) -> Result<LabelItem, FieldError> {
        let values = read(&LABEL, json)?;
        let target = match (values.text(LabelLeaf::Id), values.int(LabelLeaf::Sequence)) {
            (Some(id), None) => {
                let key = identity_key(&self.keys().tenant(tenant).state, CLASS_REQUEST, id);
                LabelTarget::Id(id.into(), key)
            }
            (None, Some(sequence)) => LabelTarget::Sequence(
                u64::try_from(sequence)
                    .map_err(|_| FieldError::invalid("sequence", "a sequence number, from 1"))?,
            ),
            _ => return Err(FieldError::invalid("id", "either id or sequence")),
        };
        let label = values.text(LabelLeaf::Label).and_then(label_by_name);
        let label = label.ok_or_else(|| FieldError::invalid("label", "fraud or good"))?;
        let time = values.text(LabelLeaf::Time).ok_or(time::EXPECTED_TIME).and_then(time::rfc3339_ms);
        let time_ms = time.map_err(|expected| FieldError::invalid("time", expected))?;
        Ok(LabelItem { target, label, time_ms })
    }
}
