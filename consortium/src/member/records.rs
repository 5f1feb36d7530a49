//! The records of the governance log that make members and the alliance what they are. `docs/formats/governance.md`
//! shows each, and who must sign it. Times in them are what their authors say; only the order in the log counts.

use super::profile::{
    Profile, check_bytes, check_key, check_member_name, check_tls, read_key, read_tls, write_tls,
};
use super::roles::Roles;
use super::rules::Rules;
use super::spelled::Spelled;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::{KeyType, VerifierKey};
use crate::limits::{ACTIVE_MEMBERS_MAX, FOUNDERS_MAX, REASON_BYTES_MAX, SEALED_BYTES_MAX, SPONSORS_MAX};
use crate::record::{Reader, Writer};
use crate::tag::keyed;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::{BTreeMap, BTreeSet};

/// The verifier keys of an alliance's two logs: their names are `ALLIANCE/governance` and `ALLIANCE/queries`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKeys {
    /// Signs checkpoints of the governance log.
    pub governance: VerifierKey,
    /// Signs checkpoints of the query log.
    pub queries: VerifierKey,
}

impl LogKeys {
    pub(super) fn check(&self, alliance: &str) -> Result<()> {
        check_key(&format!("{alliance}/governance"), &self.governance, KeyType::Ed25519)?;
        check_key(&format!("{alliance}/queries"), &self.queries, KeyType::Ed25519)
    }
    fn write(&self, w: &mut Writer) -> Result<()> {
        w.put("governance", &self.governance)?.put("queries", &self.queries).map(drop)
    }
    fn read(r: &mut Reader<'_>) -> Result<LogKeys> {
        let missing = || r_missing("governance and queries");
        let governance = read_key(r, "governance")?.ok_or_else(missing)?;
        let queries = read_key(r, "queries")?.ok_or_else(missing)?;
        Ok(LogKeys { governance, queries })
    }
}

fn r_missing(what: &str) -> Error {
    Error::new(ErrorKind::Malformed, format!("expected the keys {what}"))
}

/// The first leaf: `interdict/alliance/v1`. Its text's hash names the alliance in every later record, so that a
/// signature given in one alliance is none in another of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    /// The alliance's name.
    pub alliance: String,
    /// When it was written, Unix ms.
    pub created_ms: u64,
    /// The founder that runs the hub.
    pub operator: String,
    /// The logs' keys.
    pub logs: LogKeys,
    /// In the order of their numbers.
    pub founders: Vec<Profile>,
    /// The first rules, version 1.
    pub rules: Rules,
}

impl Genesis {
    fn check(&self) -> Result<()> {
        check_member_name(&self.alliance)?;
        self.logs.check(&self.alliance)?;
        match self.founders.len() {
            0 => Err(Error::new(ErrorKind::Malformed, "an alliance without founders")),
            n if n > FOUNDERS_MAX => {
                Err(Error::new(ErrorKind::TooLarge, format!("{n} founders, limit {FOUNDERS_MAX}")))
            }
            _ => Ok(()),
        }
    }
}

impl Spelled for Genesis {
    const TYPE: &'static str = "alliance";
    fn write(&self, w: &mut Writer) -> Result<()> {
        self.check()?;
        w.put("alliance", &self.alliance)?.put("created_ms", self.created_ms)?;
        w.put("operator", &self.operator)?;
        self.logs.write(w)?;
        w.put("founders", self.founders.len())?;
        self.founders.iter().try_for_each(|founder| founder.write_lines(w))?;
        self.rules.write_lines(w)
    }
    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let alliance = r.take("alliance")?.to_owned();
        let created_ms = r.number("created_ms")?;
        let operator = r.take("operator")?.to_owned();
        let logs = LogKeys::read(r)?;
        let count: usize = r.number("founders")?;
        if count > FOUNDERS_MAX {
            return Err(Error::new(ErrorKind::TooLarge, format!("{count} founders, limit {FOUNDERS_MAX}")));
        }
        let founders = (0..count).map(|_| Profile::read_lines(r)).collect::<Result<_>>()?;
        let rules = Rules::read_lines(r, 1)?;
        let genesis = Genesis { alliance, created_ms, operator, logs, founders, rules };
        genesis.check()?;
        Ok(genesis)
    }
}

