//! What a rail is told of one hold: its messages, from the hold, its acts and its payment as the journal has them. The
//! same hold always gives the same bytes, so whoever writes them twice writes one file.

use super::{Amount, Cancellation, Original, Parties, Reason, ReasonCode, Status, StatusReport, Wrong};
use super::{message_id, original};
use crate::config::outward::RailSection;
use crate::node::Node;
use anyhow::{Context, Result};
use interdict_engine::domain::money::Currency;
use interdict_engine::domain::{Accepted, Act, Body, Field, HoldId, HoldState, Lever, Transaction};
use interdict_engine::settlement::Hold;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// What a hold is told as, where its text names nothing of the payment: it goes to another bank.
const HELD_TEXT: &str = "held for review";
/// The rail's own reason of a recall for a sanctions match: ISO 20022 has no external code for it.
const SANCTIONS: &str = "SANCTIONS";

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// pacs.002 with this status.
    Status(Status),
    /// camt.056.
    Recall,
}

impl What {
    /// The status, or `C056`.
    pub const fn name(self) -> &'static str {
        match self {
            What::Status(status) => status.code(),
            What::Recall => "C056",
        }
    }
    /// The message's name, as in the rail's directories.
    pub const fn message(self) -> &'static str {
        match self {
            What::Status(_) => "pacs.002.001.10",
            What::Recall => "camt.056.001.08",
        }
    }
}

/// A message about a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// MsgId.
    pub id: String,
    /// What it says.
    pub what: What,
    /// When that happened, ms since the Unix epoch.
    pub at_ms: i64,
    /// The message, or why there is none.
    pub xml: Result<String, Wrong>,
}

impl Node {
    /// All that the rail is told of a hold so far, in order; nothing where no rail is configured, or the payment's lever
    /// and network call for none.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn rail_messages(&self, id: HoldId, hold: &Hold) -> Result<Vec<Message>> {
        let rail = &self.loaded.config.rail;
        let steps = match rail.enabled {
            true => self.rail_steps(hold)?,
            false => Vec::new(),
        };
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let accepted = self.events(&[id.payment])?.pop();
        let Some(Accepted { event, .. }) = accepted else { return Ok(Vec::new()) };
        let Body::Payment(tx) = event.body else { return Ok(Vec::new()) };
        let told = steps.into_iter().map(|(what, at_ms)| {
            let message = message_id(&rail.message_prefix, &id.to_string(), what.name());
            let xml = message.and_then(|message| write(rail, &message, id, hold, &tx, what, at_ms));
            Message { id: format!("{}{id}-{}", rail.message_prefix, what.name()), what, at_ms, xml }
        });
        Ok(told.collect())
    }

    /// What there is to tell, and when it happened.
    fn rail_steps(&self, hold: &Hold) -> Result<Vec<(What, i64)>> {
        let opened = &hold.opened;
        let placed_ms = match hold.placed_at {
            None => opened.at_ms,
            Some(placed) => {
                let event = self.events(&[placed])?.pop().context("what placed a hold is in the journal")?;
                event.event.arrival_ms
            }
        };
        if hold.state == HoldState::TooLate {
            return Ok(opened.recall.then_some((What::Recall, placed_ms)).into_iter().collect());
        }
        if opened.lever != Lever::AcceptWithoutPosting {
            return Ok(Vec::new());
        }
        let mut steps = vec![(What::Status(Status::Acwp), placed_ms)];
        let looked_at = self.events(&hold.acts)?.into_iter().find(|event| match &event.event.body {
            Body::HoldAct(act) => act.act == Act::Comment || act.act == Act::FalseMatch,
            _ => false,
        });
        let ended = hold.ended.as_ref();
        let looked_at = looked_at.filter(|event| ended.is_none_or(|ended| event.sequence < ended.sequence));
        steps.extend(looked_at.map(|event| (What::Status(Status::Pdng), event.event.arrival_ms)));
        let end = Status::of_hold(hold.state, false).filter(|status| status.is_final());
        steps.extend(end.zip(ended).map(|(status, ended)| (What::Status(status), ended.at_ms)));
        Ok(steps)
    }
}

fn write(
    rail: &RailSection,
    message_id: &str,
    id: HoldId,
    hold: &Hold,
    tx: &Transaction,
    what: What,
    at_ms: i64,
) -> Result<String, Wrong> {
    let payment = original::Payment {
        id: tx.id.as_deref(),
        uetr: tx.text(Field::Uetr),
        rrn: tx.text(Field::Rrn),
        time_ms: tx.time_ms,
    };
    let original = Original::of(payment, &rail.original_message)?;
    let parties = Parties::new(rail);
    let own = parties.own(&tx.tenant)?;
    let institutions = [Field::Acquirer, Field::Issuer, Field::AccountBank].map(|field| tx.text(field));
    let other = parties.other(&tx.tenant, &institutions)?;
    let message_id = message_id.to_owned();
    match what {
        What::Status(status) => StatusReport {
            message_id,
            created_ms: at_ms,
            original,
            status,
            reason: reason(status, hold.state),
            accepted_ms: None,
            settlement_date: None,
            instructing: own,
            instructed: other,
        }
        .to_xml(),
        What::Recall => Cancellation {
            message_id,
            created_ms: at_ms,
            assigner: own,
            assignee: other,
            case_id: id.to_string(),
            original,
            amount: amount(tx)?,
            settlement_date: day(hold.opened.cut_off_ms)?,
            reason: match hold.opened.sanctions {
                true => Reason { code: ReasonCode::Proprietary(SANCTIONS.into()), text: None },
                false => Reason::code("FRAD"),
            },
        }
        .to_xml(),
    }
}

/// As the table of `docs/formats/rail.md` has it.
fn reason(status: Status, state: HoldState) -> Option<Reason> {
    match status {
        Status::Acwp => Some(Reason::narrative(HELD_TEXT)),
        Status::Pdng | Status::Accc => None,
        Status::Blck => Some(Reason::code("RR04")),
        Status::Rjct if state == HoldState::Rejected => Some(Reason::code("RR04")),
        Status::Rjct => Some(Reason::code("FRAD")),
    }
}

/// The settlement amount, where there is one; else the amount.
fn amount(tx: &Transaction) -> Result<Amount, Wrong> {
    let of = |minor, currency| Some((tx.int(minor)?, Currency::parse(tx.text(currency)?)?));
    let settled = of(Field::SettlementMinor, Field::SettlementCurrency);
    let (minor, currency) = settled
        .or_else(|| of(Field::AmountMinor, Field::AmountCurrency))
        .ok_or(Wrong::Missing { element: "OrgnlIntrBkSttlmAmt" })?;
    Ok(Amount { minor, currency })
}

/// The day in UTC.
fn day(ms: i64) -> Result<Date, Wrong> {
    let time = jiff::Timestamp::from_millisecond(ms);
    let time = time.map_err(|_| Wrong::Malformed { element: "OrgnlIntrBkSttlmDt", expected: "a date" })?;
    Ok(time.to_zoned(TimeZone::UTC).date())
}
