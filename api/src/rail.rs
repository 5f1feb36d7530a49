//! What the rail is told when a hold begins or ends: ISO 20022 messages, pacs.002 (a payment's status) and camt.056 (its
//! recall), as text and as files. `telling` makes them of a hold, `follower` writes them as holds begin and end; the rest
//! knows nothing of the book of holds. Elements, limits and what stands for what a payment lacks: `docs/formats/rail.md`.

mod xml;
pub mod types;
pub mod original;
pub mod status_report;
pub mod cancellation;
pub mod outgoing;
pub mod parties;
pub mod telling;
pub mod follower;
#[cfg(test)]
mod shape;
#[cfg(test)]
mod tests;

pub use cancellation::Cancellation;
pub use original::Original;
pub use outgoing::{Outgoing, Written};
pub use parties::Parties;
pub use status_report::StatusReport;
pub use types::{Agent, Amount, Reason, ReasonCode, Status, Wrong};

/// The id of the message that tells what became of a hold: `PREFIX HOLD-WHAT`, without the space, where `what` is a
/// status (`ACWP`; `PDNG2` for a second time) or `C056` for a recall. The same hold and step always get the same id, so a message is written once.
///
/// # Errors
/// An id that is longer than 35 characters (Max35Text).
pub fn message_id(prefix: &str, hold: &str, what: &str) -> Result<String, Wrong> {
    let id = format!("{prefix}{hold}-{what}");
    xml::max_text("MsgId", &id, xml::MAX_35).map(|_| id.clone())
}
