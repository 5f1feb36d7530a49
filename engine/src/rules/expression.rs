//! A compiled expression of any type, and the predicate: one of type bool, as feature filters use it.

use super::calendar::rfc3339;
use super::check::{Checker, Form, Ty, Type};
use super::interpreted::Interpreted;
use super::program::{BoolExpr, NumExpr, TextExpr};
use super::source::Source;
use super::syntax::Syntax;
use crate::calibration::Calibration;
use crate::domain::{Schema, SlotId, SlotView};
use crate::error::{Error, ErrorKind};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A value that an expression came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Computed<'a> {
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// Text.
    Text(Cow<'a, str>),
    /// ms since the Unix epoch.
    Time(i64),
    /// A span of time in ms.
    Duration(i64),
}

impl fmt::Display for Computed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Computed::Bool(value) => write!(f, "{value}"),
            Computed::Int(value) => write!(f, "{value}"),
            Computed::Text(value) => write!(f, "{value:?}"),
            Computed::Time(ms) => f.write_str(&rfc3339(*ms)),
            Computed::Duration(ms) => write!(f, "{ms} ms"),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    Bool(BoolExpr),
    Int(NumExpr),
    Time(NumExpr),
    Duration(NumExpr),
    Text(TextExpr),
    Other(Arc<Interpreted>),
}

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Expression {
    pub(super) body: Body,
    slots: Vec<SlotId>,
}

impl Expression {
    /// Parses, type-checks and lowers an expression.
    ///
    /// # Errors
    /// All errors found, each with its place in the source's file: `Malformed` for what is not CEL, `Invalid` for
    /// unknown names and wrong types, `TooLarge` past a bound of `limits.rs`.
    pub fn compile(source: &Source, schema: &Schema) -> Result<Expression, Vec<Error>> {
        let syntax = Syntax::parse(source)?;
        let mut checker = Checker::new(schema, &syntax);
        let checked = checker.check(&syntax.root);
        let Some(typed) = checked.filter(|_| checker.errors.is_empty()) else {
            return Err(checker.errors);
        };
        let interpreted = || Arc::new(Interpreted::new(&syntax.root, schema));
        let body = match (typed.ty, typed.form) {
            (Ty::One(Type::Bool), form) => {
                Body::Bool(checker.as_bool(&syntax.root, form).expect("outside macros every bool has a tree"))
            }
            (Ty::One(Type::Int), Form::Num(num)) => Body::Int(num),
            (Ty::One(Type::Int), _) => Body::Int(NumExpr::Interpreted(interpreted())),
            (Ty::One(Type::Time), Form::Num(num)) => Body::Time(num),
            (Ty::One(Type::Duration), Form::Num(num)) => Body::Duration(num),
            (Ty::One(Type::Text), Form::Text(text)) => Body::Text(text),
            _ => Body::Other(interpreted()),
        };
        Ok(Expression { body, slots: checker.slots })
    }

    /// The slots it reads, in the order of the text.
    pub fn slots(&self) -> &[SlotId] {
        &self.slots
    }

    /// Its value over a row; `None` for a CEL error (a missing slot, an overflow …) and for a list.
    pub fn eval<'a, V: SlotView + ?Sized>(&'a self, view: &'a V) -> Option<Computed<'a>> {
        match &self.body {
            Body::Bool(tree) => tree.eval(view).map(Computed::Bool),
            Body::Int(tree) => tree.eval(view).map(Computed::Int),
            Body::Time(tree) => tree.eval(view).map(Computed::Time),
            Body::Duration(tree) => tree.eval(view).map(Computed::Duration),
            Body::Text(tree) => tree.eval(view).map(|text| Computed::Text(text.into())),
            Body::Other(program) => match program.eval(view)? {
                cel::Value::Bool(value) => Some(Computed::Bool(value)),
                cel::Value::Int(value) => Some(Computed::Int(value)),
                cel::Value::String(text) => Some(Computed::Text(Cow::Owned(text.to_string()))),
                cel::Value::Timestamp(time) => Some(Computed::Time(time.timestamp_millis())),
                cel::Value::Duration(span) => Some(Computed::Duration(span.num_milliseconds())),
                _ => None,
            },
        }
    }

    /// The name of its type, as in messages.
    pub fn type_name(&self) -> &'static str {
        match &self.body {
            Body::Bool(_) => "bool",
            Body::Int(_) => "int",
            Body::Time(_) => "timestamp",
            Body::Duration(_) => "duration",
            Body::Text(_) => "string",
            Body::Other(_) => "another type",
        }
    }
}

/// A condition: an expression of type bool.
#[derive(Debug, Clone)]
pub struct Predicate {
    pub(super) tree: BoolExpr,
    slots: Vec<SlotId>,
}

impl Predicate {
    /// Compiles a condition. Feature filters are compiled against `Schema::new()`, the transaction's own fields.
    ///
    /// # Errors
    /// As [`Expression::compile`]; `Invalid` also when the expression is not of type bool.
    pub fn compile(source: &Source, schema: &Schema) -> Result<Predicate, Vec<Error>> {
        let expression = Expression::compile(source, schema)?;
        match expression.body {
            Body::Bool(tree) => Ok(Predicate { tree, slots: expression.slots }),
            _ => {
                let message = format!("condition must be bool, not {}", expression.type_name());
                Err(vec![Error::new(ErrorKind::Invalid, message).at(source.place(0))])
            }
        }
    }
    /// The slots it reads, in the order of the text.
    pub fn slots(&self) -> &[SlotId] {
        &self.slots
    }
    /// Whether it holds; `None` when it is undecided.
    #[inline]
    pub fn eval<V: SlotView + ?Sized>(&self, view: &V) -> Option<bool> {
        self.tree.eval(view)
    }
    /// For a condition that reads no slot, what it always comes to (`Some(None)`: always undecided).
    pub fn constant(&self) -> Option<Option<bool>> {
        self.tree.is_constant().then(|| self.tree.eval(&super::eval::NoSlots))
    }
    /// Static cost, an estimate in ps; see `docs/PACKS.md`, "Budgets".
    pub fn cost_ps(&self, costs: &Calibration) -> u64 {
        self.tree.cost_ps(costs)
    }
    /// Whether part of it is run by the `cel` interpreter, which allocates.
    pub fn is_interpreted(&self) -> bool {
        self.tree.is_interpreted()
    }
}
