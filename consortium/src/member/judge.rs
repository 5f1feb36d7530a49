//! Judges a record by the state just before its leaf: what it would change, and who must have signed it. Everything is
//! checked before anything changes, so that a refused leaf leaves the registry as it was.

use super::demand::{Demand, holds_tag_key};
use super::numbered::{Head, Latest, Numbered, check_alliance, number_of};
use super::profile::Profile;
use super::records::{
    Admission, Application, Leaving, OperatorChange, Reinstatement, Rotation, RotationBy, Ruling, Suspension,
    TagKey, TrustChange,
};
use super::registry::{LOG, Member, Operator, Registry, State, TagKeyLeaf};
use super::roles::{Role, Roles};
use super::rules::{Act, Rules, RulesChange};
use super::spelled::{Spelled, text_hash};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::keys::VerifierKey;
use crate::kind::MemberId;
use crate::limits::{
    ACTIVE_MEMBERS_MAX, APPLICATIONS_MAX, MANIFEST_BYTES_MAX, MEMBERS_MAX, ROTATIONS_MAX, RULINGS_MAX,
    VERSIONS_MAX,
};
use crate::note::Note;
use crate::record::type_of;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a leaf did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// Somebody applies; SHA-256 of the text.
    Application([u8; 32]),
    /// A member was admitted.
    Admitted(MemberId),
    /// A member has other keys.
    Rotated(MemberId),
    /// A member was suspended.
    Suspended(MemberId),
    /// A member is active again.
    Reinstated(MemberId),
    /// A member left.
    Left(MemberId),
    /// Another member runs the hub.
    Operator(MemberId),
    /// Rules of this version are in force.
    Rules(u32),
    /// Others are trusted; the serial of the record.
    Trust(u32),
    /// There is another tariff; SHA-256 of its text.
    Tariff([u8; 32]),
    /// There is a tag key of this version.
    TagKey(u32),
    /// Members were given copies of the tag key of this version.
    Copies(u32),
    /// A numbered record, for those who know its type.
    Other {
        /// Which.
        ty: Numbered,
        /// Who wrote it.
        author: MemberId,
        /// Its number.
        number: u64,
    },
}

/// What a record would change.
#[derive(Debug)]
pub(super) enum Change {
    Application([u8; 32], Application),
    Admission([u8; 32], Profile),
    /// Another version of a member; its `since` is put in when the leaf is known.
    Member(fn(MemberId) -> Applied, Member),
    Operator(Operator, Vec<Member>),
    Rules(Rules),
    Trust(BTreeSet<MemberId>),
    Tariff([u8; 32]),
    TagKey(TagKey),
    Copies(TagKey),
    Numbered(Head, MemberId),
}

fn err<T>(kind: ErrorKind, message: impl Into<String>) -> Result<T> {
    Err(Error::new(kind, message))
}

