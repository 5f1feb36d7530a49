//! Reads a JSON object of a known shape into its leaves. It is serde underneath, but errors are ours: serde's quote
//! the value they choke on, and a value here may be a PAN. Nesting is bounded by the shape; what is not in the shape
//! is looked through, to a bound, for names that must never be sent at all.

use super::shape::{LeafDef, LeafType, Node, Object, Shape};
use super::values::{Raw, Values};
use crate::error::{FieldError, Status, shown_name};
use interdict_engine::domain::catalogue::FORBIDDEN;
use interdict_engine::error::nearest;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;
use zeroize::Zeroizing;

/// Deepest nesting that is looked at; wire.md's own bodies are three deep.
pub(crate) const DEPTH_MAX: usize = 16;

/// What is said of sensitive authentication data.
pub(crate) const NOT_ACCEPTED: &str = "no such field: sensitive authentication data is not accepted";

/// Whether a name is one under which sensitive authentication data is sent, however it is spelled.
pub(crate) fn is_forbidden(name: &str) -> bool {
    let plain = |name: &str| -> String {
        name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
    };
    let name = plain(name);
    FORBIDDEN.iter().any(|forbidden| plain(forbidden) == name)
}

/// What the reader knows when something goes wrong.
struct Reading<'v, 'de> {
    leaves: &'static [LeafDef],
    values: &'v mut Values<'de>,
    /// Path and expectation of what is being read, for errors that serde finds.
    path: &'static str,
    expected: &'static str,
    error: Option<FieldError>,
}

impl Reading<'_, '_> {
    fn fail<E: Error>(&mut self, error: FieldError) -> E {
        self.error = Some(error);
        E::custom("see the error kept aside")
    }
}

/// Reads one JSON object and nothing after it.
pub(crate) fn read<'de>(shape: &'static Shape, json: &'de [u8]) -> Result<Values<'de>, FieldError> {
    // Looked through once: serde would else check each string and name for itself. What is no UTF-8 is read as bytes, so
    // that the error has its place.
    match std::str::from_utf8(json) {
        Ok(text) => read_from(shape, json, serde_json::Deserializer::from_str(text)),
        Err(_) => read_from(shape, json, serde_json::Deserializer::from_slice(json)),
    }
}

fn read_from<'de, R: serde_json::de::Read<'de>>(
    shape: &'static Shape,
    json: &'de [u8],
    mut deserializer: serde_json::Deserializer<R>,
) -> Result<Values<'de>, FieldError> {
    let mut values = Values::new();
    let mut reading = Reading {
        leaves: shape.leaves,
        values: &mut values,
        path: "",
        expected: "a JSON object",
        error: None,
    };
    let read = ObjectSeed { object: shape.root, reading: &mut reading }.deserialize(&mut deserializer);
    let kept = reading.error.take();
    let (path, expected) = (reading.path, reading.expected);
    let done = match read {
        Ok(()) => deserializer.end().map_err(|error| {
            let trailing = FieldError::malformed("", "nothing after the JSON value");
            at_offset(trailing, json, &error)
        }),
        Err(error) => {
            let ours = kept.unwrap_or_else(|| syntax(&error, path, expected));
            Err(at_offset(ours, json, &error))
        }
    };
    done.map(|()| values)
}

/// An error that serde found, in our words. Only its category is taken, since its text quotes the input.
pub(crate) fn syntax(error: &serde_json::Error, path: &str, expected: &str) -> FieldError {
    use serde_json::error::Category;
    match error.classify() {
        Category::Data => FieldError::invalid(path, expected),
        Category::Eof => FieldError::malformed(path, "complete JSON: the input ends too early"),
        // Well-formed, but no number we could hold.
        _ if error.to_string().starts_with("number out of range") => FieldError::invalid(path, expected),
        _ => FieldError::malformed(path, "JSON in UTF-8 (RFC 8259)"),
    }
}

/// The same error with the byte offset at which serde stopped.
pub(crate) fn at_offset(mut error: FieldError, json: &[u8], at: &serde_json::Error) -> FieldError {
    if at.line() > 0 {
        let lines = json.split_inclusive(|byte| *byte == b'\n');
        let before: usize = lines.take(at.line() - 1).map(<[u8]>::len).sum();
        error.place.offset = Some((before + at.column().saturating_sub(1)).min(json.len()) as u64);
    }
    error
}

fn join(object: &str, name: &str) -> String {
    if object.is_empty() { shown_name(name) } else { format!("{object}.{}", shown_name(name)) }
}

