//! Signals from MISP events (the MISP core format, JSON; object templates of github.com/MISP/misp-objects): cards, accounts,
//! addresses, senders, phones and persons. What is not of these is passed over and counted; who is named as a victim or a
//! witness is no signal; verification values of cards are never read.

use super::draft::{Canonical, Defaults, Draft, Given, Imported, time_ms};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::fixed::sha256;
use crate::kind::Kind;
use crate::limits::{IMPORT_BYTES_MAX, TIME_MS_MAX};
use crate::signal::Op;
use serde_json::Value;
use zeroize::Zeroizing;

/// Which attributes of which objects are identifiers: object, relation, kind. An e-mail's recipients are its victims.
const RELATIONS: [(&str, &str, Kind); 16] = [
    ("credit-card", "cc-number", Kind::Card),
    ("bank-account", "iban", Kind::Account),
    ("bank-account", "account", Kind::Account),
    ("ip-port", "ip", Kind::Ip),
    ("ip-port", "ip-src", Kind::Ip),
    ("ip-port", "ip-dst", Kind::Ip),
    ("domain-ip", "ip", Kind::Ip),
    ("domain|ip", "ip", Kind::Ip),
    ("email", "from", Kind::Email),
    ("email", "reply-to", Kind::Email),
    ("phone", "msisdn", Kind::Phone),
    ("phone", "imei", Kind::Device),
    ("person", "alias", Kind::Name),
    ("person", "full-name", Kind::Name),
    ("person", "phone-number", Kind::Phone),
    ("person", "e-mail", Kind::Email),
];
/// Attributes that stand alone in an event, by their type.
const TYPES: [(&str, Kind); 10] = [
    ("cc-number", Kind::Card),
    ("iban", Kind::Account),
    ("bank-account-nr", Kind::Account),
    ("ip-src", Kind::Ip),
    ("ip-dst", Kind::Ip),
    ("ip-src|port", Kind::Ip),
    ("ip-dst|port", Kind::Ip),
    ("email-src", Kind::Email),
    ("email-reply-to", Kind::Email),
    ("phone-number", Kind::Phone),
];
/// Roles of a person that make it a signal (the template's spelling); without a role it is one too.
const ROLES: [&str; 5] = ["Suspect", "Accused", "Culprit", "Accomplice", "Defendent"];

