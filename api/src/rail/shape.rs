//! What the samples of a message have in common: which elements, in which order, how often, of which format. A message of
//! ours is held against it, and against the elements of the standard that no sample shows (`Schema`).
#![allow(clippy::unwrap_used)]

use quick_xml::Reader;
use quick_xml::events::Event;
use std::collections::{BTreeMap, BTreeSet};

/// An element with what is in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub text: String,
    pub children: Vec<Element>,
}

/// Reads a document; entities are resolved, so a text is what was meant.
pub fn parse(xml: &str) -> Element {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_end_names = true;
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => open.push(Element {
                name: start.name().as_ref().to_owned(),
                attributes: start
                    .attributes()
                    .map(|attribute| {
                        let attribute = attribute.unwrap();
                        (attribute.key.as_ref().to_owned(), attribute.value.to_string())
                    })
                    .collect(),
                ..Element::default()
            }),
            Event::End(_) => {
                let done = open.pop().unwrap();
                open.last_mut().unwrap().children.push(done);
            }
            Event::Text(text) => open.last_mut().unwrap().text.push_str(&text),
            Event::GeneralRef(entity) => {
                let resolved = match entity.resolve_char_ref().unwrap() {
                    Some(c) => c.to_string(),
                    None => quick_xml::escape::resolve_predefined_entity(&entity).unwrap().to_owned(),
                };
                open.last_mut().unwrap().text.push_str(&resolved);
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!((open.len(), open[0].children.len()), (1, 1), "one root, closed");
    open.pop().unwrap().children.pop().unwrap()
}

impl Element {
    /// The text of the element at a path below this one.
    pub fn at(&self, path: &str) -> Option<&str> {
        let found = path.split('/').try_fold(self, |at, name| at.children.iter().find(|c| c.name == name));
        found.map(|element| element.text.as_str())
    }
}

/// Elements of the standard that no sample shows, at the elements that are called so.
pub struct Schema {
    /// The element.
    pub parent: &'static str,
    /// Its content in the standard's order, as far as we write it.
    pub sequence: &'static [&'static str],
    /// Elements of which one stands for another that all samples have.
    pub choice: &'static [&'static str],
    /// Where the standard says it.
    pub section: &'static str,
}

/// A format that texts are seen to have.
type Format = (&'static str, fn(&str) -> bool);

fn digits(text: &str, form: &str) -> bool {
    text.len() == form.len()
        && text.bytes().zip(form.bytes()).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            b's' => matches!(byte, b'+' | b'-'),
            form => byte == form,
        })
}
fn uuid_v4(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.chars().all(hex))
        && groups[2].starts_with('4')
        && groups[3].starts_with(['8', '9', 'a', 'b'])
}
fn decimal(text: &str) -> bool {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    all_digits(whole) && all_digits(part) && part.len() <= 5 && whole.len() + part.len() <= 18
}

const FORMATS: [Format; 9] = [
    ("ISODateTime with an offset", |text| digits(text, "0000-00-00T00:00:00s00:00")),
    ("ISODate", |text| digits(text, "0000-00-00")),
    ("UUIDv4", uuid_v4),
    ("decimal", decimal),
    ("a code of four", |text| text.len() == 4 && text.chars().all(|c| c.is_ascii_alphanumeric())),
    ("capitals", |text| !text.is_empty() && !text.chars().any(|c| c.is_ascii_lowercase())),
    ("a message's name", |text| {
        let (family, rest) = text.split_at_checked(4).unwrap_or(("", ""));
        family.chars().all(|c| c.is_ascii_lowercase()) && digits(rest, ".000.000.00")
    }),
    ("Max35Text", |text| !text.trim().is_empty() && text.chars().count() <= 35),
    ("no text", |text| text.trim().is_empty()),
];

/// What is known of the elements at one path.
#[derive(Debug, Default)]
struct Seen {
    /// Children that each has.
    required: Option<BTreeSet<String>>,
    /// Most of each child that one has.
    most: BTreeMap<String, usize>,
    /// Pairs of children, the first before the second.
    before: BTreeSet<(String, String)>,
    /// Names of attributes (without those of the schema's place).
    attributes: BTreeSet<String>,
    /// Which formats all texts have.
    formats: Option<BTreeSet<&'static str>>,
}

/// What all samples of a message have in common.
pub struct Shape {
    at: BTreeMap<String, Seen>,
    schema: &'static [Schema],
    namespace: String,
}

impl Shape {
    /// Of samples of one message.
    pub fn of(samples: &[String], schema: &'static [Schema]) -> Shape {
        let roots: Vec<Element> = samples.iter().map(|sample| parse(sample)).collect();
        let namespace =
            |root: &Element| root.attributes.iter().find(|(name, _)| name == "xmlns").unwrap().1.clone();
        let mut shape = Shape { at: BTreeMap::new(), schema, namespace: namespace(&roots[0]) };
        for root in &roots {
            assert_eq!(namespace(root), shape.namespace, "samples of several versions");
            shape.see("", root);
        }
        shape
    }

