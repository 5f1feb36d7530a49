//! Who speaks and who is told: the banks of a message, from the configuration and the payment's institutions.

use super::types::{Agent, Wrong};
use crate::config::outward::RailSection;
use std::collections::BTreeMap;

/// The banks that the configuration knows.
#[derive(Debug, Clone)]
pub struct Parties {
    clearing_system: Option<String>,
    agent: Option<String>,
    agents: BTreeMap<String, String>,
    hub: Option<String>,
}

impl Parties {
    /// As `[rail]` says.
    pub fn new(section: &RailSection) -> Parties {
        Parties {
            clearing_system: section.clearing_system.clone(),
            agent: section.agent.clone(),
            agents: section.agents.clone(),
            hub: section.hub.clone(),
        }
    }

    /// A tenant's own bank: `rail.agents.TENANT`, else `rail.agent`.
    ///
    /// # Errors
    /// Neither is configured.
    pub fn own(&self, tenant: &str) -> Result<Agent, Wrong> {
        let id = self.agents.get(tenant).or(self.agent.as_ref());
        id.map(|id| self.agent(id)).ok_or(Wrong::Missing { element: "rail.agent, or the tenant's," })
    }

    /// The bank at the other end: the first of the payment's institutions (`acquirer`, `issuer`, `account.bank`) that is
    /// not the tenant's own, else the rail's operator (`rail.hub`).
    ///
    /// # Errors
    /// The payment names no other bank and no operator is configured.
    pub fn other(&self, tenant: &str, institutions: &[Option<&str>]) -> Result<Agent, Wrong> {
        let own = self.own(tenant)?;
        let named = institutions.iter().flatten().map(|id| self.agent(id)).find(|agent| *agent != own);
        let hub = || self.hub.as_deref().map(|id| self.agent(id));
        named.or_else(hub).ok_or(Wrong::Missing { element: "the other bank, or rail.hub," })
    }

    fn agent(&self, id: &str) -> Agent {
        Agent::of(id, self.clearing_system.as_deref())
    }
}
