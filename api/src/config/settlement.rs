//! `[settlement]`: networks, calendars, levers and holds as they are written, checked when the file is read, and made
//! into what the generation has when it is published.

use super::{Config, Loaded};
use anyhow::{Context, Result, anyhow, bail};
use interdict_engine::domain::{Currency, Lever, transaction::CHANNELS};
use interdict_engine::error::nearest;
use interdict_engine::limits::{IDENTIFIER_BYTES_MAX, LIST_NAME_BYTES_MAX};
use interdict_engine::settlement::{
    AtExpiry, Calendar, CutOffRow, HoldKind, HoldRow, HoldTerms, HoldUntil, LeverRow, Network, Scope,
    Settlement, Table, Unhunted,
};
use interdict_ingest::calendars;
use interdict_ingest::normalise::countries::is_country;
use interdict_ingest::normalise::time::duration_ms;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Latest cut-off of a payment that neither says when it settles nor has a calendar, in hours after its arrival.
pub const CUT_OFF_H_MAX: i64 = 24 * 400;
const HOUR_MS: i64 = 3_600_000;
/// Longest horizon of the hunt, in ms: a week.
const HORIZON_MS_MAX: i64 = 7 * 24 * HOUR_MS;
/// `hold_for` of a hold that lasts until the payment's cut-off.
const UNTIL_CUT_OFF: &str = "cut_off";

/// `[settlement]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Section {
    /// After how many hours from its arrival a payment settles that neither says it (`settles_at`) nor has a calendar;
    /// `finish.cut_off_h` by default.
    pub default_h: Option<i64>,
    /// What was learned less than so long before a payment's cut-off need not have been hunted for it, as in `5m`.
    pub hunt_horizon: String,
    /// What `POST /v1/settlement/clear` says of a payment that was not hunted in time: `hold` or `go_flagged`.
    pub unhunted: String,
    /// Networks; the first that fits a payment carries it.
    pub networks: Vec<NetworkShape>,
    /// Name → calendar.
    pub calendars: BTreeMap<String, CalendarShape>,
    /// Which calendar is whose.
    pub cut_offs: Vec<CutOffShape>,
    /// What can still stop whose payments, beside `decision.levers`.
    pub levers: Vec<LeverShape>,
    /// Lever → how holds end.
    pub holds: BTreeMap<String, HoldShape>,
    /// By what two people are told apart where a second one has to agree.
    pub persons_by: PersonsBy,
}

/// By what people are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum PersonsBy {
    /// By their API keys: `who` in a request is noted, and proves nothing.
    #[default]
    Key,
    /// By `who`: whoever has the key is trusted to say who acts.
    Who,
}

impl Default for Section {
    fn default() -> Self {
        Section {
            default_h: None,
            hunt_horizon: "5m".into(),
            unhunted: Unhunted::Hold.name().into(),
            networks: Vec::new(),
            calendars: BTreeMap::new(),
            cut_offs: Vec::new(),
            levers: Vec::new(),
            holds: BTreeMap::new(),
            persons_by: PersonsBy::default(),
        }
    }
}

/// `[[settlement.networks]]`: all conditions that name anything must hold.
#[derive(Debug, Clone, Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkShape {
    /// Its name.
    pub name: String,
    /// Tenants.
    pub tenants: Vec<String>,
    /// Channels.
    pub channels: Vec<String>,
    /// ISO 4217, of the settlement amount where there is one, else of the amount.
    pub currencies: Vec<String>,
    /// Acquirers.
    pub acquirers: Vec<String>,
    /// Issuers.
    pub issuers: Vec<String>,
    /// First digits of a card's number.
    pub bins: Vec<String>,
    /// ISO 3166-1, of the payee's IBAN where there is one, else of the payee.
    pub payee_countries: Vec<String>,
    /// As there, of the payer.
    pub payer_countries: Vec<String>,
}

/// `[settlement.calendars.NAME]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarShape {
    /// Its file (docs/formats/calendar.md), relative to the config file.
    pub file: PathBuf,
}

