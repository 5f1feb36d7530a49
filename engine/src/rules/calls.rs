//! The functions that rules may call, with the types they take. Conversions of constants are left to the `cel`
//! library, so that they mean exactly what CEL says.

use super::calendar::Part;
use super::check::{Checked, Checker, Form, Ty, Type, Typed};
use super::interpreted::constant;
use super::program::{BoolExpr, Find, NumExpr, TextExpr};
use crate::error::nearest;
use crate::limits::PATTERN_PROGRAM_BYTES_MAX;
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue};

const FUNCTIONS: &[&str] = &[
    "startsWith",
    "endsWith",
    "contains",
    "matches",
    "size",
    "has",
    "int",
    "string",
    "timestamp",
    "duration",
    "exists",
    "all",
    "exists_one",
    "map",
    "filter",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfYear",
    "getDayOfWeek",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
];

impl Checker<'_> {
    /// A call of a function or method.
    pub(super) fn function(&mut self, expr: &IdedExpr, call: &CallExpr) -> Checked {
        let name = call.func_name.as_str();
        if !FUNCTIONS.contains(&name) {
            let near = nearest(name, FUNCTIONS.iter().copied());
            let near = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
            return self.refuse(self.syntax.mark(expr), format!("unknown function {name:?}{near}"));
        }
        let target = call.target.as_deref();
        match (name, target, call.args.as_slice()) {
            ("startsWith", Some(text), [needle]) => self.find(Find::Start, name, text, needle),
            ("endsWith", Some(text), [needle]) => self.find(Find::End, name, text, needle),
            ("contains", Some(text), [needle]) => self.find(Find::Anywhere, name, text, needle),
            ("matches", Some(text), [pattern]) | ("matches", None, [text, pattern]) => {
                self.matches(text, pattern)
            }
            ("size", Some(of), []) | ("size", None, [of]) => self.size(of),
            ("int" | "string" | "timestamp" | "duration", None, [of]) => self.convert(expr, name, of),
            (_, Some(of), []) if name.starts_with("get") => self.part(name, of),
            (_, Some(of), [zone]) if name.starts_with("get") => {
                if !matches!(&zone.expr, Expr::Literal(LiteralValue::String(s)) if s.inner() == "UTC") {
                    return self.refuse_expr(zone, "the only time zone is \"UTC\"");
                }
                self.part(name, of)
            }
            _ => self.refuse(self.syntax.mark(expr), format!("{name} is called with the wrong operands")),
        }
    }

    fn text(&mut self, expr: &IdedExpr, function: &str) -> Option<(Option<TextExpr>, bool)> {
        let typed = self.check(expr)?;
        match (typed.ty, typed.form) {
            (Ty::One(Type::Text), Form::Text(text)) => Some((Some(text), typed.loops)),
            (Ty::One(Type::Text), _) => Some((None, typed.loops)),
            (ty, _) => self.refuse_expr(expr, format!("{function} takes string, not {}", ty.name())),
        }
    }

    fn find(&mut self, find: Find, name: &str, text: &IdedExpr, needle: &IdedExpr) -> Checked {
        let (text, needle) = (self.text(text, name), self.text(needle, name));
        let ((text, a), (needle, b)) = (text?, needle?);
        let form = text.zip(needle).map_or(Form::None, |(t, n)| Form::Bool(BoolExpr::find(find, t, n)));
        Some(Typed { ty: Ty::One(Type::Bool), form, loops: a || b })
    }

    fn matches(&mut self, text: &IdedExpr, pattern: &IdedExpr) -> Checked {
        let text = self.text(text, "matches");
        let Expr::Literal(LiteralValue::String(literal)) = &pattern.expr else {
            return self
                .refuse_expr(pattern, "matches takes a constant pattern, so that it is compiled once");
        };
        let built = regex::RegexBuilder::new(literal.inner())
            .size_limit(PATTERN_PROGRAM_BYTES_MAX)
            .dfa_size_limit(PATTERN_PROGRAM_BYTES_MAX)
            .build();
        let compiled = match built {
            Ok(compiled) => compiled,
            Err(regex::Error::CompiledTooBig(limit)) => {
                let message = format!("pattern compiles to more than {limit} bytes, the limit");
                return self.refuse_expr(pattern, message);
            }
            Err(error) => {
                // The library draws the pattern over several lines; its last one says what is wrong.
                let error = error.to_string();
                let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                return self.refuse_expr(pattern, format!("pattern {:?}: {why}", literal.inner()));
            }
        };
        let (text, loops) = text?;
        let form = text.map_or(Form::None, |text| Form::Bool(BoolExpr::matches(text, compiled)));
        Some(Typed { ty: Ty::One(Type::Bool), form, loops })
    }

    fn size(&mut self, of: &IdedExpr) -> Checked {
        let typed = self.check(of)?;
        let form = match (typed.ty, typed.form) {
            (Ty::One(Type::Text), Form::Text(text)) => Form::Num(NumExpr::size(text)),
            (Ty::One(Type::Text) | Ty::List(..), _) => Form::None,
            (ty, _) => return self.refuse_expr(of, format!("size takes string or list, not {}", ty.name())),
        };
        Some(Typed { ty: Ty::One(Type::Int), form, loops: typed.loops })
    }

    fn part(&mut self, name: &str, of: &IdedExpr) -> Checked {
        let typed = self.check(of)?;
        let part = match typed.ty {
            Ty::One(Type::Time) => Part::of_time(name),
            Ty::One(Type::Duration) => Part::of_duration(name),
            _ => None,
        };
        let Some(part) = part else {
            return self.refuse_expr(of, format!("{name} takes timestamp, not {}", typed.ty.name()));
        };
        let form = match typed.form {
            Form::Num(num) => Form::Num(NumExpr::part(part, num)),
            _ => Form::None,
        };
        Some(Typed { ty: Ty::One(Type::Int), form, loops: typed.loops })
    }

    /// `int(…)`, `string(…)`, `timestamp(…)`, `duration(…)`.
    fn convert(&mut self, expr: &IdedExpr, name: &str, of: &IdedExpr) -> Checked {
        let typed = self.check(of)?;
        let constant_operand = match &typed.form {
            Form::Text(TextExpr::Const(_))
            | Form::Num(NumExpr::Const(_))
            | Form::Bool(BoolExpr::Const(_)) => true,
            _ => matches!(of.expr, Expr::Literal(_)),
        };
        let (ty, form) = match (name, typed.ty) {
            ("int", Ty::One(Type::Int))
            | ("string", Ty::One(Type::Text))
            | ("timestamp", Ty::One(Type::Time))
            | ("duration", Ty::One(Type::Duration)) => return Some(typed),
            ("int", Ty::One(Type::Time)) => match typed.form {
                Form::Num(time) => (Type::Int, Form::Num(NumExpr::seconds(time))),
                _ => (Type::Int, Form::None),
            },
            ("int", Ty::One(Type::Text)) => (Type::Int, Form::None),
            ("string", Ty::One(_)) => (Type::Text, Form::None),
            ("timestamp", Ty::One(Type::Text | Type::Int)) => (Type::Time, Form::None),
            ("duration", Ty::One(Type::Text)) => (Type::Duration, Form::None),
            (_, ty) => return self.refuse_expr(of, format!("no {name}(…) of {}", ty.name())),
        };
        if constant_operand && matches!(form, Form::None) {
            return self.converted(expr, name, ty);
        }
        Some(Typed { ty: Ty::One(ty), form, loops: typed.loops })
    }

    /// A conversion of a constant, done now.
    fn converted(&mut self, expr: &IdedExpr, name: &str, ty: Type) -> Checked {
        let text = self.syntax.text(expr).to_string();
        let finer = |this: &mut Self| this.refuse_expr(expr, format!("{text}: finer than a millisecond"));
        let form = match constant(expr) {
            Some(cel::Value::Int(value)) => Form::Num(NumExpr::Const(value)),
            Some(cel::Value::String(value)) => Form::Text(TextExpr::Const(value.as_str().into())),
            Some(cel::Value::Timestamp(time)) if time.timestamp_subsec_nanos() % 1_000_000 == 0 => {
                Form::Num(NumExpr::Const(time.timestamp_millis()))
            }
            Some(cel::Value::Duration(span)) if span.subsec_nanos() % 1_000_000 == 0 => {
                Form::Num(NumExpr::Const(span.num_milliseconds()))
            }
            Some(cel::Value::Timestamp(_) | cel::Value::Duration(_)) => return finer(self),
            _ => {
                let hint = match name {
                    "timestamp" => "; expected RFC 3339, as in timestamp(\"2026-01-31T00:00:00Z\")",
                    "duration" => "; expected numbers with units, as in duration(\"1h30m\")",
                    _ => "",
                };
                return self.refuse_expr(expr, format!("{text} has no value{hint}"));
            }
        };
        Some(Typed::new(ty, form))
    }
}
