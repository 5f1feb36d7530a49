//! What the governance log makes of an alliance: members, rules, operator, tariff and tag keys, each with the leaf that
//! made it so. Built leaf by leaf; what was in force at any size of the log can be asked for.

use super::demand::holds_tag_key;
use super::numbered::{Latest, Numbered};
use super::profile::Profile;
use super::records::{Application, Genesis, LogKeys, TagKey};
use super::roles::Role;
use super::rules::Rules;
use super::spelled::{Spelled, text_hash};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::keys::VerifierKey;
use crate::kind::MemberId;
use crate::note::Note;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The log's name in places of errors.
pub(super) const LOG: &str = "governance";

/// How a member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Signs, connects, and votes where its roles do.
    Active,
    /// Does nothing until reinstated.
    Suspended,
    /// Has left.
    Left,
}

/// A member as one leaf made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub id: MemberId,
    /// Names, keys and the roles that it holds.
    pub profile: Profile,
    /// How it stands.
    pub state: State,
    /// The leaf that admitted it.
    pub admitted: u64,
    /// The leaf from behind which it is as told here.
    pub since: u64,
    /// Rotations on its own word so far.
    pub rotations: u32,
    /// Suspensions, reinstatements and rotations by quorum so far.
    pub rulings: u32,
}

impl Member {
    /// Whether it is active.
    pub fn is_active(&self) -> bool {
        self.state == State::Active
    }
    /// Whether it is active in a role.
    pub fn can(&self, role: Role) -> bool {
        self.is_active() && self.profile.roles.has(role)
    }
}

/// Who ran the hub from a leaf on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// The leaf.
    pub since: u64,
    /// Who.
    pub member: MemberId,
    /// The logs' keys: of checkpoints of the governance log larger than `since`.
    pub logs: LogKeys,
}

/// A tag key and where it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagKeyLeaf {
    /// The leaf that made it the newest.
    pub since: u64,
    /// The record; copies given later are added to it. Of versions before the last two the copies are dropped.
    pub key: TagKey,
}

/// The state of an alliance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    pub(super) genesis: [u8; 32],
    pub(super) alliance: String,
    pub(super) size: u64,
    /// By number: versions, oldest first, at least one.
    pub(super) members: Vec<Vec<Arc<Member>>>,
    pub(super) names: BTreeMap<String, MemberId>,
    /// Every public key that was ever a member's, for signing or as a witness.
    pub(super) keys: BTreeMap<[u8; 32], MemberId>,
    /// Every certificate that was ever a member's.
    pub(super) tls: BTreeMap<[u8; 32], MemberId>,
    pub(super) rules: Vec<(u64, Arc<Rules>)>,
    pub(super) operators: Vec<Operator>,
    /// Open ones, oldest first, by their text's hash.
    pub(super) applications: VecDeque<([u8; 32], Arc<Application>)>,
    /// Whose word is trusted, by the leaf that said so.
    pub(super) trusted: Vec<(u64, Arc<BTreeSet<MemberId>>)>,
    pub(super) tariffs: Vec<(u64, [u8; 32])>,
    pub(super) tag_keys: Vec<TagKeyLeaf>,
    pub(super) latest: BTreeMap<(Numbered, Option<MemberId>), Latest>,
}

