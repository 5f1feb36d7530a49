//! The entry rules of an alliance: who votes, how many must agree to what, what an applicant must show, and how each
//! kind of signal is shared. Versioned; a record is judged by the rules in force just before its leaf.

use super::profile::{Country, check_token};
use super::roles::{Role, Roles};
use super::spelled::Spelled;
use crate::error::{Error, ErrorKind, Result};
use crate::kind::{Kind, Privacy};
use crate::limits::{EVIDENCE_MAX, JURISDICTIONS_MAX, QUORUM_DENOMINATOR_MAX, TIME_MS_MAX};
use crate::record::{Reader, Writer};
use std::collections::BTreeSet;
use std::fmt;

/// What members decide by quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Act {
    /// Admitting an applicant.
    Admit = 0,
    /// Suspending a member.
    Suspend = 1,
    /// Taking a suspended member in again, or one that left.
    Reinstate = 2,
    /// New keys for a member that has lost its own.
    Rotate = 3,
    /// Another operator, and its log keys.
    Operator = 4,
    /// Other rules.
    Rules = 5,
    /// A tariff, with the operator.
    Tariff = 6,
    /// A tag key, with the operator.
    TagKey = 7,
}

impl Act {
    /// All, in the order of the rules' lines.
    pub const ALL: [Act; 8] = [
        Act::Admit,
        Act::Suspend,
        Act::Reinstate,
        Act::Rotate,
        Act::Operator,
        Act::Rules,
        Act::Tariff,
        Act::TagKey,
    ];
    /// Its name in the rules.
    pub const fn name(self) -> &'static str {
        match self {
            Act::Admit => "admit",
            Act::Suspend => "suspend",
            Act::Reinstate => "reinstate",
            Act::Rotate => "rotate",
            Act::Operator => "operator",
            Act::Rules => "rules",
            Act::Tariff => "tariff",
            Act::TagKey => "tag-key",
        }
    }
    /// Whether more than half must agree whatever the rules: else one half of an alliance could put out the other.
    pub const fn needs_majority(self) -> bool {
        matches!(self, Act::Suspend | Act::Rotate | Act::Operator | Act::Rules)
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many must agree: a fraction of the active voting members, rounded up, and never fewer than a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quorum {
    /// Of the fraction; at least 1.
    pub numerator: u32,
    /// Of the fraction; at most `QUORUM_DENOMINATOR_MAX`.
    pub denominator: u32,
    /// Votes without which there is no quorum, however few vote; at least 1. It is not lowered where fewer members
    /// are left: an alliance that shrinks below it cannot act.
    pub at_least: u32,
}

impl Quorum {
    /// The votes needed of `voters` members that may vote.
    pub fn needed(&self, voters: usize) -> u32 {
        let part = (voters as u64 * u64::from(self.numerator)).div_ceil(u64::from(self.denominator));
        u32::try_from(part).unwrap_or(u32::MAX).max(self.at_least).max(1)
    }
    fn check(&self, act: Act) -> Result<()> {
        let refuse = |message: String| Err(Error::new(ErrorKind::Invalid, message));
        let Quorum { numerator, denominator, at_least } = *self;
        if !(1..=QUORUM_DENOMINATOR_MAX).contains(&denominator) || !(1..=denominator).contains(&numerator) {
            return refuse(format!(
                "quorum {act}: {numerator}/{denominator} is no part of a whole with a denominator up to {QUORUM_DENOMINATOR_MAX}"
            ));
        }
        if at_least == 0 {
            return refuse(format!("quorum {act}: at least one vote is needed"));
        }
        if act.needs_majority() && 2 * numerator <= denominator {
            return refuse(format!("quorum {act}: {numerator}/{denominator} is not more than half"));
        }
        Ok(())
    }
    fn parse(text: &str) -> Option<Quorum> {
        let (fraction, at_least) = text.split_once(' ')?;
        let (numerator, denominator) = fraction.split_once('/')?;
        Some(Quorum {
            numerator: numerator.parse().ok()?,
            denominator: denominator.parse().ok()?,
            at_least: at_least.parse().ok()?,
        })
    }
}

impl fmt::Display for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {}", self.numerator, self.denominator, self.at_least)
    }
}

/// How one kind of signal is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindRule {
    /// Of which kind.
    pub kind: Kind,
    /// How much of an identifier others may see. A card is never `open` (PCI DSS 4.0.1, 3.5.1).
    pub privacy: Privacy,
    /// Bits of the truncated tag where `oblivious`; 0: to be chosen from the population. Else 0.
    pub prefilter_bits: u8,
    /// How many identifiers of the kind there are, about (issued cards, accounts); 0 where not declared.
    pub population: u64,
    /// How many trusted contributors make a signal active; 0: none alone do.
    pub trusted_min: u16,
    /// How many contributors of whatever kind make it active; 0: none alone do.
    pub independent_min: u16,
    /// After which a signal lapses unless its own expiry comes first, in milliseconds.
    pub lifetime_ms: u64,
    /// Whether a hit may name the member that contributed it.
    pub names_member: bool,
}

