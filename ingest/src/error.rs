//! The errors of ingest: which field, what was expected, and where, never what was found. A decoder sees PANs and
//! names, so no value of the input is ever put in a message; field names that are not ours are masked as well.

use std::fmt;

/// How an input is wrong, as the answer's HTTP status says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// 400: not what its format says.
    Malformed,
    /// 413: over a bound of the whole.
    TooLarge,
    /// 422: well-formed but invalid.
    Invalid,
}

impl Status {
    /// The HTTP status code.
    pub const fn http(self) -> u16 {
        match self {
            Status::Malformed => 400,
            Status::TooLarge => 413,
            Status::Invalid => 422,
        }
    }
    /// The status as a metric label and in words.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Malformed => "malformed",
            Status::TooLarge => "too_large",
            Status::Invalid => "invalid",
        }
    }
}

/// Where in an input an error is. What is unknown is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Where {
    /// The file, as the user named it.
    pub file: Option<std::sync::Arc<str>>,
    /// Line of a text file, from 1.
    pub line: Option<u64>,
    /// Row of a table (from 1), or element of a batch (from 0, as in JSON).
    pub row: Option<u64>,
    /// Bytes from the start of the body or the line.
    pub offset: Option<u64>,
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut part = |f: &mut fmt::Formatter<'_>, text: fmt::Arguments<'_>| {
            let done = write!(f, "{separator}{text}");
            separator = ", ";
            done
        };
        if let Some(file) = &self.file {
            part(f, format_args!("{file}"))?;
        }
        if let Some(line) = self.line {
            part(f, format_args!("line {line}"))?;
        }
        if let Some(row) = self.row {
            part(f, format_args!("row {row}"))?;
        }
        if let Some(offset) = self.offset {
            part(f, format_args!("byte {offset}"))?;
        }
        Ok(())
    }
}

/// A wrong input: the field, what was expected, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct FieldError {
    /// How it is wrong.
    pub status: Status,
    /// Dotted path of the field (`merchant.nmae`), a header's or a column's name; empty for the whole body.
    pub field: String,
    /// What was expected there, in words.
    pub expected: String,
    /// Where it is.
    pub place: Where,
}

impl FieldError {
    /// An error of a field that reads well but is not what it should be (422).
    pub fn invalid(field: impl Into<String>, expected: impl Into<String>) -> FieldError {
        FieldError {
            status: Status::Invalid,
            field: field.into(),
            expected: expected.into(),
            place: Where::default(),
        }
    }
    /// An error of the input's format (400).
    pub fn malformed(field: impl Into<String>, expected: impl Into<String>) -> FieldError {
        FieldError { status: Status::Malformed, ..FieldError::invalid(field, expected) }
    }
    /// A bound of the whole was passed (413).
    pub fn too_large(field: impl Into<String>, expected: impl Into<String>) -> FieldError {
        FieldError { status: Status::TooLarge, ..FieldError::invalid(field, expected) }
    }
    /// The same error at a row or batch element.
    #[must_use]
    pub fn at_row(mut self, row: u64) -> FieldError {
        self.place.row = Some(row);
        self
    }
    /// The same error at a line, from 1.
    #[must_use]
    pub fn at_line(mut self, line: u64) -> FieldError {
        self.place.line = Some(line);
        self
    }
    /// The same error in a file.
    #[must_use]
    pub fn in_file(mut self, file: &str) -> FieldError {
        self.place.file = Some(file.into());
        self
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "expected {}", self.expected)?;
        if self.place != Where::default() {
            write!(f, " ({})", self.place)?;
        }
        Ok(())
    }
}

/// A feed or a list file as a whole cannot be read, or not further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {message}")]
pub struct FeedError {
    /// The file, as the user named it.
    pub file: String,
    /// What was wrong and what was expected.
    pub message: String,
}

impl FeedError {
    /// An error of a file.
    pub fn new(file: impl Into<String>, message: impl fmt::Display) -> FeedError {
        FeedError { file: file.into(), message: message.to_string() }
    }
}

/// A name from the input made fit for messages: short, printable, and without anything that could be a PAN.
pub(crate) fn shown_name(name: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 64;
    let plain = |c: char| if c.is_control() { '?' } else { c };
    let cut: String = name.chars().take(SHOWN_CHARS_MAX).map(plain).collect();
    let digits = cut.chars().filter(char::is_ascii_digit).count();
    if digits >= crate::dead_letter::DIGIT_RUN_MAX { "***".into() } else { cut }
}
