//! What an expression costs at most, estimated before it runs: every node is visited once, so the bound is a sum of the
//! table's figures.

use super::program::{BoolExpr, NumExpr, TextExpr, TextSet};
use crate::calibration::Calibration;

impl BoolExpr {
    /// Static cost in ps.
    pub fn cost_ps(&self, costs: &Calibration) -> u64 {
        let pair = |a: &TextExpr, b: &TextExpr| costs.text_ps + a.cost_ps(costs) + b.cost_ps(costs);
        match self {
            BoolExpr::Const(_) | BoolExpr::Fail => costs.step_ps,
            BoolExpr::Slot(_) | BoolExpr::Has(_) => costs.slot_ps,
            BoolExpr::Not(operand) => operand.cost_ps(costs),
            BoolExpr::All(parts) | BoolExpr::Any(parts) => parts.iter().map(|part| part.cost_ps(costs)).sum(),
            BoolExpr::If(parts) => {
                parts.0.cost_ps(costs) + parts.1.cost_ps(costs).max(parts.2.cost_ps(costs))
            }
            BoolExpr::CompareBool(_, sides) => sides.0.cost_ps(costs) + sides.1.cost_ps(costs),
            BoolExpr::CompareNum(_, a, b) => costs.step_ps + a.cost_ps(costs) + b.cost_ps(costs),
            BoolExpr::CompareText(_, a, b) | BoolExpr::Find(_, a, b) => pair(a, b),
            BoolExpr::NumIn(value, among) => {
                value.cost_ps(costs) + (u64::from(among.len().max(1).ilog2()) + 1) * costs.step_ps
            }
            BoolExpr::TextIn(value, TextSet::Few(texts)) => {
                value.cost_ps(costs) + costs.among_ps * texts.len() as u64
            }
            BoolExpr::TextIn(value, TextSet::Many(_)) => value.cost_ps(costs) + costs.text_ps,
            BoolExpr::NumAmong(value, among) => {
                value.cost_ps(costs) + among.iter().map(|num| num.cost_ps(costs)).sum::<u64>()
            }
            BoolExpr::TextAmong(value, among) => {
                value.cost_ps(costs)
                    + among.iter().map(|text| costs.text_ps + text.cost_ps(costs)).sum::<u64>()
            }
            BoolExpr::Matches(text, ..) => costs.matches_ps + text.cost_ps(costs),
            BoolExpr::Interpreted(program) => program.cost_ps(costs),
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
    /// Static cost in ps.
    pub fn cost_ps(&self, costs: &Calibration) -> u64 {
        match self {
            NumExpr::Const(_) | NumExpr::Fail => costs.step_ps,
            NumExpr::Slot(..) => costs.slot_ps,
            NumExpr::Negate(of) | NumExpr::Part(_, of) | NumExpr::Seconds(of) => {
                costs.slot_ps + of.cost_ps(costs)
            }
            NumExpr::Arithmetic(_, _, sides) => {
                costs.step_ps + sides.0.cost_ps(costs) + sides.1.cost_ps(costs)
            }
            NumExpr::If(parts) => parts.0.cost_ps(costs) + parts.1.cost_ps(costs).max(parts.2.cost_ps(costs)),
            NumExpr::Size(text) => costs.text_ps + text.cost_ps(costs),
            NumExpr::Interpreted(program) => program.cost_ps(costs),
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
    /// Static cost in ps.
    pub fn cost_ps(&self, costs: &Calibration) -> u64 {
        match self {
            TextExpr::Const(_) | TextExpr::Fail => costs.step_ps,
            TextExpr::Slot(_) => costs.slot_ps,
            TextExpr::If(parts) => {
                parts.0.cost_ps(costs) + parts.1.cost_ps(costs).max(parts.2.cost_ps(costs))
            }
        }
    }
}