impl KindRule {
    fn check(&self) -> Result<()> {
        let refuse =
            |message: &str| Err(Error::new(ErrorKind::Invalid, format!("kind {}: {message}", self.kind)));
        if (self.kind, self.privacy) == (Kind::Card, Privacy::Open) {
            return refuse("card numbers are not shared as text");
        }
        match (self.privacy, self.prefilter_bits, self.population) {
            (Privacy::Oblivious, 0, 0) => return refuse("oblivious needs prefilter bits or a population"),
            (Privacy::Oblivious, 0 | 8..=64, _) | (_, 0, _) => {}
            (Privacy::Oblivious, ..) => {
                return refuse("8 to 64 prefilter bits, or 0 for a choice by population");
            }
            _ => return refuse("prefilter bits are for oblivious kinds"),
        }
        if self.trusted_min == 0 && self.independent_min == 0 {
            return refuse("no number of contributors would make a signal active");
        }
        match (1..=TIME_MS_MAX).contains(&self.lifetime_ms) {
            true => Ok(()),
            false => refuse("a signal lives for 1 ms to eight thousand years"),
        }
    }
    fn parse(text: &str) -> Result<KindRule> {
        let words: Vec<_> = text.split(' ').collect();
        let [
            kind,
            privacy,
            "bits",
            bits,
            "population",
            population,
            "trusted_min",
            trusted_min,
            "independent_min",
            independent_min,
            "lifetime_ms",
            lifetime_ms,
            "names_member",
            names_member,
        ] = words[..]
        else {
            return Err(Error::new(
                ErrorKind::Malformed,
                "expected \"KIND LEVEL bits N population N trusted_min N independent_min N lifetime_ms N names_member yes|no\"",
            ));
        };
        let no_number = |_| Error::new(ErrorKind::Malformed, "a number of the kind is none, or too large");
        Ok(KindRule {
            kind: Kind::by_name(kind)?,
            privacy: Privacy::by_name(privacy)?,
            prefilter_bits: bits.parse().map_err(no_number)?,
            population: population.parse().map_err(no_number)?,
            trusted_min: trusted_min.parse().map_err(no_number)?,
            independent_min: independent_min.parse().map_err(no_number)?,
            lifetime_ms: lifetime_ms.parse().map_err(no_number)?,
            names_member: match names_member {
                "yes" => true,
                "no" => false,
                _ => return Err(Error::new(ErrorKind::Malformed, "names_member is yes or no")),
            },
        })
    }
}

impl fmt::Display for KindRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} bits {} population {} trusted_min {} independent_min {} lifetime_ms {} names_member {}",
            self.kind,
            self.privacy,
            self.prefilter_bits,
            self.population,
            self.trusted_min,
            self.independent_min,
            self.lifetime_ms,
            if self.names_member { "yes" } else { "no" }
        )
    }
}

/// The rules of an alliance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// 1 for those of the genesis, then one more each time.
    pub version: u32,
    /// Who has one of these roles votes.
    pub voters: Roles,
    /// By act, in the order of [`Act::ALL`].
    pub quorums: [Quorum; Act::ALL.len()],
    /// How many sponsors an admission names.
    pub sponsors_min: u16,
    /// Who has one of these roles may sponsor.
    pub sponsor_roles: Roles,
    /// Where an applicant may be licensed; empty: anywhere.
    pub jurisdictions: BTreeSet<Country>,
    /// What an applicant must show for a role, as (role, kind of evidence).
    pub evidence: BTreeSet<(Role, String)>,
    /// How many members must have rebuilt and signed an epoch before an engine loads it.
    pub epoch_cosigners_min: u16,
    /// How long an epoch may be used, in milliseconds.
    pub epoch_valid_ms: u64,
    /// By kind, in order; a kind without one is not shared.
    pub kinds: Vec<KindRule>,
}

