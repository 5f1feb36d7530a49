//! A member at work: its folder, what the governance log makes of the alliance, the mirrors, and a client of the hub whose
//! pins follow the operator's record.

use super::folder::MemberFolder;
use super::mirror::Mirror;
use crate::alliance::client::Client;
use crate::alliance::folder::Files;
use crate::alliance::tls::Pins;
use anyhow::{Context, Result, bail};
use interdict_consortium::kind::MemberId;
use interdict_consortium::log::Policy;
use interdict_consortium::member::{Member, Registry};
use interdict_consortium::note::Note;
use interdict_consortium::tag::keyed::TagKey;
use interdict_consortium::tag::sealing::Addressed;
use std::time::{SystemTime, UNIX_EPOCH};

/// Whose word makes a receipt good (C2SP tlog-policy), as of the last sync.
pub const POLICY: &str = "alliance.policy";

/// A member at work.
pub struct Session {
    /// Its folder.
    pub folder: MemberFolder,
    /// The mirror of the governance log.
    pub governance: Mirror,
    /// The mirror of the query log.
    pub queries: Mirror,
    /// What the governance log says; `None` before the first sync.
    pub registry: Option<Registry>,
    /// Epochs.
    pub epochs: Files,
    /// Contributions' bodies, by hash.
    pub bodies: Files,
    /// Promises of the hub that are not kept yet.
    pub promises: Files,
    /// Receipts.
    pub receipts: Files,
    client: Option<Client>,
    pins: Pins,
}

impl Session {
    /// Opens a folder; what it mirrors is checked.
    ///
    /// # Errors
    /// A member that has not joined; mirrors that are not whole.
    pub fn open(folder: MemberFolder) -> Result<Session> {
        let (_, genesis, _) = folder.genesis()?;
        let governance = Mirror::open(folder.files("governance")?, "governance", &[genesis.logs.governance])?;
        let queries = Mirror::open(folder.files("queries")?, "queries", &[genesis.logs.queries])?;
        let registry = replay(&governance, &folder)?;
        let session = Session {
            epochs: folder.files("epochs")?,
            bodies: folder.files("bodies")?,
            promises: folder.files("promises")?,
            receipts: folder.files("receipts")?,
            client: None,
            pins: Pins::default(),
            folder,
            governance,
            queries,
            registry,
        };
        session.take_pins()?;
        Ok(session)
    }
    /// The operator's certificates, as the newest record has them.
    pub(super) fn take_pins(&self) -> Result<()> {
        let mut pins = self.folder.genesis_pins()?;
        if let Some(registry) = &self.registry
            && let Some(operator) = registry.member(registry.operator().member)
        {
            pins.extend(operator.profile.tls.iter().copied());
        }
        self.pins.set(pins);
        Ok(())
    }
    /// A client of the hub; one a session, so that connections are used again.
    ///
    /// # Errors
    /// No hub is known; keys that do not read.
    pub fn client(&mut self) -> Result<Client> {
        if self.client.is_none() {
            self.client = Some(self.folder.client(Some(self.pins.clone()))?);
        }
        Ok(self.client.clone().expect("made above"))
    }
    /// The registry.
    ///
    /// # Errors
    /// Before the first sync.
    pub fn registry(&self) -> Result<&Registry> {
        self.registry.as_ref().context("nothing is mirrored yet (interdict consortium sync)")
    }
    /// The member's own record.
    ///
    /// # Errors
    /// A member that the alliance does not know, or not any more.
    pub fn me(&self) -> Result<&Member> {
        let name = &self.folder.about.name;
        let me = self.registry()?.by_name(name).with_context(|| format!("{name} is no member (yet)"))?;
        if !me.is_active() {
            bail!("{name} is {:?} in the registry", me.state);
        }
        Ok(me)
    }
    /// The member's number.
    ///
    /// # Errors
    /// As [`Session::me`].
    pub fn id(&self) -> Result<MemberId> {
        Ok(self.me()?.id)
    }
    /// The tag key of a version, opened with the member's own key and checked against its record.
    ///
    /// # Errors
    /// No such version; no copy for this member.
    pub fn tag_key(&self, version: u32) -> Result<TagKey> {
        let registry = self.registry()?;
        let record =
            registry.tag_key_of(version).with_context(|| format!("the alliance has no tag key {version}"))?;
        let name = self.folder.about.name.as_str();
        let sealed = record.key.sealed.get(name);
        let sealed = sealed.with_context(|| format!("no copy of tag key {version} for {name} yet"))?;
        let to = Addressed { alliance: registry.alliance(), member: name, version };
        Ok(self.folder.opening_key()?.open(sealed, &to, &record.key.commitment)?)
    }
    /// The newest version of the tag key.
    ///
    /// # Errors
    /// Where there is none yet.
    pub fn newest_version(&self) -> Result<u32> {
        let newest = self.registry()?.tag_key().map(|leaf| leaf.key.version);
        newest.context("the alliance has no tag key yet (its operator proposes one: interdict hub tag-key)")
    }
    /// Writes the policy that receipts are checked by.
    pub(super) fn write_policy(&self) -> Result<()> {
        let registry = self.registry()?;
        let logs = &registry.operator().logs;
        let witnesses = registry.witnesses();
        let enough = usize::from(registry.rules().epoch_cosigners_min).min(witnesses.len());
        let text = Policy::text_of(&[logs.governance.clone(), logs.queries.clone()], &witnesses, enough)?;
        let files = self.folder.files("")?;
        if files.read(POLICY)?.as_deref() != Some(text.as_bytes()) {
            files.write(POLICY, text.as_bytes())?;
        }
        Ok(())
    }
}

fn replay(mirror: &Mirror, folder: &MemberFolder) -> Result<Option<Registry>> {
    let mut registry = None;
    mirror.leaves(0, |index, leaf| take(&mut registry, index, leaf))?;
    if let Some(registry) = &registry {
        check_genesis(registry, folder)?;
    }
    Ok(registry)
}

/// Takes the next leaf of the governance log.
pub(super) fn take(
    registry: &mut Option<Registry>,
    index: u64,
    leaf: &[u8],
) -> interdict_consortium::error::Result<()> {
    let note = Note::parse(leaf)?;
    match registry {
        Some(registry) => registry.apply(index, &note).map(drop),
        None => {
            *registry = Some(Registry::found(&note)?);
            Ok(())
        }
    }
}

/// That the log is of the alliance that the member joined.
pub(super) fn check_genesis(registry: &Registry, folder: &MemberFolder) -> Result<()> {
    let (_, _, trusted) = folder.genesis()?;
    if registry.genesis() != trusted {
        bail!("the hub's log begins with another genesis than the one that this member trusts");
    }
    Ok(())
}

/// The time, in ms since the Unix epoch.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
