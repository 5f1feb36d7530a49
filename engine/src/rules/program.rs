//! The typed tree that an expression becomes: one enum for truth, one for numbers (integers, and times and durations
//! in ms), one for text. A node whose operands are constant is folded when it is made.

use super::calendar::Part;
use super::interpreted::Interpreted;
use crate::domain::SlotId;
use hashbrown::HashSet;
use std::cmp::Ordering;
use std::sync::Arc;

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    #[inline]
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// An operation on numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// What a number is, which bounds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum NumKind {
    Int,
    Time,
    Duration,
}

/// A search in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Find {
    Start,
    End,
    Anywhere,
}

/// An expression of type bool.
#[derive(Debug, Clone)]
pub(super) enum BoolExpr {
    Const(bool),
    /// Always an error.
    Fail,
    Slot(SlotId),
    Has(SlotId),
    Not(Box<BoolExpr>),
    All(Box<[BoolExpr]>),
    Any(Box<[BoolExpr]>),
    If(Box<(BoolExpr, BoolExpr, BoolExpr)>),
    CompareBool(Comparison, Box<(BoolExpr, BoolExpr)>),
    CompareNum(Comparison, NumExpr, NumExpr),
    CompareText(Comparison, TextExpr, TextExpr),
    /// Sorted.
    NumIn(NumExpr, Box<[i64]>),
    TextIn(TextExpr, TextSet),
    NumAmong(NumExpr, Box<[NumExpr]>),
    TextAmong(TextExpr, Box<[TextExpr]>),
    Find(Find, TextExpr, TextExpr),
    /// With the number it was lifted under, when it was; see `lift`.
    Matches(TextExpr, Arc<regex::Regex>, Option<u32>),
    /// What the tree cannot express, by the `cel` interpreter.
    Interpreted(Arc<Interpreted>),
}

/// An expression of type int, timestamp or duration.
#[derive(Debug, Clone)]
pub(super) enum NumExpr {
    Const(i64),
    Fail,
    Slot(NumKind, SlotId),
    Negate(Box<NumExpr>),
    Arithmetic(Arithmetic, NumKind, Box<(NumExpr, NumExpr)>),
    If(Box<(BoolExpr, NumExpr, NumExpr)>),
    /// Characters of a text.
    Size(TextExpr),
    Part(Part, Box<NumExpr>),
    /// Whole seconds of a time since the epoch, rounded down.
    Seconds(Box<NumExpr>),
    Interpreted(Arc<Interpreted>),
}

/// An expression of type string.
#[derive(Debug, Clone)]
pub(super) enum TextExpr {
    Const(Box<str>),
    Fail,
    Slot(SlotId),
    If(Box<(BoolExpr, TextExpr, TextExpr)>),
}

/// A set of texts: hashed when long enough to gain from it.
#[derive(Debug, Clone)]
pub(super) enum TextSet {
    Few(Box<[Box<str>]>),
    Many(HashSet<Box<str>, foldhash::fast::FixedState>),
}

/// From this many texts on a set is hashed.
const HASHED_FROM: usize = 9;

impl TextSet {
    pub fn new(texts: Vec<Box<str>>) -> TextSet {
        if texts.len() >= HASHED_FROM {
            return TextSet::Many(texts.into_iter().collect());
        }
        TextSet::Few(texts.into())
    }
    #[inline]
    pub fn contains(&self, text: &str) -> bool {
        match self {
            TextSet::Few(texts) => texts.iter().any(|known| **known == *text),
            TextSet::Many(texts) => texts.contains(text),
        }
    }
}

