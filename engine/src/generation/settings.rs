//! What a node is configured to do with verdicts, as a part of the generation.

use crate::domain::{Lever, Transaction};
use crate::error::{Error, ErrorKind};
use crate::freshness::Freshness;
use crate::settlement::{Of, Scope, Settlement};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a node is configured to do with verdicts; part of the generation, so that a replay finds the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Tenant → channel → lever; the tenant "" is everybody who is not named.
    pub levers: BTreeMap<String, BTreeMap<String, u8>>,
    /// Network whose code map answers, where the payment's own has none.
    pub network: String,
    /// Lists and watchlists that may become stale. Behind the rest in the bytes, and only where there are any, so that
    /// settings without it are kept as they always were.
    #[serde(skip)]
    pub freshness: Vec<Freshness>,
    /// When payments settle, what can stop them, how holds end. Behind those, and only where it says anything.
    #[serde(skip)]
    pub settlement: Settlement,
}

impl Settings {
    /// What can still stop a payment. The most specific word counts: a tenant's before everybody's, among those a
    /// network's before a channel's, among those a network's channel before the network. `levers` are words for a
    /// channel, everybody's or a tenant's; of equals a row of the settlement counts.
    pub fn lever(&self, tx: &Transaction) -> Lever {
        self.lever_of(&self.settlement.of(tx))
    }
    fn lever_of(&self, of: &Of<'_>) -> Lever {
        let row = self.settlement.lever(of);
        let by_channel =
            self.channel_lever(of).filter(|(rank, _)| row.is_none_or(|(known, _)| *rank > known));
        by_channel.or(row).map_or(Lever::None, |(_, lever)| lever)
    }
    /// What `levers` say, and how specific that is.
    fn channel_lever(&self, of: &Of<'_>) -> Option<(u8, Lever)> {
        let channel = of.channel?;
        let named = |tenant: &str| self.levers.get(tenant).and_then(|levers| levers.get(channel)).copied();
        let own = named(of.tenant).map(|number| (Scope::TENANT + Scope::CHANNEL, number));
        let (rank, number) = own.or_else(|| named("").map(|number| (Scope::CHANNEL, number)))?;
        let lever = Lever::ALL.into_iter().find(|lever| *lever as u8 == number);
        Some((rank, lever.unwrap_or(Lever::None)))
    }
    /// Whether the rail of a payment knows a recall once it is too late for its lever: as the most specific row says
    /// that says it, else where its lever is one.
    pub fn recall(&self, tx: &Transaction) -> bool {
        let of = self.settlement.of(tx);
        self.settlement.recall(&of).unwrap_or_else(|| self.lever_of(&of) == Lever::Recall)
    }
    /// Its bytes, as kept in the store.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = postcard::to_stdvec(self).expect("plain data always encodes");
        let settles = self.settlement != Settlement::default();
        if self.freshness.is_empty() && !settles {
            return bytes;
        }
        let bytes = postcard::to_extend(&self.freshness, bytes).expect("plain data always encodes");
        if settles { self.settlement.extend(bytes) } else { bytes }
    }
    /// The settings of stored bytes.
    ///
    /// # Errors
    /// `Corrupt` or `Version` for bytes that `encode` does not write.
    pub fn decode(bytes: &[u8]) -> Result<Settings, Error> {
        let corrupt = |e| Error::new(ErrorKind::Corrupt, format!("settings: {e}"));
        let (mut settings, rest) = postcard::take_from_bytes::<Settings>(bytes).map_err(corrupt)?;
        if rest.is_empty() {
            return Ok(settings);
        }
        let (freshness, rest) = postcard::take_from_bytes(rest).map_err(corrupt)?;
        settings.freshness = freshness;
        if !rest.is_empty() {
            settings.settlement = Settlement::decode(rest)?;
        }
        Ok(settings)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::freshness::WhenStale;
    use crate::settlement::Unhunted;

    fn plain() -> Settings {
        let levers = |lever: u8| BTreeMap::from([("chip".to_owned(), lever)]);
        let levers = BTreeMap::from([(String::new(), levers(2)), ("a".to_owned(), levers(3))]);
        Settings { levers, network: "default".into(), ..Settings::default() }
    }

    /// Written by hand from what versions before the settlement window wrote: their generations keep their hashes.
    #[test]
    fn settings_without_the_settlement_part_are_kept_as_they_always_were() {
        let known = b"\x02\x00\x01\x04chip\x02\x01a\x01\x04chip\x03\x07default";
        assert_eq!(plain().encode(), known);
        assert_eq!(Settings::decode(known).unwrap(), plain());
        let (list, when_stale) = ("l".into(), WhenStale::Review);
        let stale = Freshness { list, tenant: None, made_ms: 1, fresh_for_ms: 2, when_stale };
        let with = Settings { freshness: vec![stale], ..plain() };
        let known = [&known[..], b"\x01\x01l\x00\x02\x04\x01"].concat();
        assert_eq!(with.encode(), known);
        assert_eq!(Settings::decode(&known).unwrap(), with);
    }

    #[test]
    fn the_settlement_part_comes_behind_and_is_never_half_read() {
        let mut settings = plain();
        settings.settlement.unhunted = Unhunted::GoFlagged;
        let (bytes, without) = (settings.encode(), plain().encode());
        assert!(bytes.starts_with(&[&without[..], &[0, 1]].concat()), "no freshness, then the version");
        assert_eq!(Settings::decode(&bytes).unwrap(), settings);
        for cut in without.len() + 2..bytes.len() {
            assert!(Settings::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert!(Settings::decode(&[&bytes[..], &[0]].concat()).is_err());
        let mut later = bytes;
        later[without.len() + 1] = 2;
        assert_eq!(Settings::decode(&later).unwrap_err().kind, ErrorKind::Version);
    }
}
