//! The checker's operators: comparisons, arithmetic, `in`, `?:`, and macros over lists. Which operands they take, and the
//! node of the typed tree they become.

use super::check::{Checked, Checker, Form, RESULT, Ty, Type, Typed};
use super::program::{Arithmetic, BoolExpr, Comparison, NumExpr, NumKind, TextExpr};
use crate::limits::MACRO_STEPS_MAX;
use cel::common::ast::{ComprehensionExpr, Expr, IdedExpr, operators};

impl Checker<'_> {
    pub(super) fn negate(&mut self, expr: &IdedExpr, operand: &IdedExpr) -> Checked {
        let typed = self.check(operand)?;
        match (typed.ty, typed.form) {
            (Ty::One(Type::Int), Form::Num(num)) => {
                Some(Typed::new(Type::Int, Form::Num(NumExpr::negate(num))))
            }
            (Ty::One(Type::Int), form) => Some(Typed { ty: Ty::One(Type::Int), form, loops: typed.loops }),
            (ty, _) => self.refuse_expr(expr, format!("- takes int, not {}", ty.name())),
        }
    }

    pub(super) fn choose(&mut self, expr: &IdedExpr, args: &[IdedExpr]) -> Checked {
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

    pub(super) fn is_in(&mut self, expr: &IdedExpr, value: &IdedExpr, list: &IdedExpr) -> Checked {
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

    pub(super) fn compare(
        &mut self,
        expr: &IdedExpr,
        comparison: Comparison,
        a: &IdedExpr,
        b: &IdedExpr,
    ) -> Checked {
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

    pub(super) fn arithmetic(
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
    pub(super) fn comprehension(&mut self, c: &ComprehensionExpr) -> Checked {
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

/// The comparison of an operator's name.
pub(super) fn comparison(operator: &str) -> Option<Comparison> {
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

/// The operation of an operator's name, and its sign.
pub(super) fn arithmetic(operator: &str) -> Option<(Arithmetic, &'static str)> {
    Some(match operator {
        operators::ADD => (Arithmetic::Add, "+"),
        operators::SUBSTRACT => (Arithmetic::Subtract, "-"),
        operators::MULTIPLY => (Arithmetic::Multiply, "*"),
        operators::DIVIDE => (Arithmetic::Divide, "/"),
        operators::MODULO => (Arithmetic::Remainder, "%"),
        _ => return None,
    })
}
