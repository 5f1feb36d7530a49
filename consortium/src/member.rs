//! Members: who they are, under which rules they admit one another, and what the governance log makes of them. The
//! state is the replay of that log and nothing else, so that every member has it without asking the operator.

pub mod did;
mod demand;
mod judge;
mod numbered;
mod profile;
mod proposal;
mod records;
mod registry;
mod roles;
mod rules;
mod spelled;

pub use demand::Missing;
pub use judge::Applied;
pub use numbered::{Evidence, Latest, Numbered};
pub use profile::{Country, Profile, check_member_name};
pub use proposal::{Offered, Pending, Proposal};
pub use records::{
    Admission, Application, Genesis, Leaving, LogKeys, OperatorChange, Reinstatement, Rotation, RotationBy,
    Ruling, Suspension, TagKey, TrustChange,
};
pub use registry::{Member, Operator, Registry, State, TagKeyLeaf};
pub use roles::{Role, Roles};
pub use rules::{Act, KindRule, Quorum, Rules, RulesChange};
pub use spelled::{Spelled, text_hash};

#[cfg(test)]
pub(crate) mod alliance;
#[cfg(test)]
mod tests;
