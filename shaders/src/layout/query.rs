//! A name as a query: for each symbol the places where it stands, and what each stored length must reach.

use super::{NAME_SYMBOLS_MAX, NameBankError, Signature, names};

/// A query of 1 to 64 symbols, prepared once and run against any number of banks.
#[derive(Clone)]
pub struct NameQuery {
    low: [u32; 32],
    high: [u32; 32],
    signature: Signature,
    len: u8,
}

impl NameQuery {
    /// Prepares `symbols` (1 to 64 of them, each 1 to 31).
    ///
    /// # Errors
    /// As [`NameBank::build`](super::NameBank::build) for a name that is empty, too long or has a symbol outside
    /// 1 to 31.
    pub fn new(symbols: &[u8]) -> Result<Self, NameBankError> {
        names::check(0, symbols)?;
        let (mut low, mut high) = ([0u32; 32], [0u32; 32]);
        for (place, &symbol) in symbols.iter().enumerate() {
            let masks = if place < 32 { &mut low } else { &mut high };
            masks[usize::from(symbol)] |= 1 << (place & 31);
        }
        Ok(Self { low, high, signature: Signature::of(symbols), len: symbols.len() as u8 })
    }

    /// For each symbol the places 0 to 31 where the query has it, one bit a place; 0 for the pad.
    #[must_use]
    pub fn low_masks(&self) -> &[u32; 32] {
        &self.low
    }

    /// For each symbol the places 32 to 63 where the query has it; all 0 for a query of at most 32 symbols.
    #[must_use]
    pub fn high_masks(&self) -> &[u32; 32] {
        &self.high
    }

    /// The query's letter bag.
    #[must_use]
    pub fn signature(&self) -> Signature {
        self.signature
    }

    /// Symbols of the query (1 to 64).
    #[must_use]
    pub fn symbols_len(&self) -> u8 {
        self.len
    }

    /// The query fits one 32-bit word.
    #[must_use]
    pub fn is_narrow(&self) -> bool {
        self.len <= 32
    }

    /// The 64-bit match mask of `symbol`'s low five bits.
    pub(crate) fn mask(&self, symbol: u32) -> u64 {
        let symbol = (symbol & 31) as usize;
        u64::from(self.high[symbol]) << 32 | u64::from(self.low[symbol])
    }
}

impl std::fmt::Debug for NameQuery {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The masks spell a person's name.
        out.debug_struct("NameQuery").field("len", &self.len).finish_non_exhaustive()
    }
}

/// The least LCS that counts, for each length of a stored name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    least: [u8; NAME_SYMBOLS_MAX + 1],
}

impl Need {
    /// The least LCS that means: names of this length never count.
    pub const NEVER: u8 = 255;

    /// Asks `least` for each stored length 1 to 64. An answer of 0 is taken as 1 (a name that shares nothing is
    /// never a hit); one above 64, such as [`Need::NEVER`], leaves out the names of that length.
    pub fn per_length(mut least: impl FnMut(u8) -> u8) -> Self {
        let mut need = [Self::NEVER; NAME_SYMBOLS_MAX + 1];
        for (len, need) in (0u8..).zip(&mut need).skip(1) {
            *need = least(len).max(1);
        }
        Self { least: need }
    }

    /// The cut-off 2·lcs/(query + name) ≥ `percent`/100 for a query of `query_len` symbols.
    #[must_use]
    pub fn indel_percent(query_len: u8, percent: u8) -> Self {
        Self::per_length(|len| {
            let sum = u32::from(query_len) + u32::from(len);
            (u32::from(percent) * sum).div_ceil(200).min(u32::from(Self::NEVER)) as u8
        })
    }

    /// The least LCS of names of `len` symbols (1 to 64).
    #[must_use]
    pub fn least(&self, len: u8) -> u8 {
        self.least[usize::from(len)]
    }

    /// The whole table, indexed by length; entry 0 is [`Need::NEVER`].
    #[must_use]
    pub fn table(&self) -> &[u8; NAME_SYMBOLS_MAX + 1] {
        &self.least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::unwrap_used)]
    fn masks_have_a_bit_for_each_place() {
        let symbols: Vec<u8> = (0..64).map(|place| 1 + place % 31).collect();
        let query = NameQuery::new(&symbols).unwrap();
        for (place, &symbol) in symbols.iter().enumerate() {
            assert_eq!(query.mask(u32::from(symbol)) >> place & 1, 1);
        }
        assert_eq!((0..32).map(|symbol| query.mask(symbol).count_ones()).sum::<u32>(), 64);
        assert!(!query.is_narrow());
        assert!(!format!("{query:?}").contains("low"));
    }

    #[test]
    fn a_percentage_is_rounded_up() {
        let need = Need::indel_percent(10, 80);
        assert_eq!((need.least(10), need.least(9), need.least(11), need.least(64)), (8, 8, 9, 30));
        assert_eq!(Need::per_length(|_| 0).least(3), 1);
        assert_eq!(need.table()[0], Need::NEVER);
    }
}
