//! A slow second reading of `docs/formats/governance.md`: plain lists of lines, searched each time, its own parser, its
//! own reading of keys and signatures. It shares no code with the registry, only the texts that both are given.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

type Lines = Vec<(String, String)>;
type Names = BTreeSet<String>;

fn all<'a>(lines: &'a Lines, key: &'a str) -> impl Iterator<Item = &'a str> {
    lines.iter().filter(move |(k, _)| k == key).map(|(_, value)| value.as_str())
}
fn one<'a>(lines: &'a Lines, key: &'a str) -> &'a str {
    all(lines, key).next().unwrap_or("")
}
fn number(lines: &Lines, key: &str) -> u64 {
    one(lines, key).parse().unwrap_or(u64::MAX)
}
fn words(list: &str) -> Names {
    list.split(',').filter(|word| *word != "none").map(str::to_owned).collect()
}
fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text))
}
/// The key in `name+id+base64`, without the type.
fn public(vkey: &str) -> Vec<u8> {
    STANDARD.decode(vkey.splitn(3, '+').nth(2).unwrap()).unwrap()[1..].to_vec()
}

#[derive(Clone)]
struct Party {
    name: String,
    lines: Lines,
    roles: Names,
    state: &'static str,
    rotations: u64,
    rulings: u64,
}

impl Party {
    fn set(&mut self, key: &str, values: &[&str]) {
        let at = self.lines.iter().position(|(k, _)| k == key).unwrap();
        self.lines.retain(|(k, _)| k != key);
        for value in values.iter().rev() {
            self.lines.insert(at, (key.to_owned(), (*value).to_owned()));
        }
    }
    fn is_active(&self) -> bool {
        self.state == "active"
    }
}

#[derive(Clone)]
pub struct Oracle {
    genesis: String,
    parties: Vec<Party>,
    rules: Lines,
    version: u64,
    operator: String,
    operators: u64,
    governance: String,
    applications: Vec<(String, Lines)>,
    trusted: Names,
    trusts: u64,
    tariffs: u64,
    tag: (u64, String, String, Names),
    latest: BTreeMap<String, u64>,
    keys: BTreeSet<Vec<u8>>,
    certificates: BTreeMap<String, String>,
}

/// Text, lines after the first, signature lines.
fn split(note: &str) -> (&str, Lines, Vec<&str>) {
    let at = note.rfind("\n\n").unwrap();
    let (text, signatures) = (&note[..=at], &note[at + 2..]);
    let pairs = text.lines().skip(1).map(|line| line.split_once(' ').unwrap());
    let lines = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    (text, lines, signatures.lines().collect())
}

/// The keys that have signed; `None` for a signature by another than these.
fn signers(text: &str, signatures: &[&str], allowed: &[String]) -> Option<Names> {
    let mut signed = Names::new();
    for line in signatures {
        let (name, data) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let data = STANDARD.decode(data).ok()?;
        let id: String = data[..4].iter().map(|b| format!("{b:02x}")).collect();
        let vkey = allowed.iter().find(|vkey| vkey.starts_with(&format!("{name}+{id}+")))?;
        let key = VerifyingKey::from_bytes(public(vkey)[..].try_into().ok()?).ok()?;
        key.verify_strict(text.as_bytes(), &Signature::from_slice(&data[4..]).ok()?).ok()?;
        signed.insert(vkey.clone()).then_some(())?;
    }
    Some(signed)
}

