//! What an expression costs at most, estimated before it runs: every node is visited once, so the bound is a sum. Texts
//! are taken as 256 bytes, about the longest merchant descriptor or user agent seen.

use super::program::{BoolExpr, NumExpr, TextExpr, TextSet};

/// Reading a slot and testing it.
const SLOT_NS: u64 = 5;
/// Comparing or searching text of 256 bytes.
const TEXT_NS: u64 = 40;
/// A pattern over 256 bytes: the regex crate's lazy DFA takes about a byte a nanosecond, once its states are built.
const PATTERN_NS: u64 = 400;

impl BoolExpr {
    /// Static cost in ns.
    pub fn cost_ns(&self) -> u64 {
        let pair = |a: &TextExpr, b: &TextExpr| TEXT_NS + a.cost_ns() + b.cost_ns();
        match self {
            BoolExpr::Const(_) | BoolExpr::Fail => 1,
            BoolExpr::Slot(_) | BoolExpr::Has(_) => SLOT_NS,
            BoolExpr::Not(operand) => operand.cost_ns(),
            BoolExpr::All(parts) | BoolExpr::Any(parts) => parts.iter().map(|part| part.cost_ns()).sum(),
            BoolExpr::If(parts) => parts.0.cost_ns() + parts.1.cost_ns().max(parts.2.cost_ns()),
            BoolExpr::CompareBool(_, sides) => sides.0.cost_ns() + sides.1.cost_ns(),
            BoolExpr::CompareNum(_, a, b) => 1 + a.cost_ns() + b.cost_ns(),
            BoolExpr::CompareText(_, a, b) | BoolExpr::Find(_, a, b) => pair(a, b),
            BoolExpr::NumIn(value, among) => value.cost_ns() + u64::from(among.len().max(1).ilog2()) + 1,
            BoolExpr::TextIn(value, TextSet::Few(texts)) => value.cost_ns() + 2 * texts.len() as u64,
            BoolExpr::TextIn(value, TextSet::Many(_)) => value.cost_ns() + TEXT_NS,
            BoolExpr::NumAmong(value, among) => {
                value.cost_ns() + among.iter().map(|num| num.cost_ns()).sum::<u64>()
            }
            BoolExpr::TextAmong(value, among) => {
                value.cost_ns() + among.iter().map(|text| TEXT_NS + text.cost_ns()).sum::<u64>()
            }
            BoolExpr::Matches(text, ..) => PATTERN_NS + text.cost_ns(),
            BoolExpr::Interpreted(program) => program.cost_ns(),
        }
    }
    /// Whether some part is left to the interpreter.
    pub fn is_interpreted(&self) -> bool {
        match self {
            BoolExpr::Interpreted(_) => true,
            BoolExpr::Not(operand) => operand.is_interpreted(),
            BoolExpr::All(parts) | BoolExpr::Any(parts) => parts.iter().any(BoolExpr::is_interpreted),
            BoolExpr::If(p) => p.0.is_interpreted() || p.1.is_interpreted() || p.2.is_interpreted(),
            BoolExpr::CompareBool(_, sides) => sides.0.is_interpreted() || sides.1.is_interpreted(),
            BoolExpr::CompareNum(_, a, b) => a.is_interpreted() || b.is_interpreted(),
            BoolExpr::NumIn(value, _) => value.is_interpreted(),
            _ => false,
        }
    }
}

impl NumExpr {
    /// Static cost in ns.
    pub fn cost_ns(&self) -> u64 {
        match self {
            NumExpr::Const(_) | NumExpr::Fail => 1,
            NumExpr::Slot(..) => SLOT_NS,
            NumExpr::Negate(of) | NumExpr::Part(_, of) | NumExpr::Seconds(of) => SLOT_NS + of.cost_ns(),
            NumExpr::Arithmetic(_, _, sides) => 1 + sides.0.cost_ns() + sides.1.cost_ns(),
            NumExpr::If(parts) => parts.0.cost_ns() + parts.1.cost_ns().max(parts.2.cost_ns()),
            NumExpr::Size(text) => TEXT_NS + text.cost_ns(),
            NumExpr::Interpreted(program) => program.cost_ns(),
        }
    }
}

impl NumExpr {
    /// Whether some part is left to the interpreter.
    pub fn is_interpreted(&self) -> bool {
        match self {
            NumExpr::Interpreted(_) => true,
            NumExpr::Negate(of) | NumExpr::Part(_, of) | NumExpr::Seconds(of) => of.is_interpreted(),
            NumExpr::Arithmetic(_, _, sides) => sides.0.is_interpreted() || sides.1.is_interpreted(),
            NumExpr::If(p) => p.0.is_interpreted() || p.1.is_interpreted() || p.2.is_interpreted(),
            _ => false,
        }
    }
}

impl TextExpr {
    /// Static cost in ns.
    pub fn cost_ns(&self) -> u64 {
        match self {
            TextExpr::Const(_) | TextExpr::Fail => 1,
            TextExpr::Slot(_) => SLOT_NS,
            TextExpr::If(parts) => parts.0.cost_ns() + parts.1.cost_ns().max(parts.2.cost_ns()),
        }
    }
}
