//! Text to syntax tree: bounds the text and its nesting before the parser sees it (the parser recurses), parses with
//! the `cel` crate, and turns its positions into places of the file.

use super::source::Source;
use crate::error::{Error, ErrorKind};
use crate::limits::{EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX};
use cel::common::ast::{Expr, IdedExpr, SourceInfo};
use std::ops::Range;

/// What `has(channel)` is parsed as: CEL's own macro takes selections only (`has(a.b)`), and half our fields are
/// single names. The same length as `has`, so that positions stay.
pub(super) const HAS_NAME: &str = "_hs";
/// Most syntax errors reported for one expression; what follows is mostly fallout.
const SYNTAX_ERRORS_MAX: usize = 2;

/// A parsed expression.
pub(super) struct Syntax<'a> {
    pub source: &'a Source,
    pub root: IdedExpr,
    info: SourceInfo,
    tokens: Vec<Token>,
}

/// A token, as far as positions and nesting need it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    kind: Kind,
    span: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Name,
    Number,
    Text,
    Open,
    Close,
    Comma,
    Dot,
    /// `?` and `:`
    Choice,
    /// `&&` and `||`
    Logic,
    /// Every other operator, binary or unary.
    Operator,
}

impl<'a> Syntax<'a> {
    /// Parses.
    ///
    /// # Errors
    /// `TooLarge` past a bound of `limits.rs`, `Malformed` for what is not CEL; each with its place.
    pub fn parse(source: &'a Source) -> Result<Syntax<'a>, Vec<Error>> {
        let text = source.text();
        let at = |kind, offset, message| vec![Error::new(kind, message).at(source.place(offset))];
        if text.len() > EXPRESSION_BYTES_MAX {
            let message = format!("expression has {} bytes, limit {EXPRESSION_BYTES_MAX}", text.len());
            return Err(at(ErrorKind::TooLarge, 0, message));
        }
        let tokens = tokens(text);
        if tokens.is_empty() {
            return Err(at(ErrorKind::Malformed, 0, "expression is empty".into()));
        }
        if let Some(offset) = too_deep(&tokens, text) {
            let message = format!("expression is nested deeper than {EXPRESSION_DEPTH_MAX}");
            return Err(at(ErrorKind::TooLarge, offset, message));
        }
        let parser = cel::parser::Parser::new().max_recursion_depth(2 * EXPRESSION_DEPTH_MAX as u16);
        match parser.parse_with_source_info(&rename_has(text, &tokens)) {
            Ok((root, info)) => Ok(Syntax { source, root, info, tokens }),
            Err(found) => {
                Err(found.errors.iter().take(SYNTAX_ERRORS_MAX).map(|e| syntax_error(source, e)).collect())
            }
        }
    }

    /// Where the expression begins in the text.
    pub fn start(&self, expr: &IdedExpr) -> usize {
        self.span(expr).start
    }

    /// The whole text of an expression, brackets included.
    pub fn text(&self, expr: &IdedExpr) -> &str {
        self.source.text().get(self.span(expr)).unwrap_or_default().trim()
    }

    /// The bytes of an expression: from its first token to its last, completed where the tree keeps only an
    /// operator's place (a selection's name, a call's brackets).
    pub fn span(&self, expr: &IdedExpr) -> Range<usize> {
        let mut range = Range { start: usize::MAX, end: 0 };
        self.widen(expr, &mut range);
        if range.start >= range.end {
            return 0..0;
        }
        self.complete(range)
    }

    /// The bytes of the operator or name that an expression is known by.
    pub fn mark(&self, expr: &IdedExpr) -> usize {
        self.info.offset_for(expr.id).map_or(0, |(start, _)| start as usize)
    }

    fn widen(&self, expr: &IdedExpr, range: &mut Range<usize>) {
        if let Some((start, stop)) = self.info.offset_for(expr.id) {
            range.start = range.start.min(start as usize);
            range.end = range.end.max(stop as usize + 1);
        }
        each_child(expr, &mut |child| self.widen(child, range));
    }

    fn complete(&self, mut range: Range<usize>) -> Range<usize> {
        let mut first = self.tokens.partition_point(|token| token.span.end <= range.start);
        let mut last = self.tokens.partition_point(|token| token.span.start < range.end);
        if last == 0 || first >= self.tokens.len() {
            return range;
        }
        // A call's place is its bracket or its dot: its name stands just before.
        if self.tokens[first].kind == Kind::Open && self.text_of(first) == "(" && first > 0 {
            first -= usize::from(self.tokens[first - 1].kind == Kind::Name);
        }
        let name_follows = |last: usize| last < self.tokens.len() && self.tokens[last - 1].kind == Kind::Dot;
        last += usize::from(name_follows(last));
        let (mut open, mut missing) = (0usize, 0usize);
        for token in &self.tokens[first..last] {
            match token.kind {
                Kind::Open => open += 1,
                Kind::Close if open > 0 => open -= 1,
                Kind::Close => missing += 1,
                _ => {}
            }
        }
        while open > 0 && last < self.tokens.len() {
            match self.tokens[last].kind {
                Kind::Open => open += 1,
                Kind::Close => open -= 1,
                _ => {}
            }
            last += 1;
        }
        while missing > 0 && first > 0 {
            first -= 1;
            match self.tokens[first].kind {
                Kind::Open => missing -= 1,
                Kind::Close => missing += 1,
                _ => {}
            }
        }
        range.start = range.start.min(self.tokens[first].span.start);
        range.end = range.end.max(self.tokens[last - 1].span.end);
        range
    }

    fn text_of(&self, token: usize) -> &str {
        &self.source.text()[self.tokens[token].span.clone()]
    }
}

/// Calls `f` with each direct part of an expression, as far as positions and names need them.
pub(super) fn each_child(expr: &IdedExpr, f: &mut dyn FnMut(&IdedExpr)) {
    match &expr.expr {
        Expr::Call(call) => call.target.iter().map(|t| &**t).chain(&call.args).for_each(f),
        Expr::Select(select) => f(&select.operand),
        Expr::List(list) => list.elements.iter().for_each(f),
        Expr::Comprehension(c) => {
            [&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result].into_iter().for_each(f);
        }
        _ => {}
    }
}

fn syntax_error(source: &Source, error: &cel::ParseError) -> Error {
    let (line, column) = (error.pos.0.max(1) as usize, error.pos.1.max(1) as usize);
    let message = error.msg.trim_start_matches("Syntax error: ");
    // The parser lists every token it would have taken; people need the one that stood there.
    let message = message.split(" expecting {").next().unwrap_or(message).replace(HAS_NAME, "has");
    let message = message.replace("mismatched input '<EOF>'", "unexpected end").replace("'<EOF>'", "the end");
    let message = message.replace("mismatched input", "unexpected").replace("extraneous input", "unexpected");
    Error::new(ErrorKind::Malformed, format!("syntax: {message}"))
        .at(source.place(source.offset(line, column)))
}

/// The text with `has(name)` renamed; see [`HAS_NAME`].
fn rename_has(text: &str, tokens: &[Token]) -> String {
    let mut renamed = text.to_string();
    let of = |token: &Token| &text[token.span.clone()];
    for (at, window) in tokens.windows(4).enumerate() {
        let method = at > 0 && tokens[at - 1].kind == Kind::Dot;
        if !method
            && of(&window[0]) == "has"
            && of(&window[1]) == "("
            && window[2].kind == Kind::Name
            && of(&window[3]) == ")"
        {
            renamed.replace_range(window[0].span.clone(), HAS_NAME);
        }
    }
    renamed
}

/// Where an upper estimate of the tree's depth passes the bound. Long chains (`a + b + …`, `a.b.c…`) are deep trees
/// as well, so operators count until a `,`, `&&` or `||` begins anew; those two are balanced by the parser.
fn too_deep(tokens: &[Token], text: &str) -> Option<usize> {
    let (mut outer, mut levels) = (0usize, Vec::<[usize; 3]>::new());
    let (mut operators, mut postfix, mut choices) = (0usize, 0usize, 0usize);
    for token in tokens {
        match token.kind {
            Kind::Open => {
                postfix += 1;
                levels.push([operators, postfix, choices]);
                outer += operators + postfix + choices;
                (operators, postfix, choices) = (0, 0, 0);
            }
            Kind::Close => {
                [operators, postfix, choices] = levels.pop().unwrap_or_default();
                outer -= operators + postfix + choices;
            }
            Kind::Comma => (operators, postfix, choices) = (0, 0, 0),
            Kind::Logic => (operators, postfix) = (0, 0),
            Kind::Choice => {
                (operators, postfix) = (0, 0);
                choices += usize::from(&text[token.span.clone()] == "?");
            }
            Kind::Operator => (operators, postfix) = (operators + 1, 0),
            Kind::Dot => postfix += 1,
            Kind::Name | Kind::Number | Kind::Text => {}
        }
        if outer + operators + postfix + choices > EXPRESSION_DEPTH_MAX {
            return Some(token.span.start);
        }
    }
    None
}

/// Splits a text into tokens. What is not CEL becomes some token; the parser is the one that complains.
fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let (kind, end) = match bytes[at] {
            b if b.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at += bytes[at..].iter().position(|b| *b == b'\n').unwrap_or(bytes.len() - at);
                continue;
            }
            b'"' | b'\'' => (Kind::Text, string_end(bytes, at, false)),
            b if b.is_ascii_digit() => (Kind::Number, word_end(bytes, at)),
            b if b.is_ascii_alphabetic() || b == b'_' => {
                let end = word_end(bytes, at);
                let prefix = &text[at..end];
                let literal = matches!(bytes.get(end), Some(b'"' | b'\''))
                    && matches!(prefix.to_ascii_lowercase().as_str(), "r" | "b" | "br" | "rb");
                match literal {
                    true => (Kind::Text, string_end(bytes, end, prefix.contains(['r', 'R']))),
                    false if prefix == "in" => (Kind::Operator, end),
                    false => (Kind::Name, end),
                }
            }
            b'(' | b'[' | b'{' => (Kind::Open, at + 1),
            b')' | b']' | b'}' => (Kind::Close, at + 1),
            b',' => (Kind::Comma, at + 1),
            b'.' => (Kind::Dot, at + 1),
            b'?' | b':' => (Kind::Choice, at + 1),
            b'&' | b'|' if bytes.get(at + 1) == Some(&bytes[at]) => (Kind::Logic, at + 2),
            b'=' | b'!' | b'<' | b'>' if bytes.get(at + 1) == Some(&b'=') => (Kind::Operator, at + 2),
            b if b.is_ascii() => (Kind::Operator, at + 1),
            _ => (Kind::Operator, at + text[at..].chars().next().map_or(1, char::len_utf8)),
        };
        tokens.push(Token { kind, span: start..end });
        at = end;
    }
    tokens
}

