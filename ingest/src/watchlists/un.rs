//! The UN Security Council's consolidated list, in XML: individuals and entities with their aliases. The text is walked
//! once, without recursion; a document type declaration is refused outright, so no entity is ever expanded, and depth,
//! text and count are bounded.

use super::{EntryKind, NAMES_MAX, Quality, WatchEntry, check_name};
use crate::error::FieldError;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

/// Deepest nesting; the list's own is five.
const DEPTH_MAX: usize = 16;
/// Longest text of one element, in bytes; comments run to some thousand.
const TEXT_MAX: usize = 256 * 1024;

/// The entries of a list.
///
/// # Errors
/// The first thing wrong, with line and byte.
pub(super) fn read_entries(bytes: &[u8]) -> Result<Vec<WatchEntry>, FieldError> {
    let at = |offset: u64, mut error: FieldError| {
        let end = usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
        error.place.line = Some(1 + bytes[..end].iter().filter(|byte| **byte == b'\n').count() as u64);
        error.place.offset = Some(offset);
        error
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|error| at(error.valid_up_to() as u64, FieldError::malformed("", "UTF-8")))?;
    let mut reader = Reader::from_str(text);
    let mut walk = Walk::default();
    loop {
        let event = reader.read_event().map_err(|_| {
            let expected = "well-formed XML (a closing tag that fits, say)";
            at(reader.error_position(), FieldError::malformed("", expected))
        })?;
        if matches!(event, Event::Eof) {
            break;
        }
        walk.take(&event).map_err(|error| at(reader.buffer_position(), error))?;
    }
    walk.finish().map_err(|error| at(bytes.len() as u64, error))
}

/// What has been read so far.
#[derive(Default)]
struct Walk {
    /// The open elements, outermost first.
    path: Vec<String>,
    /// The text of the innermost element.
    text: String,
    seen_root: bool,
    entry: Option<Building>,
    names: usize,
    entries: Vec<WatchEntry>,
}

/// An entry whose end has not come yet; its name is complete only then.
struct Building {
    entry: WatchEntry,
    parts: [String; 4],
    quality: Quality,
    /// The alias that is being read, until its quality is known.
    alias: String,
    aliases: Vec<(String, Quality)>,
}

const PARTS: [&str; 4] = ["FIRST_NAME", "SECOND_NAME", "THIRD_NAME", "FOURTH_NAME"];

impl Walk {
    fn take(&mut self, event: &Event<'_>) -> Result<(), FieldError> {
        match event {
            Event::Start(tag) => self.open(tag.name().as_ref()),
            Event::Empty(tag) => self.open(tag.name().as_ref()).and_then(|()| self.close()),
            Event::End(_) => self.close(),
            Event::Text(text) => self.append(&text.xml10_content()),
            Event::CData(text) => self.append(text),
            Event::GeneralRef(name) => {
                if let Ok(Some(character)) = name.resolve_char_ref() {
                    return self.append(character.encode_utf8(&mut [0; 4]));
                }
                let expected = "no entities but XML's own five: a document's own are never expanded";
                let known = resolve_predefined_entity(name);
                self.append(known.ok_or_else(|| FieldError::malformed("", expected))?)
            }
            Event::DocType(_) => {
                Err(FieldError::malformed("", "no document type declaration: the list has none"))
            }
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::Eof => Ok(()),
        }
    }

    fn append(&mut self, text: &str) -> Result<(), FieldError> {
        if self.text.len() + text.len() > TEXT_MAX {
            let expected = format!("at most {TEXT_MAX} bytes of text in one element");
            return Err(FieldError::too_large("", expected));
        }
        self.text.push_str(text);
        Ok(())
    }

