//! The CEL conformance tests of google/cel-spec, read in place (`INTERDICT_DATA`, else `shared/data`): whatever our
//! check accepts must come to the expected value; what is outside our subset must be refused, not mistaken.
#![allow(clippy::unwrap_used)]

use interdict_engine::domain::{Schema, SlotId, SlotView, Value};
use interdict_engine::error::Place;
use interdict_engine::rules::{Computed, Expression, Source, parse_time};
use std::collections::BTreeMap;
use std::path::PathBuf;

const FILES: [&str; 12] = [
    "basic",
    "comparisons",
    "conversions",
    "fp_math",
    "integer_math",
    "lists",
    "logic",
    "macros",
    "parse",
    "plumbing",
    "string",
    "timestamps",
];
/// Fewer evaluated tests than this mean that the subset shrank, or that the reader lost tests.
const EVALUATED_MIN: usize = 370;

struct Nothing;
impl SlotView for Nothing {
    fn value(&self, _: SlotId) -> Option<Value<'_>> {
        None
    }
}

fn data() -> PathBuf {
    let root = std::env::var_os("INTERDICT_DATA").map(PathBuf::from);
    root.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"))
        .join("cel-spec")
}

/// A value of the text format of protocol buffers.
#[derive(Debug, Clone)]
enum Field {
    Message(Vec<(String, Field)>),
    Scalar(String),
}

impl Field {
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Field> {
        let fields = match self {
            Field::Message(fields) => fields.as_slice(),
            Field::Scalar(_) => &[],
        };
        fields.iter().filter(move |(key, _)| key == name).map(|(_, field)| field)
    }
    fn get(&self, name: &str) -> Option<&Field> {
        match self {
            Field::Message(fields) => fields.iter().find(|(key, _)| key == name).map(|(_, field)| field),
            Field::Scalar(_) => None,
        }
    }
    fn scalar(&self) -> &str {
        match self {
            Field::Scalar(text) => text,
            Field::Message(_) => panic!("a scalar was expected"),
        }
    }
}

/// Reads the text format, as far as these files use it.
struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',' || c == ';');
            match self.rest.strip_prefix('#') {
                Some(comment) => self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest),
                None => return,
            }
        }
    }
    fn eat(&mut self, c: char) -> bool {
        self.skip();
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
    fn word(&mut self) -> String {
        self.skip();
        let end = self
            .rest
            .find(|c: char| !(c.is_alphanumeric() || "_.+-/[]".contains(c)))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        assert!(!word.is_empty(), "no word at {:?}", &self.rest.chars().take(30).collect::<String>());
        self.rest = rest;
        word.into()
    }
    /// The fields up to the closing bracket, or the end.
    fn message(&mut self) -> Field {
        let mut fields = Vec::new();
        loop {
            self.skip();
            if self.rest.is_empty() || self.eat('}') {
                return Field::Message(fields);
            }
            let name = self.word();
            self.eat(':');
            if self.eat('[') {
                while !self.eat(']') {
                    fields.push((name.clone(), self.value()));
                }
            } else {
                fields.push((name, self.value()));
            }
        }
    }
    fn value(&mut self) -> Field {
        if self.eat('{') {
            return self.message();
        }
        self.skip();
        if !self.rest.starts_with(['"', '\'']) {
            return Field::Scalar(self.word());
        }
        let mut bytes = Vec::new();
        while self.rest.starts_with(['"', '\'']) {
            self.string(&mut bytes);
            self.skip();
        }
        Field::Scalar(String::from_utf8_lossy(&bytes).into_owned())
    }
    fn string(&mut self, out: &mut Vec<u8>) {
        let mut chars = self.rest.chars();
        let quote = chars.next().unwrap();
        loop {
            match chars.next().expect("strings end") {
                c if c == quote => break,
                '\\' => match chars.next().unwrap() {
                    'n' => out.push(b'\n'),
                    'r' => out.push(b'\r'),
                    't' => out.push(b'\t'),
                    'a' => out.push(7),
                    'b' => out.push(8),
                    'f' => out.push(12),
                    'v' => out.push(11),
                    x @ ('x' | 'u' | 'U') => {
                        let digits = match x {
                            'x' => 2,
                            'u' => 4,
                            _ => 8,
                        };
                        let hex: String = chars.by_ref().take(digits).collect();
                        let code = u32::from_str_radix(&hex, 16).unwrap();
                        match x {
                            'x' => out.push(code as u8),
                            _ => out.extend(char::from_u32(code).unwrap().to_string().bytes()),
                        }
                    }
                    first @ '0'..='7' => {
                        let mut code = first.to_digit(8).unwrap();
                        for _ in 0..2 {
                            let Some(digit) = chars.clone().next().and_then(|c| c.to_digit(8)) else { break };
                            chars.next();
                            code = code * 8 + digit;
                        }
                        out.push(code as u8);
                    }
                    c => out.extend(c.to_string().bytes()),
                },
                c => out.extend(c.to_string().bytes()),
            }
        }
        self.rest = chars.as_str();
    }
}

