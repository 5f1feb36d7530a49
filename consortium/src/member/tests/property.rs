//! Random sequences of acts, good ones and spoiled ones, against the oracle; the replay against the steps; the past as
//! the registry tells it against the past as it was.

use super::super::alliance::*;
use super::super::*;
use super::oracle::Oracle;
use crate::keys::SignerKey;
use crate::kind::MemberId;
use crate::note::Note;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::{BTreeMap, BTreeSet};

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 33).unwrap() % n
    }
    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

const NEWCOMERS: [&str; 3] = ["bank-f.example", "bank-g.example", "police.example"];
const ACTS: [&str; 15] = [
    "application",
    "admission",
    "own rotation",
    "quorum rotation",
    "suspension",
    "reinstatement",
    "leaving",
    "operator",
    "rules",
    "trust",
    "tariff",
    "tag key",
    "copies",
    "contribution",
    "epoch",
];

struct Run {
    dice: Dice,
    registry: Registry,
    oracle: Oracle,
    /// Leaves so far, and what members looked like behind each.
    leaves: Vec<String>,
    shown: Vec<String>,
    /// How many keys somebody has used so far.
    keys: BTreeMap<String, u8>,
}

impl Run {
    fn new(seed: u64) -> Run {
        let genesis = genesis_note();
        let registry = Registry::found(&genesis).unwrap();
        let shown = vec![show_members(&registry, 1)];
        let leaves = vec![genesis.encode()];
        let oracle = Oracle::new(&leaves[0]);
        Run { dice: Dice(seed), registry, oracle, leaves, shown, keys: BTreeMap::new() }
    }
    fn anybody(&mut self) -> &'static str {
        let all = [&BANKS[..], &[AUDITOR, HUB], &NEWCOMERS].concat();
        self.dice.of(&all)
    }
    /// The key somebody signs with now; where it is a stranger, that of its application.
    fn key(&self, name: &str) -> SignerKey {
        sign(name, self.keys.get(name).copied().unwrap_or(0))
    }
    fn serial(&mut self, so_far: u32) -> u32 {
        if self.dice.one_in(12) { so_far + self.dice.of(&[0, 2]) } else { so_far + 1 }
    }
    fn roles(&mut self) -> Roles {
        let sets: [&[Role]; 4] = [
            &[Role::Contributor, Role::Consumer],
            &[Role::Consumer],
            &[Role::Contributor],
            &[Role::Auditor, Role::Authority],
        ];
        Roles::of(self.dice.of(&sets))
    }

    /// A record, and who must sign it beside a quorum.
    fn record(&mut self, act: &str) -> (String, Vec<SignerKey>, bool) {
        let mut name = self.anybody();
        for _ in 0..6 {
            // Who is to come back is mostly somebody who is away.
            if act == "reinstatement" && self.registry.by_name(name).is_none_or(Member::is_active) {
                name = self.anybody();
            }
        }
        let member = self.registry.by_name(name).cloned();
        let (rotations, rulings) = member.as_ref().map_or((0, 0), |m| (m.rotations, m.rulings));
        let own = self.key(name);
        match act {
            "application" => {
                let name = if self.dice.one_in(3) { name } else { self.dice.of(&NEWCOMERS) };
                let own = self.key(name);
                let (mut application, _) = admission(&self.registry, name, HUB);
                application.profile.roles = self.roles();
                application.created_ms += self.dice.below(3) as u64;
                if self.dice.one_in(5) {
                    application.profile.evidence.clear();
                }
                if self.dice.one_in(8) {
                    application.profile.jurisdiction = Country::parse("FR").unwrap();
                }
                (application.to_text().unwrap(), vec![own], false)
            }
            "admission" => {
                let open: Vec<_> =
                    self.registry.applications().map(|(h, a)| (*h, a.profile.clone())).collect();
                let (_, mut admission) = admission(&self.registry, name, self.dice.of(&BANKS));
                let mut keys = Vec::new();
                if !open.is_empty() && !self.dice.one_in(8) {
                    let (hash, profile) = &open[self.dice.below(open.len())];
                    (admission.application, admission.member) = (*hash, profile.name.clone());
                    admission.roles = profile.roles;
                }
                if self.dice.one_in(4) {
                    admission.roles = self.roles();
                }
                if self.dice.one_in(4) {
                    let other = self.anybody();
                    admission.sponsors.insert(other.into());
                }
                keys.extend(admission.sponsors.iter().map(|sponsor| self.key(sponsor)));
                (admission.to_text().unwrap(), keys, true)
            }
            "own rotation" | "quorum rotation" => {
                let is_own = act == "own rotation";
                let by = if is_own { RotationBy::Own } else { RotationBy::Quorum };
                let serial = self.serial(if is_own { rotations } else { rulings });
                let n = self.keys.get(name).copied().unwrap_or(0) + 1;
                let n = if self.dice.one_in(10) { n - 1 } else { n };
                let mut rotation = rotation(&self.registry, name, by, serial, n);
                let mut keys = vec![sign(name, n)];
                if self.dice.one_in(3) {
                    (rotation.sign, rotation.hpke) =
                        (None, Some(text_hash(&format!("{n} {}", self.leaves.len()))));
                    keys.clear();
                }
                if self.dice.one_in(4) {
                    let other = self.anybody();
                    let foreign = self.dice.one_in(3);
                    let what = if foreign { format!("{other} tls") } else { format!("{name} tls {n}") };
                    rotation.tls = BTreeSet::from([text_hash(&what)]);
                }
                if is_own {
                    keys.push(own);
                }
                (rotation.to_text().unwrap(), keys, !is_own)
            }
            "suspension" | "reinstatement" => {
                let serial = self.serial(rulings);
                let ruling = ruling(&self.registry, name, serial);
                match act {
                    "suspension" => (Suspension(ruling).to_text().unwrap(), vec![], true),
                    _ if self.dice.one_in(2) => (Reinstatement(ruling).to_text().unwrap(), vec![], true),
                    _ => (Reinstatement(ruling).to_text().unwrap(), vec![own], true),
                }
            }
            "leaving" => {
                let serial = self.serial(rotations);
                (Leaving(ruling(&self.registry, name, serial)).to_text().unwrap(), vec![own], false)
            }
            "operator" => {
                let so_far = u32::try_from(self.registry.operators.len()).unwrap();
                let change = OperatorChange {
                    genesis: self.registry.genesis(),
                    created_ms: NOW_MS,
                    serial: self.serial(so_far),
                    operator: name.into(),
                    logs: logs(u8::try_from(so_far).unwrap()),
                    reason: "chosen".into(),
                };
                (change.to_text().unwrap(), vec![own], true)
            }
            "rules" => {
                let version = self.registry.rules().version;
                let mut rules = rules();
                rules.version = self.serial(version);
                for act in Act::ALL {
                    let few = [(2, 3, 1), (3, 5, 2), (1, 1, 1), (51, 100, 3), (2, 3, 4)];
                    let (numerator, denominator, at_least) = self.dice.of(&few);
                    rules.quorums[act as usize] = Quorum { numerator, denominator, at_least };
                }
                rules.sponsors_min = u16::try_from(self.dice.below(3)).unwrap();
                if self.dice.one_in(2) {
                    rules.jurisdictions.clear();
                }
                if self.dice.one_in(3) {
                    rules.voters = rules.voters.with(Role::Auditor);
                    rules.sponsor_roles = rules.voters;
                }
                let change = RulesChange { genesis: self.registry.genesis(), created_ms: NOW_MS, rules };
                (change.to_text().unwrap(), vec![], true)
            }
            "trust" => {
                let so_far = u32::try_from(self.registry.trusted.len() - 1).unwrap();
                let change = TrustChange {
                    genesis: self.registry.genesis(),
                    created_ms: NOW_MS,
                    serial: self.serial(so_far),
                    trusts: (0..self.dice.below(3)).map(|_| self.anybody().to_owned()).collect(),
                };
                (change.to_text().unwrap(), vec![], true)
            }
            "tariff" => {
                let so_far = u32::try_from(self.registry.tariffs.len()).unwrap();
                let version = self.serial(so_far);
                let text = format!("interdict/tariff/v1\nalliance alliance.example\nversion {version}\n");
                (text, vec![self.key(&self.operator())], true)
            }
            "tag key" => {
                let so_far = self.registry.tag_key().map_or(0, |newest| newest.key.version);
                let version = self.serial(so_far);
                let mut key = tag_key(&self.registry, version);
                if self.dice.one_in(6) {
                    key.sealed.pop_first();
                }
                (key.to_text().unwrap(), vec![self.key(&self.operator())], true)
            }
            "copies" => {
                let version = self.registry.tag_key().map_or(1, |newest| newest.key.version);
                let mut key = tag_key(&self.registry, version);
                let lacking: Vec<_> = self.registry.lacks_tag_key().map(|m| m.profile.name.clone()).collect();
                key.sealed.retain(|to, _| lacking.contains(to) || to == name && name == BANKS[0]);
                let giver = if self.dice.one_in(2) { self.operator() } else { self.anybody().into() };
                (key.to_text().unwrap(), vec![self.key(&giver)], false)
            }
            "contribution" | "epoch" => {
                let number = self.dice.below(2 * self.leaves.len() + 2);
                let head = format!("interdict/{act}/v1\nalliance alliance.example\n");
                match act {
                    "epoch" => (format!("{head}number {number}\n"), vec![self.key(&self.operator())], false),
                    _ => (format!("{head}member {name}\nnumber {number}\n"), vec![own], false),
                }
            }
            other => panic!("{other}"),
        }
    }
    fn operator(&self) -> String {
        self.registry.member(self.registry.operator().member).unwrap().profile.name.clone()
    }
    /// The record, signed well or badly.
    fn note(&mut self, act: &str) -> Note {
        if self.dice.one_in(20) {
            let again = self.dice.below(self.leaves.len());
            return Note::parse(self.leaves[again].as_bytes()).unwrap();
        }
        let (text, mut keys, is_quorum) = self.record(act);
        if is_quorum {
            let sparse = self.dice.one_in(3);
            let active: Vec<_> = self.registry.active().map(|m| m.profile.name.clone()).collect();
            for name in active {
                if !(sparse && self.dice.one_in(3)) {
                    keys.push(self.key(&name));
                }
            }
        }
        match self.dice.below(12) {
            0 => drop(keys.pop()),
            1 => {
                let name = self.anybody();
                keys.push(self.key(name));
            }
            2 => {
                let name = self.anybody();
                keys.push(sign(name, self.keys.get(name).copied().unwrap_or(0).saturating_sub(1)));
            }
            _ => {}
        }
        let mut note = signed(text, &keys.iter().collect::<Vec<_>>());
        if self.dice.one_in(25) && !note.signatures().is_empty() {
            // A bit of a signature.
            let mut bytes = note.encode().into_bytes();
            let at = bytes.len() - 5;
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            note = Note::parse(&bytes).unwrap_or(note);
        }
        note
    }
    /// One act; whether both took it.
    fn step(&mut self, act: &str) -> bool {
        let note = self.note(act);
        let bytes = note.encode();
        let before = self.registry.clone();
        let applied = apply(&mut self.registry, &note);
        let taken = match note.signatures().is_empty() {
            true => false,
            false => self.oracle.take(&bytes),
        };
        assert_eq!(applied.is_ok(), taken, "{act}: {applied:?}\n{bytes}\n{}", self.oracle.show());
        match taken {
            false => assert_eq!(self.registry, before, "{act}"),
            true => {
                for (name, key) in self.registry.members().map(|m| (&m.profile.name, &m.profile.sign)) {
                    let n = self.keys.get(name).copied().unwrap_or(0);
                    if sign(name, n + 1).verifier() == key {
                        self.keys.insert(name.clone(), n + 1);
                    }
                }
                self.leaves.push(bytes);
                self.shown.push(show_members(&self.registry, self.registry.size()));
            }
        }
        assert_eq!(show(&self.registry), self.oracle.show(), "{act}");
        taken
    }
}

