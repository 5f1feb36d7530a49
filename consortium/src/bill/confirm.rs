//! Confirmation: a statement counts when the operator and the member whose it is have both signed the same text; the auditor
//! signs settlements (and may sign statements). Which members have confirmed is a function of the notes.

use super::dispute::Dispute;
use super::hash_of;
use super::settlement::Settlement;
use super::statement::Statement;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::VerifierKey;
use crate::kind::MemberId;
use crate::note::Note;
use std::collections::BTreeMap;

/// As what somebody may sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// For the operator.
    Operator,
    /// As the alliance's auditor.
    Auditor,
    /// For a member.
    Member,
}

/// A key, whose it is, and as what it signs. Somebody with two roles is here twice.
#[derive(Debug, Clone)]
pub struct Signatory {
    /// Whose.
    pub member: MemberId,
    /// As what.
    pub role: Role,
    /// The key.
    pub key: VerifierKey,
}

/// Who has signed a statement or a settlement; every signature verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signed {
    /// Whether the operator has.
    pub by_operator: bool,
    /// Which auditors have.
    pub auditors: Vec<MemberId>,
    /// Which members have.
    pub members: Vec<MemberId>,
}

impl Signed {
    fn of(note: &Note, signatories: &[Signatory], may_sign: impl Fn(&Signatory) -> bool) -> Result<Signed> {
        let able: Vec<&Signatory> = signatories.iter().filter(|signatory| may_sign(signatory)).collect();
        let keys: Vec<VerifierKey> = able.iter().map(|signatory| signatory.key.clone()).collect();
        let mut signed = Signed::default();
        for key in note.verify_all(&keys)?.iter().map(|signed| signed.key) {
            for signatory in able.iter().filter(|signatory| signatory.key == *key) {
                match signatory.role {
                    Role::Operator => signed.by_operator = true,
                    Role::Auditor => signed.auditors.push(signatory.member),
                    Role::Member => signed.members.push(signatory.member),
                }
            }
        }
        for list in [&mut signed.auditors, &mut signed.members] {
            list.sort_unstable();
            list.dedup();
        }
        Ok(signed)
    }
}

/// Reads a statement and says who has signed it: operator, auditors, the member whose it is, and nobody else.
///
/// # Errors
/// As [`Statement::decode`] and [`Note::verify_all`]; another member's signature is `UnknownKey`.
pub fn statement(note: &Note, signatories: &[Signatory]) -> Result<(Statement, Signed)> {
    let statement = Statement::decode(note.text())?;
    let whose = statement.party.member;
    let signed = Signed::of(note, signatories, |s| s.role != Role::Member || s.member == whose)?;
    Ok((statement, signed))
}

/// Reads a statement that both parties have confirmed.
///
/// # Errors
/// As [`statement()`]; `Quorum` where one of the two has not signed, by name of the side.
pub fn confirmed(note: &Note, signatories: &[Signatory]) -> Result<Statement> {
    let (statement, signed) = statement(note, signatories)?;
    let missing = match (signed.by_operator, signed.members.contains(&statement.party.member)) {
        (true, true) => return Ok(statement),
        (false, true) => "the operator",
        (true, false) => "the member",
        (false, false) => "either party",
    };
    let message = format!(
        "statement {} of {} is not confirmed: not signed by {missing}",
        statement.basis.number, statement.party.name
    );
    Err(Error::new(ErrorKind::Quorum, message))
}

/// Reads a settlement and says who has signed it.
///
/// # Errors
/// As [`Settlement::decode`] and [`Note::verify_all`].
pub fn settlement(note: &Note, signatories: &[Signatory]) -> Result<(Settlement, Signed)> {
    Ok((Settlement::decode(note.text())?, Signed::of(note, signatories, |_| true)?))
}

/// How it stands with a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not signed by both, and not disputed.
    Open,
    /// Signed by both. What was disputed before is settled with it.
    Confirmed,
    /// The member says that it is wrong.
    Disputed,
}

/// How it stands with each statement of a settlement, by its notes and disputes as far as they have come in.
///
/// # Errors
/// As [`statement()`]; `Corrupt` for a statement that is not the settlement's, `UnknownKey` for a dispute that its member did
/// not sign.
pub fn states(
    settlement: &Settlement,
    statements: &[Note],
    disputes: &[Note],
    signatories: &[Signatory],
) -> Result<BTreeMap<MemberId, State>> {
    let mut states: BTreeMap<MemberId, State> =
        settlement.statements.keys().map(|member| (*member, State::Open)).collect();
    for note in disputes {
        let dispute = Dispute::verify(note, signatories)?;
        if settlement.statements.get(&dispute.member) == Some(&dispute.statement) {
            states.insert(dispute.member, State::Disputed);
        }
    }
    for note in statements {
        let (statement, signed) = statement(note, signatories)?;
        let member = statement.party.member;
        if settlement.statements.get(&member) != Some(&hash_of(note.text())) {
            let message = format!("a statement of {} that is not the settlement's", statement.party.name);
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        if signed.by_operator && signed.members.contains(&member) {
            states.insert(member, State::Confirmed);
        }
    }
    Ok(states)
}
