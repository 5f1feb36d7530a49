//! A small alliance: four kinds' rules, a dozen signals, members who say things about them.

use interdict_consortium::epoch::{Admitted, State, View, build, consolidate};
use interdict_consortium::kind::{Kind, MemberId, Privacy};
use interdict_consortium::signal::reputation::Smoothing;
use interdict_consortium::signal::{Body, Contributor, Key, Op, Policies, Policy, Reason, Row, Tags};

pub const BUILT_MS: u64 = 1_000_000;
pub const LIFETIME_MS: u64 = 500_000;
pub const NAMES: [&str; 3] = ["Ада Лавлейс", "Grace Hopper", "Noether, \"Emmy\""];

pub fn policy(
    privacy: Privacy,
    bits: u8,
    trusted_min: u16,
    independent_min: u16,
    names_member: bool,
) -> Policy {
    Policy { privacy, bits, trusted_min, independent_min, lifetime_ms: LIFETIME_MS, names_member }
}

pub fn policies() -> Policies {
    let mut policies = Policies::default();
    policies.set(Kind::Card, policy(Privacy::Oblivious, 30, 1, 2, false)).unwrap();
    policies.set(Kind::Account, policy(Privacy::Keyed, 128, 2, 3, true)).unwrap();
    policies.set(Kind::Ip, policy(Privacy::Keyed, 128, 0, 2, false)).unwrap();
    policies.set(Kind::Name, policy(Privacy::Open, 0, 1, 0, true)).unwrap();
    policies
}

/// The signals by number: of cards three, of accounts and addresses two each, under either version; three names.
pub fn key(signal: usize, version: u32) -> Key {
    let tag = |byte: u8| {
        let mut tag = [byte; 16];
        tag[15] = u8::try_from(version).unwrap();
        tag
    };
    let keyed =
        |kind, byte| Key { kind, key_version: version, tags: Tags { tag: tag(byte), exact: [0; 16] } };
    match signal {
        // Two cards share a cut tag.
        0..=2 => {
            let exact = tag(0x10 + u8::try_from(signal).unwrap());
            let tags = Tags { tag: tag(if signal == 2 { 0x81 } else { 0x7f }), exact };
            Key { kind: Kind::Card, key_version: version, tags: tags.cut_to(30) }
        }
        3 => keyed(Kind::Account, 3),
        4 => keyed(Kind::Account, 0xf4),
        5 => keyed(Kind::Ip, 5),
        6 => keyed(Kind::Ip, 6),
        _ => Key::open(Kind::Name, NAMES[signal - 7]),
    }
}
pub const SIGNALS: usize = 10;

pub fn text(signal: usize) -> &'static str {
    if signal < 7 { "" } else { NAMES[signal - 7] }
}

/// A row of any operation, from numbers.
pub fn row(signal: usize, version: u32, op: Op, severity: u8, seen: u64, ends: u64) -> Row<'static> {
    let key = key(signal, version);
    match op {
        Op::Add | Op::Correct => {
            let reasons = [Reason::OTHER, Reason::by_name("card_stolen").unwrap()];
            Row {
                reason: Some(reasons[usize::from(severity % 2)]),
                severity,
                first_seen_ms: seen,
                last_seen_ms: seen + 5,
                expires_ms: ends,
                evidence: [severity; 32],
                text: text(signal),
                ..Row::bare(key, op)
            }
        }
        Op::Dispute => Row::dispute(key, Reason::by_name("outdated").unwrap()),
        Op::Confirmed | Op::FalseAlarm => Row::outcome(key, op, seen),
        Op::Withdraw | Op::Expire | Op::WithdrawDispute => Row::bare(key, op),
    }
}

/// Members 0 to 5: the first two trusted, the last not in good standing.
pub fn contributors() -> Vec<Contributor> {
    (0..6).map(|id| Contributor { id: MemberId(id), trusted: id < 2 || id == 5, active: id < 5 }).collect()
}

pub fn view(number: u64, built_ms: u64, key_versions: &[u32]) -> View {
    View {
        number,
        built_ms,
        key_versions: key_versions.to_vec(),
        policies: policies(),
        contributors: contributors(),
        smoothing: Smoothing { confirmed: 2, refuted: 1, floor_permille: 500 },
    }
}

/// A contribution in the log.
#[derive(Debug, Clone)]
pub struct Said {
    pub leaf: u64,
    pub member: u16,
    pub number: u64,
    pub rows: Vec<Row<'static>>,
    pub body: Vec<u8>,
}

impl Said {
    pub fn new(leaf: u64, member: u16, number: u64, mut rows: Vec<Row<'static>>) -> Said {
        let body = Body::write(&mut rows).unwrap();
        Said { leaf, member, number, rows, body }
    }
}

pub fn admitted(said: &[Said]) -> Vec<Admitted<'_>> {
    let mut all = Vec::new();
    for Said { leaf, member, number, body, .. } in said {
        let (member, body) = (MemberId(*member), Body::read(body).unwrap());
        all.push(Admitted { leaf: *leaf, member, number: *number, body });
    }
    all
}

/// The state at a size, on top of another or from nothing.
pub fn state(before: Option<&[u8]>, said: &[Said], alive: &[u32], size: u64) -> Vec<u8> {
    let before = before.map(|bytes| State::open(bytes).unwrap());
    let mut bytes = Vec::new();
    let written = consolidate(before.as_ref(), &admitted(said), alive, size, &mut bytes).unwrap();
    assert_eq!(written.bytes, bytes.len() as u64);
    bytes
}

pub fn snapshot(state: &[u8], view: &View) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = build(&State::open(state).unwrap(), view, &mut bytes).unwrap();
    assert_eq!(written.bytes, bytes.len() as u64);
    bytes
}
