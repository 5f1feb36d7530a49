//! A file's protobuf messages, counted before anything decodes them. Little is asked of the format: fields, lengths, and
//! which of them hold messages.

use super::onnx::{invalid, malformed};
use crate::error::{Error, ErrorKind};
use crate::limits::MODEL_MESSAGES_MAX;

/// Walks the file's messages before they are decoded: a decoder makes hundreds of bytes of each two-byte message, and
/// subgraphs could nest.
pub(super) fn bound(bytes: &[u8]) -> Result<(), Error> {
    walk(bytes, Level::Model, &mut 0)
}

#[derive(Clone, Copy)]
enum Level {
    Model,
    Graph,
    Node,
    Attribute,
}

/// Recursion goes three deep: model, graph, node, attribute.
fn walk(mut bytes: &[u8], level: Level, messages: &mut usize) -> Result<(), Error> {
    while !bytes.is_empty() {
        let (field, content) = field(&mut bytes)?;
        let Some(content) = content else { continue };
        // An attribute's numbers and strings (9: one a node of a tree) cost little more decoded than encoded.
        if !matches!((level, field), (Level::Attribute, 7..=9)) {
            *messages += 1;
        }
        if *messages > MODEL_MESSAGES_MAX {
            let message = format!("model has more than {MODEL_MESSAGES_MAX} messages");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        match (level, field) {
            (Level::Model, 7) => walk(content, Level::Graph, messages)?,
            (Level::Graph, 1) => walk(content, Level::Node, messages)?,
            (Level::Node, 5) => walk(content, Level::Attribute, messages)?,
            (Level::Model, 20) => return Err(invalid("training information is not supported")),
            (Level::Model, 25) => return Err(invalid("functions of the model's own are not supported")),
            (Level::Graph, 15) | (Level::Attribute, 22 | 23) => {
                return Err(invalid("sparse tensors are not supported"));
            }
            (Level::Attribute, 6 | 11) => {
                return Err(invalid("subgraphs (If, Loop, Scan) are not supported"));
            }
            (Level::Attribute, 10 | 15) => {
                return Err(invalid("lists of tensors or types are not supported"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// One field of a protobuf message: its number, and its bytes where it has a length.
fn field<'b>(bytes: &mut &'b [u8]) -> Result<(u64, Option<&'b [u8]>), Error> {
    let broken = || malformed("not an ONNX file: it ends within a field or is no protobuf message");
    let key = varint(bytes).ok_or_else(broken)?;
    let skip = match key & 7 {
        0 => {
            varint(bytes).ok_or_else(broken)?;
            0
        }
        1 => 8,
        2 => {
            let len = varint(bytes).and_then(|len| usize::try_from(len).ok()).ok_or_else(broken)?;
            let (content, rest) = bytes.split_at_checked(len).ok_or_else(broken)?;
            *bytes = rest;
            return Ok((key >> 3, Some(content)));
        }
        5 => 4,
        _ => return Err(broken()),
    };
    *bytes = bytes.get(skip..).ok_or_else(broken)?;
    Ok((key >> 3, None))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 127) << shift;
        if byte & 128 == 0 {
            return Some(value);
        }
    }
    None
}