/// An application: `interdict/application/v1`, signed by the applicant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// SHA-256 of the genesis' text.
    pub genesis: [u8; 32],
    /// When it was written, Unix ms.
    pub created_ms: u64,
    /// Who applies; its roles are those asked for.
    pub profile: Profile,
}

impl Spelled for Application {
    const TYPE: &'static str = "application";
    fn write(&self, w: &mut Writer) -> Result<()> {
        w.put_bytes("genesis", &self.genesis)?.put("created_ms", self.created_ms)?;
        self.profile.write_lines(w)
    }
    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let (genesis, created_ms) = (r.array("genesis")?, r.number("created_ms")?);
        Ok(Application { genesis, created_ms, profile: Profile::read_lines(r)? })
    }
}

/// An admission: `interdict/admission/v1`, signed by its sponsors and by the quorum `admit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// SHA-256 of the genesis' text.
    pub genesis: [u8; 32],
    /// When it was written, Unix ms.
    pub created_ms: u64,
    /// Who is admitted.
    pub member: String,
    /// SHA-256 of the application's text.
    pub application: [u8; 32],
    /// The roles given: of those asked for.
    pub roles: Roles,
    /// Members who vouch for it.
    pub sponsors: BTreeSet<String>,
}

impl Spelled for Admission {
    const TYPE: &'static str = "admission";
    fn write(&self, w: &mut Writer) -> Result<()> {
        if self.sponsors.len() > SPONSORS_MAX {
            return Err(Error::new(ErrorKind::TooLarge, format!("more than {SPONSORS_MAX} sponsors")));
        }
        w.put_bytes("genesis", &self.genesis)?.put("created_ms", self.created_ms)?;
        w.put("member", &self.member)?.put_bytes("application", &self.application)?;
        w.put("roles", self.roles)?;
        self.sponsors.iter().try_for_each(|name| w.put("sponsor", name).map(drop))
    }
    fn read(r: &mut Reader<'_>) -> Result<Self> {
        Ok(Admission {
            genesis: r.array("genesis")?,
            created_ms: r.number("created_ms")?,
            member: r.take("member")?.to_owned(),
            application: r.array("application")?,
            roles: Roles::parse(r.take("roles")?).map_err(|e| r.refuse(e.message))?,
            sponsors: r.take_all("sponsor")?.into_iter().map(str::to_owned).collect(),
        })
    }
}

/// On whose word keys change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationBy {
    /// The member's own: the old key signs, and the new one.
    Own,
    /// The quorum `rotate`, and the new key: the old one is lost or stolen.
    Quorum,
}

/// New keys: `interdict/rotation/v1`. What is `None` (or empty) stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// SHA-256 of the genesis' text.
    pub genesis: [u8; 32],
    /// When it was written, Unix ms.
    pub created_ms: u64,
    /// Whose keys.
    pub member: String,
    /// On whose word.
    pub by: RotationBy,
    /// One more than the member's rotations so far (`Own`) or than the rulings on it so far (`Quorum`). Two counters:
    /// a member could else make every ruling stale by rotating again.
    pub serial: u32,
    /// Signs records.
    pub sign: Option<VerifierKey>,
    /// Cosigns checkpoints.
    pub witness: Option<VerifierKey>,
    /// X25519.
    pub hpke: Option<[u8; 32]>,
    /// SHA-256 of certificates; all that hold from now on.
    pub tls: BTreeSet<[u8; 32]>,
}

impl Rotation {
    fn check(&self) -> Result<()> {
        if self.sign.is_none() && self.witness.is_none() && self.hpke.is_none() && self.tls.is_empty() {
            return Err(Error::new(ErrorKind::Malformed, "a rotation that changes nothing"));
        }
        let check =
            |key: &Option<VerifierKey>, ty| key.iter().try_for_each(|k| check_key(&self.member, k, ty));
        check(&self.sign, KeyType::Ed25519)?;
        check(&self.witness, KeyType::Cosignature)?;
        if self.tls.is_empty() { Ok(()) } else { check_tls(&self.tls) }
    }
}

