//! The bounds that a configuration and its hardware profile set: of the sequencer's state, and of what tenants may take.

use super::HOUR_MS;
use super::quota::Terms;
use crate::config::Loaded;
use interdict_engine::features::StateLimits;
use interdict_engine::identity::IdentityLimits;
use interdict_engine::sequencer::SequencerLimits;
use std::collections::BTreeMap;

/// The bounds of a configuration's sequencer.
pub fn limits(loaded: &Loaded) -> SequencerLimits {
    let hardware = &loaded.hardware;
    SequencerLimits {
        features: StateLimits {
            keys_max: loaded.config.features.keys_max,
            bytes_max: hardware.feature_memory_mib << 20,
            originals_max: hardware.originals,
            lateness_ms: loaded.config.features.lateness_s * 1000,
            ..StateLimits::default()
        },
        identity: IdentityLimits {
            horizon_ms: loaded.config.identity.horizon_h * HOUR_MS,
            bytes_max: hardware.identity_memory_mib << 20,
            disk_bytes_max: loaded.config.identity.disk_mib.saturating_mul(1 << 20),
            ..IdentityLimits::default()
        },
    }
}

/// What the configuration grants its tenants.
pub(super) fn terms(loaded: &Loaded) -> BTreeMap<String, Terms> {
    let terms = loaded.config.tenants.iter().map(|(name, tenant)| {
        let rate = tenant.rate.map(|rate| (rate, tenant.burst.unwrap_or(rate).max(1.0)));
        (name.clone(), Terms { weight: tenant.weight.unwrap_or(1), rate })
    });
    terms.collect()
}
