//! The XML of a message, element by element by `quick-xml`: escaped, indented by two spaces, the same bytes for the same
//! input. Texts are checked before: SEPA's Latin characters only (EPC217-08), within the schema's lengths.

use crate::error::{Error, ErrorKind, Result};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// A message being written.
pub(super) struct Document(Writer<Vec<u8>>);

impl Document {
    /// A whole `Document` of a namespace; `body` writes what is in it.
    pub fn write(namespace: &str, body: impl FnOnce(&mut Document)) -> String {
        let mut out = Document(Writer::new_with_indent(Vec::with_capacity(4096), b' ', 2));
        out.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
        out.event(Event::Start(BytesStart::new("Document").with_attributes([("xmlns", namespace)])));
        body(&mut out);
        out.event(Event::End(BytesEnd::new("Document")));
        let mut bytes = out.0.into_inner();
        bytes.push(b'\n');
        String::from_utf8(bytes).expect("only text was written")
    }
    /// An element with elements in it.
    pub fn inside(&mut self, name: &'static str, body: impl FnOnce(&mut Document)) {
        self.event(Event::Start(BytesStart::new(name)));
        body(self);
        self.event(Event::End(BytesEnd::new(name)));
    }
    /// An element with a text that has been checked.
    pub fn text(&mut self, name: &'static str, text: &str) {
        self.text_of(BytesStart::new(name), name, text);
    }
    /// An element with an attribute and a text.
    pub fn text_with(&mut self, name: &'static str, attribute: (&str, &str), text: &str) {
        self.text_of(BytesStart::new(name).with_attributes([attribute]), name, text);
    }
    fn text_of(&mut self, start: BytesStart<'_>, name: &'static str, text: &str) {
        self.event(Event::Start(start));
        self.event(Event::Text(BytesText::new(text)));
        self.event(Event::End(BytesEnd::new(name)));
    }
    fn event(&mut self, event: Event<'_>) {
        self.0.write_event(event).expect("writing to memory does not fail");
    }
}

/// A text in SEPA's characters: `a-z A-Z 0-9 / - ? : ( ) . , ' +` and space, not blank, without spaces at its ends.
///
/// # Errors
/// `Invalid` for others, `TooLarge` past the length; by the element's name, never the text.
pub(super) fn check_text(element: &'static str, text: &str, chars_max: usize) -> Result<()> {
    let chars = text.chars().count();
    if chars > chars_max {
        let message = format!("{element} has {chars} characters, limit {chars_max}");
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "/-?:().,'+ ".contains(c);
    if text.is_empty() || text.trim() != text || !text.chars().all(fits) {
        let message = format!(
            "{element}: expected letters a-z, digits, spaces and / - ? : ( ) . , ' + (SEPA's characters)"
        );
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(())
}
