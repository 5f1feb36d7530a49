//! What of a bill follows from the governance log: who is a party and who may sign, which tariffs and self-reports there
//! are. An auditor takes all of it from its own mirror, not from the operator.

use super::Party;
use super::basis::LogRange;
use super::confirm::{Role, Signatory};
use super::report::{self, Report};
use super::tariff::{self, Tariff};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::kind::MemberId;
use crate::member::{self, Member, Registry};
use crate::note::Note;
use crate::record::type_of;

/// The parties to a bill over a range of the log: who was an active contributor or consumer at its begin, at its end, or at
/// any leaf between; name and class as they are at its end. One that left within it is among them.
pub fn parties(registry: &Registry, range: &LogRange) -> Vec<Party> {
    let takes_part = |m: &Member| m.can(member::Role::Contributor) || m.can(member::Role::Consumer);
    let mut parties = Vec::new();
    for id in registry.members().map(|member| member.id) {
        let Some(last) = registry.member_as_of(id, range.to) else { continue };
        let within = registry.versions(id).iter().filter(|version| range.leaves().contains(&version.since));
        let begin = registry.member_as_of(id, range.from);
        if begin.into_iter().chain(within.map(|version| &**version)).any(takes_part) {
            let (name, class) = (last.profile.name.clone(), last.profile.tariff_class.clone());
            parties.push(Party { member: id, name, class });
        }
    }
    parties
}

/// The operator, number and name, when the log had `size` leaves.
///
/// # Errors
/// `NotFound` for a log without members, which no registry is of.
pub fn operator(registry: &Registry, size: u64) -> Result<(MemberId, String)> {
    let id = registry.operator_as_of(size).member;
    let found = registry.member_as_of(id, size).map(|member| (id, member.profile.name.clone()));
    found.ok_or_else(|| Error::new(ErrorKind::NotFound, "the log has no operator at that size"))
}

/// Who may sign statements, settlements, deposits and disputes, by the keys that they had when the log had `size` leaves:
/// active members, the operator, auditors. Who has left or is suspended can still settle what it owes: it is there with
/// its last keys.
pub fn signatories(registry: &Registry, size: u64) -> Vec<Signatory> {
    let operator = registry.operator_as_of(size).member;
    let mut signatories = Vec::new();
    for member in registry.members().filter_map(|member| registry.member_as_of(member.id, size)) {
        let mut put = |role| {
            let key = member.profile.sign.clone();
            signatories.push(Signatory { member: member.id, role, key });
        };
        put(Role::Member);
        if member.id == operator && member.is_active() {
            put(Role::Operator);
        }
        if member.can(member::Role::Auditor) {
            put(Role::Auditor);
        }
    }
    signatories
}

/// Tariffs and self-reports among leaves of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gathered {
    /// Tariffs, in the order of the log; [`tariff::in_force`] chooses.
    pub tariffs: Vec<Tariff>,
    /// Self-reports, in the order of the log; [`report::in_force`] chooses.
    pub reports: Vec<Report>,
}

impl Gathered {
    /// Of leaves that the registry has accepted: their signatures and numbers are checked there.
    ///
    /// # Errors
    /// As [`Tariff::decode`] and [`Report::decode`], with the leaf.
    pub fn of<'a>(leaves: impl IntoIterator<Item = (u64, &'a Note)>) -> Result<Gathered> {
        let mut gathered = Gathered::default();
        for (leaf, note) in leaves {
            gathered.put(note.text()).map_err(|e| e.at(Place::Leaf("governance", leaf)))?;
        }
        Ok(gathered)
    }
    fn put(&mut self, text: &str) -> Result<()> {
        match type_of(text)?.0 {
            tariff::TYPE => self.tariffs.push(Tariff::decode(text)?),
            report::TYPE => self.reports.push(Report::decode(text)?),
            _ => {}
        }
        Ok(())
    }
}
