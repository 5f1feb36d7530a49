//! What rules see: a flat row of typed slots, numbered by a schema. First the catalogue's fields, in their order,
//! then the generation's features, then its lists. A slot that holds nothing is *missing*, which in CEL is an error
//! and makes a rule undecided, never silently false.

use super::catalogue::{CATALOGUE, Field};
use std::collections::HashMap;
use std::net::IpAddr;

/// The type of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// A 64-bit signed integer (CEL `int`): minor units, counts, per mille, milliseconds of a duration.
    Int,
    /// A boolean (CEL `bool`).
    Bool,
    /// Text (CEL `string`).
    Text,
    /// A point in time, ms since the Unix epoch (CEL `timestamp`).
    Time,
    /// A keyed tag: rules may ask `has(…)`, and nothing else.
    Tag,
    /// An IP address: rules may ask `has(…)`; ranges are asked through lists.
    Ip,
}

impl ValueType {
    /// The type's name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            ValueType::Int => "int",
            ValueType::Bool => "bool",
            ValueType::Text => "string",
            ValueType::Time => "timestamp",
            ValueType::Tag => "tag",
            ValueType::Ip => "ip",
        }
    }
}

/// A slot's value. Tags and addresses have no value that a rule could read; `Present` says that they are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// An integer.
    Int(i64),
    /// A boolean.
    Bool(bool),
    /// Text.
    Text(&'a str),
    /// ms since the Unix epoch.
    Time(i64),
    /// An address.
    Ip(IpAddr),
    /// There, but opaque (a tag).
    Present,
}

/// The number of a slot in a generation's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct SlotId(pub u16);

impl From<Field> for SlotId {
    fn from(field: Field) -> SlotId {
        SlotId(field as u16)
    }
}

/// A slot of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotDef {
    /// Dotted path, as rules write it: `amount.minor`, `features.card.count_1h`, `lists.stolen_cards`.
    pub path: String,
    /// What it holds.
    pub ty: ValueType,
    /// Unit, for people.
    pub unit: String,
    /// What it is, for people.
    pub doc: String,
}

/// Whatever gives a slot's value for one transaction.
pub trait SlotView {
    /// The slot's value; `None` when it is missing or undecided.
    fn value(&self, slot: SlotId) -> Option<Value<'_>>;
    /// What the pattern stage found for a lifted `matches(…)` of the generation's rules; `None` where it did not run,
    /// and the rule looks for itself. Asked only when the text is there.
    fn lifted(&self, _lift: u32) -> Option<bool> {
        None
    }
}

/// The numbered slots of a generation.
#[derive(Debug, Clone)]
pub struct Schema {
    slots: Vec<SlotDef>,
    by_path: HashMap<String, SlotId>,
}

impl Default for Schema {
    fn default() -> Self {
        Schema::new()
    }
}

impl Schema {
    /// The schema of the catalogue alone.
    pub fn new() -> Schema {
        let mut schema = Schema { slots: Vec::new(), by_path: HashMap::new() };
        for def in CATALOGUE {
            let added = schema.add(SlotDef {
                path: def.path.into(),
                ty: def.ty,
                unit: def.unit.into(),
                doc: def.doc.into(),
            });
            assert_eq!(added, Some(def.field.into()), "the catalogue's paths are unique");
        }
        schema
    }
    /// Adds a slot at the end; `None` when its path is taken.
    pub fn add(&mut self, def: SlotDef) -> Option<SlotId> {
        let id = SlotId(u16::try_from(self.slots.len()).expect("limits.rs keeps slots far below 65,536"));
        if self.by_path.contains_key(&def.path) {
            return None;
        }
        self.by_path.insert(def.path.clone(), id);
        self.slots.push(def);
        Some(id)
    }
    /// The slot of a path.
    pub fn find(&self, path: &str) -> Option<SlotId> {
        self.by_path.get(path).copied()
    }
    /// Whether some slot's path begins with `path` and a dot, so that CEL may select through it.
    pub fn is_prefix(&self, path: &str) -> bool {
        self.slots.iter().any(|def| def.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
    }
    /// A slot's definition.
    pub fn def(&self, slot: SlotId) -> &SlotDef {
        &self.slots[usize::from(slot.0)]
    }
    /// All slots, in order.
    pub fn slots(&self) -> impl ExactSizeIterator<Item = (SlotId, &SlotDef)> {
        self.slots.iter().enumerate().map(|(number, def)| (SlotId(number as u16), def))
    }
    /// How many slots there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }
    /// Whether there are none (never, since the catalogue is always in it).
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}