/// `[[settlement.cut_offs]]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CutOffShape {
    /// Whose; what is not said is all.
    pub tenant: Option<String>,
    /// As there.
    pub network: Option<String>,
    /// As there.
    pub channel: Option<String>,
    /// The calendar.
    pub calendar: String,
}

/// `[[settlement.levers]]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LeverShape {
    /// Whose; what is not said is all.
    pub tenant: Option<String>,
    /// As there.
    pub network: Option<String>,
    /// As there.
    pub channel: Option<String>,
    /// What can still stop them; without it a less specific row says.
    pub lever: Option<String>,
    /// Whether the rail knows a recall once it is too late; without it a less specific row says.
    pub recall: Option<bool>,
}

/// `[settlement.holds.LEVER]`, `[tenants.NAME.holds.LEVER]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HoldShape {
    /// How long a hold lasts that nobody ends, as in `48h`; `cut_off`: until the payment's.
    pub hold_for: String,
    /// What becomes of it then: `release` or `confirm`.
    pub at_expiry: String,
}
impl Default for HoldShape {
    fn default() -> Self {
        HoldShape { hold_for: UNTIL_CUT_OFF.into(), at_expiry: AtExpiry::Confirm.name().into() }
    }
}

/// Checks all but the calendars' files.
///
/// # Errors
/// What does not hold, with its key and what was expected.
pub fn check(config: &Config) -> Result<()> {
    let calendars: Vec<&String> = config.settlement.calendars.keys().collect();
    let built = rows(config, &calendars)?;
    twice(config, &built)
}

/// What the generation has of settlement; reads the calendars' files.
///
/// # Errors
/// As [`check`]; whatever is wrong with a calendar's file, with its line.
pub fn build(loaded: &Loaded) -> Result<Settlement> {
    let section = &loaded.config.settlement;
    let names: Vec<&String> = section.calendars.keys().collect();
    let mut settlement = rows(&loaded.config, &names)?;
    for (name, calendar) in &section.calendars {
        let read = calendars::read(&loaded.resolve(&calendar.file), name);
        settlement.calendars.push(read.with_context(|| format!("settlement.calendars.{name}"))?);
    }
    settlement.check()?;
    Ok(settlement)
}

/// A compiled calendar in a line, for people.
pub fn describe(calendar: &Calendar) -> String {
    let Calendar { name, version, from_ms, until_ms, table } = calendar;
    let says = match table {
        Table::Cycles(cycles) => format!("{} cut-offs", cycles.len()),
        Table::After(ms) => format!("{ms} ms after arrival"),
    };
    let [from, until] = [from_ms, until_ms].map(|ms| interdict_engine::rules::format_time(*ms));
    format!("calendar {name}: version {version}, from {from} until {until}, {says}")
}

/// All but the calendars' tables.
fn rows(config: &Config, calendars: &[&String]) -> Result<Settlement> {
    let section = &config.settlement;
    let networks = networks(&section.networks)?;
    let known = Known { networks: &networks };
    let mut cut_offs = Vec::new();
    for (at, row) in numbered(&section.cut_offs) {
        let place = format!("settlement.cut_offs, row {at}");
        let number = calendars.iter().position(|name| **name == row.calendar);
        let number = number.ok_or_else(|| {
            let expected = unknown(&row.calendar, calendars.iter().map(|name| name.as_str()));
            anyhow!("{place}: calendar = {:?}: {expected}", row.calendar)
        })?;
        let scope = known.scope(&place, [&row.tenant, &row.network, &row.channel])?;
        cut_offs.push(CutOffRow { scope, calendar: u16::try_from(number).context("too many calendars")? });
    }
    let mut levers = Vec::new();
    for (at, row) in numbered(&section.levers) {
        let place = format!("settlement.levers, row {at}");
        let scope = known.scope(&place, [&row.tenant, &row.network, &row.channel])?;
        let lever = row.lever.as_deref().map(|name| lever(&format!("{place}: lever"), name)).transpose()?;
        if lever.is_none() && row.recall.is_none() {
            bail!("{place}: lever and recall are missing, so it says nothing");
        }
        levers.push(LeverRow { scope, lever, recall: row.recall });
    }
    let default_h = section.default_h.unwrap_or(config.finish.cut_off_h);
    if !(0..=CUT_OFF_H_MAX).contains(&default_h) {
        bail!("settlement.default_h = {default_h}: expected 0 to {CUT_OFF_H_MAX} hours");
    }
    let unhunted = Unhunted::by_name(&section.unhunted).ok_or_else(|| {
        anyhow!("settlement.unhunted = {:?}: expected hold or go_flagged", section.unhunted)
    })?;
    let hunt_horizon_ms = duration("settlement.hunt_horizon", &section.hunt_horizon, HORIZON_MS_MAX)?;
    Ok(Settlement {
        networks,
        calendars: Vec::new(),
        cut_offs,
        cut_off_default_ms: default_h * HOUR_MS,
        levers,
        holds: holds(config)?,
        unhunted,
        hunt_horizon_ms,
    })
}

