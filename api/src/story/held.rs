//! A hold that begins with a verdict, in words: the journal has no event for it, so what happened since does not tell it.

use crate::answer::time;
use interdict_engine::domain::{HoldId, Opened};

/// Tells the hold that a verdict, of this sequence, begins.
pub fn held(sequence: u64, opened: &Opened) -> String {
    let id = HoldId { payment: sequence, number: 1 };
    if !opened.can_hold(opened.at_ms) {
        return format!("{id}: a case, too late from the beginning: nothing could stop the payment any more");
    }
    let lever = opened.lever.name();
    match opened.until_ms {
        Some(until_ms) => {
            let then = if opened.expiry_releases { "goes on" } else { "stays stopped" };
            format!("{id}: held by its verdict ({lever}); undecided by {} it {then}", time(until_ms))
        }
        None => format!("{id}: held by its verdict ({lever}), a matter of sanctions: only people end it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use interdict_engine::domain::{GenerationId, Lever, Outcome};

    #[test]
    fn a_hold_is_told_with_its_lever_and_its_end() {
        let opened = Opened {
            tenant: "acme".into(),
            at_ms: 1_772_409_600_000,
            until_ms: Some(1_772_413_200_000),
            expiry_releases: false,
            cut_off_ms: 1_772_413_200_000,
            lever: Lever::StopBeforeCutoff,
            recall: false,
            amount_minor: 1,
            currency: "EUR".into(),
            sanctions: false,
            outcome: Outcome::Hold,
            score: 1,
            reasons: Vec::new(),
            causes: Vec::new(),
            generation: GenerationId { hash: [0; 32], overlay: 0 },
            learned: None,
        };
        let plain = held(7, &opened);
        assert!(
            plain.starts_with("h-7: held by its verdict (stop_before_cutoff); undecided by 2026-03-02T"),
            "{plain}"
        );
        assert!(plain.ends_with("it stays stopped"), "{plain}");
        let released = Opened { expiry_releases: true, ..opened.clone() };
        assert!(held(7, &released).ends_with("it goes on"));
        let sanctions = Opened { until_ms: None, sanctions: true, ..opened.clone() };
        assert!(held(7, &sanctions).ends_with("only people end it"));
        let late = Opened { lever: Lever::None, ..opened };
        assert!(held(7, &late).contains("too late"));
    }
}