impl Spelled for Rotation {
    const TYPE: &'static str = "rotation";
    fn write(&self, w: &mut Writer) -> Result<()> {
        self.check()?;
        w.put_bytes("genesis", &self.genesis)?.put("created_ms", self.created_ms)?;
        w.put("member", &self.member)?;
        w.put("by", if self.by == RotationBy::Own { "own" } else { "quorum" })?;
        w.put("serial", self.serial)?.put_some("sign", self.sign.as_ref())?;
        w.put_some("witness", self.witness.as_ref())?;
        w.put_some("hpke", self.hpke.map(|key| STANDARD.encode(key)))?;
        write_tls(&self.tls, w)
    }
    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let (genesis, created_ms) = (r.array("genesis")?, r.number("created_ms")?);
        let member = r.take("member")?.to_owned();
        let by = match r.take("by")? {
            "own" => RotationBy::Own,
            "quorum" => RotationBy::Quorum,
            _ => return Err(r.refuse("expected \"own\" or \"quorum\"")),
        };
        let serial = r.number("serial")?;
        let (sign, witness) = (read_key(r, "sign")?, read_key(r, "witness")?);
        let hpke = match r.take_some("hpke")? {
            None => None,
            Some(value) => {
                let bytes = STANDARD.decode(value).ok().and_then(|bytes| bytes.try_into().ok());
                Some(bytes.ok_or_else(|| r.refuse("expected 32 bytes in base64"))?)
            }
        };
        let tls = read_tls(r)?;
        let rotation = Rotation { genesis, created_ms, member, by, serial, sign, witness, hpke, tls };
        rotation.check()?;
        Ok(rotation)
    }
}

/// What a ruling on a member is about; also the lines of `interdict/suspension/v1`, `interdict/reinstatement/v1` and
/// `interdict/leaving/v1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// SHA-256 of the genesis' text.
    pub genesis: [u8; 32],
    /// When it was written, Unix ms.
    pub created_ms: u64,
    /// About whom.
    pub member: String,
    /// One more than the rulings on the member so far; of a leaving, than its rotations so far.
    pub serial: u32,
    /// Why, in words that all members read.
    pub reason: String,
}

impl Ruling {
    fn write(&self, w: &mut Writer) -> Result<()> {
        check_bytes("reason", &self.reason, REASON_BYTES_MAX)?;
        w.put_bytes("genesis", &self.genesis)?.put("created_ms", self.created_ms)?;
        w.put("member", &self.member)?.put("serial", self.serial)?.put("reason", &self.reason).map(drop)
    }
    fn read(r: &mut Reader<'_>) -> Result<Ruling> {
        Ok(Ruling {
            genesis: r.array("genesis")?,
            created_ms: r.number("created_ms")?,
            member: r.take("member")?.to_owned(),
            serial: r.number("serial")?,
            reason: r.take("reason")?.to_owned(),
        })
    }
}

macro_rules! rulings {
    ($($(#[$doc:meta])* $name:ident $ty:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(pub Ruling);

        impl Spelled for $name {
            const TYPE: &'static str = $ty;
            fn write(&self, w: &mut Writer) -> Result<()> {
                self.0.write(w)
            }
            fn read(r: &mut Reader<'_>) -> Result<Self> {
                Ruling::read(r).map($name)
            }
        }
    )*};
}

rulings! {
    /// `interdict/suspension/v1`, signed by the quorum `suspend`: the member no longer signs, votes or connects.
    Suspension "suspension";
    /// `interdict/reinstatement/v1`, signed by the quorum `reinstate`, and by the member itself where it had left.
    Reinstatement "reinstatement";
    /// `interdict/leaving/v1`, signed by the member alone.
    Leaving "leaving";
}

/// Another operator: `interdict/operator/v1`, signed by the quorum `operator` and by the new operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorChange {
    /// SHA-256 of the genesis' text.
    pub genesis: [u8; 32],
    /// When it was written, Unix ms.
    pub created_ms: u64,
    /// One more than the operators so far: 2 for the second.
    pub serial: u32,
    /// The member that runs the hub from now on.
    pub operator: String,
    /// Its logs' keys: the logs go on, under the old names.
    pub logs: LogKeys,
    /// Why.
    pub reason: String,
}

impl Spelled for OperatorChange {
    const TYPE: &'static str = "operator";
    fn write(&self, w: &mut Writer) -> Result<()> {
        check_bytes("reason", &self.reason, REASON_BYTES_MAX)?;
        w.put_bytes("genesis", &self.genesis)?.put("created_ms", self.created_ms)?;
        w.put("serial", self.serial)?.put("operator", &self.operator)?;
        self.logs.write(w)?;
        w.put("reason", &self.reason).map(drop)
    }
    fn read(r: &mut Reader<'_>) -> Result<Self> {
        Ok(OperatorChange {
            genesis: r.array("genesis")?,
            created_ms: r.number("created_ms")?,
            serial: r.number("serial")?,
            operator: r.take("operator")?.to_owned(),
            logs: LogKeys::read(r)?,
            reason: r.take("reason")?.to_owned(),
        })
    }
}

