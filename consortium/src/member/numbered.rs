//! Records of others that are leaves of the governance log too: contributions, usage reports, epochs and settlements (not
//! statements: what a member owes is not for all to read). Here only who may sign them and that their numbers rise: one who signs two of one number is caught.

use super::registry::Registry;
use super::roles::Role;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::kind::MemberId;
use crate::note::Note;
use crate::record::type_of;
use std::fmt;
use std::sync::Arc;

/// A type of numbered record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Numbered {
    /// `interdict/contribution/v1`, by an active contributor; numbered by member.
    Contribution,
    /// `interdict/usage/v1`, by an active consumer; numbered by member.
    Usage,
    /// `interdict/epoch/v1`, by the operator, other members may have cosigned; numbered in the alliance.
    Epoch,
    /// `interdict/settlement/v1`, by the operator, others may have signed; numbered in the alliance.
    Settlement,
}

impl Numbered {
    /// All.
    pub const ALL: [Numbered; 4] =
        [Numbered::Contribution, Numbered::Usage, Numbered::Epoch, Numbered::Settlement];
    /// TYPE of its first line.
    pub const fn name(self) -> &'static str {
        match self {
            Numbered::Contribution => "contribution",
            Numbered::Usage => "usage",
            Numbered::Epoch => "epoch",
            Numbered::Settlement => "settlement",
        }
    }
    /// The type of a record, where it is one of these, of version 1.
    pub fn of_text(text: &str) -> Option<Numbered> {
        let (ty, version) = type_of(text).ok()?;
        Numbered::ALL.into_iter().find(|numbered| numbered.name() == ty && version == 1)
    }
    /// The role its author needs; `None`: the operator writes it.
    pub(super) const fn role(self) -> Option<Role> {
        match self {
            Numbered::Contribution => Some(Role::Contributor),
            Numbered::Usage => Some(Role::Consumer),
            Numbered::Epoch | Numbered::Settlement => None,
        }
    }
}

impl fmt::Display for Numbered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The newest of a type and an author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest {
    /// Its number.
    pub number: u64,
    /// Where it is.
    pub leaf: u64,
    /// Who wrote it.
    pub author: MemberId,
    /// The record as it is in the log: evidence against its author, should there be another.
    pub note: Arc<Note>,
}

/// What is read of a numbered record here; all else is the business of those who know the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub ty: Numbered,
    /// Whom the line `member` names, its author; `None` where the operator writes it.
    pub member: Option<MemberId>,
    pub number: u64,
}

/// The value of the one line of a key, with its line.
pub(super) fn line_of<'a>(text: &'a str, key: &str) -> Result<(&'a str, Place)> {
    let mut lines = text
        .lines()
        .enumerate()
        .filter_map(|(at, line)| Some((line.strip_prefix(key)?.strip_prefix(' ')?, Place::Line(at + 1))));
    match (lines.next(), lines.next()) {
        (Some(line), None) => Ok(line),
        (None, _) => Err(Error::new(ErrorKind::Malformed, format!("expected a line {key:?}"))),
        (_, Some((_, place))) => {
            Err(Error::new(ErrorKind::Malformed, format!("a second line {key:?}")).at(place))
        }
    }
}

/// The number in the one line of a key.
pub(super) fn number_of(text: &str, key: &str) -> Result<u64> {
    let (value, place) = line_of(text, key)?;
    let number = value.parse::<u64>().ok().filter(|number| number.to_string() == value);
    number.ok_or_else(|| Error::new(ErrorKind::Malformed, format!("{key:?}: expected a number")).at(place))
}

/// That a record is of this alliance.
pub(super) fn check_alliance(registry: &Registry, text: &str) -> Result<()> {
    let (alliance, place) = line_of(text, "alliance")?;
    match alliance == registry.alliance() {
        true => Ok(()),
        false => {
            Err(Error::new(ErrorKind::Invalid, format!("a record of the alliance {alliance:?}")).at(place))
        }
    }
}

