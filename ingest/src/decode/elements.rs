//! Splits a batch into its elements' bytes, so that each is decoded or refused on its own, and no more are looked at
//! than the bound allows.

use super::reader::{at_offset, syntax};
use crate::error::FieldError;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use std::fmt;

/// Splits a JSON array into the bytes of its elements, at most `most` of them.
pub(crate) fn elements(json: &[u8], most: usize) -> Result<Vec<&serde_json::value::RawValue>, FieldError> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let mut count = 0;
    let split = deserializer.deserialize_seq(Elements { most, count: &mut count });
    let done = split.and_then(|elements| deserializer.end().map(|()| elements));
    done.map_err(|error| {
        let ours = if count > most {
            FieldError::too_large("", format!("an array of at most {most} elements"))
        } else {
            syntax(&error, "", "a JSON array")
        };
        at_offset(ours, json, &error)
    })
}

struct Elements<'c> {
    most: usize,
    count: &'c mut usize,
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = Vec<&'de serde_json::value::RawValue>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while *self.count < self.most {
            match seq.next_element()? {
                Some(element) => elements.push(element),
                None => return Ok(elements),
            }
            *self.count += 1;
        }
        if seq.next_element::<IgnoredAny>()?.is_some() {
            *self.count += 1;
            return Err(A::Error::custom("too many"));
        }
        Ok(elements)
    }
}
