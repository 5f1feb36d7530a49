//! What was read, leaf by leaf, before it is checked: borrowed where the input allows, wiped where it had to be copied.

use std::fmt;
use zeroize::Zeroizing;

/// Most leaves of any shape.
pub(crate) const LEAVES_MAX: usize = 48;

/// A value as read.
#[derive(Clone, Default)]
pub(crate) enum Raw<'a> {
    /// Not there, or null.
    #[default]
    Absent,
    /// Text that lies in the input.
    Borrowed(&'a str),
    /// Text that had to be unescaped or made.
    Owned(Zeroizing<String>),
    /// An integer.
    Int(i64),
    /// A boolean.
    Bool(bool),
}

impl fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Raw::Absent => "absent",
            Raw::Borrowed(_) | Raw::Owned(_) => "text",
            Raw::Int(_) => "int",
            Raw::Bool(_) => "bool",
        })
    }
}

/// All leaves of a shape, by number.
#[derive(Debug)]
pub(crate) struct Values<'a>([Raw<'a>; LEAVES_MAX]);

impl<'a> Values<'a> {
    pub(crate) fn new() -> Values<'a> {
        Values([const { Raw::Absent }; LEAVES_MAX])
    }
    pub(crate) fn set(&mut self, leaf: impl Into<u8>, value: Raw<'a>) {
        self.0[usize::from(leaf.into())] = value;
    }
    pub(crate) fn is_absent(&self, leaf: impl Into<u8>) -> bool {
        matches!(self.0[usize::from(leaf.into())], Raw::Absent)
    }
    pub(crate) fn text(&self, leaf: impl Into<u8>) -> Option<&str> {
        match &self.0[usize::from(leaf.into())] {
            Raw::Borrowed(text) => Some(text),
            Raw::Owned(text) => Some(text),
            _ => None,
        }
    }
    pub(crate) fn int(&self, leaf: impl Into<u8>) -> Option<i64> {
        match self.0[usize::from(leaf.into())] {
            Raw::Int(value) => Some(value),
            _ => None,
        }
    }
    pub(crate) fn bool(&self, leaf: impl Into<u8>) -> Option<bool> {
        match self.0[usize::from(leaf.into())] {
            Raw::Bool(value) => Some(value),
            _ => None,
        }
    }
}