impl Oracle {
    pub fn new(genesis: &str) -> Oracle {
        let (text, lines, _) = split(genesis);
        let mut oracle = Oracle {
            genesis: hash(text),
            parties: Vec::new(),
            rules: lines.clone(),
            version: 1,
            operator: one(&lines, "operator").into(),
            operators: 1,
            governance: one(&lines, "governance").into(),
            applications: Vec::new(),
            trusted: Names::new(),
            trusts: 0,
            tariffs: 0,
            tag: (0, String::new(), String::new(), Names::new()),
            latest: BTreeMap::new(),
            keys: BTreeSet::new(),
            certificates: BTreeMap::new(),
        };
        // The lines of a founder are those from one "member" to the next.
        let mut founders: Vec<Lines> = Vec::new();
        for (key, value) in &lines {
            if key == "member" {
                founders.push(Vec::new());
            }
            if let Some(founder) = founders.last_mut() {
                founder.push((key.clone(), value.clone()));
            }
        }
        founders.into_iter().for_each(|founder| oracle.enter(founder, None));
        oracle.trusted = oracle.active_with(&words("contributor"));
        oracle
    }
    fn enter(&mut self, lines: Lines, roles: Option<&str>) {
        let name = one(&lines, "member").to_owned();
        let roles = words(roles.unwrap_or(one(&lines, "roles")));
        self.parties.push(Party { name, lines, roles, state: "active", rotations: 0, rulings: 0 });
        self.remember();
    }
    fn remember(&mut self) {
        for party in &self.parties {
            self.keys.insert(public(one(&party.lines, "sign")));
            self.keys.insert(public(one(&party.lines, "witness")));
            for certificate in all(&party.lines, "tls") {
                self.certificates.insert(certificate.into(), party.name.clone());
            }
        }
    }
    /// Takes a note, or refuses it and stays as it was.
    pub fn take(&mut self, note: &str) -> bool {
        let before = self.clone();
        let taken = self.step(note).is_some();
        if !taken {
            *self = before;
        }
        taken
    }
    fn party(&mut self, name: &str) -> Option<&mut Party> {
        self.parties.iter_mut().find(|party| party.name == name)
    }
    fn key_of(&self, name: &str) -> String {
        let party = self.parties.iter().find(|party| party.name == name).unwrap();
        one(&party.lines, "sign").to_owned()
    }
    fn active_with(&self, roles: &Names) -> Names {
        let fits = |party: &&Party| party.is_active() && !party.roles.is_disjoint(roles);
        self.parties.iter().filter(fits).map(|party| party.name.clone()).collect()
    }
    fn active_keys(&self) -> Vec<String> {
        self.parties.iter().filter(|p| p.is_active()).map(|p| one(&p.lines, "sign").to_owned()).collect()
    }
    /// Who has signed is exactly this.
    fn only(&self, note: &str, keys: &[String]) -> Option<()> {
        let (text, _, signatures) = split(note);
        (signers(text, &signatures, keys)?.len() == keys.len()).then_some(())
    }
    /// These have signed, and enough who vote.
    fn quorum(&self, note: &str, act: &str, about: &str, each: &[String]) -> Option<()> {
        let (text, _, signatures) = split(note);
        let allowed = [each, &self.active_keys()].concat();
        let signed = signers(text, &signatures, &allowed)?;
        each.iter().all(|key| signed.contains(key)).then_some(())?;
        let mut voters = self.active_with(&words(one(&self.rules, "voters")));
        voters.remove(about);
        let votes = voters.iter().filter(|name| signed.contains(&self.key_of(name))).count();
        let rule = all(&self.rules, "quorum").find(|rule| rule.split(' ').next() == Some(act)).unwrap();
        let parts: Vec<usize> = rule.split([' ', '/']).skip(1).map(|part| part.parse().unwrap()).collect();
        let enough = votes * parts[1] >= voters.len() * parts[0] && votes >= parts[2] && votes > 0;
        enough.then_some(())
    }
    fn operator_key(&self) -> Option<String> {
        let party = self.parties.iter().find(|party| party.name == self.operator)?;
        (party.is_active() && party.roles.contains("operator")).then(|| self.key_of(&self.operator))
    }
    fn is_new(&self, lines: &Lines) -> bool {
        let is_new = |key: &str| !self.keys.contains(&public(one(lines, key)));
        let fresh = all(lines, "tls").all(|hash| !self.certificates.contains_key(hash));
        let name = one(lines, "member");
        is_new("sign") && is_new("witness") && fresh && self.parties.iter().all(|party| party.name != name)
    }