impl BoolExpr {
    pub fn is_constant(&self) -> bool {
        matches!(self, BoolExpr::Const(_) | BoolExpr::Fail)
    }
    /// The folded form of a node whose operands are constant.
    fn folded(self) -> BoolExpr {
        self.eval(&super::eval::NoSlots).map_or(BoolExpr::Fail, BoolExpr::Const)
    }
    pub fn not(operand: BoolExpr) -> BoolExpr {
        match operand {
            BoolExpr::Not(inner) => *inner,
            constant if constant.is_constant() => BoolExpr::Not(Box::new(constant)).folded(),
            other => BoolExpr::Not(Box::new(other)),
        }
    }
    /// `&&` (`all`) or `||` of operands, flattened. What decides alone does so whatever the others are, errors
    /// included; what changes nothing is dropped.
    pub fn join(all: bool, operands: [BoolExpr; 2]) -> BoolExpr {
        let mut parts = Vec::new();
        for operand in operands {
            match operand {
                BoolExpr::Const(value) if value == all => {}
                BoolExpr::Const(value) => return BoolExpr::Const(value),
                BoolExpr::All(inner) if all => parts.extend(inner),
                BoolExpr::Any(inner) if !all => parts.extend(inner),
                other => parts.push(other),
            }
        }
        match parts.len() {
            0 => BoolExpr::Const(all),
            1 => parts.remove(0),
            _ if parts.iter().all(BoolExpr::is_constant) => BoolExpr::Fail,
            _ if all => BoolExpr::All(parts.into()),
            _ => BoolExpr::Any(parts.into()),
        }
    }
    pub fn choose(condition: BoolExpr, yes: BoolExpr, no: BoolExpr) -> BoolExpr {
        match condition {
            BoolExpr::Const(true) => yes,
            BoolExpr::Const(false) => no,
            BoolExpr::Fail => BoolExpr::Fail,
            condition => BoolExpr::If(Box::new((condition, yes, no))),
        }
    }
    pub fn compare_bool(comparison: Comparison, a: BoolExpr, b: BoolExpr) -> BoolExpr {
        let constant = a.is_constant() && b.is_constant();
        let node = BoolExpr::CompareBool(comparison, Box::new((a, b)));
        if constant { node.folded() } else { node }
    }
    pub fn compare_num(comparison: Comparison, a: NumExpr, b: NumExpr) -> BoolExpr {
        let constant = a.is_constant() && b.is_constant();
        let node = BoolExpr::CompareNum(comparison, a, b);
        if constant { node.folded() } else { node }
    }
    pub fn compare_text(comparison: Comparison, a: TextExpr, b: TextExpr) -> BoolExpr {
        let constant = a.is_constant() && b.is_constant();
        let node = BoolExpr::CompareText(comparison, a, b);
        if constant { node.folded() } else { node }
    }
    pub fn num_in(value: NumExpr, among: Vec<NumExpr>) -> BoolExpr {
        let constants: Option<Vec<i64>> = among.iter().map(NumExpr::constant).collect();
        let constant = value.is_constant() && among.iter().all(NumExpr::is_constant);
        let node = match constants {
            Some(mut numbers) => {
                numbers.sort_unstable();
                numbers.dedup();
                BoolExpr::NumIn(value, numbers.into())
            }
            None => BoolExpr::NumAmong(value, among.into()),
        };
        if constant { node.folded() } else { node }
    }
    pub fn text_in(value: TextExpr, among: Vec<TextExpr>) -> BoolExpr {
        let constant = value.is_constant() && among.iter().all(TextExpr::is_constant);
        let node = if among.iter().all(|text| matches!(text, TextExpr::Const(_))) {
            let texts = among.into_iter().map(|text| match text {
                TextExpr::Const(text) => text,
                _ => unreachable!("all are constant"),
            });
            BoolExpr::TextIn(value, TextSet::new(texts.collect()))
        } else {
            BoolExpr::TextAmong(value, among.into())
        };
        if constant { node.folded() } else { node }
    }
    pub fn find(find: Find, text: TextExpr, needle: TextExpr) -> BoolExpr {
        let constant = text.is_constant() && needle.is_constant();
        let node = BoolExpr::Find(find, text, needle);
        if constant { node.folded() } else { node }
    }
    pub fn matches(text: TextExpr, pattern: regex::Regex) -> BoolExpr {
        let constant = text.is_constant();
        let node = BoolExpr::Matches(text, Arc::new(pattern), None);
        if constant { node.folded() } else { node }
    }
}

impl NumExpr {
    pub fn is_constant(&self) -> bool {
        matches!(self, NumExpr::Const(_) | NumExpr::Fail)
    }
    pub fn constant(&self) -> Option<i64> {
        match self {
            NumExpr::Const(value) => Some(*value),
            _ => None,
        }
    }
    fn folded(self) -> NumExpr {
        self.eval(&super::eval::NoSlots).map_or(NumExpr::Fail, NumExpr::Const)
    }
    pub fn negate(operand: NumExpr) -> NumExpr {
        let constant = operand.is_constant();
        let node = NumExpr::Negate(Box::new(operand));
        if constant { node.folded() } else { node }
    }
    pub fn arithmetic(op: Arithmetic, kind: NumKind, a: NumExpr, b: NumExpr) -> NumExpr {
        let constant = a.is_constant() && b.is_constant();
        let node = NumExpr::Arithmetic(op, kind, Box::new((a, b)));
        if constant { node.folded() } else { node }
    }
    pub fn choose(condition: BoolExpr, yes: NumExpr, no: NumExpr) -> NumExpr {
        match condition {
            BoolExpr::Const(true) => yes,
            BoolExpr::Const(false) => no,
            BoolExpr::Fail => NumExpr::Fail,
            condition => NumExpr::If(Box::new((condition, yes, no))),
        }
    }
    pub fn size(text: TextExpr) -> NumExpr {
        let constant = text.is_constant();
        let node = NumExpr::Size(text);
        if constant { node.folded() } else { node }
    }
    pub fn part(part: Part, of: NumExpr) -> NumExpr {
        let constant = of.is_constant();
        let node = NumExpr::Part(part, Box::new(of));
        if constant { node.folded() } else { node }
    }
    pub fn seconds(of: NumExpr) -> NumExpr {
        let constant = of.is_constant();
        let node = NumExpr::Seconds(Box::new(of));
        if constant { node.folded() } else { node }
    }
}

impl TextExpr {
    pub fn is_constant(&self) -> bool {
        matches!(self, TextExpr::Const(_) | TextExpr::Fail)
    }
    pub fn choose(condition: BoolExpr, yes: TextExpr, no: TextExpr) -> TextExpr {
        match condition {
            BoolExpr::Const(true) => yes,
            BoolExpr::Const(false) => no,
            BoolExpr::Fail => TextExpr::Fail,
            condition => TextExpr::If(Box::new((condition, yes, no))),
        }
    }
}