fn word_end(bytes: &[u8], from: usize) -> usize {
    from + bytes[from..]
        .iter()
        .position(|b| !b.is_ascii_alphanumeric() && *b != b'_')
        .unwrap_or(bytes.len() - from)
}

fn string_end(bytes: &[u8], open: usize, raw: bool) -> usize {
    let quote = bytes[open];
    let triple = bytes[open..].starts_with(&[quote; 3]);
    let mut at = open + if triple { 3 } else { 1 };
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if !raw => at += 2,
            b if b == quote && !triple => return at + 1,
            b if b == quote && bytes[at..].starts_with(&[quote; 3]) => return at + 3,
            b'\n' if !triple => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Place;
    use proptest::prelude::*;

    fn texts(text: &str) -> Vec<String> {
        let source = Source::new(text, Place::file("f"));
        let syntax = Syntax::parse(&source).expect("parses");
        let mut found = Vec::new();
        fn walk(syntax: &Syntax<'_>, expr: &IdedExpr, found: &mut Vec<String>) {
            found.push(syntax.text(expr).to_string());
            each_child(expr, &mut |child| walk(syntax, child, found));
        }
        walk(&syntax, &syntax.root, &mut found);
        found
    }

    #[test]
    fn a_sub_expression_has_its_whole_text() {
        let found = texts("(a.b + 1) * 2 > 3 && !c.d.contains('(é') && lists[\"x-y\"] && has(e)");
        for wanted in [
            "(a.b + 1) * 2 > 3",
            "a.b + 1",
            "a.b",
            "!c.d.contains('(é')",
            "c.d.contains('(é')",
            "lists[\"x-y\"]",
            "has(e)",
        ] {
            assert!(found.iter().any(|text| text == wanted), "{wanted:?} in {found:?}");
        }
    }

    #[test]
    fn depth_is_bounded_before_parsing() {
        let deep = [
            format!("{}1{}", "(".repeat(1000), ")".repeat(1000)),
            format!("{}true", "!".repeat(5000)),
            format!("1{}", " + 1".repeat(3000)),
            format!("a{}", ".a".repeat(5000)),
            format!("a{}", "[0]".repeat(3000)),
            format!("{}1", "true ? 1 : ".repeat(1000)),
            format!("{}1{}", "f(".repeat(2000), ")".repeat(2000)),
        ];
        for text in deep {
            let source = Source::new(text, Place::file("f"));
            let errors = Syntax::parse(&source).err().expect("refused");
            assert_eq!(errors[0].kind, ErrorKind::TooLarge, "{:?}", errors[0]);
        }
        let wide = vec!["a.b == 'x'"; 1000].join(" || ");
        assert!(Syntax::parse(&Source::new(wide, Place::file("f"))).is_ok(), "width is not depth");
        let list = format!("a in [{}]", vec!["'x'"; 3000].join(", "));
        assert!(Syntax::parse(&Source::new(list, Place::file("f"))).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_parsed(text in r#"[a-c0-9 ."'\\()\[\]{}?:!&|=<>+*/,é-]{0,60}"#) {
            let source = Source::new(text, Place::file("f"));
            if let Ok(syntax) = Syntax::parse(&source) {
                prop_assert!(syntax.span(&syntax.root).end <= source.text().len());
            }
        }
    }
}