/// Whose word is trusted: `interdict/trust/v1`, signed by the quorum `rules`. Until the first one, contributors among the
/// founders are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustChange {
    /// SHA-256 of the genesis' text.
    pub genesis: [u8; 32],
    /// When it was written, Unix ms.
    pub created_ms: u64,
    /// One more than such records so far.
    pub serial: u32,
    /// All who are trusted from now on, by name.
    pub trusts: BTreeSet<String>,
}

impl Spelled for TrustChange {
    const TYPE: &'static str = "trust";
    fn write(&self, w: &mut Writer) -> Result<()> {
        if self.trusts.len() > ACTIVE_MEMBERS_MAX {
            return Err(Error::new(ErrorKind::TooLarge, format!("trust in more than {ACTIVE_MEMBERS_MAX}")));
        }
        w.put_bytes("genesis", &self.genesis)?.put("created_ms", self.created_ms)?;
        w.put("serial", self.serial)?;
        self.trusts.iter().try_for_each(|name| w.put("trusts", name).map(drop))
    }
    fn read(r: &mut Reader<'_>) -> Result<Self> {
        Ok(TrustChange {
            genesis: r.array("genesis")?,
            created_ms: r.number("created_ms")?,
            serial: r.number("serial")?,
            trusts: r.take_all("trusts")?.into_iter().map(str::to_owned).collect(),
        })
    }
}

/// A tag key: `interdict/tag-key/v1`, signed by the operator and by the quorum `tag-key` of members who have opened
/// their copy and compared it with the commitment. With the version in force and only copies for members that lack
/// one, signed by the operator or by one who has a copy: the commitment is fixed already, so that nobody can be given
/// another key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagKey {
    /// SHA-256 of the genesis' text.
    pub genesis: [u8; 32],
    /// When it was written, Unix ms.
    pub created_ms: u64,
    /// 1 for the first, then one more each time.
    pub version: u32,
    /// [`keyed::TagKey::commitment`] of the key.
    pub commitment: [u8; 32],
    /// The tag service's public key (RFC 9497, ristretto255-SHA512).
    pub voprf: [u8; 32],
    /// The key sealed to each (HPKE: encapsulated key, then ciphertext), by member's name.
    pub sealed: BTreeMap<String, Vec<u8>>,
}

impl TagKey {
    /// Whether a key is the one that the record commits to.
    pub fn is_of(&self, key: &[u8; 32]) -> bool {
        keyed::TagKey::new(self.version, key).commitment() == self.commitment
    }
}

impl Spelled for TagKey {
    const TYPE: &'static str = "tag-key";
    fn write(&self, w: &mut Writer) -> Result<()> {
        w.put_bytes("genesis", &self.genesis)?.put("created_ms", self.created_ms)?;
        w.put("version", self.version)?.put_bytes("commitment", &self.commitment)?;
        w.put_bytes("voprf", &self.voprf)?;
        for (name, sealed) in &self.sealed {
            if sealed.is_empty() || sealed.len() > SEALED_BYTES_MAX {
                let message =
                    format!("a sealed key of {} bytes: expected 1 to {SEALED_BYTES_MAX}", sealed.len());
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
            w.put("sealed", format_args!("{name} {}", STANDARD.encode(sealed)))?;
        }
        Ok(())
    }
    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let mut key = TagKey {
            genesis: r.array("genesis")?,
            created_ms: r.number("created_ms")?,
            version: r.number("version")?,
            commitment: r.array("commitment")?,
            voprf: r.array("voprf")?,
            sealed: BTreeMap::new(),
        };
        while let Some(value) = r.take_some("sealed")? {
            let pair = value
                .split_once(' ')
                .and_then(|(name, sealed)| Some((name.to_owned(), STANDARD.decode(sealed).ok()?)));
            let (name, sealed) = pair.ok_or_else(|| r.refuse("expected \"NAME BASE64\""))?;
            key.sealed.insert(name, sealed);
        }
        Ok(key)
    }
}