/// What a test expects, as far as our types go.
#[derive(Debug, PartialEq)]
enum Expected {
    Value(Computed<'static>),
    Error,
    /// A value of a type that we do not have.
    Foreign,
}

fn expected(test: &Field) -> Expected {
    if test.get("eval_error").is_some() || test.get("any_eval_errors").is_some() {
        return Expected::Error;
    }
    let value = test.get("value").or_else(|| test.get("typed_result").and_then(|typed| typed.get("result")));
    let Some(Field::Message(fields)) = value else {
        return Expected::Value(Computed::Bool(true));
    };
    match fields.first().map(|(name, field)| (name.as_str(), field)) {
        Some(("bool_value", field)) => Expected::Value(Computed::Bool(field.scalar() == "true")),
        Some(("int64_value", field)) => Expected::Value(Computed::Int(integer(field.scalar()))),
        Some(("string_value", field)) => Expected::Value(Computed::Text(field.scalar().to_string().into())),
        Some(("object_value", Field::Message(object))) => match object.first() {
            Some((name, span)) if name.contains("google.protobuf.Duration") => {
                Expected::Value(Computed::Duration(milliseconds(span)))
            }
            Some((name, time)) if name.contains("google.protobuf.Timestamp") => {
                Expected::Value(Computed::Time(milliseconds(time)))
            }
            _ => Expected::Foreign,
        },
        _ => Expected::Foreign,
    }
}

fn integer(text: &str) -> i64 {
    match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).unwrap(),
        None => text.parse().unwrap(),
    }
}

fn milliseconds(message: &Field) -> i64 {
    let part = |name| message.get(name).map_or(0, |field| integer(field.scalar()));
    part("seconds") * 1000 + part("nanos") / 1_000_000
}

#[derive(Debug, Default)]
struct Tally {
    evaluated: usize,
    refused: usize,
    skipped: usize,
}

#[test]
fn what_we_accept_means_what_cel_says() {
    let schema = Schema::new();
    let (mut tallies, mut wrong) = (BTreeMap::new(), Vec::new());
    for file in FILES {
        let path = data().join(format!("{file}.textproto"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let tests = Reader { rest: &text }.message();
        let tally: &mut Tally = tallies.entry(file).or_default();
        for (section, test) in tests.all("section").flat_map(|s| s.all("test").map(move |test| (s, test))) {
            let foreign = ["bindings", "type_env", "container", "check_only"];
            if foreign.iter().any(|name| test.get(name).is_some()) {
                tally.skipped += 1;
                continue;
            }
            let expr = test.get("expr").unwrap().scalar();
            let Ok(expression) = Expression::compile(&Source::new(expr, Place::file("f")), &schema) else {
                tally.refused += 1;
                continue;
            };
            let got = expression.eval(&Nothing);
            let expected = expected(test);
            match (&expected, &got) {
                (Expected::Foreign, None) => tally.skipped += 1,
                (Expected::Error, None) => tally.evaluated += 1,
                (Expected::Value(value), Some(got)) if value == got => tally.evaluated += 1,
                _ => {
                    let name = |field: &Field| field.get("name").map_or("", Field::scalar).to_string();
                    let name = format!("{file}/{}/{}", name(section), name(test));
                    wrong.push(format!("{name}: {expr}\n  expected {expected:?}, got {got:?}"));
                }
            }
        }
    }
    let evaluated: usize = tallies.values().map(|tally| tally.evaluated).sum();
    let refused: usize = tallies.values().map(|tally| tally.refused).sum();
    println!("evaluated {evaluated}, refused {refused}: {tallies:#?}");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(
        evaluated >= EVALUATED_MIN,
        "only {evaluated} tests were evaluated, at least {EVALUATED_MIN} expected"
    );
}

#[test]
fn times_are_read_as_cel_reads_them() {
    assert_eq!(parse_time("2009-02-13T23:31:30Z"), Some(1_234_567_890_000));
    assert_eq!(parse_time("2009-02-14T01:31:30.5+02:00"), Some(1_234_567_890_500));
    for bad in
        ["2009-02-30T00:00:00Z", "2009-02-13 23:31", "9999-12-31T23:59:59-01:00", "2009-02-13T23:31:30.0001Z"]
    {
        assert_eq!(parse_time(bad), None, "{bad}");
    }
}
