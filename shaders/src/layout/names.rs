//! A bank of names in blocks of 64 lanes, sorted by length so that a length window is a contiguous range and a
//! block's lanes end together. Built once, then only read.

use super::{LANES, NAME_SYMBOLS_MAX, NAMES_MAX, NameBlock, Row, SYMBOL_MAX, SYMBOLS_PER_WORD, Signature};

/// Why a bank or a query was refused. Symbols are quoted by value and place; never a whole name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameBankError {
    /// A name without symbols.
    #[error("name {index} is empty")]
    Empty {
        /// Place of the name in the input, from 0 (0 for a query).
        index: usize,
    },
    /// A name of more than 64 symbols.
    #[error("name {index} has {symbols} symbols, limit {NAME_SYMBOLS_MAX}")]
    TooLong {
        /// Place of the name in the input, from 0 (0 for a query).
        index: usize,
        /// Its symbols.
        symbols: usize,
    },
    /// A symbol that is 0 or above 31.
    #[error("name {index} has symbol {symbol} at place {place}, allowed are 1 to {SYMBOL_MAX}")]
    Symbol {
        /// Place of the name in the input, from 0 (0 for a query).
        index: usize,
        /// Place of the symbol in the name, from 0.
        place: usize,
        /// The symbol.
        symbol: u8,
    },
    /// More names than a bank holds.
    #[error("{names} names, limit {NAMES_MAX}")]
    TooMany {
        /// Names given.
        names: usize,
    },
}

/// Refuses what a bank or a query cannot hold.
pub(super) fn check(index: usize, symbols: &[u8]) -> Result<(), NameBankError> {
    if symbols.is_empty() {
        return Err(NameBankError::Empty { index });
    }
    if symbols.len() > NAME_SYMBOLS_MAX {
        return Err(NameBankError::TooLong { index, symbols: symbols.len() });
    }
    match symbols.iter().position(|&symbol| symbol == 0 || symbol > SYMBOL_MAX) {
        Some(place) => Err(NameBankError::Symbol { index, place, symbol: symbols[place] }),
        None => Ok(()),
    }
}

/// Names of 1 to 64 symbols, sorted by (length, id), in blocks of 64. Lanes past the last name hold pads, length 0
/// and an empty signature.
#[derive(Clone)]
pub struct NameBank {
    rows: Vec<Row>,
    blocks: Vec<NameBlock>,
    ids: Vec<u32>,
    lengths: Vec<u8>,
    signatures: Vec<u64>,
    overflows: Vec<u8>,
    starts: [u32; NAME_SYMBOLS_MAX + 2],
    len: usize,
}

impl NameBank {
    /// Builds a bank of (id, symbols), in any order. Ids may repeat (several spellings of one entry).
    ///
    /// # Errors
    /// [`NameBankError`] for an empty name, one of more than 64 symbols, a symbol outside 1 to 31, or more than
    /// 2^24 names.
    pub fn build(names: &[(u32, &[u8])]) -> Result<Self, NameBankError> {
        if names.len() > NAMES_MAX {
            return Err(NameBankError::TooMany { names: names.len() });
        }
        for (index, (_, symbols)) in names.iter().enumerate() {
            check(index, symbols)?;
        }
        let mut order: Vec<&(u32, &[u8])> = names.iter().collect();
        order.sort_by_key(|(id, symbols)| (symbols.len(), *id));

        let lanes = order.len().next_multiple_of(LANES);
        let mut bank = Self {
            rows: Vec::new(),
            blocks: Vec::with_capacity(lanes / LANES),
            ids: vec![0; lanes],
            lengths: vec![0; lanes],
            signatures: vec![0; lanes],
            overflows: vec![0; lanes],
            starts: [0; NAME_SYMBOLS_MAX + 2],
            len: order.len(),
        };
        for block in order.chunks(LANES) {
            bank.append_block(block);
        }
        for (len, start) in bank.starts.iter_mut().enumerate() {
            *start = order.partition_point(|(_, symbols)| symbols.len() < len) as u32;
        }
        Ok(bank)
    }

    fn append_block(&mut self, names: &[&(u32, &[u8])]) {
        let longest = names.last().map_or(0, |(_, symbols)| symbols.len());
        let first_row = self.rows.len();
        let first_name = self.blocks.len() * LANES;
        let chunks = longest.div_ceil(SYMBOLS_PER_WORD);
        self.blocks.push(NameBlock { word_offset: (first_row * LANES) as u32, chunks: chunks as u32 });
        self.rows.resize(first_row + chunks, Row::ZERO);
        for (lane, (id, symbols)) in names.iter().enumerate() {
            for (row, word) in self.rows[first_row..].iter_mut().zip(symbols.chunks(SYMBOLS_PER_WORD)) {
                row.0[lane] = word.iter().rev().fold(0, |packed, &symbol| packed << 8 | u32::from(symbol));
            }
            let signature = Signature::of(symbols);
            self.ids[first_name + lane] = *id;
            self.lengths[first_name + lane] = symbols.len() as u8;
            self.signatures[first_name + lane] = signature.bits;
            self.overflows[first_name + lane] = signature.overflow;
        }
    }

