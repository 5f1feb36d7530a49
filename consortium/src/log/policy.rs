//! Whose word counts (C2SP tlog-policy): a file of log keys, witness keys, groups of them with a threshold, and the
//! quorum. A checkpoint is good when a listed log has signed it and the quorum's witnesses have cosigned it.

use super::checkpoint::Checkpoint;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::keys::{KeyType, VerifierKey};
use crate::limits::{POLICY_BYTES_MAX, POLICY_LINES_MAX};
use crate::note::Note;
use std::collections::{HashMap, HashSet};

/// A policy as read.
#[derive(Debug, Clone)]
pub struct Policy {
    logs: Vec<VerifierKey>,
    witnesses: Vec<VerifierKey>,
    /// In the order of their lines, so that each refers to earlier ones only.
    groups: Vec<Group>,
    quorum: Option<Member>,
}

/// A witness or a group, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Member {
    Witness(usize),
    Group(usize),
}

#[derive(Debug, Clone)]
struct Group {
    /// How many of the members must have cosigned.
    threshold: usize,
    members: Vec<Member>,
}

/// What a policy found in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The key of the log that signed it.
    pub log: VerifierKey,
    /// The witnesses that cosigned it, in the order of their signatures, and when, in seconds since the Unix epoch.
    pub witnesses: Vec<(VerifierKey, u64)>,
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// `Malformed` or `Invalid` with the line; `TooLarge` past `POLICY_BYTES_MAX` or `POLICY_LINES_MAX`.
    pub fn parse(bytes: &[u8]) -> Result<Policy> {
        if bytes.len() > POLICY_BYTES_MAX {
            let message = format!("a policy of {} bytes, limit {POLICY_BYTES_MAX}", bytes.len());
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let mut reading = Reading::default();
        let lines = bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|byte| *byte == b'\n');
        for (number, line) in lines.enumerate() {
            reading.line(line).map_err(|e| e.at(Place::Line(number + 1)))?;
        }
        let none = || Error::new(ErrorKind::Invalid, "a policy without a quorum line");
        let quorum = reading.quorum.ok_or_else(none)?;
        Ok(Policy { quorum, ..reading.policy })
    }
    /// The text of a policy for one log: `threshold` of these witnesses, or none.
    ///
    /// # Errors
    /// `Invalid` for a threshold that cannot be met, or keys of a wrong kind.
    pub fn text_of(logs: &[VerifierKey], witnesses: &[VerifierKey], threshold: usize) -> Result<String> {
        let mut text = String::new();
        logs.iter().for_each(|key| text += &format!("log {key}\n"));
        witnesses.iter().for_each(|key| text += &format!("witness {} {key}\n", key.name()));
        text += &match threshold {
            0 => "quorum none\n".to_owned(),
            _ => {
                let names: Vec<&str> = witnesses.iter().map(VerifierKey::name).collect();
                format!("group witnesses {threshold} {}\nquorum witnesses\n", names.join(" "))
            }
        };
        Policy::parse(text.as_bytes()).map(|_| text)
    }
    /// The logs' keys.
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }
    /// The witnesses' keys.
    pub fn witnesses(&self) -> &[VerifierKey] {
        &self.witnesses
    }
    /// Checks a checkpoint: a listed log's signature, and cosignatures that make the quorum. Signatures by others are
    /// passed over; one by a listed key that does not verify is an error.
    ///
    /// # Errors
    /// `Quorum` without the log's signature or with too few cosignatures; as [`Checkpoint::verify`].
    pub fn verify(&self, note: &Note) -> Result<Verdict> {
        let checkpoint = Checkpoint::parse(note.text())?;
        let logs: Vec<VerifierKey> =
            self.logs.iter().filter(|key| key.name() == checkpoint.origin).cloned().collect();
        if logs.is_empty() {
            let message = format!("{:?} is no log of this policy", checkpoint.origin);
            return Err(Error::new(ErrorKind::UnknownKey, message));
        }
        let by_log = note.verify_known(&logs)?;
        let log = by_log[0].key.clone();
        let mut witnesses = Vec::new();
        let is_witness =
            |name: &str, id| self.witnesses.iter().any(|key| key.name() == name && key.id() == id);
        if note.signatures().iter().any(|s| is_witness(&s.name, s.key_id)) {
            for signed in note.verify_known(&self.witnesses)? {
                let time_s = signed.time_s.expect("a witness's key is one of cosignatures");
                witnesses.push((signed.key.clone(), time_s));
            }
        }
        let has = |key: &VerifierKey| witnesses.iter().any(|(other, _)| other == key);
        if !self.is_met(has) {
            let message = format!(
                "{} of {} known witnesses have cosigned: the policy's quorum asks for others or more",
                witnesses.len(),
                self.witnesses.len()
            );
            return Err(Error::new(ErrorKind::Quorum, message));
        }
        Ok(Verdict { checkpoint, log, witnesses })
    }
    fn is_met(&self, has: impl Fn(&VerifierKey) -> bool) -> bool {
        let Some(quorum) = self.quorum else { return true };
        let mut met: Vec<bool> = Vec::with_capacity(self.groups.len());
        let holds = |member: &Member, met: &[bool]| match member {
            Member::Witness(at) => has(&self.witnesses[*at]),
            Member::Group(at) => met[*at],
        };
        for group in &self.groups {
            let count = group.members.iter().filter(|member| holds(member, &met)).count();
            met.push(count >= group.threshold);
        }
        holds(&quorum, &met)
    }
}

