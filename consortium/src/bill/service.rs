//! What is counted. The query log proves some of it, leaf by leaf; the rest happens at the member, leaves no query, and
//! is reported by the member under its signature. Whoever shows a count says which of the two it is.

use crate::error::{Error, ErrorKind, Result};
use crate::query;
use std::fmt;

/// A service, in the order in which statements list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Exact tags (VOPRF), an item each: to confirm candidates, or for contributions; the service cannot tell which.
    Confirm,
    /// A joint score. Its protocol is a later issue's; its price has its place.
    Joint,
    /// A hit in the member's own copy of the epoch.
    LocalHits,
    /// A payment that the member screened against the epoch.
    Screened,
}

impl Service {
    /// All, in order.
    pub const ALL: [Service; 4] = [Service::Confirm, Service::Joint, Service::LocalHits, Service::Screened];

    /// Its name in records and configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Service::Confirm => "confirm",
            Service::Joint => "joint",
            Service::LocalHits => "local-hits",
            Service::Screened => "screened",
        }
    }
    /// What people read.
    pub const fn title(self) -> &'static str {
        match self {
            Service::Confirm => "Exact tags (confirmations)",
            Service::Joint => "Joint scores",
            Service::LocalHits => "Local hits",
            Service::Screened => "Payments screened",
        }
    }
    /// Whether leaves of the query log prove its counts; else the member reports them.
    pub const fn is_proved(self) -> bool {
        matches!(self, Service::Confirm | Service::Joint)
    }
    /// Where its counts come from, in the words of every rendering.
    pub const fn source(self) -> &'static str {
        match self.is_proved() {
            true => "query log (proved)",
            false => "self-reported (signed, not proved)",
        }
    }
    /// The service of a name.
    ///
    /// # Errors
    /// `Invalid`, with the names there are.
    pub fn by_name(name: &str) -> Result<Service> {
        Service::ALL.into_iter().find(|service| service.name() == name).ok_or_else(|| {
            let all = Service::ALL.map(Service::name).join(", ");
            Error::new(ErrorKind::Invalid, format!("{name:?} is no service: expected one of {all}"))
        })
    }
}

impl From<query::Service> for Service {
    fn from(service: query::Service) -> Service {
        match service {
            query::Service::Confirm => Service::Confirm,
            query::Service::Joint => Service::Joint,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
