//! The type checker: names against the schema, operands against operators, every error with its place and, for a
//! name, the nearest one. What passes is lowered to the typed tree in the same walk; what the tree cannot hold is left
//! to the interpreter at the nearest boolean or integer.

use super::interpreted::Interpreted;
use super::operators::{arithmetic, comparison};
use super::program::{BoolExpr, NumExpr, NumKind, TextExpr};
use super::syntax::{HAS_NAME, Syntax};
use crate::domain::{Schema, SlotId, ValueType};
use crate::error::{Error, ErrorKind, nearest};
use crate::limits::EXPRESSION_DEPTH_MAX;
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};
use std::sync::Arc;

/// The accumulator that macros are written with.
pub(super) const RESULT: &str = "@result";

/// The type of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Int,
    Text,
    Time,
    Duration,
}

impl Type {
    pub fn name(self) -> &'static str {
        match self {
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Text => "string",
            Type::Time => "timestamp",
            Type::Duration => "duration",
        }
    }
}

/// The type of any sub-expression: one value, or a list of at most so many (`None`: of nothing yet).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ty {
    One(Type),
    List(Option<Type>, usize),
}

impl Ty {
    pub fn name(self) -> String {
        match self {
            Ty::One(ty) => ty.name().into(),
            Ty::List(Some(of), _) => format!("list of {}", of.name()),
            Ty::List(None, _) => "empty list".into(),
        }
    }
}

/// The typed tree of a sub-expression.
#[derive(Debug, Clone)]
pub(super) enum Form {
    Bool(BoolExpr),
    Num(NumExpr),
    Text(TextExpr),
    List(Vec<Form>),
    /// Well typed, but only the interpreter can evaluate it.
    None,
}

/// A checked sub-expression. `loops`: it depends on a macro's variable.
pub(super) struct Typed {
    pub ty: Ty,
    pub form: Form,
    pub loops: bool,
}

impl Typed {
    pub fn new(ty: Type, form: Form) -> Typed {
        Typed { ty: Ty::One(ty), form, loops: false }
    }
}

/// A checked sub-expression, or nothing when its errors have been reported.
pub(super) type Checked = Option<Typed>;

pub(super) struct Checker<'a> {
    pub schema: &'a Schema,
    pub syntax: &'a Syntax<'a>,
    pub errors: Vec<Error>,
    /// Slots read, in the order of the text.
    pub slots: Vec<SlotId>,
    /// The variables of the macros around: name, type, whether it is the author's own.
    pub(super) variables: Vec<(String, Ty, bool)>,
    /// How often the macros around run what is checked now.
    pub(super) steps: usize,
    depth: usize,
}

/// The dotted path that an expression spells: `a.b`, `lists["x-y"]`.
pub(super) fn path_of(expr: &IdedExpr) -> Option<String> {
    match &expr.expr {
        Expr::Ident(name) if name != RESULT => Some(name.clone()),
        Expr::Select(select) => Some(format!("{}.{}", path_of(&select.operand)?, select.field)),
        Expr::Call(CallExpr { func_name, target: None, args }) if func_name == operators::INDEX => {
            match (path_of(args.first()?)?, &args.get(1)?.expr) {
                (path, Expr::Literal(LiteralValue::String(name))) => Some(format!("{path}.{}", name.inner())),
                _ => None,
            }
        }
        _ => None,
    }
}

fn root_of(expr: &IdedExpr) -> Option<&str> {
    match &expr.expr {
        Expr::Ident(name) => Some(name),
        Expr::Select(select) => root_of(&select.operand),
        Expr::Call(call) if call.func_name == operators::INDEX => root_of(call.args.first()?),
        _ => None,
    }
}

impl<'a> Checker<'a> {
    pub fn new(schema: &'a Schema, syntax: &'a Syntax<'a>) -> Self {
        Checker {
            schema,
            syntax,
            errors: Vec::new(),
            slots: Vec::new(),
            variables: Vec::new(),
            steps: 1,
            depth: 0,
        }
    }

    /// Reports an error at a byte of the text.
    pub fn refuse<T>(&mut self, at: usize, message: impl Into<String>) -> Option<T> {
        self.errors.push(Error::new(ErrorKind::Invalid, message).at(self.syntax.source.place(at)));
        None
    }
    /// Reports an error at the beginning of an expression.
    pub fn refuse_expr<T>(&mut self, expr: &IdedExpr, message: impl Into<String>) -> Option<T> {
        self.refuse(self.syntax.start(expr), message)
    }

