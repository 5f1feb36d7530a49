//! Multilateral netting: nets that sum to zero become at most n - 1 payments from those below zero to those above it. The
//! largest debtor pays the largest creditor, ties by number, so that everybody comes to the same payments.

use crate::error::{Error, ErrorKind, Result};
use crate::kind::MemberId;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// A payment between two parties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Transfer {
    /// Who pays.
    pub from: MemberId,
    /// Who is paid.
    pub to: MemberId,
    /// How much, in minor units; more than nothing.
    pub amount_minor: i64,
}

/// The payments that settle nets, by payer and payee.
///
/// # Errors
/// `Invalid` where the nets do not sum to zero, or somebody is there twice.
pub fn settle(nets: &[(MemberId, i64)]) -> Result<Vec<Transfer>> {
    let by_member: BTreeMap<MemberId, i64> = nets.iter().copied().collect();
    if by_member.len() != nets.len() {
        return Err(Error::new(ErrorKind::Invalid, "a member has two nets"));
    }
    let sum: i128 = nets.iter().map(|(_, net)| i128::from(*net)).sum();
    if sum != 0 {
        let message = format!("nets sum to {sum} minor units: expected 0");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let side = |sign: i64| -> BinaryHeap<(u64, Reverse<MemberId>)> {
        let of_side = nets.iter().filter(|(_, net)| net.signum() == sign);
        of_side.map(|(member, net)| (net.unsigned_abs(), Reverse(*member))).collect()
    };
    let (mut debtors, mut creditors) = (side(-1), side(1));
    let mut transfers = Vec::new();
    while let (Some((owes, from)), Some((owed, to))) = (debtors.pop(), creditors.pop()) {
        let amount = owes.min(owed);
        let amount_minor = i64::try_from(amount)
            .map_err(|_| Error::new(ErrorKind::TooLarge, "a payment past 2^63 minor units"))?;
        transfers.push(Transfer { from: from.0, to: to.0, amount_minor });
        if owes > amount {
            debtors.push((owes - amount, from));
        }
        if owed > amount {
            creditors.push((owed - amount, to));
        }
    }
    transfers.sort_unstable();
    Ok(transfers)
}

/// Leaves some out: what they owe or are owed stands with the operator, since their balance with it was debited, or their
/// statement is open or disputed. The sum stays zero.
///
/// # Errors
/// `NotFound` where the operator has no net; `TooLarge` where its net passes 64 bits.
pub fn carry(
    nets: &[(MemberId, i64)],
    operator: MemberId,
    is_left_out: impl Fn(MemberId) -> bool,
) -> Result<Vec<(MemberId, i64)>> {
    let is_carried = |member: MemberId| member != operator && is_left_out(member);
    let carried: i128 = nets.iter().filter(|(m, _)| is_carried(*m)).map(|(_, net)| i128::from(*net)).sum();
    let mut kept: Vec<(MemberId, i64)> = nets.iter().copied().filter(|(m, _)| !is_carried(*m)).collect();
    let own = kept.iter_mut().find(|(member, _)| *member == operator);
    let (_, net) = own.ok_or_else(|| Error::new(ErrorKind::NotFound, "the operator has no net"))?;
    *net = i64::try_from(i128::from(*net) + carried)
        .map_err(|_| Error::new(ErrorKind::TooLarge, "the operator's net passes 64 bits"))?;
    Ok(kept)
}
