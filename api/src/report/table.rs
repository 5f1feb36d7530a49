//! How reports are written: columns of text, and CSV as RFC 4180 has it. Names are somebody else's bytes, so what a
//! terminal would act on is escaped.

use super::ToldPeriod;

/// Columns of text.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    /// So many columns are set to the left, the rest, which are numbers, to the right.
    left: usize,
}

impl Table {
    pub(super) fn new(header: &[&str], left: usize) -> Table {
        Table { rows: vec![header.iter().map(|name| (*name).to_owned()).collect()], left }
    }
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| printable(cell)).collect());
    }
    pub(super) fn text(&self) -> String {
        let widths: Vec<usize> = (0..self.rows[0].len())
            .map(|at| self.rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0))
            .collect();
        let mut out = String::new();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| match at < self.left {
                true => format!("{cell:<width$}"),
                false => format!("{cell:>width$}"),
            });
            out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            out.push('\n');
        }
        out
    }
}

/// A line of CSV.
pub(super) fn csv_line(record: &[String]) -> String {
    let quoted = record.iter().map(|value| match value.contains(['"', ',', '\r', '\n']) {
        true => format!("\"{}\"", value.replace('"', "\"\"")),
        false => value.clone(),
    });
    let mut line = quoted.collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

/// A text without what a terminal would act on.
pub(super) fn printable(text: &str) -> String {
    let shown = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(shown).collect()
}

/// A time in s as somebody would say it.
pub(super) fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

impl ToldPeriod {
    pub(super) fn text(&self) -> String {
        let from =
            self.from.as_deref().map_or_else(|| "from the beginning".into(), |from| format!("from {from}"));
        let to = self.to.as_deref().map_or_else(|| "to the end".into(), |to| format!("to {to}"));
        let of = self
            .tenant
            .as_deref()
            .map_or(String::new(), |tenant| format!(" of tenant {}", printable(tenant)));
        format!("{from} {to}{of}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_plain_is_quoted_or_escaped() {
        let record = ["a", "b,c", "say \"no\"", "two\nlines"].map(String::from);
        assert_eq!(csv_line(&record), "a,\"b,c\",\"say \"\"no\"\"\",\"two\nlines\"\r\n");
        assert_eq!(printable("A\u{1b}[2Jé"), "A\\u{1b}[2Jé");
        let mut table = Table::new(&["WHO", "COUNT"], 1);
        table.row(vec!["x\ny".into(), "7".into()]);
        assert_eq!(table.text(), "WHO   COUNT\nx\\ny      7\n");
        assert_eq!([span(119), span(7199), span(7200), span(172_800)], ["119 s", "119 min", "2 h", "2 d"]);
    }
}
