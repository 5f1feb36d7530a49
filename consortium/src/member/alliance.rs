//! An alliance for tests: five banks, an auditor and an operator found it; their keys are made from their numbers.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::keys::{KeyType, SignerKey};
use crate::kind::{Kind, Privacy};
use crate::note::Note;
use std::collections::{BTreeMap, BTreeSet};

/// When everything in tests was written.
pub const NOW_MS: u64 = 1_700_000_000_000;
/// Five voting members.
pub const BANKS: [&str; 5] =
    ["bank-a.example", "bank-b.example", "bank-c.example", "bank-d.example", "bank-e.example"];
/// The auditor.
pub const AUDITOR: &str = "auditor.example";
/// The operator.
pub const HUB: &str = "hub.example";

/// A key of somebody, the `n`-th.
pub fn key(name: &str, ty: KeyType, n: u8) -> SignerKey {
    let seed = text_hash(&format!("{name} {} {n}", ty as u8));
    SignerKey::from_seed(name, ty, &seed).unwrap()
}
/// The `n`-th key that somebody signs with.
pub fn sign(name: &str, n: u8) -> SignerKey {
    key(name, KeyType::Ed25519, n)
}
/// Somebody as it applies.
pub fn profile(name: &str, roles: &[Role]) -> Profile {
    Profile {
        name: name.into(),
        legal_name: format!("{name} Aktiengesellschaft"),
        did: did::Did::parse(&format!("did:web:{name}")).unwrap(),
        jurisdiction: Country::parse("DE").unwrap(),
        roles: Roles::of(roles),
        evidence: BTreeSet::from([("licence".into(), text_hash(name))]),
        sign: sign(name, 0).verifier().clone(),
        witness: key(name, KeyType::Cosignature, 0).verifier().clone(),
        hpke: text_hash(&format!("{name} hpke")),
        tls: BTreeSet::from([text_hash(&format!("{name} tls"))]),
        tariff_class: "standard".into(),
    }
}
/// A rule of a kind.
pub fn kind_rule(kind: Kind, privacy: Privacy) -> KindRule {
    KindRule {
        kind,
        privacy,
        prefilter_bits: if privacy == Privacy::Oblivious { 30 } else { 0 },
        population: 5_000_000_000,
        trusted_min: 1,
        independent_min: 2,
        lifetime_ms: 31_536_000_000,
        names_member: false,
    }
}
/// Rules under which two thirds decide.
pub fn rules() -> Rules {
    let mut quorums = [Quorum { numerator: 2, denominator: 3, at_least: 2 }; Act::ALL.len()];
    quorums[Act::Admit as usize] = Quorum { numerator: 1, denominator: 2, at_least: 2 };
    Rules {
        version: 1,
        voters: Roles::of(&[Role::Contributor, Role::Consumer]),
        quorums,
        sponsors_min: 1,
        sponsor_roles: Roles::of(&[Role::Contributor]),
        jurisdictions: BTreeSet::from([Country::parse("AT").unwrap(), Country::parse("DE").unwrap()]),
        evidence: BTreeSet::from([(Role::Contributor, "licence".into())]),
        epoch_cosigners_min: 2,
        epoch_valid_ms: 7_200_000,
        kinds: vec![
            kind_rule(Kind::Card, Privacy::Oblivious),
            kind_rule(Kind::Account, Privacy::Keyed),
            kind_rule(Kind::Name, Privacy::Open),
        ],
    }
}
/// The keys of the alliance's logs, the `n`-th.
pub fn logs(n: u8) -> LogKeys {
    LogKeys {
        governance: sign("alliance.example/governance", n).verifier().clone(),
        queries: sign("alliance.example/queries", n).verifier().clone(),
    }
}
/// The genesis of them all.
pub fn genesis() -> Genesis {
    let mut founders: Vec<_> =
        BANKS.iter().map(|bank| profile(bank, &[Role::Contributor, Role::Consumer])).collect();
    founders.push(profile(AUDITOR, &[Role::Auditor]));
    founders.push(profile(HUB, &[Role::Operator]));
    Genesis {
        alliance: "alliance.example".into(),
        created_ms: NOW_MS,
        operator: HUB.into(),
        logs: logs(0),
        founders,
        rules: rules(),
    }
}
/// A note signed by these.
pub fn signed(text: String, keys: &[&SignerKey]) -> Note {
    let mut note = Note::new(text).unwrap();
    keys.iter().for_each(|key| note.sign(key));
    note
}
/// A note signed by the first keys of these.
pub fn by(text: String, names: &[&str]) -> Note {
    let keys: Vec<_> = names.iter().map(|name| sign(name, 0)).collect();
    signed(text, &keys.iter().collect::<Vec<_>>())
}
/// Leaf 0.
pub fn genesis_note() -> Note {
    let everybody: Vec<_> = BANKS.into_iter().chain([AUDITOR, HUB]).collect();
    by(genesis().to_text().unwrap(), &everybody)
}
/// The alliance, founded.
pub fn founded() -> Registry {
    Registry::found(&genesis_note()).unwrap()
}
/// A ruling on somebody.
pub fn ruling(registry: &Registry, member: &str, serial: u32) -> Ruling {
    Ruling {
        genesis: registry.genesis(),
        created_ms: NOW_MS,
        member: member.into(),
        serial,
        reason: "as decided".into(),
    }
}
/// Somebody's application, and the admission that names it.
pub fn admission(registry: &Registry, name: &str, sponsor: &str) -> (Application, Admission) {
    let profile = profile(name, &[Role::Contributor, Role::Consumer]);
    let application = Application { genesis: registry.genesis(), created_ms: NOW_MS, profile };
    let admission = Admission {
        genesis: registry.genesis(),
        created_ms: NOW_MS,
        member: name.into(),
        application: text_hash(&application.to_text().unwrap()),
        roles: Roles::of(&[Role::Contributor, Role::Consumer]),
        sponsors: BTreeSet::from([sponsor.into()]),
    };
    (application, admission)
}
/// New keys for signing, the `n`-th, and nothing else.
pub fn rotation(registry: &Registry, member: &str, by: RotationBy, serial: u32, n: u8) -> Rotation {
    Rotation {
        genesis: registry.genesis(),
        created_ms: NOW_MS,
        member: member.into(),
        by,
        serial,
        sign: Some(sign(member, n).verifier().clone()),
        witness: None,
        hpke: None,
        tls: BTreeSet::new(),
    }
}
/// A tag key for everybody who is to have one.
pub fn tag_key(registry: &Registry, version: u32) -> TagKey {
    let secret = text_hash(&format!("tag key {version}"));
    let copy = |member: &Member| (member.profile.name.clone(), vec![7; 80]);
    TagKey {
        genesis: registry.genesis(),
        created_ms: NOW_MS,
        version,
        commitment: crate::tag::keyed::TagKey::new(version, &secret).commitment(),
        voprf: text_hash(&format!("voprf {version}")),
        sealed: registry.tag_key_holders().map(copy).collect::<BTreeMap<_, _>>(),
    }
}
/// Puts a note into a registry as its next leaf.
pub fn apply(registry: &mut Registry, note: &Note) -> crate::error::Result<Applied> {
    registry.apply(registry.size(), note)
}