impl Registry {
    /// Whether a note would be accepted as the next leaf.
    ///
    /// # Errors
    /// Why not: `Version`, `Malformed`, `Invalid`, `NotFound`, `Forbidden`, `UnknownKey`, `Corrupt`; `Stale` for one that
    /// is there already or was overtaken; `TooLarge`; `Quorum` where nothing but signatures is missing; `Equivocation`,
    /// with [`Registry::evidence`].
    pub fn check(&self, note: &Note) -> Result<()> {
        self.judge(note).map(drop)
    }
    /// Takes the next leaf.
    ///
    /// # Errors
    /// At the leaf, as [`Registry::check`]; `Invalid` for a leaf that is not the next. The registry is as it was.
    pub fn apply(&mut self, leaf: u64, note: &Note) -> Result<Applied> {
        if leaf != self.size {
            let message = format!("the registry has {} leaves: this is not the next", self.size);
            return Err(Error::new(ErrorKind::Invalid, message).at(Place::Leaf(LOG, leaf)));
        }
        let change = self.judge(note).map_err(|e| e.at(Place::Leaf(LOG, leaf)))?;
        let applied = self.commit(leaf, note, change);
        self.size += 1;
        Ok(applied)
    }
    fn judge(&self, note: &Note) -> Result<Change> {
        let (change, demand) = self.weigh(note.text())?;
        demand.verify(self, note)?;
        if let Change::Numbered(head, author) = &change {
            // Behind the signatures: an unsigned note is evidence against nobody.
            head.check_number(self, *author, note.text())?;
        }
        Ok(change)
    }
    /// What a text would change, and who must sign it.
    pub(super) fn weigh(&self, text: &str) -> Result<(Change, Demand)> {
        if let Some(ty) = Numbered::of_text(text) {
            return self.weigh_numbered(ty, text);
        }
        match type_of(text)? {
            (Application::TYPE, _) => self.weigh_application(Application::of_text(text)?, text_hash(text)),
            (Admission::TYPE, _) => self.weigh_admission(Admission::of_text(text)?),
            (Rotation::TYPE, _) => self.weigh_rotation(Rotation::of_text(text)?),
            (Suspension::TYPE, _) => self.weigh_suspension(&Suspension::of_text(text)?.0),
            (Reinstatement::TYPE, _) => self.weigh_reinstatement(&Reinstatement::of_text(text)?.0),
            (Leaving::TYPE, _) => self.weigh_leaving(&Leaving::of_text(text)?.0),
            (OperatorChange::TYPE, _) => self.weigh_operator(OperatorChange::of_text(text)?),
            (RulesChange::TYPE, _) => self.weigh_rules(RulesChange::of_text(text)?),
            (TrustChange::TYPE, _) => self.weigh_trust(&TrustChange::of_text(text)?),
            (TagKey::TYPE, _) => self.weigh_tag_key(TagKey::of_text(text)?),
            ("tariff", 1) => self.weigh_tariff(text),
            ("alliance", _) => err(ErrorKind::Invalid, "an alliance has one genesis, its leaf 0"),
            (ty, version) => {
                err(ErrorKind::Version, format!("{ty}/v{version} is not known in a governance log"))
            }
        }
    }

