//! A masked copy of a record that was refused, for the dead letter (which is encrypted as well): what an operator needs
//! to see what was wrong, and nothing that identifies anybody. Names stay, values go, but for codes that are right
//! codes and references of the client's own; digits that could be a PAN go wherever they stand.

use crate::decode::reader::DEPTH_MAX;
use crate::decode::refs;
use crate::decode::shape::{ENTRY, Keep, LABEL, LeafDef, LeafType, Node, Object, REQUEST, Shape};
use crate::normalise::{identifiers as ids, time};
use interdict_engine::domain::transaction::CHANNELS;
use interdict_engine::domain::{Currency, Effect, TransactionKind};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Digits in a row that could be a PAN.
pub(crate) const DIGIT_RUN_MAX: usize = 12;

/// What stands for a masked value.
const MASK: &str = "***";

/// Which body a record was sent as; it decides which names are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// A decision request, alone or in a batch.
    Request,
    /// A label.
    Label,
    /// A list entry.
    Entry,
}

impl RecordKind {
    fn shape(self) -> &'static Shape {
        match self {
            RecordKind::Request => &REQUEST,
            RecordKind::Label => &LABEL,
            RecordKind::Entry => &ENTRY,
        }
    }
}

/// A masked copy of a decision request. What is no JSON is replaced by its length and the place where reading stopped.
pub fn mask(raw: &[u8]) -> Vec<u8> {
    mask_as(RecordKind::Request, raw)
}

/// A masked copy of a record of some kind.
pub fn mask_as(kind: RecordKind, raw: &[u8]) -> Vec<u8> {
    let shape = kind.shape();
    let mut out = Vec::with_capacity(raw.len().min(1 << 16));
    let mut deserializer = serde_json::Deserializer::from_slice(raw);
    let seed =
        Mask { out: &mut out, known: Known::Object(shape.root), leaves: shape.leaves, depth: DEPTH_MAX };
    let read = seed.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    if let Err(error) = read {
        let (bytes, line, column) = (raw.len(), error.line(), error.column());
        return format!(r#"{{"unreadable_bytes":{bytes},"line":{line},"column":{column}}}"#).into_bytes();
    }
    out
}

#[derive(Clone, Copy)]
enum Known {
    Object(&'static Object),
    Leaf(&'static LeafDef),
    Either(&'static LeafDef, &'static Object),
    Nothing,
}

/// Copies one value into `out`, masked.
struct Mask<'o> {
    out: &'o mut Vec<u8>,
    known: Known,
    leaves: &'static [LeafDef],
    depth: usize,
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("text is always JSON");
}

impl Mask<'_> {
    fn masked(self) {
        push_text(self.out, MASK);
    }
    /// A number or boolean: kept where the leaf is of its type and may be kept.
    fn plain(self, ty: LeafType, text: String) {
        match self.known {
            Known::Leaf(leaf) if leaf.ty == ty && leaf.keep == Keep::Code && text.len() < DIGIT_RUN_MAX => {
                self.out.extend(text.as_bytes());
            }
            _ => self.masked(),
        }
    }
    fn text(self, text: &str) {
        match self.known {
            Known::Leaf(leaf) | Known::Either(leaf, _)
                if leaf.ty == LeafType::Text && may_keep(leaf, text) =>
            {
                push_text(self.out, text);
            }
            _ => self.masked(),
        }
    }
}

/// Whether a text may stand in a masked copy.
fn may_keep(leaf: &LeafDef, text: &str) -> bool {
    let kept = match leaf.keep {
        Keep::No => false,
        Keep::Code => is_code(leaf.path, text),
        // A reference has a digit and no space; what has none may be a name in the wrong place.
        Keep::Reference => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/@".contains(&byte);
            text.len() <= 64 && text.bytes().all(plain) && text.bytes().any(|byte| byte.is_ascii_digit())
        }
    };
    kept && !has_digit_run(text)
}

/// Whether a text is a right code of the field at `path`.
fn is_code(path: &str, text: &str) -> bool {
    let name = path.rsplit_once('.').map_or(path, |(_, name)| name);
    match name {
        "kind" => TransactionKind::by_name(text).is_some(),
        "channel" => CHANNELS.contains(&text),
        "currency" => Currency::parse(text).is_some(),
        "country" => ids::country(text).is_ok(),
        "mcc" => ids::mcc(text).is_ok(),
        "stan" => ids::stan(text).is_ok(),
        "mti" => refs::mti(text).is_ok(),
        "transmitted_at" => refs::transmission(text).is_ok(),
        "uetr" => ids::uetr(text).is_ok(),
        "time" | "settles_at" | "valid_from" | "valid_to" => time::rfc3339_ms(text).is_ok(),
        "label" => matches!(text, "fraud" | "good"),
        "effect" => Effect::by_name(text).is_some(),
        _ => false,
    }
}

/// Whether twelve digits follow one another, with nothing but separators between them. Colons and letters end a run,
/// so that times and UETRs have none.
pub(crate) fn has_digit_run(text: &str) -> bool {
    let mut run = 0;
    for c in text.chars() {
        if c.is_numeric() {
            run += 1;
        } else if !matches!(c, ' ' | '-' | '.' | '/' | '_') && !c.is_whitespace() {
            run = 0;
        }
        if run >= DIGIT_RUN_MAX {
            return true;
        }
    }
    false
}

/// Whether a name that is not ours may be shown: it reads like a name of a field, and is no number.
fn is_plain_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    begins && name.len() <= 64 && name.bytes().all(plain) && !has_digit_run(name)
}

impl<'de> DeserializeSeed<'de> for Mask<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Mask<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.text(text);
        Ok(())
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.plain(LeafType::Int, value.to_string());
        Ok(())
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.plain(LeafType::Int, value.to_string());
        Ok(())
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.masked();
        Ok(())
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.plain(LeafType::Bool, value.to_string());
        Ok(())
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.out.extend(b"null");
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Mask { out, known, leaves, depth } = self;
        let Some(depth) = depth.checked_sub(1) else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            push_text(out, MASK);
            return Ok(());
        };
        out.push(b'{');
        let mut first = true;
        while let Some(name) = map.next_key::<String>()? {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            let node = match known {
                Known::Object(object) | Known::Either(_, object) => {
                    object.names.iter().find(|(known, _)| *known == name)
                }
                _ => None,
            };
            push_text(out, if node.is_some() || is_plain_name(&name) { &name } else { MASK });
            out.push(b':');
            let known = match node {
                Some((_, Node::Leaf(leaf))) => Known::Leaf(&leaves[usize::from(*leaf)]),
                Some((_, Node::Object(object))) => Known::Object(object),
                Some((_, Node::Either(leaf, object))) => Known::Either(&leaves[usize::from(*leaf)], object),
                None => Known::Nothing,
            };
            map.next_value_seed(Mask { out, known, leaves, depth })?;
        }
        out.push(b'}');
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Mask { out, known, leaves, depth } = self;
        let Some(depth) = depth.checked_sub(1) else {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            push_text(out, MASK);
            return Ok(());
        };
        // Of arrays only a batch is known; a leaf in an array is not where it belongs.
        let known = match known {
            Known::Object(object) if object.path.is_empty() => known,
            _ => Known::Nothing,
        };
        out.push(b'[');
        let mut start = out.len();
        while seq.next_element_seed(Mask { out: &mut *out, known, leaves, depth })?.is_some() {
            out.push(b',');
            start = 0;
        }
        if start == 0 {
            out.pop();
        }
        out.push(b']');
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
