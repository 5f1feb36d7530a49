//! The hub's keys: the operator's as a member, those of the two logs, and for each version of the tag key the tag itself and
//! the secret of the tag service. A version's files are there before its record is proposed.

use crate::alliance::keyring::Keyring;
use crate::alliance::member::folder::{HPKE_KEY, SIGN_KEY, make_keys};
use anyhow::{Context, Result};
use interdict_consortium::keys::{KeyType, SignerKey};
use interdict_consortium::member::LogKeys;
use interdict_consortium::tag::keyed::TagKey;
use interdict_consortium::tag::oblivious::Service;
use interdict_consortium::tag::sealing::OpeningKey;
use std::path::Path;

/// Signs checkpoints of the governance log.
const GOVERNANCE_KEY: &str = "governance.key";
/// Signs checkpoints of the query log, and promises.
const QUERIES_KEY: &str = "queries.key";

/// The hub's keys.
#[derive(Debug, Clone)]
pub struct HubKeys {
    /// Where they lie.
    pub ring: Keyring,
    /// The operator's, as a member.
    pub sign: SignerKey,
    /// Of the governance log.
    pub governance: SignerKey,
    /// Of the query log.
    pub queries: SignerKey,
}

impl HubKeys {
    /// Makes all keys of an operator of this name in an alliance.
    ///
    /// # Errors
    /// Where some are already; a name that keys cannot have.
    pub fn make(folder: &Path, name: &str, alliance: &str) -> Result<HubKeys> {
        let ring = Keyring::open(&folder.join("keys"))?;
        make_keys(&ring, name)?;
        ring.make_signer(GOVERNANCE_KEY, &format!("{alliance}/governance"), KeyType::Ed25519)?;
        ring.make_signer(QUERIES_KEY, &format!("{alliance}/queries"), KeyType::Ed25519)?;
        HubKeys::load(folder)
    }
    /// Those of a folder.
    ///
    /// # Errors
    /// Keys that are missing, do not read, or that others may read.
    pub fn load(folder: &Path) -> Result<HubKeys> {
        let ring = Keyring::open(&folder.join("keys"))?;
        Ok(HubKeys {
            sign: ring.signer(SIGN_KEY)?,
            governance: ring.signer(GOVERNANCE_KEY)?,
            queries: ring.signer(QUERIES_KEY)?,
            ring,
        })
    }
    /// The logs' public keys.
    pub fn logs(&self) -> LogKeys {
        LogKeys { governance: self.governance.verifier().clone(), queries: self.queries.verifier().clone() }
    }
    /// Makes the secrets of a version of the tag key.
    ///
    /// # Errors
    /// Where they are already; the system's.
    pub fn make_version(&self, version: u32) -> Result<(TagKey, Service)> {
        self.ring.make_seed(&tag_file(version))?;
        self.ring.make_seed(&service_file(version))?;
        self.version(version)
    }
    /// Whether the secrets of a version are there.
    pub fn has_version(&self, version: u32) -> bool {
        self.ring.has(&tag_file(version)) && self.ring.has(&service_file(version))
    }
    /// The secrets of a version of the tag key.
    ///
    /// # Errors
    /// Files that are missing or do not read.
    pub fn version(&self, version: u32) -> Result<(TagKey, Service)> {
        let tag = TagKey::new(version, &*self.ring.seed(&tag_file(version))?);
        let service = Service::from_seed(&*self.ring.seed(&service_file(version))?);
        Ok((tag, service.with_context(|| service_file(version))?))
    }
    /// The operator's own key that opens what is sealed to it.
    ///
    /// # Errors
    /// A file that does not read.
    pub fn opening(&self) -> Result<OpeningKey> {
        Ok(OpeningKey::from_bytes(&*self.ring.seed(HPKE_KEY)?))
    }
}

fn tag_file(version: u32) -> String {
    format!("tag-{version}.key")
}

fn service_file(version: u32) -> String {
    format!("service-{version}.key")
}
