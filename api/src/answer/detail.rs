//! The values that a reason looked at, by path, as a JSON object: borrowed from payment and generation until they are
//! bytes, since every answer has some.

use super::time;
use interdict_engine::domain::Value;
use serde::ser::{Serialize, SerializeMap, Serializer};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::net::IpAddr;

/// A value as JSON shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown<'a> {
    /// A number.
    Int(i64),
    /// true or false.
    Bool(bool),
    /// A string.
    Text(Cow<'a, str>),
    /// An address, a string too.
    Ip(IpAddr),
}

impl<'a> Shown<'a> {
    /// A slot's value; `None` for what has none to show (a tag).
    pub fn of(value: Value<'a>) -> Option<Shown<'a>> {
        match value {
            Value::Int(v) => Some(Shown::Int(v)),
            Value::Bool(v) => Some(Shown::Bool(v)),
            Value::Text(v) => Some(Shown::text(v)),
            Value::Time(v) => Some(Shown::made(time(v))),
            Value::Ip(v) => Some(Shown::Ip(v)),
            Value::Present => None,
        }
    }
    /// A string that lies somewhere.
    pub fn text(text: &'a str) -> Shown<'a> {
        Shown::Text(Cow::Borrowed(text))
    }
    /// A string that was made.
    pub fn made(text: impl Into<String>) -> Shown<'a> {
        Shown::Text(Cow::Owned(text.into()))
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Shown::Int(v) => serializer.serialize_i64(*v),
            Shown::Bool(v) => serializer.serialize_bool(*v),
            Shown::Text(v) => serializer.serialize_str(v),
            Shown::Ip(v) => serializer.collect_str(v),
        }
    }
}

/// Values by path; the paths in order, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detail<'a>(SmallVec<[(&'a str, Shown<'a>); 4]>);

impl<'a> Detail<'a> {
    /// Puts a value under a path, in the place of what was there.
    pub fn insert(&mut self, path: &'a str, value: Shown<'a>) {
        match self.0.binary_search_by_key(&path, |(known, _)| known) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (path, value)),
        }
    }
}

impl Serialize for Detail<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (path, value) in &self.0 {
            map.serialize_entry(path, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn it_is_an_object_in_the_order_of_paths_with_the_last_value_of_each() {
        let mut detail = Detail::default();
        for (path, value) in [
            ("b", Value::Text("a \"quoted\" word")),
            ("a", Value::Int(-1)),
            ("d", Value::Ip("203.0.113.7".parse().unwrap())),
            ("c", Value::Time(0)),
            ("a", Value::Int(i64::MAX)),
            ("e", Value::Bool(true)),
        ] {
            detail.insert(path, Shown::of(value).unwrap());
        }
        assert_eq!(Shown::of(Value::Present), None);
        let expected = r#"{"a":9223372036854775807,"b":"a \"quoted\" word","c":"1970-01-01T00:00:00Z","d":"203.0.113.7","e":true}"#;
        assert_eq!(serde_json::to_string(&detail).unwrap(), expected);
        assert_eq!(serde_json::to_string(&Detail::default()).unwrap(), "{}");
    }
}
