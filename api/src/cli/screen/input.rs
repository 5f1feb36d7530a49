//! What `screen` reads: names, one a line or a column of a CSV, and pairs. Every row counts, an empty one too, so the CSV
//! reader is asked not to skip them.

use anyhow::{Context, Result, bail};
use csv_rows::rows;
use std::path::Path;

mod csv_rows;

/// Two names and what they name.
pub(super) struct Pair {
    pub name1: String,
    pub name2: String,
    pub schema: String,
}

/// The names of a file: a `.csv`'s column `name`, else its lines.
///
/// # Errors
/// A file that cannot be read or is not UTF-8; a CSV without the column, or with a row of another length.
pub(super) fn names(file: &Path) -> Result<Vec<String>> {
    let text = text(file)?;
    if !file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv")) {
        return Ok(text.lines().map(str::to_owned).collect());
    }
    let mut names = Vec::new();
    columns(file, &text, ["name"], |[name]| names.push(name))?;
    Ok(names)
}

/// The pairs of a CSV with the columns name1, name2 and schema.
///
/// # Errors
/// As [`names`].
pub(super) fn pairs(file: &Path) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    columns(file, &text(file)?, ["name1", "name2", "schema"], |[name1, name2, schema]| {
        pairs.push(Pair { name1, name2, schema });
    })?;
    Ok(pairs)
}

fn text(file: &Path) -> Result<String> {
    let place = || file.display().to_string();
    let bytes = std::fs::read(file).with_context(place)?;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
            bail!("{}: line {line}: expected UTF-8", place());
        }
    };
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn columns<const N: usize>(
    file: &Path,
    text: &str,
    wanted: [&str; N],
    mut each: impl FnMut([String; N]),
) -> Result<()> {
    let place = file.display();
    let mut rows = rows(text);
    let header = match rows.next() {
        Some(row) => row.map_err(|(line, why)| anyhow::anyhow!("{place}: line {line}: {why}"))?.1,
        None => bail!("{place}: expected a header with the columns {}", wanted.join(", ")),
    };
    let mut places = [0; N];
    for (at, name) in wanted.iter().enumerate() {
        let found = header.iter().position(|column| column.trim().eq_ignore_ascii_case(name));
        places[at] = found.with_context(|| format!("{place}: line 1: no column {name:?}"))?;
    }
    for row in rows {
        let (line, mut row) = row.map_err(|(line, why)| anyhow::anyhow!("{place}: line {line}: {why}"))?;
        // An empty line is an empty row of however many columns.
        if row.len() == 1 && row[0].is_empty() {
            row.resize(header.len(), String::new());
        }
        if row.len() != header.len() {
            bail!("{place}: line {line}: expected {} values, found {}", header.len(), row.len());
        }
        each(places.map(|place| row[place].clone()));
    }
    Ok(())
}
