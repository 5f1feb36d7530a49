//! RFC 4180 rows of a text, empty lines included and values untouched: crate `csv` skips empty lines, and a name on an
//! empty line is still a row that wants its answer.

/// A row's line (from 1) and values, or the line and what is wrong.
pub(super) type Row = Result<(usize, Vec<String>), (usize, &'static str)>;

/// The rows of a text.
pub(super) fn rows(text: &str) -> Rows<'_> {
    Rows { rest: text, line: 1 }
}

/// See [`rows`].
pub(super) struct Rows<'t> {
    rest: &'t str,
    line: usize,
}

impl Iterator for Rows<'_> {
    type Item = Row;
    fn next(&mut self) -> Option<Row> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, mut values) = (self.line, Vec::new());
        loop {
            match self.value() {
                Ok((value, ends_row)) => {
                    values.push(value);
                    if ends_row {
                        return Some(Ok((line, values)));
                    }
                }
                Err(why) => {
                    self.rest = "";
                    return Some(Err((line, why)));
                }
            }
        }
    }
}

impl Rows<'_> {
    /// The next value, and whether it is its row's last.
    fn value(&mut self) -> Result<(String, bool), &'static str> {
        let mut value = String::new();
        if let Some(quoted) = self.rest.strip_prefix('"') {
            self.rest = quoted;
            loop {
                let end = self.rest.find('"').ok_or("a quoted value does not end")?;
                value.push_str(&self.rest[..end]);
                self.rest = &self.rest[end + 1..];
                match self.rest.strip_prefix('"') {
                    Some(rest) => self.rest = rest,
                    None => break,
                }
                value.push('"');
            }
            self.line += value.bytes().filter(|byte| *byte == b'\n').count();
        }
        let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
        let (last, rest) = self.rest.split_at(end);
        let ends_row = !rest.starts_with(',');
        value.push_str(if ends_row { last.strip_suffix('\r').unwrap_or(last) } else { last });
        self.line += usize::from(rest.starts_with('\n'));
        self.rest = rest.get(1..).unwrap_or_default();
        // A comma at the very end of the text: one more value, an empty one, would be lost with the rest.
        if !ends_row && self.rest.is_empty() {
            self.rest = "\n";
        }
        Ok((value, ends_row))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(usize, Vec<String>)> {
        rows(text).map(Result::unwrap).collect()
    }

    #[test]
    fn every_row_is_there_and_unchanged() {
        let text = "name,x\r\n\"A, \"\"B\"\"\",1\n\n  c ,\"two\nlines\"\r\nlast,";
        let expected: Vec<(usize, Vec<&str>)> = vec![
            (1, vec!["name", "x"]),
            (2, vec!["A, \"B\"", "1"]),
            (3, vec![""]),
            (4, vec!["  c ", "two\nlines"]),
            (6, vec!["last", ""]),
        ];
        let read = read(text);
        let read: Vec<(usize, Vec<&str>)> =
            read.iter().map(|(line, row)| (*line, row.iter().map(String::as_str).collect())).collect();
        assert_eq!(read, expected);
        assert!(super::rows("").next().is_none());
        let wrong: Vec<Row> = super::rows("a\n\"b\nc").collect();
        assert_eq!(wrong[1], Err((2, "a quoted value does not end")));
    }
}
