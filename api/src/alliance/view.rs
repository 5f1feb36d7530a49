//! What the governance log says at a size of it, in the words of those who merge, sign and tag: the same for the hub and for
//! every member that builds the same epoch.

use interdict_consortium::epoch::{Trust, View};
use interdict_consortium::error::{Error, ErrorKind, Result};
use interdict_consortium::kind::Privacy;
use interdict_consortium::member::{Registry, Role, Rules};
use interdict_consortium::signal::reputation::Smoothing;
use interdict_consortium::signal::{Contributor, Policies, Policy};
use interdict_consortium::tag::prefilter::Prefilter;

/// Of how many identifiers one is taken to be listed, where rules leave a prefilter's bits to the population.
const LISTED_OF: u64 = 1_000;

/// The rules of the kinds, as signals need them.
///
/// # Errors
/// `Invalid` for a kind whose population leaves no prefilter and whose bits are not said.
pub fn policies(rules: &Rules) -> Result<Policies> {
    let mut policies = Policies::default();
    for rule in &rules.kinds {
        let bits = match (rule.privacy, rule.prefilter_bits) {
            (Privacy::Open, _) => 0,
            (Privacy::Keyed, _) => 128,
            (Privacy::Oblivious, 0) => {
                let chosen = Prefilter::choose(rule.population, (rule.population / LISTED_OF).max(1));
                let none = || {
                    let message =
                        format!("kind {}: no prefilter suits a population of {}", rule.kind, rule.population);
                    Error::new(ErrorKind::Invalid, message)
                };
                chosen.ok_or_else(none)?.bits()
            }
            (Privacy::Oblivious, bits) => bits,
        };
        let policy = Policy {
            privacy: rule.privacy,
            bits,
            trusted_min: rule.trusted_min,
            independent_min: rule.independent_min,
            lifetime_ms: rule.lifetime_ms,
            names_member: rule.names_member,
        };
        policies.set(rule.kind, policy)?;
    }
    Ok(policies)
}

/// The versions of the tag key that were alive when the log had `size` leaves, ascending: the newest two.
pub fn versions(registry: &Registry, size: u64) -> Vec<u32> {
    let all = (1..).map_while(|version| registry.tag_key_of(version));
    let mut versions: Vec<u32> =
        all.take_while(|leaf| leaf.since < size).map(|leaf| leaf.key.version).collect();
    versions.split_off(versions.len().saturating_sub(2))
}

/// What an epoch of a number and a time is judged by, at a size of the log. Who is trusted as a contributor says a record of
/// its own (`interdict/trust/v1`), until its reputation falls below the floor.
///
/// # Errors
/// As [`policies`].
pub fn view(registry: &Registry, size: u64, number: u64, built_ms: u64) -> Result<View> {
    let rules = registry.rules_as_of(size);
    let trust = registry.trusted_as_of(size);
    let members = registry.members().filter_map(|member| registry.member_as_of(member.id, size));
    let contributors = members.filter(|member| member.profile.roles.has(Role::Contributor)).map(|member| {
        let trusted = trust.contains(&member.id);
        Contributor { id: member.id, trusted, active: member.is_active() }
    });
    Ok(View {
        number,
        built_ms,
        key_versions: versions(registry, size),
        policies: policies(rules)?,
        contributors: contributors.collect(),
        smoothing: Smoothing::default(),
    })
}

/// Whose signatures make an epoch of a size of the log.
pub fn trust(registry: &Registry, size: u64) -> Trust {
    let operator = registry.operator_as_of(size).member;
    let key = registry.member_as_of(operator, size).map(|member| member.profile.sign.clone());
    let members = registry.signers_as_of(size);
    let others: Vec<_> = members.into_iter().filter(|member| Some(member) != key.as_ref()).collect();
    let cosigners = registry.rules_as_of(size).epoch_cosigners_min;
    Trust::new(registry.alliance(), key.as_slice(), &others, cosigners.into())
}
