//! What a generation says of settlement: networks, calendars, levers, holds. Rows are few, so they are walked; a
//! calendar's cut-offs are searched.

use super::calendar::{Calendar, CutOff, CutOffFrom};
use super::network::{Network, Of, Scope, most_specific};
use super::terms::{HoldTerms, Unhunted};
use crate::domain::{Field, Lever, Transaction, Value};
use crate::error::{Error, ErrorKind};
use crate::limits::{CALENDARS_MAX, NETWORK_VALUES_MAX, NETWORKS_MAX, SETTLEMENT_ROWS_MAX};
use serde::{Deserialize, Serialize};

/// How long after its arrival a payment settles that neither says so nor has a calendar, where the configuration says
/// nothing else, in ms.
pub const CUT_OFF_DEFAULT_MS: i64 = 24 * 3_600_000;
/// How long before a payment's cut-off something must be learned to count for it, where the configuration says nothing
/// else, in ms.
pub const HUNT_HORIZON_MS: i64 = 5 * 60_000;
/// Version of the encoding below; its first byte.
const VERSION: u8 = 1;

/// Which calendar is for which payments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutOffRow {
    /// Whose.
    pub scope: Scope,
    /// The calendar's number.
    pub calendar: u16,
}

/// What can still stop which payments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeverRow {
    /// Whose.
    pub scope: Scope,
    /// Before it is too late; `None`: a less specific row says.
    pub lever: Option<Lever>,
    /// Whether the rail knows a recall once it is too late (ISO 20022 camt.056); `None`: a less specific row says.
    pub recall: Option<bool>,
}

/// How holds of a lever end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRow {
    /// The lever.
    pub lever: Lever,
    /// Whose payments; `None`: of all that no other row of the lever names.
    pub tenant: Option<String>,
    /// How they end.
    pub terms: HoldTerms,
}

/// What a generation says of settlement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// Networks; the first that fits a payment carries it.
    pub networks: Vec<Network>,
    /// Calendars, compiled.
    pub calendars: Vec<Calendar>,
    /// Which calendar is whose.
    pub cut_offs: Vec<CutOffRow>,
    /// How long after its arrival a payment settles that no calendar says anything of, in ms.
    pub cut_off_default_ms: i64,
    /// What can still stop payments; those of `Settings::levers` count as rows for a tenant's channel.
    pub levers: Vec<LeverRow>,
    /// How holds end.
    pub holds: Vec<HoldRow>,
    /// What the gate says of a payment that was not hunted in time.
    pub unhunted: Unhunted,
    /// What was learned less than so long before a payment's cut-off need not be hunted for it, in ms.
    pub hunt_horizon_ms: i64,
}

impl Default for Settlement {
    fn default() -> Settlement {
        Settlement {
            networks: Vec::new(),
            calendars: Vec::new(),
            cut_offs: Vec::new(),
            cut_off_default_ms: CUT_OFF_DEFAULT_MS,
            levers: Vec::new(),
            holds: Vec::new(),
            unhunted: Unhunted::Hold,
            hunt_horizon_ms: HUNT_HORIZON_MS,
        }
    }
}

