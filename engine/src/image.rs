//! The image of the sequencer's state as bytes: each module writes and reads its own part, in an order that depends on
//! nothing but the state, so that equal states have equal images and a state that was read goes on exactly as the one
//! that was written. Where the bytes go, and their checksums, is for the ledger (docs/formats/snapshot.md).

use crate::error::{Error, ErrorKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Version of what the bytes mean. It changes with any change of what a module writes, and of what the engine makes of
/// it: an image is refused by an engine that has another, and the state rebuilt from the journal.
pub const LAYOUT: u32 = 3;

/// Bytes handed on at once; the state is never held twice.
const BUFFER_BYTES: usize = 64 << 10;
/// Most bytes of one text or encoded value: far more than any has (entries, packs' names).
const VALUE_BYTES_MAX: usize = 16 << 20;

/// Takes an image's bytes in order. One that fails remembers why, and takes the rest for nothing.
pub trait Sink {
    /// The next bytes.
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Gives an image's bytes in order, checked by whoever holds them.
pub trait Source {
    /// Adds the next bytes to the end; how many follow is the source's choice, none at the end.
    ///
    /// # Errors
    /// When they cannot be read, or are not what was written.
    fn more(&mut self, into: &mut Vec<u8>) -> Result<(), Error>;
}

impl Source for &[u8] {
    fn more(&mut self, into: &mut Vec<u8>) -> Result<(), Error> {
        into.extend_from_slice(std::mem::take(self));
        Ok(())
    }
}

/// Writes values to a sink, integers in little-endian order.
pub struct Writer<'a> {
    sink: &'a mut dyn Sink,
    buffer: Vec<u8>,
}

macro_rules! integers {
    ($($name:ident: $type:ty),*) => {
        impl Writer<'_> {
            $(#[doc = concat!("An `", stringify!($type), "`.")]
            pub fn $name(&mut self, value: $type) {
                self.buffer.extend_from_slice(&value.to_le_bytes());
                self.spill();
            })*
        }
        impl Reader<'_> {
            $(#[doc = concat!("An `", stringify!($type), "`.\n\n# Errors\n`Corrupt` at the image's end; whatever the source returns.")]
            pub fn $name(&mut self) -> Result<$type, Error> {
                const BYTES: usize = size_of::<$type>();
                let bytes = self.take(BYTES)?;
                Ok(<$type>::from_le_bytes(bytes.try_into().expect("as many were taken")))
            })*
        }
    };
}
macro_rules! columns {
    ($($name:ident: $type:ty),*) => {
        impl Writer<'_> {
            $(#[doc = concat!("A column of `", stringify!($type), "`, whose length the reader knows.")]
            pub fn $name(&mut self, values: &[$type]) {
                const BYTES: usize = size_of::<$type>();
                for values in values.chunks(BUFFER_BYTES / BYTES) {
                    let from = self.buffer.len();
                    self.buffer.resize(from + values.len() * BYTES, 0);
                    for (place, value) in self.buffer[from..].chunks_exact_mut(BYTES).zip(values) {
                        place.copy_from_slice(&value.to_le_bytes());
                    }
                    self.spill();
                }
            })*
        }
        impl Reader<'_> {
            $(#[doc = concat!("Fills a column of `", stringify!($type), "`.\n\n# Errors\nAs for one value.")]
            pub fn $name(&mut self, into: &mut [$type]) -> Result<(), Error> {
                const BYTES: usize = size_of::<$type>();
                for values in into.chunks_mut(BUFFER_BYTES / BYTES) {
                    let bytes = self.take(values.len() * BYTES)?;
                    for (value, bytes) in values.iter_mut().zip(bytes.chunks_exact(BYTES)) {
                        *value = <$type>::from_le_bytes(bytes.try_into().expect("chunks of that many"));
                    }
                }
                Ok(())
            })*
        }
    };
}

integers!(u8: u8, u16: u16, u32: u32, u64: u64, i64: i64, u128: u128, i128: i128);
columns!(u32s: u32, u64s: u64, i64s: i64);