impl Registry {
    /// The state after leaf 0. Who calls compares [`Registry::genesis`] with the hash that it was given when it joined:
    /// nothing else makes this the alliance that it means.
    ///
    /// # Errors
    /// At leaf 0: what [`Genesis::of_text`] refuses; `Invalid` for founders that the rules would not admit, share names,
    /// keys or certificates, or are too few for a quorum; `Quorum` unless every founder has signed.
    pub fn found(note: &Note) -> Result<Registry> {
        Registry::founded(note).map_err(|e| e.at(Place::Leaf(LOG, 0)))
    }
    fn founded(note: &Note) -> Result<Registry> {
        let genesis = Genesis::of_text(note.text())?;
        let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message));
        let Some(operator) = genesis.founders.iter().position(|f| f.name == genesis.operator) else {
            return invalid(format!("the operator {:?} is not among the founders", genesis.operator));
        };
        let mut registry = Registry {
            genesis: text_hash(note.text()),
            alliance: genesis.alliance,
            size: 1,
            members: Vec::new(),
            names: BTreeMap::new(),
            keys: BTreeMap::new(),
            tls: BTreeMap::new(),
            rules: vec![(0, Arc::new(genesis.rules))],
            operators: Vec::new(),
            applications: VecDeque::new(),
            trusted: Vec::new(),
            tariffs: Vec::new(),
            tag_keys: Vec::new(),
            latest: BTreeMap::new(),
        };
        for (number, founder) in genesis.founders.into_iter().enumerate() {
            if founder.roles.has(Role::Operator) != (number == operator) {
                return invalid(format!("{}: the operator alone has the role operator", founder.name));
            }
            registry.check_new(&founder)?;
            registry.check_entry(&founder, founder.roles)?;
            registry.insert(founder, 0);
        }
        let id = registry.members[operator][0].id;
        let founders = registry.active().filter(|member| member.can(Role::Contributor));
        registry.trusted = vec![(0, Arc::new(founders.map(|member| member.id).collect()))];
        registry.operators.push(Operator { since: 0, member: id, logs: genesis.logs });
        registry.rules().check_reachable(registry.voters().count())?;
        let founders = registry.active().map(|member| (member.profile.sign.clone(), "founder")).collect();
        super::demand::Demand::only(founders).verify(&registry, note)?;
        Ok(registry)
    }
    /// Adds a member that was checked, and gives it its number.
    pub(super) fn insert(&mut self, profile: Profile, leaf: u64) -> MemberId {
        let id = MemberId(u16::try_from(self.members.len()).expect("MEMBERS_MAX fits 16 bits"));
        self.names.insert(profile.name.clone(), id);
        self.members.push(Vec::new());
        let (state, rotations, rulings) = (State::Active, 0, 0);
        self.put(Member { id, profile, state, admitted: leaf, since: leaf, rotations, rulings });
        id
    }
    /// Makes a version of a member the newest.
    pub(super) fn put(&mut self, member: Member) {
        let Profile { sign, witness, tls, .. } = &member.profile;
        self.keys.extend([(*sign.public(), member.id), (*witness.public(), member.id)]);
        self.tls.extend(tls.iter().map(|hash| (*hash, member.id)));
        self.members[usize::from(member.id.0)].push(Arc::new(member));
    }

    /// The whole log, from its first leaf on. Equal to [`Registry::found`] and one [`Registry::apply`] a leaf.
    ///
    /// # Errors
    /// With the leaf: whoever wrote it into the log is at fault.
    pub fn replay<'a>(leaves: impl IntoIterator<Item = (u64, &'a [u8])>) -> Result<Registry> {
        let mut leaves = leaves.into_iter();
        let parse = |leaf, bytes| Note::parse(bytes).map_err(|e| e.at(Place::Leaf(LOG, leaf)));
        let mut registry = match leaves.next() {
            Some((0, bytes)) => Registry::found(&parse(0, bytes)?)?,
            _ => return Err(Error::new(ErrorKind::NotFound, "a governance log begins with leaf 0")),
        };
        for (leaf, bytes) in leaves {
            registry.apply(leaf, &parse(leaf, bytes)?)?;
        }
        Ok(registry)
    }

    /// SHA-256 of the genesis' text: what names the alliance.
    pub fn genesis(&self) -> [u8; 32] {
        self.genesis
    }
    /// The alliance's name.
    pub fn alliance(&self) -> &str {
        &self.alliance
    }
    /// How many leaves of the governance log this is the state of.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// All members there ever were, as they are, by number.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter_map(|versions| versions.last()).map(Arc::as_ref)
    }
    /// Those who are active.
    pub fn active(&self) -> impl Iterator<Item = &Member> {
        self.members().filter(|member| member.is_active())
    }
    /// Those who vote: active, in a role that does.
    pub fn voters(&self) -> impl Iterator<Item = &Member> {
        self.active().filter(|member| member.profile.roles.has_any(self.rules().voters))
    }
    /// A member by its number.
    pub fn member(&self, id: MemberId) -> Option<&Member> {
        self.versions(id).last().map(Arc::as_ref)
    }
    /// A member by its name.
    pub fn by_name(&self, name: &str) -> Option<&Member> {
        self.names.get(name).and_then(|id| self.member(*id))
    }
    /// A member, in whatever state, by a key that it signs or cosigns with now.
    pub fn by_key(&self, public: &[u8; 32]) -> Option<&Member> {
        let member = self.keys.get(public).and_then(|id| self.member(*id))?;
        let is_now = member.profile.sign.public() == public || member.profile.witness.public() == public;
        is_now.then_some(member)
    }
    /// A member, in whatever state, by the SHA-256 of a certificate that it may connect with now.
    pub fn by_tls(&self, certificate: &[u8; 32]) -> Option<&Member> {
        let member = self.tls.get(certificate).and_then(|id| self.member(*id))?;
        member.profile.tls.contains(certificate).then_some(member)
    }
    /// All that a member was, oldest first; empty for a number that is none.
    pub fn versions(&self, id: MemberId) -> &[Arc<Member>] {
        self.members.get(usize::from(id.0)).map_or(&[], Vec::as_slice)
    }
    /// A member as it was when the log had `size` leaves: what leaf `size` was judged by.
    pub fn member_as_of(&self, id: MemberId, size: u64) -> Option<&Member> {
        self.versions(id).iter().rev().find(|version| version.since < size).map(Arc::as_ref)
    }
    /// The keys that active members sign records with.
    pub fn signers(&self) -> Vec<VerifierKey> {
        self.active().map(|member| member.profile.sign.clone()).collect()
    }
    /// The keys that active members sign records with, as it was when the log had `size` leaves.
    pub fn signers_as_of(&self, size: u64) -> Vec<VerifierKey> {
        let versions = self.members.iter().filter_map(|v| v.iter().rev().find(|v| v.since < size));
        versions.filter(|member| member.is_active()).map(|member| member.profile.sign.clone()).collect()
    }
    /// The keys that active members cosign checkpoints with.
    pub fn witnesses(&self) -> Vec<VerifierKey> {
        self.active().map(|member| member.profile.witness.clone()).collect()
    }
    /// Who has signed a note, when the log had `size` leaves; every signature is an active member's.
    ///
    /// # Errors
    /// As [`Note::verify_all`].
    pub fn signed_by(&self, note: &Note, size: u64) -> Result<BTreeSet<MemberId>> {
        let known = self.signers_as_of(size);
        let signed = note.verify_all(&known)?;
        Ok(signed.iter().filter_map(|s| self.keys.get(s.key.public()).copied()).collect())
    }

    /// The rules in force.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules.last().expect("the genesis has rules").1
    }
    /// The rules in force when the log had `size` leaves, the genesis at least.
    pub fn rules_as_of(&self, size: u64) -> &Arc<Rules> {
        let at = self.rules.partition_point(|(since, _)| *since < size);
        &self.rules[at.max(1) - 1].1
    }
    /// Whose contributions make a signal active by themselves (as far as the rules of its kind and their reputation let
    /// them), when the log had `size` leaves, the genesis at least: contributors among the founders, until members say
    /// otherwise. They may have been suspended since, or have left.
    pub fn trusted_as_of(&self, size: u64) -> &BTreeSet<MemberId> {
        let at = self.trusted.partition_point(|(since, _)| *since < size);
        &self.trusted[at.max(1) - 1].1
    }
    /// Who runs the hub. It may be suspended or have left: then nothing that needs the operator is accepted until the
    /// members have chosen another.
    pub fn operator(&self) -> &Operator {
        self.operators.last().expect("the genesis has an operator")
    }
    /// Who ran the hub when the log had `size` leaves, the genesis at least.
    pub fn operator_as_of(&self, size: u64) -> &Operator {
        let at = self.operators.partition_point(|operator| operator.since < size);
        &self.operators[at.max(1) - 1]
    }
    /// Open applications, oldest first, by their text's hash.
    pub fn applications(&self) -> impl Iterator<Item = (&[u8; 32], &Application)> {
        self.applications.iter().map(|(hash, application)| (hash, &**application))
    }
    /// The tariff in force when the log had `size` leaves: its leaf, and SHA-256 of its text.
    pub fn tariff_as_of(&self, size: u64) -> Option<(u64, [u8; 32])> {
        let at = self.tariffs.partition_point(|(since, _)| *since < size);
        self.tariffs[..at].last().copied()
    }
    /// The newest tariff: its leaf, and SHA-256 of its text.
    pub fn tariff(&self) -> Option<(u64, [u8; 32])> {
        self.tariffs.last().copied()
    }
    /// The newest tag key.
    pub fn tag_key(&self) -> Option<&TagKeyLeaf> {
        self.tag_keys.last()
    }
    /// A tag key by its version.
    pub fn tag_key_of(&self, version: u32) -> Option<&TagKeyLeaf> {
        self.tag_keys.get((version as usize).checked_sub(1)?)
    }
    /// Who is to be given a copy of a new tag key: active contributors and consumers.
    pub fn tag_key_holders(&self) -> impl Iterator<Item = &Member> {
        self.active().filter(|member| holds_tag_key(member))
    }
    /// Who lacks a copy of the newest tag key: those admitted, or with another HPKE key, since.
    pub fn lacks_tag_key(&self) -> impl Iterator<Item = &Member> {
        self.tag_key_holders().filter(|member| {
            self.tag_key().is_some_and(|newest| !newest.key.sealed.contains_key(&member.profile.name))
        })
    }
    /// The newest contribution, usage report, epoch or settlement in the log; `member` is `None` for the operator's
    /// (epochs, settlements), which are numbered over all operators.
    pub fn latest(&self, what: Numbered, member: Option<MemberId>) -> Option<&Latest> {
        self.latest.get(&(what, member))
    }
}
