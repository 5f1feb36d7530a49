//! pacs.002.001.10, FIToFIPaymentStatusReport: what became of one payment. One payment a message, as the samples have it.

use super::original::Original;
use super::types::{Agent, Reason, Status, Wrong};
use super::xml::{self, Document, MAX_35};
use jiff::civil::Date;

/// The namespace, which is the version.
pub const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:pacs.002.001.10";

/// A status report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReport {
    /// MsgId, at most 35 characters, never used for another message (`rail::message_id`).
    pub message_id: String,
    /// CreDtTm, ms since the Unix epoch. Of the event, not of the writing: the same event gives the same bytes.
    pub created_ms: i64,
    /// The payment.
    pub original: Original,
    /// TxSts.
    pub status: Status,
    /// StsRsnInf; BLCK and RJCT need one.
    pub reason: Option<Reason>,
    /// AccptncDtTm, ms since the Unix epoch, where acceptance is told.
    pub accepted_ms: Option<i64>,
    /// FctvIntrBkSttlmDt, where it settles on a known day.
    pub settlement_date: Option<Date>,
    /// InstgAgt: the bank that reports.
    pub instructing: Agent,
    /// InstdAgt: the bank that is told.
    pub instructed: Agent,
}

impl StatusReport {
    /// The message as XML.
    ///
    /// # Errors
    /// A text that is too long or not of its type's form; BLCK or RJCT without a reason; a payment without references.
    pub fn to_xml(&self) -> Result<String, Wrong> {
        if self.status.needs_reason() && self.reason.is_none() {
            return Err(Wrong::Missing { element: "StsRsnInf, which BLCK and RJCT need," });
        }
        let message_id = xml::max_text("MsgId", &self.message_id, MAX_35)?;
        let created = xml::date_time("CreDtTm", self.created_ms)?;
        Document::write(NAMESPACE, |out| {
            out.inside("FIToFIPmtStsRpt", |out| {
                out.inside("GrpHdr", |out| {
                    out.text("MsgId", message_id)?;
                    out.text("CreDtTm", &created)
                })?;
                out.inside("TxInfAndSts", |out| self.write_payment(out))
            })
        })
    }

    fn write_payment(&self, out: &mut Document) -> Result<(), Wrong> {
        self.original.write(out)?;
        out.text("TxSts", self.status.code())?;
        if let Some(reason) = &self.reason {
            reason.write(out, "StsRsnInf")?;
        }
        if let Some(ms) = self.accepted_ms {
            out.text("AccptncDtTm", &xml::date_time("AccptncDtTm", ms)?)?;
        }
        if let Some(date) = self.settlement_date {
            out.inside("FctvIntrBkSttlmDt", |out| out.text("Dt", &date.to_string()))?;
        }
        self.instructing.write(out, "InstgAgt")?;
        self.instructed.write(out, "InstdAgt")
    }
}