impl<'a> Writer<'a> {
    /// Writes to a sink. [`Writer::end`] hands the last bytes on.
    pub fn new(sink: &'a mut dyn Sink) -> Writer<'a> {
        Writer { sink, buffer: Vec::with_capacity(2 * BUFFER_BYTES) }
    }
    fn spill(&mut self) {
        if self.buffer.len() >= BUFFER_BYTES {
            self.sink.put(&self.buffer);
            self.buffer.clear();
        }
    }
    /// Hands on what is left.
    pub fn end(self) {
        self.sink.put(&self.buffer);
    }
    /// Bytes as they are, whose number the reader knows.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        self.spill();
    }
    /// A truth.
    pub fn bool(&mut self, value: bool) {
        self.u8(value.into());
    }
    /// A number of things.
    pub fn count(&mut self, value: usize) {
        self.u64(value as u64);
    }
    /// A text, with its length.
    pub fn text(&mut self, text: &str) {
        self.count(text.len());
        self.bytes(text.as_bytes());
    }
    /// A value by its own encoding, with its length; for what is few.
    pub fn value(&mut self, value: &impl Serialize) {
        let bytes = postcard::to_stdvec(value).expect("plain data always encodes");
        self.count(bytes.len());
        self.bytes(&bytes);
    }
}

/// Reads values from a source, as a [`Writer`] wrote them.
pub struct Reader<'a> {
    source: &'a mut dyn Source,
    buffer: Vec<u8>,
    at: usize,
}

/// The error for bytes that pass their checksums and mean nothing.
pub fn senseless(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Corrupt, format!("image: {what}"))
}

impl<'a> Reader<'a> {
    /// Reads from a source.
    pub fn new(source: &'a mut dyn Source) -> Reader<'a> {
        Reader { source, buffer: Vec::new(), at: 0 }
    }
    /// The next `count` bytes, whose number the writer knew; few enough to be held at once.
    ///
    /// # Errors
    /// `Corrupt` at the image's end; whatever the source returns.
    pub fn take(&mut self, count: usize) -> Result<&[u8], Error> {
        if self.buffer.len() - self.at < count {
            self.buffer.drain(..self.at);
            self.at = 0;
            while self.buffer.len() < count {
                let before = self.buffer.len();
                self.source.more(&mut self.buffer)?;
                if self.buffer.len() == before {
                    return Err(senseless("it ends too early"));
                }
            }
        }
        self.at += count;
        Ok(&self.buffer[self.at - count..self.at])
    }
    /// Makes sure that nothing follows.
    ///
    /// # Errors
    /// `Corrupt` where something does; whatever the source returns.
    pub fn end(mut self) -> Result<(), Error> {
        self.buffer.drain(..self.at);
        self.source.more(&mut self.buffer)?;
        match self.buffer.len() {
            0 => Ok(()),
            more => Err(senseless(format_args!("{more} bytes or more behind its end"))),
        }
    }
    /// A truth.
    ///
    /// # Errors
    /// `Corrupt` where it is neither; as [`Reader::take`].
    pub fn bool(&mut self) -> Result<bool, Error> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(senseless(format_args!("a truth of {other}"))),
        }
    }
    /// A number of things, of at most `most`.
    ///
    /// # Errors
    /// `Corrupt` past it; as [`Reader::take`].
    pub fn count(&mut self, most: usize) -> Result<usize, Error> {
        let count = self.u64()?;
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= most)
            .ok_or_else(|| senseless(format_args!("{count} of something that there are at most {most} of")))
    }
    /// A text.
    ///
    /// # Errors
    /// `Corrupt` where it is none; as [`Reader::take`].
    pub fn text(&mut self) -> Result<String, Error> {
        let count = self.count(VALUE_BYTES_MAX)?;
        let text = std::str::from_utf8(self.take(count)?);
        text.map(str::to_owned).map_err(senseless)
    }
    /// A value by its own encoding.
    ///
    /// # Errors
    /// `Corrupt` where it is none; as [`Reader::take`].
    pub fn value<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        let count = self.count(VALUE_BYTES_MAX)?;
        match postcard::take_from_bytes(self.take(count)?) {
            Ok((value, [])) => Ok(value),
            Ok((_, rest)) => Err(senseless(format_args!("{} bytes behind a value", rest.len()))),
            Err(e) => Err(senseless(e)),
        }
    }
}

/// Room for `count` things, as far as that can be believed before they are read.
pub(crate) fn room<T>(count: usize) -> Vec<T> {
    Vec::with_capacity(count.min((64 << 20) / size_of::<T>().max(1)))
}
