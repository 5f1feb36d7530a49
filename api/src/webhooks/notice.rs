//! What is told: notices, their kinds, and where they come from.

use serde_json::{Value, json};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum NoticeKind {
    /// A payment is held.
    HoldPlaced,
    /// A hold was released: the payment may settle.
    HoldReleased,
    /// A hold was confirmed: the payment must not settle.
    HoldConfirmed,
    /// A hold's time ran out, and its declared end happened.
    HoldExpired,
    /// A true match: the funds are blocked.
    HoldBlocked,
    /// A true match: the payment is rejected.
    HoldRejected,
    /// The held payment was taken back by its sender.
    HoldReversed,
    /// Judged again, a held payment would not be held now: its release is proposed.
    HoldReleaseProposed,
    /// Of a sanctions hold somebody says that it is no match; a second person has to confirm it.
    HoldFalseMatchProposed,
    /// Somebody wrote on a hold.
    HoldCommented,
    /// A hunt found a payment that could not be stopped any more.
    CaseTooLate,
}

impl NoticeKind {
    /// All of them.
    pub const ALL: [NoticeKind; 11] = [
        Self::HoldPlaced,
        Self::HoldReleased,
        Self::HoldConfirmed,
        Self::HoldExpired,
        Self::HoldBlocked,
        Self::HoldRejected,
        Self::HoldReversed,
        Self::HoldReleaseProposed,
        Self::HoldFalseMatchProposed,
        Self::HoldCommented,
        Self::CaseTooLate,
    ];

    /// Its name, the `type` of a body.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HoldPlaced => "hold.placed",
            Self::HoldReleased => "hold.released",
            Self::HoldConfirmed => "hold.confirmed",
            Self::HoldExpired => "hold.expired",
            Self::HoldBlocked => "hold.blocked",
            Self::HoldRejected => "hold.rejected",
            Self::HoldReversed => "hold.reversed",
            Self::HoldReleaseProposed => "hold.release_proposed",
            Self::HoldFalseMatchProposed => "hold.false_match_proposed",
            Self::HoldCommented => "hold.commented",
            Self::CaseTooLate => "case.too_late",
        }
    }
    /// The kind of a name.
    pub fn by_name(name: &str) -> Option<NoticeKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One thing to be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Its id, the same however often it is sent: 1 to 128 of `A-Z a-z 0-9 - _`, and `.` is not among them, since the
    /// signature separates by it.
    pub id: String,
    /// Its place in the source's order.
    pub sequence: u64,
    /// Whose payment it is about.
    pub tenant: String,
    /// What happened.
    pub kind: NoticeKind,
    /// When it happened, ms since the Unix epoch.
    pub time_ms: i64,
    /// What is told of it (`data` of the body). The caller's: no PAN, name or key may be in it.
    pub body: Value,
}

impl Notice {
    /// The body as it is sent: the same bytes each time.
    pub fn bytes(&self) -> Vec<u8> {
        let time = jiff::Timestamp::from_millisecond(self.time_ms).unwrap_or_default();
        let body = json!({
            "type": self.kind.name(),
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            "tenant": self.tenant,
            "sequence": self.sequence,
            "data": self.body,
        });
        body.to_string().into_bytes()
    }
}

/// Some notices, and how far they reach.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// In the order of their sequences.
    pub notices: Vec<Notice>,
    /// Everything up to here has been looked at: the next page begins after it. At least the last notice's sequence, and
    /// not below where the page began.
    pub through: u64,
}

/// Where notices come from: the journal. It is the queue, so nothing else keeps what is not yet delivered.
///
/// Sequences never become readable out of order: what a page has reached stays as it is. All notices of one sequence
/// are in one page. The same notice has the same id and body whenever it is asked for.
pub trait Source: Send + Sync + 'static {
    /// Notices with a sequence above `sequence`, about `max` of them (more only where one sequence has more), and how
    /// far was looked. An empty page that reaches further than before is well: there was nothing to tell.
    ///
    /// # Errors
    /// The journal cannot be read; it is asked again later.
    fn after(&self, sequence: u64, max: usize) -> anyhow::Result<Page>;
    /// The newest sequence that can be read.
    fn newest(&self) -> u64;
}