    /// Names in the bank.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the bank holds no name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Every block's rows one after another, 64 words a row: WGSL's `[chunk][64 lanes]`.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        bytemuck::cast_slice(&self.rows)
    }

    /// The blocks, in the bank's order.
    #[must_use]
    pub fn blocks(&self) -> &[NameBlock] {
        &self.blocks
    }

    /// The ids by index, padded with 0 to whole blocks.
    #[must_use]
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The lengths by index, in symbols, padded with 0 to whole blocks.
    #[must_use]
    pub fn lengths(&self) -> &[u8] {
        &self.lengths
    }

    /// The signatures' bits by index, padded with 0 to whole blocks.
    #[must_use]
    pub fn signatures(&self) -> &[u64] {
        &self.signatures
    }

    /// The signatures' overflow counts by index, padded with 0 to whole blocks.
    #[must_use]
    pub fn overflows(&self) -> &[u8] {
        &self.overflows
    }

    /// The indices of the names of `len` symbols (1 to 64).
    #[must_use]
    pub fn range_of_length(&self, len: u8) -> std::ops::Range<usize> {
        let len = usize::from(len);
        self.starts[len] as usize..self.starts[len + 1] as usize
    }

    /// The rows of block `block`.
    pub(crate) fn block_rows(&self, block: usize) -> &[Row] {
        let NameBlock { word_offset, chunks } = self.blocks[block];
        let first = word_offset as usize / LANES;
        &self.rows[first..first + chunks as usize]
    }

    /// The symbols of the name at `index`, written into `symbols`; the slice of it that the name fills.
    ///
    /// # Panics
    /// When `index` is not below [`NameBank::len`].
    pub fn symbols<'a>(&self, index: usize, symbols: &'a mut [u8; NAME_SYMBOLS_MAX]) -> &'a [u8] {
        assert!(index < self.len, "name {index} of a bank of {}", self.len);
        for (row, word) in
            self.block_rows(index / LANES).iter().zip(symbols.chunks_exact_mut(SYMBOLS_PER_WORD))
        {
            word.copy_from_slice(&row.0[index % LANES].to_le_bytes());
        }
        &symbols[..usize::from(self.lengths[index])]
    }

    /// The names as (id, symbols), in the bank's order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Vec<u8>)> + '_ {
        (0..self.len).map(|index| (self.ids[index], self.symbols(index, &mut [0; NAME_SYMBOLS_MAX]).to_vec()))
    }

    /// Bytes held by the bank's arrays.
    #[must_use]
    pub fn bytes_held(&self) -> usize {
        self.rows.len() * size_of::<Row>()
            + self.blocks.len() * size_of::<NameBlock>()
            + self.ids.len() * (size_of::<u32>() + size_of::<u64>() + 2)
    }
}

impl std::fmt::Debug for NameBank {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("NameBank").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_does_not_fit_is_refused_with_its_place() {
        let long = [1u8; 65];
        assert_eq!(NameBank::build(&[(1, &[1]), (2, &[])]).unwrap_err(), NameBankError::Empty { index: 1 });
        assert_eq!(
            NameBank::build(&[(1, &long)]).unwrap_err().to_string(),
            "name 0 has 65 symbols, limit 64"
        );
        assert_eq!(
            NameBank::build(&[(1, &[5, 32])]).unwrap_err().to_string(),
            "name 0 has symbol 32 at place 1, allowed are 1 to 31"
        );
        assert!(matches!(NameBank::build(&[(1, &[5, 0])]), Err(NameBankError::Symbol { symbol: 0, .. })));
    }

    #[test]
    fn an_empty_bank_has_no_block() {
        let bank = NameBank::build(&[]).unwrap();
        assert!(bank.is_empty() && bank.blocks().is_empty() && bank.words().is_empty());
        assert_eq!(bank.range_of_length(64), 0..0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn a_bank_gives_back_its_names_by_length_and_id(
            names in proptest::collection::vec(
                (0u32..50, proptest::collection::vec(1u8..=31, 1..=64)), 0..300)
        ) {
            let given: Vec<(u32, &[u8])> = names.iter().map(|(id, name)| (*id, name.as_slice())).collect();
            let bank = NameBank::build(&given).unwrap();
            let mut expected = names.clone();
            expected.sort_by_key(|(id, name)| (name.len(), *id));
            prop_assert_eq!(bank.iter().collect::<Vec<_>>(), expected);
            for len in 1u8..=64 {
                let range = bank.range_of_length(len);
                prop_assert!(bank.lengths()[range.clone()].iter().all(|&stored| stored == len));
                prop_assert_eq!(range.len(), names.iter().filter(|name| name.1.len() == usize::from(len)).count());
            }
            let rows: u32 = bank.blocks().iter().map(|block| block.chunks).sum();
            prop_assert_eq!(rows as usize * LANES, bank.words().len());
        }
    }
}
