//! Evaluation of the typed tree over a row of slots: no allocation, CEL's three values. `None` is CEL's error: a
//! missing slot, an overflow, a division by zero.

use super::calendar::{DURATION_MS, TIME_MS};
use super::program::{Arithmetic, BoolExpr, Comparison, Find, NumExpr, NumKind, TextExpr};
use crate::domain::{SlotId, SlotView, Value};

/// A row in which every slot is missing; constants are folded against it.
pub(super) struct NoSlots;

impl SlotView for NoSlots {
    fn value(&self, _: SlotId) -> Option<Value<'_>> {
        None
    }
}

impl BoolExpr {
    pub fn eval<V: SlotView + ?Sized>(&self, view: &V) -> Option<bool> {
        match self {
            BoolExpr::Const(value) => Some(*value),
            BoolExpr::Fail => None,
            BoolExpr::Slot(slot) => match view.value(*slot) {
                Some(Value::Bool(value)) => Some(value),
                _ => None,
            },
            BoolExpr::Has(slot) => Some(view.value(*slot).is_some()),
            BoolExpr::Not(operand) => operand.eval(view).map(|value| !value),
            BoolExpr::All(operands) => join(operands, false, view),
            BoolExpr::Any(operands) => join(operands, true, view),
            BoolExpr::If(parts) => {
                let (condition, yes, no) = &**parts;
                if condition.eval(view)? { yes.eval(view) } else { no.eval(view) }
            }
            BoolExpr::CompareBool(comparison, sides) => {
                Some(comparison.holds(sides.0.eval(view)?.cmp(&sides.1.eval(view)?)))
            }
            BoolExpr::CompareNum(comparison, a, b) => {
                Some(comparison.holds(a.eval(view)?.cmp(&b.eval(view)?)))
            }
            BoolExpr::CompareText(comparison, a, b) => {
                let (a, b) = (a.eval(view)?, b.eval(view)?);
                Some(match comparison {
                    Comparison::Equal => a == b,
                    Comparison::NotEqual => a != b,
                    _ => comparison.holds(a.cmp(b)),
                })
            }
            BoolExpr::NumIn(value, among) => Some(among.binary_search(&value.eval(view)?).is_ok()),
            BoolExpr::TextIn(value, among) => Some(among.contains(value.eval(view)?)),
            BoolExpr::NumAmong(value, among) => {
                let value = value.eval(view)?;
                among.iter().try_fold(false, |found, other| Some(found | (other.eval(view)? == value)))
            }
            BoolExpr::TextAmong(value, among) => {
                let value = value.eval(view)?;
                among.iter().try_fold(false, |found, other| Some(found | (other.eval(view)? == value)))
            }
            BoolExpr::Find(find, text, needle) => {
                let (text, needle) = (text.eval(view)?, needle.eval(view)?);
                Some(match find {
                    Find::Start => text.starts_with(needle),
                    Find::End => text.ends_with(needle),
                    Find::Anywhere => text.contains(needle),
                })
            }
            BoolExpr::Matches(text, pattern, lift) => {
                // A missing text is undecided, whatever the stage found.
                let text = text.eval(view)?;
                let found = lift.and_then(|lift| view.lifted(lift));
                Some(found.unwrap_or_else(|| pattern.is_match(text)))
            }
            BoolExpr::Interpreted(program) => program.eval_bool(view),
        }
    }
}

/// `&&` (`decisive` false) or `||` (`decisive` true): a decisive operand decides even beside an error.
#[inline]
fn join<V: SlotView + ?Sized>(operands: &[BoolExpr], decisive: bool, view: &V) -> Option<bool> {
    let mut result = Some(!decisive);
    for operand in operands {
        match operand.eval(view) {
            Some(value) if value == decisive => return Some(decisive),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}

impl NumExpr {
    pub fn eval<V: SlotView + ?Sized>(&self, view: &V) -> Option<i64> {
        match self {
            NumExpr::Const(value) => Some(*value),
            NumExpr::Fail => None,
            NumExpr::Slot(NumKind::Time, slot) => match view.value(*slot) {
                Some(Value::Time(ms)) if TIME_MS.contains(&ms) => Some(ms),
                _ => None,
            },
            NumExpr::Slot(_, slot) => match view.value(*slot) {
                Some(Value::Int(value)) => Some(value),
                _ => None,
            },
            NumExpr::Negate(operand) => operand.eval(view)?.checked_neg(),
            NumExpr::Arithmetic(op, kind, sides) => {
                let value = calculate(*op, sides.0.eval(view)?, sides.1.eval(view)?)?;
                let fits = match kind {
                    NumKind::Int => true,
                    NumKind::Time => TIME_MS.contains(&value),
                    NumKind::Duration => DURATION_MS.contains(&value),
                };
                fits.then_some(value)
            }
            NumExpr::If(parts) => {
                let (condition, yes, no) = &**parts;
                if condition.eval(view)? { yes.eval(view) } else { no.eval(view) }
            }
            NumExpr::Size(text) => Some(text.eval(view)?.chars().count() as i64),
            NumExpr::Part(part, of) => Some(part.of(of.eval(view)?)),
            NumExpr::Seconds(of) => Some(of.eval(view)?.div_euclid(1000)),
            NumExpr::Interpreted(program) => program.eval_int(view),
        }
    }
}

#[inline]
fn calculate(op: Arithmetic, a: i64, b: i64) -> Option<i64> {
    match op {
        Arithmetic::Add => a.checked_add(b),
        Arithmetic::Subtract => a.checked_sub(b),
        Arithmetic::Multiply => a.checked_mul(b),
        Arithmetic::Divide => a.checked_div(b),
        Arithmetic::Remainder => a.checked_rem(b),
    }
}

impl TextExpr {
    pub fn eval<'a, V: SlotView + ?Sized>(&'a self, view: &'a V) -> Option<&'a str> {
        match self {
            TextExpr::Const(text) => Some(text),
            TextExpr::Fail => None,
            TextExpr::Slot(slot) => match view.value(*slot) {
                Some(Value::Text(text)) => Some(text),
                _ => None,
            },
            TextExpr::If(parts) => {
                let (condition, yes, no) = &**parts;
                if condition.eval(view)? { yes.eval(view) } else { no.eval(view) }
            }
        }
    }
}
