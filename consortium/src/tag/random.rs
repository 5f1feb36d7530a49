//! Randomness is whose who calls: a function that fills bytes. Here it becomes what the crates of the curve and of the
//! envelope expect, which are of two generations (rand_core 0.6 and 0.9).

use std::fmt;

/// Random bytes of a caller's source, which must be a cryptographic one: the operating system's, or a generator that it
/// seeds. With a predictable one blinded identifiers are no longer hidden, and a proof gives the service's key away.
pub struct Random<'a>(&'a mut dyn FnMut(&mut [u8]));

impl<'a> Random<'a> {
    /// Randomness by a function that fills all the bytes it is given.
    pub fn new(fill: &'a mut dyn FnMut(&mut [u8])) -> Random<'a> {
        Random(fill)
    }
    /// So many random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.0)(&mut bytes);
        bytes
    }
}

impl fmt::Debug for Random<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random(…)")
    }
}

impl rand_core::RngCore for Random<'_> {
    fn next_u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }
    fn next_u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        (self.0)(bytes);
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        (self.0)(bytes);
        Ok(())
    }
}

impl rand_core::CryptoRng for Random<'_> {}

impl hpke::rand_core::RngCore for Random<'_> {
    fn next_u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }
    fn next_u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        (self.0)(bytes);
    }
}

impl hpke::rand_core::CryptoRng for Random<'_> {}