/// A policy half read. Names are bytes: the file's encoding has no say in what is equal.
#[derive(Default)]
struct Reading {
    policy: Policy,
    quorum: Option<Option<Member>>,
    names: HashMap<Vec<u8>, Member>,
    grouped: HashSet<Member>,
}

impl Default for Policy {
    /// One that accepts nothing: it lists no log.
    fn default() -> Self {
        Policy { logs: Vec::new(), witnesses: Vec::new(), groups: Vec::new(), quorum: None }
    }
}

fn malformed(message: &str) -> Error {
    Error::new(ErrorKind::Malformed, message)
}

impl Reading {
    fn line(&mut self, line: &[u8]) -> Result<()> {
        if line.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
            return Err(malformed("no control characters but tabs"));
        }
        let mut words = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        let Some(first) = words.next().filter(|word| word[0] != b'#') else { return Ok(()) };
        let words: Vec<&[u8]> = words.collect();
        match (first, &words[..]) {
            (b"log", [key] | [key, _]) => self.log(key),
            (b"witness", [name, key] | [name, key, _]) => self.witness(name, key),
            (b"group", [name, threshold, members @ ..]) => self.group(name, threshold, members),
            (b"quorum", [name]) => self.quorum(name),
            _ => Err(malformed(
                "expected \"log KEY [URL]\", \"witness NAME KEY [URL]\", \"group NAME K|any|all NAME…\" or \"quorum NAME\"",
            )),
        }
    }
    fn log(&mut self, key: &[u8]) -> Result<()> {
        add_key(&mut self.policy.logs, key, KeyType::Ed25519)
    }
    fn witness(&mut self, name: &[u8], key: &[u8]) -> Result<()> {
        add_key(&mut self.policy.witnesses, key, KeyType::Cosignature)?;
        self.define(name, Member::Witness(self.policy.witnesses.len() - 1))
    }
    fn define(&mut self, name: &[u8], member: Member) -> Result<()> {
        if name == b"none" || self.names.insert(name.to_vec(), member).is_some() {
            return Err(Error::new(ErrorKind::Invalid, "the name is taken"));
        }
        Ok(())
    }
    fn named(&self, name: &[u8]) -> Result<Member> {
        self.names.get(name).copied().ok_or_else(|| {
            let name = String::from_utf8_lossy(name).into_owned();
            Error::new(ErrorKind::Invalid, format!("{name:?} is not defined on a line before"))
        })
    }
    fn group(&mut self, name: &[u8], threshold: &[u8], names: &[&[u8]]) -> Result<()> {
        if self.policy.groups.len() == POLICY_LINES_MAX {
            return Err(Error::new(ErrorKind::TooLarge, format!("more than {POLICY_LINES_MAX} groups")));
        }
        let mut members = Vec::with_capacity(names.len());
        for name in names {
            let member = self.named(name)?;
            if !self.grouped.insert(member) {
                return Err(Error::new(ErrorKind::Invalid, "a name is a member of one group at most, once"));
            }
            members.push(member);
        }
        let threshold = match threshold {
            b"any" => 1,
            b"all" => members.len(),
            number => std::str::from_utf8(number)
                .ok()
                .and_then(|text| text.parse().ok().filter(|n: &usize| n.to_string() == text))
                .ok_or_else(|| malformed("expected \"any\", \"all\" or a number of members"))?,
        };
        if threshold == 0 || threshold > members.len() {
            let message = format!("{threshold} of {} members can never be met, or always is", members.len());
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        self.policy.groups.push(Group { threshold, members });
        self.define(name, Member::Group(self.policy.groups.len() - 1))
    }
    fn quorum(&mut self, name: &[u8]) -> Result<()> {
        if self.quorum.is_some() {
            return Err(Error::new(ErrorKind::Invalid, "a second quorum line"));
        }
        self.quorum = Some(if name == b"none" { None } else { Some(self.named(name)?) });
        Ok(())
    }
}

fn add_key(keys: &mut Vec<VerifierKey>, text: &[u8], ty: KeyType) -> Result<()> {
    if keys.len() == POLICY_LINES_MAX {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("more than {POLICY_LINES_MAX} keys of one kind"),
        ));
    }
    let text = std::str::from_utf8(text).map_err(|_| malformed("a verifier key is UTF-8"))?;
    let key = VerifierKey::parse(text)?;
    if key.key_type() != ty {
        let message = format!(
            "a log's key is of type 0x01, a witness's of 0x04: this is {:#04x}",
            key.key_type() as u8
        );
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    if keys.iter().any(|other| other.public() == key.public()) {
        return Err(Error::new(ErrorKind::Invalid, "a public key that is listed already"));
    }
    keys.push(key);
    Ok(())
}

#[cfg(test)]
mod tests;
