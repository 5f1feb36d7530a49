//! Why a rule hit, missed or was undecided: its boolean structure with the text, the truth and the values read of
//! every part. Parsed anew when somebody asks, so the path keeps nothing for it.

use super::calendar::rfc3339;
use super::check::Checker;
use super::ruleset::{Rule, RuleSet, Undecided};
use super::source::Source;
use super::syntax::Syntax;
use crate::domain::{Field, Schema, Sensitivity, SlotId, SlotView, Value};
use cel::common::ast::{CallExpr, Expr, IdedExpr, operators};
use std::fmt;

/// How the parts of an expression make its truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// It has no parts: a comparison, a search, a slot.
    Atom,
    /// `&&`
    All,
    /// `||`
    Any,
    /// `!`
    Not,
    /// `condition ? yes : no`, in this order.
    If,
}

/// A slot that a part read.
#[derive(Clone, PartialEq, Eq)]
pub struct Read {
    /// The slot.
    pub slot: SlotId,
    /// Its path.
    pub path: String,
    /// Its unit; empty for none.
    pub unit: String,
    /// Its value as people read it (text in quotes, times as RFC 3339); `None` when it is missing.
    pub value: Option<String>,
    /// Whether the value is a name or free text, which not every reader may see.
    pub sealed: bool,
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.sealed && self.value.is_some() { Some("…") } else { self.value.as_deref() };
        f.debug_struct("Read").field("path", &self.path).field("value", &value).finish()
    }
}

/// A part of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// Its text, as written.
    pub text: String,
    /// What it came to; `None`: undecided.
    pub truth: Option<bool>,
    /// How its parts make it.
    pub join: Join,
    /// Its parts; empty for an atom.
    pub parts: Vec<Explained>,
    /// The slots an atom read.
    pub reads: Vec<Read>,
}

impl Explained {
    /// The atoms, in the order of the text.
    pub fn atoms(&self) -> Vec<&Explained> {
        match self.join {
            Join::Atom => vec![self],
            _ => self.parts.iter().flat_map(Explained::atoms).collect(),
        }
    }
}

/// Why a rule came to what it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// `pack/rule`.
    pub rule: String,
    /// The rule's title.
    pub title: String,
    /// What the rule came to: a score for a hit, `Ok(None)` for a miss.
    pub result: Result<Option<u16>, Undecided>,
    /// The condition.
    pub when: Explained,
}

impl RuleSet {
    /// Explains one rule over a row. `schema` is the one the rules were compiled against.
    ///
    /// # Panics
    /// When there is no such rule.
    pub fn explain<V: SlotView + ?Sized>(&self, number: u32, schema: &Schema, view: &V) -> Explanation {
        self.rule(number).explain(schema, view)
    }
}

impl Rule {
    /// Explains the rule over a row. `schema` is the one it was compiled against.
    pub fn explain<V: SlotView + ?Sized>(&self, schema: &Schema, view: &V) -> Explanation {
        let source = self.source();
        Explanation {
            rule: source.id.clone(),
            title: source.title.clone(),
            result: self.eval(view),
            when: explain(&source.when, schema, view),
        }
    }
}

fn explain<V: SlotView + ?Sized>(source: &Source, schema: &Schema, view: &V) -> Explained {
    let syntax = Syntax::parse(source).unwrap_or_else(|_| panic!("a compiled rule parses again"));
    Explainer { syntax: &syntax, schema, view }.part(&syntax.root)
}

struct Explainer<'a, V: ?Sized> {
    syntax: &'a Syntax<'a>,
    schema: &'a Schema,
    view: &'a V,
}

impl<V: SlotView + ?Sized> Explainer<'_, V> {
    fn part(&self, expr: &IdedExpr) -> Explained {
        let mut checker = Checker::new(self.schema, self.syntax);
        let typed = checker.check(expr);
        let tree = typed.and_then(|typed| checker.as_bool(expr, typed.form));
        let truth = tree.and_then(|tree| tree.eval(self.view));
        let (join, operands) = structure(expr);
        let parts: Vec<Explained> = operands.into_iter().map(|operand| self.part(operand)).collect();
        let reads = match join {
            Join::Atom => checker.slots.iter().map(|slot| self.read(*slot)).collect(),
            _ => Vec::new(),
        };
        Explained { text: self.syntax.text(expr).to_string(), truth, join, parts, reads }
    }

    fn read(&self, slot: SlotId) -> Read {
        let def = self.schema.def(slot);
        let field = u8::try_from(slot.0).ok().and_then(Field::from_number);
        let value = self.view.value(slot).map(|value| match value {
            Value::Int(value) => value.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Text(text) => format!("{text:?}"),
            Value::Time(ms) if super::calendar::TIME_MS.contains(&ms) => rfc3339(ms),
            Value::Time(ms) => format!("{ms} ms"),
            Value::Ip(ip) => ip.to_string(),
            Value::Present => "present".into(),
        });
        Read {
            slot,
            path: def.path.clone(),
            unit: def.unit.clone(),
            value,
            sealed: field.is_some_and(|field| field.def().sensitivity == Sensitivity::Sealed),
        }
    }
}