impl Rules {
    /// The quorum of an act.
    pub fn quorum(&self, act: Act) -> Quorum {
        self.quorums[act as usize]
    }
    /// How a kind is shared; `None`: not at all.
    pub fn kind(&self, kind: Kind) -> Option<&KindRule> {
        self.kinds.iter().find(|rule| rule.kind == kind)
    }
    /// That so many voting members could agree to everything.
    ///
    /// # Errors
    /// `Invalid` with the act.
    pub(super) fn check_reachable(&self, voters: usize) -> Result<()> {
        let beyond = Act::ALL.into_iter().find(|act| self.quorum(*act).at_least as usize > voters);
        match beyond {
            None => Ok(()),
            Some(act) => {
                let message = format!(
                    "quorum {act} asks for at least {} votes, and {voters} members may vote",
                    self.quorum(act).at_least
                );
                Err(Error::new(ErrorKind::Invalid, message))
            }
        }
    }
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |kind, message: &str| Err(Error::new(kind, message));
        if self.voters.is_empty() {
            return refuse(ErrorKind::Invalid, "rules under which nobody votes");
        }
        Act::ALL.into_iter().try_for_each(|act| self.quorum(act).check(act))?;
        if self.sponsors_min > 0 && self.sponsor_roles.is_empty() {
            return refuse(ErrorKind::Invalid, "rules that ask for sponsors and let nobody be one");
        }
        if self.jurisdictions.len() > JURISDICTIONS_MAX || self.evidence.len() > EVIDENCE_MAX {
            return refuse(ErrorKind::TooLarge, "too many jurisdictions or kinds of evidence");
        }
        self.evidence.iter().try_for_each(|(_, kind)| check_token("evidence", kind))?;
        if !(1..=TIME_MS_MAX).contains(&self.epoch_valid_ms) {
            return refuse(ErrorKind::Invalid, "an epoch is valid for 1 ms to eight thousand years");
        }
        if !self.kinds.is_sorted_by(|a, b| a.kind < b.kind) {
            return refuse(ErrorKind::Malformed, "kinds are written each once and in their order");
        }
        self.kinds.iter().try_for_each(KindRule::check)
    }
    /// Writes all but the version.
    pub(super) fn write_lines(&self, w: &mut Writer) -> Result<()> {
        self.check()?;
        w.put("voters", self.voters)?;
        for act in Act::ALL {
            w.put("quorum", format_args!("{act} {}", self.quorum(act)))?;
        }
        w.put("sponsors", format_args!("{} {}", self.sponsors_min, self.sponsor_roles))?;
        self.jurisdictions.iter().try_for_each(|country| w.put("admits", country).map(drop))?;
        let mut evidence = self.evidence.iter();
        evidence.try_for_each(|(role, kind)| w.put("requires", format_args!("{role} {kind}")).map(drop))?;
        w.put("epoch_cosigners_min", self.epoch_cosigners_min)?;
        w.put("epoch_valid_ms", self.epoch_valid_ms)?;
        self.kinds.iter().try_for_each(|rule| w.put("kind", rule).map(drop))
    }
    /// Reads what [`Rules::write_lines`] writes.
    pub(super) fn read_lines(r: &mut Reader<'_>, version: u32) -> Result<Rules> {
        let voters = Roles::parse(r.take("voters")?).map_err(|e| r.refuse(e.message))?;
        let mut quorums = [Quorum { numerator: 1, denominator: 1, at_least: 1 }; Act::ALL.len()];
        for act in Act::ALL {
            let value = r.take("quorum")?.strip_prefix(act.name()).and_then(|rest| rest.strip_prefix(' '));
            let expected = || r.refuse(format!("expected \"{act} N/N N\""));
            quorums[act as usize] = value.and_then(Quorum::parse).ok_or_else(expected)?;
        }
        let sponsors = r.take("sponsors")?.split_once(' ');
        let sponsors = sponsors.and_then(|(min, roles)| Some((min.parse().ok()?, read_roles(roles).ok()?)));
        let (sponsors_min, sponsor_roles) =
            sponsors.ok_or_else(|| r.refuse("expected \"N ROLE,ROLE\" or \"0 none\""))?;
        let mut jurisdictions = BTreeSet::new();
        while let Some(country) = r.take_some("admits")? {
            jurisdictions.insert(Country::parse(country).map_err(|e| r.refuse(e.message))?);
        }
        let mut evidence = BTreeSet::new();
        while let Some(value) = r.take_some("requires")? {
            let (role, kind) = value.split_once(' ').ok_or_else(|| r.refuse("expected \"ROLE KIND\""))?;
            evidence.insert((Role::by_name(role).map_err(|e| r.refuse(e.message))?, kind.to_owned()));
        }
        let epoch_cosigners_min = r.number("epoch_cosigners_min")?;
        let epoch_valid_ms = r.number("epoch_valid_ms")?;
        let mut kinds = Vec::new();
        while let Some(value) = r.take_some("kind")? {
            kinds.push(KindRule::parse(value).map_err(|e| r.refuse(e.message))?);
        }
        let rules = Rules {
            version,
            voters,
            quorums,
            sponsors_min,
            sponsor_roles,
            jurisdictions,
            evidence,
            epoch_cosigners_min,
            epoch_valid_ms,
            kinds,
        };
        rules.check()?;
        Ok(rules)
    }
}

/// A set that may be empty.
fn read_roles(text: &str) -> Result<Roles> {
    if text == "none" { Ok(Roles::NONE) } else { Roles::parse(text) }
}

/// Other rules: `interdict/rules/v1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesChange {
    /// SHA-256 of the genesis' text.
    pub genesis: [u8; 32],
    /// When it was written, Unix ms; only the order in the log counts.
    pub created_ms: u64,
    /// The rules; their version is one more than that of those in force.
    pub rules: Rules,
}

impl Spelled for RulesChange {
    const TYPE: &'static str = "rules";
    fn write(&self, w: &mut Writer) -> Result<()> {
        w.put_bytes("genesis", &self.genesis)?.put("created_ms", self.created_ms)?;
        w.put("version", self.rules.version)?;
        self.rules.write_lines(w)
    }
    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let (genesis, created_ms) = (r.array("genesis")?, r.number("created_ms")?);
        let version = r.number("version")?;
        Ok(RulesChange { genesis, created_ms, rules: Rules::read_lines(r, version)? })
    }
}
