//! Who must sign a record: worked out from the record, the rules and the members in force, then compared with who has.
//! A quorum counts members, never keys.

use super::registry::{Member, Registry, State};
use super::roles::Role;
use super::rules::Act;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::VerifierKey;
use crate::kind::MemberId;
use crate::note::{Note, Signature, Signed};
use std::fmt;

/// Votes that an act needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Votes {
    pub act: Act,
    pub needed: u32,
    /// Who may vote.
    pub of: Vec<MemberId>,
}

/// Who must sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Demand {
    /// Each of these, with what it signs as.
    pub each: Vec<(VerifierKey, &'static str)>,
    /// At least one of these, where it is not empty, with what it signs as.
    pub any: (Vec<VerifierKey>, &'static str),
    /// And so many of these.
    pub votes: Option<Votes>,
    /// Whether other active members may sign too.
    pub is_open: bool,
}

/// What a proposal lacks; nothing, where all have signed who must.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// Whose signature, and as what.
    pub signatures: Vec<(String, &'static str)>,
    /// One signature of any of these, and as what.
    pub any: Option<(Vec<String>, &'static str)>,
    /// For what votes are counted, and how many are there of how many needed.
    pub votes: Option<(Act, u32, u32)>,
    /// Who may vote and has not.
    pub voters: Vec<String>,
}

impl Missing {
    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.signatures.is_empty()
            && self.any.is_none()
            && self.votes.is_none_or(|(_, have, needed)| have >= needed)
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> =
            self.signatures.iter().map(|(who, what)| format!("the signature of {who} ({what})")).collect();
        if let Some((who, what)) = &self.any {
            parts.push(format!("the signature of one of {} ({what})", who.join(", ")));
        }
        if let Some((act, have, needed)) = self.votes.filter(|(_, have, needed)| have < needed) {
            parts.push(format!(
                "{} of {needed} votes to {act}: {have} are there, {} may still vote",
                needed - have,
                if self.voters.is_empty() { "nobody".to_owned() } else { self.voters.join(", ") }
            ));
        }
        match parts.is_empty() {
            true => f.write_str("nothing is missing"),
            false => write!(f, "missing: {}", parts.join("; ")),
        }
    }
}

impl Demand {
    /// Signatures of these, and of nobody else.
    pub fn only(each: Vec<(VerifierKey, &'static str)>) -> Demand {
        Demand { each, any: (Vec::new(), ""), votes: None, is_open: false }
    }
    /// A quorum of the voting members, a member that it is about left out, and signatures of these.
    pub fn quorum(
        registry: &Registry,
        act: Act,
        about: Option<MemberId>,
        each: Vec<(VerifierKey, &'static str)>,
    ) -> Demand {
        let of: Vec<_> = registry.voters().map(|member| member.id).filter(|id| Some(*id) != about).collect();
        let votes = Votes { act, needed: registry.rules().quorum(act).needed(of.len()), of };
        Demand { each, any: (Vec::new(), ""), votes: Some(votes), is_open: true }
    }
    /// The keys that may sign.
    pub fn known(&self, registry: &Registry) -> Vec<VerifierKey> {
        let mut known: Vec<_> = self.each.iter().map(|(key, _)| key.clone()).collect();
        known.extend(self.any.0.iter().cloned());
        if self.is_open {
            known.extend(registry.active().map(|member| member.profile.sign.clone()));
        }
        known
    }
    /// That every signature is by somebody who may sign, and that nobody is missing.
    ///
    /// # Errors
    /// `Forbidden` for a key rotated away, or of a member that is not active; as [`Note::verify_all`]; `Quorum` with
    /// what is missing.
    pub fn verify(&self, registry: &Registry, note: &Note) -> Result<()> {
        let known = self.known(registry);
        note.signatures().iter().try_for_each(|signature| explain(registry, &known, signature))?;
        let missing = match note.signatures().is_empty() {
            true => self.missing(registry, &[]),
            false => self.missing(registry, &note.verify_all(&known)?),
        };
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Quorum, missing.to_string())),
        }
    }
    /// What is missing to signatures that verified.
    pub fn missing(&self, registry: &Registry, signed: &[Signed<'_>]) -> Missing {
        let has = |key: &VerifierKey| signed.iter().any(|s| s.key == key);
        let lacking = self.each.iter().filter(|(key, _)| !has(key));
        let signatures = lacking.map(|(key, what)| (key.name().to_owned(), *what)).collect();
        let (any_of, as_what) = &self.any;
        let any = (!any_of.is_empty() && !any_of.iter().any(has))
            .then(|| (any_of.iter().map(|key| key.name().to_owned()).collect(), *as_what));
        let mut missing = Missing { signatures, any, votes: None, voters: Vec::new() };
        if let Some(votes) = &self.votes {
            let voters = votes.of.iter().filter_map(|id| registry.member(*id));
            let (there, absent): (Vec<_>, Vec<_>) = voters.partition(|member| has(&member.profile.sign));
            missing.votes = Some((votes.act, u32::try_from(there.len()).unwrap_or(u32::MAX), votes.needed));
            missing.voters = absent.into_iter().map(|member| member.profile.name.clone()).collect();
        }
        missing
    }
}

/// Says of a signature by a key that may not sign why, where the registry knows; else `verify_all` refuses it.
fn explain(registry: &Registry, known: &[VerifierKey], signature: &Signature) -> Result<()> {
    let is_of = |key: &VerifierKey| key.name() == &*signature.name && key.id() == signature.key_id;
    if known.iter().any(is_of) {
        return Ok(());
    }
    let Some(member) = registry.by_name(&signature.name) else { return Ok(()) };
    let forbidden = |what: &str| {
        let message = format!("a signature of {} by key {:08x}: {what}", signature.name, signature.key_id);
        Err(Error::new(ErrorKind::Forbidden, message))
    };
    match (is_of(&member.profile.sign), member.state) {
        (true, State::Suspended) => forbidden("the member is suspended"),
        (true, State::Left) => forbidden("the member has left"),
        (true, State::Active) => forbidden("it is not for this member to sign this record"),
        (false, _) => match registry.versions(member.id).iter().any(|old| is_of(&old.profile.sign)) {
            true => forbidden("the key was rotated away"),
            false => Ok(()),
        },
    }
}

/// Whether a member is given copies of tag keys: who contributes or looks up needs them, nobody else.
pub(super) fn holds_tag_key(member: &Member) -> bool {
    member.can(Role::Contributor) || member.can(Role::Consumer)
}