fn numbered<T>(rows: &[T]) -> impl Iterator<Item = (usize, &T)> {
    rows.iter().enumerate().map(|(at, row)| (at + 1, row))
}

fn unknown<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let all: Vec<&str> = known.clone().collect();
    if all.is_empty() {
        return "there is none".into();
    }
    let hint = nearest(word, known).map_or(String::new(), |name| format!(", did you mean {name:?}?"));
    format!("expected one of {}{hint}", all.join(", "))
}

fn lever(place: &str, name: &str) -> Result<Lever> {
    let expected = || unknown(name, Lever::ALL.iter().map(|lever| lever.name()));
    Lever::by_name(name).ok_or_else(|| anyhow!("{place} = {name:?}: {}", expected()))
}

fn duration(place: &str, text: &str, max_ms: i64) -> Result<i64> {
    let ms = duration_ms(text);
    let ms = ms.ok_or_else(|| anyhow!("{place} = {text:?}: expected a duration such as 5m or 24h"))?;
    if ms > max_ms {
        bail!("{place} = {text:?}: limit {}h", max_ms / HOUR_MS);
    }
    Ok(ms)
}

/// What rows may name.
struct Known<'a> {
    networks: &'a [Network],
}

impl Known<'_> {
    fn scope(&self, place: &str, [tenant, network, channel]: [&Option<String>; 3]) -> Result<Scope> {
        if let Some(network) = network {
            let known = self.networks.iter().map(|network| network.name.as_str());
            if !known.clone().any(|name| name == network) {
                bail!("{place}: network = {network:?}: {}", unknown(network, known));
            }
        }
        if let Some(channel) = channel {
            check_channel(&format!("{place}: channel"), channel)?;
        }
        if tenant.as_deref() == Some("") {
            bail!("{place}: tenant is empty: expected a name; without the key it is for all");
        }
        Ok(Scope { tenant: tenant.clone(), network: network.clone(), channel: channel.clone() })
    }
}

fn check_channel(place: &str, channel: &str) -> Result<()> {
    if !CHANNELS.contains(&channel) {
        bail!("{place} = {channel:?}: {}", unknown(channel, CHANNELS.into_iter()));
    }
    Ok(())
}

