//! YAML to a tree in which every value knows its line and column, and readers that report what is wrong with it: all
//! errors of a file at once, unknown keys with the nearest known one.

use crate::error::{Error, ErrorKind, Place, nearest};
use crate::limits::{YAML_DEPTH_MAX, YAML_NODES_MAX};
use crate::rules::Source;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::fmt;

/// A YAML value.
#[derive(Debug, Clone)]
pub(super) enum Yaml {
    Null,
    Bool(bool),
    Int(i64),
    /// A number that is not an i64; no key takes one.
    Float,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Spanned<String>, Node)>),
}

/// A value with its place.
pub(super) type Node = Spanned<Yaml>;

impl Yaml {
    fn name(&self) -> &'static str {
        match self {
            Yaml::Null => "nothing",
            Yaml::Bool(_) => "a boolean",
            Yaml::Int(_) => "an integer",
            Yaml::Float => "a decimal number",
            Yaml::Text(_) => "a string",
            Yaml::List(_) => "a list",
            Yaml::Map(_) => "a map",
        }
    }
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Yaml;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a YAML value")
            }
            fn visit_unit<E>(self) -> Result<Yaml, E> {
                Ok(Yaml::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
                Ok(Yaml::Bool(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Yaml, E> {
                Ok(Yaml::Int(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Yaml, E> {
                Ok(i64::try_from(value).map_or(Yaml::Float, Yaml::Int))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Yaml, E> {
                Ok(Yaml::Float)
            }
            fn visit_str<E>(self, value: &str) -> Result<Yaml, E> {
                Ok(Yaml::Text(value.into()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Yaml, A::Error> {
                let mut list = Vec::new();
                while let Some(node) = access.next_element()? {
                    list.push(node);
                }
                Ok(Yaml::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Yaml, A::Error> {
                let mut map = Vec::new();
                while let Some(entry) = access.next_entry()? {
                    map.push(entry);
                }
                Ok(Yaml::Map(map))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Reads one file; collects its errors.
pub(super) struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    pub errors: Vec<Error>,
}

impl<'a> Reader<'a> {
    /// The tree of a file. `None` when it is not YAML, with the error reported.
    pub fn open(file: &'a str, bytes: &'a [u8]) -> (Reader<'a>, Option<Node>) {
        let mut reader = Reader { file, text: "", errors: Vec::new() };
        match std::str::from_utf8(bytes) {
            Ok(text) => reader.text = text,
            Err(error) => {
                let line = 1 + bytes[..error.valid_up_to()].iter().filter(|b| **b == b'\n').count();
                let place = Place::at(file, line, 0);
                reader.errors.push(Error::new(ErrorKind::Malformed, "not UTF-8").at(place));
                return (reader, None);
            }
        }
        let mut budget = serde_saphyr::Budget::default();
        budget.max_nodes = YAML_NODES_MAX;
        budget.max_events = 2 * YAML_NODES_MAX;
        budget.max_depth = YAML_DEPTH_MAX;
        budget.max_documents = 1;
        // Anchors would give one value two places, and could multiply a small file.
        budget.max_anchors = 0;
        budget.max_aliases = 0;
        budget.max_merge_keys = 0;
        let options = serde_saphyr::options! {
            budget: Some(budget),
            strict_booleans: true,
            leading_zero_numbers_as_strings: true,
            underscored_numbers_as_strings: true,
            with_snippet: false,
        };
        let node = match serde_saphyr::from_str_with_options::<Node>(reader.text, options) {
            Ok(node) => Some(node),
            Err(error) => {
                let place = error.location().map_or(Place::file(file), |at| {
                    Place::at(file, at.line() as usize, at.column() as usize)
                });
                let message = error.to_string();
                let message = message.lines().next().unwrap_or_default();
                let message = message.split(" at line ").next().unwrap_or(message);
                let message = message.split(", set DuplicateKeyPolicy").next().unwrap_or(message);
                reader.errors.push(Error::new(ErrorKind::Malformed, format!("YAML: {message}")).at(place));
                None
            }
        };
        (reader, node)
    }

    /// The place of a value.
    pub fn place(&self, node: &Node) -> Place {
        Place::at(self.file, node.referenced.line() as usize, node.referenced.column() as usize)
    }
    /// Reports an error at a place.
    pub fn refuse<T>(&mut self, place: Place, message: impl Into<String>) -> Option<T> {
        self.errors.push(Error::new(ErrorKind::Invalid, message).at(place));
        None
    }
    /// Reports an error at a value.
    pub fn refuse_node<T>(&mut self, node: &Node, message: impl Into<String>) -> Option<T> {
        let place = self.place(node);
        self.refuse(place, message)
    }
    fn expected<T>(&mut self, node: &Node, key: &str, what: &str) -> Option<T> {
        let message = format!("{key}: expected {what}, found {}", node.value.name());
        self.refuse_node(node, message)
    }

    /// The fields of a map whose keys are known; unknown ones are reported.
    pub fn fields<'n>(&mut self, node: &'n Node, what: &str, known: &[&str]) -> Option<Fields<'n>> {
        let Yaml::Map(entries) = &node.value else {
            return self.expected(node, what, "a map");
        };
        for (key, _) in entries {
            if !known.contains(&key.value.as_str()) {
                let place =
                    Place::at(self.file, key.referenced.line() as usize, key.referenced.column() as usize);
                let near = nearest(&key.value, known.iter().copied());
                let hint = near.map_or(format!("; known: {}", known.join(", ")), |near| {
                    format!("; did you mean {near}?")
                });
                self.refuse::<()>(place, format!("{what}: unknown key {:?}{hint}", key.value));
            }
        }
        Some(Fields { entries, place: self.place(node) })
    }

    /// The entries of a map with free keys, with their places.
    pub fn entries<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [(Spanned<String>, Node)]> {
        match &node.value {
            Yaml::Map(entries) => Some(entries),
            _ => self.expected(node, what, "a map"),
        }
    }
    /// The place of a key.
    pub fn key_place(&self, key: &Spanned<String>) -> Place {
        Place::at(self.file, key.referenced.line() as usize, key.referenced.column() as usize)
    }

    /// The elements of a list.
    pub fn list<'n>(&mut self, node: &'n Node, key: &str) -> Option<&'n [Node]> {
        match &node.value {
            Yaml::List(list) => Some(list),
            _ => self.expected(node, key, "a list"),
        }
    }
    /// A string.
    pub fn text<'n>(&mut self, node: &'n Node, key: &str) -> Option<&'n str> {
        match &node.value {
            Yaml::Text(text) => Some(text),
            _ => self.expected(node, key, "a string (quote it)"),
        }
    }
    /// A boolean.
    pub fn flag(&mut self, node: &Node, key: &str) -> Option<bool> {
        match &node.value {
            Yaml::Bool(value) => Some(*value),
            _ => self.expected(node, key, "true or false"),
        }
    }
    /// An integer within bounds.
    pub fn int(&mut self, node: &Node, key: &str, bounds: std::ops::RangeInclusive<i64>) -> Option<i64> {
        match &node.value {
            Yaml::Int(value) if bounds.contains(value) => Some(*value),
            Yaml::Int(value) => {
                let message = format!("{key} is {value}, limit {} to {}", bounds.start(), bounds.end());
                self.refuse_node(node, message)
            }
            _ => self.expected(node, key, "an integer"),
        }
    }
    /// A word out of a closed set.
    pub fn word<T: Copy>(&mut self, node: &Node, key: &str, known: &[(&'static str, T)]) -> Option<T> {
        let word = self.text(node, key)?;
        if let Some((_, value)) = known.iter().find(|(name, _)| *name == word) {
            return Some(*value);
        }
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        let near = nearest(word, names.iter().copied());
        let near = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
        let message = format!("{key} {word:?}: expected one of {}{near}", names.join(", "));
        self.refuse_node(node, message)
    }
    /// A name: letters, digits, `-` and `_`, at most 64.
    pub fn identifier<'n>(&mut self, node: &'n Node, key: &str) -> Option<&'n str> {
        let text = self.text(node, key)?;
        if is_identifier(text) {
            return Some(text);
        }
        let message = format!("{key} {text:?}: expected 1 to 64 letters, digits, - or _");
        self.refuse_node(node, message)
    }
    /// A CEL expression, which knows where it stands in the file.
    pub fn source(&mut self, node: &Node, key: &str) -> Option<Source> {
        let text = match &node.value {
            Yaml::Bool(value) => value.to_string(),
            _ => self.text(node, key)?.to_string(),
        };
        let at = node.referenced.span().byte_offset().unwrap_or_default() as usize;
        let raw = self.text.get(at..).unwrap_or_default();
        Some(Source::of_scalar(text, raw, self.place(node)))
    }
}

/// Whether a text is a name: 1 to 64 letters, digits, `-` and `_`.
pub(super) fn is_identifier(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The fields of a map.
pub(super) struct Fields<'n> {
    entries: &'n [(Spanned<String>, Node)],
    /// Where the map begins.
    pub place: Place,
}

impl<'n> Fields<'n> {
    /// The value of a key that may be left out.
    pub fn maybe(&self, key: &str) -> Option<&'n Node> {
        let found = self.entries.iter().find(|(name, _)| name.value == key);
        found.map(|(_, node)| node).filter(|node| !matches!(node.value, Yaml::Null))
    }
    /// The value of a key that must be there.
    pub fn must(&self, reader: &mut Reader<'_>, what: &str, key: &str) -> Option<&'n Node> {
        let found = self.maybe(key);
        if found.is_none() {
            reader.refuse::<()>(self.place.clone(), format!("{what}: {key} is missing"));
        }
        found
    }
}
