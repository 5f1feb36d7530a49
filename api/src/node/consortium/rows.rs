//! What an epoch says of one signal, and how an entry of a list says it: on whose word by its contributor text, which
//! reasons tell apart again.

use interdict_engine::domain::{Effect, Entry, Subject, SubjectKind, Tag};
use interdict_engine::lists::Listed;
use std::sync::Arc;

/// Who stands behind a signal, as far as others may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// So many members, independently of each other.
    Independent(u16),
    /// A member that is trusted alone.
    Trusted,
}

/// One active signal of an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsortiumRow {
    /// What it is about.
    pub kind: SubjectKind,
    /// Version of the consortium's key that its tag is under.
    pub version: u32,
    /// Its tag under that key, of which the first `bits` count; not looked at where there is a text.
    pub tag: Tag,
    /// 1 to 128; the same for all rows of a kind and version. With fewer than 128 a hit is a candidate until it is
    /// confirmed.
    pub bits: u8,
    /// Why, as a code.
    pub reason: Arc<str>,
    /// 0 to 100.
    pub severity: u8,
    /// Who stands behind it.
    pub class: Class,
    /// When it was first heard of, ms since the Unix epoch.
    pub first_seen_ms: Option<i64>,
    /// Until when it counts, ms since the Unix epoch; `None`: until an epoch leaves it out.
    pub expires_ms: Option<i64>,
    /// The member's name, only where the rules allow that it is shown.
    pub member: Option<Arc<str>>,
    /// Of an open kind what it is about, in the clear: a name, an address, a prefix.
    pub text: Option<Box<str>>,
}

impl ConsortiumRow {
    /// The entry of a list that says this of a subject.
    pub(super) fn listed(&self, subject: Subject, effect: Effect, overridable: bool) -> Listed {
        let class = match self.class {
            Class::Trusted => "trusted".to_owned(),
            Class::Independent(members) => format!("independent:{members}"),
        };
        let contributor = match &self.member {
            Some(member) => format!("{class} {member}"),
            None => class,
        };
        let entry = Entry {
            id: 0,
            subject,
            effect,
            overridable: overridable && effect == Effect::Block,
            overrides: None,
            reason: (*self.reason).to_owned(),
            severity: self.severity,
            contributor,
            valid_from_ms: None,
            valid_to_ms: self.expires_ms,
        };
        Listed { entry, first_seen_ms: self.first_seen_ms }
    }
}

/// Who stands behind an entry of a consortium's list, by its contributor text: the class (`trusted`, or `independent:` and
/// how many members), and the member's name where it is shown.
pub fn told(contributor: &str) -> (&str, Option<&str>) {
    contributor.split_once(' ').map_or((contributor, None), |(class, member)| (class, Some(member)))
}
