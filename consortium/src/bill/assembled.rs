//! All that a bill follows from, out of a registry, leaves of the governance log and openings of the query log: what the
//! operator computes it from and the auditor computes it from again. Openings are checked against their leaves here.

use super::Party;
use super::basis::{Basis, LogRange, Period};
use super::compute::Inputs;
use super::credit::Credit;
use super::governed::{self, Gathered};
use super::report::Report;
use super::tariff::{self, Tariff};
use super::usage::{Opened, Usage};
use crate::error::{Place, Result};
use crate::kind::MemberId;
use crate::member::Registry;
use crate::query::Opening;

/// What a bill is about, as far as no log says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The bill's number, from 1.
    pub number: u32,
    /// When.
    pub period: Period,
    /// Which queries, and the root of a checkpoint that was verified.
    pub queries: LogRange,
    /// Which leaves of the governance log, likewise.
    pub governance: LogRange,
    /// Hash of the settlement before.
    pub previous: Option<[u8; 32]>,
    /// Which earlier bill it stands in for.
    pub replaces: Option<u32>,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_ms: u64,
}

impl Draft {
    /// What the operator has said in a bill that is to be audited; ranges and roots are to be verified by who calls.
    pub fn of(basis: &Basis) -> Draft {
        let Basis { number, period, queries, governance, previous, replaces, created_ms, .. } = basis.clone();
        Draft { number, period, queries, governance, previous, replaces, created_ms }
    }
}

/// What a bill follows from, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembled {
    /// What it is about.
    pub basis: Basis,
    /// The operator: number and name.
    pub operator: (MemberId, String),
    /// The parties.
    pub parties: Vec<Party>,
    /// The tariff in force when the period begins.
    pub tariff: Tariff,
    /// Usage of the range.
    pub usage: Usage,
    /// Self-reports.
    pub reports: Vec<Report>,
    /// Credits.
    pub credits: Vec<Credit>,
}

impl Assembled {
    /// Puts it together. `openings` has each leaf of the range once, in whatever order: index, opening, and the leaf as it
    /// is in the log. Reports and credits of who is no party are passed over: who has left earns nothing more.
    ///
    /// # Errors
    /// `Corrupt` for an opening that is not that of its leaf; as [`Usage::fold`]; `NotFound` without a tariff in force.
    pub fn of<'a>(
        registry: &Registry,
        draft: Draft,
        gathered: Gathered,
        credits: Vec<Credit>,
        openings: impl IntoIterator<Item = (u64, &'a Opening, &'a [u8])>,
    ) -> Result<Assembled> {
        let tariff = tariff::in_force(&gathered.tariffs, draft.period.from_ms)?.clone();
        let mut wrong = None;
        let opened = openings.into_iter().map_while(|(index, opening, leaf)| match opening.check(leaf) {
            Ok(()) => Some(Opened::of(index, &opening.query)),
            Err(error) => {
                wrong = Some(error.at(Place::Leaf("queries", index)));
                None
            }
        });
        let usage = Usage::fold(draft.queries.leaves(), opened);
        if let Some(error) = wrong {
            return Err(error);
        }
        let parties = governed::parties(registry, &draft.governance);
        let is_party = |member: MemberId| parties.iter().any(|party| party.member == member);
        let Draft { number, period, queries, governance, previous, replaces, created_ms } = draft;
        Ok(Assembled {
            operator: governed::operator(registry, governance.to)?,
            usage: usage?,
            reports: gathered.reports.into_iter().filter(|report| is_party(report.member)).collect(),
            credits: credits.into_iter().filter(|credit| is_party(credit.member)).collect(),
            basis: Basis {
                alliance: registry.alliance().to_owned(),
                number,
                period,
                queries,
                governance,
                tariff: tariff.reference()?,
                currency: tariff.currency,
                previous,
                replaces,
                created_ms,
            },
            tariff,
            parties,
        })
    }

    /// What [`super::compute::Bill::compute`] and [`super::check::audit`] take.
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs {
            basis: &self.basis,
            operator: (self.operator.0, &self.operator.1),
            parties: &self.parties,
            tariff: &self.tariff,
            usage: &self.usage,
            reports: &self.reports,
            credits: &self.credits,
        }
    }
}