fn networks(shapes: &[NetworkShape]) -> Result<Vec<Network>> {
    let mut networks: Vec<Network> = Vec::new();
    for (at, shape) in numbered(shapes) {
        let place = format!("settlement.networks, row {at}");
        let name = shape.name.clone();
        if name.is_empty() || name.len() > LIST_NAME_BYTES_MAX {
            bail!("{place}: name = {name:?}: expected 1 to {LIST_NAME_BYTES_MAX} bytes");
        }
        if networks.iter().any(|known| known.name == name) {
            bail!(
                "{place}: name = {name:?}: there is a row of that name; its conditions may name several values"
            );
        }
        let before = networks.iter().find(|known| known.conditions().iter().all(|values| values.is_empty()));
        if let Some(before) = before {
            bail!("{place}: {name:?} never carries anything: {:?} before it has no condition", before.name);
        }
        shape.channels.iter().try_for_each(|one| check_channel(&format!("{place}: channels"), one))?;
        let each = |key: &str, values: &[String], expected: &str, fits: fn(&str) -> bool| match values
            .iter()
            .find(|value| !fits(value))
        {
            Some(wrong) => Err(anyhow!("{place}: {key}: {wrong:?}: expected {expected}")),
            None => Ok(values.to_vec()),
        };
        let is_id = |text: &str| !text.is_empty() && text.len() <= IDENTIFIER_BYTES_MAX;
        let is_bin = |text: &str| (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let is_currency = |text: &str| Currency::parse(text).is_some();
        let country = "a country of ISO 3166-1, as in \"DE\"";
        networks.push(Network {
            tenants: each("tenants", &shape.tenants, "a name", is_id)?,
            channels: shape.channels.clone(),
            currencies: each("currencies", &shape.currencies, "a currency of ISO 4217", is_currency)?,
            acquirers: each("acquirers", &shape.acquirers, "an id", is_id)?,
            issuers: each("issuers", &shape.issuers, "an id", is_id)?,
            bins: each("bins", &shape.bins, "1 to 8 digits", is_bin)?,
            payee_countries: each("payee_countries", &shape.payee_countries, country, is_country)?,
            payer_countries: each("payer_countries", &shape.payer_countries, country, is_country)?,
            name,
        });
    }
    Ok(networks)
}

fn holds(config: &Config) -> Result<Vec<HoldRow>> {
    let own = config.tenants.iter().map(|(name, tenant)| (Some(name), &tenant.holds));
    let mut rows = Vec::new();
    for (tenant, shapes) in own.chain([(None, &config.settlement.holds)]) {
        let section =
            tenant.map_or("settlement.holds".to_owned(), |tenant| format!("tenants.{tenant}.holds"));
        for (name, shape) in shapes {
            let holds = || Lever::ALL.iter().filter(|lever| HoldKind::of(**lever).is_some());
            let lever = holds().find(|lever| lever.name() == name).copied().ok_or_else(|| {
                anyhow!("{section}.{name}: {}", unknown(name, holds().map(|lever| lever.name())))
            })?;
            let until = match shape.hold_for.as_str() {
                UNTIL_CUT_OFF => HoldUntil::CutOff,
                text => {
                    let place = format!("{section}.{name}.hold_for");
                    HoldUntil::For(duration(&place, text, CUT_OFF_H_MAX * HOUR_MS)?)
                }
            };
            let at_expiry = AtExpiry::by_name(&shape.at_expiry).ok_or_else(|| {
                anyhow!("{section}.{name}.at_expiry = {:?}: expected release or confirm", shape.at_expiry)
            })?;
            rows.push(HoldRow { lever, tenant: tenant.cloned(), terms: HoldTerms { until, at_expiry } });
        }
    }
    Ok(rows)
}

/// Two rows for the same payments would leave it to their order which counts.
fn twice(config: &Config, settlement: &Settlement) -> Result<()> {
    let of_channel = |tenant: Option<&String>, channel: &String| Scope {
        tenant: tenant.cloned(),
        network: None,
        channel: Some(channel.clone()),
    };
    let of_all = config.decision.levers.keys().map(|channel| of_channel(None, channel));
    let of_tenants = config
        .tenants
        .iter()
        .flat_map(|(name, tenant)| tenant.levers.keys().map(move |channel| of_channel(Some(name), channel)));
    let mut said: BTreeSet<Scope> = of_all.chain(of_tenants).collect();
    let mut recalls = BTreeSet::new();
    for (at, row) in numbered(&settlement.levers) {
        if row.lever.is_some() && !said.insert(row.scope.clone()) {
            bail!(
                "settlement.levers, row {at}: the lever of these payments is said twice (rows here, \
                 decision.levers and tenants.NAME.levers count together)"
            );
        }
        if row.recall.is_some() && !recalls.insert(row.scope.clone()) {
            bail!("settlement.levers, row {at}: whether these payments can be recalled is said twice");
        }
    }
    let mut calendars = BTreeSet::new();
    for (at, row) in numbered(&settlement.cut_offs) {
        if !calendars.insert(row.scope.clone()) {
            bail!("settlement.cut_offs, row {at}: the calendar of these payments is said twice");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
