//! The type checker: names against the schema, operands against operators, every error with its place and, for a
//! name, the nearest one. What passes is lowered to the typed tree in the same walk; what the tree cannot hold is left
//! to the interpreter at the nearest boolean or integer.

use super::interpreted::Interpreted;
use super::program::{Arithmetic, BoolExpr, Comparison, NumExpr, NumKind, TextExpr};
use super::syntax::{HAS_NAME, Syntax};
use crate::domain::{Schema, SlotId, ValueType};
use crate::error::{Error, ErrorKind, nearest};
use crate::limits::{EXPRESSION_DEPTH_MAX, MACRO_STEPS_MAX};
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};
use std::sync::Arc;

/// The accumulator that macros are written with.
const RESULT: &str = "@result";

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
    variables: Vec<(String, Ty, bool)>,
    steps: usize,
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
    fn check_bool(&mut self, expr: &IdedExpr, operator: &str) -> Option<(Option<BoolExpr>, bool)> {
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

    fn negate(&mut self, expr: &IdedExpr, operand: &IdedExpr) -> Checked {
        let typed = self.check(operand)?;
        match (typed.ty, typed.form) {
            (Ty::One(Type::Int), Form::Num(num)) => {
                Some(Typed::new(Type::Int, Form::Num(NumExpr::negate(num))))
            }
            (Ty::One(Type::Int), form) => Some(Typed { ty: Ty::One(Type::Int), form, loops: typed.loops }),
            (ty, _) => self.refuse_expr(expr, format!("- takes int, not {}", ty.name())),
        }
    }

    fn choose(&mut self, expr: &IdedExpr, args: &[IdedExpr]) -> Checked {
        let [condition, yes, no] = args else {
            return self.refuse_expr(expr, "? takes three parts");
        };
        let condition = self.check_bool(condition, "the condition of ?");
        let (yes, no) = (self.check(yes), self.check(no));
        let ((condition, loops), yes, no) = (condition?, yes?, no?);
        let ty = match (yes.ty, no.ty) {
            (Ty::List(a, long), Ty::List(b, other)) if a == b || a.is_none() || b.is_none() => {
                Ty::List(a.or(b), long.max(other))
            }
            (a, b) if a == b => a,
            (a, b) => {
                let message =
                    format!("both values of ? must have one type, not {} and {}", a.name(), b.name());
                return self.refuse_expr(expr, message);
            }
        };
        let form = match (condition, yes.form, no.form) {
            (Some(c), Form::Bool(a), Form::Bool(b)) => Form::Bool(BoolExpr::choose(c, a, b)),
            (Some(c), Form::Num(a), Form::Num(b)) => Form::Num(NumExpr::choose(c, a, b)),
            (Some(c), Form::Text(a), Form::Text(b)) => Form::Text(TextExpr::choose(c, a, b)),
            _ => Form::None,
        };
        Some(Typed { ty, form, loops: loops || yes.loops || no.loops })
    }

    fn is_in(&mut self, expr: &IdedExpr, value: &IdedExpr, list: &IdedExpr) -> Checked {
        let (value, list) = (self.check(value), self.check(list));
        let (value, list) = (value?, list?);
        let loops = value.loops || list.loops;
        let of = match (value.ty, list.ty) {
            (Ty::One(ty), Ty::List(of, _)) if of.is_none_or(|of| of == ty) => ty,
            (a, b) => {
                let message =
                    format!("in takes a value and a list of its type, not {} and {}", a.name(), b.name());
                return self.refuse_expr(expr, message);
            }
        };
        let form = match (of, value.form, list.form) {
            (Type::Text, Form::Text(value), Form::List(forms)) => {
                let texts = forms.into_iter().filter_map(|form| match form {
                    Form::Text(text) => Some(text),
                    _ => None,
                });
                Form::Bool(BoolExpr::text_in(value, texts.collect()))
            }
            (_, Form::Num(value), Form::List(forms)) => {
                let numbers = forms.into_iter().filter_map(|form| match form {
                    Form::Num(num) => Some(num),
                    _ => None,
                });
                Form::Bool(BoolExpr::num_in(value, numbers.collect()))
            }
            _ => Form::None,
        };
        Some(Typed { ty: Ty::One(Type::Bool), form, loops })
    }

    fn compare(&mut self, expr: &IdedExpr, comparison: Comparison, a: &IdedExpr, b: &IdedExpr) -> Checked {
        let (a, b) = (self.check(a), self.check(b));
        let (a, b) = (a?, b?);
        let loops = a.loops || b.loops;
        let equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        let comparable = match (a.ty, b.ty) {
            (Ty::One(a), Ty::One(b)) => a == b,
            (Ty::List(a, _), Ty::List(b, _)) => equality && (a == b || a.is_none() || b.is_none()),
            _ => false,
        };
        if !comparable {
            let message = format!("cannot compare {} with {}", a.ty.name(), b.ty.name());
            return self.refuse(self.syntax.mark(expr), message);
        }
        let form = match (a.form, b.form) {
            (Form::Bool(a), Form::Bool(b)) => Form::Bool(BoolExpr::compare_bool(comparison, a, b)),
            (Form::Num(a), Form::Num(b)) => Form::Bool(BoolExpr::compare_num(comparison, a, b)),
            (Form::Text(a), Form::Text(b)) => Form::Bool(BoolExpr::compare_text(comparison, a, b)),
            _ => Form::None,
        };
        Some(Typed { ty: Ty::One(Type::Bool), form, loops })
    }

    fn arithmetic(
        &mut self,
        expr: &IdedExpr,
        op: Arithmetic,
        sign: &str,
        a: &IdedExpr,
        b: &IdedExpr,
    ) -> Checked {
        let accumulates = matches!(&a.expr, Expr::Ident(name) if name == RESULT);
        let (a, b) = (self.check(a), self.check(b));
        let (a, b) = (a?, b?);
        let loops = a.loops || b.loops;
        let (ty, kind) = match (op, a.ty, b.ty) {
            (_, Ty::One(Type::Int), Ty::One(Type::Int)) => (Type::Int, NumKind::Int),
            (Arithmetic::Add, Ty::One(Type::Text), Ty::One(Type::Text)) if loops => {
                let message = "joining strings is not supported inside a macro (it could grow without bound)";
                return self.refuse(self.syntax.mark(expr), message);
            }
            (Arithmetic::Add, Ty::One(Type::Text), Ty::One(Type::Text)) => {
                let form = match (a.form, b.form) {
                    (Form::Text(TextExpr::Const(a)), Form::Text(TextExpr::Const(b))) => {
                        Form::Text(TextExpr::Const(format!("{a}{b}").into()))
                    }
                    _ => Form::None,
                };
                return Some(Typed::new(Type::Text, form));
            }
            (Arithmetic::Add, Ty::List(a, _), Ty::List(b, long)) if accumulates => {
                return Some(Typed { ty: Ty::List(b.or(a), long), form: Form::None, loops });
            }
            (Arithmetic::Add, Ty::One(Type::Time), Ty::One(Type::Duration))
            | (Arithmetic::Add, Ty::One(Type::Duration), Ty::One(Type::Time))
            | (Arithmetic::Subtract, Ty::One(Type::Time), Ty::One(Type::Duration)) => {
                (Type::Time, NumKind::Time)
            }
            (Arithmetic::Subtract, Ty::One(Type::Time), Ty::One(Type::Time))
            | (Arithmetic::Add | Arithmetic::Subtract, Ty::One(Type::Duration), Ty::One(Type::Duration)) => {
                (Type::Duration, NumKind::Duration)
            }
            (_, a, b) => {
                let message = format!("no {sign} for {} and {}", a.name(), b.name());
                return self.refuse(self.syntax.mark(expr), message);
            }
        };
        let form = match (a.form, b.form) {
            (Form::Num(a), Form::Num(b)) => Form::Num(NumExpr::arithmetic(op, kind, a, b)),
            _ => Form::None,
        };
        Some(Typed { ty: Ty::One(ty), form, loops })
    }

    /// A macro over a list, as the parser writes it out. Its types are checked; the interpreter runs it.
    fn comprehension(&mut self, c: &ComprehensionExpr) -> Checked {
        let range = self.check(&c.iter_range)?;
        let Ty::List(of, length) = range.ty else {
            let message = format!("macros run over lists, not {}", range.ty.name());
            return self.refuse_expr(&c.iter_range, message);
        };
        let steps = self.steps.saturating_mul(length.max(1));
        if steps > MACRO_STEPS_MAX {
            let message = format!("macro would take {steps} steps, limit {MACRO_STEPS_MAX}");
            return self.refuse_expr(&c.iter_range, message);
        }
        let outer = std::mem::replace(&mut self.steps, steps);
        // An empty list has no type; anything it is compared with is as good as int.
        let element = Ty::One(of.unwrap_or(Type::Int));
        let checked = self.check(&c.accu_init).and_then(|init| {
            let depth = self.variables.len();
            self.variables.push((c.iter_var.clone(), element, true));
            self.variables.push((RESULT.into(), init.ty, false));
            let step = self.check(&c.loop_step).map(|step| step.ty);
            let step = step.map(|ty| match ty {
                Ty::List(of, _) => Ty::List(of, length),
                one => one,
            });
            self.variables.truncate(depth);
            let result = step.and_then(|ty| {
                self.variables.push((RESULT.into(), ty, false));
                let result = self.check(&c.result);
                self.variables.truncate(depth);
                result
            })?;
            Some(Typed { ty: result.ty, form: Form::None, loops: range.loops || !self.variables.is_empty() })
        });
        self.steps = outer;
        checked
    }
}

fn comparison(operator: &str) -> Option<Comparison> {
    Some(match operator {
        operators::EQUALS => Comparison::Equal,
        operators::NOT_EQUALS => Comparison::NotEqual,
        operators::LESS => Comparison::Less,
        operators::LESS_EQUALS => Comparison::LessOrEqual,
        operators::GREATER => Comparison::Greater,
        operators::GREATER_EQUALS => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

fn arithmetic(operator: &str) -> Option<(Arithmetic, &'static str)> {
    Some(match operator {
        operators::ADD => (Arithmetic::Add, "+"),
        operators::SUBSTRACT => (Arithmetic::Subtract, "-"),
        operators::MULTIPLY => (Arithmetic::Multiply, "*"),
        operators::DIVIDE => (Arithmetic::Divide, "/"),
        operators::MODULO => (Arithmetic::Remainder, "%"),
        _ => return None,
    })
}