struct ObjectSeed<'r, 'v, 'de> {
    object: &'static Object,
    reading: &'r mut Reading<'v, 'de>,
}

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_, '_, 'de> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_, '_, 'de> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    /// null is absent, but for a whole body.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        if self.object.path.is_empty() {
            return Err(self.reading.fail(FieldError::invalid("", "a JSON object")));
        }
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let ObjectSeed { object, reading } = self;
        let mut seen = 0u64;
        while let Some(key) = map.next_key_seed(KeySeed(object))? {
            let at = match key {
                Key::Known(at) => at,
                Key::Unknown(name) => {
                    let path = join(object.path, &name);
                    if is_forbidden(&name) {
                        return Err(reading.fail(FieldError::invalid(path, NOT_ACCEPTED)));
                    }
                    map.next_value_seed(ScanSeed { path: &path, depth: DEPTH_MAX, reading })?;
                    let names = object.names.iter().map(|(name, _)| *name);
                    let expected = match nearest(&name, names) {
                        Some(near) => format!("a known field; the nearest is {}", join(object.path, near)),
                        None => "a known field".into(),
                    };
                    return Err(reading.fail(FieldError::invalid(path, expected)));
                }
            };
            let (name, node) = &object.names[at];
            if seen & (1 << at) != 0 {
                let twice = FieldError::malformed(join(object.path, name), "the field once, not twice");
                return Err(reading.fail(twice));
            }
            seen |= 1 << at;
            match node {
                Node::Leaf(leaf) => {
                    let def = &reading.leaves[usize::from(*leaf)];
                    (reading.path, reading.expected) = (def.path, expected(def.ty));
                    map.next_value_seed(LeafSeed { leaf: *leaf, ty: def.ty, object: None, reading })?;
                }
                Node::Either(leaf, inner) => {
                    let def = &reading.leaves[usize::from(*leaf)];
                    (reading.path, reading.expected) = (def.path, "a string or an object");
                    let object = Some(*inner);
                    map.next_value_seed(LeafSeed { leaf: *leaf, ty: def.ty, object, reading })?;
                }
                Node::Object(inner) => {
                    (reading.path, reading.expected) = (inner.path, "an object");
                    map.next_value_seed(ObjectSeed { object: inner, reading })?;
                }
            }
            (reading.path, reading.expected) = (object.path, "an object");
        }
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let path = self.object.path;
        while seq.next_element_seed(ScanSeed { path, depth: DEPTH_MAX, reading: self.reading })?.is_some() {}
        let expected = if path.is_empty() { "a JSON object" } else { "an object" };
        Err(self.reading.fail(FieldError::invalid(path, expected)))
    }
}

fn expected(ty: LeafType) -> &'static str {
    match ty {
        LeafType::Text => "a string",
        LeafType::Int => "an integer, without fraction or exponent, of at most 64 bits",
        LeafType::Bool => "true or false",
    }
}

enum Key {
    Known(usize),
    Unknown(Zeroizing<String>),
}

struct KeySeed(&'static Object);

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Key;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
    fn visit_str<E: Error>(self, name: &str) -> Result<Key, E> {
        let known = self.0.names.iter().position(|(known, _)| *known == name);
        Ok(known.map_or_else(|| Key::Unknown(Zeroizing::new(name.into())), Key::Known))
    }
}

/// A name that has no place here, in a string that is wiped.
struct NameSeed;

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Zeroizing<String>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Zeroizing<String>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed {
    type Value = Zeroizing<String>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
    fn visit_str<E: Error>(self, name: &str) -> Result<Zeroizing<String>, E> {
        Ok(Zeroizing::new(name.into()))
    }
}

struct LeafSeed<'r, 'v, 'de> {
    leaf: u8,
    ty: LeafType,
    /// Where the value may be an object as well.
    object: Option<&'static Object>,
    reading: &'r mut Reading<'v, 'de>,
}

impl<'de> LeafSeed<'_, '_, 'de> {
    fn set<E: Error>(self, ty: LeafType, value: Raw<'de>) -> Result<(), E> {
        if ty != self.ty {
            let (path, expected) = (self.reading.path, self.reading.expected);
            return Err(self.reading.fail(FieldError::invalid(path, expected)));
        }
        self.reading.values.set(self.leaf, value);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for LeafSeed<'_, '_, 'de> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for LeafSeed<'_, '_, 'de> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<(), E> {
        self.set(LeafType::Text, Raw::Borrowed(text))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.set(LeafType::Text, Raw::Owned(Zeroizing::new(text.into())))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.set(LeafType::Int, Raw::Int(value))
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => self.visit_f64(0.0),
        }
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        let (path, expected) = (self.reading.path, self.reading.expected);
        Err(self.reading.fail(FieldError::invalid(path, expected)))
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.set(LeafType::Bool, Raw::Bool(value))
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        if let Some(object) = self.object {
            return ObjectSeed { object, reading: self.reading }.visit_map(map);
        }
        let (path, expected) = (self.reading.path, self.reading.expected);
        ScanSeed { path, depth: DEPTH_MAX, reading: self.reading }.visit_map(map)?;
        Err(self.reading.fail(FieldError::invalid(path, expected)))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        let (path, expected) = (self.reading.path, self.reading.expected);
        ScanSeed { path, depth: DEPTH_MAX, reading: self.reading }.visit_seq(seq)?;
        Err(self.reading.fail(FieldError::invalid(path, expected)))
    }
}

/// Looks through a value that has no place here: for forbidden names, and for nesting over the bound.
struct ScanSeed<'r, 'p, 'v, 'de> {
    path: &'p str,
    depth: usize,
    reading: &'r mut Reading<'v, 'de>,
}

impl ScanSeed<'_, '_, '_, '_> {
    fn deeper<E: Error>(&mut self) -> Result<usize, E> {
        self.depth.checked_sub(1).ok_or_else(|| {
            let first = self.path.split('.').next().unwrap_or_default();
            self.reading.fail(FieldError {
                status: Status::Malformed,
                ..FieldError::invalid(first, "nesting of at most 16")
            })
        })
    }
}

impl<'de> DeserializeSeed<'de> for ScanSeed<'_, '_, '_, 'de> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ScanSeed<'_, '_, '_, 'de> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        while let Some(name) = map.next_key_seed(NameSeed)? {
            let path = join(self.path, &name);
            if is_forbidden(&name) {
                return Err(self.reading.fail(FieldError::invalid(path, NOT_ACCEPTED)));
            }
            map.next_value_seed(ScanSeed { path: &path, depth, reading: self.reading })?;
        }
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        while seq.next_element_seed(ScanSeed { path: self.path, depth, reading: self.reading })?.is_some() {}
        Ok(())
    }
}
