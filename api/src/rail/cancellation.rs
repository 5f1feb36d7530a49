//! camt.056.001.08, FIToFIPaymentCancellationRequest: a payment that has left is asked back.

use super::original::Original;
use super::types::{Agent, Amount, Reason, Wrong};
use super::xml::{self, Document, MAX_35};
use jiff::civil::Date;

/// The namespace, which is the version.
pub const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:camt.056.001.08";

/// A request for cancellation (a recall).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancellation {
    /// Assgnmt/Id, at most 35 characters, never used for another message (`rail::message_id`).
    pub message_id: String,
    /// Assgnmt/CreDtTm, ms since the Unix epoch. Of the event, not of the writing.
    pub created_ms: i64,
    /// Assgnr: the bank that asks. It is the case's creator too.
    pub assigner: Agent,
    /// Assgne: the bank that is asked.
    pub assignee: Agent,
    /// Case/Id, at most 35 characters: the hold's or case's id.
    pub case_id: String,
    /// The payment.
    pub original: Original,
    /// OrgnlIntrBkSttlmAmt.
    pub amount: Amount,
    /// OrgnlIntrBkSttlmDt: the day it settled or settles, in the rail's time zone.
    pub settlement_date: Date,
    /// CxlRsnInf: `FRAD` for suspected fraud.
    pub reason: Reason,
}

impl Cancellation {
    /// The message as XML.
    ///
    /// # Errors
    /// A text that is too long or not of its type's form; a negative amount; a payment without references.
    pub fn to_xml(&self) -> Result<String, Wrong> {
        let message_id = xml::max_text("Assgnmt/Id", &self.message_id, MAX_35)?;
        let created = xml::date_time("Assgnmt/CreDtTm", self.created_ms)?;
        let case_id = xml::max_text("Case/Id", &self.case_id, MAX_35)?;
        Document::write(NAMESPACE, |out| {
            out.inside("FIToFIPmtCxlReq", |out| {
                out.inside("Assgnmt", |out| {
                    out.text("Id", message_id)?;
                    out.inside("Assgnr", |out| self.assigner.write(out, "Agt"))?;
                    out.inside("Assgne", |out| self.assignee.write(out, "Agt"))?;
                    out.text("CreDtTm", &created)
                })?;
                out.inside("Case", |out| {
                    out.text("Id", case_id)?;
                    out.inside("Cretr", |out| self.assigner.write(out, "Agt"))
                })?;
                out.inside("Undrlyg", |out| out.inside("TxInf", |out| self.write_payment(out)))
            })
        })
    }

    fn write_payment(&self, out: &mut Document) -> Result<(), Wrong> {
        self.original.write(out)?;
        let amount = self.amount.decimal("OrgnlIntrBkSttlmAmt")?;
        out.text_with("OrgnlIntrBkSttlmAmt", ("Ccy", self.amount.currency.code()), &amount)?;
        out.text("OrgnlIntrBkSttlmDt", &self.settlement_date.to_string())?;
        self.reason.write(out, "CxlRsnInf")
    }
}
