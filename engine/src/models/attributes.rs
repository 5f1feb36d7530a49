//! A node's attributes and tensors as plain numbers, refused by name where they are of another type or length.

use super::onnx::{Elem, invalid, named};
use crate::error::Error;
use crate::limits::MODEL_NODES_MAX;
use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto};

/// A node's attributes.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'n>(pub &'n NodeProto);

impl<'n> Attributes<'n> {
    fn find(self, name: &str) -> Option<&'n AttributeProto> {
        self.0.attribute.iter().find(|attribute| attribute.name == name)
    }
    /// An error about this node.
    pub(super) fn refuse(self, message: impl std::fmt::Display) -> Error {
        invalid(format!("{}: {message}", named(self.0)))
    }
    /// A list of integers; empty where it is left out.
    pub(super) fn ints(self, name: &str) -> &'n [i64] {
        self.find(name).map_or(&[], |attribute| &attribute.ints)
    }
    /// An integer.
    pub(super) fn int(self, name: &str) -> Option<i64> {
        self.find(name).map(|attribute| attribute.i)
    }
    /// A word; "" where it is left out.
    pub(super) fn word(self, name: &str) -> &'n str {
        self.find(name).map_or("", |attribute| str::from_utf8(&attribute.s).unwrap_or("?"))
    }
    /// A list of words.
    pub(super) fn words(self, name: &str) -> impl ExactSizeIterator<Item = &'n [u8]> {
        self.find(name).map_or(&[][..], |attribute| &attribute.strings).iter().map(Vec::as_slice)
    }
    /// A list of numbers, given as floats or, under the name with `_as_tensor`, as a tensor (doubles, mostly).
    pub(super) fn numbers(self, name: &str) -> Result<Vec<f64>, Error> {
        let tensor = self.find(&format!("{name}_as_tensor")).and_then(|attribute| attribute.t.as_ref());
        let floats = self.find(name).map_or(&[][..], |attribute| &attribute.floats);
        let numbers = match tensor {
            Some(tensor) if floats.is_empty() => {
                numbers(tensor).map_err(|e| self.refuse(format!("{name}_as_tensor: {e}")))?
            }
            Some(_) => return Err(self.refuse(format!("both {name} and {name}_as_tensor are given"))),
            None => floats.iter().map(|v| f64::from(*v)).collect(),
        };
        match numbers.iter().find(|v| !v.is_finite()) {
            // Thresholds may be infinite: a tree that only asks whether a value is there.
            Some(bad) if bad.is_nan() || name != "nodes_values" => {
                Err(self.refuse(format!("{name} holds {bad}")))
            }
            _ => Ok(numbers),
        }
    }
}

/// A tensor's numbers.
pub(super) fn numbers(tensor: &TensorProto) -> Result<Vec<f64>, String> {
    let elem = Elem::of(tensor.data_type).ok_or_else(|| "not of numbers".to_string())?;
    let len = elements(&tensor.dims).filter(|len| *len <= MODEL_NODES_MAX);
    let len = len.ok_or_else(|| format!("its dimensions {:?} are not possible here", tensor.dims))?;
    let raw = &tensor.raw_data;
    let out: Vec<f64> = match elem {
        Elem::F32 if raw.is_empty() => tensor.float_data.iter().map(|v| f64::from(*v)).collect(),
        Elem::F64 if raw.is_empty() => tensor.double_data.clone(),
        Elem::I64 if raw.is_empty() => tensor.int64_data.iter().map(|v| *v as f64).collect(),
        _ if raw.is_empty() => tensor.int32_data.iter().map(|v| f64::from(*v)).collect(),
        Elem::F32 => chunks(raw).map(|bytes| f64::from(f32::from_le_bytes(bytes))).collect(),
        Elem::F64 => chunks(raw).map(f64::from_le_bytes).collect(),
        Elem::I64 => chunks(raw).map(|bytes| i64::from_le_bytes(bytes) as f64).collect(),
        Elem::I32 => chunks(raw).map(|bytes| f64::from(i32::from_le_bytes(bytes))).collect(),
        Elem::Bool => raw.iter().map(|byte| f64::from(*byte)).collect(),
    };
    if out.len() == len { Ok(out) } else { Err(format!("{} numbers, its dimensions say {len}", out.len())) }
}

/// How many numbers dimensions span; `None` for negative ones and past an i32.
pub(super) fn elements(dims: &[i64]) -> Option<usize> {
    let len = dims.iter().try_fold(1i64, |all, dim| all.checked_mul(*dim).filter(|_| *dim >= 0))?;
    i32::try_from(len).ok().map(|len| len as usize)
}

/// A last chunk that is too short leaves the list short, which its length then shows.
fn chunks<const N: usize>(raw: &[u8]) -> impl Iterator<Item = [u8; N]> {
    raw.as_chunks::<N>().0.iter().copied()
}
