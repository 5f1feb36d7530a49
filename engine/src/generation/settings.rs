//! What a node is configured to do with verdicts, as a part of the generation.

use crate::domain::Lever;
use crate::error::{Error, ErrorKind};
use crate::freshness::Freshness;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a node is configured to do with verdicts; part of the generation, so that a replay finds the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Tenant → channel → lever; the tenant "" is everybody who is not named.
    pub levers: BTreeMap<String, BTreeMap<String, u8>>,
    /// Network whose code map answers.
    pub network: String,
    /// Lists and watchlists that may become stale. Behind the rest in the bytes, and only where there are any, so that
    /// settings without it are kept as they always were.
    #[serde(skip)]
    pub freshness: Vec<Freshness>,
}

impl Settings {
    /// The lever of a tenant's channel.
    pub fn lever(&self, tenant: &str, channel: Option<&str>) -> Lever {
        let Some(channel) = channel else { return Lever::None };
        let named = |tenant: &str| self.levers.get(tenant).and_then(|levers| levers.get(channel)).copied();
        let number = named(tenant).or_else(|| named("")).unwrap_or(0);
        Lever::ALL.into_iter().find(|lever| *lever as u8 == number).unwrap_or(Lever::None)
    }
    /// Its bytes, as kept in the store.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = postcard::to_stdvec(self).expect("plain data always encodes");
        match self.freshness.is_empty() {
            true => bytes,
            false => postcard::to_extend(&self.freshness, bytes).expect("plain data always encodes"),
        }
    }
    /// The settings of stored bytes.
    ///
    /// # Errors
    /// `Corrupt` for bytes that `encode` does not write.
    pub fn decode(bytes: &[u8]) -> Result<Settings, Error> {
        let corrupt = |e| Error::new(ErrorKind::Corrupt, format!("settings: {e}"));
        let (mut settings, rest) = postcard::take_from_bytes::<Settings>(bytes).map_err(corrupt)?;
        if !rest.is_empty() {
            settings.freshness = postcard::from_bytes(rest).map_err(corrupt)?;
        }
        Ok(settings)
    }
}