    /// Checks an expression.
    pub fn check(&mut self, expr: &IdedExpr) -> Checked {
        self.depth += 1;
        if self.depth > EXPRESSION_DEPTH_MAX {
            self.depth -= 1;
            let message = format!("expression is nested deeper than {EXPRESSION_DEPTH_MAX}");
            return self.refuse_expr(expr, message);
        }
        let checked = self.check_inner(expr);
        self.depth -= 1;
        checked
    }

    fn check_inner(&mut self, expr: &IdedExpr) -> Checked {
        match &expr.expr {
            Expr::Literal(literal) => self.literal(expr, literal),
            Expr::List(list) if list.optional_indices.is_empty() => self.list(&list.elements),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Select(select) if select.test => self.has(expr, expr),
            Expr::Ident(_) | Expr::Select(_) => self.name(expr),
            Expr::Call(call) => self.call(expr, call),
            Expr::Map(_) | Expr::Struct(_) => {
                self.refuse_expr(expr, "maps and messages are not supported in rules")
            }
            _ => self.refuse_expr(expr, "this is not supported in rules"),
        }
    }

    fn literal(&mut self, expr: &IdedExpr, literal: &LiteralValue) -> Checked {
        Some(match literal {
            LiteralValue::Boolean(b) => Typed::new(Type::Bool, Form::Bool(BoolExpr::Const(*b.inner()))),
            LiteralValue::Int(i) => Typed::new(Type::Int, Form::Num(NumExpr::Const(*i.inner()))),
            LiteralValue::String(s) => Typed::new(Type::Text, Form::Text(TextExpr::Const(s.inner().into()))),
            LiteralValue::Double(_) => {
                let text = self.syntax.text(expr).to_string();
                let message = format!(
                    "{text}: decimals are not supported; amounts are integers in minor units (12.50 EUR is 1250), shares per mille, scores 0 to 1000"
                );
                return self.refuse_expr(expr, message);
            }
            LiteralValue::UInt(_) => {
                return self.refuse_expr(expr, "unsigned integers are not supported; leave the `u` out");
            }
            LiteralValue::Null => {
                return self.refuse_expr(
                    expr,
                    "null is not supported; a slot that is not there is asked for by has(…)",
                );
            }
            LiteralValue::Bytes(_) => return self.refuse_expr(expr, "bytes are not supported in rules"),
        })
    }

    fn list(&mut self, elements: &[IdedExpr]) -> Checked {
        let (mut of, mut forms, mut loops) = (None, Vec::with_capacity(elements.len()), false);
        for element in elements {
            let typed = self.check(element)?;
            let Ty::One(ty) = typed.ty else {
                return self.refuse_expr(element, "lists of lists are not supported");
            };
            if of.is_some_and(|known| known != ty) {
                let known = of.map_or("", Type::name);
                return self.refuse_expr(element, format!("list mixes {known} and {}", ty.name()));
            }
            of = Some(ty);
            loops |= typed.loops;
            forms.push(typed.form);
        }
        let form = match forms.iter().any(|form| matches!(form, Form::None)) {
            true => Form::None,
            false => Form::List(forms),
        };
        Some(Typed { ty: Ty::List(of, elements.len()), form, loops })
    }

    /// A variable or a slot.
    fn name(&mut self, expr: &IdedExpr) -> Checked {
        let variable =
            root_of(expr).and_then(|root| self.variables.iter().rev().find(|(name, ..)| name == root));
        if let Some((name, ty, loops)) = variable {
            let (name, typed) = (name.clone(), Typed { ty: *ty, form: Form::None, loops: *loops });
            return match &expr.expr {
                Expr::Ident(_) => Some(typed),
                _ => self.refuse_expr(expr, format!("{name} is a {}, it has no fields", typed.ty.name())),
            };
        }
        let Some(path) = path_of(expr) else {
            return self.refuse_expr(expr, "only slots have fields here");
        };
        let slot = self.slot(expr, &path)?;
        let num = |kind| Form::Num(NumExpr::Slot(kind, slot));
        Some(match self.schema.def(slot).ty {
            ValueType::Int => Typed::new(Type::Int, num(NumKind::Int)),
            ValueType::Time => Typed::new(Type::Time, num(NumKind::Time)),
            ValueType::Bool => Typed::new(Type::Bool, Form::Bool(BoolExpr::Slot(slot))),
            ValueType::Text => Typed::new(Type::Text, Form::Text(TextExpr::Slot(slot))),
            opaque @ (ValueType::Tag | ValueType::Ip) => {
                let message = format!(
                    "{path} is opaque ({}): rules may ask has({path}), and lists whether it is on them",
                    opaque.name()
                );
                return self.refuse_expr(expr, message);
            }
        })
    }

