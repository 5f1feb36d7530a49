//! A member's folder: `member.toml` says who it is and where the hub is, `genesis.note` which alliance it trusts, `keys/` is
//! its own; the rest is mirrored or received and can be fetched again. Layout: `docs/formats/alliance.md`.

use crate::alliance::client::Client;
use crate::alliance::folder::{Files, Held};
use crate::alliance::keyring::Keyring;
use crate::alliance::tls::{Pin, Pins};
use crate::config::load::explain;
use anyhow::{Context, Result, bail};
use interdict_consortium::keys::{KeyType, SignerKey};
use interdict_consortium::member::did::Did;
use interdict_consortium::member::{Country, Genesis, Profile, Roles, Spelled, text_hash};
use interdict_consortium::note::Note;
use interdict_consortium::tag::sealing::OpeningKey;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Who the member is.
pub const ABOUT: &str = "member.toml";
/// The genesis, with the founders' signatures.
pub const GENESIS: &str = "genesis.note";
/// Signs records.
pub const SIGN_KEY: &str = "sign.key";
/// Cosigns checkpoints.
pub const WITNESS_KEY: &str = "witness.key";
/// Opens what is sealed to the member.
pub const HPKE_KEY: &str = "hpke.key";

/// `member.toml`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Name in the alliance.
    pub name: String,
    /// The legal person.
    pub legal_name: String,
    /// `did:web:…`; that of the signing key where it is not said.
    #[serde(default)]
    pub did: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub jurisdiction: String,
    /// As in `contributor,consumer`.
    pub roles: String,
    /// By which the tariff prices it.
    pub tariff_class: String,
    /// Kind of evidence → SHA-256 of the document, in hex.
    #[serde(default)]
    pub evidence: BTreeMap<String, String>,
    /// `https://HOST:PORT`; there once the member has joined.
    #[serde(default)]
    pub hub: Option<String>,
    /// SHA-256 of a certificate of the hub, in hex, where the genesis' are out of date.
    #[serde(default)]
    pub hub_pin: Option<String>,
    /// Where the keys are, relative to the folder; `keys` by default. The operator's are in the hub's folder.
    #[serde(default)]
    pub keys: Option<PathBuf>,
}

/// A folder that this process holds.
#[derive(Debug)]
pub struct MemberFolder {
    held: Held,
    /// Who the member is.
    pub about: About,
    /// Its keys.
    pub keys: Keyring,
}

