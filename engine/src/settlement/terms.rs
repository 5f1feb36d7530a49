//! How long a hold lasts and what ends it: by its lever, and never by a timer where it is a sanctions hold.

use crate::domain::Lever;
use serde::{Deserialize, Serialize};

/// What a hold holds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum HoldKind {
    /// The settlement of the payment.
    Settlement = 0,
    /// What the merchant or payee is paid out.
    Payout = 1,
    /// The goods: fulfilment is detained.
    Fulfilment = 2,
}

impl HoldKind {
    /// All kinds.
    pub const ALL: [HoldKind; 3] = [Self::Settlement, Self::Payout, Self::Fulfilment];
    /// Its name, as on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Settlement => "settlement",
            Self::Payout => "payout",
            Self::Fulfilment => "fulfilment",
        }
    }
    /// The kind of a name.
    pub fn by_name(name: &str) -> Option<HoldKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
    /// What a lever holds back; `None`: it holds nothing back (there is none, or it asks for money that is gone).
    pub const fn of(lever: Lever) -> Option<HoldKind> {
        match lever {
            Lever::None | Lever::Recall => None,
            Lever::WithholdPayout => Some(HoldKind::Payout),
            Lever::DetainGoods => Some(HoldKind::Fulfilment),
            Lever::CancelCapture | Lever::StopBeforeCutoff | Lever::AcceptWithoutPosting => {
                Some(HoldKind::Settlement)
            }
        }
    }
}

/// How long a hold lasts that nobody ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HoldUntil {
    /// Until the payment's cut-off.
    CutOff,
    /// So many ms from when it was opened, be it past the cut-off.
    For(i64),
}

/// What a hold becomes that nobody ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum AtExpiry {
    /// The payment goes on.
    Release = 0,
    /// The payment stays stopped.
    Confirm = 1,
}

impl AtExpiry {
    /// Both.
    pub const ALL: [AtExpiry; 2] = [Self::Release, Self::Confirm];
    /// Its name, as in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Confirm => "confirm",
        }
    }
    /// That of a name.
    pub fn by_name(name: &str) -> Option<AtExpiry> {
        Self::ALL.into_iter().find(|end| end.name() == name)
    }
}

/// How a hold ends that nobody ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HoldTerms {
    /// When.
    pub until: HoldUntil,
    /// As what.
    pub at_expiry: AtExpiry,
}

impl Default for HoldTerms {
    /// Until the cut-off, and then stopped: what was found suspect does not go on because nobody looked.
    fn default() -> HoldTerms {
        HoldTerms { until: HoldUntil::CutOff, at_expiry: AtExpiry::Confirm }
    }
}

impl HoldTerms {
    /// When a hold ends by itself, ms since the Unix epoch, and as what; `None` for a sanctions hold, which only people
    /// end. One that is opened at or past the cut-off it lasts until ends at once.
    pub fn expiry(&self, opened_ms: i64, cut_off_ms: i64, is_sanctions: bool) -> Option<(i64, AtExpiry)> {
        let at_ms = match self.until {
            HoldUntil::CutOff => cut_off_ms.max(opened_ms),
            HoldUntil::For(ms) => opened_ms.saturating_add(ms),
        };
        (!is_sanctions).then_some((at_ms, self.at_expiry))
    }
}

/// What is said of a payment that is to settle and was not hunted against all that counts for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Unhunted {
    /// `held`, until it was hunted.
    Hold = 0,
    /// `go`, with `flagged`.
    GoFlagged = 1,
}

impl Unhunted {
    /// Both.
    pub const ALL: [Unhunted; 2] = [Self::Hold, Self::GoFlagged];
    /// Its name, as in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::GoFlagged => "go_flagged",
        }
    }
    /// That of a name.
    pub fn by_name(name: &str) -> Option<Unhunted> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sanctions_hold_never_ends_by_a_timer() {
        for until in [HoldUntil::CutOff, HoldUntil::For(7)] {
            for at_expiry in AtExpiry::ALL {
                assert_eq!(HoldTerms { until, at_expiry }.expiry(1, 2, true), None);
            }
        }
        let until_cut_off = HoldTerms::default();
        assert_eq!(until_cut_off.expiry(10, 90, false), Some((90, AtExpiry::Confirm)));
        assert_eq!(until_cut_off.expiry(95, 90, false), Some((95, AtExpiry::Confirm)));
        let an_hour = HoldTerms { until: HoldUntil::For(60), at_expiry: AtExpiry::Release };
        assert_eq!(an_hour.expiry(50, 90, false), Some((110, AtExpiry::Release)));
    }

    #[test]
    fn names_are_found_again_and_each_lever_holds_its_kind() {
        assert!(HoldKind::ALL.iter().all(|kind| HoldKind::by_name(kind.name()) == Some(*kind)));
        assert!(AtExpiry::ALL.iter().all(|end| AtExpiry::by_name(end.name()) == Some(*end)));
        assert!(Unhunted::ALL.iter().all(|one| Unhunted::by_name(one.name()) == Some(*one)));
        let kinds = Lever::ALL.map(HoldKind::of);
        use HoldKind::{Fulfilment, Payout, Settlement};
        let settlement = Some(Settlement);
        let expected = [None, Some(Payout), settlement, settlement, settlement, Some(Fulfilment), None];
        assert_eq!(kinds, expected);
    }
}
