//! What a member may be in an alliance. A set, since most banks contribute and consume; one spelling a set.

use crate::error::{Error, ErrorKind, Result};
use std::fmt;

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// Sends signals.
    Contributor = 0,
    /// Looks signals up.
    Consumer = 1,
    /// Sees all openings of the query log, recomputes statements.
    Auditor = 2,
    /// Runs the hub: one at a time, given by the genesis and by changes of operator only.
    Operator = 3,
    /// Police or a court: documented requests, each logged.
    Authority = 4,
}

impl Role {
    /// All, in the order in which a set is written.
    pub const ALL: [Role; 5] =
        [Role::Contributor, Role::Consumer, Role::Auditor, Role::Operator, Role::Authority];
    /// Its name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Contributor => "contributor",
            Role::Consumer => "consumer",
            Role::Auditor => "auditor",
            Role::Operator => "operator",
            Role::Authority => "authority",
        }
    }
    /// The role of a name.
    ///
    /// # Errors
    /// `Invalid`, with the names there are.
    pub fn by_name(name: &str) -> Result<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name).ok_or_else(|| {
            let all = Role::ALL.map(Role::name).join(", ");
            Error::new(ErrorKind::Invalid, format!("{name:?} is no role: expected one of {all}"))
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of roles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Roles(u8);

impl Roles {
    /// No role.
    pub const NONE: Roles = Roles(0);

    /// A set of these.
    pub fn of(roles: &[Role]) -> Roles {
        roles.iter().fold(Roles::NONE, |set, role| set.with(*role))
    }
    /// Reads `contributor,consumer`: in the order of [`Role::ALL`], each once, not empty.
    ///
    /// # Errors
    /// `Invalid` for a name that is no role, `Malformed` for another order.
    pub fn parse(text: &str) -> Result<Roles> {
        let mut set = Roles::NONE;
        for name in text.split(',') {
            set = set.with(Role::by_name(name)?);
        }
        match set.to_string() == text {
            true => Ok(set),
            false => Err(Error::new(
                ErrorKind::Malformed,
                format!("roles are written each once and in their order: \"{set}\""),
            )),
        }
    }
    /// The set with one more.
    #[must_use]
    pub fn with(self, role: Role) -> Roles {
        Roles(self.0 | 1 << role as u8)
    }
    /// The set without one.
    #[must_use]
    pub fn without(self, role: Role) -> Roles {
        Roles(self.0 & !(1 << role as u8))
    }
    /// Whether a role is in it.
    pub fn has(self, role: Role) -> bool {
        self.0 & 1 << role as u8 != 0
    }
    /// Whether one of the other's roles is in it.
    pub fn has_any(self, other: Roles) -> bool {
        self.0 & other.0 != 0
    }
    /// Whether all of the other's roles are in it.
    pub fn has_all(self, other: Roles) -> bool {
        self.0 & other.0 == other.0
    }
    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// The roles in it, in order.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let names: Vec<_> = self.iter().map(Role::name).collect();
        f.write_str(&names.join(","))
    }
}