impl MemberFolder {
    /// Makes a folder with new keys.
    ///
    /// # Errors
    /// One that is a member's already; a name that no member can have.
    pub fn make(dir: &Path, about: About) -> Result<MemberFolder> {
        interdict_consortium::member::check_member_name(&about.name)?;
        if dir.join(ABOUT).exists() {
            bail!("{}: a member's folder already; nothing was changed", dir.display());
        }
        let held = Held::take(dir)?;
        let keys = Keyring::open(&dir.join(about.keys.as_deref().unwrap_or(Path::new("keys"))))?;
        if about.keys.is_none() {
            make_keys(&keys, &about.name)?;
        }
        let folder = MemberFolder { held, about, keys };
        // What it says must be a profile: else nobody could admit it.
        folder.profile()?;
        folder.keep_about()?;
        Ok(folder)
    }
    /// Takes a folder that is there.
    ///
    /// # Errors
    /// One that is none, or that another process holds.
    pub fn open(dir: &Path) -> Result<MemberFolder> {
        let path = dir.join(ABOUT);
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!("{}: no member's folder (interdict consortium init makes one)", path.display())
        })?;
        let about: About = toml::from_str(&text).map_err(|e| explain(&path, &text, &e))?;
        let keys = dir.join(about.keys.as_deref().unwrap_or(Path::new("keys")));
        Ok(MemberFolder { held: Held::take(dir)?, keys: Keyring::open(&keys)?, about })
    }
    /// Writes `member.toml`.
    ///
    /// # Errors
    /// The system's.
    pub fn keep_about(&self) -> Result<()> {
        let text = toml::to_string(&self.about)?;
        self.files("")?.write(ABOUT, text.as_bytes()).context(ABOUT)
    }
    /// Where it lies.
    pub fn path(&self) -> &Path {
        self.held.path()
    }
    /// The files of a part of it.
    ///
    /// # Errors
    /// The system's.
    pub fn files(&self, part: &str) -> Result<Files> {
        self.held.files(part)
    }
    /// What the member says of itself, with the keys it has now.
    ///
    /// # Errors
    /// A value of `member.toml` that is none; keys that do not read.
    pub fn profile(&self) -> Result<Profile> {
        profile(&self.about, &self.keys)
    }
    /// The key that signs records.
    ///
    /// # Errors
    /// As [`Keyring::signer`].
    pub fn sign_key(&self) -> Result<SignerKey> {
        self.keys.signer(SIGN_KEY)
    }
    /// The key that cosigns checkpoints.
    ///
    /// # Errors
    /// As [`Keyring::signer`].
    pub fn witness_key(&self) -> Result<SignerKey> {
        self.keys.signer(WITNESS_KEY)
    }
    /// The key that opens tag keys.
    ///
    /// # Errors
    /// As [`Keyring::seed`].
    pub fn opening_key(&self) -> Result<OpeningKey> {
        Ok(OpeningKey::from_bytes(&*self.keys.seed(HPKE_KEY)?))
    }
    /// The genesis that the member trusts, with its hash.
    ///
    /// # Errors
    /// A member that has not joined.
    pub fn genesis(&self) -> Result<(Note, Genesis, [u8; 32])> {
        let note = self.files("")?.read(GENESIS)?;
        let note = note.with_context(|| {
            format!("{}: not joined yet (interdict consortium join)", self.path().display())
        })?;
        let note = Note::parse(&note).context(GENESIS)?;
        let genesis = Genesis::of_text(note.text()).context(GENESIS)?;
        let hash = text_hash(note.text());
        Ok((note, genesis, hash))
    }
    /// Joins an alliance: its genesis is what is trusted from now on.
    ///
    /// # Errors
    /// Another genesis than the one that is trusted already.
    pub fn join(&mut self, genesis: &Note, hub: &str, hub_pin: Option<Pin>) -> Result<()> {
        Genesis::of_text(genesis.text())?;
        let files = self.files("")?;
        if let Some(held) = files.read(GENESIS)?
            && Note::parse(&held)?.text() != genesis.text()
        {
            bail!("this folder trusts another genesis already; another alliance takes another folder");
        }
        files.write(GENESIS, genesis.encode().as_bytes())?;
        self.about.hub = Some(hub.to_owned());
        self.about.hub_pin = hub_pin.map(|pin| interdict_engine::generation::hex(&pin));
        self.keep_about()
    }
    /// A client of the hub that accepts these certificates of it, or where none are given those of the genesis.
    ///
    /// # Errors
    /// A member that has not joined; keys that do not read.
    pub fn client(&self, pins: Option<Pins>) -> Result<Client> {
        let hub = self.about.hub.as_deref().context("no hub is known (interdict consortium join)")?;
        let pins = match pins {
            Some(pins) => pins,
            None => Pins::new(self.genesis_pins()?),
        };
        Client::new(hub, self.keys.identity()?, pins)
    }
    /// The certificates of the hub that the genesis names, and the one that was given at joining.
    pub(super) fn genesis_pins(&self) -> Result<BTreeSet<Pin>> {
        let (_, genesis, _) = self.genesis()?;
        let operator = genesis.founders.into_iter().find(|founder| founder.name == genesis.operator);
        let mut pins = operator.context("the genesis names an operator that is no founder")?.tls;
        if let Some(pin) = &self.about.hub_pin {
            pins.insert(read_pin(pin)?);
        }
        Ok(pins)
    }
    /// A path in the folder, for messages.
    pub fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

/// Makes all keys of a member.
///
/// # Errors
/// Where one is already; the system's.
pub fn make_keys(keys: &Keyring, name: &str) -> Result<()> {
    keys.make_signer(SIGN_KEY, name, KeyType::Ed25519)?;
    keys.make_signer(WITNESS_KEY, name, KeyType::Cosignature)?;
    keys.make_seed(HPKE_KEY)?;
    keys.make_certificate(name).map(drop)
}

/// A profile of what is said and the keys there are.
///
/// # Errors
/// A value that is none; keys that do not read.
pub fn profile(about: &About, keys: &Keyring) -> Result<Profile> {
    let sign = keys.signer(SIGN_KEY)?.verifier().clone();
    let did = match &about.did {
        Some(did) => Did::parse(did)?,
        None => Did::of_key(sign.public()),
    };
    let evidence = about.evidence.iter();
    let evidence = evidence.map(|(kind, hash)| Ok((kind.clone(), read_pin(hash)?))).collect::<Result<_>>()?;
    let profile = Profile {
        name: about.name.clone(),
        legal_name: about.legal_name.clone(),
        did,
        jurisdiction: Country::parse(&about.jurisdiction)?,
        roles: Roles::parse(&about.roles)?,
        evidence,
        sign,
        witness: keys.signer(WITNESS_KEY)?.verifier().clone(),
        hpke: OpeningKey::from_bytes(&*keys.seed(HPKE_KEY)?).public(),
        tls: BTreeSet::from([keys.identity()?.pin()]),
        tariff_class: about.tariff_class.clone(),
    };
    Ok(profile)
}

/// 32 bytes in hex.
///
/// # Errors
/// What is none.
pub fn read_pin(text: &str) -> Result<Pin> {
    let wrong = || format!("{text:?}: expected a SHA-256, 64 hex digits");
    if text.len() != 64 || !text.is_ascii() {
        bail!(wrong());
    }
    let mut pin = [0; 32];
    for (at, byte) in pin.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).with_context(wrong)?;
    }
    Ok(pin)
}
