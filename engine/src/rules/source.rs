//! The text of an expression and where it stands in its file, so that an error inside a YAML scalar names the
//! file's line and column, not the expression's.

use crate::error::Place;
use std::sync::Arc;

/// A byte of the text whose place is known; the bytes after it follow on the same line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Point {
    offset: usize,
    line: usize,
    column: usize,
}

/// An expression's text and its place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    text: String,
    file: Arc<str>,
    points: Vec<Point>,
}

impl Source {
    /// A text that begins at `place`; its further lines begin in column 1 of the file's following lines.
    pub fn new(text: impl Into<String>, place: Place) -> Source {
        let text = text.into();
        let (line, column) = (place.line.max(1), place.column.max(1));
        let mut points = vec![Point { offset: 0, line, column }];
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        points.extend(newlines.enumerate().map(|(n, (at, _))| Point {
            offset: at + 1,
            line: line + n + 1,
            column: 1,
        }));
        Source { text, file: place.file.into(), points }
    }

    /// The text of a YAML scalar that begins at `place` in `document`, where `raw` is the document from the scalar
    /// on (from its opening quote, or a block's first line). Each character is found again in the document, so
    /// folded, quoted and indented scalars map exactly; a rare escape maps to the place of a neighbour.
    pub fn of_scalar(text: impl Into<String>, raw: &str, place: Place) -> Source {
        let text = text.into();
        let mut walk = Walk { rest: raw, line: place.line.max(1), column: place.column.max(1) };
        let quote = raw.chars().next().filter(|c| matches!(c, '"' | '\''));
        if quote.is_some() {
            walk.step();
        }
        let mut points: Vec<Point> = Vec::new();
        for (offset, c) in text.char_indices() {
            if !c.is_whitespace() {
                while walk.peek().is_some_and(char::is_whitespace) {
                    walk.step();
                }
                // `''` in single quotes and `\"` in double quotes are one character of the text.
                let escaped =
                    (quote == Some('\'') && c == '\'') || (quote == Some('"') && walk.peek() == Some('\\'));
                if escaped {
                    walk.step();
                }
            }
            points.push(Point { offset, line: walk.line, column: walk.column });
            if !c.is_whitespace() || walk.peek().is_some_and(char::is_whitespace) {
                walk.step();
            }
        }
        points.push(Point { offset: text.len(), line: walk.line, column: walk.column });
        compress(&text, &mut points);
        Source { text, file: place.file.into(), points }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// The file.
    pub fn file(&self) -> &str {
        &self.file
    }
    /// The place of a byte of the text (of its end, when `offset` is past it).
    pub fn place(&self, offset: usize) -> Place {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let after = self.points.partition_point(|point| point.offset <= offset);
        let point = self.points[after.saturating_sub(1)];
        let characters = self.text[point.offset.min(offset)..offset].chars().count();
        Place::at(&*self.file, point.line, point.column + characters)
    }
    /// The byte of a line and column of the text itself, both from 1.
    pub(super) fn offset(&self, line: usize, column: usize) -> usize {
        let start: usize = self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        (start + column.saturating_sub(1)).min(self.text.len())
    }
}

/// Keeps only the points that do not follow from the one before.
fn compress(text: &str, points: &mut Vec<Point>) {
    let mut kept: Vec<Point> = Vec::new();
    for point in points.drain(..) {
        let follows = kept.last().is_some_and(|last: &Point| {
            last.line == point.line
                && last.column + text[last.offset..point.offset].chars().count() == point.column
                && !text[last.offset..point.offset].contains('\n')
        });
        if !follows {
            kept.push(point);
        }
    }
    *points = kept;
}

struct Walk<'a> {
    rest: &'a str,
    line: usize,
    column: usize,
}

impl Walk<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }
    fn step(&mut self) {
        let mut chars = self.rest.chars();
        match chars.next() {
            Some('\n') => (self.line, self.column) = (self.line + 1, 1),
            Some(_) => self.column += 1,
            None => {}
        }
        self.rest = chars.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str, raw: &str, line: usize, column: usize) -> Vec<(usize, usize)> {
        let source = Source::of_scalar(text, raw, Place::at("f", line, column));
        text.match_indices('@').map(|(at, _)| source.place(at)).map(|p| (p.line, p.column)).collect()
    }

    #[test]
    fn every_scalar_style_maps_back() {
        assert_eq!(places("a @ b", "a @ b # c\n", 2, 7), [(2, 9)]);
        assert_eq!(places("@a &&\n  @b\n", "@a &&\n      @b\nnext: 1", 3, 5), [(3, 5), (4, 7)]);
        assert_eq!(places("aa @b", "aa\n  @b\n", 6, 3), [(7, 3)]);
        assert_eq!(places("it's @", "'it''s @'", 1, 1), [(1, 8)]);
        assert_eq!(places("say \"x\" @", "\"say \\\"x\\\" @\"", 1, 4), [(1, 15)]);
        assert_eq!(places("é @", "é @", 1, 1), [(1, 3)]);
    }

    #[test]
    fn a_plain_text_counts_its_own_lines() {
        let source = Source::new("a\n b", Place::at("f", 4, 9));
        assert_eq!(source.place(0), Place::at("f", 4, 9));
        assert_eq!(source.place(3), Place::at("f", 5, 2));
        assert_eq!(source.place(99), Place::at("f", 5, 3));
        assert_eq!(source.offset(2, 2), 3);
    }
}