    fn see(&mut self, above: &str, element: &Element) {
        let path = format!("{above}/{}", element.name);
        let seen = self.at.entry(path.clone()).or_default();
        let names: Vec<&String> = element.children.iter().map(|child| &child.name).collect();
        let here: BTreeSet<String> = names.iter().map(|name| (*name).clone()).collect();
        let counted = |name: &String| names.iter().filter(|other| **other == name).count();
        for name in &here {
            let most = seen.most.entry(name.clone()).or_default();
            *most = (*most).max(counted(name));
        }
        for (place, first) in names.iter().enumerate() {
            let later = names[place + 1..].iter().filter(|later| later != &first);
            seen.before.extend(later.map(|later| ((*first).clone(), (*later).clone())));
        }
        seen.required = Some(match seen.required.take() {
            Some(required) => required.intersection(&here).cloned().collect(),
            None => here,
        });
        let own = element.attributes.iter().map(|(name, _)| name.clone());
        seen.attributes.extend(own.filter(|name| !is_place_of_schema(name)));
        let formats = formats_of(&element.text);
        seen.formats = Some(match seen.formats.take() {
            Some(known) => known.intersection(&formats).copied().collect(),
            None => formats,
        });
        element.children.iter().for_each(|child| self.see(&path, child));
    }

    /// What is wrong with a message, by path.
    pub fn faults(&self, xml: &str) -> Vec<String> {
        let root = parse(xml);
        let mut faults = Vec::new();
        if !root.attributes.iter().any(|(name, value)| name == "xmlns" && *value == self.namespace) {
            faults.push(format!("the namespace is not {}", self.namespace));
        }
        self.hold("", &root, &mut faults);
        faults
    }

    fn hold(&self, above: &str, element: &Element, faults: &mut Vec<String>) {
        let path = format!("{above}/{}", element.name);
        let schema = self.schema.iter().find(|schema| schema.parent == element.name);
        let seen = self.at.get(&path);
        let Some(seen) = seen else {
            // Not in any sample: the standard's list has to know it, and what is in it.
            let known = |child: &Element| schema.is_some_and(|s| s.sequence.contains(&child.name.as_str()));
            for child in &element.children {
                if !known(child) && !self.known_elsewhere(&element.name, &child.name) {
                    faults.push(format!("{path}/{}: in no sample, and in no list", child.name));
                }
                self.hold(&path, child, faults);
            }
            return;
        };
        let names: Vec<&str> = element.children.iter().map(|child| child.name.as_str()).collect();
        for (place, first) in names.iter().enumerate() {
            let of_schema = schema.and_then(|s| s.sequence.iter().position(|name| name == first));
            if !seen.most.contains_key(*first) && of_schema.is_none() {
                faults.push(format!("{path}/{first}: in no sample, and in no list"));
            }
            let count = names.iter().filter(|name| *name == first).count();
            let may_repeat = *first == "AddtlInf" && count <= 4;
            if count > seen.most.get(*first).copied().unwrap_or(1) && !may_repeat {
                faults.push(format!("{path}/{first}: {count} times"));
            }
            for second in names[place + 1..].iter().filter(|second| *second != first) {
                let wrong = (second.to_string(), first.to_string());
                let place_of = |name: &str| schema.and_then(|s| s.sequence.iter().position(|n| *n == name));
                let by_list = matches!((place_of(first), place_of(second)), (Some(a), Some(b)) if a > b);
                let sampled = seen.before.contains(&(first.to_string(), second.to_string()));
                let listed = place_of(first).is_some() && place_of(second).is_some();
                if seen.before.contains(&wrong) || by_list || !(sampled || listed) {
                    let section = schema.map_or("the samples", |schema| schema.section);
                    faults.push(format!("{path}: {first} before {second}, against {section}"));
                }
            }
        }
        for required in seen.required.iter().flatten().filter(|name| !names.contains(&name.as_str())) {
            let is_choice = |s: &Schema| s.choice.contains(&required.as_str());
            let chosen = |s: &Schema| is_choice(s) && names.iter().any(|name| s.choice.contains(name));
            if !schema.is_some_and(chosen) {
                faults.push(format!("{path}/{required}: missing, and every sample has it"));
            }
        }
        for (name, _) in element.attributes.iter().filter(|(name, _)| !is_place_of_schema(name)) {
            if !seen.attributes.contains(name) {
                faults.push(format!("{path}@{name}: in no sample"));
            }
        }
        let formats = formats_of(&element.text);
        for format in seen.formats.iter().flatten().filter(|format| !formats.contains(*format)) {
            faults.push(format!("{path}: samples are all {format}"));
        }
        element.children.iter().for_each(|child| self.hold(&path, child, faults));
    }

    /// Whether a sample has this child below an element of this name, at another path (an agent is an agent anywhere).
    fn known_elsewhere(&self, parent: &str, child: &str) -> bool {
        let end = format!("/{parent}");
        self.at.iter().any(|(path, seen)| path.ends_with(&end) && seen.most.contains_key(child))
    }
}

/// Attributes that say where the schema lies, not what the message says.
fn is_place_of_schema(name: &str) -> bool {
    name.starts_with("xmlns") || name.starts_with("xsi:")
}

fn formats_of(text: &str) -> BTreeSet<&'static str> {
    FORMATS.iter().filter(|(_, has)| has(text)).map(|(name, _)| *name).collect()
}
