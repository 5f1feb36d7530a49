//! postcard into a buffer that is there already, from values that lie where they are: two records a payment are
//! encoded, and collecting and growing cost more than writing.

use postcard::ser_flavors::Flavor;
use serde::ser::{Serialize, SerializeSeq, Serializer};

/// Appends the encoding of a value.
pub(super) fn append<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    postcard::serialize_with_flavor(value, Tail(out)).expect("plain data always encodes");
}

struct Tail<'a>(&'a mut Vec<u8>);

impl Flavor for Tail<'_> {
    type Output = ();
    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }
    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }
    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// As a `Vec` of what an iterator gives, which is made twice: to be counted and to be written.
pub(super) struct Each<F>(pub F);

impl<F, I> Serialize for Each<F>
where
    F: Fn() -> I,
    I: Iterator<Item: Serialize>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some((self.0)().count()))?;
        for one in (self.0)() {
            seq.serialize_element(&one)?;
        }
        seq.end()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_what_postcard_writes(
            values in prop::collection::vec((any::<u8>(), any::<Option<i64>>(), ".{0,9}"), 0..200),
            before in any::<Vec<u8>>(),
        ) {
            let mut out = before.clone();
            append(&(7u8, Each(|| values.iter().filter(|(number, ..)| number % 2 == 0))), &mut out);
            let plain: Vec<_> = values.iter().filter(|(number, ..)| number % 2 == 0).collect();
            prop_assert_eq!(out, [before, postcard::to_stdvec(&(7u8, plain)).unwrap()].concat());
        }
    }
}
