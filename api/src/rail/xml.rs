//! The XML of a message, element by element by `quick-xml`: escaped, indented by two spaces, the same bytes for the same
//! input. Texts are checked against the schema's simple types before they are written.

use super::types::Wrong;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// Max35Text.
pub const MAX_35: usize = 35;
/// Max105Text.
pub const MAX_105: usize = 105;
/// Most lines of a narrative.
pub const NARRATIVE_LINES_MAX: usize = 4;

/// A message being written.
pub struct Document {
    writer: Writer<Vec<u8>>,
}

impl Document {
    /// A whole `Document` of a namespace; `body` writes what is in it.
    pub fn write(
        namespace: &str,
        body: impl FnOnce(&mut Document) -> Result<(), Wrong>,
    ) -> Result<String, Wrong> {
        let mut out = Document { writer: Writer::new_with_indent(Vec::with_capacity(2048), b' ', 2) };
        out.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
        out.event(Event::Start(BytesStart::new("Document").with_attributes([("xmlns", namespace)])));
        body(&mut out)?;
        out.event(Event::End(BytesEnd::new("Document")));
        let mut bytes = out.writer.into_inner();
        bytes.push(b'\n');
        Ok(String::from_utf8(bytes).expect("only text was written"))
    }

    /// An element with elements in it.
    pub fn inside(
        &mut self,
        name: &'static str,
        body: impl FnOnce(&mut Document) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        self.event(Event::Start(BytesStart::new(name)));
        body(self)?;
        self.event(Event::End(BytesEnd::new(name)));
        Ok(())
    }

    /// An element with a text that has been checked.
    pub fn text(&mut self, name: &'static str, text: &str) -> Result<(), Wrong> {
        self.text_of(BytesStart::new(name), name, text)
    }

    /// An element with an attribute and a text.
    pub fn text_with(
        &mut self,
        name: &'static str,
        attribute: (&str, &str),
        text: &str,
    ) -> Result<(), Wrong> {
        self.text_of(BytesStart::new(name).with_attributes([attribute]), name, text)
    }

    fn text_of(&mut self, start: BytesStart<'_>, name: &'static str, text: &str) -> Result<(), Wrong> {
        self.event(Event::Start(start));
        self.event(Event::Text(BytesText::new(text)));
        self.event(Event::End(BytesEnd::new(name)));
        Ok(())
    }

    fn event(&mut self, event: Event<'_>) {
        self.writer.write_event(event).expect("writing to memory does not fail");
    }
}

/// A text of 1 to `chars_max` characters that XML 1.0 can hold on one line (its section 2.2, without tab and line ends).
pub fn max_text<'a>(element: &'static str, text: &'a str, chars_max: usize) -> Result<&'a str, Wrong> {
    let chars = text.chars().count();
    if chars > chars_max {
        return Err(Wrong::TooLong { element, chars, chars_max });
    }
    let is_blank = text.trim().is_empty();
    if is_blank || text.chars().any(|c| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')) {
        return Err(Wrong::Malformed { element, expected: "text without control characters" });
    }
    Ok(text)
}

/// A code of an external code set of at most four characters. The sets are lists that grow outside the schema: only the
/// form is checked.
pub fn external_code<'a>(element: &'static str, code: &'a str) -> Result<&'a str, Wrong> {
    code_of(element, code, 4, "1 to 4 capital letters and digits")
}

/// ExternalClearingSystemIdentification1Code: at most five characters.
pub fn clearing_system<'a>(element: &'static str, code: &'a str) -> Result<&'a str, Wrong> {
    code_of(element, code, 5, "1 to 5 capital letters and digits")
}

fn code_of<'a>(
    element: &'static str,
    code: &'a str,
    chars_max: usize,
    expected: &'static str,
) -> Result<&'a str, Wrong> {
    let fits = (1..=chars_max).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if fits { Ok(code) } else { Err(Wrong::Malformed { element, expected }) }
}

/// BICFIDec2014Identifier: `[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?`. A number of eight digits has no country, so is
/// none.
pub fn is_bic(text: &str) -> bool {
    matches!(text.len(), 8 | 11)
        && text.bytes().enumerate().all(|(place, byte)| {
            byte.is_ascii_uppercase() || (!(4..6).contains(&place) && byte.is_ascii_digit())
        })
}

/// ISODateTime in UTC, to the second, with the offset said, as some rails want it instead of `Z`.
pub fn date_time(element: &'static str, ms: i64) -> Result<String, Wrong> {
    let time = jiff::Timestamp::from_millisecond(ms).ok().filter(|_| ms >= 0);
    let time = time.ok_or(Wrong::Malformed { element, expected: "a time from 1970 to 9999" })?;
    Ok(time.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string())
}

/// UUIDv4Identifier: lower case, as the schema's pattern has it.
pub fn uuid_v4(element: &'static str, text: &str) -> Result<String, Wrong> {
    let wrong = Wrong::Malformed { element, expected: "a UUID of version 4" };
    interdict_ingest::normalise::identifiers::uetr(text).map_err(|_| wrong)
}

/// Narrative as AddtlInf lines of at most 105 characters, broken between words where that is possible. It is no
/// identifier: past the last line it ends in `...`.
pub fn narrative(out: &mut Document, text: &str) -> Result<(), Wrong> {
    for line in lines(text) {
        out.text("AddtlInf", max_text("AddtlInf", &line, MAX_105)?)?;
    }
    Ok(())
}

fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let length = |text: &str| text.chars().count();
    for word in text.split_whitespace() {
        for part in pieces(word) {
            let is_full = lines.len() == NARRATIVE_LINES_MAX;
            match lines.last_mut() {
                Some(line) if length(line) + 1 + length(&part) <= MAX_105 => {
                    line.push(' ');
                    line.push_str(&part);
                }
                Some(last) if is_full => {
                    *last = last.chars().take(MAX_105 - 3).chain("...".chars()).collect();
                    return lines;
                }
                _ => lines.push(part),
            }
        }
    }
    lines
}

/// A word in parts that fit a line.
fn pieces(word: &str) -> Vec<String> {
    let chars: Vec<char> = word.chars().collect();
    chars.chunks(MAX_105).map(|chunk| chunk.iter().collect()).collect()
}