    fn open(&mut self, name: impl AsRef<[u8]>) -> Result<(), FieldError> {
        let name = String::from_utf8_lossy(name.as_ref()).into_owned();
        if self.path.len() == DEPTH_MAX {
            return Err(FieldError::too_large("", format!("elements nested at most {DEPTH_MAX} deep")));
        }
        if self.path.is_empty() {
            if name != "CONSOLIDATED_LIST" || self.seen_root {
                let expected = "one CONSOLIDATED_LIST, the UN Security Council's consolidated list";
                return Err(FieldError::malformed("", expected));
            }
            self.seen_root = true;
        }
        self.text.clear();
        self.path.push(name);
        let kind = match self.path.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
            ["INDIVIDUALS", "INDIVIDUAL"] => EntryKind::Person,
            ["ENTITIES", "ENTITY"] => EntryKind::Company,
            _ => return Ok(()),
        };
        self.entry = Some(Building {
            entry: WatchEntry::new(String::new(), kind, String::new()),
            parts: Default::default(),
            quality: Quality::Strong,
            alias: String::new(),
            aliases: Vec::new(),
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), FieldError> {
        let text = std::mem::take(&mut self.text);
        let text = text.trim();
        if let Some(building) = &mut self.entry {
            match self.path.get(3..).unwrap_or_default() {
                [] => {
                    let done = self.entry.take().expect("just seen").finish()?;
                    self.names += 1 + done.aliases.len();
                    if self.names > NAMES_MAX {
                        let expected = format!("a list of at most {NAMES_MAX} names");
                        return Err(FieldError::too_large("", expected));
                    }
                    self.entries.push(done);
                }
                [field] => building.field(field, text),
                [group, field] => building.within(group, field, text),
                _ => {}
            }
        }
        self.path.pop();
        Ok(())
    }

    fn finish(self) -> Result<Vec<WatchEntry>, FieldError> {
        if !self.seen_root || !self.path.is_empty() {
            return Err(FieldError::malformed("", "a whole list: the file ends before it does"));
        }
        Ok(self.entries)
    }
}

impl Building {
    fn field(&mut self, field: &str, text: &str) {
        if let Some(at) = PARTS.iter().position(|part| *part == field) {
            self.parts[at] = text.to_owned();
            return;
        }
        match field {
            "REFERENCE_NUMBER" => self.entry.id = text.to_owned(),
            "DATAID" if self.entry.id.is_empty() => self.entry.id = text.to_owned(),
            "UN_LIST_TYPE" => self.entry.program(text),
            "NAME_ORIGINAL_SCRIPT" => self.aliases.push((text.to_owned(), Quality::Strong)),
            "INDIVIDUAL_ALIAS" | "ENTITY_ALIAS" => {
                let (alias, quality) = (std::mem::take(&mut self.alias), self.quality);
                self.aliases.extend(several(&alias).map(|name| (name.to_owned(), quality)));
                self.quality = Quality::Strong;
            }
            _ => {}
        }
    }
    fn within(&mut self, group: &str, field: &str, text: &str) {
        match (group, field) {
            ("INDIVIDUAL_ALIAS" | "ENTITY_ALIAS", "ALIAS_NAME") => self.alias = text.to_owned(),
            ("INDIVIDUAL_ALIAS" | "ENTITY_ALIAS", "QUALITY") if text.eq_ignore_ascii_case("low") => {
                self.quality = Quality::Weak;
            }
            ("NATIONALITY", "VALUE") | ("INDIVIDUAL_ADDRESS" | "ENTITY_ADDRESS", "COUNTRY") => {
                self.entry.country(text);
            }
            _ => {}
        }
    }
    fn finish(self) -> Result<WatchEntry, FieldError> {
        let mut entry = self.entry;
        let parts: Vec<&str> = self.parts.iter().flat_map(|part| part.split_whitespace()).collect();
        entry.name = parts.join(" ");
        if entry.id.is_empty() {
            return Err(FieldError::invalid("REFERENCE_NUMBER", "a reference number or DATAID"));
        }
        if entry.name.is_empty() {
            return Err(FieldError::invalid("FIRST_NAME", "a name"));
        }
        check_name(&entry.name)?;
        for (name, quality) in &self.aliases {
            entry.alias(name, *quality)?;
        }
        Ok(entry)
    }
}

/// The names in one alias: some hold a whole enumeration (`A; B`, or `a) A b) B`), which as one name nobody would find.
fn several(alias: &str) -> impl Iterator<Item = &str> {
    let mut cuts = vec![0];
    let bytes = alias.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let before = at.checked_sub(1).map_or(b' ', |before| bytes[before]);
        let is_mark = byte.is_ascii_lowercase() && before == b' ' && bytes.get(at + 1) == Some(&b')');
        if matches!(byte, b';' | b'\n') {
            cuts.push(at + 1);
        } else if is_mark {
            cuts.extend([at, at + 2]);
        }
    }
    cuts.push(alias.len());
    let pieces: Vec<&str> = cuts.windows(2).map(|cut| &alias[cut[0]..cut[1]]).collect();
    pieces.into_iter().map(|piece| piece.trim().trim_end_matches([';', ',']).trim()).filter(|piece| {
        let is_mark = piece.len() == 2 && piece.ends_with(')');
        !piece.is_empty() && !is_mark
    })
}
