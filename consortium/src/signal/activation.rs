//! Whether a signal is active, and what all who contribute it come to: integers and nothing else, so that every member
//! gets the same. One trusted contributor or `k` of any kind make it active, unless it is disputed; a dispute is settled
//! while members who confirm outnumber those who speak against.

use crate::kind::MemberId;
use crate::signal::stand::{Claim, Stand};
use crate::signal::{Contributor, Policy, Reason};

/// An active signal: what its contributors come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Active<'a> {
    /// The reason that the leading contribution gives: that of a trusted contributor before others, then the gravest,
    /// then the one of the lowest number.
    pub reason: Reason,
    /// The severity that it gives.
    pub severity: u8,
    /// Whose it is.
    pub member: MemberId,
    /// The earliest time that anybody saw it first, in unix milliseconds.
    pub first_seen_ms: u64,
    /// The latest time that anybody saw it last.
    pub last_seen_ms: u64,
    /// Until when it is active if nobody says anything more: contributions end, and at last too few are left.
    pub expires_ms: u64,
    /// How many trusted members contribute it.
    pub trusted: u16,
    /// How many members contribute it, trusted ones included.
    pub contributors: u16,
    /// The open text; empty for others.
    pub text: &'a str,
}

/// A contribution that counts.
struct Counted<'a> {
    claim: Claim<'a>,
    ends_ms: u64,
    member: MemberId,
    trusted: bool,
}

/// What a signal is at `now_ms` by a kind's policy; `None` where it is not active. `contributor` gives a member's place
/// (with `trusted` as its reputation leaves it); who is not active is not heard. `stands` are ascending by member.
pub fn activate<'a>(
    stands: &[Stand<'a>],
    policy: &Policy,
    now_ms: u64,
    contributor: impl Fn(MemberId) -> Option<Contributor>,
) -> Option<Active<'a>> {
    let (mut counted, mut confirming, mut against, mut disputes) = (Vec::new(), 0u32, 0u32, 0u32);
    for stand in stands {
        let Some(member) = contributor(stand.member).filter(|member| member.active) else { continue };
        confirming += u32::from(stand.is_confirming());
        against += u32::from(stand.is_against());
        disputes += u32::from(stand.is_disputing());
        let Some(claim) = stand.claim else { continue };
        let ends_ms = claim.expires_ms.min(claim.last_seen_ms + policy.lifetime_ms);
        if ends_ms > now_ms {
            counted.push(Counted { claim, ends_ms, member: stand.member, trusted: member.trusted });
        }
    }
    if disputes > 0 && confirming <= against {
        return None;
    }
    let expires_ms = active_until_ms(&counted, policy)?;
    let lead = counted.iter().min_by_key(|c| (!c.trusted, u8::MAX - c.claim.severity, c.member))?;
    let count = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
    Some(Active {
        reason: lead.claim.reason,
        severity: lead.claim.severity,
        member: lead.member,
        first_seen_ms: counted.iter().map(|c| c.claim.first_seen_ms).min()?,
        last_seen_ms: counted.iter().map(|c| c.claim.last_seen_ms).max()?,
        expires_ms,
        trusted: count(counted.iter().filter(|c| c.trusted).count()),
        contributors: count(counted.len()),
        text: lead.claim.text,
    })
}

/// When neither rule is met any more; `None` where neither is met now.
fn active_until_ms(counted: &[Counted<'_>], policy: &Policy) -> Option<u64> {
    let until = |min: u16, only_trusted: bool| {
        let mut ends: Vec<u64> =
            counted.iter().filter(|c| c.trusted || !only_trusted).map(|c| c.ends_ms).collect();
        ends.sort_unstable_by(|a, b| b.cmp(a));
        ends.get(usize::from(min).checked_sub(1)?).copied()
    };
    until(policy.trusted_min, true).max(until(policy.independent_min, false))
}