    /// The slot of a path, noted as read.
    fn slot(&mut self, expr: &IdedExpr, path: &str) -> Option<SlotId> {
        if let Some(slot) = self.schema.find(path) {
            if !self.slots.contains(&slot) {
                self.slots.push(slot);
            }
            return Some(slot);
        }
        if self.schema.is_prefix(path) {
            let inside = |slot: &str| slot.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
            let fields = self.schema.slots().map(|(_, def)| def.path.as_str()).filter(|slot| inside(slot));
            let fields: Vec<&str> = fields.take(6).collect();
            let message = format!("{path} is a group, not a value; in it: {}", fields.join(", "));
            return self.refuse_expr(expr, message);
        }
        let near = nearest(path, self.schema.slots().map(|(_, def)| def.path.as_str()));
        let near = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
        self.refuse_expr(expr, format!("unknown name {path:?}{near}"))
    }

    /// `has(path)`; `path` is the presence test itself or, for a single name, the argument.
    fn has(&mut self, expr: &IdedExpr, path: &IdedExpr) -> Checked {
        if root_of(path).is_some_and(|root| self.variables.iter().any(|(name, ..)| name == root)) {
            return self.refuse_expr(expr, "has(…) asks for slots only");
        }
        let Some(spelled) = path_of(path) else {
            return self.refuse_expr(expr, "has(…) takes a slot's path");
        };
        let slot = self.slot(path, &spelled)?;
        Some(Typed::new(Type::Bool, Form::Bool(BoolExpr::Has(slot))))
    }

    fn call(&mut self, expr: &IdedExpr, call: &CallExpr) -> Checked {
        let [first, rest @ ..] = call.args.as_slice() else {
            return self.function(expr, call);
        };
        let second = rest.first().unwrap_or(first);
        match call.func_name.as_str() {
            operators::INDEX if path_of(expr).is_some() => self.name(expr),
            operators::INDEX => self.refuse_expr(expr, "indexing takes a constant name: lists[\"name\"]"),
            HAS_NAME if call.target.is_none() => self.has(expr, first),
            operators::NOT_STRICTLY_FALSE => self.check(first),
            operators::LOGICAL_AND | operators::LOGICAL_OR => {
                let (a, b) = (self.check_bool(first, "&& and ||"), self.check_bool(second, "&& and ||"));
                let ((a, al), (b, bl)) = (a?, b?);
                let all = call.func_name == operators::LOGICAL_AND;
                let form = a.zip(b).map_or(Form::None, |(a, b)| Form::Bool(BoolExpr::join(all, [a, b])));
                Some(Typed { ty: Ty::One(Type::Bool), form, loops: al || bl })
            }
            operators::LOGICAL_NOT => {
                let (operand, loops) = self.check_bool(first, "!")?;
                let form = operand.map_or(Form::None, |operand| Form::Bool(BoolExpr::not(operand)));
                Some(Typed { ty: Ty::One(Type::Bool), form, loops })
            }
            operators::NEGATE => self.negate(expr, first),
            operators::CONDITIONAL => self.choose(expr, &call.args),
            operators::IN => self.is_in(expr, first, second),
            name => match (comparison(name), arithmetic(name)) {
                (Some(comparison), _) => self.compare(expr, comparison, first, second),
                (_, Some((op, sign))) => self.arithmetic(expr, op, sign, first, second),
                _ => self.function(expr, call),
            },
        }
    }

    /// A boolean operand as a tree: what only the interpreter can evaluate becomes a leaf of its own. `None` inside
    /// a macro, whose whole is left to the interpreter.
    pub(super) fn check_bool(&mut self, expr: &IdedExpr, operator: &str) -> Option<(Option<BoolExpr>, bool)> {
        let typed = self.check(expr)?;
        if typed.ty != Ty::One(Type::Bool) {
            let message = format!("{operator} takes bool, not {}", typed.ty.name());
            return self.refuse_expr(expr, message);
        }
        let loops = typed.loops;
        Some((self.as_bool(expr, typed.form), loops))
    }

    /// A boolean form as a tree.
    pub fn as_bool(&self, expr: &IdedExpr, form: Form) -> Option<BoolExpr> {
        match form {
            Form::Bool(tree) => Some(tree),
            _ if !self.variables.is_empty() => None,
            _ => {
                let program = Interpreted::new(expr, self.schema);
                Some(match program.is_constant() {
                    true => program.eval_bool(&super::eval::NoSlots).map_or(BoolExpr::Fail, BoolExpr::Const),
                    false => BoolExpr::Interpreted(Arc::new(program)),
                })
            }
        }
    }
}