/// The boolean structure at the top of an expression; chains of one operator are one node.
fn structure(expr: &IdedExpr) -> (Join, Vec<&IdedExpr>) {
    let Expr::Call(CallExpr { func_name, target: None, args }) = &expr.expr else {
        return (Join::Atom, Vec::new());
    };
    match func_name.as_str() {
        operators::LOGICAL_NOT => (Join::Not, args.iter().collect()),
        operators::CONDITIONAL => (Join::If, args.iter().collect()),
        operator @ (operators::LOGICAL_AND | operators::LOGICAL_OR) => {
            let mut operands = Vec::new();
            chain(expr, operator, &mut operands);
            (if operator == operators::LOGICAL_AND { Join::All } else { Join::Any }, operands)
        }
        _ => (Join::Atom, Vec::new()),
    }
}

fn chain<'a>(expr: &'a IdedExpr, operator: &str, operands: &mut Vec<&'a IdedExpr>) {
    match &expr.expr {
        Expr::Call(call) if call.func_name == operator => {
            call.args.iter().for_each(|arg| chain(arg, operator, operands));
        }
        _ => operands.push(expr),
    }
}

/// The name of a three-valued truth.
fn truth_name(truth: Option<bool>) -> &'static str {
    match truth {
        Some(true) => "true",
        Some(false) => "false",
        None => "undecided",
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 1)
    }
}

impl Explained {
    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let what = match self.join {
            Join::Atom => self.text.split_whitespace().collect::<Vec<_>>().join(" "),
            Join::All => "all of".into(),
            Join::Any => "any of".into(),
            Join::Not => "not".into(),
            Join::If => "if, then, else".into(),
        };
        write!(f, "{:width$}{:<9}  {what}", "", truth_name(self.truth), width = depth * 2)?;
        for (number, read) in self.reads.iter().enumerate() {
            f.write_str(if number == 0 { "   [" } else { ", " })?;
            match &read.value {
                Some(value) => write!(f, "{} = {value}", read.path)?,
                None => write!(f, "{} is missing", read.path)?,
            }
        }
        writeln!(f, "{}", if self.reads.is_empty() { "" } else { "]" })?;
        self.parts.iter().try_for_each(|part| part.write(f, depth + 1))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let result = match self.result {
            Ok(Some(score)) => format!("hit, score {score}"),
            Ok(None) => "miss".to_string(),
            Err(Undecided) => "undecided".to_string(),
        };
        writeln!(f, "{} ({}): {result}", self.rule, self.title)?;
        write!(f, "{}", self.when)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::{Transaction, TransactionKind};
    use crate::error::Place;

    struct Row(Transaction);
    impl SlotView for Row {
        fn value(&self, slot: SlotId) -> Option<Value<'_>> {
            self.0.get(Field::from_number(u8::try_from(slot.0).ok()?)?)
        }
    }

    #[test]
    fn every_part_says_what_it_read() {
        let schema = Schema::new();
        let mut tx = Transaction::new("acme".into(), TransactionKind::Request, 0);
        tx.set_int(Field::AmountMinor, 500);
        tx.set_text(Field::PayerName, "Ana");
        let row = Row(tx);
        let text = "amount.minor > 100 && (corridor == 'FR-RU' || payer.name == 'Ana') && !(has(channel))";
        let when = explain(&Source::new(text, Place::file("f")), &schema, &row);
        assert_eq!((when.join, when.truth, when.parts.len()), (Join::All, Some(true), 3));
        let atoms: Vec<_> = when.atoms().into_iter().map(|atom| (atom.text.as_str(), atom.truth)).collect();
        let expected = [
            ("amount.minor > 100", Some(true)),
            ("corridor == 'FR-RU'", None),
            ("payer.name == 'Ana'", Some(true)),
            ("has(channel)", Some(false)),
        ];
        assert_eq!(atoms, expected);
        assert!(!format!("{when:?}").contains("\\\"Ana\\\""), "debug output holds no names");
        let told = when.to_string();
        assert!(told.contains("undecided  corridor == 'FR-RU'   [corridor is missing]"), "{told}");
    }
}