impl Head {
    pub fn read(registry: &Registry, ty: Numbered, text: &str) -> Result<Head> {
        check_alliance(registry, text)?;
        let number = number_of(text, "number")?;
        if ty.role().is_none() {
            return Ok(Head { ty, member: None, number });
        }
        let (value, place) = line_of(text, "member")?;
        // By number or by name; a name has a letter.
        let word = value.split(' ').next().unwrap_or_default();
        let member = match word.parse::<u16>() {
            Ok(id) => registry.member(MemberId(id)),
            Err(_) => registry.by_name(word),
        };
        let unknown = || Error::new(ErrorKind::NotFound, format!("{word:?} is no member here")).at(place);
        Ok(Head { ty, member: Some(member.ok_or_else(unknown)?.id), number })
    }
    /// The author, who must be active, in the role that the type asks for.
    pub fn author(&self, registry: &Registry) -> Result<MemberId> {
        let id = self.member.unwrap_or(registry.operator().member);
        let role = self.ty.role().unwrap_or(Role::Operator);
        match registry.member(id).is_some_and(|member| member.can(role)) {
            true => Ok(id),
            false => {
                let name = registry.member(id).map_or("", |member| member.profile.name.as_str());
                let message =
                    format!("{name} is not active as {role}, as the author of a {} must be", self.ty);
                Err(Error::new(ErrorKind::Forbidden, message))
            }
        }
    }
    /// That the number is larger than the last.
    pub fn check_number(&self, registry: &Registry, author: MemberId, text: &str) -> Result<()> {
        let Some(latest) = registry.latest(self.ty, self.member) else { return Ok(()) };
        let Head { ty, number, .. } = self;
        if *number > latest.number {
            return Ok(());
        }
        let name = registry.member(author).map_or("", |member| member.profile.name.as_str());
        let said = format!("{ty} {number} of {name}");
        Err(match (*number == latest.number, latest.note.text() == text) {
            (true, true) => Error::new(ErrorKind::Stale, format!("{said} is leaf {} already", latest.leaf)),
            (true, false) if latest.author == author => Error::new(
                ErrorKind::Equivocation,
                format!("{said} says another thing than leaf {}: both are signed", latest.leaf),
            ),
            _ => Error::new(
                ErrorKind::Stale,
                format!("{said} comes behind number {}, leaf {}", latest.number, latest.leaf),
            ),
        })
    }
}

/// Two notes of one number by one author, both signed: shows to anybody who has the governance log that the author
/// lied to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Who.
    pub author: MemberId,
    /// Of what type.
    pub ty: Numbered,
    /// The number that both have.
    pub number: u64,
    /// The note that is in the log, or came first, and the size of the governance log under whose keys it verifies.
    pub first: (Note, u64),
    /// The other.
    pub second: (Note, u64),
}

impl Evidence {
    /// Checks that two notes are evidence, each by the keys in force when the log had so many leaves.
    ///
    /// # Errors
    /// `Invalid` where they say the same, or are of different types, numbers or authors; `Corrupt` or `UnknownKey`
    /// where one is not signed by the author that it names.
    pub fn of(registry: &Registry, first: (Note, u64), second: (Note, u64)) -> Result<Evidence> {
        let invalid = |what: &str| Error::new(ErrorKind::Invalid, what);
        let head = |(note, size): &(Note, u64)| {
            let ty = Numbered::of_text(note.text()).ok_or_else(|| invalid("no numbered record"))?;
            let head = Head::read(registry, ty, note.text())?;
            let author = head.member.unwrap_or(registry.operator_as_of(*size).member);
            match registry.signed_by(note, *size)?.contains(&author) {
                true => Ok((head, author)),
                false => Err(Error::new(ErrorKind::UnknownKey, "a note not signed by its author")),
            }
        };
        let (a, b) = (head(&first)?, head(&second)?);
        if a != b {
            return Err(invalid("two records of different types, numbers or authors"));
        }
        if first.0.text() == second.0.text() {
            return Err(invalid("two notes that say the same"));
        }
        let (Head { ty, number, .. }, author) = a;
        Ok(Evidence { author, ty, number, first, second })
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.first.0, self.second.0)
    }
}

impl Registry {
    /// The evidence in a note whose [`Registry::check`] answers `Equivocation`.
    pub fn evidence(&self, note: &Note) -> Option<Evidence> {
        let ty = Numbered::of_text(note.text())?;
        let head = Head::read(self, ty, note.text()).ok()?;
        let latest = self.latest(ty, head.member)?;
        let first = (Note::clone(&latest.note), latest.leaf);
        Evidence::of(self, first, (note.clone(), self.size())).ok()
    }
}
