//! The payment that a message is about, by the references that it came with, and what stands for those it lacks.

use super::types::Wrong;
use super::xml::{self, Document, MAX_35};

/// Stands for a reference that the payment did not have (the convention of ISO 20022's usage rules for EndToEndId).
pub const NOT_PROVIDED: &str = "NOTPROVIDED";

/// References of the original payment. At least one of the last four is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    /// The message it came in (OrgnlMsgId); `NOTPROVIDED` where it is not known.
    pub message_id: Option<String>,
    /// That message's name (OrgnlMsgNmId), as in `pacs.008.001.08`.
    pub message_name: String,
    /// When it was made (OrgnlCreDtTm), ms since the Unix epoch.
    pub created_ms: i64,
    /// OrgnlInstrId; `NOTPROVIDED` where there is none.
    pub instruction_id: Option<String>,
    /// OrgnlEndToEndId; `NOTPROVIDED` where there is none.
    pub end_to_end_id: Option<String>,
    /// OrgnlTxId; left out where there is none.
    pub transaction_id: Option<String>,
    /// OrgnlUETR, a UUID of version 4; left out where there is none.
    pub uetr: Option<String>,
}

/// A payment's references as our `Transaction` has them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Payment<'a> {
    /// `id`: at most 256 bytes.
    pub id: Option<&'a str>,
    /// `refs.uetr`.
    pub uetr: Option<&'a str>,
    /// `refs.rrn`: what the acquirer knows it by.
    pub rrn: Option<&'a str>,
    /// `time`, ms since the Unix epoch.
    pub time_ms: i64,
}

impl Original {
    /// The references of a payment of ours: its `id` is the transaction's id, its RRN the instruction's. An id that is
    /// too long is left out where the UETR identifies the payment, since the UETR is unique and the id may not be cut.
    ///
    /// # Errors
    /// A too long id without a UETR.
    pub fn of(payment: Payment<'_>, message_name: &str) -> Result<Original, Wrong> {
        let id = match payment.id.map(|id| xml::max_text("OrgnlTxId", id, MAX_35)) {
            Some(Err(_)) if payment.uetr.is_some() => None,
            other => other.transpose()?,
        };
        Ok(Original {
            message_id: None,
            message_name: message_name.to_owned(),
            created_ms: payment.time_ms,
            instruction_id: payment.rrn.map(str::to_owned),
            end_to_end_id: None,
            transaction_id: id.map(str::to_owned),
            uetr: payment.uetr.map(str::to_owned),
        })
    }

    /// Writes OrgnlGrpInf to OrgnlUETR, the same in pacs.002 (PaymentTransaction110) and camt.056 (PaymentTransaction106).
    pub(super) fn write(&self, out: &mut Document) -> Result<(), Wrong> {
        let known = [&self.instruction_id, &self.end_to_end_id, &self.transaction_id, &self.uetr];
        if known.iter().all(|reference| reference.is_none()) {
            return Err(Wrong::Missing { element: "OrgnlUETR or another reference of the payment" });
        }
        let or_not = |element, reference: &Option<String>| {
            let text = reference.as_deref().unwrap_or(NOT_PROVIDED);
            xml::max_text(element, text, MAX_35).map(str::to_owned)
        };
        let created = xml::date_time("OrgnlCreDtTm", self.created_ms)?;
        out.inside("OrgnlGrpInf", |out| {
            out.text("OrgnlMsgId", &or_not("OrgnlMsgId", &self.message_id)?)?;
            out.text("OrgnlMsgNmId", xml::max_text("OrgnlMsgNmId", &self.message_name, MAX_35)?)?;
            out.text("OrgnlCreDtTm", &created)
        })?;
        out.text("OrgnlInstrId", &or_not("OrgnlInstrId", &self.instruction_id)?)?;
        out.text("OrgnlEndToEndId", &or_not("OrgnlEndToEndId", &self.end_to_end_id)?)?;
        if let Some(id) = &self.transaction_id {
            out.text("OrgnlTxId", xml::max_text("OrgnlTxId", id, MAX_35)?)?;
        }
        if let Some(uetr) = &self.uetr {
            out.text("OrgnlUETR", &xml::uuid_v4("OrgnlUETR", uetr)?)?;
        }
        Ok(())
    }
}
