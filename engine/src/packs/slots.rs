//! Slot values as examples and tests write them: a map of slot paths (dotted, or nested) to values, typed when the
//! schema is known.

use super::yaml::{Node, Reader, Yaml};
use crate::domain::{Schema, SlotId, SlotView, Value, ValueType};
use crate::error::{Error, ErrorKind, Place, nearest};
use crate::rules::parse_time;
use std::net::IpAddr;

/// A value as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    Missing,
    Bool(bool),
    Int(i64),
    Text(String),
}

/// A row of slot values as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotValues {
    /// Where it stands.
    pub place: Place,
    values: Vec<(String, Written, Place)>,
}

impl SlotValues {
    /// Reads a map of slot paths to values.
    pub(super) fn read(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<SlotValues> {
        let mut values = Vec::new();
        collect(reader, node, what, "", &mut values)?;
        Some(SlotValues { place: reader.place(node), values })
    }

    /// The row under a schema. What is not written is missing, but `kind` (`request`), `tenant` (`default`) and the
    /// lists, patterns (`false`) and names (0), which say something of every payment.
    ///
    /// # Errors
    /// `Invalid` for unknown paths, with the nearest one, and for values of another type.
    pub fn row(&self, schema: &Schema) -> Result<Row, Vec<Error>> {
        let mut row = Row { values: vec![None; schema.len()] };
        for (slot, def) in schema.slots() {
            row.values[usize::from(slot.0)] = match def.path.as_str() {
                "kind" => Some(Owned::Text("request".into())),
                "tenant" => Some(Owned::Text("default".into())),
                path if path.starts_with("lists.") || path.starts_with("patterns.") => {
                    Some(Owned::Bool(false))
                }
                path if path.starts_with("names.") => Some(Owned::Int(0)),
                _ => None,
            };
        }
        let mut errors = Vec::new();
        for (path, written, place) in &self.values {
            match schema.find(path) {
                Some(slot) => match typed(written, schema.def(slot).ty) {
                    Ok(value) => row.values[usize::from(slot.0)] = value,
                    Err(expected) => {
                        let message = format!("{path}: expected {expected}");
                        errors.push(Error::new(ErrorKind::Invalid, message).at(place.clone()));
                    }
                },
                None => {
                    let near = nearest(path, schema.slots().map(|(_, def)| def.path.as_str()));
                    let near = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
                    let message = format!("unknown slot {path:?}{near}");
                    errors.push(Error::new(ErrorKind::Invalid, message).at(place.clone()));
                }
            }
        }
        if errors.is_empty() { Ok(row) } else { Err(errors) }
    }
}

fn collect(
    reader: &mut Reader<'_>,
    node: &Node,
    what: &str,
    prefix: &str,
    values: &mut Vec<(String, Written, Place)>,
) -> Option<()> {
    for (key, node) in reader.entries(node, what)? {
        let path = if prefix.is_empty() { key.value.clone() } else { format!("{prefix}.{}", key.value) };
        let written = match &node.value {
            Yaml::Map(_) => {
                collect(reader, node, what, &path, values)?;
                continue;
            }
            Yaml::Null => Written::Missing,
            Yaml::Bool(value) => Written::Bool(*value),
            Yaml::Int(value) => Written::Int(*value),
            Yaml::Text(text) => Written::Text(text.clone()),
            Yaml::Float => {
                let message = format!("{path}: decimals are not values of slots; amounts are in minor units");
                return reader.refuse_node(node, message);
            }
            Yaml::List(_) => {
                return reader.refuse_node(node, format!("{path}: a slot has one value, not a list"));
            }
        };
        let place = reader.key_place(key);
        if values.iter().any(|(known, ..)| *known == path) {
            return reader.refuse(place, format!("{path} is given twice"));
        }
        values.push((path, written, place));
    }
    Some(())
}

fn typed(written: &Written, ty: ValueType) -> Result<Option<Owned>, &'static str> {
    Ok(Some(match (ty, written) {
        (_, Written::Missing) => return Ok(None),
        (ValueType::Int, Written::Int(value)) => Owned::Int(*value),
        (ValueType::Bool, Written::Bool(value)) => Owned::Bool(*value),
        (ValueType::Text, Written::Text(text)) => Owned::Text(text.clone()),
        (ValueType::Time, Written::Text(text)) => {
            Owned::Time(parse_time(text).ok_or("a time as RFC 3339, as in 2026-01-31T12:00:00Z")?)
        }
        (ValueType::Ip, Written::Text(text)) => Owned::Ip(text.parse().map_err(|_| "an IP address")?),
        (ValueType::Tag, Written::Bool(true)) => Owned::Present,
        (ValueType::Int, _) => return Err("an integer"),
        (ValueType::Bool, _) => return Err("true or false"),
        (ValueType::Text, _) => return Err("a string (quote it)"),
        (ValueType::Time, _) => return Err("a time as RFC 3339, as in 2026-01-31T12:00:00Z"),
        (ValueType::Ip, _) => return Err("an IP address"),
        (ValueType::Tag, _) => {
            return Err("true (it is there) or nothing (it is missing): tags have no value");
        }
    }))
}

#[derive(Debug, Clone)]
enum Owned {
    Int(i64),
    Bool(bool),
    Text(String),
    Time(i64),
    Ip(IpAddr),
    Present,
}

/// A row of slots held by itself.
#[derive(Debug, Clone)]
pub struct Row {
    values: Vec<Option<Owned>>,
}

impl SlotView for Row {
    fn value(&self, slot: SlotId) -> Option<Value<'_>> {
        Some(match self.values.get(usize::from(slot.0))?.as_ref()? {
            Owned::Int(value) => Value::Int(*value),
            Owned::Bool(value) => Value::Bool(*value),
            Owned::Text(text) => Value::Text(text),
            Owned::Time(ms) => Value::Time(*ms),
            Owned::Ip(ip) => Value::Ip(*ip),
            Owned::Present => Value::Present,
        })
    }
}