impl Settlement {
    /// The network that carries a payment: the first that fits.
    pub fn network(&self, tx: &Transaction) -> Option<&str> {
        self.networks.iter().find(|network| network.fits(tx)).map(|network| network.name.as_str())
    }
    /// What rows are looked up by for a payment.
    pub fn of<'a>(&'a self, tx: &'a Transaction) -> Of<'a> {
        Of { tenant: &tx.tenant, network: self.network(tx), channel: tx.text(Field::Channel) }
    }
    /// The calendar that is for a payment: of the most specific row, the tenant before the network before the channel.
    pub fn calendar(&self, tx: &Transaction) -> Option<&Calendar> {
        if self.cut_offs.is_empty() {
            return None;
        }
        let rows = self.cut_offs.iter().map(|row| (&row.scope, row.calendar));
        let (_, number) = most_specific(rows, &self.of(tx))?;
        self.calendars.get(usize::from(number))
    }
    /// When a payment settles that came at a time (ms since the Unix epoch): as it says itself, else as its calendar
    /// does, else the default's time after it came.
    pub fn cut_off(&self, tx: &Transaction, arrival_ms: i64) -> CutOff {
        if let Some(Value::Time(at_ms)) = tx.get(Field::SettlesAt) {
            return CutOff { at_ms, from: CutOffFrom::Said };
        }
        let after = arrival_ms.saturating_add(self.cut_off_default_ms);
        let Some(calendar) = self.calendar(tx) else {
            return CutOff { at_ms: after, from: CutOffFrom::Default };
        };
        match calendar.settles_ms(arrival_ms) {
            Some(at_ms) => CutOff { at_ms, from: CutOffFrom::Calendar },
            None => CutOff { at_ms: after, from: CutOffFrom::OutOfCalendar },
        }
    }
    /// What the most specific row that says a lever says, and how specific it is.
    pub(crate) fn lever(&self, of: &Of<'_>) -> Option<(u8, Lever)> {
        most_specific(self.levers.iter().filter_map(|row| Some((&row.scope, row.lever?))), of)
    }
    /// What the most specific row that says anything of recalls says.
    pub(crate) fn recall(&self, of: &Of<'_>) -> Option<bool> {
        most_specific(self.levers.iter().filter_map(|row| Some((&row.scope, row.recall?))), of)
            .map(|(_, recall)| recall)
    }
    /// How a hold by a lever ends, for a tenant's payment.
    pub fn hold_terms(&self, lever: Lever, tenant: &str) -> HoldTerms {
        let of = |tenant: Option<&str>| {
            self.holds.iter().find(|row| row.lever == lever && row.tenant.as_deref() == tenant)
        };
        of(Some(tenant)).or_else(|| of(None)).map(|row| row.terms).unwrap_or_default()
    }

    /// Its bytes: version, then all of it.
    pub(crate) fn extend(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.push(VERSION);
        postcard::to_extend(self, bytes).expect("plain data always encodes")
    }
    /// That of its bytes, checked.
    ///
    /// # Errors
    /// `Version` or `Corrupt`; as [`Settlement::check`].
    pub(crate) fn decode(bytes: &[u8]) -> Result<Settlement, Error> {
        let corrupt = |what: String| Error::new(ErrorKind::Corrupt, format!("settlement: {what}"));
        let rest = match bytes.split_first() {
            Some((&VERSION, rest)) => rest,
            Some((version, _)) => {
                let text = format!("settlement: version {version}, known: {VERSION}");
                return Err(Error::new(ErrorKind::Version, text));
            }
            None => return Err(corrupt("no bytes".into())),
        };
        let (settlement, rest) =
            postcard::take_from_bytes::<Settlement>(rest).map_err(|e| corrupt(e.to_string()))?;
        if !rest.is_empty() {
            return Err(corrupt(format!("{} bytes behind the end", rest.len())));
        }
        settlement.check()?;
        Ok(settlement)
    }
    /// Whether it is within its bounds and each row names a calendar that is there.
    ///
    /// # Errors
    /// `TooLarge` or `Invalid`, with what is wrong.
    pub fn check(&self) -> Result<(), Error> {
        let values = |network: &Network| network.conditions().into_iter().map(<[String]>::len).sum::<usize>();
        let most_values = self.networks.iter().map(values).max().unwrap_or(0);
        let bounds = [
            ("networks", self.networks.len(), NETWORKS_MAX),
            ("values of one network", most_values, NETWORK_VALUES_MAX),
            ("calendars", self.calendars.len(), CALENDARS_MAX),
            ("rows of cut-offs", self.cut_offs.len(), SETTLEMENT_ROWS_MAX),
            ("rows of levers", self.levers.len(), SETTLEMENT_ROWS_MAX),
            ("rows of holds", self.holds.len(), SETTLEMENT_ROWS_MAX),
        ];
        if let Some((what, len, max)) = bounds.into_iter().find(|(_, len, max)| len > max) {
            return Err(Error::new(ErrorKind::TooLarge, format!("settlement: {len} {what}, limit {max}")));
        }
        let missing = |row: &&CutOffRow| usize::from(row.calendar) >= self.calendars.len();
        if let Some(row) = self.cut_offs.iter().find(missing) {
            let message = format!("settlement: there is no calendar number {}", row.calendar);
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        if self.cut_off_default_ms < 0 || self.hunt_horizon_ms < 0 {
            return Err(Error::new(ErrorKind::Invalid, "settlement: a time that is less than nothing"));
        }
        self.calendars.iter().try_for_each(Calendar::check)
    }
}

#[cfg(test)]
mod tests;
