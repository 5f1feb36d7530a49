//! Any bytes as a CSV file to import: no panic, no more errors than the bound, and drafts that make a body.
#![no_main]

use interdict_consortium::kind::{Kind, Privacy};
use interdict_consortium::limits::IMPORT_ERRORS_MAX;
use interdict_consortium::signal::draft::{Defaults, rows};
use interdict_consortium::signal::{Body, Policies, Policy, Reason, Tags, csv};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

fuzz_target!(|file: &[u8]| {
    let mut policies = Policies::default();
    for kind in Kind::ALL {
        let privacy = if kind == Kind::Name { Privacy::Open } else { Privacy::Keyed };
        let bits = if kind == Kind::Name { 0 } else { 128 };
        let lifetime_ms = 86_400_000;
        let policy = Policy { privacy, bits, trusted_min: 1, independent_min: 2, lifetime_ms, names_member: false };
        policies.set(kind, policy).expect("a policy");
    }
    let defaults = Defaults { policies: &policies, reason: Reason::OTHER, now_ms: 1_800_000_000_000 };
    let Ok(imported) = csv::read(file, &defaults, &mut |given| Ok(given.text.to_owned())) else { return };
    assert!(imported.errors.len() <= IMPORT_ERRORS_MAX);
    let tag = |kind: Kind, text: &str| {
        let hash = Sha256::new().chain_update([kind as u8]).chain_update(text).finalize();
        Ok(Tags { tag: hash[..16].try_into().expect("16 bytes"), exact: [0; 16] })
    };
    // Names that no body may hold are refused here.
    if let Ok(mut rows) = rows(&imported.drafts, &policies, 1, tag) {
        assert!(rows.is_empty() || Body::write(&mut rows).is_ok());
    }
});