    fn step(&mut self, note: &str) -> Option<()> {
        let (text, lines, _) = split(note);
        let ty = text.strip_prefix("interdict/")?.split_once("/v1\n")?.0;
        if matches!(ty, "contribution" | "epoch" | "tariff") {
            (one(&lines, "alliance") == "alliance.example").then_some(())?;
        } else {
            (one(&lines, "genesis") == self.genesis).then_some(())?;
        }
        match ty {
            "application" => self.application(note, text, lines),
            "admission" => self.admission(note, &lines),
            "rotation" => self.rotation(note, &lines),
            "suspension" | "reinstatement" | "leaving" => self.ruling(note, ty, &lines),
            "operator" => self.operator(note, &lines),
            "rules" => self.rules(note, lines),
            "tariff" => {
                (number(&lines, "version") == self.tariffs + 1).then_some(())?;
                self.quorum(note, "tariff", "", &[self.operator_key()?])?;
                self.tariffs += 1;
                Some(())
            }
            "trust" => {
                let names: Names = all(&lines, "trusts").map(str::to_owned).collect();
                let known = |name: &String| self.parties.iter().any(|party| party.name == *name);
                (number(&lines, "serial") == self.trusts + 1 && names.iter().all(known)).then_some(())?;
                self.quorum(note, "rules", "", &[])?;
                (self.trusts, self.trusted) = (self.trusts + 1, names);
                Some(())
            }
            "tag-key" => self.tag_key(note, &lines),
            "contribution" => {
                let name = one(&lines, "member").to_owned();
                let party = self.party(&name)?;
                (party.is_active() && party.roles.contains("contributor")).then_some(())?;
                self.only(note, &[self.key_of(&name)])?;
                self.numbered(&format!("contribution {name}"), &lines)
            }
            "epoch" => {
                let key = self.operator_key()?;
                let allowed = self.active_keys();
                let (_, _, signatures) = split(note);
                signers(text, &signatures, &allowed)?.contains(&key).then_some(())?;
                self.numbered("epoch", &lines)
            }
            _ => None,
        }
    }
    fn numbered(&mut self, what: &str, lines: &Lines) -> Option<()> {
        let next = number(lines, "number");
        self.latest.get(what).is_none_or(|last| next > *last).then_some(())?;
        self.latest.insert(what.into(), next);
        Some(())
    }
    fn application(&mut self, note: &str, text: &str, lines: Lines) -> Option<()> {
        self.is_new(&lines).then_some(())?;
        let hash = hash(text);
        self.applications.iter().all(|(open, _)| *open != hash).then_some(())?;
        self.only(note, &[one(&lines, "sign").to_owned()])?;
        self.applications.push((hash, lines));
        Some(())
    }
    fn admission(&mut self, note: &str, lines: &Lines) -> Option<()> {
        let hash = one(lines, "application");
        let (_, of) = self.applications.iter().find(|(open, _)| open == hash)?.clone();
        (one(&of, "member") == one(lines, "member") && self.is_new(&of)).then_some(())?;
        let roles = words(one(lines, "roles"));
        roles.is_subset(&words(one(&of, "roles"))).then_some(())?;
        let admits: Vec<_> = all(&self.rules, "admits").collect();
        (admits.is_empty() || admits.contains(&one(&of, "jurisdiction"))).then_some(())?;
        for rule in all(&self.rules, "requires") {
            let (role, kind) = rule.split_once(' ').unwrap();
            let shown = all(&of, "evidence").any(|e| e.split(' ').next() == Some(kind));
            (!roles.contains(role) || shown).then_some(())?;
        }
        let (min, may) = one(&self.rules, "sponsors").split_once(' ').unwrap();
        let may = self.active_with(&words(may));
        let sponsors: Vec<_> = all(lines, "sponsor").collect();
        (sponsors.len() >= min.parse().unwrap()).then_some(())?;
        sponsors.iter().all(|name| may.contains(*name)).then_some(())?;
        let keys: Vec<_> = sponsors.iter().map(|name| self.key_of(name)).collect();
        self.quorum(note, "admit", "", &keys)?;
        let name = one(lines, "member");
        self.applications.retain(|(_, other)| one(other, "member") != name);
        self.enter(of, Some(one(lines, "roles")));
        Some(())
    }
    fn rotation(&mut self, note: &str, lines: &Lines) -> Option<()> {
        let name = one(lines, "member").to_owned();
        let old = self.party(&name)?.clone();
        let new: Vec<_> = all(lines, "sign").map(str::to_owned).collect();
        let fresh = |key| all(lines, key).all(|key| !self.keys.contains(&public(key)));
        (fresh("sign") && fresh("witness")).then_some(())?;
        let own = |tls: &str| self.certificates.get(tls).is_none_or(|owner| *owner == name);
        all(lines, "tls").all(own).then_some(())?;
        if one(lines, "by") == "own" {
            (old.is_active() && number(lines, "serial") == old.rotations + 1).then_some(())?;
            self.only(note, &[&[self.key_of(&name)], &new[..]].concat())?;
            self.party(&name)?.rotations += 1;
        } else {
            (number(lines, "serial") == old.rulings + 1).then_some(())?;
            self.quorum(note, "rotate", &name, &new)?;
            self.party(&name)?.rulings += 1;
        }
        if all(lines, "hpke").any(|key| key != one(&old.lines, "hpke")) {
            self.tag.3.remove(&name);
        }
        for key in ["sign", "witness", "hpke", "tls"] {
            let values: Vec<_> = all(lines, key).collect();
            if !values.is_empty() {
                self.party(&name)?.set(key, &values);
            }
        }
        self.remember();
        Some(())
    }
    fn ruling(&mut self, note: &str, ty: &str, lines: &Lines) -> Option<()> {
        let name = one(lines, "member").to_owned();
        let (old, serial) = (self.party(&name)?.clone(), number(lines, "serial"));
        let key = self.key_of(&name);
        match (ty, old.state) {
            ("leaving", "active" | "suspended") if serial == old.rotations + 1 => {
                self.only(note, &[key])?;
                self.party(&name)?.rotations += 1;
                self.party(&name)?.state = "left";
                return Some(());
            }
            ("suspension", "active") => self.quorum(note, "suspend", &name, &[])?,
            ("reinstatement", "suspended") => self.quorum(note, "reinstate", &name, &[])?,
            ("reinstatement", "left") => self.quorum(note, "reinstate", &name, &[key])?,
            _ => return None,
        }
        (serial == old.rulings + 1).then_some(())?;
        self.party(&name)?.rulings += 1;
        self.party(&name)?.state = if ty == "suspension" { "suspended" } else { "active" };
        Some(())
    }
    fn operator(&mut self, note: &str, lines: &Lines) -> Option<()> {
        let name = one(lines, "operator").to_owned();
        self.party(&name)?.is_active().then_some(())?;
        (number(lines, "serial") == self.operators + 1).then_some(())?;
        self.quorum(note, "operator", "", &[self.key_of(&name)])?;
        let old = std::mem::replace(&mut self.operator, name.clone());
        self.party(&old)?.roles.remove("operator");
        self.party(&name)?.roles.insert("operator".into());
        self.operators += 1;
        self.governance = one(lines, "governance").into();
        Some(())
    }
    fn rules(&mut self, note: &str, lines: Lines) -> Option<()> {
        (number(&lines, "version") == self.version + 1).then_some(())?;
        let voters = self.active_with(&words(one(&lines, "voters"))).len();
        let least = |rule: &str| rule.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
        all(&lines, "quorum").all(|rule| least(rule) <= voters).then_some(())?;
        self.quorum(note, "rules", "", &[])?;
        self.version += 1;
        self.rules = lines;
        Some(())
    }
    fn tag_key(&mut self, note: &str, lines: &Lines) -> Option<()> {
        let holders = self.active_with(&words("contributor,consumer"));
        let to: Names = all(lines, "sealed").map(|line| line.split(' ').next().unwrap().to_owned()).collect();
        let said = (one(lines, "commitment").to_owned(), one(lines, "voprf").to_owned());
        if number(lines, "version") == self.tag.0 {
            (said == (self.tag.1.clone(), self.tag.2.clone()) && !to.is_empty()).then_some(())?;
            to.iter().all(|name| holders.contains(name) && !self.tag.3.contains(name)).then_some(())?;
            let (text, _, signatures) = split(note);
            let signed = signers(text, &signatures, &self.active_keys())?;
            let has = holders.intersection(&self.tag.3).any(|name| signed.contains(&self.key_of(name)));
            (has || self.operator_key().is_some_and(|key| signed.contains(&key))).then_some(())?;
            self.tag.3.extend(to);
            return Some(());
        }
        (number(lines, "version") == self.tag.0 + 1 && to == holders).then_some(())?;
        self.quorum(note, "tag-key", "", &[self.operator_key()?])?;
        self.tag = (self.tag.0 + 1, said.0, said.1, to);
        Some(())
    }

    /// Everything, as lines to compare.
    pub fn show(&self) -> String {
        let mut lines = vec![format!(
            "rules {} operator {} {} {} tariffs {} tag {} {:?} open {} trust {:?}",
            self.version,
            self.operator,
            self.operators,
            self.governance,
            self.tariffs,
            self.tag.0,
            self.tag.3,
            self.applications.len(),
            self.trusted
        )];
        for party in &self.parties {
            let tls: Vec<_> = all(&party.lines, "tls").collect();
            lines.push(format!(
                "{} {} {:?} {} {} {} {} {:?}",
                party.name,
                party.state,
                party.roles,
                party.rotations,
                party.rulings,
                one(&party.lines, "sign"),
                one(&party.lines, "hpke"),
                tls
            ));
        }
        lines.extend(self.latest.iter().map(|(what, number)| format!("{what} {number}")));
        lines.join("\n")
    }
}