    fn check_genesis(&self, genesis: &[u8; 32]) -> Result<()> {
        match *genesis == self.genesis {
            true => Ok(()),
            false => err(ErrorKind::Invalid, "a record of another alliance: its genesis is not this one's"),
        }
    }
    fn named(&self, name: &str) -> Result<&Member> {
        self.by_name(name)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("{name:?} is no member here")))
    }
    /// That a newcomer takes nothing that is or was another's.
    pub(super) fn check_new(&self, profile: &Profile) -> Result<()> {
        profile.check()?;
        if self.names.contains_key(&profile.name) {
            return err(ErrorKind::Invalid, format!("there is or was a member {:?}", profile.name));
        }
        let keys = [profile.sign.public(), profile.witness.public()];
        if keys.into_iter().any(|key| self.keys.contains_key(key)) {
            return err(ErrorKind::Invalid, format!("a key of {} is or was a member's", profile.name));
        }
        self.check_tls(&profile.name, None, &profile.tls)
    }
    fn check_tls(&self, name: &str, own: Option<MemberId>, tls: &BTreeSet<[u8; 32]>) -> Result<()> {
        let is_foreign = |hash| self.tls.get(hash).is_some_and(|id| Some(*id) != own);
        match tls.iter().any(is_foreign) {
            true => err(ErrorKind::Invalid, format!("a certificate of {name} is or was another member's")),
            false => Ok(()),
        }
    }
    /// That the rules admit somebody in these roles.
    pub(super) fn check_entry(&self, profile: &Profile, roles: Roles) -> Result<()> {
        let (rules, name) = (self.rules(), &profile.name);
        if !rules.jurisdictions.is_empty() && !rules.jurisdictions.contains(&profile.jurisdiction) {
            let message = format!("{name}: the rules do not admit from {}", profile.jurisdiction);
            return err(ErrorKind::Invalid, message);
        }
        let has = |kind: &String| profile.evidence.iter().any(|(shown, _)| shown == kind);
        match rules.evidence.iter().find(|(role, kind)| roles.has(*role) && !has(kind)) {
            None => Ok(()),
            Some((role, kind)) => {
                err(ErrorKind::Invalid, format!("{name}: the rules ask for evidence {kind:?} of a {role}"))
            }
        }
    }
    fn check_room(&self, beside: usize) -> Result<()> {
        if self.active().count() + beside > ACTIVE_MEMBERS_MAX {
            return err(ErrorKind::TooLarge, format!("the limit of {ACTIVE_MEMBERS_MAX} active members"));
        }
        Ok(())
    }

    fn weigh_application(&self, application: Application, hash: [u8; 32]) -> Result<(Change, Demand)> {
        self.check_genesis(&application.genesis)?;
        self.check_new(&application.profile)?;
        if application.profile.roles.has(Role::Operator) {
            return err(ErrorKind::Invalid, "nobody applies as operator: members choose one of themselves");
        }
        if self.applications.iter().any(|(open, _)| *open == hash) {
            return err(ErrorKind::Stale, "this application is in the log already");
        }
        let demand = Demand::only(vec![(application.profile.sign.clone(), "applicant")]);
        Ok((Change::Application(hash, application), demand))
    }
    fn weigh_admission(&self, admission: Admission) -> Result<(Change, Demand)> {
        self.check_genesis(&admission.genesis)?;
        let Admission { member, application: hash, roles, sponsors, .. } = admission;
        if self.names.contains_key(&member) {
            return err(ErrorKind::Stale, format!("there is or was a member {member:?}"));
        }
        let Some((_, application)) = self.applications.iter().find(|(open, _)| *open == hash) else {
            return err(ErrorKind::NotFound, format!("no open application of {member:?} with this hash"));
        };
        let mut profile = application.profile.clone();
        if profile.name != member || !profile.roles.has_all(roles) {
            return err(ErrorKind::Invalid, format!("{member}: not what was applied for"));
        }
        self.check_new(&profile)?;
        self.check_entry(&profile, roles)?;
        self.check_room(1)?;
        if self.members.len() == MEMBERS_MAX {
            return err(ErrorKind::TooLarge, format!("the limit of {MEMBERS_MAX} members"));
        }
        let each = self.sponsors(&sponsors)?;
        profile.roles = roles;
        Ok((Change::Admission(hash, profile), Demand::quorum(self, Act::Admit, None, each)))
    }
    fn sponsors(&self, sponsors: &BTreeSet<String>) -> Result<Vec<(VerifierKey, &'static str)>> {
        let rules = self.rules();
        if sponsors.len() < usize::from(rules.sponsors_min) {
            let message = format!("{} sponsors: the rules ask for {}", sponsors.len(), rules.sponsors_min);
            return err(ErrorKind::Invalid, message);
        }
        let key = |name: &String| {
            let member = self.named(name)?;
            match member.is_active() && member.profile.roles.has_any(rules.sponsor_roles) {
                true => Ok((member.profile.sign.clone(), "sponsor")),
                false => err(
                    ErrorKind::Forbidden,
                    format!("{name} may not sponsor: not active as {}", rules.sponsor_roles),
                ),
            }
        };
        sponsors.iter().map(key).collect()
    }

    /// That a serial is the next of its counter.
    fn check_serial(name: &str, serial: u32, so_far: u32, max: u32) -> Result<()> {
        if so_far >= max {
            return err(
                ErrorKind::TooLarge,
                format!("{name}: the limit of {max} such records of one member"),
            );
        }
        match serial == so_far + 1 {
            true => Ok(()),
            false => {
                err(ErrorKind::Stale, format!("{name}: serial {serial}, and {} is the next", so_far + 1))
            }
        }
    }
    fn weigh_rotation(&self, rotation: Rotation) -> Result<(Change, Demand)> {
        self.check_genesis(&rotation.genesis)?;
        let mut next = self.named(&rotation.member)?.clone();
        let old = next.profile.sign.clone();
        let is_own = rotation.by == RotationBy::Own;
        match is_own {
            true => {
                if !next.is_active() {
                    let message = format!("{}: not active, so new keys need the quorum", rotation.member);
                    return err(ErrorKind::Forbidden, message);
                }
                Self::check_serial(&rotation.member, rotation.serial, next.rotations, ROTATIONS_MAX)?;
                next.rotations += 1;
            }
            false => {
                Self::check_serial(&rotation.member, rotation.serial, next.rulings, RULINGS_MAX)?;
                next.rulings += 1;
            }
        }
        self.check_fresh(&rotation, &next)?;
        let mut each: Vec<_> = rotation.sign.iter().map(|key| (key.clone(), "new key")).collect();
        next.profile.sign = rotation.sign.unwrap_or(next.profile.sign);
        next.profile.witness = rotation.witness.unwrap_or(next.profile.witness);
        next.profile.hpke = rotation.hpke.unwrap_or(next.profile.hpke);
        if !rotation.tls.is_empty() {
            next.profile.tls = rotation.tls;
        }
        let demand = match is_own {
            true => {
                each.insert(0, (old, "key in use"));
                Demand::only(each)
            }
            false => Demand::quorum(self, Act::Rotate, Some(next.id), each),
        };
        Ok((Change::Member(Applied::Rotated, next), demand))
    }
    /// That new keys are new: nobody's, and none that was rotated away.
    fn check_fresh(&self, rotation: &Rotation, member: &Member) -> Result<()> {
        let name = &rotation.member;
        let is_used = |key: &VerifierKey| self.keys.contains_key(key.public());
        let ids =
            |key: &VerifierKey| self.versions(member.id).iter().any(|old| old.profile.sign.id() == key.id());
        if rotation.sign.as_ref().is_some_and(|key| is_used(key) || ids(key)) {
            return err(ErrorKind::Invalid, format!("{name}: the new key was used before"));
        }
        if rotation.witness.as_ref().is_some_and(is_used) {
            return err(ErrorKind::Invalid, format!("{name}: the new witness key was used before"));
        }
        self.check_tls(name, Some(member.id), &rotation.tls)
    }

    /// The member of a ruling, with the ruling counted.
    fn ruled(&self, ruling: &Ruling) -> Result<Member> {
        self.check_genesis(&ruling.genesis)?;
        let mut next = self.named(&ruling.member)?.clone();
        Self::check_serial(&ruling.member, ruling.serial, next.rulings, RULINGS_MAX)?;
        next.rulings += 1;
        Ok(next)
    }
    fn weigh_suspension(&self, ruling: &Ruling) -> Result<(Change, Demand)> {
        let mut next = self.ruled(ruling)?;
        if !next.is_active() {
            return err(ErrorKind::Invalid, format!("{} is not active", ruling.member));
        }
        next.state = State::Suspended;
        let demand = Demand::quorum(self, Act::Suspend, Some(next.id), Vec::new());
        Ok((Change::Member(Applied::Suspended, next), demand))
    }
    fn weigh_reinstatement(&self, ruling: &Ruling) -> Result<(Change, Demand)> {
        let mut next = self.ruled(ruling)?;
        let each = match next.state {
            State::Active => return err(ErrorKind::Invalid, format!("{} is active", ruling.member)),
            State::Suspended => Vec::new(),
            State::Left => vec![(next.profile.sign.clone(), "who comes back")],
        };
        self.check_room(1)?;
        next.state = State::Active;
        let demand = Demand::quorum(self, Act::Reinstate, Some(next.id), each);
        Ok((Change::Member(Applied::Reinstated, next), demand))
    }
    fn weigh_leaving(&self, ruling: &Ruling) -> Result<(Change, Demand)> {
        self.check_genesis(&ruling.genesis)?;
        let mut next = self.named(&ruling.member)?.clone();
        if next.state == State::Left {
            return err(ErrorKind::Stale, format!("{} has left already", ruling.member));
        }
        // Nobody is kept in, not even by the limit on rotations.
        Self::check_serial(&ruling.member, ruling.serial, next.rotations, u32::MAX)?;
        next.rotations += 1;
        next.state = State::Left;
        let demand = Demand::only(vec![(next.profile.sign.clone(), "who leaves")]);
        Ok((Change::Member(Applied::Left, next), demand))
    }

    fn weigh_operator(&self, change: OperatorChange) -> Result<(Change, Demand)> {
        self.check_genesis(&change.genesis)?;
        let so_far = u32::try_from(self.operators.len()).unwrap_or(u32::MAX);
        Self::check_serial("operator", change.serial, so_far, VERSIONS_MAX)?;
        change.logs.check(&self.alliance)?;
        let mut next = self.named(&change.operator)?.clone();
        if !next.is_active() {
            return err(ErrorKind::Forbidden, format!("{} is not active", change.operator));
        }
        let mut members = Vec::new();
        let old = self.member(self.operator().member).expect("the operator is a member");
        if old.id != next.id {
            let mut old = old.clone();
            old.profile.roles = old.profile.roles.without(Role::Operator);
            members.push(old);
        }
        next.profile.roles = next.profile.roles.with(Role::Operator);
        let each = vec![(next.profile.sign.clone(), "new operator")];
        let operator = Operator { since: 0, member: next.id, logs: change.logs };
        members.push(next);
        Ok((Change::Operator(operator, members), Demand::quorum(self, Act::Operator, None, each)))
    }
    fn weigh_rules(&self, change: RulesChange) -> Result<(Change, Demand)> {
        self.check_genesis(&change.genesis)?;
        Self::check_serial("rules", change.rules.version, self.rules().version, VERSIONS_MAX)?;
        let votes = |member: &&Member| member.profile.roles.has_any(change.rules.voters);
        change.rules.check_reachable(self.active().filter(votes).count())?;
        Ok((Change::Rules(change.rules), Demand::quorum(self, Act::Rules, None, Vec::new())))
    }
    fn weigh_trust(&self, change: &TrustChange) -> Result<(Change, Demand)> {
        self.check_genesis(&change.genesis)?;
        let so_far = u32::try_from(self.trusted.len() - 1).unwrap_or(u32::MAX);
        Self::check_serial("trust", change.serial, so_far, VERSIONS_MAX)?;
        let ids = change.trusts.iter().map(|name| self.named(name).map(|member| member.id));
        let ids = ids.collect::<Result<_>>()?;
        Ok((Change::Trust(ids), Demand::quorum(self, Act::Rules, None, Vec::new())))
    }
    /// The operator's key, which signs what the hub is run by.
    fn operator_key(&self) -> Result<(VerifierKey, &'static str)> {
        let operator = self.member(self.operator().member).expect("the operator is a member");
        match operator.can(Role::Operator) {
            true => Ok((operator.profile.sign.clone(), "operator")),
            false => err(
                ErrorKind::Forbidden,
                format!("the operator {} is not active: members choose another first", operator.profile.name),
            ),
        }
    }
    fn weigh_tariff(&self, text: &str) -> Result<(Change, Demand)> {
        check_alliance(self, text)?;
        let so_far = u32::try_from(self.tariffs.len()).unwrap_or(u32::MAX);
        let version = u32::try_from(number_of(text, "version")?).unwrap_or(u32::MAX);
        Self::check_serial("tariff", version, so_far, VERSIONS_MAX)?;
        let demand = Demand::quorum(self, Act::Tariff, None, vec![self.operator_key()?]);
        Ok((Change::Tariff(text_hash(text)), demand))
    }
    fn weigh_tag_key(&self, key: TagKey) -> Result<(Change, Demand)> {
        self.check_genesis(&key.genesis)?;
        let newest = self.tag_key();
        if newest.is_some_and(|newest| newest.key.version == key.version) {
            return self.weigh_copies(key);
        }
        let so_far = newest.map_or(0, |newest| newest.key.version);
        Self::check_serial("tag key", key.version, so_far, VERSIONS_MAX)?;
        let holders: Vec<_> = self.tag_key_holders().map(|member| &member.profile.name).collect();
        if let Some(name) = holders.iter().find(|name| !key.sealed.contains_key(**name)) {
            return err(ErrorKind::Invalid, format!("no copy for {name}"));
        }
        if let Some(name) = key.sealed.keys().find(|name| !holders.contains(name)) {
            return err(ErrorKind::Forbidden, format!("a copy for {name:?}, who is to have none"));
        }
        let demand = Demand::quorum(self, Act::TagKey, None, vec![self.operator_key()?]);
        Ok((Change::TagKey(key), demand))
    }
    /// Copies of the newest key for those that lack one.
    fn weigh_copies(&self, copies: TagKey) -> Result<(Change, Demand)> {
        let newest = &self.tag_key().expect("who calls has seen one").key;
        if (copies.commitment, copies.voprf) != (newest.commitment, newest.voprf) {
            let message = format!("another key of version {}, which is in the log", copies.version);
            return err(ErrorKind::Invalid, message);
        }
        if copies.sealed.is_empty() {
            return err(ErrorKind::Malformed, "copies for nobody");
        }
        for name in copies.sealed.keys() {
            let lacks = self.lacks_tag_key().any(|member| member.profile.name == *name);
            if !lacks {
                return err(ErrorKind::Stale, format!("a copy for {name:?}, who has one or is to have none"));
            }
        }
        let has = |member: &&Member| {
            member.can(Role::Operator)
                || holds_tag_key(member) && newest.sealed.contains_key(&member.profile.name)
        };
        let givers = self.active().filter(has).map(|member| member.profile.sign.clone()).collect();
        let any = (givers, "who has the key");
        Ok((Change::Copies(copies), Demand { each: Vec::new(), any, votes: None, is_open: true }))
    }
    fn weigh_numbered(&self, ty: Numbered, text: &str) -> Result<(Change, Demand)> {
        if ty.role().is_some() && text.len() > MANIFEST_BYTES_MAX {
            let message = format!("a {ty} of {} bytes, limit {MANIFEST_BYTES_MAX}", text.len());
            return err(ErrorKind::TooLarge, message);
        }
        let head = Head::read(self, ty, text)?;
        let author = head.author(self)?;
        let key = self.member(author).expect("an author is a member").profile.sign.clone();
        let mut demand = Demand::only(vec![(key, "author")]);
        demand.is_open = ty.role().is_none();
        Ok((Change::Numbered(head, author), demand))
    }

    /// Makes a change that was judged.
    fn commit(&mut self, leaf: u64, note: &Note, change: Change) -> Applied {
        match change {
            Change::Application(hash, application) => {
                if self.applications.len() == APPLICATIONS_MAX {
                    self.applications.pop_front();
                }
                self.applications.push_back((hash, Arc::new(application)));
                Applied::Application(hash)
            }
            Change::Admission(hash, profile) => {
                let name = profile.name.clone();
                self.applications.retain(|(open, a)| *open != hash && a.profile.name != name);
                Applied::Admitted(self.insert(profile, leaf))
            }
            Change::Member(applied, member) => {
                let id = member.id;
                self.renew(leaf, member);
                applied(id)
            }
            Change::Operator(operator, members) => {
                members.into_iter().for_each(|member| self.renew(leaf, member));
                let id = operator.member;
                self.operators.push(Operator { since: leaf, ..operator });
                Applied::Operator(id)
            }
            Change::Rules(rules) => {
                let version = rules.version;
                self.rules.push((leaf, Arc::new(rules)));
                Applied::Rules(version)
            }
            Change::Trust(ids) => {
                self.trusted.push((leaf, Arc::new(ids)));
                Applied::Trust(u32::try_from(self.trusted.len() - 1).unwrap_or(u32::MAX))
            }
            Change::Tariff(hash) => {
                self.tariffs.push((leaf, hash));
                Applied::Tariff(hash)
            }
            Change::TagKey(key) => {
                let version = key.version;
                if let Some(at) = self.tag_keys.len().checked_sub(2) {
                    self.tag_keys[at].key.sealed.clear();
                }
                self.tag_keys.push(TagKeyLeaf { since: leaf, key });
                Applied::TagKey(version)
            }
            Change::Copies(copies) => {
                let newest = self.tag_keys.last_mut().expect("copies are of a key");
                newest.key.sealed.extend(copies.sealed);
                Applied::Copies(copies.version)
            }
            Change::Numbered(Head { ty, member, number }, author) => {
                let note = Arc::new(note.clone());
                self.latest.insert((ty, member), Latest { number, leaf, author, note });
                Applied::Other { ty, author, number }
            }
        }
    }
    /// Makes a version of a member the newest; with another HPKE key its copy of the tag key is worthless.
    fn renew(&mut self, leaf: u64, member: Member) {
        let old = self.member(member.id).expect("a version of a member");
        if old.profile.hpke != member.profile.hpke
            && let Some(newest) = self.tag_keys.last_mut()
        {
            newest.key.sealed.remove(&member.profile.name);
        }
        self.put(Member { since: leaf, ..member });
    }
}