/// Reads an event, a list of events or an answer of MISP's `restSearch`. Every signal is an addition of `defaults.reason`,
/// with the file's hash as evidence. Errors stand at objects and attributes as rows, from 0 in the file's order.
///
/// # Errors
/// Only for a file that cannot be read as one: `TooLarge`; `Malformed` for what is not JSON, at the line, or no event.
pub fn read(file: &[u8], defaults: &Defaults<'_>, canonical: Canonical<'_>) -> Result<Imported> {
    if file.len() > IMPORT_BYTES_MAX {
        let message = format!("a file of {} bytes, limit {IMPORT_BYTES_MAX}", file.len());
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    // serde's message may quote what it found.
    let json: Value = serde_json::from_slice(file)
        .map_err(|e| Error::new(ErrorKind::Malformed, "not JSON").at(Place::Line(e.line())))?;
    let events = events(&json)
        .ok_or_else(|| Error::new(ErrorKind::Malformed, "expected a MISP event, or a list of events"))?;
    let evidence = sha256(file);
    let mut import = Import { defaults, canonical, evidence, imported: Imported::default(), row: 0 };
    events.into_iter().for_each(|event| import.event(event));
    Ok(import.imported.finish())
}

/// The events of the forms that MISP and its tools write.
fn events(json: &Value) -> Option<Vec<&Value>> {
    let list = json.get("response").unwrap_or(json);
    let all: Vec<&Value> = match list {
        Value::Array(events) => events.iter().map(|event| event.get("Event").unwrap_or(event)).collect(),
        event => vec![event.get("Event").unwrap_or(event)],
    };
    let is_event = |event: &Value| ["Object", "Attribute", "info"].iter().any(|key| event.get(key).is_some());
    all.iter().all(|event| is_event(event)).then_some(all)
}

struct Import<'a, 'c> {
    defaults: &'a Defaults<'a>,
    canonical: Canonical<'c>,
    evidence: [u8; 32],
    imported: Imported,
    row: u64,
}

impl Import<'_, '_> {
    fn event(&mut self, event: &Value) {
        for attribute in list(event, "Attribute") {
            let found = TYPES.iter().find(|(ty, _)| Some(*ty) == text(attribute, "type"));
            match found {
                Some((ty, kind)) if is_used(attribute, *kind) => {
                    let value = text(attribute, "value").unwrap_or_default();
                    let value =
                        if ty.contains('|') { value.split('|').next().unwrap_or_default() } else { value };
                    self.signal(*kind, value, None, &[attribute, event]);
                }
                _ => self.imported.passed_over += 1,
            }
            self.row += 1;
        }
        for object in list(event, "Object") {
            match is_deleted(object) || !is_suspect(object) {
                true => self.imported.passed_over += 1,
                false => self.object(object, event),
            }
            self.row += 1;
        }
    }

    fn object(&mut self, object: &Value, event: &Value) {
        let name = text(object, "name").unwrap_or_default();
        let bank = ["swift", "institution-code", "aba-rtn"].iter().find_map(|r| relation(object, r));
        let has_iban = name == "bank-account" && relation(object, "iban").is_some();
        let mut found = false;
        for attribute in list(object, "Attribute") {
            let of = text(attribute, "object_relation").unwrap_or_default();
            let known = RELATIONS.iter().find(|(object, relation, _)| (*object, *relation) == (name, of));
            let Some((_, _, kind)) = known else { continue };
            // The account beside an IBAN is the same one.
            if !is_used(attribute, *kind) || (has_iban && of == "account") {
                continue;
            }
            found = true;
            let value = text(attribute, "value").unwrap_or_default();
            self.signal(*kind, value, bank.filter(|_| of == "account"), &[attribute, object, event]);
        }
        if name == "person" && relation(object, "full-name").is_none() {
            let parts = ["first-name", "middle-name", "last-name"];
            let parts: Vec<_> = parts.iter().filter_map(|part| relation(object, part)).collect();
            if parts.len() > 1 {
                found = true;
                let name = Zeroizing::new(parts.join(" "));
                self.signal(Kind::Name, &name, None, &[object, event]);
            }
        }
        self.imported.passed_over += u64::from(!found);
    }

    /// One identifier; `from` is what it stands in, innermost first.
    fn signal(&mut self, kind: Kind, text: &str, bank: Option<&str>, from: &[&Value]) {
        let Some(policy) = self.defaults.policies.get(kind) else {
            self.imported.passed_over += 1;
            return;
        };
        let place = Place::Row(self.row);
        let canonical = match (self.canonical)(Given { kind, text, bank }) {
            Ok(canonical) => Zeroizing::new(canonical),
            Err(error) => return self.imported.fail(place, error),
        };
        let (first_seen_ms, last_seen_ms) = seen_ms(from, self.defaults.now_ms);
        let reason = self.defaults.reason;
        let draft = Draft {
            place,
            kind,
            canonical,
            op: Op::Add,
            reason: Some(reason),
            severity: reason.severity(),
            first_seen_ms,
            last_seen_ms,
            expires_ms: (last_seen_ms + policy.lifetime_ms).min(TIME_MS_MAX),
            evidence: self.evidence,
        };
        // What several objects have is one signal, seen from the first time to the last.
        if let Err((before, draft)) = self.imported.take(draft) {
            let before = &mut self.imported.drafts[before];
            before.first_seen_ms = before.first_seen_ms.min(draft.first_seen_ms);
            before.last_seen_ms = before.last_seen_ms.max(draft.last_seen_ms);
            before.expires_ms = before.expires_ms.max(draft.expires_ms);
        }
    }
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}
/// The value of an object's first attribute of a relation.
fn relation<'v>(object: &'v Value, relation: &str) -> Option<&'v str> {
    let is_it =
        |attribute: &&Value| text(attribute, "object_relation") == Some(relation) && !is_deleted(attribute);
    text(list(object, "Attribute").iter().find(is_it)?, "value").filter(|value| !value.is_empty())
}
fn is_deleted(value: &Value) -> bool {
    value
        .get("deleted")
        .is_some_and(|deleted| deleted == &Value::Bool(true) || deleted == "1" || deleted == 1)
}
/// Whether an attribute may be a signal: MISP sets `to_ids` for addresses and senders that are to be acted upon; for cards,
/// accounts, phones and names its default says nothing.
fn is_used(attribute: &Value, kind: Kind) -> bool {
    let is_network = matches!(kind, Kind::Ip | Kind::Email);
    let is_context = attribute.get("to_ids").is_some_and(|flag| flag == &Value::Bool(false));
    !(is_deleted(attribute) || is_network && is_context)
}
fn is_suspect(object: &Value) -> bool {
    if text(object, "name") != Some("person") {
        return true;
    }
    let is_role = |attribute: &&Value| text(attribute, "object_relation") == Some("role");
    let mut roles = list(object, "Attribute").iter().filter(is_role).filter_map(|role| text(role, "value"));
    roles.all(|role| ROLES.contains(&role))
}

/// When it was seen first and last: as said of it (MISP's own fields, or the template's relations), else when it was written
/// down, else now. Never after now.
fn seen_ms(from: &[&Value], now_ms: u64) -> (u64, u64) {
    let said = |field: &str, of: &str| {
        from.iter().find_map(|value| time_ms(text(value, field).or_else(|| relation(value, of))?))
    };
    let written = || from.iter().find_map(|value| seconds(value.get("timestamp")?));
    let dated = || from.iter().find_map(|value| time_ms(text(value, "date")?));
    let (first, last) = (said("first_seen", "first-seen"), said("last_seen", "last-seen"));
    let last_ms = last.or(first).or_else(written).or_else(dated).unwrap_or(now_ms).min(now_ms);
    (first.unwrap_or(last_ms).min(last_ms), last_ms)
}
fn seconds(value: &Value) -> Option<u64> {
    let seconds = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    seconds.checked_mul(1000).filter(|ms| (1..=TIME_MS_MAX).contains(ms))
}