fn names(roles: Roles) -> BTreeSet<String> {
    roles.iter().map(|role| role.name().to_owned()).collect()
}
/// Members as they were when the log had so many leaves.
fn show_members(registry: &Registry, size: u64) -> String {
    let members = registry.members().filter_map(|member| registry.member_as_of(member.id, size));
    let lines = members.map(|member| {
        let profile = &member.profile;
        let tls: Vec<_> = profile.tls.iter().map(|hash| STANDARD.encode(hash)).collect();
        let state = match member.state {
            State::Active => "active",
            State::Suspended => "suspended",
            State::Left => "left",
        };
        format!(
            "{} {state} {:?} {} {} {} {} {tls:?}",
            profile.name,
            names(profile.roles),
            member.rotations,
            member.rulings,
            profile.sign,
            STANDARD.encode(profile.hpke),
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}
/// As the oracle shows itself.
fn show(registry: &Registry) -> String {
    let newest = registry.tag_key().map(|newest| &newest.key);
    let operator = registry.operator();
    let name = |id: &MemberId| registry.member(*id).unwrap().profile.name.clone();
    let trusted: BTreeSet<_> = registry.trusted_as_of(registry.size()).iter().map(name).collect();
    let mut lines = vec![format!(
        "rules {} operator {} {} {} tariffs {} tag {} {:?} open {} trust {:?}",
        registry.rules().version,
        registry.member(operator.member).unwrap().profile.name,
        registry.operators.len(),
        operator.logs.governance,
        registry.tariffs.len(),
        newest.map_or(0, |key| key.version),
        newest.map_or(BTreeSet::new(), |key| key.sealed.keys().cloned().collect::<BTreeSet<_>>()),
        registry.applications().count(),
        trusted,
    )];
    lines.push(show_members(registry, registry.size()));
    let latest: BTreeMap<_, _> = registry
        .latest
        .iter()
        .map(|((ty, member), latest)| {
            let name = member.map(|id| format!(" {}", registry.member(id).unwrap().profile.name));
            (format!("{ty}{}", name.unwrap_or_default()), latest.number)
        })
        .collect();
    lines.extend(latest.into_iter().map(|(what, number)| format!("{what} {number}")));
    lines.join("\n")
}

#[test]
fn random_acts_are_judged_as_the_oracle_judges_them() {
    let mut seen: BTreeMap<(&str, bool), usize> = BTreeMap::new();
    for seed in 0..60 {
        let mut run = Run::new(seed);
        for _ in 0..50 {
            let act = run.dice.of(&ACTS);
            // Else nobody is left soon.
            let act = if act == "leaving" && !run.dice.one_in(4) { "admission" } else { act };
            let taken = run.step(act);
            *seen.entry((act, taken)).or_default() += 1;
        }
        let leaves = run.leaves.iter().enumerate().map(|(at, leaf)| (at as u64, leaf.as_bytes()));
        assert_eq!(Registry::replay(leaves).unwrap(), run.registry, "seed {seed}");
        for (at, shown) in run.shown.iter().enumerate() {
            assert_eq!(show_members(&run.registry, at as u64 + 1), *shown, "seed {seed}, leaf {at}");
        }
    }
    // Every act was taken at times and refused at others: nothing of this holds for want of cases.
    for act in ACTS {
        for taken in [true, false] {
            assert!(seen.get(&(act, taken)).is_some_and(|n| *n >= 3), "{act} {taken}: {seen:?}");
        }
    }
}
